//! Whole messages: one command for many, bodies streamed from the socket into blobs, so that memory stays flat whatever
//! their size.

use std::collections::{HashMap, HashSet};

use whimbrel_model::Failure;

use crate::Blob;

use super::Message;
use super::errors::{Attempt, garbled};
use super::parse::{Data, Status, Value};
use super::scan::{Found, each_item, read_summary};
use super::session::Session;
use super::sets::UidSet;
use super::talk::{Part, ignore};

/// Bytes of a set of UIDs in one command; RFC 9051 section 4 asks servers for lines of 8,000.
pub(super) const SET_BYTES: usize = 4000;
/// Commands under way at a time.
const WINDOW: usize = 4;
/// Messages that are asked for one by one after the server refused some of a batch.
const SINGLES: usize = 10_000;

/// What is asked for.
struct Wanted<'a> {
    uids: UidSet,
    /// The items, the body included.
    items: &'a str,
    extra: &'a [String],
}

/// What came, by UID.
type Came = HashMap<u32, Parts>;

/// What came of a message.
#[derive(Default)]
struct Parts {
    found: Found,
    /// The inner is none where the server gave NIL.
    body: Option<Option<Blob>>,
}

impl Session {
    /// Messages of the open mailbox, bodies exact, one answer for each UID in the order asked for; `\Seen` stays as it
    /// is. `NotFound` for a message that is gone, `Rejected` for one that the server cannot give.
    ///
    /// # Errors
    /// Where the connection ends, or the server refuses as a whole; `Unsupported` for extra items that cannot be asked
    /// for.
    pub async fn fetch(&mut self, uids: &[u32], extra: &[String]) -> Result<Vec<Result<Message, Failure>>, Failure> {
        self.enter()?;
        let result = self.messages(uids, extra).await;
        self.leave(result)
    }

    async fn messages(&mut self, uids: &[u32], extra: &[String]) -> Result<Vec<Result<Message, Failure>>, Failure> {
        let items = format!("({} BODY.PEEK[])", self.summary_items(extra)?);
        let mut wanted = Wanted {
            uids: UidSet::from_uids(uids.iter().copied()),
            items: &items,
            extra,
        };
        let mut came = Came::with_capacity(uids.len());
        let mut refused: HashMap<u32, Failure> = HashMap::new();
        let expunged = self.talk.expunged;
        let mut refusal = self.fetch_set(&wanted, &mut came).await?;
        let mut missing = missing(uids, &came);
        if refusal.is_none() && !missing.is_empty() {
            // It may only not have been shown yet: it came after the mailbox was opened.
            self.talk.call(&[Part::Text("NOOP")], &mut ignore).await?;
            wanted.uids = UidSet::from_uids(missing.iter().copied());
            refusal = self.fetch_set(&wanted, &mut came).await?;
            missing.retain(|uid| !has_come(&came, *uid));
        }
        if self.talk.expunged != expunged {
            // Gone, and given all the same?
            let there = self.still_there(&came).await?;
            came.retain(|uid, _| there.contains(uid));
        }
        if let Some(failure) = refusal {
            // Some were refused: each that is missing tells for itself whether it is gone or unreadable.
            match (missing.as_slice(), &failure) {
                ([only], _) => drop(refused.insert(*only, failure)),
                (_, Failure::Rejected(_) | Failure::NotFound(_) | Failure::Unsupported(_))
                    if missing.len() <= SINGLES =>
                {
                    for uid in missing {
                        wanted.uids = UidSet::from_uids([uid]);
                        if let Some(failure) = self.fetch_set(&wanted, &mut came).await? {
                            refused.insert(uid, failure);
                        }
                    }
                }
                _ => return Err(failure),
            }
        }
        let gone = |uid: &u32| Failure::NotFound(format!("there is no message with UID {uid} any more"));
        Ok(uids
            .iter()
            .map(|uid| match came.get(uid) {
                Some(Parts {
                    found,
                    body: Some(Some(body)),
                }) => {
                    let mut summary = found.summary.clone();
                    if !found.sized {
                        summary.size = body.size();
                    }
                    Ok(Message {
                        summary,
                        body: body.clone(),
                    })
                }
                Some(Parts { body: Some(None), .. }) => Err(Failure::Rejected(format!(
                    "the server gives no body for the message with UID {uid}"
                ))),
                _ => Err(refused.get(uid).cloned().unwrap_or_else(|| gone(uid))),
            })
            .collect())
    }

