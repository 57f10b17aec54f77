//! Items whose content changes: events, tasks, contacts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // Tests may panic.

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use support::{Bench, Character, Store};
use whimbrel_engine::{MailboxReport, NoObserver, Stop, migrate};
use whimbrel_model::Kind;
use whimbrel_pim::{Format, normal_form};

async fn run(bench: &mut Bench, source: &Store, destination: &Store) -> MailboxReport {
    let ledger = bench.ledger();
    let mailboxes = vec![Bench::mailbox(source, destination)];
    let report = migrate(&ledger, mailboxes, &bench.options, Arc::new(NoObserver), Stop::new())
        .await
        .unwrap();
    report.mailboxes.into_iter().next().unwrap()
}

fn event(uid: usize, summary: &str) -> Vec<u8> {
    let lines = [
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT",
        &format!("UID:{uid}@example.org"),
        "DTSTART:20260101T100000Z",
        &format!("SUMMARY:{summary}"),
        "END:VEVENT",
        "END:VCALENDAR",
    ];
    (lines.join("\r\n") + "\r\n").into_bytes()
}

fn calendar(character: Character) -> Store {
    Store::new(Character {
        kind: Kind::Event,
        ..character
    })
}

/// What both hold, as far as it says something.
fn said(store: &Store) -> Vec<(String, Vec<u8>)> {
    let contents = store.contents().into_iter();
    let mut said: Vec<_> = contents
        .map(|(folder, bytes, _)| (folder, normal_form(Format::Calendar, &bytes)))
        .collect();
    said.sort();
    said
}

#[tokio::test]
async fn what_changed_at_the_source_is_replaced_and_nothing_else() {
    for (rewrites, incremental) in [(false, true), (true, true), (true, false)] {
        let (source, destination) = (
            calendar(Character {
                incremental,
                ..Character::default()
            }),
            calendar(Character {
                rewrites,
                ..Character::default()
            }),
        );
        let uids: Vec<u32> = (0..20)
            .map(|uid| source.add("Work", &event(uid, "first"), &[]))
            .collect();
        let mut bench = Bench::new();
        let report = run(&mut bench, &source, &destination).await;
        assert!(report.complete(), "{report:?}");
        assert_eq!((report.worked.copied, report.worked.settled), (20, 0));
        assert_eq!(said(&source), said(&destination));

        // Twice before anybody looks, and once only in the way that it is written in.
        source.change("Work", uids[3], &event(3, "second"));
        source.change("Work", uids[3], &event(3, "third"));
        source.change("Work", uids[7], &event(7, "second"));
        let folded = String::from_utf8(event(9, "first"))
            .unwrap()
            .replace("SUMMARY", "SUMM\r\n ARY");
        source.change("Work", uids[9], folded.as_bytes());
        let puts = destination.state().puts;
        let report = run(&mut bench, &source, &destination).await;
        assert!(report.complete(), "{report:?}");
        assert_eq!((report.worked.replaced, report.worked.copied), (2, 0), "{report:?}");
        assert_eq!(destination.state().puts, puts);
        assert_eq!(said(&source), said(&destination));
        let report = run(&mut bench, &source, &destination).await;
        assert_eq!(report.worked, Default::default());
    }
}

#[tokio::test]
async fn what_somebody_changed_at_the_destination_is_not_overwritten() {
    let (source, destination) = (calendar(Character::default()), calendar(Character::default()));
    let uids: Vec<u32> = (0..3)
        .map(|uid| source.add("Work", &event(uid, "first"), &[]))
        .collect();
    let mut bench = Bench::new();
    run(&mut bench, &source, &destination).await;
    let theirs = destination.state().folder("Work").messages[1].uid;
    destination.change("Work", theirs, &event(1, "theirs"));
    let gone = destination.state().folder("Work").messages[2].uid;
    destination.remove("Work", gone);
    for (at, uid) in uids.iter().enumerate() {
        source.change("Work", *uid, &event(at, "second"));
    }
    for replaced in [1, 0] {
        let report = run(&mut bench, &source, &destination).await;
        assert_eq!(report.worked.replaced, replaced, "{report:?}");
        let problems: Vec<&str> = report.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(problems, ["rejected", "not-found"], "{report:?}");
        assert!(
            report.problems[0].text.contains("somebody else changed it"),
            "{report:?}"
        );
        assert!(!report.complete());
    }
    let contents = destination.contents();
    assert_eq!(contents.len(), 2);
    assert!(contents.iter().any(|(_, bytes, _)| *bytes == event(1, "theirs")));
}

