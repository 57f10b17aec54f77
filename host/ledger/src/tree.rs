//! Entries in sled's one tree. Those of some kinds lie there one by one, those of kinds that come by the million in
//! [blocks](crate::blocks), and large values in [pieces](crate::pieces); nothing above this file knows which.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{PoisonError, RwLock},
    vec,
};

use sled::IVec;

use crate::{
    blocks::{self, Block, Broken, Reader},
    keys::Key,
    pieces,
};

/// What is to be written and removed together.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<Key, Option<Vec<u8>>>);

impl Changes {
    /// Writes this value under this key.
    pub fn insert(&mut self, key: Key, value: impl Into<Vec<u8>>) {
        self.0.insert(key, Some(value.into()));
    }

    /// Removes the entry of this key, if there is one.
    pub fn remove(&mut self, key: Key) {
        self.0.insert(key, None);
    }

    /// How many keys are changed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this key is changed.
    pub fn holds(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }
}

/// Why the tree could not do what was asked.
#[derive(Debug)]
pub(crate) enum Fault {
    Sled(sled::Error),
    /// The block under this key is broken.
    Block(IVec),
    /// A piece of the value under this key is missing.
    Piece(IVec),
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

/// A value as it was read.
pub(crate) type Value = IVec;

/// An entry.
pub(crate) type Entry = (Vec<u8>, Value);

/// The tree.
pub(crate) struct Tree {
    db: sled::Db,
    /// Blocks and pieces are cut and dropped by whoever writes; whoever reads more than one of them waits meanwhile.
    turn: RwLock<()>,
}

impl Tree {
    pub fn new(db: sled::Db) -> Self {
        let turn = RwLock::new(());
        Self { db, turn }
    }

    /// Hands all that was written to the system; it lies on the disk only when the file is synced.
    pub fn flush(&self) -> Result<(), Fault> {
        self.db.flush()?;
        Ok(())
    }

    /// Whether there are fewer entries than this, each block and piece counting as one.
    pub fn holds_fewer_than(&self, entries: usize) -> Result<bool, Fault> {
        let first = self.db.iter().take(entries).collect::<sled::Result<Vec<_>>>()?;
        Ok(first.len() < entries)
    }

    /// The value of this key.
    pub fn get(&self, key: &Key) -> Result<Option<IVec>, Fault> {
        if !key.is_in_blocks() {
            return self.single(key.bytes());
        }
        let _turn = self.turn.read().unwrap_or_else(PoisonError::into_inner);
        let Some((at, block)) = self.block_of(key.bytes())? else {
            return Ok(None);
        };
        let place = blocks::find(&block, key.bytes()).map_err(|Broken| Fault::Block(at))?;
        Ok(place.map(|place| block.subslice(place.start, place.len())))
    }

    /// As [`Self::get`], for who asks for neighbours one after the other: each block is looked into once, and what is
    /// written to it meanwhile is not seen.
    pub fn get_near(&self, near: &mut Near, key: &Key) -> Result<Option<IVec>, Fault> {
        if !near.covers(key.bytes()) {
            let _turn = self.turn.read().unwrap_or_else(PoisonError::into_inner);
            let Reach { at, block, end } = self.reach(key.bytes())?;
            near.places.clear();
            near.keys.clear();
            let mut reader = Reader::new(&block);
            let broken = || Fault::Block(at.clone().unwrap_or_default());
            while reader.next().map_err(|Broken| broken())? {
                near.places
                    .push((near.keys.len()..near.keys.len() + reader.key().len(), reader.place()));
                near.keys.extend_from_slice(reader.key());
            }
            near.reach = Reach { at, block, end };
        }
        let Near { reach, keys, places } = near;
        let found = places.binary_search_by(|(place, _)| keys.get(place.clone()).unwrap_or_default().cmp(key.bytes()));
        let place = found.ok().and_then(|at| places.get(at)).map(|(_, place)| place);
        Ok(place.map(|place| reach.block.subslice(place.start, place.len())))
    }

    /// The last key that begins so, of a kind whose entries lie one by one.
    pub fn last(&self, prefix: &Key) -> Result<Option<IVec>, Fault> {
        debug_assert!(!prefix.is_in_blocks());
        let last = self.db.scan_prefix(prefix.bytes()).next_back().transpose()?;
        Ok(last.map(|(key, _)| key))
    }

