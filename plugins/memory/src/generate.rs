//! Messages and mailbox names, made up: the same for the same settings, and none of them kept in memory.

use whimbrel_plugin::{Role, Timestamp};

use crate::settings::Settings;

/// Names after INBOX, with their roles.
const WELL_KNOWN: [(&str, Role); 5] = [
    ("Sent", Role::Sent),
    ("Drafts", Role::Drafts),
    ("Junk", Role::Junk),
    ("Trash", Role::Trash),
    ("Archive", Role::Archive),
];

/// Names that many providers cannot keep as they are.
const HARD_NAMES: [&[&str]; 10] = [
    &["a/b.c"],
    &["say \"hi\""],
    &["R&D (50%)"],
    &["\u{1F980} caf\u{e9}"],
    &["trailing blank "],
    &["both"],
    &["both", "child"],
    &["1", "2", "3", "4", "5", "6", "7", "8"],
    &["case"],
    &["CASE"],
];

/// Path and role of every mailbox, parents before children.
pub fn mailboxes(settings: &Settings) -> Vec<(Vec<String>, Option<Role>)> {
    let wanted = usize::try_from(settings.mailboxes.max(1)).unwrap_or(usize::MAX);
    let mut all = vec![(vec!["INBOX".to_owned()], Some(Role::Inbox))];
    all.extend(
        WELL_KNOWN
            .iter()
            .take(wanted - 1)
            .map(|(name, role)| (vec![(*name).to_owned()], Some(*role))),
    );
    all.extend((all.len()..wanted).map(|number| (vec![format!("Folder {number}")], None)));
    if settings.hard {
        all.extend(
            HARD_NAMES
                .iter()
                .map(|path| (path.iter().map(|name| (*name).to_owned()).collect(), None)),
        );
    }
    all
}

/// SplitMix64: enough to scatter, and the same everywhere.
fn scatter(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// One message of the account.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    settings: &'a Settings,
    mailbox: usize,
    number: u64,
    random: u64,
}

impl<'a> Message<'a> {
    /// The message `number` (from 1) of the mailbox that is `mailbox` in the order of [`mailboxes`].
    pub fn new(settings: &'a Settings, mailbox: usize, number: u64) -> Self {
        let user = settings
            .user
            .bytes()
            .fold(0, |hash, byte| scatter(hash ^ u64::from(byte)));
        let random = scatter(scatter(scatter(settings.seed ^ user) ^ mailbox as u64) ^ number);
        Self {
            settings,
            mailbox,
            number,
            random,
        }
    }

    /// Up to 2030, a day apart where there are few, never in the future of a mailbox: older ones have lower numbers.
    pub fn received(&self) -> Timestamp {
        let zones = [0, 60, 120, -300, 330, -570];
        let zone = zones[usize::try_from(self.random % zones.len() as u64).unwrap_or(0)];
        let seconds = 1_500_000_000 + i64::try_from(self.number).unwrap_or(0) * 77 + i64::from(zone);
        Timestamp {
            unix_ms: seconds * 1000,
            offset_minutes: zone,
        }
    }

    /// Which step of `round` flagged it; 0 where none did so far.
    pub fn revision(&self) -> u64 {
        let step = self.number % 10 + 1;
        if step <= self.settings.round { step } else { 0 }
    }

