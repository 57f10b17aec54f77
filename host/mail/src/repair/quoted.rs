//! Encoders of bodies that work in pieces: quoted-printable and base64 (RFC 2045 sections 6.7 and 6.8).

use base64::{Engine, engine::general_purpose::STANDARD};

/// Columns of an encoded line.
const COLUMNS: usize = 76;
/// Bytes that a line of base64 holds.
const BASE64_LINE: usize = COLUMNS / 4 * 3;

/// Quoted-printable. Line ends stay line ends; everything else that is not plain is written as `=XX`.
#[derive(Debug)]
pub struct QuotedEncoder {
    line_end: &'static str,
    column: usize,
    /// What comes next may change how these are written: a carriage return, or a blank.
    held: Option<u8>,
}

impl QuotedEncoder {
    /// `line_end` is that of soft line breaks.
    pub fn new(line_end: &'static str) -> Self {
        Self {
            line_end,
            column: 0,
            held: None,
        }
    }

    /// The next bytes.
    pub fn encode(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            match (self.held.take(), byte) {
                (Some(b'\r'), b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    self.column = 0;
                    continue;
                }
                // A blank before a line end is none.
                (Some(blank @ (b' ' | b'\t')), b'\n' | b'\r') => self.escape(blank, out),
                (Some(blank @ (b' ' | b'\t')), _) => self.plain(blank, out),
                (Some(other), _) => self.escape(other, out),
                (None, _) => {}
            }
            match byte {
                b'\n' => {
                    out.push(b'\n');
                    self.column = 0;
                }
                b'\r' | b' ' | b'\t' => self.held = Some(byte),
                // A point, a dash or `From ` at the beginning of a line means something on the way.
                b'.' | b'-' | b'F' if self.column == 0 => self.escape(byte, out),
                b'!'..=b'<' | b'>'..=b'~' => self.plain(byte, out),
                _ => self.escape(byte, out),
            }
        }
    }

    /// What was held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(byte) = self.held.take() {
            self.escape(byte, out);
        }
    }

    fn plain(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.room(1, out);
        // A soft line break may have put it at the beginning.
        if self.column == 0 && matches!(byte, b'.' | b'-' | b'F') {
            return self.escape(byte, out);
        }
        out.push(byte);
        self.column += 1;
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.room(3, out);
        out.extend_from_slice(format!("={byte:02X}").as_bytes());
        self.column += 3;
    }

    /// A soft line break where so many columns do not fit; one is left for the `=` of the next.
    fn room(&mut self, columns: usize, out: &mut Vec<u8>) {
        if self.column + columns > COLUMNS - 1 {
            out.push(b'=');
            out.extend_from_slice(self.line_end.as_bytes());
            self.column = 0;
        }
    }
}

/// Base64 in lines of 76 columns.
#[derive(Debug)]
pub struct Base64Encoder {
    line_end: &'static str,
    held: Vec<u8>,
    first: bool,
}

impl Base64Encoder {
    /// With these line ends between lines; none at the end.
    pub fn new(line_end: &'static str) -> Self {
        Self {
            line_end,
            held: Vec::with_capacity(BASE64_LINE),
            first: true,
        }
    }

    /// The next bytes.
    pub fn encode(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let room = BASE64_LINE - self.held.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() == BASE64_LINE {
                self.finish(out);
            }
        }
    }

    /// The line that is not full.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.held.is_empty() {
            return;
        }
        if !std::mem::take(&mut self.first) {
            out.extend_from_slice(self.line_end.as_bytes());
        }
        out.extend_from_slice(STANDARD.encode(&self.held).as_bytes());
        self.held.clear();
    }
}
