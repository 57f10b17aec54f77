//! One mailbox, from settling to copying.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::JoinSet;
use whimbrel_ledger::{CollectionId, Fate};
use whimbrel_model::{Collection, Kind, Limits};
use whimbrel_rules::Hook;

use crate::{
    Progress,
    context::{Context, Halt},
    copy::{Queue, copy_lane},
    lane::{DestinationLane, Lanes, SourceLane},
    quarantine,
    report::{Problem, unlisted},
    rules::{self, FolderRules, OnError, failed, filter_folder, rule_folders},
    scan::{collection_gone, scan},
    settle::settle_all,
    targets::make_targets,
};

/// Moves what is new and what changed.
pub async fn move_mailbox(context: &Arc<Context>) -> Result<(), Halt> {
    if rule_mailbox(context)? {
        return Ok(());
    }
    sweep(context).await;
    let mut destination = DestinationLane::new();
    if !context.ledger.intents(context.id)?.is_empty() {
        settle_all(context, &mut Lanes::new(&mut destination)).await?;
    }
    let mut source = SourceLane::new();
    let mut sources = list(context, &mut source).await?;
    let folders = rule_folders(context, &sources)?;
    for record in context.ledger.collections(context.id)? {
        if let Some((reason, ruling)) = folders.skipped.get(&record.source.id) {
            filter_folder(context, record.id, reason, ruling).await?;
        }
    }
    sources.retain(|collection| folders.moves(&collection.id));
    folders.subscribe(&mut sources);
    let (items, bytes) = waiting(context)?;
    context.observer.notify(Progress::Planned {
        mailbox: &context.mailbox.name,
        items,
        bytes,
    });
    let unmapped = unmapped(context, &sources)?;
    if !unmapped && !work_waits(context)? {
        return Ok(());
    }
    let mut limits: HashMap<Kind, Limits> = HashMap::new();
    for kind in sources.iter().map(|collection| collection.kind).collect::<HashSet<_>>() {
        limits.insert(kind, persist!(context, destination, |account| account.limits(kind))?);
    }
    for (kind, limits) in &limits {
        let of_kind: Vec<Collection> = sources
            .iter()
            .filter(|collection| collection.kind == *kind)
            .cloned()
            .collect();
        make_targets(context, &mut destination, &of_kind, &folders.placed, limits).await?;
    }
    copy(context, source, destination, limits, &folders).await
}

/// Removes the unfinished files that a killed run left.
async fn sweep(context: &Arc<Context>) {
    let context = context.clone();
    let swept = tokio::task::spawn_blocking(move || {
        let name = &context.mailbox.name;
        if let Some(folder) = &context.options.quarantine {
            quarantine::sweep(folder, name);
        }
        let book = context.options.rules.as_ref();
        if let Some(place) = book.and_then(|book| book.attachments.as_ref()) {
            rules::sweep(place, name);
        }
    });
    if let Err(panicked) = swept.await {
        std::panic::resume_unwind(panicked.into_panic());
    }
}

/// Asks the rules about the mailbox as a whole; true where they leave it out.
fn rule_mailbox(context: &Context) -> Result<bool, Halt> {
    let book = context.options.rules.as_ref();
    let Some(book) = book.filter(|book| book.rules.has(Hook::Mailbox)) else {
        return Ok(false);
    };
    let decision = match book.rules.mailbox(&context.facts) {
        Ok(decision) => decision,
        Err(error) if book.on_error == OnError::Stop => return Err(Halt::Rules(error)),
        Err(error) => {
            return Err(Halt::Failed {
                side: "rules",
                failure: failed(&error),
            });
        }
    };
    context.tally(&decision.steps);
    for note in decision.notes {
        context.note(note);
    }
    if let Some(reason) = decision.skip {
        context.note(format!("left out by a rule: {reason}"));
        return Ok(true);
    }
    Ok(false)
}

/// Lists all collections of the source into the ledger; gives them.
async fn list(context: &Arc<Context>, source: &mut SourceLane) -> Result<Vec<Collection>, Halt> {
    let all = persist!(context, source, |account| account.collections())?;
    let wanted: Vec<Collection> = all
        .iter()
        .filter(|collection| !context.options.folders.excludes(&collection.path))
        .cloned()
        .collect();
    let (mut known, mut new) = (Vec::new(), VecDeque::new());
    for collection in wanted.iter().filter(|collection| collection.selectable) {
        let record = context.ledger.ensure_collection(context.id, collection)?;
        if record.cursor.is_some() {
            known.push((record.id, collection.clone()));
        } else {
            new.push_back((record.id, collection.clone()));
        }
    }
    for (id, collection) in known {
        scan_one(context, source, id, &collection).await?;
    }
    scan_new(context, source, new).await?;
    let there: HashSet<&str> = all.iter().map(|collection| collection.id.as_str()).collect();
    for record in context.ledger.collections(context.id)? {
        if !there.contains(record.source.id.as_str()) {
            collection_gone(context, &record).await?;
        }
    }
    look_again(context, source).await?;
    Ok(wanted)
}

async fn scan_one(
    context: &Context,
    source: &mut SourceLane,
    id: CollectionId,
    collection: &Collection,
) -> Result<(), Halt> {
    match scan(context, source, id, collection).await {
        Err(Halt::Failed { side, failure }) if Halt::concerns_failure(&failure) => {
            context.problem(Problem::new(Some(collection.display_path()), side, &failure));
            Ok(())
        }
        other => other,
    }
}

