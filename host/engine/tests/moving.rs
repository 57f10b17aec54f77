//! What the engine promises, against a store that breaks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // Tests may panic.

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use support::{Bench, Character, Store};
use whimbrel_engine::{MailboxReport, NoObserver, Stop, migrate, requeue};
use whimbrel_model::Failure;

async fn run(bench: &mut Bench, source: &Store, destination: &Store) -> MailboxReport {
    let ledger = bench.ledger();
    let mailboxes = vec![Bench::mailbox(source, destination)];
    let report = migrate(&ledger, mailboxes, &bench.options, Arc::new(NoObserver), Stop::new())
        .await
        .unwrap();
    report.mailboxes.into_iter().next().unwrap()
}

fn body(number: usize) -> Vec<u8> {
    format!("Subject: {number}\r\n\r\nbody {number}\r\n").into_bytes()
}

#[tokio::test]
async fn everything_arrives_and_a_second_run_moves_nothing() {
    let (source, destination) = (Store::default(), Store::default());
    for number in 0..100 {
        source.add(["INBOX", "Work", "Work/2020"][number % 3], &body(number), &["\\Seen"]);
    }
    let mut bench = Bench::new();
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(
        (report.counts.found, report.counts.moved, report.worked.copied),
        (100, 100, 100)
    );
    assert_eq!(source.contents(), destination.contents());

    let calls = destination.state().calls;
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(report.worked, Default::default());
    assert_eq!(destination.state().calls, calls, "the destination is not even opened");
}

#[tokio::test]
async fn new_mail_changed_flags_and_moved_messages_arrive_and_only_they() {
    for character in [
        Character::default(),
        Character {
            incremental: false,
            ..Character::default()
        },
    ] {
        let (source, destination) = (Store::new(character.clone()), Store::new(character));
        let uids: Vec<u32> = (0..20).map(|number| source.add("INBOX", &body(number), &[])).collect();
        source.add("Work", &body(100), &[]);
        let mut bench = Bench::new();
        run(&mut bench, &source, &destination).await;

        source.add("INBOX", &body(20), &[]);
        source.flag("INBOX", uids[3], &["\\Flagged"]);
        let moved = source.remove("INBOX", uids[5]);
        source.add("Work", &moved.bytes, &["\\Answered"]);
        let puts = destination.state().puts;
        let report = run(&mut bench, &source, &destination).await;
        assert!(report.complete(), "{report:?}");
        assert_eq!(source.contents(), destination.contents());
        assert_eq!(destination.state().puts - puts, 1, "only the new message is uploaded");
        assert_eq!((report.worked.copied, report.worked.relocated), (1, 1));
        assert_eq!(report.worked.marked, 2);
    }
}

#[tokio::test]
async fn deletions_at_the_source_are_not_mirrored() {
    let (source, destination) = (Store::default(), Store::default());
    let uid = source.add("INBOX", &body(1), &[]);
    source.add("INBOX", &body(2), &[]);
    let mut bench = Bench::new();
    run(&mut bench, &source, &destination).await;
    source.remove("INBOX", uid);
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete());
    assert_eq!(destination.contents().len(), 2);
}

#[tokio::test]
async fn new_ids_for_everything_copy_nothing_twice() {
    for tells_ids in [true, false] {
        let (source, destination) = (
            Store::default(),
            Store::new(Character {
                tells_ids,
                ..Character::default()
            }),
        );
        for number in 0..30 {
            // Some of them equal.
            source.add("INBOX", &body(number % 25), &[]);
        }
        let mut bench = Bench::new();
        run(&mut bench, &source, &destination).await;
        source.state().folder("INBOX").renumber();
        source.add("INBOX", &body(99), &[]);
        let report = run(&mut bench, &source, &destination).await;
        assert!(report.complete(), "{report:?}");
        assert_eq!((report.worked.adopted, report.worked.copied), (30, 1));
        assert_eq!(source.contents(), destination.contents());
    }
}

#[tokio::test]
async fn what_lies_at_the_destination_already_is_merged() {
    let (source, destination) = (Store::default(), Store::default());
    for number in 0..10 {
        source.add("INBOX", &body(number), &["\\Seen"]);
    }
    for number in 0..5 {
        destination.add("INBOX", &body(number), &["Mine"]);
    }
    destination.add("INBOX", &body(77), &[]);
    let mut bench = Bench::new();
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!((report.counts.merged, report.counts.moved), (5, 5));
    assert_eq!(destination.contents().len(), 11);
    let seen = destination
        .contents()
        .iter()
        .filter(|(_, _, flags)| flags.contains(&"\\Seen".to_owned()))
        .count();
    assert_eq!(seen, 10, "flags of the source are added");
    assert!(
        destination
            .contents()
            .iter()
            .any(|(_, _, flags)| flags.contains(&"Mine".to_owned()))
    );
    let report = run(&mut bench, &source, &destination).await;
    assert_eq!(
        report.worked,
        Default::default(),
        "and the destination's own are left alone"
    );
}

