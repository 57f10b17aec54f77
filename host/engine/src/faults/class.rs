//! The table of retry classes.

use std::time::Duration;

use whimbrel_model::Failure;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A pause above this is not waited for: the mailbox is parked, and its place goes to another.
pub const PARKED_ABOVE: Duration = seconds(10);

/// Connections in a row that fail before a server is left alone for a while.
pub const FAILED_CONNECTIONS: u32 = 5;

/// Refusals of single items after which another connection is taken: some servers end one after ten.
pub const ERRORS_A_CONNECTION: u32 = 8;

/// Losses of the connection at a batch as a whole before it is halved.
pub const LOSSES_OF_A_BATCH: u32 = 2;

/// Losses in a row, at whatever was tried, before each further one is followed by a pause.
pub const LOSSES_IN_A_ROW: u32 = 10;

/// A message alone counts as the cause of its losses where chance would bring them about less often than this.
pub const LOSSES_BY_CHANCE: f64 = 1e-5;

/// Losses of the connection at one message alone before it may count as the cause, however good the line is to others.
pub const LOSSES_AT_LEAST: u32 = 3;

/// Losses after which it counts as the cause, however bad the line is.
pub const LOSSES_AT_MOST: u32 = 20;

/// A kind of failure, by what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The server asked to slow down.
    Throttled,
    /// No connection comes about, to a server that was reached before in this run.
    Unreachable,
    /// No connection to the server has come about since the run began.
    NeverReached,
    /// A connection ended in the midst of work.
    Lost,
    /// Nothing is tried at the server for now; see [`super::breaker`].
    ServerPaused,
    /// Credentials refused that had been accepted in this run.
    LoginLapsed,
    /// Credentials refused.
    LoginRefused,
    /// The account is full.
    OverQuota,
    /// What may be moved in a day is used up.
    DailyBudget,
    /// The connector's own fault.
    Internal,
    /// All ids of a folder became void.
    GenerationChanged,
    /// About a message or a folder, and final.
    Refused,
    /// The settings or the rules are wrong.
    Settings,
}

/// How often something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// So often in a row.
    Fixed(u32),
    /// As often as `limits.retries` says.
    Setting,
}

/// What follows when the tries are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The mailbox is parked: first for so long, then twice as long each time that nothing moved in between, up to so
    /// long.
    Park {
        /// The first time.
        first: Duration,
        /// At most.
        longest: Duration,
    },
    /// The mailbox stops; the others go on.
    Stop,
    /// A message goes to the quarantine, a folder is left out; the rest of the mailbox goes on.
    Aside,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which kind of failure.
    pub class: Class,
    /// A short, stable name.
    pub name: &'static str,
    /// When a failure is of this kind.
    pub when: &'static str,
    /// How often it is tried again.
    pub tries: Tries,
    /// The pause before the first such try, at most: each is a random part of it.
    pub first: Duration,
    /// What the pause grows by with each try.
    pub factor: u32,
    /// Where it stops to grow.
    pub longest: Duration,
    /// What follows.
    pub then: Then,
}

const NONE: Tries = Tries::Fixed(0);

const fn park(first: u64, longest: u64) -> Then {
    Then::Park {
        first: seconds(first),
        longest: seconds(longest),
    }
}

const fn row(
    class: Class,
    (name, when): (&'static str, &'static str),
    tries: Tries,
    (first, factor, longest): (u64, u32, u64),
    then: Then,
) -> Row {
    Row {
        class,
        name,
        when,
        tries,
        first: seconds(first),
        factor,
        longest: seconds(longest),
        then,
    }
}

/// Every class. Nothing else in the program decides on a pause after a failure, or on a number of tries.
pub static TABLE: [Row; 13] = [
    row(
        Class::Throttled,
        ("throttled", "the server asks to slow down"),
        Tries::Setting,
        (2, 2, 120),
        park(5 * 60, 3600),
    ),
    row(
        Class::Unreachable,
        (
            "unreachable",
            "no connection comes about, to a server that was reached before in this run",
        ),
        Tries::Setting,
        (1, 2, 30),
        park(60, 900),
    ),
    row(
        Class::NeverReached,
        (
            "never-reached",
            "no connection to the server has come about since the run began",
        ),
        Tries::Setting,
        (1, 2, 30),
        Then::Stop,
    ),
    row(
        Class::Lost,
        ("connection-lost", "a connection ends in the midst of work"),
        Tries::Setting,
        (1, 2, 30),
        park(60, 900),
    ),
    row(
        Class::ServerPaused,
        (
            "server-paused",
            "several connections in a row to the server failed: one mailbox looks whether it is back",
        ),
        NONE,
        (0, 1, 0),
        park(30, 600),
    ),
    row(
        Class::LoginLapsed,
        (
            "login-lapsed",
            "the server refuses a password or token that it took before in this run",
        ),
        Tries::Fixed(2),
        (5, 2, 60),
        park(5 * 60, 3600),
    ),
    row(
        Class::LoginRefused,
        (
            "login-refused",
            "the server refuses a password or token, and never took it in this run",
        ),
        NONE,
        (0, 1, 0),
        Then::Stop,
    ),
    row(
        Class::OverQuota,
        ("over-quota", "the destination mailbox, or its server, is full"),
        NONE,
        (0, 1, 0),
        park(5 * 60, 3600),
    ),
    row(
        Class::DailyBudget,
        (
            "daily-budget",
            "what may be moved in 24 hours (`daily`) is used up: parked until enough of it is free again",
        ),
        NONE,
        (0, 1, 0),
        park(60, 24 * 3600),
    ),
    row(
        Class::Internal,
        (
            "internal",
            "a fault of the connector: it traps, computes for too long, or breaks its contract",
        ),
        Tries::Fixed(2),
        (1, 4, 10),
        Then::Stop,
    ),
    row(
        Class::GenerationChanged,
        (
            "generation-changed",
            "all ids of a folder became void: it is listed anew and matched by content",
        ),
        NONE,
        (0, 1, 0),
        Then::Aside,
    ),
    row(
        Class::Refused,
        (
            "refused",
            "a message or a folder is refused, too large, not allowed, not there or not supported",
        ),
        NONE,
        (0, 1, 0),
        Then::Aside,
    ),
    row(
        Class::Settings,
        ("settings", "the settings or the rules are wrong"),
        NONE,
        (0, 1, 0),
        Then::Stop,
    ),
];

