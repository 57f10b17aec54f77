//! From a Cargo project or a core module to one component.
//!
//! Nothing of what is built is run here: whether a component is a connector is found out by whoever loads it.

mod cargo;
mod component;
mod file;
mod strip;
mod toolchain;

use std::path::PathBuf;

use thiserror::Error;

pub use cargo::{Cargo, Module};
pub use component::{Optimised, encode, optimise};
pub use file::write_changed;
pub use strip::strip;
pub use toolchain::{TARGET, Toolchain};

/// Why there is no component.
#[derive(Debug, Error)]
pub enum BuildError {
    /// What is needed to compile is not there. The text says what, and how it is installed.
    #[error("{0}")]
    Toolchain(String),
    /// A program could not be started.
    #[error("cannot run `{program}`: {reason}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
    /// The compiler has said why.
    #[error("`{manifest}` does not build (see above)", manifest = manifest.display())]
    Compile {
        /// The manifest.
        manifest: PathBuf,
    },
    /// There is nothing to make a connector of.
    #[error("`{manifest}` built, but named no module: a connector's crate has `crate-type = [\"cdylib\", \"rlib\"]` in `[lib]`", manifest = manifest.display())]
    NoModule {
        /// The manifest.
        manifest: PathBuf,
    },
    /// A module that does not say what component it is to be, or says what cannot be.
    #[error("it is no component: {0}")]
    Component(String),
    /// A file could not be read or written.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What this crate's functions give.
pub type Result<T> = std::result::Result<T, BuildError>;

impl BuildError {
    fn start(program: &str, error: &std::io::Error) -> Self {
        Self::Start {
            program: program.to_owned(),
            reason: error.to_string(),
        }
    }
}
