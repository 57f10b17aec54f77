//! What the host gives to plugins. Every function checks what it is given: a plugin may pass anything.

pub(crate) mod blobs;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod imap;
pub(crate) mod log;
pub(crate) mod tcp;
pub(crate) mod wasi;

use wasmtime::component::ResourceTableError;
use whimbrel_model::Failure;

use crate::bindings::types;
use crate::convert;
use crate::instance::State;

/// A size, for whoever watches.
fn bytes_of(bytes: u64) -> String {
    format!("{bytes} bytes")
}

/// How a host function ends when it does not succeed.
#[derive(Debug)]
pub(crate) enum HostError {
    /// The plugin is told, and goes on.
    Failure(Failure),
    /// The plugin misused the contract, or asked for more than its limits: the call ends.
    Trap(wasmtime::Error),
}

impl From<Failure> for HostError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<wasmtime::Error> for HostError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<ResourceTableError> for HostError {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

pub(crate) type HostResult<T> = Result<T, HostError>;

impl types::Host for State {
    fn convert_failure(&mut self, error: HostError) -> wasmtime::Result<types::Failure> {
        match error {
            HostError::Failure(failure) => Ok(convert::failure_to_guest(failure)),
            HostError::Trap(error) => Err(error),
        }
    }
}
