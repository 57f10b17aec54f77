//! How records lie in the store: a byte that names the encoding, then postcard. The order of fields and variants is
//! the format: a change of it, in the model's types too, is a new encoding and a new schema. A test holds the bytes.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use whimbrel_model::{Collection, Fingerprint, Hash, ItemMeta, Outcome, Timestamp};

use crate::{
    CollectionId, CollectionRecord, Fate, ItemRecord, MailboxId, Place, Ruling, Target, Todo, Totals,
    keys::{Key, Kind},
};

/// The one encoding that this version writes and reads.
const ENCODING: u8 = 1;

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    postcard::to_extend(value, vec![ENCODING]).map_err(|error| error.to_string())
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&ENCODING, rest)) => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
            Err(error) => Err(error.to_string()),
        },
        Some((encoding, _)) => Err(format!("unknown encoding {encoding}")),
        None => Err("it is empty".to_owned()),
    }
}

/// An item as it is kept, its id being in the key.
#[derive(Serialize)]
struct StoredItem<'a> {
    revision: &'a str,
    identity: Option<&'a str>,
    size: Option<u64>,
    received: Option<Timestamp>,
    flags: &'a [String],
    labels: &'a [String],
    attributes: &'a [(String, String)],
    fate: &'a Fate,
    live: bool,
    behind: Behind,
    fingerprint: Option<Fingerprint>,
    put: Option<Fingerprint>,
    repairs: &'a [String],
    attempts: u32,
    ruling: Option<&'a Ruling>,
    copies: &'a [Place],
    gone: Option<i64>,
}

/// The same, to be read: field by field as above.
#[derive(Deserialize)]
struct LoadedItem {
    revision: String,
    identity: Option<String>,
    size: Option<u64>,
    received: Option<Timestamp>,
    flags: Vec<String>,
    labels: Vec<String>,
    attributes: Vec<(String, String)>,
    fate: Fate,
    live: bool,
    behind: Behind,
    fingerprint: Option<Fingerprint>,
    put: Option<Fingerprint>,
    repairs: Vec<String>,
    attempts: u32,
    ruling: Option<Ruling>,
    copies: Vec<Place>,
    gone: Option<i64>,
}

/// An item with all that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub record: ItemRecord,
    /// It is placed, and the destination may hold something else than `record` says.
    pub behind: Behind,
}

/// How far what lies at the destination is behind its item; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Behind {
    /// Not at all.
    No,
    /// In its flags or labels.
    Marks,
    /// In its content.
    Content,
}

