//! A folder that is written.

use whimbrel_folders::Disk;
use whimbrel_folders::disk::Below;
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Collection, Failure, Item, ItemMeta, Kind, Limits, Placement, Remark, Result, Settings};

use crate::abilities;
use crate::account::Account;
use crate::settings::Options;

/// See [`Account`].
#[derive(Debug)]
pub struct Destination(Account<Below<Folder>>);

impl whimbrel_plugin::Destination for Destination {
    fn open(settings: &Settings) -> Result<Self> {
        let (options, disk, path) = Options::open(settings)?;
        // It is read through `source` as well, which makes nothing.
        if !disk.is_directory("")? {
            Folder::open("root")?.create(&path)?;
        }
        Ok(Self(Account::new(disk, options.dates)))
    }

    fn limits(&mut self, kind: Kind) -> Result<Limits> {
        if kind != Kind::Message {
            return Err(Failure::unsupported("a folder of .eml files holds messages only"));
        }
        Ok(Limits {
            batch_items: 200,
            batch_bytes: 32 << 20,
            max_name_bytes: Some(255),
            // So that the tree can be copied to systems that do not tell letters apart by case.
            case_insensitive_names: true,
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

    fn copy(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        self.0.copy(origin, id, target)
    }

    fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        self.0.relocate(origin, id, target)
    }

    fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<()>>> {
        self.0.mark(collection, remarks)
    }

    fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        self.0.remove(collection, ids)
    }
}
