//! The sled store behind the ledger: opening, locking, reading, applying, flushing. Nothing above it knows sled.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde::de::DeserializeOwned;
use sled::IVec;

use crate::{
    LedgerError, LedgerOptions, Result,
    keys::{Key, Kind, describe},
    record, seal,
    stamp::{self, Stamp},
    tree::{Changes, Entry, Fault, Near, Tree},
};

/// The schema that this version writes, and the highest that it reads.
pub(crate) const SCHEMA: u32 = 6;

/// What the schema record starts with; four bytes of schema follow.
const MAGIC: &[u8] = b"whimbrel-ledger\0";

/// The folder of the store within the state folder.
const STORE: &str = "ledger";

/// The file that the process which has the store open holds a lock on, with its id inside.
const LOCK: &str = "lock";

/// Bytes of sled's segments, and so of the smallest file. Pages of up to a quarter of this lie in sled's log: 16 blocks or
/// [pieces](crate::pieces), and indexes of some 300 long keys. It cannot be changed for a store that exists.
const SEGMENT_BYTES: usize = 1 << 20;

/// What they were up to schema 5.
const OLDER_SEGMENT_BYTES: usize = 256 << 10;

/// Bytes of memory for each byte that sled counts of its cache, which is as pages lie on the disk: measured.
const SLED_BYTES: u64 = 4;

/// How often what was committed with `Later` is written, in milliseconds.
const FLUSH_EVERY_MS: u64 = 1000;

/// How often, and after which pause, a store is opened again that this process has just closed.
const CLOSING_TRIES: u32 = 50;
const CLOSING_PAUSE: Duration = Duration::from_millis(20);

/// An open store.
pub(crate) struct Store {
    /// The state folder, for messages.
    folder: PathBuf,
    tree: Tree,
    /// sled's file. Its own flush leaves out the file's size and the disk's cache (`sync_file_range`), so we sync too.
    file: File,
    /// A panic within sled leaves it in a state that nobody knows: nothing is done with it after that.
    broken: AtomicBool,
    /// How many batches were applied.
    applied: AtomicU64,
    /// Held while flushing, so that those who wait find theirs done.
    flushed: Mutex<Flushed>,
    flushes: AtomicU64,
    // The order counts: sealed when sled is closed, and let go of after that.
    seal: Option<Sealing>,
    _lock: Lock,
}

/// What the last flush covers.
struct Flushed {
    /// Of the batches that were applied.
    batches: u64,
    /// All flushes since the ledger was made.
    number: u64,
    stamp: Stamp,
}

