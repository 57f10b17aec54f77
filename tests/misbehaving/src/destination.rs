//! The account, written: kept in the instance's memory, until it misbehaves.

use std::cell::RefCell;

use whimbrel_plugin::{Blob, Collection, Failure, Item, Kind, Limits, Placement, Result, encode_cursor};

use crate::misdeeds;
use crate::settings::{Mode, Settings};
use crate::source::INBOX;

thread_local! {
    /// What was put into this instance, in order.
    static KEPT: RefCell<Vec<Blob>> = const { RefCell::new(Vec::new()) };
}

/// How many were put.
pub fn kept() -> u64 {
    KEPT.with_borrow(|kept| kept.len() as u64)
}

/// What was put at this place, from 0.
pub fn get(at: u64) -> Option<Blob> {
    KEPT.with_borrow(|kept| {
        let body = kept.get(usize::try_from(at).ok()?)?;
        Some(body.slice(0, body.size()))
    })
}

/// See the module.
#[derive(Debug)]
pub struct Destination {
    settings: Settings,
    mode: Mode,
}

impl whimbrel_plugin::Destination for Destination {
    fn open(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let read = Settings::read(settings)?;
        let mode = read.mode();
        misdeeds::on_open(mode, settings)?;
        Ok(Self { settings: read, mode })
    }

    fn limits(&mut self, _kind: Kind) -> Result<Limits> {
        Ok(Limits::new(crate::abilities()))
    }

    fn ensure(&mut self, wanted: Collection) -> Result<Collection> {
        if wanted.path != [INBOX] {
            return Err(Failure::rejected("there is only INBOX"));
        }
        Ok(Collection {
            id: INBOX.to_owned(),
            generation: Some("1".to_owned()),
            ..wanted
        })
    }

    fn watermark(&mut self, _collection: &str) -> Result<String> {
        encode_cursor(1, &self.next())
    }

    fn put(&mut self, _collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        match self.mode {
            Mode::SpinPut => misdeeds::spin(),
            Mode::TrapPut => {
                let half = items.len() / 2;
                for item in items.into_iter().take(half) {
                    KEPT.with_borrow_mut(|kept| kept.push(item.content));
                }
                misdeeds::trap()
            }
            _ => {}
        }
        let mut lost = self.next();
        let mut placements: Vec<Result<Placement>> = items
            .into_iter()
            .map(|item| {
                lost += 1;
                let id = match self.mode {
                    Mode::LostPut => lost,
                    Mode::SamePlacement => 1,
                    _ => {
                        KEPT.with_borrow_mut(|kept| kept.push(item.content));
                        self.next()
                    }
                };
                Ok(Placement::created(Some(id.to_string())))
            })
            .collect();
        if self.mode == Mode::FewerPlacements {
            placements.pop();
        }
        Ok(placements)
    }
}

impl Destination {
    /// How many there are, which is the id of the last.
    fn next(&self) -> u64 {
        u64::from(self.settings.messages) + kept()
    }
}
