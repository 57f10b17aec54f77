//! Scripts in scratch folders, and the shipped ones.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use whimbrel_rules::Options;
use whimbrel_rules::testing::{FileReport, Outcome, TestFile, run};

/// The folder of the shipped scripts.
pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts")
}

/// A folder with some files.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Runs the tests in `tests` against `rules`.
pub fn tested(rules: &str, tests: &str) -> FileReport {
    let folder = folder(&[("rules.rhai", rules), ("rules.test.rhai", tests)]);
    run_in(&folder)
}

pub fn run_in(folder: &TempDir) -> FileReport {
    let file = TestFile::new(&folder.path().join("rules.test.rhai")).unwrap();
    run(&file, &Options::default(), None)
}

/// Runs the lines as a test against `rules`; what went wrong, if anything.
pub fn outcome(rules: &str, lines: &str) -> Option<String> {
    let report = tested(rules, &format!("fn test_it() {{\n{lines}\n}}"));
    assert_eq!(report.problems, vec![], "{lines}");
    match &report.tests[0].outcome {
        Outcome::Passed => None,
        Outcome::Failed(problem) => Some(problem.message.clone()),
    }
}
