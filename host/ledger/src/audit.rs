//! Proving that what is derived agrees with what it is derived from.

use std::collections::HashMap;

use crate::{
    CollectionId, Ledger, MailboxId, Result, Totals,
    keys::{Key, Kind},
    store::hold,
};

/// The most differences that are told.
const ENOUGH: usize = 100;

impl Ledger {
    /// Recomputes every counter and index entry from the items and tells each difference as a sentence; empty when all
    /// is well. Reads the whole ledger, while commits wait.
    pub fn audit(&self) -> Result<Vec<String>> {
        let _guard = hold(&self.inner.commit);
        let mut differences = Vec::new();
        let mut expected: HashMap<u8, u64> = HashMap::new();
        for (mailbox, name) in self.mailboxes()? {
            if self.find_mailbox(&name)? != Some(mailbox) {
                differences.push(format!("mailbox {mailbox} cannot be found by its name"));
            }
            for collection in self.collections(mailbox)? {
                let totals = self.audit_items(mailbox, collection.id, &mut expected, &mut differences)?;
                if totals != collection.totals || !totals.balanced() {
                    let id = collection.id;
                    differences.push(format!(
                        "mailbox {mailbox}, collection {id}: the counters are {:?}, the items give {totals:?}",
                        collection.totals
                    ));
                }
                if self
                    .store()
                    .load(&Key::collection_source(mailbox, &collection.source.id))?
                    != Some(collection.id)
                {
                    differences.push(format!(
                        "mailbox {mailbox}, collection {}: it cannot be found by its source id",
                        collection.id
                    ));
                }
            }
        }
        // Every entry that should be there is, so any other number means that some are there which should not.
        for kind in Kind::INDEXES {
            let mut found = 0u64;
            for entry in self.entries(&Key::new(kind), None) {
                entry?;
                found += 1;
            }
            let expected = expected.get(&(kind as u8)).copied().unwrap_or_default();
            if found != expected {
                differences.push(format!("{found} of {}, {expected} were expected", kind.name()));
            }
        }
        differences.truncate(ENOUGH);
        Ok(differences)
    }

    fn audit_items(
        &self,
        mailbox: MailboxId,
        collection: CollectionId,
        expected: &mut HashMap<u8, u64>,
        differences: &mut Vec<String>,
    ) -> Result<Totals> {
        let prefix = Key::collection(Kind::Item, mailbox, collection);
        let mut totals = Totals::default();
        for entry in self.entries(&prefix, None) {
            let (key, value) = entry?;
            let item = self.decode_item(&key, &prefix, &value)?;
            totals = totals + item.contribution();
            for (key, value) in item.index(mailbox, collection) {
                if let Some(kind) = key.bytes().first() {
                    *expected.entry(*kind).or_default() += 1;
                }
                if self.store().get(&key)?.as_deref() != Some(value) && differences.len() < ENOUGH {
                    differences.push(format!("{key:?} is missing or wrong"));
                }
            }
        }
        Ok(totals)
    }
}
