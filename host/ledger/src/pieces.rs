//! Large values lie in pieces. sled writes a page of sixteen values and more, and one that is too large for its log goes
//! to a file of its own, which nobody syncs, and which may be removed before what replaces it is safe.
//!
//! A value shorter than [`PIECE`] lies under its key. Of any other the first [`PIECE`] bytes do, the next ones under `+`,
//! the key and the number of the piece, counted from 0 in four bytes; the last piece is the one that is shorter, empty
//! where nothing is left.

use sled::{Batch, Db, IVec};

use crate::keys::Kind;

/// Bytes of a piece. Pages hold at most twenty values and stay below a quarter of a segment, with the longest keys too.
pub(crate) const PIECE: usize = 8 * 1024;

/// Whether more follows what lies under the key.
pub(crate) fn goes_on(first: &[u8]) -> bool {
    first.len() >= PIECE
}

/// The value that begins so under this key; nothing where a piece is missing. Nobody may write meanwhile.
pub(crate) fn whole(db: &Db, key: &[u8], first: IVec) -> sled::Result<Option<IVec>> {
    if !goes_on(&first) {
        return Ok(Some(first));
    }
    let mut value = first.to_vec();
    for number in 0u32.. {
        let Some(piece) = db.get(key_of(key, number))? else {
            return Ok(None);
        };
        value.extend_from_slice(&piece);
        if !goes_on(&piece) {
            break;
        }
    }
    Ok(Some(value.into()))
}

/// Writes the value under this key, where none in pieces lies.
pub(crate) fn insert(batch: &mut Batch, key: &[u8], value: &[u8]) {
    let mut pieces = value.chunks(PIECE);
    let mut last = pieces.next().unwrap_or_default();
    batch.insert(key, last);
    for number in 0u32.. {
        if !goes_on(last) {
            break;
        }
        last = pieces.next().unwrap_or_default();
        batch.insert(key_of(key, number), last);
    }
}

/// Removes what lies under this key and begins so. What is inserted later into the same batch is not harmed.
pub(crate) fn remove(batch: &mut Batch, key: &[u8], value: &[u8]) {
    batch.remove(key);
    if goes_on(value) {
        for number in 0..=value.len().saturating_sub(PIECE) / PIECE {
            batch.remove(key_of(key, u32::try_from(number).unwrap_or(u32::MAX)));
        }
    }
}

fn key_of(key: &[u8], number: u32) -> Vec<u8> {
    [&[Kind::Piece as u8], key, &number.to_be_bytes()].concat()
}
