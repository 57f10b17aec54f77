//! One instance of a plugin: its memory, its handles, its keys, its clock.

use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{Instance, InstancePre, ResourceTable};
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::{I32Exit, WasiCtx};
use whimbrel_wire::{BlobStore, Trust, http};

use crate::activity::Interface;
use crate::convert::clean;
use crate::grants::Grants;
use crate::host::blobs::{Trouble, Usage};
use crate::host::{log, wasi};
use crate::runtime::{Shared, TICK};
use crate::trace::Observed;
use crate::{Activity, PluginLimits};

/// What every call of the host costs a plugin beside the time that the host takes: a loop of empty calls ends too.
const HOST_CALL: Duration = Duration::from_micros(5);

/// How long a plugin may rest in a call without computing and without waiting for the host: only WASI's clocks let it.
const REST: Duration = Duration::from_secs(60);

/// Bytes that a plugin may hand to the host in one call or answer.
const HANDED_OVER: usize = 128 << 20;

/// Elements of a table.
const TABLE_ELEMENTS: usize = 1_000_000;

/// All that the host keeps for an instance.
pub(crate) struct State {
    pub table: ResourceTable,
    pub wasi: WasiCtx,
    pub grants: Arc<Grants>,
    pub activity: Activity,
    pub blobs: BlobStore,
    pub limits: Arc<PluginLimits>,
    pub clock: Clock,
    pub usage: Arc<Usage>,
    pub log: log::Allowance,
    pub sessions: usize,
    pub folders: usize,
    /// Made with the first request.
    pub http: Option<http::Client>,
    pub trust: Arc<Trust>,
    memory: Memory,
}

/// A limit that was exceeded; the text continues "it …".
#[derive(Debug, thiserror::Error)]
enum Exceeded {
    #[error("used more than {0:?} of computing time in one call")]
    Cpu(Duration),
    #[error("asked for more than {0} MiB of memory")]
    Memory(u64),
    #[error("asked for a table of more than {TABLE_ELEMENTS} elements")]
    Table,
    #[error("rested for more than {0:?} in one call")]
    Rest(Duration),
}

/// Counts linear memory over all memories of an instance.
struct Memory {
    bytes: usize,
    limit: u64,
    activity: Activity,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired.saturating_sub(current));
        if bytes as u64 > self.limit {
            return Err(Exceeded::Memory(self.limit >> 20).into());
        }
        self.bytes = bytes;
        self.activity.memory(bytes as u64);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            return Err(Exceeded::Table.into());
        }
        Ok(true)
    }
}

/// Measures the computing time of the current call. The plugin's time runs from the moment it is entered, or a host
/// function returns, to the next host function, yield or return.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<Mutex<Reading>>);

#[derive(Debug)]
struct Reading {
    spent: Duration,
    /// Since when the plugin runs; none while it waits for the host.
    since: Option<Instant>,
    /// Where all of it is added up.
    activity: Activity,
}

impl Clock {
    fn new(activity: Activity) -> Self {
        Self(Arc::new(Mutex::new(Reading {
            spent: Duration::ZERO,
            since: None,
            activity,
        })))
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) {
        let mut reading = self.reading();
        reading.spent = Duration::ZERO;
        reading.since = Some(Instant::now());
    }

    /// The call is over.
    fn stop(&self) {
        self.reading().pause();
    }

    /// Stops the plugin's time until the guard is dropped.
    pub(crate) fn host(&self) -> HostTime {
        let mut reading = self.reading();
        reading.pause();
        reading.spent += HOST_CALL;
        HostTime {
            clock: self.clone(),
            observed: None,
        }
    }

    fn resume(&self) {
        self.reading().since = Some(Instant::now());
    }

    /// How long the plugin has neither computed nor waited for the host.
    fn resting(&self) -> Duration {
        self.reading().since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Reading {
    /// A stretch of computing is interrupted every tick: what looks longer than two was the machine being busy
    /// elsewhere, and is not the plugin's fault.
    fn pause(&mut self) {
        if let Some(since) = self.since.take() {
            let stretch = since.elapsed().min(2 * TICK);
            self.spent += stretch;
            self.activity.computed(stretch);
        }
    }
}

/// The host's turn.
pub(crate) struct HostTime {
    clock: Clock,
    observed: Option<Observed>,
}

impl HostTime {
    /// What is to be told of this call; not even made where nobody watches.
    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(observed) = &mut self.observed {
            observed.note(&text());
        }
    }
}

impl Drop for HostTime {
    fn drop(&mut self) {
        self.clock.resume();
    }
}

impl State {
    /// A call of the host: counted, and free of the plugin's time until the guard is dropped.
    pub(crate) fn host(&self, interface: Interface, function: &'static str) -> HostTime {
        self.activity.host_call(interface);
        let mut time = self.clock.host();
        time.observed = Observed::new(&self.activity, interface, function);
        time
    }
}

/// A store with its component in it.
pub(crate) struct Running {
    pub store: Store<State>,
    pub instance: Instance,
    _place: OwnedSemaphorePermit,
}

impl Running {
    /// A fresh instance. Never shared between accounts, so that nothing of one mailbox can be seen from another: not
    /// by a fault in the plugin, and not by intent.
    pub(crate) async fn new(
        shared: &Arc<Shared>,
        pre: &InstancePre<State>,
        grants: Arc<Grants>,
        place: OwnedSemaphorePermit,
    ) -> wasmtime::Result<Self> {
        let limits = Arc::clone(&shared.limits);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.max_handles);
        let activity = grants.activity().clone();
        activity.instance();
        let clock = Clock::new(activity.clone());
        let state = State {
            table,
            wasi: wasi::nothing(&grants),
            grants,
            activity: activity.clone(),
            blobs: shared.blobs.clone(),
            clock: clock.clone(),
            usage: Arc::default(),
            log: log::Allowance::new(),
            sessions: 0,
            folders: 0,
            http: None,
            trust: Arc::clone(&shared.trust),
            memory: Memory {
                bytes: 0,
                limit: limits.memory_bytes,
                activity,
            },
            limits,
        };
        let cpu = state.limits.cpu;
        let mut store = Store::new(&shared.engine, state);
        // What one call may hand over: lists and strings take a few times their size in the plugin's memory.
        store.set_hostcall_fuel(HANDED_OVER);
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(move |_| {
            let mut reading = clock.reading();
            reading.pause();
            if reading.spent > cpu {
                return Err(Exceeded::Cpu(cpu).into());
            }
            drop(reading);
            let clock = clock.clone();
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    clock.resume();
                }),
            ))
        });
        let clock = store.data().clock.clone();
        clock.start();
        store.set_epoch_deadline(1);
        let _ticking = shared.ticker.tick();
        let instance = watch(clock, pre.instantiate_async(&mut store)).await?;
        Ok(Self {
            store,
            instance,
            _place: place,
        })
    }

    /// Sets the clock to zero for a new call.
    pub(crate) fn begin(&mut self) -> Clock {
        let clock = self.store.data().clock.clone();
        clock.start();
        self.store.set_epoch_deadline(1);
        clock
    }
}

