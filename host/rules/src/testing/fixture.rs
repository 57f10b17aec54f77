//! Messages, folders, mailboxes and failures that tests make up.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rhai::{Dynamic, Engine, Map};
use whimbrel_model::{ItemMeta, Kind, Role, Timestamp};
use whimbrel_pim::{Edit, Format};

use super::mime::{self, MOST_BYTES};
use crate::explain::type_in_words;
use crate::facts::{FailureFacts, FolderFacts, MailboxFacts, MessageFacts};
use crate::script::values::{path, role, short};
use crate::script::{Answer, Date, format_of, parse_date, refuse};
use crate::suggest::closest;

/// What a test gives to `run`.
#[derive(Clone)]
pub(super) enum Fixture {
    Mailbox(Arc<MailboxFacts>),
    Folder(Arc<FolderFacts>),
    Item(MessageFacts, Bytes),
    Failure(FailureFacts),
}

pub(super) fn register(engine: &mut Engine, folder: &Path) {
    engine.register_type_with_name::<Fixture>("Fixture");
    engine.register_fn("mailbox", |map: Map| -> Answer<Fixture> {
        Ok(Fixture::Mailbox(mailbox(&map)?))
    });
    engine.register_fn("folder", |map: Map| -> Answer<Fixture> {
        Ok(Fixture::Folder(folder_of(&map)?))
    });
    engine.register_fn("failure", |map: Map| -> Answer<Fixture> {
        Ok(Fixture::Failure(failure(&map)?))
    });
    engine.register_fn("message", |map: Map| -> Answer<Fixture> { message(&map) });
    let place: Arc<PathBuf> = Arc::new(folder.to_owned());
    let again = place.clone();
    engine.register_fn("eml", move |name: &str| -> Answer<Fixture> {
        file(&place, name, Kind::Message, &Map::new())
    });
    engine.register_fn("eml", move |name: &str, map: Map| -> Answer<Fixture> {
        file(&again, name, Kind::Message, &map)
    });
    for (name, kind) in [
        ("event", Kind::Event),
        ("task", Kind::Task),
        ("contact", Kind::Contact),
        ("filter", Kind::Filter),
    ] {
        engine.register_fn(name, move |map: Map| -> Answer<Fixture> { item(kind, &map) });
    }
    for (name, kind) in [("ics", Kind::Event), ("vcf", Kind::Contact), ("sieve", Kind::Filter)] {
        let (place, again) = (folder.to_owned(), folder.to_owned());
        engine.register_fn(name, move |name: &str| -> Answer<Fixture> {
            file(&place, name, kind, &Map::new())
        });
        engine.register_fn(name, move |name: &str, map: Map| -> Answer<Fixture> {
            file(&again, name, kind, &map)
        });
    }
}

/// A map that a test gives, with the names that it may have.
pub(super) struct Given<'a> {
    what: &'static str,
    map: &'a Map,
}

impl<'a> Given<'a> {
    pub(super) fn new(what: &'static str, map: &'a Map, known: &[&str]) -> Answer<Self> {
        for key in map.keys() {
            if !known.contains(&key.as_str()) {
                let hint = match closest(key, known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("it has {}", known.join(", ")),
                };
                return refuse(format!("{what} has no {}; {hint}", short(key)));
            }
        }
        Ok(Self { what, map })
    }

