//! What changed in a mailbox since a cursor was given.
//!
//! With CONDSTORE (RFC 7162) an unchanged mailbox costs the SELECT and nothing more: UIDNEXT, HIGHESTMODSEQ and EXISTS
//! as they were mean that nothing came, nothing was touched and nothing went. Else what has a higher mod-sequence is
//! scanned; what vanished is asked for (QRESYNC), or told by naming what is still there. Without mod-sequences
//! everything is listed again, since flags may differ anywhere.
//!
//! Whether something vanished is seen by counting: known before, and new since, less what is there now. The UIDs are
//! asked for only where the count or UIDNEXT differ. The server's word of what vanished is taken only where it fits
//! that count and names nothing that is there; else what is there is named instead.

use std::collections::HashMap;

use whimbrel_plugin::imap::{Status, Summary};
use whimbrel_plugin::{Failure, ItemMeta, Page, Pager, Result};

use crate::cursor::{Cursor, Known, Mode, Step};
use crate::ranges::{self, Range};

/// What a listing needs of the session.
pub trait Mailbox {
    /// EXAMINE, anew.
    fn examine(&mut self) -> Result<Status>;
    /// As `session.scan`.
    fn scan(&mut self, from: u32, to: u32, limit: u32, changed_since: Option<u64>) -> Result<Vec<Summary>>;
    /// As `session.uids`.
    fn uids(&mut self) -> Result<Vec<Range>>;
    /// As `session.vanished`.
    fn vanished(&mut self, since: u64) -> Result<Option<Vec<Range>>>;
}

/// The most that `session.scan` gives.
const SCAN_LIMIT: u32 = 10_000;

/// What is kept between the pages of one listing, to spare asking again. Losing it costs a round trip only.
#[derive(Debug, Default)]
pub struct Kept {
    /// Of this cursor.
    cursor: String,
    uids: Option<Vec<Range>>,
    vanished: Option<Vec<Range>>,
}

/// Whether a mailbox in this state has nothing to say after the cursor: then no SELECT is needed.
pub fn unchanged(cursor: &Cursor, status: &Status) -> bool {
    cursor.step.is_none() && cursor.validity == status.uid_validity && same(&cursor.known, status)
}

/// Without mod-sequences, or UIDNEXT, nobody can tell.
fn same(known: &Known, status: &Status) -> bool {
    known.modseq != 0
        && known.uid_next != 0
        && Some(known.modseq) == status.highest_modseq
        && known.uid_next == status.uid_next
        && known.claimed == status.messages
}

/// The page that says that nothing changed.
pub fn empty(cursor: &Cursor) -> Page {
    let page = Page::new(Vec::new(), cursor.text());
    match capped(cursor.known.count, cursor.known.claimed) {
        Some(reason) => page.capped(reason),
        None => page,
    }
}

fn capped(shown: u64, claimed: u64) -> Option<String> {
    (shown < claimed)
        .then(|| format!("the server says that the mailbox holds {claimed} messages, and shows {shown} of them"))
}

/// The next page after the cursor, or the first one.
pub fn changes(
    mailbox: &mut impl Mailbox,
    cursor: Option<Cursor>,
    opened: Option<Status>,
    limit: u32,
    kept: &mut Kept,
) -> Result<Page> {
    // A listing that goes on in a mailbox that is open needs no new look at its state.
    let mut cursor = match (cursor, opened) {
        (Some(cursor), Some(status)) if cursor.step.is_some() && status.uid_validity == cursor.validity => cursor,
        (cursor, _) => {
            let status = mailbox.examine()?;
            match cursor {
                Some(cursor) if cursor.validity != status.uid_validity => return Err(Failure::GenerationChanged),
                Some(cursor) if cursor.step.is_some() => cursor,
                Some(cursor) if same(&cursor.known, &status) => return Ok(empty(&cursor)),
                Some(cursor) => Cursor {
                    step: Some(begin(mailbox, Some(cursor.known), &status, limit, kept)?),
                    ..cursor
                },
                None => Cursor {
                    validity: status.uid_validity,
                    known: Known::default(),
                    step: Some(begin(mailbox, None, &status, limit, kept)?),
                },
            }
        }
    };
    if kept.cursor != cursor.text() && !kept.cursor.is_empty() {
        *kept = Kept::default();
    }
    let mut pager = Pager::new(limit);
    let Some(mut step) = cursor.step else {
        return Ok(empty(&cursor));
    };
    while !advance(mailbox, &cursor.known, &mut step, &mut pager, kept)? {
        if pager.is_full() {
            return Ok(finish(
                pager,
                Cursor {
                    step: Some(step),
                    ..cursor
                },
                true,
                &step,
                kept,
            ));
        }
    }
    if step.mode == Mode::Newer {
        return Ok(finish(
            pager,
            Cursor {
                step: Some(step),
                ..cursor
            },
            false,
            &step,
            kept,
        ));
    }
    if matches!(step.mode, Mode::Full | Mode::Again) && step.seen < step.began.count {
        // Fewer than there were at the beginning: removed meanwhile, or held back?
        let now = mailbox.examine()?;
        let came = u64::from(now.uid_next.saturating_sub(step.began.uid_next));
        let held_back = step.seen.saturating_add(came) < now.messages;
        step.began.count = step.seen;
        step.began.claimed = if held_back { now.messages } else { step.seen };
    }
    cursor = Cursor {
        known: step.began,
        step: None,
        ..cursor
    };
    Ok(finish(pager, cursor, false, &step, kept))
}

