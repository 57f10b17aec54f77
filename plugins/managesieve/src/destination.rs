//! Scripts that are written.

use whimbrel_plugin::{Blob, Collection, Failure, Item, Kind, Limits, Placement, Remark, Result};

use crate::account::{ACTIVE, Account, Incoming, is_active};
use crate::settings::Settings;
use crate::wire::Host;

/// See [`Account`].
#[derive(Debug)]
pub struct Destination(Account<Host>);

impl whimbrel_plugin::Destination for Destination {
    fn open(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        Account::open(Host, Settings::read(settings)?).map(Self)
    }

    fn limits(&mut self, kind: Kind) -> Result<Limits> {
        if kind != Kind::Filter {
            return Err(Failure::unsupported(
                "a ManageSieve server holds filters and nothing else",
            ));
        }
        Ok(Limits {
            max_path_depth: Some(1),
            flags: Some(vec![ACTIVE.to_owned()]),
            ..Limits::new(crate::abilities())
        })
    }

    fn ensure(&mut self, wanted: Collection) -> Result<Collection> {
        self.0.ensure(&wanted)
    }

    fn watermark(&mut self, collection: &str) -> Result<String> {
        self.0.watermark(collection)
    }

    fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        self.0.put(collection, items.into_iter().map(incoming).collect())
    }

    fn replace(&mut self, collection: &str, id: &str, revision: Option<&str>, item: Item) -> Result<Placement> {
        self.0.replace(collection, id, revision, &item.content)
    }

    fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<()>>> {
        self.0.mark(collection, remarks)
    }

    fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        self.0.remove(collection, ids)
    }
}

/// The name of a script is what it is known by everywhere; else its id has to do.
fn incoming(item: Item) -> Incoming<Blob> {
    let Item { meta, content, .. } = item;
    Incoming {
        active: is_active(&meta.flags),
        name: meta.identity.filter(|name| !name.is_empty()).unwrap_or(meta.id),
        content,
    }
}
