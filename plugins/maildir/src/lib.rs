//! Connector for Maildir: read without touching anything, written as a delivery agent would.

mod account;
mod cursor;
mod deliver;
mod destination;
mod layout;
mod names;
mod settings;
mod source;
mod uidlist;
mod window;

use whimbrel_plugin::{Abilities, Connector, Description, Permission, export_connector};

/// The connector.
#[derive(Debug)]
pub struct Maildir;

impl Connector for Maildir {
    type Source = source::Source;
    type Destination = destination::Destination;

    fn describe() -> Description {
        Description::new("maildir", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .abilities(abilities())
            .permission(Permission::Files(("root".to_owned(), true)))
            .schemas(settings::SETTINGS_SCHEMA, settings::ACCOUNT_SCHEMA)
    }
}

fn abilities() -> Abilities {
    Abilities::REPORTS_VANISHED
        | Abilities::SERVER_SIDE_COPY
        | Abilities::SERVER_SIDE_MOVE
        | Abilities::RETURNS_IDS
        | Abilities::KEEPS_RECEIVED
        | Abilities::KEEPS_FLAGS
}

export_connector!(Maildir);

#[cfg(test)]
mod tests;
