//! From_ lines: `From sender date`, which set messages apart (RFC 4155).

use whimbrel_folders::dates::{self, Date};

/// The longest From_ line that is believed, in bytes.
const LONGEST: usize = 1024;

/// The date of the From_ line that this is, its line end taken off; none where it is no such line. Any sender will do,
/// `-` or one with blanks in it too; behind the date may stand `remote from host` and the like.
pub fn date(line: &[u8]) -> Option<Date> {
    let rest = line.strip_prefix(b"From ")?;
    if rest.len() > LONGEST {
        return None;
    }
    let text = String::from_utf8_lossy(rest);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    (0..words.len()).find_map(|at| {
        let (date, used) = dates::parse(&words[at..])?;
        let behind = &words[at + used..];
        (behind.is_empty()
            || matches!(
                behind,
                ["remote", "from", ..] | ["remotefrom", ..] | ["forwarded", "by", ..]
            ))
        .then_some(date)
    })
}

/// Whether the line looks like a header field, or like an old From_ line among the headers: what comes behind a
/// From_ line.
pub fn begins_a_header(line: &[u8]) -> bool {
    if line.starts_with(b">From ") {
        return true;
    }
    let name = line.iter().position(|&byte| byte == b':').unwrap_or(0);
    name > 0 && line[..name].iter().all(|byte| matches!(byte, 33..=126))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_set_messages_apart() {
        for line in [
            "From alice@example.org Thu Feb 29 12:34:56 2024",
            "From - Thu Feb 29 12:34:56 2024",
            "From alice at example.org  Thu Feb 29 12:34:56 2024",
            "From \"Mon Jan\"@x Thu Feb 29 12:34:56 2024",
            "From 1790@xxx Thu Feb 29 12:34:56 +0000 2024",
            "From alice Thu Feb 29 12:34 EST 2024 remote from host",
            "From Thu Feb 29 12:34:56 2024",
            "From \u{fffd} Thu, 29 Feb 2024 12:34:56 +0100",
        ] {
            assert!(date(line.as_bytes()).is_some(), "{line}");
        }
        assert!(date(b"From \xff\x00 Thu Feb 29 12:34:56 2024").is_some());
    }

    #[test]
    fn lines_that_do_not() {
        for line in [
            "From here to Thu it rains",
            "From now on",
            "From ",
            "From: alice",
            ">From alice Thu Feb 29 12:34:56 2024",
            "From alice Thu Feb 29 12:34:56 2024 I was away",
            "from alice Thu Feb 29 12:34:56 2024",
        ] {
            assert!(date(line.as_bytes()).is_none(), "{line}");
        }
        assert!(date(format!("From {} Thu Feb 29 12:34:56 2024", "x".repeat(2000)).as_bytes()).is_none());
    }

    #[test]
    fn headers_are_told_from_text() {
        for line in ["Subject: x", "X-Y:", ">From x"] {
            assert!(begins_a_header(line.as_bytes()));
        }
        for line in ["", ": x", "to whom: x", " folded: x", "Straße: x", "text"] {
            assert!(!begins_a_header(line.as_bytes()));
        }
    }
}
