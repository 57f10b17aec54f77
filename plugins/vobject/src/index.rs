//! What a file holds: where its objects lie, by what each is known, and what is no object.

use whimbrel_folders::Body;
use whimbrel_plugin::{Failure, Result};

use crate::form::Form;
use crate::line::Range;
use crate::scan;

/// Pieces that a file may hold; their index takes some 100 bytes each of a plugin's memory.
pub const MOST: usize = 250_000;
/// Bytes of an id that are a UID at most; longer ones are known by their hash.
const UID_BYTES: usize = 600;

/// Why a part of a file is no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A component that begins and does not end.
    NotEnded,
    /// An `END` where another one would have to be.
    Mismatched,
    /// Components within components without end.
    TooDeep,
    /// A calendar that begins and does not end.
    CalendarNotEnded,
    /// Text that belongs to nothing.
    Stray,
    /// A calendar's own properties, or the definition of a time zone, beyond all measure.
    TooLong,
    /// Two bytes a character.
    Utf16,
    /// The file could not be read.
    Unreadable,
}

impl Why {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotEnded => "what begins there has no end: the file may be cut short, or damaged",
            Self::Mismatched => "what begins there ends as something else",
            Self::TooDeep => "components lie within components without end",
            Self::CalendarNotEnded => {
                "the calendar that begins there has no END:VCALENDAR: the file may be cut short. What is whole of it is taken"
            }
            Self::Stray => "text that belongs to no object",
            Self::TooLong => "more than a calendar can say of itself or of a time zone",
            Self::Utf16 => "the file is written in UTF-16: save it as UTF-8",
            Self::Unreadable => "the file could not be read",
        }
    }
}

/// By what something is known in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// By its UID.
    Uid,
    /// By its content.
    Content,
    /// By its bytes: it is no object.
    Bytes,
}

/// A component, a card, or a part that is neither.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// Hash of the UID or of the bytes.
    pub key: u128,
    /// Which of the components with this UID: hash of the RECURRENCE-ID.
    pub slot: u64,
    pub range: Range,
    /// Its calendar, by number.
    pub calendar: u32,
    pub known: Known,
    pub why: Option<Why>,
    /// It is so many times there; this is that one.
    nth: u32,
}

impl Piece {
    pub fn new(known: Known, key: u128, slot: u64, range: Range, calendar: u32) -> Self {
        Self {
            key,
            slot,
            range,
            calendar,
            known,
            why: None,
            nth: 1,
        }
    }

    /// A part of a file that is no object.
    pub fn broken(key: u128, range: Range, why: Why) -> Self {
        Self {
            why: Some(why),
            ..Self::new(Known::Bytes, key, 0, range, 0)
        }
    }

    /// Of the same: what comes together, or apart.
    fn group(&self) -> (u128, Known, u32) {
        (self.key, self.known, self.nth)
    }
}

/// A calendar in a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calendar {
    /// From `BEGIN` to the line behind `END`.
    pub range: Range,
    /// Where the `END` line begins; none where there is none.
    pub foot: Option<u64>,
    /// What it says of itself: from and to, in [`Index::heads`].
    pub heads: (usize, usize),
    /// Its time zones: from and to, in [`Index::zones`].
    pub zones: (usize, usize),
    /// Components in it, time zones apart.
    pub pieces: u32,
    /// There is something in it that is neither property nor component.
    pub unclean: bool,
    /// It speaks of a collection.
    pub speaks: bool,
}

/// The definition of a time zone.
#[derive(Debug, Clone, Copy)]
pub struct Zone {
    /// Hash of its name.
    pub key: u128,
    /// Everybody knows it by this name.
    pub known: bool,
    pub range: Range,
}

/// An item: pieces that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    first: u32,
    count: u32,
}

/// What a file says of itself, as attributes of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// What it is called.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// `#RRGGBB`, with or without `AA`, or the name of a colour.
    pub colour: Option<String>,
    /// Where it stands among others.
    pub order: Option<String>,
}

