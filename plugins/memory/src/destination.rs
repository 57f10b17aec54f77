//! The account, written: kept in the instance's memory, and gone with it.

use whimbrel_plugin::{Collection, Failure, Item, Kind, Limits, Placement, Remark, Result, Settings};

use crate::source::{Shared, open};

/// See the module.
#[derive(Debug)]
pub struct Destination(Shared);

impl whimbrel_plugin::Destination for Destination {
    fn open(settings: &Settings) -> Result<Self> {
        open(settings).map(Self)
    }

    fn limits(&mut self, kind: Kind) -> Result<Limits> {
        if kind != Kind::Message {
            return Err(Failure::unsupported("this account holds mail only"));
        }
        let account = self.0.borrow();
        let mut abilities = crate::abilities();
        if account.settings.without_ids {
            abilities.remove(whimbrel_plugin::Abilities::RETURNS_IDS);
        }
        let mut limits = Limits::new(abilities);
        limits.max_item_bytes = account.settings.max_item_bytes;
        limits.quota_free_bytes = account.free();
        Ok(limits)
    }

    fn ensure(&mut self, wanted: Collection) -> Result<Collection> {
        self.0.borrow_mut().ensure(&wanted)
    }

    fn watermark(&mut self, collection: &str) -> Result<String> {
        self.0.borrow().watermark(collection)
    }

    fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        let mut account = self.0.borrow_mut();
        Ok(items
            .into_iter()
            .map(|item| account.put(collection, item.meta, item.content))
            .collect())
    }

    fn copy(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        self.0.borrow_mut().copy(origin, id, target)
    }

    fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        self.0.borrow_mut().relocate(origin, id, target)
    }

    fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<()>>> {
        let mut account = self.0.borrow_mut();
        Ok(remarks.iter().map(|remark| account.mark(collection, remark)).collect())
    }

    fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        let mut account = self.0.borrow_mut();
        Ok(ids.iter().map(|id| account.remove(collection, id)).collect())
    }
}
