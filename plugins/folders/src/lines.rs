//! Lines of a body of any size, without copying each of them.

use crate::Body;

/// Bytes that are read at once.
const PIECE: u32 = 256 << 10;
/// Bytes of a line that are shown at most; what follows is only counted.
pub const SHOWN: usize = 64 << 10;

/// A line. The last one may have no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where it begins.
    pub offset: u64,
    /// Its bytes, end included; the first [`SHOWN`] of a longer one.
    pub bytes: &'a [u8],
    /// How many bytes it has, end included.
    pub length: u64,
}

impl<'a> Line<'a> {
    /// Without LF, CRLF or CR.
    pub fn text(&self) -> &'a [u8] {
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes);
        bytes.strip_suffix(b"\r").unwrap_or(bytes)
    }

    /// Whether it is LF or CRLF and nothing else.
    pub fn is_blank(&self) -> bool {
        matches!(self.bytes, b"\n" | b"\r\n")
    }

    /// Where the next one begins.
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// Reads them.
#[derive(Debug)]
pub struct Lines<'a, B> {
    body: &'a B,
    end: u64,
    buffer: Vec<u8>,
    /// Offset of the buffer in the body.
    start: u64,
    /// What of the buffer is used up.
    used: usize,
    long: Vec<u8>,
    /// What ends a line.
    terminator: u8,
}

impl<'a, B: Body> Lines<'a, B> {
    /// Of `body` up to the offset `end`.
    pub fn new(body: &'a B, end: u64) -> Self {
        Self {
            body,
            end: end.min(body.size()),
            buffer: Vec::new(),
            start: 0,
            used: 0,
            long: Vec::new(),
            terminator: b'\n',
        }
    }

    /// Lines end with this byte, and not with LF.
    #[must_use]
    pub fn ending_with(mut self, terminator: u8) -> Self {
        self.terminator = terminator;
        self
    }

    /// Where the next line begins.
    pub fn offset(&self) -> u64 {
        self.start + self.used as u64
    }

    /// Where the lines end.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Goes on at this offset, which costs nothing where it is near.
    pub fn seek(&mut self, offset: u64) {
        match offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok()) {
            Some(at) if at <= self.buffer.len() => self.used = at,
            _ => {
                self.buffer.clear();
                (self.start, self.used) = (offset, 0);
            }
        }
    }

    /// Reads more behind what is in the buffer; false at the end.
    fn fill(&mut self) -> bool {
        let from = self.start + self.buffer.len() as u64;
        let room = self.end.saturating_sub(from).min(u64::from(PIECE));
        let piece = match u32::try_from(room) {
            Ok(room) if room > 0 => self.body.read(from, room),
            _ => Vec::new(),
        };
        if piece.is_empty() {
            return false;
        }
        if self.used == self.buffer.len() {
            self.start = from;
            self.used = 0;
            self.buffer = piece;
        } else {
            self.start += self.used as u64;
            self.buffer.drain(..self.used);
            self.used = 0;
            self.buffer.extend_from_slice(&piece);
        }
        true
    }

    /// The next line; none at the end.
    #[allow(
        clippy::should_implement_trait,
        reason = "a line borrows from the reader, which no iterator's can"
    )]
    pub fn next(&mut self) -> Option<Line<'_>> {
        if self.used == self.buffer.len() && !self.fill() {
            return None;
        }
        let offset = self.offset();
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.used + searched..];
            if let Some(at) = memchr::memchr(self.terminator, rest) {
                let length = searched + at + 1;
                let start = self.used;
                self.used += length;
                let shown = length.min(SHOWN);
                return Some(Line {
                    offset,
                    bytes: &self.buffer[start..start + shown],
                    length: length as u64,
                });
            }
            searched = self.buffer.len() - self.used;
            if searched > SHOWN {
                return Some(self.long_line(offset));
            }
            if !self.fill() {
                let start = self.used;
                self.used = self.buffer.len();
                return Some(Line {
                    offset,
                    bytes: &self.buffer[start..],
                    length: searched as u64,
                });
            }
        }
    }

    /// Keeps the beginning of the line and goes to its end.
    fn long_line(&mut self, offset: u64) -> Line<'_> {
        self.long.clear();
        self.long.extend_from_slice(&self.buffer[self.used..self.used + SHOWN]);
        loop {
            match memchr::memchr(self.terminator, &self.buffer[self.used..]) {
                Some(at) => {
                    self.used += at + 1;
                    break;
                }
                None => {
                    self.used = self.buffer.len();
                    if !self.fill() {
                        break;
                    }
                }
            }
        }
        let length = self.offset() - offset;
        Line {
            offset,
            bytes: &self.long,
            length,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, Vec<u8>, u64)> {
        let body = Bytes::from_bytes(bytes);
        let mut lines = Lines::new(&body, u64::MAX);
        let mut out = Vec::new();
        while let Some(line) = lines.next() {
            out.push((line.offset, line.bytes.to_vec(), line.length));
        }
        out
    }

    #[test]
    fn huge_lines_are_counted_and_not_kept() {
        let mut bytes = vec![b'x'; 1_000_000];
        bytes.extend_from_slice(b"\nshort\n");
        bytes.extend_from_slice(&vec![b'y'; 300_000]);
        let lines = all(&bytes);
        let seen: Vec<(u64, usize, u64)> = lines
            .iter()
            .map(|(offset, shown, length)| (*offset, shown.len(), *length))
            .collect();
        assert_eq!(
            seen,
            [(0, SHOWN, 1_000_001), (1_000_001, 6, 6), (1_000_007, SHOWN, 300_000)]
        );
    }

    #[test]
    fn lines_end_where_they_are_said_to() {
        let body = Bytes::from_bytes(b"a\rb\r\rc");
        let mut lines = Lines::new(&body, u64::MAX).ending_with(b'\r');
        let mut texts = Vec::new();
        while let Some(line) = lines.next() {
            texts.push(line.text().to_vec());
        }
        assert_eq!(texts, [&b"a"[..], b"b", b"", b"c"]);
    }

    #[test]
    fn seeking_is_exact() {
        let body = Bytes::from_bytes(&b"0123456\n".repeat(100_000));
        let mut lines = Lines::new(&body, 799_996);
        for offset in [0, 8, 700_000, 0, 799_992, 799_996, 900_000] {
            lines.seek(offset);
            assert_eq!(
                lines.next().map(|line| (line.offset, line.length)),
                match offset {
                    799_992 => Some((offset, 4)),
                    799_996.. => None,
                    _ => Some((offset, 8)),
                }
            );
        }
    }

    proptest! {
        #[test]
        fn lines_are_the_body(lengths in proptest::collection::vec(prop_oneof![0usize..100, 60_000usize..70_000, 250_000usize..270_000], 0..6), end: bool) {
            let mut bytes = Vec::new();
            for length in &lengths {
                bytes.resize(bytes.len() + length, b'a');
                bytes.push(b'\n');
            }
            if !end {
                bytes.pop();
            }
            let mut offset = 0;
            for (at, shown, length) in all(&bytes) {
                prop_assert_eq!(at, offset);
                prop_assert!(shown.len() as u64 == length.min(SHOWN as u64));
                offset += length;
            }
            prop_assert_eq!(offset, bytes.len() as u64);
        }
    }
}
