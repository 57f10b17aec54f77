//! `b`, and the `mailbox` of everything else.

use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Dynamic, Engine, ImmutableString, Map, NativeCallContext};

use super::{Answer, method, refuse, values};
use crate::decision::MailboxDecision;
use crate::facts::MailboxFacts;
use crate::run::{self, Stop};
use crate::shared::Shared;

/// A mailbox as scripts see it.
#[derive(Clone)]
pub(crate) struct Mailbox(pub(crate) Arc<MailboxState>);

/// What lies behind it.
pub(crate) struct MailboxState {
    pub(crate) facts: Arc<MailboxFacts>,
    /// None where nothing is decided about mailboxes.
    pub(crate) deciding: Option<(Arc<Shared>, Mutex<MailboxDecision>)>,
}

impl Mailbox {
    /// A mailbox to look at.
    pub(crate) fn view(facts: Arc<MailboxFacts>) -> Self {
        Self(Arc::new(MailboxState { facts, deciding: None }))
    }

    fn decide(
        &self,
        context: &NativeCallContext<'_>,
        did: &str,
        change: impl FnOnce(&mut MailboxDecision),
    ) -> Answer<()> {
        let Some((shared, decision)) = &self.0.deciding else {
            return refuse(format!(
                "{did} of a mailbox can be said in mailbox(b) only, before the mailbox starts"
            ));
        };
        let mut decision = decision.lock().unwrap_or_else(PoisonError::into_inner);
        if decision.steps.len() >= shared.limits.steps {
            return Err(run::stop(Stop::Steps));
        }
        decision.steps.push(shared.step(context, did.to_owned()));
        change(&mut decision);
        Ok(())
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Mailbox>("Mailbox");
    engine.register_get("name", |b: &mut Mailbox| ImmutableString::from(b.0.facts.name.as_str()));
    engine.register_get("attributes", |b: &mut Mailbox| -> Map {
        let pairs = b.0.facts.attributes.iter();
        pairs
            .map(|(key, value)| (key.as_str().into(), Dynamic::from(value.clone())))
            .collect()
    });
    method!(engine, "has", |b: &mut Mailbox, name: &str| b
        .0
        .facts
        .attributes
        .contains_key(name));
    method!(engine, "get", |b: &mut Mailbox, name: &str| {
        let value = b.0.facts.attributes.get(name);
        value.map_or_else(ImmutableString::new, |value| value.as_str().into())
    });
    method!(engine, "skip", |context: NativeCallContext<'_>,
                             b: &mut Mailbox,
                             reason: &str|
     -> Answer<()> {
        let reason = values::line("skip", reason)?;
        b.decide(&context, "skip", |decision| decision.skip = Some(reason))
    });
    method!(engine, "keep", |context: NativeCallContext<'_>,
                             b: &mut Mailbox|
     -> Answer<()> {
        b.decide(&context, "keep", |decision| decision.skip = None)
    });
    method!(engine, "note", |context: NativeCallContext<'_>,
                             b: &mut Mailbox,
                             text: &str|
     -> Answer<()> {
        let text = values::line("note", text)?;
        b.decide(&context, "note", |decision| decision.notes.push(text))
    });
}
