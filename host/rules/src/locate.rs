//! Where a run was when it was ended, where the language does not say: it is run once more, with counted lines.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use rhai::Position;

use crate::explain;
use crate::options::{Limits, Options};
use crate::problem::{Problem, RuleError};
use crate::program::Script;
use crate::rules::{Hook, Rules};
use crate::testing::Probe;

/// Runs that are looked into, beyond which an error is told at its hook: each costs a few runs more.
const MOST_LOOKS: u32 = 100;

/// How much more a run may cost while its lines are counted.
const COUNTING: u32 = 4;

/// The same rules once more, with counted lines; made when a run is looked into first.
pub(crate) struct Twin {
    made: OnceLock<Option<(Box<Rules>, Arc<Probe>)>>,
    looks: AtomicU32,
}

impl Twin {
    /// None was made so far.
    pub(crate) fn new() -> Self {
        Self {
            made: OnceLock::new(),
            looks: AtomicU32::new(0),
        }
    }

    /// For rules that are a twin themselves.
    pub(crate) fn none() -> Self {
        Self {
            made: OnceLock::from(None),
            looks: AtomicU32::new(0),
        }
    }
}

impl Rules {
    /// An error with its line: the statement that was begun last when `again` does the same, or else that of the hook.
    pub(crate) fn located(&self, hook: Hook, mut error: RuleError, again: impl FnOnce(&Rules)) -> RuleError {
        if error.problem.line > 0 {
            return error;
        }
        let found = self.twin().and_then(|(rules, probe)| probe.last(|| again(rules)));
        let (file, at) = match found {
            Some((file, line)) => (
                file,
                u16::try_from(line).map_or(Position::NONE, |line| Position::new(line, 0)),
            ),
            None if error.problem.file == self.shared.main => (self.shared.main.clone(), self.hook_position(hook)),
            None => return error,
        };
        let Problem { message, hint, .. } = std::mem::take(&mut error.problem);
        error.problem = explain::place(&self.sources, &file, at, message, hint);
        error
    }

    fn twin(&self) -> Option<&(Box<Rules>, Arc<Probe>)> {
        if self.twin.looks.fetch_add(1, Ordering::Relaxed) >= MOST_LOOKS {
            return None;
        }
        self.twin.made.get_or_init(|| self.make_twin()).as_ref()
    }

    fn make_twin(&self) -> Option<(Box<Rules>, Arc<Probe>)> {
        let (main, modules) = self.sources.split_first()?;
        let script = Script {
            name: main.name.clone(),
            text: main.text.clone(),
            folder: None,
            given: modules.to_vec(),
        };
        let limits = &self.options.limits;
        let options = Options {
            limits: Limits {
                operations: limits.operations.saturating_mul(COUNTING.into()),
                time: limits.time.saturating_mul(COUNTING),
                ..limits.clone()
            },
            started: *self
                .shared
                .started
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
            ..self.options.clone()
        };
        let probe = Arc::new(Probe::default());
        let mut rules = Self::build(script, &options, Some(probe.clone())).ok()?;
        rules.twin = Twin::none();
        Some((Box::new(rules), probe))
    }
}
