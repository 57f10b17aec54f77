//! Bodies in pieces. What reads them is written over [`ReadAt`], so that it runs natively on plain bytes too.

use crate::host::blobs;
use crate::{Blob, Failure, Result};

/// The largest piece that the host gives or takes at once, in bytes.
pub const MAX_PIECE: u32 = 1024 * 1024;

/// Bytes that can be read from any offset.
pub trait ReadAt {
    /// How many there are.
    fn size(&self) -> u64;
    /// At most `length` bytes ([`MAX_PIECE`] at most) from `offset`; shorter only at the end.
    fn read_at(&self, offset: u64, length: u32) -> Vec<u8>;
}

impl ReadAt for Blob {
    fn size(&self) -> u64 {
        Blob::size(self)
    }
    fn read_at(&self, offset: u64, length: u32) -> Vec<u8> {
        self.read(offset, length.min(MAX_PIECE))
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }
    fn read_at(&self, offset: u64, length: u32) -> Vec<u8> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let length = usize::try_from(length.min(MAX_PIECE))
            .unwrap_or(usize::MAX)
            .min(self.len() - start);
        self[start..start + length].to_vec()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn size(&self) -> u64 {
        (**self).size()
    }
    fn read_at(&self, offset: u64, length: u32) -> Vec<u8> {
        (**self).read_at(offset, length)
    }
}

/// All bytes, where they are at most `cap`.
///
/// # Errors
/// `too-large` with the cap.
pub fn read_whole(body: &(impl ReadAt + ?Sized), cap: u64) -> Result<Vec<u8>> {
    let size = body.size();
    if size > cap {
        return Err(Failure::too_large(Some(cap)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    while (bytes.len() as u64) < size {
        let piece = body.read_at(bytes.len() as u64, MAX_PIECE);
        if piece.is_empty() {
            return Err(Failure::internal("a body ended before its size"));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// One line of a body, or the beginning of a very long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it begins, in bytes from the start of the body.
    pub offset: u64,
    /// Its bytes with the line end, if it has one; at most the reader's cap, a longer line is cut there.
    pub bytes: Vec<u8>,
    /// How many bytes it has in the body, its line end included.
    pub length: u64,
}

impl Line {
    /// The bytes without LF or CRLF at the end.
    pub fn text(&self) -> &[u8] {
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        bytes.strip_suffix(b"\r").unwrap_or(bytes)
    }
    /// Where the next line begins.
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// Lines of a body, one after the other, holding one piece at a time. Ends at LF; the last line may have no end.
#[derive(Debug)]
pub struct Lines<B> {
    body: B,
    size: u64,
    piece: Vec<u8>,
    /// Where the piece begins in the body.
    start: u64,
    /// What of the piece is used up.
    used: usize,
    piece_bytes: u32,
    cap: usize,
}

/// Bytes of a line that are kept unless [`Lines::cap`] says otherwise.
const LINE_CAP: usize = 64 * 1024;

impl<B: ReadAt> Lines<B> {
    /// From `offset` on.
    pub fn new(body: B, offset: u64) -> Self {
        let size = body.size();
        let offset = offset.min(size);
        Self {
            body,
            size,
            piece: Vec::new(),
            start: offset,
            used: 0,
            piece_bytes: 256 * 1024,
            cap: LINE_CAP,
        }
    }
    /// Keeps at most so many bytes of a line.
    #[must_use]
    pub fn cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }
    /// Reads so many bytes at once, [`MAX_PIECE`] at most.
    #[must_use]
    pub fn piece(mut self, bytes: u32) -> Self {
        self.piece_bytes = bytes.clamp(1, MAX_PIECE);
        self
    }
    /// Where the next line begins.
    pub fn offset(&self) -> u64 {
        self.start + self.used as u64
    }
    /// The body itself.
    pub fn body(&self) -> &B {
        &self.body
    }

    fn fill(&mut self) -> bool {
        if self.used < self.piece.len() {
            return true;
        }
        self.start += self.piece.len() as u64;
        self.used = 0;
        self.piece = if self.start < self.size {
            self.body.read_at(self.start, self.piece_bytes)
        } else {
            Vec::new()
        };
        !self.piece.is_empty()
    }
}

impl<B: ReadAt> Iterator for Lines<B> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        if !self.fill() {
            return None;
        }
        let mut line = Line {
            offset: self.offset(),
            bytes: Vec::new(),
            length: 0,
        };
        loop {
            let rest = &self.piece[self.used..];
            let end = rest.iter().position(|&byte| byte == b'\n');
            let taken = &rest[..end.map_or(rest.len(), |at| at + 1)];
            let kept = taken.len().min(self.cap.saturating_sub(line.bytes.len()));
            line.bytes.extend_from_slice(&taken[..kept]);
            line.length += taken.len() as u64;
            self.used += taken.len();
            if end.is_some() || !self.fill() {
                return Some(line);
            }
        }
    }
}

/// Builds a body on the host piece by piece; small writes are gathered.
#[derive(Debug)]
pub struct Writer {
    host: blobs::Writer,
    gathered: Vec<u8>,
}

/// Small writes are gathered up to this many bytes.
const GATHER: usize = 64 * 1024;

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty body.
    pub fn new() -> Self {
        Self {
            host: blobs::Writer::new(),
            gathered: Vec::new(),
        }
    }
    /// The next bytes, however many.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() <= GATHER {
            self.gathered.extend_from_slice(bytes);
            return;
        }
        self.flush();
        for piece in bytes.chunks(MAX_PIECE as usize) {
            self.host.write(piece);
        }
    }
    /// The body.
    pub fn finish(mut self) -> Blob {
        self.flush();
        blobs::Writer::finish(self.host)
    }

    fn flush(&mut self) {
        if !self.gathered.is_empty() {
            self.host.write(&self.gathered);
            self.gathered.clear();
        }
    }
}

