//! Names and paths as connectors write them.
//!
//! File names are bytes on some systems. A name that is not UTF-8 is escaped: `%` and two upper-case hexadecimal
//! digits for each byte that does not fit, `%25` for `%` itself. So is a name that looks as if it had been escaped,
//! and no other: the mapping is one to one, and ordinary names, with or without a `%`, stay as they are.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use whimbrel_model::Failure;

/// Of one escaped name: no file system takes a name of more than 255 bytes or 255 UTF-16 units.
const NAME_BYTES: usize = 4096;

/// A file name as connectors see it.
pub(super) fn escape(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) if !is_escaped(text) => text.to_owned(),
        _ => escape_always(name),
    }
}

/// The file name that [`escape`] gave as `text`.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    match decode(text) {
        Some(name) if is_escape_of(text, &name) => name,
        _ => text.as_bytes().to_vec(),
    }
}

fn is_escaped(text: &str) -> bool {
    decode(text).is_some_and(|name| is_escape_of(text, &name))
}

/// Whether `text`, decoded to `name`, is what `name` is escaped to.
fn is_escape_of(text: &str, name: &[u8]) -> bool {
    // Each level of escaping is checked from the outside in; every decoding is shorter, so this ends.
    let mut text = text.to_owned();
    let mut name = name.to_vec();
    loop {
        if escape_always(&name) != text {
            return false;
        }
        let Ok(inner) = String::from_utf8(name) else {
            return true;
        };
        let Some(decoded) = decode(&inner) else { return false };
        (text, name) = (inner, decoded);
    }
}

fn escape_always(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for chunk in name.utf8_chunks() {
        out.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Undoes every `%XX`; none where there is no `%`, or one that two hexadecimal digits do not follow.
fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.contains('%') {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        let digit = |at: usize| {
            char::from(digits[at])
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        out.push(digit(0)? << 4 | digit(1)?);
        rest = behind;
    }
    Some(out)
}

/// A file name of the system as connectors see it.
pub(super) fn from_os(name: &OsStr) -> String {
    escape(name.as_encoded_bytes())
}

#[cfg(unix)]
fn to_os(name: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(name))
}

#[cfg(not(unix))]
fn to_os(name: Vec<u8>) -> Option<OsString> {
    String::from_utf8(name).ok().map(OsString::from)
}

/// The name in its own directory of an entry that [`from_os`] named.
pub(super) fn own(name: &str) -> PathBuf {
    to_os(unescape(name)).unwrap_or_default().into()
}

/// Whether a path, as it is written, leads out of the folder that it starts from. Links are another matter.
pub fn leads_out(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|segment| segment == "..")
}

/// The path that a connector means, relative to the folder; empty for the folder itself.
pub(super) fn parse(path: &str) -> Result<PathBuf, Failure> {
    let mut out = PathBuf::new();
    if path.is_empty() {
        return Ok(out);
    }
    if leads_out(path) {
        return Err(Failure::Forbidden(format!(
            "the path {path:?} leads out of the folder that was granted"
        )));
    }
    for segment in path.split('/') {
        let malformed = || {
            Failure::Rejected(format!(
                "{path:?} is not a path: segments are names, separated by one \"/\""
            ))
        };
        if matches!(segment, "" | ".")
            || segment.len() > NAME_BYTES
            || segment.contains('\0')
            || (cfg!(windows) && segment.contains(['\\', ':']))
        {
            return Err(malformed());
        }
        out.push(to_os(unescape(segment)).ok_or_else(malformed)?);
    }
    Ok(out)
}

/// The folder that holds `path`, and its name there.
pub(super) fn split(path: &Path) -> Result<(&Path, &OsStr), Failure> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(Failure::Forbidden(
            "the folder itself, as it was granted, cannot be replaced, renamed or removed".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay_and_others_are_escaped() {
        for (name, escaped) in [
            (&b"1700000000.M1P2.host:2,S"[..], "1700000000.M1P2.host:2,S"),
            ("Entw\u{fc}rfe".as_bytes(), "Entw\u{fc}rfe"),
            (b"100%", "100%"),
            (b"50%25", "50%25"),
            (b"%zz", "%zz"),
            (b"caf\xe9", "caf%E9"),
            (b"100%\xff", "100%25%FF"),
            (b"caf%E9", "caf%25E9"),
            (b"caf%25E9", "caf%2525E9"),
            (b"caf%e9", "caf%e9"),
            (b"%2F", "%2F"),
            (b"%2E%2E", "%2E%2E"),
            (b"", ""),
        ] {
            assert_eq!(escape(name), escaped);
            assert_eq!(unescape(escaped), name);
        }
    }

    #[test]
    fn paths_that_lead_out_or_mean_nothing_are_refused() {
        for out in ["..", "a/..", "../a", "a/../../b", "/", "/etc/passwd"] {
            assert!(matches!(parse(out), Err(Failure::Forbidden(_))), "{out}");
        }
        for malformed in [".", "a/./b", "a//b", "a/", "a\0b"] {
            assert!(matches!(parse(malformed), Err(Failure::Rejected(_))), "{malformed}");
        }
        assert_eq!(parse("").ok(), Some(PathBuf::new()));
        assert_eq!(parse("a/b c/d").ok(), Some(PathBuf::from("a/b c/d")));
        // An escape never makes a separator, a parent or a NUL.
        for harmless in ["%2F", "%2E%2E", "a%00b"] {
            assert_eq!(parse(harmless).ok(), Some(PathBuf::from(harmless)));
        }
    }

    fn awkward() -> impl Strategy<Value = Vec<u8>> {
        let pieces: &[&[u8]] = &[
            b"%",
            b"%25",
            b"25",
            b"F",
            b"\xff",
            b"%FF",
            b"\xc3",
            b"\xc3\xbc",
            b"E",
            b"9",
            b"e9",
            b".",
            b"%2E",
            b"a",
        ];
        let piece = proptest::sample::select(pieces);
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn names_survive_the_way_there_and_back(name in prop_oneof![awkward(), proptest::collection::vec(any::<u8>(), 0..40)]) {
            prop_assert_eq!(unescape(&escape(&name)), name);
        }

        #[test]
        fn texts_survive_the_way_back_and_there(text in prop_oneof![awkward().prop_map(|name| String::from_utf8_lossy(&name).into_owned()), any::<String>()]) {
            prop_assert_eq!(escape(&unescape(&text)), text);
        }

        #[test]
        fn no_path_leads_out(path in "(\\.|\\.\\.|/|%2F|%2E|a|%FF|\\x00|:){0,8}") {
            if let Ok(parsed) = parse(&path) {
                prop_assert!(parsed.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            }
        }
    }
}
