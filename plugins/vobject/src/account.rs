//! An account: a folder of files and of folders of files, read.
//!
//! A file that lies in the account's own folder is a collection. A folder in it is one as well, and the objects of all
//! files right in it are its items.

use whimbrel_folders::disk::{ENTRIES, is_path, join};
use whimbrel_folders::hash::Fnv;
use whimbrel_folders::{Disk, Fetched};
use whimbrel_plugin::files::Entry;
use whimbrel_plugin::{Change, Collection, Failure, ItemMeta, Kind, Page, Pager, Result};

use crate::collection::{of_folder, with_attributes};
use crate::cursor::{Cursor, Inside, Position};
use crate::file::Objects;
use crate::form::Form;
use crate::index::{About, Holds};
use crate::names;

/// Folders within folders are followed so far.
const DEPTH: usize = 64;
/// Bytes of files that one page reads through, but for the last one.
const PAGE_BYTES: u64 = 64 << 20;
/// Within a file that cannot be read, what stands for all of it.
const UNREADABLE: &str = "#unreadable";

/// Files of objects.
#[derive(Debug)]
pub struct Account<D: Disk> {
    /// The folder that holds them.
    pub disk: D,
    /// What they are.
    pub form: Form,
    /// The one file that counts; none for all.
    pub only: Option<String>,
    /// The file that was looked at last.
    held: Option<Held<D::Body>>,
}

#[derive(Debug)]
struct Held<B> {
    path: String,
    mark: u64,
    objects: Objects<B>,
}

/// Where the objects of a collection lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this file.
    File(String),
    /// In the files of this folder.
    Folder(String),
}

/// A collection as it lies on the disk.
struct Found {
    place: String,
    path: Vec<String>,
    selectable: bool,
    about: About,
    holds: Holds,
}

impl<D: Disk> Account<D> {
    /// The account in this folder.
    pub fn new(disk: D, form: Form, only: Option<String>) -> Self {
        Self {
            disk,
            form,
            only,
            held: None,
        }
    }

