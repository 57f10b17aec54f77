//! A built-in account, made up from its settings, and a destination that forgets: for tests and the demo.

mod account;
mod destination;
mod generate;
mod settings;
mod source;

use whimbrel_plugin::{Abilities, Connector, Description, export_connector};

/// The connector.
#[derive(Debug)]
pub struct Memory;

impl Connector for Memory {
    type Source = source::Source;
    type Destination = destination::Destination;

    fn describe() -> Description {
        Description::new("memory", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .abilities(abilities())
            .schemas(settings::SETTINGS_SCHEMA, settings::ACCOUNT_SCHEMA)
    }
}

fn abilities() -> Abilities {
    Abilities::INCREMENTAL
        | Abilities::REPORTS_VANISHED
        | Abilities::SERVER_SIDE_COPY
        | Abilities::SERVER_SIDE_MOVE
        | Abilities::RETURNS_IDS
        | Abilities::KEEPS_RECEIVED
        | Abilities::KEEPS_FLAGS
        | Abilities::KEEPS_LABELS
}

export_connector!(Memory);
