//! Whether the rules are still those of the last run.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use whimbrel_ledger::{Ledger, LedgerError};
use whimbrel_rules::Rules;

use crate::failures;
use crate::output::table::plural;
use crate::problem::Result;

/// The key under which the ledger keeps what the rules of the last run were.
const KEY: &str = "rules";

/// The rules of a run, as the ledger keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// Of everything that a decision depends on; none where there were no rules.
    hash: Option<String>,
    /// The script, as the settings name it.
    script: Option<String>,
    /// When the run began, in seconds since 1970.
    at: i64,
}

/// What a change of rules means for what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    how: &'static str,
    /// When the last run began, in seconds since 1970, if that is known.
    since: Option<i64>,
    moved: u64,
    filtered: u64,
    pending: u64,
}

impl Changed {
    /// For people.
    pub fn sentence(&self) -> String {
        let date = self.since.and_then(|at| jiff::Timestamp::from_second(at).ok());
        let since = date.map_or(String::new(), |date| {
            format!(" ({})", date.strftime("%Y-%m-%d %H:%M UTC"))
        });
        let pick = |count: u64, one: &'static str, more: &'static str| if count == 1 { one } else { more };
        let stay = pick(
            self.moved,
            "was moved under the old rules stays where it is",
            "were moved under the old rules stay where they are",
        );
        let out = pick(self.filtered, "was left out stays", "were left out stay");
        let follow = pick(self.pending, "waits follows", "wait follow");
        format!(
            "the rules {} since the last run{since}: {} that {stay}; {} that {out} out until `whimbrel retry --reason \
             filtered`; {} that {follow} the new rules",
            self.how,
            plural(self.moved, "message"),
            self.filtered,
            self.pending,
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "how": self.how,
            "since": self.since,
            "moved": self.moved,
            "filtered": self.filtered,
            "pending": self.pending,
        })
    }
}

/// Keeps what the rules of this run are, leaves a line in the audit trail where they are others than in the last one, and
/// says what that means for the messages of these mailboxes.
pub fn note(ledger: &Ledger, script: Option<(&Rules, &str)>, mailboxes: &[String]) -> Result<Option<Changed>> {
    let failed = |error: LedgerError| Box::new(failures::ledger(&error));
    let before: Option<Kept> = ledger
        .get_meta(KEY)
        .map_err(failed)?
        .and_then(|text| serde_json::from_str(&text).ok());
    let now = Kept {
        hash: script.map(|(rules, _)| rules.hash().to_string()),
        script: script.map(|(_, name)| name.to_owned()),
        at: jiff::Timestamp::now().as_second(),
    };
    let old = before.as_ref().and_then(|kept| kept.hash.as_ref());
    if before.is_none() && now.hash.is_none() {
        return Ok(None);
    }
    let text = serde_json::to_string(&now).unwrap_or_default();
    ledger.set_meta(KEY, &text).map_err(failed)?;
    if old == now.hash.as_ref() {
        return Ok(None);
    }
    let fields = json!({ "hash": now.hash, "script": now.script, "before": old });
    ledger.event(None, "rules", fields).map_err(failed)?;
    let status =
        whimbrel_engine::status(ledger, Some(mailboxes)).map_err(|error| Box::new(failures::engine(&error)))?;
    let changed = Changed {
        how: match (old, &now.hash) {
            (None, _) => "are new",
            (_, None) => "are gone",
            _ => "changed",
        },
        since: before.map(|kept| kept.at),
        moved: status.total.moved + status.total.merged,
        filtered: status.total.filtered,
        pending: status.total.pending,
    };
    // In a first run there is nothing that old rules could have done.
    Ok((status.total.found > 0).then_some(changed))
}

#[cfg(test)]
mod tests {
    use whimbrel_ledger::LedgerOptions;
    use whimbrel_rules::Options;

    use super::*;

    fn rules(text: &str) -> Rules {
        Rules::compile("rules.rhai", text, &Options::default()).unwrap()
    }

    #[test]
    fn the_sentence_says_what_becomes_of_what_is_there() {
        let changed = Changed {
            how: "changed",
            since: Some(1_700_000_000),
            moved: 1204,
            filtered: 1,
            pending: 2,
        };
        assert_eq!(
            changed.sentence().replace('\u{202f}', " "),
            "the rules changed since the last run (2023-11-14 22:13 UTC): 1 204 messages that were moved under the old \
             rules stay where they are; 1 that was left out stays out until `whimbrel retry --reason filtered`; 2 that \
             wait follow the new rules"
        );
        let one = Changed {
            how: "are new",
            since: None,
            moved: 1,
            filtered: 0,
            pending: 1,
        };
        assert_eq!(
            one.sentence(),
            "the rules are new since the last run: 1 message that was moved under the old rules stays where it is; 0 that \
             were left out stay out until `whimbrel retry --reason filtered`; 1 that waits follows the new rules"
        );
    }

    #[test]
    fn each_change_leaves_one_event_and_the_first_run_announces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), LedgerOptions::default()).unwrap();
        let events = || {
            ledger
                .events(None)
                .filter(|event| event.as_ref().unwrap().kind == "rules")
                .count()
        };
        assert_eq!(note(&ledger, None, &[]).unwrap(), None);
        assert_eq!(events(), 0, "no rules, nothing to tell");
        let (a, b) = (rules("fn message(m) {}"), rules("fn message(m) { m.keep(); }"));
        for (script, count) in [(Some(&a), 1), (Some(&a), 1), (Some(&b), 2), (None, 3), (None, 3)] {
            let changed = note(&ledger, script.map(|rules| (rules, "rules.rhai")), &[]).unwrap();
            assert_eq!((changed, events()), (None, count), "nothing was found so far");
        }
        let kept: Kept = serde_json::from_str(&ledger.get_meta(KEY).unwrap().unwrap()).unwrap();
        assert_eq!((kept.hash, kept.script), (None, None));
    }
}
