//! Which connectors a migration trusts: signatures of components, and what the admin granted.
//!
//! The forms of the files are in `docs/trust.md`. This crate computes and decides; it reads and writes nothing.

mod grants;
mod signature;

pub use grants::{Candidate, Decision, Difference, Grant, Grants, GrantsError, How, ask};
pub use signature::{MOST_BYTES, Signature, SignatureError, Subject};
pub use whimbrel_proof::{ProofError, PublicKey, SigningKey};
