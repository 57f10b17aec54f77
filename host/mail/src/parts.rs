//! The MIME structure of a message (RFC 2045, RFC 2046) as ranges of its content.

use std::{io, ops::Range};

use crate::{
    content::Content,
    content_type::ContentType,
    head::{Head, LineEnd},
    scan::Scanner,
    transfer::{Decoder, Encoding},
};

/// How far the structure of one message is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Parts in all, the message itself included.
    pub max_parts: usize,
    /// Multiparts and messages within one another.
    pub max_depth: usize,
    /// Bytes of the head of one part.
    pub max_part_head: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_parts: 10_000,
            max_depth: 32,
            max_part_head: 256 * 1024,
        }
    }
}

/// A message, a part of a multipart, or a message within a part.
#[derive(Debug, Clone)]
pub struct Part {
    /// 0 for the message itself.
    pub depth: usize,
    /// The part that this one lies in; `None` for the message itself.
    pub parent: Option<usize>,
    /// At most as long as the limits allow.
    pub head: Head,
    /// Head and body; without the line end that belongs to the boundary behind it.
    pub whole: Range<u64>,
    /// Encoded as it stands.
    pub body: Range<u64>,
    /// Type and parameters.
    pub content_type: ContentType,
    /// The name of the file, decoded, as the sender wrote it: it may hold anything, slashes too.
    pub file_name: Option<String>,
    /// `attachment`, `inline` or another word in lower case.
    pub disposition: Option<String>,
    /// How the body is encoded.
    pub encoding: Encoding,
    pub(crate) decoded: u64,
    /// Whether the body is followed by a line end that belongs to the boundary.
    pub(crate) line_end_follows: bool,
    /// Within a message that is itself a part.
    pub(crate) in_message: bool,
}

/// All parts of a message, each behind the one it lies in.
#[derive(Debug, Clone)]
pub struct Structure {
    /// The first is the message itself.
    pub parts: Vec<Part>,
    /// Whether a limit kept something from being looked into.
    pub truncated: bool,
}

/// An attachment as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentInfo {
    /// The name of the file; empty where it has none.
    pub name: String,
    /// `type/subtype` in lower case.
    pub content_type: String,
    /// Bytes when decoded, as [`Part::decoded_size`] tells them.
    pub size: u64,
    /// Shown within the text.
    pub inline: bool,
    /// Which part it is.
    pub part: usize,
}

impl Part {
    pub(crate) fn new(head: Head, start: u64, parent: Option<usize>, depth: usize, size: u64) -> Part {
        let content_type = head.content_type();
        let disposition = head
            .first("Content-Disposition")
            .map(|field| ContentType::disposition(field.value()));
        let file_name = disposition
            .as_ref()
            .and_then(|disposition| disposition.param("filename"))
            .filter(|name| !name.is_empty())
            .or_else(|| content_type.param("name"))
            .filter(|name| !name.is_empty())
            .map(str::to_owned);
        let encoding = head
            .first("Content-Transfer-Encoding")
            .map_or(Encoding::Identity, |field| Encoding::parse(field.value()));
        let body = start + head.len() as u64;
        Part {
            depth,
            parent,
            whole: start..size,
            body: body..size,
            content_type,
            file_name,
            disposition: disposition.map(|disposition| disposition.kind),
            encoding,
            head,
            decoded: 0,
            line_end_follows: false,
            in_message: false,
        }
    }

    /// Whether the body consists of parts: a multipart that names its boundary.
    pub fn is_multipart(&self) -> bool {
        self.content_type.is_multipart() && self.content_type.boundary().is_some()
    }

    /// Bytes when decoded. Exact for base64 without foreign bytes and without padding in the middle; close for
    /// quoted-printable; the size of the body for everything else.
    pub fn decoded_size(&self) -> u64 {
        self.decoded
    }

    /// The body, decoded piece by piece.
    pub fn decoder<'a>(&self, content: &'a dyn Content) -> Decoder<'a> {
        Decoder::new(content, self.body.clone(), self.encoding)
    }
}

/// Finds the parts of a message in one pass over its content, in pieces of 64 KiB.
///
/// What is broken loses no bytes: ranges lie within the content, parts of one multipart do not overlap, and what
/// belongs to no part (before the first boundary, behind the last) is in the body of its multipart. A boundary that is
/// never closed ends with the multipart around it. A line is a boundary if nothing but blanks stands behind it.
///
/// # Errors
///
/// As [`Content::read_at`].
pub fn parts(content: &dyn Content, limits: &Limits) -> io::Result<Structure> {
    let head = Head::read(content)?;
    Scanner::new(content, *limits, head).run()
}

/// The attachments of a message: files, and messages within it as a whole. Parts of such a message are its own.
pub fn attachments(structure: &Structure) -> Vec<AttachmentInfo> {
    let listed = |(at, part): (usize, &Part)| {
        structure.is_attachment(at, part).then(|| AttachmentInfo {
            name: part.file_name.clone().unwrap_or_default(),
            content_type: part.content_type.kind.clone(),
            size: part.decoded_size(),
            inline: part.disposition.as_deref() == Some("inline")
                || (part.disposition.is_none() && structure.is_embedded(part)),
            part: at,
        })
    };
    structure.parts.iter().enumerate().filter_map(listed).collect()
}

impl Structure {
    /// Whether the message, or a multipart within it, is signed.
    pub fn is_signed(&self) -> bool {
        self.parts.iter().any(|part| part.content_type.is_signed())
            || self.parts.first().is_some_and(|part| part.head.is_signed())
    }

    /// Whether the message, or a part of it, is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.parts.iter().any(|part| part.content_type.is_encrypted())
    }

    /// Whether the part lies within something that is signed or encrypted, or is encrypted itself: any change breaks that.
    pub(crate) fn lies_in_signed(&self, at: usize) -> bool {
        let mut next = self.parts.get(at);
        let mut below = false;
        while let Some(part) = next {
            let kind = &part.content_type;
            if kind.is_encrypted() || kind.is_signed() && (below || !part.is_multipart()) {
                return true;
            }
            below = true;
            next = part.parent.and_then(|parent| self.parts.get(parent));
        }
        false
    }

    /// Whether the part has a body of its own, and not others in it.
    pub(crate) fn is_leaf(&self, at: usize) -> bool {
        let holds = self.parts.get(at + 1).is_some_and(|next| next.parent == Some(at));
        self.parts.get(at).is_some_and(|part| {
            !holds && !part.content_type.is_multipart() && !part.content_type.kind.starts_with("message/")
        })
    }

    /// How the lines of the message end.
    pub(crate) fn line_end(&self) -> LineEnd {
        self.parts.first().map_or(LineEnd::Crlf, |part| part.head.line_end())
    }

    /// Referred to by the text beside it (RFC 2387).
    pub(crate) fn is_embedded(&self, part: &Part) -> bool {
        let parent = part.parent.and_then(|parent| self.parts.get(parent));
        part.head.has("Content-ID") && parent.is_some_and(|parent| parent.content_type.kind == "multipart/related")
    }

    fn is_attachment(&self, at: usize, part: &Part) -> bool {
        let kind = part.content_type.kind.as_str();
        if part.in_message || part.content_type.is_multipart() {
            return false;
        }
        if part.disposition.as_deref() == Some("attachment") || part.content_type.is_message() {
            return true;
        }
        let prose = kind.starts_with("text/") || kind.starts_with("message/");
        // A name makes a file of a part, but not of the text of the message itself.
        !prose || (at > 0 && part.file_name.is_some())
    }
}
