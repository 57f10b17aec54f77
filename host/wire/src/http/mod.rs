//! HTTP requests as a plugin wants them: whose redirects stay where they may go, whose bodies are blobs, and whose
//! login is shown to one host only.
//!
//! **Invariant** Nothing leaves for a host that the [`Gate`] did not let through, redirects included.
//!
//! **Invariant** Credentials go to the host that the request names, and never over a redirect to another one.

mod login;
mod send;
pub(crate) mod setup;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use whimbrel_model::Failure;

use crate::{Blob, BlobStore, Credentials, Protection, Timeouts, Tls};
use login::Login;

pub use reqwest::Url;

/// Requests of one account that are under way at once.
const PARALLEL: usize = 8;

/// Decides whether a request may go to this address.
pub type Gate = Arc<dyn Fn(&Url) -> Result<(), Failure> + Send + Sync>;

/// Is told of every server that answered, and how the connection to it was protected.
pub type Witness = Arc<dyn Fn(&Url, Option<&Protection>) + Send + Sync>;

/// How a [`Client`] is set up.
pub struct Setup {
    /// Whom to trust.
    pub tls: Tls,
    /// Who sends the requests that log in.
    pub credentials: Credentials,
    /// For the connection, for an answer to begin and for its next byte.
    pub timeouts: Timeouts,
    /// Where answers are kept.
    pub blobs: BlobStore,
    /// Bytes of an answer at most, decompressed.
    pub largest: u64,
    /// Where requests may go.
    pub gate: Gate,
    /// Who is told of connections.
    pub witness: Witness,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET, PROPFIND…
    pub method: String,
    /// `http` or `https`.
    pub url: Url,
    /// Beside those that the client writes.
    pub headers: Vec<(String, String)>,
    /// Sent as it is read.
    pub body: Option<Blob>,
    /// Whether it logs in.
    pub authenticate: bool,
    /// For all of it.
    pub timeout: Option<Duration>,
    /// Bytes of the answer, where fewer than usual will do.
    pub largest: Option<u64>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// 200, 207, 404…
    pub status: u16,
    /// Where it came from, after redirects.
    pub url: Url,
    /// Names in lower case; without cookies and logins.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Blob,
}

/// Sends requests of one account. Connections are kept, and shared by clones.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    http: reqwest::Client,
    /// Why there is nothing to verify servers with; matters once one is to be verified.
    blind: Option<Failure>,
    login: Login,
    setup: Setup,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("http::Client")
    }
}

impl Client {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// `Internal` where the client cannot be set up.
    pub fn new(setup: Setup) -> Result<Self, Failure> {
        // Where nothing is encrypted, nobody needs to be trusted, and this machine may have no authorities.
        let (config, blind) = match setup.tls.client() {
            Ok(config) => (Arc::clone(config), None),
            Err(failure) => (Arc::clone(Tls::pinned(&[])?.client()?), Some(failure)),
        };
        let builder = setup::builder(&config, setup.timeouts.connect).tls_info(true);
        Ok(Self(Arc::new(Shared {
            http: setup::build(builder)?,
            blind,
            login: Login::new(setup.credentials.clone()),
            setup,
        })))
    }

    /// One request.
    ///
    /// # Errors
    /// As the contract says: `Unauthenticated`, `Throttled`, `OverQuota` and `Unavailable` for what the status means,
    /// `TooLarge` for an answer that is, and what the gate says.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        self.0.send(request).await
    }

    /// Several at a time, the answers in order.
    pub async fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, Failure>> {
        futures::stream::iter(requests)
            .map(|request| self.send(request))
            .buffered(PARALLEL)
            .collect()
            .await
    }
}

/// Host and port, for messages.
fn place(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}
