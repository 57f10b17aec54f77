//! Connector for POP3 (RFC 1939): one inbox, read over the host's connection. Nothing is ever deleted or marked there.

mod account;
mod capabilities;
mod cursor;
#[cfg(test)]
mod fake;
mod login;
mod reply;
mod session;
mod settings;
mod source;
mod wire;

use whimbrel_plugin::{Abilities, Description, Permission, Reader, export_reader};

/// The connector.
#[derive(Debug)]
pub struct Pop3;

impl Reader for Pop3 {
    type Source = source::Source;

    fn describe() -> Description {
        Description::new("pop3", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .abilities(Abilities::REPORTS_VANISHED)
            .permission(Permission::Network(("host".to_owned(), "port".to_owned())))
            .schemas(settings::SETTINGS_SCHEMA, settings::ACCOUNT_SCHEMA)
    }
}

export_reader!(Pop3);

#[cfg(test)]
mod tests;
