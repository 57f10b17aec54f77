//! The answers of WebDAV servers (RFC 4918 section 13), read as they come: one `response` at a time is in memory.
//!
//! No entity of a document's own is resolved, and a document that declares any is refused. Depth, sizes and counts are
//! bounded.

use std::io::BufRead;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use whimbrel_plugin::{Failure, Result};

pub const DAV: &str = "DAV:";

const DEPTH: usize = 32;
/// Elements below one `response`, and attributes of one.
const ELEMENTS: usize = 10_000;
const ATTRIBUTES: usize = 64;
/// Bytes of text below one `response`.
const TEXT: usize = 24 << 20;
/// `response` elements of a document.
const RESPONSES: usize = 1_000_000;

/// An element with all that is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    pub namespace: String,
    pub name: String,
    pub attributes: Vec<(String, String)>,
    /// All of its own text.
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    pub fn child(&self, namespace: &str, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(namespace, name))
    }

    pub fn all<'a>(&'a self, namespace: &'a str, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.is(namespace, name))
    }

    /// The `href` elements in it.
    pub fn hrefs(&self) -> impl Iterator<Item = &str> {
        self.all(DAV, "href").map(|href| href.text.trim())
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What a server says of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    pub href: String,
    /// Of the resource as a whole, where it says so.
    pub status: Option<u16>,
    /// Those that it has.
    pub properties: Vec<Element>,
    /// Preconditions that it does not meet.
    pub errors: Vec<Element>,
}

impl Response {
    fn of(element: &Element) -> Self {
        let mut properties = Vec::new();
        for stat in element.all(DAV, "propstat") {
            let found = stat.child(DAV, "status").is_none_or(|it| status(&it.text) == Some(200));
            if let Some(prop) = stat.child(DAV, "prop").filter(|_| found) {
                properties.extend(prop.children.iter().cloned());
            }
        }
        Self {
            href: element.hrefs().next().unwrap_or_default().to_owned(),
            status: element.child(DAV, "status").and_then(|it| status(&it.text)),
            properties,
            errors: element
                .child(DAV, "error")
                .map(|it| it.children.clone())
                .unwrap_or_default(),
        }
    }

    pub fn property(&self, namespace: &str, name: &str) -> Option<&Element> {
        self.properties.iter().find(|property| property.is(namespace, name))
    }

    /// The text of a property, where there is any.
    pub fn text(&self, namespace: &str, name: &str) -> Option<&str> {
        let text = self.property(namespace, name)?.text.trim();
        (!text.is_empty()).then_some(text)
    }
}

/// "HTTP/1.1 200 OK".
fn status(line: &str) -> Option<u16> {
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Reads a `multistatus`, gives each response, and what else stands at the top: `sync-token`.
///
/// # Errors
/// `unavailable` for what is none, or is beyond the bounds; and what `each` gives.
pub fn multistatus(input: impl BufRead, each: &mut dyn FnMut(Response) -> Result<()>) -> Result<Option<String>> {
    let mut token = None;
    let mut count = 0;
    read(input, |root, element| {
        if !root.is(DAV, "multistatus") {
            return Err(broken("it is no multistatus"));
        }
        if element.is(DAV, "response") {
            count += 1;
            if count > RESPONSES {
                return Err(broken("it names too many resources"));
            }
            return each(Response::of(&element));
        }
        if element.is(DAV, "sync-token") {
            token = Some(element.text.trim().to_owned()).filter(|text| !text.is_empty());
        }
        Ok(())
    })?;
    Ok(token)
}

/// The preconditions that an `error` names (RFC 4918 section 16), with what is in them; none where there are none that can
/// be read.
pub fn error(input: impl BufRead) -> Vec<Element> {
    let mut found = Vec::new();
    let read = read(input, |root, element| {
        if root.is(DAV, "error") && found.len() < 16 {
            found.push(element);
        }
        Ok(())
    });
    if read.is_err() {
        found.clear();
    }
    found
}

fn broken(why: &str) -> Failure {
    Failure::unavailable(format!("the server's answer cannot be understood: {why}"))
}

/// Reads a document, and gives each child of its root with the root.
fn read(input: impl BufRead, mut each: impl FnMut(&Element, Element) -> Result<()>) -> Result<()> {
    let mut reader = NsReader::from_reader(input);
    reader.config_mut().expand_empty_elements = true;
    let mut buffer = Vec::new();
    // The root, and what is open below it.
    let mut open: Vec<Element> = Vec::new();
    let (mut elements, mut text, mut seen) = (0_usize, 0_usize, false);
    loop {
        buffer.clear();
        let (namespace, event) = reader
            .read_resolved_event_into(&mut buffer)
            .map_err(|_| broken("it is no XML, or was cut off"))?;
        match event {
            Event::Start(start) => {
                elements += 1;
                if open.len() >= DEPTH || elements > ELEMENTS {
                    return Err(broken("it is nested too deep, or too large"));
                }
                seen = true;
                open.push(element(&namespace, &start)?);
            }
            Event::End(_) => {
                let Some(done) = open.pop() else {
                    return Err(broken("it is no XML"));
                };
                match open.len() {
                    0 => {}
                    1 => {
                        each(&open[0], done)?;
                        (elements, text) = (0, 0);
                    }
                    _ => {
                        if let Some(parent) = open.last_mut() {
                            parent.children.push(done);
                        }
                    }
                }
            }
            Event::Text(piece) => add(&mut open, &piece.xml10_content(), &mut text)?,
            Event::CData(piece) => add(&mut open, &piece.xml10_content(), &mut text)?,
            Event::GeneralRef(reference) => {
                let mut space = [0; 4];
                let meant = match reference.resolve_char_ref() {
                    Ok(Some(character)) => &*character.encode_utf8(&mut space),
                    Ok(None) => predefined(&reference)?,
                    Err(_) => return Err(broken("it names a character that is none")),
                };
                add(&mut open, meant, &mut text)?;
            }
            Event::DocType(_) => return Err(broken("it declares a document type")),
            Event::Eof if open.is_empty() && seen => return Ok(()),
            Event::Eof => return Err(broken("it is empty, or was cut off")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
        }
    }
}

fn predefined(name: &str) -> Result<&'static str> {
    Ok(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "apos" => "'",
        "quot" => "\"",
        _ => return Err(broken("it uses an entity of its own")),
    })
}

