//! Applying a batch: read what it touches, change it in memory, write records, indexes and counters in one go.
//!
//! **Invariant**: counters and index entries are never set by a change. They follow from the difference between an
//! item before and after the batch ([`Item::contribution`], [`Item::index`]), so they cannot disagree with it.

use std::collections::{BTreeMap, HashMap, hash_map};

use whimbrel_model::{Fingerprint, ItemMeta, flags};

use crate::{
    CollectionId, Fate, IntentId, LedgerError, MailboxId, Place, Result, Route, Ruling, Totals,
    batch::{Adoption, Change, Settlement, now},
    events::canonical,
    keys::{self, Key, Kind, VOID},
    read::load_item_near,
    record::{Behind, Item, StoredCollection, StoredEvent, encode},
    store::Store,
    tree::{Changes, Near, Value},
};

/// Item ids, collection ids and names of the contract are at most this long, in bytes.
const LONGEST_SOURCE_ID: usize = 1024;

/// What one atomic step changes.
pub(crate) struct Work<'a> {
    store: &'a Store,
    mailbox: MailboxId,
    /// The admin's name for the mailbox.
    name: String,
    /// The sequence number of the next event.
    next_event: u64,
    /// Boxed: an item is large, and a table that grows moves what it holds.
    items: HashMap<CollectionId, HashMap<String, Box<Touched>>>,
    collections: BTreeMap<CollectionId, TouchedCollection>,
    intents: BTreeMap<IntentId, Option<Vec<u8>>>,
    routes: Vec<Route>,
    events: Vec<(u64, StoredEvent)>,
    /// Nobody else writes before this is applied.
    near: Near,
}

struct Touched {
    before: Before,
    after: Option<Item>,
}

/// What is to be known of an item as it was: to tell whether it changed, and what follows from that.
#[derive(Default)]
struct Before {
    /// As it lies in the store; none where it was not there.
    value: Option<Value>,
    contribution: Totals,
    index: Vec<(Key, &'static [u8])>,
}

impl Before {
    fn of(item: &Item, value: Value, mailbox: MailboxId, collection: CollectionId) -> Self {
        Self {
            value: Some(value),
            contribution: item.contribution(),
            index: item.index(mailbox, collection),
        }
    }
}

struct TouchedCollection {
    data: StoredCollection,
    changed: bool,
}

impl<'a> Work<'a> {
    pub fn new(store: &'a Store, mailbox: MailboxId, name: &str, next_event: u64) -> Self {
        Self {
            store,
            mailbox,
            name: name.to_owned(),
            next_event,
            items: HashMap::new(),
            collections: BTreeMap::new(),
            intents: BTreeMap::new(),
            routes: Vec::new(),
            events: Vec::new(),
            near: Near::default(),
        }
    }

    /// The sequence number that the next event will have.
    pub fn next_event(&self) -> u64 {
        self.next_event
    }

