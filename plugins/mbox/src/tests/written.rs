//! Spools that the connector writes.

use proptest::prelude::*;
use whimbrel_folders::Disk;
use whimbrel_plugin::{Failure, Placement, Result, Role};

use super::*;

const FORMATS: [Format; 3] = [Format::Mboxo, Format::Mboxrd, Format::Mboxcl2];

fn put(account: &mut Memory, spool: &str, messages: &[(ItemMeta, Bytes)]) -> Result<Vec<Placement>> {
    let items: Vec<(&ItemMeta, &Bytes)> = messages.iter().map(|(meta, body)| (meta, body)).collect();
    account.put(spool, &items)?.into_iter().collect()
}

fn message(body: &[u8], unix: i64, flags: &[&str]) -> (ItemMeta, Bytes) {
    (
        ItemMeta::new("").received(at(unix)).flags(flags.iter().copied()),
        Bytes::from_bytes(body),
    )
}

#[test]
fn what_is_put_is_there() {
    for format in FORMATS {
        let disk = MemoryDisk::default();
        let mut account = open_as(&disk, Some(format));
        let inbox = account.ensure(&wanted(&["inbox"]).role(Some(Role::Inbox))).unwrap();
        assert_eq!((inbox.id.as_str(), inbox.role), ("INBOX", Some(Role::Inbox)));
        let watermark = account.watermark("INBOX").unwrap();
        let given = [
            message(
                b"Subject: one\r\n\r\nFrom here\r\n",
                1_709_210_096,
                &["\\Seen", "\\Flagged", "$Forwarded", "Work"],
            ),
            message(b"", 5, &[]),
            message(b"Subject: header only\n", -5, &["\\Answered", "\\Draft", "\\Deleted"]),
            message(
                b"Status: RO\nX-Status: A\nX-Keywords: mine\nContent-Length: 3\nSubject: two\n\nbody\n\n",
                7,
                &[],
            ),
            message(b" folded at once\nX-Keywords: y\n\nb\n", 8, &["z"]),
            message(
                b"\nno header\n\nFrom a Thu Feb 29 12:34:56 2024\nSubject: z\n\n",
                9,
                &[],
            ),
        ];
        let placed = put(&mut account, "INBOX", &given).unwrap();
        let altered: Vec<usize> = (0..given.len())
            .filter(|&at| !placed[at].alterations.is_empty())
            .collect();
        assert_eq!(altered, [3, 4], "those with fields of the store's: {placed:?}");
        let found = messages(&disk, Some(format), "INBOX");
        assert_eq!(found.len(), given.len(), "{format:?}");
        for (((meta, body), (wanted, content)), placement) in found.iter().zip(&given).zip(&placed) {
            assert_eq!(
                String::from_utf8_lossy(body),
                String::from_utf8_lossy(&content.0),
                "{format:?}"
            );
            assert_eq!(Some(&meta.id), placement.id.as_ref());
            assert_eq!(meta.received, wanted.received);
            let (mut flags, mut expected) = (meta.flags.clone(), wanted.flags.clone());
            flags.sort();
            expected.sort();
            assert_eq!(flags, expected);
            assert!(meta.attributes.is_empty());
        }
        assert_eq!(
            listed(&disk, Some(format), "INBOX", Some(&watermark), 2).0.len(),
            given.len()
        );
        let watermark = open_as(&disk, Some(format)).watermark("INBOX").unwrap();
        let more = put(&mut account, "INBOX", &[message(b"Subject: more\n", 10, &[])]).unwrap();
        let behind = listed(&disk, Some(format), "INBOX", Some(&watermark), 10).0;
        assert_eq!(
            behind.iter().map(|meta| Some(meta.id.clone())).collect::<Vec<_>>(),
            [more[0].id.clone()]
        );
        // Whoever reads it without being told the format finds the same.
        if format != Format::Mboxo {
            assert_eq!(messages(&disk, None, "INBOX"), messages(&disk, Some(format), "INBOX"));
        }
        assert_eq!(disk.files(), ["INBOX"]);
    }
}

#[test]
fn the_text_that_is_written() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    account.ensure(&wanted(&["INBOX"])).unwrap();
    let undated = (
        ItemMeta::new("").flags(["\\Seen", "\\Recent"]),
        Bytes::from_bytes(b"Subject: x\n\nFrom a\n>From b"),
    );
    let placed = put(&mut account, "INBOX", &[undated]).unwrap();
    assert_eq!(placed[0].alterations, ["final-newline"]);
    let text = String::from_utf8(disk.get("INBOX").unwrap()).unwrap();
    assert_eq!(
        text,
        "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nX-IMAPbase: 1 0000000000 $Forwarded $Junk $NotJunk $MDNSent Junk NonJunk $label1 $label2 $label3 $label4 $label5\nStatus: RO\nX-Status: \nX-Keywords:\nSubject: x\n\n>From a\n>>From b\n\n"
    );
    let found = messages(&disk, None, "INBOX");
    assert_eq!(found[0].0.received, None, "1970 says that nobody knows");
    assert_eq!(found[0].1, b"Subject: x\n\nFrom a\n>From b\n");
}

