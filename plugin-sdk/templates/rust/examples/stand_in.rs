//! A small fake of the provider, for tests: it listens on a free loopback port, says where in one line of JSON on
//! standard output, and does what the lines of JSON on its standard input ask for. It ends when they do.
//!
//! `cargo run --example stand_in [PORT]`, and type `{"do":"content"}`.

mod bulletin {
    include!("stand_in/bulletin.rs");
}

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bulletin::{Answer, Provider};
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "0".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let provider = Arc::new(Mutex::new(Provider::new()));
    let served = Arc::clone(&provider);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let provider = Arc::clone(&served);
            // A connection that breaks is the other side's affair.
            thread::spawn(move || drop(serve(&stream, &provider)));
        }
    });
    let does = [
        "content", "add", "mark", "remove", "digest", "renumber", "throttle", "cut",
    ];
    println!("{}", json!({ "ready": { "url": url }, "does": does }));
    for line in std::io::stdin().lines() {
        let asked: Result<Value, _> = serde_json::from_str(&line?);
        let mut provider = provider.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match asked {
            Ok(request) => provider
                .act(&request)
                .unwrap_or_else(|error| json!({ "error": error })),
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{answer}");
    }
    Ok(())
}

/// Requests over one connection (HTTP/1.1), until it ends.
fn serve(stream: &TcpStream, provider: &Mutex<Provider>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, target) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let (mut length, mut login) = (0, String::new());
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "authorization" => value.trim().clone_into(&mut login),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let Answer {
            status,
            headers,
            body,
            cut,
        } = provider
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .answer(&method, &target, &login, &body);
        let mut answer = format!(
            "HTTP/1.1 {status} -\r\ncontent-length: {}\r\n",
            body.len() + usize::from(cut) * 1000
        );
        for (name, value) in headers {
            answer += &format!("{name}: {value}\r\n");
        }
        answer += "\r\n";
        let mut answer = answer.into_bytes();
        answer.extend(if cut {
            &body[..body.len() / 2]
        } else {
            &body[..]
        });
        stream.write_all(&answer)?;
        if cut {
            return Ok(());
        }
    }
}
