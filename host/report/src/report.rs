//! What a report says, as plain data; its JSON is stable and documented in `docs/report.md`.

use serde::Serialize;
use whimbrel_engine::Counts;

use crate::verified::Verified;

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Which migration, and when this was written.
    pub migration: Migration,
    /// Where mail came from.
    pub source: Side,
    /// Where it went.
    pub destination: Side,
    /// How often it ran, and when.
    pub runs: Runs,
    /// What to think of it.
    pub verdict: Overall,
    /// Where all messages stand; as in `status`.
    pub total: Counts,
    /// Bytes of what was found.
    pub bytes_found: u64,
    /// In the order of the settings.
    pub mailboxes: Vec<Mailbox>,
    /// What messages failed for, the most frequent first; `oversize` for those left out for their size.
    pub reasons: Vec<Reason>,
    /// What was done to messages.
    pub done: Done,
    /// Sizes of messages.
    pub sizes: Vec<Bin>,
    /// Messages whose size nobody told.
    pub unsized_messages: u64,
    /// The largest message, in bytes.
    pub largest: u64,
    /// When messages were received, by month.
    pub received: Vec<Period>,
    /// Messages without a date.
    pub undated: u64,
    /// How fast it went while runs were under way.
    pub rate: Vec<RatePoint>,
    /// What to do next.
    pub next: Vec<Advice>,
    /// What the lists above leave out.
    pub left_out: Lists,
}

/// Which migration, and when the report was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migration {
    /// `migration.name` of the settings.
    pub name: String,
    /// When its first run began, in seconds since 1970; none where nothing ran.
    pub began: Option<i64>,
    /// When this report was written.
    pub reported: i64,
    /// The version of the program that wrote it.
    pub version: String,
}

/// One side of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Side {
    /// As the settings name the connectors, the first one first.
    pub connectors: Vec<String>,
    /// Every connector that a run used here, the last one first.
    pub used: Vec<Connector>,
    /// What it was connected to.
    pub servers: Vec<Server>,
    /// What its connectors tried and may not, in the order of the first time.
    pub refused: Vec<Refused>,
    /// Further attempts that are not listed.
    pub refused_left_out: u64,
    /// Calls of its connectors that were ended.
    pub ended: EndedCalls,
}

/// A connector as a run used it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connector {
    /// By its own description.
    pub name: String,
    /// Its version.
    pub version: String,
    /// BLAKE3 of the component.
    pub blake3: String,
    /// Runs that used it.
    pub runs: u64,
}

/// What a connector tried and may not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// By its own description.
    pub connector: String,
    /// Its version.
    pub version: String,
    /// What sort, by its stable name: see `docs/trust.md`.
    pub attempt: String,
    /// What was tried.
    pub what: String,
    /// How often.
    pub count: u64,
}

/// Calls of connectors that the host ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct EndedCalls {
    /// By a trap.
    pub traps: u64,
    /// For the time that they took.
    pub timeouts: u64,
    /// For the memory that they wanted.
    pub memory_refusals: u64,
}

/// A server that a side was connected to, and how that was protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    /// As the connector named it.
    pub host: String,
    /// TCP.
    pub port: u16,
    /// `TLS 1.3`, `TLS 1.2`, or none for clear text.
    pub tls: Option<String>,
    /// By its name in the registry of IANA.
    pub cipher: Option<String>,
    /// Of the certificate.
    pub fingerprint: Option<String>,
    /// Turns of mailboxes that used it: a mailbox has one in every run that does something for it.
    pub turns: u64,
}