#[tokio::test]
async fn a_refused_message_is_kept_aside_and_the_folder_goes_on() {
    let character = Character {
        refuses: Some(b"\0".to_vec()),
        largest: Some(1000),
        ..Character::default()
    };
    let (source, destination) = (Store::default(), Store::new(character));
    source.add("INBOX", &body(1), &[]);
    source.add("INBOX", b"Subject: bad\r\n\r\nx\0y\r\n", &[]);
    source.add("INBOX", &[b'x'; 2000], &[]);
    source.add("INBOX", &body(2), &[]);
    let mut bench = Bench::new();
    let report = run(&mut bench, &source, &destination).await;
    let counts = report.counts;
    assert_eq!(
        (
            counts.found,
            counts.moved,
            counts.failed,
            counts.oversize,
            counts.pending
        ),
        (4, 2, 1, 1, 0)
    );
    let ledger = bench.ledger();
    let id = ledger.find_mailbox("alice").unwrap().unwrap();
    let (_, item) = ledger.failed(id).next().unwrap().unwrap();
    let whimbrel_ledger::Fate::Failed {
        diagnosis, quarantine, ..
    } = item.fate
    else {
        panic!("{:?}", item.fate)
    };
    assert!(diagnosis.unwrap().contains("NUL"));
    let kept = std::fs::read(bench.folder.path().join("quarantine").join(quarantine.unwrap())).unwrap();
    assert_eq!(kept, b"Subject: bad\r\n\r\nx\0y\r\n");

    destination.state().character = Character::default();
    assert_eq!(requeue(&ledger, "alice", &[]).unwrap(), 2);
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(source.contents(), destination.contents());
}

#[tokio::test]
async fn a_full_destination_parks_the_mailbox_and_goes_on_later() {
    let (source, destination) = (
        Store::default(),
        Store::new(Character {
            room: 300,
            ..Character::default()
        }),
    );
    for number in 0..30 {
        source.add("INBOX", &body(number), &[]);
    }
    let mut bench = Bench::new();
    let report = run(&mut bench, &source, &destination).await;
    assert_eq!(report.problems[0].code, "over-quota");
    assert!(report.counts.moved > 0 && report.counts.pending > 0 && report.counts.failed == 0);
    destination.state().character.room = usize::MAX;
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(source.contents(), destination.contents());
}

#[tokio::test]
async fn a_listing_that_hides_messages_is_no_success() {
    let (source, destination) = (
        Store::new(Character {
            hides: 3,
            ..Character::default()
        }),
        Store::default(),
    );
    source.add("INBOX", &body(1), &[]);
    let mut bench = Bench::new();
    let report = run(&mut bench, &source, &destination).await;
    assert!(!report.complete());
    assert_eq!((report.counts.unexplained, report.counts.moved), (3, 1));
}

#[tokio::test]
async fn folders_that_differ_in_case_only_stay_apart() {
    let (source, destination) = (
        Store::default(),
        Store::new(Character {
            case_insensitive: true,
            ..Character::default()
        }),
    );
    source.add("Trash", &body(1), &[]);
    source.add("trash", &body(2), &[]);
    let mut bench = Bench::new();
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(destination.state().folders.len(), 2);
    assert!(
        report.notes.iter().any(|note| note.contains("trash (2)")),
        "{:?}",
        report.notes
    );
}

#[tokio::test]
async fn a_renamed_folder_is_moved_not_copied() {
    let (source, destination) = (Store::default(), Store::default());
    for number in 0..10 {
        source.add("Old", &body(number), &[]);
    }
    let mut bench = Bench::new();
    run(&mut bench, &source, &destination).await;
    let old = source.state().folders.remove("Old").unwrap();
    for message in old.messages {
        source.add("New", &message.bytes, &[]);
    }
    let puts = destination.state().puts;
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(destination.state().puts, puts);
    assert_eq!(report.worked.relocated, 10);
    assert_eq!(source.contents(), destination.contents());
}

