//! Attachments that rules take out of messages: written to files, with a link in their place.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use whimbrel_mail::{self as mail, AttachmentInfo, Content, Decoder, Detached, Part};

use super::book::AttachmentFolder;
use crate::aside;

/// The longest name that an attachment's file gets, in bytes.
const LONGEST_NAME: usize = 120;

/// Plans to take attachments of at least `over` decoded bytes out of the message. The files are written first, under a
/// name that their content gives: doing it again gives the same files and the same message.
pub fn detach(
    place: &AttachmentFolder,
    mailbox: &str,
    over: u64,
    content: &dyn Content,
    changes: &mut Vec<String>,
) -> io::Result<Detached> {
    let structure = mail::parts(content, &mail::Limits::default())?;
    mail::detach(&structure, over, |info: &AttachmentInfo| {
        let part = structure
            .parts
            .get(info.part)
            .ok_or_else(|| io::Error::other("an attachment is no part of its message"))?;
        let (path, link) = write(place, mailbox, content, part, &info.name)?;
        changes.push(format!("detached {path}"));
        Ok(link)
    })
}

/// Removes what a killed run left unfinished of a mailbox's attachments.
pub fn sweep(place: &AttachmentFolder, mailbox: &str) {
    aside::sweep(&place.folder.join(safe(mailbox)));
}

/// Writes a part's decoded bytes; gives the path below the folder, and the link.
fn write(
    place: &AttachmentFolder,
    mailbox: &str,
    content: &dyn Content,
    part: &Part,
    name: &str,
) -> io::Result<(String, String)> {
    let folder = place.folder.join(safe(mailbox));
    let mut file = aside::begin(&folder)?;
    let mut hasher = blake3::Hasher::new();
    for piece in Decoder::new(content, part.body.clone(), part.encoding) {
        let piece = piece?;
        hasher.update(&piece);
        file.write_all(&piece)?;
    }
    let below = PathBuf::from(safe(mailbox))
        .join(&hasher.finalize().to_hex()[..32])
        .join(safe(name));
    let path = place.folder.join(&below);
    if !path.exists() {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
    }
    let below = below.to_string_lossy().replace('\\', "/");
    let link = match &place.link {
        Some(base) => format!("{}/{}", base.trim_end_matches('/'), escaped(&below)),
        None => absolute(&path),
    };
    Ok((below, link))
}

fn absolute(path: &Path) -> String {
    fs::canonicalize(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

/// A name that is safe as one segment of a path everywhere.
fn safe(name: &str) -> String {
    let mut out: String = name
        .chars()
        .map(|char| {
            if char.is_control() || "/\\:*?\"<>|".contains(char) {
                '_'
            } else {
                char
            }
        })
        .collect();
    let mut end = LONGEST_NAME.min(out.len());
    while !out.is_char_boundary(end) {
        end -= 1;
    }
    // The ending is what opens it.
    if end < out.len()
        && let Some(ending) = Path::new(name).extension().and_then(|ending| ending.to_str())
        && ending.len() < 12
    {
        let mut keep = end - ending.len() - 1;
        while !out.is_char_boundary(keep) {
            keep -= 1;
        }
        out = format!("{}.{ending}", &out[..keep]);
    } else {
        out.truncate(end);
    }
    let trimmed = out.trim().trim_matches('.');
    if trimmed.is_empty() {
        "attachment".to_owned()
    } else {
        trimmed.to_owned()
    }
}

/// A path within a link (RFC 3986, 3.3).
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_folder() {
        assert_eq!(safe("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(safe("..."), "attachment");
        let long = safe(&format!("{}.pdf", "ä".repeat(100)));
        assert!(long.len() <= LONGEST_NAME && long.ends_with(".pdf"), "{long}");
        assert_eq!(escaped("a b/ü.pdf"), "a%20b/%C3%BC.pdf");
    }
}
