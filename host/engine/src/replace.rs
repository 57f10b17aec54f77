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
/// What is sent is noted before: where a connection breaks or a run is killed behind it, the next try knows its own.
pub async fn replace(
    context: &Context,
    lanes: &mut Lanes<'_>,
    folder: Folder<'_>,
    fetched: Vec<Fetched>,
) -> Result<(), Halt> {
    if fetched.is_empty() {
        return Ok(());
    }
    let (ledger, mailbox) = (&context.ledger, context.id);
    let mut batch = ledger.batch(mailbox);
    let mut changed = Vec::with_capacity(fetched.len());
    for one in fetched {
        changed.extend(look(context, folder, one, &mut batch).await?);
    }
    let collection = folder.0.id;
    let sent = changed
        .iter()
        .map(|one| (collection, one.record.meta.id.as_str(), one.wanted().transport));
    if !changed.is_empty() {
        context.attempts.begin(ledger, mailbox, sent)?;
        context.flush().await?;
    }
    let (mut answered, mut halt) = (Vec::with_capacity(changed.len()), None);
    for one in changed {
        if context.stop.stopped() {
            halt = Some(Halt::Stopped);
            break;
        }
        let id = one.record.meta.id.clone();
        match replace_one(context, lanes, folder, one, &mut batch).await {
            Ok(()) => answered.push(id),
            Err(failed) => {
                halt = Some(failed);
                break;
            }
        }
    }
    // Whatever ended this: what was replaced is recorded.
    context.commit(batch, Durability::Flush).await?;
    if !answered.is_empty() {
        let answered = answered.iter().map(|id| (collection, id.as_str()));
        context.attempts.end(ledger, mailbox, answered)?;
    }
    halt.map_or(Ok(()), Err)
}

/// An item that changed, as rules want it.
struct Now {
    /// What the ledger knows of it.
    record: ItemRecord,
    item: Item,
    /// Of what the source gave.
    print: Fingerprint,
    /// Of what is put, where rules changed it.
    put: Option<Fingerprint>,
    changes: Vec<String>,
    /// What was sent for it before, and never answered.
    sent: Vec<String>,
}

impl Now {
    /// Of what is to be at the destination.
    fn wanted(&self) -> &Fingerprint {
        self.put.as_ref().unwrap_or(&self.print)
    }

    /// Whether the destination has nothing but what this migration put there, or what says the same.
    fn is_ours(&self, found: &Fingerprint) -> bool {
        let before = [self.record.put.or(self.record.fingerprint), Some(*self.wanted())];
        let before = before.iter().flatten().any(|print| print.transport == found.transport);
        before || self.sent.contains(&found.transport.to_string())
    }
}

/// What is to be replaced of an item; nothing where that is settled without.
async fn look(
    context: &Context,
    folder: Folder<'_>,
    Fetched { record, answer, .. }: Fetched,
    batch: &mut Batch,
) -> Result<Option<Now>, Halt> {
    let (collection, _) = folder;
    let tell = |side, failure: &Failure| {
        context.problem(Problem::new(Some(collection.source.display_path()), side, failure));
    };
    let item = match answer {
        Ok(item) => item,
        Err(Failure::NotFound(_)) => {
            batch.vanished(collection.id, &record.meta.id);
            context.count(|worked| worked.vanished += 1);
            return Ok(None);
        }
        Err(failure) => {
            tell("source", &failure);
            return Ok(None);
        }
    };
    if let Some(failure) = unreadable(&item) {
        tell("source", &failure);
        return Ok(None);
    }
    let print = match fingerprint(&item).await {
        Ok(print) => print,
        Err(error) => {
            tell(
                "source",
                &Failure::Unavailable(format!("the content could not be read: {error}")),
            );
            return Ok(None);
        }
    };
    let sent = context
        .attempts
        .of(&context.ledger, context.id, collection.id, &record.meta.id)?;
    let says_the_same = |before: Fingerprint| before.transport == print.transport;
    if sent.is_empty() && record.fingerprint.is_some_and(says_the_same) {
        // Another revision, and nothing that would be said in another way.
        let (fate, repairs) = (record.fate.clone(), record.repairs.clone());
        batch.replaced(collection.id, &record.meta, fate, Some(print), repairs);
        put_as(batch, collection, &record, record.put);
        return Ok(None);
    }
    match ruled(context, folder, &record, item, print).await? {
        Ok(Some((item, put, changes))) => Ok(Some(Now {
            record,
            item,
            print,
            put,
            changes,
            sent,
        })),
        Ok(None) => {
            // Rules leave it out now: what is at the destination is not followed any more.
            let (fate, repairs) = (record.fate.clone(), record.repairs.clone());
            batch.replaced(collection.id, &record.meta, fate, record.fingerprint, repairs);
            put_as(batch, collection, &record, record.put);
            Ok(None)
        }
        Err(failure) => {
            tell("rules", &failure);
            Ok(None)
        }
    }
}

