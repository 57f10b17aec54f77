//! The content fingerprint: what it passes over, and what it never does.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use whimbrel_mail::{Limits, content_print};

fn print(message: &[u8]) -> [u8; 32] {
    content_print(&Bytes::copy_from_slice(message), &Limits::default()).unwrap()
}

#[track_caller]
fn same(a: &[u8], b: &[u8]) {
    assert_eq!(print(a), print(b), "{}\n----\n{}", a.escape_ascii(), b.escape_ascii());
}

#[track_caller]
fn other(a: &[u8], b: &[u8]) {
    assert_ne!(print(a), print(b), "{}\n----\n{}", a.escape_ascii(), b.escape_ascii());
}

const LETTER: &[u8] = b"From: a@b.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\nX-A: 1\r\n\r\nHello\r\n\r\nyou\r\n";

#[test]
fn what_happens_on_the_way_is_passed_over() {
    for changed in [
        &b"From: a@b.example\nSubject: Gr\xc3\xbc\xc3\x9fe\nX-A: 1\n\nHello\n\nyou\n"[..],
        b"X-A: 1\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\nFrom: a@b.example\r\n\r\nHello\r\n\r\nyou\r\n",
        b"Return-Path: <x@y>\r\nReceived: from z\r\n\tby y; today\r\nFROM :  a@b.example\r\nSubject:\r\n Gr\xc3\xbc\xc3\x9fe\r\n\
          X-A: 1\r\n\r\nHello\r\n\r\nyou",
        b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nStatus: RO\nX-UID: 7\nX-Whimbrel-Status: R\nFrom: a@b.example\n\
          Subject: Gr\xc3\xbc\xc3\x9fe\nX-A: 1\nContent-Length: 12\n\nHello\n\nyou\n\n",
        b"From: a@b.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\nX-A: 1\r\nContent-Transfer-Encoding: base64\r\n\r\n\
          SGVsbG8KCnlvdQo=\r\n",
        b"From: a@b.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\nX-A: 1\r\nContent-Type: text/plain; charset=US-ASCII\r\n\
          Content-Transfer-Encoding: quoted-printable\r\n\r\nHel=\r\nlo\r\n\r\ny=6Fu\r\n",
    ] {
        same(LETTER, changed);
    }
    same(b"A: b\r\n\r\nx\0y\r\r\n", b"A: b\n\nx\x80y");
    same(
        b"A: b\n\nFrom here\n>>From there\n",
        b"A: b\n\n>From here\n>From there\n",
    );
}

#[test]
fn what_a_message_says_counts() {
    for changed in [
        &b"From: a@b.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\nX-A: 2\r\n\r\nHello\r\n\r\nyou\r\n"[..],
        b"From: a@b.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nHello\r\n\r\nyou\r\n",
        b"From: a@b.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\nX-A: 1\r\nX-A: 1\r\n\r\nHello\r\n\r\nyou\r\n",
        b"From: a@b.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\nX-A: 1\r\n\r\nHello\r\nyou\r\n",
        b"From: a@b.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\nX-A: 1\r\n\r\n\r\nHello\r\n\r\nyou\r\n",
        b"From: a@b.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\nX-A: 1\r\nContent-Type: text/html\r\n\r\nHello\r\n\r\nyou\r\n",
    ] {
        other(LETTER, changed);
    }
    other(b"A: b\n\n>>x\n", b"A: b\n\n>x\n");
    other(b"A: b\n\n>Fromx\n", b"A: b\n\nFromx\n");
    other(b"A: b\n\n>From", b"A: b\n\nFrom");
}

/// A multipart with a text and a file, its boundary and how they are written given.
fn parted(boundary: &str, text: &str, file: &str, before: &str, behind: &str) -> Vec<u8> {
    format!(
        "Subject: x\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n{before}--{boundary}\r\n{text}\r\n\
         --{boundary}\r\n{file}\r\n--{boundary}--\r\n{behind}"
    )
    .into_bytes()
}

const TEXT: &str = "Content-Type: text/plain\r\n\r\nHello";
const FILE: &str =
    "Content-Type: application/pdf; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\nDQoNCg==";