/// Where a failure came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// While an account was opened, not in work with it.
    pub opening: bool,
    /// The account had been open in this run.
    pub opened: bool,
    /// Its server had been reached in this run, by anybody.
    pub reached: bool,
}

impl Class {
    /// Of a failure.
    pub fn of(failure: &Failure, stage: Stage) -> Self {
        match failure {
            Failure::Throttled { .. } => Self::Throttled,
            Failure::Unavailable(_) if !stage.opening => Self::Lost,
            Failure::Unavailable(_) if stage.opened || stage.reached => Self::Unreachable,
            Failure::Unavailable(_) => Self::NeverReached,
            Failure::Unauthenticated(_) if stage.opened => Self::LoginLapsed,
            Failure::Unauthenticated(_) => Self::LoginRefused,
            Failure::OverQuota(_) => Self::OverQuota,
            Failure::Internal(_) => Self::Internal,
            Failure::GenerationChanged => Self::GenerationChanged,
            Failure::Forbidden(_)
            | Failure::NotFound(_)
            | Failure::TooLarge(_)
            | Failure::Rejected(_)
            | Failure::Unsupported(_) => Self::Refused,
            Failure::InvalidSettings(_) | Failure::Rules(_) => Self::Settings,
        }
    }

    /// What the table says of it.
    pub fn row(self) -> &'static Row {
        // In the order of the enum, which a test holds it to.
        &TABLE[self as usize]
    }
}

impl Row {
    /// How often it is tried again, where the settings say so many `retries`.
    pub fn tries(&self, retries: u32) -> u32 {
        match self.tries {
            Tries::Fixed(tries) => tries,
            Tries::Setting => retries,
        }
    }

    /// The longest that the pause before this try (from 0) may be.
    pub fn pause(&self, tried: u32) -> Duration {
        grown(self.first, self.factor, tried, self.longest)
    }
}

impl Then {
    /// How long a mailbox is parked after so many parks in which nothing moved; none where it is not parked.
    pub fn park(self, parks: u32) -> Option<Duration> {
        match self {
            Self::Park { first, longest } => Some(grown(first, 2, parks, longest)),
            Self::Stop | Self::Aside => None,
        }
    }
}

fn grown(first: Duration, factor: u32, times: u32, longest: Duration) -> Duration {
    let factor = factor.saturating_pow(times.min(31));
    first.saturating_mul(factor).min(longest)
}

/// Whether a failure concerns a message or a folder, and not the account.
pub fn concerns_part(failure: &Failure) -> bool {
    let anywhere = Stage {
        opening: false,
        opened: true,
        reached: true,
    };
    Class::of(failure, anywhere).row().then == Then::Aside
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: Stage = Stage {
        opening: false,
        opened: true,
        reached: true,
    };

    #[test]
    fn every_class_has_its_row() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.class as usize, at, "{}", row.name);
            assert_eq!(row.class.row(), row);
        }
    }

    #[test]
    fn the_same_failure_means_different_things_at_different_times() {
        let gone = Failure::Unavailable("x".into());
        let refused = Failure::Unauthenticated("x".into());
        let opening = Stage { opening: true, ..WORK };
        let first = Stage {
            opening: true,
            opened: false,
            reached: false,
        };
        let other = Stage { reached: true, ..first };
        assert_eq!(Class::of(&gone, WORK), Class::Lost);
        assert_eq!(Class::of(&gone, opening), Class::Unreachable);
        assert_eq!(Class::of(&gone, other), Class::Unreachable);
        assert_eq!(Class::of(&gone, first), Class::NeverReached);
        assert_eq!(Class::of(&refused, opening), Class::LoginLapsed);
        assert_eq!(Class::of(&refused, other), Class::LoginRefused);
    }

    #[test]
    fn pauses_grow_up_to_their_limit_and_never_overflow() {
        let row = Class::Lost.row();
        let pauses: Vec<u64> = (0..7).map(|tried| row.pause(tried).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(row.pause(u32::MAX), seconds(30));
        let parks: Vec<u64> = (0..6).map(|parks| row.then.park(parks).unwrap().as_secs()).collect();
        assert_eq!(parks, [60, 120, 240, 480, 900, 900]);
        assert_eq!(Then::Stop.park(0), None);
    }

    #[test]
    fn what_concerns_a_part_leaves_the_mailbox_alone() {
        for failure in [
            Failure::Rejected("x".into()),
            Failure::NotFound("x".into()),
            Failure::TooLarge(None),
            Failure::GenerationChanged,
        ] {
            assert!(concerns_part(&failure), "{failure}");
        }
        for failure in [
            Failure::OverQuota("x".into()),
            Failure::Unavailable("x".into()),
            Failure::Unauthenticated("x".into()),
            Failure::Internal("x".into()),
            Failure::InvalidSettings("x".into()),
        ] {
            assert!(!concerns_part(&failure), "{failure}");
        }
    }
}
