//! A connection for protocols of lines that a connector speaks itself: the native side of `wit/tcp.wit`, method for
//! method. What is shared by such protocols is done here: TLS, secrets, waits and sizes that are bounded, and bodies
//! that end with a dot, streamed into blobs.
//!
//! **Invariant** A secret is written by this module alone, never before the encryption that the settings ask for, and is
//! taken out of whatever the server says besides bodies.
//!
//! **Invariant** A connection that failed, or whose call was cancelled, answers nothing any more.

mod dotted;
mod guard;
mod secrets;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use whimbrel_model::{Failure, Secret};

use crate::imap::Security;
use crate::reach::{Server, Stream};
use crate::{Blob, BlobStore, Credentials, Protection, Timeouts, Tls};

use dotted::Dotted;
use guard::Guard;
use secrets::Masks;

pub use secrets::Form;

/// Read in one go.
const READ_BYTES: usize = 64 << 10;
/// Held back before it is written.
const WRITE_BYTES: usize = 64 << 10;
/// The longest line.
pub const MOST_LINE: usize = 64 << 10;
/// Bytes of one read or write.
pub const MOST_BYTES: usize = 1 << 20;

/// Where to connect, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// Host name or IP address; the certificate must bear it.
    pub host: String,
    /// TCP.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Whom to trust.
    pub tls: Tls,
    /// Whose secrets may be written.
    pub credentials: Credentials,
    /// Whether commands that are known to alter what is there are refused.
    pub read_only: bool,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Where bodies go.
    pub blobs: BlobStore,
}

/// What kind of secret there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// None.
    None,
    /// A password.
    Password,
    /// An OAuth 2.0 access token.
    Token,
}

impl Credential {
    /// Of these credentials.
    pub fn of(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::None => Self::None,
            Credentials::Password { .. } => Self::Password,
            Credentials::OAuth { .. } | Credentials::Login { .. } => Self::Token,
        }
    }
}

