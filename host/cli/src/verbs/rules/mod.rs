//! `whimbrel rules`: what an admin does with scripts before they touch anything.

mod api;
mod check;
mod effects;
mod repl;
mod test;
mod trial;

use std::path::{Path, PathBuf};

use whimbrel_rules::Options;

use crate::args::{Global, RulesVerb};
use crate::exit::Exit;
use crate::interrupt;
use crate::output::Output;
use crate::problem::{Problem, Result};
use crate::settings::{RuleSettings, Settings};

/// Runs one of the verbs.
pub async fn run(global: &Global, verb: &RulesVerb, output: Output) -> Result<Exit> {
    match verb {
        RulesVerb::Check { scripts, strict } => check::run(global, scripts, *strict, output),
        RulesVerb::Test { paths, filter, junit } => {
            test::run(global, paths, filter.as_deref(), junit.as_deref(), output)
        }
        RulesVerb::Try(wanted) if wanted.eml.is_empty() => trial::mailboxes(global, wanted, output).await,
        RulesVerb::Try(wanted) => interrupt::or(async { trial::files(global, wanted, output) }).await,
        RulesVerb::Api { word, definitions } => Ok(api::run(word.as_deref(), *definitions, output)),
        RulesVerb::Repl { script, eml } => repl::run(global, script.as_deref(), eml.as_deref(), output),
    }
}

/// The settings, where the settings file is there; a script can be looked at without one.
fn settings(global: &Global) -> Result<Option<Settings>> {
    match global.config.try_exists() {
        Ok(false) => Ok(None),
        _ => Settings::load(&global.config).map(Some),
    }
}

/// A script with what it is compiled with.
struct Chosen {
    script: PathBuf,
    options: Options,
}

impl Chosen {
    fn of(rules: &RuleSettings) -> Self {
        Self {
            script: rules.script.clone(),
            options: rules.options(),
        }
    }

    /// A script that the command line names: with the settings' values and limits where it is the settings' script, else
    /// with none.
    fn named(script: &Path, settings: Option<&Settings>) -> Self {
        let same = |rules: &&RuleSettings| match (rules.script.canonicalize(), script.canonicalize()) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            _ => false,
        };
        match settings.and_then(|settings| settings.rules.as_ref()).filter(same) {
            Some(rules) => Self::of(rules),
            None => Self {
                script: script.to_owned(),
                // Whether attachments have a place is for the settings to say.
                options: Options {
                    attachments: true,
                    ..Options::default()
                },
            },
        }
    }
}

/// There is no script to work on.
fn no_script(global: &Global) -> Box<Problem> {
    let file = global.config.display();
    let message = format!("no script was named, and `{file}` names none");
    Box::new(Problem::usage(message).help("name the script, or put `script = \"rules.rhai\"` below [rules]"))
}
