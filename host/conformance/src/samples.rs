//! Messages that the suite writes.

use bytes::Bytes;
use whimbrel_model::{ItemMeta, Timestamp};
use whimbrel_sandbox::Item;
use whimbrel_wire::Blob;

/// The media type of a message.
pub const MESSAGE: &str = "message/rfc822";

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
    let meta = ItemMeta {
        size: Some(content.len() as u64),
        received,
        ..ItemMeta::default()
    };
    Item {
        meta,
        media_type: MESSAGE.to_owned(),
        content: Blob::from_bytes(content),
    }
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
    fn messages_differ_by_marker_and_are_clean() {
        assert_ne!(message("a b"), message("a c"));
        assert_eq!(with_crlf(&message("a b")), message("a b"));
    }
}
