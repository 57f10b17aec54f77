//! The sample messages. Nothing in them is random: every demo is the same.

/// One message, and where it lies.
pub struct Sample {
    /// Folder, root first; `INBOX` is the inbox.
    pub folder: &'static [&'static str],
    /// Maildir's flag letters: D, F, P, R, S, T; and a, b for the keywords of [`KEYWORDS`].
    pub flags: &'static str,
    /// When it was received, in seconds since 1970.
    pub received: u32,
    /// Its bytes.
    pub content: Vec<u8>,
    /// What is hard about it; empty for an ordinary one.
    pub hard: &'static str,
}

/// What becomes of a message by the demo's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It arrives as it was, byte for byte.
    Same,
    /// It arrives with these bytes.
    Changed(Vec<u8>),
    /// It stays behind.
    LeftOut,
}

impl Sample {
    /// What the rules of the demo are to do with it, said here a second time, so that the demo can tell whether they did.
    pub fn fate(&self) -> Fate {
        if self.flags.contains('T') {
            return Fate::LeftOut;
        }
        if !self.flags.contains('D') {
            return Fate::Same;
        }
        let text = String::from_utf8_lossy(&self.content);
        let lines = text.split_inclusive('\n').map(|line| match line.split(':').next() {
            Some("From" | "To") => line.replace("@old.example", "@new.example"),
            _ => line.to_owned(),
        });
        Fate::Changed(lines.collect::<String>().into_bytes())
    }
}

/// Keywords of the Maildir, by letter.
pub const KEYWORDS: [&str; 2] = ["$Forwarded", "Work"];

const INBOX: &[&str] = &["INBOX"];

fn sample(
    folder: &'static [&'static str],
    flags: &'static str,
    received: u32,
    hard: &'static str,
    content: impl Into<Vec<u8>>,
) -> Sample {
    Sample {
        folder,
        flags,
        received,
        content: content.into(),
        hard,
    }
}

/// An ordinary message with these extra header lines and this text.
fn mail(number: u32, subject: &str, extra: &str, text: &str) -> String {
    format!(
        "From: Bo Wader <bo@old.example>\nTo: alice@old.example\nSubject: {subject}\n\
         Date: Tue, 14 Nov 2017 08:{:02}:00 +0100\nMessage-ID: <{number}.demo@old.example>\nMIME-Version: 1.0\n{extra}\n{text}",
        number % 60
    )
}

/// The spool: mbox files of the kind that Unix systems have kept since the seventies.
pub fn spool() -> Vec<Sample> {
    let old: &[&str] = &["old-mail"];
    vec![
        sample(INBOX, "S", 1_510_644_000, "", mail(1, "Welcome to the mud flats", "", "The tide is out, come and eat.\n")),
        sample(INBOX, "RS", 1_510_644_060, "", mail(2, "Re: Route", "In-Reply-To: <1.demo@old.example>\n", "Straight through the storm.\n")),
        sample(INBOX, "F", 1_510_644_120, "lines that begin with From", mail(3, "Quoting", "", "Dear all,\nFrom here it is not far.\n>From there neither.\n>>From nowhere.\n")),
        sample(INBOX, "", 1_510_644_180, "no Message-ID and no Date", "From: bo@old.example\nTo: alice@old.example\nSubject: Bare\n\nNothing to know it by.\n"),
        sample(INBOX, "S", 1_510_644_240, "the same Message-ID as another, other text", mail(1, "Welcome again", "", "The same id, another letter.\n")),
        sample(INBOX, "S", 1_510_644_300, "8-bit text in the header, in Latin-1", [b"From: J\xf6rg <joerg@old.example>\nSubject: Gr\xfc\xdfe\nMessage-ID: <5.demo@old.example>\n\nM\xf6wen.\n".as_slice()].concat()),
        sample(INBOX, "", 1_510_644_360, "only a header", "From: bo@old.example\nSubject: No body at all\nMessage-ID: <6.demo@old.example>\n\n"),
        sample(old, "S", 1_262_304_000, "a line of 20,000 characters", mail(7, "Long line", "", &format!("{}\n", "curlew ".repeat(2858)))),
        sample(old, "S", 1_262_304_060, "a body with base64 that breaks off", mail(8, "Torn", "Content-Type: multipart/mixed; boundary=\"x\"\n", "--x\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo\n")),
        sample(old, "RS", 1_262_304_120, "", mail(9, "Minutes of the flock", "", "1. Weather.\n2. Worms.\n")),
    ]
}

