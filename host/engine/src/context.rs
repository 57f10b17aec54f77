//! What everything that works on one mailbox shares.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use whimbrel_ledger::{Batch, Durability, Ledger, LedgerError, MailboxId};
use whimbrel_model::Failure;

use crate::{
    Options, Stop,
    observe::{Observer, Progress},
    report::{Problem, Worked},
    run::Mailbox,
};

/// Why work on something ends early.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// Somebody wants to stop.
    #[error("stopped")]
    Stopped,
    /// A connector failed, and trying again did not help.
    #[error("{side}: {failure}")]
    Failed {
        /// "source" or "destination".
        side: &'static str,
        /// How.
        failure: Failure,
    },
    /// The ledger failed: nothing can be recorded, so nothing may be done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Halt {
    /// Whether a failure concerns one collection, and not the account.
    pub fn concerns_failure(failure: &Failure) -> bool {
        matches!(
            failure,
            Failure::Forbidden(_)
                | Failure::NotFound(_)
                | Failure::Rejected(_)
                | Failure::Unsupported(_)
                | Failure::GenerationChanged
                | Failure::TooLarge(_)
        )
    }
}

/// One permit of the memory budget, in bytes.
pub const MEMORY_UNIT: u64 = 1024;

/// What everything that works on one mailbox shares.
pub struct Context {
    /// The truth.
    pub ledger: Ledger,
    /// Its number there.
    pub id: MailboxId,
    /// What is to be moved.
    pub mailbox: Mailbox,
    /// Limits and policies.
    pub options: Arc<Options>,
    /// Bodies on the way, over all mailboxes, in units of [`MEMORY_UNIT`].
    pub memory: Arc<Semaphore>,
    /// Progress goes here.
    pub observer: Arc<dyn Observer>,
    /// Whether to go on.
    pub stop: Stop,
    /// What was done so far.
    pub worked: Mutex<Worked>,
    problems: Mutex<Vec<Problem>>,
    notes: Mutex<Vec<String>>,
}

impl Context {
    /// At the start of a mailbox.
    pub fn new(
        ledger: Ledger,
        id: MailboxId,
        mailbox: Mailbox,
        options: Arc<Options>,
        memory: Arc<Semaphore>,
        observer: Arc<dyn Observer>,
        stop: Stop,
    ) -> Self {
        Self {
            ledger,
            id,
            mailbox,
            options,
            memory,
            observer,
            stop,
            worked: Mutex::default(),
            problems: Mutex::default(),
            notes: Mutex::default(),
        }
    }

    /// Commits, off the runtime's threads where it has to wait for the disk.
    pub async fn commit(&self, batch: Batch, durability: Durability) -> Result<(), LedgerError> {
        if durability == Durability::Later {
            return self.ledger.commit(batch, durability);
        }
        let ledger = self.ledger.clone();
        match tokio::task::spawn_blocking(move || ledger.commit(batch, durability)).await {
            Ok(result) => result,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Makes everything that was committed last.
    pub async fn flush(&self) -> Result<(), LedgerError> {
        let ledger = self.ledger.clone();
        match tokio::task::spawn_blocking(move || ledger.flush()).await {
            Ok(result) => result,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Adds to what was done.
    pub fn count(&self, add: impl FnOnce(&mut Worked)) {
        add(&mut self.worked.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Records what keeps the mailbox from being finished, once.
    pub fn problem(&self, problem: Problem) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if !problems.contains(&problem) {
            tracing::info!(mailbox = self.mailbox.name, code = problem.code, "{}", problem.text);
            problems.push(problem);
        }
    }

    /// Records what was done differently than asked, once.
    pub fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            self.observer.notify(Progress::Warning {
                mailbox: &self.mailbox.name,
                text: note.clone(),
            });
            notes.push(note);
        }
    }

    /// What was recorded.
    pub fn finish(&self) -> (Worked, Vec<Problem>, Vec<String>) {
        (
            *self.worked.lock().unwrap_or_else(PoisonError::into_inner),
            std::mem::take(&mut *self.problems.lock().unwrap_or_else(PoisonError::into_inner)),
            std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner)),
        )
    }
}