    /// Makes all these changes, or none of them.
    pub fn apply(&self, changes: &Changes) -> Result<(), Fault> {
        let _turn = self.turn.write().unwrap_or_else(PoisonError::into_inner);
        let mut batch = sled::Batch::default();
        let mut blocked: Vec<blocks::Change<'_>> = Vec::new();
        for (key, value) in &changes.0 {
            if key.is_in_blocks() {
                blocked.push((key.bytes(), value.as_deref()));
                continue;
            }
            let before = self.db.get(key.bytes())?;
            if let Some(before) = before.filter(|before| value.is_none() || pieces::goes_on(before)) {
                pieces::remove(&mut batch, key.bytes(), &self.whole(key.bytes(), before)?);
            }
            if let Some(value) = value {
                pieces::insert(&mut batch, key.bytes(), value);
            }
        }
        let mut rest = blocked.as_slice();
        while let Some((first, _)) = rest.first() {
            let Reach { at, block, end } = self.reach(first)?;
            let here = rest.iter().take_while(|(key, _)| {
                key.first() == first.first() && end.as_ref().is_none_or(|end| *key < end.as_ref())
            });
            let (here, later) = rest.split_at(here.count());
            let merged = blocks::merge(&block, here).map_err(|Broken| Fault::Block(at.clone().unwrap_or_default()))?;
            replace(&mut batch, at, &block, &merged);
            rest = later;
        }
        self.db.apply_batch(batch)?;
        Ok(())
    }

    /// The value of a key of a kind whose entries lie one by one.
    fn single(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        let first = self.db.get(key)?;
        if !first.as_deref().is_some_and(pieces::goes_on) {
            return Ok(first);
        }
        let _turn = self.turn.read().unwrap_or_else(PoisonError::into_inner);
        self.db.get(key)?.map(|first| self.whole(key, first)).transpose()
    }

    /// The value that begins so; for who has the turn.
    fn whole(&self, key: &[u8], first: IVec) -> Result<IVec, Fault> {
        pieces::whole(&self.db, key, first)?.ok_or_else(|| Fault::Piece(key.into()))
    }

    /// The block that an entry of this key lies in, or would.
    fn block_of(&self, key: &[u8]) -> Result<Option<Pair>, Fault> {
        self.block(key, self.db.range(..=key).next_back().transpose()?)
    }

    /// The first block that lies under a higher key, of the same kind.
    fn block_after(&self, key: &[u8]) -> Result<Option<Pair>, Fault> {
        self.block(key, self.db.get_gt(key)?)
    }

    /// What was found, where it is a block of the kind of this key.
    fn block(&self, key: &[u8], found: Option<Pair>) -> Result<Option<Pair>, Fault> {
        match found.filter(|(at, _)| at.first() == key.first()) {
            Some((at, first)) => {
                let block = self.whole(&at, first)?;
                Ok(Some((at, block)))
            }
            None => Ok(None),
        }
    }

    /// The block that is to take an entry of this key, and what else.
    fn reach(&self, key: &[u8]) -> Result<Reach, Fault> {
        let found = match self.block_of(key)? {
            // A key below all blocks goes to the first of them.
            None => self.block_after(key)?,
            found => found,
        };
        let Some((at, block)) = found else {
            return Ok(Reach::default());
        };
        let end = self.block_after(&at)?.map(|(end, _)| end);
        let at = Some(at);
        Ok(Reach { at, block, end })
    }
}

/// A block's key and the block, as they lie in sled.
type Pair = (IVec, IVec);

/// A block, and which keys belong into it.
#[derive(Default)]
struct Reach {
    /// Where it lies; none: there is none of this kind yet.
    at: Option<IVec>,
    block: IVec,
    /// The key of the next block.
    end: Option<IVec>,
}

/// The block that was looked into last.
#[derive(Default)]
pub(crate) struct Near {
    reach: Reach,
    /// The keys of its entries, one after the other.
    keys: Vec<u8>,
    /// Where the key of each entry lies in `keys`, and where its value in the block.
    places: Vec<(Range<usize>, Range<usize>)>,
}

impl Near {
    /// Whether an entry of this key would lie in it.
    fn covers(&self, key: &[u8]) -> bool {
        let Reach { at, end, .. } = &self.reach;
        let begins = at.as_deref().is_some_and(|at| at <= key && at.first() == key.first());
        begins && end.as_deref().is_none_or(|end| key < end)
    }
}

/// Puts blocks in the place of one.
fn replace(batch: &mut sled::Batch, at: Option<IVec>, old: &[u8], new: &[Block]) {
    if let [only] = new
        && only.bytes == old
    {
        return;
    }
    // It stays where it lies, unless it is gone or got an entry before that.
    let stays = |at: &IVec| new.first().is_some_and(|first| **at <= *first.first);
    let place = at.clone().filter(stays);
    if let Some(at) = at
        && (place.is_none() || pieces::goes_on(old))
    {
        pieces::remove(batch, &at, old);
    }
    let mut place = place.as_deref();
    for block in new {
        pieces::insert(batch, place.take().unwrap_or(&block.first), &block.bytes);
    }
}

/// Entries in order. Each step reads on from the last key, so what others change meanwhile does no harm; the entries of
/// a block are read together.
pub(crate) struct Scan {
    prefix: Key,
    steps: Steps,
}

enum Steps {
    Single(Box<sled::Iter>),
    Blocks {
        /// The key given last, or the lowest that may be given.
        at: Vec<u8>,
        given: bool,
        read: vec::IntoIter<Entry>,
    },
    Ended,
}

impl Scan {
    /// All entries whose key begins so; those after `after`, if given, which begins so too.
    pub fn new(tree: &Tree, prefix: &Key, after: Option<&Key>) -> Self {
        let steps = if prefix.is_in_blocks() {
            Steps::Blocks {
                at: after.unwrap_or(prefix).bytes().to_vec(),
                given: after.is_some(),
                read: Vec::new().into_iter(),
            }
        } else {
            let mut from = after.unwrap_or(prefix).bytes().to_vec();
            if after.is_some() {
                // The next key in order is this one with a zero byte.
                from.push(0);
            }
            Steps::Single(Box::new(tree.db.range(from..)))
        };
        let prefix = prefix.clone();
        Self { prefix, steps }
    }

