//! New fields: text becomes a value that every program can read (RFC 2047), folded (RFC 5322 section 2.2.3).

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::edits::EditError;

/// Fields that hold addresses.
pub const ADDRESS_HEADERS: [&str; 18] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-Reply-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Return-Path",
    "Delivered-To",
    "Disposition-Notification-To",
    "Errors-To",
    "X-Original-To",
    "Apparently-To",
];

/// Columns of a line, where it can be folded.
const COLUMNS: usize = 78;
/// Columns of an encoded word (RFC 2047 section 2).
const WORD_COLUMNS: usize = 75;
/// Bytes of text that one encoded word holds: in base64 `=?utf-8?B?` and `?=` leave room for them.
const WORD_BYTES: usize = 45;
/// Longer words are encoded, so that no line has more than 998 bytes (RFC 5322 section 2.1.1).
const LONG_WORD: usize = 900;

/// Whether this can be the name of a field (RFC 5322 section 2.2).
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 200 && name.bytes().all(|byte| (33..=126).contains(&byte) && byte != b':')
}

/// A part of a value that is not broken.
struct Chunk {
    /// Blanks before it; a line can be folded there.
    blanks: String,
    text: String,
}

/// The field with this name and this text, folded and with its line end.
///
/// # Errors
///
/// `NotAscii` for an address field with an address beyond ASCII, which no encoding can carry.
pub(crate) fn encode_field(name: &str, value: &str, line_end: &str) -> Result<Vec<u8>, EditError> {
    let address = ADDRESS_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name));
    let chunks = if address {
        address_chunks(name, value.trim())?
    } else {
        chunks(value.trim())
    };
    let mut out = format!("{name}:");
    let mut column = out.len();
    for (at, chunk) in chunks.iter().enumerate() {
        let blanks = if at == 0 { " " } else { chunk.blanks.as_str() };
        // The first chunk stays with the name; a line of blanks alone would be none.
        if at > 0 && !blanks.is_empty() && column + blanks.len() + chunk.text.len() > COLUMNS {
            out.push_str(line_end);
            column = 0;
        }
        out.push_str(blanks);
        out.push_str(&chunk.text);
        column += blanks.len() + chunk.text.len();
    }
    out.push_str(line_end);
    Ok(out.into_bytes())
}

fn must_encode(word: &str) -> bool {
    word.len() > LONG_WORD || word.contains("=?") || word.bytes().any(|byte| !(33..=126).contains(&byte))
}

/// Words of running text. Those that must be encoded are encoded together with the blanks between them.
fn chunks(value: &str) -> Vec<Chunk> {
    let mut out = Vec::new();
    let mut run: Option<(String, String)> = None;
    for (blanks, word) in words(value) {
        match (&mut run, must_encode(word)) {
            (Some((_, text)), true) => {
                text.push_str(blanks);
                text.push_str(word);
            }
            (None, true) => run = Some((blanks.to_owned(), word.to_owned())),
            (_, false) => {
                flush(&mut run, &mut out);
                out.push(Chunk {
                    blanks: blanks.to_owned(),
                    text: word.to_owned(),
                });
            }
        }
    }
    flush(&mut run, &mut out);
    out
}

/// Each word with the blanks and tabs before it.
fn words(value: &str) -> Vec<(&str, &str)> {
    let blank = |c: char| c == ' ' || c == '\t';
    let mut out = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let start = rest.find(|c| !blank(c)).unwrap_or(rest.len());
        let (blanks, behind) = rest.split_at(start);
        let (word, behind) = behind.split_at(behind.find(blank).unwrap_or(behind.len()));
        if !word.is_empty() {
            out.push((blanks, word));
        }
        rest = behind;
    }
    out
}

fn flush(run: &mut Option<(String, String)>, out: &mut Vec<Chunk>) {
    let Some((mut blanks, text)) = run.take() else {
        return;
    };
    for word in encoded_words(&text) {
        out.push(Chunk { blanks, text: word });
        blanks = " ".to_owned();
    }
}

/// The text in encoded words, each at most 75 columns, none with half a character.
fn encoded_words(text: &str) -> Vec<String> {
    let plain = text.bytes().filter(|&byte| is_plain(byte)).count();
    let quoted = plain * 2 > text.len();
    let mut out = Vec::new();
    let mut start = 0;
    let mut columns = 0;
    for (at, c) in text.char_indices() {
        let bytes = &text.as_bytes()[at..at + c.len_utf8()];
        let more: usize = match quoted {
            true => bytes
                .iter()
                .map(|&byte| if is_plain(byte) || byte == b' ' { 1 } else { 3 })
                .sum(),
            false => bytes.len(),
        };
        let full = if quoted {
            WORD_COLUMNS - "=?utf-8?Q??=".len()
        } else {
            WORD_BYTES
        };
        if columns + more > full {
            out.push(encoded_word(&text[start..at], quoted));
            (start, columns) = (at, 0);
        }
        columns += more;
    }
    out.push(encoded_word(&text[start..], quoted));
    out
}

fn encoded_word(text: &str, quoted: bool) -> String {
    if !quoted {
        return format!("=?utf-8?B?{}?=", STANDARD.encode(text));
    }
    let mut out = "=?utf-8?Q?".to_owned();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('_'),
            _ if is_plain(byte) => out.push(char::from(byte)),
            _ => out.push_str(&format!("={byte:02X}")),
        }
    }
    out.push_str("?=");
    out
}

