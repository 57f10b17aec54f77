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

    /// BLAKE3 of a text and the end of its last line.
    fn of_line(text: &[u8]) -> Self {
        Self(
            *blake3::Hasher::new()
                .update(text)
                .update(LINE_END)
                .finalize()
                .as_bytes(),
        )
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
    /// Of the bytes without what mail stores change on the way: line ends, NUL (some serve it as 0x80) and empty lines at
    /// the very end. Equal where two bodies differ in nothing else. What is hashed has CR LF after each line and no other
    /// CR, so that for most mail this is the exact hash.
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

impl Fingerprint {
    /// That of a body which lies in memory as a whole: cheaper than a [`Fingerprinter`], as nothing is gathered, and most
    /// mail is hashed once.
    pub fn of(bytes: &[u8]) -> Self {
        let (exact, size) = (Hash::of(bytes), bytes.len() as u64);
        let mut text = bytes;
        while let Some(rest) = text.strip_suffix(LINE_END) {
            text = rest;
        }
        if let Some(longest_line) = plain(text) {
            let is_its_own_form = text.len() + LINE_END.len() == bytes.len();
            return Self {
                exact,
                transport: if is_its_own_form { exact } else { Hash::of_line(text) },
                size,
                bare_line_feeds: 0,
                nuls: 0,
                longest_line,
            };
        }
        let mut text = Text::default();
        text.update(bytes);
        text.print(exact, size)
    }
}

/// The longest line of a text that is, but for the end of its last line, in the transport form: lines end with CR LF, and
/// there is no other CR or LF and no NUL. None for any other, and for no text at all.
fn plain(text: &[u8]) -> Option<u64> {
    let (mut at, mut start, mut longest) = (0, 0, 0);
    let (mut line_feeds, mut carriage_returns) = (0, 0);
    // Pieces stay in the nearest cache.
    for piece in text.chunks(GATHERED) {
        if memchr::memchr(0, piece).is_some() {
            return None;
        }
        for end in memchr::memchr_iter(b'\n', piece).map(|end| at + end) {
            if end == start || text[end - 1] != b'\r' {
                return None;
            }
            longest = longest.max(end - 1 - start);
            start = end + 1;
            line_feeds += 1;
        }
        carriage_returns += memchr::memchr_iter(b'\r', piece).count();
        at += piece.len();
    }
    let longest = longest.max(text.len() - start);
    (carriage_returns == line_feeds && !text.is_empty()).then_some(longest as u64)
}

/// Of the transport form.
const LINE_END: &[u8] = b"\r\n";

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
                let (fits, rest) = bytes.split_at(GATHERED.saturating_sub(self.waiting.len()).min(bytes.len()));
                self.waiting.extend_from_slice(fits);
                bytes = rest;
                self.pass_on();
            }
        }
        self.waiting.extend_from_slice(bytes);
    }

    /// Hashes what waits, but for less than [`GATHERED`] bytes.
    fn pass_on(&mut self) {
        let whole = self.waiting.len() - self.waiting.len() % GATHERED;
        if whole > 0 {
            self.hasher.update(&self.waiting[..whole]);
            self.waiting.drain(..whole);
        }
    }

    fn is_empty(&self) -> bool {
        self.hasher.count() == 0 && self.waiting.is_empty()
    }

    /// With these bytes at the end.
    fn finish(&self, end: &[u8]) -> Hash {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.waiting).update(end);
        Hash(*hasher.finalize().as_bytes())
    }
}

/// What a body is known by as a text: its hash without what mail stores change, and its oddities.
#[derive(Clone, Default)]
struct Text {
    transport: Gathering,
    bare_line_feeds: u64,
    nuls: u64,
    longest_line: u64,
    /// Bytes of the line that has not ended yet.
    line: u64,
    /// The last byte.
    last: u8,
    /// Line feeds held back until something follows them.
    pending_line_feeds: u64,
}

