//! What a run tells in the end.

use serde::Serialize;
use whimbrel_ledger::{CollectionRecord, Totals};
use whimbrel_model::{Failure, Kind};
use whimbrel_sandbox::{Connection, Usage};

use crate::{Provider, faults::Parked, remedy::remedy, rules::RuleCount};

/// Where items stand; stable JSON. `found = moved + merged + filtered + oversize + failed + pending`, and
/// `unexplained` is what the provider claims beyond what it listed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[allow(missing_docs)] // The names are those of the design: counts of items, bytes, seconds.
pub struct Counts {
    pub found: u64,
    pub moved: u64,
    pub merged: u64,
    pub filtered: u64,
    pub oversize: u64,
    pub failed: u64,
    pub pending: u64,
    pub unexplained: u64,
    /// Bytes that lie at the destination.
    pub bytes: u64,
    /// Time of the run; zero in a mere status.
    pub seconds: f64,
}

impl Counts {
    /// Of these collections.
    pub fn of(collections: &[CollectionRecord], seconds: f64) -> Self {
        let totals: Totals = collections.iter().map(|collection| collection.totals).sum();
        let parts = totals.moved + totals.merged + totals.filtered + totals.oversize + totals.failed + totals.pending;
        Self {
            found: totals.found,
            moved: totals.moved,
            merged: totals.merged,
            filtered: totals.filtered,
            oversize: totals.oversize,
            failed: totals.failed,
            pending: totals.pending,
            unexplained: collections.iter().map(unlisted).sum::<u64>() + totals.found.abs_diff(parts),
            bytes: totals.bytes_moved,
            seconds,
        }
    }

    /// Both together; the time is the longer one.
    pub fn plus(self, other: Self) -> Self {
        Self {
            found: self.found + other.found,
            moved: self.moved + other.moved,
            merged: self.merged + other.merged,
            filtered: self.filtered + other.filtered,
            oversize: self.oversize + other.oversize,
            failed: self.failed + other.failed,
            pending: self.pending + other.pending,
            unexplained: self.unexplained + other.unexplained,
            bytes: self.bytes + other.bytes,
            seconds: self.seconds.max(other.seconds),
        }
    }

    /// Whether every item found lies at the destination or was left out on purpose.
    pub fn complete(&self) -> bool {
        self.failed == 0 && self.pending == 0 && self.unexplained == 0
    }
}

/// How many items the provider claims beyond what it listed.
pub(crate) fn unlisted(collection: &CollectionRecord) -> u64 {
    collection
        .claimed
        .map_or(0, |claimed| claimed.saturating_sub(collection.totals.live))
}

/// What one run did; stable JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Worked {
    /// Items newly found.
    pub found: u64,
    /// Items copied.
    pub copied: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Items that the destination had already.
    pub merged: u64,
    /// Items whose flags or labels were brought up to date.
    pub marked: u64,
    /// Items whose content was brought up to date.
    pub replaced: u64,
    /// Items moved on the server, as they had been at the source.
    pub relocated: u64,
    /// Items known again under new ids.
    pub adopted: u64,
    /// Items that vanished at the source.
    pub vanished: u64,
    /// Items moved to the destination's trash, since they were deleted at the source and that is to be mirrored.
    pub trashed: u64,
    /// Items that a crash or a broken connection had left open, and that were found at the destination.
    pub settled: u64,
}

impl Worked {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            found: self.found + other.found,
            copied: self.copied + other.copied,
            bytes: self.bytes + other.bytes,
            merged: self.merged + other.merged,
            marked: self.marked + other.marked,
            replaced: self.replaced + other.replaced,
            relocated: self.relocated + other.relocated,
            adopted: self.adopted + other.adopted,
            vanished: self.vanished + other.vanished,
            trashed: self.trashed + other.trashed,
            settled: self.settled + other.settled,
        }
    }

    /// Whether anything came nearer to its end.
    pub fn moved(&self) -> bool {
        self.copied + self.merged + self.marked + self.relocated + self.adopted + self.settled > 0
    }
}

/// Something that kept a mailbox or collection from being finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The source collection, as a path; none: the whole mailbox.
    pub collection: Option<String>,
    /// A short, stable name; see `types.failure` in the contract.
    pub code: &'static str,
    /// What was wrong.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    /// What a mailbox may move in a day is used up.
    pub fn daily_budget(side: &str) -> Self {
        Self {
            collection: None,
            code: "daily-budget",
            text: format!("{side}: what the settings let this mailbox move in 24 hours is used up"),
            remedy: format!("run again then; or raise `daily` in [{side}], if the provider allows more"),
        }
    }

    /// From a failure.
    pub fn new(collection: Option<String>, side: &str, failure: &Failure) -> Self {
        Self {
            collection,
            code: failure.code(),
            text: format!("{side}: {failure}"),
            remedy: remedy(failure).to_owned(),
        }
    }
}

/// What both sides of a mailbox were connected to in a run, and how that was protected; stable JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BothConnections {
    /// To the source.
    pub source: Vec<Connection>,
    /// To the destination.
    pub destination: Vec<Connection>,
}

/// What the connector of one side used and tried in a run; stable JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectorReport {
    /// `source` or `destination`.
    pub side: &'static str,
    /// What it calls itself.
    pub connector: String,
    /// Its version.
    pub version: String,
    /// What was counted.
    #[serde(flatten)]
    pub usage: Usage,
}

impl ConnectorReport {
    /// Of one side, if anybody counts there.
    pub(crate) fn of(side: &'static str, provider: &dyn Provider) -> Option<Self> {
        let (version, usage) = provider.usage()?;
        Some(Self {
            side,
            connector: provider.name().to_owned(),
            version,
            usage,
        })
    }
}

/// How a mailbox came out.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MailboxReport {
    /// The admin's name for it.
    pub name: String,
    /// What its items are, to call them by their name.
    #[serde(skip)]
    pub kind: Kind,
    /// Where it stands, over all runs.
    #[serde(flatten)]
    pub counts: Counts,
    /// What this run did.
    pub worked: Worked,
    /// What kept it from being finished.
    pub problems: Vec<Problem>,
    /// What was done differently than asked, and why; nothing that is counted as success happens in silence.
    pub notes: Vec<String>,
    /// What each rule did in this run, in the order of the script.
    pub rules: Vec<RuleCount>,
    /// What it was connected to in this run.
    pub connections: BothConnections,
    /// What the connectors of both sides used and tried in this run.
    pub connectors: Vec<ConnectorReport>,
    /// Why it waits, and until when, if it was parked when it was last worked on.
    pub parked: Option<Parked>,
}

impl MailboxReport {
    /// Nothing is left to do or to explain.
    pub fn complete(&self) -> bool {
        self.problems.is_empty() && self.counts.complete()
    }
}

/// How a run came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// In the order of the settings.
    pub mailboxes: Vec<MailboxReport>,
    /// All together.
    pub total: Counts,
    /// Somebody stopped it.
    pub interrupted: bool,
}

impl Report {
    /// Sums up.
    pub fn new(mailboxes: Vec<MailboxReport>, seconds: f64, interrupted: bool) -> Self {
        let mut total = mailboxes
            .iter()
            .fold(Counts::default(), |sum, mailbox| sum.plus(mailbox.counts));
        total.seconds = seconds;
        Self {
            mailboxes,
            total,
            interrupted,
        }
    }

    /// Nothing is left to do or to explain.
    pub fn complete(&self) -> bool {
        !self.interrupted && self.mailboxes.iter().all(MailboxReport::complete)
    }
}
