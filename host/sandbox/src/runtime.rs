//! The engine: one for the whole process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};
use whimbrel_wire::{BlobStore, Trust};

use crate::bindings::Connector;
use crate::image::Images;
use crate::instance::State;
use crate::{LoadError, Plugin, load};

/// How often a computing plugin is interrupted.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// What one plugin instance may use.
#[derive(Debug, Clone)]
pub struct PluginLimits {
    /// Linear memory of an instance, all its memories together, in bytes. 64 MiB.
    pub memory_bytes: u64,
    /// Computing time of one call; time spent waiting in the host is free. 30 s.
    pub cpu: Duration,
    /// Instances alive at the same time in the whole process. 512.
    pub max_instances: u32,
    /// Entries of any list that a plugin returns. 100,000.
    pub max_list: usize,
    /// Bytes of any string that a plugin returns (failure texts are cut to 2 KiB, cursors may have 64 KiB). 16 KiB.
    pub max_string: usize,
    /// Bytes of one body that a plugin writes. 4 GiB.
    pub max_body_bytes: u64,
    /// Bytes of all bodies that a plugin wrote and still holds. 8 GiB.
    pub max_held_bytes: u64,
    /// Bodies, writers, sessions and folders that an instance holds at once. 100,000.
    pub max_handles: usize,
    /// IMAP sessions that an instance holds at once. 4.
    pub max_sessions: usize,
    /// Granted folders that an instance has open at once. 16.
    pub max_folders: usize,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu: Duration::from_secs(30),
            max_instances: 512,
            max_list: 100_000,
            max_string: 16 << 10,
            max_body_bytes: 4 << 30,
            max_held_bytes: 8 << 30,
            max_handles: 100_000,
            max_sessions: 4,
            max_folders: 16,
        }
    }
}

/// How a [`Runtime`] is set up.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Folder for compiled plugins, made where it is missing (mode 0700); none: compiled on each load.
    pub cache: Option<PathBuf>,
    /// What an instance may use.
    pub limits: PluginLimits,
    /// Where bodies live that plugins make or that the host fetches for them.
    pub blobs: BlobStore,
}

/// The engine that plugins run in. Cheap to clone; one is enough for a process.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

/// What all plugins of a runtime share.
pub(crate) struct Shared {
    pub engine: Engine,
    pub linker: Linker<State>,
    pub limits: Arc<PluginLimits>,
    pub blobs: BlobStore,
    pub images: Option<Images>,
    pub ticker: Ticker,
    pub trust: Arc<Trust>,
    /// Instances that may still be made.
    pub places: Arc<Semaphore>,
}

impl Runtime {
    /// Starts the engine.
    ///
    /// # Errors
    /// [`LoadError::Engine`] where this machine cannot run it. A cache folder that cannot be used is logged and left
    /// alone: plugins are compiled on each load then.
    pub fn new(config: RuntimeConfig) -> Result<Runtime, LoadError> {
        let broken = |error: wasmtime::Error| LoadError::Engine {
            reason: format!("{error:#}"),
        };
        let engine = engine(&config.limits).map_err(broken)?;
        let linker = linker(&engine).map_err(broken)?;
        let images = config
            .cache
            .as_deref()
            .and_then(|folder| match Images::open(folder, &engine) {
                Ok(images) => Some(images),
                Err(reason) => {
                    tracing::warn!(folder = %folder.display(), reason, "compiled plugins are not kept");
                    None
                }
            });
        let ticker = Ticker::start(engine.weak()).map_err(|error| LoadError::Engine {
            reason: format!("its clock cannot be started: {error}"),
        })?;
        let places = usize::try_from(config.limits.max_instances)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        let shared = Shared {
            engine,
            linker,
            limits: Arc::new(config.limits),
            blobs: config.blobs,
            images,
            ticker,
            trust: Arc::default(),
            places: Arc::new(Semaphore::new(places)),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Reads, checks and compiles a plugin and asks it to describe itself, with nothing granted.
    ///
    /// # Errors
    /// Every way in which a file can fail to be a usable plugin, each with its remedy.
    pub async fn load(&self, path: &Path) -> Result<Plugin, LoadError> {
        load::load(&self.shared, path).await
    }
}

/// Instances come from a pool where the machine lets us reserve one: addresses, not memory.
fn engine(limits: &PluginLimits) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_component_model(true);
    // Nothing here runs plugins on threads, and a shared memory would escape the memory cap.
    config.shared_memory(false);
    config.concurrency_support(false);
    // Nothing is read from the environment.
    config.wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable);
    let mut pool = PoolingAllocationConfig::new();
    let instances = limits.max_instances;
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(8))
        .total_core_instances(instances.saturating_mul(16))
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(8 << 20)
        .max_memories_per_component(8)
        .max_tables_per_component(64)
        .max_tables_per_module(8);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::debug!(%error, "no pool of plugin instances; each is allocated when it is needed");
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Engine::new(&config)
        }
    }
}

/// Everything that a plugin can import. What it does is decided by the grants of the instance.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Connector::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Raises the engine's epoch every [`TICK`] while a plugin is in a call; sleeps else.
pub(crate) struct Ticker(Arc<Beat>);

#[derive(Default)]
struct Beat {
    state: Mutex<BeatState>,
    changed: Condvar,
}

#[derive(Default)]
struct BeatState {
    calls: usize,
    stop: bool,
}

impl Beat {
    fn state(&self) -> MutexGuard<'_, BeatState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticker {
    fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let beat = Arc::new(Beat::default());
        let own = Arc::clone(&beat);
        thread::Builder::new().name("plugin-ticker".to_owned()).spawn(move || {
            loop {
                let mut state = own.state();
                while state.calls == 0 && !state.stop {
                    state = own.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.stop {
                    return;
                }
                drop(state);
                thread::sleep(TICK);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        })?;
        Ok(Self(beat))
    }

    /// The epoch rises until the guard is dropped.
    pub(crate) fn tick(&self) -> Ticking {
        let mut state = self.0.state();
        state.calls += 1;
        if state.calls == 1 {
            self.0.changed.notify_one();
        }
        drop(state);
        Ticking(Arc::clone(&self.0))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.state().stop = true;
        self.0.changed.notify_one();
    }
}

/// A call is under way.
pub(crate) struct Ticking(Arc<Beat>);

impl Drop for Ticking {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.calls = state.calls.saturating_sub(1);
    }
}
