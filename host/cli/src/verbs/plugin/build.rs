//! `whimbrel plugin build`: from a project, a core module or a component to one checked component.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use whimbrel_build::{BuildError, Cargo, Optimised, Toolchain, encode, optimise, strip, write_changed};
use whimbrel_model::Permission;
use whimbrel_sandbox::Plugin;

use super::{load_file, project};
use crate::exit::Exit;
use crate::output::{Output, complain, safe};
use crate::problem::{Problem, Result};
use crate::settings::units::show_bytes;
use crate::verbs::cannot;

/// A component before it is checked.
const UNCHECKED: &str = "unchecked.wasm";

/// Interfaces of no use that speak of a toolchain, and not of the connector.
const WHOLE: usize = 3;

/// What there is to make a component of.
struct Made {
    bytes: Vec<u8>,
    /// The folder that what is built goes to.
    folder: PathBuf,
}

/// Builds and checks.
pub async fn run(place: &Path, to: Option<&Path>, names: bool, output: Output) -> Result<Exit> {
    let Made { bytes, folder } = made(place, names)?;
    let (before, mut remarks) = (bytes.len(), Vec::new());
    let component = finished(bytes, names, &mut remarks)?;
    // Checked by what will load it, in a place of its own: a good one that is there stays until there is a better one.
    let draft = tempfile::tempdir().map_err(|error| cannot("make a folder in", &std::env::temp_dir(), &error))?;
    let unchecked = draft.path().join(UNCHECKED);
    write_changed(&unchecked, &component).map_err(failed)?;
    let plugin = load_file(&unchecked).await?;
    remarks.extend(idle_imports(&plugin));
    let name = &plugin.description().name;
    let path = to.map_or_else(|| folder.join(format!("{name}.wasm")), Path::to_owned);
    write_changed(&path, &component).map_err(failed)?;
    let shown = project::shown(&path);
    output.document(
        json!({
            "file": path, "name": name, "version": plugin.description().version, "contract": plugin.contract(),
            "blake3": plugin.hash().to_string(), "bytes": component.len(), "bytes_before": before,
            "writes": plugin.can_write(), "imports": plugin.imports(), "remarks": remarks,
        }),
        Exit::Ok,
    );
    let reach = if plugin.can_write() {
        "reads and writes"
    } else {
        "reads"
    };
    output.say(safe(&format!(
        "{shown}: {name} {}, {reach}, contract {}, {}",
        plugin.description().version,
        plugin.contract(),
        show_bytes(component.len() as u64),
    )));
    remarks
        .iter()
        .for_each(|remark| complain(&format!("note: {}", safe(remark))));
    Ok(Exit::Ok)
}

/// Compiles a project, or reads a file.
fn made(place: &Path, names: bool) -> Result<Made> {
    if place.is_file() {
        let bytes = fs::read(place).map_err(|error| cannot("read", place, &error))?;
        let folder = place.parent().unwrap_or(Path::new("")).to_owned();
        return Ok(Made { bytes, folder });
    }
    let file = place.join(project::FILE);
    let build = match file.is_file() {
        true => project::read(&file)?.build,
        false => None,
    };
    let folder = place.join("build");
    let manifest = place.join("Cargo.toml");
    let bytes = match build {
        Some(build) => {
            let (program, words) = build.command.split_first().ok_or_else(|| {
                Box::new(Problem::usage(format!(
                    "`{}`: `build.command` is empty",
                    file.display()
                )))
            })?;
            let program = program_in(place, program);
            let mut command = Command::new(&program);
            command.args(words).current_dir(place).stdin(Stdio::null());
            said_aside(&mut command);
            let status = command.status().map_err(|error| {
                let problem = Problem::usage(format!("cannot run `{}`: {error}", program.display()));
                Box::new(problem.help("the README of the project says how its tools are set up"))
            })?;
            if !status.success() {
                let line = build.command.join(" ");
                return Err(Box::new(Problem::failed(format!(
                    "`{line}` did not succeed (see above): {status}"
                ))));
            }
            let module = place.join(&build.module);
            fs::read(&module).map_err(|error| cannot("read", &module, &error))?
        }
        None if manifest.is_file() => {
            let cargo = Cargo {
                manifest: &manifest,
                workspace: false,
                target: None,
                names,
            };
            let modules = Toolchain::find()
                .and_then(|toolchain| cargo.compile(&toolchain))
                .map_err(failed)?;
            let count = modules.len();
            match modules.into_iter().next() {
                Some(module) if count == 1 => module.bytes,
                _ => {
                    let message = format!("`{}` makes {count} modules, and a connector is one", manifest.display());
                    return Err(Box::new(
                        Problem::usage(message).help("name the folder of the connector's own crate"),
                    ));
                }
            }
        }
        None => {
            let message = format!("there is no connector's project in `{}`", place.display());
            let help = "a Cargo.toml or a connector.toml with [build] makes one; `whimbrel plugin new` writes both";
            return Err(Box::new(Problem::usage(message).help(help)));
        }
    };
    Ok(Made { bytes, folder })
}

