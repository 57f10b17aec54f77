//! Spools that other programs wrote.

use proptest::prelude::*;
use whimbrel_plugin::{Failure, Role};

use super::*;

const FROM: &str = "From a@example.org Thu Feb 29 12:34:56 2024\n";

#[test]
fn a_spool_is_read_and_nothing_is_touched() {
    let disk = MemoryDisk::default();
    let spool = format!(
        "{FROM}Subject: one\nStatus: RO\nX-Status: AF\nX-Keywords: Work            \nX-UID: 7\n\nbody\n>From x\n\n{FROM}Subject: two\n\n>>From y\n\n"
    );
    disk.put("Inbox", spool.as_bytes());
    let before = disk.snapshot();
    let found = messages(&disk, None, "Inbox");
    let bodies: Vec<&[u8]> = found.iter().map(|(_, body)| body.as_slice()).collect();
    assert_eq!(
        bodies,
        [&b"Subject: one\n\nbody\nFrom x\n"[..], b"Subject: two\n\n>From y\n"]
    );
    assert_eq!(found[0].0.flags, ["\\Seen", "\\Answered", "\\Flagged", "Work"]);
    assert_eq!(found[0].0.received.unwrap().unix_ms, 1_709_210_096_000);
    assert_eq!(
        found[0].0.attributes,
        [("altered".to_owned(), "status-headers".to_owned())]
    );
    assert_eq!((found[1].0.flags.len(), found[1].0.attributes.len()), (0, 0));
    assert_eq!(disk.snapshot(), before);

    let mut keeping = Account::open(
        disk,
        Choices {
            keep_store_fields: true,
            ..Choices::default()
        },
    )
    .unwrap();
    let (meta, body) = keeping.fetch("Inbox", &["0".into()]).unwrap().remove(0).unwrap();
    assert!(body.0.starts_with(b"Subject: one\nStatus: RO\nX-Status: AF\n"));
    assert_eq!((meta.flags.len(), meta.attributes.len()), (4, 0));
}

#[test]
fn the_formats_differ_in_quoting() {
    let spool = format!("{FROM}Subject: x\n\n>From a\n>>From b\n> From c\n>From: d\n\n");
    let body = |format| contents(spool.as_bytes(), Some(format)).remove(0);
    assert_eq!(
        body(Format::Mboxo),
        "Subject: x\n\nFrom a\n>>From b\n> From c\n>From: d\n"
    );
    assert_eq!(
        body(Format::Mboxrd),
        "Subject: x\n\nFrom a\n>From b\n> From c\n>From: d\n"
    );
    assert_eq!(
        body(Format::Mboxcl2),
        "Subject: x\n\n>From a\n>>From b\n> From c\n>From: d\n"
    );
}

#[test]
fn content_length_tells_where_a_message_ends() {
    let body = format!("one\n\n{FROM}Subject: not one of its own\n\n>From x\n");
    let spool = format!(
        "{FROM}Subject: a\nContent-Length: {}\n\n{body}\n{FROM}Subject: b\nContent-Length: 2\n\nwrong\n\n{FROM}Subject: c\nContent-Length: 0\n\n",
        body.len()
    );
    let expected = [
        format!("Subject: a\n\n{body}"),
        "Subject: b\n\nwrong\n".to_owned(),
        "Subject: c\n".to_owned(),
    ];
    assert_eq!(contents(spool.as_bytes(), None), expected, "found out");
    assert_eq!(contents(spool.as_bytes(), Some(Format::Mboxcl2)), expected);
    // One that does not fit at the beginning is none of mboxcl2: the field is the message's.
    let spool = format!("{FROM}Subject: b\nContent-Length: 2\n\nwrong\n\n");
    assert_eq!(
        contents(spool.as_bytes(), None),
        ["Subject: b\nContent-Length: 2\n\nwrong\n"]
    );
}

