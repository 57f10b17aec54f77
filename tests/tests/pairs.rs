//! Every connector to every other, killed at random instants, with lines that break: not one message lost, not one
//! doubled.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use whimbrel_tests::account::{Account, Folder};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::proxy::{Plan, Proxy};
use whimbrel_tests::run::{Job, account, imap_side_at, local_side, mailbox};
use whimbrel_tests::scratch::{self, Random};
use whimbrel_tests::servers::{Dovecot, Server};
use whimbrel_tests::trouble::{QUIET, cuts};
use whimbrel_tests::{corpus, readers, writers};

/// How often each pair is killed: over all sixteen, 384 times.
const KILLS: u32 = 24;

/// How long a run goes on at most before it is killed, in milliseconds: in the first migration, and in any.
const LONGEST: u64 = 400;
const SHORTEST: u64 = 50;

/// One end of a migration.
enum End {
    Server(Box<(Dovecot, Proxy)>),
    Maildir(TempDir),
    Mbox(TempDir),
    Eml(TempDir),
}

impl End {
    /// A server behind a line that breaks in half of the connections, and on which all of the account takes four seconds.
    fn server(mail: &Account, seed: u64) -> Self {
        let dovecot = Dovecot::plain();
        let faults = cuts(mail.bytes());
        let proxy = Proxy::start(
            dovecot.port(),
            Plan {
                rate: Some(mail.bytes() / 4),
                fault: Box::new(move |number, random| match random.chance(50) {
                    true => faults(number, random),
                    false => whimbrel_tests::proxy::Fault::None,
                }),
                seed,
                ..Plan::default()
            },
        );
        Self::Server(Box::new((dovecot, proxy)))
    }

    fn section(&self, side: &str) -> String {
        let root = |tree: &TempDir| format!("root = \"{}\"", tree.path().display());
        match self {
            Self::Server(server) => imap_side_at(side, server.1.port(), None),
            Self::Maildir(tree) => local_side(side, "maildir", &root(tree)),
            Self::Mbox(tree) => local_side(side, "mbox", &root(tree)),
            Self::Eml(tree) => local_side(side, "eml", &format!("{}, dates = \"file\"", root(tree))),
        }
    }

    fn account(&self) -> String {
        match self {
            Self::Server(_) => account("alice"),
            Self::Maildir(_) | Self::Mbox(_) | Self::Eml(_) => "{ user = \"alice\" }".to_owned(),
        }
    }

    fn fill(&self, mail: &Account) {
        match self {
            Self::Server(server) => writers::imap(&mut server.0.imap("alice"), '/', mail),
            Self::Maildir(tree) => writers::maildir(&tree.path().join("alice"), mail),
            Self::Eml(tree) => writers::eml(&tree.path().join("alice"), mail),
            Self::Mbox(tree) => {
                fs::create_dir(tree.path().join("alice")).unwrap();
                for folder in &mail.folders {
                    let path = tree.path().join("alice").join(&folder.path[0]);
                    writers::mbox(&path, &folder.messages);
                }
            }
        }
    }

    fn read(&self, mail: &Account) -> Account {
        match self {
            Self::Server(server) => Account::read(&mut server.0.imap("alice")),
            Self::Maildir(tree) => readers::maildir(&tree.path().join("alice")),
            Self::Eml(tree) => readers::eml(&tree.path().join("alice")),
            Self::Mbox(tree) => {
                let folders = mail.folders.iter().map(|folder| Folder {
                    messages: readers::mbox(&spool(&tree.path().join("alice"), &folder.path[0])),
                    ..folder.clone()
                });
                Account {
                    folders: folders.collect(),
                }
            }
        }
    }

    fn calm(&self, calm: bool) {
        if let Self::Server(server) = self {
            server.1.calm(calm);
        }
    }
}

/// The one file of this name, whatever it ends with.
fn spool(folder: &Path, name: &str) -> std::path::PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut named = entries.filter(|path| path.is_file() && path.file_stem().unwrap() == name);
    let path = named.next().unwrap_or_else(|| panic!("no spool `{name}`"));
    assert!(named.next().is_none(), "two spools `{name}`");
    path
}

