//! From one IMAP server to another: everything arrives, the source stays as it was, a second run moves nothing.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::thread;
use std::time::{Duration, Instant};

use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus::{self, NOON};
use whimbrel_tests::imap::Imap;
use whimbrel_tests::proxy::{Fault, Plan, Proxy};
use whimbrel_tests::run::{Job, account, imap_side, imap_side_at, mailbox, server_to_server};
use whimbrel_tests::servers::{Courier, Cyrus, Dovecot, Format, Options, Server};
use whimbrel_tests::snapshot::Snapshot;
use whimbrel_tests::writers;

/// What Dovecot keeps for itself beside the mail and rewrites when it is only read.
const DOVECOT: [&str; 4] = [
    "dovecot.index",
    "dovecot-uidlist",
    "dovecot.list.index",
    "dovecot-uidvalidity",
];

fn read(server: &dyn Server) -> Account {
    Account::read(&mut server.imap("alice"))
}

/// Where the sent mail of the corpus lies, and a folder of the same purpose by another name at the other server.
fn source(format: Format, separator: char) -> Dovecot {
    Dovecot::start(&Options {
        format,
        separator,
        sent: "Sent Items",
        ..Options::default()
    })
}

fn specials() -> Allow {
    let mut allow = Allow::dovecot().and_renamed(&["Sent Items"], &["Sent"]);
    for name in ["Trash", "Junk", "Archive"] {
        allow = allow.and_extra(&[name]);
    }
    allow
}

#[test]
fn the_hard_corpus_arrives_from_maildir_at_mdbox() {
    let from = source(Format::Maildir, '/');
    let to = Dovecot::start(&Options {
        format: Format::Mdbox,
        special: true,
        ..Options::default()
    });
    let corpus = corpus::hard(11, '/');
    writers::imap(&mut from.imap("alice"), '/', &corpus);
    let before = read(&from);
    assert_same(&corpus, &before, &Allow::dovecot());
    let files = Snapshot::take(&from.store("alice"), &DOVECOT);
    let recent: Vec<u64> = before.folders.iter().map(|folder| recent(&from, folder)).collect();

    let job = Job::new(&server_to_server(&from, &to));
    let outcome = job.migrate();
    assert_same(&before, &read(&to), &specials());
    outcome.adds_up();
    let messages = u64::try_from(before.count()).unwrap();
    assert_eq!(
        (outcome.total("found"), outcome.total("moved"), outcome.total("failed")),
        (messages, messages, 0),
        "{outcome}"
    );
    assert_eq!(outcome.total("bytes"), before.bytes(), "{outcome}");

    assert_eq!(
        files.changes(&Snapshot::take(&from.store("alice"), &DOVECOT)),
        Vec::<String>::new()
    );
    let after: Vec<u64> = before
        .folders
        .iter()
        .map(|folder| self::recent(&from, folder))
        .collect();
    assert_eq!(recent, after, "\\Recent changed at the source");
    assert_same(&before, &read(&from), &Allow::default());

    let again = job.migrate();
    for what in [
        "found",
        "copied",
        "merged",
        "marked",
        "replaced",
        "relocated",
        "adopted",
        "vanished",
        "settled",
    ] {
        assert_eq!(again.worked(what), 0, "{what} in the second run: {again}");
    }
    assert_eq!(
        (again.total("found"), again.total("moved")),
        (messages, messages),
        "{again}"
    );
    assert_same(&before, &read(&to), &specials());
}

fn recent(server: &Dovecot, folder: &Folder) -> u64 {
    if folder.selectable {
        server.imap("alice").status(&folder.path.join("/"), "RECENT")
    } else {
        0
    }
}

#[test]
fn the_hard_corpus_arrives_across_separators_and_a_prefix() {
    let from = source(Format::Sdbox, '/');
    let to = Dovecot::start(&Options {
        separator: '.',
        prefix: "INBOX.",
        special: true,
        ..Options::default()
    });
    writers::imap(&mut from.imap("alice"), '/', &corpus::hard(12, '/'));
    let before = read(&from);
    let outcome = Job::new(&server_to_server(&from, &to)).migrate();
    outcome.adds_up();
    let mut there = read(&to);
    for folder in &mut there.folders {
        if folder.path.len() > 1 && folder.path[0] == "INBOX" {
            folder.path.remove(0);
        }
    }
    let allow = specials()
        .and_renamed(&["v1.2.3 notes"], &["v1_2_3 notes"])
        .and_renamed(&["dots", "a.b"], &["dots", "a_b"]);
    assert_same(&before, &there, &allow);
    // The new names are said, not made in silence.
    assert!(
        outcome.mailbox("alice")["notes"].to_string().contains("v1_2_3"),
        "{outcome}"
    );
}

