//! Mail to move: deterministic, realistic in bulk, and with every hard case that is known.

mod bulk;
mod hard;
mod pim;

pub use bulk::{bulk, bulk_message, text};
pub use hard::{equal_twins, hard_messages, huge};
pub use pim::{calendar_objects, contact, contacts, event, series};

use crate::account::{Account, Folder, Message};
use crate::scratch::Random;

/// Keywords that the corpus uses; few enough for a Maildir folder's 26 letters.
pub const KEYWORDS: [&str; 8] = [
    "$Forwarded",
    "$MDNSent",
    "NonJunk",
    "$label1",
    "Work",
    "todo",
    "$Junk",
    "x-y.z",
];

/// An instant of the corpus: 5 January 2015, 12:00:00 UTC.
pub const NOON: i64 = 1_420_459_200;

/// A few flags and keywords.
pub fn some_flags(random: &mut Random) -> Vec<&'static str> {
    let mut flags = Vec::new();
    for (flag, percent) in [
        ("\\Seen", 70),
        ("\\Answered", 20),
        ("\\Flagged", 10),
        ("\\Draft", 3),
        ("\\Deleted", 2),
    ] {
        if random.chance(percent) {
            flags.push(flag);
        }
    }
    for _ in 0..random.below(3) {
        if random.chance(40) {
            flags.push(*random.pick(&KEYWORDS));
        }
    }
    flags
}

/// The folder names that servers differ about. `separator` is the server's: where it is `.`, a name cannot hold one.
pub fn hard_folders(separator: char) -> Vec<Vec<String>> {
    let mut paths: Vec<Vec<&str>> = vec![
        vec!["Entw\u{fc}rfe 2019"],
        vec!["with \"quotes\""],
        vec!["R&D"],
        vec!["&"],
        vec!["&AOk-"],
        vec!["\u{1f389} party \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"],
        vec!["trailing blank "],
        vec![" leading blank"],
        vec!["back\\slash"],
        vec!["100 percent"],
        vec!["(brackets) {and} [more]"],
        vec!["~tilde"],
        vec!["\u{53f0}\u{5317}", "\u{65e5}\u{672c}\u{8a9e}"],
        vec!["cafe\u{301}"],
        vec!["parent"],
        vec!["parent", "child"],
        vec!["parent", "child", "grandchild"],
        vec!["l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8"],
        vec!["INBOX", "inner"],
        vec!["inbox of old things"],
        vec!["{12}"],
        vec!["NIL"],
        vec![
            "a name that is long, but not so long that a file system could not hold it, one hundred and twenty characters altogether",
        ],
    ];
    if separator == '.' {
        paths.push(vec!["with/slash"]);
    } else {
        paths.push(vec!["v1.2.3 notes"]);
        paths.push(vec!["dots", "a.b"]);
    }
    paths
        .into_iter()
        .map(|path| path.into_iter().map(str::to_owned).collect())
        .collect()
}

/// An account with every hard case: messages in INBOX and in every hard folder, special uses, a folder that nobody
/// subscribed to, an empty one, and one with messages that are equal to the last byte.
pub fn hard(seed: u64, separator: char) -> Account {
    let mut random = Random::new(seed);
    let mut folders = vec![
        Folder::new(&["INBOX"]).with(hard_messages(seed)),
        Folder::new(&["Sent Items"]).special("\\Sent").with(bulk(seed ^ 1, 12)),
        Folder::new(&["Drafts"]).special("\\Drafts").with(bulk(seed ^ 2, 3)),
        Folder::new(&["Twins"]).with(equal_twins()),
        Folder::new(&["Empty"]),
    ];
    let mut hidden = Folder::new(&["Unsubscribed"]).with(bulk(seed ^ 3, 4));
    hidden.subscribed = false;
    folders.push(hidden);
    for path in hard_folders(separator) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let messages = bulk(random.number(), 1 + random.below(3));
        folders.push(Folder::new(&path).with(messages));
    }
    Account { folders }
}

/// An account of one user with so many messages, spread over INBOX and a few folders.
pub fn ordinary(seed: u64, messages: u64) -> Account {
    let folders = [
        &["INBOX"][..],
        &["Archive", "2019"],
        &["Archive", "2020"],
        &["Lists", "rust"],
    ];
    let each = messages / folders.len() as u64;
    let rest = messages % folders.len() as u64;
    let folders = folders.iter().zip(0..).map(|(path, at)| {
        let count = if at == 0 { each + rest } else { each };
        Folder::new(path).with(bulk(seed.wrapping_mul(31).wrapping_add(at), count))
    });
    Account {
        folders: folders.collect(),
    }
}

/// A message whose every byte is known from its number: for folders of hundreds of thousands.
pub fn tiny(number: u64) -> Message {
    let body = format!(
        "From: a@example.org\r\nTo: b@example.org\r\nMessage-ID: <{number}@tiny.example>\r\nSubject: {number}\r\n\r\nNumber {number}.\r\n"
    );
    let seconds = NOON + i64::try_from(number).expect("small");
    Message::new(
        body.as_bytes(),
        if number.is_multiple_of(3) { &["\\Seen"] } else { &[] },
        seconds,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Allow, differences};

    #[test]
    fn the_same_seed_gives_the_same_mail() {
        assert!(differences(&hard(7, '/'), &hard(7, '/'), &Allow::default()).is_empty());
        assert!(!differences(&hard(7, '/'), &hard(8, '/'), &Allow::default()).is_empty());
        // Whoever changes the corpus changes this number too: results stay comparable between releases.
        let all = hard(1, '/');
        let mut hasher = blake3::Hasher::new();
        for message in all.folders.iter().flat_map(|folder| &folder.messages) {
            hasher.update(message.body.hash.as_bytes());
        }
        assert_eq!(
            (all.folders.len(), all.count()),
            (31, 115),
            "{}",
            hasher.finalize().to_hex()
        );
    }

    #[test]
    fn bulk_sizes_are_those_of_real_mail() {
        let messages = bulk(1, 2000);
        let mut sizes: Vec<u64> = messages.iter().map(|message| message.body.size).collect();
        sizes.sort_unstable();
        assert!((2_000..12_000).contains(&sizes[1000]), "median {}", sizes[1000]);
        assert!(
            sizes[1999] > 300_000 && sizes[1999] < 3_000_000,
            "largest {}",
            sizes[1999]
        );
        let mut hashes: Vec<&str> = messages.iter().map(|message| message.body.hash.as_str()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 2000);
    }

    #[test]
    fn names_stay_without_their_separator() {
        for separator in ['/', '.'] {
            for path in hard_folders(separator) {
                assert!(path.iter().all(|name| !name.contains(separator)), "{path:?}");
            }
        }
    }
}
