//! Requests to a provider's endpoints: forms out, small JSON back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use whimbrel_model::{Failure, Secret, Tokens};
use zeroize::Zeroizing;

use super::refusal::Code;
use super::{ClientAuth, Endpoint, Provider};
use crate::Tls;
use crate::http::setup::{build, builder, retry_after, unreached};

/// For the connection, and for the whole of a request.
const CONNECT: Duration = Duration::from_secs(30);
const WHOLE: Duration = Duration::from_secs(60);

/// Bytes of an answer at most.
const LARGEST: usize = 256 << 10;

/// Bytes of a token at most.
const LONGEST_TOKEN: usize = 64 << 10;

/// What talks to one provider. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    provider: Arc<Provider>,
    http: reqwest::Client,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({:?})", self.provider.name)
    }
}

/// What an endpoint said to a request that it understood.
pub(super) enum Answer<T> {
    Given(T),
    Refused(Code),
}

/// Tokens as they were given, before anybody looked at a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// What servers are shown.
    pub access: Secret,
    /// Where there is a new one; the old one is void then.
    pub refresh: Option<Secret>,
    /// How long the access token is good, where the server says so.
    pub lifetime: Option<Duration>,
}

impl Granted {
    /// From now on. The refresh token that was used stays good where there is no new one.
    pub fn at(self, now: i64, used: Option<Secret>) -> Tokens {
        let lifetime = self
            .lifetime
            .map(|lifetime| i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
        Tokens {
            access: Some(self.access),
            refresh: self.refresh.or(used),
            issued: Some(now),
            expires: lifetime.map(|lifetime| now.saturating_add(lifetime)),
        }
    }
}

/// RFC 6749 sections 5.1 and 5.2; some servers write numbers as texts.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Number>,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Whole(u64),
    Other(f64),
    Text(String),
}

impl Number {
    pub fn seconds(&self) -> Option<Duration> {
        match self {
            Self::Whole(number) => Some(Duration::from_secs(*number)),
            Self::Other(number) => Duration::try_from_secs_f64(*number).ok(),
            Self::Text(text) => text.trim().parse().ok().map(Duration::from_secs),
        }
    }
}

/// The error code alone.
#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
}

impl Client {
    /// For this provider; `tls` is whom to trust.
    ///
    /// # Errors
    /// `InvalidSettings` where there is nothing to verify servers with.
    pub fn new(provider: Provider, tls: &Tls) -> Result<Self, Failure> {
        let endpoints = [
            Some(&provider.token),
            provider.authorization.as_ref(),
            provider.device.as_ref(),
        ];
        // Where nothing is encrypted, nobody needs to be trusted, and this machine may have no authorities.
        let config = match endpoints.into_iter().flatten().any(Endpoint::is_encrypted) {
            true => Arc::clone(tls.client()?),
            false => Arc::clone(Tls::pinned(&[])?.client()?),
        };
        let http = build(builder(&config, CONNECT).timeout(WHOLE))?;
        Ok(Self {
            provider: Arc::new(provider),
            http,
        })
    }

