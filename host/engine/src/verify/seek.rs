//! What is not where the ledger says is looked for in the whole account, and what the ledger does not know is compared with
//! what was put there.

use std::collections::{HashMap, HashSet};

use whimbrel_ledger::Fate;
use whimbrel_model::{Fingerprint, Hash, Outcome};

use super::{
    Depth,
    bodies::{AT_ONCE_BYTES, AT_ONCE_ITEMS, budget, compare, fetch},
    difference::{Class, Difference, How, Spot},
    places::{Account, PlaceId, Places},
    walk::{Case, Walk},
};
use crate::{
    context::{Halt, UNKNOWN_SIZE},
    print::fingerprint,
};

/// Messages that are read for one that is looked for: more of the same size or date are not worth it.
const CANDIDATES: usize = 16;
/// Messages of one collection that are read since they have the size of one that was put there, where not all are read.
const TWINS: usize = 200;

/// An item that the ledger does not know.
type UnknownId = (PlaceId, usize);

/// Fingerprints of those that were read; none for one that is gone.
#[derive(Default)]
struct Prints(HashMap<UnknownId, Option<Fingerprint>>);

/// All items that the ledger does not know, by what their listing tells.
#[derive(Default)]
struct Index {
    sizes: HashMap<u64, Vec<UnknownId>>,
    dates: HashMap<i64, Vec<UnknownId>>,
    both: HashMap<(u64, i64), Vec<UnknownId>>,
}

impl Index {
    fn new(places: &Places) -> Self {
        let mut index = Self::default();
        for (id, place) in places.iter() {
            for (at, unknown) in place.unknown.iter().enumerate() {
                if let Some(size) = unknown.seen.size {
                    index.sizes.entry(size).or_default().push((id, at));
                }
                if let Some(date) = unknown.seen.received {
                    index.dates.entry(date).or_default().push((id, at));
                }
                if let (Some(size), Some(date)) = (unknown.seen.size, unknown.seen.received) {
                    index.both.entry((size, date)).or_default().push((id, at));
                }
            }
        }
        index
    }
}

