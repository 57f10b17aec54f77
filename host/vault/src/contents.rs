//! What is inside: JSON with a version number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whimbrel_model::{Secret, Tokens};
use zeroize::Zeroizing;

/// The version of the JSON; a change that older programs would misread raises it.
pub const VERSION: u32 = 1;

/// A secret, and when it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub content: Content,
    /// Seconds since 1970.
    pub set: i64,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A password, a client secret, a token that somebody typed.
    Text(Secret),
    /// What an OAuth login gave.
    Login(Tokens),
}

/// What kind of content it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Content::Text`].
    Text,
    /// [`Content::Login`].
    Login,
}

impl Kind {
    /// A short, stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Login => "login",
        }
    }
}

impl Entry {
    /// What kind of content it has.
    pub fn kind(&self) -> Kind {
        match self.content {
            Content::Text(_) => Kind::Text,
            Content::Login(_) => Kind::Login,
        }
    }

    /// When it ends by itself, in seconds since 1970, where that is known. A login with a refresh token does not.
    pub fn expires(&self) -> Option<i64> {
        match &self.content {
            Content::Login(tokens) => tokens.expires,
            Content::Text(_) => None,
        }
    }
}

/// All entries by their names.
pub type Entries = BTreeMap<String, Entry>;

/// The JSON, whole.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    secrets: BTreeMap<String, Stored>,
}

/// The version alone, read before anything else.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Stored {
    Text {
        set: i64,
        value: Hidden,
    },
    Login {
        set: i64,
        access: Option<Hidden>,
        refresh: Option<Hidden>,
        issued: Option<i64>,
        expires: Option<i64>,
    },
}

/// A secret on its way to and from JSON.
struct Hidden(Secret);

impl Serialize for Hidden {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl From<&Entry> for Stored {
    fn from(entry: &Entry) -> Self {
        let set = entry.set;
        let hidden = |secret: &Option<Secret>| secret.clone().map(Hidden);
        match &entry.content {
            Content::Text(secret) => Self::Text {
                set,
                value: Hidden(secret.clone()),
            },
            Content::Login(tokens) => Self::Login {
                set,
                access: hidden(&tokens.access),
                refresh: hidden(&tokens.refresh),
                issued: tokens.issued,
                expires: tokens.expires,
            },
        }
    }
}

impl From<Stored> for Entry {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Text { set, value } => Self {
                content: Content::Text(value.0),
                set,
            },
            Stored::Login {
                set,
                access,
                refresh,
                issued,
                expires,
            } => Self {
                content: Content::Login(Tokens {
                    access: access.map(|hidden| hidden.0),
                    refresh: refresh.map(|hidden| hidden.0),
                    issued,
                    expires,
                }),
                set,
            },
        }
    }
}

/// Why a text is not what [`write`] gave.
pub enum Unreadable {
    /// It is of this version.
    Version(u32),
    /// It is no such JSON.
    Garbled,
}

/// As JSON.
pub fn write(entries: &Entries) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let document = Document {
        version: VERSION,
        secrets: entries
            .iter()
            .map(|(name, entry)| (name.clone(), Stored::from(entry)))
            .collect(),
    };
    // Large enough from the start: growing would leave copies behind that nobody wipes.
    let mut out = Zeroizing::new(Vec::with_capacity(room(entries)));
    serde_json::to_writer(&mut *out, &document)?;
    Ok(out)
}

/// Bytes that the JSON of these has at most: a byte may become six (`\u0000`).
fn room(entries: &Entries) -> usize {
    let of = |secret: &Option<Secret>| secret.as_ref().map_or(0, |secret| secret.expose().len());
    let one = |(name, entry): (&String, &Entry)| {
        let secrets = match &entry.content {
            Content::Text(secret) => secret.expose().len(),
            Content::Login(tokens) => of(&tokens.access) + of(&tokens.refresh),
        };
        256 + 6 * (name.len() + secrets)
    };
    64 + entries.iter().map(one).sum::<usize>()
}

/// From JSON. What serde says of bad JSON may quote it: that is never passed on.
pub fn read(text: &[u8]) -> Result<Entries, Unreadable> {
    let Version { version } = serde_json::from_slice(text).map_err(|_| Unreadable::Garbled)?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let document: Document = serde_json::from_slice(text).map_err(|_| Unreadable::Garbled)?;
    Ok(document
        .secrets
        .into_iter()
        .map(|(name, stored)| (name, Entry::from(stored)))
        .collect())
}
