// The server itself, without a network.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

const FLAGS: [(char, &str); 4] = [('S', "\\Seen"), ('A', "\\Answered"), ('F', "\\Flagged"), ('D', "\\Draft")];

/// What a command is answered with.
pub struct Reply {
    pub bytes: Vec<u8>,
    /// Breaks off in its midst.
    pub cut: bool,
}

impl Reply {
    /// One line.
    pub fn line(text: &str) -> Self {
        Self { bytes: format!("{text}\r\n").into_bytes(), cut: false }
    }
    fn lines(text: &str) -> Self {
        Self { bytes: format!("OK\r\n{text}.\r\n").into_bytes(), cut: false }
    }
}

struct Letter {
    content: Vec<u8>,
    flags: String,
    /// Seconds of Unix time, and minutes of the zone.
    received: Option<(i64, i16)>,
}

impl Letter {
    fn shown(&self) -> String {
        let flags = if self.flags.is_empty() { "-" } else { &self.flags };
        let received = self.received.map_or_else(|| "-".to_owned(), |(at, zone)| format!("{at}{zone:+}"));
        format!("{} {flags} {received}", self.content.len())
    }
}

struct Postbox {
    id: String,
    path: Vec<&'static str>,
    epoch: u32,
    letters: BTreeMap<u64, Letter>,
    /// What happened, in order: a place in the feed is a place in this list.
    log: Vec<(char, u64)>,
}

/// The account of `alice`.
pub struct Depot {
    last: u64,
    boxes: Vec<Postbox>,
    /// What the next command meets with.
    wait: Option<u64>,
    cut: bool,
}

impl Depot {
    pub fn new() -> Self {
        let mut depot = Self { last: 0, boxes: Vec::new(), wait: None, cut: false };
        let flags = ["", "S", "SA", "SF"];
        for (at, path) in [&["INBOX"][..], &["Sent"], &["Work"], &["Work", "a/b & ü"], &["Empty"]].into_iter().enumerate() {
            let (id, path) = (format!("b{at}"), path.to_vec());
            depot.boxes.push(Postbox { id, path, epoch: 1, letters: BTreeMap::new(), log: Vec::new() });
        }
        for number in 0..30_u16 {
            let received = Some((1_714_557_600 + i64::from(number) * 3600, 120));
            depot.add(0, sample(number, "Hello."), flags[usize::from(number % 4)], received);
        }
        depot.add(0, sample(30, "Grüße, 日本 🐦"), "D", Some((-1, -480)));
        depot.add(0, b".\r\n..\r\nno end".to_vec(), "", None);
        depot.add(1, sample(31, &"x".repeat(200_000)), "S", Some((0, 0)));
        depot.add(3, sample(32, "In a box in a box."), "", Some((1_643_770_922, 330)));
        depot
    }

    fn add(&mut self, at: usize, content: Vec<u8>, flags: &str, received: Option<(i64, i16)>) {
        self.last += 1;
        self.boxes[at].letters.insert(self.last, Letter { content, flags: flags.to_owned(), received });
        self.boxes[at].log.push(('+', self.last));
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.boxes.iter().position(|one| one.id == id)
    }

    /// Answers a command.
    pub fn answer(&mut self, words: &[&str]) -> Reply {
        if let Some(seconds) = self.wait.take() {
            return Reply::line(&format!("WAIT {seconds}"));
        }
        let mut reply = self.answered(words).unwrap_or_else(|no| Reply::line(no));
        reply.cut = std::mem::take(&mut self.cut);
        reply
    }

