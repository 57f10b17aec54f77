//! A session: what the mailbox held when it was logged in to, by number and by id.
//!
//! The id is the one that the server keeps (UIDL). Where a server has no such ids, or gives the numbers of messages for
//! them, a hash of the message's head takes their place, without the fields in which old servers keep their marks. That
//! costs the head of every message in every session (TOP), or the whole message where the server cannot give heads
//! alone. Sizes are no part of it: they are approximate, and may be told otherwise another time.
//!
//! Messages are read by TOP with more lines than any has, where the server knows it: what is read by RETR counts as
//! seen to many, whatever comes afterwards.

use std::collections::HashMap;

use whimbrel_folders::Body;
use whimbrel_plugin::{Failure, Result};

use crate::login::Talk;
use crate::reply::Attempt;
use crate::settings::{Identity, Settings};
use crate::wire::{Net, Wire};

/// Bytes of a list of all messages.
const LIST_BYTES: u64 = 256 << 20;
/// Bytes of a head that are looked at.
const HEAD_BYTES: u32 = 256 << 10;
/// Commands that are on their way at once.
const ABREAST: usize = 32;
/// Bytes that are asked for at once.
const ABREAST_BYTES: u64 = 8 << 20;
/// What a message may have beyond the size that the server claims: the size is approximate, not the half of it.
const BEYOND: u64 = 64 << 20;
/// Lines that no message has; more than this, some servers take for none.
const ALL_LINES: u32 = 99_999_999;
/// Bytes up to which a message has fewer lines than that for sure.
const FEW_LINES: u64 = 150 << 20;
/// Bytes of an id that a server gives; it has 70 at most (RFC 1939, 7).
const UIDL_BYTES: usize = 512;

/// Fields that servers write into messages to keep their marks there.
const MARKS: [&str; 7] = [
    "status",
    "x-status",
    "x-keywords",
    "x-uid",
    "x-uidl",
    "x-imapbase",
    "content-length",
];

/// A message, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// In this session.
    pub number: u64,
    /// Bytes, as the server claims.
    pub size: u64,
    /// In every session.
    pub id: String,
}

/// A session.
#[derive(Debug)]
pub struct Session<W: Wire> {
    talk: Talk<W>,
    /// In the server's order: the oldest first, as far as it is known.
    pub mails: Vec<Mail>,
    places: HashMap<String, usize>,
    heads: bool,
    /// A call failed: what was to come is not told from what comes.
    broken: bool,
}

impl<W: Wire> Session<W> {
    /// Logs in and lists.
    ///
    /// # Errors
    /// What connecting, logging in or listing failed with.
    pub fn open<N: Net<Wire = W>>(net: &N, settings: &Settings) -> Result<Self> {
        let talk = Talk::connect(net, settings)?;
        let mut session = Self {
            heads: talk.capabilities.top,
            talk,
            mails: Vec::new(),
            places: HashMap::new(),
            broken: true,
        };
        session.list(settings.identity)?;
        session.broken = false;
        Ok(session)
    }

    /// The message with this id.
    pub fn find(&self, id: &str) -> Option<&Mail> {
        self.place(id).and_then(|place| self.mails.get(place))
    }

    /// Where it stands in the list.
    pub fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    fn list(&mut self, identity: Identity) -> Result<()> {
        let uidl = self.talk.capabilities.uidl && identity == Identity::Uidl;
        let abreast = self.talk.capabilities.pipelining;
        self.talk.wire.write(b"LIST\r\n")?;
        if uidl && abreast {
            self.talk.wire.write(b"UIDL\r\n")?;
        }
        let said = self.talk.reply()?;
        if !said.ok {
            return Err(said.failure(Attempt::Command("LIST")));
        }
        let sizes = self.talk.wire.read_body(0, LIST_BYTES)?;
        let mut found: Vec<(u64, u64, Option<String>)> = Vec::new();
        let mut by_number: HashMap<u64, usize> = HashMap::new();
        lines(&sizes, |line| {
            if let Some((number, size)) = pair(line)
                && let Ok(size) = size.parse()
                && by_number.insert(number, found.len()).is_none()
            {
                found.push((number, size, None));
            }
        });
        if uidl {
            if !abreast {
                self.talk.wire.write(b"UIDL\r\n")?;
            }
            if self.talk.reply()?.ok {
                let ids = self.talk.wire.read_body(0, LIST_BYTES)?;
                lines(&ids, |line| {
                    if let Some((number, id)) = pair(line)
                        && id.len() <= UIDL_BYTES
                        && let Some(mail) = by_number.get(&number).and_then(|at| found.get_mut(*at))
                    {
                        mail.2 = Some(id.to_owned());
                    }
                });
            }
        }
        // Such "ids" are the numbers of this session, and mean other messages in the next one.
        if found
            .iter()
            .all(|(number, _, id)| id.as_ref().is_some_and(|id| id.parse() == Ok(*number)))
        {
            found.iter_mut().for_each(|(_, _, id)| *id = None);
        }
        self.name(found)
    }

