//! Changes to a head; what is not named stays byte for byte.

use std::{fmt, ops::Range};

use bytes::Bytes;
use memchr::memmem;

use crate::{
    encode::{ADDRESS_HEADERS, encode_field, is_name},
    head::{Head, Kind},
    rewrite::{Rewrite, rewrite},
};

/// One change to the head of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// All fields of this name become one, in the place of the first; at the end of the head where there is none.
    Set {
        /// Of the field.
        name: String,
        /// As text; encoded where it must be.
        value: String,
    },
    /// A field more, at the top; behind the `From ` line of an mbox, where there is one.
    Add {
        /// Of the field.
        name: String,
        /// As text; encoded where it must be.
        value: String,
    },
    /// No field of this name.
    Remove {
        /// Of the fields.
        name: String,
    },
    /// Another text within the raw value of each field of this name. What would join or end folded lines is no match.
    Replace {
        /// Of the fields.
        name: String,
        /// What stands there, as bytes; not empty.
        from: String,
        /// What shall stand there; ASCII.
        to: String,
    },
    /// Another address, wherever this one stands as an addr-spec; the case of ASCII letters does not count.
    Address {
        /// `local@domain`, without quotes.
        from: String,
        /// `local@domain`, as it shall be written; ASCII.
        to: String,
        /// The fields to look at; `None` for [`ADDRESS_HEADERS`].
        headers: Option<Vec<String>>,
        /// In signed mail, too.
        signed: bool,
    },
    /// Another domain in every addr-spec; subdomains are other domains.
    Domain {
        /// The domain as it is, without `@`.
        from: String,
        /// The domain as it shall be; ASCII.
        to: String,
        /// The fields to look at; `None` for [`ADDRESS_HEADERS`].
        headers: Option<Vec<String>>,
        /// In signed mail, too.
        signed: bool,
    },
}

/// Changes that are made one after the other.
pub type Edits = Vec<Edit>;

/// Why a change cannot be made to any message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// RFC 5322 section 2.2.
    #[error("`{0}` is no header name: only printable ASCII without blanks and colons is")]
    Name(String),
    /// A value would begin another field.
    #[error("the value for `{0}` has a line end or a NUL in it")]
    LineEnd(String),
    /// Only whole values are encoded.
    #[error("`{0}` must be ASCII here")]
    NotAscii(String),
    /// Nothing to look for.
    #[error("the text to replace in `{0}` is empty")]
    Empty(String),
    /// An address without local part or domain, or with characters that need quotes.
    #[error("`{0}` is no address of the form local@domain")]
    Address(String),
    /// A domain with characters that none has.
    #[error("`{0}` is no domain")]
    Domain(String),
}

/// What kind of change was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Fields became one with this value.
    Set,
    /// A field was added.
    Added,
    /// Fields were removed.
    Removed,
    /// Text within values was replaced.
    Replaced,
    /// Addresses were rewritten.
    Address,
    /// Domains of addresses were rewritten.
    Domain,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Set => "set",
            What::Added => "added",
            What::Removed => "removed",
            What::Replaced => "replaced",
            What::Address => "address",
            What::Domain => "domain",
        })
    }
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What was done.
    pub what: What,
    /// The name of the fields, as the message wrote the first of them.
    pub header: String,
    /// How many fields, texts, addresses or domains.
    pub count: u64,
}

/// A head after its changes.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The new head with the empty line; the very bytes of the old one where nothing changed.
    pub head: Bytes,
    /// What was done, in the order of the edits; a change that changes nothing is not told.
    pub changes: Vec<Change>,
    /// Whether a DKIM signature that stood in the message before covered a field that changed.
    pub broke_dkim: bool,
    /// Whether addresses or domains would have been rewritten, had the message not been signed.
    pub left_signed: bool,
}

/// A piece of the new head.
struct Slot {
    kind: Kind,
    bytes: Slice,
    name: usize,
    value: Range<usize>,
}

