//! Readers of Maildir, mbox and .eml folders that share nothing with the connectors: what a destination holds, by the
//! formats' own documents (<https://cr.yp.to/proto/maildir.html>, Dovecot's letters; mboxrd, RFC 4155; the README of the
//! connector for .eml files).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::account::{Account, Folder, Message, instant, sorted};
use crate::imap::{Body, decode_name};

/// All files below a folder, by their paths below it; none where there is no folder.
pub fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below").display().to_string();
                files.insert(name, fs::read(&path).expect("a readable file"));
            }
        }
    }
    files
}

/// A Maildir++ tree: INBOX at the root, the other folders as `.a.b` beside `cur`. A character of a name that a file
/// name cannot hold is `\` and two hexadecimal digits, as Dovecot's listescape plugin has it.
pub fn maildir(root: &Path) -> Account {
    let subscriptions = fs::read_to_string(root.join("subscriptions")).unwrap_or_default();
    let subscribed: Vec<&str> = subscriptions.lines().collect();
    let mut folders = vec![maildir_folder(
        root,
        vec!["INBOX".to_owned()],
        subscribed.contains(&"INBOX"),
    )];
    for path in entries(root).into_iter().filter(|path| path.join("cur").is_dir()) {
        let name = path.file_name().expect("an entry").to_string_lossy().into_owned();
        let Some(name) = name.strip_prefix('.') else { continue };
        let segments = name.split('.').map(|part| unescape(&decode_name(part))).collect();
        folders.push(maildir_folder(&path, segments, subscribed.contains(&name)));
    }
    folders.sort_by(|a, b| a.path.cmp(&b.path));
    Account { folders }
}

/// What lies in the `tmp` of any folder: nothing, unless a delivery was broken off.
pub fn unfinished(root: &Path) -> Vec<PathBuf> {
    let folders = entries(root).into_iter().chain([root.to_owned()]);
    folders
        .map(|folder| folder.join("tmp"))
        .filter(|tmp| tmp.is_dir())
        .flat_map(|tmp| entries(&tmp))
        .collect()
}

fn unescape(name: &str) -> String {
    let mut out = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| name.to_owned())
}

fn maildir_folder(path: &Path, segments: Vec<String>, subscribed: bool) -> Folder {
    let keywords = fs::read_to_string(path.join("dovecot-keywords")).unwrap_or_default();
    let mut messages = Vec::new();
    for part in ["new", "cur"] {
        for file in entries(&path.join(part)) {
            let name = file.file_name().expect("an entry").to_string_lossy().into_owned();
            let letters = name.rsplit_once(":2,").map(|(_, letters)| letters).unwrap_or_default();
            let flags = flags(letters, &keywords, &name);
            let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            if let Some((_, size)) = name.split_once(",S=") {
                let size: String = size.chars().take_while(char::is_ascii_digit).collect();
                assert_eq!(
                    size.parse().ok(),
                    Some(bytes.len()),
                    "{name}: a size that is not the file's"
                );
            }
            messages.push(Message {
                body: Body::of(&bytes),
                flags: sorted(flags),
                received: modified(&file),
            });
        }
    }
    Folder {
        path: segments,
        special: None,
        subscribed,
        selectable: true,
        messages,
    }
}

/// What Maildir's letters mean, with the keywords of a folder.
fn flags(letters: &str, keywords: &str, name: &str) -> Vec<String> {
    let keyword = |letter: char| {
        let number = (u32::from(letter) - u32::from('a')).to_string();
        keywords
            .lines()
            .find_map(|line| line.strip_prefix(&number)?.strip_prefix(' ').map(str::to_owned))
            .unwrap_or_else(|| panic!("{name}: no keyword for the letter {letter}"))
    };
    letters
        .chars()
        .map(|letter| match letter {
            'D' => "\\Draft".to_owned(),
            'F' => "\\Flagged".to_owned(),
            'R' => "\\Answered".to_owned(),
            'S' => "\\Seen".to_owned(),
            'T' => "\\Deleted".to_owned(),
            'P' => "$Forwarded".to_owned(),
            'a'..='z' => keyword(letter),
            other => panic!("{name}: the letter {other}"),
        })
        .collect()
}

/// A folder of `.eml` files and of folders like it, each a folder of the account. A file with a comma before its ending
/// is of the connector: the letters of its flags stand there, and its time of reception, in UTC, at the beginning; of
/// any other the file's time counts. `%` and two hexadecimal digits are a byte of a folder's name.
pub fn eml(root: &Path) -> Account {
    let mut folders = Vec::new();
    eml_folders(root, &[], &mut folders);
    folders.sort_by(|a, b| a.path.cmp(&b.path));
    Account { folders }
}

fn eml_folders(at: &Path, path: &[String], folders: &mut Vec<Folder>) {
    let mut messages = Vec::new();
    let keywords = fs::read_to_string(at.join(".whimbrel-keywords")).unwrap_or_default();
    for entry in entries(at) {
        let name = entry.file_name().expect("an entry").to_string_lossy().into_owned();
        if entry.is_dir() {
            let mut below = path.to_vec();
            below.push(decoded(&name));
            eml_folders(&entry, &below, folders);
        } else if let Some(stem) = name.strip_suffix(".eml") {
            let bytes = fs::read(&entry).unwrap_or_else(|error| panic!("{}: {error}", entry.display()));
            let (letters, received) = match stem.rsplit_once(',') {
                Some((base, letters)) => {
                    let received = compact(base);
                    assert_eq!(modified(&entry), received, "{name}: another time than in its name");
                    (letters, received)
                }
                None => ("", modified(&entry)),
            };
            messages.push(Message {
                body: Body::of(&bytes),
                flags: sorted(flags(letters, &keywords, &name)),
                received,
            });
        } else {
            assert!(name.starts_with(".whimbrel-"), "{name}: what is it?");
        }
    }
    if !path.is_empty() {
        folders.push(Folder {
            path: path.to_vec(),
            special: None,
            subscribed: true,
            selectable: true,
            messages,
        });
    }
}

