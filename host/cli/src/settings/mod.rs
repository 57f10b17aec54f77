//! The settings file: read whole, checked whole, every problem with its place and remedy.

mod account;
mod deletions;
pub mod keys;
mod mailboxes;
mod mask;
mod oauth;
#[cfg(test)]
mod oauth_tests;
mod parts;
#[cfg(test)]
mod parts_tests;
mod read;
mod repairs;
mod rules;
mod secrets;
mod trust;
pub mod units;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use toml::de::DeTable;
use whimbrel_engine::{Deletions, FolderOptions, GradeRules, RepairOptions};
use whimbrel_wire::Pin;

pub use account::{Account, Whose};
pub use mailboxes::document as document_csv;
pub use oauth::{Flow, OAuthSettings};
pub use parts::Part;
pub use read::nearest;
pub use rules::RuleSettings;
pub use secrets::{Reason, SecretKind, SecretRef, exposed};
pub use trust::TrustSettings;

use crate::problem::{Place, Problem, Result, Shown};
use parts::Whole;
use read::Findings;

/// What a run needs to know.
pub struct Settings {
    /// The file it was read from.
    pub file: PathBuf,
    /// The folder that relative paths start from.
    pub base: PathBuf,
    /// `migration.name`.
    pub name: String,
    /// The folder of the ledger.
    pub state: PathBuf,
    /// What is moved of each mailbox, and between which connectors; there is a first one.
    pub parts: Vec<Part>,
    /// What the run may use.
    pub limits: Limits,
    /// Which folders, and where to.
    pub folders: FolderOptions,
    /// The script that decides, if there is one.
    pub rules: Option<RuleSettings>,
    /// What is tried with messages that the destination refuses as they are.
    pub repairs: RepairOptions,
    /// How verification grades.
    pub grades: GradeRules,
    /// How the vault is opened.
    pub vault: VaultSettings,
    /// Who gives tokens, by the names of the sections.
    pub oauth: BTreeMap<String, OAuthSettings>,
    /// Whether deletions at the source are mirrored.
    pub deletions: Option<Deletions>,
    /// Which connectors are trusted.
    pub trust: TrustSettings,
    /// Each of their parts, in the order of the file, then of the CSV file.
    pub mailboxes: Vec<Mailbox>,
    /// Those that are not worked on; rules may send messages to them all the same.
    pub others: Vec<Mailbox>,
    /// What is unwise.
    pub warnings: Vec<Problem>,
}

/// `[source]` or `[destination]`, or the one or the other of a part.
#[derive(Clone)]
pub struct Side {
    /// `source` or `destination`.
    pub which: &'static str,
    /// The section of the settings, e.g. `part.calendars.source`.
    pub section: String,
    /// A name, or a path to a `.wasm`.
    pub connector: String,
    /// Where the file names it.
    pub connector_place: Place,
    /// What the connector is given.
    pub settings: Map<String, Value>,
    /// Where they stand.
    pub settings_place: Place,
    /// Fixed hosts that are granted.
    pub allow: Vec<String>,
    /// Extra authorities.
    pub ca: Option<PathBuf>,
    /// What servers are trusted by instead.
    pub pins: Vec<Pin>,
    /// Whether connections are compressed; None: unless the server is this machine.
    pub compress: Option<bool>,
    /// Bytes that a mailbox may move there in 24 hours.
    pub daily: Option<u64>,
}

/// `[secrets]`.
#[derive(Clone, Default)]
pub struct VaultSettings {
    /// The file with the key.
    pub key_file: Option<PathBuf>,
    /// Or where the passphrase comes from; asked for where there is neither.
    pub passphrase: Option<SecretRef>,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Mailboxes at once.
    pub mailboxes: usize,
    /// Connections of one mailbox to one side.
    pub connections: usize,
    /// Bytes of message bodies in memory.
    pub memory: u64,
    /// Computing time of a connector in one call.
    pub cpu: Duration,
    /// Bytes of memory of one connector instance.
    pub plugin_memory: u64,
    /// Bytes of bodies that one connector instance may hold of its own.
    pub plugin_disk: u64,
    /// Items above so many bytes are left out.
    pub max_item: Option<u64>,
    /// How often in a row something that may pass is tried again.
    pub retries: u32,
    /// How long the run waits for parked mailboxes.
    pub wait: Duration,
    /// The longest wish of a server that is granted.
    pub max_backoff: Duration,
    pub quiet: Duration,
}

