//! The sample account of `whimbrel demo`: an old mbox spool and a Maildir, with what real mail brings along.

mod compare;
mod messages;
mod write;

pub use compare::{Compared, compare};
pub use messages::{Fate, Sample, maildir, spool};
pub use write::{lay_out, settings_file};

/// The script of the demo.
pub const RULES: &str = include_str!("rules.rhai");
