//! From a host name to a stream, encrypted or not: what every protocol client begins with.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use whimbrel_model::Failure;

use crate::{Protection, Tls};

/// What a protocol is spoken over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync + fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + fmt::Debug> Stream for T {}

/// A server, and how long it may take to answer there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server<'a> {
    /// Host name or IP address; the certificate must bear it.
    pub host: &'a str,
    pub port: u16,
    /// Whom to trust.
    pub tls: &'a Tls,
    /// For the connection and the handshake: each.
    pub patience: Duration,
}

impl Server<'_> {
    /// A connection without encryption.
    ///
    /// # Errors
    /// `Unavailable` where nothing answers there.
    pub async fn open(self) -> Result<TcpStream, Failure> {
        let Self {
            host, port, patience, ..
        } = self;
        let unresolved = |error: &str| {
            Failure::Unavailable(format!(
                "the host name `{host}` cannot be resolved ({error}): check `host` in the settings"
            ))
        };
        let addresses: Vec<SocketAddr> = timeout(patience, lookup_host((host, port)))
            .await
            .map_err(|_| unresolved("no answer in time"))?
            .map_err(|error| unresolved(&error.to_string()))?
            .collect();
        let mut last = unresolved("no address");
        // Each address has its own time: one dead address family must not use up all of it.
        for address in addresses.into_iter().take(8) {
            match timeout(patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A failure costs speed alone.
                    let _ = stream.set_nodelay(true);
                    keep_little_unsent(&stream);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = refused(host, port, &error),
                Err(_) => {
                    last = Failure::Unavailable(format!(
                        "{host}:{port} does not answer within {} seconds: check `host` and `port`, and the firewall",
                        patience.as_secs()
                    ));
                }
            }
        }
        Err(last)
    }

    /// The TLS handshake, over an open connection.
    ///
    /// # Errors
    /// `InvalidSettings` for a certificate that does not verify; `Unavailable` for what may pass.
    pub async fn secure(self, stream: Box<dyn Stream>) -> Result<(Box<dyn Stream>, Protection), Failure> {
        let handshake = self.tls.connect(self.host, self.port, stream);
        match timeout(self.patience, handshake).await {
            Ok(shaken) => {
                let (stream, protection) = shaken?;
                Ok((Box::new(stream), protection))
            }
            Err(_) => Err(Failure::Unavailable(format!(
                "{}:{} does not finish the TLS handshake within {} seconds: does this port speak TLS? (`tls` and `port` \
                 in the settings)",
                self.host,
                self.port,
                self.patience.as_secs()
            ))),
        }
    }

    /// An encrypted connection from the first byte on.
    ///
    /// # Errors
    /// Those of [`Server::open`] and [`Server::secure`]; where no version of TLS suits both, they say so.
    pub async fn open_secure(self, stream: TcpStream) -> Result<(Box<dyn Stream>, Protection), Failure> {
        match self.secure(Box::new(stream)).await {
            Err(failure @ Failure::Unavailable(_)) => Err(self.diagnose(failure).await),
            other => other,
        }
    }

    /// Servers may break off without a word where no version of TLS suits both: then the failure says so.
    async fn diagnose(self, failure: Failure) -> Failure {
        match self.open().await {
            Ok(again) => Tls::diagnose(self.host, self.port, again).await.unwrap_or(failure),
            Err(_) => failure,
        }
    }
}

/// Bytes that the system may hold before it sends them.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 << 10;

/// Lets the system take no more than it can send soon. What it took it goes on sending after this process was killed,
/// up to several megabytes; the less it is, the sooner a next run knows what arrived. What is under way on a long line
/// does not count, so that costs no speed.
fn keep_little_unsent(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES);
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

fn refused(host: &str, port: u16, error: &io::Error) -> Failure {
    Failure::Unavailable(match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(
            "{host}:{port} refuses connections: nothing listens on this port (`port` in the settings), or a firewall \
             refuses it"
        ),
        _ => format!("{host}:{port} cannot be reached: {error}"),
    })
}
