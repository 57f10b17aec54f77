//! What keeps secrets: the vault, opened once when somebody needs it, and the logins that get tokens.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use whimbrel_model::{Failure, Tokens};
use whimbrel_vault::{Content, Key, Vault, VaultError};
use whimbrel_wire::oauth::{Client, Means, Provider, TokenSource, TokenStore};
use whimbrel_wire::{Secret, Trust};

use crate::ask;
use crate::failures;
use crate::problem::{Problem, Result};
use crate::settings::{Flow, OAuthSettings, Reason, Settings, VaultSettings, Whose, nearest};

/// Opens the vault when it is first asked for something, and gives every login one source of tokens.
pub struct Keeper {
    folder: PathBuf,
    settings: VaultSettings,
    oauth: BTreeMap<String, OAuthSettings>,
    vault: OnceLock<Result<Shared>>,
    trust: Trust,
    clients: Mutex<HashMap<String, Client>>,
    sources: Mutex<HashMap<(String, String), TokenSource>>,
}

/// A vault that tasks share.
pub type Shared = Arc<Mutex<Vault>>;

impl Keeper {
    /// For these settings. Opens nothing yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            folder: settings.state.clone(),
            settings: settings.vault.clone(),
            oauth: settings.oauth.clone(),
            vault: OnceLock::new(),
            trust: Trust::default(),
            clients: Mutex::default(),
            sources: Mutex::default(),
        }
    }

    /// The vault. What keeps it shut is found out once.
    pub fn vault(&self) -> Result<&Shared> {
        let opened = self.vault.get_or_init(|| {
            let folder = &self.folder;
            let path = Vault::path_in(folder);
            if !path.exists() {
                // Before anybody is asked for a passphrase.
                return Err(Box::new(failures::vault(&VaultError::Missing { path })));
            }
            let key = self.key()?;
            let vault = Vault::open(folder, key).map_err(|error| Box::new(failures::vault(&error)))?;
            Ok(Arc::new(Mutex::new(vault)))
        });
        opened.as_ref().map_err(Clone::clone)
    }

    /// What opens the vault.
    fn key(&self) -> Result<Key> {
        if let Some(path) = &self.settings.key_file {
            return Key::read(path).map_err(|error| Box::new(failures::vault(&error)));
        }
        let passphrase = match &self.settings.passphrase {
            Some(secret) => secret.read_outside("the vault")?,
            None if ask::has_terminal() => ask::typed("Passphrase of the vault")?,
            None => return Err(nobody_to_ask()),
        };
        Key::passphrase(passphrase).map_err(|error| Box::new(failures::vault(&error)))
    }

    /// A key for a new vault. Whether a key file was made for it.
    pub fn new_key(&self) -> Result<(Key, bool)> {
        let failed = |error: VaultError| Box::new(failures::vault(&error));
        match (&self.settings.key_file, &self.settings.passphrase) {
            (Some(path), _) if !path.exists() => Ok((Key::create(path).map_err(failed)?, true)),
            (None, None) if ask::has_terminal() => {
                let passphrase = ask::typed_twice("Passphrase for the new vault")?;
                Ok((Key::passphrase(passphrase).map_err(failed)?, false))
            }
            _ => Ok((self.key()?, false)),
        }
    }

    /// A password, or whatever else somebody typed.
    ///
    /// # Errors
    /// Outside: the vault does not open. Inside: it has no such secret.
    pub fn secret(&self, name: &str) -> Result<Result<Secret, Reason>> {
        let vault = held(self.vault()?);
        let set = format!("set it: whimbrel secrets set {}", quoted(name));
        Ok(match vault.get(name).map(|entry| &entry.content) {
            Some(Content::Text(secret)) => Ok(secret.clone()),
            Some(Content::Login(_)) => Err((
                format!("`{name}` in the vault is a login"),
                "a login is used with `oauth = \"…\"`; or name another secret".to_owned(),
            )),
            None => {
                let help = match nearest(name, vault.list().map(|(name, _)| name)) {
                    Some(meant) => format!("did you mean `{meant}`? Or {set}"),
                    None => set,
                };
                Err((format!("the vault has no secret `{name}`"), help))
            }
        })
    }

    /// The section `[oauth.NAME]`.
    pub fn oauth(&self, name: &str) -> Result<&OAuthSettings> {
        self.oauth.get(name).ok_or_else(|| {
            let help = match nearest(name, self.oauth.keys().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("add a section [oauth.{name}]; docs/secrets.md shows how"),
            };
            Box::new(Problem::usage(format!("there is no section [oauth.{name}]")).help(help))
        })
    }

    /// What talks to the provider of a section.
    pub fn client(&self, name: &str) -> Result<Client> {
        let section = self.oauth(name)?;
        if let Some(client) = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(client.clone());
        }
        let whose = format!("[oauth.{name}]");
        let secret = section.client_secret.as_ref();
        let client_secret = secret.map(|secret| secret.read(&whose, self)).transpose()?;
        let failed = |failure: Failure| Box::new(failures::login(&failure).exit_with(crate::exit::Exit::Usage));
        let tls = self.trust.with(section.ca.as_deref(), &section.pins).map_err(failed)?;
        let provider = Provider {
            name: section.name.clone(),
            token: section.token.clone(),
            authorization: section.authorization.clone(),
            device: section.device.clone(),
            client_id: section.client_id.clone(),
            client_secret,
            client_auth: section.client_auth,
            scopes: section.scopes.clone(),
            parameters: section.parameters.clone(),
            redirect: section.redirect.clone(),
        };
        let client = Client::new(provider, &tls).map_err(failed)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.insert(name.to_owned(), client.clone());
        Ok(client)
    }

    /// The tokens of a user at the provider of a section: the same source for all who ask.
    pub fn tokens(&self, name: &str, user: &str, whose: Whose<'_>) -> Result<TokenSource> {
        let flow = self.oauth(name)?.flow;
        // The client's own tokens are the same for every user.
        let entry = match flow {
            Flow::ClientCredentials => String::new(),
            _ => entry_of(name, user),
        };
        let key = (name.to_owned(), entry.clone());
        if let Some(source) = self.sources.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(source.clone());
        }
        let login = command(name, flow, whose.mailbox);
        let (means, store): (_, Arc<dyn TokenStore>) = if flow == Flow::ClientCredentials {
            (Means::ClientCredentials, Arc::new(Nowhere { login }))
        } else {
            let vault = self.vault()?;
            let known = held(vault).get(&entry).map(|entry| entry.kind());
            if known != Some(whimbrel_vault::Kind::Login) {
                let problem = Problem::settings(format!("{whose} is not logged in: the vault has no login for it"));
                return Err(Box::new(problem.help(format!("log in: {login}"))));
            }
            let vault = Arc::clone(vault);
            (Means::Refresh, Arc::new(InVault { vault, entry, login }))
        };
        let source = TokenSource::new(self.client(name)?, means, store);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sources.entry(key).or_insert(source).clone())
    }
}

