//! What changes between two runs: at the source, and in the script.

use whimbrel_engine::{MailboxReport, requeue};
use whimbrel_ledger::Fate;

use crate::support::{Bench, Character, Store, script::body};

async fn run(bench: &mut Bench, source: &Store, destination: &Store) -> MailboxReport {
    let report = bench.run(&[Bench::mailbox(source, destination)]).await;
    report.mailboxes.into_iter().next().unwrap()
}

fn flags<'a>(contents: &'a [(String, Vec<u8>, Vec<String>)], folder: &str) -> Vec<Vec<&'a str>> {
    let there = contents.iter().filter(|(name, _, _)| name == folder);
    there
        .map(|(_, _, flags)| flags.iter().map(String::as_str).collect())
        .collect()
}

fn folders(store: &Store) -> Vec<String> {
    store.contents().into_iter().map(|(folder, _, _)| folder).collect()
}

/// A store that tells ids, and one that does not.
fn destinations() -> [Store; 2] {
    [true, false].map(|tells_ids| {
        Store::new(Character {
            tells_ids,
            ..Character::default()
        })
    })
}

const BY_FOLDER: &str = r#"
fn message(m) {
    m.set_header("X-Rule", "from " + m.folder);
    if m.folder == "Work" {
        m.move_to("Projects");
        m.add_keyword("Project");
    } else {
        m.clear_flag("flagged");
    }
}
"#;

#[tokio::test]
async fn new_mail_follows_the_rules() {
    let (source, destination) = (Store::default(), Store::default());
    source.add("INBOX", &body(1), &[]);
    let mut bench = Bench::new();
    bench.rules(BY_FOLDER);
    run(&mut bench, &source, &destination).await;
    source.add("Work", &body(2), &[]);
    source.add("INBOX", &body(3), &["\\Flagged", "\\Seen"]);
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete() && report.worked.copied == 2, "{report:?}");
    let there = destination.contents();
    assert_eq!(flags(&there, "Projects"), [["Project"]]);
    assert_eq!(flags(&there, "INBOX"), [vec![], vec!["\\Seen"]]);
    assert_eq!(there.len(), 3);
    let told: u64 = report
        .rules
        .iter()
        .filter(|rule| rule.did == "move_to Projects")
        .map(|rule| rule.count)
        .sum();
    assert_eq!(told, 1, "{:?}", report.rules);
}

#[tokio::test]
async fn flags_that_change_keep_what_the_rules_set_and_cleared_on_all_that_was_put() {
    for destination in destinations() {
        let (source, other) = (Store::default(), Store::default());
        let uids = [1, 2].map(|number| source.add("INBOX", &body(number), &["\\Flagged"]));
        let mut bench = Bench::new();
        let script = r#"
            fn message(m) {
                m.add_keyword("Moved");
                m.clear_flag("flagged");
                m.copy_to("Archive");
                if m.subject == "2" { m.send_to("bob", "From Alice"); }
            }
        "#;
        bench.rules_to(script, &[("bob", &other)]);
        run(&mut bench, &source, &destination).await;
        for uid in uids {
            source.flag("INBOX", uid, &["\\Seen", "\\Flagged", "Moved", "Mine"]);
        }
        let report = run(&mut bench, &source, &destination).await;
        assert!(report.complete(), "{report:?}");
        let wanted = ["Mine", "Moved", "\\Seen"];
        assert_eq!(flags(&destination.contents(), "INBOX"), [wanted]);
        assert_eq!(flags(&destination.contents(), "Archive"), [wanted, wanted]);
        assert_eq!(flags(&other.contents(), "From Alice"), [wanted]);
        // The user reads one there: that stays so until the source's flags change.
        let report = run(&mut bench, &source, &destination).await;
        assert_eq!(report.worked, Default::default());
    }
}

#[tokio::test]
async fn a_message_that_moved_at_the_source_follows_its_new_folder() {
    for destination in destinations() {
        let source = Store::default();
        let uid = source.add("INBOX", &body(1), &["\\Flagged"]);
        source.add("Work", &body(2), &[]);
        let mut bench = Bench::new();
        bench.rules(BY_FOLDER);
        run(&mut bench, &source, &destination).await;
        let message = source.remove("INBOX", uid);
        source.add("Work", &message.bytes, &["\\Flagged"]);
        let puts = destination.state().puts;
        let report = run(&mut bench, &source, &destination).await;
        assert!(report.complete(), "{report:?}");
        assert_eq!(destination.state().puts, puts, "moved there, not put again");
        assert_eq!(folders(&destination), ["Projects", "Projects"]);
        let there = destination.contents();
        assert!(
            flags(&there, "Projects").contains(&vec!["Project", "\\Flagged"]),
            "{there:?}"
        );
        assert_eq!(report.counts.found, 2);
        // What the head was rewritten to when it was put stays.
        let head = String::from_utf8(there[0].1.clone()).unwrap();
        assert!(head.contains("X-Rule: from INBOX") || head.contains("X-Rule: from Work"));
    }
}

