//! Where the bytes of refused items are kept, so that an admin can look at them and nothing is lost.

use std::{io, path::Path};

use tokio::{fs, io::AsyncWriteExt as _};
use whimbrel_wire::Blob;

/// Keeps a body as `<folder>/<mailbox>/<hash>.eml`; gives the path below `folder`. The same body is kept once.
pub async fn keep(folder: &Path, mailbox: &str, hash: &str, content: &Blob) -> io::Result<String> {
    let mailbox: String = mailbox
        .chars()
        .map(|char| {
            if char.is_alphanumeric() || "@._-".contains(char) {
                char
            } else {
                '_'
            }
        })
        .collect();
    let mailbox = mailbox.trim_start_matches('.');
    let below = format!("{}/{hash}.eml", if mailbox.is_empty() { "_" } else { mailbox });
    let path = folder.join(&below);
    if fs::try_exists(&path).await? {
        return Ok(below);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).await?;
    }
    let aside = path.with_extension("part");
    let mut file = fs::File::create(&aside).await?;
    let mut reader = content.reader();
    while let Some(piece) = reader.next().await? {
        file.write_all(&piece).await?;
    }
    file.sync_all().await?;
    fs::rename(&aside, &path).await?;
    Ok(below)
}
