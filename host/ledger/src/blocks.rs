//! Blocks: neighbouring entries that lie in the store as one value. Items and indexes come by the million and change in
//! runs of neighbours, and the store asks about the same for a small value as for one of a few kilobytes.
//!
//! A block is a row of entries in ascending order of their keys: how many bytes the key shares with the one before, how
//! many follow, those, the length of the value, the value; numbers are LEB128. A block lies under a key that is not
//! above its first entry's and above that of every entry before, so that the block of a key is the last one that lies
//! under this key or a lower one.

use std::{cmp::Ordering, iter::Peekable, ops::Range};

/// The most bytes of a block, unless a single entry is larger.
pub(crate) const MOST: usize = 4096;

/// The bytes that blocks have after one was cut.
const CUT: usize = MOST * 3 / 4;

/// What is written under keys, and what is removed (`None`).
pub(crate) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// A block with the key of its first entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub first: Vec<u8>,
    pub bytes: Vec<u8>,
}

/// The block is broken: no block that was ever written looks like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// Reads a block, entry by entry.
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    /// The key of the entry read last.
    key: Vec<u8>,
    /// Where its value lies.
    value: Range<usize>,
}

impl<'b> Reader<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            key: Vec::with_capacity(64),
            value: 0..0,
        }
    }

    /// Goes to the next entry; false at the end.
    pub fn next(&mut self) -> Result<bool, Broken> {
        if self.at == self.bytes.len() {
            return Ok(false);
        }
        let (shared, rest) = (self.number()?, self.number()?);
        let rest = self.take(rest)?;
        let rest = self.bytes.get(rest).ok_or(Broken)?;
        // Keys ascend: where this one leaves the one before, it is the greater.
        if self.key.get(shared..).is_none_or(|before| rest <= before) {
            return Err(Broken);
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        let length = self.number()?;
        self.value = self.take(length)?;
        Ok(true)
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    pub fn value(&self) -> &'b [u8] {
        self.bytes.get(self.value.clone()).unwrap_or_default()
    }

    /// Where the value lies in the block.
    pub fn place(&self) -> Range<usize> {
        self.value.clone()
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, Broken> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Broken)?;
        Ok(std::mem::replace(&mut self.at, end)..end)
    }

    fn number(&mut self) -> Result<usize, Broken> {
        let mut number = 0u32;
        for shift in (0..32).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Broken)?;
            self.at += 1;
            number |= u32::from(byte & 0x7f).checked_shl(shift).ok_or(Broken)?;
            if byte < 0x80 {
                return usize::try_from(number).map_err(|_| Broken);
            }
        }
        Err(Broken)
    }
}

/// Where the value of this key lies in the block.
pub(crate) fn find(block: &[u8], key: &[u8]) -> Result<Option<Range<usize>>, Broken> {
    let mut reader = Reader::new(block);
    while reader.next()? {
        match reader.key().cmp(key) {
            Ordering::Less => {}
            Ordering::Equal => return Ok(Some(reader.place())),
            Ordering::Greater => return Ok(None),
        }
    }
    Ok(None)
}

