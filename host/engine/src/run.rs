//! Runs over many mailboxes.

use std::{sync::Arc, time::Instant};

use tokio::{sync::Semaphore, task::JoinSet};
use whimbrel_ledger::{Durability, Fate, Ledger, LedgerError};

use crate::{
    Counts, MailboxReport, Observer, Options, Progress, Provider, Report, Stop,
    context::{Context, Halt, MEMORY_UNIT},
    mailbox::{move_mailbox, retriable},
    report::{Problem, Worked},
};

/// A mailbox that is to be moved.
#[derive(Clone)]
pub struct Mailbox {
    /// The admin's name for it; the ledger knows it by this.
    pub name: String,
    /// Where from.
    pub source: Arc<dyn Provider>,
    /// Where to.
    pub destination: Arc<dyn Provider>,
}

/// Why a run as a whole ends.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing can be recorded, so nothing may be done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Moves what is new and what changed in these mailboxes. A mailbox that fails does not stop the others; a ledger that
/// fails stops everything. Reports come in the order of the mailboxes.
pub async fn migrate(
    ledger: &Ledger,
    mailboxes: Vec<Mailbox>,
    options: &Options,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Result<Report, EngineError> {
    let start = Instant::now();
    let options = Arc::new(options.clone());
    let slots = Arc::new(Semaphore::new(options.mailboxes.max(1)));
    let memory = usize::try_from((options.memory / MEMORY_UNIT).max(1)).unwrap_or(usize::MAX);
    let memory = Arc::new(Semaphore::new(memory.min(Semaphore::MAX_PERMITS)));
    let mut tasks = JoinSet::new();
    for (number, mailbox) in mailboxes.into_iter().enumerate() {
        let (slots, memory, options) = (slots.clone(), memory.clone(), options.clone());
        let (ledger, observer, stop) = (ledger.clone(), observer.clone(), stop.clone());
        tasks.spawn(async move {
            let slot = slots.acquire_owned().await;
            let report = one(ledger, mailbox, options, memory, observer, stop).await;
            drop(slot);
            (number, report)
        });
    }
    let mut reports = Vec::new();
    let mut broken = None;
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
        return Err(error.into());
    }
    reports.sort_by_key(|(number, _)| *number);
    let reports = reports.into_iter().map(|(_, report)| report).collect();
    Ok(Report::new(reports, start.elapsed().as_secs_f64(), stop.stopped()))
}

async fn one(
    ledger: Ledger,
    mailbox: Mailbox,
    options: Arc<Options>,
    memory: Arc<Semaphore>,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Result<MailboxReport, LedgerError> {
    let start = Instant::now();
    let id = ledger.mailbox(&mailbox.name)?;
    let name = mailbox.name.clone();
    observer.notify(Progress::Started { mailbox: &name });
    let context = Arc::new(Context::new(
        ledger.clone(),
        id,
        mailbox,
        options,
        memory,
        observer.clone(),
        stop.clone(),
    ));
    let result = if stop.stopped() {
        Err(Halt::Stopped)
    } else {
        move_mailbox(&context).await
    };
    match result {
        Ok(()) | Err(Halt::Stopped) => {}
        Err(Halt::Ledger(error)) => return Err(error),
        Err(Halt::Failed { side, failure }) => context.problem(Problem::new(None, side, &failure)),
    }
    let (worked, problems, notes) = context.finish();
    finish_events(&context, &worked, &problems).await?;
    observer.notify(Progress::Finished { mailbox: &name });
    let counts = Counts::of(&ledger.collections(id)?, start.elapsed().as_secs_f64());
    Ok(MailboxReport {
        name,
        counts,
        worked,
        problems,
        notes,
    })
}

/// Leaves a line in the audit trail, if there was anything to tell.
async fn finish_events(context: &Context, worked: &Worked, problems: &[Problem]) -> Result<(), LedgerError> {
    if *worked == Worked::default() && problems.is_empty() {
        return Ok(());
    }
    let mut batch = context.ledger.batch(context.id);
    for problem in problems {
        batch.event("problem", serde_json::json!(problem));
    }
    batch.event("run", serde_json::json!(worked));
    context.commit(batch, Durability::Flush).await
}

/// Where things stand, from the ledger alone.
pub fn status(ledger: &Ledger, only: Option<&[String]>) -> Result<Report, EngineError> {
    let mut reports = Vec::new();
    for (id, name) in ledger.mailboxes()? {
        if only.is_none_or(|only| only.contains(&name)) {
            let counts = Counts::of(&ledger.collections(id)?, 0.0);
            reports.push(MailboxReport {
                name,
                counts,
                worked: Worked::default(),
                problems: Vec::new(),
                notes: Vec::new(),
            });
        }
    }
    Ok(Report::new(reports, 0.0, false))
}

/// Puts failed and oversize items of a mailbox back among those that wait, all or those with one of these codes
/// (`rejected`, `oversize`…). Gives how many.
pub fn requeue(ledger: &Ledger, mailbox: &str, codes: &[String]) -> Result<u64, EngineError> {
    let Some(id) = ledger.find_mailbox(mailbox)? else {
        return Ok(0);
    };
    let mut batch = ledger.batch(id);
    let mut count = 0;
    for item in ledger.failed(id).chain(ledger.oversize(id)) {
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
        batch.event("requeued", serde_json::json!({ "items": count }));
        ledger.commit(batch, Durability::Flush)?;
    }
    Ok(count)
}
