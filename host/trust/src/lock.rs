//! What is installed in a folder of connectors, and what was agreed to then.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Candidate, GrantsError};

/// What stands at the top of the file.
const PREFACE: &str = "# The connectors that were installed in this folder. Written by whimbrel: `whimbrel plugin install` adds to it, and\n\
                       # `whimbrel plugin remove` takes out of it. A connector that is not the one noted here is not used.\n";

/// An installed connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// Its file in the folder: `NAME@VERSION.wasm`.
    pub file: String,
    /// What it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// BLAKE3 of the file.
    pub blake3: String,
    /// What it asks for, sorted, and whoever installed it agreed to; see [`crate::ask`].
    pub asks: Vec<String>,
    /// The key that signed it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Where it came from: a path, or the address in a registry with the digest of what was there.
    pub from: String,
    /// When, in the form of RFC 3339.
    pub installed: String,
    /// Who, as the system calls them.
    pub by: String,
}

/// How a connector differs from the one that was installed under its file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotInstalled {
    /// Other bytes.
    #[error("its bytes are not those that were installed: BLAKE3 was {before}, and is {now}")]
    Bytes {
        /// Then.
        before: String,
        /// Now.
        now: String,
    },
    /// The same bytes ask for something else: a description is computed, and may come out differently.
    #[error(
        "it asks for {}, and {} was agreed to when it was installed",
        listed(now),
        listed(before)
    )]
    Asks {
        /// Then.
        before: Vec<String>,
        /// Now.
        now: Vec<String>,
    },
}

fn listed(asks: &[String]) -> String {
    match asks.is_empty() {
        true => "nothing".to_owned(),
        false => asks.join(", "),
    }
}

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    #[serde(default, rename = "connector")]
    all: Vec<Installed>,
}

impl Lock {
    /// What the file is called.
    pub const FILE: &'static str = "connectors.lock";

    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is no such file, or names a connector twice.
    pub fn parse(text: &str) -> Result<Self, GrantsError> {
        let lock: Self = toml::from_str(text).map_err(|error| GrantsError::Form(error.to_string()))?;
        let mut seen = BTreeSet::new();
        match lock.all.iter().find(|entry| !seen.insert(&entry.file)) {
            Some(twice) => Err(GrantsError::Twice(twice.file.clone())),
            None => Ok(lock),
        }
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None that is known of: there is nothing in it that TOML cannot hold.
    pub fn text(&self) -> Result<String, GrantsError> {
        let body = toml::to_string(self).map_err(|error| GrantsError::Form(error.to_string()))?;
        Ok(format!("{PREFACE}\n{body}"))
    }

    /// All, in the order in which they were installed.
    pub fn all(&self) -> &[Installed] {
        &self.all
    }

    /// What was installed as this file.
    pub fn of(&self, file: &str) -> Option<&Installed> {
        self.all.iter().find(|entry| entry.file == file)
    }

    /// Adds one; it takes the place of one with the same file.
    pub fn put(&mut self, entry: Installed) {
        self.take(&entry.file);
        self.all.push(entry);
    }

    /// Takes one out.
    pub fn take(&mut self, file: &str) -> Option<Installed> {
        let at = self.all.iter().position(|entry| entry.file == file)?;
        Some(self.all.remove(at))
    }
}

impl Installed {
    /// Whether this is the connector that was installed.
    ///
    /// # Errors
    /// How it differs.
    pub fn check(&self, candidate: &Candidate) -> Result<(), NotInstalled> {
        if self.blake3 != candidate.blake3 {
            return Err(NotInstalled::Bytes {
                before: self.blake3.clone(),
                now: candidate.blake3.clone(),
            });
        }
        let now = candidate.asks();
        if self.asks != now {
            return Err(NotInstalled::Asks {
                before: self.asks.clone(),
                now,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_model::Permission;

    use super::*;

    fn candidate() -> Candidate {
        Candidate {
            connector: "acme".into(),
            name: "acme".into(),
            version: "1.0.0".into(),
            blake3: "aa".into(),
            permissions: vec![Permission::Url("url".into())],
            signed_by: None,
        }
    }

    fn installed(file: &str) -> Installed {
        Installed {
            file: file.into(),
            name: "acme".into(),
            version: "1.0.0".into(),
            blake3: "aa".into(),
            asks: candidate().asks(),
            signed_by: Some("key".into()),
            from: "./acme.wasm".into(),
            installed: "2026-01-02T03:04:05Z".into(),
            by: "alice".into(),
        }
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let mut lock = Lock::default();
        lock.put(installed("acme@1.0.0.wasm"));
        lock.put(installed("acme@1.1.0.wasm"));
        lock.put(installed("acme@1.0.0.wasm"));
        let text = lock.text().unwrap();
        assert!(text.starts_with("# The connectors that were installed"), "{text}");
        assert_eq!(Lock::parse(&text).unwrap(), lock);
        let files: Vec<&str> = lock.all().iter().map(|entry| entry.file.as_str()).collect();
        assert_eq!(files, ["acme@1.1.0.wasm", "acme@1.0.0.wasm"]);
        assert!(lock.take("acme@1.1.0.wasm").is_some() && lock.of("acme@1.1.0.wasm").is_none());
        assert_eq!(Lock::parse("").unwrap(), Lock::default());
        for wrong in ["connector = 1", "[[connector]]\nname = \"x\"", "x = 1"] {
            assert!(matches!(Lock::parse(wrong), Err(GrantsError::Form(_))), "{wrong}");
        }
        let once = lock.text().unwrap();
        let entry = &once[once.find("[[connector]]").unwrap()..];
        assert!(matches!(
            Lock::parse(&format!("{once}\n{entry}")),
            Err(GrantsError::Twice(_))
        ));
    }

    #[test]
    fn another_one_in_its_place_is_told() {
        let entry = installed("acme@1.0.0.wasm");
        assert_eq!(entry.check(&candidate()), Ok(()));
        let bytes = Candidate {
            blake3: "bb".into(),
            ..candidate()
        };
        assert!(matches!(entry.check(&bytes), Err(NotInstalled::Bytes { .. })));
        let mut greedy = candidate();
        greedy.permissions.push(Permission::Endpoint("evil.example".into()));
        let text = entry.check(&greedy).unwrap_err().to_string();
        assert!(
            text.contains("endpoint(evil.example), url(url)") && text.contains("url(url) was agreed"),
            "{text}"
        );
    }
}
