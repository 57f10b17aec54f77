//! Messages at which connections end. One that does it again and again, while others come through, is the cause.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use whimbrel_ledger::CollectionId;
use whimbrel_model::Failure;

use super::{
    class::{LOSSES_OF_A_BATCH, LOSSES_OF_A_SUSPECT, LOSSES_UNPROVEN},
    history::Side,
};

/// A message of a mailbox, on its way from or to one side.
pub type Key = (Side, CollectionId, String);

/// Messages at which connections ended while they were alone on the way.
#[derive(Debug, Default)]
pub struct Suspects {
    losses: Mutex<HashMap<Key, Loss>>,
    passed: [AtomicU64; 2],
}

#[derive(Debug, Clone, Copy)]
struct Loss {
    times: u32,
    /// What had passed on that side at the first time.
    passed: u64,
}

impl Suspects {
    /// So many messages came through.
    pub fn passed(&self, side: Side, count: u64) {
        self.passed[side as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// The connection ended at this message alone. Whether it is the cause; `proven` tells that others of its batch came
    /// through.
    pub fn accuse(&self, key: Key, proven: bool) -> bool {
        let passed = self.passed[key.0 as usize].load(Ordering::Relaxed);
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        let loss = losses.entry(key).or_insert(Loss { times: 0, passed });
        loss.times += 1;
        let proven = proven || passed > loss.passed;
        loss.times >= LOSSES_UNPROVEN || proven && loss.times >= LOSSES_OF_A_SUSPECT
    }

    /// Whether connections, of either side, ended at it often.
    pub fn knows(&self, collection: CollectionId, id: &str) -> bool {
        let losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        let often = |side| {
            let loss = losses.get(&(side, collection, id.to_owned()));
            loss.is_some_and(|loss| loss.times >= LOSSES_OF_A_SUSPECT)
        };
        !losses.is_empty() && (often(Side::Source) || often(Side::Destination))
    }
}

/// What such a message is refused with: the connection ended each time that it was alone to be `done`.
pub fn ends_connections(done: &str, last: &Failure) -> Failure {
    Failure::Rejected(format!(
        "the connection ended each time that this message was {done}, and others came through; the last time: {last}"
    ))
}

/// Batches that are to go over a connection. One at which it ends again and again is halved, down to the message that is
/// the cause.
#[derive(Debug)]
pub struct Bisection<T> {
    /// Each with how often the connection ended at it.
    queue: VecDeque<(Vec<T>, u32)>,
    /// Of the batch under way: how many there were, and how often the connection ended at it before.
    under_way: (usize, u32),
    /// Losses in a row in which nothing came through.
    barren: u32,
    /// Something came through.
    passed: bool,
}

/// What to do after a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Lost<T> {
    /// Go on at once, with a new connection.
    GoOn,
    /// It may be the network or the server: go on after a pause.
    Pause,
    /// This one is the cause; it is taken out, and the rest goes on.
    Cause(T),
}

impl<T> Bisection<T> {
    /// Of one batch.
    pub fn new(items: Vec<T>) -> Self {
        Self {
            queue: VecDeque::from([(items, 0)]),
            under_way: (0, 0),
            barren: 0,
            passed: false,
        }
    }

    /// What is to go next.
    pub fn next(&mut self) -> Option<Vec<T>> {
        loop {
            let (items, losses) = self.queue.pop_front()?;
            if !items.is_empty() {
                self.under_way = (items.len(), losses);
                return Some(items);
            }
        }
    }

    /// There was an answer, or nothing was tried; these are left, and go first.
    pub fn left(&mut self, left: Vec<T>) {
        if left.len() < self.under_way.0 {
            self.barren = 0;
            self.passed = true;
        }
        self.queue.push_front((left, 0));
    }

