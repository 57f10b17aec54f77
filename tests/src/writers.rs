//! Puts the corpus where a migration finds it: into an IMAP account, a Maildir tree, an mbox spool, folders of .eml files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::account::{Account, Folder, Message, asctime};
use crate::imap::{Imap, encode_name};

/// Fills an account, which is empty, through IMAP.
pub fn imap(imap: &mut Imap, separator: char, account: &Account) {
    let listed: Vec<String> = imap.list().into_iter().map(|folder| folder.name).collect();
    for folder in &account.folders {
        let name = folder.path.join(&separator.to_string());
        if !listed.contains(&name) && name != "INBOX" {
            match &folder.special {
                Some(special) => imap.create_special(&name, special),
                None => imap.create(&name),
            }
        }
        if folder.subscribed {
            imap.subscribe(&name);
        }
        append(imap, &name, &folder.messages);
    }
}

/// Appends messages to a folder that is there.
pub fn append(imap: &mut Imap, name: &str, messages: &[Message]) {
    let messages = messages
        .iter()
        .map(|message| (message.flags.as_slice(), message.received, message.bytes()));
    imap.append_all(name, messages);
}

/// Writes a Maildir++ tree as Dovecot keeps it: INBOX at the root, `.a.b` for the folders, keywords as letters with
/// their names in `dovecot-keywords`, `subscriptions`. Line ends as they are in the messages. A name that holds a `.`
/// cannot be: a panic.
pub fn maildir(root: &Path, account: &Account) {
    let mut subscriptions = String::new();
    for folder in &account.folders {
        assert!(
            folder.path.iter().all(|name| !name.contains('.')),
            "no Maildir++ name: {:?}",
            folder.path
        );
        let name = folder
            .path
            .iter()
            .map(|name| encode_name(name))
            .collect::<Vec<_>>()
            .join(".");
        let path = if name == "INBOX" {
            root.to_owned()
        } else {
            root.join(format!(".{name}"))
        };
        maildir_folder(&path, folder);
        if name != "INBOX" {
            fs::write(path.join("maildirfolder"), "").expect("own folder");
        }
        if folder.subscribed {
            let _ = writeln!(subscriptions, "{name}");
        }
    }
    fs::write(root.join("subscriptions"), subscriptions).expect("own folder");
}

fn maildir_folder(path: &Path, folder: &Folder) {
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(path.join(part)).expect("own folder");
    }
    let mut keywords: BTreeMap<&str, char> = BTreeMap::new();
    for (number, message) in folder.messages.iter().enumerate() {
        let mut letters: Vec<char> = Vec::new();
        for flag in &message.flags {
            let letter = match flag.as_str() {
                "\\Draft" => 'D',
                "\\Flagged" => 'F',
                "\\Answered" => 'R',
                "\\Seen" => 'S',
                "\\Deleted" => 'T',
                keyword => {
                    let next = char::from(b'a' + u8::try_from(keywords.len()).expect("at most 26 keywords"));
                    *keywords.entry(keyword).or_insert(next)
                }
            };
            letters.push(letter);
        }
        letters.sort_unstable();
        let letters: String = letters.into_iter().collect();
        let size = message.body.size;
        // What has no flags may lie in `new`, as if nobody had seen it yet.
        let file = if letters.is_empty() && number % 2 == 0 {
            path.join("new")
                .join(format!("{}.M{number}P1.host,S={size}", message.received))
        } else {
            path.join("cur")
                .join(format!("{}.M{number}P1.host,S={size}:2,{letters}", message.received))
        };
        fs::write(&file, message.bytes()).expect("own folder");
        set_modified(&file, message.received);
    }
    if !keywords.is_empty() {
        let mut letters: Vec<(char, &str)> = keywords
            .into_iter()
            .map(|(keyword, letter)| (letter, keyword))
            .collect();
        letters.sort_unstable();
        let list: String = letters
            .iter()
            .enumerate()
            .map(|(number, (_, keyword))| format!("{number} {keyword}\n"))
            .collect();
        fs::write(path.join("dovecot-keywords"), list).expect("own folder");
    }
}

/// Sets a file's time, in seconds since 1970.
pub fn set_modified(file: &Path, seconds: i64) {
    let seconds = u64::try_from(seconds).expect("after 1970");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::options()
        .write(true)
        .open(file)
        .and_then(|file| file.set_modified(time))
        .expect("own file");
}

/// Writes an mbox in mboxrd form: line feeds only, `From ` lines quoted, flags as `Status`, `X-Status`, `X-Keywords`.
pub fn mbox(path: &Path, messages: &[Message]) {
    let mut out = Vec::new();
    for message in messages {
        out.extend_from_slice(format!("From MAILER-DAEMON {}\n", asctime(message.received)).as_bytes());
        let has = |flag: &str| message.flags.iter().any(|known| known == flag);
        let (mut status, mut more, mut keywords) = (String::new(), String::new(), Vec::new());
        for (flag, letter) in [
            ("\\Answered", 'A'),
            ("\\Flagged", 'F'),
            ("\\Draft", 'T'),
            ("\\Deleted", 'D'),
        ] {
            if has(flag) {
                more.push(letter);
            }
        }
        if has("\\Seen") {
            status.push('R');
        }
        status.push('O');
        keywords.extend(
            message
                .flags
                .iter()
                .filter(|flag| !flag.starts_with('\\'))
                .map(String::as_str),
        );
        out.extend_from_slice(format!("Status: {status}\n").as_bytes());
        if !more.is_empty() {
            out.extend_from_slice(format!("X-Status: {more}\n").as_bytes());
        }
        if !keywords.is_empty() {
            out.extend_from_slice(format!("X-Keywords: {}\n", keywords.join(" ")).as_bytes());
        }
        let body = String::from_utf8_lossy(message.bytes()).replace("\r\n", "\n");
        for line in body.split_inclusive('\n') {
            if line.trim_start_matches('>').starts_with("From ") {
                out.push(b'>');
            }
            out.extend_from_slice(line.as_bytes());
        }
        if !body.ends_with('\n') {
            out.push(b'\n');
        }
        out.push(b'\n');
    }
    fs::write(path, out).expect("own folder");
}

/// Writes folders of `.eml` files as mail programs export them: a directory a folder, a file a message, dated as it was
/// received. Flags are lost.
pub fn eml(root: &Path, account: &Account) {
    for folder in &account.folders {
        let path = folder.path.iter().fold(root.to_owned(), |path, name| path.join(name));
        fs::create_dir_all(&path).expect("own folder");
        for (number, message) in folder.messages.iter().enumerate() {
            let file = path.join(format!("Message {number}.eml"));
            fs::write(&file, message.bytes()).expect("own folder");
            set_modified(&file, message.received);
        }
    }
}
