//! What is remembered of a mailbox from one of its turns to the next, within a run.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use tokio::time::Instant;

use super::suspects::Suspects;

/// A side of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where mail comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// What is remembered of a mailbox from one of its turns to the next.
#[derive(Debug, Default)]
pub struct History {
    sides: [OfSide; 2],
    /// Messages at which connections end.
    pub suspects: Suspects,
    /// Parks since something moved.
    parks: AtomicU32,
    jitter: Mutex<Option<fastrand::Rng>>,
}

#[derive(Debug, Default)]
struct OfSide {
    opened: AtomicBool,
    unreached: AtomicU32,
    /// Until when the server asked to wait.
    asked: Mutex<Option<Instant>>,
}

impl History {
    fn side(&self, side: Side) -> &OfSide {
        &self.sides[side as usize]
    }

    /// The account was opened.
    pub fn note_opened(&self, side: Side) {
        self.side(side).opened.store(true, Ordering::Relaxed);
        self.side(side).unreached.store(0, Ordering::Relaxed);
    }

    /// Whether the account has been open.
    pub fn opened(&self, side: Side) -> bool {
        self.side(side).opened.load(Ordering::Relaxed)
    }

    /// The server asked to wait until then before the account is opened.
    pub fn note_asked(&self, side: Side, until: Instant) {
        let mut asked = self.side(side).asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = asked.max(Some(until));
    }

    /// Until when the server asked to wait, if that is not over.
    pub fn asked(&self, side: Side) -> Option<Instant> {
        let asked = self.side(side).asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.filter(|until| *until > Instant::now())
    }

    /// Counts tries to reach a server that was never reached; gives how many there were before.
    pub fn note_unreached(&self, side: Side) -> u32 {
        self.side(side).unreached.fetch_add(1, Ordering::Relaxed)
    }

    /// Parks since something moved.
    pub fn parks(&self) -> u32 {
        self.parks.load(Ordering::Relaxed)
    }

    /// It is parked; `moved` tells whether anything moved since the last time.
    pub fn note_park(&self, moved: bool) {
        if moved {
            self.parks.store(1, Ordering::Relaxed);
        } else {
            self.parks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Random numbers of its own, the same for the same seed and name.
    pub fn jitter(&self, seed: u64, mailbox: &str) -> fastrand::Rng {
        let mut known = self.jitter.lock().unwrap_or_else(PoisonError::into_inner);
        let rng = known.get_or_insert_with(|| {
            let name = blake3::hash(mailbox.as_bytes());
            let (first, _) = name.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
            fastrand::Rng::with_seed(seed ^ u64::from_le_bytes(*first))
        });
        rng.fork()
    }
}
