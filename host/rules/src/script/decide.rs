//! What a script decides about a message.

use std::sync::PoisonError;

use rhai::{Dynamic, Engine, Map, NativeCallContext};
use whimbrel_mail::Edit;

use super::message::Message;
use super::values::{flag, keyword, label, line, path, role, short, wanted_text};
use super::{Answer, method, refuse};
use crate::decision::{Decision, Detach, Wanted};
use crate::run::{self, Stop};
use crate::suggest::closest;

type Context<'a> = NativeCallContext<'a>;

impl Message {
    fn decide(&self, context: &Context<'_>, did: String, change: impl FnOnce(&mut Decision)) -> Answer<()> {
        let mut decision = self.0.decision.lock().unwrap_or_else(PoisonError::into_inner);
        if decision.steps.len() >= self.0.shared.limits.steps {
            return Err(run::stop(Stop::Steps));
        }
        decision.steps.push(self.0.shared.step(context, did));
        change(&mut decision);
        Ok(())
    }

    /// One of two lists gets the name and the other loses it; upper and lower case are the same.
    fn mark(
        &self,
        context: &Context<'_>,
        verb: &str,
        name: String,
        lists: impl FnOnce(&mut Decision) -> (&mut Vec<String>, &mut Vec<String>),
    ) -> Answer<()> {
        self.decide(context, format!("{verb} {}", short(&name)), |decision| {
            let (into, out_of) = lists(decision);
            let lower = name.to_lowercase();
            out_of.retain(|known| known.to_lowercase() != lower);
            if !into.iter().any(|known| known.to_lowercase() == lower) {
                into.push(name);
            }
        })
    }
}

fn set_lists(decision: &mut Decision) -> (&mut Vec<String>, &mut Vec<String>) {
    (&mut decision.set_flags, &mut decision.clear_flags)
}

fn clear_lists(decision: &mut Decision) -> (&mut Vec<String>, &mut Vec<String>) {
    (&mut decision.clear_flags, &mut decision.set_flags)
}

pub(super) fn register(engine: &mut Engine) {
    fate(engine);
    places(engine);
    marks(engine);
    heads(engine);
    rewriting(engine);
}

fn fate(engine: &mut Engine) {
    method!(engine, "keep", |context: Context<'_>, m: &mut Message| -> Answer<()> {
        m.decide(&context, "keep".to_owned(), |decision| decision.skip = None)
    });
    method!(engine, "skip", |context: Context<'_>,
                             m: &mut Message,
                             reason: &str|
     -> Answer<()> {
        let reason = line("skip", reason)?;
        m.decide(&context, "skip".to_owned(), |decision| decision.skip = Some(reason))
    });
    method!(engine, "note", |context: Context<'_>,
                             m: &mut Message,
                             text: &str|
     -> Answer<()> {
        let text = line("note", text)?;
        m.decide(&context, "note".to_owned(), |decision| decision.notes.push(text))
    });
}

fn mailbox_name(name: &str) -> Answer<String> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return refuse(format!("\"{}\" cannot be a mailbox", short(name)));
    }
    Ok(name.to_owned())
}

fn places(engine: &mut Engine) {
    method!(engine, "move_to", |context: Context<'_>,
                                m: &mut Message,
                                folder: Dynamic|
     -> Answer<()> {
        let place = Wanted::Path(path(&folder)?);
        m.decide(&context, format!("move_to {}", wanted_text(&place)), |decision| {
            decision.place = Some(place)
        })
    });
    method!(engine, "move_to_role", |context: Context<'_>,
                                     m: &mut Message,
                                     name: &str|
     -> Answer<()> {
        let role = role(name)?;
        m.decide(&context, format!("move_to_role {role}"), |decision| {
            decision.place = Some(Wanted::Role(role));
        })
    });
    method!(engine, "copy_to", |context: Context<'_>,
                                m: &mut Message,
                                folder: Dynamic|
     -> Answer<()> {
        let place = Wanted::Path(path(&folder)?);
        m.decide(&context, format!("copy_to {}", wanted_text(&place)), |decision| {
            if !decision.copies.contains(&place) {
                decision.copies.push(place);
            }
        })
    });
    method!(engine, "send_to", |context: Context<'_>,
                                m: &mut Message,
                                mailbox: &str|
     -> Answer<()> {
        let mailbox = mailbox_name(mailbox)?;
        m.decide(&context, format!("send_to {}", short(&mailbox)), |decision| {
            decision.mailbox = Some(mailbox)
        })
    });
    method!(engine, "send_to", |context: Context<'_>,
                                m: &mut Message,
                                mailbox: &str,
                                folder: Dynamic|
     -> Answer<()> {
        let mailbox = mailbox_name(mailbox)?;
        let place = Wanted::Path(path(&folder)?);
        let did = format!("send_to {}, {}", short(&mailbox), wanted_text(&place));
        m.decide(&context, did, |decision| {
            decision.mailbox = Some(mailbox);
            decision.place = Some(place);
        })
    });
}

