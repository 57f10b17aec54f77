//! How the standard library for `wasm32-unknown-unknown` is come by.
//!
//! In one of these ways, in order: it is part of the toolchain, `rustup` adds it, or the system's own Rust packages bring
//! its source.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{BuildError, Result};

/// What connectors written in Rust are compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// Packages of Debian and its kin: a current compiler, and the source of its standard library.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
/// Where those packages put the compiler.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
/// How long `rustup` may try to reach its server.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(120);

/// How the standard library for the target is come by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// It is there.
    Ready,
    /// The system's compiler builds it from source; `lld` is the folder of the linker, unless it is on the PATH.
    FromSource {
        /// Folder of the linker.
        lld: Option<PathBuf>,
    },
}

impl Toolchain {
    /// Finds one, and sets it up where that can be done without asking.
    ///
    /// # Errors
    /// [`BuildError::Toolchain`] says what is missing and how it is installed.
    pub fn find() -> Result<Self> {
        find_way()
    }

    /// Makes a command of cargo's compile with it.
    pub(crate) fn apply(&self, command: &mut Command) -> Result<()> {
        let Self::FromSource { lld } = self else { return Ok(()) };
        command
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC", SYSTEM_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1");
        if let Some(lld) = lld {
            let path = env::var_os("PATH").unwrap_or_default();
            let joined = env::join_paths(env::split_paths(&path).chain([lld.clone()]));
            command.env(
                "PATH",
                joined.map_err(|error| BuildError::Toolchain(error.to_string()))?,
            );
        }
        Ok(())
    }
}

fn find_way() -> Result<Toolchain> {
    // For trying the other way out on a machine that has the target.
    let from_source = env::var_os("WHIMBREL_STD_FROM_SOURCE").is_some();
    if !from_source && (has_target()? || (rustup_adds_target() && has_target()?)) {
        return Ok(Toolchain::Ready);
    }
    if !has_source() {
        install_source();
    }
    if !has_source() {
        return Err(BuildError::Toolchain(format!(
            "the Rust standard library for {TARGET} is missing, and the plugins need it. Either\n  \
             rustup target add {TARGET}\nor, on Debian and its kin, as root\n  \
             apt-get update && apt-get install {}",
            PACKAGES.join(" ")
        )));
    }
    find_linker()
}

fn rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

fn sysroot(rustc: impl Into<OsString>) -> Result<PathBuf> {
    let rustc = rustc.into();
    let output = Command::new(&rustc)
        .args(["--print", "sysroot"])
        .output()
        .map_err(|error| BuildError::start(&rustc.to_string_lossy(), &error))?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Whether the toolchain in use has the library.
fn has_target() -> Result<bool> {
    Ok(sysroot(rustc())?.join("lib/rustlib").join(TARGET).join("lib").is_dir())
}

/// Quiet, and no failure where there is no rustup, no line or no right to write.
fn rustup_adds_target() -> bool {
    let mut command = Command::new("rustup");
    command
        .args(["target", "add", TARGET])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if start.elapsed() < RUSTUP_PATIENCE => thread::sleep(Duration::from_millis(50)),
            Ok(None) | Err(_) => {
                // Either may fail only because it ended by itself.
                child.kill().ok();
                child.wait().ok();
                return false;
            }
        }
    }
}

/// Whether the system's compiler is there with the source of its standard library.
fn has_source() -> bool {
    Path::new(SYSTEM_RUSTC).is_file()
        && sysroot(SYSTEM_RUSTC).is_ok_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std").is_dir())
}

/// With apt, as root; elsewhere nothing happens.
fn install_source() {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !root {
        return;
    }
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    // A stale list of packages may still do: what counts is whether the packages are there in the end.
    apt(&["-qq", "update"]);
    let install: Vec<&str> = ["-qq", "install", "--yes", "--no-install-recommends"]
        .into_iter()
        .chain(PACKAGES)
        .collect();
    apt(&install);
}

/// The linker is part of every rustup toolchain; some systems have it on the PATH.
fn find_linker() -> Result<Toolchain> {
    let name = format!("rust-lld{}", env::consts::EXE_SUFFIX);
    let on_path =
        env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(&name).is_file()));
    if on_path {
        return Ok(Toolchain::FromSource { lld: None });
    }
    for rustc in [rustc(), SYSTEM_RUSTC.into()] {
        let Ok(sysroot) = sysroot(rustc) else { continue };
        let Ok(hosts) = fs::read_dir(sysroot.join("lib/rustlib")) else {
            continue;
        };
        for host in hosts.flatten() {
            let folder = host.path().join("bin");
            if folder.join(&name).is_file() {
                return Ok(Toolchain::FromSource { lld: Some(folder) });
            }
        }
    }
    Err(BuildError::Toolchain(format!(
        "the linker `{name}` is missing: it comes with a Rust toolchain of rustup's, or in a package `lld`"
    )))
}
