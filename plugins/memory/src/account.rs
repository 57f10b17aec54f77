//! The account: what the settings make up, and over it what was written into this instance.
//!
//! Written bodies are of any type that can be shared, so that everything here runs natively with plain bytes.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_plugin::{
    Collection, Failure, ItemMeta, Page, Pager, Placement, Remark, Result, Timestamp, cursor_body, next_field,
};

use crate::generate::{self, Message};
use crate::settings::Settings;

/// A body that was written.
pub trait Body {
    /// The same again, without copying.
    fn share(&self) -> Self;
    /// Bytes.
    fn size(&self) -> u64;
}

/// Where the content of a message comes from.
#[derive(Debug)]
pub enum Content<B> {
    /// Made up: the mailbox and the number there.
    Made(usize, u64),
    /// Written.
    Kept(B),
}

/// A message that was written, or made up and altered.
#[derive(Debug)]
struct Entry<B> {
    content: Content<B>,
    received: Option<Timestamp>,
    flags: Vec<String>,
    labels: Vec<String>,
    identity: Option<String>,
    /// The folder's `modseq` when it was last touched.
    modseq: u64,
}

#[derive(Debug)]
struct Folder<B> {
    collection: Collection,
    /// Its number among those that are made up.
    made: Option<usize>,
    /// The number that the next message gets.
    next: u64,
    /// Counts writes.
    modseq: u64,
    /// `modseq` when something last vanished.
    vanished: u64,
    entries: BTreeMap<u64, Entry<B>>,
    /// Made up, but removed.
    hidden: BTreeSet<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Account<B> {
    /// What it was made from.
    pub settings: Settings,
    folders: Vec<Folder<B>>,
    written: u64,
}

/// `1:<next>,<round>,<modseq>,<at>,<next, round and modseq when the listing began>,<removed>,<generation>`: `next` to
/// `modseq` tell what is known already; `at` is where a listing that is under way goes on, 0 where none is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    known: Snapshot,
    at: u64,
    began: Snapshot,
    /// Stands for the list of removed messages.
    removed: u64,
    generation: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Snapshot {
    next: u64,
    round: u64,
    modseq: u64,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self> {
        let mut fields = cursor_body(1, text)?.splitn(9, ',');
        let snapshot = |fields: &mut std::str::SplitN<'_, char>| -> Result<Snapshot> {
            Ok(Snapshot {
                next: next_field(fields, "next")?,
                round: next_field(fields, "round")?,
                modseq: next_field(fields, "modseq")?,
            })
        };
        Ok(Self {
            known: snapshot(&mut fields)?,
            at: next_field(&mut fields, "at")?,
            began: snapshot(&mut fields)?,
            removed: next_field(&mut fields, "removed")?,
            generation: next_field(&mut fields, "generation")?,
        })
    }

    fn text(&self) -> String {
        let Self {
            known,
            at,
            began,
            removed,
            generation,
        } = self;
        format!(
            "1:{},{},{},{at},{},{},{},{removed},{generation}",
            known.next, known.round, known.modseq, began.next, began.round, began.modseq
        )
    }
}

impl<B: Body> Account<B> {
    /// As the settings make it up, nothing written.
    pub fn new(settings: Settings) -> Self {
        let folders = generate::mailboxes(&settings)
            .into_iter()
            .enumerate()
            .map(|(made, (path, role))| {
                let collection = Collection::new(id_of(&path), path)
                    .role(role)
                    .subscribed(true)
                    .generation(Some(settings.generation.clone()));
                Folder::new(collection, Some(made), settings.messages + 1)
            })
            .collect();
        Self {
            settings,
            folders,
            written: 0,
        }
    }

    /// All mailboxes, parents before children, with what they hold.
    pub fn collections(&self) -> Vec<Collection> {
        let mut all: Vec<Collection> = self
            .folders
            .iter()
            .map(|folder| {
                let made = if folder.made.is_some() {
                    self.settings.messages
                } else {
                    0
                };
                let removed = self
                    .settings
                    .removed
                    .iter()
                    .filter(|number| (1..=made).contains(number))
                    .count() as u64;
                let written = folder.entries.range(made + 1..).count() as u64;
                let hidden = folder
                    .hidden
                    .iter()
                    .filter(|number| !self.settings.removed.contains(number))
                    .count() as u64;
                folder
                    .collection
                    .clone()
                    .claims(Some((made + written).saturating_sub(removed + hidden)), None)
            })
            .collect();
        // Stable: a parent that was made later still comes before its child.
        all.sort_by_key(|collection| collection.path.len());
        all
    }

