//! Connector for ManageSieve (RFC 5804): the Sieve scripts of a mailbox, and which of them filters. Spoken over the host's
//! connection.

mod account;
mod capabilities;
mod cursor;
mod destination;
#[cfg(test)]
mod fake;
mod login;
mod names;
mod reply;
mod require;
mod session;
mod settings;
mod source;
mod syntax;
mod wire;

use whimbrel_plugin::{Abilities, Connector, Description, Kind, Permission, export_connector};

/// The connector.
#[derive(Debug)]
pub struct ManageSieve;

/// What any server can do.
fn abilities() -> Abilities {
    Abilities::REPORTS_VANISHED | Abilities::RETURNS_IDS | Abilities::KEEPS_FLAGS | Abilities::REPLACES
}

impl Connector for ManageSieve {
    type Source = source::Source;
    type Destination = destination::Destination;

    fn describe() -> Description {
        Description::new("managesieve", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .kinds([Kind::Filter])
            .abilities(abilities())
            .permission(Permission::Network(("host".to_owned(), "port".to_owned())))
            .schemas(settings::SETTINGS_SCHEMA, settings::ACCOUNT_SCHEMA)
    }
}

export_connector!(ManageSieve);

#[cfg(test)]
mod tests;
