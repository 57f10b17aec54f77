//! From a host name to a session that is logged in.

use whimbrel_folders::Body;
use whimbrel_plugin::tcp::{Credential, Secret, Security};
use whimbrel_plugin::{Failure, Result};

use crate::capabilities::Capabilities;
use crate::reply::{Attempt, Reply};
use crate::settings::Settings;
use crate::wire::{Net, Wire};

/// Bytes of the answer to CAPA.
const CAPA_BYTES: u64 = 64 << 10;

/// A connection on which commands are sent and answered.
#[derive(Debug)]
pub struct Talk<W> {
    pub wire: W,
    pub capabilities: Capabilities,
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
                let mut talk = Self::greeted(net, settings)?;
                talk.login(net.credential(), settings)
                    .map_err(|failure| match failure {
                        Failure::Unauthenticated(text) => Failure::Unauthenticated(format!(
                            "{text}; a new token was refused too: check `user` and the scopes of the login"
                        )),
                        other => other,
                    })?;
                Ok(talk)
            }
            Err(failure) => Err(failure),
            Ok(()) => Ok(talk),
        }
    }

    /// Connects, and encrypts where that is still to be done.
    fn greeted<N: Net<Wire = W>>(net: &N, settings: &Settings) -> Result<Talk<W>> {
        let security = settings.security();
        let wire = net.open(&settings.host, settings.port, security)?;
        let mut talk = Self {
            wire,
            capabilities: Capabilities::unknown(),
        };
        let greeting = talk.reply()?;
        if !greeting.ok {
            return Err(greeting.failure(Attempt::Greeting));
        }
        talk.ask_capabilities()?;
        if security == Security::Starttls {
            if talk.capabilities.known && !talk.capabilities.stls {
                return Err(Failure::invalid_settings(format!(
                    "{}:{} does not offer STLS: use `tls = \"implicit\"` with the port for it (usually 995)",
                    settings.host, settings.port
                )));
            }
            let said = talk.call("STLS")?;
            if !said.ok {
                return Err(Failure::invalid_settings(format!(
                    "the server refused STLS ({}): use `tls = \"implicit\"` with the port for it (usually 995)",
                    said.text
                )));
            }
            talk.wire.start_tls()?;
            // What was told in clear text may be an attacker's.
            talk.ask_capabilities()?;
        } else if security == Security::Insecure {
            talk.capabilities.challenge = challenge(&greeting.text);
        }
        // Else some servers give a notice in place of a message with UTF-8 in its head. A refusal is no trouble.
        if talk.capabilities.utf8 {
            talk.call("UTF8")?;
        }
        Ok(talk)
    }

    fn ask_capabilities(&mut self) -> Result<()> {
        self.capabilities = if self.call("CAPA")?.ok {
            let body = self.wire.read_body(0, CAPA_BYTES)?;
            let mut bytes = Vec::new();
            body.pieces(|piece| bytes.extend_from_slice(piece));
            Capabilities::parse(&String::from_utf8_lossy(&bytes))
        } else {
            Capabilities::unknown()
        };
        Ok(())
    }

    fn login(&mut self, credential: Credential, settings: &Settings) -> Result<()> {
        let all = self.capabilities.clone();
        match credential {
            Credential::None => {
                return Err(Failure::invalid_settings(format!(
                    "{} wants a user and a password or token, and none is given",
                    settings.host
                )));
            }
            Credential::Token => {
                let (mechanism, form) = if all.has("XOAUTH2") {
                    ("XOAUTH2", Secret::SaslXoauth2)
                } else if all.has("OAUTHBEARER") {
                    ("OAUTHBEARER", Secret::SaslOauthbearer)
                } else {
                    return Err(no_way(settings, &all, "a token", "It takes no tokens: use `password`"));
                };
                self.authenticate(mechanism, form)?;
            }
            Credential::Password => {
                // Without encryption, a digest keeps at least the password off the line.
                if let Some(challenge) = &all.challenge
                    && self.apop(settings, challenge)?
                {
                    self.wire.accepted();
                    return Ok(());
                }
                if all.has("PLAIN") {
                    self.authenticate("PLAIN", Secret::SaslPlain)?;
                } else if all.user {
                    self.user_and_pass(settings)?;
                } else {
                    let tokens = all.has("XOAUTH2") || all.has("OAUTHBEARER");
                    let remedy = if tokens {
                        "Passwords are switched off there: use `token` in place of `password`"
                    } else if settings.security() == Security::Insecure {
                        "It may take passwords over TLS only: use tls = \"implicit\" or \"starttls\""
                    } else {
                        "Ask who runs it which way of login it offers to mail programs"
                    };
                    return Err(no_way(settings, &all, "a password", remedy));
                }
            }
        }
        self.wire.accepted();
        Ok(())
    }

    /// AUTH (RFC 5034). The secret is sent when the server asks for it: a line with both has room for 255 bytes only.
    fn authenticate(&mut self, mechanism: &str, form: Secret) -> Result<()> {
        self.wire.write(format!("AUTH {mechanism}\r\n").as_bytes())?;
        let line = self.wire.read_line()?;
        if let Some(reply) = Reply::parse(&line) {
            return Err(self.refusal(&reply));
        }
        if !line.starts_with(b"+") {
            return Err(strange());
        }
        self.wire.write_secret(form, None)?;
        self.wire.write(b"\r\n")?;
        let mut line = self.wire.read_line()?;
        if Reply::parse(&line).is_none() && line.starts_with(b"+") {
            // Why a token was refused (RFC 7628, 3.2.3), which wants an answer before the refusal itself.
            let answer: &[u8] = if form == Secret::SaslOauthbearer {
                b"AQ==\r\n"
            } else {
                b"\r\n"
            };
            self.wire.write(answer)?;
            line = self.wire.read_line()?;
        }
        self.entered(&line)
    }

    fn user_and_pass(&mut self, settings: &Settings) -> Result<()> {
        let said = self.call(&format!("USER {}", settings.user))?;
        if !said.ok {
            return Err(self.refusal(&said));
        }
        self.wire.write(b"PASS ")?;
        self.wire.write_secret(Secret::Password, None)?;
        self.wire.write(b"\r\n")?;
        let line = self.wire.read_line()?;
        self.entered(&line)
    }

    /// False where the server does not take it: it may know other ways.
    fn apop(&mut self, settings: &Settings, challenge: &str) -> Result<bool> {
        self.wire.write(format!("APOP {} ", settings.user).as_bytes())?;
        self.wire.write_secret(Secret::Apop, Some(challenge))?;
        self.wire.write(b"\r\n")?;
        let line = self.wire.read_line()?;
        match self.entered(&line) {
            Err(Failure::Unauthenticated(_)) => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn entered(&self, line: &[u8]) -> Result<()> {
        let reply = Reply::parse(line).ok_or_else(strange)?;
        if reply.ok { Ok(()) } else { Err(self.refusal(&reply)) }
    }

    fn refusal(&self, reply: &Reply) -> Failure {
        reply.failure(Attempt::Login(self.capabilities.login_delay_ms))
    }

    /// Sends a command and reads the status line.
    ///
    /// # Errors
    /// What ended the connection.
    pub fn call(&mut self, command: &str) -> Result<Reply> {
        self.wire.write(format!("{command}\r\n").as_bytes())?;
        self.reply()
    }

    /// Reads a status line.
    ///
    /// # Errors
    /// What ended the connection; `unavailable` for anything else than a status line.
    pub fn reply(&mut self) -> Result<Reply> {
        let line = self.wire.read_line()?;
        Reply::parse(&line).ok_or_else(strange)
    }
}

fn strange() -> Failure {
    Failure::unavailable(
        "the server does not answer like a POP3 server: check `host`, `port` and `tls` in the settings",
    )
}

fn no_way(settings: &Settings, all: &Capabilities, with: &str, remedy: &str) -> Failure {
    Failure::invalid_settings(format!(
        "{} offers no way to log in with {with}: it offers {}{}. {remedy}",
        settings.host,
        if all.user { "USER and PASS, " } else { "" },
        if all.sasl.is_empty() {
            "no SASL mechanism".to_owned()
        } else {
            all.sasl.join(" ")
        }
    ))
}

/// The timestamp in a greeting, with its angle brackets (RFC 1939, 7).
fn challenge(greeting: &str) -> Option<String> {
    let from = greeting.rfind('<')?;
    let length = greeting[from..].find('>')? + 1;
    let found = &greeting[from..from + length];
    found.contains('@').then(|| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_found_where_there_is_one() {
        assert_eq!(
            challenge("POP3 server ready <1896.697170952@dbc.mtview.ca.us>").as_deref(),
            Some("<1896.697170952@dbc.mtview.ca.us>")
        );
        for greeting in ["ready", "<ready>", "ready <a@b", "> a@b <"] {
            assert_eq!(challenge(greeting), None, "{greeting}");
        }
    }
}
