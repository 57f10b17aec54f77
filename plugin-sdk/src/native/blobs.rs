//! Bodies in memory.

use std::sync::Arc;

/// The largest piece that is read or given at once, in bytes.
const PIECE: usize = 1024 * 1024;

/// A body. What the contract calls misuse panics, as it traps in a component.
#[derive(Debug)]
pub struct Blob {
    bytes: Arc<[u8]>,
}

impl Blob {
    /// A body made by the connector, at most 1 MiB.
    ///
    /// # Panics
    /// Where there are more bytes.
    pub fn new(bytes: &[u8]) -> Self {
        assert!(bytes.len() <= PIECE, "a body of more than 1 MiB is made with a writer");
        Self { bytes: bytes.into() }
    }
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
    /// BLAKE3 of the bytes.
    pub fn hash(&self) -> Vec<u8> {
        blake3::hash(&self.bytes).as_bytes().to_vec()
    }
    /// At most `length` bytes from `offset`.
    ///
    /// # Panics
    /// Where more than 1 MiB are asked for.
    pub fn read(&self, offset: u64, length: u32) -> Vec<u8> {
        assert!(length as usize <= PIECE, "a read of more than 1 MiB");
        self.part(offset, length.into()).to_vec()
    }
    /// A part as a body of its own. Cut to what is there.
    #[must_use]
    pub fn slice(&self, offset: u64, length: u64) -> Self {
        Self::of(self.part(offset, length))
    }
    /// Bodies one after the other.
    #[must_use]
    pub fn concat(parts: &[&Self]) -> Self {
        Self::of(&parts.iter().map(|part| &part.bytes[..]).collect::<Vec<_>>().concat())
    }

    /// Of any size: what the host makes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into() }
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn part(&self, offset: u64, length: u64) -> &[u8] {
        let end = self.bytes.len();
        let start = usize::try_from(offset).map_or(end, |offset| offset.min(end));
        let length = usize::try_from(length).map_or(end - start, |length| length.min(end - start));
        &self.bytes[start..start + length]
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
