//! What the admin sets.

use serde::Deserialize;
use whimbrel_folders::disk::{Below, mailbox_path};
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Result, Settings};

use crate::account::{Account, Choices};
use crate::names::Spelling;
use whimbrel_spool::scan::Format;

/// JSON Schema of the settings.
pub const SETTINGS_SCHEMA: &str = include_str!("settings.json");
/// JSON Schema of what a mailbox gives.
pub const ACCOUNT_SCHEMA: &str = r#"{"type":"object","properties":{
  "user":{"type":"string","minLength":1,"description":"Names what in root is this mailbox's, unless path says otherwise."}}}"#;

/// Fields as in `settings.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Options {
    /// Opened by its name; what it holds is not for connectors to know.
    #[serde(rename = "root")]
    _root: String,
    path: Option<String>,
    format: Option<Format>,
    names: Option<Spelling>,
    #[serde(default)]
    keep_status_headers: bool,
    user: Option<String>,
}

/// The account that the settings describe, and where it lies in `root`. None where nothing lies there.
///
/// # Errors
/// `invalid-settings`, and what opening `root` failed with.
pub fn open(settings: &Settings) -> Result<(Option<Account<Below<Folder>>>, String)> {
    let options: Options = settings.parse()?;
    let path = mailbox_path(options.path.as_deref(), options.user.as_deref())?;
    let folder = Folder::open("root")?;
    let mut choices = Choices {
        only: None,
        format: options.format,
        spelling: options.names,
        keep_store_fields: options.keep_status_headers,
    };
    let account = match folder.stat(&path)? {
        None => None,
        Some(entry) if entry.directory => Some(Account::open(Below::new(folder, path.clone()), choices)?),
        Some(_) => {
            let (directory, file) = path.rsplit_once('/').unwrap_or(("", &path));
            choices.only = Some(file.to_owned());
            Some(Account::open(Below::new(folder, directory), choices)?)
        }
    };
    Ok((account, path))
}
