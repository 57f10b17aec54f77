//! Files that are written.

use std::marker::PhantomData;

use whimbrel_folders::disk::Below;
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Collection, Failure, Item, Kind, Limits, Placement, Result, Settings};

use crate::abilities;
use crate::account::Account;
use crate::form::Flavour;
use crate::many::LARGEST;
use crate::settings::{self, Layout};

/// See [`Account`].
#[derive(Debug)]
pub struct Destination<F> {
    account: Account<Below<Folder>>,
    layout: Layout,
    flavour: PhantomData<F>,
}

impl<F: Flavour> whimbrel_plugin::Destination for Destination<F> {
    fn open(settings: &Settings) -> Result<Self> {
        let mut opened = settings::open(F::FORM, settings)?;
        if opened.account.is_none() {
            // It is read through `source` as well, which makes nothing.
            Folder::open("root")?.create(&opened.path)?;
            opened = settings::open(F::FORM, settings)?;
        }
        let account = opened.account;
        Ok(Self {
            account: account.ok_or_else(|| Failure::unavailable("a folder was made, and is not there"))?,
            layout: opened.layout,
            flavour: PhantomData,
        })
    }

    fn limits(&mut self, kind: Kind) -> Result<Limits> {
        if !F::FORM.takes(kind) {
            return Err(Failure::unsupported(format!(
                "{} files hold nothing of that kind",
                F::FORM.ending()
            )));
        }
        let one_file = self.layout == Layout::File;
        Ok(Limits {
            max_item_bytes: Some(LARGEST),
            // A file of many is written anew with every batch.
            batch_items: if one_file { 1000 } else { 400 },
            batch_bytes: 32 << 20,
            // What lies in a folder is an item of that folder.
            max_path_depth: one_file.then_some(1),
            max_name_bytes: Some(if one_file { 250 } else { 255 }),
            // So that the tree can be copied to systems that do not tell letters apart by case.
            case_insensitive_names: true,
            flags: Some(Vec::new()),
            crlf_only: one_file,
            ..Limits::new(abilities())
        })
    }

    fn ensure(&mut self, wanted: Collection) -> Result<Collection> {
        self.account.ensure(&wanted, self.layout)
    }

    fn watermark(&mut self, collection: &str) -> Result<String> {
        self.account.watermark(collection)
    }

    fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        let contents: Vec<_> = items.iter().map(|item| &item.content).collect();
        self.account.put(collection, &contents)
    }

    fn replace(&mut self, collection: &str, id: &str, revision: Option<&str>, item: Item) -> Result<Placement> {
        self.account.replace(collection, id, revision, &item.content)
    }

    fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        self.account.remove(collection, ids)
    }
}
