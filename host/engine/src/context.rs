//! What everything that works on one mailbox shares.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use whimbrel_ledger::{Batch, Durability, Ledger, LedgerError, MailboxId};
use whimbrel_model::Failure;
use whimbrel_rules::{MailboxFacts, RuleError, Step};

use crate::{
    Provider, Stop,
    attempts::Attempts,
    faults::{
        Class,
        class::concerns_part,
        history::{History, Side},
        parking::Parking,
    },
    observe::Progress,
    orphans::Claims,
    report::{Problem, Worked},
    routes::Routes,
    rules::{RuleCount, Tally},
    run::Mailbox,
    shared::Shared,
};

/// The size assumed of an item that does not tell, in bytes.
pub const UNKNOWN_SIZE: u64 = 64 << 10;

/// Why work on something ends early.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// Somebody wants to stop.
    #[error("stopped")]
    Stopped,
    /// The mailbox gives its place to another; the context knows why.
    #[error("parked")]
    Parked,
    /// A connector failed, and trying again did not help.
    #[error("{side}: {failure}")]
    Failed {
        /// "source", "destination" or "rules".
        side: &'static str,
        /// How.
        failure: Failure,
    },
    /// The rules failed, and the admin wants the run to stop then.
    #[error(transparent)]
    Rules(RuleError),
    /// The ledger failed: nothing can be recorded, so nothing may be done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Halt {
    /// Whether a failure concerns one collection, and not the account.
    pub fn concerns_failure(failure: &Failure) -> bool {
        concerns_part(failure)
    }

    /// Whether it ends the whole run.
    pub fn ends_the_run(&self) -> bool {
        matches!(self, Self::Ledger(_) | Self::Rules(_))
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
    /// What it shares with all others.
    shared: Shared,
    /// Whether to go on: somebody wants to stop the run, or this mailbox is parked.
    pub stop: Stop,
    /// Whether this mailbox can give its place to another.
    pub may_park: bool,
    /// What is remembered from one of its turns to the next.
    pub history: Arc<History>,
    parking: Mutex<Option<Parking>>,
    /// What scripts see of the mailbox.
    pub facts: Arc<MailboxFacts>,
    /// The destination collections that rules send items to.
    pub routes: Routes,
    /// What was sent to replace something and is not answered.
    pub attempts: Attempts,
    /// Orphans that are spoken for.
    pub claims: Claims,
    /// What was done so far.
    pub worked: Mutex<Worked>,
    problems: Mutex<Vec<Problem>>,
    notes: Mutex<Vec<String>>,
    tally: Mutex<Tally>,
}

impl std::ops::Deref for Context {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// What a mailbox's work came to.
#[derive(Debug, Clone, Default)]
pub struct Finished {
    /// What was done.
    pub worked: Worked,
    /// What keeps it from being finished.
    pub problems: Vec<Problem>,
    /// What was done differently than asked.
    pub notes: Vec<String>,
    /// What each rule did.
    pub rules: Vec<RuleCount>,
}

impl Context {
    /// At the start of a mailbox.
    pub fn new(ledger: Ledger, id: MailboxId, mailbox: Mailbox, shared: Shared) -> Self {
        Self {
            facts: Arc::new(mailbox.facts()),
            ledger,
            id,
            mailbox,
            stop: shared.stop.below(),
            may_park: false,
            history: Arc::default(),
            parking: Mutex::default(),
            shared,
            routes: Routes::default(),
            attempts: Attempts::default(),
            claims: Claims::default(),
            worked: Mutex::default(),
            problems: Mutex::default(),
            notes: Mutex::default(),
            tally: Mutex::default(),
        }
    }

    /// One that can be parked, and goes on with what it has noted so far.
    pub fn resumable(mut self, history: Arc<History>, notes: Vec<String>) -> Self {
        self.may_park = true;
        self.history = history;
        self.notes = Mutex::new(notes);
        self
    }

