//! What the ledger keeps, as its users see it.

use std::fmt;

use serde::{Deserialize, Serialize};
use whimbrel_model::{Collection, Failure, Fingerprint, ItemMeta, Outcome};

/// A mailbox of this ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MailboxId(pub u32);

/// A collection of one mailbox; unique within the mailbox, not beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CollectionId(pub u32);

/// An intent of one mailbox; unique among the open intents of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub u64);

impl fmt::Display for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CollectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known of a source collection and of its counterpart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionRecord {
    /// Its number within the mailbox.
    pub id: CollectionId,
    /// As the source described it last; `generation` is the one that the recorded item ids belong to, and changes by
    /// [`Batch::void_ids`](crate::Batch::void_ids) only.
    pub source: Collection,
    /// Where its items go, once that is known.
    pub target: Option<Target>,
    /// Where listing goes on; none before the first page.
    pub cursor: Option<String>,
    /// How many items the provider claimed at the last listing.
    pub claimed: Option<u64>,
    /// Why the last listing was cut short, if it was.
    pub capped: Option<String>,
    /// What became of its items.
    pub totals: Totals,
}

/// A destination collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Its id at the destination.
    pub id: String,
    /// Its path there, root first.
    pub path: Vec<String>,
    /// Its generation when it was last looked at.
    pub generation: Option<String>,
    /// Whether it held items before the migration came to it: what is there already is merged, not doubled.
    pub existing: bool,
}

/// Counts of items, and bytes. Always `found = moved + merged + filtered + oversize + failed + pending`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Every item that was ever seen, apart from those that vanished before they were placed.
    pub found: u64,
    /// Of those, the ones that are still at the source.
    pub live: u64,
    /// Placed as new, or in the place of an older version.
    pub moved: u64,
    /// Placed by being there already.
    pub merged: u64,
    /// Left out by a rule.
    pub filtered: u64,
    /// Left out by their size.
    pub oversize: u64,
    /// Refused, or broken.
    pub failed: u64,
    /// Still to be done.
    pub pending: u64,
    /// Bytes of what was found: as read where it was read, else as the source claims.
    pub bytes_found: u64,
    /// Bytes of what was moved, likewise.
    pub bytes_moved: u64,
}

impl Totals {
    /// Whether every item found is accounted for.
    pub fn balanced(&self) -> bool {
        let parts = [
            self.moved,
            self.merged,
            self.filtered,
            self.oversize,
            self.failed,
            self.pending,
        ];
        parts.iter().try_fold(0u64, |sum, part| sum.checked_add(*part)) == Some(self.found)
    }
}

impl std::ops::Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            found: self.found.saturating_add(other.found),
            live: self.live.saturating_add(other.live),
            moved: self.moved.saturating_add(other.moved),
            merged: self.merged.saturating_add(other.merged),
            filtered: self.filtered.saturating_add(other.filtered),
            oversize: self.oversize.saturating_add(other.oversize),
            failed: self.failed.saturating_add(other.failed),
            pending: self.pending.saturating_add(other.pending),
            bytes_found: self.bytes_found.saturating_add(other.bytes_found),
            bytes_moved: self.bytes_moved.saturating_add(other.bytes_moved),
        }
    }
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |sum, totals| sum + totals)
    }
}

/// What is known of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRecord {
    /// As the source described it last. For an item whose id became void, `id` is the void id ([`Self::is_void`]).
    pub meta: ItemMeta,
    /// What became of it.
    pub fate: Fate,
    /// Whether it is still at the source under this id.
    pub live: bool,
    /// Of the source's bytes, once they were read.
    pub fingerprint: Option<Fingerprint>,
    /// Of the bytes that were put, or looked for at the destination, where rules made other ones of the source's.
    pub put: Option<Fingerprint>,
    /// Named repairs and alterations that lie between the source's bytes and the placed ones.
    pub repairs: Vec<String>,
    /// How often copying it failed.
    pub attempts: u32,
    /// What rules decided of it; none where they let it be.
    pub ruling: Option<Ruling>,
    /// Where further copies of it lie, which rules asked for. They may be there before the item itself is placed.
    pub copies: Vec<Place>,
    /// Since when it is known not to be at the source any more, in seconds since 1970; none while it is there, and where
    /// only its id became void.
    pub gone: Option<i64>,
}

/// What rules decided of an item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ruling {
    /// Each decision, in order.
    pub steps: Vec<RuleStep>,
    /// What lies between the source's flags and labels and those at the destination, now and after later changes.
    pub marks: MarkChanges,
}

/// A decision of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleStep {
    /// The function of the script that decided.
    pub rule: String,
    /// The script's file.
    pub file: String,
    /// The line there.
    pub line: u32,
    /// What it did: a verb and its target; never content.
    pub did: String,
}

/// Changes to flags and labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MarkChanges {
    /// Flags and keywords that it gets.
    pub set_flags: Vec<String>,
    /// Flags and keywords that it loses.
    pub clear_flags: Vec<String>,
    /// Labels that it gets.
    pub add_labels: Vec<String>,
    /// Labels that it loses.
    pub remove_labels: Vec<String>,
}

impl MarkChanges {
    /// The flags that the destination is to have where the source has these; sorted, each once.
    pub fn flags(&self, source: &[String]) -> Vec<String> {
        let kept = source.iter().filter(|flag| {
            !self
                .clear_flags
                .iter()
                .any(|cleared| cleared.eq_ignore_ascii_case(flag))
        });
        let flags: Vec<String> = kept.chain(&self.set_flags).cloned().collect();
        whimbrel_model::flags::normalise(&flags)
    }

