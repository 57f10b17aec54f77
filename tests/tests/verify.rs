//! Verification: whatever is done to a destination by hand is found, by its class, and nothing else is.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::corpus::{self, NOON};
use whimbrel_tests::imap::Imap;
use whimbrel_tests::run::{Job, Outcome, account, imap_side, imap_side_at, local_side, mailbox, server_to_server};
use whimbrel_tests::servers::{Courier, Cyrus, Dovecot, Format, Options, Server, free_ports};
use whimbrel_tests::snapshot::Snapshot;
use whimbrel_tests::{ruled, scratch, writers};

const CLASSES: [&str; 7] = [
    "missing",
    "altered-content",
    "placement",
    "extra",
    "altered-transport",
    "date",
    "flags",
];

/// What of each class was found, those that were not left out.
#[track_caller]
fn found(outcome: &Outcome) -> BTreeMap<String, u64> {
    let json = outcome.json();
    let differences = json["total"]["differences"].as_object().expect("differences");
    assert_eq!(differences.len(), CLASSES.len(), "{outcome}");
    let count = |class: &&str| differences[*class].as_u64().expect("a count");
    CLASSES
        .iter()
        .filter(|class| count(class) > 0)
        .map(|class| ((*class).to_owned(), count(class)))
        .collect()
}

#[track_caller]
fn classes(outcome: &Outcome, expected: &[(&str, u64)]) {
    let expected: BTreeMap<String, u64> = expected
        .iter()
        .map(|(class, count)| ((*class).to_owned(), *count))
        .collect();
    assert_eq!(found(outcome), expected, "{outcome}");
}

/// Nothing is different, at every depth; the deepest outcome.
#[track_caller]
fn untouched(job: &Job) -> Outcome {
    for arguments in [
        &["verify"][..],
        &["verify", "--sample", "10%", "--seed", "1"],
        &["verify", "--deep"],
    ] {
        let outcome = job.run(arguments);
        outcome.expect(0);
        classes(&outcome, &[]);
        let total = &outcome.json()["total"];
        assert_eq!(total["looked"]["unreadable"], 0, "{outcome}");
        assert_eq!(total["verdict"]["balanced"], true, "{outcome}");
    }
    let outcome = job.run(&["verify", "--deep"]);
    let total = outcome.json()["total"].clone();
    assert!(
        total["looked"]["read"].as_u64() >= total["looked"]["compared"].as_u64(),
        "every body is read: {outcome}"
    );
    outcome
}

fn grade(outcome: &Outcome) -> String {
    outcome.json()["total"]["verdict"]["grade"]
        .as_str()
        .expect("a grade")
        .to_owned()
}

/// Dovecots with ordinary mail, migrated from one to the other.
fn moved(seed: u64, messages: u64) -> (Dovecot, Dovecot, Job) {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(seed, messages));
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    (from, to, job)
}

/// The file of a Maildir that holds this text.
fn file_with(folder: &Path, text: &[u8]) -> PathBuf {
    for part in ["cur", "new"] {
        for entry in fs::read_dir(folder.join(part)).into_iter().flatten() {
            let path = entry.unwrap().path();
            if fs::read(&path)
                .unwrap()
                .windows(text.len())
                .any(|window| window == text)
            {
                return path;
            }
        }
    }
    panic!("no message in {} has {}", folder.display(), text.escape_ascii());
}

/// Another letter in the place of one in the middle of the body.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let body = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map_or(0, |at| at + 4);
    let at = (body + (bytes.len() - body) / 2..bytes.len())
        .find(|at| bytes[*at].is_ascii_alphabetic())
        .expect("a letter");
    bytes[at] = if bytes[at] == b'q' { b'z' } else { b'q' };
    let time = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, bytes).unwrap();
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

fn letter(number: u64) -> Message {
    let text = format!(
        "From: a@example.com\r\nMessage-ID: <{number}@verify.example>\r\nSubject: letter {number}\r\n\r\n\
         Dear reader of letter {number},\r\n{}\r\nyours\r\n",
        "words ".repeat(usize::try_from(number).unwrap() + 3)
    );
    Message::new(text.as_bytes(), &["\\Seen"], NOON + i64::try_from(number).unwrap() * 60)
}

