//! Connectors that misbehave, cap their listings, or lose their ids: a clear word for that mailbox, and the others
//! finish.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use whimbrel_tests::run::{Job, Outcome, local_side, mailbox, plugin};
use whimbrel_tests::scratch;

/// What ends well although something was odd: nothing that the host relies on was wrong.
const HARMLESS: [&str; 7] = [
    "ask-wasi",
    "good",
    "wrong-size",
    "huge-wait",
    "garbage",
    "flood-log",
    "secret-settings",
];

/// Modes that strike when something is put.
const PUTTING: [&str; 5] = ["spin-put", "trap-put", "lost-put", "same-placement", "fewer-placements"];

/// The modes as the connector itself declares them.
fn modes() -> BTreeSet<String> {
    let job = Job::new(&[]);
    let path = plugin("misbehaving");
    let outcome = job.run(&["plugin", "inspect", path.to_str().unwrap()]);
    outcome.expect(0);
    let mut found = BTreeSet::new();
    collect(&outcome.json(), &mut found);
    assert!(found.len() > 20, "{outcome}");
    found
}

/// The values of the first `enum` of a schema, wherever it lies in the document.
fn collect(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == "enum" {
                    out.extend(
                        field
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_str)
                            .map(str::to_owned),
                    );
                }
                collect(field, out);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, out)),
        Value::String(text) if text.starts_with('{') => {
            if let Ok(inner) = serde_json::from_str(text) {
                collect(&inner, out);
            }
        }
        _ => {}
    }
}

fn count(mailbox: &Value, name: &str) -> u64 {
    mailbox[name].as_u64().unwrap_or_else(|| panic!("no {name}: {mailbox}"))
}

/// It ended with a reason: a problem with its remedy, items that failed, or items that nobody can explain.
#[track_caller]
fn ended_clearly(outcome: &Outcome, name: &str) {
    let mailbox = outcome.mailbox(name);
    let problems = mailbox["problems"].as_array().cloned().unwrap_or_default();
    for problem in &problems {
        let text = problem["text"].as_str().unwrap_or_default();
        assert!(
            text.len() > 15 && problem["remedy"].as_str().is_some_and(|remedy| remedy.len() > 15),
            "{name}: {mailbox}"
        );
        assert!(text.len() < 2000, "{name}: too long a text: {} bytes", text.len());
    }
    let unfinished = count(&mailbox, "failed") + count(&mailbox, "unexplained");
    assert!(
        !problems.is_empty() || unfinished > 0,
        "{name} ended as if all were well: {mailbox}"
    );
}

#[test]
fn every_misbehaviour_of_a_source_ends_in_a_clear_error_while_the_others_finish() {
    let tree = scratch::folder("out");
    let mut sections = vec![
        "[limits]\ncpu = \"1s\"\nretries = 1\nplugin_disk = \"32MiB\"\n".to_owned(),
        local_side(
            "source",
            plugin("misbehaving").to_str().unwrap(),
            "folder = \"granted\"",
        ),
        local_side(
            "destination",
            "maildir",
            &format!("root = \"{}\"", tree.path().display()),
        ),
    ];
    let modes: Vec<String> = modes()
        .into_iter()
        .filter(|mode| !PUTTING.contains(&mode.as_str()))
        .collect();
    for mode in &modes {
        let source =
            format!("{{ mode = \"{mode}\", user = \"u\", password = {{ env = \"WHIMBREL_TEST_PASSWORD\" }} }}");
        sections.push(mailbox(mode, &source, &format!("{{ user = \"{mode}\" }}")));
    }
    for name in ["good-1", "good-2", "good-3"] {
        sections.push(mailbox(
            name,
            "{ mode = \"good\" }",
            &format!("{{ user = \"{name}\" }}"),
        ));
    }
    let job = Job::new(&sections);
    fs::create_dir(job.folder().join("granted")).unwrap();
    job.trust("misbehaving");
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    for name in ["good-1", "good-2", "good-3", "good"] {
        let mailbox = outcome.mailbox(name);
        assert_eq!(
            (count(&mailbox, "moved"), count(&mailbox, "unexplained")),
            (20, 0),
            "{mailbox}"
        );
        assert_eq!(mailbox["problems"], Value::Array(Vec::new()), "{mailbox}");
    }
    for mode in &modes {
        println!("{mode}: {}", outcome.mailbox(mode)["problems"][0]["text"]);
        if HARMLESS.contains(&mode.as_str()) {
            assert_eq!(
                count(&outcome.mailbox(mode), "moved"),
                20,
                "{mode}: {}",
                outcome.mailbox(mode)
            );
        } else {
            ended_clearly(&outcome, mode);
        }
    }
    assert!(outcome.seconds < 120.0, "{:.0} s", outcome.seconds);
    assert!(outcome.peak < 900 << 20, "peak {} MiB", outcome.peak >> 20);
}

