//! Changes to an object, which leave everything else as it stands, byte for byte.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rewrite::{Wish, rewrite};
use crate::tree::{Physical, name_of, physical, value_at};
use crate::{Format, sieve};

/// A change. Names of properties are taken in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// All properties with the name become one with the value; a text is escaped, other values are written as they are.
    Set {
        /// As `SUMMARY`.
        property: String,
        /// Decoded.
        value: String,
    },
    /// Another property beside those of its name.
    Add {
        /// As `CATEGORIES`.
        property: String,
        /// Decoded.
        value: String,
    },
    /// All properties with the name go.
    Remove {
        /// As `X-OLD`.
        property: String,
    },
    /// An address becomes another one, wherever it stands for somebody.
    Address {
        /// The whole address.
        from: String,
        /// What takes its place.
        to: String,
    },
    /// The domain of addresses becomes another one.
    Domain {
        /// Without `@`.
        from: String,
        /// Without `@`.
        to: String,
    },
    /// A string of a filter that is exactly this becomes another one, as the name of a mailbox.
    Text {
        /// The whole string.
        from: String,
        /// What takes its place.
        to: String,
    },
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `set`, `added`, `removed` or `rewrote`.
    pub what: &'static str,
    /// The property, in upper case; `strings` of a filter.
    pub property: String,
    /// How many lines.
    pub count: usize,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.what, self.property, self.count)
    }
}

/// An object after changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The whole object.
    pub bytes: Vec<u8>,
    /// What was changed, in the order of the changes.
    pub changes: Vec<Change>,
}

/// Why a change cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// No name of a property.
    Name(String),
    /// A property that holds the object together.
    Fixed(String),
    /// A value with characters that no line can hold.
    Value(String),
    /// No address, or no domain.
    Address(String),
    /// Calendar objects and contacts have no strings, filters no properties.
    Kind(&'static str),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}` is no name of a property: letters, digits and - only"),
            Self::Fixed(name) => write!(f, "{name} cannot be changed: it holds the item together"),
            Self::Value(name) => write!(f, "the value of {name} has control characters"),
            Self::Address(text) => write!(f, "`{text}` is no address, or no domain"),
            Self::Kind(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for EditError {}

/// What identity and structure depend on.
const FIXED: [&str; 5] = ["BEGIN", "END", "UID", "VERSION", "RECURRENCE-ID"];

/// Properties whose value is a text (RFC 5545, RFC 6350); that of others has a form of its own.
const TEXTS: [&str; 15] = [
    "SUMMARY",
    "DESCRIPTION",
    "COMMENT",
    "LOCATION",
    "CONTACT",
    "CATEGORIES",
    "CLASS",
    "STATUS",
    "FN",
    "NOTE",
    "TITLE",
    "ROLE",
    "NICKNAME",
    "NAME",
    "TEL",
];

impl Edit {
    /// Whether it can be made at all.
    ///
    /// # Errors
    ///
    /// What stands against it.
    pub fn check(&self) -> Result<(), EditError> {
        match self {
            Self::Set { property, value } | Self::Add { property, value } => {
                named(property)?;
                let text = is_text(property);
                let fits = |one: char| !one.is_control() || text && matches!(one, '\n' | '\t');
                match value.chars().all(fits) {
                    true => Ok(()),
                    false => Err(EditError::Value(property.to_ascii_uppercase())),
                }
            }
            Self::Remove { property } => named(property),
            Self::Address { from, to } => {
                for one in [from, to] {
                    let good = one
                        .split_once('@')
                        .is_some_and(|(local, domain)| word(local) && is_domain(domain));
                    if !good {
                        return Err(EditError::Address(one.clone()));
                    }
                }
                Ok(())
            }
            Self::Domain { from, to } => match [from, to].into_iter().find(|one| !is_domain(one)) {
                Some(bad) => Err(EditError::Address(bad.clone())),
                None => Ok(()),
            },
            Self::Text { from, to } => match !from.is_empty() && ![from, to].iter().any(|it| it.contains('\0')) {
                true => Ok(()),
                false => Err(EditError::Value("strings".to_owned())),
            },
        }
    }

    fn wish(&self) -> Option<Wish<'_>> {
        match self {
            Self::Address { from, to } => Some(Wish::Address { from, to }),
            Self::Domain { from, to } => Some(Wish::Domain { from, to }),
            _ => None,
        }
    }
}

fn named(property: &str) -> Result<(), EditError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if property.is_empty() || property.len() > 100 || !property.bytes().all(good) {
        return Err(EditError::Name(property.chars().take(100).collect()));
    }
    match FIXED.iter().find(|fixed| fixed.eq_ignore_ascii_case(property)) {
        Some(fixed) => Err(EditError::Fixed((*fixed).to_owned())),
        None => Ok(()),
    }
}