fn finish(pager: Pager, cursor: Cursor, more: bool, step: &Step, kept: &mut Kept) -> Page {
    let text = cursor.text();
    if more {
        kept.cursor.clone_from(&text);
    } else {
        *kept = Kept::default();
    }
    let reason = capped(step.began.count, step.began.claimed);
    let all = matches!(step.mode, Mode::Full | Mode::Again | Mode::Present);
    let page = pager.page(text, more).complete(all && reason.is_none());
    match reason {
        Some(reason) if step.mode != Mode::Newer && !more => page.capped(reason),
        _ => page,
    }
}

/// Decides how to list, once a listing.
fn begin(
    mailbox: &mut impl Mailbox,
    known: Option<Known>,
    status: &Status,
    limit: u32,
    kept: &mut Kept,
) -> Result<Step> {
    *kept = Kept::default();
    let modseq = status.highest_modseq.unwrap_or(0);
    let mut began = Known {
        uid_next: status.uid_next,
        modseq,
        count: status.messages,
        claimed: status.messages,
    };
    let with_modseq = known.filter(|known| known.modseq != 0 && modseq >= known.modseq);
    if let Some(known) = with_modseq
        && known.uid_next == began.uid_next
        && known.claimed == began.claimed
        && began.uid_next != 0
    {
        began.count = known.count;
        return Ok(Step {
            mode: Mode::Changed,
            at: 1,
            seen: 0,
            began,
        });
    }
    if with_modseq.is_none() && began.uid_next != 0 && began.claimed < u64::from(limit.min(SCAN_LIMIT)) {
        // Everything fits on one page, and is counted at its end.
        return Ok(Step {
            mode: if known.is_none() { Mode::Full } else { Mode::Again },
            at: if began.claimed == 0 { began.uid_next } else { 1 },
            seen: 0,
            began,
        });
    }
    let mut uids = mailbox.uids()?;
    if ranges::count(&uids, 0) < began.claimed {
        // Something may have been removed between the two answers: look once more.
        let status = mailbox.examine()?;
        (began.claimed, began.modseq) = (status.messages, status.highest_modseq.unwrap_or(0));
        began.uid_next = status.uid_next;
        uids = mailbox.uids()?;
    }
    if began.uid_next == 0 {
        began.uid_next = uids.last().map_or(1, |(_, last)| last.saturating_add(1));
    }
    uids = ranges::below(uids, began.uid_next);
    began.count = ranges::count(&uids, 0);
    began.claimed = began.claimed.max(began.count);
    // More than was claimed came while we asked; it is above UIDNEXT and waits for the next time.
    let mode = match (known, with_modseq) {
        (None, _) => Mode::Full,
        (Some(_), None) => Mode::Again,
        (Some(_), Some(known)) => {
            let new = ranges::count(&uids, known.uid_next);
            let gone = known
                .count
                .checked_add(new)
                .and_then(|expected| expected.checked_sub(began.count));
            match gone {
                Some(0) => Mode::Changed,
                Some(gone) => match gone_ranges(mailbox, &known)? {
                    Some(vanished) if ranges::count(&vanished, 0) >= gone && ranges::disjoint(&vanished, &uids) => {
                        // The server may name UIDs that never were; too many of them cost more than naming the rest.
                        let few = ranges::count(&vanished, 0) <= known.count.saturating_mul(2).saturating_add(1000);
                        kept.vanished = few.then_some(vanished);
                        if few { Mode::ChangedThenVanished } else { Mode::Present }
                    }
                    _ => Mode::Present,
                },
                None => Mode::Present,
            }
        }
    };
    kept.uids = (mode == Mode::Present).then_some(uids);
    Ok(Step {
        mode,
        at: 1,
        seen: 0,
        began,
    })
}

