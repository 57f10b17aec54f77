//! From a fetched batch to one that can be put: what is gone, odd, known again or there already is settled on the way.

use std::collections::HashSet;

use whimbrel_ledger::{
    Batch, CollectionId, CollectionRecord, Durability, Fate, Intent, IntentItem, ItemRecord, Target,
};
use whimbrel_model::{Failure, Fingerprint, ItemMeta, Limits, Outcome, Remark, flags};
use whimbrel_sandbox::Item;
use whimbrel_wire::Blob;

use crate::{
    context::{Context, Halt},
    diagnose::diagnose,
    existing::Existing,
    lane::DestinationLane,
    quarantine,
    report::Problem,
    settle::{settle, settle_late},
};

/// The name under which a conversion of line ends is recorded.
pub const CRLF: &str = "crlf";

/// An item that is to be put.
pub struct Ready {
    /// What the ledger knows of it.
    pub record: ItemRecord,
    /// What is put.
    pub item: Item,
    /// Of the source's bytes.
    pub fingerprint: Fingerprint,
    /// What was changed.
    pub repairs: Vec<String>,
}

impl Ready {
    /// As it stands in an intent.
    pub fn intended(&self, collection: &CollectionRecord) -> IntentItem {
        IntentItem {
            collection: collection.id,
            id: self.record.meta.id.clone(),
            fingerprint: self.fingerprint,
            repairs: self.repairs.clone(),
        }
    }
}

/// An item that was fetched, or not.
pub struct Fetched {
    /// What the ledger knows of it.
    pub record: ItemRecord,
    /// What the source gave.
    pub answer: Result<Item, Failure>,
}

/// Where a batch goes.
pub struct Place<'a> {
    /// From this collection of the source.
    pub collection: &'a CollectionRecord,
    /// Into this one of the destination.
    pub target: &'a Target,
    /// Which takes so much.
    pub limits: &'a Limits,
}

/// Sorts a fetched batch out; what remains is to be put. Fates that need no put are recorded in `batch`.
pub async fn prepare(
    context: &Context,
    lane: &mut DestinationLane,
    place: &Place<'_>,
    existing: &mut Option<Existing>,
    fetched: Vec<Fetched>,
    batch: &mut Batch,
) -> Result<Vec<Ready>, Halt> {
    let mut ready = Vec::with_capacity(fetched.len());
    let mut taken = HashSet::new();
    for Fetched { record, answer } in fetched {
        let item = match answer {
            Ok(item) => item,
            Err(failure) => {
                unfetched(context, place, &record, failure, batch);
                continue;
            }
        };
        let fingerprint = match item.content.fingerprint().await {
            Ok(fingerprint) => fingerprint,
            Err(error) => {
                let failure = Failure::Unavailable(format!("the content could not be read: {error}"));
                context.problem(Problem::new(
                    Some(place.collection.source.display_path()),
                    "source",
                    &failure,
                ));
                continue;
            }
        };
        if known_again(context, lane, place, (&record, &item, &fingerprint), &mut taken, batch).await? {
            continue;
        }
        if let Some(existing) = existing
            && let Some(there) = existing
                .find(context, lane, place.target, &record.meta, &fingerprint)
                .await?
        {
            merge(context, lane, place, &record, &there, fingerprint, batch).await?;
            continue;
        }
        if let Some(one) = ready_one(context, place, record, item, fingerprint, batch).await {
            ready.push(one);
        }
    }
    Ok(ready)
}

/// An item that the source did not give.
fn unfetched(context: &Context, place: &Place<'_>, record: &ItemRecord, failure: Failure, batch: &mut Batch) {
    let id = &record.meta.id;
    match failure {
        Failure::NotFound(_) => {
            batch.vanished(place.collection.id, id);
            context.count(|worked| worked.vanished += 1);
        }
        failure if failure.retry_may_help() => {
            context.problem(Problem::new(
                Some(place.collection.source.display_path()),
                "source",
                &failure,
            ));
        }
        failure => {
            batch.settle(
                place.collection.id,
                id,
                Fate::Failed {
                    failure,
                    diagnosis: None,
                    quarantine: None,
                },
                None,
                Vec::new(),
            );
        }
    }
}

