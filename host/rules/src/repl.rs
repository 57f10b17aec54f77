//! Lines typed by hand, tried on a message with the functions of a script at hand.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{AST, Dynamic, EvalAltResult, ImmutableString, Scope};
use whimbrel_mail::Content;

use crate::compare::{Effect, effect};
use crate::decision::Step;
use crate::explain;
use crate::facts::MessageFacts;
use crate::loader::SourceFile;
use crate::problem::{Problem, RuleError, RuleErrorKind};
use crate::rules::Rules;
use crate::run::Run;
use crate::script::{Folder, FolderState, FolderView, Mailbox, MailboxState, Message, MessageState};

/// What typed lines are called in messages.
const TYPED: &str = "typed";

/// What a typed line came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Its value, unless it has none.
    pub value: Option<String>,
    /// What it decided about the message, the folder and the mailbox.
    pub steps: Vec<Step>,
}

/// Evaluates line after line: variables and functions stay. `m`, `f` and `b` are the message, its folder and its mailbox;
/// deciding calls on them are told and have no effect.
pub struct Repl {
    rules: Rules,
    /// Functions of the script, and those that were typed.
    functions: AST,
    scope: Scope<'static>,
    subject: Subject,
    facts: MessageFacts,
    content: Arc<dyn Content>,
}

/// What `m`, `f` and `b` stand for, with what was decided so far.
struct Subject {
    message: Arc<MessageState>,
    folder: Arc<FolderState>,
    mailbox: Arc<MailboxState>,
}

impl Subject {
    fn new(rules: &Rules, facts: &MessageFacts, content: &Arc<dyn Content>) -> Self {
        let shared = &rules.shared;
        Self {
            message: Arc::new(MessageState::new(shared.clone(), facts.clone(), Some(content.clone()))),
            folder: Arc::new(FolderState {
                shared: shared.clone(),
                view: FolderView::of(&facts.folder),
                decision: Mutex::default(),
            }),
            mailbox: Arc::new(MailboxState {
                facts: facts.folder.mailbox.clone(),
                deciding: Some((shared.clone(), Mutex::default())),
            }),
        }
    }

    /// What was decided since the last call.
    fn take_steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some((_, decision)) = &self.mailbox.deciding {
            steps.append(&mut decision.lock().unwrap_or_else(PoisonError::into_inner).steps);
        }
        let mut folder = self.folder.decision.lock().unwrap_or_else(PoisonError::into_inner);
        steps.append(&mut folder.steps);
        let mut message = self.message.decision.lock().unwrap_or_else(PoisonError::into_inner);
        steps.append(&mut message.steps);
        steps
    }
}

impl Repl {
    /// With the functions and constants of a script, and a message.
    pub fn new(rules: Rules, facts: MessageFacts, content: Arc<dyn Content>) -> Self {
        let mut scope = Scope::new();
        for (name, value) in rules.shared.constants.of(&rules.shared.main) {
            scope.push_constant_dynamic(name, value);
        }
        let mut repl = Self {
            functions: rules.ast.clone(),
            subject: Subject::new(&rules, &facts, &content),
            rules,
            scope,
            facts,
            content,
        };
        repl.set_subject();
        repl
    }

    /// Another message; variables stay.
    pub fn look_at(&mut self, facts: MessageFacts, content: Arc<dyn Content>) {
        self.subject = Subject::new(&self.rules, &facts, &content);
        (self.facts, self.content) = (facts, content);
        self.set_subject();
    }

    /// The message that `m` is.
    pub fn facts(&self) -> &MessageFacts {
        &self.facts
    }

    /// Its bytes.
    pub fn content(&self) -> &Arc<dyn Content> {
        &self.content
    }

    /// What the hooks of the script do to the message.
    pub fn effect(&self) -> Effect {
        effect(&self.rules, &self.facts, self.content.clone())
    }

    fn set_subject(&mut self) {
        self.scope.set_value("m", Message(self.subject.message.clone()));
        self.scope.set_value("f", Folder(self.subject.folder.clone()));
        self.scope.set_value("b", Mailbox(self.subject.mailbox.clone()));
    }

    /// Evaluates statements, functions among them. The limits are those of rules.
    ///
    /// # Errors
    ///
    /// What is wrong with them, or went wrong; what they decided before is forgotten.
    pub fn eval(&mut self, text: &str) -> Result<Answer, RuleError> {
        let typed = [SourceFile {
            name: TYPED.to_owned(),
            text: text.to_owned(),
        }];
        let parsed = self.rules.engine.compile_with_scope(&self.scope, text);
        let parsed = parsed.map_err(|error| RuleError {
            problem: explain::parse(&typed, TYPED, text, &error),
            kind: RuleErrorKind::Other,
        })?;
        let whole = self.functions.merge(&parsed);
        let mut scope = self.scope.clone();
        let run = Run::begin(self.rules.shared.limits.time);
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            let value = self.rules.engine.eval_ast_with_scope::<Dynamic>(&mut scope, &whole)?;
            self.shown(value)
        }));
        let stopped = run.end();
        let steps = self.subject.take_steps();
        match evaluated {
            Ok(Ok(value)) => {
                self.functions = whole.clone_functions_only();
                self.functions.set_source(self.rules.shared.main.as_str());
                self.scope = scope;
                Ok(Answer { value, steps })
            }
            Ok(Err(error)) => {
                // What went wrong within a function lies in the script, anything else in what was typed.
                let within = matches!(*error, EvalAltResult::ErrorInFunctionCall(..));
                let (sources, file) = match within {
                    true => (self.rules.sources(), self.rules.shared.main.as_str()),
                    false => (&typed[..], TYPED),
                };
                let limits = &self.rules.shared.limits;
                Err(explain::stopped_or(sources, file, &error, stopped, limits))
            }
            Err(_) => Err(RuleError {
                problem: Problem {
                    file: TYPED.to_owned(),
                    message: "this brought the interpreter down".to_owned(),
                    ..Problem::default()
                },
                kind: RuleErrorKind::Other,
            }),
        }
    }

    /// A value as text; none for `()`, and its type where it has no text of its own.
    fn shown(&self, value: Dynamic) -> Result<Option<String>, Box<EvalAltResult>> {
        if value.is_unit() {
            return Ok(None);
        }
        let kind = self.rules.engine.map_type_name(value.type_name()).to_owned();
        let mut scope = Scope::new();
        scope.push_dynamic("value", value);
        let text = self
            .rules
            .engine
            .eval_with_scope::<ImmutableString>(&mut scope, "value.to_debug()");
        // Where a type has no text of its own, that is its name.
        Ok(Some(match text? {
            text if text == kind => explain::type_in_words(&kind).to_owned(),
            text => text.to_string(),
        }))
    }
}
