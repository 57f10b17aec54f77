//! What an admin can choose for a run.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use whimbrel_wire::BlobStore;

use crate::{Deletions, RuleBook, faults::FaultOptions, repair::RepairOptions};

/// Limits and policies of a run.
#[derive(Clone)]
pub struct Options {
    /// Mailboxes at once.
    pub mailboxes: usize,
    /// Connections per mailbox and side.
    pub connections: usize,
    /// Bytes of bodies on the way at once, over all mailboxes.
    pub memory: u64,
    /// Items larger than this are left out as `oversize`, in bytes.
    pub max_item_bytes: Option<u64>,
    /// How often in a row something that may pass is tried again before the mailbox is parked or stops; see [`crate::RETRY_CLASSES`].
    pub retries: u32,
    /// What else follows failures.
    pub faults: FaultOptions,
    /// How long a destination must show nothing new before what a broken connection or a killed run left open is put
    /// again: until then, some of it may still be on its way.
    pub quiet: Duration,
    /// Which folders, and where to.
    pub folders: FolderOptions,
    /// Where the bytes of refused items are kept; none: nowhere.
    pub quarantine: Option<PathBuf>,
    /// Where converted bodies are built.
    pub blobs: BlobStore,
    /// What is tried with messages that the destination refuses as they are.
    pub repairs: RepairOptions,
    /// The admin's rules.
    pub rules: Option<Arc<RuleBook>>,
    /// Whether, and how carefully, deletions at the source are mirrored.
    pub deletions: Option<Deletions>,
    /// Nothing is put and nothing marked: what lies at the destination already is found by its content and recorded, and
    /// the rest goes on waiting. That is how a ledger that was lost comes back.
    pub only_recognise: bool,
}

/// Which folders are moved, and where to. Paths are joined by `/`, and compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderOptions {
    /// Source path to destination path; children follow their parent.
    pub map: BTreeMap<String, String>,
    /// Source paths that are left out, with everything below them.
    pub exclude: Vec<String>,
}

impl FolderOptions {
    /// Whether the folder is left out.
    pub fn excludes(&self, path: &[String]) -> bool {
        self.exclude.iter().any(|excluded| {
            let excluded: Vec<&str> = excluded.split('/').collect();
            excluded.len() <= path.len()
                && excluded
                    .iter()
                    .zip(path)
                    .all(|(a, b)| a.to_lowercase() == b.to_lowercase())
        })
    }

    /// Where exactly this path was told to go.
    pub fn mapped(&self, path: &[String]) -> Option<Vec<String>> {
        let wanted = path.join("/").to_lowercase();
        self.map
            .iter()
            .find(|(from, _)| from.to_lowercase() == wanted)
            .map(|(_, to)| {
                to.split('/')
                    .filter(|segment| !segment.is_empty())
                    .map(str::to_owned)
                    .collect()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn exclusion_takes_children_along_and_nothing_else() {
        let options = FolderOptions {
            exclude: vec!["Spam/old".into()],
            ..FolderOptions::default()
        };
        assert!(options.excludes(&path("spam/OLD")));
        assert!(options.excludes(&path("Spam/old/2020")));
        assert!(!options.excludes(&path("Spam")));
        assert!(!options.excludes(&path("Spam/older")));
    }
}
