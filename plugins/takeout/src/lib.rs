//! Connector for what Google Takeout gives: mail with its labels, calendars and contacts, unpacked or in its archives.

mod account;
mod archive;
mod labels;
mod mail;
mod source;
mod zip;

use whimbrel_plugin::{Abilities, Description, Kind, Permission, Reader, export_reader};

/// The connector.
#[derive(Debug)]
pub struct Takeout;

impl Reader for Takeout {
    type Source = source::Source;

    fn describe() -> Description {
        Description::new("takeout", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .kinds([Kind::Message, Kind::Event, Kind::Task, Kind::Contact])
            .abilities(Abilities::REPORTS_VANISHED)
            .permission(Permission::Files(("root".to_owned(), false)))
            .schemas(source::SETTINGS_SCHEMA, source::ACCOUNT_SCHEMA)
    }
}

export_reader!(Takeout);

#[cfg(test)]
mod tests;
