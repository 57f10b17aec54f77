//! Changes one by one: what is refused, and what is kept.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::thread;

use whimbrel_ledger::{CollectionId, Durability, Fate, Ledger, LedgerError, Todo};
use whimbrel_model::ItemMeta;

use common::{CREATE, find, folder, meta, one, placed, print};

#[test]
fn a_refused_change_undoes_its_batch() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    let nowhere = CollectionId(99);
    type Change<'a> = &'a dyn Fn(&mut whimbrel_ledger::Batch);
    let refused: [(Change<'_>, &str); 9] = [
        (
            &|batch| batch.settle(collection, "9", placed("1"), None, Vec::new()),
            "settle: the ledger knows no item 9 in",
        ),
        (
            &|batch| batch.settle(collection, "1", Fate::Pending, None, Vec::new()),
            "settle: item 1 in collection 1 is pending",
        ),
        (
            &|batch| batch.remark(collection, &meta("9")),
            "remark: the ledger knows no item 9",
        ),
        (
            &|batch| batch.marked(collection, "1"),
            "marked: item 1 in collection 1 is pending",
        ),
        (
            &|batch| batch.requeue(collection, "9"),
            "requeue: the ledger knows no item 9",
        ),
        (
            &|batch| batch.found(nowhere, &meta("1")),
            "found: the ledger knows no collection 99",
        ),
        (&|batch| batch.found(collection, &meta("")), "found: an id is empty"),
        (
            &|batch| batch.found(collection, &meta("\u{0}0\u{0}1")),
            "found: an id starts with a NUL",
        ),
        (
            &|batch| batch.adopt((collection, "1"), collection, &meta("2"), placed("1")),
            "adopt: item 1 in collection 1 is still",
        ),
    ];
    for (change, text) in refused {
        let mut batch = ledger.batch(mailbox);
        batch.found(collection, &meta("1"));
        batch.event("kept", serde_json::json!({}));
        change(&mut batch);
        let error = ledger.commit(batch, Durability::Flush).unwrap_err();
        assert!(error.to_string().starts_with(text), "{error}");
        assert!(ledger.item(mailbox, collection, "1").unwrap().is_none());
    }
    assert_eq!(ledger.events(None).count(), 0);
    assert_eq!(ledger.totals(mailbox).unwrap().found, 0);
}

#[test]
fn flags_that_change_on_the_way_are_brought_up_later() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    find(&ledger, mailbox, collection, &["1"]);
    let later = ItemMeta {
        flags: vec!["\\Flagged".to_owned()],
        ..meta("1")
    };
    let commit = |change: &dyn Fn(&mut whimbrel_ledger::Batch)| {
        let mut batch = ledger.batch(mailbox);
        change(&mut batch);
        ledger.commit(batch, Durability::Later).unwrap();
    };
    let waiting = || {
        ledger
            .todo(mailbox, collection, None, 9)
            .unwrap()
            .into_iter()
            .map(|(todo, _)| todo)
            .collect::<Vec<_>>()
    };
    assert_eq!(waiting(), [Todo::Copy]);
    commit(&|batch| batch.remark(collection, &later));
    commit(&|batch| batch.settle_as(collection, &meta("1"), placed("7"), Some(print(1)), Vec::new()));
    assert_eq!(waiting(), [Todo::Mark]);
    // Marked with what is not the latest any more.
    commit(&|batch| batch.marked_as(collection, &meta("1")));
    assert_eq!(waiting(), [Todo::Mark]);
    commit(&|batch| batch.marked_as(collection, &later));
    assert_eq!(waiting(), []);
    // A size that the source leaves out is not forgotten.
    commit(&|batch| {
        batch.found(
            collection,
            &ItemMeta {
                id: "1".to_owned(),
                ..ItemMeta::default()
            },
        )
    });
    assert_eq!(waiting(), [Todo::Mark]);
    assert_eq!(
        ledger.item(mailbox, collection, "1").unwrap().unwrap().meta.size,
        Some(100)
    );
}

