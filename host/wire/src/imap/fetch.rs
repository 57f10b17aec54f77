//! Bodies: one command for many, streamed from the socket into blobs, so that memory stays flat whatever their size.

use std::collections::HashMap;

use whimbrel_model::Failure;

use crate::Blob;

use super::errors::{Attempt, garbled};
use super::parse::{Data, Status, Value};
use super::scan::each_item;
use super::session::Session;
use super::sets::UidSet;
use super::talk::Part;

/// Bytes of a set of UIDs in one command; RFC 9051 section 4 asks servers for lines of 8,000.
pub(super) const SET_BYTES: usize = 4000;
/// Commands under way at a time.
const WINDOW: usize = 4;
/// Messages that are asked for one by one after the server refused some of a batch.
const SINGLES: usize = 10_000;

/// What came of a message; `None` where the server gave NIL.
type Bodies = HashMap<u32, Option<Blob>>;

impl Session {
    /// Bodies of the open mailbox, exact, one answer for each UID in the order asked for; `\Seen` stays as it is.
    /// `NotFound` for a message that is gone, `Rejected` for one that the server cannot give.
    ///
    /// # Errors
    /// Where the connection ends, or the server refuses as a whole.
    pub async fn fetch(&mut self, uids: &[u32]) -> Result<Vec<Result<Blob, Failure>>, Failure> {
        self.enter()?;
        let result = self.bodies(uids).await;
        self.leave(result)
    }

    async fn bodies(&mut self, uids: &[u32]) -> Result<Vec<Result<Blob, Failure>>, Failure> {
        self.opened()?;
        let wanted = UidSet::from_uids(uids.iter().copied());
        let mut found = Bodies::with_capacity(uids.len());
        let mut refused: HashMap<u32, Failure> = HashMap::new();
        if let Some(failure) = self.fetch_set(&wanted, &mut found).await? {
            // Some were refused: each that is missing tells for itself whether it is gone or unreadable.
            let mut missing: Vec<u32> = uids.iter().copied().filter(|uid| !found.contains_key(uid)).collect();
            missing.sort_unstable();
            missing.dedup();
            match (missing.as_slice(), &failure) {
                ([only], _) => drop(refused.insert(*only, failure)),
                (_, Failure::Rejected(_) | Failure::NotFound(_) | Failure::Unsupported(_))
                    if missing.len() <= SINGLES =>
                {
                    for uid in missing {
                        if let Some(failure) = self.fetch_set(&UidSet::from_uids([uid]), &mut found).await? {
                            refused.insert(uid, failure);
                        }
                    }
                }
                _ => return Err(failure),
            }
        }
        Ok(uids
            .iter()
            .map(|uid| match found.get(uid) {
                Some(Some(blob)) => Ok(blob.clone()),
                Some(None) => Err(Failure::Rejected(format!(
                    "the server gives no body for the message with UID {uid}"
                ))),
                None => Err(refused
                    .get(uid)
                    .cloned()
                    .unwrap_or_else(|| Failure::NotFound(format!("there is no message with UID {uid} any more")))),
            })
            .collect())
    }

    /// Fetches what it can. A refusal is given back when all that came has been taken.
    async fn fetch_set(&mut self, wanted: &UidSet, found: &mut Bodies) -> Result<Option<Failure>, Failure> {
        let store = self.blobs.clone();
        let mut refusal = None;
        for sets in wanted.format(SET_BYTES).chunks(WINDOW) {
            let mut tags = Vec::with_capacity(sets.len());
            for set in sets {
                let parts = [
                    Part::Text("UID FETCH "),
                    Part::Text(set),
                    Part::Text(" (UID BODY.PEEK[])"),
                ];
                tags.push(self.talk.send(&parts).await?);
            }
            for tag in tags {
                let said = self
                    .talk
                    .wait(tag, Some(&store), &mut |data| take(data, wanted, found))
                    .await?;
                if said.status != Status::Ok {
                    refusal = refusal.or_else(|| Some(said.failure(Attempt::Command("FETCH"))));
                }
            }
        }
        Ok(refusal)
    }
}

/// Takes the body out of a FETCH response; one without a body came unasked.
fn take(data: &mut Data<'_>, wanted: &UidSet, found: &mut Bodies) -> Result<(), Failure> {
    if !data.is("FETCH") {
        return Ok(());
    }
    let (mut uid, mut body) = (None, None);
    each_item(&mut data.rest, |name, cursor| {
        if name.eq_ignore_ascii_case(b"UID") {
            cursor.spaces();
            uid = Some(u32::try_from(cursor.number()?).ok()?);
        } else if name.eq_ignore_ascii_case(b"BODY[]") {
            body = Some(match cursor.value()? {
                Value::Body(blob) => Some(blob.clone()),
                Value::Text(text) => Some(Blob::from_bytes(text.into_owned())),
                Value::Nil => None,
                Value::List(_) => return None,
            });
        } else {
            cursor.value()?;
        }
        Some(())
    })
    .ok_or_else(|| garbled("FETCH"))?;
    match (uid, body) {
        (Some(uid), Some(body)) if wanted.page(uid, uid, 1).is_some() => {
            found.insert(uid, body);
        }
        (None, Some(_)) => return Err(garbled("a body without a UID")),
        _ => {}
    }
    Ok(())
}
