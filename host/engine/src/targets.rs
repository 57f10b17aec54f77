//! Destination collections: planned as a whole, then found or made.

use std::collections::{HashMap, HashSet};

use whimbrel_ledger::{CollectionRecord, Durability, Target};
use whimbrel_model::{Collection, Failure, Limits, display_path};
use whimbrel_rules::Wanted;

use crate::{
    connector::Answers,
    context::{Context, Halt},
    lane::DestinationLane,
    names::{Guides, NameNote, PlannedName, plain_path, plan_names},
    report::Problem,
};

/// Asked for in one call: a connector has to answer it within its deadline.
const ENSURED_AT_ONCE: usize = 500;

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
    let named: Vec<(&Collection, &CollectionRecord, PlannedName)> = (sources.iter().zip(names))
        .filter(|(source, _)| wanting(source))
        .filter_map(|(source, name)| Some((source, records.get(&source.id)?, name)))
        .collect();
    let mut wanted = Vec::with_capacity(named.len());
    for (source, _, name) in &named {
        announce(context, source, name);
        wanted.push(wish(source, &name.path));
    }
    let answers = ensure_all(context, lane, &wanted).await?;
    let mut batch = context.ledger.batch(context.id);
    for ((source, record, name), answer) in named.into_iter().zip(answers) {
        let made = match answer {
            Err(Failure::Rejected(reason)) => ensure_plainer(context, lane, source, &name.path, &taken, reason).await,
            other => other.map_err(refused),
        };
        match made {
            Ok(made) => {
                taken.insert(made.path.clone());
                let existing = there.iter().any(|other| other.id == made.id && other.items != Some(0));
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
            }
            Err(Halt::Failed { side, failure }) if Halt::concerns_failure(&failure) => {
                context.problem(Problem::new(Some(source.display_path()), side, &failure));
            }
            Err(halt) => {
                context.commit(batch, Durability::Later).await?;
                return Err(halt);
            }
        }
    }
    Ok(context.commit(batch, Durability::Later).await?)
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
    match ensure_one(context, lane, wish(source, path)).await {
        Err(Halt::Failed {
            failure: Failure::Rejected(reason),
            ..
        }) => ensure_plainer(context, lane, source, path, taken, reason).await,
        other => other,
    }
}

/// Finds or makes one whose planned name was refused for this reason.
async fn ensure_plainer(
    context: &Context,
    lane: &mut DestinationLane,
    source: &Collection,
    path: &[String],
    taken: &HashSet<Vec<String>>,
    reason: String,
) -> Result<Collection, Halt> {
    let plain = (1..=taken.len() + 1)
        .map(|number| plain_path(path, number))
        .find(|plain| plain != path && !taken.contains(plain))
        .filter(|_| plain_path(path, 1) != path);
    let Some(plain) = plain else {
        return Err(refused(Failure::Rejected(reason)));
    };
    context.note(format!(
        "folder `{}` goes to `{}`: the destination refused its name ({reason})",
        source.display_path(),
        display_path(&plain)
    ));
    ensure_one(context, lane, wish(source, &plain)).await
}

/// What is asked of the destination for a source collection.
fn wish(source: &Collection, path: &[String]) -> Collection {
    Collection {
        id: String::new(),
        path: path.to_vec(),
        items: None,
        bytes: None,
        generation: None,
        ..source.clone()
    }
}

async fn ensure_one(context: &Context, lane: &mut DestinationLane, wanted: Collection) -> Result<Collection, Halt> {
    let answers = ensure_all(context, lane, &[wanted]).await?;
    let missing = || Err(Failure::Internal("`ensure` gave no answer".into()));
    answers.into_iter().next().unwrap_or_else(missing).map_err(refused)
}

/// Finds or makes them, many in one call, again and again while trying again may help.
async fn ensure_all(
    context: &Context,
    lane: &mut DestinationLane,
    wanted: &[Collection],
) -> Result<Answers<Collection>, Halt> {
    let mut answers = Vec::with_capacity(wanted.len());
    for some in wanted.chunks(ENSURED_AT_ONCE) {
        let made = persist!(context, lane, |account| async {
            let answers = account.ensure(some).await?;
            match answers
                .iter()
                .find_map(|answer| answer.as_ref().err().filter(|why| why.retry_may_help()))
            {
                Some(failure) => Err(failure.clone()),
                None => Ok(answers),
            }
        });
        answers.extend(made?);
    }
    Ok(answers)
}

fn refused(failure: Failure) -> Halt {
    Halt::Failed {
        side: "destination",
        failure,
    }
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