impl Store {
    /// The folder of the store in a state folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(STORE)
    }

    /// Opens the store in `folder/ledger`.
    pub fn open(folder: &Path, options: &LedgerOptions) -> Result<Self> {
        Self::open_at(folder, &Self::path(folder), options)
    }

    /// Opens the store in `path`; `folder` is for messages.
    pub fn open_at(folder: &Path, path: &Path, options: &LedgerOptions) -> Result<Self> {
        match look(path)? {
            There::Nothing if !options.create => {
                return Err(LedgerError::Missing {
                    folder: folder.to_owned(),
                });
            }
            There::Remains => {
                return Err(LedgerError::Corrupt {
                    folder: folder.to_owned(),
                    what: "the store".to_owned(),
                    problem: "its file `db` is gone".to_owned(),
                });
            }
            There::Nothing | There::Store => {}
        }
        fs::create_dir_all(path).map_err(|source| LedgerError::Io {
            doing: "making the ledger's folder",
            path: path.to_owned(),
            source,
        })?;
        let lock = Lock::take(folder, path)?;
        let (stamp, number) = Stamp::open(folder, path)?;
        seal::open(folder, path)?;
        let opened = Self::start(folder, path, options, lock, stamp).and_then(|mut store| {
            let checked = store
                .check_flushes(number)
                .and_then(|()| store.check_schema(path, options.create));
            if !matches!(checked, Err(LedgerError::Corrupt { .. })) {
                store.seal = Some(Sealing(path.to_owned()));
            }
            checked.map(|()| store)
        });
        // sled mends what it opens, and may find nothing wrong with the rest the next time.
        if matches!(opened, Err(LedgerError::Corrupt { .. }))
            && let Err(error) = seal::refuse(path)
        {
            tracing::warn!(%error, "it could not be noted that the ledger is damaged");
        }
        opened
    }

    /// Opens a store that is known to be damaged, to read what can be read. Its seal stays broken.
    pub fn open_damaged(folder: &Path, path: &Path) -> Result<Self> {
        if look(path)? != There::Store {
            return Err(LedgerError::Missing {
                folder: folder.to_owned(),
            });
        }
        let lock = Lock::take(folder, path)?;
        let stamp = Stamp::unread(path);
        Self::start(folder, path, &LedgerOptions::default(), lock, stamp)
    }

    /// Has sled open it.
    fn start(folder: &Path, path: &Path, options: &LedgerOptions, lock: Lock, stamp: Stamp) -> Result<Self> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(options.cache_bytes / SLED_BYTES)
            .mode(sled::Mode::LowSpace)
            .segment_size(segment_bytes(path))
            .flush_every_ms(Some(FLUSH_EVERY_MS));
        let mut opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        // sled's threads may hold its own lock for a moment after the store was closed in this process.
        for _ in 0..CLOSING_TRIES {
            if !matches!(&opened, Ok(Err(error)) if is_locked(error)) {
                break;
            }
            thread::sleep(CLOSING_PAUSE);
            opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        }
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(error)) => return Err(failed(folder, "opening the ledger in", error)),
            Err(_) => {
                return Err(LedgerError::Corrupt {
                    folder: folder.to_owned(),
                    what: "the store".to_owned(),
                    problem: "it cannot be opened".to_owned(),
                });
            }
        };
        let file = File::options()
            .read(true)
            .write(true)
            .open(path.join("db"))
            .map_err(|source| LedgerError::Io {
                doing: "opening the ledger in",
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            folder: folder.to_owned(),
            tree: Tree::new(db),
            file,
            broken: AtomicBool::new(false),
            applied: AtomicU64::new(0),
            flushed: Mutex::new(Flushed {
                batches: 0,
                number: 0,
                stamp,
            }),
            flushes: AtomicU64::new(0),
            seal: None,
            _lock: lock,
        })
    }

    /// Finds out whether the store has all that was flushed, as the stamp beside it says.
    fn check_flushes(&self, stamped: Option<u64>) -> Result<()> {
        let key = Key::new(Kind::Flushes);
        let number = match self.get(&key)? {
            None => 0,
            Some(value) => (*value)
                .try_into()
                .map(u64::from_be_bytes)
                .map_err(|_| self.corrupt(key.bytes(), "it is no number"))?,
        };
        let stamped = stamped.unwrap_or_default();
        if number < stamped {
            return Err(LedgerError::Corrupt {
                folder: self.folder.clone(),
                what: "the store".to_owned(),
                problem: format!("it was flushed {stamped} times and holds the first {number} alone"),
            });
        }
        hold(&self.flushed).number = number;
        Ok(())
    }

    fn check_schema(&self, path: &Path, create: bool) -> Result<()> {
        let key = Key::schema();
        let Some(value) = self.get(&key)? else {
            if !self.guarded("reading the ledger in", || self.tree.holds_fewer_than(1))? {
                let problem = "it is a sled database of something else".to_owned();
                return Err(LedgerError::NotALedger {
                    folder: path.to_owned(),
                    problem,
                });
            }
            if !create {
                return Err(LedgerError::Missing {
                    folder: self.folder.clone(),
                });
            }
            let mut changes = Changes::default();
            changes.insert(key, [MAGIC, &SCHEMA.to_be_bytes()].concat());
            self.apply(&changes)?;
            self.flush()?;
            // The files' names are to last as well.
            for folder in [Some(path), path.parent()].into_iter().flatten() {
                sync_folder(folder)?;
            }
            return Ok(());
        };
        let found = value
            .strip_prefix(MAGIC)
            .and_then(|schema| schema.try_into().ok())
            .map(u32::from_be_bytes);
        match found {
            Some(SCHEMA) => Ok(()),
            Some(found) if found > SCHEMA => Err(LedgerError::NewerSchema {
                folder: self.folder.clone(),
                found,
                known: SCHEMA,
            }),
            Some(found) if found > 0 => Err(LedgerError::OlderSchema {
                folder: self.folder.clone(),
                found,
                known: SCHEMA,
            }),
            _ => Err(self.corrupt(key.bytes(), "it is not a schema that was ever written")),
        }
    }

    /// Runs something of sled's, turning its errors, and panics, into ours.
    fn guarded<T>(&self, doing: &'static str, work: impl FnOnce() -> Result<T, Fault>) -> Result<T> {
        if self.broken.load(Ordering::Acquire) {
            return Err(LedgerError::Store {
                folder: self.folder.clone(),
                problem: "it failed before".to_owned(),
            });
        }
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Fault::Sled(error))) => Err(failed(&self.folder, doing, error)),
            Ok(Err(Fault::Block(key))) => Err(self.corrupt(&key, "the block that begins here is broken")),
            Ok(Err(Fault::Piece(key))) => Err(self.corrupt(&key, "a piece of it is missing")),
            Err(panic) => {
                self.broken.store(true, Ordering::Release);
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref().copied());
                let problem = format!("while {doing} it: {}", text.unwrap_or("unknown fault"));
                Err(LedgerError::Store {
                    folder: self.folder.clone(),
                    problem,
                })
            }
        }
    }

    /// Whether there is nothing in it but its schema.
    pub fn is_unused(&self) -> Result<bool> {
        self.guarded("reading the ledger in", || self.tree.holds_fewer_than(3))
    }

    /// The value of this key.
    pub fn get(&self, key: &Key) -> Result<Option<IVec>> {
        self.guarded("reading the ledger in", || self.tree.get(key))
    }

    /// The value of this key, of a kind that lies in blocks; for who asks for neighbours; as it was when the
    /// block was looked into.
    pub fn get_near(&self, near: &mut Near, key: &Key) -> Result<Option<IVec>> {
        self.guarded("reading the ledger in", || self.tree.get_near(near, key))
    }

    /// The record of this key.
    pub fn load<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        match self.get(key)? {
            Some(value) => self.decode(key.bytes(), &value).map(Some),
            None => Ok(None),
        }
    }

    /// The record in a value that was read.
    pub fn decode<T: DeserializeOwned>(&self, key: &[u8], value: &[u8]) -> Result<T> {
        record::decode(value).map_err(|problem| self.corrupt(key, &problem))
    }

    /// All keys that begin so, ascending, with their values; those after `after`, if given, which begins so too.
    pub fn scan(&self, prefix: &Key, after: Option<&Key>) -> Scan {
        Scan(Some(crate::tree::Scan::new(&self.tree, prefix, after)))
    }

    /// The last key that begins so, of a kind whose entries lie one by one.
    pub fn last(&self, prefix: &Key) -> Result<Option<IVec>> {
        self.guarded("reading the ledger in", || self.tree.last(prefix))
    }

    /// Makes all these changes, or none of them. Those of several calls reach the disk in the order of the calls.
    pub fn apply(&self, changes: &Changes) -> Result<()> {
        self.guarded("writing to the ledger in", || self.tree.apply(changes))?;
        self.applied.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Returns when all that was applied before lies on the disk. Those who come while another flushes share the next.
    pub fn flush(&self) -> Result<()> {
        let wanted = self.applied.load(Ordering::Acquire);
        let mut flushed = hold(&self.flushed);
        if flushed.batches >= wanted {
            return Ok(());
        }
        let covers = self.applied.load(Ordering::Acquire);
        let number = flushed.number + 1;
        let mut count = Changes::default();
        count.insert(Key::new(Kind::Flushes), number.to_be_bytes());
        self.guarded("writing to the ledger in", || {
            // After all that this flush covers: where the end of sled's log is lost, this is lost as well.
            self.tree.apply(&count)?;
            self.tree.flush()?;
            Ok(self.file.sync_data().map_err(sled::Error::Io)?)
        })?;
        self.flushes.fetch_add(1, Ordering::Relaxed);
        (flushed.batches, flushed.number) = (covers, number);
        flushed.stamp.write(number)
    }

    /// How often the disk was waited for.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    /// The state folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// This record makes no sense.
    pub fn corrupt(&self, key: &[u8], problem: &str) -> LedgerError {
        LedgerError::Corrupt {
            folder: self.folder.clone(),
            what: describe(key),
            problem: problem.to_owned(),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!(%error, "the ledger's last changes could not be written");
        }
    }
}

