//! Filters: the strings of a Sieve script (RFC 5228 section 8), and other ones in their place.

use std::ops::Range;

use crate::edit::{Change, Edit, EditError, Edited};
use crate::rewrite::{Wish, rewrite};

/// The quoted strings of a script, without their quotes and as they are written, in order. Comments and multi-line texts are
/// passed over.
fn strings(script: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < script.len() {
        let rest = &script[at..];
        match rest {
            [b'#', ..] => at += line(rest),
            [b'/', b'*', ..] => at += find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4),
            [b'"', ..] => {
                let mut end = 1;
                while end < rest.len() && rest[end] != b'"' {
                    end += if rest[end] == b'\\' { 2 } else { 1 };
                }
                // One that does not end is none.
                if end < rest.len() {
                    found.push(at + 1..at + end);
                }
                at += end + 1;
            }
            _ if word(script, at, b"text:") => {
                at += line(rest);
                while at < script.len() {
                    let length = line(&script[at..]);
                    let this = script[at..at + length].trim_ascii_end();
                    at += length;
                    if this == b"." {
                        break;
                    }
                }
            }
            _ => at += 1,
        }
    }
    found
}

/// Whether this word stands here, and is not the end of a longer one.
fn word(script: &[u8], at: usize, word: &[u8]) -> bool {
    let here = script.get(at..at + word.len());
    let before = at.checked_sub(1).and_then(|at| script.get(at));
    here.is_some_and(|here| here.eq_ignore_ascii_case(word))
        && before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
}

/// Up to the end of the line, with it.
fn line(rest: &[u8]) -> usize {
    rest.iter()
        .position(|byte| *byte == b'\n')
        .map_or(rest.len(), |at| at + 1)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => *bytes.next().unwrap_or(byte),
            other => *other,
        });
    }
    out
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if b"\"\\".contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

/// The extensions that a script requires (RFC 5228 section 3.2), in order.
pub fn requires(script: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let strings = strings(script);
    let mut at = 0;
    // `require` comes before everything else.
    while at < script.len() {
        let rest = &script[at..];
        match rest {
            [b'#', ..] => at += line(rest),
            [b'/', b'*', ..] => at += find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4),
            [byte, ..] if byte.is_ascii_whitespace() || *byte == b';' => at += 1,
            _ if word(script, at, b"require") => {
                let end = match rest.iter().position(|byte| *byte == b';') {
                    Some(end) => at + end,
                    None => script.len(),
                };
                let inside = strings.iter().filter(|string| string.start > at && string.end < end);
                names.extend(
                    inside.map(|string| String::from_utf8_lossy(&unquoted(&script[string.clone()])).into_owned()),
                );
                at = end + 1;
            }
            _ => break,
        }
    }
    names
}

/// See [`crate::apply`].
pub(crate) fn apply(script: &[u8], edits: &[Edit]) -> Result<Option<Edited>, EditError> {
    if edits
        .iter()
        .any(|edit| matches!(edit, Edit::Set { .. } | Edit::Add { .. } | Edit::Remove { .. }))
    {
        return Err(EditError::Kind("filters have no properties"));
    }
    let mut out = Vec::with_capacity(script.len() + 64);
    let (mut copied, mut count) = (0, 0);
    for string in strings(script) {
        let before = unquoted(&script[string.clone()]);
        let mut now = before.clone();
        for edit in edits {
            if let Some(new) = changed(&now, edit) {
                now = new;
            }
        }
        if now != before {
            count += 1;
            out.extend_from_slice(&script[copied..string.start]);
            out.extend_from_slice(&quoted(&now));
            copied = string.end;
        }
    }
    if count == 0 {
        return Ok(None);
    }
    out.extend_from_slice(&script[copied..]);
    let change = Change {
        what: "rewrote",
        property: "strings".to_owned(),
        count,
    };
    Ok(Some(Edited {
        bytes: out,
        changes: vec![change],
    }))
}

/// A string that is an address, one with a name before it, or the domain of one, is meant; a sentence that holds an address
/// is a text for people, and stays.
fn changed(string: &[u8], edit: &Edit) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(string).ok()?;
    let wish = match edit {
        Edit::Text { from, to } => return (text == from).then(|| to.clone().into_bytes()),
        Edit::Address { from, to } => Wish::Address { from, to },
        Edit::Domain { from, to } => Wish::Domain { from, to },
        Edit::Set { .. } | Edit::Add { .. } | Edit::Remove { .. } => return None,
    };
    let named = text.ends_with('>') && text.contains('<');
    if text.contains(char::is_whitespace) && !named {
        return None;
    }
    if let Wish::Domain { from, to } = wish
        && text.eq_ignore_ascii_case(from)
    {
        return Some(to.as_bytes().to_vec());
    }
    rewrite(text, wish).map(String::into_bytes)
}
