//! Putting what was fetched: rules decide, an intent is flushed before each put, and the placements of one batch are
//! flushed together with the intent of the next, be it of the next collection.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::mpsc;
use whimbrel_ledger::{Batch, CollectionRecord, Durability, Fate, Intent, IntentId, Place, Target};
use whimbrel_model::{Failure, Limits, Outcome, Placement};
use whimbrel_rules::FolderFacts;
use whimbrel_sandbox::Item;

use crate::{
    context::{Context, Halt},
    copy::Work,
    existing::Existing,
    faults::{
        history::Side,
        patience::{Fault, Patience},
        suspects::{Accused, Bisection, Lost, ends_connections},
    },
    kept::{Kept, MOMENT},
    lane::Lanes,
    orphans::recall,
    prepare::{Fetched, Ready, Site, further_copy, main, read, refused},
    repair,
    replace::replace,
    rules::{Ruled, decide_all, facts, filtered, rule_all, settle_unruled},
    settle::{settle, settle_late},
    spots::{SpotId, Spots},
    targets::make_again,
};

/// Batches that share a watermark: asking again costs a round trip, not asking makes settling read more names.
const BATCHES_PER_WATERMARK: u32 = 20;

/// How a try to put a batch ended.
struct Tried {
    /// What is still to be put.
    left: Vec<Ready>,
    /// Where the connection ended in the midst of it.
    lost: Option<Fault>,
}

/// Puts what a fetcher hands over.
pub struct Putter<'a> {
    context: &'a Context,
    lanes: Lanes<'a>,
    collection: &'a CollectionRecord,
    facts: Arc<FolderFacts>,
    spots: Spots,
    /// Of the lane: what waits for its flush.
    kept: &'a mut Kept,
    /// With puts, which is at an end before that with the connection: others of its calls may work.
    patience: Patience,
}

impl<'a> Putter<'a> {
    /// For the items of a collection.
    pub fn new(
        context: &'a Context,
        lanes: Lanes<'a>,
        kept: &'a mut Kept,
        collection: &'a CollectionRecord,
        target: Target,
        limits: &Limits,
    ) -> Self {
        Self {
            context,
            lanes,
            collection,
            facts: facts(&context.facts, &collection.source),
            spots: Spots::new(context, collection, target, limits),
            kept,
            patience: Patience::new("destination", Side::Destination),
        }
    }

