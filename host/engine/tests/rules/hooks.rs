//! What scripts say of failures, folders and mailboxes.

use std::collections::BTreeMap;

use whimbrel_engine::Report;
use whimbrel_ledger::Fate;
use whimbrel_model::Role;

use crate::support::{Bench, Character, Store, script::body};

fn refusing(what: &str) -> Store {
    Store::new(Character {
        refuses: Some(what.as_bytes().to_vec()),
        largest: Some(300),
        ..Character::default()
    })
}

/// Ten messages to a destination that refuses number 3.
async fn refused(bench: &mut Bench, script: &str) -> (Report, Store, Store) {
    let (source, destination) = (Store::default(), refusing("X-N: 3\r\n"));
    for number in 0..10 {
        source.add("INBOX", &body(number), &[]);
    }
    bench.rules(script);
    let report = bench.run(&[Bench::mailbox(&source, &destination)]).await;
    (report, source, destination)
}

fn fate(bench: &mut Bench, uid: &str) -> (Fate, Vec<String>) {
    let items = bench.items("alice");
    let (_, item) = items.into_iter().find(|(_, item)| item.meta.id == uid).unwrap();
    let steps = item.ruling.into_iter().flat_map(|ruling| ruling.steps);
    (
        item.fate,
        steps
            .map(|step| format!("{}:{} {} {}", step.file, step.line, step.rule, step.did))
            .collect(),
    )
}

#[tokio::test]
async fn a_failure_that_is_to_be_retried_waits_and_is_told() {
    let mut bench = Bench::new();
    let (report, source, destination) =
        refused(&mut bench, "fn failure(e) { if e.code == \"rejected\" { e.retry(); } }").await;
    assert_eq!(
        (report.total.moved, report.total.failed, report.total.pending),
        (9, 0, 1)
    );
    assert_eq!(report.mailboxes[0].problems[0].code, "rejected");
    assert!(!report.complete());
    destination.state().character.refuses = None;
    let report = bench.run(&[Bench::mailbox(&source, &destination)]).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(source.contents(), destination.contents());
}

#[tokio::test]
async fn a_failure_that_is_skipped_is_filtered_with_its_reason_and_rule() {
    let mut bench = Bench::new();
    let (report, _, destination) = refused(
        &mut bench,
        "fn failure(e) {\n  if e.side == \"destination\" { e.skip(\"refused: \" + e.code); }\n}",
    )
    .await;
    assert_eq!(
        (report.total.moved, report.total.filtered, report.total.failed),
        (9, 1, 0)
    );
    assert!(report.complete(), "{report:?}");
    assert_eq!(destination.contents().len(), 9);
    let (fate, steps) = fate(&mut bench, "4");
    assert_eq!(
        fate,
        Fate::Filtered {
            reason: "refused: rejected".into()
        }
    );
    assert_eq!(steps, ["rules.rhai:2 failure skip"]);
    assert_eq!(
        (report.mailboxes[0].rules[0].count, report.mailboxes[0].rules[0].line),
        (1, 2)
    );
}

/// What rules had decided of the item before is told beside what they say of its failure.
#[tokio::test]
async fn a_failure_that_is_skipped_keeps_what_was_decided_before() {
    let mut bench = Bench::new();
    let script = "fn message(m) { m.move_to(\"A\"); }\nfn failure(e) { e.skip(\"x\"); }";
    refused(&mut bench, script).await;
    let (_, steps) = fate(&mut bench, "4");
    assert_eq!(steps, ["rules.rhai:1 message move_to A", "rules.rhai:2 failure skip"]);
}

#[tokio::test]
async fn a_failure_that_stops_stops_its_mailbox_alone_and_nothing_is_doubled() {
    let mut bench = Bench::new();
    let (source, destination) = (Store::default(), refusing("X-N: 3\r\n"));
    let (other, another) = (Store::default(), Store::default());
    for number in 0..30 {
        source.add("INBOX", &body(number), &[]);
        other.add("INBOX", &body(number), &[]);
    }
    bench.rules("fn failure(e) { e.stop(\"enough\"); }");
    let mailboxes = [
        Bench::mailbox(&source, &destination),
        Bench::named("bob", &other, &another),
    ];
    let report = bench.run(&mailboxes).await;
    let [alice, bob] = &report.mailboxes[..] else { panic!() };
    assert!(bob.complete(), "{bob:?}");
    assert!(
        alice.problems.iter().any(|problem| problem.text.contains("enough")),
        "{alice:?}"
    );
    assert!(alice.counts.pending > 0 && alice.counts.failed == 0, "{alice:?}");
    bench.rules("");
    destination.state().character.refuses = None;
    let report = bench.run_out(&mailboxes).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(source.contents(), destination.contents());
}

