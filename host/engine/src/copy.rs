//! Copying what waits, collection by collection: fetching the next batch and putting this one overlap.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use whimbrel_ledger::{CollectionRecord, ItemRecord, Target, Todo};
use whimbrel_model::{Failure, Kind, Limits};
use whimbrel_rules::{Decision, Hook};
use whimbrel_sandbox::Item;

use crate::{
    context::{Context, Halt, MEMORY_UNIT},
    faults::{
        history::Side,
        suspects::{Bisection, Lost, ends_connections},
    },
    lane::{DestinationLane, Lanes, SourceLane},
    marks::mark,
    prepare::{Fetched, size_limit},
    put::Putter,
    report::Problem,
    rules::Foresight,
};

/// Work looked up in the ledger at once.
const TODO_AT_ONCE: usize = 1000;
/// What a body takes in memory at most: larger ones lie on disk.
const IN_MEMORY: u64 = 1 << 20;
/// Bytes of one batch at most: enough to pay for its round trip and its flush, and few enough that the three of a lane
/// (fetched, waiting, put) stay small. A larger item is a batch of its own.
const BATCH_BYTES: u64 = 4 << 20;
/// What an item takes beside its body, in bytes.
const OVERHEAD: u64 = 4 << 10;
/// The size assumed of an item that does not tell.
const UNKNOWN_SIZE: u64 = 64 << 10;

/// Collections that wait for a lane.
pub type Queue = Mutex<VecDeque<(CollectionRecord, Target)>>;

/// A collection that a fetcher took up, for the putter beside it.
struct Job {
    collection: CollectionRecord,
    target: Target,
    work: mpsc::Receiver<Work>,
    /// How fetching it ended.
    fetched: oneshot::Receiver<Result<(), Halt>>,
}

/// One lane: takes a collection after the other and copies what waits in it. Fetching runs ahead, into the next
/// collection too, so that neither side waits for the other's round trips.
pub async fn copy_lane(
    context: Arc<Context>,
    queue: Arc<Queue>,
    limits: Arc<HashMap<Kind, Limits>>,
    mut source: SourceLane,
    mut destination: DestinationLane,
) -> Result<(), Halt> {
    let (sender, receiver) = mpsc::channel(1);
    let (fetched, put) = futures::join!(
        fetch_queue(&context, &queue, &limits, &mut source, sender),
        put_jobs(&context, &limits, &mut destination, receiver),
    );
    // Who puts has the better reason, if both ended early.
    put?;
    fetched
}

/// Fetches one collection after the other.
async fn fetch_queue(
    context: &Context,
    queue: &Queue,
    limits: &HashMap<Kind, Limits>,
    source: &mut SourceLane,
    jobs: mpsc::Sender<Job>,
) -> Result<(), Halt> {
    loop {
        // Taken only when the putter can follow: else another lane may have the time.
        let Ok(place) = jobs.reserve().await else {
            return Ok(());
        };
        if context.stop.stopped() {
            return Err(Halt::Stopped);
        }
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((collection, target)) = next else {
            return Ok(());
        };
        let Some(limits) = limits.get(&collection.source.kind) else {
            continue;
        };
        let (sender, work) = mpsc::channel(1);
        let (tell, fetched) = oneshot::channel();
        place.send(Job {
            collection: collection.clone(),
            target,
            work,
            fetched,
        });
        let result = fetch_all(context, source, &collection, limits, sender).await;
        let ends = matches!(&result, Err(halt) if !of_collection(halt));
        match tell.send(result) {
            Ok(()) if ends => return Ok(()),
            // The putter gave this collection up before.
            Err(result) if ends => return result,
            _ => {}
        }
    }
}

/// Puts what is fetched, collection by collection.
async fn put_jobs(
    context: &Context,
    limits: &HashMap<Kind, Limits>,
    destination: &mut DestinationLane,
    mut jobs: mpsc::Receiver<Job>,
) -> Result<(), Halt> {
    while let Some(job) = jobs.recv().await {
        let Some(limits) = limits.get(&job.collection.source.kind) else {
            continue;
        };
        let name = job.collection.source.display_path();
        match put_job(context, limits, destination, job).await {
            Err(Halt::Failed { side, failure }) if Halt::concerns_failure(&failure) => {
                context.problem(Problem::new(Some(name), side, &failure));
            }
            other => other?,
        }
    }
    Ok(())
}

