//! Blanks secrets out of a settings file before any of it is shown.

/// The same text, byte for byte as long, with every quoted value behind a key that looks like a secret replaced by
/// asterisks. Works on text that does not parse, and on misspelt keys.
pub fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    let mut key: Option<(usize, usize)> = None;
    while at < bytes.len() {
        match bytes[at] {
            b'#' => {
                at = bytes[at..]
                    .iter()
                    .position(|&byte| byte == b'\n')
                    .map_or(bytes.len(), |end| at + end)
            }
            b'=' => {
                key = Some(word_before(bytes, at));
                at += 1;
            }
            quote @ (b'"' | b'\'') => {
                let end = end_of_string(bytes, at, quote);
                let secret = key.is_some_and(|(from, to)| looks_secret(&text[from..to]));
                if secret {
                    // Line ends stay: lines keep their numbers.
                    out[at + 1..end]
                        .iter_mut()
                        .filter(|byte| **byte != b'\n')
                        .for_each(|byte| *byte = b'*');
                }
                at = end + 1;
            }
            // The value is over; a table's keys are looked at one by one.
            b',' | b'\n' | b'{' | b'}' => {
                key = None;
                at += 1;
            }
            _ => at += 1,
        }
    }
    // Whole strings were replaced, so characters are not cut; lossy conversion is for the type only.
    String::from_utf8(out).unwrap_or_default()
}

/// The key before the `=` at `at`, quotes and blanks apart.
fn word_before(bytes: &[u8], at: usize) -> (usize, usize) {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'');
    let to = bytes[..at]
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(0, |last| last + 1);
    let ordinary = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || *byte >= 0x80;
    let from = bytes[..to]
        .iter()
        .rposition(|byte| !ordinary(byte))
        .map_or(0, |last| last + 1);
    (from, to)
}

/// Where the string that begins at `start` ends (its closing quote); a line end closes it too.
fn end_of_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    if bytes[start..].starts_with(&[quote; 3]) {
        let body = start + 3;
        let close = bytes[body..].windows(3).position(|window| window == [quote; 3]);
        // The quotes in the middle are blanked out as well: the length is what counts.
        return close.map_or(bytes.len(), |close| body + close + 2);
    }
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 2,
            b'\n' => return at,
            byte if byte == quote => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn looks_secret(key: &str) -> bool {
    let key = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    // Ours, and no secrets.
    if matches!(key.as_str(), "token_url" | "key_file") {
        return false;
    }
    ["pass", "pas", "pwd", "pw", "token", "secret", "key", "credential"]
        .iter()
        .any(|part| key.contains(part))
        || ["password", "token", "secret"]
            .iter()
            .any(|word| strsim::jaro_winkler(&key, word) > 0.75)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blanked_and_the_rest_stays() {
        let cases = [
            (
                r#"source = { user = "a", password = "hunter2" }"#,
                r#"source = { user = "a", password = "*******" }"#,
            ),
            (r#"pasword = 'x"y' # "note""#, r#"pasword = '***' # "note""#),
            (r#"tokn = "ä\"b""#, r#"tokn = "*****""#),
            (r#"password = { env = "ALICE" }"#, r#"password = { env = "ALICE" }"#),
            (r#"source.password = "x""#, r#"source.password = "*""#),
            (
                "password = \"never closed\nname = \"b\"",
                "password = \"************\nname = \"b\"",
            ),
            (r#"host = "mail.example""#, r#"host = "mail.example""#),
            (r#"token_url = "https://x""#, r#"token_url = "https://x""#),
            (r#"client_secret = "x""#, r#"client_secret = "*""#),
        ];
        for (text, masked) in cases {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(text).len(), text.len());
        }
    }

    #[test]
    fn text_blocks_are_blanked() {
        let masked = mask("password = \"\"\"\nhun\nter\"\"\"\nname = \"b\"");
        assert!(
            !masked.contains("hun") && !masked.contains("ter") && masked.contains("name = \"b\""),
            "{masked}"
        );
        assert!(!mask("password = '''hunter2").contains("hunter"));
        assert_eq!(mask("password = \""), "password = \"");
        assert_eq!(mask(""), "");
    }
}