async fn replace_one(
    context: &Context,
    lanes: &mut Lanes<'_>,
    (collection, _): Folder<'_>,
    now: Now,
    batch: &mut Batch,
) -> Result<(), Halt> {
    match put_in_place(context, lanes, &now).await {
        Ok((fate, alterations)) => {
            let changes = now.changes.into_iter().chain(alterations).collect();
            batch.replaced(collection.id, &now.record.meta, fate, Some(now.print), changes);
            put_as(batch, collection, &now.record, now.put);
            context.count(|worked| worked.replaced += 1);
            Ok(())
        }
        Err(Halt::Failed { side, failure }) if Halt::concerns_failure(&failure) => {
            context.problem(Problem::new(Some(collection.source.display_path()), side, &failure));
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

/// What is to be put, its fingerprint where rules changed it, and what they changed.
type Ruled = (Item, Option<Fingerprint>, Vec<String>);

/// Asks the rules about an item that is placed already: they say what is in it, and no longer where it goes. None
/// where they leave it out.
async fn ruled(
    context: &Context,
    (collection, facts): Folder<'_>,
    record: &ItemRecord,
    item: Item,
    fingerprint: Fingerprint,
) -> Result<Result<Option<Ruled>, Failure>, Halt> {
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
    if decision.skip.is_some() {
        return Ok(Ok(None));
    }
    let mut item = decided.item;
    let (mut print, mut names) = (None, Vec::new());
    match transform(context, &decision, &item).await {
        Ok(None) => {}
        Ok(Some(Transformed { put, changes })) => {
            names = changes;
            if let Some((content, of_content)) = put {
                (item.content, print) = (content, Some(of_content));
            }
        }
        Err(TransformError::Edit(problem)) => return Ok(Err(Failure::Rules(problem))),
        Err(TransformError::Io(error)) => {
            return Ok(Err(Failure::Unavailable(format!(
                "what the rules want could not be done: {error}"
            ))));
        }
    }
    Ok(Ok(Some((item, print, names))))
}

/// Gives the placement, and what the destination's format changed.
async fn put_in_place(context: &Context, lanes: &mut Lanes<'_>, now: &Now) -> Result<(Fate, Vec<String>), Halt> {
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
    } = &now.record.fate
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
    let mut revision = revision.clone();
    let mut looked = false;
    let answer = loop {
        let answer = persist!(context, lane, |account| account.replace(
            collection,
            id,
            revision.as_deref(),
            now.item.clone()
        ));
        let Err(Halt::Failed {
            failure: Failure::Rejected(reason),
            ..
        }) = answer
        else {
            break answer;
        };
        // It may be what was put there just before a connection broke, or a run was killed.
        let ids = [id.clone()];
        let there = persist!(context, lane, |account| account.fetch(collection, &ids))?;
        if let Some(Ok(there)) = there.into_iter().next()
            && let Ok(found) = fingerprint(&there).await
            && now.is_ours(&found)
        {
            let known = Some(there.meta.revision).filter(|revision| !revision.is_empty());
            if found.transport == now.wanted().transport {
                return Ok((placed(None, known), Vec::new()));
            }
            if !looked && known.is_some() && known != revision {
                (looked, revision) = (true, known);
                continue;
            }
        }
        return Err(failed(Failure::Rejected(format!(
            "an item that changed at the source was not replaced: {reason}"
        ))));
    };
    match answer {
        Ok(placement) => Ok((placed(placement.id, placement.revision), placement.alterations)),
        Err(Halt::Failed {
            failure: Failure::NotFound(_),
            ..
        }) => Err(failed(Failure::NotFound(
            "an item changed at the source, and somebody removed it at the destination".to_owned(),
        ))),
        Err(halt) => Err(halt),
    }
}
