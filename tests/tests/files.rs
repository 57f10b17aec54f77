//! From and to Maildir trees and mbox spools, checked with readers of their own and with Dovecot itself.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::Path;

use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus::{self, NOON};
use whimbrel_tests::run::{Job, account, imap_side, local_side, mailbox};
use whimbrel_tests::servers::{Dovecot, Format, Options, Server};
use whimbrel_tests::snapshot::Snapshot;
use whimbrel_tests::{readers, scratch, writers};

fn read(server: &dyn Server, user: &str) -> Account {
    Account::read(&mut server.imap(user))
}

fn folder_side(side: &str, connector: &str, root: &Path) -> String {
    local_side(side, connector, &format!("root = \"{}\"", root.display()))
}

/// Neither a Maildir nor an mbox tells what a folder is for.
fn local() -> Allow {
    Allow {
        special: true,
        ..Allow::default()
    }
}

#[test]
fn the_hard_corpus_arrives_in_a_maildir_and_dovecot_opens_it() {
    let from = Dovecot::plain();
    writers::imap(&mut from.imap("alice"), '/', &corpus::hard(71, '/'));
    let before = read(&from, "alice");
    let tree = scratch::folder("tree");
    let job = Job::new(&[
        imap_side("source", &from),
        folder_side("destination", "maildir", tree.path()),
        mailbox("alice", &account("alice"), "{ user = \"alice\" }"),
    ]);
    let outcome = job.migrate();
    outcome.adds_up();
    let written = tree.path().join("alice");
    assert_same(&before, &readers::maildir(&written), &local());
    assert_eq!(readers::unfinished(&written), Vec::<std::path::PathBuf>::new());

    // Dovecot's listescape plugin undoes the escapes in names.
    let opened = Dovecot::start(&Options {
        separator: '/',
        ..Options::default()
    });
    let copy = scratch::folder("copy");
    whimbrel_tests::servers::copy(&written, copy.path());
    opened.adopt("alice", copy.path());
    assert_same(&before, &read(&opened, "alice"), &local());

    let again = job.migrate();
    assert_eq!((again.worked("copied"), again.worked("marked")), (0, 0), "{again}");
    let mut imap = from.imap("alice");
    writers::append(&mut imap, "Twins", &corpus::bulk(72, 2));
    imap.select("parent");
    imap.store("1", "FLAGS (\\Flagged Work)");
    let delta = job.migrate();
    assert_eq!((delta.worked("copied"), delta.worked("marked")), (2, 1), "{delta}");
    assert_same(&read(&from, "alice"), &readers::maildir(&written), &local());
}

#[test]
fn a_maildir_with_hard_cases_arrives_at_a_server_and_stays_as_it_was() {
    let tree = scratch::folder("tree");
    let root = tree.path().join("alice");
    let mut account = corpus::hard(73, '.');
    account
        .folders
        .retain(|folder| folder.path.iter().all(|name| !name.contains('/')));
    writers::maildir(&root, &account);
    let files = Snapshot::take(tree.path(), &[]);
    let to = Dovecot::start(&Options {
        special: true,
        ..Options::default()
    });
    let job = Job::new(&[
        folder_side("source", "maildir", tree.path()),
        imap_side("destination", &to),
        mailbox("alice", "{ user = \"alice\" }", &self::account("alice")),
    ]);
    job.migrate().adds_up();
    assert_eq!(files.changes(&Snapshot::take(tree.path(), &[])), Vec::<String>::new());
    let mut allow = Allow {
        special: true,
        ..Allow::dovecot()
    };
    for special in ["Trash", "Junk", "Archive", "Sent"] {
        allow = allow.and_extra(&[special]);
    }
    let there = read(&to, "alice");
    let sent = ["Sent Items", "Sent"].into_iter().find(|name| {
        there
            .folders
            .iter()
            .any(|folder| folder.path == [*name] && !folder.messages.is_empty())
    });
    assert_same(
        &account,
        &there,
        &allow.and_renamed(&["Sent Items"], &[sent.expect("a folder for sent mail")]),
    );

    // New mail and changed flags, as another program leaves them.
    let name = |dir: &str| fs::read_dir(root.join(dir)).unwrap().next().unwrap().unwrap().path();
    let seen = name("new");
    let moved = root
        .join("cur")
        .join(format!("{}:2,FS", seen.file_name().unwrap().to_str().unwrap()));
    fs::rename(&seen, moved).unwrap();
    fs::write(root.join("new/1420459999.M1P9.host"), "Subject: new\n\nnew\n").unwrap();
    let delta = job.migrate();
    assert_eq!((delta.worked("copied"), delta.worked("marked")), (1, 1), "{delta}");
    assert_eq!(read(&to, "alice").count(), account.count() + 1);
}

