//! `whimbrel ledger rebuild`: a ledger that was lost, or is damaged, found out again from the destination.

use std::path::PathBuf;

use serde_json::json;
use whimbrel_engine::Report;
use whimbrel_ledger::{Ledger, LedgerError};

use super::migrate;
use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::output::table::plural;
use crate::output::{Output, reports};
use crate::problem::Result;
use crate::session::{self, Aim, STARTED, Session};
use crate::settings::Settings;

/// Sets a damaged ledger aside, lists the source anew, and records of every message whether the destination has it.
/// Where the ledger is sound it goes on with what waits, so that a rebuild that was interrupted can be finished.
pub async fn run(global: &Global, only: &[String], output: Output) -> Result<Exit> {
    let mut session = Session::open(global, only, Aim::Recognise).await?;
    let aside = make_room(&session.settings)?;
    if let Some(folder) = &aside {
        output.say(format!("The damaged ledger is in {} now.", folder.display()));
    }
    let ledger = session.ledger()?;
    session.note_rules(&ledger)?;
    let report = migrate::go(session, &ledger, output).await?;
    Ok(finish(&report, aside, output))
}

/// Moves a damaged ledger out of the way and gives where to. What it still tells of the migration's beginning goes into
/// the new one: rules may ask for it.
fn make_room(settings: &Settings) -> Result<Option<PathBuf>> {
    let failed = |error: LedgerError| Box::new(failures::ledger(&error));
    match session::try_ledger(settings, false).and_then(|ledger| ledger.audit()) {
        Ok(differences) if differences.is_empty() => return Ok(None),
        Ok(_) | Err(LedgerError::Corrupt { .. } | LedgerError::Store { .. }) => {}
        Err(LedgerError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let aside = Ledger::set_aside(&settings.state).map_err(failed)?;
    let ledger = session::open_ledger(settings, true)?;
    if let Some((key, began)) = aside.notes.iter().find(|(key, _)| key == STARTED) {
        ledger.set_meta(key, began).map_err(failed)?;
        ledger.flush().map_err(failed)?;
    }
    Ok(Some(aside.folder))
}

fn finish(report: &Report, aside: Option<PathBuf>, output: Output) -> Exit {
    let problems = report.mailboxes.iter().any(|mailbox| !mailbox.problems.is_empty());
    let exit = match report.interrupted {
        true => Exit::Interrupted,
        false => session::outcome(!problems),
    };
    let mut document = migrate::json(report);
    if let Some(object) = document.as_object_mut() {
        let folder = aside.map(|folder| folder.display().to_string());
        object.insert("set_aside".into(), json!(folder));
    }
    output.document(document, exit);
    output.say(reports::report(report));
    let (known, waiting) = (report.total.moved + report.total.merged, report.total.pending);
    output.say(format!(
        "\n{} of {} known at the destination.",
        plural(known, "message"),
        report.total.found
    ));
    output.say(match (exit, waiting) {
        (Exit::Interrupted, _) => "Interrupted. Run it again to go on.",
        (Exit::Partial, _) => "Not everything could be looked at: see above. Run it again once the causes are gone.",
        (_, 0) => "Nothing is missing. `whimbrel verify` compares the rest: flags, dates and folders.",
        _ => "The others were not found there: `whimbrel migrate` copies them.",
    });
    exit
}
