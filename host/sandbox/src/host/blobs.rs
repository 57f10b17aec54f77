//! Bodies that plugins hold handles of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::Resource;
use wasmtime::{Result, bail, format_err};
use whimbrel_wire::{Blob, BlobWriter};

use crate::activity::Interface;
use crate::bindings::whimbrel::connector::blobs;
use crate::host::bytes_of;
use crate::instance::State;

/// What a plugin may pass or read at once.
const PIECE: usize = 1 << 20;

/// Rows of pieces that an instance may hold, over all its bodies: about 64 MiB of the host's memory.
const MAX_HELD_SEGMENTS: u64 = 1_000_000;

/// What an instance holds of the host's resources through its bodies.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    bytes: AtomicU64,
    segments: AtomicU64,
}

/// A share of the usage, given back when dropped.
#[derive(Debug)]
struct Share {
    usage: Arc<Usage>,
    bytes: u64,
    segments: u64,
}

impl Share {
    fn take(state: &State, bytes: u64, segments: u64) -> Result<Self> {
        let share = Self {
            usage: Arc::clone(&state.usage),
            bytes,
            segments,
        };
        let held = share
            .usage
            .bytes
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        let rows = share
            .usage
            .segments
            .fetch_add(segments, Ordering::Relaxed)
            .saturating_add(segments);
        let limit = state.limits.max_held_bytes;
        if held > limit {
            bail!("holds bodies of its own of more than {limit} bytes");
        }
        if rows > MAX_HELD_SEGMENTS {
            bail!("holds bodies of more than {MAX_HELD_SEGMENTS} pieces");
        }
        Ok(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.usage.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.usage.segments.fetch_sub(self.segments, Ordering::Relaxed);
    }
}

/// A body that a plugin has a handle of.
#[derive(Debug)]
pub struct Body {
    blob: Blob,
    /// Of this row of pieces.
    _row: Share,
    /// Of the bytes that the plugin wrote itself: a part of a body keeps all of it alive.
    written: Vec<Arc<Share>>,
}

/// A body that a plugin is writing.
#[derive(Debug)]
pub struct Writer {
    writer: BlobWriter,
    shares: Vec<Arc<Share>>,
}

impl State {
    /// Gives the plugin a handle of a body.
    pub(crate) fn lend(&mut self, blob: Blob) -> Result<Resource<Body>> {
        self.lend_written(blob, Vec::new())
    }

    fn lend_written(&mut self, blob: Blob, written: Vec<Arc<Share>>) -> Result<Resource<Body>> {
        let row = Share::take(self, 0, blob.segments() as u64)?;
        self.keep(Body {
            blob,
            _row: row,
            written,
        })
    }

    /// Puts a resource into the table.
    pub(crate) fn keep<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>> {
        let limit = self.limits.max_handles;
        self.table
            .push(value)
            .map_err(|_| format_err!("holds more than {limit} handles"))
    }

    /// The body behind a handle that the plugin keeps.
    pub(crate) fn body(&self, handle: &Resource<Body>) -> Result<Blob> {
        Ok(self.table.get(handle)?.blob.clone())
    }

    /// The body behind a handle that the plugin gave away.
    pub(crate) fn take_body(&mut self, handle: Resource<Body>) -> Result<Blob> {
        Ok(self.table.delete(handle)?.blob)
    }
}

/// The host's disk or memory failed the plugin: nothing that it could do about it.
#[derive(Debug, thiserror::Error)]
#[error("could not be served: the host could not keep or read a body: {0}")]
pub(crate) struct Trouble(String);

impl Trouble {
    pub(crate) fn new(error: &std::io::Error) -> Self {
        Self(error.to_string())
    }
}

fn trouble(error: &std::io::Error) -> wasmtime::Error {
    Trouble::new(error).into()
}

impl blobs::Host for State {}

impl blobs::HostBlob for State {
    async fn new(&mut self, bytes: Vec<u8>) -> Result<Resource<Body>> {
        if bytes.len() > PIECE {
            bail!(
                "made a body of {} bytes in one go; the limit is {PIECE}: use a writer",
                bytes.len()
            );
        }
        let mut waiting = self.host(Interface::Blobs, "blob.new");
        waiting.note(|| bytes_of(bytes.len() as u64));
        let share = Share::take(self, bytes.len() as u64, 0)?;
        self.activity.gave_out(bytes.len());
        // Through the store, so that what plugins hold counts against the memory budget and spills beyond it.
        let mut writer = self.blobs.writer_sized(bytes.len() as u64);
        writer.write(&bytes).await.map_err(|error| trouble(&error))?;
        let blob = writer.finish().await.map_err(|error| trouble(&error))?;
        self.lend_written(blob, vec![Arc::new(share)])
    }

