//! Mailbox names on the wire: modified UTF-7 (RFC 3501, 5.1.3).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// As IMAP4rev1 wants it.
pub fn encode(name: &str) -> String {
    let mut out = String::new();
    let mut run: Vec<u16> = Vec::new();
    for character in name.chars() {
        if (' '..='~').contains(&character) {
            flush(&mut run, &mut out);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            run.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        }
    }
    flush(&mut run, &mut out);
    out
}

fn flush(run: &mut Vec<u16>, out: &mut String) {
    if run.is_empty() {
        return;
    }
    out.push('&');
    let (mut bits, mut held) = (0u32, 0u32);
    for unit in run.drain(..) {
        bits = (bits << 16) | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            out.push(char::from(ALPHABET[(bits >> held & 63) as usize]));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        out.push(char::from(ALPHABET[(bits << (6 - held) & 63) as usize]));
    }
    out.push('-');
}

/// Back to UTF-8. A name that is no modified UTF-7 is given as it is.
pub fn decode(name: &str) -> String {
    try_decode(name).unwrap_or_else(|| name.to_owned())
}

fn try_decode(name: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('-')? + at;
        let code = &rest[at + 1..end];
        if code.is_empty() {
            out.push('&');
        } else {
            let (mut bits, mut held) = (0u32, 0u32);
            let mut units = Vec::new();
            for byte in code.bytes() {
                let value = ALPHABET.iter().position(|&known| known == byte)?;
                bits = (bits << 6) | u32::try_from(value).ok()?;
                held += 6;
                if held >= 16 {
                    held -= 16;
                    units.push(u16::try_from(bits >> held & 0xffff).ok()?);
                    bits &= (1 << held) - 1;
                }
            }
            out.push_str(&String::from_utf16(&units).ok()?);
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(decode("~peter/mail/&U,BTFw-/&ZeVnLIqe-"), "~peter/mail/台北/日本語");
        assert_eq!(encode("Ärger & Glück 🎉"), "&AMQ-rger &- Gl&APw-ck &2DzfiQ-");
    }

    #[test]
    fn there_and_back() {
        for name in [
            "", "INBOX", "a&b", "&", "&&", "é", "éé", "ééé", "x🎉y", "a\u{1}b", "\u{7f}",
        ] {
            assert_eq!(decode(&encode(name)), name);
        }
    }

    #[test]
    fn what_is_no_code_stays() {
        assert_eq!(decode("a&b"), "a&b");
        assert_eq!(decode("a&%-"), "a&%-");
    }
}
