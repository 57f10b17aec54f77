//! IMAP (RFC 9051, RFC 3501): the native client behind `wit/imap.wit`, method for method.
//!
//! async-imap logs in and compresses; everything else runs on a `Link` of our own beneath it, because its
//! grammar refuses what real servers say (ESEARCH, EMAILID, unknown STATUS items, names that are no UTF-8), recurses as
//! deep as the server wants and holds a whole response in memory. Here bodies stream from the socket into blobs.
//!
//! Extensions are used where the server offers them: SASL-IR, LITERAL+ and LITERAL-, NAMESPACE, ID, ENABLE,
//! UTF8=ACCEPT, COMPRESS, LIST-EXTENDED, LIST-STATUS, SPECIAL-USE, CONDSTORE, QRESYNC, ESEARCH, UIDPLUS, MOVE,
//! MULTIAPPEND, BINARY, APPENDLIMIT, OBJECTID, STATUS=SIZE, QUOTA, IDLE, UNSELECT.
//!
//! **Invariant** Nothing here sets `\Seen` or `\Recent`: bodies are read with PEEK, and plugins cannot name body
//! sections themselves.
//!
//! **Invariant** A session that failed in mid-command, or whose call was cancelled, answers nothing any more.

mod append;
mod auth;
mod change;
mod connect;
mod dates;
mod errors;
#[cfg(test)]
mod fake;
mod fetch;
mod flags;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod hints;
mod link;
mod list;
mod names;
mod parse;
mod refusal;
mod scan;
mod select;
mod session;
mod sets;
mod talk;
#[cfg(test)]
mod tests;

use std::time::Duration;

use whimbrel_model::Timestamp;

use crate::{Blob, BlobStore, Credentials, Tls};

pub use refusal::{LOGIN_CAUSES, LoginCause};
pub use session::Session;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// STARTTLS (RFC 9051 section 6.2.1); refused where the server does not offer it.
    StartTls,
    /// Clear text, for the explicit word in the settings only.
    Insecure,
}

/// How long to wait before a connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection, the TLS handshake, and the greeting with the login: each.
    pub connect: Duration,
    /// For an answer to begin: some servers think long about a large mailbox.
    pub reply: Duration,
    /// For the next byte in the midst of sending or of an answer.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            reply: Duration::from_secs(300),
            stall: Duration::from_secs(60),
        }
    }
}

/// Where to connect, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// Host name or IP address; the certificate must bear it.
    pub host: String,
    /// Usually 993 with TLS, 143 without.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Whom to trust.
    pub tls: Tls,
    /// Who logs in.
    pub credentials: Credentials,
    /// Whether to compress where the server can (COMPRESS=DEFLATE, RFC 4978). None: unless it is this machine.
    pub compress: Option<bool>,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Where bodies go.
    pub blobs: BlobStore,
}

/// What a mailbox holds (RFC 9051 sections 6.3.11 and 6.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// How many messages, as the server claims.
    pub messages: u64,
    /// The UID that the next message gets at least; 0 where the server does not say.
    pub uid_next: u32,
    /// Changes when all UIDs became void.
    pub uid_validity: u32,
    /// None where the mailbox keeps no mod-sequences (RFC 7162).
    pub highest_modseq: Option<u64>,
    /// The sum of all sizes (STATUS=SIZE, RFC 8438).
    pub bytes: Option<u64>,
    /// RFC 8474.
    pub mailbox_id: Option<String>,
    /// RFC 7889, bytes.
    pub append_limit: Option<u64>,
    /// After a read-write open: PERMANENTFLAGS, `\*` included where new keywords can be made.
    pub permanent_flags: Option<Vec<String>>,
}

/// A mailbox as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Decoded to UTF-8, with the server's own delimiter and prefix.
    pub name: String,
    /// None for a flat name.
    pub delimiter: Option<String>,
    /// `\Noselect`, `\HasChildren`, `\Sent`, `\Subscribed`…
    pub attributes: Vec<String>,
    /// Where it was asked for and the server gave it.
    pub status: Option<Status>,
}

/// The personal namespace (RFC 2342).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespace {
    /// "" or "INBOX." and the like.
    pub prefix: String,
    /// None for flat names.
    pub delimiter: Option<String>,
}

/// What is known of a message without its body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Its UID.
    pub uid: u32,
    /// RFC 7162.
    pub modseq: Option<u64>,
    /// RFC822.SIZE: bytes, as the server claims.
    pub size: u64,
    /// INTERNALDATE; None where it is missing or names no instant.
    pub received: Option<Timestamp>,
    /// Flags and keywords, `\Recent` left out.
    pub flags: Vec<String>,
    /// RFC 8474.
    pub email_id: Option<String>,
    /// The extra fetch items that were asked for, as the server wrote them.
    pub extra: Vec<(String, String)>,
}

/// A message of the open mailbox.
#[derive(Debug, Clone)]
pub struct Message {
    /// What is known of it.
    pub summary: Summary,
    /// Its exact bytes.
    pub body: Blob,
}

/// A message to store.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its exact bytes.
    pub content: Blob,
    /// INTERNALDATE; the server's present time where none.
    pub received: Option<Timestamp>,
    /// Flags and keywords; `\Recent` is left out.
    pub flags: Vec<String>,
}
