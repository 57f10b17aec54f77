//! What can be wrong with a vault. Texts end with what to do, after a semicolon.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a vault or a key cannot be used.
#[derive(Debug, Error)]
pub enum VaultError {
    /// Nothing was made yet.
    #[error("there is no vault at {path}; make one with `whimbrel secrets init`")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It was made before.
    #[error("there is a vault at {path} already; use it, or move it away first: nothing is overwritten")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is another one. A damaged line in the file's head cannot be told from that.
    #[error(
        "the passphrase does not open the vault {path}; try again. If you are sure of it, the head of the file is damaged: \
         restore it from a backup"
    )]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The key is another one. A damaged line in the file's head cannot be told from that.
    #[error(
        "the key file does not open the vault {path}; name the one that it was made with as `key_file` in [secrets]. If it \
         is that one, the head of the vault is damaged: restore it from a backup"
    )]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
    /// A key was given for a vault with a passphrase.
    #[error(
        "the vault {path} opens with a passphrase, not with a key file; remove `key_file` from [secrets], or go over to a \
         key file with `whimbrel secrets rekey --key-file FILE`"
    )]
    NeedsPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// A passphrase was given for a vault with a key.
    #[error("the vault {path} opens with a key file, not with a passphrase; name the file as `key_file` in [secrets]")]
    NeedsKey {
        /// The file.
        path: PathBuf,
    },
    /// Its end is missing.
    #[error(
        "the vault {path} is cut off: its end is missing; restore it from a backup, or move it away and begin with \
         `whimbrel secrets init`"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// Bytes are not those that were written.
    #[error(
        "the vault {path} is damaged: it is not what was written; restore it from a backup, or move it away and begin with \
         `whimbrel secrets init`"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Written by a program that is newer.
    #[error("the vault {path} is of version {found}, and this program knows version {known}; use a newer whimbrel")]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        found: String,
        /// What is known.
        known: u32,
    },
    /// Opening it takes more memory and time than is given to it.
    #[error(
        "the passphrase of the vault {path} was made too costly to try (scrypt work factor {factor}); encrypt it anew with \
         a work factor of {most} at most"
    )]
    TooCostly {
        /// The file.
        path: PathBuf,
        /// The base-2 logarithm of scrypt's N.
        factor: u8,
        /// The largest that is taken.
        most: u8,
    },
    /// Somebody else writes.
    #[error("the vault {path} is being written by another whimbrel; wait until it has ended")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A key file without a key.
    #[error(
        "{path} is no key file: it holds no line that begins with AGE-SECRET-KEY-1; name the file that `whimbrel secrets \
         init` made"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A name that cannot be used.
    #[error("a secret's name has 1 to 200 bytes and no control characters; choose another one")]
    BadName,
    /// An empty passphrase.
    #[error("the passphrase is empty; choose one that cannot be guessed")]
    EmptyPassphrase,
    /// The cipher failed.
    #[error("the vault cannot be encrypted: {0}; run again")]
    Sealing(String),
    /// The disk.
    #[error("cannot {what} {path}: {error}; check the folder's permissions and free space")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What came of it.
        error: io::Error,
    },
}

impl VaultError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { what, path, error }
    }
}
