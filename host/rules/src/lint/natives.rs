//! What the engine knows: the language's own functions and those of the registry, with the types that they take.

use std::collections::HashMap;

use rhai::Engine;

use super::types::Type;

/// How a property's function is called.
const GETTER: &str = "get$";

/// Words that the language itself understands as functions.
const WORDS: [&str; 11] = [
    "print",
    "debug",
    "type_of",
    "Fn",
    "call",
    "curry",
    "is_def_fn",
    "is_def_var",
    "is_shared",
    "to_debug",
    "range",
];

/// Functions of arrays and maps that change nothing though they could.
const ONLY_ASK: [&str; 20] = [
    "all",
    "contains",
    "extract",
    "filter",
    "find",
    "find_map",
    "get",
    "index_of",
    "is_empty",
    "join",
    "keys",
    "len",
    "map",
    "reduce",
    "reduce_rev",
    "some",
    "split",
    "split_rev",
    "to_string",
    "values",
];

/// One form of a function.
#[derive(Debug, Clone)]
pub(super) struct Native {
    /// None where no script has a value of such a type.
    parameters: Vec<Option<Type>>,
    /// It may change what it is called on.
    changes: bool,
    pub(super) result: Type,
    /// Nothing is known of its parameters.
    opaque: bool,
}

impl Native {
    fn takes_first(&self, value: &Type) -> bool {
        self.opaque || matches!(self.parameters.first(), Some(Some(first)) if first.takes(value))
    }

    fn takes(&self, values: &[Type]) -> bool {
        self.opaque
            || self.parameters.len() == values.len()
                && self
                    .parameters
                    .iter()
                    .zip(values)
                    .all(|(parameter, value)| parameter.as_ref().is_some_and(|parameter| parameter.takes(value)))
    }

    /// Whether it is called for its result alone.
    pub(super) fn only_asks(&self, name: &str) -> bool {
        self.result != Type::Unit && !WORDS.contains(&name) && (!self.changes || ONLY_ASK.contains(&name))
    }

    /// Whether it is called for what it does to its first parameter.
    pub(super) fn only_changes(&self) -> bool {
        self.changes && self.result == Type::Unit
    }
}

/// How well a call fits.
pub(super) enum Fit<'a> {
    /// These forms take it.
    Fits(Vec<&'a Native>),
    /// No form has so many values.
    Count,
    /// Forms with so many values take other types.
    Types,
    /// No form begins with such a value.
    Unknown,
}

/// All functions and properties.
pub(super) struct Natives {
    functions: HashMap<String, Vec<Native>>,
    properties: HashMap<String, Vec<Native>>,
}

impl Natives {
    pub(super) fn of(engine: &Engine) -> Self {
        let mut natives = Self {
            functions: HashMap::new(),
            properties: HashMap::new(),
        };
        let told = engine.collect_fn_metadata(
            None,
            |info| {
                let about = info.metadata;
                let parameters: Vec<String> = about.params_info.iter().map(ToString::to_string).collect();
                Some((about.name.to_string(), parameters, about.return_type.to_string()))
            },
            true,
        );
        for (name, parameters, result) in told {
            let types = parameters
                .iter()
                .map(|text| text.split_once(": ").map_or(text.as_str(), |(_, kind)| kind));
            let types: Vec<Option<Type>> = types.map(Type::of_native).collect();
            // What is decided about an item lies apart from it.
            let may_change = matches!(
                types.first(),
                Some(Some(Type::Array(_) | Type::Map | Type::Text | Type::Char))
            );
            let native = Native {
                changes: may_change && parameters.first().is_some_and(|first| first.contains("&mut ")),
                opaque: parameters.is_empty() && result.is_empty(),
                parameters: types,
                result: Type::of_native(&result).unwrap_or(Type::Unknown),
            };
            match name.strip_prefix(GETTER) {
                Some(name) => natives.properties.entry(name.to_owned()).or_default().push(native),
                None => natives.functions.entry(name).or_default().push(native),
            }
        }
        natives
    }

    /// Whether the language treats the name in a way of its own.
    pub(super) fn is_word(name: &str) -> bool {
        WORDS.contains(&name)
    }

    /// The forms that take the values. `method` asks for the first one by its type before it counts the others.
    pub(super) fn fit(&self, name: &str, values: &[Type], method: bool) -> Fit<'_> {
        let all = self.functions.get(name).map(Vec::as_slice).unwrap_or_default();
        let begins: Vec<&Native> = match values.first() {
            Some(first) if method => all.iter().filter(|native| native.takes_first(first)).collect(),
            _ => all.iter().collect(),
        };
        if begins.is_empty() {
            return Fit::Unknown;
        }
        let fits: Vec<&Native> = begins.iter().copied().filter(|native| native.takes(values)).collect();
        if !fits.is_empty() {
            return Fit::Fits(fits);
        }
        if begins.iter().any(|native| native.parameters.len() == values.len()) {
            Fit::Types
        } else {
            Fit::Count
        }
    }

    /// How many values the forms take that begin with a type, in words.
    pub(super) fn counts(&self, name: &str, first: Option<&Type>) -> Vec<usize> {
        let all = self.functions.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut counts: Vec<usize> = all
            .iter()
            .filter(|native| !native.opaque && first.is_none_or(|first| native.takes_first(first)))
            .map(|native| native.parameters.len() - usize::from(first.is_some()))
            .collect();
        counts.sort_unstable();
        counts.dedup();
        counts
    }

    /// The type of a property; None where the value has none of that name.
    pub(super) fn property(&self, name: &str, of: &Type) -> Option<Type> {
        let all = self.properties.get(name)?;
        let found = all.iter().filter(|native| native.takes_first(of));
        found.map(|native| native.result.clone()).reduce(|a, b| a.join(&b))
    }

    /// Names of the properties of a type, and of the functions that begin with one.
    pub(super) fn names_of(&self, of: &Type) -> Vec<&str> {
        let exact = |native: &Native| {
            let first = native.parameters.first().and_then(Option::as_ref);
            first.is_some_and(|first| first.is_known() && first.takes(of))
        };
        let mut names: Vec<&str> = self
            .properties
            .iter()
            .chain(&self.functions)
            .filter(|(name, all)| is_name(name) && all.iter().any(exact))
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Names of all functions.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .functions
            .keys()
            .map(String::as_str)
            .filter(|name| is_name(name))
            .collect();
        names.sort_unstable();
        names
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_') && !name.contains('$')
}
