//! Misbehaves on purpose, in the way that its settings choose: for the tests of the host.
//!
//! With `mode = "good"` it is an honest account of a few messages. The other modes, and where each strikes, are in
//! [`settings::MODES`]; a test finds their names in the settings schema.

mod attempts;
mod destination;
mod misdeeds;
pub mod settings;
mod source;
mod wasi;

use whimbrel_plugin::{Abilities, Connector, Description, Permission, export_connector};

/// The connector.
#[derive(Debug)]
pub struct Misbehaving;

impl Connector for Misbehaving {
    type Source = source::Source;
    type Destination = destination::Destination;

    fn describe() -> Description {
        Description::new("misbehaving", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .abilities(abilities())
            .permission(Permission::Files(("folder".to_owned(), true)))
            .permission(Permission::Network(("host".to_owned(), "port".to_owned())))
            .permission(Permission::Endpoint("allowed.invalid".to_owned()))
            .schemas(&settings::schema(), &settings::schema())
    }
}

fn abilities() -> Abilities {
    Abilities::INCREMENTAL | Abilities::RETURNS_IDS | Abilities::KEEPS_RECEIVED | Abilities::KEEPS_FLAGS
}

export_connector!(Misbehaving);
