//! A spool, whatever is in it.

use whimbrel_folders::Body;
use whimbrel_folders::memory::MemoryDisk;
use whimbrel_plugin::Change;

use crate::account::{Account, Choices};

/// Lists it, and fetches all that was listed.
pub fn spool(bytes: &[u8]) {
    let disk = MemoryDisk::default();
    disk.put("x", bytes);
    let Ok(mut account) = Account::open(disk, Choices::default()) else {
        return;
    };
    let Ok(page) = account.changes("x", None, 1000) else {
        return;
    };
    let listed = page.changes.iter().filter_map(|change| match change {
        Change::Upserted(meta) => Some(meta),
        _ => None,
    });
    let (ids, sizes): (Vec<String>, Vec<Option<u64>>) = listed.map(|meta| (meta.id.clone(), meta.size)).unzip();
    let fetched = account.fetch("x", &ids).unwrap_or_default();
    for (answer, size) in fetched.into_iter().zip(sizes) {
        if let Ok((_, body)) = answer {
            assert_eq!(Some(body.size()), size, "the size that was claimed");
        }
    }
}
