//! Lines that break, stall and garble: nothing lost, nothing doubled, nothing altered.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::time::Duration;

use whimbrel_tests::account::{Account, Folder};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus;
use whimbrel_tests::proxy::{Fault, Plan, Proxy};
use whimbrel_tests::run::{Job, account, imap_side_at, mailbox};
use whimbrel_tests::scratch::Random;
use whimbrel_tests::servers::{Dovecot, Options, Server};
use whimbrel_tests::trouble::{cuts, everything, until_finished};
use whimbrel_tests::writers;

fn filled(seed: u64, messages: u64) -> (Dovecot, Account) {
    let from = Dovecot::plain();
    let mut corpus = corpus::ordinary(seed, messages);
    corpus.folders.push(Folder::new(&["Twins"]).with(corpus::equal_twins()));
    writers::imap(&mut from.imap("alice"), '/', &corpus);
    let account = Account::read(&mut from.imap("alice"));
    (from, account)
}

fn through(from: &Dovecot, to: &Dovecot, source: &Proxy, destination: &Proxy, tls: bool) -> Job {
    let ca = |server: &Dovecot| tls.then(|| server.ca().to_owned());
    Job::new(&[
        // What is on its way when these lines break is lost or arrives at once.
        "[limits]\nquiet = \"300ms\"\n".to_owned(),
        imap_side_at("source", source.port(), ca(from).as_deref()),
        imap_side_at("destination", destination.port(), ca(to).as_deref()),
        mailbox("alice", &account("alice"), &account("alice")),
    ])
}

#[test]
fn cuts_on_the_way_to_a_server_with_uidplus() {
    let (from, expected) = filled(61, 300);
    let to = Dovecot::plain();
    let source = Proxy::start(from.port(), Plan::default());
    let destination = Proxy::start(
        to.port(),
        Plan {
            fault: cuts(1_500_000),
            seed: 1,
            ..Plan::default()
        },
    );
    until_finished(&through(&from, &to, &source, &destination, false), &[&destination]);
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}

#[test]
fn cuts_on_the_way_to_a_server_without_uidplus() {
    let (from, expected) = filled(62, 300);
    let to = Dovecot::start(&Options {
        capabilities: Some("IMAP4rev1 LITERAL+ MULTIAPPEND SPECIAL-USE NAMESPACE"),
        ..Options::default()
    });
    let source = Proxy::start(from.port(), Plan::default());
    let hidden = Proxy::start(to.port(), Plan::without_uidplus());
    let destination = Proxy::start(
        hidden.port(),
        Plan {
            fault: cuts(1_500_000),
            seed: 2,
            ..Plan::default()
        },
    );
    until_finished(&through(&from, &to, &source, &destination, false), &[&destination]);
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}

#[test]
fn every_fault_on_both_sides_over_tls() {
    let (from, expected) = filled(63, 300);
    let to = Dovecot::plain();
    let source = Proxy::start(
        from.tls_port().unwrap(),
        Plan {
            fault: everything(2_000_000),
            seed: 3,
            ..Plan::default()
        },
    );
    let destination = Proxy::start(
        to.tls_port().unwrap(),
        Plan {
            fault: everything(2_000_000),
            seed: 4,
            ..Plan::default()
        },
    );
    until_finished(
        &through(&from, &to, &source, &destination, true),
        &[&source, &destination],
    );
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
    assert_same(&expected, &Account::read(&mut from.imap("alice")), &Allow::default());
}

#[test]
fn a_long_line_costs_round_trips_not_messages() {
    // 300 small messages: one round trip a message would be 300 on either side.
    let from = Dovecot::plain();
    let messages = (0..300).map(corpus::tiny).collect();
    writers::imap(
        &mut from.imap("alice"),
        '/',
        &Account {
            folders: vec![Folder::new(&["INBOX"]).with(messages)],
        },
    );
    let to = Dovecot::plain();
    let line = || Plan {
        delay: Duration::from_millis(20),
        ..Plan::default()
    };
    let (source, destination) = (Proxy::start(from.port(), line()), Proxy::start(to.port(), line()));
    through(&from, &to, &source, &destination, false).migrate();
    for (side, proxy) in [("source", &source), ("destination", &destination)] {
        let turns = proxy.turns();
        println!("{side}: {turns} round trips on {} connections", proxy.connections());
        assert!(turns < 150, "{side}: {turns} round trips");
    }
    assert_same(
        &Account::read(&mut from.imap("alice")),
        &Account::read(&mut to.imap("alice")),
        &Allow::default(),
    );
}

#[test]
fn a_server_that_comes_back_is_waited_for() {
    let (from, expected) = filled(64, 40);
    let to = Dovecot::plain();
    let source = Proxy::start(from.port(), Plan::default());
    let refuse = |number, _: &mut Random| if number < 2 { Fault::Refuse } else { Fault::None };
    let destination = Proxy::start(
        to.port(),
        Plan {
            fault: Box::new(refuse),
            ..Plan::default()
        },
    );
    through(&from, &to, &source, &destination, false).migrate();
    assert!(destination.faults() == 2);
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}
