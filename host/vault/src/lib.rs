//! Secrets at rest: passwords, client secrets and OAuth tokens in one encrypted file.
//!
//! **Invariant** Nothing secret is on the disk but encrypted, in `Debug`, or in an error.
//!
//! **Invariant** The file is whole at any instant: it is replaced, never written over, and flushed before a call returns.

mod contents;
mod error;
mod key;
#[cfg(test)]
mod tests;
mod vault;

pub use contents::{Content, Entry, Kind};
pub use error::VaultError;
pub use key::Key;
pub use vault::Vault;

/// The result of everything here.
pub type Result<T, E = VaultError> = std::result::Result<T, E>;
