//! A mail store in memory that fails when it is told to, natively: the engine's faults show here without any server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // Tests may panic.
#![allow(dead_code, unused_imports)] // Each test program uses some of it.

mod bench;
mod mortal;
pub mod script;
mod written;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use whimbrel_engine::{Destination, Provider, Source};
use whimbrel_model::{
    Abilities, Change, Collection, Failure, ItemMeta, Kind, Limits, Outcome, Page, Placement, Remark, Role, Timestamp,
};
use whimbrel_sandbox::{Item, Usage};
use whimbrel_wire::Blob;

pub use bench::{Bench, book, book_with, faults};
pub use mortal::{Life, Mortal};

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub uid: u32,
    pub bytes: Vec<u8>,
    pub flags: Vec<String>,
    pub received: i64,
}

/// A stored folder.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    pub validity: u32,
    pub next: u32,
    pub role: Option<Role>,
    pub subscribed: bool,
    pub messages: Vec<Message>,
    /// UIDs that are gone, with the change number at which they went.
    vanished: Vec<(u64, u32)>,
    changed: BTreeMap<u32, u64>,
    change: u64,
}

/// What a store can and cannot do.
#[derive(Debug, Clone)]
pub struct Character {
    /// What it holds. All but messages can change.
    pub kind: Kind,
    /// Writes what it is given in another way: the lines turned around.
    pub rewrites: bool,
    pub incremental: bool,
    pub tells_ids: bool,
    pub moves: bool,
    pub largest: Option<u64>,
    pub room: usize,
    /// Bytes that a message must not contain.
    pub refuses: Option<Vec<u8>>,
    /// Bytes at which the connection ends, whenever a message with them is put or fetched.
    pub kills: Option<Vec<u8>>,
    /// The earliest date of receipt that it takes.
    pub oldest: i64,
    /// Refusals after which the connection ends.
    pub patience: Option<u32>,
    /// Claims so many more messages than it lists.
    pub hides: u64,
    pub case_insensitive: bool,
}

impl Default for Character {
    fn default() -> Self {
        Self {
            kind: Kind::Message,
            rewrites: false,
            incremental: true,
            tells_ids: true,
            moves: true,
            largest: None,
            room: usize::MAX,
            refuses: None,
            kills: None,
            oldest: i64::MIN,
            patience: None,
            hides: 0,
            case_insensitive: false,
        }
    }
}

#[derive(Default)]
pub struct State {
    pub folders: BTreeMap<String, Folder>,
    pub character: Character,
    /// Calls that change something still to come before one breaks, each; the middle of the effect is where it breaks.
    pub breaks: Vec<u32>,
    pub calls: u64,
    pub puts: u64,
    /// How often somebody asked for an account.
    pub opens: u64,
    /// The server that it says it lies at.
    pub server: Option<String>,
    /// What goes wrong: asked before each call, by its kind: "open", "read", "put".
    pub trouble: Option<Trouble>,
    /// How long a call with bodies takes.
    pub pace: Duration,
    /// What its connector is said to have used and tried.
    pub usage: Option<Usage>,
    /// When what was put, in bytes.
    pub arrived: Vec<(tokio::time::Instant, usize)>,
}

