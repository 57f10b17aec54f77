//! Scripts that are read.

use whimbrel_plugin::{Collection, Item, Page, Result};

use crate::account::Account;
use crate::settings::Settings;
use crate::wire::Host;

/// Of every script (RFC 5228, 7).
const MEDIA_TYPE: &str = "application/sieve";

/// See [`Account`].
#[derive(Debug)]
pub struct Source(Account<Host>);

impl whimbrel_plugin::Source for Source {
    fn open(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        Account::open(Host, Settings::read(settings)?).map(Self)
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        self.0.collections()
    }

    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        self.0.changes(collection, cursor, limit)
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        let item = |(meta, content)| Item {
            meta,
            media_type: MEDIA_TYPE.to_owned(),
            content,
        };
        let fetched = self.0.fetch(collection, ids)?;
        Ok(fetched.into_iter().map(|answer| answer.map(item)).collect())
    }
}