    /// Puts everything that comes; gives the lanes back.
    pub async fn put_all(mut self, mut receiver: mpsc::Receiver<Work>) -> Result<Lanes<'a>, Halt> {
        self.put_each(&mut receiver).await?;
        Ok(self.lanes)
    }

    async fn put_each(&mut self, receiver: &mut mpsc::Receiver<Work>) -> Result<(), Halt> {
        loop {
            let next = match tokio::time::timeout(MOMENT, receiver.recv()).await {
                Ok(next) => next,
                Err(_) => {
                    // Do not let placements wait for a slow source.
                    self.kept.flush(self.context).await?;
                    receiver.recv().await
                }
            };
            let Some(work) = next else { return Ok(()) };
            if self.context.stop.stopped() {
                return Err(Halt::Stopped);
            }
            let mut batch = self.context.ledger.batch(self.context.id);
            match work {
                Work::Put(fetched, permit) => {
                    self.put_fetched(fetched).await?;
                    drop(permit);
                    continue;
                }
                Work::Oversize(records, limit) => {
                    for record in &records {
                        let fate = Fate::Oversize { limit };
                        batch.settle(self.collection.id, &record.meta.id, fate, None, Vec::new());
                    }
                }
                Work::Filtered(decided) => {
                    for (record, decision) in decided {
                        filtered(
                            self.context,
                            self.collection.id,
                            &record.meta.id,
                            &decision,
                            None,
                            &mut batch,
                        );
                    }
                }
            }
            self.kept.keep(self.context, batch, 0, 0).await?;
        }
    }

    async fn put_fetched(&mut self, fetched: Vec<Fetched>) -> Result<(), Halt> {
        let context = self.context;
        let placed = |one: &Fetched| matches!(one.record.fate, Fate::Placed { .. });
        let (altered, fetched): (Vec<Fetched>, Vec<Fetched>) = fetched.into_iter().partition(placed);
        if !context.options.only_recognise {
            replace(context, &mut self.lanes, (self.collection, &self.facts), altered).await?;
        }
        let mut batch = context.ledger.batch(context.id);
        let read = read(context, self.collection, &self.facts, fetched, &mut batch).await?;
        let decided = decide_all(context, self.collection.source.kind, &self.facts, read).await;
        let (mut ruled, unruled) = rule_all(
            context,
            &mut self.lanes,
            &mut self.spots,
            self.collection,
            decided,
            &mut batch,
        )
        .await?;
        settle_unruled(context, self.collection, unruled, &mut batch).await?;
        self.kept.keep(self.context, batch, 0, 0).await?;
        recall(context, &mut self.spots, &mut ruled)?;
        // Further copies first: an item counts as placed when all of it is.
        let mut copies: BTreeMap<SpotId, Vec<&Ruled>> = BTreeMap::new();
        for one in &ruled {
            for spot in &one.copies {
                copies.entry(*spot).or_default().push(one);
            }
        }
        let mut lacking = Vec::new();
        for (spot, items) in copies {
            lacking.extend(self.put_copies(spot, &items).await?);
        }
        ruled.retain(|one| !lacking.contains(&one.record.meta.id));
        ruled.sort_by_key(|one| one.place);
        while let Some(place) = ruled.first().map(|one| one.place) {
            let others = ruled.split_off(ruled.partition_point(|one| one.place == place));
            self.put_mains(place, ruled).await?;
            ruled = others;
        }
        Ok(())
    }

    /// Gives the ids of items whose copies are still to be put.
    async fn put_copies(&mut self, id: SpotId, items: &[&Ruled]) -> Result<Vec<String>, Halt> {
        let turn = self.spots.at(id).turn.clone();
        let _turn = turn.lock().await;
        self.look_around(id).await?;
        let mut batch = self.context.ledger.batch(self.context.id);
        let mut ready = Vec::with_capacity(items.len());
        for one in items {
            let spot = self.spots.at(id);
            let lane = self.lanes.to(self.context, spot.account)?;
            ready.extend(further_copy(self.context, lane, self.collection, spot, one, &mut batch).await?);
        }
        self.kept.keep(self.context, batch, 0, 0).await?;
        if self.context.options.only_recognise {
            return Ok(ready.into_iter().map(|one| one.record.meta.id).collect());
        }
        self.put_until_done(id, ready).await?;
        Ok(Vec::new())
    }

    async fn put_mains(&mut self, id: SpotId, items: Vec<Ruled>) -> Result<(), Halt> {
        let turn = self.spots.at(id).turn.clone();
        let _turn = turn.lock().await;
        self.look_around(id).await?;
        let mut batch = self.context.ledger.batch(self.context.id);
        let spot = self.spots.at(id);
        let site = Site {
            collection: self.collection,
            spot,
        };
        let lane = self.lanes.to(self.context, site.spot.account)?;
        let ready = main(self.context, lane, site, items, &mut batch).await?;
        self.kept.keep(self.context, batch, 0, 0).await?;
        if self.context.options.only_recognise {
            return Ok(());
        }
        self.put_until_done(id, ready).await
    }

    /// Lists what lay in a destination collection before, once.
    async fn look_around(&mut self, id: SpotId) -> Result<(), Halt> {
        let spot = self.spots.at(id);
        if spot.target.existing && spot.existing.is_none() {
            let lane = self.lanes.to(self.context, spot.account)?;
            spot.existing = Some(Existing::list(self.context, lane, spot.account, &spot.target.id).await?);
        }
        Ok(())
    }

    async fn put_until_done(&mut self, id: SpotId, ready: Vec<Ready>) -> Result<(), Halt> {
        let history = Arc::clone(&self.context.history);
        let mut batches = Bisection::new(ready);
        while let Some(batch) = batches.next() {
            if self.context.stop.stopped() {
                return Err(Halt::Stopped);
            }
            let bytes = |batch: &[Ready]| batch.iter().map(|one| one.fingerprint.size).sum::<u64>();
            let before = (batch.len(), bytes(&batch));
            let Tried { left, lost } = self.put_ready(id, batch).await?;
            let passed = before.0 - left.len();
            if passed > 0 {
                self.patience.reset();
                let bytes = before.1 - bytes(&left);
                history.suspects.passed(Side::Destination, passed as u64, bytes);
            }
            let Some(fault) = lost else {
                batches.left(left);
                continue;
            };
            history.suspects.lost(Side::Destination);
            let accused = |one: &Ready| Accused {
                key: (Side::Destination, self.collection.id, one.record.meta.id.clone()),
                bytes: one.fingerprint.size,
            };
            match batches.lost(left, |one, among| history.suspects.accuse(accused(one), among)) {
                Lost::GoOn => {}
                Lost::Pause => self.patience.bear(self.context, fault).await?,
                Lost::Cause(one) => self.give_up(&one, &fault.failure).await?,
            }
        }
        Ok(())
    }

    /// A message at which the connection ends each time.
    async fn give_up(&mut self, one: &Ready, failure: &Failure) -> Result<(), Halt> {
        let mut batch = self.context.ledger.batch(self.context.id);
        let failure = ends_connections("stored", failure);
        refused(self.context, self.collection, &self.facts, one, failure, &mut batch).await?;
        self.kept.keep(self.context, batch, 0, 0).await
    }

    /// Puts a batch.
    async fn put_ready(&mut self, id: SpotId, ready: Vec<Ready>) -> Result<Tried, Halt> {
        let watermark = self.watermark(id).await?;
        let (account, target) = (self.spots.at(id).account, self.spots.at(id).target.clone());
        let intent = Intent {
            mailbox: account,
            target: target.id.clone(),
            watermark,
            items: ready.iter().map(|one| one.intended(self.collection)).collect(),
        };
        let open = self.begin(&intent).await?;
        let items: Vec<Item> = ready.iter().map(|one| one.item.clone()).collect();
        let lane = self.lanes.to(self.context, account)?;
        let answer = match lane.open(self.context).await {
            Ok(account) => account.put(&target.id, items).await,
            Err(failure) => Err(failure),
        };
        let failure = match answer {
            Ok(answers) => {
                lane.patience.reset();
                let left = self.record(open, &intent, ready, answers).await?;
                return Ok(Tried { left, lost: None });
            }
            Err(failure) => failure,
        };
        // An unknown part was stored: find out before anything else.
        self.spots.at(id).watermark = None;
        lane.drop_broken(&failure);
        let fault = lane.fault(self.context, failure.clone());
        if matches!(failure, Failure::Unavailable(_)) && lane.was_open() {
            self.settle_broken(false, open, &intent).await?;
            let left = self.still_waiting(&intent, ready)?;
            return Ok(Tried {
                left,
                lost: Some(fault),
            });
        }
        // What was never begun left nothing on its way.
        let answered = !lane.was_open() || !failure.retry_may_help() && !matches!(failure, Failure::Internal(_));
        let borne = match lane.was_open() {
            true => self.patience.bear(self.context, fault).await,
            false => lane.patience.bear(self.context, fault).await,
        };
        match borne {
            Ok(()) => {}
            Err(Halt::Failed {
                failure: Failure::NotFound(_),
                ..
            }) if !self.spots.at(id).made_again => self.make_again(id).await?,
            Err(Halt::Failed { side, failure }) if !failure.retry_may_help() => {
                self.settle_broken(answered, open, &intent).await?;
                return Err(Halt::Failed { side, failure });
            }
            // The intent stays open: the next turn, or the next run, settles it.
            Err(halt) => return Err(halt),
        }
        self.settle_broken(answered, open, &intent).await?;
        let left = self.still_waiting(&intent, ready)?;
        Ok(Tried { left, lost: None })
    }

    /// Makes a destination collection again that is gone.
    async fn make_again(&mut self, id: SpotId) -> Result<(), Halt> {
        let spot = self.spots.at(id);
        spot.made_again = true;
        let lane = self.lanes.to(self.context, spot.account)?;
        spot.target = make_again(self.context, lane, &spot.template, &spot.target).await?;
        Ok(())
    }

    /// Settles after a put failed as a whole; patiently where the destination did not answer.
    async fn settle_broken(&mut self, answered: bool, open: IntentId, intent: &Intent) -> Result<(), Halt> {
        let lane = self.lanes.to(self.context, intent.mailbox)?;
        if answered {
            settle(self.context, lane, open, intent).await
        } else {
            settle_late(self.context, lane, open, intent).await
        }
    }

    /// Those of a batch that are still to be put.
    fn still_waiting(&self, intent: &Intent, ready: Vec<Ready>) -> Result<Vec<Ready>, Halt> {
        let mut waiting = Vec::new();
        for one in ready {
            if self.is_waiting(intent, &one)? {
                waiting.push(one);
            }
        }
        Ok(waiting)
    }

    fn is_waiting(&self, intent: &Intent, one: &Ready) -> Result<bool, Halt> {
        let record = self
            .context
            .ledger
            .item(self.context.id, self.collection.id, &one.record.meta.id)?;
        Ok(record.is_some_and(|record| {
            matches!(record.fate, Fate::Pending)
                && !(one.copy
                    && record
                        .copies
                        .iter()
                        .any(|copy| (copy.mailbox, &copy.collection) == (intent.mailbox, &intent.target)))
        }))
    }

    /// Records what a put answered.
    async fn record(
        &mut self,
        open: IntentId,
        intent: &Intent,
        ready: Vec<Ready>,
        answers: Vec<Result<Placement, Failure>>,
    ) -> Result<Vec<Ready>, Halt> {
        let mut batch = self.context.ledger.batch(self.context.id);
        let (mut items, mut bytes) = (0, 0);
        let (mut waiting, mut unclear) = (Vec::new(), Vec::new());
        let (mut halt, mut refusals) = (None, 0);
        for (one, answer) in ready.into_iter().zip(answers) {
            match answer {
                Ok(placement) if placement.id.is_none() => unclear.push((one, placement)),
                Ok(placement) => {
                    items += u64::from(!one.copy);
                    bytes += if one.copy { 0 } else { one.item.content.size() };
                    self.placed(intent, &mut batch, &one, placement);
                }
                Err(failure) if failure.retry_may_help() || matches!(failure, Failure::OverQuota(_)) => {
                    halt = halt.or(Some(failure));
                    waiting.push(one);
                }
                Err(failure) => {
                    refusals += 1;
                    match repair::next(self.context, one, failure).await {
                        Ok(repaired) => waiting.push(repaired),
                        Err(out) => {
                            let (one, failure) = *out;
                            refused(self.context, self.collection, &self.facts, &one, failure, &mut batch).await?;
                        }
                    }
                }
            }
        }
        self.lanes.to(self.context, intent.mailbox)?.refused(refusals);
        if unclear.is_empty() {
            batch.close_intent(open);
            self.kept.keep(self.context, batch, items, bytes).await?;
        } else {
            self.kept.keep(self.context, batch, items, bytes).await?;
            self.kept.flush(self.context).await?;
            self.find_unclear(open, intent, unclear).await?;
        }
        if let Some(failure) = halt {
            self.kept.flush(self.context).await?;
            let lane = self.lanes.to(self.context, intent.mailbox)?;
            lane.drop_broken(&failure);
            let fault = lane.fault(self.context, failure);
            self.patience.bear(self.context, fault).await?;
        }
        Ok(waiting)
    }

    /// The destination took them and did not tell their ids: looked up, and recorded without one where that fails.
    async fn find_unclear(
        &mut self,
        open: IntentId,
        intent: &Intent,
        unclear: Vec<(Ready, Placement)>,
    ) -> Result<(), Halt> {
        let known: u64 = unclear.len() as u64;
        let lane = self.lanes.to(self.context, intent.mailbox)?;
        settle(self.context, lane, open, intent).await?;
        // They were no leftovers of a crash.
        self.context
            .count(|worked| worked.settled = worked.settled.saturating_sub(known));
        let own = || unclear.iter().filter(|(one, _)| !one.copy);
        let (items, bytes) = (
            own().count() as u64,
            own().map(|(one, _)| one.item.content.size()).sum(),
        );
        let mut batch = self.context.ledger.batch(self.context.id);
        for (one, placement) in unclear {
            if self.is_waiting(intent, &one)? {
                self.placed(intent, &mut batch, &one, placement);
            } else if !one.copy {
                self.context.count(|worked| {
                    worked.copied += 1;
                    worked.bytes += one.item.content.size();
                });
            }
        }
        self.kept.keep(self.context, batch, items, bytes).await
    }

    fn placed(&self, intent: &Intent, batch: &mut Batch, one: &Ready, placement: Placement) {
        let id = &one.record.meta.id;
        if one.copy {
            let place = Place {
                mailbox: intent.mailbox,
                collection: intent.target.clone(),
                id: placement.id,
            };
            return batch.copied(self.collection.id, id, place);
        }
        let merged = placement.outcome == Outcome::MergedWithExisting;
        let size = one.item.content.size();
        self.context.count(|worked| {
            worked.merged += u64::from(merged);
            worked.copied += u64::from(!merged);
            worked.bytes += if merged { 0 } else { size };
        });
        let mut repairs = one.repairs.clone();
        repairs.extend(placement.alterations);
        let fate = Fate::Placed {
            mailbox: intent.mailbox,
            collection: intent.target.clone(),
            id: placement.id,
            revision: placement.revision,
            outcome: placement.outcome,
        };
        batch.settle(self.collection.id, id, fate, Some(one.fingerprint), repairs);
        if let Some(print) = one.put {
            batch.put_as(self.collection.id, id, print);
        }
    }

    /// A watermark, asked for now and then only.
    async fn watermark(&mut self, id: SpotId) -> Result<String, Halt> {
        let spot = self.spots.at(id);
        if let Some((watermark, used)) = &mut spot.watermark
            && *used < BATCHES_PER_WATERMARK
        {
            *used += 1;
            return Ok(watermark.clone());
        }
        let lane = self.lanes.to(self.context, spot.account)?;
        let target = spot.target.id.clone();
        let asked = persist!(self.context, lane, |account| account.watermark(&target));
        let watermark = match asked {
            Err(Halt::Failed {
                failure: Failure::NotFound(_),
                ..
            }) if !spot.made_again => {
                self.make_again(id).await?;
                let spot = self.spots.at(id);
                if id == 0 {
                    let mut batch = self.context.ledger.batch(self.context.id);
                    batch.target(self.collection.id, spot.target.clone());
                    self.context.commit(batch, Durability::Later).await?;
                }
                let lane = self.lanes.to(self.context, spot.account)?;
                let target = spot.target.id.clone();
                persist!(self.context, lane, |account| account.watermark(&target))?
            }
            other => other?,
        };
        self.spots.at(id).watermark = Some((watermark.clone(), 1));
        Ok(watermark)
    }

    /// Opens an intent, in one flush with the placements before it.
    async fn begin(&mut self, intent: &Intent) -> Result<IntentId, Halt> {
        let mut batch = self.context.ledger.batch(self.context.id);
        let id = batch.open_intent(intent);
        self.kept.commit(self.context, batch).await?;
        Ok(id)
    }
}
