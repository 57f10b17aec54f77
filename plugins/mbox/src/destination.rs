//! Spools that are written.

use whimbrel_folders::disk::Below;
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Collection, Failure, Item, ItemMeta, Kind, Limits, Placement, Result, Settings};

use crate::abilities;
use crate::account::Account;
use crate::settings;

/// See [`Account`]. Marks cannot be changed afterwards, nor messages moved or removed: that would mean to write the
/// whole spool anew. The contract's defaults say so (`unsupported`).
#[derive(Debug)]
pub struct Destination(Account<Below<Folder>>);

impl whimbrel_plugin::Destination for Destination {
    fn open(settings: &Settings) -> Result<Self> {
        let (account, path) = settings::open(settings)?;
        if let Some(account) = account {
            return Ok(Self(account));
        }
        // Nothing there yet: a folder of spools is made.
        Folder::open("root")?.create(&path)?;
        let (account, _) = settings::open(settings)?;
        account
            .map(Self)
            .ok_or_else(|| Failure::unavailable(format!("`{path}` in `root` vanished")))
    }

    fn limits(&mut self, kind: Kind) -> Result<Limits> {
        if kind != Kind::Message {
            return Err(Failure::unsupported("an mbox spool holds messages only"));
        }
        Ok(Limits {
            batch_items: 500,
            batch_bytes: 32 << 20,
            max_name_bytes: Some(251),
            ..Limits::new(abilities())
        })
    }

    fn ensure(&mut self, wanted: Collection) -> Result<Collection> {
        self.0.ensure(&wanted)
    }

    fn watermark(&mut self, collection: &str) -> Result<String> {
        self.0.watermark(collection)
    }

    fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        let items: Vec<(&ItemMeta, _)> = items.iter().map(|item| (&item.meta, &item.content)).collect();
        self.0.put(collection, &items)
    }
}
