//! Where the bytes of a message come from.

use std::io;

use bytes::Bytes;

/// The bytes of a message, wherever they lie: in memory, in a file, in a row of both.
///
/// Reads block; whoever reads from a disk does so where blocking is allowed.
pub trait Content: Send + Sync {
    /// Bytes in all.
    fn size(&self) -> u64;

    /// The bytes from `offset` on, exactly `length` of them, fewer only at the end of the content.
    ///
    /// # Errors
    ///
    /// What the source of the bytes says. A part that cannot be read is an error, never a short answer.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes>;
}

impl Content for Bytes {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        Ok(self.slice(from..from.saturating_add(length).min(self.len())))
    }
}

/// Reads as [`Content::read_at`] does, and holds the source to its word.
///
/// # Errors
///
/// As [`Content::read_at`]; `UnexpectedEof` where the source gave fewer bytes than it has.
pub(crate) fn read(content: &dyn Content, offset: u64, length: usize) -> io::Result<Bytes> {
    let rest = usize::try_from(content.size().saturating_sub(offset)).unwrap_or(usize::MAX);
    let length = length.min(rest);
    if length == 0 {
        return Ok(Bytes::new());
    }
    let mut piece = content.read_at(offset, length)?;
    if piece.len() < length {
        let text = format!("{} of {length} bytes at offset {offset} of a message", piece.len());
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    piece.truncate(length);
    Ok(piece)
}
