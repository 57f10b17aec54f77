//! A script that is ready to run.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{AST, CallFnOptions, Dynamic, Engine, Position, Scope};
use whimbrel_mail::Content;
use whimbrel_model::{Hash, Kind};

use crate::decision::{Decision, FailureDecision, FolderDecision, MailboxDecision};
use crate::explain;
use crate::facts::{FailureFacts, FolderFacts, MailboxFacts, MessageFacts};
use crate::loader::{Loader, SourceFile};
use crate::locate::Twin;
use crate::options::{Options, SetValue};
use crate::problem::{Problem, RuleError, RuleErrorKind, RulesError};
use crate::program::{self, Script};
use crate::run::{Run, Stop};
use crate::script::{
    Contact, Event, Failure, FailureState, Filter, Folder, FolderState, FolderView, ItemState, Mailbox, MailboxState,
    Message, MessageState, Task, format_of,
};
use crate::shared::Shared;
use crate::testing::Probe;

/// The version of what scripts are given: one more whenever something is added, or the same script may decide otherwise
/// than before. A script may say by the constant [`API_CONSTANT`] which it is written for.
pub const API_VERSION: u32 = 1;

/// See [`API_VERSION`].
pub(crate) const API_CONSTANT: &str = "RULES_API";

/// A function that the engine looks for in a script. Each has one parameter, and none must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// `mailbox(b)`, before a mailbox starts.
    Mailbox,
    /// `folder(f)`, for each source folder when destinations are planned.
    Folder,
    /// `message(m)`, for each message.
    Message,
    /// `event(e)`, for each event.
    Event,
    /// `task(t)`, for each task.
    Task,
    /// `contact(c)`, for each contact.
    Contact,
    /// `filter(s)`, for each mail filter.
    Filter,
    /// `failure(e)`, when a message could not be read or was refused.
    Failure,
}

impl Hook {
    /// All of them.
    pub const ALL: [Hook; 8] = [
        Hook::Mailbox,
        Hook::Folder,
        Hook::Message,
        Hook::Event,
        Hook::Task,
        Hook::Contact,
        Hook::Filter,
        Hook::Failure,
    ];

    /// Those for items of this kind; events and tasks may lie in one calendar.
    pub fn of(kind: Kind) -> &'static [Hook] {
        match kind {
            Kind::Message => &[Hook::Message],
            Kind::Event | Kind::Task => &[Hook::Event, Hook::Task],
            Kind::Contact => &[Hook::Contact],
            Kind::Filter => &[Hook::Filter],
            Kind::Note => &[],
        }
    }

    /// The name of the function.
    pub fn name(self) -> &'static str {
        match self {
            Hook::Mailbox => "mailbox",
            Hook::Folder => "folder",
            Hook::Message => "message",
            Hook::Event => "event",
            Hook::Task => "task",
            Hook::Contact => "contact",
            Hook::Filter => "filter",
            Hook::Failure => "failure",
        }
    }

    /// The usual name of its parameter.
    pub fn parameter(self) -> &'static str {
        match self {
            Hook::Mailbox => "b",
            Hook::Folder => "f",
            Hook::Message => "m",
            Hook::Event => "e",
            Hook::Task => "t",
            Hook::Contact => "c",
            Hook::Filter => "s",
            Hook::Failure => "e",
        }
    }
}

/// A script, compiled once and run for each item from any thread. A run reads the content of its item and nothing else,
/// and the same item gets the same decision.
pub struct Rules {
    pub(crate) engine: Engine,
    pub(crate) ast: AST,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sources: Vec<SourceFile>,
    pub(crate) options: Options,
    pub(crate) twin: Twin,
    hooks: [bool; Hook::ALL.len()],
    hash: Hash,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules")
            .field("file", &self.shared.main)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// Loads a script. Its modules come from its own folder or below, and from the library (`std/…`).
    ///
    /// # Errors
    ///
    /// All problems that were found, unless one hides the others.
    pub fn load(script: &Path, options: &Options) -> Result<Self, RulesError> {
        Self::build(Script::read(script)?, options, None)
    }

    /// As [`Rules::load`], counting the lines that run.
    pub(crate) fn load_probed(script: &Path, options: &Options, probe: Option<Arc<Probe>>) -> Result<Self, RulesError> {
        Self::build(Script::read(script)?, options, probe)
    }

