//! A session: what it knows, and the guard that keeps a broken one from being used.

use std::collections::HashMap;

use whimbrel_model::Failure;

use crate::{BlobStore, Protection};

use super::errors::Attempt;
use super::names::{Encoding, Names, quotable, quote};
use super::sets::UidSet;
use super::talk::{Part, Talk};
use super::{Namespace, Status};

/// A connection that is logged in. One command at a time, so every method takes `&mut self`.
///
/// After `Unavailable`, `Unauthenticated` or `Internal`, and after a call that was cancelled, every further call fails
/// at once: connect anew. Other failures leave the session usable.
pub struct Session {
    pub(super) talk: Talk,
    pub(super) blobs: BlobStore,
    pub(super) capabilities: Vec<String>,
    pub(super) server_id: Vec<(String, String)>,
    pub(super) namespaces: Namespaces,
    pub(super) names: Names,
    pub(super) encoding: Encoding,
    /// QRESYNC was enabled.
    pub(super) qresync: bool,
    /// The mailboxes were listed, so `names` knows them all.
    pub(super) listed: bool,
    pub(super) open: Option<Open>,
    /// APPENDLIMIT of mailboxes that were asked for it.
    pub(super) limits: HashMap<String, Option<u64>>,
    /// None in clear text.
    pub(super) protection: Option<Protection>,
    host: String,
    state: State,
}

/// The open mailbox.
#[derive(Debug)]
pub(super) struct Open {
    pub name: String,
    pub status: Status,
    pub listing: Option<Listing>,
}

/// The UIDs that a paged scan goes through.
#[derive(Debug)]
pub(super) struct Listing {
    pub changed_since: Option<u64>,
    pub from: u32,
    pub to: u32,
    pub uids: UidSet,
    /// What the mailbox held when it was made.
    pub exists: u64,
}

/// NAMESPACE, as raw names.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    /// Prefix and delimiter; the first is the one to use.
    pub personal: Vec<(Vec<u8>, Option<u8>)>,
    /// Prefixes of other users' and shared mailboxes.
    pub foreign: Vec<Vec<u8>>,
}

enum State {
    Ready,
    /// A command is under way. Seen at the start of a call, it means that one was cancelled.
    Busy,
    Dead(String),
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(talk: Talk, blobs: BlobStore, capabilities: Vec<String>, host: String) -> Self {
        Self {
            talk,
            blobs,
            capabilities,
            server_id: Vec::new(),
            namespaces: Namespaces::default(),
            names: Names::new(Encoding::Utf7),
            encoding: Encoding::Utf7,
            qresync: false,
            listed: false,
            open: None,
            limits: HashMap::new(),
            protection: None,
            host,
            state: State::Ready,
        }
    }

    /// What the server can do, upper-case, as it said after login.
    pub fn capabilities(&self) -> &[String] {
        &self.capabilities
    }

    /// What the server says of itself (RFC 2971); empty where it does not.
    pub fn server_id(&self) -> &[(String, String)] {
        &self.server_id
    }

    /// How the connection is encrypted; none where it is not.
    pub fn protection(&self) -> Option<&Protection> {
        self.protection.as_ref()
    }

    /// The personal namespace (RFC 2342).
    ///
    /// # Errors
    /// None today: it was learnt at login.
    pub fn personal_namespace(&self) -> Result<Namespace, Failure> {
        let (prefix, delimiter) = self.namespaces.personal.first().cloned().unwrap_or_default();
        Ok(Namespace {
            prefix: self.names.decode(&prefix),
            delimiter: delimiter.map(|byte| char::from(byte).to_string()),
        })
    }

    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known == capability)
    }

    /// A mailbox name as a piece of a command: quoted, or a literal where that cannot be.
    pub(super) fn name(&self, name: &str) -> Result<Name, Failure> {
        if name.is_empty() {
            return Err(Failure::Rejected("a mailbox needs a name".to_owned()));
        }
        let raw = self.names.raw(name);
        if raw.contains(&0) || raw.len() > 16 << 10 {
            return Err(Failure::Rejected(format!(
                "`{}` cannot be a mailbox name in IMAP",
                name.escape_debug()
            )));
        }
        Ok(if quotable(&raw, self.encoding) {
            Name::Quoted(quote(&raw))
        } else {
            Name::Literal(raw)
        })
    }

    /// The open mailbox.
    ///
    /// # Errors
    /// `Internal` where none is.
    pub(super) fn opened(&mut self) -> Result<&mut Open, Failure> {
        self.open
            .as_mut()
            .ok_or_else(|| Failure::Internal("no mailbox is open: `open` one first".to_owned()))
    }

    /// What is attempted with the messages of the open mailbox.
    pub(super) fn opened_name(&mut self) -> Result<String, Failure> {
        Ok(self.opened()?.name.clone())
    }

    /// Begins a call.
    ///
    /// # Errors
    /// `Unavailable` where the session is dead.
    pub(super) fn enter(&mut self) -> Result<(), Failure> {
        match &self.state {
            State::Ready => {
                self.state = State::Busy;
                Ok(())
            }
            State::Busy => {
                let text = format!(
                    "the session with {} was interrupted in mid-command: connect anew",
                    self.host
                );
                self.state = State::Dead(text.clone());
                Err(Failure::Unavailable(text))
            }
            State::Dead(reason) => Err(Failure::Unavailable(reason.clone())),
        }
    }

    /// Ends a call.
    pub(super) fn leave<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        self.state = match &result {
            Err(failure @ (Failure::Unavailable(_) | Failure::Unauthenticated(_) | Failure::Internal(_))) => {
                State::Dead(format!(
                    "the session with {} ended earlier ({failure}): connect anew",
                    self.host
                ))
            }
            _ => State::Ready,
        };
        result.map_err(|failure| match failure {
            Failure::Unavailable(text) => Failure::Unavailable(format!("{}: {text}", self.host)),
            other => other,
        })
    }

    /// Ends the session.
    ///
    /// # Errors
    /// None that matter: the connection is closed in any case.
    pub async fn logout(mut self) -> Result<(), Failure> {
        if self.enter().is_err() {
            return Ok(());
        }
        self.talk.link.timeouts.reply = self.talk.link.timeouts.reply.min(std::time::Duration::from_secs(5));
        // The BYE that answers ends the wait; there is nothing left to learn from it.
        let _ = self.talk.call(&[Part::Text("LOGOUT")], &mut super::talk::ignore).await;
        Ok(())
    }

    /// Lists the mailboxes once, so that a name in an odd encoding is found. True where the name now means another.
    pub(super) async fn learn_names(&mut self, name: &str) -> Result<bool, Failure> {
        if self.listed {
            return Ok(false);
        }
        let before = self.names.raw(name);
        self.list(false).await?;
        Ok(self.names.raw(name) != before)
    }
}

/// A mailbox name ready to be sent.
pub(super) enum Name {
    Quoted(Vec<u8>),
    Literal(Vec<u8>),
}

impl Name {
    pub fn part(&self) -> Part<'_> {
        match self {
            Self::Quoted(bytes) => Part::Bytes(bytes),
            Self::Literal(bytes) => Part::Literal(bytes),
        }
    }

    /// Something done with a mailbox, for failures.
    pub fn attempt(name: &str) -> Attempt<'_> {
        Attempt::Mailbox(name)
    }
}
