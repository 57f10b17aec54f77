//! The protocol: commands, and what is answered.

use serde::Deserialize;
use whimbrel_plugin::blobs::read_whole;
use whimbrel_plugin::tcp::{Connection, Credential, Secret, Security, credentials};
use whimbrel_plugin::{Blob, Failure, Result};

/// Bytes of a line.
const LINE: u32 = 4096;
/// Bytes of a listing.
const LISTING: u64 = 16 << 20;

/// Where the server is, and who logs in.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    host: String,
    #[serde(default = "usual_port")]
    port: u16,
    #[serde(default)]
    tls: Tls,
    user: String,
}

fn usual_port() -> u16 {
    7343
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tls {
    #[default]
    Implicit,
    Insecure,
}

/// A box of letters.
#[derive(Debug, PartialEq, Eq)]
pub struct Postbox {
    pub id: String,
    pub letters: u64,
    pub epoch: String,
    pub path: Vec<String>,
}

/// What is known of a letter besides its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub bytes: u64,
    pub flags: String,
    /// Seconds of Unix time, and minutes of the zone.
    pub received: Option<(i64, i16)>,
}

/// What a listing or the feed says of a letter.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    New(u64, Letter),
    Marked(u64, Letter),
    Gone(u64),
}

impl Entry {
    /// That of the letter.
    pub fn number(&self) -> u64 {
        match self {
            Self::New(number, _) | Self::Marked(number, _) | Self::Gone(number) => *number,
        }
    }
}

/// A part of a listing, or of the feed.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub entries: Vec<Entry>,
    /// Where the feed stands.
    pub feed: String,
    pub more: bool,
}

/// A connection that is logged in. After a failure that is more than a refusal it is of no use.
pub struct Session {
    connection: Connection,
}

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    /// What connecting failed with; `unauthenticated` where the login is refused.
    pub fn open(settings: &Settings) -> Result<Self> {
        let Settings { host, port, tls, user } = settings;
        if user.is_empty() || user.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(Failure::invalid_settings("`user` has to be one word"));
        }
        if credentials() != Credential::Password {
            return Err(Failure::invalid_settings(
                "the server takes a password and nothing else: give `password`",
            ));
        }
        let security = match tls {
            Tls::Implicit => Security::Implicit,
            Tls::Insecure => Security::Insecure,
        };
        let session = Self {
            connection: Connection::open(host, *port, security)?,
        };
        let greeting = session.line()?;
        let challenge = greeting
            .strip_prefix("TELEPOST 3 ")
            .ok_or_else(|| Failure::unavailable("what answers there is no Telepost server of version 3"))?;
        session.connection.write(format!("LOGIN {user} ").as_bytes())?;
        session.connection.write_secret(Secret::Apop, Some(challenge))?;
        session.connection.write(b"\r\n")?;
        match session.answer("logging in") {
            Ok(_) => session.connection.accepted(),
            Err(failure) => {
                if matches!(failure, Failure::Unauthenticated(_)) {
                    session.connection.refused()?;
                }
                return Err(failure);
            }
        }
        Ok(session)
    }

    /// All boxes.
    ///
    /// # Errors
    /// What the server answered.
    pub fn boxes(&self) -> Result<Vec<Postbox>> {
        let text = self.listing("listing the boxes", "BOXES")?;
        text.lines()
            .map(|line| read_box(line).ok_or_else(|| nonsense("listing the boxes")))
            .collect()
    }

    /// Letters of a box after a number.
    ///
    /// # Errors
    /// `not-found` where there is no such box.
    pub fn letters(&self, id: &str, after: u64, most: u32) -> Result<Part> {
        let what = "listing the letters";
        read_part(&self.listing(what, &format!("LIST {} {after} {most}", word(id)?))?).ok_or_else(|| nonsense(what))
    }

    /// What changed in a box.
    ///
    /// # Errors
    /// `generation-changed` where the numbers became void; `not-found` where there is no such box.
    pub fn news(&self, id: &str, since: &str, most: u32) -> Result<Part> {
        let what = "reading the feed";
        let since = word(since).map_err(|_| Failure::GenerationChanged)?;
        read_part(&self.listing(what, &format!("NEWS {} {since} {most}", word(id)?))?).ok_or_else(|| nonsense(what))
    }

    /// Letters, in the order asked for: `not-found` for those that are not there. Asked for all at once.
    ///
    /// # Errors
    /// What ended the connection.
    pub fn contents(&self, id: &str, numbers: &[u64]) -> Result<Vec<Result<(Letter, Blob)>>> {
        let id = word(id)?;
        for number in numbers {
            self.connection.write(format!("GET {id} {number}\r\n").as_bytes())?;
        }
        let what = "fetching a letter";
        let mut contents = Vec::with_capacity(numbers.len());
        for _ in numbers {
            contents.push(match self.answer(what) {
                Ok(words) => {
                    let letter = read_letter(&mut words.split(' ')).ok_or_else(|| nonsense(what))?;
                    let body = self.connection.read_exact(letter.bytes)?;
                    Ok((letter, body))
                }
                Err(failure @ Failure::NotFound(_)) => Err(failure),
                Err(failure) => return Err(failure),
            });
        }
        Ok(contents)
    }

    fn listing(&self, what: &str, command: &str) -> Result<String> {
        self.connection.write(format!("{command}\r\n").as_bytes())?;
        self.answer(what)?;
        let body = self.connection.read_body(0, LISTING)?;
        String::from_utf8(read_whole(&body, LISTING)?).map_err(|_| nonsense(what))
    }

    /// What stands behind `OK`; what else is answered is a failure.
    fn answer(&self, what: &str) -> Result<String> {
        let line = self.line()?;
        let (head, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (head, rest) {
            ("OK", rest) => Ok(rest.to_owned()),
            ("NO", "login") => Err(Failure::unauthenticated(format!(
                "{what}: the server refused user and password"
            ))),
            ("NO", "such-box") => Err(Failure::not_found(format!("{what}: there is no such box"))),
            ("NO", "such-letter") => Err(Failure::not_found(format!("{what}: there is no such letter"))),
            ("VOID", _) => Err(Failure::GenerationChanged),
            ("WAIT", seconds) => {
                let wait = seconds.parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1000));
                Err(Failure::throttled(wait, format!("{what}: the server is busy")))
            }
            _ => Err(nonsense(what)),
        }
    }

    fn line(&self) -> Result<String> {
        let bytes = self.connection.read_line(LINE)?;
        let line = String::from_utf8(bytes).map_err(|_| nonsense("reading a line"))?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// What goes into a command may not be the beginning of another one.
fn word(text: &str) -> Result<&str> {
    let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(text)
        .ok_or_else(|| Failure::not_found("there is no such box"))
}

/// The session is out of step, or the server of another kind: a new connection may help.
fn nonsense(what: &str) -> Failure {
    Failure::unavailable(format!("{what}: the server's answer is none that is known"))
}

fn read_box(line: &str) -> Option<Postbox> {
    let mut words = line.split(' ');
    let (id, letters, epoch, path) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(Postbox {
        id: id.to_owned(),
        letters: letters.parse().ok()?,
        epoch: epoch.to_owned(),
        path: path.split('/').map(unescaped).collect::<Option<_>>()?,
    })
}

/// `%` and two hexadecimal digits are a byte of UTF-8.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next()?)? << 4 | digit(rest.next()?)?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn read_part(text: &str) -> Option<Part> {
    let mut entries = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        match words.next()? {
            "+" => entries.push(Entry::New(words.next()?.parse().ok()?, read_letter(&mut words)?)),
            "*" => entries.push(Entry::Marked(words.next()?.parse().ok()?, read_letter(&mut words)?)),
            "-" => entries.push(Entry::Gone(words.next()?.parse().ok()?)),
            "=" => {
                let feed = words.next()?.to_owned();
                let more = match words.next()? {
                    "more" => true,
                    "end" => false,
                    _ => return None,
                };
                return Some(Part { entries, feed, more });
            }
            _ => return None,
        }
    }
    None
}