#[tokio::test]
async fn rules_change_what_is_put_first_and_what_is_replaced_later() {
    for rewrites in [false, true] {
        let source = calendar(Character::default());
        let destination = calendar(Character {
            rewrites,
            ..Character::default()
        });
        let meeting = |uid: usize, summary: &str, domain: &str| {
            let attendee = format!("ATTENDEE:mailto:bob@{domain}\r\nEND:VEVENT");
            String::from_utf8(event(uid, summary))
                .unwrap()
                .replace("END:VEVENT", &attendee)
                .into_bytes()
        };
        let uids: Vec<u32> = (0..4)
            .map(|uid| source.add("Work", &meeting(uid, "first", "old.example"), &[]))
            .collect();
        let mut bench = Bench::new();
        bench.rules(
            r#"fn event(e) {
                if e.summary == "private" { e.skip("private") }
                e.rewrite_domain("old.example", "new.example");
            }"#,
        );
        let report = run(&mut bench, &source, &destination).await;
        assert!(report.complete(), "{report:?}");
        let wanted = |summaries: [&str; 4]| {
            let all = summaries.iter().enumerate();
            let mut all: Vec<_> = all
                .map(|(uid, summary)| {
                    let bytes = meeting(uid, summary, "new.example");
                    ("Work".to_owned(), normal_form(Format::Calendar, &bytes))
                })
                .collect();
            all.sort();
            all
        };
        assert_eq!(said(&destination), wanted(["first"; 4]));
        assert_eq!(run(&mut bench, &source, &destination).await.worked, Default::default());

        source.change("Work", uids[1], &meeting(1, "second", "old.example"));
        source.change("Work", uids[2], &meeting(2, "private", "old.example"));
        let folded = String::from_utf8(meeting(3, "first", "old.example")).unwrap();
        source.change("Work", uids[3], folded.replace("SUMMARY", "SUMM\r\n ARY").as_bytes());
        let report = run(&mut bench, &source, &destination).await;
        assert!(report.complete(), "{report:?}");
        assert_eq!((report.worked.replaced, report.worked.copied), (1, 0), "{report:?}");
        assert_eq!(said(&destination), wanted(["first", "second", "first", "first"]));
        for (_, item) in bench.items("alice") {
            assert!(item.put.is_some(), "what was put is known: {item:?}");
        }
        let report = run(&mut bench, &source, &destination).await;
        assert_eq!(report.worked, Default::default());
    }
}

#[tokio::test]
async fn a_rule_that_fails_on_a_changed_event_leaves_it_waiting() {
    let (source, destination) = (calendar(Character::default()), calendar(Character::default()));
    let uid = source.add("Work", &event(1, "first"), &[]);
    let mut bench = Bench::new();
    bench.rules(r#"fn event(e) { if e.summary == "second" { throw "no" } }"#);
    assert!(run(&mut bench, &source, &destination).await.complete());
    source.change("Work", uid, &event(1, "second"));
    let report = run(&mut bench, &source, &destination).await;
    assert_eq!(
        (report.problems.len(), report.problems[0].code),
        (1, "rules"),
        "{report:?}"
    );
    assert!(!report.complete());
    bench.rules(r#"fn event(e) { }"#);
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(said(&source), said(&destination));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever breaks, and whenever: after enough runs the destination says what the source says.
    #[test]
    fn broken_connections_lose_double_and_revive_nothing(
        events in 1usize..30,
        changes in proptest::collection::vec((0usize..30, "[a-z]{1,6}"), 0..12),
        source_breaks in proptest::collection::vec(0u32..12, 0..12),
        destination_breaks in proptest::collection::vec(0u32..12, 0..12),
        rewrites: bool,
        retries in 0u32..4,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let source = calendar(Character::default());
            let destination = calendar(Character { rewrites, ..Character::default() });
            let uids: Vec<u32> = (0..events).map(|uid| source.add("Work", &event(uid, "first"), &[])).collect();
            let mut bench = Bench::new();
            bench.options.retries = retries;
            source.state().breaks = source_breaks.clone();
            destination.state().breaks = destination_breaks.clone();
            for (at, summary) in changes {
                if let Some(uid) = uids.get(at) {
                    run(&mut bench, &source, &destination).await;
                    source.change("Work", *uid, &event(at, &summary));
                }
            }
            for _ in 0..100 {
                run(&mut bench, &source, &destination).await;
            }
            let report = run(&mut bench, &source, &destination).await;
            prop_assert!(report.complete(), "{:?}", report);
            prop_assert_eq!(said(&source), said(&destination));
            Ok(())
        })?;
    }
}
