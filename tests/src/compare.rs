//! What differs between an account and what it ought to be: exactly, apart from what is allowed by name.

use std::collections::BTreeMap;

use crate::account::{Account, Folder, Message};

/// What may differ. The default allows nothing.
#[derive(Debug, Clone, Default)]
pub struct Allow {
    /// Line ends: CR LF for LF and for CR CR LF, and a lone CR at the very end dropped (Dovecot, Maildir and mbox).
    pub line_ends: bool,
    /// A NUL served as 0x80 (Dovecot).
    pub nul: bool,
    /// A line end added at the very end (mbox).
    pub final_newline: bool,
    /// These headers, which mbox uses for flags, gone or added (in lower case).
    pub headers: Vec<&'static str>,
    /// Flags and keywords that the destination cannot keep.
    pub flags_lost: Vec<&'static str>,
    /// No dates are compared.
    pub dates: bool,
    /// No subscriptions are compared.
    pub subscriptions: bool,
    /// No special uses are compared.
    pub special: bool,
    /// Folders without messages may be missing.
    pub empty_folders: bool,
    /// Folders that are there without having been expected, if they are empty.
    pub extra_folders: Vec<Vec<String>>,
    /// Folders that are to have another path: from, to.
    pub renamed: Vec<(Vec<String>, Vec<String>)>,
}

impl Allow {
    /// What a Dovecot does to bytes, wherever they come from.
    pub fn dovecot() -> Self {
        Self {
            line_ends: true,
            nul: true,
            ..Self::default()
        }
    }

    /// A folder with these messages may be there without having been expected, if it is empty.
    pub fn and_extra(mut self, path: &[&str]) -> Self {
        self.extra_folders
            .push(path.iter().map(|&name| name.to_owned()).collect());
        self
    }

    /// A folder is expected at another path.
    pub fn and_renamed(mut self, from: &[&str], to: &[&str]) -> Self {
        let owned = |path: &[&str]| path.iter().map(|&name| name.to_owned()).collect();
        self.renamed.push((owned(from), owned(to)));
        self
    }

    fn canonical(&self, message: &Message) -> String {
        let Some(bytes) = &message.body.bytes else {
            return message.body.hash.clone();
        };
        blake3::hash(&self.canonical_bytes(bytes)).to_hex().to_string()
    }

    /// The bytes with all that may differ taken out.
    pub fn canonical_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut returns = 0;
        for &byte in bytes {
            match byte {
                b'\r' if self.line_ends => {
                    returns += 1;
                    continue;
                }
                b'\n' => returns = 0,
                _ => {
                    out.resize(out.len() + returns, b'\r');
                    returns = 0;
                }
            }
            out.push(if byte == 0 && self.nul { 0x80 } else { byte });
        }
        // A single CR at the end may have been dropped; more than one never is.
        out.resize(out.len() + returns.saturating_sub(1), b'\r');
        if self.final_newline {
            while out.ends_with(b"\n") || out.ends_with(b"\r") {
                out.pop();
            }
        }
        if !self.headers.is_empty() {
            out = self.without_headers(&out);
        }
        out
    }

    fn without_headers(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        let mut dropping = false;
        while !rest.is_empty() {
            let end = rest
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(rest.len(), |at| at + 1);
            let line = &rest[..end];
            if line.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                break;
            }
            if !matches!(line[0], b' ' | b'\t') {
                dropping = self.headers.iter().any(|name| {
                    line.len() > name.len()
                        && line[..name.len()].eq_ignore_ascii_case(name.as_bytes())
                        && line[name.len()] == b':'
                });
            }
            if !dropping {
                out.extend_from_slice(line);
            }
            rest = &rest[end..];
        }
        out.extend_from_slice(rest);
        out
    }

    fn path<'a>(&'a self, path: &'a [String]) -> &'a [String] {
        self.renamed
            .iter()
            .find(|(from, _)| from == path)
            .map_or(path, |(_, to)| to)
    }

    fn flags(&self, message: &Message) -> Vec<String> {
        let mut flags: Vec<String> = message
            .flags
            .iter()
            .filter(|flag| !self.flags_lost.iter().any(|lost| lost.eq_ignore_ascii_case(flag)))
            .map(|flag| flag.to_ascii_lowercase())
            .collect();
        flags.sort();
        flags
    }
}

