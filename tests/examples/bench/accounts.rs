//! The accounts that are moved, written straight into a server's Maildir.

use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::corpus::{NOON, bulk_message};
use whimbrel_tests::scratch::Random;

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
}

impl Kind {
    /// By its name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Mixed, Self::Small, Self::Large, Self::Short]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Small => "small",
            Self::Large => "large",
            Self::Short => "short",
        }
    }

    /// Its messages. The same each time.
    pub fn account(self) -> Account {
        let (folders, each) = match self {
            Self::Mixed => (20, 500),
            Self::Small => (20, 2500),
            Self::Large => (4, 10),
            Self::Short => (20, 100),
        };
        let mut random = Random::new(self as u64 + 1);
        let folders = (0..folders).map(|number| {
            let messages = (0..each).map(|at| self.message(&mut random, number * 10_000 + at));
            let messages: Vec<Message> = messages.collect();
            match number {
                0 => Folder::new(&["INBOX"]),
                number => Folder::new(&[
                    if number % 2 == 0 { "Work" } else { "Private" },
                    &format!("Folder {number}"),
                ]),
            }
            .with(messages)
        });
        Account {
            folders: folders.collect(),
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
            Self::Mixed | Self::Short => bulk_message(random, 7, number),
            Self::Small => sized(random, number, 2_000..3_000),
            Self::Large => sized(random, number, 25_000_000..25_000_001),
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
