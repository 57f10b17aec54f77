//! Cursors of listings. A listing names everything; where nothing changed since the last one, it names nothing.

use std::fmt;

/// Where a listing of everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// What the collection looked like when it began.
    pub begun: u64,
    /// The file that was looked at last; empty at the beginning.
    pub file: String,
    /// Where in that file it goes on, and what the file looked like; none behind it.
    pub inside: Option<Inside>,
}

/// A place within a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inside {
    /// Number of the next item.
    pub at: usize,
    /// What the file looked like.
    pub mark: u64,
}

/// What a cursor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// In a listing.
    Listing(Position),
    /// Behind it: what the collection looked like. A watermark looks like nothing.
    Idle(u64),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle(print) => write!(f, "1:i {print:x}"),
            Self::Listing(Position { begun, file, inside }) => {
                write!(f, "1:l {begun:x} ")?;
                match inside {
                    None => write!(f, "- - {file}"),
                    Some(Inside { at, mark }) => write!(f, "{at} {mark:x} {file}"),
                }
            }
        }
    }
}

impl Cursor {
    /// From text; none where it is no cursor of this version.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.strip_prefix("1:")?.split_once(' ')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        match kind {
            "i" => Some(Self::Idle(hex(rest)?)),
            "l" => {
                let mut fields = rest.splitn(4, ' ');
                let mut field = || fields.next();
                let begun = hex(field()?)?;
                let inside = match (field()?, field()?) {
                    ("-", "-") => None,
                    (at, mark) => Some(Inside {
                        at: at.parse().ok()?,
                        mark: hex(mark)?,
                    }),
                };
                Some(Self::Listing(Position {
                    begun,
                    file: field()?.to_owned(),
                    inside,
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_cursor_comes_back(begun: u64, file in "\\PC{0,20}", inside in proptest::option::of((0usize..9, any::<u64>()))) {
            let inside = inside.map(|(at, mark)| Inside { at, mark });
            for cursor in [Cursor::Idle(begun), Cursor::Listing(Position { begun, file, inside })] {
                prop_assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
            }
        }

        #[test]
        fn no_text_makes_it_fail(text in "1:[il] [0-9a-f -]{0,30}|\\PC{0,20}") {
            let _ = Cursor::parse(&text);
        }
    }
}
