//! Fingerprints: by which a body is known again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// BLAKE3 of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a body is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Of the bytes as they are.
    pub exact: Hash,
    /// Of the bytes without what mail stores change on the way: carriage returns, NUL (some serve it as 0x80) and
    /// line ends at the very end. Equal where two bodies differ in nothing else.
    pub transport: Hash,
    /// Bytes.
    pub size: u64,
    /// Line feeds without a carriage return before them.
    pub bare_line_feeds: u64,
    /// NUL bytes.
    pub nuls: u64,
    /// The longest line in bytes, its end apart.
    pub longest_line: u64,
}

/// Bytes that are gathered before they are hashed: BLAKE3 works on sixteen chunks of 1 KiB at once, and on lines one by one
/// it is several times slower.
const GATHERED: usize = 16 << 10;

/// A hash over many small pieces.
#[derive(Clone, Default)]
struct Gathering {
    hasher: blake3::Hasher,
    waiting: Vec<u8>,
}

impl Gathering {
    fn update(&mut self, mut bytes: &[u8]) {
        while self.waiting.len() + bytes.len() >= GATHERED {
            if self.waiting.is_empty() {
                let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % GATHERED);
                self.hasher.update(whole);
                bytes = rest;
            } else {
                let (fits, rest) = bytes.split_at(GATHERED - self.waiting.len());
                self.waiting.extend_from_slice(fits);
                self.hasher.update(&self.waiting);
                self.waiting.clear();
                bytes = rest;
            }
        }
        self.waiting.extend_from_slice(bytes);
    }

    fn finish(&self) -> Hash {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.waiting);
        Hash(*hasher.finalize().as_bytes())
    }
}

/// Takes the fingerprint of a body as its bytes pass.
#[derive(Clone, Default)]
pub struct Fingerprinter {
    exact: Gathering,
    transport: Gathering,
    size: u64,
    bare_line_feeds: u64,
    nuls: u64,
    longest_line: u64,
    line: u64,
    last: u8,
    /// Line feeds held back until something follows them.
    pending_line_feeds: u64,
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprinter")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Fingerprinter {
    /// Nothing seen so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.exact.update(bytes);
        self.size += bytes.len() as u64;
        // Lines are taken as they lie; only CR, LF and, rarely, NUL and 0x80 need a look.
        let mut start = 0;
        for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
            self.run(&bytes[start..at]);
            start = at + 1;
            if bytes[at] == b'\n' {
                let before = if at == 0 { self.last } else { bytes[at - 1] };
                self.bare_line_feeds += u64::from(before != b'\r');
                self.longest_line = self.longest_line.max(self.line);
                self.line = 0;
                self.pending_line_feeds += 1;
            }
        }
        self.run(&bytes[start..]);
        if let Some(&last) = bytes.last() {
            self.last = last;
        }
    }

    /// Bytes without CR and LF. Some stores serve NUL as 0x80: both are the same.
    fn run(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        while self.pending_line_feeds > 0 {
            const LINE_FEEDS: [u8; 64] = [b'\n'; 64];
            let now = self.pending_line_feeds.min(LINE_FEEDS.len() as u64);
            #[allow(clippy::cast_possible_truncation)] // At most 64.
            self.transport.update(&LINE_FEEDS[..now as usize]);
            self.pending_line_feeds -= now;
        }
        self.line += bytes.len() as u64;
        let mut start = 0;
        for at in memchr::memchr_iter(0, bytes) {
            self.nuls += 1;
            self.transport.update(&bytes[start..at]);
            self.transport.update(&[0x80]);
            start = at + 1;
        }
        self.transport.update(&bytes[start..]);
    }

    /// The fingerprint of all that was seen.
    pub fn finish(&self) -> Fingerprint {
        Fingerprint {
            exact: self.exact.finish(),
            transport: self.transport.finish(),
            size: self.size,
            bare_line_feeds: self.bare_line_feeds,
            nuls: self.nuls,
            longest_line: self.longest_line.max(self.line),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bytes: &[u8]) -> Fingerprint {
        let mut printer = Fingerprinter::new();
        printer.update(bytes);
        printer.finish()
    }

    #[test]
    fn what_mail_stores_change_does_not_change_the_transport_hash() {
        let reference = of(b"Subject: x\r\n\r\na\x00b\r\nc").transport;
        for same in [
            &b"Subject: x\n\na\x00b\nc"[..],
            b"Subject: x\r\r\n\r\na\x80b\r\nc\r\n",
            b"Subject: x\r\n\r\na\x80b\r\nc\r",
        ] {
            assert_eq!(of(same).transport, reference, "{:?}", String::from_utf8_lossy(same));
            assert_ne!(of(same).exact, of(b"Subject: x\r\n\r\na\x00b\r\nc").exact);
        }
    }

    #[test]
    fn content_changes_change_both() {
        for (a, b) in [
            (&b"a\r\nb"[..], &b"a\r\n\r\nb"[..]),
            (b"a b", b"ab"),
            (b"a", b"A"),
            (b"\na", b"a"),
        ] {
            assert_ne!(of(a).transport, of(b).transport);
            assert_ne!(of(a).exact, of(b).exact);
        }
    }

    #[test]
    fn oddities_are_counted() {
        let print = of(b"12345\n\r\n\n\x00\x00");
        assert_eq!(
            (print.bare_line_feeds, print.nuls, print.longest_line, print.size),
            (2, 2, 5, 11)
        );
    }

    #[test]
    fn bodies_larger_than_what_is_gathered_are_hashed_as_a_whole() {
        let bytes: Vec<u8> = (0..100_000_u32)
            .flat_map(|number| format!("{number}\r\n").into_bytes())
            .collect();
        let whole = of(&bytes);
        assert_eq!(whole.exact.0, *blake3::hash(&bytes).as_bytes());
        let transport: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\r').collect();
        let transport = transport.strip_suffix(b"\n").unwrap();
        assert_eq!(whole.transport.0, *blake3::hash(transport).as_bytes());
        for piece in [1, 1000, GATHERED - 1, GATHERED, GATHERED + 1, 100_000] {
            let mut printer = Fingerprinter::new();
            bytes.chunks(piece).for_each(|piece| printer.update(piece));
            assert_eq!(printer.finish(), whole, "{piece}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0u8), Just(0x80u8), any::<u8>()], 0..400), cut in 0usize..400) {
            let cut = cut.min(bytes.len());
            let mut printer = Fingerprinter::new();
            printer.update(&bytes[..cut]);
            printer.update(&bytes[cut..]);
            prop_assert_eq!(printer.finish(), of(&bytes));
        }
    }
}
