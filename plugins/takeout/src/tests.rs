//! Whole exports, in a folder in memory.

use whimbrel_folders::memory::MemoryDisk;
use whimbrel_plugin::{Change, Failure, ItemMeta, Kind, Reader, Role};

use crate::account::Account;

type Memory = Account<MemoryDisk>;

/// A message as Takeout writes it.
fn message(id: u64, labels: &str, text: &str) -> String {
    format!(
        "From {id}@xxx Tue Aug 08 12:36:29 +0000 2023\r\nX-GM-THRID: {id}\r\nX-Gmail-Labels: {labels}\r\n{}\r\n",
        text.replace('\n', "\r\n")
    )
}

fn mail() -> String {
    [
        message(
            1_773_664_405_479_613_283,
            "Inbox,Category updates,Unread",
            "Subject: one\n\nbody\n>From here\n",
        ),
        message(
            1_773_664_405_479_613_284,
            "=?UTF-8?Q?Archived,Starred,Opened,\r\n Work/K=C3=B6ln?=",
            "Subject: two\n\nStatus: mine\n",
        ),
        message(
            1_773_664_405_479_613_285,
            "Work,Sent,Important,Opened",
            "Status: RO\nSubject: three\n\n",
        ),
        "From 12@xxx Tue Aug 08 12:36:29 +0000 2023\r\nX-Gmail-Labels: Spam\r\nSubject: four\r\n\r\nx\r\n\r\n"
            .to_owned(),
    ]
    .concat()
}

fn calendar(uids: &[&str]) -> String {
    let events: String = uids
        .iter()
        .map(|uid| format!("BEGIN:VEVENT\r\nUID:{uid}\r\nEND:VEVENT\r\n"))
        .collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Family\r\n{events}END:VCALENDAR\r\n")
}

const CARD: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:a\r\nEND:VCARD\r\n";

fn export() -> MemoryDisk {
    let disk = MemoryDisk::default();
    disk.put("Takeout/Mail/All mail Including Spam and Trash.mbox", mail().as_bytes());
    disk.put("Takeout/Kalender/x@group.ics", calendar(&["a", "b"]).as_bytes());
    disk.put(
        "Takeout/Kontakte/Alle Kontakte/Alle Kontakte.vcf",
        CARD.repeat(2).as_bytes(),
    );
    disk.put("Takeout/Google Fotos/1.jpg", b"no mail");
    disk
}

fn open(disk: &MemoryDisk) -> Memory {
    Account::open(disk.clone()).unwrap()
}

