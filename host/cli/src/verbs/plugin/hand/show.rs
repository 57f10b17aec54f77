//! Answers of a connector, for people and programs.

use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use whimbrel_model::{Change, Collection, Description, Failure, Hash, ItemMeta, Limits, Page, Placement, display_path};
use whimbrel_sandbox::{Item, Seen};

use super::Answer;
use crate::output::table::{Rows, count};
use crate::settings::units::show_bytes;

/// Lines of an item that are shown.
const LINES: usize = 12;

/// What a connector did, in a line or a few.
pub fn seen(seen: &Seen) -> String {
    match seen {
        Seen::HostCall {
            interface,
            function,
            took,
            note,
        } => {
            format!(
                "  {:>9.3} ms  {interface}.{function}  {note}",
                took.as_secs_f64() * 1000.0
            )
        }
        Seen::Log { level, text } => format!("  {level}: {text}"),
        Seen::Fault { call, reason, stack } => {
            let mut text = format!("  `{call}` ended: {reason}");
            for function in stack {
                text += &format!("\n    in {function}");
            }
            text
        }
    }
}

pub fn description(description: &Description, writes: bool) -> Answer {
    let text = format!("{} {}: {}", description.name, description.version, description.summary);
    Answer {
        text,
        json: json!({
            "name": description.name, "version": description.version, "summary": description.summary, "writes": writes,
            "kinds": description.kinds, "abilities": description.abilities, "permissions": description.permissions,
        }),
    }
}

