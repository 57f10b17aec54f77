//! `whimbrel migrate`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use whimbrel_engine::{Report, Stop};
use whimbrel_ledger::Ledger;

use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::interrupt;
use crate::output::Output;
use crate::output::progress::{Manner, Shower};
use crate::output::reports;
use crate::problem::Result;
use crate::rules::Changed;
use crate::session::{self, Aim, Session};

/// Moves what is new and what changed, and tells what became of it.
pub async fn run(global: &Global, only: &[String], output: Output) -> Result<Exit> {
    let mut session = Session::open(global, only, Aim::Move).await?;
    let ledger = session.ledger()?;
    let changed = announce(&session, &ledger, output)?;
    let report = go(session, &ledger, output).await?;
    let mut document = json(&report);
    told(&mut document, &ledger, changed.as_ref());
    Ok(finish(&report, document, output))
}

/// Says what a change of rules means, before anything is done by the new ones.
pub fn announce(session: &Session, ledger: &Ledger, output: Output) -> Result<Option<Changed>> {
    let changed = session.note_rules(ledger)?;
    if let Some(changed) = &changed {
        output.say(changed.sentence());
    }
    Ok(changed)
}

/// For programs, beside the report: `rules_changed`, where they are, and `flushes`.
pub fn told(document: &mut Value, ledger: &Ledger, changed: Option<&Changed>) {
    if let Some(object) = document.as_object_mut() {
        object.extend(changed.map(|changed| ("rules_changed".to_owned(), changed.json())));
        object.insert("flushes".into(), ledger.flushes().into());
    }
}

/// The run itself, with its progress; the ledger lies on the disk when it returns.
pub async fn go(mut session: Session, ledger: &Ledger, output: Output) -> Result<Report> {
    output.warnings(&session.warnings);
    let manner = match (output.is_json(), output.has_terminal()) {
        (true, _) => Manner::Silent,
        (_, true) => Manner::Bars,
        (_, false) => Manner::Lines,
    };
    began(&session, ledger, output.verb())?;
    let mailboxes = std::mem::take(&mut session.mailboxes);
    let shower = Arc::new(Shower::new(manner, mailboxes.len()));
    let stop = Stop::new();
    let _watch = interrupt::watch(stop.clone());
    let start = Instant::now();
    let result = whimbrel_engine::migrate(ledger, mailboxes, &session.options(), shower.clone(), stop).await;
    shower.finish();
    let interrupted = result.as_ref().map_or(true, |report| report.interrupted);
    ended(ledger, interrupted, start.elapsed())?;
    let report = result.map_err(|error| Box::new(failures::engine(&error)))?;
    ledger.flush().map_err(|error| Box::new(failures::ledger(&error)))?;
    Ok(report)
}

/// Leaves a line in the audit trail: a run began, with these connectors, for all mailboxes or only for some. It lies on the
/// disk with the first thing that the run does.
fn began(session: &Session, ledger: &Ledger, verb: &str) -> Result<()> {
    let some = !session.settings.others.is_empty();
    let names = || session.mailboxes.iter().map(|mailbox| mailbox.name.as_str());
    let [source, destination] = session.connectors();
    let fields = json!({
        "verb": verb,
        "version": env!("CARGO_PKG_VERSION"),
        "mailboxes": session.mailboxes.len(),
        "only": some.then(|| names().collect::<Vec<_>>()),
        "source": source,
        "destination": destination,
    });
    let recorded = ledger.event(None, "run-began", fields);
    recorded.map(drop).map_err(|error| Box::new(failures::ledger(&error)))
}

/// And another one: it ended.
fn ended(ledger: &Ledger, interrupted: bool, time: Duration) -> Result<()> {
    let seconds = (time.as_secs_f64() * 1000.0).round() / 1000.0;
    let recorded = ledger.event(
        None,
        "run-ended",
        json!({ "seconds": seconds, "interrupted": interrupted }),
    );
    recorded.map(drop).map_err(|error| Box::new(failures::ledger(&error)))
}

/// Tells what became of it; `document` is for programs.
pub fn finish(report: &Report, document: Value, output: Output) -> Exit {
    let exit = exit(report);
    output.document(document, exit);
    output.say(reports::report(report));
    output.say(format!("\n{}", reports::worked(report)));
    output.say(match exit {
        Exit::Interrupted => "Interrupted. Everything done is recorded: run it again to go on.".to_owned(),
        Exit::Ok => format!(
            "Every {} found is accounted for. Run it again at any time to catch up with the source.",
            reports::noun(report)
        ),
        _ => "Not everything is done: see above. Run it again once the causes are gone; nothing is copied twice."
            .to_owned(),
    });
    exit
}

/// The report as JSON.
pub fn json(report: &Report) -> Value {
    serde_json::to_value(report).unwrap_or_default()
}

/// How the program ends after it.
pub fn exit(report: &Report) -> Exit {
    match (report.interrupted, report.complete()) {
        (true, _) => Exit::Interrupted,
        (_, complete) => session::outcome(complete),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_engine::{Counts, MailboxReport};

    use super::*;

    fn report(counts: Counts, interrupted: bool) -> Report {
        let mailbox = MailboxReport {
            name: "a".into(),
            counts,
            ..MailboxReport::default()
        };
        Report::new(vec![mailbox], 1.0, interrupted)
    }

    #[test]
    fn the_exit_code_follows_the_report() {
        let well = Counts {
            found: 2,
            moved: 2,
            ..Counts::default()
        };
        assert_eq!(exit(&report(well, false)), Exit::Ok);
        assert_eq!(exit(&report(well, true)), Exit::Interrupted);
        for bad in [
            Counts {
                found: 2,
                moved: 1,
                failed: 1,
                ..well
            },
            Counts {
                found: 2,
                moved: 1,
                pending: 1,
                ..well
            },
            Counts { unexplained: 1, ..well },
        ] {
            assert_eq!(exit(&report(bad, false)), Exit::Partial, "{bad:?}");
        }
        let left_out = Counts {
            found: 2,
            moved: 0,
            oversize: 1,
            filtered: 1,
            ..well
        };
        assert_eq!(exit(&report(left_out, false)), Exit::Ok, "left out on purpose");
    }
}
