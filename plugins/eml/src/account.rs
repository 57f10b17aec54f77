//! An account: a folder of message files and of folders like it, read.

use serde::Deserialize;
use whimbrel_folders::disk::{ENTRIES, is_path, join};
use whimbrel_folders::keywords::Keywords;
use whimbrel_folders::{Body, Disk, Fetched, head, letters, roles};
use whimbrel_plugin::files::Entry;
use whimbrel_plugin::{Change, Collection, Failure, ItemMeta, Page, Pager, Result, Role, Timestamp};

use crate::cursor::{Cursor, Position, Seen};
use crate::emlx;
use crate::files::{self, Form, Own};
use crate::folders;

/// Id of the root's own folder; every other folder's id is its directory.
const ROOT_ID: &str = ".";
/// The root's own folder where another one is the inbox.
const ROOT_NAME: &str = "Other messages";
/// Directories within directories are followed so far.
const DEPTH: usize = 64;
/// Bytes of a keywords file that are looked at.
const KEYWORDS_BYTES: u64 = 1 << 16;
/// Bytes that an id has at most.
const ID_BYTES: usize = 1024;
/// Entries that one call looks at without an answer.
const LOOKED_AT: usize = 50_000;
/// In each folder: which keyword each of the letters `a` to `z` stands for.
pub const KEYWORDS: &str = ".whimbrel-keywords";
/// Where Apple Mail keeps what it took out of messages.
const ATTACHMENTS: &str = "Attachments";

/// Where the date of reception comes from in files that other programs wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dates {
    /// The message's header, else the file.
    #[default]
    Message,
    /// The file.
    File,
}

/// A folder of messages with the folders in it.
#[derive(Debug)]
pub struct Account<D> {
    /// The directory that holds it.
    pub disk: D,
    dates: Dates,
    /// Names of a directory, for looking up.
    found: Option<Found>,
}

#[derive(Debug)]
struct Found {
    directory: String,
    from: String,
    entries: Vec<Entry>,
    last: bool,
}

/// A message file.
#[derive(Debug, Clone)]
pub struct File {
    /// Relative to the root.
    pub path: String,
    /// What its name says it is.
    pub form: Form,
    /// Whether this connector named it.
    pub own: bool,
    bytes: u64,
    /// In milliseconds.
    modified: i64,
}

impl File {
    fn new(directory: &str, name: &str, entry: &Entry, may_be_own: bool) -> Option<Self> {
        let form = files::form(name.rsplit('/').next().unwrap_or(name)).filter(|_| !entry.directory)?;
        Some(Self {
            path: join(directory, name),
            form,
            own: may_be_own && files::own(name).is_some(),
            bytes: entry.bytes,
            modified: entry.modified.unix_ms,
        })
    }

    /// Its name, taken apart, where this connector gave it.
    pub fn parts(&self) -> Option<Own<'_>> {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        files::own(name).filter(|_| self.own)
    }

    fn time(&self) -> Timestamp {
        Timestamp {
            unix_ms: self.modified,
            offset_minutes: 0,
        }
    }
}

/// A folder as it lies on the disk.
struct Place {
    directory: String,
    path: Vec<String>,
}

impl<D: Disk> Account<D> {
    /// The account in this directory.
    pub fn new(disk: D, dates: Dates) -> Self {
        Self {
            disk,
            dates,
            found: None,
        }
    }

    /// See `source.collections`. Every directory is a folder; the root is one where messages lie in it.
    ///
    /// # Errors
    /// What the folder failed with.
    pub fn collections(&self) -> Result<Vec<Collection>> {
        let mut places = Vec::new();
        self.below("", &[], 0, &mut places)?;
        if self.holds_messages("")? {
            let inbox = places
                .iter()
                .any(|place| roles::role_of(&place.path) == Some(Role::Inbox));
            let mut name = if inbox { ROOT_NAME } else { "INBOX" }.to_owned();
            while places.iter().any(|place| place.path == [name.as_str()]) {
                name.push('_');
            }
            let directory = String::new();
            places.push(Place {
                directory,
                path: vec![name],
            });
        }
        places.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(places
            .into_iter()
            .map(|place| collection(&place.directory, place.path))
            .collect())
    }

