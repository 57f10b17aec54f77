//! A place where connectors are made as a vendor makes them: by commands in a shell, with what `cargo xtask tools` fetched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::run::{Outcome, Running, program, target_folder};
use crate::scratch;

/// The most that building and testing one connector may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(1200);

/// A folder with the program in the path and with tools that need no network.
#[derive(Debug)]
pub struct Workshop {
    folder: TempDir,
}

impl Workshop {
    /// An empty one.
    #[track_caller]
    pub fn new() -> Self {
        let workshop = Self {
            // A Python project has a hundred megabytes of tools.
            folder: scratch::on_disk("workshop"),
        };
        for part in ["wheels", "npm"] {
            let path = kit().join(part);
            assert!(
                path.is_dir(),
                "{} is not there; `cargo xtask tools` makes it",
                path.display()
            );
        }
        fs::create_dir(workshop.path("bin")).unwrap();
        symlink(program(), workshop.path("bin/whimbrel")).unwrap();
        workshop
    }

    /// Something in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A shell with this script, which ends at the first command that fails.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["-eu", "-c", script])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("WHIMBREL_PLUGINS", target_folder().join("plugins"))
            .env("XDG_DATA_HOME", self.path("home"))
            // Two Rust projects share what they are made of, and nothing with the tests of this workspace.
            .env("CARGO_TARGET_DIR", target_folder().join("kit/cargo"))
            .env("PIP_NO_INDEX", "1")
            .env("PIP_FIND_LINKS", kit().join("wheels"))
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("npm_config_cache", kit().join("npm"))
            .env("npm_config_prefer_offline", "true")
            .env("npm_config_audit", "false")
            .env("npm_config_update_notifier", "false");
        command
    }

    /// Runs the script to its end; it has to succeed.
    #[track_caller]
    pub fn run(&self, script: &str) -> Outcome {
        let outcome = Running::start(&mut self.shell(script)).wait(PATIENCE);
        outcome.expect(0);
        outcome
    }
}

impl Default for Workshop {
    fn default() -> Self {
        Self::new()
    }
}

/// What `cargo xtask tools` fetched.
fn kit() -> PathBuf {
    target_folder().join("kit")
}
