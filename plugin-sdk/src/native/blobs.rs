//! Bodies in memory, or wherever who made them keeps them.

use std::any::Any;
use std::sync::Arc;

/// The largest piece that is read or given at once, in bytes.
const PIECE: usize = 1024 * 1024;

/// A body that lies elsewhere.
pub trait Body: Any + Send + Sync {
    /// Bytes.
    fn size(&self) -> u64;
    /// At most `length` bytes from `offset`.
    fn read(&self, offset: u64, length: usize) -> Vec<u8>;
}

/// A body. What the contract calls misuse panics, as it traps in a component.
pub struct Blob(Kept);

enum Kept {
    Here(Arc<[u8]>),
    Elsewhere(Arc<dyn Body>),
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Blob").field("size", &self.size()).finish()
    }
}

impl Blob {
    /// A body made by the connector, at most 1 MiB.
    ///
    /// # Panics
    /// Where there are more bytes.
    pub fn new(bytes: &[u8]) -> Self {
        assert!(bytes.len() <= PIECE, "a body of more than 1 MiB is made with a writer");
        Self::of(bytes)
    }
    /// Bytes.
    pub fn size(&self) -> u64 {
        match &self.0 {
            Kept::Here(bytes) => bytes.len() as u64,
            Kept::Elsewhere(body) => body.size(),
        }
    }
    /// BLAKE3 of the bytes.
    pub fn hash(&self) -> Vec<u8> {
        blake3::hash(&self.bytes()).as_bytes().to_vec()
    }
    /// At most `length` bytes from `offset`.
    ///
    /// # Panics
    /// Where more than 1 MiB are asked for.
    pub fn read(&self, offset: u64, length: u32) -> Vec<u8> {
        assert!(length as usize <= PIECE, "a read of more than 1 MiB");
        self.part(offset, length.into())
    }
    /// A part as a body of its own. Cut to what is there.
    #[must_use]
    pub fn slice(&self, offset: u64, length: u64) -> Self {
        Self::of(&self.part(offset, length))
    }
    /// Bodies one after the other.
    #[must_use]
    pub fn concat(parts: &[&Self]) -> Self {
        Self::of(&parts.iter().map(|part| part.bytes()).collect::<Vec<_>>().concat())
    }

    /// Of any size: what the host makes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Kept::Here(bytes.into()))
    }
    pub(crate) fn elsewhere(body: Arc<dyn Body>) -> Self {
        Self(Kept::Elsewhere(body))
    }
    pub(crate) fn kept_elsewhere(&self) -> Option<&dyn Body> {
        match &self.0 {
            Kept::Here(_) => None,
            Kept::Elsewhere(body) => Some(&**body),
        }
    }
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.part(0, u64::MAX)
    }

    fn part(&self, offset: u64, length: u64) -> Vec<u8> {
        let end = usize::try_from(self.size()).unwrap_or(usize::MAX);
        let start = usize::try_from(offset).map_or(end, |offset| offset.min(end));
        let length = usize::try_from(length).map_or(end - start, |length| length.min(end - start));
        match &self.0 {
            Kept::Here(bytes) => bytes[start..start + length].to_vec(),
            Kept::Elsewhere(body) => body.read(offset, length),
        }
    }
}

/// Handles pass between a component and its host, and there is neither: generated code names these, and calls none.
#[doc(hidden)]
#[allow(
    unsafe_code,
    clippy::missing_safety_doc,
    clippy::unreachable,
    reason = "for generated code"
)]
impl Blob {
    pub unsafe fn from_handle(_: u32) -> Self {
        unreachable!("a native build has no handles")
    }
    pub fn take_handle(&self) -> u32 {
        unreachable!("a native build has no handles")
    }
    pub fn handle(&self) -> u32 {
        unreachable!("a native build has no handles")
    }
}

/// Builds a body piece by piece.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: std::cell::RefCell<Vec<u8>>,
}

impl Writer {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }
    /// The next bytes.
    pub fn write(&self, bytes: &[u8]) {
        self.bytes.borrow_mut().extend_from_slice(bytes);
    }
    /// The body.
    pub fn finish(writer: Self) -> Blob {
        Blob::of(&writer.bytes.into_inner())
    }
}
