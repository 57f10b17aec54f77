//! How a request shows who sends it: Basic (RFC 7617), Digest (RFC 7616) and Bearer (RFC 6750).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use digest_auth::{AuthContext, HttpMethod, WwwAuthenticateHeader};
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use whimbrel_model::{Failure, Secret};

use super::place;
use crate::Credentials;

/// The login of one account. What the server asked for last is remembered.
pub(super) struct Login {
    credentials: Credentials,
    challenge: Mutex<Option<WwwAuthenticateHeader>>,
    /// The server was asked in clear text how it wants passwords.
    asked: AtomicBool,
}

/// What a request shows.
pub(super) struct Proof {
    pub header: Option<HeaderValue>,
    shown: Shown,
}

enum Shown {
    Nothing,
    Basic,
    Digest { nonce: String },
    Token(Secret),
}

impl Login {
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            challenge: Mutex::new(None),
            asked: AtomicBool::new(false),
        }
    }

    /// Whether the server is to be asked first how it wants the password: over a line that others read, one that takes
    /// Digest is not shown the password itself.
    pub fn asks_first(&self, url: &Url) -> bool {
        let password = matches!(self.credentials, Credentials::Password { .. });
        password && url.scheme() == "http" && !self.asked.load(Ordering::Relaxed)
    }

    /// What it said.
    pub fn learn(&self, headers: &HeaderMap) {
        *self.challenge() = digests(headers);
        self.asked.store(true, Ordering::Relaxed);
    }

    /// What the first try shows.
    pub async fn first(&self, method: &Method, url: &Url) -> Result<Proof, Failure> {
        match &self.credentials {
            Credentials::None => Ok(Proof {
                header: None,
                shown: Shown::Nothing,
            }),
            Credentials::Password { user, password } => match self.digest(user, password, method, url)? {
                Some(proof) => Ok(proof),
                None => basic(user, password),
            },
            Credentials::OAuth { token, .. } => bearer(token.clone()),
            Credentials::Login { tokens, .. } => bearer(tokens.current().await?),
        }
    }

    /// The server took it.
    pub fn accepted(&self) {
        if let Credentials::Login { tokens, .. } = &self.credentials {
            tokens.accepted();
        }
    }

    /// The server answered 401: what else can be shown.
    ///
    /// # Errors
    /// `Unauthenticated` where there is nothing else, and what getting another token gave.
    pub async fn refused(
        &self,
        proof: &Proof,
        headers: &HeaderMap,
        method: &Method,
        url: &Url,
    ) -> Result<Proof, Failure> {
        let place = place(url);
        let no = |text: String| Err(Failure::Unauthenticated(text));
        match (&self.credentials, &proof.shown) {
            (Credentials::Password { user, password }, shown) => {
                let challenge = digests(headers);
                let fresh = match (&challenge, shown) {
                    (Some(_), Shown::Basic | Shown::Nothing) => true,
                    (Some(challenge), Shown::Digest { nonce }) => challenge.stale || challenge.nonce != *nonce,
                    _ => false,
                };
                if fresh && !(matches!(shown, Shown::Basic) && offers(headers, "basic")) {
                    *self.challenge() = challenge;
                    if let Some(proof) = self.digest(user, password, method, url)? {
                        return Ok(proof);
                    }
                }
                let offered = schemes(headers);
                if !offered.iter().any(|scheme| scheme == "basic" || scheme == "digest") && !offered.is_empty() {
                    return no(format!(
                        "{place} takes no password (it asks for {}): give a token instead, or a password that the \
                         provider makes for programs",
                        offered.join(", ")
                    ));
                }
                no(format!(
                    "{place} refuses the user name or the password (401); some providers want a password of its own for \
                     programs"
                ))
            }
            (Credentials::Login { tokens, .. }, Shown::Token(token)) => match tokens.refused(token).await? {
                Some(another) => bearer(another),
                None => {
                    let name = tokens.name();
                    no(format!(
                        "{place} refuses the token of login `{name}` (401), a new one too: check `user`, and `scopes` in \
                         [oauth.{name}], and whether this server takes such tokens for this mailbox"
                    ))
                }
            },
            (Credentials::OAuth { .. }, _) => no(format!("{place} refuses the token (401): it may have run out")),
            _ => no(format!("{place} wants a login (401), and the settings give none")),
        }
    }

    fn challenge(&self) -> MutexGuard<'_, Option<WwwAuthenticateHeader>> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer to the challenge, where there is one; each has a count of its own.
    fn digest(&self, user: &str, password: &Secret, method: &Method, url: &Url) -> Result<Option<Proof>, Failure> {
        let mut held = self.challenge();
        let Some(challenge) = held.as_mut() else {
            return Ok(None);
        };
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let context = AuthContext::new_with_method(
            user,
            password.expose(),
            target,
            None::<&[u8]>,
            HttpMethod::from(method.as_str()),
        );
        let answer = challenge
            .respond(&context)
            .map_err(|_| Failure::Unsupported(format!("{}: its Digest login cannot be answered", place(url))))?;
        Ok(Some(Proof {
            header: Some(secret_header(&answer.to_header_string())?),
            shown: Shown::Digest {
                nonce: challenge.nonce.clone(),
            },
        }))
    }
}

