//! The granted folder and its bodies behind traits; the sandbox's own implement them here.

use whimbrel_plugin::blobs::{Writer, blob};
use whimbrel_plugin::files::{Entry, Folder};
use whimbrel_plugin::{Blob, Failure, ItemMeta, Timestamp};

/// What fetching one message gives: what is known of it, and its content.
pub type Fetched<B> = Result<(ItemMeta, B), Failure>;

/// Entries asked for at once; the host gives no more.
pub const ENTRIES: u32 = 10_000;
/// Bytes that one read of a body gives at most.
pub const READ_BYTES: u32 = 1 << 20;
/// Parts that are handed over at once.
const CONCAT_PARTS: usize = 256;
/// Parts up to which a body is put together without copying.
const MOST_PARTS: usize = CONCAT_PARTS * 32;

/// A body that lives on the host; see `blobs` in the contract.
pub trait Body: Sized {
    /// A body with these bytes, of any length.
    fn from_bytes(bytes: &[u8]) -> Self;
    /// Bytes.
    fn size(&self) -> u64;
    /// At most `length` bytes (1 MiB at most) from `offset`.
    fn read(&self, offset: u64, length: u32) -> Vec<u8>;
    /// A part, without copying.
    fn slice(&self, offset: u64, length: u64) -> Self;
    /// One after the other. Copies only where there are very many.
    fn concat(parts: &[&Self]) -> Self;
    /// BLAKE3.
    fn hash(&self) -> Vec<u8>;
    /// The body that `fill` writes, piece by piece, with the function that it is given.
    fn build(fill: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Self;

    /// Calls `each` with the bytes, piece by piece.
    fn pieces(&self, mut each: impl FnMut(&[u8])) {
        let mut offset = 0;
        while offset < self.size() {
            let piece = self.read(offset, READ_BYTES);
            if piece.is_empty() {
                return;
            }
            offset += piece.len() as u64;
            each(&piece);
        }
    }
}

/// A granted folder; see `files` in the contract, method for method.
#[allow(missing_docs, reason = "the contract documents them")]
pub trait Disk {
    type Body: Body;
    fn entries(&self, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Entry>, Failure>;
    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure>;
    fn read(&self, path: &str, offset: u64, length: Option<u64>) -> Result<Self::Body, Failure>;
    fn write(&self, path: &str, content: &Self::Body, replace: bool) -> Result<(), Failure>;
    fn append(&self, path: &str, content: &Self::Body) -> Result<u64, Failure>;
    fn truncate(&self, path: &str, bytes: u64) -> Result<(), Failure>;
    fn create(&self, path: &str) -> Result<(), Failure>;
    fn rename(&self, path: &str, to: &str) -> Result<(), Failure>;
    fn set_modified(&self, path: &str, at: Timestamp) -> Result<(), Failure>;
    fn remove(&self, path: &str) -> Result<(), Failure>;
    fn sync(&self) -> Result<(), Failure>;

    /// Whether a directory is at `path`.
    fn is_directory(&self, path: &str) -> Result<bool, Failure> {
        Ok(self.stat(path)?.is_some_and(|entry| entry.directory))
    }

    /// Calls `each` with every entry of the directory, in the order of names; nothing where there is no directory.
    fn each_entry(&self, path: &str, mut each: impl FnMut(Entry) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let entries = match self.entries(path, after.as_deref(), ENTRIES) {
                Ok(entries) => entries,
                Err(Failure::NotFound(_)) => return Ok(()),
                Err(failure) => return Err(failure),
            };
            let full = entries.len() >= ENTRIES as usize;
            after = entries.last().map(|entry| entry.name.clone());
            for entry in entries {
                each(entry)?;
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// The bytes of a small file, at most `limit` of them; none where there is no file.
    fn small_file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let body = match self.read(path, 0, None) {
            Ok(body) => body.slice(0, limit),
            Err(Failure::NotFound(_)) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let mut bytes = Vec::new();
        body.pieces(|piece| bytes.extend_from_slice(piece));
        Ok(Some(bytes))
    }

    /// Removes the file; no failure where it is not there.
    fn remove_if_there(&self, path: &str) -> Result<(), Failure> {
        match self.remove(path) {
            Ok(()) | Err(Failure::NotFound(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

/// A folder inside a granted folder.
#[derive(Debug, Clone)]
pub struct Below<D> {
    disk: D,
    path: String,
}

impl<D: Disk> Below<D> {
    /// What lies below `path` of `disk`; `""` for all of it.
    pub fn new(disk: D, path: impl Into<String>) -> Self {
        Self {
            disk,
            path: path.into(),
        }
    }

    fn at(&self, path: &str) -> String {
        if path.is_empty() {
            self.path.clone()
        } else {
            join(&self.path, path)
        }
    }
}

impl<D: Disk> Disk for Below<D> {
    type Body = D::Body;

    fn entries(&self, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Entry>, Failure> {
        self.disk.entries(&self.at(path), after, limit)
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        self.disk.stat(&self.at(path))
    }

    fn read(&self, path: &str, offset: u64, length: Option<u64>) -> Result<D::Body, Failure> {
        self.disk.read(&self.at(path), offset, length)
    }

    fn write(&self, path: &str, content: &D::Body, replace: bool) -> Result<(), Failure> {
        self.disk.write(&self.at(path), content, replace)
    }

    fn append(&self, path: &str, content: &D::Body) -> Result<u64, Failure> {
        self.disk.append(&self.at(path), content)
    }

    fn truncate(&self, path: &str, bytes: u64) -> Result<(), Failure> {
        self.disk.truncate(&self.at(path), bytes)
    }

    fn create(&self, path: &str) -> Result<(), Failure> {
        self.disk.create(&self.at(path))
    }

    fn rename(&self, path: &str, to: &str) -> Result<(), Failure> {
        self.disk.rename(&self.at(path), &self.at(to))
    }

    fn set_modified(&self, path: &str, at: Timestamp) -> Result<(), Failure> {
        self.disk.set_modified(&self.at(path), at)
    }

    fn remove(&self, path: &str) -> Result<(), Failure> {
        self.disk.remove(&self.at(path))
    }

    fn sync(&self) -> Result<(), Failure> {
        self.disk.sync()
    }
}

/// The folder of one mailbox below the granted one: `template` with `{user}` replaced by the user's name as a single
/// segment. Without a template, the user's name alone where there is one.
///
/// # Errors
/// `invalid-settings` where the template asks for a user that is not given, or leads out of the folder.
pub fn mailbox_path(template: Option<&str>, user: Option<&str>) -> Result<String, Failure> {
    let user = user.filter(|user| !user.is_empty());
    let template = template.unwrap_or(if user.is_some() { "{user}" } else { "" });
    let path = match user {
        Some(user) => {
            let user = crate::escape::escape(user, |at, c| c == '/' || (at == 0 && c == '.'));
            template.replace("{user}", &user)
        }
        None if template.contains("{user}") => {
            let text = "`path` holds {user}, but the mailbox has no `user`: give it one, or take {user} out of `path`";
            return Err(Failure::invalid_settings(text));
        }
        None => template.to_owned(),
    };
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !matches!(*segment, "" | "."))
        .collect();
    if segments.contains(&"..") {
        return Err(Failure::invalid_settings(
            "`path` leads out of `root`: it cannot hold \"..\"",
        ));
    }
    Ok(segments.join("/"))
}

/// Whether this is a path as the folder takes them: an id that is none names nothing.
pub fn is_path(path: &str) -> bool {
    path.split('/').all(|segment| !matches!(segment, "" | "." | "..")) && !path.contains('\0')
}

/// `directory/name`; the name alone in the folder itself (`""`).
pub fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

impl Body for Blob {
    fn from_bytes(bytes: &[u8]) -> Self {
        blob(bytes)
    }

    fn size(&self) -> u64 {
        Blob::size(self)
    }

    fn read(&self, offset: u64, length: u32) -> Vec<u8> {
        Blob::read(self, offset, length)
    }

    fn slice(&self, offset: u64, length: u64) -> Self {
        Blob::slice(self, offset, length)
    }

    fn concat(parts: &[&Self]) -> Self {
        if parts.len() <= CONCAT_PARTS {
            return Blob::concat(parts);
        }
        if parts.len() > MOST_PARTS {
            return Self::build(|write| parts.iter().for_each(|part| part.pieces(&mut *write)));
        }
        let groups: Vec<Blob> = parts.chunks(CONCAT_PARTS).map(Blob::concat).collect();
        Blob::concat(&groups.iter().collect::<Vec<_>>())
    }

    fn build(fill: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Self {
        let mut writer = Writer::new();
        fill(&mut |bytes| writer.write(bytes));
        writer.finish()
    }

    fn hash(&self) -> Vec<u8> {
        Blob::hash(self)
    }
}

impl Disk for Folder {
    type Body = Blob;

    fn entries(&self, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Entry>, Failure> {
        Folder::entries(self, path, after, limit)
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        Folder::stat(self, path)
    }

    fn read(&self, path: &str, offset: u64, length: Option<u64>) -> Result<Blob, Failure> {
        Folder::read(self, path, offset, length)
    }

    fn write(&self, path: &str, content: &Blob, replace: bool) -> Result<(), Failure> {
        Folder::write(self, path, content, replace)
    }

    fn append(&self, path: &str, content: &Blob) -> Result<u64, Failure> {
        Folder::append(self, path, content)
    }

    fn truncate(&self, path: &str, bytes: u64) -> Result<(), Failure> {
        Folder::truncate(self, path, bytes)
    }

    fn create(&self, path: &str) -> Result<(), Failure> {
        Folder::create(self, path)
    }

    fn rename(&self, path: &str, to: &str) -> Result<(), Failure> {
        Folder::rename(self, path, to)
    }

    fn set_modified(&self, path: &str, at: Timestamp) -> Result<(), Failure> {
        Folder::set_modified(self, path, at)
    }

    fn remove(&self, path: &str) -> Result<(), Failure> {
        Folder::remove(self, path)
    }

    fn sync(&self) -> Result<(), Failure> {
        Folder::sync(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_lies_below_the_granted_folder() {
        let path = |template, user| mailbox_path(template, user).unwrap();
        assert_eq!(path(None, None), "");
        assert_eq!(path(None, Some("alice@example.org")), "alice@example.org");
        assert_eq!(path(Some("{user}/Maildir/"), Some("../bob")), "\\2e.\\2fbob/Maildir");
        assert_eq!(path(Some("./shared"), Some("alice")), "shared");
        assert!(mailbox_path(Some("{user}"), None).is_err());
        assert!(mailbox_path(Some("a/../.."), None).is_err());
    }

    #[test]
    fn what_is_no_path_is_known() {
        assert!(["a", ".a/b..", "a b"].into_iter().all(is_path));
        assert!(
            !["", ".", "..", "/a", "a/", "a//b", "a/../b", "a\0"]
                .into_iter()
                .any(is_path)
        );
    }
}
