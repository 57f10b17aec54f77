//! DAV servers that mean harm, and one that is merely large: everything is contained, and told for what it is.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use whimbrel_tests::corpus;
use whimbrel_tests::dav::Sort;
use whimbrel_tests::run::{Job, Outcome, mailbox};
use whimbrel_tests::servers::{DavServer, Radicale};

/// What a server says: status and headers in one text, and the body.
enum Answer {
    /// Of this length.
    Whole(String, String),
    /// With its own head, and this piece again and again, so many times.
    Endless(String, String, u64),
}

fn xml(body: impl Into<String>) -> Answer {
    Answer::Whole(
        "207 Multi-Status\r\nContent-Type: application/xml".to_owned(),
        body.into(),
    )
}

fn other(status: &str) -> Answer {
    Answer::Whole(status.to_owned(), String::new())
}

/// A server that answers as the test says, and counts. It ends with the process.
struct Fake {
    port: u16,
    requests: Arc<AtomicUsize>,
    /// Methods and paths.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// `answer` is asked with method, path and body.
    fn start(answer: impl Fn(&str, &str, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let fake = Self {
            port,
            requests: Arc::clone(&requests),
            heard: Arc::clone(&heard),
        };
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, requests, heard) = (Arc::clone(&answer), Arc::clone(&requests), Arc::clone(&heard));
                thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Some((method, path, body)) = request(&mut stream) {
                        requests.fetch_add(1, Ordering::Relaxed);
                        heard.lock().unwrap().push(format!("{method} {path}"));
                        if say(stream.get_mut(), answer(&method, &path, &body)).is_none() {
                            return;
                        }
                    }
                });
            }
        });
        fake
    }

    fn side(&self) -> String {
        format!(
            "[source]\nconnector = \"caldav\"\nsettings = {{ url = \"http://127.0.0.1:{}/home/\", tls = \"insecure\" }}\n",
            self.port
        )
    }
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, String, String)> {
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let mut words = first.split(' ');
    let method = words.next()?.to_owned();
    Some((
        method,
        words.next()?.to_owned(),
        String::from_utf8_lossy(&body).into_owned(),
    ))
}

/// None where the connection is over.
fn say(stream: &mut TcpStream, answer: Answer) -> Option<()> {
    match answer {
        Answer::Whole(head, body) => {
            let length = body.len();
            let text = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).ok()
        }
        Answer::Endless(head, piece, times) => {
            stream.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).ok()?;
            for _ in 0..times {
                stream.write_all(piece.as_bytes()).ok()?;
            }
            None
        }
    }
}

const NAMESPACES: &str = "xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\"";

/// A home with one calendar.
fn home() -> String {
    format!(
        "<D:multistatus {NAMESPACES}><D:response><D:href>/home/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/>\
         </D:resourcetype><D:current-user-principal><D:href>/home/</D:href></D:current-user-principal><C:calendar-home-set>\
         <D:href>/home/</D:href></C:calendar-home-set></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\
         <D:response><D:href>/home/work/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/><C:calendar/>\
         </D:resourcetype><D:displayname>Work</D:displayname></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>\
         </D:response></D:multistatus>"
    )
}

