//! A walk over all items of the ledger: each is compared with what the listing of its place says.

use std::sync::Arc;

use whimbrel_ledger::{CollectionId, CollectionRecord, Fate, ItemRecord, Todo};
use whimbrel_model::{Kind, Limits, Outcome, flags};

use super::{
    Depth, VerifyOptions, Witness,
    bodies::{AT_ONCE_BYTES, AT_ONCE_ITEMS},
    difference::{Checked, Class, Difference, Differences, How, Spot},
    places::{Account, PlaceId, Places, Seen},
    sample::Chosen,
    source::Look,
};
use crate::{
    context::{Context, Halt, UNKNOWN_SIZE},
    lane::SourceLane,
    prepare::CRLF,
    repair::DATE_REPLACED,
    rules::apply_marks,
};

/// Records read from the ledger at once.
const RECORDS: usize = 500;
/// Lost items that are kept until they are looked for: a whole folder may be.
const LOST_AT_ONCE: usize = 10_000;
/// Bodies that are read for their size alone, where not all are read.
const MOST_SUSPECTS: u64 = 1000;
/// Differences that are kept for the report; the witness gets all.
const KEPT: usize = 100;

/// What was counted in one mailbox.
#[derive(Debug, Default)]
pub struct Tally {
    /// Places of items and of their copies that were compared.
    pub compared: u64,
    /// Items without any difference.
    pub equal: u64,
    /// Bodies read at the destination.
    pub read: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bodies that could not be read.
    pub unreadable: u64,
    /// Messages of its own at the destination.
    pub own: u64,
    /// Chosen bodies that were read, and those of them that differ or are missing.
    pub sampled: (u64, u64),
    /// Items with other bytes at the source than in the ledger.
    pub altered_at_source: u64,
    /// Items whose flags the next run brings up to date.
    pub marks_waiting: u64,
    /// Bodies read for their sizes.
    pub suspects: u64,
    /// Bodies with an odd size that were not read.
    pub unread_suspects: u64,
    /// Equal sizes at the destination that were not looked into.
    pub unread_twins: u64,
    /// By class.
    pub differences: Differences,
    /// The first of them.
    pub kept: Vec<Difference>,
}

/// An item at one of its places.
#[derive(Debug, Clone)]
pub struct Case {
    /// The collection at the source.
    pub collection: CollectionId,
    /// Its path.
    pub path: Arc<str>,
    /// Its id at the source's connector.
    pub source_collection: Arc<str>,
    /// What the ledger knows.
    pub record: ItemRecord,
    /// A further copy that rules asked for.
    pub copy: bool,
    /// Where it lies, or should.
    pub place: PlaceId,
    /// Under this id; none where it has to be looked for.
    pub id: Option<String>,
    /// What is different so far.
    pub classes: Vec<Class>,
    /// It is one of the sample.
    pub sampled: bool,
}

impl Case {
    /// Bytes that its body has, roughly.
    pub fn size(&self) -> u64 {
        let known = self.record.wanted().map(|print| print.size);
        known.or(self.record.meta.size).unwrap_or(UNKNOWN_SIZE)
    }
}

/// A walk over one mailbox.
pub struct Walk<'a> {
    pub context: &'a Context,
    pub options: &'a VerifyOptions,
    pub chosen: Option<&'a Chosen>,
    pub witness: &'a dyn Witness,
    pub places: Places,
    pub source: SourceLane,
    pub look: Look,
    pub tally: Tally,
    /// What is not where the ledger says, or has no id there.
    pub lost: Vec<Case>,
    /// What is to be read.
    pub waiting: Vec<Case>,
    pub waiting_bytes: u64,
}

