//! Connector for mbox: one spool, or a folder of them, read as they are and appended to.

mod account;
mod cursor;
mod deliver;
mod destination;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod names;
mod pending;
mod settings;
mod source;

use whimbrel_plugin::{Abilities, Connector, Description, Permission, export_connector};

/// The connector.
#[derive(Debug)]
pub struct Mbox;

impl Connector for Mbox {
    type Source = source::Source;
    type Destination = destination::Destination;

    fn describe() -> Description {
        Description::new("mbox", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .abilities(abilities())
            .permission(Permission::Files(("root".to_owned(), true)))
            .schemas(settings::SETTINGS_SCHEMA, settings::ACCOUNT_SCHEMA)
    }
}

fn abilities() -> Abilities {
    Abilities::INCREMENTAL | Abilities::RETURNS_IDS | Abilities::KEEPS_RECEIVED | Abilities::KEEPS_FLAGS
}

export_connector!(Mbox);

#[cfg(test)]
mod tests;
