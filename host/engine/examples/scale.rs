//! What an item costs, however many there are: simulated accounts on both sides, so that the engine and the ledger alone
//! are measured. `cargo build --release --workspace --example scale`, then `target/release/examples/scale
//! [--mailboxes NUMBER] ITEMS…`: each number of items, of 300 bytes in 50 folders, is moved in a process of its own.
//! With `--mailboxes`, each is so many items in each of that many mailboxes, 64 at once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss
)] // A measuring tool of developers.

use std::{collections::BTreeMap, fs, process::Command, sync::Arc, time::Duration, time::Instant};

use async_trait::async_trait;
use whimbrel_engine::{
    Clock, Destination, FaultOptions, Mailbox, NoObserver, Options, Provider, Source, Stop, migrate,
};
use whimbrel_ledger::{Ledger, LedgerOptions};
use whimbrel_model::{
    Change, Collection, Failure, ItemMeta, Kind, Limits, Outcome, Page, Placement, Remark, Timestamp,
};
use whimbrel_sandbox::Item;
use whimbrel_wire::{Blob, BlobStore, BlobStoreConfig};

const FOLDERS: u64 = 50;
const BODY: usize = 300;
const AT_ONCE: usize = 64;

/// An account that holds so many items, all alike but for a number.
#[derive(Clone)]
struct Simulated {
    account: u64,
    items: u64,
    folders: u64,
    /// Items put there so far, by collection.
    put: BTreeMap<String, u64>,
}

impl Simulated {
    /// Items of the folder of this number.
    fn held(&self, collection: &str) -> u64 {
        let folder: u64 = collection.parse().unwrap();
        (folder + 1) * self.items / self.folders - folder * self.items / self.folders
    }
}

fn meta(uid: u64) -> ItemMeta {
    ItemMeta {
        id: uid.to_string(),
        revision: (uid + 7).to_string(),
        size: Some(BODY as u64),
        received: Some(Timestamp {
            unix_ms: 1_500_000_000_000 + i64::try_from(uid).unwrap() * 1000,
            offset_minutes: 60,
        }),
        flags: vec!["\\Seen".to_owned()],
        ..ItemMeta::default()
    }
}

#[async_trait]
impl Source for Simulated {
    async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
        let collection = |folder: u64| Collection {
            id: folder.to_string(),
            path: vec![format!("Folder {folder}")],
            kind: Kind::Message,
            role: None,
            selectable: true,
            subscribed: true,
            items: Some(self.held(&folder.to_string())),
            bytes: None,
            generation: Some("1".to_owned()),
            attributes: Vec::new(),
        };
        Ok((0..self.folders).map(collection).collect())
    }

    async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        let from: u64 = cursor.map_or(1, |cursor| cursor.parse().unwrap());
        let held = self.held(collection);
        let to = held.min(from + u64::from(limit) - 1);
        Ok(Page {
            changes: (from..=to).map(|uid| Change::Upserted(meta(uid))).collect(),
            cursor: (to + 1).to_string(),
            more: to < held,
            complete: false,
            capped: None,
        })
    }

    async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item, Failure>>, Failure> {
        let item = |id: &String| {
            let mut body = format!("Message-ID: <{}.{collection}.{id}@example.org>\r\n\r\n", self.account).into_bytes();
            body.resize(BODY, b'x');
            Ok(Item {
                meta: meta(id.parse().unwrap()),
                media_type: "message/rfc822".into(),
                content: Blob::from_bytes(body),
            })
        };
        Ok(ids.iter().map(item).collect())
    }

    async fn wait(&mut self, _: Duration) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Destination for Simulated {
    async fn limits(&mut self, _: Kind) -> Result<Limits, Failure> {
        Ok(Limits {
            batch_items: 100,
            batch_bytes: 8 << 20,
            ..Limits::default()
        })
    }

    async fn ensure(&mut self, wanted: &[Collection]) -> Result<Vec<Result<Collection, Failure>>, Failure> {
        let made = |wanted: &Collection| {
            Ok(Collection {
                id: wanted.path.concat(),
                items: Some(0),
                ..wanted.clone()
            })
        };
        Ok(wanted.iter().map(made).collect())
    }

    async fn watermark(&mut self, collection: &str) -> Result<String, Failure> {
        Ok(self.put.get(collection).copied().unwrap_or(1).to_string())
    }

    async fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement, Failure>>, Failure> {
        let put = self.put.entry(collection.to_owned()).or_insert(1);
        let place = |_| {
            let id = put.to_string();
            *put += 1;
            Ok(Placement {
                id: Some(id),
                revision: None,
                outcome: Outcome::Created,
                alterations: Vec::new(),
            })
        };
        Ok(items.iter().map(place).collect())
    }

    async fn relocate(&mut self, _: &str, id: &str, _: &str) -> Result<Placement, Failure> {
        Err(Failure::NotFound(id.to_owned()))
    }

    async fn replace(&mut self, _: &str, id: &str, _: Option<&str>, _: Item) -> Result<Placement, Failure> {
        Err(Failure::NotFound(id.to_owned()))
    }

    async fn remove(&mut self, _: &str, ids: &[String]) -> Result<Vec<Result<(), Failure>>, Failure> {
        Ok(ids.iter().map(|_| Ok(())).collect())
    }

    async fn mark(&mut self, _: &str, remarks: &[Remark]) -> Result<Vec<Result<(), Failure>>, Failure> {
        Ok(remarks.iter().map(|_| Ok(())).collect())
    }
}

