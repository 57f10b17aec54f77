//! Cursors of listings, and how it is known without listing that nothing changed.
//!
//! A delivery, a removal and a change of flags all change an entry of `cur` or `new`, and with it the directory's
//! modification time. Equal times are proof that nothing changed, but for one case: a change in the same tick of the
//! file system's clock as the last one that the listing saw (ticks last from nanoseconds to two seconds). There is no
//! clock here, so the time of the listing is not known; but some time before it is: the newest modification time of
//! anything in the account that the listing saw before it began. Times are trusted only where they are
//! [`TICK_MS`] older than that. The folder that changed last is thus always listed anew, which costs time and never
//! misses anything.

use std::fmt;

/// The coarsest clock of a file system in use (FAT), in milliseconds.
const TICK_MS: i64 = 2000;

/// What a folder looked like from outside before it was listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Modification time of `cur`, in milliseconds; 0 where it is missing.
    pub cur: i64,
    /// Modification time of `new`.
    pub new: i64,
    /// Modification time of `dovecot-keywords`, which says what the letters mean.
    pub keywords: i64,
    /// The newest modification time seen in the account.
    pub newest: i64,
}

impl Stamp {
    /// Whether the folder is unchanged since `self`, now that it looks like `now`.
    pub fn proves_unchanged(&self, now: &Stamp) -> bool {
        self.same(now) && self.newest.saturating_sub(self.cur.max(self.new).max(self.keywords)) >= TICK_MS
    }

    /// Whether both show the same times.
    pub fn same(&self, other: &Stamp) -> bool {
        (self.cur, self.new, self.keywords) == (other.cur, other.new, other.keywords)
    }
}

/// In what order a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By file name, which begins with the time of delivery.
    Name,
    /// By the UIDs of a `dovecot-uidlist` with this UIDVALIDITY and next UID. Messages that it does not hold, or
    /// holds under a later UID, come last, by name.
    Uid {
        /// UIDVALIDITY.
        validity: u32,
        /// Next UID when the listing began.
        next: u32,
    },
}

/// Where a listing of everything stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Taken before it began.
    pub stamp: Stamp,
    /// How often it began again because the folder changed meanwhile.
    pub round: u32,
    /// Its order.
    pub order: Order,
    /// UID of the last item, in an order by UID.
    pub uid: u32,
    /// The highest base name of the listing before this one; empty where there was none.
    pub seen: String,
    /// The highest base name of this one so far.
    pub highest: String,
    /// File name of the last item; empty at the beginning.
    pub after: String,
}

/// What a cursor says. File names stand at its end: they may hold blanks, but no `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// In a listing.
    Listing(Position),
    /// Behind it.
    Idle {
        /// Taken before it began.
        stamp: Stamp,
        /// The highest base name that it named.
        highest: String,
    },
    /// A watermark: of all that this connector delivered, what has this sequence or a higher one.
    Since {
        /// The first sequence.
        sequence: u64,
        /// The last file name that was looked at; empty at the beginning.
        after: String,
    },
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.cur, self.new, self.keywords, self.newest)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listing(at) => {
                let (kind, validity, next) = match at.order {
                    Order::Name => ('n', 0, 0),
                    Order::Uid { validity, next } => ('u', validity, next),
                };
                write!(f, "1:{kind} {} {} {validity} {next} {} ", at.stamp, at.round, at.uid)?;
                write!(f, "{}/{}/{}", at.seen, at.highest, at.after)
            }
            Self::Idle { stamp, highest } => write!(f, "1:i {stamp} {highest}"),
            Self::Since { sequence, after } => write!(f, "1:w {sequence} {after}"),
        }
    }
}

impl Cursor {
    /// From text; none where it is no cursor of this version.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.strip_prefix("1:")?.split_once(' ')?;
        if kind == "w" {
            let (sequence, after) = rest.split_once(' ')?;
            let (sequence, after) = (sequence.parse().ok()?, after.to_owned());
            return Some(Self::Since { sequence, after });
        }
        let mut fields = rest.splitn(if kind == "i" { 5 } else { 9 }, ' ');
        let mut time = || fields.next()?.parse::<i64>().ok();
        let (cur, new, keywords, newest) = (time()?, time()?, time()?, time()?);
        let stamp = Stamp {
            cur,
            new,
            keywords,
            newest,
        };
        if kind == "i" {
            let highest = fields.next()?.to_owned();
            return Some(Self::Idle { stamp, highest });
        }
        let mut number = || fields.next()?.parse::<u32>().ok();
        let (round, validity, next, uid) = (number()?, number()?, number()?, number()?);
        let order = match kind {
            "n" => Order::Name,
            "u" => Order::Uid { validity, next },
            _ => return None,
        };
        let mut names = fields.next()?.splitn(3, '/').map(str::to_owned);
        let (seen, highest, after) = (names.next()?, names.next()?, names.next()?);
        Some(Self::Listing(Position {
            stamp,
            round,
            order,
            uid,
            seen,
            highest,
            after,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_times_are_trusted_only_when_they_were_old_at_the_time_of_listing() {
        let stamp = |newest| Stamp {
            cur: 10_000,
            new: 9_000,
            keywords: 0,
            newest,
        };
        assert!(stamp(12_000).proves_unchanged(&stamp(50_000)));
        assert!(!stamp(11_999).proves_unchanged(&stamp(50_000)));
        assert!(!stamp(12_000).proves_unchanged(&Stamp {
            new: 9_001,
            ..stamp(12_000)
        }));
        assert!(
            !stamp(12_000).proves_unchanged(&Stamp {
                cur: 9_999,
                ..stamp(12_000)
            }),
            "set back is changed too"
        );
    }

    proptest! {
        #[test]
        fn cursors_come_back(
            times: [i64; 4], numbers: [u32; 4], by_uid: bool, names in proptest::array::uniform3("[^/]{0,20}"), sequence: u64,
        ) {
            let ([cur, new, keywords, newest], [round, validity, next, uid], [seen, highest, after]) = (times, numbers, names);
            let stamp = Stamp { cur, new, keywords, newest };
            let order = if by_uid { Order::Uid { validity, next } } else { Order::Name };
            for cursor in [
                Cursor::Idle { stamp, highest: highest.clone() },
                Cursor::Since { sequence, after: after.clone() },
                Cursor::Listing(Position { stamp, round, order, uid, seen, highest, after }),
            ] {
                prop_assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
            }
        }

        #[test]
        fn no_text_makes_it_fail(text in "1:[nuiwx] [0-9 /-]{0,40}|\\PC*") {
            let _ = Cursor::parse(&text);
        }
    }
}
