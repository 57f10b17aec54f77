//! `whimbrel rules check`.

use std::path::PathBuf;

use serde_json::json;

use super::{Chosen, no_script, settings};
use crate::args::Global;
use crate::exit::Exit;
use crate::output::Output;
use crate::output::table::plural;
use crate::problem::{Problem, Result};
use crate::rules;

/// Looks scripts over; runs nothing.
pub fn run(global: &Global, scripts: &[PathBuf], strict: bool, output: Output) -> Result<Exit> {
    let settings = settings(global)?;
    let chosen: Vec<Chosen> = match scripts {
        [] => {
            let rules = settings.as_ref().and_then(|settings| settings.rules.as_ref());
            vec![Chosen::of(rules.ok_or_else(|| no_script(global))?)]
        }
        scripts => {
            let named = scripts.iter().map(|script| Chosen::named(script, settings.as_ref()));
            named.collect()
        }
    };
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for one in &chosen {
        let (wrong, odd) = rules::inspect(&one.script, &one.options);
        problems.extend(wrong);
        warnings.extend(odd);
    }
    let bad = problems.len() + if strict { warnings.len() } else { 0 };
    let exit = if bad == 0 { Exit::Ok } else { Exit::Usage };
    output.document(
        json!({
            "ok": exit == Exit::Ok,
            "problems": problems.iter().map(Problem::json).collect::<Vec<_>>(),
            "warnings": warnings.iter().map(Problem::json).collect::<Vec<_>>(),
        }),
        exit,
    );
    if !output.is_json() {
        problems
            .iter()
            .chain(&warnings)
            .for_each(|problem| output.warn(problem));
        output.say(verdict(chosen.len(), problems.len(), warnings.len()));
    }
    Ok(exit)
}

fn verdict(scripts: usize, problems: usize, warnings: usize) -> String {
    let scripts = plural(scripts as u64, "script");
    match (problems, warnings) {
        (0, 0) => format!("All well: {scripts} checked."),
        _ => format!(
            "{scripts} checked: {} and {}.",
            plural(problems as u64, "problem"),
            plural(warnings as u64, "warning")
        ),
    }
}