#[test]
fn nasty_spools() {
    for (what, spool, expected) in [
        ("empty", String::new(), vec![]),
        ("blank lines only", "\n\n".to_owned(), vec![]),
        ("only a From_ line", FROM.to_owned(), vec![""]),
        ("only a From_ line without end", FROM.trim_end().to_owned(), vec![""]),
        ("two From_ lines", format!("{FROM}\n{FROM}\n"), vec!["", ""]),
        (
            "no final newline",
            format!("{FROM}Subject: x\n\nend"),
            vec!["Subject: x\n\nend"],
        ),
        (
            "no blank line at the end",
            format!("{FROM}Subject: x\n\nend\n"),
            vec!["Subject: x\n\nend\n"],
        ),
        (
            "header only",
            format!("{FROM}Subject: x\n\n{FROM}Subject: y\n"),
            vec!["Subject: x\n", "Subject: y\n"],
        ),
        (
            "blank lines before",
            format!("\n\r\n{FROM}Subject: x\n\n"),
            vec!["Subject: x\n"],
        ),
        (
            "missing blank line",
            format!("{FROM}Subject: x\n\na\n{FROM}Subject: y\n\nb\n"),
            vec!["Subject: x\n\na\n", "Subject: y\n\nb\n"],
        ),
        (
            "missing blank line in a header",
            format!("{FROM}Subject: x\n{FROM}Subject: y\n\nb\n"),
            vec!["Subject: x\n", "Subject: y\n\nb\n"],
        ),
        (
            "From in a body",
            format!("{FROM}Subject: x\n\nFrom here on\nFrom a Thu Feb 29 12:34:56 2024\nno header\n\nFrom now Thu\n"),
            vec!["Subject: x\n\nFrom here on\nFrom a Thu Feb 29 12:34:56 2024\nno header\n\nFrom now Thu\n"],
        ),
        (
            "CRLF",
            format!("{FROM}Subject: x\nStatus: R\n\n>From y\n\n{FROM}Subject: z\n\n\n").replace('\n', "\r\n"),
            vec!["Subject: x\r\n\r\nFrom y\r\n", "Subject: z\r\n\r\n"],
        ),
        (
            "folded store fields",
            format!("{FROM}X-Keywords: a\n b\nSubject: x\n y\nStatus: R\n\tO\n\nb\n"),
            vec!["Subject: x\n y\n\nb\n"],
        ),
        (
            "store fields in the body",
            format!("{FROM}Subject: x\n\nStatus: RO\n"),
            vec!["Subject: x\n\nStatus: RO\n"],
        ),
        (
            "blank lines at the end belong to the message",
            format!("{FROM}Subject: x\n\nb\n\n\n\n{FROM}\n"),
            vec!["Subject: x\n\nb\n\n\n", ""],
        ),
    ] {
        assert_eq!(contents(spool.as_bytes(), None), expected, "{what}");
    }
}

#[test]
fn bytes_of_any_kind_pass() {
    let body = b"Subject: \xff\x00\r\r\n\n\x80\x00\n\rFrom x\n";
    let spool = [FROM.as_bytes(), body, b"\n"].concat();
    let disk = MemoryDisk::default();
    disk.put("x", &spool);
    assert_eq!(messages(&disk, None, "x")[0].1, body);
}

#[test]
fn huge_lines_and_many_quotes() {
    let huge = "x".repeat(700_000);
    let quotes = ">From y\n".repeat(1000);
    let spool = format!("{FROM}Subject: {huge}\nStatus: R\n\n{huge}\n{quotes}{huge}\n\n{FROM}Subject: next\n\n");
    let found = contents(spool.as_bytes(), None);
    assert_eq!(found.len(), 2);
    assert!(found[0] == format!("Subject: {huge}\n\n{huge}\n{}{huge}\n", "From y\n".repeat(1000)));
}

#[test]
fn takeout_works() {
    let disk = MemoryDisk::default();
    let one = "From 1790@xxx Thu Feb 29 12:34:56 +0000 2024\nX-GM-THRID: 1790\nX-Gmail-Labels: =?UTF-8?Q?Inbox,Unread,\n =?\r\n";
    let spool = format!(
        "{}From 1790@xxx Thu Feb 29 12:34:56 +0000 2024\r\nX-GM-THRID: 1790\r\nX-Gmail-Labels: =?UTF-8?Q?Archived,Starred,Opened,\r\n Work/K=C3=B6ln?=\r\nSubject: x\r\n\r\nbody\r\n\r\n",
        one.replace(" =?\r\n", " Category Promotions?=\nSubject: y\n\nbody\n\n"),
    );
    disk.put("All mail Including Spam and Trash.mbox", spool.as_bytes());
    disk.put("archive_browser.html", b"<html>");
    let folders = open(&disk).collections().unwrap();
    assert_eq!(folders.len(), 1);
    assert_eq!(
        (folders[0].path.as_slice(), folders[0].role),
        (&["All mail Including Spam and Trash".to_owned()][..], None)
    );
    let found = messages(&disk, None, &folders[0].id);
    assert_eq!(found[0].0.labels, ["Inbox", "Category Promotions"]);
    assert!(found[0].0.flags.is_empty());
    assert_eq!(found[1].0.labels, ["Archived", "Work/Köln"]);
    assert_eq!(found[1].0.flags, ["\\Seen", "\\Flagged"]);
    assert!(
        found[1].1.starts_with(b"X-GM-THRID: 1790\r\nX-Gmail-Labels: "),
        "labels stay in the message"
    );
}

