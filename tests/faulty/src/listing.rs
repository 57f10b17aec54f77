//! What changed in a collection, page by page.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use whimbrel_plugin::{Change, Failure, ItemMeta, Page, Pager, Result, decode_cursor, encode_cursor};

use crate::faults::Fault;
use crate::store::{Entry, Mailbox};

/// The format of cursors.
const FORMAT: u32 = 1;

/// What is known already (`known`, by the collection's clock), and where a listing that is under way goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    mailbox: String,
    generation: u64,
    known: u64,
    /// The number that was named last; 0 where no listing is under way.
    at: u64,
    /// The clock when the listing began.
    began: u64,
}

/// A collection, as it is shown.
#[derive(Debug)]
pub struct View<'a> {
    /// The collection.
    pub mailbox: &'a Mailbox,
    /// What is done wrong.
    pub fault: Fault,
    /// Bodies that this instance has read.
    pub seen: &'a HashSet<String>,
    /// Whether this instance began a listing.
    pub began: bool,
}

impl View<'_> {
    /// The id of an item.
    pub fn id(&self, entry: &Entry) -> String {
        match self.fault {
            Fault::IdHoldsRevision => format!("{}.{}", entry.number, entry.changed),
            Fault::IdIsPosition => {
                let before = self.mailbox.items.iter().filter(|other| other.number < entry.number);
                (before.count() + 1).to_string()
            }
            Fault::IdsShift if !self.seen.is_empty() => format!("0{}", entry.number),
            _ => entry.number.to_string(),
        }
    }

    /// The item of this id.
    ///
    /// # Errors
    /// `not-found`.
    pub fn find(&self, id: &str) -> Result<&Entry> {
        let found = self.mailbox.items.iter().find(|entry| self.id(entry) == id);
        found.ok_or_else(|| Failure::not_found("there is no such item"))
    }

    /// What there is to say of an item.
    pub fn meta(&self, entry: &Entry) -> ItemMeta {
        let mut flags = entry.flags.clone();
        let mut received = entry.received();
        match self.fault {
            Fault::FlagsDropped => flags.retain(|flag| flag != "\\Flagged"),
            Fault::KeywordsLowered => flags
                .iter_mut()
                .filter(|flag| !flag.starts_with('\\'))
                .for_each(|flag| *flag = flag.to_lowercase()),
            Fault::SeenByReading if self.seen.contains(&entry.body) && !flags.iter().any(|flag| flag == "\\Seen") => {
                flags.push("\\Seen".to_owned());
            }
            Fault::ZoneDropped => {
                if let Some(at) = &mut received {
                    at.unix_ms += i64::from(at.offset_minutes) * 60_000;
                }
            }
            _ => {}
        }
        ItemMeta::new(self.id(entry))
            .revision(entry.changed.to_string())
            .size(entry.size)
            .received(received)
            .flags(flags)
            .labels(entry.labels.clone())
    }

    /// A cursor for what comes from now on.
    ///
    /// # Errors
    /// `internal` where it cannot be written.
    pub fn watermark(&self) -> Result<String> {
        let late = u64::from(self.fault == Fault::WatermarkLate);
        self.cursor(self.mailbox.clock + late)
    }

    fn cursor(&self, known: u64) -> Result<String> {
        Self::text(&Cursor {
            mailbox: self.mailbox.id.clone(),
            generation: self.mailbox.generation,
            known,
            at: 0,
            began: known,
        })
    }

    fn text(cursor: &Cursor) -> Result<String> {
        encode_cursor(FORMAT, cursor)
    }

    /// A page; see `wit/source.wit`.
    ///
    /// # Errors
    /// `generation-changed`, and `internal` for a cursor that is none of this collection.
    pub fn changes(&self, given: Option<&str>, limit: u32) -> Result<Page> {
        let mailbox = self.mailbox;
        let whole = Cursor {
            mailbox: mailbox.id.clone(),
            generation: mailbox.generation,
            known: 0,
            at: 0,
            began: 0,
        };
        let mut cursor: Cursor = match given.map(|given| decode_cursor(FORMAT, given)) {
            None => whole,
            Some(Ok(cursor)) => cursor,
            Some(Err(_)) if self.fault == Fault::CursorTraps => std::process::abort(),
            Some(Err(_)) if self.fault == Fault::CursorIgnored => return Ok(Page::new(Vec::new(), self.cursor(0)?)),
            Some(Err(failure)) => return Err(failure),
        };
        if cursor.mailbox != mailbox.id {
            return Err(Failure::internal("the cursor is of another collection"));
        }
        if cursor.generation != mailbox.generation && self.fault != Fault::GenerationUnnoticed {
            return Err(Failure::GenerationChanged);
        }
        if self.fault == Fault::CursorOfInstance && !self.began {
            cursor.at = 0;
        }
        if cursor.at == 0 {
            cursor.began = mailbox.clock;
        }
        let all = self.since(&cursor);
        let from = cursor.at;
        let mut rest = all.into_iter().filter(|(number, _)| *number > from).peekable();
        let mut pager = Pager::new(limit);
        let mut before = cursor.at;
        while let Some((number, change)) = rest.next_if(|_| !pager.is_full()) {
            pager.push(change);
            before = cursor.at;
            cursor.at = number;
        }
        let mut more = rest.peek().is_some();
        match self.fault {
            Fault::PageLost if more => cursor.at = rest.next().map_or(cursor.at, |(number, _)| number),
            Fault::ItemTwice if more && limit > 1 => cursor.at = before,
            Fault::EndlessPages if !more => {
                cursor.at += 1;
                more = true;
            }
            _ => {}
        }
        let complete = cursor.known == 0 || self.fault == Fault::CompleteLie;
        let next = match more {
            true => Self::text(&cursor)?,
            false => self.cursor(cursor.began)?,
        };
        Ok(pager.page(next, more).complete(complete))
    }

    /// By number: what changed after what is known, up to when the listing began.
    fn since(&self, cursor: &Cursor) -> BTreeMap<u64, Change> {
        let new = |clock: u64| clock > cursor.known && clock <= cursor.began;
        let first = cursor.known == 0;
        let mut changes = BTreeMap::new();
        for entry in &self.mailbox.items {
            let marked = new(entry.changed) || (self.fault == Fault::AllMarked && !first);
            if new(entry.content) || (marked && self.fault == Fault::MarkedAsNew) {
                changes.insert(entry.number, Change::Upserted(self.meta(entry)));
            } else if marked {
                changes.insert(entry.number, Change::Marked(self.meta(entry)));
            }
        }
        let gone = self.mailbox.gone.iter().filter(|(_, clock)| !first && new(*clock));
        if self.fault != Fault::VanishedUntold {
            changes.extend(gone.map(|(number, _)| (*number, Change::Vanished(number.to_string()))));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(count: u64) -> Mailbox {
        let mut mailbox = Mailbox {
            id: "7".to_owned(),
            generation: 1,
            clock: 1,
            ..Mailbox::default()
        };
        for number in 0..count {
            mailbox.add(Entry {
                body: format!("body-{number}"),
                ..Entry::default()
            });
        }
        mailbox
    }

    /// The ids of all pages, and the cursor of the last.
    fn walk(mailbox: &Mailbox, cursor: Option<&str>, limit: u32, fault: Fault) -> (Vec<String>, String) {
        let view = View {
            mailbox,
            fault,
            seen: &HashSet::new(),
            began: true,
        };
        let (mut ids, mut at) = (Vec::new(), cursor.map(str::to_owned));
        loop {
            let page = view.changes(at.as_deref(), limit).unwrap();
            ids.extend(page.changes.iter().map(|change| change.id().to_owned()));
            if !page.more {
                return (ids, page.cursor);
            }
            at = Some(page.cursor);
        }
    }

    #[test]
    fn pages_name_everything_once_and_a_delta_what_changed() {
        let mut mailbox = mailbox(5);
        for limit in [1, 2, 3, 100] {
            assert_eq!(walk(&mailbox, None, limit, Fault::None).0, ["1", "2", "3", "4", "5"]);
        }
        let (_, cursor) = walk(&mailbox, None, 2, Fault::None);
        assert!(walk(&mailbox, Some(&cursor), 2, Fault::None).0.is_empty());
        mailbox.take(2);
        mailbox.add(Entry::default());
        assert_eq!(walk(&mailbox, Some(&cursor), 1, Fault::None).0, ["2", "6"]);
    }

    #[test]
    fn planted_faults_are_faults() {
        let mailbox = mailbox(5);
        assert_eq!(walk(&mailbox, None, 2, Fault::PageLost).0, ["1", "2", "4", "5"]);
        assert_eq!(
            walk(&mailbox, None, 3, Fault::ItemTwice).0,
            ["1", "2", "3", "3", "4", "5"]
        );
    }

    #[test]
    fn cursors_of_others_are_refused() {
        let (one, mut other) = (mailbox(2), mailbox(2));
        let (_, cursor) = walk(&one, None, 9, Fault::None);
        let changes = |mailbox: &Mailbox, cursor: &str| {
            let seen = HashSet::new();
            View {
                mailbox,
                fault: Fault::None,
                seen: &seen,
                began: true,
            }
            .changes(Some(cursor), 9)
        };
        other.generation = 2;
        assert!(matches!(changes(&other, &cursor), Err(Failure::GenerationChanged)));
        other.id = "8".to_owned();
        assert!(matches!(changes(&other, &cursor), Err(Failure::Internal(_))));
        assert!(matches!(changes(&one, "2:{}"), Err(Failure::Internal(_))));
    }
}
