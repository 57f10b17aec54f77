//! The head of a message: everything up to and with the empty line (RFC 5322 section 2.1).

use std::{io, ops::Range};

use bytes::Bytes;
use memchr::memchr;

use crate::{
    content::{Content, read},
    field::Field,
};

/// Bytes of a message that are searched for the end of the head, at most.
pub const HEAD_LIMIT: usize = 1024 * 1024;

/// Bytes that are read first; each further piece doubles what is there.
const FIRST_PIECE: usize = 8 * 1024;

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// Carriage return and line feed, as RFC 5322 has it.
    Crlf,
    /// A bare line feed.
    Lf,
}

impl LineEnd {
    /// The bytes.
    pub fn as_str(self) -> &'static str {
        match self {
            LineEnd::Crlf => "\r\n",
            LineEnd::Lf => "\n",
        }
    }
}

/// The head of a message, with an index of its fields.
///
/// Everything odd is normal here. A line that is no field (an mbox `From ` line, a line without colon, a folded first
/// line) stays where it is and belongs to nobody; so do the lines that continue it.
#[derive(Debug, Clone)]
pub struct Head {
    bytes: Bytes,
    pieces: Vec<Span>,
    complete: bool,
    cut: bool,
}

/// What lies between two boundaries of pieces, as offsets into the head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
    /// Where the name ends; equal to `start` where the piece is no field.
    pub name_end: u32,
    /// Behind the colon.
    pub value: u32,
    /// Without the final line end.
    pub value_end: u32,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Field,
    Other,
    End,
}

/// A part of a head; the pieces of a head, one after the other, are the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A field with its folded lines.
    Field(Field<'a>),
    /// Lines that are no field.
    Other(&'a [u8]),
    /// The empty line.
    End(&'a [u8]),
}

impl<'a> Piece<'a> {
    /// The bytes as they stand.
    pub fn raw(&self) -> &'a [u8] {
        match self {
            Piece::Field(field) => field.raw(),
            Piece::Other(raw) | Piece::End(raw) => raw,
        }
    }
}

impl Head {
    /// Reads the head in pieces of 8 KiB, doubling, and nothing behind [`HEAD_LIMIT`]. Where the empty line lies farther
    /// on, the head ends with the last field that is known to be whole, and [`Head::is_cut`] says so.
    ///
    /// # Errors
    ///
    /// As [`Content::read_at`].
    pub fn read(content: &dyn Content) -> io::Result<Head> {
        Head::read_in(content, 0..content.size(), HEAD_LIMIT)
    }

    /// The head that begins at the start of `range` and ends before its end.
    pub(crate) fn read_in(content: &dyn Content, range: Range<u64>, limit: usize) -> io::Result<Head> {
        let whole = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut want = FIRST_PIECE;
        loop {
            let length = want.min(limit).min(whole);
            let bytes = read(content, range.start, length)?;
            // A longer head is read again as a whole, so that it is one slice.
            let head = Head::index(bytes, length < whole);
            if head.complete || length == whole || length == limit {
                return Ok(head);
            }
            want = want.saturating_mul(2);
        }
    }

    /// The head that these bytes begin with. Bytes behind the empty line are left out, and so is what lies behind
    /// [`HEAD_LIMIT`].
    pub fn parse(mut bytes: Bytes) -> Head {
        let long = bytes.len() > HEAD_LIMIT;
        bytes.truncate(HEAD_LIMIT);
        Head::index(bytes, long)
    }

    /// As [`Head::parse`]; `more` says that the content goes on behind the bytes.
    pub(crate) fn index(mut bytes: Bytes, more: bool) -> Head {
        let mut pieces: Vec<Span> = Vec::with_capacity(bytes.len() / 96 + 4);
        let mut complete = false;
        let mut at = 0;
        while at < bytes.len() {
            let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length + 1);
            let line = &bytes[at..end];
            if is_blank(line) {
                pieces.push(span(at, end, Kind::End));
                complete = true;
                at = end;
                break;
            }
            let first = line[0];
            let continued = first == b' ' || first == b'\t';
            match pieces.last_mut() {
                Some(last) if continued => {
                    last.end = offset(end);
                    last.value_end = offset(end - line_end_length(line));
                }
                _ => pieces.push(field(at, line)),
            }
            at = end;
        }
        let cut = more && !complete;
        if cut {
            // The last piece may go on behind the limit.
            at = pieces.pop().map_or(0, |last| last.start as usize);
        }
        bytes.truncate(at);
        Head {
            bytes,
            pieces,
            complete,
            cut,
        }
    }

    /// The bytes as they stand, with the empty line.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Bytes in all, the empty line included: where the body begins.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether the empty line is there.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the head is longer than what may be read of it.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// How the first line ends; CRLF where there is none.
    pub fn line_end(&self) -> LineEnd {
        match memchr(b'\n', &self.bytes) {
            Some(at) if at == 0 || self.bytes[at - 1] != b'\r' => LineEnd::Lf,
            _ => LineEnd::Crlf,
        }
    }

    /// All pieces in their order; without gaps.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.pieces.iter().map(|piece| match piece.kind {
            Kind::Field => Piece::Field(self.field(piece)),
            Kind::Other => Piece::Other(self.slice(piece.start, piece.end)),
            Kind::End => Piece::End(self.slice(piece.start, piece.end)),
        })
    }

    /// The fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.pieces
            .iter()
            .filter(|piece| piece.kind == Kind::Field)
            .map(|piece| self.field(piece))
    }

    /// The first field of this name, whatever its case.
    pub fn first(&self, name: &str) -> Option<Field<'_>> {
        self.all(name).next()
    }

    /// All fields of this name, whatever its case.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = Field<'a>> + use<'a, 'n> {
        self.pieces
            .iter()
            .filter(move |piece| {
                (piece.name_end - piece.start) as usize == name.len()
                    && piece.kind == Kind::Field
                    && self
                        .slice(piece.start, piece.name_end)
                        .eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|piece| self.field(piece))
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    pub(crate) fn spans(&self) -> &[Span] {
        &self.pieces
    }

    fn field(&self, piece: &Span) -> Field<'_> {
        let name = piece.name_end - piece.start;
        let value = piece.value - piece.start..piece.value_end - piece.start;
        Field::new(
            self.slice(piece.start, piece.end),
            name as usize,
            value.start as usize..value.end as usize,
        )
    }

    fn slice(&self, start: u32, end: u32) -> &[u8] {
        &self.bytes[start as usize..end as usize]
    }
}

