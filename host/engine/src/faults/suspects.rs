//! Messages at which connections end. One that does it again and again, more often than the line explains, is the cause.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use whimbrel_ledger::CollectionId;
use whimbrel_model::Failure;

use super::{
    class::{LOSSES_AT_LEAST, LOSSES_AT_MOST, LOSSES_BY_CHANCE, LOSSES_IN_A_ROW, LOSSES_OF_A_BATCH},
    history::Side,
};

/// A message of a mailbox, on its way from or to one side.
pub type Key = (Side, CollectionId, String);

/// Messages at which connections ended while they were alone on the way, and how good the lines were to the others.
#[derive(Debug, Default)]
pub struct Suspects(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lines: [Line; 2],
    losses: HashMap<Key, Loss>,
}

/// What the way from or to a side was seen to carry.
#[derive(Debug, Default, Clone, Copy)]
struct Line {
    /// Messages that came through.
    messages: u64,
    /// Their bytes.
    bytes: u64,
    /// Connections that ended, but for those at messages that were found to be the cause.
    losses: u32,
}

#[derive(Debug, Default, Clone, Copy)]
struct Loss {
    /// Connections that ended at it while it was alone.
    alone: u32,
    /// The same, and those that ended while it was one of several.
    all: u32,
}

/// A message that was alone when the connection ended.
#[derive(Debug, Clone)]
pub struct Accused {
    /// Which one.
    pub key: Key,
    /// Its size.
    pub bytes: u64,
}

impl Suspects {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many messages came through, of so many bytes together.
    pub fn passed(&self, side: Side, messages: u64, bytes: u64) {
        let line = &mut self.state().lines[side as usize];
        line.messages += messages;
        line.bytes += bytes;
    }

    /// A connection ended in the midst of work.
    pub fn lost(&self, side: Side) {
        self.state().lines[side as usize].losses += 1;
    }

    /// One of the losses was at this message alone, and so many with it among others since it was last accused. Whether it
    /// is the cause.
    pub fn accuse(&self, accused: Accused, among: u32) -> bool {
        let state = &mut *self.state();
        let line = &mut state.lines[accused.key.0 as usize];
        let loss = state.losses.entry(accused.key).or_default();
        loss.alone += 1;
        loss.all += among + 1;
        let cause = line.convicts(*loss, accused.bytes);
        if cause {
            line.losses = line.losses.saturating_sub(loss.all);
            loss.all = 0;
        }
        cause
    }

    /// Whether connections, of either side, ended at it often.
    pub fn knows(&self, collection: CollectionId, id: &str) -> bool {
        let losses = &self.state().losses;
        let often = |side| {
            let loss = losses.get(&(side, collection, id.to_owned()));
            loss.is_some_and(|loss| loss.alone >= LOSSES_AT_LEAST)
        };
        !losses.is_empty() && (often(Side::Source) || often(Side::Destination))
    }
}

impl Line {
    /// Whether a message of so many bytes is the cause of its losses: a line like this one would hardly have brought them
    /// about by chance. How often it would is told from what else it carried and lost, by the byte or by the message, where
    /// that is more often; half a loss is added to what was seen, so that a line of which little is known is not trusted.
    fn convicts(self, loss: Loss, bytes: u64) -> bool {
        let others = f64::from(self.losses.saturating_sub(loss.all)) + 0.5;
        let bytes = bytes.max(1) as f64;
        let by_bytes = -(-others * bytes / (self.bytes as f64 + bytes)).exp_m1();
        let by_messages = -(-others / (self.messages as f64 + 1.0)).exp_m1();
        let chance = by_bytes.max(by_messages).powf(f64::from(loss.alone));
        loss.alone >= LOSSES_AT_LEAST && chance < LOSSES_BY_CHANCE || loss.alone >= LOSSES_AT_MOST
    }
}

/// What such a message is refused with: the connection ended each time that it was alone to be `done`.
pub fn ends_connections(done: &str, last: &Failure) -> Failure {
    Failure::Rejected(format!(
        "the connection ended each time that this message was {done}, more often than chance would have it; the last time: {last}"
    ))
}

