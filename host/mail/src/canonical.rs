//! The content fingerprint: by which a message is known again that was changed on its way, and says the same.

use std::{collections::HashMap, io, ops::Range};

use memchr::{memchr2_iter, memrchr};

use crate::{
    content::{Content, read},
    content_type::ContentType,
    head::Piece,
    parts::{Limits, Part, Structure, parts},
    transfer::{Decoder, Encoding},
    words::decode_text,
};

/// Fields that tell how a message travelled or where it lies, and not what it says: programs on the way add, change and
/// remove them. In lower case.
///
/// Trace and delivery (RFC 5321 section 4.4, RFC 8601, RFC 7208), marks that files of mail keep in the head, counts of
/// what follows, and the encoding of a body that is compared decoded. What a file of mail masks of a message's own marks,
/// as `X-Whimbrel-…`, is passed over likewise.
pub const TRANSPORT_HEADERS: &[&str] = &[
    "arc-authentication-results",
    "arc-message-signature",
    "arc-seal",
    "authentication-results",
    "content-length",
    "content-transfer-encoding",
    "delivered-to",
    "envelope-to",
    "lines",
    "received",
    "received-spf",
    "return-path",
    "status",
    "x-envelope-from",
    "x-envelope-to",
    "x-imap",
    "x-imapbase",
    "x-keywords",
    "x-original-to",
    "x-status",
    "x-uid",
    "x-uidl",
];

/// How a connector masks the message's own marks where the store has marks of that name.
const MASK: &str = "x-whimbrel-";
/// The first bytes that are hashed: another way of taking fingerprints needs other ones.
const DOMAIN: &[u8] = b"whimbrel content 1\n";
/// Bytes that are gathered before they are hashed.
const GATHERED: usize = 16 << 10;
/// Bytes around a boundary in which it is looked for.
const BOUNDARY: usize = 4096;
/// A line that begins with more quoting marks than this is no quoted `From `.
const QUOTES: usize = 1024;

/// The content fingerprint of a message: a BLAKE3 hash of what it says, however it is written down.
///
/// Left out, and so equal in two messages that have the same fingerprint:
///
/// - line ends (CR LF, LF, CR CR LF) and those at the end of a text, NUL served as 0x80, and the quoting of lines that
///   begin with `From ` (the marks of mbox);
/// - the order of fields, their folding and blanks, the case of their names, how their words are encoded (RFC 2047),
///   and the [`TRANSPORT_HEADERS`] altogether;
/// - how bodies are encoded (base64, quoted-printable, as they are), and the boundaries between parts.
///
/// All else counts: every field, every byte of every part once decoded, the order of parts, and what stands before the
/// first and behind the last of them.
///
/// Reads the message twice, in pieces of 64 KiB; holds heads alone.
///
/// # Errors
///
/// As [`Content::read_at`].
pub fn content_print(content: &dyn Content, limits: &Limits) -> io::Result<[u8; 32]> {
    let structure = parts(content, limits)?;
    let mut all = blake3::Hasher::new();
    all.update(DOMAIN);
    let Some(first) = structure.parts.first() else {
        return Ok(*all.finalize().as_bytes());
    };
    if structure.truncated {
        // Too many parts to look into them all: the body is taken as it stands.
        all.update(&head(first));
        all.update(&text(content, first.body.clone(), Encoding::Identity, false)?);
        return Ok(*all.finalize().as_bytes());
    }
    let children = children(&structure);
    for (at, part) in structure.parts.iter().enumerate() {
        all.update(&(part.depth as u64).to_le_bytes());
        all.update(&head(part));
        match children.get(&at) {
            None => all.update(&leaf(content, part)?),
            Some(Family { first, last }) if part.is_multipart() => {
                let (first, last) = (&structure.parts[*first], &structure.parts[*last]);
                let before = part.body.start..boundary_start(content, part.body.start, first.whole.start)?;
                all.update(&text(content, before, Encoding::Identity, true)?);
                let behind = boundary_end(content, last.whole.end, part.body.end)?..part.body.end;
                all.update(&text(content, behind, Encoding::Identity, true)?)
            }
            Some(_) => &mut all,
        };
    }
    Ok(*all.finalize().as_bytes())
}

