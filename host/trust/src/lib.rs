//! Which connectors a migration trusts: signatures of components, what the admin granted, and what was installed.
//!
//! The forms of the files are in `docs/trust.md`. This crate computes and decides; it reads and writes nothing.

mod grants;
mod lock;
mod signature;

pub use grants::{Candidate, Decision, Difference, Grant, Grants, GrantsError, How, ask};
pub use lock::{Installed, Lock, NotInstalled};
pub use signature::{MOST_BYTES, Signature, SignatureError, Subject};
pub use whimbrel_proof::{ProofError, PublicKey, SigningKey};
