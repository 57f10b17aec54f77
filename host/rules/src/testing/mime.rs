//! A message (RFC 5322, MIME) from what a test says of it.

use bytes::Bytes;
use rhai::{Dynamic, Map};
use whimbrel_mail::{Edit, Head};

use super::fixture::Given;
use crate::script::values::short;
use crate::script::{Answer, refuse};

/// Bytes of a message that a test makes up.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// The octets that attachments are made of; three of them are four characters of base64.
const LINE: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\r\n";

/// Octets in such a line.
const LINE_OCTETS: u64 = 57;

struct Attachment {
    name: String,
    kind: String,
    size: u64,
    inline: bool,
}

/// The message. It has the headers that the test gives, and those that its parts need.
pub(super) fn build(given: &Given<'_>) -> Answer<Bytes> {
    let text = given.text("text")?;
    let html = given.text("html")?;
    let attachments = attachments(given)?;
    let mut headers = headers(&given.map("headers")?)?;
    let mut parts: Vec<(Vec<(String, String)>, String)> = Vec::new();
    for (kind, text) in [("text/plain", &text), ("text/html", &html)] {
        if let Some(text) = text {
            parts.push((text_headers(kind, text), lines(text)));
        }
    }
    let content_type = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let many = attachments.len() + parts.len() > 1 || !attachments.is_empty();
    let mut body = String::new();
    if !many {
        if let Some((own, text)) = parts.pop() {
            if content_type.is_none() && own.iter().any(|(_, value)| value != "text/plain; charset=us-ascii") {
                headers.extend(own);
            }
            body = text;
        }
    } else {
        let boundary = match content_type.map(|(_, value)| value.clone()) {
            None => {
                let boundary = boundary(&parts);
                let kind = if attachments.is_empty() { "alternative" } else { "mixed" };
                headers.push((
                    "Content-Type".to_owned(),
                    format!("multipart/{kind}; boundary=\"{boundary}\""),
                ));
                boundary
            }
            Some(value) => own_boundary(&mut headers, &value, &parts)?,
        };
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("mime-version"))
        {
            headers.push(("MIME-Version".to_owned(), "1.0".to_owned()));
        }
        multipart(&mut body, &boundary, &parts, &attachments)?;
    }
    let mut out = head(&headers)?;
    out.extend_from_slice(body.as_bytes());
    if out.len() > MOST_BYTES {
        return refuse("a message of a test can hold 64 MiB; say its size instead");
    }
    Ok(Bytes::from(out))
}

fn headers(map: &Map) -> Answer<Vec<(String, String)>> {
    let mut out = Vec::new();
    for (name, value) in map {
        let values = match value.as_array_ref() {
            Ok(values) => values.clone(),
            Err(_) => vec![value.clone()],
        };
        for value in values {
            match value.as_immutable_string_ref() {
                Ok(text) => out.push((name.to_string(), text.to_string())),
                Err(found) => return refuse(format!("header {} is a string, not {found}", short(name))),
            }
        }
    }
    Ok(out)
}

fn head(headers: &[(String, String)]) -> Answer<Vec<u8>> {
    // Fields are added at the top, the last one first.
    let add = |(name, value): &(String, String)| Edit::Add {
        name: name.clone(),
        value: value.clone(),
    };
    let edits: Vec<Edit> = headers.iter().rev().map(add).collect();
    match Head::parse(Bytes::from_static(b"\r\n")).apply(&edits) {
        Ok(applied) => Ok(applied.head.to_vec()),
        Err(error) => refuse(error.to_string()),
    }
}

fn text_headers(kind: &str, text: &str) -> Vec<(String, String)> {
    let header = |name: &str, value: String| (name.to_owned(), value);
    if text.is_ascii() {
        return vec![header("Content-Type", format!("{kind}; charset=us-ascii"))];
    }
    vec![
        header("Content-Type", format!("{kind}; charset=utf-8")),
        header("Content-Transfer-Encoding", "8bit".to_owned()),
    ]
}

