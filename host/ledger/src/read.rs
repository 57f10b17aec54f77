//! Reading the ledger: nothing here holds more than what it gives in memory, and iterators stream.

use whimbrel_model::Hash;

use crate::{
    CollectionId, CollectionRecord, Intent, IntentId, ItemRecord, Ledger, LedgerError, MailboxId, Result, Route, Todo,
    Totals,
    keys::{self, Key, Kind, Parts},
    record::{Item, StoredCollection, todo_of},
    store::{Scan, Store},
    tree::{Entry, Near, Value},
};

impl Ledger {
    /// The mailbox of this name.
    pub fn find_mailbox(&self, name: &str) -> Result<Option<MailboxId>> {
        if name.len() > keys::LONGEST {
            return Ok(None);
        }
        self.store().load(&Key::mailbox_name(name))
    }

    /// The admin's name for a mailbox.
    pub fn mailbox_of(&self, id: MailboxId) -> Result<String> {
        self.mailbox_name(id, "mailbox_of")
    }

    /// All mailboxes with their names, in the order in which they were made.
    pub fn mailboxes(&self) -> Result<Vec<(MailboxId, String)>> {
        let mut mailboxes = Vec::new();
        for entry in self.entries(&Key::new(Kind::Mailbox), None) {
            let (key, value) = entry?;
            let id = self.part(&key, Parts::of(&key).and_then(|mut parts| parts.number()))?;
            mailboxes.push((MailboxId(id), self.store().decode(&key, &value)?));
        }
        Ok(mailboxes)
    }

    /// All collections of a mailbox, in the order in which they were made.
    pub fn collections(&self, mailbox: MailboxId) -> Result<Vec<CollectionRecord>> {
        let mut collections = Vec::new();
        let prefix = Key::within(Kind::Collection, mailbox);
        for entry in self.entries(&prefix, None) {
            let (key, value) = entry?;
            let id = CollectionId(self.part(&key, Parts::after(&key, &prefix).and_then(|mut parts| parts.number()))?);
            let data: StoredCollection = self.store().decode(&key, &value)?;
            collections.push(data.record(id, self.collection_totals(mailbox, id)?));
        }
        Ok(collections)
    }

    /// One collection.
    pub fn collection(&self, mailbox: MailboxId, collection: CollectionId) -> Result<Option<CollectionRecord>> {
        match self.collection_data(mailbox, collection)? {
            Some(data) => Ok(Some(
                data.record(collection, self.collection_totals(mailbox, collection)?),
            )),
            None => Ok(None),
        }
    }

    /// One item.
    pub fn item(&self, mailbox: MailboxId, collection: CollectionId, id: &str) -> Result<Option<ItemRecord>> {
        if id.len() > keys::LONGEST {
            return Ok(None);
        }
        Ok(load_item(self.store(), mailbox, collection, id)?.map(|item| item.record))
    }

    /// What work waits for an item, if any does.
    pub fn waits(&self, mailbox: MailboxId, collection: CollectionId, id: &str) -> Result<Option<Todo>> {
        if id.len() > keys::LONGEST {
            return Ok(None);
        }
        Ok(load_item(self.store(), mailbox, collection, id)?.and_then(|item| item.waiting()))
    }

    /// All items of a collection, those gone and orphans included; shorter ids first, then by their bytes, so that
    /// numbers come in order. Commits meanwhile do no harm: what they change behind the iterator is not seen.
    pub fn items(
        &self,
        mailbox: MailboxId,
        collection: CollectionId,
    ) -> impl Iterator<Item = Result<ItemRecord>> + Send + use<> {
        let (ledger, prefix) = (self.clone(), Key::collection(Kind::Item, mailbox, collection));
        self.entries(&prefix, None).map(move |entry| {
            let (key, value) = entry?;
            Ok(ledger.decode_item(&key, &prefix, &value)?.record)
        })
    }

    /// Work that waits in a collection: at most `limit` items after the id `after`, ordered as by [`Self::items`].
    pub fn todo(
        &self,
        mailbox: MailboxId,
        collection: CollectionId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Todo, ItemRecord)>> {
        let prefix = Key::collection(Kind::Waiting, mailbox, collection);
        let after = after.map(|id| Key::item(Kind::Waiting, mailbox, collection, id));
        let mut todo = Vec::new();
        let mut near = Near::default();
        for entry in self.entries(&prefix, after.as_ref()).take(limit) {
            let (key, value) = entry?;
            let id = self.part(&key, Parts::after(&key, &prefix).and_then(|mut parts| parts.string()))?;
            let Some(what) = todo_of(&value) else {
                return Err(self.store().corrupt(&key, "its value is unknown"));
            };
            let waits = |item: &Item| item.waiting() == Some(what);
            let near = load_item_near(self.store(), &mut near, mailbox, collection, id)?;
            let mut found = near.map(|(item, _)| item).filter(waits);
            if found.is_none() {
                // Its block may have been looked into before it began to wait; or another thread has settled it since.
                found = load_item(self.store(), mailbox, collection, id)?.filter(waits);
            }
            todo.extend(found.map(|item| (what, item.record)));
        }
        Ok(todo)
    }

