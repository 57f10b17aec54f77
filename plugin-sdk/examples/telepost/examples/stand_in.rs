//! A small fake of the server, for tests: it listens on a free loopback port, says where in one line of JSON on standard
//! output, and does what the lines of JSON on its standard input ask for. It ends when they do.
//!
//! `cargo run --example stand_in`, and type `{"do":"content"}`.

mod depot {
    include!("stand_in/depot.rs");
}

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use depot::{Depot, Reply};
use md5::{Digest, Md5};
use serde_json::{Value, json};

const USER: &str = "alice";
const PASSWORD: &str = "Sesame-7341";

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let depot = Arc::new(Mutex::new(Depot::new()));
    let served = Arc::clone(&depot);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let depot = Arc::clone(&served);
            // A connection that breaks is the other side's affair.
            thread::spawn(move || drop(serve(&stream, number, &depot)));
        }
    });
    let does = [
        "content", "add", "mark", "remove", "digest", "renumber", "throttle", "cut",
    ];
    println!("{}", json!({ "ready": { "port": port }, "does": does }));
    for line in std::io::stdin().lines() {
        let asked: Result<Value, _> = serde_json::from_str(&line?);
        let mut depot = depot.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match asked {
            Ok(request) => depot.act(&request).unwrap_or_else(|error| json!({ "error": error })),
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{answer}");
    }
    Ok(())
}

/// Commands over one connection, until it ends.
fn serve(mut stream: &TcpStream, number: usize, depot: &Mutex<Depot>) -> std::io::Result<()> {
    let challenge = format!("<{number}.{}@depot>", std::process::id());
    stream.write_all(format!("TELEPOST 3 {challenge}\r\n").as_bytes())?;
    let mut is_known = false;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let reply = match words.as_slice() {
            ["LOGIN", user, digest] => {
                let wanted = Md5::digest(format!("{challenge}{PASSWORD}").as_bytes());
                let wanted: String = wanted.iter().map(|byte| format!("{byte:02x}")).collect();
                is_known = *user == USER && *digest == wanted;
                Reply::line(if is_known { "OK" } else { "NO login" })
            }
            ["QUIT"] => return Ok(()),
            words if is_known => depot.lock().unwrap_or_else(PoisonError::into_inner).answer(words),
            _ => Reply::line("NO login"),
        };
        if reply.cut {
            return stream.write_all(&reply.bytes[..reply.bytes.len() / 2]);
        }
        stream.write_all(&reply.bytes)?;
    }
    Ok(())
}
