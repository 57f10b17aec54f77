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
    "password":{"description":"For PLAIN."},
    "token":{"description":"An OAuth 2.0 access token, for XOAUTH2 or OAUTHBEARER."}},
  "oneOf":[{"required":["password"]},{"required":["token"]}]}"#;

/// The registered port (RFC 5804, 1.8).
const PORT: u16 = 4190;

/// See `settings.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub host: String,
    #[serde(default = "port")]
    pub port: u16,
    #[serde(default)]
    tls: Protection,
}

fn port() -> u16 {
    PORT
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protection {
    Implicit,
    #[default]
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
    fn tls_begins_with_starttls_on_the_registered_port_unless_it_is_said_otherwise() {
        let plain = read(r#"{"host":"sieve.example","user":"alice"}"#).unwrap();
        assert_eq!((plain.port, plain.security()), (4190, Security::Starttls));
        let with = |tls: &str| {
            let json = format!(r#"{{"host":"sieve.example","port":1,"tls":"{tls}","user":"alice"}}"#);
            read(&json).map(|settings| (settings.port, settings.security()))
        };
        assert_eq!(with("implicit").unwrap(), (1, Security::Implicit));
        assert_eq!(with("insecure").unwrap(), (1, Security::Insecure));
        assert!(with("none").is_err());
        assert!(matches!(read(r#"{"host":""}"#), Err(Failure::InvalidSettings(_))));
    }
}