    async fn size(&mut self, body: Resource<Body>) -> Result<u64> {
        self.activity.quick_call(Interface::Blobs, "blob.size");
        Ok(self.table.get(&body)?.blob.size())
    }

    async fn hash(&mut self, body: Resource<Body>) -> Result<Vec<u8>> {
        let _waiting = self.host(Interface::Blobs, "blob.hash");
        let print = self.body(&body)?.fingerprint().await.map_err(|error| trouble(&error))?;
        Ok(print.exact.0.to_vec())
    }

    async fn read(&mut self, body: Resource<Body>, offset: u64, length: u32) -> Result<Vec<u8>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > PIECE {
            bail!("read {length} bytes of a body in one go; the limit is {PIECE}");
        }
        let mut waiting = self.host(Interface::Blobs, "blob.read");
        let bytes = self
            .body(&body)?
            .read_at(offset, length)
            .await
            .map_err(|error| trouble(&error))?;
        self.activity.took_in(bytes.len());
        waiting.note(|| format!("from {offset}, {}", bytes_of(bytes.len() as u64)));
        Ok(bytes.into())
    }

    async fn slice(&mut self, body: Resource<Body>, offset: u64, length: u64) -> Result<Resource<Body>> {
        self.activity.quick_call(Interface::Blobs, "blob.slice");
        let body = self.table.get(&body)?;
        let (part, written) = (body.blob.slice(offset, length), body.written.clone());
        self.lend_written(part, written)
    }

    async fn concat(&mut self, parts: Vec<Resource<Body>>) -> Result<Resource<Body>> {
        self.activity.quick_call(Interface::Blobs, "blob.concat");
        let mut blobs = Vec::with_capacity(parts.len());
        let mut written: Vec<Arc<Share>> = Vec::new();
        for part in &parts {
            let body = self.table.get(part)?;
            blobs.push(body.blob.clone());
            written.extend(body.written.iter().cloned());
        }
        written.sort_by_key(Arc::as_ptr);
        written.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let whole = Blob::concat(&blobs).map_err(|error| format_err!("put together {error}"))?;
        self.lend_written(whole, written)
    }

    async fn drop(&mut self, body: Resource<Body>) -> Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

impl blobs::HostWriter for State {
    async fn new(&mut self) -> Result<Resource<Writer>> {
        self.activity.quick_call(Interface::Blobs, "writer.new");
        let writer = Writer {
            writer: self.blobs.writer(),
            shares: Vec::new(),
        };
        self.keep(writer)
    }

    async fn write(&mut self, writer: Resource<Writer>, bytes: Vec<u8>) -> Result<()> {
        let mut waiting = self.host(Interface::Blobs, "writer.write");
        waiting.note(|| bytes_of(bytes.len() as u64));
        let limit = self.limits.max_body_bytes;
        let share = Share::take(self, bytes.len() as u64, 0)?;
        let held = self.table.get_mut(&writer)?;
        if held.writer.written().saturating_add(bytes.len() as u64) > limit {
            bail!("wrote a body of more than {limit} bytes");
        }
        held.writer.write(&bytes).await.map_err(|error| trouble(&error))?;
        held.add(share);
        self.activity.gave_out(bytes.len());
        Ok(())
    }

    async fn finish(&mut self, writer: Resource<Writer>) -> Result<Resource<Body>> {
        let mut waiting = self.host(Interface::Blobs, "writer.finish");
        let Writer { writer, shares } = self.table.delete(writer)?;
        let blob = writer.finish().await.map_err(|error| trouble(&error))?;
        waiting.note(|| bytes_of(blob.size()));
        self.lend_written(blob, shares)
    }

    async fn drop(&mut self, writer: Resource<Writer>) -> Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}

impl Writer {
    /// One share for the whole of what was written.
    fn add(&mut self, mut more: Share) {
        match self.shares.first_mut().and_then(Arc::get_mut) {
            Some(share) => share.bytes += std::mem::take(&mut more.bytes),
            None => self.shares.push(Arc::new(more)),
        }
    }
}
