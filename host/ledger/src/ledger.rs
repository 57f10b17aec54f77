//! The ledger itself: opening, collections, commits, notes.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use whimbrel_model::Collection;

use crate::{
    Batch, CollectionId, CollectionRecord, Durability, LedgerError, LedgerOptions, MailboxId, Result, Totals,
    batch::Change,
    commit::{Work, check_id},
    keys::{self, Key, Kind, Parts},
    record::{Item, StoredCollection, encode},
    store::{Store, hold},
    tree::Changes,
};

/// Items that one step of `void_ids` deals with.
const VOID_STEP: usize = 1000;

/// The truth about a migration. Clones share it; it is closed when the last clone and the last iterator are dropped.
///
/// One process has it open at a time, and any number of threads. Every call may block on the disk.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub store: Store,
    /// Held from reading what a commit changes until it is applied. Holds the sequence number of the next event.
    pub commit: Mutex<u64>,
    next_intent: Arc<AtomicU64>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("folder", &self.inner.store.folder())
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger of a state folder; its files are in `folder/ledger`. Ends what a crash interrupted.
    ///
    /// Fails with [`LedgerError::Missing`] where there is none and none is to be made, [`LedgerError::Locked`] while
    /// another process has it open, [`LedgerError::NewerSchema`] and [`LedgerError::NotALedger`] without having changed
    /// anything.
    pub fn open(folder: &Path, options: LedgerOptions) -> Result<Self> {
        Self::over(Store::open(folder, &options)?)
    }

    pub(crate) fn over(store: Store) -> Result<Self> {
        let last_event = store.last(&Key::new(Kind::Event))?;
        let last_event = last_event.and_then(|key| Parts::of(&key)?.long()).unwrap_or_default();
        let mut next_intent = 1;
        let mut intents = store.scan(&Key::new(Kind::Intent), None);
        while let Some(entry) = intents.next(&store) {
            let (key, _) = entry?;
            let id = Parts::of(&key).and_then(|mut parts| parts.number().and(parts.long()));
            next_intent = next_intent.max(id.unwrap_or_default().saturating_add(1));
        }
        let commit = Mutex::new(last_event.saturating_add(1));
        let ledger = Self {
            inner: Arc::new(Inner {
                store,
                commit,
                next_intent: Arc::new(AtomicU64::new(next_intent)),
            }),
        };
        ledger.finish_voiding_all()?;
        Ok(ledger)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The mailbox of this name (the admin's), which is made where there is none.
    pub fn mailbox(&self, name: &str) -> Result<MailboxId> {
        check_id(name, "mailbox")?;
        let _guard = hold(&self.inner.commit);
        if let Some(id) = self.find_mailbox(name)? {
            return Ok(id);
        }
        let last = self.store().last(&Key::new(Kind::Mailbox))?;
        let last = last.and_then(|key| Parts::of(&key)?.number()).unwrap_or_default();
        let id = MailboxId(next(last, "mailbox")?);
        let mut batch = Changes::default();
        batch.insert(Key::mailbox(id), self.encoded("mailbox", name)?);
        batch.insert(Key::mailbox_name(name), self.encoded("mailbox", &id)?);
        self.store().apply(&batch)?;
        Ok(id)
    }

    /// The source's collection, by its id: made where it is new, refreshed where it is known. The generation of a known
    /// one stays what it was (unless it had none), since its item ids belong to it: compare, and call
    /// [`Batch::void_ids`] where `record.source.generation` differs.
    pub fn ensure_collection(&self, mailbox: MailboxId, source: &Collection) -> Result<CollectionRecord> {
        check_id(&source.id, "ensure_collection")?;
        let _guard = hold(&self.inner.commit);
        self.mailbox_name(mailbox, "ensure_collection")?;
        let by_source = Key::collection_source(mailbox, &source.id);
        let mut batch = Changes::default();
        let (id, mut data) = match self.store().load(&by_source)? {
            Some(id) => (id, self.collection_data(mailbox, id)?),
            None => {
                let last = self.store().last(&Key::within(Kind::Collection, mailbox))?;
                let last = last.and_then(|key| {
                    let mut parts = Parts::of(&key)?;
                    parts.number().and(parts.number())
                });
                let id = CollectionId(next(last.unwrap_or_default(), "ensure_collection")?);
                batch.insert(by_source, self.encoded("ensure_collection", &id)?);
                (id, None)
            }
        };
        let before = data.clone();
        let data = match data.take() {
            Some(mut data) => {
                let generation = data.source.generation.take().or_else(|| source.generation.clone());
                data.source = Collection {
                    generation,
                    ..source.clone()
                };
                data
            }
            None => StoredCollection::new(source.clone()),
        };
        if before.as_ref() != Some(&data) {
            let value = self.encoded("ensure_collection", &data)?;
            batch.insert(Key::collection(Kind::Collection, mailbox, id), value);
            self.store().apply(&batch)?;
        }
        Ok(data.record(id, self.collection_totals(mailbox, id)?))
    }

    /// A batch of changes to this mailbox.
    pub fn batch(&self, mailbox: MailboxId) -> Batch {
        Batch::new(mailbox, Arc::clone(&self.inner.next_intent))
    }

    /// Records the changes of the batch, all of them or none (but see [`Batch::void_ids`]). Several threads may commit
    /// to the same mailbox; those that ask for [`Durability::Flush`] at the same time share a flush.
    ///
    /// Where it fails with [`LedgerError::Io`] or [`LedgerError::Store`] from the flush, the batch may have been recorded.
    pub fn commit(&self, batch: Batch, durability: Durability) -> Result<()> {
        if !batch.is_empty() {
            self.apply(batch)?;
        }
        match durability {
            Durability::Flush => self.flush(),
            Durability::Later => Ok(()),
        }
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let mut next_event = hold(&self.inner.commit);
        let mailbox = batch.mailbox;
        let name = self.mailbox_name(mailbox, "commit")?;
        let mut work = Work::new(self.store(), mailbox, &name, *next_event);
        for change in batch.changes {
            if let Change::VoidIds { collection, generation } = change {
                work.begin_voiding(collection, generation)?;
                *next_event = work.next_event();
                work.apply()?;
                self.finish_voiding(mailbox, collection)?;
                work = Work::new(self.store(), mailbox, &name, *next_event);
            } else {
                work.change(change)?;
            }
        }
        let next = work.next_event();
        work.apply()?;
        *next_event = next;
        Ok(())
    }

    /// Ends what [`Work::begin_voiding`] began, in steps. Each step leaves less to do, so it can be begun again anywhere.
    fn finish_voiding(&self, mailbox: MailboxId, collection: CollectionId) -> Result<()> {
        let store = self.store();
        let prefix = Key::collection(Kind::Item, mailbox, collection);
        let mut scan = store.scan(&prefix, None);
        loop {
            let mut work = Work::new(store, mailbox, "", 0);
            let mut taken = 0;
            while taken < VOID_STEP {
                let Some(entry) = scan.next(store) else { break };
                let (key, value) = entry?;
                let item = self.decode_item(&key, &prefix, &value)?;
                if !item.record.is_void() {
                    work.void(collection, item)?;
                    taken += 1;
                }
            }
            if taken == 0 {
                work.end_voiding(collection)?;
                return work.apply();
            }
            work.apply()?;
        }
    }

    /// Ends every voiding that a crash interrupted.
    fn finish_voiding_all(&self) -> Result<()> {
        let store = self.store();
        let mut scan = store.scan(&Key::new(Kind::Collection), None);
        while let Some(entry) = scan.next(store) {
            let (key, value) = entry?;
            let data: StoredCollection = store.decode(&key, &value)?;
            if data.voiding.is_some() {
                let mut parts = Parts::of(&key).ok_or_else(|| store.corrupt(&key, "its key is broken"))?;
                if let (Some(mailbox), Some(collection)) = (parts.number(), parts.number()) {
                    tracing::info!(mailbox, collection, "going on with item ids that became void");
                    self.finish_voiding(MailboxId(mailbox), CollectionId(collection))?;
                }
            }
        }
        Ok(())
    }

    /// A note of an earlier [`Self::set_meta`].
    pub fn get_meta(&self, key: &str) -> Result<Option<String>> {
        self.store().load(&Key::meta(key))
    }

    /// Keeps a note: the migration's name, the last run… It lasts after the next flush.
    pub fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        if key.len() > keys::LONGEST {
            return Err(LedgerError::Invalid {
                operation: "set_meta",
                problem: "the key is too long".to_owned(),
            });
        }
        let mut batch = Changes::default();
        batch.insert(Key::meta(key), self.encoded("set_meta", value)?);
        self.store().apply(&batch)
    }

    /// Returns when everything committed so far lies on the disk.
    pub fn flush(&self) -> Result<()> {
        self.store().flush()
    }

    /// How often the disk was waited for since the ledger was opened.
    pub fn flushes(&self) -> u64 {
        self.store().flushes()
    }

    pub(crate) fn encoded<T: serde::Serialize + ?Sized>(&self, operation: &'static str, value: &T) -> Result<Vec<u8>> {
        encode(&value).map_err(|problem| LedgerError::Invalid { operation, problem })
    }

    pub(crate) fn mailbox_name(&self, mailbox: MailboxId, operation: &'static str) -> Result<String> {
        let name = self.store().load(&Key::mailbox(mailbox))?;
        name.ok_or_else(|| LedgerError::Unknown {
            operation,
            what: format!("mailbox {mailbox}"),
        })
    }

    pub(crate) fn collection_data(
        &self,
        mailbox: MailboxId,
        collection: CollectionId,
    ) -> Result<Option<StoredCollection>> {
        self.store()
            .load(&Key::collection(Kind::Collection, mailbox, collection))
    }

    pub(crate) fn collection_totals(&self, mailbox: MailboxId, collection: CollectionId) -> Result<Totals> {
        Ok(self
            .store()
            .load(&Key::collection(Kind::Totals, mailbox, collection))?
            .unwrap_or_default())
    }

    /// The item of a key that begins so.
    pub(crate) fn decode_item(&self, key: &[u8], prefix: &Key, value: &[u8]) -> Result<Item> {
        let id = Parts::after(key, prefix).and_then(|mut parts| parts.string().zip(parts.end()));
        let (id, ()) = id.ok_or_else(|| self.store().corrupt(key, "its key is broken"))?;
        Item::decode(id, value).map_err(|problem| self.store().corrupt(key, &problem))
    }
}

