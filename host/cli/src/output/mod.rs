//! What people and programs see on standard output.

pub mod logging;
pub mod progress;
pub mod reports;
pub mod table;

use std::io::{IsTerminal, Write};

use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::problem::Problem;

/// The version of every JSON document's form; a change that breaks readers raises it.
pub const FORMAT: u32 = 1;

/// Writes results. Errors of standard output (a closed pipe, say) are none of ours: whoever reads has gone.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    verb: &'static str,
}

impl Output {
    /// For this verb.
    pub fn new(verb: &'static str, json: bool) -> Self {
        Self { json, verb }
    }

    /// The verb that writes.
    pub fn verb(self) -> &'static str {
        self.verb
    }

    /// Whether a program reads.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person watches standard error.
    pub fn has_terminal(self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    /// Lines for people; nothing with `--json`.
    pub fn say(self, text: impl AsRef<str>) {
        if !self.json {
            print(text.as_ref());
        }
    }

    /// The result for programs, with `format`, `verb` and `exit` around it; nothing without `--json`.
    pub fn document(self, fields: Value, exit: Exit) {
        if self.json {
            print(&envelope(self.verb, fields, exit).to_string());
        }
    }

    /// One line of a stream of JSON objects, or of text.
    pub fn row(self, object: &Value, text: impl FnOnce() -> String) {
        if self.json {
            print(&object.to_string());
        } else {
            print(&text());
        }
    }

    /// A problem that ends the program: on standard error, and as a document with `--json`.
    pub fn problem(self, problem: &Problem) -> Exit {
        if self.json {
            self.document(json!({ "error": problem.json() }), problem.exit());
        } else {
            complain(&problem.render());
        }
        problem.exit()
    }

    /// What is unwise; on standard error.
    pub fn warnings(self, warnings: &[Problem]) {
        warnings
            .iter()
            .take(MOST_WARNINGS)
            .for_each(|warning| self.warn(warning));
        if warnings.len() > MOST_WARNINGS {
            complain(&format!(
                "  … and {} more warnings; `whimbrel check --json` has them all",
                warnings.len() - MOST_WARNINGS
            ));
        }
    }

    /// Something that is wrong and does not end the program, or is unwise; on standard error.
    pub fn warn(self, problem: &Problem) {
        complain(&problem.render());
    }
}

/// Warnings of one run that are shown; the rest is counted.
const MOST_WARNINGS: usize = 5;

/// `format`, `verb`, `exit`, then the fields.
fn envelope(verb: &str, fields: Value, exit: Exit) -> Value {
    let mut object = Map::new();
    object.insert("format".into(), json!(FORMAT));
    object.insert("verb".into(), json!(verb));
    object.insert("exit".into(), json!(exit.code()));
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object)
}

/// A line on standard output.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A line on standard error, above the progress bars.
pub fn complain(text: &str) {
    progress::above(|| {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "{}", text.trim_end_matches('\n'));
    });
}

/// Without control characters, and without those that reorder or hide what stands beside them: names and server texts must
/// not drive the terminal, nor look like what they are not.
pub fn safe(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => c,
        '\u{061c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        _ if c.is_control() => '\u{fffd}',
        _ => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_begin_with_what_they_are() {
        let text = envelope("status", json!({ "mailboxes": [] }), Exit::Partial).to_string();
        assert_eq!(text, r#"{"format":1,"verb":"status","exit":3,"mailboxes":[]}"#);
    }

    #[test]
    fn names_do_not_drive_the_terminal() {
        assert_eq!(safe("a\u{1b}[31mb\nc\u{7}é"), "a\u{fffd}[31mb\nc\u{fffd}é");
        assert_eq!(safe("Sent\u{202e}xobnI\u{feff}"), "Sent\u{fffd}xobnI\u{fffd}");
    }
}
