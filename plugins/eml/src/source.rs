//! A folder that is read.

use whimbrel_folders::Disk;
use whimbrel_folders::disk::Below;
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Collection, Failure, Item, Page, Result, Settings};

use crate::account::Account;
use crate::settings::Options;

/// See [`Account`].
#[derive(Debug)]
pub struct Source(Account<Below<Folder>>);

impl whimbrel_plugin::Source for Source {
    fn open(settings: &Settings) -> Result<Self> {
        let (options, disk, path) = Options::open(settings)?;
        if !disk.is_directory("")? {
            return Err(Failure::not_found(format!(
                "there is no folder `{path}` in `root`: the setting `path` says where in it the messages lie"
            )));
        }
        Ok(Self(Account::new(disk, options.dates)))
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        self.0.collections()
    }

    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        self.0.changes(collection, cursor, limit)
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        let fetched = self.0.fetch(collection, ids)?;
        Ok(fetched
            .into_iter()
            .map(|answer| answer.map(|(meta, content)| Item::message(meta, content)))
            .collect())
    }
}
