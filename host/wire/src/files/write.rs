//! What changes a folder. Nothing lasts before [`Folder::sync`].

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use cap_std::fs::{Dir, File, OpenOptions};
use whimbrel_model::{Failure, Timestamp};

use super::failure::failed;
use super::unsynced::Unsynced;
use super::{Folder, Inner, Target, file_id, here, names, regular, system_time, timestamp, without_waiting};
use crate::blob::{Blob, BlobReader};

impl Folder {
    /// A new file with this content, readable and writable by its owner only. Where something is there already,
    /// `rejected`; with `replace` a file there is replaced in one step and keeps its access rights. Nothing is left
    /// of a write that failed. Lasting only after [`Folder::sync`].
    ///
    /// # Errors
    /// `unavailable` where the content cannot be read.
    pub async fn write(&self, path: &str, content: &Blob, replace: bool) -> Result<(), Failure> {
        let target = self.target(path)?;
        names::split(&target.at)?;
        self.make_room().await?;
        let mut reader = content.reader();
        let first = next(&mut reader, &target).await?;
        let whole = reader.position() >= content.size();
        let begun = self.run({
            let target = target.clone();
            move |inner| {
                let mut draft = Draft::begin(inner, &target, replace)?;
                draft.write(&first)?;
                if whole {
                    draft.finish().map(|()| None)
                } else {
                    Ok(Some(draft))
                }
            }
        });
        let Some(mut draft) = begun.await? else { return Ok(()) };
        while reader.position() < content.size() {
            let piece = next(&mut reader, &target).await?;
            draft = self.run(move |_| draft.write(&piece).map(|()| draft)).await?;
        }
        self.run(move |_| draft.finish()).await
    }

    /// The content at the end of the file, made where it is missing; gives the offset at which it begins. A failure
    /// leaves the file as it was. Lasting only after [`Folder::sync`]; a crash may leave a part.
    ///
    /// # Errors
    /// `rejected` where it is no regular file.
    pub async fn append(&self, path: &str, content: &Blob) -> Result<u64, Failure> {
        let target = self.target(path)?;
        self.make_room().await?;
        let mut reader = content.reader();
        let opened = target.clone();
        let mut tail = self.run(move |inner| Tail::open(inner, opened)).await?;
        while reader.position() < content.size() {
            let piece = next(&mut reader, &target).await?;
            tail = self.run(move |_| tail.write(&piece).map(|()| tail)).await?;
        }
        self.run(move |_| tail.finish()).await
    }

    /// Cuts the file to `bytes`. Lasting only after [`Folder::sync`].
    ///
    /// # Errors
    /// `rejected` where it is shorter.
    pub async fn truncate(&self, path: &str, bytes: u64) -> Result<(), Failure> {
        let target = self.target(path)?;
        self.make_room().await?;
        self.run(move |inner| {
            let shown = &target.shown;
            let file = inner.open_to_write(&target.at, shown, false)?;
            let there = file
                .metadata()
                .map_err(|error| failed("looking at", shown, &error))?
                .len();
            if there < bytes {
                return Err(Failure::Rejected(format!(
                    "{shown:?} has {there} bytes; it cannot be cut to {bytes}"
                )));
            }
            file.set_len(bytes).map_err(|error| failed("cutting", shown, &error))?;
            inner.keep_for_sync(file, shown)
        })
        .await
    }

