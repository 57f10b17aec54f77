//! An account, written: every message a file, its flags by renaming.

use whimbrel_folders::disk::join;
use whimbrel_folders::keywords::Keywords;
use whimbrel_folders::{Body, Disk, letters, roles, sequence};
use whimbrel_plugin::{Collection, Failure, ItemMeta, Placement, Remark, Result, Role, Timestamp};

use crate::account::{Account, File, KEYWORDS, collection, id_of, is_bundle};
use crate::cursor::Cursor;
use crate::files::{self, Form};
use crate::folders;

/// In each folder: the sequence of the next delivery into it, in decimal digits.
const SEQUENCE: &str = ".whimbrel-sequence";
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
        let mut path = wanted.path.clone();
        if path.first().is_some_and(|first| first.eq_ignore_ascii_case("INBOX")) {
            match self.of_role(Role::Inbox)? {
                Some(inbox) if path.len() == 1 => return Ok(inbox),
                // The root: what lies below the inbox lies beside it.
                Some(inbox) if id_of("") == inbox.id => {
                    path.remove(0);
                }
                Some(inbox) => path[0] = inbox.path.into_iter().next().unwrap_or_default(),
                None => "INBOX".clone_into(&mut path[0]),
            }
        }
        let mut directory = folders::directory(&path)?;
        if let Some(role) = wanted.role
            && !self.disk.is_directory(&directory)?
        {
            if let Some(known) = self.of_role(role)? {
                return Ok(known);
            }
            if let Some(name) = roles::name_for(role).filter(|_| roles::role_of(&path) != Some(role)) {
                path = vec![name.to_owned()];
                directory = folders::directory(&path)?;
            }
        }
        self.disk.create(&directory)?;
        self.disk.sync()?;
        Ok(collection(&directory, path))
    }

    /// The directory of a folder that is written to.
    fn directory_to_write(&self, collection: &str) -> Result<String> {
        let directory = self.directory(collection)?;
        if is_bundle(&directory) {
            return Err(Failure::unsupported(format!(
                "`{collection}` is a mailbox of Apple Mail, which would not know of new files in it: name another folder"
            )));
        }
        Ok(directory)
    }

    fn of_role(&self, role: Role) -> Result<Option<Collection>> {
        let folders = self.collections()?;
        Ok(folders.into_iter().find(|folder| folder.role == Some(role)))
    }

    /// See `destination.watermark`.
    ///
    /// # Errors
    /// `not-found` where the folder is gone.
    pub fn watermark(&self, collection: &str) -> Result<String> {
        let directory = self.directory_to_write(collection)?;
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
        let mut next = 1;
        self.disk.each_entry(directory, |entry| {
            if let Some(own) = files::own(&entry.name) {
                next = next.max(own.sequence.saturating_add(1));
            }
            Ok(())
        })?;
        Ok(next)
    }

    fn reserve(&self, directory: &str, count: usize) -> Result<u64> {
        let first = self.sequence(directory)?;
        sequence::reserve(&self.disk, &join(directory, SEQUENCE), first, count)?;
        Ok(first)
    }

    /// See `destination.put`. One `sync` makes all last.
    ///
    /// # Errors
    /// `not-found` where the folder is gone; what syncing failed with.
    pub fn put(&mut self, collection: &str, items: &[(&ItemMeta, &D::Body)]) -> Result<Vec<Result<Placement>>> {
        let directory = self.directory_to_write(collection)?;
        let mut keywords = self.keywords(&directory)?;
        let chosen: Vec<(String, bool)> = items
            .iter()
            .map(|(meta, _)| letters::letters(&meta.flags, &mut keywords, ""))
            .collect();
        self.keep_keywords(&directory, &mut keywords)?;
        let first = self.reserve(&directory, items.len())?;
        let placements = items
            .iter()
            .zip(chosen)
            .zip(first..)
            .map(|(((meta, content), (letters, dropped)), sequence)| {
                let base = self.deliver(&directory, sequence, meta, content, &letters)?;
                Ok(placement(base, dropped))
            })
            .collect();
        self.disk.sync()?;
        Ok(placements)
    }

    fn keep_keywords(&self, directory: &str, keywords: &mut Keywords) -> Result<()> {
        if keywords.take_changed() {
            let content = D::Body::from_bytes(&keywords.render());
            self.disk.write(&join(directory, KEYWORDS), &content, true)?;
        }
        Ok(())
    }

    /// Writes a hidden file, dates it and gives it its name: no file under a final name is half written.
    fn deliver(
        &self,
        directory: &str,
        sequence: u64,
        meta: &ItemMeta,
        content: &D::Body,
        letters: &str,
    ) -> Result<String> {
        let draft = join(directory, &format!(".whimbrel-{sequence:08}.part"));
        if let Err(failure) = self.disk.write(&draft, content, false) {
            // One that a crash left, or what is left of this one: of no use.
            self.disk.remove_if_there(&draft)?;
            if !matches!(failure, Failure::Rejected(_)) {
                return Err(failure);
            }
            self.disk.write(&draft, content, false)?;
        }
        let named = self.date(&draft, meta.received).and_then(|()| {
            let seconds = meta.received.map(|at| at.unix_ms.div_euclid(1000));
            self.name(
                &draft,
                directory,
                seconds,
                sequence,
                sequence::short_hash(content),
                letters,
            )
        });
        if named.is_err() {
            // What is left of it is of no use; the failure is what counts.
            let _ = self.disk.remove_if_there(&draft);
        }
        named
    }

    fn date(&self, path: &str, received: Option<Timestamp>) -> Result<()> {
        match received.map(|at| self.disk.set_modified(path, at)) {
            // A time that the file system cannot hold: the name has it.
            Some(Err(Failure::Rejected(_))) | None => Ok(()),
            Some(done) => done,
        }
    }

    /// Renames a file to the first free name of its own; the base of that.
    fn name(
        &self,
        from: &str,
        directory: &str,
        received: Option<i64>,
        sequence: u64,
        hash: u64,
        letters: &str,
    ) -> Result<String> {
        for again in 0..TRIES {
            let base = files::base(received, sequence, hash, again);
            let path = join(directory, &files::with_letters(&base, letters));
            match self.disk.rename(from, &path) {
                Ok(()) => return Ok(base),
                Err(Failure::Rejected(_)) if self.disk.stat(&path)?.is_some() => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::rejected(format!(
            "no name was free in folder `{}`",
            id_of(directory)
        )))
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
    /// `not-found` where the message or a folder is gone; `unsupported` for a file of Apple Mail.
    pub fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        let placement = self.relocate_unsynced(origin, id, target)?;
        self.disk.sync()?;
        Ok(placement)
    }

    fn relocate_unsynced(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        let to = self.directory_to_write(target)?;
        let mut fetched = self.fetch(origin, &[id.to_owned()])?;
        let (meta, content) = fetched.pop().unwrap_or_else(|| Err(Failure::internal("no answer")))?;
        let from = self.directory(origin)?;
        let mut keywords = self.keywords(&to)?;
        let (letters, dropped) = letters::letters(&meta.flags, &mut keywords, "");
        self.keep_keywords(&to, &mut keywords)?;
        let sequence = self.reserve(&to, 1)?;
        let hash = sequence::short_hash(&content);
        let seconds = meta.received.map(|at| at.unix_ms.div_euclid(1000));
        let base = self.with_file(&from, id, |account, file| {
            writable(file)?;
            if !file.own {
                account.date(&file.path, meta.received)?;
            }
            account.name(&file.path, &to, seconds, sequence, hash, &letters)
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
            letters::letters(&remark.flags, &mut keywords, "");
        }
        self.keep_keywords(&directory, &mut keywords)?;
        let answers = remarks
            .iter()
            .map(|remark| {
                self.with_file(&directory, &remark.id, |account, file| {
                    writable(file)?;
                    let Some(own) = file.parts() else {
                        return Err(Failure::unsupported(
                            "another program wrote this file, and its name has no room for flags",
                        ));
                    };
                    let (letters, _) = letters::letters(&remark.flags, &mut keywords, own.letters);
                    if letters == own.letters {
                        return Ok(());
                    }
                    let to = join(&directory, &files::with_letters(own.base, &letters));
                    account.disk.rename(&file.path, &to)
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
        let trash = match self.of_role(Role::Trash)? {
            Some(trash) => trash,
            None => {
                let path = roles::name_for(Role::Trash).unwrap_or("Trash");
                self.ensure(&Collection::new("", [path]).role(Some(Role::Trash)))?
            }
        };
        let answers = ids
            .iter()
            .map(|id| {
                let removed = if trash.id == collection {
                    self.with_file(&directory, id, |account, file| {
                        writable(file)?;
                        account.disk.remove(&file.path)
                    })
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

/// Files of Apple Mail are only read: its own index knows them.
fn writable(file: &File) -> Result<()> {
    match file.form {
        Form::Eml => Ok(()),
        Form::Emlx | Form::Partial => Err(Failure::unsupported(
            "this file belongs to Apple Mail, which would not know of the change",
        )),
    }
}

fn placement(base: String, dropped: bool) -> Placement {
    let placement = Placement::created(Some(base));
    if dropped {
        placement.altered("keyword-dropped")
    } else {
        placement
    }
}
