//! Structures, texts and attachments, sound and broken.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use whimbrel_mail::{Content, Head, Limits, Slice, Structure, attachments, detach, detached_mark, parts, text};

fn structure(content: &str) -> Structure {
    parts(&Bytes::copy_from_slice(content.as_bytes()), &Limits::default()).unwrap()
}

/// Each part's depth, type and body.
fn outline(content: &str) -> Vec<String> {
    let body = |range: &std::ops::Range<u64>| &content[range.start as usize..range.end as usize];
    let parts = structure(content).parts;
    parts
        .iter()
        .skip(1)
        .map(|part| format!("{} {} {:?}", part.depth, part.content_type.kind, body(&part.body)))
        .collect()
}

fn put_together(content: &str, slices: &[Slice]) -> String {
    let mut out = String::new();
    for slice in slices {
        match slice {
            Slice::Kept(range) => out.push_str(&content[range.start as usize..range.end as usize]),
            Slice::New(bytes) => out.push_str(std::str::from_utf8(bytes).unwrap()),
        }
    }
    out
}

const MIXED: &str = concat!(
    "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n",
    "--b  \r\nContent-Type: application/pdf; name=\"=?utf-8?q?=C3=BC?=.pdf\"\r\nContent-Transfer-Encoding: base64\r\n",
    "Content-Disposition: attachment\r\n\r\nSGVs\r\nbG8=\r\n--b--\r\nepilogue\r\n--b\r\nnothing\r\n"
);

#[test]
fn parts_are_found() {
    for (content, expected) in [
        (
            MIXED,
            &["1 text/plain \"Hello\"", "1 application/pdf \"SGVs\\r\\nbG8=\""][..],
        ),
        // No closing boundary, bare line feeds, a boundary that another begins with.
        (
            "Content-Type: multipart/mixed; boundary=ab\n\n--ab\nContent-Type: multipart/alternative; boundary=abc\n\n--abc\n\none\n--abc\n\ntwo\n--ab\n\nthree",
            &[
                "1 multipart/alternative \"--abc\\n\\none\\n--abc\\n\\ntwo\"",
                "2 text/plain \"one\"",
                "2 text/plain \"two\"",
                "1 text/plain \"three\"",
            ],
        ),
        ("Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n", &[]),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--bx\n -- b\n--b x\nx--b\n",
            &[],
        ),
        // Parts without bodies, without heads, with a head that a boundary ends.
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\nContent-Type: text/html\n--b\n\nx\n--b--",
            &[
                "1 text/plain \"\"",
                "1 text/plain \"\"",
                "1 text/html \"\"",
                "1 text/plain \"x\"",
            ],
        ),
        (
            "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nin\n--b--\n",
            &[
                "1 message/rfc822 \"Subject: x\\nContent-Type: multipart/mixed; boundary=c\\n\\n--c\\n\\nin\"",
                "2 multipart/mixed \"--c\\n\\nin\"",
                "3 text/plain \"in\"",
            ],
        ),
    ] {
        assert_eq!(outline(content), expected, "{content}");
    }
}

#[test]
fn limits_end_the_search() {
    let content = Bytes::from(MIXED);
    let limits = |max_parts, max_depth, max_part_head| Limits {
        max_parts,
        max_depth,
        max_part_head,
    };
    for (limits, count) in [(limits(2, 9, 999), 2), (limits(9, 0, 999), 1), (limits(9, 9, 10), 3)] {
        let structure = parts(&content, &limits).unwrap();
        assert_eq!(
            (structure.parts.len(), structure.truncated),
            (count, true),
            "{limits:?}"
        );
    }
    assert!(!parts(&content, &Limits::default()).unwrap().truncated);
}

/// A message of 256 MiB that lies nowhere.
struct Huge {
    start: Bytes,
    end: Bytes,
    longest: AtomicUsize,
}

impl Content for Huge {
    fn size(&self) -> u64 {
        256 << 20
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.longest.fetch_max(length, Ordering::Relaxed);
        let tail = self.size() - self.end.size();
        let mut out = Vec::with_capacity(length);
        let mut at = offset;
        while out.len() < length && at < self.size() {
            let room = length - out.len();
            let piece = if at < self.start.size() {
                self.start.read_at(at, room)?
            } else if at >= tail {
                self.end.read_at(at - tail, room)?
            } else {
                Bytes::from(vec![b'A'; room.min(usize::try_from(tail - at).unwrap())])
            };
            at += piece.size();
            out.extend_from_slice(&piece);
        }
        Ok(out.into())
    }
}

#[test]
fn large_bodies_are_never_held() {
    let start = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\nContent-Type: a/b\r\n\r\n";
    let huge = Huge {
        start: start.into(),
        end: "AA==\r\n--b--\r\n".into(),
        longest: AtomicUsize::new(0),
    };
    let structure = parts(&huge, &Limits::default()).unwrap();
    let part = &structure.parts[1];
    assert_eq!(part.body, start.len() as u64..huge.size() - 9);
    let decoded: usize = part.decoder(&huge).map(|piece| piece.unwrap().len()).sum();
    assert_eq!(part.decoded_size(), decoded as u64);
    assert!(huge.longest.into_inner() <= 64 * 1024);
}

