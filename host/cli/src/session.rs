//! From settings to what the engine works with: connectors loaded, accounts checked, secrets read.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use whimbrel_engine::{Clock, FaultOptions, Mailbox, Options, Provider, RuleBook};
use whimbrel_ledger::{Ledger, LedgerError, LedgerOptions};
use whimbrel_rules::Rules;
use whimbrel_sandbox::{Plugin, PluginLimits, Runtime, RuntimeConfig};
use whimbrel_wire::{BlobStore, BlobStoreConfig};

use crate::accounts::{self, Pairs};
use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::folders::PluginFolders;
use crate::problem::{Problem, Result};
use crate::rules::{self, Changed};
use crate::secrets::Keeper;
use crate::settings::{self, Limits, Settings, Side};
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
    /// Of each part of the settings.
    connectors: Vec<[Loaded; 2]>,
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
    /// By its description.
    pub fn of(plugin: &Plugin) -> Self {
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
            memory: settings.limits.bodies(),
            threshold: BlobStoreConfig::THRESHOLD,
        });
        let runtime = runtime(&settings.limits, blobs.clone())?;
        let folders = PluginFolders::of_process(&global.plugins);
        let mut plugins: HashMap<&str, Plugin> = HashMap::new();
        let mut seen = HashSet::new();
        for side in settings.sides().filter(|side| seen.insert(side.section.as_str())) {
            if !plugins.contains_key(side.connector.as_str()) {
                match load(&runtime, &folders, &settings.base, side).await {
                    Ok(plugin) => drop(plugins.insert(&side.connector, plugin)),
                    Err(problem) => problems.push(*problem),
                }
            }
            if let Some(ca) = side.ca.as_ref().filter(|path| !path.is_file()) {
                let problem = Problem::settings(format!("there is no file `{}` (`{}.ca`)", ca.display(), side.section));
                problems.push(
                    problem.help("the path is relative to the settings file; a PEM file with certificates is wanted"),
                );
            }
        }
        let sides: Vec<(&Side, &Plugin)> = settings
            .sides()
            .filter_map(|side| Some((side, plugins.get(side.connector.as_str())?)))
            .collect();
        let refused = trust::admit(global, &settings, &sides);
        if !refused.is_empty() {
            plugins.clear();
        }
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
        let pairs = Pairs::new(
            &settings,
            &plugins.iter().map(|(name, plugin)| (*name, plugin)).collect(),
            &mut problems,
        );
        let mailboxes = accounts::mailboxes(&settings, &pairs, &keeper, &mut problems, &mut warnings);
        let routes = match compiled.is_some() {
            true => accounts::destinations(&settings, &pairs, &mailboxes, &keeper),
            false => HashMap::new(),
        };
        let connectors = pairs.loaded();
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
            ..FaultOptions::new(Clock::new(now_ms))
        }
    }

    /// What the engine may use.
    pub fn options(&self) -> Options {
        let limits = &self.settings.limits;
        Options {
            mailboxes: limits.mailboxes,
            connections: limits.connections,
            memory: limits.bodies(),
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

    /// The connectors of the sources and of the destinations, each once.
    pub fn connectors(&self) -> [Vec<&Loaded>; 2] {
        [0, 1].map(|side| {
            let mut used: Vec<&Loaded> = Vec::new();
            for pair in &self.connectors {
                let one = &pair[side];
                if !used.iter().any(|known| known.blake3 == one.blake3) {
                    used.push(one);
                }
            }
            used
        })
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
        let mut wanted = vec![(NAME.to_owned(), &self.settings.name, "is of the migration")];
        for (part, [source, destination]) in self.settings.parts.iter().zip(&self.connectors) {
            let key = |side: &str| match &part.name {
                Some(name) => format!("{side}/{name}"),
                None => side.to_owned(),
            };
            wanted.push((key("source"), &source.connector, "was filled by the source connector"));
            let what = "was filled by the destination connector";
            wanted.push((key("destination"), &destination.connector, what));
        }
        for (key, now, what) in wanted {
            match ledger.get_meta(&key).map_err(failed)? {
                None => ledger.set_meta(&key, now).map_err(failed)?,
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
    let cache_bytes = (settings.limits.memory / 4).clamp(8 << 20, 64 << 20);
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

/// How the program ends where mailboxes were looked at.
pub fn outcome(all_well: bool) -> Exit {
    if all_well { Exit::Ok } else { Exit::Partial }
}
