//! Bringing flags and labels at the destination up to date.

use whimbrel_ledger::{CollectionId, Durability, Fate, ItemRecord};
use whimbrel_model::{Failure, Remark, flags};

use crate::{
    context::{Context, Halt},
    lane::DestinationLane,
    report::Problem,
};

/// Marks set at once.
const AT_ONCE: usize = 200;

/// Sets the flags and labels of these items, all of one source collection.
pub async fn mark(
    context: &Context,
    lane: &mut DestinationLane,
    collection: CollectionId,
    name: &str,
    items: &[ItemRecord],
) -> Result<(), Halt> {
    // Two items of one source collection may lie in different ones at the destination.
    let mut by_target: Vec<(&str, Vec<(&ItemRecord, Remark)>)> = Vec::new();
    let mut lost = Vec::new();
    for item in items {
        let Fate::Placed {
            collection: target,
            id: Some(id),
            ..
        } = &item.fate
        else {
            lost.push(item);
            continue;
        };
        let remark = Remark {
            id: id.clone(),
            flags: flags::normalise(&item.meta.flags),
            labels: item.meta.labels.clone(),
        };
        match by_target.iter_mut().find(|(other, _)| other == target) {
            Some((_, remarks)) => remarks.push((item, remark)),
            None => by_target.push((target, vec![(item, remark)])),
        }
    }
    for (target, remarks) in by_target {
        for chunk in remarks.chunks(AT_ONCE) {
            let asked: Vec<Remark> = chunk.iter().map(|(_, remark)| remark.clone()).collect();
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
            for ((item, _), answer) in chunk.iter().zip(answers) {
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