/// Letters in INBOX, and some more in another folder.
fn letters() -> Account {
    Account {
        folders: vec![
            Folder::new(&["INBOX"]).with((0..20).map(letter).collect()),
            Folder::new(&["Other"]).with((20..25).map(letter).collect()),
        ],
    }
}

#[test]
fn a_server_that_nobody_touched_is_perfect() {
    let (from, to, job) = moved(201, 120);
    let before = [&from, &to].map(|server| Account::read(&mut server.imap("alice")));
    let outcome = untouched(&job);
    assert_eq!(grade(&outcome), "perfect");
    let json = outcome.json();
    assert_eq!(
        (&json["depth"], &json["total"]["looked"]["own"]),
        (&"deep".into(), &0.into())
    );
    assert_eq!(
        json["mailboxes"][0]["problems"].as_array().map(Vec::len),
        Some(0),
        "{outcome}"
    );
    let after = [&from, &to].map(|server| Account::read(&mut server.imap("alice")));
    assert!(before == after, "verification wrote something");
    // What was said stays in the audit trail.
    assert!(job.run(&["events"]).stdout.contains("\"verified\""));
}

#[test]
fn whatever_is_done_to_a_server_by_hand_is_found() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &letters());
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    untouched(&job);

    let mut imap = to.imap("alice");
    imap.select("INBOX");
    // Removed, marked, moved to a folder of the migration and to one that is new, doubled.
    imap.remove("1");
    imap.select("INBOX");
    let uids: Vec<u32> = imap.fetch_all().iter().map(|message| message.uid).collect();
    imap.store(&uids[0].to_string(), "+FLAGS (\\Flagged mine)");
    imap.move_to(&uids[1].to_string(), "Other");
    imap.create("New");
    imap.move_to(&uids[2].to_string(), "New");
    imap.expect(&format!("UID COPY {} INBOX", uids[3]));
    // Its own mail is none of ours.
    writers::append(&mut imap, "INBOX", &corpus::bulk(202, 3));
    drop(imap);
    let store = to.store("alice");
    flip(&file_with(&store, b"<9@verify.example>"));
    let dated = file_with(&store, b"<11@verify.example>");
    let another = UNIX_EPOCH + Duration::from_secs(1_111_111_111);
    fs::File::options()
        .write(true)
        .open(&dated)
        .unwrap()
        .set_modified(another)
        .unwrap();
    forget(&store);

    let expected = [
        ("missing", 1),
        ("placement", 2),
        ("extra", 1),
        ("date", 1),
        ("flags", 1),
    ];
    let shallow = job.run(&["verify"]);
    shallow.expect(4);
    classes(&shallow, &expected);
    let lists = job.folder().join("lists");
    let combined = job.folder().join("combined");
    let deep = job.run(&[
        "verify",
        "--deep",
        "--combined",
        combined.to_str().unwrap(),
        "--differences",
        lists.to_str().unwrap(),
    ]);
    deep.expect(4);
    classes(&deep, &[&expected[..], &[("altered-content", 1)]].concat());
    assert_eq!(grade(&deep), "poor", "{deep}");
    assert_eq!(deep.json()["total"]["looked"]["own"], 3, "{deep}");
    for difference in deep.json()["mailboxes"][0]["found_different"].as_array().unwrap() {
        assert!(
            difference["cause"].is_string() && difference["remedy"].is_string(),
            "{difference}"
        );
    }

    // The same in files.
    for class in CLASSES {
        let text = fs::read_to_string(lists.join(format!("{class}.jsonl"))).unwrap();
        let counted = found(&deep).get(class).copied().unwrap_or_default();
        assert_eq!(text.lines().count() as u64, counted, "{class}: {text}");
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["class"], &line["mailbox"]), (&class.into(), &"alice".into()));
        }
    }
    let text = fs::read_to_string(combined).unwrap();
    let count = |sigil: char| {
        text.lines()
            .filter(|line| line.starts_with(&format!("{sigil} alice/")))
            .count()
    };
    assert_eq!(
        (count('='), count('+'), count('-'), count('*')),
        (19, 1, 1, 5),
        "{text}"
    );
    // Nothing of it is content.
    for part in ["letter 9", "verify.example"] {
        assert!(!deep.stdout.contains(part) && !text.contains(part));
    }

    // Strict: its own mail counts too.
    let strict = job.run(&["verify", "--strict"]);
    assert_eq!(found(&strict)["extra"], 4, "{strict}");
}