/// Every difference, one line each; empty where there is none.
pub fn differences(expected: &Account, actual: &Account, allow: &Allow) -> Vec<String> {
    let mut out = Vec::new();
    let mut seen: Vec<&[String]> = Vec::new();
    for wanted in &expected.folders {
        let path = allow.path(&wanted.path);
        seen.push(path);
        let name = path.join(" > ");
        match actual.folders.iter().find(|folder| folder.path == path) {
            Some(found) => folder_differences(&name, wanted, found, allow, &mut out),
            None if allow.empty_folders && wanted.messages.is_empty() => {}
            None => out.push(format!(
                "[{name}] the folder is missing, with {} messages",
                wanted.messages.len()
            )),
        }
    }
    for found in &actual.folders {
        // A parent of an expected folder may hold nothing itself, and servers differ about whether it could.
        let parent = seen.iter().any(|path| path.starts_with(&found.path));
        let allowed = found.messages.is_empty()
            && (!found.selectable || parent || allow.extra_folders.contains(&found.path) || found.path == ["INBOX"]);
        if !seen.contains(&found.path.as_slice()) && !allowed {
            let name = found.path.join(" > ");
            out.push(format!(
                "[{name}] a folder that was not expected, with {} messages",
                found.messages.len()
            ));
        }
    }
    out
}

/// Fails with all differences (the first forty) unless there are none.
#[track_caller]
pub fn assert_same(expected: &Account, actual: &Account, allow: &Allow) {
    let found = differences(expected, actual, allow);
    assert!(
        found.is_empty(),
        "{} differences ({} messages expected, {} there):\n{}",
        found.len(),
        expected.count(),
        actual.count(),
        found
            .iter()
            .take(40)
            .map(|line| format!("  {line}\n"))
            .collect::<String>()
    );
}

fn folder_differences(name: &str, wanted: &Folder, found: &Folder, allow: &Allow, out: &mut Vec<String>) {
    if wanted.selectable && !found.selectable {
        out.push(format!("[{name}] cannot hold messages"));
    }
    if !allow.subscriptions && wanted.subscribed != found.subscribed {
        out.push(format!(
            "[{name}] subscribed: expected {}, is {}",
            wanted.subscribed, found.subscribed
        ));
    }
    if !allow.special && wanted.special.is_some() && wanted.special != found.special {
        out.push(format!(
            "[{name}] special use: expected {:?}, is {:?}",
            wanted.special, found.special
        ));
    }
    let mut bodies: BTreeMap<String, (Vec<&Message>, Vec<&Message>)> = BTreeMap::new();
    for message in &wanted.messages {
        bodies.entry(allow.canonical(message)).or_default().0.push(message);
    }
    for message in &found.messages {
        bodies.entry(allow.canonical(message)).or_default().1.push(message);
    }
    let (mut lost, mut extra): (Vec<&Message>, Vec<&Message>) = (Vec::new(), Vec::new());
    for (wanted, found) in bodies.values() {
        if wanted.is_empty() {
            extra.extend(found);
            continue;
        }
        if found.len() > wanted.len() {
            out.push(format!(
                "[{name}] DOUBLED: {} expected, {} there: {}",
                wanted.len(),
                found.len(),
                label(wanted[0])
            ));
        } else if found.is_empty() {
            lost.extend(wanted);
            continue;
        } else if found.len() < wanted.len() {
            out.push(format!(
                "[{name}] LOST: {} expected, {} there: {}",
                wanted.len(),
                found.len(),
                label(wanted[0])
            ));
            continue;
        }
        mark_differences(name, wanted, found, allow, out);
    }
    for message in lost {
        // One that is there with the same beginning has been altered on the way.
        let twin = extra
            .iter()
            .position(|other| beginning(other, allow) == beginning(message, allow));
        match twin {
            Some(at) => {
                let other = extra.swap_remove(at);
                out.push(format!(
                    "[{name}] ALTERED: {} {}",
                    label(message),
                    first_difference(message, other, allow)
                ));
            }
            None => out.push(format!("[{name}] LOST: {}", label(message))),
        }
    }
    for message in extra {
        out.push(format!("[{name}] NOT EXPECTED: {}", label(message)));
    }
}

fn mark_differences(name: &str, wanted: &[&Message], found: &[&Message], allow: &Allow, out: &mut Vec<String>) {
    let marks = |message: &Message| (allow.flags(message), if allow.dates { 0 } else { message.received });
    let mut open: Vec<_> = found.iter().map(|message| marks(message)).collect();
    for message in wanted {
        let (flags, received) = marks(message);
        if let Some(at) = open.iter().position(|(f, r)| *f == flags && *r == received) {
            open.swap_remove(at);
        } else if let Some(at) = open.iter().position(|(f, _)| *f == flags) {
            let (_, other) = open.swap_remove(at);
            out.push(format!(
                "[{name}] DATE: expected {received}, is {other}: {}",
                label(message)
            ));
        } else if !open.is_empty() {
            let (other, _) = open.swap_remove(0);
            out.push(format!(
                "[{name}] FLAGS: expected {flags:?}, are {other:?}: {}",
                label(message)
            ));
        }
    }
}