    fn name(&mut self, found: Vec<(u64, u64, Option<String>)>) -> Result<()> {
        let nameless: Vec<(u64, u64)> = found
            .iter()
            .filter(|(_, _, id)| id.is_none())
            .map(|(number, size, _)| (*number, *size))
            .collect();
        let mut hashes = self.hashes(&nameless)?.into_iter();
        let mut times: HashMap<String, u32> = HashMap::new();
        for (number, size, id) in found {
            let id = match id {
                Some(id) => id,
                // A head that the server does not give: fetching the message says why.
                None => hashes.next().flatten().unwrap_or_else(|| format!("number-{number}")),
            };
            let mut id = id;
            let times = times.entry(id.clone()).or_insert(0);
            *times += 1;
            // No id of a server holds a blank.
            if *times > 1 {
                id = format!("{id} {times}");
            }
            self.places.insert(id.clone(), self.mails.len());
            self.mails.push(Mail { number, size, id });
        }
        Ok(())
    }

    /// The hash of the head of each of these messages.
    fn hashes(&mut self, mails: &[(u64, u64)]) -> Result<Vec<Option<String>>> {
        let mut hashes = Vec::with_capacity(mails.len());
        if self.heads && self.talk.capabilities.pipelining {
            for chunk in mails.chunks(ABREAST) {
                for (number, _) in chunk {
                    self.talk.wire.write(format!("TOP {number} 0\r\n").as_bytes())?;
                }
                for (_, size) in chunk {
                    let head = self.body("TOP", *size)?.ok();
                    hashes.push(head.map(|head| hash(&head)));
                }
            }
            return Ok(hashes);
        }
        for (number, size) in mails {
            if self.heads {
                self.talk.wire.write(format!("TOP {number} 0\r\n").as_bytes())?;
                match self.body("TOP", *size)? {
                    Ok(head) => {
                        hashes.push(Some(hash(&head)));
                        continue;
                    }
                    // It does not know the command: all of it then.
                    Err(_) => self.heads = self.talk.capabilities.known,
                }
            }
            self.talk.wire.write(format!("RETR {number}\r\n").as_bytes())?;
            let whole = self.body("RETR", *size)?.ok();
            hashes.push(whole.map(|whole| hash(&whole)));
        }
        Ok(hashes)
    }

    /// The answer to a command that gives a message: the message, or why the server refuses it.
    fn body(&mut self, command: &'static str, size: u64) -> Result<Result<W::Body>> {
        let said = self.talk.reply()?;
        if said.ok {
            let limit = size.saturating_mul(2).saturating_add(BEYOND);
            return Ok(Ok(self.talk.wire.read_body(size, limit)?));
        }
        match said.failure(Attempt::Command(command)) {
            failure @ (Failure::Unavailable(_) | Failure::Throttled(_)) => Err(failure),
            failure => Ok(Err(failure)),
        }
    }

    /// Whether a message is read without being marked as seen.
    fn by_top(&self, mail: &Mail) -> bool {
        self.talk.capabilities.known && self.talk.capabilities.top && mail.size <= FEW_LINES
    }