    /// Makes one change, in memory. `void_ids` is not for here.
    pub fn change(&mut self, change: Change) -> Result<()> {
        match change {
            Change::Found { collection, meta } => self.found(collection, meta, "found"),
            Change::Remark { collection, meta } => {
                self.known(collection, &meta.id, "remark")?;
                self.found(collection, meta, "remark")
            }
            Change::Altered { collection, meta } => self.altered(collection, meta),
            Change::Replaced(settlement) => self.replaced(*settlement),
            Change::Marked { collection, id, meta } => self.marked(collection, &id, meta.as_ref()),
            Change::Settle(settlement) => self.settle(*settlement),
            Change::Put { collection, id, print } => self.put_as(collection, &id, print),
            Change::Rule { collection, id, ruling } => self.rule(collection, &id, ruling.map(|ruling| *ruling)),
            Change::Copied { collection, id, place } => self.copied(collection, &id, place),
            Change::Route(route) => {
                check_length("route", [route.wanted.as_str(), &route.target.id])?;
                self.routes.push(*route);
                Ok(())
            }
            Change::Requeue { collection, id } => self.requeue(collection, &id),
            Change::Vanished { collection, id } => self.vanished(collection, &id),
            Change::Adopt(adoption) => self.adopt(*adoption),
            Change::Forget { collection, id } => self.forget(collection, &id),
            Change::Cursor { collection, cursor } => {
                let data = self.collection(collection, "cursor")?;
                data.changed |= data.data.cursor != cursor;
                data.data.cursor = cursor;
                Ok(())
            }
            Change::Listing {
                collection,
                claimed,
                capped,
            } => {
                let data = self.collection(collection, "listing")?;
                data.changed |= (data.data.claimed, &data.data.capped) != (claimed, &capped);
                (data.data.claimed, data.data.capped) = (claimed, capped);
                Ok(())
            }
            Change::Target { collection, target } => {
                let data = self.collection(collection, "target")?;
                data.changed |= data.data.target.as_ref() != Some(&target);
                data.data.target = Some(target);
                Ok(())
            }
            Change::OpenIntent { id, encoded } => {
                let value = encoded.map_err(|problem| LedgerError::Invalid {
                    operation: "open_intent",
                    problem,
                })?;
                self.intents.insert(id, Some(value));
                Ok(())
            }
            Change::CloseIntent { id } => self.close_intent(id),
            Change::Event { unix_ms, kind, fields } => {
                let event = StoredEvent {
                    unix_ms,
                    mailbox: Some(self.name.clone()),
                    kind,
                    fields: canonical(&fields),
                };
                self.events.push((self.next_event, event));
                self.next_event += 1;
                Ok(())
            }
            Change::VoidIds { collection, .. } => Err(LedgerError::Illegal {
                operation: "void_ids",
                what: format!("collection {collection}"),
                state: "in the midst of another step",
            }),
        }
    }

    /// The collection, to be changed.
    fn collection(&mut self, id: CollectionId, operation: &'static str) -> Result<&mut TouchedCollection> {
        let data = self.collection_data(id, operation)?;
        match data.data.voiding {
            None => Ok(data),
            Some(_) => Err(LedgerError::Illegal {
                operation,
                what: format!("collection {id}"),
                state: "left with some of its ids void by an earlier failure (opening the ledger again ends that)",
            }),
        }
    }