    fn below(&self, directory: &str, path: &[String], depth: usize, places: &mut Vec<Place>) -> Result<()> {
        if depth >= DEPTH {
            return Ok(());
        }
        let mut taken: Vec<String> = Vec::new();
        for child in self.children(directory)? {
            let name = child.rsplit('/').next().unwrap_or(&child);
            let mut segment = folders::segment(name);
            // `Work` and `Work.mbox`: two folders, of which the second keeps its whole name.
            if taken.contains(&segment) {
                name.clone_into(&mut segment);
            }
            while taken.contains(&segment) {
                segment.push('_');
            }
            let mut path = path.to_vec();
            path.push(segment.clone());
            taken.push(segment);
            self.below(&child, &path, depth + 1, places)?;
            places.push(Place { directory: child, path });
        }
        Ok(())
    }

    /// The directories of the folders right below that of a folder: in a mailbox of Apple Mail, those of mailboxes,
    /// however deep; everywhere else, all.
    fn children(&self, directory: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        if is_bundle(directory) {
            for part in self.parts(directory)? {
                let inside = join_part(directory, &part);
                found.extend(
                    self.directories(&inside)?
                        .into_iter()
                        .filter(|name| folders::is_bundle(name))
                        .map(|name| join(&inside, &name)),
                );
            }
        } else {
            found.extend(
                self.directories(directory)?
                    .into_iter()
                    .map(|name| join(directory, &name)),
            );
        }
        Ok(found)
    }

    /// Names of the directories in a directory, but for hidden ones.
    fn directories(&self, directory: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        self.disk.each_entry(directory, |entry| {
            if entry.directory && !entry.name.starts_with('.') {
                names.push(entry.name);
            }
            Ok(())
        })?;
        Ok(names)
    }

    /// The directories in which the messages of a folder lie, below its own, sorted: its own alone, and in a mailbox of
    /// Apple Mail those in it that are no mailboxes themselves.
    fn parts(&self, directory: &str) -> Result<Vec<String>> {
        let mut parts = vec![String::new()];
        if is_bundle(directory) {
            let mut next = 0;
            while let Some(part) = parts.get(next).cloned() {
                next += 1;
                if part.matches('/').count() >= DEPTH {
                    continue;
                }
                for name in self.directories(&join_part(directory, &part))? {
                    if !folders::is_bundle(&name) && name != ATTACHMENTS {
                        parts.push(join(&part, &name));
                    }
                }
            }
            parts.sort();
        }
        Ok(parts)
    }

    fn holds_messages(&self, directory: &str) -> Result<bool> {
        let mut after: Option<String> = None;
        loop {
            let entries = self.disk.entries(directory, after.as_deref(), ENTRIES)?;
            if entries
                .iter()
                .any(|entry| !entry.directory && files::form(&entry.name).is_some())
            {
                return Ok(true);
            }
            if entries.len() < ENTRIES as usize {
                return Ok(false);
            }
            after = entries.last().map(|entry| entry.name.clone());
        }
    }

    /// The directory of the folder with this id.
    ///
    /// # Errors
    /// `not-found` where there is no such folder.
    pub fn directory(&self, id: &str) -> Result<String> {
        if id == ROOT_ID {
            return Ok(String::new());
        }
        if is_shown(id) && self.disk.is_directory(id)? {
            return Ok(id.to_owned());
        }
        Err(Failure::not_found(format!("there is no folder `{id}` in this account")))
    }

    /// What the letters of a folder mean.
    pub fn keywords(&self, directory: &str) -> Result<Keywords> {
        let bytes = self.disk.small_file(&join(directory, KEYWORDS), KEYWORDS_BYTES)?;
        Ok(Keywords::parse(&bytes.unwrap_or_default()))
    }

    /// See `source.changes`. A cursor of another version begins a listing of everything: ids stay valid.
    ///
    /// # Errors
    /// `not-found` where the folder is gone.
    pub fn changes(&self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let directory = self.directory(collection)?;
        let begin = |before| Position {
            before,
            ..Position::default()
        };
        match cursor.and_then(Cursor::parse) {
            Some(Cursor::Since { sequence, after }) => self.since(&directory, sequence, after, limit),
            Some(Cursor::Listing(at)) => self.list(&directory, at, limit),
            Some(Cursor::Idle(seen)) => self.list(&directory, begin(Some(seen)), limit),
            None => self.list(&directory, begin(None), limit),
        }
    }

