//! Listing a source collection into the ledger.

use std::hash::{DefaultHasher, Hash, Hasher};

use whimbrel_ledger::{Batch, CollectionId, CollectionRecord, Durability, Fate, ItemRecord};
use whimbrel_model::{Change, Collection, Failure, ItemMeta, Kind, flags};

use crate::{
    Progress,
    context::{Context, Halt},
    lane::SourceLane,
};

/// Changes asked for at once.
const PAGE: u32 = 2000;
/// So many pages in a row may name nothing while more is said to wait: honest listings get somewhere.
const EMPTY_PAGES: u32 = 1000;
/// Items that vanished, recorded at once.
const VANISHED_AT_ONCE: usize = 1000;

/// Where a listing goes on. In the ledger a cursor bears one more letter: whether it lies at the end of a listing or
/// in the middle of one, since only a listing that was read whole says what vanished.
struct Position {
    cursor: Option<String>,
    whole: bool,
}

impl Position {
    fn read(stored: Option<&str>) -> Self {
        match stored.map(|text| text.split_at_checked(1)) {
            Some(Some(("=", cursor))) => Self {
                cursor: Some(cursor.to_owned()),
                whole: true,
            },
            Some(Some(("+", cursor))) => Self {
                cursor: Some(cursor.to_owned()),
                whole: false,
            },
            _ => Self {
                cursor: None,
                whole: true,
            },
        }
    }

    fn write(cursor: &str, more: bool) -> String {
        format!("{}{cursor}", if more { '+' } else { '=' })
    }
}

/// Lists what changed in a collection since the last time and records it.
pub async fn scan(context: &Context, lane: &mut SourceLane, id: CollectionId, now: &Collection) -> Result<(), Halt> {
    let Some(record) = context.ledger.collection(context.id, id)? else {
        return Ok(());
    };
    let voided = matches!((&record.source.generation, &now.generation), (Some(old), Some(new)) if old != new);
    if voided {
        void(context, &record, now.generation.clone()).await?;
    }
    match list(context, lane, id, now).await {
        // Between the listing of the collections and this one.
        Err(Halt::Failed {
            failure: Failure::GenerationChanged,
            ..
        }) => {
            let all = persist!(context, lane, |account| account.collections())?;
            let generation = all
                .into_iter()
                .find(|other| other.id == now.id)
                .and_then(|other| other.generation);
            void(context, &record, generation).await?;
            list(context, lane, id, now).await
        }
        other => other,
    }
}

/// All ids became void: what was placed becomes an orphan and is known again by its content.
async fn void(context: &Context, record: &CollectionRecord, generation: Option<String>) -> Result<(), Halt> {
    context.note(format!(
        "folder `{}`: the source gave all messages new ids (UIDVALIDITY); they are matched by content, nothing is copied twice",
        record.source.display_path()
    ));
    let mut batch = context.ledger.batch(context.id);
    batch.void_ids(record.id, generation);
    context.commit(batch, Durability::Flush).await?;
    let mut batch = context.ledger.batch(context.id);
    batch.event(
        "ids-void",
        serde_json::json!({ "collection": record.source.display_path() }),
    );
    Ok(context.commit(batch, Durability::Flush).await?)
}

async fn list(context: &Context, lane: &mut SourceLane, id: CollectionId, now: &Collection) -> Result<(), Halt> {
    let Some(record) = context.ledger.collection(context.id, id)? else {
        return Ok(());
    };
    let position = Position::read(record.cursor.as_deref());
    let mut cursor = position.cursor;
    // Nothing to compare with: the first listing needs no look-ups.
    let first = record.totals.live == 0 && cursor.is_none();
    let mut seen: Vec<u64> = Vec::new();
    let mut capped = None;
    let mut empty = 0;
    loop {
        let page = persist!(context, lane, |account| account.changes(
            &now.id,
            cursor.as_deref(),
            PAGE
        ))?;
        let mut batch = context.ledger.batch(context.id);
        let mut changed = cursor.as_deref() != Some(page.cursor.as_str()) || record.cursor.is_none();
        for change in &page.changes {
            if page.complete
                && position.whole
                && !first
                && let Change::Upserted(ItemMeta { id, .. }) | Change::Marked(ItemMeta { id, .. }) | Change::Present(id) =
                    change
            {
                seen.push(short(id));
            }
            changed |= apply(context, &mut batch, id, now.kind, change, first)?;
        }
        if page.capped.is_some() {
            capped = page.capped;
        }
        if changed {
            batch.cursor(id, Some(Position::write(&page.cursor, page.more)));
            context.commit(batch, Durability::Later).await?;
        }
        cursor = Some(page.cursor);
        empty = if page.changes.is_empty() { empty + 1 } else { 0 };
        if page.more && empty > EMPTY_PAGES {
            let text =
                format!("the connector gave {empty} pages without an item in a row, and says that more is waiting");
            return Err(Halt::Failed {
                side: "source",
                failure: Failure::Internal(text),
            });
        }
        if !page.more {
            if page.complete && position.whole && !first && capped.is_none() {
                vanish_all_but(context, id, seen).await?;
            }
            break;
        }
        if context.stop.stopped() {
            return Err(Halt::Stopped);
        }
    }
    if record.claimed != now.items || record.capped != capped {
        let mut batch = context.ledger.batch(context.id);
        if let Some(reason) = &capped {
            batch.event(
                "listing-capped",
                serde_json::json!({ "collection": now.display_path(), "reason": reason }),
            );
        }
        batch.listing(id, now.items, capped);
        context.commit(batch, Durability::Later).await?;
    }
    if let Some(record) = context.ledger.collection(context.id, id)? {
        context.observer.notify(Progress::Listed {
            mailbox: &context.mailbox.name,
            collection: &record.source.display_path(),
            pending: record.totals.pending,
        });
    }
    Ok(())
}

