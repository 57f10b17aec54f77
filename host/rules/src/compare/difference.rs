//! What another version of the rules does otherwise.

use serde::Serialize;

use super::effect::{Effect, HeaderChange};

/// A way in which two versions differ on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Moved before, left out now.
    NewlySkipped,
    /// Left out before, moved now.
    NoLongerSkipped,
    /// Left out by both, for another reason.
    OtherReason,
    /// Another folder or mailbox.
    Rerouted,
    /// Other copies.
    OtherCopies,
    /// Other flags, keywords or labels.
    OtherFlags,
    /// Another head.
    OtherHeaders,
    /// Another calendar object, contact or filter.
    OtherContent,
    /// Other attachments go to files.
    OtherAttachments,
    /// The old version decided, the new one fails.
    NewError,
    /// The old version failed, the new one decides.
    NoLongerError,
}

impl Change {
    /// All, the gravest first.
    pub const ALL: [Change; 11] = [
        Change::NewError,
        Change::NoLongerError,
        Change::NewlySkipped,
        Change::NoLongerSkipped,
        Change::OtherReason,
        Change::Rerouted,
        Change::OtherCopies,
        Change::OtherFlags,
        Change::OtherHeaders,
        Change::OtherContent,
        Change::OtherAttachments,
    ];

    /// As a verb behind "this change", with the number of messages: `re-routes 3 messages`.
    pub fn sentence(self, messages: u64) -> String {
        let what = if messages == 1 {
            "1 message".to_owned()
        } else {
            format!("{} messages", crate::explain::grouped(messages))
        };
        match self {
            Change::NewError => format!("fails on {what}"),
            Change::NoLongerError => format!("no longer fails on {what}"),
            Change::NewlySkipped => format!("leaves out {what} more"),
            Change::NoLongerSkipped => format!("no longer leaves out {what}"),
            Change::OtherReason => format!("leaves out {what} for another reason"),
            Change::Rerouted => format!("re-routes {what}"),
            Change::OtherCopies => format!("copies {what} to other folders"),
            Change::OtherFlags => format!("marks {what} otherwise"),
            Change::OtherHeaders => format!("edits the head of {what} otherwise"),
            Change::OtherContent => format!("changes what is in {what} otherwise"),
            Change::OtherAttachments => format!("detaches other attachments of {what}"),
        }
    }
}

/// How many messages differ in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The way.
    pub change: Change,
    /// How many.
    pub messages: u64,
    /// Some of them.
    pub examples: Vec<Example>,
}

/// A message that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The mailbox it lies in.
    pub mailbox: String,
    /// The path of its folder.
    pub folder: String,
    /// Its id there.
    pub id: String,
    /// What the old version does with it, in a few words.
    pub old: String,
    /// What the new version does.
    pub new: String,
}

/// How two versions of a script differ on many messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// All messages that were compared.
    pub messages: u64,
    /// Those that differ in any way.
    pub differing: u64,
    /// The ways that occur, the gravest first.
    pub counts: Vec<Count>,
    #[serde(skip)]
    most_examples: usize,
}

impl Difference {
    /// Keeps up to so many examples of each kind.
    pub fn new(most_examples: usize) -> Self {
        Self {
            messages: 0,
            differing: 0,
            counts: Vec::new(),
            most_examples,
        }
    }

    /// Compares what two versions do to one message.
    pub fn add(&mut self, old: &Effect, new: &Effect) {
        self.messages += 1;
        let ways = ways(old, new);
        self.differing += u64::from(!ways.is_empty());
        for change in ways {
            let at = match self
                .counts
                .binary_search_by_key(&rank(change), |count| rank(count.change))
            {
                Ok(at) => at,
                Err(at) => {
                    self.counts.insert(
                        at,
                        Count {
                            change,
                            messages: 0,
                            examples: Vec::new(),
                        },
                    );
                    at
                }
            };
            let count = &mut self.counts[at];
            count.messages += 1;
            if count.examples.len() < self.most_examples {
                count.examples.push(Example {
                    mailbox: new.mailbox.clone(),
                    folder: new.from.clone(),
                    id: new.id.clone(),
                    old: told(change, old),
                    new: told(change, new),
                });
            }
        }
    }

