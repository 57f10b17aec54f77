//! What is there: counts, sizes, what will not fit, what the provider hides. Reads both sides, changes neither.

use std::collections::BTreeMap;

use serde::Serialize;
use whimbrel_model::{Change, Collection, Failure, ItemMeta, Kind, Limits};

use crate::{
    Mailbox, Options,
    connector::Source,
    needs::{Needs, Offers},
};

/// Changes asked for at once.
const PAGE: u32 = 2000;
/// What a connection moves, in bytes a second, where nothing better is known: a cautious figure for a provider on the
/// internet, used for the estimate alone.
const BYTES_PER_SECOND: u64 = 2_000_000;
/// Likewise, in items a second.
const ITEMS_PER_SECOND: u64 = 40;

/// What is in a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionAssessment {
    /// Its path.
    pub path: String,
    /// Items listed.
    pub items: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Items that the provider claims beyond those listed.
    pub unexplained: u64,
    /// Why the listing was cut short, if the provider says.
    pub capped: Option<String>,
    /// Items larger than the destination, or the settings, take.
    pub oversize: u64,
    /// Bytes of the largest item.
    pub largest: u64,
    /// Left out by the settings.
    pub excluded: bool,
    /// What is in it.
    pub kind: Kind,
    /// Whether the destination holds that kind; else its items wait.
    pub held: bool,
}

/// What is in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// The admin's name for it.
    pub mailbox: String,
    /// Parents before children.
    pub collections: Vec<CollectionAssessment>,
    /// All items that would be moved.
    pub items: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Items that are too large.
    pub oversize: u64,
    /// Items claimed and not listed.
    pub unexplained: u64,
    /// Keywords in use, with how many items bear each.
    pub keywords: BTreeMap<String, u64>,
    /// Bytes that the destination has room for, if it tells.
    pub room: Option<u64>,
    /// Seconds that a first run takes, roughly: with the connections of the settings, at 2 MB and 40 items a second
    /// each.
    pub estimated_seconds: u64,
    /// In how many days it is through, where the settings limit what is moved in a day.
    pub days: Option<u64>,
    /// What should be looked at before the start.
    pub warnings: Vec<String>,
}

/// Looks at one mailbox.
pub async fn assess(mailbox: &Mailbox, options: &Options) -> Result<Assessment, Failure> {
    let mut source = mailbox.source.source().await?;
    let ((limits, offers), mut warnings) = match destination_side(mailbox).await {
        Ok(side) => (side, Vec::new()),
        Err(failure) => (
            (Limits::default(), Offers::default()),
            vec![format!("the destination could not be asked for its limits: {failure}")],
        ),
    };
    let limit = [options.max_item_bytes, limits.max_item_bytes]
        .into_iter()
        .flatten()
        .min();
    let mut collections = Vec::new();
    let (mut keywords, mut needs) = (BTreeMap::new(), Needs::default());
    for collection in source.collections().await? {
        let excluded = options.folders.excludes(&collection.path);
        if !collection.selectable {
            continue;
        }
        let mut assessed = if excluded {
            CollectionAssessment {
                items: collection.items.unwrap_or(0),
                bytes: collection.bytes.unwrap_or(0),
                excluded,
                ..empty(&collection)
            }
        } else {
            read(source.as_mut(), &collection, limit, (&mut keywords, &mut needs)).await?
        };
        assessed.held = mailbox.destination.kinds().contains(&collection.kind);
        collections.push(assessed);
    }
    let sum =
        |of: fn(&CollectionAssessment) -> u64| collections.iter().filter(|one| !one.excluded).map(of).sum::<u64>();
    let (items, bytes) = (sum(|one| one.items), sum(|one| one.bytes));
    let (oversize, unexplained) = (sum(|one| one.oversize), sum(|one| one.unexplained));
    if let Some(limit) = limit.filter(|_| oversize > 0) {
        warnings.push(format!(
            "{oversize} messages are larger than {limit} bytes and would be left out as oversize"
        ));
    }
    if unexplained > 0 {
        warnings.push(format!(
            "the source claims {unexplained} messages more than it lists: ask the provider for the limit of its listings"
        ));
    }
    for (kind, folders, items) in unheld(&collections) {
        warnings.push(format!(
            "the destination does not hold items of the kind {kind}: {items} in {folders} folders would wait; move them by a part \
             of their own, or name the `kinds` that are to be moved"
        ));
    }
    if let Some(room) = limits.quota_free_bytes.filter(|room| *room < bytes + bytes / 10) {
        warnings.push(format!(
            "the destination has room for {room} bytes, {bytes} are to be moved: raise the quota to leave 10 % free"
        ));
    }
    if let Some(kept) = &limits.flags
        && !kept.iter().any(|flag| flag == "\\*")
    {
        let lost = keywords
            .keys()
            .filter(|keyword| !kept.iter().any(|flag| flag.eq_ignore_ascii_case(keyword)))
            .count();
        if lost > 0 {
            warnings.push(format!("the destination cannot keep {lost} of the keywords in use"));
        }
    }
    warnings.extend(needs.unmet(&offers));
    let lanes = options.connections.max(1) as u64;
    let estimated_seconds = (bytes / (BYTES_PER_SECOND * lanes)).max(items / (ITEMS_PER_SECOND * lanes));
    Ok(Assessment {
        mailbox: mailbox.name.clone(),
        collections,
        items,
        bytes,
        oversize,
        unexplained,
        keywords,
        room: limits.quota_free_bytes,
        estimated_seconds,
        days: mailbox.daily.days(bytes),
        warnings,
    })
}

