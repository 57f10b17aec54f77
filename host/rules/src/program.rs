//! A script with its modules, its engine and what they share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rhai::{AST, Engine, Position};

use crate::loader::{self, Loaded, Loader, SourceFile};
use crate::options::Options;
use crate::problem::{Problem, RulesError};
use crate::shared::Shared;
use crate::testing::Probe;
use crate::{compile, engine};

/// The text of a script, and where its modules lie.
pub(crate) struct Script {
    /// The name of the file.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Canonical; None: it imports from the library only.
    pub(crate) folder: Option<PathBuf>,
    /// Modules that were read before.
    pub(crate) given: Vec<SourceFile>,
}

impl Script {
    /// Reads a script.
    pub(crate) fn read(path: &Path) -> Result<Self, RulesError> {
        let fail = |message: String| {
            let file = path.display().to_string();
            RulesError::from(Problem {
                file,
                message,
                ..Problem::default()
            })
        };
        let name = path
            .file_name()
            .map_or_else(|| "rules.rhai".into(), |name| name.to_string_lossy());
        let text = loader::read(path).map_err(|message| fail(format!("the script {message}")))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder = folder
            .canonicalize()
            .map_err(|error| fail(format!("the folder cannot be read: {error}")))?;
        Ok(Self {
            name: name.into_owned(),
            text,
            folder: Some(folder),
            given: Vec::new(),
        })
    }
}

/// Ready to be called.
pub(crate) struct Program {
    pub(crate) engine: Engine,
    /// The functions.
    pub(crate) ast: AST,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sources: Vec<SourceFile>,
}

/// Compiles a script. `extend` registers what it sees beyond the usual; `check` has the last word.
pub(crate) fn build(
    script: Script,
    options: &Options,
    probe: Option<Arc<Probe>>,
    extend: impl FnOnce(&mut Engine),
    check: impl FnOnce(&Loader, &AST) -> Result<(), RulesError>,
) -> Result<Program, RulesError> {
    let Script {
        name,
        text,
        folder,
        given,
    } = script;
    let shared = Shared::new(&name, options);
    let mut engine = engine::runner(&shared);
    extend(&mut engine);
    if let Some(probe) = &probe {
        probe.register(&mut engine);
    }
    let loader = Loader::new(folder, shared.clone(), engine::scanner(&shared.limits), probe, given);
    engine.set_module_resolver(Loaded(loader.clone()));
    loader.add_source(&name, &text);
    let built = catch_unwind(AssertUnwindSafe(|| {
        compile::unit(&engine, &loader, &name, &text, Some(&options.set))
    }));
    let unit = match built {
        Ok(Ok(unit)) => unit,
        Ok(Err(problems)) => return Err(RulesError { problems }),
        Err(_) => {
            let message = "the script brought the interpreter down".to_owned();
            return Err(loader.problem(&name, Position::NONE, message, None).into());
        }
    };
    for (alias, module) in &unit.imports {
        let module = loader
            .module(&engine, module, &name, Position::NONE)
            .map_err(|problems| RulesError { problems })?;
        engine.register_static_module(alias.as_str(), module);
    }
    check(&loader, &unit.functions)?;
    shared.freeze();
    loader.finish();
    Ok(Program {
        engine,
        ast: unit.functions,
        shared,
        sources: loader.sources(),
    })
}
