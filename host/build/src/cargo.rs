//! Compiling with cargo.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{BuildError, Result, TARGET, Toolchain};

/// A core module that cargo made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// The folder of its crate.
    pub folder: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What to compile, and where.
#[derive(Debug)]
pub struct Cargo<'a> {
    /// The `Cargo.toml`.
    pub manifest: &'a Path,
    /// All members of the workspace, or the manifest's own crate alone.
    pub workspace: bool,
    /// Where cargo puts what it makes; its own choice where nothing is said.
    pub target: Option<&'a Path>,
    /// Keep the names of functions, for the stacks of traps.
    pub names: bool,
}

impl Cargo<'_> {
    /// The module of every crate that is a `cdylib`, by the folder of the crate. What the compiler says goes to standard
    /// error.
    ///
    /// # Errors
    /// Whatever keeps cargo from making one.
    pub fn compile(&self, toolchain: &Toolchain) -> Result<Vec<Module>> {
        let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(&program);
        command
            .args(["build", "--lib", "--release", "--manifest-path"])
            .arg(self.manifest)
            .args(["--target", TARGET, "--message-format=json-render-diagnostics"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if self.workspace {
            command.arg("--workspace");
        }
        if let Some(target) = self.target {
            command.env("CARGO_TARGET_DIR", target);
        }
        if self.names {
            command.args(["--config", "profile.release.strip=false"]);
        }
        toolchain.apply(&mut command)?;
        let started = |error: &std::io::Error| BuildError::start(&program.to_string_lossy(), error);
        let mut child = command.spawn().map_err(|error| started(&error))?;
        let mut modules = BTreeMap::new();
        for line in child
            .stdout
            .take()
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines())
        {
            let line = line.map_err(|error| started(&error))?;
            let Some((folder, path)) = module(&line) else { continue };
            let bytes = fs::read(&path).map_err(|error| BuildError::File {
                path,
                reason: error.to_string(),
            })?;
            modules.insert(folder, bytes);
        }
        let manifest = || self.manifest.to_owned();
        if !child.wait().map_err(|error| started(&error))?.success() {
            return Err(BuildError::Compile { manifest: manifest() });
        }
        if modules.is_empty() {
            return Err(BuildError::NoModule { manifest: manifest() });
        }
        Ok(modules
            .into_iter()
            .map(|(folder, bytes)| Module { folder, bytes })
            .collect())
    }
}

/// The crate's folder and the module that a message of cargo's speaks of, if it is of that sort.
fn module(message: &str) -> Option<(PathBuf, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let cdylib = message["target"]["crate_types"]
        .as_array()?
        .iter()
        .any(|kind| kind == "cdylib");
    if message["reason"] != "compiler-artifact" || !cdylib {
        return None;
    }
    let files = message["filenames"].as_array()?;
    let path = files
        .iter()
        .filter_map(|file| file.as_str())
        .find(|file| file.ends_with(".wasm"))?;
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    Some((folder.to_owned(), PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_known_by_the_folder_of_their_crate() {
        let message = r#"{"reason":"compiler-artifact","manifest_path":"/x/plugins/imap/Cargo.toml",
            "target":{"crate_types":["cdylib","rlib"]},"filenames":["/t/a.rlib","/t/whimbrel_imap.wasm"]}"#;
        assert_eq!(
            module(message),
            Some((PathBuf::from("/x/plugins/imap"), PathBuf::from("/t/whimbrel_imap.wasm")))
        );
        for other in [
            "",
            "{}",
            r#"{"reason":"build-finished","success":true}"#,
            &message.replace("cdylib", "lib"),
        ] {
            assert_eq!(module(other), None, "{other}");
        }
    }
}