/// How often the migration ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Runs {
    /// How many runs began.
    pub count: u64,
    /// Time of those that ended, together.
    pub seconds: f64,
    /// When the last one began, in seconds since 1970.
    pub last: Option<i64>,
    /// Single runs, oldest first; the last one, and those that copied most.
    pub list: Vec<Run>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// `migrate` or `retry`.
    pub verb: String,
    /// The version of the program.
    pub version: String,
    /// How it ended.
    pub end: RunEnd,
    /// How long it took; none where it was broken off.
    pub seconds: Option<f64>,
    /// How many mailboxes it was for.
    pub mailboxes: u64,
    /// Messages newly found.
    pub found: u64,
    /// Messages copied.
    pub copied: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Messages that the destination had already.
    pub merged: u64,
    /// Messages whose flags or labels were brought up to date.
    pub marked: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// By itself.
    Finished,
    /// Somebody stopped it.
    Interrupted,
    /// Its process was ended, or the machine was; the next run went on from there.
    BrokenOff,
}

/// How well something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing is left to do.
    Good,
    /// Something is left to do or to look at.
    Open,
    /// Something is wrong.
    Bad,
}

/// The verdict on all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overall {
    /// In one word.
    pub level: Level,
    /// In a few words.
    pub headline: String,
    /// The reasons, a sentence each.
    pub sentences: Vec<String>,
    /// Whether `found = moved + merged + filtered + oversize + failed + pending`.
    pub balanced: bool,
    /// The grade of all mailboxes that were verified, together.
    pub grade: Option<&'static str>,
    /// Mailboxes that were verified.
    pub verified: u64,
    /// Of those, the ones that a later run changed.
    pub outdated: u64,
    /// When the oldest of these verifications began, in seconds since 1970.
    pub oldest: Option<i64>,
    /// When the newest began.
    pub newest: Option<i64>,
    /// Messages compared.
    pub compared: u64,
    /// Bodies read.
    pub read: u64,
    /// Differences found, by class.
    pub differences: Vec<Tallied>,
    /// Mailboxes where nothing is left to do or to explain.
    pub complete: u64,
    /// Mailboxes that no run has seen.
    pub not_started: u64,
}

/// How far a mailbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No run has seen it.
    NotStarted,
    /// Something kept the last run from finishing it.
    Problems,
    /// Messages were refused.
    FailedItems,
    /// The source claims more than it lists.
    Unexplained,
    /// Messages wait.
    Unfinished,
    /// Nothing is left to do or to explain.
    Complete,
}

impl State {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotStarted => "not started",
            Self::Problems => "problems",
            Self::FailedItems => "failed items",
            Self::Unexplained => "unexplained",
            Self::Unfinished => "unfinished",
            Self::Complete => "complete",
        }
    }
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mailbox {
    /// The admin's name for it.
    pub name: String,
    /// Where its messages stand; as in `status`.
    #[serde(flatten)]
    pub counts: Counts,
    /// Bytes of what was found.
    pub bytes_found: u64,
    /// How far it is.
    pub state: State,
    /// What its last verification said.
    pub verified: Option<Verified>,
    /// What kept the last run from finishing it.
    pub problems: Vec<Problem>,
    /// Folders of which something is to be said; all of them where there are few mailboxes.
    pub folders: Vec<Folder>,
    /// Folders that are not listed.
    pub folders_left_out: u64,
    /// Messages that failed.
    pub failed_items: Vec<FailedItem>,
    /// Failed messages that are not listed.
    pub failed_left_out: u64,
    /// Messages that were left out for their size.
    pub oversize_items: Vec<OversizeItem>,
    /// Those that are not listed.
    pub oversize_left_out: u64,
}

impl Mailbox {
    /// Whether there is more to say of it than its row in the table.
    pub fn has_details(&self) -> bool {
        let different = self
            .verified
            .as_ref()
            .is_some_and(|verified| !verified.reasons.is_empty());
        let listed = self.folders.len() + self.problems.len() + self.failed_items.len() + self.oversize_items.len();
        different || listed > 0
    }
}

/// What kept a mailbox or a folder from being finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The folder; none: the whole mailbox.
    pub collection: Option<String>,
    /// A short, stable name.
    pub code: String,
    /// What was wrong.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

