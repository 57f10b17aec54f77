//! From settings to what the engine works with: connectors loaded, accounts checked, secrets read.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use whimbrel_engine::{Clock, Daily, Endpoint, FaultOptions, Mailbox, Options, Provider, RuleBook};
use whimbrel_ledger::{Ledger, LedgerError, LedgerOptions};
use whimbrel_rules::Rules;
use whimbrel_sandbox::{AccountSpec, Activity, Connections, Plugin, PluginLimits, Runtime, RuntimeConfig, Timeouts};
use whimbrel_wire::{BlobStore, BlobStoreConfig, Credentials};

use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::folders::PluginFolders;
use crate::problem::{Problem, Result};
use crate::rules::{self, Changed, Elsewhere};
use crate::secrets::Keeper;
use crate::settings::{self, Account, Limits, SecretRef, Settings, Side, Whose};
use crate::trust;

/// The key under which the ledger keeps the migration's name.
const NAME: &str = "migration";

/// The key under which it keeps when the migration began, in seconds since 1970.
pub const STARTED: &str = "started";

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Nothing is written; bodies spill to the system's folder for temporary files.
    Look,
    /// Mail is moved; bodies spill beside the ledger, where there is room for them.
    Move,
    /// What is at the destination already is found out, and nothing is moved.
    Recognise,
}

/// Everything that a run over mailboxes needs.
pub struct Session {
    /// What the admin wants.
    pub settings: Settings,
    /// In the order of the settings; those that cannot be used are left out.
    pub mailboxes: Vec<Mailbox>,
    /// What is wrong with settings, connectors and accounts. Empty unless the caller wants to see everything.
    pub problems: Vec<Problem>,
    /// What is unwise.
    pub warnings: Vec<Problem>,
    /// The compiled script, if the settings name one.
    pub rules: Option<Arc<Rules>>,
    /// The destinations of all mailboxes, by name, where rules may send messages to them.
    routes: HashMap<String, Arc<dyn Provider>>,
    blobs: BlobStore,
    connectors: [Loaded; 2],
    aim: Aim,
}

/// A connector as it was loaded.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Loaded {
    /// Its name, by its own description.
    pub connector: String,
    /// Its version.
    pub version: String,
    /// BLAKE3 of the component.
    pub blake3: String,
}

impl Loaded {
    fn of(plugin: &Plugin) -> Self {
        let description = plugin.description();
        Self {
            connector: description.name.clone(),
            version: description.version.clone(),
            blake3: plugin.hash().to_string(),
        }
    }
}

/// Reads the settings and keeps the named mailboxes.
pub fn settings(global: &Global, only: &[String]) -> Result<Settings> {
    let mut settings = Settings::load(&global.config)?;
    settings.only(only)?;
    Ok(settings)
}

impl Session {
    /// Everything ready, or every problem at once.
    pub async fn open(global: &Global, only: &[String], aim: Aim) -> Result<Self> {
        Self::open_with(global, settings(global, only)?, aim).await
    }

    /// The same with settings that were read before.
    pub async fn open_with(global: &Global, settings: Settings, aim: Aim) -> Result<Self> {
        let session = Self::survey(global, settings, aim).await?;
        let heading = |count| format!("{count} problems with `{}`", global.config.display());
        match Problem::all(heading, session.problems.clone()) {
            Some(problem) => Err(Box::new(problem)),
            None => Ok(session),
        }
    }