    /// Compiles a script that has no folder: it imports from the library only.
    ///
    /// # Errors
    ///
    /// As [`Rules::load`].
    pub fn compile(name: &str, source: &str, options: &Options) -> Result<Self, RulesError> {
        let script = Script {
            name: name.to_owned(),
            text: source.to_owned(),
            folder: None,
            given: Vec::new(),
        };
        Self::build(script, options, None)
    }

    pub(crate) fn build(script: Script, options: &Options, probe: Option<Arc<Probe>>) -> Result<Self, RulesError> {
        let file = script.name.clone();
        let mut found = [false; Hook::ALL.len()];
        let check = |loader: &Loader, ast: &AST| {
            found = hooks(loader, &file, ast)?;
            Ok(())
        };
        let program = program::build(script, options, probe, |_| (), check)?;
        Ok(Self {
            hash: hash(&program.sources, &options.set),
            engine: program.engine,
            ast: program.ast,
            shared: program.shared,
            sources: program.sources,
            options: options.clone(),
            twin: Twin::new(),
            hooks: found,
        })
    }

    /// Whether the script has the hook.
    pub fn has(&self, hook: Hook) -> bool {
        self.hooks[hook as usize]
    }

    /// Of the script, its modules, the values set and [`API_VERSION`]: where it is the same, so are the decisions.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The script and its modules, the script first.
    pub fn sources(&self) -> &[SourceFile] {
        &self.sources
    }

    /// What `started()` gives from now on, in seconds since 1970.
    pub fn set_started(&mut self, unix_seconds: i64) {
        *self.shared.started.write().unwrap_or_else(PoisonError::into_inner) = Some(unix_seconds);
    }

    /// Runs `mailbox(b)`.
    ///
    /// # Errors
    ///
    /// What ended the run.
    pub fn mailbox(&self, mailbox: &Arc<MailboxFacts>) -> Result<MailboxDecision, RuleError> {
        let once = |rules: &Self| rules.mailbox_once(mailbox);
        once(self).map_err(|error| self.located(Hook::Mailbox, error, |twin| drop(once(twin))))
    }

    fn mailbox_once(&self, mailbox: &Arc<MailboxFacts>) -> Result<MailboxDecision, RuleError> {
        if !self.has(Hook::Mailbox) {
            return Ok(MailboxDecision::default());
        }
        let state = Arc::new(MailboxState {
            facts: mailbox.clone(),
            deciding: Some((self.shared.clone(), Mutex::default())),
        });
        self.run(Hook::Mailbox, Dynamic::from(Mailbox(state.clone())))?;
        Ok(state
            .deciding
            .as_ref()
            .map(|(_, decision)| taken(decision))
            .unwrap_or_default())
    }

    /// Runs `folder(f)`.
    ///
    /// # Errors
    ///
    /// What ended the run.
    pub fn folder(&self, folder: &Arc<FolderFacts>) -> Result<FolderDecision, RuleError> {
        let once = |rules: &Self| rules.folder_once(folder);
        once(self).map_err(|error| self.located(Hook::Folder, error, |twin| drop(once(twin))))
    }

    fn folder_once(&self, folder: &Arc<FolderFacts>) -> Result<FolderDecision, RuleError> {
        if !self.has(Hook::Folder) {
            return Ok(FolderDecision::default());
        }
        let state = Arc::new(FolderState {
            shared: self.shared.clone(),
            view: FolderView::of(folder),
            decision: Mutex::default(),
        });
        self.run(Hook::Folder, Dynamic::from(Folder(state.clone())))?;
        Ok(taken(&state.decision))
    }

    /// Whether it has a hook for items of this kind.
    pub fn decides_on(&self, kind: Kind) -> bool {
        Hook::of(kind).iter().any(|hook| self.has(*hook))
    }

    /// Runs the hook for an item by the facts alone: None where it asks for the content.
    ///
    /// # Errors
    ///
    /// What ended the run.
    pub fn item_by_facts(&self, facts: &MessageFacts) -> Result<Option<Decision>, RuleError> {
        self.decide(facts, None)
    }

