//! An account: one inbox.

use std::collections::HashSet;

use whimbrel_folders::{Body, Fetched, head};
use whimbrel_plugin::{Change, Collection, Failure, ItemMeta, Page, Pager, Result, Role};

use crate::cursor::Cursor;
use crate::session::{Mail, Session};
use crate::settings::Settings;
use crate::wire::{Net, Wire};

/// Id and name of the only collection.
pub const INBOX: &str = "INBOX";

/// An inbox behind a connection. A session shows the mailbox as it was when it began: a listing begins a new one.
#[derive(Debug)]
pub struct Account<N: Net> {
    net: N,
    settings: Settings,
    session: Option<Session<N::Wire>>,
    /// Nothing was listed from the session yet.
    fresh: bool,
}

type Content<N> = <<N as Net>::Wire as Wire>::Body;

impl<N: Net> Account<N> {
    /// Logs in.
    ///
    /// # Errors
    /// What connecting failed with, or what the server's refusal means.
    pub fn open(net: N, settings: Settings) -> Result<Self> {
        let mut account = Self {
            net,
            settings,
            session: None,
            fresh: false,
        };
        account.session()?;
        Ok(account)
    }

    fn session(&mut self) -> Result<&mut Session<N::Wire>> {
        if self.session.is_none() {
            self.session = Some(Session::open(&self.net, &self.settings)?);
            self.fresh = true;
        }
        self.session
            .as_mut()
            .ok_or_else(|| Failure::internal("a session was lost"))
    }

    /// A session that shows what is there now. The old one ends first: many servers let in one at a time.
    fn renew(&mut self) -> Result<&mut Session<N::Wire>> {
        if !self.fresh {
            self.session = None;
        }
        self.session()
    }

    /// See `source.collections`.
    ///
    /// # Errors
    /// What the server failed with.
    pub fn collections(&mut self) -> Result<Vec<Collection>> {
        let session = self.session()?;
        let count = session.mails.len() as u64;
        let bytes = session
            .mails
            .iter()
            .fold(0_u64, |sum, mail| sum.saturating_add(mail.size));
        Ok(vec![
            Collection::new(INBOX, [INBOX])
                .role(Some(Role::Inbox))
                .subscribed(true)
                .claims(Some(count), Some(bytes)),
        ])
    }

    /// See `source.changes`.
    ///
    /// # Errors
    /// `not-found` for any other collection; what the server failed with.
    pub fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        known(collection)?;
        let at = cursor.and_then(Cursor::parse);
        let goes_on = at.as_ref().is_some_and(|at| at.last.is_some());
        let session = if goes_on { self.session()? } else { self.renew()? };
        let before = at.as_ref().and_then(|at| at.before.clone());
        // Where the message is gone at which it would go on, the listing begins again.
        let from = at
            .and_then(|at| at.last)
            .and_then(|last| session.place(&last))
            .map_or(0, |place| place + 1);
        // Of what comes behind the last message of the listing before, nothing was there then. Where that message is
        // gone, nobody knows.
        let new_from = match before.as_deref() {
            None | Some("") => 0,
            Some(id) => session.place(id).map_or(usize::MAX, |place| place + 1),
        };
        let mut pager = Pager::new(limit);
        let mut last = None;
        for (place, mail) in session.mails.iter().enumerate().skip(from) {
            let meta = ItemMeta::new(&mail.id).size(mail.size);
            let change = if place >= new_from {
                Change::Upserted(meta)
            } else {
                Change::Marked(meta)
            };
            if !pager.push(change) {
                let cursor = Cursor { before, last };
                return Ok(pager.page(cursor.write(), true).complete(true));
            }
            last = Some(mail.id.clone());
        }
        let seen = session.mails.last().map(|mail| mail.id.clone()).unwrap_or_default();
        self.fresh = false;
        let cursor = Cursor {
            before: Some(seen),
            last: None,
        };
        Ok(pager.page(cursor.write(), false).complete(true))
    }

    /// See `source.fetch`: what is known of each message, and its content.
    ///
    /// # Errors
    /// `not-found` for any other collection; what ended the connection.
    pub fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Fetched<Content<N>>>> {
        known(collection)?;
        let mut session = self.session()?;
        if ids.iter().any(|id| session.find(id).is_none()) {
            // It may have come since.
            session = self.renew()?;
        }
        let mails: Vec<Option<Mail>> = ids.iter().map(|id| session.find(id).cloned()).collect();
        let wanted: Vec<Mail> = mails.iter().flatten().cloned().collect();
        let bodies = match session.retrieve(&wanted) {
            Ok(bodies) => bodies,
            Err(failure) => {
                self.session = None;
                return Err(failure);
            }
        };
        let refused = bodies.iter().any(Result::is_err);
        if refused {
            // Another program may have deleted it, which is no fault of the message's.
            self.fresh = false;
        }
        let there: HashSet<String> = if refused {
            let now = self.renew()?;
            ids.iter().filter(|id| now.find(id).is_some()).cloned().collect()
        } else {
            HashSet::new()
        };
        self.fresh = false;
        let mut bodies = bodies.into_iter();
        let gone = |id: &str| Failure::not_found(format!("message `{id}` is gone from the inbox"));
        Ok(ids
            .iter()
            .zip(mails)
            .map(|(id, mail)| {
                mail.ok_or_else(|| gone(id))?;
                match bodies.next() {
                    Some(Ok(body)) => Ok((meta(id, &body), body)),
                    Some(Err(_)) if !there.contains(id) => Err(gone(id)),
                    Some(Err(failure)) => Err(failure),
                    None => Err(Failure::internal("no answer")),
                }
            })
            .collect())
    }
}

fn meta(id: &str, body: &impl Body) -> ItemMeta {
    ItemMeta::new(id)
        .size(body.size())
        .received(head::received(&body.read(0, head::BYTES)))
}

fn known(collection: &str) -> Result<()> {
    if collection == INBOX {
        return Ok(());
    }
    Err(Failure::not_found(format!(
        "there is no folder `{collection}`: POP3 knows the inbox only"
    )))
}
