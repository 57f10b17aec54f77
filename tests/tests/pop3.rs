//! From POP3 servers to IMAP: all of it arrives, and the source stays as it was.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::path::Path;
use std::time::Duration;

use whimbrel_tests::account::{Account, Folder};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus;
use whimbrel_tests::provider::Provider;
use whimbrel_tests::proxy::{Fault, Plan, Proxy};
use whimbrel_tests::run::{Job, account, imap_side, local_side, mailbox};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{Courier, Dovecot, Options, Server};
use whimbrel_tests::snapshot::Snapshot;
use whimbrel_tests::trouble::{QUIET, kill_and_resume, slow, until_finished};
use whimbrel_tests::writers;

fn pop3_side(port: u16, tls: &str, ca: Option<&Path>) -> String {
    let host = if ca.is_some() { "localhost" } else { "127.0.0.1" };
    let settings = format!("host = \"{host}\", port = {port}, tls = \"{tls}\"");
    let side = local_side("source", "pop3", &settings);
    match ca {
        Some(ca) => side.replace("connector", &format!("ca = \"{}\"\nconnector", ca.display())),
        None => side,
    }
}

fn dovecot() -> Dovecot {
    Dovecot::start(&Options {
        pop3: true,
        ..Options::default()
    })
}

fn inbox(messages: Vec<whimbrel_tests::account::Message>) -> Account {
    Account {
        folders: vec![Folder::new(&["INBOX"]).with(messages)],
    }
}

fn read(server: &dyn Server) -> Account {
    Account::read(&mut server.imap("alice"))
}

/// What POP3 tells of an account: its inbox, and no flags.
fn told(account: &Account) -> Account {
    let mut inbox = inbox(account.folder(&["INBOX"]).messages.clone());
    inbox.folders[0]
        .messages
        .iter_mut()
        .for_each(|message| message.flags.clear());
    inbox
}

/// POP3 sends lines with CR LF, the last one too, and no date of reception.
fn allowed() -> Allow {
    Allow {
        final_newline: true,
        dates: true,
        special: true,
        subscriptions: true,
        ..Allow::dovecot()
    }
}

