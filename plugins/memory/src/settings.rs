//! What the admin sets.

use serde::Deserialize;
use whimbrel_plugin::{Failure, Result};

/// JSON Schema of the settings.
pub const SETTINGS_SCHEMA: &str = include_str!("settings.json");
/// JSON Schema of what a mailbox gives.
pub const ACCOUNT_SCHEMA: &str = r#"{"type":"object","properties":{
  "user":{"type":"string","description":"Accounts of different users are made up differently."},
  "messages":{"type":"integer","minimum":0,"maximum":5000000,"description":"Overrides the setting for this mailbox."}}}"#;

/// The account that is made up, and the limits that it pretends to have. Fields as in `settings.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Settings {
    pub user: String,
    pub seed: u64,
    pub mailboxes: u32,
    pub messages: u64,
    pub size: u64,
    pub large: Option<u64>,
    pub hard: bool,
    pub round: u64,
    pub removed: Vec<u64>,
    pub generation: String,
    pub capped: Option<u64>,
    pub fail_ids: Vec<u64>,
    pub without_ids: bool,
    pub max_item_bytes: Option<u64>,
    pub quota: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user: String::new(),
            seed: 1,
            mailboxes: 1,
            messages: 0,
            size: 2000,
            large: None,
            hard: false,
            round: 0,
            removed: Vec::new(),
            generation: "1".to_owned(),
            capped: None,
            fail_ids: Vec::new(),
            without_ids: false,
            max_item_bytes: None,
            quota: None,
        }
    }
}

impl Settings {
    /// Reads and checks them; what the schema says is checked again, since a host may not have.
    pub fn read(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let settings: Self = settings.parse()?;
        let bounds = [
            ("mailboxes", u64::from(settings.mailboxes), 10_000),
            ("messages", settings.messages, 5_000_000),
            ("size", settings.size, 1 << 30),
            ("large", settings.large.unwrap_or(0), 1 << 40),
        ];
        for (name, value, most) in bounds {
            if value > most {
                return Err(Failure::invalid_settings(format!(
                    "`{name}` is {value}, at most {most} is possible"
                )));
            }
        }
        if settings.generation.is_empty() || settings.generation.contains(',') {
            return Err(Failure::invalid_settings(
                "`generation` must hold something, and no comma",
            ));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_every_setting_and_its_default() {
        let schema: serde_json::Value = serde_json::from_str(SETTINGS_SCHEMA).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        let defaults: serde_json::Map<String, serde_json::Value> = properties
            .iter()
            .filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())))
            .collect();
        let text = serde_json::Value::Object(defaults).to_string();
        assert_eq!(
            Settings::read(&whimbrel_plugin::Settings::new(text)).unwrap(),
            Settings::default()
        );
        assert_eq!(
            Settings::read(&whimbrel_plugin::Settings::new("{}")).unwrap(),
            Settings::default()
        );
        assert_eq!(properties.len(), 14);
        serde_json::from_str::<serde_json::Value>(ACCOUNT_SCHEMA).unwrap();
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let read = |text: &str| Settings::read(&whimbrel_plugin::Settings::new(text)).unwrap_err();
        assert!(
            matches!(read(r#"{"messages":6000000}"#), Failure::InvalidSettings(text) if text.contains("`messages`"))
        );
        assert!(
            matches!(read(r#"{"generation":"a,b"}"#), Failure::InvalidSettings(text) if text.contains("`generation`"))
        );
    }
}
