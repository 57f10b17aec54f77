//! IMAP sessions. Where one may connect is decided by the grants; credentials go straight to the client and are never
//! seen by the plugin.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime::{Result, bail};
use whimbrel_model::Failure;
use whimbrel_wire::Tls;
use whimbrel_wire::imap as wire;

use crate::Attempt;
use crate::activity::Interface;
use crate::bindings::types;
use crate::bindings::whimbrel::connector::imap;
use crate::convert;
use crate::host::{HostError, HostResult};
use crate::instance::State;

/// Messages of one scan, fetch or append.
const MOST_MESSAGES: usize = 10_000;
/// Mailboxes made, subscribed to or asked for at once.
const MOST_MAILBOXES: usize = 10_000;
/// UIDs of one copy or move.
const MOST_UIDS: usize = 100_000;
/// Extra items of a scan.
const MOST_EXTRA: usize = 16;
/// Bytes of a mailbox name.
const NAME: usize = 16 << 10;
/// Servers may cut an IDLE after 30 minutes (RFC 9051, 6.3.13).
const IDLE: Duration = Duration::from_secs(29 * 60);
/// For a polite goodbye.
const LOGOUT: Duration = Duration::from_secs(2);

/// A session that a plugin holds.
#[derive(Debug)]
pub struct Session(wire::Session);

impl State {
    fn session(&mut self, handle: &Resource<Session>) -> HostResult<&mut wire::Session> {
        Ok(&mut self.table.get_mut(handle)?.0)
    }

    /// Whom to trust.
    pub(crate) async fn tls(&mut self) -> Result<Tls, Failure> {
        let spec = self.grants.account()?;
        let (ca, pins, trust) = (spec.ca.clone(), spec.pins.clone(), Arc::clone(&self.trust));
        tokio::task::spawn_blocking(move || trust.with(ca.as_deref(), &pins))
            .await
            .map_err(|error| Failure::Internal(format!("reading the certificate authorities was abandoned: {error}")))?
    }

    /// Whether the account may be altered. A source is read-only whatever its plugin tries.
    fn may_alter(&self, what: &str) -> Result<(), Failure> {
        if self.grants.writable() {
            return Ok(());
        }
        self.activity.refuse(Attempt::Write, what);
        Err(Failure::Forbidden(format!(
            "connector `{}` tried to {what} at the source of mailbox `{}`: a source is only read",
            self.grants.plugin(),
            self.grants.mailbox()
        )))
    }
}

fn at_most<T>(what: &str, items: &[T], limit: usize) -> Result<()> {
    if items.len() > limit {
        bail!("passed {} {what} at once; the limit is {limit}", items.len());
    }
    Ok(())
}

fn answers<A, B>(answers: Vec<Result<A, Failure>>, convert: impl Fn(A) -> B) -> Vec<Result<B, types::Failure>> {
    answers
        .into_iter()
        .map(|answer| answer.map(&convert).map_err(convert::failure_to_guest))
        .collect()
}

fn name(mailbox: &str) -> Result<()> {
    if mailbox.len() > NAME {
        bail!("passed a mailbox name of {} bytes; the limit is {NAME}", mailbox.len());
    }
    Ok(())
}

fn status(from: wire::Status) -> imap::Status {
    imap::Status {
        messages: from.messages,
        uid_next: from.uid_next,
        uid_validity: from.uid_validity,
        highest_modseq: from.highest_modseq,
        bytes: from.bytes,
        mailbox_id: from.mailbox_id,
        append_limit: from.append_limit,
        permanent_flags: from.permanent_flags,
    }
}

fn mailbox(from: wire::Mailbox) -> imap::Mailbox {
    imap::Mailbox {
        name: from.name,
        delimiter: from.delimiter,
        attributes: from.attributes,
        status: from.status.map(status),
    }
}

fn summary(from: wire::Summary) -> imap::Summary {
    imap::Summary {
        uid: from.uid,
        modseq: from.modseq,
        size: from.size,
        received: from.received.map(convert::timestamp_to_guest),
        flags: from.flags,
        email_id: from.email_id,
        extra: from.extra,
    }
}

impl imap::Host for State {}

impl imap::HostSession for State {
    async fn connect(&mut self, host: String, port: u16, security: imap::Security) -> HostResult<Resource<Session>> {
        let mut waiting = self.host(Interface::Imap, "session.connect");
        waiting.note(|| format!("{host}:{port}"));
        let (security, default_port) = match security {
            imap::Security::Implicit => (wire::Security::Implicit, 993),
            imap::Security::Starttls => (wire::Security::StartTls, 143),
            imap::Security::Insecure => (wire::Security::Insecure, 143),
        };
        self.grants
            .network(&host, port, default_port, security == wire::Security::Insecure)?;
        let limit = self.limits.max_sessions;
        if self.sessions >= limit {
            return Err(HostError::Trap(wasmtime::format_err!(
                "has {limit} sessions already, as many as it may"
            )));
        }
        let tls = self.tls().await?;
        let spec = self.grants.account()?;
        let target = wire::Target {
            host,
            port,
            security,
            tls,
            credentials: spec.credentials.clone(),
            compress: spec.compress,
            timeouts: spec.timeouts,
            blobs: self.blobs.clone(),
        };
        let session = wire::Session::connect(&target).await?;
        spec.connections.note(&target.host, port, session.protection());
        let handle = self.keep(Session(session))?;
        self.sessions += 1;
        Ok(handle)
    }

