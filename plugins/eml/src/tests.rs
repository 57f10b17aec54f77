//! Whole accounts, in a folder in memory.

use whimbrel_folders::memory::{Bytes, MemoryDisk};
use whimbrel_folders::{Body, Disk};
use whimbrel_plugin::{Change, Collection, Connector, Failure, ItemMeta, Page, Remark, Role, Timestamp};

use crate::account::{Account, Dates};

type Memory = Account<MemoryDisk>;

const MESSAGE: &[u8] = b"Received: by x; Thu, 29 Feb 2024 12:34:56 +0000\r\nSubject: a\r\n\r\na\r\n";
const RECEIVED: i64 = 1_709_210_096_000;

fn open(disk: &MemoryDisk) -> Memory {
    Account::new(disk.clone(), Dates::Message)
}

fn metas(page: &Page) -> Vec<&ItemMeta> {
    page.changes
        .iter()
        .map(|change| match change {
            Change::Upserted(meta) | Change::Marked(meta) => meta,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The whole listing from a cursor on, and the cursor behind it.
fn listed(account: &Memory, collection: &str, cursor: Option<&str>, limit: u32) -> (Vec<Change>, String) {
    let (mut changes, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let page = account.changes(collection, cursor.as_deref(), limit).unwrap();
        assert!(page.changes.len() <= limit as usize);
        assert!(
            !page.more || cursor.as_deref() != Some(&page.cursor),
            "the cursor moves"
        );
        changes.extend(page.changes);
        if !page.more {
            return (changes, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

fn ids(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(Change::id).collect()
}

fn new(changes: &[Change]) -> Vec<&str> {
    let new = changes.iter().filter(|change| matches!(change, Change::Upserted(_)));
    new.map(Change::id).collect()
}

fn fetched(account: &mut Memory, collection: &str, id: &str) -> Result<Vec<u8>, Failure> {
    let mut answers = account.fetch(collection, &[id.to_owned()]).unwrap();
    answers.pop().unwrap().map(|(_, body)| body.0.to_vec())
}

fn wanted(path: &[&str]) -> Collection {
    Collection::new("", path.iter().copied()).subscribed(true)
}

fn put(account: &mut Memory, collection: &str, messages: &[(&[u8], &[&str])]) -> Vec<String> {
    let items: Vec<(ItemMeta, Bytes)> = messages
        .iter()
        .map(|(body, flags)| {
            let at = Timestamp {
                unix_ms: 1_600_000_000_123,
                offset_minutes: 60,
            };
            let meta = ItemMeta::new("ignored").received(Some(at)).flags(flags.iter().copied());
            (meta, Bytes::from_bytes(body))
        })
        .collect();
    let items: Vec<(&ItemMeta, &Bytes)> = items.iter().map(|(meta, body)| (meta, body)).collect();
    let placed = account.put(collection, &items).unwrap();
    placed
        .into_iter()
        .map(|placement| placement.unwrap().id.unwrap())
        .collect()
}

fn emlx(message: &str, flags: u64, received: i64) -> Vec<u8> {
    format!(
        "{}\n{message}<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>date-received</key><integer>{received}</integer>\
         <key>flags</key><integer>{flags}</integer></dict></plist>\n",
        message.len()
    )
    .into_bytes()
}

#[test]
fn the_description_is_sound() {
    let description = crate::Eml::describe();
    assert_eq!(description.name, "eml");
    for schema in [&description.settings_schema, &description.account_schema] {
        let parsed: serde_json::Value = serde_json::from_str(schema).unwrap();
        assert_eq!(parsed["type"], "object");
    }
}

#[test]
fn a_folder_is_read_and_nothing_is_touched() {
    let disk = MemoryDisk::default();
    disk.put("Inbox/b.EML", MESSAGE);
    disk.put("Inbox/a.eml", b"Subject: x\n\nnul \0\n");
    disk.put("Inbox/empty.eml", b"");
    for other in [
        "Inbox/a.txt",
        "Inbox/.hidden.eml",
        "Inbox/._a.eml",
        ".trash/a.eml",
        "Inbox/a.eml.part",
    ] {
        disk.put(other, b"no message");
    }
    disk.make("Inbox/directory.eml");
    disk.put("Work/2021%2F22/c.eml", MESSAGE);
    disk.make("Empty");
    let before = disk.snapshot();

    let mut account = open(&disk);
    let folders = account.collections().unwrap();
    let shown: Vec<(&str, String)> = folders
        .iter()
        .map(|folder| (folder.id.as_str(), folder.path.join(">")))
        .collect();
    assert_eq!(
        shown,
        [
            ("Empty", "Empty".to_owned()),
            ("Inbox", "Inbox".to_owned()),
            ("Inbox/directory.eml", "Inbox>directory.eml".to_owned()),
            ("Work", "Work".to_owned()),
            ("Work/2021%2F22", "Work>2021/22".to_owned()),
        ]
    );
    assert_eq!(folders[1].role, Some(Role::Inbox));

    let page = account.changes("Inbox", None, 100).unwrap();
    assert!(page.complete && !page.more);
    let seen: Vec<(&str, Option<u64>, i64)> = metas(&page)
        .iter()
        .map(|meta| (meta.id.as_str(), meta.size, meta.received.unwrap().unix_ms))
        .collect();
    let size = MESSAGE.len();
    let id = format!("b.EML@{size}.1000000000000");
    assert_eq!(
        seen,
        [
            ("a.eml@18.1000000000000", Some(18), 1_000_000_000_000),
            (id.as_str(), Some(size as u64), RECEIVED),
            ("empty.eml@0.1000000000000", Some(0), 1_000_000_000_000),
        ]
    );
    assert_eq!(fetched(&mut account, "Inbox", &id).unwrap(), MESSAGE);
    assert_eq!(
        fetched(&mut account, "Inbox", "a.eml@18.1000000000000").unwrap(),
        b"Subject: x\n\nnul \0\n"
    );
    for nothing in [
        "b.EML",
        "b.EML@1.1000000000000",
        "a.txt@10.1000000000000",
        ".hidden.eml@10.1000000000000",
        "../Inbox/b.EML@65.1000000000000",
        "directory.eml@0.1000000000000",
        "../../etc/passwd",
        "",
    ] {
        assert!(
            matches!(fetched(&mut account, "Inbox", nothing), Err(Failure::NotFound(_))),
            "{nothing}"
        );
    }
    for nowhere in ["nowhere", "../..", "", "/", ".trash", "Inbox/a.eml"] {
        assert!(
            matches!(account.changes(nowhere, None, 1), Err(Failure::NotFound(_))),
            "{nowhere}"
        );
    }
    let by_file = Account::new(disk.clone(), Dates::File);
    let page = by_file.changes("Work/2021%2F22", None, 1).unwrap();
    assert_eq!(metas(&page)[0].received.unwrap().unix_ms, 1_000_000_000_000);
    assert_eq!(disk.snapshot(), before);
}

#[test]
fn messages_in_the_root_are_the_inbox_unless_another_folder_is() {
    let disk = MemoryDisk::default();
    disk.put("a.eml", MESSAGE);
    disk.put("Sent/b.eml", MESSAGE);
    let mut account = open(&disk);
    let paths = |account: &Memory| -> Vec<(String, String)> {
        let folders = account.collections().unwrap();
        folders
            .into_iter()
            .map(|folder| (folder.id, folder.path.join(">")))
            .collect()
    };
    let pairs = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(&account), pairs(&[(".", "INBOX"), ("Sent", "Sent")]));
    assert_eq!(account.ensure(&wanted(&["inbox"])).unwrap().id, ".");
    assert_eq!(account.ensure(&wanted(&["INBOX", "Below"])).unwrap().id, "Below");
    assert_eq!(listed(&account, ".", None, 10).0.len(), 1);
    disk.put("INBOX/c.eml", MESSAGE);
    assert_eq!(
        paths(&account),
        pairs(&[
            ("Below", "Below"),
            ("INBOX", "INBOX"),
            (".", "Other messages"),
            ("Sent", "Sent")
        ])
    );
}

#[test]
fn mailboxes_of_apple_mail_are_read() {
    let disk = MemoryDisk::default();
    let store = "INBOX.mbox/0A1B-2C/Data";
    disk.put(
        &format!("{store}/Messages/1.emlx"),
        &emlx("Subject: one\n\n", 1, 1_600_000_000),
    );
    disk.put(
        &format!("{store}/2/1/Messages/12002.emlx"),
        &emlx("Subject: two\n\n", 1 << 4, 0),
    );
    disk.put(
        &format!("{store}/2/1/Messages/12003.partial.emlx"),
        &emlx("Subject: part\n\n", 0, 1_600_000_000),
    );
    disk.put(&format!("{store}/2/1/Messages/12004.emlx"), b"200\nSubject: cut\n\n");
    disk.put(&format!("{store}/2/1/Attachments/12003/2/letter.eml"), MESSAGE);
    disk.put("INBOX.mbox/Info.plist", b"");
    disk.put(
        "Work.mbox/Inner.mbox/0A1B-2C/Data/Messages/3.emlx",
        &emlx("Subject: three\n\n", 0, 1),
    );
    disk.put("Work/a.eml", MESSAGE);
    let before = disk.snapshot();

    let mut account = open(&disk);
    let folders = account.collections().unwrap();
    let shown: Vec<(&str, String)> = folders
        .iter()
        .map(|folder| (folder.id.as_str(), folder.path.join(">")))
        .collect();
    assert_eq!(
        shown,
        [
            ("INBOX.mbox", "INBOX".to_owned()),
            ("Work", "Work".to_owned()),
            ("Work.mbox", "Work.mbox".to_owned()),
            ("Work.mbox/Inner.mbox", "Work.mbox>Inner".to_owned()),
        ]
    );
    for limit in [1, 2, 100] {
        let (changes, cursor) = listed(&account, "INBOX.mbox", None, limit);
        assert_eq!(
            ids(&changes),
            [
                "0A1B-2C/Data/2/1/Messages/12002.emlx",
                "0A1B-2C/Data/2/1/Messages/12003.partial.emlx",
                "0A1B-2C/Data/2/1/Messages/12004.emlx",
                "0A1B-2C/Data/Messages/1.emlx",
            ]
        );
        assert!(new(&listed(&account, "INBOX.mbox", Some(&cursor), limit).0).is_empty());
    }
    let page = account.changes("INBOX.mbox", None, 100).unwrap();
    let seen: Vec<(Vec<&str>, Option<u64>, i64)> = metas(&page)
        .iter()
        .map(|meta| {
            let flags = meta.flags.iter().map(String::as_str).collect();
            (flags, meta.size, meta.received.unwrap().unix_ms / 1000)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (vec!["\\Flagged"], Some(14), 1_000_000_000),
            (vec![], None, 1_600_000_000),
            (vec![], None, 1_000_000_000),
            (vec!["\\Seen"], Some(14), 1_600_000_000),
        ]
    );
    let mut get = |id: &str| fetched(&mut account, "INBOX.mbox", id);
    assert_eq!(get("0A1B-2C/Data/Messages/1.emlx").unwrap(), b"Subject: one\n\n");
    for (id, text) in [("12003.partial.emlx", "in part"), ("12004.emlx", "cut short")] {
        match get(&format!("0A1B-2C/Data/2/1/Messages/{id}")) {
            Err(Failure::Rejected(found)) => assert!(found.contains(text), "{found}"),
            other => panic!("{other:?}"),
        }
    }
    // A changed flag rewrites the file; it stays the same message.
    disk.pass(5000);
    disk.put(
        &format!("{store}/Messages/1.emlx"),
        &emlx("Subject: one\n\n", 5, 1_600_000_000),
    );
    let page = account.changes("INBOX.mbox", None, 100).unwrap();
    assert_eq!(metas(&page)[3].flags, ["\\Seen", "\\Answered"]);
    disk.put(
        &format!("{store}/Messages/1.emlx"),
        &emlx("Subject: one\n\n", 1, 1_600_000_000),
    );
    let remark = Remark {
        id: "0A1B-2C/Data/Messages/1.emlx".to_owned(),
        flags: vec!["\\Flagged".to_owned()],
        labels: Vec::new(),
    };
    let files = disk.files();
    assert!(matches!(
        account.mark("INBOX.mbox", &[remark]).unwrap()[..],
        [Err(Failure::Unsupported(_))]
    ));
    assert!(account.put("INBOX.mbox", &[]).is_err() && account.watermark("INBOX.mbox").is_err());
    assert_eq!(disk.files(), files);
    let contents = |snapshot: Vec<(String, Option<Vec<u8>>, i64)>| -> Vec<_> {
        snapshot.into_iter().map(|(path, bytes, _)| (path, bytes)).collect()
    };
    assert_eq!(contents(disk.snapshot()), contents(before));
}

#[test]
fn pages_of_any_size_name_every_message_once_in_order() {
    let disk = MemoryDisk::default();
    for number in 0..57 {
        disk.put(&format!("A/{:04}.eml", number * 7919 % 1000), MESSAGE);
        disk.put(&format!("A/{number:04}.txt"), b"");
    }
    let account = open(&disk);
    let (all, _) = listed(&account, "A", None, 1000);
    assert_eq!(all.len(), 57);
    assert!(ids(&all).is_sorted());
    for limit in [1, 2, 5, 56, 57, 58] {
        let (changes, cursor) = listed(&account, "A", None, limit);
        assert_eq!(ids(&changes), ids(&all), "limit {limit}");
        let (again, _) = listed(&account, "A", Some(&cursor), limit);
        assert_eq!(ids(&again), ids(&all));
        assert!(new(&again).is_empty());
    }
}

#[test]
fn a_file_that_another_took_the_name_of_is_another_message() {
    let disk = MemoryDisk::default();
    disk.put("A/1.eml", MESSAGE);
    disk.put("A/2.eml", MESSAGE);
    let mut account = open(&disk);
    let (before, cursor) = listed(&account, "A", None, 10);
    disk.pass(1);
    // Of the same size.
    disk.put("A/1.eml", &MESSAGE.to_ascii_uppercase());
    disk.put("A/0.eml", MESSAGE);
    let (after, _) = listed(&account, "A", Some(&cursor), 10);
    assert_eq!(ids(&after)[2], ids(&before)[1]);
    assert_ne!(ids(&after)[1], ids(&before)[0]);
    assert_eq!(new(&after), &ids(&after)[..2]);
    assert!(fetched(&mut account, "A", ids(&before)[0]).is_err());
    assert_eq!(
        fetched(&mut account, "A", ids(&after)[1]).unwrap(),
        MESSAGE.to_ascii_uppercase()
    );
}

#[test]
fn what_is_put_comes_back() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    let folder = account.ensure(&wanted(&["Work", "a/b"])).unwrap();
    assert_eq!(
        (folder.id.as_str(), folder.path.join(">")),
        ("Work/a%2Fb", "Work>a/b".to_owned())
    );
    let watermark = account.watermark(&folder.id).unwrap();
    assert!(listed(&account, &folder.id, Some(&watermark), 10).0.is_empty());
    let bodies: [&[u8]; 4] = [b"one\r\n", b"two\n\0", b"", b"one\r\n"];
    let flags: [&[&str]; 4] = [&["\\Seen", "Work"], &[], &["$Forwarded"], &["\\Draft"]];
    let placed = put(
        &mut account,
        &folder.id,
        &[0, 1, 2, 3].map(|at| (bodies[at], flags[at])),
    );
    assert_eq!(disk.syncs(), 2);
    assert!(disk.files().iter().all(|file| !file.ends_with(".part")));
    for cursor in [None, Some(watermark.as_str())] {
        for limit in [1, 3, 100] {
            let (changes, _) = listed(&open(&disk), &folder.id, cursor, limit);
            assert_eq!(new(&changes), placed);
        }
    }
    let page = account.changes(&folder.id, None, 10).unwrap();
    for (at, meta) in metas(&page).into_iter().enumerate() {
        assert_eq!(meta.received.unwrap().unix_ms, 1_600_000_000_000);
        assert_eq!(meta.flags.len(), flags[at].len());
        assert!(
            flags[at]
                .iter()
                .all(|flag| meta.flags.iter().any(|known| known == flag))
        );
        assert_eq!(fetched(&mut account, &folder.id, &meta.id).unwrap(), bodies[at]);
    }
    // Later deliveries are beyond the first watermark and beyond the listing.
    let (_, cursor) = listed(&account, &folder.id, None, 10);
    let more = put(&mut account, &folder.id, &[(b"more", &[])]);
    assert_eq!(new(&listed(&account, &folder.id, Some(&cursor), 2).0), more);
    let since = account.watermark(&folder.id).unwrap();
    assert_eq!(
        put(&mut account, &folder.id, &[(b"last", &[])]),
        new(&listed(&account, &folder.id, Some(&since), 9).0)
    );
}

#[test]
fn a_lost_sequence_is_found_again_by_the_names() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    let folder = account.ensure(&wanted(&["A"])).unwrap();
    put(&mut account, &folder.id, &[(b"a", &[]), (b"b", &[])]);
    disk.remove("A/.whimbrel-sequence").unwrap();
    assert_eq!(account.watermark("A").unwrap(), "1:w 3 ");
}

#[test]
fn flags_change_and_messages_move() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    let [from, to] = ["A", "B"].map(|name| account.ensure(&wanted(&[name])).unwrap().id);
    let placed = put(&mut account, &from, &[(b"one", &["\\Seen"]), (b"two", &[])]);
    let remark = |id: &str, flags: &[&str]| Remark {
        id: id.to_owned(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        labels: Vec::new(),
    };
    for _ in 0..2 {
        let remarks = [
            remark(&placed[1], &["Work", "\\Flagged"]),
            remark("nobody", &[]),
            remark(&placed[0], &[]),
        ];
        let answers = account.mark(&from, &remarks).unwrap();
        assert!(matches!(answers[..], [Ok(()), Err(Failure::NotFound(_)), Ok(())]));
    }
    let page = account.changes(&from, None, 10).unwrap();
    let flags: Vec<(&str, usize)> = metas(&page)
        .iter()
        .map(|meta| (meta.id.as_str(), meta.flags.len()))
        .collect();
    assert_eq!(flags, [(placed[0].as_str(), 0), (placed[1].as_str(), 2)]);

    let copied = account.copy(&from, &placed[1], &to).unwrap().id.unwrap();
    let moved = account.relocate(&from, &placed[1], &to).unwrap().id.unwrap();
    assert_ne!(copied, moved);
    let page = account.changes(&to, None, 10).unwrap();
    assert_eq!(ids(&page.changes), [copied.as_str(), moved.as_str()]);
    for meta in metas(&page) {
        assert_eq!(meta.flags, ["\\Flagged", "Work"]);
        assert_eq!(meta.received.unwrap().unix_ms, 1_600_000_000_000);
    }
    assert_eq!(fetched(&mut account, &to, &moved).unwrap(), b"two");
    assert!(fetched(&mut account, &from, &placed[1]).is_err());

    // What others wrote can move, but bears no flags.
    disk.put("A/x.eml", MESSAGE);
    let foreign = format!("x.eml@{}.1000000000000", MESSAGE.len());
    assert!(matches!(
        account.mark(&from, &[remark(&foreign, &["\\Seen"])]).unwrap()[..],
        [Err(Failure::Unsupported(_))]
    ));
    let moved = account.relocate(&from, &foreign, &to).unwrap().id.unwrap();
    let page = account.changes(&to, None, 10).unwrap();
    let meta = metas(&page).into_iter().find(|meta| meta.id == moved).unwrap();
    assert_eq!(meta.received.unwrap().unix_ms, RECEIVED);

    assert!(
        account
            .remove(&to, &[copied, "nobody".to_owned()])
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(listed(&account, "Trash", None, 10).0.len(), 1);
    let trashed = listed(&account, "Trash", None, 10).0[0].id().to_owned();
    assert!(account.remove("Trash", &[trashed]).unwrap().iter().all(Result::is_ok));
    assert!(listed(&account, "Trash", None, 10).0.is_empty());
}

#[test]
fn roles_are_kept_by_names() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    let sent = |name: &str| wanted(&[name]).role(Some(Role::Sent));
    assert_eq!(account.ensure(&sent("Odeslane")).unwrap().id, "Sent");
    assert_eq!(account.ensure(&sent("Gesendet")).unwrap().id, "Sent");
    let inbox = account.ensure(&wanted(&["inbox"])).unwrap();
    assert_eq!((inbox.id.as_str(), inbox.role), ("INBOX", Some(Role::Inbox)));
    assert_eq!(account.ensure(&wanted(&["Inbox", "x"])).unwrap().id, "INBOX/x");
    for name in ["", &"x".repeat(300)] {
        assert!(matches!(account.ensure(&wanted(&[name])), Err(Failure::Rejected(_))));
    }
}

#[test]
fn equal_bases_of_different_sizes_are_two_messages() {
    let disk = MemoryDisk::default();
    let name = "20240229T123456Z.W00000001.0123456789abcdef";
    disk.put(&format!("A/{name},.eml"), b"one");
    disk.put(&format!("A/{name},F.eml"), b"one");
    disk.put(&format!("A/{name},S.eml"), b"other");
    let mut account = open(&disk);
    for limit in [1, 2, 10] {
        let (changes, _) = listed(&account, "A", None, limit);
        assert_eq!(ids(&changes), [name.to_owned(), format!("{name},S.eml")]);
    }
    assert_eq!(fetched(&mut account, "A", name).unwrap(), b"one");
    assert_eq!(fetched(&mut account, "A", &format!("{name},S.eml")).unwrap(), b"other");
}

#[test]
fn whenever_the_power_fails_whole_messages_are_there_and_are_found_again() {
    let messages: [(&[u8], &[&str]); 3] = [(b"one", &["\\Seen"]), (b"two", &["Work"]), (b"three", &[])];
    let steps = {
        let disk = MemoryDisk::default();
        let mut account = open(&disk);
        account.ensure(&wanted(&["A"])).unwrap();
        let before = disk.steps();
        put(&mut account, "A", &messages);
        disk.steps() - before
    };
    assert!(steps > 9);
    for step in 0..steps {
        let disk = MemoryDisk::default();
        let mut account = open(&disk);
        account.ensure(&wanted(&["A"])).unwrap();
        let watermark = account.watermark("A").unwrap();
        disk.fail_after(i64::try_from(step).unwrap());
        let items: Vec<(ItemMeta, Bytes)> = messages
            .iter()
            .map(|(body, flags)| {
                let at = Timestamp {
                    unix_ms: 1_600_000_000_123,
                    offset_minutes: 60,
                };
                let meta = ItemMeta::new("").received(Some(at)).flags(flags.iter().copied());
                (meta, Bytes::from_bytes(body))
            })
            .collect();
        let items: Vec<(&ItemMeta, &Bytes)> = items.iter().map(|(meta, body)| (meta, body)).collect();
        let placed = account.put("A", &items);
        assert!(
            placed.is_err() || placed.unwrap().iter().any(Result::is_err),
            "step {step}"
        );
        disk.fail_after(-1);
        let mut account = open(&disk);
        let (there, _) = listed(&account, "A", Some(&watermark), 10);
        for (at, change) in there.iter().enumerate() {
            let (body, flags) = messages[at];
            assert_eq!(fetched(&mut account, "A", change.id()).unwrap(), body, "step {step}");
            let Change::Upserted(meta) = change else {
                panic!("{change:?}")
            };
            assert_eq!(meta.flags.len(), flags.len());
        }
        // The rest is put again, over what was left behind.
        let rest = put(&mut account, "A", &messages[there.len()..]);
        assert_eq!(rest.len(), 3 - there.len());
        assert_eq!(listed(&account, "A", Some(&watermark), 10).0.len(), 3);
    }
}
