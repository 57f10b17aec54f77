//! The two keys to every door: what a connector asks for, and what the settings grant.

use serde_json::{Value, json};
use whimbrel_model::Permission;
use whimbrel_sandbox::Plugin;
use whimbrel_trust::ask;

use crate::settings::{Settings, Side};

/// A door: what is asked for, and which side's settings grant what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// In one line, as in the grants file.
    pub ask: String,
    /// By side: what is granted, or nothing.
    pub granted: Vec<(String, Option<String>)>,
}

impl Door {
    /// For people.
    pub fn shown(&self) -> String {
        let sides: Vec<String> = self
            .granted
            .iter()
            .map(|(side, granted)| format!("{side} {}", granted.as_deref().unwrap_or("nothing")))
            .collect();
        sides.join("; ")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let granted: serde_json::Map<String, Value> = self
            .granted
            .iter()
            .map(|(side, granted)| (side.clone(), json!(granted)))
            .collect();
        json!({ "ask": self.ask, "granted": granted })
    }
}

/// What a permission is, in a sentence.
pub fn sentence(permission: &Permission) -> String {
    match permission {
        Permission::Network { host, port } => {
            format!("connections to the host and port in the settings `{host}` and `{port}`")
        }
        Permission::Url(setting) => {
            format!("HTTP requests to the host and port of the address in the setting `{setting}`")
        }
        Permission::Endpoint(host) => {
            format!("connections to {host}, if the settings file says `allow = [\"{host}\"]`")
        }
        Permission::Files { setting, write: true } => {
            format!("reading and writing below the folder in the setting `{setting}`")
        }
        Permission::Files { setting, write: false } => format!("reading below the folder in the setting `{setting}`"),
    }
}

/// Every door that a connector asks for, and what those sides grant that call it so.
pub fn doors(plugin: &Plugin, connector: &str, settings: &Settings) -> Vec<Door> {
    let schema: Value = serde_json::from_str(&plugin.description().settings_schema).unwrap_or_default();
    let mut sides: Vec<&Side> = settings.sides().filter(|side| side.connector == connector).collect();
    sides.sort_by(|a, b| a.section.cmp(&b.section));
    sides.dedup_by(|a, b| a.section == b.section);
    let permissions = &plugin.description().permissions;
    let door = |permission: &Permission| Door {
        ask: ask(permission),
        granted: sides
            .iter()
            .map(|side| (side.section.clone(), granted(permission, side, &schema)))
            .collect(),
    };
    permissions.iter().map(door).collect()
}

/// What a side's settings grant; what mailboxes set besides is theirs alone.
fn granted(permission: &Permission, side: &Side, schema: &Value) -> Option<String> {
    let text = |key: &str| side.settings.get(key).and_then(Value::as_str);
    match permission {
        Permission::Network { host, port } => {
            let host = text(host)?;
            let default = || schema.get("properties")?.get(port)?.get("default");
            match side.settings.get(port).or_else(default) {
                Some(port) => Some(format!("{host}:{port}")),
                None => Some(host.to_owned()),
            }
        }
        Permission::Url(setting) => text(setting).map(str::to_owned),
        Permission::Endpoint(host) => {
            // Whether a pattern of the settings covers it is decided when it is reached for.
            let named = side.allow.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
            match (named, side.allow.as_slice()) {
                (true, _) => Some(host.clone()),
                (false, []) => None,
                (false, allowed) => Some(format!("only what `allow` names: {}", allowed.join(", "))),
            }
        }
        Permission::Files { setting, write } => {
            let way = if *write && side.which == "destination" {
                "to read and write"
            } else {
                "to read"
            };
            Some(format!("{} {way}", text(setting)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings() -> Settings {
        let text = "[migration]\nname = \"x\"\n\
                    [source]\nconnector = \"imap\"\nsettings = { host = \"mail.example\", root = \"in\" }\n\
                    [destination]\nconnector = \"imap\"\nallow = [\"api.example.org\"]\nsettings = { root = \"out\" }\n\
                    [[mailbox]]\nname = \"a\"\n";
        Settings::parse(Path::new("whimbrel.toml"), text).unwrap()
    }

    #[test]
    fn each_side_grants_what_its_settings_name() {
        let settings = settings();
        let schema = json!({ "properties": { "port": { "default": 993 } } });
        let network = Permission::Network {
            host: "host".into(),
            port: "port".into(),
        };
        let files = Permission::Files {
            setting: "root".into(),
            write: true,
        };
        let endpoint = Permission::Endpoint("api.example.org".into());
        let both = |permission: &Permission| {
            [&settings.parts[0].source, &settings.parts[0].destination].map(|side| granted(permission, side, &schema))
        };
        assert_eq!(both(&network), [Some("mail.example:993".into()), None]);
        assert_eq!(
            both(&files),
            [Some("in to read".into()), Some("out to read and write".into())]
        );
        assert_eq!(both(&endpoint), [None, Some("api.example.org".into())]);
        let other = Permission::Endpoint("evil.example".into());
        assert_eq!(
            both(&other)[1].as_deref(),
            Some("only what `allow` names: api.example.org")
        );
    }

    #[test]
    fn permissions_are_sentences() {
        let network = Permission::Network {
            host: "host".into(),
            port: "port".into(),
        };
        assert!(sentence(&network).contains("`host` and `port`"));
        let endpoint = Permission::Endpoint("api.example.org".into());
        assert!(sentence(&endpoint).contains("allow = [\"api.example.org\"]"));
        let files = Permission::Files {
            setting: "root".into(),
            write: true,
        };
        assert!(sentence(&files).contains("reading and writing below the folder in the setting `root`"));
    }
}
