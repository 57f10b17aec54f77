//! Connections for protocols of lines. Where one may connect is decided by the grants; secrets go straight to the client
//! and are never seen by the plugin.

use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime::{Result, bail};
use whimbrel_model::Failure;
use whimbrel_wire::imap::Security;
use whimbrel_wire::tcp as wire;

use crate::Attempt;
use crate::activity::Interface;
use crate::bindings::whimbrel::connector::{blobs, tcp};
use crate::host::{HostError, HostResult, bytes_of};
use crate::instance::State;

/// Where the settings name no port and the schema has no default: none is right for all protocols.
const NO_PORT: u16 = 0;
/// Bytes of a challenge.
const CHALLENGE: usize = 1024;
/// For a polite end.
const CLOSE: Duration = Duration::from_secs(2);

/// A connection that a plugin holds.
#[derive(Debug)]
pub struct Connection {
    wire: wire::Connection,
    host: String,
    port: u16,
}

impl State {
    fn connection(&mut self, handle: &Resource<Connection>) -> HostResult<&mut wire::Connection> {
        Ok(&mut self.table.get_mut(handle)?.wire)
    }

    /// What was refused is noted as well.
    fn noted(&self, result: Result<(), Failure>, attempt: Attempt, what: &str) -> HostResult<()> {
        if let Err(Failure::Forbidden(_)) = &result {
            self.activity.refuse(attempt, what);
        }
        Ok(result?)
    }
}

fn at_most(what: &str, size: usize, limit: usize) -> Result<()> {
    if size > limit {
        bail!("passed {size} bytes of {what}; the limit is {limit}");
    }
    Ok(())
}

fn cut(limit: u32, most: usize) -> usize {
    usize::try_from(limit).unwrap_or(most).clamp(1, most)
}

fn form_of(form: tcp::Secret) -> wire::Form {
    match form {
        tcp::Secret::Password => wire::Form::Password,
        tcp::Secret::SaslPlain => wire::Form::Plain,
        tcp::Secret::SaslXoauth2 => wire::Form::XOAuth2,
        tcp::Secret::SaslOauthbearer => wire::Form::OAuthBearer,
        tcp::Secret::Apop => wire::Form::Apop,
    }
}

impl tcp::Host for State {
    async fn credentials(&mut self) -> Result<tcp::Credential> {
        self.activity.quick_call(Interface::Tcp, "credentials");
        let Ok(spec) = self.grants.account() else {
            return Ok(tcp::Credential::None);
        };
        Ok(match wire::Credential::of(&spec.credentials) {
            wire::Credential::None => tcp::Credential::None,
            wire::Credential::Password => tcp::Credential::Password,
            wire::Credential::Token => tcp::Credential::Token,
        })
    }
}

impl tcp::HostConnection for State {
    async fn open(&mut self, host: String, port: u16, security: tcp::Security) -> HostResult<Resource<Connection>> {
        let mut waiting = self.host(Interface::Tcp, "connection.open");
        waiting.note(|| format!("{host}:{port}"));
        let security = match security {
            tcp::Security::Implicit => Security::Implicit,
            tcp::Security::Starttls => Security::StartTls,
            tcp::Security::Insecure => Security::Insecure,
        };
        self.grants
            .network(&host, port, NO_PORT, security == Security::Insecure)?;
        let limit = self.limits.max_sessions;
        if self.sessions >= limit {
            return Err(HostError::Trap(wasmtime::format_err!(
                "has {limit} connections already, as many as it may"
            )));
        }
        let tls = self.tls().await?;
        let spec = self.grants.account()?;
        let target = wire::Target {
            host: host.clone(),
            port,
            security,
            tls,
            credentials: spec.credentials.clone(),
            read_only: !self.grants.writable(),
            timeouts: spec.timeouts,
            blobs: self.blobs.clone(),
        };
        let wire = wire::Connection::open(target).await?;
        if security != Security::StartTls {
            spec.connections.note(&host, port, wire.protection());
        }
        let handle = self.keep(Connection { wire, host, port })?;
        self.sessions += 1;
        Ok(handle)
    }

