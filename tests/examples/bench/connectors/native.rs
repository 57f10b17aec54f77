//! The IMAP connector's code, called directly.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use whimbrel_engine::{Destination, Provider, Source};
use whimbrel_model::{Collection, Failure, Kind, Limits, Page, Placement, Remark};
use whimbrel_plugin::testing::Host;
use whimbrel_plugin::{Connector, Destination as Writes, Settings, Source as Reads};
use whimbrel_sandbox::Item;
use whimbrel_wire::{BlobStore, Credentials, Tls};

use super::convert;
use super::session::{self, Session, lent, taken};

type Answers<T> = Vec<Result<T, Failure>>;

/// What accounts are opened with.
#[derive(Clone)]
pub struct Imap {
    settings: String,
    credentials: Credentials,
    blobs: BlobStore,
}

impl Imap {
    /// An account with these settings.
    pub fn new(settings: &Map<String, Value>, credentials: Credentials, blobs: BlobStore) -> Self {
        let settings = Value::Object(settings.clone()).to_string();
        Self {
            settings,
            credentials,
            blobs,
        }
    }

    /// Does something of the connector's, which finds its host around it.
    fn within<T>(&self, work: impl FnOnce() -> whimbrel_plugin::Result<T>) -> Result<T, Failure> {
        let (handle, own) = (Handle::current(), self.clone());
        block_in_place(|| {
            let host = Host::new().imap(move |host, port, protection| {
                let tls = Tls::new(None).map_err(convert::to_failure)?;
                let whose = (own.credentials.clone(), own.blobs.clone());
                let target = session::target(host, port, protection, tls, whose);
                Session::connect(&target, handle.clone())
            });
            let _here = host.enter();
            work().map_err(convert::failure)
        })
    }
}

/// What the connector's code opens.
type Reading = <whimbrel_imap::Imap as Connector>::Source;
type Writing = <whimbrel_imap::Imap as Connector>::Destination;

#[async_trait]
impl Provider for Imap {
    fn name(&self) -> &str {
        "imap"
    }

    async fn source(&self) -> Result<Box<dyn Source>, Failure> {
        let settings = Settings::new(self.settings.clone());
        let account = self.within(|| Reading::open(&settings))?;
        Ok(Box::new(Account {
            account,
            provider: self.clone(),
        }))
    }

    async fn destination(&self) -> Result<Box<dyn Destination>, Failure> {
        let settings = Settings::new(self.settings.clone());
        let account = Account {
            account: self.within(|| Writing::open(&settings))?,
            provider: self.clone(),
        };
        Ok(Box::new(Both { account, reading: None }))
    }
}

/// An open account.
struct Account<T> {
    account: T,
    provider: Imap,
}

impl<T> Account<T> {
    fn call<A>(&mut self, call: impl FnOnce(&mut T) -> whimbrel_plugin::Result<A>) -> Result<A, Failure> {
        let account = &mut self.account;
        self.provider.within(|| call(account))
    }
}

fn answers<A, B>(answers: Vec<whimbrel_plugin::Result<A>>, convert: impl Fn(A) -> B) -> Answers<B> {
    let answers = answers.into_iter();
    answers.map(|it| it.map(&convert).map_err(convert::failure)).collect()
}

#[async_trait]
impl Source for Account<Reading> {
    async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
        let found = self.call(Reads::collections)?;
        Ok(found.into_iter().map(convert::collection).collect())
    }

    async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        self.call(|account| account.changes(collection, cursor, limit))
            .map(convert::page)
    }

    async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Answers<Item>, Failure> {
        let fetched = self.call(|account| account.fetch(collection, ids))?;
        Ok(answers(fetched, |it| Item {
            meta: convert::meta(it.meta),
            media_type: it.media_type,
            content: taken(&it.content),
        }))
    }

    async fn wait(&mut self, timeout: Duration) -> Result<Vec<String>, Failure> {
        let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.call(|account| account.wait(milliseconds))
    }
}

/// A destination, and the same account for reading, opened when it is needed.
struct Both {
    account: Account<Writing>,
    reading: Option<Account<Reading>>,
}

impl Both {
    fn reading(&mut self) -> Result<&mut Account<Reading>, Failure> {
        if self.reading.is_none() {
            let provider = self.account.provider.clone();
            let settings = Settings::new(provider.settings.clone());
            let account = provider.within(|| Reading::open(&settings))?;
            self.reading = Some(Account { account, provider });
        }
        let reading = self.reading.as_mut();
        reading.ok_or_else(|| Failure::Internal("it was opened just now".to_owned()))
    }
}

#[async_trait]
impl Source for Both {
    async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
        self.reading()?.collections().await
    }

    async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        self.reading()?.changes(collection, cursor, limit).await
    }

    async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Answers<Item>, Failure> {
        self.reading()?.fetch(collection, ids).await
    }

    async fn wait(&mut self, timeout: Duration) -> Result<Vec<String>, Failure> {
        self.reading()?.wait(timeout).await
    }
}

fn given(item: Item) -> whimbrel_plugin::Item {
    whimbrel_plugin::Item {
        meta: convert::to_meta(item.meta),
        media_type: item.media_type,
        content: lent(item.content),
    }
}

#[async_trait]
impl Destination for Both {
    async fn limits(&mut self, kind: Kind) -> Result<Limits, Failure> {
        let kind = convert::to_kind(kind);
        self.account.call(|account| account.limits(kind)).map(convert::limits)
    }

    async fn ensure(&mut self, wanted: &[Collection]) -> Result<Answers<Collection>, Failure> {
        let wanted = wanted.iter().map(convert::to_collection).collect();
        let made = self.account.call(|account| account.ensure_all(wanted))?;
        Ok(answers(made, convert::collection))
    }

    async fn watermark(&mut self, collection: &str) -> Result<String, Failure> {
        self.account.call(|account| account.watermark(collection))
    }

    async fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Answers<Placement>, Failure> {
        let items = items.into_iter().map(given).collect();
        let placed = self.account.call(|account| account.put(collection, items))?;
        Ok(answers(placed, convert::placement))
    }

    async fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement, Failure> {
        self.account
            .call(|account| account.relocate(origin, id, target))
            .map(convert::placement)
    }

    async fn replace(
        &mut self,
        collection: &str,
        id: &str,
        revision: Option<&str>,
        item: Item,
    ) -> Result<Placement, Failure> {
        let item = given(item);
        self.account
            .call(|account| account.replace(collection, id, revision, item))
            .map(convert::placement)
    }

    async fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Answers<()>, Failure> {
        let removed = self.account.call(|account| account.remove(collection, ids))?;
        Ok(answers(removed, |()| ()))
    }

    async fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Answers<()>, Failure> {
        let remarks: Vec<_> = remarks.iter().map(convert::to_remark).collect();
        let marked = self.account.call(|account| account.mark(collection, &remarks))?;
        Ok(answers(marked, |()| ()))
    }
}
