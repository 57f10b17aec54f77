//! `whimbrel check`: every problem at once, with its remedy.

use std::path::Path;

use serde_json::json;
use whimbrel_engine::Finding;

use crate::args::Global;
use crate::exit::Exit;
use crate::output::table::{Rows, plural};
use crate::output::{Output, safe};
use crate::problem::{Problem, Result};
use crate::rules;
use crate::session::{self, Aim, Session};

/// Settings, connectors, permissions; then connections, accounts and capabilities of every mailbox.
pub async fn run(global: &Global, only: &[String], output: Output) -> Result<Exit> {
    let mut session = Session::survey(global, session::settings(global, only)?, Aim::Look).await?;
    if let Some(script) = session.settings.rules.as_ref().filter(|_| session.rules.is_some()) {
        let (problems, warnings) = rules::inspect(&script.script, &script.options());
        session.problems.extend(problems);
        session.warnings.extend(warnings);
    }
    session.problems.extend(state_folder(&session.settings.state));
    let mailboxes = std::mem::take(&mut session.mailboxes);
    let looked_at = mailboxes.len();
    let at_once = session.settings.limits.mailboxes;
    let findings: Vec<Finding> = super::each(mailboxes, at_once, |mailbox| async move {
        whimbrel_engine::check(&mailbox).await
    })
    .await
    .concat();
    let exit = verdict(&session.problems, &findings);
    output.warnings(&session.warnings);
    output.document(
        json!({
            "ok": exit == Exit::Ok,
            "problems": session.problems.iter().map(Problem::json).collect::<Vec<_>>(),
            "warnings": session.warnings.iter().map(Problem::json).collect::<Vec<_>>(),
            "findings": findings,
        }),
        exit,
    );
    if !output.is_json() {
        session.problems.iter().for_each(|problem| output.warn(problem));
        if !findings.is_empty() {
            output.say(table(&findings));
        }
        for finding in findings.iter().filter(|finding| !finding.ok) {
            let remedy = finding.remedy.as_deref().unwrap_or("see above");
            output.say(format!(
                "✗ {}, {}: {}\n  → {remedy}",
                safe(&finding.mailbox),
                finding.side,
                safe(&finding.text)
            ));
        }
        let bad = session.problems.len() + findings.iter().filter(|finding| !finding.ok).count();
        output.say(match bad {
            0 => format!(
                "All well: {} can be moved. `whimbrel plan` shows what would be done.",
                boxes(looked_at)
            ),
            _ => format!("{} found.", plural(bad as u64, "problem")),
        });
    }
    Ok(exit)
}

/// `1 mailbox`, `2 mailboxes`.
pub fn boxes(number: usize) -> String {
    if number == 1 {
        "1 mailbox".to_owned()
    } else {
        format!("{number} mailboxes")
    }
}

fn verdict(problems: &[Problem], findings: &[Finding]) -> Exit {
    let settings = problems.iter().fold(Exit::Ok, |exit, problem| exit.and(problem.exit()));
    settings.and(session::outcome(findings.iter().all(|finding| finding.ok)))
}

fn table(findings: &[Finding]) -> String {
    let mut rows = Rows::new(&["mailbox", "side", "", "what was seen"]);
    for finding in findings {
        let mark = if finding.ok { "✓" } else { "✗" };
        rows.add([&finding.mailbox, finding.side, mark, &finding.text]);
    }
    rows.render()
}

/// Whether the state folder, or the nearest folder above it, can be written.
fn state_folder(state: &Path) -> Option<Problem> {
    let nearest = state
        .ancestors()
        .find(|folder| folder.exists())
        .filter(|folder| !folder.as_os_str().is_empty());
    let nearest = nearest.unwrap_or(Path::new("."));
    if !nearest.is_dir() {
        let problem = Problem::settings(format!(
            "the state folder `{}` cannot be made: `{}` is a file",
            state.display(),
            nearest.display()
        ));
        return Some(problem.help("name another folder with `state` in [migration]"));
    }
    let probe = nearest.join(format!(".whimbrel-probe-{}", std::process::id()));
    let written = std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe));
    written
        .err()
        .map(|error| Problem::io("write in the state folder", nearest, &error).exit_with(Exit::Usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(ok: bool) -> Finding {
        Finding {
            mailbox: "a".into(),
            side: "source",
            ok,
            text: "t".into(),
            remedy: None,
            connections: Vec::new(),
        }
    }

    #[test]
    fn settings_weigh_more_than_mailboxes() {
        assert_eq!(verdict(&[], &[finding(true)]), Exit::Ok);
        assert_eq!(verdict(&[], &[finding(true), finding(false)]), Exit::Partial);
        assert_eq!(verdict(&[Problem::settings("x")], &[finding(false)]), Exit::Usage);
    }

    #[test]
    fn a_state_folder_that_cannot_be_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        assert!(state_folder(&folder.path().join("new/deep")).is_none());
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            0,
            "nothing is left behind"
        );
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(
            state_folder(&file.join("state"))
                .unwrap()
                .message()
                .contains("is a file")
        );
    }
}
