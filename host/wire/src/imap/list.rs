//! The mailboxes of the personal namespace.

use std::collections::HashMap;

use whimbrel_model::Failure;

use super::change::WINDOW;
use super::errors::{Attempt, Completion, unreadable};
use super::link::{LISTING_BYTES, RESPONSE_BYTES};
use super::names::{quotable, quote};
use super::parse::{Data, Value};
use super::session::{Name, Session};
use super::talk::Part;
use super::{Mailbox, Status, select};

/// Attributes of one mailbox that are kept: by far more than there are.
const ATTRIBUTES: usize = 64;
/// Mailboxes of one account, at most; the contract's bound.
const MAILBOXES: usize = 100_000;
/// A line of a listing.
struct Line {
    raw: Vec<u8>,
    delimiter: Option<u8>,
    attributes: Vec<String>,
}

/// Lines in the order in which they came, each name once.
#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    places: HashMap<Vec<u8>, usize>,
    statuses: HashMap<Vec<u8>, Status>,
}

impl Session {
    /// Every mailbox of the personal namespace, parents before children, INBOX first.
    ///
    /// # Errors
    /// `Rejected` or `Forbidden` where the server lists none.
    pub async fn mailboxes(&mut self, with_status: bool) -> Result<Vec<Mailbox>, Failure> {
        self.enter()?;
        let result = self.list(with_status).await;
        self.leave(result)
    }

    pub(super) async fn list(&mut self, with_status: bool) -> Result<Vec<Mailbox>, Failure> {
        self.talk.link.limit = LISTING_BYTES;
        let mut lines = Lines::default();
        let extended = self.can("LIST-EXTENDED");
        let counted = extended && with_status && self.can("LIST-STATUS");
        let command = if extended {
            let mut command = String::from("LIST \"\" \"*\" RETURN (SUBSCRIBED CHILDREN");
            if self.can("SPECIAL-USE") {
                command.push_str(" SPECIAL-USE");
            }
            if counted {
                command.push_str(" STATUS ");
                command.push_str(&self.status_items(true));
            }
            command.push(')');
            command
        } else {
            "LIST \"\" \"*\"".to_owned()
        };
        let listing = self.talk.send(&[Part::Text(&command)]).await?;
        let subscribed = match extended {
            true => None,
            false => Some(self.talk.send(&[Part::Text("LSUB \"\" \"*\"")]).await?),
        };
        self.talk
            .wait(listing, None, &mut |data| lines.take(data))
            .await?
            .success(Attempt::Command("LIST"))?;
        if let Some(tag) = subscribed {
            // Names that only LSUB gives are subscriptions to what is gone. A server without LSUB is no trouble.
            self.talk.wait(tag, None, &mut |data| lines.subscribe(data)).await?;
        }
        self.talk.link.limit = RESPONSE_BYTES;
        lines.lines.retain(|line| self.is_personal(&line.raw));
        if with_status && !counted {
            self.ask_statuses(&mut lines).await?;
        }
        Ok(self.finish(lines))
    }

    /// Whether the name lies in the personal namespace: the longest prefix that fits decides.
    fn is_personal(&self, raw: &[u8]) -> bool {
        if raw.eq_ignore_ascii_case(b"INBOX") {
            return true;
        }
        let longest = |prefixes: &mut dyn Iterator<Item = &Vec<u8>>| {
            prefixes.filter(|prefix| raw.starts_with(prefix)).map(Vec::len).max()
        };
        let foreign = longest(&mut self.namespaces.foreign.iter());
        let personal = match self.namespaces.personal.is_empty() {
            true => Some(0),
            false => longest(&mut self.namespaces.personal.iter().map(|(prefix, _)| prefix)),
        };
        // The name of a foreign namespace itself, without its last delimiter, is none of ours either.
        let is_foreign_root = self
            .namespaces
            .foreign
            .iter()
            .any(|prefix| prefix.len() == raw.len() + 1 && prefix.starts_with(raw));
        personal.is_some_and(|personal| foreign.is_none_or(|foreign| personal > foreign)) && !is_foreign_root
    }

    /// STATUS one by one, pipelined; what the server refuses stays without.
    async fn ask_statuses(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        let names: Vec<Name> = lines
            .lines
            .iter()
            .filter(|line| line.selectable())
            .map(|line| match quotable(&line.raw, self.encoding) {
                true => Name::Quoted(quote(&line.raw)),
                false => Name::Literal(line.raw.clone()),
            })
            .collect();
        for window in names.chunks(WINDOW) {
            self.ask_window(window, true, lines).await?;
        }
        Ok(())
    }

    /// STATUS of these, under way together; how each ended.
    async fn ask_window(&mut self, names: &[Name], sizes: bool, lines: &mut Lines) -> Result<Vec<Completion>, Failure> {
        let mut tags = Vec::with_capacity(names.len());
        for name in names {
            tags.push(self.send_status(name, sizes).await?);
        }
        let mut said = Vec::with_capacity(names.len());
        for tag in tags {
            said.push(self.talk.wait(tag, None, &mut |data| lines.take(data)).await?);
        }
        Ok(said)
    }

    /// STATUS of mailboxes (RFC 9051 section 6.3.11), pipelined; one answer for each. Nothing is opened.
    ///
    /// # Errors
    /// Of one: `NotFound`, `Forbidden`; `Unsupported` where the server says nothing of it. As a whole where a name
    /// cannot be written or the connection ends.
    pub async fn statuses(&mut self, mailboxes: &[String]) -> Result<Vec<Result<Status, Failure>>, Failure> {
        self.enter()?;
        let result = self.statuses_of(mailboxes).await;
        self.leave(result)
    }

