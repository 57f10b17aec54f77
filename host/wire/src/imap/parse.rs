//! Reading what a server says: tolerant of every dialect, bounded, and never recursive.
//!
//! A response is collected whole by [`Link`](super::link::Link), message bodies apart, and then read with a
//! [`Cursor`]. Whatever does not fit the grammar (RFC 9051 section 9) comes back as `None`, never as a panic.

use std::borrow::Cow;

use crate::Blob;

use super::errors::{Completion, tidy};

/// One whole response.
#[derive(Default)]
pub(super) struct Response {
    /// All of it, line ends and literals included, streamed literals left out.
    pub bytes: Vec<u8>,
    /// Literals that went into blobs, with the place where they would follow.
    pub bodies: Vec<(usize, Blob)>,
}

/// How a status response begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

/// What a response is.
pub(super) enum Kind<'a> {
    /// `+`: the server waits for more.
    Continuation,
    /// The end of a command.
    Tagged { tag: &'a [u8], completion: Completion },
    /// An untagged OK, NO, BAD, BYE or PREAUTH.
    Status(Completion),
    /// Any other untagged response.
    Data(Data<'a>),
}

/// Untagged data.
pub(super) struct Data<'a> {
    /// The message number or count before the word.
    pub number: Option<u64>,
    /// `FETCH`, `LIST`, `EXISTS`…
    word: &'a [u8],
    /// What follows the word.
    pub rest: Cursor<'a>,
}

impl Data<'_> {
    /// Whether this is the response of that name.
    pub fn is(&self, word: &str) -> bool {
        self.word.eq_ignore_ascii_case(word.as_bytes())
    }
}

impl Response {
    /// Ready for the next one, without giving memory back unless it is much.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(64 << 10);
        self.bodies.clear();
    }

    /// What it is; None where it is no IMAP at all.
    pub fn kind(&self) -> Option<Kind<'_>> {
        let mut cursor = Cursor {
            bytes: &self.bytes,
            at: 0,
            bodies: &self.bodies,
        };
        if cursor.eat(b'+') {
            return Some(Kind::Continuation);
        }
        let tag = cursor.word();
        if tag.is_empty() || !cursor.eat(b' ') {
            return None;
        }
        cursor.spaces();
        let start = cursor.at;
        let word = cursor.word();
        if let Some(status) = status(word) {
            let completion = completion(status, cursor.remaining());
            return Some(match tag {
                b"*" => Kind::Status(completion),
                tag => Kind::Tagged { tag, completion },
            });
        }
        if tag != b"*" || word.is_empty() {
            return None;
        }
        let mut data = Data {
            number: None,
            word,
            rest: cursor,
        };
        if word.iter().all(u8::is_ascii_digit) {
            data.rest.at = start;
            data.number = Some(data.rest.number()?);
            data.rest.spaces();
            data.word = data.rest.word();
        }
        data.rest.spaces();
        Some(Kind::Data(data))
    }
}

/// Whether a line that begins so can announce a literal: texts for people cannot.
pub(super) fn may_hold_literals(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"* ") else {
        return false;
    };
    let word = rest
        .split(|byte| matches!(byte, b' ' | b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    status(word).is_none()
}

/// The size of the literal that is announced at the end of these bytes (RFC 9051 `literal`, RFC 3516 `literal8`).
pub(super) fn announced_literal(bytes: &[u8]) -> Option<(usize, u64)> {
    let line = bytes.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let digits = line
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .take(20)
        .count();
    let start = line.len().checked_sub(digits)?;
    let size = std::str::from_utf8(&line[start..]).ok()?.parse().ok()?;
    let brace = start.checked_sub(1)?;
    (line.get(brace) == Some(&b'{')).then_some((brace, size))
}

fn status(word: &[u8]) -> Option<Status> {
    [
        ("OK", Status::Ok),
        ("NO", Status::No),
        ("BAD", Status::Bad),
        ("BYE", Status::Bye),
        ("PREAUTH", Status::Preauth),
    ]
    .into_iter()
    .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))
    .map(|(_, status)| status)
}

