//! Mail: which message lies where in the spools, and in which folders.

use std::collections::HashMap;

use whimbrel_folders::lines::Lines;
use whimbrel_folders::{Body, Fetched};
use whimbrel_plugin::{Failure, ItemMeta, Result, Timestamp};
use whimbrel_spool::content;
use whimbrel_spool::scan::{Format, Message, Rules, next_message};

use crate::labels::{Sorted, sorted};

/// Messages that are kept in mind at most.
const MOST: usize = 1_000_000;
/// Sets of labels, likewise.
const SETS: usize = 100_000;
/// Takeout puts a `>` before lines that look like a From_ line; everything else in a message is its own.
const RULES: Rules = Rules {
    format: Format::Mboxrd,
    keep_store_fields: true,
};
/// Bytes of the head in which Takeout's own fields stand.
const HEAD: u32 = 64 << 10;

/// Where a message lies.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// What Gmail knows it by; none where the From_ line does not say.
    id: Option<u64>,
    /// Of its From_ line.
    start: u64,
    /// Its spool, by number.
    spool: u32,
    /// Its labels, by number.
    set: u32,
}

/// Where all messages lie.
#[derive(Debug, Default)]
pub struct Mail {
    /// In the order of the spools.
    entries: Vec<Entry>,
    /// Their numbers, by what they are known.
    by_id: Vec<u32>,
    sets: Vec<Sorted>,
    numbers: HashMap<Vec<String>, u32>,
    /// Paths of all folders.
    folders: Vec<Vec<String>>,
}

impl Mail {
    /// Reads a spool through once.
    ///
    /// # Errors
    /// `unsupported` where there is more than can be kept in mind.
    pub fn add<B: Body>(&mut self, spool: u32, body: &B) -> Result<()> {
        let mut lines = Lines::new(body, body.size());
        while let Some(message) = next_message(&mut lines, RULES, &mut |_| {}) {
            if self.entries.len() >= MOST {
                return Err(Failure::unsupported(format!(
                    "there are more than {MOST} messages: have Takeout export some labels at a time"
                )));
            }
            let set = self.set(&message.marks.gmail)?;
            self.entries.push(Entry {
                id: gmail_id(body, &message),
                start: message.start,
                spool,
                set,
            });
        }
        Ok(())
    }

    fn set(&mut self, labels: &[String]) -> Result<u32> {
        if let Some(&number) = self.numbers.get(labels) {
            return Ok(number);
        }
        if self.sets.len() >= SETS {
            return Err(Failure::unsupported(
                "the messages bear more combinations of labels than can be kept in mind",
            ));
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(sorted(labels));
        self.numbers.insert(labels.to_vec(), number);
        Ok(number)
    }

    /// All spools are read: a message that lies in several of them is taken once.
    pub fn settle(&mut self) {
        self.numbers = HashMap::new();
        self.entries
            .sort_unstable_by_key(|entry| (entry.id.is_none(), entry.id, entry.spool, entry.start));
        self.entries
            .dedup_by(|later, first| later.id.is_some() && later.id == first.id);
        self.entries.sort_unstable_by_key(|entry| (entry.spool, entry.start));
        self.by_id = (0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX)).collect();
        let entries = &self.entries;
        self.by_id
            .sort_unstable_by_key(|&number| entries.get(number as usize).map(key));
        let mut folders: Vec<Vec<String>> = self
            .sets
            .iter()
            .flat_map(|set| &set.folders)
            .map(|(path, _)| path.clone())
            .collect();
        folders.sort();
        folders.dedup();
        self.folders = folders;
    }

    /// Paths of the folders.
    pub fn folders(&self) -> &[Vec<String>] {
        &self.folders
    }

    /// How many messages there are in all folders together, each counted once.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the message with this number lies in the folder.
    pub fn lies_in(&self, number: usize, folder: &[String]) -> bool {
        let set = self
            .entries
            .get(number)
            .and_then(|entry| self.sets.get(entry.set as usize));
        set.is_some_and(|set| set.folders.iter().any(|(path, _)| path == folder))
    }

