//! The files of one folder, `cur` and `new` together, in the order of a listing, a part at a time.

use whimbrel_folders::disk::{ENTRIES, join};
use whimbrel_folders::{Body, Disk};
use whimbrel_plugin::files::Entry;
use whimbrel_plugin::{Failure, Timestamp};

use crate::cursor::Order;
use crate::names;
use crate::uidlist::UidList;

/// Messages up to which a folder is sorted by UID; larger ones go by name, in bounded memory.
const MOST_BY_UID: usize = 250_000;

/// A message file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Name in its directory.
    pub name: String,
    /// In `new`, not in `cur`.
    pub fresh: bool,
    /// Bytes.
    pub bytes: u64,
    /// Modification time, in milliseconds: when the message was received.
    pub modified: i64,
}

impl File {
    fn new(entry: Entry, fresh: bool) -> Option<Self> {
        let message = !entry.directory && !entry.name.starts_with('.');
        message.then_some(Self {
            name: entry.name,
            fresh,
            bytes: entry.bytes,
            modified: entry.modified.unix_ms,
        })
    }

    /// Relative to the root.
    pub fn path(&self, directory: &str) -> String {
        join(
            directory,
            &format!("{}/{}", if self.fresh { "new" } else { "cur" }, self.name),
        )
    }

    /// When the message was received.
    pub fn received(&self) -> Timestamp {
        Timestamp {
            unix_ms: self.modified,
            offset_minutes: 0,
        }
    }
}

/// A file, packed: there may be very many.
#[derive(Debug, Clone, Copy)]
struct Slot {
    uid: u32,
    chunk: u32,
    start: u32,
    length: u32,
    fresh: bool,
    bytes: u64,
    modified: i64,
}

/// Files in order.
#[derive(Debug, Default)]
pub struct Window {
    /// Names, one text for each part that was read: none of them is ever moved.
    chunks: Vec<String>,
    slots: Vec<Slot>,
    /// There is nothing behind them.
    pub last: bool,
    /// Where the next window begins.
    pub bound: String,
}

impl Window {
    /// How many files it holds.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// The file at this place.
    pub fn get(&self, at: usize) -> Option<File> {
        self.slots.get(at).map(|slot| File {
            name: self.name(slot).to_owned(),
            fresh: slot.fresh,
            bytes: slot.bytes,
            modified: slot.modified,
        })
    }

    /// UID by which the file at this place is sorted; `u32::MAX` where it has none.
    pub fn uid(&self, at: usize) -> u32 {
        self.slots.get(at).map_or(u32::MAX, |slot| slot.uid)
    }

    fn name(&self, slot: &Slot) -> &str {
        let start = slot.start as usize;
        self.chunks[slot.chunk as usize]
            .get(start..start + slot.length as usize)
            .unwrap_or_default()
    }

    /// The place of the first file behind this one.
    pub fn place_after(&self, uid: u32, name: &str) -> usize {
        self.slots
            .partition_point(|slot| (slot.uid, self.name(slot)) <= (uid, name))
    }

    /// The file with this base name, in a window that is ordered by name.
    pub fn find(&self, id: &str) -> Option<File> {
        let from = self.slots.partition_point(|slot| self.name(slot) < id);
        (from..self.len())
            .map_while(|at| self.get(at).filter(|file| file.name.starts_with(id)))
            .find(|file| names::split(&file.name).0 == id || file.name == id)
    }

    fn push(&mut self, file: &File, uid: u32) {
        if self.chunks.is_empty() {
            self.chunks.push(String::new());
        }
        let chunk = self.chunks.len() - 1;
        let text = &mut self.chunks[chunk];
        let start = text.len();
        text.push_str(&file.name);
        self.slots.push(Slot {
            uid,
            chunk: u32::try_from(chunk).unwrap_or(u32::MAX),
            start: u32::try_from(start).unwrap_or(u32::MAX),
            length: u32::try_from(file.name.len()).unwrap_or(u32::MAX),
            fresh: file.fresh,
            bytes: file.bytes,
            modified: file.modified,
        });
    }