/// Batches that are to go over a connection. One at which it ends again and again is halved, down to the message that is
/// the cause.
#[derive(Debug)]
pub struct Bisection<T> {
    queue: VecDeque<(Vec<T>, Losses)>,
    /// Of the batch under way: how many there were, and what happened to it before.
    under_way: (usize, Losses),
    /// Losses in a row in which nothing came through.
    barren: u32,
}

/// How often the connection ended at a batch.
#[derive(Debug, Clone, Copy, Default)]
struct Losses {
    /// Since it is what it is.
    whole: u32,
    /// The same, and while its messages were part of larger ones.
    all: u32,
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
            queue: VecDeque::from([(items, Losses::default())]),
            under_way: (0, Losses::default()),
            barren: 0,
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
        }
        self.queue.push_front((left, Losses::default()));
    }

    /// The connection ended; these did not come through. `accuse` tells whether one that was alone is the cause;
    /// it is told how many connections ended before while it was among others.
    pub fn lost(&mut self, mut left: Vec<T>, accuse: impl FnOnce(&T, u32) -> bool) -> Lost<T> {
        let (before, mut losses) = self.under_way;
        if left.len() < before {
            self.barren = 0;
            losses = Losses::default();
        } else {
            self.barren += 1;
        }
        let tired = self.barren > LOSSES_IN_A_ROW;
        if before == 1 {
            let Some(only) = left.pop() else { return Lost::GoOn };
            if accuse(&only, losses.all) {
                return Lost::Cause(only);
            }
            // The others first: they show whether the connection is to blame.
            let last = self.queue.is_empty();
            self.queue.push_back((vec![only], Losses::default()));
            return if last || tired { Lost::Pause } else { Lost::GoOn };
        }
        losses.whole += 1;
        losses.all += 1;
        if losses.whole < LOSSES_OF_A_BATCH || left.len() < 2 {
            self.queue.push_front((left, losses));
            return Lost::Pause;
        }
        losses.whole = LOSSES_OF_A_BATCH - 1;
        let rest = left.split_off(left.len() / 2);
        for half in [rest, left] {
            self.queue.push_front((half, losses));
        }
        if tired { Lost::Pause } else { Lost::GoOn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages on their way over lines that end.
    struct Way {
        sizes: Vec<u64>,
        /// At these a connection ends.
        bad: Vec<usize>,
        /// A connection ends after a random number of bytes below this.
        cuts: Option<u64>,
        random: fastrand::Rng,
    }

    /// What became of them.
    struct Sent {
        passed: Vec<usize>,
        causes: Vec<usize>,
        pauses: u32,
    }

    impl Way {
        fn new(sizes: &[u64], bad: &[usize]) -> Self {
            Self {
                sizes: sizes.to_vec(),
                bad: bad.to_vec(),
                cuts: None,
                random: fastrand::Rng::with_seed(7),
            }
        }

        /// In batches of so many bytes, each over its own connection.
        fn send(&mut self, most: u64) -> Sent {
            let suspects = Suspects::default();
            let (mut passed, mut causes, mut pauses) = (Vec::new(), Vec::new(), 0);
            for batch in self.batches(most) {
                let mut batches = Bisection::new(batch);
                while let Some(batch) = batches.next() {
                    let mut line = self.cuts.map_or(u64::MAX, |most| self.random.u64(..most));
                    let good = batch.iter().take_while(|at| {
                        let through = !self.bad.contains(at) && self.sizes[**at] <= line;
                        line = line.saturating_sub(self.sizes[**at]);
                        through
                    });
                    let good = good.count();
                    let bytes = batch[..good].iter().map(|at| self.sizes[*at]).sum();
                    suspects.passed(Side::Destination, good as u64, bytes);
                    passed.extend(&batch[..good]);
                    let left = batch[good..].to_vec();
                    if left.is_empty() {
                        batches.left(left);
                        continue;
                    }
                    suspects.lost(Side::Destination);
                    let accused = |at: usize| accused(&at.to_string(), self.sizes[at]);
                    match batches.lost(left, |at, among| suspects.accuse(accused(*at), among)) {
                        Lost::GoOn => {}
                        Lost::Pause => pauses += 1,
                        Lost::Cause(at) => causes.push(at),
                    }
                    assert!(pauses < 10_000, "it does not end");
                }
            }
            passed.sort_unstable();
            causes.sort_unstable();
            Sent { passed, causes, pauses }
        }

        fn batches(&self, most: u64) -> Vec<Vec<usize>> {
            let mut all: Vec<Vec<usize>> = vec![Vec::new()];
            let mut bytes = 0;
            for (at, size) in self.sizes.iter().enumerate() {
                if bytes + size > most && bytes > 0 {
                    all.push(Vec::new());
                    bytes = 0;
                }
                bytes += size;
                all.last_mut().unwrap().push(at);
            }
            all
        }
    }

    fn accused(id: &str, bytes: u64) -> Accused {
        Accused {
            key: (Side::Destination, CollectionId(1), id.to_owned()),
            bytes,
        }
    }

    #[test]
    fn the_cause_is_found_and_the_rest_goes_on() {
        for bad in 0..50 {
            let sent = Way::new(&[1000; 50], &[bad]).send(50_000);
            assert_eq!(sent.causes, [bad]);
            assert_eq!(sent.passed, (0..50).filter(|at| *at != bad).collect::<Vec<_>>());
            assert!(sent.pauses <= 4, "{bad}: {} pauses", sent.pauses);
        }
        let sent = Way::new(&[1000; 20], &[0, 7, 8, 19]).send(50_000);
        assert_eq!((sent.passed.len(), sent.causes), (16, vec![0, 7, 8, 19]));
    }

    #[test]
    fn the_cause_is_found_where_it_is_the_largest_of_all() {
        let mut sizes = [20_000; 100];
        sizes[70] = 30_000_000;
        let sent = Way::new(&sizes, &[70]).send(2_000_000);
        assert_eq!((sent.passed.len(), sent.causes), (99, vec![70]));
        assert!(sent.pauses <= 15, "{} pauses", sent.pauses);
    }

    #[test]
    fn one_alone_is_the_cause_only_after_many_losses() {
        let sent = Way::new(&[1000], &[0]).send(50_000);
        assert_eq!((sent.passed.len(), sent.causes, sent.pauses), (0, vec![0], 12));
    }

    #[test]
    fn where_everything_ends_connections_all_are_found_in_the_end() {
        let sent = Way::new(&[1000; 4], &[0, 1, 2, 3]).send(50_000);
        assert_eq!(sent.causes, [0, 1, 2, 3]);
    }

    #[test]
    fn lines_that_end_are_no_reason_to_accuse_a_message() {
        let mut random = fastrand::Rng::with_seed(1);
        for round in 0..300 {
            let mut sizes: Vec<u64> = (0..200).map(|_| random.u64(500..20_000)).collect();
            for _ in 0..10 {
                sizes[random.usize(..200)] = random.u64(100_000..800_000);
            }
            let mut way = Way::new(&sizes, &[]);
            way.random = random.fork();
            way.cuts = Some(1_500_000);
            let sent = way.send(2_000_000);
            assert_eq!((sent.passed.len(), sent.causes), (200, vec![]), "round {round}");
        }
    }

    #[test]
    fn others_that_come_through_are_what_convicts() {
        let suspects = Suspects::default();
        let lose = |times| {
            let mut cause = false;
            for _ in 0..times {
                suspects.lost(Side::Destination);
                cause = suspects.accuse(accused("a", 1000), 0);
            }
            cause
        };
        assert!(!lose(3), "nothing came through");
        suspects.passed(Side::Source, 100, 100_000);
        assert!(!lose(1), "that was the other side");
        suspects.passed(Side::Destination, 100, 100_000);
        assert!(lose(1));
        assert!(suspects.knows(CollectionId(1), "a") && !suspects.knows(CollectionId(2), "a"));
    }
}