#[test]
fn the_hard_corpus_arrives_from_dots_to_slashes() {
    let from = source(Format::Maildir, '.');
    let to = Dovecot::start(&Options {
        format: Format::Sdbox,
        special: true,
        ..Options::default()
    });
    writers::imap(&mut from.imap("alice"), '.', &corpus::hard(13, '.'));
    let before = read(&from);
    Job::new(&server_to_server(&from, &to)).migrate().adds_up();
    assert_same(
        &before,
        &read(&to),
        &specials().and_renamed(&["with/slash"], &["with_slash"]),
    );
}

#[test]
fn plain_imap4rev1_on_both_sides_is_enough() {
    let bare = |sent| Options {
        capabilities: Some("IMAP4rev1"),
        sent,
        ..Options::default()
    };
    let (from, to) = (Dovecot::start(&bare("Sent Items")), Dovecot::start(&bare("Sent")));
    writers::imap(&mut from.imap("alice"), '/', &corpus::hard(14, '/'));
    let before = read(&from);
    let proxy = Proxy::start(to.port(), Plan::without_uidplus());
    let job = Job::new(&[
        imap_side("source", &from),
        imap_side_at("destination", proxy.port(), None),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    job.migrate().adds_up();
    // Without SPECIAL-USE nobody can tell what a folder is for; its name has to do.
    let there = read(&to);
    let allow = Allow {
        special: true,
        ..Allow::dovecot()
    };
    let sent = ["Sent Items", "Sent"]
        .into_iter()
        .find(|name| there.folders.iter().any(|folder| folder.path == [*name]));
    assert_same(
        &before,
        &there,
        &allow.and_renamed(&["Sent Items"], &[sent.expect("a folder for sent mail")]),
    );
    let again = job.migrate();
    assert_eq!((again.worked("copied"), again.worked("marked")), (0, 0), "{again}");
    assert_eq!(read(&to).count(), before.count());
}

#[test]
fn what_changed_at_the_source_arrives_and_only_that() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    let mut imap = from.imap("alice");
    writers::imap(&mut imap, '/', &corpus::ordinary(15, 200));
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    assert_same(&read(&from), &read(&to), &Allow::default());

    writers::append(&mut imap, "INBOX", &corpus::bulk(16, 7));
    imap.create("New folder");
    writers::append(&mut imap, "New folder", &corpus::bulk(17, 2));
    imap.select("INBOX");
    imap.store("2", "+FLAGS (\\Flagged changed)");
    imap.store("3", "FLAGS ()");
    imap.move_to("4,5", "Archive/2020");
    let outcome = job.migrate();
    assert_same(&read(&from), &read(&to), &Allow::default());
    assert_eq!(outcome.worked("copied") + outcome.worked("relocated"), 11, "{outcome}");
    assert!(outcome.worked("copied") >= 9, "{outcome}");
    assert!(outcome.worked("marked") <= 2, "{outcome}");
    outcome.adds_up();

    // A deletion at the source is not mirrored.
    let there = read(&to);
    imap.select("INBOX");
    imap.remove("6");
    job.migrate();
    assert_same(&there, &read(&to), &Allow::default());
}

#[test]
fn what_changed_arrives_without_condstore_and_uidplus_too() {
    let from = Dovecot::start(&Options {
        capabilities: Some("IMAP4rev1 MOVE"),
        ..Options::default()
    });
    let to = Dovecot::plain();
    let proxy = Proxy::start(to.port(), Plan::without_uidplus());
    let mut imap = from.imap("alice");
    writers::imap(&mut imap, '/', &corpus::ordinary(18, 80));
    let job = Job::new(&[
        imap_side("source", &from),
        imap_side_at("destination", proxy.port(), None),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    job.migrate();
    let allow = Allow {
        special: true,
        ..Allow::default()
    };
    assert_same(&read(&from), &read(&to), &allow);
    writers::append(&mut imap, "INBOX", &corpus::bulk(19, 3));
    imap.select("INBOX");
    imap.store("2", "+FLAGS (\\Flagged changed)");
    let outcome = job.migrate();
    assert_eq!(outcome.worked("copied"), 3, "{outcome}");
    assert_same(&read(&from), &read(&to), &allow);
}

#[test]
fn new_ids_at_the_source_are_matched_and_nothing_is_copied_again() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    let mut imap = from.imap("alice");
    writers::imap(&mut imap, '/', &corpus::ordinary(20, 60));
    imap.create("Twins");
    imap.subscribe("Twins");
    writers::append(&mut imap, "Twins", &corpus::equal_twins());
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    let before = read(&from);
    let validity = imap.status("Lists/rust", "UIDVALIDITY");
    for name in ["Lists/rust", "Twins"] {
        imap.delete(name);
        imap.create(name);
        imap.subscribe(name);
    }
    for path in [&["Lists", "rust"][..], &["Twins"]] {
        writers::append(&mut imap, &path.join("/"), &before.folder(path).messages);
    }
    writers::append(&mut imap, "Lists/rust", &corpus::bulk(21, 2));
    assert_ne!(imap.status("Lists/rust", "UIDVALIDITY"), validity);
    let outcome = job.migrate();
    assert_eq!(outcome.worked("copied"), 2, "{outcome}");
    assert_same(&read(&from), &read(&to), &Allow::default());
    outcome.adds_up();
}

#[test]
fn what_the_destination_has_already_is_not_doubled() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    let corpus = corpus::ordinary(22, 60);
    writers::imap(&mut from.imap("alice"), '/', &corpus);
    let mut part = corpus;
    part.folders.truncate(1);
    part.folders[0].messages.truncate(10);
    let mut own = corpus::bulk(23, 3);
    part.folders[0].messages.append(&mut own.clone());
    writers::imap(&mut to.imap("alice"), '/', &part);
    let outcome = Job::new(&server_to_server(&from, &to)).migrate();
    outcome.adds_up();
    assert_eq!((outcome.total("moved"), outcome.total("merged")), (50, 10), "{outcome}");
    let mut expected = read(&from);
    expected
        .folders
        .iter_mut()
        .find(|folder| folder.path == ["INBOX"])
        .unwrap()
        .messages
        .append(&mut own);
    assert_same(&expected, &read(&to), &Allow::default());
}

#[test]
fn a_dry_run_and_a_plan_change_nothing() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(24, 20));
    let empty = read(&to);
    let job = Job::new(&server_to_server(&from, &to));
    for arguments in [&["migrate", "--dry-run"][..], &["plan"], &["assess"], &["check"]] {
        let outcome = job.run(arguments);
        outcome.expect(0);
        outcome.json();
        assert_eq!(read(&to), empty, "{arguments:?}");
    }
    assert!(job.run(&["plan"]).stdout.contains("Archive"));
}

