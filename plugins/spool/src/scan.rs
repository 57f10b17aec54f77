//! Where messages begin and end, what of them is the store's, and what their marks are.

use whimbrel_folders::Body;
use whimbrel_folders::hash::Fnv;

use crate::from_line;
use crate::marks::{Field, MASK, Marks, field};
use whimbrel_folders::dates::Date;
use whimbrel_folders::lines::{Line, Lines};

/// How a spool keeps lines of a message that look like a From_ line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `From ` becomes `>From `; whether it was so before cannot be told.
    Mboxo,
    /// Any number of `>` before `From ` gets one more.
    Mboxrd,
    /// As they are: `Content-Length` says where the message ends.
    Mboxcl2,
}

/// How messages are read.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The spool's format.
    pub format: Format,
    /// Leave the store's header fields in the content.
    pub keep_store_fields: bool,
}

/// A message in a spool. Offsets are those of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Of its From_ line.
    pub start: u64,
    /// Behind the From_ line.
    pub content: u64,
    /// Behind its last byte.
    pub end: u64,
    /// Of the next From_ line, or of the spool's end.
    pub next: u64,
    /// Bytes between `content` and `end` that are not the message's: the store's fields, quoting marks.
    pub cut: u64,
    /// From the From_ line.
    pub date: Date,
    /// Flags and labels.
    pub marks: Marks,
    /// Fields of the store were cut that another program wrote.
    pub altered: bool,
    /// Of the From_ line and the message's own header.
    pub revision: u64,
    /// The message in which UW IMAP and its kin keep notes of their own.
    pub internal: bool,
}

/// Bytes that are cut: offset and length.
pub type Cut = (u64, u64);

/// Text of the message in which UW IMAP keeps notes.
const INTERNAL_SUBJECT: &[u8] = b"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA";
/// Bytes of a folded header field that are looked at.
const FIELD_BYTES: usize = 64 << 10;

/// The next message at the place where `lines` stands or behind it; none where there is no more. Lines stand behind
/// it afterwards. `cut` is told what is not the message's, in order.
pub fn next_message<B: Body>(lines: &mut Lines<B>, rules: Rules, cut: &mut dyn FnMut(Cut)) -> Option<Message> {
    let (start, date, mut revision) = loop {
        let line = lines.next()?;
        if let Some(date) = from_line::date(line.text()) {
            let mut revision = Fnv::default();
            revision.update(line.bytes);
            break (line.offset, date, revision);
        }
    };
    let content = lines.offset();
    let mut total = 0;
    let mut cut = |range: Cut| {
        total += range.1;
        cut(range);
    };
    let own = own_block(lines);
    lines.seek(content);
    let mut header = read_header(lines, rules, own.as_ref(), &mut revision, &mut cut);
    let format = match &own {
        Some(own) if own.content_length.is_some() => Format::Mboxcl2,
        Some(_) if rules.format == Format::Mboxcl2 => Format::Mboxrd,
        _ => rules.format,
    };
    let (end, next) = match header.end {
        HeaderEnd::Message { end, next } => (end, next),
        HeaderEnd::Blank { offset, behind } => {
            let length = own.as_ref().map_or(header.content_length, |own| own.content_length);
            let fits =
                (format == Format::Mboxcl2).then(|| length.and_then(|length| fit(lines, offset, behind, length)));
            match fits.flatten() {
                Some(found) => found,
                None => {
                    lines.seek(behind);
                    read_body(lines, offset, format, &mut cut)
                }
            }
        }
    };
    lines.seek(next);
    let marks = std::mem::take(&mut header.marks);
    Some(Message {
        start,
        content,
        end,
        next,
        cut: total,
        date,
        marks,
        altered: header.altered,
        revision: revision.finish(),
        internal: own.is_none() && header.internal_subject && header.internal_field,
    })
}

