//! A POP3 server for tests, with the habits that real ones have and Dovecot and Courier do not.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use whimbrel_folders::Body;
use whimbrel_folders::memory::Bytes;
use whimbrel_plugin::tcp::{Credential, Secret, Security};
use whimbrel_plugin::{Failure, Result};

use crate::wire::{Net, Wire};

/// What it is like.
#[derive(Debug, Clone)]
pub struct Server {
    pub greeting: String,
    /// None: it knows no CAPA.
    pub capabilities: Option<Vec<&'static str>>,
    pub credential: Credential,
    /// What it says to a login; `+OK` lets in. One for each; the last one stays.
    pub logins: VecDeque<&'static str>,
    /// There is another token after the first refusal.
    pub another_token: bool,
    /// Id and content; an id is left out where UIDL is unknown.
    pub mails: Vec<(String, String)>,
    pub uidl: bool,
    /// UIDL gives the numbers of messages for ids.
    pub numbers: bool,
    pub top: bool,
    /// It gives no lines where many are asked for.
    pub cuts_top: bool,
    /// It adds a `Status` field to what was read.
    pub status: bool,
    /// Numbers of messages whose RETR is refused.
    pub refuses: Vec<usize>,
    /// Another program deletes this message (its id) once the session began.
    pub deletes: Option<String>,
    /// The connection ends after so many commands.
    pub cut_after: Option<usize>,
    /// Every command that came, secrets as `*form*`.
    pub heard: Vec<String>,
    /// Sessions that were logged in.
    pub sessions: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            greeting: "+OK ready".to_owned(),
            capabilities: Some(vec!["TOP", "UIDL", "USER", "PIPELINING", "SASL PLAIN"]),
            credential: Credential::Password,
            logins: VecDeque::from(["+OK"]),
            another_token: false,
            mails: Vec::new(),
            uidl: true,
            numbers: false,
            top: true,
            cuts_top: false,
            status: false,
            refuses: Vec::new(),
            deletes: None,
            cut_after: None,
            heard: Vec::new(),
            sessions: 0,
        }
    }
}

/// The way to it. Clones share the server.
#[derive(Debug, Clone, Default)]
pub struct FakeNet(pub Rc<RefCell<Server>>);

/// A connection to it.
#[derive(Debug)]
pub struct FakeWire {
    server: Rc<RefCell<Server>>,
    /// Of this session: number, id and content.
    mails: Vec<(usize, String, String)>,
    line: Vec<u8>,
    answers: VecDeque<Answer>,
    encrypted: bool,
    /// The mechanism whose secret is awaited.
    awaits: Option<String>,
    challenged: bool,
}

#[derive(Debug)]
enum Answer {
    Line(String),
    Body(String),
}

impl FakeNet {
    pub fn with(server: Server) -> Self {
        Self(Rc::new(RefCell::new(server)))
    }

    /// Commands that came since the last call, the first word of each.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().heard)
    }
}

impl Net for FakeNet {
    type Wire = FakeWire;

    fn credential(&self) -> Credential {
        self.0.borrow().credential
    }

    fn open(&self, _: &str, _: u16, security: Security) -> Result<FakeWire> {
        let greeting = self.0.borrow().greeting.clone();
        Ok(FakeWire {
            server: Rc::clone(&self.0),
            mails: Vec::new(),
            line: Vec::new(),
            answers: VecDeque::from([Answer::Line(greeting)]),
            encrypted: security == Security::Implicit,
            awaits: None,
            challenged: false,
        })
    }
}

impl FakeWire {
    fn say(&mut self, line: impl Into<String>) {
        self.answers.push_back(Answer::Line(line.into()));
    }

    fn body(&mut self, body: impl Into<String>) {
        self.say("+OK");
        self.answers.push_back(Answer::Body(body.into()));
    }

    fn enter(&mut self) {
        let said = {
            let mut server = self.server.borrow_mut();
            match server.logins.len() {
                0 | 1 => server.logins.front().copied().unwrap_or("+OK"),
                _ => server.logins.pop_front().unwrap_or("+OK"),
            }
        };
        if said.starts_with("+OK") {
            let mut server = self.server.borrow_mut();
            server.sessions += 1;
            self.mails = (1..)
                .zip(server.mails.clone())
                .map(|(number, (id, text))| (number, id, text))
                .collect();
            if let Some(id) = server.deletes.take() {
                server.mails.retain(|(other, _)| *other != id);
            }
        }
        self.say(said);
    }