/// Runs a call, and ends it when the plugin rests for too long.
pub(crate) async fn watch<T>(clock: Clock, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    let mut call = std::pin::pin!(call);
    loop {
        tokio::select! {
            biased;
            answer = &mut call => {
                clock.stop();
                return answer;
            }
            () = tokio::time::sleep(REST / 4) => {
                if clock.resting() > REST {
                    return Err(Exceeded::Rest(REST).into());
                }
            }
        }
    }
}

/// What ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It took too long.
    Time,
    /// It wanted too much memory.
    Memory,
    /// It trapped.
    Trap,
    /// It did what the host does not let it.
    Misuse,
    /// The host's own trouble.
    Host,
}

/// What ended a call, for counting.
pub(crate) fn cause(error: &wasmtime::Error) -> Cause {
    match error.downcast_ref::<Exceeded>() {
        Some(Exceeded::Cpu(_) | Exceeded::Rest(_)) => return Cause::Time,
        Some(Exceeded::Memory(_) | Exceeded::Table) => return Cause::Memory,
        None => {}
    }
    if error.downcast_ref::<Trouble>().is_some() {
        Cause::Host
    } else if error.downcast_ref::<Trap>().is_some() || error.downcast_ref::<I32Exit>().is_some() {
        Cause::Trap
    } else {
        Cause::Misuse
    }
}

/// Why a call ended in a trap, for people: "it …".
pub(crate) fn why(error: &wasmtime::Error) -> String {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return format!("it {exceeded}");
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return format!("it called exit({code})");
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "it gave up (a panic, an assertion, or memory that ran out)".to_owned(),
        Some(Trap::StackOverflow) => "it used up its stack".to_owned(),
        Some(Trap::MemoryOutOfBounds) => "it reached outside its memory (or used up its stack)".to_owned(),
        Some(trap) => format!("it failed: {trap}"),
        None => format!("it {}", clean(&error.root_cause().to_string(), 500)),
    }
}

/// Functions of a plugin's stack that are told.
const MOST_FRAMES: usize = 32;

/// The plugin's own functions at the moment of a trap, innermost first: by name where the component kept its names, by
/// number else.
pub(crate) fn stack(error: &wasmtime::Error) -> Vec<String> {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let frame = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => clean(&format!("{:#}", rustc_demangle::demangle(name)), 200),
        None => format!("function {}", frame.func_index()),
    };
    trace.frames().iter().take(MOST_FRAMES).map(frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_the_host_is_free_and_calls_are_not() {
        let activity = Activity::default();
        let clock = Clock::new(activity.clone());
        clock.start();
        {
            let _host = clock.host();
            std::thread::sleep(Duration::from_millis(60));
        }
        let spent = clock.reading().spent;
        assert!(spent >= HOST_CALL && spent < Duration::from_millis(50), "{spent:?}");
        clock.stop();
        assert!(activity.usage().computing_ms < 50);
    }

    #[test]
    fn a_stretch_counts_two_ticks_at_most() {
        let mut reading = Reading {
            spent: Duration::ZERO,
            since: Instant::now().checked_sub(Duration::from_secs(9)),
            activity: Activity::default(),
        };
        reading.pause();
        assert_eq!(reading.spent, 2 * TICK);
        assert!(reading.since.is_none());
        assert_eq!(reading.activity.usage().computing_ms, 20);
    }

    #[test]
    fn causes_are_told_apart() {
        assert_eq!(cause(&Exceeded::Cpu(TICK).into()), Cause::Time);
        assert_eq!(cause(&Exceeded::Table.into()), Cause::Memory);
        assert_eq!(cause(&Trap::UnreachableCodeReached.into()), Cause::Trap);
        assert_eq!(cause(&Trouble::new(&std::io::Error::other("x")).into()), Cause::Host);
        assert_eq!(cause(&wasmtime::Error::msg("passed 9 UIDs")), Cause::Misuse);
    }

    #[test]
    fn memory_counts_over_all_memories() {
        let mut memory = Memory {
            bytes: 0,
            limit: 100,
            activity: Activity::default(),
        };
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        let error = memory.memory_growing(60, 61, None).unwrap_err();
        assert!(why(&error).starts_with("it asked for more than"), "{}", why(&error));
        assert_eq!(cause(&error), Cause::Memory);
        assert_eq!(memory.activity.usage().peak_memory, 100);
    }
}
