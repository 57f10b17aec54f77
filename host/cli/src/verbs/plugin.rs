//! `whimbrel plugin list|inspect`.

use std::path::Path;

use serde_json::{Map, Value, json};
use whimbrel_model::{Abilities, Description, Permission};
use whimbrel_sandbox::{Plugin, Runtime};
use whimbrel_wire::{BlobStore, BlobStoreConfig};

use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::folders::{PluginFolders, VARIABLE};
use crate::output::table::Rows;
use crate::output::{Output, safe};
use crate::problem::{Problem, Result};
use crate::session;
use crate::settings::Limits;
use crate::settings::units::show_bytes;

/// Every connector in the plugin folders; those that cannot be loaded with their reason.
pub async fn list(global: &Global, output: Output) -> Result<Exit> {
    let folders = PluginFolders::of_process(&global.plugins);
    let runtime = runtime()?;
    let mut rows = Rows::new(&["name", "version", "reads", "writes", "summary", "file"]);
    let (mut good, mut problems) = (Vec::new(), Vec::new());
    for (_, path) in folders.list() {
        match runtime.load(&path).await {
            Ok(plugin) => {
                let description = plugin.description();
                let writes = if plugin.can_write() { "yes" } else { "no" };
                let file = path.display().to_string();
                rows.add([
                    &description.name,
                    &description.version,
                    "yes",
                    writes,
                    &description.summary,
                    &file,
                ]);
                good.push(document(&plugin));
            }
            Err(error) => problems.push(failures::load(&error, &path)),
        }
    }
    let exit = session::outcome(problems.is_empty());
    let looked: Vec<String> = folders.paths().iter().map(|path| path.display().to_string()).collect();
    let problems_json: Vec<Value> = problems.iter().map(Problem::json).collect();
    output.document(
        json!({ "connectors": good, "problems": problems_json, "folders": looked }),
        exit,
    );
    if !output.is_json() {
        match good.is_empty() {
            true => {
                let folders = looked.join("\n  ");
                output.say(format!(
                    "There are no connectors. Looked in:\n  {folders}\nName a folder with --plugins DIR or {VARIABLE}."
                ));
            }
            false => output.say(rows.render()),
        }
        problems.iter().for_each(|problem| output.warn(problem));
    }
    Ok(exit)
}

/// Everything about one connector.
pub async fn inspect(global: &Global, connector: &str, output: Output) -> Result<Exit> {
    let plugin = load(global, connector).await?;
    output.document(json!({ "connector": document(&plugin) }), Exit::Ok);
    output.say(safe(&show(&plugin)));
    Ok(Exit::Ok)
}

/// Loads it by name or path.
pub async fn load(global: &Global, connector: &str) -> Result<Plugin> {
    let folders = PluginFolders::of_process(&global.plugins);
    let path = folders.find(connector, Path::new("."))?;
    runtime()?
        .load(&path)
        .await
        .map_err(|error| Box::new(failures::load(&error, &path)))
}

fn runtime() -> Result<Runtime> {
    let folder = std::env::temp_dir();
    let blobs = BlobStore::new(BlobStoreConfig {
        folder,
        memory: 1 << 20,
        threshold: BlobStoreConfig::THRESHOLD,
    });
    session::runtime(&Limits::default(), blobs)
}

fn document(plugin: &Plugin) -> Value {
    let description = plugin.description();
    json!({
        "name": description.name,
        "version": description.version,
        "summary": description.summary,
        "homepage": description.homepage,
        "kinds": description.kinds,
        "writes": plugin.can_write(),
        "abilities": description.abilities,
        "permissions": description.permissions,
        "settings": schema(&description.settings_schema),
        "account": schema(&description.account_schema),
        "file": plugin.path().display().to_string(),
        "bytes": plugin.bytes(),
        "blake3": plugin.hash().to_string(),
        "contract": plugin.contract(),
        "sdk": plugin.sdk(),
        "imports": plugin.imports(),
    })
}

