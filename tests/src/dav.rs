//! A small WebDAV client that shares nothing with the program under test, and what objects say, line by line.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Collections, and what is in them: by the name that is shown, then by UID.
pub type Books = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// A client of one account.
#[derive(Debug, Clone)]
pub struct Dav {
    authority: String,
    login: Option<String>,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 201, 207…
    pub status: u16,
    /// Head, with names as they came.
    pub head: String,
    /// As text: all that is asked here is.
    pub body: String,
}

/// Calendars or address books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// RFC 4791.
    Calendars,
    /// RFC 6352.
    AddressBooks,
}

impl Sort {
    /// The connector that moves them.
    pub fn connector(self) -> &'static str {
        match self {
            Self::Calendars => "caldav",
            Self::AddressBooks => "carddav",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Calendars => "text/calendar; charset=utf-8",
            Self::AddressBooks => "text/vcard; charset=utf-8",
        }
    }

    fn resource_type(self) -> &'static str {
        match self {
            Self::Calendars => "calendar",
            Self::AddressBooks => "addressbook",
        }
    }
}

impl Dav {
    /// For the server at `http://host:port/`.
    pub fn new(url: &str, login: Option<(&str, &str)>) -> Self {
        let authority = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let login = login.map(|(user, password)| base64(format!("{user}:{password}").as_bytes()));
        Self { authority, login }
    }

    /// One request, whatever becomes of it.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.authority).expect("the server listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket");
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.authority
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(login) = &self.login {
            head += &format!("Authorization: Basic {login}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).expect("the server reads");
        stream.write_all(body.as_bytes()).expect("the server reads");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the server answers");
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let body = match head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            true => unchunked(body),
            false => body.to_owned(),
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("{method} {path}: no HTTP answer: {head}")),
            head: head.to_owned(),
            body,
        }
    }

    /// Makes a collection of this name at this path.
    #[track_caller]
    pub fn make(&self, sort: Sort, path: &str, name: &str) {
        let namespaces = "xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\" xmlns:V=\"urn:ietf:params:xml:ns:carddav\" \
                          xmlns:A=\"http://apple.com/ns/ical/\"";
        let (method, root, more) = match sort {
            Sort::Calendars => (
                "MKCALENDAR",
                "C:mkcalendar",
                "<A:calendar-color>#ff8800ff</A:calendar-color>",
            ),
            Sort::AddressBooks => (
                "MKCOL",
                "D:mkcol",
                "<D:resourcetype><D:collection/><V:addressbook/></D:resourcetype>",
            ),
        };
        let body = format!(
            "<{root} {namespaces}><D:set><D:prop><D:displayname>{name}</D:displayname>{more}</D:prop></D:set></{root}>"
        );
        let answer = self.ask(method, path, &[("Content-Type", "application/xml")], &body);
        assert_eq!(answer.status, 201, "{method} {path}: {answer:?}");
    }

    /// Writes an object, new or not.
    #[track_caller]
    pub fn put(&self, sort: Sort, path: &str, object: &str) {
        let answer = self.ask("PUT", path, &[("Content-Type", sort.media_type())], object);
        assert!(matches!(answer.status, 200 | 201 | 204), "PUT {path}: {answer:?}");
    }

    /// Removes an object.
    #[track_caller]
    pub fn delete(&self, path: &str) {
        let answer = self.ask("DELETE", path, &[], "");
        assert!(matches!(answer.status, 200 | 204), "DELETE {path}: {answer:?}");
    }

    /// What lies right below: path and the rest of what was said of it.
    #[track_caller]
    pub fn children(&self, path: &str) -> Vec<(String, String)> {
        let body =
            "<D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/><D:displayname/><D:getetag/></D:prop></D:propfind>";
        let answer = self.ask(
            "PROPFIND",
            path,
            &[("Depth", "1"), ("Content-Type", "application/xml")],
            body,
        );
        assert_eq!(answer.status, 207, "PROPFIND {path}: {answer:?}");
        let mut found = Vec::new();
        for part in pieces(&answer.body, "response") {
            let href = pieces(&part, "href")
                .into_iter()
                .next()
                .expect("a resource has an address");
            if href.trim_end_matches('/') != path.trim_end_matches('/') {
                found.push((href, part));
            }
        }
        found
    }

    /// All collections of this sort below `home`, and what is in them.
    #[track_caller]
    pub fn books(&self, sort: Sort, home: &str) -> Books {
        let said = |objects: BTreeMap<String, String>| {
            let objects = objects.into_iter();
            objects.map(|(uid, object)| (uid, lines(&object))).collect()
        };
        let all = self.objects(sort, home).into_iter();
        all.map(|(name, objects)| (name, said(objects))).collect()
    }

    /// The same as it is served: by the name of the collection, then by UID.
    #[track_caller]
    pub fn objects(&self, sort: Sort, home: &str) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut books = BTreeMap::new();
        for (path, said) in self.children(home) {
            let is_one = pieces(&said, "resourcetype").first().is_some_and(|types| {
                types.contains(&format!(":{} ", sort.resource_type()))
                    || types.contains(&format!(":{}/", sort.resource_type()))
            });
            if !is_one {
                continue;
            }
            let name = pieces(&said, "displayname").into_iter().next().unwrap_or_default();
            let mut objects = BTreeMap::new();
            for (object, _) in self.children(&path) {
                let answer = self.ask("GET", &object, &[], "");
                assert_eq!(answer.status, 200, "GET {object}: {answer:?}");
                let uid = lines(&answer.body)
                    .iter()
                    .find_map(|line| line.strip_prefix("UID:"))
                    .unwrap_or_else(|| panic!("{object} has no UID: {}", answer.body))
                    .to_owned();
                let twice = objects.insert(uid.clone(), answer.body);
                assert!(twice.is_none(), "{uid} lies twice in {path}");
            }
            let twice = books.insert(unescaped(&name), objects);
            assert!(twice.is_none(), "{name} is there twice");
        }
        books
    }
}