    fn command(&mut self, line: &str) {
        let (cut, server) = {
            let mut server = self.server.borrow_mut();
            server.heard.push(line.to_owned());
            let cut = server.cut_after.as_mut().is_some_and(|left| {
                *left = left.saturating_sub(1);
                *left == 0
            });
            (cut, server.clone())
        };
        if cut {
            self.server.borrow_mut().cut_after = None;
            self.answers.clear();
            return;
        }
        if let Some(mechanism) = self.awaits.take() {
            if mechanism.contains("OAUTH") && !server.logins.front().is_some_and(|said| said.starts_with("+OK")) {
                if !std::mem::replace(&mut self.challenged, true) {
                    self.awaits = Some(mechanism);
                    self.say("+ eyJzdGF0dXMiOiI0MDEifQ==");
                    return;
                }
                self.challenged = false;
            }
            self.enter();
            return;
        }
        let mut words = line.split(' ');
        let command = words.next().unwrap_or_default();
        let number = words.next().and_then(|word| word.parse::<usize>().ok());
        let mail = number.and_then(|number| self.mails.iter().find(|mail| mail.0 == number).cloned());
        match (command, mail) {
            ("CAPA", _) => match &server.capabilities {
                Some(all) => self.body(all.iter().map(|line| format!("{line}\r\n")).collect::<String>()),
                None => self.say("-ERR what?"),
            },
            ("STLS", _) => self.say("+OK begin"),
            ("USER" | "UTF8" | "RSET" | "QUIT", _) => self.say("+OK"),
            ("PASS" | "APOP", _) => self.enter(),
            ("AUTH", _) => {
                self.awaits = line.split(' ').nth(1).map(str::to_owned);
                self.say("+ ");
            }
            ("LIST", _) => {
                let list = self
                    .mails
                    .iter()
                    .map(|(number, _, text)| format!("{number} {}\r\n", text.len()));
                let list: String = list.collect();
                self.body(list);
            }
            ("UIDL", _) if server.uidl => {
                let list = self.mails.iter().map(|(number, id, _)| {
                    let number_again = number.to_string();
                    format!("{number} {}\r\n", if server.numbers { &number_again } else { id })
                });
                let list: String = list.collect();
                self.body(list);
            }
            ("TOP", Some((_, _, text))) if server.top => {
                let head = text.split("\r\n\r\n").next().unwrap_or_default();
                let all = !line.ends_with(" 0") && !server.cuts_top;
                let number = number.unwrap_or_default();
                let gone = all && !server.mails.iter().any(|(_, other)| *other == text);
                if gone || (all && server.refuses.contains(&number)) {
                    self.say("-ERR it is deleted");
                } else {
                    self.body(if all { text } else { format!("{head}\r\n\r\n") });
                }
            }
            ("RETR", Some((number, id, text))) if !server.refuses.contains(&number) => {
                if server.mails.iter().any(|(other, _)| *other == id) {
                    self.body(text);
                    if server.status {
                        self.server.borrow_mut().mails.iter_mut().for_each(|(_, text)| {
                            if !text.starts_with("Status: ") {
                                *text = format!("Status: RO\r\n{text}");
                            }
                        });
                    }
                } else {
                    self.say("-ERR it is deleted");
                }
            }
            _ => self.say("-ERR no"),
        }
    }

    fn closed() -> Failure {
        Failure::unavailable("the server closed the connection")
    }
}

impl Wire for FakeWire {
    type Body = Bytes;

    fn start_tls(&mut self) -> Result<()> {
        assert!(self.answers.is_empty() && self.line.is_empty());
        self.encrypted = true;
        self.server.borrow_mut().heard.push("*tls*".to_owned());
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for &byte in bytes {
            if byte == b'\n' {
                let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
                self.command(line.trim_end());
            } else {
                self.line.push(byte);
            }
        }
        Ok(())
    }

    fn write_secret(&mut self, form: Secret, challenge: Option<&str>) -> Result<()> {
        let challenge = challenge.unwrap_or_default();
        self.line.extend_from_slice(format!("*{form:?}{challenge}*").as_bytes());
        Ok(())
    }

    fn accepted(&mut self) {
        self.server.borrow_mut().heard.push("*accepted*".to_owned());
    }

    fn refused(&mut self) -> Result<bool> {
        Ok(std::mem::take(&mut self.server.borrow_mut().another_token))
    }

    fn read_line(&mut self) -> Result<Vec<u8>> {
        match self.answers.pop_front() {
            Some(Answer::Line(line)) => Ok(format!("{line}\r\n").into_bytes()),
            Some(Answer::Body(body)) => panic!("a body is to be read: {body}"),
            None => Err(Self::closed()),
        }
    }

    fn read_body(&mut self, _: u64, limit: u64) -> Result<Bytes> {
        match self.answers.pop_front() {
            Some(Answer::Body(body)) => {
                assert!(body.len() as u64 <= limit);
                Ok(Bytes::from_bytes(body.as_bytes()))
            }
            Some(Answer::Line(line)) => panic!("a line is to be read: {line}"),
            None => Err(Self::closed()),
        }
    }
}
