//! Settling what a crash or a broken connection left open: the destination is listed from the watermark on, what lies
//! there is known again by its fingerprint, and only what does not is put again.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use whimbrel_ledger::{CollectionId, Durability, Fate, Intent, IntentId, IntentItem, ItemRecord, Place};
use whimbrel_model::{Failure, Fingerprint, Hash, ItemMeta, Outcome, Remark, flags};

use crate::{
    context::{Context, Halt},
    existing::unknown_items,
    lane::{DestinationLane, Lanes},
    print::fingerprint,
    rules::apply_marks,
};

/// Bodies read at once, in items and in bytes.
const READ_ITEMS: usize = 50;
const READ_BYTES: u64 = 8 << 20;

/// The longest pause between two looks at a destination that may not be quiet yet.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Settles everything that earlier runs left open.
pub async fn settle_all(context: &Context, lanes: &mut Lanes<'_>) -> Result<(), Halt> {
    for (id, intent) in context.ledger.intents(context.id)? {
        let turn = context.turns.at(intent.mailbox.unwrap_or(context.id), &intent.target);
        let _turn = turn.lock().await;
        settle_late(context, lanes.to(context, intent.mailbox)?, id, &intent).await?;
    }
    Ok(())
}

/// Settles an intent whose connection broke, or whose process was killed: what it had sent may still lie in buffers on
/// the way, and arrive after this. So this looks until everything is there, or until nothing new has come for
/// [`Options::quiet`](crate::Options::quiet).
pub async fn settle_late(
    context: &Context,
    lane: &mut DestinationLane,
    id: IntentId,
    intent: &Intent,
) -> Result<(), Halt> {
    let quiet = context.options.quiet;
    let open = open_items(context, intent)?;
    let mut prints = Prints::new();
    let (mut seen, mut since) = (None, Instant::now());
    loop {
        let there = match open.is_empty() {
            true => Vec::new(),
            false => candidates(context, lane, intent).await?,
        };
        if seen != Some(there.len()) {
            (seen, since) = (Some(there.len()), Instant::now());
        }
        let is_quiet = since.elapsed() >= quiet;
        if is_quiet || there.len() >= open.len() {
            let found = matched(context, lane, intent, &open, &there, &mut prints).await?;
            if is_quiet || found.len() == open.len() {
                return record(context, lane, id, intent, open.len(), &found).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep((quiet / 4).min(LONGEST_LOOK)) => {}
            () = context.stop.wait() => return Err(Halt::Stopped),
        }
    }
}

/// Settles one intent: what was placed is recorded, the rest waits as before. The intent is closed.
pub async fn settle(context: &Context, lane: &mut DestinationLane, id: IntentId, intent: &Intent) -> Result<(), Halt> {
    let open = open_items(context, intent)?;
    let found = if open.is_empty() {
        Vec::new()
    } else {
        let there = candidates(context, lane, intent).await?;
        matched(context, lane, intent, &open, &there, &mut Prints::new()).await?
    };
    record(context, lane, id, intent, open.len(), &found).await
}

/// Records what was found of the items that were open, and closes the intent.
async fn record(
    context: &Context,
    lane: &mut DestinationLane,
    id: IntentId,
    intent: &Intent,
    open: usize,
    found: &[(&IntentItem, ItemMeta)],
) -> Result<(), Halt> {
    set_flags(context, lane, &intent.target, found).await?;
    let mut batch = context.ledger.batch(context.id);
    context.count(|worked| worked.settled += found.len() as u64);
    for (item, there) in found {
        if item.copy {
            let place = Place {
                mailbox: intent.mailbox,
                collection: intent.target.clone(),
                id: Some(there.id.clone()),
            };
            batch.copied(item.collection, &item.id, place);
            continue;
        }
        let fate = Fate::Placed {
            mailbox: intent.mailbox,
            collection: intent.target.clone(),
            id: Some(there.id.clone()),
            revision: Some(there.revision.clone()).filter(|revision| !revision.is_empty()),
            outcome: Outcome::Created,
        };
        match moved(context, item)? {
            Some((orphan, meta)) => batch.adopt((orphan.0, &orphan.1), item.collection, &meta, fate),
            None => {
                let (print, repairs) = (Some(item.fingerprint), item.repairs.clone());
                batch.settle(item.collection, &item.id, fate, print, repairs);
                if let Some(print) = item.put {
                    batch.put_as(item.collection, &item.id, print);
                }
            }
        }
    }
    batch.close_intent(id);
    if open > 0 {
        batch.event(
            "intent-settled",
            serde_json::json!({ "items": open, "found": found.len() }),
        );
    }
    Ok(context.commit(batch, Durability::Flush).await?)
}

/// Where an orphan stands in the ledger, and what is known of the item that it became.
type Moved<'a> = (&'a (CollectionId, String), ItemMeta);

