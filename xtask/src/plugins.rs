//! `cargo xtask plugins`: every crate of `plugins/Cargo.toml` that is a `cdylib`, into a component.
//!
//! The crates are built for `wasm32-unknown-unknown`. Its standard library is found in one of these ways, in order:
//! it is part of the toolchain, `rustup` adds it, or the system's own Rust packages bring its source.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TARGET: &str = "wasm32-unknown-unknown";
/// Packages of Debian and its kin: a current compiler, and the source of its standard library.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
/// Where those packages put the compiler.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
/// How long `rustup` may try to reach its server.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(120);

/// How the standard library for the target is come by.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// The toolchain has it.
    Toolchain,
    /// The system's compiler builds it from source; `lld` is the folder of the linker, unless it is on the PATH.
    FromSource { lld: Option<PathBuf> },
}

/// Builds all connectors below `root` and writes each to `<target>/plugins/<folder's name>.wasm`, those that are only
/// there for tests to `<target>/test-plugins`, in one step and only where it differs from what is there. Gives the paths,
/// sorted.
pub fn build(root: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    let way = find_way()?;
    let modules = compile(root, target, &way)?;
    let mut components = Vec::new();
    for (name, module) in modules {
        let ships = root.join("plugins").join(&name).is_dir();
        let folder = target.join(if ships { "plugins" } else { "test-plugins" });
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let component = encode(&module).map_err(|error| format!("plugin `{name}` is no component: {error}"))?;
        let path = folder.join(format!("{name}.wasm"));
        write_changed(&path, &component).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        components.push(path);
    }
    Ok(components)
}

fn find_way() -> Result<Way> {
    // For trying the other way out on a machine that has the target.
    let from_source = env::var_os("WHIMBREL_STD_FROM_SOURCE").is_some();
    if !from_source && (has_target()? || (rustup_adds_target() && has_target()?)) {
        return Ok(Way::Toolchain);
    }
    if !has_source() {
        install_source();
    }
    if !has_source() {
        return Err(format!(
            "the Rust standard library for {TARGET} is missing, and the plugins need it. Either\n  \
             rustup target add {TARGET}\nor, on Debian and its kin, as root\n  \
             apt-get update && apt-get install {}",
            PACKAGES.join(" ")
        )
        .into());
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
        .map_err(|error| format!("cannot run {}: {error}", rustc.display()))?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
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
fn find_linker() -> Result<Way> {
    let name = format!("rust-lld{}", env::consts::EXE_SUFFIX);
    let on_path =
        env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(&name).is_file()));
    if on_path {
        return Ok(Way::FromSource { lld: None });
    }
    for rustc in [rustc(), SYSTEM_RUSTC.into()] {
        let Ok(sysroot) = sysroot(rustc) else { continue };
        let Ok(hosts) = fs::read_dir(sysroot.join("lib/rustlib")) else {
            continue;
        };
        for host in hosts.flatten() {
            let folder = host.path().join("bin");
            if folder.join(&name).is_file() {
                return Ok(Way::FromSource { lld: Some(folder) });
            }
        }
    }
    Err(
        format!("the linker `{name}` is missing: it comes with a Rust toolchain of rustup's, or in a package `lld`")
            .into(),
    )
}

/// The core module of each plugin, by the name of its crate's folder.
fn compile(root: &Path, target: &Path, way: &Way) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root)
        .args([
            "build",
            "--manifest-path",
            "plugins/Cargo.toml",
            "--workspace",
            "--lib",
            "--release",
        ])
        .args(["--target", TARGET, "--message-format=json-render-diagnostics"])
        .env("CARGO_TARGET_DIR", target.join("plugins-wasm"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if let Way::FromSource { lld } = way {
        command
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC", SYSTEM_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1");
        if let Some(lld) = lld {
            let path = env::var_os("PATH").unwrap_or_default();
            command.env("PATH", env::join_paths(env::split_paths(&path).chain([lld.clone()]))?);
        }
    }
    let mut child = command.spawn().map_err(|error| format!("cannot run cargo: {error}"))?;
    let mut modules = BTreeMap::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let Some((name, path)) = module(&line?) else { continue };
            let bytes = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            modules.insert(name, bytes);
        }
    }
    if !child.wait()?.success() {
        return Err("the plugins do not build (see above)".into());
    }
    if modules.is_empty() {
        return Err("the plugins built, but cargo named no module of theirs".into());
    }
    Ok(modules)
}

/// The plugin and its module that a message of cargo's speaks of, if it is of that sort.
fn module(message: &str) -> Option<(String, PathBuf)> {
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
    let crate_folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    Some((crate_folder.file_name()?.to_str()?.to_owned(), PathBuf::from(path)))
}

/// The component that the module describes itself as, validated.
fn encode(module: &[u8]) -> Result<Vec<u8>> {
    // The whole chain of causes is in the alternate form.
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| format!("{error:#}"))?;
    Ok(component)
}

/// Written beside its place and renamed, so that nobody sees half of it; left alone where it is the same.
fn write_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let folder = path.parent().ok_or("it has no folder")?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
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
            Some(("imap".to_owned(), PathBuf::from("/t/whimbrel_imap.wasm")))
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

    #[test]
    fn what_is_the_same_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        write_changed(&path, b"one").unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        thread::sleep(Duration::from_millis(20));
        write_changed(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        write_changed(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_component_is_refused() {
        assert!(encode(b"garbage").is_err());
    }
}