    /// A page of a listing; see `wit/source.wit`.
    pub fn changes(&self, id: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let folder = self.folder(id)?;
        let now = self.snapshot(folder);
        let removed = self
            .settings
            .removed
            .iter()
            .fold(0, |sum: u64, number| sum.wrapping_mul(31).wrapping_add(*number));
        let fresh = Cursor {
            known: Snapshot {
                next: 1,
                ..Snapshot::default()
            },
            at: 0,
            began: now,
            removed,
            generation: self.settings.generation.clone(),
        };
        let mut cursor = cursor.map_or(Ok(fresh), Cursor::parse)?;
        if cursor.generation != self.settings.generation {
            return Err(Failure::GenerationChanged);
        }
        // No removal since: what is not listed is as it was, and only what is new or touched needs to be named.
        let first = cursor.known.next == 1;
        let partial = !first && cursor.removed == removed && folder.vanished <= cursor.known.modseq;
        if cursor.at == 0 {
            cursor.began = now;
            cursor.at = 1;
            if partial && cursor.known == now {
                return Ok(Page::new(Vec::new(), Cursor { at: 0, ..cursor }.text()));
            }
        }
        let mut end = folder.next;
        let capped = self.settings.capped.filter(|cap| *cap < self.live(folder, end));
        if let Some(cap) = capped {
            end = (1..end)
                .filter(|number| self.exists(folder, *number))
                .nth(usize::try_from(cap).unwrap_or(usize::MAX))
                .unwrap_or(end);
        }
        let mut pager = Pager::new(limit);
        let mut at = cursor.at;
        while at < end && !pager.is_full() {
            if self.exists(folder, at) {
                let meta = self.meta(folder, at);
                if at >= cursor.known.next {
                    pager.upserted(meta);
                } else if self.touched(folder, at, cursor.known) {
                    pager.marked(meta);
                } else if !partial {
                    pager.present(meta.id);
                }
            }
            at += 1;
        }
        let more = at < end;
        cursor = if more {
            Cursor { at, ..cursor }
        } else {
            Cursor {
                known: cursor.began,
                at: 0,
                removed,
                ..cursor
            }
        };
        // A later message that came while the listing ran was listed too: it is not new again.
        if !more {
            cursor.known.next = cursor.known.next.max(at.min(folder.next));
        }
        let page = pager.page(cursor.text(), more).complete(!partial);
        Ok(match capped {
            Some(cap) => page.capped(format!("this account shows {cap} messages of a mailbox")),
            None => page,
        })
    }

    /// A cursor that lists what is written from now on.
    pub fn watermark(&self, id: &str) -> Result<String> {
        let folder = self.folder(id)?;
        let now = self.snapshot(folder);
        let removed = self
            .settings
            .removed
            .iter()
            .fold(0, |sum: u64, number| sum.wrapping_mul(31).wrapping_add(*number));
        Ok(Cursor {
            known: now,
            at: 0,
            began: now,
            removed,
            generation: self.settings.generation.clone(),
        }
        .text())
    }

    /// What there is of a message, and where its content comes from.
    pub fn get(&self, id: &str, item: &str) -> Result<(ItemMeta, Content<B>)> {
        let folder = self.folder(id)?;
        let number = self.number(folder, item)?;
        if self.settings.fail_ids.contains(&number) {
            return Err(Failure::rejected(format!("message {number} is one of `fail-ids`")));
        }
        Ok((self.meta(folder, number), self.content(folder, number)))
    }

    /// Finds or makes it, with its parents.
    pub fn ensure(&mut self, wanted: &Collection) -> Result<Collection> {
        if wanted.path.is_empty() || wanted.path.iter().any(String::is_empty) {
            return Err(Failure::rejected("a mailbox must have a name"));
        }
        for depth in 1..wanted.path.len() {
            self.find_or_make(&wanted.path[..depth]);
        }
        let by_role = wanted.role.and_then(|role| {
            self.folders
                .iter()
                .position(|folder| folder.collection.role == Some(role))
        });
        let at = by_role.unwrap_or_else(|| self.find_or_make(&wanted.path));
        let folder = &mut self.folders[at];
        if by_role.is_none() && wanted.role.is_some() {
            folder.collection.role = wanted.role;
        }
        folder.collection.subscribed |= wanted.subscribed;
        let collection = folder.collection.clone();
        Ok(collection)
    }

