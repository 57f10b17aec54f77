//! Login, and what is arranged right after it. async-imap carries the SASL exchange and COMPRESS.

use std::sync::{Arc, Mutex, PoisonError};

use async_imap::{Authenticator, Client, error::Error as ImapError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::timeout;
use whimbrel_model::Failure;
use zeroize::Zeroizing;

use crate::Credentials;

use super::connect::{Greeting, ask_capabilities, capabilities};
use super::link::{Link, Outcome, farewell};
use super::names::{Encoding, Names};
use super::parse::{Cursor, Status, Value};
use super::refusal::{Login, explain};
use super::session::{Namespaces, Session};
use super::talk::{Literals, Part, Talk};
use super::{Security, Target};

type Carrier = async_imap::Session<Link>;

/// Logs in and arranges the session.
pub(super) async fn login(target: &Target, link: Link, greeting: Greeting, compress: bool) -> Result<Session, Failure> {
    let mut talk = Talk::new(link);
    let offered = match greeting.capabilities {
        Some(offered) => offered,
        None => ask_capabilities(&mut talk).await?,
    };
    let mut known = None;
    let mut link = talk.into_link();
    if !greeting.preauth {
        let (mut carrier, after) = authenticate(target, link, &offered).await?;
        known = after;
        let compressible = known
            .as_ref()
            .is_some_and(|known| known.iter().any(|word| word == "COMPRESS=DEFLATE"));
        if compress && compressible {
            carrier = deflate(carrier, target).await?;
        }
        // Nothing is read ahead by async-imap: the link shows it no more than one line at a time.
        link = std::mem::replace(carrier.as_mut(), Link::closed());
    } else if known.is_none() {
        known = Some(offered);
    }
    let mut talk = Talk::new(link);
    let known = match known {
        Some(known) => known,
        None => ask_capabilities(&mut talk).await?,
    };
    let mut session = Session::new(talk, target.blobs.clone(), known, target.host.clone());
    session.arrange().await?;
    Ok(session)
}

/// What a server told of a token, shared with who explains the refusal.
type Heard = Arc<Mutex<Option<Vec<u8>>>>;

/// Bytes of a challenge that are kept.
const CHALLENGE: usize = 4096;

/// A SASL mechanism whose client speaks first, and only once.
struct OneShot {
    initial: Option<Zeroizing<Vec<u8>>>,
    /// Answers the challenge that carries an error (RFC 7628 section 3.2.3).
    then: &'static [u8],
    /// That challenge.
    heard: Heard,
}

impl Authenticator for OneShot {
    type Response = Zeroizing<Vec<u8>>;

    fn process(&mut self, challenge: &[u8]) -> Self::Response {
        self.initial.take().unwrap_or_else(|| {
            let kept = challenge.get(..CHALLENGE).unwrap_or(challenge);
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept.to_vec());
            Zeroizing::new(self.then.to_vec())
        })
    }
}

/// The best way in that the server offers and the credentials allow.
async fn authenticate(
    target: &Target,
    link: Link,
    offered: &[String],
) -> Result<(Carrier, Option<Vec<String>>), Failure> {
    let has = |word: &str| offered.iter().any(|known| known == word);
    let none = |ways: &str| {
        Failure::InvalidSettings(format!(
            "{} offers no way to log in with {ways}: it offers {}{}",
            target.host,
            offered
                .iter()
                .filter(|word| word.starts_with("AUTH=") || *word == "LOGINDISABLED")
                .cloned()
                .collect::<Vec<_>>()
                .join(" "),
            no_way(target, &has)
        ))
    };
    let client = Client::new(link);
    let heard = Heard::default();
    let finish = |result| finish(target, &heard, result);
    let exchange = async {
        let (mechanism, message, then) = match &target.credentials {
            Credentials::None => {
                return Err(Failure::InvalidSettings(format!(
                    "{} wants a user and a password or token, and none is given",
                    target.host
                )));
            }
            Credentials::Password { user, password } if has("AUTH=PLAIN") => {
                ("PLAIN", format!("\0{user}\0{}", password.expose()), &b""[..])
            }
            Credentials::Password { user, password } => {
                if has("LOGINDISABLED") {
                    return Err(none("a password"));
                }
                return finish(client.login(user, password.expose()).await);
            }
            Credentials::OAuth { user, token } if has("AUTH=XOAUTH2") => (
                "XOAUTH2",
                format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose()),
                &b""[..],
            ),
            Credentials::OAuth { user, token } if has("AUTH=OAUTHBEARER") => {
                let user = user.replace('=', "=3D").replace(',', "=2C");
                (
                    "OAUTHBEARER",
                    format!("n,a={user},\x01auth=Bearer {}\x01\x01", token.expose()),
                    &b"\x01"[..],
                )
            }
            Credentials::OAuth { .. } => return Err(none("a token")),
            // Its token was put into the target before it came here.
            Credentials::Login { .. } => {
                return Err(Failure::Internal("a login without its token".to_owned()));
            }
        };
        let message = Zeroizing::new(message.into_bytes());
        if has("SASL-IR") {
            let command = Zeroizing::new(format!("{mechanism} {}", STANDARD.encode(&*message)));
            finish(
                client
                    .authenticate(
                        command.as_str(),
                        OneShot {
                            initial: None,
                            then,
                            heard: Arc::clone(&heard),
                        },
                    )
                    .await,
            )
        } else {
            finish(
                client
                    .authenticate(
                        mechanism,
                        OneShot {
                            initial: Some(message),
                            then,
                            heard: Arc::clone(&heard),
                        },
                    )
                    .await,
            )
        }
    };
    let (carrier, outcome) = match timeout(target.timeouts.connect, exchange).await {
        Err(_) => {
            return Err(Failure::Unavailable(format!(
                "the login was not answered within {} seconds",
                target.timeouts.connect.as_secs()
            )));
        }
        Ok(entered) => entered?,
    };
    let known = match &outcome.completion {
        Some(said) if said.has_code("CAPABILITY") => Some(capabilities(&said.arguments)),
        _ => outcome.capabilities.as_deref().map(capabilities),
    };
    Ok((carrier, known))
}

