//! Keeps mail in a folder of its own simple form, honestly, unless a fault is planted: for the tests of the conformance
//! suite, which has to find each.
//!
//! The folder holds `index.json` ([`store::Store`]) and a file for each body. The faults are in [`faults::FAULTS`].

mod account;
mod destination;
pub mod faults;
mod listing;
pub mod settings;
mod source;
pub mod store;

use whimbrel_plugin::{Abilities, Connector, Description, Permission, export_connector};

/// The connector.
#[derive(Debug)]
pub struct Faulty;

impl Connector for Faulty {
    type Source = source::Source;
    type Destination = destination::Destination;

    fn describe() -> Description {
        Description::new("faulty", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .abilities(abilities())
            .permission(Permission::Files(("root".to_owned(), true)))
            .schemas(&settings::schema(), settings::ACCOUNT_SCHEMA)
    }
}

/// What it can do, where no fault is planted.
fn abilities() -> Abilities {
    Abilities::INCREMENTAL
        | Abilities::REPORTS_VANISHED
        | Abilities::SERVER_SIDE_COPY
        | Abilities::SERVER_SIDE_MOVE
        | Abilities::RETURNS_IDS
        | Abilities::KEEPS_RECEIVED
        | Abilities::KEEPS_FLAGS
        | Abilities::KEEPS_LABELS
        | Abilities::REPLACES
}

export_connector!(Faulty);
