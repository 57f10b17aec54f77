//! `e`, `t`, `c` and `s`: events, tasks, contacts and filters.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use rhai::{Array, Dynamic, Engine, ImmutableString, NativeCallContext};
use whimbrel_mail::Content;
use whimbrel_model::Kind;
use whimbrel_pim::{Edit, Format, Object, Person};

use super::address::Address;
use super::date::Date;
use super::values::{int, line, path, short, strings, wanted_text};
use super::{Answer, FolderView, method, refuse};
use crate::decision::{Decision, Wanted};
use crate::facts::MessageFacts;
use crate::run::{self, Stop};
use crate::shared::Shared;

type Context<'a> = NativeCallContext<'a>;

/// The form that items of a kind are written in; messages have one of their own.
pub(crate) fn format_of(kind: Kind) -> Option<Format> {
    match kind {
        Kind::Event | Kind::Task => Some(Format::Calendar),
        Kind::Contact => Some(Format::Card),
        Kind::Filter => Some(Format::Sieve),
        Kind::Message | Kind::Note => None,
    }
}

/// The largest item whose content scripts look into; there is more of none that people keep.
const LARGEST: u64 = 16 << 20;

/// What lies behind an item. Its content is read when it is asked for, once.
pub(crate) struct ItemState {
    shared: Arc<Shared>,
    facts: MessageFacts,
    view: Arc<FolderView>,
    format: Format,
    content: Option<Arc<dyn Content>>,
    pub(crate) decision: Mutex<Decision>,
    bytes: OnceLock<Bytes>,
    object: OnceLock<Object>,
}

impl ItemState {
    pub(crate) fn new(
        shared: Arc<Shared>,
        facts: MessageFacts,
        format: Format,
        content: Option<Arc<dyn Content>>,
    ) -> Self {
        Self {
            shared,
            view: FolderView::of(&facts.folder),
            facts,
            format,
            content,
            decision: Mutex::default(),
            bytes: OnceLock::new(),
            object: OnceLock::new(),
        }
    }

    /// The content; where there is none, the run ends here and begins again when there is.
    fn bytes(&self) -> Answer<&Bytes> {
        if let Some(bytes) = self.bytes.get() {
            return Ok(bytes);
        }
        let Some(content) = &self.content else {
            return Err(run::stop(Stop::NeedsContent));
        };
        if content.size() > LARGEST {
            return refuse(format!(
                "it has {} bytes: scripts look into items of at most {LARGEST}",
                content.size()
            ));
        }
        let length = usize::try_from(content.size()).unwrap_or_default();
        let bytes = content
            .read_at(0, length)
            .map_err(|error| run::stop(Stop::Content(error.to_string())))?;
        Ok(self.bytes.get_or_init(|| bytes))
    }

    fn object(&self) -> Answer<&Object> {
        if let Some(object) = self.object.get() {
            return Ok(object);
        }
        let object = Object::read(self.format, self.bytes()?);
        Ok(self.object.get_or_init(|| object))
    }

    /// Whether it is a task, among events.
    pub(crate) fn is_task(&self) -> Answer<bool> {
        Ok(self.object()?.component() == "VTODO")
    }

    fn first(&self, property: &str) -> Answer<ImmutableString> {
        let values = self.object()?.values(property);
        Ok(values.into_iter().next().unwrap_or_default().into())
    }

    fn date(&self, property: &str) -> Answer<Dynamic> {
        let moment = self.object()?.moment(property);
        Ok(moment.map_or(Dynamic::UNIT, |(unix, offset)| Dynamic::from(Date { unix, offset })))
    }

    fn people(&self, property: &str) -> Answer<Array> {
        let people = self.object()?.people(property);
        Ok(people.iter().map(|one| Dynamic::from(address(one))).collect())
    }

    fn decide(&self, context: &Context<'_>, did: String, change: impl FnOnce(&mut Decision)) -> Answer<()> {
        let mut decision = self.decision.lock().unwrap_or_else(PoisonError::into_inner);
        if decision.steps.len() >= self.shared.limits.steps {
            return Err(run::stop(Stop::Steps));
        }
        decision.steps.push(self.shared.step(context, did));
        change(&mut decision);
        Ok(())
    }

    /// A change to the content, checked before it counts.
    fn edit(&self, context: &Context<'_>, did: String, edit: Edit) -> Answer<()> {
        if let Err(error) = edit.check() {
            return refuse(error.to_string());
        }
        self.decide(context, did, |decision| decision.changes.push(edit))
    }
}

fn address(person: &Person) -> Address {
    Address::new(&person.name, &person.address)
}

/// An item as scripts see it, under a name of its own.
trait Item: Clone + Send + Sync + 'static {
    fn state(&self) -> &ItemState;
}