/// Lets Dovecot forget what it knows of the files.
fn forget(store: &Path) {
    for entry in fs::read_dir(store).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("dovecot.index") {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn whatever_is_done_to_a_maildir_by_hand_is_found() {
    let from = Dovecot::plain();
    writers::imap(&mut from.imap("alice"), '/', &letters());
    let tree = scratch::folder("tree");
    let job = Job::new(&[
        imap_side("source", &from),
        local_side(
            "destination",
            "maildir",
            &format!("root = \"{}\"", tree.path().display()),
        ),
        mailbox("alice", &account("alice"), "{ user = \"alice\" }"),
    ]);
    job.migrate();
    let files = Snapshot::take(tree.path(), &[]);
    untouched(&job);
    assert_eq!(files.changes(&Snapshot::take(tree.path(), &[])), Vec::<String>::new());

    let root = tree.path().join("alice");
    let letter = |number: u64| file_with(&root, format!("<{number}@verify.example>").as_bytes());
    fs::remove_file(letter(0)).unwrap();
    let marked = letter(1);
    let name = marked.file_name().unwrap().to_str().unwrap().to_owned();
    fs::rename(
        &marked,
        marked.with_file_name(format!("{}F{}", &name[..name.len() - 1], &name[name.len() - 1..])),
    )
    .unwrap();
    let moved = letter(2);
    fs::rename(&moved, root.join(".Other/cur").join(moved.file_name().unwrap())).unwrap();
    let doubled = letter(3);
    let twin = doubled.with_file_name("1420459999.M1P9.host:2,S");
    fs::copy(&doubled, &twin).unwrap();
    flip(&letter(4));
    let another = UNIX_EPOCH + Duration::from_secs(1_111_111_111);
    fs::File::options()
        .write(true)
        .open(letter(5))
        .unwrap()
        .set_modified(another)
        .unwrap();
    // Traces of delivery, as an agent leaves them, and the same text with other line ends.
    for (number, head) in [(6, "Return-Path: <a@example.com>\r\nReceived: from here\r\n"), (7, "")] {
        let path = letter(number);
        let text = format!("{head}{}", fs::read_to_string(&path).unwrap());
        let text = if number == 7 { text.replace("\r\n", "\n") } else { text };
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, text).unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    let expected = [
        ("missing", 1),
        ("flags", 1),
        ("placement", 1),
        ("extra", 1),
        ("date", 1),
        ("altered-transport", 1),
        ("altered-content", 1),
    ];
    let outcome = job.run(&["verify", "--deep"]);
    outcome.expect(4);
    classes(&outcome, &expected);
    // All of them but the one of the same size are seen without reading everything.
    let shallow = job.run(&["verify"]);
    shallow.expect(4);
    classes(&shallow, &expected[..6]);
}

#[test]
fn a_sample_finds_what_is_frequent_and_says_how_sure_it_is() {
    let (_from, to, job) = moved(204, 100);
    let sample = ["verify", "--sample", "40", "--seed", "7"];
    let outcome = job.run(&sample);
    outcome.expect(0);
    let estimate = outcome.json()["total"]["estimate"].clone();
    assert_eq!(
        (&estimate["read"], &estimate["different"], &estimate["of"]),
        (&40.into(), &0.into(), &100.into())
    );
    // 1 - 0.05^(1/40)
    let bound = estimate["at_most_percent"].as_f64().unwrap();
    assert!((bound - 7.2158).abs() < 0.001, "{bound}");
    assert_eq!(outcome.json()["sample"]["seed"], 7);

    let store = to.store("alice");
    let files: Vec<PathBuf> = fs::read_dir(store.join("cur"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.iter().for_each(|path| flip(path));
    forget(&store);
    let outcome = job.run(&sample);
    outcome.expect(4);
    let different = found(&outcome)["altered-content"];
    assert!(different > 0 && different < files.len() as u64, "{outcome}");
    assert_eq!(outcome.json()["total"]["estimate"]["different"], different);
    assert!(outcome.json()["total"]["estimate"]["at_most_percent"].as_f64().unwrap() > bound);
    // The same seed chooses the same; another one chooses others.
    assert_eq!(found(&job.run(&sample))["altered-content"], different);
    let ids = |outcome: &Outcome| outcome.json()["mailboxes"][0]["found_different"].clone();
    let other = job.run(&["verify", "--sample", "40", "--seed", "8"]);
    assert_ne!(ids(&other), ids(&outcome));
}

#[test]
fn what_changed_at_the_source_is_not_migrated_yet_and_no_difference() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    let mut imap = from.imap("alice");
    writers::imap(&mut imap, '/', &letters());
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    writers::append(&mut imap, "INBOX", &corpus::bulk(206, 4));
    imap.select("INBOX");
    imap.store("2", "+FLAGS (\\Flagged changed)");
    imap.remove("5");
    let outcome = job.run(&["verify", "--deep"]);
    outcome.expect(0);
    classes(&outcome, &[]);
    let total = outcome.json()["total"].clone();
    assert_eq!(
        total["since"],
        serde_json::json!({ "new": 4, "marked": 1, "gone": 1, "altered": 0 })
    );
    assert_eq!(
        (&total["found"], &total["pending"]),
        (&29.into(), &4.into()),
        "{outcome}"
    );
    assert_eq!(total["verdict"]["balanced"], true);
    job.migrate();
    let outcome = untouched(&job);
    assert_eq!(outcome.json()["total"]["since"]["new"], 0);
}

#[test]
fn without_its_source_a_destination_is_compared_with_the_ledger() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &letters());
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    let [nobody] = free_ports();
    job.rewrite(&[
        imap_side_at("source", nobody, Some(from.certificate())),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
        "[limits]\nretries = 1\n".to_owned(),
    ]);
    // Nothing is different, but the source was not looked at.
    let outcome = job.run(&["verify", "--deep"]);
    outcome.expect(3);
    classes(&outcome, &[]);
    assert_eq!(outcome.json()["total"]["looked"]["equal"], 25, "{outcome}");
    assert_eq!(
        outcome.mailbox("alice")["problems"][0]["code"],
        "unavailable",
        "{outcome}"
    );
    let store = to.store("alice");
    flip(&file_with(&store, b"<9@verify.example>"));
    forget(&store);
    let outcome = job.run(&["verify", "--deep"]);
    outcome.expect(4);
    classes(&outcome, &[("altered-content", 1)]);
}

#[test]
fn what_servers_formats_and_merging_change_is_no_difference() {
    // NUL and carriage returns, as Dovecot serves them, and every other hard case.
    let from = Dovecot::start(&Options {
        sent: "Sent Items",
        ..Options::default()
    });
    let to = Dovecot::start(&Options {
        format: Format::Mdbox,
        special: true,
        ..Options::default()
    });
    let corpus = corpus::hard(207, '/');
    writers::imap(&mut from.imap("alice"), '/', &corpus);
    // Some of it is there already, once with a flag of its own, and twice over.
    let mut part = Account {
        folders: vec![Folder::new(&["INBOX"]).with(corpus::bulk(208, 2))],
    };
    let own = part.folders[0].messages[0].clone();
    part.folders[0].messages.push(own);
    writers::imap(&mut to.imap("alice"), '/', &part);
    writers::append(&mut from.imap("alice"), "INBOX", &corpus::bulk(208, 2));
    let mut imap = to.imap("alice");
    imap.select("INBOX");
    imap.store("1", "+FLAGS (Kept)");
    let job = Job::new(&server_to_server(&from, &to));
    let outcome = job.migrate();
    assert_eq!(outcome.total("merged"), 2, "{outcome}");
    let outcome = untouched(&job);
    assert_eq!(outcome.json()["total"]["looked"]["own"], 1, "{outcome}");

    // Into spools, which mask, quote and end what needs it.
    let tree = scratch::folder("spools");
    let job = Job::new(&[
        imap_side("source", &from),
        local_side("destination", "mbox", &format!("root = \"{}\"", tree.path().display())),
        mailbox("alice", &account("alice"), "{ user = \"alice\" }"),
    ]);
    job.migrate();
    untouched(&job);
}

#[test]
fn what_rules_did_is_no_difference() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &ruled::mail(209, 150));
    let job = Job::new(&[
        imap_side("source", &from),
        imap_side("destination", &to),
        ruled::section(),
        mailbox("alice", &account("alice"), &account("alice")),
        mailbox("team", &account("team"), &account("team")),
    ]);
    fs::write(job.folder().join("rules.rhai"), ruled::SCRIPT).unwrap();
    let outcome = job.migrate();
    assert!(outcome.total("filtered") > 0, "{outcome}");
    let outcome = untouched(&job);
    assert_eq!(grade(&outcome), "perfect", "{outcome}");

    // A change to what a rule sent elsewhere is found by whom it came from.
    let mut imap: Imap = to.imap("team");
    imap.select("From Alice");
    imap.remove("1");
    let outcome = job.run(&["verify"]);
    outcome.expect(4);
    classes(&outcome, &[("missing", 1)]);
    assert_eq!(
        outcome.mailbox("alice")["found_different"][0]["place"]["mailbox"],
        "team",
        "{outcome}"
    );
}

