//! Mirroring deletions: what was deleted at the source goes to the destination's trash, if the admin asked for that.
//!
//! A listing that was cut short looks like a deletion of everything behind it, so a deletion is believed late and reluctantly:
//!
//! - the message was missing in a complete listing, and is missing in another one a while later, which is read from the
//!   beginning for that purpose;
//! - nothing is pending, failed or unexplained in the mailbox: any of these could be the message under another id;
//! - those that are missing are no larger a share of the mailbox than the admin allows;
//! - the moment up to which the source is the truth (the cutover) has not come.
//!
//! No message is ever removed: it is moved to the trash, on the server. Where there is no trash, for all else than messages,
//! the bytes are kept in the quarantine before the item is removed, and only where they are still what was put there.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use whimbrel_ledger::{CollectionId, Durability, Fate, ItemRecord, Ledger, LedgerError, MailboxId, Place};
use whimbrel_model::{Change, Collection, Failure, Kind, Limits, Role};
use whimbrel_rules::Wanted;

use crate::{
    context::{Context, Halt},
    lane::{DestinationLane, SourceLane},
    prepare::quarantined,
    print::fingerprint,
    report::{Counts, Problem},
    routes::resolve,
};

/// Items listed at once.
const PAGE: u32 = 2000;

/// Messages that are moved to the trash before that is made to last.
const AT_ONCE: usize = 100;

/// How deletions are mirrored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deletions {
    /// Only before this moment, in seconds since 1970: after it people work at the destination.
    pub until: i64,
    /// How long a message must have been missing.
    pub apart: Duration,
    /// The largest share of a mailbox's messages that may be missing, from 0 to 1.
    pub max_share: f64,
    /// What time it is, in seconds since 1970.
    pub now: i64,
}

impl Deletions {
    /// Whether the message has been missing for long enough.
    fn is_due(&self, gone: i64) -> bool {
        let apart = i64::try_from(self.apart.as_secs()).unwrap_or(i64::MAX);
        self.now.saturating_sub(gone) >= apart
    }
}

/// Messages of a mailbox that lie at the destination and vanished at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vanished {
    /// Those that the next run moves to the trash, if they are still missing then.
    pub due: u64,
    /// Those that have not been missing for long enough.
    pub waiting: u64,
}

/// What the ledger knows of messages that vanished.
pub fn vanished(ledger: &Ledger, mailbox: MailboxId, deletions: &Deletions) -> Result<Vanished, LedgerError> {
    let mut vanished = Vanished::default();
    for orphan in ledger.all_orphans(mailbox) {
        match orphan?.1.gone {
            Some(gone) if deletions.is_due(gone) => vanished.due += 1,
            Some(_) => vanished.waiting += 1,
            None => {}
        }
    }
    Ok(vanished)
}

/// A message that is to go to the trash.
type Doomed = (CollectionId, ItemRecord);

/// Moves what was deleted at the source to the trash, as far as it may.
pub async fn mirror_deletions(context: &Context) -> Result<(), Halt> {
    let Some(deletions) = context.options.deletions.filter(|_| !context.options.only_recognise) else {
        return Ok(());
    };
    let found = vanished(&context.ledger, context.id, &deletions)?;
    if found.due == 0 {
        return Ok(());
    }
    if deletions.now >= deletions.until {
        context.note(format!(
            "{} messages vanished at the source; deletions are not mirrored any more, as `deletions.until` has passed",
            found.due + found.waiting
        ));
        return Ok(());
    }
    let records = context.ledger.collections(context.id)?;
    let counts = Counts::of(&records, 0.0);
    if !counts.complete() || context.has_problems() || records.iter().any(|record| record.capped.is_some()) {
        context.note(format!(
            "{} messages that vanished at the source stay at the destination: not everything of the mailbox is listed and moved",
            found.due
        ));
        return Ok(());
    }
    let share = (found.due + found.waiting) as f64 / counts.found.max(1) as f64;
    if share > deletions.max_share {
        context.problem(too_many(found, counts.found, &deletions));
        return Ok(());
    }
    let doomed = confirmed(context, &deletions).await?;
    if doomed.is_empty() {
        return Ok(());
    }
    trash(context, doomed).await
}

