//! `e`.

use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Engine, ImmutableString, NativeCallContext};

use super::values::{int, line};
use super::{Answer, FolderView, method};
use crate::decision::{FailureDecision, FailureVerb};
use crate::facts::FailureFacts;
use crate::run::{self, Stop};
use crate::shared::Shared;

/// A failure as scripts see it.
#[derive(Clone)]
pub(crate) struct Failure(pub(crate) Arc<FailureState>);

/// What lies behind it.
pub(crate) struct FailureState {
    pub(crate) shared: Arc<Shared>,
    pub(crate) facts: FailureFacts,
    pub(crate) view: Arc<FolderView>,
    pub(crate) decision: Mutex<FailureDecision>,
}

impl Failure {
    fn decide(&self, context: &NativeCallContext<'_>, did: &str, verb: FailureVerb) -> Answer<()> {
        let mut decision = self.0.decision.lock().unwrap_or_else(PoisonError::into_inner);
        if decision.steps.len() >= self.0.shared.limits.steps {
            return Err(run::stop(Stop::Steps));
        }
        decision.steps.push(self.0.shared.step(context, did.to_owned()));
        decision.verb = verb;
        Ok(())
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Failure>("Failure");
    engine.register_get("code", |e: &mut Failure| ImmutableString::from(e.0.facts.code.as_str()));
    engine.register_get("text", |e: &mut Failure| ImmutableString::from(e.0.facts.text.as_str()));
    engine.register_get("side", |e: &mut Failure| ImmutableString::from(e.0.facts.side));
    engine.register_get("attempts", |e: &mut Failure| i64::from(e.0.facts.attempts));
    engine.register_get("folder", |e: &mut Failure| e.0.view.path.clone());
    engine.register_get("role", |e: &mut Failure| e.0.view.role.clone());
    engine.register_get("size", |e: &mut Failure| e.0.facts.size.map_or(-1, int));
    engine.register_get("mailbox", |e: &mut Failure| e.0.view.mailbox.clone());
    method!(engine, "retry", |context: NativeCallContext<'_>,
                              e: &mut Failure|
     -> Answer<()> {
        e.decide(&context, "retry", FailureVerb::Retry)
    });
    method!(engine, "skip", |context: NativeCallContext<'_>,
                             e: &mut Failure,
                             reason: &str|
     -> Answer<()> {
        let reason = line("skip", reason)?;
        e.decide(&context, "skip", FailureVerb::Skip(reason))
    });
    method!(engine, "stop", |context: NativeCallContext<'_>,
                             e: &mut Failure,
                             reason: &str|
     -> Answer<()> {
        let reason = line("stop", reason)?;
        e.decide(&context, "stop", FailureVerb::Stop(reason))
    });
}
