//! The verdict: how good a migration is, from what was counted and what was compared.

use std::collections::BTreeSet;

use serde::Serialize;

use super::difference::{Class, Differences};
use crate::Counts;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Everything is there, as it was.
    Perfect,
    /// Everything is there; what differs is slight and rare.
    Good,
    /// Somebody should look at the differences before the old server goes.
    Investigate,
    /// Too much is different or missing.
    Poor,
}

impl Grade {
    /// A short, stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Perfect => "perfect",
            Self::Good => "good",
            Self::Investigate => "investigate",
            Self::Poor => "poor",
        }
    }
}

/// What a verdict can name: the classes of differences, and the counts that are not success.
pub const REASONS: [&str; 11] = [
    "missing",
    "altered-content",
    "placement",
    "extra",
    "altered-transport",
    "date",
    "flags",
    "failed",
    "unexplained",
    "oversize",
    "pending",
];

/// How grades are given: shares of what was found, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct GradeRules {
    /// Which reasons are serious; all others are slight.
    pub serious: BTreeSet<String>,
    /// The largest shares of serious and slight ones that are still good.
    pub good: [f64; 2],
    /// The largest shares that are still to be investigated; above them it is poor.
    pub investigate: [f64; 2],
}

impl Default for GradeRules {
    fn default() -> Self {
        let serious = [
            "missing",
            "altered-content",
            "extra",
            "placement",
            "failed",
            "unexplained",
        ];
        Self {
            serious: serious.map(str::to_owned).into(),
            good: [0.0, 0.01],
            investigate: [0.001, 0.1],
        }
    }
}

/// One reason why a migration is not perfect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// One of [`REASONS`].
    pub what: &'static str,
    /// How many messages.
    pub count: u64,
    /// Whether it is serious by the rules.
    pub serious: bool,
}

/// The verdict on a mailbox, or on all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// How good it is.
    pub grade: Grade,
    /// Why it is not perfect, the worst first; empty where it is.
    pub reasons: Vec<Reason>,
    /// Serious ones of all that was found, in percent.
    pub serious_percent: f64,
    /// Slight ones of all that was found, in percent.
    pub slight_percent: f64,
    /// Whether `found = moved + merged + filtered + oversize + failed + pending`.
    pub balanced: bool,
    /// What is unexplained, by name: folder and number.
    pub remainder: Vec<String>,
}

impl Verdict {
    /// By these rules.
    #[allow(clippy::cast_precision_loss)] // Shares.
    pub fn new(rules: &GradeRules, counts: &Counts, differences: &Differences, remainder: Vec<String>) -> Self {
        let parts = [
            counts.moved,
            counts.merged,
            counts.filtered,
            counts.oversize,
            counts.failed,
            counts.pending,
        ];
        let balanced = parts.iter().sum::<u64>() == counts.found;
        let counted = [
            ("failed", counts.failed),
            ("unexplained", counts.unexplained),
            ("oversize", counts.oversize),
            ("pending", counts.pending),
        ];
        let classes = Class::ALL.map(|class| (class.code(), differences.of(class)));
        let mut reasons: Vec<Reason> = classes
            .into_iter()
            .chain(counted)
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| Reason {
                what,
                count,
                serious: rules.serious.contains(what),
            })
            .collect();
        reasons.sort_by_key(|reason| !reason.serious);
        let sum = |serious| -> u64 {
            let of_kind = reasons.iter().filter(|reason| reason.serious == serious);
            of_kind.map(|reason| reason.count).sum()
        };
        let shares = [true, false].map(|serious| sum(serious) as f64 / counts.found.max(1) as f64);
        let within = |limits: &[f64; 2]| shares.iter().zip(limits).all(|(share, limit)| share <= limit);
        let grade = match () {
            () if reasons.is_empty() && balanced => Grade::Perfect,
            () if balanced && within(&rules.good) => Grade::Good,
            () if balanced && within(&rules.investigate) => Grade::Investigate,
            () => Grade::Poor,
        };
        Self {
            grade,
            reasons,
            serious_percent: shares[0] * 100.0,
            slight_percent: shares[1] * 100.0,
            balanced,
            remainder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(change: impl FnOnce(&mut Counts, &mut Differences)) -> Verdict {
        let mut counts = Counts {
            found: 1000,
            moved: 990,
            filtered: 10,
            ..Counts::default()
        };
        let mut differences = Differences::default();
        change(&mut counts, &mut differences);
        Verdict::new(&GradeRules::default(), &counts, &differences, Vec::new())
    }

    fn times(differences: &mut Differences, class: Class, count: u64) {
        (0..count).for_each(|_| differences.add(class));
    }

    #[test]
    fn grades_follow_the_rules() {
        assert_eq!(verdict(|_, _| ()).grade, Grade::Perfect);
        let grade = |class, count| verdict(|_, differences| times(differences, class, count)).grade;
        assert_eq!(grade(Class::Flags, 10), Grade::Good);
        assert_eq!(grade(Class::Flags, 11), Grade::Investigate);
        assert_eq!(grade(Class::AlteredTransport, 101), Grade::Poor);
        assert_eq!(grade(Class::Missing, 1), Grade::Investigate);
        assert_eq!(grade(Class::Missing, 2), Grade::Poor);
        let failed = verdict(|counts, _| (counts.moved, counts.failed) = (989, 1));
        assert_eq!(failed.grade, Grade::Investigate);
        assert_eq!(
            failed.reasons,
            [Reason {
                what: "failed",
                count: 1,
                serious: true
            }]
        );
        assert_eq!(verdict(|counts, _| counts.unexplained = 1).grade, Grade::Investigate);
        assert_eq!(
            verdict(|counts, _| (counts.moved, counts.pending) = (985, 5)).grade,
            Grade::Good
        );
    }

    #[test]
    fn what_does_not_add_up_is_poor() {
        let verdict = verdict(|counts, _| counts.moved -= 1);
        assert_eq!((verdict.grade, verdict.balanced), (Grade::Poor, false));
    }

    #[test]
    fn rules_can_be_others() {
        let rules = GradeRules {
            serious: ["flags".to_owned()].into(),
            good: [1.0, 1.0],
            investigate: [1.0, 1.0],
        };
        let mut differences = Differences::default();
        times(&mut differences, Class::Missing, 500);
        times(&mut differences, Class::Flags, 1);
        let counts = Counts {
            found: 1000,
            moved: 1000,
            ..Counts::default()
        };
        let verdict = Verdict::new(&rules, &counts, &differences, Vec::new());
        assert_eq!(verdict.grade, Grade::Good);
        assert_eq!(
            verdict.reasons.first().map(|reason| reason.what),
            Some("flags"),
            "serious ones come first"
        );
        assert!((verdict.slight_percent - 50.0).abs() < 1e-9);
    }

    #[test]
    fn every_class_is_a_reason() {
        assert!(Class::ALL.iter().all(|class| REASONS.contains(&class.code())));
        assert!(
            GradeRules::default()
                .serious
                .iter()
                .all(|what| REASONS.contains(&what.as_str()))
        );
    }
}
