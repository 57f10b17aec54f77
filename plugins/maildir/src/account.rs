//! An account: a Maildir with its folders, read.

use whimbrel_folders::disk::{is_path, join};
use whimbrel_folders::{Disk, Fetched, roles};
use whimbrel_plugin::{Change, Collection, Failure, ItemMeta, Page, Pager, Result};

use crate::cursor::{Cursor, Order, Position, Stamp};
use crate::layout::{Layout, Names, Spelling, Subscriptions, detect_spelling};
use crate::names;
use crate::window::{File, Window, order_now, uid_list};
use whimbrel_folders::keywords::Keywords;

/// Id of the root's own folder; every other folder's id is its directory.
const ROOT_ID: &str = ".";
/// Directories within directories are followed so far.
const DEPTH: usize = 64;
/// A listing begins again so often where the folder changes under it.
const ROUNDS: u32 = 2;
/// Windows that one call looks through without an answer.
const WINDOWS: usize = 5;
/// Bytes of a `dovecot-keywords` or `subscriptions` file that are looked at.
const SMALL_FILE: u64 = 1 << 20;

/// A Maildir with its folders.
#[derive(Debug)]
pub struct Account<D> {
    /// The folder that holds it.
    pub disk: D,
    /// How folder names become directories.
    pub names: Names,
    /// The listing under way.
    listing: Option<Listing>,
    /// Files by name, for looking up.
    found: Option<Found>,
    /// The newest modification time seen at the root.
    newest: Option<i64>,
}

#[derive(Debug)]
struct Listing {
    directory: String,
    stamp: Stamp,
    order: Order,
    from: String,
    window: Window,
}

#[derive(Debug)]
struct Found {
    directory: String,
    from: String,
    window: Window,
}

impl<D: Disk> Account<D> {
    /// Opens it. Layout and spelling are found out where they are not given.
    ///
    /// # Errors
    /// What the folder failed with.
    pub fn open(disk: D, layout: Option<Layout>, spelling: Option<Spelling>) -> Result<Self> {
        let layout = match layout {
            Some(layout) => layout,
            None => detect_layout(&disk)?,
        };
        let names = Names {
            layout,
            spelling: Spelling::Utf7,
        };
        let mut account = Self {
            disk,
            names,
            listing: None,
            found: None,
            newest: None,
        };
        account.names.spelling = match spelling {
            Some(spelling) => spelling,
            None => detect_spelling(account.directories()?.iter().map(String::as_str)),
        };
        Ok(account)
    }

    /// Every directory that is a folder, relative to the root.
    fn directories(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        if is_maildir(&self.disk, "")? {
            found.push(String::new());
        }
        match self.names.layout {
            Layout::Plus => self.disk.each_entry("", |entry| {
                if entry.directory && entry.name.starts_with('.') && is_maildir(&self.disk, &entry.name)? {
                    found.push(entry.name);
                }
                Ok(())
            })?,
            Layout::Nested => nested(&self.disk, "", 0, &mut found)?,
        }
        Ok(found)
    }

    /// See `source.collections`.
    ///
    /// # Errors
    /// What the folder failed with.
    pub fn collections(&self) -> Result<Vec<Collection>> {
        let subscriptions = self.subscriptions()?;
        let mut folders: Vec<(Vec<String>, String, bool)> = Vec::new();
        for directory in self.directories()? {
            folders.push((self.names.path(&directory), directory, true));
        }
        // Parents that are no folders themselves.
        let mut parents = Vec::new();
        for (path, directory, _) in &folders {
            let separator = if self.names.layout == Layout::Plus { '.' } else { '/' };
            let ends: Vec<usize> = directory
                .match_indices(separator)
                .map(|(at, _)| at)
                .filter(|&at| at > 0)
                .collect();
            if ends.len() + 1 != path.len() {
                continue;
            }
            for end in ends {
                let parent = &directory[..end];
                // `.INBOX.x` lies below the inbox, which is the root itself.
                let path = self.names.path(parent);
                let known = folders
                    .iter()
                    .chain(&parents)
                    .any(|(other, known, _)| known == parent || *other == path);
                if !known {
                    parents.push((path, parent.to_owned(), false));
                }
            }
        }
        folders.append(&mut parents);
        folders.sort_by(|a, b| (!a.1.is_empty(), &a.0).cmp(&(!b.1.is_empty(), &b.0)));
        Ok(folders
            .into_iter()
            .map(|(path, directory, selectable)| {
                let subscribed = subscriptions
                    .as_ref()
                    .is_none_or(|known| known.contains(self.names, &directory));
                let role = roles::role_of(&path).filter(|_| selectable);
                Collection::new(id_of(&directory), path)
                    .role(role)
                    .selectable(selectable)
                    .subscribed(subscribed)
            })
            .collect())
    }

