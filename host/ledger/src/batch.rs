//! A batch: changes to one mailbox that are recorded together or not at all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use whimbrel_model::{Fingerprint, ItemMeta};

use crate::{CollectionId, Fate, Intent, IntentId, MailboxId, Place, Route, Ruling, Target, record::encode};

/// Changes to one mailbox, recorded by [`Ledger::commit`](crate::Ledger::commit) together or not at all.
///
/// A batch only collects: nothing is read, checked or written before the commit, which applies the changes in the
/// order in which they were made, so that each sees the ones before it. A change that cannot be (an unknown item, an
/// item in the wrong state) makes the commit fail, and nothing of the batch is recorded.
#[derive(Debug)]
pub struct Batch {
    pub(crate) mailbox: MailboxId,
    pub(crate) changes: Vec<Change>,
    next_intent: Arc<AtomicU64>,
}

/// One change, as it was asked for.
#[derive(Debug)]
pub(crate) enum Change {
    Found {
        collection: CollectionId,
        meta: ItemMeta,
    },
    Remark {
        collection: CollectionId,
        meta: ItemMeta,
    },
    Altered {
        collection: CollectionId,
        meta: ItemMeta,
    },
    Replaced(Box<Settlement>),
    Marked {
        collection: CollectionId,
        id: String,
        meta: Option<ItemMeta>,
    },
    Settle(Box<Settlement>),
    Put {
        collection: CollectionId,
        id: String,
        print: Fingerprint,
    },
    Rule {
        collection: CollectionId,
        id: String,
        ruling: Option<Box<Ruling>>,
    },
    Copied {
        collection: CollectionId,
        id: String,
        place: Place,
    },
    Requeue {
        collection: CollectionId,
        id: String,
    },
    Vanished {
        collection: CollectionId,
        id: String,
    },
    VoidIds {
        collection: CollectionId,
        generation: Option<String>,
    },
    Adopt(Box<Adoption>),
    Forget {
        collection: CollectionId,
        id: String,
    },
    Cursor {
        collection: CollectionId,
        cursor: Option<String>,
    },
    Listing {
        collection: CollectionId,
        claimed: Option<u64>,
        capped: Option<String>,
    },
    Target {
        collection: CollectionId,
        target: Target,
    },
    Route(Box<Route>),
    OpenIntent {
        id: IntentId,
        encoded: Result<Vec<u8>, String>,
    },
    CloseIntent {
        id: IntentId,
    },
    Event {
        unix_ms: i64,
        kind: String,
        fields: serde_json::Value,
    },
}

#[derive(Debug)]
pub(crate) struct Settlement {
    pub collection: CollectionId,
    pub id: String,
    pub meta: Option<ItemMeta>,
    pub fate: Fate,
    pub fingerprint: Option<Fingerprint>,
    pub repairs: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Adoption {
    pub from: (CollectionId, String),
    pub to: CollectionId,
    pub meta: ItemMeta,
    pub fate: Fate,
}

impl Batch {
    pub(crate) fn new(mailbox: MailboxId, next_intent: Arc<AtomicU64>) -> Self {
        Self {
            mailbox,
            changes: Vec::new(),
            next_intent,
        }
    }

    /// The mailbox that it changes.
    pub fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The source lists this item. One that is new becomes [`Fate::Pending`] and waits to be copied. One that is known
    /// is treated as by [`Self::remark`]; one that had vanished is live again, and waits to be copied if it was never
    /// placed.
    pub fn found(&mut self, collection: CollectionId, meta: &ItemMeta) {
        self.changes.push(Change::Found {
            collection,
            meta: meta.clone(),
        });
    }

    /// As [`Self::found`], of an item that must be known already: what the source now says of it is stored (where it
    /// says nothing of size, date or identity, the known ones stay). If flags or labels differ from those stored and
    /// the item is placed, it waits to be marked.
    pub fn remark(&mut self, collection: CollectionId, meta: &ItemMeta) {
        self.changes.push(Change::Remark {
            collection,
            meta: meta.clone(),
        });
    }

