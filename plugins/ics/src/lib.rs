//! Files and folders of iCalendar objects (.ics): calendars and task lists.
//!
//! All of it is in `whimbrel-vobject`; here is what the connector says of itself.

use whimbrel_plugin::{Connector, Description, Kind, Permission, export_connector};
use whimbrel_vobject::{ACCOUNT_SCHEMA, Calendars, abilities, settings_schema};

/// The connector.
#[derive(Debug)]
pub struct Ics;

impl Connector for Ics {
    type Source = whimbrel_vobject::Source<Calendars>;
    type Destination = whimbrel_vobject::Destination<Calendars>;

    fn describe() -> Description {
        Description::new("ics", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
            .kinds([Kind::Event, Kind::Task])
            .abilities(abilities())
            .permission(Permission::Files(("root".to_owned(), true)))
            .schemas(settings_schema(), ACCOUNT_SCHEMA)
    }
}

export_connector!(Ics);
