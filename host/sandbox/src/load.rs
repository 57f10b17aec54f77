//! Loading: from a file to a described plugin.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use thiserror::Error;
use wasmtime::component::{Component, InstancePre};
use whimbrel_model::{Description, Failure, Hash, Permission};
use whimbrel_wire::http::Url;

use crate::account::Account;
use crate::bindings::{descriptor, destination, source};
use crate::convert::clean;
use crate::grants::{Grants, Use};
use crate::inspect::{Facts, Unfit, inspect, spoken_versions};
use crate::instance::{Running, State, watch, why};
use crate::runtime::Shared;
use crate::{AccountSpec, Activity, Destination, Source, Usage, convert, validate};

/// Bytes of a plugin's file.
const MOST: u64 = 64 << 20;

/// Why a plugin cannot be used. The texts say what, where, why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The fields are what the texts show.
pub enum LoadError {
    /// The engine could not be set up.
    #[error("the WebAssembly engine cannot start: {reason}")]
    Engine { reason: String },
    /// The file is not there or cannot be read.
    #[error("the connector {} cannot be read: {reason}. Check the path in the settings, and run `whimbrel plugin list` to see what is installed", path.display())]
    Read { path: PathBuf, reason: String },
    /// The file is too large.
    #[error("the connector {} has {bytes} bytes; the limit is {MOST}. Build it in release mode and without debug information", path.display())]
    TooLarge { path: PathBuf, bytes: u64 },
    /// Something else altogether.
    #[error("{} is not WebAssembly. Name the .wasm file of a connector", path.display())]
    NotWasm { path: PathBuf },
    /// A module that was not made into a component.
    #[error("{} is a core WebAssembly module, not a component. Turn it into one: whimbrel plugin build {}", path.display(), path.display())]
    CoreModule { path: PathBuf },
    /// Damaged, or made by a newer toolchain.
    #[error("the connector {} is damaged: {reason}. Build or download it again", path.display())]
    Broken { path: PathBuf, reason: String },
    /// A component for something else.
    #[error("{} is a component, but no connector: it exports {}. A connector exports whimbrel:connector/descriptor and /source", path.display(), names(exports))]
    NoConnector { path: PathBuf, exports: Vec<String> },
    /// Built for another version of the contract.
    #[error("the connector {} was built for contract {found}{}, and this host speaks {}. {}", path.display(), sdk_note(sdk.as_deref()), spoken_versions(), if is_newer(found) { "Update Whimbrel, or take an older release of the connector" } else { "Take a newer release of the connector, or build it with the current SDK" })]
    Contract {
        path: PathBuf,
        found: String,
        sdk: Option<String>,
    },
    /// A part of the contract is missing.
    #[error("the connector {} does not export {}, which every connector must. Implement it (see wit/) and build again", path.display(), names(missing))]
    Missing { path: PathBuf, missing: Vec<String> },
    /// It wants what this host does not have.
    #[error("the connector {} needs {}, which this host does not give. Update Whimbrel, or build the connector without it", path.display(), names(imports))]
    UnknownImports { path: PathBuf, imports: Vec<String> },
    /// It is a component that the engine refuses, or whose functions have other types than the contract's.
    #[error("the connector {} does not fit the contract: {reason}. Build it again with the SDK or the wit/ of this release", path.display())]
    Incompatible { path: PathBuf, reason: String },
    /// It fails when it is asked what it is.
    #[error("the connector {} cannot describe itself: {reason}. This is a fault in the connector: tell its vendor", path.display())]
    Describe { path: PathBuf, reason: String },
}

fn names(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

fn sdk_note(sdk: Option<&str>) -> String {
    sdk.map(|sdk| format!(" (SDK {sdk})")).unwrap_or_default()
}

/// Whether a version of the contract is later than the one spoken here.
fn is_newer(version: &str) -> bool {
    let parts = |version: &str| -> Vec<u64> { version.split('.').take(2).map(|it| it.parse().unwrap_or(0)).collect() };
    parts(version) > parts(spoken_versions())
}

/// A loaded plugin: checked, compiled and described. Cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    pre: InstancePre<State>,
    source: source::GuestIndices,
    destination: Option<destination::GuestIndices>,
    path: PathBuf,
    hash: Hash,
    bytes: u64,
    facts: Facts,
    description: Description,
    settings: Validator,
    account: Validator,
    describing: Activity,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.description().name)
            .field("path", &self.path())
            .finish()
    }
}

