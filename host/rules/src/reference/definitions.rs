//! A definition file for editors.

use std::fmt::Write as _;

use crate::registry::{Entry, Kind, entries};

/// A `.d.rhai` file: `module static;` and a declaration for each property, method and function.
pub fn definitions() -> String {
    let mut out = String::from("module static;\n");
    for entry in entries().iter().filter(|entry| entry.kind != Kind::Hook) {
        for form in forms(entry) {
            let _ = write!(out, "\n/// {}\n{form};\n", entry.doc.replace('\n', " "));
        }
    }
    out
}

/// The declarations of an entry, one for each way to write it.
fn forms(entry: &Entry) -> Vec<String> {
    let (written, gives) = match entry.signature.split_once(" -> ") {
        Some((written, gives)) => (written, result(gives)),
        None if entry.on.is_empty() => (entry.signature, "Period".to_owned()),
        None => (entry.signature, "()".to_owned()),
    };
    if entry.kind == Kind::Property {
        return vec![format!("fn get {}(this: {}) -> {gives}", entry.name, entry.on)];
    }
    written.split(" or ").map(|form| form_of(entry, form, &gives)).collect()
}

fn form_of(entry: &Entry, form: &str, gives: &str) -> String {
    let inner = form
        .split_once('(')
        .and_then(|(_, rest)| rest.rsplit_once(')'))
        .map(|(inner, _)| inner)
        .unwrap_or_default();
    let mut parameters: Vec<String> = Vec::new();
    if !entry.on.is_empty() {
        parameters.push(format!("this: {}", entry.on));
    } else if let Some((receiver, _)) = form.split_once('.')
        && receiver.chars().all(char::is_alphabetic)
    {
        parameters.push(format!("{receiver}: {}", parameter_type(entry, receiver)));
    }
    // An options map is written out in the signature.
    let inner = match inner.split_once("#{") {
        Some((before, _)) => format!("{before}options"),
        None => inner.to_owned(),
    };
    for name in inner.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let name = if name == "bool" { "yes" } else { name };
        parameters.push(format!("{name}: {}", parameter_type(entry, name)));
    }
    format!("fn {}({}) -> {gives}", entry.name, parameters.join(", "))
}

fn parameter_type(entry: &Entry, name: &str) -> &'static str {
    match (entry.name, name) {
        (_, "n") if matches!(entry.name, "kb" | "mb" | "gb") => "int | float",
        (_, "n" | "over_bytes") => "int",
        (_, "options") => "Map",
        (_, "yes") => "bool",
        (_, "array") => "Array",
        ("days_before", "other") => "Date",
        (_, "folder") | ("move_to", "path") => "String | Array",
        _ => "String",
    }
}

/// A result in the words of definition files.
fn result(gives: &str) -> String {
    let one = |gives: &str| match gives {
        "string" => "String".to_owned(),
        "array" => "Array".to_owned(),
        "map" => "Map".to_owned(),
        other => match other.strip_prefix("array of ") {
            Some(_) => "Array".to_owned(),
            None => other.to_owned(),
        },
    };
    gives.split(" or ").map(one).collect::<Vec<_>>().join(" | ")
}