impl Item {
    /// An item that was just found.
    pub fn new(meta: ItemMeta) -> Self {
        let record = ItemRecord {
            meta,
            fate: Fate::Pending,
            live: true,
            fingerprint: None,
            put: None,
            repairs: Vec::new(),
            attempts: 0,
            ruling: None,
            copies: Vec::new(),
            gone: None,
        };
        Self {
            record,
            behind: Behind::No,
        }
    }

    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let ItemRecord {
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
        } = &self.record;
        encode(&StoredItem {
            revision: &meta.revision,
            identity: meta.identity.as_deref(),
            size: meta.size,
            received: meta.received,
            flags: &meta.flags,
            labels: &meta.labels,
            attributes: &meta.attributes,
            fate,
            live: *live,
            behind: self.behind,
            fingerprint: *fingerprint,
            put: *put,
            repairs,
            attempts: *attempts,
            ruling: ruling.as_ref(),
            copies,
            gone: *gone,
        })
    }

    pub fn decode(id: &str, bytes: &[u8]) -> Result<Self, String> {
        let item: LoadedItem = decode(bytes)?;
        let meta = ItemMeta {
            id: id.to_owned(),
            revision: item.revision,
            identity: item.identity,
            size: item.size,
            received: item.received,
            flags: item.flags,
            labels: item.labels,
            attributes: item.attributes,
        };
        let (fate, live, fingerprint) = (item.fate, item.live, item.fingerprint);
        let record = ItemRecord {
            meta,
            fate,
            live,
            fingerprint,
            put: item.put,
            repairs: item.repairs,
            attempts: item.attempts,
            ruling: item.ruling,
            copies: item.copies,
            gone: item.gone,
        };
        Ok(Self {
            record,
            behind: item.behind,
        })
    }

    /// What work waits for it.
    pub fn waiting(&self) -> Option<Todo> {
        match self.record.fate {
            Fate::Pending => Some(Todo::Copy),
            Fate::Placed { .. } if self.record.live => match self.behind {
                Behind::No => None,
                Behind::Marks => Some(Todo::Mark),
                Behind::Content => Some(Todo::Replace),
            },
            _ => None,
        }
    }

    /// Whether it lies at the destination without being at the source any more.
    pub fn is_orphan(&self) -> bool {
        matches!(self.record.fate, Fate::Placed { .. }) && !self.record.live
    }

    /// What it counts for.
    pub fn contribution(&self) -> Totals {
        let bytes = self
            .record
            .fingerprint
            .map(|print| print.size)
            .or(self.record.meta.size)
            .unwrap_or_default();
        let mut totals = Totals {
            found: 1,
            live: u64::from(self.record.live),
            bytes_found: bytes,
            ..Totals::default()
        };
        match self.record.fate {
            Fate::Pending => totals.pending = 1,
            Fate::Placed {
                outcome: Outcome::MergedWithExisting,
                ..
            } => totals.merged = 1,
            Fate::Placed {
                outcome: Outcome::Created | Outcome::Replaced,
                ..
            } => {
                totals.moved = 1;
                totals.bytes_moved = bytes;
            }
            Fate::Filtered { .. } => totals.filtered = 1,
            Fate::Oversize { .. } => totals.oversize = 1,
            Fate::Failed { .. } => totals.failed = 1,
            Fate::Gone => totals = Totals::default(),
        }
        totals
    }

    /// Where it and its copies lie, as far as the destination told.
    fn places(&self) -> impl Iterator<Item = (Option<MailboxId>, &str, &str)> {
        let own = match &self.record.fate {
            Fate::Placed {
                mailbox,
                collection,
                id: Some(id),
                ..
            } => Some((*mailbox, collection.as_str(), id.as_str())),
            _ => None,
        };
        let copies = self
            .record
            .copies
            .iter()
            .filter_map(|copy| Some((copy.mailbox, copy.collection.as_str(), copy.id.as_deref()?)));
        own.into_iter().chain(copies)
    }

    /// Its places in the indexes, with the values there.
    pub fn index(&self, mailbox: MailboxId, collection: CollectionId) -> Vec<(Key, &'static [u8])> {
        let id = self.record.meta.id.as_str();
        let mut entries: Vec<(Key, &'static [u8])> = Vec::with_capacity(2);
        if let Some(todo) = self.waiting() {
            entries.push((Key::item(Kind::Waiting, mailbox, collection, id), value_of(todo)));
        }
        match &self.record.fate {
            Fate::Failed { .. } => entries.push((Key::item(Kind::Failed, mailbox, collection, id), &[])),
            Fate::Oversize { .. } => entries.push((Key::item(Kind::Oversize, mailbox, collection, id), &[])),
            _ => {}
        }
        for (host, at, as_id) in self.places() {
            let key = match host {
                None => Key::placed(mailbox, (at, as_id), collection, id),
                Some(host) => Key::guest(host, (at, as_id), mailbox, collection, id),
            };
            // Two of them may be merged into one there.
            if !entries.iter().any(|(known, _)| *known == key) {
                entries.push((key, &[]));
            }
        }
        if let (true, Some(Fingerprint { exact: Hash(exact), .. })) = (self.is_orphan(), self.record.fingerprint) {
            entries.push((Key::orphan(mailbox, &Hash(exact), collection, id), &[]));
        }
        entries
    }
}

/// Values of the index of waiting work.
const WORK: [(Todo, &[u8]); 3] = [(Todo::Copy, b"c"), (Todo::Mark, b"m"), (Todo::Replace, b"r")];

fn value_of(todo: Todo) -> &'static [u8] {
    WORK[todo as usize].1
}

/// What a value of the index of waiting work means.
pub(crate) fn todo_of(value: &[u8]) -> Option<Todo> {
    let found = WORK.iter().find(|(_, known)| *known == value);
    found.map(|(todo, _)| *todo)
}

/// What of a collection changes seldom; its counters have a key of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredCollection {
    pub source: Collection,
    pub target: Option<Target>,
    pub cursor: Option<String>,
    pub claimed: Option<u64>,
    pub capped: Option<String>,
    /// How often its item ids became void.
    pub epoch: u32,
    /// Its item ids are becoming void: the generation that follows.
    pub voiding: Option<Option<String>>,
}

impl StoredCollection {
    pub fn new(source: Collection) -> Self {
        Self {
            source,
            target: None,
            cursor: None,
            claimed: None,
            capped: None,
            epoch: 0,
            voiding: None,
        }
    }

    pub fn record(self, id: CollectionId, totals: Totals) -> CollectionRecord {
        let Self {
            source,
            target,
            cursor,
            claimed,
            capped,
            ..
        } = self;
        CollectionRecord {
            id,
            source,
            target,
            cursor,
            claimed,
            capped,
            totals,
        }
    }
}

/// An event as it is kept, its sequence number being in the key. JSON does not fit postcard, so it is kept as text.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredEvent {
    pub unix_ms: i64,
    pub mailbox: Option<String>,
    pub kind: String,
    pub fields: String,
}

#[cfg(test)]
mod tests {
    use whimbrel_model::{Failure, Kind as ItemKind, Role};

