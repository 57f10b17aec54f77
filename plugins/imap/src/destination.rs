//! An account, written.

use std::collections::HashMap;

use whimbrel_plugin::imap::{Outgoing, Session, Status, Summary};
use whimbrel_plugin::{Abilities, Collection, Failure, Item, Kind, Limits, Placement, Remark, Result, Role};

use crate::connection::Connection;
use crate::flags::keepable;
use crate::listing::{self, Mailbox};
use crate::names::Names;
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

/// A mailbox to be made.
struct New {
    name: String,
    path: Vec<String>,
    role: Option<Role>,
    /// Which of those wanted it is; none for one above them.
    at: Option<usize>,
}

impl whimbrel_plugin::Destination for Destination {
    fn open(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        Ok(Self {
            connection: Connection::connect(Settings::read(settings)?)?,
            mailboxes: None,
        })
    }

    fn limits(&mut self, kind: Kind) -> Result<Limits> {
        if kind != Kind::Message {
            return Err(Failure::unsupported("IMAP holds mail only"));
        }
        let connection = &self.connection;
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
        let mut answers = self.ensure_all(vec![wanted])?;
        answers
            .pop()
            .unwrap_or_else(|| Err(Failure::internal("a mailbox was left without an answer")))
    }

    /// Four round trips at most, however many there are: LIST, CREATE, SUBSCRIBE and STATUS, each for all of them.
    fn ensure_all(&mut self, wanted: Vec<Collection>) -> Result<Vec<Result<Collection>>> {
        self.load(false)?;
        let names = self.make(&wanted)?;
        let subscribed = self.subscribe(&wanted, &names)?;
        let mut statuses = self.statuses(&wanted, &names)?;
        let answers = wanted.into_iter().zip(names).map(|(wanted, name)| {
            let name = name?;
            if let Some(failure) = subscribed.get(&name) {
                return Err(failure.clone());
            }
            let status = statuses.remove(&name);
            let known = self.mailboxes.get_or_insert_default();
            let collection = known
                .entry(name.clone())
                .or_insert_with(|| Collection::new(name, wanted.path));
            collection.subscribed |= wanted.subscribed;
            match status.transpose() {
                Ok(Some(status)) => {
                    collection.selectable = true;
                    collection.items = Some(status.messages);
                    collection.generation = Some(status.uid_validity.to_string());
                }
                // As it was listed.
                Ok(None) => {}
                // What may not be looked at is found out by trying.
                Err(Failure::Unsupported(_)) => collection.selectable = true,
                Err(failure) => return Err(failure),
            }
            Ok(collection.clone())
        });
        Ok(answers.collect())
    }

