//! Verification: both sides are listed anew, and bodies are read again, to compare them with what the ledger says.
//!
//! Nothing is written, to neither side: the destination is opened as a source, which the sandbox holds to reading. What
//! rules, repairs and formats changed stands in the ledger, and is what is looked for. What happened at the source since
//! the last run is told as not yet migrated; what lies at the destination by itself is its own.
//!
//! 1. [`source`] lists the source: what is new or changed since;
//! 2. [`walk`] goes over all items of the ledger, and compares each with the listing of its place ([`places`]);
//! 3. [`bodies`] reads those that are to be read, at both sides ([`sample`] chooses them);
//! 4. [`seek`] looks for what is not in its place, and into what the ledger does not know;
//! 5. [`verdict`] grades the outcome.

mod bodies;
mod difference;
mod places;
mod sample;
mod seek;
mod source;
mod verdict;
mod walk;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tokio::{sync::Semaphore, task::JoinSet};
use whimbrel_ledger::{Durability, Ledger, MailboxId};

pub use difference::{Checked, Class, Difference, Differences, How, Spot};
pub use sample::{CONFIDENCE, Estimate, Sample, SampleSize, upper_bound};
pub use source::Since;
pub use verdict::{Grade, GradeRules, REASONS, Reason, Verdict};

use crate::{
    Counts, EngineError, Mailbox, Observer, Options, Problem, Progress, Stop,
    context::{Context, Halt},
    lane::SourceLane,
    mailbox::rule_mailbox,
    report::unlisted,
    shared::Shared,
};
use places::Places;
use sample::Chosen;
use source::{Look, look};
use walk::{Tally, Walk};

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Depth {
    /// The ledger against the listings of both sides. A body is read only where its size or place raises a question.
    Listing,
    /// A random sample of bodies besides.
    Sample(Sample),
    /// Every body.
    Deep,
}

/// What an admin wants verified.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyOptions {
    /// How deep to look.
    pub depth: Depth,
    /// Whether messages at the destination that are not of the migration are differences.
    pub strict: bool,
    /// How grades are given.
    pub grades: GradeRules,
}

/// Gets every item and every difference as it is found, from several mailboxes at once.
pub trait Witness: Send + Sync {
    /// An item of the ledger was compared.
    fn item(&self, mailbox: &str, checked: &Checked);
    /// Something is different. Items have theirs before they are told of as a whole.
    fn difference(&self, mailbox: &str, difference: &Difference);
}

/// What was done to find out; stable JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Looked {
    /// Messages listed at the destination.
    pub listed: u64,
    /// Places of messages, those of copies included, that were compared.
    pub compared: u64,
    /// Messages without any difference.
    pub equal: u64,
    /// Bodies read at the destination.
    pub read: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bodies that could not be read.
    pub unreadable: u64,
    /// Messages at the destination that are its own.
    pub own: u64,
}

impl Looked {
    fn plus(self, other: Self) -> Self {
        Self {
            listed: self.listed + other.listed,
            compared: self.compared + other.compared,
            equal: self.equal + other.equal,
            read: self.read + other.read,
            bytes: self.bytes + other.bytes,
            unreadable: self.unreadable + other.unreadable,
            own: self.own + other.own,
        }
    }
}

/// What verification says of a mailbox, or of all; stable JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Where its messages stand; those that are new at the source count as found and pending.
    #[serde(flatten)]
    pub counts: Counts,
    /// What was done to find out.
    pub looked: Looked,
    /// What changed at the source since the last run.
    pub since: Since,
    /// What is different, by class.
    pub differences: Differences,
    /// What the sample says, where one was taken.
    pub estimate: Option<Estimate>,
    /// How good it is.
    pub verdict: Verdict,
}

/// How a mailbox came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MailboxVerified {
    /// The admin's name for it.
    pub name: String,
    /// What was found out.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The first differences; a [`Witness`] gets all.
    pub found_different: Vec<Difference>,
    /// What kept it from being verified in full.
    pub problems: Vec<Problem>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// How a verification came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// In the order of the settings.
    pub mailboxes: Vec<MailboxVerified>,
    /// All together.
    pub total: Outcome,
    /// Somebody stopped it.
    pub interrupted: bool,
}

impl Verification {
    /// Whether anything is different.
    pub fn is_different(&self) -> bool {
        self.total.differences.total() > 0
    }

    /// Whether everything could be looked at, and every message that is not pending is explained and did not fail.
    pub fn is_complete(&self) -> bool {
        let counts = &self.total.counts;
        let looked_at = !self.interrupted && self.mailboxes.iter().all(|mailbox| mailbox.problems.is_empty());
        looked_at && counts.failed == 0 && counts.unexplained == 0 && self.total.verdict.balanced
    }
}

