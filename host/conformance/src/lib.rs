//! One suite that every connector passes.
//!
//! It calls a connector as the host does, through the sandbox, and compares what comes back with the contract in
//! `wit/`. What a connector does not claim to do is skipped, with the reason. Destinations fill up with collections
//! whose names begin with `conformance`: give it an account of its own.
//!
//! ```no_run
//! # async fn example(plugin: &whimbrel_sandbox::Plugin, subject: &whimbrel_conformance::Subject) {
//! let report = whimbrel_conformance::run(plugin, subject).await;
//! assert!(report.is_clean(), "{report}");
//! # }
//! ```

mod altering;
mod bodies;
pub mod config;
mod cursors;
mod describe;
mod failing;
mod listing;
mod naming;
mod putting;
mod reading;
mod report;
mod samples;
mod specification;
mod stand_in;
mod subject;
mod suite;
mod tidings;

pub use report::{CaseReport, Counts, Outcome, Report, Strictness};
pub use specification::{Level, Requirement, requirements};
pub use subject::{Add, Content, Hook, Hooks, Known, KnownItem, Mark, Remove, SourceSubject, Subject, hook};
pub use suite::{cases, run, run_where};
