//! `whimbrel plugin install`, `remove` and `publish`.

use std::fs;
use std::path::{Path, PathBuf};

use semver::Version;
use serde_json::{Value, json};
use tempfile::TempDir;
use whimbrel_model::Hash;
use whimbrel_sandbox::Plugin;
use whimbrel_trust::{Installed, Lock, MOST_BYTES, PublicKey, SignatureError};

use super::registry::{self, Address};
use super::sign::given;
use super::{known_settings, load_file, permissions};
use crate::args::{Global, Into};
use crate::exit::Exit;
use crate::folders::{PluginFolders, VARIABLE};
use crate::output::{Output, complain, safe};
use crate::problem::{Problem, Result};
use crate::trust::{self, Signed};
use crate::verbs::cannot;

/// A connector that is to be installed.
struct Coming {
    file: PathBuf,
    /// For the lock.
    from: String,
    /// Where what was pulled lies.
    _held: Option<TempDir>,
}

/// Checks connectors and puts them into the plugin folder.
pub async fn install(
    global: &Global,
    from: &str,
    into: &Into,
    keys: &[String],
    yes: bool,
    output: Output,
) -> Result<Exit> {
    let folder = target(global, into)?;
    let (trusted, required) = trusted(global, keys)?;
    let mut done: Vec<Value> = Vec::new();
    let mut lines = Vec::new();
    for coming in found(from).await? {
        let plugin = load_file(&coming.file).await?;
        let signed = trust::signature(&plugin, &trusted)?;
        let signed_by = admitted(&plugin, &signed, required, &coming.from)?;
        let mut lock = trust::lock(&folder)?;
        let entry = entry(&plugin, signed_by, coming.from.clone());
        agreed(global, &lock, &entry, &plugin, yes)?;
        let is_there = |there: &&Installed| {
            there.blake3 == entry.blake3
                && fs::read(folder.join(&there.file)).is_ok_and(|bytes| Hash::of(&bytes) == plugin.hash())
        };
        if let Some(there) = lock.of(&entry.file).filter(is_there) {
            lines.push(format!(
                "{} {} is installed already, since {}",
                there.name, there.version, there.installed
            ));
            done.push(json!({ "installed": there, "folder": folder, "fresh": false }));
            continue;
        }
        placed(&folder, &plugin, &entry.file)?;
        lock.put(entry.clone());
        trust::write_lock(&folder, &lock)?;
        lines.push(format!(
            "{} {}: {}",
            entry.name,
            entry.version,
            folder.join(&entry.file).display()
        ));
        done.push(json!({ "installed": entry, "folder": folder, "fresh": true }));
    }
    output.document(json!({ "connectors": done, "folder": folder }), Exit::Ok);
    output.say(safe(&lines.join("\n")));
    Ok(Exit::Ok)
}

/// Takes one out.
pub fn remove(global: &Global, name: &str, into: &Into, output: Output) -> Result<Exit> {
    let folder = target(global, into)?;
    let mut lock = trust::lock(&folder)?;
    let meant: Vec<Installed> = lock
        .all()
        .iter()
        .filter(|entry| entry.name == name || format!("{}@{}", entry.name, entry.version) == name)
        .cloned()
        .collect();
    let entry = match meant.as_slice() {
        [entry] => entry,
        [] => {
            let known: Vec<String> = lock
                .all()
                .iter()
                .map(|entry| format!("{}@{}", entry.name, entry.version))
                .collect();
            let problem = Problem::usage(format!("no connector `{name}` was installed in `{}`", folder.display()));
            return Err(Box::new(match known.is_empty() {
                true => problem.help("name another folder with --into"),
                false => problem.help(format!("installed there: {}", known.join(", "))),
            }));
        }
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|entry| format!("{}@{}", entry.name, entry.version))
                .collect();
            let problem = Problem::usage(format!("several versions of `{name}` are installed"));
            return Err(Box::new(problem.help(format!("name one: {}", names.join(", ")))));
        }
    };
    let file = folder.join(&entry.file);
    lock.take(&entry.file);
    trust::write_lock(&folder, &lock)?;
    for path in [trust::signature_path(&file), file] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot("remove", &path, &error)),
            _ => {}
        }
    }
    output.document(json!({ "removed": entry, "folder": folder }), Exit::Ok);
    output.say(safe(&format!(
        "{} {} is removed from {}",
        entry.name,
        entry.version,
        folder.display()
    )));
    Ok(Exit::Ok)
}

