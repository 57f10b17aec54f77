//! Listing the messages of the open mailbox: what there is, what changed, what vanished.

use std::collections::BTreeMap;

use whimbrel_model::Failure;

use super::Summary;
use super::errors::{Attempt, garbled};
use super::link::{LISTING_BYTES, RESPONSE_BYTES};
use super::parse::{Cursor, Value};
use super::session::{Listing, Session};
use super::sets::UidSet;
use super::talk::Part;
use super::{dates, flags};

/// Messages a page, at most; the contract's bound.
const PAGE: u32 = 10_000;
/// Message numbers asked for at a time where SEARCH does not tell all.
const NUMBERS: u64 = 50_000;

impl Session {
    /// At most `limit` messages with a UID in `from..=to`, ascending; with `changed_since` only those with a higher
    /// MODSEQ. Fewer than `limit` means that there are no more. One round trip a page, however sparse the UIDs are,
    /// and one more for the first page, unless the mailbox holds no more than that page.
    ///
    /// # Errors
    /// `Unsupported` for `changed_since` where the mailbox keeps no mod-sequences, and for extra items that cannot be
    /// asked for.
    pub async fn scan(
        &mut self,
        from: u32,
        to: u32,
        limit: u32,
        changed_since: Option<u64>,
        extra: &[String],
    ) -> Result<Vec<Summary>, Failure> {
        self.enter()?;
        let result = self.page(from.max(1), to, limit.min(PAGE), changed_since, extra).await;
        self.leave(result)
    }