/// Takes `resp-text` apart.
fn completion(status: Status, text: &[u8]) -> Completion {
    let text = text.trim_ascii();
    let mut out = Completion {
        status,
        code: None,
        arguments: String::new(),
        text: String::new(),
    };
    let mut rest = text;
    if let Some(inner) = text.strip_prefix(b"[")
        && let Some(end) = code_end(inner)
    {
        let code = &inner[..end];
        rest = &inner[end + 1..];
        let cut = code.iter().position(|&byte| byte == b' ').unwrap_or(code.len());
        out.code = Some(String::from_utf8_lossy(&code[..cut]).to_ascii_uppercase());
        out.arguments = String::from_utf8_lossy(&code[cut..]).trim().to_owned();
    }
    out.text = tidy(rest);
    out
}

/// Where the bracket closes: quoted strings and nested brackets (a flag such as `[Gmail]/x`) are passed over.
fn code_end(inner: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for (at, &byte) in inner.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' if !quoted => depth += 1,
            b']' if !quoted && depth == 0 => return Some(at),
            b']' if !quoted => depth -= 1,
            _ => {}
        }
    }
    inner.iter().position(|&byte| byte == b']')
}

/// A place in a response.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    bodies: &'a [(usize, Blob)],
}

/// A value of a response.
pub(super) enum Value<'a> {
    Nil,
    /// Of an atom, a quoted string or a literal.
    Text(Cow<'a, [u8]>),
    /// A literal that was streamed.
    Body(&'a Blob),
    /// A parenthesised list, the parentheses included.
    List(&'a [u8]),
}

impl<'a> Cursor<'a> {
    /// Over text without streamed literals.
    pub fn over(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            bodies: &[],
        }
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes over this byte, if it is next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub fn spaces(&mut self) {
        while self.eat(b' ') {}
    }

    /// Whether nothing but the line end is left.
    pub fn at_end(&self) -> bool {
        matches!(self.peek(), None | Some(b'\r' | b'\n'))
    }

    /// All of it, from the beginning.
    pub fn whole(&self) -> &'a [u8] {
        self.bytes
    }

    /// What is left, the line end included.
    pub fn remaining(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Up to the next space, parenthesis, quote or line end.
    pub fn word(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b' ' | b'(' | b')' | b'"' | b'\r' | b'\n' | b'{'))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// The name of a fetch item: `FLAGS`, `BODY[HEADER.FIELDS (X)]<0>`.
    pub fn item_name(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let mut depth = 0u32;
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                b'\r' | b'\n' => return None,
                b' ' | b'(' | b')' if depth == 0 => {
                    self.at += at;
                    return (at > 0).then_some(&rest[..at]);
                }
                _ => {}
            }
        }
        None
    }

    /// A number of at most 64 bits.
    pub fn number(&mut self) -> Option<u64> {
        let rest = &self.bytes[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        self.at += digits;
        Some(number)
    }

    /// The next value, whatever it is. Spaces before it are passed over.
    pub fn value(&mut self) -> Option<Value<'a>> {
        self.spaces();
        match self.peek()? {
            b'"' => self.quoted().map(Value::Text),
            b'{' => self.literal(),
            b'~' if self.bytes.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                self.literal()
            }
            b'(' => self.list().map(Value::List),
            b')' | b'\r' | b'\n' => None,
            _ => {
                let rest = &self.bytes[self.at..];
                let end = rest
                    .iter()
                    .position(|byte| matches!(byte, b' ' | b'(' | b')' | b'"' | b'\r' | b'\n'))
                    .unwrap_or(rest.len());
                if end == 0 {
                    return None;
                }
                self.at += end;
                let atom = &rest[..end];
                Some(if atom.eq_ignore_ascii_case(b"NIL") {
                    Value::Nil
                } else {
                    Value::Text(Cow::Borrowed(atom))
                })
            }
        }
    }

    /// A string or atom; None for anything else.
    pub fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        match self.value()? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A string or atom where `NIL` is just a name.
    pub fn astring(&mut self) -> Option<Cow<'a, [u8]>> {
        match self.value()? {
            Value::Text(text) => Some(text),
            Value::Nil => Some(Cow::Borrowed(&b"NIL"[..])),
            _ => None,
        }
    }

    /// The words of a flat list: flags, attributes. None where there is no list.
    pub fn words(&mut self) -> Option<Vec<String>> {
        self.spaces();
        if !self.eat(b'(') {
            return None;
        }
        let mut out = Vec::new();
        loop {
            self.spaces();
            if self.eat(b')') {
                return Some(out);
            }
            match self.value()? {
                Value::Text(text) => out.push(String::from_utf8_lossy(&text).into_owned()),
                Value::Nil => out.push("NIL".to_owned()),
                Value::List(_) => {}
                Value::Body(_) => return None,
            }
        }
    }

    fn quoted(&mut self) -> Option<Cow<'a, [u8]>> {
        let rest = &self.bytes[self.at + 1..];
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'))?;
        if rest[plain] == b'"' {
            self.at += plain + 2;
            return Some(Cow::Borrowed(&rest[..plain]));
        }
        let mut out = rest[..plain].to_vec();
        let mut at = plain;
        loop {
            match rest.get(at)? {
                b'"' => {
                    self.at += at + 2;
                    return Some(Cow::Owned(out));
                }
                b'\\' => {
                    out.push(*rest.get(at + 1)?);
                    at += 2;
                }
                b'\n' => return None,
                byte => {
                    out.push(*byte);
                    at += 1;
                }
            }
        }
    }

    fn literal(&mut self) -> Option<Value<'a>> {
        let rest = &self.bytes[self.at..];
        let line = rest.iter().position(|&byte| byte == b'\n')? + 1;
        let (brace, size) = announced_literal(&rest[..line])?;
        if brace != 0 {
            return None;
        }
        let start = self.at + line;
        if let Some((_, blob)) = self.bodies.iter().find(|(place, _)| *place == start) {
            self.at = start;
            return Some(Value::Body(blob));
        }
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        let text = self.bytes.get(start..end)?;
        self.at = end;
        Some(Value::Text(Cow::Borrowed(text)))
    }

    /// A whole list, whatever it holds, by counting instead of by descending.
    fn list(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let mut depth = 0u32;
        loop {
            match self.peek()? {
                b'(' => {
                    depth += 1;
                    self.at += 1;
                }
                b')' => {
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        return Some(&self.bytes[start..self.at]);
                    }
                }
                b'"' => {
                    self.quoted()?;
                }
                b'{' => {
                    self.literal()?;
                }
                b'\r' | b'\n' => return None,
                _ => self.at += 1,
            }
        }
    }

    /// The next value as one line of text, literals turned into quoted strings.
    pub fn raw(&mut self) -> Option<String> {
        self.spaces();
        let list = self.peek()? == b'(';
        let start = self.at;
        let value = self.value()?;
        let source = match value {
            Value::Nil => return Some("NIL".to_owned()),
            Value::Body(_) => return None,
            Value::Text(text) if !list && matches!(self.bytes[start], b'{' | b'~') => return Some(quote_lossy(&text)),
            Value::Text(_) | Value::List(_) => &self.bytes[start..self.at],
        };
        if !source.contains(&b'\n') {
            return Some(String::from_utf8_lossy(source).into_owned());
        }
        let mut out = String::new();
        let mut cursor = Cursor::over(source);
        while let Some(byte) = cursor.peek() {
            match byte {
                b'{' => match cursor.literal()? {
                    Value::Text(text) => out.push_str(&quote_lossy(&text)),
                    _ => return None,
                },
                b'"' => {
                    let from = cursor.at;
                    cursor.quoted()?;
                    out.push_str(&String::from_utf8_lossy(&source[from..cursor.at]));
                }
                byte => {
                    out.push(char::from(byte));
                    cursor.at += 1;
                }
            }
        }
        Some(out)
    }
}

