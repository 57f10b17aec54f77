//! What is signed.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{PublicKey, SigningKey};

/// The version of the files' form.
pub const FORMAT: u32 = 1;

/// What is said of a mailbox; its line of JSON, byte for byte, is what is signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// [`FORMAT`].
    #[serde(rename = "whimbrel-proof")]
    pub format: u32,
    /// The migration's name.
    pub migration: String,
    /// The mailbox's name.
    pub mailbox: String,
    /// When it was verified, in seconds since 1970.
    pub verified: i64,
    /// How deep: `listing`, `sample` or `deep`.
    pub depth: String,
    /// The verdict: `perfect`, `good`, `investigate` or `poor`.
    pub grade: String,
    /// Where the messages stand: `found`, `moved`, `merged`, `filtered`, `oversize`, `failed`, `pending`, `unexplained`.
    pub counts: Map<String, Value>,
    /// How many messages there are in the tree.
    pub messages: u64,
    /// The root of the tree, in hexadecimal digits.
    pub root: String,
    /// The public key, in hexadecimal digits.
    pub key: String,
}

impl Statement {
    /// Its line, without a line end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The last line of a proof: the signature of the statement's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signature {
    /// In base64 (RFC 4648 section 4).
    pub signature: String,
}

impl Signature {
    /// Whether it is the key's, of this line.
    pub fn is_of(&self, line: &str, key: &PublicKey) -> bool {
        let signature = STANDARD.decode(&self.signature).unwrap_or_default();
        key.verify(line.as_bytes(), &signature)
    }
}

/// The line of the signature under a statement.
pub fn signature_line(statement: &Statement, key: &SigningKey) -> String {
    let signature = Signature {
        signature: STANDARD.encode(key.sign(statement.line().as_bytes())),
    };
    serde_json::to_string(&signature).unwrap_or_default()
}
