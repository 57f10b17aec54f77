//! Measures a ledger of many items: `cargo run --release -p whimbrel-ledger --example measure [items] [cache MiB]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use whimbrel_ledger::{Durability, Fate, Ledger, LedgerOptions};
use whimbrel_model::{Collection, Fingerprint, Hash, ItemMeta, Kind, Outcome, Timestamp};

const FOUND: u64 = 500;
const SETTLED: u64 = 50;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>().unwrap());
    let items = arguments.next().unwrap_or(1_000_000);
    let cache_bytes = arguments.next().unwrap_or(64) << 20;
    let temp = tempfile::tempdir().unwrap();
    let options = LedgerOptions {
        cache_bytes,
        create: true,
    };

    let ledger = Ledger::open(temp.path(), options).unwrap();
    println!("empty ledger: {} kB on disk", disk(temp.path()) / 1000);
    let mailbox = ledger.mailbox("alice").unwrap();
    let collection = ledger.ensure_collection(mailbox, &inbox()).unwrap().id;

    let start = Instant::now();
    for first in (1..=items).step_by(usize::try_from(FOUND).unwrap()) {
        let mut batch = ledger.batch(mailbox);
        (first..(first + FOUND).min(items + 1)).for_each(|uid| batch.found(collection, &meta(uid)));
        batch.cursor(collection, Some(format!("1:{first}")));
        ledger.commit(batch, Durability::Later).unwrap();
    }
    ledger.flush().unwrap();
    told("found, 500 a batch, Later", start.elapsed(), items, temp.path());

    // The first twentieth with a flush for every batch, the rest without.
    let flushed = items / 20;
    for (name, range, durability) in [
        ("settle, 50 a batch, Flush", 1..=flushed, Durability::Flush),
        ("settle, 50 a batch, Later", flushed + 1..=items, Durability::Later),
    ] {
        let (start, flushes, count) = (Instant::now(), ledger.flushes(), range.clone().count() as u64);
        for first in range.clone().step_by(usize::try_from(SETTLED).unwrap()) {
            let mut batch = ledger.batch(mailbox);
            for uid in first..(first + SETTLED).min(range.end() + 1) {
                batch.settle(collection, &uid.to_string(), fate(uid), Some(print(uid)), Vec::new());
            }
            ledger.commit(batch, durability).unwrap();
        }
        ledger.flush().unwrap();
        told(name, start.elapsed(), count, temp.path());
        println!("  {} flushes", ledger.flushes() - flushes);
    }

    let start = Instant::now();
    assert_eq!(
        ledger.items(mailbox, collection).map(Result::unwrap).count() as u64,
        items
    );
    told("read all items", start.elapsed(), items, temp.path());
    let start = Instant::now();
    drop(ledger);
    told("close", start.elapsed(), 0, temp.path());
    let start = Instant::now();
    let ledger = Ledger::open(temp.path(), options).unwrap();
    told("open again", start.elapsed(), 0, temp.path());
    let start = Instant::now();
    for uid in 1..=10_000 {
        assert!(
            ledger
                .placed(mailbox, "INBOX", &(uid * 31 % items + 1_000_001).to_string())
                .unwrap()
                .is_some()
        );
    }
    told("look up 10,000 placements", start.elapsed(), 10_000, temp.path());
    let start = Instant::now();
    let mut batch = ledger.batch(mailbox);
    batch.void_ids(collection, Some("2".to_owned()));
    ledger.commit(batch, Durability::Flush).unwrap();
    told("void all ids", start.elapsed(), items, temp.path());
}

fn inbox() -> Collection {
    Collection {
        id: "INBOX".to_owned(),
        path: vec!["INBOX".to_owned()],
        kind: Kind::Message,
        role: None,
        selectable: true,
        subscribed: true,
        items: None,
        bytes: None,
        generation: Some("1".to_owned()),
        attributes: Vec::new(),
    }
}

fn meta(uid: u64) -> ItemMeta {
    ItemMeta {
        id: uid.to_string(),
        revision: (uid * 3).to_string(),
        size: Some(uid % 100_000),
        received: Some(Timestamp {
            unix_ms: 1_700_000_000_000 + i64::try_from(uid).unwrap(),
            offset_minutes: 60,
        }),
        flags: if uid.is_multiple_of(5) {
            Vec::new()
        } else {
            vec!["\\Seen".to_owned()]
        },
        ..ItemMeta::default()
    }
}

fn fate(uid: u64) -> Fate {
    let id = Some((uid + 1_000_000).to_string());
    Fate::Placed {
        mailbox: None,
        collection: "INBOX".to_owned(),
        id,
        revision: None,
        outcome: Outcome::Created,
    }
}

/// Hashes do not compress, so these are to look random too.
fn print(uid: u64) -> Fingerprint {
    let hash = |mut state: u64| {
        Hash(std::array::from_fn(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        }))
    };
    let (exact, transport) = (hash(uid), hash(!uid));
    Fingerprint {
        exact,
        transport,
        size: uid % 100_000,
        bare_line_feeds: 0,
        nuls: 0,
        longest_line: 78,
    }
}

fn told(what: &str, time: Duration, items: u64, folder: &Path) {
    let each = time.as_secs_f64() * 1e6 / items.max(1) as f64;
    let memory = |field: &str| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status
            .lines()
            .find(|line| line.starts_with(field))
            .unwrap_or_default()
            .to_owned();
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<u64>().ok())
            .unwrap_or_default()
            / 1024
    };
    println!(
        "{what}: {:.2} s, {each:.1} µs an item, {} MiB resident ({} MiB at most), {} MB on disk",
        time.as_secs_f64(),
        memory("VmRSS:"),
        memory("VmHWM:"),
        disk(folder) / 1_000_000
    );
}

fn disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
