//! What each rule did in a run.

use std::collections::BTreeMap;

use serde::Serialize;
use whimbrel_rules::Step;

/// How often a rule did something in a run; stable JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    /// The function of the script.
    pub rule: String,
    /// The script's file.
    pub file: String,
    /// The line there.
    pub line: u32,
    /// What it did.
    pub did: String,
    /// To how many messages, folders or mailboxes.
    pub count: u64,
}

impl RuleCount {
    /// Adds those of a further turn.
    pub fn add(sum: &mut Vec<Self>, more: &[Self]) {
        for one in more {
            let same = |other: &&mut Self| {
                (&other.rule, &other.file, other.line, &other.did) == (&one.rule, &one.file, one.line, &one.did)
            };
            match sum.iter_mut().find(same) {
                Some(known) => known.count += one.count,
                None => sum.push(one.clone()),
            }
        }
        sum.sort_by(|a, b| (&a.file, a.line, &a.rule, &a.did).cmp(&(&b.file, b.line, &b.rule, &b.did)));
    }
}

/// Counts decisions.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(String, u32, String, String), u64>);

impl Tally {
    /// Adds the decisions on one thing; the same one counts once.
    pub fn add(&mut self, steps: &[Step]) {
        for (at, step) in steps.iter().enumerate() {
            if steps[..at].contains(step) {
                continue;
            }
            let key = (step.file.clone(), step.line, step.rule.clone(), step.did.clone());
            *self.0.entry(key).or_default() += 1;
        }
    }

    /// All of them, in the order of the script.
    pub fn counts(&self) -> Vec<RuleCount> {
        self.0
            .iter()
            .map(|((file, line, rule, did), count)| RuleCount {
                rule: rule.clone(),
                file: file.clone(),
                line: *line,
                did: did.clone(),
                count: *count,
            })
            .collect()
    }
}