/// One side of a mailbox.
struct Side(Simulated);

#[async_trait]
impl Provider for Side {
    fn name(&self) -> &'static str {
        "simulated"
    }
    async fn source(&self) -> Result<Box<dyn Source>, Failure> {
        Ok(Box::new(self.0.clone()))
    }
    async fn destination(&self) -> Result<Box<dyn Destination>, Failure> {
        Ok(Box::new(self.0.clone()))
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["one", mailboxes, items] => one(mailboxes.parse().unwrap(), items.parse().unwrap()),
        ["--mailboxes", mailboxes, items @ ..] => each(mailboxes, items),
        items => each("1", items),
    }
}

fn each(mailboxes: &str, items: &[&str]) {
    println!("  mailboxes  items each  wall s  CPU s  wall us/item  CPU us/item  flushes  peak MB  again s  ledger MB");
    for items in items {
        let program = std::env::current_exe().unwrap();
        let status = Command::new(program).args(["one", mailboxes, items]).status().unwrap();
        assert!(status.success(), "{status}");
    }
}

#[tokio::main]
async fn one(mailboxes: u64, items: u64) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = BlobStore::new(BlobStoreConfig {
        folder: folder.path().into(),
        memory: 128 << 20,
        threshold: 1 << 20,
    });
    let options = Options {
        mailboxes: AT_ONCE,
        connections: 4,
        memory: 128 << 20,
        max_item_bytes: None,
        retries: 3,
        repairs: Default::default(),
        rules: None,
        deletions: None,
        only_recognise: false,
        quiet: Duration::ZERO,
        faults: FaultOptions::new(Clock::new(|| 0)),
        folders: Default::default(),
        quarantine: None,
        blobs,
    };
    let folders = if mailboxes > 1 { 5 } else { FOLDERS };
    let simulated = |account, items| {
        let put = BTreeMap::new();
        Arc::new(Side(Simulated {
            account,
            items,
            folders,
            put,
        }))
    };
    let all: Vec<Mailbox> = (0..mailboxes)
        .map(|number| Mailbox::new(format!("user{number}"), simulated(number, items), simulated(number, 0)))
        .collect();
    let state = folder.path().join("state");
    let ledger = Ledger::open(&state, LedgerOptions::default()).unwrap();
    let begun = Instant::now();
    let report = migrate(&ledger, all.clone(), &options, Arc::new(NoObserver), Stop::new())
        .await
        .unwrap();
    let wall = begun.elapsed().as_secs_f64();
    assert_eq!(report.total.moved, mailboxes * items, "{:?}", report.total);
    let (cpu, peak) = (cpu(), peak());
    let again = Instant::now();
    migrate(&ledger, all, &options, Arc::new(NoObserver), Stop::new())
        .await
        .unwrap();
    let count = (mailboxes * items) as f64;
    println!(
        "{mailboxes:>11} {items:>11} {wall:>7.2} {cpu:>6.2} {:>13.1} {:>12.1} {:>8} {peak:>8.0} {:>8.3} {:>10.0}",
        wall * 1e6 / count,
        cpu * 1e6 / count,
        ledger.flushes(),
        again.elapsed().as_secs_f64(),
        disk(&state) as f64 / 1e6,
    );
}

/// Seconds that this process has used so far (proc(5), in hundredths).
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// Peak resident MB.
fn peak() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}

fn disk(path: &std::path::Path) -> u64 {
    let entries = fs::read_dir(path).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.is_dir() { disk(&entry.path()) } else { meta.len() }
        })
        .sum()
}
