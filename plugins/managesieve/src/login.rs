//! From a host name to a session that is logged in.

use whimbrel_plugin::tcp::{Credential, Secret, Security};
use whimbrel_plugin::{Failure, Result};

use crate::capabilities::Capabilities;
use crate::reply::{Attempt, Reply, Status};
use crate::settings::Settings;
use crate::syntax::{Token, read_line, strange, string};
use crate::wire::{Net, Wire};

/// Lines before the end of an answer: of capabilities, of scripts.
const LINES: usize = 100_000;

/// A connection on which commands are sent and answered.
#[derive(Debug)]
pub struct Talk<W> {
    pub wire: W,
    pub capabilities: Capabilities,
    /// The greeting is over: from now on a BYE ends the connection in the midst of something.
    greeted: bool,
}

impl<W: Wire> Talk<W> {
    /// Connects and logs in. A token that the server refuses is replaced by a new one, once.
    ///
    /// # Errors
    /// What connecting failed with; what the server's refusal means; `invalid-settings` where it offers no way that the
    /// settings allow.
    pub fn connect<N: Net<Wire = W>>(net: &N, settings: &Settings) -> Result<Self> {
        let mut talk = Self::greeted(net, settings)?;
        match talk.login(net.credential(), settings) {
            Err(Failure::Unauthenticated(text)) => {
                if !talk.wire.refused()? {
                    return Err(Failure::Unauthenticated(text));
                }
                drop(talk);
                talk = Self::greeted(net, settings)?;
                talk.login(net.credential(), settings)
                    .map_err(|failure| match failure {
                        Failure::Unauthenticated(text) => Failure::Unauthenticated(format!(
                            "{text}; a new token was refused too: check `user` and the scopes of the login"
                        )),
                        other => other,
                    })?;
            }
            other => other?,
        }
        // Which extensions a server offers may be the user's.
        talk.wire.write(b"CAPABILITY\r\n")?;
        let end = talk.read_capabilities()?;
        if !end.ok() {
            return Err(end.failure(Attempt::Command("CAPABILITY")));
        }
        Ok(talk)
    }

    /// Connects, and encrypts where that is still to be done.
    fn greeted<N: Net<Wire = W>>(net: &N, settings: &Settings) -> Result<Self> {
        let security = settings.security();
        let wire = net.open(&settings.host, settings.port, security)?;
        let mut talk = Self {
            wire,
            capabilities: Capabilities::default(),
            greeted: false,
        };
        let greeting = talk.read_capabilities()?;
        talk.greeted = true;
        if !greeting.ok() {
            return Err(greeting.failure(Attempt::Greeting));
        }
        if security == Security::Starttls {
            if !talk.capabilities.starttls {
                return Err(Failure::invalid_settings(format!(
                    "{}:{} does not offer STARTTLS: use `tls = \"implicit\"` where it takes TLS from the first byte",
                    settings.host, settings.port
                )));
            }
            talk.wire.write(b"STARTTLS\r\n")?;
            let said = talk.reply()?;
            if !said.ok() {
                return Err(Failure::invalid_settings(format!(
                    "the server refused STARTTLS ({}): use `tls = \"implicit\"` where it takes TLS from the first byte",
                    said.text
                )));
            }
            talk.wire.start_tls()?;
            // It says again what it can do (RFC 5804, 2.2); what was told in clear text may be an attacker's.
            let again = talk.read_capabilities()?;
            if !again.ok() {
                return Err(again.failure(Attempt::Greeting));
            }
        }
        Ok(talk)
    }

    fn read_capabilities(&mut self) -> Result<Reply> {
        let mut all = Capabilities::default();
        let end = self.lines(|line| all.add(line))?;
        if end.ok() {
            self.capabilities = all;
        }
        Ok(end)
    }

    fn login(&mut self, credential: Credential, settings: &Settings) -> Result<()> {
        let all = &self.capabilities;
        let (mechanism, form) = match credential {
            Credential::None => {
                return Err(Failure::invalid_settings(format!(
                    "{} wants a user and a password or token, and none is given",
                    settings.host
                )));
            }
            Credential::Token if all.has("OAUTHBEARER") => ("OAUTHBEARER", Secret::SaslOauthbearer),
            Credential::Token if all.has("XOAUTH2") => ("XOAUTH2", Secret::SaslXoauth2),
            Credential::Token => return Err(no_way(settings, all, "a token", "It takes no tokens: use `password`")),
            Credential::Password if all.has("PLAIN") => ("PLAIN", Secret::SaslPlain),
            Credential::Password => {
                let remedy = if all.has("OAUTHBEARER") || all.has("XOAUTH2") {
                    "Passwords are switched off there: use `token` in place of `password`"
                } else if settings.security() == Security::Insecure {
                    "It may take passwords over TLS only: use tls = \"starttls\""
                } else {
                    "Ask who runs it which way of login it offers"
                };
                return Err(no_way(settings, all, "a password", remedy));
            }
        };
        // A literal: a quoted string has no room for long tokens (RFC 5804, 4).
        self.wire.write(format!("AUTHENTICATE \"{mechanism}\" ").as_bytes())?;
        self.wire.write_secret_literal(form)?;
        self.wire.write(b"\r\n")?;
        let mut line = read_line(&mut self.wire)?;
        if matches!(line.first(), Some(Token::Text(_))) {
            // Why a token was refused (RFC 7628, 3.2.3), which wants an answer before the refusal itself.
            let answer = if form == Secret::SaslOauthbearer { "AQ==" } else { "" };
            self.wire.write(&string(answer))?;
            self.wire.write(b"\r\n")?;
            line = read_line(&mut self.wire)?;
        }
        let said = Reply::parse(&line).ok_or_else(strange)?;
        if !said.ok() {
            return Err(said.failure(Attempt::Login));
        }
        self.wire.accepted();
        Ok(())
    }

    /// Reads an answer of one line.
    ///
    /// # Errors
    /// What ended the connection.
    pub fn reply(&mut self) -> Result<Reply> {
        self.lines(|_| {})
    }

    /// Reads an answer, calling `each` with the lines before its end.
    ///
    /// # Errors
    /// What ended the connection; `unavailable` for anything that is no answer.
    pub fn lines(&mut self, mut each: impl FnMut(&[Token])) -> Result<Reply> {
        for _ in 0..LINES {
            let line = read_line(&mut self.wire)?;
            match Reply::parse(&line) {
                Some(end) => return self.alive(end),
                None if matches!(line.first(), Some(Token::Text(_))) => each(&line),
                None => break,
            }
        }
        Err(strange())
    }

    /// A BYE in place of an answer ends the connection, but for the greeting, where it says why.
    ///
    /// # Errors
    /// What the BYE means.
    pub fn alive(&self, end: Reply) -> Result<Reply> {
        match end.status {
            Status::Bye if self.greeted => Err(end.failure(Attempt::Command("the connection"))),
            _ => Ok(end),
        }
    }
}

fn no_way(settings: &Settings, all: &Capabilities, with: &str, remedy: &str) -> Failure {
    Failure::invalid_settings(format!(
        "{} offers no way to log in with {with}: it offers {}. {remedy}",
        settings.host,
        if all.sasl.is_empty() {
            "no SASL mechanism".to_owned()
        } else {
            all.sasl.join(" ")
        }
    ))
}