    /// How long the server wishes us to wait, within reason.
    pub fn wish(&self, failure: &Failure) -> Option<Duration> {
        match failure {
            Failure::Throttled {
                retry_after_ms: Some(wish),
                ..
            } => Some(Duration::from_millis(*wish).min(self.options.faults.longest_wish)),
            _ => None,
        }
    }

    /// Random numbers that spread pauses.
    pub fn jitter(&self) -> fastrand::Rng {
        self.history.jitter(self.options.faults.seed, &self.mailbox.name)
    }

    /// The mailbox gives its place to another: nothing new is begun. Of several reasons the one that lasts longest counts.
    pub fn park(&self, class: Class, problem: Problem, pause: Duration) -> Halt {
        self.park_after(class, problem, pause);
        self.stop.stop();
        Halt::Parked
    }

    /// The same, once what is under way has arrived.
    pub fn park_after(&self, class: Class, problem: Problem, pause: Duration) -> Halt {
        let mut parking = hold(&self.parking);
        if parking.as_ref().is_none_or(|known| known.pause < pause) {
            *parking = Some(Parking { class, problem, pause });
        }
        Halt::Parked
    }

    /// Whether somebody wants to stop the run, and not this mailbox alone.
    pub fn run_stopped(&self) -> bool {
        self.shared.stop.stopped()
    }

    /// Why it is parked, if it is.
    pub fn parking(&self) -> Option<Parking> {
        hold(&self.parking).take()
    }

    /// Takes the bytes of a batch out of what may be moved today; parks the mailbox where they are too many.
    pub fn take_traffic(&self, bytes: u64) -> Result<(), Halt> {
        let Some((side, pause)) = self.traffic.take(&self.ledger, self.id, self.mailbox.daily, bytes)? else {
            return Ok(());
        };
        let problem = Problem::daily_budget(match side {
            Side::Source => "source",
            Side::Destination => "destination",
        });
        Err(self.park_after(Class::DailyBudget, problem, pause))
    }

    /// How to reach the destination of another mailbox, which rules send items to.
    pub fn provider_of(&self, account: MailboxId) -> Result<Arc<dyn Provider>, Halt> {
        let name = self.ledger.mailbox_of(account)?;
        let book = self.options.rules.as_ref();
        book.and_then(|book| book.mailboxes.get(&name))
            .cloned()
            .ok_or_else(|| Halt::Failed {
                side: "rules",
                failure: Failure::Rules(format!(
                    "messages were sent to the mailbox `{name}`, which the settings do not name (any more)"
                )),
            })
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
        add(&mut hold(&self.worked));
    }

    /// Counts what rules decided of one thing.
    pub fn tally(&self, steps: &[Step]) {
        if !steps.is_empty() {
            hold(&self.tally).add(steps);
        }
    }

    /// Records what keeps the mailbox from being finished, once.
    pub fn problem(&self, problem: Problem) {
        let mut problems = hold(&self.problems);
        if !problems.contains(&problem) {
            tracing::info!(mailbox = self.mailbox.name, code = problem.code, "{}", problem.text);
            problems.push(problem);
        }
    }

    /// Whether anything was recorded that keeps the mailbox from being finished.
    pub fn has_problems(&self) -> bool {
        !hold(&self.problems).is_empty()
    }

    /// Records what was done differently than asked, once.
    pub fn note(&self, note: String) {
        let mut notes = hold(&self.notes);
        if !notes.contains(&note) {
            self.observer.notify(Progress::Warning {
                mailbox: &self.mailbox.name,
                text: note.clone(),
            });
            notes.push(note);
        }
    }

    /// What was recorded.
    pub fn finish(&self) -> Finished {
        Finished {
            worked: *hold(&self.worked),
            problems: std::mem::take(&mut *hold(&self.problems)),
            notes: std::mem::take(&mut *hold(&self.notes)),
            rules: hold(&self.tally).counts(),
        }
    }
}

fn hold<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
