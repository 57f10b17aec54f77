//! What makes a batch all or nothing: a note of what is about to be appended, written and made lasting before.
//!
//! The note of the spool `Work.sbd/2024` is `.whimbrel/Work.sbd/2024.pending` and holds the spool's size, the bytes to
//! come and their BLAKE3. While it is there the batch may lie in the spool by half. Readers then take the spool to end
//! where it did before; the next writer cuts it there.

use whimbrel_folders::{Body, Disk};
use whimbrel_plugin::{Failure, Result};

use crate::cursor::hash;

const FOLDER: &str = ".whimbrel";
const NOTE_BYTES: u64 = 4096;

/// A batch that is about to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    base: u64,
    bytes: u64,
    hash: String,
}

fn path(spool: &str) -> String {
    format!("{FOLDER}/{spool}.pending")
}

/// Writes the note down, lastingly.
///
/// # Errors
/// What writing failed with.
pub fn announce<D: Disk>(disk: &D, spool: &str, base: u64, batch: &D::Body) -> Result<()> {
    let path = path(spool);
    if let Some((folder, _)) = path.rsplit_once('/') {
        disk.create(folder)?;
    }
    let text = format!("{base} {} {} .\n", batch.size(), hash(batch));
    disk.write(&path, &D::Body::from_bytes(text.as_bytes()), true)?;
    disk.sync()
}

/// Removes the note: the batch lies in the spool whole, or not at all.
///
/// # Errors
/// What removing failed with.
pub fn settle<D: Disk>(disk: &D, spool: &str) -> Result<()> {
    disk.remove_if_there(&path(spool))
}

/// The note, where there is one. One that was cut off in the writing says nothing: nothing was appended after it.
fn note<D: Disk>(disk: &D, spool: &str) -> Result<Option<Note>> {
    let Some(bytes) = disk.small_file(&path(spool), NOTE_BYTES)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    Ok(match fields[..] {
        [base, bytes, hash, "."] => match (base.parse(), bytes.parse()) {
            (Ok(base), Ok(bytes)) => Some(Note {
                base,
                bytes,
                hash: hash.to_owned(),
            }),
            _ => None,
        },
        _ => None,
    })
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of it is there, or all.
    Settled,
    /// A part is there, or it is garbled: the spool ended here before.
    Broken(u64),
    /// It is not there as it was announced, and something else lies behind it.
    Overgrown,
}

fn state<D: Disk>(disk: &D, spool: &str, size: u64) -> Result<State> {
    let Some(Note {
        base,
        bytes,
        hash: announced,
    }) = note(disk, spool)?
    else {
        return Ok(State::Settled);
    };
    let end = base.saturating_add(bytes);
    if size <= base {
        return Ok(State::Settled);
    }
    if size >= end && hash(&disk.read(spool, base, Some(bytes))?) == announced {
        return Ok(State::Settled);
    }
    Ok(if size <= end {
        State::Broken(base)
    } else {
        State::Overgrown
    })
}

/// Bytes of the spool that count.
///
/// # Errors
/// What reading failed with.
pub fn visible<D: Disk>(disk: &D, spool: &str, size: u64) -> Result<u64> {
    Ok(match state(disk, spool, size)? {
        State::Broken(base) => base,
        State::Settled | State::Overgrown => size,
    })
}

/// Cuts a half-written batch away. For the one writer of the spool only: another one's batch under way looks the same.
///
/// # Errors
/// What cutting failed with.
pub fn recover<D: Disk>(disk: &D, spool: &str) -> Result<()> {
    let Some(entry) = disk.stat(spool)? else {
        return settle(disk, spool);
    };
    match state(disk, spool, entry.bytes)? {
        State::Settled => {}
        State::Broken(base) => {
            disk.truncate(spool, base)?;
            disk.sync()?;
        }
        State::Overgrown => {
            whimbrel_plugin::warn!(
                "a batch was cut off in the spool, and another program has written behind it: a part of a message may be left there";
                "spool" => spool
            );
        }
    }
    settle(disk, spool)
}

/// What appending failed with, after taking back what was written of it.
pub fn take_back<D: Disk>(disk: &D, spool: &str, failure: Failure) -> Failure {
    // Where that fails too, the note stays and the next writer does it.
    let _ = recover(disk, spool);
    failure
}