/// Whether the first message of a spool has a Content-Length that fits, but for our own: there the block tells.
pub fn is_mboxcl2<B: Body>(lines: &mut Lines<B>) -> bool {
    let rules = Rules {
        format: Format::Mboxrd,
        keep_store_fields: true,
    };
    lines.seek(0);
    while lines.next().is_some_and(|line| from_line::date(line.text()).is_none()) {}
    let content = lines.offset();
    if let Some(own) = own_block(lines) {
        return own.content_length.is_some();
    }
    lines.seek(content);
    let header = read_header(lines, rules, None, &mut Fnv::default(), &mut |_| {});
    match (header.end, header.content_length) {
        (HeaderEnd::Blank { offset, behind }, Some(length)) => fit(lines, offset, behind, length).is_some(),
        _ => false,
    }
}

/// The block of fields that this connector writes, see [`crate::marks::block`].
struct Own {
    /// Behind the block.
    end: u64,
    content_length: Option<u64>,
}

fn own_block<B: Body>(lines: &mut Lines<B>) -> Option<Own> {
    let mut content_length = None;
    let mut line = lines.next()?;
    if let Some((Field::ContentLength, value)) = field(line.text()) {
        content_length = Some(number(value)?);
        line = lines.next()?;
    }
    // In the first message of a spool.
    if let Some((Field::Store("x-imapbase"), _)) = field(line.text()) {
        line = lines.next()?;
    }
    for (at, name) in ["status", "x-status", "x-keywords"].into_iter().enumerate() {
        if at > 0 {
            line = lines.next()?;
        }
        match field(line.text()) {
            Some((Field::Store(found), _)) if found == name => {}
            _ => return None,
        }
    }
    let end = line.end();
    Some(Own { end, content_length })
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

struct Header {
    marks: Marks,
    altered: bool,
    content_length: Option<u64>,
    internal_subject: bool,
    internal_field: bool,
    end: HeaderEnd,
}

enum HeaderEnd {
    /// The blank line at `offset`.
    Blank { offset: u64, behind: u64 },
    /// The message has no blank line.
    Message { end: u64, next: u64 },
}

fn read_header<B: Body>(
    lines: &mut Lines<B>,
    rules: Rules,
    own: Option<&Own>,
    revision: &mut Fnv,
    cut: &mut dyn FnMut(Cut),
) -> Header {
    let mut header = Header {
        marks: Marks::default(),
        altered: false,
        content_length: None,
        internal_subject: false,
        internal_field: false,
        end: HeaderEnd::Message { end: 0, next: 0 },
    };
    let mut open: Option<(Field, Vec<u8>)> = None;
    let mut cutting = false;
    header.end = loop {
        let Some(line) = lines.next() else {
            let end = lines.offset();
            break HeaderEnd::Message { end, next: end };
        };
        let text = line.text();
        let ours = own.is_some_and(|own| line.offset < own.end);
        let foreign = own.is_none();
        if line.is_blank() {
            break HeaderEnd::Blank {
                offset: line.offset,
                behind: line.end(),
            };
        }
        // In one of our own that is not quoted, the length says where the body ends, and the header has an end.
        let by_length = own.is_some_and(|own| own.content_length.is_some());
        if !by_length && text.starts_with(b"From ") && from_line::date(text).is_some() {
            let offset = line.offset;
            if lines.next().is_none_or(|next| from_line::begins_a_header(next.text())) {
                break HeaderEnd::Message {
                    end: offset,
                    next: offset,
                };
            }
            lines.seek(offset);
            let Some(line) = lines.next() else { continue };
            revision.update(line.bytes);
            continue;
        }
        let folded = matches!(text.first(), Some(b' ' | b'\t'));
        if folded && !ours {
            if let Some((_, value)) = &mut open
                && value.len() < FIELD_BYTES
            {
                value.extend_from_slice(text);
            }
        } else {
            header.close(open.take());
            cutting = false;
            let known = field(text);
            if let Some((found, value)) = known {
                cutting = match found {
                    Field::Store(_) => ours || foreign,
                    Field::ContentLength => ours || (foreign && rules.format == Format::Mboxcl2),
                    _ => false,
                };
                if cutting || !matches!(found, Field::Store(_)) {
                    open = Some((found, value.to_vec()));
                }
            }
        }
        if ours {
            // One line each: what follows is the message's, even if it looks like a continuation.
            header.close(open.take());
        }
        if cutting {
            if !rules.keep_store_fields {
                cut((line.offset, line.length));
                header.altered |= foreign;
            }
            cutting = !ours;
            continue;
        }
        revision.update(line.bytes);
        if own.is_some() && text.starts_with(MASK) {
            cut((line.offset, MASK.len() as u64));
        }
        // What this connector wrote is quoted in the header too.
        if own.is_some_and(|own| own.content_length.is_none()) && is_quoted(text, rules.format) {
            cut((line.offset, 1));
        }
    };
    header.close(open);
    header
}

impl Header {
    fn close(&mut self, field: Option<(Field, Vec<u8>)>) {
        match field {
            Some((Field::Store(name), value)) => {
                self.internal_field |= matches!(name, "x-imap" | "x-imapbase");
                self.marks.add_store(name, &value);
            }
            Some((Field::ContentLength, value)) => self.content_length = self.content_length.or(number(&value)),
            Some((Field::GmailLabels, value)) => self.marks.add_gmail(&value),
            Some((Field::Subject, value)) => self.internal_subject |= value.trim_ascii() == INTERNAL_SUBJECT,
            None => {}
        }
    }
}

/// Whether a `>` was put before the line.
fn is_quoted(text: &[u8], format: Format) -> bool {
    match format {
        Format::Mboxo => text.starts_with(b">From "),
        // One of this connector's own in a spool that is mboxcl2 otherwise is written as mboxrd.
        Format::Mboxrd | Format::Mboxcl2 => is_rd_quoted(text),
    }
}

fn is_rd_quoted(text: &[u8]) -> bool {
    text.first() == Some(&b'>') && text.iter().find(|&&byte| byte != b'>') == Some(&b'F') && {
        let marks = text.iter().take_while(|&&byte| byte == b'>').count();
        text[marks..].starts_with(b"From ")
    }
}

/// End of the message and beginning of the next, where a body of `length` bytes from `behind` on ends at the end of the
/// spool or before a From_ line.
fn fit<B: Body>(lines: &mut Lines<B>, blank: u64, behind: u64, length: u64) -> Option<(u64, u64)> {
    let end = behind.checked_add(length)?;
    if end > lines.end() {
        return None;
    }
    lines.seek(end);
    let mut separated = false;
    loop {
        match lines.next() {
            Some(line) if line.is_blank() => separated = true,
            Some(line) if from_line::date(line.text()).is_none() => return None,
            found => {
                let next = found.map(|line| line.offset);
                let next = next.unwrap_or_else(|| lines.end());
                // An empty body: the blank line belongs to the message only where another one follows it.
                return Some((if length == 0 && !separated { blank } else { end }, next));
            }
        }
    }
}

/// Goes to the next From_ line. `blank` is where the blank line behind the header lies.
fn read_body<B: Body>(lines: &mut Lines<B>, blank: u64, format: Format, cut: &mut dyn FnMut(Cut)) -> (u64, u64) {
    let mut blank = Some(blank);
    loop {
        let Some(line) = lines.next() else {
            let end = lines.offset();
            return (blank.unwrap_or(end), end);
        };
        let Line { offset, .. } = line;
        if line.is_blank() {
            blank = Some(offset);
            continue;
        }
        let text = line.text();
        if text.first() == Some(&b'F') && from_line::date(text).is_some() {
            let behind = line.end();
            // Behind a blank line a From_ line is one. Without it a header has to follow.
            if let Some(blank) = blank {
                return (blank, offset);
            }
            if lines.next().is_some_and(|next| from_line::begins_a_header(next.text())) {
                return (offset, offset);
            }
            lines.seek(behind);
        } else if format != Format::Mboxcl2 && text.first() == Some(&b'>') && is_quoted(text, format) {
            cut((offset, 1));
        }
        blank = None;
    }
}
