//! One mailbox, from settling to copying.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::JoinSet;
use whimbrel_ledger::{CollectionId, Fate};
use whimbrel_model::{Collection, Failure, Kind, Limits};
use whimbrel_rules::Hook;

use crate::{
    Progress,
    context::{Context, Halt},
    copy::{Queue, copy_lane},
    deletions::mirror_deletions,
    lane::{DestinationLane, Lanes, Pool, SourceLane},
    quarantine,
    report::{Problem, unlisted},
    rules::{self, FolderRules, OnError, failed, filter_folder, rule_folders},
    scan::{collection_gone, scan},
    settle::settle_all,
    targets::make_targets,
};

/// Moves what is new and what changed, and mirrors deletions where that is asked for.
pub async fn move_mailbox(context: &Arc<Context>) -> Result<(), Halt> {
    if rule_mailbox(context)? {
        return Ok(());
    }
    move_items(context).await?;
    mirror_deletions(context).await
}

async fn move_items(context: &Arc<Context>) -> Result<(), Halt> {
    sweep(context).await;
    let mut destination = DestinationLane::new();
    if !context.ledger.intents(context.id)?.is_empty() {
        settle_all(context, &mut Lanes::new(&mut destination)).await?;
    }
    let mut sources = Pool::new(SourceLane::new());
    let listed = if context.ledger.collections(context.id)?.is_empty() {
        // A first run: the destination will be needed, and can be opened meanwhile.
        let (listed, opened) = futures::join!(list(context, sources.first()), destination.open(context));
        drop(opened);
        listed?
    } else {
        list(context, sources.first()).await?
    };
    let folders = rule_folders(context, &listed.wanted)?;
    let mut wanted = listed.wanted.clone();
    wanted.retain(|collection| folders.moves(&collection.id));
    folders.subscribe(&mut wanted);
    tell_unheld(context, &wanted);
    let mut destinations = Pool::new(destination);
    let mut limits = HashMap::new();
    if unmapped(context, &wanted)? {
        // The two sides do not wait for each other.
        let holding = wanted.iter().filter(|collection| collection.selectable);
        let lanes = context.lanes(holding.clone().count(), holding.filter_map(|it| it.items).sum());
        let ((), made) = futures::try_join!(
            scan_all(context, &mut sources, listed),
            prepare(context, &mut destinations, lanes, &wanted, &folders),
        )?;
        limits = made;
    } else {
        scan_all(context, &mut sources, listed).await?;
    }
    for record in context.ledger.collections(context.id)? {
        if let Some((reason, ruling)) = folders.skipped.get(&record.source.id) {
            filter_folder(context, record.id, reason, ruling).await?;
        }
    }
    let (items, bytes) = waiting(context)?;
    context.observer.notify(Progress::Planned {
        mailbox: &context.mailbox.name,
        items,
        bytes,
    });
    if !work_waits(context)? {
        return Ok(());
    }
    if limits.is_empty() {
        limits = limits_of(context, destinations.first(), &wanted).await?;
    }
    copy(context, sources, destinations, limits, &folders).await
}

/// Makes the destination collections that are not there yet, and opens the lanes that will be needed meanwhile; gives
/// what the destination can take.
async fn prepare(
    context: &Context,
    destinations: &mut Pool<DestinationLane>,
    lanes: usize,
    wanted: &[Collection],
    folders: &FolderRules,
) -> Result<HashMap<Kind, Limits>, Halt> {
    let (first, more) = destinations.split(lanes, DestinationLane::new);
    let made = async {
        let limits = limits_of(context, first, wanted).await?;
        for (kind, limits) in &limits {
            let of_kind: Vec<Collection> = wanted
                .iter()
                .filter(|collection| collection.kind == *kind)
                .cloned()
                .collect();
            make_targets(context, first, &of_kind, &folders.placed, limits).await?;
        }
        Ok(limits)
    };
    // One that cannot be opened now is opened when it is needed, with all the patience there is.
    let opened = futures::future::join_all(more.iter_mut().map(|lane| async { drop(lane.open(context).await) }));
    let (limits, _) = futures::join!(made, opened);
    limits
}

/// What the destination can take, of each kind that is there and that it holds.
async fn limits_of(
    context: &Context,
    lane: &mut DestinationLane,
    wanted: &[Collection],
) -> Result<HashMap<Kind, Limits>, Halt> {
    let held = context.mailbox.destination.kinds();
    let kinds: HashSet<Kind> = wanted.iter().map(|collection| collection.kind).collect();
    let mut limits = HashMap::new();
    for kind in kinds.into_iter().filter(|kind| held.contains(kind)) {
        limits.insert(kind, persist!(context, lane, |account| account.limits(kind))?);
    }
    Ok(limits)
}

