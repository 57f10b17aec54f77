//! What scripts see: types, their properties and methods, helper functions.

mod address;
mod attachment;
mod date;
mod decide;
mod failure;
mod folder;
mod helpers;
mod item;
mod mailbox;
mod message;
mod read;
pub(crate) mod values;

pub(crate) use date::{Date, parse as parse_date};
pub(crate) use failure::{Failure, FailureState};
pub(crate) use folder::{Folder, FolderState, FolderView};
pub(crate) use item::{Contact, Event, Filter, ItemState, Task, format_of};
pub(crate) use mailbox::{Mailbox, MailboxState};
pub(crate) use message::{Message, MessageState};

use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, Position};

use crate::shared::Shared;

/// The result of a native function.
pub(crate) type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Marks the error values of our own functions, so that they are not taken for a `throw` of the script.
pub(crate) const REFUSED: i32 = 0x5742;

/// A value that a function does not take, in words. Scripts may catch it.
pub(crate) fn refuse<T>(text: impl Into<String>) -> Answer<T> {
    let mut token = Dynamic::from(text.into());
    token.set_tag(REFUSED);
    Err(EvalAltResult::ErrorRuntime(token, Position::NONE).into())
}

/// Registers a method that does not change the value it is called on (decisions lie apart from it), so that it may be
/// called on constants too.
macro_rules! method {
    ($engine:expr, $name:expr, $function:expr) => {
        rhai::FuncRegistration::new($name)
            .with_purity(true)
            .register_into_engine($engine, $function)
    };
}
pub(crate) use method;

/// Registers everything.
pub(crate) fn register(engine: &mut Engine, shared: &Arc<Shared>) {
    mailbox::register(engine);
    folder::register(engine);
    message::register(engine);
    read::register(engine);
    decide::register(engine);
    item::register(engine);
    failure::register(engine);
    address::register(engine);
    attachment::register(engine);
    date::register(engine, shared);
    helpers::register(engine, shared);
}
