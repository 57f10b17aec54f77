//! Characters that a file name cannot hold, written as `\` and two hexadecimal digits (the form of Dovecot's
//! `listescape`), one pair for each byte of UTF-8.

/// The segment with every character for which `forbidden` holds, and every `\`, escaped. `forbidden` gets the byte
/// offset of the character and the character. [`unescape`] gives the segment back.
pub fn escape(segment: &str, forbidden: impl Fn(usize, char) -> bool) -> String {
    let mut out = String::with_capacity(segment.len());
    for (at, character) in segment.char_indices() {
        if character == '\\' || character.is_control() || forbidden(at, character) {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                out.push('\\');
                out.push(hex_digit(byte >> 4));
                out.push(hex_digit(byte & 15));
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// The segment that was escaped. What is no escape stays as it is; so does the whole name where the escapes do not
/// make UTF-8.
pub fn unescape(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len());
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let pair = (bytes[at] == b'\\')
            .then(|| hex_value(bytes.get(at + 1)).zip(hex_value(bytes.get(at + 2))))
            .flatten();
        match pair {
            Some((high, low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| name.to_owned())
}

fn hex_digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 })
}

fn hex_value(byte: Option<&u8>) -> Option<u8> {
    match byte? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_is_that_of_dovecot() {
        assert_eq!(escape("a.b/c", |_, c| matches!(c, '.' | '/')), "a\\2eb\\2fc");
        assert_eq!(unescape("a\\2Eb\\2fc"), "a.b/c");
    }

    #[test]
    fn what_is_no_escape_stays() {
        for name in ["a\\", "a\\2", "a\\zz", "\\ff"] {
            assert_eq!(unescape(name), name);
        }
    }

    proptest! {
        #[test]
        fn every_segment_comes_back(segment in "\\PC*|[\\\\./a-f0-9\u{0}-\u{1f}]*") {
            let name = escape(&segment, |at, c| matches!(c, '.' | '/') || (at == 0 && c == '~'));
            prop_assert!(!name.contains(['.', '/', '\0']));
            prop_assert_eq!(unescape(&name), segment);
        }
    }
}