#[test]
fn a_run_tells_how_often_it_waited_for_the_disk() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(25, 20));
    let job = Job::new(&server_to_server(&from, &to));
    let [first, second] = [(), ()].map(|()| job.migrate().json()["flushes"].as_u64().unwrap());
    assert!(first > second, "{first} with messages, {second} without");
}

#[test]
fn two_mailboxes_stay_apart_and_can_be_chosen() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    for (user, seed) in [("alice", 30), ("bob", 31)] {
        writers::imap(&mut from.imap(user), '/', &corpus::ordinary(seed, 40));
    }
    let job = Job::new(&[
        imap_side("source", &from),
        imap_side("destination", &to),
        mailbox("first", &account("alice"), &account("anna")),
        mailbox("second", &account("bob"), &account("ben")),
    ]);
    job.run(&["migrate", "--only", "second"]).expect(0);
    assert_eq!(Account::read(&mut to.imap("anna")).count(), 0);
    let outcome = job.migrate();
    assert_eq!(outcome.total("moved"), 80, "{outcome}");
    assert_eq!(outcome.mailbox("first")["moved"], 40);
    for (user, theirs) in [("alice", "anna"), ("bob", "ben")] {
        let (a, b) = (Account::read(&mut from.imap(user)), Account::read(&mut to.imap(theirs)));
        assert_same(&a, &b, &Allow::default());
    }
    let status = job.run(&["status"]);
    status.expect(0);
    assert_eq!((status.total("moved"), status.total("pending")), (80, 0), "{status}");
}