    /// As [`Self::open`], but goes on as far as it can and keeps the problems.
    pub async fn survey(global: &Global, mut settings: Settings, aim: Aim) -> Result<Self> {
        let mut problems = Vec::new();
        let mut warnings = std::mem::take(&mut settings.warnings);
        let blobs = BlobStore::new(BlobStoreConfig {
            folder: match aim {
                Aim::Look => std::env::temp_dir(),
                Aim::Move | Aim::Recognise => settings.state.join("spill"),
            },
            // The other half is for what does not lie in the store: connectors, the ledger's cache, buffers.
            memory: settings.limits.memory / 2,
            threshold: BlobStoreConfig::THRESHOLD,
        });
        let runtime = runtime(&settings.limits, blobs.clone())?;
        let folders = PluginFolders::of_process(&global.plugins);
        let mut plugins = Vec::new();
        for side in [&settings.source, &settings.destination] {
            match load(&runtime, &folders, &settings.base, side).await {
                Ok(plugin) => plugins.push((side, plugin)),
                Err(problem) => problems.push(*problem),
            }
            if let Some(ca) = side.ca.as_ref().filter(|path| !path.is_file()) {
                let problem = Problem::settings(format!("there is no file `{}` (`{}.ca`)", ca.display(), side.which));
                problems.push(
                    problem.help("the path is relative to the settings file; a PEM file with certificates is wanted"),
                );
            }
        }
        let sides: Vec<(&Side, &Plugin)> = plugins.iter().map(|(side, plugin)| (*side, plugin)).collect();
        let refused = trust::admit(global, &settings, &sides);
        let plugins: Vec<Plugin> = match refused.is_empty() {
            true => plugins.into_iter().map(|(_, plugin)| plugin).collect(),
            false => Vec::new(),
        };
        problems.extend(refused);
        let compiled = match settings.rules.as_ref().map(rules::load) {
            Some(Err(wrong)) => {
                problems.extend(wrong);
                None
            }
            Some(Ok(compiled)) => Some(Arc::new(compiled)),
            None => None,
        };
        let keeper = Arc::new(Keeper::new(&settings));
        warnings.extend(settings.vault.key_file.as_deref().and_then(settings::exposed));
        let mut routes = HashMap::new();
        let (mailboxes, connectors) = match plugins.as_slice() {
            [source, destination] => {
                if !destination.can_write() {
                    problems.push(read_only(&settings.destination, destination));
                }
                let mailboxes = mailboxes(&settings, [source, destination], &keeper, &mut problems, &mut warnings);
                if compiled.is_some() {
                    routes = destinations(&settings, destination, &mailboxes, &keeper);
                }
                (mailboxes, [source, destination].map(Loaded::of))
            }
            _ => (Vec::new(), Default::default()),
        };
        Ok(Self {
            settings,
            mailboxes,
            problems,
            warnings,
            rules: compiled,
            routes,
            blobs,
            connectors,
            aim,
        })
    }

    /// Tells the rules when the migration began, and gives it, in seconds since 1970: as the ledger has it, and now where
    /// there is none.
    pub fn began(&mut self, ledger: Option<&Ledger>) -> Result<i64> {
        let known = match ledger {
            Some(ledger) => ledger
                .get_meta(STARTED)
                .map_err(|error| Box::new(failures::ledger(&error)))?,
            None => None,
        };
        let known = known.and_then(|text| text.parse().ok());
        let began = known.unwrap_or_else(|| jiff::Timestamp::now().as_second());
        if let Some(rules) = self.rules.as_mut().and_then(Arc::get_mut) {
            rules.set_started(began);
        }
        Ok(began)
    }

    /// Keeps what the rules of this run are; says what it means where they are others than in the last one.
    pub fn note_rules(&self, ledger: &Ledger) -> Result<Option<Changed>> {
        let script = self
            .settings
            .rules
            .as_ref()
            .map(|rules| rules.script.display().to_string());
        let script = self.rules.as_deref().zip(script.as_deref());
        let mailboxes: Vec<String> = self.mailboxes.iter().map(|mailbox| mailbox.name.clone()).collect();
        let changed = rules::note_changes(ledger, script, &mailboxes)?;
        ledger.flush().map_err(|error| Box::new(failures::ledger(&error)))?;
        Ok(changed)
    }

    fn book(&self) -> Option<Arc<RuleBook>> {
        let (rules, settings) = (self.rules.as_ref()?, self.settings.rules.as_ref()?);
        Some(Arc::new(RuleBook {
            rules: Arc::clone(rules),
            on_error: settings.on_error,
            attachments: settings.attachments.clone(),
            mailboxes: self.routes.clone(),
        }))
    }

    fn faults(&self) -> FaultOptions {
        let limits = &self.settings.limits;
        FaultOptions {
            wait: limits.wait,
            longest_wish: limits.max_backoff,
            // Programs that were started together do not come back together.
            seed: now_ms().cast_unsigned() ^ u64::from(std::process::id()),
            daily: Daily {
                source: self.settings.source.daily,
                destination: self.settings.destination.daily,
            },
            ..FaultOptions::new(Clock::new(now_ms))
        }
    }

