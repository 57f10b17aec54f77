//! What rules do to messages, and what another version of them does otherwise.

use std::sync::Arc;

use bytes::Bytes;
use whimbrel_mail::Content;
use whimbrel_model::{ItemMeta, Kind, Role};
use whimbrel_rules::compare::{Change, Difference, Effect, Summary, effect, effect_by_facts};
use whimbrel_rules::{Detach, FolderFacts, MailboxFacts, MessageFacts, Options, Rules};

const MESSAGE: &str =
    "From: Ann <ann@old.example>\r\nSubject: Old\r\n offer\r\nX-A: 1\r\nX-A: 2\r\nTo: bob@a.example\r\n\r\nHello\r\n";

fn rules(script: &str) -> Rules {
    let options = Options {
        attachments: true,
        ..Options::default()
    };
    Rules::compile("rules.rhai", script, &options).unwrap_or_else(|error| panic!("{error}\n{script}"))
}

fn facts(folder: &str, id: &str) -> MessageFacts {
    MessageFacts {
        folder: Arc::new(FolderFacts {
            mailbox: Arc::new(MailboxFacts {
                name: "alice".to_owned(),
                ..MailboxFacts::default()
            }),
            path: folder.split('/').map(str::to_owned).collect(),
            role: (folder == "Spam").then_some(Role::Junk),
            ..FolderFacts::default()
        }),
        meta: Arc::new(ItemMeta {
            id: id.to_owned(),
            size: Some(100),
            flags: vec!["\\Seen".to_owned(), "Work".to_owned()],
            labels: vec!["Clients".to_owned()],
            ..ItemMeta::default()
        }),
    }
}

fn content() -> Arc<dyn Content> {
    Arc::new(Bytes::from_static(MESSAGE.as_bytes()))
}

fn of(script: &str) -> Effect {
    effect(&rules(script), &facts("A/B", "7"), content())
}

fn of_message(lines: &str) -> Effect {
    of(&format!("fn message(m) {{ {lines} }}"))
}

#[test]
fn nothing_changes_without_rules() {
    let effect = of("");
    assert!(effect.changes_nothing());
    assert_eq!((effect.from.as_str(), effect.to.as_str()), ("A/B", "A/B"));
    assert_eq!((effect.mailbox.as_str(), effect.id.as_str()), ("alice", "7"));
    assert_eq!(effect.flags_after, ["\\Seen", "Work"]);
    assert_eq!(effect.diff(true), "");
    assert!(of_message("m.note(\"only a note\");").changes_nothing());
    assert!(of_message("m.set_flag(\"seen\"); m.add_label(\"CLIENTS\"); m.clear_flag(\"Other\");").changes_nothing());
}

#[test]
fn every_decision_shows() {
    assert_eq!(of_message("m.move_to(\"C/D\");").to, "C/D");
    assert_eq!(of_message("m.move_to_role(\"sent\");").to, "role:sent");
    let sent = of_message("m.send_to(\"bob\", \"From Alice\"); m.copy_to(\"X\"); m.copy_to(\"Y\");");
    assert_eq!(
        (sent.to.as_str(), sent.to_mailbox.as_deref()),
        ("From Alice", Some("bob"))
    );
    assert_eq!(sent.copies, ["X", "Y"]);
    let marked = of_message(
        "m.set_flag(\"flagged\"); m.clear_flag(\"work\"); m.add_label(\"New\"); m.remove_label(\"clients\");",
    );
    assert_eq!(marked.flags_before, ["\\Seen", "Work"]);
    assert_eq!(marked.flags_after, ["\\Seen", "\\Flagged"]);
    assert_eq!(
        (marked.labels_before.len(), marked.labels_after),
        (1, vec!["New".to_owned()])
    );
    assert_eq!(
        of_message("m.detach(5);").detach,
        Some(Detach { over: 5, signed: false })
    );
    for lines in [
        "m.move_to(\"C\");",
        "m.copy_to(\"C\");",
        "m.skip(\"x\");",
        "m.detach(1);",
        "m.set_flag(\"x\");",
        "throw 1;",
    ] {
        assert!(!of_message(lines).changes_nothing(), "{lines}");
    }
    let skipped = of_message("m.move_to(\"C\"); m.skip(\"spam\"); m.note(\"hm\");");
    assert_eq!((skipped.skip.as_deref(), skipped.to.as_str()), (Some("spam"), "A/B"));
    assert_eq!(skipped.notes, ["hm"]);
    assert_eq!(skipped.steps.len(), 3);
}

