//! What became of tests.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::FileCoverage;
use crate::problem::Problem;

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "problem")]
pub enum Outcome {
    /// It came to its end.
    Passed,
    /// An assertion did not hold, or an error ended it: where, and what.
    Failed(Problem),
}

/// One test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestReport {
    /// The name of the function.
    pub name: String,
    /// Where it begins.
    pub line: u32,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took; in seconds where it is written down.
    #[serde(serialize_with = "seconds", rename = "seconds")]
    pub duration: Duration,
}

/// One test file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileReport {
    /// The test file.
    pub path: PathBuf,
    /// The script that it tests.
    pub script: PathBuf,
    /// Why no test ran: one of the two files cannot be used.
    pub problems: Vec<Problem>,
    /// In the order of the file.
    pub tests: Vec<TestReport>,
    /// Which lines of the script and of the modules beside it ran; the library's are not told.
    pub coverage: Vec<FileCoverage>,
}

impl FileReport {
    /// Whether all tests passed, and could run.
    pub fn passed(&self) -> bool {
        self.problems.is_empty() && self.failed() == 0
    }

    /// How many tests failed.
    pub fn failed(&self) -> usize {
        let failed = |test: &&TestReport| test.outcome != Outcome::Passed;
        self.tests.iter().filter(failed).count()
    }
}

pub(super) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