#[test]
fn the_notes_of_an_imap_server_are_no_message() {
    let spool = format!(
        "From MAILER-DAEMON Thu Feb 29 12:34:56 2024\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1709 12\nStatus: RO\n\nThis text is part of the internal format\n\n{FROM}Subject: x\n\n"
    );
    let disk = MemoryDisk::default();
    disk.put("x", spool.as_bytes());
    assert_eq!(contents(spool.as_bytes(), None), ["Subject: x\n"]);
    assert!(matches!(
        open(&disk).fetch("x", &["0".into()]).unwrap()[0],
        Err(Failure::NotFound(_))
    ));
}

#[test]
fn folders_of_all_programs() {
    let disk = MemoryDisk::default();
    for path in [
        "Inbox",
        "Inbox.sbd/Work",
        "Archives.sbd/2023.sbd/Q1",
        "plain/deep/box",
        "Apple.mbox/mbox",
        "Entwürfe",
        "empty",
    ] {
        disk.put(path, if path == "empty" { b"" } else { FROM.as_bytes() });
    }
    for path in [
        "Inbox.msf",
        ".hidden",
        "popstate.dat",
        "notes",
        "Apple.mbox/table_of_contents",
        ".dir/box",
    ] {
        disk.put(path, b"something else");
    }
    let folders = open(&disk).collections().unwrap();
    let shown: Vec<(String, &str, bool)> = folders
        .iter()
        .map(|folder| (folder.path.join("|"), folder.id.as_str(), folder.selectable))
        .collect();
    assert_eq!(
        shown,
        [
            ("Inbox".to_owned(), "Inbox", true),
            ("Apple".to_owned(), "Apple.mbox/mbox", true),
            ("Archives".to_owned(), "Archives.sbd", false),
            ("Archives|2023".to_owned(), "Archives.sbd/2023.sbd", false),
            ("Archives|2023|Q1".to_owned(), "Archives.sbd/2023.sbd/Q1", true),
            ("Entwürfe".to_owned(), "Entwürfe", true),
            ("Inbox|Work".to_owned(), "Inbox.sbd/Work", true),
            ("empty".to_owned(), "empty", true),
            ("plain".to_owned(), "plain", false),
            ("plain|deep".to_owned(), "plain/deep", false),
            ("plain|deep|box".to_owned(), "plain/deep/box", true),
        ]
    );
    assert_eq!(
        (folders[0].role, folders[5].role),
        (Some(Role::Inbox), Some(Role::Drafts))
    );

    let mut single = Account::open(
        disk,
        Choices {
            only: Some("notes".into()),
            ..Choices::default()
        },
    )
    .unwrap();
    let folders = single.collections().unwrap();
    assert_eq!(
        (folders.len(), folders[0].path[0].as_str(), folders[0].id.as_str()),
        (1, "INBOX", "notes")
    );
    assert!(single.changes("notes", None, 5).unwrap().changes.is_empty());
}

#[test]
fn pages_of_any_size_name_every_message_once() {
    let disk = MemoryDisk::default();
    let spool: String = (0..20)
        .map(|number| format!("{FROM}Subject: {number}\n\n{}\n\n", "x".repeat(number * 7000)))
        .collect();
    disk.put("x", spool.as_bytes());
    let all = listed(&disk, None, "x", None, 1000).0;
    assert_eq!(all.len(), 20);
    for limit in [1, 3, 19, 20] {
        assert_eq!(listed(&disk, None, "x", None, limit).0, all);
    }
    let answers = open(&disk)
        .fetch("x", &["1".into(), "99999999".into(), "no".into(), "45".into()])
        .unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Err(Failure::NotFound(_)))));
}

