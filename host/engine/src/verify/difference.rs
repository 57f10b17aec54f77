//! What can be different, by classes, with likely causes and remedies.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use whimbrel_model::Hash;

/// How something differs from what the ledger says should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It is nowhere in the account at the destination.
    Missing,
    /// A message that the ledger does not know: equal to one that the migration put there, or any with `strict`.
    Extra,
    /// It says something else.
    AlteredContent,
    /// It has other bytes, and says the same: line ends, order of fields, encodings, traces of delivery.
    AlteredTransport,
    /// It was received at another time.
    Date,
    /// It has other flags, keywords or labels.
    Flags,
    /// It lies in another folder.
    Placement,
}

impl Class {
    /// All of them, the worst first.
    pub const ALL: [Self; 7] = [
        Self::Missing,
        Self::AlteredContent,
        Self::Placement,
        Self::Extra,
        Self::AlteredTransport,
        Self::Date,
        Self::Flags,
    ];

    /// A short, stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::AlteredContent => "altered-content",
            Self::AlteredTransport => "altered-transport",
            Self::Date => "date",
            Self::Flags => "flags",
            Self::Placement => "placement",
        }
    }

    /// The one of this name.
    pub fn named(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    /// As `rclone check --combined` marks it: `+` only at the source, `-` only at the destination, `*` at both and
    /// different.
    pub fn sigil(self) -> char {
        match self {
            Self::Missing => '+',
            Self::Extra => '-',
            _ => '*',
        }
    }

    /// What has likely happened.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Missing => "it was deleted at the destination after it had been placed there",
            Self::Extra => "it was copied there a second time, by a person or by another program",
            Self::AlteredContent => {
                "it was edited or damaged at the destination, or the destination rewrites what is stored"
            }
            Self::AlteredTransport => "the destination wrote it down in another way, or added traces of delivery",
            Self::Date => "the destination keeps another date of receipt, or a program set it anew",
            Self::Flags => "somebody read, answered or marked it at the destination since",
            Self::Placement => "it was moved to another folder at the destination",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Missing => {
                "if nobody deleted it on purpose, look into the trash and the backups of the destination; at the source it is as it was"
            }
            Self::Extra => "compare both and remove one of them at the destination",
            Self::AlteredContent => {
                "compare it with the message at the source, remove it at the destination and copy it there by hand; if there are many, look for a filter or scanner on the way"
            }
            Self::AlteredTransport => {
                "nothing has to be done; if signatures matter, find out what rewrites messages at the destination"
            }
            Self::Date => "nothing has to be done where the order of messages does not matter",
            Self::Flags => "nothing has to be done where the mailbox is in use; else mark it as it is at the source",
            Self::Placement => "nothing has to be done if it was moved on purpose; else move it back",
        }
    }
}

/// How often each class was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Differences(BTreeMap<Class, u64>);

impl Differences {
    /// One more.
    pub fn add(&mut self, class: Class) {
        *self.0.entry(class).or_default() += 1;
    }

    /// How many of a class.
    pub fn of(&self, class: Class) -> u64 {
        self.0.get(&class).copied().unwrap_or_default()
    }

    /// How many of all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Both together.
    pub fn plus(mut self, other: &Self) -> Self {
        for (class, count) in &other.0 {
            *self.0.entry(*class).or_default() += count;
        }
        self
    }
}

impl FromIterator<(Class, u64)> for Differences {
    fn from_iter<T: IntoIterator<Item = (Class, u64)>>(counts: T) -> Self {
        let mut differences = Self::default();
        for (class, count) in counts {
            *differences.0.entry(class).or_default() += count;
        }
        differences
    }
}

/// Every class, those that were not found as 0.
impl Serialize for Differences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Class::ALL.len()))?;
        for class in Class::ALL {
            map.serialize_entry(class.code(), &self.of(class))?;
        }
        map.end()
    }
}

/// A place at the destination, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// Whose account, where it is another mailbox's.
    pub mailbox: Option<String>,
    /// The folder, as a path.
    pub collection: String,
    /// The id there, where it is known.
    pub id: Option<String>,
}

/// One difference. Never a subject, an address or content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What kind.
    pub class: Class,
    /// The folder at the source, as a path; none for what the source does not have.
    pub collection: Option<String>,
    /// The id at the source.
    pub id: Option<String>,
    /// Where it lies at the destination, or should.
    pub place: Option<Spot>,
    /// What should be there: flags, a date, a folder, a hash.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// What has likely happened.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// How an item was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Its body was read at the destination, and is what was put, byte for byte.
    Bytes,
    /// Its body was read, and differs in nothing but line ends and NUL, as mail stores do.
    Transport,
    /// Its body was read and says the same.
    Content,
    /// By its place, flags and date in the listing.
    Listing,
    /// It lies nowhere at the destination, by a decision that the ledger tells, or since it waits or failed.
    NotThere,
    /// Its body could not be read.
    Unreadable,
    /// It is different: see the classes.
    Different,
}

/// What was found out about one item of the ledger: every item that was ever found has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The folder at the source, as a path.
    pub collection: String,
    /// The id at the source.
    pub id: String,
    /// What became of it: `moved`, `merged`, `filtered`, `oversize`, `failed`, `pending`.
    pub fate: &'static str,
    /// BLAKE3 of the source's bytes, where they were read.
    pub exact: Option<Hash>,
    /// The content fingerprint of what lies at the destination, where its body was read.
    pub content: Option<Hash>,
    /// Where it lies, or lay.
    pub place: Option<Spot>,
    /// How it was compared.
    pub how: How,
    /// What is different about it.
    pub classes: Vec<Class>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_classes_are_those_of_the_json() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.code());
            assert_eq!(Class::named(class.code()), Some(class));
        }
        let mut counts = Differences::default();
        counts.add(Class::Date);
        let counts = counts.clone().plus(&counts);
        assert_eq!((counts.of(Class::Date), counts.total()), (2, 2));
        assert_eq!(
            serde_json::to_string(&counts).unwrap(),
            r#"{"missing":0,"altered-content":0,"placement":0,"extra":0,"altered-transport":0,"date":2,"flags":0}"#
        );
    }
}