/// See [`crate::Runtime::load`].
pub(crate) async fn load(shared: &Arc<Shared>, path: &Path) -> Result<Plugin, LoadError> {
    let started = Instant::now();
    let at = path.to_owned();
    let code = read(path).await?;
    let bytes = code.len() as u64;
    let work = {
        let (shared, path) = (Arc::clone(shared), at.clone());
        move || compile(&shared, &path, &code)
    };
    let compiled = tokio::task::spawn_blocking(work).await;
    let Compiled {
        pre,
        facts,
        hash,
        cached,
    } = compiled.map_err(|error| LoadError::Incompatible {
        path: at.clone(),
        reason: format!("compiling it was abandoned: {error}"),
    })??;
    let unfit = |error: wasmtime::Error| LoadError::Incompatible {
        path: at.clone(),
        reason: clean(&format!("{error:#}"), 500),
    };
    let descriptor = descriptor::GuestIndices::new(&pre).map_err(unfit)?;
    let source = source::GuestIndices::new(&pre).map_err(unfit)?;
    let destination = if facts.can_write {
        Some(destination::GuestIndices::new(&pre).map_err(unfit)?)
    } else {
        None
    };
    let describing = |reason: String| LoadError::Describe {
        path: at.clone(),
        reason,
    };
    let place = Arc::clone(&shared.places)
        .acquire_owned()
        .await
        .map_err(|_| describing("the engine is shutting down".to_owned()))?;
    let name = at
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let activity = Activity::default();
    let grants = Arc::new(Grants::none(&name, &activity));
    let description = async {
        let mut running = Running::new(shared, &pre, grants, place).await?;
        // A component that exports all the names with other types is found out here, not in the middle of a mailbox.
        source.load(&mut running.store, &running.instance)?;
        if let Some(destination) = &destination {
            destination.load(&mut running.store, &running.instance)?;
        }
        let guest = descriptor.load(&mut running.store, &running.instance)?;
        let _ticking = shared.ticker.tick();
        let clock = running.begin();
        watch(clock, guest.call_describe(&mut running.store)).await
    };
    let description = convert::description(description.await.map_err(|error| {
        tracing::debug!(path = %at.display(), "{error:?}");
        describing(why(&error))
    })?);
    validate::description(&description).map_err(&describing)?;
    let settings = validator("settings", &description.settings_schema).map_err(&describing)?;
    let account = validator("account", &description.account_schema).map_err(&describing)?;
    let took = started.elapsed();
    tracing::debug!(
        plugin = description.name,
        version = description.version,
        cached,
        ?took,
        "loaded a connector"
    );
    let inner = Inner {
        shared: Arc::clone(shared),
        pre,
        source,
        destination,
        path: at.clone(),
        hash,
        bytes,
        facts,
        description,
        settings,
        account,
        describing: activity,
    };
    Ok(Plugin { inner: Arc::new(inner) })
}

async fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |error: std::io::Error| LoadError::Read {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let about = tokio::fs::metadata(path).await.map_err(failed)?;
    if !about.is_file() {
        return Err(LoadError::Read {
            path: path.to_owned(),
            reason: "it is not a file".to_owned(),
        });
    }
    if about.len() > MOST {
        return Err(LoadError::TooLarge {
            path: path.to_owned(),
            bytes: about.len(),
        });
    }
    tokio::fs::read(path).await.map_err(failed)
}

struct Compiled {
    pre: InstancePre<State>,
    facts: Facts,
    hash: Hash,
    cached: bool,
}

/// Blocks: compiling takes the time it takes.
fn compile(shared: &Shared, path: &Path, code: &[u8]) -> Result<Compiled, LoadError> {
    let facts = inspect(code).map_err(|unfit| refuse(path, unfit))?;
    let hash = Hash::of(code);
    let kept = shared
        .images
        .as_ref()
        .and_then(|images| images.load(&shared.engine, hash));
    let cached = kept.is_some();
    let unfit = |error: wasmtime::Error| LoadError::Incompatible {
        path: path.to_owned(),
        reason: clean(&format!("{error:#}"), 500),
    };
    let component = match kept {
        Some(component) => component,
        None => {
            let component = Component::from_binary(&shared.engine, code).map_err(unfit)?;
            if let Some(images) = &shared.images {
                images.store(hash, &component);
            }
            component
        }
    };
    let pre = shared.linker.instantiate_pre(&component).map_err(unfit)?;
    Ok(Compiled {
        pre,
        facts,
        hash,
        cached,
    })
}

fn refuse(path: &Path, unfit: Unfit) -> LoadError {
    let path = path.to_owned();
    match unfit {
        Unfit::NotWasm => LoadError::NotWasm { path },
        Unfit::CoreModule { .. } => LoadError::CoreModule { path },
        Unfit::Broken(reason) => LoadError::Broken { path, reason },
        Unfit::NoConnector(exports) => LoadError::NoConnector { path, exports },
        Unfit::Contract { found, sdk } => LoadError::Contract { path, found, sdk },
        Unfit::Missing(missing) => LoadError::Missing { path, missing },
        Unfit::Unknown(imports) => LoadError::UnknownImports { path, imports },
    }
}

