//! What is known of a mailbox, a folder, a message or a failure before anything of its content is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use whimbrel_model::{ItemMeta, Kind, Role};

/// A mailbox as the fleet names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailboxFacts {
    /// Its name.
    pub name: String,
    /// The columns of the CSV beyond the known ones, or `attributes` of the settings.
    pub attributes: BTreeMap<String, String>,
}

/// A source folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FolderFacts {
    /// Where it lies.
    pub mailbox: Arc<MailboxFacts>,
    /// What its items are.
    pub kind: Kind,
    /// Decoded names, root first. A segment may hold any character.
    pub path: Vec<String>,
    /// Its special use, if any.
    pub role: Option<Role>,
    /// How many messages it holds, where that is known.
    pub items: Option<u64>,
    /// How many bytes they have, where that is known.
    pub bytes: Option<u64>,
    /// Whether the user subscribed to it.
    pub subscribed: bool,
}

/// A message, or another item, as the listing of its folder describes it.
#[derive(Debug, Clone)]
pub struct MessageFacts {
    /// The folder it lies in.
    pub folder: Arc<FolderFacts>,
    /// Its line of the listing.
    pub meta: Arc<ItemMeta>,
}

/// A message that could not be read, or was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureFacts {
    /// The folder it lies in at the source.
    pub folder: Arc<FolderFacts>,
    /// Bytes, where that is known.
    pub size: Option<u64>,
    /// The case, as `rejected` or `too-large`.
    pub code: String,
    /// What the server said.
    pub text: String,
    /// `source` or `destination`.
    pub side: &'static str,
    /// How often it was tried.
    pub attempts: u32,
}
