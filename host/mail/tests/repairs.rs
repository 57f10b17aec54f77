//! Repairs change the one thing that they are named after, once.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use whimbrel_mail::{Content, Head, LONGEST_LINE, Limits, Part, Repair, Structure, parts};

/// The repaired message; none where there is nothing to repair.
fn repaired(repair: Repair, message: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let content = Bytes::copy_from_slice(message);
    let changed = repair
        .make(&content, &mut |piece| {
            out.extend_from_slice(&piece);
            Ok(())
        })
        .unwrap();
    assert!(changed || out.is_empty());
    changed.then_some(out)
}

fn text(repair: Repair, message: &str) -> String {
    let out = repaired(repair, message.as_bytes()).unwrap_or_else(|| message.into());
    String::from_utf8(out).unwrap()
}

fn structure(message: &[u8]) -> Structure {
    parts(&Bytes::copy_from_slice(message), &Limits::default()).unwrap()
}

fn decoded(message: &[u8], part: &Part) -> Vec<u8> {
    let content = Bytes::copy_from_slice(message);
    let pieces = part.decoder(&content).map(|piece| piece.unwrap().to_vec());
    pieces.collect::<Vec<_>>().concat()
}

fn longest(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).len())
        .max()
        .unwrap_or(0)
}

#[test]
fn a_line_end_is_added_where_there_is_none() {
    for (before, after) in [
        ("a: b\r\n\r\nc", Some("a: b\r\n\r\nc\r\n")),
        ("a\r", Some("a\r\n")),
        ("a\n", None),
        ("a\r\n", None),
        ("", None),
    ] {
        let out = repaired(Repair::FinalCrlf, before.as_bytes());
        assert_eq!(out.as_deref(), after.map(str::as_bytes), "{before:?}");
    }
}

#[test]
fn nul_is_taken_out() {
    assert_eq!(repaired(Repair::Nul, b"a\0\0b\0\r\n").unwrap(), b"ab\r\n");
    assert_eq!(repaired(Repair::Nul, b"ab\r\n"), None);
    let big = [vec![b'x'; 100_000], vec![0], vec![b'y'; 100_000]].concat();
    assert_eq!(repaired(Repair::Nul, &big).unwrap().len(), 200_000);
}

#[test]
fn heads_become_ascii_and_say_the_same() {
    let before = "Subject: Gr\u{fc}\u{df}e\r\nX-Plain: as  it was \r\nTo: J\u{fc}rgen <j@x>\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Disposition: attachment;\r\n filename=\"a; \\\"\u{e4}\\\".pdf\"; size=3\r\n\r\n\u{e4}\r\n--b--\r\n";
    let after = text(Repair::EightBitHeaders, before);
    let head = Head::parse(Bytes::copy_from_slice(after.as_bytes()));
    assert!(head.bytes().is_ascii());
    assert_eq!(head.text("Subject").unwrap(), "Gr\u{fc}\u{df}e");
    assert_eq!(head.addresses("To")[0].name, "J\u{fc}rgen");
    assert!(after.contains("X-Plain: as  it was \r\n"), "{after}");
    let structure = structure(after.as_bytes());
    assert_eq!(structure.parts[1].file_name.as_deref(), Some("a; \"\u{e4}\".pdf"));
    assert!(
        after.contains("; size=3\r\n\r\n\u{e4}\r\n--b--\r\n"),
        "the body stays: {after}"
    );
    assert_eq!(repaired(Repair::EightBitHeaders, after.as_bytes()), None);
    // Latin-1, as old programs wrote it.
    let latin = repaired(Repair::EightBitHeaders, b"Subject: K\xf6ln\r\n\r\nx").unwrap();
    assert_eq!(Head::parse(latin.into()).text("Subject").unwrap(), "K\u{f6}ln");
    // A boundary is a row of bytes, which stands in the body as well: it is left.
    let odd =
        b"Content-Type: multipart/mixed; boundary=b\xff; name=\"\xc3\xa4\"\r\n\r\n--b\xff\r\n\r\nx\r\n--b\xff--\r\n";
    assert_eq!(repaired(Repair::EightBitHeaders, odd), None);
    // An address has no other form: it is left, and nothing else is to do.
    assert_eq!(
        repaired(Repair::EightBitHeaders, "To: j\u{fc}@x\r\n\r\n".as_bytes()),
        None
    );
}

#[test]
fn only_the_part_with_the_long_line_is_encoded_anew() {
    let long = "word \u{e4} = ".repeat(300);
    let before = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\nshort\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{long}\r\n\
         .hidden \r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        "QUJD".repeat(400)
    );
    let after = text(Repair::LongLines, &before);
    assert!(longest(after.as_bytes()) <= LONGEST_LINE, "{after}");
    let (old, new) = (structure(before.as_bytes()), structure(after.as_bytes()));
    assert_eq!(old.parts.len(), new.parts.len());
    for (old, new) in old.parts.iter().zip(&new.parts).skip(1) {
        assert_eq!(decoded(before.as_bytes(), old), decoded(after.as_bytes(), new));
    }
    assert!(
        after.contains("Content-Transfer-Encoding: 8bit\r\n\r\nshort\r\n--b\r\n"),
        "{after}"
    );
    assert!(after.contains("Content-Transfer-Encoding: quoted-printable"), "{after}");
    assert_eq!(repaired(Repair::LongLines, after.as_bytes()), None);
}

