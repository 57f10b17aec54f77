//! The engine's view of a connector.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use whimbrel_model::{Collection, Failure, Kind, Limits, Page, Placement, Remark};
use whimbrel_sandbox::{AccountSpec, Connection, Item, Plugin, Usage};

/// One answer for each thing that was asked for, in order.
pub type Answers<T> = Vec<Result<T, Failure>>;

/// An account that can be read; see `source.account` in the contract.
#[async_trait]
pub trait Source: Send {
    /// All collections, parents before children.
    async fn collections(&mut self) -> Result<Vec<Collection>, Failure>;
    /// A page of what changed after the cursor; everything without one.
    async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure>;
    /// Items with their content.
    async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Answers<Item>, Failure>;
    /// Collections that changed before the time was up.
    async fn wait(&mut self, timeout: Duration) -> Result<Vec<String>, Failure>;
}

/// An account that can be written, and read; see `destination.account` in the contract.
#[async_trait]
pub trait Destination: Source {
    /// What it can take.
    async fn limits(&mut self, kind: Kind) -> Result<Limits, Failure>;
    /// Finds or makes collections, parents before children.
    async fn ensure(&mut self, wanted: &[Collection]) -> Result<Answers<Collection>, Failure>;
    /// A cursor after which everything is listed that is put from now on.
    async fn watermark(&mut self, collection: &str) -> Result<String, Failure>;
    /// Stores items.
    async fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Answers<Placement>, Failure>;
    /// Moves a stored item to another collection.
    async fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement, Failure>;
    /// Gives a stored item other content, where it still has this revision.
    async fn replace(
        &mut self,
        collection: &str,
        id: &str,
        revision: Option<&str>,
        item: Item,
    ) -> Result<Placement, Failure>;
    /// Removes stored items.
    async fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Answers<()>, Failure>;
    /// Sets flags and labels.
    async fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Answers<()>, Failure>;
}

/// Something that accounts can be opened with.
#[async_trait]
pub trait Provider: Send + Sync {
    /// For people: the connector's name.
    fn name(&self) -> &str;
    /// Opens the account for reading.
    async fn source(&self) -> Result<Box<dyn Source>, Failure>;
    /// Opens the account for writing.
    async fn destination(&self) -> Result<Box<dyn Destination>, Failure>;
    /// The kinds of items that it holds.
    fn kinds(&self) -> &[Kind] {
        &[Kind::Message]
    }
    /// The kind that it is for: what is asked once for all collections is asked for this kind.
    fn kind(&self) -> Kind {
        self.kinds().first().copied().unwrap_or(Kind::Message)
    }
    /// The server that it is reached at, `host:port`, where it is one: what happens there concerns everybody who goes
    /// there.
    fn server(&self) -> Option<String> {
        None
    }
    /// What it was connected to so far, where it knows.
    fn connections(&self) -> Vec<Connection> {
        Vec::new()
    }
    /// The connector's version, and what it used and tried for this account so far; none where nobody counts.
    fn usage(&self) -> Option<(String, Usage)> {
        None
    }
}

/// An account of which only some kinds of items are moved: where several connectors share the work on a mailbox, each has
/// its own.
pub struct OfKinds {
    /// The whole account.
    pub whole: Arc<dyn Provider>,
    /// What is moved, the first one the kind that it is for.
    pub kinds: Vec<Kind>,
}

#[async_trait]
impl Provider for OfKinds {
    fn name(&self) -> &str {
        self.whole.name()
    }

    async fn source(&self) -> Result<Box<dyn Source>, Failure> {
        Ok(Box::new(SomeKinds {
            whole: self.whole.source().await?,
            kinds: self.kinds.clone(),
        }))
    }

    async fn destination(&self) -> Result<Box<dyn Destination>, Failure> {
        self.whole.destination().await
    }

    fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    fn server(&self) -> Option<String> {
        self.whole.server()
    }

    fn connections(&self) -> Vec<Connection> {
        self.whole.connections()
    }

    fn usage(&self) -> Option<(String, Usage)> {
        self.whole.usage()
    }
}

/// An account that shows only its collections of some kinds.
struct SomeKinds {
    whole: Box<dyn Source>,
    kinds: Vec<Kind>,
}

#[async_trait]
impl Source for SomeKinds {
    async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
        let mut collections = self.whole.collections().await?;
        collections.retain(|collection| self.kinds.contains(&collection.kind));
        Ok(collections)
    }

    async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        self.whole.changes(collection, cursor, limit).await
    }

    async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Answers<Item>, Failure> {
        self.whole.fetch(collection, ids).await
    }

    async fn wait(&mut self, timeout: Duration) -> Result<Vec<String>, Failure> {
        self.whole.wait(timeout).await
    }
}

/// An account behind a sandboxed plugin.
#[derive(Clone)]
pub struct Endpoint {
    /// The connector.
    pub plugin: Plugin,
    /// What it is opened with.
    pub spec: AccountSpec,
}

#[async_trait]
impl Provider for Endpoint {
    fn name(&self) -> &str {
        &self.plugin.description().name
    }

    async fn source(&self) -> Result<Box<dyn Source>, Failure> {
        Ok(Box::new(self.plugin.source(&self.spec).await?))
    }

    async fn destination(&self) -> Result<Box<dyn Destination>, Failure> {
        Ok(Box::new(self.plugin.destination(&self.spec).await?))
    }

    fn kinds(&self) -> &[Kind] {
        &self.plugin.description().kinds
    }

    fn server(&self) -> Option<String> {
        self.plugin.server(&self.spec)
    }

    fn connections(&self) -> Vec<Connection> {
        self.spec.connections.list()
    }

    fn usage(&self) -> Option<(String, Usage)> {
        Some((self.plugin.description().version.clone(), self.spec.activity.usage()))
    }
}

macro_rules! reads {
    ($account:ty) => {
        #[async_trait]
        impl Source for $account {
            async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
                <$account>::collections(self).await
            }

            async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
                <$account>::changes(self, collection, cursor, limit).await
            }

            async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Answers<Item>, Failure> {
                <$account>::fetch(self, collection, ids).await
            }

            async fn wait(&mut self, timeout: Duration) -> Result<Vec<String>, Failure> {
                <$account>::wait(self, timeout).await
            }
        }
    };
}

reads!(whimbrel_sandbox::Source);
reads!(whimbrel_sandbox::Destination);

#[async_trait]
impl Destination for whimbrel_sandbox::Destination {
    async fn limits(&mut self, kind: Kind) -> Result<Limits, Failure> {
        Self::limits(self, kind).await
    }

    async fn ensure(&mut self, wanted: &[Collection]) -> Result<Answers<Collection>, Failure> {
        Self::ensure_all(self, wanted).await
    }

    async fn watermark(&mut self, collection: &str) -> Result<String, Failure> {
        Self::watermark(self, collection).await
    }

    async fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Answers<Placement>, Failure> {
        Self::put(self, collection, items).await
    }

    async fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement, Failure> {
        Self::relocate(self, origin, id, target).await
    }

    async fn replace(
        &mut self,
        collection: &str,
        id: &str,
        revision: Option<&str>,
        item: Item,
    ) -> Result<Placement, Failure> {
        Self::replace(self, collection, id, revision, item).await
    }

    async fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Answers<()>, Failure> {
        Self::remove(self, collection, ids).await
    }

    async fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Answers<()>, Failure> {
        Self::mark(self, collection, remarks).await
    }
}