/// A schema ready for use. References lead nowhere outside it, and patterns take linear time.
fn validator(what: &str, schema: &str) -> Result<Validator, String> {
    let unusable = |error: String| format!("its {what} schema is no JSON Schema: {}", clean(&error, 300));
    let schema: Value = serde_json::from_str(schema).map_err(|error| unusable(error.to_string()))?;
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .offline()
        .build(&schema)
        .map_err(|error| unusable(error.to_string()))
}

impl Plugin {
    /// What the plugin says of itself, validated.
    pub fn description(&self) -> &Description {
        &self.inner.description
    }

    /// The file it was loaded from.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// BLAKE3 of the file.
    pub fn hash(&self) -> Hash {
        self.inner.hash
    }

    /// Size of the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.inner.bytes
    }

    /// The contract it was built for, e.g. `whimbrel:connector@0.1.0`.
    pub fn contract(&self) -> &str {
        &self.inner.facts.contract
    }

    /// The version of the SDK it was built with, where it says so.
    pub fn sdk(&self) -> Option<&str> {
        self.inner.facts.sdk.as_deref()
    }

    /// Whether it exports `destination`.
    pub fn can_write(&self) -> bool {
        self.inner.facts.can_write
    }

    /// What it used and tried while it described itself, with nothing granted.
    pub fn describing(&self) -> Usage {
        self.inner.describing.usage()
    }

    /// The interfaces it imports, sorted.
    pub fn imports(&self) -> &[String] {
        &self.inner.facts.imports
    }

    /// The server that an account with these settings lies at, `host:port`, where the connector asks for just one.
    pub fn server(&self, spec: &AccountSpec) -> Option<String> {
        let mut servers = self
            .description()
            .permissions
            .iter()
            .filter(|permission| match permission {
                Permission::Network { .. } | Permission::Url(_) => true,
                Permission::Endpoint(_) | Permission::Files { .. } => false,
            });
        let (Some(server), None) = (servers.next(), servers.next()) else {
            return None;
        };
        let text = |setting: &str| spec.settings.get(setting)?.as_str();
        let (host, port) = match server {
            Permission::Network { host, port } => {
                let port = spec.settings.get(port).and_then(Value::as_u64);
                (text(host)?.to_ascii_lowercase(), port)
            }
            Permission::Url(setting) => {
                let url = Url::parse(text(setting)?).ok()?;
                (
                    url.host_str()?.to_ascii_lowercase(),
                    url.port_or_known_default().map(u64::from),
                )
            }
            Permission::Endpoint(_) | Permission::Files { .. } => return None,
        };
        Some(match port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        })
    }

    /// What is wrong with these settings and this account, a sentence each; empty where nothing is. Values of the
    /// account are never shown.
    pub fn check_settings(&self, settings: &Value, account: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        for error in self.inner.settings.iter_errors(settings) {
            problems.push(sentence(
                "settings",
                &error.instance_path().to_string(),
                &error.to_string(),
            ));
        }
        for error in self.inner.account.iter_errors(account) {
            problems.push(sentence(
                "mailbox",
                &error.instance_path().to_string(),
                &error.masked().to_string(),
            ));
        }
        problems
    }

    /// Opens an account for reading, in an instance of its own. Whatever the plugin asks for, its folders and
    /// mailboxes are read-only.
    ///
    /// # Errors
    /// Those of the plugin's `open`, and `internal` where it fails.
    pub async fn source(&self, spec: &AccountSpec) -> Result<Source, Failure> {
        let mut account = Account::new(self, spec, Use::Source);
        account.open().await?;
        Ok(Source(account))
    }

    /// Opens an account for writing (and for reading back), in an instance of its own.
    ///
    /// # Errors
    /// `unsupported` where the plugin cannot write, those of its `open`, and `internal` where it fails.
    pub async fn destination(&self, spec: &AccountSpec) -> Result<Destination, Failure> {
        if !self.can_write() {
            let name = &self.description().name;
            return Err(Failure::Unsupported(format!(
                "connector `{name}` can only read; choose another for the destination"
            )));
        }
        let mut account = Account::new(self, spec, Use::Destination);
        account.open().await?;
        Ok(Destination(account))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.inner.pre
    }

    pub(crate) fn source_exports(&self) -> &source::GuestIndices {
        &self.inner.source
    }

    pub(crate) fn destination_exports(&self) -> Option<&destination::GuestIndices> {
        self.inner.destination.as_ref()
    }
}

/// "settings, `port`: 70000 is greater than the maximum of 65535".
fn sentence(where_: &str, pointer: &str, problem: &str) -> String {
    let place = pointer.trim_start_matches('/').replace('/', ".");
    let problem = clean(problem, 500);
    if place.is_empty() {
        format!("{where_}: {problem}")
    } else {
        format!("{where_}, `{place}`: {problem}")
    }
}
