//! A ManageSieve server for tests, with the habits that real ones have.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use whimbrel_folders::Body;
use whimbrel_folders::memory::Bytes;
use whimbrel_plugin::tcp::{Credential, Secret, Security};
use whimbrel_plugin::{Failure, Result};

use crate::session::Slot;
use crate::syntax::{Token, literal};
use crate::wire::{Net, Wire};

/// What it is like.
#[derive(Debug, Clone)]
pub struct Server {
    pub greeting: &'static str,
    pub starttls: bool,
    pub sasl: &'static str,
    pub sieve: &'static str,
    pub credential: Credential,
    /// What it says to a login; `OK` lets in. One for each; the last one stays.
    pub logins: VecDeque<&'static str>,
    /// There is another token after the first refusal.
    pub another_token: bool,
    pub scripts: BTreeMap<String, Vec<u8>>,
    pub active: Option<String>,
    /// Bytes of a script; scripts.
    pub max_size: usize,
    pub max_scripts: usize,
    /// Names that hold one of these are refused.
    pub forbidden: &'static str,
    /// It stores scripts with bare line feeds.
    pub bare: bool,
    /// It keeps a name beyond ASCII as an encoded word.
    pub encodes: bool,
    /// It gives scripts as quoted strings.
    pub quotes: bool,
    /// The connection ends before the answer to so many commands from now.
    pub cut_after: Option<usize>,
    /// It answers a command that begins like this with this line.
    pub says: Option<(&'static str, &'static str)>,
    /// Every command that came, secrets as `*form*`, literals in angle brackets.
    pub heard: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            greeting: "OK \"ready\"",
            starttls: false,
            sasl: "PLAIN",
            sieve: "fileinto vacation",
            credential: Credential::Password,
            logins: VecDeque::from(["OK"]),
            another_token: false,
            scripts: BTreeMap::new(),
            active: None,
            max_size: 1 << 20,
            max_scripts: 1000,
            forbidden: "/",
            bare: false,
            encodes: false,
            quotes: false,
            cut_after: None,
            says: None,
            heard: Vec::new(),
        }
    }
}

impl Server {
    /// One that holds these.
    pub fn with(scripts: &[(&str, &str)], active: Option<&str>) -> Self {
        let scripts = scripts.iter();
        Self {
            scripts: scripts
                .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
                .collect(),
            active: active.map(str::to_owned),
            ..Self::default()
        }
    }

    fn store(&mut self, name: &str, content: &[u8]) -> String {
        let is_new = !self.scripts.contains_key(name);
        if name.contains(|c| self.forbidden.contains(c)) {
            return "NO \"bad name\"".to_owned();
        }
        if content.len() > self.max_size {
            return "NO (QUOTA/MAXSIZE) \"too large\"".to_owned();
        }
        if is_new && self.scripts.len() >= self.max_scripts {
            return "NO (QUOTA/MAXSCRIPTS) \"too many\"".to_owned();
        }
        let text = String::from_utf8_lossy(content);
        if let Some((_, unknown)) = text.split_once("require \"unknown") {
            let unknown = unknown.split('"').next().unwrap_or_default();
            return format!("NO \"line 1: unknown Sieve capability `unknown{unknown}'\"");
        }
        let stored = match self.bare {
            true => text.replace("\r\n", "\n").into_bytes(),
            false => content.to_vec(),
        };
        let name = match self.encodes && !name.is_ascii() {
            true => {
                let digits: String = name.bytes().map(|byte| format!("={byte:02X}")).collect();
                format!("=?UTF-8?Q?{digits}?=")
            }
            false => name.to_owned(),
        };
        self.scripts.insert(name, stored);
        "OK (WARNINGS) \"stored\"".to_owned()
    }
}

/// The way to it. Clones share the server.
#[derive(Debug, Clone, Default)]
pub struct FakeNet(pub Rc<RefCell<Server>>);

impl FakeNet {
    pub fn with(server: Server) -> Self {
        Self(Rc::new(RefCell::new(server)))
    }

    /// Commands that came since the last call.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().heard)
    }
}

impl Net for FakeNet {
    type Wire = FakeWire;

    fn credential(&self) -> Credential {
        self.0.borrow().credential
    }

    fn slot(&self) -> Slot<FakeWire> {
        Slot::default()
    }

    fn open(&self, _: &str, _: u16, security: Security) -> Result<FakeWire> {
        let mut wire = FakeWire {
            server: Rc::clone(&self.0),
            ..FakeWire::default()
        };
        wire.encrypted = security == Security::Implicit;
        let greeting = self.0.borrow().greeting;
        wire.capabilities(greeting);
        Ok(wire)
    }
}

/// A connection to it.
#[derive(Debug, Default)]
pub struct FakeWire {
    server: Rc<RefCell<Server>>,
    /// What came of the command that is not at its end yet: its tokens, and bytes.
    command: Vec<Token>,
    input: Vec<u8>,
    /// Bytes of the literal that is awaited.
    awaits: Option<usize>,
    output: VecDeque<u8>,
    encrypted: bool,
    challenged: bool,
    /// The mechanism whose last word is awaited.
    refuses: Option<String>,
    ended: bool,
}