#[test]
fn an_inbox_goes_from_dovecot_to_imap_and_nothing_changes_at_the_source() {
    let from = dovecot();
    let mut mail = corpus::hard_messages(91);
    mail.extend(corpus::bulk(92, 60));
    mail.extend(corpus::equal_twins());
    writers::imap(&mut from.imap("alice"), '/', &inbox(mail));
    let before = read(&from);
    let to = Dovecot::plain();
    let job = Job::new(&[
        pop3_side(from.pop3_tls_port(), "implicit", Some(from.ca())),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    job.run(&["check"]).expect(0);
    job.migrate().adds_up();
    assert_same(&told(&before), &read(&to), &allowed());
    let again = job.migrate();
    assert_eq!((again.worked("copied"), again.worked("marked")), (0, 0), "{again}");
    // Not even `\Seen`. That Dovecot does not call messages recent any more is what every session there does.
    assert_same(&before, &read(&from), &Allow::default());

    // New mail arrives, and what was deleted stays where it was copied to.
    let mut imap = from.imap("alice");
    writers::append(&mut imap, "INBOX", &corpus::bulk(93, 3));
    imap.select("INBOX");
    imap.remove("1:2");
    let delta = job.migrate();
    assert_eq!(delta.worked("copied"), 3, "{delta}");
    assert_eq!(read(&to).count(), before.count() + 3);
    job.run(&["verify", "--deep"]);
}

#[test]
fn dates_come_from_the_topmost_received() {
    let from = dovecot();
    let text = "Received: by mx.example with ESMTP; Mon, 5 Jan 2015 13:00:00 +0100\r\n\
                Received: by old.example; Sun, 4 Jan 2015 13:00:00 +0100\r\nSubject: x\r\n\r\nx\r\n";
    let message = whimbrel_tests::account::Message::new(text.as_bytes(), &[], corpus::NOON + 86_400);
    writers::imap(&mut from.imap("alice"), '/', &inbox(vec![message]));
    let to = Dovecot::plain();
    let job = Job::new(&[
        pop3_side(from.pop3_port(), "insecure", None),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    job.migrate().adds_up();
    assert_eq!(read(&to).folder(&["INBOX"]).messages[0].received, corpus::NOON);
}

#[test]
fn stls_encrypts_and_a_wrong_password_is_told() {
    let from = dovecot();
    writers::imap(&mut from.imap("alice"), '/', &inbox(corpus::bulk(94, 10)));
    let to = Dovecot::plain();
    let job = |source: &str| {
        Job::new(&[
            pop3_side(from.pop3_port(), "starttls", Some(from.ca())),
            imap_side("destination", &to),
            mailbox("alice", source, &account("alice")),
        ])
    };
    let refused = job("{ user = \"alice\", password = \"wrong-password-1\" }").run(&["migrate"]);
    refused.expect(3);
    let shown = format!("{refused}");
    assert!(
        shown.contains("unauthenticated") && !shown.contains("wrong-password-1"),
        "{shown}"
    );
    let outcome = job(&account("alice")).migrate();
    outcome.adds_up();
    let connected = outcome.json()["mailboxes"][0].to_string();
    assert!(connected.contains("TLS 1.3"), "{connected}");
    assert_same(&told(&read(&from)), &read(&to), &allowed());
}

#[test]
fn a_token_logs_in() {
    let provider = Provider::start(Duration::from_secs(60));
    let folder = scratch::folder("oauth");
    let from = Dovecot::start(&Options {
        pop3: true,
        extra: provider.dovecot(&folder.path().join("oauth")),
        ..Options::default()
    });
    writers::imap(&mut from.imap("alice"), '/', &inbox(corpus::bulk(95, 5)));
    let to = Dovecot::plain();
    let token = provider.access_token("alice");
    let job = Job::new(&[
        pop3_side(from.pop3_tls_port(), "implicit", Some(from.ca())),
        imap_side("destination", &to),
        mailbox(
            "alice",
            &format!("{{ user = \"alice\", token = \"{token}\" }}"),
            &account("alice"),
        ),
    ]);
    job.migrate().adds_up();
    assert_eq!(read(&to).count(), 5);
}

#[test]
fn an_inbox_goes_from_courier_to_imap_and_nothing_changes_at_the_source() {
    let from = Courier::start();
    let mut mail = corpus::bulk(96, 60);
    mail.extend(corpus::equal_twins());
    let count = mail.len();
    writers::imap(&mut from.imap("alice"), '.', &inbox(mail));
    let before = read(&from);
    let files = Snapshot::take(&from.store("alice"), &["courierpop3dsizelist", "courierimapuiddb"]);
    let to = Dovecot::plain();
    let job = Job::new(&[
        pop3_side(from.pop3_port(), "insecure", None),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    job.migrate().adds_up();
    assert_same(&told(&before), &read(&to), &allowed());
    assert_eq!(job.migrate().worked("copied"), 0);
    let after = Snapshot::take(&from.store("alice"), &["courierpop3dsizelist", "courierimapuiddb"]);
    assert_eq!(files.changes(&after), Vec::<String>::new());
    writers::append(&mut from.imap("alice"), "INBOX", &corpus::bulk(97, 2));
    assert_eq!(job.migrate().worked("copied"), 2);
    assert_eq!(read(&to).count(), count + 2);
}

#[test]
fn connections_that_are_cut_lose_and_double_nothing() {
    let from = dovecot();
    writers::imap(&mut from.imap("alice"), '/', &inbox(corpus::bulk(98, 300)));
    let expected = read(&from);
    let bytes = expected.bytes();
    let proxy = Proxy::start(
        from.pop3_port(),
        Plan {
            // There are few connections, as one does for all: the first ones break, each somewhat later.
            fault: Box::new(move |number, random| match number < 12 {
                true => Fault::Cut {
                    after: bytes / 40 * (number + 1) + random.below(bytes / 40),
                },
                false => Fault::None,
            }),
            seed: 98,
            ..Plan::default()
        },
    );
    let to = Dovecot::plain();
    let job = Job::new(&[
        QUIET.to_owned(),
        pop3_side(proxy.port(), "insecure", None),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    until_finished(&job, &[&proxy]);
    assert_same(&told(&expected), &read(&to), &allowed());
    assert_same(&expected, &read(&from), &Allow::default());
}

#[test]
fn killed_10_times_on_the_way_from_pop3() {
    let from = dovecot();
    writers::imap(&mut from.imap("alice"), '/', &inbox(corpus::bulk(99, 200)));
    let expected = read(&from);
    let proxy = Proxy::start(from.pop3_port(), slow(&expected, Plan::default()));
    let to = Dovecot::plain();
    let job = Job::new(&[
        QUIET.to_owned(),
        pop3_side(proxy.port(), "insecure", None),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    kill_and_resume(&job, &proxy, expected.bytes(), 10, 6);
    assert_same(&told(&expected), &read(&to), &allowed());
    assert_same(&expected, &read(&from), &Allow::default());
}