    /// The next one.
    pub fn next(&mut self, tree: &Tree) -> Result<Option<Entry>, Fault> {
        let next = match &mut self.steps {
            Steps::Single(iter) => loop {
                match iter.next().transpose()? {
                    Some((key, value)) if key.starts_with(self.prefix.bytes()) => {
                        let value = match pieces::goes_on(&value) {
                            true => tree.single(&key)?,
                            false => Some(value),
                        };
                        // One that is gone by now is as good as one that was gone before.
                        if let Some(value) = value {
                            break Some((key.to_vec(), value));
                        }
                    }
                    _ => break None,
                }
            },
            Steps::Blocks { at, given, read } => {
                if read.len() == 0 {
                    *read = read_on(tree, &self.prefix, at, *given)?.into_iter();
                }
                let next = read.next();
                if let Some((key, _)) = &next
                    && read.len() == 0
                {
                    key.clone_into(at);
                    *given = true;
                }
                next
            }
            Steps::Ended => None,
        };
        if next.is_none() {
            self.steps = Steps::Ended;
        }
        Ok(next)
    }
}

/// The entries from `at` on, or after it, as far as they lie in one block.
fn read_on(tree: &Tree, prefix: &Key, at: &[u8], given: bool) -> Result<Vec<Entry>, Fault> {
    let _turn = tree.turn.read().unwrap_or_else(PoisonError::into_inner);
    let wanted = |key: &[u8]| if given { key > at } else { key >= at };
    if let Some((place, block)) = tree.block_of(at)? {
        let entries = entries(&place, &block, prefix, wanted)?;
        if !entries.is_empty() {
            return Ok(entries);
        }
    }
    match tree.block_after(at)? {
        Some((place, block)) => entries(&place, &block, prefix, wanted),
        None => Ok(Vec::new()),
    }
}

/// The entries of a block that are wanted and begin so.
fn entries(at: &IVec, block: &IVec, prefix: &Key, wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<Entry>, Fault> {
    let mut entries = Vec::new();
    let mut reader = Reader::new(block);
    while reader.next().map_err(|Broken| Fault::Block(at.clone()))? {
        let key = reader.key();
        if key.starts_with(prefix.bytes()) {
            if wanted(key) {
                let place = reader.place();
                entries.push((key.to_vec(), block.subslice(place.start, place.len())));
            }
        } else if key > prefix.bytes() {
            break;
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{CollectionId, MailboxId, keys::Kind};

    type Model = BTreeMap<Key, Vec<u8>>;

    /// Of kinds that are neighbours and lie in blocks, and of one that does not.
    fn key() -> impl Strategy<Value = Key> {
        let kind = prop_oneof![
            Just(Kind::Item),
            Just(Kind::Guest),
            Just(Kind::Waiting),
            Just(Kind::Orphan)
        ];
        let parts = (kind, 1u32..3, 1u32..3, 0u32..400);
        parts.prop_map(|(kind, mailbox, collection, id)| {
            Key::item(kind, MailboxId(mailbox), CollectionId(collection), &id.to_string())
        })
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        let size = prop_oneof![8 => 0usize..300, 1 => 2000usize..6000, 1 => 8000usize..30_000];
        (size, any::<u8>()).prop_map(|(size, byte)| vec![byte; size])
    }

    fn changes() -> impl Strategy<Value = Vec<(Key, Option<Vec<u8>>)>> {
        let run = (key(), 1u32..60, value()).prop_map(|(key, length, value)| {
            let prefix = Key::collection(Kind::Item, MailboxId(1), CollectionId(1));
            let mut parts = crate::keys::Parts::after(key.bytes(), &prefix);
            let first = parts.as_mut().and_then(|parts| parts.string()?.parse::<u32>().ok());
            let id = |number: u32| Key::item(Kind::Item, MailboxId(1), CollectionId(1), &number.to_string());
            let first = first.unwrap_or(100);
            (first..first + length)
                .map(|number| (id(number), Some(value.clone())))
                .collect()
        });
        prop_oneof![
            2 => run,
            2 => proptest::collection::vec((key(), proptest::option::of(value())), 0..60),
            1 => proptest::collection::vec((key(), Just(None)), 100..400),
        ]
    }

    fn read(tree: &Tree, prefix: &Key, after: Option<&Key>) -> Vec<Entry> {
        let mut scan = Scan::new(tree, prefix, after);
        let mut found = Vec::new();
        while let Some(entry) = scan.next(tree).unwrap() {
            found.push(entry);
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn it_holds_what_a_map_would(steps in proptest::collection::vec(changes(), 1..12), asked in proptest::collection::vec(key(), 8)) {
            let tree = Tree::new(sled::Config::new().temporary(true).open().unwrap());
            let mut model = Model::new();
            for step in steps {
                let mut changes = Changes::default();
                for (key, value) in step {
                    match value {
                        Some(value) => {
                            changes.insert(key.clone(), value.clone());
                            model.insert(key, value);
                        }
                        None => {
                            changes.remove(key.clone());
                            model.remove(&key);
                        }
                    }
                }
                tree.apply(&changes).unwrap();
                for kind in [Kind::Item, Kind::Guest, Kind::Waiting, Kind::Orphan] {
                    let prefix = Key::new(kind);
                    let expected = model.iter().filter(|(key, _)| key.bytes().starts_with(prefix.bytes()));
                    let expected: Vec<_> = expected.map(|(key, value)| (key.bytes().to_vec(), IVec::from(&**value))).collect();
                    prop_assert_eq!(read(&tree, &prefix, None), expected);
                }
                let mut near = Near::default();
                for key in asked.iter().chain(model.keys()).filter(|key| key.is_in_blocks()) {
                    let found = tree.get_near(&mut near, key).unwrap();
                    prop_assert_eq!(found.as_deref(), model.get(key).map(Vec::as_slice));
                }
                for key in &asked {
                    let found = tree.get(key).unwrap();
                    prop_assert_eq!(found.as_deref(), model.get(key).map(Vec::as_slice));
                    let prefix = Key::collection(Kind::Item, MailboxId(1), CollectionId(1));
                    if key.bytes().starts_with(prefix.bytes()) {
                        let after = model.keys().filter(|other| other.bytes().starts_with(prefix.bytes()) && *other > key);
                        let found = read(&tree, &prefix, Some(key));
                        prop_assert_eq!(found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), after.map(|key| key.bytes().to_vec()).collect::<Vec<_>>());
                    }
                }
            }
        }
    }

    #[test]
    fn what_others_change_meanwhile_does_not_hide_an_entry() {
        let tree = Tree::new(sled::Config::new().temporary(true).open().unwrap());
        let key = |number: u32| Key::item(Kind::Item, MailboxId(1), CollectionId(1), &number.to_string());
        let write = |numbers: &mut dyn Iterator<Item = u32>, value: Option<&[u8]>| {
            let mut changes = Changes::default();
            for number in numbers {
                match value {
                    Some(value) => changes.insert(key(number), value),
                    None => changes.remove(key(number)),
                }
            }
            tree.apply(&changes).unwrap();
        };
        write(&mut (1000..2000).step_by(2), Some(&[1; 100]));
        let mut scan = Scan::new(&tree, &Key::new(Kind::Item), None);
        let mut seen = Vec::new();
        while let Some((found, _)) = scan.next(&tree).unwrap() {
            let (_, number) = found.split_at(found.len() - 4);
            let number: u32 = std::str::from_utf8(number).unwrap().parse().unwrap();
            seen.push(found);
            // What was read is removed, what is ahead is cut into other blocks.
            write(&mut (number..number + 1), None);
            write(&mut ((number + 3)..(number + 60).min(2000)), Some(&[2; 150]));
        }
        for number in (1000..2000).step_by(2) {
            assert!(seen.iter().any(|found| found == key(number).bytes()), "{number}");
        }
    }
}