/// The first and the last part within another.
struct Family {
    first: usize,
    last: usize,
}

fn children(structure: &Structure) -> HashMap<usize, Family> {
    let mut families: HashMap<usize, Family> = HashMap::new();
    for (at, part) in structure.parts.iter().enumerate() {
        if let Some(parent) = part.parent {
            families.entry(parent).or_insert(Family { first: at, last: at }).last = at;
        }
    }
    families
}

/// Of the fields of a part, in whatever order.
fn head(part: &Part) -> [u8; 32] {
    let mut fields: Vec<[u8; 32]> = part.head.pieces().filter_map(|piece| field(&piece)).collect();
    fields.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(fields.len() as u64).to_le_bytes());
    for field in &fields {
        hasher.update(field);
    }
    typed(&mut hasher, &part.content_type);
    *hasher.finalize().as_bytes()
}

/// Of one field; none where it does not count.
fn field(piece: &Piece<'_>) -> Option<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    match piece {
        Piece::End(_) => return None,
        // Lines that are no field: the envelope of an mbox is one, and says nothing.
        Piece::Other(raw) if raw.starts_with(b"From ") || raw.starts_with(b">From ") => return None,
        Piece::Other(raw) => {
            let value = plain(raw);
            if value.is_empty() {
                return None;
            }
            hasher.update(b"\0").update(value.as_bytes());
        }
        Piece::Field(field) => {
            let name = field.name_text().to_ascii_lowercase();
            let masked = name.strip_prefix(MASK).unwrap_or(&name);
            if TRANSPORT_HEADERS.contains(&masked) || name == "content-type" {
                return None;
            }
            hasher.update(name.as_bytes()).update(b"\0");
            if name == "content-disposition" {
                typed(&mut hasher, &ContentType::disposition(&bare(field.value())));
            } else {
                hasher.update(plain(field.value()).as_bytes());
            }
        }
    }
    Some(*hasher.finalize().as_bytes())
}

/// A type or disposition, whatever the order of its parameters; boundaries are different each time.
fn typed(hasher: &mut blake3::Hasher, content_type: &ContentType) {
    let counts = |(name, value): &&(String, String)| {
        name != "boundary" && !(name == "charset" && value.eq_ignore_ascii_case("us-ascii"))
    };
    let mut params: Vec<&(String, String)> = content_type.params.iter().filter(counts).collect();
    params.sort_unstable();
    hasher.update(content_type.kind.as_bytes());
    for (name, value) in params {
        hasher.update(b"\0").update(name.as_bytes());
        hasher.update(b"\0").update(value.as_bytes());
    }
    hasher.update(b"\0\0");
}

/// Without carriage returns, and with NUL as it is served.
fn bare(value: &[u8]) -> Vec<u8> {
    let kept = value.iter().filter(|&&byte| byte != b'\r');
    kept.map(|&byte| if byte == 0 { 0x80 } else { byte }).collect()
}

