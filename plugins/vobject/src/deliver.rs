//! An account, written. A new object in a folder is a file of its own; a file of many is written anew, beside the old one,
//! and takes its place in one step: a kill leaves no half.

use whimbrel_folders::disk::join;
use whimbrel_folders::{Body, Disk};
use whimbrel_plugin::{Collection, Failure, Kind, Outcome, Placement, Result};

use crate::account::{Account, Place};
use crate::collection::{describe, is_plain};
use crate::content;
use crate::form::Form;
use crate::index::About;
use crate::many::{Added, Incoming, edited, empty_calendar, incoming, parts_of};
use crate::names;
use crate::settings::Layout;

/// Names that are tried where one is taken.
const TRIES: u32 = 100;

impl<D: Disk> Account<D> {
    /// See `destination.ensure`.
    ///
    /// # Errors
    /// `rejected` for a name that neither a directory nor a file can bear.
    pub fn ensure(&mut self, wanted: &Collection, layout: Layout) -> Result<Collection> {
        let there = self.collections()?;
        let same = |one: &&Collection| one.path == wanted.path && one.selectable;
        if let Some(found) = there.iter().find(same) {
            // An empty one is for what it is asked for.
            let mut found = found.clone();
            if self.form == Form::Calendar && wanted.kind == Kind::Task && self.is_empty(&found.id)? {
                found.kind = Kind::Task;
            }
            return Ok(found);
        }
        if self.only.is_some() {
            return Err(Failure::rejected(
                "`path` names a single file, which is one collection and no other: let it name a folder",
            ));
        }
        let Some((name, parents)) = wanted.path.split_last() else {
            return Err(Failure::rejected("the name of a collection cannot be empty"));
        };
        if name.chars().any(char::is_control) {
            return Err(Failure::rejected("the name of a collection holds control characters"));
        }
        let id = match layout {
            Layout::File if parents.is_empty() => self.make_file(name, wanted)?,
            Layout::File => {
                return Err(Failure::rejected(
                    "a collection that is a file lies in no other one: its path has one name",
                ));
            }
            Layout::Folders => self.make_folder(name, parents, wanted, &there)?,
        };
        let mut made = wanted.clone();
        made.id = id;
        made.role = None;
        made.subscribed = true;
        made.selectable = true;
        Ok(made)
    }

    fn is_empty(&mut self, id: &str) -> Result<bool> {
        Ok(match self.place(id)? {
            Place::File(path) => self.read(&path)?.index.is_empty(),
            Place::Folder(directory) => {
                let mut empty = true;
                self.disk.each_entry(&directory, |entry| {
                    empty &= Form::of_name(&entry.name) != Some(self.form);
                    Ok(())
                })?;
                empty
            }
        })
    }

    fn make_folder(&self, name: &str, parents: &[String], wanted: &Collection, there: &[Collection]) -> Result<String> {
        let above = match parents {
            [] => String::new(),
            parents => match there.iter().find(|one| one.path == parents) {
                Some(parent) if self.disk.is_directory(&parent.id)? => parent.id.clone(),
                _ => {
                    let mut directory = String::new();
                    for parent in parents {
                        directory = join(&directory, &names::file_name(parent, "")?);
                    }
                    directory
                }
            },
        };
        let plain = join(&above, &names::file_name(name, "")?);
        let mut found = None;
        for again in 1..=TRIES {
            let candidate = if again == 1 {
                plain.clone()
            } else {
                format!("{plain}-{again}")
            };
            let free = match there.iter().find(|one| one.id == candidate) {
                // It was there to hold others, and is a collection from now on.
                Some(known) => known.path == wanted.path,
                None => self.disk.stat(&candidate)?.is_none_or(|entry| entry.directory),
            };
            if free {
                found = Some(candidate);
                break;
            }
            // A directory of another name needs a file that says what it is called.
            if !is_plain(name) {
                break;
            }
        }
        let directory =
            found.ok_or_else(|| Failure::rejected("another collection lies where this one would have to be"))?;
        names::fits(&directory)?;
        self.disk.create(&directory)?;
        describe(&self.disk, &directory, name, wanted)?;
        self.disk.sync()?;
        Ok(directory)
    }

