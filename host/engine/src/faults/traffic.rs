//! What an account may move in a day: providers lock accounts that move more. Kept in the ledger, so that it holds over
//! runs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use whimbrel_ledger::{Ledger, LedgerError, MailboxId};

use super::{Clock, history::Side};

/// Bytes of messages that a mailbox may move in 24 hours; none: as many as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Daily {
    /// From the source.
    pub source: Option<u64>,
    /// To the destination.
    pub destination: Option<u64>,
}

impl Daily {
    fn of(self, side: Side) -> Option<u64> {
        match side {
            Side::Source => self.source,
            Side::Destination => self.destination,
        }
    }

    /// In how many days so many bytes are moved; none where there is no limit.
    pub fn days(self, bytes: u64) -> Option<u64> {
        Some(bytes.div_ceil(self.least()?.max(1)))
    }

    /// The smaller budget.
    pub fn least(self) -> Option<u64> {
        [self.source, self.destination].into_iter().flatten().min()
    }
}

/// What is counted together, in milliseconds: a quarter of an hour.
const SLOT: i64 = 15 * 60 * 1000;
/// How many of those a day has.
const DAY: i64 = 96;

/// Bytes that went over the line in the last 24 hours, by quarter of an hour since 1970. One counts until all of it is
/// more than a day ago.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Window(BTreeMap<i64, u64>);

impl Window {
    fn read(text: &str) -> Self {
        Self(
            serde_json::from_str::<Vec<(i64, u64)>>(text)
                .unwrap_or_default()
                .into_iter()
                .collect(),
        )
    }

    fn write(&self) -> String {
        let slots: Vec<(i64, u64)> = self.0.iter().map(|(slot, bytes)| (*slot, *bytes)).collect();
        serde_json::to_string(&slots).unwrap_or_default()
    }

    fn used(&self) -> u64 {
        self.0.values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// Forgets what is more than a day ago.
    fn forget(&mut self, now: i64) {
        let oldest = now.div_euclid(SLOT) - DAY;
        self.0 = self.0.split_off(&oldest);
    }

    /// When there is room for so many bytes, in milliseconds since 1970; none: now. What is larger than the budget goes
    /// when nothing else went for a day.
    fn room(&self, bytes: u64, budget: u64) -> Option<i64> {
        let mut used = self.used();
        let mut at = None;
        for (slot, moved) in &self.0 {
            if used == 0 || used.saturating_add(bytes) <= budget {
                break;
            }
            used -= moved;
            at = Some((slot + DAY + 1) * SLOT);
        }
        at
    }

    fn add(&mut self, now: i64, bytes: u64) {
        let slot = self.0.entry(now.div_euclid(SLOT)).or_default();
        *slot = slot.saturating_add(bytes);
    }
}

/// What the accounts of a run moved.
#[derive(Debug)]
pub struct Traffic {
    clock: Clock,
    windows: Mutex<HashMap<(MailboxId, Side), Window>>,
}

fn key(mailbox: MailboxId, side: Side) -> String {
    let side = match side {
        Side::Source => "source",
        Side::Destination => "destination",
    };
    format!("traffic/{mailbox}/{side}")
}

impl Traffic {
    /// None yet, but for what the ledger knows.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            windows: Mutex::default(),
        }
    }

    /// Takes so many bytes out of these budgets of a mailbox, those of both sides, before they are moved; else says how long it
    /// takes until there is room. Kept in the ledger, and on the disk from the next flush on.
    pub fn take(
        &self,
        ledger: &Ledger,
        mailbox: MailboxId,
        daily: Daily,
        bytes: u64,
    ) -> Result<Option<(Side, Duration)>, LedgerError> {
        let now = self.clock.unix_ms();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let sides = [Side::Source, Side::Destination];
        let budgets = sides.into_iter().filter_map(|side| Some((side, daily.of(side)?)));
        let mut latest = None;
        for (side, budget) in budgets.clone() {
            let window = match windows.entry((mailbox, side)) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    let text = ledger.get_meta(&key(mailbox, side))?.unwrap_or_default();
                    place.insert(Window::read(&text))
                }
            };
            window.forget(now);
            if let Some(at) = window.room(bytes, budget)
                && latest.is_none_or(|(_, other)| at > other)
            {
                latest = Some((side, at));
            }
        }
        if let Some((side, at)) = latest {
            let wait = u64::try_from(at.saturating_sub(now)).unwrap_or_default();
            return Ok(Some((side, Duration::from_millis(wait))));
        }
        for (side, _) in budgets {
            if let Some(window) = windows.get_mut(&(mailbox, side)) {
                window.add(now, bytes);
                ledger.set_meta(&key(mailbox, side), &window.write())?;
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 4 * SLOT;

    #[test]
    fn a_day_rolls() {
        let mut window = Window::default();
        window.add(0, 60);
        window.add(5 * HOUR, 30);
        assert_eq!(window.room(10, 100), None);
        assert_eq!(window.room(11, 100), Some(24 * HOUR + SLOT), "when the first has left");
        assert_eq!(window.room(80, 100), Some(29 * HOUR + SLOT));
        assert_eq!(window.room(500, 100), Some(29 * HOUR + SLOT), "too large: alone");
        window.forget(24 * HOUR);
        assert_eq!(window.used(), 90, "not all of the quarter is a day ago");
        window.forget(24 * HOUR + SLOT);
        assert_eq!(window.used(), 30);
        window.forget(40 * HOUR);
        assert_eq!(window.room(500, 100), None);
    }

    #[test]
    fn it_is_written_and_read() {
        let mut window = Window::default();
        window.add(3 * HOUR + 1, 7);
        window.add(3 * HOUR + 2, 7);
        assert_eq!(Window::read(&window.write()), window);
        assert_eq!(Window::read("garbage"), Window::default());
    }

    #[test]
    fn the_smaller_budget_tells_how_long_it_takes() {
        let daily = Daily {
            source: Some(2000),
            destination: Some(400),
        };
        assert_eq!(daily.days(1000), Some(3));
        assert_eq!(daily.days(0), Some(0));
        assert_eq!(Daily::default().days(1000), None);
    }
}