/// A body of these bytes, however many.
pub fn blob(bytes: &[u8]) -> Blob {
    if bytes.len() <= MAX_PIECE as usize {
        return Blob::new(bytes);
    }
    let mut writer = Writer::new();
    writer.write(bytes);
    writer.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_whole_body_is_read_up_to_the_cap() {
        let body = vec![7u8; 3 * 1024 * 1024 + 5];
        assert_eq!(read_whole(body.as_slice(), u64::MAX).unwrap(), body);
        assert_eq!(read_whole(body.as_slice(), 10), Err(Failure::TooLarge(Some(10))));
        assert_eq!(read_whole([].as_slice(), 0).unwrap(), Vec::<u8>::new());
    }

    #[test]
    fn lines_know_where_they_are() {
        let lines: Vec<Line> = Lines::new(b"ab\r\n\nlong line\nend".as_slice(), 0)
            .cap(6)
            .piece(3)
            .collect();
        let seen: Vec<(u64, &[u8], u64)> = lines
            .iter()
            .map(|line| (line.offset, line.text(), line.length))
            .collect();
        assert_eq!(
            seen,
            [(0, &b"ab"[..], 4), (4, b"", 1), (5, b"long l", 10), (15, b"end", 3)]
        );
        assert_eq!(Lines::new(b"ab\ncd".as_slice(), 3).next().unwrap().bytes, b"cd");
        assert_eq!(Lines::new(b"ab".as_slice(), 99).next(), None);
    }

    proptest! {
        #[test]
        fn lines_are_the_body(body in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200), piece in 1u32..9) {
            let lines: Vec<Line> = Lines::new(body.as_slice(), 0).piece(piece).collect();
            prop_assert_eq!(lines.iter().flat_map(|line| line.bytes.clone()).collect::<Vec<u8>>(), body);
            for pair in lines.windows(2) {
                prop_assert_eq!(pair[0].end(), pair[1].offset);
                prop_assert_eq!(pair[0].bytes.last(), Some(&b'\n'));
            }
        }
    }
}
