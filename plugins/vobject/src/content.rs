//! Objects, put together from parts of a file.

use std::collections::HashSet;

use whimbrel_folders::Body;
use whimbrel_folders::lines::Lines;
use whimbrel_plugin::{Failure, Result};

use crate::form::Form;
use crate::index::{Calendar, Index, Known, hash};
use crate::line::{Range, each_line, property};

/// The end of a calendar that has none.
pub const FOOT: &[u8] = b"END:VCALENDAR\r\n";

/// Lines of a file as its index reads them.
pub fn lines<'a, B: Body>(index: &Index, body: &'a B) -> Lines<'a, B> {
    Lines::new(body, body.size()).ending_with(if index.cr_only { b'\r' } else { b'\n' })
}

/// The UID of an item as it stands in the file.
pub fn uid<B: Body>(index: &Index, lines: &mut Lines<B>, at: usize) -> Option<Vec<u8>> {
    let piece = index.pieces(at).first().filter(|piece| piece.known == Known::Uid)?;
    let (mut depth, mut found) = (0_u32, None);
    each_line(index.form, lines, piece.range, |_, text| {
        let Some(property) = property(text) else { return true };
        if property.is("BEGIN") {
            depth += 1;
        } else if property.is("END") {
            depth = depth.saturating_sub(1);
        } else if depth == 1 && property.is("UID") {
            let value = property.value.trim_ascii();
            found = (!value.is_empty()).then(|| value.to_vec());
        }
        found.is_none()
    });
    found
}

/// Hashes of the names of the time zones that the item refers to.
pub fn zones_of<B: Body>(index: &Index, lines: &mut Lines<B>, at: usize) -> HashSet<u128> {
    let mut names = HashSet::new();
    for piece in index.pieces(at) {
        each_line(index.form, lines, piece.range, |_, text| {
            if let Some(zone) = property(text).and_then(|property| property.parameter("TZID")) {
                names.insert(hash(zone.trim_ascii()));
            }
            true
        });
    }
    names
}

/// A part of the file. What was cut off before its line end gets one.
pub fn part<B: Body>(index: &Index, body: &B, (from, to): Range, parts: &mut Vec<B>) {
    parts.push(body.slice(from, to.saturating_sub(from)));
    match body.read(to.saturating_sub(1), 1).as_slice() {
        b"\n" => {}
        b"\r" if index.cr_only => {}
        b"\r" => parts.push(B::from_bytes(b"\n")),
        _ if index.cr_only => parts.push(B::from_bytes(b"\r")),
        _ => parts.push(B::from_bytes(b"\r\n")),
    }
}

/// The calendar that is one object and nothing else: that object, byte for byte.
fn whole(index: &Index, at: usize) -> Option<Calendar> {
    let pieces = index.pieces(at);
    let number = pieces.first()?.calendar;
    let calendar = index.calendars.get(number as usize)?;
    let all = pieces.iter().all(|piece| piece.calendar == number) && calendar.pieces as usize == pieces.len();
    let speaks = index.is_collection && number == 0 && calendar.speaks;
    (all && calendar.foot.is_some() && !calendar.unclean && !speaks).then_some(*calendar)
}

/// Where the item lies, where it lies in one piece.
pub fn range(index: &Index, at: usize) -> Option<Range> {
    let pieces = index.pieces(at);
    let first = pieces.first()?;
    if index.cr_only {
        return None;
    }
    if first.why.is_some() || index.form == Form::Card {
        return Some(first.range);
    }
    whole(index, at).map(|calendar| calendar.range)
}

/// The item as an object of its own.
///
/// # Errors
/// `not-found` where there is none.
pub fn content<B: Body>(index: &Index, body: &B, lines: &mut Lines<B>, at: usize) -> Result<B> {
    let pieces = index.pieces(at);
    let first = pieces
        .first()
        .ok_or_else(|| Failure::not_found("the object is not in its file any more"))?;
    let slice = |(from, to): Range| body.slice(from, to.saturating_sub(from));
    let found = if first.why.is_some() || index.form == Form::Card {
        slice(first.range)
    } else if let Some(calendar) = whole(index, at) {
        slice(calendar.range)
    } else {
        let mut parts = Vec::new();
        let calendar = index
            .calendars
            .get(first.calendar as usize)
            .copied()
            .unwrap_or_default();
        for &head in index.heads.get(calendar.heads.0..calendar.heads.1).unwrap_or_default() {
            part(index, body, head, &mut parts);
        }
        let mut wanted = zones_of(index, lines, at);
        let mut before = None;
        for piece in pieces
            .iter()
            .filter(|piece| before.replace(piece.calendar) != Some(piece.calendar))
        {
            let calendar = index
                .calendars
                .get(piece.calendar as usize)
                .copied()
                .unwrap_or_default();
            for zone in index.zones.get(calendar.zones.0..calendar.zones.1).unwrap_or_default() {
                if wanted.remove(&zone.key) {
                    part(index, body, zone.range, &mut parts);
                }
            }
        }
        for piece in pieces {
            part(index, body, piece.range, &mut parts);
        }
        parts.push(match calendar.foot {
            Some(foot) => slice((foot, calendar.range.1)),
            None if index.cr_only => B::from_bytes(b"END:VCALENDAR\r"),
            None => B::from_bytes(FOOT),
        });
        B::concat(&parts.iter().collect::<Vec<_>>())
    };
    // Nothing reads lines that end with CR alone any more.
    Ok(if index.cr_only && first.why.is_none() {
        B::build(|write| {
            found.pieces(|piece| {
                for line in piece.split_inclusive(|&byte| byte == b'\r') {
                    write(line);
                    if line.ends_with(b"\r") {
                        write(b"\n");
                    }
                }
            });
        })
    } else {
        found
    })
}

/// What tells whether an item changed: a hash of its own bytes.
pub fn revision<B: Body>(index: &Index, body: &B, at: usize) -> String {
    let parts: Vec<B> = index
        .pieces(at)
        .iter()
        .map(|piece| body.slice(piece.range.0, piece.range.1 - piece.range.0))
        .collect();
    let hash = match parts.as_slice() {
        [one] => one.hash(),
        parts => B::concat(&parts.iter().collect::<Vec<_>>()).hash(),
    };
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
