//! Throw-away folders, in memory where the machine has room there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

/// A new folder that goes away with the value. Below `/dev/shm` where that is there: servers write mail with many
/// small syncs, which a disk would turn into minutes. Others may pass through it (a mail server gives up root).
pub fn folder(purpose: &str) -> TempDir {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    let prefix = format!("whimbrel-{purpose}-");
    builder.prefix(&prefix);
    let folder = if memory.is_dir() {
        builder.tempdir_in(memory)
    } else {
        builder.tempdir()
    };
    let folder = folder.unwrap_or_else(|error| panic!("no temporary folder for {purpose}: {error}"));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("own folder");
    folder
}

/// As [`folder`], but where files usually go: for gigabytes.
pub fn on_disk(purpose: &str) -> TempDir {
    let prefix = format!("whimbrel-{purpose}-");
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
    let folder = folder.unwrap_or_else(|error| panic!("no temporary folder for {purpose}: {error}"));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("own folder");
    folder
}

/// Pseudo-random numbers from a seed (SplitMix64): the same on every machine and in every release.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// From `low` up to and including `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`, which is not empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(choices.len() as u64)).expect("a length fits");
        &choices[at]
    }
}
