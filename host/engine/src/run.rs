//! Runs over many mailboxes.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;
use whimbrel_ledger::{CollectionId, Durability, Fate, ItemRecord, Ledger, LedgerError, MailboxId};
use whimbrel_rules::{MailboxFacts, RuleError};

use crate::{
    Counts, Daily, MailboxReport, Observer, Options, Progress, Provider, Report, Stop,
    context::{Context, Finished, Halt},
    faults::{
        Parked,
        history::History,
        parking::{self, Parking},
        schedule::Schedule,
    },
    mailbox::{move_mailbox, retriable},
    report::{BothConnections, ConnectorReport, Problem},
    rules::RuleCount,
    shared::Shared,
    trail,
};

/// A mailbox that is to be moved.
#[derive(Clone)]
pub struct Mailbox {
    /// The admin's name for it; the ledger knows it by this.
    pub name: String,
    /// Whose it is: what rules are told as its name. Where mail, calendars and contacts of one person go different ways,
    /// each is a mailbox here, and they share this.
    pub owner: String,
    /// Where from.
    pub source: Arc<dyn Provider>,
    /// Where to.
    pub destination: Arc<dyn Provider>,
    /// What the admin says of it, for rules: columns of the CSV, or `attributes`.
    pub attributes: BTreeMap<String, String>,
    /// What it may move in a day.
    pub daily: Daily,
}

impl Mailbox {
    /// One that stands for itself, with nothing more said of it.
    pub fn new(name: impl Into<String>, source: Arc<dyn Provider>, destination: Arc<dyn Provider>) -> Self {
        let name = name.into();
        Self {
            owner: name.clone(),
            name,
            source,
            destination,
            attributes: BTreeMap::new(),
            daily: Daily::default(),
        }
    }

    /// What rules are told of it.
    pub(crate) fn facts(&self) -> MailboxFacts {
        MailboxFacts {
            name: self.owner.clone(),
            attributes: self.attributes.clone(),
        }
    }
}

/// Why a run as a whole ends.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing can be recorded, so nothing may be done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The rules failed on something, and the admin wants the run to stop then.
    #[error(transparent)]
    Rules(#[from] RuleError),
}

