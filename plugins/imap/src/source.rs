//! An account, read.

use std::collections::HashMap;

use whimbrel_plugin::imap::Status;
use whimbrel_plugin::{Collection, Failure, Item, Page, Result};

use crate::connection::Connection;
use crate::cursor::Cursor;
use crate::listing::{self, Kept};
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
}

impl whimbrel_plugin::Source for Source {
    fn open(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let connection = Connection::connect(Settings::read(settings)?)?;
        Ok(Self {
            connection,
            statuses: HashMap::new(),
            kept: Kept::default(),
            listed: String::new(),
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
        let opened = self.connection.opened_as(collection, true);
        let mut mailbox = self.connection.listing(collection);
        listing::changes(&mut mailbox, cursor, opened, limit, &mut self.kept)
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        self.connection.open(collection, true)?;
        let uids: Vec<Option<u32>> = ids.iter().map(|id| uid(id)).collect();
        let wanted: Vec<u32> = uids.iter().flatten().copied().collect();
        let messages = if wanted.is_empty() {
            Vec::new()
        } else {
            let extra = self.connection.extra()?;
            self.connection.call(|session| session.fetch(&wanted, &extra))?
        };
        let mut messages = messages.into_iter();
        let answers = ids.iter().zip(uids).map(|(id, uid)| {
            if uid.is_none() {
                return Err(Failure::not_found(format!("message {} is not there", short(id))));
            }
            let message = messages
                .next()
                .unwrap_or_else(|| Err(Failure::internal("a fetch gave fewer answers than there were UIDs")))?;
            Ok(Item::message(listing::meta(message.summary), message.content))
        });
        Ok(answers.collect())
    }

    fn wait(&mut self, timeout_ms: u64) -> Result<Vec<String>> {
        const INBOX: &str = "INBOX";
        self.connection.open(INBOX, true)?;
        let changed = self.connection.call(|session| session.idle(timeout_ms))?;
        Ok(if changed { vec![INBOX.to_owned()] } else { Vec::new() })
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
