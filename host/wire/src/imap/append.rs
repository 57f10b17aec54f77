//! Storing messages: streamed from blobs, in batches where the server takes them (MULTIAPPEND, RFC 3502), pipelined
//! where it need not be asked for each literal (LITERAL+, RFC 7888), one after the other where neither.

use std::collections::VecDeque;
use std::ops::Range;

use whimbrel_model::Failure;

use crate::Blob;

use super::Outgoing;
use super::errors::{Attempt, Completion};
use super::parse::Status;
use super::session::{Name, Session};
use super::sets::expand;
use super::talk::{Part, Tag, ignore};
use super::{dates, flags};

/// Of one MULTIAPPEND: what is refused is sent again in halves, so a batch is not to be too large.
const BATCH_MESSAGES: usize = 500;
const BATCH_BYTES: u64 = 32 << 20;
/// Single APPENDs under way at a time.
const WINDOW_MESSAGES: usize = 64;
const WINDOW_BYTES: u64 = 8 << 20;

/// One answer a message.
type Answer = Result<Option<u32>, Failure>;

/// A message ready to be sent.
struct Prepared {
    /// Its place among the messages that were given.
    place: usize,
    /// ` (\Seen) "17-Jul-1996 02:44:25 -0700" `
    head: String,
    content: Blob,
    /// To be sent as literal8 (RFC 3516), because it holds NUL.
    binary: bool,
}

/// What a refusal means for the messages that follow.
enum Verdict {
    /// Nothing: it is about this message, or about one of the batch.
    Message(Failure),
    /// The rest would fare the same.
    All(Failure),
}

fn judge(failure: Failure, alone: bool) -> Verdict {
    match failure {
        Failure::NotFound(_)
        | Failure::Forbidden(_)
        | Failure::Throttled { .. }
        | Failure::Unavailable(_)
        | Failure::Unauthenticated(_) => Verdict::All(failure),
        // Part of a batch may fit yet; one message that does not ends it.
        Failure::OverQuota(_) if alone => Verdict::All(failure),
        other => Verdict::Message(other),
    }
}

impl Session {
    /// Stores messages. One answer for each, in order, with the new UID where the server tells it; they arrive in
    /// order. When the call as a whole fails, an unknown part was stored.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Throttled` and `Unavailable` where nothing was stored because of it, and wherever the
    /// connection ends. Of a message: `TooLarge`, `Rejected`, `OverQuota`, and those above once others were stored.
    pub async fn append(&mut self, mailbox: &str, messages: &[Outgoing]) -> Result<Vec<Answer>, Failure> {
        self.enter()?;
        let mut result = self.append_all(mailbox, messages).await;
        if matches!(result, Err(Failure::NotFound(_))) {
            result = match self.learn_names(mailbox).await {
                Ok(true) => self.append_all(mailbox, messages).await,
                Ok(false) => result,
                Err(failure) => Err(failure),
            };
        }
        self.leave(result)
    }

