//! `whimbrel plan` and `whimbrel migrate --dry-run`: what would be done.

use serde_json::{Value, json};
use whimbrel_engine::{NameNote, Plan, PlanError, Step};

use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::output::table::plural;
use crate::output::{Output, safe};
use crate::problem::Result;
use crate::session::{self, Aim, Session};
use crate::settings::units::show_bytes;

/// Plans every mailbox; changes nothing.
pub async fn run(global: &Global, only: &[String], output: Output) -> Result<Exit> {
    let mut session = Session::open(global, only, Aim::Look).await?;
    output.warnings(&session.warnings);
    let ledger = session::find_ledger(&session.settings)?;
    session.began(ledger.as_ref())?;
    let options = session.options();
    let mailboxes = std::mem::take(&mut session.mailboxes);
    let results: Vec<Result<Plan>> = super::each(mailboxes, options.mailboxes, |mailbox| {
        let (ledger, options) = (ledger.clone(), options.clone());
        async move {
            let plan = whimbrel_engine::plan(ledger.as_ref(), &mailbox, &options).await;
            plan.map_err(|error| {
                Box::new(match error {
                    PlanError::Failed { side, failure } => failures::side(&mailbox.name, side, &failure),
                    PlanError::Ledger(error) => failures::ledger(&error),
                    PlanError::Rules(error) => failures::script(&error),
                })
            })
        }
    })
    .await;
    let exit = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .fold(Exit::Ok, |exit, problem| exit.and(problem.exit()));
    output.document(document(&results), exit);
    if !output.is_json() {
        for result in &results {
            match result {
                Ok(plan) => output.say(show(plan)),
                Err(problem) => output.warn(problem),
            }
        }
        if exit == Exit::Ok {
            output.say("Nothing was changed. `whimbrel migrate` does it.");
        }
    }
    Ok(exit)
}

/// `mailboxes` and `problems`.
fn document(results: &[Result<Plan>]) -> Value {
    let good: Vec<&Plan> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    let problems: Vec<Value> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .map(|problem| problem.json())
        .collect();
    json!({ "mailboxes": good, "problems": problems })
}

fn show(plan: &Plan) -> String {
    let mut out = format!("{}:\n", safe(&plan.mailbox));
    if plan.steps.is_empty() {
        out += "  nothing to do\n";
    }
    for step in &plan.steps {
        out += &format!("  {}\n", safe(&sentence(step)));
    }
    if let Some(days) = plan.days.filter(|days| *days > 1) {
        out += &format!("  that takes {days} days, with what may be moved in one (`daily`)\n");
    }
    out
}

fn sentence(step: &Step) -> String {
    match step {
        Step::Create { from, to, notes } => format!("make the folder {to}{}{}", renamed(from, to), reasons(notes)),
        Step::Use { from, to, notes, holds } => {
            let merged = match holds {
                0 => String::new(),
                held => format!("; it holds {}, equal ones are merged", plural(*held, "message")),
            };
            format!("use the folder {to}{}{}{merged}", renamed(from, to), reasons(notes))
        }
        Step::Copy { from, items, bytes } => {
            format!("copy {} from {from}, {}", plural(*items, "message"), show_bytes(*bytes))
        }
        Step::Mark { from, items } => format!("bring the flags of {} in {from} up to date", plural(*items, "message")),
        Step::Oversize { from, items, limit } => {
            format!(
                "leave out {} of {from}, larger than {}",
                plural(*items, "message"),
                show_bytes(*limit)
            )
        }
        Step::Unheld { from, kind, items } => {
            let how_many = items.map_or_else(String::new, |items| format!("{} in ", plural(items, "item")));
            format!("leave {how_many}{from} waiting: the destination does not hold items of the kind {kind}")
        }
        Step::Exclude { from } => format!("leave out the folder {from}, as the settings say"),
        Step::Filter { from, items, reason } => {
            format!("leave out {} of {from}: {reason}", plural(*items, "message"))
        }
        Step::Rule { from, items } => format!(
            "let the rules decide on {} of {from} when they are read (`whimbrel rules try` shows it now)",
            plural(*items, "message")
        ),
        Step::Rematch { from } => format!("read {from} again: all its ids changed; messages are matched by content"),
        Step::Trash { items, waiting } => {
            let later = match waiting {
                0 => String::new(),
                _ => format!("; {} more, which have not been missing for long, later", waiting),
            };
            format!(
                "move {} to the trash, deleted at the source, if they are still missing there{later}",
                plural(*items, "message")
            )
        }
        Step::Unexplained { from, items } => {
            format!(
                "! {from}: the source claims {} more than it lists",
                plural(*items, "message")
            )
        }
    }
}

fn renamed(from: &str, to: &str) -> String {
    if from == to {
        String::new()
    } else {
        format!(" for {from}")
    }
}

fn reasons(notes: &[NameNote]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let reasons = notes.iter().map(|note| match note {
        NameNote::SpecialUse => "it serves the same purpose",
        NameNote::Mapped => "as the settings say",
        NameNote::Rule => "as a rule says",
        NameNote::Kept => "as in the run before",
        NameNote::FollowsParent => "it follows the folder above it",
        NameNote::Characters => "the destination cannot keep all characters of the name",
        NameNote::Length => "the name is too long for the destination",
        NameNote::Depth => "the destination does not nest so deep",
        NameNote::Collision => "another folder has that name",
    });
    format!(" ({})", reasons.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Plan {
        Plan {
            mailbox: "alice".into(),
            steps: vec![
                Step::Use {
                    from: "Gesendet".into(),
                    to: "Sent".into(),
                    notes: vec![NameNote::SpecialUse],
                    holds: 2,
                },
                Step::Create {
                    from: "a".into(),
                    to: "a".into(),
                    notes: Vec::new(),
                },
                Step::Copy {
                    from: "a".into(),
                    items: 1,
                    bytes: 1024,
                },
                Step::Rule {
                    from: "a".into(),
                    items: 3,
                },
                Step::Filter {
                    from: "a".into(),
                    items: 2,
                    reason: "old newsletter".into(),
                },
                Step::Unexplained {
                    from: "a".into(),
                    items: 7,
                },
            ],
            days: Some(3),
        }
    }

    #[test]
    fn people_read_sentences() {
        let text = show(&sample());
        for part in [
            "use the folder Sent for Gesendet (it serves the same purpose); it holds 2 messages, equal ones are merged",
            "make the folder a\n",
            "copy 1 message from a, 1.0 KiB",
            "let the rules decide on 3 messages of a when they are read",
            "leave out 2 messages of a: old newsletter",
            "! a: the source claims 7 messages more than it lists",
            "that takes 3 days",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(
            show(&Plan {
                mailbox: "b".into(),
                steps: Vec::new(),
                days: None,
            })
            .contains("nothing to do")
        );
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let value = document(&[Ok(sample())]);
        assert_eq!(
            value,
            json!({
                "mailboxes": [{
                    "mailbox": "alice",
                    "steps": [
                        { "step": "use", "from": "Gesendet", "to": "Sent", "notes": ["special-use"], "holds": 2 },
                        { "step": "create", "from": "a", "to": "a", "notes": [] },
                        { "step": "copy", "from": "a", "items": 1, "bytes": 1024 },
                        { "step": "rule", "from": "a", "items": 3 },
                        { "step": "filter", "from": "a", "items": 2, "reason": "old newsletter" },
                        { "step": "unexplained", "from": "a", "items": 7 },
                    ],
                    "days": 3,
                }],
                "problems": [],
            })
        );
    }
}
