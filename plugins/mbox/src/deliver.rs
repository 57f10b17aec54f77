//! An account, written: batches appended to spools.

use whimbrel_folders::disk::join;
use whimbrel_folders::{Body, Disk, roles};
use whimbrel_plugin::{Collection, Failure, ItemMeta, Placement, Result};

use crate::account::Account;
use crate::cursor::Cursor;
use crate::names;
use crate::pending;
use whimbrel_folders::dates::asctime;
use whimbrel_folders::lines::Lines;
use whimbrel_spool::marks;
use whimbrel_spool::scan::Format;

/// Parts that a message is put together from without copying.
const PARTS: usize = 200;

/// A message as it stands in a spool.
#[derive(Debug)]
pub struct Written<B> {
    /// From_ line, marks, content, line ends.
    pub parts: Vec<B>,
    /// What was changed in the content, by name.
    pub alterations: Vec<&'static str>,
}

/// What has to be known of content before it is written.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look {
    /// What is to be put where: a quote or a mask before a line.
    marks: Vec<(u64, &'static [u8])>,
    /// There are more of them.
    many: bool,
    /// Fields of the message's own are masked.
    masked: bool,
    /// Behind the blank line after the header.
    body: Option<u64>,
    /// The last byte is a line feed.
    ended: bool,
    /// mboxo: a line that begins with `>From ` will be taken for a quoted one.
    ambiguous: bool,
}

fn look<B: Body>(content: &B, format: Format) -> Look {
    let mut look = Look::default();
    let mut lines = Lines::new(content, content.size());
    while let Some(line) = lines.next() {
        if look.body.is_none() && line.is_blank() {
            look.body = Some(line.end());
            if format == Format::Mboxcl2 {
                break;
            }
        }
        let text = line.text();
        look.ambiguous |= format == Format::Mboxo && text.starts_with(b">From ");
        if let Some(mark) = mark_before(text, look.body.is_none(), format) {
            look.masked |= mark == marks::MASK;
            look.many = look.marks.len() >= PARTS;
            if !look.many {
                look.marks.push((line.offset, mark));
            }
        }
    }
    let size = content.size();
    look.ended = size > 0 && content.read(size - 1, 1) == b"\n";
    look
}

/// What has to stand before this line.
fn mark_before(text: &[u8], in_header: bool, format: Format) -> Option<&'static [u8]> {
    if in_header && marks::needs_mask(text) {
        return Some(marks::MASK);
    }
    needs_quote(text, format).then_some(b">")
}

fn needs_quote(text: &[u8], format: Format) -> bool {
    match format {
        Format::Mboxcl2 => false,
        Format::Mboxo => text.starts_with(b"From "),
        Format::Mboxrd => {
            let marks = text.iter().take_while(|&&byte| byte == b'>').count();
            text[marks..].starts_with(b"From ")
        }
    }
}

/// The message as it is written into a spool of this format, the line `base` before its marks.
pub fn write<B: Body>(meta: &ItemMeta, content: &B, format: Format, base: &str) -> Written<B> {
    let look = look(content, format);
    let size = content.size();
    let mut alterations = Vec::new();
    // Content-Length is that of the body, which is exact; a header without an end gets one, as does everything else.
    let ends_by_length = format == Format::Mboxcl2 && look.body.is_some();
    let unended = size > 0 && !look.ended && !ends_by_length;
    if unended {
        alterations.push("final-newline");
    }
    if look.masked {
        alterations.push("status-headers");
    }
    if look.ambiguous {
        alterations.push("from-quoting");
    }
    let length = (format == Format::Mboxcl2).then(|| look.body.map_or(0, |body| size - body));
    let (block, dropped) = marks::block(&meta.flags, length, base);
    if dropped {
        alterations.push("keyword-dropped");
    }
    let unix = meta.received.map_or(0, |at| at.unix_ms.div_euclid(1000));
    let head = format!("From MAILER-DAEMON {}\n{block}", asctime(unix));
    let mut parts = vec![B::from_bytes(head.as_bytes())];
    if look.many {
        parts.push(marked(content, format));
    } else {
        let mut from = 0;
        for &(at, mark) in &look.marks {
            if at > from {
                parts.push(content.slice(from, at - from));
            }
            parts.push(B::from_bytes(mark));
            from = at;
        }
        if size > from {
            parts.push(content.slice(from, size - from));
        }
    }
    parts.push(B::from_bytes(if unended { b"\n\n" } else { b"\n" }));
    Written { parts, alterations }
}

/// The content, copied, with all its quotes and masks.
fn marked<B: Body>(content: &B, format: Format) -> B {
    B::build(|write| {
        let mut lines = Lines::new(content, content.size());
        let (mut from, mut in_header) = (0, true);
        while let Some(line) = lines.next() {
            in_header = in_header && !line.is_blank();
            if let Some(mark) = mark_before(line.text(), in_header, format) {
                let at = line.offset;
                content.slice(from, at - from).pieces(&mut *write);
                write(mark);
                from = at;
            }
        }
        content.slice(from, content.size() - from).pieces(&mut *write);
    })
}