pub fn collections(found: &[Collection]) -> Answer {
    let mut rows = Rows::new(&["id", "path", "kind", "role", ">items", "generation", "remarks"]);
    for collection in found {
        let mut remarks: Vec<String> = Vec::new();
        if !collection.selectable {
            remarks.push("holds no items".to_owned());
        }
        if !collection.subscribed {
            remarks.push("not subscribed".to_owned());
        }
        remarks.extend(
            collection
                .attributes
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        rows.add([
            collection.id.clone(),
            display_path(&collection.path),
            collection.kind.to_string(),
            collection
                .role
                .map(|role| format!("{role:?}").to_lowercase())
                .unwrap_or_default(),
            collection.items.map(count).unwrap_or_default(),
            collection.generation.clone().unwrap_or_default(),
            remarks.join(", "),
        ]);
    }
    let text = match found.is_empty() {
        true => "no collections".to_owned(),
        false => rows.render(),
    };
    Answer {
        text,
        json: json!(found),
    }
}

pub fn page(page: &Page) -> Answer {
    let mut rows = Rows::new(&["", "id", ">size", "received", "flags", "revision", "more"]);
    let mut changes = Vec::new();
    for change in &page.changes {
        let (word, meta, id) = match change {
            Change::Upserted(meta) => ("upserted", Some(meta), &meta.id),
            Change::Marked(meta) => ("marked", Some(meta), &meta.id),
            Change::Present(id) => ("present", None, id),
            Change::Vanished(id) => ("vanished", None, id),
        };
        changes.push(json!({ "change": word, "id": id, "meta": meta }));
        let of = |text: fn(&ItemMeta) -> String| meta.map(text).unwrap_or_default();
        rows.add([
            word.to_owned(),
            id.clone(),
            of(|meta| meta.size.map(count).unwrap_or_default()),
            of(received),
            of(|meta| meta.flags.join(" ")),
            of(|meta| meta.revision.clone()),
            of(beside),
        ]);
    }
    let mut text = match page.changes.is_empty() {
        true => "no changes".to_owned(),
        false => rows.render(),
    };
    text += &format!("\ncursor {}", page.cursor);
    if page.more {
        text += "\nmore is waiting";
    }
    if page.complete {
        text += "\nthe listing is complete: what it leaves out is gone";
    }
    if let Some(why) = &page.capped {
        text += &format!("\nthe provider cut it short: {why}");
    }
    Answer {
        text,
        json: json!({
            "changes": changes, "cursor": page.cursor, "more": page.more, "complete": page.complete, "capped": page.capped,
        }),
    }
}

/// When it was received, with the zone that it was written in.
fn received(meta: &ItemMeta) -> String {
    let Some(received) = meta.received else {
        return String::new();
    };
    let offset = jiff::tz::Offset::from_seconds(i32::from(received.offset_minutes) * 60);
    match (jiff::Timestamp::from_millisecond(received.unix_ms), offset) {
        (Ok(instant), Ok(offset)) => instant.display_with_offset(offset).to_string(),
        _ => format!("{} ms", received.unix_ms),
    }
}

fn beside(meta: &ItemMeta) -> String {
    let mut words: Vec<String> = meta
        .identity
        .iter()
        .map(|identity| format!("identity={identity}"))
        .collect();
    if !meta.labels.is_empty() {
        words.push(format!("labels={}", meta.labels.join(",")));
    }
    words.extend(meta.attributes.iter().map(|(name, value)| format!("{name}={value}")));
    words.join(" ")
}

/// An item with its beginning.
pub fn item(item: &Item, content: &Bytes, saved: Option<&Path>) -> Answer {
    let meta = &item.meta;
    let hash = Hash::of(content).to_string();
    let mut text = format!(
        "{}: {}, {}, BLAKE3 {}\n",
        meta.id,
        item.media_type,
        show_bytes(content.len() as u64),
        &hash[..16]
    );
    for (name, value) in [
        ("received", received(meta)),
        ("flags", meta.flags.join(" ")),
        ("revision", meta.revision.clone()),
        ("", beside(meta)),
    ] {
        if !value.is_empty() {
            text += format!("  {name} {value}\n").trim_start_matches(' ');
        }
    }
    if let Some(path) = saved {
        text += &format!("saved as {}\n", path.display());
    } else {
        let shown = String::from_utf8_lossy(&content[..content.len().min(4096)]).into_owned();
        let lines: Vec<&str> = shown.lines().collect();
        for line in lines.iter().take(LINES) {
            text += &format!("  | {}\n", line.trim_end_matches('\r'));
        }
        if lines.len() > LINES || content.len() > 4096 {
            text += "  | …\n";
        }
    }
    Answer {
        text: text.trim_end().to_owned(),
        json: json!({ "meta": meta, "media_type": item.media_type, "bytes": content.len(), "blake3": hash, "saved": saved }),
    }
}

pub fn missing(id: &str, failure: &Failure) -> Answer {
    let said = failure.to_string();
    Answer {
        text: format!("{id}: {said}"),
        json: json!({ "id": id, "failure": failure.code(), "text": said }),
    }
}

/// Several answers as one.
pub fn together(answers: Vec<Answer>) -> Answer {
    let (texts, json): (Vec<String>, Vec<Value>) = answers.into_iter().map(|answer| (answer.text, answer.json)).unzip();
    Answer {
        text: texts.join("\n\n"),
        json: Value::Array(json),
    }
}

pub fn ids(ids: &[String], none: &str) -> Answer {
    let text = match ids.is_empty() {
        true => none.to_owned(),
        false => ids.join("\n"),
    };
    Answer { text, json: json!(ids) }
}

pub fn limits(limits: &Limits) -> Answer {
    let some = |number: Option<u64>| number.map_or_else(|| "no limit known".to_owned(), count);
    let flags = limits
        .flags
        .as_ref()
        .map_or_else(|| "any".to_owned(), |flags| flags.join(" "));
    let lines = [
        ("bytes of an item", some(limits.max_item_bytes)),
        ("items of a put", limits.batch_items.to_string()),
        ("bytes of a put", count(limits.batch_bytes)),
        ("segments of a path", some(limits.max_path_depth.map(u64::from))),
        ("bytes of a name", some(limits.max_name_bytes.map(u64::from))),
        (
            "case of names",
            if limits.case_insensitive_names {
                "says nothing"
            } else {
                "counts"
            }
            .to_owned(),
        ),
        ("forbidden in names", limits.forbidden_in_names.clone()),
        ("flags and keywords", flags),
        ("free in the quota", some(limits.quota_free_bytes)),
        (
            "line ends",
            if limits.crlf_only { "CRLF only" } else { "as they are" }.to_owned(),
        ),
    ];
    let text: Vec<String> = lines.iter().map(|(name, value)| format!("{name:20} {value}")).collect();
    Answer {
        text: text.join("\n"),
        json: json!(limits),
    }
}

pub fn placements(names: &[String], answers: &[Result<Placement, Failure>]) -> Answer {
    let one = |(name, answer): (&String, &Result<Placement, Failure>)| match answer {
        Ok(placed) => {
            let id = placed.id.as_deref().unwrap_or("(no id told)");
            let mut text = format!("{name}: {:?} as {id}", placed.outcome).to_lowercase();
            if !placed.alterations.is_empty() {
                text += &format!(", altered: {}", placed.alterations.join(", "));
            }
            Answer {
                text,
                json: json!({
                    "name": name, "id": placed.id, "revision": placed.revision, "outcome": placed.outcome,
                    "alterations": placed.alterations,
                }),
            }
        }
        Err(failure) => missing(name, failure),
    };
    lines(names.iter().zip(answers).map(one).collect())
}

pub fn done(ids: &[String], answers: &[Result<(), Failure>]) -> Answer {
    let one = |(id, answer): (&String, &Result<(), Failure>)| match answer {
        Ok(()) => Answer {
            text: format!("{id}: done"),
            json: json!({ "id": id }),
        },
        Err(failure) => missing(id, failure),
    };
    lines(ids.iter().zip(answers).map(one).collect())
}

/// Answers of a line each.
fn lines(answers: Vec<Answer>) -> Answer {
    let joined = together(answers);
    Answer {
        text: joined.text.replace("\n\n", "\n"),
        json: joined.json,
    }
}
