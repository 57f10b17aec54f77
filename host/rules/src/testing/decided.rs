//! What `run` gives a test to look at.

use std::sync::Arc;

use bytes::Bytes;
use rhai::{Array, Dynamic, Engine, ImmutableString};
use whimbrel_mail::Head;
use whimbrel_model::Kind;
use whimbrel_pim::{Format, Object};

use crate::compare::place_text;
use crate::decision::{Decision, FailureDecision, FailureVerb, FolderDecision, MailboxDecision, Step};
use crate::script::values::{int, strings};
use crate::script::{Answer, format_of, refuse};

/// A decision as tests see it.
#[derive(Clone)]
pub(super) struct Decided(Arc<Inner>);

struct Inner {
    /// What the kind of item has no word for stays as it is by default.
    decision: Decision,
    subscribe: Option<bool>,
    verb: &'static str,
    stop: Option<String>,
    /// What it is, and its content before the changes.
    content: Option<(Kind, Bytes)>,
}

impl Decided {
    fn inner(decision: Decision) -> Inner {
        Inner {
            verb: if decision.skip.is_some() { "skip" } else { "default" },
            decision,
            subscribe: None,
            stop: None,
            content: None,
        }
    }

    pub(super) fn of_item(decision: Decision, kind: Kind, content: Bytes) -> Self {
        Self(Arc::new(Inner {
            content: Some((kind, content)),
            ..Self::inner(decision)
        }))
    }

    pub(super) fn of_folder(folder: FolderDecision) -> Self {
        let decision = Decision {
            skip: folder.skip,
            place: folder.place,
            notes: folder.notes,
            steps: folder.steps,
            ..Decision::default()
        };
        Self(Arc::new(Inner {
            subscribe: folder.subscribe,
            ..Self::inner(decision)
        }))
    }

    pub(super) fn of_mailbox(mailbox: MailboxDecision) -> Self {
        Self(Arc::new(Self::inner(Decision {
            skip: mailbox.skip,
            notes: mailbox.notes,
            steps: mailbox.steps,
            ..Decision::default()
        })))
    }

    pub(super) fn of_failure(failure: FailureDecision) -> Self {
        let (verb, skip, stop) = match failure.verb {
            FailureVerb::Default => ("default", None, None),
            FailureVerb::Retry => ("retry", None, None),
            FailureVerb::Skip(reason) => ("skip", Some(reason), None),
            FailureVerb::Stop(reason) => ("stop", None, Some(reason)),
        };
        let decision = Decision {
            skip,
            steps: failure.steps,
            ..Decision::default()
        };
        Self(Arc::new(Inner {
            verb,
            stop,
            ..Self::inner(decision)
        }))
    }

    fn decision(&self) -> &Decision {
        &self.0.decision
    }

    /// The head after the edits, and what follows it.
    fn edited(&self) -> Answer<(Head, Bytes)> {
        let Some((Kind::Message, content)) = &self.0.content else {
            return refuse("only a message has headers");
        };
        let before = match Head::read(content) {
            Ok(head) => head,
            Err(error) => return refuse(format!("the message cannot be read: {error}")),
        };
        let body = content.slice(before.len().min(content.len())..);
        match before.apply(&self.decision().edits) {
            Ok(applied) => Ok((Head::parse(applied.head), body)),
            Err(error) => refuse(error.to_string()),
        }
    }

    fn header(&self, name: &str) -> Answer<ImmutableString> {
        let (head, _) = self.edited()?;
        let text = head.first(name).map(|field| field.text().trim().to_owned());
        Ok(text.unwrap_or_default().into())
    }

    fn header_all(&self, name: &str) -> Answer<Array> {
        let (head, _) = self.edited()?;
        Ok(strings(head.all(name).map(|field| field.text().trim().to_owned())))
    }

