//! Folders that the admin granted to a connector, and nothing outside them; see `wit/files.wit`.

mod failure;
mod listing;
mod names;
mod unsynced;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use whimbrel_model::{Failure, Timestamp};

use crate::blob::{Blob, FileBody, Reopen};
use failure::{failed, is_missing};
use listing::{Listings, Window};
pub use names::leads_out;
use unsynced::{FileId, Unsynced};

/// Entries that one call lists at most.
pub const MOST_ENTRIES: u32 = 10_000;

/// A file or directory in a [`Folder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its own name, without the path; escaped where it is not UTF-8. Empty for the folder itself.
    pub name: String,
    /// Whether it is a directory.
    pub directory: bool,
    /// Bytes; of no meaning for a directory.
    pub bytes: u64,
    /// When its content was last written.
    pub modified: Timestamp,
}

/// A folder that was granted, to read or to write. Clones share what is not synced yet.
///
/// Paths use `/` between segments and are relative to the folder; `""` is the folder itself. No `..`, no absolute
/// path and no symbolic link leads out of it (`forbidden`). Names that are not UTF-8 are escaped, one to one.
///
/// Failures: `not-found` where something is missing, `forbidden` where rights are, `over-quota` where the disk or
/// quota is full, `rejected` where something is in the way or the path can never be, `unavailable` for the rest. Each
/// names the path relative to the folder. All work is done on blocking threads.
#[derive(Debug, Clone)]
pub struct Folder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: Dir,
    write: bool,
    /// Whether files can be read without a change of their access time. Not so for files of other users.
    quiet: AtomicBool,
    state: Mutex<State>,
    /// Held while files are being synced: a second sync waits for the first.
    syncing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    listings: Listings,
    unsynced: Unsynced,
    /// Something that was written before could not be made to last, and nobody was told yet.
    lost: Option<Failure>,
}

