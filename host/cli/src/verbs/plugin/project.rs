//! The `connector.toml` of a project, for the verbs that work on one.

use std::path::{Path, PathBuf};

use whimbrel_conformance::config::{Bench, ConfigError, Project};

use crate::args::{self, Global};
use crate::exit::Exit;
use crate::problem::{Problem, Result};

/// What a project's file is called.
pub const FILE: &str = "connector.toml";

/// The project that a component belongs to: of the file that `--config` names, or the nearest above the component.
pub fn of_component(global: &Global, component: &Path) -> Result<Project> {
    if global.config != Path::new(args::SETTINGS) {
        return read(&global.config);
    }
    let nearest = std::path::absolute(component).ok().and_then(|component| {
        let mut folders = component.ancestors().skip(1).map(|folder| folder.join(FILE));
        folders.find(|file| file.is_file())
    });
    match nearest {
        Some(file) => read(&file),
        None => {
            let message = format!("there is no {FILE} in the folders above `{}`", component.display());
            let help = "name one with --config: it says which accounts the connector is tried on; `whimbrel plugin new` writes one";
            Err(Box::new(Problem::usage(message).help(help)))
        }
    }
}

/// Reads one.
pub fn read(file: &Path) -> Result<Project> {
    Project::read(file).map_err(|error| problem(&error))
}

/// Starts its stand-in, where it has one.
pub async fn start(project: &Project) -> Result<Bench> {
    let environment = |name: &str| std::env::var(name).ok();
    project.start(&environment).await.map_err(|error| problem(&error))
}

fn problem(error: &ConfigError) -> Box<Problem> {
    Box::new(Problem::new("project", error.to_string(), Exit::Usage))
}

/// A path as the admin would write it from here.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let short: PathBuf = path
        .strip_prefix(&here)
        .map_or_else(|_| path.to_owned(), Path::to_owned);
    short.display().to_string()
}
