//! What changed in a collection: with `sync-collection` (RFC 6578) where the server has it, else by comparing ETags.

use std::collections::BTreeMap;

use whimbrel_plugin::http::send;
use whimbrel_plugin::{Change, Failure, ItemMeta, Page, Pager, Result};

use crate::account::{Account, Folder};
use crate::cursor::{Cursor, State};
use crate::requests::{multistatus, origin_of, propfind, refusal, responses, sync, xml_request};
use crate::xml::DAV;

/// Rounds of a listing that the server cuts short each time.
const ROUNDS: usize = 10_000;

/// One under way.
#[derive(Debug, Clone)]
pub struct Listing {
    since: Option<State>,
    next: State,
    /// By name: what it is now, or that it is gone.
    changes: BTreeMap<String, Option<ItemMeta>>,
    /// It names everything that is there.
    complete: bool,
}

impl Listing {
    /// Whether it names everything where what changed since a token was asked for: the token is void by now. Pages before
    /// may have named what changed and no more, so all names are told again.
    fn starts_over(&self) -> bool {
        self.complete && self.since.as_ref().is_some_and(|since| since.token.is_some())
    }
}

impl Account {
    /// A page of changes.
    pub fn changes(&mut self, id: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let cursor = cursor.map(Cursor::read).transpose()?;
        let folder = self.known(id)?;
        // Where a listing goes on, it has the beginning that it had; else it begins where the last one ended.
        let (since, after) = match &cursor {
            None => (None, None),
            Some(cursor) if cursor.after.is_some() => (cursor.since.clone(), cursor.after.clone()),
            Some(cursor) => (Some(cursor.next.clone()), None),
        };
        let held = self.listings.remove(id).filter(|held| {
            let same = cursor.as_ref().is_some_and(|cursor| cursor.next == held.next);
            after.is_some() && held.since == since && same
        });
        let mut after = after;
        let mut listing = match held {
            Some(held) => held,
            None => self.list(&folder, since.clone())?,
        };
        if let Some(cursor) = cursor.filter(|cursor| cursor.after.is_some()) {
            if listing.starts_over() {
                after = None;
            } else {
                // What changed since is told from there on again.
                listing.next = cursor.next;
            }
        }
        let mut pager = Pager::new(limit);
        let mut last = None;
        let mut more = false;
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        for (name, change) in listing.changes.range::<String, _>((from, std::ops::Bound::Unbounded)) {
            if pager.is_full() {
                more = true;
                break;
            }
            pager.push(match change {
                Some(meta) => Change::Upserted(meta.clone()),
                None => Change::Vanished(name.clone()),
            });
            last = Some(name.clone());
        }
        let next = if more {
            Cursor {
                since,
                next: listing.next.clone(),
                after: last,
            }
        } else {
            Cursor::at(listing.next.clone())
        };
        let page = pager.page(next.write()?, more).complete(listing.complete);
        if more {
            self.listings.insert(id.to_owned(), listing);
        }
        Ok(page)
    }

    /// Everything after this state; everything at all where there is none, or the server has forgotten it.
    fn list(&self, folder: &Folder, since: Option<State>) -> Result<Listing> {
        if folder.syncs {
            let token = since.as_ref().and_then(|state| state.token.clone());
            if token.is_some() || since.is_none() {
                let forgets = token.is_some();
                match self.synced(folder, since.clone(), token) {
                    Ok(Some(listing)) => return Ok(listing),
                    Ok(None) => {}
                    // Xandikos answers 500 to a token that it does not know.
                    Err(Failure::Unavailable(_)) if forgets => {}
                    Err(failure) => return Err(failure),
                }
            }
            // The token is void; ids are not.
            if let Some(mut listing) = self.synced(folder, None, None)? {
                listing.since = since;
                return Ok(listing);
            }
        }
        self.compared(folder, since)
    }

