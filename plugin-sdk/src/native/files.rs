//! Folders of the test's.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::blobs::Blob;
use crate::{Failure, Result, Timestamp};

/// See `wit/files.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub struct Entry {
    pub name: String,
    pub directory: bool,
    pub bytes: u64,
    pub modified: Timestamp,
}

/// A folder. Names that are not UTF-8 are left out here; the host escapes them.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

fn failure(path: &str, error: &std::io::Error) -> Failure {
    let text = format!("`{path}`: {error}");
    match error.kind() {
        ErrorKind::NotFound => Failure::not_found(text),
        ErrorKind::PermissionDenied => Failure::forbidden(text),
        ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty | ErrorKind::InvalidFilename => Failure::rejected(text),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Failure::over_quota(text),
        _ => Failure::unavailable(text),
    }
}

#[allow(clippy::missing_errors_doc, reason = "the documentation is in wit/")]
impl Folder {
    /// The one that the test gives for this setting.
    pub fn open(setting: &str) -> Result<Self> {
        super::with(|world| match world.folders.get(setting) {
            Some(root) => Ok(Self { root: root.clone() }),
            None => Err(Failure::forbidden(format!("the test gives no folder for `{setting}`"))),
        })
    }
    /// A page of it.
    pub fn entries(&self, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Entry>> {
        let wrong = |error: std::io::Error| failure(path, &error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.at(path)?).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            if let Some(name) = entry
                .file_name()
                .to_str()
                .filter(|name| after.is_none_or(|after| *name > after))
            {
                entries.push(described(name, &fs::metadata(entry.path()).map_err(wrong)?));
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries.truncate(limit.min(10_000) as usize);
        Ok(entries)
    }
    /// What is there.
    pub fn stat(&self, path: &str) -> Result<Option<Entry>> {
        let name = path.rsplit('/').next().unwrap_or_default();
        match fs::metadata(self.at(path)?) {
            Ok(found) => Ok(Some(described(name, &found))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure(path, &error)),
        }
    }
    /// A file or a part of it.
    pub fn read(&self, path: &str, offset: u64, length: Option<u64>) -> Result<Blob> {
        let wrong = |error: std::io::Error| failure(path, &error);
        let mut file = fs::File::open(self.at(path)?).map_err(wrong)?;
        let size = file.metadata().map_err(wrong)?.len();
        let end = length
            .map_or(Some(size), |length| offset.checked_add(length))
            .filter(|end| *end <= size);
        let Some(end) = end.filter(|end| offset <= *end) else {
            return Err(Failure::rejected(format!(
                "`{path}` ends before the part that is wanted"
            )));
        };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(offset)).map_err(wrong)?;
        file.take(end - offset).read_to_end(&mut bytes).map_err(wrong)?;
        Ok(Blob::of(&bytes))
    }
    /// A new file.
    pub fn write(&self, path: &str, content: &Blob, replace: bool) -> Result<()> {
        let wrong = |error: std::io::Error| failure(path, &error);
        let at = self.at(path)?;
        if replace {
            let draft = at.with_extension("draft");
            fs::write(&draft, content.bytes())
                .and_then(|()| fs::rename(&draft, &at))
                .map_err(wrong)
        } else {
            let file = OpenOptions::new().write(true).create_new(true).open(at);
            file.and_then(|mut file| file.write_all(&content.bytes()))
                .map_err(wrong)
        }
    }
    /// At the end.
    pub fn append(&self, path: &str, content: &Blob) -> Result<u64> {
        let wrong = |error: std::io::Error| failure(path, &error);
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.at(path)?)
            .map_err(wrong)?;
        let before = file.metadata().map_err(wrong)?.len();
        file.write_all(&content.bytes()).map_err(wrong)?;
        Ok(before)
    }
    /// Cut.
    pub fn truncate(&self, path: &str, bytes: u64) -> Result<()> {
        let file = OpenOptions::new().write(true).open(self.at(path)?);
        file.and_then(|file| file.set_len(bytes))
            .map_err(|error| failure(path, &error))
    }
    /// A directory.
    pub fn create(&self, path: &str) -> Result<()> {
        fs::create_dir_all(self.at(path)?).map_err(|error| failure(path, &error))
    }
    /// Never replaces.
    pub fn rename(&self, path: &str, to: &str) -> Result<()> {
        let target = self.at(to)?;
        if target.exists() {
            return Err(Failure::rejected(format!("`{to}` is there already")));
        }
        fs::rename(self.at(path)?, target).map_err(|error| failure(path, &error))
    }
    /// The time.
    pub fn set_modified(&self, path: &str, at: Timestamp) -> Result<()> {
        let wrong = |error: std::io::Error| failure(path, &error);
        let file = fs::File::open(self.at(path)?).map_err(wrong)?;
        let apart = Duration::from_millis(at.unix_ms.unsigned_abs());
        let at = if at.unix_ms < 0 {
            UNIX_EPOCH.checked_sub(apart)
        } else {
            UNIX_EPOCH.checked_add(apart)
        };
        let at = at.ok_or_else(|| Failure::rejected(format!("`{path}` cannot bear this time")))?;
        file.set_modified(at).map_err(wrong)
    }
    /// A file or an empty directory.
    pub fn remove(&self, path: &str) -> Result<()> {
        let at = self.at(path)?;
        let done = if at.is_dir() {
            fs::remove_dir(at)
        } else {
            fs::remove_file(at)
        };
        done.map_err(|error| failure(path, &error))
    }
    /// A test asks for no more than that.
    pub fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// Nothing outside of the folder.
    fn at(&self, path: &str) -> Result<PathBuf> {
        let leads_out = path.starts_with('/') || path.split('/').any(|part| part == "..");
        let at = self.root.join(Path::new(path));
        if leads_out {
            return Err(Failure::forbidden(format!("`{path}` leads out of the folder")));
        }
        Ok(at)
    }
}

fn described(name: &str, found: &fs::Metadata) -> Entry {
    let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let since = |from: SystemTime, to: SystemTime| {
        to.duration_since(from)
            .ok()
            .and_then(|it| i64::try_from(it.as_millis()).ok())
    };
    let unix_ms = since(UNIX_EPOCH, modified).or_else(|| since(modified, UNIX_EPOCH).map(|before| -before));
    Entry {
        name: name.to_owned(),
        directory: found.is_dir(),
        bytes: if found.is_dir() { 0 } else { found.len() },
        modified: Timestamp {
            unix_ms: unix_ms.unwrap_or_default(),
            offset_minutes: 0,
        },
    }
}
