//! Addresses of senders and recipients.

use std::fmt;
use std::sync::Arc;

use rhai::{Engine, ImmutableString};

use super::method;

/// An address as scripts see it.
#[derive(Clone, Default)]
pub(crate) struct Address(Arc<Parts>);

#[derive(Default)]
struct Parts {
    name: ImmutableString,
    address: ImmutableString,
    local: ImmutableString,
    domain: ImmutableString,
}

impl Address {
    pub(crate) fn new(name: &str, address: &str) -> Self {
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        Self(Arc::new(Parts {
            name: name.into(),
            address: address.into(),
            local: local.into(),
            domain: domain.to_lowercase().into(),
        }))
    }

    /// Upper and lower case are the same.
    pub(crate) fn is(&self, address: &str) -> bool {
        self.0.address.to_lowercase() == address.trim().to_lowercase()
    }

    /// Whether it equals a text, or lies in the domain where the text begins with `@`.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text = text.trim();
        match text.strip_prefix('@') {
            Some(domain) => !domain.is_empty() && *self.0.domain == *domain.to_lowercase(),
            None => !text.is_empty() && self.is(text),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.name.is_empty() {
            f.write_str(&self.0.address)
        } else {
            write!(f, "{} <{}>", self.0.name, self.0.address)
        }
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Address>("Address");
    engine.register_get("address", |a: &mut Address| a.0.address.clone());
    engine.register_get("name", |a: &mut Address| a.0.name.clone());
    engine.register_get("local", |a: &mut Address| a.0.local.clone());
    engine.register_get("domain", |a: &mut Address| a.0.domain.clone());
    method!(engine, "to_string", |a: &mut Address| a.to_string());
    method!(engine, "to_debug", |a: &mut Address| a.to_string());
    engine.register_fn("==", |a: Address, b: Address| a.is(&b.0.address));
    engine.register_fn("!=", |a: Address, b: Address| !a.is(&b.0.address));
    engine.register_fn("==", |a: Address, b: &str| a.is(b));
    engine.register_fn("!=", |a: Address, b: &str| !a.is(b));
    engine.register_fn("==", |a: &str, b: Address| b.is(a));
    engine.register_fn("!=", |a: &str, b: Address| !b.is(a));
}