    fn find_or_make(&mut self, path: &[String]) -> usize {
        let found = self.folders.iter().position(|folder| folder.collection.path == path);
        found.unwrap_or_else(|| {
            let collection = Collection::new(id_of(path), path).generation(Some(self.settings.generation.clone()));
            self.folders.push(Folder::new(collection, None, 1));
            self.folders.len() - 1
        })
    }

    /// Keeps a message.
    pub fn put(&mut self, id: &str, meta: ItemMeta, content: B) -> Result<Placement> {
        let size = content.size();
        if self.settings.max_item_bytes.is_some_and(|limit| size > limit) {
            return Err(Failure::TooLarge(self.settings.max_item_bytes));
        }
        if self.free().is_some_and(|free| size > free) {
            return Err(Failure::over_quota(format!(
                "a message of {size} bytes does not fit any more"
            )));
        }
        let entry = Entry {
            content: Content::Kept(content),
            received: meta.received,
            flags: meta.flags,
            labels: meta.labels,
            identity: meta.identity,
            modseq: 0,
        };
        let placement = self.add(id, entry)?;
        self.written += size;
        Ok(placement)
    }

    /// Bytes that the quota still has, where there is one.
    pub fn free(&self) -> Option<u64> {
        self.settings.quota.map(|quota| quota.saturating_sub(self.written))
    }

    fn add(&mut self, id: &str, mut entry: Entry<B>) -> Result<Placement> {
        let without_ids = self.settings.without_ids;
        let folder = self.folder_mut(id)?;
        folder.modseq += 1;
        entry.modseq = folder.modseq;
        let number = folder.next;
        folder.next += 1;
        folder.entries.insert(number, entry);
        Ok(Placement::created((!without_ids).then(|| number.to_string())))
    }

    /// The message into another mailbox as well.
    pub fn copy(&mut self, origin: &str, item: &str, target: &str) -> Result<Placement> {
        let folder = self.folder(origin)?;
        let number = self.number(folder, item)?;
        let meta = self.meta(folder, number);
        let content = self.content(folder, number);
        let ItemMeta {
            received,
            flags,
            labels,
            identity,
            ..
        } = meta;
        self.add(
            target,
            Entry {
                content,
                received,
                flags,
                labels,
                identity,
                modseq: 0,
            },
        )
    }

    /// The message into another mailbox instead.
    pub fn relocate(&mut self, origin: &str, item: &str, target: &str) -> Result<Placement> {
        let placement = self.copy(origin, item, target)?;
        self.erase(origin, item)?;
        Ok(placement)
    }

    /// Into the trash, where there is one, else away.
    pub fn remove(&mut self, id: &str, item: &str) -> Result<()> {
        let trash = self
            .folders
            .iter()
            .find(|folder| folder.collection.role == Some(whimbrel_plugin::Role::Trash));
        match trash.map(|trash| trash.collection.id.clone()) {
            Some(trash) if trash != id => self.relocate(id, item, &trash).map(|_| ()),
            _ => self.erase(id, item),
        }
    }

    fn erase(&mut self, id: &str, item: &str) -> Result<()> {
        let number = self.number(self.folder(id)?, item)?;
        let made = self.settings.messages;
        let folder = self.folder_mut(id)?;
        folder.modseq += 1;
        folder.vanished = folder.modseq;
        folder.entries.remove(&number);
        if folder.made.is_some() && number <= made {
            folder.hidden.insert(number);
        }
        Ok(())
    }

    /// Sets flags and labels.
    pub fn mark(&mut self, id: &str, remark: &Remark) -> Result<()> {
        let folder = self.folder(id)?;
        let number = self.number(folder, &remark.id)?;
        let meta = self.meta(folder, number);
        if meta.flags == remark.flags && meta.labels == remark.labels {
            return Ok(());
        }
        let content = self.content(folder, number);
        let folder = self.folder_mut(id)?;
        folder.modseq += 1;
        let modseq = folder.modseq;
        let (flags, labels) = (remark.flags.clone(), remark.labels.clone());
        let ItemMeta { received, identity, .. } = meta;
        folder.entries.insert(
            number,
            Entry {
                content,
                received,
                flags,
                labels,
                identity,
                modseq,
            },
        );
        Ok(())
    }

