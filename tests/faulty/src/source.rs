//! The account, read.

use whimbrel_plugin::{Blob, Collection, Failure, Item, ItemMeta, Page, Result, Settings, blobs};

use crate::account::Account;
use crate::faults::Fault;
use crate::store::{Entry, Store};

/// The most of a body that a fault changes, in bytes.
const LARGEST: u64 = 64 << 20;

/// See the module.
#[derive(Debug)]
pub struct Source(Account);

impl whimbrel_plugin::Source for Source {
    fn open(settings: &Settings) -> Result<Self> {
        Account::open(settings).map(Self)
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        let store = self.0.load()?;
        if self.0.planted(Fault::Hoards) {
            std::hint::black_box(Vec::<u8>::with_capacity(40 << 20));
        }
        let mut all: Vec<Collection> = store
            .mailboxes
            .iter()
            .map(|mailbox| self.0.collection(mailbox))
            .collect();
        all.sort_by_key(|collection| collection.path.len());
        if self.0.planted(Fault::ParentsLast) {
            all.reverse();
        }
        Ok(all)
    }

    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        self.0.began |= cursor.is_none();
        match self.0.load()?.mailbox(collection) {
            Ok(mailbox) => {
                let page = self.0.view(mailbox).changes(cursor, limit);
                self.0.began = true;
                page
            }
            Err(_) if self.0.planted(Fault::UnknownEmpty) => Ok(Page::new(Vec::new(), "1:")),
            Err(failure) => Err(failure),
        }
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        let mut store = self.0.load()?;
        store.mailbox(collection)?;
        let mut ids = ids.to_vec();
        if self.0.planted(Fault::AnswersSorted) {
            ids.sort_by_key(|id| id.parse::<u64>().unwrap_or(u64::MAX));
        }
        let mut answers = Vec::with_capacity(ids.len());
        for id in &ids {
            answers.push(self.item(&mut store, collection, id));
        }
        let failed = answers.iter().find_map(|answer| answer.as_ref().err());
        match failed {
            Some(failure @ Failure::Unavailable(_)) => Err(failure.clone()),
            Some(failure) if self.0.planted(Fault::MissingFailsAll) => Err(failure.clone()),
            _ => Ok(answers),
        }
    }
}

impl Source {
    fn item(&mut self, store: &mut Store, collection: &str, id: &str) -> Result<Item> {
        let cut = store.cut;
        let mailbox = store.mailbox(collection)?;
        let view = self.0.view(mailbox);
        let (meta, entry) = match view.find(id) {
            Ok(entry) => (view.meta(entry), entry.clone()),
            Err(_) if self.0.planted(Fault::MissingGiven) => {
                return Ok(Item::message(ItemMeta::new(id), blobs::blob(b"")));
            }
            Err(_) if self.0.planted(Fault::SecretTold) => {
                return Err(Failure::not_found(format!("{} has no such item", self.0.owner)));
            }
            Err(failure) => return Err(failure),
        };
        let body = self.body(&entry, cut)?;
        self.0.seen.insert(entry.body);
        Ok(Item::message(meta, body))
    }

    fn body(&self, entry: &Entry, cut: bool) -> Result<Blob> {
        let body = self.0.folder.read(&entry.body, 0, None)?;
        if cut && !self.0.planted(Fault::CutUnnoticed) {
            return Err(Failure::unavailable(
                "the connection broke off in the midst of an answer",
            ));
        }
        Ok(match self.0.fault {
            Fault::CutUnnoticed if cut => body.slice(0, body.size() / 2),
            Fault::BodyCut => body.slice(0, body.size().saturating_sub(1)),
            Fault::LineEnds => {
                let mut bytes = blobs::read_whole(&body, LARGEST)?;
                bytes.retain(|byte| *byte != b'\r');
                blobs::blob(&bytes)
            }
            _ => body,
        })
    }
}