#[test]
fn a_maildir_that_dovecot_made_arrives_with_its_keywords() {
    let owner = Dovecot::plain();
    writers::imap(&mut owner.imap("alice"), '/', &corpus::ordinary(74, 80));
    let before = read(&owner, "alice");
    let to = Dovecot::start(&Options {
        format: Format::Sdbox,
        ..Options::default()
    });
    let files = Snapshot::take(&owner.store("alice"), &[]);
    let job = Job::new(&[
        folder_side("source", "maildir", &owner.store("alice")),
        imap_side("destination", &to),
        mailbox("alice", "{}", &account("alice")),
    ]);
    job.migrate().adds_up();
    assert_same(&before, &read(&to, "alice"), &local());
    assert_eq!(
        files.changes(&Snapshot::take(&owner.store("alice"), &[])),
        Vec::<String>::new()
    );
}

#[test]
fn an_empty_file_in_a_maildir_is_explained_not_lost_in_silence() {
    let tree = scratch::folder("tree");
    let folder = Folder::new(&["INBOX"]).with(vec![
        Message::new(b"", &["\\Seen"], NOON),
        Message::new(b"Subject: a\r\n\r\na\r\n", &["\\Seen"], NOON),
    ]);
    writers::maildir(tree.path(), &Account { folders: vec![folder] });
    let to = Dovecot::plain();
    let job = Job::new(&[
        folder_side("source", "maildir", tree.path()),
        imap_side("destination", &to),
        mailbox("alice", "{}", &account("alice")),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    outcome.adds_up();
    assert_eq!(
        (outcome.total("found"), outcome.total("moved"), outcome.total("failed")),
        (2, 1, 1),
        "{outcome}"
    );
    assert_eq!(read(&to, "alice").count(), 1);
}

#[test]
fn an_mbox_spool_arrives_at_a_server_and_stays_as_it_was() {
    let folder = scratch::folder("spool");
    let mut messages = corpus::bulk(75, 60);
    messages.push(Message::new(
        b"From: a@b\r\nSubject: from\r\n\r\nFrom here on\r\n>From there\r\n\r\nFrom x\r\n",
        &["\\Seen", "Work"],
        NOON,
    ));
    writers::mbox(&folder.path().join("INBOX"), &messages);
    let files = Snapshot::take(folder.path(), &[]);
    let to = Dovecot::plain();
    let job = Job::new(&[
        folder_side("source", "mbox", folder.path()),
        imap_side("destination", &to),
        mailbox("alice", "{}", &account("alice")),
    ]);
    job.migrate().adds_up();
    let expected = Account {
        folders: vec![Folder::new(&["INBOX"]).with(messages)],
    };
    let allow = Allow {
        subscriptions: true,
        special: true,
        ..Allow::dovecot()
    };
    assert_same(&expected, &read(&to, "alice"), &allow);
    assert_eq!(files.changes(&Snapshot::take(folder.path(), &[])), Vec::<String>::new());
    let again = job.migrate();
    assert_eq!((again.worked("copied"), again.worked("marked")), (0, 0), "{again}");

    // Mail that a delivery agent appends.
    let new = scratch::folder("new");
    writers::mbox(&new.path().join("more"), &corpus::bulk(76, 3));
    let mut spool = fs::read(folder.path().join("INBOX")).unwrap();
    spool.extend(fs::read(new.path().join("more")).unwrap());
    fs::write(folder.path().join("INBOX"), spool).unwrap();
    let delta = job.migrate();
    assert_eq!(delta.worked("copied"), 3, "{delta}");
    assert_eq!(read(&to, "alice").count(), expected.count() + 3);
}

/// What an mbox cannot keep: its own headers, CR LF, an end without a line feed.
fn spool() -> Allow {
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
            // What a message has of these itself is kept under another name.
            "x-whimbrel-status",
            "x-whimbrel-x-status",
            "x-whimbrel-x-keywords",
            "x-whimbrel-x-uid",
            "x-whimbrel-content-length",
        ],
        subscriptions: true,
        special: true,
        empty_folders: true,
        ..Allow::default()
    }
}