    /// All items of a mailbox that failed, by collection.
    pub fn failed(
        &self,
        mailbox: MailboxId,
    ) -> impl Iterator<Item = Result<(CollectionId, ItemRecord)>> + Send + use<> {
        self.indexed(Key::within(Kind::Failed, mailbox), mailbox)
    }

    /// All items of a mailbox that are too large, by collection.
    pub fn oversize(
        &self,
        mailbox: MailboxId,
    ) -> impl Iterator<Item = Result<(CollectionId, ItemRecord)>> + Send + use<> {
        self.indexed(Key::within(Kind::Oversize, mailbox), mailbox)
    }

    /// Placed items with this content that vanished at the source, or whose ids became void: what to look through
    /// before an item that seems new is copied. Only those whose fingerprint is known.
    pub fn orphans(&self, mailbox: MailboxId, exact: &Hash) -> Result<Vec<(CollectionId, ItemRecord)>> {
        self.indexed(Key::orphans(mailbox, exact), mailbox).collect()
    }

    /// Whether there are any, of whatever content: cheaper than to look for each of many.
    pub fn has_orphans(&self, mailbox: MailboxId) -> Result<bool> {
        let prefix = Key::within(Kind::Orphan, mailbox);
        self.entries(&prefix, None)
            .next()
            .transpose()
            .map(|first| first.is_some())
    }

    /// All orphans of a mailbox whose fingerprint is known, by their content; takes as long as there are orphans.
    pub fn all_orphans(
        &self,
        mailbox: MailboxId,
    ) -> impl Iterator<Item = Result<(CollectionId, ItemRecord)>> + Send + use<> {
        let (ledger, prefix) = (self.clone(), Key::within(Kind::Orphan, mailbox));
        self.entries(&prefix, None).filter_map(move |entry| {
            let item = entry.and_then(|(key, _)| {
                let (collection, id) = ledger.orphan_of(&key, &prefix)?;
                let item = load_item(ledger.store(), mailbox, collection, id)?;
                Ok(item.filter(Item::is_orphan).map(|item| (collection, item.record)))
            });
            item.transpose()
        })
    }

    /// Whether this place of the mailbox's account at the destination holds something that the migration put or found
    /// there: an item or a copy of this mailbox, or one that rules sent there from another.
    pub fn occupied(&self, mailbox: MailboxId, destination_collection: &str, destination_id: &str) -> Result<bool> {
        if self.placed(mailbox, destination_collection, destination_id)?.is_some() {
            return Ok(true);
        }
        let guests = Key::guests(mailbox, destination_collection, destination_id);
        Ok(self.entries(&guests, None).next().transpose()?.is_some())
    }

    /// The collections that rules of a mailbox send items to.
    pub fn routes(&self, mailbox: MailboxId) -> Result<Vec<Route>> {
        let prefix = Key::within(Kind::Route, mailbox);
        self.entries(&prefix, None)
            .map(|entry| {
                let (key, value) = entry?;
                let parts = Parts::after(&key, &prefix).and_then(|mut parts| parts.number().zip(parts.string()));
                let (account, wanted) = self.part(&key, parts)?;
                Ok(Route {
                    mailbox: (account > 0).then_some(MailboxId(account)),
                    wanted: wanted.to_owned(),
                    target: self.store().decode(&key, &value)?,
                })
            })
            .collect()
    }

    /// Which source item lies at this place of the destination; the first, where several were merged into one there.
    pub fn placed(
        &self,
        mailbox: MailboxId,
        destination_collection: &str,
        destination_id: &str,
    ) -> Result<Option<(CollectionId, String)>> {
        if destination_collection.len().max(destination_id.len()) > keys::LONGEST {
            return Ok(None);
        }
        let prefix = Key::place(mailbox, destination_collection, destination_id);
        let Some(entry) = self.entries(&prefix, None).next() else {
            return Ok(None);
        };
        let (key, _) = entry?;
        let (collection, id) = self.member(&key, &prefix)?;
        Ok(Some((collection, id.to_owned())))
    }

