//! What the admin sets.

use serde::Deserialize;
use whimbrel_folders::disk::{Below, mailbox_path};
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Result, Settings};

use crate::account::Account;
use crate::form::Form;

/// JSON Schema of what a mailbox gives.
pub const ACCOUNT_SCHEMA: &str = r#"{"type":"object","properties":{
  "user":{"type":"string","minLength":1,"description":"Names what in root is this mailbox's, unless path says otherwise."}}}"#;

/// JSON Schema of the settings.
pub fn settings_schema() -> &'static str {
    include_str!("settings.json")
}

/// What a new collection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// A folder with a file for each object.
    #[default]
    Folders,
    /// One file.
    File,
}

/// Fields as in `settings.json`.
#[derive(Debug, Deserialize)]
pub struct Options {
    /// Opened by its name; what it holds is not for connectors to know.
    #[serde(rename = "root")]
    _root: String,
    path: Option<String>,
    #[serde(default)]
    pub layout: Layout,
    user: Option<String>,
}

/// What the settings describe.
pub struct Opened {
    /// The account; none where nothing lies there.
    pub account: Option<Account<Below<Folder>>>,
    /// Where it lies in `root`.
    pub path: String,
    pub layout: Layout,
}

/// Opens it.
///
/// # Errors
/// `invalid-settings`, and what opening `root` failed with.
pub fn open(form: Form, settings: &Settings) -> Result<Opened> {
    let options: Options = settings.parse()?;
    let path = mailbox_path(options.path.as_deref(), options.user.as_deref())?;
    let folder = Folder::open("root")?;
    let account = match folder.stat(&path)? {
        None => None,
        Some(entry) if entry.directory => Some(Account::new(Below::new(folder, path.clone()), form, None)),
        Some(_) => {
            let (directory, file) = path.rsplit_once('/').unwrap_or(("", &path));
            Some(Account::new(Below::new(folder, directory), form, Some(file.to_owned())))
        }
    };
    Ok(Opened {
        account,
        path,
        layout: options.layout,
    })
}
