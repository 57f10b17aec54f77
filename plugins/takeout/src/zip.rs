//! ZIP archives (APPNOTE 6.3), read by random access: the directory at the end, then the members that are wanted.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use whimbrel_folders::Body;
use whimbrel_plugin::{Failure, Result};

/// Bytes at the end in which the end of the directory lies: its record, and a comment.
const TAIL: u64 = 22 + 65_535;
/// Bytes of the directory that are read at once.
const WINDOW: u32 = 256 << 10;
/// Bytes that deflate makes of one at most (RFC 1951), rounded up.
const RATIO: u64 = 1100;
/// Bytes that a compressed member has at most when it is unpacked: the host holds no more of one body.
const UNPACKED: u64 = 3 << 30;

const END: &[u8] = b"PK\x05\x06";
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";
const END_64: &[u8] = b"PK\x06\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// With `/` between segments.
    pub name: String,
    /// Bytes when it is unpacked.
    pub bytes: u64,
    packed: u64,
    method: u16,
    encrypted: bool,
    crc: u32,
    /// Of its local header.
    at: u64,
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let part = bytes.get(at..at + length)?;
    Some(part.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn small(bytes: &[u8], at: usize) -> Option<u16> {
    number(bytes, at, 2).and_then(|number| u16::try_from(number).ok())
}

fn damaged(what: &str) -> Failure {
    Failure::rejected(format!(
        "the archive is damaged, or was not downloaded to its end: {what}. Download it again"
    ))
}

fn bytes<B: Body>(body: &B, at: u64, length: u64) -> Vec<u8> {
    body.read(at, u32::try_from(length).unwrap_or(u32::MAX).min(1 << 20))
}

/// Calls `each` with every file in the archive. Folders are left out.
///
/// # Errors
/// `rejected` for what is no whole archive.
pub fn members<B: Body>(body: &B, mut each: impl FnMut(Member) -> Result<()>) -> Result<()> {
    let (mut at, count, end) = directory(body)?;
    let mut window: Vec<u8> = Vec::new();
    let mut used = 0;
    for _ in 0..count {
        // A header with its name and its extra fields: 46 bytes, and three lengths of 16 bits.
        if window.len() - used < 46 + 3 * 65_535 && at < end {
            window.drain(..used);
            used = 0;
            let more = bytes(body, at, (end - at).min(u64::from(WINDOW)));
            at += more.len() as u64;
            window.extend_from_slice(&more);
        }
        let (member, length) = window
            .get(used..)
            .and_then(entry)
            .ok_or_else(|| damaged("its directory ends too early"))?;
        used += length;
        if !member.name.ends_with('/') {
            each(member)?;
        }
    }
    Ok(())
}

/// Where the directory begins, how many entries it has, and where it ends at the latest.
fn directory<B: Body>(body: &B) -> Result<(u64, u64, u64)> {
    let size = body.size();
    let tail = bytes(body, size.saturating_sub(TAIL), TAIL.min(size));
    let at = tail.windows(4).rposition(|part| part == END);
    let record = at.and_then(|at| {
        tail.get(at..)
            .filter(|record| record.len() >= 22)
            .map(|record| (at, record))
    });
    let (at, record) = record.ok_or_else(|| damaged("it has no directory at its end"))?;
    let at = size.saturating_sub(TAIL) + at as u64;
    let field = |from: usize, length: usize| number(record, from, length).unwrap_or(u64::MAX);
    let (mut disk, mut count, mut from) = (field(4, 2), field(10, 2), field(16, 4));
    if count == 0xffff || from == 0xffff_ffff || field(12, 4) == 0xffff_ffff {
        let locator = bytes(body, at.saturating_sub(20), 20);
        let record_at = number(&locator, 8, 8).filter(|_| locator.starts_with(END_64_LOCATOR));
        let record = record_at.map(|at| bytes(body, at, 56)).unwrap_or_default();
        let found = (number(&record, 16, 4), number(&record, 32, 8), number(&record, 48, 8));
        match found {
            (Some(number), Some(entries), Some(begins)) if record.starts_with(END_64) => {
                (disk, count, from) = (number, entries, begins);
            }
            _ => return Err(damaged("its directory cannot be found")),
        }
    }
    if disk != 0 && disk != 0xffff {
        return Err(Failure::rejected(
            "the archive is one of several volumes, which Google Takeout does not make",
        ));
    }
    // An entry has 46 bytes at least.
    if from > at || count > (at - from) / 46 {
        return Err(damaged("its directory does not fit"));
    }
    Ok((from, count, at))
}

/// The entry with which this begins, and its length.
fn entry(bytes: &[u8]) -> Option<(Member, usize)> {
    if !bytes.starts_with(ENTRY) {
        return None;
    }
    let lengths = [28, 30, 32].map(|at| small(bytes, at).map(usize::from));
    let [Some(name), Some(extra), Some(comment)] = lengths else {
        return None;
    };
    let flags = small(bytes, 8)?;
    let text = bytes.get(46..46 + name)?;
    let mut fields = bytes.get(46 + name..46 + name + extra)?;
    let (mut unpacked, mut packed, mut at) = (number(bytes, 24, 4)?, number(bytes, 20, 4)?, number(bytes, 42, 4)?);
    while let (Some(id), Some(length)) = (small(fields, 0), small(fields, 2)) {
        let field = fields.get(4..4 + usize::from(length))?;
        if id == 1 {
            // What is too large for its own place, in this order.
            let mut from = 0;
            for value in [&mut unpacked, &mut packed, &mut at] {
                if *value == 0xffff_ffff {
                    *value = number(field, from, 8)?;
                    from += 8;
                }
            }
        }
        fields = fields.get(4 + usize::from(length)..)?;
    }
    let member = Member {
        name: String::from_utf8_lossy(text).replace('\\', "/"),
        bytes: unpacked,
        packed,
        method: small(bytes, 10)?,
        encrypted: flags & 1 != 0,
        crc: u32::try_from(number(bytes, 16, 4)?).ok()?,
        at,
    };
    Some((member, 46 + name + extra + comment))
}

/// The content of a file in the archive: as it lies there, or unpacked.
///
/// # Errors
/// `rejected` for what is encrypted or damaged, or unpacks to more than it says; `unsupported` for what is too large, or packed in
/// a way that Google Takeout does not use.
pub fn open<B: Body>(body: &B, member: &Member) -> Result<B> {
    if member.encrypted {
        return Err(Failure::rejected(
            "the archive is encrypted: unpack it, and let `root` name the folder",
        ));
    }
    let header = bytes(body, member.at, 30);
    let lengths = (small(&header, 26), small(&header, 28));
    let (Some(name), Some(extra), true) = (lengths.0, lengths.1, header.starts_with(LOCAL)) else {
        return Err(damaged("a file in it is not where the directory says"));
    };
    let from = member.at.saturating_add(30 + u64::from(name) + u64::from(extra));
    let fits = from.checked_add(member.packed).is_some_and(|end| end <= body.size());
    if !fits {
        return Err(damaged("a file in it goes on behind its end"));
    }
    let packed = body.slice(from, member.packed);
    match member.method {
        0 if member.packed == member.bytes => Ok(packed),
        0 => Err(damaged("a file in it has two sizes")),
        8 => unpack(&packed, member),
        method => Err(Failure::unsupported(format!(
            "the archive is packed by method {method}, which Google Takeout does not use: unpack it, and let `root` name the folder"
        ))),
    }
}

fn unpack<B: Body>(packed: &B, member: &Member) -> Result<B> {
    if member.bytes > UNPACKED {
        return Err(Failure::unsupported(format!(
            "a file in the archive has {} bytes when it is unpacked, and {UNPACKED} is the most: unpack the archive, and let \
             `root` name the folder",
            member.bytes
        )));
    }
    // Nothing that deflate writes is that dense.
    if member.bytes / RATIO > member.packed.saturating_add(1) {
        return Err(damaged("a file in it claims more than it can hold"));
    }
    let mut sum = crc32fast::Hasher::new();
    let mut done = 0_u64;
    let mut ended = false;
    let content = B::build(|write| {
        let mut state = InflateState::new_boxed(DataFormat::Raw);
        let mut out = vec![0; 64 << 10];
        let mut at = 0;
        'read: while at < packed.size() {
            let piece = packed.read(at, WINDOW);
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            let mut input = piece.as_slice();
            loop {
                let result = inflate(&mut state, input, &mut out, MZFlush::None);
                input = input.get(result.bytes_consumed..).unwrap_or_default();
                let written = out.get(..result.bytes_written).unwrap_or_default();
                done += written.len() as u64;
                if done > member.bytes {
                    break 'read;
                }
                sum.update(written);
                write(written);
                match result.status {
                    Ok(MZStatus::StreamEnd) => {
                        ended = true;
                        break 'read;
                    }
                    // More of the input is needed.
                    Ok(_) | Err(MZError::Buf) if result.bytes_written == 0 && input.is_empty() => break,
                    Ok(_) => {}
                    Err(_) => break 'read,
                }
            }
        }
    });
    if !ended || done != member.bytes || sum.finalize() != member.crc {
        return Err(damaged("a file in it cannot be unpacked to what it was"));
    }
    Ok(content)
}