/// Only what could be known.
fn gone_ranges(mailbox: &mut impl Mailbox, known: &Known) -> Result<Option<Vec<Range>>> {
    Ok(mailbox
        .vanished(known.modseq)?
        .map(|vanished| ranges::below(vanished, known.uid_next)))
}

/// Fills the page; true when the listing is at its end.
fn advance(
    mailbox: &mut impl Mailbox,
    known: &Known,
    step: &mut Step,
    pager: &mut Pager,
    kept: &mut Kept,
) -> Result<bool> {
    let room = u32::try_from(pager.room()).unwrap_or(u32::MAX).min(SCAN_LIMIT);
    if room == 0 {
        return Ok(false);
    }
    let last = if step.mode == Mode::Newer {
        u32::MAX
    } else {
        step.began.uid_next.saturating_sub(1)
    };
    match step.mode {
        Mode::Full | Mode::Again | Mode::Newer | Mode::Changed | Mode::ChangedThenVanished => {
            let since = matches!(step.mode, Mode::Changed | Mode::ChangedThenVanished).then_some(known.modseq);
            let found = if step.at > last {
                Vec::new()
            } else {
                mailbox.scan(step.at, last, room, since)?
            };
            let fewer = found.len() < room as usize;
            for summary in found {
                if summary.uid < step.at || summary.uid > last {
                    continue;
                }
                step.at = summary.uid.saturating_add(1);
                step.seen += 1;
                let new = summary.uid >= known.uid_next || step.mode == Mode::Newer;
                if new {
                    pager.upserted(meta(summary))
                } else {
                    pager.marked(meta(summary))
                };
            }
            if !fewer && step.at <= last {
                return Ok(false);
            }
            if step.mode == Mode::ChangedThenVanished {
                (step.mode, step.at) = (Mode::Vanished, 1);
                return Ok(false);
            }
            Ok(true)
        }
        Mode::Vanished => {
            if kept.vanished.is_none() {
                kept.vanished = gone_ranges(mailbox, known)?;
            }
            let Some(vanished) = &kept.vanished else {
                return Err(Failure::unavailable(
                    "the server does not tell any more what vanished; list again",
                ));
            };
            for uid in ranges::each(vanished, step.at) {
                if !pager.vanished(uid.to_string()) {
                    return Ok(false);
                }
                step.at = uid.saturating_add(1);
            }
            Ok(true)
        }
        Mode::Present => {
            if kept.uids.is_none() {
                kept.uids = Some(ranges::below(mailbox.uids()?, step.began.uid_next));
            }
            let uids: Vec<u32> = ranges::each(kept.uids.as_deref().unwrap_or_default(), step.at)
                .take(room as usize)
                .collect();
            let (Some(&first), Some(&last)) = (uids.first(), uids.last()) else {
                return Ok(true);
            };
            let changed = mailbox.scan(first, last, room, Some(known.modseq))?;
            let mut changed: HashMap<u32, Summary> =
                changed.into_iter().map(|summary| (summary.uid, summary)).collect();
            for uid in uids {
                match changed.remove(&uid) {
                    Some(summary) if uid >= known.uid_next => pager.upserted(meta(summary)),
                    Some(summary) => pager.marked(meta(summary)),
                    // New, and gone again already.
                    None if uid >= known.uid_next => true,
                    None => pager.present(uid.to_string()),
                };
                step.at = uid.saturating_add(1);
                step.seen += 1;
            }
            Ok(step.at > step.began.uid_next.saturating_sub(1))
        }
    }
}

/// What is known of a message.
pub fn meta(summary: Summary) -> ItemMeta {
    let gmail = || {
        let mut extra = summary.extra.into_iter();
        extra.find(|(name, _)| name.eq_ignore_ascii_case("X-GM-MSGID"))
    };
    let identity = summary.email_id.or_else(|| gmail().map(|(_, value)| value));
    ItemMeta::new(summary.uid.to_string())
        .revision(summary.modseq.map(|modseq| modseq.to_string()).unwrap_or_default())
        .identity(identity.filter(|identity| !identity.is_empty()))
        .size(summary.size)
        .received(summary.received)
        .flags(summary.flags)
}

/// A cursor after which everything from here on is listed.
pub fn watermark(mailbox: &mut impl Mailbox) -> Result<Cursor> {
    let status = mailbox.examine()?;
    let at = match status.uid_next {
        0 => mailbox.uids()?.last().map_or(1, |(_, last)| last.saturating_add(1)),
        next => next,
    };
    let known = Known {
        uid_next: at,
        ..Known::default()
    };
    Ok(Cursor {
        validity: status.uid_validity,
        known,
        step: Some(Step {
            mode: Mode::Newer,
            at,
            seen: 0,
            began: known,
        }),
    })
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
