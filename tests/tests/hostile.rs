//! Connectors that mean harm: every attempt is refused, told in the report, and kept in the audit trail.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use whimbrel_tests::account::{Account, Message};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus::{self, NOON};
use whimbrel_tests::run::{
    Job, Outcome, Running, account, imap_side, local_side, mailbox, plugin, program, target_folder,
};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{Dovecot, PASSWORD, Server};
use whimbrel_tests::writers;

/// Mode, the sort of attempt that is noted, a part of what is noted.
const ATTEMPTS: [(&str, &str, &str); 17] = [
    ("ungranted-host", "connect", "ungranted.invalid:993"),
    ("host-tricks", "connect", "127.0.0.1..:993"),
    ("host-tricks", "connect", "127.0.0.1@evil.invalid:993"),
    ("host-tricks", "connect", "2130706433:993"),
    ("host-tricks", "connect", "127.0.0.1:22"),
    ("ungranted-setting", "folder", "mode"),
    ("escape-folder", "outside", "../outside"),
    ("absolute-path", "outside", "/etc/passwd"),
    ("other-mailbox", "outside", "../other/secret"),
    ("write-source", "write", "write a file"),
    ("write-source", "write", "remove a file"),
    ("fill-disk", "misuse", "bodies of its own of more than"),
    ("hoard-handles", "misuse", "handle limit exceeded"),
    ("hoard-folders", "misuse", "16 folders open"),
    ("huge-blob", "misuse", "2097152 bytes in one go"),
    ("flood-log", "flood", "log lines"),
    ("more-answers", "lie", "items for"),
];

/// Mode, and the count that must rise.
const FAULTS: [(&str, &str); 4] = [
    ("spin", "timeouts"),
    ("allocate", "memory_refusals"),
    ("trap", "traps"),
    ("recurse", "traps"),
];

/// From the connector that misbehaves to a Maildir, a mailbox for each mode.
fn job(modes: &[&str], out: &Path) -> Job {
    let mut sections = vec![
        "[limits]\ncpu = \"5s\"\nretries = 1\nplugin_disk = \"32MiB\"\nmailboxes = 4\n".to_owned(),
        local_side(
            "source",
            plugin("misbehaving").to_str().unwrap(),
            "host = \"127.0.0.1\", port = 993",
        ),
        local_side("destination", "maildir", &format!("root = \"{}\"", out.display())),
    ];
    for mode in modes {
        let source = format!(
            "{{ mode = \"{mode}\", folder = \"mail/{mode}\", user = \"u\", password = {{ env = \"WHIMBREL_TEST_PASSWORD\" }} }}"
        );
        sections.push(mailbox(mode, &source, &format!("{{ user = \"{mode}\" }}")));
    }
    let job = Job::new(&sections);
    for folder in modes.iter().chain(&["other"]) {
        let folder = job.folder().join("mail").join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("kept"), "as it was").unwrap();
    }
    fs::write(job.folder().join("mail/other/secret"), "of another mailbox").unwrap();
    job.trust("misbehaving");
    job
}

/// The modes of a table, each once.
fn modes<'t>(names: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    names
}

/// What the connector of one side of a mailbox used and tried.
fn connector(outcome: &Outcome, name: &str, side: &str) -> Value {
    let mailbox = outcome.mailbox(name);
    let connectors = mailbox["connectors"].as_array().cloned().unwrap_or_default();
    let found = connectors.into_iter().find(|connector| connector["side"] == side);
    found.unwrap_or_else(|| panic!("no connector at the {side}: {mailbox}"))
}