fn read_letter<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Letter> {
    let (bytes, flags, received) = (words.next()?.parse().ok()?, words.next()?.to_owned(), words.next()?);
    let received = match received {
        "-" => None,
        text => {
            let zone = text.rfind(['+', '-']).filter(|at| *at > 0)?;
            Some((text[..zone].parse().ok()?, text[zone..].parse().ok()?))
        }
    };
    Some(Letter { bytes, flags, received })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let found = read_box("5 1 2 Work/a%2Fb%20%C3%BC").unwrap();
        assert_eq!(
            (found.letters, found.path),
            (1, vec!["Work".to_owned(), "a/b ü".to_owned()])
        );
        let part = read_part("+ 17 56 SF -1-480\r\n* 9 1 - -\r\n- 4\r\n= 1.31 more\r\n").unwrap();
        assert_eq!((part.feed.as_str(), part.more, part.entries.len()), ("1.31", true, 3));
        let letter = Letter {
            bytes: 1,
            flags: "-".to_owned(),
            received: None,
        };
        assert_eq!(part.entries[1], Entry::Marked(9, letter));
        assert!(matches!(&part.entries[2], Entry::Gone(4)));
        let received = |text: &str| read_letter(&mut format!("1 - {text}").split(' ')).map(|letter| letter.received);
        assert_eq!(received("1714557600+120"), Some(Some((1_714_557_600, 120))));
        assert_eq!(received("-1-480"), Some(Some((-1, -480))));
        for text in ["", "x", "+120", "1714557600"] {
            assert_eq!(received(text), None, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_and_nothing_panics() {
        for text in ["", "?", "+ 17", "+ x 1 - -", "= 1.3", "= 1.3 perhaps", "+ 1 1 - -"] {
            assert_eq!(read_part(text), None, "{text:?}");
        }
        for text in ["", "5", "5 x 1 INBOX", "5 1 1 %", "5 1 1 %ZZ", "5 1 1 %FF"] {
            assert_eq!(read_box(text), None, "{text:?}");
        }
        for text in ["", "a b", "1\r\nGET 1 1", "ü"] {
            assert!(word(text).is_err(), "{text:?}");
        }
    }
}
