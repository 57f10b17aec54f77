//! Lines that are too long: the part that has them is encoded in another way, a field that has them is folded. Nothing is
//! wrapped where that would change what is said.

use std::{io, ops::Range};

use bytes::Bytes;

use super::{
    Emit, LONGEST_LINE, Patch, each_piece,
    quoted::{Base64Encoder, QuotedEncoder},
};
use crate::{
    content::Content,
    edits::{Edit, Edits},
    head::{Head, LineEnd, Piece},
    parts::{Limits, Part, parts},
    transfer::{Decoder, Encoding},
};

/// Columns of a line of a field that is folded.
const FOLDED: usize = 900;

/// How a body is written from now on.
pub struct Recoding {
    from: Encoding,
    /// Quoted-printable, else base64.
    quoted: bool,
    line_end: LineEnd,
    /// Whether its last line needs an end of its own.
    ends: bool,
}

impl Recoding {
    /// Writes the body anew.
    pub fn write(&self, content: &dyn Content, body: Range<u64>, emit: Emit<'_>) -> io::Result<()> {
        let line_end = self.line_end.as_str();
        let mut quoted = QuotedEncoder::new(line_end);
        let mut base64 = Base64Encoder::new(line_end);
        for piece in Decoder::new(content, body, self.from) {
            let piece = piece?;
            let mut out = Vec::with_capacity(piece.len() * 3 / 2);
            match self.quoted {
                true => quoted.encode(&piece, &mut out),
                false => base64.encode(&piece, &mut out),
            }
            emit(out.into())?;
        }
        let mut out = Vec::new();
        quoted.finish(&mut out);
        base64.finish(&mut out);
        if !self.quoted && self.ends {
            out.extend_from_slice(line_end.as_bytes());
        }
        emit(out.into())
    }
}

/// Heads and bodies that are written anew; those of signed and encrypted parts stay.
pub fn patches(content: &dyn Content) -> io::Result<Vec<Patch>> {
    let structure = parts(content, &Limits::default())?;
    let mut patches = Vec::new();
    for (at, part) in structure.parts.iter().enumerate() {
        if structure.lies_in_signed(at) {
            continue;
        }
        let mut head = folded(&part.head);
        let recoding = match structure.is_leaf(at) && has_long_line(content, part.body.clone())? {
            true => Some(recoding(part)),
            false => None,
        };
        if let Some(recoding) = &recoding {
            let from = head.unwrap_or_else(|| part.head.bytes().to_vec());
            head = recoded_head(from, recoding);
            if head.is_none() {
                continue;
            }
        }
        if let Some(head) = head {
            let start = part.whole.start;
            patches.push(Patch::Bytes(start..start + part.head.len() as u64, head.into()));
        }
        patches.extend(recoding.map(|recoding| Patch::Body(part.body.clone(), recoding)));
    }
    Ok(patches)
}

fn recoding(part: &Part) -> Recoding {
    let text = part.content_type.kind.starts_with("text/");
    Recoding {
        from: part.encoding,
        quoted: text && part.encoding != Encoding::Base64,
        line_end: part.head.line_end(),
        ends: !part.line_end_follows,
    }
}

/// The head with the new encoding named; nothing where it has no end, so that the body cannot be told from it.
fn recoded_head(head: Vec<u8>, recoding: &Recoding) -> Option<Vec<u8>> {
    let head = Head::parse(Bytes::from(head));
    if !head.is_complete() {
        return None;
    }
    let edits: Edits = std::iter::once(Edit::Set {
        name: "Content-Transfer-Encoding".to_owned(),
        value: if recoding.quoted { "quoted-printable" } else { "base64" }.to_owned(),
    })
    .collect();
    Some(head.apply(&edits).ok()?.head.to_vec())
}

/// Whether a line of this range is too long.
fn has_long_line(content: &dyn Content, range: Range<u64>) -> io::Result<bool> {
    let mut length = 0usize;
    let mut last = 0u8;
    let mut long = false;
    each_piece(content, range, &mut |piece| {
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', &piece) {
            let before = if at == 0 { last } else { piece[at - 1] };
            let line = length + (at - from);
            long |= line - usize::from(before == b'\r' && line > 0) > LONGEST_LINE;
            (length, from) = (0, at + 1);
        }
        length += piece.len() - from;
        last = piece.last().copied().unwrap_or(last);
        Ok(())
    })?;
    let line = length - usize::from(last == b'\r' && length > 0);
    Ok(long || line > LONGEST_LINE)
}

/// The head with its long lines folded where blanks are; nothing where none is.
fn folded(head: &Head) -> Option<Vec<u8>> {
    let line_end = head.line_end().as_str();
    let mut out = Vec::with_capacity(head.len() + 64);
    let mut changed = false;
    for piece in head.pieces() {
        let Piece::Field(field) = piece else {
            out.extend_from_slice(piece.raw());
            continue;
        };
        let raw = field.raw();
        // A value never begins on a second line alone.
        let mut first = field.name().len() + 1;
        for line in raw.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = line;
            while rest.trim_ascii_end().len() > LONGEST_LINE {
                let Some(at) = fold_at(rest, first) else { break };
                out.extend_from_slice(&rest[..at]);
                out.extend_from_slice(line_end.as_bytes());
                rest = &rest[at..];
                (first, changed) = (1, true);
            }
            out.extend_from_slice(rest);
            first = 1;
        }
    }
    changed.then_some(out)
}

/// The last blank before the column where a line is to end, or the first behind it; something must stand before it and
/// behind it.
fn fold_at(line: &[u8], from: usize) -> Option<usize> {
    let said = line.iter().skip(from).position(|byte| !byte.is_ascii_whitespace())? + from;
    let end = line.trim_ascii_end().len();
    let blank = |at: &usize| matches!(line.get(*at), Some(b' ' | b'\t'));
    let before = (said..FOLDED.min(end)).rev().find(blank);
    before.or_else(|| (FOLDED.max(said)..end).find(blank))
}