    fn answered(&self, words: &[&str]) -> Result<Reply, &'static str> {
        let the = |id: &str| self.find(id).map(|at| &self.boxes[at]).ok_or("NO such-box");
        match words {
            ["BOXES"] => {
                let mut text = String::new();
                for Postbox { id, path, epoch, letters, .. } in &self.boxes {
                    let path: Vec<String> = path.iter().map(|name| escaped(name)).collect();
                    let _ = write!(text, "{id} {} {epoch} {}\r\n", letters.len(), path.join("/"));
                }
                Ok(Reply::lines(&text))
            }
            ["LIST", id, after, most] => {
                let (one, most) = (the(id)?, number(most)?);
                let mut rest = one.letters.range(number(after)? + 1..);
                let mut text = String::new();
                for (number, letter) in rest.by_ref().take(usize::try_from(most).unwrap_or(usize::MAX)) {
                    let _ = write!(text, "+ {number} {}\r\n", letter.shown());
                }
                let end = if rest.next().is_some() { "more" } else { "end" };
                Ok(Reply::lines(&format!("{text}= {}.{} {end}\r\n", one.epoch, one.log.len())))
            }
            ["NEWS", id, since, most] => {
                let one = the(id)?;
                let (epoch, place) = since.split_once('.').ok_or("VOID")?;
                let place = place.parse::<usize>().ok().filter(|at| epoch == one.epoch.to_string() && *at <= one.log.len());
                let place = place.ok_or("VOID")?;
                let most = usize::try_from(number(most)?).unwrap_or(usize::MAX);
                let end = place.saturating_add(most).min(one.log.len());
                let word = if end < one.log.len() { "more" } else { "end" };
                Ok(Reply::lines(&format!("{}= {}.{end} {word}\r\n", feed(one, &one.log[place..end]), one.epoch)))
            }
            ["GET", id, wanted] => {
                let letter = the(id)?.letters.get(&number(wanted)?).ok_or("NO such-letter")?;
                let mut bytes = format!("OK {}\r\n", letter.shown()).into_bytes();
                bytes.extend_from_slice(&letter.content);
                Ok(Reply { bytes, cut: false })
            }
            _ => Err("NO such-command"),
        }
    }

    /// Does what a test asks for.
    pub fn act(&mut self, request: &Value) -> Result<Value, String> {
        match request["do"].as_str().unwrap_or_default() {
            "content" => return Ok(self.content()),
            "digest" => {
                let state: Vec<_> = self.boxes.iter().map(|one| (&one.path, one.epoch, &one.log)).collect();
                return Ok(json!({ "digest": format!("{state:?}") }));
            }
            "throttle" => self.wait = request["seconds"].as_u64(),
            "cut" => self.cut = true,
            what => self.change(what, request)?,
        }
        Ok(json!({}))
    }

    fn change(&mut self, what: &str, request: &Value) -> Result<(), String> {
        let id = request["collection"]["id"].as_str().unwrap_or_default();
        let at = self.find(id).ok_or("there is no such box")?;
        if what == "renumber" {
            self.boxes[at].epoch += 1;
            self.boxes[at].log.clear();
            for letter in std::mem::take(&mut self.boxes[at].letters).into_values() {
                self.add(at, letter.content, &letter.flags, letter.received);
            }
            return Ok(());
        }
        let content = BASE64_STANDARD.decode(request["content"].as_str().unwrap_or_default());
        let content = content.map_err(|error| error.to_string())?;
        if what == "add" {
            self.add(at, content, "", Some((1_717_228_800, 0)));
            return Ok(());
        }
        let one = &mut self.boxes[at];
        let found = one.letters.iter_mut().find(|(_, letter)| letter.content == content);
        let (&number, letter) = found.ok_or("there is no such letter")?;
        match what {
            "mark" => {
                let flags = request["flags"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let marks = flags.filter_map(|flag| FLAGS.iter().find(|(_, known)| *known == flag));
                letter.flags = marks.map(|(mark, _)| *mark).collect();
                one.log.push(('*', number));
            }
            "remove" => {
                one.letters.remove(&number);
                one.log.push(('-', number));
            }
            other => return Err(format!("nobody knows the request {other}")),
        }
        Ok(())
    }

    fn content(&self) -> Value {
        let item = |letter: &Letter| {
            let flags: Vec<&str> =
                FLAGS.iter().filter(|(mark, _)| letter.flags.contains(*mark)).map(|(_, flag)| *flag).collect();
            let mut item = json!({ "content": BASE64_STANDARD.encode(&letter.content), "flags": flags });
            if let Some((at, zone)) = letter.received {
                item["received"] = json!(rfc3339(at, zone));
            }
            item
        };
        let boxes = self.boxes.iter().map(|one| {
            let role = match one.path[..] {
                ["INBOX"] => Some("inbox"),
                ["Sent"] => Some("sent"),
                _ => None,
            };
            json!({ "path": one.path, "role": role, "items": one.letters.values().map(item).collect::<Vec<_>>() })
        });
        json!({ "collections": boxes.collect::<Vec<_>>() })
    }
}

/// What these places of the feed come to, each letter once.
fn feed(one: &Postbox, log: &[(char, u64)]) -> String {
    let mut news: Vec<(char, u64)> = Vec::new();
    for &(what, number) in log {
        match news.iter_mut().find(|(_, known)| *known == number) {
            Some(('+', _)) if what == '*' => {}
            Some(known) => known.0 = what,
            None => news.push((what, number)),
        }
    }
    let mut text = String::new();
    for (what, number) in news {
        let _ = match one.letters.get(&number) {
            Some(letter) => write!(text, "{what} {number} {}\r\n", letter.shown()),
            None => write!(text, "- {number}\r\n"),
        };
    }
    text
}

fn sample(number: u16, text: &str) -> Vec<u8> {
    format!("From: nobody@example.org\r\nSubject: Letter {number}\r\n\r\n{text}\r\n").into_bytes()
}

fn number(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|number| *number < u64::MAX).ok_or("NO such-letter")
}

fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// By the civil calendar (days from 1970-01-01, in eras of 400 years).
fn rfc3339(at: i64, zone: i16) -> String {
    let local = at + i64::from(zone) * 60;
    let (days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (sign, zone) = (if zone < 0 { '-' } else { '+' }, zone.unsigned_abs());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{:02}:{:02}", zone / 60, zone % 60)
}
