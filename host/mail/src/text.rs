//! The text of a message, for rules that look into it.

use std::io;

use mail_parser::decoders::html::html_to_text;

use crate::{
    content::Content,
    parts::{Part, Structure},
    words::{decode_charset, decode_plain},
};

/// Encoded bytes of HTML that are looked at for each byte of text.
const HTML_SHARE: usize = 4;

/// The first text/plain part decoded, else the first text/html part without its tags, else nothing; at most `limit`
/// bytes of UTF-8. No more of the body is read than that needs. Parts of messages within the message do not count, and
/// neither do attachments.
///
/// # Errors
///
/// As [`Content::read_at`].
pub fn text(content: &dyn Content, structure: &Structure, limit: usize) -> io::Result<String> {
    let of = |kind: &str| structure.parts.iter().find(|part| is_text(part, kind));
    let (part, html) = match of("text/plain") {
        Some(part) => (part, false),
        None => match of("text/html") {
            Some(part) => (part, true),
            None => return Ok(String::new()),
        },
    };
    // Two bytes a character is what UTF-16 has.
    let wanted = limit.saturating_mul(if html { HTML_SHARE } else { 2 });
    let mut bytes = Vec::new();
    let mut cut = false;
    for piece in part.decoder(content) {
        let piece = piece?;
        let room = wanted - bytes.len();
        cut = piece.len() > room;
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        if bytes.len() >= wanted {
            cut = true;
            break;
        }
    }
    let mut text = match part.content_type.param("charset") {
        Some(charset) if !charset.is_empty() => decode_charset(charset.as_bytes(), &bytes),
        _ if cut => decode_cut(&bytes),
        _ => decode_plain(&bytes).into_owned(),
    };
    if cut && text.ends_with('\u{fffd}') {
        text.pop();
    }
    if html {
        text = html_to_text(&text);
    }
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    text.truncate(end);
    Ok(text)
}

/// UTF-8 that ends within a character is still UTF-8.
fn decode_cut(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => decode_plain(&bytes[..error.valid_up_to()]).into_owned(),
        _ => decode_plain(bytes).into_owned(),
    }
}

fn is_text(part: &Part, kind: &str) -> bool {
    part.content_type.kind == kind
        && !part.in_message
        && part.disposition.as_deref() != Some("attachment")
        && !(part.depth > 0 && part.file_name.is_some() && part.disposition.is_none() && kind == "text/html")
}