fn marks(engine: &mut Engine) {
    method!(engine, "set_flag", |context: Context<'_>,
                                 m: &mut Message,
                                 name: &str|
     -> Answer<()> {
        m.mark(&context, "set_flag", flag(name)?, set_lists)
    });
    method!(engine, "clear_flag", |context: Context<'_>,
                                   m: &mut Message,
                                   name: &str|
     -> Answer<()> {
        m.mark(&context, "clear_flag", flag(name)?, clear_lists)
    });
    method!(engine, "add_keyword", |context: Context<'_>,
                                    m: &mut Message,
                                    name: &str|
     -> Answer<()> {
        m.mark(&context, "add_keyword", keyword(name)?, set_lists)
    });
    method!(engine, "remove_keyword", |context: Context<'_>,
                                       m: &mut Message,
                                       name: &str|
     -> Answer<()> {
        m.mark(&context, "remove_keyword", keyword(name)?, clear_lists)
    });
    method!(engine, "add_label", |context: Context<'_>,
                                  m: &mut Message,
                                  name: &str|
     -> Answer<()> {
        m.mark(&context, "add_label", label(name)?, |decision| {
            (&mut decision.add_labels, &mut decision.remove_labels)
        })
    });
    method!(engine, "remove_label", |context: Context<'_>,
                                     m: &mut Message,
                                     name: &str|
     -> Answer<()> {
        m.mark(&context, "remove_label", label(name)?, |decision| {
            (&mut decision.remove_labels, &mut decision.add_labels)
        })
    });
}

impl Message {
    /// A change to the head, checked before it counts.
    fn edit(&self, context: &Context<'_>, did: String, edit: Edit) -> Answer<()> {
        if let Err(error) = edit.check() {
            return refuse(error.to_string());
        }
        self.decide(context, did, |decision| decision.edits.push(edit))
    }
}

fn heads(engine: &mut Engine) {
    method!(engine, "set_header", |context: Context<'_>,
                                   m: &mut Message,
                                   name: &str,
                                   value: &str|
     -> Answer<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        m.edit(
            &context,
            format!("set_header {}", short(&name)),
            Edit::Set { name, value },
        )
    });
    method!(engine, "add_header", |context: Context<'_>,
                                   m: &mut Message,
                                   name: &str,
                                   value: &str|
     -> Answer<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        m.edit(
            &context,
            format!("add_header {}", short(&name)),
            Edit::Add { name, value },
        )
    });
    method!(engine, "remove_header", |context: Context<'_>,
                                      m: &mut Message,
                                      name: &str|
     -> Answer<()> {
        let name = name.to_owned();
        m.edit(
            &context,
            format!("remove_header {}", short(&name)),
            Edit::Remove { name },
        )
    });
    method!(engine, "rewrite_header", |context: Context<'_>,
                                       m: &mut Message,
                                       name: &str,
                                       from: &str,
                                       to: &str|
     -> Answer<()> {
        let (name, from, to) = (name.to_owned(), from.to_owned(), to.to_owned());
        m.edit(
            &context,
            format!("rewrite_header {}", short(&name)),
            Edit::Replace { name, from, to },
        )
    });
}

/// What the options map of rewriting and detaching says.
#[derive(Default)]
struct How {
    signed: bool,
    headers: Option<Vec<String>>,
}

