//! Attachments.

use rhai::{Engine, ImmutableString};

/// An attachment as scripts see it.
#[derive(Clone)]
pub(crate) struct Attachment {
    pub(crate) name: ImmutableString,
    pub(crate) kind: ImmutableString,
    pub(crate) size: i64,
    pub(crate) inline: bool,
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Attachment>("Attachment");
    engine.register_get("name", |a: &mut Attachment| a.name.clone());
    engine.register_get("type", |a: &mut Attachment| a.kind.clone());
    engine.register_get("size", |a: &mut Attachment| a.size);
    engine.register_get("inline", |a: &mut Attachment| a.inline);
}
