//! What the connectors for calendars and address books share.
//!
//! Both are WebDAV: collections of resources, each with an ETag, each one object with a UID. What differs are names of
//! elements, which [`Flavour`] holds.

mod account;
mod address;
mod cursor;
mod destination;
mod flavour;
mod listing;
mod object;
mod requests;
mod settings;
mod source;
mod xml;

use whimbrel_plugin::Abilities;

pub use destination::Destination;
pub use flavour::{AddressBooks, Calendars, Flavour, Service};
pub use settings::{account_schema, settings_schema};
pub use source::Source;

/// The most that the connectors can do.
pub fn abilities() -> Abilities {
    Abilities::INCREMENTAL | Abilities::REPORTS_VANISHED | Abilities::RETURNS_IDS | Abilities::REPLACES
}
