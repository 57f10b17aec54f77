//! The account, written.

use whimbrel_plugin::{
    Abilities, Blob, Collection, Failure, Item, Kind, Limits, Outcome, Placement, Remark, Result, Settings, blobs,
};

use crate::abilities;
use crate::account::{Account, role_name};
use crate::faults::Fault;
use crate::store::{Entry, Mailbox, Store};

/// The most of a body that a fault changes, in bytes.
const LARGEST: u64 = 64 << 20;

/// See the module.
#[derive(Debug)]
pub struct Destination(Account);

impl whimbrel_plugin::Destination for Destination {
    fn open(settings: &Settings) -> Result<Self> {
        Account::open(settings).map(Self)
    }

    fn limits(&mut self, _kind: Kind) -> Result<Limits> {
        let more = match self.0.planted(Fault::LimitsExceed) {
            true => Abilities::MULTI_COLLECTION,
            false => Abilities::empty(),
        };
        Ok(Limits::new(abilities() | more))
    }

    fn ensure(&mut self, wanted: Collection) -> Result<Collection> {
        if wanted.path.is_empty() || wanted.path.iter().any(String::is_empty) {
            return Err(Failure::rejected("a collection must have a name"));
        }
        let mut store = self.0.load()?;
        for depth in 1..wanted.path.len() {
            find_or_make(&mut store, &wanted.path[..depth]);
        }
        let role = wanted.role.and_then(role_name);
        let by_role = role
            .is_some()
            .then(|| store.mailboxes.iter().position(|mailbox| mailbox.role == role))
            .flatten();
        let at = match by_role {
            Some(at) => at,
            None if self.0.planted(Fault::EnsureDoubles) => make(&mut store, &wanted.path),
            None if self.0.planted(Fault::NamesFolded) => {
                let folded = |path: &[String]| path.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
                let same = store
                    .mailboxes
                    .iter()
                    .position(|mailbox| folded(&mailbox.path) == folded(&wanted.path));
                same.unwrap_or_else(|| make(&mut store, &wanted.path))
            }
            None => find_or_make(&mut store, &wanted.path),
        };
        if let (None, Some(_)) = (&store.mailboxes[at].role, &role) {
            store.mailboxes[at].role = role;
        }
        store.save(&self.0.folder)?;
        let mailbox = &store.mailboxes[at];
        Ok(Collection {
            // As it was asked for, even where a fault shows it otherwise.
            path: match self.0.planted(Fault::NamesFolded) {
                true => wanted.path,
                false => mailbox.path.clone(),
            },
            ..self.0.collection(mailbox)
        })
    }

    fn watermark(&mut self, collection: &str) -> Result<String> {
        let mut store = self.0.load()?;
        let mailbox = store.mailbox(collection)?;
        self.0.view(mailbox).watermark()
    }

    fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        let mut store = self.0.load()?;
        if let Err(failure) = store.mailbox(collection) {
            return match self.0.planted(Fault::PutNowhere) {
                true => Ok((0..items.len())
                    .map(|number| Ok(Placement::created(Some(number.to_string()))))
                    .collect()),
                false => Err(failure),
            };
        }
        let count = items.len();
        let mut answers = Vec::with_capacity(count);
        for (at, item) in items.into_iter().enumerate() {
            let several = count > 1;
            if several && at + 1 == count && self.0.planted(Fault::PutDrops) {
                let number = store.mailbox(collection)?.last + 1000;
                answers.push(Ok(Placement::created(Some(number.to_string()))));
                continue;
            }
            let placed = self.place(&mut store, collection, &item)?;
            answers.push(match several && at == 0 && self.0.planted(Fault::PutDenies) {
                true => Err(Failure::rejected("the item is not accepted")),
                false => Ok(placed),
            });
        }
        store.save(&self.0.folder)?;
        Ok(answers)
    }

    fn copy(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        if self.0.planted(Fault::CopyMissing) {
            return Err(Failure::unsupported("this account cannot copy"));
        }
        let mut store = self.0.load()?;
        let entry = self.find(&mut store, origin, id)?;
        self.transfer(&mut store, target, entry)
    }

    fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        let mut store = self.0.load()?;
        let entry = self.find(&mut store, origin, id)?;
        store.mailbox(target)?;
        if !self.0.planted(Fault::RelocateCopies) {
            store.mailbox(origin)?.take(entry.number);
        }
        self.transfer(&mut store, target, entry)
    }

    fn replace(&mut self, collection: &str, id: &str, revision: Option<&str>, item: Item) -> Result<Placement> {
        let mut store = self.0.load()?;
        let old = self.find(&mut store, collection, id)?;
        let other = revision.is_some_and(|revision| revision != old.changed.to_string());
        if other && !self.0.planted(Fault::ReplaceBlind) {
            // Done already, where the call is repeated.
            if self.0.folder.read(&old.body, 0, None)?.hash() != item.content.hash() {
                return Err(Failure::rejected("the item was changed meanwhile"));
            }
        }
        let body = store.keep(&self.0.folder, &item.content)?;
        let mailbox = store.mailbox(collection)?;
        mailbox.clock += 1;
        let clock = mailbox.clock;
        for entry in mailbox.items.iter_mut().filter(|entry| entry.number == old.number) {
            *entry = Entry {
                number: old.number,
                body: body.clone(),
                size: item.content.size(),
                received: Entry::of(&item.meta).received.or(old.received),
                content: clock,
                changed: clock,
                ..Entry::of(&item.meta)
            };
        }
        let id = self.shown(mailbox, old.number);
        store.save(&self.0.folder)?;
        Ok(Placement::created(id)
            .outcome(Outcome::Replaced)
            .revision(clock.to_string()))
    }

    fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<()>>> {
        let mut store = self.0.load()?;
        store.mailbox(collection)?;
        let mut answers = Vec::with_capacity(remarks.len());
        for remark in remarks {
            let found = self.find(&mut store, collection, &remark.id);
            let mailbox = store.mailbox(collection)?;
            answers.push(found.map(|entry| self.mark_one(mailbox, entry.number, remark)));
        }
        store.save(&self.0.folder)?;
        Ok(answers)
    }

    fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        let mut store = self.0.load()?;
        store.mailbox(collection)?;
        // All are looked up first: a removed one shifts what a fault counts by.
        let found: Vec<Result<Entry>> = ids.iter().map(|id| self.find(&mut store, collection, id)).collect();
        let mailbox = store.mailbox(collection)?;
        let mut answers = Vec::with_capacity(ids.len());
        for entry in found {
            answers.push(entry.map(|entry| {
                mailbox.take(entry.number);
                let next = mailbox
                    .items
                    .iter()
                    .find(|other| other.number > entry.number)
                    .map(|other| other.number);
                if let (Some(next), true) = (next, self.0.planted(Fault::RemoveNeighbour)) {
                    mailbox.take(next);
                }
            }));
        }
        store.save(&self.0.folder)?;
        Ok(answers)
    }
}

