//! `whimbrel retry`: failed items again.

use serde_json::json;

use super::migrate;
use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::output::Output;
use crate::output::table::plural;
use crate::problem::{Problem, Result};
use crate::session::{Aim, Session};
use crate::settings::nearest;

/// What an item can have failed for; `oversize` was left out for its size, `filtered` by a rule.
pub const REASONS: [&str; 15] = [
    "filtered",
    "forbidden",
    "generation-changed",
    "internal",
    "invalid-settings",
    "not-found",
    "over-quota",
    "oversize",
    "rejected",
    "rules",
    "throttled",
    "too-large",
    "unauthenticated",
    "unavailable",
    "unsupported",
];

/// Takes failed and oversize items up again, all or those of one reason (what rules left out only by theirs), and runs `migrate` over these mailboxes.
pub async fn run(global: &Global, only: &[String], reason: Option<&str>, output: Output) -> Result<Exit> {
    if let Some(reason) = reason {
        known(reason)?;
    }
    let codes: Vec<String> = reason.map(str::to_owned).into_iter().collect();
    let mut session = Session::open(global, only, Aim::Move).await?;
    let ledger = session.ledger()?;
    let changed = migrate::announce(&session, &ledger, output)?;
    let mut again = 0;
    for mailbox in &session.mailboxes {
        let count = whimbrel_engine::requeue(&ledger, &mailbox.name, &codes);
        again += count.map_err(|error| Box::new(failures::engine(&error)))?;
    }
    output.say(format!("{} taken up again", plural(again, "message")));
    let report = migrate::go(session, &ledger, output).await?;
    let mut document = migrate::json(&report);
    migrate::told(&mut document, &ledger, changed.as_ref());
    if let Some(object) = document.as_object_mut() {
        object.insert("requeued".into(), json!(again));
    }
    Ok(migrate::finish(&report, document, output))
}

fn known(reason: &str) -> Result<()> {
    if REASONS.contains(&reason) {
        return Ok(());
    }
    let help = match nearest(reason, REASONS) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("reasons are: {}", REASONS.join(", ")),
    };
    Err(Box::new(
        Problem::usage(format!("nothing fails for the reason `{reason}`")).help(help),
    ))
}

#[cfg(test)]
mod tests {
    use whimbrel_model::Failure;

    use super::*;

    #[test]
    fn every_code_of_a_failure_is_a_reason() {
        let text = String::new;
        let all = [
            Failure::Unauthenticated(text()),
            Failure::Forbidden(text()),
            Failure::NotFound(text()),
            Failure::Throttled {
                retry_after_ms: None,
                reason: text(),
            },
            Failure::Unavailable(text()),
            Failure::OverQuota(text()),
            Failure::TooLarge(None),
            Failure::Rejected(text()),
            Failure::GenerationChanged,
            Failure::Unsupported(text()),
            Failure::InvalidSettings(text()),
            Failure::Internal(text()),
            Failure::Rules(text()),
        ];
        assert_eq!(all.len() + 2, REASONS.len());
        for failure in all {
            assert!(known(failure.code()).is_ok(), "{}", failure.code());
        }
    }

    #[test]
    fn a_misspelt_reason_is_refused_with_the_right_one() {
        let problem = known("overquota").unwrap_err();
        assert!(problem.render().contains("did you mean `over-quota`?"));
        assert_eq!(problem.exit(), Exit::Usage);
        assert!(
            known("xyz")
                .unwrap_err()
                .render()
                .contains("reasons are: filtered, forbidden")
        );
    }
}
