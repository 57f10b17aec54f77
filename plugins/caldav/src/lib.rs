//! Calendars and task lists on any CalDAV server (RFC 4791).
//!
//! All of it is in `whimbrel-dav`; here is what the connector says of itself.

use whimbrel_dav::{Calendars, abilities, account_schema, settings_schema};
use whimbrel_plugin::{Connector, Description, Kind, Permission, export_connector};

/// The connector.
#[derive(Debug)]
pub struct CalDav;

impl Connector for CalDav {
    type Source = whimbrel_dav::Source<Calendars>;
    type Destination = whimbrel_dav::Destination<Calendars>;

    fn describe() -> Description {
        Description::new("caldav", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .kinds([Kind::Event, Kind::Task])
            .abilities(abilities())
            .permission(Permission::Url("url".to_owned()))
            .schemas(settings_schema(), account_schema())
    }
}

export_connector!(CalDav);
