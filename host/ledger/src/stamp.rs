//! How far the store was flushed, told beside the store.
//!
//! sled takes the first broken place of its log for the end of what a crash left, and goes on from there: a flipped bit
//! or a file that was cut off would pass for an earlier state, without a word. So every flush counts itself in the store
//! and, once that is done, in a file beside it. A store that knows of fewer flushes than the file has lost some.
//!
//! The file is written and not waited for. After a crash of the whole machine it may tell of fewer flushes than there
//! were, never of more: it is written only when the flush is on the disk.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::{LedgerError, Result};

/// The file's name, in the folder of the store.
pub(crate) const NAME: &str = "flushed";

/// The number, and its complement so that a broken file is told from a true one.
const LENGTH: usize = 16;

/// The file, which is made by the first flush.
#[derive(Debug)]
pub(crate) struct Stamp {
    path: PathBuf,
    file: Option<File>,
}

impl Stamp {
    /// The file in the folder of the store, and the number in it; none where there is no such file. `state` is for
    /// messages.
    pub fn open(state: &Path, store: &Path) -> Result<(Self, Option<u64>)> {
        let path = store.join(NAME);
        let mut bytes = Vec::with_capacity(LENGTH);
        let opened = File::options().read(true).write(true).open(&path);
        let read = opened.and_then(|file| {
            (&file).take(LENGTH as u64 + 1).read_to_end(&mut bytes)?;
            Ok(file)
        });
        let file = match read {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                return Err(LedgerError::Io {
                    doing: "opening the ledger with",
                    path,
                    source,
                });
            }
        };
        // A crash between making the file and writing it leaves an empty one.
        if bytes.is_empty() {
            return Ok((Self { path, file }, None));
        }
        let number = decode(&bytes).ok_or_else(|| LedgerError::Corrupt {
            folder: state.to_owned(),
            what: format!("the file `{NAME}`"),
            problem: "it does not say how far the ledger was written".to_owned(),
        })?;
        Ok((Self { path, file }, Some(number)))
    }

    /// Of a store whose stamp does not matter.
    pub fn unread(store: &Path) -> Self {
        let path = store.join(NAME);
        Self { path, file: None }
    }

    /// Writes the number of a flush that is done.
    pub fn write(&mut self, number: u64) -> Result<()> {
        self.try_write(number).map_err(|source| LedgerError::Io {
            doing: "writing to the ledger with",
            path: self.path.clone(),
            source,
        })
    }

    fn try_write(&mut self, number: u64) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::create(&self.path)?),
        };
        file.rewind()?;
        file.write_all(&encode(number))
    }
}

fn encode(number: u64) -> [u8; LENGTH] {
    let both = (u128::from(number) << 64) | u128::from(!number);
    both.to_be_bytes()
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (number, complement) = bytes.split_at_checked(LENGTH / 2)?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    (complement == (!number).to_be_bytes()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let temp = tempfile::tempdir().unwrap();
        let (mut stamp, none) = Stamp::open(temp.path(), temp.path()).unwrap();
        assert_eq!(none, None);
        for number in [1, 2, u64::MAX, 3] {
            stamp.write(number).unwrap();
            let (_, read) = Stamp::open(temp.path(), temp.path()).unwrap();
            assert_eq!(read, Some(number));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let sound = encode(4711);
        let write = |bytes: &[u8]| std::fs::write(temp.path().join(NAME), bytes).unwrap();
        for bit in 0..LENGTH * 8 {
            let mut bytes = sound;
            bytes[bit / 8] ^= 1 << (bit % 8);
            write(&bytes);
            let error = Stamp::open(temp.path(), temp.path()).unwrap_err();
            assert!(matches!(error, LedgerError::Corrupt { .. }), "{bit}: {error}");
        }
        for length in [1, 8, 15] {
            write(&sound[..length]);
            assert!(Stamp::open(temp.path(), temp.path()).is_err());
        }
        write(&[&sound[..], b"x"].concat());
        assert!(Stamp::open(temp.path(), temp.path()).is_err());
    }
}
