//! What differs between calendars and address books.

use whimbrel_plugin::Kind;

/// RFC 4791.
pub const CALDAV: &str = "urn:ietf:params:xml:ns:caldav";
/// RFC 6352.
pub const CARDDAV: &str = "urn:ietf:params:xml:ns:carddav";

/// The names of one of the two protocols.
#[derive(Debug)]
pub struct Service {
    /// Below `/.well-known/` (RFC 6764).
    pub well_known: &'static str,
    /// Of the elements below.
    pub namespace: &'static str,
    /// The resource type of its collections.
    pub collection: &'static str,
    /// The property that names the homes of an account.
    pub home: &'static str,
    /// The property that holds an object.
    pub data: &'static str,
    /// The report that gives many of them.
    pub multiget: &'static str,
    /// The property that describes a collection.
    pub description: &'static str,
    /// What objects are.
    pub media_type: &'static str,
    /// Of the names of resources.
    pub suffix: &'static str,
    /// What its collections hold, tasks apart.
    pub kind: Kind,
    /// For messages.
    pub noun: &'static str,
}

/// One of the two protocols.
pub trait Flavour: 'static {
    /// Its names.
    fn service() -> &'static Service;
}

/// CalDAV.
#[derive(Debug)]
pub struct Calendars;

/// CardDAV.
#[derive(Debug)]
pub struct AddressBooks;

static CALENDARS: Service = Service {
    well_known: "caldav",
    namespace: CALDAV,
    collection: "calendar",
    home: "calendar-home-set",
    data: "calendar-data",
    multiget: "calendar-multiget",
    description: "calendar-description",
    media_type: "text/calendar",
    suffix: ".ics",
    kind: Kind::Event,
    noun: "calendar",
};

static ADDRESS_BOOKS: Service = Service {
    well_known: "carddav",
    namespace: CARDDAV,
    collection: "addressbook",
    home: "addressbook-home-set",
    data: "address-data",
    multiget: "addressbook-multiget",
    description: "addressbook-description",
    media_type: "text/vcard",
    suffix: ".vcf",
    kind: Kind::Contact,
    noun: "address book",
};

impl Flavour for Calendars {
    fn service() -> &'static Service {
        &CALENDARS
    }
}

impl Flavour for AddressBooks {
    fn service() -> &'static Service {
        &ADDRESS_BOOKS
    }
}