#[test]
fn starttls_protects_as_well_and_clear_text_needs_its_word() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(32, 10));
    let starttls = |side: &str, server: &Dovecot| {
        imap_side(side, server).replace("\"implicit\"", "\"starttls\"").replace(
            &format!("port = {}", server.tls_port().unwrap()),
            &format!("port = {}", server.port()),
        )
    };
    let sections = [
        starttls("source", &from),
        starttls("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ];
    Job::new(&sections).migrate();
    assert_same(&read(&from), &read(&to), &Allow::default());
    // A server that does not speak TLS is not spoken to in clear text instead.
    let bare = Dovecot::start(&Options {
        extra: "ssl = no\n".into(),
        ..Options::default()
    });
    let side = starttls("source", &bare);
    let job = Job::new(&[side, sections[1].clone(), sections[2].clone()]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    outcome.says(&["STARTTLS"]);
}

#[test]
fn compressed_connections_carry_the_same_in_fewer_bytes() {
    let from = Dovecot::start(&Options {
        compress: true,
        sent: "Sent Items",
        ..Options::default()
    });
    let to = Dovecot::start(&Options {
        compress: true,
        special: true,
        ..Options::default()
    });
    let mut account = corpus::hard(38, '/');
    // Text, so that there is something to gain, and more than one fetch and append.
    let words = "The same words over and over again, as newsletters have them.\r\n".repeat(1500);
    let letter = |number| {
        let text = format!("Subject: {number}\r\n\r\n{words}");
        Message::new(text.as_bytes(), &["\\Seen"], NOON)
    };
    account.folder_mut(&["INBOX"]).messages.extend((0..80).map(letter));
    writers::imap(&mut from.imap("alice"), '/', &account);
    let before = read(&from);

    let (near, far) = (
        Proxy::start(from.port(), Plan::default()),
        Proxy::start(to.port(), Plan::default()),
    );
    let side = |side, port| format!("{}compress = true\n", imap_side_at(side, port, None));
    let job = |source, destination| {
        Job::new(&[
            side("source", source),
            side("destination", destination),
            mailbox("alice", &self::account("alice"), &self::account("alice")),
        ])
    };
    let first = job(near.port(), far.port());
    first.migrate().adds_up();
    assert_same(&before, &read(&to), &specials());
    for (name, proxy) in [("source", &near), ("destination", &far)] {
        let (passed, all) = (proxy.bytes(), before.bytes());
        assert!(
            passed < all / 2,
            "{name}: {passed} bytes passed for {all} bytes of mail"
        );
    }
    assert_eq!(first.migrate().worked("copied"), 0);

    // The end of a connection may fall into the middle of what is compressed.
    let cuts = || Plan {
        fault: Box::new(|number, random| match number {
            0..6 => Fault::Cut {
                after: 2_000 + random.below(40_000),
            },
            _ => Fault::None,
        }),
        ..Plan::default()
    };
    let (near, far) = (Proxy::start(from.port(), cuts()), Proxy::start(to.port(), cuts()));
    let broken = job(near.port(), far.port());
    broken.rewrite(&[
        side("source", near.port()),
        side("destination", far.port()),
        mailbox("alice", &self::account("alice"), &self::account("bob")),
    ]);
    broken.migrate().adds_up();
    assert!(near.faults() + far.faults() > 0);
    assert_same(&before, &Account::read(&mut to.imap("bob")), &specials());
}

#[test]
fn a_cyrus_gives_and_takes() {
    let (cyrus, dovecot) = (
        Cyrus::start(),
        Dovecot::start(&Options {
            special: true,
            ..Options::default()
        }),
    );
    writers::imap(&mut cyrus.imap("alice"), '/', &corpus::ordinary(33, 60));
    let before = read(&cyrus);
    let job = Job::new(&server_to_server(&cyrus, &dovecot));
    job.migrate().adds_up();
    // Cyrus has OBJECTID (RFC 8474): what it calls a message is kept, one name for each different one.
    let export = job.run(&["ledger", "export"]);
    export.expect(0);
    let identities: std::collections::BTreeSet<String> = export
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| Some(line.get("identity")?.as_str()?.to_owned()))
        .collect();
    assert_eq!(identities.len(), before.count(), "{export}");
    assert_same(
        &before,
        &read(&dovecot),
        &Allow {
            subscriptions: true,
            ..Allow::default()
        },
    );

    let mut imap = dovecot.imap("bob");
    let mut account = corpus::ordinary(34, 20);
    account
        .folders
        .push(Folder::new(&["with \"quotes\" and {braces}"]).with(corpus::bulk(35, 2)));
    writers::imap(&mut imap, '/', &account);
    let job = Job::new(&[
        imap_side("source", &dovecot),
        imap_side("destination", &cyrus),
        mailbox("bob", &self::account("bob"), &self::account("bob")),
    ]);
    let outcome = job.migrate();
    outcome.adds_up();
    let there = Account::read(&mut cyrus.imap("bob"));
    // Cyrus takes no quotes and braces in names: what it got instead is said.
    assert!(
        outcome.mailbox("bob")["notes"].to_string().contains("braces"),
        "{outcome} {:?}",
        cyrus.imap("bob").list()
    );
    let mut allow = Allow::default().and_renamed(&["with \"quotes\" and {braces}"], &["with _quotes_ and _braces_"]);
    for special in ["Sent", "Drafts", "Trash", "Junk", "Archive"] {
        allow = allow.and_extra(&[special]);
    }
    assert_same(&Account::read(&mut imap), &there, &allow);
}

#[test]
fn a_courier_gives_and_takes() {
    let (courier, dovecot) = (Courier::start(), Dovecot::plain());
    let mut account = corpus::ordinary(36, 30);
    for message in account.folders.iter_mut().flat_map(|folder| &mut folder.messages) {
        message.flags.retain(|flag| flag.starts_with('\\'));
    }
    writers::imap(&mut dovecot.imap("alice"), '/', &account);
    let outcome = Job::new(&server_to_server(&dovecot, &courier)).migrate();
    outcome.adds_up();
    let mut there = read(&courier);
    for folder in &mut there.folders {
        if folder.path.len() > 1 {
            folder.path.remove(0);
        }
    }
    let allow = Allow {
        special: true,
        subscriptions: true,
        ..Allow::default()
    }
    .and_extra(&["Trash"]);
    assert_same(&read(&dovecot), &there, &allow);

    let back = Dovecot::plain();
    Job::new(&server_to_server(&courier, &back)).migrate().adds_up();
    assert_same(
        &there,
        &read(&back),
        &Allow {
            empty_folders: true,
            ..allow
        },
    );
}

#[test]
fn one_connection_a_side_is_one_login_a_side() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(38, 30));
    let mut sections = server_to_server(&from, &to);
    sections.insert(0, "[limits]\nconnections = 1\n".to_owned());
    let job = Job::new(&sections);
    let before = (logins(&from, "marker-1"), logins(&to, "marker-1"));
    job.migrate().adds_up();
    let first = (logins(&from, "marker-2"), logins(&to, "marker-2"));
    job.migrate().adds_up();
    let second = (logins(&from, "marker-3"), logins(&to, "marker-3"));
    assert_eq!(first, (before.0 + 1, before.1 + 1), "a first run");
    assert_eq!(
        second,
        (first.0 + 1, first.1),
        "nothing new: the destination is not needed"
    );
    assert_eq!(read(&to).count(), 30);
}

/// How often alice logged in so far. The log is written behind the sessions, so somebody else logs in and is waited for.
fn logins(server: &Dovecot, marker: &str) -> usize {
    drop(server.imap(marker));
    let start = Instant::now();
    loop {
        let log = server.log();
        if log.contains(&format!("Login: user=<{marker}>")) {
            return log.matches("Login: user=<alice>").count();
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{marker} is not in the log: {log}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_checking_client_agrees_with_the_servers_counts() {
    // Guards the guard: a reader that overlooks messages would overlook losses too.
    let server = Dovecot::plain();
    writers::imap(&mut server.imap("alice"), '/', &corpus::ordinary(37, 100));
    let mut imap: Imap = server.imap("alice");
    let counted: u64 = ["INBOX", "Archive/2019", "Archive/2020", "Lists/rust"]
        .iter()
        .map(|name| imap.status(name, "MESSAGES"))
        .sum();
    let account = read(&server);
    assert_eq!((counted, account.count()), (100, 100));
    assert!(
        account
            .folders
            .iter()
            .flat_map(|folder| &folder.messages)
            .all(|message| message.received <= NOON)
    );
}
