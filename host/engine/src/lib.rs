//! The engine of a migration: assess, plan, copy, delta, settle. Plain data in, plain data out.
//!
//! The engine knows connectors only through [`Provider`], [`Source`] and [`Destination`], and no provider by name. It
//! reads no environment, no home folder and no terminal; progress goes to an [`Observer`], results come back as
//! [`Report`]s, and every item's fate lies in the ledger before anybody is told of it.
//!
//! How a mailbox is moved:
//!
//! 1. open intents of an earlier run are settled ([`settle`]): what a crash left unknown is looked up and recorded;
//! 2. the source's collections are listed, from the cursors that the ledger holds ([`scan`]): new items wait as
//!    `pending`, changed flags as marks, vanished items become orphans;
//! 3. destination collections are planned as a whole and then made ([`names`], [`targets`]);
//! 4. what waits is copied ([`copy`]), several collections at once: bodies are fetched, the rules decide ([`rules`]),
//!    what is an orphan is known again ([`orphans`]), an intent is flushed, the batch is put, placements are flushed
//!    ([`put`]);
//! 5. where the admin asked for that, what vanished at the source goes to the destination's trash ([`deletions`]).
//!
//! What fails on the way is dealt with by one table ([`faults`]): tried again, or the mailbox gives its place to another
//! and comes back, or it stops.

mod kept;
#[macro_use]
mod lane;

mod aside;
mod assess;
mod attempts;
mod check;
mod connector;
mod context;
mod copy;
mod deletions;
mod diagnose;
mod existing;
mod faults;
mod mailbox;
mod marks;
mod names;
mod needs;
mod observe;
mod options;
mod orphans;
mod plan;
mod prepare;
mod preview;
mod print;
mod put;
mod quarantine;
mod remedy;
mod repair;
mod replace;
mod report;
mod routes;
mod rules;
mod run;
mod scan;
mod settle;
mod shared;
mod spots;
mod stop;
mod targets;
mod trail;
mod verify;

pub use assess::{Assessment, CollectionAssessment, assess};
pub use check::{Finding, check};
pub use connector::{Destination, Endpoint, OfKinds, Provider, Source};
pub use deletions::{Deletions, Vanished, vanished};
pub use faults::{
    Class as RetryClass, Clock, Daily, FaultOptions, Parked, Row as RetryRow, TABLE as RETRY_CLASSES, Then, Tries,
};
pub use names::{NameNote, PlannedName};
pub use observe::{NoObserver, Observer, Progress};
pub use options::{FolderOptions, Options};
pub use plan::{Plan, PlanError, Step, plan};
pub use preview::{Previewed, Scope, preview};
pub use remedy::remedy;
pub use repair::{RepairKind, RepairOptions};
pub use report::{BothConnections, ConnectorReport, Counts, MailboxReport, Problem, Report, Worked};
pub use rules::{AttachmentFolder, OnError, RuleBook, RuleCount};
pub use run::{EngineError, Mailbox, migrate, requeue, status};
pub use stop::Stop;
pub use verify::{
    CONFIDENCE, Checked, Class, Depth, Difference, Differences, Estimate, Grade, GradeRules, How, Looked,
    MailboxVerified, Outcome as Verified, REASONS, Reason, Sample, SampleSize, Since, Spot, Verdict, Verification,
    VerifyOptions, Witness, upper_bound, verify,
};