fn listed(disk: &MemoryDisk, id: &str, cursor: Option<&str>, limit: u32) -> (Vec<ItemMeta>, String) {
    let (mut found, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let page = open(disk).changes(id, cursor.as_deref(), limit).unwrap();
        found.extend(page.changes.iter().map(|change| match change {
            Change::Upserted(meta) => meta.clone(),
            other => panic!("{other:?}"),
        }));
        if !page.more {
            return (found, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

fn contents(disk: &MemoryDisk, id: &str) -> Vec<String> {
    let metas = listed(disk, id, None, 10).0;
    let ids: Vec<String> = metas.iter().map(|meta| meta.id.clone()).collect();
    let given = open(disk).fetch(id, &ids).unwrap();
    let text = |(answer, listed): (crate::account::Given<_>, &ItemMeta)| {
        let (meta, content, _): (ItemMeta, whimbrel_folders::memory::Bytes, _) = answer.unwrap();
        assert_eq!(&meta, listed);
        assert_eq!(meta.size.unwrap_or(content.0.len() as u64), content.0.len() as u64);
        String::from_utf8(content.0.to_vec()).unwrap()
    };
    given.into_iter().zip(&metas).map(text).collect()
}

/// An archive: what is in it, and whether that is compressed.
fn zip(files: &[(&str, &[u8], bool)], more_than_fits: bool) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let le = |number: u64, length: usize| number.to_le_bytes()[..length].to_vec();
    for (name, content, packed) in files {
        let at = out.len() as u64;
        let data = if *packed {
            miniz_oxide::deflate::compress_to_vec(content, 6)
        } else {
            content.to_vec()
        };
        let mut sum = crc32fast::Hasher::new();
        sum.update(content);
        let method = if *packed { 8 } else { 0 };
        let sum = u64::from(sum.finalize());
        let sizes = [data.len() as u64, content.len() as u64];
        out.extend(
            [
                &b"PK\x03\x04"[..],
                &le(20, 2),
                &le(0, 2),
                &le(method, 2),
                &le(0, 4),
                &le(sum, 4),
                &le(sizes[0], 4),
                &le(sizes[1], 4),
                &le(name.len() as u64, 2),
                &le(0, 2),
                name.as_bytes(),
                &data,
            ]
            .concat(),
        );
        let extra = if more_than_fits {
            [le(1, 2), le(24, 2), le(sizes[1], 8), le(sizes[0], 8), le(at, 8)].concat()
        } else {
            Vec::new()
        };
        let shown = |number: u64| if more_than_fits { 0xffff_ffff } else { number };
        directory.extend(
            [
                &b"PK\x01\x02"[..],
                &le(20, 2),
                &le(20, 2),
                &le(0, 2),
                &le(method, 2),
                &le(0, 4),
                &le(sum, 4),
                &le(shown(sizes[0]), 4),
                &le(shown(sizes[1]), 4),
                &le(name.len() as u64, 2),
                &le(extra.len() as u64, 2),
                &le(0, 2),
                &le(0, 2),
                &le(0, 2),
                &le(0, 4),
                &le(shown(at), 4),
                name.as_bytes(),
                &extra,
            ]
            .concat(),
        );
    }
    let (begins, length, count) = (out.len() as u64, directory.len() as u64, files.len() as u64);
    out.extend(directory);
    if more_than_fits {
        let at = out.len() as u64;
        out.extend(
            [
                &b"PK\x06\x06"[..],
                &le(44, 8),
                &le(45, 2),
                &le(45, 2),
                &le(0, 4),
                &le(0, 4),
                &le(count, 8),
                &le(count, 8),
                &le(length, 8),
                &le(begins, 8),
            ]
            .concat(),
        );
        out.extend([&b"PK\x06\x07"[..], &le(0, 4), &le(at, 8), &le(1, 4)].concat());
        out.extend(
            [
                &b"PK\x05\x06"[..],
                &le(0xffff, 2),
                &le(0xffff, 2),
                &le(0xffff, 2),
                &le(0xffff, 2),
                &le(0xffff_ffff, 4),
                &le(0xffff_ffff, 4),
                &le(0, 2),
            ]
            .concat(),
        );
    } else {
        out.extend(
            [
                &b"PK\x05\x06"[..],
                &le(0, 2),
                &le(0, 2),
                &le(count, 2),
                &le(count, 2),
                &le(length, 4),
                &le(begins, 4),
                &le(7, 2),
                b"comment",
            ]
            .concat(),
        );
    }
    out
}

#[test]
fn the_description_is_sound() {
    let description = crate::Takeout::describe();
    for schema in [&description.settings_schema, &description.account_schema] {
        let parsed: serde_json::Value = serde_json::from_str(schema).unwrap();
        assert_eq!(parsed["type"], "object");
    }
}

#[test]
fn labels_become_folders_and_files_collections() {
    let found = open(&export()).collections().unwrap();
    let seen: Vec<(String, Kind, Option<Role>)> = found
        .iter()
        .map(|one| (one.path.join("/"), one.kind, one.role))
        .collect();
    let message = |path: &str, role| (path.to_owned(), Kind::Message, role);
    assert_eq!(
        seen,
        [
            ("Alle Kontakte".to_owned(), Kind::Contact, None),
            ("Family".to_owned(), Kind::Event, None),
            message("INBOX", Some(Role::Inbox)),
            message("Junk", Some(Role::Junk)),
            message("Sent", Some(Role::Sent)),
            message("Work", None),
            message("Work/Köln", None),
        ]
    );
}

#[test]
fn messages_are_what_they_were_before_takeout() {
    let disk = export();
    assert_eq!(
        contents(&disk, "mail/INBOX"),
        ["Subject: one\r\n\r\nbody\r\nFrom here\r\n"]
    );
    assert_eq!(
        contents(&disk, "mail/Work/Köln"),
        ["Subject: two\r\n\r\nStatus: mine\r\n"]
    );
    let twice = [contents(&disk, "mail/Work"), contents(&disk, "mail/Sent")];
    assert_eq!(twice[0], twice[1]);
    assert_eq!(twice[0], ["Status: RO\r\nSubject: three\r\n\r\n"]);
    // Where it is not certain what Takeout added, the bytes stay.
    assert!(contents(&disk, "mail/Junk")[0].starts_with("X-Gmail-Labels: Spam\r\n"));
    let meta = &listed(&disk, "mail/Work", None, 10).0[0];
    assert_eq!(
        (meta.id.as_str(), meta.identity.as_deref()),
        ("1773664405479613285", Some("1773664405479613285"))
    );
    assert_eq!(meta.flags, ["\\Seen", "$Important"]);
    assert_eq!(meta.received.unwrap().unix_ms, 1_691_498_189_000);
    let meta = &listed(&disk, "mail/INBOX", None, 10).0[0];
    assert_eq!(
        (meta.flags.len(), meta.labels.as_slice()),
        (0, &["Category updates".to_owned()][..])
    );
}

#[test]
fn an_export_in_archives_is_the_same() {
    let plain = export();
    for (packed, large) in [(true, false), (false, false), (true, true)] {
        let disk = MemoryDisk::default();
        let text = mail();
        let first = zip(
            &[
                (
                    "Takeout/Mail/All mail Including Spam and Trash.mbox",
                    text.as_bytes(),
                    packed,
                ),
                ("Takeout/Google Fotos/1.jpg", b"no mail", packed),
            ],
            large,
        );
        let calendar = calendar(&["a", "b"]);
        let cards = CARD.repeat(2);
        let second = zip(
            &[
                ("Takeout/Kalender/x@group.ics", calendar.as_bytes(), packed),
                (
                    "Takeout/Kontakte/Alle Kontakte/Alle Kontakte.vcf",
                    cards.as_bytes(),
                    packed,
                ),
            ],
            large,
        );
        disk.put("takeout-20240101T000000Z-001.zip", &first);
        disk.put("takeout-20240101T000000Z-002.zip", &second);
        // One of them is unpacked as well: nothing is there twice.
        disk.put("Takeout/Kalender/x@group.ics", calendar.as_bytes());
        let collections = open(&disk).collections().unwrap();
        assert_eq!(collections, open(&plain).collections().unwrap());
        for collection in collections {
            assert_eq!(
                contents(&disk, &collection.id),
                contents(&plain, &collection.id),
                "{packed} {large}"
            );
        }
    }
}

#[test]
fn archives_that_are_damaged_or_dense_are_refused() {
    let text = mail();
    let whole = zip(&[("Takeout/Mail/a.mbox", text.as_bytes(), true)], false);
    let refused = |bytes: &[u8]| {
        let disk = MemoryDisk::default();
        disk.put("takeout-001.zip", bytes);
        let opened = Account::open(disk).and_then(|mut account| account.collections());
        matches!(
            opened,
            Err(Failure::Rejected(_) | Failure::Unsupported(_) | Failure::NotFound(_))
        )
    };
    assert!(!refused(&whole));
    for length in 0..whole.len() - 7 {
        assert!(refused(&whole[..length]), "cut at {length}");
    }
    let mut changed = whole.clone();
    changed[60] ^= 0x55;
    assert!(refused(&changed), "the sum does not fit");
    let at = whole.windows(4).position(|part| part == b"PK\x01\x02").unwrap();
    for (offset, value) in [(8, 1), (10, 99), (24 + 3, 0x70), (42, 9)] {
        let mut changed = whole.clone();
        changed[at + offset] = value;
        assert!(refused(&changed), "{offset}");
    }
    // Claims little, and unpacks to much more.
    let zeros = vec![0; 50 << 20];
    let mut bomb = zip(&[("Takeout/Mail/a.mbox", &zeros, true)], false);
    let at = bomb.windows(4).rposition(|part| part == b"PK\x01\x02").unwrap();
    bomb[at + 24..at + 28].copy_from_slice(&1000_u32.to_le_bytes());
    assert!(refused(&bomb));
}

#[test]
fn nothing_changed_is_nothing_listed_and_another_export_is_told() {
    let disk = export();
    for collection in open(&disk).collections().unwrap() {
        let (whole, cursor) = listed(&disk, &collection.id, None, 100);
        assert_eq!(listed(&disk, &collection.id, None, 1).0, whole);
        assert!(listed(&disk, &collection.id, Some(&cursor), 10).0.is_empty());
    }
    let (_, cursor) = listed(&disk, "mail/INBOX", None, 10);
    disk.pass(10);
    let more = message(1_773_664_405_479_613_299, "Inbox", "Subject: new\n\n");
    disk.put(
        "Takeout/Mail/All mail Including Spam and Trash.mbox",
        format!("{more}{}", mail()).as_bytes(),
    );
    let ids: Vec<String> = listed(&disk, "mail/INBOX", Some(&cursor), 10)
        .0
        .into_iter()
        .map(|meta| meta.id)
        .collect();
    assert_eq!(ids, ["1773664405479613299", "1773664405479613283"], "ids stay");
}

#[test]
fn a_message_that_lies_in_several_spools_is_taken_once() {
    let disk = export();
    disk.put("Takeout/Mail/Work.mbox", mail().as_bytes());
    assert_eq!(listed(&disk, "mail/Work", None, 10).0.len(), 1);
}

#[test]
fn ids_of_nothing_are_not_found() {
    let mut account = open(&export());
    for id in [
        "x",
        "mail/",
        "mail/Nowhere",
        "file/x",
        "file/Takeout/Google Fotos/1.jpg",
        "",
    ] {
        assert!(
            matches!(account.changes(id, None, 10), Err(Failure::NotFound(_))),
            "{id}"
        );
    }
    let ids = ["1", "1773664405479613284", "0@0", "9@9", "", "@"].map(str::to_owned);
    for answer in account.fetch("mail/INBOX", &ids).unwrap() {
        assert!(matches!(answer, Err(Failure::NotFound(_))));
    }
    assert!(matches!(
        Account::open(MemoryDisk::default()),
        Err(Failure::NotFound(_))
    ));
}
