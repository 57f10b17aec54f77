//! Proofs of what became of every message of a mailbox, that anybody can check offline.
//!
//! The files are specified in `docs/proof.md`. This crate computes and checks; it reads and writes nothing.

mod check;
mod hex;
mod key;
mod leaf;
mod statement;
mod tree;

pub use check::{Kind, Proven, check};
pub use key::{PublicKey, SigningKey};
pub use leaf::{Leaf, Place};
pub use statement::{FORMAT, Statement, signature_line};
pub use tree::{Path, Tree, TreeHash, leaf_hash, path_line, paths};

/// What is wrong with a proof or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A line is not what belongs there.
    #[error("line {line}: {problem}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// It ends too early.
    #[error("the file is cut short: {0}")]
    Short(&'static str),
    /// The hashes do not lead to the root that was signed.
    #[error("the messages do not lead to the root that was signed: a line was changed, added or removed")]
    Root,
    /// The signature is not that of the key.
    #[error("the signature does not belong to the statement: it was changed, or signed with another key")]
    Signature,
    /// The key is not the one that was asked for.
    #[error("it is signed with the key {found}, not with {wanted}")]
    OtherKey {
        /// Of the proof.
        found: String,
        /// Asked for.
        wanted: String,
    },
    /// A key cannot be read or made.
    #[error("the key cannot be used: {0}")]
    Key(String),
}

/// The result of something that can be wrong with a proof.
pub type Result<T> = std::result::Result<T, ProofError>;
