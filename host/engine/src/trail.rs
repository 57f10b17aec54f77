//! What a run leaves in the audit trail.

use serde_json::json;
use whimbrel_ledger::{Durability, Ledger, LedgerError};

use crate::{
    context::{Context, Finished},
    report::{BothConnections, ConnectorReport, Worked},
};

/// Of a turn of a mailbox, if it did anything: what was wrong, what rules did, what it was connected to, and what it did
/// in which time.
pub async fn turn(
    context: &Context,
    finished: &Finished,
    connections: &BothConnections,
    seconds: f64,
) -> Result<(), LedgerError> {
    if finished.worked == Worked::default() && finished.problems.is_empty() {
        return Ok(());
    }
    let mut batch = context.ledger.batch(context.id);
    for problem in &finished.problems {
        batch.event("problem", json!(problem));
    }
    for rule in &finished.rules {
        batch.event("rule", json!(rule));
    }
    if *connections != BothConnections::default() {
        batch.event("connected", json!(connections));
    }
    let mut worked = json!(finished.worked);
    if let Some(fields) = worked.as_object_mut() {
        // To the millisecond: nobody reads more.
        fields.insert("seconds".to_owned(), ((seconds * 1000.0).round() / 1000.0).into());
    }
    batch.event("run", worked);
    context.commit(batch, Durability::Flush).await
}

/// Of a mailbox's connectors: what they tried and were refused, and what they failed at.
pub fn attempts(ledger: &Ledger, mailbox: &str, connectors: &[ConnectorReport]) -> Result<(), LedgerError> {
    if connectors.iter().all(|connector| connector.usage.is_quiet()) {
        return Ok(());
    }
    let mut batch = ledger.batch(ledger.mailbox(mailbox)?);
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
    ledger.commit(batch, Durability::Flush)
}