impl FakeWire {
    fn say(&mut self, text: &str) {
        self.output.extend(text.bytes());
        self.output.extend(*b"\r\n");
    }

    fn capabilities(&mut self, end: &str) {
        let server = self.server.borrow().clone();
        if end.starts_with("OK") {
            self.say("\"IMPLEMENTATION\" \"fake\"");
            self.say(&format!("\"SASL\" \"{}\"", server.sasl));
            self.say(&format!("\"SIEVE\" \"{}\"", server.sieve));
            if server.starttls && !self.encrypted {
                self.say("\"STARTTLS\"");
            }
        }
        self.say(end);
    }

    /// Takes what came apart, piece by piece.
    fn take(&mut self) {
        loop {
            if let Some(length) = self.awaits {
                if self.input.len() < length {
                    return;
                }
                let rest = self.input.split_off(length);
                let text = std::mem::replace(&mut self.input, rest);
                self.command.push(Token::Text(text));
                self.awaits = None;
            }
            let Some(end) = self.input.iter().position(|&byte| byte == b'\n') else {
                return;
            };
            let rest = self.input.split_off(end + 1);
            let line = std::mem::replace(&mut self.input, rest);
            let line = String::from_utf8(line).unwrap();
            let line = line.trim_end();
            let (plain, length) = match line.rfind('{') {
                Some(at) if literal(&line.as_bytes()[at..]).is_some() => (&line[..at], literal(&line.as_bytes()[at..])),
                _ => (line, None),
            };
            self.command.extend(words(plain));
            self.awaits = length.map(|length| usize::try_from(length).unwrap());
            if self.awaits.is_none() {
                let command = std::mem::take(&mut self.command);
                self.obey(&command);
            }
        }
    }

    fn obey(&mut self, command: &[Token]) {
        let text = |at: usize| command.get(at).and_then(Token::text).unwrap_or_default();
        let line: Vec<String> = command
            .iter()
            .map(|token| match token {
                Token::Atom(word) => word.clone(),
                other => format!("<{}>", other.text().unwrap_or_default()),
            })
            .collect();
        let line = line.join(" ");
        let cut = {
            let mut server = self.server.borrow_mut();
            server.heard.push(line.clone());
            let left = server.cut_after.as_mut().map(|left| {
                *left = left.saturating_sub(1);
                *left
            });
            if left == Some(0) {
                server.cut_after = None;
            }
            left == Some(0)
        };
        if let Some(mechanism) = self.refuses.take() {
            assert_eq!(text(0), if mechanism == "OAUTHBEARER" { "AQ==" } else { "" });
            self.enter();
            return;
        }
        let says = self.server.borrow().says;
        let word = match &command[0] {
            Token::Atom(word) => word.as_str(),
            _ => "",
        };
        match word {
            _ if says.is_some_and(|(word, _)| line.starts_with(word)) => {
                self.say(says.map(|(_, answer)| answer).unwrap_or_default());
            }
            "CAPABILITY" => self.capabilities("OK"),
            "STARTTLS" => self.say("OK"),
            "AUTHENTICATE" => {
                let is_in = self
                    .server
                    .borrow()
                    .logins
                    .front()
                    .is_some_and(|said| said.starts_with("OK"));
                if text(1).contains("OAUTH") && !is_in && !std::mem::replace(&mut self.challenged, true) {
                    self.refuses = Some(text(1));
                    self.say("{24}\r\neyJzdGF0dXMiOiI0MDEifQ==");
                } else {
                    self.enter();
                }
            }
            "LISTSCRIPTS" => {
                let server = self.server.borrow().clone();
                // The newest first: no order is promised.
                for name in server.scripts.keys().rev() {
                    // Quotes within are not escaped.
                    let quoted = match name.contains('\\') {
                        true => String::from_utf8(crate::syntax::string(name)).unwrap(),
                        false => format!("\"{name}\""),
                    };
                    let active = if server.active.as_ref() == Some(name) {
                        " ACTIVE"
                    } else {
                        ""
                    };
                    self.say(&format!("{quoted}{active}"));
                }
                self.say("OK");
            }
            "GETSCRIPT" => {
                let found = self.server.borrow().scripts.get(&text(1)).cloned();
                let quotes = self.server.borrow().quotes;
                match found {
                    Some(content) if quotes => {
                        let content = String::from_utf8(content).unwrap();
                        self.output.extend(crate::syntax::string(&content));
                        self.say("\r\nOK");
                    }
                    Some(content) => {
                        self.say(&format!("{{{}}}", content.len()));
                        self.output.extend(content);
                        self.say("\r\nOK");
                    }
                    None => self.say("NO (NONEXISTENT) \"there is none\""),
                }
            }
            "HAVESPACE" => {
                let size: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
                let fits = size <= self.server.borrow().max_size;
                self.say(if fits { "OK" } else { "NO (QUOTA/MAXSIZE) \"too large\"" });
            }
            "PUTSCRIPT" => {
                let Some(Token::Text(content)) = command.get(2) else {
                    panic!("{command:?}")
                };
                let said = self.server.borrow_mut().store(&text(1), content);
                self.say(&said);
            }
            "SETACTIVE" => {
                let name = Some(text(1)).filter(|name| !name.is_empty());
                let is_there = name
                    .as_ref()
                    .is_none_or(|name| self.server.borrow().scripts.contains_key(name));
                if is_there {
                    self.server.borrow_mut().active = name;
                }
                self.say(if is_there { "OK" } else { "NO (NONEXISTENT)" });
            }
            "DELETESCRIPT" => {
                let active = self.server.borrow().active.as_deref() == Some(&text(1));
                let said = match active || self.server.borrow_mut().scripts.remove(&text(1)).is_some() {
                    _ if active => "NO (ACTIVE) \"it filters\"",
                    true => "OK",
                    false => "NO (NONEXISTENT)",
                };
                self.say(said);
            }
            "LOGOUT" => self.say("OK"),
            _ => panic!("{command:?}"),
        }
        if cut {
            // It was obeyed, and the answer is lost.
            self.output.clear();
            self.ended = true;
        }
    }

