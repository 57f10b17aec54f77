//! The nouns of a migration: items, collections, failures, fingerprints. No I/O, and no knowledge of anybody else.
//!
//! The types mirror the plugin contract in `wit/types.wit`; `whimbrel-sandbox` maps one to the other.

mod collection;
mod connector;
mod failure;
mod fingerprint;
pub mod flags;
mod item;
mod secret;
mod time;

pub use collection::{Collection, Kind, Role, display_path};
pub use connector::{Abilities, Description, Limits, Permission, Remark};
pub use failure::Failure;
pub use fingerprint::{Fingerprint, Fingerprinter, Hash};
pub use item::{Change, ItemMeta, Outcome, Page, Placement};
pub use secret::{Secret, Tokens};
pub use time::Timestamp;