    /// Those of them that the mailbox holds now.
    async fn still_there(&mut self, came: &Came) -> Result<HashSet<u32>, Failure> {
        let mut there = HashSet::with_capacity(came.len());
        for set in UidSet::from_uids(came.keys().copied()).format(SET_BYTES) {
            let parts = [Part::Text("UID FETCH "), Part::Text(&set), Part::Text(" (UID)")];
            let mut take = |data: &mut Data<'_>| {
                if data.is("FETCH") {
                    let one = read_summary(&mut data.rest, &[]).ok_or_else(|| garbled("FETCH"))?;
                    there.insert(one.summary.uid);
                }
                Ok(())
            };
            self.talk.run(&parts, Attempt::Command("FETCH"), &mut take).await?;
        }
        Ok(there)
    }

    /// Fetches what it can. A refusal is given back when all that came has been taken.
    async fn fetch_set(&mut self, wanted: &Wanted<'_>, came: &mut Came) -> Result<Option<Failure>, Failure> {
        let store = self.blobs.clone();
        let mut refusal = None;
        for sets in wanted.uids.format(SET_BYTES).chunks(WINDOW) {
            let mut tags = Vec::with_capacity(sets.len());
            for set in sets {
                let parts = [
                    Part::Text("UID FETCH "),
                    Part::Text(set),
                    Part::Text(" "),
                    Part::Text(wanted.items),
                ];
                tags.push(self.talk.send(&parts).await?);
            }
            for tag in tags {
                let said = self
                    .talk
                    .wait(tag, Some(&store), &mut |data| take(data, wanted, came))
                    .await?;
                if said.status != Status::Ok {
                    refusal = refusal.or_else(|| Some(said.failure(Attempt::Command("FETCH"))));
                }
            }
        }
        Ok(refusal)
    }
}

fn has_come(came: &Came, uid: u32) -> bool {
    came.get(&uid).is_some_and(|parts| parts.body.is_some())
}

/// Those of which no body came, ascending, each once.
fn missing(uids: &[u32], came: &Came) -> Vec<u32> {
    let mut missing: Vec<u32> = uids.iter().copied().filter(|uid| !has_come(came, *uid)).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// Takes what a FETCH response tells of a message that was asked for; the parts of one may come one by one.
fn take(data: &mut Data<'_>, wanted: &Wanted<'_>, came: &mut Came) -> Result<(), Failure> {
    if !data.is("FETCH") {
        return Ok(());
    }
    let mut parts = Parts::default();
    each_item(&mut data.rest, |name, cursor| {
        if name.eq_ignore_ascii_case(b"BODY[]") {
            parts.body = Some(match cursor.value()? {
                Value::Body(blob) => Some(blob.clone()),
                Value::Text(text) => Some(Blob::from_bytes(text.into_owned())),
                Value::Nil => None,
                Value::List(_) => return None,
            });
            Some(())
        } else {
            parts.found.read_item(name, cursor, wanted.extra)
        }
    })
    .ok_or_else(|| garbled("FETCH"))?;
    match parts.found.summary.uid {
        0 if parts.body.is_some() => Err(garbled("a body without a UID")),
        uid if wanted.uids.page(uid, uid, 1).is_some() => {
            let known = came.entry(uid).or_default();
            known.found.merge(parts.found);
            known.body = parts.body.or(known.body.take());
            Ok(())
        }
        // Told unasked, of another message.
        _ => Ok(()),
    }
}
