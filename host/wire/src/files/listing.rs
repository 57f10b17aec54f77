//! Sorted listings of directories of any size, page by page, in bounded memory.

use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use super::names;

/// Names that are kept of one directory. A larger one is read again every so many names.
const WINDOW: usize = 200_000;

/// Directories whose names are kept at a time.
const DIRECTORIES: usize = 8;

/// What is left to be listed of directories that are being listed.
#[derive(Debug, Default)]
pub(super) struct Listings {
    windows: BTreeMap<PathBuf, Window>,
}

/// The next names of one directory.
#[derive(Debug)]
pub(super) struct Window {
    /// The name after which the rest begins; none at the beginning.
    after: Option<String>,
    /// In descending order, so that the next is the last.
    names: Vec<String>,
    /// Whether there is nothing behind these.
    last: bool,
}

impl Listings {
    /// The listing of `path` that goes on after `after`, if it was begun.
    pub(super) fn take(&mut self, path: &Path, after: Option<&str>) -> Option<Window> {
        let window = self.windows.remove(path)?;
        (after.is_some() && window.after.as_deref() == after).then_some(window)
    }

    /// Keeps what is left of a listing.
    pub(super) fn keep(&mut self, path: PathBuf, window: Window) {
        if window.names.is_empty() && window.last {
            return;
        }
        if self.windows.len() >= DIRECTORIES {
            self.windows.pop_first();
        }
        self.windows.insert(path, window);
    }

    /// Something in `path`, or below it, was written.
    pub(super) fn forget(&mut self, path: &Path) {
        self.windows.retain(|known, _| !known.starts_with(path));
    }
}

impl Window {
    /// Reads the names of `directory` that come after `after`.
    pub(super) fn read(directory: &Dir, after: Option<&str>) -> io::Result<Window> {
        Window::read_sized(directory, after, WINDOW)
    }

    fn read_sized(directory: &Dir, after: Option<&str>, size: usize) -> io::Result<Window> {
        let mut smallest = BinaryHeap::new();
        let mut last = true;
        for entry in directory.entries()? {
            let name = names::from_os(&entry?.file_name());
            if after.is_some_and(|after| name.as_str() <= after) {
                continue;
            }
            smallest.push(name);
            if smallest.len() > size {
                smallest.pop();
                last = false;
            }
        }
        let mut names = smallest.into_sorted_vec();
        names.reverse();
        Ok(Window {
            after: after.map(str::to_owned),
            names,
            last,
        })
    }

    /// The next name.
    pub(super) fn next(&mut self) -> Option<String> {
        let name = self.names.pop()?;
        self.after = Some(name.clone());
        Some(name)
    }

    /// The name after which the directory must be read again, where there may be more.
    pub(super) fn continues_after(&self) -> Option<&str> {
        if self.last { None } else { self.after.as_deref() }
    }
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn a_directory_larger_than_the_window_is_listed_whole_and_in_order() {
        let scratch = tempfile::tempdir().unwrap();
        let mut wanted: Vec<String> = (0..57).map(|number| format!("n{}", number * 7919 % 1000)).collect();
        for name in &wanted {
            std::fs::write(scratch.path().join(name), b"").unwrap();
        }
        wanted.sort();
        wanted.dedup();
        let directory = Dir::open_ambient_dir(scratch.path(), ambient_authority()).unwrap();
        for size in [1, 5, 56, 57, 100] {
            let mut listed = Vec::new();
            let mut window = Window::read_sized(&directory, None, size).unwrap();
            loop {
                while let Some(name) = window.next() {
                    listed.push(name);
                }
                let Some(after) = window.continues_after().map(str::to_owned) else {
                    break;
                };
                window = Window::read_sized(&directory, Some(&after), size).unwrap();
            }
            assert_eq!(listed, wanted, "window of {size}");
        }
    }

    #[test]
    fn a_kept_listing_goes_on_only_where_it_stopped() {
        let window = || Window {
            after: Some("b".into()),
            names: vec!["d".into(), "c".into()],
            last: true,
        };
        let mut listings = Listings::default();
        listings.keep("x/y".into(), window());
        assert!(listings.take(Path::new("x/y"), Some("a")).is_none());
        assert!(
            listings.take(Path::new("x/y"), Some("b")).is_none(),
            "one that was left elsewhere is dropped"
        );
        listings.keep("x/y".into(), window());
        assert!(
            listings.take(Path::new("x/y"), None).is_none(),
            "from the beginning is read anew"
        );
        listings.keep("x/y".into(), window());
        listings.forget(Path::new("x/yz"));
        assert_eq!(
            listings.take(Path::new("x/y"), Some("b")).unwrap().next().as_deref(),
            Some("c")
        );
        listings.keep("x/y".into(), window());
        listings.forget(Path::new("x"));
        assert!(listings.take(Path::new("x/y"), Some("b")).is_none());
        listings.keep(
            "x".into(),
            Window {
                after: Some("b".into()),
                names: vec![],
                last: true,
            },
        );
        assert!(listings.windows.is_empty());
    }
}
