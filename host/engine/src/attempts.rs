//! What was sent to take the place of an item, where nobody may know whether it arrived: a connection can break, and a run be
//! killed, behind it. Kept in the ledger, so that the next try knows its own from what somebody else wrote.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use whimbrel_ledger::{CollectionId, Ledger, LedgerError, MailboxId};
use whimbrel_model::Hash;

/// Those of a mailbox that are open: by item, the transport hashes of all that was sent for it.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Option<Open>>);

type Open = BTreeMap<String, Vec<String>>;

fn key(mailbox: MailboxId) -> String {
    format!("replacing/{mailbox}")
}

fn of(collection: CollectionId, id: &str) -> String {
    format!("{collection}/{id}")
}

impl Attempts {
    /// What was sent for an item and is open.
    pub fn of(
        &self,
        ledger: &Ledger,
        mailbox: MailboxId,
        collection: CollectionId,
        id: &str,
    ) -> Result<Vec<String>, LedgerError> {
        let mut guard = self.hold();
        let open = read(&mut guard, ledger, mailbox)?;
        Ok(open.get(&of(collection, id)).cloned().unwrap_or_default())
    }

    /// Notes what is about to be sent. It lasts after the next flush, which must come before anything is sent.
    pub fn begin<'a>(
        &self,
        ledger: &Ledger,
        mailbox: MailboxId,
        items: impl IntoIterator<Item = (CollectionId, &'a str, Hash)>,
    ) -> Result<(), LedgerError> {
        let mut guard = self.hold();
        let open = read(&mut guard, ledger, mailbox)?;
        for (collection, id, hash) in items {
            let (sent, hash) = (open.entry(of(collection, id)).or_default(), hash.to_string());
            if !sent.contains(&hash) {
                sent.push(hash);
            }
        }
        write(open, ledger, mailbox)
    }

    /// Forgets what was answered.
    pub fn end<'a>(
        &self,
        ledger: &Ledger,
        mailbox: MailboxId,
        items: impl IntoIterator<Item = (CollectionId, &'a str)>,
    ) -> Result<(), LedgerError> {
        let mut guard = self.hold();
        let open = read(&mut guard, ledger, mailbox)?;
        for (collection, id) in items {
            open.remove(&of(collection, id));
        }
        write(open, ledger, mailbox)
    }

    fn hold(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read<'g>(guard: &'g mut Option<Open>, ledger: &Ledger, mailbox: MailboxId) -> Result<&'g mut Open, LedgerError> {
    let known = match guard.take() {
        Some(open) => open,
        None => {
            let text = ledger.get_meta(&key(mailbox))?.unwrap_or_default();
            serde_json::from_str(&text).unwrap_or_default()
        }
    };
    Ok(guard.insert(known))
}

fn write(open: &Open, ledger: &Ledger, mailbox: MailboxId) -> Result<(), LedgerError> {
    ledger.set_meta(&key(mailbox), &serde_json::to_string(open).unwrap_or_default())
}