fn next(last: u32, operation: &'static str) -> Result<u32> {
    last.checked_add(1).ok_or_else(|| LedgerError::Invalid {
        operation,
        problem: "there are too many".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use whimbrel_model::{ItemMeta, Kind as ItemKind, Outcome};

    use super::*;
    use crate::Fate;

    #[test]
    fn a_voiding_that_was_interrupted_is_ended_at_the_next_opening() {
        let temp = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(temp.path(), LedgerOptions::default()).unwrap();
        let mailbox = ledger.mailbox("alice").unwrap();
        let source = Collection {
            id: "inbox".into(),
            path: vec!["inbox".into()],
            kind: ItemKind::Message,
            role: None,
            selectable: true,
            subscribed: true,
            items: None,
            bytes: None,
            generation: Some("old".into()),
            attributes: Vec::new(),
        };
        let collection = ledger.ensure_collection(mailbox, &source).unwrap().id;
        let mut batch = ledger.batch(mailbox);
        for id in ["1", "2", "3"] {
            batch.found(
                collection,
                &ItemMeta {
                    id: id.into(),
                    ..ItemMeta::default()
                },
            );
        }
        for id in ["1", "2"] {
            let (id, place) = (id, Some(id.to_owned()));
            let fate = Fate::Placed {
                mailbox: None,
                collection: "out".into(),
                id: place,
                revision: None,
                outcome: Outcome::MergedWithExisting,
            };
            batch.settle(collection, id, fate, None, Vec::new());
        }
        ledger.commit(batch, Durability::Later).unwrap();

        // As far as a crash after the first item lets it come.
        let mut work = Work::new(ledger.store(), mailbox, "alice", 0);
        work.begin_voiding(collection, Some("new".into())).unwrap();
        let item = crate::read::load_item(ledger.store(), mailbox, collection, "1")
            .unwrap()
            .unwrap();
        work.void(collection, item).unwrap();
        work.apply().unwrap();
        let mut batch = ledger.batch(mailbox);
        batch.vanished(collection, "2");
        let error = ledger.commit(batch, Durability::Later).unwrap_err();
        assert!(error.to_string().contains("opening the ledger again"), "{error}");
        let mut export = Vec::new();
        ledger.export(&mut export).unwrap();
        drop(ledger);

        let copy = tempfile::tempdir().unwrap();
        Ledger::import(copy.path(), &mut export.as_slice()).unwrap();
        for folder in [temp.path(), copy.path()] {
            let ledger = Ledger::open(folder, LedgerOptions::default()).unwrap();
            let record = ledger.collection(mailbox, collection).unwrap().unwrap();
            assert_eq!(record.source.generation.as_deref(), Some("new"));
            assert_eq!(
                (record.totals.found, record.totals.live, record.totals.merged),
                (2, 0, 2)
            );
            let ids: Vec<String> = ledger
                .items(mailbox, collection)
                .map(|item| item.unwrap().meta.id)
                .collect();
            assert_eq!(ids, ["1", "2"].map(|id| keys::void_id(0, id)));
            assert_eq!(ledger.audit().unwrap(), Vec::<String>::new());
        }
    }
}
