//! Cursors: every listing is one of everything, and a cursor says what of it was named before.

use serde::{Deserialize, Serialize};
use whimbrel_plugin::{Result, decode_cursor, encode_cursor};

/// Of the format.
const VERSION: u32 = 1;
/// Bytes of all marks together: with names, a cursor stays below what the host takes.
const MARKS: usize = 48 << 10;
/// Characters of a mark.
const MARK: usize = 12;

/// Scripts with their content, each as a short mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(String);

impl Marks {
    /// Whether a script with this content is among them.
    pub fn has(&self, name: &str, revision: &str) -> bool {
        let mark = mark(name, revision);
        self.0.as_bytes().chunks(MARK).any(|other| other == mark.as_bytes())
    }

    fn add(&mut self, name: &str, revision: &str) {
        self.0.push_str(&mark(name, revision));
    }
}

fn mark(name: &str, revision: &str) -> String {
    let hash = whimbrel_folders::hash::fnv(format!("{name}\0{revision}").as_bytes());
    format!("{:012x}", hash >> 16)
}

/// Where a listing goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// What the listing before this one named. None: nothing is known of it, everything counts as new.
    pub before: Option<Marks>,
    /// The script that filtered then.
    pub active: Option<String>,
    /// The listing that is under way.
    pub listing: Option<Listing>,
}

/// A listing that is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// What was named so far; none where that is too much to remember.
    named: Option<Marks>,
    /// The script that filtered when it began.
    active: Option<String>,
    /// The last script that it named.
    pub last: Option<String>,
}

impl Listing {
    /// One that begins.
    pub fn begin(active: Option<String>) -> Self {
        Self {
            named: Some(Marks::default()),
            active,
            last: None,
        }
    }

    /// It named this script.
    pub fn name(&mut self, name: &str, revision: &str) {
        match &mut self.named {
            Some(marks) if marks.0.len() + MARK <= MARKS / 2 => marks.add(name, revision),
            _ => self.named = None,
        }
        self.last = Some(name.to_owned());
    }

    /// It is at its end: the next one begins here.
    pub fn end(self) -> Cursor {
        Cursor {
            before: self.named,
            active: self.active,
            listing: None,
        }
    }
}

impl Cursor {
    /// As text.
    ///
    /// # Errors
    /// `internal` where it is too large.
    pub fn write(&self) -> Result<String> {
        encode_cursor(VERSION, self)
    }

    /// From text.
    ///
    /// # Errors
    /// `internal` for what is no cursor of this version.
    pub fn read(text: Option<&str>) -> Result<Self> {
        text.map_or_else(|| Ok(Self::default()), |text| decode_cursor(VERSION, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_named_is_known_again() {
        let mut listing = Listing::begin(Some("b".to_owned()));
        listing.name("a", "1");
        listing.name("b", "2");
        let middle = Cursor {
            listing: Some(listing.clone()),
            ..Cursor::default()
        };
        assert_eq!(Cursor::read(Some(&middle.write().unwrap())).unwrap(), middle);
        let end = Cursor::read(Some(&listing.end().write().unwrap())).unwrap();
        let before = end.before.unwrap();
        assert!(before.has("a", "1") && before.has("b", "2"));
        assert!(!before.has("a", "2") && !before.has("b", "1") && !before.has("c", "1"));
        assert_eq!(end.active.as_deref(), Some("b"));
        assert!(Cursor::read(Some("2:{}")).is_err() && Cursor::read(Some("x")).is_err());
    }

    #[test]
    fn what_is_too_much_to_remember_counts_as_new() {
        let mut listing = Listing::begin(None);
        for number in 0..10_000 {
            listing.name(&format!("script {number}"), "1");
            let middle = Cursor {
                before: listing.named.clone(),
                active: Some("\u{1F980}".repeat(128)),
                listing: Some(listing.clone()),
            };
            if number % 500 == 0 {
                assert!(middle.write().is_ok());
            }
        }
        assert_eq!(listing.end().before, None);
    }
}
