//! The audit trail: what was done, line by line, never changed afterwards.

use crate::{
    Event, Ledger, MailboxId, Result,
    batch::now,
    keys::{Key, Kind, Parts},
    record::StoredEvent,
    store::hold,
    tree::Changes,
};

impl Ledger {
    /// The audit trail, oldest first; what comes after the event of this sequence number, if one is given.
    pub fn events(&self, after: Option<u64>) -> impl Iterator<Item = Result<Event>> + Send + use<> {
        let (ledger, prefix) = (self.clone(), Key::new(Kind::Event));
        self.entries(&prefix, after.map(Key::event).as_ref()).map(move |entry| {
            let (key, value) = entry?;
            let sequence = ledger.part(&key, Parts::after(&key, &prefix).and_then(|mut parts| parts.long()))?;
            let StoredEvent {
                unix_ms,
                mailbox,
                kind,
                fields,
            } = ledger.store().decode(&key, &value)?;
            let fields =
                serde_json::from_str(&fields).map_err(|error| ledger.store().corrupt(&key, &error.to_string()))?;
            Ok(Event {
                sequence,
                unix_ms,
                mailbox,
                kind,
                fields,
            })
        })
    }

    #[allow(clippy::needless_pass_by_value)] // As in a batch, so that callers write `json!(…)` in both.
    /// Appends to the audit trail, with the time of now; lasts after the next flush. Never a subject, an address or
    /// content. Gives its sequence number. What belongs to a batch goes into it: [`Batch::event`](crate::Batch::event).
    pub fn event(&self, mailbox: Option<MailboxId>, kind: &str, fields: serde_json::Value) -> Result<u64> {
        let mut next_event = hold(&self.inner.commit);
        let mailbox = mailbox.map(|mailbox| self.mailbox_name(mailbox, "event")).transpose()?;
        let event = StoredEvent {
            unix_ms: now(),
            mailbox,
            kind: kind.to_owned(),
            fields: canonical(&fields),
        };
        let sequence = *next_event;
        let mut batch = Changes::default();
        batch.insert(Key::event(sequence), self.encoded("event", &event)?);
        self.store().apply(&batch)?;
        *next_event = sequence.saturating_add(1);
        Ok(sequence)
    }
}

/// The fields as text that stays what it is when it is read and written again: the last digit of a number with a
/// fraction may need some rounds.
pub(crate) fn canonical(fields: &serde_json::Value) -> String {
    let mut text = fields.to_string();
    for _ in 0..64 {
        let Ok(again) = serde_json::from_str::<serde_json::Value>(&text) else {
            break;
        };
        let again = again.to_string();
        if again == text {
            break;
        }
        text = again;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stay_what_they_are_when_they_are_read_and_written_again() {
        for number in [0.1, 1e300, -6.206341114945162e-44, 5e-324, f64::MAX] {
            let text = canonical(&serde_json::json!({ "z": number }));
            let again: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(again.to_string(), text);
        }
    }
}
