//! Server answers, read into values.

use std::fmt;
use std::io::{BufRead, Read};

/// Bodies up to this size are kept; of larger ones only hash and size.
const KEPT: u64 = 32 << 20;

/// The content of a literal or of a quoted string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// BLAKE3, in hexadecimal digits; empty where nothing was fetched.
    pub hash: String,
    /// In bytes.
    pub size: u64,
    /// Unless it is large.
    pub bytes: Option<Vec<u8>>,
}

impl Body {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            hash: blake3::hash(bytes).to_hex().to_string(),
            size: bytes.len() as u64,
            bytes: Some(bytes.to_vec()),
        }
    }
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An atom, number, flag, or anything else without quotes.
    Atom(Vec<u8>),
    /// A quoted string or literal.
    Text(Body),
    /// `( … )`
    List(Vec<Value>),
}

impl Value {
    /// As text, unless it is a list, NIL or large.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Atom(bytes) if bytes.eq_ignore_ascii_case(b"NIL") => None,
            Self::Atom(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Text(body) => body
                .bytes
                .as_deref()
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            Self::List(_) => None,
        }
    }

    /// As a number.
    pub fn number(&self) -> Option<u64> {
        self.text()?.parse().ok()
    }

    /// Its parts; empty for anything but a list.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            _ => &[],
        }
    }

    /// As content; empty for NIL and lists.
    pub fn body(&self) -> Body {
        match self {
            Self::Text(body) => body.clone(),
            Self::Atom(bytes) if !bytes.eq_ignore_ascii_case(b"NIL") => Body::of(bytes),
            _ => Body::of(b""),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Text(body) => match &body.bytes {
                Some(bytes) => write!(f, "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)])),
                None => write!(f, "<{} bytes>", body.size),
            },
            Self::List(values) => {
                f.write_str("(")?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at == 0 { "" } else { " " })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// One whole answer, its literals included. Text after `OK`, `NO`, `BAD`, `BYE` and `+` is not taken apart.
pub(super) fn response(stream: &mut impl BufRead) -> Vec<Value> {
    let mut line = Line::read(stream);
    let mut out = Vec::new();
    loop {
        line.skip_blanks();
        if line.at_end() {
            return out;
        }
        if let Some(Value::Atom(last)) = out.last()
            && out.len() <= 2
            && [&b"OK"[..], b"NO", b"BAD", b"BYE", b"PREAUTH", b"+"]
                .iter()
                .any(|word| last.eq_ignore_ascii_case(word))
        {
            out.push(Value::Atom(line.rest().to_vec()));
            return out;
        }
        out.push(value(&mut line, stream));
    }
}

fn value(line: &mut Line, stream: &mut impl BufRead) -> Value {
    match line.peek() {
        b'(' => {
            line.at += 1;
            let mut values = Vec::new();
            loop {
                line.skip_blanks();
                if line.peek() == b')' {
                    line.at += 1;
                    return Value::List(values);
                }
                values.push(value(line, stream));
            }
        }
        b'"' => {
            line.at += 1;
            let mut text = Vec::new();
            loop {
                match line.next() {
                    b'"' => return Value::Text(Body::of(&text)),
                    b'\\' => text.push(line.next()),
                    byte => text.push(byte),
                }
            }
        }
        b'{' => {
            let digits: String = line
                .rest()
                .iter()
                .filter(|byte| byte.is_ascii_digit())
                .map(|&byte| char::from(byte))
                .collect();
            let body = literal(stream, digits.parse().expect("the length of a literal"));
            *line = Line::read(stream);
            Value::Text(body)
        }
        _ => {
            let start = line.at;
            let mut depth = 0;
            while !line.at_end() {
                match line.peek() {
                    b'[' => depth += 1,
                    b']' => depth -= 1,
                    b' ' | b'(' | b')' if depth <= 0 => break,
                    _ => {}
                }
                line.at += 1;
            }
            assert!(
                line.at > start,
                "nothing to read at {:?}",
                String::from_utf8_lossy(&line.bytes)
            );
            Value::Atom(line.bytes[start..line.at].to_vec())
        }
    }
}

fn literal(stream: &mut impl Read, size: u64) -> Body {
    if size <= KEPT {
        let mut bytes = vec![0; usize::try_from(size).expect("fits")];
        stream.read_exact(&mut bytes).expect("a whole literal");
        return Body::of(&bytes);
    }
    let mut hasher = blake3::Hasher::new();
    let mut left = size;
    let mut piece = vec![0; 1 << 18];
    while left > 0 {
        let now = usize::try_from(left.min(piece.len() as u64)).expect("fits");
        stream.read_exact(&mut piece[..now]).expect("a whole literal");
        hasher.update(&piece[..now]);
        left -= now as u64;
    }
    Body {
        hash: hasher.finalize().to_hex().to_string(),
        size,
        bytes: None,
    }
}

/// A line without its end, and how far it has been read.
struct Line {
    bytes: Vec<u8>,
    at: usize,
}

impl Line {
    fn read(stream: &mut impl BufRead) -> Self {
        let mut bytes = Vec::new();
        let count = stream.read_until(b'\n', &mut bytes).expect("an answer of the server");
        assert!(count > 0, "the server closed the connection");
        assert!(
            bytes.ends_with(b"\r\n"),
            "a line without its end: {:?}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.truncate(bytes.len() - 2);
        Self { bytes, at: 0 }
    }

    fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn peek(&self) -> u8 {
        *self
            .bytes
            .get(self.at)
            .unwrap_or_else(|| panic!("cut short: {:?}", String::from_utf8_lossy(&self.bytes)))
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn skip_blanks(&mut self) {
        while self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(mut bytes: &[u8]) -> String {
        response(&mut bytes)
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join("|")
    }

    #[test]
    fn answers_come_apart() {
        assert_eq!(
            parsed(b"* LIST (\\A \\B) \"/\" {3}\r\na\"b\r\n"),
            "*|LIST|(\\A \\B)|\"/\"|\"a\\\"b\""
        );
        assert_eq!(
            parsed(b"* 1 FETCH (UID 2 FLAGS () BODY[] {2}\r\n) )\r\n"),
            "*|1|FETCH|(UID 2 FLAGS () BODY[] \") \")"
        );
        assert_eq!(parsed(b"t1 OK [X (a] done (all)\r\n"), "t1|OK|[X (a] done (all)");
        assert_eq!(parsed(b"* X \"a\\\\b\\\"\" NIL\r\n"), "*|X|\"a\\\\b\\\"\"|NIL");
    }

    #[test]
    #[should_panic(expected = "closed the connection")]
    fn an_end_is_no_answer() {
        parsed(b"");
    }
}
