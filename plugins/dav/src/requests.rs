//! What is asked of a server: the bodies of requests, as text, and their sending.

use std::io::{BufReader, Read};

use whimbrel_plugin::blobs::{ReadAt, blob};
use whimbrel_plugin::http::{Request, Response};
use whimbrel_plugin::{Blob, Failure, Result};

use crate::address::Address;
use crate::flavour::Service;
use crate::xml::{self, DAV, escape};

/// Bytes of a listing, and of answers that hold many objects.
const LARGEST: u64 = 256 << 20;
/// For answers that need a long time: listings of large collections.
const PATIENCE_MS: u64 = 30 * 60 * 1000;

/// Namespaces of properties that are not in RFCs: the collection's version, and how calendars look.
pub const CALENDAR_SERVER: &str = "http://calendarserver.org/ns/";
pub const APPLE: &str = "http://apple.com/ns/ical/";

/// The prefixes of all bodies.
fn declarations(service: &Service) -> String {
    format!(
        "xmlns:D=\"{DAV}\" xmlns:C=\"{}\" xmlns:S=\"{CALENDAR_SERVER}\" xmlns:A=\"{APPLE}\"",
        service.namespace
    )
}

fn document(service: &Service, root: &str, content: &str) -> String {
    let declarations = declarations(service);
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<{root} {declarations}>{content}</{root}>")
}

/// Of these properties, e.g. `D:getetag`.
pub fn propfind(service: &Service, properties: &[&str]) -> String {
    document(service, "D:propfind", &properties_of(properties))
}

fn properties_of(properties: &[&str]) -> String {
    let inside: String = properties.iter().map(|name| format!("<{name}/>")).collect();
    format!("<D:prop>{inside}</D:prop>")
}

/// What changed since the token; everything with an empty one.
pub fn sync(service: &Service, token: &str) -> String {
    let content = format!(
        "<D:sync-token>{}</D:sync-token><D:sync-level>1</D:sync-level>{}",
        escape(token),
        properties_of(&["D:getetag", "D:getcontentlength"])
    );
    document(service, "D:sync-collection", &content)
}

/// These properties of these resources.
pub fn multiget(service: &Service, properties: &[&str], resources: &[Address]) -> String {
    let hrefs: String = resources
        .iter()
        .map(|resource| format!("<D:href>{}</D:href>", escape(&resource.path)))
        .collect();
    let content = format!("{}{hrefs}", properties_of(properties));
    document(service, &format!("C:{}", service.multiget), &content)
}

/// A new collection with these properties (RFC 5689; RFC 4791 section 5.3.1 for calendars).
pub fn make(service: &Service, calendar: bool, properties: &str) -> String {
    let (root, types) = if calendar {
        ("C:mkcalendar", String::new())
    } else {
        let kind = format!(
            "<D:resourcetype><D:collection/><C:{}/></D:resourcetype>",
            service.collection
        );
        ("D:mkcol", kind)
    };
    document(
        service,
        root,
        &format!("<D:set><D:prop>{types}{properties}</D:prop></D:set>"),
    )
}

/// Another value of a property.
pub fn proppatch(service: &Service, property: &str) -> String {
    document(
        service,
        "D:propertyupdate",
        &format!("<D:set><D:prop>{property}</D:prop></D:set>"),
    )
}

/// A request that logs in.
pub fn request(method: &str, at: &Address) -> Request {
    Request {
        method: method.to_owned(),
        url: at.url(),
        headers: Vec::new(),
        body: None,
        authenticate: true,
        timeout_ms: None,
        max_bytes: Some(LARGEST),
    }
}

/// One with XML in it. `depth` is "0" or "1".
pub fn xml_request(method: &str, at: &Address, depth: Option<&str>, body: &str) -> Request {
    let mut request = request(method, at);
    request
        .headers
        .push(("Content-Type".to_owned(), "application/xml; charset=utf-8".to_owned()));
    if let Some(depth) = depth {
        request.headers.push(("Depth".to_owned(), depth.to_owned()));
    }
    request.timeout_ms = Some(PATIENCE_MS);
    request.body = Some(blob(body.as_bytes()));
    request
}

/// Where an answer came from.
pub fn origin_of(response: &Response, asked: &Address) -> Address {
    Address::parse(&response.url).unwrap_or_else(|_| asked.clone())
}

/// A header of an answer.
pub fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let found = response.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// The body, piece by piece.
pub fn reader(body: &Blob) -> BufReader<Pieces<'_>> {
    BufReader::with_capacity(64 << 10, Pieces { body, offset: 0 })
}

/// See [`reader`].
pub struct Pieces<'a> {
    body: &'a Blob,
    offset: u64,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let piece = self.body.read_at(self.offset, length);
        self.offset += piece.len() as u64;
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// The responses of a multistatus, and its `sync-token`.
///
/// # Errors
/// What another status means; as [`xml::multistatus`].
pub fn multistatus(
    response: &Response,
    attempt: &str,
    each: &mut dyn FnMut(xml::Response) -> Result<()>,
) -> Result<Option<String>> {
    if response.status != 207 {
        return Err(refusal(response, attempt));
    }
    xml::multistatus(reader(&response.body), each).map_err(|failure| failure.within(attempt))
}

/// All of them.
///
/// # Errors
/// As [`multistatus`].
pub fn responses(response: &Response, attempt: &str) -> Result<Vec<xml::Response>> {
    let mut all = Vec::new();
    multistatus(response, attempt, &mut |one| {
        all.push(one);
        Ok(())
    })?;
    Ok(all)
}

/// The precondition that failed, where the server names one.
pub fn preconditions(response: &Response) -> Vec<xml::Element> {
    if ReadAt::size(&response.body) > 1 << 20 {
        return Vec::new();
    }
    if response.status != 207 {
        return xml::error(reader(&response.body));
    }
    // Xandikos answers so to a single request.
    let mut found = Vec::new();
    let read = xml::multistatus(reader(&response.body), &mut |one| {
        found.extend(one.errors);
        Ok(())
    });
    read.map(|_| found).unwrap_or_default()
}

/// What a status means that is no success.
pub fn refusal(response: &Response, attempt: &str) -> Failure {
    let named = preconditions(response);
    // Only names: texts may hold anything.
    let name = named
        .iter()
        .map(|element| element.name.as_str())
        .find(|name| name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    let status = response.status;
    let text = match name {
        Some(name) => format!("{attempt}: the server answers {status} ({name})"),
        None => format!("{attempt}: the server answers {status}"),
    };
    match (status, name) {
        (_, Some("quota-not-exceeded" | "sufficient-disk-space")) => Failure::over_quota(text),
        (413, _) | (_, Some("max-resource-size")) => Failure::too_large(None),
        (404 | 410, _) => Failure::not_found(text),
        (403, None) => Failure::forbidden(text),
        (423, _) => Failure::unavailable(text),
        (405 | 501, _) => Failure::unsupported(text),
        // Xandikos names what is wrong with one object in a multistatus.
        (400..=499, _) | (207, Some(_)) => Failure::rejected(text),
        _ => Failure::unavailable(format!("{text}, which is no answer of a WebDAV server")),
    }
}
