//! An account, written.

use std::collections::HashMap;

use whimbrel_plugin::imap::{Outgoing, Session, Status, Summary};
use whimbrel_plugin::{Abilities, Collection, Failure, Item, Kind, Limits, Placement, Remark, Result, Role};

use crate::connection::Connection;
use crate::flags::keepable;
use crate::listing::{self, Mailbox};
use crate::roles;
use crate::settings::Settings;
use crate::source::{short, uid};

/// See the module.
#[derive(Debug)]
pub struct Destination {
    connection: Connection,
    /// Mailboxes by name, as last listed and as made since; none before the first look.
    mailboxes: Option<HashMap<String, Collection>>,
}

impl whimbrel_plugin::Destination for Destination {
    fn open(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        Ok(Self {
            connection: Connection::new(Settings::read(settings)?),
            mailboxes: None,
        })
    }

    fn limits(&mut self, kind: Kind) -> Result<Limits> {
        if kind != Kind::Message {
            return Err(Failure::unsupported("IMAP holds mail only"));
        }
        let connection = &mut self.connection;
        let uidplus = connection.offers("UIDPLUS")?;
        let mut abilities = Abilities::SERVER_SIDE_COPY
            | Abilities::REPORTS_VANISHED
            | Abilities::KEEPS_RECEIVED
            | Abilities::KEEPS_FLAGS;
        abilities.set(Abilities::RETURNS_IDS, uidplus);
        abilities.set(Abilities::SERVER_SIDE_MOVE, uidplus || connection.offers("MOVE")?);
        abilities.set(
            Abilities::INCREMENTAL,
            connection.offers("CONDSTORE")? || connection.offers("QRESYNC")?,
        );
        abilities.set(Abilities::PUSH, connection.offers("IDLE")?);
        let mut limits = Limits::new(abilities);
        let names = connection.names()?;
        limits.forbidden_in_names = format!("{}\0\r\n", names.delimiter().unwrap_or_default());
        if names.delimiter().is_none() {
            limits.max_path_depth = Some(1);
        }
        limits.crlf_only = true;
        limits.max_item_bytes = connection
            .capability_value("APPENDLIMIT")?
            .and_then(|value| value.parse().ok());
        match connection.open("INBOX", false) {
            Ok(status) => {
                limits.flags = status.permanent_flags;
                limits.max_item_bytes = [limits.max_item_bytes, status.append_limit].into_iter().flatten().min();
            }
            // What an inbox that is not there, or may not be opened, would say is found out by trying.
            Err(failure) if failure.leaves_session_usable() => {}
            Err(failure) => return Err(failure),
        }
        limits.quota_free_bytes = match connection.call(|session| session.quota("INBOX")) {
            Ok(quota) => quota.map(|(used, allowed)| allowed.saturating_sub(used)),
            Err(failure) if failure.leaves_session_usable() => None,
            Err(failure) => return Err(failure),
        };
        Ok(limits)
    }

    fn ensure(&mut self, wanted: Collection) -> Result<Collection> {
        self.load(false)?;
        let existing = wanted.role.and_then(|role| self.with_role(role));
        let name = match existing {
            Some(name) => name,
            None => self.make(&wanted)?,
        };
        let subscribed = self.known(&name).is_some_and(|collection| collection.subscribed);
        if wanted.subscribed && !subscribed {
            self.connection.call(|session| session.subscribe(&name))?;
        }
        // A mailbox that was just made is seen by its SELECT; what has no SELECT is as it was listed.
        let status = if wanted.selectable {
            Some(self.connection.open_anew(&name, false)?)
        } else {
            None
        };
        let mailboxes = self.mailboxes.get_or_insert_default();
        let collection = mailboxes
            .entry(name.clone())
            .or_insert_with(|| Collection::new(name, wanted.path));
        collection.subscribed |= wanted.subscribed;
        if let Some(status) = status {
            collection.selectable = true;
            collection.items = Some(status.messages);
            collection.generation = Some(status.uid_validity.to_string());
        }
        Ok(collection.clone())
    }

    fn watermark(&mut self, collection: &str) -> Result<String> {
        Ok(listing::watermark(&mut ForWriting(&mut self.connection, collection))?.text())
    }

