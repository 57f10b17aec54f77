//! A seal on the store's file while nobody has it open: what was changed meanwhile by a failing disk, or by hand, is
//! noticed before it is believed.
//!
//! sled passes over some broken places of its file without a word. Closing a store hashes the file, opening it compares.
//! Who is killed leaves no seal; then the [stamp](crate::stamp) and sled's own check sums are what there is.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use blake3::{Hash, Hasher};

use crate::{LedgerError, Result, store::sync_folder};

/// The file's name, in the folder of the store.
pub(crate) const NAME: &str = "seal";

/// The largest file that is sealed, in bytes: reading more would make opening and closing slow.
const LARGEST: u64 = 1 << 30;

/// The seal that no file has.
const NEVER: [u8; 32] = [255; 32];

/// How often, and after which pause, it is asked whether sled's threads have let go of a store that was closed.
const CLOSING_TRIES: u32 = 500;
const CLOSING_PAUSE: Duration = Duration::from_millis(1);

/// Breaks the seal of the store in `store`, which is about to be opened. Fails where the file is not what was sealed,
/// and leaves the seal as it is then. `state` is for messages.
pub(crate) fn open(state: &Path, store: &Path) -> Result<()> {
    let path = store.join(NAME);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| LedgerError::Io {
            doing: "opening the ledger with",
            path,
            source,
        }
    };
    let sealed = match fs::read(&path) {
        Ok(sealed) => sealed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(&path)(error)),
    };
    // A crash of the machine can leave the name without the content.
    if let Ok(sealed) = <[u8; 32]>::try_from(sealed.as_slice())
        && sealed != [0; 32]
    {
        let file = database(store);
        let found = hash(&file).map_err(io(&file))?;
        // `Hash` compares in constant time, which does no harm.
        if found != Hash::from_bytes(sealed) {
            return Err(LedgerError::Corrupt {
                folder: state.to_owned(),
                what: "the store".to_owned(),
                problem: "its file `db` is not as it was left".to_owned(),
            });
        }
    }
    fs::remove_file(&path).map_err(io(&path))?;
    // Before anything is written: a seal that came back after a crash would call a sound store damaged.
    sync_folder(store)
}

/// Seals the store in `store`, which was found damaged, such that it is refused from now on, whatever its file looks like.
pub(crate) fn refuse(store: &Path) -> io::Result<()> {
    let path = store.join(NAME);
    let mut file = File::create(&path)?;
    file.write_all(&NEVER)?;
    file.sync_data()
}

/// Seals the store in `store`, which was closed, as soon as sled's threads have let go of it.
pub(crate) fn close(store: &Path) -> io::Result<()> {
    let path = database(store);
    let file = File::options().read(true).write(true).open(&path)?;
    if file.metadata()?.len() > LARGEST {
        return Ok(());
    }
    for _ in 0..CLOSING_TRIES {
        if file.try_lock().is_ok() {
            // What sled wrote last is to be on the disk before anybody is told what it is.
            file.sync_data()?;
            let hash = hash(&path)?;
            return File::create(store.join(NAME))?.write_all(hash.as_bytes());
        }
        thread::sleep(CLOSING_PAUSE);
    }
    Ok(())
}

fn database(store: &Path) -> PathBuf {
    store.join("db")
}

fn hash(path: &Path) -> io::Result<Hash> {
    let mut hasher = Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize())
}
