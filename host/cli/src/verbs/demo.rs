//! `whimbrel demo`: a whole migration of a sample account, with no server and no settings.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::json;
use whimbrel_engine::Report;

use super::migrate;
use crate::args::Global;
use crate::demo::{self, Compared, Sample};
use crate::exit::Exit;
use crate::output::Output;
use crate::output::reports;
use crate::output::table::{Rows, count, plural};
use crate::problem::{Problem, Result};
use crate::session::{Aim, Session};

/// The two halves of the old account: settings file, connector, folder.
const HALVES: [(&str, &str, &str); 2] = [("spool", "mbox", "old/spool"), ("maildir", "maildir", "old/Maildir")];
/// By which a folder is known as one that a demo wrote, and may be written anew.
const MARK: &str = "spool.toml";
/// What a demo writes.
const CONTENTS: [&str; 7] = [
    "old",
    "new",
    "state",
    "rules.rhai",
    "spool.toml",
    "maildir.toml",
    "whimbrel.grants.toml",
];

/// Lays the old account out, moves it twice, and compares.
pub async fn run(global: &Global, folder: &Path, output: Output) -> Result<Exit> {
    clear(folder)?;
    let (spool, maildir) = (demo::spool(), demo::maildir());
    lay_out(folder, &spool, &maildir).map_err(|error| Box::new(Problem::io("write the demo to", folder, &error)))?;
    output.say(introduction(folder, &spool, &maildir));
    let mut runs = Vec::new();
    for (name, ..) in HALVES {
        let global = Global {
            config: folder.join(format!("{name}.toml")),
            ..global.clone()
        };
        for turn in ["first", "second"] {
            let mut session = Session::open(&global, &[], Aim::Move).await?;
            let ledger = session.ledger()?;
            migrate::announce(&session, &ledger, output)?;
            let report = migrate::go(session, &ledger, output).await?;
            let interrupted = report.interrupted;
            runs.push((name, turn, report));
            if interrupted {
                output.say("Interrupted. Run `whimbrel demo` again: it starts anew.");
                return Ok(Exit::Interrupted);
            }
        }
    }
    let samples: Vec<&Sample> = spool.iter().chain(&maildir).collect();
    let new = folder.join("new/alice");
    let compared =
        demo::compare(&new, &samples).map_err(|error| Box::new(Problem::io("read the demo in", &new, &error)))?;
    let exit = verdict(&runs, compared);
    let documents = runs
        .iter()
        .map(|(name, turn, report)| json!({ "source": name, "run": turn, "report": migrate::json(report) }));
    output.document(
        json!({ "folder": folder.display().to_string(), "runs": documents.collect::<Vec<_>>(), "compared": compared }),
        exit,
    );
    output.say(happened(&runs));
    output.say(reports::rules(runs.iter().flat_map(|(_, _, report)| &report.mailboxes)));
    for (_, _, report) in runs.iter().filter(|(_, _, report)| !report.complete()) {
        output.say(reports::report(report));
    }
    output.say(conclusion(folder, compared, exit));
    Ok(exit)
}

/// Nothing lost or doubled, everything complete, and the second run of each had nothing to copy.
fn verdict(runs: &[(&str, &str, Report)], compared: Compared) -> Exit {
    let quiet = |(_, turn, report): &(&str, &str, Report)| {
        *turn == "first"
            || report
                .mailboxes
                .iter()
                .all(|mailbox| mailbox.worked.copied == 0 && mailbox.worked.merged == 0)
    };
    let well = compared.well() && runs.iter().all(|run| run.2.complete() && quiet(run));
    if well { Exit::Ok } else { Exit::Partial }
}

/// Removes what an earlier demo wrote; refuses a folder with anything else in it.
fn clear(folder: &Path) -> Result<()> {
    let problem = |error: &io::Error| Box::new(Problem::io("use the folder", folder, error));
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(problem(&error)),
    };
    let marked =
        fs::read_to_string(folder.join(MARK)).is_ok_and(|text| text.starts_with("# Written by `whimbrel demo`"));
    if !marked && entries.next().is_some() {
        let message = format!("the folder `{}` is not empty, and no demo wrote it", folder.display());
        return Err(Box::new(
            Problem::usage(message).help("name a folder that is not there yet: whimbrel demo FOLDER"),
        ));
    }
    for name in CONTENTS {
        let path = folder.join(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(problem(&error)),
            _ => {}
        }
    }
    Ok(())
}

fn lay_out(folder: &Path, spool: &[Sample], maildir: &[Sample]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("rules.rhai"), demo::RULES)?;
    for (name, connector, root) in HALVES {
        fs::write(
            folder.join(format!("{name}.toml")),
            demo::settings_file(&format!("demo-{name}"), connector, root),
        )?;
    }
    demo::lay_out(&folder.join("old"), spool, maildir)
}

