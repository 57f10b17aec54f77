//! Mail on any IMAP server (RFC 9051, RFC 3501), read and written.
//!
//! The host speaks the protocol; here is what is particular to mail servers: how names become paths, which mailbox has
//! which role, what changed since the last time, and what becomes of flags that a server does not keep.

mod connection;
mod cursor;
mod destination;
mod flags;
mod listing;
mod names;
mod ranges;
mod roles;
mod settings;
mod source;

use whimbrel_plugin::{Abilities, Connector, Description, Permission, export_connector};

/// The connector.
#[derive(Debug)]
pub struct Imap;

impl Connector for Imap {
    type Source = source::Source;
    type Destination = destination::Destination;

    fn describe() -> Description {
        Description::new("imap", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .abilities(
                Abilities::INCREMENTAL
                    | Abilities::REPORTS_VANISHED
                    | Abilities::PUSH
                    | Abilities::SERVER_SIDE_COPY
                    | Abilities::SERVER_SIDE_MOVE
                    | Abilities::RETURNS_IDS
                    | Abilities::KEEPS_RECEIVED
                    | Abilities::KEEPS_FLAGS,
            )
            .permission(Permission::Network(("host".to_owned(), "port".to_owned())))
            .schemas(settings::SETTINGS_SCHEMA, settings::ACCOUNT_SCHEMA)
    }
}

export_connector!(Imap);
