//! The number that rises from one delivery into a folder to the next. By it, what was delivered since a moment is found
//! again after a crash.

use whimbrel_plugin::Result;

use crate::disk::{Body, Disk};

/// Bytes of the file that are looked at.
const BYTES: u64 = 64;

/// The number of the next delivery, as this file says; none where it says nothing.
///
/// # Errors
/// What the folder failed with.
pub fn next(disk: &impl Disk, path: &str) -> Result<Option<u64>> {
    let written = disk.small_file(path, BYTES)?;
    Ok(written.and_then(|bytes| String::from_utf8(bytes).ok()?.trim().parse().ok()))
}

/// Takes `count` numbers from `first` on. They are written down before they are used: whoever asks for a watermark
/// afterwards, from whatever process, gets one behind them.
///
/// # Errors
/// What the folder failed with.
pub fn reserve<D: Disk>(disk: &D, path: &str, first: u64, count: usize) -> Result<()> {
    let next = first.saturating_add(count as u64);
    disk.write(path, &D::Body::from_bytes(format!("{next}\n").as_bytes()), true)
}

/// The first eight bytes of the content's hash, for a name.
pub fn short_hash(content: &impl Body) -> u64 {
    content
        .hash()
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}
