//! `whimbrel report`: what became of a migration, to show and to sign off.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use bytes::Bytes;
use serde_json::Value;
use whimbrel_ledger::Ledger;
use whimbrel_mail::{HEAD_LIMIT, Head};
use whimbrel_report::{Level, MARK, Report, Request, SideNames, State, Verified};

use super::cannot;
use crate::args::{Global, ReportArgs};
use crate::exit::Exit;
use crate::failures;
use crate::output::table::count;
use crate::output::{Output, safe};
use crate::problem::{Problem, Result};
use crate::session::{STARTED, find_ledger, outcome, settings};
use crate::settings::{Part, Settings, Side};
use crate::verified::Summary;

/// Adds it up, writes the page, and tells the verdict.
pub fn run(global: &Global, args: &ReportArgs, output: Output) -> Result<Exit> {
    let settings = settings(global, &args.only.only)?;
    let ledger = find_ledger(&settings)?;
    let report = gather(&settings, ledger.as_ref(), args.subjects, output)?;
    if let Some(file) = &args.html {
        write(file, &whimbrel_report::page(&report))?;
    }
    let exit = exit(&report);
    output.document(document(&report), exit);
    output.say(safe(&text(&report, args.html.as_deref())));
    Ok(exit)
}

fn gather(settings: &Settings, ledger: Option<&Ledger>, subjects: bool, output: Output) -> Result<Report> {
    let failed = |error| Box::new(failures::ledger(&error));
    let names: Vec<String> = settings.mailboxes.iter().map(|mailbox| mailbox.name.clone()).collect();
    let began = match ledger {
        Some(ledger) => ledger.get_meta(STARTED).map_err(failed)?,
        None => None,
    };
    let unreadable = RefCell::new(Vec::new());
    let verified = |name: &str| {
        last_verified(settings, name).unwrap_or_else(|problem| {
            unreadable.borrow_mut().push(*problem);
            None
        })
    };
    let quarantine = settings.state.join("quarantine");
    let subject = |place: &str| subject(&quarantine, place);
    let request = Request {
        name: &settings.name,
        mailboxes: &names,
        connectors: SideNames {
            source: named(settings, |part| &part.source),
            destination: named(settings, |part| &part.destination),
        },
        began: began.and_then(|text| text.parse().ok()),
        now: jiff::Timestamp::now().as_second(),
        version: env!("CARGO_PKG_VERSION"),
        grades: &settings.grades,
        verified: &verified,
        subjects: subjects.then_some(&subject),
    };
    let report = whimbrel_report::gather(ledger, &request).map_err(failed)?;
    output.warnings(&unreadable.take());
    Ok(report)
}

/// How the settings name the connectors of a side, each once.
fn named(settings: &Settings, side: fn(&Part) -> &Side) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for part in &settings.parts {
        let name = side(part).connector.as_str();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What the last verification of a mailbox said.
fn last_verified(settings: &Settings, mailbox: &str) -> Result<Option<Verified>> {
    let unreadable = |what: &dyn std::fmt::Display| {
        let message = format!("the record of the last verification of `{mailbox}` cannot be read: {what}");
        let problem = Problem::failed(message).warning();
        Box::new(problem.help("run `whimbrel verify` again; until then it counts as not verified"))
    };
    let summary = Summary::find(&settings.state, mailbox).map_err(|error| unreadable(&error))?;
    let verified = summary.map(|summary| Verified::of(summary.header.began, summary.header.depth, summary.outcome));
    verified.transpose().map_err(|problem| unreadable(&problem))
}

/// The subject of a message in the quarantine; none where it has none or is not there any more.
fn subject(quarantine: &Path, place: &str) -> Option<String> {
    // A ledger may have been imported from anywhere.
    if !Path::new(place)
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return None;
    }
    let file = File::open(quarantine.join(place)).ok()?;
    let mut head = Vec::new();
    file.take(HEAD_LIMIT as u64).read_to_end(&mut head).ok()?;
    Head::parse(Bytes::from(head)).text("Subject")
}

