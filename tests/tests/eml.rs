//! From and to folders of .eml files, and from the files of Apple Mail.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::Path;

use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus::{self, NOON};
use whimbrel_tests::proxy::{Plan, Proxy};
use whimbrel_tests::run::{Job, account, imap_side, imap_side_at, local_side, mailbox};
use whimbrel_tests::servers::{Dovecot, Server};
use whimbrel_tests::snapshot::Snapshot;
use whimbrel_tests::trouble::{QUIET, kill_and_resume, slow};
use whimbrel_tests::{readers, scratch, writers};

const ALICE: &str = "{ user = \"alice\" }";

fn read(server: &dyn Server) -> Account {
    Account::read(&mut server.imap("alice"))
}

fn eml_side(side: &str, root: &Path, more: &str) -> String {
    local_side(side, "eml", &format!("root = \"{}\"{more}", root.display()))
}

/// Names tell what a folder is for, and nothing else does; there are no subscriptions.
fn local() -> Allow {
    Allow {
        special: true,
        subscriptions: true,
        ..Allow::default()
    }
}

#[test]
fn the_hard_corpus_goes_from_a_server_to_files_and_to_a_server_again_equal_by_bytes() {
    let from = Dovecot::plain();
    writers::imap(&mut from.imap("alice"), '/', &corpus::hard(81, '/'));
    let before = read(&from);
    let tree = scratch::folder("tree");
    let job = Job::new(&[
        imap_side("source", &from),
        eml_side("destination", tree.path(), ""),
        mailbox("alice", &account("alice"), ALICE),
    ]);
    let outcome = job.migrate();
    outcome.adds_up();
    let written = tree.path().join("alice");
    assert_same(&before, &readers::eml(&written), &local());
    job.run(&["verify", "--deep"]).expect(0);

    // What is new and what changed, and nothing else.
    let again = job.migrate();
    assert_eq!((again.worked("copied"), again.worked("marked")), (0, 0), "{again}");
    let mut imap = from.imap("alice");
    writers::append(&mut imap, "Twins", &corpus::bulk(82, 2));
    imap.select("parent");
    imap.store("1", "FLAGS (\\Flagged Work)");
    let delta = job.migrate();
    assert_eq!((delta.worked("copied"), delta.worked("marked")), (2, 1), "{delta}");
    let before = read(&from);
    assert_same(&before, &readers::eml(&written), &local());

    // And back: flags and dates come from the names.
    let files = Snapshot::take(tree.path(), &[]);
    let to = Dovecot::plain();
    let back = Job::new(&[
        eml_side("source", tree.path(), ""),
        imap_side("destination", &to),
        mailbox("alice", ALICE, &account("alice")),
    ]);
    back.migrate().adds_up();
    let allow = Allow {
        special: true,
        subscriptions: true,
        ..Allow::dovecot()
    };
    assert_same(&before, &read(&to), &allow);
    assert_eq!(files.changes(&Snapshot::take(tree.path(), &[])), Vec::<String>::new());
}

#[test]
fn files_of_another_program_arrive_with_the_dates_of_their_messages() {
    let tree = scratch::folder("tree");
    let folder = |path: &[&str], messages| Folder::new(path).with(messages);
    let message = |text: &str, received| Message::new(text.as_bytes(), &[], received);
    let plain = "Received: by a.example; Mon, 5 Jan 2015 13:00:00 +0100\r\nSubject: a\r\n\r\nwith CR LF\r\n";
    let expected = Account {
        folders: vec![
            folder(
                &["INBOX"],
                vec![message(plain, NOON), message("Subject: no date\n\nLF\n", NOON + 7)],
            ),
            folder(
                &["Sent"],
                vec![message(
                    "Date: Mon, 5 Jan 2015 12:00:01 GMT\r\nSubject: b\r\n\r\nb\r\n",
                    NOON + 1,
                )],
            ),
        ],
    };
    writers::eml(tree.path(), &expected);
    // When they were copied says nothing.
    writers::set_modified(&tree.path().join("INBOX/Message 0.eml"), NOON + 99_999);
    writers::set_modified(&tree.path().join("Sent/Message 0.eml"), NOON + 99_999);
    fs::write(tree.path().join("INBOX/notes.txt"), "no message").unwrap();
    fs::write(tree.path().join("INBOX/._Message 0.eml"), "no message either").unwrap();
    let files = Snapshot::take(tree.path(), &[]);
    let to = Dovecot::plain();
    let job = Job::new(&[
        eml_side("source", tree.path(), ""),
        imap_side("destination", &to),
        mailbox("alice", "{}", &account("alice")),
    ]);
    job.migrate().adds_up();
    let allow = Allow {
        special: true,
        subscriptions: true,
        ..Allow::dovecot()
    };
    assert_same(&expected, &read(&to), &allow);
    assert_eq!(files.changes(&Snapshot::take(tree.path(), &[])), Vec::<String>::new());
    assert_eq!(job.migrate().worked("copied"), 0);

    // Another message under a name that was there before, of the same size, is new mail.
    let again = tree.path().join("Sent/Message 0.eml");
    let other = fs::read_to_string(&again).unwrap().replace("b\r\n", "c\r\n");
    fs::write(&again, other).unwrap();
    let delta = job.migrate();
    assert_eq!(delta.worked("copied"), 1, "{delta}");
    assert_eq!(read(&to).count(), 4);
    // And one that was only renamed is known again by its content.
    fs::rename(&again, tree.path().join("Sent/renamed.EML")).unwrap();
    let delta = job.migrate();
    assert_eq!(delta.worked("copied"), 0, "{delta}");
}

