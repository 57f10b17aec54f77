//! What is known of the type of a value.

use crate::explain::type_in_words;
use crate::rules::Hook;

/// The type of a value, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// No value comes here: the code before it ended.
    Never,
    /// Anything.
    Unknown,
    /// `()`.
    Unit,
    Bool,
    Int,
    Float,
    Char,
    Text,
    /// With the type of its elements.
    Array(Box<Type>),
    Map,
    Function,
    Range,
    /// One of the registry's, or `Period`.
    Own(&'static str),
    /// The parameter of `mailbox(b)`: the one mailbox that can be decided about.
    HookMailbox,
    /// The type, or `()`.
    Maybe(Box<Type>),
}

/// Names of types that scripts see.
const OWN: [&str; 12] = [
    "Message",
    "Event",
    "Task",
    "Contact",
    "Filter",
    "Folder",
    "Mailbox",
    "Failure",
    "Address",
    "Attachment",
    "Date",
    "Period",
];

impl Type {
    /// What the parameter of a hook is.
    pub(super) fn of_hook(hook: Hook) -> Self {
        match hook {
            Hook::Mailbox => Type::HookMailbox,
            Hook::Folder => Type::Own("Folder"),
            Hook::Message => Type::Own("Message"),
            Hook::Event => Type::Own("Event"),
            Hook::Task => Type::Own("Task"),
            Hook::Contact => Type::Own("Contact"),
            Hook::Filter => Type::Own("Filter"),
            Hook::Failure => Type::Own("Failure"),
        }
    }

    /// From the words of the registry, as `array of Address` or `Date or ()`.
    pub(super) fn of_signature(text: &str) -> Self {
        let text = text.trim();
        if let Some(inner) = text.strip_suffix(" or ()") {
            return Type::Maybe(Box::new(Self::of_signature(inner)));
        }
        if let Some(inner) = text.strip_prefix("array of ") {
            return Type::Array(Box::new(Self::of_signature(inner)));
        }
        Self::of_native(text).unwrap_or(Type::Unknown)
    }

    /// From the name that the engine gives a parameter or a result; None where no script has such a value.
    pub(super) fn of_native(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("&mut ").unwrap_or(text).trim();
        for before in ["RhaiResultOf<", "core::result::Result<"] {
            if let Some(inner) = text.strip_prefix(before) {
                let end = if before.starts_with('R') {
                    inner.rfind('>')
                } else {
                    inner.rfind(", ")
                };
                return Self::of_native(inner.get(..end?)?);
            }
        }
        Some(match text {
            "()" => Type::Unit,
            "bool" => Type::Bool,
            "INT" | "i64" | "int" => Type::Int,
            "FLOAT" | "f64" | "float" => Type::Float,
            "char" => Type::Char,
            "&str" | "ImmutableString" | "String" | "string" => Type::Text,
            "rhai::types::immutable_string::ImmutableString" => Type::Text,
            "Array" | "array" | "alloc::vec::Vec<rhai::types::dynamic::Dynamic>" => {
                Type::Array(Box::new(Type::Unknown))
            }
            "Map" | "map" => Type::Map,
            "FnPtr" => Type::Function,
            "ExclusiveRange" | "InclusiveRange" => Type::Range,
            "Dynamic" | "types::dynamic::Dynamic" | "rhai::types::dynamic::Dynamic" | "RhaiResult" | "" => {
                Type::Unknown
            }
            other => {
                let last = other.rsplit("::").next().unwrap_or(other);
                Type::Own(OWN.into_iter().find(|own| *own == last)?)
            }
        })
    }

    /// An array of such elements. Arrays in arrays are known to some depth only: a script may nest them without end.
    pub(super) fn array(element: Type) -> Self {
        const MOST_NESTED: usize = 4;
        let mut inner = &element;
        for _ in 0..MOST_NESTED {
            match inner.present() {
                Type::Array(next) => inner = next,
                _ => return Type::Array(Box::new(element)),
            }
        }
        Type::Array(Box::new(Type::Unknown))
    }

