//! A small IMAP client for checking, on blocking sockets: independent of the client under test, and strict.
//!
//! Everything that is not as expected panics with the answer, except where a [`Reply`] is given back.

mod names;
mod parse;

use std::fmt::Write as _;
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

pub use names::{decode as decode_name, encode as encode_name};
pub use parse::{Body, Value};

use crate::account::date;

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One session.
pub struct Imap {
    stream: BufReader<Box<dyn Stream>>,
    tag: u32,
    capabilities: Vec<String>,
}

impl std::fmt::Debug for Imap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Imap")
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

/// All that came for one command.
#[derive(Debug)]
pub struct Reply {
    /// `OK`, `NO` or `BAD`.
    pub status: String,
    /// What follows the status.
    pub text: String,
    /// The untagged answers.
    pub untagged: Vec<Vec<Value>>,
}

impl Reply {
    /// Whether it was `OK`.
    pub fn ok(&self) -> bool {
        self.status == "OK"
    }

    /// The untagged answers that bear this name (`* NAME …` or `* n NAME …`), without `*`.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [Value]> {
        self.untagged.iter().map(Vec::as_slice).filter(move |values| {
            values
                .iter()
                .take(2)
                .any(|value| value.text().is_some_and(|text| text.eq_ignore_ascii_case(name)))
        })
    }
}

/// A folder as LIST gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Decoded.
    pub name: String,
    /// As the server wrote them.
    pub attributes: Vec<String>,
    /// The hierarchy separator.
    pub separator: Option<char>,
}

impl Listed {
    /// Whether this attribute is among them.
    pub fn has(&self, attribute: &str) -> bool {
        self.attributes
            .iter()
            .any(|known| known.eq_ignore_ascii_case(attribute))
    }
}

/// A message as FETCH gives it.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its UID.
    pub uid: u32,
    /// All of them, `\Recent` included.
    pub flags: Vec<String>,
    /// INTERNALDATE, seconds since 1970.
    pub received: i64,
    /// RFC822.SIZE.
    pub size: u64,
    /// The whole of it.
    pub body: Body,
}

impl Imap {
    /// Connects in clear text to a port of this machine and reads the greeting.
    pub fn connect(port: u16) -> Self {
        let stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_or_else(|error| panic!("port {port}: {error}"));
        Self::over(Box::new(prepared(stream)))
    }

