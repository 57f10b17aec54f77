//! Rules: what an admin decides about mailboxes, folders, messages and failures, in a script.
//!
//! A script is [Rhai](https://rhai.rs), compiled once as [`Rules`] and run for each item. It sees facts and content, and
//! decides by calling methods; a [`Decision`] is plain data, with the lines that led to it. There is no file, network,
//! clock or random number in a script, so that the same item gets the same decision in each run.
//!
//! This crate knows no network, no ledger and no engine. Every call blocks as long as the content it reads.

pub mod compare;
mod compile;
mod decision;
mod engine;
mod explain;
mod facts;
mod library;
pub mod lint;
mod loader;
mod locate;
mod mail;
mod options;
mod problem;
mod program;
pub mod reference;
pub mod registry;
mod repl;
mod rules;
mod run;
mod script;
mod shared;
mod suggest;
pub mod testing;

pub use decision::{Decision, Detach, FailureDecision, FailureVerb, FolderDecision, MailboxDecision, Step, Wanted};
pub use facts::{FailureFacts, FolderFacts, MailboxFacts, MessageFacts};
pub use loader::SourceFile;
pub use options::{Limits, Options, SetValue};
pub use problem::{Problem, RuleError, RuleErrorKind, RulesError};
pub use repl::{Answer, Repl};
pub use rules::{API_VERSION, Hook, Rules};
