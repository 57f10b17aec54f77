//! The provider's API: the one module that knows its addresses and its JSON. Your provider goes here.
//!
//! ```text
//! GET    /folders                           all folders
//! POST   /folders                           makes one, or gives the one that is there
//! GET    /folders/F/letters?size=&page=     a page of a listing; `next` leads on, `feed` is where the feed stands
//! GET    /folders/F/feed?since=&size=       what changed since; 410 where ids became void
//! GET    /folders/F/letters/L               the content; the header `x-letter` says the rest
//! POST   /folders/F/letters?received=&flag= adds a letter
//! PUT    /folders/F/letters/L/flags         sets its flags
//! DELETE /folders/F/letters/L
//! ```

use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use whimbrel_plugin::{Blob, Failure, Result, Settings, blobs, http};

/// The most that an answer of JSON may have, in bytes; letters may be larger.
const ANSWER: u64 = 16 << 20;

/// An account of the provider, by its API.
pub struct Bulletin {
    url: String,
}

#[derive(Deserialize)]
struct Setting {
    url: String,
}

/// A folder, as the provider tells of it.
#[derive(Debug, Deserialize)]
pub struct Folder {
    pub id: String,
    pub path: Vec<String>,
    pub role: Option<String>,
    pub letters: u64,
    pub epoch: String,
}

/// A letter without its content.
#[derive(Debug, Deserialize)]
pub struct Letter {
    pub id: String,
    pub revision: String,
    pub bytes: u64,
    pub received: Option<String>,
    pub flags: Vec<String>,
}

/// A page of a listing.
#[derive(Debug, Deserialize)]
pub struct Letters {
    pub letters: Vec<Letter>,
    pub next: Option<String>,
    pub feed: String,
}

/// A piece of the feed.
#[derive(Debug, Deserialize)]
pub struct Feed {
    pub changes: Vec<Entry>,
    pub feed: String,
    pub more: bool,
}

/// Something that happened.
#[derive(Debug, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Entry {
    Added { letter: Letter },
    Marked { letter: Letter },
    Removed { id: String },
}

#[derive(Deserialize)]
struct Folders {
    folders: Vec<Folder>,
}

impl Bulletin {
    pub fn open(settings: &Settings) -> Result<Self> {
        let Setting { url } = settings.parse()?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    pub fn folders(&self) -> Result<Vec<Folder>> {
        let Folders { folders } = self.json("GET", "/folders", None, "listing the folders")?;
        Ok(folders)
    }

    pub fn make_folder(&self, path: &[String], role: Option<&str>) -> Result<Folder> {
        let body = json!({ "path": path, "role": role });
        self.json("POST", "/folders", Some(body), "making a folder")
    }

    pub fn letters(&self, folder: &str, page: Option<&str>, size: u32) -> Result<Letters> {
        let page = page.map_or_else(String::new, |page| format!("&page={}", escaped(page)));
        let path = format!("{}?size={size}{page}", letters(folder));
        self.json("GET", &path, None, "listing the letters")
    }

    pub fn feed(&self, folder: &str, since: &str, size: u32) -> Result<Feed> {
        let path = format!("/folders/{}/feed?since={}&size={size}", escaped(folder), escaped(since));
        self.json("GET", &path, None, "reading the feed")
    }

    /// For each id the letter and its content. Several requests are under way at a time.
    pub fn contents(&self, folder: &str, ids: &[String]) -> Vec<Result<(Letter, Blob)>> {
        let what = "fetching a letter";
        let requests: Vec<_> = ids
            .iter()
            .map(|id| self.request("GET", &letter(folder, id), None, ""))
            .collect();
        let answers = http::send_all(requests).into_iter();
        answers
            .map(|answer| {
                let http::Response { headers, body, .. } = checked(answer?, what)?;
                let header = headers.iter().find(|(name, _)| name == "x-letter");
                let letter = header.and_then(|(_, json)| serde_json::from_str(json).ok());
                let letter = letter
                    .ok_or_else(|| Failure::unavailable(format!("{what}: the answer has no proper `x-letter`")))?;
                Ok((letter, body))
            })
            .collect()
    }

    pub fn add(&self, folder: &str, content: Blob, received: Option<&str>, flags: &[String]) -> Result<Letter> {
        let mut query: Vec<String> = flags.iter().map(|flag| format!("flag={}", escaped(flag))).collect();
        query.extend(received.map(|received| format!("received={}", escaped(received))));
        let path = format!("{}?{}", letters(folder), query.join("&"));
        let request = self.request("POST", &path, Some(content), "message/rfc822");
        let what = "adding a letter";
        parsed(&checked(http::send(request)?, what)?, what)
    }

    pub fn set_flags(&self, folder: &str, id: &str, flags: &[String]) -> Result<()> {
        let path = format!("{}/flags", letter(folder, id));
        let _: Value = self.json("PUT", &path, Some(json!({ "flags": flags })), "setting flags")?;
        Ok(())
    }

    pub fn remove(&self, folder: &str, id: &str) -> Result<()> {
        let request = self.request("DELETE", &letter(folder, id), None, "");
        checked(http::send(request)?, "removing a letter").map(drop)
    }

    fn json<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<Value>, what: &str) -> Result<T> {
        let body = body.map(|body| blobs::blob(body.to_string().as_bytes()));
        let mut request = self.request(method, path, body, "application/json");
        request.max_bytes = Some(ANSWER);
        parsed(&checked(http::send(request)?, what)?, what)
    }

    fn request(&self, method: &str, path: &str, body: Option<Blob>, media_type: &str) -> http::Request {
        let headers = body
            .iter()
            .map(|_| ("content-type".to_owned(), media_type.to_owned()))
            .collect();
        http::Request {
            method: method.to_owned(),
            url: format!("{}{path}", self.url),
            headers,
            body,
            // The host logs in as the mailbox.
            authenticate: true,
            timeout_ms: None,
            max_bytes: None,
        }
    }
}

fn letters(folder: &str) -> String {
    format!("/folders/{}/letters", escaped(folder))
}

fn letter(folder: &str, id: &str) -> String {
    format!("{}/{}", letters(folder), escaped(id))
}

/// As a part of a path or of a query can hold it (RFC 3986, 2.1).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' => escaped.push(byte.into()),
            // Writing into a string does not fail.
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

/// Statuses that say no as failures. Those that mean the same everywhere (401, 429, 5xx) are the host's work.
fn checked(response: http::Response, what: &str) -> Result<http::Response> {
    let said = format!("{what}: the provider answered {}", response.status);
    match response.status {
        200..300 => Ok(response),
        403 => Err(Failure::forbidden(said)),
        404 => Err(Failure::not_found(said)),
        410 => Err(Failure::GenerationChanged),
        413 => Err(Failure::too_large(None)),
        409 | 415 | 422 => Err(Failure::rejected(said)),
        _ => Err(Failure::internal(said)),
    }
}

fn parsed<T: DeserializeOwned>(response: &http::Response, what: &str) -> Result<T> {
    let body = blobs::read_whole(&response.body, ANSWER)?;
    serde_json::from_slice(&body)
        .map_err(|error| Failure::unavailable(format!("{what}: the answer is not what was expected: {error}")))
}
