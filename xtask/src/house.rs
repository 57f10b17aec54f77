//! Where things are, and how commands are run.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Errors are sentences for the developer.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The folders of the workspace.
#[derive(Debug, Clone)]
pub struct House {
    /// The top of the repository.
    pub root: PathBuf,
    /// Where builds land: `CARGO_TARGET_DIR`, or `target` at the top.
    pub target: PathBuf,
}

impl House {
    /// Of the repository that cargo runs this tool in; checkouts may share one target folder.
    pub fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let manifest = manifest
            .as_deref()
            .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")));
        let root = manifest.parent().ok_or("this tool has no folder above it")?.to_owned();
        if !root.join("Cargo.toml").is_file() {
            return Err(format!("`{}` is gone; build this tool anew", root.display()).into());
        }
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) if !folder.is_empty() => std::path::absolute(folder)?,
            _ => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// Cargo, to be run at the top, building into the same target folder.
    pub fn cargo<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(words)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// The program, built now, in the development profile.
    pub fn whimbrel(&self) -> Result<PathBuf> {
        // As a whole, like the tests: a package of its own would choose other features and build wasmtime once more.
        run(&mut self.cargo(["build", "--workspace", "--bin", "whimbrel"]))?;
        Ok(self
            .target
            .join("debug")
            .join(format!("whimbrel{}", std::env::consts::EXE_SUFFIX)))
    }
}

/// The command as one would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs it with this terminal; an error where it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| format!("cannot run `{}`: {error}", line(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` failed ({status})", line(command)).into())
    }
}

/// Runs it and gives what it wrote on standard output; an error, with what it said, where it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(|error| format!("cannot run `{}`: {error}", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{}` failed ({})\n{}", line(command), output.status, said.trim_end()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
