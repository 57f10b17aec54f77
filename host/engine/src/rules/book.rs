//! What the engine is given of the rules.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use whimbrel_rules::Rules;

use crate::Provider;

/// What follows where a script fails on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The item goes to the quarantine, and the run goes on.
    #[default]
    Quarantine,
    /// The run stops.
    Stop,
}

/// Where attachments go that rules detach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentFolder {
    /// They are written below it, as `<mailbox>/<hash>/<name>`.
    pub folder: PathBuf,
    /// What the link in the message begins with; the path below the folder follows. None: the file's own path.
    pub link: Option<String>,
}

/// The admin's rules, and what they need.
#[derive(Clone)]
pub struct RuleBook {
    /// The compiled script.
    pub rules: Arc<Rules>,
    /// What follows where it fails on an item.
    pub on_error: OnError,
    /// Where detached attachments go.
    pub attachments: Option<AttachmentFolder>,
    /// The mailboxes that messages can be sent to, by the admin's names for them.
    pub mailboxes: HashMap<String, Arc<dyn Provider>>,
}