#[test]
fn content_that_changes_waits_to_be_replaced() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    find(&ledger, mailbox, collection, &["1", "2"]);
    let with = |id: &str, revision: &str| ItemMeta {
        revision: revision.to_owned(),
        ..meta(id)
    };
    let commit = |change: &dyn Fn(&mut whimbrel_ledger::Batch)| {
        let mut batch = ledger.batch(mailbox);
        change(&mut batch);
        ledger.commit(batch, Durability::Later).unwrap();
    };
    let waiting = || {
        let todo = ledger.todo(mailbox, collection, None, 9).unwrap();
        todo.into_iter()
            .map(|(todo, record)| (todo, record.meta.id))
            .collect::<Vec<_>>()
    };
    commit(&|batch| batch.settle_as(collection, &meta("1"), placed("7"), Some(print(1)), Vec::new()));
    commit(&|batch| batch.altered(collection, &with("1", "b")));
    assert_eq!(waiting()[0], (Todo::Replace, "1".to_owned()));
    // Flags alone do not bring it up to date.
    commit(&|batch| batch.marked_as(collection, &with("1", "b")));
    assert_eq!(waiting()[0].0, Todo::Replace);
    // It changed again while it was replaced.
    commit(&|batch| batch.altered(collection, &with("1", "c")));
    commit(&|batch| batch.replaced(collection, &with("1", "b"), placed("7"), Some(print(2)), Vec::new()));
    assert_eq!(waiting()[0].0, Todo::Replace);
    commit(&|batch| batch.replaced(collection, &with("1", "c"), placed("8"), Some(print(3)), Vec::new()));
    assert_eq!(waiting(), [(Todo::Copy, "2".to_owned())]);
    let item = ledger.item(mailbox, collection, "1").unwrap().unwrap();
    assert_eq!((item.fate, item.fingerprint), (placed("8"), Some(print(3))));
    // What failed as it was is tried as it is now.
    let failed = || Fate::Failed {
        failure: whimbrel_model::Failure::Rejected("no".into()),
        diagnosis: None,
        quarantine: None,
    };
    commit(&|batch| batch.settle(collection, "2", failed(), None, Vec::new()));
    assert_eq!(waiting(), []);
    commit(&|batch| batch.altered(collection, &with("2", "b")));
    assert_eq!(waiting(), [(Todo::Copy, "2".to_owned())]);
    let mut batch = ledger.batch(mailbox);
    batch.replaced(collection, &with("2", "b"), placed("9"), None, Vec::new());
    let error = ledger.commit(batch, Durability::Flush).unwrap_err();
    assert!(error.to_string().starts_with("replaced: item 2"), "{error}");
}

#[test]
fn a_generation_changes_only_with_its_ids() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    let ids: Vec<String> = (0..2500).map(|id| id.to_string()).collect();
    find(
        &ledger,
        mailbox,
        collection,
        &ids.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let mut batch = ledger.batch(mailbox);
    for id in &ids[..1500] {
        batch.settle(collection, id, placed(id), Some(print(3)), Vec::new());
    }
    batch.cursor(collection, Some("c".to_owned()));
    ledger.commit(batch, Durability::Later).unwrap();

    let mut source = folder("inbox");
    source.generation = Some("g2".to_owned());
    source.subscribed = false;
    let record = ledger.ensure_collection(mailbox, &source).unwrap();
    assert_eq!(
        (record.id, record.source.generation.as_deref(), record.source.subscribed),
        (collection, Some("g1"), false)
    );

    let mut batch = ledger.batch(mailbox);
    batch.void_ids(collection, source.generation);
    ledger.commit(batch, Durability::Later).unwrap();
    let record = ledger.collection(mailbox, collection).unwrap().unwrap();
    assert_eq!((record.source.generation.as_deref(), record.cursor), (Some("g2"), None));
    assert_eq!(
        (
            record.totals.found,
            record.totals.live,
            record.totals.moved,
            record.totals.pending
        ),
        (1500, 0, 1500, 0)
    );
    let orphans = ledger.orphans(mailbox, &print(3).exact).unwrap();
    assert_eq!(orphans.len(), 1500);
    assert!(
        orphans
            .iter()
            .all(|(_, record)| record.is_void() && ids.iter().any(|id| id == record.source_id()))
    );
    assert_eq!(ledger.audit().unwrap(), Vec::<String>::new());
}

