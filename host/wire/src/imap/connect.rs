//! From a host name to a session: connection, TLS, greeting, login, and what is learnt on the way.

use whimbrel_model::Failure;

use super::auth;
use super::errors::{Attempt, garbled};
use super::link::Link;
use super::parse::{Kind, Response, Status};
use super::session::Session;
use super::talk::{Part, Talk};
use super::{Security, Target};
use crate::reach::{Server, Stream};
use crate::{Credentials, Protection, Secret};

/// What the server said first.
pub(super) struct Greeting {
    /// The server knows who we are already (RFC 9051 section 7.1.4).
    pub preauth: bool,
    /// Capabilities, where the greeting holds them.
    pub capabilities: Option<Vec<String>>,
}

impl Session {
    /// Connects and logs in. A token that the server refuses is replaced by a new one, once.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached, does not speak IMAP or turned us away for now;
    /// `InvalidSettings` where the certificate does not verify or the server offers no way that the settings allow;
    /// `Unauthenticated` where the credentials were refused; `Throttled` where there are too many connections.
    pub async fn connect(target: &Target) -> Result<Self, Failure> {
        let Credentials::Login { user, tokens } = &target.credentials else {
            return Self::connect_once(target).await;
        };
        let with = |token: &Secret| Target {
            credentials: Credentials::OAuth {
                user: user.clone(),
                token: token.clone(),
            },
            ..target.clone()
        };
        let token = tokens.current().await?;
        let mut outcome = Self::connect_once(&with(&token)).await;
        if let Err(Failure::Unauthenticated(text)) = &outcome {
            let name = tokens.name();
            outcome = match tokens.refused(&token).await? {
                Some(another) => Self::connect_once(&with(&another)).await,
                None => Err(Failure::Unauthenticated(text.clone())),
            };
            outcome = outcome.map_err(|failure| match failure {
                Failure::Unauthenticated(text) => Failure::Unauthenticated(format!(
                    "{text}; a new token of login `{name}` was refused too: check `user`, and `scopes` in [oauth.{name}], and \
                     whether this server takes such tokens for this mailbox"
                )),
                other => other,
            });
        }
        if outcome.is_ok() {
            tokens.accepted();
        }
        outcome
    }

    /// The same with what is in the target.
    async fn connect_once(target: &Target) -> Result<Self, Failure> {
        let host = &target.host;
        let stream = server(target).open().await?;
        let local = stream.peer_addr().is_ok_and(|address| address.ip().is_loopback());
        let (stream, protection) = match target.security {
            Security::Implicit => {
                let (stream, protection) = server(target).open_secure(stream).await?;
                (stream, Some(protection))
            }
            Security::StartTls | Security::Insecure => (Box::new(stream) as Box<dyn Stream>, None),
        };
        let mut session = Self::over(target, stream, target.compress.unwrap_or(!local))
            .await
            .map_err(|failure| match failure {
                Failure::Unavailable(text) if !text.contains(host.as_str()) => {
                    Failure::Unavailable(format!("{host}: {text}"))
                }
                other => other,
            })?;
        session.protection = session.protection.or(protection);
        Ok(session)
    }

    /// Over an open connection, which is encrypted already where it has to be from the start.
    pub(super) async fn over(target: &Target, stream: Box<dyn Stream>, compress: bool) -> Result<Self, Failure> {
        let mut link = Link::new(stream, target.timeouts);
        link.timeouts.reply = target.timeouts.connect;
        let mut greeting = greet(&mut link).await?;
        let mut protection = None;
        if target.security == Security::StartTls {
            if greeting.preauth {
                // An attacker's greeting would make us skip encryption (RFC 9051 section 7.1.4).
                return Err(Failure::InvalidSettings(format!(
                    "{} greets with PREAUTH before TLS, so the connection cannot be encrypted: use `tls = \"implicit\"`",
                    target.host
                )));
            }
            let (encrypted, agreed) = start_tls(target, link, greeting.capabilities.take()).await?;
            (link, protection) = (encrypted, Some(agreed));
        }
        let mut session = auth::login(target, link, greeting, compress).await?;
        session.protection = protection;
        session.talk.link.timeouts = target.timeouts;
        Ok(session)
    }
}

