//! Files that are read.

use std::marker::PhantomData;

use whimbrel_folders::disk::Below;
use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Collection, Failure, Item, Page, Result, Settings};

use crate::account::Account;
use crate::form::Flavour;
use crate::settings;

/// See [`Account`].
#[derive(Debug)]
pub struct Source<F>(Account<Below<Folder>>, PhantomData<F>);

impl<F: Flavour> whimbrel_plugin::Source for Source<F> {
    fn open(settings: &Settings) -> Result<Self> {
        let opened = settings::open(F::FORM, settings)?;
        let path = opened.path;
        let account = opened.account.ok_or_else(|| {
            Failure::not_found(format!(
                "there is nothing at `{path}` in `root`: the setting `path` says where in it the {} files lie",
                F::FORM.ending()
            ))
        })?;
        Ok(Self(account, PhantomData))
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
            .map(|answer| {
                answer.map(|(meta, content)| Item {
                    meta,
                    media_type: F::FORM.media_type().to_owned(),
                    content,
                })
            })
            .collect())
    }
}
