//! `whimbrel plugin test`: the conformance suite, over one connector.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use whimbrel_conformance::{Strictness, run_where};

use super::{load_file, project};
use crate::args::Global;
use crate::exit::Exit;
use crate::output::{Output, safe};
use crate::problem::{Problem, Result};
use crate::verbs::cannot;

/// What is wanted of a run.
pub struct Wanted<'a> {
    /// The component.
    pub file: &'a Path,
    /// How much has to hold.
    pub strictness: Strictness,
    /// Beginnings of the ids of cases; all where there is none.
    pub only: &'a [String],
    /// Where the outcome goes for programs that read JUnit's form.
    pub junit: Option<&'a Path>,
}

/// Runs it and says what came out; a failure ends the program as a difference does.
pub async fn run(global: &Global, wanted: &Wanted<'_>, output: Output) -> Result<Exit> {
    let plugin = load_file(wanted.file).await?;
    let project = project::of_component(global, wanted.file)?;
    let mut bench = project::start(&project).await?;
    if let Some(previous) = &project.previous {
        bench.subject.previous = Some(load_file(previous).await?);
    }
    let is_wanted = |id: &str| wanted.only.is_empty() || wanted.only.iter().any(|only| id.starts_with(only.as_str()));
    if !whimbrel_conformance::cases().any(|(id, _)| is_wanted(id)) {
        let message = format!("no case begins with {}", wanted.only.join(" or with "));
        let help = "`whimbrel plugin test` without --only shows the ids of all cases";
        return Err(Box::new(Problem::usage(message).help(help)));
    }
    let report = run_where(&plugin, &bench.subject, is_wanted).await;
    bench.end().await;
    if let Some(path) = wanted.junit {
        fs::write(path, report.junit()).map_err(|error| cannot("write", path, &error))?;
    }
    let holds = report.holds(wanted.strictness);
    let exit = if holds { Exit::Ok } else { Exit::Different };
    let shown = serde_json::to_value(&report).unwrap_or(Value::Null);
    output.document(
        json!({ "holds": holds, "report": shown, "counts": report.counts() }),
        exit,
    );
    output.say(safe(&report.to_string()));
    Ok(exit)
}
