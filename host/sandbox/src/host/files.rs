//! Granted folders.

use wasmtime::Result;
use wasmtime::component::Resource;
use whimbrel_model::Failure;
use whimbrel_wire::{Blob, Folder as Wire, MOST_ENTRIES, leads_out};

use crate::Attempt;
use crate::activity::Interface;
use crate::bindings::types::Timestamp;
use crate::bindings::whimbrel::connector::files;
use crate::convert;
use crate::host::blobs::Body;
use crate::host::{HostError, HostResult, bytes_of};
use crate::instance::State;

/// A granted folder that a plugin has open.
#[derive(Debug)]
pub struct Folder(Wire);

impl State {
    fn folder(&self, handle: &Resource<Folder>) -> HostResult<Wire> {
        Ok(self.table.get(handle)?.0.clone())
    }

    /// The folder for something at this path; `change` is what is to be changed there. Whether it may be, the folder says:
    /// here it is only noted that it was tried.
    fn folder_at(&self, handle: &Resource<Folder>, path: &str, change: Option<&str>) -> HostResult<Wire> {
        let folder = self.folder(handle)?;
        if leads_out(path) {
            self.activity.refuse(Attempt::Outside, path);
        } else if let Some(change) = change.filter(|_| !folder.is_writable()) {
            self.activity.refuse(Attempt::Write, change);
        }
        Ok(folder)
    }

    /// The body that is to go into a file.
    fn content(&self, handle: &Resource<Body>) -> HostResult<Blob> {
        let blob = self.body(handle)?;
        let limit = self.limits.max_body_bytes;
        if blob.size() > limit {
            return Err(Failure::TooLarge(Some(limit)).into());
        }
        Ok(blob)
    }
}

fn entry(entry: whimbrel_wire::Entry) -> files::Entry {
    files::Entry {
        name: entry.name,
        directory: entry.directory,
        bytes: entry.bytes,
        modified: convert::timestamp_to_guest(entry.modified),
    }
}

/// A path, for whoever watches.
fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

impl files::Host for State {}

impl files::HostFolder for State {
    async fn open(&mut self, setting: String) -> HostResult<Resource<Folder>> {
        let mut waiting = self.host(Interface::Files, "folder.open");
        waiting.note(|| format!("setting {setting}"));
        let (path, write) = self.grants.folder(&setting)?;
        if self.folders >= self.limits.max_folders {
            let text = format!("has {} folders open already; the limit is {0}", self.limits.max_folders);
            return Err(HostError::Trap(wasmtime::Error::msg(text)));
        }
        let folder = Wire::open(&path, write).await?;
        let handle = self.keep(Folder(folder))?;
        self.folders += 1;
        Ok(handle)
    }

    async fn entries(
        &mut self,
        folder: Resource<Folder>,
        path: String,
        after: Option<String>,
        limit: u32,
    ) -> HostResult<Vec<files::Entry>> {
        let mut waiting = self.host(Interface::Files, "folder.entries");
        let limit = limit.min(MOST_ENTRIES);
        let entries = self
            .folder_at(&folder, &path, None)?
            .entries(&path, after.as_deref(), limit)
            .await?;
        waiting.note(|| format!("{}, {} entries", shown(&path), entries.len()));
        Ok(entries.into_iter().map(entry).collect())
    }

    async fn stat(&mut self, folder: Resource<Folder>, path: String) -> HostResult<Option<files::Entry>> {
        let mut waiting = self.host(Interface::Files, "folder.stat");
        waiting.note(|| shown(&path).to_owned());
        Ok(self.folder_at(&folder, &path, None)?.stat(&path).await?.map(entry))
    }

    async fn read(
        &mut self,
        folder: Resource<Folder>,
        path: String,
        offset: u64,
        length: Option<u64>,
    ) -> HostResult<Resource<Body>> {
        let mut waiting = self.host(Interface::Files, "folder.read");
        let blob = self
            .folder_at(&folder, &path, None)?
            .read(&path, offset, length)
            .await?;
        waiting.note(|| format!("{}, {}", shown(&path), bytes_of(blob.size())));
        Ok(self.lend(blob)?)
    }

    async fn write(
        &mut self,
        folder: Resource<Folder>,
        path: String,
        content: Resource<Body>,
        replace: bool,
    ) -> HostResult<()> {
        let mut waiting = self.host(Interface::Files, "folder.write");
        let content = self.content(&content)?;
        waiting.note(|| format!("{}, {}", shown(&path), bytes_of(content.size())));
        Ok(self
            .folder_at(&folder, &path, Some("write a file"))?
            .write(&path, &content, replace)
            .await?)
    }

    async fn append(&mut self, folder: Resource<Folder>, path: String, content: Resource<Body>) -> HostResult<u64> {
        let mut waiting = self.host(Interface::Files, "folder.append");
        let content = self.content(&content)?;
        waiting.note(|| format!("{}, {}", shown(&path), bytes_of(content.size())));
        Ok(self
            .folder_at(&folder, &path, Some("append to a file"))?
            .append(&path, &content)
            .await?)
    }

    async fn truncate(&mut self, folder: Resource<Folder>, path: String, bytes: u64) -> HostResult<()> {
        let mut waiting = self.host(Interface::Files, "folder.truncate");
        waiting.note(|| format!("{}, to {}", shown(&path), bytes_of(bytes)));
        Ok(self
            .folder_at(&folder, &path, Some("cut a file"))?
            .truncate(&path, bytes)
            .await?)
    }

    async fn create(&mut self, folder: Resource<Folder>, path: String) -> HostResult<()> {
        let mut waiting = self.host(Interface::Files, "folder.create");
        waiting.note(|| shown(&path).to_owned());
        Ok(self
            .folder_at(&folder, &path, Some("make a folder"))?
            .create(&path)
            .await?)
    }

    async fn rename(&mut self, folder: Resource<Folder>, path: String, to: String) -> HostResult<()> {
        let mut waiting = self.host(Interface::Files, "folder.rename");
        waiting.note(|| format!("{} to {}", shown(&path), shown(&to)));
        let from = self.folder_at(&folder, &path, Some("rename a file"))?;
        if leads_out(&to) {
            self.activity.refuse(Attempt::Outside, &to);
        }
        Ok(from.rename(&path, &to).await?)
    }

    async fn set_modified(&mut self, folder: Resource<Folder>, path: String, at: Timestamp) -> HostResult<()> {
        let mut waiting = self.host(Interface::Files, "folder.set-modified");
        waiting.note(|| shown(&path).to_owned());
        Ok(self
            .folder_at(&folder, &path, Some("set the time of a file"))?
            .set_modified(&path, convert::timestamp(at))
            .await?)
    }

    async fn remove(&mut self, folder: Resource<Folder>, path: String) -> HostResult<()> {
        let mut waiting = self.host(Interface::Files, "folder.remove");
        waiting.note(|| shown(&path).to_owned());
        Ok(self
            .folder_at(&folder, &path, Some("remove a file"))?
            .remove(&path)
            .await?)
    }

    async fn sync(&mut self, folder: Resource<Folder>) -> HostResult<()> {
        let _waiting = self.host(Interface::Files, "folder.sync");
        Ok(self.folder(&folder)?.sync().await?)
    }

    async fn drop(&mut self, folder: Resource<Folder>) -> Result<()> {
        self.table.delete(folder)?;
        self.folders = self.folders.saturating_sub(1);
        Ok(())
    }
}
