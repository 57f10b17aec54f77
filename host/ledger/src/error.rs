//! What can go wrong with a ledger, and what to do about it.

use std::{io, path::PathBuf};

use thiserror::Error;

/// A result with a [`LedgerError`].
pub type Result<T, E = LedgerError> = std::result::Result<T, E>;

/// Why the ledger could not do what was asked. The texts say what and where, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another process has it open.
    #[error("the ledger in {} is in use by another whimbrel{}; wait until it has ended, or stop it, and run again",
        folder.display(), process.map(|id| format!(" (process {id})")).unwrap_or_default())]
    Locked {
        /// The state folder.
        folder: PathBuf,
        /// The process that has it open, if it could be found out.
        process: Option<u32>,
    },
    /// It was written by a newer version.
    #[error("the ledger in {} has schema {found}, this whimbrel knows up to {known}; use the newer whimbrel that wrote it", folder.display())]
    NewerSchema {
        /// The state folder.
        folder: PathBuf,
        /// What it has.
        found: u32,
        /// What this version knows.
        known: u32,
    },
    /// It was written by an older version.
    #[error("the ledger in {} has schema {found}, this whimbrel needs {known}; export it with the whimbrel that wrote it (`whimbrel ledger export`), and import that into another state folder (`whimbrel ledger import`)", folder.display())]
    OlderSchema {
        /// The state folder.
        folder: PathBuf,
        /// What it has.
        found: u32,
        /// What this version needs.
        known: u32,
    },
    /// There is something else in its place.
    #[error("{} is not a ledger: {problem}; name another state folder, or move that one away", folder.display())]
    NotALedger {
        /// The folder that was looked at.
        folder: PathBuf,
        /// What is there instead.
        problem: String,
    },
    /// There is none.
    #[error("there is no ledger in {}; check the state folder in the settings, or run `whimbrel migrate` first", folder.display())]
    Missing {
        /// The state folder.
        folder: PathBuf,
    },
    /// Import needs an empty place.
    #[error("there is a ledger with records in {} already; import into another state folder", folder.display())]
    NotEmpty {
        /// The state folder.
        folder: PathBuf,
    },
    /// A record cannot be read.
    #[error("the ledger in {} is damaged: {what}: {problem}; bring back a copy of the state folder or an export (`whimbrel ledger import`) if nothing ran since it was made, or find out from the destination what is there (`whimbrel ledger rebuild`)", folder.display())]
    Corrupt {
        /// The state folder.
        folder: PathBuf,
        /// Which record, by kind and key.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The disk does not play along.
    #[error("{doing} {}: {source}; {}", path.display(), remedy(source))]
    Io {
        /// What was attempted, e.g. "writing to the ledger in".
        doing: &'static str,
        /// With this file or folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The store failed in a way that it should not.
    #[error("the ledger's store in {} failed: {problem}; what was acknowledged before is safe: run again to go on, and report this if it comes back", folder.display())]
    Store {
        /// The state folder.
        folder: PathBuf,
        /// What it says.
        problem: String,
    },
    /// Something was named that the ledger does not hold.
    #[error("{operation}: the ledger knows no {what}; this is a fault of whimbrel, please report it")]
    Unknown {
        /// What was attempted.
        operation: &'static str,
        /// What is not there, e.g. "item 17 in collection 3".
        what: String,
    },
    /// An item is in a state that does not allow what was asked. Nothing of the batch was recorded.
    #[error("{operation}: {what} is {state}; this is a fault of whimbrel, please report it")]
    Illegal {
        /// What was attempted.
        operation: &'static str,
        /// With which item.
        what: String,
        /// In which state it is.
        state: &'static str,
    },
    /// A name, id or value that cannot be recorded. Nothing of the batch was recorded.
    #[error("{operation}: {problem}")]
    Invalid {
        /// What was attempted.
        operation: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A line of an export cannot be imported. Nothing was imported.
    #[error("line {line} of the export: {problem}; nothing was imported: check that the file is whole and unchanged")]
    Import {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

/// What a person can do about an I/O error.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make the state folder writable for this user, or name another in the settings"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room on the disk and run again: what was acknowledged before is safe"
        }
        io::ErrorKind::NotFound => "check the path in the settings",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "there is something else of that name: name another state folder in the settings"
        }
        _ => "check the disk and run again: what was acknowledged before is safe",
    }
}
