//! Trouble that passes: the run waits, and goes on by itself; everything arrives once.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::thread;
use std::time::{Duration, Instant};

use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus::{self, NOON};
use whimbrel_tests::proxy::{Fault, Plan, Proxy};
use whimbrel_tests::run::{Job, account, imap_side, imap_side_at, local_side, mailbox, server_to_server};
use whimbrel_tests::scratch::{self, Random};
use whimbrel_tests::servers::{Cyrus, Dovecot, Options, Server};
use whimbrel_tests::writers;

/// What is on its way when lines here break is lost or arrives at once.
const QUICK: &str = "[limits]\nquiet = \"300ms\"\n";

fn filled(seed: u64, messages: u64) -> (Dovecot, Account) {
    let from = Dovecot::plain();
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(seed, messages));
    let account = Account::read(&mut from.imap("alice"));
    (from, account)
}

fn job(limits: &str, source: u16, destination: u16) -> Job {
    Job::new(&[
        limits.to_owned(),
        imap_side_at("source", source, None),
        imap_side_at("destination", destination, None),
        mailbox("alice", &account("alice"), &account("alice")),
    ])
}

/// Waits until half of these bytes passed.
fn half_way(proxy: &Proxy, bytes: u64) {
    let start = Instant::now();
    while proxy.bytes() < bytes / 2 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing moves");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_network_that_is_gone_for_seconds_is_waited_for() {
    let (from, expected) = filled(201, 300);
    let to = Dovecot::plain();
    let slow = || Plan {
        rate: Some(expected.bytes() / 3),
        ..Plan::default()
    };
    let (source, destination) = (Proxy::start(from.port(), slow()), Proxy::start(to.port(), slow()));
    let job = job(QUICK, source.port(), destination.port());
    let running = job.start(&["migrate"]);
    half_way(&destination, expected.bytes());
    source.away(true);
    destination.away(true);
    thread::sleep(Duration::from_secs(3));
    source.away(false);
    destination.away(false);
    let outcome = running.wait(Duration::from_secs(120));
    outcome.expect(0);
    outcome.adds_up();
    assert!(destination.faults() > 0 && source.faults() > 0);
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}

#[test]
fn a_server_that_starts_anew_is_waited_for() {
    let (from, expected) = filled(202, 300);
    let mut to = Dovecot::plain();
    let slow = Plan {
        rate: Some(expected.bytes() / 3),
        ..Plan::default()
    };
    let destination = Proxy::start(to.port(), slow);
    let job = job(QUICK, from.port(), destination.port());
    let running = job.start(&["migrate"]);
    half_way(&destination, expected.bytes());
    to.restart(Duration::from_secs(2));
    let outcome = running.wait(Duration::from_secs(120));
    outcome.expect(0);
    outcome.adds_up();
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}

#[test]
fn a_server_that_asks_to_wait_is_given_its_time() {
    let (from, expected) = filled(203, 40);
    let to = Dovecot::plain();
    const BUSY: &[u8] = b"* BYE [UNAVAILABLE] Request is throttled. Suggested Backoff Time: 1500 milliseconds\r\n";
    let busy = |number, _: &mut Random| if number < 4 { Fault::Say(BUSY) } else { Fault::None };
    let destination = Proxy::start(
        to.port(),
        Plan {
            fault: Box::new(busy),
            ..Plan::default()
        },
    );
    let outcome = job(QUICK, from.port(), destination.port()).migrate();
    outcome.adds_up();
    assert_eq!(destination.faults(), 4);
    // A lower bound that was promised to the server.
    assert!(outcome.seconds >= 1.5, "{outcome}");
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}

#[test]
fn a_longer_wish_parks_the_mailbox_and_says_until_when() {
    let (from, _) = filled(204, 10);
    let to = Dovecot::plain();
    const BUSY: &[u8] = b"* BYE [UNAVAILABLE] Request is throttled. Suggested Backoff Time: 300000 milliseconds\r\n";
    let destination = Proxy::start(
        to.port(),
        Plan {
            fault: Box::new(|_, _: &mut Random| Fault::Say(BUSY)),
            ..Plan::default()
        },
    );
    let job = job("[limits]\nwait = \"1s\"\n", from.port(), destination.port());
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    let parked = outcome.mailbox("alice")["parked"].clone();
    assert_eq!(parked["class"], "throttled", "{outcome}");
    assert_eq!(outcome.mailbox("alice")["problems"][0]["code"], "throttled");
    let status = job.run(&["status"]);
    assert_eq!(status.mailbox("alice")["parked"], parked, "{status}");
    let job = self::job("[limits]\nwait = \"1s\"\n", from.port(), to.port());
    assert!(job.migrate().mailbox("alice")["parked"].is_null());
}

