//! Content-Transfer-Encoding (RFC 2045 section 6): decoding in pieces, so that no body is held as a whole.

use std::{io, ops::Range};

use bytes::Bytes;

use crate::{
    content::{Content, read},
    words::hex,
};

/// Bytes of a body that are read at a time.
pub(crate) const PIECE: usize = 64 * 1024;
/// Blanks at the end of a line that are held back until it is clear whether the line ends there.
const BLANKS: usize = 1024;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit, binary, and every name that nobody knows: the bytes as they stand.
    Identity,
    /// RFC 2045 section 6.8.
    Base64,
    /// RFC 2045 section 6.7.
    QuotedPrintable,
}

impl Encoding {
    /// By the value of a Content-Transfer-Encoding field.
    pub fn parse(value: &[u8]) -> Encoding {
        let word = value
            .split(|&byte| byte == b';' || byte == b'(')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        if word.eq_ignore_ascii_case(b"base64") {
            Encoding::Base64
        } else if word.eq_ignore_ascii_case(b"quoted-printable") {
            Encoding::QuotedPrintable
        } else {
            Encoding::Identity
        }
    }
}

/// A body, decoded piece by piece.
pub struct Decoder<'a> {
    content: &'a dyn Content,
    rest: Range<u64>,
    state: State,
}

enum State {
    Identity,
    Base64(Base64),
    Quoted(Quoted),
}

impl<'a> Decoder<'a> {
    /// The body that lies in `range` of the content.
    pub fn new(content: &'a dyn Content, range: Range<u64>, encoding: Encoding) -> Decoder<'a> {
        Decoder {
            content,
            rest: range.start..range.end.min(content.size()),
            state: match encoding {
                Encoding::Identity => State::Identity,
                Encoding::Base64 => State::Base64(Base64::default()),
                Encoding::QuotedPrintable => State::Quoted(Quoted::default()),
            },
        }
    }
}

/// Pieces of up to 64 KiB, none of them empty. What is no valid encoding is passed over (base64) or kept as it stands
/// (quoted-printable); errors come from the content alone, and end the row.
impl Iterator for Decoder<'_> {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                let mut out = Vec::new();
                match &mut self.state {
                    State::Identity => {}
                    State::Base64(state) => state.finish(&mut out),
                    State::Quoted(state) => state.finish(&mut out),
                }
                return (!out.is_empty()).then(|| Ok(out.into()));
            }
            let length = usize::try_from(self.rest.end - self.rest.start)
                .unwrap_or(PIECE)
                .min(PIECE);
            let piece = match read(self.content, self.rest.start, length) {
                Ok(piece) => piece,
                Err(failure) => {
                    self.rest = 0..0;
                    self.state = State::Identity;
                    return Some(Err(failure));
                }
            };
            self.rest.start += length as u64;
            let mut out = Vec::new();
            match &mut self.state {
                State::Identity => return Some(Ok(piece)),
                State::Base64(state) => {
                    out.reserve(length / 4 * 3 + 3);
                    state.decode(&piece, &mut out);
                }
                State::Quoted(state) => {
                    out.reserve(length);
                    state.decode(&piece, &mut out);
                }
            }
            if !out.is_empty() {
                return Some(Ok(out.into()));
            }
        }
    }
}

/// Base64 across pieces. Bytes that are not of the alphabet are passed over; `=` ends a group, and what follows begins
/// a new one.
#[derive(Debug, Default)]
pub(crate) struct Base64 {
    bits: u32,
    count: u8,
}

impl Base64 {
    pub(crate) fn decode(&mut self, data: &[u8], out: &mut Vec<u8>) {
        for &byte in data {
            match SEXTETS[byte as usize] {
                PAD => self.finish(out),
                SKIP => {}
                sextet => {
                    self.bits = self.bits << 6 | u32::from(sextet);
                    self.count += 1;
                    if self.count == 4 {
                        let [_, a, b, c] = self.bits.to_be_bytes();
                        out.extend_from_slice(&[a, b, c]);
                        (self.bits, self.count) = (0, 0);
                    }
                }
            }
        }
    }

    /// What a group that is not full holds.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let [_, a, b, _] = (self.bits << (6 * (4 - u32::from(self.count)))).to_be_bytes();
        match self.count {
            2 => out.push(a),
            3 => out.extend_from_slice(&[a, b]),
            _ => {}
        }
        (self.bits, self.count) = (0, 0);
    }
}

