//! What the admin sets.

use serde::Deserialize;
use serde_json::Value;
use whimbrel_plugin::{Failure, Result};

use crate::faults::{self, FAULTS, Fault};

/// JSON Schema of what a mailbox gives.
pub const ACCOUNT_SCHEMA: &str = r#"{"type":"object","properties":{
  "user":{"type":"string","description":"Whose account it is. Nothing depends on it."},
  "password":{"description":"Nothing depends on it: a folder asks for none."}}}"#;

/// Fields as in [`schema`].
#[derive(Debug, Deserialize)]
struct Read {
    fault: Option<String>,
    owner: Option<Value>,
}

/// JSON Schema of the settings.
pub fn schema() -> String {
    let names: Vec<&str> = FAULTS.iter().map(|(name, ..)| *name).collect();
    serde_json::json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["root", "owner"],
        "properties": {
            "root": { "type": "string", "minLength": 1, "description": "The folder that holds the account." },
            "owner": { "type": "string", "minLength": 1, "description": "Anything: there for being required." },
            "fault": { "enum": names, "description": "What is done wrong. Unless given: nothing." },
        }
    })
    .to_string()
}

/// The fault that is planted, and the owner.
///
/// # Errors
/// `invalid-settings` where the settings do not fit.
pub fn read(settings: &whimbrel_plugin::Settings) -> Result<(Fault, String)> {
    let read: Read = settings.parse()?;
    let name = read.fault.as_deref().unwrap_or("none");
    let fault = faults::find(name).ok_or_else(|| Failure::invalid_settings("`fault` is none of the faults"))?;
    match read.owner {
        Some(Value::String(owner)) if !owner.is_empty() => Ok((fault, owner)),
        _ if fault == Fault::SettingsUnchecked => Ok((fault, String::new())),
        _ => Err(Failure::invalid_settings("`owner` must be a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let read = |json: &str| read(&whimbrel_plugin::Settings::new(json)).map(|(fault, _)| fault);
        assert_eq!(read(r#"{"owner":"me"}"#), Ok(Fault::None));
        assert_eq!(read(r#"{"owner":"me","fault":"put-drops"}"#), Ok(Fault::PutDrops));
        assert_eq!(read(r#"{"fault":"settings-unchecked"}"#), Ok(Fault::SettingsUnchecked));
        for bad in ["{}", r#"{"owner":{}}"#, r#"{"owner":"me","fault":"odd"}"#] {
            assert!(matches!(read(bad), Err(Failure::InvalidSettings(_))), "{bad}");
        }
    }
}
