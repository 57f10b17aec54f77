//! What became of every item: the truth, kept in a sled store behind an interface of its own.
//!
//! **Invariant**: for every collection, after every commit, `found = moved + merged + filtered + oversize + failed +
//! pending`. Counters and indexes are computed from the records that a commit changes, never counted on the side.
//!
//! Every call may block on the disk: asynchronous callers go through `spawn_blocking`.

mod aside;
mod audit;
mod batch;
mod blocks;
mod commit;
mod error;
mod events;
mod export;
mod import;
mod keys;
mod ledger;
mod lines;
mod pieces;
mod read;
mod record;
mod seal;
mod stamp;
mod store;
mod tree;
mod types;

pub use aside::Aside;
pub use batch::Batch;
pub use error::{LedgerError, Result};
pub use ledger::Ledger;
pub use types::{
    CollectionId, CollectionRecord, Durability, Event, Fate, Intent, IntentId, IntentItem, ItemRecord, LedgerOptions,
    MailboxId, MarkChanges, Place, Route, RuleStep, Ruling, Target, Todo, Totals,
};
