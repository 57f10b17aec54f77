//! An account, written: delivery by way of `tmp`, flags by renaming.

use whimbrel_folders::disk::{READ_BYTES, join};
use whimbrel_folders::{Body, Disk, roles, sequence};
use whimbrel_plugin::{Collection, Failure, ItemMeta, Outcome, Placement, Remark, Result, Role};

use crate::account::{Account, id_of};
use crate::cursor::Cursor;
use crate::layout::Layout;
use crate::names::{self, Unique};
use crate::window::Window;
use whimbrel_folders::keywords::Keywords;

/// Holds the sequence of the next delivery into a folder, in decimal digits.
const SEQUENCE: &str = "whimbrel-sequence";
/// Bodies up to which the size with CRLF line ends is counted for the name. Dovecot counts larger ones itself.
const COUNTED_BYTES: u64 = 8 << 20;
/// Names that are tried where one is taken.
const TRIES: u32 = 100;

impl<D: Disk> Account<D> {
    /// See `destination.ensure`. A role is kept by a name that tells it: that of the folder at the wanted path, where
    /// there is one; else that of another folder that is there; else the wanted one or, where that tells nothing, the
    /// usual one.
    ///
    /// # Errors
    /// `rejected` for a name that no directory can bear.
    pub fn ensure(&mut self, wanted: &Collection) -> Result<Collection> {
        let mut directory = self.names.directory(&wanted.path)?;
        if let Some(role) = wanted.role
            && !self.is_there(&directory)?
        {
            let known = self
                .collections()?
                .into_iter()
                .find(|folder| folder.selectable && folder.role == Some(role));
            if let Some(known) = known {
                directory = self.directory(&known.id)?;
            } else if let Some(name) = roles::name_for(role).filter(|_| roles::role_of(&wanted.path) != Some(role)) {
                directory = self.names.directory(&[name.to_owned()])?;
            }
        }
        if wanted.selectable {
            self.make(&directory)?;
        } else if self.names.layout == Layout::Nested {
            self.disk.create(&directory)?;
        }
        self.subscribe(&directory, wanted.subscribed)?;
        self.disk.sync()?;
        let path = self.names.path(&directory);
        let role = roles::role_of(&path).filter(|_| wanted.selectable);
        Ok(Collection::new(id_of(&directory), path)
            .role(role)
            .selectable(wanted.selectable || self.is_there(&directory)?)
            .subscribed(wanted.subscribed))
    }

    fn is_there(&self, directory: &str) -> Result<bool> {
        self.disk.is_directory(&join(directory, "cur"))
    }

    /// Makes a folder, `cur` last: a folder without it is none.
    fn make(&self, directory: &str) -> Result<()> {
        for part in ["tmp", "new", "cur"] {
            self.disk.create(&join(directory, part))?;
        }
        if self.names.layout == Layout::Plus && !directory.is_empty() {
            let marker = join(directory, "maildirfolder");
            if self.disk.stat(&marker)?.is_none() {
                self.disk.write(&marker, &D::Body::from_bytes(b""), true)?;
            }
        }
        Ok(())
    }

    /// Where there is no file yet, an empty one says that subscriptions are kept here.
    fn subscribe(&self, directory: &str, wanted: bool) -> Result<()> {
        let known = self.subscriptions()?;
        let new = known.is_none();
        let mut subscriptions = known.unwrap_or_default();
        if (wanted && subscriptions.add(self.names, directory)) || new {
            self.disk
                .write("subscriptions", &D::Body::from_bytes(&subscriptions.render()), true)?;
        }
        Ok(())
    }

    /// See `destination.watermark`.
    ///
    /// # Errors
    /// `not-found` where the folder is gone.
    pub fn watermark(&self, collection: &str) -> Result<String> {
        let directory = self.directory(collection)?;
        Ok(Cursor::Since {
            sequence: self.sequence(&directory)?,
            after: String::new(),
        }
        .to_string())
    }

    /// The sequence that the next delivery gets: as the sequence file says, or one more than the highest in use.
    fn sequence(&self, directory: &str) -> Result<u64> {
        if let Some(number) = sequence::next(&self.disk, &join(directory, SEQUENCE))? {
            return Ok(number);
        }
        let (mut next, mut after) = (1, String::new());
        loop {
            let window = Window::by_name(&self.disk, directory, &after)?;
            for file in (0..window.len()).filter_map(|at| window.get(at)) {
                next = next.max(names::sequence(&file.name).map_or(1, |sequence| sequence.saturating_add(1)));
            }
            if window.last {
                return Ok(next);
            }
            after = window.bound;
        }
    }