/// Kinds that the destination has no place for: in how many folders, and how many items.
fn unheld(collections: &[CollectionAssessment]) -> Vec<(Kind, usize, u64)> {
    let mut all: BTreeMap<Kind, (usize, u64)> = BTreeMap::new();
    for one in collections.iter().filter(|one| !one.held && !one.excluded) {
        let sum = all.entry(one.kind).or_default();
        *sum = (sum.0 + 1, sum.1 + one.items);
    }
    all.into_iter()
        .map(|(kind, (folders, items))| (kind, folders, items))
        .collect()
}

/// What the destination can take, and what its collections offer.
async fn destination_side(mailbox: &Mailbox) -> Result<(Limits, Offers), Failure> {
    let destination = &mailbox.destination;
    let kind = destination.kind();
    let mut account = destination.destination().await?;
    let limits = account.limits(kind).await?;
    // Most kinds of items need nothing that not everybody has, and asking costs a round trip.
    let offers = match kind {
        Kind::Message => Offers::default(),
        _ => Offers::of(&account.collections().await?),
    };
    Ok((limits, offers))
}

fn empty(collection: &Collection) -> CollectionAssessment {
    CollectionAssessment {
        path: collection.display_path(),
        items: 0,
        bytes: 0,
        unexplained: 0,
        capped: None,
        oversize: 0,
        largest: 0,
        excluded: false,
        kind: collection.kind,
        held: true,
    }
}

async fn read(
    source: &mut dyn Source,
    collection: &Collection,
    limit: Option<u64>,
    (keywords, needs): (&mut BTreeMap<String, u64>, &mut Needs),
) -> Result<CollectionAssessment, Failure> {
    let mut assessed = empty(collection);
    let mut cursor: Option<String> = None;
    loop {
        let page = source.changes(&collection.id, cursor.as_deref(), PAGE).await?;
        for change in &page.changes {
            let (Change::Upserted(meta) | Change::Marked(meta)) = change else {
                continue;
            };
            add(&mut assessed, meta, limit, keywords);
            needs.add(meta);
        }
        assessed.capped = page.capped.or(assessed.capped);
        if !page.more {
            break;
        }
        cursor = Some(page.cursor);
    }
    assessed.unexplained = collection
        .items
        .map_or(0, |claimed| claimed.saturating_sub(assessed.items));
    Ok(assessed)
}

fn add(assessed: &mut CollectionAssessment, meta: &ItemMeta, limit: Option<u64>, keywords: &mut BTreeMap<String, u64>) {
    let size = meta.size.unwrap_or(0);
    assessed.items += 1;
    assessed.bytes += size;
    assessed.largest = assessed.largest.max(size);
    assessed.oversize += u64::from(limit.is_some_and(|limit| size > limit));
    for flag in meta.flags.iter().filter(|flag| !flag.starts_with('\\')) {
        *keywords.entry(flag.clone()).or_default() += 1;
    }
}