pub type Trouble = Box<dyn FnMut(&'static str) -> Option<Failure> + Send>;

/// The store; clones share it. An account of it is one that counts its own refusals.
#[derive(Clone, Default)]
pub struct Store(Arc<Mutex<State>>, u32);

impl Store {
    pub fn new(character: Character) -> Self {
        let store = Self::default();
        store.state().character = character;
        store
    }

    fn account(&self) -> Self {
        Self(self.0.clone(), 0)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn add(&self, folder: &str, bytes: &[u8], flags: &[&str]) -> u32 {
        self.state().folder(folder).add(
            bytes.to_vec(),
            flags.iter().map(|flag| (*flag).to_owned()).collect(),
            1_000,
        )
    }

    pub fn remove(&self, folder: &str, uid: u32) -> Message {
        self.state().folder(folder).remove(uid).unwrap()
    }

    /// Gives it other content.
    pub fn change(&self, folder: &str, uid: u32, bytes: &[u8]) {
        let mut state = self.state();
        let folder = state.folder(folder);
        folder.change += 1;
        folder.changed.insert(uid, folder.change);
        let message = folder.messages.iter_mut().find(|message| message.uid == uid);
        message.unwrap().bytes = bytes.to_vec();
    }

    pub fn flag(&self, folder: &str, uid: u32, flags: &[&str]) {
        self.state()
            .folder(folder)
            .mark(uid, flags.iter().map(|flag| (*flag).to_owned()).collect());
    }

    /// Every message of every folder: folder, bytes, flags; sorted.
    pub fn contents(&self) -> Vec<(String, Vec<u8>, Vec<String>)> {
        let state = self.state();
        let mut all: Vec<_> = state
            .folders
            .iter()
            .flat_map(|(name, folder)| {
                folder.messages.iter().map(|message| {
                    let mut flags = message.flags.clone();
                    flags.sort();
                    (name.clone(), message.bytes.clone(), flags)
                })
            })
            .collect();
        all.sort();
        all
    }
}

impl State {
    pub fn folder(&mut self, name: &str) -> &mut Folder {
        self.folders.entry(name.to_owned()).or_insert_with(|| Folder {
            validity: 1,
            next: 1,
            subscribed: true,
            ..Folder::default()
        })
    }

    /// Whether the call that is about to happen breaks.
    fn breaks(&mut self) -> bool {
        self.calls += 1;
        match self.breaks.first_mut() {
            Some(0) => {
                self.breaks.remove(0);
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn asked(&mut self, call: &'static str) -> Result<(), Failure> {
        match self.trouble.as_mut().and_then(|trouble| trouble(call)) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn open(&mut self) -> Result<(), Failure> {
        self.opens += 1;
        self.asked("open")?;
        if self.breaks() { Err(broken()) } else { Ok(()) }
    }

    fn read(&mut self) -> Result<(), Failure> {
        self.asked("read")?;
        if self.breaks() { Err(broken()) } else { Ok(()) }
    }

    fn ensure(&mut self, wanted: &Collection) -> Result<Collection, Failure> {
        let mut name = wanted.path.join("/");
        if self.character.case_insensitive
            && let Some(same) = self
                .folders
                .keys()
                .find(|other| other.to_lowercase() == name.to_lowercase())
        {
            name = same.clone();
        }
        let new = !self.folders.contains_key(&name);
        let folder = self.folder(&name);
        if new {
            (folder.role, folder.subscribed) = (wanted.role, wanted.subscribed);
        }
        Ok(Collection {
            id: name.clone(),
            path: name.split('/').map(str::to_owned).collect(),
            generation: Some(folder.validity.to_string()),
            items: Some(folder.messages.len() as u64),
            ..wanted.clone()
        })
    }
}

fn broken() -> Failure {
    Failure::Unavailable("the connection broke".into())
}

impl Folder {
    fn add(&mut self, bytes: Vec<u8>, flags: Vec<String>, received: i64) -> u32 {
        let uid = self.next;
        self.next += 1;
        self.change += 1;
        self.changed.insert(uid, self.change);
        self.messages.push(Message {
            uid,
            bytes,
            flags,
            received,
        });
        uid
    }

    fn remove(&mut self, uid: u32) -> Option<Message> {
        let at = self.messages.iter().position(|message| message.uid == uid)?;
        self.change += 1;
        self.vanished.push((self.change, uid));
        Some(self.messages.remove(at))
    }

    fn mark(&mut self, uid: u32, flags: Vec<String>) -> bool {
        self.change += 1;
        self.changed.insert(uid, self.change);
        match self.messages.iter_mut().find(|message| message.uid == uid) {
            Some(message) => {
                message.flags = flags;
                true
            }
            None => false,
        }
    }

    /// New UIDs for everything.
    pub fn renumber(&mut self) {
        self.validity += 1;
        for message in &mut self.messages {
            message.uid = self.next;
            self.change += 1;
            self.changed.insert(message.uid, self.change);
            self.next += 1;
        }
    }
}

#[async_trait]
impl Provider for Store {
    fn name(&self) -> &str {
        "store"
    }

    fn kinds(&self) -> &[Kind] {
        &Kind::ALL
    }

    async fn source(&self) -> Result<Box<dyn Source>, Failure> {
        self.state().open()?;
        Ok(Box::new(self.account()))
    }

    async fn destination(&self) -> Result<Box<dyn Destination>, Failure> {
        self.state().open()?;
        Ok(Box::new(self.account()))
    }

    fn server(&self) -> Option<String> {
        self.state().server.clone()
    }

    fn usage(&self) -> Option<(String, Usage)> {
        Some(("1.0.0".to_owned(), self.state().usage.clone()?))
    }
}

/// Of a content: another one for another content.
fn revision(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

/// The content as a store writes it. Objects of these tests have their own lines between the first two and the last two.
fn rewritten(character: &Character, bytes: Vec<u8>) -> Vec<u8> {
    if !character.rewrites {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let end = lines.len() - 2;
    lines[2..end].reverse();
    (lines.join("\r\n") + "\r\n").into_bytes()
}

fn holds(body: &[u8], part: Option<&Vec<u8>>) -> bool {
    part.is_some_and(|part| body.windows(part.len()).any(|window| window == part))
}

#[async_trait]
impl Source for Store {
    async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
        let mut state = self.state();
        state.read()?;
        let (hides, kind) = (state.character.hides, state.character.kind);
        Ok(state
            .folders
            .iter()
            .map(|(name, folder)| Collection {
                id: name.clone(),
                path: name.split('/').map(str::to_owned).collect(),
                kind,
                role: folder.role,
                selectable: true,
                subscribed: folder.subscribed,
                items: Some(folder.messages.len() as u64 + hides),
                bytes: None,
                generation: Some(folder.validity.to_string()),
                attributes: Vec::new(),
            })
            .collect())
    }

    async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        let mut state = self.state();
        state.read()?;
        let (incremental, kind) = (state.character.incremental, state.character.kind);
        let folder = state
            .folders
            .get(collection)
            .ok_or_else(|| Failure::NotFound(collection.into()))?;
        // validity, change number of the last whole listing, next UID to list, UIDs known at that time
        let parts: Vec<u64> = cursor
            .unwrap_or("0.0.1.1")
            .split('.')
            .map(|part| part.parse().unwrap())
            .collect();
        let (validity, since, from, known) = (parts[0], parts[1], parts[2], parts[3]);
        if cursor.is_some() && validity != u64::from(folder.validity) {
            return Err(Failure::GenerationChanged);
        }
        let complete = since == 0 || !incremental;
        let mut listed: Vec<&Message> = folder
            .messages
            .iter()
            .filter(|message| u64::from(message.uid) >= from && (complete || folder.changed[&message.uid] > since))
            .collect();
        listed.sort_by_key(|message| message.uid);
        let more = listed.len() > limit as usize;
        listed.truncate(limit as usize);
        let next = listed
            .last()
            .filter(|_| more)
            .map_or(1, |message| u64::from(message.uid) + 1);
        let mut changes: Vec<Change> = listed
            .into_iter()
            .map(|message| {
                let meta = meta(message, kind);
                if kind == Kind::Message && u64::from(message.uid) < known {
                    Change::Marked(meta)
                } else {
                    Change::Upserted(meta)
                }
            })
            .collect();
        if !complete && from == 1 {
            changes.extend(
                folder
                    .vanished
                    .iter()
                    .filter(|(change, _)| *change > since)
                    .map(|(_, uid)| Change::Vanished(uid.to_string())),
            );
        }
        let cursor = if more {
            format!("{}.{since}.{next}.{known}", folder.validity)
        } else {
            let since = if incremental { folder.change.max(1) } else { 0 };
            format!("{}.{since}.1.{}", folder.validity, folder.next)
        };
        Ok(Page {
            changes,
            cursor,
            more,
            complete,
            capped: None,
        })
    }

    async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item, Failure>>, Failure> {
        let pace = self.state().pace;
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        let mut state = self.state();
        state.read()?;
        let (kills, kind) = (state.character.kills.clone(), state.character.kind);
        let folder = state.folder(collection);
        let asked = |message: &&Message| ids.contains(&message.uid.to_string());
        if folder
            .messages
            .iter()
            .filter(asked)
            .any(|message| holds(&message.bytes, kills.as_ref()))
        {
            return Err(broken());
        }
        Ok(ids
            .iter()
            .map(|id| {
                let message = folder
                    .messages
                    .iter()
                    .find(|message| message.uid.to_string() == *id)
                    .ok_or_else(|| Failure::NotFound(id.clone()))?;
                Ok(Item {
                    meta: meta(message, kind),
                    media_type: media_type(kind).into(),
                    content: Blob::from_bytes(message.bytes.clone()),
                })
            })
            .collect())
    }

    async fn wait(&mut self, _: Duration) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }
}

fn media_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Message => "message/rfc822",
        Kind::Contact => "text/vcard",
        _ => "text/calendar",
    }
}

fn meta(message: &Message, kind: Kind) -> ItemMeta {
    ItemMeta {
        id: message.uid.to_string(),
        revision: match kind {
            Kind::Message => String::new(),
            _ => revision(&message.bytes),
        },
        size: Some(message.bytes.len() as u64),
        received: Some(Timestamp {
            unix_ms: message.received * 1000,
            offset_minutes: 0,
        }),
        flags: message.flags.clone(),
        ..ItemMeta::default()
    }
}