fn server(target: &Target) -> Server<'_> {
    Server {
        host: &target.host,
        port: target.port,
        tls: &target.tls,
        patience: target.timeouts.connect,
    }
}

async fn greet(link: &mut Link) -> Result<Greeting, Failure> {
    let mut response = Response::default();
    link.read(&mut response, None).await?;
    let Some(Kind::Status(said)) = response.kind() else {
        return Err(Failure::Unavailable(
            "the server does not greet like an IMAP server: check `host`, `port` and `tls` in the settings".to_owned(),
        ));
    };
    match said.status {
        Status::Ok | Status::Preauth => Ok(Greeting {
            preauth: said.status == Status::Preauth,
            capabilities: said.has_code("CAPABILITY").then(|| capabilities(&said.arguments)),
        }),
        Status::Bye => match said.failure(Attempt::Login) {
            failure @ Failure::Throttled { .. } => Err(failure),
            _ => Err(Failure::Unavailable(format!(
                "the server turned the connection away: {}",
                said.text
            ))),
        },
        Status::No | Status::Bad => Err(garbled("the greeting")),
    }
}

/// Words of a CAPABILITY response, upper-case.
pub(super) fn capabilities(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_ascii_whitespace().take(1000) {
        let word = word.to_ascii_uppercase();
        if !out.contains(&word) {
            out.push(word);
        }
    }
    // A server that speaks IMAP4rev2 alone need not list what is part of it (RFC 9051, appendix E).
    if out.iter().any(|word| word == "IMAP4REV2") && !out.iter().any(|word| word == "IMAP4REV1") {
        for part in [
            "NAMESPACE",
            "ENABLE",
            "ESEARCH",
            "UIDPLUS",
            "UNSELECT",
            "IDLE",
            "SASL-IR",
            "LIST-EXTENDED",
            "LIST-STATUS",
            "MOVE",
            "LITERAL-",
            "SPECIAL-USE",
            "STATUS=SIZE",
            "CHILDREN",
        ] {
            if !out.iter().any(|word| word == part) {
                out.push(part.to_owned());
            }
        }
    }
    out
}

/// Asks for the capabilities.
pub(super) async fn ask_capabilities(talk: &mut Talk) -> Result<Vec<String>, Failure> {
    let mut found = None;
    talk.run(
        &[Part::Text("CAPABILITY")],
        Attempt::Command("CAPABILITY"),
        &mut |data| {
            if data.is("CAPABILITY") {
                found = Some(capabilities(&String::from_utf8_lossy(data.rest.remaining())));
            }
            Ok(())
        },
    )
    .await?;
    found.ok_or_else(|| garbled("no capabilities"))
}

async fn start_tls(target: &Target, link: Link, known: Option<Vec<String>>) -> Result<(Link, Protection), Failure> {
    let mut talk = Talk::new(link);
    let offered = match known {
        Some(known) => known,
        None => ask_capabilities(&mut talk).await?,
    };
    if !offered.iter().any(|word| word == "STARTTLS") {
        return Err(Failure::InvalidSettings(format!(
            "{}:{} does not offer STARTTLS: use `tls = \"implicit\"` with the port for it (usually 993)",
            target.host, target.port
        )));
    }
    let said = talk.call(&[Part::Text("STARTTLS")], &mut super::talk::ignore).await?;
    if said.status != Status::Ok {
        return Err(Failure::Unavailable(format!(
            "the server refused STARTTLS: {}",
            said.text
        )));
    }
    // Whatever came in clear text after the OK is dropped with the old link: it may be an attacker's.
    let timeouts = talk.link.timeouts;
    let (stream, protection) = server(target).secure(talk.into_link().into_stream()).await?;
    Ok((Link::new(stream, timeouts), protection))
}