#[test]
fn fields_that_are_the_messages_own_are_kept_under_another_name() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    account.ensure(&wanted(&["INBOX"])).unwrap();
    let own = b"Subject: x\nStatus: RO\nX-Whimbrel-Status: A\nX-UID: 7\n\nStatus: RO\n";
    let many = [&b"X-Keywords: k\n".repeat(500)[..], b"\nX-Keywords: k\n"].concat();
    let placed = put(&mut account, "INBOX", &[message(own, 1, &[]), message(&many, 2, &[])]).unwrap();
    assert!(
        placed
            .iter()
            .all(|placement| placement.alterations == ["status-headers"])
    );
    let text = String::from_utf8(disk.get("INBOX").unwrap()).unwrap();
    assert!(
        text.contains("\nX-Whimbrel-Status: RO\nX-Whimbrel-X-Whimbrel-Status: A\nX-Whimbrel-X-UID: 7\n\nStatus: RO\n")
    );
    let found = messages(&disk, None, "INBOX");
    assert_eq!((found[0].1.as_slice(), found[0].0.flags.len()), (&own[..], 0));
    assert_eq!((found[1].1.as_slice(), found[1].0.flags.len()), (&many[..], 0));
}

#[test]
fn alterations_are_named_where_they_are() {
    let alterations = |format, body: &[u8], flags: &[&str]| {
        let (meta, body) = message(body, 1, flags);
        crate::deliver::write(&meta, &body, format, "").alterations
    };
    assert_eq!(alterations(Format::Mboxrd, b"a: b\n\nend", &[]), ["final-newline"]);
    assert!(alterations(Format::Mboxcl2, b"a: b\n\nend", &[]).is_empty());
    assert_eq!(alterations(Format::Mboxcl2, b"a: b", &[]), ["final-newline"]);
    assert_eq!(alterations(Format::Mboxo, b"\n>From x\n", &[]), ["from-quoting"]);
    assert!(alterations(Format::Mboxo, b"\nFrom x\n", &[]).is_empty());
    assert!(alterations(Format::Mboxrd, b"\n>From x\n", &[]).is_empty());
    assert_eq!(alterations(Format::Mboxrd, b"", &["two words"]), ["keyword-dropped"]);
    let disk = MemoryDisk::default();
    let mut account = Account::open(
        disk,
        Choices {
            keep_store_fields: true,
            ..Choices::default()
        },
    )
    .unwrap();
    account.ensure(&wanted(&["INBOX"])).unwrap();
    assert_eq!(
        put(&mut account, "INBOX", &[message(b"a: b\n", 1, &[])]).unwrap()[0].alterations,
        ["status-headers"]
    );
}

#[test]
fn folders_are_made_as_thunderbird_has_them() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    let mut ids = Vec::new();
    for path in [
        &["Work"][..],
        &["Work", "a/b"],
        &["Work", "a/b", ".x"],
        &["Work", "a/b", "Ä.sbd"],
    ] {
        let made = account.ensure(&wanted(path)).unwrap();
        assert_eq!(made.path, path);
        assert_eq!(account.ensure(&wanted(path)).unwrap(), made);
        ids.push(made.id);
    }
    assert_eq!(
        ids,
        [
            "Work",
            "Work.sbd/a\\2fb",
            "Work.sbd/a\\2fb.sbd/\\2ex",
            "Work.sbd/a\\2fb.sbd/Ä\\2esbd"
        ]
    );
    disk.put("Papierkorb", b"");
    assert_eq!(
        account.ensure(&wanted(&["Trash"]).role(Some(Role::Trash))).unwrap().id,
        "Papierkorb"
    );
    assert_eq!(
        account
            .ensure(&wanted(&["[Gmail]", "Sent Mail"]).role(Some(Role::Sent)))
            .unwrap()
            .id,
        "Sent"
    );
    let parent = account.ensure(&wanted(&["Parent"]).selectable(false)).unwrap();
    assert_eq!((parent.id.as_str(), parent.selectable), ("Parent.sbd", false));
    // A directory that another program made is used.
    disk.put("plain/one", b"");
    assert_eq!(account.ensure(&wanted(&["plain", "two"])).unwrap().id, "plain/two");
    assert!(matches!(account.ensure(&wanted(&["plain"])), Err(Failure::Rejected(_))));
    assert!(matches!(account.ensure(&wanted(&["a", ""])), Err(Failure::Rejected(_))));
    for nowhere in ["nowhere", "../..", "", "plain"] {
        assert!(
            matches!(account.watermark(nowhere), Err(Failure::NotFound(_))),
            "{nowhere}"
        );
        assert!(
            matches!(account.put(nowhere, &[]), Err(Failure::NotFound(_))),
            "{nowhere}"
        );
    }
}

