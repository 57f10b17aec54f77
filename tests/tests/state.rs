//! The state folder in trouble: full, not to be written, damaged, lost. The run stops and says so, nothing is lost, and
//! nothing is doubled afterwards.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use whimbrel_tests::account::{Account, Folder};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::proxy::{Plan, Proxy};
use whimbrel_tests::run::{Job, Outcome, Running, account, imap_side, imap_side_at, local_side, mailbox};
use whimbrel_tests::servers::{Dovecot, Server};
use whimbrel_tests::trouble::QUIET;
use whimbrel_tests::{corpus, readers, scratch, writers};

fn filled(seed: u64, messages: u64) -> (Dovecot, Account) {
    let from = Dovecot::plain();
    let mut mail = corpus::ordinary(seed, messages);
    mail.folders.push(Folder::new(&["Twins"]).with(corpus::equal_twins()));
    writers::imap(&mut from.imap("alice"), '/', &mail);
    let account = Account::read(&mut from.imap("alice"));
    (from, account)
}

fn sections(from: &Dovecot, to: &Dovecot) -> Vec<String> {
    vec![
        QUIET.to_owned(),
        imap_side("source", from),
        imap_side("destination", to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]
}

fn database(job: &Job) -> PathBuf {
    job.folder().join("state/ledger/db")
}

/// Runs the program under a shell that prepares something; `"$@"` is the program.
fn under(job: &Job, arguments: &[&str], script: &str) -> Outcome {
    let command = job.command(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program());
    shell.args(command.get_args()).current_dir(job.folder());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Running::start(&mut shell).wait(Duration::from_secs(120))
}

#[track_caller]
fn assert_arrived(expected: &Account, to: &Dovecot) {
    assert_same(expected, &Account::read(&mut to.imap("alice")), &Allow::default());
}

/// What a person sees of a damaged ledger, and that nothing is done with it.
#[track_caller]
fn assert_refused(job: &Job) {
    for verb in ["migrate", "status", "verify"] {
        let outcome = job.run(&[verb]);
        outcome.expect(1);
        outcome.says(&["damaged", "whimbrel ledger rebuild"]);
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    }
}

#[test]
fn a_disk_that_is_full_stops_the_run_and_loses_nothing() {
    let (from, expected) = filled(71, 1500);
    let to = Dovecot::plain();
    let job = Job::new(&sections(&from, &to));
    // A file may not grow beyond this many blocks: to the ledger that is what a full disk is. With more room each time.
    let mut stopped = 0;
    for blocks in [600, 800, 1000, 1200] {
        let limits = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let outcome = under(&job, &["migrate"], &limits);
        if outcome.code != Some(0) {
            outcome.expect(1);
            outcome.says(&["make room on the disk and run again"]);
            stopped += 1;
        }
    }
    assert!(stopped > 0, "there was room enough");
    let outcome = job.migrate();
    outcome.adds_up();
    assert_arrived(&expected, &to);
    assert_eq!(job.migrate().worked("copied"), 0);
}

#[test]
fn a_state_folder_that_cannot_be_written_is_told_and_does_no_harm() {
    let (from, expected) = filled(72, 60);
    let to = Dovecot::plain();
    let proxy = Proxy::start(
        to.port(),
        Plan {
            delay: Duration::from_millis(10),
            ..Plan::default()
        },
    );
    let job = Job::new(&[
        QUIET.to_owned(),
        imap_side("source", &from),
        imap_side_at("destination", proxy.port(), None),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    let mut running = job.start(&["migrate"]);
    while proxy.bytes() < expected.bytes() / 3 {
        assert!(running.run_for(Duration::from_millis(2)), "it was too fast");
    }
    running.kill();
    // In a mount namespace of its own, so that nobody else sees it.
    let read_only = "exec unshare --map-root-user --mount sh -c \
                     'mount --bind state state && mount -o remount,bind,ro state && exec \"$@\"' sh \"$@\"";
    let outcome = under(&job, &["migrate"], read_only);
    outcome.expect(1);
    outcome.says(&["make the state folder writable"]);
    let outcome = job.migrate();
    outcome.adds_up();
    assert_arrived(&expected, &to);
}

#[test]
fn a_damaged_ledger_is_refused_and_comes_back_from_the_destination() {
    let (from, expected) = filled(73, 300);
    let to = Dovecot::plain();
    let job = Job::new(&sections(&from, &to));
    let sound = job.migrate();

    let bytes = fs::read(database(&job)).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 3] ^= 1;
    for (number, damaged) in [flipped.as_slice(), &bytes[..bytes.len() / 2], &[]]
        .into_iter()
        .enumerate()
    {
        fs::write(database(&job), damaged).unwrap();
        assert_refused(&job);
        let rebuilt = job.run(&["ledger", "rebuild"]);
        rebuilt.expect(0);
        assert_eq!(rebuilt.total("merged"), sound.total("found"), "{rebuilt}");
        assert_eq!(rebuilt.total("pending"), 0, "{rebuilt}");
        let aside = job.folder().join(format!("state/ledger.damaged-{}", number + 1));
        assert_eq!(rebuilt.json()["set_aside"], aside.display().to_string(), "{rebuilt}");
        assert!(aside.join("db").exists());

        let again = job.migrate();
        again.adds_up();
        assert_eq!((again.worked("copied"), again.worked("merged")), (0, 0), "{again}");
        assert_arrived(&expected, &to);
        job.run(&["verify", "--deep"]).expect(0);
    }
    fs::remove_file(database(&job)).unwrap();
    assert_refused(&job);
}

#[test]
fn what_was_not_there_yet_when_the_ledger_broke_is_copied_after_that() {
    let (from, expected) = filled(74, 300);
    let to = Dovecot::plain();
    let proxy = Proxy::start(
        to.port(),
        Plan {
            delay: Duration::from_millis(20),
            ..Plan::default()
        },
    );
    let job = Job::new(&[
        QUIET.to_owned(),
        imap_side("source", &from),
        imap_side_at("destination", proxy.port(), None),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    let mut running = job.start(&["migrate"]);
    while proxy.bytes() < expected.bytes() / 2 {
        assert!(running.run_for(Duration::from_millis(2)), "it was too fast");
    }
    running.kill();
    let bytes = fs::read(database(&job)).unwrap();
    fs::write(database(&job), &bytes[..bytes.len() / 3]).unwrap();
    assert_refused(&job);

    // What the killed run sent may still be on its way.
    std::thread::sleep(Duration::from_secs(1));
    let before = Account::read(&mut to.imap("alice"));
    let rebuilt = job.run(&["ledger", "rebuild"]);
    rebuilt.expect(0);
    let there = Account::read(&mut to.imap("alice"));
    assert_eq!(there.count(), before.count(), "a message was written: {rebuilt}");
    assert_eq!(rebuilt.total("merged"), before.count() as u64, "{rebuilt}");
    assert!(rebuilt.total("pending") > 0 && rebuilt.total("merged") > 0, "{rebuilt}");
    // Interrupted or not: it can be run again.
    let again = job.run(&["ledger", "rebuild"]);
    again.expect(0);
    assert_eq!(again.total("pending"), rebuilt.total("pending"), "{again}");
    assert!(again.json()["set_aside"].is_null(), "{again}");

    let outcome = job.migrate();
    outcome.adds_up();
    assert_eq!(outcome.worked("copied"), rebuilt.total("pending"), "{outcome}");
    assert_arrived(&expected, &to);
}

#[test]
fn a_lost_state_folder_comes_back_from_a_maildir_with_other_line_ends() {
    let (from, expected) = filled(75, 200);
    let tree = scratch::folder("maildir");
    let root = format!("root = \"{}\"", tree.path().display());
    let job = Job::new(&[
        imap_side("source", &from),
        local_side("destination", "maildir", &root),
        mailbox("alice", &account("alice"), "{ user = \"alice\" }"),
    ]);
    let sound = job.migrate();
    fs::remove_dir_all(job.folder().join("state")).unwrap();
    let rebuilt = job.run(&["ledger", "rebuild"]);
    rebuilt.expect(0);
    assert_eq!(rebuilt.total("merged"), sound.total("found"), "{rebuilt}");
    let again = job.migrate();
    assert_eq!(again.worked("copied"), 0, "{again}");
    let there = readers::maildir(&tree.path().join("alice"));
    let allow = Allow {
        special: true,
        ..Allow::default()
    };
    assert_same(&expected, &there, &allow);

    // And from the Maildir back to a server, which wants CRLF.
    let to = Dovecot::plain();
    let back = Job::new(&[
        local_side("source", "maildir", &root),
        imap_side("destination", &to),
        mailbox("alice", "{ user = \"alice\" }", &account("alice")),
    ]);
    back.migrate();
    fs::remove_dir_all(back.folder().join("state")).unwrap();
    let rebuilt = back.run(&["ledger", "rebuild"]);
    rebuilt.expect(0);
    assert_eq!(rebuilt.total("pending"), 0, "{rebuilt}");
    assert_eq!(back.migrate().worked("copied"), 0);
    back.run(&["verify", "--deep"]).expect(0);
}