    /// What stands under a name; `()` is nothing.
    pub(super) fn get(&self, name: &str) -> Option<&'a Dynamic> {
        self.map.get(name).filter(|value| !value.is_unit())
    }

    pub(super) fn wrong<T>(&self, name: &str, wanted: &str, found: &Dynamic) -> Answer<T> {
        let found = type_in_words(found.type_name());
        refuse(format!("{name} of {} is {wanted}, not {found}", self.what))
    }

    pub(super) fn text(&self, name: &str) -> Answer<Option<String>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_immutable_string_ref() {
            Ok(text) => Ok(Some(text.to_string())),
            Err(_) => self.wrong(name, "a string", value),
        }
    }

    /// Below zero is unknown.
    pub(super) fn number(&self, name: &str) -> Answer<Option<u64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_int() {
            Ok(number) => Ok(u64::try_from(number).ok()),
            Err(_) => self.wrong(name, "a whole number", value),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Answer<Option<bool>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_bool() {
            Ok(flag) => Ok(Some(flag)),
            Err(_) => self.wrong(name, "true or false", value),
        }
    }

    pub(super) fn map(&self, name: &str) -> Answer<Map> {
        let Some(value) = self.get(name) else {
            return Ok(Map::new());
        };
        match value.as_map_ref() {
            Ok(map) => Ok(map.clone()),
            Err(_) => self.wrong(name, "a map #{ … }", value),
        }
    }

    pub(super) fn array(&self, name: &str) -> Answer<rhai::Array> {
        let Some(value) = self.get(name) else {
            return Ok(rhai::Array::new());
        };
        match value.as_array_ref() {
            Ok(array) => Ok(array.clone()),
            Err(_) => self.wrong(name, "an array", value),
        }
    }

    fn texts(&self, name: &str) -> Answer<Vec<String>> {
        let mut out = Vec::new();
        for value in self.array(name)? {
            match value.as_immutable_string_ref() {
                Ok(text) => out.push(text.to_string()),
                Err(_) => return self.wrong(name, "an array of strings", &value),
            }
        }
        Ok(out)
    }

    fn role(&self, path: &[String]) -> Answer<Option<Role>> {
        match self.text("role")?.as_deref() {
            None => {
                let inbox = path.len() == 1 && path.iter().all(|name| name.eq_ignore_ascii_case("inbox"));
                Ok(inbox.then_some(Role::Inbox))
            }
            Some("") => Ok(None),
            Some(name) => role(name).map(Some),
        }
    }

    fn kind(&self) -> Answer<Kind> {
        let Some(word) = self.text("kind")? else {
            return Ok(Kind::Message);
        };
        match Kind::ALL.into_iter().find(|kind| kind.to_string() == word) {
            Some(kind) => Ok(kind),
            None => refuse(format!("there is no kind \"{}\"", short(&word))),
        }
    }

    fn path(&self, name: &str) -> Answer<Vec<String>> {
        self.get(name).map_or_else(|| Ok(vec!["INBOX".to_owned()]), path)
    }

    /// A name, a map, or what `mailbox(…)` gave.
    fn mailbox(&self) -> Answer<Arc<MailboxFacts>> {
        let Some(value) = self.get("mailbox") else {
            return mailbox(&Map::new());
        };
        if let Some(Fixture::Mailbox(facts)) = value.clone().try_cast::<Fixture>() {
            return Ok(facts);
        }
        if let Ok(map) = value.as_map_ref() {
            return mailbox(&map);
        }
        match value.as_immutable_string_ref() {
            Ok(name) => Ok(Arc::new(MailboxFacts {
                name: name.to_string(),
                ..MailboxFacts::default()
            })),
            Err(_) => self.wrong("mailbox", "a map #{ name: …, attributes: … }", value),
        }
    }
}

fn mailbox(map: &Map) -> Answer<Arc<MailboxFacts>> {
    let given = Given::new("a mailbox", map, &["name", "attributes"])?;
    let mut facts = MailboxFacts {
        name: given.text("name")?.unwrap_or_else(|| "test".to_owned()),
        ..MailboxFacts::default()
    };
    for (key, value) in given.map("attributes")? {
        match value.as_immutable_string_ref() {
            Ok(text) => facts.attributes.insert(key.to_string(), text.to_string()),
            Err(_) => return given.wrong(&format!("attribute {key}"), "a string", &value),
        };
    }
    Ok(Arc::new(facts))
}

fn folder_of(map: &Map) -> Answer<Arc<FolderFacts>> {
    let known = ["path", "role", "kind", "items", "bytes", "subscribed", "mailbox"];
    let given = Given::new("a folder", map, &known)?;
    let path = given.path("path")?;
    Ok(Arc::new(FolderFacts {
        mailbox: given.mailbox()?,
        role: given.role(&path)?,
        kind: given.kind()?,
        path,
        items: given.number("items")?,
        bytes: given.number("bytes")?,
        subscribed: given.flag("subscribed")?.unwrap_or(true),
    }))
}

fn failure(map: &Map) -> Answer<FailureFacts> {
    let known = ["code", "text", "side", "attempts", "folder", "role", "size", "mailbox"];
    let given = Given::new("a failure", map, &known)?;
    let path = given.path("folder")?;
    let side = match given.text("side")?.as_deref() {
        None | Some("destination") => "destination",
        Some("source") => "source",
        Some(other) => {
            return refuse(format!(
                "side is \"source\" or \"destination\", not \"{}\"",
                short(other)
            ));
        }
    };
    Ok(FailureFacts {
        folder: Arc::new(FolderFacts {
            mailbox: given.mailbox()?,
            role: given.role(&path)?,
            path,
            ..FolderFacts::default()
        }),
        size: given.number("size")?,
        code: given.text("code")?.unwrap_or_else(|| "rejected".to_owned()),
        text: given.text("text")?.unwrap_or_default(),
        side,
        attempts: u32::try_from(given.number("attempts")?.unwrap_or(1)).unwrap_or(u32::MAX),
    })
}

/// What tests may say of any message.
const FACTS: [&str; 8] = ["id", "folder", "role", "size", "received", "flags", "labels", "mailbox"];

fn message(map: &Map) -> Answer<Fixture> {
    let mut known = FACTS.to_vec();
    known.extend(["headers", "text", "html", "attachments"]);
    let given = Given::new("a message", map, &known)?;
    let content = mime::build(&given)?;
    facts(&given, Kind::Message, content)
}

