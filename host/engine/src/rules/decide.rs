//! From a fetched batch to decisions: scripts run off the runtime's threads, one hop a batch.

use std::{io, sync::Arc};

use bytes::Bytes;
use whimbrel_ledger::ItemRecord;
use whimbrel_model::{Fingerprint, ItemMeta, Kind};
use whimbrel_rules::{Decision, FolderFacts, MessageFacts, RuleError};
use whimbrel_sandbox::Item;
use whimbrel_wire::Blob;

use crate::context::Context;

/// An item with what the rules decided of it.
pub struct Decided {
    /// What the ledger knows of it.
    pub record: ItemRecord,
    /// What the source gave.
    pub item: Item,
    /// Of the source's bytes.
    pub fingerprint: Fingerprint,
    /// Why not, where the script failed.
    pub decision: Result<Decision, RuleError>,
}

/// A body as the rules read it.
pub struct BlobContent(pub Blob);

impl whimbrel_mail::Content for BlobContent {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.0.read_at_blocking(offset, length)
    }
}

/// An item that waits for its decision, or has it from its listing alone.
pub struct Undecided {
    /// What the ledger knows of it.
    pub record: ItemRecord,
    /// What the source gave.
    pub item: Item,
    /// Of the source's bytes.
    pub fingerprint: Fingerprint,
    /// What was decided before it was fetched.
    pub decision: Option<Decision>,
}

/// Lets the rules decide on each item that they have not decided on.
pub async fn decide_all(
    context: &Context,
    kind: Kind,
    folder: &Arc<FolderFacts>,
    items: Vec<Undecided>,
) -> Vec<Decided> {
    let book = context
        .options
        .rules
        .as_ref()
        .filter(|book| book.rules.decides_on(kind));
    let keep = |one: Undecided| Decided {
        record: one.record,
        item: one.item,
        fingerprint: one.fingerprint,
        decision: Ok(one.decision.unwrap_or_default()),
    };
    let Some(book) = book.filter(|_| items.iter().any(|one| one.decision.is_none())) else {
        return items.into_iter().map(keep).collect();
    };
    let (rules, folder) = (book.rules.clone(), folder.clone());
    let decided = tokio::task::spawn_blocking(move || {
        items
            .into_iter()
            .map(|mut one| match one.decision.take() {
                Some(decision) => Decided {
                    record: one.record,
                    item: one.item,
                    fingerprint: one.fingerprint,
                    decision: Ok(decision),
                },
                None => {
                    let facts = MessageFacts {
                        folder: folder.clone(),
                        meta: Arc::new(seen(&one.record.meta, &one.item)),
                    };
                    let decision = rules.item(&facts, Arc::new(BlobContent(one.item.content.clone())));
                    Decided {
                        record: one.record,
                        item: one.item,
                        fingerprint: one.fingerprint,
                        decision,
                    }
                }
            })
            .collect()
    });
    match decided.await {
        Ok(decided) => decided,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// What a script sees of an item: as listed, with the size as read.
pub fn seen(listed: &ItemMeta, item: &Item) -> ItemMeta {
    let mut meta = listed.clone();
    meta.received = meta.received.or(item.meta.received);
    meta.size = Some(item.content.size());
    meta
}
