//! Content lines and what they are nested in (RFC 5545 section 3.1 and 3.4, RFC 6350 section 3.2).

use std::borrow::Cow;

use crate::{Format, canonical};

/// How deep components may lie in each other; deeper ones are taken for lines.
const DEEPEST: usize = 32;

/// A component: its lines, and the components in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// In upper case; empty for what is around everything.
    pub name: Vec<u8>,
    /// Unfolded, without BEGIN and END.
    pub lines: Vec<Vec<u8>>,
    /// In their order.
    pub parts: Vec<Component>,
}

impl Component {
    /// Of all that is in the text. Whatever it is, no byte but line ends is lost.
    pub fn read(text: &[u8]) -> Self {
        let mut open = vec![Self::default()];
        for line in unfolded(text) {
            let word = |word: &[u8]| {
                let (head, rest) = line.split_at_checked(word.len())?;
                head.eq_ignore_ascii_case(word)
                    .then(|| rest.trim_ascii().to_ascii_uppercase())
            };
            match (word(b"BEGIN:"), word(b"END:")) {
                (Some(name), _) if open.len() <= DEEPEST => open.push(Self {
                    name,
                    ..Self::default()
                }),
                (_, Some(name)) if open.len() > 1 && open.last().is_some_and(|last| last.name == name) => {
                    close(&mut open)
                }
                _ => {
                    if let Some(last) = open.last_mut() {
                        last.lines.push(line.into_owned());
                    }
                }
            }
        }
        // What was never ended is told apart from what was.
        while open.len() > 1 {
            if let Some(last) = open.last_mut() {
                last.lines.push(b"(no end)".to_vec());
            }
            close(&mut open);
        }
        open.pop().unwrap_or_default()
    }

    pub fn is(&self, name: &str) -> bool {
        self.name == name.as_bytes()
    }

    /// The first line of a property.
    pub fn line(&self, property: &str) -> Option<&[u8]> {
        let found = self
            .lines
            .iter()
            .find(|line| name_of(line).eq_ignore_ascii_case(property.as_bytes()));
        found.map(Vec::as_slice)
    }

    /// See [`normal_form`](crate::normal_form).
    pub fn normal(&self, format: Format) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = Vec::with_capacity(self.lines.len());
        for line in self.lines.iter().filter(|line| !self.is_about_the_writer(line)) {
            canonical::lines(format, line, &mut lines);
        }
        lines.sort_unstable();
        let mut parts: Vec<Vec<u8>> = self
            .parts
            .iter()
            .filter(|part| !canonical::is_known_zone(part) && !self.is_unused_zone(part))
            .map(|part| part.normal(format))
            .collect();
        parts.sort_unstable();
        let mut out = Vec::new();
        for piece in [b"BEGIN:".as_slice(), &self.name, b"\n"] {
            out.extend_from_slice(piece);
        }
        for line in lines {
            out.extend_from_slice(&line);
            out.push(b'\n');
        }
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(b"END\n");
        out
    }

    /// Whether a part defines a time zone that nothing beside it refers to.
    fn is_unused_zone(&self, part: &Component) -> bool {
        let name = part
            .line("TZID")
            .filter(|_| part.is("VTIMEZONE") && self.is("VCALENDAR"));
        let Some(name) = name.and_then(|line| line.get(value_at(line)?..)) else {
            return false;
        };
        let mut others = self.parts.iter().filter(|other| !other.is("VTIMEZONE"));
        !others.any(|other| other.refers_to(name.trim_ascii()))
    }

    /// Whether a line in it bears the name of this time zone.
    fn refers_to(&self, zone: &[u8]) -> bool {
        let names = |line: &Vec<u8>| {
            let head = value_at(line).and_then(|at| line.get(..at - 1)).unwrap_or_default();
            let mut quoted = false;
            let mut parameters = head.split(|byte| {
                quoted ^= *byte == b'"';
                *byte == b';' && !quoted
            });
            parameters.any(|parameter| {
                let value = parameter
                    .split_at_checked(5)
                    .filter(|(name, _)| name.eq_ignore_ascii_case(b"TZID="));
                value.is_some_and(|(_, value)| value.trim_ascii() == zone || value == [b"\"", zone, b"\""].concat())
            })
        };
        self.lines.iter().any(names) || self.parts.iter().any(|part| part.refers_to(zone))
    }

    /// Whether a line tells of who wrote the object, and in what form, and not what it is about.
    fn is_about_the_writer(&self, line: &[u8]) -> bool {
        let name = name_of(line).to_ascii_uppercase();
        match name.as_slice() {
            b"PRODID" | b"DTSTAMP" => true,
            b"VERSION" => self.is("VCALENDAR") || self.is("VCARD"),
            b"CALSCALE" | b"METHOD" => self.is("VCALENDAR"),
            _ => false,
        }
    }
}

fn close(open: &mut Vec<Component>) {
    if let Some(done) = open.pop()
        && let Some(around) = open.last_mut()
    {
        around.parts.push(done);
    }
}

/// The name of a property: what stands before parameters and value; of `item1.TEL` in a vCard, `TEL`.
pub fn name_of(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|byte| b":;".contains(byte)).unwrap_or(line.len());
    let head = &line[..end];
    let start = head.iter().position(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
    &head[start..]
}

/// Where the value of a line begins: behind the first colon that is in no quotes.
pub fn value_at(line: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b':' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// A content line as it stands in a text.
pub struct Physical<'t> {
    /// With its line ends, and those within it.
    pub raw: &'t [u8],
    /// Without them; a byte order mark is none of the first line.
    pub text: Cow<'t, [u8]>,
}

/// All lines of a text, continued ones joined, empty ones among them.
pub fn physical(text: &[u8]) -> impl Iterator<Item = Physical<'_>> {
    let mark = "\u{feff}".as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let next = |at: usize| {
            let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
            let end = rest
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(rest.len(), |end| end + 1);
            let line = &rest[..end];
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            Some((line.strip_suffix(b"\r").unwrap_or(line), at + end))
        };
        let (first, end) = next(at)?;
        at = end;
        let first = if start == 0 {
            first.strip_prefix(mark).unwrap_or(first)
        } else {
            first
        };
        let mut line = Cow::Borrowed(first);
        while let Some((more, end)) = next(at) {
            match more {
                [b' ' | b'\t', more @ ..] => line.to_mut().extend_from_slice(more),
                // A soft line break of quoted-printable, in vCard 2.1.
                more if is_soft(&line) => {
                    let line = line.to_mut();
                    line.pop();
                    line.extend_from_slice(more);
                }
                _ => break,
            }
            at = end;
        }
        Some(Physical {
            raw: &text[start..at],
            text: line,
        })
    })
}

/// The lines that say something.
fn unfolded(text: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    physical(text).map(|line| line.text).filter(|line| !line.is_empty())
}

/// Whether a line ends in the middle of a value in quoted-printable.
fn is_soft(line: &[u8]) -> bool {
    line.ends_with(b"=")
        && value_at(line).is_some_and(|at| {
            line[..at]
                .to_ascii_uppercase()
                .windows(16)
                .any(|text| text == b"QUOTED-PRINTABLE")
        })
}
