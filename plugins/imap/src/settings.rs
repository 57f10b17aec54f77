//! What the admin sets.

use serde::Deserialize;
use whimbrel_plugin::imap::Security;
use whimbrel_plugin::{Failure, Result};

/// JSON Schema of the settings.
pub const SETTINGS_SCHEMA: &str = include_str!("settings.json");
/// JSON Schema of what a mailbox gives.
pub const ACCOUNT_SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"required":["user"],
  "properties":{
    "user":{"type":"string","minLength":1,"description":"Who logs in."},
    "password":{"description":"For LOGIN or PLAIN."},
    "token":{"description":"An OAuth 2.0 access token, for OAUTHBEARER or XOAUTH2."}},
  "oneOf":[{"required":["password"]},{"required":["token"]}]}"#;

/// See `settings.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    #[serde(default)]
    tls: Protection,
    pub prefix: Option<String>,
    #[serde(default)]
    pub exclude: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protection {
    #[default]
    Implicit,
    StartTls,
    Insecure,
}

impl Settings {
    /// Reads and checks them.
    pub fn read(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let settings: Self = settings.parse()?;
        if settings.host.is_empty() {
            return Err(Failure::invalid_settings("`host` is empty"));
        }
        Ok(settings)
    }

    /// How the connection is protected.
    pub fn security(&self) -> Security {
        match self.tls {
            Protection::Implicit => Security::Implicit,
            Protection::StartTls => Security::Starttls,
            Protection::Insecure => Security::Insecure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Settings> {
        Settings::read(&whimbrel_plugin::Settings::new(json))
    }

    #[test]
    fn encryption_is_the_default() {
        let settings = read(r#"{"host":"h","port":993,"user":"u","ca":"x.pem"}"#).unwrap();
        assert_eq!(settings.security(), Security::Implicit);
        let settings = read(r#"{"host":"h","port":143,"tls":"starttls"}"#).unwrap();
        assert_eq!(settings.security(), Security::Starttls);
        let settings = read(r#"{"host":"h","port":143,"tls":"insecure"}"#).unwrap();
        assert_eq!(settings.security(), Security::Insecure);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, name) in [
            (r#"{"port":993}"#, "`host`"),
            (r#"{"host":"h"}"#, "`port`"),
            (r#"{"host":"h","port":0.5}"#, "`port`"),
            (r#"{"host":"h","port":993,"tls":"none"}"#, "`tls`"),
            (r#"{"host":"","port":993}"#, "`host`"),
        ] {
            assert!(
                matches!(read(json), Err(Failure::InvalidSettings(text)) if text.contains(name)),
                "{json}"
            );
        }
    }

    #[test]
    fn the_schemas_are_json() {
        for schema in [SETTINGS_SCHEMA, ACCOUNT_SCHEMA] {
            serde_json::from_str::<serde_json::Value>(schema).unwrap();
        }
    }
}