async fn put_job(context: &Context, limits: &Limits, destination: &mut DestinationLane, job: Job) -> Result<(), Halt> {
    let mut lanes = Lanes::new(destination);
    if job.collection.source.kind != Kind::Message {
        // A new item may take over what another one gives up: which filter is in use.
        mark_waiting(context, &mut lanes, &job.collection).await?;
    }
    let putter = Putter::new(context, lanes, &job.collection, job.target, limits);
    // Who puts has the better reason, if both ended early.
    let mut lanes = putter.put_all(job.work).await?;
    if let Ok(fetched) = job.fetched.await {
        fetched?;
    }
    mark_waiting(context, &mut lanes, &job.collection).await
}

/// Whether it concerns one collection alone.
fn of_collection(halt: &Halt) -> bool {
    matches!(halt, Halt::Failed { failure, .. } if Halt::concerns_failure(failure))
}

/// What a fetcher hands to a putter.
pub enum Work {
    /// To be put.
    Put(Vec<Fetched>, OwnedSemaphorePermit),
    /// Not fetched: larger than this limit.
    Oversize(Vec<ItemRecord>, u64),
    /// Not fetched: left out by rules.
    Filtered(Vec<(ItemRecord, Decision)>),
}

/// Brings flags and labels up to date: of what changed at the source, and of what was known again just now.
async fn mark_waiting(context: &Context, lanes: &mut Lanes<'_>, collection: &CollectionRecord) -> Result<(), Halt> {
    let name = collection.source.display_path();
    let mut after: Option<String> = None;
    loop {
        let waiting = context
            .ledger
            .todo(context.id, collection.id, after.as_deref(), TODO_AT_ONCE)?;
        let Some((_, last)) = waiting.last() else { return Ok(()) };
        after = Some(last.meta.id.clone());
        let marks: Vec<ItemRecord> = waiting
            .into_iter()
            .filter(|(todo, _)| *todo == Todo::Mark)
            .map(|(_, record)| record)
            .collect();
        mark(context, lanes, collection.id, &name, &marks).await?;
    }
}

/// Fetches everything that waits in a collection, batch by batch.
async fn fetch_all(
    context: &Context,
    lane: &mut SourceLane,
    collection: &CollectionRecord,
    limits: &Limits,
    sender: mpsc::Sender<Work>,
) -> Result<(), Halt> {
    let most_bytes = limits
        .batch_bytes
        .min(batch_of_day(context))
        .clamp(1, batch_budget(context));
    let most_items = limits.batch_items.clamp(1, 1000) as usize;
    // Rules that take attachments out make messages smaller than they are listed.
    let book = context.options.rules.as_ref();
    let detaches = book.is_some_and(|book| book.attachments.is_some() && book.rules.has(Hook::Message));
    let largest = size_limit(context, limits).filter(|_| !detaches);
    let mut foresight = Foresight::new(context, &collection.source);
    let (mut batch, mut bytes) = (Vec::new(), 0u64);
    let (mut oversize, mut filtered) = (Vec::new(), Vec::new());
    let mut after: Option<String> = None;
    // Those at which connections ended come last, so that nothing waits for them.
    let (mut suspects, mut last) = (Vec::new(), false);
    loop {
        let mut waiting = context
            .ledger
            .todo(context.id, collection.id, after.as_deref(), TODO_AT_ONCE)?;
        match waiting.last() {
            Some((_, record)) => after = Some(record.meta.id.clone()),
            None if !last && !suspects.is_empty() => (waiting, last) = (std::mem::take(&mut suspects), true),
            None => break,
        }
        for (todo, record) in waiting {
            // Marks come last: what is known again while copying may need one too.
            if todo == Todo::Mark {
                continue;
            }
            if !last && context.history.suspects.knows(collection.id, &record.meta.id) {
                suspects.push((todo, record));
                continue;
            }
            let decision = foresight.decide(&record);
            if let Some(decision) = decision.as_ref().filter(|decision| decision.skip.is_some()) {
                filtered.push((record, decision.clone()));
                continue;
            }
            let size = record.meta.size.unwrap_or(UNKNOWN_SIZE);
            if largest.is_some_and(|largest| record.meta.size.is_some_and(|size| size > largest)) {
                oversize.push(record);
                continue;
            }
            if !batch.is_empty() && (batch.len() >= most_items || bytes + size > most_bytes) {
                if !fetch(context, lane, collection, std::mem::take(&mut batch), &sender).await? {
                    return Ok(());
                }
                bytes = 0;
            }
            bytes += size;
            batch.push((record, decision));
        }
        if !filtered.is_empty()
            && sender
                .send(Work::Filtered(std::mem::take(&mut filtered)))
                .await
                .is_err()
        {
            return Ok(());
        }
    }
    if !batch.is_empty() && !fetch(context, lane, collection, batch, &sender).await? {
        return Ok(());
    }
    // A putter that is gone has its own reason to tell.
    if let Some(largest) = largest.filter(|_| !oversize.is_empty()) {
        let _ = sender.send(Work::Oversize(oversize, largest)).await;
    }
    Ok(())
}