    fn folder(&self, id: &str) -> Result<&Folder<B>> {
        self.folders
            .iter()
            .find(|folder| folder.collection.id == id)
            .ok_or_else(|| no_mailbox(id))
    }

    fn folder_mut(&mut self, id: &str) -> Result<&mut Folder<B>> {
        self.folders
            .iter_mut()
            .find(|folder| folder.collection.id == id)
            .ok_or_else(|| no_mailbox(id))
    }

    fn number(&self, folder: &Folder<B>, item: &str) -> Result<u64> {
        let number = item.parse().ok().filter(|number| self.exists(folder, *number));
        number.ok_or_else(|| {
            Failure::not_found(format!(
                "there is no message `{}`",
                item.chars().take(40).collect::<String>()
            ))
        })
    }

    fn exists(&self, folder: &Folder<B>, number: u64) -> bool {
        folder.entries.contains_key(&number)
            || (folder.made.is_some()
                && (1..=self.settings.messages).contains(&number)
                && !self.settings.removed.contains(&number)
                && !folder.hidden.contains(&number))
    }

    fn live(&self, folder: &Folder<B>, end: u64) -> u64 {
        (1..end).filter(|number| self.exists(folder, *number)).count() as u64
    }

    fn snapshot(&self, folder: &Folder<B>) -> Snapshot {
        Snapshot {
            next: folder.next,
            round: self.settings.round,
            modseq: folder.modseq,
        }
    }

    fn touched(&self, folder: &Folder<B>, number: u64, known: Snapshot) -> bool {
        match (folder.entries.get(&number), folder.made) {
            (Some(entry), _) => entry.modseq > known.modseq,
            (None, Some(made)) => {
                let revision = Message::new(&self.settings, made, number).revision();
                // Flagged since, or, where the account went back to an earlier round, not any more.
                revision > known.round || (known.round > self.settings.round && number % 10 < known.round)
            }
            (None, None) => false,
        }
    }

    fn content(&self, folder: &Folder<B>, number: u64) -> Content<B> {
        match folder.entries.get(&number).map(|entry| &entry.content) {
            Some(Content::Kept(body)) => Content::Kept(body.share()),
            Some(Content::Made(mailbox, number)) => Content::Made(*mailbox, *number),
            None => Content::Made(folder.made.unwrap_or(0), number),
        }
    }

    fn meta(&self, folder: &Folder<B>, number: u64) -> ItemMeta {
        let size = match self.content(folder, number) {
            Content::Kept(body) => body.size(),
            Content::Made(mailbox, number) => Message::new(&self.settings, mailbox, number).size(),
        };
        let meta = ItemMeta::new(number.to_string()).size(size);
        match folder.entries.get(&number) {
            Some(entry) => meta
                .revision(format!("w{}", entry.modseq))
                .received(entry.received)
                .flags(entry.flags.clone())
                .labels(entry.labels.clone())
                .identity(entry.identity.clone()),
            None => {
                let message = Message::new(&self.settings, folder.made.unwrap_or(0), number);
                meta.revision(message.revision().to_string())
                    .received(Some(message.received()))
                    .flags(message.flags())
            }
        }
    }
}

impl<B> Folder<B> {
    fn new(collection: Collection, made: Option<usize>, next: u64) -> Self {
        Self {
            collection,
            made,
            next,
            modseq: 0,
            vanished: 0,
            entries: BTreeMap::new(),
            hidden: BTreeSet::new(),
        }
    }
}

/// Ids are names, joined by a character that names here do not hold, and short.
fn id_of(path: &[String]) -> String {
    let id = path.join("\u{1f}");
    if id.len() <= 512 {
        id
    } else {
        format!("{}#{:x}", id.chars().take(100).collect::<String>(), long_name(&id))
    }
}

fn long_name(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn no_mailbox(id: &str) -> Failure {
    Failure::not_found(format!(
        "there is no mailbox `{}`",
        id.chars().take(60).collect::<String>()
    ))
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