    /// What follows `at`, part by part, each in the order of names.
    fn list(&self, directory: &str, mut at: Position, limit: u32) -> Result<Page> {
        let mut pager = Pager::new(limit);
        let keywords = self.keywords(directory)?;
        let own = !is_bundle(directory);
        let parts = self.parts(directory)?;
        let mut looked_at = 0;
        for part in parts.iter().skip(parts.partition_point(|part| *part < at.part)) {
            if *part != at.part {
                at.part.clone_from(part);
                at.after.clear();
            }
            let inside = join_part(directory, part);
            loop {
                if pager.is_full() || looked_at >= LOOKED_AT {
                    return Ok(pager.page(Cursor::Listing(at).to_string(), true).complete(true));
                }
                // No more than fit: what is asked for is used up, and the host goes on where it stopped.
                let wanted = u32::try_from(pager.room()).unwrap_or(ENTRIES).min(ENTRIES);
                let entries = self.entries(&inside, &at.after, wanted)?;
                let full = entries.len() >= wanted as usize;
                looked_at += entries.len();
                for entry in entries {
                    let before = std::mem::replace(&mut at.after, entry.name.clone());
                    let name = join_part(part, &entry.name);
                    if let Some(file) = File::new(directory, &name, &entry, own)
                        && let Some(id) = self.id(directory, &name, &before, &file)?
                        && let Some(meta) = self.listed(id, &file, &keywords)?
                    {
                        let seen = seen(&file);
                        let new = at.before.is_none_or(|before| seen.is_beyond(before));
                        at.now = at.now.with(seen);
                        pager.push(if new {
                            Change::Upserted(meta)
                        } else {
                            Change::Marked(meta)
                        });
                    }
                }
                if !full {
                    break;
                }
            }
        }
        let seen = at.before.unwrap_or_default().with(at.now);
        Ok(pager.page(Cursor::Idle(seen).to_string(), false).complete(true))
    }

    fn entries(&self, directory: &str, after: &str, limit: u32) -> Result<Vec<Entry>> {
        let after = (!after.is_empty()).then_some(after);
        match self.disk.entries(directory, after, limit) {
            Err(Failure::NotFound(_)) => Ok(Vec::new()),
            other => other,
        }
    }

    /// The id of a file that comes behind the file `before`; none where it is the same message once more.
    fn id(&self, directory: &str, name: &str, before: &str, file: &File) -> Result<Option<String>> {
        let id = match (file.parts(), file.form) {
            (Some(own), _) => {
                // Two files of one base name are one message, met twice as it was renamed or left by a careless copy:
                // unless they differ in size. Then the second goes by its full name.
                if files::own(before).is_some_and(|other| other.base == own.base) {
                    let other = self.disk.stat(&join(directory, before))?;
                    if other.is_none_or(|other| other.bytes == file.bytes) {
                        return Ok(None);
                    }
                    name.to_owned()
                } else {
                    own.base.to_owned()
                }
            }
            (None, Form::Eml) => files::foreign_id(name, file.bytes, file.modified),
            // The numbers that Apple Mail gives are not used again, and its files change with every flag.
            (None, Form::Emlx | Form::Partial) => name.to_owned(),
        };
        if id.len() > ID_BYTES {
            return Err(Failure::rejected(format!(
                "the path of a message in `{}` has more than {ID_BYTES} bytes: shorten the names of its directories",
                id_of(directory)
            )));
        }
        Ok(Some(id))
    }

