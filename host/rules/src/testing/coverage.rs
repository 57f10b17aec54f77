//! Which lines of a script ran.

use serde::Serialize;

use super::Probe;

/// A line on which statements begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LineCoverage {
    /// From 1.
    pub line: u32,
    /// How often the statement ran that ran most.
    pub runs: u64,
    /// Statements that begin here.
    pub statements: u32,
    /// Those of them that ran at all.
    pub statements_run: u32,
}

/// A script or a module beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileCoverage {
    /// Its name, as in [`crate::SourceFile::name`].
    pub file: String,
    /// The lines on which statements of functions begin, whether they ran or not.
    pub lines: Vec<LineCoverage>,
}

impl FileCoverage {
    /// Lines that could run.
    pub fn could_run(&self) -> usize {
        self.lines.len()
    }

    /// Lines on which something ran.
    pub fn ran(&self) -> usize {
        self.lines.iter().filter(|line| line.runs > 0).count()
    }

    /// Lines on which nothing ran.
    pub fn missed(&self) -> Vec<u32> {
        let missed = self.lines.iter().filter(|line| line.runs == 0);
        missed.map(|line| line.line).collect()
    }
}

pub(super) fn of(probe: &Probe) -> Vec<FileCoverage> {
    let mut files: Vec<FileCoverage> = Vec::new();
    for ran in probe.ran() {
        if files.last().is_none_or(|file| file.file != ran.file) {
            files.push(FileCoverage {
                file: ran.file.clone(),
                lines: Vec::new(),
            });
        }
        let Some(file) = files.last_mut() else { continue };
        if file.lines.last().is_none_or(|line| line.line != ran.line) {
            file.lines.push(LineCoverage {
                line: ran.line,
                runs: 0,
                statements: 0,
                statements_run: 0,
            });
        }
        if let Some(line) = file.lines.last_mut() {
            line.runs = line.runs.max(ran.runs);
            line.statements += 1;
            line.statements_run += u32::from(ran.runs > 0);
        }
    }
    files
}