impl Walk<'_> {
    /// Looks for everything that is lost.
    pub async fn seek(&mut self) -> Result<(), Halt> {
        let lost = std::mem::take(&mut self.lost);
        if lost.is_empty() {
            return Ok(());
        }
        let accounts: HashSet<Account> = lost.iter().map(|case| self.places.get(case.place).account).collect();
        for account in accounts {
            self.look_through(account).await?;
        }
        let index = Index::new(&self.places);
        let mut prints = Prints::default();
        // Most are the first that comes to mind, and many are read at once.
        let likely: Vec<UnknownId> = lost
            .iter()
            .filter_map(|case| self.candidates(case, &index).first().copied())
            .collect();
        self.read(&likely, &mut prints).await?;
        for case in lost {
            if self.context.stop.stopped() {
                return Err(Halt::Stopped);
            }
            let candidates = self.candidates(&case, &index);
            let mut found = None;
            for id in candidates {
                self.read(&[id], &mut prints).await?;
                let print = prints.0.get(&id).copied().flatten();
                found = print.and_then(|print| Some((id, compare(&case.record, &print)?)));
                if found.is_some() {
                    break;
                }
            }
            self.settle(case, found).await?;
        }
        Ok(())
    }

    /// Lists all collections of an account.
    async fn look_through(&mut self, account: Account) -> Result<(), Halt> {
        let all = self.places.collections(self.context, account).await?;
        let ids: Vec<String> = all
            .iter()
            .filter(|one| one.selectable)
            .map(|one| one.id.clone())
            .collect();
        for id in ids {
            self.places.at(self.context, account, &id, false).await?;
        }
        Ok(())
    }

    /// Where it may be: of the same size and date first, then of one of both; each where it should be first, then
    /// anywhere else in the account.
    fn candidates(&self, case: &Case, index: &Index) -> Vec<UnknownId> {
        let account = self.places.get(case.place).account;
        let wanted = case.record.wanted();
        let sizes: Vec<u64> = wanted.map_or_else(Vec::new, |print| {
            let mut sizes = vec![print.size, print.size + print.bare_line_feeds];
            sizes.dedup();
            sizes
        });
        let date = case.record.meta.received.map(whimbrel_model::Timestamp::unix_seconds);
        let both = sizes.iter().filter_map(|size| index.both.get(&(*size, date?)));
        let sized = sizes.iter().filter_map(|size| index.sizes.get(size));
        let dated = date.and_then(|date| index.dates.get(&date));
        let mut candidates: Vec<UnknownId> = Vec::with_capacity(CANDIDATES);
        for list in both.chain(sized).chain(dated) {
            for here in [true, false] {
                for id in list.iter().filter(|id| (id.0 == case.place) == here) {
                    if candidates.len() >= CANDIDATES {
                        return candidates;
                    }
                    let place = self.places.get(id.0);
                    if place.account == account && !place.unknown[id.1].taken && !candidates.contains(id) {
                        candidates.push(*id);
                    }
                }
            }
        }
        candidates
    }

    /// Takes the fingerprints of those that were not read yet.
    async fn read(&mut self, wanted: &[UnknownId], prints: &mut Prints) -> Result<(), Halt> {
        let mut groups: HashMap<PlaceId, Vec<usize>> = HashMap::new();
        for (place, at) in wanted.iter().collect::<HashSet<_>>() {
            if !prints.0.contains_key(&(*place, *at)) {
                groups.entry(*place).or_default().push(*at);
            }
        }
        for (id, mut unknown) in groups {
            unknown.sort_unstable();
            let place = self.places.get(id);
            let (account, collection) = (place.account, place.collection.clone());
            let sizes: Vec<u64> = unknown
                .iter()
                .map(|at| place.unknown[*at].seen.size.unwrap_or(UNKNOWN_SIZE))
                .collect();
            let ids: Vec<String> = unknown.iter().map(|at| place.unknown[*at].id.clone()).collect();
            let mut from = 0;
            while from < ids.len() {
                let (mut to, mut bytes) = (from, 0);
                while to < ids.len() && to - from < AT_ONCE_ITEMS && (to == from || bytes < AT_ONCE_BYTES) {
                    bytes += sizes[to];
                    to += 1;
                }
                let _permit = budget(self.context, bytes.min(AT_ONCE_BYTES)).await;
                let lane = self.places.lane(self.context, account)?;
                let answers = fetch(self.context, lane, &collection, &ids[from..to]).await?;
                for (at, answer) in unknown[from..to].iter().zip(answers) {
                    let print = match answer {
                        Ok(item) => fingerprint(&item).await.ok(),
                        Err(_) => None,
                    };
                    self.tally.read += 1;
                    self.tally.bytes += print.map_or(0, |print| print.size);
                    prints.0.insert((id, *at), print);
                }
                from = to;
            }
        }
        Ok(())
    }

    /// What became of one that was looked for.
    async fn settle(&mut self, mut case: Case, found: Option<(UnknownId, How)>) -> Result<(), Halt> {
        let Some(((place, at), how)) = found else {
            let expected = self.places.get(case.place).path.clone();
            self.differs(&mut case, Class::Missing, Some(expected), None);
            self.done(&case, How::Different, None);
            return Ok(());
        };
        let unknown = self.places.unknown(place, at);
        unknown.taken = true;
        let (seen, id) = (unknown.seen, unknown.id.clone());
        let expected = case.place;
        (case.place, case.id) = (place, Some(id));
        if place != expected {
            let paths = [expected, place].map(|place| self.places.get(place).path.clone());
            let [wanted, there] = paths.map(Some);
            self.differs(&mut case, Class::Placement, wanted, there);
        }
        let account = self.places.get(place).account;
        let limits = self.places.limits(self.context, account).await?;
        self.compare_listing(&mut case, &seen, &limits)?;
        self.done(&case, how, None);
        Ok(())
    }

    /// What the ledger does not know: doubled, or the mailbox's own.
    pub async fn extras(&mut self) -> Result<(), Halt> {
        for target in self.places.targets() {
            self.places.at(self.context, None, &target, true).await?;
        }
        let mut candidates = Vec::new();
        let mut own = Vec::new();
        for (id, place) in self.places.iter().filter(|(_, place)| place.own && !place.void) {
            let (sizes, dates) = self.places.sizes_and_dates(id);
            let (mut likely, mut possible) = (Vec::new(), Vec::new());
            for (at, unknown) in place.unknown.iter().enumerate().filter(|(_, unknown)| !unknown.taken) {
                if place.account.is_none() {
                    own.push((id, at));
                }
                let sized = unknown.seen.size.is_none_or(|size| sizes.binary_search(&size).is_ok());
                let dated = unknown
                    .seen
                    .received
                    .is_some_and(|date| dates.binary_search(&date).is_ok());
                match (sized, dated) {
                    (true, true) => likely.push((id, at)),
                    (true, false) => possible.push((id, at)),
                    _ => {}
                }
            }
            if self.options.depth != Depth::Deep && possible.len() > TWINS {
                self.tally.unread_twins += (possible.len() - TWINS) as u64;
                possible.truncate(TWINS);
            }
            candidates.append(&mut likely);
            candidates.append(&mut possible);
        }
        let mut prints = Prints::default();
        self.read(&candidates, &mut prints).await?;
        let doubled = self.doubled(&candidates, &prints)?;
        for id in &doubled {
            self.extra(*id, "equal to a message that was put there");
        }
        own.retain(|id| !doubled.contains(id));
        self.tally.own += own.len() as u64;
        if self.options.strict {
            for id in own {
                self.extra(id, "not of this migration");
            }
        }
        Ok(())
    }

    fn extra(&mut self, (place, at): UnknownId, found: &str) {
        let there = self.places.get(place);
        let spot = Spot {
            mailbox: there
                .account
                .and_then(|account| self.context.ledger.mailbox_of(account).ok()),
            collection: there.path.clone(),
            id: Some(there.unknown[at].id.clone()),
        };
        self.tell(Difference {
            class: Class::Extra,
            collection: None,
            id: None,
            place: Some(spot),
            expected: None,
            found: Some(found.to_owned()),
            cause: Class::Extra.cause(),
            remedy: Class::Extra.remedy(),
        });
    }

    /// Those that are equal to something that this migration put into the same collection. What was there before and was
    /// merged with is no such thing: the destination may have had it twice.
    fn doubled(&self, candidates: &[UnknownId], prints: &Prints) -> Result<Vec<UnknownId>, Halt> {
        let mut by_content: HashMap<(Account, String, Hash), Vec<UnknownId>> = HashMap::new();
        for (place, at) in candidates {
            if let Some(Some(print)) = prints.0.get(&(*place, *at)) {
                let there = self.places.get(*place);
                let key = (there.account, there.collection.clone(), print.transport);
                by_content.entry(key).or_default().push((*place, *at));
            }
        }
        let mut doubled = Vec::new();
        if by_content.is_empty() {
            return Ok(doubled);
        }
        for collection in self.context.ledger.collections(self.context.id)? {
            for item in self.context.ledger.items(self.context.id, collection.id) {
                let item = item?;
                let Fate::Placed {
                    mailbox,
                    collection,
                    outcome,
                    ..
                } = &item.fate
                else {
                    continue;
                };
                let Some(print) = item.wanted() else { continue };
                let main = (*outcome != Outcome::MergedWithExisting).then_some((*mailbox, collection));
                let copies = item.copies.iter().map(|copy| (copy.mailbox, &copy.collection));
                for (account, at) in main.into_iter().chain(copies) {
                    let key = (account, at.clone(), print.transport);
                    doubled.extend(by_content.remove(&key).unwrap_or_default());
                }
            }
        }
        Ok(doubled)
    }
}