impl Walk<'_> {
    /// All items.
    pub async fn over(&mut self) -> Result<(), Halt> {
        let context = self.context;
        for collection in context.ledger.collections(context.id)? {
            let (path, source): (Arc<str>, Arc<str>) = (
                collection.source.display_path().into(),
                collection.source.id.as_str().into(),
            );
            let mut items = context.ledger.items(context.id, collection.id);
            loop {
                let records: Vec<ItemRecord> = items.by_ref().take(RECORDS).collect::<Result<_, _>>()?;
                if records.is_empty() {
                    break;
                }
                for record in records {
                    self.item(&collection, &path, &source, record).await?;
                }
                if context.stop.stopped() {
                    return Err(Halt::Stopped);
                }
                if self.lost.len() >= LOST_AT_ONCE {
                    self.seek().await?;
                }
            }
            self.read_waiting().await?;
        }
        Ok(())
    }

    async fn item(
        &mut self,
        collection: &CollectionRecord,
        path: &Arc<str>,
        source: &Arc<str>,
        record: ItemRecord,
    ) -> Result<(), Halt> {
        let mut places = Vec::with_capacity(1 + record.copies.len());
        match &record.fate {
            Fate::Gone => return Ok(()),
            Fate::Placed {
                mailbox,
                collection,
                id,
                ..
            } => places.push((*mailbox, collection.clone(), id.clone(), false)),
            _ => {
                self.witness.item(&self.context.mailbox.name, &unplaced(path, &record));
                return Ok(());
            }
        }
        let copies = record.copies.iter();
        places.extend(copies.map(|copy| (copy.mailbox, copy.collection.clone(), copy.id.clone(), true)));
        let sampled = self
            .chosen
            .is_some_and(|chosen| chosen.contains(&(collection.id, record.meta.id.clone())));
        for (account, target, id, copy) in places {
            let place = self.places.at(self.context, account, &target, true).await?;
            let case = Case {
                collection: collection.id,
                path: path.clone(),
                source_collection: source.clone(),
                record: record.clone(),
                copy,
                place,
                id,
                classes: Vec::new(),
                sampled: sampled && !copy,
            };
            self.case(case, account).await?;
        }
        Ok(())
    }

    async fn case(&mut self, mut case: Case, account: Account) -> Result<(), Halt> {
        self.tally.compared += 1;
        let Some(seen) = case.id.as_deref().and_then(|id| self.places.find(case.place, id)) else {
            case.id = None;
            self.lost.push(case);
            return Ok(());
        };
        let limits = self.places.limits(self.context, account).await?;
        self.compare_listing(&mut case, &seen, &limits)?;
        if !self.is_to_be_read(&case, &seen) {
            self.done(&case, How::Listing, None);
            return Ok(());
        }
        self.waiting_bytes += case.size();
        self.waiting.push(case);
        if self.waiting.len() >= AT_ONCE_ITEMS || self.waiting_bytes >= AT_ONCE_BYTES {
            self.read_waiting().await?;
        }
        Ok(())
    }

    fn is_to_be_read(&mut self, case: &Case, seen: &Seen) -> bool {
        if self.options.depth == Depth::Deep || case.sampled {
            return true;
        }
        // Servers write all else anew, and its size with it.
        let is_message = self.context.mailbox.destination.kind() == Kind::Message;
        if !is_message || !is_odd(&case.record, seen) {
            return false;
        }
        if self.tally.suspects >= MOST_SUSPECTS {
            self.tally.unread_suspects += 1;
            return false;
        }
        self.tally.suspects += 1;
        true
    }

    /// Flags, labels and date, as far as the destination keeps them.
    pub fn compare_listing(&mut self, case: &mut Case, seen: &Seen, limits: &Limits) -> Result<(), Halt> {
        let record = &case.record;
        let merged = matches!(
            record.fate,
            Fate::Placed {
                outcome: Outcome::MergedWithExisting,
                ..
            }
        );
        let mut wanted = record.meta.clone();
        apply_marks(record.ruling.as_ref(), &mut wanted);
        let there = self.places.flags(seen).to_vec();
        let mut differs = None;
        let expected = kept(&wanted.flags, limits);
        if limits.abilities.keeps_flags && !agree(&expected, &there, &record.repairs, merged) {
            differs = Some((expected.join(" "), flags::normalise(&there).join(" ")));
        }
        let (mut labels, mut labelled) = (wanted.labels, self.places.labels(seen).to_vec());
        labels.sort();
        labelled.sort();
        if limits.abilities.keeps_labels && !merged && labels != labelled {
            differs = differs.or_else(|| Some((labels.join(" "), labelled.join(" "))));
        }
        if let Some((expected, found)) = differs {
            let waits = self
                .context
                .ledger
                .waits(self.context.id, case.collection, &record.meta.id)?;
            if waits == Some(Todo::Mark) {
                self.tally.marks_waiting += 1;
            } else {
                self.differs(case, Class::Flags, Some(expected), Some(found));
            }
        }
        let received = case.record.meta.received.map(whimbrel_model::Timestamp::unix_seconds);
        if let (Some(wanted), Some(found)) = (received, seen.received)
            && limits.abilities.keeps_received
            && !merged
            && wanted != found
            && !case.record.repairs.iter().any(|repair| repair == DATE_REPLACED)
        {
            self.differs(case, Class::Date, Some(wanted.to_string()), Some(found.to_string()));
        }
        Ok(())
    }

    /// One difference of an item.
    pub fn differs(&mut self, case: &mut Case, class: Class, expected: Option<String>, found: Option<String>) {
        let difference = Difference {
            class,
            collection: Some(case.path.to_string()),
            id: Some(case.record.source_id().to_owned()),
            place: Some(self.spot(case)),
            expected,
            found,
            cause: class.cause(),
            remedy: class.remedy(),
        };
        if !case.classes.contains(&class) {
            case.classes.push(class);
        }
        self.tell(difference);
    }

    /// One difference.
    pub fn tell(&mut self, difference: Difference) {
        self.tally.differences.add(difference.class);
        self.witness.difference(&self.context.mailbox.name, &difference);
        if self.tally.kept.len() < KEPT {
            self.tally.kept.push(difference);
        }
    }

    /// Where an item lies or should lie.
    pub fn spot(&self, case: &Case) -> Spot {
        let place = self.places.get(case.place);
        Spot {
            mailbox: place
                .account
                .and_then(|account| self.context.ledger.mailbox_of(account).ok()),
            collection: place.path.clone(),
            id: case.id.clone(),
        }
    }

    /// An item was compared in full.
    pub fn done(&mut self, case: &Case, how: How, content: Option<[u8; 32]>) {
        if case.sampled {
            let read = how != How::Listing && how != How::Unreadable;
            let bad = [Class::Missing, Class::AlteredContent, Class::AlteredTransport];
            self.tally.sampled.0 += u64::from(read);
            self.tally.sampled.1 += u64::from(read && case.classes.iter().any(|class| bad.contains(class)));
        }
        if case.copy {
            return;
        }
        self.tally.equal += u64::from(case.classes.is_empty() && how != How::Unreadable);
        let checked = Checked {
            collection: case.path.to_string(),
            id: case.record.source_id().to_owned(),
            fate: fate(&case.record.fate),
            exact: case.record.fingerprint.map(|print| print.exact),
            content: content.map(whimbrel_model::Hash),
            place: Some(self.spot(case)),
            how: if case.classes.is_empty() { how } else { How::Different },
            classes: case.classes.clone(),
        };
        self.witness.item(&self.context.mailbox.name, &checked);
    }
}