    use crate::{Intent, IntentItem, MarkChanges, RuleStep};

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// If this fails, ledgers of released versions cannot be read any more: raise the schema and migrate.
    #[test]
    fn the_format_is_what_it_was() {
        let meta = ItemMeta {
            id: "7".into(),
            revision: "r".into(),
            identity: Some("i".into()),
            size: Some(300),
            received: Some(Timestamp {
                unix_ms: -1,
                offset_minutes: 60,
            }),
            flags: vec!["\\Seen".into()],
            labels: vec!["l".into()],
            attributes: vec![("a".into(), "b".into())],
        };
        let mut item = Item::new(meta);
        let fates = [
            (Fate::Pending, "00"),
            (
                Fate::Placed {
                    mailbox: None,
                    collection: "c".into(),
                    id: Some("9".into()),
                    revision: None,
                    outcome: Outcome::Replaced,
                },
                "010001630101390002", /* no other mailbox, collection, id, no revision */
            ),
            (Fate::Filtered { reason: "x".into() }, "020178"),
            (Fate::Oversize { limit: 5 }, "0305"),
            (
                Fate::Failed {
                    failure: Failure::Internal("x".into()),
                    diagnosis: None,
                    quarantine: Some("q".into()),
                },
                "040b017800010171", /* failure, no diagnosis */
            ),
            (Fate::Gone, "05"),
        ];
        for (fate, bytes) in fates {
            item.record.fate = fate;
            let encoded = item.encode().unwrap();
            let expected = format!(
                "01 0172 010169 01ac02 010178 01055c5365656e 01016c 0101610162 {bytes} 0100 00 00 00 00 00 00 00"
            );
            assert_eq!(hex(&encoded), expected.replace(' ', ""));
            assert_eq!(Item::decode("7", &encoded).unwrap(), item);
        }
        let (exact, transport) = (Hash([0x11; 32]), Hash([0x22; 32]));
        let print = Fingerprint {
            exact,
            transport,
            size: 1,
            bare_line_feeds: 2,
            nuls: 3,
            longest_line: 4,
        };
        item.record.fingerprint = Some(print);
        let hashes = format!("{}{}01020304", "11".repeat(32), "22".repeat(32));
        assert!(hex(&item.encode().unwrap()).ends_with(&format!("05010001{hashes}000000000000")));
        item.record.put = Some(print);
        assert!(hex(&item.encode().unwrap()).ends_with(&format!("05010001{hashes}01{hashes}0000000000")));
        item.record.put = None;
        item.record.ruling = Some(Ruling {
            steps: vec![RuleStep {
                rule: "r".into(),
                file: "f".into(),
                line: 3,
                did: "d".into(),
            }],
            marks: MarkChanges {
                set_flags: vec!["s".into()],
                ..MarkChanges::default()
            },
        });
        item.record.copies = vec![Place {
            mailbox: Some(MailboxId(2)),
            collection: "c".into(),
            id: None,
        }];
        let expected = "0101 0172 0166 03 0164 010173 00 00 00 01 0102 0163 00 00".replace(' ', "");
        assert!(hex(&item.encode().unwrap()).ends_with(&expected));
        assert_eq!(Item::decode("7", &item.encode().unwrap()).unwrap(), item);

        let intent_item = IntentItem {
            collection: CollectionId(1),
            id: "2".into(),
            fingerprint: print,
            put: None,
            copy: true,
            orphan: None,
            repairs: vec!["r".into()],
        };
        let intent = Intent {
            mailbox: None,
            target: "t".into(),
            watermark: "w".into(),
            items: vec![intent_item],
        };
        assert_eq!(
            hex(&encode(&intent).unwrap()),
            format!("0100017401770101 0132{hashes}000100010172").replace(' ', "")
        );
        let target = Target {
            id: "x".into(),
            path: vec!["y".into()],
            generation: None,
            existing: true,
        };
        assert_eq!(hex(&encode(&target).unwrap()), "01 0178 010179 00 01".replace(' ', ""));
        let event = StoredEvent {
            unix_ms: 1,
            mailbox: None,
            kind: "k".into(),
            fields: "{}".into(),
        };
        assert_eq!(hex(&encode(&event).unwrap()), "01 02 00 016b 027b7d".replace(' ', ""));
        let totals = Totals {
            found: 1,
            live: 2,
            moved: 3,
            merged: 4,
            filtered: 5,
            oversize: 6,
            failed: 7,
            pending: 8,
            bytes_found: 9,
            bytes_moved: 10,
        };
        assert_eq!(hex(&encode(&totals).unwrap()), "010102030405060708090a");

        let collection = StoredCollection::new(Collection {
            id: "x".into(),
            path: vec!["a".into(), "b".into()],
            kind: ItemKind::Filter,
            role: Some(Role::Memos),
            selectable: true,
            subscribed: false,
            items: Some(1),
            bytes: None,
            generation: Some("g".into()),
            attributes: Vec::new(),
        });
        assert_eq!(
            hex(&encode(&collection).unwrap()),
            "0101780201610162050 10b0100010100010167000000000000 00".replace(' ', "")
        );
    }

    #[test]
    fn broken_records_are_told() {
        let item = Item::new(ItemMeta {
            id: "1".into(),
            ..ItemMeta::default()
        });
        let bytes = item.encode().unwrap();
        assert!(Item::decode("1", &[]).is_err());
        assert!(Item::decode("1", &bytes[..bytes.len() - 1]).is_err());
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Item::decode("1", &longer).unwrap_err(), "1 bytes too many");
        let mut other = bytes;
        other[0] = 9;
        assert_eq!(Item::decode("1", &other).unwrap_err(), "unknown encoding 9");
    }
}
