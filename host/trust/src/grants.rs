//! What the admin granted, and what a connector needs before it is used.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use whimbrel_model::Permission;

/// What stands at the top of the file.
const PREFACE: &str = "# The connectors that this folder's migrations trust. Written by whimbrel: `whimbrel plugin trust NAME` adds to it,\n\
                       # and a connector whose section is removed is new again.\n";

/// How a grant came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The connector asked for nothing but what the settings name, and was pinned when it was first used.
    FirstUse,
    /// Other bytes by the key that signed those before, asking for the same.
    Signed,
    /// It is the one that was installed, and whoever installed it agreed to what it asks for.
    Installed,
    /// The admin said so.
    Admin,
}

/// A connector that may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What the settings call it: a name or a path.
    pub connector: String,
    /// What it calls itself.
    pub name: String,
    /// Of the connector, as it says.
    pub version: String,
    /// BLAKE3 of its file.
    pub blake3: String,
    /// What it asks for, sorted; see [`ask`].
    pub asks: Vec<String>,
    /// The trusted key that signed it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// When, in the form of RFC 3339.
    pub granted: String,
    /// Who, as the system calls them.
    pub by: String,
    /// How it came about.
    pub how: How,
}

/// Why a grants file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantsError {
    /// It is not of this form.
    #[error("{0}")]
    Form(String),
    /// Which of the two counts?
    #[error("it has two grants for the connector `{0}`")]
    Twice(String),
}

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    #[serde(default, rename = "grant")]
    all: Vec<Grant>,
}

/// A connector that is about to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What the settings call it.
    pub connector: String,
    /// What it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// BLAKE3 of its file.
    pub blake3: String,
    /// What it asks for.
    pub permissions: Vec<Permission>,
    /// The trusted key that signed it, if one did.
    pub signed_by: Option<String>,
}

/// What a connector needs before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is the one that was granted.
    Granted,
    /// A grant; nobody needs to be asked.
    Pin(How),
    /// The admin's word: it is new, and asks for hosts of its own choice.
    AskNew,
    /// The admin's word: it is not what was granted.
    AskChanged(Box<Difference>),
}

/// How a connector differs from the one that was granted under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What was granted.
    pub before: Grant,
    /// What it did not ask for then.
    pub added: Vec<String>,
    /// What it asked for then.
    pub removed: Vec<String>,
}

/// A permission in one line: `network(host, port)`, `endpoint(api.example.org)`, `files(root, write)`.
pub fn ask(permission: &Permission) -> String {
    match permission {
        Permission::Network { host, port } => format!("network({host}, {port})"),
        Permission::Url(setting) => format!("url({setting})"),
        Permission::Endpoint(host) => format!("endpoint({host})"),
        Permission::Files { setting, write } => {
            format!("files({setting}, {})", if *write { "write" } else { "read" })
        }
    }
}

impl Candidate {
    /// What it asks for, sorted, each once.
    pub fn asks(&self) -> Vec<String> {
        let asks: BTreeSet<String> = self.permissions.iter().map(ask).collect();
        asks.into_iter().collect()
    }

    /// Hosts that it names itself. All else that a connector can ask for is named by the settings.
    pub fn own_hosts(&self) -> impl Iterator<Item = &str> {
        self.permissions.iter().filter_map(|permission| match permission {
            Permission::Endpoint(host) => Some(host.as_str()),
            Permission::Network { .. } | Permission::Url(_) | Permission::Files { .. } => None,
        })
    }

    /// As a grant.
    pub fn grant(&self, granted: &str, by: &str, how: How) -> Grant {
        Grant {
            connector: self.connector.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            blake3: self.blake3.clone(),
            asks: self.asks(),
            signed_by: self.signed_by.clone(),
            granted: granted.to_owned(),
            by: by.to_owned(),
            how,
        }
    }
}

