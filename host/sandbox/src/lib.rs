//! Loads, grants, limits and calls connector plugins.
//!
//! A plugin is a WebAssembly component that implements the contract in `wit/`. It holds no authority of its own: what
//! it may do is what its description asks for *and* the admin's settings name. Each open account lives in an instance
//! of its own, with its own memory, so nothing leaks from one mailbox to another.
//!
//! **Invariant** Credentials never enter a plugin: they go from [`AccountSpec`] straight to the protocol client.
//!
//! **Invariant** A source is only read: in an instance opened by [`Plugin::source`] no folder can be written and no
//! mailbox altered, whatever the plugin tries.
//!
//! **Invariant** Whatever a plugin does (spin, allocate, trap, lie), the caller gets a [`whimbrel_model::Failure`] that
//! names it, within bounded time and memory; the next call finds a fresh instance.

mod account;
mod activity;
mod bindings;
mod connections;
mod convert;
mod grants;
mod host;
mod image;
mod inspect;
mod instance;
mod load;
mod runtime;
mod trace;
mod validate;

pub use account::{AccountSpec, Destination, Item, Source};
pub use activity::{Activity, Attempt, HostCalls, Refusal, Usage};
pub use connections::{Connection, Connections};
pub use load::{LoadError, Plugin};
pub use runtime::{PluginLimits, Runtime, RuntimeConfig};
pub use trace::{Seen, Watcher};
pub use whimbrel_wire::imap::Timeouts;

/// The contract that this host speaks; any `0.1.x` is understood.
pub const CONTRACT: &str = "whimbrel:connector@0.1.0";