    /// Takes `count` sequences.
    fn reserve(&self, directory: &str, count: usize) -> Result<u64> {
        let first = self.sequence(directory)?;
        sequence::reserve(&self.disk, &join(directory, SEQUENCE), first, count)?;
        Ok(first)
    }

    /// See `destination.put`. Every message goes to `cur`, so that none counts as recent; one `sync` makes all last.
    ///
    /// # Errors
    /// `not-found` where the folder is gone; what syncing failed with.
    pub fn put(&mut self, collection: &str, items: &[(&ItemMeta, &D::Body)]) -> Result<Vec<Result<Placement>>> {
        let directory = self.directory(collection)?;
        let mut keywords = self.keywords(&directory)?;
        let infos: Vec<(String, bool)> = items
            .iter()
            .map(|(meta, _)| names::info(&meta.flags, &mut keywords, ""))
            .collect();
        self.keep_keywords(&directory, &mut keywords)?;
        let first = self.reserve(&directory, items.len())?;
        let placements = items
            .iter()
            .zip(infos)
            .zip(first..)
            .map(|(((meta, content), (info, dropped)), sequence)| {
                let base = self.deliver(&directory, sequence, meta, content, &info)?;
                Ok(placement(base, dropped))
            })
            .collect();
        self.disk.sync()?;
        Ok(placements)
    }

    fn keep_keywords(&self, directory: &str, keywords: &mut Keywords) -> Result<()> {
        if keywords.take_changed() {
            self.disk.write(
                &join(directory, "dovecot-keywords"),
                &D::Body::from_bytes(&keywords.render()),
                true,
            )?;
        }
        Ok(())
    }

    fn deliver(
        &self,
        directory: &str,
        sequence: u64,
        meta: &ItemMeta,
        content: &D::Body,
        info: &str,
    ) -> Result<String> {
        let mut unique = unique_for(sequence, meta.received.map(|at| at.unix_ms), content);
        for again in 0..TRIES {
            unique.again = again;
            let tmp = join(directory, &format!("tmp/{}", unique.name()));
            match self.disk.write(&tmp, content, false) {
                Ok(()) => {}
                Err(Failure::Rejected(_)) if self.disk.stat(&tmp)?.is_some() => continue,
                Err(failure) => {
                    // What is left of it is of no use; the failure is what counts.
                    let _ = self.disk.remove_if_there(&tmp);
                    return Err(failure);
                }
            }
            match self.finish(directory, &tmp, meta, unique.clone(), info) {
                Ok(Some(base)) => return Ok(base),
                Ok(None) => {
                    self.disk.remove_if_there(&tmp)?;
                }
                Err(failure) => {
                    let _ = self.disk.remove_if_there(&tmp);
                    return Err(failure);
                }
            }
        }
        Err(Failure::rejected(format!(
            "no name was free in folder `{}`",
            id_of(directory)
        )))
    }