    /// The id of a message.
    pub fn id(&self, number: usize) -> String {
        match self.entries.get(number) {
            Some(Entry { id: Some(id), .. }) => id.to_string(),
            Some(Entry { spool, start, .. }) => format!("{spool}@{start}"),
            None => String::new(),
        }
    }

    /// The number of the message with this id.
    pub fn find(&self, id: &str) -> Option<usize> {
        let wanted = match id.split_once('@') {
            None => (false, Some(id.parse().ok()?), 0, 0),
            Some((spool, start)) => (true, None, spool.parse().ok()?, start.parse().ok()?),
        };
        let of = |number: &u32| self.entries.get(*number as usize).map(key);
        let found = self.by_id.binary_search_by_key(&Some(wanted), of).ok()?;
        self.by_id.get(found).map(|&number| number as usize)
    }

    /// The spool that holds a message.
    pub fn spool_of(&self, number: usize) -> Option<u32> {
        self.entries.get(number).map(|entry| entry.spool)
    }

    /// What is known of a message, and its content. `body` is its spool, whose lines these are.
    ///
    /// # Errors
    /// `not-found` where it is not there any more.
    pub fn fetch<B: Body>(&self, number: usize, body: &B, lines: &mut Lines<B>) -> Fetched<B> {
        let gone = || Failure::not_found("the message is not where it was: the spool changed");
        let entry = self.entries.get(number).ok_or_else(gone)?;
        let (message, content) = content::message(body, lines, RULES, entry.start).ok_or_else(gone)?;
        if message.start != entry.start || gmail_id(body, &message) != entry.id {
            return Err(gone());
        }
        let set = self.sets.get(entry.set as usize).cloned().unwrap_or_default();
        let own = content.slice(added_by_takeout(&content), content.size());
        let received = (message.date.unix != 0).then(|| Timestamp {
            unix_ms: message.date.unix.saturating_mul(1000),
            offset_minutes: message.date.offset_minutes,
        });
        let meta = ItemMeta::new(self.id(number))
            .identity(entry.id.map(|id| id.to_string()))
            .size(own.size())
            .received(received)
            .flags(set.flags)
            .labels(set.labels);
        Ok((meta, own))
    }
}

/// By what a message is known: the order of [`Mail::by_id`].
fn key(entry: &Entry) -> (bool, Option<u64>, u32, u64) {
    match entry.id {
        Some(id) => (false, Some(id), 0, 0),
        None => (true, None, entry.spool, entry.start),
    }
}

/// What Gmail knows a message by: `From 1773664405479613283@xxx Tue Aug 08 …`.
fn gmail_id<B: Body>(body: &B, message: &Message) -> Option<u64> {
    let line = body.read(message.start, 64);
    let sender = line.strip_prefix(b"From ")?.split(|&byte| byte == b' ').next()?;
    let digits = std::str::from_utf8(sender).ok()?.strip_suffix("@xxx")?;
    (digits.len() >= 10 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Bytes that Takeout put before the message: `X-GM-THRID`, and right behind it `X-Gmail-Labels`. Nothing where it is not
/// certain that these are Takeout's.
fn added_by_takeout<B: Body>(content: &B) -> u64 {
    let head = content.read(0, HEAD);
    let mut lines = head.split_inclusive(|&byte| byte == b'\n').peekable();
    let thread = lines.next().unwrap_or_default();
    let number = thread.strip_prefix(b"X-GM-THRID: ").map(<[u8]>::trim_ascii_end);
    if number.is_none_or(|number| number.is_empty() || !number.iter().all(u8::is_ascii_digit)) {
        return 0;
    }
    let labels = lines.next().unwrap_or_default();
    if !labels.starts_with(b"X-Gmail-Labels:") || !labels.ends_with(b"\n") {
        return 0;
    }
    let mut length = thread.len() + labels.len();
    while let Some(more) = lines.next_if(|line| matches!(line.first(), Some(b' ' | b'\t'))) {
        if !more.ends_with(b"\n") {
            return 0;
        }
        length += more.len();
    }
    length as u64
}
