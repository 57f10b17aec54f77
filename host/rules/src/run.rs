//! One run of a hook: its deadline, and why it was stopped. Kept for the thread, since a run never leaves it.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use rhai::{Dynamic, EvalAltResult, Position};

/// Why a run was stopped. A script cannot catch this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It asked for content where there is none yet.
    NeedsContent,
    /// The content cannot be read.
    Content(String),
    /// The deadline passed.
    Time,
    /// Too many decisions.
    Steps,
}

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    static STOPPED: Cell<bool> = const { Cell::new(false) };
    static STOP: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// The deadline is looked at once in so many operations; a power of two.
const LOOK_EVERY: u64 = 128;

/// A run under way. Runs may nest; each has a deadline of its own.
pub(crate) struct Run {
    deadline: Option<Instant>,
    stopped: bool,
    stop: Option<Stop>,
}

impl Run {
    /// Begins a run that may take so long.
    pub(crate) fn begin(time: Duration) -> Self {
        Self {
            deadline: DEADLINE.replace(Instant::now().checked_add(time)),
            stopped: STOPPED.replace(false),
            stop: STOP.take(),
        }
    }

    /// Ends it: why it was stopped, if it was.
    pub(crate) fn end(self) -> Option<Stop> {
        STOPPED.get().then(|| STOP.take()).flatten()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        DEADLINE.set(self.deadline);
        STOPPED.set(self.stopped);
        STOP.replace(self.stop.take());
    }
}

/// Stops the run under way. Further reasons do not count.
pub(crate) fn stop(reason: Stop) -> Box<EvalAltResult> {
    if !STOPPED.replace(true) {
        STOP.replace(Some(reason));
    }
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
}

/// What the engine asks after each operation: Some ends the run. A run that was stopped does not go on, even where the
/// script caught the error.
pub(crate) fn progress(operations: u64) -> Option<Dynamic> {
    if STOPPED.get() {
        return Some(Dynamic::UNIT);
    }
    if operations.is_multiple_of(LOOK_EVERY)
        && let Some(deadline) = DEADLINE.get()
        && Instant::now() >= deadline
    {
        drop(stop(Stop::Time));
        return Some(Dynamic::UNIT);
    }
    None
}
