//! Reading a file through once: what begins where, and what does not end.

use whimbrel_folders::Body;
use whimbrel_folders::hash::fnv;
use whimbrel_folders::lines::Lines;
use whimbrel_plugin::Result;

use crate::form::Form;
use crate::index::{Calendar, Index, Known, Piece, Why, Zone, hash};
use crate::line::{Property, Range, each_line, property};

/// Bytes at the beginning that tell how lines end and what is written in two bytes a character.
const LOOKED_AT: u32 = 64 << 10;
/// Components within components are followed so far.
const DEPTH: usize = 64;
/// Bytes of what a calendar says of itself, and of the definition of a time zone.
const SAID: u64 = 256 << 10;
/// Components that lie in no other one but a poll: one that begins in another shows that the other has no end.
const OUTER: [&str; 6] = ["VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE", "VPOLL"];
/// What a calendar says of the collection, and what it says of itself as a message: no part of an object in it.
const OF_COLLECTION: [&str; 8] = [
    "METHOD",
    "NAME",
    "X-WR-CALNAME",
    "DESCRIPTION",
    "X-WR-CALDESC",
    "COLOR",
    "X-APPLE-CALENDAR-COLOR",
    "X-APPLE-CALENDAR-ORDER",
];
/// Where names of time zones begin that everybody knows.
const REGIONS: [&str; 11] = [
    "Africa/",
    "America/",
    "Antarctica/",
    "Arctic/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
    "Etc/",
];

/// A component that has begun.
struct Open {
    start: u64,
    name: Vec<u8>,
    /// Hashes of the names of what lies in it, the innermost last.
    inner: Vec<u64>,
    /// What lies deeper than is followed.
    deeper: usize,
    uid: Option<u128>,
    slot: u64,
    zone: Option<(u128, bool)>,
    damage: Option<Why>,
    /// The last line was an `AGENT` without a value: a card within the card follows (vCard 2.1).
    agent: bool,
}

struct Scanner<'a, B> {
    form: Form,
    body: &'a B,
    index: Index,
    calendar: Option<Calendar>,
    open: Option<Open>,
    stray: Option<(Range, Why)>,
    /// Bytes that the open calendar says of itself.
    said: u64,
}

/// See [`Index::read`].
pub fn file<B: Body>(form: Form, body: &B) -> Result<Index> {
    let mut index = Index::empty(form);
    let beginning = body.read(0, LOOKED_AT);
    if is_utf16(&beginning) {
        let whole = (0, body.size());
        index.add(Piece::broken(of_bytes(body, whole), whole, Why::Utf16))?;
        index.settle();
        return Ok(index);
    }
    index.cr_only = beginning.contains(&b'\r') && !beginning.contains(&b'\n');
    let from = if beginning.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut lines = Lines::new(body, body.size()).ending_with(if index.cr_only { b'\r' } else { b'\n' });
    let mut scanner = Scanner {
        form,
        body,
        index,
        calendar: None,
        open: None,
        stray: None,
        said: 0,
    };
    let mut failed = None;
    each_line(form, &mut lines, (from, u64::MAX), |range, text| {
        match scanner.line(range, text) {
            Ok(()) => true,
            Err(failure) => {
                failed = Some(failure);
                false
            }
        }
    });
    match failed {
        Some(failure) => Err(failure),
        None => scanner.finish(),
    }
}

/// Whether a calendar says this of the collection, or of itself as a message.
pub fn is_of_collection(property: &Property) -> bool {
    OF_COLLECTION.iter().any(|name| property.is(name))
}

fn is_utf16(beginning: &[u8]) -> bool {
    let marked = beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff");
    let bare = matches!(
        beginning,
        [0, b'B' | b'b', 0, ..] | [b'B' | b'b', 0, b'E' | b'e', 0, ..]
    );
    marked || bare
}

/// The first half of the hash of what lies there.
fn of_bytes<B: Body>(body: &B, (from, to): Range) -> u128 {
    let hash = body.slice(from, to.saturating_sub(from)).hash();
    hash.iter().take(16).fold(0, |key, &byte| key << 8 | u128::from(byte))
}