impl Folder {
    /// Opens the folder at `path` of this machine. One to be written is made with its parents where it is missing.
    ///
    /// # Errors
    /// `not-found` where a folder to be read only is missing, `invalid-settings` where the path is not a folder.
    pub async fn open(path: &Path, write: bool) -> Result<Folder, Failure> {
        let path = path.to_owned();
        on_blocking_thread(move || {
            let shown = path.display().to_string();
            let open = || -> io::Result<Dir> {
                if write {
                    Dir::create_ambient_dir_all(&path, ambient_authority())?;
                }
                Dir::open_ambient_dir(&path, ambient_authority())
            };
            let dir = open().map_err(|error| match error.kind() {
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    Failure::InvalidSettings(format!("{shown} is not a folder"))
                }
                _ => failed("opening the folder", &shown, &error),
            })?;
            let inner = Inner {
                dir,
                write,
                quiet: AtomicBool::new(true),
                state: Mutex::default(),
                syncing: Mutex::default(),
            };
            Ok(Folder { inner: Arc::new(inner) })
        })
        .await
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.inner.write
    }

    /// At most `limit` ([`MOST_ENTRIES`] at most) entries after the name `after`, sorted by the bytes of the name;
    /// fewer only at the end. A symbolic link is shown as what it leads to, or as an empty file where that lies
    /// outside the folder or is missing: reading it says why it cannot be read.
    ///
    /// Listing page after page reads a directory once, unless it is written meanwhile.
    ///
    /// # Errors
    /// `not-found`, `rejected` where it is not a directory.
    pub async fn entries(&self, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Entry>, Failure> {
        let at = names::parse(path)?;
        let (shown, after) = (path.to_owned(), after.map(str::to_owned));
        self.run(move |inner| {
            inner
                .entries(&at, after.as_deref(), limit.min(MOST_ENTRIES))
                .map_err(|error| failed("listing", &shown, &error))
        })
        .await
    }

    /// What is at `path`, links followed; none where nothing is.
    ///
    /// # Errors
    /// `forbidden` for a link that leads out.
    pub async fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        let at = names::parse(path)?;
        let shown = path.to_owned();
        self.run(move |inner| match inner.dir.metadata(here(&at)) {
            Ok(metadata) => {
                let name = at.file_name().map(names::from_os).unwrap_or_default();
                Ok(Some(entry(name, &metadata)))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed("looking at", &shown, &error)),
        })
        .await
    }

    /// The file, or `length` bytes of it from `offset`, as a body; nothing is read until needed. The body stays what
    /// it is even if the file is renamed or removed meanwhile (unless very many such bodies are held: then reading it
    /// fails and says so). The file's access time stays as it is where the system allows it.
    ///
    /// # Errors
    /// `not-found`; `rejected` where it is no regular file, or does not reach as far as was asked for: a part of a
    /// file that was cut meanwhile must not pass for the whole.
    pub async fn read(&self, path: &str, offset: u64, length: Option<u64>) -> Result<Blob, Failure> {
        let at = names::parse(path)?;
        let shown = path.to_owned();
        self.run(move |inner| {
            let (file, metadata) = inner.open_to_read(&at, &shown)?;
            let there = metadata.len();
            let end = length.map_or(Some(there.max(offset)), |length| offset.checked_add(length));
            let Some(end) = end.filter(|end| *end <= there) else {
                let asked = length.map_or_else(|| "the rest".to_owned(), |length| format!("{length} bytes"));
                let text = format!("{shown:?} has {there} bytes; {asked} from byte {offset} on are not in it");
                return Err(Failure::Rejected(text));
            };
            let id = file_id(&metadata);
            let reopen: Reopen = {
                let (inner, shown) = (Arc::clone(inner), shown.clone());
                Box::new(move || inner.reopen(&at, &shown, id))
            };
            Ok(Blob::from_file(
                FileBody::named(shown, file, reopen),
                offset,
                end - offset,
            ))
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Inner>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let inner = Arc::clone(&self.inner);
        on_blocking_thread(move || work(&inner)).await
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self, path: &Path, after: Option<&str>, limit: u32) -> io::Result<Vec<Entry>> {
        let directory = self.dir.open_dir(here(path))?;
        let begun = self.state().listings.take(path, after);
        let mut window = match begun {
            Some(window) => window,
            None => Window::read(&directory, after)?,
        };
        let mut entries = Vec::new();
        while entries.len() < limit as usize {
            match window.next() {
                Some(name) => entries.extend(listed(&directory, name)?),
                None => match window.continues_after().map(str::to_owned) {
                    Some(after) => window = Window::read(&directory, Some(&after))?,
                    None => break,
                },
            }
        }
        self.state().listings.keep(path.to_owned(), window);
        Ok(entries)
    }

    fn open_to_read(&self, path: &Path, shown: &str) -> Result<(fs::File, Metadata), Failure> {
        let mut options = OpenOptions::new();
        options.read(true);
        let open = || -> io::Result<(fs::File, Metadata)> {
            let file = match self.open_quietly(path, &options)? {
                Some(file) => file,
                None => self.dir.open_with(here(path), without_waiting(&mut options.clone()))?,
            };
            let metadata = file.metadata()?;
            Ok((file.into_std(), metadata))
        };
        let (file, metadata) = open().map_err(|error| failed("opening", shown, &error))?;
        regular(&metadata, shown)?;
        Ok((file, metadata))
    }

    /// Opens a file so that reading it leaves its access time; none where the system does not allow that.
    fn open_quietly(&self, path: &Path, options: &OpenOptions) -> io::Result<Option<cap_std::fs::File>> {
        if !cfg!(target_os = "linux") || !self.quiet.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut options = options.clone();
        add_quiet_flags(&mut options);
        match self.dir.open_with(here(path), &options) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.quiet.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the file that `id` was, if it still lies at `path`.
    fn reopen(&self, path: &Path, shown: &str, id: FileId) -> io::Result<fs::File> {
        match self.open_to_read(path, shown) {
            Ok((file, metadata)) if file_id(&metadata) == id => Ok(file),
            Ok(_) | Err(Failure::NotFound(_)) => Err(io::ErrorKind::NotFound.into()),
            Err(failure) => Err(io::Error::other(failure.to_string())),
        }
    }
}

/// An entry of a listing; none where it vanished meanwhile.
fn listed(directory: &Dir, name: String) -> io::Result<Option<Entry>> {
    let path = names::own(&name);
    match directory.metadata(&path) {
        Ok(metadata) => Ok(Some(entry(name, &metadata))),
        // A link that leads out, to nothing or in circles is there nevertheless.
        Err(error) => match directory.symlink_metadata(&path) {
            Ok(link) if link.is_symlink() => Ok(Some(Entry {
                directory: false,
                bytes: 0,
                ..entry(name, &link)
            })),
            Ok(_) => Err(error),
            Err(gone) if is_missing(&gone) => Ok(None),
            Err(error) => Err(error),
        },
    }
}

fn entry(name: String, metadata: &Metadata) -> Entry {
    let modified = metadata
        .modified()
        .map_or(UNIX_EPOCH, cap_std::time::SystemTime::into_std);
    Entry {
        name,
        directory: metadata.is_dir(),
        bytes: metadata.len(),
        modified: timestamp(modified),
    }
}

fn regular(metadata: &Metadata, shown: &str) -> Result<(), Failure> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() {
        "a folder"
    } else {
        "no regular file"
    };
    Err(Failure::Rejected(format!("{shown:?} is {what}")))
}

/// The path as the operating system wants it: `.` for the folder itself.
fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let unix_ms = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        // Rounded down, as after the epoch.
        Err(before) => -millis(before.duration() + Duration::from_nanos(999_999)),
    };
    Timestamp {
        unix_ms,
        offset_minutes: 0,
    }
}

fn system_time(at: Timestamp) -> Option<SystemTime> {
    let distance = Duration::from_millis(at.unix_ms.unsigned_abs());
    if at.unix_ms < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

/// Adds what keeps opening a named pipe from waiting for its other end.
#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    cap_std::fs::OpenOptionsExt::custom_flags(options, flags(rustix::fs::OFlags::NONBLOCK))
}

#[cfg(not(unix))]
fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(target_os = "linux")]
fn add_quiet_flags(options: &mut OpenOptions) {
    use rustix::fs::OFlags;
    cap_std::fs::OpenOptionsExt::custom_flags(options, flags(OFlags::NONBLOCK | OFlags::NOATIME));
}

#[cfg(not(target_os = "linux"))]
fn add_quiet_flags(_: &mut OpenOptions) {}

#[cfg(unix)]
fn flags(flags: rustix::fs::OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(unix)]
fn file_id(metadata: &Metadata) -> FileId {
    use cap_std::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// No numbers are to be had here: size and time of change have to do.
#[cfg(not(unix))]
fn file_id(metadata: &Metadata) -> FileId {
    let created = metadata
        .created()
        .map_or(UNIX_EPOCH, cap_std::time::SystemTime::into_std);
    (metadata.len(), timestamp(created).unix_ms.unsigned_abs())
}

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::Internal(format!("a file operation was abandoned: {error}"))),
    }
}

/// A path for use by name in a message and by the operating system.
#[derive(Debug, Clone)]
struct Target {
    at: PathBuf,
    shown: String,
}

#[cfg(test)]
mod tests;
