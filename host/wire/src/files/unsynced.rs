//! What was written and does not last yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use crate::places::{Place, Places};

/// Files that are held until the next `sync`, at most. Beyond, they are synced before more are written.
const MOST_FILES: usize = 256;

/// Files of all folders that are held open until they are synced.
static HELD: Places = Places::new();

/// Files that are synced at the same time: a journalling file system makes them last together.
const AT_ONCE: usize = 16;

/// Tells files apart, whatever they are called.
pub(super) type FileId = (u64, u64);

/// Files and directories that were written since the last sync.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// Held open: a rename does not matter, and no failed write-back goes unnoticed.
    files: BTreeMap<FileId, Held>,
    /// Nothing more is to be held open.
    full: bool,
    /// Relative to the folder.
    directories: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct Held {
    file: File,
    _place: Option<Place>,
}

impl Unsynced {
    pub(super) fn file(&mut self, id: FileId, file: File) {
        // The handle that was there first stays: it saw every failed write-back since.
        self.files.entry(id).or_insert_with(|| {
            let place = HELD.take();
            self.full |= place.is_none();
            Held { file, _place: place }
        });
    }

    pub(super) fn directory(&mut self, path: &Path) {
        self.directories.insert(path.to_owned());
    }

    pub(super) fn is_full(&self) -> bool {
        self.full || self.files.len() >= MOST_FILES
    }

    /// `from` is called `to` now: directories below it moved along.
    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        let moved: Vec<PathBuf> = self
            .directories
            .iter()
            .filter(|path| path.starts_with(from))
            .cloned()
            .collect();
        for path in moved {
            self.directories.remove(&path);
            let rest = path.strip_prefix(from).unwrap_or(Path::new(""));
            self.directories.insert(if rest.as_os_str().is_empty() {
                to.to_owned()
            } else {
                to.join(rest)
            });
        }
    }

    /// `path` is gone: there is nothing of it to make last.
    pub(super) fn removed(&mut self, path: &Path) {
        self.directories.retain(|known| !known.starts_with(path));
    }

    /// Takes the files alone, to make room.
    pub(super) fn take_files(&mut self) -> Unsynced {
        self.full = false;
        Unsynced {
            files: std::mem::take(&mut self.files),
            ..Unsynced::default()
        }
    }

    /// Makes all of it last: the files first, several at once, then the directories that name them. Blocks.
    pub(super) fn sync(&self, open_directory: impl Fn(&Path) -> io::Result<File> + Sync) -> io::Result<()> {
        let files: Vec<&File> = self.files.values().map(|held| &held.file).collect();
        each(&files, |file| file.sync_all())?;
        let directories: Vec<&PathBuf> = self.directories.iter().collect();
        each(&directories, |path| match open_directory(path) {
            Ok(directory) => directory.sync_all(),
            // Removed by somebody else meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        })
    }
}

/// Runs `work` on each of `all`, on several threads; gives the first error, after all is done.
fn each<T: Sync>(all: &[T], work: impl Fn(&T) -> io::Result<()> + Sync) -> io::Result<()> {
    if let [only] = all {
        return work(only);
    }
    let share = all.len().div_ceil(AT_ONCE).max(1);
    let mut result = Ok(());
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = all
            .chunks(share)
            .map(|chunk| scope.spawn(move || in_a_row(chunk, work)))
            .collect();
        for thread in threads {
            let failed = || Err(io::Error::other("a thread that synced files failed"));
            let done = thread.join().unwrap_or_else(|_| failed());
            result = std::mem::replace(&mut result, Ok(())).and(done);
        }
    });
    result
}

/// None is left out because another failed.
fn in_a_row<T>(all: &[T], work: &impl Fn(&T) -> io::Result<()>) -> io::Result<()> {
    let mut result = Ok(());
    for one in all {
        let done = work(one);
        result = result.and(done);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_follow_a_rename_and_go_with_a_removal() {
        let mut unsynced = Unsynced::default();
        for path in ["a", "a/b", "ab", "c"] {
            unsynced.directory(Path::new(path));
        }
        unsynced.renamed(Path::new("a"), Path::new("x/y"));
        let paths: Vec<_> = unsynced.directories.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(paths, ["ab", "c", "x/y", "x/y/b"]);
        unsynced.removed(Path::new("x/y"));
        assert_eq!(unsynced.directories.len(), 2);
    }

    #[test]
    fn everything_is_worked_on_and_an_error_is_not_lost() {
        for count in [0, 1, 2, 15, 16, 17, 100] {
            let all: Vec<usize> = (0..count).collect();
            let seen = std::sync::Mutex::new(BTreeSet::new());
            each(&all, |at| {
                seen.lock().unwrap().insert(*at);
                Ok(())
            })
            .unwrap();
            assert_eq!(seen.into_inner().unwrap().len(), count);
            if count > 0 {
                assert!(
                    each(&all, |at| if at + 1 == count {
                        Err(io::Error::other("x"))
                    } else {
                        Ok(())
                    })
                    .is_err()
                );
            }
        }
    }
}
