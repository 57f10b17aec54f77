//! Connections to servers on the loopback, in clear text.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};

use super::blobs::Blob;
use crate::{Failure, Result};

/// See `wit/tcp.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub enum Security {
    Implicit,
    Starttls,
    Insecure,
}

/// See `wit/tcp.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub enum Credential {
    None,
    Password,
    Token,
}

/// See `wit/tcp.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub enum Secret {
    Password,
    SaslPlain,
    SaslXoauth2,
    SaslOauthbearer,
    Apop,
}

/// Which kind of secret there is.
pub fn credentials() -> Credential {
    let which = |world: &mut super::World| {
        Ok(match (&world.token, &world.password) {
            (Some(_), _) => Credential::Token,
            (None, Some(_)) => Credential::Password,
            (None, None) => Credential::None,
        })
    };
    super::with(which).unwrap_or(Credential::None)
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    reader: RefCell<BufReader<TcpStream>>,
    host: String,
    port: u16,
}

fn unavailable(error: &std::io::Error) -> Failure {
    Failure::unavailable(format!("the connection failed: {error}"))
}

/// Line by line, so that a test sees what the contract says of it.
#[allow(clippy::missing_errors_doc, reason = "the documentation is in wit/")]
impl Connection {
    /// To the loopback.
    pub fn open(host: &str, port: u16, security: Security) -> Result<Self> {
        if security != Security::Insecure {
            return Err(Failure::unsupported("a test connects in clear text: `insecure`"));
        }
        let mut all = (host, port).to_socket_addrs().map_err(|error| unavailable(&error))?;
        let address = all.find(|address| IpAddr::is_loopback(&address.ip()));
        let address = address.ok_or_else(|| Failure::forbidden("a test reaches nothing but the loopback"))?;
        let stream = TcpStream::connect(address).map_err(|error| unavailable(&error))?;
        Ok(Self {
            reader: RefCell::new(BufReader::new(stream)),
            host: host.to_owned(),
            port,
        })
    }
    /// Not here.
    pub fn start_tls(&self) -> Result<()> {
        Err(Failure::unsupported("a test connects in clear text"))
    }
    /// At once.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.reader
            .borrow_mut()
            .get_mut()
            .write_all(bytes)
            .map_err(|error| unavailable(&error))
    }
    /// The secret in this form.
    pub fn write_secret(&self, form: Secret, challenge: Option<&str>) -> Result<()> {
        let text = self.secret(form, challenge)?;
        self.write(text.as_bytes())
    }
    /// As a literal.
    pub fn write_secret_literal(&self, form: Secret) -> Result<()> {
        let text = self.secret(form, None)?;
        self.write(format!("{{{}+}}\r\n{text}", text.len()).as_bytes())
    }
    /// Nothing follows from it here.
    pub fn accepted(&self) {}
    /// There is no other.
    pub fn refused(&self) -> Result<bool> {
        Ok(false)
    }
    /// Up to and with the next line feed.
    pub fn read_line(&self, limit: u32) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut reader = self.reader.borrow_mut();
        reader
            .by_ref()
            .take(limit.into())
            .read_until(b'\n', &mut line)
            .map_err(|error| unavailable(&error))?;
        match line.last() {
            Some(b'\n') => Ok(line),
            _ if line.len() as u64 == u64::from(limit) => {
                Err(Failure::unavailable(format!("a line of more than {limit} bytes")))
            }
            _ => Err(Failure::unavailable("the server closed the connection")),
        }
    }
    /// At least a byte.
    pub fn read(&self, limit: u32) -> Result<Vec<u8>> {
        let mut reader = self.reader.borrow_mut();
        let there = reader.fill_buf().map_err(|error| unavailable(&error))?;
        let bytes = there[..there.len().min(limit as usize)].to_vec();
        reader.consume(bytes.len());
        if bytes.is_empty() {
            Err(Failure::unavailable("the server closed the connection"))
        } else {
            Ok(bytes)
        }
    }
    /// Up to a line of one dot.
    pub fn read_body(&self, _expected: u64, limit: u64) -> Result<Blob> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            self.reader
                .borrow_mut()
                .read_until(b'\n', &mut line)
                .map_err(|error| unavailable(&error))?;
            match line.as_slice() {
                b".\r\n" | b".\n" => return Ok(Blob::of(&body)),
                [.., b'\n'] => body.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line)),
                _ => {
                    return Err(Failure::unavailable(
                        "the server closed the connection in the midst of a body",
                    ));
                }
            }
            if body.len() as u64 > limit {
                return Err(Failure::too_large(Some(limit)));
            }
        }
    }
    /// Exactly so many bytes.
    pub fn read_exact(&self, length: u64) -> Result<Blob> {
        let mut body = Vec::new();
        let mut reader = self.reader.borrow_mut();
        reader
            .by_ref()
            .take(length)
            .read_to_end(&mut body)
            .map_err(|error| unavailable(&error))?;
        if body.len() as u64 == length {
            Ok(Blob::of(&body))
        } else {
            Err(Failure::unavailable(
                "the server closed the connection in the midst of a body",
            ))
        }
    }

    fn secret(&self, form: Secret, challenge: Option<&str>) -> Result<String> {
        let none = || Failure::unauthenticated("the test gives no such secret");
        super::with(|world| {
            let (user, host, port) = (&world.user, &self.host, self.port);
            let password = || world.password.as_deref().ok_or_else(none);
            let token = || world.token.as_deref().ok_or_else(none);
            Ok(match form {
                Secret::Password => password()?.to_owned(),
                Secret::SaslPlain => BASE64_STANDARD.encode(format!("\0{user}\0{}", password()?)),
                Secret::SaslXoauth2 => {
                    BASE64_STANDARD.encode(format!("user={user}\x01auth=Bearer {}\x01\x01", token()?))
                }
                Secret::SaslOauthbearer => BASE64_STANDARD.encode(format!(
                    "n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {}\x01\x01",
                    token()?
                )),
                Secret::Apop => {
                    let text = format!("{}{}", challenge.unwrap_or_default(), password()?);
                    Md5::digest(text.as_bytes())
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect()
                }
            })
        })
    }
}
