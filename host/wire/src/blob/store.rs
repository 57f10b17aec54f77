//! Where bodies from outside are kept: in memory as long as the budget lasts, else in unlinked temporary files.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use whimbrel_model::{Fingerprint, Fingerprinter};

use super::{Blob, FileBody, PIECE_BYTES, Source, blocking};

/// How a [`BlobStore`] keeps bodies.
#[derive(Debug, Clone)]
pub struct BlobStoreConfig {
    /// Folder of the temporary files; made when the first body spills. They bear no name, so nothing is left behind
    /// when the process is killed.
    pub folder: PathBuf,
    /// Bytes that all bodies in memory may take together.
    pub memory: u64,
    /// A body of more bytes than this goes to a file.
    pub threshold: u64,
}

impl BlobStoreConfig {
    /// The usual threshold: 4 MiB. Most attachments are smaller, and a body that goes to a file is copied twice more.
    pub const THRESHOLD: u64 = 4 << 20;
}

/// Makes bodies out of what comes in. Clones share one budget.
#[derive(Debug, Clone)]
pub struct BlobStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: BlobStoreConfig,
    used: AtomicU64,
}

impl BlobStore {
    /// A store with nothing in it. Touches no file.
    pub fn new(config: BlobStoreConfig) -> BlobStore {
        BlobStore {
            shared: Arc::new(Shared {
                config,
                used: AtomicU64::new(0),
            }),
        }
    }

    /// A new body.
    pub fn writer(&self) -> BlobWriter {
        self.writer_sized(0)
    }

    /// A new body of about `size` bytes: spares copying while it grows. More or fewer may come.
    pub fn writer_sized(&self, size: u64) -> BlobWriter {
        BlobWriter {
            store: self.clone(),
            target: Target::Memory {
                data: Vec::new(),
                share: Share {
                    store: Arc::clone(&self.shared),
                    bytes: 0,
                },
            },
            expected: size,
            written: 0,
        }
    }

    /// The same body with CRLF for each bare line feed; the very same where there is none. A carriage return without
    /// a line feed stays (RFC 5322, 2.1 wants none, but it may be content).
    ///
    /// # Errors
    /// What reading or spilling gave.
    pub async fn with_crlf(&self, blob: &Blob) -> io::Result<Blob> {
        let print = blob.fingerprint().await?;
        if print.bare_line_feeds == 0 {
            return Ok(blob.clone());
        }
        let mut writer = self.writer_sized(print.size.saturating_add(print.bare_line_feeds));
        let mut reader = blob.reader();
        let mut after_return = false;
        let mut out = Vec::new();
        while let Some(piece) = reader.next().await? {
            out.clear();
            let mut start = 0;
            for at in memchr::memchr_iter(b'\n', &piece) {
                let bare = if at == 0 { !after_return } else { piece[at - 1] != b'\r' };
                if bare {
                    out.extend_from_slice(&piece[start..at]);
                    out.extend_from_slice(b"\r\n");
                    start = at + 1;
                }
            }
            out.extend_from_slice(&piece[start..]);
            after_return = piece.last() == Some(&b'\r');
            writer.write(&out).await?;
        }
        writer.finish().await
    }