#[test]
fn foreign_spools_are_gone_on_with() {
    let from = "From a@example.org Thu Feb 29 12:34:56 2024\n";
    for (spool, expected) in [
        (format!("{from}Subject: x\n\nend"), "Subject: x\n\nend\n"),
        (format!("{from}Subject: x\n\nend\n"), "Subject: x\n\nend\n"),
        (format!("{from}Subject: x\n\nend\n\n"), "Subject: x\n\nend\n"),
        (
            format!("{from}Subject: x\r\n\r\nend\r\n\r\n"),
            "Subject: x\r\n\r\nend\r\n",
        ),
        (format!("{from}Content-Length: 4\n\nend\n\n"), "\nend\n"),
        (format!("{from}Content-Length: 3\n\nend\n"), "\nend"),
        (from.to_owned(), ""),
    ] {
        let disk = MemoryDisk::default();
        disk.put("x", spool.as_bytes());
        let placed = put(&mut open(&disk), "x", &[message(b"Subject: y\n\n>From z\n", 1, &[])]).unwrap();
        let found = messages(&disk, None, "x");
        assert_eq!(found.len(), 2, "{spool}");
        assert_eq!(String::from_utf8_lossy(&found[0].1), expected);
        assert_eq!(found[1].1, b"Subject: y\n\n>From z\n");
        assert_eq!(Some(&found[1].0.id), placed[0].id.as_ref());
    }
}

#[test]
fn many_quotes_are_copied() {
    for format in [Format::Mboxo, Format::Mboxrd] {
        let disk = MemoryDisk::default();
        let mut account = open_as(&disk, Some(format));
        account.ensure(&wanted(&["INBOX"])).unwrap();
        let body = format!("Subject: x\n\n{}", "From y\nand\n".repeat(1000));
        put(&mut account, "INBOX", &[message(body.as_bytes(), 1, &[])]).unwrap();
        assert!(messages(&disk, Some(format), "INBOX")[0].1 == body.as_bytes());
    }
}

#[test]
fn the_power_may_fail_at_any_step() {
    for format in FORMATS {
        for steps in 0..8 {
            let disk = MemoryDisk::default();
            let mut account = open_as(&disk, Some(format));
            account.ensure(&wanted(&["INBOX"])).unwrap();
            put(&mut account, "INBOX", &[message(b"Subject: before\n", 1, &[])]).unwrap();
            let watermark = account.watermark("INBOX").unwrap();
            let batch: Vec<(ItemMeta, Bytes)> = (0..5)
                .map(|number| message(format!("Subject: {number}\n\nbody\n").as_bytes(), number, &[]))
                .collect();
            disk.fail_after(steps);
            let answer = put(&mut account, "INBOX", &batch);
            disk.fail_after(-1);
            // All or nothing, for readers at once.
            let there = listed(&disk, Some(format), "INBOX", Some(&watermark), 10).0.len();
            assert!(there == 0 || there == 5, "{there} after {steps} steps");
            assert!(answer.is_err() || there == 5);
            if there == 0 {
                put(&mut open_as(&disk, Some(format)), "INBOX", &batch).unwrap();
            }
            put(
                &mut open_as(&disk, Some(format)),
                "INBOX",
                &[message(b"Subject: after\n", 1, &[])],
            )
            .unwrap();
            let bodies: Vec<Vec<u8>> = messages(&disk, Some(format), "INBOX")
                .into_iter()
                .map(|(_, body)| body)
                .collect();
            let mut expected = vec![b"Subject: before\n".to_vec()];
            expected.extend(batch.iter().map(|(_, body)| body.0.to_vec()));
            expected.push(b"Subject: after\n".to_vec());
            assert_eq!(bodies, expected, "{format:?} after {steps} steps");
            assert_eq!(disk.files(), ["INBOX"], "no note is left");
        }
    }
}

