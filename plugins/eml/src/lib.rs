//! Connector for folders of `.eml` files, one message a file: read as they are, written one by one. The `.emlx` files
//! of Apple Mail are read as well.

mod account;
mod cursor;
mod deliver;
mod destination;
mod emlx;
mod files;
mod folders;
mod settings;
mod source;

use whimbrel_plugin::{Abilities, Connector, Description, Permission, export_connector};

/// The connector.
#[derive(Debug)]
pub struct Eml;

impl Connector for Eml {
    type Source = source::Source;
    type Destination = destination::Destination;

    fn describe() -> Description {
        Description::new("eml", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
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

export_connector!(Eml);

#[cfg(test)]
mod tests;
