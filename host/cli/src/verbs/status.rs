//! `whimbrel status`: where things stand, from the ledger alone.

use whimbrel_engine::{MailboxReport, Report};

use super::migrate;
use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::output::{Output, reports};
use crate::problem::Result;
use crate::session::{find_ledger, outcome, settings};

/// Shows it; mailboxes that no run has seen yet stand there with nothing found.
pub fn run(global: &Global, only: &[String], output: Output) -> Result<Exit> {
    let settings = settings(global, only)?;
    let names: Vec<String> = settings.mailboxes.iter().map(|mailbox| mailbox.name.clone()).collect();
    let known = match find_ledger(&settings)? {
        Some(ledger) => {
            whimbrel_engine::status(&ledger, Some(&names)).map_err(|error| Box::new(failures::engine(&error)))?
        }
        None => Report::new(Vec::new(), 0.0, false),
    };
    let (report, waiting) = arrange(&known, &names);
    let exit = outcome(report.complete() && waiting == 0);
    let mut document = migrate::json(&report);
    if let Some(object) = document.as_object_mut() {
        object.insert("not_started".into(), waiting.into());
    }
    output.document(document, exit);
    output.say(reports::report(&report));
    if waiting > 0 {
        output.say(format!(
            "\nNot started yet: {waiting} of {}. `whimbrel migrate` begins.",
            super::check::boxes(names.len())
        ));
    }
    Ok(exit)
}

/// In the order of the settings, and how many have not been seen.
fn arrange(known: &Report, names: &[String]) -> (Report, usize) {
    let mut waiting = 0;
    let mailboxes = names.iter().map(|name| {
        known
            .mailboxes
            .iter()
            .find(|mailbox| mailbox.name == *name)
            .cloned()
            .unwrap_or_else(|| {
                waiting += 1;
                MailboxReport {
                    name: name.clone(),
                    notes: vec!["not started yet".to_owned()],
                    ..MailboxReport::default()
                }
            })
    });
    let mailboxes = mailboxes.collect();
    (Report::new(mailboxes, 0.0, false), waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_that_never_ran_are_counted() {
        let names = ["a".to_owned(), "b".to_owned()];
        let (report, waiting) = arrange(&Report::new(Vec::new(), 0.0, false), &names);
        assert_eq!((report.mailboxes.len(), waiting), (2, 2));
        let (report, waiting) = arrange(&report, &names[1..]);
        assert_eq!((report.mailboxes[0].name.as_str(), waiting), ("b", 0));
    }
}
