//! Bytes beyond ASCII in heads: encoded words in text, extended parameters in MIME fields.

use std::io;

use super::Patch;
use crate::{
    content::Content,
    encode::encode_field,
    field::Field,
    head::{Head, Piece},
    parts::{Limits, parts},
    words::{decode_plain, unfold},
};

/// Fields whose values are parameters.
const PARAMETERS: [&str; 2] = ["Content-Type", "Content-Disposition"];

/// Heads of the message and of all its parts that have bytes beyond ASCII in them; those of signed parts stay.
pub fn patches(content: &dyn Content) -> io::Result<Vec<Patch>> {
    let structure = parts(content, &Limits::default())?;
    let mut patches = Vec::new();
    for (at, part) in structure.parts.iter().enumerate() {
        if structure.lies_in_signed(at) {
            continue;
        }
        if let Some(head) = repaired(&part.head) {
            let start = part.whole.start;
            patches.push(Patch::Bytes(start..start + part.head.len() as u64, head.into()));
        }
    }
    Ok(patches)
}

/// The head with all fields in ASCII that can be; nothing where none changes.
fn repaired(head: &Head) -> Option<Vec<u8>> {
    let line_end = head.line_end().as_str();
    let mut out = Vec::with_capacity(head.len() + 256);
    let mut changed = false;
    for piece in head.pieces() {
        let new = match &piece {
            Piece::Field(field) if !field.value().is_ascii() => in_ascii(field, line_end),
            _ => None,
        };
        changed |= new.is_some();
        match new {
            Some(new) => out.extend_from_slice(&new),
            None => out.extend_from_slice(piece.raw()),
        }
    }
    changed.then_some(out)
}

fn in_ascii(field: &Field<'_>, line_end: &str) -> Option<Vec<u8>> {
    let name = std::str::from_utf8(field.name()).ok().filter(|name| name.is_ascii())?;
    if PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        let value = parameters(&unfold(field.value()))?;
        let mut out = format!("{name}:{value}").into_bytes();
        out.extend_from_slice(line_end.as_bytes());
        return Some(out);
    }
    // An address beyond ASCII has no other form.
    let new = encode_field(name, &field.text(), line_end).ok()?;
    new.is_ascii().then_some(new)
}

/// A value with its parameters in ASCII (RFC 2231); nothing where that cannot be.
fn parameters(value: &[u8]) -> Option<String> {
    let mut out = String::new();
    for (at, part) in split(value).into_iter().enumerate() {
        if at > 0 {
            out.push(';');
        }
        if part.is_ascii() {
            out.push_str(&String::from_utf8_lossy(part));
            continue;
        }
        let equals = part.iter().position(|byte| *byte == b'=')?;
        let key = std::str::from_utf8(&part[..equals]).ok()?;
        let name = key.trim();
        // The first part is the type itself. A boundary is bytes, which the body has as well.
        if at == 0 || !name.is_ascii() || name.ends_with('*') || is_boundary(name) {
            return None;
        }
        let text = unquoted(part[equals + 1..].trim_ascii());
        out.push_str(key.trim_end());
        out.push_str("*=utf-8''");
        for byte in decode_plain(&text).bytes() {
            // RFC 5987 section 3.2.1, attr-char.
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    Some(out)
}

/// Whether this is the boundary, or a section of it (RFC 2231 section 3).
fn is_boundary(name: &str) -> bool {
    let base = name.split('*').next().unwrap_or_default();
    base.eq_ignore_ascii_case("boundary")
}

/// What stands between the semicolons, those in quotes apart.
fn split(value: &[u8]) -> Vec<&[u8]> {
    let (mut out, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                out.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&value[start..]);
    out
}

fn unquoted(text: &[u8]) -> Vec<u8> {
    let Some(inner) = text.strip_prefix(b"\"") else {
        return text.to_vec();
    };
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    let mut out = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for &byte in inner {
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            out.push(byte);
            escaped = false;
        }
    }
    out
}
