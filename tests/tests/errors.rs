//! What can go wrong in an admin's day: each with its own message, exit code and remedy, and nothing lost.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;

use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus::{self, NOON};
use whimbrel_tests::run::{
    Job, Outcome, account, imap_side, imap_side_at, local_side, mailbox, plugin, server_to_server,
};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{Dovecot, Options, PASSWORD, Server, free_ports};
use whimbrel_tests::writers;

fn filled(seed: u64) -> Dovecot {
    let server = Dovecot::plain();
    writers::imap(&mut server.imap("alice"), '/', &corpus::ordinary(seed, 30));
    server
}

/// The first problem of a mailbox: its code; text and remedy have to be there.
#[track_caller]
fn problem(outcome: &Outcome, name: &str) -> String {
    let mailbox = outcome.mailbox(name);
    let problem = &mailbox["problems"][0];
    for part in ["text", "remedy"] {
        assert!(
            problem[part].as_str().is_some_and(|text| text.len() > 10),
            "no {part}: {outcome}"
        );
    }
    problem["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code: {outcome}"))
        .to_owned()
}

#[test]
fn a_wrong_password_stops_its_mailbox_only() {
    let (from, to) = (filled(91), Dovecot::plain());
    writers::imap(&mut from.imap("bob"), '/', &corpus::ordinary(92, 20));
    let job = Job::new(&[
        imap_side("source", &from),
        imap_side("destination", &to),
        mailbox(
            "alice",
            "{ user = \"alice\", password = { env = \"PATH\" } }",
            &account("alice"),
        ),
        mailbox("bob", &account("bob"), &account("bob")),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(problem(&outcome, "alice"), "unauthenticated");
    outcome.says(&["password"]);
    assert!(
        !outcome.text().contains(&std::env::var("PATH").unwrap()),
        "a secret was shown"
    );
    assert_eq!(
        (
            outcome.mailbox("bob")["moved"].as_u64(),
            outcome.mailbox("bob")["failed"].as_u64()
        ),
        (Some(20), Some(0))
    );
    assert_same(
        &Account::read(&mut from.imap("bob")),
        &Account::read(&mut to.imap("bob")),
        &Allow::default(),
    );
}

#[test]
fn a_wrong_password_at_the_destination_is_told_apart() {
    let (from, to) = (filled(93), Dovecot::plain());
    let job = Job::new(&[
        imap_side("source", &from),
        imap_side("destination", &to),
        mailbox(
            "alice",
            &account("alice"),
            "{ user = \"alice\", password = { env = \"PATH\" } }",
        ),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(problem(&outcome, "alice"), "unauthenticated");
    outcome.says(&["destination"]);
}

#[test]
fn an_unknown_host_is_named() {
    let to = Dovecot::plain();
    let side = imap_side_at("source", 993, None)
        .replace("127.0.0.1", "mail.does-not-exist.invalid")
        .replace("insecure", "implicit");
    let job = Job::new(&[
        side,
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(problem(&outcome, "alice"), "unavailable");
    outcome.says(&["mail.does-not-exist.invalid"]);
}

#[test]
fn a_port_where_nobody_listens_is_named() {
    let to = Dovecot::plain();
    let [port] = free_ports();
    let side = imap_side_at("source", port, None);
    let job = Job::new(&[
        side,
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    outcome.says(&["127.0.0.1", &port.to_string()]);
}

#[test]
fn an_unknown_authority_is_refused_with_the_remedy() {
    let (from, to) = (filled(94), Dovecot::plain());
    let side = imap_side("source", &from)
        .lines()
        .filter(|line| !line.starts_with("ca ="))
        .collect::<Vec<_>>()
        .join("\n");
    let job = Job::new(&[
        side,
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    problem(&outcome, "alice");
    outcome.says(&["certificate", "ca"]);
    assert_eq!(Account::read(&mut to.imap("alice")).count(), 0);
}

#[test]
fn a_full_quota_parks_the_mailbox_and_loses_nothing() {
    let from = filled(95);
    let to = Dovecot::start(&Options {
        quota: Some("300k"),
        ..Options::default()
    });
    let mut sections = server_to_server(&from, &to);
    sections.push("[limits]\nwait = \"1s\"\n".to_owned());
    let job = Job::new(&sections);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(problem(&outcome, "alice"), "over-quota");
    let (moved, pending, failed) = (
        outcome.total("moved"),
        outcome.total("pending"),
        outcome.total("failed"),
    );
    assert!(
        pending + failed > 0 && moved + pending + failed == 30 && outcome.total("unexplained") == 0,
        "{outcome}"
    );
    let there = Account::read(&mut to.imap("alice"));
    assert_eq!(there.count() as u64, moved, "{outcome}");
    // Room is made: the rest arrives, and what had arrived is not doubled.
    let roomy = Dovecot::plain();
    let home = to.store("alice");
    roomy.adopt("alice", &home);
    job.rewrite(&server_to_server(&from, &roomy));
    let rest = job.run(&["retry"]);
    rest.expect(0);
    assert_eq!(rest.worked("copied") + rest.worked("merged"), 30 - moved, "{rest}");
    assert_same(
        &Account::read(&mut from.imap("alice")),
        &Account::read(&mut roomy.imap("alice")),
        &Allow::default(),
    );
}

#[test]
fn a_read_only_folder_is_named_and_the_others_go_on() {
    let from = filled(96);
    let to = Dovecot::start(&Options {
        acl: true,
        ..Options::default()
    });
    let mut imap = to.imap("alice");
    imap.create("Lists/rust");
    fs::write(to.store("alice").join(".Lists.rust/dovecot-acl"), "owner lr\n").unwrap();
    drop(imap);
    let outcome = Job::new(&server_to_server(&from, &to)).run(&["migrate"]);
    outcome.expect(3);
    outcome.says(&["Lists/rust"]);
    assert_eq!(problem(&outcome, "alice"), "forbidden");
    assert_eq!(outcome.total("unexplained"), 0, "{outcome}");
    let expected = Account::read(&mut from.imap("alice"));
    let stuck = expected.folder(&["Lists", "rust"]).messages.len() as u64;
    assert_eq!(
        (
            outcome.total("moved"),
            outcome.total("pending") + outcome.total("failed")
        ),
        (30 - stuck, stuck),
        "{outcome}"
    );
}

#[test]
fn a_message_over_the_append_limit_is_set_aside_with_its_cause() {
    let from = Dovecot::plain();
    let mut messages = vec![corpus::huge(97, 900_000)];
    messages.extend((0..10).map(corpus::tiny));
    writers::append(&mut from.imap("alice"), "INBOX", &messages);
    // Said before by the one server (APPENDLIMIT), and only with a NO by the other.
    for capabilities in [None, Some("IMAP4rev1 UIDPLUS LITERAL+ MULTIAPPEND")] {
        let to = Dovecot::start(&Options {
            append_limit: Some(500_000),
            capabilities,
            ..Options::default()
        });
        let job = Job::new(&server_to_server(&from, &to));
        let outcome = job.run(&["migrate"]);
        outcome.adds_up();
        assert_eq!(outcome.total("moved"), 10, "{outcome}");
        assert_eq!(outcome.total("oversize") + outcome.total("failed"), 1, "{outcome}");
        assert_eq!(Account::read(&mut to.imap("alice")).count(), 10);
        let events = job.run(&["events"]);
        events.expect(0);
    }
}

#[test]
fn messages_over_the_admins_own_limit_are_counted_oversize() {
    let from = Dovecot::plain();
    let mut messages = vec![corpus::huge(98, 900_000)];
    messages.extend((0..10).map(corpus::tiny));
    writers::append(&mut from.imap("alice"), "INBOX", &messages);
    let to = Dovecot::plain();
    let mut sections = server_to_server(&from, &to);
    sections.insert(0, "[limits]\nmax_item = \"500kB\"\n".into());
    let job = Job::new(&sections);
    let outcome = job.run(&["migrate"]);
    outcome.adds_up();
    assert_eq!(
        (outcome.total("moved"), outcome.total("oversize")),
        (10, 1),
        "{outcome}"
    );
    // The limit goes: `retry` takes it up again.
    sections.remove(0);
    job.rewrite(&sections);
    let again = job.run(&["retry", "--reason", "oversize"]);
    again.expect(0);
    assert_eq!((again.total("moved"), again.worked("copied")), (11, 1), "{again}");
}

#[test]
fn names_that_differ_in_case_only_stay_apart() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    let folder = |name: &str, number| Folder::new(&[name]).with(vec![corpus::tiny(number)]);
    let account = Account {
        folders: vec![folder("Project", 1), folder("project", 2), folder("PROJECT (2)", 3)],
    };
    writers::imap(&mut from.imap("alice"), '/', &account);
    let outcome = Job::new(&server_to_server(&from, &to)).migrate();
    outcome.adds_up();
    let there = Account::read(&mut to.imap("alice"));
    let with_mail: Vec<_> = there
        .folders
        .iter()
        .filter(|folder| !folder.messages.is_empty())
        .collect();
    assert_eq!((there.count(), with_mail.len()), (3, 3), "{there:?}");
    assert!(
        with_mail
            .iter()
            .all(|folder| folder.path[0].to_lowercase().starts_with("project"))
    );
}

#[test]
fn settings_that_cannot_be_read_are_pointed_at() {
    let job = Job::new(&[]);
    let cases: [(&str, &[u8], &[&str]); 6] = [
        ("not TOML", b"[migration\nname = 3", &["whimbrel.toml"]),
        ("not UTF-8", b"[migration]\nname = \"\xff\"", &["UTF-8"]),
        ("a section is missing", b"[migration]\nname = \"x\"\n", &["source"]),
        ("an unknown key", b"[migration]\nname = \"x\"\nstat = \"y\"\n[source]\nconnector = \"imap\"\n[destination]\nconnector = \"imap\"\n", &["stat", "state"]),
        ("a wrong type", b"[migration]\nname = 7\n[source]\nconnector = \"imap\"\n[destination]\nconnector = \"imap\"\n", &["name"]),
        ("empty", b"", &["migration"]),
    ];
    for (what, text, words) in cases {
        fs::write(job.settings(), text).unwrap();
        for verb in ["migrate", "check"] {
            let outcome = job.run(&[verb]);
            assert_eq!(outcome.code, Some(2), "{what}: {outcome}");
            outcome.says(words);
            outcome.json();
        }
    }
    fs::remove_file(job.settings()).unwrap();
    let outcome = job.run(&["migrate"]);
    outcome.expect(2);
    outcome.says(&["whimbrel.toml"]);
    assert!(
        !job.folder().join("state").exists(),
        "a run with bad settings left a state"
    );
}

#[test]
fn a_missing_connector_is_named_with_the_place() {
    let to = Dovecot::plain();
    let job = Job::new(&[
        local_side("source", "imapp", "host = \"localhost\""),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(2);
    outcome.says(&["imapp", "plugins"]);
}

#[test]
fn settings_that_the_connector_does_not_know_are_refused() {
    let to = Dovecot::plain();
    let job = Job::new(&[
        local_side("source", "imap", "hots = \"localhost\", port = 993, tls = \"implicit\""),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(2);
    outcome.says(&["host"]);
}

#[test]
fn a_connector_for_a_newer_contract_is_refused_by_both_versions() {
    let folder = scratch::folder("plugin");
    let mut bytes = fs::read(plugin("memory")).unwrap();
    let (old, new) = (b"@0.1.0", b"@0.9.0");
    let places: Vec<usize> = (0..bytes.len() - old.len())
        .filter(|&at| bytes[at..].starts_with(old))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    let path = folder.path().join("newer.wasm");
    fs::write(&path, bytes).unwrap();
    let to = Dovecot::plain();
    let job = Job::new(&[
        local_side("source", path.to_str().unwrap(), ""),
        imap_side("destination", &to),
        mailbox("alice", "{}", &account("alice")),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(2);
    outcome.says(&["0.9", "0.1"]);
    // What is no component at all is told apart.
    fs::write(folder.path().join("newer.wasm"), "not wasm").unwrap();
    let outcome = job.run(&["migrate"]);
    outcome.expect(2);
    outcome.says(&["newer.wasm"]);
}

#[test]
fn a_ledger_that_is_none_is_not_written_over() {
    let (from, to) = (filled(99), Dovecot::plain());
    let job = Job::new(&server_to_server(&from, &to));
    let state = job.folder().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("ledger"), "something else").unwrap();
    let outcome = job.run(&["migrate"]);
    assert!(matches!(outcome.code, Some(1 | 2)), "{outcome}");
    outcome.says(&["state"]);
    assert_eq!(fs::read(state.join("ledger")).unwrap(), b"something else");
}

#[test]
fn check_names_every_problem_at_once() {
    let from = filled(100);
    let unset = "{ user = \"alice\", password = { env = \"WHIMBREL_NOT_SET\" } }";
    let job = Job::new(&[
        imap_side("source", &from),
        imap_side("destination", &from).replace("ca.pem", "no-such-ca.pem"),
        mailbox("alice", unset, &account("alice")),
        mailbox("bob", &account("bob"), &unset.replace("NOT_SET", "UNSET_TOO")),
    ]);
    let outcome = job.run(&["check"]);
    outcome.expect(2);
    outcome.says(&["no-such-ca.pem", "WHIMBREL_NOT_SET", "WHIMBREL_UNSET_TOO"]);
    let job = Job::new(&[
        local_side("source", "imapp", ""),
        local_side("destination", "maildirr", ""),
        mailbox("alice", "{}", "{}"),
    ]);
    let outcome = job.run(&["check"]);
    outcome.expect(2);
    outcome.says(&["imapp", "maildirr"]);
}

#[test]
fn the_ledger_goes_out_and_in_again() {
    let (from, to) = (filled(101), Dovecot::plain());
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    let export = job.folder().join("export.jsonl");
    job.run(&["ledger", "export", export.to_str().unwrap()]).expect(0);
    fs::rename(job.folder().join("state"), job.folder().join("old")).unwrap();
    job.run(&["ledger", "import", export.to_str().unwrap()]).expect(0);
    let again = job.migrate();
    assert_eq!(
        (again.worked("found"), again.worked("copied"), again.total("moved")),
        (0, 0, 30),
        "{again}"
    );
    let events = job.run(&["events"]);
    events.expect(0);
    assert!(events.stdout.lines().count() > 1, "{events}");
}

#[test]
fn a_lost_state_is_made_good_by_what_lies_at_the_destination() {
    let (from, to) = (filled(102), Dovecot::plain());
    writers::append(&mut from.imap("alice"), "INBOX", &corpus::equal_twins());
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    fs::remove_dir_all(job.folder().join("state")).unwrap();
    let outcome = job.migrate();
    outcome.adds_up();
    assert_eq!(
        (outcome.worked("copied"), outcome.total("merged")),
        (0, 34),
        "{outcome}"
    );
    assert_same(
        &Account::read(&mut from.imap("alice")),
        &Account::read(&mut to.imap("alice")),
        &Allow::default(),
    );
}

#[test]
fn no_subject_body_or_address_gets_into_a_log() {
    let (from, to) = (
        Dovecot::plain(),
        Dovecot::start(&Options {
            append_limit: Some(2_000),
            ..Options::default()
        }),
    );
    let body = format!(
        "From: secret-sender@example.org\r\nSubject: secret-subject\r\n\r\nsecret-body {}\r\n",
        "x".repeat(3000)
    );
    writers::append(
        &mut from.imap("alice"),
        "INBOX",
        &[Message::new(body.as_bytes(), &[], NOON), corpus::tiny(1)],
    );
    let job = Job::new(&server_to_server(&from, &to));
    let outcome = job.run(&["migrate", "-vvv"]);
    for word in ["secret-sender", "secret-subject", "secret-body"] {
        assert!(!outcome.text().contains(word), "{word} was shown");
    }
    assert!(!outcome.text().contains(PASSWORD), "the password was shown");
}

#[test]
fn a_script_of_a_newer_version_is_refused_before_anything_is_touched() {
    let (from, to) = (filled(98), Dovecot::plain());
    let mut sections = server_to_server(&from, &to);
    sections.push("[rules]\nscript = \"rules.rhai\"\n".to_owned());
    let job = Job::new(&sections);
    let script = "const RULES_API = 999;\nfn message(m) { m.teleport(); }\n";
    fs::write(job.folder().join("rules.rhai"), script).unwrap();
    let outcome = job.run(&["migrate"]);
    outcome.expect(2);
    outcome.says(&["rules.rhai", "version 999", "use a newer whimbrel"]);
    assert_eq!(Account::read(&mut to.imap("alice")).count(), 0);
}
