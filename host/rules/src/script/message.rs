//! `m`: its state, and what the listing says of it.

use std::sync::{Arc, Mutex, OnceLock};

use rhai::{Array, Dynamic, Engine, ImmutableString};
use whimbrel_mail::{Content, Head, Structure};

use super::date::Date;
use super::values::{int, strings};
use super::{Answer, FolderView, method};
use crate::decision::Decision;
use crate::facts::MessageFacts;
use crate::mail;
use crate::run::{self, Stop};
use crate::shared::Shared;

/// A message as scripts see it.
#[derive(Clone)]
pub(crate) struct Message(pub(crate) Arc<MessageState>);

/// What lies behind it. Head and structure are read when they are asked for, once.
pub(crate) struct MessageState {
    pub(crate) shared: Arc<Shared>,
    pub(crate) facts: MessageFacts,
    pub(crate) view: Arc<FolderView>,
    pub(crate) content: Option<Arc<dyn Content>>,
    pub(crate) decision: Mutex<Decision>,
    head: OnceLock<Head>,
    structure: OnceLock<Structure>,
    text: OnceLock<ImmutableString>,
}

impl MessageState {
    pub(crate) fn new(shared: Arc<Shared>, facts: MessageFacts, content: Option<Arc<dyn Content>>) -> Self {
        Self {
            shared,
            view: FolderView::of(&facts.folder),
            facts,
            content,
            decision: Mutex::default(),
            head: OnceLock::new(),
            structure: OnceLock::new(),
            text: OnceLock::new(),
        }
    }

    /// The content; where there is none, the run ends here and begins again when there is.
    pub(crate) fn content(&self) -> Answer<&dyn Content> {
        match &self.content {
            Some(content) => Ok(&**content),
            None => Err(run::stop(Stop::NeedsContent)),
        }
    }

    /// The head, read at the first call.
    pub(crate) fn head(&self) -> Answer<&Head> {
        if let Some(head) = self.head.get() {
            return Ok(head);
        }
        let head = Head::read(self.content()?).map_err(|error| run::stop(Stop::Content(error.to_string())))?;
        Ok(self.head.get_or_init(|| head))
    }

    /// The parts, found at the first call.
    pub(crate) fn structure(&self) -> Answer<&Structure> {
        if let Some(structure) = self.structure.get() {
            return Ok(structure);
        }
        let structure =
            mail::structure(self.content()?).map_err(|error| run::stop(Stop::Content(error.to_string())))?;
        Ok(self.structure.get_or_init(|| structure))
    }

    /// The text, decoded at the first call.
    pub(crate) fn text(&self) -> Answer<&ImmutableString> {
        if let Some(text) = self.text.get() {
            return Ok(text);
        }
        let structure = self.structure()?;
        let text = mail::text(self.content()?, structure, self.shared.limits.text_bytes)
            .map_err(|error| run::stop(Stop::Content(error.to_string())))?;
        Ok(self.text.get_or_init(|| text.into()))
    }

    /// Whether it bears a flag or keyword; upper and lower case are the same (RFC 9051, 2.3.2).
    pub(crate) fn has_flag(&self, name: &str) -> bool {
        self.facts.meta.flags.iter().any(|flag| flag.eq_ignore_ascii_case(name))
    }

    /// As [`Self::has_flag`], for a flag with or without its backslash.
    fn has_any_flag(&self, name: &str) -> bool {
        let bare = name.strip_prefix('\\').unwrap_or(name);
        let mut flags = self.facts.meta.flags.iter();
        flags.any(|flag| flag.strip_prefix('\\').unwrap_or(flag).eq_ignore_ascii_case(bare))
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Message>("Message");
    engine.register_get("id", |m: &mut Message| {
        ImmutableString::from(m.0.facts.meta.id.as_str())
    });
    engine.register_get("folder", |m: &mut Message| m.0.view.path.clone());
    engine.register_get("path", |m: &mut Message| -> Array { strings(&m.0.facts.folder.path) });
    engine.register_get("role", |m: &mut Message| m.0.view.role.clone());
    engine.register_get("mailbox", |m: &mut Message| m.0.view.mailbox.clone());
    engine.register_get("size", |m: &mut Message| -> Answer<i64> {
        match m.0.facts.meta.size {
            Some(size) => Ok(int(size)),
            None => Ok(int(m.0.content()?.size())),
        }
    });
    engine.register_get("received", |m: &mut Message| -> Dynamic {
        m.0.facts
            .meta
            .received
            .map_or(Dynamic::UNIT, |at| Dynamic::from(Date::from(at)))
    });
    engine.register_get("flags", |m: &mut Message| -> Array { strings(&m.0.facts.meta.flags) });
    engine.register_get("keywords", |m: &mut Message| -> Array {
        strings(m.0.facts.meta.flags.iter().filter(|flag| !flag.starts_with('\\')))
    });
    engine.register_get("labels", |m: &mut Message| -> Array { strings(&m.0.facts.meta.labels) });
    engine.register_get("seen", |m: &mut Message| m.0.has_flag("\\Seen"));
    engine.register_get("answered", |m: &mut Message| m.0.has_flag("\\Answered"));
    engine.register_get("flagged", |m: &mut Message| m.0.has_flag("\\Flagged"));
    engine.register_get("draft", |m: &mut Message| m.0.has_flag("\\Draft"));
    engine.register_get("deleted", |m: &mut Message| m.0.has_flag("\\Deleted"));
    method!(engine, "has_flag", |m: &mut Message, name: &str| m.0.has_any_flag(name));
    method!(engine, "has_keyword", |m: &mut Message, name: &str| !name
        .starts_with('\\')
        && m.0.has_flag(name));
    method!(engine, "has_label", |m: &mut Message, name: &str| {
        let name = name.to_lowercase();
        m.0.facts.meta.labels.iter().any(|label| label.to_lowercase() == name)
    });
    method!(engine, "in_folder", |m: &mut Message, path: &str| m.0.view.within(path));
}
