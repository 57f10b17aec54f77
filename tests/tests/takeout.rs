//! What Google Takeout gives, to servers: mail with its labels, calendars, contacts; unpacked and in archives.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::Path;

use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus;
use whimbrel_tests::dav::Sort;
use whimbrel_tests::run::{Job, account, imap_side, local_side, mailbox};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{DavServer, Dovecot, Radicale, Server};
use whimbrel_tests::snapshot::Snapshot;

/// Tue Aug 08 12:36:29 +0000 2023.
const RECEIVED: i64 = 1_691_498_189;

/// Messages: labels as Takeout writes them, folders and flags that follow from them.
const MESSAGES: [(&str, &[&str], &[&str]); 7] = [
    ("Inbox,Category updates,Unread", &["INBOX"], &[]),
    (
        "Inbox,Important,Starred,Opened",
        &["INBOX"],
        &["\\Seen", "\\Flagged", "$Important"],
    ),
    (
        "=?UTF-8?Q?Archiviert,Ge=C3=B6ffnet,\r\n K=C3=B6ln/Alt?=",
        &["Köln/Alt"],
        &["\\Seen"],
    ),
    ("Work,Sent,Opened", &["Work", "Sent"], &["\\Seen"]),
    ("Archived,Opened", &["Archive"], &["\\Seen"]),
    ("Spam,Unread", &["Junk"], &["$Junk"]),
    ("Drafts", &["Drafts"], &["\\Seen", "\\Draft"]),
];

fn body(number: usize) -> String {
    format!(
        "From: a@b.example\r\nTo: c@d.example\r\nSubject: Number {number}\r\nMessage-ID: <{number}@b.example>\r\n\r\n\
         Text\r\nFrom here on\r\n>From there on\r\nStatus: said\r\n"
    )
}

/// The spool, as Takeout writes it, and what follows from it.
fn mail() -> (String, Account) {
    let mut spool = String::new();
    let mut folders: Vec<Folder> = Vec::new();
    for (number, (labels, lies_in, flags)) in MESSAGES.into_iter().enumerate() {
        let id = 1_773_664_405_479_613_283_u64 + number as u64;
        let quoted = body(number)
            .replace("\r\n>From", "\r\n>>From")
            .replace("\r\nFrom here", "\r\n>From here");
        spool += &format!(
            "From {id}@xxx Tue Aug 08 12:36:29 +0000 2023\r\nX-GM-THRID: {id}\r\nX-Gmail-Labels: {labels}\r\n{quoted}\r\n"
        );
        for path in lies_in {
            let path: Vec<&str> = path.split('/').collect();
            let message = Message::new(body(number).as_bytes(), flags, RECEIVED);
            match folders.iter_mut().find(|folder| folder.path == path) {
                Some(folder) => folder.messages.push(message),
                None => folders.push(Folder::new(&path).with(vec![message])),
            }
        }
    }
    (spool, Account { folders })
}

fn calendar(name: &str, count: usize) -> String {
    let events: String = (0..count)
        .map(|number| {
            let event = corpus::event(&format!("{name}-{number}"), &format!("Event {number}"));
            let from = event.find("BEGIN:VEVENT").unwrap();
            event[from..event.find("END:VCALENDAR").unwrap()].to_owned()
        })
        .collect();
    format!(
        "BEGIN:VCALENDAR\r\nPRODID:-//Google Inc//Google Calendar 70.9054//EN\r\nVERSION:2.0\r\nCALSCALE:GREGORIAN\r\n\
         METHOD:PUBLISH\r\nX-WR-CALNAME:{name}\r\nX-WR-TIMEZONE:Europe/Berlin\r\n{events}END:VCALENDAR\r\n"
    )
}

