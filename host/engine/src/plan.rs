//! What a run would do, as data. Reads both sides and the ledger, changes none of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::Serialize;
use whimbrel_ledger::{CollectionRecord, Ledger, LedgerError, MailboxId};
use whimbrel_model::{Change, Collection, Failure, Kind, Limits, display_path, flags};
use whimbrel_rules::{Hook, RuleError, Wanted};

use crate::{
    Mailbox, Options,
    connector::Source,
    deletions::{Vanished, vanished},
    names::{Guides, NameNote, plan_names},
    rules::{self, Foreseen, Foresight},
};

/// Changes asked for at once.
const PAGE: u32 = 2000;

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// A folder of the destination is made.
    Create {
        /// Path at the source.
        from: String,
        /// Path at the destination.
        to: String,
        /// Why there, where that is not simply its own path.
        notes: Vec<NameNote>,
    },
    /// A folder that is there is used.
    Use {
        /// Path at the source.
        from: String,
        /// Path at the destination.
        to: String,
        /// Why there.
        notes: Vec<NameNote>,
        /// Items in it already: equal ones are merged, not doubled.
        holds: u64,
    },
    /// Items are copied.
    Copy {
        /// Path at the source.
        from: String,
        /// How many.
        items: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Flags are brought up to date.
    Mark {
        /// Path at the source.
        from: String,
        /// Of how many items.
        items: u64,
    },
    /// Items are left out for their size.
    Oversize {
        /// Path at the source.
        from: String,
        /// How many.
        items: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A folder is left out by the settings.
    Exclude {
        /// Path at the source.
        from: String,
    },
    /// A folder of a kind that the destination does not hold: it waits.
    Unheld {
        /// Path at the source.
        from: String,
        /// What is in it.
        kind: Kind,
        /// How many, if the source tells.
        items: Option<u64>,
    },
    /// Items are left out by rules, as far as their listing tells.
    Filter {
        /// Path at the source.
        from: String,
        /// How many.
        items: u64,
        /// Why.
        reason: String,
    },
    /// Rules decide on items when they have seen them; `rules try` shows what.
    Rule {
        /// Path at the source.
        from: String,
        /// On how many.
        items: u64,
    },
    /// All ids changed: items are read again and matched by content.
    Rematch {
        /// Path at the source.
        from: String,
    },
    /// Items that were deleted at the source go to the destination's trash, if they are still missing then.
    Trash {
        /// How many.
        items: u64,
        /// How many have not been missing for long enough: a later run moves them.
        waiting: u64,
    },
    /// The source claims items that it does not list.
    Unexplained {
        /// Path at the source.
        from: String,
        /// How many.
        items: u64,
    },
}

/// What a run would do for a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The admin's name for it.
    pub mailbox: String,
    /// In order.
    pub steps: Vec<Step>,
    /// In how many days it is through, where the settings limit what is moved in a day.
    pub days: Option<u64>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The rules failed on a folder.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// A side failed.
    #[error("{side}: {failure}")]
    Failed {
        /// "source" or "destination".
        side: &'static str,
        /// How.
        failure: Failure,
    },
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Plans one mailbox; without a ledger, its first run.
pub async fn plan(ledger: Option<&Ledger>, mailbox: &Mailbox, options: &Options) -> Result<Plan, PlanError> {
    let at_source = |failure| PlanError::Failed {
        side: "source",
        failure,
    };
    let at_destination = |failure| PlanError::Failed {
        side: "destination",
        failure,
    };
    let known = match ledger {
        Some(ledger) => ledger.find_mailbox(&mailbox.name)?.map(|id| (ledger, id)),
        None => None,
    };
    let mut records: HashMap<String, CollectionRecord> = HashMap::new();
    if let Some((ledger, id)) = known {
        records = ledger
            .collections(id)?
            .into_iter()
            .map(|record| (record.source.id.clone(), record))
            .collect();
    }
    let mut source = mailbox.source.source().await.map_err(at_source)?;
    let sources = source.collections().await.map_err(at_source)?;
    let mut destination = mailbox.destination.destination().await.map_err(at_destination)?;
    let there = destination.collections().await.map_err(at_destination)?;
    let limits = destination
        .limits(mailbox.destination.kind())
        .await
        .map_err(at_destination)?;
    let (wanted, excluded): (Vec<Collection>, Vec<Collection>) = sources
        .into_iter()
        .partition(|collection| !options.folders.excludes(&collection.path));
    let held = mailbox.destination.kinds();
    let (wanted, unheld): (Vec<Collection>, Vec<Collection>) = wanted
        .into_iter()
        .partition(|collection| held.contains(&collection.kind));
    let facts = Arc::new(mailbox.facts());
    let (mut placed, mut left_out) = (HashMap::new(), HashMap::new());
    let book = options.rules.as_ref();
    if let Some(book) = book.filter(|book| book.rules.has(Hook::Folder)) {
        for collection in &wanted {
            let decision = book.rules.folder(&rules::facts(&facts, collection))?;
            placed.extend(decision.place.map(|place| (collection.id.clone(), place)));
            left_out.extend(decision.skip.map(|reason| (collection.id.clone(), reason)));
        }
    }
    let kept: Vec<Collection> = wanted
        .iter()
        .filter(|collection| !left_out.contains_key(&collection.id))
        .cloned()
        .collect();
    let mut steps = folders(&kept, &there, &records, &placed, &limits, options);
    steps.extend(excluded.iter().map(|collection| Step::Exclude {
        from: collection.display_path(),
    }));
    steps.extend(unheld.iter().filter(|it| it.selectable).map(|collection| Step::Unheld {
        from: collection.display_path(),
        kind: collection.kind,
        items: collection.items,
    }));
    let limit = [options.max_item_bytes, limits.max_item_bytes]
        .into_iter()
        .flatten()
        .min();
    for collection in wanted.iter().filter(|collection| collection.selectable) {
        let record = records.get(&collection.id);
        let foresight = Foresight::over(book.map(|book| &book.rules), &facts, collection);
        let reason = left_out.get(&collection.id);
        let scope = Scope {
            known,
            record,
            limit,
            reason,
        };
        steps.extend(items(source.as_mut(), collection, scope, foresight).await?);
    }
    if let (Some(deletions), Some((ledger, id))) = (&options.deletions, known) {
        let Vanished { due, waiting } = vanished(ledger, id, deletions)?;
        if deletions.now < deletions.until && due + waiting > 0 {
            steps.push(Step::Trash { items: due, waiting });
        }
    }
    let copied = |step: &Step| match step {
        Step::Copy { bytes, .. } => *bytes,
        _ => 0,
    };
    Ok(Plan {
        mailbox: mailbox.name.clone(),
        days: mailbox.daily.days(steps.iter().map(copied).sum()),
        steps,
    })
}

fn folders(
    wanted: &[Collection],
    there: &[Collection],
    records: &HashMap<String, CollectionRecord>,
    placed: &HashMap<String, Wanted>,
    limits: &Limits,
    options: &Options,
) -> Vec<Step> {
    let kept = records
        .iter()
        .filter_map(|(id, record)| Some((id.clone(), record.target.as_ref()?.path.clone())))
        .collect::<HashMap<_, _>>();
    let guides = Guides {
        kept: &kept,
        ruled: placed,
        options: &options.folders,
    };
    let names = plan_names(wanted, there, guides, limits);
    wanted
        .iter()
        .zip(names)
        .filter(|(collection, name)| collection.selectable && !name.notes.contains(&NameNote::Kept))
        .map(|(collection, name)| {
            let (from, to) = (collection.display_path(), display_path(&name.path));
            match there.iter().find(|other| other.path == name.path) {
                Some(other) => Step::Use {
                    from,
                    to,
                    notes: name.notes,
                    holds: other.items.unwrap_or(0),
                },
                None => Step::Create {
                    from,
                    to,
                    notes: name.notes,
                },
            }
        })
        .collect()
}

/// What a collection's items are looked at with.
struct Scope<'a> {
    known: Option<(&'a Ledger, MailboxId)>,
    record: Option<&'a CollectionRecord>,
    /// The largest item that goes, in bytes.
    limit: Option<u64>,
    /// Why rules leave all of them out, if they do.
    reason: Option<&'a String>,
}

async fn items(
    source: &mut dyn Source,
    collection: &Collection,
    scope: Scope<'_>,
    mut foresight: Foresight,
) -> Result<Vec<Step>, PlanError> {
    let Scope {
        known,
        record,
        limit,
        reason,
    } = scope;
    let at_source = |failure| PlanError::Failed {
        side: "source",
        failure,
    };
    let from = collection.display_path();
    let mut steps = Vec::new();
    let voided = record.is_some_and(
        |record| matches!((&record.source.generation, &collection.generation), (Some(old), Some(new)) if old != new),
    );
    if voided {
        return Ok(vec![Step::Rematch { from }]);
    }
    // What earlier runs found and did not finish.
    let (mut copies, mut bytes) = record.map_or((0, 0), |record| {
        (
            record.totals.pending,
            if record.totals.pending > 0 {
                record.totals.bytes_found.saturating_sub(record.totals.bytes_moved)
            } else {
                0
            },
        )
    });
    let (mut marks, mut oversize, mut listed) = (0, 0, record.map_or(0, |record| record.totals.live));
    let (mut filtered, mut unseen): (BTreeMap<String, u64>, u64) = (BTreeMap::new(), 0);
    if let Some(reason) = reason.filter(|_| copies > 0) {
        filtered.insert(reason.clone(), copies);
        (copies, bytes) = (0, 0);
    }
    let mut cursor = record
        .and_then(|record| record.cursor.as_deref())
        .map(|cursor| cursor.get(1..).unwrap_or_default().to_owned());
    loop {
        let page = match source.changes(&collection.id, cursor.as_deref(), PAGE).await {
            Err(Failure::GenerationChanged) => return Ok(vec![Step::Rematch { from }]),
            other => other.map_err(at_source)?,
        };
        for change in &page.changes {
            let (Change::Upserted(meta) | Change::Marked(meta)) = change else {
                continue;
            };
            let item = match (known, record) {
                (Some((ledger, id)), Some(record)) => ledger.item(id, record.id, &meta.id)?,
                _ => None,
            };
            match item {
                Some(item) if item.live => {
                    marks += u64::from(!flags::same(&item.meta.flags, &meta.flags));
                }
                _ if reason.is_some() => {
                    *filtered.entry(reason.cloned().unwrap_or_default()).or_default() += 1;
                    listed += 1;
                }
                _ if limit.is_some_and(|limit| meta.size.is_some_and(|size| size > limit)) => {
                    oversize += 1;
                    listed += 1;
                }
                _ => {
                    listed += 1;
                    match foresight.foresee(meta) {
                        Foreseen::LeftOut(reason) => {
                            *filtered.entry(reason).or_default() += 1;
                            continue;
                        }
                        Foreseen::Unseen => unseen += 1,
                        Foreseen::Decided => {}
                    }
                    copies += 1;
                    bytes += meta.size.unwrap_or(0);
                }
            }
        }
        if !page.more {
            break;
        }
        cursor = Some(page.cursor);
    }
    if copies > 0 {
        steps.push(Step::Copy {
            from: from.clone(),
            items: copies,
            bytes,
        });
    }
    if unseen > 0 {
        steps.push(Step::Rule {
            from: from.clone(),
            items: unseen,
        });
    }
    steps.extend(filtered.into_iter().map(|(reason, items)| Step::Filter {
        from: from.clone(),
        items,
        reason,
    }));
    if marks > 0 {
        steps.push(Step::Mark {
            from: from.clone(),
            items: marks,
        });
    }
    if let Some(limit) = limit.filter(|_| oversize > 0) {
        steps.push(Step::Oversize {
            from: from.clone(),
            items: oversize,
            limit,
        });
    }
    let missing = collection.items.map_or(0, |claimed| claimed.saturating_sub(listed));
    if missing > 0 {
        steps.push(Step::Unexplained { from, items: missing });
    }
    Ok(steps)
}