    /// As [`Self::remark`], of an item whose content changed at the source. If it is placed, it waits to be replaced;
    /// one that failed, was oversize or filtered waits to be copied.
    pub fn altered(&mut self, collection: CollectionId, meta: &ItemMeta) {
        self.changes.push(Change::Altered {
            collection,
            meta: meta.clone(),
        });
    }

    /// The destination has the content, flags and labels of an item that is placed as they are in `applied` (the `meta`
    /// of the record that was worked from), in the place that `fate` says, which is [`Fate::Placed`]. Where the source
    /// told something else meanwhile, the item goes on waiting.
    pub fn replaced(
        &mut self,
        collection: CollectionId,
        applied: &ItemMeta,
        fate: Fate,
        fingerprint: Option<Fingerprint>,
        repairs: Vec<String>,
    ) {
        let (id, meta) = (applied.id.clone(), Some(applied.clone()));
        self.changes.push(Change::Replaced(Box::new(Settlement {
            collection,
            id,
            meta,
            fate,
            fingerprint,
            repairs,
        })));
    }

    /// The destination has the item's flags and labels as they are stored. Prefer [`Self::marked_as`] where listing
    /// and marking run at the same time.
    pub fn marked(&mut self, collection: CollectionId, id: &str) {
        self.changes.push(Change::Marked {
            collection,
            id: id.to_owned(),
            meta: None,
        });
    }

    /// The destination has the item's flags and labels as they are in `applied` (the `meta` of the record that was
    /// worked from): where others were stored meanwhile, the item goes on waiting to be marked.
    pub fn marked_as(&mut self, collection: CollectionId, applied: &ItemMeta) {
        self.changes.push(Change::Marked {
            collection,
            id: applied.id.clone(),
            meta: Some(applied.clone()),
        });
    }

    /// What became of an item that was pending, or had failed, was oversize or filtered. It waits no more.
    ///
    /// `fate` is anything but [`Fate::Pending`]; [`Fate::Failed`] counts an attempt. An item that vanished while it was
    /// on its way stays [`Fate::Gone`], unless it was placed: then it is placed and not live, an orphan. Prefer
    /// [`Self::settle_as`] where listing and copying run at the same time.
    pub fn settle(
        &mut self,
        collection: CollectionId,
        id: &str,
        fate: Fate,
        fingerprint: Option<Fingerprint>,
        repairs: Vec<String>,
    ) {
        let id = id.to_owned();
        self.changes.push(Change::Settle(Box::new(Settlement {
            collection,
            id,
            meta: None,
            fate,
            fingerprint,
            repairs,
        })));
    }

    /// As [`Self::settle`], with the flags and labels that the placed item was given (the `meta` of the record that was
    /// worked from): where others were stored meanwhile, the item waits to be marked.
    pub fn settle_as(
        &mut self,
        collection: CollectionId,
        applied: &ItemMeta,
        fate: Fate,
        fingerprint: Option<Fingerprint>,
        repairs: Vec<String>,
    ) {
        let (id, meta) = (applied.id.clone(), Some(applied.clone()));
        self.changes.push(Change::Settle(Box::new(Settlement {
            collection,
            id,
            meta,
            fate,
            fingerprint,
            repairs,
        })));
    }

    /// Of the bytes that were put for an item that was just settled as placed, where rules made other ones of the
    /// source's: what is looked for when it is verified. After [`Self::settle`], in the same batch.
    pub fn put_as(&mut self, collection: CollectionId, id: &str, print: Fingerprint) {
        self.changes.push(Change::Put {
            collection,
            id: id.to_owned(),
            print,
        });
    }

    /// What rules decided of an item that is not placed yet: commit it before or together with what follows from it.
    pub fn rule(&mut self, collection: CollectionId, id: &str, ruling: Option<Ruling>) {
        self.changes.push(Change::Rule {
            collection,
            id: id.to_owned(),
            ruling: ruling.map(Box::new),
        });
    }

    /// A further copy of the item, which rules asked for, lies here. The item itself waits as before.
    pub fn copied(&mut self, collection: CollectionId, id: &str, place: Place) {
        self.changes.push(Change::Copied {
            collection,
            id: id.to_owned(),
            place,
        });
    }