/// What an item counts as.
fn fate(fate: &Fate) -> &'static str {
    match fate {
        Fate::Placed {
            outcome: Outcome::MergedWithExisting,
            ..
        } => "merged",
        Fate::Placed { .. } => "moved",
        other => other.code(),
    }
}

fn unplaced(path: &str, record: &ItemRecord) -> Checked {
    Checked {
        collection: path.to_owned(),
        id: record.source_id().to_owned(),
        fate: fate(&record.fate),
        exact: record.fingerprint.map(|print| print.exact),
        content: None,
        place: None,
        how: How::NotThere,
        classes: Vec::new(),
    }
}

/// The flags that a destination is able to keep.
fn kept(flags: &[String], limits: &Limits) -> Vec<String> {
    let flags = flags::normalise(flags);
    let Some(able) = &limits.flags else { return flags };
    let keywords = able.iter().any(|flag| flag == "\\*");
    let keeps = |flag: &String| {
        keywords && !flag.starts_with('\\') || able.iter().any(|known| known.eq_ignore_ascii_case(flag))
    };
    flags.into_iter().filter(keeps).collect()
}

/// Whether the flags there are those that were wanted, but for what the ledger says was dropped, and for what a message
/// had that was there before.
fn agree(wanted: &[String], there: &[String], repairs: &[String], merged: bool) -> bool {
    let dropped = |name: &str| repairs.iter().any(|repair| repair == name);
    let (flags, keywords) = (dropped("flag-dropped"), dropped("keyword-dropped"));
    let there = flags::normalise(there);
    let among = |flag: &String, all: &[String]| all.iter().any(|other| other.eq_ignore_ascii_case(flag));
    let excused = |flag: &String| if flag.starts_with('\\') { flags } else { keywords };
    wanted.iter().all(|flag| among(flag, &there) || excused(flag))
        && (merged || there.iter().all(|flag| among(flag, wanted)))
}

/// Whether the destination claims a size that what was put does not explain.
fn is_odd(record: &ItemRecord, seen: &Seen) -> bool {
    let (Some(size), Some(wanted)) = (seen.size, record.wanted()) else {
        return false;
    };
    // What a format forces on content has a size of its own.
    if record.repairs.iter().any(|repair| repair != CRLF) && record.put.is_none() {
        return false;
    }
    size != wanted.size && size != wanted.size + wanted.bare_line_feeds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(flags: &[&str]) -> Vec<String> {
        flags.iter().map(|flag| (*flag).to_owned()).collect()
    }

    #[test]
    fn flags_agree_but_for_what_the_ledger_excuses() {
        let do_agree = |wanted: &[&str], there: &[&str], repairs: &[&str], merged| {
            agree(&strings(wanted), &strings(there), &strings(repairs), merged)
        };
        assert!(do_agree(
            &["\\Seen", "Work"],
            &["work", "\\seen", "\\Recent"],
            &[],
            false
        ));
        assert!(!do_agree(&["\\Seen"], &[], &[], false));
        assert!(!do_agree(&[], &["\\Seen"], &[], false));
        assert!(do_agree(&[], &["\\Seen"], &[], true));
        assert!(!do_agree(&["\\Seen"], &["Work"], &[], true));
        assert!(do_agree(&["\\Seen", "Work"], &["\\Seen"], &["keyword-dropped"], false));
        assert!(!do_agree(&["\\Seen", "Work"], &["Work"], &["keyword-dropped"], false));
    }

    #[test]
    fn only_flags_that_can_be_kept_are_wanted() {
        let limits = |flags: Option<&[&str]>| Limits {
            flags: flags.map(strings),
            ..Limits::default()
        };
        let all = strings(&["Work", "\\Seen"]);
        assert_eq!(kept(&all, &limits(None)), all);
        assert_eq!(kept(&all, &limits(Some(&["\\Seen", "\\*"]))), all);
        assert_eq!(kept(&all, &limits(Some(&["\\seen"]))), strings(&["\\Seen"]));
        assert_eq!(kept(&all, &limits(Some(&["\\*"]))), strings(&["Work"]));
    }
}
