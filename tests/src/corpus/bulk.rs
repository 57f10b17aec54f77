//! Ordinary mail of ordinary sizes.

use std::fmt::Write as _;

use super::{NOON, some_flags};
use crate::account::{Message, asctime};
use crate::scratch::Random;

const WORDS: [&str; 40] = [
    "the",
    "of",
    "migration",
    "meeting",
    "report",
    "and",
    "please",
    "find",
    "attached",
    "regards",
    "server",
    "folder",
    "to",
    "in",
    "quarter",
    "budget",
    "draft",
    "version",
    "review",
    "tomorrow",
    "Grüße",
    "naïve",
    "Ωmega",
    "on",
    "that",
    "we",
    "have",
    "been",
    "moved",
    "again",
    "Monday",
    "invoice",
    "order",
    "number",
    "from",
    "this",
    "week",
    "notes",
    "as",
    "discussed",
];

/// So many messages, no two alike.
pub fn bulk(seed: u64, count: u64) -> Vec<Message> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|number| {
            let body = bulk_message(&mut random, seed, number);
            let flags = some_flags(&mut random);
            let seconds = i64::try_from(random.below(300_000_000)).expect("small");
            Message::new(&body, &flags, NOON - seconds)
        })
        .collect()
}

/// One message; most of a few kilobytes, one in a hundred over 300 kB.
pub fn bulk_message(random: &mut Random, seed: u64, number: u64) -> Vec<u8> {
    let size = match random.below(100) {
        0..60 => random.between(800, 8_000),
        60..90 => random.between(8_000, 60_000),
        90..99 => random.between(60_000, 300_000),
        _ => random.between(300_000, 2_000_000),
    };
    let mut out = String::new();
    let day = NOON - i64::try_from(random.below(300_000_000)).expect("small");
    let when = asctime(day);
    let (weekday, rest) = when.split_at(3);
    let parts: Vec<&str> = rest.split_whitespace().collect();
    let _ = write!(
        out,
        "Return-Path: <sender{n}@example.org>\r\nReceived: from mx{n}.example.org (mx{n}.example.org [192.0.2.{ip}])\r\n\
         \tby mail.example.com with ESMTPS id {id:016x};\r\n\t{weekday}, {d} {m} {y} {t} +0000\r\n\
         From: Sender {n} <sender{n}@example.org>\r\nTo: alice@example.com\r\nSubject: {subject}\r\n\
         Message-ID: <{id:016x}.{number}.{seed:x}@example.org>\r\nDate: {weekday}, {d} {m} {y} {t} +0000\r\n\
         MIME-Version: 1.0\r\n",
        n = random.below(500),
        ip = random.below(255),
        id = random.number(),
        d = parts[1],
        m = parts[0],
        y = parts[3],
        t = parts[2],
        subject = text(random, 50).trim_end(),
    );
    let mut out = out.into_bytes();
    if size < 20_000 {
        out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        while (out.len() as u64) < size {
            out.extend_from_slice(text(random, 72).trim_end().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    } else {
        out.extend_from_slice(
            b"Content-Type: multipart/mixed; boundary=\"=_part\"\r\n\r\n--=_part\r\nContent-Type: text/plain\r\n\r\nSee attachment.\r\n\
              --=_part\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        );
        attachment(random, size, &mut out);
        out.extend_from_slice(b"--=_part--\r\n");
    }
    out
}

/// Lines of base64 until the whole has about so many bytes.
pub(super) fn attachment(random: &mut Random, size: u64, out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (out.len() as u64) < size {
        let mut line = [b'\n'; 78];
        for eight in line[..72].chunks_mut(10) {
            let mut bits = random.number();
            for byte in eight {
                *byte = ALPHABET[(bits & 63) as usize];
                bits >>= 6;
            }
        }
        line[72..].copy_from_slice(b"AAAA\r\n");
        out.extend_from_slice(&line);
    }
}

/// About so many characters of words.
pub fn text(random: &mut Random, length: usize) -> String {
    let mut out = String::new();
    while out.len() < length {
        out.push_str(random.pick::<&str>(&WORDS));
        out.push(' ');
    }
    out
}
