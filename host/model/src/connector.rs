//! What a connector says of itself and of a server.

use serde::{Deserialize, Serialize};

use crate::Kind;

/// What a connector, or a server behind it, can do; see `descriptor.abilities` in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // The names are those of the contract, which documents them.
pub struct Abilities {
    pub incremental: bool,
    pub reports_vanished: bool,
    pub push: bool,
    pub server_side_copy: bool,
    pub server_side_move: bool,
    pub returns_ids: bool,
    pub keeps_received: bool,
    pub keeps_flags: bool,
    pub keeps_labels: bool,
    pub multi_collection: bool,
    pub replaces: bool,
}

/// One door that a plugin wants opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Connect to the host and port that the settings of these names hold.
    Network {
        /// Name of the setting that holds the host.
        host: String,
        /// Name of the setting that holds the port.
        port: String,
    },
    /// Send HTTP requests to the host and port of the address that this setting holds.
    Url(String),
    /// Connect to this fixed host; `*.example.org` for a domain.
    Endpoint(String),
    /// Read, and perhaps write, below the folder that this setting names.
    Files {
        /// Name of the setting that holds the folder.
        setting: String,
        /// Whether writing is asked for.
        write: bool,
    },
}

/// What a connector says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Lower-case letters, digits and `-`.
    pub name: String,
    /// Semantic version of the plugin.
    pub version: String,
    /// One line.
    pub summary: String,
    /// Where to read more.
    pub homepage: Option<String>,
    /// What kinds of items it moves.
    pub kinds: Vec<Kind>,
    /// The most that it can do.
    pub abilities: Abilities,
    /// The doors it wants opened.
    pub permissions: Vec<Permission>,
    /// JSON Schema (2020-12) of the settings.
    pub settings_schema: String,
    /// JSON Schema of what a mailbox must give.
    pub account_schema: String,
}

/// What a destination can take.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Of one item, in bytes.
    pub max_item_bytes: Option<u64>,
    /// Items that one `put` should hold at most.
    pub batch_items: u32,
    /// Bytes that one `put` should hold at most.
    pub batch_bytes: u64,
    /// Segments of a path.
    pub max_path_depth: Option<u32>,
    /// Bytes of one path segment.
    pub max_name_bytes: Option<u32>,
    /// Whether `Trash` and `trash` are one.
    pub case_insensitive_names: bool,
    /// Characters that no segment can hold.
    pub forbidden_in_names: String,
    /// Flags and keywords that can be kept (`\*`: any keyword); none: any.
    pub flags: Option<Vec<String>>,
    /// Bytes left in the account's quota.
    pub quota_free_bytes: Option<u64>,
    /// Content must have CRLF line ends.
    pub crlf_only: bool,
    /// What this server can do.
    pub abilities: Abilities,
}

/// The flags and labels that an item is to have from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Id of the item at the destination.
    pub id: String,
    /// All its flags and keywords.
    pub flags: Vec<String>,
    /// All its labels.
    pub labels: Vec<String>,
}