fn schema(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn show(plugin: &Plugin) -> String {
    let description = plugin.description();
    let mut out = format!(
        "{} {}: {}\n",
        description.name, description.version, description.summary
    );
    if let Some(homepage) = &description.homepage {
        out += &format!("{homepage}\n");
    }
    out += &format!(
        "\n{}, {}, BLAKE3 {}\n",
        plugin.path().display(),
        show_bytes(plugin.bytes()),
        plugin.hash()
    );
    out += &format!(
        "contract {}, SDK {}\n",
        plugin.contract(),
        plugin.sdk().unwrap_or("not stated")
    );
    out += &format!("\nasks for\n{}", list_of(permissions(description)));
    out += &format!(
        "\ncan\n{}",
        list_of(abilities(&description.abilities, plugin.can_write()))
    );
    for (title, text) in [
        ("settings", &description.settings_schema),
        ("of a mailbox", &description.account_schema),
    ] {
        let mut rows = Rows::new(&["key", "value", "default", "what it is"]);
        let properties = properties(&schema(text));
        if properties.is_empty() {
            out += &format!("\n{title}: none\n");
            continue;
        }
        for property in properties {
            rows.add([&property.name, &property.form, &property.default, &property.help]);
        }
        out += &format!("\n{title}\n{}\n", rows.render());
    }
    out
}

/// As Markdown, for the documents.
pub fn markdown(plugin: &Plugin) -> String {
    let description = plugin.description();
    let mut out = format!(
        "{}\n\nAsks for:\n\n{}",
        description.summary,
        list_of(permissions(description))
    );
    out += &format!(
        "\nCan:\n\n{}",
        list_of(abilities(&description.abilities, plugin.can_write()))
    );
    for (title, text) in [
        ("Settings", &description.settings_schema),
        ("Of a mailbox", &description.account_schema),
    ] {
        let properties = properties(&schema(text));
        if properties.is_empty() {
            continue;
        }
        out += &format!("\n{title}:\n\n| key | value | default | what it is |\n|---|---|---|---|\n");
        for property in properties {
            let default = if property.default.is_empty() || property.default == "required" {
                property.default
            } else {
                format!("`{}`", property.default)
            };
            out += &format!(
                "| `{}` | {} | {default} | {} |\n",
                property.name,
                property.form,
                property.help.replace('|', "\\|")
            );
        }
    }
    out
}

fn list_of(lines: Vec<String>) -> String {
    if lines.is_empty() {
        return "- nothing\n".to_owned();
    }
    lines.into_iter().map(|line| format!("- {line}\n")).collect()
}

fn permissions(description: &Description) -> Vec<String> {
    let sentences = description.permissions.iter().map(|permission| match permission {
        Permission::Network { host, port } => {
            format!("connections to the host and port in the settings `{host}` and `{port}`")
        }
        Permission::Endpoint(host) => {
            format!("connections to {host}, if the settings file says `allow = [\"{host}\"]`")
        }
        Permission::Files { setting, write: true } => {
            format!("reading and writing below the folder in the setting `{setting}`")
        }
        Permission::Files { setting, write: false } => format!("reading below the folder in the setting `{setting}`"),
    });
    sentences.collect()
}

fn abilities(abilities: &Abilities, writes: bool) -> Vec<String> {
    let sentences = [
        (true, "read"),
        (writes, "write"),
        (abilities.incremental, "list only what changed"),
        (abilities.reports_vanished, "tell what vanished"),
        (abilities.push, "wait for changes"),
        (
            writes && abilities.server_side_copy,
            "copy without the content passing through",
        ),
        (
            writes && abilities.server_side_move,
            "move without the content passing through",
        ),
        (writes && abilities.returns_ids, "tell the id of what was stored"),
        (abilities.keeps_received, "keep the time of receipt"),
        (abilities.keeps_flags, "keep flags and keywords"),
        (abilities.keeps_labels, "keep labels"),
        (abilities.multi_collection, "hold one item in several folders"),
    ];
    sentences
        .into_iter()
        .filter(|(able, _)| *able)
        .map(|(_, sentence)| sentence.to_owned())
        .collect()
}

/// One property of a schema, for people.
#[derive(Debug, PartialEq, Eq)]
struct Property {
    name: String,
    form: String,
    default: String,
    help: String,
}

fn properties(schema: &Value) -> Vec<Property> {
    let none = Map::new();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema["properties"]
        .as_object()
        .unwrap_or(&none)
        .iter()
        .map(|(name, property)| Property {
            name: name.clone(),
            form: form(property),
            default: match (&property["default"], required.contains(&name.as_str())) {
                (_, true) => "required".to_owned(),
                (Value::Null, false) => String::new(),
                (Value::String(text), false) => text.clone(),
                (other, false) => other.to_string(),
            },
            help: property["description"].as_str().unwrap_or_default().to_owned(),
        });
    properties.collect()
}

fn form(property: &Value) -> String {
    if let Some(words) = property["enum"].as_array() {
        return words
            .iter()
            .map(|word| {
                word.as_str()
                    .map_or_else(|| word.to_string(), |word| format!("\"{word}\""))
            })
            .collect::<Vec<_>>()
            .join(" or ");
    }
    match property["type"].as_str() {
        Some("string") => "text".to_owned(),
        Some("integer") => match (property["minimum"].as_i64(), property["maximum"].as_i64()) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => "whole number".to_owned(),
        },
        Some("boolean") => "true or false".to_owned(),
        Some("array") => "list".to_owned(),
        Some("object") => "table".to_owned(),
        Some(other) => other.to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_becomes_a_table() {
        let schema = json!({
            "type": "object",
            "required": ["host"],
            "properties": {
                "host": { "type": "string", "description": "The server." },
                "port": { "type": "integer", "minimum": 1, "maximum": 65535, "default": 993 },
                "tls": { "enum": ["implicit", "starttls", "insecure"], "default": "implicit" },
            },
        });
        let rows: Vec<[String; 4]> = properties(&schema)
            .into_iter()
            .map(|it| [it.name, it.form, it.default, it.help])
            .collect();
        assert_eq!(
            rows,
            [
                ["host", "text", "required", "The server."],
                ["port", "1 to 65535", "993", ""],
                ["tls", "\"implicit\" or \"starttls\" or \"insecure\"", "implicit", ""],
            ]
        );
        assert!(properties(&json!(null)).is_empty() && properties(&json!({ "properties": 7 })).is_empty());
    }

    #[test]
    fn permissions_are_sentences() {
        let description = Description {
            name: "x".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            homepage: None,
            kinds: Vec::new(),
            abilities: Abilities::default(),
            permissions: vec![
                Permission::Network {
                    host: "host".into(),
                    port: "port".into(),
                },
                Permission::Endpoint("api.example.org".into()),
                Permission::Files {
                    setting: "root".into(),
                    write: true,
                },
            ],
            settings_schema: "{}".into(),
            account_schema: "{}".into(),
        };
        let text = permissions(&description).join("\n");
        for part in [
            "`host` and `port`",
            "allow = [\"api.example.org\"]",
            "reading and writing below the folder in the setting `root`",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert_eq!(abilities(&Abilities::default(), false), ["read"]);
    }
}
