//! What the rules say where an item could not be read, or was refused.

use std::sync::Arc;

use whimbrel_ledger::{Batch, CollectionRecord, Fate, ItemRecord};
use whimbrel_model::Failure;
use whimbrel_rules::{FailureFacts, FailureVerb, FolderFacts, Hook};

use crate::{
    context::{Context, Halt},
    report::Problem,
};

use super::{OnError, failed, steps};

/// Asks the rules about a failure; true where they dealt with it, so that it is not to be recorded as one.
pub fn excused(
    context: &Context,
    collection: &CollectionRecord,
    folder: &Arc<FolderFacts>,
    record: &ItemRecord,
    (side, failure): (&'static str, &Failure),
    batch: &mut Batch,
) -> Result<bool, Halt> {
    let Some(book) = context
        .options
        .rules
        .as_ref()
        .filter(|book| book.rules.has(Hook::Failure))
    else {
        return Ok(false);
    };
    let facts = FailureFacts {
        folder: folder.clone(),
        size: record.meta.size,
        code: failure.code().to_owned(),
        text: failure.to_string(),
        side,
        attempts: record.attempts + 1,
    };
    let decision = match book.rules.failure(&facts) {
        Ok(decision) => decision,
        Err(error) if book.on_error == OnError::Stop => return Err(Halt::Rules(error)),
        Err(error) => {
            context.problem(Problem::new(
                Some(collection.source.display_path()),
                "rules",
                &failed(&error),
            ));
            return Ok(false);
        }
    };
    context.tally(&decision.steps);
    match decision.verb {
        FailureVerb::Default => Ok(false),
        FailureVerb::Retry => {
            context.problem(Problem::new(Some(collection.source.display_path()), side, failure));
            Ok(true)
        }
        FailureVerb::Skip(reason) => {
            // What was decided of it before it was put stands beside this.
            let decided = match side {
                "destination" => context.ledger.item(context.id, collection.id, &record.meta.id)?,
                _ => None,
            };
            let mut ruling = decided.and_then(|item| item.ruling).unwrap_or_default();
            ruling.steps.extend(steps(&decision.steps));
            batch.rule(collection.id, &record.meta.id, Some(ruling));
            let fate = Fate::Filtered { reason };
            batch.settle(collection.id, &record.meta.id, fate, None, Vec::new());
            Ok(true)
        }
        FailureVerb::Stop(reason) => Err(Halt::Failed {
            side: "rules",
            failure: Failure::Rules(format!("{reason} ({side}: {failure})")),
        }),
    }
}