/// Verifies these mailboxes. One that fails does not stop the others; a ledger that fails stops everything. Reports come in
/// the order of the mailboxes.
///
/// # Errors
///
/// The ledger cannot be read, or the rules fail on a mailbox and the admin wants to stop then.
pub async fn verify(
    ledger: &Ledger,
    mailboxes: Vec<Mailbox>,
    options: (&Options, &VerifyOptions),
    observer: Arc<dyn Observer>,
    witness: Arc<dyn Witness>,
    stop: Stop,
) -> Result<Verification, EngineError> {
    let start = Instant::now();
    let (options, wanted) = options;
    let mut known = Vec::new();
    for mailbox in &mailboxes {
        if let Some(id) = ledger.find_mailbox(&mailbox.name)? {
            known.push((id, mailbox.name.clone()));
        }
    }
    let mut chosen = match wanted.depth {
        Depth::Sample(sample) => sample.draw(ledger, &known)?,
        Depth::Listing | Depth::Deep => HashMap::new(),
    };
    let slots = Arc::new(Semaphore::new(options.mailboxes.max(1)));
    let shared = Shared::new(mailboxes.len(), options, observer, stop.clone());
    let ids: HashMap<String, MailboxId> = known.into_iter().map(|(id, name)| (name, id)).collect();
    let mut tasks = JoinSet::new();
    for (number, mailbox) in mailboxes.into_iter().enumerate() {
        let id = ids.get(&mailbox.name).copied();
        let chosen = id.and_then(|id| chosen.remove(&id)).unwrap_or_default();
        let (slots, ledger, shared) = (slots.clone(), ledger.clone(), shared.clone());
        let (wanted, witness) = (wanted.clone(), witness.clone());
        tasks.spawn(async move {
            let slot = slots.acquire_owned().await;
            let report = one(ledger, (id, mailbox), shared, &wanted, &chosen, witness.as_ref()).await;
            drop(slot);
            (number, report)
        });
    }
    let (mut reports, mut broken) = (Vec::new(), None);
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok((number, Ok(report))) => reports.push((number, report)),
            Ok((_, Err(error))) => {
                stop.stop();
                broken = broken.or(Some(error));
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
    if let Some(error) = broken {
        return Err(error);
    }
    reports.sort_by_key(|(number, _)| *number);
    let mailboxes: Vec<MailboxVerified> = reports.into_iter().map(|(_, report)| report).collect();
    let mut total = total(&mailboxes, &wanted.grades);
    total.counts.seconds = start.elapsed().as_secs_f64();
    Ok(Verification {
        mailboxes,
        total,
        interrupted: stop.stopped(),
    })
}

/// The sums, with a verdict and an estimate of their own.
fn total(mailboxes: &[MailboxVerified], rules: &GradeRules) -> Outcome {
    let (mut counts, mut looked, mut since) = (Counts::default(), Looked::default(), Since::default());
    let (mut differences, mut remainder) = (Differences::default(), Vec::new());
    let mut sampled = None;
    for mailbox in mailboxes {
        let one = &mailbox.outcome;
        counts = counts.plus(one.counts);
        looked = looked.plus(one.looked);
        since = since.plus(one.since);
        differences = differences.plus(&one.differences);
        let named = one
            .verdict
            .remainder
            .iter()
            .map(|text| format!("{}: {text}", mailbox.name));
        remainder.extend(named);
        if let Some(estimate) = one.estimate {
            let (read, different, of) = sampled.unwrap_or_default();
            sampled = Some((read + estimate.read, different + estimate.different, of + estimate.of));
        }
    }
    let verdict = Verdict::new(rules, &counts, &differences, remainder);
    Outcome {
        counts,
        looked,
        since,
        differences,
        estimate: sampled.map(|(read, different, of)| Estimate::new(read, different, of)),
        verdict,
    }
}

async fn one(
    ledger: Ledger,
    (id, mailbox): (Option<MailboxId>, Mailbox),
    shared: Shared,
    wanted: &VerifyOptions,
    chosen: &Chosen,
    witness: &dyn Witness,
) -> Result<MailboxVerified, EngineError> {
    let start = Instant::now();
    let name = mailbox.name.clone();
    shared.observer.notify(Progress::Started { mailbox: &name });
    let Some(id) = id else {
        let verdict = Verdict::new(&wanted.grades, &Counts::default(), &Differences::default(), Vec::new());
        shared.observer.notify(Progress::Finished { mailbox: &name });
        return Ok(MailboxVerified {
            name,
            outcome: Outcome {
                counts: Counts::default(),
                looked: Looked::default(),
                since: Since::default(),
                differences: Differences::default(),
                estimate: None,
                verdict,
            },
            found_different: Vec::new(),
            problems: vec![Problem {
                collection: None,
                code: "not-started",
                text: "no run has begun with this mailbox yet: there is nothing to verify".to_owned(),
                remedy: "run `whimbrel migrate` first".to_owned(),
            }],
            notes: Vec::new(),
        });
    };
    let context = Context::new(ledger.clone(), id, mailbox, shared);
    let sampled = matches!(wanted.depth, Depth::Sample(_)).then_some(chosen);
    let ((tally, since, listed), done) = walk(&context, wanted, sampled, witness).await;
    match done {
        Ok(()) | Err(Halt::Stopped | Halt::Parked) => {}
        Err(Halt::Ledger(error)) => return Err(error.into()),
        Err(Halt::Rules(error)) => return Err(error.into()),
        Err(Halt::Failed { side, failure }) => context.problem(Problem::new(None, side, &failure)),
    }
    let collections = ledger.collections(id)?;
    let mut counts = Counts::of(&collections, start.elapsed().as_secs_f64());
    counts.found += since.new;
    counts.pending += since.new;
    let remainder = collections.iter().filter(|record| unlisted(record) > 0).map(|record| {
        let why = record
            .capped
            .as_ref()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default();
        let (path, missing) = (record.source.display_path(), unlisted(record));
        format!("{path}: {missing} that the source claims and never listed{why}")
    });
    let verdict = Verdict::new(&wanted.grades, &counts, &tally.differences, remainder.collect());
    let estimate = sampled.map(|_| Estimate::new(tally.sampled.0, tally.sampled.1, counts.moved + counts.merged));
    let finished = context.finish();
    let mut batch = ledger.batch(id);
    batch.event(
        "verified",
        serde_json::json!({ "grade": verdict.grade, "differences": tally.differences, "read": tally.read }),
    );
    context.commit(batch, Durability::Flush).await?;
    context.observer.notify(Progress::Finished { mailbox: &name });
    Ok(MailboxVerified {
        name,
        outcome: Outcome {
            counts,
            looked: Looked {
                listed,
                compared: tally.compared,
                equal: tally.equal,
                read: tally.read,
                bytes: tally.bytes,
                unreadable: tally.unreadable,
                own: tally.own,
            },
            since,
            differences: tally.differences,
            estimate,
            verdict,
        },
        found_different: tally.kept,
        problems: finished.problems,
        notes: finished.notes,
    })
}

/// What was found out, also where it ended early.
type Found = (Tally, Since, u64);

async fn walk(
    context: &Context,
    options: &VerifyOptions,
    chosen: Option<&Chosen>,
    witness: &dyn Witness,
) -> (Found, Result<(), Halt>) {
    let mut source = SourceLane::new();
    let (look, places) = match begin(context, &mut source).await {
        Ok(Some(begun)) => begun,
        Ok(None) => return (Found::default(), Ok(())),
        Err(halt) => return (Found::default(), Err(halt)),
    };
    let mut walk = Walk {
        context,
        options,
        chosen,
        witness,
        places,
        source,
        look,
        tally: Tally::default(),
        lost: Vec::new(),
        waiting: Vec::new(),
        waiting_bytes: 0,
    };
    let done = work(&mut walk).await;
    let Walk {
        tally, look, places, ..
    } = walk;
    notes(context, &tally);
    let mut since = look.since;
    since.altered = tally.altered_at_source;
    since.marked = since.marked.max(tally.marks_waiting);
    ((tally, since, places.listed), done)
}

/// Looks at the source; none where a rule leaves the mailbox out. Without its source, a mailbox is compared with the ledger
/// alone.
async fn begin(context: &Context, source: &mut SourceLane) -> Result<Option<(Look, Places)>, Halt> {
    if rule_mailbox(context)? {
        return Ok(None);
    }
    if !context.ledger.intents(context.id)?.is_empty() {
        context.note("an interrupted run left something open: `whimbrel migrate` settles it, then verify again".into());
    }
    let look = match look(context, source).await {
        Err(Halt::Failed { side, failure }) => {
            context.problem(Problem::new(None, side, &failure));
            Look {
                blind: true,
                ..Look::default()
            }
        }
        other => other?,
    };
    Ok(Some((look, Places::new(context)?)))
}

async fn work(walk: &mut Walk<'_>) -> Result<(), Halt> {
    folders(walk).await?;
    walk.over().await?;
    walk.seek().await?;
    walk.extras().await
}

/// Says which folders are not at the destination (any more); messages that were in them are looked for elsewhere.
async fn folders(walk: &mut Walk<'_>) -> Result<(), Halt> {
    let targets = walk.places.targets();
    let there = walk.places.collections(walk.context, None).await?;
    let gone: Vec<String> = targets
        .into_iter()
        .filter(|target| !there.iter().any(|collection| collection.id == *target))
        .collect();
    for target in gone {
        let path = walk.places.path_of(None, &target).unwrap_or(&target).to_owned();
        walk.context
            .note(format!("folder `{path}` is not at the destination any more"));
    }
    Ok(())
}

fn notes(context: &Context, tally: &Tally) {
    if tally.unread_suspects > 0 {
        context.note(format!(
            "{} messages have another size at the destination than what was put, and were not read: --deep reads them",
            tally.unread_suspects
        ));
    }
    if tally.unread_twins > 0 {
        context.note(format!(
            "{} messages of the destination's own have the size of one that was put, and were not read: --deep reads them",
            tally.unread_twins
        ));
    }
    if tally.altered_at_source > 0 {
        context.note(format!(
            "{} messages have other bytes at the source now than when they were copied",
            tally.altered_at_source
        ));
    }
}