fn quote_lossy(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(if matches!(c, '\r' | '\n') { ' ' } else { c });
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(bytes: &[u8]) -> Response {
        Response {
            bytes: bytes.to_vec(),
            bodies: Vec::new(),
        }
    }

    #[test]
    fn status_lines_and_their_codes() {
        let response = response(b"W7 NO [OverQuota \"a ] b\" x] Full,  sorry\r\n");
        let Some(Kind::Tagged { tag, completion }) = response.kind() else {
            panic!()
        };
        assert_eq!(tag, b"W7");
        assert_eq!(completion.code.as_deref(), Some("OVERQUOTA"));
        assert_eq!(completion.arguments, "\"a ] b\" x");
        assert_eq!(completion.text, "Full,  sorry");
    }

    #[test]
    fn strings_of_every_kind() {
        let mut cursor =
            Cursor::over(b"atom \"q \\\"x\\\\\" {3}\r\na\r\n ~{2}\r\nbc NIL (a (b \")\") {1}\r\n)) end\r\n");
        let mut next = || match cursor.value().unwrap() {
            Value::Text(text) => String::from_utf8_lossy(&text).into_owned(),
            Value::Nil => "-".to_owned(),
            Value::List(list) => String::from_utf8_lossy(list).into_owned(),
            Value::Body(_) => unreachable!(),
        };
        assert_eq!(
            [next(), next(), next(), next(), next(), next(), next()],
            ["atom", "q \"x\\", "a\r\n", "bc", "-", "(a (b \")\") {1}\r\n))", "end"]
        );
    }

    #[test]
    fn raw_values_come_as_one_line() {
        let mut cursor = Cursor::over(b"(\"\\\\Inbox\" {5}\r\na \"b) x) {2}\r\nhi 42\r\n");
        assert_eq!(cursor.raw().unwrap(), "(\"\\\\Inbox\" \"a \\\"b)\" x)");
        assert_eq!(cursor.raw().unwrap(), "\"hi\"");
        assert_eq!(cursor.raw().unwrap(), "42");
    }

    #[test]
    fn literals_are_announced_at_the_end_of_data_only() {
        assert_eq!(announced_literal(b"* 1 FETCH (BODY[] {12}\r\n"), Some((18, 12)));
        assert_eq!(announced_literal(b"x ~{7+}\n"), Some((3, 7)));
        assert_eq!(announced_literal(b"{}\r\n"), None);
        assert_eq!(announced_literal(b"{99999999999999999999999}\r\n"), None);
        assert!(may_hold_literals(b"* LIST () \"/\" {3}\r\n"));
        assert!(!may_hold_literals(b"* OK wait for {3}\r\n"));
        assert!(!may_hold_literals(b"W1 NO {3}\r\n"));
    }

    #[test]
    fn a_million_parentheses_are_no_trouble() {
        let deep = [vec![b'('; 1_000_000], vec![b')'; 1_000_000]].concat();
        assert!(matches!(Cursor::over(&deep).value(), Some(Value::List(all)) if all.len() == deep.len()));
        assert!(Cursor::over(&deep[..1_500_000]).value().is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(prop_oneof![
            4 => proptest::sample::select(&b"*()[]{}\"\\ \r\n~+0123456789NILabc"[..]), 1 => any::<u8>()], 0..200)) {
            let response = response(&bytes);
            if let Some(Kind::Data(mut data)) = response.kind() {
                let mut copy = data.rest.clone();
                let _ = copy.words();
                let _ = data.rest.clone().raw();
                let _ = data.rest.clone().item_name();
                while data.rest.value().is_some() {}
            }
            let _ = announced_literal(&bytes);
        }
    }
}
