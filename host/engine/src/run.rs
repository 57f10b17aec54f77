//! Runs over many mailboxes.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};
use whimbrel_ledger::{CollectionId, Durability, Fate, ItemRecord, Ledger, LedgerError, MailboxId};
use whimbrel_rules::RuleError;

use crate::{
    Counts, MailboxReport, Observer, Options, Progress, Provider, Report, Stop,
    context::{Context, Finished, Halt},
    mailbox::{move_mailbox, retriable},
    report::{BothConnections, ConnectorReport, Problem, Worked},
    shared::Shared,
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
    /// What the admin says of it, for rules: columns of the CSV, or `attributes`.
    pub attributes: BTreeMap<String, String>,
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
    let slots = Arc::new(Semaphore::new(options.mailboxes.max(1)));
    let shared = Shared::new(mailboxes.len(), options, observer, stop.clone());
    let mut tasks = JoinSet::new();
    for (number, mailbox) in mailboxes.into_iter().enumerate() {
        let (slots, ledger, shared) = (slots.clone(), ledger.clone(), shared.clone());
        tasks.spawn(async move {
            let slot = slots.acquire_owned().await;
            // Boxed when its turn comes: thousands that wait take no room for their work.
            let report = Box::pin(one(ledger, mailbox, shared)).await;
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
        return Err(error);
    }
    reports.sort_by_key(|(number, _)| *number);
    let reports = reports.into_iter().map(|(_, report)| report).collect();
    Ok(Report::new(reports, start.elapsed().as_secs_f64(), stop.stopped()))
}

async fn one(ledger: Ledger, mailbox: Mailbox, shared: Shared) -> Result<MailboxReport, EngineError> {
    let start = Instant::now();
    let id = ledger.mailbox(&mailbox.name)?;
    let name = mailbox.name.clone();
    shared.observer.notify(Progress::Started { mailbox: &name });
    let context = Arc::new(Context::new(ledger.clone(), id, mailbox, shared));
    let result = if context.stop.stopped() {
        Err(Halt::Stopped)
    } else {
        move_mailbox(&context).await
    };
    match result {
        Ok(()) | Err(Halt::Stopped) => {}
        Err(Halt::Ledger(error)) => return Err(error.into()),
        Err(Halt::Rules(error)) => return Err(error.into()),
        Err(Halt::Failed { side, failure }) => context.problem(Problem::new(None, side, &failure)),
    }
    let finished = context.finish();
    let sides = [
        ("source", &context.mailbox.source),
        ("destination", &context.mailbox.destination),
    ];
    let connectors: Vec<ConnectorReport> = sides
        .into_iter()
        .filter_map(|(side, provider)| ConnectorReport::of(side, provider.as_ref()))
        .collect();
    finish_events(&context, &finished, &connectors).await?;
    context.observer.notify(Progress::Finished { mailbox: &name });
    let counts = Counts::of(&ledger.collections(id)?, start.elapsed().as_secs_f64());
    let connections = BothConnections {
        source: context.mailbox.source.connections(),
        destination: context.mailbox.destination.connections(),
    };
    let Finished {
        worked,
        problems,
        notes,
        rules,
    } = finished;
    Ok(MailboxReport {
        name,
        counts,
        worked,
        problems,
        notes,
        rules,
        connections,
        connectors,
    })
}

/// Leaves a line in the audit trail, if there was anything to tell.
async fn finish_events(
    context: &Context,
    finished: &Finished,
    connectors: &[ConnectorReport],
) -> Result<(), LedgerError> {
    let idle = finished.worked == Worked::default() && finished.problems.is_empty();
    if idle && connectors.iter().all(|connector| connector.usage.is_quiet()) {
        return Ok(());
    }
    let mut batch = context.ledger.batch(context.id);
    for ConnectorReport {
        side,
        connector,
        version,
        usage,
    } in connectors
    {
        for refusal in &usage.refused {
            batch.event(
                "refused",
                json!({
                    "side": side, "connector": connector, "version": version,
                    "attempt": refusal.attempt, "what": refusal.what, "count": refusal.count,
                }),
            );
        }
        if usage.traps + usage.timeouts + usage.memory_refusals + usage.refused_more > 0 {
            batch.event(
                "faults",
                json!({
                    "side": side, "connector": connector, "version": version, "traps": usage.traps,
                    "timeouts": usage.timeouts, "memory_refusals": usage.memory_refusals,
                    "refused_more": usage.refused_more,
                }),
            );
        }
    }
    for problem in &finished.problems {
        batch.event("problem", json!(problem));
    }
    for rule in &finished.rules {
        batch.event("rule", json!(rule));
    }
    if !idle {
        batch.event("run", json!(finished.worked));
    }
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