#[test]
fn notes_events_and_mailboxes_are_kept() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    assert_eq!(ledger.get_meta("name").unwrap(), None);
    ledger.set_meta("name", "acme").unwrap();
    let alice = ledger.mailbox("alice").unwrap();
    let bob = ledger.mailbox("bob").unwrap();
    assert_eq!(ledger.mailbox("alice").unwrap(), alice);
    assert_eq!(
        ledger
            .event(None, "started", serde_json::json!({ "mailboxes": 2 }))
            .unwrap(),
        1
    );
    drop(ledger);
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    assert_eq!(ledger.event(Some(bob), "done", serde_json::json!({})).unwrap(), 2);
    assert_eq!(ledger.get_meta("name").unwrap().as_deref(), Some("acme"));
    assert_eq!(
        ledger.mailboxes().unwrap(),
        [(alice, "alice".to_owned()), (bob, "bob".to_owned())]
    );
    assert_eq!(
        (ledger.find_mailbox("bob").unwrap(), ledger.find_mailbox("eve").unwrap()),
        (Some(bob), None)
    );
    let events: Vec<_> = ledger.events(Some(1)).map(Result::unwrap).collect();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (
            events[0].sequence,
            events[0].mailbox.as_deref(),
            events[0].kind.as_str()
        ),
        (2, Some("bob"), "done")
    );
    assert!(matches!(ledger.mailbox(""), Err(LedgerError::Invalid { .. })));
}

#[test]
fn lanes_commit_at_the_same_time_and_share_flushes() {
    const LANES: usize = 4;
    const COMMITS: usize = 40;
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    let ids: Vec<Vec<String>> = (0..LANES)
        .map(|lane| (0..COMMITS).map(|at| format!("{}", at * LANES + lane)).collect())
        .collect();
    for ids in &ids {
        find(
            &ledger,
            mailbox,
            collection,
            &ids.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    let before = ledger.flushes();
    thread::scope(|scope| {
        for ids in &ids {
            let ledger = ledger.clone();
            scope.spawn(move || {
                for id in ids {
                    let mut batch = ledger.batch(mailbox);
                    batch.settle(collection, id, placed(id), Some(print(1)), Vec::new());
                    batch.event("placed", serde_json::json!({}));
                    ledger.commit(batch, Durability::Flush).unwrap();
                }
            });
        }
    });
    assert!(ledger.flushes() - before <= (LANES * COMMITS) as u64);
    assert_eq!(ledger.totals(mailbox).unwrap().moved, (LANES * COMMITS) as u64);
    let sequences: Vec<u64> = ledger.events(None).map(|event| event.unwrap().sequence).collect();
    assert_eq!(sequences, (1..=(LANES * COMMITS) as u64).collect::<Vec<_>>());
    assert_eq!(ledger.audit().unwrap(), Vec::<String>::new());
}

#[test]
fn what_was_put_is_kept_with_the_item_and_waits_with_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    let mut batch = ledger.batch(mailbox);
    batch.found(collection, &meta("1"));
    ledger.commit(batch, Durability::Later).unwrap();
    assert_eq!(ledger.waits(mailbox, collection, "1").unwrap(), Some(Todo::Copy));

    // Only what is placed was put.
    let mut batch = ledger.batch(mailbox);
    batch.put_as(collection, "1", print(2));
    assert!(ledger.commit(batch, Durability::Later).is_err());

    let mut batch = ledger.batch(mailbox);
    batch.settle(collection, "1", placed("7"), Some(print(1)), Vec::new());
    batch.put_as(collection, "1", print(2));
    ledger.commit(batch, Durability::Flush).unwrap();
    let record = ledger.item(mailbox, collection, "1").unwrap().unwrap();
    assert_eq!((record.fingerprint, record.put), (Some(print(1)), Some(print(2))));
    assert_eq!(record.wanted(), Some(&print(2)));
    assert_eq!(ledger.waits(mailbox, collection, "1").unwrap(), None);
    assert_eq!(ledger.waits(mailbox, collection, "none").unwrap(), None);

    let copy = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    ledger.export(&mut lines).unwrap();
    Ledger::import(copy.path(), &mut lines.as_slice()).unwrap();
    let copied = Ledger::open(copy.path(), CREATE).unwrap();
    assert_eq!(copied.item(mailbox, collection, "1").unwrap(), Some(record.clone()));

    // It follows the item to where that is known again.
    let mut batch = ledger.batch(mailbox);
    batch.vanished(collection, "1");
    batch.adopt((collection, "1"), collection, &meta("3"), placed("7"));
    ledger.commit(batch, Durability::Later).unwrap();
    assert_eq!(ledger.item(mailbox, collection, "3").unwrap().unwrap().put, record.put);
}