    fn collection_data(&mut self, id: CollectionId, operation: &'static str) -> Result<&mut TouchedCollection> {
        use std::collections::btree_map::Entry;
        match self.collections.entry(id) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let data = self.store.load(&Key::collection(Kind::Collection, self.mailbox, id))?;
                let data = data.ok_or_else(|| LedgerError::Unknown {
                    operation,
                    what: format!("collection {id}"),
                })?;
                Ok(entry.insert(TouchedCollection { data, changed: false }))
            }
        }
    }

    /// The item as it now is, to be changed, or none if there is none.
    fn item(&mut self, collection: CollectionId, id: &str, operation: &'static str) -> Result<&mut Option<Item>> {
        self.collection(collection, operation)?;
        let items = self.items.entry(collection).or_default();
        let touched = match items.entry(id.to_owned()) {
            hash_map::Entry::Occupied(entry) => entry.into_mut(),
            hash_map::Entry::Vacant(entry) => {
                let found = load_item_near(self.store, &mut self.near, self.mailbox, collection, id)?;
                entry.insert(Box::new(match found {
                    Some((item, value)) => Touched {
                        before: Before::of(&item, value, self.mailbox, collection),
                        after: Some(item),
                    },
                    None => Touched {
                        before: Before::default(),
                        after: None,
                    },
                }))
            }
        };
        Ok(&mut touched.after)
    }

    fn known(&mut self, collection: CollectionId, id: &str, operation: &'static str) -> Result<&mut Item> {
        match self.item(collection, id, operation)? {
            Some(item) => Ok(item),
            None => Err(LedgerError::Unknown {
                operation,
                what: named(collection, id),
            }),
        }
    }

    fn found(&mut self, collection: CollectionId, meta: ItemMeta, operation: &'static str) -> Result<()> {
        check_id(&meta.id, operation)?;
        match self.item(collection, &meta.id, operation)? {
            slot @ None => *slot = Some(Item::new(meta)),
            Some(item) => {
                if item.record.fate == Fate::Gone {
                    item.record.fate = Fate::Pending;
                }
                (item.record.live, item.record.gone) = (true, None);
                refresh(item, meta);
            }
        }
        Ok(())
    }

    fn altered(&mut self, collection: CollectionId, meta: ItemMeta) -> Result<()> {
        let id = meta.id.clone();
        self.known(collection, &id, "altered")?;
        self.found(collection, meta, "altered")?;
        let item = self.known(collection, &id, "altered")?;
        match item.record.fate {
            Fate::Placed { .. } => item.behind = Behind::Content,
            Fate::Failed { .. } | Fate::Oversize { .. } | Fate::Filtered { .. } => item.record.fate = Fate::Pending,
            Fate::Pending | Fate::Gone => {}
        }
        Ok(())
    }

    fn replaced(&mut self, settlement: Settlement) -> Result<()> {
        let Settlement {
            collection,
            id,
            meta,
            fate,
            fingerprint,
            repairs,
        } = settlement;
        check_place(&fate, "replaced")?;
        let item = self.known(collection, &id, "replaced")?;
        let record = &mut item.record;
        if !matches!((&record.fate, &fate), (Fate::Placed { .. }, Fate::Placed { .. })) {
            return Err(illegal("replaced", collection, &id, &record.fate));
        }
        item.behind = match meta {
            Some(applied) if applied.revision != record.meta.revision => Behind::Content,
            Some(applied) if !same_marks(&applied, &record.meta) => Behind::Marks,
            _ => Behind::No,
        };
        record.fate = fate;
        record.fingerprint = fingerprint.or(record.fingerprint);
        record.put = None;
        record.repairs = repairs;
        Ok(())
    }

    fn marked(&mut self, collection: CollectionId, id: &str, applied: Option<&ItemMeta>) -> Result<()> {
        let item = self.known(collection, id, "marked")?;
        if !matches!(item.record.fate, Fate::Placed { .. }) {
            return Err(illegal("marked", collection, &item.record.meta.id, &item.record.fate));
        }
        if applied.is_none_or(|applied| same_marks(applied, &item.record.meta)) {
            item.behind = if item.behind == Behind::Content {
                Behind::Content
            } else {
                Behind::No
            };
        }
        Ok(())
    }

    fn settle(&mut self, settlement: Settlement) -> Result<()> {
        let Settlement {
            collection,
            id,
            meta,
            fate,
            fingerprint,
            repairs,
        } = settlement;
        check_place(&fate, "settle")?;
        let item = self.known(collection, &id, "settle")?;
        let record = &mut item.record;
        match (&record.fate, &fate) {
            (_, Fate::Pending) | (Fate::Placed { .. }, _) => {
                return Err(illegal("settle", collection, &id, &record.fate));
            }
            // It vanished while it was on its way: it is an orphan if it arrived, and no matter to anybody if not.
            (Fate::Gone, Fate::Placed { .. }) => {}
            (Fate::Gone, _) => return Ok(()),
            _ => {}
        }
        if fate == Fate::Gone {
            lose(item);
            return Ok(());
        }
        if matches!(fate, Fate::Failed { .. }) {
            record.attempts = record.attempts.saturating_add(1);
        }
        let placed = matches!(fate, Fate::Placed { .. });
        let marks = placed && meta.is_some_and(|applied| !same_marks(&applied, &record.meta));
        item.behind = if marks { Behind::Marks } else { Behind::No };
        record.fate = fate;
        record.fingerprint = fingerprint.or(record.fingerprint);
        record.put = None;
        record.repairs = repairs;
        Ok(())
    }

    fn put_as(&mut self, collection: CollectionId, id: &str, print: Fingerprint) -> Result<()> {
        let item = self.known(collection, id, "put_as")?;
        match item.record.fate {
            Fate::Placed { .. } => {
                item.record.put = Some(print);
                Ok(())
            }
            // It vanished while it was on its way.
            Fate::Gone => Ok(()),
            _ => Err(illegal("put_as", collection, id, &item.record.fate)),
        }
    }

    fn rule(&mut self, collection: CollectionId, id: &str, ruling: Option<Ruling>) -> Result<()> {
        let item = self.known(collection, id, "rule")?;
        match item.record.fate {
            Fate::Placed { .. } => Err(illegal("rule", collection, id, &item.record.fate)),
            // It vanished meanwhile: nothing is known of it any more.
            Fate::Gone => Ok(()),
            _ => {
                item.record.ruling = ruling;
                Ok(())
            }
        }
    }

    fn copied(&mut self, collection: CollectionId, id: &str, place: Place) -> Result<()> {
        check_length(
            "copied",
            [place.collection.as_str(), place.id.as_deref().unwrap_or_default()],
        )?;
        let item = self.known(collection, id, "copied")?;
        if !item.record.copies.contains(&place) {
            item.record.copies.push(place);
        }
        Ok(())
    }

    fn requeue(&mut self, collection: CollectionId, id: &str) -> Result<()> {
        let item = self.known(collection, id, "requeue")?;
        match item.record.fate {
            Fate::Pending => Ok(()),
            Fate::Failed { .. } | Fate::Oversize { .. } | Fate::Filtered { .. } => {
                item.record.fate = Fate::Pending;
                Ok(())
            }
            Fate::Placed { .. } | Fate::Gone => Err(illegal("requeue", collection, id, &item.record.fate)),
        }
    }

    fn vanished(&mut self, collection: CollectionId, id: &str) -> Result<()> {
        if let Some(item) = self.item(collection, id, "vanished")? {
            lose(item);
        }
        Ok(())
    }

    fn adopt(&mut self, adoption: Adoption) -> Result<()> {
        let Adoption { from, to, meta, fate } = adoption;
        check_id(&meta.id, "adopt")?;
        check_place(&fate, "adopt")?;
        let known = self.item(to, &meta.id, "adopt")?;
        if let Some(Item { record, .. }) = known
            && matches!(record.fate, Fate::Placed { .. })
        {
            return Err(illegal("adopt", to, &meta.id, &record.fate));
        }
        let decided = known
            .as_ref()
            .map(|item| (item.record.ruling.clone(), item.record.copies.clone()));
        let id = meta.id.clone();
        let orphan = self.known(from.0, &from.1, "adopt")?;
        if !orphan.is_orphan() || !matches!(fate, Fate::Placed { .. }) {
            let state = if orphan.record.live {
                "still at the source"
            } else {
                "not one that was placed"
            };
            return Err(LedgerError::Illegal {
                operation: "adopt",
                what: named(from.0, &from.1),
                state,
            });
        }
        let slot = self.item(from.0, &from.1, "adopt")?;
        let Some(mut item) = slot.take() else {
            return Err(LedgerError::Unknown {
                operation: "adopt",
                what: named(from.0, &from.1),
            });
        };
        item.record.fate = fate;
        (item.record.live, item.record.gone) = (true, None);
        refresh(&mut item, meta);
        // It was known again by the content that lies at the destination.
        item.behind = item.behind.min(Behind::Marks);
        if let Some((ruling, copies)) = decided {
            let marks =
                |ruling: &Option<Ruling>| ruling.as_ref().map(|ruling| ruling.marks.clone()).unwrap_or_default();
            if marks(&item.record.ruling) != marks(&ruling) {
                item.behind = item.behind.max(Behind::Marks);
            }
            item.record.ruling = ruling;
            for copy in copies {
                if !item.record.copies.contains(&copy) {
                    item.record.copies.push(copy);
                }
            }
        }
        *self.item(to, &id, "adopt")? = Some(item);
        Ok(())
    }

    fn forget(&mut self, collection: CollectionId, id: &str) -> Result<()> {
        let item = self.known(collection, id, "forget")?;
        if !item.is_orphan() {
            return Err(illegal("forget", collection, id, &item.record.fate));
        }
        *self.item(collection, id, "forget")? = None;
        Ok(())
    }

    fn close_intent(&mut self, id: IntentId) -> Result<()> {
        let open = match self.intents.get(&id) {
            Some(intent) => intent.is_some(),
            None => self.store.get(&Key::intent(self.mailbox, id))?.is_some(),
        };
        if !open {
            return Err(LedgerError::Unknown {
                operation: "close_intent",
                what: format!("open intent {id}"),
            });
        }
        self.intents.insert(id, None);
        Ok(())
    }

    /// Marks the collection as one whose ids are becoming void; the listing starts over.
    pub fn begin_voiding(&mut self, collection: CollectionId, generation: Option<String>) -> Result<()> {
        let touched = self.collection_data(collection, "void_ids")?;
        touched.data.voiding = Some(generation);
        (touched.data.cursor, touched.data.claimed, touched.data.capped) = (None, None, None);
        touched.changed = true;
        Ok(())
    }

    /// All ids are void: the generation is the new one.
    pub fn end_voiding(&mut self, collection: CollectionId) -> Result<()> {
        let touched = self.collection_data(collection, "void_ids")?;
        if let Some(generation) = touched.data.voiding.take() {
            touched.data.source.generation = generation;
            touched.data.epoch = touched.data.epoch.saturating_add(1);
            touched.changed = true;
        }
        Ok(())
    }

    /// Makes an orphan of a placed item, under a void id, and drops any other.
    pub fn void(&mut self, collection: CollectionId, item: Item) -> Result<()> {
        let epoch = self.collection_data(collection, "void_ids")?.data.epoch;
        let key = Key::item(Kind::Item, self.mailbox, collection, &item.record.meta.id);
        let value = self.encoded_item(&key, &item)?;
        let before = Before::of(&item, value.into(), self.mailbox, collection);
        let items = self.items.entry(collection).or_default();
        if matches!(item.record.fate, Fate::Placed { .. }) {
            let mut orphan = item.clone();
            orphan.record.meta.id = keys::void_id(epoch, &item.record.meta.id);
            (orphan.record.live, orphan.record.gone) = (false, None);
            items.insert(
                orphan.record.meta.id.clone(),
                Box::new(Touched {
                    before: Before::default(),
                    after: Some(orphan),
                }),
            );
        }
        items.insert(item.record.meta.id, Box::new(Touched { before, after: None }));
        Ok(())
    }

    /// Writes it all, at once or not at all.
    pub fn apply(self) -> Result<()> {
        let mut batch = Changes::default();
        for (id, touched) in &self.collections {
            if touched.changed {
                let key = Key::collection(Kind::Collection, self.mailbox, *id);
                batch.insert(key.clone(), self.encoded(&key, &touched.data)?);
            }
        }
        for (collection, items) in &self.items {
            self.write_items(&mut batch, *collection, items)?;
        }
        for (id, intent) in &self.intents {
            let key = Key::intent(self.mailbox, *id);
            match intent {
                Some(value) => batch.insert(key, value.as_slice()),
                None => batch.remove(key),
            }
        }
        for route in &self.routes {
            let key = Key::route(self.mailbox, route.mailbox, &route.wanted);
            batch.insert(key.clone(), self.encoded(&key, &route.target)?);
        }
        for (sequence, event) in &self.events {
            let key = Key::event(*sequence);
            batch.insert(key.clone(), self.encoded(&key, event)?);
        }
        self.store.apply(&batch)
    }

    fn encoded<T: serde::Serialize>(&self, key: &Key, value: &T) -> Result<Vec<u8>> {
        encode(value).map_err(|problem| self.store.corrupt(key.bytes(), &problem))
    }

    fn encoded_item(&self, key: &Key, item: &Item) -> Result<Vec<u8>> {
        item.encode()
            .map_err(|problem| self.store.corrupt(key.bytes(), &problem))
    }

    fn write_items(
        &self,
        batch: &mut Changes,
        collection: CollectionId,
        items: &HashMap<String, Box<Touched>>,
    ) -> Result<()> {
        let key = Key::collection(Kind::Totals, self.mailbox, collection);
        let old: Totals = self.store.load(&key)?.unwrap_or_default();
        let (mut plus, mut minus) = (Totals::default(), Totals::default());
        for (id, touched) in items {
            let Touched { before, after } = &**touched;
            let item_key = Key::item(Kind::Item, self.mailbox, collection, id);
            let value = after
                .as_ref()
                .map(|item| self.encoded_item(&item_key, item))
                .transpose()?;
            if value.as_deref() == before.value.as_deref() {
                continue;
            }
            let index = |item: &Item| item.index(self.mailbox, collection);
            let (old, new) = (&before.index, after.as_ref().map(index).unwrap_or_default());
            minus = minus + before.contribution;
            plus = plus + after.as_ref().map(Item::contribution).unwrap_or_default();
            for (key, _) in old.iter().filter(|(key, _)| !new.iter().any(|(other, _)| other == key)) {
                batch.remove(key.clone());
            }
            for entry in new.into_iter().filter(|entry| !old.contains(entry)) {
                batch.insert(entry.0, entry.1);
            }
            match value {
                Some(value) => batch.insert(item_key, value),
                None => batch.remove(item_key),
            }
        }
        if plus != minus {
            let new = minus_from(old + plus, minus).filter(Totals::balanced);
            let new = new.ok_or_else(|| self.store.corrupt(key.bytes(), "they do not agree with the items"))?;
            debug_assert!(new.balanced());
            batch.insert(key.clone(), self.encoded(&key, &new)?);
        }
        Ok(())
    }
}

