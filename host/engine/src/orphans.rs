//! Items that lie at the destination already, since they were found before: under another id, or in another folder.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use whimbrel_ledger::{Batch, CollectionId, Durability, Fate, Intent, IntentItem, ItemRecord, MailboxId};
use whimbrel_model::{Failure, Hash, Outcome};

use crate::{
    context::{Context, Halt},
    faults::Class,
    lane::DestinationLane,
    prepare::{Site, item_meta},
    print::fingerprint,
    report::Problem,
    rules::Ruled,
    settle::{settle, settle_late},
    spots::Spots,
};

/// An orphan: the source collection that it was in, and what is known of it.
pub type Orphan = (CollectionId, ItemRecord);

/// Which orphans of a mailbox are spoken for in this run: of several lanes that find equal messages, one gets each.
#[derive(Default)]
pub struct Claims(Mutex<HashSet<(CollectionId, String)>>);

impl Claims {
    /// The orphan that an item is taken for which goes to this place: one that lies there already, if there is one,
    /// and that was received at the same time. It is this item's from now on.
    fn claim(&self, orphans: Vec<Orphan>, place: Place<'_>, record: &ItemRecord) -> Option<Orphan> {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let orphan = orphans
            .into_iter()
            .filter(|orphan| !claimed.contains(&key(orphan)))
            .min_by_key(|(_, orphan)| (!lies_at(orphan, place), orphan.meta.received != record.meta.received))?;
        claimed.insert(key(&orphan));
        Some(orphan)
    }

    /// It is not that item: another may claim it.
    fn release(&self, orphan: &Orphan) {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.remove(&key(orphan));
    }
}

fn key((collection, orphan): &Orphan) -> (CollectionId, String) {
    (*collection, orphan.meta.id.clone())
}

/// An account and a collection there.
type Place<'a> = (Option<MailboxId>, &'a str);

fn lies_at(orphan: &ItemRecord, place: Place<'_>) -> bool {
    matches!(&orphan.fate, Fate::Placed { mailbox, collection, .. } if (*mailbox, collection.as_str()) == place)
}

/// Finds out which of these items are known again.
pub fn recall(context: &Context, spots: &mut Spots, items: &mut [Ruled]) -> Result<(), Halt> {
    if !context.ledger.has_orphans(context.id)? {
        return Ok(());
    }
    let mut order: Vec<&mut Ruled> = items.iter_mut().collect();
    order.sort_by_key(|one| one.place);
    for one in order {
        let spot = spots.at(one.place);
        let place = (spot.account, spot.target.id.as_str());
        one.orphan = claim(context, &one.fingerprint.exact, place, &one.record)?;
    }
    Ok(())
}

fn claim(context: &Context, content: &Hash, place: Place<'_>, record: &ItemRecord) -> Result<Option<Orphan>, Halt> {
    let orphans = context.ledger.orphans(context.id, content)?;
    Ok(context.claims.claim(orphans, place, record))
}

/// Whether an item lies at the destination already.
pub enum Known {
    /// It does, and stands where it belongs: that is recorded.
    Placed,
    /// It does, in another collection, and could not be moved: it waits for the next run. Nothing is lost by that, and a
    /// copy beside it would be one too many.
    Elsewhere,
    /// It does not.
    No,
}

