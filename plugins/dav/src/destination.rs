//! An account that is written.

use std::collections::HashMap;
use std::marker::PhantomData;

use whimbrel_plugin::blobs::{blob, read_whole};
use whimbrel_plugin::http::{self, Request, Response, send};
use whimbrel_plugin::{Collection, Failure, Item, Kind, Limits, Outcome, Placement, Result, Settings};

use crate::abilities;
use crate::account::{Account, Folder};
use crate::address::{Address, escaped};
use crate::flavour::Flavour;
use crate::object::{resource_name, same, uid, unscheduled};
use crate::requests::{header, make, preconditions, propfind, proppatch, refusal, request, responses, xml_request};
use crate::source::is_name;
use crate::xml::{DAV, escape};

/// Objects of one `put`, which are sent several at a time.
const BATCH: u32 = 100;
/// The largest object that is taken: it is looked at as a whole.
const LARGEST: u64 = 16 << 20;
/// Other names for a collection, where the first one is taken.
const NAMES: u32 = 20;
/// Bytes of a collection's name.
const NAME: u32 = 255;

/// Calendars or address books.
#[derive(Debug)]
pub struct Destination<F>(Account, PhantomData<F>);

/// What is to be sent for an item, and under which name.
struct Outgoing {
    name: String,
    bytes: Vec<u8>,
    altered: bool,
}

impl<F: Flavour> whimbrel_plugin::Destination for Destination<F> {
    fn open(settings: &Settings) -> Result<Self> {
        Ok(Self(Account::open(F::service(), settings)?, PhantomData))
    }

    fn limits(&mut self, kind: Kind) -> Result<Limits> {
        let ours = kind == self.0.service.kind || (kind == Kind::Task && self.0.service.kind == Kind::Event);
        if !ours {
            return Err(Failure::unsupported(format!(
                "a {} holds nothing of that kind",
                self.0.service.noun
            )));
        }
        let folders = self.0.folders()?;
        let largest = folders.iter().filter_map(|folder| folder.largest).max();
        Ok(Limits {
            max_item_bytes: Some(largest.unwrap_or(LARGEST).min(LARGEST)),
            batch_items: BATCH,
            batch_bytes: 16 << 20,
            max_path_depth: Some(1),
            max_name_bytes: Some(NAME),
            flags: Some(Vec::new()),
            quota_free_bytes: self.0.free()?,
            crlf_only: true,
            ..Limits::new(abilities())
        })
    }

    fn ensure(&mut self, wanted: Collection) -> Result<Collection> {
        let [name] = wanted.path.as_slice() else {
            return Err(Failure::rejected(format!(
                "a {} lies in no other one: its path has one name",
                self.0.service.noun
            )));
        };
        let plain = !name.trim().is_empty() && !name.chars().any(char::is_control) && name.trim() == name;
        if !plain || name.len() > usize::try_from(NAME).unwrap_or(usize::MAX) {
            return Err(Failure::rejected(
                "the name is empty, too long, or holds what no property of WebDAV keeps",
            ));
        }
        let found = self
            .0
            .folders()?
            .into_iter()
            .find(|folder| folder.name == *name && self.0.takes(folder, wanted.kind));
        let folder = match found {
            Some(folder) => folder,
            None => self.0.create(name, &wanted)?,
        };
        Ok(self.0.collection(&folder))
    }

    fn watermark(&mut self, collection: &str) -> Result<String> {
        self.0.watermark(collection)
    }

    fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        let folder = self.0.known(collection)?;
        let mut outgoing = Vec::with_capacity(items.len());
        for item in &items {
            outgoing.push(self.0.outgoing(item, None)?);
        }
        let requests = outgoing
            .iter()
            .filter_map(|one| one.as_ref().ok())
            .map(|one| self.0.upload(&folder, one, ("If-None-Match", "*")))
            .collect();
        let mut sent = http::send_all(requests).into_iter();
        let mut answers = Vec::with_capacity(items.len());
        for one in outgoing {
            let answer = one.and_then(|one| {
                let response = sent
                    .next()
                    .unwrap_or_else(|| Err(Failure::internal("a request was not answered")))?;
                self.0.placed(&folder, &one, &response)
            });
            answers.push(answer);
        }
        self.0.complete(&folder, &mut answers)?;
        Ok(answers)
    }

    fn replace(&mut self, collection: &str, id: &str, revision: Option<&str>, item: Item) -> Result<Placement> {
        let folder = self.0.known(collection)?;
        if !is_name(id) {
            return Err(Failure::not_found("the object is not there any more"));
        }
        let one = self.0.outgoing(&item, Some(id))??;
        // What is not there is not made: the contract has another word for that.
        let condition = ("If-Match", revision.filter(|text| !text.is_empty()).unwrap_or("*"));
        let response = send(self.0.upload(&folder, &one, condition))?;
        let placement = match response.status {
            200 | 201 | 204 => {
                let mut placement = placement(&one, &response).outcome(Outcome::Replaced);
                if placement.revision.is_none() {
                    let known = self.0.revisions(&folder, std::slice::from_ref(&one.name))?;
                    placement.revision = known.get(&one.name).cloned();
                }
                placement
            }
            412 => {
                // It may be what an earlier try left; else somebody changed it.
                let there = self.0.object(&folder, id)?;
                if !same(&read_whole(&there.content, LARGEST)?, &one.bytes) {
                    return Err(Failure::rejected(
                        "the object was changed at the destination meanwhile: it is left as it is",
                    ));
                }
                let placement = Placement::created(Some(one.name.clone())).outcome(Outcome::Replaced);
                marked(placement.revision(there.meta.revision), &one)
            }
            _ => return Err(refusal(&response, "replacing an object")),
        };
        Ok(placement)
    }

    fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        let folder = self.0.known(collection)?;
        let requests = ids
            .iter()
            .filter(|id| is_name(id))
            .map(|id| {
                let mut request = request("DELETE", &folder.at.child(id));
                // Nobody is told (RFC 6638 section 8.1).
                request.headers.push(("Schedule-Reply".to_owned(), "F".to_owned()));
                request
            })
            .collect();
        let mut sent = http::send_all(requests).into_iter();
        Ok(ids
            .iter()
            .map(|id| {
                if !is_name(id) {
                    return Ok(());
                }
                let response = sent
                    .next()
                    .unwrap_or_else(|| Err(Failure::internal("a request was not answered")))?;
                match response.status {
                    200..=299 | 404 | 410 => Ok(()),
                    _ => Err(refusal(&response, "removing an object")),
                }
            })
            .collect())
    }
}

impl Account {
    /// Whether a collection takes items of this kind.
    fn takes(&self, folder: &Folder, kind: Kind) -> bool {
        let component = match kind {
            Kind::Event => "VEVENT",
            Kind::Task => "VTODO",
            _ => return true,
        };
        folder.components.is_empty() || folder.components.iter().any(|known| known == component)
    }

