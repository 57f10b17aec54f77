//! An account of a mailbox: what the connector is told, and the secret that it is not told.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};
use toml::de::DeTable;
use whimbrel_wire::Credentials;

use super::keys;
use super::read::{self, Findings};
use super::secrets::{self, SecretKind, SecretRef};
use crate::problem::{Place, Problem, Result};
use crate::secrets::Keeper;

/// One side of a mailbox.
#[derive(Clone, Default)]
pub struct Account {
    /// What the connector is told: `user` and whatever else, never a secret.
    pub values: Map<String, Value>,
    /// The secret, if it has one.
    pub secret: Option<SecretRef>,
    /// How it logs in without one.
    pub login: Option<LoginRef>,
    /// Whether `user` and the way in are those of another part: a connector that has no use for them is not given them.
    pub inherited: Inherited,
}

/// What an account has from that of another part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inherited {
    /// Its `user`.
    pub user: bool,
    /// Its password, token or login.
    pub way_in: bool,
}

/// A login by OAuth.
#[derive(Clone)]
pub struct LoginRef {
    /// The section of the settings: `[oauth.NAME]`.
    pub name: String,
    /// Where the settings say so.
    pub place: Option<Place>,
}

/// Which account, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'n> {
    /// The mailbox's name.
    pub mailbox: &'n str,
    /// `source` or `destination`.
    pub side: &'n str,
}

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mailbox `{}` at the {}", self.mailbox, self.side)
    }
}

impl Account {
    /// The credentials; reads the secret.
    pub fn credentials(&self, whose: Whose<'_>, keeper: &Keeper) -> Result<Credentials> {
        let (what, place) = match (&self.secret, &self.login) {
            (Some(secret), _) => (secret.kind.key(), &secret.place),
            (None, Some(login)) => ("`oauth`", &login.place),
            (None, None) => return Ok(Credentials::None),
        };
        let Some(user) = self.user() else {
            let problem =
                Problem::settings(format!("{whose} has a {what} but no `user`")).help("add user = \"…\" beside it");
            return Err(Box::new(match place {
                Some(place) => problem.at(place.clone()),
                None => problem,
            }));
        };
        let user = user.to_owned();
        if let Some(secret) = &self.secret {
            let value = secret.read(&whose.to_string(), keeper)?;
            return Ok(match secret.kind {
                SecretKind::Token => Credentials::OAuth { user, token: value },
                _ => Credentials::Password { user, password: value },
            });
        }
        let Some(login) = &self.login else {
            return Ok(Credentials::None);
        };
        let tokens = keeper
            .tokens(&login.name, &user, whose)
            .map_err(|problem| match place {
                Some(place) if !problem.is_placed() => Box::new(problem.at(place.clone())),
                _ => problem,
            })?;
        Ok(Credentials::Login { user, tokens })
    }

    /// With what it does not say itself as in the account of the first part: who logs in and how, and where both share a
    /// side of the settings, everything.
    pub fn after(mut self, first: &Self, same_side: bool) -> Self {
        for (key, value) in &first.values {
            if (same_side || key == "user") && !self.values.contains_key(key) {
                self.values.insert(key.clone(), value.clone());
                self.inherited.user |= key == "user" && !same_side;
            }
        }
        if self.way_in().is_none() {
            self.secret.clone_from(&first.secret);
            self.login.clone_from(&first.login);
            self.inherited.way_in = !same_side;
        }
        self
    }

    /// Without what it inherited and the connector does not ask for.
    pub fn fitting(&self, asks_for_user: bool, asks_for_secret: bool) -> Self {
        let mut account = self.clone();
        if account.inherited.user && !asks_for_user {
            account.values.remove("user");
        }
        if account.inherited.way_in && !asks_for_secret {
            account.secret = None;
            account.login = None;
        }
        account
    }

    /// Who logs in.
    pub fn user(&self) -> Option<&str> {
        self.values.get("user").and_then(Value::as_str)
    }

    /// What the connector's schema calls the way in: `password` or `token`.
    pub fn way_in(&self) -> Option<&'static str> {
        match (&self.secret, &self.login) {
            (Some(secret), _) => Some(secret.kind.key()),
            (None, Some(_)) => Some(SecretKind::Token.key()),
            (None, None) => None,
        }
    }
}

/// Reads `source` or `destination` of a mailbox.
pub fn read(findings: &mut Findings, base: &Path, mailbox: &DeTable<'_>, side: &'static str) -> Account {
    let mut account = Account::default();
    let Some(table) = mailbox.get(side).and_then(|value| value.get_ref().as_table()) else {
        return account;
    };
    for (key, value) in table {
        let kind = match key.get_ref().as_ref() {
            "password" => SecretKind::Password,
            "token" => SecretKind::Token,
            "oauth" => {
                match value.get_ref().as_str().filter(|name| !name.is_empty()) {
                    Some(name) if account.way_in().is_none() => {
                        account.login = Some(LoginRef {
                            name: name.to_owned(),
                            place: Some(findings.place(value.span(), "this login")),
                        });
                    }
                    Some(_) => twice(findings, side, key.span()),
                    None => findings.wrong(
                        format!("`{side}.oauth` must be the name of a section"),
                        value.span(),
                        "this",
                        "write oauth = \"NAME\", and a section [oauth.NAME]",
                    ),
                }
                continue;
            }
            other => {
                match read::json(value.get_ref()) {
                    Some(value) => drop(account.values.insert(other.to_owned(), value)),
                    None => findings.wrong(
                        format!("`{side}.{other}` cannot be used"),
                        value.span(),
                        "this",
                        "write a finite number",
                    ),
                }
                continue;
            }
        };
        let name = format!("{side}.{}", kind.key());
        let Some(secret) = secrets::read(findings, base, &name, kind, keys::SECRET, value) else {
            continue;
        };
        if account.way_in().is_some() {
            twice(findings, side, key.span());
            continue;
        }
        account.secret = Some(secret);
    }
    account
}

fn twice(findings: &mut Findings, side: &str, span: Range<usize>) {
    let message = format!("`{side}` has more than one of password, token and oauth");
    findings.wrong(message, span, "the second", "keep the one that the server wants");
}