    /// What the engine may use.
    pub fn options(&self) -> Options {
        let limits = &self.settings.limits;
        Options {
            mailboxes: limits.mailboxes,
            connections: limits.connections,
            memory: limits.memory / 2,
            max_item_bytes: limits.max_item,
            retries: limits.retries,
            faults: self.faults(),
            quiet: limits.quiet,
            folders: self.settings.folders.clone(),
            quarantine: Some(self.settings.state.join("quarantine")),
            blobs: self.blobs.clone(),
            repairs: self.settings.repairs.clone(),
            rules: self.book(),
            deletions: self.settings.deletions,
            only_recognise: self.aim == Aim::Recognise,
        }
    }

    /// The connectors of the source and of the destination.
    pub fn connectors(&self) -> &[Loaded; 2] {
        &self.connectors
    }

    /// The ledger, made where there is none. Refuses one of another migration: its ids mean nothing here.
    pub fn ledger(&mut self) -> Result<Ledger> {
        self.ledger_of(open_ledger(&self.settings, true)?)
    }

    /// As [`Self::ledger`], but one that is there.
    pub fn known_ledger(&mut self) -> Result<Ledger> {
        self.ledger_of(open_ledger(&self.settings, false)?)
    }

    fn ledger_of(&mut self, ledger: Ledger) -> Result<Ledger> {
        let failed = |error: LedgerError| Box::new(failures::ledger(&error));
        let [source, destination] = &self.connectors;
        for (key, now, what) in [
            (NAME, &self.settings.name, "is of the migration"),
            ("source", &source.connector, "was filled by the source connector"),
            (
                "destination",
                &destination.connector,
                "was filled by the destination connector",
            ),
        ] {
            match ledger.get_meta(key).map_err(failed)? {
                None => ledger.set_meta(key, now).map_err(failed)?,
                Some(before) if before == *now => {}
                Some(before) => {
                    let state = self.settings.state.display();
                    let message = format!("the state folder `{state}` {what} `{before}`, not `{now}`");
                    let help = "set `state` to a folder of its own for this migration, or go back to the settings of the other";
                    return Err(Box::new(Problem::settings(message).help(help)));
                }
            }
        }
        if ledger.get_meta(STARTED).map_err(failed)?.is_none() {
            let now = jiff::Timestamp::now().as_second();
            ledger.set_meta(STARTED, &now.to_string()).map_err(failed)?;
        }
        ledger.flush().map_err(failed)?;
        self.began(Some(&ledger))?;
        Ok(ledger)
    }
}

/// The time of day, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The ledger of these settings.
pub fn open_ledger(settings: &Settings, create: bool) -> Result<Ledger> {
    try_ledger(settings, create).map_err(|error| Box::new(failures::ledger(&error)))
}

/// As [`open_ledger`], with what is wrong with it.
pub fn try_ledger(settings: &Settings, create: bool) -> Result<Ledger, LedgerError> {
    let cache_bytes = (settings.limits.memory / 8).clamp(8 << 20, 64 << 20);
    let options = LedgerOptions { cache_bytes, create };
    Ledger::open(&settings.state, options)
}

/// The ledger, or none where nothing has run yet.
pub fn find_ledger(settings: &Settings) -> Result<Option<Ledger>> {
    match Ledger::open(
        &settings.state,
        LedgerOptions {
            create: false,
            ..LedgerOptions::default()
        },
    ) {
        Ok(ledger) => Ok(Some(ledger)),
        Err(LedgerError::Missing { .. }) => Ok(None),
        Err(error) => Err(Box::new(failures::ledger(&error))),
    }
}

/// The engine of the plugins.
pub fn runtime(limits: &Limits, blobs: BlobStore) -> Result<Runtime> {
    let limits = PluginLimits {
        memory_bytes: limits.plugin_memory,
        cpu: limits.cpu,
        max_held_bytes: limits.plugin_disk,
        max_body_bytes: limits.plugin_disk / 2,
        ..PluginLimits::default()
    };
    let config = RuntimeConfig {
        cache: cache_folder(),
        limits,
        blobs,
    };
    Runtime::new(config).map_err(|error| Box::new(failures::load(&error, Path::new("wasmtime"))))
}