    /// Dates the file in `tmp` and moves it to `cur`; none where the name is taken there.
    fn finish(
        &self,
        directory: &str,
        tmp: &str,
        meta: &ItemMeta,
        mut unique: Unique,
        info: &str,
    ) -> Result<Option<String>> {
        match meta.received {
            Some(at) => self.disk.set_modified(tmp, at)?,
            // Nobody knows when: now, which the file system tells.
            None => {
                let now = self.disk.stat(tmp)?.map_or(0, |entry| entry.modified.unix_ms);
                unique.seconds = seconds(now);
            }
        }
        let base = unique.name();
        let path = join(directory, &format!("cur/{base}:{info}"));
        match self.disk.rename(tmp, &path) {
            Ok(()) => Ok(Some(base)),
            Err(Failure::Rejected(_)) if self.disk.stat(&path)?.is_some() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// See `destination.copy`.
    ///
    /// # Errors
    /// `not-found` where the message or a folder is gone.
    pub fn copy(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        let mut fetched = self.fetch(origin, &[id.to_owned()])?;
        let (meta, content) = fetched.pop().unwrap_or_else(|| Err(Failure::internal("no answer")))?;
        let mut placed = self.put(target, &[(&meta, &content)])?;
        placed.pop().unwrap_or_else(|| Err(Failure::internal("no answer")))
    }

    /// See `destination.relocate`.
    ///
    /// # Errors
    /// `not-found` where the message or a folder is gone.
    pub fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        let placement = self.relocate_unsynced(origin, id, target)?;
        self.disk.sync()?;
        Ok(placement)
    }

    fn relocate_unsynced(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        let (from, to) = (self.directory(origin)?, self.directory(target)?);
        let theirs = self.keywords(&from)?;
        let mut ours = self.keywords(&to)?;
        let (flags, mut unique) = self.with_file(&from, id, |disk, file| {
            let content = disk.read(&file.path(&from), 0, None)?;
            let flags = names::flags(names::split(&file.name).1, &theirs);
            Ok((flags, unique_for(0, Some(file.modified), &content)))
        })?;
        let (info, dropped) = names::info(&flags, &mut ours, "");
        self.keep_keywords(&to, &mut ours)?;
        unique.sequence = self.reserve(&to, 1)?;
        let base = self.with_file(&from, id, |disk, file| {
            for again in 0..TRIES {
                unique.again = again;
                let path = join(&to, &format!("cur/{}:{info}", unique.name()));
                match disk.rename(&file.path(&from), &path) {
                    Ok(()) => return Ok(unique.name()),
                    Err(Failure::Rejected(_)) if disk.stat(&path)?.is_some() => {}
                    Err(failure) => return Err(failure),
                }
            }
            Err(Failure::rejected(format!("no name was free in folder `{target}`")))
        })?;
        Ok(placement(base, dropped))
    }

    /// See `destination.mark`. Keywords for which there is no letter left are dropped.
    ///
    /// # Errors
    /// `not-found` where the folder is gone; what syncing failed with.
    pub fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<()>>> {
        let directory = self.directory(collection)?;
        let mut keywords = self.keywords(&directory)?;
        // Letters first, so that no file bears one that means nothing.
        for remark in remarks {
            names::info(&remark.flags, &mut keywords, "");
        }
        self.keep_keywords(&directory, &mut keywords)?;
        let answers = remarks
            .iter()
            .map(|remark| {
                self.with_file(&directory, &remark.id, |disk, file| {
                    let (base, now) = names::split(&file.name);
                    let (info, _) = names::info(&remark.flags, &mut keywords, now);
                    let to = join(&directory, &format!("cur/{base}:{info}"));
                    let from = file.path(&directory);
                    if from == to || (file.fresh && info == "2,") {
                        Ok(())
                    } else {
                        disk.rename(&from, &to)
                    }
                })
            })
            .collect();
        self.disk.sync()?;
        Ok(answers)
    }

    /// See `destination.remove`: into the trash, and from the trash for good. A message that is gone is no failure.
    ///
    /// # Errors
    /// `not-found` where the folder is gone; what syncing failed with.
    pub fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        let directory = self.directory(collection)?;
        let trash = self
            .collections()?
            .into_iter()
            .find(|folder| folder.selectable && folder.role == Some(Role::Trash));
        let trash = match trash {
            Some(trash) => trash,
            None => {
                let path = roles::name_for(Role::Trash).unwrap_or("Trash");
                self.ensure(&Collection::new("", [path]).role(Some(Role::Trash)).subscribed(true))?
            }
        };
        let answers = ids
            .iter()
            .map(|id| {
                let removed = if trash.id == collection {
                    self.with_file(&directory, id, |disk, file| disk.remove(&file.path(&directory)))
                } else {
                    self.relocate_unsynced(collection, id, &trash.id).map(|_| ())
                };
                match removed {
                    Err(Failure::NotFound(_)) => Ok(()),
                    other => other,
                }
            })
            .collect();
        self.disk.sync()?;
        Ok(answers)
    }
}

fn placement(base: String, dropped: bool) -> Placement {
    let placement = Placement::created(Some(base)).outcome(Outcome::Created);
    if dropped {
        placement.altered("keyword-dropped")
    } else {
        placement
    }
}

fn seconds(unix_ms: i64) -> u64 {
    u64::try_from(unix_ms.div_euclid(1000)).unwrap_or(0)
}

fn unique_for(sequence: u64, received_ms: Option<i64>, content: &impl Body) -> Unique {
    let hash = sequence::short_hash(content);
    let size = content.size();
    let virtual_size = (size <= COUNTED_BYTES).then(|| size + bare_line_feeds(content));
    Unique {
        seconds: received_ms.map_or(0, seconds),
        sequence,
        hash,
        again: 0,
        size,
        virtual_size,
    }
}

/// Line feeds without a carriage return before them.
fn bare_line_feeds(content: &impl Body) -> u64 {
    let mut count: u64 = 0;
    let mut before = 0;
    content.pieces(|piece| {
        debug_assert!(piece.len() <= READ_BYTES as usize);
        for &byte in piece {
            count += u64::from(byte == b'\n' && before != b'\r');
            before = byte;
        }
    });
    count
}