#[test]
fn every_misbehaviour_of_a_destination_ends_in_a_clear_error_while_the_others_finish() {
    let mut sections = vec![
        "[limits]\ncpu = \"1s\"\nretries = 1\n".to_owned(),
        local_side("source", "memory", "messages = 20"),
        local_side("destination", plugin("misbehaving").to_str().unwrap(), ""),
    ];
    for mode in PUTTING.iter().chain(&["good"]) {
        sections.push(mailbox(mode, "{}", &format!("{{ mode = \"{mode}\" }}")));
    }
    let job = Job::new(&sections);
    job.trust("misbehaving");
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(count(&outcome.mailbox("good"), "moved"), 20, "{outcome}");
    // That nothing is kept of what was acknowledged can only be seen by reading it again: `verify`.
    for mode in PUTTING.iter().filter(|mode| **mode != "lost-put") {
        ended_clearly(&outcome, mode);
        assert!(
            count(&outcome.mailbox(mode), "moved") < 20 || *mode == "same-placement",
            "{mode}: {outcome}"
        );
    }
}

#[test]
fn a_capped_listing_is_unexplained_and_never_success() {
    let tree = scratch::folder("out");
    let job = Job::new(&[
        local_side("source", "memory", "messages = 100, capped = 60"),
        local_side(
            "destination",
            "maildir",
            &format!("root = \"{}\"", tree.path().display()),
        ),
        mailbox("alice", "{}", "{}"),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(
        (outcome.total("moved"), outcome.total("unexplained")),
        (60, 40),
        "{outcome}"
    );
    let status = job.run(&["status"]);
    assert_eq!(status.total("unexplained"), 40, "{status}");
    // The plan and the assessment say so before anything is moved.
    assert!(job.run(&["assess"]).stdout.contains("40"));
}

#[test]
fn items_that_cannot_be_fetched_fail_one_by_one() {
    let tree = scratch::folder("out");
    let sections = |settings: &str| {
        [
            local_side("source", "memory", settings),
            local_side(
                "destination",
                "maildir",
                &format!("root = \"{}\"", tree.path().display()),
            ),
            mailbox("alice", "{}", "{}"),
        ]
    };
    let job = Job::new(&sections("messages = 50, fail-ids = [3, 17, 50]"));
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    outcome.adds_up();
    assert_eq!((outcome.total("moved"), outcome.total("failed")), (47, 3), "{outcome}");
    job.rewrite(&sections("messages = 50"));
    let again = job.run(&["retry"]);
    again.expect(0);
    assert_eq!((again.total("moved"), again.worked("copied")), (50, 3), "{again}");
}

#[test]
fn new_ids_are_matched_by_content() {
    let tree = scratch::folder("out");
    let sections = |settings: &str| {
        [
            local_side("source", "memory", settings),
            local_side(
                "destination",
                "maildir",
                &format!("root = \"{}\"", tree.path().display()),
            ),
            mailbox("alice", "{}", "{}"),
        ]
    };
    let job = Job::new(&sections("messages = 80, mailboxes = 3"));
    assert_eq!(job.migrate().total("moved"), 240);
    job.rewrite(&sections("messages = 80, mailboxes = 3, generation = \"2\""));
    let outcome = job.migrate();
    assert_eq!(
        (
            outcome.worked("copied"),
            outcome.worked("adopted"),
            outcome.total("moved")
        ),
        (0, 240, 240),
        "{outcome}"
    );
    job.rewrite(&sections("messages = 85, mailboxes = 3, generation = \"2\", round = 1"));
    let outcome = job.migrate();
    assert_eq!(outcome.worked("copied"), 15, "{outcome}");
    assert!(outcome.worked("marked") > 0, "{outcome}");
    outcome.adds_up();
}

#[test]
fn connectors_can_be_listed_and_inspected() {
    let job = Job::new(&[]);
    let outcome = job.run(&["plugin", "list"]);
    outcome.expect(0);
    outcome.says(&["imap", "maildir", "mbox", "memory"]);
    for name in ["imap", "maildir", "mbox", "memory"] {
        let outcome = job.run(&["plugin", "inspect", name]);
        outcome.expect(0);
        outcome.says(&[name, "0.1.0"]);
    }
    job.run(&["plugin", "inspect", "nothing-of-that-name"]).expect(2);
}

#[test]
fn the_demo_runs_without_any_settings() {
    let folder = scratch::folder("demo");
    let out = folder.path().join("out");
    let job = Job::new(&[]);
    fs::remove_file(job.settings()).unwrap();
    let outcome = job.run(&["demo", out.to_str().unwrap()]);
    outcome.expect(0);
    outcome.json();
    assert!(out.exists());
}