#[test]
fn attachments_are_listed() {
    let content = concat!(
        "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: multipart/related; boundary=r\n\n--r\nContent-Type: text/html\n\n<p>x</p>\n",
        "--r\nContent-Type: image/png\nContent-ID: <i>\nContent-Transfer-Encoding: base64\n\nAAAA\nAA\n--r--\n",
        "--m\nContent-Type: text/csv; name=a.csv\nContent-Transfer-Encoding: quoted-printable\n\na=3Db\n",
        "--m\nContent-Type: message/rfc822\n\nContent-Type: application/zip\n\nzip\n--m--\n"
    );
    let found: Vec<String> = attachments(&structure(content))
        .iter()
        .map(|found| format!("{} {} {} {}", found.name, found.content_type, found.size, found.inline))
        .collect();
    assert_eq!(
        found,
        [
            " image/png 4 true",
            "a.csv text/csv 4 false",
            " message/rfc822 34 false"
        ]
    );
    assert!(attachments(&structure("Content-Type: text/plain; name=x\n\nHello")).is_empty());
    assert_eq!(attachments(&structure("Content-Type: a/pdf\n\nHello"))[0].size, 5);
}

#[test]
fn texts_are_read() {
    let read =
        |content: &str, limit| text(&Bytes::copy_from_slice(content.as_bytes()), &structure(content), limit).unwrap();
    for (content, limit, expected) in [
        (MIXED, 100, "Hello"),
        (MIXED, 3, "Hel"),
        (
            "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ncaf=E9",
            100,
            "caf\u{e9}",
        ),
        (
            "Content-Type: text/plain; charset=utf-8\n\n\u{20ac}\u{20ac}",
            4,
            "\u{20ac}",
        ),
        (
            "Content-Type: text/html; charset=iso-2022-jp\nContent-Transfer-Encoding: base64\n\nPHA+GyRCJU8bKEI8L3A+",
            100,
            "\u{30cf}\n",
        ),
        ("Subject: x\n\nplain", 100, "plain"),
        ("Content-Type: image/png\n\nx", 100, ""),
        ("", 100, ""),
    ] {
        assert_eq!(read(content, limit), expected, "{content}");
    }
    let large = "\n".to_owned() + &"x".repeat(1 << 20);
    assert_eq!(read(&large, 65_536).len(), 65_536);
}

#[test]
fn attachments_are_taken_out() {
    let structure = structure(MIXED);
    let mut asked = Vec::new();
    let detached = detach(&structure, 5, |attachment| {
        asked.push((attachment.name.clone(), attachment.size));
        Ok::<_, ()>("https://files.example/1\r\nx".to_owned())
    })
    .unwrap();
    assert_eq!(
        (asked, detached.detached.as_slice()),
        (vec![("\u{fc}.pdf".to_owned(), 5)], &[2][..])
    );
    assert!(detached.edits.is_empty());
    let new = put_together(MIXED, &detached.slices(0, MIXED.len() as u64));
    let at = MIXED.find("Content-Type: application").unwrap();
    assert_eq!(new[..at], MIXED[..at]);
    assert!(new.ends_with("\r\n--b--\r\nepilogue\r\n--b\r\nnothing\r\n"));
    let content = Bytes::from(new.clone());
    let after = parts(&content, &Limits::default()).unwrap();
    let note = &after.parts[2];
    let body: Vec<u8> = note
        .decoder(&content)
        .flat_map(|piece| piece.unwrap().to_vec())
        .collect();
    let expected = "Attachment moved: \u{fc}.pdf (5 bytes, application/pdf)\r\nhttps://files.example/1  x";
    assert_eq!(String::from_utf8(body).unwrap(), expected, "{new}");
    assert_eq!(
        detached_mark(&note.head),
        Some(("application/pdf".into(), "\u{fc}.pdf".into()))
    );
    assert!(attachments(&after).is_empty());
    assert!(detach(&structure, 6, |_| Err(())).unwrap().replacements.is_empty());
    assert_eq!(detach(&structure, 5, |_| Err("no room")).unwrap_err(), "no room");
}

#[test]
fn a_message_that_is_an_attachment_becomes_a_note() {
    let content = "Subject: x\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\nAAAA\n";
    let structure = structure(content);
    let detached = detach(&structure, 0, |_| Ok::<_, ()>("--link".into())).unwrap();
    let head = &structure.parts[0].head;
    let new = head.apply(&detached.edits).unwrap().head.to_vec();
    let body = put_together(content, &detached.slices(head.len() as u64, content.len() as u64));
    let new = String::from_utf8(new).unwrap() + &body;
    assert_eq!(
        new,
        concat!(
            "Subject: x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n",
            "Content-Disposition: inline\nX-Whimbrel-Detached: application/pdf; a.pdf\n\n",
            "Attachment moved: a.pdf (3 bytes, application/pdf)\n=2D-link\n"
        )
    );
    assert_eq!(Head::parse(new.into()).content_type().kind, "text/plain");
}