fn basic(user: &str, password: &Secret) -> Result<Proof, Failure> {
    if user.contains(':') {
        return Err(Failure::InvalidSettings(
            "`user` holds a colon, which the Basic login of HTTP cannot take (RFC 7617)".to_owned(),
        ));
    }
    let both = Secret::new(format!("{user}:{}", password.expose()));
    let text = Secret::new(format!("Basic {}", STANDARD.encode(both.expose())));
    Ok(Proof {
        header: Some(secret_header(text.expose())?),
        shown: Shown::Basic,
    })
}

fn bearer(token: Secret) -> Result<Proof, Failure> {
    let text = Secret::new(format!("Bearer {}", token.expose()));
    Ok(Proof {
        header: Some(secret_header(text.expose())?),
        shown: Shown::Token(token),
    })
}

/// Marked, so that no library shows it or keeps it in a table of headers.
fn secret_header(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        Failure::InvalidSettings("the user name, or the token, holds what no HTTP header can".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn challenges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(WWW_AUTHENTICATE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
}

/// Where a challenge of this scheme begins: several may share a header.
fn begin(challenge: &str, scheme: &str) -> Option<usize> {
    let lower = challenge.to_ascii_lowercase();
    lower.match_indices(scheme).map(|(at, _)| at).find(|at| {
        let before = lower[..*at].trim_end();
        let after = lower[at + scheme.len()..].chars().next();
        (before.is_empty() || before.ends_with(',')) && after.is_none_or(|c| c == ' ' || c == ',')
    })
}

fn offers(headers: &HeaderMap, scheme: &str) -> bool {
    challenges(headers).any(|challenge| begin(challenge, scheme).is_some())
}

/// The names of the first challenge of each header, in lower case, for messages.
fn schemes(headers: &HeaderMap) -> Vec<String> {
    let name = |challenge: &str| {
        let name: String = challenge
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .take(20)
            .collect();
        name.to_ascii_lowercase()
    };
    let mut names: Vec<String> = challenges(headers).map(name).filter(|name| !name.is_empty()).collect();
    for scheme in ["basic", "digest"] {
        if offers(headers, scheme) && !names.iter().any(|name| name == scheme) {
            names.push(scheme.to_owned());
        }
    }
    names
}

/// The best Digest challenge that can be answered: SHA-2 before MD5.
fn digests(headers: &HeaderMap) -> Option<WwwAuthenticateHeader> {
    let mut found: Vec<WwwAuthenticateHeader> = challenges(headers)
        .filter_map(|challenge| challenge.get(begin(challenge, "digest")?..))
        .filter_map(|challenge| digest_auth::parse(challenge).ok())
        .collect();
    found.sort_by_key(|challenge| challenge.algorithm.to_string().starts_with("MD5"));
    found.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (WWW_AUTHENTICATE, line.parse().unwrap()))
            .collect()
    }

    #[test]
    fn challenges_are_found_wherever_they_stand() {
        let both = headers(&[r#"Basic realm="digest here", Digest realm="r", nonce="n", qop="auth""#]);
        assert!(offers(&both, "basic") && offers(&both, "digest"));
        assert_eq!(digests(&both).unwrap().nonce, "n");
        let several = headers(&[
            r#"Digest realm="r", nonce="md5", qop="auth", algorithm=MD5"#,
            r#"Digest realm="r", nonce="sha", qop="auth", algorithm=SHA-256"#,
        ]);
        assert_eq!(digests(&several).unwrap().nonce, "sha");
        let other = headers(&["Negotiate", "Bearer realm=\"x\""]);
        assert!(!offers(&other, "basic") && digests(&other).is_none());
        assert_eq!(schemes(&other), ["negotiate", "bearer"]);
    }
}
