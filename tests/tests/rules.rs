//! Rules at work between real servers: what they say happens, to every byte, once, whatever breaks; and a script that
//! is wrong harms nobody but its message.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use whimbrel_tests::account::{Account, Folder};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus;
use whimbrel_tests::proxy::{Fault, Plan, Proxy};
use whimbrel_tests::ruled::{self, Decided, SCRIPT};
use whimbrel_tests::run::{Job, Outcome, Running, account, imap_side, imap_side_at, mailbox, program, target_folder};
use whimbrel_tests::scratch::Random;
use whimbrel_tests::servers::{Dovecot, Format, Options, PASSWORD, Server};
use whimbrel_tests::trouble::{QUIET, kill_and_resume, slow, until_finished};
use whimbrel_tests::writers;

/// A source with mail for the script, and what that has to come to.
fn filled(seed: u64, messages: u64) -> (Dovecot, Account, Decided) {
    let from = Dovecot::plain();
    writers::imap(&mut from.imap("alice"), '/', &ruled::mail(seed, messages));
    let account = Account::read(&mut from.imap("alice"));
    let decided = Decided::of(&account);
    (from, account, decided)
}

/// Alice's mailbox, and the one that her rules send to.
fn both(source: String, destination: String) -> Vec<String> {
    vec![
        source,
        destination,
        mailbox("alice", &account("alice"), &account("alice")),
        mailbox("team", &account("team"), &account("team")),
        ruled::section(),
    ]
}

fn job(sections: &[String], script: &str) -> Job {
    let job = Job::new(sections);
    fs::write(job.folder().join("rules.rhai"), script).unwrap();
    job
}

fn read(server: &Dovecot, user: &str) -> Account {
    Account::read(&mut server.imap(user))
}

#[track_caller]
fn assert_decided(decided: &Decided, to: &Dovecot, job: &Job) {
    let allow = Allow {
        special: true,
        ..Allow::default()
    };
    assert_same(&decided.alice, &read(to, "alice"), &allow.clone().and_extra(&["Old"]));
    assert_same(&decided.team, &read(to, "team"), &allow);
    decided.assert_files(&job.folder().join("attachments"));
}

/// The ledger's records of one kind.
fn records(job: &Job, kind: &str) -> Vec<Value> {
    let export = job.run(&["ledger", "export"]);
    export.expect(0);
    let lines = export
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["record"] == kind).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What the ledger says that each line decided, and how often.
fn told(job: &Job) -> BTreeMap<(u64, String), u64> {
    let mut told = BTreeMap::new();
    for item in records(job, "item") {
        for step in item["ruling"]["steps"].as_array().into_iter().flatten() {
            assert_eq!(step["file"], "rules.rhai", "{item}");
            let line = step["line"].as_u64().unwrap();
            assert_eq!(step["rule"], if line > 17 { "spam" } else { "message" }, "{item}");
            *told.entry((line, text(&step["did"]))).or_default() += 1;
        }
    }
    told
}

