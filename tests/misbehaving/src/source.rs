//! The account, read: messages that bear their number, until it misbehaves.

use whimbrel_plugin::{Blob, Change, Collection, Failure, Item, ItemMeta, Page, Pager, Result, Timestamp, blobs};
use whimbrel_plugin::{decode_cursor, encode_cursor};

use crate::destination;
use crate::misdeeds;
use crate::settings::{Mode, Settings};

/// The only collection.
pub const INBOX: &str = "INBOX";

/// See the module.
#[derive(Debug)]
pub struct Source {
    settings: Settings,
    mode: Mode,
}

impl whimbrel_plugin::Source for Source {
    fn open(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let read = Settings::read(settings)?;
        let mode = read.mode();
        misdeeds::on_open(mode, settings)?;
        Ok(Self { settings: read, mode })
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        let count = self.count();
        let claimed = if self.mode == Mode::WrongCount {
            count * 2
        } else {
            count
        };
        let inbox = Collection::new(INBOX, [INBOX])
            .role(Some(whimbrel_plugin::Role::Inbox))
            .claims(Some(claimed), None)
            .generation(Some("1".to_owned()));
        Ok(match self.mode {
            Mode::HugeList => (0..1_000_000).map(|n| Collection::new(n.to_string(), ["x"])).collect(),
            Mode::HugeString => vec![Collection::new(INBOX, ["x".repeat(32 * 1024 * 1024)])],
            Mode::DuplicateCollections => vec![inbox.clone(), inbox],
            Mode::OddNames => vec![
                inbox,
                Collection::new("odd", ["\u{1b}[2J\u{202e}gnp.tnes\u{2066}\u{7}\r\nok"]),
            ],
            _ => vec![inbox],
        })
    }

    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        if collection != INBOX {
            return Err(Failure::not_found("there is only INBOX"));
        }
        let from: u64 = cursor.map_or(Ok(0), |cursor| decode_cursor(1, cursor))?;
        match self.mode {
            Mode::Spin => misdeeds::spin(),
            Mode::Allocate => misdeeds::allocate(),
            Mode::FloodLog => misdeeds::flood_log(),
            Mode::FillDisk => misdeeds::fill_disk(),
            Mode::HoardHandles => misdeeds::hoard_handles(),
            Mode::Recurse => {
                let depth = misdeeds::recurse(0);
                return Err(Failure::internal(format!("the stack holds {depth}")));
            }
            Mode::EndlessPages => return Ok(Page::new(Vec::new(), encode_cursor(1, &(from + 1))?).more(true)),
            Mode::StuckCursor => return Ok(Page::new(Vec::new(), cursor.map_or("1:0", |cursor| cursor)).more(true)),
            Mode::HugeCursor => return Ok(Page::new(Vec::new(), "x".repeat(1024 * 1024))),
            _ => {}
        }
        let mut pager = Pager::new(if self.mode == Mode::TooManyChanges {
            limit.saturating_add(1)
        } else {
            limit
        });
        let mut at = from;
        while at < self.count() && !pager.is_full() {
            pager.upserted(self.meta(at));
            at += 1;
        }
        if self.mode == Mode::TooManyChanges {
            while pager.upserted(ItemMeta::new(format!("extra{}", pager.len()))) {}
        }
        let more = at < self.count();
        let mut page = pager
            .page(encode_cursor(1, &at)?, more)
            .complete(cursor.is_none() && !more);
        if from == 0 {
            self.spoil(&mut page);
        }
        Ok(page)
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        if collection != INBOX {
            return Err(Failure::not_found("there is only INBOX"));
        }
        match self.mode {
            Mode::Trap => misdeeds::trap(),
            Mode::HugeBlob => drop(Blob::new(&vec![0; 2 * 1024 * 1024])),
            _ => {}
        }
        let mut answers: Vec<Result<Item>> = ids.iter().map(|id| self.item(id)).collect();
        match self.mode {
            Mode::FewerAnswers => drop(answers.pop()),
            Mode::MoreAnswers => answers.push(self.item("1")),
            Mode::SwappedAnswers => answers.reverse(),
            Mode::UnlistedAnswers => {
                for item in answers.iter_mut().flatten() {
                    item.meta.id.push_str("-unlisted");
                }
            }
            _ => {}
        }
        Ok(answers)
    }

    fn wait(&mut self, _timeout_ms: u64) -> Result<Vec<String>> {
        if self.mode == Mode::HugeWait {
            misdeeds::spin();
        }
        Ok(Vec::new())
    }
}

impl Source {
    /// What is made up, and what was put.
    fn count(&self) -> u64 {
        u64::from(self.settings.messages) + destination::kept()
    }

    /// Of the item at this place, from 0; its id is one more.
    fn meta(&self, at: u64) -> ItemMeta {
        let size = match self.made(at) {
            Some(text) => text.len() as u64,
            None => destination::get(at - u64::from(self.settings.messages)).map_or(0, |body| body.size()),
        };
        let size = if self.mode == Mode::WrongSize {
            size + 1_000_000
        } else {
            size
        };
        let received = Timestamp {
            unix_ms: 1_500_000_000_000,
            offset_minutes: 60,
        };
        ItemMeta::new((at + 1).to_string())
            .size(size)
            .received(Some(received))
            .flags(["\\Seen"])
    }

    fn made(&self, at: u64) -> Option<String> {
        (at < u64::from(self.settings.messages)).then(|| {
            format!(
                "Subject: {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\nBody {number}\r\n",
                number = at + 1
            )
        })
    }

    fn item(&self, id: &str) -> Result<Item> {
        let at = id
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_sub(1))
            .filter(|at| *at < self.count());
        let at = at.ok_or_else(|| Failure::not_found("there is no such item"))?;
        let body = match self.made(at) {
            Some(_) if self.mode == Mode::Garbage => blobs::blob(&[0xff; 500]),
            Some(text) => blobs::blob(text.as_bytes()),
            None => destination::get(at - u64::from(self.settings.messages))
                .ok_or_else(|| Failure::not_found("there is no such item"))?,
        };
        Ok(Item::message(self.meta(at), body))
    }

    /// The first page, made wrong.
    fn spoil(&self, page: &mut Page) {
        let first = page.changes.first().cloned();
        let Some(Change::Upserted(mut meta)) = first else {
            return;
        };
        match self.mode {
            Mode::EmptyId => meta.id.clear(),
            Mode::LongId => meta.id = "9".repeat(2000),
            Mode::DuplicateIds => {
                if page.changes.len() > 1 {
                    page.changes[1] = Change::Upserted(meta);
                }
                return;
            }
            Mode::CompleteAndCapped => {
                page.complete = true;
                page.capped = Some("both".to_owned());
                return;
            }
            _ => return,
        }
        page.changes[0] = Change::Upserted(meta);
    }
}
