//! Reports: they say what `status` and `verify` say, need nothing else, and no name in a mailbox can harm who reads them.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::corpus::{self, NOON};
use whimbrel_tests::html::Page;
use whimbrel_tests::run::{Job, account, imap_side, mailbox, server_to_server};
use whimbrel_tests::servers::{Dovecot, Server};
use whimbrel_tests::writers;

/// Fails on some messages, and leaves some out.
const SCRIPT: &str = r#"
fn message(m) {
    if m.subject.contains("boom") { throw "no " + "luck"; }
    if m.subject.contains("spam") { m.skip("spam <b>of old</b>"); }
}
"#;

const COUNTS: [&str; 9] = [
    "found",
    "moved",
    "merged",
    "filtered",
    "oversize",
    "failed",
    "pending",
    "unexplained",
    "bytes",
];

fn letter(number: u64, subject: &str, size: usize) -> Message {
    let text = format!(
        "From: a@example.com\r\nMessage-ID: <{number}@report.example>\r\nSubject: {subject}\r\n\r\n{}\r\n",
        "words and more words\r\n".repeat(size / 22 + 1)
    );
    Message::new(
        text.as_bytes(),
        &["\\Seen"],
        NOON + i64::try_from(number).unwrap() * 86_400 * 40,
    )
}

/// Names that would like to be markup, to turn the line around, or to end an attribute.
const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "a\u{202e}lmth.exe",
    "&lt;b&gt; & 'quoted'",
];

fn mail() -> Account {
    let ordinary = (0..20).map(|number| letter(number, "hello", 400)).collect();
    let odd = HOSTILE.iter().enumerate().map(|(at, name)| {
        let at = at as u64;
        let boom = format!("boom {name} {at}");
        Folder::new(&[name]).with(vec![letter(100 + at, &boom, 300), letter(200 + at, "spam", 200)])
    });
    let mut folders = vec![Folder::new(&["INBOX"]).with(ordinary)];
    folders.extend(odd);
    folders.push(Folder::new(&["Large"]).with(vec![letter(300, "large", 60_000), letter(301, "small", 10)]));
    Account { folders }
}

/// Two mailboxes: one with everything that can become of a message, one without anything to say.
fn moved() -> (Dovecot, Dovecot, Job) {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    let all = mail();
    writers::imap(&mut from.imap("alice"), '/', &all);
    let plain = Account {
        folders: vec![Folder::new(&["INBOX"]).with((400..412).map(|number| letter(number, "hello", 300)).collect())],
    };
    writers::imap(&mut from.imap("bob"), '/', &plain);
    // The destination has three of them already.
    let there = Account {
        folders: vec![Folder::new(&["INBOX"]).with(all.folders[0].messages[..3].to_vec())],
    };
    writers::imap(&mut to.imap("alice"), '/', &there);
    let job = Job::new(&[
        "[limits]\nmax_item = \"40kB\"\n".to_owned(),
        "[rules]\nscript = \"rules.rhai\"\n".to_owned(),
        imap_side("source", &from),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
        mailbox("bob", &account("bob"), &account("bob")),
    ]);
    fs::write(job.folder().join("rules.rhai"), SCRIPT).unwrap();
    job.run(&["migrate"]).expect(3);
    (from, to, job)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn one<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mailboxes = report["mailboxes"].as_array().unwrap();
    mailboxes.iter().find(|mailbox| mailbox["name"] == name).unwrap()
}

#[test]
fn a_report_says_what_status_and_verify_say() {
    let (_from, _to, job) = moved();
    let early = job.run(&["report"]);
    early.expect(3);
    let json = early.json();
    assert_eq!(
        (&json["verdict"]["grade"], &json["verdict"]["verified"]),
        (&Value::Null, &0.into())
    );

    let verify = job.run(&["verify", "--deep"]);
    let status = job.run(&["status"]);
    let report = job.run(&["report"]);
    report.expect(3);
    let (json, status, verify) = (report.json(), status.json(), verify.json());
    for name in ["alice", "bob"] {
        let (own, other, checked) = (one(&json, name), one(&status, name), one(&verify, name));
        for count in COUNTS {
            assert_eq!(own[count], other[count], "{name}: {count}");
        }
        assert_eq!(own["verified"]["grade"], checked["verdict"]["grade"], "{name}");
        assert_eq!(own["verified"]["looked"], checked["looked"], "{name}");
        assert_eq!(own["verified"]["outdated"], false, "{name}");
    }
    for count in COUNTS {
        assert_eq!(json["total"][count], status["total"][count], "{count}");
    }
    assert_eq!(json["verdict"]["grade"], verify["total"]["verdict"]["grade"]);
    assert_eq!(json["verdict"]["balanced"], true);

    let alice = one(&json, "alice");
    let counts =
        ["found", "merged", "filtered", "oversize", "failed", "pending"].map(|count| alice[count].as_u64().unwrap());
    assert_eq!(counts, [30, 3, 4, 1, 4, 0]);
    assert_eq!(
        (&alice["state"], &one(&json, "bob")["state"]),
        (&"failed-items".into(), &"complete".into())
    );
    assert_eq!(alice["failed_items"].as_array().unwrap().len(), 4);
    for item in alice["failed_items"].as_array().unwrap() {
        assert_eq!((&item["code"], &item["subject"]), (&"rules".into(), &Value::Null));
        assert!(item["cause"].as_str().unwrap().contains("no luck"), "{item}");
        let kept = job.folder().join("state").join(item["quarantine"].as_str().unwrap());
        assert_eq!(
            fs::metadata(&kept).unwrap().len(),
            item["size"].as_u64().unwrap(),
            "{item}"
        );
    }
    assert_eq!(alice["oversize_items"][0]["limit"], 40_000);
    // What the rules did, by the messages that they did it to.
    let rules = json["done"]["rules"].as_array().unwrap();
    let skip = rules
        .iter()
        .find(|rule| rule["did"].as_str().unwrap().starts_with("skip"))
        .unwrap();
    assert_eq!((&skip["count"], &skip["line"]), (&4.into(), &4.into()));
    assert_eq!(json["done"]["filtered"][0]["count"], 4);
    // All that was found is in the histograms.
    for part in ["sizes", "received"] {
        let sum: u64 = json[part]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["messages"].as_u64().unwrap())
            .sum();
        assert_eq!(sum, 42, "{part}");
    }
    assert_eq!(json["reasons"][0]["code"], "rules");
    let commands: Vec<&str> = json["next"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|next| next["command"].as_str())
        .collect();
    assert!(commands.contains(&"whimbrel retry --reason rules"), "{commands:?}");

    // Both sides, as the run saw them.
    let source = &json["source"];
    assert_eq!(
        (&source["connectors"][0], &source["used"][0]["name"]),
        (&"imap".into(), &"imap".into())
    );
    assert_eq!(source["used"][0]["blake3"].as_str().unwrap().len(), 64);
    let server = &source["servers"][0];
    assert!(server["tls"].as_str().unwrap().starts_with("TLS 1."), "{server}");
    assert_eq!(server["turns"], 2);
    let run = &json["runs"]["list"][0];
    assert_eq!(
        (&json["runs"]["count"], &run["end"], &run["verb"]),
        (&1.into(), &"finished".into(), &"migrate".into())
    );
    assert_eq!(run["copied"], json["total"]["moved"]);
    let copied: f64 = json["rate"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["messages"].as_f64().unwrap() * point["seconds"].as_f64().unwrap() / 60.0)
        .sum();
    assert!((copied - run["copied"].as_f64().unwrap()).abs() < 0.01, "{copied}");

    // Only one mailbox; what is wrong with the other is none of its business.
    let bob = job.run(&["report", "--only", "bob"]);
    bob.expect(0);
    assert_eq!(bob.json()["verdict"]["level"], "good");
    assert_eq!(bob.json()["total"]["found"], 12);
}

