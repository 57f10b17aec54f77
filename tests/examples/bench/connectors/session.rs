//! What the host does for a connector that speaks IMAP, without a sandbox between them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use whimbrel_model::Failure;
use whimbrel_plugin::imap::{Answers, Mailbox, Message, Namespace, Outgoing, Security, Status, Summary};
use whimbrel_plugin::testing::{self, Body};
use whimbrel_plugin::{Blob, Result};
use whimbrel_wire as wire;

use super::convert::{self, to_failure, to_timestamp};

/// What the host's own calls give.
type Fallible<T> = std::result::Result<T, Failure>;

/// A session, and what its calls wait on.
pub struct Session {
    session: Mutex<wire::imap::Session>,
    handle: Handle,
}

impl Session {
    /// Connects and logs in.
    pub fn connect(target: &wire::imap::Target, handle: Handle) -> Result<Box<dyn Answers>> {
        let session = handle
            .block_on(wire::imap::Session::connect(target))
            .map_err(to_failure)?;
        let session = Mutex::new(session);
        Ok(Box::new(Self { session, handle }))
    }

    fn call<T>(&self, call: impl AsyncFnOnce(&mut wire::imap::Session) -> Fallible<T>) -> Result<T> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.block_on(call(&mut session)).map_err(to_failure)
    }
}

/// A body of the host's.
struct Held(wire::Blob);

impl Body for Held {
    fn size(&self) -> u64 {
        self.0.size()
    }
    fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        self.0.read_at_blocking(offset, length).unwrap_or_default().into()
    }
}

/// The connector's handle of a body.
pub fn lent(body: wire::Blob) -> Blob {
    testing::body(Arc::new(Held(body)))
}

/// The body behind a handle.
pub fn taken(body: &Blob) -> wire::Blob {
    let kept = testing::kept(body).and_then(|body| (body as &dyn std::any::Any).downcast_ref::<Held>());
    match kept {
        Some(Held(body)) => body.clone(),
        None => wire::Blob::from_bytes(testing::bytes(body)),
    }
}

fn security(security: Security) -> wire::imap::Security {
    match security {
        Security::Implicit => wire::imap::Security::Implicit,
        Security::Starttls => wire::imap::Security::StartTls,
        Security::Insecure => wire::imap::Security::Insecure,
    }
}

/// Where a session goes.
pub fn target(
    host: &str,
    port: u16,
    protection: Security,
    tls: wire::Tls,
    (credentials, blobs): (wire::Credentials, wire::BlobStore),
) -> wire::imap::Target {
    wire::imap::Target {
        host: host.to_owned(),
        port,
        security: security(protection),
        tls,
        credentials,
        compress: None,
        timeouts: wire::Timeouts::default(),
        blobs,
    }
}

fn status(it: wire::imap::Status) -> Status {
    Status {
        messages: it.messages,
        uid_next: it.uid_next,
        uid_validity: it.uid_validity,
        highest_modseq: it.highest_modseq,
        bytes: it.bytes,
        mailbox_id: it.mailbox_id,
        append_limit: it.append_limit,
        permanent_flags: it.permanent_flags,
    }
}

fn summary(it: wire::imap::Summary) -> Summary {
    Summary {
        uid: it.uid,
        modseq: it.modseq,
        size: it.size,
        received: it.received.map(to_timestamp),
        flags: it.flags,
        email_id: it.email_id,
        extra: it.extra,
    }
}

fn answers<A, B>(answers: Vec<Fallible<A>>, convert: impl Fn(A) -> B) -> Vec<Result<B>> {
    let answers = answers.into_iter();
    answers.map(|it| it.map(&convert).map_err(to_failure)).collect()
}

impl Answers for Session {
    fn capabilities(&self) -> Vec<String> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.capabilities().to_vec()
    }
    fn server_id(&self) -> Vec<(String, String)> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.server_id().to_vec()
    }
    fn personal_namespace(&self) -> Result<Namespace> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let wire::imap::Namespace { prefix, delimiter } = session.personal_namespace().map_err(to_failure)?;
        Ok(Namespace { prefix, delimiter })
    }
    fn mailboxes(&self, with_status: bool) -> Result<Vec<Mailbox>> {
        let mailbox = |it: wire::imap::Mailbox| Mailbox {
            name: it.name,
            delimiter: it.delimiter,
            attributes: it.attributes,
            status: it.status.map(status),
        };
        let found = self.call(async |session| session.mailboxes(with_status).await)?;
        Ok(found.into_iter().map(mailbox).collect())
    }
    fn open(&self, mailbox: &str, read_only: bool) -> Result<Status> {
        self.call(async |session| session.open(mailbox, read_only).await)
            .map(status)
    }
    fn scan(
        &self,
        from: u32,
        to: u32,
        limit: u32,
        changed_since: Option<u64>,
        extra: &[String],
    ) -> Result<Vec<Summary>> {
        let found = self.call(async |session| session.scan(from, to, limit, changed_since, extra).await)?;
        Ok(found.into_iter().map(summary).collect())
    }
    fn uids(&self) -> Result<Vec<(u32, u32)>> {
        self.call(async |session| session.uids().await)
    }
    fn vanished(&self, since: u64) -> Result<Option<Vec<(u32, u32)>>> {
        self.call(async |session| session.vanished(since).await)
    }
    fn fetch(&self, uids: &[u32], extra: &[String]) -> Result<Vec<Result<Message>>> {
        let message = |it: wire::imap::Message| Message {
            summary: summary(it.summary),
            content: lent(it.body),
        };
        let fetched = self.call(async |session| session.fetch(uids, extra).await)?;
        Ok(answers(fetched, message))
    }
    fn append(&self, mailbox: &str, messages: Vec<Outgoing>) -> Result<Vec<Result<Option<u32>>>> {
        let outgoing = |it: Outgoing| wire::imap::Outgoing {
            content: taken(&it.content),
            received: it.received.map(convert::timestamp),
            flags: it.flags,
        };
        let messages: Vec<_> = messages.into_iter().map(outgoing).collect();
        let stored = self.call(async |session| session.append(mailbox, &messages).await)?;
        Ok(answers(stored, |uid| uid))
    }
    fn copy(&self, uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>> {
        self.call(async |session| session.copy(uids, mailbox).await)
    }
    fn move_(&self, uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>> {
        self.call(async |session| session.r#move(uids, mailbox).await)
    }
    fn store(&self, uid: u32, flags: &[String]) -> Result<()> {
        self.call(async |session| session.store(uid, flags).await)
    }
    fn create(&self, mailboxes: &[(String, Option<String>)]) -> Result<Vec<Result<()>>> {
        Ok(answers(
            self.call(async |session| session.create(mailboxes).await)?,
            |()| (),
        ))
    }
    fn subscribe(&self, mailboxes: &[String]) -> Result<Vec<Result<()>>> {
        Ok(answers(
            self.call(async |session| session.subscribe(mailboxes).await)?,
            |()| (),
        ))
    }
    fn statuses(&self, mailboxes: &[String]) -> Result<Vec<Result<Status>>> {
        Ok(answers(
            self.call(async |session| session.statuses(mailboxes).await)?,
            status,
        ))
    }
    fn quota(&self, mailbox: &str) -> Result<Option<(u64, u64)>> {
        self.call(async |session| session.quota(mailbox).await)
    }
    fn idle(&self, timeout_ms: u64) -> Result<bool> {
        self.call(async |session| session.idle(Duration::from_millis(timeout_ms)).await)
    }
}
