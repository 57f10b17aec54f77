//! Destination collections: planned as a whole, then found or made.

use std::collections::{HashMap, HashSet};

use whimbrel_ledger::{CollectionRecord, Durability, Target};
use whimbrel_model::{Collection, Failure, Limits, display_path};
use whimbrel_rules::Wanted;

use crate::{
    context::{Context, Halt},
    lane::DestinationLane,
    names::{Guides, NameNote, PlannedName, plain_path, plan_names},
    report::Problem,
};

/// Finds or makes a destination collection for every source collection that has none yet.
pub async fn make_targets(
    context: &Context,
    lane: &mut DestinationLane,
    sources: &[Collection],
    ruled: &HashMap<String, Wanted>,
    limits: &Limits,
) -> Result<(), Halt> {
    let records: HashMap<String, CollectionRecord> = context
        .ledger
        .collections(context.id)?
        .into_iter()
        .map(|record| (record.source.id.clone(), record))
        .collect();
    let wanting = |collection: &&Collection| {
        collection.selectable
            && records
                .get(&collection.id)
                .is_some_and(|record| record.target.is_none())
    };
    if !sources.iter().any(|collection| wanting(&collection)) {
        return Ok(());
    }
    let there = persist!(context, lane, |account| account.collections())?;
    let names = plan(sources, &there, records.values(), ruled, limits, context);
    let mut taken: HashSet<Vec<String>> = names.iter().map(|name| name.path.clone()).collect();
    for (source, name) in sources.iter().zip(names) {
        if !wanting(&source) {
            continue;
        }
        let Some(record) = records.get(&source.id) else {
            continue;
        };
        announce(context, source, &name);
        match ensure(context, lane, source, &name.path, &taken).await {
            Ok(made) => {
                taken.insert(made.path.clone());
                let existing = there.iter().any(|other| other.id == made.id && other.items != Some(0));
                let mut batch = context.ledger.batch(context.id);
                batch.event(
                    "collection-mapped",
                    serde_json::json!({ "from": source.display_path(), "to": made.display_path(), "existing": existing }),
                );
                batch.target(
                    record.id,
                    Target {
                        id: made.id,
                        path: made.path,
                        generation: made.generation,
                        existing,
                    },
                );
                context.commit(batch, Durability::Later).await?;
            }
            Err(Halt::Failed { side, failure }) if Halt::concerns_failure(&failure) => {
                context.problem(Problem::new(Some(source.display_path()), side, &failure));
            }
            Err(halt) => return Err(halt),
        }
    }
    Ok(())
}

/// Names for all of them; what earlier runs decided stands.
fn plan<'a>(
    sources: &[Collection],
    there: &[Collection],
    records: impl Iterator<Item = &'a CollectionRecord>,
    ruled: &HashMap<String, Wanted>,
    limits: &Limits,
    context: &Context,
) -> Vec<PlannedName> {
    let kept: HashMap<String, Vec<String>> = records
        .filter_map(|record| Some((record.source.id.clone(), record.target.as_ref()?.path.clone())))
        .collect();
    let guides = Guides {
        kept: &kept,
        ruled,
        options: &context.options.folders,
    };
    plan_names(sources, there, guides, limits)
}

/// Says where a folder goes other than by its name.
fn announce(context: &Context, source: &Collection, name: &PlannedName) {
    let reason = match name.notes.iter().find(|note| {
        !matches!(
            note,
            NameNote::Kept | NameNote::Mapped | NameNote::Rule | NameNote::SpecialUse | NameNote::FollowsParent
        )
    }) {
        Some(NameNote::Characters) => "the destination cannot keep some characters of the name",
        Some(NameNote::Length) => "the name is too long for the destination",
        Some(NameNote::Depth) => "the destination does not nest that deep",
        Some(NameNote::Collision) => "another folder has that name there",
        _ => return,
    };
    context.note(format!(
        "folder `{}` goes to `{}`: {reason}",
        source.display_path(),
        display_path(&name.path)
    ));
}

/// Finds or makes one, under a plainer name if the destination refuses the planned one.
pub async fn ensure(
    context: &Context,
    lane: &mut DestinationLane,
    source: &Collection,
    path: &[String],
    taken: &HashSet<Vec<String>>,
) -> Result<Collection, Halt> {
    let mut wanted = Collection {
        id: String::new(),
        path: path.to_vec(),
        items: None,
        bytes: None,
        generation: None,
        ..source.clone()
    };
    let refused = match persist!(context, lane, |account| account.ensure(&wanted)) {
        Err(Halt::Failed {
            failure: Failure::Rejected(reason),
            ..
        }) => reason,
        other => return other,
    };
    let plain = (1..=taken.len() + 1)
        .map(|number| plain_path(path, number))
        .find(|plain| plain != path && !taken.contains(plain))
        .filter(|_| plain_path(path, 1) != path);
    let Some(plain) = plain else {
        return Err(Halt::Failed {
            side: "destination",
            failure: Failure::Rejected(refused),
        });
    };
    context.note(format!(
        "folder `{}` goes to `{}`: the destination refused its name ({refused})",
        source.display_path(),
        display_path(&plain)
    ));
    wanted.path = plain;
    persist!(context, lane, |account| account.ensure(&wanted))
}

/// Makes a destination collection again that was there and is gone.
pub async fn make_again(
    context: &Context,
    lane: &mut DestinationLane,
    source: &Collection,
    target: &Target,
) -> Result<Target, Halt> {
    let made = ensure(context, lane, source, &target.path, &HashSet::new()).await?;
    Ok(Target {
        id: made.id,
        path: made.path,
        generation: made.generation,
        existing: target.existing,
    })
}
