//! What the admin sets.

use serde::Deserialize;
use whimbrel_plugin::{Failure, Result};

use crate::address::Address;

const SETTINGS: &str = include_str!("settings.json");
const ACCOUNT: &str = r#"{"type":"object","additionalProperties":false,
  "properties":{
    "user":{"type":"string","minLength":1,"description":"Who logs in; servers that ask nobody need none."},
    "password":{"description":"For Basic or Digest. Some providers want one that is made for programs."},
    "token":{"description":"An OAuth 2.0 access token, for Bearer."}},
  "dependentRequired":{"password":["user"],"token":["user"]},
  "not":{"required":["password","token"]}}"#;

/// JSON Schema of the settings.
pub fn settings_schema() -> &'static str {
    SETTINGS
}

/// JSON Schema of what a mailbox gives.
pub fn account_schema() -> &'static str {
    ACCOUNT
}

#[derive(Debug, Clone, Deserialize)]
struct Raw {
    url: String,
    #[serde(default)]
    tls: Protection,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protection {
    #[default]
    Implicit,
    Insecure,
}

/// See `settings.json`.
#[derive(Debug, Clone)]
pub struct Options {
    pub url: Address,
    pub exclude: Vec<String>,
}

impl Options {
    /// Reads and checks them.
    pub fn read(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let raw: Raw = settings.parse()?;
        let url = Address::parse(&raw.url).map_err(|why| Failure::invalid_settings(format!("`url` {why}")))?;
        if url.origin.starts_with("http://") && raw.tls != Protection::Insecure {
            return Err(Failure::invalid_settings(
                "`url` begins with http://, so everything would go in clear text: use https://, or say tls = \"insecure\"",
            ));
        }
        Ok(Self {
            url,
            exclude: raw.exclude,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Options> {
        Options::read(&whimbrel_plugin::Settings::new(json))
    }

    #[test]
    fn clear_text_needs_the_word() {
        let options = read(r#"{"url":"https://h/dav","user":"u","ca":"x"}"#).unwrap();
        assert_eq!(options.url.url(), "https://h/dav");
        assert!(read(r#"{"url":"http://h/","tls":"insecure"}"#).is_ok());
        for (json, part) in [
            (r#"{"url":"http://h/"}"#, "insecure"),
            (r#"{"url":"http://h/","tls":"implicit"}"#, "insecure"),
            (r#"{"url":"h"}"#, "`url`"),
            (r#"{"url":7}"#, "`url`"),
            (r"{}", "`url`"),
            (r#"{"url":"https://h/","tls":"starttls"}"#, "`tls`"),
        ] {
            assert!(
                matches!(read(json), Err(Failure::InvalidSettings(text)) if text.contains(part)),
                "{json}"
            );
        }
    }

    #[test]
    fn the_schemas_are_json() {
        for schema in [settings_schema(), account_schema()] {
            serde_json::from_str::<serde_json::Value>(schema).unwrap();
        }
    }
}