    /// The next files by name behind `after`.
    ///
    /// A message moves from `new` to `cur` and never back, so `new` is read first: what has left it by then is found
    /// in `cur`.
    pub fn by_name(disk: &impl Disk, directory: &str, after: &str) -> Result<Self, Failure> {
        let after = (!after.is_empty()).then_some(after);
        let new = entries(disk, &join(directory, "new"), after, ENTRIES)?;
        let cur = entries(disk, &join(directory, "cur"), after, ENTRIES)?;
        // Behind the end of a part that was cut there may be files that were not read.
        let cut = |part: &[Entry]| {
            (part.len() >= ENTRIES as usize)
                .then(|| part.last().map(|entry| entry.name.clone()))
                .flatten()
        };
        let bound = match (cut(&new), cut(&cur)) {
            (Some(new), Some(cur)) => Some(new.min(cur)),
            (new, cur) => new.or(cur),
        };
        let mut files: Vec<File> = (new.into_iter().map(|entry| (entry, true)))
            .chain(cur.into_iter().map(|entry| (entry, false)))
            .filter(|(entry, _)| bound.as_ref().is_none_or(|bound| entry.name <= *bound))
            .filter_map(|(entry, fresh)| File::new(entry, fresh))
            .collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let mut window = Self {
            last: bound.is_none(),
            bound: bound.unwrap_or_default(),
            ..Self::default()
        };
        for file in &files {
            window.push(file, u32::MAX);
        }
        Ok(window)
    }

    /// All files by UID; none where there are too many.
    pub fn by_uid(disk: &impl Disk, directory: &str, list: &UidList, next: u32) -> Result<Option<Self>, Failure> {
        let mut window = Self {
            last: true,
            ..Self::default()
        };
        for (fresh, part) in [(true, "new"), (false, "cur")] {
            let path = join(directory, part);
            let mut after: Option<String> = None;
            loop {
                let entries = entries(disk, &path, after.as_deref(), ENTRIES)?;
                let full = entries.len() >= ENTRIES as usize;
                after = entries.last().map(|entry| entry.name.clone());
                window.chunks.push(String::with_capacity(
                    entries.iter().map(|entry| entry.name.len()).sum(),
                ));
                for file in entries.into_iter().filter_map(|entry| File::new(entry, fresh)) {
                    let uid = list
                        .uid(names::split(&file.name).0)
                        .filter(|&uid| uid < next)
                        .unwrap_or(u32::MAX);
                    window.push(&file, uid);
                }
                if window.len() > MOST_BY_UID {
                    return Ok(None);
                }
                if !full {
                    break;
                }
            }
        }
        let mut slots = std::mem::take(&mut window.slots);
        slots.sort_unstable_by(|a, b| (a.uid, window.name(a)).cmp(&(b.uid, window.name(b))));
        window.slots = slots;
        Ok(Some(window))
    }
}

/// The `dovecot-uidlist` of a folder; none where there is none, or it cannot be read as one.
pub fn uid_list(disk: &impl Disk, directory: &str) -> Result<Option<UidList>, Failure> {
    let body = match disk.read(&join(directory, "dovecot-uidlist"), 0, None) {
        Ok(body) => body,
        Err(Failure::NotFound(_) | Failure::Rejected(_) | Failure::Forbidden(_)) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let mut list = UidList::new();
    body.pieces(|piece| list.update(piece));
    Ok((list.validity != 0).then_some(list))
}

/// The order in which a listing that begins now goes.
pub fn order_now(list: Option<&UidList>) -> Order {
    list.map_or(Order::Name, |list| Order::Uid {
        validity: list.validity,
        next: list.next,
    })
}

/// Entries of a directory; none where there is no directory.
fn entries(disk: &impl Disk, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Entry>, Failure> {
    match disk.entries(path, after, limit) {
        Err(Failure::NotFound(_)) => Ok(Vec::new()),
        other => other,
    }
}