    fn make_file(&self, name: &str, wanted: &Collection) -> Result<String> {
        let stem = names::file_name(name, self.form.ending())?;
        let attribute = |name: &str| {
            let found = wanted.attributes.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        let about = About {
            name: Some(name.to_owned()),
            description: attribute("description"),
            colour: attribute("colour"),
            order: attribute("order"),
        };
        let content = match self.form {
            Form::Calendar => D::Body::from_bytes(&empty_calendar(&about)),
            Form::Card => D::Body::from_bytes(b""),
        };
        let mut file = stem;
        for again in 2..=TRIES {
            match self.disk.write(&file, &content, false) {
                Ok(()) => {
                    self.disk.sync()?;
                    return Ok(file);
                }
                // A calendar that is shown under another name; an address book has no name but that of its file.
                Err(Failure::Rejected(_)) if self.disk.stat(&file)?.is_some() && self.form == Form::Calendar => {
                    file = names::file_name(&format!("{name}-{again}"), self.form.ending())?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::rejected("the files that this collection could be are taken"))
    }

    /// See `destination.put`. One `sync` makes all last.
    ///
    /// # Errors
    /// `not-found` where the collection is gone; what writing failed with.
    pub fn put(&mut self, collection: &str, contents: &[&D::Body]) -> Result<Vec<Result<Placement>>> {
        let place = self.place(collection)?;
        let incoming: Vec<Result<Incoming<D::Body>>> =
            contents.iter().map(|&content| incoming(self.form, content)).collect();
        let answers = match &place {
            Place::Folder(directory) => incoming
                .into_iter()
                .map(|one| one.and_then(|one| self.deliver(directory, &one)))
                .collect(),
            Place::File(path) => self.add_to_file(path, &incoming)?,
        };
        self.disk.sync()?;
        Ok(answers)
    }

    /// Writes a file of its own: hidden first, so that no file under a final name is half written.
    fn deliver(&self, directory: &str, one: &Incoming<D::Body>) -> Result<Placement> {
        let hash = one.content.hash();
        let hidden: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let draft = join(directory, &format!(".whimbrel-{hidden}.part"));
        // One that a crash left is of no use.
        self.disk.remove_if_there(&draft)?;
        let done = self
            .disk
            .write(&draft, one.content, false)
            .and_then(|()| self.name(directory, &draft, &hash, one));
        if !matches!(&done, Ok(placement) if placement.outcome == Outcome::Created) {
            // The answer is what counts.
            let _ = self.disk.remove_if_there(&draft);
        }
        done
    }

    /// Renames the draft to the first free name; where the very same lies under one, it is left as it is.
    fn name(&self, directory: &str, draft: &str, hash: &[u8], one: &Incoming<D::Body>) -> Result<Placement> {
        let uid = one.uid.as_deref().and_then(|uid| std::str::from_utf8(uid).ok());
        for again in 0..TRIES {
            let name = format!("{}{}", names::stem(uid, hash, again), self.form.ending());
            let path = join(directory, &name);
            let placement = || {
                let id = format!("{name}/{}", one.key());
                Placement::created(Some(id)).revision(content::revision(&one.index, one.content, 0))
            };
            match self.disk.rename(draft, &path) {
                Ok(()) => return Ok(placement()),
                Err(Failure::Rejected(_)) if self.disk.stat(&path)?.is_some() => {
                    let there = self.disk.read(&path, 0, None)?;
                    if there.size() == one.content.size() && there.hash() == hash {
                        return Ok(placement().outcome(Outcome::MergedWithExisting));
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::rejected(
            "the names that the object's file could have are taken",
        ))
    }

    /// Adds objects to a file of many, all of them in one step.
    fn add_to_file(&mut self, path: &str, incoming: &[Result<Incoming<D::Body>>]) -> Result<Vec<Result<Placement>>> {
        let objects = self.read(path)?;
        let mut added = Added::new(objects);
        let answers = incoming
            .iter()
            .map(|one| match one {
                Ok(one) => added.add(one),
                Err(failure) => Err(failure.clone()),
            })
            .collect();
        if added.changed {
            let anew = added.written(&[])?;
            self.disk.write(path, &anew, true)?;
        }
        Ok(answers)
    }

    /// See `destination.replace`.
    ///
    /// # Errors
    /// `not-found` where the object is gone, `rejected` where it has another revision by now.
    pub fn replace(&mut self, collection: &str, id: &str, revision: Option<&str>, new: &D::Body) -> Result<Placement> {
        let place = self.place(collection)?;
        let (path, before, key) = self.locate(&place, id)?;
        let new = incoming(self.form, new)?;
        let objects = self.read(&path)?;
        let gone = || Failure::not_found("the object is not in its file any more");
        let at = objects.index.of_key(key).ok_or_else(gone)?;
        let placement = |new: &Incoming<D::Body>, revision: String| {
            let id = format!("{before}{}", new.key());
            Placement::created(Some(id))
                .revision(revision)
                .outcome(Outcome::Replaced)
        };
        let there = content::revision(&objects.index, &objects.body, at);
        if revision.is_some_and(|revision| !revision.is_empty() && revision != there) {
            // It may be what an earlier try left; else somebody changed it.
            let mut lines = objects.lines();
            let now = content::content(&objects.index, &objects.body, &mut lines, at)?;
            let same = objects
                .index
                .key(at, content::uid(&objects.index, &mut lines, at).as_deref())
                == new.key()
                && (now.hash() == new.content.hash() || there == parts_of(&new).1);
            if same {
                return Ok(placement(&new, there));
            }
            return Err(Failure::rejected(
                "the object was changed at the destination meanwhile: it is left as it is",
            ));
        }
        let alone = objects.index.len() == 1 && matches!(place, Place::Folder(_));
        let (anew, placed) = if alone {
            let revision = content::revision(&new.index, new.content, 0);
            (None, placement(&new, revision))
        } else {
            let cuts = objects.ranges(at);
            let mut added = Added::new(objects);
            added.leaves = Some(at);
            let placed = added.add(&new)?;
            let anew = added.written(&cuts)?;
            let revision = placed.revision.clone().unwrap_or_default();
            (
                Some(anew),
                Placement {
                    alterations: placed.alterations,
                    ..placement(&new, revision)
                },
            )
        };
        self.disk.write(&path, anew.as_ref().unwrap_or(new.content), true)?;
        self.disk.sync()?;
        Ok(placed)
    }

    /// See `destination.remove`. There is no trash; what is gone already is no failure.
    ///
    /// # Errors
    /// `not-found` where the collection is gone; what syncing failed with.
    pub fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        let place = self.place(collection)?;
        let answers = ids
            .iter()
            .map(|id| match self.remove_one(&place, id) {
                Err(Failure::NotFound(_)) => Ok(()),
                other => other,
            })
            .collect();
        self.disk.sync()?;
        Ok(answers)
    }

    fn remove_one(&mut self, place: &Place, id: &str) -> Result<()> {
        let (path, _, key) = self.locate(place, id)?;
        let objects = self.read(&path)?;
        let gone = || Failure::not_found("the object is not in its file any more");
        let at = objects.index.of_key(key).ok_or_else(gone)?;
        if objects.index.len() == 1 && matches!(place, Place::Folder(_)) {
            return self.disk.remove(&path);
        }
        let anew = edited(&objects.body, &objects.ranges(at), Vec::new());
        self.disk.write(&path, &anew, true)
    }
}
