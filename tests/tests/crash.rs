//! Killed at any moment, run again: not one message lost, not one doubled.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::time::Duration;

use whimbrel_tests::account::Account;
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus;
use whimbrel_tests::proxy::{Plan, Proxy};
use whimbrel_tests::run::{Job, account, imap_side, imap_side_at, local_side, mailbox};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{Dovecot, Format, Options, Server};
use whimbrel_tests::trouble::{QUIET, kill_and_resume, slow};
use whimbrel_tests::{readers, writers};

fn filled(seed: u64, messages: u64) -> (Dovecot, Account) {
    let from = Dovecot::plain();
    let mut corpus = corpus::ordinary(seed, messages);
    corpus
        .folders
        .push(whimbrel_tests::account::Folder::new(&["Twins"]).with(corpus::equal_twins()));
    writers::imap(&mut from.imap("alice"), '/', &corpus);
    let account = Account::read(&mut from.imap("alice"));
    (from, account)
}

fn at(from: &Dovecot, proxy: &Proxy) -> Job {
    Job::new(&[
        QUIET.to_owned(),
        imap_side("source", from),
        imap_side_at("destination", proxy.port(), None),
        mailbox("alice", &account("alice"), &account("alice")),
    ])
}

#[test]
fn killed_25_times_on_the_way_to_a_server_with_uidplus() {
    let (from, expected) = filled(51, 500);
    let to = Dovecot::start(&Options {
        format: Format::Mdbox,
        ..Options::default()
    });
    let proxy = Proxy::start(to.port(), slow(&expected, Plan::default()));
    kill_and_resume(&at(&from, &proxy), &proxy, expected.bytes(), 25, 1);
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
    assert_same(&expected, &Account::read(&mut from.imap("alice")), &Allow::default());
}

#[test]
fn killed_25_times_on_the_way_to_a_server_without_uidplus() {
    let (from, expected) = filled(52, 500);
    let to = Dovecot::plain();
    let proxy = Proxy::start(to.port(), slow(&expected, Plan::without_uidplus()));
    kill_and_resume(&at(&from, &proxy), &proxy, expected.bytes(), 25, 2);
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}

#[test]
fn killed_10_times_on_the_way_to_a_server_that_knows_imap4rev1_only() {
    let (from, expected) = filled(53, 150);
    let to = Dovecot::start(&Options {
        capabilities: Some("IMAP4rev1"),
        ..Options::default()
    });
    let proxy = Proxy::start(to.port(), slow(&expected, Plan::without_uidplus()));
    kill_and_resume(&at(&from, &proxy), &proxy, expected.bytes(), 10, 3);
    let allow = Allow {
        special: true,
        ..Allow::default()
    };
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &allow);
}

#[test]
fn killed_15_times_on_the_way_to_a_maildir() {
    let (from, expected) = filled(54, 400);
    // The proxy stands before the source: what is written to the folder has to come from there.
    let proxy = Proxy::start(from.port(), slow(&expected, Plan::default()));
    let tree = scratch::folder("maildir");
    let job = Job::new(&[
        QUIET.to_owned(),
        imap_side_at("source", proxy.port(), None),
        local_side(
            "destination",
            "maildir",
            &format!("root = \"{}\"", tree.path().display()),
        ),
        mailbox("alice", &account("alice"), "{ user = \"alice\" }"),
    ]);
    kill_and_resume(&job, &proxy, expected.bytes(), 15, 4);
    let there = readers::maildir(&tree.path().join("alice"));
    assert_same(
        &expected,
        &there,
        &Allow {
            special: true,
            ..Allow::default()
        },
    );
}

#[test]
fn interrupted_it_stops_soon_says_so_and_goes_on() {
    let (from, expected) = filled(55, 300);
    let to = Dovecot::plain();
    let proxy = Proxy::start(
        to.port(),
        Plan {
            delay: Duration::from_millis(20),
            ..Plan::default()
        },
    );
    let job = at(&from, &proxy);
    let mut running = job.start(&["migrate"]);
    while proxy.bytes() < expected.bytes() / 4 {
        assert!(
            running.run_for(Duration::from_millis(2)),
            "it finished before it could be interrupted"
        );
    }
    running.interrupt();
    let outcome = running.wait(Duration::from_secs(20));
    outcome.expect(130);
    assert!(outcome.total("moved") > 0 && outcome.total("pending") > 0, "{outcome}");
    let status = job.run(&["status"]);
    assert_eq!(status.total("moved"), outcome.total("moved"), "{status}");
    let rest = job.migrate();
    assert!(rest.worked("copied") < expected.count() as u64, "{rest}");
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}

#[test]
fn a_second_process_on_the_same_state_is_turned_away() {
    let (from, _) = filled(56, 60);
    let to = Dovecot::plain();
    let proxy = Proxy::start(
        to.port(),
        Plan {
            delay: Duration::from_millis(150),
            ..Plan::default()
        },
    );
    let job = at(&from, &proxy);
    let mut first = job.start(&["migrate"]);
    while proxy.connections() == 0 {
        assert!(first.run_for(Duration::from_millis(5)), "the first run ended at once");
    }
    let second = job.run(&["migrate"]);
    assert!(matches!(second.code, Some(1 | 2)), "{second}");
    second.says(&["state"]);
    assert!(second.json()["error"].is_object(), "{second}");
    first.wait(Duration::from_secs(120)).expect(0);
    job.migrate();
}
