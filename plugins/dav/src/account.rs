//! An account: where its collections lie (RFC 6764, RFC 4791 section 6, RFC 6352 section 7), and what they are.

use std::collections::HashMap;

use whimbrel_plugin::http::send;
use whimbrel_plugin::{Collection, Failure, Kind, Result};

use crate::address::Address;
use crate::flavour::{CALDAV, Service};
use crate::listing::Listing;
use crate::requests::{APPLE, multiget, multistatus, origin_of, propfind, request, responses, xml_request};
use crate::settings::Options;
use crate::xml::{DAV, Response};

/// Both sides of an account.
#[derive(Debug)]
pub struct Account {
    pub service: &'static Service,
    pub options: Options,
    homes: Vec<Address>,
    /// As they were listed last, by id.
    known: HashMap<String, Folder>,
    /// Listings under way, by collection.
    pub listings: HashMap<String, Listing>,
    /// Whether the server sends invitations by itself (RFC 6638); asked once.
    schedules: Option<bool>,
}

/// A calendar or address book.
#[derive(Debug, Clone)]
pub struct Folder {
    pub at: Address,
    pub name: String,
    /// Whether `sync-collection` is offered.
    pub syncs: bool,
    /// "VEVENT", "VTODO"…; empty where the server takes any.
    pub components: Vec<String>,
    pub attributes: Vec<(String, String)>,
    pub largest: Option<u64>,
}

const COLLECTION: [&str; 12] = [
    "D:resourcetype",
    "D:displayname",
    "D:sync-token",
    "D:supported-report-set",
    "S:getctag",
    "C:supported-calendar-component-set",
    "C:calendar-description",
    "C:addressbook-description",
    "C:calendar-timezone",
    "C:max-resource-size",
    "A:calendar-color",
    "A:calendar-order",
];

impl Account {
    pub fn open(service: &'static Service, settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let options = Options::read(settings)?;
        let homes = homes(service, &options.url)?;
        Ok(Self {
            service,
            options,
            homes,
            known: HashMap::new(),
            listings: HashMap::new(),
            schedules: None,
        })
    }

    /// Where new collections go.
    pub fn home(&self) -> Result<&Address> {
        self.homes
            .first()
            .ok_or_else(|| Failure::internal("an account without a home was opened"))
    }

    /// All collections, but for those that the settings leave out.
    pub fn folders(&mut self) -> Result<Vec<Folder>> {
        let mut folders: Vec<Folder> = Vec::new();
        for home in self.homes.clone() {
            let body = propfind(self.service, &COLLECTION);
            let response = send(xml_request("PROPFIND", &home, Some("1"), &body))?;
            let here = origin_of(&response, &home);
            let attempt = format!("listing the {}s", self.service.noun);
            for one in responses(&response, &attempt)? {
                let Some(folder) = self.folder(&here, &one)? else {
                    continue;
                };
                if !folders.iter().any(|known| known.at == folder.at) {
                    folders.push(folder);
                }
            }
        }
        folders.retain(|folder| !self.options.exclude.contains(&folder.name));
        folders.sort_by(|a, b| a.at.cmp(&b.at));
        self.known = folders
            .iter()
            .map(|folder| (self.id(&folder.at), folder.clone()))
            .collect();
        Ok(folders)
    }

    /// What a response says of a collection, if it is one of ours.
    fn folder(&self, here: &Address, one: &Response) -> Result<Option<Folder>> {
        let types = one.property(DAV, "resourcetype");
        let ours = types.is_some_and(|types| types.child(self.service.namespace, self.service.collection).is_some());
        if !ours {
            return Ok(None);
        }
        let at = here.join(&one.href)?.folder();
        let name = one
            .text(DAV, "displayname")
            .map_or_else(|| at.last_segment(), str::to_owned);
        let components = one
            .property(CALDAV, "supported-calendar-component-set")
            .map(|set| {
                set.all(CALDAV, "comp")
                    .filter_map(|comp| comp.attribute("name"))
                    .map(str::to_uppercase)
                    .collect()
            })
            .unwrap_or_default();
        let reports = one.property(DAV, "supported-report-set");
        let offered = reports.is_some_and(|reports| {
            let mut all = reports
                .all(DAV, "supported-report")
                .filter_map(|report| report.child(DAV, "report"));
            all.any(|report| report.child(DAV, "sync-collection").is_some())
        });
        let mut attributes = Vec::new();
        let mut attribute = |name: &str, value: Option<&str>| {
            let fits = |value: &&str| value.len() <= 8 << 10;
            attributes.extend(value.filter(fits).map(|value| (name.to_owned(), value.to_owned())));
        };
        attribute("colour", one.text(APPLE, "calendar-color"));
        attribute("order", one.text(APPLE, "calendar-order"));
        attribute(
            "description",
            one.text(self.service.namespace, self.service.description),
        );
        attribute("time-zone", one.text(CALDAV, "calendar-timezone"));
        let components: Vec<String> = components;
        let all = components.join(",");
        attribute("components", Some(all.as_str()).filter(|all| !all.is_empty()));
        Ok(Some(Folder {
            at,
            name,
            syncs: offered || one.text(DAV, "sync-token").is_some(),
            components,
            attributes,
            largest: one
                .text(self.service.namespace, "max-resource-size")
                .and_then(|text| text.parse().ok()),
        }))
    }