/// A line of nothing but carriage returns and its line feed.
fn is_blank(line: &[u8]) -> bool {
    line.first() == Some(&b'\n')
        || (line.first() == Some(&b'\r')
            && line
                .split_last()
                .is_some_and(|(last, rest)| *last == b'\n' && rest.iter().all(|&byte| byte == b'\r')))
}

/// Offsets are below [`HEAD_LIMIT`].
pub(crate) fn offset(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn line_end_length(line: &[u8]) -> usize {
    match line {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    }
}

fn span(start: usize, end: usize, kind: Kind) -> Span {
    let (start, end) = (offset(start), offset(end));
    Span {
        start,
        end,
        name_end: start,
        value: start,
        value_end: end,
        kind,
    }
}

/// The piece that begins with this line.
fn field(at: usize, line: &[u8]) -> Span {
    let mut piece = span(at, at + line.len(), Kind::Other);
    piece.value_end = offset(at + line.len() - line_end_length(line));
    // Names are short; what has no colon soon is no field.
    let mut length = 0;
    while let Some(&byte) = line.get(length) {
        if byte <= b' ' || byte == b':' || byte == 0x7f {
            break;
        }
        length += 1;
    }
    let blanks = line[length..]
        .iter()
        .take_while(|&&byte| matches!(byte, b' ' | b'\t'))
        .count();
    if length > 0 && line.get(length + blanks) == Some(&b':') {
        piece.kind = Kind::Field;
        piece.name_end = offset(at + length);
        piece.value = offset(at + length + blanks + 1);
    }
    piece
}
