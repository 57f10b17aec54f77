//! The file: opened whole, replaced whole.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::contents::{self, Content, Entries, Entry, Unreadable};
use crate::{Key, Result, VaultError};

/// The vault, in the state folder.
const FILE: &str = "secrets.age";

/// What writers hold while they write.
const LOCK: &str = "secrets.lock";

/// How age's text form ends.
const END: &[u8] = b"-----END AGE ENCRYPTED FILE-----";

/// Bytes of a vault at most: thousands of logins.
const LARGEST: u64 = 64 << 20;

/// How often, and how far apart, the lock is asked for: ten seconds.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// An open vault. `Debug` shows its place and how much is in it.
pub struct Vault {
    folder: PathBuf,
    path: PathBuf,
    key: Key,
    entries: Entries,
    /// The file as it was read or written last.
    sealed: Vec<u8>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("path", &self.path)
            .field("secrets", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// Where the vault of a folder lies.
    pub fn path_in(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// A new, empty one; makes the folder where it is not there.
    ///
    /// # Errors
    /// `Exists` where there is one; `Locked`; what the disk says.
    pub fn create(folder: &Path, key: Key) -> Result<Self> {
        fs::create_dir_all(folder).map_err(VaultError::io("make the folder", folder))?;
        let mut vault = Self {
            folder: folder.to_owned(),
            path: Self::path_in(folder),
            key,
            entries: Entries::new(),
            sealed: Vec::new(),
        };
        let _lock = vault.lock()?;
        if vault.path.exists() {
            return Err(VaultError::Exists { path: vault.path });
        }
        vault.write(Entries::new())?;
        Ok(vault)
    }

    /// Opens one. With a passphrase this takes a third of a second and 128 MiB.
    ///
    /// # Errors
    /// Every way in which it cannot be read has its own; see [`VaultError`].
    pub fn open(folder: &Path, key: Key) -> Result<Self> {
        let path = Self::path_in(folder);
        let sealed = read(&path)?;
        let entries = unseal(&path, &key, &sealed)?;
        Ok(Self {
            folder: folder.to_owned(),
            path,
            key,
            entries,
            sealed,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What opens it.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// All entries, by name.
    pub fn list(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Reads what others may have written meanwhile. Costs nothing where nobody did.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn reload(&mut self) -> Result<()> {
        let sealed = read(&self.path)?;
        if sealed != self.sealed {
            self.entries = unseal(&self.path, &self.key, &sealed)?;
            self.sealed = sealed;
        }
        Ok(())
    }

    /// Sets a secret, new or in the place of another one; `now` is in seconds since 1970. It lies on the disk when this
    /// returns. Blocks.
    ///
    /// # Errors
    /// `BadName`, `Locked`, what the disk says, and as [`Self::open`]. Then nothing has changed.
    pub fn set(&mut self, name: &str, content: Content, now: i64) -> Result<()> {
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(VaultError::BadName);
        }
        let _lock = self.lock()?;
        self.reload()?;
        let mut entries = self.entries.clone();
        entries.insert(name.to_owned(), Entry { content, set: now });
        self.write(entries)
    }

    /// Removes a secret. Whether there was one. Blocks.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn remove(&mut self, name: &str) -> Result<bool> {
        let _lock = self.lock()?;
        self.reload()?;
        let mut entries = self.entries.clone();
        let found = entries.remove(name).is_some();
        if found {
            self.write(entries)?;
        }
        Ok(found)
    }

    /// Encrypts everything for another key, which alone opens it from now on. Blocks.
    ///
    /// # Errors
    /// As [`Self::set`]; the old key stays then.
    pub fn rekey(&mut self, key: Key) -> Result<()> {
        let _lock = self.lock()?;
        self.reload()?;
        let old = std::mem::replace(&mut self.key, key);
        self.write(self.entries.clone()).inspect_err(|_| self.key = old)
    }

    /// Waits until nobody else writes. The lock goes with the file.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join(LOCK);
        let failed = VaultError::io("lock the vault with", &path);
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(VaultError::Missing {
                    path: self.path.clone(),
                });
            }
            Err(error) => return Err(failed(error)),
        };
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Err(VaultError::Locked {
            path: self.path.clone(),
        })
    }

    /// Replaces the file. Temporary files are their owner's alone (mode 0600), and so is what they become.
    fn write(&mut self, entries: Entries) -> Result<()> {
        let plain = contents::write(&entries).map_err(|error| VaultError::Sealing(error.to_string()))?;
        let sealed = self.key.seal(&plain)?.into_bytes();
        replace(&self.folder, &self.path, &sealed).map_err(VaultError::io("write the vault", &self.path))?;
        (self.entries, self.sealed) = (entries, sealed);
        Ok(())
    }
}

fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".part-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The new name must outlast a power cut too.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => VaultError::Missing { path: path.to_owned() },
        _ => VaultError::io("read the vault", path)(error),
    };
    if fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(VaultError::Damaged { path: path.to_owned() });
    }
    fs::read(path).map_err(failed)
}

fn unseal(path: &Path, key: &Key, sealed: &[u8]) -> Result<Entries> {
    if !sealed.trim_ascii_end().ends_with(END) {
        return Err(VaultError::Truncated { path: path.to_owned() });
    }
    let plain = key.open(sealed).map_err(|error| key.explain(path, sealed, &error))?;
    contents::read(&plain).map_err(|unreadable| match unreadable {
        Unreadable::Version(found) => VaultError::Version {
            path: path.to_owned(),
            found: found.to_string(),
            known: contents::VERSION,
        },
        Unreadable::Garbled => VaultError::Damaged { path: path.to_owned() },
    })
}
