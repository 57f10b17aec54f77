//! Calendar objects and contacts as bytes: who they are, and that nobody is written to because they are copied.

use std::borrow::Cow;

use crate::address::escaped;

/// Longer names are made of a hash.
const NAME: usize = 100;

/// The UID of the first component that has one (RFC 5545 section 3.8.4.7, RFC 6350 section 6.7.6).
pub fn uid(object: &[u8]) -> Option<String> {
    let mut depth_of_zone = 0_usize;
    for line in unfolded(object) {
        let (name, value) = property(&line);
        if is(name, b"BEGIN") && is(value, b"VTIMEZONE") {
            depth_of_zone += 1;
        } else if is(name, b"END") && is(value, b"VTIMEZONE") {
            depth_of_zone = depth_of_zone.saturating_sub(1);
        } else if is(name, b"UID") && depth_of_zone == 0 {
            let text = String::from_utf8_lossy(value).trim().to_owned();
            return (!text.is_empty()).then_some(text);
        }
    }
    None
}

/// The name of the resource for an object with this UID, or, without one, with this hash: the same on every try.
pub fn resource_name(uid: Option<&str>, hash: &[u8], suffix: &str) -> String {
    let plain = |text: &&str| {
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'@' | b'+' | b'=');
        text.len() <= NAME && !text.starts_with('.') && text.bytes().all(usual)
    };
    let stem = match uid.filter(plain) {
        Some(uid) => uid.to_owned(),
        None => hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
    };
    escaped(format!("{stem}{suffix}").as_bytes())
}

/// The object with `SCHEDULE-AGENT=CLIENT` at whoever is invited and whoever invites (RFC 6638 section 7.1): a server that
/// sends invitations by itself leaves that to us then, and we send none. The very same where nobody is.
pub fn unscheduled(object: &[u8]) -> Cow<'_, [u8]> {
    let concerned = |line: &[u8]| {
        let (name, _) = property(line);
        (is(name, b"ATTENDEE") || is(name, b"ORGANIZER")) && !has_parameter(line, b"SCHEDULE-AGENT")
    };
    if !unfolded(object).any(|line| concerned(&line)) {
        return Cow::Borrowed(object);
    }
    let mut out = Vec::with_capacity(object.len() + 256);
    for raw in logical(object) {
        let line = unfold(raw);
        if !concerned(&line) {
            out.extend_from_slice(raw);
            continue;
        }
        let (name, _) = property(&line);
        let mut changed = name.to_vec();
        changed.extend_from_slice(b";SCHEDULE-AGENT=CLIENT");
        changed.extend_from_slice(&line[name.len()..]);
        fold(&changed, &mut out);
    }
    Cow::Owned(out)
}

/// Whether two objects are the same but for line ends, folding, the order of lines, the program that wrote them and what
/// [`unscheduled`] adds.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let lines = |object: &[u8]| {
        let counts = |line: &Vec<u8>| !line.is_empty() && !is(property(line).0, b"PRODID");
        let mut lines: Vec<Vec<u8>> = unfolded(object).filter(counts).collect();
        lines.sort_unstable();
        lines
    };
    lines(&unscheduled(one)) == lines(&unscheduled(other))
}

/// Every line end as CRLF: XML keeps none of them as they were (XML 1.0 section 2.11).
pub fn with_crlf(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    let mut before = 0;
    for byte in text.bytes() {
        if byte == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        before = byte;
    }
    out
}

/// Lines as they are written, each with what it is folded into.
fn logical(object: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = object;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        loop {
            match rest[end..].iter().position(|byte| *byte == b'\n') {
                None => end = rest.len(),
                Some(at) => end += at + 1,
            }
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (line, behind) = rest.split_at(end);
        rest = behind;
        Some(line)
    })
}

fn unfolded(object: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    logical(object).map(unfold)
}

/// Without line ends and what they are folded by.
fn unfold(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for (number, piece) in raw.split(|byte| *byte == b'\n').enumerate() {
        let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
        out.extend_from_slice(if number == 0 {
            piece
        } else {
            piece.get(1..).unwrap_or_default()
        });
    }
    out
}