    /// See `source.collections`.
    ///
    /// # Errors
    /// What the folder failed with.
    pub fn collections(&mut self) -> Result<Vec<Collection>> {
        let mut found = Vec::new();
        match self.only.clone() {
            Some(only) => found.extend(self.file_collection("", &only, &mut Vec::new())?),
            None => {
                let mut taken = Vec::new();
                for name in self.names("", true)? {
                    self.folder_collection(&name, &[], &name, &mut taken, 0, &mut found)?;
                }
                for name in self.names("", false)? {
                    found.extend(self.file_collection("", &name, &mut taken)?);
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let form = self.form;
        Ok(found
            .into_iter()
            .map(|one| {
                let kind = if one.holds.tasks_only() {
                    Kind::Task
                } else {
                    form.kind()
                };
                let collection = Collection::new(one.place, one.path)
                    .kind(kind)
                    .selectable(one.selectable)
                    .subscribed(true);
                with_attributes(collection, form, &one.about, one.holds)
            })
            .collect())
    }

    /// Names in a folder: of folders, or of files of objects. Hidden ones are left out.
    fn names(&self, directory: &str, folders: bool) -> Result<Vec<String>> {
        let mut names = Vec::new();
        self.disk.each_entry(directory, |entry| {
            let hidden = entry.name.starts_with('.');
            if !hidden && entry.directory == folders && (folders || Form::of_name(&entry.name) == Some(self.form)) {
                names.push(entry.name);
            }
            Ok(())
        })?;
        Ok(names)
    }

    fn file_collection(&mut self, directory: &str, name: &str, taken: &mut Vec<String>) -> Result<Option<Found>> {
        let place = join(directory, name);
        let (about, holds) = match self.read(&place) {
            Ok(objects) => (objects.index.about.clone(), objects.index.holds),
            Err(Failure::NotFound(_)) => return Ok(None),
            Err(failure @ Failure::Unavailable(_)) => return Err(failure),
            // It is there, and reading it says what is the matter.
            Err(_) => (About::default(), Holds::default()),
        };
        let said = about.name.clone().filter(|name| !name.chars().any(char::is_control));
        let said = said.filter(|name| !taken.contains(name));
        let segment = said.unwrap_or_else(|| names::stem_of(self.form, name));
        Ok(Some(Found {
            place,
            path: vec![untaken(segment, name, taken)],
            selectable: true,
            about,
            holds,
        }))
    }

    fn folder_collection(
        &mut self,
        directory: &str,
        parents: &[String],
        name: &str,
        taken: &mut Vec<String>,
        depth: usize,
        found: &mut Vec<Found>,
    ) -> Result<()> {
        if depth >= DEPTH {
            return Ok(());
        }
        let about = of_folder(&self.disk, directory)?;
        let said = about.name.clone().filter(|name| !taken.contains(name));
        let segment = said.unwrap_or_else(|| names::shown(name));
        let mut path = parents.to_vec();
        path.push(untaken(segment, name, taken));
        let mut below = Vec::new();
        let folders = self.names(directory, true)?;
        for child in &folders {
            self.folder_collection(&join(directory, child), &path, child, &mut below, depth + 1, found)?;
        }
        let files = self.names(directory, false)?;
        let holds = self.holds(directory, &files)?;
        found.push(Found {
            place: directory.to_owned(),
            path,
            // One that holds nothing but folders, and says nothing of itself, is only there to hold them.
            selectable: !files.is_empty() || folders.is_empty() || about != About::default(),
            about,
            holds,
        });
        Ok(())
    }

    /// What the files of a folder hold, as far as it matters: up to the first event.
    fn holds(&mut self, directory: &str, files: &[String]) -> Result<Holds> {
        let mut holds = Holds::default();
        if self.form == Form::Card {
            return Ok(holds);
        }
        for file in files {
            match self.read(&join(directory, file)) {
                Ok(objects) => holds = holds.with(objects.index.holds),
                Err(failure @ Failure::Unavailable(_)) => return Err(failure),
                Err(_) => {}
            }
            if holds.events {
                break;
            }
        }
        Ok(holds)
    }

    /// Where the collection with this id lies.
    ///
    /// # Errors
    /// `not-found` where there is none.
    pub fn place(&self, id: &str) -> Result<Place> {
        let gone = || Failure::not_found(format!("there is no {} `{id}` in this account", self.form.noun()));
        let shown = is_path(id) && id.split('/').all(|segment| !segment.starts_with('.'));
        if !shown || self.only.as_ref().is_some_and(|only| only != id) {
            return Err(gone());
        }
        let entry = self.disk.stat(id)?.ok_or_else(gone)?;
        let is_file = !id.contains('/') && Form::of_name(id) == Some(self.form);
        match (entry.directory, is_file || self.only.is_some()) {
            (true, _) => Ok(Place::Folder(id.to_owned())),
            (false, true) => Ok(Place::File(id.to_owned())),
            (false, false) => Err(gone()),
        }
    }

    /// The file with its index, as it is now.
    ///
    /// # Errors
    /// `not-found` where it is gone; what reading it failed with.
    pub fn read(&mut self, path: &str) -> Result<&Objects<D::Body>> {
        let gone = || Failure::not_found(format!("the file `{path}` is gone"));
        let entry = self
            .disk
            .stat(path)?
            .filter(|entry| !entry.directory)
            .ok_or_else(gone)?;
        let mark = mark(&entry);
        let held = self.held.take().filter(|held| held.path == path && held.mark == mark);
        let held = match held {
            Some(held) => held,
            None => Held {
                path: path.to_owned(),
                mark,
                objects: Objects::read(
                    self.form,
                    self.disk.read(path, 0, Some(entry.bytes))?,
                    !path.contains('/'),
                )?,
            },
        };
        Ok(&self.held.insert(held).objects)
    }

    /// The path of a file in a collection, and what stands before the names of items within it.
    pub fn file_in(place: &Place, name: &str) -> (String, String) {
        match place {
            Place::File(path) => (path.clone(), String::new()),
            Place::Folder(directory) => (join(directory, name), format!("{name}/")),
        }
    }

    /// Where the item with this id lies: the file, what stands before its name, and its name within the file.
    ///
    /// # Errors
    /// `not-found` where it is none of this collection.
    pub fn locate<'i>(&self, place: &Place, id: &'i str) -> Result<(String, String, &'i str)> {
        match place {
            Place::File(path) => Ok((path.clone(), String::new(), id)),
            Place::Folder(_) => match id.split_once('/') {
                Some((name, key)) if Form::of_name(name) == Some(self.form) && is_path(name) => {
                    let (path, before) = Self::file_in(place, name);
                    Ok((path, before, key))
                }
                _ => Err(Failure::not_found("no object has this id")),
            },
        }
    }

    /// What a collection looks like: the same as long as nothing changed in it.
    fn print(&self, place: &Place) -> Result<u64> {
        let mut print = Fnv::default();
        let mut add = |entry: &Entry| {
            print.update(entry.name.as_bytes());
            print.update(&mark(entry).to_be_bytes());
        };
        match place {
            Place::File(path) => self.disk.stat(path)?.iter().for_each(add),
            Place::Folder(directory) => self.disk.each_entry(directory, |entry| {
                if self.counts(&entry) {
                    add(&entry);
                }
                Ok(())
            })?,
        }
        Ok(print.finish())
    }

    fn counts(&self, entry: &Entry) -> bool {
        !entry.directory && Form::of_name(&entry.name) == Some(self.form)
    }

    /// See `source.changes`. A cursor of another version begins a listing of everything: ids stay valid.
    ///
    /// # Errors
    /// `not-found` where the collection is gone.
    pub fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let place = self.place(collection)?;
        let now = |account: &Self| account.print(&place);
        match cursor.and_then(Cursor::parse) {
            Some(Cursor::Listing(at)) => self.list(&place, at, limit),
            Some(Cursor::Idle(print)) if print == now(self)? => {
                Ok(Page::new(Vec::new(), Cursor::Idle(print).to_string()))
            }
            Some(Cursor::Idle(_)) | None => {
                let begun = now(self)?;
                let at = Position {
                    begun,
                    ..Position::default()
                };
                self.list(&place, at, limit)
            }
        }
    }

    /// A cursor from which on everything is listed: what is known already is told apart by its id.
    ///
    /// # Errors
    /// `not-found` where the collection is gone.
    pub fn watermark(&self, collection: &str) -> Result<String> {
        self.place(collection)?;
        Ok(Cursor::Idle(0).to_string())
    }

    /// What follows `at`, file by file in the order of names. What the collection looked like at the beginning stands in
    /// the last cursor: what changes meanwhile makes the next listing one of everything again.
    fn list(&mut self, place: &Place, mut at: Position, limit: u32) -> Result<Page> {
        let mut pager = Pager::new(limit);
        let mut read = 0;
        if at.inside.is_some() {
            let (path, _) = Self::file_in(place, &at.file);
            match self.disk.stat(&path)? {
                Some(entry) => {
                    let named = Entry {
                        name: at.file.clone(),
                        ..entry
                    };
                    read += self.list_file(place, &named, &mut at, &mut pager)?;
                }
                None => at.inside = None,
            }
        }
        while at.inside.is_none() {
            if pager.is_full() || read > PAGE_BYTES {
                return Ok(pager.page(Cursor::Listing(at).to_string(), true).complete(true));
            }
            let entries = self.entries(place, &at.file)?;
            if entries.is_empty() {
                return Ok(pager.page(Cursor::Idle(at.begun).to_string(), false).complete(true));
            }
            for entry in entries {
                if pager.is_full() || read > PAGE_BYTES || at.inside.is_some() {
                    break;
                }
                at.file.clone_from(&entry.name);
                if self.counts(&entry) || matches!(place, Place::File(_)) {
                    read += self.list_file(place, &entry, &mut at, &mut pager)?;
                }
            }
        }
        Ok(pager.page(Cursor::Listing(at).to_string(), true).complete(true))
    }

    /// The files behind that of this name.
    fn entries(&self, place: &Place, after: &str) -> Result<Vec<Entry>> {
        match place {
            Place::File(path) if after.is_empty() => Ok(self.disk.stat(path)?.into_iter().collect()),
            Place::File(_) => Ok(Vec::new()),
            Place::Folder(directory) => {
                match self
                    .disk
                    .entries(directory, (!after.is_empty()).then_some(after), ENTRIES)
                {
                    Err(Failure::NotFound(_)) => Ok(Vec::new()),
                    other => other,
                }
            }
        }
    }

    /// Lists a file from where `at` stands in it; gives how many bytes were read.
    fn list_file(&mut self, place: &Place, entry: &Entry, at: &mut Position, pager: &mut Pager) -> Result<u64> {
        let (path, before) = Self::file_in(place, &entry.name);
        let mark = mark(entry);
        // One that changed is told from its beginning again.
        let from = at
            .inside
            .take()
            .filter(|inside| inside.mark == mark)
            .map_or(0, |inside| inside.at);
        let objects = match self.read(&path) {
            Ok(objects) => objects,
            Err(Failure::NotFound(_)) => return Ok(0),
            Err(failure @ Failure::Unavailable(_)) => return Err(failure),
            // What cannot be read is listed all the same: fetching it says why.
            Err(failure) if matches!(place, Place::File(_)) => return Err(failure),
            Err(_) => {
                pager.push(Change::Upserted(ItemMeta::new(format!("{before}{UNREADABLE}"))));
                return Ok(0);
            }
        };
        let mut lines = objects.lines();
        for number in from..objects.index.len() {
            if pager.is_full() {
                at.inside = Some(Inside { at: number, mark });
                break;
            }
            pager.push(Change::Upserted(objects.meta(&mut lines, &before, number)));
        }
        Ok(if from == 0 { entry.bytes } else { 0 })
    }

    /// See `source.fetch`: what is known of each item, and its content.
    ///
    /// # Errors
    /// `not-found` where the collection is gone.
    pub fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Fetched<D::Body>>> {
        let place = self.place(collection)?;
        let located: Vec<_> = ids.iter().map(|id| self.locate(&place, id)).collect();
        let path = |one: &Result<(String, String, &str)>| one.as_ref().ok().map(|(path, ..)| path.clone());
        let mut answers = Vec::with_capacity(ids.len());
        // What lies in one file is read in one go.
        for run in located.chunk_by(|a, b| path(a) == path(b)) {
            let file = run.first().and_then(path);
            let objects = match file.map(|file| self.read(&file)).transpose() {
                Ok(objects) => objects,
                Err(failure) => {
                    answers.extend(run.iter().map(|_| Err(failure.clone())));
                    continue;
                }
            };
            let mut lines = objects.map(Objects::lines);
            answers.extend(run.iter().map(|one| match (one, objects, &mut lines) {
                (Ok((_, before, key)), Some(objects), Some(lines)) => objects.fetch(lines, before, key),
                (Err(failure), ..) => Err(failure.clone()),
                _ => Err(Failure::not_found("no object has this id")),
            }));
        }
        Ok(answers)
    }
}

/// The name, or another one where it is taken: `Work` and `Work.ics` are two collections.
fn untaken(mut segment: String, name: &str, taken: &mut Vec<String>) -> String {
    if taken.contains(&segment) {
        name.clone_into(&mut segment);
    }
    while taken.contains(&segment) {
        segment.push('_');
    }
    taken.push(segment.clone());
    segment
}

/// What a file looks like from outside.
fn mark(entry: &Entry) -> u64 {
    let mut mark = Fnv::default();
    mark.update(&entry.bytes.to_be_bytes());
    mark.update(&entry.modified.unix_ms.to_be_bytes());
    mark.finish()
}
