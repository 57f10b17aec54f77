//! `whimbrel rules try` on real mailboxes: what it shows is what a migration then does, and nothing is changed by it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use whimbrel_tests::account::{Account, sorted};
use whimbrel_tests::corpus;
use whimbrel_tests::imap::Body;
use whimbrel_tests::run::{Job, server_to_server};
use whimbrel_tests::servers::{Dovecot, Options, Server};
use whimbrel_tests::snapshot::Snapshot;
use whimbrel_tests::writers;

/// What Dovecot keeps for itself beside the mail and rewrites when it is only read.
const DOVECOT: [&str; 4] = [
    "dovecot.index",
    "dovecot-uidlist",
    "dovecot.list.index",
    "dovecot-uidvalidity",
];

/// By size and folder, without a look at the message, and by head and attachments.
const NEW: &str = r#"
const YEAR = 2010;

fn folder(f) {
    if f.path == "Lists/rust" {
        f.move_to("Rust");
    }
}

fn message(m) {
    large(m);
    by_year(m);
    paper(m);
}

fn large(m) {
    if m.size > 100.kb() && m.folder == "INBOX" {
        m.skip("too large for an inbox");
    }
}

fn by_year(m) {
    if m.role == "inbox" && m.date.year < YEAR {
        m.move_to(["Archive", m.date.year.to_string()]);
        m.set_flag("\\Seen");
    }
}

fn paper(m) {
    for attachment in m.attachments {
        if attachment.type == "application/pdf" {
            m.add_keyword("Paper");
            m.copy_to("Paper");
        }
    }
}
"#;

fn with_rules(from: &Dovecot, to: &Dovecot) -> Vec<String> {
    let mut sections = server_to_server(from, to);
    sections.push("[rules]\nscript = \"rules.rhai\"\n".to_owned());
    sections
}

fn full(seed: u64, messages: u64) -> Dovecot {
    let server = Dovecot::plain();
    writers::imap(&mut server.imap("alice"), '/', &corpus::ordinary(seed, messages));
    server
}

/// Each message of an account by its folder and UID.
fn bodies(server: &Dovecot) -> BTreeMap<(String, String), Body> {
    let mut imap = server.imap("alice");
    let mut out = BTreeMap::new();
    for folder in imap.list().into_iter().filter(|folder| !folder.has("\\NonExistent")) {
        imap.examine(&folder.name);
        for message in imap.fetch_all() {
            out.insert((folder.name.clone(), message.uid.to_string()), message.body);
        }
    }
    out
}