    /// The name of the registry's type.
    pub(super) fn own(&self) -> Option<&'static str> {
        match self {
            Type::Own(name) => Some(name),
            Type::HookMailbox => Some("Mailbox"),
            _ => None,
        }
    }

    /// Without the possibility that it is `()`.
    pub(super) fn present(&self) -> &Type {
        match self {
            Type::Maybe(inner) => inner,
            other => other,
        }
    }

    /// Whether anything is known.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self, Type::Unknown | Type::Never)
    }

    /// What a value is that comes from here or from there.
    pub(super) fn join(&self, other: &Type) -> Type {
        match (self, other) {
            (a, b) if a == b => a.clone(),
            (Type::Never, known) | (known, Type::Never) => known.clone(),
            (Type::Unknown, _) | (_, Type::Unknown) => Type::Unknown,
            (Type::Maybe(a), Type::Unit) | (Type::Unit, Type::Maybe(a)) => Type::Maybe(a.clone()),
            (Type::Maybe(a), b) => maybe(a.join(b.present())),
            (a, Type::Maybe(b)) => maybe(a.join(b)),
            (Type::Unit, known) | (known, Type::Unit) => Type::Maybe(Box::new(known.clone())),
            (Type::Array(a), Type::Array(b)) => Type::Array(Box::new(a.join(b))),
            // The more that may be done, the fewer alarms.
            (a, b) if a.own() == Some("Mailbox") && b.own() == Some("Mailbox") => Type::HookMailbox,
            _ => Type::Unknown,
        }
    }

    /// Whether a parameter of this type takes a value; where that is not known, it does.
    pub(super) fn takes(&self, value: &Type) -> bool {
        match (self, value) {
            (Type::Unknown, _) | (_, Type::Unknown | Type::Never) => true,
            (Type::Array(_), Type::Array(_)) => true,
            (parameter, Type::Maybe(inner)) => parameter.takes(inner) || *parameter == Type::Unit,
            (parameter, value) if parameter.own().is_some() => parameter.own() == value.own(),
            (parameter, value) => parameter == value,
        }
    }

    /// Whether `==` between the two can be true. Whole numbers and fractions, strings and characters are compared.
    pub(super) fn can_equal(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Unknown | Type::Never, _) | (_, Type::Unknown | Type::Never) => true,
            (Type::Maybe(a), Type::Maybe(_)) => a.can_equal(other.present()) || a.own().is_none(),
            (Type::Maybe(a), b) | (b, Type::Maybe(a)) => *b == Type::Unit || a.can_equal(b),
            (Type::Int | Type::Float, Type::Int | Type::Float) => true,
            (Type::Text | Type::Char, Type::Text | Type::Char) => true,
            (Type::Own("Address"), Type::Text) | (Type::Text, Type::Own("Address")) => true,
            (Type::Array(_), Type::Array(_)) => true,
            (a, b) if a.own().is_some() || b.own().is_some() => a.own() == b.own(),
            (a, b) => a == b,
        }
    }

    /// As people call it.
    pub(super) fn words(&self) -> String {
        let name = match self {
            Type::Never | Type::Unknown => "something",
            Type::Unit => "()",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Float => "float",
            Type::Char => "char",
            Type::Text => "string",
            Type::Array(_) => "array",
            Type::Map => "map",
            Type::Function => "Fn",
            Type::Range => "range",
            Type::Own(name) => name,
            Type::HookMailbox => "Mailbox",
            Type::Maybe(inner) => return inner.words(),
        };
        type_in_words(name).to_owned()
    }
}

/// `()` or a value of the type.
pub(super) fn maybe(inner: Type) -> Type {
    match inner {
        Type::Unknown | Type::Never | Type::Unit | Type::Maybe(_) => inner,
        inner => Type::Maybe(Box::new(inner)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Kind, entries};

    #[test]
    fn the_words_of_the_registry_are_understood() {
        for entry in entries().iter().filter(|entry| entry.kind != Kind::Hook) {
            if let Some((_, gives)) = entry.signature.split_once(" -> ") {
                assert!(Type::of_signature(gives).is_known(), "{entry:?}");
            }
        }
        let recipients = Type::of_signature("array of Address");
        assert_eq!(recipients, Type::Array(Box::new(Type::Own("Address"))));
        assert_eq!(Type::of_signature("Date or ()"), maybe(Type::Own("Date")));
    }

    #[test]
    fn joining_loses_no_possibility() {
        let (message, folder) = (Type::Own("Message"), Type::Own("Folder"));
        assert_eq!(message.join(&folder), Type::Unknown);
        assert_eq!(message.join(&Type::Never), message);
        assert_eq!(Type::Unit.join(&message), maybe(message.clone()));
        assert_eq!(maybe(message).join(&folder), Type::Unknown);
        assert_eq!(Type::HookMailbox.join(&Type::Own("Mailbox")), Type::HookMailbox);
    }
}
