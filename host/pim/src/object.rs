//! One object to look into.

use crate::tree::{Component, value_at};
use crate::{Format, canonical};

/// Somebody whom an object names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// As displayed; empty where no name is given.
    pub name: String,
    /// The address, without `mailto:`.
    pub address: String,
}

/// A calendar object or a contact, read.
#[derive(Debug)]
pub struct Object {
    format: Format,
    root: Component,
}

impl Object {
    /// Reads whatever it is: what cannot be understood has no properties.
    pub fn read(format: Format, bytes: &[u8]) -> Self {
        Self {
            format,
            root: Component::read(bytes),
        }
    }

    /// The component that it is about: of a recurring event the series itself, not what differs in one instance.
    fn main(&self) -> Option<&Component> {
        let outer = self.root.parts.first()?;
        match self.format {
            Format::Card => Some(outer),
            _ => {
                let own = || outer.parts.iter().filter(|part| !part.is("VTIMEZONE"));
                own()
                    .find(|part| part.line("RECURRENCE-ID").is_none())
                    .or_else(|| own().next())
            }
        }
    }

    /// What it is about: `VEVENT`, `VTODO`, `VCARD`…; empty where that cannot be told.
    pub fn component(&self) -> String {
        let name = self.main().map(|main| main.name.as_slice());
        String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
    }

    /// The values of a property, decoded: escapes, quoted-printable and line folding are gone. Where several stand in one
    /// property (CATEGORIES), each is one. A structured value (N, ADR) keeps its semicolons.
    pub fn values(&self, property: &str) -> Vec<String> {
        let mut spelt = Vec::new();
        for line in self.lines(property) {
            canonical::lines(self.format, line, &mut spelt);
        }
        let value = |line: Vec<u8>| Some(unescaped(&String::from_utf8_lossy(line.get(value_at(&line)?..)?)));
        spelt.into_iter().filter_map(value).collect()
    }

    /// Those whom a property names, as ORGANIZER, ATTENDEE or EMAIL.
    pub fn people(&self, property: &str) -> Vec<Person> {
        let person = |line: &[u8]| {
            let value = String::from_utf8_lossy(line.get(value_at(line)?..)?).trim().to_owned();
            let address = match value.split_at_checked("mailto:".len()) {
                Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto:") => rest.to_owned(),
                _ => value,
            };
            Some(Person {
                name: parameter(line, "CN").unwrap_or_default(),
                address,
            })
        };
        self.lines(property).filter_map(person).collect()
    }

    /// A moment, as DTSTART: in seconds since 1970, and minutes east of UTC. A time zone that is not known by its name, and
    /// none at all, count as UTC; a day is its beginning.
    pub fn moment(&self, property: &str) -> Option<(i64, i16)> {
        let line = self.lines(property).next()?;
        let text = std::str::from_utf8(line).ok()?;
        canonical::moment(text, parameter(line, "TZID").as_deref())
    }

    fn lines(&self, property: &str) -> impl Iterator<Item = &[u8]> {
        let lines = self.main().map(|main| main.lines.as_slice()).unwrap_or_default();
        let property = property.to_owned();
        lines
            .iter()
            .map(Vec::as_slice)
            .filter(move |line| crate::tree::name_of(line).eq_ignore_ascii_case(property.as_bytes()))
    }
}

/// A parameter of a line, without its quotes (RFC 5545 section 3.2).
fn parameter(line: &[u8], name: &str) -> Option<String> {
    let head = std::str::from_utf8(line.get(..value_at(line)?.checked_sub(1)?)?).ok()?;
    let mut quoted = false;
    let parts = head.split(|one: char| {
        quoted ^= one == '"';
        one == ';' && !quoted
    });
    let found = parts.skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })?;
    Some(found.trim_matches('"').to_owned())
}

/// A text without its escapes (RFC 5545 section 3.3.11).
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}
