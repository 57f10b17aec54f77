//! `whimbrel plugin`: what connectors are, whether they are trusted, their signatures, and how they are made.

mod build;
mod grant;
mod hand;
mod install;
mod new;
mod project;
mod registry;
mod sign;
mod suite;

use std::path::Path;

use serde_json::{Map, Value, json};
use whimbrel_conformance::Strictness;
use whimbrel_model::{Abilities, Description};
use whimbrel_sandbox::{Plugin, Runtime};
use whimbrel_wire::{BlobStore, BlobStoreConfig};

use crate::args::{Global, PluginVerb};
use crate::exit::Exit;
use crate::failures;
use crate::folders::{PluginFolders, VARIABLE};
use crate::output::table::Rows;
use crate::output::{Output, safe};
use crate::problem::{Problem, Result};
use crate::session;
use crate::settings::units::show_bytes;
use crate::settings::{Limits, Settings};
use crate::trust;

/// What is to be done.
pub async fn run(global: &Global, verb: &PluginVerb, output: Output) -> Result<Exit> {
    match verb {
        PluginVerb::List => list(global, output).await,
        PluginVerb::Inspect { connector } => inspect(global, connector, output).await,
        PluginVerb::Trust { connector, yes } => grant::run(global, connector, *yes, output).await,
        PluginVerb::Install { from, into, key, yes } => install::install(global, from, into, key, *yes, output).await,
        PluginVerb::Remove { name, into } => install::remove(global, name, into, output),
        PluginVerb::Publish { file, to } => install::publish(file, to, output).await,
        PluginVerb::New { name, lang, folder } => new::run(name, *lang, folder.as_deref(), output),
        PluginVerb::Build {
            place,
            output: to,
            names,
        } => build::run(place, to.as_deref(), *names, output).await,
        PluginVerb::Test {
            file,
            strict,
            only,
            junit,
        } => {
            let strictness = if *strict {
                Strictness::Strict
            } else {
                Strictness::Lenient
            };
            let junit = junit.as_deref();
            let wanted = suite::Wanted {
                file,
                strictness,
                only,
                junit,
            };
            suite::run(global, &wanted, output).await
        }
        PluginVerb::Try { file, trace, call } => hand::run(global, file, *trace, call, output).await,
        PluginVerb::Keygen { name } => sign::keygen(name, output),
        PluginVerb::Sign { file, key } => sign::sign(file, key, output).await,
        PluginVerb::Verify { file, key } => sign::verify(global, file, key, output).await,
    }
}

/// Every connector in the plugin folders; those that cannot be loaded with their reason.
async fn list(global: &Global, output: Output) -> Result<Exit> {
    let folders = PluginFolders::of_process(&global.plugins);
    let runtime = runtime()?;
    let mut rows = Rows::new(&["name", "version", "reads", "writes", "installed", "summary", "file"]);
    let (mut good, mut problems) = (Vec::new(), Vec::new());
    for (_, path) in folders.list() {
        match runtime.load(&path).await {
            Ok(plugin) => {
                let description = plugin.description();
                let writes = if plugin.can_write() { "yes" } else { "no" };
                let file = path.display().to_string();
                let candidate = trust::candidate(&description.name, &plugin, &trust::Signed::No);
                let installed = trust::installed(&plugin, &candidate).unwrap_or_else(|problem| {
                    problems.push(*problem);
                    None
                });
                let since = installed.as_ref().map(|entry| entry.installed.as_str());
                rows.add([
                    &description.name,
                    &description.version,
                    "yes",
                    writes,
                    since.unwrap_or_default(),
                    &description.summary,
                    &file,
                ]);
                let mut shown = document(&plugin);
                shown["installed"] = json!(installed);
                good.push(shown);
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
async fn inspect(global: &Global, connector: &str, output: Output) -> Result<Exit> {
    // Settings that are wrong are no reason not to look.
    let settings = known_settings(global).unwrap_or_else(|problem| {
        output.warn(&problem.warning());
        None
    });
    let here = Path::new(connector).is_file();
    let base = settings
        .as_ref()
        .filter(|_| !here)
        .map(|settings| settings.base.as_path());
    let plugin = load_from(global, connector, base.unwrap_or(Path::new("."))).await?;
    let standing = grant::standing(&plugin, connector, settings.as_ref())?;
    let mut shown = document(&plugin);
    if let Some(object) = shown.as_object_mut() {
        object.extend(standing.json());
    }
    output.document(json!({ "connector": shown }), Exit::Ok);
    output.say(safe(&show(&plugin, &standing.show())));
    Ok(Exit::Ok)
}

/// The settings, where there are any: what a connector is can be told without.
fn known_settings(global: &Global) -> Result<Option<Settings>> {
    if global.config.exists() {
        Settings::load(&global.config).map(Some)
    } else {
        Ok(None)
    }
}

/// Loads it by name or path.
pub async fn load(global: &Global, connector: &str) -> Result<Plugin> {
    load_from(global, connector, Path::new(".")).await
}

/// The same; a path is relative to `base`.
async fn load_from(global: &Global, connector: &str, base: &Path) -> Result<Plugin> {
    let path = PluginFolders::of_process(&global.plugins).find(connector, base)?;
    load_file(&path).await
}

async fn load_file(path: &Path) -> Result<Plugin> {
    let loaded = runtime()?.load(path).await;
    loaded.map_err(|error| Box::new(failures::load(&error, path)))
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
        "describing": plugin.describing(),
    })
}

fn schema(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn show(plugin: &Plugin, standing: &str) -> String {
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
    out += standing;
    out += &format!("\nasks for\n{}", list_of(permissions(description)));
    let tried = plugin.describing().refused;
    if !tried.is_empty() {
        let tried = tried.into_iter().map(|refusal| refusal.what).collect();
        out += &format!(
            "\nwas refused while it was only asked to describe itself\n{}",
            list_of(tried)
        );
    }
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
    description.permissions.iter().map(trust::sentence).collect()
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
        (writes && abilities.replaces, "change the content of what was stored"),
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
    fn abilities_are_sentences() {
        assert_eq!(abilities(&Abilities::default(), false), ["read"]);
        let able = Abilities {
            push: true,
            ..Abilities::default()
        };
        assert_eq!(abilities(&able, true), ["read", "write", "wait for changes"]);
    }
}