/// A listing of these objects, or their content.
fn objects<'a>(all: impl Iterator<Item = (usize, Option<&'a str>)>) -> String {
    let mut text = format!("<D:multistatus {NAMESPACES}>");
    for (number, content) in all {
        let data = content.map_or_else(String::new, |content| {
            let content = content.replace('&', "&amp;").replace('<', "&lt;");
            format!("<C:calendar-data>{content}</C:calendar-data>")
        });
        let _ = write!(
            text,
            "<D:response><D:href>/home/work/{number}.ics</D:href><D:propstat><D:prop><D:getetag>\"{number}\"</D:getetag>\
             <D:resourcetype/>{data}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        );
    }
    text + "</D:multistatus>"
}

/// The numbers of the objects that a REPORT asks for.
fn asked(body: &str) -> Vec<usize> {
    let parts = body.split("/home/work/").skip(1);
    parts
        .filter_map(|part| part.split(".ics").next()?.parse().ok())
        .collect()
}

fn migrated(fake: &Fake, to: &Radicale, settings: &str) -> (Job, Outcome) {
    let job = Job::new(&[
        format!("[limits]\nretries = 1\n{settings}"),
        fake.side(),
        to.side("destination", "caldav"),
        mailbox("alice", "{ }", &to.account()),
    ]);
    let outcome = job.run(&["migrate"]);
    // However large or strange an answer is, little of it is held at once.
    assert!(outcome.peak < 700 << 20, "{} MiB: {outcome}", outcome.peak >> 20);
    (job, outcome)
}

/// What makes the whole server of no use ends the mailbox, and says something of this.
#[track_caller]
fn refused(answer: impl Fn() -> Answer + Send + Sync + 'static, says: &str) -> Fake {
    let fake = Fake::start(move |_, _, _| answer());
    let to = Radicale::start();
    let (_, outcome) = migrated(&fake, &to, "");
    outcome.expect(3);
    outcome.says(&[says]);
    assert!(outcome.seconds < 120.0 && outcome.total("moved") == 0, "{outcome}");
    fake
}

#[test]
fn laughs_are_not_multiplied() {
    let laughs: String = (1..10)
        .map(|level| format!("<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10)))
        .collect();
    refused(
        move || {
            xml(format!(
                "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY l0 \"haha\">{laughs}]><D:multistatus xmlns:D=\"DAV:\">&l9;</D:multistatus>"
            ))
        },
        "declares a document type",
    );
}

#[test]
fn no_file_and_no_address_is_read_for_an_entity() {
    let asked = Fake::start(|_, _, _| other("200 OK"));
    let port = asked.port;
    refused(
        move || {
            xml(format!(
                "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\"><!ENTITY b SYSTEM \
                 \"http://127.0.0.1:{port}/\">]><D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>&a;&b;</D:href></D:response>\
                 </D:multistatus>"
            ))
        },
        "declares a document type",
    );
    assert_eq!(asked.requests.load(Ordering::Relaxed), 0);
}

#[test]
fn depths_have_an_end() {
    refused(
        || {
            xml(format!(
                "<D:multistatus xmlns:D=\"DAV:\"><D:response>{}",
                "<D:x>".repeat(2_000_000)
            ))
        },
        "deep",
    );
}

#[test]
fn redirects_have_an_end_and_lead_to_no_other_host() {
    let round = refused(
        || other("301 Moved Permanently\r\nLocation: /home/?again"),
        "without end",
    );
    assert!(round.requests.load(Ordering::Relaxed) < 200);
    let elsewhere = Fake::start(|_, _, _| other("200 OK"));
    let port = elsewhere.port;
    refused(
        move || {
            other(&format!(
                "301 Moved Permanently\r\nLocation: http://127.0.0.1:{port}/home/"
            ))
        },
        "source: ",
    );
    assert_eq!(
        elsewhere.requests.load(Ordering::Relaxed),
        0,
        "another port was reached"
    );
}

#[test]
fn an_answer_without_end_is_cut() {
    // Announced, and not.
    for length in ["Content-Length: 10737418240", "Connection: close"] {
        let piece = "<D:x/>".repeat(1 << 15);
        refused(
            move || {
                let head = format!("207 Multi-Status\r\nContent-Type: application/xml\r\n{length}");
                Answer::Endless(head, piece.clone(), 10 << 30)
            },
            "larger than any",
        );
    }
}

#[test]
fn a_length_that_is_a_lie_is_told() {
    refused(
        || {
            let head = "207 Multi-Status\r\nContent-Type: application/xml\r\nContent-Length: 100000";
            Answer::Endless(head.to_owned(), "<D:multistatus xmlns:D=\"DAV:\">".to_owned(), 1)
        },
        "unavailable",
    );
}

/// Objects that are none, among good ones: kept aside with a reason where the destination refuses them, and the others
/// arrive.
#[test]
fn broken_objects_hold_up_no_others() {
    let good = corpus::event("good", "It is good");
    let broken = [
        "rubbish".to_owned(),
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n".to_owned(),
        format!("BEGIN:VCALENDAR\r\n{}", "BEGIN:VEVENT\r\n".repeat(50_000)),
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:x\r\nDTSTART:not a date\r\nRRULE:FREQ=NEVER\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n".to_owned(),
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:y\r\nFN:y\r\nEND:VCARD\r\n".to_owned(),
        good.replace("good", "\u{202e}dne").replace("It is", &"x".repeat(100_000)),
    ];
    let all: Vec<String> = broken.iter().cloned().chain([good]).collect();
    let count = all.len();
    let fake = Fake::start(move |method, path, body| match (method, path) {
        ("PROPFIND", "/home/" | "/") => xml(home()),
        ("PROPFIND", "/home/work/") => xml(objects((0..count).map(|number| (number, None)))),
        ("REPORT", _) => {
            let numbers = asked(body).into_iter();
            xml(objects(numbers.map(|number| (number, Some(all[number].as_str())))))
        }
        ("OPTIONS", _) => other("200 OK\r\nDAV: 1, calendar-access"),
        _ => other("404 Not Found"),
    });
    let to = Radicale::start();
    let (job, outcome) = migrated(&fake, &to, "");
    outcome.expect(3);
    assert_eq!(
        (outcome.total("found"), outcome.total("pending")),
        (u64::try_from(count).unwrap(), 0),
        "{outcome}"
    );
    assert!(outcome.total("failed") >= 4, "{outcome}");
    let there = to.dav().objects(Sort::Calendars, to.home(Sort::Calendars));
    assert!(there.values().any(|book| book.contains_key("good")), "{there:?}");
    let kept = std::fs::read_dir(job.folder().join("state/quarantine/alice"))
        .unwrap()
        .count();
    assert_eq!(u64::try_from(kept).unwrap(), outcome.total("failed"));
    // What was read was read, and nothing else was tried.
    let heard = fake.heard.lock().unwrap();
    let harmless = |line: &String| {
        ["PROPFIND ", "REPORT ", "OPTIONS ", "GET "]
            .iter()
            .any(|method| line.starts_with(method))
    };
    assert!(heard.iter().all(harmless), "{heard:?}");
}

/// A calendar of 100,000 events is listed and counted within the memory of one of a few.
#[test]
fn a_hundred_thousand_events_are_listed() {
    const COUNT: usize = 100_000;
    let listing = objects((0..COUNT).map(|number| (number, None)));
    let fake = Fake::start(move |method, path, _| match (method, path) {
        ("PROPFIND", "/home/" | "/") => xml(home()),
        ("PROPFIND", "/home/work/") => xml(listing.clone()),
        ("OPTIONS", _) => other("200 OK\r\nDAV: 1, calendar-access"),
        _ => other("404 Not Found"),
    });
    let to = Radicale::start();
    let job = Job::new(&[
        fake.side(),
        to.side("destination", "caldav"),
        mailbox("alice", "{ }", &to.account()),
    ]);
    let outcome = job.run(&["assess"]);
    outcome.expect(0);
    assert_eq!(outcome.json()["mailboxes"][0]["items"], COUNT, "{outcome}");
    assert!(outcome.peak < 500 << 20, "{} MiB", outcome.peak >> 20);
}
