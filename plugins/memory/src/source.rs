//! The account, read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use whimbrel_plugin::blobs::Writer;
use whimbrel_plugin::{Blob, Collection, Item, ItemMeta, Page, Result, blobs};

use crate::account::{Account, Body, Content};
use crate::generate::Message;
use crate::settings::Settings;

impl Body for Blob {
    fn share(&self) -> Self {
        self.slice(0, Blob::size(self))
    }
    fn size(&self) -> u64 {
        Blob::size(self)
    }
}

/// An account of this instance; what is read and what is written are the same.
pub type Shared = Rc<RefCell<Account<Blob>>>;

thread_local! {
    /// The accounts of this instance, by user.
    static ACCOUNTS: RefCell<HashMap<String, Shared>> = RefCell::new(HashMap::new());
}

/// The account of these settings; made anew where it was of other ones.
pub fn open(settings: &whimbrel_plugin::Settings) -> Result<Shared> {
    let settings = Settings::read(settings)?;
    Ok(ACCOUNTS.with_borrow_mut(|accounts| match accounts.get(&settings.user) {
        Some(account) if account.borrow().settings == settings => Rc::clone(account),
        _ => {
            let account = Rc::new(RefCell::new(Account::new(settings.clone())));
            accounts.insert(settings.user, Rc::clone(&account));
            account
        }
    }))
}

/// See [`open`].
#[derive(Debug)]
pub struct Source(Shared);

impl whimbrel_plugin::Source for Source {
    fn open(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        open(settings).map(Self)
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        Ok(self.0.borrow().collections())
    }

    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        self.0.borrow().changes(collection, cursor, limit)
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        let account = self.0.borrow();
        Ok(ids
            .iter()
            .map(|id| {
                account
                    .get(collection, id)
                    .map(|(meta, content)| item(&account.settings, meta, content))
            })
            .collect())
    }
}

fn item(settings: &Settings, meta: ItemMeta, content: Content<Blob>) -> Item {
    let body = match content {
        Content::Kept(body) => body,
        Content::Made(mailbox, number) => {
            let message = Message::new(settings, mailbox, number);
            if message.size() <= u64::from(blobs::MAX_PIECE) {
                let mut bytes = Vec::new();
                message.write(|piece| bytes.extend_from_slice(piece));
                blobs::blob(&bytes)
            } else {
                let mut writer = Writer::new();
                message.write(|piece| writer.write(piece));
                writer.finish()
            }
        }
    };
    Item::message(meta, body)
}
