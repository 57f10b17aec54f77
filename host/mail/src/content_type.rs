//! Types and dispositions with their parameters (RFC 2045 section 5.1, RFC 2183, RFC 2231).

use crate::words::{decode_charset, decode_plain, decode_words, hex, unfold};

/// The type of a content, or its disposition: a word and parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype`, or the word of a disposition, in lower case.
    pub kind: String,
    /// Names in lower case; values decoded, continuations put together. The first of a name counts.
    pub params: Vec<(String, String)>,
    /// As it stands in the message: boundaries are bytes.
    boundary: Option<Vec<u8>>,
}

/// A parameter as written.
struct Raw {
    name: String,
    /// Of a continuation `name*3`.
    section: Option<u32>,
    /// Written as `name*=`, with `%41`.
    extended: bool,
    value: Vec<u8>,
}

impl ContentType {
    pub(crate) fn plain() -> ContentType {
        ContentType {
            kind: "text/plain".to_owned(),
            params: Vec::new(),
            boundary: None,
        }
    }

    /// A value that cannot be read is `text/plain` (RFC 2045 section 5.2); its parameters are kept.
    pub(crate) fn parse(value: &[u8]) -> ContentType {
        let mut parsed = ContentType::disposition(value);
        let valid = parsed
            .kind
            .split_once('/')
            .is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty());
        if !valid {
            parsed.kind = "text/plain".to_owned();
        }
        parsed
    }

    /// The word is whatever stands before the parameters.
    pub(crate) fn disposition(value: &[u8]) -> ContentType {
        let value = unfold(value);
        let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        let kind: Vec<u8> = value[..end]
            .split(|&byte| byte == b'(')
            .next()
            .unwrap_or_default()
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(u8::to_ascii_lowercase)
            .collect();
        let raw = parameters(&value[end..]);
        let boundary = raw
            .iter()
            .find(|param| param.name == "boundary" && param.section.is_none())
            .map(|param| param.value.clone())
            .or_else(|| combined(&raw, "boundary").map(|(_, bytes)| bytes));
        let mut params: Vec<(String, String)> = Vec::new();
        for param in &raw {
            if !params.iter().any(|(name, _)| *name == param.name) {
                params.push((param.name.clone(), decoded(&raw, &param.name)));
            }
            if params.len() >= 64 {
                break;
            }
        }
        ContentType {
            kind: String::from_utf8_lossy(&kind).into_owned(),
            params,
            boundary: boundary.filter(|boundary| !boundary.is_empty()),
        }
    }

    /// The value of a parameter; the name in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// Whether the content has parts of its own.
    pub fn is_multipart(&self) -> bool {
        self.kind.starts_with("multipart/")
    }

    /// Whether the content is a message of its own (RFC 2046 section 5.2.1, RFC 6532 section 3.7).
    pub fn is_message(&self) -> bool {
        matches!(self.kind.as_str(), "message/rfc822" | "message/global")
    }

    /// What separates the parts, without the dashes.
    pub(crate) fn boundary(&self) -> Option<&[u8]> {
        self.boundary.as_deref()
    }
}