    async fn capabilities(&mut self, session: Resource<Session>) -> Result<Vec<String>> {
        self.activity.quick_call(Interface::Imap, "session.capabilities");
        Ok(self.table.get(&session)?.0.capabilities().to_vec())
    }

    async fn server_id(&mut self, session: Resource<Session>) -> Result<Vec<(String, String)>> {
        self.activity.quick_call(Interface::Imap, "session.server-id");
        Ok(self.table.get(&session)?.0.server_id().to_vec())
    }

    async fn personal_namespace(&mut self, session: Resource<Session>) -> HostResult<imap::Namespace> {
        self.activity.quick_call(Interface::Imap, "session.personal-namespace");
        let wire::Namespace { prefix, delimiter } = self.session(&session)?.personal_namespace()?;
        Ok(imap::Namespace { prefix, delimiter })
    }

    async fn mailboxes(&mut self, session: Resource<Session>, with_status: bool) -> HostResult<Vec<imap::Mailbox>> {
        let mut waiting = self.host(Interface::Imap, "session.mailboxes");
        let mailboxes = self.session(&session)?.mailboxes(with_status).await?;
        waiting.note(|| format!("{} mailboxes", mailboxes.len()));
        Ok(mailboxes.into_iter().map(mailbox).collect())
    }

    async fn open(&mut self, session: Resource<Session>, mailbox: String, read_only: bool) -> HostResult<imap::Status> {
        let mut waiting = self.host(Interface::Imap, "session.open");
        waiting.note(|| mailbox.clone());
        name(&mailbox)?;
        if !read_only {
            self.may_alter("open a mailbox for writing")?;
        }
        Ok(status(self.session(&session)?.open(&mailbox, read_only).await?))
    }

    async fn scan(
        &mut self,
        session: Resource<Session>,
        from: u32,
        to: u32,
        limit: u32,
        changed_since: Option<u64>,
        extra: Vec<String>,
    ) -> HostResult<Vec<imap::Summary>> {
        let mut waiting = self.host(Interface::Imap, "session.scan");
        at_most("extra fetch items", &extra, MOST_EXTRA)?;
        let limit = limit.min(u32::try_from(MOST_MESSAGES).unwrap_or(u32::MAX));
        let found = self
            .session(&session)?
            .scan(from, to, limit, changed_since, &extra)
            .await?;
        waiting.note(|| format!("UID {from}:{to}, {} found", found.len()));
        Ok(found.into_iter().map(summary).collect())
    }

    async fn uids(&mut self, session: Resource<Session>) -> HostResult<Vec<(u32, u32)>> {
        let _waiting = self.host(Interface::Imap, "session.uids");
        Ok(self.session(&session)?.uids().await?)
    }

    async fn vanished(&mut self, session: Resource<Session>, since: u64) -> HostResult<Option<Vec<(u32, u32)>>> {
        let _waiting = self.host(Interface::Imap, "session.vanished");
        Ok(self.session(&session)?.vanished(since).await?)
    }

