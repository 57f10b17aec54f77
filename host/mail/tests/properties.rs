//! What holds for every message, sound or broken.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use whimbrel_mail::{
    Content, Edit, Encoding, Head, Limits, Part, Piece, Slice, Structure, attachments, detach, parts, text,
};

/// Bytes that look like heads and bodies more often than chance would have it.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\xff\xfe",
        b" ",
        b"\t",
        b":",
        b"From ",
        b"From: ",
        b"To: ",
        b"Subject: ",
        b"X-A : ",
        b"Cc: Joe <joe@old.example>, =?utf-8?q?a=40?=",
        b"Date: Mon, 1 Jan 2020 10:00:00 +0100",
        b"a@old.example",
        b"<",
        b">",
        b"\"",
        b"(",
        b")",
        b"\\",
        b"[",
        b"]",
        b",",
        b";",
        b"@",
        b".",
        b"=?utf-8?b?w7w=?=",
        b"=?utf-7?q?+=3D?=",
        b"DKIM-Signature: h=From:To",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/related; boundary=\"bb\"",
        b"--b",
        b"--bb",
        b"--b--",
        b"--bb--",
        b"Content-Type: message/rfc822",
        b"Content-Type: text/html; charset=iso-2022-jp",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Disposition: attachment; filename*=utf-8''%41",
        b"AAAA",
        b"=3D=\r\n",
        b"<p>&amp;&#x;",
        b"\r\n\r\n",
        b"\n\n",
        b"x",
    ];
    let known = prop::sample::select(pieces).prop_map(<[u8]>::to_vec);
    let any = vec(any::<u8>(), 0..6);
    vec(prop_oneof![8 => known, 1 => any], 0..60).prop_map(|pieces| pieces.concat())
}

fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["From", "To", "Cc", "Subject", "X-A", "x-new"]).prop_map(str::to_owned)
}

fn edits() -> impl Strategy<Value = Edit> {
    let value = "[ -~\u{e4}\u{20ac}]{0,90}";
    prop_oneof![
        (names(), value).prop_map(|(name, value)| Edit::Set { name, value }),
        (names(), value).prop_map(|(name, value)| Edit::Add { name, value }),
        names().prop_map(|name| Edit::Remove { name }),
        (names(), "[ a-z@.<]{1,3}", "[ -~]{0,5}").prop_map(|(name, from, to)| Edit::Replace { name, from, to }),
        any::<bool>().prop_map(|signed| domain("old.example", "new.example", signed)),
        any::<bool>().prop_map(|signed| Edit::Address {
            from: "joe@old.example".into(),
            to: "jim@new.example".into(),
            headers: Some(vec!["Cc".into(), "X-A".into()]),
            signed
        }),
    ]
}

fn domain(from: &str, to: &str, signed: bool) -> Edit {
    Edit::Domain {
        from: from.into(),
        to: to.into(),
        headers: None,
        signed,
    }
}

/// The names that an edit may touch.
fn touches(edit: &Edit) -> Vec<String> {
    let all = || {
        whimbrel_mail::ADDRESS_HEADERS
            .iter()
            .map(|&name| name.to_owned())
            .collect()
    };
    match edit {
        Edit::Set { name, .. } | Edit::Add { name, .. } | Edit::Remove { name } | Edit::Replace { name, .. } => {
            vec![name.clone()]
        }
        Edit::Address { headers, .. } | Edit::Domain { headers, .. } => headers.clone().unwrap_or_else(all),
    }
}

fn parse(bytes: &[u8]) -> Head {
    Head::parse(Bytes::copy_from_slice(bytes))
}

fn joined<'a>(pieces: impl Iterator<Item = Piece<'a>>) -> Vec<u8> {
    pieces.flat_map(|piece| piece.raw()).copied().collect()
}

/// What is left of a head without the fields of these names, and without a line end at its end.
fn others(head: &Head, names: &[String]) -> Vec<u8> {
    let kept = head
        .pieces()
        .filter(|piece| !matches!(piece, Piece::Field(field) if names.iter().any(|name| field.is(name))));
    joined(kept)
}