/// Finds out whether an item is one that lies at the destination already; recorded in `batch`, and moved there where it
/// goes to another collection now.
pub async fn known_again(
    context: &Context,
    lane: &mut DestinationLane,
    site: &Site<'_>,
    one: &Ruled,
    batch: &mut Batch,
) -> Result<Known, Halt> {
    let (record, spot) = (&one.record, &*site.spot);
    let place = (spot.account, spot.target.id.as_str());
    let (mut claimed, mut tries) = (one.orphan.clone(), 0);
    while let Some(orphan) = claimed {
        let (collection, found) = &orphan;
        if lies_at(found, place) {
            context.count(|worked| worked.adopted += 1);
            let meta = item_meta(record, &one.item);
            batch.adopt(
                (*collection, &found.meta.id),
                site.collection.id,
                &meta,
                found.fate.clone(),
            );
            return Ok(Known::Placed);
        }
        let moved = match &found.fate {
            Fate::Placed {
                mailbox,
                collection: origin,
                id: Some(id),
                ..
            } if *mailbox == spot.account && spot.limits.abilities.server_side_move => {
                relocate(context, lane, site, one, (*collection, found), (origin, id)).await?
            }
            _ => Relocated::No,
        };
        claimed = match moved {
            Relocated::Done => {
                context.count(|worked| worked.relocated += 1);
                return Ok(Known::Placed);
            }
            Relocated::Gone => {
                batch.forget(*collection, &found.meta.id);
                claim(context, &one.fingerprint.exact, place, record)?
            }
            Relocated::NotYet if tries < Class::Lost.row().tries(context.options.retries) => {
                tries += 1;
                Some(orphan)
            }
            Relocated::NotYet => {
                let folder = site.collection.source.display_path();
                context.problem(Problem::new(Some(folder), "destination", &never_moved()));
                return Ok(Known::Elsewhere);
            }
            Relocated::No => {
                context.claims.release(&orphan);
                None
            }
        };
    }
    Ok(Known::No)
}

fn never_moved() -> Failure {
    Failure::Unavailable(
        "the connection ended each time that a message was to be moved from one folder to another: it stays in the old \
         one until the next run"
            .to_owned(),
    )
}

/// What became of a wish to move something at the destination.
enum Relocated {
    /// It was moved, and that is recorded.
    Done,
    /// The connection broke before it was moved.
    NotYet,
    /// It is not at the destination any more.
    Gone,
    /// It cannot be moved: put it.
    No,
}

async fn relocate(
    context: &Context,
    lane: &mut DestinationLane,
    site: &Site<'_>,
    one: &Ruled,
    (collection, orphan): (CollectionId, &ItemRecord),
    (origin, id): (&str, &str),
) -> Result<Relocated, Halt> {
    let (record, target) = (&one.record, &site.spot.target.id);
    // What lies there is what the rules once made of it.
    let mut put = None;
    if one.put.is_some() || !orphan.repairs.is_empty() {
        let ids = [id.to_owned()];
        let answers = persist!(context, lane, |account| account.fetch(origin, &ids));
        put = match answers.map(|answers| answers.into_iter().next()) {
            Ok(Some(Ok(item))) => match fingerprint(&item).await {
                Ok(print) => Some(print),
                Err(_) => return Ok(Relocated::No),
            },
            Ok(Some(Err(Failure::NotFound(_)))) => return Ok(Relocated::Gone),
            Ok(_) => return Ok(Relocated::No),
            Err(Halt::Failed { failure, .. }) if Halt::concerns_failure(&failure) => return Ok(Relocated::No),
            Err(halt) => return Err(halt),
        };
    }
    let watermark = persist!(context, lane, |account| account.watermark(target))?;
    let intent = Intent {
        mailbox: site.spot.account,
        target: target.clone(),
        watermark,
        items: vec![IntentItem {
            collection: site.collection.id,
            id: record.meta.id.clone(),
            fingerprint: one.fingerprint,
            put,
            copy: false,
            orphan: Some((collection, orphan.meta.id.clone())),
            repairs: orphan.repairs.clone(),
        }],
    };
    let mut batch = context.ledger.batch(context.id);
    let open = batch.open_intent(&intent);
    context.commit(batch, Durability::Flush).await?;
    let answer = match lane.open(context).await {
        Ok(account) => account.relocate(origin, id, target).await,
        Err(failure) => Err(failure),
    };
    let mut batch = context.ledger.batch(context.id);
    let outcome = match answer {
        Ok(placement) if placement.id.is_some() => {
            let fate = Fate::Placed {
                mailbox: site.spot.account,
                collection: target.clone(),
                id: placement.id,
                revision: placement.revision,
                outcome: Outcome::Created,
            };
            batch.adopt(
                (collection, &orphan.meta.id),
                site.collection.id,
                &item_meta(record, &one.item),
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
                .item(context.id, site.collection.id, &record.meta.id)?
                .is_some_and(|item| matches!(item.fate, Fate::Placed { .. }));
            return Ok(if settled { Relocated::Done } else { Relocated::NotYet });
        }
    };
    batch.close_intent(open);
    context.commit(batch, Durability::Later).await?;
    Ok(outcome)
}