fn emlx(message: &str, flags: u64, received: i64) -> String {
    format!(
        "{}       \n{message}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n\t<key>date-received</key>\n\t\
         <integer>{received}</integer>\n\t<key>flags</key>\n\t<integer>{flags}</integer>\n</dict>\n</plist>\n",
        message.len()
    )
}

#[test]
fn a_mailbox_of_apple_mail_arrives_and_what_it_keeps_in_part_is_named() {
    let tree = scratch::folder("tree");
    let messages = tree.path().join("INBOX.mbox/6D9C-1/Data/2/Messages");
    fs::create_dir_all(&messages).unwrap();
    let text = |name: &str| format!("From: a@b.example\nSubject: {name}\n\n{name}\n");
    fs::write(messages.join("1.emlx"), emlx(&text("one"), 1, NOON)).unwrap();
    fs::write(
        messages.join("2.emlx"),
        emlx(&text("two"), 1 << 4 | 1 << 25 | 0x3f << 10, NOON + 1),
    )
    .unwrap();
    fs::write(messages.join("3.partial.emlx"), emlx(&text("three"), 1, NOON)).unwrap();
    let to = Dovecot::plain();
    let job = Job::new(&[
        eml_side("source", tree.path(), ""),
        imap_side("destination", &to),
        mailbox("alice", "{}", &account("alice")),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    outcome.adds_up();
    assert_eq!((outcome.total("moved"), outcome.total("failed")), (2, 1), "{outcome}");
    let crlf = |text: String| text.replace('\n', "\r\n");
    let expected = Account {
        folders: vec![Folder::new(&["INBOX"]).with(vec![
            Message::new(crlf(text("one")).as_bytes(), &["\\Seen"], NOON),
            Message::new(crlf(text("two")).as_bytes(), &["\\Flagged", "$NotJunk"], NOON + 1),
        ])],
    };
    assert_same(&expected, &read(&to), &local());

    // It is read in Apple Mail: a flag changes, the message stays the same.
    fs::write(messages.join("1.emlx"), emlx(&text("one"), 1 | 1 << 2, NOON)).unwrap();
    let delta = job.run(&["migrate"]);
    assert_eq!((delta.worked("copied"), delta.worked("marked")), (0, 1), "{delta}");
}

#[test]
fn killed_15_times_on_the_way_to_files() {
    let from = Dovecot::plain();
    let mut corpus = corpus::ordinary(83, 400);
    corpus.folders.push(Folder::new(&["Twins"]).with(corpus::equal_twins()));
    writers::imap(&mut from.imap("alice"), '/', &corpus);
    let expected = read(&from);
    // The proxy stands before the source: what is written to the folder has to come from there.
    let proxy = Proxy::start(from.port(), slow(&expected, Plan::default()));
    let tree = scratch::folder("eml");
    let job = Job::new(&[
        QUIET.to_owned(),
        imap_side_at("source", proxy.port(), None),
        eml_side("destination", tree.path(), ""),
        mailbox("alice", &account("alice"), ALICE),
    ]);
    kill_and_resume(&job, &proxy, expected.bytes(), 15, 5);
    assert_same(&expected, &readers::eml(&tree.path().join("alice")), &local());
}