/// What the source now says of a known item.
fn refresh(item: &mut Item, new: ItemMeta) {
    let old = std::mem::take(&mut item.record.meta);
    item.behind = match item.record.fate {
        Fate::Placed { .. } if same_marks(&old, &new) => item.behind,
        Fate::Placed { .. } => item.behind.max(Behind::Marks),
        _ => Behind::No,
    };
    item.record.meta = ItemMeta {
        identity: new.identity.or(old.identity),
        size: new.size.or(old.size),
        received: new.received.or(old.received),
        ..new
    };
}

/// It is not at the source any more.
fn lose(item: &mut Item) {
    if item.record.live {
        item.record.gone = Some(now() / 1000);
    }
    item.record.live = false;
    if !matches!(item.record.fate, Fate::Placed { .. }) {
        // Should it come back, nothing is known of it.
        item.record.fate = Fate::Gone;
        item.record.fingerprint = None;
        item.record.repairs = Vec::new();
        item.record.attempts = 0;
        item.record.ruling = None;
    }
}

fn same_marks(a: &ItemMeta, b: &ItemMeta) -> bool {
    let sorted = |labels: &[String]| {
        let mut labels: Vec<String> = labels.to_vec();
        labels.sort();
        labels.dedup();
        labels
    };
    let same_flags = a.flags == b.flags || flags::same(&a.flags, &b.flags);
    same_flags && (a.labels == b.labels || sorted(&a.labels) == sorted(&b.labels))
}

