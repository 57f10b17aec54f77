//! Commands and their answers: tags, literals, pipelining, and what the server says unasked.

use whimbrel_model::Failure;

use crate::BlobStore;

use super::errors::{Attempt, Completion, garbled};
use super::link::{Link, farewell};
use super::parse::{Data, Kind, Response, Status};

/// A piece of a command.
pub(super) enum Part<'a> {
    Text(&'a str),
    /// Text that is not UTF-8.
    Bytes(&'a [u8]),
    /// Sent as a literal (RFC 9051 section 4.3).
    Literal(&'a [u8]),
}

/// Literals that need no leave of the server (RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literals {
    /// None.
    Synchronising,
    /// LITERAL-: up to 4,096 bytes.
    Small,
    /// LITERAL+.
    Any,
}

impl Literals {
    /// Whether a literal of that size can be sent without asking.
    pub fn free(self, size: u64) -> bool {
        match self {
            Self::Synchronising => false,
            Self::Small => size <= 4096,
            Self::Any => true,
        }
    }
}

/// A command under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(u64);

/// What looks at the untagged answers to a command.
pub(super) type Handler<'h> = &'h mut (dyn FnMut(&mut Data<'_>) -> Result<(), Failure> + Send);

/// Looks at nothing.
pub(super) fn ignore(_: &mut Data<'_>) -> Result<(), Failure> {
    Ok(())
}

/// A conversation over a link.
pub(super) struct Talk {
    pub link: Link,
    pub literals: Literals,
    /// Messages in the open mailbox, as last heard.
    pub exists: u64,
    /// Counts messages that were expunged.
    pub expunged: u64,
    /// Untagged OK responses with a code, heard since the last [`Talk::forget`]: UIDVALIDITY, COPYUID…
    pub notes: Vec<Completion>,
    /// Most bytes of what the server says before it ends what it was asked, bodies apart.
    pub answer_limit: usize,
    /// Of them, heard so far.
    heard: usize,
    response: Response,
    next: u64,
    pending: Vec<Tag>,
    done: Vec<(Tag, Completion)>,
}

/// Untagged codes kept at a time; a server has no reason to send more.
const NOTES: usize = 256;

/// Two listings of all messages in the largest mailboxes there are. What is made of an answer grows with it, so that a server
/// which never ends one would take all memory.
const ANSWER_BYTES: usize = 128 << 20;

impl Talk {
    pub fn new(link: Link) -> Self {
        Self {
            link,
            literals: Literals::Synchronising,
            exists: 0,
            expunged: 0,
            notes: Vec::new(),
            answer_limit: ANSWER_BYTES,
            heard: 0,
            response: Response::default(),
            next: 1,
            pending: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Gives the link up, with no command under way.
    pub fn into_link(self) -> Link {
        self.link
    }

    /// Drops the untagged codes heard so far.
    pub fn forget(&mut self) {
        self.notes.clear();
    }

    /// The arguments of the untagged code heard last.
    pub fn note(&self, code: &str) -> Option<&str> {
        self.notes
            .iter()
            .rev()
            .find(|note| note.has_code(code))
            .map(|note| note.arguments.as_str())
    }

    /// Starts a command and queues its tag.
    pub fn begin(&mut self) -> Tag {
        let tag = Tag(self.next);
        self.next += 1;
        if self.pending.is_empty() {
            self.heard = 0;
        }
        self.link.push(format!("W{} ", tag.0).as_bytes());
        self.pending.push(tag);
        tag
    }

    /// Queues a command; it leaves with the next [`Talk::wait`], or earlier where a literal needs leave.
    ///
    /// # Errors
    /// Where the connection ends.
    pub async fn send(&mut self, parts: &[Part<'_>]) -> Result<Tag, Failure> {
        let tag = self.begin();
        for part in parts {
            match part {
                Part::Text(text) => self.link.push(text.as_bytes()),
                Part::Bytes(bytes) => self.link.push(bytes),
                Part::Literal(bytes) => {
                    if !self.announce(tag, bytes.len() as u64, false).await? {
                        return Ok(tag);
                    }
                    self.link.push(bytes);
                }
            }
        }
        self.link.push(b"\r\n");
        Ok(tag)
    }

    /// Announces a literal, and waits for leave where that is needed. False where the server ended the command.
    ///
    /// # Errors
    /// Where the connection ends.
    pub async fn announce(&mut self, tag: Tag, size: u64, binary: bool) -> Result<bool, Failure> {
        let tilde = if binary { "~" } else { "" };
        if self.literals.free(size) {
            self.link.push(format!("{tilde}{{{size}+}}\r\n").as_bytes());
            return Ok(true);
        }
        self.link.push(format!("{tilde}{{{size}}}\r\n").as_bytes());
        self.link.flush().await?;
        while !self.finished(tag) {
            if self.step(None, &mut ignore).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the server ended the command.
    pub fn finished(&self, tag: Tag) -> bool {
        self.done.iter().any(|(done, _)| *done == tag)
    }

    /// Waits for the end of a command, showing the handler all that comes before it.
    ///
    /// # Errors
    /// Where the connection ends or the handler fails. A command that the server refused is no error here.
    pub async fn wait(
        &mut self,
        tag: Tag,
        bodies: Option<&BlobStore>,
        handler: Handler<'_>,
    ) -> Result<Completion, Failure> {
        if self.link.queued() > 0 {
            self.link.flush().await?;
        }
        loop {
            if let Some(at) = self.done.iter().position(|(done, _)| *done == tag) {
                return Ok(self.done.swap_remove(at).1);
            }
            self.step(bodies, handler).await?;
        }
    }

    /// Sends a command and waits for its end.
    ///
    /// # Errors
    /// As [`Talk::wait`].
    pub async fn call(&mut self, parts: &[Part<'_>], handler: Handler<'_>) -> Result<Completion, Failure> {
        let tag = self.send(parts).await?;
        self.wait(tag, None, handler).await
    }

    /// [`Talk::call`] with a refusal as an error.
    ///
    /// # Errors
    /// As [`Talk::wait`], and what the refusal means.
    pub async fn run(
        &mut self,
        parts: &[Part<'_>],
        attempt: Attempt<'_>,
        handler: Handler<'_>,
    ) -> Result<Completion, Failure> {
        self.call(parts, handler).await?.success(attempt)
    }

    /// Reads one response. True for a continuation.
    ///
    /// # Errors
    /// As [`Talk::wait`].
    pub async fn step(&mut self, bodies: Option<&BlobStore>, handler: Handler<'_>) -> Result<bool, Failure> {
        let mut response = std::mem::take(&mut self.response);
        self.link.read(&mut response, bodies).await?;
        self.heard = self.heard.saturating_add(response.bytes.len());
        if self.heard > self.answer_limit {
            return Err(garbled("an answer without end"));
        }
        let continuation = self.look(&response, handler)?;
        self.response = response;
        Ok(continuation)
    }

    fn look(&mut self, response: &Response, handler: Handler<'_>) -> Result<bool, Failure> {
        match response.kind() {
            Some(Kind::Continuation) => return Ok(true),
            Some(Kind::Tagged { tag, completion }) => {
                let number = tag
                    .strip_prefix(b"W")
                    .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
                let at = number.and_then(|number| self.pending.iter().position(|pending| pending.0 == number));
                let at = at.ok_or_else(|| garbled("the end of a command that was not sent"))?;
                let tag = self.pending.swap_remove(at);
                self.done.push((tag, completion));
            }
            Some(Kind::Status(completion)) => match completion.status {
                Status::Bye => return Err(farewell(&completion)),
                _ if completion.code.is_some() && self.notes.len() < NOTES => self.notes.push(completion),
                _ => {}
            },
            Some(Kind::Data(mut data)) => {
                match data.number {
                    Some(number) if data.is("EXISTS") => self.exists = number,
                    Some(_) if data.is("EXPUNGE") => {
                        self.expunged += 1;
                        self.exists = self.exists.saturating_sub(1);
                    }
                    None if data.is("VANISHED") && data.rest.peek() != Some(b'(') => {
                        self.expunged += 1;
                        let count = super::sets::UidSet::parse(data.rest.remaining()).map_or(0, |set| set.count());
                        self.exists = self.exists.saturating_sub(count);
                    }
                    _ => {}
                }
                handler(&mut data)?;
            }
            None => return Err(garbled("it is no IMAP")),
        }
        Ok(false)
    }
}
