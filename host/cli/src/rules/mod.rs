//! The admin's script: loaded, explained where it is wrong, handed to the engine, and watched for changes.

mod changed;
mod elsewhere;

use std::path::Path;

use whimbrel_rules::lint::{self, Finding, Level};
use whimbrel_rules::{Problem as Wrong, Rules};

pub use changed::{Changed, note as note_changes};
pub use elsewhere::Elsewhere;

use crate::exit::Exit;
use crate::output::safe;
use crate::problem::{Place, Problem, Shown};
use crate::settings::RuleSettings;

/// Compiles the script of the settings.
pub fn load(settings: &RuleSettings) -> Result<Rules, Vec<Problem>> {
    if !settings.script.is_file() {
        let message = format!("there is no script `{}` (`rules.script`)", settings.script.display());
        let problem = Problem::settings(message).at(settings.place.clone());
        return Err(vec![problem.help("the path is relative to the settings file")]);
    }
    Rules::load(&settings.script, &settings.options()).map_err(|error| {
        let problems = error.problems.iter();
        problems
            .map(|wrong| problem(&settings.script, wrong, Exit::Usage))
            .collect()
    })
}

/// The same as one problem; the rules know when the migration began, in seconds since 1970.
pub fn load_at(settings: &RuleSettings, started: i64) -> crate::problem::Result<Rules> {
    let mut rules = load(settings).map_err(|problems| {
        let heading = |count| format!("{count} problems with `{}`", settings.script.display());
        let whole = Problem::all(heading, problems);
        Box::new(whole.unwrap_or_else(|| Problem::settings("the script cannot be used")))
    })?;
    rules.set_started(started);
    Ok(rules)
}

/// All that is wrong with the script of the settings or looks wrong: problems, then warnings.
pub fn inspect(script: &Path, options: &whimbrel_rules::Options) -> (Vec<Problem>, Vec<Problem>) {
    let (wrong, odd): (Vec<Finding>, Vec<Finding>) = lint::lint_file(script, options)
        .into_iter()
        .partition(|finding| finding.level == Level::Error);
    let problems = wrong.iter().map(|finding| self::finding(script, finding)).collect();
    let warnings = odd.iter().map(|finding| self::finding(script, finding).warning());
    (problems, warnings.collect())
}

/// A finding as the program shows it.
pub fn finding(script: &Path, finding: &Finding) -> Problem {
    coded(finding.code, script, &finding.problem, Exit::Usage)
}

/// What is wrong in a script or one of its modules, with its line.
pub fn problem(script: &Path, wrong: &Wrong, exit: Exit) -> Problem {
    coded("rules", script, wrong, exit)
}

fn coded(code: &'static str, script: &Path, wrong: &Wrong, exit: Exit) -> Problem {
    let mut problem = Problem::new(code, safe(&wrong.message), exit);
    if let Some(hint) = &wrong.hint {
        problem = problem.help(safe(hint));
    }
    match place(script, wrong) {
        Some(place) => problem.at(place),
        None => problem,
    }
}

/// Where it is. The file is read again for the lines around it, where it still holds that line.
fn place(script: &Path, wrong: &Wrong) -> Option<Place> {
    let line = usize::try_from(wrong.line).ok()?.checked_sub(1)?;
    let source = wrong.source.as_deref()?;
    let file = match script.parent() {
        _ if wrong.file.starts_with("std/") => Path::new(&wrong.file).to_owned(),
        Some(folder) => folder.join(&wrong.file),
        None => Path::new(&wrong.file).to_owned(),
    };
    let column = usize::try_from(wrong.column.max(1)).unwrap_or(1) - 1;
    let start = source.char_indices().nth(column).map_or(source.len(), |(at, _)| at);
    let span = start..start + word(&source[start..]);
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    if text.lines().nth(line).is_some_and(|there| there == source) {
        let shown = Shown::new(&file, &text);
        return Some(shown.place(before + span.start..before + span.end, "here"));
    }
    Some(Shown::line(&file, u64::from(wrong.line), source).place(span, "here"))
}

/// Bytes of the word, or of the sign, that a text begins with.
fn word(text: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    match end {
        0 => text.chars().next().map_or(0, char::len_utf8),
        end => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(line: u32, column: u32, source: &str) -> Wrong {
        Wrong {
            file: "rules.rhai".into(),
            line,
            column,
            source: Some(source.into()),
            message: "there is no function `skipp`".into(),
            hint: Some("did you mean `skip`?".into()),
        }
    }

    #[test]
    fn a_problem_points_at_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("rules.rhai");
        std::fs::write(&script, "// ü\nfn message(m) {\n    m.skipp(\"x\");\n}\n").unwrap();
        let shown = problem(&script, &wrong(3, 7, "    m.skipp(\"x\");"), Exit::Usage);
        let text = shown.render();
        for part in ["rules.rhai:3:7", "fn message(m) {", "did you mean `skip`?"] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert_eq!(
            (shown.json()["line"].as_u64(), shown.json()["column"].as_u64()),
            (Some(3), Some(7))
        );
    }

    #[test]
    fn a_line_that_the_file_no_longer_has_is_shown_alone() {
        let missing = problem(Path::new("/no/rules.rhai"), &wrong(12, 2, "é.skipp()"), Exit::Failed);
        let text = missing.render();
        assert!(
            text.contains("/no/rules.rhai:12:2") && text.contains("é.skipp()"),
            "{text}"
        );
        let nowhere = problem(Path::new("rules.rhai"), &wrong(0, 0, ""), Exit::Failed);
        assert!(nowhere.json().get("line").is_none());
        let beyond = problem(Path::new("rules.rhai"), &wrong(1, 99, "é"), Exit::Failed);
        assert!(beyond.render().contains("é"));
    }
}
