//! Very many very small messages: written folder by folder as files of a Maildir, none of them kept in memory.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use whimbrel_tests::corpus::NOON;
use whimbrel_tests::imap::encode_name;
use whimbrel_tests::scratch::Random;

/// Writes a Maildir++ with these folders and so many messages in each, on all processors.
pub fn write(root: &Path, folders: &[(Vec<String>, u64)]) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((path, each)) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            folder(root, path, *each);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let names: String = folders.iter().map(|(path, _)| name(path) + "\n").collect();
    fs::write(root.join("subscriptions"), names).expect("own folder");
}

fn name(path: &[String]) -> String {
    let parts: Vec<String> = path.iter().map(|name| encode_name(name)).collect();
    parts.join(".")
}

fn folder(root: &Path, path: &[String], each: u64) {
    let name = name(path);
    let folder = match name.as_str() {
        "INBOX" => root.to_owned(),
        name => root.join(format!(".{name}")),
    };
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(part)).expect("own folder");
    }
    if name != "INBOX" {
        fs::write(folder.join("maildirfolder"), "").expect("own folder");
    }
    let current = folder.join("cur");
    let seed = blake3::hash(name.as_bytes());
    let mut random = Random::new(
        seed.as_bytes()[..8]
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    );
    for number in 0..each {
        let body = message(&mut random, number);
        let size = body.len();
        let received = NOON.unsigned_abs() - random.below(100_000_000);
        let flags = if random.chance(10) { "FS" } else { "S" };
        let file = current.join(format!("{received}.M{number}P1.host,S={size},W={size}:2,{flags}"));
        let mut file = File::create(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        file.write_all(body.as_bytes()).expect("room for all of them");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(received))
            .expect("own file");
    }
}

/// About 300 bytes, no two alike.
fn message(random: &mut Random, number: u64) -> String {
    let id = random.number();
    let line = format!("{:016x}", random.number()).repeat(4);
    format!(
        "From: Sender <sender{}@example.org>\r\nTo: alice@example.com\r\nSubject: Message {number}\r\n\
         Message-ID: <{number}.{id:016x}@example.org>\r\nDate: Mon, 1 Jan 2018 10:00:00 +0000\r\n\r\n{line}\r\n",
        random.below(500)
    )
}