/// As above, with breaks at each call.
#[tokio::test]
async fn a_rewritten_message_that_moves_is_there_once_whatever_breaks() {
    for tells_ids in [true, false] {
        for at in 0..14 {
            let destination = Store::new(Character {
                tells_ids,
                ..Character::default()
            });
            let source = Store::default();
            let uid = source.add("INBOX", &body(1), &[]);
            let mut bench = Bench::new();
            bench.rules(BY_FOLDER);
            run(&mut bench, &source, &destination).await;
            let message = source.remove("INBOX", uid);
            source.add("Work", &message.bytes, &[]);
            destination.state().breaks = vec![at];
            bench.options.retries = 0;
            for _ in 0..3 {
                run(&mut bench, &source, &destination).await;
            }
            let there = destination.contents();
            assert_eq!(folders(&destination), ["Projects"], "{tells_ids} {at}");
            assert_eq!(flags(&there, "Projects"), [["Project"]], "{tells_ids} {at}");
        }
    }
}

#[tokio::test]
async fn new_ids_for_everything_put_nothing_twice_though_heads_were_rewritten() {
    for destination in destinations() {
        let (source, other) = (Store::default(), Store::default());
        for number in 0..20 {
            // Some of them equal.
            source.add("INBOX", &body(number % 15), &[]);
        }
        let mut bench = Bench::new();
        let script = r#"
            fn message(m) {
                m.set_header("X-Rule", "new");
                m.rewrite_domain("old.example", "new.example");
                m.copy_to("Archive");
                if m.subject.len() == 2 { m.send_to("bob"); }
                if m.subject == "3" { m.skip("not this one"); }
            }
        "#;
        bench.rules_to(script, &[("bob", &other)]);
        run(&mut bench, &source, &destination).await;
        let (there, elsewhere) = (destination.contents(), other.contents());
        assert_eq!((there.len(), elsewhere.len()), (13 + 18, 5));
        let puts = destination.state().puts + other.state().puts;
        source.state().folder("INBOX").renumber();
        let report = run(&mut bench, &source, &destination).await;
        assert!(report.complete(), "{report:?}");
        assert_eq!((destination.contents(), other.contents()), (there, elsewhere));
        assert_eq!(destination.state().puts + other.state().puts, puts);
        let counts = (report.counts.found, report.counts.moved, report.counts.filtered);
        assert_eq!(counts, (20, 18, 2));
        let copies = bench
            .items("alice")
            .into_iter()
            .filter(|(_, item)| item.copies.len() == 1);
        assert_eq!(copies.count(), 18);
    }
}

#[tokio::test]
async fn a_script_that_changed_leaves_what_was_moved_and_decides_on_what_is_new() {
    let (source, destination) = (Store::default(), Store::default());
    source.add("INBOX", &body(1), &[]);
    let mut bench = Bench::new();
    bench.rules("fn message(m) { m.move_to(\"Old rules\"); }");
    run(&mut bench, &source, &destination).await;
    bench.rules("fn message(m) { m.move_to(\"New rules\"); m.set_header(\"X-Rule\", \"x\"); }");
    let report = run(&mut bench, &source, &destination).await;
    assert_eq!(report.worked, Default::default());
    source.add("INBOX", &body(2), &[]);
    run(&mut bench, &source, &destination).await;
    assert_eq!(folders(&destination), ["New rules", "Old rules"]);
    bench.rules("fn message(m) { m.skip(\"no more\"); }");
    let uid = source.add("INBOX", &body(3), &[]);
    let report = run(&mut bench, &source, &destination).await;
    assert_eq!((report.counts.moved, report.counts.filtered), (2, 1));
    source.flag("INBOX", uid, &["\\Seen"]);
    let report = run(&mut bench, &source, &destination).await;
    assert_eq!(
        (report.counts.moved, report.counts.filtered, report.counts.pending),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn what_was_left_out_moves_when_it_is_asked_for() {
    let (source, destination) = (Store::default(), Store::default());
    for number in 0..6 {
        source.add("INBOX", &body(number), &[]);
    }
    let mut bench = Bench::new();
    bench.rules("fn message(m) { if m.subject < \"4\" { m.skip(\"too early\"); } }");
    let report = run(&mut bench, &source, &destination).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!((report.counts.moved, report.counts.filtered), (2, 4));
    let ledger = bench.ledger();
    assert_eq!(requeue(&ledger, "alice", &[]).unwrap(), 0, "not without being named");
    assert_eq!(requeue(&ledger, "alice", &["filtered".to_owned()]).unwrap(), 4);
    // The script says the same still.
    let report = run(&mut bench, &source, &destination).await;
    assert_eq!((report.counts.moved, report.counts.filtered), (2, 4));
    bench
        .rules("fn message(m) { if m.subject < \"2\" { m.skip(\"still too early\"); } else { m.move_to(\"Late\"); } }");
    requeue(&ledger, "alice", &["filtered".to_owned()]).unwrap();
    let report = run(&mut bench, &source, &destination).await;
    assert_eq!(
        (report.counts.moved, report.counts.filtered, report.counts.pending),
        (4, 2, 0)
    );
    assert_eq!(folders(&destination), ["INBOX", "INBOX", "Late", "Late"]);
    for (_, item) in bench.items("alice") {
        let lines: Vec<&str> = item
            .ruling
            .iter()
            .flat_map(|ruling| &ruling.steps)
            .map(|step| step.did.as_str())
            .collect();
        match item.fate {
            Fate::Filtered { reason } => assert_eq!((reason.as_str(), lines), ("still too early", vec!["skip"])),
            Fate::Placed { collection, .. } if collection == "Late" => assert_eq!(lines, ["move_to Late"]),
            Fate::Placed { .. } => assert!(lines.is_empty()),
            other => panic!("{other:?}"),
        }
    }
}