/// What kinds of components a file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holds {
    /// VEVENT.
    pub events: bool,
    /// VTODO.
    pub tasks: bool,
    /// VJOURNAL.
    pub journals: bool,
    /// Free and busy times, availabilities, polls.
    pub others: bool,
}

impl Holds {
    /// Tasks, and nothing else.
    pub fn tasks_only(self) -> bool {
        self.tasks && !self.events && !self.journals && !self.others
    }

    /// Both together.
    pub fn with(self, other: Self) -> Self {
        Self {
            events: self.events || other.events,
            tasks: self.tasks || other.tasks,
            journals: self.journals || other.journals,
            others: self.others || other.others,
        }
    }
}

/// Where everything lies in a file.
#[derive(Debug)]
pub struct Index {
    pub(crate) form: Form,
    /// Lines end with CR alone, as they did on old systems.
    pub(crate) cr_only: bool,
    /// The file is a collection: what it says of that is no part of its objects.
    pub(crate) is_collection: bool,
    /// What it says of itself.
    pub about: About,
    /// What kinds of components it holds.
    pub holds: Holds,
    pub(crate) calendars: Vec<Calendar>,
    /// What calendars say of themselves.
    pub(crate) heads: Vec<Range>,
    pub(crate) zones: Vec<Zone>,
    pieces: Vec<Piece>,
    /// In the order of the file.
    entries: Vec<Entry>,
    /// The entries, by what they are known.
    by_key: Vec<u32>,
}

impl Index {
    /// Reads a file through once.
    ///
    /// # Errors
    /// `unsupported` where it holds more than can be kept in mind.
    pub fn read<B: Body>(form: Form, body: &B) -> Result<Self> {
        scan::file(form, body)
    }

    /// Of nothing yet.
    pub(crate) fn empty(form: Form) -> Self {
        Self {
            form,
            cr_only: false,
            is_collection: false,
            about: About::default(),
            holds: Holds::default(),
            calendars: Vec::new(),
            heads: Vec::new(),
            zones: Vec::new(),
            pieces: Vec::new(),
            entries: Vec::new(),
            by_key: Vec::new(),
        }
    }

    /// One more piece.
    ///
    /// # Errors
    /// `unsupported` where there are too many.
    pub(crate) fn add(&mut self, piece: Piece) -> Result<()> {
        if self.pieces.len() >= MOST {
            return Err(Failure::unsupported(format!(
                "the file holds more than {MOST} objects: split it, or have it exported in parts"
            )));
        }
        self.pieces.push(piece);
        Ok(())
    }

