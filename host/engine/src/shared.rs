//! What all mailboxes of a run share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;
use whimbrel_ledger::MailboxId;

use crate::{
    Observer, Options, Stop,
    context::MEMORY_UNIT,
    faults::{breaker::Breakers, traffic::Traffic},
};

/// Items that are worth a connection of their own.
const ITEMS_PER_LANE: u64 = 500;

/// Bytes of one batch at most: enough to pay for its round trip and its flush, and few enough that the three of a lane
/// (fetched, waiting, put) stay small. A larger item is a batch of its own.
const BATCH_BYTES: u64 = 2 << 20;

/// Bytes that a batch may have even where many mailboxes share the memory.
const LEAST_BATCH_BYTES: u64 = 1 << 20;

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
    /// How many mailboxes are worked on at once.
    at_once: usize,
    /// Which servers are left alone for now.
    pub breakers: Arc<Breakers>,
    /// What was moved in the last day.
    pub traffic: Arc<Traffic>,
}

impl Shared {
    /// At the start of a run over so many mailboxes.
    pub fn new(mailboxes: usize, options: &Options, observer: Arc<dyn Observer>, stop: Stop) -> Self {
        let memory = usize::try_from((options.memory / MEMORY_UNIT).max(1)).unwrap_or(usize::MAX);
        Self {
            options: Arc::new(options.clone()),
            memory: Arc::new(Semaphore::new(memory.min(Semaphore::MAX_PERMITS))),
            observer,
            stop,
            turns: Arc::default(),
            at_once: mailboxes.min(options.mailboxes).max(1),
            breakers: Arc::new(Breakers::new(options.faults.scale)),
            traffic: Arc::new(Traffic::new(options.faults.clock.clone())),
        }
    }

    /// Whether so many mailboxes are worked on at once that a small one need not fill the lines alone.
    fn has_company(&self) -> bool {
        self.at_once >= self.options.connections.max(2)
    }

    /// Bytes of one batch, such that the lanes of all mailboxes at once can each have two under way within the memory there
    /// is: all of a few, and one of each of many.
    pub fn batch_budget(&self) -> u64 {
        let of_one = if self.has_company() {
            1
        } else {
            self.options.connections.max(1)
        };
        let lanes = (self.at_once * of_one) as u64;
        (self.options.memory / (lanes * 2)).clamp(LEAST_BATCH_BYTES, BATCH_BYTES)
    }

    /// How many connections a mailbox has use for: no more than collections to work on. Each costs
    /// a login, and many servers a process; where many mailboxes are worked on, a further one is for what is large.
    pub fn lanes(&self, collections: usize, items: u64) -> usize {
        let most = self.options.connections.min(collections);
        if !self.has_company() {
            return most;
        }
        let wanted = usize::try_from(items.div_ceil(ITEMS_PER_LANE)).unwrap_or(usize::MAX);
        most.min(wanted.max(1))
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