impl Destination {
    fn find(&self, store: &mut Store, collection: &str, id: &str) -> Result<Entry> {
        let mailbox = store.mailbox(collection)?;
        self.0.view(mailbox).find(id).cloned()
    }

    /// The id under which an item is shown.
    fn shown(&self, mailbox: &Mailbox, number: u64) -> Option<String> {
        let entry = mailbox.items.iter().find(|entry| entry.number == number)?;
        (!self.0.planted(Fault::IdsMissing)).then(|| self.0.view(mailbox).id(entry))
    }

    fn place(&self, store: &mut Store, collection: &str, item: &Item) -> Result<Placement> {
        if self.0.planted(Fault::PutMerges) {
            let mailbox = store.mailbox(collection)?;
            let alike = mailbox.items.iter().filter(|entry| entry.size == item.content.size());
            for entry in alike {
                if self.0.folder.read(&entry.body, 0, None)?.hash() == item.content.hash() {
                    return Ok(Placement::created(None));
                }
            }
        }
        let altered = self.altered(&item.content)?;
        let body = altered.as_ref().unwrap_or(&item.content);
        let mut entry = Entry {
            body: store.keep(&self.0.folder, body)?,
            size: body.size(),
            ..Entry::of(&item.meta)
        };
        match self.0.fault {
            Fault::DateLost => entry.received = None,
            Fault::FlagsLost => entry.flags.retain(|flag| flag.starts_with('\\')),
            Fault::LabelsLost => entry.labels.clear(),
            _ => {}
        }
        let mailbox = store.mailbox(collection)?;
        let number = mailbox.add(entry);
        Ok(Placement::created(self.shown(mailbox, number)))
    }

    /// The body that is kept, where it is not the one that was given.
    fn altered(&self, body: &Blob) -> Result<Option<Blob>> {
        if !self.0.planted(Fault::DotsEaten) {
            return Ok(None);
        }
        let bytes = blobs::read_whole(body, LARGEST)?;
        let mut kept = Vec::with_capacity(bytes.len());
        for (at, byte) in bytes.iter().enumerate() {
            let begins = at > 0 && bytes[at - 1] == b'\n';
            if !(begins && *byte == b'.') {
                kept.push(*byte);
            }
        }
        Ok(Some(blobs::blob(&kept)))
    }

    /// Adds an item that was in another collection, and keeps it all.
    fn transfer(&self, store: &mut Store, target: &str, entry: Entry) -> Result<Placement> {
        let mailbox = store.mailbox(target)?;
        let number = mailbox.add(entry);
        let id = self.shown(mailbox, number);
        store.save(&self.0.folder)?;
        Ok(Placement::created(id))
    }

    fn mark_one(&self, mailbox: &mut Mailbox, number: u64, remark: &Remark) {
        let clock = mailbox.clock + 1;
        let Some(entry) = mailbox.items.iter_mut().find(|entry| entry.number == number) else {
            return;
        };
        let mut flags = remark.flags.clone();
        if self.0.planted(Fault::MarkAdds) {
            flags.extend(entry.flags.iter().filter(|flag| !remark.flags.contains(flag)).cloned());
        }
        if entry.flags != flags || entry.labels != remark.labels {
            entry.flags = flags;
            entry.labels.clone_from(&remark.labels);
            entry.changed = clock;
            mailbox.clock = clock;
        }
    }
}

/// Where the collection of this path stands, made where it is not there.
fn find_or_make(store: &mut Store, path: &[String]) -> usize {
    let found = store.mailboxes.iter().position(|mailbox| mailbox.path == path);
    found.unwrap_or_else(|| make(store, path))
}

fn make(store: &mut Store, path: &[String]) -> usize {
    store.made += 1;
    store.mailboxes.push(Mailbox {
        id: format!("c{}", store.made),
        path: path.to_vec(),
        generation: 1,
        clock: 1,
        ..Mailbox::default()
    });
    store.mailboxes.len() - 1
}
