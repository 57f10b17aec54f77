//! What lies in the collections of the destination, as their listings say. Opened for reading: the sandbox refuses writes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use whimbrel_ledger::MailboxId;
use whimbrel_model::{Change, Collection, Failure, ItemMeta, Limits, display_path};

use crate::{
    context::{Context, Halt},
    lane::{DestinationLane, Lanes, SourceLane},
};

/// Changes asked for at once.
const PAGE: u32 = 2000;

/// Whose account; none: the mailbox's own.
pub type Account = Option<MailboxId>;

/// Number of a collection that was listed.
pub type PlaceId = usize;

/// What a listing says of an item: 32 bytes each, since there may be millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    id: u64,
    size: u64,
    received: i64,
    marks: u32,
}

const NO_SIZE: u64 = u64::MAX;
const NO_DATE: i64 = i64::MIN;

/// An item that the ledger does not know.
#[derive(Debug, Clone)]
pub struct Unknown {
    /// Its id.
    pub id: String,
    /// What the listing says.
    pub seen: Seen,
    /// It turned out to be one that was looked for.
    pub taken: bool,
}

/// What a listing says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Bytes, as the destination claims.
    pub size: Option<u64>,
    /// Seconds since 1970.
    pub received: Option<i64>,
    marks: u32,
}

/// One collection.
pub struct Place {
    /// Whose account.
    pub account: Account,
    /// Its id there.
    pub collection: String,
    /// Its path, for people.
    pub path: String,
    /// The ids in the ledger are void.
    pub void: bool,
    /// Whether the ledger sends anything there, or it was only looked through.
    pub own: bool,
    known: Vec<Entry>,
    /// What the ledger does not know.
    pub unknown: Vec<Unknown>,
}

/// Flags and labels.
type Marks = (Vec<String>, Vec<String>);

/// All collections that were listed.
pub struct Places {
    all: Vec<Place>,
    by: HashMap<(Account, String), PlaceId>,
    marks: Vec<Marks>,
    marks_by: HashMap<Marks, u32>,
    there: HashMap<Account, Vec<Collection>>,
    limits: HashMap<Account, Limits>,
    lanes: HashMap<Account, SourceLane>,
    generations: HashMap<(Account, String), (Option<String>, String)>,
    /// Items that were listed.
    pub listed: u64,
}

impl Places {
    /// With what the ledger knows of the destination's collections.
    pub fn new(context: &Context) -> Result<Self, Halt> {
        let mut generations = HashMap::new();
        let own = context.ledger.collections(context.id)?;
        let own = own.into_iter().filter_map(|record| Some((None, record.target?)));
        let routes = context.ledger.routes(context.id)?;
        let routed = routes.into_iter().map(|route| (route.mailbox, route.target));
        for (account, target) in own.chain(routed) {
            generations.insert((account, target.id), (target.generation, display_path(&target.path)));
        }
        Ok(Self {
            all: Vec::new(),
            by: HashMap::new(),
            marks: Vec::new(),
            marks_by: HashMap::new(),
            there: HashMap::new(),
            limits: HashMap::new(),
            lanes: HashMap::new(),
            generations,
            listed: 0,
        })
    }

    /// The mailbox's own collections at the destination that the ledger knows.
    pub fn targets(&self) -> Vec<String> {
        let own = self.generations.keys().filter(|(account, _)| account.is_none());
        let mut targets: Vec<String> = own.map(|(_, collection)| collection.clone()).collect();
        targets.sort();
        targets
    }

    /// What the ledger calls a collection.
    pub fn path_of(&self, account: Account, collection: &str) -> Option<&str> {
        let known = self.generations.get(&(account, collection.to_owned()));
        known.map(|(_, path)| path.as_str())
    }

    /// One of them.
    pub fn get(&self, id: PlaceId) -> &Place {
        &self.all[id]
    }