/// Moves what is new and what changed in these mailboxes. A mailbox that fails does not stop the others, one that has to
/// wait gives its place to the next and comes back; a ledger that fails stops everything. Reports come in the order of
/// the mailboxes.
pub async fn migrate(
    ledger: &Ledger,
    mailboxes: Vec<Mailbox>,
    options: &Options,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Result<Report, EngineError> {
    let start = Instant::now();
    let shared = Shared::new(mailboxes.len(), options, observer, stop.clone());
    let jobs = mailboxes
        .into_iter()
        .enumerate()
        .map(|(number, mailbox)| Job::new(number, mailbox));
    let mut schedule = Schedule::new(jobs);
    let mut tasks = JoinSet::new();
    let mut done = Vec::new();
    let mut broken = None;
    loop {
        while tasks.len() < options.mailboxes.max(1)
            && !stop.stopped()
            && let Some(job) = schedule.next(tokio::time::Instant::now(), !tasks.is_empty())
        {
            // Boxed when its turn comes: thousands that wait take no room for their work.
            tasks.spawn(Box::pin(turn(ledger.clone(), job, shared.clone())));
        }
        let due = match tasks.is_empty() {
            true if stop.stopped() => break,
            true => match schedule.awaited() {
                Some(due) => Some(due),
                None => break,
            },
            // With no place free there is nothing to look for.
            false => schedule.due().filter(|_| tasks.len() < options.mailboxes.max(1)),
        };
        let joined = tokio::select! {
            Some(joined) = tasks.join_next() => joined,
            () = wait_until(due) => continue,
            () = stop.wait(), if tasks.is_empty() => continue,
        };
        match joined {
            Ok(Ok((job, Ended::Through))) => done.push(job),
            Ok(Ok((mut job, Ended::Parked(pause)))) => {
                let awaited = job.rest(pause, options.faults.wait);
                schedule.park(job, tokio::time::Instant::now() + pause, awaited);
            }
            Ok(Err(error)) => {
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
    let (parked, fresh) = schedule.into_rest();
    for job in &parked {
        job.tell_attempts(ledger)?;
    }
    done.extend(parked);
    done.extend(fresh);
    done.sort_by_key(|job| job.number);
    let reports = done
        .into_iter()
        .map(|job| job.report(ledger))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Report::new(reports, start.elapsed().as_secs_f64(), stop.stopped()))
}

async fn wait_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// A mailbox of a run, from one of its turns to the next.
struct Job {
    /// Its place in the settings.
    number: usize,
    mailbox: Mailbox,
    history: Arc<History>,
    /// What its turns did so far.
    done: Finished,
    parked: Option<Parked>,
    /// How long it was parked since something moved.
    waited: Duration,
    /// How long its turns took.
    worked: Duration,
}

/// How a turn ended.
enum Ended {
    /// Nothing is left to do, or nothing that waiting helps.
    Through,
    /// To be taken up again after so long.
    Parked(Duration),
}

impl Job {
    fn new(number: usize, mailbox: Mailbox) -> Self {
        Self {
            number,
            mailbox,
            history: Arc::default(),
            done: Finished::default(),
            parked: None,
            waited: Duration::ZERO,
            worked: Duration::ZERO,
        }
    }

    /// Counts a park; tells whether the run waits for its end.
    fn rest(&mut self, pause: Duration, budget: Duration) -> bool {
        if self.history.parks() == 1 {
            self.waited = Duration::ZERO;
        }
        self.waited = self.waited.saturating_add(pause);
        self.waited < budget
    }

    /// Adds what a turn did.
    fn add(&mut self, turn: &Finished) {
        self.done.worked = self.done.worked.plus(turn.worked);
        // What was in the way before is in the way still, or not any more.
        self.done.problems.clone_from(&turn.problems);
        self.done.notes.clone_from(&turn.notes);
        RuleCount::add(&mut self.done.rules, &turn.rules);
    }

    /// Leaves in the audit trail what its connectors tried: once, when its turns are over.
    fn tell_attempts(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        trail::attempts(ledger, &self.mailbox.name, &connectors(&self.mailbox))
    }

    fn report(self, ledger: &Ledger) -> Result<MailboxReport, EngineError> {
        let id = ledger.mailbox(&self.mailbox.name)?;
        let connections = connections(&self.mailbox);
        let connectors = connectors(&self.mailbox);
        let Finished {
            worked,
            problems,
            notes,
            rules,
        } = self.done;
        Ok(MailboxReport {
            counts: Counts::of(&ledger.collections(id)?, self.worked.as_secs_f64()),
            kind: self.mailbox.destination.kind(),
            name: self.mailbox.name,
            worked,
            problems,
            notes,
            rules,
            connections,
            connectors,
            parked: self.parked,
        })
    }
}

/// One turn of a mailbox: all that can be done without a long wait. Its connections are closed at its end.
async fn turn(ledger: Ledger, mut job: Job, shared: Shared) -> Result<(Job, Ended), EngineError> {
    let start = Instant::now();
    let id = ledger.mailbox(&job.mailbox.name)?;
    let observer = Arc::clone(&shared.observer);
    observer.notify(Progress::Started {
        mailbox: &job.mailbox.name,
    });
    job.parked = None;
    parking::note(&ledger, id, None)?;
    let notes = std::mem::take(&mut job.done.notes);
    let context = Context::new(ledger.clone(), id, job.mailbox.clone(), shared);
    let context = Arc::new(context.resumable(Arc::clone(&job.history), notes));
    let result = if context.stop.stopped() {
        Err(Halt::Stopped)
    } else {
        move_mailbox(&context).await
    };
    let parking = context.parking().filter(|_| !context.run_stopped());
    match result {
        Ok(()) | Err(Halt::Stopped | Halt::Parked) => {}
        Err(Halt::Ledger(error)) => return Err(error.into()),
        Err(Halt::Rules(error)) => return Err(error.into()),
        Err(Halt::Failed { side, failure }) => context.problem(Problem::new(None, side, &failure)),
    }
    if let Some(parking) = &parking {
        context.problem(parking.problem.clone());
    }
    let finished = context.finish();
    let seconds = start.elapsed().as_secs_f64();
    trail::turn(&context, &finished, &connections(&job.mailbox), seconds).await?;
    job.add(&finished);
    job.worked += start.elapsed();
    let mailbox = &job.mailbox.name;
    let Some(Parking { class, problem, pause }) = parking else {
        job.tell_attempts(&ledger)?;
        observer.notify(Progress::Finished { mailbox });
        return Ok((job, Ended::Through));
    };
    job.history.note_park(finished.worked.moved());
    let milliseconds = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    let parked = Parked {
        class: class.row().name.to_owned(),
        text: problem.text,
        until_unix_ms: context
            .options
            .faults
            .clock
            .unix_ms()
            .saturating_add_unsigned(milliseconds),
    };
    parking::note(&ledger, id, Some(&parked))?;
    context.flush().await?;
    observer.notify(Progress::Parked {
        mailbox,
        reason: &parked.text,
        milliseconds,
    });
    job.parked = Some(parked);
    Ok((job, Ended::Parked(pause)))
}

/// What both sides of a mailbox were connected to.
fn connections(mailbox: &Mailbox) -> BothConnections {
    BothConnections {
        source: mailbox.source.connections(),
        destination: mailbox.destination.connections(),
    }
}

/// What the connectors of both sides used and tried.
fn connectors(mailbox: &Mailbox) -> Vec<ConnectorReport> {
    [("source", &mailbox.source), ("destination", &mailbox.destination)]
        .into_iter()
        .filter_map(|(side, provider)| ConnectorReport::of(side, provider.as_ref()))
        .collect()
}

/// Where things stand, from the ledger alone.
pub fn status(ledger: &Ledger, only: Option<&[String]>) -> Result<Report, EngineError> {
    let mut reports = Vec::new();
    for (id, name) in ledger.mailboxes()? {
        if only.is_none_or(|only| only.contains(&name)) {
            let collections = ledger.collections(id)?;
            reports.push(MailboxReport {
                name,
                kind: collections.first().map(|first| first.source.kind).unwrap_or_default(),
                counts: Counts::of(&collections, 0.0),
                parked: parking::noted(ledger, id)?,
                ..MailboxReport::default()
            });
        }
    }
    Ok(Report::new(reports, 0.0, false))
}

/// Puts failed and oversize items of a mailbox back among those that wait, all or those with one of these codes
/// (`rejected`, `oversize`…); what rules left out only where `filtered` is among them. Gives how many.
pub fn requeue(ledger: &Ledger, mailbox: &str, codes: &[String]) -> Result<u64, EngineError> {
    let Some(id) = ledger.find_mailbox(mailbox)? else {
        return Ok(0);
    };
    let mut batch = ledger.batch(id);
    let mut count = 0;
    for item in ledger
        .failed(id)
        .chain(ledger.oversize(id))
        .chain(left_out(ledger, id, codes)?)
    {
        let (collection, record) = item?;
        let code = match &record.fate {
            Fate::Failed { failure, .. } => failure.code(),
            other => other.code(),
        };
        if retriable(&record.fate) && (codes.is_empty() || codes.iter().any(|wanted| wanted == code)) {
            batch.requeue(collection, &record.meta.id);
            count += 1;
        }
    }
    if count > 0 {
        batch.event("requeued", json!({ "items": count }));
        ledger.commit(batch, Durability::Flush)?;
    }
    Ok(count)
}

/// What rules left out, where that is asked for.
fn left_out(
    ledger: &Ledger,
    mailbox: MailboxId,
    codes: &[String],
) -> Result<impl Iterator<Item = Result<(CollectionId, ItemRecord), LedgerError>>, LedgerError> {
    let mut collections = Vec::new();
    if codes.iter().any(|code| code == "filtered") {
        collections = ledger.collections(mailbox)?;
        collections.retain(|collection| collection.totals.filtered > 0);
    }
    let ledger = ledger.clone();
    Ok(collections.into_iter().flat_map(move |collection| {
        ledger
            .items(mailbox, collection.id)
            .filter(|item| {
                item.as_ref()
                    .map_or(true, |item| matches!(item.fate, Fate::Filtered { .. }))
            })
            .map(move |item| item.map(|item| (collection.id, item)))
    }))
}
