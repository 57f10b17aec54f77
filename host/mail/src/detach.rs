//! Taking attachments out of a message: what has to be replaced by what.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    content_type::ContentType,
    edits::{Edit, Edits},
    encode::encode_field,
    head::LineEnd,
    parts::{AttachmentInfo, Structure, attachments},
    words::unfold,
};

/// The field that says what stood in the place of a text.
const MARK: &str = "X-Whimbrel-Detached";

/// Bytes of the content that others take the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// Of the old content.
    pub range: Range<u64>,
    /// What stands there instead.
    pub with: Bytes,
}

/// A part of the new content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slice {
    /// These bytes of the old content.
    Kept(Range<u64>),
    /// Other bytes.
    New(Bytes),
}

/// What has to be done to a message so that attachments are out of it.
#[derive(Debug, Clone, Default)]
pub struct Detached {
    /// In the order of the content; they do not overlap.
    pub replacements: Vec<Replacement>,
    /// Changes to the head of the message, where its whole body is the attachment; else none. They go behind other
    /// changes to the head.
    pub edits: Edits,
    /// The parts that are taken out, in the order of the content.
    pub detached: Vec<usize>,
}

impl Detached {
    /// The new content from offset `from` of the old one on, as slices: with the length of the head for `from`, the new
    /// body. Nothing is copied.
    pub fn slices(&self, from: u64, size: u64) -> Vec<Slice> {
        let mut out = Vec::new();
        let mut at = from;
        let keep = |range: Range<u64>, out: &mut Vec<Slice>| {
            if range.start < range.end {
                out.push(Slice::Kept(range));
            }
        };
        for replacement in self
            .replacements
            .iter()
            .filter(|replacement| replacement.range.start >= from)
        {
            keep(at..replacement.range.start, &mut out);
            out.push(Slice::New(replacement.with.clone()));
            at = replacement.range.end;
        }
        keep(at..size, &mut out);
        out
    }
}

/// Plans to put a text with name, size and link into the place of every attachment of at least `min` decoded bytes.
/// Boundaries stay as they are. What the text of the message shows within itself (a part with a Content-ID in a
/// multipart/related) is left.
///
/// `link` is called once for each attachment, in the order of the content; line ends in what it gives become blanks.
///
/// # Errors
///
/// Those of `link`.
pub fn detach<E>(
    structure: &Structure,
    min: u64,
    mut link: impl FnMut(&AttachmentInfo) -> Result<String, E>,
) -> Result<Detached, E> {
    let mut out = Detached::default();
    let line_end = structure.line_end();
    for attachment in attachments(structure) {
        let Some(part) = structure.parts.get(attachment.part) else {
            continue;
        };
        if attachment.size < min || structure.is_embedded(part) {
            continue;
        }
        let note = Note::new(&attachment, &link(&attachment)?, line_end);
        out.detached.push(attachment.part);
        if attachment.part == 0 {
            out.edits = note.edits();
            out.replacements.push(Replacement {
                range: part.body.clone(),
                with: note.body(true),
            });
        } else {
            out.replacements.push(Replacement {
                range: part.whole.clone(),
                with: note.part(!part.line_end_follows),
            });
        }
    }
    Ok(out)
}

/// The text that takes the place of an attachment.
struct Note {
    text: String,
    quoted: bool,
    mark: String,
    line_end: &'static str,
}

impl Note {
    fn new(attachment: &AttachmentInfo, link: &str, line_end: LineEnd) -> Note {
        let line_end = line_end.as_str();
        let kind = clean(&attachment.content_type);
        let name = match clean(&attachment.name) {
            name if !name.is_empty() => name,
            _ if attachment.content_type.starts_with("message/") => "message.eml".to_owned(),
            _ => "attachment".to_owned(),
        };
        let size = size_text(attachment.size);
        let text = format!("Attachment moved: {name} ({size}, {kind}){line_end}{}", clean(link));
        // Nothing in the text may look like a boundary, or be longer than a line can be.
        let quoted = !text.is_ascii()
            || text
                .split(line_end)
                .any(|line| line.len() > 900 || line.starts_with('-'));
        Note {
            text,
            quoted,
            mark: format!("{kind}; {name}"),
            line_end,
        }
    }

    fn fields(&self) -> [(&'static str, String); 4] {
        let encoding = if self.quoted { "quoted-printable" } else { "7bit" };
        [
            ("Content-Type", "text/plain; charset=utf-8".to_owned()),
            ("Content-Transfer-Encoding", encoding.to_owned()),
            ("Content-Disposition", "inline".to_owned()),
            (MARK, self.mark.clone()),
        ]
    }

    fn edits(&self) -> Edits {
        let set = |(name, value): (&str, String)| Edit::Set {
            name: name.to_owned(),
            value,
        };
        self.fields().into_iter().map(set).collect()
    }

    fn body(&self, end: bool) -> Bytes {
        let mut out = match self.quoted {
            true => quote(&self.text, self.line_end),
            false => self.text.clone(),
        };
        if end {
            out.push_str(self.line_end);
        }
        out.into()
    }

    fn part(&self, end: bool) -> Bytes {
        let mut out = Vec::new();
        for (name, value) in self.fields() {
            // The names are fine, and no field of addresses is among them.
            out.extend(encode_field(name, &value, self.line_end).unwrap_or_default());
        }
        out.extend_from_slice(self.line_end.as_bytes());
        out.extend_from_slice(&self.body(end));
        out.into()
    }
}

/// On one line, without control characters.
fn clean(text: &str) -> String {
    let blank = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(blank).collect::<String>().trim().to_owned()
}

fn size_text(bytes: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

/// Quoted-printable (RFC 2045 section 6.7).
fn quote(text: &str, line_end: &str) -> String {
    let mut out = String::new();
    for (at, line) in text.split(line_end).enumerate() {
        if at > 0 {
            out.push_str(line_end);
        }
        let mut column = 0;
        let last = line.len().saturating_sub(1);
        for (at, byte) in line.bytes().enumerate() {
            let plain = matches!(byte, b' '..=b'~')
                && byte != b'='
                && !(byte == b'-' && at == 0)
                && !(byte == b' ' && at == last);
            if column > 72 {
                out.push('=');
                out.push_str(line_end);
                column = 0;
            }
            // A soft break may put any byte at the beginning of a line.
            if plain && !(byte == b'-' && column == 0) {
                out.push(char::from(byte));
                column += 1;
            } else {
                out.push_str(&format!("={byte:02X}"));
                column += 3;
            }
        }
    }
    out
}

/// What a field written by [`detach`] says: the type and the name of what was taken out.
pub fn detached_mark(head: &crate::Head) -> Option<(String, String)> {
    let field = head.first(MARK)?;
    let kind = ContentType::disposition(&unfold(field.value())).kind;
    let text = field.text();
    let name = text.split_once(';').map_or("", |(_, name)| name.trim());
    Some((kind, name.to_owned()))
}