#[test]
fn the_page_needs_nothing_and_no_name_can_harm_its_reader() {
    let (_from, _to, job) = moved();
    job.run(&["verify"]);
    let file = job.folder().join("report.html");
    job.run(&["report", "--html", path(&file)]).expect(3);
    let source = fs::read_to_string(&file).unwrap();
    let page = Page::read(&source);
    page.assert_self_contained();
    for part in [
        "alice",
        "bob",
        "Some messages failed",
        "no luck",
        "quarantine/alice/",
        "spam <b>of old</b>",
        "TLS 1.",
    ] {
        assert!(page.text.contains(part), "{part:?} is missing");
    }
    // The names are all there, as names.
    for name in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "a⟨U+202E⟩lmth.exe",
        "&lt;b&gt; & 'quoted'",
    ] {
        assert!(page.text.contains(name), "{name:?} is missing");
    }
    assert!(!source.contains('\u{202e}'));
    assert!(!page.text.contains("boom"), "subjects are hidden");
    // An earlier report gives way; nothing else does.
    job.run(&["report", "--subjects", "--html", path(&file)]).expect(3);
    let page = Page::read(&fs::read_to_string(&file).unwrap());
    page.assert_self_contained();
    for (at, name) in HOSTILE.iter().enumerate() {
        let subject = format!("boom {name} {at}").replace('\u{202e}', "⟨U+202E⟩");
        assert!(page.text.contains(&subject), "{subject:?} is missing");
    }
    let settings = fs::read_to_string(job.settings()).unwrap();
    let refused = job.run(&["report", "--html", path(&job.settings())]);
    refused.expect(2);
    refused.says(&["no report of whimbrel"]);
    assert_eq!(fs::read_to_string(job.settings()).unwrap(), settings);
}

#[test]
fn a_difference_is_reported_and_a_later_run_makes_it_one_of_the_past() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(402, 15));
    let job = Job::new(&server_to_server(&from, &to));
    // Nothing ran yet: that is a report too.
    let nothing = job.run(&["report"]);
    nothing.expect(3);
    assert_eq!(nothing.json()["verdict"]["not_started"], 1);
    job.migrate();
    job.run(&["verify"]).expect(0);
    let good = job.run(&["report"]);
    good.expect(0);
    assert_eq!(good.json()["verdict"]["level"], "good");

    let mut imap = to.imap("alice");
    imap.select("INBOX");
    imap.remove("1");
    let verify = job.run(&["verify"]);
    verify.expect(4);
    let report = job.run(&["report"]);
    report.expect(4);
    let json = report.json();
    assert_eq!(
        one(&json, "alice")["verified"]["found_different"][0]["class"],
        "missing"
    );
    assert_eq!(json["verdict"]["grade"], verify.json()["total"]["verdict"]["grade"]);

    std::thread::sleep(std::time::Duration::from_millis(1100));
    writers::append(&mut from.imap("alice"), "INBOX", &corpus::bulk(403, 2));
    job.migrate();
    let json = job.run(&["report"]).json();
    assert_eq!(
        (&json["verdict"]["outdated"], &json["runs"]["count"]),
        (&1.into(), &2.into())
    );

    // A record that cannot be read counts as none, and is told.
    let record: PathBuf = fs::read_dir(job.folder().join("state/verified"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&record, "{}\n").unwrap();
    let report = job.run(&["report"]);
    report.expect(0);
    assert_eq!(report.json()["verdict"]["verified"], 0);
    assert!(
        report
            .stderr
            .contains("the record of the last verification of `alice` cannot be read"),
        "{report}"
    );
}
