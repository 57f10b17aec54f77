//! IMAP sessions that a test answers itself.

use crate::{Failure, Result, Timestamp};

use super::blobs::Blob;

/// See `wit/imap.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub enum Security {
    Implicit,
    Starttls,
    Insecure,
}

/// See `wit/imap.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub struct Status {
    pub messages: u64,
    pub uid_next: u32,
    pub uid_validity: u32,
    pub highest_modseq: Option<u64>,
    pub bytes: Option<u64>,
    pub mailbox_id: Option<String>,
    pub append_limit: Option<u64>,
    pub permanent_flags: Option<Vec<String>>,
}

/// See `wit/imap.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub struct Mailbox {
    pub name: String,
    pub delimiter: Option<String>,
    pub attributes: Vec<String>,
    pub status: Option<Status>,
}

/// See `wit/imap.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub struct Namespace {
    pub prefix: String,
    pub delimiter: Option<String>,
}

/// See `wit/imap.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub struct Summary {
    pub uid: u32,
    pub modseq: Option<u64>,
    pub size: u64,
    pub received: Option<Timestamp>,
    pub flags: Vec<String>,
    pub email_id: Option<String>,
    pub extra: Vec<(String, String)>,
}

/// See `wit/imap.wit`.
#[derive(Debug)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub struct Message {
    pub summary: Summary,
    pub content: Blob,
}

/// See `wit/imap.wit`.
#[derive(Debug)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub struct Outgoing {
    pub content: Blob,
    pub received: Option<Timestamp>,
    pub flags: Vec<String>,
}

/// Opens sessions in the place of the host.
pub type Opener = Box<dyn FnMut(&str, u16, Security) -> Result<Box<dyn Answers>>>;

