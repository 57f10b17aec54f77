//! Measures what a look at a head costs: `cargo run -p whimbrel-mail --example head_cost [times]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::{hint::black_box, time::Instant};

use bytes::Bytes;
use whimbrel_mail::{Edit, Head, Limits, parts};

fn main() {
    let times: u32 = std::env::args()
        .nth(1)
        .map_or(100_000, |argument| argument.parse().unwrap());
    let head = head();
    let read = Head::read(&head).unwrap();
    println!(
        "a head of {} bytes and {} fields, {times} times",
        read.len(),
        read.fields().count()
    );
    assert!(read.date("Date").is_some() && read.addresses("From").len() == 1 && read.has("X-Spam-Flag"));
    told("Head::read", times, || {
        black_box(Head::read(black_box(&head)).unwrap());
    });
    told("Head::read and three look-ups", times, || {
        let head = Head::read(black_box(&head)).unwrap();
        for name in ["Subject", "List-Id", "X-Spam-Flag"] {
            black_box(head.first(name).map(|field| field.value().len()));
        }
    });
    told("and Subject, From and Date decoded", times, || {
        let head = Head::read(black_box(&head)).unwrap();
        black_box((head.text("Subject"), head.addresses("From"), head.date("Date")));
    });
    let edits = [Edit::Domain {
        from: "old.example".into(),
        to: "new.example".into(),
        headers: None,
        signed: false,
    }];
    told("and a domain rewritten", times, || {
        black_box(Head::read(black_box(&head)).unwrap().apply(&edits).unwrap());
    });

    let mut large =
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
    let line = [&[b'A'; 76][..], b"\r\n"].concat();
    while large.len() < 64 << 20 {
        large.extend_from_slice(&line);
    }
    large.extend_from_slice(b"--b--\r\n");
    let large = Bytes::from(large);
    let start = Instant::now();
    let structure = parts(&large, &Limits::default()).unwrap();
    let found = start.elapsed();
    let start = Instant::now();
    let size: usize = structure.parts[1]
        .decoder(&large)
        .map(|piece| piece.unwrap().len())
        .sum();
    let decoded = start.elapsed();
    assert_eq!(size as u64, structure.parts[1].decoded_size());
    let rate = |time: std::time::Duration| large.len() as f64 / 1e6 / time.as_secs_f64();
    println!(
        "64 MiB: parts {:.0} MB/s, base64 {:.0} MB/s",
        rate(found),
        rate(decoded)
    );
}

fn told(what: &str, times: u32, mut run: impl FnMut()) {
    (0..times / 10).for_each(|_| run());
    let start = Instant::now();
    (0..times).for_each(|_| run());
    println!("{what}: {} ns", start.elapsed().as_nanos() / u128::from(times));
}

/// 4 KiB, as mail has it today: a dozen stations, two signatures.
fn head() -> Bytes {
    let mut text = String::new();
    for station in 0..12 {
        text.push_str(&format!(
            "Received: from mx{station}.old.example (mx{station}.old.example [192.0.2.{station}])\r\n\tby mail.new.example with ESMTPS id {station}abcdef\r\n\tfor <joe@new.example>; Mon, 6 Jan 2020 10:00:{station:02} +0100 (CET)\r\n"
        ));
    }
    text.push_str("Authentication-Results: mail.new.example; spf=pass smtp.mailfrom=old.example\r\n");
    text.push_str("From: =?utf-8?Q?J=C3=BCrgen?= <joe@old.example>\r\nTo: A <a@old.example>, b@x.example\r\n");
    text.push_str("Subject: =?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?= and more\r\nDate: Mon, 6 Jan 2020 10:00:00 +0100\r\n");
    text.push_str(
        "Message-ID: <20200106.1@old.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n",
    );
    while text.len() < 4000 {
        text.push_str("X-Filler-Of-Some-Length: what programs write into heads, for themselves and for others\r\n");
    }
    text.push_str("X-Spam-Flag: NO\r\n\r\n");
    text.push_str(&"A line of the body that follows.\r\n".repeat(400));
    text.into()
}