/// What an encoded word in a phrase may hold as it is (RFC 2047 section 5).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!*+-/".contains(&byte)
}

/// Words of an address list: display names are encoded, brackets and commas stay.
fn address_chunks(name: &str, value: &str) -> Result<Vec<Chunk>, EditError> {
    if value.bytes().all(|byte| byte == b'\t' || (32..=126).contains(&byte)) {
        let plain = |(blanks, word): (&str, &str)| Chunk {
            blanks: blanks.to_owned(),
            text: word.to_owned(),
        };
        return Ok(words(value).into_iter().map(plain).collect());
    }
    let mut out: Vec<Chunk> = Vec::new();
    let mut run: Option<(String, String)> = None;
    let mut rest = value;
    while !rest.is_empty() {
        let start = rest.find(|c| c != ' ' && c != '\t').unwrap_or(rest.len());
        let (blanks, behind) = rest.split_at(start);
        let quoted = behind.starts_with('"').then(|| quoted_string(behind)).flatten();
        let length = match &quoted {
            Some((_, length)) => *length,
            None => behind
                .find(|c| " \t,;:()<>\"".contains(c))
                .unwrap_or(behind.len())
                .max(first_length(behind)),
        };
        let (word, behind) = behind.split_at(length);
        rest = behind;
        if word.is_empty() {
            continue;
        }
        if !must_encode_name(word) {
            flush(&mut run, &mut out);
            out.push(Chunk {
                blanks: blanks.to_owned(),
                text: word.to_owned(),
            });
            continue;
        }
        if word.contains('@') && quoted.is_none() {
            return Err(EditError::NotAscii(name.to_owned()));
        }
        let text = quoted.map_or_else(|| word.to_owned(), |(text, _)| text);
        match &mut run {
            Some((_, run)) if !blanks.is_empty() => {
                run.push_str(blanks);
                run.push_str(&text);
            }
            Some((_, run)) => run.push_str(&text),
            None => run = Some((blanks.to_owned(), text)),
        }
    }
    flush(&mut run, &mut out);
    // An encoded word stands alone (RFC 2047 section 5); in front of a bracket or a comma it may touch.
    for at in 1..out.len() {
        let word = |chunk: &Chunk| chunk.text.starts_with("=?") || chunk.text.ends_with("?=");
        let special = |chunk: &Chunk| chunk.text.len() == 1 && ",;:()".contains(chunk.text.as_str());
        if out[at].blanks.is_empty()
            && (word(&out[at]) || word(&out[at - 1]))
            && !special(&out[at])
            && !out[at - 1].text.ends_with('(')
        {
            out[at].blanks = " ".to_owned();
        }
    }
    Ok(out)
}

fn must_encode_name(word: &str) -> bool {
    word.bytes()
        .any(|byte| byte != b' ' && byte != b'\t' && !(33..=126).contains(&byte))
}

/// A special character is a word of its own.
fn first_length(text: &str) -> usize {
    let special = text.starts_with([',', ';', ':', '(', ')', '<', '>', '"']);
    usize::from(special)
}

/// The content of the quoted string that the text begins with, and its length.
fn quoted_string(text: &str) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, at + 1)),
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            _ => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Head;

    fn field(name: &str, value: &str) -> String {
        String::from_utf8(encode_field(name, value, "\r\n").unwrap()).unwrap()
    }

    #[test]
    fn values_are_written() {
        for (name, value, expected) in [
            ("Subject", "Hello world", "Subject: Hello world\r\n"),
            ("Subject", "", "Subject:\r\n"),
            (
                "Subject",
                "Gr\u{fc}\u{df}e an Joe",
                "Subject: =?utf-8?B?R3LDvMOfZQ==?= an Joe\r\n",
            ),
            (
                "Subject",
                "M\u{fc}nchen K\u{f6}ln",
                "Subject: =?utf-8?Q?M=C3=BCnchen_K=C3=B6ln?=\r\n",
            ),
            (
                "To",
                "J\u{fc}rgen M\u{fc}ller <j@x.example>",
                "To: =?utf-8?Q?J=C3=BCrgen_M=C3=BCller?= <j@x.example>\r\n",
            ),
            (
                "To",
                "\"M\u{fc}ller, J\" <j@x>,a@b",
                "To: =?utf-8?Q?M=C3=BCller=2C_J?= <j@x>,a@b\r\n",
            ),
            ("To", "\"Doe, J\" <j@x>", "To: \"Doe, J\" <j@x>\r\n"),
        ] {
            assert_eq!(field(name, value), expected, "{value}");
        }
        assert_eq!(
            encode_field("To", "j\u{fc}@x", "\n"),
            Err(EditError::NotAscii("To".into()))
        );
    }

    #[test]
    fn long_values_are_folded_and_read_back() {
        let long = "word ".repeat(60);
        let umlauts = "\u{fc}\u{20ac}\u{1f600}".repeat(60);
        let mixed = format!("{} {umlauts} end", "a".repeat(1200));
        for value in [
            long.as_str(),
            &umlauts,
            &mixed,
            "a =?utf-8?q?b?= c",
            "a  \t b \u{fc}  \u{fc} c\u{7f}",
        ] {
            let field = field("Subject", value);
            for line in field.lines() {
                assert!(line.len() <= COLUMNS + 8, "{line}");
                assert!(!line.trim().is_empty(), "{field}");
            }
            let head = Head::parse(field.into_bytes().into());
            assert_eq!(head.text("Subject").unwrap(), value.trim());
        }
    }
}