    /// The connection ended; these did not come through. `accuse` tells whether one that was alone is the cause;
    /// it is told whether others came through.
    pub fn lost(&mut self, mut left: Vec<T>, accuse: impl FnOnce(&T, bool) -> bool) -> Lost<T> {
        let (before, losses) = self.under_way;
        let passed = left.len() < before;
        self.barren = if passed { 0 } else { self.barren + 1 };
        self.passed |= passed;
        let losses = if passed { 1 } else { losses + 1 };
        let tired = self.barren > LOSSES_UNPROVEN;
        if before == 1 {
            let Some(only) = left.pop() else { return Lost::GoOn };
            if accuse(&only, self.passed) {
                return Lost::Cause(only);
            }
            // The others first: they show whether the connection is to blame.
            let last = self.queue.is_empty();
            self.queue.push_back((vec![only], 0));
            return if last || tired { Lost::Pause } else { Lost::GoOn };
        }
        if losses < LOSSES_OF_A_BATCH || left.len() < 2 {
            self.queue.push_front((left, losses));
            return Lost::Pause;
        }
        let rest = left.split_off(left.len() / 2);
        for half in [rest, left] {
            self.queue.push_front((half, LOSSES_OF_A_BATCH - 1));
        }
        if tired { Lost::Pause } else { Lost::GoOn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends numbers over a connection that ends at bad ones; gives what came through, what was taken out, and pauses.
    fn send(count: u32, bad: &[u32]) -> (Vec<u32>, Vec<u32>, u32) {
        let suspects = Suspects::default();
        let mut bisection = Bisection::new((0..count).collect());
        let (mut sent, mut out, mut pauses) = (Vec::new(), Vec::new(), 0);
        while let Some(batch) = bisection.next() {
            let good = batch.iter().take_while(|number| !bad.contains(number)).count();
            suspects.passed(Side::Destination, good as u64);
            sent.extend(&batch[..good]);
            let left = batch[good..].to_vec();
            if left.is_empty() {
                bisection.left(left);
                continue;
            }
            match bisection.lost(left, |number, proven| suspects.accuse(key(&number.to_string()), proven)) {
                Lost::GoOn => {}
                Lost::Pause => pauses += 1,
                Lost::Cause(number) => out.push(number),
            }
            assert!(pauses < 100, "it does not end");
        }
        sent.sort_unstable();
        out.sort_unstable();
        (sent, out, pauses)
    }

    #[test]
    fn the_cause_is_found_and_the_rest_goes_on() {
        for bad in 0..50 {
            let (sent, out, pauses) = send(50, &[bad]);
            assert_eq!(out, [bad]);
            assert_eq!(sent, (0..50).filter(|number| *number != bad).collect::<Vec<_>>());
            assert!(pauses <= 4, "{bad}: {pauses} pauses");
        }
        let (sent, out, _) = send(20, &[0, 7, 8, 19]);
        assert_eq!((sent.len(), out), (16, vec![0, 7, 8, 19]));
    }

    #[test]
    fn one_alone_is_the_cause_only_after_many_losses() {
        let (sent, out, pauses) = send(1, &[0]);
        assert_eq!((sent.len(), out, pauses), (0, vec![0], 9));
    }

    fn key(id: &str) -> Key {
        (Side::Destination, CollectionId(1), id.to_owned())
    }

    #[test]
    fn it_takes_three_losses_and_somebody_else_who_came_through() {
        let suspects = Suspects::default();
        suspects.passed(Side::Destination, 9);
        assert!(!suspects.accuse(key("a"), false));
        assert!(!suspects.accuse(key("a"), false));
        assert!(!suspects.accuse(key("a"), false), "nothing came through since");
        suspects.passed(Side::Source, 1);
        assert!(!suspects.accuse(key("a"), false), "that was the other side");
        suspects.passed(Side::Destination, 1);
        assert!(suspects.accuse(key("a"), false));
    }

    #[test]
    fn without_another_it_takes_ten() {
        let suspects = Suspects::default();
        let verdicts: Vec<bool> = (0..10).map(|_| suspects.accuse(key("a"), false)).collect();
        assert_eq!(verdicts.iter().filter(|guilty| **guilty).count(), 1);
        assert!(verdicts[9]);
        assert!(suspects.knows(CollectionId(1), "a") && !suspects.knows(CollectionId(2), "a"));
    }
}
