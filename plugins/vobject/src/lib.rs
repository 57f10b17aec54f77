//! What the connectors for files of iCalendar (RFC 5545) and vCard (RFC 2426, RFC 6350) objects share.
//!
//! A file is taken apart by an index of offsets ([`Index`]): bytes stay where they lie, and an object is put together from
//! parts of the file when it is asked for. An account is a folder of such files ([`account::Account`]).

pub mod account;
mod collection;
mod content;
mod cursor;
mod deliver;
mod destination;
mod file;
mod form;
mod index;
mod line;
mod many;
mod names;
mod scan;
mod settings;
mod source;

#[cfg(test)]
mod tests;

use whimbrel_plugin::Abilities;

pub use destination::Destination;
pub use file::Objects;
pub use form::{Calendars, Cards, Flavour, Form};
pub use index::{About, Holds, Index, Why};
pub use settings::{ACCOUNT_SCHEMA, settings_schema};
pub use source::Source;

/// The most that the connectors can do.
pub fn abilities() -> Abilities {
    Abilities::REPORTS_VANISHED | Abilities::RETURNS_IDS | Abilities::REPLACES
}