#[test]
fn all_hooks_are_asked_in_turn() {
    let script = "fn mailbox(b) { b.note(\"x\"); }\nfn folder(f) { f.move_to(\"F\"); }\nfn message(m) { if m.seen { m.keep(); } }";
    let effect = of(script);
    assert_eq!(effect.to, "F");
    let rules: Vec<_> = effect
        .steps
        .iter()
        .map(|step| (step.rule.as_str(), step.did.as_str()))
        .collect();
    assert_eq!(
        rules,
        [("mailbox", "note"), ("folder", "move_to F"), ("message", "keep")]
    );
    assert_eq!(
        of("fn folder(f) { f.move_to(\"F\"); }\nfn message(m) { m.move_to(\"M\"); }").to,
        "M"
    );
    let gone = of("fn folder(f) { f.skip(\"folder\"); }\nfn message(m) { m.note(\"not asked\"); }");
    assert_eq!((gone.skip.as_deref(), gone.notes.len()), (Some("folder"), 0));
    let gone = of("fn mailbox(b) { b.skip(\"left\"); }\nfn folder(f) { throw 1; }");
    assert_eq!((gone.skip.as_deref(), gone.error), (Some("left"), None));
}

#[test]
fn an_error_shows_with_its_place() {
    let effect = of("fn message(m) {\n  m.note(m.sbject);\n}");
    let problem = effect.error.unwrap();
    assert_eq!(problem.to_string(), "rules.rhai:2:12: a message has no sbject");
    assert_eq!(
        of("fn folder(f) { throw \"no\"; }").error.unwrap().message,
        "the script gave up: no"
    );
}

#[test]
fn the_listing_alone_may_do() {
    let by_facts = |script: &str| effect_by_facts(&rules(script), &facts("A/B", "7"));
    assert_eq!(by_facts("fn message(m) { m.move_to(\"C\"); }").unwrap().to, "C");
    assert_eq!(by_facts("fn message(m) { m.note(m.subject); }"), None);
    // The decision needs no content, what it changes does.
    assert_eq!(by_facts("fn message(m) { m.set_header(\"Subject\", \"x\"); }"), None);
    assert!(by_facts("fn message(m) { m.skip(\"x\"); m.set_header(\"Subject\", \"x\"); }").is_some());
    assert!(by_facts("fn message(m) { throw 1; }").unwrap().error.is_some());
}

#[test]
fn heads_are_compared_line_by_line() {
    let effect =
        of_message("m.set_header(\"Subject\", \"New\"); m.remove_header(\"X-A\"); m.add_header(\"X-B\", \"3\");");
    assert_eq!(effect.diff(false), "+X-B\n-Subject\n-X-A\n-X-A\n+Subject\n");
    assert_eq!(
        effect.diff(true),
        "+X-B: 3\n-Subject: Old offer\n-X-A: 1\n-X-A: 2\n+Subject: New\n"
    );
    let one = of_message("m.rewrite_header(\"X-A\", \"2\", \"5\");");
    assert_eq!(one.diff(true), "-X-A: 2\n+X-A: 5\n");
    let address = of_message("m.rewrite_domain(\"old.example\", \"new.example\");");
    assert_eq!(
        address.diff(true),
        "-From: Ann <ann@old.example>\n+From: Ann <ann@new.example>\n"
    );
    assert!(!address.broke_dkim && !address.left_signed);
    assert_eq!(
        of_message("m.set_header(\"X-C\", \"1\"); m.remove_header(\"X-C\");").diff(true),
        ""
    );
}

#[test]
fn signatures_are_told() {
    let signed = MESSAGE.replacen(
        "From:",
        "DKIM-Signature: v=1; d=old.example; h=from:subject; b=x\r\nFrom:",
        1,
    );
    let run = |lines: &str| {
        let content: Arc<dyn Content> = Arc::new(Bytes::from(signed.clone()));
        effect(
            &rules(&format!("fn message(m) {{ {lines} }}")),
            &facts("A", "1"),
            content,
        )
    };
    let left = run("m.rewrite_domain(\"old.example\", \"new.example\");");
    assert!(left.left_signed && !left.broke_dkim && left.headers.is_empty());
    let broken = run("m.rewrite_domain(\"old.example\", \"new.example\", #{ signed: true });");
    assert!(broken.broke_dkim && !broken.left_signed);
    assert!(run("m.set_header(\"Subject\", \"x\");").broke_dkim);
}