/// The block with the changes, which ascend, as one block or several, or none where nothing is left.
pub(crate) fn merge(block: &[u8], changes: &[Change<'_>]) -> Result<Vec<Block>, Broken> {
    let mut writer = Writer::new(block, changes);
    let mut changes = changes.iter().copied().peekable();
    let mut reader = Reader::new(block);
    while reader.next()? {
        writer.changes_before(&mut changes, Some(reader.key()));
        match changes.next_if(|(key, _)| *key == reader.key()) {
            Some((key, Some(value))) => writer.put(key, value),
            Some((_, None)) => {}
            None => writer.put(reader.key(), reader.value()),
        }
    }
    writer.changes_before(&mut changes, None);
    Ok(writer.end())
}

/// Writes blocks.
struct Writer {
    blocks: Vec<Block>,
    current: Vec<u8>,
    first: Vec<u8>,
    /// The key that was written last.
    last: Vec<u8>,
    /// Bytes from which on a block is ended.
    most: usize,
}

impl Writer {
    fn new(block: &[u8], changes: &[Change<'_>]) -> Self {
        // What is appended, as ids mostly are, leaves full blocks behind; else there is to be room for more.
        let size = |(key, value): &Change<'_>| value.map_or(0, |value| key.len() + value.len() + 6);
        let whole = block.len() + changes.iter().map(size).sum::<usize>();
        let most = if whole > MOST && !appended(block, changes) {
            // A little more than the share of each, so that no rest is left over.
            (whole.div_ceil(whole.div_ceil(CUT)) + CUT / 8).min(MOST)
        } else {
            MOST
        };
        Self {
            blocks: Vec::new(),
            current: Vec::with_capacity(whole.min(MOST)),
            first: Vec::new(),
            last: Vec::new(),
            most,
        }
    }

    fn changes_before<'c>(&mut self, changes: &mut Peekable<impl Iterator<Item = Change<'c>>>, key: Option<&[u8]>) {
        while let Some((new, value)) = changes.next_if(|(new, _)| key.is_none_or(|key| *new < key)) {
            if let Some(value) = value {
                self.put(new, value);
            }
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        let shared = self.last.iter().zip(key).take_while(|(a, b)| a == b).count();
        if !self.current.is_empty() && self.current.len() + key.len() - shared + value.len() + 6 > self.most {
            self.seal();
        }
        let shared = if self.current.is_empty() {
            key.clone_into(&mut self.first);
            0
        } else {
            shared
        };
        let rest = key.get(shared..).unwrap_or_default();
        for length in [shared, rest.len()] {
            number(&mut self.current, length);
        }
        self.current.extend_from_slice(rest);
        number(&mut self.current, value.len());
        self.current.extend_from_slice(value);
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
    }

    fn seal(&mut self) {
        let room = Vec::with_capacity(self.current.capacity());
        self.blocks.push(Block {
            first: std::mem::take(&mut self.first),
            bytes: std::mem::replace(&mut self.current, room),
        });
    }

    fn end(mut self) -> Vec<Block> {
        if !self.current.is_empty() {
            self.seal();
        }
        self.blocks
    }
}

/// Whether all changes come after the last entry.
fn appended(block: &[u8], changes: &[Change<'_>]) -> bool {
    let mut reader = Reader::new(block);
    while let Ok(true) = reader.next() {}
    changes.first().is_none_or(|(first, _)| *first > reader.key())
}

/// LEB128. Lengths are far below 2^32: keys and values are bounded.
fn number(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

    fn read(block: &[u8]) -> Result<Entries, Broken> {
        let mut entries = Entries::new();
        let mut reader = Reader::new(block);
        while reader.next()? {
            entries.insert(reader.key().to_vec(), reader.value().to_vec());
        }
        Ok(entries)
    }

    fn written(entries: &Entries) -> Vec<Block> {
        let changes: Vec<Change<'_>> = entries.iter().map(|(key, value)| (&**key, Some(&**value))).collect();
        merge(&[], &changes).unwrap()
    }

    /// If this fails, ledgers of released versions cannot be read any more: raise the schema and migrate.
    #[test]
    fn the_format_is_what_it_was() {
        let entries = [("i1", "x"), ("i12", ""), ("j", "yz")].map(|(key, value)| (key.into(), value.into()));
        let blocks = written(&entries.into());
        let expected = Block {
            first: b"i1".to_vec(),
            bytes: b"\x00\x02i1\x01x\x02\x012\x00\x00\x01j\x02yz".to_vec(),
        };
        assert_eq!(blocks, [expected]);
    }

    #[test]
    fn what_is_appended_leaves_full_blocks_and_what_is_inserted_leaves_room() {
        let keys = |numbers: Range<u32>| numbers.map(|number| format!("{number:06}").into_bytes());
        let entries: Entries = keys(0..1000).map(|key| (key, vec![7; 90])).collect();
        let blocks = written(&entries);
        let (_, full) = blocks.split_last().unwrap();
        assert!(full.iter().all(|block| block.bytes.len() > MOST - 200), "{full:?}");
        let inserted = [(&b"000000a"[..], Some(&[8u8; 90][..]))];
        let cut = merge(&full[0].bytes, &inserted).unwrap();
        assert_eq!(cut.len(), 2);
        assert!(cut.iter().all(|block| block.bytes.len() < MOST * 2 / 3));
    }

    #[test]
    fn a_large_entry_has_a_block_of_its_own() {
        let entries = [("a", 10), ("b", 3 * MOST), ("c", 10)].map(|(key, size)| (key.into(), vec![b'x'; size]));
        let blocks = written(&entries.into());
        assert_eq!(
            blocks.iter().map(|block| &*block.first).collect::<Vec<_>>(),
            [b"a", b"b", b"c"]
        );
    }

    #[test]
    fn broken_blocks_are_told() {
        let one = &written(&[(b"key".to_vec(), b"value".to_vec())].into())[0].bytes;
        for end in 1..one.len() {
            assert_eq!(read(&one[..end]), Err(Broken), "{end}");
        }
        let descending = b"\x00\x01b\x00\x00\x01a\x00";
        let twice = b"\x00\x01b\x00\x01\x00\x00";
        for bytes in [
            &descending[..],
            twice,
            b"\x01\x01b\x00",
            b"\xff\xff\xff\xff\xff\x01\x01b\x00",
        ] {
            assert_eq!(read(bytes), Err(Broken), "{bytes:?}");
        }
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255)], 1..6)
    }

    fn entries(most: usize) -> impl Strategy<Value = Entries> {
        let value = prop_oneof![
            3 => proptest::collection::vec(any::<u8>(), 0..20),
            1 => (0usize..2000).prop_map(|size| vec![b'v'; size])
        ];
        proptest::collection::btree_map(key(), value, 0..most)
    }

    proptest! {
        #[test]
        fn a_merge_is_what_a_map_would_do(
            before in entries(40),
            inserted in entries(20),
            removed in proptest::collection::btree_set(key(), 0..20),
        ) {
            let old = written(&before);
            let mut changes: BTreeMap<&[u8], Option<&[u8]>> = removed.iter().map(|key| (&**key, None)).collect();
            changes.extend(inserted.iter().map(|(key, value)| (&**key, Some(&**value))));
            let changes: Vec<Change<'_>> = changes.into_iter().collect();
            let mut expected = before.clone();
            for (key, value) in &changes {
                match value {
                    Some(value) => drop(expected.insert(key.to_vec(), value.to_vec())),
                    None => drop(expected.remove(*key)),
                }
            }
            // All of it as one block, which may be larger than blocks are.
            let whole: Vec<Change<'_>> = before.iter().map(|(key, value)| (&**key, Some(&**value))).collect();
            let mut writer = Writer::new(&[], &whole);
            writer.most = usize::MAX;
            whole.iter().for_each(|(key, value)| writer.put(key, value.unwrap()));
            let one = writer.end();
            let one = one.first().map(|block| &*block.bytes).unwrap_or_default();
            let new = merge(one, &changes).unwrap();
            let mut found = Entries::new();
            for block in &new {
                let entries = read(&block.bytes).unwrap();
                prop_assert_eq!(entries.keys().next(), Some(&block.first));
                prop_assert!(found.last_key_value().is_none_or(|(last, _)| *last < block.first));
                prop_assert!(block.bytes.len() <= MOST || entries.len() == 1);
                for (key, value) in &entries {
                    let place = find(&block.bytes, key).unwrap().unwrap();
                    prop_assert_eq!(&block.bytes[place], &**value);
                }
                found.extend(entries);
            }
            prop_assert_eq!(found, expected);
            for block in old {
                prop_assert_eq!(find(&block.bytes, b"\x02"), Ok(None));
            }
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(0u8..8, 0..60), key in key()) {
            let _ = read(&bytes);
            let _ = find(&bytes, &key);
            let _ = merge(&bytes, &[(&key, Some(b"x"))]);
        }
    }
}
