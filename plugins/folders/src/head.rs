//! The beginning of a message, as far as it tells when the message was received.

use whimbrel_plugin::Timestamp;

use crate::dates::{self, Date};

/// Bytes of a message that are looked at.
pub const BYTES: u32 = 32 << 10;

/// When the message that begins so was received: the topmost `Received` with a date that can be read, else `Date`.
pub fn received(head: &[u8]) -> Option<Timestamp> {
    let Date { unix, offset_minutes } = date(head)?;
    Some(Timestamp {
        unix_ms: unix.checked_mul(1000)?,
        offset_minutes,
    })
}

fn date(head: &[u8]) -> Option<Date> {
    let mut written = None;
    for field in fields(head) {
        let Some((name, value)) = split(&field) else { continue };
        if name.eq_ignore_ascii_case("Received") {
            let date = value.rsplit_once(';').and_then(|(_, date)| dates::of_field(date));
            if date.is_some() {
                return date;
            }
        } else if written.is_none() && name.eq_ignore_ascii_case("Date") {
            written = dates::of_field(value);
        }
    }
    written
}

fn split(field: &str) -> Option<(&str, &str)> {
    let (name, value) = field.split_once(':')?;
    Some((name.trim_end(), value))
}

/// The fields up to the blank line, unfolded. The last one may be cut.
fn fields(head: &[u8]) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for line in head.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        let text = String::from_utf8_lossy(line);
        match fields.last_mut() {
            Some(last) if text.starts_with([' ', '\t']) => last.push_str(&text),
            _ => fields.push(text.into_owned()),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unix(head: &str) -> Option<i64> {
        received(head.as_bytes()).map(|at| at.unix_ms / 1000)
    }

    #[test]
    fn the_topmost_received_counts_and_then_the_date() {
        let top = "Received: from a (b; c)\r\n\tby d with e;\r\n\tThu, 29 Feb 2024 12:34:56 +0000 (UTC)\r\n";
        let lower = "Received: by x; Thu, 29 Feb 2024 12:00:00 +0000\r\n";
        let date = "Date: Thu, 29 Feb 2024 11:00:00 +0000\r\n";
        assert_eq!(unix(&format!("{date}{top}{lower}\r\n")), Some(1_709_210_096));
        assert_eq!(
            unix(&format!("Received: by y; yesterday\r\n{lower}{date}")),
            Some(1_709_208_000)
        );
        assert_eq!(
            unix(&format!("Subject: x\n{}\n", date.replace("\r\n", "\n"))),
            Some(1_709_204_400)
        );
        assert_eq!(unix(&format!("Subject: x\r\n\r\n{date}")), None, "in the body");
        assert_eq!(unix(""), None);
    }

    proptest! {
        #[test]
        fn no_head_makes_it_fail(head in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = received(&head);
        }
    }
}