    /// The labels that the destination is to have where the source has these.
    pub fn labels(&self, source: &[String]) -> Vec<String> {
        let mut labels: Vec<String> = source
            .iter()
            .filter(|label| !self.remove_labels.contains(label))
            .cloned()
            .collect();
        for label in &self.add_labels {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        labels
    }
}

/// A place at the destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Whose account it is in, where rules sent the item to another mailbox; none: the mailbox's own.
    pub mailbox: Option<MailboxId>,
    /// The collection.
    pub collection: String,
    /// The id there; none where the destination does not tell.
    pub id: Option<String>,
}

/// A destination collection that rules send items to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Whose account it is in; none: the mailbox's own.
    pub mailbox: Option<MailboxId>,
    /// How the rules name it.
    pub wanted: String,
    /// What it is.
    pub target: Target,
}

impl ItemRecord {
    /// Of the bytes that are to lie at the destination, apart from what [`repairs`](Self::repairs) names.
    pub fn wanted(&self) -> Option<&Fingerprint> {
        self.put.as_ref().or(self.fingerprint.as_ref())
    }

    /// Whether its id became void: it stands here as an orphan, under an id that no source gives.
    pub fn is_void(&self) -> bool {
        self.meta.id.starts_with(crate::keys::VOID)
    }

    /// The id by which the source knows or knew it.
    pub fn source_id(&self) -> &str {
        crate::keys::source_id(&self.meta.id)
    }
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Nothing yet.
    Pending,
    /// It lies at the destination.
    Placed {
        /// Whose account it lies in, where rules sent it to another mailbox; none: the mailbox's own.
        mailbox: Option<MailboxId>,
        /// In this collection of the destination.
        collection: String,
        /// Under this id; none where the destination does not tell.
        id: Option<String>,
        /// With this revision.
        revision: Option<String>,
        /// As new, merged, or replaced.
        outcome: Outcome,
    },
    /// A rule left it out.
    Filtered {
        /// Why.
        reason: String,
    },
    /// It is larger than what may be moved.
    Oversize {
        /// The limit, in bytes.
        limit: u64,
    },
    /// It could not be read or was refused.
    Failed {
        /// What went wrong.
        failure: Failure,
        /// What the content has to do with it, as far as that could be found out.
        diagnosis: Option<String>,
        /// Where its bytes were kept, if they were.
        quarantine: Option<String>,
    },
    /// It vanished at the source before it was placed; it counts no more.
    Gone,
}

impl IntentItem {
    /// Of the bytes that are put.
    pub fn wanted(&self) -> &Fingerprint {
        self.put.as_ref().unwrap_or(&self.fingerprint)
    }
}

impl Fate {
    /// A short, stable name, for JSON and counting.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Placed { .. } => "placed",
            Self::Filtered { .. } => "filtered",
            Self::Oversize { .. } => "oversize",
            Self::Failed { .. } => "failed",
            Self::Gone => "gone",
        }
    }
}

/// Work that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Todo {
    /// The item is to be copied.
    Copy,
    /// The item is placed; its flags and labels are to be brought up to date.
    Mark,
    /// The item is placed; its content changed at the source, and is to be brought up to date with all the rest.
    Replace,
}

/// A `put` that was about to begin: what a crash is settled against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Whose account it goes to, where rules send items to another mailbox; none: the mailbox's own.
    pub mailbox: Option<MailboxId>,
    /// Id of the destination collection.
    pub target: String,
    /// Everything that the `put` places is listed after this cursor of the destination collection.
    pub watermark: String,
    /// The items, in the order of the `put`.
    pub items: Vec<IntentItem>,
}

/// An item of an [`Intent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentItem {
    /// The source collection it is in.
    pub collection: CollectionId,
    /// Its id there.
    pub id: String,
    /// Of the source's bytes.
    pub fingerprint: Fingerprint,
    /// Of the bytes that are put, by which it is known again at the destination, where rules changed them.
    pub put: Option<Fingerprint>,
    /// Whether this is one of the further copies that rules asked for, and not the item itself.
    pub copy: bool,
    /// The orphan that it turned out to be, where that is moved at the destination and nothing is put.
    pub orphan: Option<(CollectionId, String)>,
    /// Named repairs made before it was put.
    pub repairs: Vec<String>,
}

/// A line of the audit trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the trail; ascending, starting with 1.
    pub sequence: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: i64,
    /// The admin's name for the mailbox, if it is about one.
    pub mailbox: Option<String>,
    /// A short, stable name.
    pub kind: String,
    /// The rest; never a subject, an address or content.
    pub fields: serde_json::Value,
}

/// When a commit returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Durability {
    /// When it lies on the disk, with everything committed before it.
    Flush,
    /// At once. It lies on the disk after the next flush, at most about a second later; a crash before that loses it
    /// as a whole, and never something that was committed before it alone.
    Later,
}

/// How to open a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerOptions {
    /// Bytes of memory that the store's page cache may take, roughly; some 30 MiB for a million items come on top.
    pub cache_bytes: u64,
    /// Whether to make the ledger where there is none; else [`LedgerError::Missing`](crate::LedgerError::Missing).
    pub create: bool,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            create: true,
        }
    }
}
