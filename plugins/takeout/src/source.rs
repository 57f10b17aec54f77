//! An export that is read.

use serde::Deserialize;
use whimbrel_folders::Disk;
use whimbrel_folders::disk::{Below, mailbox_path};
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Collection, Failure, Item, Page, Result, Settings};

use crate::account::Account;

/// JSON Schema of the settings.
pub const SETTINGS_SCHEMA: &str = include_str!("settings.json");
/// JSON Schema of what a mailbox gives.
pub const ACCOUNT_SCHEMA: &str = r#"{"type":"object","properties":{
  "user":{"type":"string","minLength":1,"description":"Names what in root is this mailbox's, unless path says otherwise."}}}"#;

/// Fields as in `settings.json`.
#[derive(Debug, Deserialize)]
struct Options {
    /// Opened by its name; what it holds is not for connectors to know.
    #[serde(rename = "root")]
    _root: String,
    path: Option<String>,
    user: Option<String>,
}

/// See [`Account`].
#[derive(Debug)]
pub struct Source(Account<Below<Folder>>);

impl whimbrel_plugin::Source for Source {
    fn open(settings: &Settings) -> Result<Self> {
        let options: Options = settings.parse()?;
        let path = mailbox_path(options.path.as_deref(), options.user.as_deref())?;
        let disk = Below::new(Folder::open("root")?, path.clone());
        if !disk.is_directory("")? {
            return Err(Failure::not_found(format!(
                "there is no folder `{path}` in `root`: the setting `path` says where in it the export lies"
            )));
        }
        Ok(Self(Account::open(disk)?))
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        self.0.collections()
    }

    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        self.0.changes(collection, cursor, limit)
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        let given = self.0.fetch(collection, ids)?;
        Ok(given
            .into_iter()
            .map(|answer| {
                answer.map(|(meta, content, media_type)| Item {
                    meta,
                    media_type: media_type.to_owned(),
                    content,
                })
            })
            .collect())
    }
}
