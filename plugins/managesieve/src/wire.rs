//! The host's connection behind traits, so that everything else runs natively in tests.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use whimbrel_folders::Body;
use whimbrel_plugin::tcp::{self, Connection, Credential, Secret, Security};
use whimbrel_plugin::{Blob, Result};

use crate::session::{Session, Slot};

/// Bytes of one line. A quoted string has 1024 at most (RFC 5804, 4), and servers are more talkative.
const LINE_BYTES: u32 = 64 << 10;

/// A connection; see `tcp` in the contract, method for method.
#[allow(missing_docs, reason = "the contract documents them")]
pub trait Wire: Sized {
    type Body: Body;
    fn start_tls(&mut self) -> Result<()>;
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    fn write_secret_literal(&mut self, form: Secret) -> Result<()>;
    fn accepted(&mut self);
    fn refused(&mut self) -> Result<bool>;
    fn read_line(&mut self) -> Result<Vec<u8>>;
    fn read(&mut self, limit: u32) -> Result<Vec<u8>>;
    fn read_exact(&mut self, length: u64) -> Result<Self::Body>;
}

/// Where connections come from.
pub trait Net {
    /// What it gives.
    type Wire: Wire;
    /// Which kind of secret there is.
    fn credential(&self) -> Credential;
    /// Where the session of an account waits between calls.
    fn slot(&self) -> Slot<Self::Wire>;
    /// Connects.
    ///
    /// # Errors
    /// What the host failed with.
    fn open(&self, host: &str, port: u16, security: Security) -> Result<Self::Wire>;
}

/// The host.
#[derive(Debug)]
pub struct Host;

thread_local! {
    /// That of this instance, which serves one account: reading and writing share a session. Servers let in few, and some
    /// keep one waiting for the other.
    static SLOT: RefCell<Weak<RefCell<Option<Session<Connection>>>>> = const { RefCell::new(Weak::new()) };
}

impl Net for Host {
    type Wire = Connection;

    fn slot(&self) -> Slot<Connection> {
        SLOT.with_borrow_mut(|known| {
            known.upgrade().unwrap_or_else(|| {
                let slot = Slot::default();
                *known = Rc::downgrade(&slot);
                slot
            })
        })
    }

    fn credential(&self) -> Credential {
        tcp::credentials()
    }

    fn open(&self, host: &str, port: u16, security: Security) -> Result<Connection> {
        Connection::open(host, port, security)
    }
}

impl Wire for Connection {
    type Body = Blob;

    fn start_tls(&mut self) -> Result<()> {
        Connection::start_tls(self)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Connection::write(self, bytes)
    }

    fn write_secret_literal(&mut self, form: Secret) -> Result<()> {
        Connection::write_secret_literal(self, form)
    }

    fn accepted(&mut self) {
        Connection::accepted(self);
    }

    fn refused(&mut self) -> Result<bool> {
        Connection::refused(self)
    }

    fn read_line(&mut self) -> Result<Vec<u8>> {
        Connection::read_line(self, LINE_BYTES)
    }

    fn read(&mut self, limit: u32) -> Result<Vec<u8>> {
        Connection::read(self, limit)
    }

    fn read_exact(&mut self, length: u64) -> Result<Blob> {
        Connection::read_exact(self, length)
    }
}