#[test]
fn long_fields_are_folded_and_unfold_to_the_same() {
    let ids = (0..200)
        .map(|number| format!("<{number}@example>"))
        .collect::<Vec<_>>()
        .join(" ");
    let before = format!("References: {ids}\r\nSubject: x\r\n\r\nbody\r\n");
    let after = text(Repair::LongLines, &before);
    assert!(longest(after.as_bytes()) <= LONGEST_LINE);
    assert_eq!(after.replace("\r\n <", " <"), before);
    assert_eq!(repaired(Repair::LongLines, after.as_bytes()), None);
    // Nothing to fold at: it stays.
    let one = format!("X-Long: {}\r\n\r\n", "x".repeat(2000));
    assert_eq!(repaired(Repair::LongLines, one.as_bytes()), None);
}

#[test]
fn what_is_signed_is_left_alone() {
    let before = format!(
        "Content-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\"\r\n\r\n--b\r\n\
         Content-Type: text/plain; name=\"\u{e4}\"\r\n\r\n{}\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
        "y".repeat(2000)
    );
    assert_eq!(repaired(Repair::LongLines, before.as_bytes()), None);
    assert_eq!(repaired(Repair::EightBitHeaders, before.as_bytes()), None);
}

#[test]
fn names_are_read_back() {
    for repair in Repair::ALL {
        assert_eq!(repair.name().parse(), Ok(repair));
    }
    assert_eq!("nothing".parse::<Repair>(), Err(()));
}

/// Bytes that look like messages more often than chance would have it, with long lines.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let long = [b"x".repeat(1200), b"w ".repeat(700), b"caf\xc3\xa9=".repeat(200)];
    let mut pieces: Vec<Vec<u8>> = [
        &b"\r\n"[..],
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xc3\xa4",
        b" ",
        b"Subject: ",
        b"To: \"J\xc3\xbc\" <a@b>",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/signed; boundary=b",
        b"Content-Type: message/rfc822",
        b"Content-Type: text/plain; name=\"\xc3\xa4\"",
        b"Content-Type: image/png",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"--b",
        b"--b--",
        b"AAAA",
        b"=3D",
        b".",
        b"From ",
        b"\r\n\r\n",
        b"x",
    ]
    .map(<[u8]>::to_vec)
    .into();
    pieces.extend(long);
    vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// A second time there is nothing left to do.
    #[test]
    fn repairs_are_made_once(message in messages()) {
        for repair in Repair::ALL {
            if let Some(once) = repaired(repair, &message) {
                prop_assert_ne!(&once, &message, "{}", repair);
                prop_assert_eq!(repaired(repair, &once), None, "{}: {}", repair, once.escape_ascii());
            }
        }
    }

    #[test]
    fn bytes_go_or_come_where_they_are_named(message in messages()) {
        let without = message.iter().copied().filter(|byte| *byte != 0).collect::<Vec<_>>();
        prop_assert_eq!(repaired(Repair::Nul, &message).unwrap_or_else(|| message.clone()), without);
        let ended = repaired(Repair::FinalCrlf, &message).unwrap_or_else(|| message.clone());
        prop_assert!(ended.starts_with(&message) && ended.len() <= message.len() + 2);
    }

    /// Structure and what parts say stay, whatever is encoded anew.
    #[test]
    fn long_lines_change_no_content(message in messages()) {
        let Some(after) = repaired(Repair::LongLines, &message) else { return Ok(()) };
        let (old, new) = (structure(&message), structure(&after));
        prop_assert_eq!(old.parts.len(), new.parts.len(), "{}", after.escape_ascii());
        for (at, (before, now)) in old.parts.iter().zip(&new.parts).enumerate() {
            prop_assert_eq!(&before.content_type.kind, &now.content_type.kind);
            let leaf = old.parts.get(at + 1).is_none_or(|next| next.parent != Some(at)) && !before.is_multipart();
            if leaf && before.encoding == whimbrel_mail::Encoding::Identity {
                let (was, is) = (decoded(&message, before), decoded(&after, now));
                prop_assert_eq!(was.trim_ascii_end(), is.trim_ascii_end(), "{}", after.escape_ascii());
            }
        }
        prop_assert!(after.size_is_near(&message));
    }

    #[test]
    fn eight_bit_headers_change_heads_alone(message in messages()) {
        let Some(after) = repaired(Repair::EightBitHeaders, &message) else { return Ok(()) };
        let (old, new) = (structure(&message), structure(&after));
        prop_assert_eq!(old.parts.len(), new.parts.len());
        let (old, new) = (old.parts.last().unwrap(), new.parts.last().unwrap());
        let body = |part: &Part, message: &[u8]| message[part.body.start as usize..part.body.end as usize].to_vec();
        prop_assert_eq!(body(old, &message), body(new, &after));
        prop_assert_eq!(old.head.fields().count(), new.head.fields().count());
    }
}

trait Near {
    fn size_is_near(&self, other: &[u8]) -> bool;
}

impl Near for Vec<u8> {
    /// No encoding makes more than four bytes of one.
    fn size_is_near(&self, other: &[u8]) -> bool {
        Bytes::copy_from_slice(self).size() <= other.len() as u64 * 4 + 10_000
    }
}
