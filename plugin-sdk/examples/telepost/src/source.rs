//! The account, read.

use serde::{Deserialize, Serialize};
use whimbrel_plugin::{
    Change, Collection, Failure, Item, ItemMeta, Page, Result, Role, Settings, Source, Timestamp, decode_cursor,
    encode_cursor,
};

use crate::session::{self, Entry, Letter, Part, Postbox, Session};

/// The form of the cursors below: a later release can tell its elders' by it.
const CURSOR: u32 = 1;

/// The flags of letters, as the server writes them.
const FLAGS: [(char, &str); 4] = [
    ('S', "\\Seen"),
    ('A', "\\Answered"),
    ('F', "\\Flagged"),
    ('D', "\\Draft"),
];

/// An account and its session, which is opened when it is needed first, and again after trouble.
pub struct Account {
    settings: session::Settings,
    session: Option<Session>,
}

/// Where reading stands.
#[derive(Serialize, Deserialize)]
struct Place {
    /// Within a listing: the number that was listed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
    /// Where the feed stood at the beginning of the listing, or stands now.
    feed: String,
}

impl Account {
    fn with<T>(&mut self, work: impl FnOnce(&Session) -> Result<T>) -> Result<T> {
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.settings)?,
        };
        let done = work(&session);
        if done.as_ref().err().is_none_or(Failure::leaves_session_usable) {
            self.session = Some(session);
        }
        done
    }
}

impl Source for Account {
    fn open(settings: &Settings) -> Result<Self> {
        Ok(Self {
            settings: settings.parse()?,
            session: None,
        })
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        let mut boxes = self.with(Session::boxes)?;
        boxes.sort_by_key(|one| one.path.len());
        Ok(boxes.into_iter().map(collection).collect())
    }

    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let place: Option<Place> = cursor.map(|cursor| decode_cursor(CURSOR, cursor)).transpose()?;
        let (after, feed) = match place {
            Some(Place { after: None, feed }) => {
                let Part { entries, feed, more } = self.with(|session| session.news(collection, &feed, limit))?;
                let changes = entries.into_iter().map(change).collect();
                return Ok(Page::new(changes, encode_cursor(CURSOR, &Place { after: None, feed })?).more(more));
            }
            Some(Place { after, feed }) => (after.unwrap_or(0), Some(feed)),
            None => (0, None),
        };
        let part = self.with(|session| session.letters(collection, after, limit))?;
        let last = part.entries.last().map(Entry::number);
        // What happens while the listing runs is in the feed from where it stood at the beginning.
        let place = Place {
            after: last.filter(|_| part.more),
            feed: feed.unwrap_or(part.feed),
        };
        let changes = part.entries.into_iter().map(change).collect();
        Ok(Page::new(changes, encode_cursor(CURSOR, &place)?)
            .more(part.more)
            .complete(true))
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        // What is no number was never given out.
        let numbers: Vec<Option<u64>> = ids.iter().map(|id| id.parse().ok()).collect();
        let asked: Vec<u64> = numbers.iter().flatten().copied().collect();
        let mut contents = self.with(|session| session.contents(collection, &asked))?.into_iter();
        let items =
            numbers.into_iter().map(
                |number| match number.and_then(|number| Some((number, contents.next()?))) {
                    Some((number, content)) => content.map(|(letter, body)| Item::message(meta(number, &letter), body)),
                    None => Err(Failure::not_found("fetching a letter: its id is no number")),
                },
            );
        Ok(items.collect())
    }
}

fn collection(one: Postbox) -> Collection {
    let role = match one.path.as_slice() {
        [name] if name == "INBOX" => Some(Role::Inbox),
        [name] if name == "Sent" => Some(Role::Sent),
        _ => None,
    };
    Collection::new(one.id, one.path)
        .role(role)
        .subscribed(true)
        .claims(Some(one.letters), None)
        .generation(Some(one.epoch))
}

fn change(entry: Entry) -> Change {
    match entry {
        Entry::New(number, letter) => Change::Upserted(meta(number, &letter)),
        Entry::Marked(number, letter) => Change::Marked(meta(number, &letter)),
        Entry::Gone(number) => Change::Vanished(number.to_string()),
    }
}

fn meta(number: u64, letter: &Letter) -> ItemMeta {
    let flags = FLAGS
        .iter()
        .filter(|(mark, _)| letter.flags.contains(*mark))
        .map(|(_, flag)| *flag);
    let received = letter.received.map(|(seconds, offset_minutes)| Timestamp {
        unix_ms: seconds.saturating_mul(1000),
        offset_minutes,
    });
    ItemMeta::new(number.to_string())
        .size(letter.bytes)
        .received(received)
        .flags(flags)
        .revision(letter.flags.clone())
}
