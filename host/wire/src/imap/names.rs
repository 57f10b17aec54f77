//! Mailbox names: modified UTF-7 (RFC 3501 section 5.1.3), UTF-8 (RFC 6855), and the names that are neither.
//!
//! **Invariant** Two names of a server never become the same decoded name, and every decoded name leads back to the
//! server's own bytes.

use std::collections::{BTreeSet, HashMap};

/// Which encoding the session's names are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Modified UTF-7.
    Utf7,
    /// UTF-8, after ENABLE UTF8=ACCEPT.
    Utf8,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// To modified UTF-7.
fn encode_utf7(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut units: Vec<u16> = Vec::new();
    for c in name.chars() {
        match u8::try_from(c) {
            Ok(byte @ b' '..=b'~') => {
                shift(&mut units, &mut out);
                out.push(byte);
                if byte == b'&' {
                    out.push(b'-');
                }
            }
            _ => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
        }
    }
    shift(&mut units, &mut out);
    out
}

fn shift(units: &mut Vec<u16>, out: &mut Vec<u8>) {
    if units.is_empty() {
        return;
    }
    out.push(b'&');
    let (mut bits, mut count) = (0u32, 0);
    for unit in units.drain(..) {
        bits = bits << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            out.push(ALPHABET[(bits >> count & 63) as usize]);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(ALPHABET[(bits << (6 - count) & 63) as usize]);
    }
    out.push(b'-');
}

/// From modified UTF-7, but only what [`encode_utf7`] would have written.
fn decode_utf7(raw: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'&' {
            if !matches!(byte, b' '..=b'~') {
                return None;
            }
            out.push(char::from(byte));
            continue;
        }
        let end = rest.iter().position(|&byte| byte == b'-')?;
        let (coded, after) = rest.split_at(end);
        rest = &after[1..];
        if coded.is_empty() {
            out.push('&');
            continue;
        }
        let (mut bits, mut count, mut units) = (0u32, 0, Vec::with_capacity(coded.len() / 2));
        for byte in coded {
            let value = ALPHABET.iter().position(|known| known == byte)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
            count += 6;
            if count >= 16 {
                count -= 16;
                units.push(u16::try_from(bits >> count & 0xFFFF).ok()?);
                bits &= (1 << count) - 1;
            }
        }
        out.push_str(&String::from_utf16(&units).ok()?);
    }
    // Anything that has a second spelling is not taken: two names could come to be one.
    (encode_utf7(&out) == raw).then_some(out)
}

fn decode(raw: &[u8], encoding: Encoding) -> Option<String> {
    match encoding {
        Encoding::Utf7 => decode_utf7(raw),
        Encoding::Utf8 => std::str::from_utf8(raw)
            .ok()
            .filter(|name| !name.contains(['\0', '\r', '\n']))
            .map(str::to_owned),
    }
}

fn encode(name: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf7 => encode_utf7(name),
        Encoding::Utf8 => name.as_bytes().to_vec(),
    }
}

/// How a name looks that is in no proper encoding: as the UTF-8 it may be, else with the odd bytes as `%XX`.
fn makeshift(raw: &[u8]) -> String {
    let mut out = String::new();
    for chunk in raw.utf8_chunks() {
        out.extend(
            chunk
                .valid()
                .chars()
                .map(|c| if c.is_control() { '\u{FFFD}' } else { c }),
        );
        for byte in chunk.invalid() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The names of a session.
#[derive(Debug)]
pub(super) struct Names {
    encoding: Encoding,
    /// Decoded names that do not encode to the server's own bytes, and those bytes.
    odd: HashMap<String, Vec<u8>>,
}

impl Names {
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            odd: HashMap::new(),
        }
    }

    /// Decodes a whole listing; the same listing always gives the same names, in whatever order it comes.
    pub fn learn(&mut self, listing: &[Vec<u8>]) -> HashMap<Vec<u8>, String> {
        let mut known = HashMap::with_capacity(listing.len());
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut odd: Vec<&Vec<u8>> = Vec::new();
        for raw in listing {
            match decode(raw, self.encoding) {
                Some(name) => {
                    taken.insert(name.clone());
                    known.insert(raw.clone(), name);
                }
                None => odd.push(raw),
            }
        }
        odd.sort_unstable();
        odd.dedup();
        self.odd.clear();
        for raw in odd {
            let plain = makeshift(raw);
            let mut name = plain.clone();
            let mut length = 4;
            while taken.contains(&name) {
                // The name of another mailbox: told apart by a hash of the bytes, longer in the unlikely case.
                let hash = blake3::hash(raw).to_hex();
                name = format!("{plain} [{}]", hash.as_str().get(..length).unwrap_or(hash.as_str()));
                if length >= hash.as_str().len() {
                    name.push_str(&"'".repeat(length - hash.as_str().len()));
                }
                length += 4;
            }
            taken.insert(name.clone());
            self.odd.insert(name.clone(), raw.clone());
            known.insert(raw.clone(), name);
        }
        known
    }

    /// Decodes one name outside a listing (a prefix).
    pub fn decode(&self, raw: &[u8]) -> String {
        decode(raw, self.encoding).unwrap_or_else(|| makeshift(raw))
    }

    /// The server's bytes for a name.
    pub fn raw(&self, name: &str) -> Vec<u8> {
        self.odd
            .get(name)
            .cloned()
            .unwrap_or_else(|| encode(name, self.encoding))
    }
}

