//! Setting a damaged ledger aside, so that another can take its place.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Ledger, LedgerError, Result,
    keys::{Key, Kind, Parts},
    store::{Store, look, sync_folder},
};

/// What the folder of one that was set aside is called, before its number.
const DAMAGED: &str = "ledger.damaged-";

/// More of them than anybody has.
const MOST: u32 = 10_000;

/// A ledger that was set aside.
#[derive(Debug)]
pub struct Aside {
    /// Where it lies now.
    pub folder: PathBuf,
    /// Those of its notes ([`Ledger::set_meta`]) that can still be read.
    pub notes: Vec<(String, String)>,
}

impl Ledger {
    /// Moves the ledger of a state folder to a name of its own beside it, and reads what notes it can.
    ///
    /// Fails with [`LedgerError::Locked`] while another process has it open, and where there is none.
    pub fn set_aside(state: &Path) -> Result<Aside> {
        let place = Store::path(state);
        let io = |source| LedgerError::Io {
            doing: "setting aside the ledger in",
            path: place.clone(),
            source,
        };
        look(&place)?;
        let notes = Store::rescue(state, &place)?;
        let free = (1..MOST)
            .map(|number| state.join(format!("{DAMAGED}{number}")))
            .find(|path| !path.exists())
            .ok_or_else(|| io(io::ErrorKind::AlreadyExists.into()))?;
        fs::rename(&place, &free).map_err(io)?;
        sync_folder(state)?;
        Ok(Aside { folder: free, notes })
    }
}

impl Store {
    /// The notes of a store that is damaged, as far as they can be read; none where nothing can.
    fn rescue(state: &Path, path: &Path) -> Result<Vec<(String, String)>> {
        let store = match Self::open_damaged(state, path) {
            Ok(store) => store,
            Err(error @ LedgerError::Locked { .. }) => return Err(error),
            Err(_) => return Ok(Vec::new()),
        };
        let prefix = Key::new(Kind::Meta);
        let mut scan = store.scan(&prefix, None);
        let mut notes = Vec::new();
        while let Some(Ok((key, value))) = scan.next(&store) {
            let name = Parts::after(&key, &prefix).and_then(|mut parts| parts.string());
            if let (Some(name), Ok(note)) = (name, store.decode(&key, &value)) {
                notes.push((name.to_owned(), note));
            }
        }
        Ok(notes)
    }
}