    /// Runs the hook for an item: `message(m)`, or for those of another kind `event(e)`, `task(t)`, `contact(c)` or
    /// `filter(s)`. The content is read as far as the script asks for it.
    ///
    /// # Errors
    ///
    /// What ended the run.
    #[allow(clippy::needless_pass_by_value)] // Callers have no use for it afterwards.
    pub fn item(&self, facts: &MessageFacts, content: Arc<dyn Content>) -> Result<Decision, RuleError> {
        // With content the answer is never None.
        Ok(self.decide(facts, Some(&content))?.unwrap_or_default())
    }

    fn decide(&self, facts: &MessageFacts, content: Option<&Arc<dyn Content>>) -> Result<Option<Decision>, RuleError> {
        if !self.decides_on(facts.folder.kind) {
            return Ok(Some(Decision::default()));
        }
        let Some(format) = format_of(facts.folder.kind) else {
            return self.decide_message(facts, content);
        };
        let state = || {
            Arc::new(ItemState::new(
                self.shared.clone(),
                facts.clone(),
                format,
                content.cloned(),
            ))
        };
        let first = state();
        let hook = match facts.folder.kind {
            Kind::Contact => Hook::Contact,
            Kind::Filter => Hook::Filter,
            // Only the content tells a task from an event.
            _ if content.is_none() => return Ok(None),
            _ if first.is_task().unwrap_or(false) => Hook::Task,
            _ => Hook::Event,
        };
        if !self.has(hook) {
            return Ok(Some(Decision::default()));
        }
        self.item_once(hook, &first)
            .map_err(|error| self.located(hook, error, |twin| drop(twin.item_once(hook, &state()))))
    }

    fn item_once(&self, hook: Hook, state: &Arc<ItemState>) -> Result<Option<Decision>, RuleError> {
        let item = match hook {
            Hook::Task => Dynamic::from(Task(state.clone())),
            Hook::Contact => Dynamic::from(Contact(state.clone())),
            Hook::Filter => Dynamic::from(Filter(state.clone())),
            _ => Dynamic::from(Event(state.clone())),
        };
        let decided = self.run(hook, item)?;
        Ok(decided.then(|| taken(&state.decision)))
    }

    fn decide_message(
        &self,
        facts: &MessageFacts,
        content: Option<&Arc<dyn Content>>,
    ) -> Result<Option<Decision>, RuleError> {
        let once = |rules: &Self| rules.message_once(facts, content.cloned());
        once(self).map_err(|error| self.located(Hook::Message, error, |twin| drop(once(twin))))
    }

    fn message_once(
        &self,
        facts: &MessageFacts,
        content: Option<Arc<dyn Content>>,
    ) -> Result<Option<Decision>, RuleError> {
        let state = Arc::new(MessageState::new(self.shared.clone(), facts.clone(), content));
        let decided = self.run(Hook::Message, Dynamic::from(Message(state.clone())))?;
        Ok(decided.then(|| taken(&state.decision)))
    }

    /// Runs `failure(e)`.
    ///
    /// # Errors
    ///
    /// What ended the run.
    pub fn failure(&self, failure: &FailureFacts) -> Result<FailureDecision, RuleError> {
        let once = |rules: &Self| rules.failure_once(failure);
        once(self).map_err(|error| self.located(Hook::Failure, error, |twin| drop(once(twin))))
    }

    fn failure_once(&self, failure: &FailureFacts) -> Result<FailureDecision, RuleError> {
        if !self.has(Hook::Failure) {
            return Ok(FailureDecision::default());
        }
        let state = Arc::new(FailureState {
            shared: self.shared.clone(),
            view: FolderView::of(&failure.folder),
            facts: failure.clone(),
            decision: Mutex::default(),
        });
        self.run(Hook::Failure, Dynamic::from(Failure(state.clone())))?;
        Ok(taken(&state.decision))
    }

