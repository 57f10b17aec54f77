//! Whose turn it is: mailboxes that have not begun, and those that were parked and come back when their time has come.

use std::collections::VecDeque;

use tokio::time::Instant;

/// Work that waits for a place.
#[derive(Debug)]
pub struct Schedule<T> {
    fresh: VecDeque<T>,
    parked: Vec<Resting<T>>,
}

/// Work that is parked.
#[derive(Debug)]
struct Resting<T> {
    due: Instant,
    /// Within what the run may wait for it.
    awaited: bool,
    work: T,
}

impl<T> Schedule<T> {
    /// Of work that has not begun, in this order.
    pub fn new(fresh: impl IntoIterator<Item = T>) -> Self {
        Self {
            fresh: fresh.into_iter().collect(),
            parked: Vec::new(),
        }
    }

    /// Parks it; the run waits for it if it is `awaited`, and takes it up again anyway should it still go on then.
    pub fn park(&mut self, work: T, due: Instant, awaited: bool) {
        self.parked.push(Resting { due, awaited, work });
    }

    /// What may begin now: first what was parked and is due, the longest waiting first, then what has not begun. What the
    /// run does not wait for comes back only while others are at work.
    pub fn next(&mut self, now: Instant, busy: bool) -> Option<T> {
        let may = |resting: &Resting<T>| resting.due <= now && (busy || resting.awaited);
        let due = self.parked.iter().enumerate().filter(|(_, resting)| may(resting));
        match due.min_by_key(|(_, resting)| resting.due).map(|(at, _)| at) {
            Some(at) => Some(self.parked.swap_remove(at).work),
            None => self.fresh.pop_front(),
        }
    }

    /// When to look again, while others are at work.
    pub fn due(&self) -> Option<Instant> {
        self.parked.iter().map(|resting| resting.due).min()
    }

    /// When to look again, with nobody at work; none where nothing is left that the run waits for.
    pub fn awaited(&self) -> Option<Instant> {
        let awaited = self.parked.iter().filter(|resting| resting.awaited);
        awaited.map(|resting| resting.due).min()
    }

    /// What is parked still, at the end; and what never began.
    pub fn into_rest(self) -> (Vec<T>, VecDeque<T>) {
        (
            self.parked.into_iter().map(|resting| resting.work).collect(),
            self.fresh,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn parked_work_comes_back_in_its_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = Schedule::new(["a", "b", "c"]);
        assert_eq!(schedule.next(at(0), true), Some("a"));
        schedule.park("a", at(10), true);
        assert_eq!(schedule.next(at(5), true), Some("b"));
        schedule.park("b", at(8), false);
        assert_eq!(schedule.due(), Some(at(8)));
        assert_eq!(schedule.next(at(12), true), Some("b"), "the longest waiting first");
        assert_eq!(schedule.next(at(12), true), Some("a"));
        assert_eq!(schedule.next(at(12), true), Some("c"));
        assert_eq!(schedule.next(at(12), true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_what_takes_too_long() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = Schedule::new([]);
        schedule.park("a", at(1000), false);
        assert_eq!(schedule.awaited(), None);
        schedule.park("b", at(10), true);
        assert_eq!(schedule.awaited(), Some(at(10)));
        assert_eq!(schedule.next(at(2000), false), Some("b"));
        assert_eq!(schedule.next(at(2000), false), None);
        assert_eq!(schedule.into_rest().0, ["a"]);
    }
}