/// Seals the store in this folder when it is dropped, which is when the store was closed.
struct Sealing(PathBuf);

impl Drop for Sealing {
    fn drop(&mut self) {
        if let Err(error) = seal::close(&self.0) {
            tracing::warn!(%error, "the ledger could not be sealed: damage to its file may go unnoticed until it is opened again");
        }
    }
}

/// Keys and values in order, as of [`crate::tree::Scan`]; nothing more comes after an error.
pub(crate) struct Scan(Option<crate::tree::Scan>);

impl Scan {
    /// The next one, read by way of its store.
    pub fn next(&mut self, store: &Store) -> Option<Result<Entry>> {
        let scan = self.0.as_mut()?;
        let next = store
            .guarded("reading the ledger in", || scan.next(&store.tree))
            .transpose();
        if !matches!(next, Some(Ok(_))) {
            self.0 = None;
        }
        next
    }
}

/// What lies where the store is to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum There {
    Nothing,
    Store,
    /// Something was flushed here, and the store is gone.
    Remains,
}

/// Looks before sled does, which would make a database among whatever is there.
pub(crate) fn look(path: &Path) -> Result<There> {
    let not_a_ledger = |problem: String| LedgerError::NotALedger {
        folder: path.to_owned(),
        problem,
    };
    let unreadable = |source| LedgerError::Io {
        doing: "looking for the ledger in",
        path: path.to_owned(),
        source,
    };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory && path.exists() => {
            return Err(not_a_ledger("it is a file".to_owned()));
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut there = There::Nothing;
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        match name.to_str() {
            Some("db") => there = There::Store,
            Some(stamp::NAME) if there == There::Nothing => there = There::Remains,
            Some(stamp::NAME | seal::NAME) => {}
            Some("conf" | "blobs" | LOCK) => {}
            Some(name) if name.starts_with("snap.") => {}
            _ => return Err(not_a_ledger(format!("it holds `{}`", name.to_string_lossy()))),
        }
    }
    Ok(there)
}

