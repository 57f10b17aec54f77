//! A mailbox that has to wait for long gives its place to another. Why, and until when, stands in the ledger.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whimbrel_ledger::{Ledger, LedgerError, MailboxId};

use super::Class;
use crate::report::Problem;

/// Why a mailbox waits, and until when; stable JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The retry class, by its name in the table.
    pub class: String,
    /// What was wrong.
    pub text: String,
    /// When to go on, in milliseconds since 1970: a run before then would only meet the same.
    pub until_unix_ms: i64,
}

/// What makes a mailbox give its place to another.
#[derive(Debug, Clone)]
pub struct Parking {
    /// Of this kind.
    pub class: Class,
    /// As the report has it, should the run end before it is over.
    pub problem: Problem,
    /// How long.
    pub pause: Duration,
}

fn key(mailbox: MailboxId) -> String {
    format!("parked/{mailbox}")
}

/// Keeps that a mailbox is parked, or is no longer; it lasts from the next flush on.
pub fn note(ledger: &Ledger, mailbox: MailboxId, parked: Option<&Parked>) -> Result<(), LedgerError> {
    let key = key(mailbox);
    let text = parked.map_or(Ok(String::new()), serde_json::to_string);
    // Plain data always has a JSON form; should it ever not, the mailbox is parked all the same.
    let text = text.unwrap_or_default();
    if ledger.get_meta(&key)?.unwrap_or_default() != text {
        ledger.set_meta(&key, &text)?;
    }
    Ok(())
}

/// Why a mailbox was parked when it was last worked on, if it was.
pub fn noted(ledger: &Ledger, mailbox: MailboxId) -> Result<Option<Parked>, LedgerError> {
    let text = ledger.get_meta(&key(mailbox))?.unwrap_or_default();
    Ok(serde_json::from_str(&text).ok())
}