/// A mailbox list that holds `old.example` where addresses can be, and elsewhere.
fn lists() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let pieces: Vec<(&'static [u8], &'static [u8])> = vec![
        (b"joe@old.example", b"joe@new.example"),
        (b"Joe <joe@old.example>", b"Joe <joe@new.example>"),
        (
            b"\"joe@old.example, x\" <a.b@old.example>",
            b"\"joe@old.example, x\" <a.b@new.example>",
        ),
        (
            b"=?utf-8?q?joe@old.example?= <\"j b\"@old.example>",
            b"=?utf-8?q?joe@old.example?= <\"j b\"@new.example>",
        ),
        (
            b"Group: a@old.example, b@x.example;",
            b"Group: a@new.example, b@x.example;",
        ),
        (
            b"(joe@old.example (b@old.example)) c@old.example",
            b"(joe@old.example (b@old.example)) c@new.example",
        ),
        (b"\xff\xe4 <j\xc3\xbc@old.example>", b"\xff\xe4 <j\xc3\xbc@new.example>"),
        (b"<@old.example:joe@old.example>", b"<@old.example:joe@new.example>"),
        (b"joe@sub.old.example", b"joe@sub.old.example"),
        (b"joe@old.example.org", b"joe@old.example.org"),
        (b"", b""),
        (b"joe@[192.0.2.1]", b"joe@[192.0.2.1]"),
    ];
    let separator = prop::sample::select(vec![",", ", ", ",\r\n ", "\t,\n\t", ";", ", (x@old.example) "]);
    vec((prop::sample::select(pieces), separator), 0..12).prop_map(|list| {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for ((old, new), separator) in list {
            before.extend_from_slice(old);
            before.extend_from_slice(separator.as_bytes());
            after.extend_from_slice(new);
            after.extend_from_slice(separator.as_bytes());
        }
        (before, after)
    })
}

fn check_structure(structure: &Structure, size: u64) {
    let whole = |part: &Part| (part.whole.start, part.whole.end);
    for (at, part) in structure.parts.iter().enumerate() {
        assert!(part.whole.start <= part.body.start && part.body.start <= part.body.end);
        assert_eq!(part.body.end, part.whole.end);
        assert!(part.whole.end <= size);
        if let Some(parent) = part.parent {
            assert!(parent < at);
            let parent = &structure.parts[parent];
            assert_eq!(part.depth, parent.depth + 1);
            assert!(
                parent.body.start <= part.whole.start && part.whole.end <= parent.body.end,
                "{part:?} in {parent:?}"
            );
        } else {
            assert_eq!((at, whole(part)), (0, (0, size)));
        }
    }
    for (at, part) in structure.parts.iter().enumerate() {
        let before = structure.parts[..at]
            .iter()
            .rfind(|before| before.parent == part.parent);
        assert!(before.is_none_or(|before| before.whole.end <= part.whole.start));
    }
}

fn put_together(content: &Bytes, slices: &[Slice]) -> Vec<u8> {
    let mut out = Vec::new();
    for slice in slices {
        match slice {
            Slice::Kept(range) => out.extend_from_slice(&content[range.start as usize..range.end as usize]),
            Slice::New(bytes) => out.extend_from_slice(bytes),
        }
    }
    out
}

