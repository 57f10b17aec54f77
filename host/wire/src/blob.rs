//! Bodies: immutable, cheap to clone, in memory, spilled to disk or lying in a granted file.
//!
//! A body is a row of segments, each a part of some bytes in memory or of a file. Cutting a part out of a body and
//! putting bodies one after the other make new rows, never copies.

mod file;
mod store;

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::OnceCell;
use whimbrel_model::{Fingerprint, Fingerprinter};

pub(crate) use file::{FileBody, Reopen};
pub use store::{BlobStore, BlobStoreConfig, BlobWriter};

/// Bytes that a [`BlobReader`] gives at a time, at most.
pub const PIECE_BYTES: usize = 256 * 1024;

/// Segments that one body can consist of. A bound, because a body put together with itself again and again would
/// otherwise outgrow memory in forty steps.
pub const MAX_SEGMENTS: usize = 65_536;

/// The content of an item: immutable, cheap to clone and to share between tasks.
///
/// What lies on disk is read when it is asked for. A read is exact or an error: a file that shrank or vanished gives
/// an error that says so, never a short body.
#[derive(Clone)]
pub struct Blob {
    inner: Arc<Inner>,
}

struct Inner {
    segments: Vec<Segment>,
    size: u64,
    print: OnceCell<Fingerprint>,
}

/// A part of a body; never empty.
#[derive(Clone)]
struct Segment {
    /// Where it begins in the body.
    start: u64,
    length: u64,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Memory(Bytes),
    File { file: Arc<FileBody>, offset: u64 },
}

/// A part of a body as it lies.
enum Pieces {
    /// In memory, in one piece.
    One(Bytes),
    /// In several pieces, or in a file.
    Several { parts: Vec<Segment>, total: usize },
}

impl Segment {
    fn in_memory(&self) -> bool {
        matches!(self.source, Source::Memory(_))
    }

    /// The part of this segment that lies in `offset..end` of the body, begun at `start` of another body.
    fn cut(&self, offset: u64, end: u64, start: u64) -> Option<Segment> {
        let from = offset.saturating_sub(self.start).min(self.length);
        let to = end.saturating_sub(self.start).min(self.length);
        if from >= to {
            return None;
        }
        let source = match &self.source {
            Source::Memory(bytes) => Source::Memory(bytes.slice(index(from)..index(to))),
            Source::File { file, offset } => Source::File {
                file: Arc::clone(file),
                offset: offset + from,
            },
        };
        Some(Segment {
            start,
            length: to - from,
            source,
        })
    }

    /// Whether `next` lies in the same file, right behind this one.
    fn continues_in(&self, next: &Segment) -> bool {
        match (&self.source, &next.source) {
            (
                Source::File { file, offset },
                Source::File {
                    file: next_file,
                    offset: next_offset,
                },
            ) => Arc::ptr_eq(file, next_file) && offset.checked_add(self.length) == Some(*next_offset),
            _ => false,
        }
    }
}

