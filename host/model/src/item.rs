//! Items and what happens to them.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What is known of an item without its content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ItemMeta {
    /// UID, href, file name or provider id: stable within the collection's generation.
    pub id: String,
    /// Changes whenever the item changes; empty where there is none.
    pub revision: String,
    /// The same item in several collections bears the same identity.
    pub identity: Option<String>,
    /// Bytes of the content, as the provider claims.
    pub size: Option<u64>,
    /// When the provider received it (INTERNALDATE).
    pub received: Option<Timestamp>,
    /// IMAP flags and keywords in IMAP's spelling; never `\Recent`.
    pub flags: Vec<String>,
    /// Provider labels that are neither flags nor collections.
    pub labels: Vec<String>,
    /// Whatever else the provider says.
    pub attributes: Vec<(String, String)>,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// New, or its content changed.
    Upserted(ItemMeta),
    /// Was there before; its flags, labels or attributes may have changed.
    Marked(ItemMeta),
    /// Still there; nothing else is said of it.
    Present(String),
    /// Gone.
    Vanished(String),
}

/// A page of changes; see `source.changes` in the contract.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// At most as many as were asked for.
    pub changes: Vec<Change>,
    /// Where to go on.
    pub cursor: String,
    /// More is waiting right now.
    pub more: bool,
    /// The listing that this page belongs to names every item: what it leaves out is gone.
    pub complete: bool,
    /// The provider cut the listing short: why.
    pub capped: Option<String>,
}

/// What a destination did with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is new there.
    Created,
    /// The destination had it already and kept one.
    MergedWithExisting,
    /// It took the place of an older version.
    Replaced,
}

/// Where an item came to rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// None where the destination does not tell.
    pub id: Option<String>,
    /// Its revision there.
    pub revision: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// What the destination's format forced on the content, by name; empty where the bytes are exact.
    pub alterations: Vec<String>,
}
