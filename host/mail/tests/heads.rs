//! Heads as they are found: what is read from them, and what edits make of them.
#![allow(clippy::unwrap_used)]

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use whimbrel_mail::{Address, Content, Edit, EditError, HEAD_LIMIT, Head, LineEnd, What};

fn head(text: &str) -> Head {
    Head::parse(Bytes::copy_from_slice(text.as_bytes()))
}

fn set(name: &str, value: &str) -> Edit {
    Edit::Set {
        name: name.into(),
        value: value.into(),
    }
}

fn add(name: &str, value: &str) -> Edit {
    Edit::Add {
        name: name.into(),
        value: value.into(),
    }
}

fn domain(signed: bool) -> Edit {
    Edit::Domain {
        from: "old.example".into(),
        to: "new.example".into(),
        headers: None,
        signed,
    }
}

fn replace(name: &str, from: &str, to: &str) -> Edit {
    Edit::Replace {
        name: name.into(),
        from: from.into(),
        to: to.into(),
    }
}

fn apply(text: &str, edits: &[Edit]) -> String {
    let applied = head(text).apply(edits).unwrap();
    String::from_utf8(applied.head.to_vec()).unwrap()
}

/// Counts what is read of it.
struct Counted(Bytes, AtomicU64);

impl Content for Counted {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.1.fetch_max(offset + length as u64, Ordering::Relaxed);
        self.0.read_at(offset, length)
    }
}

/// Says that it is longer than it is.
struct Short(Bytes);

impl Content for Short {
    fn size(&self) -> u64 {
        self.0.size() + 1
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.0.read_at(offset, length)
    }
}

#[test]
fn odd_heads_have_the_fields_that_can_be_read() {
    for (text, names, length, complete) in [
        ("A: 1\r\nB: 2\r\n\r\nbody", "A B", 14, true),
        ("A: 1\nB: 2\n\nbody", "A B", 11, true),
        ("From joe Mon Jan 1 10:00:00 2020\nA: 1\n\n", "A", 39, true),
        (
            " folded: first\nA : 1\n\tmore\nno colon\n and more\n: no name\nB:\n\n",
            "A B",
            60,
            true,
        ),
        ("A: 1\r\r\nB: 2\r\r\n\r\r\nbody", "A B", 17, true),
        ("A: 1\rB: 2\r\n\0C: 3\r\n\r\n", "A", 20, true),
        ("\r\nA: 1\r\n", "", 2, true),
        ("A: 1\r\nB: 2", "A B", 10, false),
        ("A: 1\r\n \r\n\r\n", "A", 11, true),
        ("", "", 0, false),
    ] {
        let head = head(text);
        let found: Vec<String> = head.fields().map(|field| field.name_text()).collect();
        assert_eq!(
            (found.join(" ").as_str(), head.len(), head.is_complete()),
            (names, length, complete),
            "{text:?}"
        );
    }
    assert_eq!(head("A: 1\n\r\n").line_end(), LineEnd::Lf);
    assert_eq!(head("A: 1").line_end(), LineEnd::Crlf);
}

#[test]
fn values_are_decoded() {
    let head = head(concat!(
        "From: =?utf-8?q?J=C3=BC?= \"Doe, X\" <joe@old.example>, bob@x.example (Bob (B) B),\r\n root, \"Only a name\" <>\r\n",
        "To: Group: \"a b\"@c . example, <@r:d@e.example>;\r\nTo: x@[192.0.2.1]; y@z\r\n",
        "Date: Mon, 30 Feb 2020 10:00:00 +0100\r\nX-Date: Sat, 29 Feb 20 23:59:60 EST\r\nX-Odd: 1 Jan 1970 00:00 -0130\r\n",
        "List-Id: A \"list\" <list.old.example>\r\nMessage-Id: (c) <a@b> <c@d>\r\n\r\n"
    ));
    let address = |name: &str, address: &str| Address {
        name: name.into(),
        address: address.into(),
    };
    assert_eq!(
        head.addresses("from"),
        [
            address("J\u{fc} Doe, X", "joe@old.example"),
            address("Bob (B) B", "bob@x.example"),
            address("", "root"),
            address("Only a name", ""),
        ]
    );
    let to: Vec<String> = head.addresses("To").into_iter().map(|to| to.address).collect();
    assert_eq!(to, ["\"a b\"@c.example", "d@e.example", "x@[192.0.2.1]", "y@z"]);
    assert_eq!(head.date("Date"), None);
    let date = |name: &str| head.date(name).map(|date| (date.unix, date.offset_minutes));
    assert_eq!(date("X-Date"), Some((1_583_038_800, -300)));
    assert_eq!(date("X-Odd").map(|(_, offset)| offset), Some(-90));
    assert_eq!(head.list_id().as_deref(), Some("list.old.example"));
    assert_eq!(head.message_id().as_deref(), Some("a@b"));
}

#[test]
fn no_more_than_the_head_is_read() {
    let small = Counted(
        [&b"A: 1\r\n\r\n"[..], &[b'x'; 100_000]].concat().into(),
        AtomicU64::new(0),
    );
    assert_eq!(Head::read(&small).unwrap().len(), 8);
    assert_eq!(small.1.into_inner(), 8192);
    let fields = "Name: value\r\n".repeat(10_000);
    let large = Counted(
        (fields.clone() + "\r\n" + &"x".repeat(1 << 20)).into(),
        AtomicU64::new(0),
    );
    let head = Head::read(&large).unwrap();
    assert_eq!((head.len(), head.fields().count()), (fields.len() + 2, 10_000));
    assert_eq!(large.1.into_inner(), 131_072);
    assert!(Head::read(&Short(Bytes::from_static(b"A: 1"))).is_err());
}