    /// What a calendar object, a contact or a filter is after the changes.
    fn changed(&self) -> Answer<(Format, Bytes)> {
        let of_kind = |(kind, content): &(Kind, Bytes)| Some((format_of(*kind)?, content.clone()));
        let Some((format, content)) = self.0.content.as_ref().and_then(of_kind) else {
            return refuse("only events, tasks, contacts and filters have properties");
        };
        match whimbrel_pim::apply(format, &content, &self.decision().changes) {
            Ok(Some(edited)) => Ok((format, Bytes::from(edited.bytes))),
            Ok(None) => Ok((format, content)),
            Err(error) => refuse(error.to_string()),
        }
    }

    fn properties(&self, name: &str) -> Answer<Vec<String>> {
        let (format, content) = self.changed()?;
        Ok(Object::read(format, &content).values(name))
    }

    fn content(&self) -> Answer<ImmutableString> {
        match &self.0.content {
            None => return refuse("a mailbox, a folder and a failure have no content"),
            Some((Kind::Message, _)) => {}
            Some(_) => return Ok(String::from_utf8_lossy(&self.changed()?.1).into_owned().into()),
        }
        let (head, body) = self.edited()?;
        let mut all = head.bytes().to_vec();
        all.extend_from_slice(&body);
        Ok(String::from_utf8_lossy(&all).into_owned().into())
    }
}

fn or_unit(text: Option<&String>) -> Dynamic {
    text.map_or(Dynamic::UNIT, |text| {
        Dynamic::from(ImmutableString::from(text.as_str()))
    })
}

/// Each name once, in order.
fn rules(steps: &[Step]) -> Array {
    let mut names: Vec<&str> = Vec::new();
    for step in steps {
        if !names.contains(&step.rule.as_str()) {
            names.push(&step.rule);
        }
    }
    strings(names)
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Decided>("Decision");
    engine.register_get("skip", |d: &mut Decided| or_unit(d.decision().skip.as_ref()));
    engine.register_get("stop", |d: &mut Decided| or_unit(d.0.stop.as_ref()));
    engine.register_get("verb", |d: &mut Decided| ImmutableString::from(d.0.verb));
    engine.register_get("place", |d: &mut Decided| {
        or_unit(d.decision().place.as_ref().map(place_text).as_ref())
    });
    engine.register_get("mailbox", |d: &mut Decided| or_unit(d.decision().mailbox.as_ref()));
    engine.register_get("copies", |d: &mut Decided| -> Array {
        strings(d.decision().copies.iter().map(place_text))
    });
    engine.register_get("set_flags", |d: &mut Decided| -> Array {
        strings(&d.decision().set_flags)
    });
    engine.register_get("clear_flags", |d: &mut Decided| -> Array {
        strings(&d.decision().clear_flags)
    });
    engine.register_get("add_labels", |d: &mut Decided| -> Array {
        strings(&d.decision().add_labels)
    });
    engine.register_get("remove_labels", |d: &mut Decided| -> Array {
        strings(&d.decision().remove_labels)
    });
    engine.register_get("notes", |d: &mut Decided| -> Array { strings(&d.decision().notes) });
    engine.register_get("rules", |d: &mut Decided| -> Array { rules(&d.decision().steps) });
    engine.register_get("steps", |d: &mut Decided| -> Array {
        strings(d.decision().steps.iter().map(|step| &step.did))
    });
    engine.register_get("detach", |d: &mut Decided| -> Dynamic {
        let over = d.decision().detach.map(|detach| int(detach.over));
        over.map_or(Dynamic::UNIT, Dynamic::from)
    });
    engine.register_get("subscribe", |d: &mut Decided| -> Dynamic {
        d.0.subscribe.map_or(Dynamic::UNIT, Dynamic::from)
    });
    engine.register_fn("header", |d: &mut Decided, name: &str| d.header(name));
    engine.register_fn("header_all", |d: &mut Decided, name: &str| d.header_all(name));
    engine.register_fn("property", |d: &mut Decided, name: &str| -> Answer<ImmutableString> {
        Ok(d.properties(name)?.into_iter().next().unwrap_or_default().into())
    });
    engine.register_fn("property_all", |d: &mut Decided, name: &str| -> Answer<Array> {
        Ok(strings(d.properties(name)?))
    });
    engine.register_fn("content", |d: &mut Decided| d.content());
}
