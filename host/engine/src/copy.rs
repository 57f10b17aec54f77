//! Copying what waits: fetch and put overlap, an intent is flushed before each put, and the placements of one batch
//! are flushed together with the intent of the next.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use whimbrel_ledger::{Batch, CollectionRecord, Durability, Fate, Intent, IntentId, ItemRecord, Target, Todo};
use whimbrel_model::{Failure, Kind, Limits, Outcome};
use whimbrel_sandbox::Item;

use crate::{
    Progress,
    context::{Context, Halt, MEMORY_UNIT},
    existing::Existing,
    lane::{DestinationLane, SourceLane},
    marks::mark,
    prepare::{Fetched, Place, Ready, prepare, refused, size_limit},
    report::Problem,
    settle::{settle, settle_late},
    targets::make_again,
};

/// Work looked up in the ledger at once.
const TODO_AT_ONCE: usize = 1000;
/// What a body takes in memory at most: larger ones lie on disk.
const IN_MEMORY: u64 = 1 << 20;
/// What an item takes beside its body, in bytes.
const OVERHEAD: u64 = 4 << 10;
/// The size assumed of an item that does not tell.
const UNKNOWN_SIZE: u64 = 64 << 10;
/// Batches that share a watermark: asking again costs a round trip, not asking makes settling read more names.
const BATCHES_PER_WATERMARK: u32 = 20;
/// How often a batch is put again after a broken connection, while nothing of it arrives.
const PUT_TRIES: u32 = 10;

/// Collections that wait for a lane.
pub type Queue = Mutex<VecDeque<(CollectionRecord, Target)>>;

/// One lane: takes a collection after the other and copies what waits in it.
pub async fn copy_lane(
    context: Arc<Context>,
    queue: Arc<Queue>,
    limits: Arc<HashMap<Kind, Limits>>,
    mut source: SourceLane,
    mut destination: DestinationLane,
) -> Result<(), Halt> {
    loop {
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
        match copy_collection(&context, &mut source, &mut destination, &collection, target, limits).await {
            Err(Halt::Failed { side, failure }) if Halt::concerns_failure(&failure) => {
                context.problem(Problem::new(Some(collection.source.display_path()), side, &failure));
            }
            other => other?,
        }
    }
}

/// What a fetcher hands to a putter.
enum Work {
    Put(Vec<Fetched>, OwnedSemaphorePermit),
    Oversize(Vec<ItemRecord>, u64),
}

async fn copy_collection(
    context: &Context,
    source: &mut SourceLane,
    destination: &mut DestinationLane,
    collection: &CollectionRecord,
    target: Target,
    limits: &Limits,
) -> Result<(), Halt> {
    let (sender, receiver) = mpsc::channel(1);
    let mut putter = Putter {
        context,
        lane: destination,
        collection,
        target,
        limits,
        watermark: None,
        existing: None,
        unflushed: None,
        made_again: false,
        cause: None,
    };
    let (fetched, put) = futures::join!(
        fetch_all(context, source, collection, limits, sender),
        putter.put_all(receiver)
    );
    put.and(fetched)?;
    mark_waiting(context, destination, collection).await
}