fn minus_from(from: Totals, minus: Totals) -> Option<Totals> {
    Some(Totals {
        found: from.found.checked_sub(minus.found)?,
        live: from.live.checked_sub(minus.live)?,
        moved: from.moved.checked_sub(minus.moved)?,
        merged: from.merged.checked_sub(minus.merged)?,
        filtered: from.filtered.checked_sub(minus.filtered)?,
        oversize: from.oversize.checked_sub(minus.oversize)?,
        failed: from.failed.checked_sub(minus.failed)?,
        pending: from.pending.checked_sub(minus.pending)?,
        bytes_found: from.bytes_found.checked_sub(minus.bytes_found)?,
        bytes_moved: from.bytes_moved.checked_sub(minus.bytes_moved)?,
    })
}

pub(crate) fn check_id(id: &str, operation: &'static str) -> Result<()> {
    let problem = match id {
        "" => "an id is empty".to_owned(),
        _ if id.len() > LONGEST_SOURCE_ID => format!("an id has {} bytes, more than {LONGEST_SOURCE_ID}", id.len()),
        _ if id.starts_with(VOID) => "an id starts with a NUL character".to_owned(),
        _ => return Ok(()),
    };
    Err(LedgerError::Invalid { operation, problem })
}

fn check_place(fate: &Fate, operation: &'static str) -> Result<()> {
    let Fate::Placed { collection, id, .. } = fate else {
        return Ok(());
    };
    check_length(operation, [collection.as_str(), id.as_deref().unwrap_or_default()])
}

fn check_length(operation: &'static str, ids: [&str; 2]) -> Result<()> {
    let longest = ids[0].len().max(ids[1].len());
    if longest > keys::LONGEST {
        let problem = format!("a destination id has {longest} bytes, more than {}", keys::LONGEST);
        return Err(LedgerError::Invalid { operation, problem });
    }
    Ok(())
}

fn named(collection: CollectionId, id: &str) -> String {
    format!("item {} in collection {collection}", id.escape_default())
}

fn illegal(operation: &'static str, collection: CollectionId, id: &str, fate: &Fate) -> LedgerError {
    LedgerError::Illegal {
        operation,
        what: named(collection, id),
        state: fate.code(),
    }
}
