//! Where passwords and tokens come from.

use std::path::{Path, PathBuf};

use whimbrel_wire::Secret;

use crate::problem::{Place, Problem, Result};

/// What kind of credential it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// LOGIN, PLAIN, Basic and their kin.
    Password,
    /// An OAuth 2.0 access token.
    Token,
}

impl SecretKind {
    /// The key in the settings.
    pub fn key(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
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

    /// Reads it. `whose` names mailbox and side, for the message.
    pub fn read(&self, whose: &str) -> Result<Secret> {
        let outcome = match &self.from {
            SecretFrom::Literal(secret) => return Ok(secret.clone()),
            SecretFrom::Env(name) => from_env(name),
            SecretFrom::File(path) => from_file(path),
        };
        outcome.map_err(|(reason, help)| {
            let problem =
                Problem::settings(format!("the {} of {whose} cannot be read: {reason}", self.kind.key())).help(help);
            Box::new(match &self.place {
                Some(place) => problem.at(place.clone()),
                None => problem,
            })
        })
    }

    /// Whether others on this machine may read the file it lies in.
    pub fn exposed(&self) -> Option<Problem> {
        let SecretFrom::File(path) = &self.from else {
            return None;
        };
        readable_by_others(path).then(|| {
            let problem = Problem::settings(format!(
                "`{}` holds a secret and can be read by other users",
                path.display()
            ))
            .warning()
            .help(format!("chmod 600 {}", path.display()));
            match &self.place {
                Some(place) => problem.at(place.clone()),
                None => problem,
            }
        })
    }
}

type Reason = (String, String);

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
        assert_eq!(refer(SecretFrom::File(path)).read("alice").unwrap().expose(), " x y ");
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let problem = refer(SecretFrom::Env("WHIMBREL_TEST_NOT_SET".into()))
            .read("mailbox `alice` at the source")
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
                .read("x")
                .unwrap_err()
                .message()
                .ends_with("is empty")
        );
        assert!(refer(SecretFrom::File(folder.path().join("no"))).read("x").is_err());
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
