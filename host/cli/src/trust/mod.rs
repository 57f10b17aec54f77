//! Which connectors are used: signatures beside them, the grants file, and the admin's word.

mod file;
mod keys;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use whimbrel_sandbox::Plugin;
use whimbrel_trust::{
    Candidate, Decision, Difference, Grant, Grants, How, Installed, MOST_BYTES, PublicKey, Signature, SignatureError,
    Subject,
};

use crate::args::Global;
use crate::exit::Exit;
use crate::output::{complain, safe};
use crate::problem::{Problem, Result};
use crate::settings::{Settings, Side, TrustSettings};

pub use file::{lock, persist, read, write, write_lock};
pub use keys::{Door, doors, sentence};

/// What a signature says of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// There is none.
    No,
    /// It is good, by a trusted key.
    By(PublicKey),
    /// It is good, by a key that is not trusted here.
    Unknown(String),
    /// It does not hold.
    Bad(SignatureError),
}

impl Signed {
    /// In a word, for JSON.
    pub fn state(&self) -> &'static str {
        match self {
            Self::No => "none",
            Self::By(_) => "trusted",
            Self::Unknown(_) => "unknown-key",
            Self::Bad(_) => "bad",
        }
    }
}

/// Where the signature of a component lies.
pub fn signature_path(component: &Path) -> PathBuf {
    let mut path = component.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Reads and checks the signature beside a connector.
pub fn signature(plugin: &Plugin, trusted: &[PublicKey]) -> Result<Signed> {
    let path = signature_path(plugin.path());
    let Some(text) = file::text(&path, MOST_BYTES)? else {
        return Ok(Signed::No);
    };
    let hash = plugin.hash().to_string();
    let checked = Signature::parse(&text).and_then(|signature| signature.check(subject(plugin, &hash), trusted));
    Ok(match checked {
        Ok(key) => Signed::By(key),
        Err(SignatureError::UnknownKey { key }) => Signed::Unknown(key),
        Err(error) => Signed::Bad(error),
    })
}

/// What is signed of a connector; `hash` is that of its file.
pub fn subject<'t>(plugin: &'t Plugin, hash: &'t str) -> Subject<'t> {
    Subject {
        name: &plugin.description().name,
        version: &plugin.description().version,
        blake3: hash,
    }
}

/// A signature that does not hold; how the program ends with it differs.
pub fn bad_signature(plugin: &Plugin, error: &SignatureError, exit: Exit) -> Problem {
    bad_signature_at(&signature_path(plugin.path()).display().to_string(), error, exit)
}

/// The same, for one that came from elsewhere.
pub fn bad_signature_at(place: &str, error: &SignatureError, exit: Exit) -> Problem {
    let message = format!("`{place}`: {}", safe(&error.to_string()));
    let help = match error {
        SignatureError::UnknownKey { .. } => {
            "compare the key with what the vendor publishes, and add it to `trusted_keys` in [plugins] if it is theirs"
        }
        SignatureError::OtherConnector { .. } => "get the signature that belongs to this connector and version",
        SignatureError::Altered { .. } => {
            "get the connector and its signature anew; if you built it yourself, sign it again or remove the signature"
        }
        SignatureError::Forged { .. } | SignatureError::Form { .. } => {
            "do not use this connector: get it and its signature anew, from where you trust the way"
        }
    };
    Problem::new("signature", message, exit).help(help)
}

/// A connector as it is judged.
pub fn candidate(connector: &str, plugin: &Plugin, signed: &Signed) -> Candidate {
    let description = plugin.description();
    Candidate {
        connector: connector.to_owned(),
        name: description.name.clone(),
        version: description.version.clone(),
        blake3: plugin.hash().to_string(),
        permissions: description.permissions.clone(),
        signed_by: match signed {
            Signed::By(key) => Some(key.text()),
            _ => None,
        },
    }
}

/// A grant of now, by whoever runs the program.
pub fn grant(candidate: &Candidate, how: How) -> Grant {
    let (now, by) = now_and_who();
    candidate.grant(&now, &by, how)
}

/// When, in the form of RFC 3339, and who runs the program, as the system calls them.
pub fn now_and_who() -> (String, String) {
    let by = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let by = by.filter(|by| !by.is_empty()).unwrap_or_else(|| "unknown".to_owned());
    (format!("{:.0}", jiff::Timestamp::now()), safe(&by))
}

/// What was agreed to when a connector was installed; none where it lies in its folder without having been installed.
/// A connector that is not the one that was installed is a problem.
pub fn installed(plugin: &Plugin, candidate: &Candidate) -> Result<Option<Installed>> {
    let path = plugin.path();
    let (Some(folder), Some(file)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(None);
    };
    let Some(entry) = lock(folder)?.of(file).cloned() else {
        return Ok(None);
    };
    match entry.check(candidate) {
        Ok(()) => Ok(Some(entry)),
        Err(differs) => {
            let message = format!(
                "the connector `{}` is not the one that was installed: {}",
                path.display(),
                safe(&differs.to_string())
            );
            let help = format!(
                "it came from {} on {}. Install it anew from where you trust it: whimbrel plugin remove {}@{}, then whimbrel plugin install",
                entry.from, entry.installed, entry.name, entry.version
            );
            Err(Box::new(Problem::new("trust", message, Exit::Usage).help(safe(&help))))
        }
    }
}

/// Whether both connectors may be used. New ones that ask for nothing but what the settings name are pinned; others are
/// asked about where somebody sits at a terminal, and refused where nobody does.
pub fn admit(global: &Global, settings: &Settings, sides: &[(&Side, &Plugin)]) -> Vec<Problem> {
    let path = &settings.trust.grants;
    let mut grants = match read(path) {
        Ok(grants) => grants,
        Err(problem) => return vec![*problem],
    };
    let mut problems: Vec<Problem> = Vec::new();
    let mut refused: Vec<&str> = Vec::new();
    let mut fresh = false;
    for (side, plugin) in sides {
        if refused.contains(&side.connector.as_str()) {
            continue;
        }
        match judge(global, settings, &mut grants, side, plugin) {
            Ok(changed) => fresh |= changed,
            Err(problem) => {
                refused.push(&side.connector);
                problems.push(problem.at(side.connector_place.clone()));
            }
        }
    }
    if fresh && let Err(problem) = write(path, &grants) {
        problems.push(*problem);
    }
    problems
}

/// Whether the grants changed.
fn judge(global: &Global, settings: &Settings, grants: &mut Grants, side: &Side, plugin: &Plugin) -> Result<bool> {
    let signed = signature(plugin, &settings.trust.public())?;
    acceptable(&settings.trust, plugin, &signed)?;
    let candidate = candidate(&side.connector, plugin, &signed);
    let installed = installed(plugin, &candidate)?;
    let (how, notice) = match grants.decide(&candidate) {
        Decision::Granted => return Ok(false),
        Decision::Pin(how) => (how, Some(pinned(&candidate, how, &settings.trust))),
        // Whoever installed it was asked.
        Decision::AskNew if installed.is_some() => (How::Installed, None),
        Decision::AskNew => {
            confirm(global, settings, &side.connector, plugin, &new(&candidate))?;
            (How::Admin, None)
        }
        Decision::AskChanged(difference) => {
            confirm(
                global,
                settings,
                &side.connector,
                plugin,
                &changed(&candidate, &difference),
            )?;
            (How::Admin, None)
        }
    };
    grants.put(grant(&candidate, how));
    if let Some(notice) = notice {
        complain(&safe(&notice));
    }
    Ok(true)
}

/// Whether the settings let a connector with such a signature be used at all.
pub fn acceptable(trust: &TrustSettings, plugin: &Plugin, signed: &Signed) -> Result<()> {
    match signed {
        Signed::Bad(error) => Err(Box::new(bad_signature(plugin, error, Exit::Usage))),
        Signed::By(_) => Ok(()),
        _ if !trust.require_signature => Ok(()),
        Signed::Unknown(key) => {
            let error = SignatureError::UnknownKey { key: key.clone() };
            Err(Box::new(bad_signature(plugin, &error, Exit::Usage)))
        }
        Signed::No => {
            let message = format!(
                "the connector `{}` has no signature, and the settings want one (`require_signature`)",
                plugin.description().name
            );
            let help = format!(
                "get `{}` from its vendor, or sign it yourself: whimbrel plugin sign {} --key NAME.key",
                signature_path(plugin.path()).display(),
                plugin.path().display()
            );
            Err(Box::new(Problem::new("signature", message, Exit::Usage).help(help)))
        }
    }
}

/// What was pinned, and why nobody was asked.
fn pinned(candidate: &Candidate, how: How, trust: &TrustSettings) -> String {
    let Candidate { name, version, .. } = candidate;
    let file = trust.grants.file_name().unwrap_or_default().to_string_lossy();
    match how {
        How::Signed => {
            format!("the connector `{name}` is now {version}, signed by the key that signed it before: noted in {file}")
        }
        _ => format!(
            "the connector `{name}` {version} is used for the first time here. It asks for nothing but what the settings name, \
             and is pinned in {file}: another one in its place will be refused"
        ),
    }
}

/// Why the admin is asked about a new one.
fn new(candidate: &Candidate) -> String {
    let hosts: Vec<&str> = candidate.own_hosts().collect();
    format!(
        "the connector `{}` {} is new here, and asks for hosts of its own choice: {}",
        candidate.name,
        candidate.version,
        hosts.join(", ")
    )
}

/// Why the admin is asked about one that changed.
pub fn changed(candidate: &Candidate, difference: &Difference) -> String {
    let before = &difference.before;
    let mut asks = Vec::new();
    if candidate.name != before.name {
        asks.push(format!("it called itself `{}` then", before.name));
    }
    if !difference.added.is_empty() {
        asks.push(format!("it now asks for {} too", difference.added.join(", ")));
    }
    if !difference.removed.is_empty() {
        asks.push(format!("it no longer asks for {}", difference.removed.join(", ")));
    }
    if asks.is_empty() {
        asks.push("it asks for the same as before".to_owned());
    }
    format!(
        "the connector `{}` is not the one that was granted: {} with BLAKE3 {} was granted on {} by {}, this is {} with \
         BLAKE3 {}; {}",
        candidate.connector,
        before.version,
        before.blake3,
        before.granted,
        before.by,
        candidate.version,
        candidate.blake3,
        asks.join(", ")
    )
}

/// Asks whoever sits at the terminal. Without one, or with another answer than yes, a problem that says how to grant it.
fn confirm(global: &Global, settings: &Settings, connector: &str, plugin: &Plugin, why: &str) -> Result<()> {
    let shown = listed(&doors(plugin, connector, settings));
    if has_terminal(global) {
        complain(&safe(&format!(
            "{why}\n\nIt asks for, and the settings grant:\n{shown}"
        )));
        if asked("Use it? [y/N] ") {
            return Ok(());
        }
    }
    let help = format!(
        "it asks for, and the settings grant:\n{shown}\nlook at it: whimbrel plugin inspect {connector} -c {file}\ngrant it: whimbrel \
         plugin trust {connector} -c {file}",
        file = settings.file.display()
    );
    Err(Box::new(
        Problem::new("trust", safe(why), Exit::Usage).help(safe(&help)),
    ))
}

/// Both keys to each door, a line each.
pub fn listed(doors: &[Door]) -> String {
    if doors.is_empty() {
        return "  nothing\n".to_owned();
    }
    doors
        .iter()
        .map(|door| format!("  {}: {}\n", door.ask, door.shown()))
        .collect()
}

/// Whether somebody can be asked.
pub fn has_terminal(global: &Global) -> bool {
    !global.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether the answer is yes.
pub fn asked(question: &str) -> bool {
    complain(question);
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// For JSON; `name` is the admin's for the key.
pub fn signed_json(signed: &Signed, name: Option<&str>) -> Value {
    let (key, problem) = match signed {
        Signed::No => (None, None),
        Signed::By(key) => (Some(key.text()), None),
        Signed::Unknown(key) => (Some(key.clone()), None),
        Signed::Bad(error) => (None, Some(error.to_string())),
    };
    json!({ "state": signed.state(), "key": key, "key_name": name, "problem": problem })
}