impl<D: Disk> Account<D> {
    /// See `destination.ensure`. A role is kept by a name that tells it: that of the spool at the wanted path, where there
    /// is one; else that of another spool that is there; else the wanted one or, where that tells nothing, the usual one.
    ///
    /// # Errors
    /// `rejected` for a name that no file can bear.
    pub fn ensure(&mut self, wanted: &Collection) -> Result<Collection> {
        let is_inbox = matches!(&wanted.path[..], [name] if name.eq_ignore_ascii_case("INBOX"));
        if let Some(only) = &self.only {
            if !is_inbox {
                return Err(Failure::rejected(
                    "a single spool holds the inbox and nothing else: let `path` name a folder to keep others too",
                ));
            }
            let only = only.clone();
            return self.make(&only);
        }
        let known = self.collections()?;
        let same = |folder: &&Collection| {
            folder.selectable == wanted.selectable
                && (folder.path == wanted.path
                    || (is_inbox && folder.path.len() == 1 && folder.path[0].eq_ignore_ascii_case("INBOX")))
        };
        let with_role = |folder: &&Collection| folder.selectable && wanted.role.is_some() && folder.role == wanted.role;
        if let Some(found) = known.iter().find(same).or_else(|| known.iter().find(with_role)) {
            return Ok(found.clone());
        }
        let path = match wanted
            .role
            .filter(|role| roles::role_of(&wanted.path) != Some(*role))
            .and_then(roles::name_for)
        {
            Some(name) => vec![name.to_owned()],
            None if is_inbox => vec!["INBOX".to_owned()],
            None => wanted.path.clone(),
        };
        let Some((last, parents)) = path.split_last() else {
            return Err(Failure::rejected("a folder name cannot be empty"));
        };
        let mut directory = String::new();
        for parent in parents {
            directory = self.children_of(&directory, parent)?;
        }
        if !directory.is_empty() {
            self.disk.create(&directory)?;
        }
        if !wanted.selectable {
            let directory = self.children_of(&directory, last)?;
            self.disk.create(&directory)?;
            self.disk.sync()?;
            return Ok(Collection::new(directory, path).selectable(false).subscribed(true));
        }
        self.make(&join(&directory, &names::file_name(last, self.spelling)?))
    }

    /// The directory for the children of a folder: `Name.sbd`, or `Name` where that is one already.
    fn children_of(&self, directory: &str, segment: &str) -> Result<String> {
        let plain = join(directory, &names::file_name(segment, self.spelling)?);
        Ok(if self.disk.is_directory(&plain)? {
            plain
        } else {
            format!("{plain}{}", names::CHILDREN)
        })
    }

    fn make(&self, spool: &str) -> Result<Collection> {
        match self.disk.stat(spool)? {
            Some(entry) if entry.directory => {
                return Err(Failure::rejected(format!(
                    "a directory lies at `{spool}`, where the spool would have to be"
                )));
            }
            Some(_) => {}
            None => {
                if let Some((directory, _)) = spool.rsplit_once('/') {
                    self.disk.create(directory)?;
                } else {
                    self.disk.create("")?;
                }
                self.disk.write(spool, &D::Body::from_bytes(b""), false)?;
                self.disk.sync()?;
            }
        }
        let path = self.path_of(spool);
        let role = roles::role_of(&path);
        Ok(Collection::new(spool, path).role(role).subscribed(true))
    }

    /// See `destination.watermark`: where the spool ends.
    ///
    /// # Errors
    /// `not-found` where there is no such spool.
    pub fn watermark(&self, spool: &str) -> Result<String> {
        Ok(Cursor::From(self.look(spool)?.0).to_string())
    }

    /// See `destination.put`: all of them in one piece, or none. The id is where the From_ line lies.
    ///
    /// # Errors
    /// What writing failed with; nothing of the batch is in the spool then.
    pub fn put(&mut self, spool: &str, items: &[(&ItemMeta, &D::Body)]) -> Result<Vec<Result<Placement>>> {
        self.look(spool)?;
        pending::recover(&self.disk, spool)?;
        let (size, _) = self.look(spool)?;
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let body = self.disk.read(spool, 0, Some(size))?;
        let format = self.format_of(&body);
        let lead = lead(&body, size, format);
        let mut parts = vec![D::Body::from_bytes(lead)];
        let mut at = lead.len() as u64;
        let mut written = Vec::new();
        let mut first = String::new();
        if size == 0 {
            let validity = items[0]
                .0
                .received
                .map_or(1, |at| at.unix_ms.div_euclid(1000).rem_euclid(1 << 31));
            let flags = items.iter().flat_map(|(meta, _)| &meta.flags);
            first = marks::base(u32::try_from(validity).unwrap_or(1), flags);
        }
        for (meta, content) in items {
            let mut message = write(meta, *content, format, &std::mem::take(&mut first));
            written.push((at, message.alterations));
            at += message.parts.iter().map(Body::size).sum::<u64>();
            parts.append(&mut message.parts);
        }
        let batch = D::Body::concat(&parts.iter().collect::<Vec<_>>());
        pending::announce(&self.disk, spool, size, &batch)?;
        let base = match self.disk.append(spool, &batch) {
            Ok(base) => base,
            Err(failure) => return Err(pending::take_back(&self.disk, spool, failure)),
        };
        self.disk.sync()?;
        pending::settle(&self.disk, spool)?;
        Ok(written
            .into_iter()
            .map(|(at, mut alterations)| {
                if self.keeps_store_fields() && !alterations.contains(&"status-headers") {
                    // What is read again is not what was written.
                    alterations.push("status-headers");
                }
                let placement = Placement::created(Some((base + at).to_string()));
                Ok(alterations.into_iter().fold(placement, Placement::altered))
            })
            .collect())
    }
}

/// What has to stand between what is in the spool and the next From_ line.
fn lead(body: &impl Body, size: u64, format: Format) -> &'static [u8] {
    let tail = body.read(size.saturating_sub(3), 3);
    let ended = size == 0 || tail.ends_with(b"\n");
    let blank = size == 0 || tail.ends_with(b"\n\n") || tail == b"\n\r\n" || (size <= 2 && ended);
    match (ended, blank) {
        (true, true) => b"",
        (true, false) if format == Format::Mboxcl2 => b"",
        (true, false) => b"\n",
        (false, _) => b"\n\n",
    }
}
