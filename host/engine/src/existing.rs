//! What lay in a destination collection before the migration came to it: it is merged with, never doubled.

use std::collections::{HashMap, HashSet};

use whimbrel_ledger::MailboxId;
use whimbrel_model::{Change, Fingerprint, ItemMeta, Kind};

use crate::{
    context::{Context, Halt},
    lane::DestinationLane,
    print::fingerprint,
};

/// Items listed at once.
const PAGE: u32 = 2000;
/// Candidates looked at for one item: more of the same size and date are not worth reading.
const CANDIDATES: usize = 16;

/// An index over items of the destination that no source item is known to lie at.
pub struct Existing {
    account: Option<MailboxId>,
    collection: String,
    by_size: HashMap<u64, Vec<usize>>,
    by_received: HashMap<i64, Vec<usize>>,
    items: Vec<ItemMeta>,
    prints: HashMap<usize, Fingerprint>,
    used: HashSet<usize>,
}

impl Existing {
    /// Lists the collection, which is in this account.
    pub async fn list(
        context: &Context,
        lane: &mut DestinationLane,
        account: Option<MailboxId>,
        collection: &str,
    ) -> Result<Self, Halt> {
        let items = unknown_items(context, lane, account, collection, None).await?;
        let mut by_size: HashMap<u64, Vec<usize>> = HashMap::new();
        let mut by_received: HashMap<i64, Vec<usize>> = HashMap::new();
        for (at, item) in items.iter().enumerate() {
            if let Some(size) = item.size {
                by_size.entry(size).or_default().push(at);
            }
            if let Some(received) = item.received {
                by_received.entry(received.unix_seconds()).or_default().push(at);
            }
        }
        Ok(Self {
            account,
            collection: collection.to_owned(),
            by_size,
            by_received,
            items,
            prints: HashMap::new(),
            used: HashSet::new(),
        })
    }

    /// An item of this kind with this content that nobody else was matched with.
    pub async fn find(
        &mut self,
        context: &Context,
        lane: &mut DestinationLane,
        (kind, wanted): (Kind, &ItemMeta),
        print: &Fingerprint,
    ) -> Result<Option<ItemMeta>, Halt> {
        let sizes = [print.size, print.size + print.bare_line_feeds];
        let mut candidates: Vec<usize> = sizes
            .iter()
            .filter_map(|size| self.by_size.get(size))
            .flatten()
            .copied()
            .collect();
        if let Some(received) = wanted.received {
            candidates.extend(self.by_received.get(&received.unix_seconds()).into_iter().flatten());
        }
        candidates.retain(|at| !self.used.contains(at) && !are_distinct(kind, wanted, &self.items[*at]));
        candidates.dedup();
        candidates.truncate(CANDIDATES);
        for at in candidates {
            // What was unknown when this was listed may be an item's by now: other lanes lead here too.
            let account = self.account.unwrap_or(context.id);
            if context.ledger.occupied(account, &self.collection, &self.items[at].id)? {
                self.used.insert(at);
                continue;
            }
            let theirs = match self.prints.get(&at) {
                Some(print) => *print,
                None => {
                    let ids = [self.items[at].id.clone()];
                    let answers = persist!(context, lane, |account| account.fetch(&self.collection, &ids))?;
                    let Some(Ok(item)) = answers.into_iter().next() else {
                        continue;
                    };
                    let Ok(print) = fingerprint(&item).await else {
                        continue;
                    };
                    self.prints.insert(at, print);
                    print
                }
            };
            if theirs.exact == print.exact || theirs.transport == print.transport {
                self.used.insert(at);
                return Ok(Some(self.items[at].clone()));
            }
        }
        Ok(None)
    }
}

/// Whether two items are known to be different ones, whatever they say: filters have names, events and contacts UIDs. What
/// identifies a message is the provider's own.
fn are_distinct(kind: Kind, one: &ItemMeta, other: &ItemMeta) -> bool {
    kind != Kind::Message && one.identity.is_some() && other.identity.is_some() && one.identity != other.identity
}

/// Items of a destination collection in this account, from a cursor on, that the ledger knows no source item of.
pub async fn unknown_items(
    context: &Context,
    lane: &mut DestinationLane,
    account: Option<MailboxId>,
    collection: &str,
    from: Option<&str>,
) -> Result<Vec<ItemMeta>, Halt> {
    let mut cursor = from.map(str::to_owned);
    let mut items = Vec::new();
    loop {
        let page = persist!(context, lane, |account| account.changes(
            collection,
            cursor.as_deref(),
            PAGE
        ))?;
        for change in page.changes {
            if let Change::Upserted(meta) | Change::Marked(meta) = change
                && !context
                    .ledger
                    .occupied(account.unwrap_or(context.id), collection, &meta.id)?
            {
                items.push(meta);
            }
        }
        if !page.more {
            return Ok(items);
        }
        cursor = Some(page.cursor);
    }
}