    /// A directory, with its parents; no failure where it is there. Lasting only after [`Folder::sync`].
    ///
    /// # Errors
    /// `rejected` where a file is in the way.
    pub async fn create(&self, path: &str) -> Result<(), Failure> {
        let target = self.target(path)?;
        self.run(move |inner| {
            let mut made = PathBuf::new();
            for segment in target.at.components() {
                let parent = made.clone();
                made.push(segment);
                let failed = |error| failed("making the folder", &target.shown, &error);
                match make_directory(&inner.dir, &made) {
                    Ok(()) => inner.changed(&parent),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        if !inner.dir.metadata(&made).map_err(failed)?.is_dir() {
                            return Err(failed(error));
                        }
                    }
                    Err(error) => return Err(failed(error)),
                }
            }
            Ok(())
        })
        .await
    }

    /// Renames a file or directory; never replaces, not even something that appears at the same moment. Lasting only
    /// after [`Folder::sync`].
    ///
    /// # Errors
    /// `rejected` where something is at `to`.
    pub async fn rename(&self, path: &str, to: &str) -> Result<(), Failure> {
        let (from, to) = (self.target(path)?, self.target(to)?);
        names::split(&from.at)?;
        names::split(&to.at)?;
        self.run(move |inner| {
            let (from_parent, _) = names::split(&from.at)?;
            let (to_parent, _) = names::split(&to.at)?;
            rename_without_replacing(&inner.dir, &from.at, &to.at)
                .map_err(|error| failed(&format!("renaming {:?} to", from.shown), &to.shown, &error))?;
            inner.changed(from_parent);
            inner.changed(to_parent);
            let mut state = inner.state();
            state.listings.forget(&from.at);
            state.unsynced.renamed(&from.at, &to.at);
            Ok(())
        })
        .await
    }

    /// Sets the time at which a file or directory was last written. Lasting only after [`Folder::sync`].
    ///
    /// # Errors
    /// `rejected` for a time that the file system cannot hold; it bears the nearest that it can then.
    pub async fn set_modified(&self, path: &str, at: Timestamp) -> Result<(), Failure> {
        let target = self.target(path)?;
        self.make_room().await?;
        self.run(move |inner| {
            let shown = &target.shown;
            let cannot = || {
                Failure::Rejected(format!(
                    "the file system cannot hold {} ms as the time of {shown:?}",
                    at.unix_ms
                ))
            };
            let time = system_time(at).ok_or_else(cannot)?;
            let mut options = OpenOptions::new();
            options.read(true);
            let set = || -> io::Result<(File, i64)> {
                let file = inner
                    .dir
                    .open_with(here(&target.at), without_waiting(&mut options.clone()))?;
                let file = file.into_std();
                file.set_modified(time)?;
                let kept = file.metadata()?.modified()?;
                Ok((File::from_std(file), timestamp(kept).unix_ms))
            };
            let (file, kept) = set().map_err(|error| failed("setting the time of", shown, &error))?;
            inner.keep_for_sync(file, shown)?;
            // Some file systems count in steps of two seconds, and cut what is out of their range in silence.
            if kept.abs_diff(at.unix_ms) > 2_000 {
                Err(cannot())
            } else {
                Ok(())
            }
        })
        .await
    }

    /// Removes a file, a link or an empty directory. Lasting only after [`Folder::sync`].
    ///
    /// # Errors
    /// `rejected` for a directory that is not empty.
    pub async fn remove(&self, path: &str) -> Result<(), Failure> {
        let target = self.target(path)?;
        names::split(&target.at)?;
        self.run(move |inner| {
            let (parent, _) = names::split(&target.at)?;
            let remove = || -> io::Result<()> {
                if inner.dir.symlink_metadata(&target.at)?.is_dir() {
                    inner.dir.remove_dir(&target.at)
                } else {
                    inner.dir.remove_file(&target.at)
                }
            };
            remove().map_err(|error| failed("removing", &target.shown, &error))?;
            inner.changed(parent);
            let mut state = inner.state();
            state.listings.forget(&target.at);
            state.unsynced.removed(&target.at);
            Ok(())
        })
        .await
    }

    /// Makes all that was written through this handle and its clones since the last sync last: files, several at
    /// once, then the directories that name them.
    ///
    /// # Errors
    /// Where it fails, none of what was written since the last sync may be relied on, and it is forgotten: write it
    /// again.
    pub async fn sync(&self) -> Result<(), Failure> {
        let result = self.run(|inner| inner.sync(std::mem::take)).await;
        let lost = self.inner.state().lost.take();
        result.and(lost.map_or(Ok(()), Err))
    }

    /// Keeps the number of open files bounded.
    async fn make_room(&self) -> Result<(), Failure> {
        if !self.inner.state().unsynced.is_full() {
            return Ok(());
        }
        self.run(|inner| inner.sync(Unsynced::take_files)).await
    }

    fn target(&self, path: &str) -> Result<Target, Failure> {
        if !self.inner.write {
            let text = format!("{path:?} cannot be changed: the folder was granted for reading only");
            return Err(Failure::Forbidden(text));
        }
        Ok(Target {
            at: names::parse(path)?,
            shown: path.to_owned(),
        })
    }
}