    fn watermark(&mut self, collection: &str) -> Result<String> {
        Ok(listing::watermark(&mut ForWriting(&self.connection, collection))?.text())
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
            let (flags, dropped) = keepable(item.meta.flags, permanent(&status));
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
                    let (flags, _) = keepable(remark.flags.clone(), permanent(&status));
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

    /// Makes the mailboxes, and those above them, where they are not there yet; gives their names.
    fn make(&mut self, wanted: &[Collection]) -> Result<Vec<Result<String>>> {
        let keeps_uses = self.connection.offers("CREATE-SPECIAL-USE")?;
        let names = self.connection.names()?;
        let mut named: Vec<Result<String>> = Vec::with_capacity(wanted.len());
        let mut making: Vec<New> = Vec::new();
        for (at, wanted) in wanted.iter().enumerate() {
            let holder = wanted.role.and_then(|role| self.with_role(role));
            named.push(match holder {
                Some(name) => Ok(name),
                None => match names.name(&wanted.path) {
                    Ok(name) => {
                        self.plan(at, wanted, &name, &names, &mut making)?;
                        Ok(name)
                    }
                    Err(failure) => Err(failure),
                },
            });
        }
        if making.is_empty() {
            return Ok(named);
        }
        let asked: Vec<(String, Option<String>)> = making
            .iter()
            .map(|new| {
                (
                    new.name.clone(),
                    new.role.and_then(roles::special_use).map(str::to_owned),
                )
            })
            .collect();
        let answers = self.connection.call(|session| session.create(&asked))?;
        let mut refused = Vec::new();
        for (new, answer) in making.into_iter().zip(answers) {
            match (answer, new.at) {
                (Ok(()), _) => {
                    let role = new
                        .role
                        .filter(|role| keeps_uses && roles::special_use(*role).is_some());
                    let made = Collection::new(new.name.clone(), &new.path).role(role);
                    self.mailboxes.get_or_insert_default().insert(new.name, made);
                }
                (Err(failure), Some(at)) => refused.push((at, failure)),
                // A parent that cannot be made matters only if the mailbox itself cannot.
                (Err(_), None) => {}
            }
        }
        if !refused.is_empty() {
            // Some servers make their special mailboxes themselves and refuse to make them again.
            self.load(true)?;
        }
        for (at, failure) in refused {
            let (Some(wanted), Some(Ok(name))) = (wanted.get(at), named.get(at)) else {
                continue;
            };
            if !self.is_there(name, wanted) {
                named[at] = Err(failure.within(&format!("mailbox `{name}`")));
            }
        }
        Ok(named)
    }

    /// Adds what is to be made for one mailbox, those above it first.
    fn plan(&mut self, at: usize, wanted: &Collection, name: &str, names: &Names, making: &mut Vec<New>) -> Result<()> {
        if self.is_there(name, wanted) {
            return Ok(());
        }
        if let Some(new) = making.iter_mut().find(|new| new.name == name) {
            new.at = new.at.or(Some(at));
            new.role = new.role.or(wanted.role);
            return Ok(());
        }
        for depth in 1..wanted.path.len() {
            let path = &wanted.path[..depth];
            let parent = names.name(path)?;
            if parent != "INBOX" && self.known(&parent).is_none() && making.iter().all(|new| new.name != parent) {
                making.push(New {
                    name: parent,
                    path: path.to_vec(),
                    role: None,
                    at: None,
                });
            }
        }
        making.push(New {
            name: name.to_owned(),
            path: wanted.path.clone(),
            role: wanted.role,
            at: Some(at),
        });
        Ok(())
    }

    fn is_there(&self, name: &str, wanted: &Collection) -> bool {
        name == "INBOX"
            || self
                .known(name)
                .is_some_and(|known| known.selectable || !wanted.selectable)
    }

    /// Subscribes to those that are to be and are not; gives what was refused, by name.
    fn subscribe(&mut self, wanted: &[Collection], names: &[Result<String>]) -> Result<HashMap<String, Failure>> {
        let open: Vec<String> = (wanted.iter().zip(names))
            .filter(|(wanted, _)| wanted.subscribed)
            .filter_map(|(_, name)| name.as_ref().ok())
            .filter(|name| !self.known(name).is_some_and(|known| known.subscribed))
            .cloned()
            .collect();
        if open.is_empty() {
            return Ok(HashMap::new());
        }
        let answers = self.connection.call(|session| session.subscribe(&open))?;
        let refused = open
            .into_iter()
            .zip(answers)
            .filter_map(|(name, answer)| Some((name, answer.err()?)));
        Ok(refused.collect())
    }

    /// How those that hold messages are now, by name.
    fn statuses(&mut self, wanted: &[Collection], names: &[Result<String>]) -> Result<HashMap<String, Result<Status>>> {
        let mut statuses = HashMap::new();
        let mut asked = Vec::new();
        for (wanted, name) in wanted.iter().zip(names) {
            let Ok(name) = name else { continue };
            match self.connection.opened(name) {
                _ if !wanted.selectable => {}
                // STATUS is not for the mailbox that is open (RFC 9051, 6.3.11).
                Some(open) => drop(statuses.insert(name.clone(), Ok(open.status))),
                None => asked.push(name.clone()),
            }
        }
        if !asked.is_empty() {
            let answers = self.connection.call(|session| session.statuses(&asked))?;
            statuses.extend(asked.into_iter().zip(answers));
        }
        Ok(statuses)
    }

    /// Where the server told no UIDs: what came since `before` is what was put, if number and sizes agree. A failure to
    /// look changes nothing: the messages are there, and the host finds them.
    fn find_ids(&mut self, mailbox: &str, before: &Status, sizes: &[u64], answers: &mut [Result<Option<u32>>]) {
        let most = u32::try_from(sizes.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
            .min(10_000);
        let mut listing = ForWriting(&self.connection, mailbox);
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
struct ForWriting<'a>(&'a Connection, &'a str);

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