/// What to do where a server and the credentials have no mechanism in common.
fn no_way(target: &Target, has: &impl Fn(&str) -> bool) -> &'static str {
    let tokens = has("AUTH=XOAUTH2") || has("AUTH=OAUTHBEARER");
    match (&target.credentials, target.security) {
        (Credentials::Password { .. }, Security::Insecure) if has("LOGINDISABLED") => {
            ". It takes no password in clear text: use tls = \"implicit\" or \"starttls\""
        }
        (Credentials::Password { .. }, _) if tokens => {
            ". Passwords are switched off there: use `token` in place of `password`"
        }
        (Credentials::OAuth { .. }, _) => ". It takes no tokens: use `password`",
        _ => ". Ask who runs it which way of login it offers to mail programs",
    }
}

/// What the server said on the way in, or what its refusal means.
fn finish(
    target: &Target,
    heard: &Heard,
    result: Result<Carrier, (ImapError, Client<Link>)>,
) -> Result<(Carrier, Outcome), Failure> {
    match result {
        Ok(mut carrier) => {
            let outcome = carrier.as_mut().take_outcome();
            Ok((carrier, outcome))
        }
        Err((error, mut client)) => {
            // The error's own text may hold the credentials: only its kind is used.
            let failure = match error {
                ImapError::Io(error) => {
                    Failure::Unavailable(format!("the connection was lost during login: {}", error.kind()))
                }
                ImapError::Validate(_) => {
                    Failure::InvalidSettings("the user or the password holds a line break: remove it".to_owned())
                }
                ImapError::ConnectionLost => {
                    Failure::Unavailable("the server closed the connection during login".to_owned())
                }
                _ => Failure::Unavailable("the login was not answered in IMAP".to_owned()),
            };
            let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            let login = match &target.credentials {
                Credentials::None => Login::default(),
                Credentials::Password { user, .. } => Login {
                    address: user.contains('@'),
                    ..Login::default()
                },
                Credentials::OAuth { user, .. } | Credentials::Login { user, .. } => Login {
                    token: true,
                    address: user.contains('@'),
                    challenge: heard.as_deref(),
                },
            };
            Err(refusal(failure, client.get_mut().take_outcome(), login))
        }
    }
}

/// What the server said counts for more than how the exchange ended.
fn refusal(failure: Failure, outcome: Outcome, login: Login<'_>) -> Failure {
    match (outcome.completion, outcome.bye) {
        (Some(said), _) if said.status != Status::Ok => explain(&said, login),
        (_, Some(bye)) => farewell(&bye),
        _ => failure,
    }
}

/// RFC 4978.
async fn deflate(carrier: Carrier, target: &Target) -> Result<Carrier, Failure> {
    let timeouts = target.timeouts;
    let compressed = carrier.compress(|mut stream| {
        stream.get_mut().make_transparent();
        Link::new(Box::new(stream), timeouts)
    });
    timeout(target.timeouts.connect, compressed)
        .await
        .map_err(|_| Failure::Unavailable("COMPRESS was not answered in time".to_owned()))?
        .map_err(|_| Failure::Unavailable("the server refused the COMPRESS that it offers".to_owned()))
}