    /// An item that failed, was oversize or filtered is to be tried again. Nothing happens to one that is pending.
    pub fn requeue(&mut self, collection: CollectionId, id: &str) {
        self.changes.push(Change::Requeue {
            collection,
            id: id.to_owned(),
        });
    }

    /// The item is not at the source any more. One that is placed stays so, is live no more and is listed among the
    /// orphans; any other becomes [`Fate::Gone`] and leaves `found`. Nothing happens to an id that is unknown or gone
    /// already: servers name such ids (RFC 7162, 3.2.10).
    pub fn vanished(&mut self, collection: CollectionId, id: &str) {
        self.changes.push(Change::Vanished {
            collection,
            id: id.to_owned(),
        });
    }

    /// All item ids of the collection became void (UIDVALIDITY changed): every placed item becomes an orphan under a
    /// void id, every other is dropped, since it will be found again; the cursor is dropped and `generation` becomes
    /// the source's.
    ///
    /// The work is done in steps so that memory stays bounded; the step that a crash interrupts is finished when the
    /// ledger is opened next. A batch with this change is therefore not atomic as a whole: what comes before and after
    /// it in the batch are steps of their own. Give it a batch of its own, and no other commit to the same collection
    /// meanwhile.
    pub fn void_ids(&mut self, collection: CollectionId, new_generation: Option<String>) {
        self.changes.push(Change::VoidIds {
            collection,
            generation: new_generation,
        });
    }

    /// An orphan turned out to be this item of the source: its record, with fingerprint and repairs, becomes that of
    /// `meta` in `to`, live, with `fate`, which is [`Fate::Placed`]. If flags or labels differ, it waits to be marked.
    /// The item in `to` may be new or found already, but not placed; what rules decided of one that was found stands.
    pub fn adopt(&mut self, from: (CollectionId, &str), to: CollectionId, meta: &ItemMeta, fate: Fate) {
        let from = (from.0, from.1.to_owned());
        self.changes.push(Change::Adopt(Box::new(Adoption {
            from,
            to,
            meta: meta.clone(),
            fate,
        })));
    }

    /// An orphan lies at the destination no more, or another item turned out to be it: it leaves the ledger, and `found`.
    pub fn forget(&mut self, collection: CollectionId, id: &str) {
        self.changes.push(Change::Forget {
            collection,
            id: id.to_owned(),
        });
    }

    /// Where listing goes on.
    pub fn cursor(&mut self, collection: CollectionId, cursor: Option<String>) {
        self.changes.push(Change::Cursor { collection, cursor });
    }

    /// What the provider claimed to hold at this listing, and why it was cut short, if it was.
    pub fn listing(&mut self, collection: CollectionId, claimed: Option<u64>, capped: Option<String>) {
        self.changes.push(Change::Listing {
            collection,
            claimed,
            capped,
        });
    }

    /// Where the collection's items go.
    pub fn target(&mut self, collection: CollectionId, target: Target) {
        self.changes.push(Change::Target { collection, target });
    }

    /// Where items go that rules send there.
    pub fn route(&mut self, route: Route) {
        self.changes.push(Change::Route(Box::new(route)));
    }

    /// A `put` is about to begin. Commit with [`Durability::Flush`](crate::Durability::Flush) before it does.
    pub fn open_intent(&mut self, intent: &Intent) -> IntentId {
        let id = IntentId(self.next_intent.fetch_add(1, Ordering::Relaxed));
        let encoded = encode(intent);
        self.changes.push(Change::OpenIntent { id, encoded });
        id
    }

    /// What the `put` did is recorded in full.
    pub fn close_intent(&mut self, id: IntentId) {
        self.changes.push(Change::CloseIntent { id });
    }

    /// A line for the audit trail, with the time of now. Never a subject, an address or content.
    pub fn event(&mut self, kind: &str, fields: serde_json::Value) {
        self.changes.push(Change::Event {
            unix_ms: now(),
            kind: kind.to_owned(),
            fields,
        });
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