fn mail(seed: u64) -> Account {
    let twins = corpus::equal_twins();
    Account {
        folders: vec![
            Folder::new(&["INBOX"]).with(corpus::bulk(seed, 500)),
            Folder::new(&["Work"]).with(corpus::bulk(seed + 1, 300)),
            Folder::new(&["Twins"]).with(twins.iter().chain(&twins).cloned().collect()),
        ],
    }
}

fn job(from: &End, to: &End) -> Job {
    Job::new(&[
        QUIET.to_owned(),
        from.section("source"),
        to.section("destination"),
        mailbox("alice", &from.account(), &to.account()),
    ])
}

/// What formats and servers do to a message besides keeping it is for other tests.
fn kept() -> Allow {
    Allow {
        line_ends: true,
        final_newline: true,
        headers: vec![
            "status",
            "x-status",
            "x-keywords",
            "x-uid",
            "x-imapbase",
            "content-length",
        ],
        subscriptions: true,
        special: true,
        ..Allow::dovecot()
    }
}

/// Migrates and kills at random instants until all kills are made. A migration that comes through before is looked at, and
/// the rest is made on a new one, in shorter time: how fast the machine is decides nothing.
fn survive(seed: u64, from: impl Fn(&Account) -> End, to: impl Fn(&Account) -> End) {
    let mail = mail(seed);
    let from = from(&mail);
    from.fill(&mail);
    let expected = from.read(&mail);
    let mut random = Random::new(seed);
    let mut most = LONGEST;
    let (mut kills, mut given_up) = (0, 0);
    while kills < KILLS {
        let to = to(&mail);
        let job = job(&from, &to);
        from.calm(false);
        while kills < KILLS {
            let mut running = job.start(&["migrate"]);
            if running.run_for(Duration::from_millis(random.below(most))) {
                running.kill();
                kills += 1;
                continue;
            }
            let outcome = running.wait(Duration::from_secs(1));
            match outcome.code {
                Some(0) => break,
                // It gave up on a line that broke too often; not for ever.
                Some(3) if given_up < 10 * KILLS => given_up += 1,
                _ => panic!("{outcome}"),
            }
        }
        most = (most / 2).max(SHORTEST);
        from.calm(true);
        to.calm(true);
        let outcome = job.migrate();
        outcome.adds_up();
        assert_same(&expected, &to.read(&mail), &kept());
        assert_same(&expected, &from.read(&mail), &Allow::default());
        let again = job.migrate();
        assert_eq!(again.worked("copied"), 0, "{again}");
        job.run(&["verify"]).expect(0);
    }
}

fn server(mail: &Account) -> End {
    End::server(mail, mail.bytes())
}

fn maildir(_: &Account) -> End {
    End::Maildir(scratch::folder("maildir"))
}

fn mbox(_: &Account) -> End {
    End::Mbox(scratch::folder("mbox"))
}

fn eml(_: &Account) -> End {
    End::Eml(scratch::folder("eml"))
}

#[test]
fn from_server_to_server() {
    survive(301, server, server);
}

#[test]
fn from_server_to_maildir() {
    survive(302, server, maildir);
}

#[test]
fn from_server_to_mbox() {
    survive(303, server, mbox);
}

#[test]
fn from_maildir_to_server() {
    survive(304, maildir, server);
}

#[test]
fn from_maildir_to_maildir() {
    survive(305, maildir, maildir);
}

#[test]
fn from_maildir_to_mbox() {
    survive(306, maildir, mbox);
}

#[test]
fn from_mbox_to_server() {
    survive(307, mbox, server);
}

#[test]
fn from_mbox_to_maildir() {
    survive(308, mbox, maildir);
}

#[test]
fn from_mbox_to_mbox() {
    survive(309, mbox, mbox);
}

#[test]
fn from_server_to_eml() {
    survive(310, server, eml);
}

#[test]
fn from_eml_to_server() {
    survive(311, eml, server);
}

#[test]
fn from_maildir_to_eml() {
    survive(312, maildir, eml);
}

#[test]
fn from_eml_to_maildir() {
    survive(313, eml, maildir);
}

#[test]
fn from_mbox_to_eml() {
    survive(314, mbox, eml);
}

#[test]
fn from_eml_to_mbox() {
    survive(315, eml, mbox);
}

#[test]
fn from_eml_to_eml() {
    survive(316, eml, eml);
}
