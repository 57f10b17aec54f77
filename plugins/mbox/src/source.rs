//! Spools that are read.

use whimbrel_folders::disk::Below;
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Collection, Failure, Item, Page, Result, Settings};

use crate::account::Account;
use crate::settings;

/// See [`Account`].
#[derive(Debug)]
pub struct Source(Account<Below<Folder>>);

impl whimbrel_plugin::Source for Source {
    fn open(settings: &Settings) -> Result<Self> {
        let (account, path) = settings::open(settings)?;
        account.map(Self).ok_or_else(|| {
            Failure::not_found(format!(
                "there is nothing at `{path}` in `root`: the setting `path` says where in it the spools lie"
            ))
        })
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
