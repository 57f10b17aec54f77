//! What the last verification of a mailbox said, from the record of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use whimbrel_engine::{Class, Counts, Differences, GradeRules, Verdict};

use crate::report::Difference;

/// Differences of a mailbox that are kept.
const MOST: usize = 20;

/// What the last verification of a mailbox said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verified {
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// `listing`, `sample` or `deep`.
    pub depth: String,
    /// `perfect`, `good`, `investigate` or `poor`.
    pub grade: String,
    /// Whether a later run changed something in the mailbox.
    pub outdated: bool,
    /// Why it is not perfect, the worst first.
    pub reasons: Vec<VerifiedReason>,
    /// What was done to find out.
    pub looked: Looked,
    /// How many of each class were found.
    pub differences: BTreeMap<String, u64>,
    /// The first differences.
    pub found_different: Vec<Difference>,
    /// What is unexplained, by name.
    pub remainder: Vec<String>,
    /// Where its messages stood then.
    #[serde(skip)]
    pub(crate) counts: Counts,
}

/// One reason why a grade is not perfect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedReason {
    /// A class of differences, or a count.
    pub what: String,
    /// How many messages.
    pub count: u64,
    /// Whether it is serious.
    pub serious: bool,
}

/// What was done to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Looked {
    /// Messages listed at the destination.
    pub listed: u64,
    /// Places of messages that were compared.
    pub compared: u64,
    /// Messages without any difference.
    pub equal: u64,
    /// Bodies read.
    pub read: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bodies that could not be read.
    pub unreadable: u64,
    /// Messages at the destination that are its own.
    pub own: u64,
}

/// The parts of an outcome that are needed.
#[derive(Deserialize)]
struct Outcome {
    found: u64,
    moved: u64,
    merged: u64,
    filtered: u64,
    oversize: u64,
    failed: u64,
    pending: u64,
    unexplained: u64,
    bytes: u64,
    looked: Looked,
    differences: BTreeMap<String, u64>,
    verdict: OutcomeVerdict,
    #[serde(default)]
    found_different: Vec<Difference>,
}

#[derive(Deserialize)]
struct OutcomeVerdict {
    grade: String,
    reasons: Vec<VerifiedReason>,
    #[serde(default)]
    remainder: Vec<String>,
}

impl Verified {
    /// From the outcome as `verify --json` has it for a mailbox; the error says what is wrong with it.
    pub fn of(began: i64, depth: String, outcome: Value) -> Result<Self, String> {
        let outcome: Outcome = serde_json::from_value(outcome).map_err(|error| error.to_string())?;
        let counts = Counts {
            found: outcome.found,
            moved: outcome.moved,
            merged: outcome.merged,
            filtered: outcome.filtered,
            oversize: outcome.oversize,
            failed: outcome.failed,
            pending: outcome.pending,
            unexplained: outcome.unexplained,
            bytes: outcome.bytes,
            seconds: 0.0,
        };
        let OutcomeVerdict {
            grade,
            reasons,
            mut remainder,
        } = outcome.verdict;
        let mut found_different = outcome.found_different;
        found_different.truncate(MOST);
        remainder.truncate(MOST);
        Ok(Self {
            began,
            depth,
            grade,
            outdated: false,
            reasons,
            looked: outcome.looked,
            differences: outcome.differences,
            found_different,
            remainder,
            counts,
        })
    }

    /// How many differences there are.
    pub fn different(&self) -> u64 {
        self.differences.values().sum()
    }
}

/// The grade of all of them together, and how many differences of each class they have.
pub fn together<'a>(
    verified: impl Iterator<Item = &'a Verified>,
    rules: &GradeRules,
) -> Option<(Verdict, Differences)> {
    let (mut counts, mut differences, mut any) = (Counts::default(), Differences::default(), false);
    for one in verified {
        any = true;
        counts = counts.plus(one.counts);
        let known = one
            .differences
            .iter()
            .filter_map(|(name, count)| Some((Class::named(name)?, *count)));
        differences = differences.plus(&known.collect());
    }
    any.then(|| (Verdict::new(rules, &counts, &differences, Vec::new()), differences))
}