#[test]
fn everything_that_rules_say_happens_to_the_byte_and_a_second_run_moves_nothing() {
    let (from, before, decided) = filled(71, 160);
    let to = Dovecot::start(&Options {
        format: Format::Mdbox,
        ..Options::default()
    });
    let job = job(&both(imap_side("source", &from), imap_side("destination", &to)), SCRIPT);
    let outcome = job.migrate();
    outcome.adds_up();
    assert_decided(&decided, &to, &job);
    assert_same(&before, &read(&from, "alice"), &Allow::default());
    for (line, count) in &decided.lines {
        assert!(*count > 2, "the corpus says too little about {line:?}");
    }
    assert!(decided.files.len() > 2, "the corpus has too few attachments");
    assert_eq!(outcome.total("filtered"), decided.filtered, "{outcome}");
    assert_eq!(
        outcome.total("moved"),
        before.count() as u64 - decided.filtered,
        "{outcome}"
    );

    let counts = outcome.mailbox("alice")["rules"].as_array().unwrap().clone();
    let counted: BTreeMap<(u64, String), u64> = counts
        .iter()
        .map(|rule| {
            assert_eq!(rule["file"], "rules.rhai");
            (
                (rule["line"].as_u64().unwrap(), text(&rule["did"])),
                rule["count"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(counted, decided.lines);
    assert_eq!(told(&job), decided.lines);
    let reasons = records(&job, "item")
        .into_iter()
        .filter(|item| item["fate"]["filtered"]["reason"] == "from a spammer");
    assert_eq!(reasons.count() as u64, decided.filtered);

    let again = job.migrate();
    for what in [
        "found",
        "copied",
        "merged",
        "marked",
        "replaced",
        "relocated",
        "adopted",
        "vanished",
        "settled",
    ] {
        assert_eq!(again.worked(what), 0, "{what} in the second run: {again}");
    }
    assert_decided(&decided, &to, &job);
}

#[test]
fn new_mail_and_new_flags_follow_the_rules() {
    let (from, _, _) = filled(72, 60);
    let to = Dovecot::plain();
    let job = job(&both(imap_side("source", &from), imap_side("destination", &to)), SCRIPT);
    job.migrate();
    let mut imap = from.imap("alice");
    writers::append(&mut imap, "INBOX", &corpus::bulk(9001, 20));
    imap.select("Twins");
    imap.store("1:*", "+FLAGS (\\Deleted Noticed)");
    let decided = Decided::of(&read(&from, "alice"));
    let outcome = job.migrate();
    outcome.adds_up();
    assert!(
        outcome.worked("copied") > 0 && outcome.worked("marked") > 0,
        "{outcome}"
    );
    assert_decided(&decided, &to, &job);
}

fn killed(seed: u64, rounds: u64, to: &Dovecot, plan: Plan) {
    let (from, before, decided) = filled(seed, 250);
    let proxy = Proxy::start(to.port(), slow(&before, plan));
    let mut sections = both(
        imap_side("source", &from),
        imap_side_at("destination", proxy.port(), None),
    );
    sections.push(QUIET.to_owned());
    let job = job(&sections, SCRIPT);
    kill_and_resume(&job, &proxy, before.bytes() / 2, rounds, seed);
    assert_decided(&decided, to, &job);
    assert_eq!(told(&job), decided.lines);
}

#[test]
fn killed_20_times_on_the_way_to_a_server_with_uidplus() {
    let to = Dovecot::start(&Options {
        format: Format::Mdbox,
        ..Options::default()
    });
    killed(73, 20, &to, Plan::default());
}

#[test]
fn killed_20_times_on_the_way_to_a_server_without_uidplus() {
    killed(74, 20, &Dovecot::plain(), Plan::without_uidplus());
}

#[test]
fn cut_and_stalled_lines_change_no_decision() {
    let (from, _, decided) = filled(75, 200);
    let to = Dovecot::plain();
    let fault = |_, random: &mut Random| match random.below(4) {
        0 | 1 => Fault::Cut {
            after: random.below(400_000),
        },
        2 => Fault::Stall {
            after: random.below(400_000),
            open: Duration::from_millis(random.between(200, 900)),
        },
        _ => Fault::None,
    };
    let line = |port, seed| {
        let plan = Plan {
            fault: Box::new(fault),
            seed,
            ..Plan::default()
        };
        Proxy::start(port, plan)
    };
    let (source, destination) = (line(from.port(), 1), line(to.port(), 2));
    let mut sections = both(
        imap_side_at("source", source.port(), None),
        imap_side_at("destination", destination.port(), None),
    );
    sections.push("[limits]\nquiet = \"300ms\"\n".to_owned());
    let job = job(&sections, SCRIPT);
    until_finished(&job, &[&source, &destination]);
    assert_decided(&decided, &to, &job);
    assert_eq!(told(&job), decided.lines);
}

/// What a script does with the message of subject 3, and words of what is said about it.
const WRONG: [(&str, &[&str]); 6] = [
    ("let x = 0; loop { x += 1; }", &["did not come to an end"]),
    ("deeper(1)", &["calls itself without end"]),
    ("let s = \"xxxxxxxx\"; loop { s += s; }", &["a string became too large"]),
    ("throw \"I do not want to\"", &["gave up", "I do not want to"]),
    ("return 42", &["returned a whole number", "returns nothing"]),
    ("m.move_too(\"Archive\")", &["a message has no move_too"]),
];

fn wrong(deed: &str) -> String {
    format!(
        "fn message(m) {{\n    if m.subject == \"3\" {{\n        {deed};\n    }}\n}}\n\nfn deeper(n) {{ deeper(n + 1) }}\n"
    )
}

/// Ten messages of a user at a server.
fn ten(from: &Dovecot, user: &str) -> Account {
    let account = Account {
        folders: vec![Folder::new(&["INBOX"]).with((0..10).map(corpus::tiny).collect())],
    };
    writers::imap(&mut from.imap(user), '/', &account);
    read(from, user)
}

fn one(from: &Dovecot, to: &Dovecot, user: &str, script: &str, more: &str) -> Job {
    let sections = [
        imap_side("source", from),
        imap_side("destination", to),
        mailbox(user, &account(user), &account(user)),
        format!("[rules]\nscript = \"rules.rhai\"\n{more}"),
    ];
    job(&sections, script)
}

fn without_the_third(mut account: Account) -> Account {
    account.folders[0]
        .messages
        .retain(|message| !String::from_utf8_lossy(message.bytes()).contains("Subject: 3\r\n"));
    assert_eq!(account.count(), 9);
    account
}

/// The memory that a run may take, whatever the script wants.
const MEMORY: u64 = 400 << 20;

#[test]
fn a_script_that_is_wrong_keeps_its_message_aside_and_harms_no_other() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    for (at, (deed, words)) in WRONG.into_iter().enumerate() {
        let user = format!("u{at}");
        let before = ten(&from, &user);
        let job = one(&from, &to, &user, &wrong(deed), "");
        let outcome = job.run(&["migrate"]);
        outcome.expect(3);
        let counts = ["moved", "failed", "pending"].map(|count| outcome.total(count));
        assert_eq!(counts, [9, 1, 0], "{deed}: {outcome}");
        assert!(outcome.peak < MEMORY, "{deed}: {} bytes", outcome.peak);
        assert_same(&without_the_third(before.clone()), &read(&to, &user), &Allow::default());

        let failed: Vec<Value> = records(&job, "item")
            .into_iter()
            .filter(|item| item["fate"]["failed"].is_object())
            .collect();
        let [item] = &failed[..] else {
            panic!("{deed}: {failed:?}")
        };
        let said = item["fate"]["failed"]["failure"].to_string();
        for word in words {
            assert!(said.contains(word), "{deed}: {said}");
        }
        // The function that calls itself is below; a hook as a whole returns what it should not.
        let line = match deed {
            "deeper(1)" => 7,
            "return 42" => 1,
            _ => 3,
        };
        assert!(said.contains(&format!("rules.rhai:{line}")), "{deed}: {said}");
        let kept = job
            .folder()
            .join("state/quarantine")
            .join(text(&item["fate"]["failed"]["quarantine"]));
        let third = before.folders[0]
            .messages
            .iter()
            .find(|message| message.bytes().ends_with(b"Number 3.\r\n"));
        assert_eq!(fs::read(kept).unwrap(), third.unwrap().bytes(), "{deed}");

        // Mended, it goes on.
        fs::write(job.folder().join("rules.rhai"), "fn message(m) {}\n").unwrap();
        let outcome = job.run(&["retry", "--reason", "rules"]);
        outcome.expect(0);
        assert_same(&before, &read(&to, &user), &Allow::default());
    }
}

#[test]
fn a_script_that_is_wrong_can_stop_the_run() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    for (at, (deed, words)) in WRONG.into_iter().enumerate() {
        let user = format!("u{at}");
        let before = ten(&from, &user);
        let job = one(&from, &to, &user, &wrong(deed), "on_error = \"stop\"\n");
        let outcome = job.run(&["migrate"]);
        outcome.expect(1);
        outcome.says(words);
        outcome.says(&["rules.rhai"]);
        assert!(outcome.peak < MEMORY, "{deed}: {} bytes", outcome.peak);
        fs::write(job.folder().join("rules.rhai"), "fn message(m) {}\n").unwrap();
        job.migrate();
        assert_same(&before, &read(&to, &user), &Allow::default());
    }
}

#[test]
fn what_is_not_there_is_empty_and_a_script_that_does_nothing_changes_nothing() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    let before = ten(&from, "alice");
    let script = "fn message(m) {\n    if m.header(\"X-None\") != \"\" || m.list_id != \"\" || m.sent != () { throw \"there\"; }\n}\n";
    let job = one(&from, &to, "alice", script, "");
    let outcome = job.migrate();
    outcome.adds_up();
    assert_same(&before, &read(&to, "alice"), &Allow::default());
    assert_eq!(outcome.mailbox("alice")["rules"], serde_json::json!([]));
}

/// As a person runs it.
fn by_hand(job: &Job) -> Outcome {
    let mut command = Command::new(program());
    command
        .arg("migrate")
        .arg("--config")
        .arg(job.settings())
        .arg("--plugins")
        .arg(target_folder().join("plugins"))
        .current_dir(job.folder())
        .env("WHIMBREL_TEST_PASSWORD", PASSWORD);
    Running::start(&mut command).wait(Duration::from_secs(60))
}

#[test]
fn a_script_that_changed_is_announced_and_recorded() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    ten(&from, "alice");
    let script = "fn message(m) { if m.subject == \"3\" { m.skip(\"three\"); } }\n";
    let job = one(&from, &to, "alice", script, "");
    let outcome = job.migrate();
    assert!(outcome.json()["rules_changed"].is_null(), "{outcome}");
    assert!(job.migrate().json()["rules_changed"].is_null());

    fs::write(
        job.folder().join("rules.rhai"),
        "fn message(m) { m.move_to(\"New\"); }\n",
    )
    .unwrap();
    let outcome = job.migrate();
    let changed = &outcome.json()["rules_changed"];
    assert_eq!(
        (&changed["how"], &changed["moved"], &changed["filtered"]),
        (&"changed".into(), &9.into(), &1.into()),
        "{outcome}"
    );
    assert_eq!(
        (outcome.worked("copied"), outcome.total("filtered")),
        (0, 1),
        "{outcome}"
    );
    assert_eq!(read(&to, "alice").count(), 9, "what was moved stays");

    fs::write(
        job.folder().join("rules.rhai"),
        "fn message(m) { m.move_to(\"Newer\"); }\n",
    )
    .unwrap();
    let outcome = by_hand(&job);
    outcome.expect(0);
    outcome.says(&[
        "the rules changed since the last run",
        "9 messages that were moved under the old rules stay where they are",
    ]);
    by_hand(&job).expect(0);
    let events: Vec<Value> = records(&job, "event")
        .into_iter()
        .filter(|event| event["kind"] == "rules")
        .collect();
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(
        events.iter().all(|event| event["fields"]["hash"].is_string()),
        "{events:?}"
    );
    assert_ne!(events[1]["fields"]["hash"], events[2]["fields"]["hash"]);
    assert_eq!(events[1]["fields"]["hash"], events[2]["fields"]["before"]);

    let outcome = job.run(&["retry", "--reason", "filtered"]);
    outcome.expect(0);
    assert_eq!(
        read(&to, "alice").folder(&["Newer"]).messages.len(),
        1,
        "what was left out follows the new rules"
    );
}

#[test]
fn a_lost_ledger_comes_back_with_what_rules_made_of_the_mail() {
    let (from, _, decided) = filled(87, 200);
    let to = Dovecot::plain();
    let job = job(&both(imap_side("source", &from), imap_side("destination", &to)), SCRIPT);
    let sound = job.migrate();
    fs::remove_dir_all(job.folder().join("state")).unwrap();
    let rebuilt = job.run(&["ledger", "rebuild"]);
    rebuilt.expect(0);
    for count in ["found", "filtered", "pending"] {
        assert_eq!(rebuilt.total(count), sound.total(count), "{count}: {rebuilt}");
    }
    let again = job.migrate();
    assert_eq!(again.worked("copied"), 0, "{again}");
    assert_decided(&decided, &to, &job);
}