/// An item that lies at the destination already, since it was found before: under another id, or in another folder.
async fn known_again(
    context: &Context,
    lane: &mut DestinationLane,
    place: &Place<'_>,
    (record, item, fingerprint): (&ItemRecord, &Item, &Fingerprint),
    taken: &mut HashSet<(CollectionId, String)>,
    batch: &mut Batch,
) -> Result<bool, Halt> {
    let orphans = context.ledger.orphans(context.id, &fingerprint.exact)?;
    let here =
        |orphan: &ItemRecord| matches!(&orphan.fate, Fate::Placed { collection, .. } if *collection == place.target.id);
    loop {
        let choice = orphans
            .iter()
            .filter(|(collection, orphan)| !taken.contains(&(*collection, orphan.meta.id.clone())))
            .min_by_key(|(_, orphan)| (!here(orphan), orphan.meta.received != record.meta.received));
        let Some((collection, orphan)) = choice else {
            return Ok(false);
        };
        let Fate::Placed {
            collection: origin,
            id: Some(id),
            ..
        } = &orphan.fate
        else {
            return Ok(false);
        };
        if here(orphan) {
            context.count(|worked| worked.adopted += 1);
            taken.insert((*collection, orphan.meta.id.clone()));
            let meta = item_meta(record, item);
            batch.adopt(
                (*collection, &orphan.meta.id),
                place.collection.id,
                &meta,
                orphan.fate.clone(),
            );
            return Ok(true);
        }
        if !place.limits.abilities.server_side_move {
            return Ok(false);
        }
        taken.insert((*collection, orphan.meta.id.clone()));
        match relocate(
            context,
            lane,
            place,
            (record, item, fingerprint),
            (*collection, orphan),
            (origin, id),
        )
        .await?
        {
            Relocated::Done => {
                context.count(|worked| worked.relocated += 1);
                return Ok(true);
            }
            // The item is recorded as what was moved: the orphan is not there any more.
            Relocated::Settled => {
                context.count(|worked| worked.relocated += 1);
                batch.forget(*collection, &orphan.meta.id);
                return Ok(true);
            }
            Relocated::Gone => batch.forget(*collection, &orphan.meta.id),
            Relocated::No => return Ok(false),
        }
    }
}

/// What became of a wish to move something at the destination.
enum Relocated {
    /// It was moved, and that is recorded.
    Done,
    /// It was found by settling, and recorded.
    Settled,
    /// It is not at the destination any more.
    Gone,
    /// It cannot be moved: put it.
    No,
}

async fn relocate(
    context: &Context,
    lane: &mut DestinationLane,
    place: &Place<'_>,
    (record, item, fingerprint): (&ItemRecord, &Item, &Fingerprint),
    (collection, orphan): (CollectionId, &ItemRecord),
    (origin, id): (&str, &str),
) -> Result<Relocated, Halt> {
    let target = &place.target.id;
    let watermark = persist!(context, lane, |account| account.watermark(target))?;
    let intent = Intent {
        target: target.clone(),
        watermark,
        items: vec![IntentItem {
            collection: place.collection.id,
            id: record.meta.id.clone(),
            fingerprint: *fingerprint,
            repairs: Vec::new(),
        }],
    };
    let mut batch = context.ledger.batch(context.id);
    let open = batch.open_intent(intent.clone());
    context.commit(batch, Durability::Flush).await?;
    let answer = match lane.open(context).await {
        Ok(account) => account.relocate(origin, id, target).await,
        Err(failure) => Err(failure),
    };
    let mut batch = context.ledger.batch(context.id);
    let outcome = match answer {
        Ok(placement) if placement.id.is_some() => {
            let fate = Fate::Placed {
                collection: target.clone(),
                id: placement.id,
                revision: placement.revision,
                outcome: Outcome::Created,
            };
            batch.adopt(
                (collection, &orphan.meta.id),
                place.collection.id,
                &item_meta(record, item),
                fate,
            );
            Relocated::Done
        }
        Err(Failure::NotFound(_)) => Relocated::Gone,
        Err(Failure::Unsupported(_) | Failure::Rejected(_) | Failure::Forbidden(_)) => Relocated::No,
        unclear => {
            match unclear {
                Err(failure) => {
                    lane.recover(context, failure).await?;
                    settle_late(context, lane, open, &intent).await?;
                }
                // It was moved; the server does not tell under which id.
                Ok(_) => settle(context, lane, open, &intent).await?,
            }
            let settled = context
                .ledger
                .item(context.id, place.collection.id, &record.meta.id)?
                .is_some_and(|item| matches!(item.fate, Fate::Placed { .. }));
            return Ok(if settled { Relocated::Settled } else { Relocated::No });
        }
    };
    batch.close_intent(open);
    context.commit(batch, Durability::Later).await?;
    Ok(outcome)
}

