//! The accounts that are moved, written straight into a server's Maildirs.

use std::fs;
use std::time::Duration;

use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::corpus::{NOON, bulk_message};
use whimbrel_tests::scratch::Random;
use whimbrel_tests::servers::Dovecot;
use whimbrel_tests::writers;

use crate::tiny;

/// An account by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 10,000 messages of ordinary sizes in 20 folders.
    Mixed,
    /// 50,000 messages of 2 to 3 KB in 20 folders.
    Small,
    /// 40 messages of 25 MB in 4 folders.
    Large,
    /// 2,000 messages of ordinary sizes in 20 folders: for slow lines.
    Short,
    /// 200 users with 200 messages of ordinary sizes each.
    Fleet,
    /// 1,000,000 messages of 300 bytes in 50 folders: for what a run costs that finds nothing new.
    Million,
}

/// How an account is divided.
struct Shape {
    users: usize,
    folders: u64,
    each: u64,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Mixed,
        Self::Small,
        Self::Large,
        Self::Short,
        Self::Fleet,
        Self::Million,
    ];

    /// By its name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Small => "small",
            Self::Large => "large",
            Self::Short => "short",
            Self::Fleet => "fleet",
            Self::Million => "million",
        }
    }

    /// What it is, for a heading.
    pub fn about(self) -> &'static str {
        match self {
            Self::Mixed => "10,000 messages of ordinary sizes",
            Self::Small => "50,000 messages of 2 to 3 KB",
            Self::Large => "40 messages of 25 MB",
            Self::Short => "2,000 messages of ordinary sizes",
            Self::Fleet => "200 users with 200 messages each",
            Self::Million => "1,000,000 messages of 300 bytes",
        }
    }

    fn shape(self) -> Shape {
        let (users, folders, each) = match self {
            Self::Mixed => (1, 20, 500),
            Self::Small => (1, 20, 2500),
            Self::Large => (1, 4, 10),
            Self::Short => (1, 20, 100),
            Self::Fleet => (200, 4, 50),
            Self::Million => (1, 50, 20_000),
        };
        Shape { users, folders, each }
    }

    /// How many messages it holds, all users together.
    pub fn messages(self) -> u64 {
        let Shape { users, folders, each } = self.shape();
        users as u64 * folders * each
    }

    /// The longest that one copy of it may take.
    pub fn limit(self) -> Duration {
        match self {
            Self::Million => Duration::from_secs(3600),
            _ => Duration::from_secs(900),
        }
    }

    /// Its users at the source.
    pub fn users(self) -> Vec<String> {
        match self.shape().users {
            1 => vec!["alice".to_owned()],
            many => (0..many).map(|number| format!("user{number:03}")).collect(),
        }
    }

    /// Those of its users whose messages are compared, by their numbers: all of a few; of many the first, the last and
    /// every tenth; none where the folders' numbers of messages must do.
    pub fn compared(self) -> Vec<usize> {
        let users = self.shape().users;
        match self {
            Self::Million => Vec::new(),
            _ => (0..users).filter(|at| at % 10 == 0 || at + 1 == users).collect(),
        }
    }

    /// What of it is compared, where that is not everything.
    pub fn partly(self) -> Option<String> {
        match (self.compared().len(), self.shape().users) {
            (0, _) => Some("of each folder, only the number of messages was compared".to_owned()),
            (some, all) if some < all => Some(format!("the messages of {some} of {all} users were compared")),
            _ => None,
        }
    }

    /// The folders and how many messages each holds, the same for every user.
    pub fn folders(self) -> Vec<(Vec<String>, u64)> {
        let Shape { folders, each, .. } = self.shape();
        let folder = |number| match number {
            0 => (vec!["INBOX".to_owned()], each),
            number => {
                let parent = if number % 2 == 0 { "Work" } else { "Private" };
                (vec![parent.to_owned(), format!("Folder {number}")], each)
            }
        };
        (0..folders).map(folder).collect()
    }

    /// Writes all users' mail where the server finds it. The same each time.
    pub fn write(self, server: &Dovecot) {
        for (number, user) in self.users().into_iter().enumerate() {
            let store = server.store(&user);
            fs::create_dir_all(&store).expect("own folder");
            match self {
                Self::Million => tiny::write(&store, &self.folders()),
                _ => writers::maildir(&store, &self.account(number as u64)),
            }
            server.give(&user);
        }
    }

    fn account(self, user: u64) -> Account {
        let mut random = Random::new((user << 32) + self as u64 + 1);
        let folder = |(number, (path, each)): (usize, (Vec<String>, u64))| {
            let message = |at| self.message(&mut random, number as u64 * 10_000 + at);
            let messages: Vec<Message> = (0..each).map(message).collect();
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            Folder::new(&path).with(messages)
        };
        Account {
            folders: self.folders().into_iter().enumerate().map(folder).collect(),
        }
    }

    fn message(self, random: &mut Random, number: u64) -> Message {
        let flags: &[&str] = match random.below(10) {
            0 => &[],
            1 => &["\\Answered", "\\Seen"],
            2 => &["\\Flagged", "\\Seen"],
            _ => &["\\Seen"],
        };
        let received = NOON - i64::try_from(random.below(100_000_000)).expect("small");
        let body = match self {
            Self::Small => sized(random, number, 2_000..3_000),
            Self::Large => sized(random, number, 25_000_000..25_000_001),
            _ => bulk_message(random, 7, number),
        };
        Message::new(&body, flags, received)
    }
}

/// A message of about so many bytes, in lines of 76.
fn sized(random: &mut Random, number: u64, bytes: std::ops::Range<u64>) -> Vec<u8> {
    let size = usize::try_from(random.between(bytes.start, bytes.end)).expect("small");
    let mut out = format!(
        "From: Sender <sender{number}@example.org>\r\nTo: alice@example.com\r\nSubject: Message {number}\r\n\
         Message-ID: <{number}.{:x}@example.org>\r\nDate: Mon, 1 Jan 2018 10:00:00 +0000\r\n\r\n",
        random.number()
    )
    .into_bytes();
    while out.len() < size {
        let line = format!("{:016x}", random.number()).repeat(5);
        out.extend_from_slice(&line.as_bytes()[..76]);
        out.extend_from_slice(b"\r\n");
    }
    out
}
