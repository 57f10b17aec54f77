//! What an item is known by.

use std::io;

use whimbrel_model::{Fingerprint, Hash};
use whimbrel_pim::{Format, normal_form};
use whimbrel_sandbox::Item;

/// The largest calendar object or vCard whose normal form is taken, in bytes. Larger ones are known by their bytes.
pub const LARGEST: usize = 16 << 20;

/// The fingerprint of an item. Servers write calendar objects and vCards anew when they store them: what is left of them
/// when they do is their normal form, which takes the place of the bytes in the transport hash.
pub async fn fingerprint(item: &Item) -> io::Result<Fingerprint> {
    let mut print = item.content.fingerprint().await?;
    let format = Format::of(&item.media_type).filter(|_| print.size <= LARGEST as u64);
    if let Some(format) = format {
        let bytes = item.content.to_bytes(LARGEST).await?;
        let normal = tokio::task::spawn_blocking(move || blake3::hash(&normal_form(format, &bytes)));
        print.transport = match normal.await {
            Ok(hash) => Hash(hash.into()),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
    }
    Ok(print)
}