#[test]
fn grades_follow_the_settings() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(210, 40));
    let mut sections = server_to_server(&from, &to);
    let job = Job::new(&sections);
    job.migrate();
    let mut imap = to.imap("alice");
    imap.select("INBOX");
    imap.store("1", "+FLAGS (Mine)");
    assert_eq!(grade(&job.run(&["verify"])), "investigate");
    sections.push("[verify]\ngood_slight = \"5%\"\n".into());
    job.rewrite(&sections);
    assert_eq!(grade(&job.run(&["verify"])), "good");
    sections.pop();
    sections.push("[verify]\nserious = [\"flags\"]\n".into());
    job.rewrite(&sections);
    assert_eq!(grade(&job.run(&["verify"])), "poor");
    sections.pop();
    sections.push("[verify]\nserious = [\"flag\"]\n".into());
    job.rewrite(&sections);
    let outcome = job.run(&["verify"]);
    outcome.expect(2);
    outcome.says(&["did you mean \\\"flags\\\"?"]);
}

#[test]
fn a_destination_that_gave_new_ids_is_known_again_by_its_content() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &letters());
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    let mut imap = to.imap("alice");
    imap.delete("Other");
    imap.create("Other");
    imap.subscribe("Other");
    writers::append(&mut imap, "Other", &(20..25).map(letter).collect::<Vec<_>>());
    let outcome = job.run(&["verify"]);
    outcome.expect(0);
    classes(&outcome, &[]);
    // A folder that was renamed is told, and its messages are found where they are.
    imap.rename("Other", "Elsewhere");
    let outcome = job.run(&["verify"]);
    outcome.expect(4);
    classes(&outcome, &[("placement", 5)]);
    assert!(
        outcome.mailbox("alice")["notes"]
            .to_string()
            .contains("`Other` is not at the destination")
    );
}

