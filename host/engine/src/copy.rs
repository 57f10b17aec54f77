//! Copying what waits, collection by collection: fetching the next batch and putting this one overlap.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use whimbrel_ledger::{CollectionRecord, ItemRecord, Target, Todo};
use whimbrel_model::{Failure, Kind, Limits};
use whimbrel_rules::{Decision, Hook};
use whimbrel_sandbox::Item;
use whimbrel_wire::BlobStoreConfig;

use crate::{
    context::{Context, Halt, MEMORY_UNIT, UNKNOWN_SIZE},
    faults::{
        history::Side,
        suspects::{Accused, Bisection, Lost, ends_connections},
    },
    kept::Kept,
    lane::{DestinationLane, Lanes, SourceLane},
    marks::mark,
    prepare::{Fetched, size_limit},
    put::Putter,
    report::Problem,
    rules::Foresight,
};

/// Work looked up in the ledger at once.
const TODO_AT_ONCE: usize = 1000;
/// What an item takes beside its body, in bytes.
const OVERHEAD: u64 = 4 << 10;

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
    jobs: mpsc::Receiver<Job>,
) -> Result<(), Halt> {
    let mut kept = Kept::default();
    let result = put_each_job(context, limits, destination, &mut kept, jobs).await;
    // Whatever ends this: what was placed is recorded.
    let flushed = kept.flush(context).await;
    result.and(flushed)
}

async fn put_each_job(
    context: &Context,
    limits: &HashMap<Kind, Limits>,
    destination: &mut DestinationLane,
    kept: &mut Kept,
    mut jobs: mpsc::Receiver<Job>,
) -> Result<(), Halt> {
    while let Some(job) = jobs.recv().await {
        let Some(limits) = limits.get(&job.collection.source.kind) else {
            continue;
        };
        let name = job.collection.source.display_path();
        match put_job(context, limits, destination, kept, job).await {
            Err(Halt::Failed { side, failure }) if Halt::concerns_failure(&failure) => {
                context.problem(Problem::new(Some(name), side, &failure));
            }
            other => other?,
        }
    }
    Ok(())
}

async fn put_job(
    context: &Context,
    limits: &Limits,
    destination: &mut DestinationLane,
    kept: &mut Kept,
    job: Job,
) -> Result<(), Halt> {
    let mut lanes = Lanes::new(destination);
    if job.collection.source.kind != Kind::Message {
        // A new item may take over what another one gives up: which filter is in use.
        mark_waiting(context, &mut lanes, &job.collection).await?;
    }
    let putter = Putter::new(context, lanes, kept, &job.collection, job.target, limits);
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
        .clamp(1, context.batch_budget());
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
        .map(|(record, _)| record.meta.size.unwrap_or(UNKNOWN_SIZE).min(BlobStoreConfig::THRESHOLD) + OVERHEAD)
        .sum();
    let budget = u32::try_from((context.options.memory / MEMORY_UNIT).max(1)).unwrap_or(u32::MAX);
    let permits = u32::try_from(bytes.div_ceil(MEMORY_UNIT))
        .unwrap_or(u32::MAX)
        .min(budget);
    let Ok(permit) = context.memory.clone().acquire_many_owned(permits).await else {
        return Ok(false);
    };
    let sizes: Vec<u64> = records
        .iter()
        .map(|(record, _)| record.meta.size.unwrap_or(UNKNOWN_SIZE))
        .collect();
    context.take_traffic(sizes.iter().sum())?;
    let ids: Vec<String> = records.iter().map(|(record, _)| record.meta.id.clone()).collect();
    let answers = fetch_bodies(context, lane, collection, &ids, &sizes).await?;
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

/// Fetches bodies of these sizes. A message at which the connection ends each time is refused; the others come through.
async fn fetch_bodies(
    context: &Context,
    lane: &mut SourceLane,
    collection: &CollectionRecord,
    ids: &[String],
    sizes: &[u64],
) -> Result<Vec<Result<Item, Failure>>, Halt> {
    let suspects = &context.history.suspects;
    let mut answers: Vec<Option<Result<Item, Failure>>> = ids.iter().map(|_| None).collect();
    let mut batches = Bisection::new((0..ids.len()).collect());
    while let Some(batch) = batches.next() {
        if context.stop.stopped() {
            return Err(Halt::Stopped);
        }
        let some: Vec<String>;
        let wanted = match batch.iter().copied().eq(0..ids.len()) {
            true => ids,
            false => {
                some = batch.iter().filter_map(|at| ids.get(*at)).cloned().collect();
                &some
            }
        };
        let answer = match lane.open(context).await {
            Ok(account) => account.fetch(&collection.source.id, wanted).await,
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(came) => {
                lane.patience.reset();
                let (mut passed, mut bytes) = (0, 0);
                lane.refused(came.iter().filter(|answer| answer.is_err()).count());
                for (at, came) in batch.into_iter().zip(came) {
                    if came.is_ok() {
                        passed += 1;
                        bytes += sizes[at];
                    }
                    answers[at] = Some(came);
                }
                suspects.passed(Side::Source, passed, bytes);
                batches.left(Vec::new());
            }
            Err(failure @ Failure::Unavailable(_)) if lane.was_open() => {
                lane.drop_broken(&failure);
                suspects.lost(Side::Source);
                let accused = |at: usize| Accused {
                    key: (Side::Source, collection.id, ids[at].clone()),
                    bytes: sizes[at],
                };
                match batches.lost(batch, |at, among| suspects.accuse(accused(*at), among)) {
                    Lost::GoOn => {}
                    Lost::Pause => lane.recover(context, failure).await?,
                    Lost::Cause(at) => answers[at] = Some(Err(ends_connections("fetched", &failure))),
                }
            }
            Err(failure) => {
                lane.recover(context, failure).await?;
                batches.left(batch);
            }
        }
    }
    let unanswered = || Failure::Internal("a fetch gave fewer answers than there were items".to_owned());
    Ok(answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(unanswered())))
        .collect())
}
