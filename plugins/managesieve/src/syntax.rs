//! Words, strings and literals of the protocol (RFC 5804, 4).

use whimbrel_plugin::{Failure, Result};

use crate::wire::Wire;

/// Bytes of a literal that is no script: names, and what a server has to say.
const LITERAL: u64 = 256 << 10;
/// Lines and literals of one response: more is no answer to anything.
const PARTS: usize = 64;
/// Characters of a quoted string (RFC 5804, 4), of which a name may need two bytes each.
const QUOTED: usize = 1024;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word, a number: as it stands.
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    Open,
    Close,
}

impl Token {
    /// A quoted string or a literal as text; none for anything else.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }
}

/// Reads a response line with the literals in it.
///
/// # Errors
/// What ended the connection; `unavailable` for what is no line of this protocol.
pub fn read_line<W: Wire>(wire: &mut W) -> Result<Vec<Token>> {
    let first = wire.read_line()?;
    read_from(first, wire)
}

/// The same of a line whose beginning was read.
///
/// # Errors
/// As [`read_line`].
pub fn read_from<W: Wire>(mut line: Vec<u8>, wire: &mut W) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    for _ in 0..PARTS {
        let literal = tokenise(&line, &mut tokens).ok_or_else(strange)?;
        let Some(length) = literal else { return Ok(tokens) };
        if length > LITERAL {
            return Err(strange());
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let left = u32::try_from(length - bytes.len() as u64).unwrap_or(u32::MAX);
            bytes.extend(wire.read(left)?);
        }
        tokens.push(Token::Text(bytes));
        line = wire.read_line()?;
    }
    Err(strange())
}

/// What a server says that speaks something else.
pub fn strange() -> Failure {
    Failure::unavailable(
        "the server does not answer like a ManageSieve server: check `host`, `port` and `tls` in the settings",
    )
}

/// The length of a literal that a line announces and does nothing else: `{12}`, `{12+}`.
pub fn literal(line: &[u8]) -> Option<u64> {
    let line = line.trim_ascii_end();
    let inner = line.strip_prefix(b"{")?.strip_suffix(b"}")?;
    let digits = inner.strip_suffix(b"+").unwrap_or(inner);
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// The tokens of a line, and the length of the literal that it ends with. None where it is no line of this protocol.
fn tokenise(line: &[u8], tokens: &mut Vec<Token>) -> Option<Option<u64>> {
    let mut rest = line.trim_ascii();
    while let Some(&first) = rest.first() {
        let used = match first {
            b' ' | b'\t' => 1,
            b'(' => {
                tokens.push(Token::Open);
                1
            }
            b')' => {
                tokens.push(Token::Close);
                1
            }
            b'"' => {
                let (text, used) = quoted(rest)?;
                tokens.push(Token::Text(text));
                used
            }
            b'{' => return literal(rest).map(Some),
            _ => {
                let ends = |byte: &u8| b" \t()\"{".contains(byte);
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                tokens.push(Token::Atom(String::from_utf8_lossy(&rest[..length]).into_owned()));
                length
            }
        };
        rest = &rest[used..];
    }
    Some(None)
}

/// A quoted string at the beginning, and its bytes on the line; none where it has no end.
fn quoted(line: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut text, mut escaped) = (Vec::new(), false);
    for (at, &byte) in line.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => {
                text.push(byte);
                escaped = false;
            }
            b'\\' => escaped = true,
            b'"' => return Some((text, at + 1)),
            _ => text.push(byte),
        }
    }
    None
}

/// A line of a list of scripts, where it is none with a literal: the name, and whether the script filters. Some servers
/// forget to escape the quotes within a name.
pub fn entry(line: &[u8]) -> Option<(String, bool)> {
    let line = line.trim_ascii();
    let end = line.iter().rposition(|&byte| byte == b'"').filter(|&end| end > 0)?;
    let active = line[end + 1..].trim_ascii().eq_ignore_ascii_case(b"ACTIVE");
    if !line.starts_with(b"\"") || !(active || end + 1 == line.len()) {
        return None;
    }
    let name = match quoted(line) {
        Some((name, used)) if used == end + 1 => name,
        _ => line[1..end].to_vec(),
    };
    Some((String::from_utf8_lossy(&name).into_owned(), active))
}

/// A text as a command takes it: quoted where every server takes that, else as a literal.
pub fn string(text: &str) -> Vec<u8> {
    // Some servers take quoted strings of ASCII alone.
    if text.len() > QUOTED || !text.is_ascii() || text.contains(['\r', '\n', '\0']) {
        return [format!("{{{}+}}\r\n", text.len()).as_bytes(), text.as_bytes()].concat();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted.into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(line: &[u8]) -> Option<(Vec<Token>, Option<u64>)> {
        let mut tokens = Vec::new();
        tokenise(line, &mut tokens).map(|literal| (tokens, literal))
    }

    fn atom(text: &str) -> Token {
        Token::Atom(text.to_owned())
    }

    fn text(text: &str) -> Token {
        Token::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_come_apart() {
        assert_eq!(
            tokens(b"NO (QUOTA/MAXSIZE) \"too \\\"large\\\"\"\r\n"),
            Some((
                vec![
                    atom("NO"),
                    Token::Open,
                    atom("QUOTA/MAXSIZE"),
                    Token::Close,
                    text("too \"large\"")
                ],
                None
            ))
        );
        assert_eq!(
            tokens("\"\u{e4}\" ACTIVE\r\n".as_bytes()),
            Some((vec![text("\u{e4}"), atom("ACTIVE")], None))
        );
        assert_eq!(tokens(b"NO {12}\r\n"), Some((vec![atom("NO")], Some(12))));
        assert_eq!(tokens(b"{3+}\r\n"), Some((vec![], Some(3))));
        for broken in [
            &b"\"no end\r\n"[..],
            b"NO {x}\r\n",
            b"{-1}",
            b"{1} x",
            b"{99999999999999999999}",
        ] {
            assert_eq!(tokens(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn strings_are_quoted_where_that_can_be() {
        assert_eq!(string("a \"b\\"), b"\"a \\\"b\\\\\"");
        assert_eq!(string("a\r\nb"), b"{4+}\r\na\r\nb");
        assert_eq!(string("\u{e4}"), "{2+}\r\n\u{e4}".as_bytes());
        assert!(string(&"x".repeat(2000)).starts_with(b"{2000+}\r\n"));
    }

    #[test]
    fn scripts_are_listed_whether_or_not_their_quotes_are_escaped() {
        let entry = |line: &str| entry(format!("{line}\r\n").as_bytes());
        assert_eq!(entry("\"a\""), Some(("a".to_owned(), false)));
        assert_eq!(entry("\"a\\\"b\\\\\" active"), Some(("a\"b\\".to_owned(), true)));
        assert_eq!(entry("\"a \"b\"\" ACTIVE"), Some(("a \"b\"".to_owned(), true)));
        for line in ["OK", "\"", "\"a\" OTHER", "OK \"done\"", "{3}", ""] {
            assert_eq!(entry(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn strings_come_back(words in "[ -~]{0,60}") {
            let line = [string(&words), b"\r\n".to_vec()].concat();
            prop_assert_eq!(tokens(&line), Some((vec![text(&words)], None)));
        }

        #[test]
        fn no_line_makes_it_fail(line in proptest::collection::vec(any::<u8>(), 0..60), tail in "[{}+0-9\"\\\\ ()]{0,20}") {
            let _ = (tokens(&line), entry(&line), entry(tail.as_bytes()));
            let _ = tokens(tail.as_bytes());
        }
    }
}