    async fn start_tls(&mut self, connection: Resource<Connection>) -> HostResult<()> {
        let _waiting = self.host(Interface::Tcp, "connection.start-tls");
        self.connection(&connection)?.start_tls().await?;
        let spec = self.grants.account()?;
        let held = self.table.get(&connection)?;
        spec.connections.note(&held.host, held.port, held.wire.protection());
        Ok(())
    }

    async fn write(&mut self, connection: Resource<Connection>, bytes: Vec<u8>) -> HostResult<()> {
        let mut waiting = self.host(Interface::Tcp, "connection.write");
        waiting.note(|| bytes_of(bytes.len() as u64));
        at_most("data", bytes.len(), wire::MOST_BYTES)?;
        let written = self.connection(&connection)?.write(&bytes).await;
        self.noted(written, Attempt::Write, "send a command that alters the source")
    }

    async fn write_secret(
        &mut self,
        connection: Resource<Connection>,
        form: tcp::Secret,
        challenge: Option<String>,
    ) -> HostResult<()> {
        let _waiting = self.host(Interface::Tcp, "connection.write-secret");
        at_most("a challenge", challenge.as_ref().map_or(0, String::len), CHALLENGE)?;
        let written = self
            .connection(&connection)?
            .write_secret(form_of(form), challenge.as_deref())
            .await;
        self.noted(written, Attempt::ClearText, "send a secret before encryption")
    }

    async fn write_secret_literal(&mut self, connection: Resource<Connection>, form: tcp::Secret) -> HostResult<()> {
        let _waiting = self.host(Interface::Tcp, "connection.write-secret-literal");
        let written = self.connection(&connection)?.write_secret_literal(form_of(form)).await;
        self.noted(written, Attempt::ClearText, "send a secret before encryption")
    }

    async fn accepted(&mut self, connection: Resource<Connection>) -> Result<()> {
        self.activity.quick_call(Interface::Tcp, "connection.accepted");
        self.table.get_mut(&connection)?.wire.accepted();
        Ok(())
    }

    async fn refused(&mut self, connection: Resource<Connection>) -> HostResult<bool> {
        let _waiting = self.host(Interface::Tcp, "connection.refused");
        Ok(self.connection(&connection)?.refused().await?)
    }

    async fn read_line(&mut self, connection: Resource<Connection>, limit: u32) -> HostResult<Vec<u8>> {
        let mut waiting = self.host(Interface::Tcp, "connection.read-line");
        let limit = cut(limit, wire::MOST_LINE);
        let line = self.connection(&connection)?.read_line(limit).await?;
        waiting.note(|| bytes_of(line.len() as u64));
        Ok(line)
    }

    async fn read(&mut self, connection: Resource<Connection>, limit: u32) -> HostResult<Vec<u8>> {
        let mut waiting = self.host(Interface::Tcp, "connection.read");
        let limit = cut(limit, wire::MOST_BYTES);
        let read = self.connection(&connection)?.read(limit).await?;
        waiting.note(|| bytes_of(read.len() as u64));
        Ok(read)
    }

    async fn read_body(
        &mut self,
        connection: Resource<Connection>,
        expected: u64,
        limit: u64,
    ) -> HostResult<Resource<blobs::Blob>> {
        let mut waiting = self.host(Interface::Tcp, "connection.read-body");
        let body = self.connection(&connection)?.read_body(expected, limit).await?;
        waiting.note(|| bytes_of(body.size()));
        Ok(self.lend(body)?)
    }

    async fn read_exact(&mut self, connection: Resource<Connection>, length: u64) -> HostResult<Resource<blobs::Blob>> {
        let mut waiting = self.host(Interface::Tcp, "connection.read-exact");
        waiting.note(|| bytes_of(length));
        let body = self.connection(&connection)?.read_exact(length).await?;
        Ok(self.lend(body)?)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> Result<()> {
        let _waiting = self.host(Interface::Tcp, "connection.drop");
        let Connection { wire, .. } = self.table.delete(connection)?;
        self.sessions = self.sessions.saturating_sub(1);
        // Whether the server heard it is of no interest any more.
        let _ = tokio::time::timeout(CLOSE, wire.close()).await;
        Ok(())
    }
}
