//! Logging in with a browser: an authorization code (RFC 6749 section 4.1) with PKCE (RFC 7636), sent back to a listener on
//! this machine (RFC 8252 section 7.3).

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use whimbrel_model::{Failure, Secret};

use super::client::{Client, Granted};
use super::refusal::Code;

/// Bytes of a browser's request at most.
const LARGEST: usize = 32 << 10;

/// How long a browser may take to send it: they open connections that they never use.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests at once.
const MOST: usize = 32;

/// Where browsers are sent back to: an address on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    host: String,
    port: Option<u16>,
    path: String,
}

impl Default for Redirect {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: None,
            path: "/".to_owned(),
        }
    }
}

impl Redirect {
    /// From `http://127.0.0.1/…` or `http://localhost/…`; any free port is taken where none is named.
    ///
    /// # Errors
    /// Why it cannot be used, as half a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("it is no address ({error})"))?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != "http" || !matches!(host, "127.0.0.1" | "localhost") {
            return Err("it must begin with http://127.0.0.1 or http://localhost: nobody else listens".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it holds a query or a fragment".to_owned());
        }
        Ok(Self {
            host: host.to_owned(),
            port: url.port(),
            path: url.path().to_owned(),
        })
    }
}

/// A login under way: somebody is to open the address.
pub struct Authorization {
    /// For a browser.
    pub url: String,
    listener: TcpListener,
    redirect: String,
    path: String,
    state: Secret,
    verifier: Secret,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization { [redacted] }")
    }
}

/// What a browser brought back.
enum Returned {
    Code(Secret),
    Refused(Code),
}

impl Client {
    /// Begins to listen, and makes the address that somebody is to open.
    ///
    /// # Errors
    /// `InvalidSettings` where the provider has no such endpoint, or the port is taken.
    pub async fn authorization(&self) -> Result<Authorization, Failure> {
        let provider = self.provider();
        let Some(endpoint) = &provider.authorization else {
            return Err(Failure::InvalidSettings(format!(
                "login `{}` has no `authorization_url`: add it to [oauth.{0}], or choose another `flow`",
                provider.name
            )));
        };
        let Redirect { host, port, path } = &provider.redirect;
        let taken = |error: std::io::Error| {
            Failure::InvalidSettings(format!(
                "login `{}`: no browser can be waited for on 127.0.0.1:{}: {error}; name another port in `redirect_url` of \
                 [oauth.{0}]",
                provider.name,
                port.unwrap_or_default()
            ))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or_default()))
            .await
            .map_err(taken)?;
        let port = listener.local_addr().map_err(taken)?.port();
        let redirect = format!("http://{host}:{port}{path}");
        let (state, verifier) = (random()?, random()?);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()));
        let mut url = endpoint.url().clone();
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &provider.client_id)
                .append_pair("redirect_uri", &redirect)
                .append_pair("state", state.expose())
                .append_pair("code_challenge", &challenge)
                .append_pair("code_challenge_method", "S256");
            if !provider.scopes.is_empty() {
                query.append_pair("scope", &provider.scopes.join(" "));
            }
            query.extend_pairs(&provider.parameters);
        }
        Ok(Authorization {
            url: url.into(),
            listener,
            redirect,
            path: path.clone(),
            state,
            verifier,
        })
    }

    /// Waits until the browser comes back, and changes its code for tokens.
    ///
    /// # Errors
    /// `Unauthenticated` where the user did not agree or nobody came in time; else as [`Client::refresh`].
    pub async fn authorized(
        &self,
        authorization: Authorization,
        patience: Duration,
        login: &str,
    ) -> Result<Granted, Failure> {
        let provider = self.provider();
        let returned = timeout(patience, authorization.returned()).await.map_err(|_| {
            Failure::Unauthenticated(format!(
                "login `{}`: nobody logged in within {} minutes; begin again with `{login}`",
                provider.name,
                patience.as_secs() / 60
            ))
        })??;
        let code = match returned {
            Returned::Code(code) => code,
            Returned::Refused(code) => {
                let place = provider.authorization.as_ref().map(super::Endpoint::place);
                return Err(code.failure(&provider.name, &place.unwrap_or_default(), login));
            }
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &authorization.redirect),
            ("code_verifier", authorization.verifier.expose()),
        ];
        self.tokens(&form, login).await
    }
}

impl Authorization {
    /// The first request that bears our state. Others get an answer and nothing else: any program on this machine, and any
    /// page in a browser, can send some.
    async fn returned(&self) -> Result<Returned, Failure> {
        let (found, mut finds) = mpsc::channel(1);
        let mut visits = JoinSet::new();
        loop {
            tokio::select! {
                Some(returned) = finds.recv() => {
                    // The browser gets its page before the listener goes.
                    let _ = timeout(PATIENCE, async { while visits.join_next().await.is_some() {} }).await;
                    return Ok(returned);
                }
                accepted = self.listener.accept(), if visits.len() < MOST => {
                    let (stream, _) = accepted.map_err(|error| {
                        Failure::Unavailable(format!("no browser can be waited for any more: {error}"))
                    })?;
                    let (path, state) = (self.path.clone(), self.state.clone());
                    let found = found.clone();
                    visits.spawn(async move {
                        let _ = timeout(PATIENCE, visit(stream, &path, &state, &found)).await;
                    });
                }
                Some(_) = visits.join_next() => {}
            }
        }
    }
}

/// One request of a browser.
async fn visit(
    mut stream: TcpStream,
    path: &str,
    state: &Secret,
    found: &mpsc::Sender<Returned>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") && request.len() < LARGEST {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, page) = match understood(&request, path, state) {
        Some(returned) => {
            let page = match &returned {
                Returned::Code(_) => "Whimbrel has what it needs. You can close this page.",
                Returned::Refused(_) => "The login was refused. Whimbrel says why.",
            };
            // A second one is dropped: the first counts.
            let _ = found.try_send(returned);
            ("200 OK", page)
        }
        None => ("404 Not Found", "This is not the address that was waited for."),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// What a request brings, if it is the one that is waited for.
fn understood(request: &[u8], path: &str, state: &Secret) -> Option<Returned> {
    let line = request.split(|&byte| byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let target = line.strip_prefix("GET ")?.split(' ').next()?;
    let url = Url::parse(&format!("http://localhost{target}")).ok()?;
    if url.path() != path {
        return None;
    }
    let one = |wanted: &str| {
        let mut values = url
            .query_pairs()
            .filter(|(name, _)| name == wanted)
            .map(|(_, value)| value);
        values
            .next()
            .filter(|_| values.next().is_none())
            .map(|value| value.into_owned())
    };
    // Equal strings of 43 random letters: time tells nobody anything that could be used within one login.
    if one("state")? != state.expose() {
        return None;
    }
    match (one("code"), one("error")) {
        (_, Some(error)) => Some(Returned::Refused(Code::new(&error))),
        (Some(code), None) => Some(Returned::Code(Secret::new(code))),
        (None, None) => None,
    }
}

/// 256 bits, as 43 letters that URLs leave alone.
fn random() -> Result<Secret, Failure> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Failure::Internal("the system gives no random numbers".to_owned()))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}
