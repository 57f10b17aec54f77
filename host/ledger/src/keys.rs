//! Keys of the one tree: a kind byte, big-endian numbers, and strings with two bytes of length before them, so that
//! keys sort by number, and strings by length first ("9" before "10"). The README has the table.

use std::fmt;

use whimbrel_model::Hash;

use crate::{CollectionId, IntentId, MailboxId};

/// What the id of an item whose source id became void starts with. No source gives such an id: it would be refused.
pub(crate) const VOID: char = '\0';

/// The longest id or name that is taken, in bytes: the contract allows 1,024, void ids need a little more.
pub(crate) const LONGEST: usize = 4096;

/// Kinds of records, as the first byte of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    Schema = b'!',
    Flushes = b'#',
    /// See [`crate::pieces`].
    Piece = b'+',
    Collection = b'c',
    Event = b'e',
    Failed = b'f',
    Guest = b'g',
    Item = b'i',
    Meta = b'k',
    Mailbox = b'm',
    MailboxName = b'n',
    Oversize = b'o',
    Placed = b'p',
    Intent = b'q',
    Route = b'r',
    CollectionSource = b's',
    Totals = b't',
    Waiting = b'w',
    Orphan = b'x',
}

impl Kind {
    /// All that can be recomputed from the items.
    pub const INDEXES: [Self; 6] = [
        Self::Failed,
        Self::Guest,
        Self::Oversize,
        Self::Placed,
        Self::Waiting,
        Self::Orphan,
    ];