/// An error in the hook does not hide the failure that it was asked about.
#[tokio::test]
async fn a_failure_hook_that_fails_leaves_the_failure_as_it_was() {
    let mut bench = Bench::new();
    let (report, _, _) = refused(&mut bench, "fn failure(e) { throw \"oh\"; }").await;
    assert_eq!((report.total.moved, report.total.failed), (9, 1));
    let (fate, _) = fate(&mut bench, "4");
    assert!(
        matches!(fate, Fate::Failed { ref failure, .. } if failure.code() == "rejected"),
        "{fate:?}"
    );
    let problems = &report.mailboxes[0].problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.code == "rules" && problem.text.contains("oh")),
        "{problems:?}"
    );
}

fn by_folder(store: &Store) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (folder, _, _) in store.contents() {
        *counts.entry(folder).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_folder_that_is_skipped_is_filtered_as_a_whole() {
    let (source, destination) = (Store::default(), Store::default());
    for number in 0..12 {
        source.add(["INBOX", "Spam", "Spam/old"][number % 3], &body(number), &[]);
    }
    let mut bench = Bench::new();
    bench.rules("fn folder(f) {\n  if f.in_folder(\"spam\") { f.skip(\"no spam\"); }\n}");
    let mailboxes = [Bench::mailbox(&source, &destination)];
    let report = bench.run(&mailboxes).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!((report.total.moved, report.total.filtered), (4, 8));
    assert_eq!(destination.state().folders.keys().collect::<Vec<_>>(), ["INBOX"]);
    for (collection, item) in bench.items("alice") {
        if collection.source.path[0] == "Spam" {
            assert_eq!(
                item.fate,
                Fate::Filtered {
                    reason: "no spam".into()
                }
            );
            let steps = item.ruling.unwrap().steps;
            assert_eq!(
                (steps[0].rule.as_str(), steps[0].line, steps[0].did.as_str()),
                ("folder", 2, "skip")
            );
        }
    }
    source.add("Spam", &body(20), &[]);
    let report = bench.run(&mailboxes).await;
    assert_eq!((report.total.filtered, report.total.pending), (9, 0));
}

#[tokio::test]
async fn folders_go_where_rules_lead_them_two_into_one_and_by_purpose() {
    let (source, destination) = (Store::default(), Store::default());
    destination.state().folder("Papierkorb").role = Some(Role::Trash);
    for number in 0..24 {
        source.add(["INBOX", "A", "B", "Gone"][number % 4], &body(number / 2), &[]);
    }
    source.state().folder("A").subscribed = false;
    source.state().folder("B").subscribed = false;
    let mut bench = Bench::new();
    let script = r#"
        fn folder(f) {
            if f.name == "A" || f.name == "B" { f.move_to("Both/In one"); f.subscribe(true); }
            if f.name == "Gone" { f.move_to_role("trash"); }
            if f.name == "INBOX" { f.subscribe(false); }
        }
    "#;
    bench.rules(script);
    destination.state().breaks = vec![9, 5, 5, 5];
    let mailboxes = [Bench::mailbox(&source, &destination)];
    let report = bench.run_out(&mailboxes).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(
        by_folder(&destination),
        [("Both/In one", 12), ("INBOX", 6), ("Papierkorb", 6)]
            .map(|(name, count)| (name.to_owned(), count))
            .into()
    );
    let state = destination.state();
    assert!(state.folders["Both/In one"].subscribed && !state.folders["INBOX"].subscribed);
}

#[tokio::test]
async fn a_folder_whose_rule_fails_waits_and_the_others_move() {
    let (source, destination) = (Store::default(), Store::default());
    for number in 0..6 {
        source.add(["INBOX", "Odd"][number % 2], &body(number), &[]);
    }
    let mut bench = Bench::new();
    bench.rules("fn folder(f) { if f.name == \"Odd\" { throw \"odd\"; } }");
    let mailboxes = [Bench::mailbox(&source, &destination)];
    let report = bench.run(&mailboxes).await;
    assert_eq!((report.total.moved, report.total.pending), (3, 3));
    let problem = &report.mailboxes[0].problems[0];
    assert_eq!((problem.code, problem.collection.as_deref()), ("rules", Some("Odd")));
    bench.rules("");
    assert!(bench.run(&mailboxes).await.complete());
    assert_eq!(source.contents(), destination.contents());
}

#[tokio::test]
async fn a_mailbox_that_is_skipped_is_not_touched() {
    let (source, destination) = (Store::default(), Store::default());
    source.add("INBOX", &body(1), &[]);
    let mut bench = Bench::new();
    bench.rules("fn mailbox(b) { if b.get(\"department\") == \"left\" { b.skip(\"has left\"); } }");
    let mut mailbox = Bench::mailbox(&source, &destination);
    mailbox.attributes.insert("department".into(), "left".into());
    let report = bench
        .run(&[mailbox.clone(), Bench::named("bob", &source, &destination)])
        .await;
    let [alice, bob] = &report.mailboxes[..] else { panic!() };
    assert!(alice.notes.iter().any(|note| note.contains("has left")), "{alice:?}");
    assert_eq!((alice.counts.found, bob.counts.moved), (0, 1));
    assert_eq!((alice.rules[0].rule.as_str(), alice.rules[0].count), ("mailbox", 1));
    mailbox.attributes.clear();
    let report = bench.run(&[mailbox]).await;
    assert_eq!(report.total.found, 1);
}