fn is_text(property: &str) -> bool {
    TEXTS.iter().any(|text| text.eq_ignore_ascii_case(property))
}

fn word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|one| !one.is_control() && !one.is_whitespace() && !"\",;:<>\\".contains(one))
}

fn is_domain(text: &str) -> bool {
    word(text) && !text.contains('@')
}

/// The object after the changes, and what they were; nothing where there was nothing to change. Lines that are not
/// concerned keep their bytes, folding and line ends; the others are folded anew (RFC 5545 section 3.1), but in vCard 2.1,
/// which folds in another way.
///
/// # Errors
///
/// A change that cannot be made, see [`Edit::check`], or that is not for such an object.
pub fn apply(format: Format, object: &[u8], edits: &[Edit]) -> Result<Option<Edited>, EditError> {
    edits.iter().try_for_each(Edit::check)?;
    if format == Format::Sieve {
        return sieve::apply(object, edits);
    }
    let mut lines: Vec<Line<'_>> = physical(object).map(Line::from).collect();
    let mut changes = Vec::new();
    for edit in edits {
        match edit {
            Edit::Set { property, value } => place(format, &mut lines, property, value, true, &mut changes),
            Edit::Add { property, value } => place(format, &mut lines, property, value, false, &mut changes),
            Edit::Remove { property } => {
                let before = lines.len();
                remove(format, &mut lines, property);
                let count = before - lines.len();
                if count > 0 {
                    note(&mut changes, "removed", property, count);
                }
            }
            Edit::Text { .. } => return Err(EditError::Kind("calendar objects and contacts have no strings")),
            Edit::Address { .. } | Edit::Domain { .. } => {
                let Some(wish) = edit.wish() else { continue };
                for line in &mut lines {
                    if let Some(new) = rewritten(format, &line.text, wish) {
                        note(&mut changes, "rewrote", &String::from_utf8_lossy(name_of(&new)), 1);
                        line.text = new;
                        line.raw = None;
                    }
                }
            }
        }
    }
    if changes.is_empty() {
        return Ok(None);
    }
    let folds = !lines.iter().any(|line| line.text.eq_ignore_ascii_case(b"VERSION:2.1"));
    let mut out = Vec::with_capacity(object.len() + 128);
    for line in &lines {
        match line.raw {
            Some(raw) => out.extend_from_slice(raw),
            None => write(&mut out, line, folds),
        }
    }
    Ok(Some(Edited { bytes: out, changes }))
}

fn note(changes: &mut Vec<Change>, what: &'static str, property: &str, count: usize) {
    let property = property.to_ascii_uppercase();
    match changes
        .iter_mut()
        .find(|known| known.what == what && known.property == property)
    {
        Some(known) => known.count += count,
        None => changes.push(Change { what, property, count }),
    }
}

/// A content line: as it stands, unless it was changed.
struct Line<'o> {
    raw: Option<&'o [u8]>,
    /// Unfolded.
    text: Vec<u8>,
    /// Its line end.
    end: &'static [u8],
}

impl<'o> From<Physical<'o>> for Line<'o> {
    fn from(line: Physical<'o>) -> Self {
        Self {
            raw: Some(line.raw),
            text: line.text.into_owned(),
            end: if line.raw.ends_with(b"\n") && !line.raw.ends_with(b"\r\n") {
                b"\n"
            } else {
                b"\r\n"
            },
        }
    }
}

