//! Modified UTF-7 (RFC 3501, 5.1.3), the form in which older mail stores write folder names to disk.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The text in modified UTF-7.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pending: Vec<u16> = Vec::new();
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            flush(&mut out, &mut pending);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            let mut buffer = [0; 2];
            pending.extend_from_slice(character.encode_utf16(&mut buffer));
        }
    }
    flush(&mut out, &mut pending);
    out
}

fn flush(out: &mut String, pending: &mut Vec<u16>) {
    if pending.is_empty() {
        return;
    }
    out.push('&');
    let mut bits: u32 = 0;
    let mut count = 0;
    for unit in pending.drain(..) {
        bits = bits << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            out.push(letter(bits >> count));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(letter(bits << (6 - count)));
    }
    out.push('-');
}

fn letter(bits: u32) -> char {
    char::from(ALPHABET[(bits & 63) as usize])
}

/// The text that was encoded; none where this is not modified UTF-7 in its only valid form (a name in plain UTF-8, or
/// one that merely holds a `&`).
pub fn decode(name: &str) -> Option<String> {
    if !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find('-')?;
        if end == 0 {
            out.push('&');
        } else {
            out.push_str(&decode_run(&rest[..end])?);
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    // The encoder's form is the only valid one; this refuses padding bits, encoded ASCII and split runs.
    (encode(&out) == name).then_some(out)
}

fn decode_run(letters: &str) -> Option<String> {
    let mut units = Vec::new();
    let mut bits: u32 = 0;
    let mut count = 0;
    for letter in letters.bytes() {
        let value = ALPHABET.iter().position(|&known| known == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count & 0xffff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(encode("Entwürfe & Co"), "Entw&APw-rfe &- Co");
        assert_eq!(decode("Entw&APw-rfe &- Co").as_deref(), Some("Entwürfe & Co"));
        assert_eq!(decode("&2D3eCQ-").as_deref(), Some("😉"));
    }

    #[test]
    fn what_is_not_valid_is_told_apart() {
        for name in [
            "R&D",
            "a&b-c",
            "Entwürfe",
            "&AGE-",
            "&U,BTFw-&ZeVnLIqe-",
            "&2D0-",
            "&APx-",
            "&A-",
            "tab\there",
        ] {
            assert_eq!(decode(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in any::<String>()) {
            let name = encode(&text);
            prop_assert!(name.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(decode(&name), Some(text));
        }

        #[test]
        fn nothing_makes_it_fail(name in "[&A-Za-z,+\\- ]*") {
            if let Some(text) = decode(&name) {
                prop_assert_eq!(encode(&text), name);
            }
        }
    }
}