/// At most 75 bytes a line (RFC 5545 section 3.1), never in the midst of a character.
fn fold(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (at, byte) in line.iter().enumerate() {
        let begins = !(0x80..0xc0).contains(byte);
        let width = line[at + 1..]
            .iter()
            .take_while(|next| (0x80..0xc0).contains(*next))
            .count()
            + 1;
        if begins && column + width > 75 {
            out.extend_from_slice(b"\r\n ");
            column = 1;
        }
        out.push(*byte);
        column += 1;
    }
    out.extend_from_slice(b"\r\n");
}

/// Name, and value behind the first colon that is in no quotes.
fn property(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line
        .iter()
        .position(|byte| matches!(byte, b';' | b':'))
        .unwrap_or(line.len());
    let name = &line[..end];
    // A group of a contact: "item1.EMAIL".
    let mut quoted = false;
    let colon = line.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b':' && !quoted
    });
    (name, colon.map_or(&[][..], |at| &line[at + 1..]))
}

fn has_parameter(line: &[u8], name: &[u8]) -> bool {
    let mut quoted = false;
    let head = line.split(|byte| {
        quoted ^= *byte == b'"';
        *byte == b':' && !quoted
    });
    let head = head.into_iter().next().unwrap_or_default();
    let mut quoted = false;
    head.split(|byte| {
        quoted ^= *byte == b'"';
        *byte == b';' && !quoted
    })
    .skip(1)
    .any(|parameter| {
        parameter
            .split(|byte| *byte == b'=')
            .next()
            .is_some_and(|found| is(found, name))
    })
}

fn is(text: &[u8], name: &[u8]) -> bool {
    text.trim_ascii().eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uids_are_found_past_zones_and_folds() {
        let event = b"BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nUID:no\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nuid;X=\"a:b\":1\r\n 2@x\r\n";
        assert_eq!(uid(event).as_deref(), Some("12@x"));
        assert_eq!(uid(b"BEGIN:VCARD\nFN:x\nEND:VCARD\n"), None);
        assert_eq!(uid(b"UID:\r\n"), None);
    }

    #[test]
    fn names_are_plain_and_the_same_each_time() {
        assert_eq!(resource_name(Some("a-1@x"), b"", ".ics"), "a-1%40x.ics");
        for uid in [None, Some("../x"), Some("a b"), Some("ä"), Some(".x")] {
            assert_eq!(
                resource_name(uid, &[0xab; 32], ".vcf"),
                format!("{}.vcf", "ab".repeat(16))
            );
        }
    }

    #[test]
    fn nobody_is_invited() {
        let event = "BEGIN:VEVENT\r\nORGANIZER;CN=\"A: b;c\":mailto:a@x\r\nATTENDEE;SCHEDULE-AGENT=NONE:mailto:b@x\r\n\
                     ATTENDEE;CN=cccccccccccccccccccccccccccccccccccccccccccc\r\n ääääääääääää:mailto:c@x\r\nX-ATTENDEE:d\r\nEND:VEVENT\r\n";
        let changed = unscheduled(event.as_bytes()).into_owned();
        let text = String::from_utf8(changed.clone()).unwrap();
        assert!(
            text.contains("ORGANIZER;SCHEDULE-AGENT=CLIENT;CN=\"A: b;c\":mailto:a@x\r\n"),
            "{text}"
        );
        assert!(
            text.contains("\r\nATTENDEE;SCHEDULE-AGENT=NONE:mailto:b@x\r\n"),
            "{text}"
        );
        assert_eq!(text.matches("AGENT=CLIENT").count(), 2);
        assert!(text.lines().all(|line| line.len() <= 75), "{text}");
        assert_eq!(unscheduled(&changed), Cow::Borrowed(&changed[..]));
        assert!(same(event.as_bytes(), &changed));
        assert!(same(event.replace("\r\n", "\n").as_bytes(), &changed));
        assert!(!same(
            event.replace("X-ATTENDEE:d", "X-ATTENDEE:e").as_bytes(),
            &changed
        ));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_text_survives(text in "[A-Z:;=\" \\r\\n\\tä]{0,120}") {
            let _ = uid(text.as_bytes());
            let changed = unscheduled(text.as_bytes()).into_owned();
            prop_assert!(same(text.as_bytes(), &changed));
        }
    }
}