/// Writes the page beside its place and puts it there when it is whole; in the place of an earlier report, and of nothing
/// else.
fn write(path: &Path, page: &str) -> Result<()> {
    let failed = |error: io::Error| cannot("write", path, &error);
    if path.exists() && !is_report(path) {
        let problem = Problem::usage(format!(
            "cannot write `{}`: it is there and no report of whimbrel",
            path.display()
        ));
        return Err(Box::new(
            problem.help("nothing else is overwritten: name another one, or move it away"),
        ));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".part-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(page.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Whether a file is a report that this program wrote.
fn is_report(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MARK.len() as u64).read_to_end(&mut start));
    read.is_ok() && start == MARK.as_bytes()
}

/// As `status` would end, and with 4 where the last verification found a difference.
fn exit(report: &Report) -> Exit {
    let verified = || report.mailboxes.iter().filter_map(|mailbox| mailbox.verified.as_ref());
    match () {
        () if verified().any(|verified| verified.different() > 0) => Exit::Different,
        () => outcome(report.mailboxes.iter().all(|mailbox| mailbox.state == State::Complete)),
    }
}

fn document(report: &Report) -> Value {
    serde_json::to_value(report).unwrap_or_default()
}

/// The verdict, the balance, and what to do.
fn text(report: &Report, page: Option<&Path>) -> String {
    let (verdict, total) = (&report.verdict, &report.total);
    let sign = match verdict.level {
        Level::Good => '✓',
        Level::Open => '!',
        Level::Bad => '✗',
    };
    let mut out = format!("{sign} {}\n", verdict.headline);
    for sentence in &verdict.sentences {
        out += &format!("  {sentence}\n");
    }
    let parts = [
        ("moved", total.moved),
        ("merged", total.merged),
        ("filtered", total.filtered),
        ("oversize", total.oversize),
        ("failed", total.failed),
        ("pending", total.pending),
    ];
    let parts = parts.map(|(what, number)| format!("{} {what}", count(number)));
    let equal = if verdict.balanced { '=' } else { '≠' };
    out += &format!("\n{} found {equal} {}", count(total.found), parts.join(" + "));
    if total.unexplained > 0 {
        out += &format!("; {} unexplained", count(total.unexplained));
    }
    out += "\n";
    if !report.next.is_empty() {
        out += "\nWhat to do next:\n";
    }
    for (at, advice) in report.next.iter().enumerate() {
        out += &format!("  {}. {}\n", at + 1, advice.text);
        if let Some(command) = &advice.command {
            out += &format!("     {command}\n");
        }
    }
    out += &match page {
        Some(page) => format!("\nThe report is in {}.", page.display()),
        None => "\nAll of it, as one page to show: `whimbrel report --html FILE`.".to_owned(),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reports_are_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        let page = format!("{MARK}<p>one");
        write(&path, &page).unwrap();
        write(&path, &format!("{MARK}<p>two")).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("two"));
        for other in ["", "<!DOCTYPE html><html>", "[migration]"] {
            std::fs::write(&path, other).unwrap();
            let problem = write(&path, &page).unwrap_err();
            assert_eq!(problem.exit(), Exit::Usage);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
        let problem = write(&folder.path().join("none/report.html"), &page).unwrap_err();
        assert!(problem.message().contains("cannot write"), "{problem}");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left behind"
        );
    }

    #[test]
    fn subjects_come_from_the_quarantine_and_from_nowhere_else() {
        let state = tempfile::tempdir().unwrap();
        let quarantine = state.path().join("quarantine");
        std::fs::create_dir_all(quarantine.join("alice")).unwrap();
        let message = "From: a\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nSubject: no\r\n";
        std::fs::write(quarantine.join("alice/a.eml"), message).unwrap();
        std::fs::write(quarantine.join("alice/b.eml"), "From: a\r\n\r\n").unwrap();
        std::fs::write(state.path().join("outside.eml"), message).unwrap();
        assert_eq!(subject(&quarantine, "alice/a.eml").as_deref(), Some("Grüße"));
        let outside = state.path().join("outside.eml");
        for place in [
            "alice/b.eml",
            "alice/c.eml",
            "../outside.eml",
            outside.to_str().unwrap(),
            "",
        ] {
            assert_eq!(subject(&quarantine, place), None, "{place}");
        }
    }
}