impl Session {
    /// ID, ENABLE and NAMESPACE, in one round trip.
    async fn arrange(&mut self) -> Result<(), Failure> {
        self.talk.literals = match () {
            () if self.can("LITERAL+") => Literals::Any,
            () if self.can("LITERAL-") => Literals::Small,
            () => Literals::Synchronising,
        };
        let mut enable = String::new();
        if self.can("ENABLE") {
            for wish in ["QRESYNC", "CONDSTORE", "UTF8=ACCEPT"] {
                let only = wish == "UTF8=ACCEPT" && self.can("UTF8=ONLY");
                // QRESYNC brings CONDSTORE with it (RFC 7162 section 3.2.3).
                if (self.can(wish) || only) && !(wish == "CONDSTORE" && self.can("QRESYNC")) {
                    enable.push(' ');
                    enable.push_str(wish);
                }
            }
        }
        let id = match self.can("ID") {
            true => Some(
                self.talk
                    .send(&[Part::Text(concat!(
                        "ID (\"name\" \"whimbrel\" \"version\" \"",
                        env!("CARGO_PKG_VERSION"),
                        "\")"
                    ))])
                    .await?,
            ),
            false => None,
        };
        let enabling = match enable.is_empty() {
            false => Some(self.talk.send(&[Part::Text("ENABLE"), Part::Text(&enable)]).await?),
            true => None,
        };
        let namespace = match self.can("NAMESPACE") {
            true => Some(self.talk.send(&[Part::Text("NAMESPACE")]).await?),
            false => Some(self.talk.send(&[Part::Text("LIST \"\" \"\"")]).await?),
        };
        let (mut server, mut enabled, mut spaces) = (Vec::new(), Vec::new(), None);
        // Refusals are no trouble: each of these can be done without.
        for tag in [id, enabling, namespace].into_iter().flatten() {
            self.talk
                .wait(tag, None, &mut |data| {
                    if data.is("ID") {
                        server = read_id(&mut data.rest);
                    } else if data.is("ENABLED") {
                        enabled = capabilities(&String::from_utf8_lossy(data.rest.remaining()));
                    } else if data.is("NAMESPACE") {
                        spaces = read_namespace(&mut data.rest);
                    } else if data.is("LIST") && spaces.is_none() {
                        data.rest.words();
                        let delimiter = data.rest.value().as_ref().and_then(read_delimiter);
                        spaces = Some(Namespaces {
                            personal: vec![(Vec::new(), delimiter)],
                            foreign: Vec::new(),
                        });
                    }
                    Ok(())
                })
                .await?;
        }
        self.server_id = server;
        self.qresync = enabled.iter().any(|word| word == "QRESYNC");
        if enabled.iter().any(|word| word == "UTF8=ACCEPT") {
            self.encoding = Encoding::Utf8;
            self.names = Names::new(Encoding::Utf8);
        }
        self.namespaces = spaces.unwrap_or_default();
        Ok(())
    }
}

/// Pairs of names and values (RFC 2971), at most 100.
fn read_id(cursor: &mut Cursor<'_>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if !cursor.eat(b'(') {
        return out;
    }
    while out.len() < 100 {
        let (Some(name), Some(value)) = (cursor.string(), cursor.value()) else {
            break;
        };
        if let Value::Text(value) = value {
            out.push((super::errors::tidy(&name), super::errors::tidy(&value)));
        }
    }
    out
}

fn read_delimiter(value: &Value<'_>) -> Option<u8> {
    match value {
        Value::Text(text) => text.first().copied(),
        _ => None,
    }
}

/// Personal, other users' and shared namespaces (RFC 2342 section 5).
fn read_namespace(cursor: &mut Cursor<'_>) -> Option<Namespaces> {
    let mut spaces = Namespaces::default();
    for place in 0..3 {
        match cursor.value()? {
            Value::Nil => {}
            Value::List(list) => {
                let mut entries = Cursor::over(list.get(1..list.len() - 1)?);
                while let Some(Value::List(entry)) = entries.value() {
                    let mut entry = Cursor::over(entry.get(1..)?);
                    let prefix = entry.astring()?.into_owned();
                    let delimiter = entry.value().as_ref().and_then(read_delimiter);
                    match place {
                        0 => spaces.personal.push((prefix, delimiter)),
                        _ => spaces.foreign.push(prefix),
                    }
                }
            }
            _ => return None,
        }
    }
    Some(spaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_read() {
        let mut cursor = Cursor::over(b"((\"INBOX.\" \".\")(\"#mh/\" \"/\" \"X\" (\"a\"))) NIL ((\"\" NIL))\r\n");
        let spaces = read_namespace(&mut cursor).unwrap();
        assert_eq!(
            spaces.personal,
            [(b"INBOX.".to_vec(), Some(b'.')), (b"#mh/".to_vec(), Some(b'/'))]
        );
        assert_eq!(spaces.foreign, [b"".to_vec()]);
        assert!(read_namespace(&mut Cursor::over(b"((\"a\r\n")).is_none());
    }

    #[test]
    fn ids_are_read() {
        let mut cursor = Cursor::over(b"(\"name\" \"Dovecot\" \"os\" NIL \"v\" {3}\r\n2.3)\r\n");
        assert_eq!(
            read_id(&mut cursor),
            [("name".into(), "Dovecot".into()), ("v".into(), "2.3".to_owned())]
        );
    }
}
