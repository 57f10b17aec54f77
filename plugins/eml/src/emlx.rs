//! `.emlx`, a message as Apple Mail keeps it: a line with the number of the message's bytes, the message, and a
//! property list with flags and dates.

use std::io::Cursor;

use plist::Value;
use whimbrel_folders::Body;
use whimbrel_plugin::{Failure, Result, Timestamp};

/// Bytes of the first line.
const LINE_BYTES: u32 = 64;
/// Bytes of the property list that are looked at.
const LIST_BYTES: u64 = 1 << 20;
/// Lists and dictionaries in it, however deep: more are not of Apple Mail, and deep ones cost stack.
const CONTAINERS: usize = 200;

/// The bits of `flags` that have a meaning in IMAP: 0 read, 1 deleted, 2 answered, 4 flagged, 6 draft, 8 forwarded, 24
/// junk, 25 not junk. The others are encrypted, recent, redirected, signed, counts of attachments and the like.
const FLAGS: [(u32, &str); 8] = [
    (0, "\\Seen"),
    (1, "\\Deleted"),
    (2, "\\Answered"),
    (4, "\\Flagged"),
    (6, "\\Draft"),
    (8, "$Forwarded"),
    (24, "$Junk"),
    (25, "$NotJunk"),
];

/// What a file of this kind says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// In IMAP's spelling.
    pub flags: Vec<String>,
    /// When Apple Mail received it.
    pub received: Option<Timestamp>,
}

/// The message in the file.
///
/// # Errors
/// `rejected` where the file does not begin with the number of its bytes, or is cut short.
pub fn message<B: Body>(file: &B) -> Result<B> {
    let (from, bytes) = extent(&file.read(0, LINE_BYTES)).ok_or_else(|| {
        Failure::rejected("the file does not begin with the number of the message's bytes: it is no file of Apple Mail")
    })?;
    if from.saturating_add(bytes) > file.size() {
        return Err(Failure::rejected(format!(
            "the file is cut short: its message has {bytes} bytes, and only {} are there",
            file.size().saturating_sub(from)
        )));
    }
    Ok(file.slice(from, bytes))
}

/// What the property list behind the message says; nothing where it cannot be read.
pub fn marks<B: Body>(file: &B) -> Marks {
    let Some((from, bytes)) = extent(&file.read(0, LINE_BYTES)) else {
        return Marks::default();
    };
    let list_from = from.saturating_add(bytes);
    let size = file.size().saturating_sub(list_from);
    if size == 0 || size > LIST_BYTES {
        return Marks::default();
    }
    let mut text = Vec::new();
    file.slice(list_from, size)
        .pieces(|piece| text.extend_from_slice(piece));
    parse(&text)
}

/// Where the message begins, and how many bytes it has.
fn extent(head: &[u8]) -> Option<(u64, u64)> {
    let end = head.iter().position(|&byte| byte == b'\n')?;
    let line = std::str::from_utf8(&head[..end]).ok()?.trim();
    let digits = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    let bytes = digits.then(|| line.parse().ok()).flatten()?;
    Some((end as u64 + 1, bytes))
}

fn parse(text: &[u8]) -> Marks {
    let openings = [&b"<dict"[..], b"<array"].map(|tag| text.windows(tag.len()).filter(|part| *part == tag).count());
    if openings.iter().sum::<usize>() > CONTAINERS {
        return Marks::default();
    }
    let Ok(list) = Value::from_reader_xml(Cursor::new(text)) else {
        return Marks::default();
    };
    let Some(list) = list.as_dictionary() else {
        return Marks::default();
    };
    let bits = list.get("flags").and_then(Value::as_unsigned_integer).unwrap_or(0);
    let flags = FLAGS
        .iter()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, flag)| (*flag).to_owned())
        .collect();
    let received = list
        .get("date-received")
        .and_then(seconds)
        .filter(|&seconds| seconds > 0)
        .and_then(|seconds| seconds.checked_mul(1000))
        .map(|unix_ms| Timestamp {
            unix_ms,
            offset_minutes: 0,
        });
    Marks { flags, received }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "whole seconds are wanted, and what is beyond is cut by `as`"
)]
fn seconds(value: &Value) -> Option<i64> {
    value
        .as_signed_integer()
        .or_else(|| value.as_real().map(|real| real as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whimbrel_folders::memory::Bytes;

    use super::*;

    const LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>conversation-id</key>
	<integer>12</integer>
	<key>date-last-viewed</key>
	<integer>1580423184</integer>
	<key>date-received</key>
	<integer>1580412345</integer>
	<key>flags</key>
	<integer>8590195717</integer>
	<key>subject</key>
	<string>R &amp; D &lt;key>flags</string>
</dict>
</plist>
"#;

    fn file(text: &str) -> Bytes {
        Bytes::from_bytes(text.as_bytes())
    }

    #[test]
    fn a_file_of_apple_mail_comes_apart() {
        let file = file(&format!("13        \nSubject: x\n\na{LIST}"));
        assert_eq!(message(&file).unwrap(), Bytes::from_bytes(b"Subject: x\n\na"));
        let marks = marks(&file);
        assert_eq!(marks.flags, ["\\Seen", "\\Answered"]);
        assert_eq!(marks.received.unwrap().unix_ms, 1_580_412_345_000);
    }

    #[test]
    fn every_bit_that_means_something() {
        let flags = |bits: u64| parse(LIST.replace("8590195717", &bits.to_string()).as_bytes()).flags;
        assert_eq!(flags(0), Vec::<String>::new());
        let all = flags(1 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 8 | 1 << 24 | 1 << 25);
        assert_eq!(all, FLAGS.map(|(_, flag)| flag));
        assert!(flags(1 << 3 | 1 << 5 | 0x3f << 10 | 0x7f << 16 | 1 << 23 | 7 << 26).is_empty());
    }

    #[test]
    fn what_is_cut_or_no_such_file_is_refused() {
        for text in [
            "",
            "x",
            "Subject: x\n\n",
            "5\nabc",
            "-1\n",
            "99999999999999999999\nabc",
            "\nabc",
            "18446744073709551615\na",
        ] {
            assert!(matches!(message(&file(text)), Err(Failure::Rejected(_))), "{text:?}");
            assert_eq!(marks(&file(text)), Marks::default());
        }
        assert_eq!(message(&file("0\n")).unwrap(), Bytes::from_bytes(b""));
    }

    #[test]
    fn marks_that_cannot_be_read_are_none() {
        for list in [
            "",
            "<plist",
            "<plist><array/></plist>",
            "bplist00",
            &LIST.replace("integer", "string"),
        ] {
            assert_eq!(marks(&file(&format!("1\nx{list}"))), Marks::default(), "{list}");
        }
        let real = LIST.replace("<integer>1580412345</integer>", "<real>1580412345.5</real>");
        assert_eq!(parse(real.as_bytes()).received.unwrap().unix_ms, 1_580_412_345_000);
    }

    #[test]
    fn a_list_of_endless_depth_is_not_followed() {
        assert_eq!(parse("<array>".repeat(100_000).as_bytes()), Marks::default());
    }

    proptest! {
        #[test]
        fn no_file_makes_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200), list in "[<>/a-z \"=]{0,80}") {
            let mut text = b"3\nabc".to_vec();
            text.extend_from_slice(list.as_bytes());
            for bytes in [bytes, text] {
                let file = Bytes::from_bytes(&bytes);
                let _ = (message(&file).is_ok(), marks(&file));
            }
        }
    }
}