/// Records one change; tells whether there was anything to record.
fn apply(
    context: &Context,
    batch: &mut Batch,
    collection: CollectionId,
    kind: Kind,
    change: &Change,
    first: bool,
) -> Result<bool, Halt> {
    let (id, meta) = match change {
        Change::Upserted(meta) | Change::Marked(meta) => (&meta.id, Some(meta)),
        Change::Present(id) | Change::Vanished(id) => (id, None),
    };
    let known = if first {
        None
    } else {
        context.ledger.item(context.id, collection, id)?
    };
    Ok(match (change, meta, known) {
        (_, Some(meta), None) => {
            batch.found(collection, meta);
            context.count(|worked| worked.found += 1);
            true
        }
        (_, Some(meta), Some(known)) if !known.live || matches!(known.fate, Fate::Gone) => {
            batch.found(collection, meta);
            true
        }
        (Change::Upserted(_), Some(meta), Some(known)) if is_altered(kind, &known, meta) => {
            batch.altered(collection, meta);
            true
        }
        (_, Some(meta), Some(known)) if differs(&known, meta) => {
            batch.remark(collection, meta);
            true
        }
        (Change::Vanished(id), _, Some(known)) if known.live => {
            batch.vanished(collection, id);
            context.count(|worked| worked.vanished += 1);
            true
        }
        _ => false,
    })
}

/// Whether the content is another now. A message never changes (RFC 9051 section 2.3.1.1); all else does.
fn is_altered(kind: Kind, known: &ItemRecord, meta: &ItemMeta) -> bool {
    kind != Kind::Message && !meta.revision.is_empty() && known.meta.revision != meta.revision
}

/// Whether flags or labels are others now. The revision alone says nothing: MODSEQ grows for many reasons.
fn differs(known: &ItemRecord, meta: &ItemMeta) -> bool {
    !flags::same(&known.meta.flags, &meta.flags) || known.meta.labels != meta.labels
}

/// Everything that is live in the ledger and was not seen in a complete listing is gone.
async fn vanish_all_but(context: &Context, id: CollectionId, mut seen: Vec<u64>) -> Result<(), Halt> {
    let live = context
        .ledger
        .collection(context.id, id)?
        .map_or(0, |record| record.totals.live);
    seen.sort_unstable();
    seen.dedup();
    if live == seen.len() as u64 {
        return Ok(());
    }
    let mut gone: Vec<String> = Vec::new();
    for item in context.ledger.items(context.id, id) {
        let item = item?;
        if item.live && !item.is_void() && seen.binary_search(&short(&item.meta.id)).is_err() {
            gone.push(item.meta.id);
        }
    }
    vanish(context, id, &gone).await
}

/// Records that these items are gone.
async fn vanish(context: &Context, collection: CollectionId, gone: &[String]) -> Result<(), Halt> {
    context.count(|worked| worked.vanished += gone.len() as u64);
    for chunk in gone.chunks(VANISHED_AT_ONCE) {
        let mut batch = context.ledger.batch(context.id);
        for id in chunk {
            batch.vanished(collection, id);
        }
        context.commit(batch, Durability::Later).await?;
    }
    Ok(())
}

/// The source does not have this collection any more: its items can only be found again elsewhere.
pub async fn collection_gone(context: &Context, record: &CollectionRecord) -> Result<(), Halt> {
    if record.totals.live == 0 {
        return Ok(());
    }
    vanish_all_but(context, record.id, Vec::new()).await?;
    let mut batch = context.ledger.batch(context.id);
    batch.cursor(record.id, None);
    batch.listing(record.id, None, None);
    batch.event(
        "collection-gone",
        serde_json::json!({ "collection": record.source.display_path() }),
    );
    Ok(context.commit(batch, Durability::Later).await?)
}

fn short(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