#[test]
fn parts_count_and_their_boundaries_do_not() {
    let one = parted("b", TEXT, FILE, "", "");
    same(&one, &parted("another one", TEXT, FILE, "\r\n", "\r\n\r\n"));
    let wrapped = FILE.replace("AAECAwQF\r\nDQoNCg==", "AAEC\r\nAwQFDQoNCg==\r\n");
    same(&one, &parted("b", TEXT, &wrapped, "", ""));
    let file = "Content-Disposition: attachment; size=3; filename=\"a b\"\r\n\r\nx";
    let folded = "Content-Disposition: attachment;\r\n\tfilename=\"a b\";\r\n\tsize=3\r\n\r\nx";
    same(&parted("b", TEXT, file, "", ""), &parted("b", TEXT, folded, "", ""));
    for changed in [
        parted("b", "Content-Type: text/plain\r\n\r\nhello", FILE, "", ""),
        parted("b", TEXT, &FILE.replace("AwQF", "AwQG"), "", ""),
        // A line feed is no line end in a file.
        parted("b", TEXT, &FILE.replace("DQoNCg==", "DQoK"), "", ""),
        parted("b", TEXT, &FILE.replace("name=a", "name=b"), "", ""),
        parted("b", FILE, TEXT, "", ""),
        parted("b", TEXT, FILE, "before\r\n", ""),
        parted("b", TEXT, FILE, "", "behind"),
        parted("b", TEXT, &format!("{FILE}\r\n--b\r\n\r\n"), "", ""),
    ] {
        other(&one, &changed);
    }
    let inner = format!(
        "Content-Type: message/rfc822\r\n\r\n{}",
        String::from_utf8(one).unwrap()
    );
    let outer = parted("out", &inner, TEXT, "", "");
    same(&outer, &parted("x", &inner.replace("\r\n", "\n"), TEXT, "", ""));
    other(&outer, &parted("out", &inner.replace("Hello", "Hallo"), TEXT, "", ""));
}

#[test]
fn a_message_with_too_many_parts_counts_as_a_whole() {
    let limits = Limits {
        max_parts: 2,
        ..Limits::default()
    };
    let of = |message: &[u8]| content_print(&Bytes::copy_from_slice(message), &limits).unwrap();
    let one = parted("b", TEXT, FILE, "", "");
    assert_eq!(
        of(&one),
        of(&String::from_utf8(one.clone())
            .unwrap()
            .replace("\r\n", "\n")
            .into_bytes())
    );
    assert_ne!(of(&one), of(&parted("b", TEXT, &FILE.replace("AwQF", "AwQG"), "", "")));
}

fn words() -> impl Strategy<Value = Vec<String>> {
    vec("[A-Za-z0-9>=.\u{e4}-]{1,12}( [A-Za-z]{1,5})?", 0..12)
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let sextet = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap();
            out.push(if at <= chunk.len() {
                char::from(ALPHABET[sextet])
            } else {
                '='
            });
        }
        if out.len() % 76 < 4 {
            out.push_str("\r\n");
        }
    }
    out
}

fn quoted(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'\r' | b'\n' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("={byte:02X}")),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The order of fields, line ends, traces and encodings do not matter, all at once.
    #[test]
    fn the_same_message_written_otherwise_is_the_same(
        fields in vec(("[A-Wa-w][a-z]{0,8}", "[!-9;-~]{1,10}( [!-~]{1,5}){0,3}"), 0..8),
        lines in words(),
        turn in 0usize..8,
        encoding in 0u8..3,
    ) {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("X{name}: {value}")).collect();
        let body = lines.join("\r\n");
        let head = |fields: &[String]| fields.iter().map(|field| format!("{field}\r\n")).collect::<String>();
        let one = format!("{}\r\n{body}\r\n", head(&fields));
        let mut turned = fields.clone();
        turned.rotate_left(turn.min(fields.len()));
        let (name, encoded) = match encoding {
            0 => ("8bit", body),
            1 => ("base64", base64(body.as_bytes())),
            _ => ("quoted-printable", quoted(body.as_bytes())),
        };
        let changed = format!("Received: here\r\n{}Content-Transfer-Encoding: {name}\r\n\r\n{encoded}\r\n\r\n", head(&turned));
        prop_assert_eq!(print(one.as_bytes()), print(changed.as_bytes()), "{}\n{}", one, changed);
        prop_assert_eq!(print(one.as_bytes()), print(changed.replace("\r\n", "\n").as_bytes()));
    }

    /// A letter that becomes another one, in the head or in the body, is always found.
    #[test]
    fn a_changed_letter_is_another_content(lines in words(), at in any::<prop::sample::Index>()) {
        let one = format!("Subject: about\r\n\r\n{}\r\nend\r\n", lines.join("\r\n"));
        let letters: Vec<usize> = one.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphabetic()).map(|(at, _)| at).collect();
        let at = letters[at.index(letters.len())];
        let mut changed = one.clone().into_bytes();
        // Names of fields are compared without regard to case.
        changed[at] = if changed[at].eq_ignore_ascii_case(&b'q') { b'z' } else { b'q' };
        prop_assert_ne!(print(one.as_bytes()), print(&changed));
    }

    /// Whatever the bytes, there is a fingerprint, and the pieces that they are read in do not matter.
    #[test]
    fn every_message_has_one(bytes in vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'-'), Just(b'>'), Just(b':'), any::<u8>()], 0..600)) {
        prop_assert_eq!(print(&bytes), print(&bytes));
        let mut parted = b"Content-Type: multipart/mixed; boundary=-\n\n--\n".to_vec();
        parted.extend_from_slice(&bytes);
        print(&parted);
    }
}