#[test]
fn a_message_at_which_the_line_breaks_is_found_and_the_rest_arrives() {
    let from = Dovecot::plain();
    let mut messages: Vec<Message> = (0..60).map(corpus::tiny).collect();
    let bad = b"From: a@example.org\r\nSubject: bad\r\n\r\nPOISONOUS\r\n".to_vec();
    messages.insert(37, Message::new(&bad, &[], NOON));
    let all = Account {
        folders: vec![Folder::new(&["INBOX"]).with(messages)],
    };
    writers::imap(&mut from.imap("alice"), '/', &all);
    let to = Dovecot::plain();
    let destination = Proxy::start(
        to.port(),
        Plan {
            poison: Some(b"POISONOUS"),
            ..Plan::default()
        },
    );
    let job = job(QUICK, from.port(), destination.port());
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(
        (
            outcome.total("moved"),
            outcome.total("failed"),
            outcome.total("pending")
        ),
        (60, 1, 0),
        "{outcome}"
    );
    let quarantine = std::fs::read_dir(job.folder().join("state/quarantine/alice")).unwrap();
    let kept: Vec<Vec<u8>> = quarantine
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(kept, [bad]);
    assert_eq!(Account::read(&mut to.imap("alice")).count(), 60);
    // Without the trouble it arrives too.
    job.rewrite(&[
        QUICK.to_owned(),
        imap_side("source", &from),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    job.run(&["retry"]).expect(0);
    assert_same(
        &Account::read(&mut from.imap("alice")),
        &Account::read(&mut to.imap("alice")),
        &Allow::default(),
    );
}

#[test]
fn a_quota_that_is_raised_lets_the_rest_in() {
    let (from, expected) = filled(205, 40);
    let to = Dovecot::start(&Options {
        quota: Some("300k"),
        ..Options::default()
    });
    let mut sections = server_to_server(&from, &to);
    sections.push("[limits]\nwait = \"1s\"\n".to_owned());
    let job = Job::new(&sections);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(outcome.mailbox("alice")["parked"]["class"], "over-quota", "{outcome}");
    let moved = outcome.total("moved");
    assert!(moved < 40, "{outcome}");
    to.set_quota("50M");
    let start = Instant::now();
    loop {
        let outcome = job.run(&["migrate"]);
        if outcome.code == Some(0) {
            break;
        }
        // The server takes a moment to read its settings again.
        assert!(start.elapsed() < Duration::from_secs(60), "{outcome}");
    }
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}

#[test]
fn what_may_be_moved_in_a_day_parks_the_mailbox_until_tomorrow() {
    let (from, expected) = filled(206, 60);
    let to = Dovecot::plain();
    let daily = expected.bytes() / 3;
    let mut destination = imap_side("destination", &to);
    destination.push_str(&format!("daily = {daily}\n"));
    let job = Job::new(&[
        "[limits]\nwait = \"1s\"\n".to_owned(),
        imap_side("source", &from),
        destination,
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    let assessed = job.run(&["assess"]).json();
    assert!(assessed["mailboxes"][0]["days"].as_u64() >= Some(3), "{assessed}");
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    let parked = &outcome.mailbox("alice")["parked"];
    assert_eq!(parked["class"], "daily-budget", "{outcome}");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let wait = u128::from(parked["until_unix_ms"].as_u64().unwrap()) - now;
    assert!(wait > 23 * 3_600_000 && wait < 25 * 3_600_000, "{wait}");
    let there = Account::read(&mut to.imap("alice"));
    assert!(there.bytes() <= daily && there.count() > 0, "{}", there.bytes());
    let again = job.run(&["migrate"]);
    again.expect(3);
    assert_eq!(again.worked("copied"), 0, "{again}");
}

#[test]
fn refused_messages_are_repaired_where_that_was_opted_for() {
    let bad = b"From: a@example.org\r\nSubject: bad\r\n\r\nbe\0fore\r\n".to_vec();
    let good = corpus::tiny(1);
    let all = Account {
        folders: vec![Folder::new(&["INBOX"]).with(vec![Message::new(&bad, &[], NOON), good])],
    };
    // From a store that keeps NUL as it is.
    let folder = scratch::folder("maildir");
    writers::maildir(folder.path(), &all);
    let to = Cyrus::start();
    // With BINARY (RFC 3516) it takes NUL.
    let proxy = Proxy::start(
        to.port(),
        Plan {
            replace: vec![(b" BINARY", b" BINXRY")],
            ..Plan::default()
        },
    );
    let sections = |repairs: &str| {
        let mut destination = imap_side_at("destination", proxy.port(), None);
        destination.push_str(repairs);
        vec![
            local_side("source", "maildir", &format!("root = \"{}\"", folder.path().display())),
            destination,
            mailbox("alice", "{}", &account("alice")),
        ]
    };
    let job = Job::new(&sections(""));
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!((outcome.total("moved"), outcome.total("failed")), (1, 1), "{outcome}");
    job.rewrite(&sections("repairs = [\"nul\"]\nrepairs_keep_original = true\n"));
    let outcome = job.run(&["retry"]);
    outcome.expect(0);
    assert_eq!(outcome.total("moved"), 2, "{outcome}");
    let there = Account::read(&mut to.imap("alice"));
    assert_eq!(there.count(), 2);
    let exported = job.folder().join("ledger.jsonl");
    job.run(&["ledger", "export", exported.to_str().unwrap()]).expect(0);
    assert!(std::fs::read_to_string(exported).unwrap().contains("\"nul\""));
    let verified = job.run(&["verify", "--deep"]);
    verified.expect(0);
}