/// The orphan that was moved to be this item, and what is known of the item.
fn moved<'a>(context: &Context, item: &'a IntentItem) -> Result<Option<Moved<'a>>, Halt> {
    let Some(orphan) = &item.orphan else { return Ok(None) };
    let still = context
        .ledger
        .item(context.id, orphan.0, &orphan.1)?
        .is_some_and(|record| !record.live && matches!(record.fate, Fate::Placed { .. }));
    let record = context.ledger.item(context.id, item.collection, &item.id)?;
    Ok(record.filter(|_| still).map(|record| (orphan, record.meta)))
}

/// Equal contents stand for each other, whatever their flags are, and one that was moved bears those that it had: what
/// was found gets those of the item that it is.
async fn set_flags(
    context: &Context,
    lane: &mut DestinationLane,
    target: &str,
    found: &[(&IntentItem, ItemMeta)],
) -> Result<(), Halt> {
    let mut remarks = Vec::new();
    for (item, there) in found {
        let Some(record) = context.ledger.item(context.id, item.collection, &item.id)? else {
            continue;
        };
        let mut wanted = record.meta;
        apply_marks(record.ruling.as_ref(), &mut wanted);
        if !flags::same(&wanted.flags, &there.flags) {
            remarks.push(Remark {
                id: there.id.clone(),
                flags: flags::normalise(&wanted.flags),
                labels: wanted.labels,
            });
        }
    }
    if remarks.is_empty() {
        return Ok(());
    }
    match persist!(context, lane, |account| account.mark(target, &remarks)) {
        // What a destination cannot keep is as after a put.
        Ok(_) => Ok(()),
        Err(Halt::Failed { failure, .. }) if Halt::concerns_failure(&failure) => Ok(()),
        Err(halt) => Err(halt),
    }
}

/// Those items of an intent whose fate is not known yet.
fn open_items<'a>(context: &Context, intent: &'a Intent) -> Result<Vec<&'a IntentItem>, Halt> {
    let mut open = Vec::new();
    for item in &intent.items {
        if let Some(record) = context.ledger.item(context.id, item.collection, &item.id)?
            && is_open(intent, item, &record)
        {
            open.push(item);
        }
    }
    Ok(open)
}

fn is_open(intent: &Intent, item: &IntentItem, record: &ItemRecord) -> bool {
    let copied = || {
        record
            .copies
            .iter()
            .any(|copy| (copy.mailbox, &copy.collection) == (intent.mailbox, &intent.target))
    };
    matches!(record.fate, Fate::Pending | Fate::Failed { .. }) && !(item.copy && copied())
}

/// What lies at the destination after the watermark and belongs to nobody yet.
async fn candidates(context: &Context, lane: &mut DestinationLane, intent: &Intent) -> Result<Vec<ItemMeta>, Halt> {
    match unknown_items(context, lane, intent.mailbox, &intent.target, Some(&intent.watermark)).await {
        // The watermark says nothing any more: look at everything.
        Err(Halt::Failed {
            failure: Failure::GenerationChanged,
            ..
        }) => unknown_items(context, lane, intent.mailbox, &intent.target, None).await,
        Err(Halt::Failed {
            failure: Failure::NotFound(_),
            ..
        }) => Ok(Vec::new()),
        other => other,
    }
}

