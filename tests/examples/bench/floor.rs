//! The floor: what two servers and the line between them need, with nothing else done. FETCH is streamed into APPEND,
//! without state, without a check, without a look at a byte.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use whimbrel_tests::servers::PASSWORD;

use crate::peers::End;

/// How the floor copies.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Connections a side.
    pub connections: usize,
    /// Messages of one APPEND.
    pub batch: u64,
    /// Whether the folder is SELECTed at the destination first.
    pub select: bool,
}

/// Copies all folders of one account to another; wall-clock time.
pub fn copy(source: End<'_>, destination: End<'_>, manner: Manner) -> Duration {
    let start = Instant::now();
    let folders = Arc::new(Mutex::new(list(&mut Line::login(source))));
    let workers: Vec<_> = (0..manner.connections)
        .map(|_| {
            let folders = Arc::clone(&folders);
            let mut from = Line::login(source);
            let mut to = Line::login(destination);
            thread::spawn(move || {
                loop {
                    let next = folders.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(folder) = next else { return };
                    copy_folder(&mut from, &mut to, &folder, manner);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("a worker of the floor");
    }
    start.elapsed()
}

/// Copies all folders of many accounts, from the users of one port to those of another: each worker takes one account
/// after the other, with one connection a side. Wall-clock time.
pub fn copy_users([from, to]: [u16; 2], users: &[(String, String)], workers: usize, batch: u64) -> Duration {
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let manner = Manner {
        connections: 1,
        batch,
        select: false,
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((user, other)) = users.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (mut from, mut to) = (Line::login((from, user)), Line::login((to, other)));
                    for folder in list(&mut from) {
                        copy_folder(&mut from, &mut to, &folder, manner);
                    }
                }
            });
        }
    });
    start.elapsed()
}

/// One connection in clear text.
struct Line {
    reader: BufReader<TcpStream>,
    writer: BufWriter<TcpStream>,
}

impl Line {
    fn login((port, user): End<'_>) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a server");
        stream.set_nodelay(true).expect("a socket");
        let writer = BufWriter::with_capacity(128 << 10, stream.try_clone().expect("a socket"));
        let mut line = Self {
            reader: BufReader::with_capacity(256 << 10, stream),
            writer,
        };
        line.line();
        line.command(&format!("LOGIN {user} {PASSWORD}"));
        line
    }

    /// The next line, without its end.
    fn line(&mut self) -> Vec<u8> {
        line_of(&mut self.reader)
    }

    /// Sends a command and gives the untagged lines of its answer, whatever the answer.
    fn command(&mut self, command: &str) -> Vec<Vec<u8>> {
        write!(self.writer, "X {command}\r\n").expect("a server");
        self.writer.flush().expect("a server");
        let mut untagged = Vec::new();
        loop {
            let line = self.line();
            if line.starts_with(b"X ") {
                return untagged;
            }
            untagged.push(line);
        }
    }
}

fn line_of(reader: &mut impl BufRead) -> Vec<u8> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).expect("a server");
    assert!(line.ends_with(b"\r\n"), "the server closed the connection");
    line.truncate(line.len() - 2);
    line
}

/// Names of all folders that can hold messages, as the server writes them.
fn list(line: &mut Line) -> VecDeque<String> {
    let listed = line.command("LIST \"\" \"*\"");
    let names = listed.iter().filter_map(|line| {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_prefix("* LIST (")?;
        let (attributes, rest) = text.split_once(") ")?;
        let holds = !attributes.contains("\\Noselect") && !attributes.contains("\\NonExistent");
        holds
            .then(|| rest.split_once(' ').map(|(_, name)| name.to_owned()))
            .flatten()
    });
    names.collect()
}

fn copy_folder(from: &mut Line, to: &mut Line, folder: &str, manner: Manner) {
    if !folder.eq_ignore_ascii_case("INBOX") {
        to.command(&format!("CREATE {folder}"));
    }
    if manner.select {
        to.command(&format!("SELECT {folder}"));
    }
    from.command(&format!("EXAMINE {folder}"));
    from.writer
        .write_all(b"F UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n")
        .expect("a server");
    from.writer.flush().expect("a server");
    thread::scope(|scope| {
        let Line { reader, writer } = to;
        let answers = scope.spawn(move || {
            loop {
                let line = line_of(reader);
                if line.starts_with(b"Z ") {
                    return;
                }
                assert!(
                    !line.starts_with(b"B ") || line.starts_with(b"B OK"),
                    "{}",
                    String::from_utf8_lossy(&line)
                );
            }
        });
        forward(&mut from.reader, writer, folder, manner.batch);
        answers.join().expect("the answers of the floor");
    });
}

/// The answers to FETCH become APPENDs.
fn forward(reader: &mut BufReader<TcpStream>, writer: &mut BufWriter<TcpStream>, folder: &str, batch: u64) {
    let mut waiting = 0;
    loop {
        let line = line_of(reader);
        if line.starts_with(b"F ") {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let Some((_, size)) = text.rsplit_once('{') else {
            continue;
        };
        let size: u64 = size.trim_end_matches('}').parse().expect("a literal");
        let between = |open: &str, close: char| {
            let (_, rest) = text.split_once(open)?;
            rest.split_once(close).map(|(inner, _)| inner.to_owned())
        };
        let flags = between("FLAGS (", ')').unwrap_or_default();
        let flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
        let date = between("INTERNALDATE \"", '"').unwrap_or_default();
        if waiting == 0 {
            write!(writer, "B APPEND {folder}").expect("a server");
        }
        write!(writer, " ({}) \"{date}\" {{{size}+}}\r\n", flags.join(" ")).expect("a server");
        std::io::copy(&mut reader.by_ref().take(size), writer).expect("a server");
        line_of(reader);
        waiting += 1;
        if waiting == batch {
            writer.write_all(b"\r\n").expect("a server");
            waiting = 0;
        }
    }
    if waiting > 0 {
        writer.write_all(b"\r\n").expect("a server");
    }
    writer.write_all(b"Z NOOP\r\n").expect("a server");
    writer.flush().expect("a server");
}
