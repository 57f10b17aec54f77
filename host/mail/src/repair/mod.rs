//! Repairs of messages that a store refuses as they are: each changes the one thing that it is named after, and is without
//! effect where it was made before.
//!
//! They run over content of any size in pieces, and hold heads alone in memory.

mod headers;
mod lines;
mod quoted;

use std::{fmt, io, ops::Range, str::FromStr};

use bytes::Bytes;

use crate::{
    content::{Content, read},
    transfer::PIECE,
};

/// The longest line that a message may have, in bytes without its end (RFC 5322 section 2.1.1).
pub const LONGEST_LINE: usize = 998;

/// A change to the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Repair {
    /// A line end at the end, where there is none.
    FinalCrlf,
    /// NUL bytes are taken out: RFC 5322 has no place for them.
    Nul,
    /// Bytes beyond ASCII in heads become encoded words (RFC 2047) and extended parameters (RFC 2231).
    EightBitHeaders,
    /// A part with a line that is too long is encoded in another way, and a field with one is folded.
    LongLines,
}

impl Repair {
    /// All of them, those that change least first.
    pub const ALL: [Self; 4] = [Self::FinalCrlf, Self::Nul, Self::EightBitHeaders, Self::LongLines];

    /// Its name, in settings and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::FinalCrlf => "final-crlf",
            Self::Nul => "nul",
            Self::EightBitHeaders => "8bit-headers",
            Self::LongLines => "long-lines",
        }
    }

    /// Makes the repair, and gives `emit` the whole new content, in pieces; nothing where there is nothing to repair.
    /// Tells whether there was.
    ///
    /// # Errors
    ///
    /// As [`Content::read_at`], and those of `emit`.
    pub fn make(self, content: &dyn Content, emit: Emit<'_>) -> io::Result<bool> {
        match self {
            Self::FinalCrlf => final_crlf(content, emit),
            Self::Nul => nul(content, emit),
            Self::EightBitHeaders => rewrite(content, headers::patches(content)?, emit),
            Self::LongLines => rewrite(content, lines::patches(content)?, emit),
        }
    }
}

/// Takes the new content, piece by piece.
pub type Emit<'e> = &'e mut dyn FnMut(Bytes) -> io::Result<()>;

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Repair {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|repair| repair.name() == name).ok_or(())
    }
}

/// What takes the place of a range of the content.
enum Patch {
    /// These bytes.
    Bytes(Range<u64>, Bytes),
    /// The body of a part, encoded in another way.
    Body(Range<u64>, lines::Recoding),
}

impl Patch {
    fn range(&self) -> Range<u64> {
        match self {
            Self::Bytes(range, _) | Self::Body(range, _) => range.clone(),
        }
    }
}

/// The content with these patches, which are in its order and do not overlap.
fn rewrite(content: &dyn Content, patches: Vec<Patch>, emit: Emit<'_>) -> io::Result<bool> {
    if patches.is_empty() {
        return Ok(false);
    }
    let mut at = 0;
    for patch in patches {
        let range = patch.range();
        if range.start < at {
            continue;
        }
        copy(content, at..range.start, emit)?;
        match patch {
            Patch::Bytes(_, bytes) => emit(bytes)?,
            Patch::Body(_, recoding) => recoding.write(content, range.clone(), emit)?,
        }
        at = range.end;
    }
    copy(content, at..content.size(), emit)?;
    Ok(true)
}

fn copy(content: &dyn Content, range: Range<u64>, emit: Emit<'_>) -> io::Result<()> {
    each_piece(content, range, &mut |piece| emit(piece))
}

fn each_piece(content: &dyn Content, range: Range<u64>, take: Emit<'_>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let length = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
        let piece = read(content, at, length)?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        take(piece)?;
    }
    Ok(())
}

fn final_crlf(content: &dyn Content, emit: Emit<'_>) -> io::Result<bool> {
    let size = content.size();
    let last = read(content, size.saturating_sub(1), 1)?;
    if last.is_empty() || last[..] == *b"\n" {
        return Ok(false);
    }
    // A carriage return that stands alone at the end gets its line feed.
    let end: &'static [u8] = if last[..] == *b"\r" { b"\n" } else { b"\r\n" };
    copy(content, 0..size, emit)?;
    emit(Bytes::from_static(end))?;
    Ok(true)
}

fn nul(content: &dyn Content, emit: Emit<'_>) -> io::Result<bool> {
    let mut first = None;
    let mut at = 0;
    each_piece(content, 0..content.size(), &mut |piece| {
        if first.is_none() {
            first = memchr::memchr(0, &piece).map(|found| at + found as u64);
        }
        at += piece.len() as u64;
        Ok(())
    })?;
    if first.is_none() {
        return Ok(false);
    }
    each_piece(content, 0..content.size(), &mut |piece| {
        if memchr::memchr(0, &piece).is_none() {
            return emit(piece);
        }
        let kept: Vec<u8> = piece.iter().copied().filter(|byte| *byte != 0).collect();
        emit(kept.into())
    })?;
    Ok(true)
}
