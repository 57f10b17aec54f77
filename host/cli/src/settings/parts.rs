//! What is moved of each mailbox, and between which connectors: `[source]` and `[destination]`, and `[part.NAME]`.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;
use whimbrel_model::Kind;

use super::read::{self, Findings, nearest};
use super::{Account, Mailbox, Side, account, section, side};
use crate::problem::Place;

/// What is moved of each mailbox between two connectors.
pub struct Part {
    /// Its name; none for the first one, which the settings do not name.
    pub name: Option<String>,
    /// Where it comes from.
    pub source: Side,
    /// Where it goes.
    pub destination: Side,
    /// What is moved; none: whatever both connectors hold.
    pub kinds: Option<Vec<Kind>>,
}

/// A mailbox as the settings tell of it, before each of its parts becomes one.
pub struct Whole {
    /// The admin's name for it.
    pub name: String,
    /// What rules are told about it.
    pub attributes: BTreeMap<String, String>,
    /// Where it is defined.
    pub place: Place,
    /// For each part of the settings, in their order.
    pub parts: Vec<Own>,
}

/// What a mailbox says of one of its parts.
#[derive(Clone, Default)]
pub struct Own {
    /// The account at the source.
    pub source: Account,
    /// The account at the destination.
    pub destination: Account,
    /// Whether it has no such part.
    pub skip: bool,
}

/// All parts of the settings, the first one first. None where that cannot be read.
pub fn read(findings: &mut Findings, base: &Path, file: &DeTable<'_>) -> Option<Vec<Part>> {
    let first = Part {
        name: None,
        source: side(findings, base, file, "source", None)?,
        destination: side(findings, base, file, "destination", None)?,
        kinds: kinds(findings, section(file, "migration")?),
    };
    let mut parts = vec![first];
    for (name, value) in section(file, "part").into_iter().flatten() {
        let Some(table) = value.get_ref().as_table() else {
            continue;
        };
        let word = name.get_ref().trim();
        if !named_well(word) {
            findings.wrong(
                format!("a part cannot be called `{}`", word.escape_debug()),
                name.span(),
                "this name",
                "use letters, digits, - and _, and none of the words name, source, destination and attribute: calendars, e.g.",
            );
            continue;
        }
        if !table.contains_key("source") && !table.contains_key("destination") {
            findings.wrong(
                format!("`[part.{word}]` names no connector of its own"),
                name.span(),
                "this part",
                format!("add a section [part.{word}.source], or [part.{word}.destination], or both"),
            );
            continue;
        }
        let mut one = |which: &'static str, of_first: &Side| match table.contains_key(which) {
            true => side(findings, base, table, which, Some(word)),
            false => Some(of_first.clone()),
        };
        let (Some(source), Some(destination)) = (
            one("source", &parts[0].source),
            one("destination", &parts[0].destination),
        ) else {
            continue;
        };
        parts.push(Part {
            name: Some(word.to_owned()),
            source,
            destination,
            kinds: kinds(findings, table),
        });
    }
    Some(parts)
}

/// Fit for a column of a CSV file, and for a terminal.
fn named_well(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 50
        && name
            .chars()
            .all(|one| one.is_alphanumeric() || matches!(one, '-' | '_'))
        && !["name", "source", "destination", "attribute"].contains(&name)
}

fn kinds(findings: &mut Findings, table: &DeTable<'_>) -> Option<Vec<Kind>> {
    let value = table.get("kinds")?;
    let mut kinds = Vec::new();
    for word in read::texts(table, "kinds") {
        match Kind::ALL.into_iter().find(|kind| kind.to_string() == word) {
            Some(kind) => kinds.push(kind),
            None => {
                let words = Kind::ALL.map(|kind| kind.to_string());
                let help = match nearest(&word, words.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => format!("the kinds are \"{}\"", words.join("\", \"")),
                };
                findings.wrong(format!("there is no kind `{word}`"), value.span(), "in this list", help);
            }
        }
    }
    if kinds.is_empty() && read::texts(table, "kinds").is_empty() {
        let help = "name a kind, or remove the key: then everything is moved that both connectors hold";
        findings.wrong("`kinds` is empty".to_owned(), value.span(), "nothing in it", help);
    }
    Some(kinds)
}

/// What a section `[[mailbox]]` says of every part.
pub fn own(findings: &mut Findings, base: &Path, mailbox: &DeTable<'_>, parts: &[Part]) -> Vec<Own> {
    let mut own = vec![Own::default(); parts.len()];
    own[0] = Own {
        source: account::read(findings, base, mailbox, "source"),
        destination: account::read(findings, base, mailbox, "destination"),
        skip: false,
    };
    for (name, value) in section(mailbox, "parts").into_iter().flatten() {
        let word = name.get_ref().as_ref();
        let at = parts.iter().position(|part| part.name.as_deref() == Some(word));
        let (Some(at), Some(table)) = (at, value.get_ref().as_table()) else {
            let known = parts.iter().filter_map(|part| part.name.as_deref());
            let help = match nearest(word, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    format!("add a section [part.{word}.destination] that says between which connectors it is moved")
                }
            };
            findings.wrong(
                format!("there is no part `{word}`"),
                name.span(),
                "not known here",
                help,
            );
            continue;
        };
        own[at] = Own {
            source: account::read(findings, base, table, "source"),
            destination: account::read(findings, base, table, "destination"),
            skip: read::switch(table, "skip").unwrap_or(false),
        };
    }
    own
}

/// Each mailbox once for each of its parts. A part logs in as the first one does, unless the mailbox says otherwise; where
/// both share a side of the settings, it is told the same.
pub fn split(wholes: Vec<Whole>, parts: &[Part]) -> Vec<Mailbox> {
    let mut all = Vec::new();
    for whole in wholes {
        let first = whole.parts.first().cloned().unwrap_or_default();
        for ((number, part), own) in parts.iter().enumerate().zip(whole.parts) {
            if own.skip {
                continue;
            }
            let (source, destination) = match number {
                0 => (own.source, own.destination),
                _ => (
                    own.source
                        .after(&first.source, part.source.section == parts[0].source.section),
                    own.destination.after(
                        &first.destination,
                        part.destination.section == parts[0].destination.section,
                    ),
                ),
            };
            all.push(Mailbox {
                name: match &part.name {
                    Some(name) => format!("{}/{name}", whole.name),
                    None => whole.name.clone(),
                },
                owner: whole.name.clone(),
                part: number,
                source,
                destination,
                attributes: whole.attributes.clone(),
                place: whole.place.clone(),
            });
        }
    }
    all
}