    /// Connects with TLS from the first byte, trusting only this authority.
    pub fn connect_tls(port: u16, ca: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(ca).expect("a PEM file"))
            .expect("a certificate");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("TLS");
        let stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_or_else(|error| panic!("port {port}: {error}"));
        Self::over(Box::new(StreamOwned::new(connection, prepared(stream))))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        let mut imap = Self {
            stream: BufReader::with_capacity(1 << 18, stream),
            tag: 0,
            capabilities: Vec::new(),
        };
        let greeting = parse::response(&mut imap.stream);
        assert_eq!(
            greeting.first().and_then(Value::text).as_deref(),
            Some("*"),
            "greeting: {greeting:?}"
        );
        imap
    }

    /// Logs in and asks for the capabilities.
    pub fn login(&mut self, user: &str, password: &str) {
        let command = format!("LOGIN {} {}", quoted(user), quoted(password));
        self.expect(&command);
        let reply = self.expect("CAPABILITY");
        self.capabilities = reply
            .of("CAPABILITY")
            .flatten()
            .filter_map(Value::text)
            .map(|word| word.to_ascii_uppercase())
            .collect();
    }

    /// Whether the server says it can do this.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known == capability)
    }

    /// Sends one line and reads up to the answer to it.
    pub fn command(&mut self, line: &str) -> Reply {
        let tag = self.send(line.as_bytes());
        self.reply(&tag)
    }

    /// As [`Self::command`]; anything but `OK` is a panic.
    pub fn expect(&mut self, line: &str) -> Reply {
        let reply = self.command(line);
        assert!(
            reply.ok(),
            "`{}` was answered: {} {}",
            &line[..line.len().min(200)],
            reply.status,
            reply.text
        );
        reply
    }

    fn send(&mut self, line: &[u8]) -> String {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        let stream = self.stream.get_mut();
        let mut bytes = Vec::with_capacity(line.len() + 16);
        write!(bytes, "{tag} ").expect("memory");
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\r\n");
        stream
            .write_all(&bytes)
            .and_then(|()| stream.flush())
            .expect("the server takes a command");
        tag
    }

    fn reply(&mut self, tag: &str) -> Reply {
        let mut untagged = Vec::new();
        loop {
            let values = parse::response(&mut self.stream);
            let first = values.first().and_then(Value::text).unwrap_or_default();
            if first == "*" {
                untagged.push(values[1..].to_vec());
            } else if first == tag {
                let words: Vec<String> = values[1..].iter().map(Value::to_string).collect();
                return Reply {
                    status: words[0].clone(),
                    text: words[1..].join(" "),
                    untagged,
                };
            } else {
                panic!("neither untagged nor the answer to {tag}: {values:?}");
            }
        }
    }

    /// Every folder, INBOX included, sorted by name.
    pub fn list(&mut self) -> Vec<Listed> {
        let command = if self.can("SPECIAL-USE") || self.can("LIST-EXTENDED") {
            "LIST \"\" \"*\" RETURN (SPECIAL-USE)"
        } else {
            "LIST \"\" \"*\""
        };
        self.folders(command, "LIST")
    }

    /// The names of the folders that are subscribed to.
    pub fn subscribed(&mut self) -> Vec<String> {
        self.folders("LSUB \"\" \"*\"", "LSUB")
            .into_iter()
            .filter(|f| !f.has("\\Noselect"))
            .map(|f| f.name)
            .collect()
    }

    fn folders(&mut self, command: &str, name: &str) -> Vec<Listed> {
        let mut reply = self.command(command);
        if !reply.ok() {
            reply = self.expect("LIST \"\" \"*\"");
        }
        let mut folders: Vec<Listed> = reply
            .of(name)
            .map(|values| Listed {
                attributes: values[1].list().iter().filter_map(Value::text).collect(),
                separator: values[2].text().and_then(|text| text.chars().next()),
                name: decode_name(&values[3].text().expect("a name")),
            })
            .collect();
        folders.sort_by(|a, b| a.name.cmp(&b.name));
        folders.dedup();
        folders
    }

    /// Makes a folder; the name decoded, with the server's separator.
    pub fn create(&mut self, name: &str) {
        self.expect(&format!("CREATE {}", name_argument(name)));
    }

    /// Makes a folder with a special use, where the server can (RFC 6154), else without.
    pub fn create_special(&mut self, name: &str, special: &str) {
        if self.can("CREATE-SPECIAL-USE") {
            self.expect(&format!("CREATE {} (USE ({special}))", name_argument(name)));
        } else {
            self.create(name);
        }
    }

    /// Removes a folder.
    pub fn delete(&mut self, name: &str) {
        self.expect(&format!("DELETE {}", name_argument(name)));
    }

    /// Renames a folder.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.expect(&format!("RENAME {} {}", name_argument(from), name_argument(to)));
    }

    /// Subscribes to a folder.
    pub fn subscribe(&mut self, name: &str) {
        self.expect(&format!("SUBSCRIBE {}", name_argument(name)));
    }

    /// What STATUS says of one item, e.g. `MESSAGES`.
    pub fn status(&mut self, name: &str, item: &str) -> u64 {
        let reply = self.expect(&format!("STATUS {} ({item})", name_argument(name)));
        let values = reply
            .of("STATUS")
            .next()
            .expect("STATUS answers")
            .last()
            .expect("a list")
            .list()
            .to_vec();
        values[1]
            .number()
            .unwrap_or_else(|| panic!("{item} of STATUS: {values:?}"))
    }

    /// Opens a folder for reading and writing; how many messages it holds.
    pub fn select(&mut self, name: &str) -> u64 {
        let reply = self.expect(&format!("SELECT {}", name_argument(name)));
        reply
            .of("EXISTS")
            .next()
            .and_then(|values| values[0].number())
            .expect("EXISTS")
    }

    /// Opens a folder for reading only; how many messages it holds.
    pub fn examine(&mut self, name: &str) -> u64 {
        let reply = self.expect(&format!("EXAMINE {}", name_argument(name)));
        reply
            .of("EXISTS")
            .next()
            .and_then(|values| values[0].number())
            .expect("EXISTS")
    }

    /// Appends one message by a synchronising literal, and gives the answer back. `received` is in seconds since 1970.
    pub fn append(&mut self, name: &str, flags: &[String], received: i64, body: &[u8]) -> Reply {
        let command = format!(
            "APPEND {} ({}) \"{}\" {{{}}}",
            name_argument(name),
            flags.join(" "),
            date(received),
            body.len()
        );
        let tag = self.send(command.as_bytes());
        let values = parse::response(&mut self.stream);
        if values.first().and_then(Value::text).as_deref() != Some("+") {
            let words: Vec<String> = values[1..].iter().map(Value::to_string).collect();
            return Reply {
                status: words[0].clone(),
                text: words[1..].join(" "),
                untagged: Vec::new(),
            };
        }
        let stream = self.stream.get_mut();
        stream
            .write_all(body)
            .and_then(|()| stream.write_all(b"\r\n"))
            .and_then(|()| stream.flush())
            .expect("append");
        self.reply(&tag)
    }

    /// Appends many: by MULTIAPPEND and LITERAL+ where the server has both, else one by one.
    pub fn append_all<'a>(&mut self, name: &str, messages: impl Iterator<Item = (&'a [String], i64, &'a [u8])>) {
        if !(self.can("LITERAL+") && self.can("MULTIAPPEND")) {
            for (flags, received, body) in messages {
                let reply = self.append(name, flags, received, body);
                assert!(reply.ok(), "APPEND into {name}: {} {}", reply.status, reply.text);
            }
            return;
        }
        let mut batch = Vec::new();
        let mut count = 0;
        for (flags, received, body) in messages {
            let _ = write!(
                batch,
                " ({}) \"{}\" {{{}+}}\r\n",
                flags.join(" "),
                date(received),
                body.len()
            );
            batch.extend_from_slice(body);
            count += 1;
            if count >= 500 || batch.len() > 8 << 20 {
                self.append_batch(name, &batch);
                batch.clear();
                count = 0;
            }
        }
        if !batch.is_empty() {
            self.append_batch(name, &batch);
        }
    }

    fn append_batch(&mut self, name: &str, batch: &[u8]) {
        let mut command = format!("APPEND {}", name_argument(name)).into_bytes();
        command.extend_from_slice(batch);
        let tag = self.send(&command);
        let reply = self.reply(&tag);
        assert!(reply.ok(), "APPEND into {name}: {} {}", reply.status, reply.text);
    }

    /// Everything of the open folder, by ascending UID. Bodies over 32 MiB come as hash and size only.
    pub fn fetch_all(&mut self) -> Vec<Fetched> {
        self.fetch("1:*", true)
    }

    /// As [`Self::fetch_all`] for some UIDs, and with an empty body unless `bodies`.
    pub fn fetch(&mut self, uids: &str, bodies: bool) -> Vec<Fetched> {
        let what = if bodies { " BODY.PEEK[]" } else { "" };
        let reply = self.expect(&format!("UID FETCH {uids} (UID FLAGS INTERNALDATE RFC822.SIZE{what})"));
        let mut messages: Vec<Fetched> = reply.of("FETCH").map(|values| fetched(values[2].list())).collect();
        messages.sort_by_key(|message| message.uid);
        messages
    }

    /// Changes flags: `change` is e.g. `+FLAGS (\Seen)`.
    pub fn store(&mut self, uids: &str, change: &str) {
        self.expect(&format!("UID STORE {uids} {change}"));
    }

    /// Moves messages of the open folder (RFC 6851).
    pub fn move_to(&mut self, uids: &str, folder: &str) {
        self.expect(&format!("UID MOVE {uids} {}", name_argument(folder)));
    }

    /// Removes messages of the open folder for good.
    pub fn remove(&mut self, uids: &str) {
        self.store(uids, "+FLAGS.SILENT (\\Deleted)");
        self.expect("EXPUNGE");
    }
}