/// Bytes of one batch, such that little is left over of what may be moved in a day.
fn batch_of_day(context: &Context) -> u64 {
    context.mailbox.daily.least().map_or(u64::MAX, |daily| daily / 4)
}

/// Bytes of one batch, such that every lane of every mailbox can have two under way within the budget.
fn batch_budget(context: &Context) -> u64 {
    let lanes = (context.options.mailboxes * context.options.connections).max(1) as u64;
    (context.options.memory / (lanes * 2)).clamp(IN_MEMORY, BATCH_BYTES)
}

/// Fetches one batch and hands it over; false when nobody takes it.
async fn fetch(
    context: &Context,
    lane: &mut SourceLane,
    collection: &CollectionRecord,
    records: Vec<(ItemRecord, Option<Decision>)>,
    sender: &mpsc::Sender<Work>,
) -> Result<bool, Halt> {
    let bytes: u64 = records
        .iter()
        .map(|(record, _)| record.meta.size.unwrap_or(UNKNOWN_SIZE).min(IN_MEMORY) + OVERHEAD)
        .sum();
    let budget = u32::try_from((context.options.memory / MEMORY_UNIT).max(1)).unwrap_or(u32::MAX);
    let permits = u32::try_from(bytes.div_ceil(MEMORY_UNIT))
        .unwrap_or(u32::MAX)
        .min(budget);
    let Ok(permit) = context.memory.clone().acquire_many_owned(permits).await else {
        return Ok(false);
    };
    let size = |(record, _): &(ItemRecord, _)| record.meta.size.unwrap_or(UNKNOWN_SIZE);
    context.take_traffic(records.iter().map(size).sum())?;
    let ids: Vec<String> = records.iter().map(|(record, _)| record.meta.id.clone()).collect();
    let answers = fetch_bodies(context, lane, collection, &ids).await?;
    let fetched = records
        .into_iter()
        .zip(answers)
        .map(|((record, decision), answer)| Fetched {
            record,
            answer,
            decision,
        })
        .collect();
    Ok(sender.send(Work::Put(fetched, permit)).await.is_ok())
}

/// Fetches bodies. A message at which the connection ends each time is refused; the others come through.
async fn fetch_bodies(
    context: &Context,
    lane: &mut SourceLane,
    collection: &CollectionRecord,
    ids: &[String],
) -> Result<Vec<Result<Item, Failure>>, Halt> {
    let suspects = &context.history.suspects;
    let mut answers: BTreeMap<usize, Result<Item, Failure>> = BTreeMap::new();
    let mut batches = Bisection::new((0..ids.len()).collect());
    while let Some(batch) = batches.next() {
        if context.stop.stopped() {
            return Err(Halt::Stopped);
        }
        let wanted: Vec<String> = batch.iter().filter_map(|at| ids.get(*at)).cloned().collect();
        let answer = match lane.open(context).await {
            Ok(account) => account.fetch(&collection.source.id, &wanted).await,
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(came) => {
                lane.patience.reset();
                let refused = came.iter().filter(|answer| answer.is_err()).count();
                suspects.passed(Side::Source, (came.len() - refused) as u64);
                lane.refused(refused);
                answers.extend(batch.into_iter().zip(came));
                batches.left(Vec::new());
            }
            Err(failure @ Failure::Unavailable(_)) if lane.was_open() => {
                lane.drop_broken(&failure);
                let key = |at: &usize| (Side::Source, collection.id, ids.get(*at).cloned().unwrap_or_default());
                match batches.lost(batch, |at, proven| suspects.accuse(key(at), proven)) {
                    Lost::GoOn => {}
                    Lost::Pause => lane.recover(context, failure).await?,
                    Lost::Cause(at) => drop(answers.insert(at, Err(ends_connections("fetched", &failure)))),
                }
            }
            Err(failure) => {
                lane.recover(context, failure).await?;
                batches.left(batch);
            }
        }
    }
    Ok(answers.into_values().collect())
}