    async fn append_all(&mut self, mailbox: &str, messages: &[Outgoing]) -> Result<Vec<Answer>, Failure> {
        let name = self.name(mailbox)?;
        let limit = self.limit_of(mailbox, &name).await?;
        let mut answers: Vec<Option<Answer>> = messages.iter().map(|_| None).collect();
        let mut ready = Vec::with_capacity(messages.len());
        for (place, message) in messages.iter().enumerate() {
            match self.prepare_one(place, message, limit).await {
                Ok(prepared) => ready.push(prepared),
                Err(failure @ Failure::Internal(_)) => return Err(failure),
                Err(failure) => answers[place] = Some(Err(failure)),
            }
        }
        let ended = if self.can("MULTIAPPEND") {
            self.append_batches(mailbox, &name, &ready, &mut answers).await?
        } else {
            self.append_singly(mailbox, &name, &ready, &mut answers).await?
        };
        if let Some(failure) = ended {
            if !answers.iter().flatten().any(Result::is_ok) && !matches!(failure, Failure::OverQuota(_)) {
                return Err(failure);
            }
            for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
                *answer = Some(Err(failure.clone()));
            }
        }
        answers
            .into_iter()
            .map(|answer| match answer {
                Some(Err(Failure::TooLarge(None))) => Ok(Err(Failure::TooLarge(limit))),
                Some(answer) => Ok(answer),
                None => Err(Failure::Internal("a message was left without an answer".to_owned())),
            })
            .collect()
    }

    /// The size limit of the mailbox, asked for once.
    async fn limit_of(&mut self, mailbox: &str, name: &Name) -> Result<Option<u64>, Failure> {
        if !self.can("APPENDLIMIT") {
            return Ok(self.append_limit());
        }
        if let Some(limit) = self.limits.get(mailbox) {
            return Ok(*limit);
        }
        let limit = self
            .status_of(mailbox, name)
            .await?
            .and_then(|status| status.append_limit);
        if self.limits.len() >= 10_000 {
            self.limits.clear();
        }
        self.limits.insert(mailbox.to_owned(), limit);
        Ok(limit)
    }

    async fn prepare_one(&self, place: usize, message: &Outgoing, limit: Option<u64>) -> Result<Prepared, Failure> {
        let size = message.content.size();
        if limit.is_some_and(|limit| size > limit) {
            return Err(Failure::TooLarge(limit));
        }
        if size > u64::from(u32::MAX) {
            // RFC 9051 `number`; `number64` is for servers that say so, and none does.
            return Err(Failure::TooLarge(Some(u64::from(u32::MAX))));
        }
        let mut head = format!(" {}", flags::format(&message.flags)?);
        if let Some(date) = message.received.and_then(dates::format) {
            head.push_str(&format!(" \"{date}\""));
        }
        head.push(' ');
        let binary = self.can("BINARY") && {
            let print = message.content.fingerprint().await;
            print
                .map_err(|error| Failure::Internal(format!("a body cannot be read: {error}")))?
                .nuls
                > 0
        };
        Ok(Prepared {
            place,
            head,
            content: message.content.clone(),
            binary,
        })
    }

    /// In batches; what is refused is tried again in halves, down to the culprit.
    async fn append_batches(
        &mut self,
        mailbox: &str,
        name: &Name,
        ready: &[Prepared],
        answers: &mut [Option<Answer>],
    ) -> Result<Option<Failure>, Failure> {
        let mut queue: VecDeque<Range<usize>> = batches(ready).into();
        while let Some(range) = queue.pop_front() {
            let Some(batch) = ready.get(range.clone()) else {
                continue;
            };
            let tag = self.send_batch(name, batch).await?;
            let said = self.talk.wait(tag, None, &mut ignore).await?;
            if said.status == Status::Ok {
                settle(&said, batch, answers);
                continue;
            }
            match judge(said.failure(Attempt::Append(mailbox)), batch.len() == 1) {
                Verdict::All(failure) => {
                    if let ([only], Failure::OverQuota(_)) = (batch, &failure) {
                        answers[only.place] = Some(Err(failure.clone()));
                    }
                    return Ok(Some(failure));
                }
                Verdict::Message(failure) => match batch {
                    [only] => answers[only.place] = Some(Err(failure)),
                    _ => {
                        let middle = range.start + range.len() / 2;
                        queue.push_front(middle..range.end);
                        queue.push_front(range.start..middle);
                    }
                },
            }
        }
        Ok(None)
    }

    /// One command a message, several under way where literals need no leave.
    async fn append_singly(
        &mut self,
        mailbox: &str,
        name: &Name,
        ready: &[Prepared],
        answers: &mut [Option<Answer>],
    ) -> Result<Option<Failure>, Failure> {
        let mut under_way: VecDeque<(Tag, &Prepared)> = VecDeque::new();
        let mut bytes = 0u64;
        let mut ended = None;
        let mut rest = ready.iter();
        loop {
            let full = under_way.len() >= WINDOW_MESSAGES || bytes >= WINDOW_BYTES;
            let next = if full || ended.is_some() { None } else { rest.next() };
            if let Some(prepared) = next {
                let tag = self.send_batch(name, std::slice::from_ref(prepared)).await?;
                bytes += prepared.content.size();
                under_way.push_back((tag, prepared));
                // Where leave is asked for, a refusal is known before the next is sent.
                if self.talk.literals.free(prepared.content.size()) && !self.talk.finished(tag) {
                    continue;
                }
            }
            let Some((tag, prepared)) = under_way.pop_front() else {
                return Ok(ended);
            };
            bytes -= prepared.content.size();
            let said = self.talk.wait(tag, None, &mut ignore).await?;
            if said.status == Status::Ok {
                settle(&said, std::slice::from_ref(prepared), answers);
                continue;
            }
            match judge(said.failure(Attempt::Append(mailbox)), true) {
                Verdict::Message(failure) => answers[prepared.place] = Some(Err(failure)),
                Verdict::All(failure) => {
                    if ended.is_none() {
                        ended = Some(failure);
                    }
                }
            }
        }
    }

    /// Sends APPEND with one message or several; the end of it may stay queued.
    async fn send_batch(&mut self, name: &Name, batch: &[Prepared]) -> Result<Tag, Failure> {
        let tag = self.talk.begin();
        self.talk.link.push(b"APPEND ");
        match name.part() {
            Part::Literal(raw) => {
                if !self.talk.announce(tag, raw.len() as u64, false).await? {
                    return Ok(tag);
                }
                self.talk.link.push(raw);
            }
            Part::Bytes(bytes) => self.talk.link.push(bytes),
            Part::Text(text) => self.talk.link.push(text.as_bytes()),
        }
        for message in batch {
            self.talk.link.push(message.head.as_bytes());
            if !self.talk.announce(tag, message.content.size(), message.binary).await? {
                return Ok(tag);
            }
            self.talk.link.send_blob(&message.content).await?;
        }
        self.talk.link.push(b"\r\n");
        Ok(tag)
    }
}

