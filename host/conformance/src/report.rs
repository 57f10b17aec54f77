//! What a run of the suite found out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run of the suite found out about one connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The connector's name.
    pub connector: String,
    /// The connector's version.
    pub version: String,
    /// In the order in which they ran.
    pub cases: Vec<CaseReport>,
}

/// One case of a [`Report`]; in JSON `{"id": …, "what": …, "outcome": "failed", "text": …, "millis": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseReport {
    /// Stable, e.g. `changes/paging`.
    pub id: String,
    /// What has to hold, for people.
    pub what: String,
    /// What came out.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took.
    pub millis: u64,
}

/// What came out of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "text", rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not: what was wanted and what was there.
    Failed(String),
    /// It could not or need not be tried: why.
    Skipped(String),
}

/// How many cases came out how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // The names are those of the outcomes.
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl Report {
    /// Whether no case failed.
    pub fn is_clean(&self) -> bool {
        self.counts().failed == 0
    }

    /// How many cases came out how.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for case in &self.cases {
            match case.outcome {
                Outcome::Passed => counts.passed += 1,
                Outcome::Failed(_) => counts.failed += 1,
                Outcome::Skipped(_) => counts.skipped += 1,
            }
        }
        counts
    }

    /// The case of this id, if it ran.
    pub fn case(&self, id: &str) -> Option<&CaseReport> {
        self.cases.iter().find(|case| case.id == id)
    }
}

/// A table: one line a case, and a sum.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.cases.iter().map(|case| case.id.len()).max().unwrap_or_default();
        writeln!(f, "{} {}", self.connector, self.version)?;
        for case in &self.cases {
            let (mark, text) = match &case.outcome {
                Outcome::Passed => ("passed ", case.what.as_str()),
                Outcome::Failed(text) => ("FAILED ", text.as_str()),
                Outcome::Skipped(reason) => ("skipped", reason.as_str()),
            };
            let mut lines = text.lines();
            writeln!(f, "  {mark}  {:width$}  {}", case.id, lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(f, "  {:7}  {:width$}  {line}", "", "")?;
            }
        }
        let Counts {
            passed,
            failed,
            skipped,
        } = self.counts();
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let case = |id: &str, outcome| CaseReport {
            id: id.into(),
            what: format!("{id} holds"),
            outcome,
            millis: 3,
        };
        Report {
            connector: "memory".into(),
            version: "0.1.0".into(),
            cases: vec![
                case("a/one", Outcome::Passed),
                case("b/longer", Outcome::Failed("wanted 2\ngot 3".into())),
                case("c", Outcome::Skipped("not declared".into())),
            ],
        }
    }

    #[test]
    fn it_reads_as_a_table() {
        let wanted = "memory 0.1.0\n\
                      \x20 passed   a/one     a/one holds\n\
                      \x20 FAILED   b/longer  wanted 2\n\
                      \x20                    got 3\n\
                      \x20 skipped  c         not declared\n\
                      1 passed, 1 failed, 1 skipped";
        assert_eq!(report().to_string(), wanted);
        assert!(!report().is_clean());
        assert_eq!(report().case("c").map(|case| case.millis), Some(3));
    }

    #[test]
    fn json_is_flat_and_goes_both_ways() {
        let json = serde_json::to_value(report()).unwrap();
        let wanted = serde_json::json!({"id": "b/longer", "what": "b/longer holds", "outcome": "failed", "text": "wanted 2\ngot 3", "millis": 3});
        assert_eq!(json["cases"][1], wanted);
        assert_eq!(json["cases"][0]["outcome"], "passed");
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report());
    }
}