    fn enter(&mut self) {
        let said = {
            let mut server = self.server.borrow_mut();
            match server.logins.len() {
                0 | 1 => server.logins.front().copied().unwrap_or("OK"),
                _ => server.logins.pop_front().unwrap_or("OK"),
            }
        };
        self.say(said);
    }
}

/// Atoms and quoted strings of a line.
fn words(line: &str) -> Vec<Token> {
    let (mut tokens, mut rest) = (Vec::new(), line.trim());
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (mut text, mut escaped, mut end) = (String::new(), false, quoted.len());
            for (at, character) in quoted.char_indices() {
                match character {
                    _ if escaped => {
                        text.push(character);
                        escaped = false;
                    }
                    '\\' => escaped = true,
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    other => text.push(other),
                }
            }
            tokens.push(Token::Text(text.into_bytes()));
            rest = quoted[end..].trim_start();
        } else {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            tokens.push(Token::Atom(word.to_owned()));
            rest = after.trim_start();
        }
    }
    tokens
}

impl Wire for FakeWire {
    type Body = Bytes;

    fn start_tls(&mut self) -> Result<()> {
        assert!(self.output.is_empty() && self.input.is_empty());
        self.encrypted = true;
        self.server.borrow_mut().heard.push("*tls*".to_owned());
        self.capabilities("OK");
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.ended {
            return Err(closed());
        }
        self.input.extend_from_slice(bytes);
        self.take();
        Ok(())
    }

    fn write_secret_literal(&mut self, form: Secret) -> Result<()> {
        let secret = format!("*{form:?}*");
        self.write(format!("{{{}+}}\r\n{secret}", secret.len()).as_bytes())
    }

    fn accepted(&mut self) {
        self.server.borrow_mut().heard.push("*accepted*".to_owned());
    }

    fn refused(&mut self) -> Result<bool> {
        Ok(std::mem::take(&mut self.server.borrow_mut().another_token))
    }

    fn read_line(&mut self) -> Result<Vec<u8>> {
        let Some(end) = self.output.iter().position(|&byte| byte == b'\n') else {
            return Err(closed());
        };
        Ok(self.output.drain(..=end).collect())
    }

    fn read(&mut self, limit: u32) -> Result<Vec<u8>> {
        // A part of what was asked for, as networks do.
        let count = (limit as usize).min(self.output.len()).min(7);
        match count {
            0 => Err(closed()),
            _ => Ok(self.output.drain(..count).collect()),
        }
    }

    fn read_exact(&mut self, length: u64) -> Result<Bytes> {
        let length = usize::try_from(length).unwrap();
        if self.output.len() < length {
            return Err(closed());
        }
        let bytes: Vec<u8> = self.output.drain(..length).collect();
        Ok(Bytes::from_bytes(&bytes))
    }
}

fn closed() -> Failure {
    Failure::unavailable("the server closed the connection")
}

/// A connection on which these bytes come, whatever is said.
#[derive(Debug)]
pub struct Script(FakeWire);

impl Script {
    pub fn new(said: &str) -> Self {
        Self(FakeWire {
            output: said.bytes().collect(),
            ..FakeWire::default()
        })
    }
}

impl Wire for Script {
    type Body = Bytes;

    fn start_tls(&mut self) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn write_secret_literal(&mut self, _: Secret) -> Result<()> {
        Ok(())
    }

    fn accepted(&mut self) {}

    fn refused(&mut self) -> Result<bool> {
        Ok(false)
    }

    fn read_line(&mut self) -> Result<Vec<u8>> {
        self.0.read_line()
    }

    fn read(&mut self, limit: u32) -> Result<Vec<u8>> {
        self.0.read(limit)
    }

    fn read_exact(&mut self, length: u64) -> Result<Bytes> {
        self.0.read_exact(length)
    }
}