enum Slice {
    Kept(Range<usize>),
    Made(Vec<u8>),
}

impl Edit {
    /// Whether the change can be made at all; [`Head::apply`] asks the same.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the name, the value or the address.
    pub fn check(&self) -> Result<(), EditError> {
        let named = |name: &str| {
            if is_name(name) {
                Ok(())
            } else {
                Err(EditError::Name(name.to_owned()))
            }
        };
        let one_line = |name: &str, text: &str| match text.contains(['\r', '\n', '\0']) {
            true => Err(EditError::LineEnd(name.to_owned())),
            false => Ok(()),
        };
        match self {
            Edit::Set { name, value } | Edit::Add { name, value } => {
                named(name)?;
                one_line(name, value)?;
                encode_field(name, value, "\r\n").map(|_| ())
            }
            Edit::Remove { name } => named(name),
            Edit::Replace { name, from, to } => {
                named(name)?;
                one_line(name, from)?;
                one_line(name, to)?;
                if from.is_empty() {
                    return Err(EditError::Empty(name.clone()));
                }
                ascii(to)
            }
            Edit::Address { from, to, headers, .. } => {
                headers.iter().flatten().try_for_each(|name| named(name))?;
                let parts = from
                    .rsplit_once('@')
                    .filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
                parts.ok_or_else(|| EditError::Address(from.clone()))?;
                ascii(to)?;
                let (local, domain) = to.rsplit_once('@').ok_or_else(|| EditError::Address(to.clone()))?;
                if !is_dotted(local) || !is_domain(domain) {
                    return Err(EditError::Address(to.clone()));
                }
                Ok(())
            }
            Edit::Domain { from, to, headers, .. } => {
                headers.iter().flatten().try_for_each(|name| named(name))?;
                if from.is_empty() || from.contains(['@', ' ', '\r', '\n', '\t', '\0']) {
                    return Err(EditError::Domain(from.clone()));
                }
                ascii(to)?;
                if is_domain(to) {
                    Ok(())
                } else {
                    Err(EditError::Domain(to.clone()))
                }
            }
        }
    }
}

fn ascii(text: &str) -> Result<(), EditError> {
    match text.is_ascii() {
        true => Ok(()),
        false => Err(EditError::NotAscii(text.to_owned())),
    }
}

/// `atom *("." atom)` (RFC 5322 section 3.2.3).
fn is_dotted(text: &str) -> bool {
    let atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    !text.contains("=?") && text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

fn is_domain(text: &str) -> bool {
    let literal = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match literal {
        Some(inside) => {
            !inside.is_empty()
                && inside
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".:-".contains(&byte))
        }
        None => is_dotted(text),
    }
}

impl Head {
    /// Makes the changes, one after the other. Everything that they do not name stays as it is: order, folding, line
    /// ends, oddities. New fields have the line end of the message. Signed mail keeps its addresses, unless the edit
    /// says otherwise; all other edits are made whether it is signed or not.
    ///
    /// # Errors
    ///
    /// As [`Edit::check`], before anything is done.
    pub fn apply(&self, edits: &[Edit]) -> Result<Applied, EditError> {
        edits.iter().try_for_each(Edit::check)?;
        let mut work = Work {
            head: self,
            slots: self.slots(),
            changes: Vec::new(),
            changed: Vec::new(),
            signed: None,
            left_signed: false,
        };
        for edit in edits {
            work.apply(edit)?;
        }
        let head = if work.changes.is_empty() {
            self.bytes().clone()
        } else {
            work.join()
        };
        let broke_dkim = self.is_dkim_signed() && work.changed.iter().any(|name| self.dkim_covers(name));
        Ok(Applied {
            head,
            changes: work.changes,
            broke_dkim,
            left_signed: work.left_signed,
        })
    }