    /// What comes by the million and changes in runs of neighbours, and so lies in [blocks](crate::blocks). Orphans are
    /// in the order of their hashes: no two that change together are neighbours.
    pub const BLOCKED: [Self; 6] = [
        Self::Failed,
        Self::Guest,
        Self::Item,
        Self::Oversize,
        Self::Placed,
        Self::Waiting,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema record",
            Self::Flushes => "count of flushes",
            Self::Piece => "piece of a record",
            Self::Collection => "collection record",
            Self::Event => "event",
            Self::Failed => "index entry (failed)",
            Self::Guest => "index entry (guest)",
            Self::Item => "item record",
            Self::Meta => "note",
            Self::Mailbox => "mailbox record",
            Self::MailboxName => "mailbox name",
            Self::Oversize => "index entry (oversize)",
            Self::Placed => "index entry (placed)",
            Self::Intent => "intent",
            Self::Route => "route",
            Self::CollectionSource => "index entry (collection)",
            Self::Totals => "counters",
            Self::Waiting => "index entry (waiting)",
            Self::Orphan => "index entry (orphan)",
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [
            Self::Schema,
            Self::Flushes,
            Self::Piece,
            Self::Collection,
            Self::Event,
            Self::Failed,
            Self::Guest,
            Self::Item,
            Self::Meta,
            Self::Mailbox,
            Self::MailboxName,
            Self::Oversize,
            Self::Placed,
            Self::Intent,
            Self::Route,
            Self::CollectionSource,
            Self::Totals,
            Self::Waiting,
            Self::Orphan,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// A key, or the beginning of one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// The beginning of all keys of this kind.
    pub fn new(kind: Kind) -> Self {
        let mut bytes = Vec::with_capacity(48);
        bytes.push(kind as u8);
        Self(bytes)
    }

    fn number(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn long(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A string in shortlex order. Callers see to it that it is no longer than [`LONGEST`]; where it is, the key is
    /// still one that no other string has up to 64 KiB, and no record is ever written under it.
    fn string(mut self, string: &str) -> Self {
        let length = u16::try_from(string.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(string.as_bytes());
        self
    }

    pub fn schema() -> Self {
        Self::new(Kind::Schema)
    }

    pub fn meta(key: &str) -> Self {
        Self::new(Kind::Meta).string(key)
    }

    pub fn mailbox(id: MailboxId) -> Self {
        Self::new(Kind::Mailbox).number(id.0)
    }

    pub fn mailbox_name(name: &str) -> Self {
        Self::new(Kind::MailboxName).string(name)
    }

    /// The beginning of all keys of this kind and mailbox; not for events and notes.
    pub fn within(kind: Kind, mailbox: MailboxId) -> Self {
        Self::new(kind).number(mailbox.0)
    }

    /// A key, or the beginning of all keys, of this kind and collection; not for placed, orphans and intents.
    pub fn collection(kind: Kind, mailbox: MailboxId, collection: CollectionId) -> Self {
        Self::within(kind, mailbox).number(collection.0)
    }

    pub fn collection_source(mailbox: MailboxId, source_id: &str) -> Self {
        Self::within(Kind::CollectionSource, mailbox).string(source_id)
    }

    /// The item itself, or its place in one of the indexes that are ordered like the items.
    pub fn item(kind: Kind, mailbox: MailboxId, collection: CollectionId, id: &str) -> Self {
        Self::collection(kind, mailbox, collection).string(id)
    }

    /// The beginning of the keys of all source items that lie at this place.
    pub fn place(mailbox: MailboxId, collection: &str, id: &str) -> Self {
        Self::within(Kind::Placed, mailbox).string(collection).string(id)
    }

    pub fn placed(mailbox: MailboxId, place: (&str, &str), collection: CollectionId, id: &str) -> Self {
        Self::place(mailbox, place.0, place.1).number(collection.0).string(id)
    }

    /// The beginning of the keys of all items of other mailboxes that lie at this place of the mailbox's account.
    pub fn guests(host: MailboxId, collection: &str, id: &str) -> Self {
        Self::within(Kind::Guest, host).string(collection).string(id)
    }

    pub fn guest(host: MailboxId, place: (&str, &str), mailbox: MailboxId, collection: CollectionId, id: &str) -> Self {
        Self::guests(host, place.0, place.1)
            .number(mailbox.0)
            .number(collection.0)
            .string(id)
    }

    /// A destination collection that rules send items to; of the mailbox's own account where there is no other.
    pub fn route(mailbox: MailboxId, account: Option<MailboxId>, wanted: &str) -> Self {
        // Mailboxes are numbered from 1.
        Self::within(Kind::Route, mailbox)
            .number(account.map_or(0, |account| account.0))
            .string(wanted)
    }

    /// The beginning of the keys of all orphans with this content.
    pub fn orphans(mailbox: MailboxId, exact: &Hash) -> Self {
        Self::within(Kind::Orphan, mailbox).raw(&exact.0)
    }

    pub fn orphan(mailbox: MailboxId, exact: &Hash, collection: CollectionId, id: &str) -> Self {
        Self::orphans(mailbox, exact).number(collection.0).string(id)
    }

    pub fn intent(mailbox: MailboxId, id: IntentId) -> Self {
        Self::within(Kind::Intent, mailbox).long(id.0)
    }

    pub fn event(sequence: u64) -> Self {
        Self::new(Kind::Event).long(sequence)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it lies in a block, with its neighbours.
    pub fn is_in_blocks(&self) -> bool {
        Kind::BLOCKED.iter().any(|kind| self.0.first() == Some(&(*kind as u8)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(&self.0))
    }
}

/// A key for people: what kind, and its bytes.
pub(crate) fn describe(key: &[u8]) -> String {
    let Some((kind, rest)) = key.split_first() else {
        return "empty key".to_owned();
    };
    let name = Kind::of(*kind).map_or("record of an unknown kind", Kind::name);
    if rest.is_empty() {
        name.to_owned()
    } else {
        format!("{name} {}", rest.escape_ascii())
    }
}

/// Reads a key from the front, part by part.
pub(crate) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// What comes after the prefix, if it is one.
    pub fn after(key: &'a [u8], prefix: &Key) -> Option<Self> {
        key.strip_prefix(prefix.bytes()).map(Self)
    }

    /// What comes after the kind byte.
    pub fn of(key: &'a [u8]) -> Option<Self> {
        key.split_first().map(|(_, rest)| Self(rest))
    }

    pub fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    pub fn long(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    pub fn hash(&mut self) -> Option<Hash> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(Hash(*bytes))
    }

    pub fn string(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (string, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.0 = rest;
        std::str::from_utf8(string).ok()
    }

    /// Nothing may be left.
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// The id of an orphan whose source id became void for the `epoch`-th time.
pub(crate) fn void_id(epoch: u32, id: &str) -> String {
    format!("{VOID}{epoch}{VOID}{id}")
}

/// The id that the source gave to the item of this id, void or not.
pub(crate) fn source_id(id: &str) -> &str {
    match id.strip_prefix(VOID) {
        Some(rest) => rest.split_once(VOID).map_or(rest, |(_, id)| id),
        None => id,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const M: MailboxId = MailboxId(7);
    const C: CollectionId = CollectionId(0x0102_0304);

    #[test]
    fn a_key_is_what_the_table_says() {
        let key = Key::item(Kind::Item, M, C, "42");
        assert_eq!(key.bytes(), b"i\0\0\0\x07\x01\x02\x03\x04\0\x0242");
        assert_eq!(Key::event(1).bytes(), b"e\0\0\0\0\0\0\0\x01");
        assert_eq!(
            describe(key.bytes()),
            "item record \\x00\\x00\\x00\\x07\\x01\\x02\\x03\\x04\\x00\\x0242"
        );
    }

    #[test]
    fn void_ids_know_where_they_come_from() {
        assert_eq!(source_id(&void_id(3, "17")), "17");
        assert_eq!(source_id(&void_id(0, "a\0b")), "a\0b");
        assert_eq!(source_id("17"), "17");
    }

    proptest! {
        #[test]
        fn items_sort_by_length_and_then_by_bytes(a in ".{0,12}", b in ".{0,12}") {
            let order = (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes()));
            prop_assert_eq!(Key::item(Kind::Item, M, C, &a).cmp(&Key::item(Kind::Item, M, C, &b)), order);
        }

        #[test]
        fn numbers_sort_as_numbers(a: u32, b: u32) {
            let key = |number: u32| Key::item(Kind::Waiting, M, C, &number.to_string());
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn places_are_told_apart(a in ".{0,6}", b in ".{0,6}", c in ".{0,6}", d in ".{0,6}") {
            let (one, other) = (Key::place(M, &a, &b), Key::place(M, &c, &d));
            prop_assert_eq!(one.bytes().starts_with(other.bytes()), (&a, &b) == (&c, &d));
        }

        #[test]
        fn keys_can_be_read_back(collection: u32, id in ".{0,12}", place in ".{0,12}") {
            let prefix = Key::place(M, &place, &id);
            let key = Key::placed(M, (&place, &id), CollectionId(collection), &id);
            let mut parts = Parts::after(key.bytes(), &prefix).unwrap();
            prop_assert_eq!(parts.number(), Some(collection));
            prop_assert_eq!(parts.string(), Some(id.as_str()));
            prop_assert_eq!(parts.end(), Some(()));
        }

        #[test]
        fn garbage_is_no_key(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut parts = Parts(&bytes);
            while parts.string().is_some() && !parts.0.is_empty() {}
            let _ = describe(&bytes);
        }
    }
}
