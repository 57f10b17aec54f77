//! What calendar objects, contacts and filters say, whatever way they are written down in, and changes to them. No I/O.

mod canonical;
mod edit;
mod object;
mod rewrite;
mod sieve;
mod tree;

#[cfg(test)]
mod edit_tests;

#[cfg(test)]
mod tests;

pub use edit::{Change, Edit, EditError, Edited, apply};
pub use object::{Object, Person};
pub use sieve::requires;

use tree::Component;

/// The form that an object is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// iCalendar (RFC 5545): events, tasks, journals.
    Calendar,
    /// vCard (RFC 6350; 2.1 and 3.0 too): contacts.
    Card,
    /// Sieve (RFC 5228): filters.
    Sieve,
}

impl Format {
    /// The form that a media type names, if it is one of them.
    pub fn of(media_type: &str) -> Option<Self> {
        let name = media_type.split(';').next().unwrap_or_default().trim();
        match name.to_ascii_lowercase().as_str() {
            "text/calendar" => Some(Self::Calendar),
            "text/vcard" | "text/x-vcard" | "text/directory" => Some(Self::Card),
            "application/sieve" => Some(Self::Sieve),
            _ => None,
        }
    }
}

/// What an object says, as bytes to compare or to hash: equal for two objects that differ in nothing but
///
/// - folding, line ends, blanks at the end of a line, and the order of properties, parameters and components;
/// - the case of names and of values that have none (RFC 5545 section 2; RFC 6350 section 3.3);
/// - how texts are escaped, and how dates, durations and rules are spelt;
/// - whether several values stand in one property or in several (CATEGORIES, EXDATE, RDATE, RESOURCES);
/// - `VALUE`, which the value shows by itself, and `ENCODING`;
/// - what tells a server whether to send invitations, and what it answers (RFC 6638 section 7);
/// - PRODID and DTSTAMP, which tell who wrote it and when; VERSION, and CALSCALE and METHOD of a calendar;
/// - KIND and MEMBER of a contact, and what stood for them before vCard 4.0;
/// - the definition of a time zone that is known by its name, or that nothing in the object refers to.
///
/// What cannot be understood is compared as it stands. Of a filter, only the line ends are apart.
pub fn normal_form(format: Format, object: &[u8]) -> Vec<u8> {
    if format == Format::Sieve {
        let lines = object
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut lines: Vec<&[u8]> = lines.collect();
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        return lines.join(&b'\n');
    }
    Component::read(object).normal(format)
}

/// The UID of an object (RFC 5545 section 3.8.4.7, RFC 6350 section 6.7.6); none where it has none that can be read.
pub fn uid(format: Format, object: &[u8]) -> Option<String> {
    let root = Component::read(object);
    let object = root.parts.first()?;
    let line = match format {
        Format::Calendar => object
            .parts
            .iter()
            .filter(|part| !part.is("VTIMEZONE"))
            .find_map(|part| part.line("UID"))?,
        Format::Card => object.line("UID")?,
        Format::Sieve => return None,
    };
    let text = std::str::from_utf8(line).ok()?;
    let uid = text.get(tree::value_at(line)?..)?.trim();
    (!uid.is_empty()).then(|| uid.to_owned())
}
