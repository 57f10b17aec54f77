//! Killed at any moment, and with a full disk: what was acknowledged is there, and it all adds up.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use whimbrel_ledger::{CollectionId, Durability, Fate, Intent, IntentItem, Ledger};
use whimbrel_model::ItemMeta;

use common::{CREATE, OPEN, meta, one, placed, print};

const FOLDER: &str = "WHIMBREL_LEDGER_TEST_FOLDER";

/// Ids of one round of the child.
const FOUND_AT_ONCE: u64 = 20;

/// A large one, as of a `put` of many items.
fn intent(collection: CollectionId, first: u64) -> Intent {
    let item = |id: u64| IntentItem {
        collection,
        id: id.to_string(),
        fingerprint: print(1),
        put: None,
        copy: false,
        orphan: None,
        repairs: Vec::new(),
    };
    Intent {
        mailbox: None,
        target: "INBOX".to_owned(),
        watermark: first.to_string(),
        items: (first..first + 500).map(item).collect(),
    }
}

/// Not a test of its own: the child that the tests below start and kill. Commits for ever and says so.
#[test]
#[ignore = "a helper of the other tests"]
fn child() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let mut out = std::io::stdout();
    let ledger = Ledger::open(Path::new(&folder), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    let mut next = ledger.totals(mailbox).unwrap().found + 1;
    loop {
        let ids: Vec<String> = (next..next + FOUND_AT_ONCE).map(|id| id.to_string()).collect();
        let mut batch = ledger.batch(mailbox);
        ids.iter().for_each(|id| {
            batch.found(
                collection,
                &ItemMeta {
                    labels: vec!["x".repeat(300)],
                    ..meta(id)
                },
            )
        });
        batch.cursor(
            collection,
            Some(format!(
                "c{next} {}",
                ".".repeat(usize::try_from(next % 30_000).unwrap())
            )),
        );
        let intent = batch.open_intent(&intent(collection, next));
        if let Err(error) = ledger.commit(batch, Durability::Later) {
            writeln!(out, "ledger-fail {error}").unwrap();
            return;
        }
        for half in ids.chunks(ids.len() / 2) {
            let mut batch = ledger.batch(mailbox);
            for id in half {
                batch.settle(collection, id, placed(id), Some(print(1)), Vec::new());
            }
            if half.last() == ids.last() {
                batch.close_intent(intent);
            }
            if let Err(error) = ledger.commit(batch, Durability::Flush) {
                writeln!(out, "ledger-fail {error}").unwrap();
                return;
            }
            writeln!(out, "ledger-ack {}", half.last().unwrap()).unwrap();
            out.flush().unwrap();
        }
        next += FOUND_AT_ONCE;
    }
}

fn start(folder: &Path, through: Option<&str>) -> Child {
    let program = env::current_exe().unwrap();
    let mut command = match through {
        Some(script) => {
            let mut command = Command::new("sh");
            command.args(["-c", script, "sh"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command
        .args(["child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The last acknowledged item, and what it said when it failed.
fn read(output: impl Read) -> (u64, Option<String>) {
    let (mut last, mut failure) = (0, None);
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        // The test harness writes in between.
        if let Some((_, number)) = line.split_once("ledger-ack ") {
            last = number.parse().unwrap_or(last);
        } else if let Some((_, text)) = line.split_once("ledger-fail ") {
            failure.get_or_insert(text.to_owned());
        }
    }
    (last, failure)
}

/// Everything up to `last` is placed, the rest is pending, all adds up.
fn check(folder: &Path, last: u64) {
    let ledger = Ledger::open(folder, OPEN).unwrap();
    assert_eq!(ledger.audit().unwrap(), Vec::<String>::new());
    let (mailbox, collection) = one(&ledger);
    assert_eq!(fs::read_dir(folder.join("ledger/blobs")).unwrap().count(), 0);
    for (id, found) in ledger.intents(mailbox).unwrap() {
        assert_eq!(found, intent(collection, found.watermark.parse().unwrap()));
        let mut batch = ledger.batch(mailbox);
        batch.close_intent(id);
        ledger.commit(batch, Durability::Later).unwrap();
    }
    let totals = ledger.totals(mailbox).unwrap();
    assert!(totals.balanced());
    assert!(
        totals.moved >= last,
        "{} were acknowledged, {} are there",
        last,
        totals.moved
    );
    for (at, item) in ledger.items(mailbox, collection).enumerate() {
        let (number, item) = (at as u64 + 1, item.unwrap());
        assert_eq!(item.meta.id, number.to_string());
        assert!(number > last || matches!(item.fate, Fate::Placed { .. }));
    }
    let mut batch = ledger.batch(mailbox);
    for (_, item) in ledger.todo(mailbox, collection, None, usize::MAX).unwrap() {
        batch.settle(
            collection,
            &item.meta.id,
            placed(&item.meta.id),
            Some(print(1)),
            Vec::new(),
        );
    }
    ledger.commit(batch, Durability::Flush).unwrap();
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let temp = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..12u64 {
        let mut child = start(temp.path(), None);
        let output = child.stdout.take().unwrap();
        let reader = thread::spawn(move || read(output));
        thread::sleep(Duration::from_millis(40 + round * 97 % 230));
        child.kill().unwrap();
        child.wait().unwrap();
        let (last, failure) = reader.join().unwrap();
        assert_eq!(failure, None);
        acknowledged = acknowledged.max(last);
        if temp.path().join("ledger/db").exists() && acknowledged > 0 {
            check(temp.path(), acknowledged);
        }
    }
    assert!(acknowledged > 0, "no round got as far as a commit");
}

#[test]
fn a_full_disk_is_an_error_and_no_loss() {
    let temp = tempfile::tempdir().unwrap();
    // A file may not grow beyond a few megabytes: to the ledger it is what a full disk is.
    let mut child = start(temp.path(), Some("trap '' XFSZ; ulimit -f 8192; exec \"$@\""));
    let output = child.stdout.take().unwrap();
    let reader = thread::spawn(move || read(output));
    for _ in 0..600 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    // It must have ended by itself; if it hangs, the test fails below.
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    let (last, failure) = reader.join().unwrap();
    assert!(ended, "it hangs after {last}");
    let failure = failure.unwrap_or_else(|| panic!("it ended after {last} without a word"));
    assert!(failure.contains("make room on the disk and run again"), "{failure}");
    assert!(last > 0);
    check(temp.path(), last);
}