fn introduction(folder: &Path, spool: &[Sample], maildir: &[Sample]) -> String {
    let mut rows = Rows::new(&["hard case", "where"]);
    for (samples, place) in [(spool, "mbox spool"), (maildir, "Maildir")] {
        for sample in samples.iter().filter(|sample| !sample.hard.is_empty()) {
            rows.add([sample.hard, &format!("{place}, {}", sample.folder.join("/"))]);
        }
    }
    format!(
        "Alice's old mail is in {}: an mbox spool with {} and a Maildir with {}.\n\
         Both are moved into one new Maildir by the rules in {}, twice: the second run finds nothing to do.\n\n{}\n",
        folder.join("old").display(),
        plural(spool.len() as u64, "message"),
        plural(maildir.len() as u64, "message"),
        folder.join("rules.rhai").display(),
        rows.render(),
    )
}

fn happened(runs: &[(&str, &str, Report)]) -> String {
    let mut rows = Rows::new(&[
        "from",
        "run",
        ">found",
        ">copied",
        ">merged",
        ">filtered",
        ">failed",
        ">pending",
        ">unexplained",
        ">seconds",
    ]);
    for (name, turn, report) in runs {
        let sum =
            |of: fn(&whimbrel_engine::Worked) -> u64| report.mailboxes.iter().map(|it| of(&it.worked)).sum::<u64>();
        rows.add([
            *name,
            turn,
            &count(report.total.found),
            &count(sum(|it| it.copied)),
            &count(sum(|it| it.merged)),
            &count(report.total.filtered),
            &count(report.total.failed),
            &count(report.total.pending),
            &count(report.total.unexplained),
            &format!("{:.2}", report.total.seconds),
        ]);
    }
    format!("\n{}\n", rows.render())
}

fn conclusion(folder: &Path, compared: Compared, exit: Exit) -> String {
    let Compared {
        expected,
        equal,
        changed,
        left_out,
        transport,
        missing,
        surplus,
    } = compared;
    let mut out = format!("\nCompared with the originals: {equal} of {expected} messages are equal byte for byte");
    if changed > 0 {
        out += &format!(", {changed} as a rule changed its head");
    }
    if left_out > 0 {
        out += &format!(", {left_out} stayed behind by a rule");
    }
    if transport > 0 {
        out += &format!(", {transport} but for line ends");
    }
    if missing > 0 || surplus > 0 {
        out += &format!("; {missing} are missing, {surplus} too many");
    }
    out += ".\n";
    if exit != Exit::Ok {
        out += "That is not as it should be: run it again with -v, and report it.\n";
        return out;
    }
    let shown = folder.display();
    out += format!(
        "\nWhat to do next:\n\
         \x20 look at the new mail          mutt -f {shown}/new/alice      (or any client that reads Maildir)\n\
         \x20 see where things stand        whimbrel status -c {shown}/spool.toml\n\
         \x20 read the audit trail          whimbrel events -c {shown}/spool.toml\n\
         \x20 try rules of your own         whimbrel rules try -c {shown}/maildir.toml --script FILE\n\
         \x20 add mail below {shown}/old and catch up:\n\
         \x20                               whimbrel migrate -c {shown}/maildir.toml\n\
         \x20 move an account of your own   copy {shown}/spool.toml; `whimbrel plugin list` shows the connectors"
    )
    .as_str();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_its_own_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        assert!(clear(&folder.path().join("new")).is_ok());
        assert!(clear(folder.path()).is_ok(), "an empty one");
        lay_out(folder.path(), &demo::spool(), &demo::maildir()).unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        clear(folder.path()).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["mine"]);
        let problem = clear(folder.path()).unwrap_err();
        assert!(problem.message().contains("is not empty") && problem.exit() == Exit::Usage);
    }

    #[test]
    fn a_second_run_that_copies_is_not_well() {
        let good = Compared {
            expected: 1,
            equal: 1,
            ..Compared::default()
        };
        let report = |copied| {
            let worked = whimbrel_engine::Worked {
                copied,
                ..Default::default()
            };
            let counts = whimbrel_engine::Counts {
                found: 1,
                moved: 1,
                ..Default::default()
            };
            let mailbox = whimbrel_engine::MailboxReport {
                name: "alice".into(),
                counts,
                worked,
                ..Default::default()
            };
            Report::new(vec![mailbox], 0.0, false)
        };
        assert_eq!(
            verdict(&[("spool", "first", report(1)), ("spool", "second", report(0))], good),
            Exit::Ok
        );
        assert_eq!(
            verdict(&[("spool", "first", report(1)), ("spool", "second", report(1))], good),
            Exit::Partial
        );
        assert_eq!(verdict(&[], Compared { missing: 1, ..good }), Exit::Partial);
    }
}