    /// What a listing says of a file; none where it is gone meanwhile. What cannot be read is listed all the same:
    /// fetching it says why.
    fn listed(&self, id: String, file: &File, keywords: &Keywords) -> Result<Option<ItemMeta>> {
        match self.meta(id.clone(), file, keywords) {
            Ok(meta) => Ok(Some(meta)),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure @ Failure::Unavailable(_)) => Err(failure),
            Err(_) => Ok(Some(ItemMeta::new(id).received(Some(file.time())))),
        }
    }

    fn meta(&self, id: String, file: &File, keywords: &Keywords) -> Result<ItemMeta> {
        if let Some(own) = file.parts() {
            let received = own.received.map(|unix| Timestamp {
                unix_ms: unix.saturating_mul(1000),
                offset_minutes: 0,
            });
            return Ok(ItemMeta::new(id)
                .size(file.bytes)
                .received(Some(received.unwrap_or(file.time())))
                .flags(letters::flags(own.letters, keywords)));
        }
        if file.form == Form::Eml {
            let received = match self.dates {
                Dates::Message => head_date(&self.disk.read(&file.path, 0, None)?),
                Dates::File => None,
            };
            return Ok(ItemMeta::new(id)
                .size(file.bytes)
                .received(Some(received.unwrap_or(file.time()))));
        }
        let body = self.disk.read(&file.path, 0, None)?;
        let marks = emlx::marks(&body);
        let message = emlx::message(&body).ok();
        let received = marks
            .received
            .or_else(|| message.as_ref().and_then(head_date))
            .unwrap_or(file.time());
        let mut meta = ItemMeta::new(id)
            .revision(format!("{}.{}", file.bytes, file.modified))
            .received(Some(received))
            .flags(marks.flags);
        // Of what is kept elsewhere the size is not known.
        meta.size = message
            .filter(|_| file.form == Form::Emlx)
            .map(|message| message.size());
        Ok(meta)
    }

    /// What this connector delivered from a sequence on.
    fn since(&self, directory: &str, sequence: u64, mut after: String, limit: u32) -> Result<Page> {
        let mut pager = Pager::new(limit);
        let keywords = self.keywords(directory)?;
        let mut looked_at = 0;
        loop {
            if pager.is_full() || looked_at >= LOOKED_AT {
                return Ok(pager.page(Cursor::Since { sequence, after }.to_string(), true));
            }
            let wanted = u32::try_from(pager.room()).unwrap_or(ENTRIES).min(ENTRIES);
            let entries = self.entries(directory, &after, wanted)?;
            let full = entries.len() >= wanted as usize;
            looked_at += entries.len();
            for entry in entries {
                let before = std::mem::replace(&mut after, entry.name.clone());
                if let Some(file) = File::new(directory, &entry.name, &entry, true)
                    && file.parts().is_some_and(|own| own.sequence >= sequence)
                    && let Some(id) = self.id(directory, &entry.name, &before, &file)?
                    && let Some(meta) = self.listed(id, &file, &keywords)?
                {
                    pager.upserted(meta);
                }
            }
            if !full {
                let done = Cursor::Since {
                    sequence,
                    after: String::new(),
                };
                return Ok(pager.page(done.to_string(), false));
            }
        }
    }

    /// See `source.fetch`: what is known of each message, and its content.
    ///
    /// # Errors
    /// `not-found` where the folder is gone.
    pub fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Fetched<D::Body>>> {
        let directory = self.directory(collection)?;
        let keywords = self.keywords(&directory)?;
        Ok(ids
            .iter()
            .map(|id| {
                self.with_file(&directory, id, |account, file| {
                    let body = account.content(file)?;
                    Ok((account.meta(id.clone(), file, &keywords)?, body))
                })
            })
            .collect())
    }

    fn content(&self, file: &File) -> Result<D::Body> {
        match file.form {
            Form::Eml => self.disk.read(&file.path, 0, None),
            Form::Emlx => emlx::message(&self.disk.read(&file.path, 0, None)?),
            Form::Partial => Err(Failure::rejected(
                "Apple Mail keeps this message in part (.partial.emlx): its attachments were taken out, or never fetched, \
                 and putting it together again would not give its bytes. Move it from the server over IMAP, or let Apple \
                 Mail fetch all of it and export the mailbox",
            )),
        }
    }

    /// Does something with the file that has this id. Where it was renamed meanwhile, it is looked for once more.
    ///
    /// # Errors
    /// `not-found` where it is gone.
    pub fn with_file<T>(
        &mut self,
        directory: &str,
        id: &str,
        mut act: impl FnMut(&Self, &File) -> Result<T>,
    ) -> Result<T> {
        let gone = || Failure::not_found(format!("message `{id}` is gone from its folder, or another one since"));
        let file = self.find(directory, id)?.ok_or_else(gone)?;
        match act(self, &file) {
            // Or a renaming found its new name taken: by the file itself.
            Err(Failure::NotFound(_) | Failure::Rejected(_)) if file.own => {
                self.found = None;
                let file = self.find(directory, id)?.ok_or_else(gone)?;
                act(self, &file)
            }
            other => other,
        }
    }

    fn find(&mut self, directory: &str, id: &str) -> Result<Option<File>> {
        if files::is_base(id) {
            return self.find_own(directory, id);
        }
        let (name, expected) = match files::of_foreign_id(id) {
            Some((name, bytes, modified)) => (name, Some((bytes, modified))),
            None => (id, None),
        };
        let form = files::form(name.rsplit('/').next().unwrap_or(name));
        // An id that none of the forms above gives names nothing.
        let known = match form {
            Some(Form::Eml) => expected.is_some() || files::own(name).is_some(),
            Some(Form::Emlx | Form::Partial) => expected.is_none(),
            None => false,
        };
        if !known || !is_shown(name) {
            return Ok(None);
        }
        let Some(entry) = self.disk.stat(&join(directory, name))? else {
            return Ok(None);
        };
        let file = File::new(directory, name, &entry, expected.is_none());
        Ok(file.filter(|file| expected.is_none_or(|expected| expected == (file.bytes, file.modified))))
    }

    fn find_own(&mut self, directory: &str, base: &str) -> Result<Option<File>> {
        let prefix = format!("{base},");
        if let Some(found) = &self.found
            && found.directory == directory
            && found.from.as_str() <= base
            && let Some(file) = found.find(&prefix)
        {
            return Ok(Some(file));
        }
        let mut after = base.to_owned();
        loop {
            let entries = self.entries(directory, &after, ENTRIES)?;
            let found = Found {
                directory: directory.to_owned(),
                from: after,
                last: entries.len() < ENTRIES as usize,
                entries,
            };
            let file = found.find(&prefix);
            let bound = found.entries.last().map(|entry| entry.name.clone());
            let more = bound.filter(|bound| !found.last && *bound < prefix);
            self.found = Some(found);
            match more {
                Some(bound) if file.is_none() => after = bound,
                _ => return Ok(file),
            }
        }
    }
}