impl Limits {
    /// What of the memory is for message bodies. The rest goes into the program itself, connectors, buffers and the
    /// ledger's cache.
    pub fn bodies(&self) -> u64 {
        self.memory / 4
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mailboxes: 8,
            connections: 4,
            memory: 128 << 20,
            cpu: Duration::from_secs(30),
            plugin_memory: 64 << 20,
            plugin_disk: 8 << 30,
            max_item: None,
            retries: 5,
            wait: Duration::from_secs(30 * 60),
            max_backoff: Duration::from_secs(3600),
            quiet: Duration::from_secs(5),
        }
    }
}

/// One part of a mailbox to move.
pub struct Mailbox {
    /// Unique: the mailbox's name, and after a `/` that of the part, unless it is the first.
    pub name: String,
    /// The mailbox's name.
    pub owner: String,
    /// Which of the settings' parts.
    pub part: usize,
    /// The account at the source.
    pub source: Account,
    /// The account at the destination.
    pub destination: Account,
    /// What rules are told about it.
    pub attributes: BTreeMap<String, String>,
    /// Where it is defined.
    pub place: Place,
}

impl Settings {
    /// Reads `file`. Refuses it with everything that is wrong in it.
    pub fn load(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
                .split(|&byte| byte == b'\n')
                .count();
            Box::new(
                Problem::settings(format!("`{}` is not UTF-8 (line {line})", file.display())).help("save it as UTF-8"),
            )
        })?;
        Self::parse(file, &text)
    }

    /// As [`Self::load`], of a text that is at hand. Reads the CSV file that it names.
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        let shown = Shown::new(file, &mask::mask(text));
        let mut findings = Findings {
            shown,
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let place = findings.place(error.span().unwrap_or(0..0), "here");
            let problem = Problem::settings(format!("not valid TOML: {}", error.message())).at(place);
            findings
                .problems
                .push(problem.help("see https://toml.io for how TOML is written"));
        }
        if errors.is_empty() {
            read::check(&mut findings, "", &table, keys::FILE);
        }
        // What is structurally wrong would only lead to errors that follow from it.
        let settings = if findings.problems.is_empty() {
            build(&mut findings, file, table.get_ref())
        } else {
            None
        };
        let Findings { problems, warnings, .. } = findings;
        let heading = |count| format!("`{}` has {count} problems", file.display());
        match (Problem::all(heading, problems), settings) {
            (None, Some(settings)) => Ok(Self { warnings, ..settings }),
            (Some(problem), _) => Err(Box::new(problem)),
            (None, None) => Err(Box::new(Problem::settings(format!(
                "`{}` cannot be used",
                file.display()
            )))),
        }
    }

    /// The part of the settings that a mailbox is moved by.
    pub fn part(&self, mailbox: &Mailbox) -> &Part {
        &self.parts[mailbox.part]
    }

    /// All sides, each as often as parts have it.
    pub fn sides(&self) -> impl Iterator<Item = &Side> {
        self.parts.iter().flat_map(|part| [&part.source, &part.destination])
    }

    /// Keeps the named mailboxes only, with all their parts or the part that is named; all where none is named. Refuses names that are not there.
    pub fn only(&mut self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if !self.mailboxes.iter().any(|mailbox| mailbox.is(name)) {
                let known = self.mailboxes.iter().map(|mailbox| mailbox.name.as_str());
                let help = match nearest(name, known.clone()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("the mailboxes here: {}", few(known)),
                };
                let message = format!("there is no mailbox `{name}` in `{}`", self.file.display());
                return Err(Box::new(Problem::usage(message).help(help)));
            }
        }
        let all = std::mem::take(&mut self.mailboxes);
        let (wanted, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|mailbox| names.iter().any(|name| mailbox.is(name)));
        self.mailboxes = wanted;
        self.others.extend(others);
        Ok(())
    }
}

impl Mailbox {
    /// Whether it is called so, by its own name or that of the whole.
    fn is(&self, name: &str) -> bool {
        self.name == name || self.owner == name
    }
}

/// The first few of a list.
fn few<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const MOST: usize = 10;
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > MOST => format!("{} and {} more", names[..MOST].join(", "), count - MOST),
        _ => names.join(", "),
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> Box<Problem> {
    let problem = Problem::settings(format!("cannot read the settings file `{}`: {error}", file.display()));
    Box::new(match error.kind() {
        std::io::ErrorKind::NotFound => problem.help(
            "name it with -c FILE, or try `whimbrel demo`, which needs none; docs/settings.md shows how to write one",
        ),
        std::io::ErrorKind::PermissionDenied => {
            problem.help("run whimbrel as a user who may read it, or change its permissions")
        }
        std::io::ErrorKind::IsADirectory => problem.help("name the file in it, e.g. whimbrel.toml"),
        _ => problem,
    })
}

