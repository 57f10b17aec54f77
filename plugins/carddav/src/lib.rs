//! Address books on any CardDAV server (RFC 6352).
//!
//! All of it is in `whimbrel-dav`; here is what the connector says of itself.

use whimbrel_dav::{AddressBooks, abilities, account_schema, settings_schema};
use whimbrel_plugin::{Connector, Description, Kind, Permission, export_connector};

/// The connector.
#[derive(Debug)]
pub struct CardDav;

impl Connector for CardDav {
    type Source = whimbrel_dav::Source<AddressBooks>;
    type Destination = whimbrel_dav::Destination<AddressBooks>;

    fn describe() -> Description {
        Description::new("carddav", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .kinds([Kind::Contact])
            .abilities(abilities())
            .permission(Permission::Url("url".to_owned()))
            .schemas(settings_schema(), account_schema())
    }
}

export_connector!(CardDav);