#[test]
fn other_servers_that_nobody_touched_are_without_a_difference() {
    let (from, cyrus, courier) = (Dovecot::plain(), Cyrus::start(), Courier::start());
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(211, 60));
    let job = Job::new(&server_to_server(&from, &cyrus));
    job.migrate();
    untouched(&job);
    // It keeps no keywords, and says so.
    let job = Job::new(&server_to_server(&from, &courier));
    job.migrate();
    untouched(&job);
}

#[test]
fn what_failed_or_was_never_migrated_is_not_passed_over() {
    // A server refuses a message without a byte, which a broken disk may leave in a Maildir.
    let tree = scratch::folder("tree");
    let mut letters = letters();
    let empty = Message::new(b"", &["\\Seen"], NOON);
    letters.folder_mut(&["INBOX"]).messages.push(empty);
    writers::maildir(tree.path(), &letters);
    let to = Dovecot::plain();
    let sections = |mailboxes: &[&str]| {
        let root = format!("root = \"{}\"", tree.path().display());
        let mut sections = vec![local_side("source", "maildir", &root), imap_side("destination", &to)];
        sections.extend(mailboxes.iter().map(|name| mailbox(name, "{}", &account(name))));
        sections
    };
    let job = Job::new(&sections(&["alice"]));
    let never = job.run(&["verify"]);
    assert_ne!(never.code, Some(0), "{never}");

    job.run(&["migrate"]).expect(3);
    let outcome = job.run(&["verify"]);
    outcome.expect(3);
    classes(&outcome, &[]);
    assert_eq!(outcome.total("failed"), 1, "{outcome}");

    // A mailbox that was added to the settings since.
    job.rewrite(&sections(&["alice", "bob"]));
    let outcome = job.run(&["verify", "--only", "bob"]);
    outcome.expect(3);
    assert_eq!(
        outcome.mailbox("bob")["problems"][0]["code"],
        "not-started",
        "{outcome}"
    );
}