    /// What is left of the quota (RFC 4331), where the server says it.
    fn free(&self) -> Result<Option<u64>> {
        let body = propfind(self.service, &["D:quota-available-bytes"]);
        let response = send(xml_request("PROPFIND", self.home()?, Some("0"), &body))?;
        if response.status != 207 {
            return Ok(None);
        }
        let all = responses(&response, "asking for the quota")?;
        let text = all.first().and_then(|one| one.text(DAV, "quota-available-bytes"));
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Makes a collection of this name.
    fn create(&mut self, name: &str, wanted: &Collection) -> Result<Folder> {
        let attribute = |wanted_name: &str| {
            let found = wanted.attributes.iter().find(|(known, _)| known == wanted_name);
            found.map(|(_, value)| value.as_str())
        };
        let calendar = self.service.kind == Kind::Event;
        let mut must = format!("<D:displayname>{}</D:displayname>", escape(name));
        if calendar {
            let usual = if wanted.kind == Kind::Task {
                "VTODO"
            } else {
                "VEVENT,VTODO"
            };
            let named = attribute("components").unwrap_or(usual).split(',');
            let components: String = named
                .filter(|component| ["VEVENT", "VTODO", "VJOURNAL"].contains(component))
                .map(|component| format!("<C:comp name=\"{component}\"/>"))
                .collect();
            must.push_str(&format!(
                "<C:supported-calendar-component-set>{components}</C:supported-calendar-component-set>"
            ));
        }
        let description = format!("C:{}", self.service.description);
        let extras: Vec<String> = [
            ("A:calendar-color", attribute("colour").filter(|_| calendar)),
            ("A:calendar-order", attribute("order").filter(|_| calendar)),
            (description.as_str(), attribute("description")),
            ("C:calendar-timezone", attribute("time-zone").filter(|_| calendar)),
        ]
        .into_iter()
        .filter_map(|(element, value)| Some(format!("<{element}>{}</{element}>", escape(value?))))
        .collect();
        let home = self.home()?.clone();
        let stem = stem(name);
        let attempt = format!("making a {}", self.service.noun);
        for number in 1..=NAMES {
            let name = if number == 1 {
                stem.clone()
            } else {
                format!("{stem}-{number}")
            };
            let at = home.child(&name).folder();
            if self.look(&at)?.is_some() {
                continue;
            }
            let response = self.make(&at, calendar, &must)?;
            let taken = || {
                preconditions(&response)
                    .iter()
                    .any(|named| named.name == "resource-must-be-null")
            };
            match response.status {
                200 | 201 => {}
                // Something is there that is no collection of ours.
                405 => continue,
                _ if taken() => continue,
                _ => return Err(refusal(&response, &attempt)),
            }
            for property in &extras {
                // How it looks is worth a try and no failure.
                let body = proppatch(self.service, property);
                send(xml_request("PROPPATCH", &at, None, &body))?;
            }
            let made = self.look(&at)?;
            let Some(made) = made else {
                return Err(Failure::unavailable(format!(
                    "{attempt}: it was made, and is not there"
                )));
            };
            self.note(&made);
            return Ok(made);
        }
        Err(Failure::rejected(format!(
            "{attempt}: the names that it could have are taken"
        )))
    }

    fn make(&self, at: &Address, calendar: bool, properties: &str) -> Result<Response> {
        let method = if calendar { "MKCALENDAR" } else { "MKCOL" };
        let body = make(self.service, calendar, properties);
        send(xml_request(method, at, None, &body))
    }

    /// What is sent for an item. The outer failure is of the account, the inner one of the item.
    fn outgoing(&mut self, item: &Item, name: Option<&str>) -> Result<Result<Outgoing>> {
        let bytes = match read_whole(&item.content, LARGEST) {
            Ok(bytes) => bytes,
            Err(failure) => return Ok(Err(failure)),
        };
        let name = match name {
            Some(name) => name.to_owned(),
            None => resource_name(uid(&bytes).as_deref(), &item.content.hash(), self.service.suffix),
        };
        let changed = if self.schedules()? {
            match unscheduled(&bytes) {
                std::borrow::Cow::Borrowed(_) => None,
                std::borrow::Cow::Owned(changed) => Some(changed),
            }
        } else {
            None
        };
        Ok(Ok(Outgoing {
            name,
            altered: changed.is_some(),
            bytes: changed.unwrap_or(bytes),
        }))
    }

    fn upload(&self, folder: &Folder, one: &Outgoing, condition: (&str, &str)) -> Request {
        let mut request = request("PUT", &folder.at.child(&one.name));
        let media_type = format!("{}; charset=utf-8", self.service.media_type);
        request.headers.push(("Content-Type".to_owned(), media_type));
        request.headers.push((condition.0.to_owned(), condition.1.to_owned()));
        request.headers.push(("Schedule-Reply".to_owned(), "F".to_owned()));
        request.body = Some(blob(&one.bytes));
        request
    }

    /// What became of an object that was put.
    fn placed(&self, folder: &Folder, one: &Outgoing, response: &Response) -> Result<Placement> {
        match response.status {
            200 | 201 | 204 => Ok(placement(one, response)),
            412 => self.merged(folder, one, &one.name)?.ok_or_else(|| {
                Failure::rejected("another object lies at the destination under the name that its UID makes")
            }),
            // Xandikos says it in a multistatus.
            207 | 403 | 409 => {
                let twin = preconditions(response)
                    .into_iter()
                    .find(|named| named.name == "no-uid-conflict");
                let Some(twin) = twin else {
                    return Err(refusal(response, "putting an object"));
                };
                // The server knows the UID under another name.
                let name = match twin.hrefs().next() {
                    Some(href) => folder.at.name_of(&folder.at.join(href)?),
                    None => None,
                };
                let merged = match name {
                    Some(name) => self.merged(folder, one, &name)?,
                    None => None,
                };
                merged.ok_or_else(|| {
                    Failure::rejected("another object with the same UID lies at the destination (no-uid-conflict)")
                })
            }
            _ => Err(refusal(response, "putting an object")),
        }
    }

    /// The placement of an object that is there already, where it is the same.
    fn merged(&self, folder: &Folder, one: &Outgoing, name: &str) -> Result<Option<Placement>> {
        let there = match self.object(folder, name) {
            Ok(there) => there,
            Err(Failure::NotFound(_)) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        if !same(&read_whole(&there.content, LARGEST)?, &one.bytes) {
            return Ok(None);
        }
        let placement = Placement::created(Some(name.to_owned())).outcome(Outcome::MergedWithExisting);
        Ok(Some(marked(placement.revision(there.meta.revision), one)))
    }

    /// Asks for the revisions that the server did not answer; one request for all.
    fn complete(&self, folder: &Folder, answers: &mut [Result<Placement>]) -> Result<()> {
        let names: Vec<String> = answers
            .iter()
            .filter_map(|answer| answer.as_ref().ok())
            .filter(|placement| placement.revision.is_none())
            .filter_map(|placement| placement.id.clone())
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let known: HashMap<String, String> = self.revisions(folder, &names)?;
        for placement in answers
            .iter_mut()
            .flatten()
            .filter(|placement| placement.revision.is_none())
        {
            placement.revision = placement.id.as_ref().and_then(|id| known.get(id)).cloned();
        }
        Ok(())
    }
}

/// Of an object that the server took. An ETag is believed where it is a strong one: else the server may have changed what
/// it was given (RFC 4791 section 5.3.4).
fn placement(one: &Outgoing, response: &Response) -> Placement {
    let placement = Placement::created(Some(one.name.clone()));
    let etag = header(response, "etag").filter(|etag| !etag.starts_with("W/"));
    let placement = match etag {
        Some(etag) => placement.revision(etag),
        None => placement,
    };
    marked(placement, one)
}

fn marked(placement: Placement, one: &Outgoing) -> Placement {
    if one.altered {
        placement.altered("schedule-agent")
    } else {
        placement
    }
}

/// The last segment of a new collection's address, from its name.
fn stem(name: &str) -> String {
    let mut stem = String::new();
    for character in name.chars().take(60) {
        match character {
            'a'..='z' | '0'..='9' => stem.push(character),
            'A'..='Z' => stem.push(character.to_ascii_lowercase()),
            _ if stem.ends_with('-') || stem.is_empty() => {}
            _ => stem.push('-'),
        }
    }
    let stem = stem.trim_end_matches('-');
    let stem = if stem.is_empty() { "collection" } else { stem };
    escaped(stem.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_collections_are_plain() {
        assert_eq!(stem("Team Calendar / 2026"), "team-calendar-2026");
        assert_eq!(stem("日本"), "collection");
        assert_eq!(stem("../Ünï"), "n");
    }
}