fn beginning(message: &Message, allow: &Allow) -> Vec<u8> {
    let bytes = message.body.bytes.as_deref().unwrap_or_default();
    let mut bytes = allow.canonical_bytes(&bytes[..bytes.len().min(4096)]);
    bytes.truncate(120);
    bytes
}

fn first_difference(a: &Message, b: &Message, allow: &Allow) -> String {
    let (Some(a), Some(b)) = (&a.body.bytes, &b.body.bytes) else {
        return "(too large to show)".to_owned();
    };
    let (a, b) = (allow.canonical_bytes(a), allow.canonical_bytes(b));
    let at = a
        .iter()
        .zip(&b)
        .position(|(x, y)| x != y)
        .unwrap_or_else(|| a.len().min(b.len()));
    let around = |bytes: &[u8]| {
        let part = &bytes[at.saturating_sub(20).min(bytes.len())..(at + 20).min(bytes.len())];
        part.escape_ascii().to_string()
    };
    format!(
        "at byte {at} of {} ({} there): \"{}\" became \"{}\"",
        a.len(),
        b.len(),
        around(&a),
        around(&b)
    )
}

/// By which a reader knows the message again: hash, size and first bytes.
fn label(message: &Message) -> String {
    let bytes = message.body.bytes.as_deref().unwrap_or_default();
    let first = bytes[..bytes.len().min(60)].escape_ascii();
    format!("{} bytes, {}…, \"{first}\"", message.body.size, &message.body.hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(messages: &[&[u8]]) -> Account {
        let messages = messages
            .iter()
            .map(|body| Message::new(body, &["\\Seen"], 1_000_000))
            .collect();
        Account {
            folders: vec![Folder::new(&["A"]).with(messages)],
        }
    }

    #[test]
    fn equal_accounts_do_not_differ() {
        let a = account(&[b"x: 1\r\n\r\na", b"x: 1\r\n\r\na", b"y"]);
        assert!(differences(&a, &a, &Allow::default()).is_empty());
    }

    #[test]
    fn lost_doubled_and_altered_are_told_apart() {
        let long = [b'q'; 200];
        let mut changed = long;
        changed[150] = b'x';
        let expected = account(&[b"one", b"two", b"two", &long]);
        let actual = account(&[b"one", b"one", b"two", &changed]);
        let found = differences(&expected, &actual, &Allow::default());
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(
            found.iter().any(|line| line.contains("DOUBLED: 1 expected, 2 there")),
            "{found:#?}"
        );
        assert!(
            found.iter().any(|line| line.contains("LOST: 2 expected, 1 there")),
            "{found:#?}"
        );
        assert!(
            found
                .iter()
                .any(|line| line.contains("ALTERED") && line.contains("at byte 150")),
            "{found:#?}"
        );
    }

    #[test]
    fn flags_dates_and_folders_count() {
        let expected = account(&[b"one"]);
        let mut actual = expected.clone();
        actual.folders[0].messages[0].flags.clear();
        actual.folders[0].subscribed = false;
        actual.folders.push(Folder::new(&["B"]));
        actual.folders.push(Folder::new(&["INBOX"]));
        assert_eq!(differences(&expected, &actual, &Allow::default()).len(), 3);
        let mut actual = expected.clone();
        actual.folders[0].messages[0].received += 1;
        assert_eq!(differences(&expected, &actual, &Allow::default()).len(), 1);
        assert_eq!(differences(&expected, &Account::default(), &Allow::default()).len(), 1);
    }

    #[test]
    fn allowances_are_no_wider_than_their_names() {
        let allow = Allow::dovecot();
        for (a, b) in [
            (&b"a\r\r\nb"[..], &b"a\r\nb"[..]),
            (b"a\nb", b"a\r\nb"),
            (b"a\r", b"a"),
            (b"a\0", b"a\x80"),
        ] {
            assert_eq!(allow.canonical_bytes(a), allow.canonical_bytes(b));
            assert_ne!(Allow::default().canonical_bytes(a), Allow::default().canonical_bytes(b));
        }
        for (a, b) in [(&b"a\rb"[..], &b"ab"[..]), (b"a\n", b"a"), (b"a\r\r", b"a")] {
            assert_ne!(allow.canonical_bytes(a), allow.canonical_bytes(b));
        }
        let allow = Allow {
            headers: vec!["status"],
            ..Allow::default()
        };
        assert_eq!(
            allow.canonical_bytes(b"Status: RO\nA: b\n\nStatus: x\n"),
            b"A: b\n\nStatus: x\n"
        );
    }
}
