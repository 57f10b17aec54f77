//! Settings, as the host gives them: one JSON object.

use serde::de::DeserializeOwned;

use crate::{Failure, Result};

/// A JSON object that fits the plugin's settings schema, the mailbox's values merged in, secrets left out.
#[derive(Debug, Clone)]
pub struct Settings {
    json: String,
}

impl Settings {
    /// From JSON text; it is looked at by [`Settings::parse`].
    pub fn new(json: impl Into<String>) -> Self {
        Self { json: json.into() }
    }

    /// The text as the host gave it.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Reads them into a struct of the plugin's.
    ///
    /// # Errors
    /// `invalid-settings`, with the name of the setting that does not fit and what was expected of it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let mut json = serde_json::Deserializer::from_str(&self.json);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let reason = reason(&error.inner().to_string());
            Failure::invalid_settings(if path == "." {
                reason
            } else {
                format!("`{path}`: {reason}")
            })
        })
    }
}

/// The position in a JSON text that the admin never wrote says nothing to them.
fn reason(text: &str) -> String {
    text.rsplit_once(" at line ")
        .map_or(text, |(reason, _)| reason)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Example {
        host: String,
        port: u16,
    }

    fn text(json: &str) -> String {
        match Settings::new(json).parse::<Example>() {
            Err(Failure::InvalidSettings(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_fits_is_read_and_more_is_ignored() {
        let example: Example = Settings::new(r#"{"host":"h","port":993,"user":"u"}"#).parse().unwrap();
        assert_eq!((example.host.as_str(), example.port), ("h", 993));
    }

    #[test]
    fn errors_name_the_setting() {
        assert_eq!(text(r#"{"port":993}"#), "missing field `host`");
        assert_eq!(
            text(r#"{"host":"h","port":"993"}"#),
            "`port`: invalid type: string \"993\", expected u16"
        );
        assert_eq!(
            text(r#"{"host":"h","port":99999}"#),
            "`port`: invalid value: integer `99999`, expected u16"
        );
        assert!(text("[").contains("EOF"));
    }
}
