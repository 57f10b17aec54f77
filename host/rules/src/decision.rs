//! What a script decided, and by which lines.

use serde::{Deserialize, Serialize};
use whimbrel_mail::Edits;
use whimbrel_model::Role;

/// A folder at the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// By its path, root first; never empty, and no segment is.
    Path(Vec<String>),
    /// The folder with this special use.
    Role(Role),
}

/// Attachments that go to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detach {
    /// Those of at least so many decoded bytes.
    pub over: u64,
    /// Also from signed and encrypted mail.
    pub signed: bool,
}

/// One deciding call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The script function that contains the call.
    pub rule: String,
    /// The file that contains it.
    pub file: String,
    /// Its line, from 1; 0 where it is not known.
    pub line: u32,
    /// The verb and its target, as `move_to Archive/2019`; never content of the message.
    pub did: String,
}

/// About a message, an event, a task, a contact or a filter. The default changes nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Decision {
    /// It is left out, for this reason.
    pub skip: Option<String>,
    /// The folder it goes to instead of its own.
    pub place: Option<Wanted>,
    /// The destination mailbox it goes to instead of its own.
    pub mailbox: Option<String>,
    /// Folders that get a copy, each named once.
    pub copies: Vec<Wanted>,
    /// Flags and keywords to set, in IMAP's spelling; never one of `clear_flags`.
    pub set_flags: Vec<String>,
    /// Flags and keywords to clear.
    pub clear_flags: Vec<String>,
    /// Labels to add; never one of `remove_labels`.
    pub add_labels: Vec<String>,
    /// Labels to remove.
    pub remove_labels: Vec<String>,
    /// Changes to the head of a message, in the order in which they apply.
    #[serde(with = "crate::mail::edits")]
    pub edits: Edits,
    /// Changes to a calendar object, a contact or a filter, in the order in which they apply.
    pub changes: Vec<whimbrel_pim::Edit>,
    /// Attachments that go to files.
    pub detach: Option<Detach>,
    /// Lines for the audit trail.
    pub notes: Vec<String>,
    /// One for each deciding call, in order.
    pub steps: Vec<Step>,
}

/// About a folder. The default changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FolderDecision {
    /// Its messages are left out, for this reason.
    pub skip: Option<String>,
    /// The folder at the destination.
    pub place: Option<Wanted>,
    /// Whether it is subscribed there; None as at the source.
    pub subscribe: Option<bool>,
    /// Lines for the audit trail.
    pub notes: Vec<String>,
    /// One for each deciding call, in order.
    pub steps: Vec<Step>,
}

/// About a mailbox. The default changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MailboxDecision {
    /// It is left out, for this reason.
    pub skip: Option<String>,
    /// Lines for the audit trail.
    pub notes: Vec<String>,
    /// One for each deciding call, in order.
    pub steps: Vec<Step>,
}

/// What becomes of an item that failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum FailureVerb {
    /// As without a script: the quarantine.
    #[default]
    Default,
    /// It stays pending; the next run takes it up.
    Retry,
    /// It is left out, for this reason.
    Skip(String),
    /// The mailbox stops here, for this reason.
    Stop(String),
}

/// About a failure. The default changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FailureDecision {
    /// What becomes of the item.
    pub verb: FailureVerb,
    /// One for each deciding call, in order.
    pub steps: Vec<Step>,
}