fn how(verb: &str, options: &Map, known: &[&str]) -> Answer<How> {
    let mut how = How::default();
    for (key, value) in options {
        match key.as_str() {
            "signed" if known.contains(&"signed") => match value.as_bool() {
                Ok(signed) => how.signed = signed,
                Err(found) => return refuse(format!("{verb}: signed is true or false, not {found}")),
            },
            "headers" if known.contains(&"headers") => {
                let Ok(array) = value.as_array_ref() else {
                    return refuse(format!(
                        "{verb}: headers is an array of names, not {}",
                        value.type_name()
                    ));
                };
                let mut names = Vec::with_capacity(array.len());
                for item in array.iter() {
                    match item.as_immutable_string_ref() {
                        Ok(name) => names.push(name.to_string()),
                        Err(found) => return refuse(format!("{verb}: headers is an array of names, not of {found}")),
                    }
                }
                how.headers = Some(names);
            }
            key => {
                let near = closest(key, known.iter().copied()).map(|near| format!("; did you mean \"{near}\"?"));
                let text = format!("{verb} has no option \"{}\"{}", short(key), near.unwrap_or_default());
                return refuse(text);
            }
        }
    }
    Ok(how)
}

fn rewrite_address(context: &Context<'_>, m: &Message, from: &str, to: &str, options: &Map) -> Answer<()> {
    let How { signed, headers } = how("rewrite_address", options, &["signed", "headers"])?;
    let (from, to) = (from.to_owned(), to.to_owned());
    let did = format!("rewrite_address {} {}", short(&from), short(&to));
    m.edit(
        context,
        did,
        Edit::Address {
            from,
            to,
            headers,
            signed,
        },
    )
}

fn rewrite_domain(context: &Context<'_>, m: &Message, from: &str, to: &str, options: &Map) -> Answer<()> {
    let How { signed, headers } = how("rewrite_domain", options, &["signed", "headers"])?;
    let bare = |domain: &str| domain.strip_prefix('@').unwrap_or(domain).to_owned();
    let (from, to) = (bare(from), bare(to));
    let did = format!("rewrite_domain {} {}", short(&from), short(&to));
    m.edit(
        context,
        did,
        Edit::Domain {
            from,
            to,
            headers,
            signed,
        },
    )
}

fn detach(context: &Context<'_>, m: &Message, over: i64, options: &Map) -> Answer<()> {
    let how = how("detach", options, &["signed"])?;
    if !m.0.shared.attachments {
        return refuse("detach needs a place for the files: set [rules.attachments] in the settings file");
    }
    let Ok(over) = u64::try_from(over) else {
        return refuse(format!("detach({over}): the size cannot be below zero"));
    };
    let detach = Detach {
        over,
        signed: how.signed,
    };
    m.decide(context, format!("detach {over}"), |decision| {
        decision.detach = Some(detach)
    })
}

fn rewriting(engine: &mut Engine) {
    method!(engine, "rewrite_address", |context: Context<'_>,
                                        m: &mut Message,
                                        from: &str,
                                        to: &str|
     -> Answer<()> {
        rewrite_address(&context, m, from, to, &Map::new())
    });
    method!(engine, "rewrite_address", |context: Context<'_>,
                                        m: &mut Message,
                                        from: &str,
                                        to: &str,
                                        options: Map|
     -> Answer<()> {
        rewrite_address(&context, m, from, to, &options)
    });
    method!(engine, "rewrite_domain", |context: Context<'_>,
                                       m: &mut Message,
                                       from: &str,
                                       to: &str|
     -> Answer<()> {
        rewrite_domain(&context, m, from, to, &Map::new())
    });
    method!(engine, "rewrite_domain", |context: Context<'_>,
                                       m: &mut Message,
                                       from: &str,
                                       to: &str,
                                       options: Map|
     -> Answer<()> {
        rewrite_domain(&context, m, from, to, &options)
    });
    method!(engine, "detach", |context: Context<'_>,
                               m: &mut Message,
                               over: i64|
     -> Answer<()> {
        detach(&context, m, over, &Map::new())
    });
    method!(engine, "detach", |context: Context<'_>,
                               m: &mut Message,
                               over: i64,
                               options: Map|
     -> Answer<()> {
        detach(&context, m, over, &options)
    });
}