/// A folder of the source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Folder {
    /// Its path.
    pub path: String,
    /// The path of its counterpart, once that is known.
    pub target: Option<String>,
    /// Where its messages stand.
    #[serde(flatten)]
    pub counts: Counts,
    /// Bytes of what was found.
    pub bytes_found: u64,
    /// Why the source cut its listing short, if it did.
    pub capped: Option<String>,
}

/// A message that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedItem {
    /// Its folder at the source.
    pub collection: String,
    /// Its id there.
    pub id: String,
    /// A short, stable name of the cause.
    pub code: &'static str,
    /// The cause.
    pub cause: String,
    /// What the content has to do with it, as far as that could be found out.
    pub diagnosis: Option<String>,
    /// What to do.
    pub remedy: &'static str,
    /// Bytes, where known.
    pub size: Option<u64>,
    /// When it was received, in seconds since 1970.
    pub received: Option<i64>,
    /// How often it was tried.
    pub attempts: u32,
    /// Where its bytes lie, below the state folder.
    pub quarantine: Option<String>,
    /// Its subject, where that was asked for and its bytes are there.
    pub subject: Option<String>,
}

/// A message that was left out for its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OversizeItem {
    /// Its folder at the source.
    pub collection: String,
    /// Its id there.
    pub id: String,
    /// Bytes, where known.
    pub size: Option<u64>,
    /// The limit, in bytes.
    pub limit: u64,
    /// When it was received, in seconds since 1970.
    pub received: Option<i64>,
}

/// What messages failed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A short, stable name.
    pub code: &'static str,
    /// How many messages.
    pub count: u64,
    /// What to do.
    pub remedy: &'static str,
}

/// How often something occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tallied {
    /// What.
    pub what: String,
    /// How often.
    pub count: u64,
}

/// What was done to messages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Done {
    /// What each line of the rules decided, in the order of the script.
    pub rules: Vec<Applied>,
    /// Why rules left messages out, the most frequent first.
    pub filtered: Vec<Tallied>,
    /// Repairs, and what formats forced on content, by name; the most frequent first.
    pub repairs: Vec<Tallied>,
}

/// What a line of the rules decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The function of the script.
    pub rule: String,
    /// The script's file.
    pub file: String,
    /// The line there.
    pub line: u32,
    /// What it did.
    pub did: String,
    /// With how many messages.
    pub count: u64,
}

/// Messages of about one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// The smallest size, in bytes.
    pub from: u64,
    /// The size from which the next bin counts; none in the last one.
    pub below: Option<u64>,
    /// How many messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Messages of one month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    /// The year.
    pub year: i16,
    /// The month, from 1.
    pub month: i8,
    /// How many messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How fast it went for a while.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RatePoint {
    /// The run, by its place in [`Runs::list`].
    pub run: usize,
    /// When this while began, in milliseconds since 1970.
    pub began_ms: i64,
    /// How long it is.
    pub seconds: f64,
    /// Messages copied in a minute.
    pub messages: f64,
    /// Bytes copied in a minute.
    pub bytes: f64,
}

/// A difference that verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Difference {
    /// Its class.
    pub class: String,
    /// The folder at the source.
    pub collection: Option<String>,
    /// The id there.
    pub id: Option<String>,
    /// What should be.
    pub expected: Option<String>,
    /// What is.
    pub found: Option<String>,
    /// What has likely happened.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What, and why.
    pub text: String,
    /// The command line.
    pub command: Option<String>,
}

/// What lists leave out, so that a report stays small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Lists {
    /// Folders.
    pub folders: u64,
    /// Failed messages.
    pub failed: u64,
    /// Oversize messages.
    pub oversize: u64,
    /// Runs.
    pub runs: u64,
    /// Decisions of rules beyond those that are listed.
    pub rules: u64,
    /// Filtered messages with reasons beyond those that are listed.
    pub filtered: u64,
    /// Repairs beyond those that are listed.
    pub repairs: u64,
}
