//! An account, read.

use std::collections::HashMap;

use whimbrel_plugin::imap::{Session, Status, Summary};
use whimbrel_plugin::{Collection, Failure, Item, Page, Result};

use crate::connection::{Connection, Scanned};
use crate::cursor::Cursor;
use crate::listing::{self, Kept, Mailbox};
use crate::ranges::Range;
use crate::settings::Settings;

/// See the module.
#[derive(Debug)]
pub struct Source {
    connection: Connection,
    /// As `collections` saw them; each spares one SELECT. See [`Source::changes`].
    statuses: HashMap<String, Status>,
    kept: Kept,
    /// The mailbox that `kept` speaks of.
    listed: String,
    scanned: Scanned,
}

/// Listing and remembering what was seen, for the `fetch` that follows.
struct Remembering<'a, M> {
    inner: M,
    mailbox: &'a str,
    scanned: &'a mut Scanned,
}

impl<M: Mailbox> Mailbox for Remembering<'_, M> {
    fn examine(&mut self) -> Result<Status> {
        self.inner.examine()
    }
    fn scan(&mut self, from: u32, to: u32, limit: u32, changed_since: Option<u64>) -> Result<Vec<Summary>> {
        let found = self.inner.scan(from, to, limit, changed_since)?;
        self.scanned.keep(self.mailbox, found.iter().cloned());
        Ok(found)
    }
    fn uids(&mut self) -> Result<Vec<Range>> {
        self.inner.uids()
    }
    fn vanished(&mut self, since: u64) -> Result<Option<Vec<Range>>> {
        self.inner.vanished(since)
    }
}

impl whimbrel_plugin::Source for Source {
    fn open(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let connection = Connection::connect(Settings::read(settings)?)?;
        Ok(Self {
            connection,
            statuses: HashMap::new(),
            kept: Kept::default(),
            listed: String::new(),
            scanned: Scanned::default(),
        })
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        let mailboxes = self.connection.mailboxes(true)?;
        self.statuses.clear();
        let mut collections = Vec::with_capacity(mailboxes.len());
        for (collection, mailbox) in mailboxes {
            if let Some(status) = mailbox.status {
                self.statuses.insert(mailbox.name, status);
            }
            collections.push(collection);
        }
        Ok(collections)
    }

    /// Where `collections` saw the mailbox in the very state of the cursor, nothing is asked of the server: whatever
    /// came later finds the same cursor the next time. Each such status answers once, so that a host that lists again
    /// and again asks again and again.
    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let cursor = cursor.map(Cursor::parse).transpose()?;
        let status = self.statuses.remove(collection);
        if let (Some(cursor), Some(status)) = (&cursor, &status)
            && listing::unchanged(cursor, status)
        {
            return Ok(listing::empty(cursor));
        }
        if self.listed != collection {
            collection.clone_into(&mut self.listed);
            self.kept = Kept::default();
        }
        let opened = self.connection.opened(collection, true).cloned();
        let mut mailbox = Remembering {
            inner: self.connection.listing(collection),
            mailbox: collection,
            scanned: &mut self.scanned,
        };
        listing::changes(&mut mailbox, cursor, opened, limit, &mut self.kept)
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        self.connection.open(collection, true)?;
        let uids: Vec<Option<u32>> = ids.iter().map(|id| uid(id)).collect();
        let wanted: Vec<u32> = uids.iter().flatten().copied().collect();
        let summaries = self.summaries(collection, &wanted)?;
        let there: Vec<u32> = wanted
            .iter()
            .copied()
            .filter(|uid| summaries.contains_key(uid))
            .collect();
        let bodies = if there.is_empty() {
            Vec::new()
        } else {
            self.connection.call(|session: &Session| session.fetch(&there))?
        };
        if bodies.len() != there.len() {
            return Err(Failure::internal(
                "a fetch gave another number of bodies than were asked for",
            ));
        }
        let mut bodies = bodies.into_iter();
        Ok(ids
            .iter()
            .zip(uids)
            .map(|(id, uid)| {
                let summary = uid.and_then(|uid| summaries.get(&uid));
                let Some(summary) = summary else {
                    return Err(Failure::not_found(format!("message {} is not there", short(id))));
                };
                let body = bodies
                    .next()
                    .unwrap_or_else(|| Err(Failure::internal("a body is missing")))?;
                Ok(Item::message(listing::meta(summary), body))
            })
            .collect())
    }

    fn wait(&mut self, timeout_ms: u64) -> Result<Vec<String>> {
        const INBOX: &str = "INBOX";
        self.connection.open(INBOX, true)?;
        let changed = self.connection.call(|session| session.idle(timeout_ms))?;
        Ok(if changed { vec![INBOX.to_owned()] } else { Vec::new() })
    }
}

impl Source {
    /// What is known of these messages of the open mailbox: from the listing before, else asked for.
    fn summaries(&mut self, mailbox: &str, uids: &[u32]) -> Result<HashMap<u32, Summary>> {
        let mut known = HashMap::with_capacity(uids.len());
        let mut missing = Vec::new();
        for &uid in uids {
            if known.contains_key(&uid) {
                continue;
            }
            match self.scanned.take(mailbox, uid) {
                Some(summary) => {
                    known.insert(uid, summary);
                }
                None => missing.push(uid),
            }
        }
        let found = self.connection.there(&missing)?;
        known.extend(found.into_iter().map(|summary| (summary.uid, summary)));
        Ok(known)
    }
}

/// The id as a UID; only in the form in which it was given out.
pub fn uid(id: &str) -> Option<u32> {
    id.parse().ok().filter(|uid: &u32| *uid != 0 && uid.to_string() == id)
}

/// For an error text.
pub fn short(id: &str) -> String {
    let short: String = id.chars().take(40).flat_map(char::escape_default).collect();
    format!("`{short}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uids_as_written() {
        assert_eq!(uid("4294967295"), Some(u32::MAX));
        for id in ["", "0", "01", "+1", "-1", "4294967296", "x", " 1"] {
            assert_eq!(uid(id), None, "{id}");
        }
        assert!(short(&"\u{1F980}".repeat(5000)).len() < 1000);
    }
}
