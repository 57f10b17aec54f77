//! A store whose files were damaged: what was lost is noticed, whatever the damage.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::{fs, path::Path};

use whimbrel_ledger::{Durability, Ledger, LedgerError};

use common::{CREATE, OPEN, export, folder, meta, placed, print};

/// A ledger as a migration leaves it.
fn filled(path: &Path, items: u32) -> String {
    let ledger = Ledger::open(path, CREATE).unwrap();
    let mailbox = ledger.mailbox("alice").unwrap();
    for name in ["inbox", "sent", "old"] {
        let collection = ledger.ensure_collection(mailbox, &folder(name)).unwrap().id;
        let ids: Vec<String> = (0..items).map(|id| id.to_string()).collect();
        for page in ids.chunks(200) {
            let mut batch = ledger.batch(mailbox);
            page.iter().for_each(|id| batch.found(collection, &meta(id)));
            ledger.commit(batch, Durability::Later).unwrap();
        }
        for page in ids.chunks(50) {
            let mut batch = ledger.batch(mailbox);
            for id in page {
                let seed = u8::try_from(id.len()).unwrap();
                batch.settle(
                    collection,
                    id,
                    placed(&format!("{name}{id}")),
                    Some(print(seed)),
                    Vec::new(),
                );
            }
            batch.event("batch", serde_json::json!({ "n": page.len() }));
            ledger.commit(batch, Durability::Flush).unwrap();
        }
    }
    export(&ledger)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What is found in a store that was damaged.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Everything, as it was.
    All,
    /// That it is damaged.
    Damage,
    /// Less, or something else, and no word of it.
    Silence(String),
}

fn look(place: &Path, before: &str) -> Found {
    let whole = Ledger::open(place, OPEN).and_then(|ledger| {
        let differences = ledger.audit()?;
        let mut out = Vec::new();
        ledger.export(&mut out)?;
        Ok((differences, String::from_utf8(out).unwrap()))
    });
    match whole {
        Ok((differences, after)) if differences.is_empty() && after == before => Found::All,
        Ok((differences, after)) => Found::Silence(format!(
            "{} lines instead of {}, {} differences",
            after.lines().count(),
            before.lines().count(),
            differences.len()
        )),
        Err(LedgerError::Corrupt { folder, .. }) => {
            assert_eq!(folder, place);
            Found::Damage
        }
        Err(error) => Found::Silence(format!("not called damaged: {error}")),
    }
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// How the process ended that had the store open.
#[derive(Clone, Copy)]
enum Ended {
    Well,
    Killed,
}

/// Damages the store's file in many ways, one copy each, and looks; gives how often all was found, and how often damage.
fn damaged(ended: Ended, seed: u64, rounds: u32, damage: Damage) -> (u32, u32) {
    let temp = tempfile::tempdir().unwrap();
    let sound = temp.path().join("sound");
    let before = filled(&sound, 1000);
    let mut numbers = Numbers(seed);
    let (mut all, mut found) = (0, 0);
    for round in 0..rounds {
        let place = temp.path().join(round.to_string());
        copy(&sound, &place);
        if matches!(ended, Ended::Killed) {
            fs::remove_file(place.join("ledger/seal")).unwrap();
        }
        let db = place.join("ledger/db");
        let mut bytes = fs::read(&db).unwrap();
        damage.strike(&mut bytes, &mut numbers);
        fs::write(&db, bytes).unwrap();
        match look(&place, &before) {
            Found::All => all += 1,
            Found::Damage => {
                found += 1;
                // Looking has not made it seem sound, unless it is.
                match look(&place, &before) {
                    Found::All | Found::Damage => {}
                    Found::Silence(what) => panic!("round {round}, looked at again: {what}"),
                }
            }
            Found::Silence(what) => panic!("round {round}: {what}"),
        }
        fs::remove_dir_all(&place).unwrap();
    }
    (all, found)
}

/// What happens to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    FlippedBit,
    BlankPage,
    Cut,
}

impl Damage {
    fn strike(self, bytes: &mut Vec<u8>, numbers: &mut Numbers) {
        let at = numbers.below(bytes.len());
        let end = (at + 4096).min(bytes.len());
        match self {
            Self::FlippedBit => bytes[at] ^= 1 << numbers.below(8),
            Self::BlankPage => bytes[at..end].fill(255),
            Self::Cut => bytes.truncate(at),
        }
    }
}