/// `[folders]`.
fn folders(table: Option<&DeTable<'_>>) -> FolderOptions {
    let Some(table) = table else {
        return FolderOptions::default();
    };
    FolderOptions {
        map: read::names(table, "map"),
        exclude: read::texts(table, "exclude"),
    }
}

/// From a table whose structure was checked.
fn build(findings: &mut Findings, file: &Path, table: &DeTable<'_>) -> Option<Settings> {
    let base = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let migration = section(table, "migration")?;
    let parts = parts::read(findings, &base, table)?;
    let limits = limits(section(table, "limits"));
    let folders = folders(section(table, "folders"));
    let rules = section(table, "rules").and_then(|table| rules::read(findings, &base, table));
    let repairs = repairs::read(findings, section(table, "destination"));
    let grades = verify::read(findings, section(table, "verify"));
    let vault = vault(findings, &base, section(table, "secrets"));
    let oauth = oauth::read(findings, &base, section(table, "oauth"));
    let deletions = deletions::read(section(table, "deletions"));
    let trust = trust::read(findings, &base, section(table, "plugins"));
    let mut boxes = Vec::new();
    for entry in table
        .get("mailbox")
        .and_then(|value| value.get_ref().as_array())
        .into_iter()
        .flatten()
    {
        let Some(table) = entry.get_ref().as_table() else {
            continue;
        };
        let name = read::text(table, "name").unwrap_or_default().trim().to_owned();
        let span = table.get("name").map_or(entry.span(), toml::Spanned::span);
        let own = parts::own(findings, &base, table, &parts);
        boxes.push(Whole {
            name,
            attributes: read::names(table, "attributes"),
            place: findings.place(span, "this mailbox"),
            parts: own,
        });
    }
    if let Some(path) = section(table, "mailboxes").and_then(|table| read::text(table, "file")) {
        let span = section(table, "mailboxes")
            .and_then(|table| table.get("file"))
            .map_or(0..0, toml::Spanned::span);
        mailboxes::read(findings, &base, &base.join(path), span, &parts, &mut boxes);
    }
    let boxes = parts::split(boxes, &parts);
    names(findings, &boxes);
    oauth::known(findings, &oauth, &boxes);
    let warnings = Vec::new();
    let name = read::text(migration, "name")?.trim().to_owned();
    let state = base.join(read::text(migration, "state").unwrap_or("state"));
    let file = file.to_owned();
    Some(Settings {
        file,
        base,
        name,
        state,
        parts,
        limits,
        folders,
        rules,
        repairs,
        grades,
        vault,
        oauth,
        deletions,
        trust,
        mailboxes: boxes,
        others: Vec::new(),
        warnings,
    })
}

fn section<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<&'t DeTable<'i>> {
    table.get(name)?.get_ref().as_table()
}

/// `[source]` or `[destination]` in `holder`: the file, or a part of this name.
fn side(
    findings: &mut Findings,
    base: &Path,
    holder: &DeTable<'_>,
    which: &'static str,
    part: Option<&str>,
) -> Option<Side> {
    let name = match part {
        Some(part) => format!("part.{part}.{which}"),
        None => which.to_owned(),
    };
    let value = holder.get(which)?;
    let table = value.get_ref().as_table()?;
    let connector_span = table.get("connector")?.span();
    let settings_span = table.get("settings").map_or(value.span(), toml::Spanned::span);
    let mut settings = Map::new();
    for (key, value) in section(table, "settings").into_iter().flatten() {
        match read::json(value.get_ref()) {
            Some(value) => drop(settings.insert(key.get_ref().to_string(), value)),
            None => {
                let message = format!(
                    "`{name}.settings.{}` is a number that no connector can take",
                    key.get_ref()
                );
                findings.wrong(message, value.span(), "this", "write a finite number");
            }
        }
        if matches!(key.get_ref().as_ref(), "password" | "token") {
            let message = format!(
                "`{name}.settings` must not hold a `{}`: connectors never see secrets",
                key.get_ref()
            );
            let help = format!(
                "put it into each [[mailbox]]: {which} = {{ user = \"…\", {} = {{ env = \"…\" }} }}",
                key.get_ref()
            );
            findings.wrong(message, key.span(), "not here", help);
        }
    }
    // Connectors may name it among their settings; the host is who reads it.
    let ca = read::text(table, "ca").or_else(|| read::text(section(table, "settings")?, "ca"));
    Some(Side {
        which,
        section: name.clone(),
        connector: read::text(table, "connector")?.to_owned(),
        connector_place: findings.place(connector_span, "this connector"),
        settings,
        settings_place: findings.place(settings_span, "these settings"),
        allow: read::texts(table, "allow"),
        ca: ca.map(|path| base.join(path)),
        pins: pins(findings, table, &name),
        compress: read::switch(table, "compress"),
        daily: read::size(table, "daily"),
    })
}