    async fn fetch(
        &mut self,
        session: Resource<Session>,
        uids: Vec<u32>,
        extra: Vec<String>,
    ) -> HostResult<Vec<Result<imap::Message, types::Failure>>> {
        let mut waiting = self.host(Interface::Imap, "session.fetch");
        waiting.note(|| format!("{} messages", uids.len()));
        at_most("UIDs to fetch", &uids, MOST_MESSAGES)?;
        at_most("extra fetch items", &extra, MOST_EXTRA)?;
        let messages = self.session(&session)?.fetch(&uids, &extra).await?;
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            answers.push(match message {
                Ok(message) => Ok(imap::Message {
                    summary: summary(message.summary),
                    content: self.lend(message.body)?,
                }),
                Err(failure) => Err(convert::failure_to_guest(failure)),
            });
        }
        Ok(answers)
    }

    async fn append(
        &mut self,
        session: Resource<Session>,
        mailbox: String,
        messages: Vec<imap::Outgoing>,
    ) -> HostResult<Vec<Result<Option<u32>, types::Failure>>> {
        let mut waiting = self.host(Interface::Imap, "session.append");
        waiting.note(|| format!("{} messages to {mailbox}", messages.len()));
        self.may_alter("store messages")?;
        name(&mailbox)?;
        at_most("messages to append", &messages, MOST_MESSAGES)?;
        let mut outgoing = Vec::with_capacity(messages.len());
        for message in messages {
            outgoing.push(wire::Outgoing {
                content: self.take_body(message.content)?,
                received: message.received.map(convert::timestamp),
                flags: message.flags,
            });
        }
        let stored = self.session(&session)?.append(&mailbox, &outgoing).await?;
        Ok(answers(stored, |uid| uid))
    }

    async fn copy(
        &mut self,
        session: Resource<Session>,
        uids: Vec<u32>,
        mailbox: String,
    ) -> HostResult<Vec<(u32, u32)>> {
        let mut waiting = self.host(Interface::Imap, "session.copy");
        waiting.note(|| format!("{} messages to {mailbox}", uids.len()));
        self.may_alter("copy messages")?;
        name(&mailbox)?;
        at_most("UIDs to copy", &uids, MOST_UIDS)?;
        Ok(self.session(&session)?.copy(&uids, &mailbox).await?)
    }

    async fn move_(
        &mut self,
        session: Resource<Session>,
        uids: Vec<u32>,
        mailbox: String,
    ) -> HostResult<Vec<(u32, u32)>> {
        let mut waiting = self.host(Interface::Imap, "session.move");
        waiting.note(|| format!("{} messages to {mailbox}", uids.len()));
        self.may_alter("move messages")?;
        name(&mailbox)?;
        at_most("UIDs to move", &uids, MOST_UIDS)?;
        Ok(self.session(&session)?.r#move(&uids, &mailbox).await?)
    }

    async fn store(&mut self, session: Resource<Session>, uid: u32, flags: Vec<String>) -> HostResult<()> {
        let mut waiting = self.host(Interface::Imap, "session.store");
        waiting.note(|| format!("UID {uid}"));
        self.may_alter("set flags")?;
        at_most("flags", &flags, MOST_MESSAGES)?;
        Ok(self.session(&session)?.store(uid, &flags).await?)
    }

    async fn create(
        &mut self,
        session: Resource<Session>,
        mailboxes: Vec<(String, Option<String>)>,
    ) -> HostResult<Vec<Result<(), types::Failure>>> {
        let mut waiting = self.host(Interface::Imap, "session.create");
        waiting.note(|| format!("{} mailboxes", mailboxes.len()));
        self.may_alter("create a mailbox")?;
        at_most("mailboxes to create", &mailboxes, MOST_MAILBOXES)?;
        mailboxes.iter().try_for_each(|(mailbox, _)| name(mailbox))?;
        Ok(answers(self.session(&session)?.create(&mailboxes).await?, |()| ()))
    }

    async fn subscribe(
        &mut self,
        session: Resource<Session>,
        mailboxes: Vec<String>,
    ) -> HostResult<Vec<Result<(), types::Failure>>> {
        let mut waiting = self.host(Interface::Imap, "session.subscribe");
        waiting.note(|| format!("{} mailboxes", mailboxes.len()));
        self.may_alter("subscribe to a mailbox")?;
        at_most("mailboxes to subscribe to", &mailboxes, MOST_MAILBOXES)?;
        mailboxes.iter().try_for_each(|mailbox| name(mailbox))?;
        Ok(answers(self.session(&session)?.subscribe(&mailboxes).await?, |()| ()))
    }

    async fn statuses(
        &mut self,
        session: Resource<Session>,
        mailboxes: Vec<String>,
    ) -> HostResult<Vec<Result<imap::Status, types::Failure>>> {
        let mut waiting = self.host(Interface::Imap, "session.statuses");
        waiting.note(|| format!("{} mailboxes", mailboxes.len()));
        at_most("mailboxes to ask for", &mailboxes, MOST_MAILBOXES)?;
        mailboxes.iter().try_for_each(|mailbox| name(mailbox))?;
        Ok(answers(self.session(&session)?.statuses(&mailboxes).await?, status))
    }

    async fn quota(&mut self, session: Resource<Session>, mailbox: String) -> HostResult<Option<(u64, u64)>> {
        let _waiting = self.host(Interface::Imap, "session.quota");
        name(&mailbox)?;
        Ok(self.session(&session)?.quota(&mailbox).await?)
    }

    async fn idle(&mut self, session: Resource<Session>, timeout_ms: u64) -> HostResult<bool> {
        let _waiting = self.host(Interface::Imap, "session.idle");
        let patience = Duration::from_millis(timeout_ms).min(IDLE);
        Ok(self.session(&session)?.idle(patience).await?)
    }

    async fn drop(&mut self, session: Resource<Session>) -> Result<()> {
        let _waiting = self.host(Interface::Imap, "session.drop");
        let Session(session) = self.table.delete(session)?;
        self.sessions = self.sessions.saturating_sub(1);
        // Whether the server heard it is of no interest any more.
        let _ = tokio::time::timeout(LOGOUT, session.logout()).await;
        Ok(())
    }
}
