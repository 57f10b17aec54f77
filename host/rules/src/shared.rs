//! What the functions of a script's engine share: limits, constants, the places of functions, regular expressions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use rhai::{Dynamic, NativeCallContext, Position};

use crate::decision::Step;
use crate::options::{Limits, Options};

/// Regular expressions kept, beyond which all are dropped and built again.
const MOST_PATTERNS: usize = 256;

/// Bytes that one compiled regular expression may take.
const PATTERN_BYTES: usize = 1 << 20;

/// Shared by an engine, its functions and the values they hand out.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) attachments: bool,
    pub(crate) started: RwLock<Option<i64>>,
    /// The name of the script itself, where a call does not say its source.
    pub(crate) main: String,
    pub(crate) constants: Constants,
    functions: Mutex<HashMap<String, Vec<Function>>>,
    frozen_functions: OnceLock<HashMap<String, Vec<Function>>>,
    patterns: RwLock<HashMap<String, Arc<regex::Regex>>>,
}

/// A script function and where its body lies.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) start: (usize, usize),
    pub(crate) end: (usize, usize),
}

impl Shared {
    pub(crate) fn new(main: &str, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            limits: options.limits.clone(),
            attachments: options.attachments,
            started: RwLock::new(options.started),
            main: main.to_owned(),
            constants: Constants::default(),
            functions: Mutex::default(),
            frozen_functions: OnceLock::new(),
            patterns: RwLock::default(),
        })
    }

    /// Tells where the functions of a file lie.
    pub(crate) fn add_functions(&self, file: &str, functions: Vec<Function>) {
        let mut all = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(file.to_owned(), functions);
    }

    /// Loading is over: what was gathered is read without locks from now on.
    pub(crate) fn freeze(&self) {
        let functions = std::mem::take(&mut *self.functions.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = self.frozen_functions.set(functions);
        self.constants.freeze();
    }

    /// Where a deciding call stands, and what it did.
    pub(crate) fn step(&self, context: &NativeCallContext<'_>, did: String) -> Step {
        let file = context.call_source().unwrap_or(&self.main);
        let position = context.call_position();
        Step {
            rule: self.rule_at(file, position).unwrap_or_default().to_owned(),
            file: file.to_owned(),
            line: position.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(0),
            did,
        }
    }

    /// The named function around a place.
    pub(crate) fn rule_at(&self, file: &str, position: Position) -> Option<&str> {
        let place = (position.line()?, position.position().unwrap_or(1));
        let functions = self.frozen_functions.get()?.get(file)?;
        let around = functions
            .iter()
            .find(|function| function.start <= place && place <= function.end)?;
        Some(&around.name)
    }

    /// Where a function is written.
    pub(crate) fn function(&self, file: &str, name: &str) -> Option<&Function> {
        let functions = self.frozen_functions.get()?.get(file)?;
        functions.iter().find(|function| function.name == name)
    }

    /// A regular expression, compiled once. `key` tells kinds of pattern with the same text apart.
    pub(crate) fn pattern(&self, key: &str, build: impl FnOnce() -> String) -> Result<Arc<regex::Regex>, String> {
        if let Some(found) = self.patterns.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Ok(found.clone());
        }
        let made = regex::RegexBuilder::new(&build())
            .size_limit(PATTERN_BYTES)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                error => error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
            })?;
        let made = Arc::new(made);
        let mut patterns = self.patterns.write().unwrap_or_else(PoisonError::into_inner);
        if patterns.len() >= MOST_PATTERNS {
            patterns.clear();
        }
        patterns.insert(key.to_owned(), made.clone());
        Ok(made)
    }
}

type Table = HashMap<String, HashMap<String, Dynamic>>;

/// The top-level constants of each file. Functions see those of the file they are written in.
#[derive(Default)]
pub(crate) struct Constants {
    loading: Mutex<Table>,
    frozen: OnceLock<Table>,
}

impl Constants {
    pub(crate) fn add(&self, file: &str, name: &str, value: Dynamic) {
        let mut all = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let value = value.flatten().into_read_only();
        all.entry(file.to_owned()).or_default().insert(name.to_owned(), value);
    }

    /// All of a file, in no particular order; empty before loading is over.
    pub(crate) fn of(&self, file: &str) -> Vec<(String, Dynamic)> {
        let table = self.frozen.get().and_then(|table| table.get(file));
        let pairs = table.into_iter().flatten();
        pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn freeze(&self) {
        let table = std::mem::take(&mut *self.loading.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = self.frozen.set(table);
    }

    /// A copy, so that nothing that a script does to it outlives the call. Rhai's shared values would save the copying
    /// of large maps, but do not keep what is read-only (1.27: `MAP.x = 1` changes one).
    pub(crate) fn get(&self, file: &str, name: &str) -> Option<Dynamic> {
        if let Some(table) = self.frozen.get() {
            return table.get(file)?.get(name).cloned();
        }
        let table = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(file)?.get(name).cloned()
    }
}