/// `20240229T123456Z` at the beginning of a name, in seconds since 1970.
fn compact(name: &str) -> i64 {
    let number = |from: usize, to: usize| name[from..to].parse().unwrap_or_else(|_| panic!("no date in {name}"));
    assert_eq!((&name[8..9], &name[15..17]), ("T", "Z."), "{name}");
    instant(
        number(0, 4),
        number(4, 6),
        number(6, 8),
        number(9, 11),
        number(11, 13),
        number(13, 15),
    )
}

fn decoded(name: &str) -> String {
    let mut parts = name.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).unwrap_or_else(|_| panic!("{name}: no escape")));
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(out).unwrap_or_else(|_| panic!("{name}: no UTF-8"))
}

fn entries(path: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    entries.sort();
    entries
}

fn modified(file: &Path) -> i64 {
    let time = fs::metadata(file)
        .and_then(|data| data.modified())
        .expect("a file's time");
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).expect("fits"),
        Err(before) => -i64::try_from(before.duration().as_secs()).expect("fits"),
    }
}

/// An mbox in mboxrd form. Flags and keywords come from `Status`, `X-Status` and `X-Keywords` at the very beginning of
/// the header (`X-IMAPbase` may stand among them), which are taken out of the message; the date from the `From ` line, in UTC.
pub fn mbox(path: &Path) -> Vec<Message> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut messages = Vec::new();
    let mut current: Option<(i64, Vec<u8>)> = None;
    let mut blank = true;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if blank && line.starts_with(b"From ") {
            if let Some((received, body)) = current.take() {
                messages.push(finished(received, &body));
            }
            current = Some((from_date(line), Vec::new()));
        } else {
            let (_, body) = current
                .as_mut()
                .unwrap_or_else(|| panic!("{}: no From line first", path.display()));
            let quoted = line.iter().take_while(|&&byte| byte == b'>').count();
            let line = if quoted > 0 && line[quoted..].starts_with(b"From ") {
                &line[1..]
            } else {
                line
            };
            body.extend_from_slice(line);
        }
        blank = matches!(line, b"\n" | b"\r\n");
    }
    if let Some((received, body)) = current {
        messages.push(finished(received, &body));
    }
    messages
}

fn from_date(line: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split_whitespace().collect();
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let at = words
        .iter()
        .position(|word| months.contains(word))
        .unwrap_or_else(|| panic!("no date in {:?}", text.trim_end()));
    let month = months
        .iter()
        .zip(1..)
        .find(|(name, _)| **name == words[at])
        .map_or(0, |(_, number)| number);
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("no number: {text:?}"));
    let time: Vec<i64> = words[at + 2].split(':').map(number).collect();
    instant(
        number(words[at + 3]),
        month,
        number(words[at + 1]),
        time[0],
        time[1],
        time[2],
    )
}

fn finished(received: i64, body: &[u8]) -> Message {
    // The blank line before the next `From ` line belongs to the format.
    let body = body
        .strip_suffix(b"\r\n")
        .or_else(|| body.strip_suffix(b"\n"))
        .unwrap_or(body);
    let mut flags = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(rest.len(), |at| at + 1);
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "status" => flags.extend(value.contains('R').then(|| "\\Seen".to_owned())),
            "x-status" => {
                for (letter, flag) in [
                    ('A', "\\Answered"),
                    ('F', "\\Flagged"),
                    ('T', "\\Draft"),
                    ('D', "\\Deleted"),
                ] {
                    flags.extend(value.contains(letter).then(|| flag.to_owned()));
                }
            }
            "x-keywords" => flags.extend(
                value
                    .split([' ', ','])
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned),
            ),
            // The table of keywords, for the whole spool.
            "x-imapbase" => {}
            _ => break,
        }
        rest = &rest[end..];
    }
    Message {
        body: Body::of(rest),
        flags: sorted(flags),
        received,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Allow, assert_same};
    use crate::corpus;
    use crate::{scratch, writers};

    #[test]
    fn a_maildir_reads_as_it_was_written() {
        let folder = scratch::folder("maildir");
        let mut account = corpus::hard(3, '.');
        account.folders.retain(|folder| {
            folder
                .path
                .iter()
                .all(|name| !name.contains('.') && !name.contains('/'))
        });
        writers::maildir(folder.path(), &account);
        assert_same(
            &account,
            &maildir(folder.path()),
            &Allow {
                special: true,
                ..Allow::default()
            },
        );
    }

    #[test]
    fn an_mbox_reads_as_it_was_written() {
        let folder = scratch::folder("mbox");
        let path = folder.path().join("spool");
        let messages = corpus::bulk(5, 40);
        writers::mbox(&path, &messages);
        let expected = Account {
            folders: vec![Folder::new(&["INBOX"]).with(messages)],
        };
        let actual = Account {
            folders: vec![Folder::new(&["INBOX"]).with(mbox(&path))],
        };
        assert_same(
            &expected,
            &actual,
            &Allow {
                line_ends: true,
                ..Allow::default()
            },
        );
    }
}
