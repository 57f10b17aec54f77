//! From decisions to what is put where.

use whimbrel_ledger::{Batch, CollectionId, CollectionRecord, Fate, ItemRecord, Ruling};
use whimbrel_model::{Failure, Fingerprint};
use whimbrel_rules::{Decision, Step};
use whimbrel_sandbox::Item;
use whimbrel_wire::Blob;

use crate::{
    context::{Context, Halt},
    lane::Lanes,
    orphans::Orphan,
    prepare::quarantined,
    report::Problem,
    spots::{SpotId, Spots},
};

use super::{
    Decided, OnError, failed, ruling,
    transform::{DKIM_BROKEN, LEFT_SIGNED, TransformError, Transformed, transform},
};

/// An item that the rules let pass, as it is to be put.
#[derive(Clone)]
pub struct Ruled {
    /// What the ledger knows of it.
    pub record: ItemRecord,
    /// What the source gave.
    pub item: Item,
    /// Of the source's bytes.
    pub fingerprint: Fingerprint,
    /// What is put.
    pub content: Blob,
    /// Of that, where rules changed it.
    pub put: Option<Fingerprint>,
    /// What they changed, by name.
    pub changes: Vec<String>,
    /// What they decided.
    pub ruling: Option<Ruling>,
    /// Where it goes.
    pub place: SpotId,
    /// Where further copies go.
    pub copies: Vec<SpotId>,
    /// What it is known again as, once that was looked up.
    pub orphan: Option<Orphan>,
}

/// An item that the rules failed on.
pub struct Unruled {
    /// What the ledger knows of it.
    pub record: ItemRecord,
    /// What the source gave.
    pub item: Item,
    /// Of the source's bytes.
    pub fingerprint: Fingerprint,
    /// How they failed.
    pub failure: Failure,
}

/// Puts decisions to work: items left out are recorded in `batch`, the others get their content and their places.
pub async fn rule_all(
    context: &Context,
    lanes: &mut Lanes<'_>,
    spots: &mut Spots,
    collection: &CollectionRecord,
    decided: Vec<Decided>,
    batch: &mut Batch,
) -> Result<(Vec<Ruled>, Vec<Unruled>), Halt> {
    let (mut ruled, mut unruled) = (Vec::with_capacity(decided.len()), Vec::new());
    let stop = context
        .options
        .rules
        .as_ref()
        .is_some_and(|book| book.on_error == OnError::Stop);
    for Decided {
        record,
        item,
        fingerprint,
        decision,
    } in decided
    {
        let mut refuse = |record, item, failure| {
            unruled.push(Unruled {
                record,
                item,
                fingerprint,
                failure,
            });
        };
        let mut decision = match decision {
            Ok(decision) => decision,
            Err(error) if stop => return Err(Halt::Rules(error)),
            Err(error) => {
                refuse(record, item, failed(&error));
                continue;
            }
        };
        if decision.skip.is_some() {
            filtered(
                context,
                collection.id,
                &record.meta.id,
                &decision,
                Some(fingerprint),
                batch,
            );
            continue;
        }
        let place = spots
            .find(context, lanes, decision.mailbox.as_deref(), decision.place.as_ref())
            .await?;
        let place = match place {
            Ok(place) => place,
            Err(failure) => {
                refuse(record, item, failure);
                continue;
            }
        };
        let mut copies = Vec::new();
        let mut unreachable = None;
        for wanted in &decision.copies {
            match spots.find(context, lanes, None, Some(wanted)).await? {
                Ok(spot) if spot == place || copies.contains(&spot) => {}
                Ok(spot) => copies.push(spot),
                Err(failure) => unreachable = Some(failure),
            }
        }
        if let Some(failure) = unreachable {
            refuse(record, item, failure);
            continue;
        }
        let (content, put, changes) = match transform(context, &decision, &item).await {
            Ok(Some(Transformed {
                put: Some((content, print)),
                changes,
            })) => (content, Some(print), changes),
            Ok(Some(Transformed { put: None, changes })) => (item.content.clone(), None, changes),
            Ok(None) => (item.content.clone(), None, Vec::new()),
            Err(TransformError::Edit(problem)) => {
                refuse(record, item, Failure::Rules(problem));
                continue;
            }
            Err(TransformError::Io(error)) => {
                let failure = Failure::Unavailable(format!("what the rules want could not be done: {error}"));
                context.problem(Problem::new(Some(collection.source.display_path()), "rules", &failure));
                continue;
            }
        };
        mention(&mut decision.steps, &changes);
        context.tally(&decision.steps);
        note(&decision, batch);
        let ruling = ruling(&decision);
        if ruling.is_some() || record.ruling.is_some() {
            batch.rule(collection.id, &record.meta.id, ruling.clone());
        }
        ruled.push(Ruled {
            record,
            item,
            fingerprint,
            content,
            put,
            changes,
            ruling,
            place,
            copies,
            orphan: None,
        });
    }
    Ok((ruled, unruled))
}

/// Records an item that the rules leave out.
pub fn filtered(
    context: &Context,
    collection: CollectionId,
    id: &str,
    decision: &Decision,
    fingerprint: Option<Fingerprint>,
    batch: &mut Batch,
) {
    context.tally(&decision.steps);
    note(decision, batch);
    batch.rule(collection, id, ruling(decision));
    let reason = decision.skip.clone().unwrap_or_default();
    batch.settle(collection, id, Fate::Filtered { reason }, fingerprint, Vec::new());
}

/// What changing the head did to signatures, as steps of the rule that changed it.
fn mention(steps: &mut Vec<Step>, changes: &[String]) {
    for (name, did) in [
        (DKIM_BROKEN, "broke the DKIM signature"),
        (LEFT_SIGNED, "left as it was: it is signed"),
    ] {
        let edits = |step: &&Step| {
            ["header", "rewrite", "detach"]
                .iter()
                .any(|word| step.did.split(' ').next().is_some_and(|verb| verb.contains(word)))
        };
        if changes.iter().any(|change| change == name)
            && let Some(step) = steps.iter().rfind(edits).cloned()
        {
            steps.push(Step {
                did: did.to_owned(),
                ..step
            });
        }
    }
}

/// What the rules want said.
fn note(decision: &Decision, batch: &mut Batch) {
    for text in &decision.notes {
        batch.event("rule-note", serde_json::json!({ "text": text }));
    }
}

/// Records the items that the rules failed on; their bytes are kept.
pub async fn settle_unruled(
    context: &Context,
    collection: &CollectionRecord,
    unruled: Vec<Unruled>,
    batch: &mut Batch,
) -> Result<(), Halt> {
    for one in unruled {
        let fate = Fate::Failed {
            failure: one.failure,
            diagnosis: None,
            quarantine: quarantined(context, &one.fingerprint, (&one.item.media_type, &one.item.content)).await,
        };
        let id = &one.record.meta.id;
        batch.settle(collection.id, id, fate, Some(one.fingerprint), Vec::new());
    }
    Ok(())
}
