//! Files that bodies lie in.

use std::fs::File;
use std::io;

use crate::places::{Place, Places};

/// Files of bodies that are held open.
static HELD: Places = Places::new();

/// A file that a body lies in: held open, or opened for each read where too many are held already.
pub(crate) struct FileBody {
    handle: Handle,
    /// For messages: the path relative to the granted folder, or what the file is for.
    name: String,
}

enum Handle {
    Held { file: File, _place: Option<Place> },
    Reopened(Reopen),
}

/// Opens a file again, or fails because what lies there now is another file.
pub(crate) type Reopen = Box<dyn Fn() -> io::Result<File> + Send + Sync>;

impl FileBody {
    /// A file without a name of its own: a spilled body.
    pub(crate) fn spilled(file: File) -> FileBody {
        FileBody {
            handle: Handle::Held { file, _place: None },
            name: "a spilled body".to_owned(),
        }
    }

    /// A named file. It stays open, so that a rename does not matter, unless too many such files are open in this
    /// process: then it is opened by `reopen` whenever it is read.
    pub(crate) fn named(name: String, file: File, reopen: Reopen) -> FileBody {
        let handle = match HELD.take() {
            Some(place) => Handle::Held {
                file,
                _place: Some(place),
            },
            None => Handle::Reopened(reopen),
        };
        FileBody { handle, name }
    }

    /// Fills `into` with the bytes from `offset` on.
    pub(crate) fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let result = match &self.handle {
            Handle::Held { file, .. } => read_exact_at(file, into, offset),
            Handle::Reopened(reopen) => reopen().and_then(|file| read_exact_at(&file, into, offset)),
        };
        result.map_err(|error| {
            let text = match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    format!(
                        "{:?} became shorter while it was read: it no longer reaches byte {}",
                        self.name,
                        offset + into.len() as u64
                    )
                }
                io::ErrorKind::NotFound => format!("{:?} vanished while it was read", self.name),
                _ => format!("reading {:?}: {error}", self.name),
            };
            io::Error::new(error.kind(), text)
        })
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut into: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !into.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, into, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into = &mut into[read..];
        offset += read as u64;
    }
    Ok(())
}
