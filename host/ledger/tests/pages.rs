//! Whatever is recorded, however large, lies in the one file that is synced and sealed. sled puts a page that is too
//! large for its log into a file of its own in `blobs`, which it does not sync, and may remove too early.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::{fs, path::Path};

use proptest::prelude::*;
use whimbrel_ledger::{Batch, CollectionId, Durability, Intent, IntentItem, Ledger, MailboxId};
use whimbrel_model::ItemMeta;

use common::{CREATE, OPEN, export, folder, meta, one, placed, print};

/// What lies in files of its own.
fn apart(state: &Path) -> usize {
    fs::read_dir(state.join("ledger/blobs")).unwrap().count()
}

/// As they are where identifiers are long.
fn id(number: usize) -> String {
    format!("AAMkAGI2TG93LTEyMzQtNDU2Ny04OTAxLTIzNDU2Nzg5MDEyMwBGAAAAAADUUUlFlongXXXXXXXXXXXXXXXXXXXX{number:012}")
}

fn intent(collection: CollectionId, items: usize) -> Intent {
    let item = |number| IntentItem {
        collection,
        id: id(number),
        fingerprint: print(1),
        put: Some(print(2)),
        copy: false,
        orphan: None,
        repairs: vec!["final-crlf".to_owned()],
    };
    Intent {
        mailbox: None,
        target: id(0),
        watermark: "uidnext ".repeat(items / 10),
        items: (0..items).map(item).collect(),
    }
}

fn commit(ledger: &Ledger, mailbox: MailboxId, durability: Durability, fill: impl FnOnce(&mut Batch)) {
    let mut batch = ledger.batch(mailbox);
    fill(&mut batch);
    ledger.commit(batch, durability).unwrap();
}

#[test]
fn intents_of_many_mailboxes_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let mut open = Vec::new();
    for number in 0..64 {
        let mailbox = ledger.mailbox(&format!("mailbox {number}")).unwrap();
        let collection = ledger.ensure_collection(mailbox, &folder("inbox")).unwrap().id;
        for items in [1, 100, 1000] {
            let expected = intent(collection, items);
            let mut id = None;
            commit(&ledger, mailbox, Durability::Later, |batch| {
                id = Some(batch.open_intent(&expected));
            });
            open.push((mailbox, id.unwrap(), expected));
        }
        commit(&ledger, mailbox, Durability::Flush, |_| {});
        assert_eq!(apart(temp.path()), 0, "after {number} mailboxes");
    }
    let exported = export(&ledger);
    drop(ledger);
    let ledger = Ledger::open(temp.path(), OPEN).unwrap();
    assert_eq!(export(&ledger), exported);
    for (mailbox, id, expected) in open {
        let found = ledger.intents(mailbox).unwrap();
        assert!(found.iter().any(|(known, found)| *known == id && *found == expected));
        commit(&ledger, mailbox, Durability::Later, |batch| batch.close_intent(id));
        assert!(ledger.intents(mailbox).unwrap().iter().all(|(known, _)| *known != id));
    }
    ledger.flush().unwrap();
    assert_eq!(apart(temp.path()), 0);
}

#[test]
fn many_items_with_long_ids() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    for from in (0..20_000).step_by(500) {
        let ids: Vec<String> = (from..from + 500).map(id).collect();
        commit(&ledger, mailbox, Durability::Later, |batch| {
            ids.iter().for_each(|id| batch.found(collection, &meta(id)));
        });
        commit(&ledger, mailbox, Durability::Later, |batch| {
            ids.iter()
                .for_each(|id| batch.settle(collection, id, placed(id), Some(print(1)), Vec::new()));
            // They lie by their hash until they are found elsewhere.
            ids.iter().skip(250).for_each(|id| batch.vanished(collection, id));
        });
    }
    ledger.flush().unwrap();
    assert_eq!(apart(temp.path()), 0);
    assert_eq!(ledger.audit().unwrap(), Vec::<String>::new());
}

/// A size around those at which a value is taken apart, or of a value that never is.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        0usize..200,
        4_000usize..4_200,
        8_000usize..8_400,
        16_200usize..16_600,
        100_000usize..300_000
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Records of all kinds grow and shrink, and are what was written last.
    #[test]
    fn large_records_are_what_they_were(steps in proptest::collection::vec((0usize..4, 0usize..6, size()), 1..60)) {
        let temp = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(temp.path(), CREATE).unwrap();
        let (mailbox, collection) = one(&ledger);
        let (mut notes, mut items, mut cursor) = ([const { None }; 6], [const { None }; 6], None);
        for (what, which, size) in steps {
            let text = "m".repeat(size);
            match what {
                0 => {
                    ledger.set_meta(&format!("note {which}"), &text).unwrap();
                    notes[which] = Some(text);
                }
                1 => {
                    let labels = vec![text];
                    let meta = ItemMeta { labels, ..meta(&which.to_string()) };
                    commit(&ledger, mailbox, Durability::Later, |batch| batch.found(collection, &meta));
                    items[which] = Some(meta);
                }
                2 => {
                    commit(&ledger, mailbox, Durability::Later, |batch| batch.cursor(collection, Some(text.clone())));
                    cursor = Some(text);
                }
                _ => {
                    ledger.flush().unwrap();
                    prop_assert_eq!(apart(temp.path()), 0);
                    drop(ledger);
                    ledger = Ledger::open(temp.path(), OPEN).unwrap();
                }
            }
        }
        for (which, note) in notes.into_iter().enumerate() {
            prop_assert_eq!(ledger.get_meta(&format!("note {which}")).unwrap(), note);
        }
        for (which, meta) in items.into_iter().enumerate() {
            let found = ledger.item(mailbox, collection, &which.to_string()).unwrap();
            prop_assert_eq!(found.map(|item| item.meta), meta);
        }
        prop_assert_eq!(ledger.collection(mailbox, collection).unwrap().unwrap().cursor, cursor);
        prop_assert_eq!(ledger.audit().unwrap(), Vec::<String>::new());
        let exported = export(&ledger);
        let other = tempfile::tempdir().unwrap();
        Ledger::import(other.path(), &mut exported.as_bytes()).unwrap();
        prop_assert_eq!(export(&Ledger::open(other.path(), OPEN).unwrap()), exported);
        ledger.flush().unwrap();
        prop_assert_eq!(apart(temp.path()), 0);
    }
}
