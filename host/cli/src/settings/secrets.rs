//! Where passwords and tokens come from.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;
use whimbrel_wire::Secret;

use super::keys::Key;
use super::read::{self, Findings};
use crate::problem::{Place, Problem, Result};
use crate::secrets::Keeper;

/// What kind of credential it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// LOGIN, PLAIN, Basic and their kin.
    Password,
    /// An OAuth 2.0 access token.
    Token,
    /// The secret of an OAuth 2.0 client.
    ClientSecret,
    /// What opens the vault.
    Passphrase,
}

impl SecretKind {
    /// The key in the settings.
    pub fn key(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
            Self::ClientSecret => "client_secret",
            Self::Passphrase => "passphrase",
        }
    }
}

/// Where a secret lies. It is read only when a connection needs it.
#[derive(Clone)]
pub enum SecretFrom {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(PathBuf),
    /// In the vault, by this name.
    Vault(String),
    /// In the settings themselves.
    Literal(Secret),
}

/// A secret that an account needs.
#[derive(Clone)]
pub struct SecretRef {
    /// What it is.
    pub kind: SecretKind,
    /// Where it lies.
    pub from: SecretFrom,
    /// Where the settings say so.
    pub place: Option<Place>,
}

impl SecretRef {
    /// Whether it may be another one later in the same run.
    pub fn may_be_renewed(&self) -> bool {
        matches!(self.from, SecretFrom::File(_))
    }

    /// Reads it. `whose` names what it belongs to, for the message. A vault that does not open is a problem of its own.
    pub fn read(&self, whose: &str, keeper: &Keeper) -> Result<Secret> {
        let outcome = match &self.from {
            SecretFrom::Vault(name) => keeper.secret(name)?,
            _ => self.outside(),
        };
        outcome.map_err(|(reason, help)| self.unread(whose, &reason, help))
    }

    /// The same without a vault: for what opens it.
    pub fn read_outside(&self, whose: &str) -> Result<Secret> {
        self.outside()
            .map_err(|(reason, help)| self.unread(whose, &reason, help))
    }

    fn outside(&self) -> Result<Secret, Reason> {
        match &self.from {
            SecretFrom::Literal(secret) => Ok(secret.clone()),
            SecretFrom::Env(name) => from_env(name),
            SecretFrom::File(path) => from_file(path),
            SecretFrom::Vault(_) => Err((
                "it cannot lie in the vault that it opens".to_owned(),
                "use { env = … } or { file = … }".to_owned(),
            )),
        }
    }

    fn unread(&self, whose: &str, reason: &str, help: String) -> Box<Problem> {
        let message = format!("the {} of {whose} cannot be read: {reason}", self.kind.key());
        let problem = Problem::settings(message).help(help);
        Box::new(match &self.place {
            Some(place) => problem.at(place.clone()),
            None => problem,
        })
    }

    /// Whether others on this machine may read the file it lies in.
    pub fn exposed(&self) -> Option<Problem> {
        let SecretFrom::File(path) = &self.from else {
            return None;
        };
        let problem = exposed(path)?;
        Some(match &self.place {
            Some(place) => problem.at(place.clone()),
            None => problem,
        })
    }
}

/// Whether others on this machine may read a file that holds a secret.
pub fn exposed(path: &Path) -> Option<Problem> {
    readable_by_others(path).then(|| {
        Problem::settings(format!(
            "`{}` holds a secret and can be read by other users",
            path.display()
        ))
        .warning()
        .help(format!("chmod 600 {}", path.display()))
    })
}

/// Reads where a secret lies, as the settings say under `name`; `forms` are the keys it may have.
pub fn read(
    findings: &mut Findings,
    base: &Path,
    name: &str,
    kind: SecretKind,
    forms: &'static [Key],
    value: &Spanned<DeValue<'_>>,
) -> Option<SecretRef> {
    let from = lies(findings, base, name, kind, forms, value)?;
    Some(SecretRef {
        kind,
        from,
        place: Some(findings.place(value.span(), "this secret")),
    })
}

