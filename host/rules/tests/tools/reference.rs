//! The reference: for people, for editors, for programs.

use std::collections::BTreeSet;

use whimbrel_rules::reference::{definitions, entries, markdown};
use whimbrel_rules::registry::Kind;

#[test]
fn the_page_holds_every_entry_once() {
    let page = markdown();
    for entry in entries() {
        let first = entry.signature.split(" or ").next().unwrap().replace('|', "\\|");
        let cell = format!("`{first}");
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| {
                line.starts_with("| ") && line.contains(&cell) && line.contains(&entry.doc.replace('|', "\\|"))
            })
            .collect();
        assert_eq!(rows.len(), 1, "{entry:?}\n{rows:?}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, entries().len());
}

#[test]
fn the_page_is_well_formed() {
    let page = markdown();
    assert!(page.starts_with("Version 1 of the rules"), "{page}");
    for heading in [
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
        "Functions",
    ] {
        assert!(page.contains(&format!("\n## {heading}\n")), "{heading}");
    }
    for part in ["Properties", "Questions", "Decisions"] {
        assert!(page.contains(&format!("\n### {part}\n")), "{part}");
    }
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let bars = row.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 3, "{row}");
        let ticks = row.matches('`').count();
        assert_eq!(ticks % 2, 0, "{row}");
    }
    let decisions = page.split("\n### Decisions\n").nth(1).unwrap();
    let decisions = decisions.split("\n## ").next().unwrap();
    assert!(decisions.contains("m.skip(reason)") && !decisions.contains("m.has_flag"));
}

/// A declaration as the editors' language server reads it.
#[derive(Debug)]
struct Declared {
    getter: bool,
    name: String,
    parameters: Vec<(String, String)>,
    gives: String,
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_type(text: &str) -> bool {
    text.split(" | ").all(|one| one == "()" || is_name(one))
}

/// `fn get size(this: Message) -> int;`
fn declared(line: &str) -> Declared {
    let bad = |what: &str| -> ! { panic!("{what}: {line}") };
    let rest = line.strip_prefix("fn ").unwrap_or_else(|| bad("no function"));
    let rest = rest.strip_suffix(';').unwrap_or_else(|| bad("no semicolon"));
    let (getter, rest) = rest.strip_prefix("get ").map_or((false, rest), |rest| (true, rest));
    let (name, rest) = rest.split_once('(').unwrap_or_else(|| bad("no brackets"));
    let (inner, gives) = rest.split_once(") -> ").unwrap_or_else(|| bad("no result"));
    let parameters: Vec<(String, String)> = inner
        .split(", ")
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| {
            let (name, kind) = parameter.split_once(": ").unwrap_or_else(|| bad("no type"));
            assert!(is_name(name) && is_type(kind), "{line}");
            (name.to_owned(), kind.to_owned())
        })
        .collect();
    assert!(is_name(name) && is_type(gives), "{line}");
    let names: BTreeSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), parameters.len(), "{line}");
    Declared {
        getter,
        name: name.to_owned(),
        parameters,
        gives: gives.to_owned(),
    }
}

#[test]
fn the_definitions_can_be_read_and_hold_every_entry() {
    let text = definitions();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("module static;"));
    let mut all = Vec::new();
    while let Some(line) = lines.next() {
        assert_eq!(line, "");
        let doc = lines.next().unwrap();
        assert!(doc.starts_with("/// ") && doc.len() > 5, "{doc}");
        all.push(declared(lines.next().unwrap()));
    }
    for entry in entries().iter().filter(|entry| entry.kind != Kind::Hook) {
        let forms: Vec<&Declared> = all
            .iter()
            .filter(|one| {
                let this = one
                    .parameters
                    .first()
                    .filter(|(name, _)| name == "this")
                    .map(|(_, kind)| kind.as_str());
                one.name == entry.name && this.unwrap_or_default() == entry.on
            })
            .collect();
        assert!(!forms.is_empty(), "{entry:?}");
        for form in &forms {
            assert_eq!(form.getter, entry.kind == Kind::Property, "{entry:?}");
            assert_eq!(form.gives == "()", entry.decides, "{entry:?} {form:?}");
        }
    }
    for hook in entries().iter().filter(|entry| entry.kind == Kind::Hook) {
        assert!(!all.iter().any(|one| one.name == hook.name && one.parameters.is_empty()));
    }
    let form = |text: &str| assert!(definitions().contains(&format!("\n{text}\n")), "{text}");
    form("fn get recipients(this: Message) -> Array;");
    form("fn get received(this: Message) -> Date | ();");
    form("fn move_to(this: Message, folder: String | Array) -> ();");
    form("fn send_to(this: Message, mailbox: String, folder: String | Array) -> ();");
    form("fn rewrite_domain(this: Message, old: String, new: String, options: Map) -> ();");
    form("fn like(text: String, regex: String) -> bool;");
    form("fn join(array: Array, between: String) -> String;");
    form("fn days(n: int) -> Period;");
}

#[test]
fn entries_are_written_down() {
    let written = serde_json::to_value(entries()).unwrap();
    let skip = written
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["on"] == "Message" && one["name"] == "skip")
        .unwrap();
    assert_eq!(
        *skip,
        serde_json::json!({
            "on": "Message", "name": "skip", "kind": "method", "signature": "m.skip(reason)",
            "doc": "Leaves it out, and counts it as filtered with the reason.", "decides": true,
        })
    );
}