/// Cuts the messages into batches. An empty message stands alone: within a batch it would mean to give up
/// (RFC 3502 section 4).
fn batches(ready: &[Prepared]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0u64;
    let mut alone = true;
    for (at, message) in ready.iter().enumerate() {
        let size = message.content.size();
        match out.last_mut() {
            Some(batch) if !alone && size > 0 && batch.len() < BATCH_MESSAGES && bytes + size <= BATCH_BYTES => {
                batch.end = at + 1;
                bytes += size;
            }
            _ => {
                out.push(at..at + 1);
                bytes = size;
            }
        }
        alone = size == 0;
    }
    out
}

/// Takes the new UIDs out of APPENDUID (RFC 4315 section 3), if they are as many as the messages.
fn settle(said: &Completion, batch: &[Prepared], answers: &mut [Option<Answer>]) {
    let set = said
        .arguments
        .split_ascii_whitespace()
        .nth(1)
        .filter(|_| said.has_code("APPENDUID"));
    let uids = set
        .and_then(|set| expand(set, batch.len()))
        .filter(|uids| uids.len() == batch.len());
    for (at, message) in batch.iter().enumerate() {
        let uid = uids.as_ref().and_then(|uids| uids.get(at).copied());
        answers[message.place] = Some(Ok(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(sizes: &[usize]) -> Vec<Prepared> {
        let one = |(place, size): (usize, &usize)| Prepared {
            place,
            head: String::new(),
            content: Blob::from_bytes(vec![b'x'; *size]),
            binary: false,
        };
        sizes.iter().enumerate().map(one).collect()
    }

    #[test]
    fn batches_are_bounded_and_empty_messages_stand_alone() {
        assert_eq!(batches(&prepared(&[1, 2, 0, 3, 4, 0])), [0..2, 2..3, 3..5, 5..6]);
        assert_eq!(
            batches(&prepared(&[20 << 20, 12 << 20, 1, 40 << 20, 1])),
            [0..2, 2..3, 3..4, 4..5]
        );
        assert_eq!(batches(&prepared(&[1; 501])), [0..500, 500..501]);
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn uids_are_taken_where_they_match() {
        let told = |arguments: &str| {
            let said = Completion {
                status: Status::Ok,
                code: Some("APPENDUID".to_owned()),
                arguments: arguments.to_owned(),
                text: String::new(),
            };
            let mut answers = vec![None, None, None];
            settle(&said, &prepared(&[1, 1, 1]), &mut answers);
            answers
                .into_iter()
                .map(|answer| answer.unwrap().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(told("7 12,14:15"), [Some(12), Some(14), Some(15)]);
        assert_eq!(told("7 12:13"), [None, None, None]);
        assert_eq!(told("7"), [None, None, None]);
        assert_eq!(told("7 1:4000000000"), [None, None, None]);
    }
}