    /// With `sync-collection`; none where the server refuses the token, or the report.
    fn synced(&self, folder: &Folder, since: Option<State>, token: Option<String>) -> Result<Option<Listing>> {
        let complete = token.is_none();
        let mut changes = BTreeMap::new();
        let mut token = token.unwrap_or_default();
        for round in 0..ROUNDS {
            let body = sync(self.service, &token);
            // The report takes no depth but 0; some servers want it said as 1, and none minds.
            let response = send(xml_request("REPORT", &folder.at, Some("0"), &body))?;
            if round == 0 && matches!(response.status, 400 | 403 | 405 | 409 | 412 | 415 | 422 | 501) {
                return Ok(None);
            }
            let here = origin_of(&response, &folder.at);
            let mut cut = false;
            let next = multistatus(&response, "listing changes", &mut |one| {
                let at = here.join(&one.href)?;
                let Some(name) = folder.at.name_of(&at) else {
                    // Of the collection itself: that the server had more to say (RFC 6578 section 3.6).
                    cut |= one.status == Some(507);
                    return Ok(());
                };
                let gone = matches!(one.status, Some(404 | 410));
                if gone {
                    changes.insert(name, None);
                } else if let Some(etag) = one.text(DAV, "getetag") {
                    let meta = meta(&name, etag, one.text(DAV, "getcontentlength"));
                    changes.insert(name, Some(meta));
                }
                Ok(())
            })?;
            let Some(next) = next else {
                return Err(Failure::unavailable("listing changes: the server gave no sync-token"));
            };
            if !cut || next == token {
                if complete {
                    changes.retain(|_, change| change.is_some());
                }
                return Ok(Some(Listing {
                    since,
                    next: State {
                        token: Some(next),
                        version: None,
                    },
                    changes,
                    complete,
                }));
            }
            token = next;
        }
        Err(Failure::unavailable("listing changes: the server finds no end"))
    }

    /// By what is there now.
    fn compared(&self, folder: &Folder, since: Option<State>) -> Result<Listing> {
        // Asked before the listing: what changes meanwhile is told the next time.
        let next = self.version(folder)?;
        let same = next.version.is_some() && since.as_ref().is_some_and(|since| since.version == next.version);
        let mut changes = BTreeMap::new();
        if !same {
            let body = propfind(self.service, &["D:getetag", "D:getcontentlength", "D:resourcetype"]);
            let response = send(xml_request("PROPFIND", &folder.at, Some("1"), &body))?;
            let here = origin_of(&response, &folder.at);
            multistatus(&response, "listing a collection", &mut |one| {
                let at = here.join(&one.href)?;
                let kind = one.property(DAV, "resourcetype");
                let is_collection = kind.is_some_and(|kind| kind.child(DAV, "collection").is_some());
                if let (Some(name), Some(etag), false) =
                    (folder.at.name_of(&at), one.text(DAV, "getetag"), is_collection)
                {
                    let meta = meta(&name, etag, one.text(DAV, "getcontentlength"));
                    changes.insert(name, Some(meta));
                }
                Ok(())
            })?;
        }
        Ok(Listing {
            since,
            next,
            changes,
            complete: !same,
        })
    }

    /// Where a collection stands without tokens.
    fn version(&self, folder: &Folder) -> Result<State> {
        let body = propfind(self.service, &["S:getctag"]);
        let response = send(xml_request("PROPFIND", &folder.at, Some("0"), &body))?;
        let all = responses(&response, "looking at a collection")?;
        let version = all
            .first()
            .and_then(|one| one.text(crate::requests::CALENDAR_SERVER, "getctag"))
            .map(str::to_owned);
        Ok(State { token: None, version })
    }

    /// A cursor from which on what is put now is listed.
    pub fn watermark(&mut self, id: &str) -> Result<String> {
        let folder = self.known(id)?;
        if folder.syncs {
            let body = propfind(self.service, &["D:sync-token"]);
            let response = send(xml_request("PROPFIND", &folder.at, Some("0"), &body))?;
            if response.status != 207 {
                return Err(refusal(&response, "looking at a collection"));
            }
            let all = responses(&response, "looking at a collection")?;
            if let Some(token) = all.first().and_then(|one| one.text(DAV, "sync-token")) {
                return Cursor::at(State {
                    token: Some(token.to_owned()),
                    version: None,
                })
                .write();
            }
        }
        Cursor::at(self.version(&folder)?).write()
    }
}

fn meta(name: &str, etag: &str, length: Option<&str>) -> ItemMeta {
    let mut meta = ItemMeta::new(name).revision(etag);
    meta.size = length.and_then(|text| text.parse().ok());
    meta
}