    async fn statuses_of(&mut self, mailboxes: &[String]) -> Result<Vec<Result<Status, Failure>>, Failure> {
        let mut answers = Vec::with_capacity(mailboxes.len());
        for window in mailboxes.chunks(WINDOW) {
            let names: Vec<Name> = window.iter().map(|name| self.name(name)).collect::<Result<_, _>>()?;
            let mut lines = Lines::default();
            let said = self.ask_window(&names, false, &mut lines).await?;
            for (mailbox, said) in window.iter().zip(said) {
                let status = lines.statuses.remove(&key(&self.names.raw(mailbox)));
                let silent = || Failure::Unsupported(format!("the server tells no status of mailbox `{mailbox}`"));
                answers.push(
                    said.success(Name::attempt(mailbox))
                        .and_then(|_| status.ok_or_else(silent)),
                );
            }
        }
        Ok(answers)
    }

    fn finish(&mut self, mut lines: Lines) -> Vec<Mailbox> {
        let raws: Vec<Vec<u8>> = lines.lines.iter().map(|line| line.raw.clone()).collect();
        let names = self.names.learn(&raws);
        self.listed = true;
        // By segments, so that parents come before children whatever the delimiter sorts like.
        lines.lines.sort_by_cached_key(|line| {
            let inbox = line.raw.eq_ignore_ascii_case(b"INBOX");
            let segments: Vec<Vec<u8>> = match line.delimiter {
                Some(delimiter) => line.raw.split(|byte| *byte == delimiter).map(<[u8]>::to_vec).collect(),
                None => vec![line.raw.clone()],
            };
            (!inbox, segments)
        });
        let mut statuses = lines.statuses;
        lines
            .lines
            .into_iter()
            .map(|line| Mailbox {
                // One name for it, whatever the server's spelling of the day.
                name: match line.raw.eq_ignore_ascii_case(b"INBOX") {
                    true => "INBOX".to_owned(),
                    false => names.get(&line.raw).cloned().unwrap_or_default(),
                },
                delimiter: line.delimiter.map(|byte| char::from(byte).to_string()),
                status: match line.selectable() {
                    true => statuses.remove(&key(&line.raw)),
                    false => None,
                },
                attributes: line.attributes,
            })
            .collect()
    }
}

/// INBOX is one mailbox in every spelling (RFC 9051 section 5.1).
fn key(raw: &[u8]) -> Vec<u8> {
    match raw.eq_ignore_ascii_case(b"INBOX") {
        true => b"INBOX".to_vec(),
        false => raw.to_vec(),
    }
}

impl Line {
    fn has(&self, attribute: &str) -> bool {
        self.attributes
            .iter()
            .any(|known| known.eq_ignore_ascii_case(attribute))
    }

    fn add(&mut self, attribute: &str) {
        if self.attributes.len() < ATTRIBUTES && !self.has(attribute) {
            self.attributes.push(attribute.to_owned());
        }
    }

    fn selectable(&self) -> bool {
        !self.has("\\Noselect")
    }

    /// A LIST or LSUB response (RFC 9051 section 7.3.1).
    fn read(data: &mut Data<'_>) -> Option<Self> {
        let mut attributes = data.rest.words()?;
        attributes.truncate(ATTRIBUTES);
        let delimiter = match data.rest.value()? {
            Value::Nil => None,
            Value::Text(text) => text.first().copied(),
            Value::List(_) | Value::Body(_) => return None,
        };
        let raw = data.rest.astring()?.into_owned();
        let mut line = Self {
            raw,
            delimiter,
            attributes,
        };
        if line.has("\\NonExistent") {
            // RFC 5258 section 3: it implies the other.
            line.add("\\Noselect");
        }
        Some(line)
    }
}

/// Reads a response that may be a listing, for `fuzzing`.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn read_list(data: &mut Data<'_>) {
    let _ = Lines::default().take(data);
}

impl Lines {
    /// Takes a LIST or STATUS response.
    fn take(&mut self, data: &mut Data<'_>) -> Result<(), Failure> {
        if data.is("LIST") {
            let line = Line::read(data).ok_or_else(|| unreadable("LIST", &data.rest))?;
            if line.raw.is_empty() || line.raw.contains(&0) {
                return Ok(());
            }
            if let Some(&place) = self.places.get(&key(&line.raw)) {
                // Some list a name twice: what both say counts.
                for attribute in &line.attributes {
                    self.lines[place].add(attribute);
                }
                return Ok(());
            }
            if self.lines.len() >= MAILBOXES {
                return Err(Failure::Rejected(format!(
                    "the account has more than {MAILBOXES} mailboxes"
                )));
            }
            self.places.insert(key(&line.raw), self.lines.len());
            self.lines.push(line);
        } else if data.is("STATUS") {
            let read = data.rest.astring().zip(select::read(&mut data.rest));
            let (name, status) = read.ok_or_else(|| unreadable("STATUS", &data.rest))?;
            let name = key(&name);
            if self.statuses.len() < MAILBOXES {
                self.statuses.insert(name, status);
            }
        }
        Ok(())
    }

    /// Takes an LSUB response.
    fn subscribe(&mut self, data: &mut Data<'_>) -> Result<(), Failure> {
        if data.is("LSUB")
            && let Some(line) = Line::read(data)
            && let Some(&place) = self.places.get(&key(&line.raw))
            // With \Noselect, LSUB means that only children are subscribed (RFC 3501 section 6.3.9).
            && !line.has("\\Noselect")
        {
            self.lines[place].add("\\Subscribed");
        }
        Ok(())
    }
}