impl Inner {
    /// Syncs what `take` takes. What went wrong is kept, too, in case nobody waits for the answer.
    fn sync(&self, take: impl FnOnce(&mut Unsynced) -> Unsynced) -> Result<(), Failure> {
        let _one_at_a_time = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = take(&mut self.state().unsynced);
        let result = taken.sync(|path| {
            let mut options = OpenOptions::new();
            Ok(self.dir.open_with(here(path), options.read(true))?.into_std())
        });
        result.map_err(|error| {
            let failure = failed("making what was written last in", "", &error);
            self.state().lost = Some(failure.clone());
            failure
        })
    }

    /// A name in `parent` came or went.
    fn changed(&self, parent: &Path) {
        let mut state = self.state();
        state.listings.forget(parent);
        state.unsynced.directory(parent);
    }

    fn keep_for_sync(&self, file: File, shown: &str) -> Result<(), Failure> {
        let metadata = file.metadata().map_err(|error| failed("looking at", shown, &error))?;
        self.state().unsynced.file(file_id(&metadata), file.into_std());
        Ok(())
    }

    fn open_to_write(&self, path: &Path, shown: &str, create: bool) -> Result<File, Failure> {
        let mut options = OpenOptions::new();
        // Appending, so that nothing that somebody else writes meanwhile is overwritten.
        options.append(true).create(create);
        let file = self.dir.open_with(here(path), without_waiting(private(&mut options)));
        let file = file.map_err(|error| failed("opening", shown, &error))?;
        let metadata = file.metadata().map_err(|error| failed("looking at", shown, &error))?;
        regular(&metadata, shown)?;
        Ok(file)
    }
}

async fn next(reader: &mut BlobReader, target: &Target) -> Result<Bytes, Failure> {
    match reader.next().await {
        Ok(piece) => Ok(piece.unwrap_or_default()),
        Err(error) => Err(Failure::Unavailable(format!(
            "reading what is to be written to {:?}: {error}",
            target.shown
        ))),
    }
}

/// A file that is being written, removed again unless it is finished.
struct Draft {
    inner: Arc<Inner>,
    target: Target,
    /// The same as the target's, or a name beside it where a file is to be replaced.
    at: PathBuf,
    file: Option<File>,
}

impl Draft {
    fn begin(inner: &Arc<Inner>, target: &Target, replace: bool) -> Result<Draft, Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        let open = || -> io::Result<(PathBuf, File)> {
            if !replace {
                return Ok((target.at.clone(), inner.dir.open_with(&target.at, &options)?));
            }
            loop {
                let at = target.at.with_file_name(draft_name());
                match inner.dir.open_with(&at, &options) {
                    // Left by a process that was killed, of the same number.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    made => return Ok((at, made?)),
                }
            }
        };
        let (at, file) = open().map_err(|error| failed("writing", &target.shown, &error))?;
        Ok(Draft {
            inner: Arc::clone(inner),
            target: target.clone(),
            at,
            file: Some(file),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes)
            .map_err(|error| failed("writing", &self.target.shown, &error))
    }

    fn finish(mut self) -> Result<(), Failure> {
        let shown = self.target.shown.clone();
        let failed = |error: io::Error| failed("writing", &shown, &error);
        if self.at != self.target.at
            && let Some(file) = &self.file
        {
            let dir = &self.inner.dir;
            if let Ok(old) = dir.metadata(&self.target.at) {
                file.set_permissions(old.permissions()).map_err(failed)?;
            }
            // A crash must find the old content or the new, so the new has to last before it takes the name.
            file.sync_all().map_err(failed)?;
            dir.rename(&self.at, dir, &self.target.at).map_err(failed)?;
        }
        let Some(file) = self.file.take() else { return Ok(()) };
        let (parent, _) = names::split(&self.target.at)?;
        self.inner.changed(parent);
        self.inner.keep_for_sync(file, &shown)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Whatever hinders this hindered the write before, and was reported there.
            let _ = self.inner.dir.remove_file(&self.at);
        }
    }
}

/// The end of a file that is being appended to, cut back unless it is finished.
struct Tail {
    inner: Arc<Inner>,
    target: Target,
    file: Option<File>,
    offset: u64,
    written: u64,
}