#[test]
fn a_head_without_end_is_cut_before_its_last_piece() {
    let text = "A: 1\r\nB: ".to_owned() + &"x".repeat(HEAD_LIMIT) + "\r\n and more\r\n\r\n";
    let head = Head::read(&Bytes::from(text)).unwrap();
    assert_eq!(
        (&head.bytes()[..], head.is_cut(), head.is_complete()),
        (&b"A: 1\r\n"[..], true, false)
    );
    let applied = head.apply(&[set("C", "2")]).unwrap();
    assert_eq!(applied.head, "A: 1\r\nC: 2\r\n");
}

#[test]
fn edits_change_one_thing() {
    for (before, edit, after) in [
        ("A: 1\nB : 2\n 3\nb: 4\n\n", set("B", "5"), "A: 1\nB: 5\n\n"),
        ("A: 1\r\n\r\n", set("B", "5"), "A: 1\r\nB: 5\r\n\r\n"),
        ("A: 1", set("B", "5"), "A: 1\r\nB: 5\r\n"),
        ("", set("B", "5"), "B: 5\r\n"),
        ("\r", set("B", "5"), "B: 5\r\n\r"),
        ("From x\nA: 1\n\n", add("B", "5"), "From x\nB: 5\nA: 1\n\n"),
        (" folded\nA: 1\n\n", add("B", "5"), " folded\nB: 5\nA: 1\n\n"),
        ("A: 1\r\n\r\n", add("A", "0"), "A: 0\r\nA: 1\r\n\r\n"),
        ("A: 1\nx\na: 2\n\n", Edit::Remove { name: "A".into() }, "x\n\n"),
        ("A: [X] [X] b\n\n", replace("a", "[X] ", ""), "A: b\n\n"),
        (
            "A: x\n evil: 1\n\n",
            replace("a", " evil", "evil"),
            "A: x\n evil: 1\n\n",
        ),
        ("A: x\n  y\n\n", replace("a", " ", ""), "A:x\n y\n\n"),
        (
            "To: a@old.example\nX: a@old.example\n\n",
            domain(false),
            "To: a@new.example\nX: a@old.example\n\n",
        ),
    ] {
        assert_eq!(apply(before, std::slice::from_ref(&edit)), after, "{before:?} {edit:?}");
    }
    // Later edits see what earlier ones did.
    assert_eq!(
        apply("A: 1\n\n", &[set("To", "b@old.example"), domain(false)]),
        "A: 1\nTo: b@new.example\n\n"
    );
}

#[test]
fn changes_are_told() {
    let head = head("From: a@old.example, b@old.example\r\nSubject: x\r\nsubject: y\r\n\r\n");
    let edits = [domain(false), set("Subject", "z"), Edit::Remove { name: "None".into() }];
    let applied = head.apply(&edits).unwrap();
    let told: Vec<_> = applied
        .changes
        .iter()
        .map(|change| (change.what, change.header.as_str(), change.count))
        .collect();
    assert_eq!(told, [(What::Domain, "From", 2), (What::Set, "Subject", 2)]);
    assert!(!applied.broke_dkim && !applied.left_signed);
}

#[test]
fn signed_mail_keeps_its_addresses() {
    let signed = head("DKIM-Signature: h=from:to\r\nFrom: a@old.example\r\nCc: b@old.example\r\n\r\n");
    let applied = signed.apply(&[domain(false)]).unwrap();
    assert!(applied.left_signed && !applied.broke_dkim && applied.changes.is_empty());
    assert_eq!(&applied.head, signed.bytes());
    let applied = signed.apply(&[domain(true)]).unwrap();
    assert!(applied.broke_dkim && !applied.left_signed);
    let cc = Edit::Domain {
        from: "old.example".into(),
        to: "new.example".into(),
        headers: Some(vec!["cc".into()]),
        signed: true,
    };
    assert!(!signed.apply(&[cc]).unwrap().broke_dkim);
    assert!(signed.apply(&[set("To", "x")]).unwrap().broke_dkim);
    let other = head("DKIM-Signature: h=from\r\nFrom: a@x.example\r\n\r\n");
    assert!(!other.apply(&[domain(false)]).unwrap().left_signed);
}

#[test]
fn edits_that_cannot_be_are_refused() {
    let address = |to: &str| Edit::Address {
        from: "a@b".into(),
        to: to.into(),
        headers: None,
        signed: false,
    };
    for (edit, error) in [
        (set("A B", "x"), EditError::Name("A B".into())),
        (set("", "x"), EditError::Name(String::new())),
        (set("A:", "x"), EditError::Name("A:".into())),
        (add("A", "x\r\nB: y"), EditError::LineEnd("A".into())),
        (add("A", "x\0"), EditError::LineEnd("A".into())),
        (replace("A", "", "x"), EditError::Empty("A".into())),
        (replace("A", "x", "\u{e4}"), EditError::NotAscii("\u{e4}".into())),
        (address("a b@c"), EditError::Address("a b@c".into())),
        (address("a@b>, <c@d"), EditError::Address("a@b>, <c@d".into())),
        (address("a"), EditError::Address("a".into())),
    ] {
        assert_eq!(head("A: 1\n\n").apply(&[edit]).unwrap_err(), error);
    }
}
