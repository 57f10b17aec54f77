//! What happened at the source since the last run: not yet migrated, and no difference.

use std::collections::HashSet;

use serde::Serialize;
use whimbrel_ledger::{CollectionRecord, Fate};
use whimbrel_model::{Change, Collection, Failure, flags};

use crate::{
    context::{Context, Halt},
    lane::SourceLane,
    report::Problem,
};

/// Changes asked for at once.
const PAGE: u32 = 2000;

/// What has changed at the source since the last run; the next run takes it along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Since {
    /// Messages that no run has seen.
    pub new: u64,
    /// Messages with other flags or labels.
    pub marked: u64,
    /// Messages that are gone.
    pub gone: u64,
    /// Messages with other bytes than were read then.
    pub altered: u64,
}

impl Since {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            new: self.new + other.new,
            marked: self.marked + other.marked,
            gone: self.gone + other.gone,
            altered: self.altered + other.altered,
        }
    }
}

/// A look at the source.
#[derive(Default)]
pub struct Look {
    /// What changed.
    pub since: Since,
    /// It cannot be read at all.
    pub blind: bool,
    /// Collections whose items cannot be asked for by the ids of the ledger.
    pub stale: HashSet<String>,
}

/// Lists the source anew and compares it with the ledger, which stays as it is.
pub async fn look(context: &Context, lane: &mut SourceLane) -> Result<Look, Halt> {
    let all = persist!(context, lane, |account| account.collections())?;
    let known = context.ledger.collections(context.id)?;
    let mut look = Look::default();
    for collection in &all {
        if !collection.selectable || context.options.folders.excludes(&collection.path) {
            continue;
        }
        let record = known.iter().find(|record| record.source.id == collection.id);
        let generations = record.map(|record| (&record.source.generation, &collection.generation));
        if let Some((Some(before), Some(now))) = generations
            && before != now
        {
            look.stale.insert(collection.id.clone());
            context.note(format!(
                "folder `{}`: the source gave all messages new ids since the last run; `whimbrel migrate` matches them, then verify again",
                collection.display_path()
            ));
            continue;
        }
        match compare(context, lane, collection, record).await {
            Ok(since) => look.since = look.since.plus(since),
            Err(Halt::Failed { side, failure }) if Halt::concerns_failure(&failure) => {
                look.stale.insert(collection.id.clone());
                context.problem(Problem::new(Some(collection.display_path()), side, &failure));
            }
            Err(halt) => return Err(halt),
        }
    }
    for record in known {
        if !all.iter().any(|collection| collection.id == record.source.id) {
            look.since.gone += record.totals.live;
            look.stale.insert(record.source.id);
        }
    }
    Ok(look)
}

async fn compare(
    context: &Context,
    lane: &mut SourceLane,
    collection: &Collection,
    record: Option<&CollectionRecord>,
) -> Result<Since, Halt> {
    let (mut since, mut live) = (Since::default(), 0);
    let mut cursor: Option<String> = None;
    loop {
        let page = persist!(context, lane, |account| account.changes(
            &collection.id,
            cursor.as_deref(),
            PAGE
        ))?;
        for change in page.changes {
            let (Change::Upserted(meta) | Change::Marked(meta)) = change else {
                continue;
            };
            let known = match record {
                Some(record) => context.ledger.item(context.id, record.id, &meta.id)?,
                None => None,
            };
            match known.filter(|item| item.live && item.fate != Fate::Gone) {
                None => since.new += 1,
                Some(item) => {
                    live += 1;
                    let changed = !flags::same(&item.meta.flags, &meta.flags) || item.meta.labels != meta.labels;
                    since.marked += u64::from(changed);
                }
            }
        }
        if !page.more {
            break;
        }
        if context.stop.stopped() {
            return Err(Halt::Stopped);
        }
        cursor = Some(page.cursor);
    }
    since.gone = record.map_or(0, |record| record.totals.live.saturating_sub(live));
    Ok(since)
}

/// Whether an item that could not be fetched is gone, rather than out of reach.
pub fn is_gone(failure: &Failure) -> bool {
    matches!(failure, Failure::NotFound(_) | Failure::GenerationChanged)
}