/// The Maildir.
pub fn maildir() -> Vec<Sample> {
    let archive: &[&str] = &["Archive", "2019"];
    let birds: &[&str] = &["\u{1f426} birds"];
    let lab: &[&str] = &["R&D", "Entw\u{fc}rfe"];
    vec![
        sample(
            INBOX,
            "S",
            1_560_000_000,
            "",
            mail(21, "Landed", "", "All well, tired.\n"),
        ),
        sample(
            INBOX,
            "Fa",
            1_560_000_060,
            "a keyword",
            mail(22, "Pass it on", "", "Forwarded to the whole flock.\n"),
        ),
        sample(INBOX, "", 1_560_000_120, "an empty message", ""),
        sample(
            INBOX,
            "Sb",
            1_560_000_180,
            "a NUL byte",
            [
                mail(23, "Nothing", "", "Here").into_bytes(),
                b"\0is nothing.\n".to_vec(),
            ]
            .concat(),
        ),
        sample(
            INBOX,
            "S",
            1_560_000_240,
            "CRLF and bare LF mixed, a lone CR",
            [
                mail(24, "Line ends", "", "").into_bytes(),
                b"one\r\ntwo\nthree\rstill three\r\n".to_vec(),
            ]
            .concat(),
        ),
        sample(
            INBOX,
            "S",
            1_560_000_300,
            "no line end at the end",
            mail(25, "Cut", "", "The last line goes on"),
        ),
        sample(archive, "S", 1_546_300_800, "an attachment of 3 MB", attachment()),
        sample(
            archive,
            "RS",
            1_546_300_860,
            "",
            mail(
                27,
                "Flight log",
                "Content-Type: text/plain; charset=utf-8\n",
                "4.000 km ohne Pause. \u{2713}\n",
            ),
        ),
        sample(
            birds,
            "S",
            1_546_300_920,
            "a folder with an emoji",
            mail(28, "Ringed", "", "Ring number B 7214.\n"),
        ),
        sample(
            lab,
            "DS",
            1_546_300_980,
            "a folder with & and umlauts, below one that holds nothing",
            mail(29, "Draft", "", "To be finished.\n"),
        ),
        sample(
            &["Sent"],
            "S",
            1_546_301_040,
            "",
            mail(30, "On my way", "", "Do not wait with dinner.\n"),
        ),
        sample(
            &["Trash"],
            "ST",
            1_546_301_100,
            "marked as deleted",
            mail(31, "You have won", "", "Not really.\n"),
        ),
    ]
}

/// Larger than what is kept in memory.
fn attachment() -> String {
    let mut text = mail(
        26,
        "Map of the flyway",
        "Content-Type: application/octet-stream; name=\"map.bin\"\nContent-Transfer-Encoding: base64\n",
        "",
    );
    let line: String = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain("+/AAAAAAAAAAAA".chars())
        .collect();
    for number in 0..41_000_usize {
        let turn = number % line.len();
        text += &line[turn..];
        text += &line[..turn];
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_have_something_to_do() {
        let all: Vec<Fate> = spool().iter().chain(&maildir()).map(Sample::fate).collect();
        let changed: Vec<&Fate> = all.iter().filter(|fate| matches!(fate, Fate::Changed(_))).collect();
        let [Fate::Changed(bytes)] = changed[..] else {
            panic!("{changed:?}")
        };
        let text = String::from_utf8_lossy(bytes);
        assert!(
            text.starts_with("From: Bo Wader <bo@new.example>\nTo: alice@new.example\n"),
            "{text}"
        );
        assert!(text.contains("Message-ID: <29.demo@old.example>"), "{text}");
        assert_eq!(all.iter().filter(|fate| **fate == Fate::LeftOut).count(), 1);
    }

    #[test]
    fn the_sample_is_worth_its_name() {
        let all: Vec<Sample> = spool().into_iter().chain(maildir()).collect();
        assert!(all.iter().filter(|sample| !sample.hard.is_empty()).count() >= 12);
        let attachment = all.iter().map(|sample| sample.content.len()).max().unwrap();
        assert!((3_000_000..4_000_000).contains(&attachment), "{attachment}");
        let mut contents: Vec<&[u8]> = all.iter().map(|sample| sample.content.as_slice()).collect();
        contents.sort_unstable();
        contents.dedup();
        assert_eq!(
            contents.len(),
            all.len(),
            "every message is different, so that each can be looked for"
        );
    }
}
