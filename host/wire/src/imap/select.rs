//! Opening a mailbox, and STATUS.

use whimbrel_model::Failure;

use super::Status;
use super::errors::Completion;
use super::parse::{Cursor, Value};
use super::session::{Name, Open, Session};
use super::talk::{Part, Tag, Talk};

impl Session {
    /// Opens a mailbox: EXAMINE where read-only, and nothing at the server changes; else SELECT.
    ///
    /// # Errors
    /// `NotFound` where there is none of that name; `Forbidden` where it may not be opened, or only for reading when
    /// writing was asked for.
    pub async fn open(&mut self, mailbox: &str, read_only: bool) -> Result<Status, Failure> {
        self.enter()?;
        let mut result = self.select(mailbox, read_only).await;
        if matches!(result, Err(Failure::NotFound(_))) {
            result = match self.learn_names(mailbox).await {
                Ok(true) => self.select(mailbox, read_only).await,
                Ok(false) => result,
                Err(failure) => Err(failure),
            };
        }
        self.leave(result)
    }

    async fn select(&mut self, mailbox: &str, read_only: bool) -> Result<Status, Failure> {
        let name = self.name(mailbox)?;
        self.open = None;
        self.talk.forget();
        self.talk.exists = 0;
        let command = if read_only { "EXAMINE " } else { "SELECT " };
        let condstore = !self.qresync && (self.can("CONDSTORE") || self.can("QRESYNC"));
        let tag = self
            .talk
            .send(&[
                Part::Text(command),
                name.part(),
                Part::Text(if condstore { " (CONDSTORE)" } else { "" }),
            ])
            .await?;
        let mut flags = None;
        let said = self
            .talk
            .wait(tag, None, &mut |data| {
                if data.is("FLAGS") {
                    flags = data.rest.words();
                }
                Ok(())
            })
            .await?
            .success(Name::attempt(mailbox))?;
        if !read_only && said.has_code("READ-ONLY") {
            return Err(Failure::Forbidden(format!(
                "mailbox `{mailbox}` can only be read: the server opened it read-only"
            )));
        }
        let mut status = heard(&self.talk);
        if !read_only {
            let permanent = permanent_flags(&self.talk.notes).or(flags);
            status.permanent_flags = permanent;
        }
        // Per mailbox where the capability names no number (RFC 7889 section 2).
        if status.uid_next == 0 || self.can("APPENDLIMIT") {
            let asked = self.status_of(mailbox, &name).await?;
            if let Some(asked) = asked {
                status.append_limit = asked.append_limit;
                if status.uid_next == 0 {
                    status.uid_next = asked.uid_next;
                }
            }
        }
        status.append_limit = status.append_limit.or_else(|| self.append_limit());
        self.open = Some(Open {
            name: mailbox.to_owned(),
            status: status.clone(),
            listing: None,
        });
        Ok(status)
    }

    /// The limit that holds for all mailboxes, as a capability (RFC 7889).
    pub(super) fn append_limit(&self) -> Option<u64> {
        self.capabilities
            .iter()
            .find_map(|word| word.strip_prefix("APPENDLIMIT=")?.parse().ok())
    }

    /// The STATUS items that this server knows. MAILBOXID is left to SELECT: a Cyrus was seen to answer it in LIST-STATUS
    /// with bytes that are no id, and nobody needs it of a mailbox that is not opened.
    pub(super) fn status_items(&self, sizes: bool) -> String {
        let mut items = String::from("(MESSAGES UIDNEXT UIDVALIDITY");
        let optional = [
            (self.can("CONDSTORE") || self.can("QRESYNC"), " HIGHESTMODSEQ"),
            (self.can("STATUS=SIZE") && sizes, " SIZE"),
            (self.can("APPENDLIMIT"), " APPENDLIMIT"),
        ];
        items.extend(
            optional
                .into_iter()
                .filter(|(offered, _)| *offered)
                .map(|(_, item)| item),
        );
        items.push(')');
        items
    }