#[test]
fn a_garbled_batch_is_cut_away_and_a_whole_one_stays() {
    let disk = MemoryDisk::default();
    let mut account = open(&disk);
    account.ensure(&wanted(&["a"])).unwrap();
    put(&mut account, "a", &[message(b"Subject: before\n", 1, &[])]).unwrap();
    let base = disk.get("a").unwrap();
    let batch = Bytes::from_bytes(b"From - Thu Feb 29 12:34:56 2024\nSubject: batch\n\n");
    for (appended, kept) in [
        (batch.0.to_vec(), true),
        (vec![0; batch.0.len()], false),
        (batch.0[..10].to_vec(), false),
        (
            [
                batch.0.as_slice(),
                b"From - Thu Feb 29 12:34:56 2024\nSubject: other\n\n",
            ]
            .concat(),
            true,
        ),
        ([&batch.0[..10], &[b'x'; 100]].concat(), true),
    ] {
        disk.put("a", &base);
        crate::pending::announce(&disk, "a", base.len() as u64, &batch).unwrap();
        disk.append("a", &Bytes::from_bytes(&appended)).unwrap();
        crate::pending::recover(&disk, "a").unwrap();
        let expected = if kept {
            [base.as_slice(), &appended].concat()
        } else {
            base.clone()
        };
        assert_eq!(disk.get("a").unwrap(), expected);
        assert_eq!(disk.files(), ["a"]);
    }
    // A note that was cut off in the writing says nothing.
    disk.put(".whimbrel/a.pending", b"3 99");
    assert_eq!(messages(&disk, None, "a").len(), 1);
    crate::pending::recover(&disk, "a").unwrap();
    assert_eq!(disk.files(), ["a"]);
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"From a Thu Feb 29 12:34:56 2024".to_vec()),
        Just(b">From a Thu Feb 29 12:34:56 2024".to_vec()),
        Just(b">>From x".to_vec()),
        Just(b"Subject: x".to_vec()),
        Just(b"Status: RO".to_vec()),
        Just(b"X-Status: A".to_vec()),
        Just(b"X-Keywords: k".to_vec()),
        Just(b"Content-Length: 7".to_vec()),
        Just(b"X-Whimbrel-Status: RO".to_vec()),
        Just(b"X-IMAPbase: 1 2".to_vec()),
        Just(b"x-whimbrel-status: RO".to_vec()),
        Just(b" folded".to_vec()),
        Just(b"".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![Just(&b"\n"[..]), Just(&b"\r\n"[..]), Just(&b"\r"[..])];
    (proptest::collection::vec((line(), end), 0..8), any::<bool>()).prop_map(|(lines, cut)| {
        let mut out: Vec<u8> = lines
            .into_iter()
            .flat_map(|(line, end)| [line, end.to_vec()].concat())
            .collect();
        if cut {
            out.pop();
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_message_comes_back_but_for_what_is_named(bodies in proptest::collection::vec(content(), 1..5), format in prop_oneof![Just(Format::Mboxo), Just(Format::Mboxrd), Just(Format::Mboxcl2)], batches: bool) {
        let disk = MemoryDisk::default();
        let mut account = open_as(&disk, Some(format));
        account.ensure(&wanted(&["INBOX"])).unwrap();
        let given: Vec<(ItemMeta, Bytes)> = bodies.iter().map(|body| message(body, 1_000_000, &["k"])).collect();
        let mut placed = Vec::new();
        for batch in given.chunks(if batches { 1 } else { 10 }) {
            placed.extend(put(&mut account, "INBOX", batch).unwrap());
        }
        let found = messages(&disk, Some(format), "INBOX");
        prop_assert_eq!(found.len(), given.len());
        for (((meta, body), given), placement) in found.iter().zip(&bodies).zip(&placed) {
            prop_assert_eq!(Some(&meta.id), placement.id.as_ref());
            let mut expected = given.clone();
            if placement.alterations.iter().any(|name| name == "final-newline") {
                expected.push(b'\n');
            }
            if !placement.alterations.iter().any(|name| name == "from-quoting") {
                prop_assert_eq!(body, &expected);
            }
            prop_assert_eq!(&meta.flags, &["k".to_owned()]);
        }
        if format == Format::Mboxrd {
            // The spool says itself what it is.
            prop_assert_eq!(messages(&disk, None, "INBOX"), found);
        }
    }

    #[test]
    fn no_spool_makes_it_fail(spool in content(), format in prop_oneof![Just(None), Just(Some(Format::Mboxo)), Just(Some(Format::Mboxcl2))], limit in 1u32..4) {
        let disk = MemoryDisk::default();
        disk.put("x", &spool);
        let all = messages(&disk, format, "x");
        let (pages, _) = listed(&disk, format, "x", None, limit);
        prop_assert_eq!(pages.len(), all.len());
    }
}