macro_rules! items {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $($(#[$doc])*
        #[derive(Clone)]
        pub(crate) struct $name(pub(crate) Arc<ItemState>);

        impl Item for $name {
            fn state(&self) -> &ItemState {
                &self.0
            }
        })*
    };
}

items! {
    /// A calendar event.
    Event
    /// A task.
    Task
    /// A contact.
    Contact
    /// A mail filter.
    Filter
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Event>("Event");
    any::<Event>(engine);
    object::<Event>(engine);
    calendar::<Event>(engine);
    engine.register_get("start", |e: &mut Event| e.0.date("DTSTART"));
    engine.register_get("end", |e: &mut Event| e.0.date("DTEND"));

    engine.register_type_with_name::<Task>("Task");
    any::<Task>(engine);
    object::<Task>(engine);
    calendar::<Task>(engine);
    engine.register_get("start", |t: &mut Task| t.0.date("DTSTART"));
    engine.register_get("due", |t: &mut Task| t.0.date("DUE"));
    engine.register_get("completed", |t: &mut Task| -> Answer<bool> {
        let done = t.0.first("STATUS")?.eq_ignore_ascii_case("COMPLETED");
        Ok(done || !t.0.first("COMPLETED")?.is_empty())
    });
    engine.register_get("percent", |t: &mut Task| -> Answer<i64> {
        Ok(t.0.first("PERCENT-COMPLETE")?.trim().parse().unwrap_or(0))
    });

    engine.register_type_with_name::<Contact>("Contact");
    any::<Contact>(engine);
    object::<Contact>(engine);
    engine.register_get("name", |c: &mut Contact| c.0.first("FN"));
    engine.register_get("organization", |c: &mut Contact| -> Answer<ImmutableString> {
        Ok(c.0.first("ORG")?.split(';').next().unwrap_or_default().into())
    });
    engine.register_get("emails", |c: &mut Contact| c.0.people("EMAIL"));
    engine.register_get("phones", |c: &mut Contact| -> Answer<Array> {
        Ok(strings(c.0.object()?.values("TEL")))
    });
    engine.register_get("is_group", |c: &mut Contact| -> Answer<bool> {
        let own = c.0.first("KIND")?;
        let kind = if own.is_empty() {
            c.0.first("X-ADDRESSBOOKSERVER-KIND")?
        } else {
            own
        };
        Ok(kind.eq_ignore_ascii_case("group"))
    });

    engine.register_type_with_name::<Filter>("Filter");
    any::<Filter>(engine);
    engine.register_get("name", |s: &mut Filter| {
        let meta = &s.0.facts.meta;
        ImmutableString::from(meta.identity.as_deref().unwrap_or(&meta.id))
    });
    engine.register_get("text", |s: &mut Filter| -> Answer<ImmutableString> {
        Ok(String::from_utf8_lossy(s.0.bytes()?).into_owned().into())
    });
    engine.register_get("requires", |s: &mut Filter| -> Answer<Array> {
        Ok(strings(whimbrel_pim::requires(s.0.bytes()?)))
    });
    method!(engine, "rewrite_string", |context: Context<'_>,
                                       s: &mut Filter,
                                       from: &str,
                                       to: &str|
     -> Answer<()> {
        let did = format!("rewrite_string {} {}", short(from), short(to));
        let (from, to) = (from.to_owned(), to.to_owned());
        s.0.edit(&context, did, Edit::Text { from, to })
    });
}