#[test]
fn what_is_appended_is_read_from_the_old_end_on() {
    let disk = MemoryDisk::default();
    let one = format!("{FROM}Subject: one\nStatus: O \n\nbody\n\n");
    disk.put("x", one.as_bytes());
    let (first, cursor) = listed(&disk, None, "x", None, 10);
    let again = open(&disk).changes("x", Some(&cursor), 10).unwrap();
    assert!(again.changes.is_empty() && !again.complete && !again.more);

    let two = format!("{FROM}Subject: two\n\n");
    disk.put("x", format!("{one}{two}").as_bytes());
    let page = open(&disk).changes("x", Some(&cursor), 10).unwrap();
    assert_eq!((metas(&page).len(), page.complete, page.more), (1, false, false));
    assert_eq!(metas(&page)[0].id, one.len().to_string());

    // Marks changed in place, in the same tick: all is looked at, and ids stay.
    disk.put("x", one.replace("O ", "RO").as_bytes());
    let page = open(&disk).changes("x", Some(&cursor), 10).unwrap();
    assert!(page.complete);
    assert_eq!(
        (&metas(&page)[0].id, &metas(&page)[0].revision),
        (&first[0].id, &first[0].revision)
    );
    assert_eq!(metas(&page)[0].flags, ["\\Seen"]);
    assert!(matches!(page.changes[0], Change::Marked(_)));
    disk.put("x", format!("{}{two}", one.replace("O ", "RO")).as_bytes());
    let page = open(&disk).changes("x", Some(&cursor), 10).unwrap();
    assert!(matches!(page.changes[..], [Change::Marked(_), Change::Upserted(_)]));

    // Written anew, cut, grown in its last message, or a cursor of something else.
    for other in [
        one.replace("body", "text"),
        one[..40].to_owned(),
        format!("{one}more\n"),
        format!("{FROM}Subject: new\n\n{one}"),
    ] {
        disk.put("x", other.as_bytes());
        assert_eq!(
            open(&disk).changes("x", Some(&cursor), 10),
            Err(Failure::GenerationChanged),
            "{other}"
        );
    }
    for strange in ["", "what", "1:w 99999"] {
        assert_eq!(
            open(&disk).changes("x", Some(strange), 10),
            Err(Failure::GenerationChanged)
        );
    }
}

/// Pieces that spools are made of, whole and broken.
const PIECES: [&[u8]; 18] = [
    b"From a@example.org Thu Feb 29 12:34:56 2024\n",
    b"From - Mon Jan  1 00:00:00 1970\r\n",
    b"From \n",
    b">From x\n",
    b"\n",
    b"\r\n",
    b"Subject: x\n",
    b"Status: RO\nX-Status: AF\n",
    b"X-Keywords: a b  c\n",
    b"X-IMAP: 1 2 Work\n",
    b"X-IMAPbase: 99999999999999999999 1\n",
    b"X-UID: 18446744073709551616\n",
    b"Content-Length: 7\n",
    b"Content-Length: 18446744073709551615\n",
    b"Content-Length: -1\n",
    b"X-Gmail-Labels: =?UTF-8?Q?=C3?=,\"a,b\n",
    b"From MAILER-DAEMON Thu Feb 29 99:99:99 2024\nSubject: DON'T DELETE THIS MESSAGE\n\n",
    b"\0\xff\xc3(",
];

proptest! {
    /// Whatever a spool holds: every message of a listing can be fetched, and has the size that was claimed.
    #[test]
    #[test]
    fn no_spool_panics(
        pieces in proptest::collection::vec((0..PIECES.len(), any::<u8>(), any::<u8>()), 0..30),
        format in proptest::sample::select(vec![None, Some(Format::Mboxo), Some(Format::Mboxrd), Some(Format::Mboxcl2)]),
    ) {
        let mut spool = Vec::new();
        for (piece, how, at) in pieces {
            let from = spool.len();
            spool.extend_from_slice(PIECES[piece]);
            if how < 40 && spool.len() > from {
                let at = from + usize::from(at) % (spool.len() - from);
                spool[at] = how;
            }
        }
        let disk = MemoryDisk::default();
        disk.put("x", &spool);
        let total: usize = messages(&disk, format, "x").iter().map(|(_, body)| body.len()).sum();
        prop_assert!(total <= spool.len());
    }
}