    /// The subscriptions; none where nobody keeps any.
    pub fn subscriptions(&self) -> Result<Option<Subscriptions>> {
        Ok(self
            .disk
            .small_file("subscriptions", SMALL_FILE)?
            .map(|bytes| Subscriptions::parse(&bytes)))
    }

    /// The directory of the folder with this id.
    ///
    /// # Errors
    /// `not-found` where there is no such folder.
    pub fn directory(&self, id: &str) -> Result<String> {
        let directory = if id == ROOT_ID { "" } else { id };
        if (id == ROOT_ID || is_path(id)) && is_maildir(&self.disk, directory)? {
            return Ok(directory.to_owned());
        }
        Err(Failure::not_found(format!("there is no folder `{id}` in this Maildir")))
    }

    /// What the letters of a folder mean.
    pub fn keywords(&self, directory: &str) -> Result<Keywords> {
        let bytes = self.disk.small_file(&join(directory, "dovecot-keywords"), SMALL_FILE)?;
        Ok(Keywords::parse(&bytes.unwrap_or_default()))
    }

    /// See `source.changes`. A cursor of another version begins a listing of everything: ids are names and stay valid.
    ///
    /// # Errors
    /// `not-found` where the folder is gone.
    pub fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let directory = self.directory(collection)?;
        let keywords = self.keywords(&directory)?;
        match cursor.and_then(Cursor::parse) {
            Some(Cursor::Since { sequence, after }) => self.since(&directory, &keywords, sequence, &after, limit),
            Some(Cursor::Listing(at)) => self.list(&directory, &keywords, at, limit),
            Some(Cursor::Idle { stamp, highest }) if stamp.proves_unchanged(&self.stamp(&directory)?) => {
                Ok(Page::new(Vec::new(), Cursor::Idle { stamp, highest }.to_string()))
            }
            Some(Cursor::Idle { highest, .. }) => self.list_all(&directory, &keywords, highest, limit),
            None => self.list_all(&directory, &keywords, String::new(), limit),
        }
    }

    fn list_all(&mut self, directory: &str, keywords: &Keywords, seen: String, limit: u32) -> Result<Page> {
        self.listing = None;
        let begin = self.begin(directory, 0, seen, String::new())?;
        self.list(directory, keywords, begin, limit)
    }

    fn begin(&mut self, directory: &str, round: u32, seen: String, highest: String) -> Result<Position> {
        let stamp = self.stamp(directory)?;
        let order = order_now(uid_list(&self.disk, directory)?.as_ref());
        Ok(Position {
            stamp,
            round,
            order,
            uid: 0,
            seen,
            highest,
            after: String::new(),
        })
    }

    /// What follows `at`. A name above the highest of the listing before is new. A lower one was there before, or so
    /// it seems: names begin with the time of delivery, and nothing else is kept of that listing.
    fn list(&mut self, directory: &str, keywords: &Keywords, mut at: Position, limit: u32) -> Result<Page> {
        let mut pager = Pager::new(limit);
        let mut last_bytes = self.bytes_of(directory, &at.after)?;
        loop {
            self.load(directory, &mut at)?;
            let Some(listing) = &self.listing else {
                return Err(Failure::internal("a listing was lost"));
            };
            let window = &listing.window;
            let mut place = match at.order {
                Order::Name => window.place_after(u32::MAX, &at.after),
                Order::Uid { .. } => window.place_after(at.uid, &at.after),
            };
            while let Some(file) = window.get(place) {
                // Two files of one base name are one message, met twice as it was renamed or left by a careless
                // copy: unless they differ in size. Then the second goes by its full name.
                let (base, _) = names::split(&file.name);
                let again = !at.after.is_empty() && names::split(&at.after).0 == base;
                if !(again && last_bytes.is_none_or(|bytes| bytes == file.bytes)) {
                    let id = if again { file.name.clone() } else { base.to_owned() };
                    let new = base > at.seen.as_str();
                    let meta = meta(id, &file, keywords);
                    if !pager.push(if new {
                        Change::Upserted(meta)
                    } else {
                        Change::Marked(meta)
                    }) {
                        return Ok(pager.page(Cursor::Listing(at).to_string(), true).complete(true));
                    }
                }
                if base > at.highest.as_str() {
                    at.highest = base.to_owned();
                }
                last_bytes = Some(file.bytes);
                at.uid = window.uid(place);
                at.after = file.name;
                place += 1;
            }
            if window.last {
                break;
            }
            at.after.clone_from(&window.bound);
        }
        self.listing = None;
        if at.round < ROUNDS && !at.stamp.same(&self.stamp(directory)?) {
            let again = self.begin(directory, at.round + 1, at.seen, at.highest)?;
            return Ok(pager.page(Cursor::Listing(again).to_string(), true).complete(true));
        }
        let done = Cursor::Idle {
            stamp: at.stamp,
            highest: at.highest,
        };
        Ok(pager.page(done.to_string(), false).complete(true))
    }

    /// Sees to it that the listing under way holds what follows `at`.
    fn load(&mut self, directory: &str, at: &mut Position) -> Result<()> {
        if let Some(listing) = &self.listing
            && (listing.directory.as_str(), listing.stamp, listing.order) == (directory, at.stamp, at.order)
            && listing.from <= at.after
            && (listing.window.last || at.after < listing.window.bound)
        {
            return Ok(());
        }
        self.listing = None;
        let mut found = None;
        if let Order::Uid { validity, next } = at.order {
            let list = uid_list(&self.disk, directory)?.filter(|list| list.validity == validity);
            if let Some(list) = &list {
                found = Window::by_uid(&self.disk, directory, list, next)?.map(|window| (window, String::new()));
            }
            if found.is_none() {
                // The order is lost: by name, from the beginning.
                (at.order, at.uid, at.after) = (Order::Name, 0, String::new());
            }
        }
        let (window, from) = match found {
            Some(found) => found,
            None => (Window::by_name(&self.disk, directory, &at.after)?, at.after.clone()),
        };
        let (directory, stamp, order) = (directory.to_owned(), at.stamp, at.order);
        self.listing = Some(Listing {
            directory,
            stamp,
            order,
            from,
            window,
        });
        Ok(())
    }

    fn bytes_of(&self, directory: &str, name: &str) -> Result<Option<u64>> {
        if name.is_empty() {
            return Ok(None);
        }
        for part in ["cur", "new"] {
            if let Some(entry) = self.disk.stat(&join(directory, &format!("{part}/{name}")))? {
                return Ok(Some(entry.bytes));
            }
        }
        Ok(None)
    }

    /// What this connector delivered from a sequence on.
    fn since(&self, directory: &str, keywords: &Keywords, sequence: u64, after: &str, limit: u32) -> Result<Page> {
        let mut pager = Pager::new(limit);
        let mut after = after.to_owned();
        for _ in 0..WINDOWS {
            let window = Window::by_name(&self.disk, directory, &after)?;
            for file in (0..window.len()).filter_map(|at| window.get(at)) {
                if names::sequence(&file.name).is_some_and(|found| found >= sequence) {
                    let (base, _) = names::split(&file.name);
                    if !pager.upserted(meta(base.to_owned(), &file, keywords)) {
                        return Ok(pager.page(Cursor::Since { sequence, after }.to_string(), true));
                    }
                }
                after = file.name;
            }
            if window.last {
                let done = Cursor::Since {
                    sequence,
                    after: String::new(),
                };
                return Ok(pager.page(done.to_string(), false));
            }
            after = window.bound;
        }
        Ok(pager.page(Cursor::Since { sequence, after }.to_string(), true))
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
                self.with_file(&directory, id, |disk, file| {
                    let body = disk.read(&file.path(&directory), 0, None)?;
                    Ok((meta(id.clone(), file, &keywords), body))
                })
            })
            .collect())
    }

    /// Does something with the file that has this id. Where it was renamed meanwhile, it is looked for once more.
    ///
    /// # Errors
    /// `not-found` where it is gone.
    pub fn with_file<T>(
        &mut self,
        directory: &str,
        id: &str,
        mut act: impl FnMut(&D, &File) -> Result<T>,
    ) -> Result<T> {
        let gone = || Failure::not_found(format!("message `{id}` is gone from its folder"));
        let file = self.find(directory, id)?.ok_or_else(gone)?;
        match act(&self.disk, &file) {
            Err(Failure::NotFound(_)) => {
                self.found = None;
                let file = self.find(directory, id)?.ok_or_else(gone)?;
                act(&self.disk, &file)
            }
            other => other,
        }
    }

    fn find(&mut self, directory: &str, id: &str) -> Result<Option<File>> {
        if let Some(found) = &self.found
            && found.directory == directory
            && found.from.as_str() < id
            && let Some(file) = found.window.find(id)
        {
            return Ok(Some(file));
        }
        // Names that begin with the id come behind the id without its last character.
        let mut from = id.to_owned();
        from.pop();
        let mut after = from.clone();
        loop {
            let window = Window::by_name(&self.disk, directory, &after)?;
            let file = window.find(id);
            let more = !window.last && (window.bound.as_str() < id || window.bound.starts_with(id));
            if file.is_some() || !more {
                self.found = Some(Found {
                    directory: directory.to_owned(),
                    from: after,
                    window,
                });
                return Ok(file);
            }
            after = window.bound;
        }
    }

    fn stamp(&mut self, directory: &str) -> Result<Stamp> {
        let time = |path: &str| -> Result<i64> {
            Ok(self
                .disk
                .stat(&join(directory, path))?
                .map_or(0, |entry| entry.modified.unix_ms))
        };
        let (cur, new, keywords) = (time("cur")?, time("new")?, time("dovecot-keywords")?);
        let latest = cur.max(new).max(keywords);
        // An older look at the root is as good, as long as it proves enough.
        let mut stamp = Stamp {
            cur,
            new,
            keywords,
            newest: self.newest.unwrap_or(i64::MIN).max(latest),
        };
        if self.newest.is_none() || !stamp.proves_unchanged(&stamp) {
            let mut newest = latest;
            for path in ["", directory] {
                self.disk.each_entry(path, |entry| {
                    newest = newest.max(entry.modified.unix_ms);
                    Ok(())
                })?;
            }
            self.newest = self.newest.max(Some(newest));
            stamp.newest = newest;
        }
        Ok(stamp)
    }
}