/// With CRLF, and one at the end.
fn lines(text: &str) -> String {
    let mut out = text.replace("\r\n", "\n").replace('\n', "\r\n");
    if !out.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    out
}

fn attachments(given: &Given<'_>) -> Answer<Vec<Attachment>> {
    let one = |value: Dynamic| -> Answer<Attachment> {
        let Ok(map) = value.as_map_ref() else {
            return given.wrong("attachments", "an array of maps #{ … }", &value);
        };
        let given = Given::new("an attachment", &map, &["name", "type", "size", "inline"])?;
        let kind = given
            .text("type")?
            .unwrap_or_else(|| "application/octet-stream".to_owned());
        if kind.chars().any(char::is_control) {
            return refuse(format!("\"{}\" is no type", short(&kind)));
        }
        Ok(Attachment {
            name: given.text("name")?.unwrap_or_default(),
            kind,
            size: given.number("size")?.unwrap_or(LINE_OCTETS),
            inline: given.flag("inline")?.unwrap_or(false),
        })
    };
    given.array("attachments")?.into_iter().map(one).collect()
}

/// A boundary that stands in no part.
fn boundary(parts: &[(Vec<(String, String)>, String)]) -> String {
    let mut boundary = "=_part".to_owned();
    while parts.iter().any(|(_, text)| text.contains(&boundary)) {
        boundary.push('_');
    }
    boundary
}

/// The boundary of a type that the test gives itself; added where it says none.
fn own_boundary(
    headers: &mut [(String, String)],
    value: &str,
    parts: &[(Vec<(String, String)>, String)],
) -> Answer<String> {
    let content_type = Head::parse(Bytes::from(format!("Content-Type: {value}\r\n\r\n"))).content_type();
    if !content_type.is_multipart() {
        return refuse("a message with attachments needs a Content-Type of multipart/…, or none");
    }
    if let Some(boundary) = content_type.param("boundary") {
        return Ok(boundary.to_owned());
    }
    let boundary = boundary(parts);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("content-type") {
            value.push_str(&format!("; boundary=\"{boundary}\""));
        }
    }
    Ok(boundary)
}

fn multipart(
    body: &mut String,
    boundary: &str,
    parts: &[(Vec<(String, String)>, String)],
    attachments: &[Attachment],
) -> Answer<()> {
    for (headers, text) in parts {
        body.push_str(&format!("--{boundary}\r\n"));
        for (name, value) in headers {
            body.push_str(&format!("{name}: {value}\r\n"));
        }
        body.push_str("\r\n");
        body.push_str(text);
    }
    for attachment in attachments {
        let coded = attachment.size / LINE_OCTETS * LINE.len() as u64;
        if body.len() as u64 + coded > MOST_BYTES as u64 {
            return refuse("a message of a test can hold 64 MiB; say its size instead");
        }
        let place = if attachment.inline { "inline" } else { "attachment" };
        let name = parameter("filename", &attachment.name);
        let kind = parameter("name", &attachment.name);
        body.push_str(&format!("--{boundary}\r\nContent-Type: {}{kind}\r\n", attachment.kind));
        body.push_str(&format!("Content-Disposition: {place}{name}\r\n"));
        body.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
        octets(body, attachment.size);
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    Ok(())
}

/// A parameter with its value, quoted, or encoded (RFC 2231) where it must be; nothing where it is empty.
fn parameter(name: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let plain = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '"' && c != '\\';
    if value.chars().all(plain) {
        return format!("; {name}=\"{value}\"");
    }
    let mut out = format!("; {name}*=utf-8''");
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// So many times the same octet, in base64.
fn octets(body: &mut String, size: u64) {
    for _ in 0..size / LINE_OCTETS {
        body.push_str(LINE);
    }
    let rest = usize::try_from(size % LINE_OCTETS).unwrap_or(0);
    if rest > 0 {
        body.push_str(&"YWFh".repeat(rest / 3));
        body.push_str(["", "YQ==", "YWE="].get(rest % 3).copied().unwrap_or_default());
        body.push_str("\r\n");
    }
}
