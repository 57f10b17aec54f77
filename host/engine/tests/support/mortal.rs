//! A process that is killed: a store whose callers get no answer any more, at a call that is known beforehand.

use std::{
    future::{Future, pending},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;
use whimbrel_engine::{Destination, Provider, Source};
use whimbrel_model::{Collection, Failure, Kind, Limits, Page, Placement, Remark};
use whimbrel_sandbox::Item;

use super::Store;

type Answers<T> = Vec<Result<T, Failure>>;

/// So many more calls to all stores that share it; the last one is not done, done in part, or done and not answered.
#[derive(Clone)]
pub struct Life {
    left: Arc<AtomicI64>,
    end: u8,
    over: Arc<watch::Sender<bool>>,
}

impl Life {
    pub fn new(calls: u32, end: u8) -> Self {
        Self {
            left: Arc::new(AtomicI64::new(i64::from(calls))),
            end: end % 3,
            over: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Returns once it is over.
    pub async fn over(&self) {
        let mut seen = self.over.subscribe();
        let _ = seen.wait_for(|over| *over).await;
    }

    async fn live<T>(&self, store: &Store, call: impl Future<Output = T>) -> T {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => return call.await,
            0 => {
                match self.end {
                    0 => {}
                    1 => {
                        store.state().breaks.insert(0, 0);
                        call.await;
                    }
                    _ => drop(call.await),
                }
                self.over.send_replace(true);
            }
            _ => {}
        }
        pending().await
    }
}

/// The store, as long as the life lasts.
#[derive(Clone)]
pub struct Mortal {
    pub store: Store,
    pub life: Life,
}

macro_rules! live {
    ($self:ident, $store:ident, $call:expr) => {{
        let mut $store = $self.store.clone();
        $self.life.live(&$self.store, $call).await
    }};
}

#[async_trait]
impl Provider for Mortal {
    fn name(&self) -> &str {
        "mortal"
    }

    fn kinds(&self) -> &[Kind] {
        &Kind::ALL
    }

    async fn source(&self) -> Result<Box<dyn Source>, Failure> {
        self.store.source().await?;
        Ok(Box::new(self.clone()))
    }

    async fn destination(&self) -> Result<Box<dyn Destination>, Failure> {
        self.store.destination().await?;
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Source for Mortal {
    async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
        live!(self, store, store.collections())
    }

    async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        live!(self, store, store.changes(collection, cursor, limit))
    }

    async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Answers<Item>, Failure> {
        live!(self, store, store.fetch(collection, ids))
    }

    async fn wait(&mut self, timeout: Duration) -> Result<Vec<String>, Failure> {
        live!(self, store, store.wait(timeout))
    }
}

#[async_trait]
impl Destination for Mortal {
    async fn limits(&mut self, kind: Kind) -> Result<Limits, Failure> {
        live!(self, store, store.limits(kind))
    }

    async fn ensure(&mut self, wanted: &[Collection]) -> Result<Answers<Collection>, Failure> {
        live!(self, store, store.ensure(wanted))
    }

    async fn watermark(&mut self, collection: &str) -> Result<String, Failure> {
        live!(self, store, store.watermark(collection))
    }

    async fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Answers<Placement>, Failure> {
        live!(self, store, store.put(collection, items))
    }

    async fn replace(
        &mut self,
        collection: &str,
        id: &str,
        revision: Option<&str>,
        item: Item,
    ) -> Result<Placement, Failure> {
        live!(self, store, store.replace(collection, id, revision, item))
    }

    async fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Answers<()>, Failure> {
        live!(self, store, Destination::remove(&mut store, collection, ids))
    }

    async fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement, Failure> {
        live!(self, store, store.relocate(origin, id, target))
    }

    async fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Answers<()>, Failure> {
        live!(self, store, store.mark(collection, remarks))
    }
}