fn names_of(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_a_connector_tries_is_refused_told_and_kept() {
    let out = scratch::folder("out");
    let modes = modes(ATTEMPTS.iter().map(|(mode, ..)| *mode));
    let job = job(&modes, out.path());
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    let events = job.events();
    for (mode, sort, part) in ATTEMPTS {
        let about = connector(&outcome, mode, "source");
        let refused = about["refused"].as_array().unwrap();
        let is_it = |it: &&Value| it["attempt"] == sort && it["what"].as_str().unwrap().contains(part);
        let found = refused.iter().find(is_it);
        let found = found.unwrap_or_else(|| panic!("{mode}: no {sort} {part:?} in {about}"));
        assert!(found["count"].as_u64().unwrap() > 0);
        let kept = events.iter().any(|event| {
            let fields = &event["fields"];
            event["kind"] == "refused"
                && event["mailbox"] == mode
                && fields["side"] == "source"
                && fields["connector"] == "misbehaving"
                && is_it(&fields)
        });
        assert!(kept, "{mode}: no event of {sort} {part:?}");
        let text = outcome.mailbox(mode).to_string();
        assert!(
            !text.contains("door was open") && !text.contains("was not forbidden"),
            "{text}"
        );
        // The honest side is quiet.
        assert_eq!(
            connector(&outcome, mode, "destination")["refused"],
            Value::Array(Vec::new())
        );
    }
    for mode in &modes {
        let folder = job.folder().join("mail").join(mode);
        assert_eq!(names_of(&folder), ["kept"], "{mode}");
        assert_eq!(fs::read_to_string(folder.join("kept")).unwrap(), "as it was", "{mode}");
    }
    assert_eq!(names_of(&job.folder().join("mail/other")), ["kept", "secret"]);
    assert!(outcome.peak < 900 << 20, "peak {} MiB", outcome.peak >> 20);
}

#[test]
fn faults_are_counted_and_kept() {
    let out = scratch::folder("out");
    let modes: Vec<&str> = FAULTS.iter().map(|(mode, _)| *mode).collect();
    let job = job(&modes, out.path());
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    let events = job.events();
    for (mode, count) in FAULTS {
        let about = connector(&outcome, mode, "source");
        assert!(about[count].as_u64().unwrap() > 0, "{mode}: {about}");
        assert!(
            about["instances"].as_u64().unwrap() > 1,
            "a faulty instance is not used again: {about}"
        );
        let kept = events.iter().any(|event| {
            event["kind"] == "faults" && event["mailbox"] == mode && event["fields"][count].as_u64() > Some(0)
        });
        assert!(kept, "{mode}: no event");
    }
}

#[test]
fn nothing_is_told_where_nothing_was_tried() {
    let out = scratch::folder("out");
    let job = job(&["good"], out.path());
    let outcome = job.migrate();
    for side in ["source", "destination"] {
        let about = connector(&outcome, "good", side);
        assert_eq!(about["refused"], Value::Array(Vec::new()), "{about}");
        for count in ["calls", "instances", "peak_memory"] {
            assert!(about[count].as_u64().unwrap() > 0, "{count}: {about}");
        }
    }
    assert_eq!(connector(&outcome, "good", "destination")["connector"], "maildir");
    let told = |event: &Value| event["kind"] == "refused" || event["kind"] == "faults";
    assert!(!job.events().iter().any(told));
}

/// As a person sees it: without `--json`.
fn shown(job: &Job, words: &[&str]) -> Outcome {
    let mut command = Command::new(program());
    command
        .args(words)
        .arg("--config")
        .arg(job.settings())
        .current_dir(job.folder())
        .env("WHIMBREL_TEST_PASSWORD", PASSWORD)
        .env_remove("WHIMBREL_PLUGINS")
        .arg("--plugins")
        .arg(target_folder().join("plugins"));
    Running::start(&mut command).wait(Duration::from_secs(300))
}

#[test]
fn people_are_told_what_was_tried_and_names_do_not_drive_the_terminal() {
    let out = scratch::folder("out");
    let job = job(&["odd-names", "other-mailbox", "good"], out.path());
    let outcome = shown(&job, &["migrate", "-vv"]);
    outcome.expect(3);
    outcome.says(&[
        "other-mailbox, source: the connector `misbehaving`",
        "was refused",
        "../other/secret (outside)",
        "whimbrel events --only other-mailbox",
    ]);
    let text = format!("{}{}", outcome.text(), shown(&job, &["events"]).text());
    let odd = |c: char| c == '\u{1b}' || c == '\u{7}' || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{2066}';
    let found = text.lines().find(|line| line.contains(odd));
    assert_eq!(found, None);
    assert!(text.contains("gnp.tnes"), "the folder is named: {text}");
    assert!(!outcome.text().contains("good, source: the connector"), "{outcome}");
}

#[test]
fn a_password_is_nowhere_to_be_seen() {
    let server = Dovecot::plain();
    writers::imap(&mut server.imap("alice"), '/', &corpus::hard(3, '/'));
    let out = scratch::folder("out");
    let needle: String = PASSWORD.chars().rev().collect();
    let login = "user = \"alice\", password = { env = \"WHIMBREL_TEST_PASSWORD\" }";
    let job = Job::new(&[
        local_side(
            "source",
            plugin("misbehaving").to_str().unwrap(),
            &format!("host = \"127.0.0.1\", port = {}, tls = \"insecure\"", server.port()),
        ),
        local_side(
            "destination",
            "maildir",
            &format!("root = \"{}\"", out.path().display()),
        ),
        mailbox(
            "alice",
            &format!("{{ mode = \"read-secrets\", needle = \"{needle}\", {login} }}"),
            "{ user = \"alice\" }",
        ),
    ]);
    job.trust("misbehaving");
    let outcome = job.run(&["migrate", "-vvv"]);
    outcome.expect(0);
    assert!(
        connector(&outcome, "alice", "source")["host_calls"]["imap"].as_u64() > Some(10),
        "it looked: {outcome}"
    );
    assert!(!outcome.text().contains(PASSWORD), "in the output");
    // What is left behind holds it no more than what the connector sees.
    assert_eq!(holding(job.folder(), PASSWORD.as_bytes()), Vec::<PathBuf>::new());
}

/// The files below a folder that hold these bytes.
fn holding(folder: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path)
                .unwrap()
                .windows(needle.len())
                .any(|window| window == needle)
            {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn what_lies_in_the_state_folder_is_no_content() {
    let server = Dovecot::plain();
    let text = "From: Heron <heron@shore.example>\r\nSubject: heron-subject\r\nMessage-ID: <heron-id@shore.example>\r\n\r\nheron-body\r\n";
    writers::append(
        &mut server.imap("alice"),
        "INBOX",
        &[Message::new(text.as_bytes(), &[], NOON), corpus::tiny(1)],
    );
    let out = scratch::folder("out");
    let job = Job::new(&[
        imap_side("source", &server),
        local_side(
            "destination",
            "maildir",
            &format!("root = \"{}\"", out.path().display()),
        ),
        mailbox("alice", &account("alice"), "{ user = \"alice\" }"),
    ]);
    assert_eq!(job.migrate().total("moved"), 2);
    for word in ["heron-subject", "heron-body", "shore.example", PASSWORD] {
        let found = holding(&job.folder().join("state"), word.as_bytes());
        assert_eq!(found, Vec::<PathBuf>::new(), "{word}");
    }
}

#[test]
fn an_imap_source_cannot_be_altered() {
    let server = Dovecot::plain();
    let corpus = corpus::hard(3, '/');
    writers::imap(&mut server.imap("alice"), '/', &corpus);
    let before = Account::read(&mut server.imap("alice"));
    let out = scratch::folder("out");
    let job = Job::new(&[
        local_side(
            "source",
            plugin("misbehaving").to_str().unwrap(),
            &format!("host = \"127.0.0.1\", port = {}, tls = \"insecure\"", server.port()),
        ),
        local_side(
            "destination",
            "maildir",
            &format!("root = \"{}\"", out.path().display()),
        ),
        mailbox(
            "alice",
            "{ mode = \"write-imap\", user = \"alice\", password = { env = \"WHIMBREL_TEST_PASSWORD\" } }",
            "{ user = \"alice\" }",
        ),
    ]);
    job.trust("misbehaving");
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    let about = connector(&outcome, "alice", "source");
    for what in [
        "open a mailbox for writing",
        "store messages",
        "set flags",
        "copy messages",
        "move messages",
        "create a mailbox",
        "subscribe to a mailbox",
    ] {
        let refused = about["refused"].as_array().unwrap();
        assert!(
            refused.iter().any(|it| it["attempt"] == "write" && it["what"] == what),
            "{what}: {about}"
        );
    }
    assert!(!outcome.text().contains("door was open"), "{outcome}");
    assert_same(&before, &Account::read(&mut server.imap("alice")), &Allow::dovecot());
}