/// Whether these bytes can stand between quotes (RFC 9051 `quoted`; 8-bit only after UTF8=ACCEPT).
pub(super) fn quotable(raw: &[u8], encoding: Encoding) -> bool {
    match encoding {
        Encoding::Utf7 => raw.iter().all(|byte| matches!(byte, b' '..=b'~')),
        Encoding::Utf8 => std::str::from_utf8(raw).is_ok_and(|name| !name.contains(['\0', '\r', '\n'])),
    }
}

/// Between quotes.
pub(super) fn quote(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + 2);
    out.push(b'"');
    for &byte in raw {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_of_the_standard() {
        for (name, raw) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("R&D", "R&-D"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("😀&", "&2D3eAA-&-"),
            ("a\tb\n", "a&AAk-b&AAo-"),
            ("", ""),
        ] {
            assert_eq!(encode_utf7(name), raw.as_bytes());
            assert_eq!(decode_utf7(raw.as_bytes()).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_not_canonical_is_not_decoded() {
        for raw in [
            "R&D",
            "&AGE-",
            "&U,BTFw-&ZeVnLIqe-",
            "&2D0-",
            "&APx-",
            "&AP-",
            "Entw\u{fc}rfe",
            "&U/BTFw-",
            "a\x01",
            "&&-",
        ] {
            assert_eq!(decode_utf7(raw.as_bytes()), None, "{raw}");
        }
    }

    #[test]
    fn odd_names_are_shown_as_they_are_where_they_are_the_only_ones() {
        let mut names = Names::new(Encoding::Utf7);
        let listing: Vec<Vec<u8>> = vec![
            "Entwürfe".into(),
            b"R&D".to_vec(),
            b"caf\xe9".to_vec(),
            b"Entw&APw-rfe".to_vec(),
        ];
        let known = names.learn(&listing);
        assert_eq!(known[&listing[3]], "Entwürfe");
        assert_eq!(known[&listing[1]], "R&D");
        assert_eq!(known[&listing[2]], "caf%E9");
        assert!(known[&listing[0]].starts_with("Entwürfe ["), "{known:?}");
        for raw in &listing {
            assert_eq!(&names.raw(&known[raw]), raw);
        }
        assert_eq!(names.raw("new & shiny"), b"new &- shiny");
    }

    #[test]
    fn quotes() {
        assert_eq!(quote(br#"a "b" \c"#), br#""a \"b\" \\c""#);
        assert!(!quotable("ü".as_bytes(), Encoding::Utf7) && quotable("ü".as_bytes(), Encoding::Utf8));
        assert!(!quotable(b"a\nb", Encoding::Utf8) && !quotable(b"\xff", Encoding::Utf8));
    }

    fn raw_name() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            ".{0,12}".prop_map(|name| encode_utf7(&name)),
            "[a&,A-]{0,8}".prop_map(String::into_bytes),
            ".{0,6}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..6),
        ]
    }

    proptest! {
        #[test]
        fn utf7_there_and_back(name in any::<String>()) {
            let raw = encode_utf7(&name);
            prop_assert!(raw.iter().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(decode_utf7(&raw), Some(name));
        }

        #[test]
        fn decoding_is_one_to_one(raw in raw_name()) {
            if let Some(name) = decode_utf7(&raw) {
                prop_assert_eq!(encode_utf7(&name), raw);
            }
        }

        #[test]
        fn no_two_names_become_one(mut listing in proptest::collection::vec(raw_name(), 0..20), utf8 in any::<bool>()) {
            let mut names = Names::new(if utf8 { Encoding::Utf8 } else { Encoding::Utf7 });
            let known = names.learn(&listing);
            let distinct: HashSet<&Vec<u8>> = listing.iter().collect();
            prop_assert_eq!(known.len(), distinct.len());
            prop_assert_eq!(known.values().collect::<HashSet<_>>().len(), distinct.len());
            for (raw, name) in &known {
                prop_assert_eq!(&names.raw(name), raw);
            }
            listing.reverse();
            prop_assert_eq!(names.learn(&listing), known);
        }
    }
}
