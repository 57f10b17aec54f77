//! Tests of rules scripts, written in the same language.
//!
//! `rules.test.rhai` lies beside `rules.rhai`. Every function in it whose name begins with `test_` is a test; it makes
//! messages, folders, mailboxes or failures, gives them to the script with `run`, and says what it expects.

mod bench;
mod coverage;
mod decided;
mod discover;
mod fixture;
mod junit;
mod mime;
mod probe;
mod report;
mod runner;
pub(crate) mod tokens;

pub use coverage::{FileCoverage, LineCoverage};
pub use discover::{TestFile, discover};
pub use junit::junit;
pub use report::{FileReport, Outcome, TestReport};
pub use runner::run;

pub(crate) use probe::Probe;
