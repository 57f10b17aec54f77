//! Deciding before fetching: a message that a rule leaves out for its size or folder is never read.

use std::sync::Arc;

use whimbrel_ledger::ItemRecord;
use whimbrel_model::{Collection, ItemMeta};
use whimbrel_rules::{Decision, FolderFacts, MailboxFacts, MessageFacts, Rules};

use crate::context::Context;

use super::facts;

/// After so many messages in a row that the script wanted to look into, only large ones are tried.
const ENOUGH: u32 = 16;
/// What makes the try worth it then, in bytes.
const LARGE: u64 = 256 << 10;

/// What can be said of a message before it is fetched.
pub enum Foreseen {
    /// It stays behind, for this reason.
    LeftOut(String),
    /// It moves.
    Decided,
    /// The rules have to see it.
    Unseen,
}

/// Asks the rules what they decide from the listing alone.
pub struct Foresight {
    rules: Option<Arc<Rules>>,
    folder: Arc<FolderFacts>,
    in_vain: u32,
}

impl Foresight {
    /// For the messages of a folder.
    pub fn new(context: &Context, collection: &Collection) -> Self {
        let book = context.options.rules.as_ref();
        Self::over(book.map(|book| &book.rules), &context.facts, collection)
    }

    /// The same with these rules.
    pub fn over(rules: Option<&Arc<Rules>>, mailbox: &Arc<MailboxFacts>, collection: &Collection) -> Self {
        Self {
            rules: rules.filter(|rules| rules.decides_on(collection.kind)).cloned(),
            folder: facts(mailbox, collection),
            in_vain: 0,
        }
    }

    /// What can be said of a message before it is fetched.
    pub fn foresee(&mut self, meta: &ItemMeta) -> Foreseen {
        if self.rules.is_none() {
            return Foreseen::Decided;
        }
        match self.ask(meta) {
            Some(Decision { skip: Some(reason), .. }) => Foreseen::LeftOut(reason),
            Some(_) => Foreseen::Decided,
            None => Foreseen::Unseen,
        }
    }

    /// What the rules decide; none where they have to see the message, or fail: then they are asked again with it.
    pub fn decide(&mut self, record: &ItemRecord) -> Option<Decision> {
        self.ask(&record.meta)
    }

    fn ask(&mut self, meta: &ItemMeta) -> Option<Decision> {
        let rules = self.rules.as_ref()?;
        if self.in_vain >= ENOUGH && meta.size.is_none_or(|size| size < LARGE) {
            return None;
        }
        let facts = MessageFacts {
            folder: self.folder.clone(),
            meta: Arc::new(meta.clone()),
        };
        let decision = rules.item_by_facts(&facts).ok().flatten();
        self.in_vain = if decision.is_some() {
            0
        } else {
            self.in_vain.saturating_add(1)
        };
        decision
    }
}