/// Where compiled connectors are kept between runs: `$XDG_CACHE_HOME/whimbrel`, or `~/.cache/whimbrel`; nowhere without
/// a home.
fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(base.join("whimbrel").join("components"))
}

async fn load(runtime: &Runtime, folders: &PluginFolders, base: &Path, side: &Side) -> Result<Plugin> {
    let at = |problem: Problem| Box::new(problem.at(side.connector_place.clone()));
    let path = folders.find(&side.connector, base).map_err(|problem| at(*problem))?;
    runtime
        .load(&path)
        .await
        .map_err(|error| at(failures::load(&error, &path)))
}

fn read_only(side: &Side, plugin: &Plugin) -> Problem {
    let message = format!(
        "the connector `{}` only reads: it cannot be a destination",
        plugin.description().name
    );
    Problem::settings(message)
        .at(side.connector_place.clone())
        .help("`whimbrel plugin list` shows which connectors write")
}

/// Both sides of every mailbox, checked against what the connectors ask for.
fn mailboxes(
    settings: &Settings,
    [source, destination]: [&Plugin; 2],
    keeper: &Arc<Keeper>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Vec<Mailbox> {
    let mut said = HashSet::new();
    let mut ready = Vec::new();
    for mailbox in &settings.mailboxes {
        let mut ends = Vec::new();
        let sides = [
            (&settings.source, source, &mailbox.source),
            (&settings.destination, destination, &mailbox.destination),
        ];
        for (side, plugin, account) in sides {
            warnings.extend(
                account
                    .secret
                    .as_ref()
                    .and_then(|secret| secret.exposed())
                    .filter(|it| said.insert(it.to_string())),
            );
            let whose = Whose {
                mailbox: &mailbox.name,
                side: side.which,
            };
            let before = problems.len();
            let (given, own) = split(plugin, side, account);
            let mut sentences = plugin.check_settings(&Value::Object(given.clone()), &Value::Object(own));
            if account.way_in().is_none()
                && account.values.contains_key("user")
                && wants_secret(plugin)
                && !sentences.is_empty()
            {
                // Clearer than what a schema's "one of these" gives.
                sentences.retain(|sentence| sentence.starts_with("settings"));
                let help = format!(
                    "write {} = {{ user = \"…\", password = {{ env = \"VARIABLE\" }} }}",
                    side.which
                );
                let problem = Problem::settings(format!("{whose} has no password or token"));
                problems.push(problem.at(mailbox.place.clone()).help(help));
            }
            let wrong = !sentences.is_empty() || problems.len() > before;
            // What is wrong with the settings is wrong for every mailbox: said once.
            for sentence in sentences
                .into_iter()
                .filter(|sentence| said.insert(format!("{}: {sentence}", side.which)))
            {
                let message = format!("connector `{}`, {whose}: {sentence}", plugin.description().name);
                let help = format!("`whimbrel plugin inspect {}` shows what it asks for", side.connector);
                let place = if sentence.starts_with("settings") {
                    &side.settings_place
                } else {
                    &mailbox.place
                };
                problems.push(Problem::settings(message).at(place.clone()).help(help));
            }
            match account.credentials(whose, keeper) {
                Ok(credentials) if !wrong => {
                    let spec = spec(settings, side, &mailbox.name, merged(given, account));
                    let renewed = account.secret.as_ref().is_some_and(SecretRef::may_be_renewed);
                    let end: Arc<dyn Provider> = match renewed {
                        true => Arc::new(Elsewhere {
                            plugin: plugin.clone(),
                            spec,
                            account: account.clone(),
                            keeper: Arc::clone(keeper),
                            side: side.which,
                        }),
                        false => Arc::new(Endpoint {
                            plugin: plugin.clone(),
                            spec: AccountSpec { credentials, ..spec },
                        }),
                    };
                    ends.push(end);
                }
                Ok(_) => {}
                // A vault that does not open, or a client's secret that is missing, is said once and not for each mailbox.
                Err(problem) if said.insert(problem.to_string()) => problems.push(*problem),
                Err(_) => {}
            }
        }
        if let Ok([source, destination]) = <[Arc<dyn Provider>; 2]>::try_from(ends) {
            ready.push(Mailbox {
                name: mailbox.name.clone(),
                source,
                destination,
                attributes: mailbox.attributes.clone(),
            });
        }
    }
    ready
}

/// What an account is opened with, the credentials apart.
fn spec(settings: &Settings, side: &Side, mailbox: &str, given: Map<String, Value>) -> AccountSpec {
    AccountSpec {
        mailbox: mailbox.to_owned(),
        settings: given,
        credentials: Credentials::None,
        ca: side.ca.clone(),
        pins: side.pins.clone(),
        compress: side.compress,
        connections: Connections::default(),
        activity: Activity::default(),
        base: settings.base.clone(),
        endpoints: side.allow.clone(),
        timeouts: Timeouts::default(),
    }
}

/// The destination of every mailbox of the settings: of those that are worked on, and of the others.
fn destinations(
    settings: &Settings,
    plugin: &Plugin,
    mailboxes: &[Mailbox],
    keeper: &Arc<Keeper>,
) -> HashMap<String, Arc<dyn Provider>> {
    let side = &settings.destination;
    let others = settings.others.iter().map(|mailbox| {
        let account = &mailbox.destination;
        let (given, _) = split(plugin, side, account);
        let elsewhere: Arc<dyn Provider> = Arc::new(Elsewhere {
            plugin: plugin.clone(),
            spec: spec(settings, side, &mailbox.name, merged(given, account)),
            account: account.clone(),
            keeper: Arc::clone(keeper),
            side: side.which,
        });
        (mailbox.name.clone(), elsewhere)
    });
    let own = mailboxes
        .iter()
        .map(|mailbox| (mailbox.name.clone(), Arc::clone(&mailbox.destination)));
    own.chain(others).collect()
}

/// Whether the connector's mailboxes have a password or token.
fn wants_secret(plugin: &Plugin) -> bool {
    let schema: Value = serde_json::from_str(&plugin.description().account_schema).unwrap_or_default();
    ["/properties/password", "/properties/token"]
        .iter()
        .any(|path| schema.pointer(path).is_some())
}

/// What goes to the connector's settings schema, and what to its account schema. A mailbox may override a setting; texts
/// (all that CSV has) become numbers and truths where the schema wants them. A secret is only said to be there.
fn split(plugin: &Plugin, side: &Side, account: &Account) -> (Map<String, Value>, Map<String, Value>) {
    let schema: Value = serde_json::from_str(&plugin.description().settings_schema).unwrap_or_default();
    let (mut given, mut own) = (side.settings.clone(), Map::new());
    for (key, value) in &account.values {
        match schema.pointer("/properties").and_then(|properties| properties.get(key)) {
            Some(property) => drop(given.insert(key.clone(), typed(value, property))),
            None => drop(own.insert(key.clone(), value.clone())),
        }
    }
    if let Some(way_in) = account.way_in() {
        own.insert(way_in.to_owned(), json!("•"));
    }
    (given, own)
}

fn merged(mut given: Map<String, Value>, account: &Account) -> Map<String, Value> {
    for (key, value) in &account.values {
        given.entry(key.clone()).or_insert_with(|| value.clone());
    }
    given
}

fn typed(value: &Value, property: &Value) -> Value {
    let Value::String(text) = value else {
        return value.clone();
    };
    let parsed = match property.get("type").and_then(Value::as_str) {
        Some("integer") => text.parse::<i64>().ok().map(Value::from),
        Some("number") => text.parse::<f64>().ok().map(Value::from),
        Some("boolean") => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    parsed.unwrap_or_else(|| value.clone())
}

/// How the program ends where mailboxes were looked at.
pub fn outcome(all_well: bool) -> Exit {
    if all_well { Exit::Ok } else { Exit::Partial }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_the_schema_wants() {
        assert_eq!(typed(&json!("993"), &json!({ "type": "integer" })), json!(993));
        assert_eq!(typed(&json!("true"), &json!({ "type": "boolean" })), json!(true));
        assert_eq!(typed(&json!("993"), &json!({ "type": "string" })), json!("993"));
        assert_eq!(typed(&json!("many"), &json!({ "type": "integer" })), json!("many"));
    }
}