/// Brings flags and labels up to date: of what changed at the source, and of what was known again just now.
async fn mark_waiting(
    context: &Context,
    lane: &mut DestinationLane,
    collection: &CollectionRecord,
) -> Result<(), Halt> {
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
        mark(context, lane, collection.id, &name, &marks).await?;
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
    let most_bytes = limits.batch_bytes.clamp(1, batch_budget(context));
    let most_items = limits.batch_items.clamp(1, 1000) as usize;
    let largest = size_limit(context, limits);
    let (mut batch, mut bytes) = (Vec::new(), 0u64);
    let mut oversize = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let waiting = context
            .ledger
            .todo(context.id, collection.id, after.as_deref(), TODO_AT_ONCE)?;
        let Some((_, last)) = waiting.last() else { break };
        after = Some(last.meta.id.clone());
        for (todo, record) in waiting {
            match todo {
                // Marks come last: what is known again while copying may need one too.
                Todo::Mark => {}
                Todo::Copy if largest.is_some_and(|largest| record.meta.size.is_some_and(|size| size > largest)) => {
                    oversize.push(record);
                }
                Todo::Copy => {
                    let size = record.meta.size.unwrap_or(UNKNOWN_SIZE);
                    if !batch.is_empty() && (batch.len() >= most_items || bytes + size > most_bytes) {
                        if !fetch(context, lane, collection, std::mem::take(&mut batch), &sender).await? {
                            return Ok(());
                        }
                        bytes = 0;
                    }
                    bytes += size;
                    batch.push(record);
                }
            }
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

/// Bytes of one batch, such that every lane of every mailbox can have two under way within the budget.
fn batch_budget(context: &Context) -> u64 {
    let lanes = (context.options.mailboxes * context.options.connections).max(1) as u64;
    (context.options.memory / (lanes * 2)).max(IN_MEMORY)
}

/// Fetches one batch and hands it over; false when nobody takes it.
async fn fetch(
    context: &Context,
    lane: &mut SourceLane,
    collection: &CollectionRecord,
    records: Vec<ItemRecord>,
    sender: &mpsc::Sender<Work>,
) -> Result<bool, Halt> {
    let bytes: u64 = records
        .iter()
        .map(|record| record.meta.size.unwrap_or(UNKNOWN_SIZE).min(IN_MEMORY) + OVERHEAD)
        .sum();
    let budget = u32::try_from((context.options.memory / MEMORY_UNIT).max(1)).unwrap_or(u32::MAX);
    let permits = u32::try_from(bytes.div_ceil(MEMORY_UNIT))
        .unwrap_or(u32::MAX)
        .min(budget);
    let Ok(permit) = context.memory.clone().acquire_many_owned(permits).await else {
        return Ok(false);
    };
    let ids: Vec<String> = records.iter().map(|record| record.meta.id.clone()).collect();
    let answers = persist!(context, lane, |account| account.fetch(&collection.source.id, &ids))?;
    let fetched = records
        .into_iter()
        .zip(answers)
        .map(|(record, answer)| Fetched { record, answer })
        .collect();
    Ok(sender.send(Work::Put(fetched, permit)).await.is_ok())
}

/// Puts what a fetcher hands over into one destination collection.
struct Putter<'a> {
    context: &'a Context,
    lane: &'a mut DestinationLane,
    collection: &'a CollectionRecord,
    target: Target,
    limits: &'a Limits,
    watermark: Option<(String, u32)>,
    existing: Option<Existing>,
    /// Items and bytes that are recorded and wait for their flush.
    unflushed: Option<(u64, u64)>,
    made_again: bool,
    /// Why the last put as a whole failed.
    cause: Option<Failure>,
}

impl Putter<'_> {
    async fn put_all(&mut self, mut receiver: mpsc::Receiver<Work>) -> Result<(), Halt> {
        if self.target.existing {
            self.existing = Some(Existing::list(self.context, self.lane, &self.target).await?);
        }
        let result = self.put_each(&mut receiver).await;
        // Whatever ends this: what was placed is recorded.
        let flushed = self.flush().await;
        result.and(flushed)
    }

    async fn put_each(&mut self, receiver: &mut mpsc::Receiver<Work>) -> Result<(), Halt> {
        loop {
            let work = match receiver.try_recv() {
                Ok(work) => work,
                Err(_) => {
                    // Nothing is ready: do not let placements wait for a slow source.
                    self.flush().await?;
                    match receiver.recv().await {
                        Some(work) => work,
                        None => return Ok(()),
                    }
                }
            };
            if self.context.stop.stopped() {
                return Err(Halt::Stopped);
            }
            match work {
                Work::Put(fetched, permit) => {
                    self.put_fetched(fetched).await?;
                    drop(permit);
                }
                Work::Oversize(records, limit) => {
                    let mut batch = self.context.ledger.batch(self.context.id);
                    for record in &records {
                        batch.settle(
                            self.collection.id,
                            &record.meta.id,
                            Fate::Oversize { limit },
                            None,
                            Vec::new(),
                        );
                    }
                    self.context.commit(batch, Durability::Later).await?;
                }
            }
        }
    }

    async fn put_fetched(&mut self, fetched: Vec<Fetched>) -> Result<(), Halt> {
        let mut batch = self.context.ledger.batch(self.context.id);
        let place = Place {
            collection: self.collection,
            target: &self.target,
            limits: self.limits,
        };
        let mut ready = prepare(self.context, self.lane, &place, &mut self.existing, fetched, &mut batch).await?;
        self.keep(batch, 0, 0).await?;
        let mut tries = 0;
        while !ready.is_empty() {
            let before = ready.len();
            ready = self.put_ready(ready).await?;
            tries = if ready.len() < before { 0 } else { tries + 1 };
            if tries > PUT_TRIES {
                let silent = || Failure::Unavailable(format!("{before} messages did not arrive in {PUT_TRIES} tries"));
                return Err(Halt::Failed {
                    side: "destination",
                    failure: self.cause.take().unwrap_or_else(silent),
                });
            }
        }
        Ok(())
    }

    /// Puts a batch; gives back what is still to be put.
    async fn put_ready(&mut self, ready: Vec<Ready>) -> Result<Vec<Ready>, Halt> {
        let intent = Intent {
            target: self.target.id.clone(),
            watermark: self.watermark().await?,
            items: ready.iter().map(|one| one.intended(self.collection)).collect(),
        };
        let open = self.begin(intent.clone()).await?;
        let items: Vec<Item> = ready.iter().map(|one| one.item.clone()).collect();
        let answer = match self.lane.open(self.context).await {
            Ok(account) => account.put(&self.target.id, items).await,
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(answers) => {
                self.lane.patience.reset();
                self.record(open, &intent, ready, answers).await
            }
            Err(failure) => {
                // An unknown part was stored: find out before anything else.
                self.watermark = None;
                self.cause = Some(failure.clone());
                let answered = !failure.retry_may_help() && !matches!(failure, Failure::Internal(_));
                let failure = match self.lane.recover(self.context, failure).await {
                    Ok(()) => None,
                    Err(Halt::Failed { failure, .. }) => Some(failure),
                    Err(halt) => return Err(halt),
                };
                match &failure {
                    None => {}
                    Some(Failure::NotFound(_)) if !self.made_again => {
                        self.made_again = true;
                        self.target =
                            make_again(self.context, self.lane, &self.collection.source, &self.target).await?;
                    }
                    Some(failure) if failure.retry_may_help() => {
                        // The intent stays open: the next run settles it.
                        return Err(Halt::Failed {
                            side: "destination",
                            failure: failure.clone(),
                        });
                    }
                    Some(failure) => {
                        self.settle_broken(answered, open, &intent).await?;
                        return Err(Halt::Failed {
                            side: "destination",
                            failure: failure.clone(),
                        });
                    }
                }
                self.settle_broken(answered, open, &intent).await?;
                self.still_waiting(ready)
            }
        }
    }

    /// Settles after a put failed as a whole; patiently where the destination did not answer.
    async fn settle_broken(&mut self, answered: bool, open: IntentId, intent: &Intent) -> Result<(), Halt> {
        if answered {
            settle(self.context, self.lane, open, intent).await
        } else {
            settle_late(self.context, self.lane, open, intent).await
        }
    }

    /// Those of a batch that are still pending.
    fn still_waiting(&self, ready: Vec<Ready>) -> Result<Vec<Ready>, Halt> {
        let mut waiting = Vec::new();
        for one in ready {
            let record = self
                .context
                .ledger
                .item(self.context.id, self.collection.id, &one.record.meta.id)?;
            if record.is_some_and(|record| matches!(record.fate, Fate::Pending)) {
                waiting.push(one);
            }
        }
        Ok(waiting)
    }

    /// Records what a put answered.
    async fn record(
        &mut self,
        open: IntentId,
        intent: &Intent,
        ready: Vec<Ready>,
        answers: Vec<Result<whimbrel_model::Placement, Failure>>,
    ) -> Result<Vec<Ready>, Halt> {
        let mut batch = self.context.ledger.batch(self.context.id);
        let (mut items, mut bytes) = (0, 0);
        let (mut waiting, mut unclear) = (Vec::new(), Vec::new());
        let mut halt = None;
        for (one, answer) in ready.into_iter().zip(answers) {
            match answer {
                Ok(placement) if placement.id.is_none() => unclear.push((one, placement)),
                Ok(placement) => {
                    items += 1;
                    bytes += one.item.content.size();
                    self.placed(&mut batch, &one, placement);
                }
                Err(failure) if failure.retry_may_help() || matches!(failure, Failure::OverQuota(_)) => {
                    halt = halt.or(Some(failure));
                    waiting.push(one);
                }
                Err(failure) => refused(self.context, self.collection, &one, failure, &mut batch).await,
            }
        }
        if unclear.is_empty() {
            batch.close_intent(open);
            self.keep(batch, items, bytes).await?;
        } else {
            self.keep(batch, items, bytes).await?;
            self.flush().await?;
            self.find_unclear(open, intent, unclear).await?;
        }
        match halt {
            None => {}
            Some(failure) if failure.retry_may_help() => {
                self.flush().await?;
                self.lane.recover(self.context, failure).await?;
            }
            Some(failure) => {
                return Err(Halt::Failed {
                    side: "destination",
                    failure,
                });
            }
        }
        Ok(waiting)
    }

    /// The destination took them and did not tell their ids: looked up, and recorded without one where that fails.
    async fn find_unclear(
        &mut self,
        open: IntentId,
        intent: &Intent,
        unclear: Vec<(Ready, whimbrel_model::Placement)>,
    ) -> Result<(), Halt> {
        let known: u64 = unclear.len() as u64;
        settle(self.context, self.lane, open, intent).await?;
        // They were no leftovers of a crash.
        self.context
            .count(|worked| worked.settled = worked.settled.saturating_sub(known));
        let bytes: u64 = unclear.iter().map(|(one, _)| one.item.content.size()).sum();
        let mut batch = self.context.ledger.batch(self.context.id);
        for (one, placement) in unclear {
            let record = self
                .context
                .ledger
                .item(self.context.id, self.collection.id, &one.record.meta.id)?;
            if record.is_some_and(|record| matches!(record.fate, Fate::Pending)) {
                self.placed(&mut batch, &one, placement);
            } else {
                self.context.count(|worked| {
                    worked.copied += 1;
                    worked.bytes += one.item.content.size();
                });
            }
        }
        self.keep(batch, known, bytes).await
    }

    fn placed(&self, batch: &mut Batch, one: &Ready, placement: whimbrel_model::Placement) {
        let merged = placement.outcome == Outcome::MergedWithExisting;
        let size = one.item.content.size();
        self.context.count(|worked| {
            worked.merged += u64::from(merged);
            worked.copied += u64::from(!merged);
            worked.bytes += if merged { 0 } else { size };
        });
        let mut repairs = one.repairs.clone();
        repairs.extend(placement.alterations);
        batch.settle(
            self.collection.id,
            &one.record.meta.id,
            Fate::Placed {
                collection: self.target.id.clone(),
                id: placement.id,
                revision: placement.revision,
                outcome: placement.outcome,
            },
            Some(one.fingerprint),
            repairs,
        );
    }

    /// A watermark, asked for now and then only.
    async fn watermark(&mut self) -> Result<String, Halt> {
        if let Some((watermark, used)) = &mut self.watermark
            && *used < BATCHES_PER_WATERMARK
        {
            *used += 1;
            return Ok(watermark.clone());
        }
        let target = self.target.id.clone();
        let asked = persist!(self.context, self.lane, |account| account.watermark(&target));
        let watermark = match asked {
            Err(Halt::Failed {
                failure: Failure::NotFound(_),
                ..
            }) if !self.made_again => {
                self.made_again = true;
                self.target = make_again(self.context, self.lane, &self.collection.source, &self.target).await?;
                let mut batch = self.context.ledger.batch(self.context.id);
                batch.target(self.collection.id, self.target.clone());
                self.context.commit(batch, Durability::Later).await?;
                let target = self.target.id.clone();
                persist!(self.context, self.lane, |account| account.watermark(&target))?
            }
            other => other?,
        };
        self.watermark = Some((watermark.clone(), 1));
        Ok(watermark)
    }

    /// Opens an intent, in one flush with the placements before it.
    async fn begin(&mut self, intent: Intent) -> Result<IntentId, Halt> {
        let mut batch = self.context.ledger.batch(self.context.id);
        let id = batch.open_intent(intent);
        self.context.commit(batch, Durability::Flush).await?;
        self.told();
        Ok(id)
    }

    /// Records fates; they last from the next flush on.
    async fn keep(&mut self, batch: Batch, items: u64, bytes: u64) -> Result<(), Halt> {
        self.context.commit(batch, Durability::Later).await?;
        let (kept_items, kept_bytes) = self.unflushed.unwrap_or_default();
        self.unflushed = Some((kept_items + items, kept_bytes + bytes));
        Ok(())
    }

    /// Makes everything recorded so far last.
    async fn flush(&mut self) -> Result<(), Halt> {
        if self.unflushed.is_some() {
            self.context.flush().await?;
            self.told();
        }
        Ok(())
    }

    /// Tells of what lasts now.
    fn told(&mut self) {
        if let Some((items, bytes)) = self.unflushed.take()
            && items > 0
        {
            self.context.observer.notify(Progress::Settled {
                mailbox: &self.context.mailbox.name,
                items,
                bytes,
            });
        }
    }
}