fn lies(
    findings: &mut Findings,
    base: &Path,
    name: &str,
    kind: SecretKind,
    forms: &'static [Key],
    value: &Spanned<DeValue<'_>>,
) -> Option<SecretFrom> {
    let key = kind.key();
    let ways: Vec<String> = forms
        .iter()
        .map(|form| format!("{key} = {{ {} = \"{}\" }}", form.name, sample(form.name)))
        .collect();
    let example = format!("write {}", ways.join(" or "));
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
            read::check(findings, name, &Spanned::new(value.span(), table.clone()), forms);
            if findings.problems.len() > before {
                return None;
            }
            let given: Vec<&Key> = forms.iter().filter(|form| table.contains_key(form.name)).collect();
            let [only] = given[..] else {
                let names: Vec<&str> = given.iter().map(|form| form.name).collect();
                match names.is_empty() {
                    true => findings.wrong(
                        format!("`{name}` does not say where it lies"),
                        value.span(),
                        "empty",
                        example,
                    ),
                    false => findings.wrong(
                        format!("`{name}` has both {}", names.join(" and ")),
                        value.span(),
                        "which one?",
                        "keep one of them",
                    ),
                }
                return None;
            };
            let text = read::text(table, only.name)?.to_owned();
            Some(match only.name {
                "env" => SecretFrom::Env(text),
                "file" => SecretFrom::File(base.join(text)),
                _ => SecretFrom::Vault(text),
            })
        }
        _ => {
            let message = format!("`{name}` must be a table that says where it lies");
            findings.wrong(message, value.span(), "this", example);
            None
        }
    }
}

/// What stands for the value of a form in an example.
fn sample(form: &str) -> &'static str {
    match form {
        "env" => "VARIABLE",
        "file" => "path",
        _ => "NAME",
    }
}

/// Why a secret cannot be read, and what to do.
pub type Reason = (String, String);

fn from_env(name: &str) -> Result<Secret, Reason> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Err((
            format!("the environment variable {name} is empty"),
            format!("set it: read -rs {name} && export {name}"),
        )),
        Ok(value) => Ok(Secret::new(value)),
        Err(std::env::VarError::NotPresent) => Err((
            format!("the environment variable {name} is not set"),
            format!("set it before the run: read -rs {name} && export {name}"),
        )),
        Err(std::env::VarError::NotUnicode(_)) => Err((
            format!("the environment variable {name} is not UTF-8"),
            "use a secret in UTF-8".to_owned(),
        )),
    }
}

fn from_file(path: &Path) -> Result<Secret, Reason> {
    const MOST: u64 = 64 * 1024;
    let shown = path.display();
    let text = std::fs::metadata(path)
        .and_then(|meta| match meta.len() > MOST {
            true => Err(std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                "larger than 64 KiB: not a secret",
            )),
            false => std::fs::read_to_string(path),
        })
        .map_err(|error| {
            (
                format!("`{shown}`: {error}"),
                format!("write it into {shown}, readable by you only (chmod 600)"),
            )
        })?;
    let secret = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    match secret.is_empty() {
        true => Err((format!("`{shown}` is empty"), format!("write it into {shown}"))),
        false => Ok(Secret::new(secret.to_owned())),
    }
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refer(from: SecretFrom) -> SecretRef {
        SecretRef {
            kind: SecretKind::Password,
            from,
            place: None,
        }
    }

    #[test]
    fn a_file_loses_one_line_end_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, " x y \r\n").unwrap();
        assert_eq!(
            refer(SecretFrom::File(path)).read_outside("alice").unwrap().expose(),
            " x y "
        );
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let problem = refer(SecretFrom::Env("WHIMBREL_TEST_NOT_SET".into()))
            .read_outside("mailbox `alice` at the source")
            .unwrap_err();
        assert_eq!(
            problem.message(),
            "the password of mailbox `alice` at the source cannot be read: the environment variable WHIMBREL_TEST_NOT_SET is not set"
        );
        assert!(problem.render().contains("export WHIMBREL_TEST_NOT_SET"));

        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        assert!(
            refer(SecretFrom::File(empty))
                .read_outside("x")
                .unwrap_err()
                .message()
                .ends_with("is empty")
        );
        assert!(
            refer(SecretFrom::File(folder.path().join("no")))
                .read_outside("x")
                .is_err()
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "x").unwrap();
        for (mode, exposed) in [(0o600, false), (0o640, true), (0o604, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(
                refer(SecretFrom::File(path.clone())).exposed().is_some(),
                exposed,
                "{mode:o}"
            );
        }
    }
}
