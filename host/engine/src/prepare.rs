//! From what the rules let pass to what can be put: what is gone, odd, known again or there already is settled on the way.

use std::sync::Arc;

use whimbrel_ledger::{Batch, CollectionRecord, Fate, IntentItem, ItemRecord, Place};
use whimbrel_model::{Failure, Fingerprint, ItemMeta, Limits, Outcome, Remark, flags};
use whimbrel_rules::{Decision, FolderFacts};
use whimbrel_sandbox::Item;
use whimbrel_wire::Blob;

use crate::{
    context::{Context, Halt},
    diagnose::diagnose,
    lane::DestinationLane,
    orphans::{Known, known_again},
    print::fingerprint,
    quarantine,
    repair::Trial,
    report::Problem,
    rules::{Ruled, Undecided, apply_marks, excused},
    spots::Spot,
};

/// The attribute of what is no item, with the reason: see `docs/contract.md`.
const UNREADABLE: &str = "unreadable";

/// The name under which a conversion of line ends is recorded.
pub const CRLF: &str = "crlf";

/// An item that is to be put.
pub struct Ready {
    /// What the ledger knows of it.
    pub record: ItemRecord,
    /// What is put.
    pub item: Item,
    /// The source's bytes.
    pub original: Blob,
    /// Of them.
    pub fingerprint: Fingerprint,
    /// Of what is put, where rules changed it.
    pub put: Option<Fingerprint>,
    /// What was changed.
    pub repairs: Vec<String>,
    /// Whether it is one of the further copies that rules asked for.
    pub copy: bool,
    /// Where it was refused, and is tried with repairs.
    pub trial: Option<Box<Trial>>,
}

