//! Names that any system's file system can bear, so that a tree can be copied anywhere: what some system refuses is
//! escaped with `%` and two hexadecimal digits for each byte of UTF-8. That is `\ / : * ? " < > | %` and control
//! characters, a dot or a blank at an end, and the names of Windows' devices.

/// Bytes that a file's or a directory's name has at most.
pub const NAME_BYTES: usize = 255;
/// Names that Windows keeps for itself, with whatever ending.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// The segment as a name. `more` says of further characters, each with its byte offset, that they are to be escaped.
/// [`unescape`] gives the segment back.
pub fn escape(segment: &str, more: impl Fn(usize, char) -> bool) -> String {
    let last = segment.char_indices().next_back().map_or(0, |(at, _)| at);
    let device = is_device(segment);
    let mut out = String::with_capacity(segment.len());
    for (at, character) in segment.char_indices() {
        let edge =
            (at == 0 && (device || matches!(character, '.' | ' '))) || (at == last && matches!(character, '.' | ' '));
        let forbidden = matches!(character, '\\' | '/' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%');
        if edge || forbidden || character.is_control() || more(at, character) {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(character);
        }
    }
    out
}

fn is_device(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or(segment).trim_end();
    let name = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = stem.len() - name.len();
    DEVICES.iter().any(|device| {
        let takes_number = matches!(*device, "com" | "lpt");
        name.eq_ignore_ascii_case(device) && numbered == usize::from(takes_number)
    })
}

/// Undoes every `%XX`; none where a `%` is not followed by two digits, or the bytes are not UTF-8.
pub fn unescape(name: &str) -> Option<String> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte == b'%' {
            let (digits, behind) = rest.split_at_checked(2)?;
            out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = behind;
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_escape_is_told_apart() {
        assert_eq!(escape("a/b. ", |_, c| c == 'b'), "a%2F%62.%20");
        assert_eq!(unescape("a%2Fb").as_deref(), Some("a/b"));
        for name in ["%", "%4", "%zz", "%FF"] {
            assert_eq!(unescape(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_segment_comes_back(segment in "[^\u{0}]{1,20}|[.%: /a-f0-9]{1,8}|(con|aux|lpt[0-9])(\\.[a-z]{0,3})?") {
            prop_assert_eq!(unescape(&escape(&segment, |_, _| false)), Some(segment));
        }
    }
}