fn touch_everything(head: &Head) {
    for field in head.fields() {
        let _ = (field.name_text(), field.text(), field.addresses(), field.date());
    }
    let _ = (
        head.list_id(),
        head.message_id(),
        head.content_type(),
        head.is_signed(),
        head.is_encrypted(),
        head.line_end(),
    );
    let _ = (
        head.dkim_covers("From"),
        head.addresses("From"),
        head.date("Date"),
        head.text("Subject"),
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_are_the_head(bytes in prop_oneof![messages(), vec(any::<u8>(), 0..300)]) {
        let head = parse(&bytes);
        let all = joined(head.pieces());
        prop_assert_eq!(&all[..], &head.bytes()[..]);
        prop_assert_eq!(&bytes[..head.len()], &all[..]);
        // Without an empty line everything is head.
        prop_assert!(head.is_complete() || head.len() == bytes.len());
        for field in head.fields() {
            let raw = field.raw();
            prop_assert!(raw.starts_with(field.name()));
            let value = &raw[raw.len() - raw.len().min(field.value().len() + 2)..];
            prop_assert!(field.value().is_empty() || value.windows(field.value().len()).any(|window| window == field.value()));
        }
        let read = Head::read(&Bytes::from(bytes)).unwrap();
        prop_assert_eq!(read.bytes(), head.bytes());
    }

    #[test]
    fn edits_touch_what_they_name(bytes in messages(), list in vec(edits(), 1..5)) {
        let head = parse(&bytes);
        let applied = match head.apply(&list) {
            Ok(applied) => applied,
            Err(error) => {
                // Only addresses beyond ASCII are refused among these.
                prop_assert!(matches!(error, whimbrel_mail::EditError::NotAscii(_)));
                return Ok(());
            }
        };
        let after = parse(&applied.head);
        prop_assert_eq!(after.len(), applied.head.len(), "the head ends where it ended");
        prop_assert_eq!(after.is_complete(), head.is_complete());
        let names: Vec<String> = list.iter().flat_map(touches).collect();
        let (mut before, mut now) = (others(&head, &names), others(&after, &names));
        if !head.is_complete() {
            // A field behind a line that had no end gives it one.
            let trimmed = |bytes: &mut Vec<u8>| while bytes.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) { bytes.pop(); };
            trimmed(&mut before);
            trimmed(&mut now);
        }
        prop_assert_eq!(before.escape_ascii().to_string(), now.escape_ascii().to_string());
        if applied.changes.is_empty() {
            prop_assert_eq!(&applied.head, head.bytes());
        }
    }

    #[test]
    fn set_is_what_is_read(bytes in messages(), value in "[ -~\u{e4}\u{20ac}]{0,200}") {
        let head = parse(&bytes);
        let edit = Edit::Set { name: "Subject".into(), value: value.clone() };
        let after = parse(&head.apply(&[edit]).unwrap().head);
        prop_assert_eq!(after.all("subject").count(), 1);
        prop_assert_eq!(after.text("subject").unwrap(), value.trim());
    }

    #[test]
    fn domains_change_and_change_back((before, after) in lists()) {
        let head = |list: &[u8]| parse(&[b"To: ", list, b"\r\nSubject: joe@old.example\r\n\r\n"].concat());
        let there = head(&before).apply(&[domain("old.example", "new.example", false)]).unwrap();
        prop_assert_eq!(there.head.escape_ascii().to_string(), head(&after).bytes().escape_ascii().to_string());
        let back = parse(&there.head).apply(&[domain("NEW.example", "old.example", false)]).unwrap();
        let original = head(&before);
        prop_assert_eq!(&back.head, original.bytes());
    }

    #[test]
    fn structures_hold(bytes in messages(), max_parts in 1usize..20, max_depth in 0usize..5) {
        let content = Bytes::from(bytes);
        for limits in [Limits::default(), Limits { max_parts, max_depth, max_part_head: 100 }] {
            let structure = parts(&content, &limits).unwrap();
            check_structure(&structure, content.size());
            prop_assert!(structure.parts.len() <= limits.max_parts);
            let nothing = detach(&structure, u64::MAX, |_| Err(())).unwrap();
            prop_assert_eq!(put_together(&content, &nothing.slices(0, content.size())), &content[..]);
            // What is taken out leaves every other part's bytes as they were.
            let all = detach(&structure, 0, |_| Ok::<_, ()>("file://x".into())).unwrap();
            let new: usize = all.replacements.iter().map(|replacement| replacement.with.len()).sum();
            let old: u64 = all.replacements.iter().map(|replacement| replacement.range.end - replacement.range.start).sum();
            let put = put_together(&content, &all.slices(0, content.size()));
            prop_assert_eq!(put.len() as u64, content.size() - old + new as u64);
        }
    }

    #[test]
    fn nothing_panics(bytes in prop_oneof![messages(), vec(any::<u8>(), 0..400)]) {
        touch_everything(&parse(&bytes));
        let content = Bytes::from(bytes);
        let structure = parts(&content, &Limits::default()).unwrap();
        prop_assert!(text(&content, &structure, 100).unwrap().len() <= 100);
        for part in &structure.parts {
            touch_everything(&part.head);
            for encoding in [Encoding::Identity, Encoding::Base64, Encoding::QuotedPrintable] {
                let pieces = whimbrel_mail::Decoder::new(&content, part.body.clone(), encoding);
                let size: usize = pieces.map(|piece| piece.unwrap().len()).sum();
                prop_assert!(size as u64 <= part.body.end - part.body.start);
            }
        }
        prop_assert!(attachments(&structure).len() <= structure.parts.len());
    }

    #[test]
    fn charsets_do_not_panic(
        charset in prop::sample::select(vec![
            "iso-2022-jp", "utf-7", "utf-16", "utf-16be", "big5", "gbk", "gb18030", "euc-kr", "euc-jp", "shift_jis", "hz-gb-2312", "x-user-defined",
            "iso-2022-kr", "koi8-r", "ibm850", "macintosh", "tis-620", "iso-8859-8", "windows-874", "unknown",
        ]),
        bytes in vec(any::<u8>(), 0..40),
    ) {
        let hex: String = bytes.iter().map(|byte| format!("={byte:02X}")).collect();
        let head = parse(format!("Subject: =?{charset}?q?{hex}?=\r\n\r\n").as_bytes());
        prop_assert!(head.text("Subject").unwrap().chars().count() <= 2 * bytes.len() + 1);
    }

    #[test]
    fn field_values_do_not_panic(name in names(), value in vec(any::<u8>(), 0..80), html in "[<>/a-z&#;! \"-]{0,60}") {
        touch_everything(&parse(&[name.as_bytes(), b":", &value].concat()));
        touch_everything(&parse(&[b"Date: ", &value[..]].concat()));
        let content = Bytes::from(format!("Content-Type: text/html\n\n{html}"));
        let structure = parts(&content, &Limits::default()).unwrap();
        prop_assert!(text(&content, &structure, 1000).unwrap().len() <= 1000);
    }

    #[test]
    fn dates_do_not_panic(value in "[A-Za-z0-9:+,; ()\\-]{0,60}") {
        touch_everything(&parse(format!("Date: {value}\r\n\r\n").as_bytes()));
    }
}
