//! Connectors' projects: made from the templates or copied from the examples, built and tested by the program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::run::{program, target_folder};
use crate::scratch;

/// The top of the repository.
pub fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a repository")
        .to_owned()
}

/// A project in a folder of its own.
#[derive(Debug)]
pub struct Project {
    _scratch: TempDir,
    /// Where it lies.
    pub folder: PathBuf,
    /// What its connector is called.
    pub name: String,
}

impl Project {
    /// What `whimbrel plugin new` makes, with its tools.
    pub fn new(name: &str, language: &str) -> Self {
        let scratch = scratch::on_disk("kit");
        let folder = scratch.path().join(name);
        let project = Self {
            _scratch: scratch,
            folder,
            name: name.to_owned(),
        };
        let made = project.whimbrel(
            &["plugin", "new", name, "--lang", language],
            project.folder.parent().expect("a folder"),
        );
        succeeded("plugin new", &made);
        project.with_tools()
    }

    /// A copy of an example in `plugin-sdk/examples`, with its tools, the contract and the SDK.
    pub fn example(name: &str) -> Self {
        let scratch = scratch::on_disk("kit");
        let folder = scratch.path().join(name);
        copy(&house().join("plugin-sdk/examples").join(name), &folder);
        copy(&house().join("wit"), &folder.join("wit"));
        let manifest = folder.join("Cargo.toml");
        if let Ok(text) = fs::read_to_string(&manifest) {
            // The SDK is where it was.
            let sdk = house().join("plugin-sdk");
            fs::write(
                manifest,
                text.replace("\"../..\"", &format!("{:?}", sdk.display().to_string())),
            )
            .expect("a manifest");
        }
        let project = Self {
            _scratch: scratch,
            folder,
            name: name.to_owned(),
        };
        project.with_tools()
    }

    /// What `cargo xtask tools` set up, in the places where a project has it.
    fn with_tools(self) -> Self {
        let kit = target_folder().join("kit");
        assert!(
            kit.join("venv").is_dir(),
            "the tools are not there. Set them up with: cargo xtask tools"
        );
        if self.folder.join("requirements.txt").is_file() {
            fs::create_dir_all(self.folder.join("build")).expect("a folder");
            symlink(kit.join("venv"), self.folder.join("build/venv")).expect("a link");
        }
        if self.folder.join("package.json").is_file() {
            symlink(kit.join("node_modules"), self.folder.join("node_modules")).expect("a link");
        }
        self
    }

    /// Runs a command in the project's folder. What cargo builds is shared by all projects.
    pub fn run(&self, program: &str, words: &[&str]) -> Output {
        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", target_folder().join("kit/cargo"));
        command
            .output()
            .unwrap_or_else(|error| panic!("cannot run {program}: {error}"))
    }

    fn whimbrel(&self, words: &[&str], folder: &Path) -> Output {
        let mut command = Command::new(program());
        command
            .args(words)
            .current_dir(folder)
            .env("CARGO_TARGET_DIR", target_folder().join("kit/cargo"));
        command.output().expect("the program runs")
    }

    /// `whimbrel plugin build`; the component.
    pub fn build(&self) -> PathBuf {
        succeeded("plugin build", &self.whimbrel(&["plugin", "build"], &self.folder));
        let file = self.folder.join(format!("build/{}.wasm", self.name));
        assert!(file.is_file(), "{} is not there", file.display());
        file
    }

    /// `whimbrel plugin test`: nothing fails, and `least` cases pass.
    pub fn passes_the_suite(&self, component: &Path, least: usize) {
        let file = component.to_str().expect("a path in UTF-8");
        let output = self.whimbrel(&["plugin", "test", file, "--json"], &self.folder);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{} does not pass:\n{said}{}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        let passed = said.matches("\"passed\"").count();
        assert!(passed >= least, "{} passed {passed} cases:\n{said}", self.name);
    }

    /// Starts its stand-in.
    pub fn stand_in(&self, command: &[&str]) -> StandIn {
        let (program, words) = command.split_first().expect("a command");
        let mut start = Command::new(program);
        start
            .args(words)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = start
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        StandIn {
            child,
            url: said["ready"]["url"].as_str().expect("a URL").to_owned(),
        }
    }
}

/// A stand-in; it ends with the value.
#[derive(Debug)]
pub struct StandIn {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Fails with all that was said where it did not succeed.
pub fn succeeded(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what} failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// All files of a folder, without what building leaves behind.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        let left_behind = ["build", "node_modules", "target", "__pycache__"]
            .iter()
            .any(|it| name == *it);
        match entry.path() {
            path if path.is_dir() && !left_behind => copy(&path, &to.join(name)),
            path if path.is_dir() => {}
            path => drop(fs::copy(path, to.join(name)).expect("a copy")),
        }
    }
}
