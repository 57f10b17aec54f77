//! Places among the files that this process may hold open: connections, the ledger and spilled bodies need some too.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A quarter of what the process may open, for one purpose.
pub(crate) struct Places {
    held: AtomicUsize,
}

/// One of the [`Places`], free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    held: &'static AtomicUsize,
}

impl Places {
    pub(crate) const fn new() -> Places {
        Places {
            held: AtomicUsize::new(0),
        }
    }

    /// A place, as long as there are any.
    pub(crate) fn take(&'static self) -> Option<Place> {
        self.take_of(quarter())
    }

    fn take_of(&'static self, most: usize) -> Option<Place> {
        let one_more = |held: usize| (held < most).then_some(held + 1);
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        Some(Place { held: &self.held })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}

fn quarter() -> usize {
    static QUARTER: OnceLock<usize> = OnceLock::new();
    *QUARTER.get_or_init(|| {
        #[cfg(unix)]
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        #[cfg(not(unix))]
        let limit = None;
        let limit = usize::try_from(limit.unwrap_or(4096)).unwrap_or(usize::MAX);
        (limit / 4).min(4096)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        static SOME: Places = Places::new();
        let (first, second) = (SOME.take_of(2), SOME.take_of(2));
        assert!(first.is_some() && second.is_some());
        assert!(SOME.take_of(2).is_none());
        drop(first);
        assert!(SOME.take_of(2).is_some());
        assert!(quarter() > 0);
    }
}
