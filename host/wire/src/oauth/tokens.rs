//! What connections ask for a token: one for a login, shared by all of them.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;
use whimbrel_model::{Failure, Secret, Tokens};

use super::client::Client;

/// How long before its end a token is replaced at the latest, in seconds: a login takes a while, and clocks differ.
const MARGIN: i64 = 300;

/// Where a login's tokens are kept, and what time it is. Calls may block.
pub trait TokenStore: Send + Sync {
    /// Seconds since 1970.
    fn now(&self) -> i64;

    /// What is kept; another process may have written it since.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn load(&self) -> Result<Option<Tokens>, Failure>;

    /// Keeps them; they outlast a power cut when this returns.
    ///
    /// # Errors
    /// Why they cannot be kept.
    fn save(&self, tokens: &Tokens) -> Result<(), Failure>;

    /// The command that logs in anew, for messages.
    fn login(&self) -> String;
}

/// How the next token is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// With the refresh token of a login.
    Refresh,
    /// As the client itself. Nothing is kept.
    ClientCredentials,
}

/// Gives the access token of a login, and replaces it in time. Clones share it.
#[derive(Clone)]
pub struct TokenSource(Arc<Shared>);

struct Shared {
    client: Client,
    means: Means,
    store: Arc<dyn TokenStore>,
    held: Mutex<Held>,
    /// The token was got because a server refused the one before, and no server has taken it yet.
    on_trial: AtomicBool,
}

#[derive(Default)]
struct Held {
    tokens: Option<Tokens>,
    /// They are newer than what is kept.
    unsaved: bool,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource { [redacted] }")
    }
}

impl PartialEq for TokenSource {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TokenSource {}

impl TokenSource {
    /// For one login at one provider.
    pub fn new(client: Client, means: Means, store: Arc<dyn TokenStore>) -> Self {
        Self(Arc::new(Shared {
            client,
            means,
            store,
            held: Mutex::default(),
            on_trial: AtomicBool::new(false),
        }))
    }

    /// An access token that is good for a while. Whoever asks while it is being replaced waits for the new one.
    ///
    /// # Errors
    /// As [`Client::refresh`]; `Unauthenticated` too where there is no login; what the store says.
    pub async fn current(&self) -> Result<Secret, Failure> {
        let shared = Arc::clone(&self.0);
        uncancelled(async move {
            let mut held = shared.held.lock().await;
            if held.unsaved {
                shared.save(&mut held).await?;
            }
            match held
                .tokens
                .as_ref()
                .and_then(|tokens| usable(tokens, shared.store.now()))
            {
                Some(access) => Ok(access),
                None => shared.renew(&mut held, None).await,
            }
        })
        .await
    }

    /// A server refused this token. Gives another one to try, once: none where the one that was refused had been got for
    /// the same reason, or where there is no other.
    ///
    /// # Errors
    /// As [`Self::current`].
    pub async fn refused(&self, token: &Secret) -> Result<Option<Secret>, Failure> {
        let (shared, token) = (Arc::clone(&self.0), token.clone());
        uncancelled(async move {
            let mut held = shared.held.lock().await;
            let now = shared.store.now();
            // Another connection was faster.
            let other = held.tokens.as_ref().and_then(|tokens| usable(tokens, now));
            if let Some(other) = other.filter(|other| *other != token) {
                return Ok(Some(other));
            }
            if shared.on_trial.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let access = shared.renew(&mut held, Some(&token)).await?;
            shared.on_trial.store(true, Ordering::Relaxed);
            Ok((access != token).then_some(access))
        })
        .await
    }

    /// A server took the token.
    pub fn accepted(&self) {
        self.0.on_trial.store(false, Ordering::Relaxed);
    }

    /// Whose tokens they are, for messages: the provider's name in the settings.
    pub fn name(&self) -> &str {
        &self.0.client.provider().name
    }
}

/// Runs to its end even where nobody waits any more: a refresh token that was changed for a new one, and the new one not
/// kept, would end the login.
async fn uncancelled<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    tokio::spawn(work)
        .await
        .map_err(|_| Failure::Internal("getting a token was abandoned".to_owned()))?
}

/// The access token, where it is good for a while yet.
fn usable(tokens: &Tokens, now: i64) -> Option<Secret> {
    let access = tokens.access.clone()?;
    let Some(expires) = tokens.expires else {
        return Some(access);
    };
    // Tokens that live for seconds only are replaced after three quarters of their time.
    let lifetime = expires.saturating_sub(tokens.issued.unwrap_or(now));
    let margin = (lifetime / 4).clamp(1, MARGIN);
    (now.saturating_add(margin) < expires).then_some(access)
}

impl Shared {
    /// Gets another access token than `not`, keeps what comes with it, and gives it.
    async fn renew(&self, held: &mut Held, not: Option<&Secret>) -> Result<Secret, Failure> {
        let login = self.store.login();
        let mut used = None;
        let granted = match self.means {
            Means::ClientCredentials => self.client.client_credentials(&login).await?,
            Means::Refresh => {
                let kept = self.load().await?;
                let fresh = kept.as_ref().and_then(|tokens| usable(tokens, self.store.now()));
                if let Some(access) = fresh.filter(|access| Some(access) != not) {
                    held.tokens = kept;
                    return Ok(access);
                }
                let refresh = kept.and_then(|tokens| tokens.refresh);
                let Some(refresh) = refresh else {
                    return Err(Failure::Unauthenticated(format!(
                        "login `{}`: there is none, or it came without a refresh token and has ended; log in with `{login}`",
                        self.client.provider().name
                    )));
                };
                let granted = self.client.refresh(&refresh, &login).await?;
                used = Some(refresh);
                granted
            }
        };
        tracing::debug!(login = %self.client.provider().name, "a new access token");
        let access = granted.access.clone();
        held.tokens = Some(granted.at(self.store.now(), used));
        self.on_trial.store(false, Ordering::Relaxed);
        held.unsaved = self.means == Means::Refresh;
        // Kept before it is used: the refresh token before it may be void by now.
        self.save(held).await?;
        Ok(access)
    }

    async fn load(&self) -> Result<Option<Tokens>, Failure> {
        let store = Arc::clone(&self.store);
        blocking(move || store.load()).await
    }

    async fn save(&self, held: &mut Held) -> Result<(), Failure> {
        if let Some(tokens) = held.tokens.clone().filter(|_| held.unsaved) {
            let store = Arc::clone(&self.store);
            blocking(move || store.save(&tokens)).await?;
            held.unsaved = false;
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::Internal("keeping a token was abandoned".to_owned()))?
}