    /// The mailbox is open meanwhile: some servers index a mailbox anew with each APPEND to one that is not.
    fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        let tells_ids = self.connection.offers("UIDPLUS")?;
        let status = if tells_ids {
            self.connection.open(collection, false)?
        } else {
            // UIDs are found by looking from here on.
            self.connection.open_anew(collection, false)?
        };
        let sizes: Vec<u64> = items.iter().map(|item| item.content.size()).collect();
        let mut alterations = Vec::with_capacity(items.len());
        let mut messages = Vec::with_capacity(items.len());
        for item in items {
            let (flags, dropped) = keepable(&item.meta.flags, permanent(&status));
            alterations.push(dropped);
            messages.push(Outgoing {
                content: item.content,
                received: item.meta.received,
                flags,
            });
        }
        let mut answers = self.connection.call(|session| session.append(collection, messages))?;
        if answers.len() != sizes.len() {
            return Err(Failure::internal(
                "an append gave another number of answers than there were messages",
            ));
        }
        if answers.iter().any(|answer| answer == &Ok(None)) {
            self.find_ids(collection, &status, &sizes, &mut answers);
        }
        let placements = answers.into_iter().zip(alterations).map(|(answer, dropped)| {
            let mut placement = Placement::created(answer?.map(|uid| uid.to_string()));
            placement.alterations = dropped;
            Ok(placement)
        });
        Ok(placements.collect())
    }

    fn copy(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        self.transfer(origin, id, target, true)
    }

    fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        self.transfer(origin, id, target, false)
    }

    fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<()>>> {
        let status = self.connection.open(collection, false)?;
        let uids: Vec<u32> = remarks.iter().filter_map(|remark| uid(&remark.id)).collect();
        // STORE succeeds and does nothing where a UID is missing (RFC 9051, 6.4.9).
        let there: Vec<u32> = self
            .connection
            .there(&uids)?
            .into_iter()
            .map(|summary| summary.uid)
            .collect();
        let mut answers = Vec::with_capacity(remarks.len());
        for remark in remarks {
            let answer = match uid(&remark.id).filter(|uid| there.binary_search(uid).is_ok()) {
                Some(uid) => {
                    let (flags, _) = keepable(&remark.flags, permanent(&status));
                    self.connection.call(|session| session.store(uid, &flags))
                }
                None => Err(not_there(&remark.id)),
            };
            match answer {
                Err(failure) if !failure.leaves_session_usable() => return Err(failure),
                answer => answers.push(answer),
            }
        }
        Ok(answers)
    }

    fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        self.load(false)?;
        let Some(trash) = self.with_role(Role::Trash) else {
            return Err(Failure::unsupported(
                "the server has no trash mailbox, and nothing is deleted outright",
            ));
        };
        if trash == collection {
            return Err(Failure::unsupported(
                "these are in the trash already, and nothing is deleted outright",
            ));
        }
        self.connection.open(collection, false)?;
        let uids: Vec<Option<u32>> = ids.iter().map(|id| uid(id)).collect();
        let wanted: Vec<u32> = uids.iter().flatten().copied().collect();
        if !wanted.is_empty() {
            self.connection.call(|session| session.move_(&wanted, &trash))?;
        }
        Ok(ids
            .iter()
            .zip(uids)
            .map(|(id, uid)| uid.map(|_| ()).ok_or_else(|| not_there(id)))
            .collect())
    }
}

