//! The lines of an export: one JSON object a record, for people, scripts and [`Ledger::import`](crate::Ledger::import).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use whimbrel_model::{Collection, Fingerprint, Hash, ItemMeta, Timestamp};

use crate::{
    CollectionId, Fate, IntentId, IntentItem, ItemRecord, MailboxId, Place, Ruling, Target, Totals,
    record::{Behind, Item, StoredCollection},
};

/// The schema of exports that this version writes, and the highest that it reads: of the lines, not of the store.
pub(crate) const EXPORT: u32 = 2;

/// The schema before, in which transport hashes were those of texts without CR.
pub(crate) const EXPORT_WITHOUT_CR: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    #[serde(rename = "whimbrel-ledger")]
    pub schema: u32,
    pub version: String,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Line {
    Note {
        key: String,
        value: String,
    },
    Mailbox {
        id: MailboxId,
        name: String,
    },
    Collection(Box<CollectionLine>),
    Item(Box<ItemLine>),
    Route {
        mailbox: MailboxId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<MailboxId>,
        wanted: String,
        target: Target,
    },
    Intent {
        mailbox: MailboxId,
        id: IntentId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<MailboxId>,
        target: String,
        watermark: String,
        items: Vec<IntentItemLine>,
    },
    Event {
        sequence: u64,
        unix_ms: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mailbox: Option<String>,
        kind: String,
        fields: serde_json::Value,
    },
    /// The last line: how many records there were, so that a file cut short is told from a whole one.
    End {
        records: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CollectionLine {
    pub mailbox: MailboxId,
    pub id: CollectionId,
    pub source: Collection,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claimed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capped: Option<String>,
    epoch: u32,
    /// The generation that follows, none for none; absent unless ids are becoming void.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    voiding: Option<Option<String>>,
    pub totals: Totals,
}

impl CollectionLine {
    pub fn new(mailbox: MailboxId, id: CollectionId, data: StoredCollection, totals: Totals) -> Self {
        let StoredCollection {
            source,
            target,
            cursor,
            claimed,
            capped,
            epoch,
            voiding,
        } = data;
        Self {
            mailbox,
            id,
            source,
            target,
            cursor,
            claimed,
            capped,
            epoch,
            voiding,
            totals,
        }
    }

    pub fn data(self) -> StoredCollection {
        let Self {
            source,
            target,
            cursor,
            claimed,
            capped,
            epoch,
            voiding,
            ..
        } = self;
        StoredCollection {
            source,
            target,
            cursor,
            claimed,
            capped,
            epoch,
            voiding,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemLine {
    pub mailbox: MailboxId,
    pub collection: CollectionId,
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    revision: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    received: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<(String, String)>,
    fate: Fate,
    live: bool,
    /// Flags or labels wait to be brought up to date.
    mark: bool,
    /// The content too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    altered: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<PrintLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    put: Option<PrintLine>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    repairs: Vec<String>,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ruling: Option<Ruling>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    copies: Vec<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<i64>,
}

impl ItemLine {
    pub fn new(mailbox: MailboxId, collection: CollectionId, item: Item) -> Self {
        let Item {
            record:
                ItemRecord {
                    meta,
                    fate,
                    live,
                    fingerprint,
                    put,
                    repairs,
                    attempts,
                    ruling,
                    copies,
                    gone,
                },
            behind,
        } = item;
        let ItemMeta {
            id,
            revision,
            identity,
            size,
            received,
            flags,
            labels,
            attributes,
        } = meta;
        let (fingerprint, put) = (fingerprint.map(PrintLine::from), put.map(PrintLine::from));
        Self {
            mailbox,
            collection,
            id,
            revision,
            identity,
            size,
            received,
            flags,
            labels,
            attributes,
            fate,
            live,
            mark: behind >= Behind::Marks,
            altered: behind >= Behind::Content,
            fingerprint,
            put,
            repairs,
            attempts,
            ruling,
            copies,
            gone,
        }
    }

    pub fn item(self) -> Item {
        let Self {
            id,
            revision,
            identity,
            size,
            received,
            flags,
            labels,
            attributes,
            ..
        } = self;
        let meta = ItemMeta {
            id,
            revision,
            identity,
            size,
            received,
            flags,
            labels,
            attributes,
        };
        let Self {
            fate,
            live,
            mark,
            altered,
            fingerprint,
            put,
            repairs,
            attempts,
            ruling,
            copies,
            gone,
            ..
        } = self;
        let (fingerprint, put) = (fingerprint.map(Fingerprint::from), put.map(Fingerprint::from));
        Item {
            record: ItemRecord {
                meta,
                fate,
                live,
                fingerprint,
                put,
                repairs,
                attempts,
                ruling,
                copies,
                gone,
            },
            behind: match (altered, mark) {
                (true, _) => Behind::Content,
                (false, true) => Behind::Marks,
                (false, false) => Behind::No,
            },
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntentItemLine {
    collection: CollectionId,
    id: String,
    fingerprint: PrintLine,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    put: Option<PrintLine>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    copy: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    orphan: Option<(CollectionId, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    repairs: Vec<String>,
}

impl From<IntentItem> for IntentItemLine {
    fn from(item: IntentItem) -> Self {
        let IntentItem {
            collection,
            id,
            fingerprint,
            put,
            copy,
            orphan,
            repairs,
        } = item;
        Self {
            collection,
            id,
            fingerprint: fingerprint.into(),
            put: put.map(Into::into),
            copy,
            orphan,
            repairs,
        }
    }
}

impl From<IntentItemLine> for IntentItem {
    fn from(line: IntentItemLine) -> Self {
        let IntentItemLine {
            collection,
            id,
            fingerprint,
            put,
            copy,
            orphan,
            repairs,
        } = line;
        Self {
            collection,
            id,
            fingerprint: fingerprint.into(),
            put: put.map(Into::into),
            copy,
            orphan,
            repairs,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrintLine {
    exact: Hex,
    transport: Hex,
    size: u64,
    bare_line_feeds: u64,
    nuls: u64,
    longest_line: u64,
}

impl From<Fingerprint> for PrintLine {
    fn from(print: Fingerprint) -> Self {
        let Fingerprint {
            exact,
            transport,
            size,
            bare_line_feeds,
            nuls,
            longest_line,
        } = print;
        Self {
            exact: Hex(exact),
            transport: Hex(transport),
            size,
            bare_line_feeds,
            nuls,
            longest_line,
        }
    }
}

impl From<PrintLine> for Fingerprint {
    fn from(line: PrintLine) -> Self {
        let PrintLine {
            exact,
            transport,
            size,
            bare_line_feeds,
            nuls,
            longest_line,
        } = line;
        Self {
            exact: exact.0,
            transport: transport.0,
            size,
            bare_line_feeds,
            nuls,
            longest_line,
        }
    }
}

/// A hash as 64 lower-case hexadecimal digits.
#[derive(Debug)]
struct Hex(Hash);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Hex;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hex, E> {
                hash(text)
                    .map(Hex)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

fn hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Hash(hash))
}

/// `null` is a value of its own, unlike the absence of the field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