/// The content of each element of this name, whatever its prefix; elements of the same name lie in none of their own.
fn pieces(text: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').unwrap_or(rest.len());
        let tag = &rest[..end];
        let closed = tag.ends_with('/');
        let full = tag
            .trim_end_matches('/')
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        if full.rsplit(':').next() != Some(name) || full.starts_with('/') {
            continue;
        }
        if closed {
            found.push(String::new());
            continue;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
        let close = format!("</{full}>");
        let until = rest.find(&close).unwrap_or(rest.len());
        found.push(rest[..until].to_owned());
        rest = rest.get(until + close.len()..).unwrap_or_default();
    }
    found
}

/// A body that came in chunks (RFC 9112 section 7.1).
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no size of a chunk: {size}"));
        whole += &rest[..size];
        body = rest.get(size + 2..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    whole
}

fn unescaped(text: &str) -> String {
    let text = text.trim_start_matches("<![CDATA[").trim_end_matches("]]>");
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

/// What an object says: its unfolded lines, sorted, parameters sorted too, one value each, without the program that wrote
/// them, the version of the form, who sends invitations, and blanks at the end.
pub fn lines(object: &str) -> Vec<String> {
    let plain = object.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut lines: Vec<String> = plain
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.starts_with("PRODID") && !line.starts_with("VERSION"))
        .map(sorted_parameters)
        .flat_map(|line| match line.strip_prefix("CATEGORIES:") {
            Some(values) => values.split(',').map(|value| format!("CATEGORIES:{value}")).collect(),
            None => vec![line],
        })
        .collect();
    lines.sort();
    lines
}

fn sorted_parameters(line: &str) -> String {
    let mut quoted = false;
    let colon = line.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ':' && !quoted
    });
    let Some((colon, _)) = colon else {
        return line.to_owned();
    };
    let (head, value) = line.split_at(colon);
    let mut quoted = false;
    let mut parts: Vec<String> = head
        .split(|c| {
            quoted ^= c == '"';
            c == ';' && !quoted
        })
        .map(|part| part.replace('"', ""))
        .filter(|part| part != "SCHEDULE-AGENT=CLIENT")
        .flat_map(|part| match part.strip_prefix("TYPE=") {
            Some(values) => values.split(',').map(|value| format!("TYPE={value}")).collect(),
            None => vec![part],
        })
        .collect();
    if let Some(name) = parts.first_mut() {
        *name = name.to_uppercase().replace("X-ADDRESSBOOKSERVER-", "");
    }
    parts[1..].sort();
    format!("{}{value}", parts.join(";"))
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = usize::try_from(number >> (18 - 6 * place) & 63).expect("six bits");
            out.push(if place <= chunk.len() {
                char::from(DIGITS[digit])
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_reads_and_writes_as_it_should() {
        assert_eq!(base64(b"alice:sesame"), "YWxpY2U6c2VzYW1l");
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(unchunked("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), "abcde");
        assert_eq!(unescaped("<![CDATA[a]]>"), "a");
        assert_eq!(
            lines("TEL;TYPE=B,A;SCHEDULE-AGENT=CLIENT:1\nCATEGORIES:x,y\n"),
            ["CATEGORIES:x", "CATEGORIES:y", "TEL;TYPE=A;TYPE=B:1"]
        );
        assert_eq!(pieces("<a:x p='1'>1<b/></a:x><x/>", "x"), ["1<b/>", ""]);
        assert_eq!(
            lines("B;Z=1;A=\"2\":x\r\n y\r\nPRODID:z\r\nA:1\r\n"),
            ["A:1", "B;A=2;Z=1:xy"]
        );
    }
}
