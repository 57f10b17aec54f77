//! The whole ledger as JSON lines: a header, then one line a record, then a line that says how many there were.

use std::io::{self, Write};

use serde::Serialize;

use crate::{
    CollectionId, Ledger, LedgerError, MailboxId, Result,
    keys::{Key, Kind, Parts},
    lines::{CollectionLine, EXPORT, Header, ItemLine, Line},
    store::hold,
};

impl Ledger {
    /// Writes everything that the ledger holds as JSON lines; indexes, which follow from it, left out. Equal ledgers
    /// give equal bytes (of one version). Commits wait meanwhile.
    pub fn export(&self, to: &mut dyn Write) -> Result<()> {
        let _guard = hold(&self.inner.commit);
        let mut out = Out {
            to,
            records: 0,
            ledger: self,
        };
        out.line(&Header {
            schema: EXPORT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })?;
        self.export_notes(&mut out)?;
        for (id, name) in self.mailboxes()? {
            out.record(&Line::Mailbox { id, name })?;
            self.export_mailbox(id, &mut out)?;
        }
        for event in self.events(None) {
            let event = event?;
            let (sequence, unix_ms, mailbox, kind, fields) =
                (event.sequence, event.unix_ms, event.mailbox, event.kind, event.fields);
            out.record(&Line::Event {
                sequence,
                unix_ms,
                mailbox,
                kind,
                fields,
            })?;
        }
        let records = out.records;
        out.line(&Line::End { records })?;
        out.to.flush().map_err(|source| self.unwritable(source))
    }

    fn export_notes(&self, out: &mut Out<'_>) -> Result<()> {
        let prefix = Key::new(Kind::Meta);
        for entry in self.entries(&prefix, None) {
            let (key, value) = entry?;
            let name = self.part(&key, Parts::after(&key, &prefix).and_then(|mut parts| parts.string()))?;
            out.record(&Line::Note {
                key: name.to_owned(),
                value: self.store().decode(&key, &value)?,
            })?;
        }
        Ok(())
    }

    fn export_mailbox(&self, mailbox: MailboxId, out: &mut Out<'_>) -> Result<()> {
        let prefix = Key::within(Kind::Collection, mailbox);
        for entry in self.entries(&prefix, None) {
            let (key, value) = entry?;
            let id = CollectionId(self.part(&key, Parts::after(&key, &prefix).and_then(|mut parts| parts.number()))?);
            let (data, totals) = (self.store().decode(&key, &value)?, self.collection_totals(mailbox, id)?);
            out.record(&Line::Collection(Box::new(CollectionLine::new(
                mailbox, id, data, totals,
            ))))?;
            let prefix = Key::collection(Kind::Item, mailbox, id);
            for entry in self.entries(&prefix, None) {
                let (key, value) = entry?;
                let item = self.decode_item(&key, &prefix, &value)?;
                out.record(&Line::Item(Box::new(ItemLine::new(mailbox, id, item))))?;
            }
        }
        for route in self.routes(mailbox)? {
            out.record(&Line::Route {
                mailbox,
                account: route.mailbox,
                wanted: route.wanted,
                target: route.target,
            })?;
        }
        for (id, intent) in self.intents(mailbox)? {
            let (account, target, watermark, items) = (
                intent.mailbox,
                intent.target,
                intent.watermark,
                intent.items.into_iter().map(Into::into).collect(),
            );
            out.record(&Line::Intent {
                mailbox,
                id,
                account,
                target,
                watermark,
                items,
            })?;
        }
        Ok(())
    }

    fn unwritable(&self, source: io::Error) -> LedgerError {
        LedgerError::Io {
            doing: "writing the export of the ledger in",
            path: self.store().folder().to_owned(),
            source,
        }
    }
}

struct Out<'a> {
    to: &'a mut dyn Write,
    records: u64,
    ledger: &'a Ledger,
}

impl Out<'_> {
    fn record(&mut self, line: &Line) -> Result<()> {
        self.records += 1;
        self.line(line)
    }

    fn line<T: Serialize>(&mut self, line: &T) -> Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| LedgerError::Invalid {
            operation: "export",
            problem: error.to_string(),
        })?;
        bytes.push(b'\n');
        self.to
            .write_all(&bytes)
            .map_err(|source| self.ledger.unwritable(source))
    }
}