    /// How many messages differ in this way.
    pub fn count(&self, change: Change) -> u64 {
        let found = self.counts.iter().find(|count| count.change == change);
        found.map_or(0, |count| count.messages)
    }

    /// One sentence a way, as `this change re-routes 1,204 messages`.
    pub fn sentences(&self) -> Vec<String> {
        let one = |count: &Count| format!("this change {}", count.change.sentence(count.messages));
        self.counts.iter().map(one).collect()
    }
}

fn rank(change: Change) -> usize {
    Change::ALL
        .iter()
        .position(|known| *known == change)
        .unwrap_or_default()
}

fn ways(old: &Effect, new: &Effect) -> Vec<Change> {
    match (&old.error, &new.error) {
        (None, Some(_)) => return vec![Change::NewError],
        (Some(_), None) => return vec![Change::NoLongerError],
        (Some(_), Some(_)) => return Vec::new(),
        (None, None) => {}
    }
    match (&old.skip, &new.skip) {
        (None, Some(_)) => return vec![Change::NewlySkipped],
        (Some(_), None) => return vec![Change::NoLongerSkipped],
        (Some(a), Some(b)) if a != b => return vec![Change::OtherReason],
        (Some(_), Some(_)) => return Vec::new(),
        (None, None) => {}
    }
    let head = |effect: &Effect| -> Vec<HeaderChange> { effect.headers.clone() };
    let found = [
        (Change::Rerouted, old.to != new.to || old.to_mailbox != new.to_mailbox),
        (Change::OtherCopies, set(&old.copies) != set(&new.copies)),
        (
            Change::OtherFlags,
            set(&old.flags_after) != set(&new.flags_after) || set(&old.labels_after) != set(&new.labels_after),
        ),
        (Change::OtherHeaders, head(old) != head(new)),
        (Change::OtherContent, old.content_hash != new.content_hash),
        (Change::OtherAttachments, old.detach != new.detach),
    ];
    found
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(change, _)| change)
        .collect()
}

/// The order does not count, nor upper and lower case.
fn set(names: &[String]) -> std::collections::BTreeSet<String> {
    names.iter().map(|name| name.to_lowercase()).collect()
}

/// What counts for a way, in a few words; no content of the message.
fn told(change: Change, effect: &Effect) -> String {
    match change {
        Change::NewError | Change::NoLongerError => match &effect.error {
            Some(problem) => problem.to_string(),
            None => "decides".to_owned(),
        },
        Change::NewlySkipped | Change::NoLongerSkipped | Change::OtherReason => match &effect.skip {
            Some(reason) => format!("left out: {reason}"),
            None => format!("to {}", effect.to),
        },
        Change::Rerouted => match &effect.to_mailbox {
            Some(mailbox) => format!("to {} of {mailbox}", effect.to),
            None => format!("to {}", effect.to),
        },
        Change::OtherCopies if effect.copies.is_empty() => "no copies".to_owned(),
        Change::OtherCopies => format!("copies to {}", effect.copies.join(", ")),
        Change::OtherFlags => {
            let all: Vec<&str> = effect
                .flags_after
                .iter()
                .chain(&effect.labels_after)
                .map(String::as_str)
                .collect();
            if all.is_empty() {
                "no flags".to_owned()
            } else {
                all.join(" ")
            }
        }
        Change::OtherHeaders => {
            let lines: Vec<String> = effect
                .headers
                .iter()
                .map(|line| format!("{}{}", if line.added { '+' } else { '-' }, line.name))
                .collect();
            if lines.is_empty() {
                "the head as it is".to_owned()
            } else {
                lines.join(" ")
            }
        }
        Change::OtherContent => match effect.content.as_slice() {
            [] => "its content as it is".to_owned(),
            changes => changes.join(", "),
        },
        Change::OtherAttachments => match effect.detach {
            Some(detach) => format!(
                "detaches attachments of {} bytes and more",
                crate::explain::grouped(detach.over)
            ),
            None => "detaches nothing".to_owned(),
        },
    }
}
