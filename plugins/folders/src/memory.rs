//! A folder in memory, with a clock that the test moves and failures that it asks for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use whimbrel_plugin::files::Entry;
use whimbrel_plugin::{Failure, Timestamp};

use crate::disk::{Body, Disk, READ_BYTES};
use crate::hash::fnv;

/// The power has failed.
const DEAD: i64 = i64::MIN;

/// Bytes that are shared, not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Rc<Vec<u8>>);

impl Body for Bytes {
    fn from_bytes(bytes: &[u8]) -> Self {
        Self(Rc::new(bytes.to_vec()))
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, length: u32) -> Vec<u8> {
        assert!(length <= READ_BYTES, "a read of more than 1 MiB traps");
        let start = index(offset).min(self.0.len());
        self.0[start..(start + length as usize).min(self.0.len())].to_vec()
    }

    fn slice(&self, offset: u64, length: u64) -> Self {
        let start = index(offset).min(self.0.len());
        let end = start.saturating_add(index(length)).min(self.0.len());
        Self::from_bytes(&self.0[start..end])
    }

    fn concat(parts: &[&Self]) -> Self {
        Self(Rc::new(parts.iter().flat_map(|part| part.0.iter().copied()).collect()))
    }

    fn hash(&self) -> Vec<u8> {
        fnv(&self.0).to_be_bytes().repeat(4)
    }

    fn build(fill: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Self {
        let mut bytes = Vec::new();
        fill(&mut |piece| bytes.extend_from_slice(piece));
        Self(Rc::new(bytes))
    }
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    /// None for a directory.
    bytes: Option<Rc<Vec<u8>>>,
    modified: i64,
}

/// The folder. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryDisk {
    nodes: Rc<RefCell<BTreeMap<String, Node>>>,
    clock: Rc<Cell<i64>>,
    /// Writing steps left before the power fails; negative for never.
    power: Rc<Cell<i64>>,
    /// Writing steps made.
    steps: Rc<Cell<u64>>,
    syncs: Rc<Cell<u64>>,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        let root = Node {
            bytes: None,
            modified: 0,
        };
        Self {
            nodes: Rc::new(RefCell::new(BTreeMap::from([(String::new(), root)]))),
            clock: Rc::new(Cell::new(1_000_000_000_000)),
            power: Rc::new(Cell::new(-1)),
            steps: Rc::default(),
            syncs: Rc::default(),
        }
    }
}

impl MemoryDisk {
    /// Moves the clock on by so many milliseconds.
    pub fn pass(&self, milliseconds: i64) {
        self.clock.set(self.clock.get() + milliseconds);
    }

    /// The power fails after so many more writing steps: the step after them is done by half (an append) or not at
    /// all, and from then on everything that writes fails. Negative: never.
    pub fn fail_after(&self, steps: i64) {
        self.power.set(steps);
    }

    /// Writing steps made so far.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Calls of `sync` so far.
    pub fn syncs(&self) -> u64 {
        self.syncs.get()
    }

    /// Puts a file there, with the directories above it.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        if let Some((directory, _)) = path.rsplit_once('/') {
            self.make(directory);
        }
        self.set(path, Some(bytes.to_vec()));
    }

    /// Makes a directory, with those above it.
    pub fn make(&self, path: &str) {
        let mut at = 0;
        while at < path.len() {
            let end = path[at..].find('/').map_or(path.len(), |offset| at + offset);
            if !self.nodes.borrow().contains_key(&path[..end]) {
                self.set(&path[..end], None);
            }
            at = end + 1;
        }
    }

    /// The bytes of a file.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.nodes
            .borrow()
            .get(path)
            .and_then(|node| node.bytes.as_ref().map(|bytes| bytes.to_vec()))
    }

    /// Every file's path.
    pub fn files(&self) -> Vec<String> {
        self.nodes
            .borrow()
            .iter()
            .filter(|(_, node)| node.bytes.is_some())
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// All there is, for comparing before and after.
    pub fn snapshot(&self) -> Vec<(String, Option<Vec<u8>>, i64)> {
        let nodes = self.nodes.borrow();
        nodes
            .iter()
            .map(|(path, node)| (path.clone(), node.bytes.as_ref().map(|b| b.to_vec()), node.modified))
            .collect()
    }

    fn set(&self, path: &str, bytes: Option<Vec<u8>>) {
        let node = Node {
            bytes: bytes.map(Rc::new),
            modified: self.clock.get(),
        };
        let new = self.nodes.borrow_mut().insert(path.to_owned(), node).is_none();
        if new {
            self.touch_parent(path);
        }
    }

    fn touch_parent(&self, path: &str) {
        let parent = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if let Some(node) = self.nodes.borrow_mut().get_mut(parent) {
            node.modified = self.clock.get();
        }
    }

    /// True when the step may be made whole; false when the power fails in it.
    fn step(&self) -> Result<bool, Failure> {
        self.steps.set(self.steps.get() + 1);
        let power = self.power.get();
        match power {
            DEAD => Err(gone()),
            0 => {
                self.power.set(DEAD);
                Ok(false)
            }
            power => {
                self.power.set(power - i64::from(power > 0));
                Ok(true)
            }
        }
    }

    fn whole_step(&self) -> Result<(), Failure> {
        if self.step()? { Ok(()) } else { Err(gone()) }
    }

    fn name_of(path: &str) -> String {
        path.rsplit_once('/').map_or(path, |(_, name)| name).to_owned()
    }

    fn entry(name: String, node: &Node) -> Entry {
        Entry {
            name,
            directory: node.bytes.is_none(),
            bytes: node.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            modified: Timestamp {
                unix_ms: node.modified,
                offset_minutes: 0,
            },
        }
    }

    fn file(&self, path: &str) -> Result<Rc<Vec<u8>>, Failure> {
        let nodes = self.nodes.borrow();
        nodes
            .get(path)
            .and_then(|node| node.bytes.clone())
            .ok_or_else(|| missing(path))
    }
}