    async fn page(
        &mut self,
        mut from: u32,
        to: u32,
        limit: u32,
        changed_since: Option<u64>,
        extra: &[String],
    ) -> Result<Vec<Summary>, Failure> {
        if changed_since.is_some() && self.opened()?.status.highest_modseq.is_none() {
            return Err(Failure::Unsupported(
                "this mailbox keeps no mod-sequences (CONDSTORE)".to_owned(),
            ));
        }
        let items = format!("({})", self.summary_items(extra)?);
        let limit = u64::from(limit);
        let exists = self.talk.exists;
        if changed_since.is_none() && (1..=limit).contains(&exists) && from <= to {
            // All that there is fits: nothing to page through.
            let range = UidSet::from_ranges(vec![(from, to)]);
            let mut all = self.summaries(&range, exists, &items, None, extra).await?;
            all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            return Ok(all);
        }
        let mut out: Vec<Summary> = Vec::new();
        let mut fresh = self.prepare(from, to, changed_since).await?;
        while (out.len() as u64) < limit && from <= to {
            let wanted = limit - out.len() as u64;
            let exists = self.talk.exists;
            let listing = self.opened()?.listing.as_ref();
            let page = listing.and_then(|listing| listing.uids.page(from, to, wanted));
            let Some((first, last, count)) = page else {
                // The end, unless messages arrived since the listing was made.
                if fresh || listing.is_some_and(|listing| listing.exists == exists) {
                    break;
                }
                self.opened()?.listing = None;
                fresh = self.prepare(from, to, changed_since).await?;
                continue;
            };
            // The range holds nothing but the page: the listing knows every UID in it.
            let range = UidSet::from_ranges(vec![(first, last)]);
            out.extend(self.summaries(&range, count, &items, changed_since, extra).await?);
            match last.checked_add(1) {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(out)
    }

    /// What tells a summary, as FETCH items without their parentheses.
    pub(super) fn summary_items(&mut self, extra: &[String]) -> Result<String, Failure> {
        extra.iter().try_for_each(|item| flags::extra_item(item))?;
        let mut items = String::from("UID FLAGS INTERNALDATE RFC822.SIZE");
        if self.opened()?.status.highest_modseq.is_some() {
            items.push_str(" MODSEQ");
        }
        if self.can("OBJECTID") {
            items.push_str(" EMAILID");
        }
        for item in extra {
            items.push(' ');
            items.push_str(item);
        }
        Ok(items)
    }

    /// Sees to it that the listing is the one to page through. True where it was made just now.
    async fn prepare(&mut self, from: u32, to: u32, changed_since: Option<u64>) -> Result<bool, Failure> {
        if let Some(listing) = &mut self.opened()?.listing
            && listing.changed_since == changed_since
            // Another scan from its very start is another scan. What holds all UIDs serves any range.
            && from > listing.from
            && (listing.to == to || changed_since.is_none() && listing.to == u32::MAX)
        {
            if listing.from == 0 {
                (listing.from, listing.to) = (from, to);
            }
            return Ok(false);
        }
        let exists = self.talk.exists;
        let uids = match changed_since {
            None => self.all_uids().await?,
            Some(since) => {
                let range = if to == u32::MAX {
                    format!("{from}:*")
                } else {
                    format!("{from}:{to}")
                };
                match self
                    .search(&format!("UID {range} MODSEQ {}", since.saturating_add(1)))
                    .await
                {
                    // CHANGEDSINCE in the FETCH says it too, at the price of going through all of them.
                    Err(Failure::Rejected(_) | Failure::Unsupported(_)) => self.all_uids().await?,
                    found => found?,
                }
            }
        };
        self.opened()?.listing = Some(Listing {
            changed_since,
            from,
            to,
            uids,
            exists,
        });
        Ok(true)
    }

    async fn summaries(
        &mut self,
        range: &UidSet,
        count: u64,
        items: &str,
        changed_since: Option<u64>,
        extra: &[String],
    ) -> Result<Vec<Summary>, Failure> {
        let set = range.format(usize::MAX).concat();
        let since = changed_since
            .map(|since| format!(" (CHANGEDSINCE {since})"))
            .unwrap_or_default();
        let mut found: BTreeMap<u32, Found> = BTreeMap::new();
        // A message may be mentioned more than once, but there are no more messages than were counted.
        let room = usize::try_from(count).unwrap_or(usize::MAX).saturating_add(1024);
        let command = format!("UID FETCH {set} {items}{since}");
        self.talk
            .run(&[Part::Text(&command)], Attempt::Command("FETCH"), &mut |data| {
                if !data.is("FETCH") {
                    return Ok(());
                }
                let one = read_summary(&mut data.rest, extra).ok_or_else(|| garbled("FETCH"))?;
                let uid = one.summary.uid;
                if range.page(uid, uid, 1).is_some() && (found.len() < room || found.contains_key(&uid)) {
                    found.entry(uid).or_default().merge(one);
                }
                Ok(())
            })
            .await?;
        // What came unasked names flags alone: such a message is gone by now, or was not asked for.
        Ok(found
            .into_values()
            .filter(|one| one.sized)
            .map(|one| one.summary)
            .collect())
    }

    /// All UIDs of the open mailbox, ascending ranges. Fewer than the mailbox claims to hold where the server hides some.
    ///
    /// # Errors
    /// As the server refuses.
    pub async fn uids(&mut self) -> Result<Vec<(u32, u32)>, Failure> {
        self.enter()?;
        let result = self.kept_uids().await;
        self.leave(result)
    }

    /// All UIDs, kept for the scan that follows.
    async fn kept_uids(&mut self) -> Result<Vec<(u32, u32)>, Failure> {
        self.opened()?;
        let exists = self.talk.exists;
        let uids = self.all_uids().await?;
        let ranges = uids.ranges().to_vec();
        self.opened()?.listing = Some(Listing {
            changed_since: None,
            from: 0,
            to: u32::MAX,
            uids,
            exists,
        });
        Ok(ranges)
    }

    async fn all_uids(&mut self) -> Result<UidSet, Failure> {
        self.opened()?;
        if self.talk.exists == 0 {
            // EXISTS is told unasked only with a command.
            self.talk.call(&[Part::Text("NOOP")], &mut super::talk::ignore).await?;
            if self.talk.exists == 0 {
                return Ok(UidSet::default());
            }
        }
        let found = self.search("ALL").await?;
        let exists = self.talk.exists;
        if found.count() >= exists {
            return Ok(found);
        }
        // Some servers cut SEARCH short: message numbers tell the rest.
        let mut ranges = found.ranges().to_vec();
        let mut first = 1;
        while first <= exists {
            let last = exists.min(first + NUMBERS - 1);
            let command = format!("FETCH {first}:{last} (UID)");
            let mut count = 0;
            self.talk
                .run(&[Part::Text(&command)], Attempt::Command("FETCH"), &mut |data| {
                    if data.is("FETCH") && count < NUMBERS * 2 {
                        count += 1;
                        let one = read_summary(&mut data.rest, &[]).ok_or_else(|| garbled("FETCH"))?;
                        ranges.push((one.summary.uid, one.summary.uid));
                    }
                    Ok(())
                })
                .await?;
            first = last + 1;
            ranges = UidSet::from_ranges(ranges).into_ranges();
        }
        Ok(UidSet::from_ranges(ranges))
    }

    /// UID SEARCH, as a set (RFC 4731) where the server can.
    async fn search(&mut self, criteria: &str) -> Result<UidSet, Failure> {
        let how = if self.can("ESEARCH") { "RETURN (ALL) " } else { "" };
        let command = format!("UID SEARCH {how}{criteria}");
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        self.talk.link.limit = LISTING_BYTES;
        let said = self
            .talk
            .run(&[Part::Text(&command)], Attempt::Command("SEARCH"), &mut |data| {
                if data.is("SEARCH") {
                    read_search(&mut data.rest, &mut ranges);
                } else if data.is("ESEARCH") {
                    let set = read_esearch(&mut data.rest).ok_or_else(|| garbled("ESEARCH"))?;
                    ranges.extend_from_slice(set.ranges());
                }
                Ok(())
            })
            .await;
        self.talk.link.limit = RESPONSE_BYTES;
        said?;
        Ok(UidSet::from_ranges(ranges))
    }

    /// UIDs that vanished since this MODSEQ, ascending ranges; None where the server cannot tell (QRESYNC). What the
    /// server claims to be gone but still lists is left out.
    ///
    /// # Errors
    /// As the server refuses.
    pub async fn vanished(&mut self, since: u64) -> Result<Option<Vec<(u32, u32)>>, Failure> {
        self.enter()?;
        let result = self.gone(since).await;
        self.leave(result)
    }

    async fn gone(&mut self, since: u64) -> Result<Option<Vec<(u32, u32)>>, Failure> {
        let status = &self.opened()?.status;
        let (uid_next, modseq) = (status.uid_next, status.highest_modseq);
        if !self.qresync || modseq.is_none() {
            return Ok(None);
        }
        let command = format!("UID FETCH 1:* (UID) (CHANGEDSINCE {} VANISHED)", since.max(1));
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        self.talk.link.limit = LISTING_BYTES;
        let said = self
            .talk
            .run(&[Part::Text(&command)], Attempt::Command("FETCH"), &mut |data| {
                if data.is("VANISHED") {
                    data.rest.words();
                    let set = UidSet::parse(data.rest.remaining().trim_ascii()).ok_or_else(|| garbled("VANISHED"))?;
                    ranges.extend_from_slice(set.ranges());
                    if ranges.len() > 4 << 20 {
                        return Err(garbled("VANISHED without end"));
                    }
                }
                Ok(())
            })
            .await;
        self.talk.link.limit = RESPONSE_BYTES;
        said?;
        let gone = UidSet::from_ranges(ranges);
        if gone.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let there = self.all_uids().await?;
        let highest = uid_next.saturating_sub(1).max(there.last().unwrap_or(0));
        Ok(Some(gone.without(&there).up_to(highest).into_ranges()))
    }
}

/// `* SEARCH 2 3 6 (MODSEQ 917)`; trailing blanks and the mod-sequence are passed over.
pub(super) fn read_search(cursor: &mut Cursor<'_>, ranges: &mut Vec<(u32, u32)>) {
    loop {
        cursor.spaces();
        let Some(uid) = cursor.number().and_then(|uid| u32::try_from(uid).ok()) else {
            return;
        };
        match ranges.last_mut() {
            Some(last) if uid == last.1.saturating_add(1) => last.1 = uid,
            _ => ranges.push((uid, uid)),
        }
    }
}

/// `* ESEARCH (TAG "A1") UID ALL 1:5,7 MODSEQ 917`. No ALL means that nothing was found.
pub(super) fn read_esearch(cursor: &mut Cursor<'_>) -> Option<UidSet> {
    if cursor.peek() == Some(b'(') {
        cursor.value()?;
    }
    loop {
        cursor.spaces();
        if cursor.at_end() {
            return Some(UidSet::default());
        }
        let word = cursor.word();
        if word.is_empty() {
            return None;
        }
        if word.eq_ignore_ascii_case(b"UID") {
            continue;
        }
        cursor.spaces();
        if word.eq_ignore_ascii_case(b"ALL") {
            return UidSet::parse(cursor.word());
        }
        cursor.value()?;
    }
}

/// A summary, and which of its parts were there.
#[derive(Default)]
pub(super) struct Found {
    pub summary: Summary,
    pub flagged: bool,
    pub sized: bool,
}

impl Found {
    pub(super) fn merge(&mut self, other: Self) {
        let (mine, theirs) = (&mut self.summary, other.summary);
        mine.uid = theirs.uid;
        if other.flagged {
            mine.flags = theirs.flags;
        }
        if other.sized {
            mine.size = theirs.size;
        }
        mine.modseq = theirs.modseq.or(mine.modseq);
        mine.received = theirs.received.or(mine.received);
        mine.email_id = theirs.email_id.or(mine.email_id.take());
        if !theirs.extra.is_empty() {
            mine.extra = theirs.extra;
        }
        self.flagged |= other.flagged;
        self.sized |= other.sized;
    }

    /// Reads the value of an item; what nobody asked for is passed over. None where it is garbled.
    pub(super) fn read_item(&mut self, name: &[u8], cursor: &mut Cursor<'_>, extra: &[String]) -> Option<()> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let summary = &mut self.summary;
        if is(b"UID") {
            cursor.spaces();
            summary.uid = u32::try_from(cursor.number()?).ok()?;
        } else if is(b"FLAGS") {
            summary.flags = cursor.words()?;
            summary.flags.retain(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
            self.flagged = true;
        } else if is(b"INTERNALDATE") {
            summary.received = match cursor.value()? {
                Value::Text(text) => dates::parse(&text),
                _ => None,
            };
        } else if is(b"RFC822.SIZE") {
            let size = cursor
                .string()
                .and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
            summary.size = size.unwrap_or(0);
            self.sized = true;
        } else if is(b"MODSEQ") {
            summary.modseq = match cursor.value()? {
                Value::List(list) => Cursor::over(list.get(1..)?).number(),
                Value::Text(text) => Cursor::over(&text).number(),
                _ => None,
            };
        } else if is(b"EMAILID") {
            summary.email_id = match cursor.value()? {
                Value::List(list) => Some(String::from_utf8_lossy(list.get(1..list.len() - 1)?).into_owned()),
                Value::Text(text) => Some(String::from_utf8_lossy(&text).into_owned()),
                _ => None,
            };
        } else if let Some(asked) = extra.iter().find(|item| is(item.as_bytes())) {
            summary.extra.push((asked.clone(), cursor.raw()?));
        } else {
            cursor.value()?;
        }
        Some(())
    }
}

/// The parenthesised part of a FETCH response. UID 0 where it does not tell the UID. None where it is garbled.
pub(super) fn read_summary(cursor: &mut Cursor<'_>, extra: &[String]) -> Option<Found> {
    let mut found = Found::default();
    each_item(cursor, |name, cursor| found.read_item(name, cursor, extra))?;
    Some(found)
}

/// Goes through the items of a FETCH response; the closure reads the value that follows the name.
pub(super) fn each_item<'a>(
    cursor: &mut Cursor<'a>,
    mut item: impl FnMut(&'a [u8], &mut Cursor<'a>) -> Option<()>,
) -> Option<()> {
    cursor.spaces();
    if !cursor.eat(b'(') {
        return None;
    }
    loop {
        cursor.spaces();
        if cursor.eat(b')') {
            return Some(());
        }
        let name = cursor.item_name()?;
        item(name, cursor)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn summaries_are_read() {
        let text = b"(UID 7 FLAGS (\\Seen \\Recent $X) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 44 \
            MODSEQ (917) EMAILID (M1) X-GM-LABELS (\"\\\\Inbox\" {3}\r\na b) X-NEW (1 (2)) BODY[HEADER.FIELDS (A B)] {2}\r\nxy)\r\n";
        let found = read_summary(&mut Cursor::over(text), &["x-gm-labels".to_owned()]).unwrap();
        let summary = found.summary;
        assert_eq!((summary.uid, summary.size, summary.modseq), (7, 44, Some(917)));
        assert_eq!(summary.flags, ["\\Seen", "$X"]);
        assert_eq!(summary.email_id.as_deref(), Some("M1"));
        assert_eq!(summary.received.unwrap().offset_minutes, -420);
        assert_eq!(
            summary.extra,
            [("x-gm-labels".to_owned(), "(\"\\\\Inbox\" \"a b\")".to_owned())]
        );
        assert!(found.sized);
    }

    #[test]
    fn odd_dates_and_sizes_do_not_lose_the_message() {
        let found = read_summary(
            &mut Cursor::over(b"(UID 7 INTERNALDATE NIL RFC822.SIZE NIL FLAGS ())\r\n"),
            &[],
        )
        .unwrap();
        assert!(found.sized && found.summary.size == 0 && found.summary.received.is_none());
        let found = read_summary(&mut Cursor::over(b"(INTERNALDATE \"31-Foo-99\" UID 8)\r\n"), &[]).unwrap();
        assert_eq!((found.summary.uid, found.summary.received), (8, None));
        assert!(read_summary(&mut Cursor::over(b"(UID 99999999999)\r\n"), &[]).is_none());
    }

    #[test]
    fn searches_are_read() {
        let mut ranges = Vec::new();
        read_search(&mut Cursor::over(b"2 3 9 (MODSEQ 5)\r\n"), &mut ranges);
        read_search(&mut Cursor::over(b" \r\n"), &mut ranges);
        assert_eq!(ranges, [(2, 3), (9, 9)]);
        let set = |text: &[u8]| read_esearch(&mut Cursor::over(text));
        assert_eq!(set(b"(TAG \"W1\") UID ALL 1:3,5\r\n").unwrap().count(), 4);
        assert_eq!(set(b"(TAG \"W1\") UID\r\n").unwrap().count(), 0);
        assert_eq!(set(b"(TAG \"W1\") UID COUNT 5 MODSEQ 9 ALL 7\r\n").unwrap().count(), 1);
        assert!(set(b"(TAG \"W1\") UID ALL a\r\n").is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(prop_oneof![
            4 => proptest::sample::select(&b"()[]{}\" \r\nUID FLAGSMODSEQ0123456789"[..]), 1 => any::<u8>()], 0..120)) {
            let _ = read_summary(&mut Cursor::over(&bytes), &["A".to_owned()]);
            let _ = read_esearch(&mut Cursor::over(&bytes));
            read_search(&mut Cursor::over(&bytes), &mut Vec::new());
        }
    }
}