const SKIP: u8 = 0xff;
const PAD: u8 = 0xfe;
const SEXTETS: [u8; 256] = sextets();

const fn sextets() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = [SKIP; 256];
    let mut at = 0u8;
    while at < 64 {
        out[alphabet[at as usize] as usize] = at;
        at += 1;
    }
    out[b'=' as usize] = PAD;
    out
}

/// Quoted-printable across pieces: what may still change its meaning is held back.
#[derive(Debug, Default)]
pub(crate) struct Quoted {
    held: Vec<u8>,
}

impl Quoted {
    pub(crate) fn decode(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() {
            self.held = decode_quoted(piece, false, out).to_vec();
        } else {
            let mut data = std::mem::take(&mut self.held);
            data.extend_from_slice(piece);
            self.held = decode_quoted(&data, false, out).to_vec();
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        decode_quoted(&held, true, out);
    }
}

/// Decodes what is certain and gives back the rest, which is short.
fn decode_quoted<'a>(data: &'a [u8], last: bool, out: &mut Vec<u8>) -> &'a [u8] {
    let mut at = 0;
    while let Some(found) = memchr::memchr3(b'=', b' ', b'\t', &data[at..]) {
        out.extend_from_slice(&data[at..at + found]);
        at += found;
        let rest = &data[at..];
        // A soft line break: `=`, blanks, line end. Blanks before a line end are none.
        let soft = usize::from(rest[0] == b'=');
        let blanks = rest[soft..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let behind = &rest[soft + blanks..];
        let short = matches!(behind, [] | [b'\r']);
        if short && !last && blanks < BLANKS {
            return rest;
        }
        let end = match behind {
            [b'\r', b'\n', ..] => Some(2),
            [b'\n', ..] => Some(1),
            [] if last => Some(0),
            _ => None,
        };
        match (soft, end) {
            (1, Some(length)) => at += 1 + blanks + length,
            (0, Some(_)) => at += blanks,
            (0, None) => {
                out.extend_from_slice(&rest[..blanks]);
                at += blanks;
            }
            _ => match (rest.get(1).and_then(hex), rest.get(2)) {
                (Some(_), None) if !last => return rest,
                (Some(high), Some(low)) if hex(low).is_some() => {
                    out.push(high << 4 | hex(low).unwrap_or_default());
                    at += 3;
                }
                _ => {
                    out.push(b'=');
                    at += 1;
                }
            },
        }
    }
    out.extend_from_slice(&data[at..]);
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(data: &[u8], encoding: Encoding) -> Vec<u8> {
        let content = Bytes::copy_from_slice(data);
        let all = Decoder::new(&content, 0..content.size(), encoding).map(|piece| piece.unwrap().to_vec());
        all.collect::<Vec<_>>().concat()
    }

    #[test]
    fn base64_is_decoded() {
        for (data, expected) in [
            (&b"SGVsbG8="[..], &b"Hello"[..]),
            (b"SGVs\r\nbG8=\r\n", b"Hello"),
            (b"SGVsbG8", b"Hello"),
            (b"SGVsbG8=SGVsbG8=", b"HelloHello"),
            (b"SG!Vs#bG8==\xff", b"Hello"),
            (b"S", b""),
            (b"", b""),
        ] {
            assert_eq!(decode(data, Encoding::Base64), expected, "{}", data.escape_ascii());
        }
    }

    #[test]
    fn quoted_printable_is_decoded() {
        for (data, expected) in [
            (&b"caf=C3=a9"[..], "caf\u{e9}".as_bytes()),
            (b"one =\r\ntwo=\nthree= \t\r\nfour", b"one twothreefour"),
            (b"blanks  \t\r\nend  ", b"blanks\r\nend"),
            (b"=3D=ZZ=4", b"==ZZ=4"),
            (b"a=", b"a"),
            (b"a =20\r\n", b"a  \r\n"),
            (b"a \rb", b"a \rb"),
        ] {
            assert_eq!(
                decode(data, Encoding::QuotedPrintable),
                expected,
                "{}",
                data.escape_ascii()
            );
            let mut state = Quoted::default();
            let mut out = Vec::new();
            data.iter().for_each(|byte| state.decode(&[*byte], &mut out));
            state.finish(&mut out);
            assert_eq!(out, expected, "byte by byte: {}", data.escape_ascii());
        }
    }
}
