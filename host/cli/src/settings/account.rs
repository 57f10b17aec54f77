//! An account of a mailbox: what the connector is told, and the secret that it is not told.

use std::path::Path;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use whimbrel_wire::{Credentials, Secret};

use super::keys::{self, Form};
use super::read::{self, Findings};
use super::secrets::{SecretFrom, SecretKind, SecretRef};
use crate::problem::{Problem, Result};

/// One side of a mailbox.
#[derive(Clone, Default)]
pub struct Account {
    /// What the connector is told: `user` and whatever else, never a secret.
    pub values: Map<String, Value>,
    /// The secret, if it has one.
    pub secret: Option<SecretRef>,
}

impl Account {
    /// The credentials; reads the secret. `whose` names mailbox and side, for messages.
    pub fn credentials(&self, whose: &str) -> Result<Credentials> {
        let Some(secret) = &self.secret else {
            return Ok(Credentials::None);
        };
        let user = match self.values.get("user") {
            Some(Value::String(user)) => user.clone(),
            _ => {
                let message = format!("{whose} has a {} but no `user`", secret.kind.key());
                let problem = Problem::settings(message).help("add user = \"…\" beside it");
                return Err(Box::new(match &secret.place {
                    Some(place) => problem.at(place.clone()),
                    None => problem,
                }));
            }
        };
        let value = secret.read(whose)?;
        Ok(match secret.kind {
            SecretKind::Password => Credentials::Password { user, password: value },
            SecretKind::Token => Credentials::OAuth { user, token: value },
        })
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
        let Some(from) = secret(findings, base, side, kind, value) else {
            continue;
        };
        if account.secret.is_some() {
            let message = format!("`{side}` has both a password and a token");
            findings.wrong(message, key.span(), "the second", "keep the one that the server wants");
            continue;
        }
        account.secret = Some(SecretRef {
            kind,
            from,
            place: Some(findings.place(value.span(), "this secret")),
        });
    }
    account
}

fn secret(
    findings: &mut Findings,
    base: &Path,
    side: &str,
    kind: SecretKind,
    value: &Spanned<DeValue<'_>>,
) -> Option<SecretFrom> {
    let key = kind.key();
    let example = format!("write {key} = {{ env = \"VARIABLE\" }} or {key} = {{ file = \"path\" }}");
    match value.get_ref() {
        DeValue::String(text) if !text.is_empty() => {
            let place = findings.place(value.span(), "a secret");
            let problem = Problem::settings(format!("a {key} stands in the settings file"))
                .warning()
                .at(place);
            findings.warnings.push(problem.help(example));
            Some(SecretFrom::Literal(Secret::new(text.to_string())))
        }
        DeValue::Table(table) => {
            let before = findings.problems.len();
            let name = format!("{side}.{key}");
            read::check(
                findings,
                &name,
                &Spanned::new(value.span(), table.clone()),
                keys::SECRET,
            );
            if findings.problems.len() > before {
                return None;
            }
            match (read::text(table, "env"), read::text(table, "file")) {
                (Some(env), None) => Some(SecretFrom::Env(env.to_owned())),
                (None, Some(file)) => Some(SecretFrom::File(base.join(file))),
                (None, None) => {
                    findings.wrong(
                        format!("`{name}` does not say where it lies"),
                        value.span(),
                        "empty",
                        example,
                    );
                    None
                }
                (Some(_), Some(_)) => {
                    findings.wrong(
                        format!("`{name}` has both env and file"),
                        value.span(),
                        "which one?",
                        "keep one of them",
                    );
                    None
                }
            }
        }
        _ => {
            let expected = Form::Table(keys::SECRET).describe();
            let message = format!("`{side}.{key}` must be a {expected} that says where it lies");
            findings.wrong(message, value.span(), "this", example);
            None
        }
    }
}
