//! Files and folders of vCards (.vcf): address books.
//!
//! All of it is in `whimbrel-vobject`; here is what the connector says of itself.

use whimbrel_plugin::{Connector, Description, Kind, Permission, export_connector};
use whimbrel_vobject::{ACCOUNT_SCHEMA, Cards, abilities, settings_schema};

/// The connector.
#[derive(Debug)]
pub struct Vcf;

impl Connector for Vcf {
    type Source = whimbrel_vobject::Source<Cards>;
    type Destination = whimbrel_vobject::Destination<Cards>;

    fn describe() -> Description {
        Description::new("vcf", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .kinds([Kind::Contact])
            .abilities(abilities())
            .permission(Permission::Files(("root".to_owned(), true)))
            .schemas(settings_schema(), ACCOUNT_SCHEMA)
    }
}

export_connector!(Vcf);
