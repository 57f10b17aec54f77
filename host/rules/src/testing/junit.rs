//! Results for build servers.

use std::fmt::Write as _;
use std::time::Duration;

use super::{FileReport, Outcome, TestReport};
use crate::problem::Problem;

/// The results as JUnit XML: a suite for each test file. A file that could not be used has one case with an error.
pub fn junit(reports: &[FileReport]) -> String {
    let tests: usize = reports.iter().map(|report| report.tests.len()).sum();
    let failed: usize = reports.iter().map(FileReport::failed).sum();
    let errors: usize = reports.iter().map(|report| report.problems.len()).sum();
    let time: Duration = reports.iter().map(time).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\" time=\"{:.3}\">",
        tests + errors,
        time.as_secs_f64()
    );
    for report in reports {
        suite(&mut out, report);
    }
    out.push_str("</testsuites>\n");
    out
}

fn time(report: &FileReport) -> Duration {
    report.tests.iter().map(|test| test.duration).sum()
}

fn suite(out: &mut String, report: &FileReport) {
    let name = escaped(&report.path.display().to_string());
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">",
        report.tests.len() + report.problems.len(),
        report.failed(),
        report.problems.len(),
        time(report).as_secs_f64()
    );
    for problem in &report.problems {
        let _ = writeln!(out, "    <testcase name=\"load\" classname=\"{name}\" time=\"0.000\">");
        told(out, "error", problem);
        out.push_str("    </testcase>\n");
    }
    for test in &report.tests {
        case(out, &name, test);
    }
    out.push_str("  </testsuite>\n");
}

fn case(out: &mut String, suite: &str, test: &TestReport) {
    let _ = write!(
        out,
        "    <testcase name=\"{}\" classname=\"{suite}\" file=\"{suite}\" line=\"{}\" time=\"{:.3}\"",
        escaped(&test.name),
        test.line,
        test.duration.as_secs_f64()
    );
    match &test.outcome {
        Outcome::Passed => out.push_str("/>\n"),
        Outcome::Failed(problem) => {
            out.push_str(">\n");
            told(out, "failure", problem);
            out.push_str("    </testcase>\n");
        }
    }
}

fn told(out: &mut String, tag: &str, problem: &Problem) {
    let mut text = problem.to_string();
    for more in problem.source.iter().chain(&problem.hint) {
        text.push('\n');
        text.push_str(more);
    }
    let (message, text) = (escaped(&problem.message), escaped(&text));
    let _ = writeln!(out, "      <{tag} message=\"{message}\">{text}</{tag}>");
}

/// XML 1.0, 2.2 and 2.4: characters that it does not allow at all become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}