/// `pin`: one, or several.
fn pins(findings: &mut Findings, table: &DeTable<'_>, section: &str) -> Vec<Pin> {
    let Some(value) = table.get("pin") else {
        return Vec::new();
    };
    let given: Vec<_> = match value.get_ref().as_array() {
        Some(array) => array.iter().collect(),
        None => vec![value],
    };
    let mut pins = Vec::new();
    for one in &given {
        match one.get_ref().as_str().unwrap_or_default().parse() {
            Ok(pin) => pins.push(pin),
            Err(reason) => {
                let help = "openssl s_client -connect HOST:993 </dev/null | openssl x509 -noout -fingerprint -sha256 shows \
                            a server's: compare it with what its operator tells you";
                findings.wrong(
                    format!("`{section}.pin` cannot be used: {reason}"),
                    one.span(),
                    "this",
                    help,
                );
            }
        }
    }
    if given.is_empty() {
        let help = "name a fingerprint, or remove the key: then authorities decide";
        findings.wrong(format!("`{section}.pin` is empty"), value.span(), "nothing in it", help);
    }
    pins
}

/// `[secrets]`.
fn vault(findings: &mut Findings, base: &Path, table: Option<&DeTable<'_>>) -> VaultSettings {
    let Some(table) = table else {
        return VaultSettings::default();
    };
    let passphrase = table.get("passphrase").and_then(|value| {
        let name = "secrets.passphrase";
        secrets::read(findings, base, name, SecretKind::Passphrase, keys::OUTSIDE, value)
    });
    if let (Some(value), true) = (table.get("passphrase"), table.contains_key("key_file")) {
        findings.wrong(
            "`secrets` has both a key file and a passphrase".to_owned(),
            value.span(),
            "the second",
            "keep the one that the vault was made with",
        );
    }
    VaultSettings {
        key_file: read::text(table, "key_file").map(|path| base.join(path)),
        passphrase,
    }
}

fn limits(table: Option<&DeTable<'_>>) -> Limits {
    let mut limits = Limits::default();
    let Some(table) = table else { return limits };
    let count = |key: &str| read::count(table, key);
    let size = |key: &str| read::size(table, key);
    let time = |key: &str| read::time(table, key);
    limits.mailboxes = count("mailboxes").unwrap_or(limits.mailboxes);
    limits.connections = count("connections").unwrap_or(limits.connections);
    limits.memory = size("memory").unwrap_or(limits.memory);
    limits.cpu = time("cpu").unwrap_or(limits.cpu);
    limits.plugin_memory = size("plugin_memory").unwrap_or(limits.plugin_memory);
    limits.plugin_disk = size("plugin_disk").unwrap_or(limits.plugin_disk);
    limits.max_item = size("max_item");
    limits.retries = count("retries").map_or(limits.retries, |number| u32::try_from(number).unwrap_or(u32::MAX));
    limits.wait = time("wait").unwrap_or(limits.wait);
    limits.max_backoff = time("max_backoff").unwrap_or(limits.max_backoff);
    limits.quiet = time("quiet").unwrap_or(limits.quiet);
    limits
}

/// Every mailbox has a name of its own, fit for a terminal.
fn names(findings: &mut Findings, boxes: &[Mailbox]) {
    if boxes.is_empty() && findings.problems.is_empty() {
        let help = "add a section [[mailbox]], or [mailboxes] file = \"mailboxes.csv\"";
        findings.wrong(
            "no mailbox is named".into(),
            findings.shown.len()..findings.shown.len(),
            "nothing up to here",
            help,
        );
    }
    let mut seen: HashMap<&str, &Place> = HashMap::new();
    for mailbox in boxes {
        let name = mailbox.name.as_str();
        if name.chars().any(char::is_control) || name.len() > 200 {
            let problem = Problem::settings("a mailbox name has control characters or is over 200 bytes")
                .at(mailbox.place.clone());
            findings
                .problems
                .push(problem.help("use a plain name, e.g. the user's"));
        } else if let Some(first) = seen.insert(name, &mailbox.place) {
            let message = format!("two mailboxes are called `{name}`");
            let (line, _) = first.position();
            let help = format!(
                "the first is at {}:{line}; give each a name of its own",
                first.file().display()
            );
            findings
                .problems
                .push(Problem::settings(message).at(mailbox.place.clone()).help(help));
        }
    }
}