/// Puts one into a registry.
pub async fn publish(file: &Path, to: &str, output: Output) -> Result<Exit> {
    let address = Address::read(to)?;
    let plugin = load_file(file).await?;
    let signature = match trust::signature(&plugin, &[])? {
        Signed::No => None,
        Signed::Bad(error) => return Err(Box::new(trust::bad_signature(&plugin, &error, Exit::Different))),
        Signed::By(_) | Signed::Unknown(_) => {
            let path = trust::signature_path(file);
            Some(fs::read(&path).map_err(|error| cannot("read", &path, &error))?)
        }
    };
    let signed = signature.is_some();
    let component = fs::read(file).map_err(|error| cannot("read", file, &error))?;
    let at = address.push(component, signature, &registry::auth()).await?;
    let description = plugin.description();
    output.document(
        json!({ "name": description.name, "version": description.version, "address": at, "signed": signed }),
        Exit::Ok,
    );
    let how = if signed {
        "with its signature"
    } else {
        "without a signature"
    };
    output.say(safe(&format!(
        "{} {} is published {how}: {at}",
        description.name, description.version
    )));
    Ok(Exit::Ok)
}

/// The folder that connectors are installed in.
fn target(global: &Global, into: &Into) -> Result<PathBuf> {
    into.into
        .clone()
        .or_else(|| PluginFolders::to_install(&global.plugins))
        .ok_or_else(|| {
            let problem = Problem::usage("there is no folder to install connectors in");
            Box::new(problem.help(format!("name one with --into DIR, --plugins DIR or {VARIABLE}")))
        })
}

/// Whose signatures count, and whether there has to be one.
fn trusted(global: &Global, keys: &[String]) -> Result<(Vec<PublicKey>, bool)> {
    let mut trusted = given(keys)?;
    let settings = known_settings(global)?;
    let required = settings
        .as_ref()
        .is_some_and(|settings| settings.trust.require_signature);
    trusted.extend(settings.iter().flat_map(|settings| settings.trust.public()));
    Ok((trusted, required || !keys.is_empty()))
}

/// A good signature by a trusted key, or none where none is wanted; gives the key.
fn admitted(plugin: &Plugin, signed: &Signed, required: bool, from: &str) -> Result<Option<String>> {
    let bad = |error: &SignatureError| trust::bad_signature_at(&format!("{from}.sig"), error, Exit::Different);
    match signed {
        Signed::By(key) => Ok(Some(key.text())),
        Signed::No if !required => Ok(None),
        Signed::No => {
            let message = format!("the connector `{}` has no signature", plugin.description().name);
            let problem = Problem::new("signature", message, Exit::Different);
            Err(Box::new(problem.help(
                "get it from its vendor: a key was named, or the settings want one (`require_signature`)",
            )))
        }
        Signed::Unknown(key) => {
            let problem = bad(&SignatureError::UnknownKey { key: key.clone() });
            Err(Box::new(problem.help(
                "compare the key with what the vendor publishes, and name it with --key if it is theirs",
            )))
        }
        Signed::Bad(error) => Err(Box::new(bad(error))),
    }
}

/// What was named, as files.
async fn found(from: &str) -> Result<Vec<Coming>> {
    if Address::is_meant(from) {
        let pulled = Address::read(from)?.pull(&registry::auth()).await?;
        let held = tempfile::tempdir().map_err(|error| cannot("make a folder in", &std::env::temp_dir(), &error))?;
        let file = held.path().join("connector.wasm");
        let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).map_err(|error| cannot("write", path, &error));
        write(&file, &pulled.component)?;
        if let Some(signature) = &pulled.signature {
            write(&trust::signature_path(&file), signature)?;
        }
        return Ok(vec![Coming {
            file,
            from: pulled.from,
            _held: Some(held),
        }]);
    }
    let path = Path::new(from);
    let shown = |path: &Path| {
        std::path::absolute(path)
            .unwrap_or_else(|_| path.to_owned())
            .display()
            .to_string()
    };
    if !path.is_dir() {
        return Ok(vec![Coming {
            file: path.to_owned(),
            from: shown(path),
            _held: None,
        }]);
    }
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .map_err(|error| cannot("read", path, &error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "wasm"))
        .collect();
    files.sort();
    if files.is_empty() {
        let problem = Problem::usage(format!("there is no .wasm in `{from}`"));
        return Err(Box::new(problem.help("`whimbrel plugin build` makes one of a project")));
    }
    Ok(files
        .into_iter()
        .map(|file| Coming {
            from: shown(&file),
            file,
            _held: None,
        })
        .collect())
}