/// The id of the folder in this directory.
pub fn id_of(directory: &str) -> &str {
    if directory.is_empty() { ROOT_ID } else { directory }
}

fn meta(id: String, file: &File, keywords: &Keywords) -> ItemMeta {
    let flags = if file.fresh {
        Vec::new()
    } else {
        names::flags(names::split(&file.name).1, keywords)
    };
    ItemMeta::new(id)
        .size(file.bytes)
        .received(Some(file.received()))
        .flags(flags)
}

fn is_maildir(disk: &impl Disk, directory: &str) -> Result<bool> {
    Ok(disk.is_directory(&join(directory, "cur"))? || disk.is_directory(&join(directory, "new"))?)
}

fn nested(disk: &impl Disk, directory: &str, depth: usize, found: &mut Vec<String>) -> Result<()> {
    if depth >= DEPTH {
        return Ok(());
    }
    let mut below = Vec::new();
    disk.each_entry(directory, |entry| {
        if entry.directory && !entry.name.starts_with('.') && !matches!(entry.name.as_str(), "cur" | "new" | "tmp") {
            below.push(join(directory, &entry.name));
        }
        Ok(())
    })?;
    for path in below {
        if is_maildir(disk, &path)? {
            found.push(path.clone());
        }
        nested(disk, &path, depth + 1, found)?;
    }
    Ok(())
}

/// Nested where a directory without a dot is a folder and none with a dot is.
fn detect_layout(disk: &impl Disk) -> Result<Layout> {
    let mut dotted = false;
    disk.each_entry("", |entry| {
        dotted = dotted || (entry.directory && entry.name.starts_with('.') && is_maildir(disk, &entry.name)?);
        Ok(())
    })?;
    if dotted {
        return Ok(Layout::Plus);
    }
    let mut found = Vec::new();
    nested(disk, "", 0, &mut found)?;
    Ok(if found.is_empty() { Layout::Plus } else { Layout::Nested })
}