/// A value as text, decoded, with one blank for any number of them.
fn plain(value: &[u8]) -> String {
    let text = decode_text(&bare(value));
    let mut out = String::with_capacity(text.len());
    for word in text.split([' ', '\t', '\n']).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Of a body without parts.
fn leaf(content: &dyn Content, part: &Part) -> io::Result<[u8; 32]> {
    let kind = part.content_type.kind.as_str();
    let binary = part.encoding == Encoding::Base64 && !kind.starts_with("text/") && !kind.starts_with("message/");
    if !binary {
        return text(content, part.body.clone(), part.encoding, false);
    }
    let mut hasher = blake3::Hasher::new();
    for piece in part.decoder(content) {
        hasher.update(&piece?);
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Of a text, without regard to its line ends.
fn text(content: &dyn Content, range: Range<u64>, encoding: Encoding, gap: bool) -> io::Result<[u8; 32]> {
    let mut lines = Lines::new(gap);
    for piece in Decoder::new(content, range, encoding) {
        lines.update(&piece?);
    }
    Ok(lines.finish())
}

/// Where the line begins that ends at `end`; it is the boundary before the first part.
fn boundary_start(content: &dyn Content, from: u64, end: u64) -> io::Result<u64> {
    let start = end.saturating_sub(BOUNDARY as u64).max(from);
    let bytes = read(
        content,
        start,
        usize::try_from(end.saturating_sub(start)).unwrap_or(BOUNDARY),
    )?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(start + memrchr(b'\n', line).map_or(0, |at| at as u64 + 1))
}

/// Where the line ends that follows the last part; it is the closing boundary, if there is one.
fn boundary_end(content: &dyn Content, from: u64, end: u64) -> io::Result<u64> {
    let length = usize::try_from(end.saturating_sub(from))
        .unwrap_or(BOUNDARY)
        .min(BOUNDARY);
    let bytes = read(content, from, length)?;
    let own = match &bytes[..] {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => 0,
    };
    let line = &bytes[own..];
    let length = memchr::memchr(b'\n', line).map_or(line.len(), |at| at + 1);
    Ok(from + (own + length) as u64)
}

/// Hashes a text as its bytes pass.
struct Lines {
    hasher: blake3::Hasher,
    gathered: Vec<u8>,
    /// Line feeds held back until something follows them.
    line_feeds: u64,
    /// The beginning of a line that may be a quoted `From `.
    quoted: Vec<u8>,
    begins: bool,
    /// Line feeds before anything else do not count.
    empty_gap: bool,
}

impl Lines {
    fn new(gap: bool) -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            gathered: Vec::with_capacity(GATHERED),
            line_feeds: 0,
            quoted: Vec::new(),
            begins: true,
            empty_gap: gap,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        let mut start = 0;
        for at in memchr2_iter(b'\r', b'\n', bytes) {
            self.run(&bytes[start..at]);
            start = at + 1;
            if bytes[at] == b'\n' {
                self.unquote(true);
                self.begins = true;
                self.line_feeds += u64::from(!self.empty_gap);
            }
        }
        self.run(&bytes[start..]);
    }

    /// Bytes of a line, without its end.
    fn run(&mut self, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.begins && bytes[0] != b'>' && self.quoted.is_empty() {
            self.begins = false;
        }
        while self.begins && !bytes.is_empty() {
            self.quoted.push(bytes[0]);
            bytes = &bytes[1..];
            self.unquote(false);
        }
        self.push(bytes);
    }

    /// Decides about a line that begins with `>`, once enough of it is there.
    fn unquote(&mut self, ended: bool) {
        const FROM: &[u8] = b"From ";
        let marks = self.quoted.iter().take_while(|&&byte| byte == b'>').count();
        let rest = &self.quoted[marks..];
        let open = !ended && marks < QUOTES && rest.len() < FROM.len() && FROM.starts_with(rest);
        if open || self.quoted.is_empty() {
            return;
        }
        let line = std::mem::take(&mut self.quoted);
        self.begins = false;
        let from = if line[marks..] == *FROM { marks } else { 0 };
        self.push(&line[from..]);
    }

    fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.empty_gap = false;
        while self.line_feeds > 0 {
            self.gather(b"\n");
            self.line_feeds -= 1;
        }
        let mut start = 0;
        for at in memchr::memchr_iter(0, bytes) {
            self.gather(&bytes[start..at]);
            self.gather(&[0x80]);
            start = at + 1;
        }
        self.gather(&bytes[start..]);
    }

    fn gather(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() > GATHERED {
            self.hasher.update(&self.gathered);
            self.gathered.clear();
        }
        if bytes.len() > GATHERED {
            self.hasher.update(bytes);
        } else {
            self.gathered.extend_from_slice(bytes);
        }
    }

    fn finish(mut self) -> [u8; 32] {
        self.unquote(true);
        self.hasher.update(&self.gathered);
        *self.hasher.finalize().as_bytes()
    }
}