    /// Flags and keywords.
    pub fn flags(&self) -> Vec<String> {
        let wanted = [
            ("\\Seen", !self.random.is_multiple_of(3)),
            ("\\Answered", self.random % 7 == 1),
            ("\\Flagged", self.revision() > 0),
            ("$Forwarded", self.random % 11 == 1),
            ("Work", self.random % 13 == 1),
        ];
        wanted
            .into_iter()
            .filter(|(_, set)| *set)
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// Bytes of the content; exactly what [`Message::write`] writes.
    pub fn size(&self) -> u64 {
        match self.hard() {
            Some(bytes) => bytes.len() as u64,
            None => self.wanted_size().max(self.header().len() as u64),
        }
    }

    /// The content, piece by piece.
    pub fn write(&self, mut sink: impl FnMut(&[u8])) {
        if let Some(bytes) = self.hard() {
            return sink(&bytes);
        }
        let header = self.header();
        sink(header.as_bytes());
        let mut rest = self.size() - header.len() as u64;
        let mut line = [0u8; 76];
        for (at, byte) in (0u64..).zip(&mut line) {
            let letters = b"abcdefghijklmnopqrstuvwxyz     ";
            *byte = letters[usize::try_from(scatter(self.random ^ at) % letters.len() as u64).unwrap_or(0)];
        }
        line[74..].copy_from_slice(b"\r\n");
        let block = line.repeat(800);
        while rest > 0 {
            let length = usize::try_from(rest).unwrap_or(usize::MAX).min(block.len());
            sink(&block[..length]);
            rest -= length as u64;
        }
    }

    fn wanted_size(&self) -> u64 {
        match self.settings.large {
            Some(bytes) if self.mailbox == 0 && self.number == 1 => bytes,
            _ => self.settings.size / 2 + self.random % (self.settings.size + 1),
        }
    }

    fn header(&self) -> String {
        let Self {
            mailbox,
            number,
            random,
            ..
        } = self;
        let seed = self.settings.seed;
        format!(
            "From: Sender {sender} <sender{sender}@example.org>\r\nTo: somebody@example.net\r\n\
             Subject: Message {number} of mailbox {mailbox}\r\nDate: Mon, 2 Jan 2017 03:04:05 +0000\r\n\
             Message-ID: <{number}.{mailbox}.{seed}.{random:x}@example.org>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\r\n",
            sender = random % 100,
        )
    }

    /// With `hard`, every second message is one of the hard cases, in turn.
    fn hard(&self) -> Option<Vec<u8>> {
        if !self.settings.hard || self.number.is_multiple_of(2) {
            return None;
        }
        let n = self.number;
        let text = |header: &str, body: &str| format!("Subject: hard {n}\r\n{header}\r\n{body}").into_bytes();
        Some(match (self.number / 2) % 14 {
            0 => text("", "no Message-ID and no Date\r\n"),
            1 => text(
                "Message-ID: <same@example.org>\r\n",
                &format!("the same Message-ID, other content: {n}\r\n"),
            ),
            2 => text(
                "Message-ID: <same@example.org>\r\n",
                "a twin in every byte but its subject\r\n",
            ),
            3 => [b"Subject: caf\xe9 \xff\r\n".as_slice(), &text("", "8-bit header\r\n")].concat(),
            4 => text("", "a NUL \0 here\r\n"),
            5 => text("", "bare\nline\nfeeds\r\n"),
            6 => text("", "bare \r carriage return\r\n"),
            7 => text("", &format!("{}\r\n", "x".repeat(1200))),
            8 => text("", &format!("{}\r\n", "y".repeat(12_000))),
            9 => b"\r\n".to_vec(),
            10 => text("", "")[..10].to_vec(),
            11 => text(
                "Content-Type: multipart/mixed; boundary=gone\r\n",
                "--other\r\nbroken MIME",
            ),
            12 => text(
                "Content-Type: text/plain; charset=nowhere\r\n",
                "From the start of a line\r\n>From\r\n.\r\n..\r\n",
            ),
            _ => text("", "no line end"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(message: Message<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.write(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    #[test]
    fn the_account_of_another_seed_or_user_differs() {
        let one = Settings::default();
        let two = Settings {
            seed: 2,
            ..Settings::default()
        };
        let three = Settings {
            user: "alice".to_owned(),
            ..Settings::default()
        };
        let bodies = [&one, &two, &three].map(|settings| body(Message::new(settings, 0, 1)));
        assert!(bodies[0] != bodies[1] && bodies[1] != bodies[2] && bodies[0] != bodies[2]);
        assert_eq!(body(Message::new(&one, 0, 1)), bodies[0]);
    }

    #[test]
    fn names_are_unique_and_parents_come_first() {
        let all = mailboxes(&Settings {
            mailboxes: 9,
            hard: true,
            ..Settings::default()
        });
        assert_eq!(all.len(), 9 + HARD_NAMES.len());
        for (at, (path, _)) in all.iter().enumerate() {
            assert!(
                all[..at]
                    .iter()
                    .all(|(other, _)| other != path && !other.starts_with(path)),
                "{path:?}"
            );
        }
        assert_eq!(
            mailboxes(&Settings {
                mailboxes: 0,
                ..Settings::default()
            })
            .len(),
            1
        );
    }

    #[test]
    fn a_round_flags_a_tenth() {
        for round in 0..=10 {
            let settings = Settings {
                round,
                ..Settings::default()
            };
            let flagged = (1..=100)
                .filter(|number| {
                    Message::new(&settings, 0, *number)
                        .flags()
                        .contains(&"\\Flagged".to_owned())
                })
                .count();
            assert_eq!(flagged as u64, round * 10);
        }
    }

    proptest! {
        #[test]
        fn the_size_is_the_size(number in 1u64..1000, mailbox in 0usize..5, hard: bool, size in 0u64..100_000, large in proptest::option::of(0u64..300_000)) {
            let settings = Settings { hard, size, large, ..Settings::default() };
            let message = Message::new(&settings, mailbox, number);
            prop_assert_eq!(body(message).len() as u64, message.size());
        }
    }
}
