//! The lints: what they find, and what they leave alone.

mod flow;
mod names;
mod scripts;

use std::sync::Arc;

use bytes::Bytes;
use whimbrel_model::{ItemMeta, Timestamp};
use whimbrel_rules::lint::{Finding, Level, lint};
use whimbrel_rules::{Decision, FolderFacts, MessageFacts, Options, Rules};

pub fn options() -> Options {
    Options {
        attachments: true,
        ..Options::default()
    }
}

pub fn found(script: &str) -> Vec<Finding> {
    lint("rules.rhai", script, &options())
}

/// The lines are the body of `message(m)`, from line 2 on.
pub fn in_message(lines: &str) -> String {
    format!("fn message(m) {{\n{lines}\n}}")
}

pub fn shown(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|one| {
            format!(
                "{:?} {} {} ({:?})\n",
                one.level, one.code, one.problem, one.problem.hint
            )
        })
        .collect()
}

/// One finding with this code and line; what the hint says.
pub fn finds(script: &str, code: &str, line: u32, hint: &str) {
    let findings = found(script);
    assert_eq!(findings.len(), 1, "{script}\n{}", shown(&findings));
    let one = &findings[0];
    assert_eq!(
        (one.code, one.problem.line),
        (code, line),
        "{script}\n{}",
        shown(&findings)
    );
    assert_eq!(
        one.problem.source.as_deref(),
        script.lines().nth(line as usize - 1),
        "{script}"
    );
    assert!(one.problem.column > 0, "{script}\n{}", shown(&findings));
    let told = one.problem.hint.as_deref().unwrap_or_default();
    assert!(told.contains(hint), "{script}\n{told}");
    assert!(!hint.is_empty() || told.is_empty(), "{script}\n{told}");
}

/// What the rules say about a message that has something of everything.
pub fn run(script: &str) -> Result<Decision, String> {
    let rules = Rules::compile("rules.rhai", script, &options()).map_err(|error| error.to_string())?;
    let facts = MessageFacts {
        folder: Arc::new(FolderFacts {
            path: vec!["A".to_owned(), "B".to_owned()],
            ..FolderFacts::default()
        }),
        meta: Arc::new(ItemMeta {
            size: Some(7),
            received: Some(Timestamp {
                unix_ms: 0,
                offset_minutes: 0,
            }),
            ..ItemMeta::default()
        }),
    };
    let content = concat!(
        "From: Ann <ann@a.example>\r\nTo: b@b.example\r\nSubject: Hello\r\nDate: Wed, 01 Jan 2020 00:00:00 +0000\r\n",
        "X-Spam-Score: 1\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n",
        "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8h\r\n",
    );
    let decided = rules.item(&facts, Arc::new(Bytes::from_static(content.as_bytes())));
    decided.map_err(|error| error.to_string())
}

/// An error is one where the script comes to it.
pub fn fails_when_it_runs(script: &str) {
    assert!(run(script).is_err(), "{script}");
}

pub fn level_of(script: &str) -> Level {
    found(script)[0].level
}

/// Nothing at all.
pub fn silent(script: &str) {
    let findings = found(script);
    assert!(findings.is_empty(), "{script}\n{}", shown(&findings));
}

/// Nothing at all, and rightly so.
pub fn clean(script: &str) {
    silent(script);
    assert!(run(script).is_ok(), "{script}\n{:?}", run(script));
}
