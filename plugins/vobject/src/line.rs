//! Content lines (RFC 5545, 3.1; RFC 6350, 3.3; and the soft line breaks of vCard 2.1), unfolded.

use whimbrel_folders::Body;
use whimbrel_folders::lines::Lines;

use crate::form::Form;

/// Where something lies: from this byte up to that one.
pub type Range = (u64, u64);

/// Bytes of an unfolded line that are looked at; what follows is only counted.
const SHOWN: usize = 8 << 10;

/// An unfolded line that grows as its parts are met.
#[derive(Debug, Default)]
struct Logical {
    range: Range,
    text: Vec<u8>,
    there: bool,
    quoted_printable: bool,
    soft: bool,
}

impl Logical {
    fn begin(&mut self, form: Form, range: Range, text: &[u8]) {
        self.range = range;
        self.text.clear();
        self.there = true;
        self.text.extend_from_slice(&text[..text.len().min(SHOWN)]);
        self.quoted_printable = form == Form::Card
            && property(&self.text).is_some_and(|property| {
                let parameters = property.parameters.to_ascii_uppercase();
                parameters.windows(16).any(|part| part == b"QUOTED-PRINTABLE")
            });
        self.soft = self.quoted_printable && text.ends_with(b"=");
    }

    fn extend(&mut self, end: u64, text: &[u8]) {
        self.range.1 = end;
        let room = SHOWN.saturating_sub(self.text.len());
        self.text.extend_from_slice(&text[..text.len().min(room)]);
        self.soft = self.quoted_printable && text.ends_with(b"=");
    }
}

/// Goes over the lines from `from` up to `to`; `each` is told where one lies and what it says, and says whether to go on.
/// Blank lines are left out.
pub fn each_line<B: Body>(form: Form, lines: &mut Lines<B>, range: Range, mut each: impl FnMut(Range, &[u8]) -> bool) {
    let (from, to) = range;
    lines.seek(from);
    let mut held = Logical::default();
    while lines.offset() < to {
        let Some(line) = lines.next() else { break };
        let (text, here) = (line.text(), (line.offset, line.end()));
        if held.there {
            if held.soft {
                held.extend(here.1, text);
                continue;
            }
            if let Some((b' ' | b'\t', rest)) = text.split_first() {
                held.extend(here.1, rest);
                continue;
            }
            held.there = false;
            if !each(held.range, &held.text) {
                return;
            }
        }
        if !text.trim_ascii().is_empty() {
            held.begin(form, here, text);
        }
    }
    if held.there {
        each(held.range, &held.text);
    }
}

/// A line that says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property<'a> {
    /// Without the group before it.
    pub name: &'a [u8],
    /// With the `;` before each.
    pub parameters: &'a [u8],
    /// Behind the colon.
    pub value: &'a [u8],
}

impl<'a> Property<'a> {
    /// Whether it bears this name, in upper case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value as text: escapes (RFC 5545, 3.3.11) undone.
    pub fn text(&self) -> String {
        let value = String::from_utf8_lossy(self.value);
        let mut out = String::with_capacity(value.len());
        let mut characters = value.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some('n' | 'N') => out.push('\n'),
                    Some(other) => out.push(other),
                    None => out.push('\\'),
                },
                other => out.push(other),
            }
        }
        out
    }

    /// The first value of a parameter, without its quotes.
    pub fn parameter(&self, name: &str) -> Option<&'a [u8]> {
        let mut quoted = false;
        self.parameters
            .split(|byte| {
                quoted ^= *byte == b'"';
                *byte == b';' && !quoted
            })
            .find_map(|parameter| {
                let at = parameter.iter().position(|&byte| byte == b'=')?;
                let value = parameter[..at]
                    .eq_ignore_ascii_case(name.as_bytes())
                    .then(|| &parameter[at + 1..])?;
                let bare = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
                Some(bare.unwrap_or(value))
            })
    }
}

