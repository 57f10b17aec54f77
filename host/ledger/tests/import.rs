//! Exports that cannot be imported, and what is said and left then.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::{fs, path::Path};

use whimbrel_ledger::{CollectionId, Durability, Fate, Ledger, LedgerError};
use whimbrel_model::{Failure, Fingerprint};

use common::{CREATE, export, find, one, placed, print};

/// A small ledger with a bit of everything.
fn sample() -> String {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    ledger.set_meta("name", "acme").unwrap();
    let (mailbox, collection) = one(&ledger);
    find(&ledger, mailbox, collection, &["1", "2", "10"]);
    let mut batch = ledger.batch(mailbox);
    batch.settle(collection, "1", placed("7"), Some(print(1)), vec!["crlf".to_owned()]);
    let failure = Failure::Throttled {
        retry_after_ms: Some(3),
        reason: "busy".to_owned(),
    };
    batch.settle(
        collection,
        "2",
        Fate::Failed {
            failure,
            diagnosis: None,
            quarantine: None,
        },
        None,
        Vec::new(),
    );
    batch.event("settled", serde_json::json!({ "items": 2 }));
    ledger.commit(batch, Durability::Flush).unwrap();
    export(&ledger)
}

fn fails(text: &str, line: u64, words: &str) {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("state");
    let error = Ledger::import(&folder, &mut text.as_bytes()).unwrap_err();
    let told = error.to_string();
    assert!(
        matches!(error, LedgerError::Import { line: at, .. } if at == line),
        "{told}"
    );
    assert!(told.contains(words), "{told}");
    assert!(!folder.exists(), "something was left");
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_export_is_readable() {
    let text = sample();
    let lines = lines(&text);
    assert_eq!(
        lines[0],
        format!(
            "{{\"whimbrel-ledger\":2,\"version\":\"{}\"}}",
            env!("CARGO_PKG_VERSION")
        )
    );
    assert_eq!(lines[1], r#"{"record":"note","key":"name","value":"acme"}"#);
    assert_eq!(lines[2], r#"{"record":"mailbox","id":1,"name":"alice"}"#);
    assert!(
        lines[3]
            .starts_with(r#"{"record":"collection","mailbox":1,"id":1,"source":{"id":"inbox","path":["Mail","inbox"]"#)
    );
    assert!(lines[4].starts_with(
        r#"{"record":"item","mailbox":1,"collection":1,"id":"1","size":100,"flags":["\\Seen"],"fate":{"placed":{"mailbox":null,"collection":"INBOX","id":"7","revision":null,"outcome":"created"}},"live":true,"mark":false,"fingerprint":{"exact":""#
    ), "{}", lines[4]);
    assert_eq!(
        lines[5],
        r#"{"record":"item","mailbox":1,"collection":1,"id":"2","size":100,"flags":["\\Seen"],"fate":{"failed":{"failure":{"throttled":{"retry_after_ms":3,"reason":"busy"}},"diagnosis":null,"quarantine":null}},"live":true,"mark":false,"attempts":1}"#
    );
    assert!(lines[7].starts_with(r#"{"record":"event","sequence":1,"unix_ms":"#));
    assert_eq!(lines[8], r#"{"record":"end","records":7}"#);
}

#[test]
fn broken_exports_are_refused_with_the_line() {
    let text = sample();
    let all = lines(&text);
    fails("", 1, "ends before");
    fails("hello\n", 1, "not the header");
    fails(&text.replacen("\":2,", "\":3,", 1), 1, "schema 3");
    fails(&text.replacen("\":2,", "\":0,", 1), 1, "never was a schema 0");
    fails(&joined(&all[..8]), 9, "ends before its last record");
    fails(text.trim_end(), 9, "cut short");
    fails(&format!("{text}{}\n", all[1]), 10, "after the last one");
    fails(
        &text.replacen("\"record\":\"mailbox\"", "\"record\":\"letterbox\"", 1),
        3,
        "letterbox",
    );
    fails(&text.replacen("\"id\":\"10\"", "\"id\":\"2\"", 1), 7, "told before");
    fails(&text.replacen("\"moved\":1", "\"moved\":2", 1), 10, "do not add up");
    fails(
        &text.replacen("\"exact\":\"", "\"exact\":\"x", 1),
        5,
        "64 hexadecimal digits",
    );
    fails(
        &text.replacen("\"attempts\":1", "\"attempts\":1,\"colour\":2", 1),
        6,
        "colour",
    );
    fails(&text.replacen("\"live\":true", "\"live\":false", 2), 6, "cannot be so");
    fails(
        &text.replacen("\"id\":\"10\"", "\"id\":\"\\u00000\\u000010\"", 1),
        7,
        "no orphan",
    );
    fails(&joined(&[all[0], all[3]]), 2, "no mailbox 1");
    fails(&joined(&[all[0], all[2], all[4]]), 3, "no collection 1");
    fails(&joined(&[all[0], all[1], all[1]]), 3, "told before");
}

/// Up to schema 1, texts were hashed without CR: nothing would ever be equal to that again.
#[test]
fn texts_of_an_older_export_are_known_by_their_bytes() {
    let older = sample().replacen("\":2,", "\":1,", 1);
    let events = older.replacen("\"kind\":\"message\"", "\"kind\":\"event\"", 1);
    assert_ne!(events, older);
    let was = print(1);
    assert_ne!(was.transport, was.exact);
    for (text, transport) in [(older, was.exact), (events, was.transport)] {
        let temp = tempfile::tempdir().unwrap();
        Ledger::import(temp.path(), &mut text.as_bytes()).unwrap();
        let ledger = Ledger::open(temp.path(), CREATE).unwrap();
        let (mailbox, collection) = (ledger.mailbox("alice").unwrap(), CollectionId(1));
        let item = ledger.item(mailbox, collection, "1").unwrap().unwrap();
        assert_eq!(item.fingerprint, Some(Fingerprint { transport, ..was }));
        assert!(export(&ledger).starts_with("{\"whimbrel-ledger\":2,"));
    }
}

#[test]
fn any_damage_is_an_error_or_harmless() {
    let text = sample();
    let temp = tempfile::tempdir().unwrap();
    for (at, _) in text.char_indices().step_by(37) {
        let folder = temp.path().join(at.to_string());
        let damaged = format!("{}{}", &text[..at], text[at..].chars().skip(1).collect::<String>());
        match Ledger::import(&folder, &mut damaged.as_bytes()) {
            Ok(()) => assert_eq!(
                Ledger::open(&folder, CREATE).unwrap().audit().unwrap(),
                Vec::<String>::new()
            ),
            Err(error) => assert!(!folder.exists(), "{error}"),
        }
    }
}

#[test]
fn only_an_empty_place_will_do() {
    let text = sample();
    let temp = tempfile::tempdir().unwrap();
    let import = |folder: &Path| Ledger::import(folder, &mut text.as_bytes());
    // Other things may be in the state folder, and a ledger without records, and what a killed import left.
    fs::write(temp.path().join("notes.txt"), b"mine").unwrap();
    drop(Ledger::open(temp.path(), CREATE).unwrap());
    fs::create_dir(temp.path().join("ledger.importing")).unwrap();
    import(temp.path()).unwrap();
    assert!(!temp.path().join("ledger.importing").exists());
    assert!(temp.path().join("notes.txt").exists());
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    assert_eq!(export(&ledger), text);
    assert!(matches!(import(temp.path()), Err(LedgerError::Locked { .. })));
    drop(ledger);
    let error = import(temp.path()).unwrap_err();
    assert!(matches!(error, LedgerError::NotEmpty { .. }), "{error}");
    assert_eq!(export(&Ledger::open(temp.path(), CREATE).unwrap()), text);
}
