//! Bringing flags and labels at the destination up to date.

use whimbrel_ledger::{CollectionId, Durability, Fate, ItemRecord, MailboxId};
use whimbrel_model::{Failure, Remark, flags};

use crate::{
    context::{Context, Halt},
    lane::Lanes,
    report::Problem,
    rules::apply_marks,
};

/// Marks set at once.
const AT_ONCE: usize = 200;

/// A collection of an account.
type Spot<'a> = (Option<MailboxId>, &'a str);

/// What is to be marked in one: the item of the destination, and whether it is the item itself or a further copy.
type Wishes<'a> = Vec<(&'a ItemRecord, Remark, bool)>;

/// Sets the flags and labels of these items, all of one source collection, and of their further copies.
pub async fn mark(
    context: &Context,
    lanes: &mut Lanes<'_>,
    collection: CollectionId,
    name: &str,
    items: &[ItemRecord],
) -> Result<(), Halt> {
    // Two items of one source collection may lie in different ones at the destination.
    let mut by_spot: Vec<(Spot<'_>, Wishes<'_>)> = Vec::new();
    let mut lost = Vec::new();
    for item in items {
        let mut meta = item.meta.clone();
        apply_marks(item.ruling.as_ref(), &mut meta);
        let mut places: Vec<(Spot<'_>, &String, bool)> = item
            .copies
            .iter()
            .filter_map(|copy| Some(((copy.mailbox, copy.collection.as_str()), copy.id.as_ref()?, true)))
            .collect();
        match &item.fate {
            Fate::Placed {
                mailbox,
                collection,
                id: Some(id),
                ..
            } => places.push(((*mailbox, collection), id, false)),
            _ => lost.push(item),
        }
        for (spot, id, is_copy) in places {
            let remark = Remark {
                id: id.clone(),
                flags: flags::normalise(&meta.flags),
                labels: meta.labels.clone(),
            };
            match by_spot.iter_mut().find(|(other, _)| *other == spot) {
                Some((_, wishes)) => wishes.push((item, remark, is_copy)),
                None => by_spot.push((spot, vec![(item, remark, is_copy)])),
            }
        }
    }
    // Copies first: an item is up to date when all of it is.
    by_spot.sort_by_key(|(_, wishes)| wishes.iter().any(|(_, _, is_copy)| !is_copy));
    for ((account, target), wishes) in by_spot {
        let lane = lanes.to(context, account)?;
        for chunk in wishes.chunks(AT_ONCE) {
            let asked: Vec<Remark> = chunk.iter().map(|(_, remark, _)| remark.clone()).collect();
            let answers = match persist!(context, lane, |account| account.mark(target, &asked)) {
                Ok(answers) => answers,
                Err(Halt::Failed {
                    failure: failure @ Failure::Unsupported(_),
                    ..
                }) => {
                    vec![Err(failure); chunk.len()]
                }
                Err(halt) => return Err(halt),
            };
            let mut batch = context.ledger.batch(context.id);
            let mut done = 0;
            for ((item, _, is_copy), answer) in chunk.iter().zip(answers) {
                if *is_copy && !matches!(&answer, Err(failure) if failure.retry_may_help()) {
                    continue;
                }
                match answer {
                    Ok(()) => {
                        batch.marked(collection, &item.meta.id);
                        done += 1;
                    }
                    // Removed or moved at the destination by its user: there is nothing to mark.
                    Err(Failure::NotFound(_)) => {
                        batch.marked(collection, &item.meta.id);
                        batch.event("mark-without-item", serde_json::json!({ "collection": name }));
                    }
                    Err(failure) if failure.retry_may_help() => {
                        context.problem(Problem::new(Some(name.to_owned()), "destination", &failure));
                    }
                    Err(failure) => {
                        batch.marked(collection, &item.meta.id);
                        batch.event(
                            "mark-refused",
                            serde_json::json!({ "collection": name, "reason": failure.to_string() }),
                        );
                        context.note(format!(
                            "folder `{name}`: flags that changed after a message was copied could not be set: {failure}"
                        ));
                    }
                }
            }
            context.commit(batch, Durability::Flush).await?;
            context.count(|worked| worked.marked += done);
        }
    }
    if !lost.is_empty() {
        let mut batch = context.ledger.batch(context.id);
        for item in &lost {
            batch.marked(collection, &item.meta.id);
        }
        context.commit(batch, Durability::Later).await?;
        context.note(format!(
            "folder `{name}`: the flags of {} messages could not be brought up to date, since the destination does not tell their ids",
            lost.len()
        ));
    }
    Ok(())
}
