//! The account, read.

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use whimbrel_plugin::{
    Change, Collection, Failure, Item, ItemMeta, Page, Result, Role, Settings, Source, Timestamp, decode_cursor,
    encode_cursor,
};

use crate::bulletin::{Bulletin, Entry, Folder, Letter};

/// The form of the cursors below: a later release can tell its elders' by it.
const CURSOR: u32 = 1;

pub struct Account {
    bulletin: Bulletin,
}

/// Where reading stands.
#[derive(Serialize, Deserialize)]
pub struct Place {
    /// Within a listing: the page that comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// Where the feed stood at the beginning of the listing, or stands now.
    feed: String,
}

impl Source for Account {
    fn open(settings: &Settings) -> Result<Self> {
        Ok(Self {
            bulletin: Bulletin::open(settings)?,
        })
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        let mut folders = self.bulletin.folders()?;
        folders.sort_by_key(|folder| folder.path.len());
        Ok(folders.into_iter().map(collection).collect())
    }

    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let place: Option<Place> = cursor.map(|cursor| decode_cursor(CURSOR, cursor)).transpose()?;
        let (page, feed) = match place {
            Some(Place { page: None, feed }) => return self.news(collection, &feed, limit),
            Some(Place { page, feed }) => (page, Some(feed)),
            None => (None, None),
        };
        let answer = self.bulletin.letters(collection, page.as_deref(), limit)?;
        let changes = answer
            .letters
            .into_iter()
            .map(|letter| meta(letter).map(Change::Upserted))
            .collect::<Result<_>>()?;
        let more = answer.next.is_some();
        // What happens while the listing runs is in the feed from where it stood at the beginning.
        let place = Place {
            page: answer.next,
            feed: feed.unwrap_or(answer.feed),
        };
        Ok(Page::new(changes, encode_cursor(CURSOR, &place)?)
            .more(more)
            .complete(true))
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        let contents = self.bulletin.contents(collection, ids).into_iter();
        let items = contents.map(|content| {
            let (letter, body) = content?;
            Ok(Item::message(meta(letter)?, body))
        });
        Ok(items.collect())
    }
}

impl Account {
    fn news(&self, collection: &str, since: &str, limit: u32) -> Result<Page> {
        let answer = self.bulletin.feed(collection, since, limit)?;
        let changes = answer.changes.into_iter().map(|entry| {
            Ok(match entry {
                Entry::Added { letter } => Change::Upserted(meta(letter)?),
                Entry::Marked { letter } => Change::Marked(meta(letter)?),
                Entry::Removed { id } => Change::Vanished(id),
            })
        });
        let changes = changes.collect::<Result<_>>()?;
        Ok(Page::new(changes, feed_cursor(answer.feed)?).more(answer.more))
    }
}

/// A cursor from which the feed is read on.
pub fn feed_cursor(feed: String) -> Result<String> {
    encode_cursor(CURSOR, &Place { page: None, feed })
}

pub fn collection(folder: Folder) -> Collection {
    let role = folder
        .role
        .as_deref()
        .and_then(|name| ROLES.iter().find(|(_, known)| *known == name));
    Collection::new(folder.id, folder.path)
        .role(role.map(|(role, _)| *role))
        .subscribed(true)
        .claims(Some(folder.letters), None)
        .generation(Some(folder.epoch))
}

/// The provider's names.
pub const ROLES: [(Role, &str); 6] = [
    (Role::Inbox, "inbox"),
    (Role::Archive, "archive"),
    (Role::Drafts, "drafts"),
    (Role::Sent, "sent"),
    (Role::Junk, "junk"),
    (Role::Trash, "trash"),
];

fn meta(letter: Letter) -> Result<ItemMeta> {
    let received = letter.received.as_deref().map(timestamp).transpose()?;
    Ok(ItemMeta::new(letter.id)
        .revision(letter.revision)
        .size(letter.bytes)
        .received(received)
        .flags(letter.flags))
}

/// RFC 3339.
pub fn timestamp(text: &str) -> Result<Timestamp> {
    let wrong = |_| Failure::unavailable("a letter was received at a time that is none");
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(wrong)?;
    Ok(Timestamp {
        unix_ms: at.unix_timestamp() * 1000 + i64::from(at.millisecond()),
        offset_minutes: at.offset().whole_minutes(),
    })
}

/// In RFC 3339, where that can say it.
pub fn text(at: Timestamp) -> Result<String> {
    let wrong = || Failure::rejected("the provider knows no such time of receipt");
    let offset = UtcOffset::from_whole_seconds(i32::from(at.offset_minutes) * 60).map_err(|_| wrong())?;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.unix_ms) * 1_000_000).map_err(|_| wrong())?;
    let moment = moment.checked_to_offset(offset).ok_or_else(wrong)?;
    moment.format(&Rfc3339).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        for written in [
            "2024-05-01T12:00:00+02:00",
            "1999-12-31T23:59:59-08:00",
            "1969-07-20T20:17:40.5Z",
        ] {
            assert_eq!(text(timestamp(written).unwrap()).unwrap(), written);
        }
        assert!(timestamp("yesterday").is_err());
        assert!(
            text(Timestamp {
                unix_ms: i64::MAX,
                offset_minutes: 0
            })
            .is_err()
        );
    }
}
