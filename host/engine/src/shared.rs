//! What all mailboxes of a run share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;
use whimbrel_ledger::MailboxId;

use crate::{Observer, Options, Stop, context::MEMORY_UNIT};

/// What all mailboxes of a run share.
#[derive(Clone)]
pub struct Shared {
    /// Limits and policies.
    pub options: Arc<Options>,
    /// Bodies on the way, over all mailboxes, in units of [`MEMORY_UNIT`].
    pub memory: Arc<Semaphore>,
    /// Progress goes here.
    pub observer: Arc<dyn Observer>,
    /// Whether to go on.
    pub stop: Stop,
    /// Who may put into a destination collection.
    pub turns: Arc<Turns>,
}

impl Shared {
    /// At the start of a run.
    pub fn new(options: &Options, observer: Arc<dyn Observer>, stop: Stop) -> Self {
        let memory = usize::try_from((options.memory / MEMORY_UNIT).max(1)).unwrap_or(usize::MAX);
        Self {
            options: Arc::new(options.clone()),
            memory: Arc::new(Semaphore::new(memory.min(Semaphore::MAX_PERMITS))),
            observer,
            stop,
            turns: Arc::default(),
        }
    }
}

/// Turns at destination collections: what one lane put and has not recorded yet must not look like somebody else's to
/// another, and rules lead several folders, and several mailboxes, into one.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<(MailboxId, String), Turn>>);

/// Held by who puts into a collection, until what it put is recorded.
pub type Turn = Arc<tokio::sync::Mutex<()>>;

impl Turns {
    /// For a collection of this account.
    pub fn at(&self, account: MailboxId, collection: &str) -> Turn {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry((account, collection.to_owned())).or_default().clone()
    }
}