    /// Calls a hook; false where the content is needed and not there. An error may lack its line.
    fn run(&self, hook: Hook, argument: Dynamic) -> Result<bool, RuleError> {
        let run = Run::begin(self.shared.limits.time);
        // Rhai checks its own assumptions with assertions; what breaks one is the script's item, not the whole run.
        let result = catch_unwind(AssertUnwindSafe(|| {
            let options = CallFnOptions::new().eval_ast(false).rewind_scope(true);
            let mut scope = Scope::new();
            self.engine
                .call_fn_with_options::<Dynamic>(options, &mut scope, &self.ast, hook.name(), (argument,))
        }));
        let stopped = run.end();
        let file = &self.shared.main;
        match (stopped, result) {
            (Some(Stop::NeedsContent), _) => Ok(false),
            (None, Ok(Ok(value))) if value.is_unit() => Ok(true),
            (None, Ok(Ok(value))) => Err(self.wrong_result(hook, &value)),
            (stopped, Ok(Err(error))) => {
                let limits = &self.shared.limits;
                Err(explain::stopped_or(&self.sources, file, &error, stopped, limits))
            }
            (Some(stop), Ok(Ok(_))) => {
                let limits = &self.shared.limits;
                Err(explain::stopped(&self.sources, file, Position::NONE, &stop, limits))
            }
            (_, Err(_)) => Err(RuleError {
                problem: Problem {
                    file: file.clone(),
                    message: format!("{}({}) brought the interpreter down", hook.name(), hook.parameter()),
                    ..Problem::default()
                },
                kind: RuleErrorKind::Other,
            }),
        }
    }

    /// Where a hook is written.
    pub(crate) fn hook_position(&self, hook: Hook) -> Position {
        let function = self.shared.function(&self.shared.main, hook.name());
        match function.and_then(|function| u16::try_from(function.start.0).ok()) {
            Some(line) if line > 0 => Position::new(line, 0),
            _ => Position::NONE,
        }
    }

    fn wrong_result(&self, hook: Hook, value: &Dynamic) -> RuleError {
        let position = self.hook_position(hook);
        let (name, parameter) = (hook.name(), hook.parameter());
        let verbs = match hook {
            Hook::Mailbox => "b.skip(…)",
            Hook::Folder => "f.skip(…), f.move_to(…)",
            Hook::Message => "m.skip(…), m.move_to(…)",
            Hook::Event => "e.skip(…), e.move_to(…)",
            Hook::Task => "t.skip(…), t.move_to(…)",
            Hook::Contact => "c.skip(…), c.move_to(…)",
            Hook::Filter => "s.skip(…), s.rewrite_domain(…)",
            Hook::Failure => "e.retry(), e.skip(…)",
        };
        let message = format!(
            "{name}({parameter}) returned {}; it decides by calling {verbs} and so on, and returns nothing",
            explain::type_in_words(self.engine.map_type_name(value.type_name()))
        );
        let hint = "a function returns its last value, even with a semicolon behind it: write return; in a line below"
            .to_owned();
        RuleError {
            problem: explain::place(&self.sources, &self.shared.main, position, message, Some(hint)),
            kind: RuleErrorKind::Type,
        }
    }
}

/// What was decided; the script is done with it.
fn taken<T: Default>(decision: &Mutex<T>) -> T {
    std::mem::take(&mut decision.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Which hooks are there. One with the right name and another number of parameters would never be called.
fn hooks(loader: &Loader, file: &str, ast: &AST) -> Result<[bool; Hook::ALL.len()], RulesError> {
    let mut found = [false; Hook::ALL.len()];
    let mut problems = Vec::new();
    for hook in Hook::ALL {
        let (name, parameter) = (hook.name(), hook.parameter());
        let named = || ast.iter_fn_def().filter(|function| function.name.as_str() == name);
        found[hook as usize] = named().any(|function| function.params.len() == 1 && function.this_type.is_none());
        if let (false, Some(other)) = (found[hook as usize], named().next()) {
            problems.push(loader.problem(
                file,
                other.body.start_position(),
                format!("{name} has {} parameters and would never be called", other.params.len()),
                Some(format!("write fn {name}({parameter})")),
            ));
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(RulesError { problems })
    }
}

fn hash(sources: &[SourceFile], set: &BTreeMap<String, SetValue>) -> Hash {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(&API_VERSION.to_le_bytes());
    let (script, modules) = sources
        .split_first()
        .map_or((None, &[][..]), |(first, rest)| (Some(first), rest));
    part(script.map_or("", |script| &script.text).as_bytes());
    let mut modules: Vec<_> = modules.iter().collect();
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    for module in modules {
        part(module.name.as_bytes());
        part(module.text.as_bytes());
    }
    for (name, value) in set {
        part(name.as_bytes());
        part(format!("{value:?}").as_bytes());
    }
    Hash(*hasher.finalize().as_bytes())
}