#[test]
fn any_damage_to_a_store_that_was_closed_is_noticed() {
    for (seed, damage) in [(1, Damage::FlippedBit), (2, Damage::BlankPage), (3, Damage::Cut)] {
        let (all, found) = damaged(Ended::Well, seed, 20, damage);
        assert_eq!((all, found), (0, 20), "{damage:?}");
    }
}

#[test]
fn a_file_that_was_cut_off_after_a_kill_is_noticed() {
    let (_, found) = damaged(Ended::Killed, 521_288_629, 40, Damage::Cut);
    assert!(found > 30, "{found}");
}

#[test]
fn what_was_found_damaged_is_refused_until_all_of_it_is_replaced() {
    let temp = tempfile::tempdir().unwrap();
    let (sound, place) = (temp.path().join("sound"), temp.path().join("place"));
    let before = filled(&sound, 300);
    fs::remove_file(sound.join("ledger/seal")).unwrap();
    copy(&sound, &place);
    let db = place.join("ledger/db");
    let bytes = fs::read(&db).unwrap();
    fs::write(&db, &bytes[..bytes.len() / 3]).unwrap();
    assert_eq!(look(&place, &before), Found::Damage);
    // Whatever its file looks like from now on: as sled mended it, or sound again beside a stamp of another time.
    assert_eq!(look(&place, &before), Found::Damage);
    fs::write(&db, &bytes).unwrap();
    assert_eq!(look(&place, &before), Found::Damage);
    fs::remove_dir_all(&place).unwrap();
    copy(&sound, &place);
    assert_eq!(look(&place, &before), Found::All);
}

#[test]
fn a_file_that_is_gone_is_noticed_also_by_who_would_make_one() {
    let temp = tempfile::tempdir().unwrap();
    filled(temp.path(), 10);
    fs::remove_file(temp.path().join("ledger/db")).unwrap();
    for options in [OPEN, CREATE] {
        let error = Ledger::open(temp.path(), options).unwrap_err();
        assert!(matches!(error, LedgerError::Corrupt { .. }), "{error}");
    }
    // An empty one is another matter than none.
    fs::write(temp.path().join("ledger/db"), b"").unwrap();
    let error = Ledger::open(temp.path(), CREATE).unwrap_err();
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{error}");
}

#[test]
fn one_without_a_stamp_is_opened_and_stamped() {
    let temp = tempfile::tempdir().unwrap();
    let before = filled(temp.path(), 10);
    let stamp = temp.path().join("ledger/flushed");
    fs::remove_file(&stamp).unwrap();
    fs::remove_file(temp.path().join("ledger/seal")).unwrap();
    assert_eq!(look(temp.path(), &before), Found::All);
    let ledger = Ledger::open(temp.path(), OPEN).unwrap();
    ledger.set_meta("a", "note").unwrap();
    ledger.flush().unwrap();
    drop(ledger);
    assert!(stamp.exists());
}

#[test]
fn one_that_is_set_aside_makes_room_and_tells_its_notes() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    ledger.set_meta("started", "1700000000").unwrap();
    drop(ledger);
    filled(temp.path(), 100);
    let db = temp.path().join("ledger/db");
    let mut bytes = fs::read(&db).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last - 100] ^= 1;
    fs::write(&db, &bytes).unwrap();
    assert!(matches!(
        Ledger::open(temp.path(), CREATE),
        Err(LedgerError::Corrupt { .. })
    ));

    let aside = Ledger::set_aside(temp.path()).unwrap();
    assert_eq!(aside.folder, temp.path().join("ledger.damaged-1"));
    assert_eq!(aside.notes, [("started".to_owned(), "1700000000".to_owned())]);
    assert!(matches!(
        Ledger::open(temp.path(), OPEN),
        Err(LedgerError::Missing { .. })
    ));
    let ledger = Ledger::open(temp.path(), CREATE).unwrap();
    assert!(matches!(
        Ledger::set_aside(temp.path()),
        Err(LedgerError::Locked { .. })
    ));
    drop(ledger);

    // Nothing to be read in it is nothing to stop for.
    fs::write(temp.path().join("ledger/db"), b"garbage").unwrap();
    let aside = Ledger::set_aside(temp.path()).unwrap();
    assert_eq!(aside.folder, temp.path().join("ledger.damaged-2"));
    assert_eq!(aside.notes, []);
}