/// Text of the root itself is passed over.
fn add(open: &mut [Element], piece: &str, text: &mut usize) -> Result<()> {
    let [_, .., element] = open else { return Ok(()) };
    *text += piece.len();
    if *text > TEXT {
        return Err(broken("what it says of one resource is too large"));
    }
    element.text.push_str(piece);
    Ok(())
}

fn element(namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Result<Element> {
    let namespace = match namespace {
        ResolveResult::Bound(namespace) => text_of(namespace.as_ref()),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(_) => return Err(broken("it uses a prefix that it does not declare")),
    };
    let mut attributes = Vec::new();
    for attribute in start.attributes().take(ATTRIBUTES) {
        let attribute = attribute.map_err(|_| broken("it has attributes that are none"))?;
        attributes.push((text_of(attribute.key.as_ref()), text_of(attribute.value.as_ref())));
    }
    Ok(Element {
        namespace,
        name: text_of(start.local_name().as_ref()),
        attributes,
        ..Element::default()
    })
}

fn text_of(text: &str) -> String {
    text.to_owned()
}

/// For text and attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            // No XML can hold these.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<(Vec<Response>, Option<String>)> {
        let mut responses = Vec::new();
        let token = multistatus(text.as_bytes(), &mut |response| {
            responses.push(response);
            Ok(())
        })?;
        Ok((responses, token))
    }

    #[test]
    fn a_multistatus_with_any_prefix() {
        let text = "<?xml version=\"1.0\"?>\n<x:multistatus xmlns:x=\"DAV:\" xmlns:c='urn:c'>\
             <x:response><x:href> /a%20b.ics </x:href>\
               <x:propstat><x:prop><x:getetag>&quot;1&#x22;</x:getetag><c:d><![CDATA[a<b]]>&amp;c\r\nd</c:d></x:prop>\
                 <x:status>HTTP/1.1 200 OK</x:status></x:propstat>\
               <x:propstat><x:prop><c:missing/></x:prop><x:status>HTTP/1.1 404 Not Found</x:status></x:propstat>\
             </x:response>\
             <x:response><x:href>/gone</x:href><x:status>HTTP/1.1 404 Not Found</x:status></x:response>\
             <x:sync-token>t</x:sync-token></x:multistatus>";
        let (responses, token) = all(text).unwrap();
        assert_eq!(token.as_deref(), Some("t"));
        assert_eq!(responses[0].href, "/a%20b.ics");
        assert_eq!(responses[0].text(DAV, "getetag"), Some("\"1\""));
        assert_eq!(responses[0].text("urn:c", "d"), Some("a<b&c\nd"));
        assert_eq!(responses[0].property("urn:c", "missing"), None);
        assert_eq!((responses[1].status, responses[1].properties.len()), (Some(404), 0));
    }

    #[test]
    fn bombs_and_rubbish_are_refused() {
        let deep = format!("<a xmlns=\"DAV:\">{}", "<b>".repeat(100_000));
        let wide = format!(
            "<multistatus xmlns=\"DAV:\"><response>{}</response></multistatus>",
            "<a/>".repeat(20_000)
        );
        for text in [
            "",
            "nothing",
            "<html><body>Login</body></html>",
            "<multistatus xmlns=\"DAV:\"><response>",
            "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><multistatus xmlns=\"DAV:\"><response>&a;</response></multistatus>",
            "<multistatus xmlns=\"DAV:\"><response><href>&a;</href></response></multistatus>",
            "<x:multistatus><x:response/></x:multistatus>",
            &deep,
            &wide,
        ] {
            let short: String = text.chars().take(60).collect();
            assert!(matches!(all(text), Err(Failure::Unavailable(_))), "{short}");
        }
    }

    #[test]
    fn errors_name_what_they_are() {
        let text =
            "<error xmlns=\"DAV:\"><c:no-uid-conflict xmlns:c=\"urn:c\"><href>/x</href></c:no-uid-conflict></error>";
        let found = error(text.as_bytes());
        assert!(found[0].is("urn:c", "no-uid-conflict"));
        assert_eq!(found[0].hrefs().next(), Some("/x"));
        assert!(error("<html>".as_bytes()).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[<>/a:&;\"= \\[\\]!?x#-]{0,80}") {
            let _ = all(&text);
            let _ = error(text.as_bytes());
        }

        #[test]
        fn escaped_text_comes_back(text in "[ -~äß\\n]{0,60}") {
            let document = format!("<multistatus xmlns=\"DAV:\"><sync-token>{}</sync-token></multistatus>", escape(&text));
            let token = all(&document).unwrap().1;
            prop_assert_eq!(token.unwrap_or_default(), text.trim());
        }
    }
}