/// What every item has.
fn any<T: Item>(engine: &mut Engine) {
    engine.register_get("id", |i: &mut T| {
        ImmutableString::from(i.state().facts.meta.id.as_str())
    });
    engine.register_get("folder", |i: &mut T| i.state().view.path.clone());
    engine.register_get("path", |i: &mut T| -> Array { strings(&i.state().facts.folder.path) });
    engine.register_get("mailbox", |i: &mut T| i.state().view.mailbox.clone());
    engine.register_get("flags", |i: &mut T| -> Array { strings(&i.state().facts.meta.flags) });
    engine.register_get("size", |i: &mut T| -> Answer<i64> {
        match i.state().facts.meta.size {
            Some(size) => Ok(int(size)),
            None => Ok(int(i.state().bytes()?.len() as u64)),
        }
    });
    method!(engine, "in_folder", |i: &mut T, path: &str| i.state().view.within(path));
    method!(engine, "keep", |context: Context<'_>, i: &mut T| -> Answer<()> {
        i.state()
            .decide(&context, "keep".to_owned(), |decision| decision.skip = None)
    });
    method!(engine, "skip", |context: Context<'_>,
                             i: &mut T,
                             reason: &str|
     -> Answer<()> {
        let reason = line("skip", reason)?;
        i.state()
            .decide(&context, "skip".to_owned(), |decision| decision.skip = Some(reason))
    });
    method!(engine, "note", |context: Context<'_>,
                             i: &mut T,
                             text: &str|
     -> Answer<()> {
        let text = line("note", text)?;
        i.state()
            .decide(&context, "note".to_owned(), |decision| decision.notes.push(text))
    });
    method!(engine, "move_to", |context: Context<'_>,
                                i: &mut T,
                                folder: Dynamic|
     -> Answer<()> {
        let place = Wanted::Path(path(&folder)?);
        i.state()
            .decide(&context, format!("move_to {}", wanted_text(&place)), |decision| {
                decision.place = Some(place)
            })
    });
    method!(engine, "rewrite_address", |context: Context<'_>,
                                        i: &mut T,
                                        from: &str,
                                        to: &str|
     -> Answer<()> {
        let did = format!("rewrite_address {} {}", short(from), short(to));
        let (from, to) = (from.to_owned(), to.to_owned());
        i.state().edit(&context, did, Edit::Address { from, to })
    });
    method!(engine, "rewrite_domain", |context: Context<'_>,
                                       i: &mut T,
                                       from: &str,
                                       to: &str|
     -> Answer<()> {
        let bare = |domain: &str| domain.strip_prefix('@').unwrap_or(domain).to_owned();
        let (from, to) = (bare(from), bare(to));
        let did = format!("rewrite_domain {} {}", short(&from), short(&to));
        i.state().edit(&context, did, Edit::Domain { from, to })
    });
}

/// What calendar objects and contacts have.
fn object<T: Item>(engine: &mut Engine) {
    engine.register_get("uid", |i: &mut T| i.state().first("UID"));
    engine.register_get("categories", |i: &mut T| -> Answer<Array> {
        let values = i.state().object()?.values("CATEGORIES");
        let each = values.iter().flat_map(|value| value.split(','));
        Ok(strings(each.map(str::trim).filter(|it| !it.is_empty())))
    });
    method!(engine, "property", |i: &mut T, name: &str| i.state().first(name));
    method!(engine, "property_all", |i: &mut T, name: &str| -> Answer<Array> {
        Ok(strings(i.state().object()?.values(name)))
    });
    method!(engine, "has_property", |i: &mut T, name: &str| -> Answer<bool> {
        Ok(!i.state().object()?.values(name).is_empty())
    });
    method!(engine, "set_property", |context: Context<'_>,
                                     i: &mut T,
                                     name: &str,
                                     value: &str|
     -> Answer<()> {
        let (property, value) = (name.to_owned(), value.to_owned());
        i.state().edit(
            &context,
            format!("set_property {}", short(name)),
            Edit::Set { property, value },
        )
    });
    method!(engine, "add_property", |context: Context<'_>,
                                     i: &mut T,
                                     name: &str,
                                     value: &str|
     -> Answer<()> {
        let (property, value) = (name.to_owned(), value.to_owned());
        i.state().edit(
            &context,
            format!("add_property {}", short(name)),
            Edit::Add { property, value },
        )
    });
    method!(engine, "remove_property", |context: Context<'_>,
                                        i: &mut T,
                                        name: &str|
     -> Answer<()> {
        let property = name.to_owned();
        i.state().edit(
            &context,
            format!("remove_property {}", short(name)),
            Edit::Remove { property },
        )
    });
}

/// What events and tasks have.
fn calendar<T: Item>(engine: &mut Engine) {
    engine.register_get("summary", |i: &mut T| i.state().first("SUMMARY"));
    engine.register_get("description", |i: &mut T| i.state().first("DESCRIPTION"));
    engine.register_get("location", |i: &mut T| i.state().first("LOCATION"));
    engine.register_get("status", |i: &mut T| -> Answer<ImmutableString> {
        Ok(i.state().first("STATUS")?.to_lowercase().into())
    });
    engine.register_get("is_private", |i: &mut T| -> Answer<bool> {
        let class = i.state().first("CLASS")?;
        Ok(!class.is_empty() && !class.eq_ignore_ascii_case("PUBLIC"))
    });
    engine.register_get("recurring", |i: &mut T| -> Answer<bool> {
        let object = i.state().object()?;
        Ok(["RRULE", "RDATE"].iter().any(|name| !object.values(name).is_empty()))
    });
    engine.register_get("organizer", |i: &mut T| -> Answer<Address> {
        let people = i.state().object()?.people("ORGANIZER");
        Ok(people.first().map(address).unwrap_or_default())
    });
    engine.register_get("attendees", |i: &mut T| i.state().people("ATTENDEE"));
}