impl Ready {
    /// As it stands in an intent.
    pub fn intended(&self, collection: &CollectionRecord) -> IntentItem {
        IntentItem {
            collection: collection.id,
            id: self.record.meta.id.clone(),
            fingerprint: self.fingerprint,
            put: self.put,
            copy: self.copy,
            orphan: None,
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
    /// What the rules decided of it from its listing alone.
    pub decision: Option<Decision>,
}

/// From where, and to where.
pub struct Site<'a> {
    /// From this collection of the source.
    pub collection: &'a CollectionRecord,
    /// Into this one of the destination.
    pub spot: &'a mut Spot,
}

/// What could be read of a batch. The fates of the others are recorded in `batch`.
pub async fn read(
    context: &Context,
    collection: &CollectionRecord,
    facts: &Arc<FolderFacts>,
    fetched: Vec<Fetched>,
    batch: &mut Batch,
) -> Result<Vec<Undecided>, Halt> {
    let mut out = Vec::with_capacity(fetched.len());
    for Fetched {
        record,
        answer,
        decision,
    } in fetched
    {
        let item = match answer {
            Ok(item) => item,
            Err(failure) => {
                unfetched(context, collection, facts, &record, failure, batch)?;
                continue;
            }
        };
        match fingerprint(&item).await {
            Ok(fingerprint) => match unreadable(&item) {
                Some(failure) => {
                    let one = (&record, &item, fingerprint);
                    set_aside(context, collection, facts, one, failure, batch).await?;
                }
                None => out.push(Undecided {
                    record,
                    item,
                    fingerprint,
                    decision,
                }),
            },
            Err(error) => {
                let failure = Failure::Unavailable(format!("the content could not be read: {error}"));
                context.problem(Problem::new(Some(collection.source.display_path()), "source", &failure));
            }
        }
    }
    Ok(out)
}

/// Sorts out what goes to one collection; what remains is to be put. Fates that need no put are recorded in `batch`.
pub async fn main(
    context: &Context,
    lane: &mut DestinationLane,
    site: Site<'_>,
    items: Vec<Ruled>,
    batch: &mut Batch,
) -> Result<Vec<Ready>, Halt> {
    let mut ready = Vec::with_capacity(items.len());
    for one in items {
        match known_again(context, lane, &site, &one, batch).await? {
            Known::Placed | Known::Elsewhere => continue,
            Known::No => {}
        }
        let print = one.put.as_ref().unwrap_or(&one.fingerprint);
        let spot = &mut *site.spot;
        if let Some(existing) = &mut spot.existing
            && let Some(there) = existing
                .find(context, lane, (site.collection.source.kind, &one.record.meta), print)
                .await?
        {
            merge(context, lane, &site, &one, &there, batch).await?;
            continue;
        }
        ready.extend(ready_one(context, site.collection, &site.spot.limits, one, batch).await);
    }
    Ok(ready)
}

/// A further copy that is to be put, unless it is there.
pub async fn further_copy(
    context: &Context,
    lane: &mut DestinationLane,
    collection: &CollectionRecord,
    spot: &mut Spot,
    one: &Ruled,
    batch: &mut Batch,
) -> Result<Option<Ready>, Halt> {
    let there = one
        .record
        .copies
        .iter()
        .any(|copy| (copy.mailbox, &copy.collection) == (spot.account, &spot.target.id));
    if there {
        return Ok(None);
    }
    let here = |copy: &&Place| (copy.mailbox, &copy.collection) == (spot.account, &spot.target.id);
    let mut known = one.orphan.iter().flat_map(|(_, orphan)| &orphan.copies);
    if let Some(place) = known.find(here) {
        batch.copied(collection.id, &one.record.meta.id, place.clone());
        return Ok(None);
    }
    let print = one.put.as_ref().unwrap_or(&one.fingerprint);
    if let Some(existing) = &mut spot.existing
        && let Some(found) = existing
            .find(context, lane, (collection.source.kind, &one.record.meta), print)
            .await?
    {
        let place = Place {
            mailbox: spot.account,
            collection: spot.target.id.clone(),
            id: Some(found.id),
        };
        batch.copied(collection.id, &one.record.meta.id, place);
        return Ok(None);
    }
    let Ok((content, repairs)) = with_line_ends(context, collection, &spot.limits, one).await else {
        return Ok(None);
    };
    if size_limit(context, &spot.limits).is_some_and(|limit| content.size() > limit) {
        // The item itself meets the same limit, and says so.
        return Ok(None);
    }
    Ok(Some(Ready {
        copy: true,
        ..ready(one.clone(), content, repairs)
    }))
}

/// Why this is no item, where the source gave bytes of which it could make nothing.
pub fn unreadable(item: &Item) -> Option<Failure> {
    let found = item.meta.attributes.iter().find(|(name, _)| name == UNREADABLE);
    found.map(|(_, reason)| Failure::Rejected(reason.clone()))
}

/// What is no item is put nowhere: its bytes go to the quarantine.
async fn set_aside(
    context: &Context,
    collection: &CollectionRecord,
    facts: &Arc<FolderFacts>,
    (record, item, print): (&ItemRecord, &Item, Fingerprint),
    failure: Failure,
    batch: &mut Batch,
) -> Result<(), Halt> {
    if excused(context, collection, facts, record, ("source", &failure), batch)? {
        return Ok(());
    }
    let fate = Fate::Failed {
        failure,
        diagnosis: None,
        quarantine: quarantined(context, &print, (&item.media_type, &item.content)).await,
    };
    batch.settle(collection.id, &record.meta.id, fate, Some(print), Vec::new());
    Ok(())
}

/// An item that the source did not give.
fn unfetched(
    context: &Context,
    collection: &CollectionRecord,
    facts: &Arc<FolderFacts>,
    record: &ItemRecord,
    failure: Failure,
    batch: &mut Batch,
) -> Result<(), Halt> {
    let id = &record.meta.id;
    match failure {
        Failure::NotFound(_) => {
            batch.vanished(collection.id, id);
            context.count(|worked| worked.vanished += 1);
        }
        failure if failure.retry_may_help() => {
            context.problem(Problem::new(Some(collection.source.display_path()), "source", &failure));
        }
        failure if excused(context, collection, facts, record, ("source", &failure), batch)? => {}
        failure => {
            batch.settle(
                collection.id,
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
    Ok(())
}

/// An item that the destination had before: recorded, and given the flags that it lacks. None is taken away. Where
/// things are only to be recognised, flags stay as they are.
async fn merge(
    context: &Context,
    lane: &mut DestinationLane,
    site: &Site<'_>,
    one: &Ruled,
    there: &ItemMeta,
    batch: &mut Batch,
) -> Result<(), Halt> {
    let spot = &*site.spot;
    let mut wanted = one.record.meta.clone();
    apply_marks(one.ruling.as_ref(), &mut wanted);
    let lacks = |flag: &String| !there.flags.iter().any(|other| other.eq_ignore_ascii_case(flag));
    if !context.options.only_recognise && wanted.flags.iter().any(lacks) {
        let both: Vec<String> = there.flags.iter().chain(&wanted.flags).cloned().collect();
        let remark = [Remark {
            id: there.id.clone(),
            flags: flags::normalise(&both),
            labels: wanted.labels,
        }];
        let answers = persist!(context, lane, |account| account.mark(&spot.target.id, &remark));
        match answers {
            Ok(answers) if answers.iter().all(Result::is_ok) => {}
            Ok(_) | Err(Halt::Failed { .. }) => context.note(format!(
                "folder `{}`: flags of messages that the destination had already could not be added",
                site.collection.source.display_path()
            )),
            Err(halt) => return Err(halt),
        }
    }
    let mut changes = one.changes.clone();
    if needs_line_ends(&spot.limits, one) {
        changes.push(CRLF.to_owned());
    }
    batch.settle(
        site.collection.id,
        &one.record.meta.id,
        Fate::Placed {
            mailbox: spot.account,
            collection: spot.target.id.clone(),
            id: Some(there.id.clone()),
            revision: Some(there.revision.clone()).filter(|revision| !revision.is_empty()),
            outcome: Outcome::MergedWithExisting,
        },
        Some(one.fingerprint),
        changes,
    );
    if let Some(print) = one.put {
        batch.put_as(site.collection.id, &one.record.meta.id, print);
    }
    context.count(|worked| worked.merged += 1);
    Ok(())
}

/// An item that is to be put, with line ends that the destination takes, unless it is too large.
async fn ready_one(
    context: &Context,
    collection: &CollectionRecord,
    limits: &Limits,
    one: Ruled,
    batch: &mut Batch,
) -> Option<Ready> {
    let (content, repairs) = with_line_ends(context, collection, limits, &one).await.ok()?;
    if let Some(limit) = size_limit(context, limits)
        && content.size() > limit
    {
        let fate = Fate::Oversize { limit };
        batch.settle(
            collection.id,
            &one.record.meta.id,
            fate,
            Some(one.fingerprint),
            Vec::new(),
        );
        return None;
    }
    Some(ready(one, content, repairs))
}

fn ready(one: Ruled, content: Blob, repairs: Vec<String>) -> Ready {
    let mut meta = item_meta(&one.record, &one.item);
    apply_marks(one.ruling.as_ref(), &mut meta);
    meta.flags = flags::normalise(&meta.flags);
    meta.size = Some(content.size());
    Ready {
        record: one.record,
        item: Item {
            meta,
            media_type: one.item.media_type,
            content,
        },
        original: one.item.content,
        fingerprint: one.fingerprint,
        put: one.put,
        repairs,
        copy: false,
        trial: None,
    }
}

/// Whether the destination has it with other line ends than the source, or the rules.
fn needs_line_ends(limits: &Limits, one: &Ruled) -> bool {
    let print = one.put.as_ref().unwrap_or(&one.fingerprint);
    limits.crlf_only && print.bare_line_feeds > 0
}

/// The content with CRLF at the line ends where the destination needs that, and what was changed of it so far. An error
/// is recorded as a problem; the item waits.
async fn with_line_ends(
    context: &Context,
    collection: &CollectionRecord,
    limits: &Limits,
    one: &Ruled,
) -> Result<(Blob, Vec<String>), ()> {
    let mut repairs = one.changes.clone();
    if !needs_line_ends(limits, one) {
        return Ok((one.content.clone(), repairs));
    }
    match context.options.blobs.with_crlf(&one.content).await {
        Ok(converted) => {
            repairs.push(CRLF.to_owned());
            Ok((converted, repairs))
        }
        Err(error) => {
            let failure = Failure::Unavailable(format!("the content could not be converted: {error}"));
            context.problem(Problem::new(Some(collection.source.display_path()), "source", &failure));
            Err(())
        }
    }
}

/// The item as listed; what the listing did not say comes from the item itself.
pub fn item_meta(record: &ItemRecord, item: &Item) -> ItemMeta {
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

/// An item that the destination refused: recorded with the cause, its bytes kept; unless the rules say otherwise.
pub async fn refused(
    context: &Context,
    collection: &CollectionRecord,
    facts: &Arc<FolderFacts>,
    ready: &Ready,
    failure: Failure,
    batch: &mut Batch,
) -> Result<(), Halt> {
    let id = &ready.record.meta.id;
    if ready.copy {
        // The item itself goes its way: this copy alone is missing, and the report says so.
        context.problem(Problem::new(
            Some(collection.source.display_path()),
            "destination (a further copy)",
            &failure,
        ));
        return Ok(());
    }
    if excused(
        context,
        collection,
        facts,
        &ready.record,
        ("destination", &failure),
        batch,
    )? {
        return Ok(());
    }
    if let Failure::TooLarge(limit) = failure {
        let fate = Fate::Oversize {
            limit: limit.unwrap_or(0),
        };
        batch.settle(collection.id, id, fate, Some(ready.fingerprint), Vec::new());
        return Ok(());
    }
    let fate = Fate::Failed {
        failure,
        diagnosis: diagnose(ready.put.as_ref().unwrap_or(&ready.fingerprint)),
        quarantine: quarantined(context, &ready.fingerprint, (&ready.item.media_type, &ready.original)).await,
    };
    batch.settle(collection.id, id, fate, Some(ready.fingerprint), ready.repairs.clone());
    Ok(())
}

/// Keeps the bytes of an item that is not placed, or not any more; `item` is its type and its content. Gives where.
pub async fn quarantined(context: &Context, fingerprint: &Fingerprint, item: (&str, &Blob)) -> Option<String> {
    let folder = context.options.quarantine.as_ref()?;
    let hash = fingerprint.exact.to_string();
    match quarantine::keep(folder, &context.mailbox.name, &hash[..32], item).await {
        Ok(path) => Some(path),
        Err(error) => {
            context.note(format!("an item could not be kept in {}: {error}", folder.display()));
            None
        }
    }
}
