//! OAuth 2.0 (RFC 6749) for native programs (RFC 8252): how a mailbox gets its access tokens.
//!
//! - [`Client::authorization`]: a code from the browser of whoever logs in, with PKCE (RFC 7636) and a loopback listener;
//! - [`Client::device_code`]: a code that is typed on any other device (RFC 8628);
//! - [`Client::client_credentials`]: the program itself;
//! - [`Client::refresh`]: the next access token of a login.
//!
//! [`TokenSource`] is what connections ask for a token. No provider is known here: addresses and scopes are the admin's.
//!
//! **Invariant** What a token endpoint says is shown as an error code at most: never a token, a description or a body.

mod authorization;
mod client;
mod device;
mod refusal;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Url;
use whimbrel_model::Secret;

pub use authorization::{Authorization, Redirect};
pub use client::{Client, Granted};
pub use device::DeviceCode;
pub use tokens::{Means, TokenSource, TokenStore};

/// Who gives tokens, and as what this program is known there.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in the settings, for messages.
    pub name: String,
    /// Gives tokens.
    pub token: Endpoint,
    /// Where somebody logs in with a browser.
    pub authorization: Option<Endpoint>,
    /// Gives codes for other devices.
    pub device: Option<Endpoint>,
    /// As this program was registered.
    pub client_id: String,
    /// Public clients have none.
    pub client_secret: Option<Secret>,
    /// How the client shows who it is.
    pub client_auth: ClientAuth,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// More parameters of the request for authorization.
    pub parameters: BTreeMap<String, String>,
    /// Where browsers are sent back to.
    pub redirect: Redirect,
}

/// How the client shows its id and secret (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the body of the request.
    #[default]
    Body,
    /// With HTTP Basic.
    Basic,
}

/// The address of one of a provider's endpoints.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// From an `https` address; from an `http` one only where clear text is allowed in so many words.
    ///
    /// # Errors
    /// Why it cannot be used, as half a sentence.
    pub fn new(text: &str, insecure: bool) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("it is no address ({error})"))?;
        match url.scheme() {
            "https" => {}
            "http" if insecure => {}
            "http" => return Err("secrets would go over the line in clear text".to_owned()),
            other => return Err(format!("`{other}` is neither https nor http")),
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("it names no host".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("it holds a user, a password or a fragment".to_owned());
        }
        Ok(Self(url))
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Host and port, for messages.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.host(), self.port())
    }

    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }
}

/// Without query: it may hold anything.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}://{}{})", self.0.scheme(), self.place(), self.0.path())
    }
}
