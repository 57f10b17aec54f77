//! Bodies read at both sides and compared.

use std::collections::{BTreeMap, HashMap};

use whimbrel_ledger::ItemRecord;
use whimbrel_mail::content_print;
use whimbrel_model::{Failure, Fingerprint};
use whimbrel_sandbox::Item;
use whimbrel_wire::{Blob, BlobStoreConfig};

use super::{
    difference::{Class, How},
    places::PlaceId,
    source::is_gone,
    walk::{Case, Walk},
};
use crate::{
    context::{Context, Halt, MEMORY_UNIT},
    lane::SourceLane,
    print::fingerprint,
    report::Problem,
    rules::BlobContent,
};

/// Bodies read at once, in items and in bytes.
pub const AT_ONCE_ITEMS: usize = 50;
pub const AT_ONCE_BYTES: u64 = 8 << 20;

/// Names of alterations that change what a message says, as a format forces them: what was put cannot be had back.
const FORCED: [&str; 3] = ["status-headers", "from-quoting", "final-newline"];

impl Walk<'_> {
    /// Reads and compares everything that waits for it.
    pub async fn read_waiting(&mut self) -> Result<(), Halt> {
        let cases = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let mut groups: BTreeMap<PlaceId, Vec<Case>> = BTreeMap::new();
        for case in cases {
            groups.entry(case.place).or_default().push(case);
        }
        for (place, cases) in groups {
            self.read_group(place, cases).await?;
        }
        Ok(())
    }

    async fn read_group(&mut self, place: PlaceId, cases: Vec<Case>) -> Result<(), Halt> {
        let context = self.context;
        // Both sides' bodies are held at once.
        let _permit = budget(
            context,
            cases
                .iter()
                .map(|case| 2 * case.size().min(BlobStoreConfig::THRESHOLD))
                .sum(),
        )
        .await;
        let (account, collection) = (
            self.places.get(place).account,
            self.places.get(place).collection.clone(),
        );
        let ids: Vec<String> = cases.iter().filter_map(|case| case.id.clone()).collect();
        let Some(first) = cases.first() else { return Ok(()) };
        let from = first.source_collection.clone();
        let asked: Vec<String> = match self.look.blind || self.look.stale.contains(&*from) {
            true => Vec::new(),
            false => cases
                .iter()
                .filter(|case| case.record.live)
                .map(|case| case.record.meta.id.clone())
                .collect(),
        };
        let lane = self.places.lane(context, account)?;
        let (there, here) = futures::join!(
            fetch(context, lane, &collection, &ids),
            fetch(context, &mut self.source, &from, &asked)
        );
        let mut there: HashMap<String, Result<Item, Failure>> = ids.into_iter().zip(there?).collect();
        let mut here: HashMap<String, Result<Item, Failure>> = asked.into_iter().zip(here?).collect();
        for case in cases {
            let found = case.id.as_ref().and_then(|id| there.remove(id));
            // Copies of one item share the source's body.
            let source = match here.get(&case.record.meta.id) {
                Some(Ok(item)) => Some(item.clone()),
                Some(Err(failure)) if is_gone(failure) => None,
                Some(Err(failure)) => {
                    context.problem(Problem::new(Some(case.path.to_string()), "source", failure));
                    None
                }
                None => None,
            };
            self.compare_body(case, found, source).await?;
        }
        here.clear();
        Ok(())
    }

    async fn compare_body(
        &mut self,
        mut case: Case,
        found: Option<Result<Item, Failure>>,
        source: Option<Item>,
    ) -> Result<(), Halt> {
        let found = match found {
            Some(Ok(item)) => item,
            Some(Err(failure)) if is_gone(&failure) => {
                case.id = None;
                self.lost.push(case);
                return Ok(());
            }
            Some(Err(failure)) => return self.unreadable(&case, &failure),
            None => return Ok(()),
        };
        self.tally.read += 1;
        self.tally.bytes += found.content.size();
        let read = async { Ok::<_, std::io::Error>((fingerprint(&found).await?, content_of(&found.content).await?)) };
        let read = read.await;
        let (print, content) = match read {
            Ok(read) => read,
            Err(error) => return self.unreadable(&case, &Failure::Unavailable(error.to_string())),
        };
        let reference = self.reference(&case, source).await;
        let how = match compare(&case.record, &print) {
            Some(how) => how,
            None => {
                let reference = match &reference {
                    Some(blob) => content_of(blob).await.ok(),
                    None => None,
                };
                let forced = case
                    .record
                    .repairs
                    .iter()
                    .any(|repair| FORCED.contains(&repair.as_str()));
                let wanted = case.record.wanted().map(|print| print.exact.to_string());
                let exact = Some(print.exact.to_string());
                match reference {
                    Some(reference) if reference == content && forced => How::Content,
                    Some(reference) if reference == content => {
                        self.differs(&mut case, Class::AlteredTransport, wanted, exact);
                        How::Different
                    }
                    // The ledger says that the format changed it, and there is nothing to compare it with.
                    None if forced => How::Listing,
                    _ => {
                        self.differs(&mut case, Class::AlteredContent, wanted, exact);
                        How::Different
                    }
                }
            }
        };
        self.done(&case, how, Some(content));
        Ok(())
    }

    /// The source's body, where it is what was put there: unchanged since, and not by rules.
    async fn reference(&mut self, case: &Case, source: Option<Item>) -> Option<Blob> {
        let (source, known) = (source?, case.record.fingerprint?);
        let now = fingerprint(&source).await.ok()?;
        if now.exact != known.exact && now.transport != known.transport {
            self.tally.altered_at_source += u64::from(!case.copy);
            return None;
        }
        case.record.put.is_none().then_some(source.content)
    }

    fn unreadable(&mut self, case: &Case, failure: &Failure) -> Result<(), Halt> {
        self.tally.unreadable += 1;
        self.context.problem(Problem::new(
            Some(self.places.get(case.place).path.clone()),
            "destination",
            failure,
        ));
        self.done(case, How::Unreadable, None);
        Ok(())
    }
}