    /// Whom it talks to.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The next tokens of a login (RFC 6749 section 6). `login` is the command that logs in anew, for messages.
    ///
    /// # Errors
    /// `Unauthenticated` where the login is over, `InvalidSettings` where the client is not known so, `Unavailable` and
    /// `Throttled` for what may pass.
    pub async fn refresh(&self, refresh: &Secret, login: &str) -> Result<Granted, Failure> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose())];
        self.tokens(&form, login).await
    }

    /// Tokens for the client itself (RFC 6749 section 4.4).
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub async fn client_credentials(&self, login: &str) -> Result<Granted, Failure> {
        let scopes = self.provider.scopes.join(" ");
        let mut form = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            form.push(("scope", &scopes));
        }
        self.tokens(&form, login).await
    }

    /// Tokens for what the form says.
    pub(super) async fn tokens(&self, form: &[(&str, &str)], login: &str) -> Result<Granted, Failure> {
        let endpoint = &self.provider.token;
        match self.post(endpoint, form).await? {
            Answer::Given(answer) => self.granted(answer),
            Answer::Refused(code) => Err(self.refused(&code, login)),
        }
    }

    /// What a refusal of the token endpoint means.
    pub(super) fn refused(&self, code: &Code, login: &str) -> Failure {
        code.failure(&self.provider.name, &self.provider.token.place(), login)
    }

    /// Looks at tokens before anybody uses them.
    pub(super) fn granted(&self, answer: TokenAnswer) -> Result<Granted, Failure> {
        let access = Secret::new(answer.access_token);
        let refresh = answer.refresh_token.filter(|text| !text.is_empty()).map(Secret::new);
        if let Some(kind) = answer.token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            let _ = kind;
            return Err(self.strange("gives tokens of another type than Bearer"));
        }
        // What is no token would break the line that it is sent in (RFC 6750 section 2.1).
        let whole = |secret: &Secret| {
            let text = secret.expose();
            !text.is_empty() && text.len() <= LONGEST_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !whole(&access) {
            return Err(self.strange("gives an access token that cannot be one"));
        }
        if refresh
            .as_ref()
            .is_some_and(|refresh| refresh.expose().len() > LONGEST_TOKEN)
        {
            return Err(self.strange("gives a refresh token that cannot be one"));
        }
        Ok(Granted {
            access,
            refresh,
            lifetime: answer.expires_in.and_then(|number| number.seconds()),
        })
    }

    fn strange(&self, what: &str) -> Failure {
        let provider = &self.provider;
        Failure::InvalidSettings(format!(
            "login `{}`: {} {what}; correct `token_url` in [oauth.{0}]",
            provider.name,
            provider.token.place()
        ))
    }

    /// Sends a form, with who the client is.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        form: &[(&str, &str)],
    ) -> Result<Answer<T>, Failure> {
        let provider = &self.provider;
        let secret = provider.client_secret.as_ref().map(Secret::expose);
        let mut form = form.to_vec();
        let mut request = self.http.post(endpoint.url().clone());
        match (provider.client_auth, secret) {
            (ClientAuth::Basic, Some(secret)) => {
                // Both parts are form-encoded first (RFC 6749 section 2.3.1).
                request = request.basic_auth(encoded(&provider.client_id), Some(encoded(secret)));
            }
            (_, secret) => {
                form.push(("client_id", &provider.client_id));
                form.extend(secret.map(|secret| ("client_secret", secret)));
            }
        }
        let request = request.header("Accept", "application/json").form(&form);
        let answer = request.send().await.map_err(|error| self.unreached(endpoint, &error))?;
        let (status, wait) = (answer.status(), retry_after(answer.headers()));
        let body = self.body(endpoint, answer).await?;
        self.read(endpoint, status, wait, &body)
    }

    /// The body, as far as it may go.
    async fn body(&self, endpoint: &Endpoint, mut answer: Response) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut body = Zeroizing::new(Vec::with_capacity(16 << 10));
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreached(endpoint, &error))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(self.no_endpoint(endpoint, "answers more than a token endpoint would"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn read<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        status: StatusCode,
        wait: Option<u64>,
        body: &[u8],
    ) -> Result<Answer<T>, Failure> {
        let name = &self.provider.name;
        let place = endpoint.place();
        // An error code counts for more than the status: some servers send one with 200, some with 500.
        // serde would take a list for an object's values.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        if let Some(ErrorAnswer { error }) = serde_json::from_slice(body).ok().filter(|_| is_object) {
            return Ok(Answer::Refused(Code::new(&error)));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure::Throttled {
                retry_after_ms: wait,
                reason: format!("login `{name}`: {place} has had too many requests"),
            });
        }
        if status.is_server_error() {
            return Err(Failure::Unavailable(format!(
                "login `{name}`: {place} answers {status}"
            )));
        }
        if status.is_redirection() {
            return Err(self.no_endpoint(endpoint, "sends on to another address, and secrets are not sent on"));
        }
        if !status.is_success() {
            return Err(self.no_endpoint(endpoint, &format!("answers {status}")));
        }
        let strange = || self.no_endpoint(endpoint, "does not answer in the form of RFC 6749");
        if !is_object {
            return Err(strange());
        }
        // What serde says of bad JSON may quote it.
        serde_json::from_slice(body).map(Answer::Given).map_err(|_| strange())
    }

    fn no_endpoint(&self, endpoint: &Endpoint, what: &str) -> Failure {
        Failure::InvalidSettings(format!(
            "login `{}`: {} {what}; correct the addresses in [oauth.{0}]",
            self.provider.name,
            endpoint.place()
        ))
    }

    fn unreached(&self, endpoint: &Endpoint, error: &reqwest::Error) -> Failure {
        let whom = format!("login `{}`: {}", self.provider.name, endpoint.place());
        unreached(&whom, endpoint.host(), endpoint.port(), error)
    }
}

/// As `application/x-www-form-urlencoded` wants it.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