/// An item that the destination had before: recorded, and given the flags that it lacks. None is taken away.
async fn merge(
    context: &Context,
    lane: &mut DestinationLane,
    place: &Place<'_>,
    record: &ItemRecord,
    there: &ItemMeta,
    fingerprint: Fingerprint,
    batch: &mut Batch,
) -> Result<(), Halt> {
    let lacks = |flag: &String| !there.flags.iter().any(|other| other.eq_ignore_ascii_case(flag));
    if record.meta.flags.iter().any(lacks) {
        let both: Vec<String> = there.flags.iter().chain(&record.meta.flags).cloned().collect();
        let remark = [Remark {
            id: there.id.clone(),
            flags: flags::normalise(&both),
            labels: record.meta.labels.clone(),
        }];
        let answers = persist!(context, lane, |account| account.mark(&place.target.id, &remark));
        match answers {
            Ok(answers) if answers.iter().all(Result::is_ok) => {}
            Ok(_) | Err(Halt::Failed { .. }) => context.note(format!(
                "folder `{}`: flags of messages that the destination had already could not be added",
                place.collection.source.display_path()
            )),
            Err(halt) => return Err(halt),
        }
    }
    batch.settle(
        place.collection.id,
        &record.meta.id,
        Fate::Placed {
            collection: place.target.id.clone(),
            id: Some(there.id.clone()),
            revision: None,
            outcome: Outcome::MergedWithExisting,
        },
        Some(fingerprint),
        Vec::new(),
    );
    context.count(|worked| worked.merged += 1);
    Ok(())
}

/// An item that is to be put, with line ends that the destination takes, unless it is too large.
async fn ready_one(
    context: &Context,
    place: &Place<'_>,
    record: ItemRecord,
    item: Item,
    fingerprint: Fingerprint,
    batch: &mut Batch,
) -> Option<Ready> {
    let mut repairs = Vec::new();
    let mut content = item.content.clone();
    if place.limits.crlf_only && fingerprint.bare_line_feeds > 0 {
        match context.options.blobs.with_crlf(&content).await {
            Ok(converted) => content = converted,
            Err(error) => {
                let failure = Failure::Unavailable(format!("the content could not be converted: {error}"));
                context.problem(Problem::new(
                    Some(place.collection.source.display_path()),
                    "source",
                    &failure,
                ));
                return None;
            }
        }
        repairs.push(CRLF.to_owned());
    }
    if let Some(limit) = size_limit(context, place.limits)
        && content.size() > limit
    {
        batch.settle(
            place.collection.id,
            &record.meta.id,
            Fate::Oversize { limit },
            Some(fingerprint),
            Vec::new(),
        );
        return None;
    }
    let mut meta = item_meta(&record, &item);
    meta.flags = flags::normalise(&meta.flags);
    meta.size = Some(content.size());
    Some(Ready {
        record,
        item: Item {
            meta,
            media_type: item.media_type,
            content,
        },
        fingerprint,
        repairs,
    })
}

/// The item as listed; what the listing did not say comes from the item itself.
fn item_meta(record: &ItemRecord, item: &Item) -> ItemMeta {
    let mut meta = record.meta.clone();
    meta.received = meta.received.or(item.meta.received);
    meta.identity = meta.identity.or_else(|| item.meta.identity.clone());
    meta
}

/// The largest item that can go there, in bytes.
pub fn size_limit(context: &Context, limits: &Limits) -> Option<u64> {
    match (context.options.max_item_bytes, limits.max_item_bytes) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// An item that the destination refused: recorded with the cause, its bytes kept.
pub async fn refused(
    context: &Context,
    collection: &CollectionRecord,
    ready: &Ready,
    failure: Failure,
    batch: &mut Batch,
) {
    if let Failure::TooLarge(limit) = failure {
        let fate = Fate::Oversize {
            limit: limit.unwrap_or(0),
        };
        batch.settle(
            collection.id,
            &ready.record.meta.id,
            fate,
            Some(ready.fingerprint),
            Vec::new(),
        );
        return;
    }
    let quarantine = quarantined(context, &ready.fingerprint, &ready.item.content).await;
    let fate = Fate::Failed {
        failure,
        diagnosis: diagnose(&ready.fingerprint),
        quarantine,
    };
    batch.settle(
        collection.id,
        &ready.record.meta.id,
        fate,
        Some(ready.fingerprint),
        ready.repairs.clone(),
    );
}

async fn quarantined(context: &Context, fingerprint: &Fingerprint, content: &Blob) -> Option<String> {
    let folder = context.options.quarantine.as_ref()?;
    let hash = fingerprint.exact.to_string();
    match quarantine::keep(folder, &context.mailbox.name, &hash[..32], content).await {
        Ok(path) => Some(path),
        Err(error) => {
            context.note(format!(
                "a refused message could not be kept in {}: {error}",
                folder.display()
            ));
            None
        }
    }
}