    /// Bytes that bodies take in memory right now.
    pub fn memory_used(&self) -> u64 {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// How this store keeps bodies.
    pub fn config(&self) -> &BlobStoreConfig {
        &self.shared.config
    }
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
struct Share {
    store: Arc<Shared>,
    bytes: u64,
}

impl Share {
    /// Makes the share `bytes` large; false where the budget does not allow it.
    fn resize(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let used = &self.store.used;
        if more > 0 {
            let memory = self.store.config.memory;
            let grown = |now: u64| now.checked_add(more).filter(|then| *then <= memory);
            if used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_err() {
                return false;
            }
        } else {
            used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.store.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes in memory together with their share: the share is given back when the last reference to them goes.
struct Kept {
    data: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

/// Builds a body as its bytes come in, and takes its fingerprint on the way.
#[derive(Debug)]
pub struct BlobWriter {
    store: BlobStore,
    target: Target,
    expected: u64,
    written: u64,
}

#[derive(Debug)]
enum Target {
    Memory {
        data: Vec<u8>,
        share: Share,
    },
    File {
        file: File,
        buffer: BytesMut,
        /// Of all that was written. What stays in memory is hashed at the end, in one go.
        printer: Box<Fingerprinter>,
    },
    /// A write failed or was cancelled half-way: what there is, is not the body.
    Broken,
}

impl BlobWriter {
    /// The next bytes. Returns when they are in memory or handed to the operating system.
    ///
    /// # Errors
    /// What spilling gave, with the spill folder named. The writer is of no more use then; nor is it after a write
    /// that was cancelled.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        if !self.fits() {
            self.spill().await?;
        }
        match &mut self.target {
            Target::Memory { data, .. } => data.extend_from_slice(bytes),
            _ => self.write_to_file(bytes).await?,
        }
        Ok(())
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The finished body.
    ///
    /// # Errors
    /// As [`BlobWriter::write`].
    pub async fn finish(mut self) -> io::Result<Blob> {
        match std::mem::replace(&mut self.target, Target::Broken) {
            Target::Memory { mut data, mut share } => {
                let print = Fingerprint::of(&data);
                data.shrink_to_fit();
                share.resize(data.capacity() as u64);
                let bytes = Bytes::from_owner(Kept { data, _share: share });
                Ok(Blob::from_source(Source::Memory(bytes), self.written, Some(print)))
            }
            Target::File { file, buffer, printer } => {
                let print = printer.finish();
                let folder = self.store.config().folder.clone();
                let file = blocking(move || append(file, &buffer).map_err(|error| spilling(&folder, &error))).await?;
                let source = Source::File {
                    file: Arc::new(FileBody::spilled(file)),
                    offset: 0,
                };
                Ok(Blob::from_source(source, self.written, Some(print)))
            }
            Target::Broken => Err(broken()),
        }
    }

    /// Makes room in memory for all that was written, if it may lie there. True for a body that spilled already.
    fn fits(&mut self) -> bool {
        let Target::Memory { data, share } = &mut self.target else {
            return true;
        };
        let config = self.store.config();
        if self.written > config.threshold {
            return false;
        }
        if self.written <= data.capacity() as u64 {
            return true;
        }
        // Grow in doubling steps, as far as the budget goes, and to the mark where it does not go further.
        let roomy = (data.capacity() as u64 * 2)
            .max(self.expected)
            .max(4096)
            .min(config.threshold);
        let capacity = [roomy.max(self.written), self.written]
            .into_iter()
            .find(|capacity| share.resize(*capacity));
        let Some(capacity) = capacity.and_then(|capacity| usize::try_from(capacity).ok()) else {
            return false;
        };
        data.reserve_exact(capacity - data.len());
        true
    }

    async fn spill(&mut self) -> io::Result<()> {
        let Target::Memory { data, share } = std::mem::replace(&mut self.target, Target::Broken) else {
            return Err(broken());
        };
        let folder = self.store.config().folder.clone();
        let mut printer = Box::new(Fingerprinter::new());
        printer.update(&data);
        let file = blocking(move || {
            // The share is given back together with the bytes.
            let kept = Kept { data, _share: share };
            let made = std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder));
            made.and_then(|file| append(file, kept.as_ref()))
                .map_err(|error| spilling(&folder, &error))
        });
        self.target = Target::File {
            file: file.await?,
            buffer: BytesMut::new(),
            printer,
        };
        Ok(())
    }

    async fn write_to_file(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if let Target::File { printer, .. } = &mut self.target {
            printer.update(bytes);
        }
        loop {
            let Target::File { buffer, .. } = &mut self.target else {
                return Err(broken());
            };
            let now = bytes.len().min(PIECE_BYTES - buffer.len());
            buffer.put_slice(&bytes[..now]);
            bytes = &bytes[now..];
            if buffer.len() < PIECE_BYTES {
                return Ok(());
            }
            let Target::File { file, buffer, printer } = std::mem::replace(&mut self.target, Target::Broken) else {
                return Err(broken());
            };
            let folder = self.store.config().folder.clone();
            let done = blocking(move || {
                let file = append(file, &buffer).map_err(|error| spilling(&folder, &error))?;
                Ok((file, buffer))
            });
            let (file, mut buffer) = done.await?;
            buffer.clear();
            self.target = Target::File { file, buffer, printer };
        }
    }
}

fn append(mut file: File, bytes: &[u8]) -> io::Result<File> {
    file.write_all(bytes)?;
    Ok(file)
}

fn spilling(folder: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("keeping a body in a temporary file in {}: {error}", folder.display()),
    )
}

fn broken() -> io::Error {
    io::Error::other("the body was abandoned in the middle of a write")
}