fn too_many(found: Vanished, all: u64, deletions: &Deletions) -> Problem {
    Problem {
        collection: None,
        code: "too-many-deletions",
        text: format!(
            "{} of {all} messages vanished at the source, which is more than {}%: none of them was moved to the trash",
            found.due + found.waiting,
            deletions.max_share * 100.0
        ),
        remedy: "look at the source: if they were deleted on purpose, raise `deletions.max_share` for one run"
            .to_owned(),
    }
}

/// Those that are due, and missing in a listing of their collection from its beginning.
async fn confirmed(context: &Context, deletions: &Deletions) -> Result<Vec<Doomed>, Halt> {
    let mut due: BTreeMap<CollectionId, Vec<ItemRecord>> = BTreeMap::new();
    for orphan in context.ledger.all_orphans(context.id) {
        let (collection, item) = orphan?;
        if item.gone.is_some_and(|gone| deletions.is_due(gone)) {
            due.entry(collection).or_default().push(item);
        }
    }
    let mut source = SourceLane::new();
    let there = persist!(context, source, |account| account.collections())?;
    let mut doomed = Vec::new();
    for (collection, items) in due {
        let Some(record) = context.ledger.collection(context.id, collection)? else {
            continue;
        };
        let Some(now) = there.iter().find(|other| other.id == record.source.id) else {
            // The collection as a whole is gone, and was gone before.
            doomed.extend(items.into_iter().map(|item| (collection, item)));
            continue;
        };
        let Some(listed) = list_all(context, &mut source, now).await? else {
            context.note(format!(
                "folder `{}`: messages that vanished stay at the destination, as its listing was cut short",
                record.source.display_path()
            ));
            continue;
        };
        let missing = items.into_iter().filter(|item| !listed.contains(&item.meta.id));
        doomed.extend(missing.map(|item| (collection, item)));
    }
    Ok(doomed)
}

/// The ids of all messages of a collection; none where the listing does not hold what the source claims.
async fn list_all(
    context: &Context,
    source: &mut SourceLane,
    collection: &Collection,
) -> Result<Option<HashSet<String>>, Halt> {
    let mut ids = HashSet::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = persist!(context, source, |account| account.changes(
            &collection.id,
            cursor.as_deref(),
            PAGE
        ))?;
        if page.capped.is_some() {
            return Ok(None);
        }
        ids.extend(page.changes.into_iter().filter_map(|change| match change {
            Change::Upserted(meta) | Change::Marked(meta) => Some(meta.id),
            Change::Present(id) => Some(id),
            Change::Vanished(_) => None,
        }));
        if !page.more {
            break;
        }
        if context.stop.stopped() {
            return Err(Halt::Stopped);
        }
        cursor = Some(page.cursor);
    }
    let claimed = collection.items.unwrap_or(0);
    Ok((ids.len() as u64 >= claimed).then_some(ids))
}

