//! What one copy of an account cost.

use std::fmt;
use std::ops::Sub;

use crate::process::Cost;

/// What passed over the lines, all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes, both directions.
    pub bytes: u64,
    /// How often a client began to send after the server had spoken, over all connections. Connections that wait at
    /// the same time count each.
    pub turns: u64,
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            bytes: self.bytes - before.bytes,
            turns: self.turns - before.turns,
        }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.3} MB in {} turns on the line",
            self.bytes as f64 / 1e6,
            self.turns
        )
    }
}

/// Runs with nothing new after the copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// Wall-clock seconds of each, ascending.
    pub walls: Vec<f64>,
    /// What passed over the lines in the middle one, where that was counted.
    pub line: Option<Traffic>,
    /// The middle wall time in round trips of the line: no more than this many can have followed one another.
    pub serial: Option<f64>,
}

impl Again {
    /// The middle wall time.
    pub fn wall(&self) -> f64 {
        self.walls.get(self.walls.len() / 2).copied().unwrap_or_default()
    }
}

/// One copy of an account, and what followed.
#[derive(Debug, Clone)]
pub struct Run {
    /// Who copied.
    pub name: String,
    /// How many messages there were to copy.
    pub messages: u64,
    /// What the copy cost; of the floor, wall time only.
    pub cost: Cost,
    /// What passed over the lines, where that was counted.
    pub line: Option<Traffic>,
    /// How often the program waited for the disk, where it says so.
    pub flushes: Option<u64>,
    /// Runs with nothing new, where there is such a thing.
    pub again: Option<Again>,
    /// Why there are none, where they failed.
    pub problem: Option<String>,
    /// What is not as it was, where that was looked at.
    pub wrong: Option<Vec<String>>,
}

impl Run {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.cost.wall
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { wall, cpu, peak } = self.cost;
        write!(f, "{:32} {wall:8.3} s, {:6.0} messages/s", self.name, self.rate())?;
        if peak > 0 {
            write!(f, ", {cpu:6.2} s of CPU, {:5.1} MB", peak as f64 / 1e6)?;
        }
        if let Some(flushes) = self.flushes {
            write!(f, ", {flushes} flushes")?;
        }
        if let Some(line) = self.line {
            write!(f, ", {line}")?;
        }
        if let Some(again) = &self.again {
            write!(f, "; again {:.3} s", again.wall())?;
            if let Some(line) = again.line {
                write!(f, ", {line}")?;
            }
            if let Some(serial) = again.serial {
                write!(f, ", {serial:.1} serial round trips")?;
            }
        }
        if let Some(problem) = &self.problem {
            write!(f, "; again FAILED: {problem}")?;
        }
        match self.wrong.as_deref() {
            None | Some([]) => Ok(()),
            Some(wrong) => write!(f, "; {} things are not as they were, e.g. {}", wrong.len(), wrong[0]),
        }
    }
}