/// What answers in the place of a server, call for call as `wit/imap.wit` says. What a test does not need is
/// `unsupported`.
#[allow(
    unused_variables,
    clippy::missing_errors_doc,
    missing_docs,
    reason = "the documentation is in wit/"
)]
pub trait Answers: Send {
    fn capabilities(&self) -> Vec<String> {
        Vec::new()
    }
    fn server_id(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    fn personal_namespace(&self) -> Result<Namespace> {
        Ok(Namespace {
            prefix: String::new(),
            delimiter: Some("/".to_owned()),
        })
    }
    fn mailboxes(&self, with_status: bool) -> Result<Vec<Mailbox>> {
        unsupported("mailboxes")
    }
    fn open(&self, mailbox: &str, read_only: bool) -> Result<Status> {
        unsupported("open")
    }
    fn scan(
        &self,
        from: u32,
        to: u32,
        limit: u32,
        changed_since: Option<u64>,
        extra: &[String],
    ) -> Result<Vec<Summary>> {
        unsupported("scan")
    }
    fn uids(&self) -> Result<Vec<(u32, u32)>> {
        unsupported("uids")
    }
    fn vanished(&self, since: u64) -> Result<Option<Vec<(u32, u32)>>> {
        Ok(None)
    }
    fn fetch(&self, uids: &[u32], extra: &[String]) -> Result<Vec<Result<Message>>> {
        unsupported("fetch")
    }
    fn append(&self, mailbox: &str, messages: Vec<Outgoing>) -> Result<Vec<Result<Option<u32>>>> {
        unsupported("append")
    }
    fn copy(&self, uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>> {
        unsupported("copy")
    }
    fn move_(&self, uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>> {
        unsupported("move")
    }
    fn store(&self, uid: u32, flags: &[String]) -> Result<()> {
        unsupported("store")
    }
    fn create(&self, mailboxes: &[(String, Option<String>)]) -> Result<Vec<Result<()>>> {
        unsupported("create")
    }
    fn subscribe(&self, mailboxes: &[String]) -> Result<Vec<Result<()>>> {
        unsupported("subscribe")
    }
    fn statuses(&self, mailboxes: &[String]) -> Result<Vec<Result<Status>>> {
        unsupported("statuses")
    }
    fn quota(&self, mailbox: &str) -> Result<Option<(u64, u64)>> {
        Ok(None)
    }
    fn idle(&self, timeout_ms: u64) -> Result<bool> {
        Ok(false)
    }
}

fn unsupported<T>(call: &str) -> Result<T> {
    Err(Failure::unsupported(format!(
        "the test does not answer `session.{call}`"
    )))
}

/// A session; see `wit/imap.wit`.
pub struct Session(Box<dyn Answers>);

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// With what the test answers.
    ///
    /// # Errors
    /// Those of the test, and `unsupported` where it answers no IMAP.
    pub fn connect(host: &str, port: u16, security: Security) -> Result<Self> {
        let opened = super::with(|world| match &mut world.imap {
            Some(open) => open(host, port, security),
            None => Err(Failure::unsupported(
                "the test answers no IMAP: see `whimbrel_plugin::testing::Host::imap`",
            )),
        });
        opened.map(Self)
    }
}

/// Its calls are those of what answers.
macro_rules! calls {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[allow(clippy::missing_errors_doc, missing_docs, reason = "the documentation is in wit/")]
        impl Session {
            $(
                pub fn $name(&self, $($argument: $type),*) -> $answer {
                    self.0.$name($($argument),*)
                }
            )*
        }
    };
}

calls! {
    capabilities() -> Vec<String>;
    server_id() -> Vec<(String, String)>;
    personal_namespace() -> Result<Namespace>;
    mailboxes(with_status: bool) -> Result<Vec<Mailbox>>;
    open(mailbox: &str, read_only: bool) -> Result<Status>;
    scan(from: u32, to: u32, limit: u32, changed_since: Option<u64>, extra: &[String]) -> Result<Vec<Summary>>;
    uids() -> Result<Vec<(u32, u32)>>;
    vanished(since: u64) -> Result<Option<Vec<(u32, u32)>>>;
    fetch(uids: &[u32], extra: &[String]) -> Result<Vec<Result<Message>>>;
    append(mailbox: &str, messages: Vec<Outgoing>) -> Result<Vec<Result<Option<u32>>>>;
    copy(uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>>;
    move_(uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>>;
    store(uid: u32, flags: &[String]) -> Result<()>;
    create(mailboxes: &[(String, Option<String>)]) -> Result<Vec<Result<()>>>;
    subscribe(mailboxes: &[String]) -> Result<Vec<Result<()>>>;
    statuses(mailboxes: &[String]) -> Result<Vec<Result<Status>>>;
    quota(mailbox: &str) -> Result<Option<(u64, u64)>>;
    idle(timeout_ms: u64) -> Result<bool>;
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::sync::Arc;

    use super::*;
    use crate::testing::{self, Body, Host};

    struct Letters;

    impl Answers for Letters {
        fn fetch(&self, uids: &[u32], _: &[String]) -> Result<Vec<Result<Message>>> {
            let message = |uid: &u32| {
                let summary = Summary {
                    uid: *uid,
                    modseq: None,
                    size: 3,
                    received: None,
                    flags: Vec::new(),
                    email_id: None,
                    extra: Vec::new(),
                };
                let content = testing::body(Arc::new(Kept(*uid)));
                Ok(Message { summary, content })
            };
            Ok(uids.iter().map(message).collect())
        }
    }

    struct Kept(u32);

    impl Body for Kept {
        fn size(&self) -> u64 {
            3
        }
        fn read(&self, offset: u64, length: usize) -> Vec<u8> {
            b"abc"[usize::try_from(offset).unwrap()..][..length].to_vec()
        }
    }

    #[test]
    fn sessions_are_what_the_test_answers() {
        let host = Host::new().imap(|host, port, security| {
            assert_eq!((host, port, security), ("mail.example.org", 993, Security::Implicit));
            Ok(Box::new(Letters))
        });
        let here = host.enter();
        let session = Session::connect("mail.example.org", 993, Security::Implicit).unwrap();
        let messages = session.fetch(&[7], &[]).unwrap();
        let content = &messages[0].as_ref().unwrap().content;
        assert_eq!((content.size(), content.read(1, 10)), (3, b"bc".to_vec()));
        let kept: &dyn Any = testing::kept(content).unwrap();
        assert_eq!(kept.downcast_ref::<Kept>().unwrap().0, 7);
        assert!(testing::kept(&content.slice(0, 2)).is_none());
        let text = session.uids().unwrap_err();
        assert!(
            matches!(&text, Failure::Unsupported(text) if text.contains("session.uids")),
            "{text:?}"
        );
        drop(here);
        let error = Session::connect("mail.example.org", 993, Security::Implicit).unwrap_err();
        assert!(matches!(error, Failure::Internal(_)), "{error:?}");
    }
}
