//! What to do about a failure, for people.

use whimbrel_model::Failure;

/// One sentence on what an admin can do about it.
pub fn remedy(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unauthenticated(_) => {
            "check the user name and the password or token in the settings, and the likely cause that is named; `whimbrel check` tries again without moving anything"
        }
        Failure::Forbidden(_) => {
            "give the migration account the right to do this, or leave the folder out with [folders] exclude; then run again"
        }
        Failure::NotFound(_) => "check the name in the settings; if it was removed meanwhile, run again",
        Failure::Throttled { .. } => {
            "the server limits the rate: run again later, or with fewer `connections` or `mailboxes` in [limits]; a limit for each day is what `daily` is for"
        }
        Failure::Unavailable(_) => {
            "check the network and the server, then run again: the migration goes on where it stopped"
        }
        Failure::OverQuota(_) => {
            "raise the quota of the destination mailbox or make room in it, then run again: nothing that waits is lost"
        }
        Failure::TooLarge(_) => "raise the size limit of the destination and run `whimbrel retry`",
        Failure::Rejected(_) => {
            "look at the item in the quarantine folder; once the cause is gone, `whimbrel retry` takes it again"
        }
        Failure::GenerationChanged => {
            "run again: the folder is listed anew and matched by content, nothing is copied twice"
        }
        Failure::Unsupported(_) => "use a connector or server that can do this, or leave the folder out",
        Failure::InvalidSettings(_) => "correct the settings file; `whimbrel check` shows every problem at once",
        Failure::Rules(_) => {
            "correct the script (`whimbrel rules try` shows what it does with a message), then run `whimbrel retry --reason rules`"
        }
        Failure::Internal(_) => {
            "this is a fault of the connector: run again with -v for its log, and tell its author; other mailboxes are not concerned"
        }
    }
}