    /// Makes items of the pieces. The first of all with one UID and one RECURRENCE-ID are one item together, the second of
    /// all are another one, and so on: a series comes with its exceptions, and what lies there twice is twice there.
    pub(crate) fn settle(&mut self) {
        self.pieces
            .sort_unstable_by_key(|piece| (piece.key, piece.known, piece.slot, piece.range));
        let mut before: Option<(u128, Known, u64)> = None;
        let mut nth = 0;
        for piece in &mut self.pieces {
            let same = (piece.key, piece.known, piece.slot);
            nth = if before == Some(same) { nth + 1 } else { 1 };
            before = Some(same);
            piece.nth = nth;
        }
        self.pieces.sort_unstable_by_key(|piece| (piece.group(), piece.range));
        self.entries.clear();
        let mut first = 0;
        for run in self.pieces.chunk_by(|a, b| a.group() == b.group()) {
            let count = run.len();
            self.entries.push(Entry {
                first: small(first),
                count: small(count),
            });
            first += count;
        }
        let start = |pieces: &[Piece], entry: &Entry| pieces.get(entry.first as usize).map_or(0, |piece| piece.range.0);
        self.entries.sort_unstable_by_key(|entry| start(&self.pieces, entry));
        self.by_key = (0..small(self.entries.len())).collect();
        let key = |at: &u32| self.entries.get(*at as usize).map(|entry| entry.first);
        // Pieces lie by key: so do the first ones of the entries.
        self.by_key.sort_unstable_by_key(key);
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The pieces of an item, in the order of the file; none of one that is not there.
    pub(crate) fn pieces(&self, at: usize) -> &[Piece] {
        let range = self
            .entries
            .get(at)
            .map(|entry| entry.first as usize..(entry.first + entry.count) as usize);
        range.and_then(|range| self.pieces.get(range)).unwrap_or_default()
    }

    /// Why it is no object; none where it is one.
    pub fn why(&self, at: usize) -> Option<Why> {
        self.pieces(at).first().and_then(|piece| piece.why)
    }

    fn find(&self, known: Known, key: u128, nth: u32) -> Option<usize> {
        let group = |at: &u32| self.pieces(*at as usize).first().map(Piece::group);
        let found = self.by_key.binary_search_by_key(&Some((key, known, nth)), group).ok()?;
        self.by_key.get(found).map(|&at| at as usize)
    }

    /// By what an item is known within the file: its UID, where it is plain, else what begins with `#`; behind it `~2`
    /// where it is the second of that name. `uid` is its UID as it stands in the file.
    pub fn key(&self, at: usize, uid: Option<&[u8]>) -> String {
        let Some(piece) = self.pieces(at).first() else {
            return String::new();
        };
        let plain = uid
            .and_then(|uid| std::str::from_utf8(uid).ok())
            .filter(|uid| is_plain(uid));
        let stem = match (piece.known, plain) {
            (Known::Uid, Some(uid)) => uid.to_owned(),
            (Known::Uid, None) => format!("#u{:032x}", piece.key),
            (Known::Content, _) => format!("#c{:032x}", piece.key),
            (Known::Bytes, _) => format!("#b{:032x}", piece.key),
        };
        match piece.nth {
            1 => stem,
            nth => format!("{stem}~{nth}"),
        }
    }

    /// The item that is known so.
    pub fn of_key(&self, key: &str) -> Option<usize> {
        let (stem, nth) = numbered(key).unwrap_or((key, 1));
        let (known, hash) = match stem.strip_prefix('#') {
            None => (Known::Uid, hash(stem.as_bytes())),
            Some(rest) => {
                let known = match rest.get(..1)? {
                    "u" => Known::Uid,
                    "c" => Known::Content,
                    "b" => Known::Bytes,
                    _ => return None,
                };
                let digits = rest.get(1..).filter(|digits| digits.len() == 32)?;
                (known, u128::from_str_radix(digits, 16).ok()?)
            }
        };
        self.find(known, hash, nth)
    }
}

/// Whether a UID can be an id, or a part of one.
fn is_plain(uid: &str) -> bool {
    !uid.is_empty()
        && uid.len() <= UID_BYTES
        && !uid.starts_with('#')
        && !uid.chars().any(char::is_control)
        && numbered(uid).is_none()
}

/// `stem~2`, taken apart.
fn numbered(key: &str) -> Option<(&str, u32)> {
    let (stem, digits) = key.rsplit_once('~')?;
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    number
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|&nth| nth > 1)
        .map(|nth| (stem, nth))
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// FNV-1a, 128 bits.
pub fn hash(bytes: &[u8]) -> u128 {
    bytes
        .iter()
        .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, &byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_values() {
        assert_eq!(hash(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(hash(b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }

    #[test]
    fn uids_that_cannot_be_ids_are_known() {
        for uid in ["a", "a~b", "a~1", "a~02", "urn:uuid:1/2", "~"] {
            assert!(is_plain(uid), "{uid}");
        }
        for uid in ["", "#u1", "a~2", "a~17", "a\tb", &"x".repeat(601)] {
            assert!(!is_plain(uid), "{uid}");
        }
    }
}
