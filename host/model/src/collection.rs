//! Collections: mailboxes, calendars, address books, task lists, sets of filters.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an item is, whatever provider it lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An e-mail message (RFC 5322).
    #[default]
    Message,
    /// A calendar event (RFC 5545, VEVENT).
    Event,
    /// A contact (RFC 6350).
    Contact,
    /// A task (RFC 5545, VTODO).
    Task,
    /// A note.
    Note,
    /// A mail filter (RFC 5228).
    Filter,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Message,
        Self::Event,
        Self::Contact,
        Self::Task,
        Self::Note,
        Self::Filter,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message => "message",
            Self::Event => "event",
            Self::Contact => "contact",
            Self::Task => "task",
            Self::Note => "note",
            Self::Filter => "filter",
        })
    }
}

/// The well-known purpose of a collection (RFC 6154, RFC 8621, RFC 8457).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // The names are the definition.
pub enum Role {
    Inbox,
    Archive,
    Drafts,
    Sent,
    Junk,
    Trash,
    All,
    Flagged,
    Important,
    Templates,
    Outbox,
    Memos,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inbox => "inbox",
            Self::Archive => "archive",
            Self::Drafts => "drafts",
            Self::Sent => "sent",
            Self::Junk => "junk",
            Self::Trash => "trash",
            Self::All => "all",
            Self::Flagged => "flagged",
            Self::Important => "important",
            Self::Templates => "templates",
            Self::Outbox => "outbox",
            Self::Memos => "memos",
        })
    }
}

/// A collection as a provider describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Stable within the account, opaque to the host. Empty in a collection that is only wanted.
    pub id: String,
    /// Decoded names, root first. A segment may hold any character.
    pub path: Vec<String>,
    /// What its items are.
    pub kind: Kind,
    /// Its well-known purpose, if any.
    pub role: Option<Role>,
    /// Whether it can hold items, or only children.
    pub selectable: bool,
    /// Whether the user subscribed to it.
    pub subscribed: bool,
    /// How many items the provider claims it holds.
    pub items: Option<u64>,
    /// How many bytes the provider claims it holds.
    pub bytes: Option<u64>,
    /// Changes when all item ids became void (UIDVALIDITY and its kin).
    pub generation: Option<String>,
    /// Whatever else the provider says.
    pub attributes: Vec<(String, String)>,
}

impl Collection {
    /// The path for people: segments joined by `/`, a `/` inside a segment shown as `∕`.
    pub fn display_path(&self) -> String {
        display_path(&self.path)
    }
}

/// A path for people; see [`Collection::display_path`].
pub fn display_path(path: &[String]) -> String {
    path.iter()
        .map(|segment| segment.replace('/', "\u{2215}"))
        .collect::<Vec<_>>()
        .join("/")
}
