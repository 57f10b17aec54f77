// The provider itself, without a network.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

const PASSWORD: &str = "Sesame-7341";
const ROLES: [&str; 6] = ["inbox", "archive", "drafts", "sent", "junk", "trash"];
const LARGEST: usize = 64 << 20;

/// What a request is answered with.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Breaks off in its midst.
    pub cut: bool,
}

/// A status that says no.
struct Refused(u16, Vec<(&'static str, String)>);

type Result<T> = std::result::Result<T, Refused>;

fn no<T>(status: u16) -> Result<T> {
    Err(Refused(status, Vec::new()))
}

struct Letter {
    content: Vec<u8>,
    flags: Vec<String>,
    received: Option<String>,
    changes: u32,
}

struct Folder {
    id: String,
    path: Vec<String>,
    role: Option<String>,
    epoch: u32,
    letters: BTreeMap<u64, Letter>,
    /// What happened, in order: a place in the feed is a place in this list.
    log: Vec<(&'static str, u64)>,
}

/// All accounts.
pub struct Provider {
    numbers: u64,
    accounts: BTreeMap<&'static str, Vec<Folder>>,
    /// What the next request meets with.
    throttle: Option<u64>,
    cut: bool,
}

fn shown(id: u64, letter: &Letter) -> Value {
    json!({
        "id": format!("l{id}"), "revision": letter.changes.to_string(), "bytes": letter.content.len(),
        "received": letter.received, "flags": letter.flags,
    })
}

impl Folder {
    fn shown(&self) -> Value {
        json!({
            "id": self.id, "path": self.path, "role": self.role, "letters": self.letters.len(),
            "epoch": self.epoch.to_string(),
        })
    }

    fn number(&self, id: &str) -> Result<u64> {
        let number = id.strip_prefix('l').and_then(|digits| digits.parse().ok());
        number
            .filter(|number| self.letters.contains_key(number))
            .map_or_else(|| no(404), Ok)
    }

    fn mark(&mut self, number: u64, mut flags: Vec<String>) {
        let Some(letter) = self.letters.get_mut(&number) else {
            return;
        };
        let mut had = letter.flags.clone();
        had.sort();
        flags.sort();
        if had != flags {
            letter.flags = flags;
            letter.changes += 1;
            self.log.push(("marked", number));
        }
    }

    fn remove(&mut self, number: u64) {
        self.letters.remove(&number);
        self.log.push(("removed", number));
    }

    /// A place in the feed or in a listing, if it is one of this epoch.
    fn at(&self, token: &str) -> Result<u64> {
        let (epoch, place) = token.split_once('.').unwrap_or_default();
        match place.parse() {
            Ok(place) if epoch == self.epoch.to_string() => Ok(place),
            _ => no(410),
        }
    }

    fn token(&self, place: u64) -> String {
        format!("{}.{place}", self.epoch)
    }

    fn listing(&self, page: Option<&str>, size: usize) -> Result<Value> {
        let first = page.map_or(Ok(0), |page| self.at(page))?;
        let mut rest = self.letters.range(first..);
        let letters: Vec<Value> = rest
            .by_ref()
            .take(size)
            .map(|(id, letter)| shown(*id, letter))
            .collect();
        let next = rest.next().map(|(id, _)| self.token(*id));
        Ok(json!({ "letters": letters, "next": next, "feed": self.token(self.log.len() as u64) }))
    }

    /// What happened after a place, once for each letter: what it came to is all that counts.
    fn feed(&self, since: &str, size: usize) -> Result<Value> {
        let rest = self
            .log
            .iter()
            .skip(usize::try_from(self.at(since)?).unwrap_or(usize::MAX));
        let mut news: Vec<(u64, &str)> = Vec::new();
        let mut seen = 0;
        for (what, id) in rest.take(size) {
            seen += 1;
            match news.iter_mut().find(|(known, _)| known == id) {
                Some((_, "added")) if *what == "marked" => {}
                Some(known) => known.1 = what,
                None => news.push((*id, what)),
            }
        }
        let changes: Vec<Value> = news
            .into_iter()
            .map(|(id, what)| match self.letters.get(&id) {
                Some(letter) => json!({ "what": what, "letter": shown(id, letter) }),
                None => json!({ "what": "removed", "id": format!("l{id}") }),
            })
            .collect();
        let last = self.at(since)? + seen;
        Ok(
            json!({ "changes": changes, "feed": self.token(last), "more": last < self.log.len() as u64 }),
        )
    }
}

impl Provider {
    /// `alice` is read and `bob` is written.
    pub fn new() -> Self {
        let mut new = Self {
            numbers: 0,
            accounts: BTreeMap::new(),
            throttle: None,
            cut: false,
        };
        for user in ["alice", "bob"] {
            new.accounts.insert(user, Vec::new());
            // No name that cannot be.
            let _ = new.make(user, vec!["INBOX".to_owned()], Some("inbox"));
        }
        let flags: [&[&str]; 4] = [
            &["\\Seen"],
            &["\\Seen", "\\Answered"],
            &["\\Flagged", "Work"],
            &[],
        ];
        for number in 1..=30 {
            let received = format!("2024-05-{number:02}T12:00:00+02:00");
            new.add_sample(&["INBOX"], number, "Hello.", flags[number % 4], &received);
        }
        new.add_sample(
            &["INBOX"],
            31,
            "Grüße, 日本 🐦",
            &[],
            "1999-12-31T23:59:59-08:00",
        );
        new.add_sample(
            &["Sent"],
            32,
            &"x".repeat(200_000),
            &["\\Seen"],
            "2023-01-01T00:00:00Z",
        );
        let _ = new.make("alice", vec!["Work".to_owned()], None);
        new.add_sample(
            &["Work", "a/b & ü"],
            33,
            "In a folder in a folder.",
            &[],
            "2022-02-02T02:02:02+05:30",
        );
        let _ = new.make("alice", vec!["Empty".to_owned()], None);
        new
    }

    fn add_sample(
        &mut self,
        path: &[&str],
        number: usize,
        text: &str,
        flags: &[&str],
        received: &str,
    ) {
        let content =
            format!("From: nobody@example.org\r\nSubject: Letter {number}\r\n\r\n{text}\r\n");
        let path = path.iter().copied().map(str::to_owned).collect();
        let flags = flags.iter().copied().map(str::to_owned).collect();
        if let Ok(at) = self.make("alice", path, Some("sent").filter(|_| number == 32)) {
            self.add(
                "alice",
                at,
                content.into_bytes(),
                flags,
                Some(received.to_owned()),
            );
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn folders(&mut self, user: &str) -> &mut Vec<Folder> {
        // The login has found it.
        self.accounts.get_mut(user).expect("an account")
    }

    fn make(&mut self, user: &str, path: Vec<String>, role: Option<&str>) -> Result<usize> {
        if path.is_empty() || path.iter().any(|name| name.is_empty() || name.len() > 200) {
            return no(422);
        }
        let id = format!("f{}", self.number());
        let folders = self.folders(user);
        let free = role.filter(|role| {
            ROLES.contains(role) && folders.iter().all(|it| it.role.as_deref() != Some(*role))
        });
        let free = free.map(str::to_owned);
        let at = folders
            .iter()
            .position(|folder| folder.path == path)
            .unwrap_or_else(|| {
                folders.push(Folder {
                    id,
                    path,
                    role: None,
                    epoch: 1,
                    letters: BTreeMap::new(),
                    log: Vec::new(),
                });
                folders.len() - 1
            });
        if free.is_some() {
            folders[at].role = free;
        }
        Ok(at)
    }

    fn add(
        &mut self,
        user: &str,
        at: usize,
        content: Vec<u8>,
        flags: Vec<String>,
        received: Option<String>,
    ) -> u64 {
        let number = self.number();
        let folder = &mut self.folders(user)[at];
        folder.letters.insert(
            number,
            Letter {
                content,
                flags,
                received,
                changes: 0,
            },
        );
        folder.log.push(("added", number));
        number
    }

    fn login(&self, header: &str) -> Result<&'static str> {
        let secret = header
            .strip_prefix("Basic ")
            .and_then(|secret| BASE64_STANDARD.decode(secret).ok());
        let secret = secret
            .and_then(|secret| String::from_utf8(secret).ok())
            .unwrap_or_default();
        let (user, password) = secret.split_once(':').unwrap_or_default();
        let user = self
            .accounts
            .keys()
            .find(|known| **known == user && password == PASSWORD);
        user.copied().ok_or_else(|| {
            Refused(
                401,
                vec![("www-authenticate", "Basic realm=\"bulletin\"".to_owned())],
            )
        })
    }

    /// The whole provider.
    pub fn answer(&mut self, method: &str, target: &str, login: &str, body: &[u8]) -> Answer {
        match self.routed(method, target, login, body) {
            Ok((headers, body)) => Answer {
                status: 200,
                headers,
                body,
                cut: std::mem::take(&mut self.cut),
            },
            Err(Refused(status, headers)) => Answer {
                status,
                headers,
                body: Vec::new(),
                cut: false,
            },
        }
    }

    #[allow(clippy::type_complexity)]
    fn routed(
        &mut self,
        method: &str,
        target: &str,
        login: &str,
        body: &[u8],
    ) -> Result<(Vec<(&'static str, String)>, Vec<u8>)> {
        let user = self.login(login)?;
        if let Some(seconds) = self.throttle.take() {
            return Err(Refused(429, vec![("retry-after", seconds.to_string())]));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<String> = path.split('/').skip(1).map(unescaped).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let query: Vec<(&str, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name, unescaped(value)))
            .collect();
        let asked = |name: &str| {
            query
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.as_str())
        };
        let size = asked("size")
            .and_then(|size| size.parse().ok())
            .unwrap_or(100)
            .clamp(1, 500);
        let sent = || serde_json::from_slice::<Value>(body).map_or_else(|_| no(400), Ok);
        let at = match parts.get(1) {
            Some(id) => self
                .folders(user)
                .iter()
                .position(|folder| folder.id == *id)
                .map_or_else(|| no(404), Ok)?,
            None => 0,
        };
        let answer = match (method, parts.as_slice()) {
            ("GET", ["folders"]) => {
                json!({ "folders": self.folders(user).iter().map(Folder::shown).collect::<Vec<_>>() })
            }
            ("POST", ["folders"]) => {
                let wanted = sent()?;
                let at = self.make(user, texts(&wanted["path"]), wanted["role"].as_str())?;
                self.folders(user)[at].shown()
            }
            ("GET", ["folders", _, "letters"]) => {
                self.folders(user)[at].listing(asked("page"), size)?
            }
            ("GET", ["folders", _, "feed"]) => {
                self.folders(user)[at].feed(asked("since").unwrap_or_default(), size)?
            }
            ("GET", ["folders", _, "letters", id]) => {
                let folder = &self.folders(user)[at];
                let number = folder.number(id)?;
                let letter = &folder.letters[&number];
                return Ok((
                    vec![("x-letter", shown(number, letter).to_string())],
                    letter.content.clone(),
                ));
            }
            ("POST", ["folders", _, "letters"]) => {
                if body.len() > LARGEST {
                    return no(413);
                }
                let flags = query
                    .iter()
                    .filter(|(name, _)| *name == "flag")
                    .map(|(_, value)| value.clone())
                    .collect();
                let number = self.add(
                    user,
                    at,
                    body.to_vec(),
                    flags,
                    asked("received").map(str::to_owned),
                );
                shown(number, &self.folders(user)[at].letters[&number])
            }
            ("PUT", ["folders", _, "letters", id, "flags"]) => {
                let flags = texts(&sent()?["flags"]);
                let folder = &mut self.folders(user)[at];
                let number = folder.number(id)?;
                folder.mark(number, flags);
                json!({})
            }
            ("DELETE", ["folders", _, "letters", id]) => {
                let folder = &mut self.folders(user)[at];
                let number = folder.number(id)?;
                folder.remove(number);
                json!({})
            }
            _ => return no(404),
        };
        Ok((
            vec![("content-type", "application/json".to_owned())],
            answer.to_string().into_bytes(),
        ))
    }

    /// What a test asks for.
    pub fn act(&mut self, request: &Value) -> std::result::Result<Value, String> {
        let folders = self.folders("alice");
        match request["do"].as_str().unwrap_or_default() {
            "content" => {
                return Ok(
                    json!({ "collections": folders.iter().map(content).collect::<Vec<_>>() }),
                );
            }
            "digest" => {
                let all: Vec<String> = folders
                    .iter()
                    .map(|folder| format!("{}{:?}", folder.shown(), folder.log))
                    .collect();
                return Ok(json!({ "digest": all.concat() }));
            }
            "throttle" => {
                self.throttle = request["seconds"].as_u64();
                return Ok(json!({}));
            }
            "cut" => {
                self.cut = true;
                return Ok(json!({}));
            }
            _ => {}
        }
        let id = &request["collection"]["id"];
        let at = folders
            .iter()
            .position(|folder| *id == *folder.id)
            .ok_or("there is no such folder")?;
        let wanted = BASE64_STANDARD.decode(request["content"].as_str().unwrap_or_default());
        let wanted = wanted.map_err(|error| error.to_string())?;
        let found = folders[at]
            .letters
            .iter()
            .find(|(_, letter)| letter.content == wanted)
            .map(|(id, _)| *id);
        let letter = found.ok_or("there is no such letter");
        match request["do"].as_str().unwrap_or_default() {
            "add" => {
                self.add(
                    "alice",
                    at,
                    wanted,
                    Vec::new(),
                    Some("2024-06-01T08:00:00Z".to_owned()),
                );
            }
            "mark" => folders[at].mark(letter?, texts(&request["flags"])),
            "remove" => folders[at].remove(letter?),
            "renumber" => {
                folders[at].epoch += 1;
                folders[at].log.clear();
                for (
                    _,
                    Letter {
                        content,
                        flags,
                        received,
                        ..
                    },
                ) in std::mem::take(&mut folders[at].letters)
                {
                    self.add("alice", at, content, flags, received);
                }
            }
            other => return Err(format!("nobody knows the request `{other}`")),
        }
        Ok(json!({}))
    }
}

fn content(folder: &Folder) -> Value {
    let items = folder.letters.values().map(|letter| {
        json!({
            "content": BASE64_STANDARD.encode(&letter.content), "flags": letter.flags, "received": letter.received,
        })
    });
    json!({ "path": folder.path, "role": folder.role, "items": items.collect::<Vec<_>>() })
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

/// Percent signs and what they stand for (RFC 3986, 2.1).
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let code: String = if byte == b'%' {
            rest.by_ref().take(2).map(char::from).collect()
        } else {
            String::new()
        };
        bytes.push(u8::from_str_radix(&code, 16).unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