/// Which of these items of the intent are among those at the destination.
async fn matched<'a>(
    context: &Context,
    lane: &mut DestinationLane,
    intent: &Intent,
    open: &[&'a IntentItem],
    candidates: &[ItemMeta],
    known: &mut Prints,
) -> Result<Vec<(&'a IntentItem, ItemMeta)>, Halt> {
    read(context, lane, &intent.target, candidates, known).await?;
    let mut prints: Vec<Option<Fingerprint>> = candidates
        .iter()
        .map(|item| known.get(&item.id).copied().flatten())
        .collect();
    let mut found = Vec::new();
    let mut names = Vec::with_capacity(open.len());
    for item in open {
        let record = context.ledger.item(context.id, item.collection, &item.id)?;
        names.push(record.and_then(|record| record.meta.identity));
    }
    let exact: By = |print| print.exact;
    let transport: By = |print| print.transport;
    // Of items that say the same, each is first looked for by its own name.
    for (by, by_name) in [(exact, true), (transport, true), (exact, false), (transport, false)] {
        if by_name && names.iter().all(Option::is_none) {
            continue;
        }
        let mut index: HashMap<Hash, Vec<usize>> = HashMap::new();
        for (at, print) in prints.iter().enumerate().rev() {
            if let Some(print) = print {
                index.entry(by(print)).or_default().push(at);
            }
        }
        for (item, name) in open.iter().zip(&names) {
            if found
                .iter()
                .any(|(other, _): &(&IntentItem, ItemMeta)| std::ptr::eq(*other, *item))
            {
                continue;
            }
            // Equal contents stand for each other; the earlier one of the destination goes to the earlier item.
            let Some(same) = index.get_mut(&by(item.wanted())) else {
                continue;
            };
            let place = match by_name {
                true => same
                    .iter()
                    .rposition(|&at| name.is_some() && candidates[at].identity == *name),
                false => same.len().checked_sub(1),
            };
            if let Some(place) = place {
                let at = same.remove(place);
                prints[at] = None;
                found.push((*item, candidates[at].clone()));
            }
        }
    }
    Ok(found)
}

/// By what of a fingerprint contents are compared.
type By = fn(&Fingerprint) -> Hash;

/// Fingerprints of items of the destination, by their ids; none for one that is gone.
type Prints = HashMap<String, Option<Fingerprint>>;

/// Takes the fingerprints of these items of the destination that are not known yet.
async fn read(
    context: &Context,
    lane: &mut DestinationLane,
    collection: &str,
    items: &[ItemMeta],
    known: &mut Prints,
) -> Result<(), Halt> {
    let new: Vec<&ItemMeta> = items.iter().filter(|item| !known.contains_key(&item.id)).collect();
    let mut rest = new.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let mut count = 0;
        while count < rest.len().min(READ_ITEMS) && (count == 0 || bytes < READ_BYTES) {
            bytes += rest[count].size.unwrap_or(64 << 10);
            count += 1;
        }
        let (now, later) = rest.split_at(count);
        let ids: Vec<String> = now.iter().map(|item| item.id.clone()).collect();
        let answers = persist!(context, lane, |account| account.fetch(collection, &ids))?;
        for (id, answer) in ids.into_iter().zip(answers) {
            let print = match answer {
                Ok(item) => fingerprint(&item).await.ok(),
                Err(Failure::NotFound(_)) => None,
                Err(failure) => {
                    return Err(Halt::Failed {
                        side: "destination",
                        failure,
                    });
                }
            };
            known.insert(id, print);
        }
        rest = later;
    }
    Ok(())
}