impl Destination {
    /// The mailboxes, unless they are known already.
    fn load(&mut self, anew: bool) -> Result<()> {
        if anew || self.mailboxes.is_none() {
            let mailboxes = self.connection.mailboxes(false)?;
            let collections = mailboxes
                .into_iter()
                .map(|(collection, _)| (collection.id.clone(), collection));
            self.mailboxes = Some(collections.collect());
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Option<&Collection> {
        self.mailboxes.as_ref()?.get(name)
    }

    /// The mailbox that serves this purpose.
    fn with_role(&self, role: Role) -> Option<String> {
        if role == Role::Inbox {
            return Some("INBOX".to_owned());
        }
        let mut holders = self.mailboxes.iter().flat_map(HashMap::values);
        holders
            .find(|collection| collection.role == Some(role) && collection.selectable)
            .map(|found| found.id.clone())
    }

    /// Makes the mailbox, and those above it, where they are not there yet; gives its name.
    fn make(&mut self, wanted: &Collection) -> Result<String> {
        let names = self.connection.names()?;
        let name = names.name(&wanted.path)?;
        let there = |known: &Collection| known.selectable || !wanted.selectable;
        if name == "INBOX" || self.known(&name).is_some_and(there) {
            return Ok(name);
        }
        for depth in 1..wanted.path.len() {
            let parent = names.name(&wanted.path[..depth])?;
            if parent == "INBOX" || self.known(&parent).is_some() {
                continue;
            }
            match self.connection.call(|session| session.create(&parent, None)) {
                Ok(()) => self.made(&parent, &wanted.path[..depth], None),
                // A parent that cannot be made matters only if the mailbox itself cannot.
                Err(failure) if failure.leaves_session_usable() => {}
                Err(failure) => return Err(failure),
            }
        }
        let special_use = wanted.role.and_then(roles::special_use);
        match self.connection.call(|session| session.create(&name, special_use)) {
            Ok(()) => {}
            // Some servers make their special mailboxes themselves and refuse to make them again.
            Err(failure) if failure.leaves_session_usable() => {
                self.load(true)?;
                if !self.known(&name).is_some_and(there) {
                    return Err(failure.within(&format!("mailbox `{name}`")));
                }
                return Ok(name);
            }
            Err(failure) => return Err(failure),
        }
        let role = if self.connection.offers("CREATE-SPECIAL-USE")? {
            wanted.role
        } else {
            None
        };
        self.made(&name, &wanted.path, role);
        Ok(name)
    }

    fn made(&mut self, name: &str, path: &[String], role: Option<Role>) {
        let collection = Collection::new(name, path).role(role.filter(|role| roles::special_use(*role).is_some()));
        self.mailboxes
            .get_or_insert_default()
            .insert(name.to_owned(), collection);
    }

    /// Where the server told no UIDs: what came since `before` is what was put, if number and sizes agree. A failure to
    /// look changes nothing: the messages are there, and the host finds them.
    fn find_ids(&mut self, mailbox: &str, before: &Status, sizes: &[u64], answers: &mut [Result<Option<u32>>]) {
        let most = u32::try_from(sizes.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
            .min(10_000);
        let mut listing = ForWriting(&mut self.connection, mailbox);
        let found = match before.uid_next {
            // Never said: there is nothing to look from.
            0 => return,
            // Some servers show what was appended only after the mailbox is opened again.
            next => listing.examine().and_then(|_| listing.scan(next, u32::MAX, most, None)),
        };
        let Ok(found) = found else { return };
        assign(&found, sizes, answers);
    }

    fn transfer(&mut self, origin: &str, id: &str, target: &str, copy: bool) -> Result<Placement> {
        let Some(uid) = uid(id) else { return Err(not_there(id)) };
        self.connection.open(origin, false)?;
        // COPY and MOVE, too, succeed where the UID is missing.
        if self.connection.there(&[uid])?.is_empty() {
            return Err(not_there(id));
        }
        let pairs = self.connection.call(|session: &Session| {
            if copy {
                session.copy(&[uid], target)
            } else {
                session.move_(&[uid], target)
            }
        })?;
        let new = pairs
            .into_iter()
            .find(|(old, _)| *old == uid)
            .map(|(_, new)| new.to_string());
        Ok(Placement::created(new))
    }
}

/// Gives each stored message its UID where there is no doubt: as many came as were stored, in the same order, of the
/// same sizes.
fn assign(found: &[Summary], sizes: &[u64], answers: &mut [Result<Option<u32>>]) {
    let stored: Vec<usize> = (0..answers.len()).filter(|at| answers[*at].is_ok()).collect();
    let agree = found.len() == stored.len()
        && stored.iter().zip(found).all(|(at, summary)| {
            sizes.get(*at) == Some(&summary.size)
                && matches!(&answers[*at], Ok(told) if told.is_none_or(|uid| uid == summary.uid))
        });
    if !agree {
        return;
    }
    for (at, summary) in stored.into_iter().zip(found) {
        answers[at] = Ok(Some(summary.uid));
    }
}

/// PERMANENTFLAGS; an empty list means that nobody knows: RFC 9051, 7.1 says that all flags are then permanent.
fn permanent(status: &Status) -> Option<&[String]> {
    status.permanent_flags.as_deref()
}

fn not_there(id: &str) -> Failure {
    Failure::not_found(format!("message {} is not there", short(id)))
}

/// A listing that leaves the mailbox open for writing.
struct ForWriting<'a>(&'a mut Connection, &'a str);

impl Mailbox for ForWriting<'_> {
    fn examine(&mut self) -> Result<Status> {
        self.0.open_anew(self.1, false)
    }
    fn scan(&mut self, from: u32, to: u32, limit: u32, changed_since: Option<u64>) -> Result<Vec<Summary>> {
        self.0.listing(self.1).scan(from, to, limit, changed_since)
    }
    fn uids(&mut self) -> Result<Vec<(u32, u32)>> {
        self.0.listing(self.1).uids()
    }
    fn vanished(&mut self, since: u64) -> Result<Option<Vec<(u32, u32)>>> {
        self.0.listing(self.1).vanished(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &[(u32, u64)]) -> Vec<Summary> {
        let summary = |&(uid, size): &(u32, u64)| Summary {
            uid,
            modseq: None,
            size,
            received: None,
            flags: vec![],
            email_id: None,
            extra: vec![],
        };
        list.iter().map(summary).collect()
    }

    #[test]
    fn uids_are_assigned_where_number_order_and_sizes_agree() {
        let refused = || Err(Failure::rejected("no"));
        let mut answers = [Ok(None), refused(), Ok(None)];
        assign(&found(&[(7, 10), (9, 30)]), &[10, 20, 30], &mut answers);
        assert_eq!(answers, [Ok(Some(7)), refused(), Ok(Some(9))]);
    }

    #[test]
    fn where_there_is_doubt_none_is_assigned() {
        for list in [&[(7, 10)][..], &[(7, 30), (9, 10)], &[(7, 10), (8, 30), (9, 30)]] {
            let mut answers = [Ok(None), Ok(None)];
            assign(&found(list), &[10, 30], &mut answers);
            assert_eq!(answers, [Ok(None), Ok(None)], "{list:?}");
        }
        let mut told = [Ok(Some(8)), Ok(None)];
        assign(&found(&[(7, 10), (9, 30)]), &[10, 30], &mut told);
        assert_eq!(told, [Ok(Some(8)), Ok(None)]);
    }
}