fn gone() -> Failure {
    Failure::Unavailable("the power is off".to_owned())
}

fn missing(path: &str) -> Failure {
    Failure::NotFound(format!("`{path}` is not there"))
}

impl Disk for MemoryDisk {
    type Body = Bytes;

    fn entries(&self, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Entry>, Failure> {
        let nodes = self.nodes.borrow();
        if nodes.get(path).is_none_or(|node| node.bytes.is_some()) {
            return Err(missing(path));
        }
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let mut found: Vec<Entry> = nodes
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix))
            .map(|(path, node)| (&path[prefix.len()..], node))
            .filter(|(name, _)| !name.is_empty() && !name.contains('/') && after.is_none_or(|after| *name > after))
            .map(|(name, node)| Self::entry(name.to_owned(), node))
            .collect();
        found.truncate(limit.min(crate::disk::ENTRIES) as usize);
        Ok(found)
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        Ok(self
            .nodes
            .borrow()
            .get(path)
            .map(|node| Self::entry(Self::name_of(path), node)))
    }

    fn read(&self, path: &str, offset: u64, length: Option<u64>) -> Result<Bytes, Failure> {
        let body = Bytes(self.file(path)?);
        if offset.saturating_add(length.unwrap_or(0)) > body.size() {
            return Err(Failure::rejected(format!("`{path}` does not reach as far")));
        }
        Ok(body.slice(offset, length.unwrap_or(u64::MAX)))
    }

    fn write(&self, path: &str, content: &Bytes, replace: bool) -> Result<(), Failure> {
        self.whole_step()?;
        if !replace && self.nodes.borrow().contains_key(path) {
            return Err(Failure::Rejected(format!("`{path}` is there already")));
        }
        let parent = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if !self.is_directory(parent)? {
            return Err(missing(parent));
        }
        self.set(path, Some(content.0.to_vec()));
        Ok(())
    }

    fn append(&self, path: &str, content: &Bytes) -> Result<u64, Failure> {
        let whole = self.step()?;
        let mut bytes = self.get(path).unwrap_or_default();
        let offset = bytes.len() as u64;
        let end = if whole { content.0.len() } else { content.0.len() / 2 };
        bytes.extend_from_slice(&content.0[..end]);
        self.set(path, Some(bytes));
        if whole { Ok(offset) } else { Err(gone()) }
    }

    fn truncate(&self, path: &str, bytes: u64) -> Result<(), Failure> {
        self.whole_step()?;
        let mut content = self.file(path)?.to_vec();
        content.resize(index(bytes), 0);
        self.set(path, Some(content));
        Ok(())
    }

    fn create(&self, path: &str) -> Result<(), Failure> {
        self.whole_step()?;
        self.make(path);
        Ok(())
    }

    fn rename(&self, path: &str, to: &str) -> Result<(), Failure> {
        self.whole_step()?;
        if self.nodes.borrow().contains_key(to) {
            return Err(Failure::Rejected(format!("`{to}` is there already")));
        }
        let node = self.nodes.borrow_mut().remove(path).ok_or_else(|| missing(path))?;
        self.nodes.borrow_mut().insert(to.to_owned(), node);
        self.touch_parent(path);
        self.touch_parent(to);
        Ok(())
    }

    fn set_modified(&self, path: &str, at: Timestamp) -> Result<(), Failure> {
        self.whole_step()?;
        self.nodes
            .borrow_mut()
            .get_mut(path)
            .ok_or_else(|| missing(path))?
            .modified = at.unix_ms;
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), Failure> {
        self.whole_step()?;
        self.nodes.borrow_mut().remove(path).ok_or_else(|| missing(path))?;
        self.touch_parent(path);
        Ok(())
    }

    fn sync(&self) -> Result<(), Failure> {
        self.whole_step()?;
        self.syncs.set(self.syncs.get() + 1);
        Ok(())
    }
}