/// First listings cost what is there: several connections share them.
async fn scan_new(
    context: &Arc<Context>,
    source: &mut SourceLane,
    new: VecDeque<(CollectionId, Collection)>,
) -> Result<(), Halt> {
    let more = context.options.connections.min(new.len()).saturating_sub(1);
    let queue = Arc::new(Mutex::new(new));
    let mut others = JoinSet::new();
    for _ in 0..more {
        let (context, queue) = (context.clone(), queue.clone());
        others.spawn(async move { scan_queue(&context, &mut SourceLane::new(), &queue).await });
    }
    let mine = scan_queue(context, source, &queue).await;
    if matches!(&mine, Err(halt) if halt.ends_the_run()) {
        others.abort_all();
    }
    join(others, mine).await
}

async fn scan_queue(
    context: &Context,
    source: &mut SourceLane,
    queue: &Mutex<VecDeque<(CollectionId, Collection)>>,
) -> Result<(), Halt> {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((id, collection)) = next else { return Ok(()) };
        scan_one(context, source, id, &collection).await?;
    }
}

/// Where fewer items were listed than claimed, something may have happened in between: looked at once more.
async fn look_again(context: &Context, source: &mut SourceLane) -> Result<(), Halt> {
    let short: HashMap<String, CollectionId> = context
        .ledger
        .collections(context.id)?
        .iter()
        .filter(|record| unlisted(record) > 0)
        .map(|record| (record.source.id.clone(), record.id))
        .collect();
    if short.is_empty() {
        return Ok(());
    }
    let all = persist!(context, source, |account| account.collections())?;
    for collection in &all {
        if let Some(id) = short.get(&collection.id) {
            scan_one(context, source, *id, collection).await?;
        }
    }
    for record in context.ledger.collections(context.id)? {
        let missing = unlisted(&record);
        if missing > 0 {
            let why = record
                .capped
                .as_ref()
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default();
            context.note(format!(
                "folder `{}`: the source claims {} messages and lists {}{why}: {missing} are unexplained",
                record.source.display_path(),
                record.claimed.unwrap_or_default(),
                record.totals.live
            ));
        }
    }
    Ok(())
}

/// Items and bytes that wait.
fn waiting(context: &Context) -> Result<(u64, u64), Halt> {
    let records = context.ledger.collections(context.id)?;
    let items = records.iter().map(|record| record.totals.pending).sum();
    let bytes = records
        .iter()
        .map(|record| record.totals.bytes_found.saturating_sub(record.totals.bytes_moved))
        .sum();
    Ok((items, bytes))
}

/// Whether a collection has no counterpart yet.
fn unmapped(context: &Context, sources: &[Collection]) -> Result<bool, Halt> {
    let records = context.ledger.collections(context.id)?;
    let wanted: HashSet<&str> = sources
        .iter()
        .filter(|source| source.selectable)
        .map(|source| source.id.as_str())
        .collect();
    Ok(records
        .iter()
        .any(|record| record.target.is_none() && wanted.contains(record.source.id.as_str())))
}

/// Whether anything waits, copies or marks.
fn work_waits(context: &Context) -> Result<bool, Halt> {
    for record in context.ledger.collections(context.id)? {
        if !context.ledger.todo(context.id, record.id, None, 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies what waits, the largest collections first so that the lanes end together.
async fn copy(
    context: &Arc<Context>,
    source: SourceLane,
    destination: DestinationLane,
    limits: HashMap<Kind, Limits>,
    folders: &FolderRules,
) -> Result<(), Halt> {
    let mut queue = Vec::new();
    for record in context.ledger.collections(context.id)? {
        if folders.moves(&record.source.id)
            && !context.ledger.todo(context.id, record.id, None, 1)?.is_empty()
            && let Some(target) = record.target.clone()
        {
            queue.push((record, target));
        }
    }
    queue.sort_by_key(|(record, _)| std::cmp::Reverse(record.totals.pending));
    let more = context.options.connections.min(queue.len()).saturating_sub(1);
    let (queue, limits): (Arc<Queue>, _) = (Arc::new(Mutex::new(queue.into())), Arc::new(limits));
    let mut others = JoinSet::new();
    for _ in 0..more {
        others.spawn(copy_lane(
            context.clone(),
            queue.clone(),
            limits.clone(),
            SourceLane::new(),
            DestinationLane::new(),
        ));
    }
    let mine = copy_lane(context.clone(), queue, limits, source, destination).await;
    join(others, mine).await
}

/// Waits for all lanes; the first failure counts, and a failure of the ledger more than any other.
async fn join(mut others: JoinSet<Result<(), Halt>>, mine: Result<(), Halt>) -> Result<(), Halt> {
    let mut result = mine;
    while let Some(joined) = others.join_next().await {
        let other = match joined {
            Ok(other) => other,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => continue,
        };
        let ends = |result: &Result<(), Halt>| matches!(result, Err(halt) if halt.ends_the_run());
        if result.is_ok() || ends(&other) && !ends(&result) {
            result = other;
        }
    }
    result
}

/// Whether a fate can be tried again.
pub fn retriable(fate: &Fate) -> bool {
    matches!(
        fate,
        Fate::Failed { .. } | Fate::Oversize { .. } | Fate::Filtered { .. }
    )
}