/// An export in German, as it is unpacked.
fn export(root: &Path) -> Account {
    let (spool, expected) = mail();
    let contacts: String = (0..5)
        .map(|number| corpus::contact(&format!("c{number}"), &format!("Contact {number}")))
        .collect();
    for (path, text) in [
        (
            "Takeout/Gmail/Alle E-Mails einschließlich Spam und Papierkorb.mbox",
            spool,
        ),
        ("Takeout/Kalender/Familie.ics", calendar("Familie", 4)),
        ("Takeout/Kalender/a@b.example.ics", calendar("Arbeit", 3)),
        ("Takeout/Kontakte/Alle Kontakte/Alle Kontakte.vcf", contacts),
        ("Takeout/Archiv_Übersicht.html", "<html>".to_owned()),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    expected
}

fn side(root: &Path) -> String {
    local_side("source", "takeout", &format!("root = \"{}\"", root.display()))
}

#[test]
fn mail_arrives_in_the_folders_of_its_labels() {
    let tree = scratch::folder("takeout");
    let expected = export(tree.path());
    let before = Snapshot::take(tree.path(), &[]);
    let to = Dovecot::plain();
    let job = Job::new(&[
        "[folders]\nexclude = [\"Familie\", \"Arbeit\", \"Alle Kontakte\"]\n".to_owned(),
        side(tree.path()),
        imap_side("destination", &to),
        mailbox("alice", "{}", &account("alice")),
    ]);
    let outcome = job.migrate();
    outcome.adds_up();
    let allow = Allow {
        special: true,
        subscriptions: true,
        ..Allow::dovecot()
    };
    assert_same(&expected, &Account::read(&mut to.imap("alice")), &allow);
    job.run(&["verify", "--deep"]).expect(0);
    assert_eq!(job.migrate().worked("copied"), 0);
    assert_eq!(before.changes(&Snapshot::take(tree.path(), &[])), Vec::<String>::new());

    // Another export, later: the spool is written anew, and one message is new.
    let spool = tree
        .path()
        .join("Takeout/Gmail/Alle E-Mails einschließlich Spam und Papierkorb.mbox");
    let (text, _) = mail();
    let id = 1_873_664_405_479_613_283_u64;
    let new = format!(
        "From {id}@xxx Tue Aug 08 12:36:29 +0000 2024\r\nX-GM-THRID: {id}\r\nX-Gmail-Labels: Posteingang\r\n{}\r\n",
        body(99)
    );
    fs::write(&spool, format!("{new}{text}")).unwrap();
    let outcome = job.migrate();
    assert_eq!(outcome.worked("copied"), 1, "{outcome}");
}

/// Calendars or contacts of an export, at a server that holds nothing else.
fn objects_arrive(sort: Sort, root: &Path) {
    let to = Radicale::start();
    to.dav().children("/alice/");
    let others = match sort {
        Sort::Calendars => "\"Alle Kontakte\"",
        Sort::AddressBooks => "\"Familie\", \"Arbeit\"",
    };
    let mail = "\"INBOX\", \"Köln\", \"Work\", \"Sent\", \"Archive\", \"Junk\", \"Drafts\"";
    let job = Job::new(&[
        format!("[folders]\nexclude = [{mail}, {others}]\n"),
        side(root),
        to.side("destination", sort.connector()),
        mailbox("alice", "{}", &to.account()),
    ]);
    let outcome = job.migrate();
    outcome.adds_up();
    let books = to.dav().books(sort, "/alice/");
    let counts: Vec<(&str, usize)> = books
        .iter()
        .map(|(name, objects)| (name.as_str(), objects.len()))
        .collect();
    match sort {
        Sort::Calendars => assert_eq!(counts, [("Arbeit", 3), ("Familie", 4)]),
        Sort::AddressBooks => assert_eq!(counts, [("Alle Kontakte", 5)]),
    }
    job.run(&["verify", "--deep"]).expect(0);
    assert_eq!(job.migrate().worked("copied"), 0);
}

#[test]
fn calendars_arrive() {
    let tree = scratch::folder("takeout");
    export(tree.path());
    objects_arrive(Sort::Calendars, tree.path());
}

#[test]
fn contacts_arrive() {
    let tree = scratch::folder("takeout");
    export(tree.path());
    objects_arrive(Sort::AddressBooks, tree.path());
}

#[test]
fn one_migration_takes_everything_to_its_place() {
    let tree = scratch::folder("takeout");
    let expected = export(tree.path());
    let (mail, dav) = (Dovecot::plain(), Radicale::start());
    dav.dav().children("/alice/");
    let mail_alone = [
        side(tree.path()),
        imap_side("destination", &mail),
        mailbox("alice", "{}", &account("alice")),
    ];
    // What has no place is told before.
    let job = Job::new(&mail_alone);
    let assessed = job.run(&["assess"]);
    assessed.says(&[
        "does not hold items of the kind event: 7 in 2 folders would wait",
        "does not hold items of the kind contact: 5 in 1 folders would wait",
    ]);
    job.run(&["plan"]).says(&["unheld"]);

    // With a place for each, all of it goes in one run.
    let mut parts = mail_alone.to_vec();
    parts.push(dav.side("part.calendars.destination", "caldav"));
    parts.push(dav.side("part.contacts.destination", "carddav"));
    job.rewrite(&parts);
    let outcome = job.migrate();
    outcome.adds_up();
    let moved = |name: &str| outcome.mailbox(name)["moved"].as_u64();
    assert_eq!(
        (moved("alice/calendars"), moved("alice/contacts")),
        (Some(7), Some(5)),
        "{outcome}"
    );
    let allow = Allow {
        special: true,
        subscriptions: true,
        ..Allow::dovecot()
    };
    assert_same(&expected, &Account::read(&mut mail.imap("alice")), &allow);
    for (sort, counts) in [
        (Sort::Calendars, vec![("Arbeit", 3), ("Familie", 4)]),
        (Sort::AddressBooks, vec![("Alle Kontakte", 5)]),
    ] {
        let books = dav.dav().books(sort, "/alice/");
        let found: Vec<(&str, usize)> = books.iter().map(|(name, it)| (name.as_str(), it.len())).collect();
        assert_eq!(found, counts);
    }
    let verified = job.run(&["verify", "--deep"]);
    verified.expect(0);
    assert_eq!(verified.json()["total"]["verdict"]["grade"], "perfect", "{verified}");
    assert_eq!(job.migrate().worked("copied"), 0);
    let report = job.run(&["report"]);
    report.expect(0);
    assert_eq!(
        report.json()["destination"]["connectors"],
        serde_json::json!(["imap", "caldav", "carddav"])
    );
}