impl Text {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // Pieces stay in the nearest cache, and end with a line where they can.
            let most = bytes.len().min(GATHERED);
            let length = match memchr::memrchr(b'\n', &bytes[..most]) {
                Some(at) if most < bytes.len() => at + 1,
                _ => most,
            };
            let (piece, rest) = bytes.split_at(length);
            if !self.even(piece) {
                self.uneven(piece);
            }
            self.last = piece[length - 1];
            bytes = rest;
        }
    }

    /// Takes a piece without NUL in which either every line ends with CRLF and there is no other CR, or there is no CR
    /// at all: nearly every piece that there is. False, with nothing taken, for any other.
    fn even(&mut self, piece: &[u8]) -> bool {
        let returns = memchr::memchr_iter(b'\r', piece).count();
        let crlf = returns > 0;
        let starts_within_an_end = self.last == b'\r' && piece.first() == Some(&b'\n');
        let is_long_awaited = self.pending_line_feeds > GATHERED as u64;
        if starts_within_an_end || is_long_awaited || memchr::memchr(0, piece).is_some() {
            return false;
        }
        if crlf && returns != memchr::memchr_iter(b'\n', piece).count() {
            return false;
        }
        let out = &mut self.transport.waiting;
        let before = out.len();
        let (mut pending, mut longest, mut line) = (self.pending_line_feeds, self.longest_line, self.line);
        let mut line_feeds = 0;
        out.reserve(piece.len() + 64);
        let mut start = 0;
        for at in memchr::memchr_iter(b'\n', piece) {
            let end = match crlf {
                false => at,
                true if at > start && piece[at - 1] == b'\r' => at - 1,
                true => {
                    out.truncate(before);
                    return false;
                }
            };
            let content = &piece[start..end];
            if !content.is_empty() {
                line_ends_into(out, std::mem::take(&mut pending));
                out.extend_from_slice(content);
            }
            longest = longest.max(line + content.len() as u64);
            line = 0;
            pending += 1;
            line_feeds += 1;
            start = at + 1;
        }
        let rest = &piece[start..];
        if !rest.is_empty() {
            line_ends_into(out, std::mem::take(&mut pending));
            out.extend_from_slice(rest);
            line += rest.len() as u64;
        }
        (self.pending_line_feeds, self.longest_line, self.line) = (pending, longest, line);
        self.bare_line_feeds += if crlf { 0 } else { line_feeds };
        self.transport.pass_on();
        true
    }

    /// Takes a piece whatever it is.
    fn uneven(&mut self, piece: &[u8]) {
        let mut start = 0;
        for at in memchr::memchr2_iter(b'\r', b'\n', piece) {
            self.run(&piece[start..at]);
            start = at + 1;
            if piece[at] == b'\n' {
                let before = if at == 0 { self.last } else { piece[at - 1] };
                self.bare_line_feeds += u64::from(before != b'\r');
                self.longest_line = self.longest_line.max(self.line);
                self.line = 0;
                self.pending_line_feeds += 1;
            }
        }
        self.run(&piece[start..]);
    }

    /// Bytes without CR and LF. Some stores serve NUL as 0x80: both are the same.
    fn run(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        while self.pending_line_feeds > 0 {
            let now = self.pending_line_feeds.min(GATHERED as u64);
            line_ends_into(&mut self.transport.waiting, now);
            self.transport.pass_on();
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

    fn print(&self, exact: Hash, size: u64) -> Fingerprint {
        let end: &[u8] = if self.transport.is_empty() { b"" } else { LINE_END };
        Fingerprint {
            exact,
            transport: self.transport.finish(end),
            size,
            bare_line_feeds: self.bare_line_feeds,
            nuls: self.nuls,
            longest_line: self.longest_line.max(self.line),
        }
    }
}

/// Writes so many line ends, which are few.
fn line_ends_into(out: &mut Vec<u8>, number: u64) {
    (0..number).for_each(|_| out.extend_from_slice(LINE_END));
}

/// Takes the fingerprint of a body as its bytes pass.
#[derive(Clone, Default)]
pub struct Fingerprinter {
    exact: Gathering,
    text: Text,
    size: u64,
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
        self.size += bytes.len() as u64;
        self.exact.update(bytes);
        self.text.update(bytes);
    }

    /// The fingerprint of all that was seen.
    pub fn finish(&self) -> Fingerprint {
        self.text.print(self.exact.finish(b""), self.size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint::of(bytes)
    }

    /// As the documentation of each field says it, byte by byte.
    fn by_the_book(bytes: &[u8]) -> Fingerprint {
        let mut text: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\r').collect();
        text.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0x80);
        while text.last() == Some(&b'\n') {
            text.pop();
        }
        let lines = text.split(|byte| *byte == b'\n');
        let text = match text.is_empty() {
            true => Vec::new(),
            false => lines.flat_map(|line| [line, b"\r\n"].concat()).collect(),
        };
        let bare = |at: &usize| bytes[*at] == b'\n' && (*at == 0 || bytes[at - 1] != b'\r');
        let lines = bytes.split(|byte| *byte == b'\n');
        let length = |line: &[u8]| line.iter().filter(|byte| **byte != b'\r').count() as u64;
        Fingerprint {
            exact: Hash::of(bytes),
            transport: Hash::of(&text),
            size: bytes.len() as u64,
            bare_line_feeds: (0..bytes.len()).filter(bare).count() as u64,
            nuls: bytes.iter().filter(|byte| **byte == 0).count() as u64,
            longest_line: lines.map(length).max().unwrap_or_default(),
        }
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
    fn what_is_in_transport_form_is_hashed_once_and_nothing_else_is() {
        for plain in [&b"a\r\n"[..], b"Subject: x\r\n\r\na\x80b\r\n"] {
            assert_eq!(of(plain).transport, of(plain).exact);
        }
        let long = [&vec![b'x'; GATHERED - 1][..], b"\r\ny\r\n"].concat();
        assert_eq!(
            (of(&long).transport, of(&long).longest_line),
            (of(&long).exact, GATHERED as u64 - 1)
        );
        for other in [
            &b"\r\n"[..],
            b"\r\n\r\n",
            b"a",
            b"a\n",
            b"\na\r\n",
            b"a\r",
            b"a\rb\r\n",
            b"a\r\r\n",
            b"a\r\n\r\n",
            b"a\0\r\n",
            b"a\nb\r\n",
        ] {
            assert_ne!(
                of(other).transport,
                of(other).exact,
                "{:?}",
                String::from_utf8_lossy(other)
            );
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
        assert_eq!(whole.transport, whole.exact);
        for piece in [1, 1000, GATHERED - 1, GATHERED, GATHERED + 1, 100_000] {
            let mut printer = Fingerprinter::new();
            bytes.chunks(piece).for_each(|piece| printer.update(piece));
            assert_eq!(printer.finish(), whole, "{piece}");
        }
    }

    /// Lines with this end; now and then one that is empty or long, or ends otherwise.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        const ODD: [&[u8]; 6] = [b"\n", b"\r\n", b"\r", b"\0", b"\r\r\n", b""];
        let end = |usual: &'static [u8]| prop_oneof![40 => Just(usual), 1 => proptest::sample::select(&ODD[..])];
        let lines = |usual: &'static [u8]| {
            let length = prop_oneof![1 => Just(0usize), 20 => 1..80usize, 1 => 900..3000usize];
            proptest::collection::vec((length, end(usual)), 0..700).prop_map(|lines| {
                let line = |(length, end): &(usize, &[u8])| [&vec![b'x'; *length], *end].concat();
                lines.iter().flat_map(line).collect::<Vec<u8>>()
            })
        };
        let odd = prop_oneof![Just(b'\r'), Just(b'\n'), Just(0u8), Just(0x80u8), any::<u8>()];
        prop_oneof![lines(b"\r\n"), lines(b"\n"), proptest::collection::vec(odd, 0..400)]
    }

    #[test]
    fn a_great_many_line_feeds_are_few_bytes_in_memory() {
        let mut bytes = vec![b'\n'; 3 << 20];
        bytes.push(b'x');
        let mut printer = Fingerprinter::new();
        bytes.chunks(1000).for_each(|piece| printer.update(piece));
        assert!(printer.text.transport.waiting.capacity() < 1 << 17);
        assert_eq!(printer.finish(), by_the_book(&bytes));
    }

    proptest! {
        #[test]
        fn it_is_what_the_book_says_in_whatever_pieces(bytes in body(), cuts in proptest::collection::vec(0usize..50_000, 0..4)) {
            let expected = by_the_book(&bytes);
            prop_assert_eq!(of(&bytes), expected);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut printer = Fingerprinter::new();
            cuts.windows(2).for_each(|cut| printer.update(&bytes[cut[0]..cut[1]]));
            prop_assert_eq!(printer.finish(), expected);
        }
    }
}
