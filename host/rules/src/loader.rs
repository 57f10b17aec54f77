//! Finds the text of modules, and keeps what was loaded.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Shared as Counted};

use crate::compile::{self, Unit};
use crate::library;
use crate::problem::Problem;
use crate::shared::Shared;
use crate::suggest::closest;
use crate::testing::Probe;

/// Bytes of one file.
const MOST_BYTES: u64 = 1 << 20;

/// Modules of one script.
const MOST_MODULES: usize = 200;

/// Modules that import one another in a row.
const MOST_DEEP: usize = 16;

/// A script or module as it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path from the script's folder, or `std/….rhai`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Loads each module once. When loading is over no file is read any more.
pub(crate) struct Loader {
    /// Where modules lie; canonical. None: only the library.
    folder: Option<PathBuf>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) scanner: Engine,
    /// Counts which lines ran, where that is wanted.
    pub(crate) probe: Option<Arc<Probe>>,
    /// Texts that were read before; no file is read for them.
    given: Vec<SourceFile>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sources: Vec<SourceFile>,
    modules: HashMap<String, Counted<Module>>,
    /// Under way, outermost first.
    loading: Vec<String>,
    /// Loading is over.
    done: bool,
}

impl Loader {
    pub(crate) fn new(
        folder: Option<PathBuf>,
        shared: Arc<Shared>,
        scanner: Engine,
        probe: Option<Arc<Probe>>,
        given: Vec<SourceFile>,
    ) -> Arc<Self> {
        Arc::new(Self {
            folder,
            shared,
            scanner,
            probe,
            given,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a text, for messages and the hash.
    pub(crate) fn add_source(&self, name: &str, text: &str) {
        let mut state = self.state();
        if !state.sources.iter().any(|known| known.name == name) {
            state.sources.push(SourceFile {
                name: name.to_owned(),
                text: text.to_owned(),
            });
        }
    }

    /// All texts so far, the script first.
    pub(crate) fn sources(&self) -> Vec<SourceFile> {
        self.state().sources.clone()
    }

    /// A place in a file, with its line.
    pub(crate) fn problem(&self, file: &str, position: Position, message: String, hint: Option<String>) -> Problem {
        crate::explain::place(&self.state().sources, file, position, message, hint)
    }

    /// Loading is over.
    pub(crate) fn finish(&self) {
        self.state().done = true;
    }

    /// The module with a name, loaded if it was not yet. `file` and `position` are those of the import.
    pub(crate) fn module(
        &self,
        engine: &Engine,
        name: &str,
        file: &str,
        position: Position,
    ) -> Result<Counted<Module>, Vec<Problem>> {
        if let Some(module) = self.state().modules.get(name) {
            return Ok(module.clone());
        }
        let problem = |message: String, hint: Option<String>| vec![self.problem(file, position, message, hint)];
        {
            let state = self.state();
            if state.loading.iter().any(|known| known == name) {
                let text = format!("\"{name}\" imports itself, by way of {}", state.loading.join(", "));
                drop(state);
                return Err(problem(text, None));
            }
            if state.loading.len() >= MOST_DEEP || state.modules.len() >= MOST_MODULES {
                drop(state);
                return Err(problem("there are too many imports".to_owned(), None));
            }
        }
        let text = self.text(name).map_err(|(message, hint)| problem(message, hint))?;
        let module_file = format!("{name}.rhai");
        self.add_source(&module_file, &text);
        self.state().loading.push(name.to_owned());
        let made = compile::unit(engine, self, &module_file, &text, None).and_then(|unit| self.make(engine, &unit));
        let mut state = self.state();
        state.loading.pop();
        let module = made?;
        state.modules.insert(name.to_owned(), module.clone());
        Ok(module)
    }

    fn make(&self, engine: &Engine, unit: &Unit) -> Result<Counted<Module>, Vec<Problem>> {
        let run = crate::run::Run::begin(self.shared.limits.time);
        let made = Module::eval_ast_as_new(rhai::Scope::new(), &unit.whole, engine);
        drop(run);
        match made {
            Ok(module) => Ok(module.into()),
            Err(error) => Err(vec![
                crate::explain::runtime(&self.state().sources, &unit.file, &error).problem,
            ]),
        }
    }

    /// The text of a module, or why there is none, and what to do.
    fn text(&self, name: &str) -> Result<String, (String, Option<String>)> {
        let file = format!("{name}.rhai");
        if let Some(given) = self.given.iter().find(|given| given.name == file) {
            return Ok(given.text.clone());
        }
        if name.strip_prefix("std/").is_some() {
            return library::text(name).map(str::to_owned).ok_or_else(|| {
                let near = closest(name, library::FILES.iter().map(|(known, _)| *known));
                let hint = near.map(|near| format!("did you mean \"{near}\"?"));
                (format!("the library has no \"{name}\""), hint)
            });
        }
        if name.ends_with(".rhai") {
            return Err((
                format!("\"{name}\" names the file; an import leaves out .rhai"),
                Some(format!("write import \"{}\"", name.trim_end_matches(".rhai"))),
            ));
        }
        let segments: Vec<&str> = name.split('/').collect();
        let odd =
            |segment: &&str| segment.is_empty() || segment.starts_with('.') || segment.contains(['\\', ':', '\0']);
        if segments.iter().any(odd) {
            return Err((
                format!("\"{name}\" cannot be imported"),
                Some("modules lie in the folder of the script or below it, and are named from there".to_owned()),
            ));
        }
        let Some(folder) = &self.folder else {
            return Err((
                format!("\"{name}\" cannot be imported: this script has no folder"),
                None,
            ));
        };
        let path = folder.join(format!("{}.rhai", segments.join("/")));
        let real = fs::canonicalize(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => (
                format!("there is no module \"{name}\""),
                Some(format!("put it into {name}.rhai beside the script")),
            ),
            _ => (format!("\"{name}\" cannot be read: {error}"), None),
        })?;
        if !real.starts_with(folder) {
            return Err((format!("\"{name}\" leads out of the folder of the script"), None));
        }
        read(&real).map_err(|message| (format!("\"{name}\" {message}"), None))
    }
}

/// Reads a script; the error begins with a verb.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let about = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !about.is_file() {
        return Err("is no file".to_owned());
    }
    if about.len() > MOST_BYTES {
        return Err(format!("is larger than {MOST_BYTES} bytes"));
    }
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// Hands out modules that are loaded; it loads none, so that a run reads no file.
pub(crate) struct Loaded(pub(crate) Arc<Loader>);

impl ModuleResolver for Loaded {
    fn resolve(
        &self,
        _: &Engine,
        _: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Counted<Module>, Box<EvalAltResult>> {
        let found = self.0.state().modules.get(path).cloned();
        found.ok_or_else(|| EvalAltResult::ErrorModuleNotFound(path.to_owned(), position).into())
    }
}
