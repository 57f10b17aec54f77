//! Where the bytes of refused items are kept, so that an admin can look at them and nothing is lost.

use std::{io, path::Path};

use tokio::{fs, io::AsyncWriteExt as _};
use whimbrel_pim::Format;
use whimbrel_wire::Blob;

use crate::aside;

/// The folder of a mailbox below that of all.
fn folder_of(mailbox: &str) -> String {
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
    match mailbox.trim_start_matches('.') {
        "" => "_".to_owned(),
        mailbox => mailbox.to_owned(),
    }
}

/// Removes what a killed run left unfinished of a mailbox.
pub fn sweep(folder: &Path, mailbox: &str) {
    aside::sweep(&folder.join(folder_of(mailbox)));
}

/// How files with content of this type are named at their end.
fn ending(media_type: &str) -> &'static str {
    match media_type {
        "application/sieve" => "sieve",
        other => match Format::of(other) {
            Some(Format::Calendar) => "ics",
            Some(Format::Card) => "vcf",
            Some(Format::Sieve) => "sieve",
            None => "eml",
        },
    }
}

/// Keeps a body as `<folder>/<mailbox>/<hash>.eml`, or with the ending of its type; gives the path below `folder`. The
/// same body is kept once.
pub async fn keep(folder: &Path, mailbox: &str, hash: &str, item: (&str, &Blob)) -> io::Result<String> {
    let (media_type, content) = item;
    let below = format!("{}/{hash}.{}", folder_of(mailbox), ending(media_type));
    let path = folder.join(&below);
    if fs::try_exists(&path).await? {
        return Ok(below);
    }
    // Under a name of its own: the same body may be kept by somebody else at the same time.
    let (file, aside) = aside::begin(path.parent().unwrap_or(folder))?.into_parts();
    let mut file = fs::File::from_std(file);
    let mut reader = content.reader();
    while let Some(piece) = reader.next().await? {
        file.write_all(&piece).await?;
    }
    file.sync_all().await?;
    aside.persist(&path).map_err(|error| error.error)?;
    Ok(below)
}
