//! What the admin sets.

use serde::Deserialize;
use whimbrel_plugin::tcp::Security;
use whimbrel_plugin::{Failure, Result};

/// JSON Schema of the settings.
pub const SETTINGS_SCHEMA: &str = include_str!("settings.json");
/// JSON Schema of what a mailbox gives.
pub const ACCOUNT_SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"required":["user"],
  "properties":{
    "user":{"type":"string","minLength":1,"description":"Who logs in."},
    "password":{"description":"For PLAIN, USER and PASS, or APOP."},
    "token":{"description":"An OAuth 2.0 access token, for XOAUTH2 or OAUTHBEARER."}},
  "oneOf":[{"required":["password"]},{"required":["token"]}]}"#;

/// See `settings.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    #[serde(default)]
    tls: Protection,
    #[serde(default)]
    pub identity: Identity,
    pub user: String,
}

/// By what a message is known in later sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// The server's id; the head where it has none.
    #[default]
    Uidl,
    /// The head.
    Head,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protection {
    #[default]
    Implicit,
    StartTls,
    Insecure,
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// `invalid-settings`.
    pub fn read(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let settings: Self = settings.parse()?;
        if settings.host.is_empty() {
            return Err(Failure::invalid_settings("`host` is empty"));
        }
        if settings.user.is_empty() || settings.user.contains(|c: char| c.is_control()) {
            return Err(Failure::invalid_settings("`user` is empty, or holds a line break"));
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
    fn tls_is_implicit_unless_it_is_said_otherwise() {
        let read = |tls: &str| {
            let json = format!(r#"{{"host":"pop.example","port":995,"user":"alice"{tls}}}"#);
            read(&json).map(|settings| settings.security())
        };
        assert_eq!(read("").unwrap(), Security::Implicit);
        assert_eq!(read(r#","tls":"starttls""#).unwrap(), Security::Starttls);
        assert_eq!(read(r#","tls":"insecure""#).unwrap(), Security::Insecure);
        assert!(read(r#","tls":"none""#).is_err());
    }

    #[test]
    fn a_user_cannot_be_a_command() {
        for user in ["", "alice\\r\\nDELE 1"] {
            let json = format!(r#"{{"host":"pop.example","port":995,"user":"{user}"}}"#);
            assert!(matches!(read(&json), Err(Failure::InvalidSettings(_))));
        }
    }
}
