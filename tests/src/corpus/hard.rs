//! Messages that migrations break on.

use super::bulk::attachment;
use super::{KEYWORDS, NOON};
use crate::account::{Message, instant};
use crate::scratch::Random;

/// Each a way in which real mail differs from what the standards ask for. None is empty: IMAP cannot take an empty
/// message (RFC 9051, 6.3.12), a Maildir can hold one.
pub fn hard_messages(seed: u64) -> Vec<Message> {
    let mut random = Random::new(seed ^ 0x6861_7264);
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut add = |bytes: &[u8]| out.push(bytes.to_vec());
    let head = |name: &str| {
        format!("From: a@example.org\r\nSubject: {name}\r\nMessage-ID: <{seed:x}.{name}@hard.example>\r\n")
    };

    add(b"From: a@example.org\r\nSubject: no message id\r\nDate: Mon, 5 Jan 2015 12:00:00 +0000\r\n\r\nbody\r\n");
    for body in ["one", "two", "three"] {
        add(format!(
            "{}Date: Mon, 5 Jan 2015 12:00:00 +0000\r\n\r\n{body}\r\n",
            head("equal")
        )
        .as_bytes());
    }
    add(format!("{}\r\nno date\r\n", head("no-date")).as_bytes());
    add(format!("{}Date: yesterday, more or less\r\n\r\nbad date\r\n", head("bad-date")).as_bytes());
    add(&[
        head("8-bit").as_bytes(),
        b"X-Latin: Gr\xfc\xdfe aus K\xf6ln\r\nX-Utf8: Gr\xc3\xbc\xc3\x9fe\r\n\r\n\xff\xfe\x80\r\n",
    ]
    .concat());
    add(format!("{}\r\nbefore\0after\0\0end\r\n", head("nul")).as_bytes());
    add(format!("{}\r\nbare\nline\nfeeds\n\nin the body\r\n", head("bare-lf")).as_bytes());
    add(head("only-lf").replace("\r\n", "\n").as_bytes());
    add(format!("{}\r\nbare\rreturns\rin\r\rthe body\r\n", head("bare-cr")).as_bytes());
    add(format!("{}\r\ntwo returns\r\r\nand a feed\r\r\r\nend\r\n", head("cr-cr-lf")).as_bytes());
    add(format!("{}\r\nends with a return\r", head("last-cr")).as_bytes());
    add(format!("{}\r\nends without anything", head("no-end")).as_bytes());
    add(format!("{}\r\nends with feeds\r\n\r\n\r\n\r\n", head("many-ends")).as_bytes());
    add(format!("{}\r\n{}\r\nend\r\n", head("line-998"), "x".repeat(998)).as_bytes());
    add(format!("{}\r\n{}\r\nend\r\n", head("line-999"), "x".repeat(999)).as_bytes());
    add(format!("{}\r\n{}\r\nend\r\n", head("line-20000"), "y".repeat(20_000)).as_bytes());
    add(format!("{}\r\n{}\r\n", head("line-70000"), "z".repeat(70_000)).as_bytes());
    add(b"Subject: one header only\r\n");
    add(b"Subject: one header and its blank line\r\n\r\n");
    add(b"\r\nno header at all\r\n");
    add(b"neither a header nor a blank line\r\n");
    add(b"x");
    add(b"\r\n");
    add(format!("{}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nnever closed\r\n", head("broken-mime")).as_bytes());
    add(format!("{}Content-Type: text/plain; charset=\"not-a-charset\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%%not base64%%%%\r\n", head("broken-base64")).as_bytes());
    add(format!("From nobody Mon Jan  5 12:00:00 2015\r\n{}\r\nFrom a mailbox, unquoted\r\n>From quoted\r\n>>From twice\r\n\r\nFrom someone@example.org Mon Jan  5 12:00:00 2015\r\nlike an mbox\r\n", head("from")).as_bytes());
    add(format!("{}\r\n.\r\n..\r\n.dots\r\n", head("dots")).as_bytes());
    add(format!("{}Status: RO\r\nX-Status: AF\r\nX-Keywords: Work\r\nContent-Length: 5\r\nX-UID: 17\r\n\r\nlonger than five\r\n", head("mbox-headers")).as_bytes());
    add(format!(
        "{}To: {}\r\n\r\nmany recipients\r\n",
        head("recipients"),
        (0..3000)
            .map(|n| format!("user{n}@example.org"))
            .collect::<Vec<_>>()
            .join(",\r\n ")
    )
    .as_bytes());
    add(format!(
        "{}X-Long: {}\r\n\r\nlong header\r\n",
        head("long-header"),
        "h".repeat(12_000)
    )
    .as_bytes());
    add(format!(
        "{}Header With Blanks: x\r\n: no name\r\n  \r\nX: y\r\n\r\nodd headers\r\n",
        head("odd-headers")
    )
    .as_bytes());
    add(format!("\u{feff}{}\r\nbyte order mark\r\n", head("bom")).as_bytes());
    add(format!(
        "{}\r\n* 1 FETCH (FLAGS ())\r\nA1 OK done\r\n)\r\n{{5}}\r\n+ go\r\n",
        head("looks-like-imap")
    )
    .as_bytes());
    let mut large = format!(
        "{}Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        head("large")
    )
    .into_bytes();
    attachment(&mut random, 3 << 20, &mut large);
    out.push(large);

    out.into_iter()
        .enumerate()
        .map(|(at, body)| {
            let flags: &[&str] = match at % 8 {
                0 => &[],
                1 => &["\\Seen"],
                2 => &["\\Seen", "\\Answered", "\\Flagged"],
                3 => &["\\Draft"],
                4 => &["\\Deleted", "\\Seen"],
                5 => &KEYWORDS,
                6 => &["Work", "\\Flagged"],
                _ => &["$Forwarded"],
            };
            let received = match at {
                0 => instant(1980, 2, 29, 23, 59, 59),
                1 => instant(1999, 12, 31, 23, 59, 59),
                2 => instant(2016, 3, 27, 1, 30, 0),
                _ => NOON - i64::try_from(at).expect("small") * 86_399,
            };
            Message::new(&body, flags, received)
        })
        .collect()
}

/// Three messages that are the same to the last byte, flag and second, and one that differs in its flags only: all
/// four are there, and all four are to arrive.
pub fn equal_twins() -> Vec<Message> {
    let body = b"From: a@example.org\r\nMessage-ID: <twin@hard.example>\r\nSubject: twin\r\n\r\nThe same.\r\n";
    let twin = Message::new(body, &["\\Seen"], NOON);
    vec![twin.clone(), twin.clone(), twin, Message::new(body, &[], NOON)]
}

/// A message with an attachment, of about so many bytes.
pub fn huge(seed: u64, bytes: u64) -> Message {
    let mut body = format!(
        "From: a@example.org\r\nSubject: huge\r\nMessage-ID: <{seed:x}.huge@hard.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    attachment(&mut Random::new(seed), bytes, &mut body);
    Message::new(&body, &["\\Seen"], NOON)
}