/// Where the components are that an object is about, as ranges of lines between BEGIN and END; what is nested in them is
/// none of theirs.
fn mains(format: Format, lines: &[Line<'_>]) -> Vec<Vec<usize>> {
    let mut open: Vec<(Vec<u8>, Vec<usize>)> = Vec::new();
    let mut found = Vec::new();
    let depth = if format == Format::Card { 1 } else { 2 };
    for (at, line) in lines.iter().enumerate() {
        let after = |word: &[u8]| {
            let (head, rest) = line.text.split_at_checked(word.len())?;
            head.eq_ignore_ascii_case(word)
                .then(|| rest.trim_ascii().to_ascii_uppercase())
        };
        if let Some(name) = after(b"BEGIN:") {
            open.push((name, Vec::new()));
        } else if let Some(name) = after(b"END:") {
            if open.last().is_some_and(|(opened, _)| *opened == name)
                && let Some((opened, own)) = open.pop()
                && open.len() + 1 == depth
                && opened != b"VTIMEZONE"
            {
                // The END is where something new goes to.
                let mut own = own;
                own.push(at);
                found.push(own);
            }
        } else if let Some((_, own)) = open.last_mut() {
            own.push(at);
        }
    }
    found
}

fn is(line: &Line<'_>, property: &str) -> bool {
    name_of(&line.text).eq_ignore_ascii_case(property.as_bytes())
}

fn remove(format: Format, lines: &mut Vec<Line<'_>>, property: &str) {
    let mut gone: Vec<usize> = mains(format, lines)
        .into_iter()
        .flatten()
        .filter(|at| is(&lines[*at], property))
        .collect();
    gone.sort_unstable();
    for at in gone.into_iter().rev() {
        lines.remove(at);
    }
}

/// Puts a property into every component that the object is about.
fn place(
    format: Format,
    lines: &mut Vec<Line<'_>>,
    property: &str,
    value: &str,
    instead: bool,
    changes: &mut Vec<Change>,
) {
    let text = [property.to_ascii_uppercase(), ":".to_owned(), escaped(property, value)]
        .concat()
        .into_bytes();
    // From the last one up: what is before keeps its place.
    let mut mains = mains(format, lines);
    mains.sort_unstable();
    let mut count = 0;
    for own in mains.into_iter().rev() {
        let Some((end, own)) = own.split_last() else { continue };
        let known: Vec<usize> = own.iter().copied().filter(|at| is(&lines[*at], property)).collect();
        let line_end = lines[*end].end;
        let new = Line {
            raw: None,
            text: text.clone(),
            end: line_end,
        };
        match known.split_first() {
            Some((first, more)) if instead => {
                if more.is_empty() && lines[*first].text == new.text {
                    continue;
                }
                for at in more.iter().rev() {
                    lines.remove(*at);
                }
                lines[*first] = new;
            }
            _ => lines.insert(*end, new),
        }
        count += 1;
    }
    if count > 0 {
        note(changes, if instead { "set" } else { "added" }, property, count);
    }
}

/// A value as it stands in a line.
fn escaped(property: &str, value: &str) -> String {
    if !is_text(property) {
        return value.to_owned();
    }
    let mut out = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\\' | ',' | ';' => out.extend(['\\', letter]),
            other => out.push(other),
        }
    }
    out
}

/// A line in which somebody's address stands, with another one in its place.
fn rewritten(format: Format, line: &[u8], wish: Wish<'_>) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?;
    let value = value_at(line)?;
    let name = name_of(line).to_ascii_uppercase();
    let names_somebody = match (format, name.as_slice()) {
        (_, b"ORGANIZER" | b"ATTENDEE") | (Format::Card, b"EMAIL") => true,
        _ => {
            let mailto = text.get(value..)?.trim_start().get(..7);
            mailto.is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:"))
        }
    };
    let start = line.iter().position(|byte| b":;".contains(byte))?;
    let changed = names_somebody.then(|| rewrite(&text[start..], wish)).flatten()?;
    Some([&text[..start], &changed].concat().into_bytes())
}

/// Folds at 75 octets, and in no character.
fn write(out: &mut Vec<u8>, line: &Line<'_>, folds: bool) {
    const MOST: usize = 75;
    let mut rest = line.text.as_slice();
    let mut room = MOST;
    while folds && rest.len() > room {
        let mut at = room;
        while at > 1 && rest[at] & 0xC0 == 0x80 {
            at -= 1;
        }
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(line.end);
        out.push(b' ');
        rest = &rest[at..];
        room = MOST - 1;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(line.end);
}