impl Found {
    fn find(&self, prefix: &str) -> Option<File> {
        let at = self.entries.partition_point(|entry| entry.name.as_str() < prefix);
        self.entries[at..]
            .iter()
            .take_while(|entry| entry.name.starts_with(prefix))
            .find_map(|entry| File::new(&self.directory, &entry.name, entry, true).filter(|file| file.own))
    }
}

/// What the listing after one that saw this file has to go beyond.
fn seen(file: &File) -> Seen {
    match (file.parts(), file.form) {
        (Some(own), _) => Seen {
            sequence: own.sequence,
            modified: i64::MIN,
        },
        (None, Form::Eml) => Seen {
            sequence: 0,
            modified: file.modified,
        },
        // Its time tells that it changed, not that it is new.
        (None, Form::Emlx | Form::Partial) => Seen {
            sequence: 0,
            modified: i64::MIN,
        },
    }
}

fn head_date(message: &impl Body) -> Option<Timestamp> {
    head::received(&message.read(0, head::BYTES))
}

/// The collection in this directory.
pub fn collection(directory: &str, path: Vec<String>) -> Collection {
    let role = roles::role_of(&path);
    Collection::new(id_of(directory), path).role(role).subscribed(true)
}

/// The id of the folder in this directory.
pub fn id_of(directory: &str) -> &str {
    if directory.is_empty() { ROOT_ID } else { directory }
}

/// A path that may be an id: nothing in it is hidden.
fn is_shown(path: &str) -> bool {
    is_path(path) && path.split('/').all(|segment| !segment.starts_with('.'))
}

/// Whether this directory is a mailbox of Apple Mail.
pub fn is_bundle(directory: &str) -> bool {
    folders::is_bundle(directory.rsplit('/').next().unwrap_or(directory))
}

/// `directory/part`, either of which may be empty.
fn join_part(directory: &str, part: &str) -> String {
    if part.is_empty() {
        directory.to_owned()
    } else {
        join(directory, part)
    }
}
