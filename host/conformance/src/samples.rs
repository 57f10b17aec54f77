//! What the suite writes: messages, events, tasks, contacts and filters.

use bytes::Bytes;
use whimbrel_model::{ItemMeta, Kind, Timestamp};
use whimbrel_pim::{Format, normal_form};
use whimbrel_sandbox::Item;
use whimbrel_wire::Blob;

/// How a filter begins here.
const FILTER: &str = "# Filter: ";

/// The media type of items of a kind, where the contract names one.
pub fn media_type(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Message => Some("message/rfc822"),
        Kind::Event | Kind::Task => Some("text/calendar"),
        Kind::Contact => Some("text/vcard"),
        Kind::Filter => Some("application/sieve"),
        Kind::Note => None,
    }
}

/// A plain item of a kind; another one for each `marker`. What follows ": " in it is said, and makes no other item.
pub fn sample(kind: Kind, marker: &str) -> Bytes {
    let stem = marker.split(": ").next().unwrap_or_default();
    let uid = stem.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    match kind {
        Kind::Event => format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Whimbrel//Conformance//EN\r\nBEGIN:VEVENT\r\n\
             UID:{uid}@conformance.example\r\nDTSTAMP:20200102T030405Z\r\nDTSTART:20200102T030000Z\r\nDURATION:PT1H\r\n\
             SUMMARY:{marker}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        .into(),
        Kind::Task => format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Whimbrel//Conformance//EN\r\nBEGIN:VTODO\r\n\
             UID:{uid}@conformance.example\r\nDTSTAMP:20200102T030405Z\r\nDUE:20200102T030000Z\r\n\
             SUMMARY:{marker}\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
        )
        .into(),
        Kind::Contact => format!(
            "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}@conformance.example\r\nFN:{marker}\r\nN:{marker};;;;\r\n\
             EMAIL:{uid}@conformance.example\r\nEND:VCARD\r\n"
        )
        .into(),
        Kind::Filter => format!("{FILTER}{marker}\r\nkeep;\r\n").into(),
        Kind::Message | Kind::Note => message(marker),
    }
}

/// A sample of more bytes than usual.
pub fn long(kind: Kind, marker: &str, bytes: usize) -> Bytes {
    match kind {
        Kind::Event | Kind::Task | Kind::Contact => sample(kind, &format!("{marker}: {}", "x".repeat(bytes))),
        Kind::Filter => [
            sample(kind, marker),
            b"# 0123456789abcdef\r\n".repeat(bytes / 20).into(),
        ]
        .concat()
        .into(),
        Kind::Message | Kind::Note => with_body(marker, &b"0123456789abcdef\r\n".repeat(bytes / 18)),
    }
}

/// A sample as it was written, where this says the same in other words: providers of events and contacts write them down
/// anew. Anything else comes back as it is.
pub fn recognised(content: Bytes) -> Bytes {
    let Some(kind) = kind_of(&content).filter(|kind| *kind != Kind::Filter) else {
        return content;
    };
    let format = if kind == Kind::Contact {
        Format::Card
    } else {
        Format::Calendar
    };
    let text = String::from_utf8_lossy(&content).replace("\r\n ", "");
    let name = if kind == Kind::Contact { "FN:" } else { "SUMMARY:" };
    let Some(marker) = text.lines().find_map(|line| line.strip_prefix(name)) else {
        return content;
    };
    let known = sample(kind, marker);
    match normal_form(format, &known) == normal_form(format, &content) {
        true => known,
        false => content,
    }
}

/// Of what a sample is, from its own words; none for a message.
fn kind_of(content: &[u8]) -> Option<Kind> {
    let has = |words: &[u8]| {
        content
            .windows(words.len())
            .any(|part| part.eq_ignore_ascii_case(words))
    };
    if content.starts_with(FILTER.as_bytes()) {
        Some(Kind::Filter)
    } else if content.starts_with(b"BEGIN:VCARD") {
        Some(Kind::Contact)
    } else if !content.starts_with(b"BEGIN:VCALENDAR") {
        None
    } else if has(b"BEGIN:VTODO") {
        Some(Kind::Task)
    } else {
        Some(Kind::Event)
    }
}

/// A plain message; another one for each `marker`.
pub fn message(marker: &str) -> Bytes {
    with_body(marker, format!("This is {marker}.\r\n").as_bytes())
}

/// A message with this body.
pub fn with_body(marker: &str, body: &[u8]) -> Bytes {
    let header = format!(
        "From: Conformance <from@example.org>\r\nTo: to@example.org\r\nSubject: {marker}\r\n\
         Date: Thu, 02 Jan 2020 03:04:05 +0000\r\nMessage-ID: <{}@conformance.example>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        marker.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"),
    );
    [header.as_bytes(), body].concat().into()
}

/// An item to be written.
pub fn item(content: Bytes) -> Item {
    let received = Some(Timestamp {
        unix_ms: 1_577_934_245_000,
        offset_minutes: 60,
    });
    let kind = kind_of(&content);
    let meta = ItemMeta {
        identity: name(&content).filter(|_| kind == Some(Kind::Filter)),
        size: Some(content.len() as u64),
        received,
        ..ItemMeta::default()
    };
    Item {
        meta,
        media_type: media_type(kind.unwrap_or(Kind::Message)).unwrap_or_default().to_owned(),
        content: Blob::from_bytes(content),
    }
}

/// What a filter is known by: what stands in its first line before ": ".
fn name(content: &[u8]) -> Option<String> {
    let line = content
        .strip_prefix(FILTER.as_bytes())?
        .split(|&byte| byte == b'\r')
        .next()?;
    let line = std::str::from_utf8(line).ok()?;
    Some(line.split(": ").next().unwrap_or_default().to_owned())
}

/// The same with CRLF for each bare line feed, as the host gives it to those who ask for it.
pub fn with_crlf(content: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(content.len() + 16);
    let mut before = 0;
    for &byte in content {
        if byte == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        before = byte;
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_feeds_get_their_carriage_return() {
        assert_eq!(
            with_crlf(b"\na\r\nb\n\nc\rd\r\r\n"),
            &b"\r\na\r\nb\r\n\r\nc\rd\r\r\n"[..]
        );
    }

    #[test]
    fn a_filter_has_a_name_and_another_content_under_it() {
        let [one, other] = ["a b: x", "a b: y"].map(|marker| item(sample(Kind::Filter, marker)));
        assert_eq!(one.meta.identity.as_deref(), Some("a b"));
        assert_eq!(one.meta.identity, other.meta.identity);
        assert_eq!(one.media_type, "application/sieve");
        assert!(item(message("a b")).meta.identity.is_none());
    }

    #[test]
    fn messages_differ_by_marker_and_are_clean() {
        assert_ne!(message("a b"), message("a c"));
        assert_eq!(with_crlf(&message("a b")), message("a b"));
    }
}