impl Tail {
    fn open(inner: &Arc<Inner>, target: Target) -> Result<Tail, Failure> {
        let (parent, _) = names::split(&target.at)?;
        let new = inner.dir.symlink_metadata(&target.at).is_err();
        let file = inner.open_to_write(&target.at, &target.shown, true)?;
        if new {
            inner.changed(parent);
        }
        let metadata = file
            .metadata()
            .map_err(|error| failed("looking at", &target.shown, &error))?;
        Ok(Tail {
            inner: Arc::clone(inner),
            offset: metadata.len(),
            target,
            file: Some(file),
            written: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.written += bytes.len() as u64;
        file.write_all(bytes)
            .map_err(|error| failed("appending to", &self.target.shown, &error))
    }

    fn finish(mut self) -> Result<u64, Failure> {
        if let Some(file) = self.file.take() {
            self.inner.keep_for_sync(file, &self.target.shown)?;
        }
        Ok(self.offset)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        // Not where somebody else appended meanwhile: what is theirs must stay.
        let ours = self.offset + self.written;
        if file.metadata().is_ok_and(|metadata| metadata.len() <= ours) {
            let _ = file.set_len(self.offset);
        }
    }
}

/// A name beside the file that is to be replaced.
fn draft_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!(
        ".whimbrel-{}-{}.tmp",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    )
}

fn rename_without_replacing(dir: &Dir, from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        use rustix::io::Errno;
        if let (Some(from_parent), Some(from_name), Some(to_parent), Some(to_name)) =
            (from.parent(), from.file_name(), to.parent(), to.file_name())
        {
            let from_dir = dir.open_dir(here(from_parent))?;
            let to_dir = dir.open_dir(here(to_parent))?;
            match renameat_with(&from_dir, from_name, &to_dir, to_name, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(()),
                // The file system (or kernel) does not know the flag.
                Err(Errno::NOSYS | Errno::INVAL | Errno::NOTSUP) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    rename_by_link(dir, from, to)
}

/// A rename that never replaces, of plain means: a link is refused where something is there.
fn rename_by_link(dir: &Dir, from: &Path, to: &Path) -> io::Result<()> {
    if !dir.symlink_metadata(from)?.is_dir() {
        dir.hard_link(from, dir, to)?;
        return dir.remove_file(from);
    }
    // Directories cannot be linked; the worst that a race can replace is an empty directory.
    match dir.symlink_metadata(to) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => dir.rename(from, dir, to),
        Err(error) => Err(error),
    }
}

/// Mail is nobody else's business.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    cap_std::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn make_directory(dir: &Dir, path: &Path) -> io::Result<()> {
    let mut builder = cap_std::fs::DirBuilder::new();
    cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
    dir.create_dir_with(path, &builder)
}

#[cfg(not(unix))]
fn make_directory(dir: &Dir, path: &Path) -> io::Result<()> {
    dir.create_dir(path)
}

#[cfg(all(test, unix))]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn neither_way_of_renaming_replaces() {
        for rename in [rename_without_replacing, rename_by_link] {
            let scratch = tempfile::tempdir().unwrap();
            let dir = Dir::open_ambient_dir(scratch.path(), ambient_authority()).unwrap();
            dir.write("a", "a").unwrap();
            dir.write("b", "b").unwrap();
            dir.create_dir("d").unwrap();
            dir.create_dir("e").unwrap();
            for (from, to) in [("a", "b"), ("a", "d"), ("d", "e"), ("d", "a"), ("a", "a")] {
                let error = rename(&dir, Path::new(from), Path::new(to)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{from} {to}");
            }
            assert_eq!(
                rename(&dir, Path::new("x"), Path::new("y")).unwrap_err().kind(),
                io::ErrorKind::NotFound
            );
            rename(&dir, Path::new("a"), Path::new("d/c")).unwrap();
            rename(&dir, Path::new("d"), Path::new("e/f")).unwrap();
            assert_eq!(dir.read("e/f/c").unwrap(), b"a");
            assert_eq!(dir.read("b").unwrap(), b"b");
            assert!(!dir.exists("a") && !dir.exists("d"));
        }
    }
}
