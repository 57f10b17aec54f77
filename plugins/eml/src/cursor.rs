//! Cursors of listings. Every listing looks at all files again: a file that another program changed in place is seen by
//! its size and time, and by nothing that the folder shows.

use std::fmt;

/// The newest that a listing saw: what is beyond it in the next listing is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// The highest sequence of this connector's own deliveries.
    pub sequence: u64,
    /// The newest time of a file that another program wrote, in milliseconds.
    pub modified: i64,
}

impl Seen {
    /// The newest of both.
    pub fn with(self, other: Seen) -> Self {
        Self {
            sequence: self.sequence.max(other.sequence),
            modified: self.modified.max(other.modified),
        }
    }

    /// Whether this was not there when `before` was all that had been seen.
    pub fn is_beyond(self, before: Seen) -> bool {
        self.sequence > before.sequence || self.modified > before.modified
    }
}

/// Where a listing of everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// What the listing before this one saw; none where there was none.
    pub before: Option<Seen>,
    /// What this one saw.
    pub now: Seen,
    /// The directory that it is in, below that of the folder.
    pub part: String,
    /// The last name that it looked at there; empty at the beginning.
    pub after: String,
}

/// What a cursor says. Names stand at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// In a listing.
    Listing(Position),
    /// Behind it.
    Idle(Seen),
    /// A watermark: of all that this connector delivered, what has this sequence or a higher one.
    Since {
        /// The first sequence.
        sequence: u64,
        /// The last file name that was looked at; empty at the beginning.
        after: String,
    },
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sequence, self.modified)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listing(at) => {
                let first = u8::from(at.before.is_none());
                // A path holds no empty segment: two slashes set it apart from the name, which has none.
                write!(
                    f,
                    "1:l {first} {} {} {}",
                    at.before.unwrap_or_default(),
                    at.now,
                    at.part
                )?;
                write!(f, "//{}", at.after)
            }
            Self::Idle(seen) => write!(f, "1:i {seen}"),
            Self::Since { sequence, after } => write!(f, "1:w {sequence} {after}"),
        }
    }
}

impl Cursor {
    /// From text; none where it is no cursor of this version.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.strip_prefix("1:")?.split_once(' ')?;
        match kind {
            "w" => {
                let (sequence, after) = rest.split_once(' ')?;
                Some(Self::Since {
                    sequence: sequence.parse().ok()?,
                    after: after.to_owned(),
                })
            }
            "i" => {
                let (sequence, modified) = rest.split_once(' ')?;
                Some(Self::Idle(seen(sequence, modified)?))
            }
            "l" => {
                let mut fields = rest.splitn(6, ' ');
                let mut field = || fields.next();
                let first = field()? == "1";
                let before = seen(field()?, field()?)?;
                let now = seen(field()?, field()?)?;
                let (part, after) = field()?.rsplit_once("//")?;
                Some(Self::Listing(Position {
                    before: (!first).then_some(before),
                    now,
                    part: part.to_owned(),
                    after: after.to_owned(),
                }))
            }
            _ => None,
        }
    }
}

fn seen(sequence: &str, modified: &str) -> Option<Seen> {
    Some(Seen {
        sequence: sequence.parse().ok()?,
        modified: modified.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursors_come_back(numbers: [u64; 2], times: [i64; 2], first: bool, part in "([^/\u{0}]{1,9}/)?[^/\u{0}]{0,9}", after in "[^/\u{0}]{0,20}") {
            let [before, now] = [0, 1].map(|at| Seen { sequence: numbers[at], modified: times[at] });
            let part = part.trim_end_matches('/').to_owned();
            for cursor in [
                Cursor::Idle(now),
                Cursor::Since { sequence: numbers[0], after: after.clone() },
                Cursor::Listing(Position { before: (!first).then_some(before), now, part, after }),
            ] {
                prop_assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
            }
        }

        #[test]
        fn no_text_makes_it_fail(text in "1:[liwx] [0-9 /-]{0,40}|\\PC*") {
            let _ = Cursor::parse(&text);
        }
    }
}