impl<B: Body> Scanner<'_, B> {
    fn line(&mut self, range: Range, text: &[u8]) -> Result<()> {
        let Some(property) = property(text) else {
            return self.other(range, None);
        };
        let named = property.value.trim_ascii().to_ascii_uppercase();
        if property.is("BEGIN") {
            self.begin(range, named)
        } else if property.is("END") {
            self.end(range, &named)
        } else {
            self.other(range, Some(property))
        }
    }

    fn begin(&mut self, range: Range, name: Vec<u8>) -> Result<()> {
        match self.form {
            Form::Calendar if name == b"VCALENDAR" => {
                self.unended(range.0)?;
                self.close(range.0, None)?;
                self.flush()?;
                self.calendar = Some(Calendar {
                    range: (range.0, 0),
                    heads: (self.index.heads.len(), self.index.heads.len() + 1),
                    zones: (self.index.zones.len(), self.index.zones.len()),
                    ..Calendar::default()
                });
                self.index.heads.push(range);
                self.said = 0;
                return Ok(());
            }
            Form::Calendar if self.calendar.is_none() => return self.stray(range, Why::Stray),
            Form::Card if name == b"VCARD" => {
                if self.open.as_ref().is_some_and(|open| !open.agent) {
                    self.unended(range.0)?;
                }
            }
            Form::Card if self.open.is_none() => return self.stray(range, Why::Stray),
            Form::Calendar => {
                let is_outer = OUTER.iter().any(|outer| outer.as_bytes() == name);
                if is_outer && self.open.as_ref().is_some_and(|open| open.name != b"VPOLL") {
                    self.unended(range.0)?;
                }
            }
            Form::Card => {}
        }
        match &mut self.open {
            Some(open) => {
                open.agent = false;
                if open.inner.len() < DEPTH {
                    open.inner.push(fnv(&name));
                } else {
                    open.deeper += 1;
                    open.damage = Some(Why::TooDeep);
                }
                Ok(())
            }
            None => {
                self.flush()?;
                self.open = Some(Open {
                    start: range.0,
                    name,
                    inner: Vec::new(),
                    deeper: 0,
                    uid: None,
                    slot: 0,
                    zone: None,
                    damage: None,
                    agent: false,
                });
                Ok(())
            }
        }
    }

    fn end(&mut self, range: Range, name: &[u8]) -> Result<()> {
        let Some(open) = &mut self.open else {
            if self.form == Form::Calendar && self.calendar.is_some() && name == b"VCALENDAR" {
                self.flush()?;
                return self.close(range.1, Some(range.0));
            }
            return self.stray(range, Why::Stray);
        };
        open.agent = false;
        if open.deeper > 0 {
            open.deeper -= 1;
            return Ok(());
        }
        let hash = fnv(name);
        if let Some(at) = open.inner.iter().rposition(|&inner| inner == hash) {
            if at + 1 < open.inner.len() {
                open.damage = open.damage.or(Some(Why::NotEnded));
            }
            open.inner.truncate(at);
            return Ok(());
        }
        if open.name == name {
            if !open.inner.is_empty() {
                open.damage = open.damage.or(Some(Why::NotEnded));
            }
            return self.complete(range.1);
        }
        if self.form == Form::Calendar && name == b"VCALENDAR" {
            self.unended(range.0)?;
            return self.close(range.1, Some(range.0));
        }
        open.damage = open.damage.or(Some(Why::Mismatched));
        Ok(())
    }

    fn other(&mut self, range: Range, property: Option<Property>) -> Result<()> {
        if let Some(open) = &mut self.open {
            let Some(property) = property else { return Ok(()) };
            open.agent = property.is("AGENT") && property.value.trim_ascii().is_empty();
            if open.inner.is_empty() {
                let value = property.value.trim_ascii();
                if property.is("UID") && open.uid.is_none() && !value.is_empty() {
                    open.uid = Some(hash(value));
                } else if property.is("RECURRENCE-ID") {
                    open.slot = fnv(value);
                } else if property.is("TZID") && open.zone.is_none() {
                    let name = std::str::from_utf8(value).unwrap_or_default();
                    let known = matches!(name, "UTC" | "GMT") || REGIONS.iter().any(|region| name.starts_with(region));
                    open.zone = Some((hash(value), known));
                }
            }
            return Ok(());
        }
        let (Some(property), true) = (property, self.calendar.is_some()) else {
            return self.stray(range, Why::Stray);
        };
        self.said += range.1 - range.0;
        if self.said > SAID {
            return self.stray(range, Why::TooLong);
        }
        self.flush()?;
        self.about(&property);
        if is_of_collection(&property) {
            if let Some(calendar) = &mut self.calendar {
                calendar.speaks = true;
            }
            return Ok(());
        }
        // What adjoins is one range.
        match self.index.heads.last_mut() {
            Some(last) if last.1 == range.0 => last.1 = range.1,
            _ => self.index.heads.push(range),
        }
        if let Some(calendar) = &mut self.calendar {
            calendar.heads.1 = self.index.heads.len();
        }
        Ok(())
    }

    /// What the first calendar says of the collection.
    fn about(&mut self, property: &Property) {
        if !self.index.calendars.is_empty() {
            return;
        }
        let about = &mut self.index.about;
        // The standard's own name wins over what was there before the standard, but for colours: it knows them by name only.
        let (place, wins) = match () {
            () if property.is("NAME") => (&mut about.name, true),
            () if property.is("X-WR-CALNAME") => (&mut about.name, false),
            () if property.is("DESCRIPTION") => (&mut about.description, true),
            () if property.is("X-WR-CALDESC") => (&mut about.description, false),
            () if property.is("X-APPLE-CALENDAR-COLOR") => (&mut about.colour, true),
            () if property.is("COLOR") => (&mut about.colour, false),
            () if property.is("X-APPLE-CALENDAR-ORDER") => (&mut about.order, true),
            () => return,
        };
        let text = property.text();
        if (wins || place.is_none()) && !text.trim().is_empty() {
            *place = Some(text);
        }
    }

    /// The open component is whole.
    fn complete(&mut self, end: u64) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let range = (open.start, end);
        if let Some(why) = open.damage {
            return self.broken(range, why);
        }
        if open.name == b"VTIMEZONE" {
            return match open.zone {
                Some(_) if end - open.start > SAID => self.broken(range, Why::TooLong),
                // Nothing can refer to it.
                None => self.broken(range, Why::Stray),
                Some((key, known)) => {
                    self.index.zones.push(Zone { key, known, range });
                    if let Some(calendar) = &mut self.calendar {
                        calendar.zones.1 = self.index.zones.len();
                    }
                    Ok(())
                }
            };
        }
        let holds = &mut self.index.holds;
        match open.name.as_slice() {
            b"VEVENT" => holds.events = true,
            b"VTODO" => holds.tasks = true,
            b"VJOURNAL" => holds.journals = true,
            _ => holds.others = true,
        }
        let number = u32::try_from(self.index.calendars.len()).unwrap_or(u32::MAX);
        if let Some(calendar) = &mut self.calendar {
            calendar.pieces += 1;
        }
        self.index.add(match open.uid {
            Some(uid) => Piece::new(Known::Uid, uid, open.slot, range, number),
            None => Piece::new(Known::Content, of_bytes(self.body, range), 0, range, number),
        })
    }

    /// The open component ends here without an end.
    fn unended(&mut self, here: u64) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.broken((open.start, here), open.damage.unwrap_or(Why::NotEnded))
    }

    /// The open calendar ends here, with or without an `END`.
    fn close(&mut self, here: u64, foot: Option<u64>) -> Result<()> {
        let Some(mut calendar) = self.calendar.take() else {
            return Ok(());
        };
        calendar.range.1 = here;
        calendar.foot = foot;
        if foot.is_none() {
            // Its first line stands for what nobody knows.
            let first = self.index.heads.get(calendar.heads.0).copied().unwrap_or_default();
            self.broken((calendar.range.0, first.1), Why::CalendarNotEnded)?;
        }
        self.index.calendars.push(calendar);
        Ok(())
    }

    fn stray(&mut self, range: Range, why: Why) -> Result<()> {
        match &mut self.stray {
            Some((last, known)) if *known == why => {
                last.1 = range.1;
                Ok(())
            }
            _ => {
                self.flush()?;
                self.stray = Some((range, why));
                Ok(())
            }
        }
    }

    /// What belongs to nothing ends here.
    fn flush(&mut self) -> Result<()> {
        match self.stray.take() {
            Some((range, why)) => self.broken(range, why),
            None => Ok(()),
        }
    }

    fn broken(&mut self, range: Range, why: Why) -> Result<()> {
        if let Some(calendar) = &mut self.calendar {
            calendar.unclean = true;
        }
        self.index.add(Piece::broken(of_bytes(self.body, range), range, why))
    }

    fn finish(mut self) -> Result<Index> {
        let end = self.body.size();
        self.unended(end)?;
        self.flush()?;
        self.close(end, None)?;
        self.index.settle();
        Ok(self.index)
    }
}
