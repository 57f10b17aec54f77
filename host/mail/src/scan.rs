//! Finds boundaries, and with them parts, without holding more than a piece of the content.

use std::io;

use bytes::Bytes;
use memchr::{memchr, memchr_iter, memmem};

use crate::{
    content::{Content, read},
    content_type::ContentType,
    head::Head,
    parts::{Limits, Part, Structure},
    transfer::{Encoding, PIECE},
};

/// A line that is longer is no boundary (RFC 2046 allows 70 characters and blanks).
const LINE: usize = 1024;

pub(crate) struct Scanner<'a> {
    content: &'a dyn Content,
    size: u64,
    limits: Limits,
    parts: Vec<Part>,
    /// From the message to the part that is being read.
    open: Vec<Open>,
    truncated: bool,
    window: Bytes,
    window_start: u64,
}

struct Open {
    part: usize,
    /// What separates its parts; `None` for all but multiparts, and once the closing boundary is behind.
    boundary: Option<Vec<u8>>,
    /// A message that has not been looked into yet.
    message: bool,
}

/// A line that is a boundary.
struct Line {
    start: u64,
    end: u64,
    /// Of which open part.
    level: usize,
    closing: bool,
}

/// What the size of an encoded body depends on.
#[derive(Default)]
struct Counts {
    line_bytes: u64,
    equals: u64,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(content: &'a dyn Content, limits: Limits, head: Head) -> Scanner<'a> {
        let mut scanner = Scanner {
            content,
            size: content.size(),
            limits,
            parts: Vec::new(),
            open: Vec::new(),
            truncated: false,
            window: Bytes::new(),
            window_start: 0,
        };
        scanner.begin(head, 0);
        scanner
    }

    pub(crate) fn run(mut self) -> io::Result<Structure> {
        let mut at = self.parts.first().map_or(0, |part| part.body.start);
        loop {
            if let Some(top) = self.open.last_mut().filter(|top| top.message) {
                top.message = false;
                if self.parts.len() >= self.limits.max_parts {
                    self.truncated = true;
                } else {
                    at = self.head(at)?;
                }
                continue;
            }
            let Some(line) = self.next_boundary(at)? else {
                self.close(0, self.size, false)?;
                return Ok(Structure {
                    parts: self.parts,
                    truncated: self.truncated,
                });
            };
            let end = self.line_end_before(line.start)?;
            self.close(line.level + 1, end, end < line.start)?;
            at = line.end;
            let full = self.parts.len() >= self.limits.max_parts;
            self.truncated |= full && !line.closing;
            if line.closing || full {
                if let Some(top) = self.open.last_mut() {
                    top.boundary = None;
                }
            } else {
                at = self.head(at)?;
            }
        }
    }

    /// Reads the head of the part that begins here, up to a boundary at most; gives back where its body begins.
    fn head(&mut self, start: u64) -> io::Result<u64> {
        let limit = self.limits.max_part_head;
        let mut head = Head::read_in(self.content, start..self.size, limit)?;
        let mut at = 0;
        while at < head.len() {
            let rest = &head.bytes()[at..];
            let line = &rest[..memchr(b'\n', rest).map_or(rest.len(), |length| length + 1)];
            if self.matches(line).is_some() {
                head = Head::index(head.bytes().slice(..at), false);
                break;
            }
            at += line.len();
        }
        self.truncated |= head.is_cut();
        Ok(self.begin(head, start))
    }

    /// Opens a part; gives back where its body begins.
    fn begin(&mut self, head: Head, start: u64) -> u64 {
        let parent = self.open.last().map(|open| open.part);
        let depth = self.open.len();
        let mut part = Part::new(head, start, parent, depth, self.size);
        if let Some(parent) = parent.map(|parent| &self.parts[parent]) {
            part.in_message = parent.in_message || parent.content_type.is_message();
            // RFC 2046 section 5.1.5.
            if parent.content_type.kind == "multipart/digest" && !part.head.has("Content-Type") {
                part.content_type = ContentType::parse(b"message/rfc822");
            }
        }
        let deep = depth >= self.limits.max_depth;
        let message = part.content_type.is_message() && part.encoding == Encoding::Identity;
        let boundary = part.content_type.boundary().filter(|_| part.is_multipart());
        self.truncated |= deep && (message || boundary.is_some());
        self.open.push(Open {
            part: self.parts.len(),
            boundary: boundary
                .filter(|_| !deep)
                .map(|boundary| boundary.trim_ascii_end().to_vec()),
            message: message && !deep,
        });
        let body = part.body.start;
        self.parts.push(part);
        body
    }

    /// Ends all open parts from this level on.
    fn close(&mut self, level: usize, end: u64, line_end_follows: bool) -> io::Result<()> {
        for open in self.open.drain(level.min(self.open.len())..) {
            let part = &mut self.parts[open.part];
            // A part without body has no line end before the boundary but the one of its head.
            part.line_end_follows = line_end_follows && end >= part.body.start;
            let end = end.max(part.body.start);
            part.whole.end = end;
            part.body.end = end;
            if part.encoding == Encoding::Identity || part.is_multipart() {
                part.decoded = end - part.body.start;
            }
        }
        Ok(())
    }

    /// Where the line before `at` ends, without its line end.
    fn line_end_before(&mut self, at: u64) -> io::Result<u64> {
        let from = at.saturating_sub(2);
        let before = read(self.content, from, usize::try_from(at - from).unwrap_or(2))?;
        Ok(match &before[..] {
            b"\r\n" => at - 2,
            [.., b'\n'] => at - 1,
            _ => at,
        })
    }

    /// The first boundary of an open multipart at or behind `from`, which is the beginning of a line. Sizes the leaf
    /// that the bytes until there belong to.
    fn next_boundary(&mut self, from: u64) -> io::Result<Option<Line>> {
        let leaf = self.open.last().map(|open| open.part);
        let encoding = leaf.map_or(Encoding::Identity, |leaf| self.parts[leaf].encoding);
        // Behind its closing boundary a multipart has no body of its own to size.
        let leaf = leaf.filter(|&leaf| encoding != Encoding::Identity && !self.parts[leaf].is_multipart());
        let nested = self.open.iter().any(|open| open.boundary.is_some());
        if leaf.is_none() && !nested {
            return Ok(None);
        }
        let finder = memmem::Finder::new(b"\n--");
        let mut counts = Counts::default();
        let mut at = from;
        let mut found = if nested { self.boundary_at(from)? } else { None };
        while found.is_none() && at < self.size {
            let piece = self.bytes(at, 4)?;
            let next = if nested { finder.find(&piece) } else { None };
            let used = match next {
                Some(line_feed) => line_feed + 1,
                None if at + piece.len() as u64 >= self.size => piece.len(),
                // The search string may begin in this piece and end in the next.
                None => piece.len().saturating_sub(2).max(1),
            };
            if leaf.is_some() {
                counts.add(&piece[..used], encoding);
            }
            at += used as u64;
            if next.is_some() {
                found = self.boundary_at(at)?;
            }
        }
        if let Some(leaf) = leaf {
            let end = found.as_ref().map_or(self.size, |line| line.start);
            self.parts[leaf].decoded = self.decoded(from, end, encoding, &counts)?;
        }
        Ok(found)
    }

    fn decoded(&self, from: u64, end: u64, encoding: Encoding, counts: &Counts) -> io::Result<u64> {
        let length = end.saturating_sub(from);
        Ok(match encoding {
            Encoding::Identity => length,
            Encoding::QuotedPrintable => length.saturating_sub(2 * counts.equals),
            Encoding::Base64 => {
                let start = end.saturating_sub(64).max(from);
                let tail = read(self.content, start, 64.min(usize::try_from(end - start).unwrap_or(64)))?;
                let tail = tail.trim_ascii_end();
                let pads = tail.iter().rev().take_while(|&&byte| byte == b'=').count() as u64;
                let sextets = length.saturating_sub(counts.line_bytes).saturating_sub(pads);
                sextets / 4 * 3 + (sextets % 4 * 3) / 4
            }
        })
    }

    /// The boundary that the line which begins here is.
    fn boundary_at(&mut self, start: u64) -> io::Result<Option<Line>> {
        let bytes = self.bytes(start, LINE)?;
        if !bytes.starts_with(b"--") {
            return Ok(None);
        }
        let bytes = &bytes[..bytes.len().min(LINE)];
        let end = match memchr(b'\n', bytes) {
            Some(at) => at + 1,
            None if start + bytes.len() as u64 >= self.size => bytes.len(),
            None => return Ok(None),
        };
        Ok(self.matches(&bytes[..end]).map(|(level, closing)| Line {
            start,
            end: start + end as u64,
            level,
            closing,
        }))
    }

    /// Which open multipart a line separates or closes; the innermost first.
    fn matches(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.strip_prefix(b"--")?.trim_ascii_end();
        let closed = text.strip_suffix(b"--");
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            let boundary = open.boundary.as_deref()?;
            if text == boundary {
                Some((level, false))
            } else {
                (closed == Some(boundary)).then_some((level, true))
            }
        })
    }

    /// The bytes from `at` on: `need` of them, or more, or all that are left.
    fn bytes(&mut self, at: u64, need: usize) -> io::Result<Bytes> {
        let window_end = self.window_start + self.window.len() as u64;
        let there = at >= self.window_start && at <= window_end;
        if !there || (at + need as u64 > window_end && window_end < self.size) {
            self.window = read(self.content, at, PIECE)?;
            self.window_start = at;
        }
        let skip = usize::try_from(at - self.window_start).unwrap_or(usize::MAX);
        Ok(self.window.slice(skip.min(self.window.len())..))
    }
}

impl Counts {
    fn add(&mut self, piece: &[u8], encoding: Encoding) {
        match encoding {
            Encoding::Identity => {}
            Encoding::Base64 => {
                let feeds = memchr_iter(b'\n', piece).count() + memchr_iter(b'\r', piece).count();
                self.line_bytes += feeds as u64;
            }
            Encoding::QuotedPrintable => self.equals += memchr_iter(b'=', piece).count() as u64,
        }
    }
}
