//! What the suite is let loose on.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use whimbrel_model::{Collection, Role, Timestamp};
use whimbrel_sandbox::{AccountSpec, Plugin};

/// The accounts that the suite may use. What is missing is skipped.
#[derive(Debug, Default)]
pub struct Subject {
    /// An account to read. It must hold at least one collection of some items.
    pub source: Option<SourceSubject>,
    /// A fresh account to write to; of no use to anybody afterwards.
    pub destination: Option<AccountSpec>,
    /// Cases that fail because of the server behind the connector, by id, each with the reason: a failure of such a
    /// case counts as skipped, and shows both.
    pub excused: Vec<(String, String)>,
    /// The release before, whose settings and cursors must still do.
    pub previous: Option<Plugin>,
}

/// An account to read, and what is known to be in it.
#[derive(Debug)]
pub struct SourceSubject {
    /// How to open it.
    pub spec: AccountSpec,
    /// Collections that it holds, and all that is in them. It may hold others, too.
    pub content: Content,
    /// Changes behind the connector's back.
    pub hooks: Hooks,
}

/// What an account is known to hold.
pub type Content = Vec<Known>;

/// A collection, and all that is in it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Decoded names, root first.
    pub path: Vec<String>,
    /// What it is for, where the provider says so.
    pub role: Option<Role>,
    /// All that is in it, in any order.
    pub items: Vec<KnownItem>,
}

/// An item that is there.
#[derive(Debug, Clone, Default)]
pub struct KnownItem {
    /// Exactly as the connector has to give it.
    pub content: Bytes,
    /// Its flags and keywords, where known.
    pub flags: Option<Vec<String>>,
    /// When it was received, where known; compared to the second.
    pub received: Option<Timestamp>,
}

/// Changes something at the source, without the connector; gives a text if it cannot.
pub type Hook<I, O = ()> = Box<dyn Fn(I) -> Pin<Box<dyn Future<Output = Result<O, String>> + Send>> + Send + Sync>;

/// Makes a [`Hook`] of an asynchronous closure.
pub fn hook<I, O, F, W>(work: F) -> Option<Hook<I, O>>
where
    F: Fn(I) -> W + Send + Sync + 'static,
    W: Future<Output = Result<O, String>> + Send + 'static,
{
    Some(Box::new(move |input| Box::pin(work(input))))
}

/// Changes behind the connector's back. Each is optional: the cases that need it are skipped without it.
#[derive(Default)]
pub struct Hooks {
    /// Adds an item.
    pub add: Option<Hook<Add>>,
    /// Changes the flags of an item.
    pub mark: Option<Hook<Mark>>,
    /// Removes an item.
    pub remove: Option<Hook<Remove>>,
    /// A digest of everything at the source that reading must leave alone: contents, flags (`\Recent` and `\Seen`
    /// above all), names and times of files.
    pub digest: Option<Hook<(), String>>,
    /// Makes all ids of a collection void and gives new ones (UIDVALIDITY and its kin).
    pub renumber: Option<Hook<Collection>>,
    /// Lets the provider refuse the next request: again in so many seconds.
    pub throttle: Option<Hook<u64>>,
    /// Breaks the provider's next answer off in its midst.
    pub cut: Option<Hook<()>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("add", &self.add.is_some())
            .field("mark", &self.mark.is_some())
            .field("remove", &self.remove.is_some())
            .field("digest", &self.digest.is_some())
            .field("renumber", &self.renumber.is_some())
            .field("throttle", &self.throttle.is_some())
            .field("cut", &self.cut.is_some())
            .finish()
    }
}

/// Add an item.
#[derive(Debug, Clone)]
pub struct Add {
    /// To this collection, as the connector gave it.
    pub collection: Collection,
    /// With this content, which has CRLF line ends.
    pub content: Bytes,
}

/// Change the flags of an item.
#[derive(Debug, Clone)]
pub struct Mark {
    /// In this collection, as the connector gave it.
    pub collection: Collection,
    /// Of the item that the connector knows by this id.
    pub id: String,
    /// And that has this content.
    pub content: Bytes,
    /// To these.
    pub flags: Vec<String>,
}

/// Remove an item for good.
#[derive(Debug, Clone)]
pub struct Remove {
    /// From this collection, as the connector gave it.
    pub collection: Collection,
    /// The one that the connector knows by this id.
    pub id: String,
    /// And that has this content.
    pub content: Bytes,
}