/// What a login is called in the vault.
pub fn entry_of(name: &str, user: &str) -> String {
    format!("{name}/{user}")
}

/// The command that logs in anew. It names the mailbox, not its user: it stands in logs and reports.
pub fn command(name: &str, flow: Flow, mailbox: &str) -> String {
    let name_shown = quoted(name);
    match flow {
        Flow::RefreshToken => format!("whimbrel secrets set {name_shown}/USER --refresh-token"),
        Flow::ClientCredentials => format!("whimbrel secrets login {name_shown}"),
        Flow::Device | Flow::Code => format!("whimbrel secrets login {name_shown} --only {}", quoted(mailbox)),
    }
}

/// As a shell wants it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | '+');
    match text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Without a terminal, and nothing in the settings.
fn nobody_to_ask() -> Box<Problem> {
    let problem = Problem::settings("the vault has a passphrase, and there is no terminal to ask for it on");
    Box::new(problem.help("add to the settings: [secrets] passphrase = { env = \"VARIABLE\" }, or key_file = \"…\""))
}

/// The vault, for a moment.
pub fn held(vault: &Shared) -> MutexGuard<'_, Vault> {
    vault.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Tokens in the vault.
struct InVault {
    vault: Shared,
    entry: String,
    login: String,
}

impl TokenStore for InVault {
    fn now(&self) -> i64 {
        now()
    }

    fn load(&self) -> Result<Option<Tokens>, Failure> {
        let mut vault = held(&self.vault);
        vault.reload().map_err(|error| failure(&error))?;
        Ok(match vault.get(&self.entry).map(|entry| &entry.content) {
            Some(Content::Login(tokens)) => Some(tokens.clone()),
            _ => None,
        })
    }

    fn save(&self, tokens: &Tokens) -> Result<(), Failure> {
        let content = Content::Login(tokens.clone());
        held(&self.vault)
            .set(&self.entry, content, now())
            .map_err(|error| failure(&error))
    }

    fn login(&self) -> String {
        self.login.clone()
    }
}

/// For tokens that anybody with the client's secret can get again.
struct Nowhere {
    login: String,
}

impl TokenStore for Nowhere {
    fn now(&self) -> i64 {
        now()
    }

    fn load(&self) -> Result<Option<Tokens>, Failure> {
        Ok(None)
    }

    fn save(&self, _: &Tokens) -> Result<(), Failure> {
        Ok(())
    }

    fn login(&self) -> String {
        self.login.clone()
    }
}

fn failure(error: &VaultError) -> Failure {
    match error {
        VaultError::Locked { .. } | VaultError::Io { .. } => Failure::Unavailable(error.to_string()),
        _ => Failure::InvalidSettings(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted_and_name_no_user() {
        assert_eq!(
            command("work", Flow::Device, "alice"),
            "whimbrel secrets login work --only alice"
        );
        assert_eq!(
            command("my work", Flow::Code, "al'ice"),
            r"whimbrel secrets login 'my work' --only 'al'\''ice'"
        );
        assert!(command("work", Flow::RefreshToken, "alice").ends_with("work/USER --refresh-token"));
    }
}