fn lines(job: &Job, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(job.folder().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts(value: &Value) -> Vec<String> {
    let all = value.as_array().unwrap().iter();
    all.map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_tried_is_what_happens() {
    let (from, to) = (full(17, 400), Dovecot::start(&Options::default()));
    let job = Job::new(&with_rules(&from, &to));
    fs::write(job.folder().join("rules.rhai"), NEW).unwrap();
    let files = Snapshot::take(&from.store("alice"), &DOVECOT);
    let tried = job.run(&["rules", "try", "--list", "all.jsonl"]);
    tried.expect(0);
    assert_eq!(
        files.changes(&Snapshot::take(&from.store("alice"), &DOVECOT)),
        Vec::<String>::new()
    );
    assert!(!job.folder().join("state").exists(), "trying leaves no state");
    assert_eq!(
        Account::read(&mut to.imap("alice")).count(),
        0,
        "nothing arrives by trying"
    );
    let document = tried.json();
    assert_eq!(document["looked_at"]["messages"], 400, "{tried}");

    let source = bodies(&from);
    let mut expected: Vec<(String, Body, Vec<String>)> = Vec::new();
    let mut left_out = 0;
    for line in lines(&job, "all.jsonl") {
        let now = &line["now"];
        assert_eq!(now["error"], Value::Null, "{line}");
        let place = (
            now["from"].as_str().unwrap().to_owned(),
            now["id"].as_str().unwrap().to_owned(),
        );
        if !now["skip"].is_null() {
            left_out += 1;
            continue;
        }
        let flags = sorted(texts(&now["flags_after"]));
        for to in [vec![now["to"].as_str().unwrap().to_owned()], texts(&now["copies"])].concat() {
            expected.push((to, source[&place].clone(), flags.clone()));
        }
    }
    assert!(left_out > 0 && expected.len() > 400, "{left_out} of {}", expected.len());
    assert_eq!(document["summary"]["skipped"], left_out);

    let moved = job.migrate();
    moved.adds_up();
    assert_eq!(moved.total("filtered"), left_out);
    let mut found: Vec<(String, Body, Vec<String>)> = Vec::new();
    for folder in Account::read(&mut to.imap("alice")).folders {
        let messages = folder.messages.into_iter();
        found.extend(messages.map(|message| (folder.path.join("/"), message.body, message.flags)));
    }
    let order = |one: &(String, Body, Vec<String>)| (one.0.clone(), one.1.bytes.clone(), one.2.clone());
    expected.sort_by_key(order);
    found.sort_by_key(order);
    assert_eq!(found.len(), expected.len(), "{moved}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            found == expected,
            "{} {:?} instead of {} {:?}",
            found.0,
            found.2,
            expected.0,
            expected.2
        );
    }
    let by_rule = |document: &Value, of: &str, count: &str| -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for rule in document[of].as_array().unwrap() {
            *sums.entry(rule["rule"].as_str().unwrap().to_owned()).or_default() += rule[count].as_u64().unwrap();
        }
        sums
    };
    let tried = by_rule(&document["summary"], "rules", "messages");
    let did = by_rule(&moved.mailbox("alice"), "rules", "count");
    for rule in ["large", "by_year", "paper"] {
        assert_eq!((rule, tried[rule]), (rule, did[rule]), "as many messages by each rule");
    }
}

#[test]
fn two_versions_are_compared_message_by_message() {
    let (from, to) = (full(18, 300), Dovecot::plain());
    let job = Job::new(&with_rules(&from, &to));
    fs::write(job.folder().join("old.rhai"), NEW).unwrap();
    let script = NEW.replace("YEAR = 2010", "YEAR = 2012").replace("100.kb()", "40.kb()");
    fs::write(job.folder().join("rules.rhai"), script).unwrap();
    let compared = job.run(&["rules", "try", "--against", "old.rhai", "--list", "all.jsonl"]);
    compared.expect(0);
    let (mut rerouted, mut skipped) = (0, 0);
    for line in lines(&job, "all.jsonl") {
        let (now, before) = (&line["now"], &line["before"]);
        skipped += u64::from(before["skip"].is_null() && !now["skip"].is_null());
        rerouted += u64::from(before["skip"].is_null() && now["skip"].is_null() && before["to"] != now["to"]);
    }
    assert!(rerouted > 0 && skipped > 0, "{compared}");
    let document = compared.json();
    let count = |change: &str| {
        let counts = document["difference"]["counts"].as_array().unwrap();
        let found = counts.iter().find(|count| count["change"] == change);
        found
            .map(|count| count["messages"].as_u64().unwrap())
            .unwrap_or_default()
    };
    assert_eq!(
        (count("rerouted"), count("newly-skipped")),
        (rerouted, skipped),
        "{compared}"
    );
    assert_eq!(document["difference"]["messages"], 300);
}

#[test]
fn one_message_one_folder_and_none() {
    let (from, to) = (full(19, 40), Dovecot::plain());
    let job = Job::new(&with_rules(&from, &to));
    fs::write(job.folder().join("rules.rhai"), NEW).unwrap();
    let one = job.run(&["rules", "try", "--folder", "archive/2019", "--id", "3"]);
    one.expect(0);
    assert_eq!(one.json()["looked_at"]["messages"], 1, "{one}");
    let some = job.run(&["rules", "try", "--folder", "Archive", "--most", "4"]);
    assert_eq!(
        some.json()["looked_at"]["messages"],
        8,
        "four of each folder below Archive: {some}"
    );
    let none = job.run(&["rules", "try", "--folder", "Nowhere"]);
    none.expect(2);
    none.says(&["there is no folder `Nowhere`", "whimbrel plan"]);
    let no_id = job.run(&["rules", "try", "--folder", "INBOX", "--id", "99999"]);
    no_id.expect(2);
    no_id.says(&["there is no message with the id `99999`"]);
}
