//! Tries what is written with fixed values on the functions that rules run on, so that both always agree.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rhai::{Dynamic, Engine, EvalAltResult, Scope};
use whimbrel_model::{ItemMeta, Kind};
use whimbrel_pim::Format;

use crate::explain;
use crate::facts::{FailureFacts, FolderFacts, MailboxFacts, MessageFacts};
use crate::run::Run;
use crate::script::{
    Contact, Event, Failure, FailureState, Filter, Folder, FolderState, FolderView, ItemState, Mailbox, MailboxState,
    Message, MessageState, REFUSED, Task, format_of,
};
use crate::shared::Shared;

/// Items that nothing comes of.
pub(super) struct Trial<'a> {
    engine: &'a Engine,
    shared: Arc<Shared>,
    /// By the call as it was written.
    known: RefCell<HashMap<String, Option<String>>>,
}

impl<'a> Trial<'a> {
    /// `engine` is one that runs hooks, made for `shared`.
    pub(super) fn new(engine: &'a Engine, shared: Arc<Shared>) -> Self {
        Self {
            engine,
            shared,
            known: RefCell::default(),
        }
    }

    /// Why a function of the registry refuses the values, if it does. `on` is the type that it belongs to, or empty.
    pub(super) fn refusal(&self, on: &str, name: &str, values: &[Dynamic]) -> Option<String> {
        let key = format!("{on}.{name}{values:?}");
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let refusal = self.refused(on, name, values);
        self.known.borrow_mut().insert(key, refusal.clone());
        refusal
    }

    fn refused(&self, on: &str, name: &str, values: &[Dynamic]) -> Option<String> {
        let mut scope = Scope::new();
        let mut names = Vec::new();
        for (number, value) in values.iter().enumerate() {
            let name = format!("value{number}");
            scope.push_dynamic(name.as_str(), value.clone());
            names.push(name);
        }
        let mut call = format!("{name}({})", names.join(", "));
        if !on.is_empty() {
            scope.push_dynamic("item", self.item(on)?);
            call = format!("item.{call}");
        }
        let run = Run::begin(self.shared.limits.time);
        let result = self.engine.eval_expression_with_scope::<Dynamic>(&mut scope, &call);
        drop(run);
        let error = result.err()?;
        match innermost(&error) {
            EvalAltResult::ErrorRuntime(token, _) if token.tag() == REFUSED => {
                Some(explain::runtime(&[], "", &error).problem.message)
            }
            _ => None,
        }
    }

    /// Behind an item without content.
    fn state(&self, kind: Kind) -> Arc<ItemState> {
        let folder = FolderFacts {
            kind,
            ..FolderFacts::default()
        };
        let facts = MessageFacts {
            folder: Arc::new(folder),
            meta: Arc::new(ItemMeta::default()),
        };
        let format = format_of(kind).unwrap_or(Format::Calendar);
        Arc::new(ItemState::new(
            self.shared.clone(),
            facts,
            format,
            Some(Arc::new(Bytes::new())),
        ))
    }

    fn item(&self, on: &str) -> Option<Dynamic> {
        let shared = || self.shared.clone();
        let folder = Arc::new(FolderFacts::default());
        Some(match on {
            "Message" => {
                let facts = MessageFacts {
                    folder,
                    meta: Arc::new(ItemMeta::default()),
                };
                let content = Arc::new(Bytes::from_static(b"\r\n"));
                Dynamic::from(Message(Arc::new(MessageState::new(shared(), facts, Some(content)))))
            }
            "Event" => Dynamic::from(Event(self.state(Kind::Event))),
            "Task" => Dynamic::from(Task(self.state(Kind::Task))),
            "Contact" => Dynamic::from(Contact(self.state(Kind::Contact))),
            "Filter" => Dynamic::from(Filter(self.state(Kind::Filter))),
            "Folder" => Dynamic::from(Folder(Arc::new(FolderState {
                shared: shared(),
                view: FolderView::of(&folder),
                decision: Mutex::default(),
            }))),
            "Mailbox" => Dynamic::from(Mailbox(Arc::new(MailboxState {
                facts: Arc::new(MailboxFacts::default()),
                deciding: Some((shared(), Mutex::default())),
            }))),
            "Failure" => Dynamic::from(Failure(Arc::new(FailureState {
                shared: shared(),
                view: FolderView::of(&folder),
                facts: FailureFacts {
                    folder,
                    size: None,
                    code: String::new(),
                    text: String::new(),
                    side: "source",
                    attempts: 0,
                },
                decision: Mutex::default(),
            }))),
            _ => return None,
        })
    }
}

fn innermost(error: &EvalAltResult) -> &EvalAltResult {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => innermost(inner),
        error => error,
    }
}