impl Grants {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is no such file, or names a connector twice.
    pub fn parse(text: &str) -> Result<Self, GrantsError> {
        let grants: Self = toml::from_str(text).map_err(|error| GrantsError::Form(error.to_string()))?;
        let mut seen = BTreeSet::new();
        match grants.all.iter().find(|grant| !seen.insert(&grant.connector)) {
            Some(twice) => Err(GrantsError::Twice(twice.connector.clone())),
            None => Ok(grants),
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

    /// What was granted under this name.
    pub fn of(&self, connector: &str) -> Option<&Grant> {
        self.all.iter().find(|grant| grant.connector == connector)
    }

    /// Adds a grant; it takes the place of one under the same name.
    pub fn put(&mut self, grant: Grant) {
        match self.all.iter_mut().find(|other| other.connector == grant.connector) {
            Some(other) => *other = grant,
            None => self.all.push(grant),
        }
    }

    /// What this connector needs. A change of what it is called or asks for is always the admin's to judge, even if the bytes
    /// are the same: a description is computed, and may come out differently.
    pub fn decide(&self, candidate: &Candidate) -> Decision {
        let Some(before) = self.of(&candidate.connector) else {
            return match candidate.own_hosts().next() {
                Some(_) => Decision::AskNew,
                None => Decision::Pin(How::FirstUse),
            };
        };
        let asks = candidate.asks();
        let same = before.name == candidate.name && before.asks == asks;
        if same && before.blake3 == candidate.blake3 && before.version == candidate.version {
            return Decision::Granted;
        }
        if same && candidate.signed_by.is_some() && candidate.signed_by == before.signed_by {
            return Decision::Pin(How::Signed);
        }
        let only_in = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|it| !those.contains(it)).cloned().collect()
        };
        Decision::AskChanged(Box::new(Difference {
            added: only_in(&asks, &before.asks),
            removed: only_in(&before.asks, &asks),
            before: before.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate() -> Candidate {
        Candidate {
            connector: "imap".into(),
            name: "imap".into(),
            version: "0.1.0".into(),
            blake3: "aa".into(),
            permissions: vec![
                Permission::Network {
                    host: "host".into(),
                    port: "port".into(),
                },
                Permission::Files {
                    setting: "root".into(),
                    write: false,
                },
            ],
            signed_by: None,
        }
    }

    fn granted(candidate: &Candidate) -> Grants {
        let mut grants = Grants::default();
        grants.put(candidate.grant("2026-01-02T03:04:05Z", "alice", How::FirstUse));
        grants
    }

    fn changed(decision: Decision) -> Difference {
        match decision {
            Decision::AskChanged(difference) => *difference,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_one_is_pinned_unless_it_asks_for_more_than_the_settings_name() {
        let plain = candidate();
        assert_eq!(Grants::default().decide(&plain), Decision::Pin(How::FirstUse));
        let mut greedy = candidate();
        greedy.permissions.push(Permission::Endpoint("api.example.org".into()));
        assert_eq!(Grants::default().decide(&greedy), Decision::AskNew);
        greedy.signed_by = Some("key".into());
        assert_eq!(
            Grants::default().decide(&greedy),
            Decision::AskNew,
            "a signature says who, not what"
        );
        assert_eq!(greedy.own_hosts().collect::<Vec<_>>(), ["api.example.org"]);
    }

    #[test]
    fn the_granted_one_is_used_and_no_other() {
        let known = candidate();
        let grants = granted(&known);
        assert_eq!(grants.decide(&known), Decision::Granted);
        let other = Candidate {
            blake3: "bb".into(),
            version: "0.2.0".into(),
            ..known
        };
        let difference = changed(grants.decide(&other));
        assert_eq!(difference.before.blake3, "aa");
        assert!(difference.added.is_empty() && difference.removed.is_empty());
        // Under another name of the settings it is another one.
        let elsewhere = Candidate {
            connector: "./imap.wasm".into(),
            ..other
        };
        assert_eq!(grants.decide(&elsewhere), Decision::Pin(How::FirstUse));
    }

    #[test]
    fn a_change_of_what_it_asks_for_is_always_asked() {
        let mut known = candidate();
        known.signed_by = Some("key".into());
        let grants = granted(&known);
        let mut other = known.clone();
        other.permissions[1] = Permission::Files {
            setting: "root".into(),
            write: true,
        };
        let difference = changed(grants.decide(&other));
        assert_eq!(difference.added, ["files(root, write)"]);
        assert_eq!(difference.removed, ["files(root, read)"]);
        other.permissions.pop();
        assert_eq!(changed(grants.decide(&other)).added, Vec::<String>::new());
        let renamed = Candidate {
            name: "imap2".into(),
            blake3: "bb".into(),
            ..known
        };
        changed(grants.decide(&renamed));
    }

    #[test]
    fn other_bytes_by_the_same_trusted_key_need_no_word() {
        let signed = |key: Option<&str>, blake3: &str| Candidate {
            signed_by: key.map(str::to_owned),
            blake3: blake3.into(),
            ..candidate()
        };
        let grants = granted(&signed(Some("key"), "aa"));
        assert_eq!(grants.decide(&signed(Some("key"), "bb")), Decision::Pin(How::Signed));
        changed(grants.decide(&signed(Some("other"), "bb")));
        changed(grants.decide(&signed(None, "bb")));
        // One that was unsigned before does not become trusted by being signed.
        changed(granted(&candidate()).decide(&signed(Some("key"), "bb")));
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let mut grants = granted(&candidate());
        let other = Candidate {
            connector: "./a \"b\".wasm".into(),
            signed_by: Some("key".into()),
            ..candidate()
        };
        grants.put(other.grant("2026-01-02T03:04:05Z", "bob", How::Admin));
        let text = grants.text().unwrap();
        assert!(
            text.starts_with("# The connectors") && text.contains("how = \"first-use\""),
            "{text}"
        );
        assert_eq!(Grants::parse(&text).unwrap(), grants);
        assert_eq!(Grants::parse("").unwrap(), Grants::default());
        // A second grant takes the place of the first.
        grants.put(other.grant("2026-02-02T03:04:05Z", "bob", How::Admin));
        assert_eq!(grants.text().unwrap().matches("[[grant]]").count(), 2);
    }

    #[test]
    fn what_is_no_grants_file_is_refused() {
        let text = granted(&candidate()).text().unwrap();
        let twice = format!(
            "{text}\n{}",
            text.split_once("[[grant]]")
                .map_or("", |_| &text[text.find("[[grant]]").unwrap()..])
        );
        assert_eq!(Grants::parse(&twice), Err(GrantsError::Twice("imap".into())));
        for wrong in [
            "grant = 7",
            "[[grant]]\nconnector = \"x\"",
            "what = 1",
            "[[grant]",
            &text.replace("first-use", "magic"),
        ] {
            assert!(matches!(Grants::parse(wrong), Err(GrantsError::Form(_))), "{wrong}");
        }
    }
}