    /// An item that the ledger does not know.
    pub fn unknown(&mut self, id: PlaceId, at: usize) -> &mut Unknown {
        &mut self.all[id].unknown[at]
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (PlaceId, &Place)> {
        self.all.iter().enumerate()
    }

    /// What the listing says of the item with this id of the ledger's.
    pub fn find(&self, id: PlaceId, item: &str) -> Option<Seen> {
        let known = &self.all[id].known;
        let at = known.binary_search_by_key(&short(item), |entry| entry.id).ok()?;
        let entry = &known[at];
        Some(Seen {
            size: (entry.size != NO_SIZE).then_some(entry.size),
            received: (entry.received != NO_DATE).then_some(entry.received),
            marks: entry.marks,
        })
    }

    /// Sizes and dates of what the ledger knows there, both sorted.
    pub fn sizes_and_dates(&self, id: PlaceId) -> (Vec<u64>, Vec<i64>) {
        let known = &self.all[id].known;
        let mut sizes: Vec<u64> = known
            .iter()
            .map(|entry| entry.size)
            .filter(|size| *size != NO_SIZE)
            .collect();
        let mut dates: Vec<i64> = known
            .iter()
            .map(|entry| entry.received)
            .filter(|date| *date != NO_DATE)
            .collect();
        sizes.sort_unstable();
        dates.sort_unstable();
        (sizes, dates)
    }

    /// Flags of an item.
    pub fn flags(&self, seen: &Seen) -> &[String] {
        self.marks.get(seen.marks as usize).map_or(&[], |(flags, _)| flags)
    }

    /// Labels of an item.
    pub fn labels(&self, seen: &Seen) -> &[String] {
        self.marks.get(seen.marks as usize).map_or(&[], |(_, labels)| labels)
    }

    /// What an account's destination can keep.
    pub async fn limits(&mut self, context: &Context, account: Account) -> Result<Limits, Halt> {
        if let Some(limits) = self.limits.get(&account) {
            return Ok(limits.clone());
        }
        // Only an account opened for writing tells its limits; it is asked for nothing else, and closed.
        let mut own = DestinationLane::new();
        let mut lanes = Lanes::new(&mut own);
        let lane = lanes.to(context, account)?;
        let kind = context.mailbox.destination.kind();
        let limits = persist!(context, lane, |account| account.limits(kind))?;
        self.limits.insert(account, limits.clone());
        Ok(limits)
    }

    /// A connection that only reads.
    pub fn lane(&mut self, context: &Context, account: Account) -> Result<&mut SourceLane, Halt> {
        use std::collections::hash_map::Entry as Slot;
        match self.lanes.entry(account) {
            Slot::Occupied(lane) => Ok(lane.into_mut()),
            Slot::Vacant(slot) => {
                let provider = match account {
                    None => context.mailbox.destination.clone(),
                    Some(other) => context.provider_of(other)?,
                };
                Ok(slot.insert(SourceLane::reading(provider, "destination")))
            }
        }
    }

    /// All collections of an account.
    pub async fn collections(&mut self, context: &Context, account: Account) -> Result<&[Collection], Halt> {
        if !self.there.contains_key(&account) {
            let lane = self.lane(context, account)?;
            let there = persist!(context, lane, |account| account.collections())?;
            self.there.insert(account, there);
        }
        Ok(self.there.get(&account).map_or(&[], Vec::as_slice))
    }

    /// The collection, listed if it was not yet. One that is not there (any more) holds nothing.
    pub async fn at(
        &mut self,
        context: &Context,
        account: Account,
        collection: &str,
        own: bool,
    ) -> Result<PlaceId, Halt> {
        let key = (account, collection.to_owned());
        if let Some(known) = self.by.get(&key) {
            self.all[*known].own |= own;
            return Ok(*known);
        }
        let there = self.collections(context, account).await?;
        let now = there.iter().find(|other| other.id == collection).cloned();
        let (before, path) = self.generations.get(&key).cloned().unwrap_or_default();
        let generation = now.as_ref().and_then(|now| now.generation.clone());
        let void = matches!((&before, &generation), (Some(before), Some(now)) if before != now);
        let mut place = Place {
            account,
            collection: collection.to_owned(),
            path: now.as_ref().map_or(path, Collection::display_path),
            void,
            own,
            known: Vec::new(),
            unknown: Vec::new(),
        };
        if now.is_some_and(|now| now.selectable) {
            self.list(context, &mut place).await?;
        }
        let id = self.all.len();
        self.all.push(place);
        self.by.insert(key, id);
        Ok(id)
    }

    async fn list(&mut self, context: &Context, place: &mut Place) -> Result<(), Halt> {
        let (account, collection) = (place.account, place.collection.clone());
        let mut cursor: Option<String> = None;
        loop {
            let lane = self.lane(context, account)?;
            let page = persist!(context, lane, |account| account.changes(
                &collection,
                cursor.as_deref(),
                PAGE
            ));
            let page = match page {
                // It went away between both.
                Err(Halt::Failed {
                    failure: Failure::NotFound(_),
                    ..
                }) => break,
                other => other?,
            };
            for change in page.changes {
                if let Change::Upserted(meta) | Change::Marked(meta) = change {
                    self.listed += 1;
                    self.keep(context, place, meta)?;
                }
            }
            if !page.more {
                break;
            }
            cursor = Some(page.cursor);
        }
        place.known.sort_unstable_by_key(|entry| entry.id);
        place.known.dedup_by_key(|entry| entry.id);
        place.known.shrink_to_fit();
        Ok(())
    }

    fn keep(&mut self, context: &Context, place: &mut Place, meta: ItemMeta) -> Result<(), Halt> {
        let received = meta.received.map(whimbrel_model::Timestamp::unix_seconds);
        let marks = self.interned((meta.flags, meta.labels));
        let owner = place.account.unwrap_or(context.id);
        if !place.void && context.ledger.occupied(owner, &place.collection, &meta.id)? {
            place.known.push(Entry {
                id: short(&meta.id),
                size: meta.size.unwrap_or(NO_SIZE),
                received: received.unwrap_or(NO_DATE),
                marks,
            });
        } else {
            place.unknown.push(Unknown {
                id: meta.id,
                seen: Seen {
                    size: meta.size,
                    received,
                    marks,
                },
                taken: false,
            });
        }
        Ok(())
    }

    /// Few sets of flags are shared by many items.
    fn interned(&mut self, marks: Marks) -> u32 {
        if let Some(known) = self.marks_by.get(&marks) {
            return *known;
        }
        let number = u32::try_from(self.marks.len()).unwrap_or(u32::MAX);
        self.marks.push(marks.clone());
        self.marks_by.insert(marks, number);
        number
    }
}

fn short(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