/// Positions in memory always fit: they are bounded by the length of a `Bytes`.
fn index(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

impl Blob {
    fn from_segments(segments: Vec<Segment>, print: Option<Fingerprint>) -> Blob {
        let size = segments.last().map_or(0, |last| last.start + last.length);
        Blob {
            inner: Arc::new(Inner {
                segments,
                size,
                print: OnceCell::new_with(print),
            }),
        }
    }

    fn from_source(source: Source, size: u64, print: Option<Fingerprint>) -> Blob {
        let segments = if size == 0 {
            Vec::new()
        } else {
            vec![Segment {
                start: 0,
                length: size,
                source,
            }]
        };
        Blob::from_segments(segments, print)
    }

    /// A body in memory. It is not counted in any budget: bodies from outside go through [`BlobStore::writer`].
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Blob {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        Blob::from_source(Source::Memory(bytes), size, None)
    }

    /// `size` bytes of `file` from `offset`.
    pub(crate) fn from_file(file: FileBody, offset: u64, size: u64) -> Blob {
        Blob::from_source(
            Source::File {
                file: Arc::new(file),
                offset,
            },
            size,
            None,
        )
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// How many segments the body consists of; at most [`MAX_SEGMENTS`].
    pub fn segments(&self) -> usize {
        self.inner.segments.len()
    }

    /// A part of this body as a body of its own, without copying. Cut to what is there.
    pub fn slice(&self, offset: u64, length: u64) -> Blob {
        let end = offset.saturating_add(length).min(self.size());
        if offset == 0 && end == self.size() {
            return self.clone();
        }
        let mut segments = Vec::new();
        for segment in self.segments_from(offset).take_while(|segment| segment.start < end) {
            segments.extend(segment.cut(offset, end, segment.start.saturating_sub(offset)));
        }
        Blob::from_segments(segments, None)
    }

    /// Bodies one after the other, as one body, without copying.
    ///
    /// # Errors
    /// `InvalidInput` where it would consist of more than [`MAX_SEGMENTS`] segments or hold more bytes than a `u64`
    /// counts.
    pub fn concat(parts: &[Blob]) -> io::Result<Blob> {
        if let [only] = parts {
            return Ok(only.clone());
        }
        let count: usize = parts.iter().map(Blob::segments).sum();
        if count > MAX_SEGMENTS {
            let text = format!("a body of {count} segments; the limit is {MAX_SEGMENTS}: write it through a writer");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut segments: Vec<Segment> = Vec::with_capacity(count);
        let mut start = 0u64;
        for segment in parts.iter().flat_map(|part| &part.inner.segments) {
            match segments.last_mut() {
                Some(last) if last.continues_in(segment) => last.length += segment.length,
                _ => segments.push(Segment {
                    start,
                    ..segment.clone()
                }),
            }
            start = start
                .checked_add(segment.length)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a body of more than 2^64 bytes"))?;
        }
        Ok(Blob::from_segments(segments, None))
    }

    /// At most `length` bytes from `offset`; shorter only at the end of the body.
    ///
    /// Does not copy where the bytes lie in memory in one piece. Reads of files run on blocking threads.
    ///
    /// # Errors
    /// What reading the file gave; `UnexpectedEof` where a file has become shorter than the body was.
    pub async fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        match self.pieces(offset, length) {
            Pieces::One(bytes) => Ok(bytes),
            Pieces::Several { parts, total } if parts.iter().all(Segment::in_memory) => gather(&parts, total),
            Pieces::Several { parts, total } => blocking(move || gather(&parts, total)).await,
        }
    }

    /// As [`Blob::read_at`], on this very thread: for callers that may block.
    ///
    /// # Errors
    /// As [`Blob::read_at`].
    pub fn read_at_blocking(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        match self.pieces(offset, length) {
            Pieces::One(bytes) => Ok(bytes),
            Pieces::Several { parts, total } => gather(&parts, total),
        }
    }

    /// Where the bytes of this part lie.
    fn pieces(&self, offset: u64, length: usize) -> Pieces {
        let end = offset.saturating_add(length as u64).min(self.size());
        if offset >= end {
            return Pieces::One(Bytes::new());
        }
        let mut segments = self
            .segments_from(offset)
            .take_while(|segment| segment.start < end)
            .filter_map(|segment| segment.cut(offset, end, 0));
        let first = segments.next();
        let second = segments.next();
        match (first, second) {
            (
                Some(Segment {
                    source: Source::Memory(bytes),
                    ..
                }),
                None,
            ) => Pieces::One(bytes),
            (first, second) => Pieces::Several {
                parts: first.into_iter().chain(second).chain(segments).collect(),
                total: index(end - offset),
            },
        }
    }

    /// Reads the body from its beginning to its end.
    pub fn reader(&self) -> BlobReader {
        BlobReader {
            blob: self.clone(),
            offset: 0,
        }
    }

    /// What the body is known by. Free where it was hashed on the way in; else it is read once, and remembered for
    /// all clones.
    ///
    /// # Errors
    /// As [`Blob::read_at`].
    pub async fn fingerprint(&self) -> io::Result<Fingerprint> {
        let print = self.inner.print.get_or_try_init(|| async {
            if let Pieces::One(bytes) = self.pieces(0, PIECE_BYTES)
                && bytes.len() as u64 == self.size()
            {
                return Ok(Fingerprint::of(&bytes));
            }
            let mut printer = Fingerprinter::new();
            let mut reader = self.reader();
            while let Some(piece) = reader.next().await? {
                printer.update(&piece);
            }
            Ok::<_, io::Error>(printer.finish())
        });
        print.await.copied()
    }

    /// The whole body in memory, where it is not larger than `limit` bytes.
    ///
    /// # Errors
    /// `InvalidInput` where it is larger, else as [`Blob::read_at`].
    pub async fn to_bytes(&self, limit: usize) -> io::Result<Bytes> {
        if self.size() > limit as u64 {
            let text = format!(
                "a body of {} bytes was to be read at once; the limit is {limit}",
                self.size()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.read_at(0, limit).await
    }

    /// The segments from the one that holds `offset` on.
    fn segments_from(&self, offset: u64) -> impl Iterator<Item = &Segment> {
        let first = self
            .inner
            .segments
            .partition_point(|segment| segment.start + segment.length <= offset);
        self.inner.segments[first..].iter()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("size", &self.size())
            .field("segments", &self.segments())
            .finish()
    }
}

fn gather(parts: &[Segment], total: usize) -> io::Result<Bytes> {
    let mut out = BytesMut::zeroed(total);
    let mut rest = &mut out[..];
    for part in parts {
        let (here, behind) = rest.split_at_mut(index(part.length).min(rest.len()));
        match &part.source {
            Source::Memory(bytes) => here.copy_from_slice(bytes),
            Source::File { file, offset } => file.read_exact_at(here, *offset)?,
        }
        rest = behind;
    }
    Ok(out.freeze())
}

/// Runs blocking work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(io::Error::other(format!("a file operation was abandoned: {error}"))),
    }
}

/// Reads a body piece by piece.
#[derive(Debug, Clone)]
pub struct BlobReader {
    blob: Blob,
    offset: u64,
}

impl BlobReader {
    /// The next piece, of at most [`PIECE_BYTES`]; none at the end.
    ///
    /// # Errors
    /// As [`Blob::read_at`]. The same piece is tried again by the next call.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let piece = self.blob.read_at(self.offset, PIECE_BYTES).await?;
        self.offset += piece.len() as u64;
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.offset
    }
}

#[cfg(test)]
mod tests;
