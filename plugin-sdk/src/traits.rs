//! What a connector implements.

use crate::{Collection, Description, Failure, Item, Kind, Limits, Page, Placement, Remark, Result, Settings};

/// A provider that can be read.
pub trait Reader: 'static {
    /// Its accounts, read.
    type Source: Source;

    /// Called once in a fresh instance with nothing granted; must not fail.
    fn describe() -> Description;
}

/// A provider that can be read and written.
pub trait Connector: 'static {
    /// Its accounts, read. A destination is always readable too.
    type Source: Source;
    /// Its accounts, written.
    type Destination: Destination;

    /// Called once in a fresh instance with nothing granted; must not fail.
    fn describe() -> Description;
}

/// An account that can be read. Reading never alters it. The contract is `wit/source.wit`.
pub trait Source: Sized + 'static {
    /// Opens the account that the settings describe. Cheap to repeat.
    ///
    /// # Errors
    /// `invalid-settings` names the setting; otherwise whatever connecting fails with.
    fn open(settings: &Settings) -> Result<Self>;

    /// All collections, parents before children; the same ids on every call.
    ///
    /// # Errors
    /// What the provider answered.
    fn collections(&mut self) -> Result<Vec<Collection>>;

    /// Without a cursor everything, else what changed after it; at most `limit` changes a page, each item once a
    /// listing. Repeating a call with the same cursor is harmless.
    ///
    /// # Errors
    /// `generation-changed` where ids became void since the cursor was given.
    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page>;

    /// In the order asked for, one answer for each id. `not-found` for an item that is gone.
    ///
    /// # Errors
    /// Only what concerns every item; what concerns one belongs into its answer.
    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>>;

    /// Ids of collections that changed, or none when the time is up. Unless it is overridden: none, at once.
    ///
    /// # Errors
    /// What the provider answered.
    fn wait(&mut self, timeout_ms: u64) -> Result<Vec<String>> {
        let _ = timeout_ms;
        Ok(Vec::new())
    }
}

/// An account that can be written. The contract is `wit/destination.wit`.
pub trait Destination: Sized + 'static {
    /// Opens the account that the settings describe. Cheap to repeat.
    ///
    /// # Errors
    /// `invalid-settings` names the setting; otherwise whatever connecting fails with.
    fn open(settings: &Settings) -> Result<Self>;

    /// What this server can take and do.
    ///
    /// # Errors
    /// `unsupported` for a kind that it cannot hold.
    fn limits(&mut self, kind: Kind) -> Result<Limits>;

    /// Finds or creates it, with its parents, role and subscription, and gives it as it now is. Idempotent.
    ///
    /// # Errors
    /// `rejected` for a name that cannot be.
    fn ensure(&mut self, wanted: Collection) -> Result<Collection>;

    /// [`Destination::ensure`] of several, parents before children: one answer for each, in order. Unless overridden,
    /// one after the other; a provider that is far away wants them sent together.
    ///
    /// # Errors
    /// Only what concerns all of them, such as a broken connection.
    fn ensure_all(&mut self, wanted: Vec<Collection>) -> Result<Vec<Result<Collection>>> {
        let mut answers = Vec::with_capacity(wanted.len());
        for one in wanted {
            match self.ensure(one) {
                Err(failure) if !failure.leaves_session_usable() => return Err(failure),
                answer => answers.push(answer),
            }
        }
        Ok(answers)
    }

    /// A cursor for `changes` that lists at least all that is put from now on, and little else.
    ///
    /// # Errors
    /// `not-found` where the collection is not there.
    fn watermark(&mut self, collection: &str) -> Result<String>;

    /// One answer for each item, in order; lasting when it returns.
    ///
    /// # Errors
    /// Only what concerns every item: then an unknown part was placed.
    fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>>;

    /// The item `id` of `origin` into `target` as well, without its body. Unless overridden: `unsupported`.
    ///
    /// # Errors
    /// What the provider answered.
    fn copy(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        let _ = (origin, id, target);
        Err(Failure::unsupported("this connector cannot copy on the server"))
    }

    /// The item `id` of `origin` into `target` instead, without its body. Unless overridden: `unsupported`.
    ///
    /// # Errors
    /// What the provider answered.
    fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement> {
        let _ = (origin, id, target);
        Err(Failure::unsupported("this connector cannot move on the server"))
    }

    /// The item `id` has this content from now on, where it still has this revision. Idempotent. Unless overridden:
    /// `unsupported`.
    ///
    /// # Errors
    /// `rejected` where it has another revision, `not-found` where it is gone; otherwise what the provider answered.
    fn replace(&mut self, collection: &str, id: &str, revision: Option<&str>, item: Item) -> Result<Placement> {
        let _ = (collection, id, revision, item);
        Err(Failure::unsupported(
            "this connector cannot change the content of items",
        ))
    }

    /// Flags and labels from now on, one answer for each, in order. Idempotent. Unless overridden: `unsupported`.
    ///
    /// # Errors
    /// Only what concerns every item.
    fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<()>>> {
        let _ = (collection, remarks);
        Err(Failure::unsupported("this connector cannot change flags"))
    }

    /// To the trash where there is one. Unless overridden: `unsupported`.
    ///
    /// # Errors
    /// Only what concerns every item.
    fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        let _ = (collection, ids);
        Err(Failure::unsupported("this connector cannot remove items"))
    }
}
