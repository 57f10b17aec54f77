//! Bringing content at the destination up to date, where items change at the source: events, tasks, contacts, filters.

use std::sync::Arc;

use whimbrel_ledger::{Batch, CollectionRecord, Durability, Fate, ItemRecord};
use whimbrel_model::{Failure, Fingerprint, Outcome};
use whimbrel_rules::FolderFacts;
use whimbrel_sandbox::Item;

use crate::{
    context::{Context, Halt},
    lane::Lanes,
    prepare::{Fetched, unreadable},
    print::fingerprint,
    report::Problem,
    rules::{OnError, TransformError, Transformed, Undecided, decide_all, failed, transform},
};

/// A source collection, and what rules are told of it.
type Folder<'a> = (&'a CollectionRecord, &'a Arc<FolderFacts>);

/// Replaces what is placed of these items of a source collection. What cannot be replaced goes on waiting, and is told.
/// A crash on the way does no harm: what was replaced already is known again when it is tried the next time.
pub async fn replace(
    context: &Context,
    lanes: &mut Lanes<'_>,
    folder: Folder<'_>,
    fetched: Vec<Fetched>,
) -> Result<(), Halt> {
    if fetched.is_empty() {
        return Ok(());
    }
    let mut batch = context.ledger.batch(context.id);
    let mut halt = None;
    for one in fetched {
        if context.stop.stopped() {
            halt = Some(Halt::Stopped);
            break;
        }
        if let Err(failed) = replace_one(context, lanes, folder, one, &mut batch).await {
            halt = Some(failed);
            break;
        }
    }
    // Whatever ended this: what was replaced is recorded.
    context.commit(batch, Durability::Flush).await?;
    halt.map_or(Ok(()), Err)
}

async fn replace_one(
    context: &Context,
    lanes: &mut Lanes<'_>,
    folder: Folder<'_>,
    Fetched { record, answer, .. }: Fetched,
    batch: &mut Batch,
) -> Result<(), Halt> {
    let (collection, _) = folder;
    let tell = |side, failure: &Failure| {
        context.problem(Problem::new(Some(collection.source.display_path()), side, failure));
    };
    let item = match answer {
        Ok(item) => item,
        Err(Failure::NotFound(_)) => {
            batch.vanished(collection.id, &record.meta.id);
            context.count(|worked| worked.vanished += 1);
            return Ok(());
        }
        Err(failure) => {
            tell("source", &failure);
            return Ok(());
        }
    };
    if let Some(failure) = unreadable(&item) {
        tell("source", &failure);
        return Ok(());
    }
    let print = match fingerprint(&item).await {
        Ok(print) => print,
        Err(error) => {
            tell(
                "source",
                &Failure::Unavailable(format!("the content could not be read: {error}")),
            );
            return Ok(());
        }
    };
    if record
        .fingerprint
        .is_some_and(|before| before.transport == print.transport)
    {
        // Another revision, and nothing that would be said in another way.
        let (fate, repairs) = (record.fate.clone(), record.repairs.clone());
        batch.replaced(collection.id, &record.meta, fate, Some(print), repairs);
        put_as(batch, collection, &record, record.put);
        return Ok(());
    }
    let now = match ruled(context, folder, &record, item, print).await? {
        Ok(now) => now,
        Err(failure) => {
            tell("rules", &failure);
            return Ok(());
        }
    };
    if now.left_out {
        // What is at the destination is not followed any more.
        let (fate, repairs) = (record.fate.clone(), record.repairs.clone());
        batch.replaced(collection.id, &record.meta, fate, record.fingerprint, repairs);
        put_as(batch, collection, &record, record.put);
        return Ok(());
    }
    match put_in_place(context, lanes, &record, now.item, &now.put.unwrap_or(print)).await {
        Ok((fate, alterations)) => {
            let changes = now.changes.into_iter().chain(alterations).collect();
            batch.replaced(collection.id, &record.meta, fate, Some(print), changes);
            put_as(batch, collection, &record, now.put);
            context.count(|worked| worked.replaced += 1);
            Ok(())
        }
        Err(Halt::Failed { side, failure }) if Halt::concerns_failure(&failure) => {
            tell(side, &failure);
            Ok(())
        }
        Err(halt) => Err(halt),
    }
}

