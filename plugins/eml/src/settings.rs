//! What the admin sets.

use serde::Deserialize;
use whimbrel_folders::disk::{Below, mailbox_path};
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Result, Settings};

use crate::account::Dates;

/// JSON Schema of the settings.
pub const SETTINGS_SCHEMA: &str = include_str!("settings.json");
/// JSON Schema of what a mailbox gives.
pub const ACCOUNT_SCHEMA: &str = r#"{"type":"object","properties":{
  "user":{"type":"string","minLength":1,"description":"Names the folder in root that is this mailbox's, unless path says otherwise."}}}"#;

/// Fields as in `settings.json`.
#[derive(Debug, Deserialize)]
pub struct Options {
    /// Opened by its name; what it holds is not for connectors to know.
    #[serde(rename = "root")]
    _root: String,
    path: Option<String>,
    /// Where dates of reception come from.
    #[serde(default)]
    pub dates: Dates,
    user: Option<String>,
}

impl Options {
    /// The settings, the folder that holds the mailbox, and where that lies in `root`.
    ///
    /// # Errors
    /// `invalid-settings`, and what opening `root` failed with.
    pub fn open(settings: &Settings) -> Result<(Self, Below<Folder>, String)> {
        let options: Self = settings.parse()?;
        let path = mailbox_path(options.path.as_deref(), options.user.as_deref())?;
        Ok((options, Below::new(Folder::open("root")?, path.clone()), path))
    }
}
