//! What is handed back to go on from: what the server had told when the listing began, and how far it has come.

use serde::{Deserialize, Serialize};
use whimbrel_plugin::{Result, decode_cursor, encode_cursor};

/// Where a collection stands, as its server says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// A `sync-token` (RFC 6578).
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A version of the collection as a whole (CTag), where there are no tokens.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A place in a listing, or behind one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Before the listing; none for one of everything.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub since: Option<State>,
    /// What is reached at its end.
    #[serde(rename = "n", default)]
    pub next: State,
    /// Names up to this one were told; none when the listing is over.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Goes up when the form changes.
const VERSION: u32 = 1;

impl Cursor {
    /// Behind a listing.
    pub fn at(state: State) -> Self {
        Self {
            since: None,
            next: state,
            after: None,
        }
    }

    pub fn read(text: &str) -> Result<Self> {
        decode_cursor(VERSION, text)
    }

    pub fn write(&self) -> Result<String> {
        encode_cursor(VERSION, self)
    }
}