    fn slots(&self) -> Vec<Slot> {
        let slot = |span: &crate::head::Span| {
            let start = span.start as usize;
            Slot {
                kind: span.kind,
                bytes: Slice::Kept(start..span.end as usize),
                name: span.name_end as usize - start,
                value: span.value as usize - start..span.value_end as usize - start,
            }
        };
        self.spans().iter().map(slot).collect()
    }
}

struct Work<'a> {
    head: &'a Head,
    slots: Vec<Slot>,
    changes: Vec<Change>,
    /// Names of fields that changed.
    changed: Vec<String>,
    /// Whether the message was signed before; asked once.
    signed: Option<bool>,
    left_signed: bool,
}

impl Work<'_> {
    fn apply(&mut self, edit: &Edit) -> Result<(), EditError> {
        match edit {
            Edit::Set { name, value } => self.set(name, value)?,
            Edit::Add { name, value } => {
                let slot = self.made(name, value)?;
                // A folded first line must not become a part of the new field.
                let from_line = self.slots.first().is_some_and(|slot| {
                    let bytes = self.bytes(slot);
                    let starts = [&b"From "[..], b">From ", b" ", b"\t"];
                    slot.kind == Kind::Other && starts.iter().any(|start| bytes.starts_with(start))
                });
                self.end_line(usize::from(from_line));
                self.slots.insert(usize::from(from_line), slot);
                self.tell(What::Added, name, 1);
            }
            Edit::Remove { name } => {
                let found = self.named(name);
                let told = found.first().map(|&at| self.name(at));
                let mut at = 0;
                self.slots.retain(|_| {
                    at += 1;
                    found.binary_search(&(at - 1)).is_err()
                });
                if let Some(told) = told {
                    self.tell(What::Removed, &told, found.len());
                }
            }
            Edit::Replace { name, from, to } => {
                self.revalue(
                    What::Replaced,
                    name,
                    |value| replace(value, from.as_bytes(), to.as_bytes()),
                    false,
                );
            }
            Edit::Address {
                from,
                to,
                headers,
                signed,
            } => {
                let rewriting = Rewrite::Address { from, to };
                self.readdress(What::Address, &rewriting, headers.as_deref(), *signed);
            }
            Edit::Domain {
                from,
                to,
                headers,
                signed,
            } => {
                let rewriting = Rewrite::Domain { from, to };
                self.readdress(What::Domain, &rewriting, headers.as_deref(), *signed);
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), EditError> {
        let slot = self.made(name, value)?;
        let found = self.named(name);
        let Some((&first, others)) = found.split_first() else {
            let end = self.end();
            self.end_line(end);
            self.slots.insert(end, slot);
            self.tell(What::Set, name, 1);
            return Ok(());
        };
        if others.is_empty() && self.bytes(&self.slots[first]) == self.bytes(&slot) {
            return Ok(());
        }
        let told = self.name(first);
        self.slots[first] = slot;
        let mut at = 0;
        self.slots.retain(|_| {
            at += 1;
            others.binary_search(&(at - 1)).is_err()
        });
        self.tell(What::Set, &told, found.len());
        Ok(())
    }

    fn readdress(&mut self, what: What, rewriting: &Rewrite<'_>, headers: Option<&[String]>, signed: bool) {
        let leave = !signed && *self.signed.get_or_insert_with(|| self.head.is_signed());
        let mut names: Vec<&str> = match headers {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => ADDRESS_HEADERS.to_vec(),
        };
        names.sort_unstable_by_key(|name| name.to_ascii_lowercase());
        names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        for name in names {
            if self.revalue(what, name, |value| rewrite(value, rewriting), leave) {
                self.left_signed = true;
            }
        }
    }

    /// Gives the fields of a name the values that `change` makes of theirs; says whether any did, and with `leave` does
    /// no more than that.
    fn revalue(
        &mut self,
        what: What,
        name: &str,
        change: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>,
        leave: bool,
    ) -> bool {
        let mut count = 0;
        let mut told = None;
        for at in self.named(name) {
            let slot = &self.slots[at];
            let bytes = self.bytes(slot);
            let Some((value, times)) = change(&bytes[slot.value.clone()]) else {
                continue;
            };
            if leave {
                return true;
            }
            count += times;
            told = told.or_else(|| Some(self.name(at)));
            let mut made = bytes[..slot.value.start].to_vec();
            made.extend_from_slice(&value);
            made.extend_from_slice(&bytes[slot.value.end..]);
            let end = slot.value.start + value.len();
            let slot = &mut self.slots[at];
            slot.bytes = Slice::Made(made);
            slot.value.end = end;
        }
        if let Some(told) = told {
            self.tell(what, &told, count);
        }
        false
    }

    fn made(&self, name: &str, value: &str) -> Result<Slot, EditError> {
        let line_end = self.head.line_end().as_str();
        let bytes = encode_field(name, value, line_end)?;
        Ok(Slot {
            kind: Kind::Field,
            name: name.len(),
            value: name.len() + 1..bytes.len() - line_end.len(),
            bytes: Slice::Made(bytes),
        })
    }

    /// Where a field more belongs: in front of the empty line, or of carriage returns that a line end would make one of.
    fn end(&self) -> usize {
        let blank = |slot: &Slot| slot.kind == Kind::End || self.bytes(slot).iter().all(|&byte| byte == b'\r');
        self.slots.iter().position(blank).unwrap_or(self.slots.len())
    }

    /// Gives the piece before `at` the line end that it lacks, as the last one of a message without body may.
    fn end_line(&mut self, at: usize) {
        let Some(before) = at.checked_sub(1) else {
            return;
        };
        let bytes = self.bytes(&self.slots[before]);
        if !bytes.ends_with(b"\n") {
            let mut made = bytes.to_vec();
            made.extend_from_slice(self.head.line_end().as_str().as_bytes());
            self.slots[before].bytes = Slice::Made(made);
        }
    }

    fn named(&self, name: &str) -> Vec<usize> {
        let is = |slot: &Slot| {
            slot.kind == Kind::Field
                && slot.name == name.len()
                && self.bytes(slot)[..slot.name].eq_ignore_ascii_case(name.as_bytes())
        };
        (0..self.slots.len()).filter(|&at| is(&self.slots[at])).collect()
    }

    fn name(&self, at: usize) -> String {
        let slot = &self.slots[at];
        String::from_utf8_lossy(&self.bytes(slot)[..slot.name]).into_owned()
    }

    fn bytes<'b>(&'b self, slot: &'b Slot) -> &'b [u8] {
        match &slot.bytes {
            Slice::Kept(range) => &self.head.bytes()[range.clone()],
            Slice::Made(bytes) => bytes,
        }
    }

    fn tell(&mut self, what: What, header: &str, count: usize) {
        self.changed.push(header.to_owned());
        self.changes.push(Change {
            what,
            header: header.to_owned(),
            count: count as u64,
        });
    }

    fn join(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.slots.iter().map(|slot| self.bytes(slot).len()).sum());
        self.slots
            .iter()
            .for_each(|slot| out.extend_from_slice(self.bytes(slot)));
        out.into()
    }
}

/// Replaces text within a value. A match that takes the blank at the beginning of a folded line away is none: the line
/// would become a field of its own, or the end of the head.
fn replace(value: &[u8], from: &[u8], to: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::with_capacity(value.len());
    let mut count = 0;
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = memmem::find(&value[at..], from) {
        let start = at + found;
        if start > 0 && value[start - 1] == b'\n' {
            at = start + 1;
            continue;
        }
        out.extend_from_slice(&value[kept..start]);
        out.extend_from_slice(to);
        kept = start + from.len();
        at = kept;
        count += 1;
    }
    out.extend_from_slice(&value[kept..]);
    (count > 0 && out != value).then_some((out, count))
}