/// Bytes of the segments of the store in `path`: one of an older schema is opened as well, to be told.
fn segment_bytes(path: &Path) -> usize {
    // Lines, and a check sum behind them.
    let conf = fs::read(path.join("conf")).unwrap_or_default();
    let older = format!("segment_size: {OLDER_SEGMENT_BYTES}");
    match conf.split(|byte| *byte == b'\n').any(|line| line == older.as_bytes()) {
        true => OLDER_SEGMENT_BYTES,
        false => SEGMENT_BYTES,
    }
}

/// Makes the names in a folder last.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| LedgerError::Io {
            doing: "writing to the folder",
            path: path.to_owned(),
            source,
        })?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(source) if source.to_string().starts_with("could not acquire lock"))
}

fn failed(folder: &Path, doing: &'static str, error: sled::Error) -> LedgerError {
    let folder = folder.to_owned();
    match error {
        error if is_locked(&error) => LedgerError::Locked { folder, process: None },
        sled::Error::Io(source) => LedgerError::Io {
            doing,
            path: folder,
            source: plain(source),
        },
        sled::Error::Corruption { at, .. } => {
            let problem = at.map_or_else(
                || "its check sums do not match".to_owned(),
                |at| format!("its check sum does not match at {at:?}"),
            );
            LedgerError::Corrupt {
                folder,
                what: "the store".to_owned(),
                problem,
            }
        }
        sled::Error::CollectionNotFound(_) => LedgerError::Store {
            folder,
            problem: "a tree is missing".to_owned(),
        },
        sled::Error::Unsupported(problem) | sled::Error::ReportableBug(problem) => {
            LedgerError::Store { folder, problem }
        }
    }
}

/// sled repeats an error as `Os { code: …, message: … }`; the kind alone says it better.
fn plain(error: io::Error) -> io::Error {
    if error.raw_os_error().is_none() && error.kind() != io::ErrorKind::Other {
        error.kind().into()
    } else {
        error
    }
}

/// The lock that keeps a second process away.
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the store in `path`; `folder` is for messages.
    pub fn take(folder: &Path, path: &Path) -> Result<Self> {
        let name = path.join(LOCK);
        let io = |source| LedgerError::Io {
            doing: "locking the ledger with",
            path: name.clone(),
            source,
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let process = (&file)
                    .take(32)
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse().ok());
                return Err(LedgerError::Locked {
                    folder: folder.to_owned(),
                    process,
                });
            }
            // Some network file systems know no locks; sled takes one of its own as well, where it can.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io)?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The id is for messages only: one that stays behind does no harm.
        let _ = self.file.set_len(0);
    }
}

/// A lock that outlives a panic of whoever held it: nothing is kept in the ledger's locks that could be half done.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