/// An open connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    target: Target,
    protection: Option<Protection>,
    input: BytesMut,
    output: BytesMut,
    guard: Guard,
    masks: Masks,
    /// The token that was written last.
    token: Option<Secret>,
    /// Secrets whose answer was not read yet.
    unanswered: bool,
    /// The login is through.
    entered: bool,
    /// The last line ended without a carriage return: so may bodies.
    bare: bool,
    alive: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("encrypted", &self.protection.is_some())
            .field("alive", &self.alive)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects; with [`Security::Implicit`], the handshake included.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached; `InvalidSettings` where the certificate does not verify.
    pub async fn open(target: Target) -> Result<Self, Failure> {
        let server = server(&target);
        let stream = server.open().await?;
        if target.security == Security::Implicit {
            let (stream, protection) = server.open_secure(stream).await?;
            let mut connection = Self::over(target, stream);
            connection.protection = Some(protection);
            Ok(connection)
        } else {
            Ok(Self::over(target, Box::new(stream)))
        }
    }

    /// Over an open stream, which is not encrypted yet.
    pub(crate) fn over(target: Target, stream: Box<dyn Stream>) -> Self {
        Self {
            guard: Guard::new(target.read_only),
            stream,
            target,
            protection: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
            masks: Masks::default(),
            token: None,
            unanswered: false,
            entered: false,
            bare: false,
            alive: true,
        }
    }

    /// How it is protected; none for clear text.
    pub fn protection(&self) -> Option<&Protection> {
        self.protection.as_ref()
    }

    /// The TLS handshake, after the server agreed to it. What came before it and was not read may be an attacker's, so
    /// that ends the connection.
    ///
    /// # Errors
    /// As [`Connection::open`]; `Internal` where it is encrypted already.
    pub async fn start_tls(&mut self) -> Result<(), Failure> {
        self.begin()?;
        if self.protection.is_some() {
            return Err(Failure::Internal("the connection is encrypted already".to_owned()));
        }
        self.flush().await?;
        if !self.input.is_empty() {
            return Err(Failure::Unavailable(format!(
                "{}:{} said more in clear text than its agreement to TLS: somebody may have meddled with the connection, so \
                 it was given up; use `tls = \"implicit\"` where the server can",
                self.target.host, self.target.port
            )));
        }
        let bare = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let (stream, protection) = server(&self.target).secure(bare).await?;
        self.stream = stream;
        self.protection = Some(protection);
        self.alive = true;
        Ok(())
    }

    /// Queues bytes; they are sent by the next reading at the latest.
    ///
    /// # Errors
    /// `Forbidden` for a command that alters what is there, where that is only to be read; `Unavailable` where the
    /// connection is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.begin()?;
        self.guard.pass(bytes)?;
        self.queue(bytes).await?;
        self.alive = true;
        Ok(())
    }

    /// Queues the secret in this form, without a line end.
    ///
    /// # Errors
    /// `InvalidSettings` where there is no such secret, or it cannot stand in a line; `Forbidden` before the encryption
    /// that the settings ask for; what getting a token failed with.
    pub async fn write_secret(&mut self, form: Form, challenge: Option<&str>) -> Result<(), Failure> {
        self.queue_secret(form, challenge, false).await
    }

    /// The same as a literal that the server does not ask for (RFC 5804 section 4, RFC 7888).
    ///
    /// # Errors
    /// As [`Connection::write_secret`].
    pub async fn write_secret_literal(&mut self, form: Form) -> Result<(), Failure> {
        self.queue_secret(form, None, true).await
    }

    async fn queue_secret(&mut self, form: Form, challenge: Option<&str>, literal: bool) -> Result<(), Failure> {
        self.begin()?;
        if self.protection.is_none() && self.target.security != Security::Insecure {
            return Err(Failure::Forbidden(
                "a secret was to be written before the connection was encrypted: that takes `tls = \"insecure\"` in the \
                 settings"
                    .to_owned(),
            ));
        }
        let written = secrets::written(&self.target, form, challenge).await?;
        self.token = written.token;
        self.masks.add(&written.bytes);
        written.also.iter().for_each(|secret| self.masks.add(secret));
        if literal {
            let head = format!("{{{}+}}\r\n", written.bytes.len());
            self.guard.pass(head.as_bytes())?;
            self.queue(head.as_bytes()).await?;
        }
        self.guard.pass(&written.bytes)?;
        self.queue(&written.bytes).await?;
        self.unanswered = true;
        self.alive = true;
        Ok(())
    }

    /// The server refused the secret that was written last. True where another token is to be had: then one more
    /// connection is worth a try.
    ///
    /// # Errors
    /// What getting a token failed with.
    pub async fn refused(&mut self) -> Result<bool, Failure> {
        match (&self.target.credentials, self.token.take()) {
            (Credentials::Login { tokens, .. }, Some(token)) => Ok(tokens.refused(&token).await?.is_some()),
            _ => Ok(false),
        }
    }

    /// The server took the secret that was written last.
    pub fn accepted(&mut self) {
        self.entered = true;
        if let Credentials::Login { tokens, .. } = &self.target.credentials {
            tokens.accepted();
        }
    }

    /// Up to and with the next line feed.
    ///
    /// # Errors
    /// `Unavailable` for a line of more than `limit` bytes, and for anything that ends the connection.
    pub async fn read_line(&mut self, limit: usize) -> Result<Vec<u8>, Failure> {
        self.begin()?;
        self.flush().await?;
        let mut begun = !self.input.is_empty();
        let end = loop {
            let within = self.input.get(..limit).unwrap_or(&self.input);
            if let Some(at) = memchr(b'\n', within) {
                break at + 1;
            }
            if self.input.len() >= limit {
                return Err(self.strange(&format!("a line of more than {limit} bytes")));
            }
            self.fill(begun).await?;
            begun = true;
        };
        let line = self.masks.mask(&self.input[..end]);
        self.bare = !self.input[..end].ends_with(b"\r\n");
        self.input.advance(end);
        self.unanswered = false;
        self.alive = true;
        Ok(line)
    }

    /// What is there, at least a byte and at most `limit`.
    ///
    /// # Errors
    /// `Unavailable` for anything that ends the connection.
    pub async fn read(&mut self, limit: usize) -> Result<Vec<u8>, Failure> {
        self.begin()?;
        self.answered()?;
        self.flush().await?;
        if self.input.is_empty() {
            self.fill(false).await?;
        }
        let take = self.input.len().min(limit);
        let bytes = self.masks.mask(&self.input[..take]);
        self.input.advance(take);
        self.alive = true;
        Ok(bytes)
    }

    /// What comes up to a line with nothing but a dot, without it and without the dots that were put before others
    /// (RFC 1939 section 3). Streamed, whatever its size.
    ///
    /// # Errors
    /// `Unavailable` for more than `limit` bytes, and for anything that ends the connection; `Internal` where it cannot
    /// be kept.
    pub async fn read_body(&mut self, expected: u64, limit: u64) -> Result<Blob, Failure> {
        self.begin()?;
        self.answered()?;
        self.flush().await?;
        let keep = |error: io::Error| Failure::Internal(format!("a body that was read cannot be kept: {error}"));
        let mut writer = self.target.blobs.writer_sized(expected.min(limit));
        let mut dotted = Dotted::new(self.bare);
        let mut piece = Vec::new();
        loop {
            if self.input.is_empty() {
                self.fill(writer.written() > 0).await?;
            }
            piece.clear();
            let (used, done) = dotted.take(&self.input, &mut piece);
            self.input.advance(used);
            if writer.written().saturating_add(piece.len() as u64) > limit {
                return Err(self.strange(&format!("a body of more than {limit} bytes")));
            }
            writer.write(&piece).await.map_err(keep)?;
            if done {
                break;
            }
        }
        let body = writer.finish().await.map_err(keep)?;
        self.alive = true;
        Ok(body)
    }

    /// Exactly so many bytes. Streamed, whatever their number.
    ///
    /// # Errors
    /// `Unavailable` for anything that ends the connection; `Internal` where they cannot be kept.
    pub async fn read_exact(&mut self, length: u64) -> Result<Blob, Failure> {
        self.begin()?;
        self.answered()?;
        self.flush().await?;
        let keep = |error: io::Error| Failure::Internal(format!("a body that was read cannot be kept: {error}"));
        // A claim is not believed before it is kept: nothing of that size is set aside.
        let mut writer = self.target.blobs.writer_sized(length.min(READ_BYTES as u64));
        while writer.written() < length {
            if self.input.is_empty() {
                self.fill(writer.written() > 0).await?;
            }
            let left = usize::try_from(length - writer.written()).unwrap_or(usize::MAX);
            let take = self.input.len().min(left);
            writer.write(&self.input[..take]).await.map_err(keep)?;
            self.input.advance(take);
        }
        let body = writer.finish().await.map_err(keep)?;
        self.alive = true;
        Ok(body)
    }

    /// Sends what is queued and closes, whatever the server makes of it.
    pub async fn close(mut self) {
        if self.alive && self.flush().await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }

    /// Until a call succeeds, the connection counts as gone: so it does where the call is cancelled.
    fn begin(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.alive) {
            Ok(())
        } else {
            Err(Failure::Unavailable(
                "the connection is gone: open another one".to_owned(),
            ))
        }
    }

    /// A server may say again what it was told: what follows a secret is a line, out of which it is taken.
    fn answered(&self) -> Result<(), Failure> {
        if self.unanswered {
            return Err(Failure::Forbidden(
                "the answer to a secret is read line by line".to_owned(),
            ));
        }
        Ok(())
    }

    async fn queue(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.output.extend_from_slice(bytes);
        if self.output.len() >= WRITE_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        if self.output.is_empty() {
            return Ok(());
        }
        let patience = self.target.timeouts.stall;
        let sending = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let sent = timeout(patience, sending).await;
        // It may hold a secret.
        self.output.fill(0);
        self.output.clear();
        match sent {
            Err(_) => Err(self.silent(patience)),
            Ok(Err(error)) => Err(self.lost(&error)),
            Ok(Ok(())) => Ok(()),
        }
    }

    /// Reads what is there.
    async fn fill(&mut self, begun: bool) -> Result<(), Failure> {
        let timeouts = self.target.timeouts;
        let patience = match (begun, self.entered) {
            (true, _) => timeouts.stall,
            (false, true) => timeouts.reply,
            (false, false) => timeouts.connect,
        };
        self.input.reserve(READ_BYTES);
        match timeout(patience, self.stream.read_buf(&mut self.input)).await {
            Err(_) => Err(self.silent(patience)),
            Ok(Err(error)) => Err(self.lost(&error)),
            Ok(Ok(0)) => Err(self.unavailable("the server closed the connection")),
            Ok(Ok(_)) => Ok(()),
        }
    }

    fn unavailable(&self, what: &str) -> Failure {
        Failure::Unavailable(format!("{}:{}: {what}", self.target.host, self.target.port))
    }

    fn strange(&self, what: &str) -> Failure {
        self.unavailable(&format!(
            "the server sent {what}: check `host`, `port` and `tls` in the settings"
        ))
    }

    fn silent(&self, patience: Duration) -> Failure {
        self.unavailable(&format!(
            "nothing moved for {} seconds: the connection was given up",
            patience.as_secs_f64()
        ))
    }

    fn lost(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.unavailable("the server closed the connection"),
            _ => self.unavailable(&format!("the connection was lost: {error}")),
        }
    }
}

fn server(target: &Target) -> Server<'_> {
    Server {
        host: &target.host,
        port: target.port,
        tls: &target.tls,
        patience: target.timeouts.connect,
    }
}