#[test]
fn values_of_headers_are_not_written_down() {
    let effect = of_message("m.set_header(\"Subject\", \"Secret\");");
    let written = serde_json::to_string(&effect).unwrap();
    assert!(written.contains("\"name\":\"Subject\""), "{written}");
    assert!(!written.contains("Secret") && !written.contains("offer"), "{written}");
    let mut difference = Difference::new(5);
    difference.add(&of(""), &effect);
    let written = serde_json::to_string(&difference).unwrap();
    assert!(
        !written.contains("Secret") && written.contains("-Subject +Subject"),
        "{written}"
    );
    assert!(effect.diff(true).contains("Secret"));
}

#[test]
fn effects_are_counted() {
    let script = "fn message(m) {\n  if m.role == \"junk\" { m.skip(\"spam\"); }\n  for i in 0..3 { m.note(\"x\"); }\n  archive(m);\n  if m.id == \"9\" { throw 1; }\n}\nfn archive(m) {\n  if m.in_folder(\"Old\") { m.move_to(\"Archive\"); }\n}";
    let rules = rules(script);
    let mut summary = Summary::default();
    for (folder, id) in [
        ("A", "1"),
        ("Old/a", "2"),
        ("Old/a", "3"),
        ("Old/b", "4"),
        ("Spam", "5"),
        ("A", "9"),
    ] {
        summary.add(&effect(&rules, &facts(folder, id), content()));
    }
    summary.sort();
    assert_eq!(
        (summary.messages, summary.unchanged, summary.skipped, summary.errors),
        (6, 1, 1, 1)
    );
    let counted: Vec<_> = summary
        .rules
        .iter()
        .map(|one| {
            (
                one.rule.as_str(),
                one.file.as_str(),
                one.line,
                one.verb.as_str(),
                one.messages,
            )
        })
        .collect();
    assert_eq!(
        counted,
        [
            ("message", "rules.rhai", 2, "skip", 1),
            ("message", "rules.rhai", 3, "note", 5),
            ("archive", "rules.rhai", 8, "move_to", 3)
        ]
    );
    let moves: Vec<_> = summary
        .moves
        .iter()
        .map(|one| (one.from.as_str(), one.to.as_deref(), one.messages))
        .collect();
    assert_eq!(
        moves,
        [
            ("Old/a", Some("Archive"), 2),
            ("A", Some("A"), 1),
            ("Old/b", Some("Archive"), 1),
            ("Spam", None, 1)
        ]
    );
}

#[test]
fn messages_sent_elsewhere_are_counted_apart() {
    let rules = rules("fn message(m) { if m.id == \"1\" { m.send_to(\"bob\"); } }");
    let mut summary = Summary::default();
    for id in ["1", "2", "3"] {
        summary.add(&effect(&rules, &facts("A", id), content()));
    }
    summary.sort();
    let moves: Vec<_> = summary
        .moves
        .iter()
        .map(|one| (one.mailbox.as_deref(), one.messages))
        .collect();
    assert_eq!(moves, [(None, 2), (Some("bob"), 1)]);
}

/// What the second version does otherwise.
fn ways(old: &str, new: &str) -> Vec<Change> {
    let mut difference = Difference::new(1);
    difference.add(&of_message(old), &of_message(new));
    difference.counts.iter().map(|count| count.change).collect()
}

#[test]
fn each_way_to_differ_has_its_name() {
    for (old, new, change) in [
        ("", "throw 1;", Change::NewError),
        ("throw 1;", "", Change::NoLongerError),
        ("", "m.skip(\"x\");", Change::NewlySkipped),
        ("m.skip(\"x\");", "m.move_to(\"C\");", Change::NoLongerSkipped),
        ("m.skip(\"x\");", "m.skip(\"y\");", Change::OtherReason),
        ("m.move_to(\"C\");", "m.move_to(\"D\");", Change::Rerouted),
        ("", "m.send_to(\"bob\");", Change::Rerouted),
        ("", "m.copy_to(\"C\");", Change::OtherCopies),
        ("m.set_flag(\"x\");", "", Change::OtherFlags),
        ("", "m.add_label(\"x\");", Change::OtherFlags),
        ("", "m.set_header(\"Subject\", \"x\");", Change::OtherHeaders),
        (
            "m.set_header(\"Subject\", \"x\");",
            "m.set_header(\"Subject\", \"y\");",
            Change::OtherHeaders,
        ),
        ("m.detach(5);", "m.detach(6);", Change::OtherAttachments),
    ] {
        assert_eq!(ways(old, new), [change], "{old} / {new}");
    }
    for (old, new) in [
        ("", "m.keep(); m.note(\"x\");"),
        ("throw 1;", "throw 2;"),
        (
            "m.copy_to(\"A\"); m.copy_to(\"B\");",
            "m.copy_to(\"B\"); m.copy_to(\"A\");",
        ),
        ("m.skip(\"x\"); m.move_to(\"C\");", "m.skip(\"x\");"),
        ("m.add_keyword(\"New\");", "m.add_keyword(\"NEW\");"),
    ] {
        assert_eq!(ways(old, new), [], "{old} / {new}");
    }
    assert_eq!(
        ways("", "m.detach(1); m.move_to(\"C\"); m.add_label(\"x\");"),
        [Change::Rerouted, Change::OtherFlags, Change::OtherAttachments]
    );
}