    /// STATUS of one mailbox; None where the server refuses it.
    pub(super) async fn status_of(&mut self, mailbox: &str, name: &Name) -> Result<Option<Status>, Failure> {
        let tag = self.send_status(name, false).await?;
        let mut found = None;
        let said = self
            .talk
            .wait(tag, None, &mut |data| {
                if data.is("STATUS") && data.rest.astring().is_some() {
                    found = read(&mut data.rest);
                }
                Ok(())
            })
            .await?;
        match said.success(Name::attempt(mailbox)) {
            Ok(_) => Ok(found),
            Err(Failure::Unavailable(text)) => Err(Failure::Unavailable(text)),
            Err(_) => Ok(None),
        }
    }

    /// Queues a STATUS.
    pub(super) async fn send_status(&mut self, name: &Name, sizes: bool) -> Result<Tag, Failure> {
        let items = self.status_items(sizes);
        let parts = [Part::Text("STATUS "), name.part(), Part::Text(" "), Part::Text(&items)];
        self.talk.send(&parts).await
    }
}

/// What SELECT said in untagged codes.
fn heard(talk: &Talk) -> Status {
    let number = |code: &str| talk.note(code).and_then(|text| text.parse::<u64>().ok());
    let small = |code: &str| number(code).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    Status {
        messages: talk.exists,
        uid_next: small("UIDNEXT"),
        uid_validity: small("UIDVALIDITY"),
        highest_modseq: number("HIGHESTMODSEQ").filter(|modseq| *modseq > 0 && talk.note("NOMODSEQ").is_none()),
        bytes: None,
        mailbox_id: talk
            .note("MAILBOXID")
            .map(|text| text.trim_matches(['(', ')']).to_owned()),
        append_limit: None,
        permanent_flags: None,
    }
}

fn permanent_flags(notes: &[Completion]) -> Option<Vec<String>> {
    let text = &notes
        .iter()
        .rev()
        .find(|note| note.has_code("PERMANENTFLAGS"))?
        .arguments;
    Cursor::over(text.as_bytes()).words()
}

/// The parenthesised part of a STATUS response; items that nobody asked for are passed over.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Status> {
    cursor.spaces();
    if !cursor.eat(b'(') {
        return None;
    }
    let mut status = Status::default();
    loop {
        cursor.spaces();
        if cursor.eat(b')') {
            return Some(status);
        }
        let item = cursor.item_name()?.to_ascii_uppercase();
        let value = cursor.value()?;
        let text = match &value {
            Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Value::List(list) => String::from_utf8_lossy(list).trim_matches(['(', ')']).to_owned(),
            Value::Nil | Value::Body(_) => continue,
        };
        let number = text.parse::<u64>().ok();
        let small = number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        match item.as_slice() {
            b"MESSAGES" => status.messages = number.unwrap_or(0),
            b"UIDNEXT" => status.uid_next = small,
            b"UIDVALIDITY" => status.uid_validity = small,
            b"HIGHESTMODSEQ" => status.highest_modseq = number.filter(|modseq| *modseq > 0),
            b"SIZE" => status.bytes = number,
            b"MAILBOXID" => status.mailbox_id = Some(text),
            b"APPENDLIMIT" => status.append_limit = number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_items_are_read_and_strange_ones_passed_over() {
        let mut cursor = Cursor::over(
            b"(MESSAGES 3 X-NEW (a (b)) UIDNEXT 9 MAILBOXID (F2) APPENDLIMIT NIL HIGHESTMODSEQ 0 SIZE 77 UIDVALIDITY 5 )\r\n",
        );
        let status = read(&mut cursor).unwrap();
        let expected = Status {
            messages: 3,
            uid_next: 9,
            uid_validity: 5,
            bytes: Some(77),
            mailbox_id: Some("F2".to_owned()),
            ..Status::default()
        };
        assert_eq!(status, expected);
        assert_eq!(read(&mut Cursor::over(b"(MESSAGES")), None);
    }
}
