//! The account, written. It is read, too: after a crash the host looks at what is there.

use whimbrel_plugin::{Collection, Destination, Failure, Item, Kind, Limits, Placement, Remark, Result, Settings};

use crate::ABILITIES;
use crate::bulletin::Bulletin;
use crate::source::{ROLES, collection, feed_cursor, text};

/// What the provider says that it takes, in bytes.
const LARGEST: u64 = 64 << 20;

pub struct Account {
    bulletin: Bulletin,
}

impl Destination for Account {
    fn open(settings: &Settings) -> Result<Self> {
        Ok(Self {
            bulletin: Bulletin::open(settings)?,
        })
    }

    fn limits(&mut self, kind: Kind) -> Result<Limits> {
        if kind != Kind::Message {
            return Err(Failure::unsupported("the bulletin holds messages and nothing else"));
        }
        Ok(Limits {
            max_item_bytes: Some(LARGEST),
            max_name_bytes: Some(200),
            ..Limits::new(ABILITIES)
        })
    }

    fn ensure(&mut self, wanted: Collection) -> Result<Collection> {
        // The API makes one level at a time, and gives what is there already.
        for depth in 1..wanted.path.len() {
            self.bulletin.make_folder(&wanted.path[..depth], None)?;
        }
        let role = ROLES
            .iter()
            .find(|(role, _)| Some(*role) == wanted.role)
            .map(|(_, name)| *name);
        self.bulletin.make_folder(&wanted.path, role).map(collection)
    }

    fn watermark(&mut self, collection: &str) -> Result<String> {
        feed_cursor(self.bulletin.letters(collection, None, 1)?.feed)
    }

    fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        each(items, |Item { meta, content, .. }| {
            let received = meta.received.map(text).transpose()?;
            let letter = self
                .bulletin
                .add(collection, content, received.as_deref(), &meta.flags)?;
            Ok(Placement::created(Some(letter.id)).revision(letter.revision))
        })
    }

    fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<()>>> {
        each(remarks, |remark| {
            self.bulletin.set_flags(collection, &remark.id, &remark.flags)
        })
    }

    fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        each(ids, |id| match self.bulletin.remove(collection, id) {
            Err(Failure::NotFound(_)) => Ok(()),
            answer => answer,
        })
    }
}

/// One answer for each, in order. A failure that is not of one thing alone ends the call.
fn each<T, A>(things: impl IntoIterator<Item = T>, mut work: impl FnMut(T) -> Result<A>) -> Result<Vec<Result<A>>> {
    let mut answers = Vec::new();
    for thing in things {
        match work(thing) {
            Err(failure) if !is_of_one(&failure) => return Err(failure),
            answer => answers.push(answer),
        }
    }
    Ok(answers)
}

/// No trouble for the next.
fn is_of_one(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::NotFound(_) | Failure::Forbidden(_) | Failure::Rejected(_) | Failure::TooLarge(_)
    )
}