/// A program that is named by a path is one of the project's.
fn program_in(folder: &Path, program: &str) -> PathBuf {
    if program.contains('/') {
        std::path::absolute(folder.join(program)).unwrap_or_else(|_| folder.join(program))
    } else {
        program.into()
    }
}

/// What a compiler says is no result of ours: it goes to standard error.
fn said_aside(command: &mut Command) {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        if let Ok(aside) = std::io::stderr().as_fd().try_clone_to_owned() {
            command.stdout(aside);
        }
    }
}

/// The component, without what only debuggers read.
fn finished(bytes: Vec<u8>, names: bool, remarks: &mut Vec<String>) -> Result<Vec<u8>> {
    let bytes = match names {
        true => bytes,
        false => match optimise(&bytes).map_err(failed)? {
            Optimised::Done(smaller) => smaller,
            Optimised::Failed(why) => {
                remarks.push(format!(
                    "`wasm-opt` did not succeed, and the module stays as it was: {why}"
                ));
                bytes
            }
            Optimised::NoTool | Optimised::NotAModule => bytes,
        },
    };
    let component = encode(bytes).map_err(|error| {
        let problem = Problem::new("project", error.to_string(), Exit::Usage);
        Box::new(
            problem.help("a connector's module is made with the SDK, or with wit-bindgen from the contract in wit/"),
        )
    })?;
    match names {
        true => Ok(component),
        false => strip(&component).map_err(failed),
    }
}

/// What the component imports and the host would refuse, for want of a permission in the description.
fn idle_imports(plugin: &Plugin) -> Vec<String> {
    let description = plugin.description();
    let imported: BTreeSet<&str> = plugin
        .imports()
        .iter()
        .filter_map(|import| import.strip_prefix("whimbrel:connector/")?.split('@').next())
        .collect();
    let idle: Vec<&str> = imported
        .into_iter()
        .filter(|interface| needs(interface).is_some_and(|opens| !description.permissions.iter().any(opens)))
        .collect();
    // Toolchains that cannot tell what is used import the whole contract.
    if idle.is_empty() || idle.len() >= WHOLE {
        return Vec::new();
    }
    vec![format!(
        "it imports {}, and asks for no permission that makes {} work: every call will be refused",
        idle.join(", "),
        if idle.len() == 1 { "it" } else { "them" }
    )]
}

/// The permissions that an interface is of use with.
fn needs(interface: &str) -> Option<fn(&Permission) -> bool> {
    match interface {
        "files" => Some(|permission| matches!(permission, Permission::Files { .. })),
        "imap" => Some(|permission| matches!(permission, Permission::Network { .. })),
        "tcp" => Some(|permission| matches!(permission, Permission::Network { .. } | Permission::Endpoint(_))),
        "http" => Some(|permission| !matches!(permission, Permission::Files { .. })),
        _ => None,
    }
}

#[allow(clippy::needless_pass_by_value)] // For `map_err`.
fn failed(error: BuildError) -> Box<Problem> {
    Box::new(Problem::failed(error.to_string()))
}
