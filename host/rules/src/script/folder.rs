//! `f`, and what messages and failures know of their folder.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Array, Dynamic, Engine, ImmutableString, NativeCallContext};
use whimbrel_model::display_path;

use super::values::{int, line, path, role, role_name, strings, wanted_text};
use super::{Answer, Mailbox, method};
use crate::decision::{FolderDecision, Wanted};
use crate::facts::FolderFacts;
use crate::run::{self, Stop};
use crate::shared::Shared;

/// A folder as scripts see it.
#[derive(Clone)]
pub(crate) struct Folder(pub(crate) Arc<FolderState>);

/// What lies behind it.
pub(crate) struct FolderState {
    pub(crate) shared: Arc<Shared>,
    pub(crate) view: Arc<FolderView>,
    pub(crate) decision: Mutex<FolderDecision>,
}

/// What scripts read of a folder, made once a folder and not once a message.
pub(crate) struct FolderView {
    pub(crate) facts: Arc<FolderFacts>,
    pub(crate) mailbox: Mailbox,
    pub(crate) path: ImmutableString,
    pub(crate) role: ImmutableString,
    lower: String,
}

thread_local! {
    /// The folder that this thread looked at last: messages come folder by folder.
    static LAST: RefCell<Option<Arc<FolderView>>> = const { RefCell::new(None) };
}

impl FolderView {
    /// The view of a folder; the same one as long as the folder is the same.
    pub(crate) fn of(facts: &Arc<FolderFacts>) -> Arc<Self> {
        LAST.with_borrow_mut(|last| match last {
            Some(view) if Arc::ptr_eq(&view.facts, facts) => view.clone(),
            _ => {
                let view = Arc::new(Self::new(facts.clone()));
                *last = Some(view.clone());
                view
            }
        })
    }

    fn new(facts: Arc<FolderFacts>) -> Self {
        let path = display_path(&facts.path);
        Self {
            mailbox: Mailbox::view(facts.mailbox.clone()),
            lower: path.to_lowercase(),
            path: path.into(),
            role: role_name(facts.role).into(),
            facts,
        }
    }

    /// Whether this is the folder or below it; upper and lower case are the same.
    pub(crate) fn within(&self, path: &str) -> bool {
        let mut rest = self.lower.chars();
        let path = path.trim_matches('/');
        if !path
            .chars()
            .flat_map(char::to_lowercase)
            .all(|c| rest.next() == Some(c))
        {
            return false;
        }
        !path.is_empty() && matches!(rest.next(), None | Some('/'))
    }
}

impl Folder {
    fn decide(
        &self,
        context: &NativeCallContext<'_>,
        did: String,
        change: impl FnOnce(&mut FolderDecision),
    ) -> Answer<()> {
        let mut decision = self.0.decision.lock().unwrap_or_else(PoisonError::into_inner);
        if decision.steps.len() >= self.0.shared.limits.steps {
            return Err(run::stop(Stop::Steps));
        }
        decision.steps.push(self.0.shared.step(context, did));
        change(&mut decision);
        Ok(())
    }

    fn facts(&self) -> &FolderFacts {
        &self.0.view.facts
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Folder>("Folder");
    engine.register_get("path", |f: &mut Folder| f.0.view.path.clone());
    engine.register_get("segments", |f: &mut Folder| -> Array { strings(&f.facts().path) });
    engine.register_get("name", |f: &mut Folder| -> ImmutableString {
        f.facts().path.last().map(String::as_str).unwrap_or_default().into()
    });
    engine.register_get("parent", |f: &mut Folder| -> ImmutableString {
        let above = f.facts().path.split_last().map(|(_, above)| above);
        display_path(above.unwrap_or_default()).into()
    });
    engine.register_get("depth", |f: &mut Folder| int(f.facts().path.len() as u64));
    engine.register_get("kind", |f: &mut Folder| {
        ImmutableString::from(f.0.view.facts.kind.to_string())
    });
    engine.register_get("role", |f: &mut Folder| f.0.view.role.clone());
    engine.register_get("items", |f: &mut Folder| f.facts().items.map_or(-1, int));
    engine.register_get("bytes", |f: &mut Folder| f.facts().bytes.map_or(-1, int));
    engine.register_get("subscribed", |f: &mut Folder| f.facts().subscribed);
    engine.register_get("mailbox", |f: &mut Folder| f.0.view.mailbox.clone());
    method!(engine, "in_folder", |f: &mut Folder, path: &str| f.0.view.within(path));
    decisions(engine);
}

fn decisions(engine: &mut Engine) {
    method!(engine, "keep", |context: NativeCallContext<'_>,
                             f: &mut Folder|
     -> Answer<()> {
        f.decide(&context, "keep".to_owned(), |decision| decision.skip = None)
    });
    method!(engine, "skip", |context: NativeCallContext<'_>,
                             f: &mut Folder,
                             reason: &str|
     -> Answer<()> {
        let reason = line("skip", reason)?;
        f.decide(&context, "skip".to_owned(), |decision| decision.skip = Some(reason))
    });
    method!(engine, "move_to", |context: NativeCallContext<'_>,
                                f: &mut Folder,
                                folder: Dynamic|
     -> Answer<()> {
        let place = Wanted::Path(path(&folder)?);
        f.decide(&context, format!("move_to {}", wanted_text(&place)), |decision| {
            decision.place = Some(place)
        })
    });
    method!(engine, "move_to_role", |context: NativeCallContext<'_>,
                                     f: &mut Folder,
                                     name: &str|
     -> Answer<()> {
        let role = role(name)?;
        f.decide(&context, format!("move_to_role {role}"), |decision| {
            decision.place = Some(Wanted::Role(role));
        })
    });
    method!(engine, "subscribe", |context: NativeCallContext<'_>,
                                  f: &mut Folder,
                                  yes: bool|
     -> Answer<()> {
        f.decide(&context, format!("subscribe {yes}"), |decision| {
            decision.subscribe = Some(yes)
        })
    });
    method!(engine, "note", |context: NativeCallContext<'_>,
                             f: &mut Folder,
                             text: &str|
     -> Answer<()> {
        let text = line("note", text)?;
        f.decide(&context, "note".to_owned(), |decision| decision.notes.push(text))
    });
}