fn entry(plugin: &Plugin, signed_by: Option<String>, from: String) -> Installed {
    let description = plugin.description();
    let candidate = trust::candidate(&description.name, plugin, &Signed::No);
    let (now, by) = trust::now_and_who();
    Installed {
        file: format!("{}@{}.wasm", description.name, description.version),
        name: description.name.clone(),
        version: description.version.clone(),
        blake3: plugin.hash().to_string(),
        asks: candidate.asks(),
        signed_by,
        from,
        installed: now,
        by,
    }
}

/// Whether whoever installs it agrees to what it asks for, and to what is new in that.
fn agreed(global: &Global, lock: &Lock, entry: &Installed, plugin: &Plugin, yes: bool) -> Result<()> {
    let Installed { name, version, .. } = entry;
    if let Some(there) = lock.of(&entry.file).filter(|there| there.blake3 != entry.blake3) {
        let message = format!(
            "{name} {version} is installed already, with other bytes: BLAKE3 {} then, {} now",
            there.blake3, entry.blake3
        );
        let help = format!(
            "a version is given once: get a newer one, or take the other out: whimbrel plugin remove {name}@{version}"
        );
        return Err(Box::new(Problem::new("trust", message, Exit::Usage).help(help)));
    }
    let shown: String = permissions(plugin.description())
        .iter()
        .map(|ask| format!("  {ask}\n"))
        .collect();
    let before = latest(lock, name);
    let widened: Vec<&str> = match before {
        Some(before) => entry
            .asks
            .iter()
            .filter(|ask| !before.asks.contains(ask))
            .map(String::as_str)
            .collect(),
        None => Vec::new(),
    };
    let why = match before {
        Some(before) if !widened.is_empty() => format!(
            "{name} {version} asks for more than {}, which is installed: {}",
            before.version,
            widened.join(", ")
        ),
        None if !entry.asks.is_empty() => format!("{name} {version} is new here"),
        _ => return Ok(()),
    };
    if yes {
        return Ok(());
    }
    if trust::has_terminal(global) {
        complain(&safe(&format!("{why}\n\nIt asks for:\n{shown}")));
        if trust::asked("Install it? [y/N] ") {
            return Ok(());
        }
    }
    let help =
        format!("it asks for:\n{shown}look at it: whimbrel plugin inspect FILE\nagree to it: the same line with --yes");
    Err(Box::new(
        Problem::new("trust", safe(&why), Exit::Usage).help(safe(&help)),
    ))
}

/// The newest version that is installed.
fn latest<'l>(lock: &'l Lock, name: &str) -> Option<&'l Installed> {
    let versions = lock.all().iter().filter(|entry| entry.name == name);
    versions.max_by_key(|entry| Version::parse(&entry.version).ok())
}

/// Copies the component and its signature, each whole or not at all; the component last, so that it is never there without.
fn placed(folder: &Path, plugin: &Plugin, file: &str) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| cannot("make", folder, &error))?;
    let from = plugin.path();
    let read = |path: &Path| fs::read(path).map_err(|error| cannot("read", path, &error));
    let to = folder.join(file);
    let write =
        |path: &Path, bytes: &[u8]| trust::persist(path, bytes, 0o644).map_err(|error| cannot("write", path, &error));
    let signature = trust::signature_path(from);
    if signature.is_file() {
        let text = read(&signature)?;
        write(&trust::signature_path(&to), &text[..text.len().min(MOST_BYTES)])?;
    }
    let bytes = read(from)?;
    if Hash::of(&bytes) != plugin.hash() {
        let message = format!("`{}` changed while it was being installed", from.display());
        return Err(Box::new(Problem::failed(message).help("install it again")));
    }
    write(&to, &bytes)
}