/// An event, a task, a contact or a filter, made of its properties or its text.
fn item(kind: Kind, map: &Map) -> Answer<Fixture> {
    let (what, component) = match kind {
        Kind::Task => ("a task", "VTODO"),
        Kind::Contact => ("a contact", "VCARD"),
        Kind::Filter => ("a filter", ""),
        _ => ("an event", "VEVENT"),
    };
    let mut known = FACTS.to_vec();
    known.extend(match kind {
        Kind::Filter => &["name", "text"][..],
        _ => &["uid", "properties"][..],
    });
    let given = Given::new(what, map, &known)?;
    if kind == Kind::Filter {
        return facts(&given, kind, Bytes::from(given.text("text")?.unwrap_or_default()));
    }
    let uid = given.text("uid")?.unwrap_or_else(|| "1@test".to_owned());
    if uid.chars().any(char::is_control) {
        return refuse("uid has control characters");
    }
    let lines = match kind {
        Kind::Contact => format!("BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{uid}\r\nEND:VCARD\r\n"),
        _ => format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:{component}\r\nUID:{uid}\r\nEND:{component}\r\nEND:VCALENDAR\r\n"
        ),
    };
    let mut properties = Vec::new();
    for (property, value) in given.map("properties")? {
        let values = match value.as_array_ref() {
            Ok(array) => array.to_vec(),
            Err(_) => vec![value.clone()],
        };
        for value in values {
            let Ok(value) = value.as_immutable_string_ref() else {
                return given.wrong(
                    &format!("property {property}"),
                    "a string, or an array of strings",
                    &value,
                );
            };
            properties.push(Edit::Add {
                property: property.to_string(),
                value: value.to_string(),
            });
        }
    }
    let format = format_of(kind).unwrap_or(Format::Calendar);
    match whimbrel_pim::apply(format, lines.as_bytes(), &properties) {
        Ok(Some(made)) => facts(&given, kind, Bytes::from(made.bytes)),
        Ok(None) => facts(&given, kind, Bytes::from(lines)),
        Err(error) => refuse(error.to_string()),
    }
}

fn facts(given: &Given<'_>, kind: Kind, content: Bytes) -> Answer<Fixture> {
    let path = given.path("folder")?;
    let meta = ItemMeta {
        id: given.text("id")?.unwrap_or_else(|| "1".to_owned()),
        size: Some(given.number("size")?.unwrap_or(content.len() as u64)),
        received: received(given)?,
        flags: given.texts("flags")?,
        labels: given.texts("labels")?,
        identity: match kind {
            Kind::Filter => given.text("name")?,
            _ => None,
        },
        ..ItemMeta::default()
    };
    let folder = FolderFacts {
        mailbox: given.mailbox()?,
        role: given.role(&path)?,
        kind,
        path,
        subscribed: true,
        ..FolderFacts::default()
    };
    let facts = MessageFacts {
        folder: Arc::new(folder),
        meta: Arc::new(meta),
    };
    Ok(Fixture::Item(facts, content))
}

/// A date as text, or what `date(…)` gave.
fn received(given: &Given<'_>) -> Answer<Option<Timestamp>> {
    let Some(value) = given.get("received") else {
        return Ok(None);
    };
    let date = if let Some(date) = value.clone().try_cast::<Date>() {
        date
    } else if let Ok(text) = value.as_immutable_string_ref() {
        parse_date(&text)?
    } else {
        return given.wrong("received", "a date as \"2020-01-31\"", value);
    };
    Ok(Some(Timestamp {
        unix_ms: date.unix.saturating_mul(1000),
        offset_minutes: date.offset,
    }))
}

/// An item from a file below the folder of the test.
fn file(folder: &Path, name: &str, kind: Kind, map: &Map) -> Answer<Fixture> {
    let mut known = FACTS.to_vec();
    known.extend((kind == Kind::Filter).then_some("name"));
    let given = Given::new("a file", map, &known)?;
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let cannot = |error: std::io::Error| refuse(format!("\"{}\" cannot be read: {error}", short(name)));
    let found = folder
        .canonicalize()
        .and_then(|top| Ok((folder.join(name).canonicalize()?, top)));
    let (file, top) = match found {
        Ok(found) => found,
        Err(error) => return cannot(error),
    };
    if !file.starts_with(&top) {
        return refuse(format!("\"{}\" leads out of the folder of the test", short(name)));
    }
    match fs::metadata(&file) {
        Ok(about) if about.len() > MOST_BYTES as u64 => {
            return refuse(format!("\"{}\" is larger than 64 MiB", short(name)));
        }
        Ok(_) => {}
        Err(error) => return cannot(error),
    }
    match fs::read(&file) {
        Ok(bytes) => facts(&given, kind, Bytes::from(bytes)),
        Err(error) => cannot(error),
    }
}