#[test]
fn differences_are_counted_with_examples() {
    let (old, new) = (
        rules("fn message(m) { if m.id == \"3\" { m.skip(\"x\"); } }"),
        rules("fn message(m) { if m.id != \"1\" { m.move_to(\"C\"); } }"),
    );
    let mut difference = Difference::new(2);
    for id in 1..=1206_u32 {
        let facts = facts("A", &id.to_string());
        difference.add(&effect(&old, &facts, content()), &effect(&new, &facts, content()));
    }
    assert_eq!((difference.messages, difference.differing), (1206, 1205));
    assert_eq!(difference.count(Change::Rerouted), 1204);
    assert_eq!(difference.count(Change::NoLongerSkipped), 1);
    assert_eq!(difference.count(Change::NewError), 0);
    assert_eq!(
        difference.sentences(),
        [
            "this change no longer leaves out 1 message",
            "this change re-routes 1,204 messages"
        ]
    );
    let examples = &difference.counts[1].examples;
    assert_eq!(examples.len(), 2);
    assert_eq!(
        (
            examples[0].mailbox.as_str(),
            examples[0].folder.as_str(),
            examples[0].id.as_str()
        ),
        ("alice", "A", "2")
    );
    assert_eq!((examples[0].old.as_str(), examples[0].new.as_str()), ("to A", "to C"));
    let gone = &difference.counts[0].examples[0];
    assert_eq!((gone.old.as_str(), gone.new.as_str()), ("left out: x", "to C"));
    assert!(Difference::new(1).sentences().is_empty());
}

#[test]
fn every_way_has_a_sentence_for_one_and_for_many() {
    let mut seen = std::collections::BTreeSet::new();
    for change in Change::ALL {
        let (one, many) = (change.sentence(1), change.sentence(12_345));
        assert!(one.contains("1 message") && !one.contains("messages"), "{one}");
        assert!(many.contains("12,345 messages"), "{many}");
        assert!(seen.insert(one));
    }
    assert_eq!(Change::Rerouted.sentence(1204), "re-routes 1,204 messages");
    assert_eq!(serde_json::to_value(Change::NewlySkipped).unwrap(), "newly-skipped");
}

#[test]
fn other_content_is_another_way() {
    let facts = {
        let mut facts = facts("Calendar", "7");
        let folder = FolderFacts {
            kind: Kind::Event,
            ..(*facts.folder).clone()
        };
        facts.folder = Arc::new(folder);
        facts
    };
    let event =
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nATTENDEE:mailto:a@old.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let of = |lines: &str| {
        let rules = rules(&format!("fn event(e) {{ {lines} }}"));
        effect(&rules, &facts, Arc::new(Bytes::from_static(event.as_bytes())))
    };
    let one = of("e.rewrite_domain(\"old.example\", \"one.example\");");
    assert_eq!(one.content, ["rewrote ATTENDEE (1)"]);
    assert!(!one.changes_nothing());
    for (other, change) in [
        (
            "e.rewrite_domain(\"old.example\", \"two.example\");",
            Some(Change::OtherContent),
        ),
        ("", Some(Change::OtherContent)),
        ("e.rewrite_address(\"a@old.example\", \"a@one.example\");", None),
        ("e.skip(\"x\");", Some(Change::NewlySkipped)),
    ] {
        let mut difference = Difference::new(1);
        difference.add(&one, &of(other));
        let found: Vec<Change> = difference.counts.iter().map(|count| count.change).collect();
        assert_eq!(found, Vec::from_iter(change), "{other}");
    }
    assert!(of("e.rewrite_domain(\"nowhere.example\", \"two.example\");").changes_nothing());
}
