//! What lies in the folder.

use serde::{Deserialize, Serialize};
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Blob, Failure, ItemMeta, Result, Timestamp, blobs};

/// The name of the file that holds a [`Store`].
pub const INDEX: &str = "index.json";
/// The most that an index may have, in bytes.
const LARGEST: u64 = 64 << 20;

/// Everything but the bodies.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Store {
    /// How many bodies and collections were ever made.
    pub made: u64,
    /// In the order in which they were made.
    pub mailboxes: Vec<Mailbox>,
    /// Requests are refused for so many seconds.
    #[serde(default)]
    pub throttled: Option<u64>,
    /// Answers break off in their midst.
    #[serde(default)]
    pub cut: bool,
}

/// A collection.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Mailbox {
    /// For ever.
    pub id: String,
    /// Its names, root first.
    pub path: Vec<String>,
    /// What it is for: `inbox` or `sent`.
    #[serde(default)]
    pub role: Option<String>,
    /// Another one where all numbers are void.
    pub generation: u64,
    /// The number of the last item.
    pub last: u64,
    /// Counts changes.
    pub clock: u64,
    /// By number.
    pub items: Vec<Entry>,
    /// Number, and the clock, of each that is gone.
    pub gone: Vec<(u64, u64)>,
}

/// An item.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Entry {
    /// Its number.
    pub number: u64,
    /// The file that holds the body.
    pub body: String,
    /// Of the body, in bytes.
    pub size: u64,
    /// Flags and keywords.
    pub flags: Vec<String>,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Milliseconds, and minutes of the zone.
    pub received: Option<(i64, i16)>,
    /// The clock when its content came.
    pub content: u64,
    /// The clock when anything of it last changed.
    pub changed: u64,
}

impl Store {
    /// The account as it is now; an empty one where nothing was written yet.
    ///
    /// # Errors
    /// What reading failed with; `unavailable` where the index is no index.
    pub fn load(folder: &Folder) -> Result<Self> {
        if folder.stat(INDEX)?.is_none() {
            return Ok(Self::default());
        }
        let text = blobs::read_whole(&folder.read(INDEX, 0, None)?, LARGEST)?;
        serde_json::from_slice(&text)
            .map_err(|error| Failure::unavailable(format!("the index cannot be read: {error}")))
    }

    /// Keeps it for good.
    ///
    /// # Errors
    /// What writing failed with.
    pub fn save(&self, folder: &Folder) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|error| Failure::internal(format!("the index cannot be written: {error}")))?;
        folder.write(INDEX, &blobs::blob(&text), true)?;
        folder.sync()
    }

    /// Writes a body down, and gives the name of its file.
    ///
    /// # Errors
    /// What writing failed with.
    pub fn keep(&mut self, folder: &Folder, body: &Blob) -> Result<String> {
        self.made += 1;
        let name = format!("body-{}", self.made);
        folder.write(&name, body, false)?;
        Ok(name)
    }

    /// The collection with this id.
    ///
    /// # Errors
    /// `not-found`.
    pub fn mailbox(&mut self, id: &str) -> Result<&mut Mailbox> {
        let found = self.mailboxes.iter_mut().find(|mailbox| mailbox.id == id);
        found.ok_or_else(|| Failure::not_found("there is no such collection"))
    }
}

impl Mailbox {
    /// Adds an item under the next number, which it gives.
    pub fn add(&mut self, entry: Entry) -> u64 {
        self.last += 1;
        self.clock += 1;
        self.items.push(Entry {
            number: self.last,
            content: self.clock,
            changed: self.clock,
            ..entry
        });
        self.last
    }

    /// Takes an item away, where it is there.
    pub fn take(&mut self, number: u64) -> Option<Entry> {
        let at = self.items.iter().position(|entry| entry.number == number)?;
        self.clock += 1;
        self.gone.push((number, self.clock));
        Some(self.items.remove(at))
    }
}

impl Entry {
    /// Without a body yet.
    pub fn of(meta: &ItemMeta) -> Self {
        Self {
            flags: meta.flags.clone(),
            labels: meta.labels.clone(),
            received: meta.received.map(|at| (at.unix_ms, at.offset_minutes)),
            ..Self::default()
        }
    }

    /// When it was received.
    pub fn received(&self) -> Option<Timestamp> {
        self.received.map(|(unix_ms, offset_minutes)| Timestamp {
            unix_ms,
            offset_minutes,
        })
    }
}