    /// The open intents of a mailbox, oldest first.
    pub fn intents(&self, mailbox: MailboxId) -> Result<Vec<(IntentId, Intent)>> {
        let prefix = Key::within(Kind::Intent, mailbox);
        self.entries(&prefix, None)
            .map(|entry| {
                let (key, value) = entry?;
                let id = self.part(&key, Parts::after(&key, &prefix).and_then(|mut parts| parts.long()))?;
                Ok((IntentId(id), self.store().decode(&key, &value)?))
            })
            .collect()
    }

    /// The totals of all collections of a mailbox; takes as long as there are collections.
    pub fn totals(&self, mailbox: MailboxId) -> Result<Totals> {
        self.entries(&Key::within(Kind::Totals, mailbox), None)
            .map(|entry| {
                let (key, value) = entry?;
                self.store().decode::<Totals>(&key, &value)
            })
            .sum()
    }

    /// The items of index entries that begin so.
    fn indexed(
        &self,
        prefix: Key,
        mailbox: MailboxId,
    ) -> impl Iterator<Item = Result<(CollectionId, ItemRecord)>> + Send + use<> {
        let ledger = self.clone();
        self.entries(&prefix, None).filter_map(move |entry| {
            entry
                .and_then(|(key, _)| {
                    let (collection, id) = ledger.member(&key, &prefix)?;
                    let item = load_item(ledger.store(), mailbox, collection, id)?;
                    // Another thread may have changed it since the index was read.
                    let item = item.filter(|item| {
                        item.index(mailbox, collection)
                            .iter()
                            .any(|(own, _)| own.bytes() == &*key)
                    });
                    Ok(item.map(|item| (collection, item.record)))
                })
                .transpose()
        })
    }

    /// The collection and item that an index entry names after its prefix.
    fn member<'k>(&self, key: &'k [u8], prefix: &Key) -> Result<(CollectionId, &'k str)> {
        let member =
            Parts::after(key, prefix).and_then(|mut parts| parts.number().zip(parts.string()).zip(parts.end()));
        let ((collection, id), ()) = self.part(key, member)?;
        Ok((CollectionId(collection), id))
    }

    /// The collection and item that an entry of the index of orphans names.
    fn orphan_of<'k>(&self, key: &'k [u8], prefix: &Key) -> Result<(CollectionId, &'k str)> {
        let parts = Parts::after(key, prefix).and_then(|mut parts| {
            parts.hash()?;
            parts.number().zip(parts.string()).zip(parts.end())
        });
        let ((collection, id), ()) = self.part(key, parts)?;
        Ok((CollectionId(collection), id))
    }

    pub(crate) fn part<T>(&self, key: &[u8], part: Option<T>) -> Result<T, LedgerError> {
        part.ok_or_else(|| self.store().corrupt(key, "its key is broken"))
    }

    /// Keys that begin so, with their values; those after `after`, if given.
    pub(crate) fn entries(&self, prefix: &Key, after: Option<&Key>) -> Entries {
        Entries {
            scan: self.store().scan(prefix, after),
            ledger: self.clone(),
        }
    }
}

/// The item, if it is there.
pub(crate) fn load_item(store: &Store, mailbox: MailboxId, collection: CollectionId, id: &str) -> Result<Option<Item>> {
    let key = Key::item(Kind::Item, mailbox, collection, id);
    let value = store.get(&key)?;
    value.map(|value| read_item(store, &key, id, &value)).transpose()
}

/// As [`load_item`], for who asks for neighbours, with the value that it lies in; as it was when the block was looked into,
/// which may be a while ago.
pub(crate) fn load_item_near(
    store: &Store,
    near: &mut Near,
    mailbox: MailboxId,
    collection: CollectionId,
    id: &str,
) -> Result<Option<(Item, Value)>> {
    let key = Key::item(Kind::Item, mailbox, collection, id);
    let value = store.get_near(near, &key)?;
    value
        .map(|value| Ok((read_item(store, &key, id, &value)?, value)))
        .transpose()
}

fn read_item(store: &Store, key: &Key, id: &str, value: &[u8]) -> Result<Item> {
    Item::decode(id, value).map_err(|problem| store.corrupt(key.bytes(), &problem))
}

/// Keys and values in order; keeps the ledger open.
pub(crate) struct Entries {
    scan: Scan,
    ledger: Ledger,
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.scan.next(self.ledger.store())
    }
}
