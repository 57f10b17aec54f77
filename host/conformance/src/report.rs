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

/// One case of a [`Report`]; in JSON `{"id": …, "what": …, "requirements": […], "must": …, "outcome": "failed",
/// "text": …, "millis": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseReport {
    /// Stable, e.g. `changes/paging`.
    pub id: String,
    /// What has to hold, for people.
    pub what: String,
    /// The sentences of the specification that it checks, e.g. `LIST-3`.
    pub requirements: Vec<String>,
    /// Whether one of them is a MUST.
    pub must: bool,
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
    /// It could not be tried, for want of a stand-in (or hook) that can do what it takes: what.
    Unable(String),
}

/// How much has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Every MUST that could be tried.
    Lenient,
    /// Every MUST and every SHOULD, and all of them could be tried.
    Strict,
}

/// How many cases came out how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // The names are those of the outcomes.
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    /// Failed, and only a SHOULD.
    pub warned: usize,
    pub skipped: usize,
    pub unable: usize,
}

impl Report {
    /// Whether no case failed, of MUST or SHOULD.
    pub fn is_clean(&self) -> bool {
        let counts = self.counts();
        counts.failed + counts.warned == 0
    }

    /// Whether enough holds.
    pub fn holds(&self, strictness: Strictness) -> bool {
        let counts = self.counts();
        match strictness {
            Strictness::Lenient => counts.failed == 0,
            Strictness::Strict => counts.failed + counts.warned + counts.unable == 0,
        }
    }

    /// How many cases came out how.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for case in &self.cases {
            match case.outcome {
                Outcome::Passed => counts.passed += 1,
                Outcome::Failed(_) if case.must => counts.failed += 1,
                Outcome::Failed(_) => counts.warned += 1,
                Outcome::Skipped(_) => counts.skipped += 1,
                Outcome::Unable(_) => counts.unable += 1,
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
                Outcome::Failed(text) if case.must => ("FAILED ", text.as_str()),
                Outcome::Failed(text) => ("warning", text.as_str()),
                Outcome::Skipped(reason) => ("skipped", reason.as_str()),
                Outcome::Unable(reason) => ("unable ", reason.as_str()),
            };
            let mut lines = text.lines();
            writeln!(f, "  {mark}  {:width$}  {}", case.id, lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(f, "  {:7}  {:width$}  {line}", "", "")?;
            }
            if matches!(case.outcome, Outcome::Failed(_)) {
                let wanted = case.requirements.join(", ");
                writeln!(f, "  {:7}  {:width$}  wanted: {} ({wanted})", "", "", case.what)?;
            }
        }
        let Counts {
            passed,
            failed,
            warned,
            skipped,
            unable,
        } = self.counts();
        write!(
            f,
            "{passed} passed, {failed} failed, {warned} warnings, {skipped} skipped, {unable} could not be tried"
        )
    }
}

/// In the form of JUnit, which build servers read.
impl Report {
    /// A document of one suite, with a case each; what is skipped says why, and a failure what was wanted.
    pub fn junit(&self) -> String {
        let counts = self.counts();
        let seconds = |millis: u64| format!("{}.{:03}", millis / 1000, millis % 1000);
        let total: u64 = self.cases.iter().map(|case| case.millis).sum();
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" \
             time=\"{}\">\n",
            escaped(&format!("{} {}", self.connector, self.version)),
            self.cases.len(),
            counts.failed + counts.warned,
            counts.skipped + counts.unable,
            seconds(total)
        );
        for case in &self.cases {
            let (theme, name) = case.id.split_once('/').unwrap_or(("", &case.id));
            out += &format!(
                "  <testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
                escaped(theme),
                escaped(name),
                seconds(case.millis)
            );
            let cited = escaped(&format!("{} ({})", case.what, case.requirements.join(", ")));
            let level = if case.must { "MUST" } else { "SHOULD" };
            out += &match &case.outcome {
                Outcome::Passed => "/>\n".to_owned(),
                Outcome::Failed(text) => {
                    format!(
                        ">\n    <failure type=\"{level}\" message=\"{cited}\">{}</failure>\n  </testcase>\n",
                        escaped(text)
                    )
                }
                Outcome::Skipped(why) | Outcome::Unable(why) => {
                    format!(">\n    <skipped message=\"{}\"/>\n  </testcase>\n", escaped(why))
                }
            };
        }
        out + "</testsuite>\n"
    }
}

/// For XML 1.0, which cannot hold most control characters at all.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out += "&#10;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let case = |id: &str, outcome| CaseReport {
            id: id.into(),
            what: format!("{id} holds"),
            requirements: vec!["LIST-1".into()],
            must: id != "d",
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
                case("d", Outcome::Failed("<slow>\u{1b}".into())),
                case("e", Outcome::Unable("no hook".into())),
            ],
        }
    }

    #[test]
    fn it_reads_as_a_table() {
        let wanted = "memory 0.1.0\n\
                      \x20 passed   a/one     a/one holds\n\
                      \x20 FAILED   b/longer  wanted 2\n\
                      \x20                    got 3\n\
                      \x20                    wanted: b/longer holds (LIST-1)\n\
                      \x20 skipped  c         not declared\n\
                      \x20 warning  d         <slow>\u{1b}\n\
                      \x20                    wanted: d holds (LIST-1)\n\
                      \x20 unable   e         no hook\n\
                      1 passed, 1 failed, 1 warnings, 1 skipped, 1 could not be tried";
        assert_eq!(report().to_string(), wanted);
        assert!(!report().is_clean());
        assert_eq!(report().case("c").map(|case| case.millis), Some(3));
    }

    #[test]
    fn how_much_has_to_hold() {
        let only = |ids: &[&str]| Report {
            cases: report()
                .cases
                .into_iter()
                .filter(|case| ids.contains(&case.id.as_str()))
                .collect(),
            ..report()
        };
        let holds = |ids: &[&str]| [Strictness::Lenient, Strictness::Strict].map(|it| only(ids).holds(it));
        assert_eq!(holds(&["a/one", "c"]), [true, true]);
        assert_eq!(holds(&["a/one", "d"]), [true, false]);
        assert_eq!(holds(&["a/one", "e"]), [true, false]);
        assert_eq!(holds(&["a/one", "b/longer"]), [false, false]);
    }

    #[test]
    fn junit_is_well_formed() {
        let junit = report().junit();
        assert!(
            junit.contains("tests=\"5\" failures=\"2\" skipped=\"2\" time=\"0.015\""),
            "{junit}"
        );
        assert!(
            junit.contains("<testcase classname=\"b\" name=\"longer\" time=\"0.003\">"),
            "{junit}"
        );
        assert!(
            junit.contains("type=\"SHOULD\" message=\"d holds (LIST-1)\">&lt;slow&gt;\u{fffd}</failure>"),
            "{junit}"
        );
    }

    #[test]
    fn json_is_flat_and_goes_both_ways() {
        let json = serde_json::to_value(report()).unwrap();
        let wanted = serde_json::json!({"id": "b/longer", "what": "b/longer holds", "requirements": ["LIST-1"], "must": true, "outcome": "failed", "text": "wanted 2\ngot 3", "millis": 3});
        assert_eq!(json["cases"][1], wanted);
        assert_eq!(json["cases"][0]["outcome"], "passed");
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report());
    }
}