/// What the line says; none where it is no content line.
pub fn property(line: &[u8]) -> Option<Property<'_>> {
    let end = line.iter().position(|byte| matches!(byte, b';' | b':'))?;
    let name = line[..end].trim_ascii_end();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    if name.is_empty() || !name.iter().all(plain) {
        return None;
    }
    let mut quoted = false;
    let colon = line.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b':' && !quoted
    });
    // A quote that is never closed.
    let colon = colon.or_else(|| line.iter().position(|&byte| byte == b':'))?;
    let bare = name.rsplit(|&byte| byte == b'.').next().unwrap_or(name);
    Some(Property {
        name: bare,
        parameters: line.get(end..colon).unwrap_or_default(),
        value: &line[colon + 1..],
    })
}

/// A property with this text, folded and with its line end.
pub fn written(name: &str, text: &str) -> Vec<u8> {
    let mut line = format!("{name}:");
    for character in text.chars() {
        match character {
            '\\' | ';' | ',' => line.extend(['\\', character]),
            '\n' => line.push_str("\\n"),
            '\r' => {}
            other => line.push(other),
        }
    }
    let mut out = Vec::with_capacity(line.len() + 8);
    let mut column = 0;
    for character in line.chars() {
        // At most 75 bytes a line (RFC 5545, 3.1).
        if column + character.len_utf8() > 75 {
            out.extend_from_slice(b"\r\n ");
            column = 1;
        }
        let mut buffer = [0; 4];
        out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        column += character.len_utf8();
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whimbrel_folders::memory::Bytes;

    use super::*;

    fn all(form: Form, text: &[u8]) -> Vec<(Range, String)> {
        let body = Bytes::from_bytes(text);
        let mut out = Vec::new();
        each_line(form, &mut Lines::new(&body, u64::MAX), (0, u64::MAX), |range, text| {
            out.push((range, String::from_utf8_lossy(text).into_owned()));
            true
        });
        out
    }

    #[test]
    fn lines_are_unfolded() {
        let lines = all(Form::Calendar, b"A:1\r\n 2\r\n\t3\r\n\r\n \r\nB:4\n");
        let texts: Vec<(Range, &str)> = lines.iter().map(|(range, text)| (*range, text.as_str())).collect();
        // Behind a blank line nothing is folded; blanks alone are a blank line.
        assert_eq!(texts, [((0, 13), "A:123"), ((18, 22), "B:4")]);
    }

    #[test]
    fn soft_line_breaks_belong_to_quoted_printable_alone() {
        let text = b"NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\nEND:VCARD=\r\nb\r\nN:x=\r\nFN:y\r\n";
        let lines: Vec<String> = all(Form::Card, text).into_iter().map(|(_, text)| text).collect();
        assert_eq!(lines, ["NOTE;ENCODING=QUOTED-PRINTABLE:a=END:VCARD=b", "N:x=", "FN:y"]);
        assert_eq!(all(Form::Calendar, text).len(), 5);
    }

    #[test]
    fn properties_come_apart() {
        let line = property(b"item1.DTSTART;X=\"a;b:c\";TZID=\"Europe/Berlin\":2021").unwrap();
        assert_eq!((line.name, line.value), (&b"DTSTART"[..], &b"2021"[..]));
        assert_eq!(line.parameter("tzid"), Some(&b"Europe/Berlin"[..]));
        assert_eq!(line.parameter("X"), Some(&b"a;b:c"[..]));
        assert_eq!(line.parameter("Y"), None);
        assert_eq!(property(b"X;A=\"open:1").map(|line| line.value), Some(&b"1"[..]));
        for none in [&b"no colon"[..], b":x", b"a b:c", b"", b"X;Y=1", b"\xff:1"] {
            assert_eq!(property(none), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in "[^\r\u{0}]{0,200}") {
            let lines = all(Form::Calendar, &written("X-WR-CALNAME", &text));
            prop_assert_eq!(lines.len(), 1);
            prop_assert_eq!(property(lines[0].1.as_bytes()).unwrap().text(), text);
        }

        #[test]
        fn no_line_makes_it_fail(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(property) = property(&line) {
                let _ = (property.text(), property.parameter("A"));
            }
            all(Form::Card, &line);
        }
    }
}