/// `; name=value; name="quoted value"; name*0*=utf-8''%20`, as forgiving as mail programs are.
fn parameters(value: &[u8]) -> Vec<Raw> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < value.len() && out.len() < 512 {
        match value[at] {
            b';' | b' ' | b'\t' => {
                at += 1;
                continue;
            }
            _ => {}
        }
        let name_end = at
            + value[at..]
                .iter()
                .position(|&byte| byte == b'=' || byte == b';')
                .unwrap_or(value.len() - at);
        let name = value[at..name_end].trim_ascii();
        if value.get(name_end) != Some(&b'=') {
            at = name_end;
            continue;
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let (name, section, extended) = split_name(&name);
        at = name_end + 1;
        while matches!(value.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        let mut content = Vec::new();
        if value.get(at) == Some(&b'"') {
            at += 1;
            while let Some(&byte) = value.get(at) {
                at += 1;
                match byte {
                    b'"' => break,
                    b'\\' if value.get(at).is_some() => {
                        content.push(value[at]);
                        at += 1;
                    }
                    _ => content.push(byte),
                }
            }
            // What stands behind the quotes belongs to nothing.
            at += value[at..]
                .iter()
                .position(|&byte| byte == b';')
                .unwrap_or(value.len() - at);
        } else {
            let end = at
                + value[at..]
                    .iter()
                    .position(|&byte| byte == b';')
                    .unwrap_or(value.len() - at);
            let raw = value[at..end].trim_ascii();
            // File names have blanks and brackets in them, other values have comments behind them.
            let named = name == "name" || name == "filename";
            let stop = raw
                .iter()
                .position(|&byte| !named && matches!(byte, b' ' | b'\t' | b'('));
            content.extend_from_slice(&raw[..stop.unwrap_or(raw.len())]);
            at = end;
        }
        out.push(Raw {
            name: name.to_owned(),
            section,
            extended,
            value: content,
        });
    }
    out
}

fn split_name(name: &str) -> (&str, Option<u32>, bool) {
    let (rest, extended) = match name.strip_suffix('*') {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    match rest.rsplit_once('*') {
        Some((base, number)) => match number.parse() {
            Ok(number) => (base, Some(number), extended),
            Err(_) => (rest, None, extended),
        },
        None => (rest, None, extended),
    }
}

/// The value of a name: `name*`, else the continuations, else the plain one (RFC 2231 sections 3 and 4).
fn decoded(raw: &[Raw], name: &str) -> String {
    if let Some((charset, bytes)) = combined(raw, name) {
        return match charset {
            Some(charset) if !charset.is_empty() => decode_charset(&charset, &bytes),
            _ => decode_plain(&bytes).into_owned(),
        };
    }
    let plain = raw.iter().find(|param| param.name == name && param.section.is_none());
    plain.map_or_else(String::new, |param| decode_words(&param.value))
}

/// The character set and the bytes of an extended or continued parameter.
fn combined(raw: &[Raw], name: &str) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
    let single = raw
        .iter()
        .find(|param| param.name == name && param.section.is_none() && param.extended);
    let mut sections: Vec<&Raw> = match single {
        Some(single) => vec![single],
        None => raw
            .iter()
            .filter(|param| param.name == name && param.section.is_some())
            .collect(),
    };
    sections.sort_by_key(|param| param.section);
    sections.dedup_by_key(|param| param.section);
    let first = sections.first()?;
    let mut charset = None;
    let mut bytes = Vec::new();
    let mut value = first.value.as_slice();
    if first.extended {
        let mut parts = first.value.splitn(3, |&byte| byte == b'\'');
        if let (Some(set), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
            charset = Some(set.to_vec());
            value = rest;
        }
    }
    for (at, section) in sections.iter().enumerate() {
        let value = if at == 0 { value } else { &section.value };
        match section.extended {
            true => percent(value, &mut bytes),
            false => bytes.extend_from_slice(value),
        }
    }
    Some((charset, bytes))
}

fn percent(value: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        at += 1;
        match (byte, value.get(at).and_then(hex), value.get(at + 1).and_then(hex)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 2;
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(value: &str, name: &str) -> Option<String> {
        ContentType::parse(value.as_bytes()).param(name).map(str::to_owned)
    }

    #[test]
    fn types_are_read() {
        for (value, kind) in [
            (" Text/HTML; charset=utf-8", "text/html"),
            ("multipart / mixed", "multipart/mixed"),
            ("text", "text/plain"),
            ("", "text/plain"),
            ("/; name=x", "text/plain"),
            ("application/pdf (a file)", "application/pdf"),
            ("application/\r\n pdf", "application/pdf"),
        ] {
            assert_eq!(ContentType::parse(value.as_bytes()).kind, kind, "{value}");
        }
    }

    #[test]
    fn parameters_are_decoded() {
        for (value, name, expected) in [
            (
                "a/b; name=report (1) final.pdf; x=y",
                "name",
                Some("report (1) final.pdf"),
            ),
            ("a/b; charset=us-ascii (Plain)", "charset", Some("us-ascii")),
            ("a/b; charset = \"UTF-8\" ; x", "charset", Some("UTF-8")),
            ("a/b; name=\"a\\\"b;c\"; name=second", "name", Some("a\"b;c")),
            ("a/b; name=\"=?utf-8?Q?=C3=BC?=.txt\"", "name", Some("\u{fc}.txt")),
            ("a/b; name*=utf-8'de'%C3%BC.txt; name=u.txt", "name", Some("\u{fc}.txt")),
            ("a/b; name*=iso-8859-1''%FC", "name", Some("\u{fc}")),
            ("a/b;\r\n name*1=\"lo\";\r\n name*0*=''he%6C", "name", Some("hello")),
            (
                "a/b; name*0*=utf-8''%C3; name*1*=%BC; name*2=%41",
                "name",
                Some("\u{fc}%41"),
            ),
            ("a/b; name*=plain", "name", Some("plain")),
            ("a/b; name=\"open", "name", Some("open")),
            ("a/b; name=", "name", Some("")),
            ("a/b; name", "name", None),
            ("a/b; NAME=x", "name", Some("x")),
            ("a/b; name=\u{fc}", "name", Some("\u{fc}")),
        ] {
            assert_eq!(param(value, name).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn boundaries_are_bytes() {
        let boundary = |value: &[u8]| ContentType::parse(value).boundary().map(<[u8]>::to_vec);
        assert_eq!(
            boundary(b"multipart/mixed; boundary=\"a b\xe9\""),
            Some(b"a b\xe9".to_vec())
        );
        assert_eq!(
            boundary(b"multipart/mixed; boundary*0=ab; boundary*1=cd"),
            Some(b"abcd".to_vec())
        );
        assert_eq!(boundary(b"multipart/mixed; boundary=\"\""), None);
        assert_eq!(boundary(b"multipart/mixed"), None);
    }
}