#[test]
fn ordinary_and_hard_mail_arrives_in_mbox_spools_and_dovecot_opens_them() {
    let from = Dovecot::plain();
    let mut account = corpus::ordinary(77, 60);
    account
        .folders
        .push(Folder::new(&["Hard"]).with(corpus::hard_messages(78)));
    writers::imap(&mut from.imap("alice"), '/', &account);
    let before = read(&from, "alice");
    let tree = scratch::folder("spools");
    let job = Job::new(&[
        imap_side("source", &from),
        folder_side("destination", "mbox", tree.path()),
        mailbox("alice", &self::account("alice"), "{ user = \"alice\" }"),
    ]);
    let outcome = job.migrate();
    outcome.adds_up();
    assert_eq!(outcome.total("moved"), before.count() as u64, "{outcome}");

    // Every folder's spool, found by its name wherever the connector put it.
    let mut files = Vec::new();
    spools(&tree.path().join("alice"), &mut files);
    let folders = before
        .folders
        .iter()
        .filter(|folder| !folder.messages.is_empty())
        .map(|folder| {
            let name = folder.path.last().unwrap();
            let path = files
                .iter()
                .find(|path| path.file_stem().unwrap().to_str() == Some(name))
                .unwrap_or_else(|| panic!("no spool for {name} among {files:?}"));
            Folder {
                messages: readers::mbox(path),
                ..folder.clone()
            }
        });
    let there = Account {
        folders: folders.collect(),
    };
    assert_same(&before, &there, &spool());

    let again = job.migrate();
    assert_eq!((again.worked("copied"), again.worked("marked")), (0, 0), "{again}");

    // Dovecot opens INBOX's spool: the same messages and flags.
    let opened = Dovecot::start(&Options {
        format: Format::Mbox,
        ..Options::default()
    });
    let store = scratch::folder("store");
    let inbox = files
        .iter()
        .find(|path| path.file_stem().unwrap().eq_ignore_ascii_case("inbox"))
        .unwrap();
    fs::copy(inbox, store.path().join("inbox")).unwrap();
    opened.adopt("alice", store.path());
    let mut seen = read(&opened, "alice");
    seen.folders.retain(|folder| folder.path == ["INBOX"]);
    let expected = Account {
        folders: before
            .folders
            .iter()
            .filter(|folder| folder.path == ["INBOX"])
            .cloned()
            .collect(),
    };
    // Keywords it takes only from an mbox whose first message names them all (X-IMAPbase).
    assert_same(
        &expected,
        &seen,
        &Allow {
            flags_lost: corpus::KEYWORDS.to_vec(),
            ..spool()
        },
    );
}

fn spools(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            spools(&path, out);
        } else if !path.file_name().unwrap().to_string_lossy().starts_with('.') {
            out.push(path);
        }
    }
}

#[test]
fn a_maildir_arrives_in_another_maildir_without_any_server() {
    let (tree, out) = (scratch::folder("tree"), scratch::folder("out"));
    let mut account = corpus::hard(79, '.');
    account
        .folders
        .retain(|folder| folder.path.iter().all(|name| !name.contains('/')));
    account.folders[0].messages.push(Message::new(b"", &["\\Seen"], NOON));
    writers::maildir(tree.path(), &account);
    let job = Job::new(&[
        folder_side("source", "maildir", tree.path()),
        folder_side("destination", "maildir", out.path()),
        mailbox("alice", "{}", "{}"),
    ]);
    job.migrate().adds_up();
    assert_same(&account, &readers::maildir(out.path()), &local());
}
