//! Whole accounts, in a folder in memory.

use whimbrel_folders::memory::{Bytes, MemoryDisk};
use whimbrel_folders::{Body, Disk};
use whimbrel_plugin::{Change, Collection, Connector, Failure, ItemMeta, Page, Remark, Role, Timestamp};

use crate::account::Account;
use crate::layout::{Layout, Spelling};

type Memory = Account<MemoryDisk>;

fn open(disk: &MemoryDisk) -> Memory {
    Account::open(disk.clone(), None, None).unwrap()
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

/// Ids of a whole listing from a cursor on, and the cursor behind it.
fn listed(account: &mut Memory, collection: &str, cursor: Option<&str>, limit: u32) -> (Vec<String>, String) {
    let (mut ids, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let page = account.changes(collection, cursor.as_deref(), limit).unwrap();
        assert!(page.changes.len() <= limit as usize);
        assert!(
            !page.more || cursor.as_deref() != Some(&page.cursor),
            "the cursor moves"
        );
        ids.extend(metas(&page).iter().map(|meta| meta.id.clone()));
        if !page.more {
            return (ids, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

fn wanted(path: &[&str]) -> Collection {
    Collection::new("", path.iter().copied()).subscribed(true)
}

fn at(unix_ms: i64) -> Option<Timestamp> {
    Some(Timestamp {
        unix_ms,
        offset_minutes: 60,
    })
}

fn put(account: &mut Memory, collection: &str, messages: &[(&[u8], &[&str])]) -> Vec<String> {
    let items: Vec<(ItemMeta, Bytes)> = messages
        .iter()
        .map(|(body, flags)| {
            let meta = ItemMeta::new("ignored")
                .received(at(1_600_000_000_000))
                .flags(flags.iter().copied());
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

#[test]
fn the_description_is_sound() {
    let description = crate::Maildir::describe();
    assert_eq!(description.name, "maildir");
    for schema in [&description.settings_schema, &description.account_schema] {
        let parsed: serde_json::Value = serde_json::from_str(schema).unwrap();
        assert_eq!(parsed["type"], "object");
    }
}

#[test]
fn a_maildir_is_read_and_nothing_is_touched() {
    let disk = MemoryDisk::default();
    for (name, body) in [
        ("cur/2.a,S=9:2,RSa", "one"),
        ("cur/3.b:2,", "two"),
        ("new/1.c", "three"),
        ("cur/.hidden", "x"),
    ] {
        disk.put(name, body.as_bytes());
    }
    disk.make("tmp");
    disk.make("cur/directory");
    disk.put("dovecot-keywords", b"0 Work\n");
    disk.put(".Entw&APw-rfe/new/9.z", b"four");
    disk.put(".A.B/cur/8.y:2,S", b"five");
    disk.put(".INBOX.Inner/cur/7.x:2,", b"six");
    disk.put(".no-folder/file", b"");
    disk.put("subscriptions", b"INBOX\nA.B\n");
    let before = disk.snapshot();

    let mut account = open(&disk);
    let folders = account.collections().unwrap();
    let shown: Vec<(&str, String, bool, bool)> = folders
        .iter()
        .map(|folder| {
            (
                folder.id.as_str(),
                folder.path.join("/"),
                folder.selectable,
                folder.subscribed,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (".", "INBOX".to_owned(), true, true),
            (".A", "A".to_owned(), false, false),
            (".A.B", "A/B".to_owned(), true, true),
            (".Entw&APw-rfe", "Entwürfe".to_owned(), true, false),
            (".INBOX.Inner", "INBOX/Inner".to_owned(), true, false),
        ]
    );
    assert_eq!(folders[0].role, Some(Role::Inbox));
    assert_eq!(folders[3].role, Some(Role::Drafts));

    let page = account.changes(".", None, 100).unwrap();
    assert!(page.complete && !page.more);
    let seen: Vec<(&str, Option<u64>, Vec<&str>)> = metas(&page)
        .iter()
        .map(|meta| {
            (
                meta.id.as_str(),
                meta.size,
                meta.flags.iter().map(String::as_str).collect(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("1.c", Some(5), vec![]),
            ("2.a,S=9", Some(3), vec!["\\Answered", "\\Seen", "Work"]),
            ("3.b", Some(3), vec![]),
        ]
    );
    assert_eq!(metas(&page)[0].received.unwrap().unix_ms, 1_000_000_000_000);

    let fetched = account
        .fetch(".", &["3.b".into(), "gone".into(), "1.c".into()])
        .unwrap();
    assert_eq!(fetched[0].as_ref().unwrap().1, Bytes::from_bytes(b"two"));
    assert!(matches!(fetched[1], Err(Failure::NotFound(_))));
    assert_eq!(fetched[2].as_ref().unwrap().1, Bytes::from_bytes(b"three"));
    for nowhere in [".nowhere", "../..", "", "/", "cur"] {
        assert!(
            matches!(account.changes(nowhere, None, 1), Err(Failure::NotFound(_))),
            "{nowhere}"
        );
    }
    assert_eq!(disk.snapshot(), before);
}

#[test]
fn nested_directories_are_found_out() {
    let disk = MemoryDisk::default();
    disk.put("cur/1:2,", b"");
    disk.put("Work/2021.old/cur/2:2,", b"");
    disk.put("Entwürfe/new/3", b"");
    let account = open(&disk);
    assert_eq!(
        (account.names.layout, account.names.spelling),
        (Layout::Nested, Spelling::Utf8)
    );
    let folders = account.collections().unwrap();
    let shown: Vec<(&str, &[String], bool)> = folders
        .iter()
        .map(|folder| (folder.id.as_str(), folder.path.as_slice(), folder.selectable))
        .collect();
    let strings = |segments: &[&str]| segments.iter().map(|segment| (*segment).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        shown,
        [
            (".", strings(&["INBOX"]).as_slice(), true),
            ("Entwürfe", strings(&["Entwürfe"]).as_slice(), true),
            ("Work", strings(&["Work"]).as_slice(), false),
            ("Work/2021.old", strings(&["Work", "2021.old"]).as_slice(), true),
        ]
    );
}

#[test]
fn pages_of_any_size_name_every_message_once_in_order() {
    let disk = MemoryDisk::default();
    let mut all = Vec::new();
    for number in 0..57 {
        let id = format!("{:04}.x", number * 7919 % 1000);
        disk.put(
            &if number % 3 == 0 {
                format!("new/{id}")
            } else {
                format!("cur/{id}:2,S")
            },
            b"",
        );
        all.push(id);
    }
    all.sort();
    for limit in [1, 2, 7, 56, 57, 58, 1000] {
        assert_eq!(listed(&mut open(&disk), ".", None, limit).0, all);
        // A new instance for each page.
        let (mut ids, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = open(&disk).changes(".", cursor.as_deref(), limit).unwrap();
            ids.extend(metas(&page).iter().map(|meta| meta.id.clone()));
            if !page.more {
                break;
            }
            cursor = Some(page.cursor);
        }
        assert_eq!(ids, all);
    }
}

#[test]
fn more_messages_than_a_window_holds() {
    let disk = MemoryDisk::default();
    for number in 0..10_050 {
        disk.put(&format!("new/{number:06}a"), b"");
        disk.put(&format!("cur/{number:06}b:2,"), b"");
    }
    let (ids, _) = listed(&mut open(&disk), ".", None, 3000);
    assert_eq!(ids.len(), 20_100);
    assert!(ids.is_sorted());
    let asked: Vec<String> = ids.iter().step_by(997).cloned().collect();
    let fetched = open(&disk).fetch(".", &asked).unwrap();
    assert!(fetched.iter().all(Result::is_ok));
}

#[test]
fn the_uid_list_gives_the_order() {
    let disk = MemoryDisk::default();
    for name in ["cur/1.a:2,", "cur/2.b:2,S", "cur/3.c:2,", "new/0.d", "cur/9.late:2,"] {
        disk.put(name, b"");
    }
    disk.put("dovecot-uidlist", b"3 V7 N50\n10 :3.c\n11 :1.a\n12 :2.b\n60 :0.d\n");
    for limit in [1, 2, 3, 10] {
        let (ids, _) = listed(&mut open(&disk), ".", None, limit);
        assert_eq!(ids, ["3.c", "1.a", "2.b", "0.d", "9.late"]);
    }
    // The list is lost in the middle: by name, from the beginning.
    let page = open(&disk).changes(".", None, 2).unwrap();
    disk.remove("dovecot-uidlist").unwrap();
    let (rest, _) = listed(&mut open(&disk), ".", Some(&page.cursor), 10);
    assert_eq!(rest, ["0.d", "1.a", "2.b", "3.c", "9.late"]);
}

#[test]
fn nothing_is_listed_where_times_prove_that_nothing_changed() {
    let disk = MemoryDisk::default();
    disk.put("cur/1:2,", b"");
    disk.make("new");
    disk.pass(5000);
    disk.put(".Other/cur/2:2,", b"");
    let mut account = open(&disk);
    let (_, cursor) = listed(&mut account, ".", None, 10);
    let page = account.changes(".", Some(&cursor), 10).unwrap();
    assert!(page.changes.is_empty() && !page.more && !page.complete);
    // The folder that changed last is listed anew: a change in the same tick would not show.
    let (_, other) = listed(&mut account, ".Other", None, 10);
    disk.put(".Other/cur/3:2,", b"");
    assert_eq!(listed(&mut account, ".Other", Some(&other), 10).0, ["2", "3"]);
    // A change of flags shows.
    disk.pass(1);
    disk.rename("cur/1:2,", "cur/1:2,S").unwrap();
    let page = account.changes(".", Some(&cursor), 10).unwrap();
    assert!(page.complete);
    assert_eq!(metas(&page)[0].flags, ["\\Seen"]);
    assert!(matches!(page.changes[0], Change::Marked(_)));
    // What is new is told from what was there.
    disk.put("cur/2:2,", b"");
    let page = account.changes(".", Some(&cursor), 10).unwrap();
    assert!(
        matches!(&page.changes[..], [Change::Marked(old), Change::Upserted(new)] if old.id == "1" && new.id == "2")
    );
    disk.remove("cur/2:2,").unwrap();
    // A cursor from elsewhere lists everything.
    assert_eq!(listed(&mut account, ".", Some("9:what"), 10).0, ["1"]);
}

#[test]
fn a_folder_that_changes_under_the_listing_is_listed_again() {
    let disk = MemoryDisk::default();
    for number in 0..6 {
        disk.put(&format!("cur/{number}:2,"), b"");
    }
    disk.put("new/7", b"");
    let mut account = open(&disk);
    let page = account.changes(".", None, 3).unwrap();
    disk.pass(10);
    // Behind and before the point that was reached.
    disk.rename("cur/2:2,", "cur/2:2,S").unwrap();
    disk.rename("new/7", "cur/7:2,").unwrap();
    disk.put("cur/00:2,", b"");
    let (rest, cursor) = listed(&mut account, ".", Some(&page.cursor), 3);
    assert_eq!(rest, ["3", "4", "5", "7", "00", "0", "1", "2", "3", "4", "5", "7"]);
    let fetched = account.fetch(".", &["2".into(), "7".into()]).unwrap();
    assert!(fetched.iter().all(Result::is_ok));
    disk.rename("cur/2:2,S", "cur/2:2,RS").unwrap();
    let fetched = account.fetch(".", &["2".into()]).unwrap();
    assert_eq!(fetched[0].as_ref().unwrap().0.flags, ["\\Answered", "\\Seen"]);
    assert!(listed(&mut account, ".", Some(&cursor), 10).0.contains(&"2".to_owned()));
}

#[test]
fn one_base_name_twice_is_one_message_unless_the_sizes_differ() {
    let disk = MemoryDisk::default();
    disk.put("cur/1:2,", b"same");
    disk.put("cur/1:2,S", b"same");
    disk.put("new/2", b"short");
    disk.put("cur/2:2,S", b"much longer");
    for limit in [1, 2, 10] {
        let (ids, _) = listed(&mut open(&disk), ".", None, limit);
        assert_eq!(ids, ["1", "2", "2:2,S"], "{limit}");
    }
    let fetched = open(&disk).fetch(".", &["2".into(), "2:2,S".into()]).unwrap();
    let bodies: Vec<Vec<u8>> = fetched
        .iter()
        .map(|answer| answer.as_ref().unwrap().1.0.to_vec())
        .collect();
    assert_eq!(bodies, [b"short".to_vec(), b"much longer".to_vec()]);
}

#[test]
fn what_is_put_is_there() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    let inbox = account.ensure(&wanted(&["INBOX"]).role(Some(Role::Inbox))).unwrap();
    let folder = account.ensure(&wanted(&["Entwürfe", "a.b"])).unwrap();
    assert_eq!((inbox.id.as_str(), folder.id.as_str()), (".", ".Entw&APw-rfe.a\\2eb"));
    assert_eq!(account.ensure(&wanted(&["Entwürfe", "a.b"])).unwrap(), folder);
    assert_eq!(disk.get("subscriptions").unwrap(), b"INBOX\nEntw&APw-rfe.a\\2eb\n");
    assert_eq!(disk.get(".Entw&APw-rfe.a\\2eb/maildirfolder").unwrap(), b"");

    let watermark = account.watermark(&folder.id).unwrap();
    let syncs = disk.syncs();
    let bodies: [(&[u8], &[&str]); 4] = [
        (b"a\r\nb\nc", &["\\Seen", "Work"]),
        (b"", &[]),
        (b"a\r\nb\nc", &["\\Seen", "Work"]),
        (b"\x00\xff\r", &["$Forwarded"]),
    ];
    let ids = put(&mut account, &folder.id, &bodies);
    assert_eq!(disk.syncs(), syncs + 1);
    assert!(
        ids[0].starts_with("1600000000.W00000001R") && ids[0].ends_with(".whimbrel,S=6,W=7"),
        "{}",
        ids[0]
    );
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);

    let fetched = account.fetch(&folder.id, &ids).unwrap();
    for ((meta, body), (given, flags)) in fetched.iter().map(|answer| answer.as_ref().unwrap()).zip(bodies) {
        assert_eq!(body.0.as_slice(), given);
        assert_eq!(meta.flags, flags);
        assert_eq!(meta.received.unwrap().unix_ms, 1_600_000_000_000);
    }
    assert_eq!(
        disk.get(".Entw&APw-rfe.a\\2eb/dovecot-keywords").unwrap(),
        b"0 Work\n1 $Forwarded\n"
    );
    assert!(
        disk.files()
            .iter()
            .all(|path| !path.contains("/tmp/") && !path.contains("/new/"))
    );
    assert_eq!(listed(&mut account, &folder.id, Some(&watermark), 2).0, ids);

    // Later deliveries alone from a later watermark on, even by another process.
    let watermark = open(&disk).watermark(&folder.id).unwrap();
    let more = put(&mut account, &folder.id, &[(b"new", &[])]);
    assert_eq!(listed(&mut open(&disk), &folder.id, Some(&watermark), 10).0, more);
    // The sequence goes on where its file is lost.
    disk.remove(".Entw&APw-rfe.a\\2eb/whimbrel-sequence").unwrap();
    assert_eq!(account.watermark(&folder.id).unwrap(), "1:w 6 ");
}

#[test]
fn roles_are_kept_by_names() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    let sent = account
        .ensure(&wanted(&["[Gmail]", "Sent Mail"]).role(Some(Role::Sent)))
        .unwrap();
    assert_eq!((sent.id.as_str(), sent.role), (".Sent", Some(Role::Sent)));
    let outbox = account.ensure(&wanted(&["Sent Items"]).role(Some(Role::Sent))).unwrap();
    assert_eq!(outbox.id, ".Sent", "one folder with a role is enough");
    let junk = account
        .ensure(&wanted(&["Spamverdacht"]).role(Some(Role::Junk)))
        .unwrap();
    assert_eq!(junk.id, ".Spamverdacht", "a name that tells the role stays");
    disk.put(".Papierkorb/cur/1:2,", b"");
    let trash = account.ensure(&wanted(&["Trash"]).role(Some(Role::Trash))).unwrap();
    assert_eq!(trash.id, ".Papierkorb");
    let all = account.ensure(&wanted(&["All Mail"]).role(Some(Role::All))).unwrap();
    assert_eq!((all.id.as_str(), all.role), (".All Mail", None));
    let parent = account.ensure(&wanted(&["Parent"]).selectable(false)).unwrap();
    assert!(!parent.selectable);
    assert!(account.ensure(&wanted(&["x", ""])).is_err());
}

#[test]
fn nested_folders_are_made_in_nested_directories() {
    let disk = MemoryDisk::default();
    let mut account = Account::open(disk.clone(), Some(Layout::Nested), Some(Spelling::Utf8)).unwrap();
    account.ensure(&wanted(&["INBOX"])).unwrap();
    let deep = account.ensure(&wanted(&["Ä", "b.c", "cur"])).unwrap();
    assert_eq!(deep.id, "Ä/b.c/\\63ur");
    put(&mut account, &deep.id, &[(b"x", &[])]);
    assert!(disk.get("Ä/b.c/\\63ur/maildirfolder").is_none());
    let mut again = open(&disk);
    assert_eq!(again.names.layout, Layout::Nested);
    let found = again
        .collections()
        .unwrap()
        .into_iter()
        .find(|folder| folder.id == deep.id)
        .unwrap();
    assert_eq!(found.path, ["Ä", "b.c", "cur"]);
    assert_eq!(listed(&mut again, &deep.id, None, 5).0.len(), 1);
}

#[test]
fn flags_change_by_renaming_and_ids_stay() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    let inbox = account.ensure(&wanted(&["INBOX"])).unwrap();
    let ids = put(&mut account, &inbox.id, &[(b"one", &["\\Seen"]), (b"two", &[])]);
    disk.put("new/5.fresh", b"three");
    let remark = |id: &str, flags: &[&str]| Remark {
        id: id.to_owned(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        labels: Vec::new(),
    };
    let remarks = [
        remark(&ids[0], &["\\Flagged", "Later"]),
        remark("gone", &[]),
        remark("5.fresh", &["\\Seen"]),
        remark(&ids[0], &["\\Flagged", "Later"]),
        remark(&ids[1], &[]),
    ];
    let answers = account.mark(".", &remarks).unwrap();
    assert!(matches!(answers[1], Err(Failure::NotFound(_))));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 4);
    let page = open(&disk).changes(".", None, 10).unwrap();
    let flags: Vec<(&str, &[String])> = metas(&page)
        .iter()
        .map(|meta| (meta.id.as_str(), meta.flags.as_slice()))
        .collect();
    assert_eq!(
        flags[0],
        (ids[0].as_str(), &["\\Flagged".to_owned(), "Later".to_owned()][..])
    );
    assert_eq!(flags[1], (ids[1].as_str(), &[][..]));
    assert_eq!(flags[2], ("5.fresh", &["\\Seen".to_owned()][..]));
}

#[test]
fn the_27th_keyword_is_named_among_the_alterations() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    account.ensure(&wanted(&["INBOX"])).unwrap();
    let flags: Vec<String> = (0..27).map(|number| format!("k{number}")).collect();
    let (meta, body) = (ItemMeta::new("").flags(&flags), Bytes::from_bytes(b"x"));
    let placed = account.put(".", &[(&meta, &body)]).unwrap();
    let placement = placed[0].as_ref().unwrap();
    assert_eq!(placement.alterations, ["keyword-dropped"]);
    assert!(
        placement.id.as_ref().unwrap().starts_with("1000000000."),
        "dated now where nobody knows when"
    );
}

#[test]
fn messages_are_copied_moved_and_removed_without_their_bodies() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    for name in ["INBOX", "Other"] {
        account.ensure(&wanted(&[name])).unwrap();
    }
    put(&mut account, ".Other", &[(b"x", &["Else"])]);
    let id = put(&mut account, ".", &[(b"body", &["\\Seen", "Work"])]).remove(0);
    let copied = account.copy(".", &id, ".Other").unwrap().id.unwrap();
    let moved = account.relocate(".", &id, ".Other").unwrap().id.unwrap();
    assert_ne!(copied, moved);
    assert!(matches!(
        account.relocate(".", &id, ".Other"),
        Err(Failure::NotFound(_))
    ));
    let fetched = account.fetch(".Other", &[copied.clone(), moved.clone()]).unwrap();
    for (meta, body) in fetched.into_iter().map(Result::unwrap) {
        assert_eq!(
            (body.0.as_slice(), meta.flags),
            (&b"body"[..], vec!["\\Seen".to_owned(), "Work".to_owned()])
        );
        assert_eq!(meta.received.unwrap().unix_ms, 1_600_000_000_000);
    }
    assert!(
        account
            .remove(".Other", &[copied, moved.clone(), moved])
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    let (trashed, _) = listed(&mut account, ".Trash", None, 10);
    assert_eq!(trashed.len(), 2);
    assert!(account.remove(".Trash", &trashed).unwrap().iter().all(Result::is_ok));
    assert!(listed(&mut account, ".Trash", None, 10).0.is_empty());
}

#[test]
fn the_power_may_fail_at_any_step() {
    for steps in 0..40 {
        let disk = MemoryDisk::default();
        let mut account = open(&disk);
        account.ensure(&wanted(&["INBOX"])).unwrap();
        put(&mut account, ".", &[(b"before", &[])]);
        let watermark = account.watermark(".").unwrap();
        let items: Vec<(ItemMeta, Bytes)> = (0..4)
            .map(|n| {
                (
                    ItemMeta::new("").received(at(n)).flags(["Work"]),
                    Bytes::from_bytes(format!("body {n}").as_bytes()),
                )
            })
            .collect();
        let items: Vec<(&ItemMeta, &Bytes)> = items.iter().map(|(meta, body)| (meta, body)).collect();
        disk.fail_after(steps);
        let answer = account.put(".", &items);
        disk.fail_after(-1);
        // Settled as the engine does it: what lies behind the watermark is there, the rest is put again.
        let mut account = open(&disk);
        let (ids, _) = listed(&mut account, ".", Some(&watermark), 10);
        let there: Vec<Vec<u8>> = account
            .fetch(".", &ids)
            .unwrap()
            .into_iter()
            .map(|answer| answer.unwrap().1.0.to_vec())
            .collect();
        let rest: Vec<_> = items
            .iter()
            .filter(|(_, body)| !there.contains(&body.0))
            .copied()
            .collect();
        assert!(account.put(".", &rest).unwrap().iter().all(Result::is_ok));
        let (all, _) = listed(&mut account, ".", None, 10);
        assert_eq!(all.len(), 5, "after {steps} steps, {answer:?}");
        let mut bodies: Vec<Vec<u8>> = account
            .fetch(".", &all)
            .unwrap()
            .into_iter()
            .map(|answer| answer.unwrap().1.0.to_vec())
            .collect();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), 5);
    }
}
