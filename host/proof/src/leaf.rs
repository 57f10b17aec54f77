//! One message, as a line.

use serde::{Deserialize, Serialize};

/// What became of one message. Its line of JSON, byte for byte, is what is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// The folder at the source, as a path.
    pub collection: String,
    /// The id at the source.
    pub id: String,
    /// `moved`, `merged`, `filtered`, `oversize`, `failed` or `pending`.
    pub fate: String,
    /// BLAKE3 of the bytes that the source gave, in hexadecimal digits, where they were read.
    pub exact: Option<String>,
    /// The content fingerprint of what lies at the destination, where its body was read for this proof.
    pub content: Option<String>,
    /// Where it lies at the destination.
    pub place: Option<Place>,
    /// How it was verified: `bytes`, `transport`, `content`, `listing`, `not-there`, `unreadable`, `different`.
    pub how: String,
    /// What is different about it.
    pub classes: Vec<String>,
}

/// A place at the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Another mailbox than the one of the proof, where rules sent it there.
    pub mailbox: Option<String>,
    /// The folder, as a path.
    pub collection: String,
    /// The id there.
    pub id: Option<String>,
}

impl Leaf {
    /// Its line, without a line end.
    pub fn line(&self) -> String {
        // Texts and lists of them: there is nothing in it that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From its line.
    ///
    /// # Errors
    ///
    /// It is none; the text says why.
    pub fn parse(line: &str) -> Result<Self, String> {
        serde_json::from_str(line).map_err(|error| error.to_string())
    }
}
