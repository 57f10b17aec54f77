//! Cursors, and what a spool is known again by.

use std::fmt;

use whimbrel_folders::hash::Fnv;
use whimbrel_folders::{Body, Disk};
use whimbrel_plugin::Result;

use whimbrel_folders::lines::Lines;
use whimbrel_spool::marks::{Field, field};

/// Bytes before the end that are looked at, to tell whether a spool only grew.
const TAIL: u64 = 4096;
/// Spools up to this size are hashed whole, by the host; larger ones are known by their tail.
const HASHED: u64 = 4 << 30;
/// Spools up to this size are hashed even where neither size nor time changed.
pub const ALWAYS_HASHED: u64 = 64 << 20;

/// A spool as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Bytes.
    pub size: u64,
    /// Modification time, in milliseconds.
    pub modified: i64,
    /// Hash of its last lines, the store's fields left out: marks that are changed in place do not change it.
    pub tail: u64,
    /// Hash of all of it; none for a very large one.
    pub whole: Option<String>,
}

impl Mark {
    /// Of the first `size` bytes of the spool.
    ///
    /// # Errors
    /// What reading failed with.
    pub fn of<D: Disk>(disk: &D, path: &str, size: u64, modified: i64) -> Result<Self> {
        let body = disk.read(path, 0, Some(size))?;
        let whole = (size <= HASHED).then(|| hash(&body));
        Ok(Self {
            size,
            modified,
            tail: tail(&body, size),
            whole,
        })
    }
}

/// BLAKE3 of a body in hexadecimal digits.
pub fn hash(body: &impl Body) -> String {
    body.hash().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// See [`Mark::tail`].
pub fn tail(body: &impl Body, size: u64) -> u64 {
    let mut lines = Lines::new(body, size);
    let from = size.saturating_sub(TAIL);
    lines.seek(from);
    if from > 0 {
        // The rest of a line of which the beginning is not seen.
        lines.next();
    }
    let mut hash = Fnv::default();
    while let Some(line) = lines.next() {
        if !matches!(field(line.text()), Some((Field::Store(_), _))) {
            hash.update(line.bytes);
        }
    }
    hash.finish()
}

/// Where a listing stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// In a listing.
    Listing {
        /// Of the next message.
        at: u64,
        /// It began at the beginning of the spool.
        complete: bool,
        /// What lies before this offset was listed before.
        known: u64,
        /// The spool when it began; it ends where the spool ended.
        mark: Mark,
    },
    /// Behind it.
    Idle(Mark),
    /// A watermark: what begins there or behind it.
    From(u64),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, at, known, mark) = match self {
            Self::From(at) => return write!(f, "1:w {at}"),
            Self::Idle(mark) => ('i', 0, 0, mark),
            Self::Listing {
                at,
                complete,
                known,
                mark,
            } => (if *complete { 'c' } else { 'a' }, *at, *known, mark),
        };
        let Mark {
            size,
            modified,
            tail,
            whole,
        } = mark;
        write!(
            f,
            "1:{kind} {at} {known} {size} {modified} {tail} {}",
            whole.as_deref().unwrap_or("-")
        )
    }
}

impl Cursor {
    /// From text; none where it is no cursor of this version.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.strip_prefix("1:")?.split(' ');
        let kind = fields.next()?;
        let at = fields.next()?.parse().ok()?;
        if kind == "w" {
            return Some(Self::From(at));
        }
        let known = fields.next()?.parse().ok()?;
        let mark = Mark {
            size: fields.next()?.parse().ok()?,
            modified: fields.next()?.parse().ok()?,
            tail: fields.next()?.parse().ok()?,
            whole: fields.next().filter(|text| *text != "-").map(str::to_owned),
        };
        match kind {
            "i" => Some(Self::Idle(mark)),
            "c" | "a" => Some(Self::Listing {
                at,
                complete: kind == "c",
                known,
                mark,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whimbrel_folders::memory::Bytes;

    use super::*;

    #[test]
    fn marks_in_place_do_not_change_the_tail() {
        let of = |text: &str| tail(&Bytes::from_bytes(text.as_bytes()), text.len() as u64);
        assert_eq!(
            of("Subject: x\nStatus: O \n\nbody\n"),
            of("Subject: x\nStatus: RO\n\nbody\n")
        );
        assert_ne!(
            of("Subject: x\nStatus: O \n\nbody\n"),
            of("Subject: x\nStatus: O \n\nBody\n")
        );
        let long = "x".repeat(5000);
        assert_eq!(of(&format!("{long}\nend\n")), of(&format!("y{long}\nend\n")));
    }

    proptest! {
        #[test]
        fn cursors_come_back(at: u64, known: u64, complete: bool, size: u64, modified: i64, tail: u64, whole in proptest::option::of("[0-9a-f]{64}")) {
            let mark = Mark { size, modified, tail, whole };
            for cursor in [Cursor::Listing { at, complete, known, mark: mark.clone() }, Cursor::Idle(mark), Cursor::From(at)] {
                prop_assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
            }
        }

        #[test]
        fn no_text_makes_it_fail(text in "1:[aciwx] [0-9 -]{0,40}|\\PC*") {
            Cursor::parse(&text);
        }
    }
}