/// Whether what lies there is what was put, as far as its bytes tell.
pub fn compare(record: &ItemRecord, there: &Fingerprint) -> Option<How> {
    let wanted = record.wanted()?;
    match () {
        () if there.exact == wanted.exact => Some(How::Bytes),
        () if there.transport == wanted.transport => Some(How::Transport),
        () => None,
    }
}

/// The content fingerprint of a body, taken off the runtime's threads.
async fn content_of(blob: &Blob) -> std::io::Result<[u8; 32]> {
    let content = BlobContent(blob.clone());
    match tokio::task::spawn_blocking(move || content_print(&content, &whimbrel_mail::Limits::default())).await {
        Ok(print) => print,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Asks for bodies; nothing where nothing is asked for.
pub async fn fetch(
    context: &Context,
    lane: &mut SourceLane,
    collection: &str,
    ids: &[String],
) -> Result<Vec<Result<Item, Failure>>, Halt> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    match persist!(context, lane, |account| account.fetch(collection, ids)) {
        Err(Halt::Failed { failure, .. }) if is_gone(&failure) => Ok(vec![Err(failure); ids.len()]),
        other => other,
    }
}

/// Waits for room in memory for so many bytes, or for all of it where they are more.
pub async fn budget(context: &Context, bytes: u64) -> Option<tokio::sync::OwnedSemaphorePermit> {
    let all = u32::try_from((context.options.memory / MEMORY_UNIT).max(1)).unwrap_or(u32::MAX);
    let permits = u32::try_from(bytes.div_ceil(MEMORY_UNIT))
        .unwrap_or(u32::MAX)
        .clamp(1, all);
    context.memory.clone().acquire_many_owned(permits).await.ok()
}
