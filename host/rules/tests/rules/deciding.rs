//! What scripts decide, and the steps they leave.

use std::sync::Arc;

use whimbrel_mail::Edit;
use whimbrel_model::Role;
use whimbrel_rules::{Decision, Detach, FailureFacts, FailureVerb, Hook, Options, RuleErrorKind, Wanted};

use crate::support::{MESSAGE, compile, compile_with, content, decide, facts, folder, mailbox, try_decide};

fn path(names: &[&str]) -> Wanted {
    Wanted::Path(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn the_last_of_contradicting_calls_counts() {
    let decision = decide(
        r#"m.skip("a"); m.keep(); m.move_to("A/B"); m.move_to(["x/y"]); m.set_flag("seen"); m.clear_flag("\\SEEN");"#,
    );
    assert_eq!(decision.skip, None);
    assert_eq!(decision.place, Some(path(&["x/y"])));
    assert!(decision.set_flags.is_empty());
    assert_eq!(decision.clear_flags, ["\\Seen"]);
    assert_eq!(decision.steps.len(), 6);
    assert_eq!(
        decide(r#"m.keep(); m.skip("a"); m.skip("b");"#).skip.as_deref(),
        Some("b")
    );
}

#[test]
fn everything_that_can_be_said_of_a_message() {
    let decision = decide(
        r#"m.move_to_role("sent"); m.copy_to("A"); m.copy_to("A"); m.copy_to("B"); m.send_to("bob");
           m.set_flag("\\Flagged"); m.add_keyword("Work"); m.add_keyword("work"); m.remove_keyword("$Label1");
           m.add_label("x y"); m.remove_label("Work"); m.note("hm");"#,
    );
    assert_eq!(decision.place, Some(Wanted::Role(Role::Sent)));
    assert_eq!(decision.copies, [path(&["A"]), path(&["B"])]);
    assert_eq!(decision.mailbox.as_deref(), Some("bob"));
    assert_eq!(decision.set_flags, ["\\Flagged", "Work"]);
    assert_eq!(decision.clear_flags, ["$Label1"]);
    assert_eq!(
        (decision.add_labels, decision.remove_labels),
        (vec!["x y".to_owned()], vec!["Work".to_owned()])
    );
    assert_eq!(decision.notes, ["hm"]);
    let decision = decide(r#"m.send_to("bob", "From/Alice");"#);
    assert_eq!(
        (decision.mailbox.as_deref(), decision.place),
        (Some("bob"), Some(path(&["From", "Alice"])))
    );
}

#[test]
fn edits_are_kept_in_order_and_written_down() {
    let decision = decide(
        r#"m.set_header("X-A", "ä"); m.add_header("X-B", "b"); m.remove_header("X-C"); m.rewrite_header("Subject", "a", "b");
           m.rewrite_address("a@old.example", "a@new.example");
           m.rewrite_domain("old.example", "@new.example", #{ signed: true, headers: ["From"] });"#,
    );
    assert_eq!(decision.edits.len(), 6);
    assert_eq!(
        decision.edits[0],
        Edit::Set {
            name: "X-A".to_owned(),
            value: "ä".to_owned()
        }
    );
    assert_eq!(
        decision.edits[5],
        Edit::Domain {
            from: "old.example".to_owned(),
            to: "new.example".to_owned(),
            headers: Some(vec!["From".to_owned()]),
            signed: true
        }
    );
    let written = serde_json::to_string(&decision).unwrap();
    assert_eq!(serde_json::from_str::<Decision>(&written).unwrap(), decision);
}

#[test]
fn attachments_go_nowhere_without_a_place() {
    let script = "fn message(m) { m.detach(5.mb()); m.detach(10, #{ signed: true }); }";
    let error = compile(script).item(&facts(), content(MESSAGE)).unwrap_err();
    assert!(error.to_string().contains("[rules.attachments]"), "{error}");
    let options = Options {
        attachments: true,
        ..Options::default()
    };
    let decision = compile_with(script, &options).item(&facts(), content(MESSAGE)).unwrap();
    assert_eq!(decision.detach, Some(Detach { over: 10, signed: true }));
}

#[test]
fn what_is_no_value_is_refused_with_its_place() {
    for (call, says) in [
        (r#"m.skip("");"#, "skip needs a text"),
        (r#"m.move_to("");"#, "name of the folder is empty"),
        (
            r#"m.move_to("A//B");"#,
            "a name before, after or between slashes is missing",
        ),
        ("m.move_to(5);", "a folder is a string"),
        (r#"m.move_to(["A", 5]);"#, "are strings"),
        (r#"m.move_to_role("send");"#, "did you mean \"sent\"?"),
        (r#"m.move_to_role("§");"#, "the roles are inbox, archive"),
        (r#"m.set_flag("\\Recent");"#, "belongs to the server"),
        (r#"m.set_flag("a b");"#, "cannot be a flag"),
        (r#"m.add_keyword("\\Seen");"#, "not a keyword"),
        (r#"m.add_keyword("é");"#, "cannot be a keyword"),
        (r#"m.add_label("");"#, "cannot be a label"),
        (r#"m.set_header("X A", "b");"#, "no header name"),
        (r#"m.set_header("X-A", "b\r\nBcc: x@y");"#, "line end"),
        (r#"m.rewrite_address("a", "b@c");"#, "no address"),
        (r#"m.rewrite_domain("a.example", "b c");"#, "no domain"),
        (
            r#"m.rewrite_domain("a.example", "b.example", #{ sined: true });"#,
            "did you mean \"signed\"?",
        ),
        (
            r#"m.rewrite_domain("a.example", "b.example", #{ signed: 1 });"#,
            "true or false",
        ),
        (r#"m.send_to("");"#, "cannot be a mailbox"),
        (r#"m.mailbox.skip("x");"#, "in mailbox(b) only"),
    ] {
        let error = try_decide(call).unwrap_err();
        assert!(error.to_string().contains(says), "{call}: {error}");
        assert_eq!((error.kind, error.problem.line), (RuleErrorKind::Type, 2), "{call}");
        assert_eq!(error.problem.source.as_deref(), Some(call));
        // A refusal may be caught, and leaves nothing behind.
        let caught = decide(&format!("try {{ {call} }} catch (error) {{ m.note(error); }}"));
        assert!(caught.notes[0].contains(says));
        assert_eq!(caught.steps.len(), 1);
    }
}

#[test]
fn steps_name_the_rule_that_contains_the_call() {
    let rules = compile(
        "fn old(m) {\n  if m.size > 5 {\n    m.skip(\"old\");\n  }\n}\nfn message(m) {\n  old(m);\n  [1].for_each(|x| m.add_keyword(\"K\"));\n  m.set_header(\"X-Foo\", m.subject);\n}",
    );
    let decision = rules.item(&facts(), content(MESSAGE)).unwrap();
    let steps: Vec<_> = decision
        .steps
        .iter()
        .map(|s| (s.rule.as_str(), s.file.as_str(), s.line, s.did.as_str()))
        .collect();
    assert_eq!(
        steps,
        [
            ("old", "rules.rhai", 3, "skip"),
            ("message", "rules.rhai", 8, "add_keyword K"),
            ("message", "rules.rhai", 9, "set_header X-Foo"),
        ]
    );
}

#[test]
fn folders_mailboxes_and_failures() {
    let rules = compile(
        r#"fn mailbox(b) { if b.get("department") == "sales" { b.skip("sales"); b.note("n"); } }
           fn folder(f) { f.move_to_role("junk"); f.subscribe(false); f.skip("no"); f.keep(); f.note(`${f.name} ${f.parent} ${f.items} ${f.bytes} ${f.subscribed} ${f.role}`); }
           fn failure(e) { switch e.code { "rejected" => e.skip("too odd"), "internal" => e.retry(), "forbidden" => e.stop("ask"), _ => () } }"#,
    );
    let there = [Hook::Mailbox, Hook::Folder, Hook::Failure];
    assert!(
        Hook::ALL
            .into_iter()
            .all(|hook| rules.has(hook) == there.contains(&hook))
    );
    let decision = rules.mailbox(&mailbox()).unwrap();
    assert_eq!(
        (decision.skip.as_deref(), decision.notes.len(), decision.steps.len()),
        (Some("sales"), 1, 2)
    );
    let decision = rules.folder(&folder()).unwrap();
    assert_eq!(
        (decision.place, decision.subscribe, decision.skip),
        (Some(Wanted::Role(Role::Junk)), Some(false), None)
    );
    assert_eq!(decision.notes, ["2019 Archive 3 -1 true archive"]);
    let failure = |code: &str| {
        let failure = FailureFacts {
            folder: folder(),
            size: None,
            code: code.to_owned(),
            text: String::new(),
            side: "destination",
            attempts: 2,
        };
        rules.failure(&failure).unwrap()
    };
    assert_eq!(failure("rejected").verb, FailureVerb::Skip("too odd".to_owned()));
    assert_eq!(failure("internal").verb, FailureVerb::Retry);
    assert_eq!(failure("forbidden").verb, FailureVerb::Stop("ask".to_owned()));
    assert_eq!(failure("not-found").verb, FailureVerb::Default);
    assert_eq!(failure("rejected").steps[0].rule, "failure");
}

#[test]
fn a_script_may_be_run_by_many_threads() {
    let rules = Arc::new(compile(
        r#"const A = ["x"]; fn message(m) { if A.contains("x") { m.skip(m.subject); } }"#,
    ));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let rules = rules.clone();
            std::thread::spawn(move || rules.item(&facts(), content(MESSAGE)).unwrap())
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap().skip.as_deref(), Some("Grüße from here"));
    }
}
