//! What is wrong with a script: where, in plain words, and what to do about it.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Problem {
    /// The script or module, as in [`crate::SourceFile::name`].
    pub file: String,
    /// From 1; 0 where it is not known.
    pub line: u32,
    /// In characters, from 1; 0 where it is not known.
    pub column: u32,
    /// That line.
    pub source: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        write!(f, ": {}", self.message)
    }
}

/// A script that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RulesError {
    /// Never empty; in the order of the script.
    pub problems: Vec<Problem>,
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl From<Problem> for RulesError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

/// The case of a [`RuleError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleErrorKind {
    /// Too many operations, calls within calls, bytes, elements or decisions.
    Limit,
    /// It took too long.
    Time,
    /// The script said `throw`.
    Thrown,
    /// A value of the wrong type, or a name that does not exist.
    Type,
    /// Anything else, reading the content included.
    Other,
}

/// A run that came to no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct RuleError {
    /// Where, and what.
    pub problem: Problem,
    /// The case.
    pub kind: RuleErrorKind,
}