/// Each orphan is found once, also where the destination does not tell under which id it moved something.
#[tokio::test]
async fn equal_messages_that_move_together_all_move() {
    for (tells_ids, first, source_break, destination_break) in cases() {
        let character = Character {
            tells_ids,
            ..Character::default()
        };
        let (source, destination) = (Store::default(), Store::new(character));
        for _ in 0..first {
            source.add("INBOX", &body(0), &[]);
            source.add("Work", &body(0), &[]);
        }
        let mut bench = Bench::new();
        bench.options.retries = 0;
        run(&mut bench, &source, &destination).await;
        for _ in 0..2 {
            let uid = source.state().folder("INBOX").messages[0].uid;
            let message = source.remove("INBOX", uid);
            source.add("Work", &message.bytes, &[]);
        }
        source.state().breaks = vec![source_break];
        destination.state().breaks = vec![destination_break];
        for _ in 0..6 {
            run(&mut bench, &source, &destination).await;
        }
        let case = (tells_ids, first, source_break, destination_break);
        assert_eq!(source.contents(), destination.contents(), "{case:?}");
    }
}

/// A copy beside what could not be moved would be one too many.
#[tokio::test]
async fn what_cannot_be_moved_while_connections_break_waits_and_is_not_doubled() {
    let character = Character {
        tells_ids: false,
        ..Character::default()
    };
    let (source, destination) = (Store::default(), Store::new(character));
    for _ in 0..3 {
        source.add("INBOX", &body(0), &[]);
    }
    source.add("Work", &body(1), &[]);
    let mut bench = Bench::new();
    bench.options.retries = 1;
    run(&mut bench, &source, &destination).await;

    let uid = source.state().folder("INBOX").messages[2].uid;
    let message = source.remove("INBOX", uid);
    source.add("Work", &message.bytes, &[]);
    let mut left = 2;
    destination.state().trouble = Some(Box::new(move |call| {
        let breaks = call == "relocate" && left > 0;
        left -= i32::from(breaks);
        breaks.then(|| Failure::Unavailable("the connection broke".into()))
    }));
    let report = run(&mut bench, &source, &destination).await;
    assert_eq!((report.worked.copied, report.counts.pending), (0, 1), "{report:?}");
    assert!(report.problems[0].text.contains("stays in the old one"), "{report:?}");
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(report.worked.relocated, 1, "{report:?}");
    assert_eq!(source.contents(), destination.contents());
}

/// Whether ids are told, how many messages there are, and which calls of source and destination break.
fn cases() -> impl Iterator<Item = (bool, usize, u32, u32)> {
    let counts = [false, true]
        .into_iter()
        .flat_map(|tells| [2, 5].map(|count| (tells, count)));
    counts.flat_map(|(tells, count)| {
        (0..8).flat_map(move |source| (0..10).map(move |destination| (tells, count, source, destination)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever breaks, and whenever: after enough runs nothing is lost and nothing is doubled.
    #[test]
    fn broken_connections_lose_and_double_nothing(
        contents in proptest::collection::vec((0usize..3, 0usize..12), 1..60),
        source_breaks in proptest::collection::vec(0u32..12, 0..12),
        destination_breaks in proptest::collection::vec(0u32..12, 0..12),
        tells_ids: bool,
        retries in 0u32..4,
        moved in proptest::collection::vec(0usize..60, 0..4),
        renumber: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (source, destination) = (Store::default(), Store::new(Character { tells_ids, ..Character::default() }));
            let names = ["INBOX", "Work", "Work/2020"];
            for (folder, number) in &contents {
                // Equal messages on purpose.
                source.add(names[*folder], &body(*number), &[]);
            }
            let mut bench = Bench::new();
            bench.options.retries = retries;
            source.state().breaks = source_breaks.clone();
            destination.state().breaks = destination_breaks.clone();
            for _ in 0..30 {
                run(&mut bench, &source, &destination).await;
            }
            let report = run(&mut bench, &source, &destination).await;
            prop_assert!(report.complete(), "{:?}", report);
            prop_assert_eq!(source.contents(), destination.contents());

            // And again, with changes at the source.
            for at in moved {
                let inbox = source.state().folder("INBOX").messages.clone();
                if let Some(message) = inbox.get(at) {
                    source.remove("INBOX", message.uid);
                    source.add("Work", &message.bytes, &[]);
                }
            }
            if renumber {
                source.state().folder("Work").renumber();
            }
            source.state().breaks = destination_breaks;
            destination.state().breaks = source_breaks;
            for _ in 0..30 {
                run(&mut bench, &source, &destination).await;
            }
            let report = run(&mut bench, &source, &destination).await;
            prop_assert!(report.complete(), "{:?}", report);
            prop_assert_eq!(source.contents(), destination.contents());
            Ok(())
        })?;
    }
}