/// Tells of the collections that the destination has no place for; their items wait.
fn tell_unheld(context: &Context, wanted: &[Collection]) {
    let held = context.mailbox.destination.kinds();
    for collection in wanted.iter().filter(|it| it.selectable && !held.contains(&it.kind)) {
        let failure = Failure::Unsupported(format!(
            "it does not hold items of the kind {}: move them by a part of their own, or name the kinds that are to be moved",
            collection.kind
        ));
        context.problem(Problem::new(Some(collection.display_path()), "destination", &failure));
    }
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
pub fn rule_mailbox(context: &Context) -> Result<bool, Halt> {
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

/// The collections of the source.
struct Listed {
    /// Those that are to be moved.
    wanted: Vec<Collection>,
    /// Ids of all, those left out too.
    there: HashSet<String>,
    /// Listed by an earlier run, if only in part.
    known: Vec<(CollectionId, Collection)>,
    /// Never listed yet.
    new: VecDeque<(CollectionId, Collection)>,
}

/// Lists the collections of the source into the ledger.
async fn list(context: &Context, source: &mut SourceLane) -> Result<Listed, Halt> {
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
    Ok(Listed {
        wanted,
        there: all.into_iter().map(|collection| collection.id).collect(),
        known,
        new,
    })
}

/// Lists what changed in all of them into the ledger.
async fn scan_all(context: &Arc<Context>, sources: &mut Pool<SourceLane>, listed: Listed) -> Result<(), Halt> {
    for (id, collection) in listed.known {
        scan_one(context, sources.first(), id, &collection).await?;
    }
    scan_new(context, sources, listed.new).await?;
    for record in context.ledger.collections(context.id)? {
        if !listed.there.contains(&record.source.id) {
            collection_gone(context, &record).await?;
        }
    }
    look_again(context, sources.first()).await
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
    sources: &mut Pool<SourceLane>,
    new: VecDeque<(CollectionId, Collection)>,
) -> Result<(), Halt> {
    let lanes = context.lanes(new.len(), new.iter().filter_map(|(_, it)| it.items).sum());
    let queue = Arc::new(Mutex::new(new));
    let mut others = JoinSet::new();
    for mut lane in sources.take_more(lanes, SourceLane::new) {
        let (context, queue) = (context.clone(), queue.clone());
        others.spawn(async move {
            let scanned = scan_queue(&context, &mut lane, &queue).await;
            (lane, scanned)
        });
    }
    let mine = scan_queue(context, sources.first(), &queue).await;
    if matches!(&mine, Err(halt) if halt.ends_the_run()) {
        others.abort_all();
    }
    let (lanes, result) = join(others, mine).await;
    sources.put_back(lanes);
    result
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
    mut sources: Pool<SourceLane>,
    mut destinations: Pool<DestinationLane>,
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
    let lanes = context.lanes(queue.len(), queue.iter().map(|(record, _)| record.totals.pending).sum());
    let (queue, limits): (Arc<Queue>, _) = (Arc::new(Mutex::new(queue.into())), Arc::new(limits));
    let mut others = JoinSet::new();
    let more = sources
        .take_more(lanes, SourceLane::new)
        .into_iter()
        .zip(destinations.take_more(lanes, DestinationLane::new));
    for (source, destination) in more {
        let lane = copy_lane(context.clone(), queue.clone(), limits.clone(), source, destination);
        others.spawn(async move { ((), lane.await) });
    }
    let (source, destination) = (sources.into_first(), destinations.into_first());
    let mine = copy_lane(context.clone(), queue, limits, source, destination).await;
    join(others, mine).await.1
}

/// Waits for all lanes and gives what they give back; the first failure counts, and a failure of the ledger more than
/// any other.
async fn join<T: 'static>(
    mut others: JoinSet<(T, Result<(), Halt>)>,
    mine: Result<(), Halt>,
) -> (Vec<T>, Result<(), Halt>) {
    let (mut lanes, mut result) = (Vec::new(), mine);
    while let Some(joined) = others.join_next().await {
        let other = match joined {
            Ok((lane, other)) => {
                lanes.push(lane);
                other
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => continue,
        };
        let ends = |result: &Result<(), Halt>| matches!(result, Err(halt) if halt.ends_the_run());
        if result.is_ok() || ends(&other) && !ends(&result) {
            result = other;
        }
    }
    (lanes, result)
}

/// Whether a fate can be tried again.
pub fn retriable(fate: &Fate) -> bool {
    matches!(
        fate,
        Fate::Failed { .. } | Fate::Oversize { .. } | Fate::Filtered { .. }
    )
}
