//! Text in header values: unfolding, encoded words (RFC 2047) and bytes beyond ASCII.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;
use memchr::memmem;

/// Bytes of one encoded word that are looked at; RFC 2047 allows 75, programs write more.
const WORD_LIMIT: usize = 8 * 1024;
const CHARSET_LIMIT: usize = 64;

/// An encoded word: its character set, its bytes, and how long it is as written.
struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
    length: usize,
}

/// Unfolded, trimmed and decoded.
pub(crate) fn decode_text(value: &[u8]) -> String {
    let unfolded = unfold(value);
    decode_words(&unfolded).trim().to_owned()
}

/// Without the line ends of folding (RFC 5322 section 2.2.3); the blanks behind them stay. A carriage return elsewhere
/// and a NUL become blanks.
pub(crate) fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        match byte {
            b'\n' => {}
            b'\r' if value.get(at + 1) == Some(&b'\n') => {}
            b'\r' | 0 => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(out)
}

/// Decodes encoded words wherever they stand; blanks between two of them are none. Words of one character set that
/// follow one another are decoded together: there are programs that cut characters in two.
pub(crate) fn decode_words(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    let mut pending: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut rest = value;
    let mut from = 0;
    while let Some(found) = memmem::find(&rest[from..], b"=?") {
        let at = from + found;
        let Some(word) = encoded_word(&rest[at..]) else {
            from = at + 2;
            continue;
        };
        let between = &rest[..at];
        let blank = between.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        match pending.take() {
            Some((charset, mut bytes)) if blank => {
                if charset.eq_ignore_ascii_case(word.charset) {
                    bytes.extend_from_slice(&word.bytes);
                    pending = Some((charset, bytes));
                } else {
                    out.push_str(&decode_charset(&charset, &bytes));
                    pending = Some((word.charset.to_vec(), word.bytes));
                }
            }
            before => {
                if let Some((charset, bytes)) = before {
                    out.push_str(&decode_charset(&charset, &bytes));
                }
                out.push_str(&decode_plain(between));
                pending = Some((word.charset.to_vec(), word.bytes));
            }
        }
        rest = &rest[at + word.length..];
        from = 0;
    }
    if let Some((charset, bytes)) = pending {
        out.push_str(&decode_charset(&charset, &bytes));
    }
    out.push_str(&decode_plain(rest));
    out
}

/// Bytes without a character set: UTF-8 where they can be, else Latin-1.
pub(crate) fn decode_plain(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(decode_charset(b"iso-8859-1", bytes)),
    }
}

/// Bytes in a character set by its name; an unknown one is taken as UTF-8, and what does not fit becomes U+FFFD.
pub(crate) fn decode_charset(charset: &[u8], bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    match charset_decoder(charset) {
        // US-ASCII with bytes beyond it says nothing about them.
        Some(_) if charset.eq_ignore_ascii_case(b"us-ascii") => decode_plain(bytes).into_owned(),
        Some(decode) => decode(bytes),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// How long the encoded word is that the bytes begin with, if it has no blanks in it.
pub(crate) fn encoded_word_length(bytes: &[u8]) -> Option<usize> {
    let length = encoded_word(bytes)?.length;
    bytes[..length].iter().all(|&byte| byte > b' ').then_some(length)
}

/// The encoded word that the bytes begin with: `=?charset*language?B?data?=`.
fn encoded_word(bytes: &[u8]) -> Option<Word<'_>> {
    let inner = bytes.strip_prefix(b"=?")?;
    let charset_end = inner.iter().take(CHARSET_LIMIT).position(|&byte| byte == b'?')?;
    let charset = &inner[..charset_end];
    if charset.is_empty() || charset.iter().any(|&byte| byte <= b' ' || byte >= 0x7f) {
        return None;
    }
    let encoding = inner.get(charset_end + 1)?;
    if inner.get(charset_end + 2) != Some(&b'?') {
        return None;
    }
    let data = &inner[charset_end + 3..];
    let data = &data[..memmem::find(&data[..data.len().min(WORD_LIMIT)], b"?=")?];
    let decoded = match encoding {
        b'b' | b'B' => base64(data),
        b'q' | b'Q' => quoted(data),
        _ => return None,
    };
    Some(Word {
        charset: charset.split(|&byte| byte == b'*').next().unwrap_or(charset),
        bytes: decoded,
        length: 2 + charset_end + 3 + data.len() + 2,
    })
}

/// Base64, whatever else stands in it; what follows `=` begins anew.
fn base64(data: &[u8]) -> Vec<u8> {
    let mut decoder = crate::transfer::Base64::default();
    let mut out = Vec::with_capacity(data.len() / 4 * 3 + 3);
    decoder.decode(data, &mut out);
    decoder.finish(&mut out);
    out
}

/// The "Q" encoding (RFC 2047 section 4.2).
fn quoted(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut at = 0;
    while let Some(&byte) = data.get(at) {
        at += 1;
        match byte {
            b'_' => out.push(b' '),
            b'=' => match (data.get(at).and_then(hex), data.get(at + 1).and_then(hex)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    at += 2;
                }
                _ => out.push(byte),
            },
            _ => out.push(byte),
        }
    }
    out
}

pub(crate) fn hex(byte: &u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_unfolded_and_decoded() {
        for (value, expected) in [
            (&b" Hello"[..], "Hello"),
            (b" one\r\n two\n\tthree", "one two\tthree"),
            (b"=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Gr\u{fc}\u{df}e"),
            (b"=?UTF-8?B?R3LDvA==?= =?utf-8?b?w59l?=", "Gr\u{fc}\u{df}e"),
            (b"=?utf-8?q?a?=\r\n  =?utf-8?q?b?= c =?utf-8?q?d?=", "ab c d"),
            (b"=?iso-8859-1*de?q?K=F6ln_am_Rhein?=!", "K\u{f6}ln am Rhein!"),
            (b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "\u{fc}"),
            (b"=?utf-8?q?=C3?= =?iso-8859-1?q?=FC?=", "\u{fffd}\u{fc}"),
            (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
            (b"=?utf-8?q?open", "=?utf-8?q?open"),
            (b"=?utf-8?q?=3D=3?=", "==3"),
            (b"=?=?utf-8?q?a?=", "=?a"),
            (b"=?iso-2022-jp?B?GyRCJU8bKEI=?=", "\u{30cf}"),
            (b"=?no-such-set?q?a=FF?=", "a\u{fffd}"),
            (b"caf\xc3\xa9", "caf\u{e9}"),
            (b"caf\xe9", "caf\u{e9}"),
            (b"a\0b\rc", "a b c"),
            (b"", ""),
        ] {
            assert_eq!(decode_text(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn many_openings_cost_little() {
        let value = b"=?a?q?x".repeat(140_000);
        assert_eq!(decode_text(&value).len(), value.len());
    }
}