    /// These messages, in this order, as many at once as the server takes.
    ///
    /// # Errors
    /// What ended the connection; what the server refused of one is in its answer.
    pub fn retrieve(&mut self, mails: &[Mail]) -> Result<Vec<Result<W::Body>>> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(Failure::unavailable("the session is gone"));
        }
        let most = if self.talk.capabilities.pipelining { ABREAST } else { 1 };
        let mut answers = Vec::with_capacity(mails.len());
        let mut rest = mails;
        while !rest.is_empty() {
            let mut bytes: u64 = 0;
            let count = rest
                .iter()
                .take(most)
                .take_while(|mail| {
                    bytes = bytes.saturating_add(mail.size);
                    bytes <= ABREAST_BYTES
                })
                .count();
            let (now, later) = rest.split_at(count.max(1));
            for mail in now {
                let command = if self.by_top(mail) {
                    format!("TOP {} {ALL_LINES}\r\n", mail.number)
                } else {
                    format!("RETR {}\r\n", mail.number)
                };
                self.talk.wire.write(command.as_bytes())?;
            }
            let mut short = Vec::new();
            for mail in now {
                let answer = self.body("RETR", mail.size)?;
                // Refused, or less than there is: whole by the other way, or a refusal for good. Sizes are counted with
                // and without carriage returns, which is less than a tenth of any but the oddest.
                let doubtful = match &answer {
                    Ok(body) => body.size() < mail.size - mail.size / 10,
                    Err(_) => true,
                };
                if doubtful && self.by_top(mail) {
                    short.push((answers.len(), mail));
                }
                answers.push(answer);
            }
            for (place, mail) in short {
                self.talk.wire.write(format!("RETR {}\r\n", mail.number).as_bytes())?;
                answers[place] = self.body("RETR", mail.size)?;
            }
            rest = later;
        }
        self.broken = false;
        Ok(answers)
    }
}

impl<W: Wire> Drop for Session<W> {
    /// Some servers mark at QUIT what was read in the session; RSET makes them forget it (RFC 1939, 5 and 6).
    fn drop(&mut self) {
        if !self.broken {
            for command in ["RSET", "QUIT"] {
                // Whether the server heard it is of no interest any more.
                if self.talk.call(command).is_err() {
                    return;
                }
            }
        }
    }
}

/// Number and word of a line of a list.
fn pair(line: &str) -> Option<(u64, &str)> {
    let mut words = line.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?))
}

/// Calls `each` with every line of the body.
fn lines(body: &impl Body, mut each: impl FnMut(&str)) {
    let mut rest: Vec<u8> = Vec::new();
    body.pieces(|piece| {
        rest.extend_from_slice(piece);
        let end = rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        for line in rest[..end].split(|&byte| byte == b'\n') {
            if !line.is_empty() {
                each(&String::from_utf8_lossy(line));
            }
        }
        rest.drain(..end);
    });
    each(&String::from_utf8_lossy(&rest));
}

/// Of a message's head, without the fields in which servers keep marks.
fn hash<B: Body>(message: &B) -> String {
    let mut head = Vec::new();
    let mut offset = 0;
    while offset < u64::from(HEAD_BYTES) && offset < message.size() && !head.ends_with(b"\n\n") {
        let piece = message.read(offset, HEAD_BYTES);
        offset += piece.len() as u64;
        head.extend(piece.into_iter().filter(|&byte| byte != b'\r'));
    }
    let mut kept = Vec::with_capacity(head.len());
    let mut keeps = true;
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        if line == b"\n" {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
            keeps = !MARKS.contains(&name.as_str());
        }
        if keeps {
            kept.extend_from_slice(line);
        }
    }
    let hash = B::from_bytes(&kept).hash();
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use whimbrel_folders::memory::Bytes;

    use super::*;

    fn of(text: &str) -> String {
        hash(&Bytes::from_bytes(text.as_bytes()))
    }

    #[test]
    fn marks_of_servers_do_not_count_and_nothing_of_the_body_does() {
        let plain = of("Subject: a\r\n b\r\nDate: c\r\n\r\nbody");
        assert_eq!(of("Subject: a\n b\nDate: c\n"), plain);
        assert_eq!(
            of("Status: RO\nX-UIDL: 1\n 2\nSubject: a\n b\nX-Status: A\nDate: c\n\nother"),
            plain
        );
        assert_ne!(of("Subject: a\n c\nDate: c\n"), plain);
        assert_ne!(of("Subject: a\n b\nDate: d\n"), plain);
    }

    #[test]
    fn lists_come_apart_whatever_is_in_them() {
        let mut found = Vec::new();
        lines(
            &Bytes::from_bytes(b"1 120\r\nrubbish\r\n\r\n2 x y\r\n18446744073709551616 1\r\n3\r\n4 5"),
            |line| {
                found.extend(pair(line).map(|(number, word)| (number, word.to_owned())));
            },
        );
        assert_eq!(found, [(1, "120".to_owned()), (2, "x".to_owned()), (4, "5".to_owned())]);
    }
}
