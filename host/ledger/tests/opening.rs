//! What a ledger refuses to open, and what it says then.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;

use whimbrel_ledger::{Durability, Ledger, LedgerError};

use common::{CREATE, OPEN, find, one};

/// sled itself, as nobody opens a ledger: its seal is broken for that.
fn store(path: &std::path::Path) -> sled::Db {
    store_with(path, 1 << 20)
}

fn store_with(path: &std::path::Path, segment_size: usize) -> sled::Db {
    let _ = fs::remove_file(path.join("seal"));
    sled::Config::new()
        .path(path)
        .segment_size(segment_size)
        .open()
        .unwrap()
}

#[test]
fn one_process_at_a_time() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let error = Ledger::open(temp.path(), CREATE).unwrap_err();
    assert!(
        matches!(&error, LedgerError::Locked { process, .. } if *process == Some(std::process::id())),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("in use by another whimbrel") && text.contains(&temp.path().display().to_string()),
        "{text}"
    );
    // An iterator keeps it open, too.
    let items = ledger.events(None);
    drop(ledger);
    assert!(Ledger::open(temp.path(), OPEN).is_err());
    drop(items);
    Ledger::open(temp.path(), OPEN).unwrap();
}

#[test]
fn a_missing_one_is_made_only_when_asked() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("a").join("b");
    assert!(matches!(Ledger::open(&folder, OPEN), Err(LedgerError::Missing { .. })));
    assert!(!folder.exists());
    drop(Ledger::open(&folder, CREATE).unwrap());
    drop(Ledger::open(&folder, OPEN).unwrap());
}

#[test]
fn other_things_are_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let place = temp.path().join("ledger");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("holiday.jpg"), b"x").unwrap();
    let error = Ledger::open(temp.path(), CREATE).unwrap_err();
    assert!(
        matches!(error, LedgerError::NotALedger { .. }) && error.to_string().contains("holiday.jpg"),
        "{error}"
    );
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);

    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, b"a file").unwrap();
    assert!(matches!(
        Ledger::open(temp.path(), CREATE),
        Err(LedgerError::NotALedger { .. })
    ));
    assert_eq!(fs::read(&place).unwrap(), b"a file");

    fs::remove_file(&place).unwrap();
    store(&place).insert("somebody", "else's").unwrap();
    let error = Ledger::open(temp.path(), CREATE).unwrap_err();
    assert!(matches!(error, LedgerError::NotALedger { .. }), "{error:?}");
}

#[test]
fn another_schema_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    drop(Ledger::open(temp.path(), CREATE).unwrap());
    let open_with = |schema: u32| {
        let db = store(&temp.path().join("ledger"));
        db.insert("!", [&b"whimbrel-ledger\0"[..], &schema.to_be_bytes()].concat())
            .unwrap();
        drop(db);
        Ledger::open(temp.path(), CREATE).unwrap_err()
    };
    let error = open_with(7);
    assert!(
        matches!(error, LedgerError::NewerSchema { found: 7, known: 6, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("newer whimbrel"), "{error}");
    let error = open_with(1);
    assert!(
        matches!(error, LedgerError::OlderSchema { found: 1, known: 6, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("ledger export"), "{error}");
    assert!(error.to_string().contains("another state folder"), "{error}");
    assert!(matches!(open_with(0), LedgerError::Corrupt { .. }));
}

#[test]
fn an_older_store_with_smaller_segments_is_told_as_such() {
    let temp = tempfile::tempdir().unwrap();
    let place = temp.path().join("ledger");
    let older = [&b"whimbrel-ledger\0"[..], &5u32.to_be_bytes()].concat();
    store_with(&place, 256 << 10).insert("!", older).unwrap();
    for _ in 0..2 {
        let error = Ledger::open(temp.path(), CREATE).unwrap_err();
        assert!(
            matches!(error, LedgerError::OlderSchema { found: 5, known: 6, .. }),
            "{error:?}"
        );
    }
}

#[test]
fn a_broken_record_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    find(&ledger, mailbox, collection, &["1", "2"]);
    drop(ledger);
    let db = store(&temp.path().join("ledger"));
    // The block of both: before the record of the first lie three lengths and its key.
    let key = b"i\0\0\0\x01\0\0\0\x01\0\x011";
    let mut block = db.get(key).unwrap().unwrap().to_vec();
    assert_eq!(block[3 + key.len()], 1);
    block[3 + key.len()] = 9;
    db.insert(key, &*block).unwrap();
    drop(db);
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let error = ledger.item(mailbox, collection, "1").unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, LedgerError::Corrupt { .. }) && text.contains("item record") && text.contains("import"),
        "{text}"
    );
    assert!(ledger.item(mailbox, collection, "2").unwrap().is_some());
    assert!(ledger.audit().is_err());
    let mut batch = ledger.batch(mailbox);
    batch.vanished(collection, "2");
    batch.vanished(collection, "1");
    assert!(ledger.commit(batch, Durability::Later).is_err());
    assert!(ledger.item(mailbox, collection, "2").unwrap().unwrap().live);
    drop(ledger);

    let db = store(&temp.path().join("ledger"));
    block.pop();
    db.insert(key, &*block).unwrap();
    drop(db);
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let error = ledger.item(mailbox, collection, "3").unwrap_err();
    assert!(
        matches!(error, LedgerError::Corrupt { .. }) && error.to_string().contains("block"),
        "{error}"
    );
}

#[test]
fn a_store_of_garbage_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    let (mailbox, collection) = one(&ledger);
    let ids: Vec<String> = (0..3000).map(|id| id.to_string()).collect();
    find(
        &ledger,
        mailbox,
        collection,
        &ids.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    drop(ledger);
    let db = temp.path().join("ledger").join("db");
    let mut bytes = fs::read(&db).unwrap();
    let middle = bytes.len() / 2;
    bytes[..middle].iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(&db, bytes).unwrap();
    // Whatever it finds: no panic, and no empty ledger in the place of a full one.
    if let Ok(ledger) = Ledger::open(temp.path(), OPEN) {
        assert!(ledger.audit().is_err() || ledger.find_mailbox("alice").is_ok_and(|found| found.is_some()));
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("state");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    let writable = fs::write(folder.join("probe"), b"").is_ok();
    if !writable {
        let error = Ledger::open(&folder, CREATE).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, LedgerError::Io { .. }) && text.contains("make the state folder writable"),
            "{text}"
        );
        assert!(text.contains(&folder.display().to_string()), "{text}");
    }
    // The superuser may write anywhere: for it, a file in the way of the state folder.
    let file = temp.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Ledger::open(&file, CREATE).unwrap_err();
    assert!(error.to_string().contains("name another state folder"), "{error}");
}
