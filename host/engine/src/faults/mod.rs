//! What follows a failure: how often something is tried again, after which pauses, and what becomes of it then.
//!
//! [`class`] is the one table of it. [`patience`] applies it where something failed, [`breaker`] to a server as a whole,
//! [`suspects`] to single messages, [`traffic`] to what may be moved in a day. [`parking`] is what becomes of a mailbox
//! that has to wait for long: it gives its place to another, and [`schedule`] brings it back.

pub mod breaker;
pub mod class;
pub mod clock;
pub mod history;
pub mod parking;
pub mod patience;
pub mod schedule;
pub mod suspects;
pub mod traffic;

pub use class::{Class, Row, TABLE, Then, Tries};
pub use clock::Clock;
pub use parking::Parked;
pub use traffic::Daily;

use std::time::Duration;

/// What an admin can choose about failures.
#[derive(Debug, Clone)]
pub struct FaultOptions {
    /// How long a mailbox may wait, in all its parks since it last moved something, before the run ends without it.
    pub wait: Duration,
    /// The longest pause that a server may ask for; a longer wish is cut to this.
    pub longest_wish: Duration,
    /// What the pauses of the table are multiplied by: 1, but in tests. What servers wish for is not scaled.
    pub scale: f64,
    /// Where the random numbers start that spread pauses.
    pub seed: u64,
    /// Tells the time.
    pub clock: Clock,
}

impl FaultOptions {
    /// What holds where an admin says nothing.
    pub fn new(clock: Clock) -> Self {
        Self {
            wait: Duration::from_secs(30 * 60),
            longest_wish: Duration::from_secs(3600),
            scale: 1.0,
            seed: 0,
            clock,
        }
    }
}
