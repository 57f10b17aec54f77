//! One page for people.

use std::fmt::Write as _;

use super::TYPES;
use crate::registry::{Entry, Kind, entries};
use crate::rules::{API_CONSTANT, API_VERSION};

/// The page: hooks, types with their properties and methods, functions. It begins with their version.
pub fn markdown() -> String {
    let mut out = format!("Version {API_VERSION} of the rules (`const {API_CONSTANT} = {API_VERSION};`).\n");
    section(&mut out, "Hooks", "", &all("", |kind| kind == Kind::Hook));
    for (on, about) in TYPES {
        let _ = write!(out, "\n## {on}\n\n{about}\n");
        let properties = all(on, |kind| kind == Kind::Property);
        let asking: Vec<&Entry> = methods(on).into_iter().filter(|entry| !entry.decides).collect();
        let deciding: Vec<&Entry> = methods(on).into_iter().filter(|entry| entry.decides).collect();
        section(&mut out, "", "Properties", &properties);
        section(&mut out, "", "Questions", &asking);
        section(&mut out, "", "Decisions", &deciding);
    }
    section(&mut out, "Functions", "", &all("", |kind| kind == Kind::Function));
    out
}

fn all(on: &str, fits: impl Fn(Kind) -> bool) -> Vec<&'static Entry> {
    entries()
        .iter()
        .filter(|entry| entry.on == on && fits(entry.kind))
        .collect()
}

fn methods(on: &str) -> Vec<&'static Entry> {
    all(on, |kind| kind == Kind::Method)
}

fn section(out: &mut String, title: &str, subtitle: &str, entries: &[&Entry]) {
    if entries.is_empty() {
        return;
    }
    if !title.is_empty() {
        let _ = write!(out, "\n## {title}\n");
    }
    if !subtitle.is_empty() {
        let _ = write!(out, "\n### {subtitle}\n");
    }
    out.push_str("\n| written as | what it means |\n|---|---|\n");
    for entry in entries {
        let written: Vec<String> = entry.signature.split(" or ").map(code).collect();
        let written = if entry.signature.ends_with(" or ()") {
            code(entry.signature)
        } else {
            written.join("<br>")
        };
        let _ = writeln!(out, "| {written} | {} |", cell(entry.doc));
    }
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
