//! The admin's rules at work: what scripts decide of mailboxes, folders, messages and failures, and what follows.

mod apply;
mod book;
mod decide;
mod detach;
mod failure;
mod folders;
mod foresight;
mod tally;
mod transform;

pub use apply::{Ruled, filtered, rule_all, settle_unruled};
pub use book::{AttachmentFolder, OnError, RuleBook};
pub use decide::{BlobContent, Decided, Undecided, decide_all, seen};
pub use detach::sweep;
pub use failure::excused;
pub use folders::{FolderRules, facts, filter_folder, rule_folders};
pub use foresight::{Foreseen, Foresight};
pub use tally::{RuleCount, Tally};
pub use transform::{DKIM_BROKEN, TransformError, Transformed, transform};

use whimbrel_ledger::{MarkChanges, RuleStep, Ruling};
use whimbrel_model::{Failure, ItemMeta};
use whimbrel_rules::{Decision, RuleError, Step};

/// As the ledger keeps it; none where the rules let the item be.
pub fn ruling(decision: &Decision) -> Option<Ruling> {
    if decision.steps.is_empty() {
        return None;
    }
    Some(Ruling {
        steps: steps(&decision.steps),
        marks: MarkChanges {
            set_flags: decision.set_flags.clone(),
            clear_flags: decision.clear_flags.clone(),
            add_labels: decision.add_labels.clone(),
            remove_labels: decision.remove_labels.clone(),
        },
    })
}

/// Decisions as the ledger keeps them.
pub fn steps(steps: &[Step]) -> Vec<RuleStep> {
    steps
        .iter()
        .map(|step| RuleStep {
            rule: step.rule.clone(),
            file: step.file.clone(),
            line: step.line,
            did: step.did.clone(),
        })
        .collect()
}

/// What an item's flags and labels are at the destination, with what rules decided of them.
pub fn apply_marks(ruling: Option<&Ruling>, meta: &mut ItemMeta) {
    if let Some(ruling) = ruling {
        meta.flags = ruling.marks.flags(&meta.flags);
        meta.labels = ruling.marks.labels(&meta.labels);
    }
}

/// A rule's error as the failure of what it was asked about.
pub fn failed(error: &RuleError) -> Failure {
    Failure::Rules(error.to_string())
}
