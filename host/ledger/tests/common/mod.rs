//! What the tests share.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use whimbrel_ledger::{CollectionId, Durability, Fate, Ledger, LedgerOptions, MailboxId};
use whimbrel_model::{Collection, Fingerprint, Fingerprinter, ItemMeta, Kind, Outcome};

pub const CREATE: LedgerOptions = LedgerOptions {
    cache_bytes: 8 << 20,
    create: true,
};
pub const OPEN: LedgerOptions = LedgerOptions {
    cache_bytes: 8 << 20,
    create: false,
};

pub fn folder(id: &str) -> Collection {
    Collection {
        id: id.to_owned(),
        path: vec!["Mail".to_owned(), id.to_owned()],
        kind: Kind::Message,
        role: None,
        selectable: true,
        subscribed: true,
        items: Some(3),
        bytes: None,
        generation: Some("g1".to_owned()),
        attributes: vec![("colour".to_owned(), "\"blue\" \u{1F30A}\n".to_owned())],
    }
}

pub fn meta(id: &str) -> ItemMeta {
    ItemMeta {
        id: id.to_owned(),
        size: Some(100),
        flags: vec!["\\Seen".to_owned()],
        ..ItemMeta::default()
    }
}

pub fn print(seed: u8) -> Fingerprint {
    let mut printer = Fingerprinter::new();
    printer.update(&vec![seed; usize::from(seed) + 10]);
    printer.finish()
}

pub fn placed(id: &str) -> Fate {
    let outcome = Outcome::Created;
    Fate::Placed {
        mailbox: None,
        collection: "INBOX".to_owned(),
        id: Some(id.to_owned()),
        revision: None,
        outcome,
    }
}

/// One mailbox with one collection.
pub fn one(ledger: &Ledger) -> (MailboxId, CollectionId) {
    let mailbox = ledger.mailbox("alice").unwrap();
    (mailbox, ledger.ensure_collection(mailbox, &folder("inbox")).unwrap().id)
}

pub fn find(ledger: &Ledger, mailbox: MailboxId, collection: CollectionId, ids: &[&str]) {
    let mut batch = ledger.batch(mailbox);
    ids.iter().for_each(|id| batch.found(collection, &meta(id)));
    ledger.commit(batch, Durability::Later).unwrap();
}

pub fn export(ledger: &Ledger) -> String {
    let mut bytes = Vec::new();
    ledger.export(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}
