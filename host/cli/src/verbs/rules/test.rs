//! `whimbrel rules test`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use whimbrel_rules::Options;
use whimbrel_rules::testing::{FileReport, Outcome, TestFile, discover, junit, run as run_tests};

use super::settings;
use crate::args::Global;
use crate::exit::Exit;
use crate::output::table::plural;
use crate::output::{Output, safe};
use crate::problem::{Problem, Result};
use crate::rules;

/// Runs the tests of scripts.
pub fn run(
    global: &Global,
    paths: &[PathBuf],
    filter: Option<&str>,
    report: Option<&Path>,
    output: Output,
) -> Result<Exit> {
    let files = find(global, paths)?;
    let mut reports = Vec::new();
    for file in &files {
        let report = run_tests(file, &Options::default(), filter);
        show(&report, output);
        reports.push(report);
    }
    if let Some(path) = report {
        fs::write(path, junit(&reports)).map_err(|error| Box::new(Problem::io("write", path, &error)))?;
    }
    let (failed, ran) = (
        reports.iter().map(FileReport::failed).sum::<usize>(),
        reports.iter().map(|report| report.tests.len()).sum::<usize>(),
    );
    let exit = exit(&reports, failed);
    output.document(
        json!({ "files": reports, "passed": ran - failed, "failed": failed }),
        exit,
    );
    output.say(format!(
        "\n{} in {}: {} passed, {failed} failed",
        plural(ran as u64, "test"),
        plural(files.len() as u64, "file"),
        ran - failed,
    ));
    Ok(exit)
}

/// The test files; at least one.
fn find(global: &Global, paths: &[PathBuf]) -> Result<Vec<TestFile>> {
    let mut places = paths.to_vec();
    if places.is_empty() {
        let settings = settings(global)?;
        let script = settings.and_then(|settings| Some(settings.rules?.script));
        let folder = script.as_deref().and_then(Path::parent).map(Path::to_owned);
        let here = PathBuf::from(".");
        places.push(folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(here));
    }
    let files = discover(&places).map_err(|error| Box::new(Problem::usage(error.to_string())))?;
    if files.is_empty() {
        let shown: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        let message = format!("there are no tests in {}", shown.join(", "));
        let help = "write them into NAME.test.rhai beside NAME.rhai, as functions whose names begin with test_";
        return Err(Box::new(Problem::usage(message).help(help)));
    }
    Ok(files)
}

/// Files that cannot be used weigh more than tests that fail.
fn exit(reports: &[FileReport], failed: usize) -> Exit {
    match (reports.iter().all(|report| report.problems.is_empty()), failed) {
        (false, _) => Exit::Usage,
        (true, 0) => Exit::Ok,
        (true, _) => Exit::Partial,
    }
}

fn show(report: &FileReport, output: Output) {
    if output.is_json() {
        return;
    }
    output.say(safe(&report.path.display().to_string()));
    for problem in &report.problems {
        output.warn(&rules::problem(&report.path, problem, Exit::Usage));
    }
    for test in &report.tests {
        let mark = if test.outcome == Outcome::Passed { "✓" } else { "✗" };
        output.say(format!("  {mark} {}", safe(&test.name)));
        if let Outcome::Failed(problem) = &test.outcome {
            output.warn(&rules::problem(&report.path, problem, Exit::Partial));
        }
    }
    for file in &report.coverage {
        let missed = file.missed();
        let never = match missed.as_slice() {
            [] => String::new(),
            lines => format!("; never line {}", ranges(lines)),
        };
        output.say(format!(
            "  {} of {} of {} ran{never}",
            file.ran(),
            plural(file.could_run() as u64, "line"),
            safe(&file.file)
        ));
    }
}

/// `3, 5-7`; the numbers rise.
fn ranges(lines: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &line in lines {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == line => *end = line,
            _ => runs.push((line, line)),
        }
    }
    let shown = runs.iter().map(|(start, end)| match start == end {
        true => start.to_string(),
        false => format!("{start}-{end}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_a_row_are_one_range() {
        assert_eq!(ranges(&[1, 3, 4, 5, 9]), "1, 3-5, 9");
        assert_eq!(ranges(&[]), "");
    }
}
