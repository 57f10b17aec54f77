//! Names of scripts (RFC 5804, 1.6): Unicode in its composed form, without control characters.

use unicode_normalization::UnicodeNormalization as _;

/// Bytes of a name that any server takes (RFC 5804, 1.6).
const BYTES: usize = 512;
/// Characters of a name that any server takes.
const CHARACTERS: usize = 128;

/// The name in the form in which names are compared.
pub fn normal(name: &str) -> String {
    name.nfc().collect()
}

/// The name that a server means which lists it as encoded words (RFC 2047, of UTF-8 and "Q"), as those do that keep scripts
/// as messages; the same where it holds none.
pub fn shown(name: &str) -> String {
    const BEGIN: &str = "=?UTF-8?Q?";
    if !name.starts_with(BEGIN) {
        return normal(name);
    }
    let mut bytes = Vec::new();
    for word in name.split("?= ") {
        let word = word.strip_suffix("?=").unwrap_or(word);
        let Some(text) = word.strip_prefix(BEGIN) else {
            return normal(name);
        };
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            match (first, code) {
                (b'=', Some(code)) => {
                    bytes.push(code);
                    rest = &after[2..];
                    continue;
                }
                (b'_', _) => bytes.push(b' '),
                _ => bytes.push(first),
            }
            rest = after;
        }
    }
    String::from_utf8(bytes).map_or_else(|_| normal(name), |name| normal(&name))
}

/// The name as the standard allows it; the same where it does.
pub fn allowed(name: &str) -> String {
    let control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let name: String = normal(name).chars().map(|c| if control(c) { '_' } else { c }).collect();
    match cut(&name, usize::MAX) {
        name if name.is_empty() => "script".to_owned(),
        name => name,
    }
}

/// A second try for a name that a server may not take: nothing that means something to file systems.
pub fn plain(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if "/\\:*?\"<>|%~".contains(c) { '_' } else { c })
        .collect();
    let begins = plain.trim_start_matches(|c: char| c == '.' || c.is_whitespace());
    match cut(begins, CHARACTERS).trim_end() {
        "" => "script".to_owned(),
        name => name.to_owned(),
    }
}

/// The name beside which others lie: from the second on it bears its number.
pub fn numbered(name: &str, number: u32) -> String {
    if number < 2 {
        return name.to_owned();
    }
    let mark = format!(" ({number})");
    let room = CHARACTERS.saturating_sub(mark.len());
    let stem = match name.chars().count() > room && name.len() + mark.len() > BYTES {
        true => cut(name, room),
        false => name.to_owned(),
    };
    stem + &mark
}

fn cut(name: &str, characters: usize) -> String {
    let mut out = String::new();
    for character in name.chars().take(characters) {
        if out.len() + character.len_utf8() > BYTES {
            break;
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_composed_and_hold_no_control_characters() {
        assert_eq!(allowed("Abwesend \"\u{e4}\""), "Abwesend \"\u{e4}\"");
        assert_eq!(allowed("a\u{308}\r\n\u{2028}\u{9f}"), "\u{e4}____");
        assert_eq!(allowed(""), "script");
        assert_eq!(plain("../a:b\"c"), "_a_b_c");
        assert_eq!(plain(" . "), "script");
        assert_eq!((numbered("a", 1).as_str(), numbered("a", 2).as_str()), ("a", "a (2)"));
    }

    #[test]
    fn encoded_words_are_understood() {
        assert_eq!(shown("=?UTF-8?Q?=C3=A4_b?="), "\u{e4} b");
        assert_eq!(shown("=?UTF-8?Q?=C3?= =?UTF-8?Q?=A4b?="), "\u{e4}b");
        for same in [
            "a",
            "=?UTF-8?Q?=C3?=",
            "=?UTF-8?B?w6Q=?=",
            "=?UTF-8?Q?a?= b",
            "a =?UTF-8?Q?b?=",
        ] {
            assert_eq!(shown(same), same);
        }
        assert_eq!(shown("a\u{308}"), "\u{e4}");
    }

    proptest! {
        #[test]
        fn no_name_makes_it_fail(name in "=\\?UTF-8\\?Q\\?[=?_ a-fA-F0-9\\u{e4}]{0,30}") {
            let _ = shown(&name);
        }

        #[test]
        fn names_stay_short_and_apart(name in "\\PC{0,300}", number in 2u32..50) {
            for name in [allowed(&name), plain(&allowed(&name))] {
                prop_assert!(!name.is_empty() && name.len() <= BYTES);
                prop_assert_eq!(&allowed(&name), &name);
                prop_assert_eq!(plain(&plain(&name)), plain(&name));
                let other = numbered(&name, number);
                prop_assert!(other != name && other.len() <= BYTES, "{}", other);
                prop_assert_ne!(numbered(&name, number + 1), other);
            }
        }
    }
}