/// Records what was put, where rules made that of what was read.
fn put_as(batch: &mut Batch, collection: &CollectionRecord, record: &ItemRecord, print: Option<Fingerprint>) {
    if let Some(print) = print {
        batch.put_as(collection.id, &record.meta.id, print);
    }
}

/// An item that changed, as rules want it.
struct Now {
    item: Item,
    /// Of what is put, where rules changed it.
    put: Option<Fingerprint>,
    changes: Vec<String>,
    /// Whether they leave it out now.
    left_out: bool,
}

/// Asks the rules about an item that is placed already: they say what is in it, and no longer where it goes.
async fn ruled(
    context: &Context,
    (collection, facts): Folder<'_>,
    record: &ItemRecord,
    item: Item,
    fingerprint: Fingerprint,
) -> Result<Result<Now, Failure>, Halt> {
    let undecided = Undecided {
        record: record.clone(),
        item,
        fingerprint,
        decision: None,
    };
    let Some(decided) = decide_all(context, collection.source.kind, facts, vec![undecided])
        .await
        .pop()
    else {
        return Ok(Err(Failure::Internal("the rules gave no answer".to_owned())));
    };
    let stop = context
        .options
        .rules
        .as_ref()
        .is_some_and(|book| book.on_error == OnError::Stop);
    let decision = match decided.decision {
        Ok(decision) => decision,
        Err(error) if stop => return Err(Halt::Rules(error)),
        Err(error) => return Ok(Err(failed(&error))),
    };
    context.tally(&decision.steps);
    let mut now = Now {
        item: decided.item,
        put: None,
        changes: Vec::new(),
        left_out: decision.skip.is_some(),
    };
    if now.left_out {
        return Ok(Ok(now));
    }
    match transform(context, &decision, &now.item).await {
        Ok(None) => {}
        Ok(Some(Transformed { put, changes })) => {
            now.changes = changes;
            if let Some((content, print)) = put {
                (now.item.content, now.put) = (content, Some(print));
            }
        }
        Err(TransformError::Edit(problem)) => return Ok(Err(Failure::Rules(problem))),
        Err(TransformError::Io(error)) => {
            return Ok(Err(Failure::Unavailable(format!(
                "what the rules want could not be done: {error}"
            ))));
        }
    }
    Ok(Ok(now))
}

/// Gives the placement, and what the destination's format changed.
async fn put_in_place(
    context: &Context,
    lanes: &mut Lanes<'_>,
    record: &ItemRecord,
    item: Item,
    print: &Fingerprint,
) -> Result<(Fate, Vec<String>), Halt> {
    let failed = |failure| Halt::Failed {
        side: "destination",
        failure,
    };
    let Fate::Placed {
        mailbox,
        collection,
        id: Some(id),
        revision,
        ..
    } = &record.fate
    else {
        return Err(failed(Failure::Unsupported(
            "an item changed at the source, and the destination does not tell under which id it lies there".to_owned(),
        )));
    };
    let lane = lanes.to(context, *mailbox)?;
    let placed = |new: Option<String>, revision| Fate::Placed {
        mailbox: *mailbox,
        collection: collection.clone(),
        id: Some(new.unwrap_or_else(|| id.clone())),
        revision,
        outcome: Outcome::Replaced,
    };
    let answer = persist!(context, lane, |account| account.replace(
        collection,
        id,
        revision.as_deref(),
        item.clone()
    ));
    match answer {
        Ok(placement) => Ok((placed(placement.id, placement.revision), placement.alterations)),
        Err(Halt::Failed {
            failure: Failure::Rejected(reason),
            ..
        }) => {
            // It may be what was put there just before a connection broke, or a run was killed.
            let ids = [id.clone()];
            let there = persist!(context, lane, |account| account.fetch(collection, &ids))?;
            if let Some(Ok(there)) = there.into_iter().next()
                && let Ok(found) = fingerprint(&there).await
                && found.transport == print.transport
            {
                let revision = Some(there.meta.revision).filter(|revision| !revision.is_empty());
                return Ok((placed(None, revision), Vec::new()));
            }
            Err(failed(Failure::Rejected(format!(
                "an item that changed at the source was not replaced: {reason}"
            ))))
        }
        Err(Halt::Failed {
            failure: Failure::NotFound(_),
            ..
        }) => Err(failed(Failure::NotFound(
            "an item changed at the source, and somebody removed it at the destination".to_owned(),
        ))),
        Err(halt) => Err(halt),
    }
}