/// Moves messages to the trash, and forgets them.
async fn trash(context: &Context, doomed: Vec<Doomed>) -> Result<(), Halt> {
    let mut destination = DestinationLane::new();
    let mut trash: Option<String> = None;
    let mut kept_in_place = 0;
    let mut known: Option<(Kind, Limits)> = None;
    for some in doomed.chunks(AT_ONCE) {
        let mut batch = context.ledger.batch(context.id);
        let mut moved = 0;
        for (collection, item) in some {
            let Some(record) = context.ledger.collection(context.id, *collection)? else {
                continue;
            };
            let kind = record.source.kind;
            // Asking may cost a round trip: once for messages in a row that are of one kind.
            if known.as_ref().is_none_or(|(of, _)| *of != kind) {
                let limits = persist!(context, destination, |account| account.limits(kind))?;
                known = Some((kind, limits));
            }
            let Some((_, limits)) = &known else { continue };
            if kind != Kind::Message {
                match keep_and_remove(context, &mut destination, item).await? {
                    true => {
                        batch.forget(*collection, &item.meta.id);
                        moved += 1;
                    }
                    false => kept_in_place += 1,
                }
                continue;
            }
            if !limits.abilities.server_side_move {
                context.note(
                    "messages that vanished at the source stay: the destination cannot move them to a trash".to_owned(),
                );
                return Ok(());
            }
            let trash = match &trash {
                Some(trash) => trash,
                None => {
                    let wanted = Wanted::Role(Role::Trash);
                    let target = resolve(context, &mut destination, None, &wanted, &record.source, limits).await?;
                    trash.insert(target.id)
                }
            };
            let Some(places) = own_places(item) else {
                context.note(
                    "messages that rules sent elsewhere stay there, though they vanished at the source".to_owned(),
                );
                continue;
            };
            for (at, id) in &places {
                if at != trash {
                    let answer = persist!(context, destination, |account| account.relocate(at, id, trash));
                    match answer {
                        Ok(_) => {}
                        Err(Halt::Failed {
                            failure: Failure::NotFound(_),
                            ..
                        }) => {
                            // Somebody was faster; unless it is the trash that is not there any more.
                            let there = persist!(context, destination, |account| account.collections())?;
                            if !there.iter().any(|other| other.id == *trash) {
                                context.commit(batch, Durability::Flush).await?;
                                context.count(|worked| worked.trashed += moved);
                                context.note(
                                    "messages that vanished at the source stay: the trash of the destination is gone"
                                        .to_owned(),
                                );
                                return Ok(());
                            }
                        }
                        Err(halt) => return Err(halt),
                    }
                }
            }
            batch.forget(*collection, &item.meta.id);
            moved += 1;
        }
        if moved > 0 {
            batch.event("deletions-mirrored", serde_json::json!({ "items": moved }));
        }
        context.commit(batch, Durability::Flush).await?;
        context.count(|worked| worked.trashed += moved);
        if context.stop.stopped() {
            return Err(Halt::Stopped);
        }
    }
    if kept_in_place > 0 {
        context.note(format!(
            "{kept_in_place} items that vanished at the source stay: somebody changed them at the destination, or their \
             bytes cannot be kept or removed"
        ));
    }
    Ok(())
}

/// Removes an item of a kind that has no trash, after its bytes are in the quarantine; false where it has to stay.
async fn keep_and_remove(
    context: &Context,
    destination: &mut DestinationLane,
    item: &ItemRecord,
) -> Result<bool, Halt> {
    let (Some(places), Some(wanted)) = (own_places(item), item.wanted()) else {
        return Ok(false);
    };
    for (at, id) in &places {
        let ids = std::slice::from_ref(id);
        let there = match persist!(context, destination, |account| account.fetch(at, ids)) {
            Ok(answers) => answers.into_iter().next(),
            Err(Halt::Failed { failure, .. }) if Halt::concerns_failure(&failure) => Some(Err(failure)),
            Err(halt) => return Err(halt),
        };
        let found = match there {
            Some(Ok(found)) => found,
            // Somebody was faster.
            Some(Err(Failure::NotFound(_))) => continue,
            _ => return Ok(false),
        };
        let Ok(print) = fingerprint(&found).await else {
            return Ok(false);
        };
        if print.transport != wanted.transport
            || quarantined(context, &print, (&found.media_type, &found.content))
                .await
                .is_none()
        {
            return Ok(false);
        }
        match persist!(context, destination, |account| account.remove(at, ids)) {
            Ok(answers) => match answers.into_iter().next() {
                Some(Ok(()) | Err(Failure::NotFound(_))) => {}
                _ => return Ok(false),
            },
            Err(Halt::Failed { failure, .. }) if Halt::concerns_failure(&failure) => return Ok(false),
            Err(halt) => return Err(halt),
        }
    }
    Ok(true)
}

/// Where an item and its copies lie in the mailbox's own account; none where one of them is elsewhere, or not told.
fn own_places(item: &ItemRecord) -> Option<Vec<(String, String)>> {
    let Fate::Placed {
        mailbox,
        collection,
        id,
        ..
    } = &item.fate
    else {
        return None;
    };
    let own = Place {
        mailbox: *mailbox,
        collection: collection.clone(),
        id: id.clone(),
    };
    let all = std::iter::once(&own).chain(&item.copies);
    all.map(|place| match (place.mailbox, &place.id) {
        (None, Some(id)) => Some((place.collection.clone(), id.clone())),
        _ => None,
    })
    .collect()
}