fn prepared(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("a socket");
    stream
        .set_read_timeout(Some(Duration::from_secs(120)))
        .expect("a socket");
    stream
}

fn fetched(pairs: &[Value]) -> Fetched {
    let mut message = Fetched {
        uid: 0,
        flags: Vec::new(),
        received: 0,
        size: 0,
        body: Body::default(),
    };
    for pair in pairs.chunks_exact(2) {
        let name = pair[0].text().unwrap_or_default().to_ascii_uppercase();
        match name.as_str() {
            "UID" => message.uid = u32::try_from(pair[1].number().expect("a UID")).expect("a UID"),
            "FLAGS" => message.flags = pair[1].list().iter().filter_map(Value::text).collect(),
            "INTERNALDATE" => message.received = crate::account::parse_date(&pair[1].text().expect("a date")),
            "RFC822.SIZE" => message.size = pair[1].number().expect("a size"),
            "BODY[]" => message.body = pair[1].body(),
            _ => {}
        }
    }
    message
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A folder's name, encoded and quoted.
pub fn name_argument(name: &str) -> String {
    let mut out = String::new();
    let _ = write!(out, "{}", quoted(&encode_name(name)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_for_the_wire() {
        assert_eq!(name_argument("a\"b\\c & d/\u{e9}"), "\"a\\\"b\\\\c &- d/&AOk-\"");
    }
}