    /// A collection that was listed, or is looked at now.
    ///
    /// # Errors
    /// `not-found` where there is none.
    pub fn known(&mut self, id: &str) -> Result<Folder> {
        if let Some(folder) = self.known.get(id) {
            return Ok(folder.clone());
        }
        let folder = self.look(&self.at(id)?)?;
        let Some(folder) = folder else {
            return Err(Failure::not_found(format!("there is no such {}", self.service.noun)));
        };
        self.known.insert(id.to_owned(), folder.clone());
        Ok(folder)
    }

    /// What lies there, if it is a collection of ours.
    pub fn look(&self, at: &Address) -> Result<Option<Folder>> {
        let body = propfind(self.service, &COLLECTION);
        let response = send(xml_request("PROPFIND", at, Some("0"), &body))?;
        if matches!(response.status, 404 | 410) {
            return Ok(None);
        }
        let here = origin_of(&response, at);
        for one in responses(&response, "looking at a collection")? {
            if let Some(folder) = self.folder(&here, &one)? {
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }

    /// Notes a collection that was made.
    pub fn note(&mut self, folder: &Folder) {
        self.known.insert(self.id(&folder.at), folder.clone());
    }

    /// The id of what lies there: its path, where it is on the server of the settings.
    pub fn id(&self, at: &Address) -> String {
        if at.origin == self.options.url.origin {
            at.path.clone()
        } else {
            at.url()
        }
    }

    /// Where what has this id lies.
    pub fn at(&self, id: &str) -> Result<Address> {
        let gone = || Failure::not_found("that is no address of a collection");
        if id.starts_with('/') {
            return self.options.url.join(id).map_err(|_| gone());
        }
        Address::parse(id).map_err(|_| gone())
    }

    /// As the contract wants it.
    pub fn collection(&self, folder: &Folder) -> Collection {
        let mut collection = Collection::new(self.id(&folder.at), [folder.name.clone()])
            .kind(self.kind(folder))
            .subscribed(true);
        collection.attributes.clone_from(&folder.attributes);
        collection
    }

    /// A calendar for tasks alone is one of tasks; one that takes events, and perhaps tasks beside them, is one of
    /// events.
    fn kind(&self, folder: &Folder) -> Kind {
        let has = |name: &str| folder.components.iter().any(|component| component == name);
        match self.service.kind {
            Kind::Event if has("VTODO") && !has("VEVENT") => Kind::Task,
            kind => kind,
        }
    }

    /// Whether the server sends invitations when something with guests is put (RFC 6638 section 2).
    pub fn schedules(&mut self) -> Result<bool> {
        if self.service.kind != Kind::Event {
            return Ok(false);
        }
        if let Some(known) = self.schedules {
            return Ok(known);
        }
        let response = send(request("OPTIONS", &self.home()?.clone()))?;
        let dav = response.headers.iter().filter(|(name, _)| name == "dav");
        let found = dav.flat_map(|(_, value)| value.split(',')).any(|word| {
            let word = word.trim();
            word.eq_ignore_ascii_case("calendar-auto-schedule")
        });
        self.schedules = Some(found);
        Ok(found)
    }

    /// The ETags of these resources of a collection, by name; one request.
    pub fn revisions(&self, folder: &Folder, names: &[String]) -> Result<HashMap<String, String>> {
        let resources: Vec<Address> = names.iter().map(|name| folder.at.child(name)).collect();
        let body = multiget(self.service, &["D:getetag"], &resources);
        let response = send(xml_request("REPORT", &folder.at, Some("1"), &body))?;
        let mut found = HashMap::new();
        multistatus(&response, "asking for revisions", &mut |one| {
            let name = folder.at.name_of(&folder.at.join(&one.href)?);
            if let (Some(name), Some(etag)) = (name, one.text(DAV, "getetag")) {
                found.insert(name, etag.to_owned());
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// Where the account's collections lie. The address of the settings may be the server's, the principal's, the home's, or
/// that of a collection.
fn homes(service: &'static Service, url: &Address) -> Result<Vec<Address>> {
    let mut asked: Vec<Address> = Vec::new();
    let mut reasons: Vec<Failure> = Vec::new();
    let root = url.join("/")?;
    let well_known = url.join(&format!("/.well-known/{}", service.well_known))?;
    let mut waiting = if url.path == "/" {
        vec![well_known, root]
    } else {
        vec![url.clone(), well_known, root]
    };
    waiting.reverse();
    // A principal that names another one, and no more: servers can err.
    let mut principals = 2;
    let mut collections = None;
    while let Some(at) = waiting.pop() {
        if asked.contains(&at) {
            continue;
        }
        asked.push(at.clone());
        let found = match look(service, &at) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(failure @ (Failure::Unauthenticated(_) | Failure::InvalidSettings(_) | Failure::Throttled(_))) => {
                return Err(failure);
            }
            Err(failure) => {
                reasons.push(failure);
                continue;
            }
        };
        if !found.homes.is_empty() {
            return Ok(found.homes);
        }
        if let Some(principal) = found.principal.filter(|_| principals > 0) {
            principals -= 1;
            waiting.push(principal);
        }
        if collections.is_none() {
            collections = found.collections;
        }
    }
    if let Some(home) = collections {
        return Ok(vec![home]);
    }
    let denied = reasons
        .iter()
        .position(|failure| matches!(failure, Failure::Forbidden(_) | Failure::Unavailable(_)));
    if let Some(at) = denied {
        return Err(reasons.swap_remove(at));
    }
    Err(Failure::invalid_settings(format!(
        "`url`: no {}s were found there: give the address that your provider names for {}, or the one of the account",
        service.noun,
        if service.kind == Kind::Contact {
            "CardDAV"
        } else {
            "CalDAV"
        }
    )))
}

/// What one address tells of an account.
struct Found {
    homes: Vec<Address>,
    principal: Option<Address>,
    /// The collections lie here; for servers that tell neither principal nor home.
    collections: Option<Address>,
}

fn look(service: &'static Service, at: &Address) -> Result<Option<Found>> {
    let home = format!("C:{}", service.home);
    let body = propfind(
        service,
        &["D:current-user-principal", "D:principal-URL", "D:resourcetype", &home],
    );
    let response = send(xml_request("PROPFIND", at, Some("0"), &body)).map_err(|failure| match failure {
        Failure::TooLarge(_) => Failure::unavailable(
            "finding the account: the server's answer is larger than any that tells of one address: check `url`",
        ),
        other => other,
    })?;
    if matches!(response.status, 300..=399 | 404 | 405 | 410 | 501) {
        return Ok(None);
    }
    let here = origin_of(&response, at);
    let Some(one) = responses(&response, "finding the account")?.into_iter().next() else {
        return Ok(None);
    };
    let addresses = |property: Option<&crate::xml::Element>| -> Result<Vec<Address>> {
        let hrefs = property.map(|property| property.hrefs().map(str::to_owned).collect::<Vec<_>>());
        let hrefs = hrefs.unwrap_or_default();
        hrefs
            .iter()
            .filter(|href| !href.is_empty())
            .map(|href| here.join(href))
            .collect()
    };
    let homes = addresses(one.property(service.namespace, service.home))?;
    let principal = addresses(one.property(DAV, "current-user-principal"))?;
    let types = one.property(DAV, "resourcetype");
    let is = |namespace: &str, name: &str| types.is_some_and(|types| types.child(namespace, name).is_some());
    let here = here.folder();
    let collections = if is(service.namespace, service.collection) {
        Some(here.join("..")?)
    } else if is(DAV, "collection") && here.path != "/" {
        Some(here)
    } else {
        None
    };
    Ok(Some(Found {
        homes: homes.into_iter().map(Address::folder).collect(),
        principal: principal.into_iter().next(),
        collections,
    }))
}
