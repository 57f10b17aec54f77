//! Secrets in the forms that protocols want, and out of what servers say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use whimbrel_model::{Failure, Secret};
use zeroize::Zeroizing;

use super::Target;
use crate::Credentials;

/// Secrets shorter than this are not looked for in what a server says: they would be found everywhere.
const SHORTEST: usize = 4;
/// What stands for a secret.
const MASK: &[u8] = b"***";

/// How a secret is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The password as it is.
    Password,
    /// The message of SASL PLAIN (RFC 4616), in base64.
    Plain,
    /// The message of XOAUTH2, in base64.
    XOAuth2,
    /// The message of OAUTHBEARER (RFC 7628), in base64.
    OAuthBearer,
    /// MD5 of the challenge and the password, in hexadecimal digits (RFC 1939 section 7).
    Apop,
}

/// A secret, ready to be written.
pub(super) struct Written {
    pub bytes: Zeroizing<Vec<u8>>,
    /// What is secret in it.
    pub also: Vec<Zeroizing<Vec<u8>>>,
    /// The token in it.
    pub token: Option<Secret>,
}

/// The secret of the target in this form.
///
/// # Errors
/// `InvalidSettings` where there is no such secret, or it cannot stand in a line; what getting a token failed with.
pub(super) async fn written(target: &Target, form: Form, challenge: Option<&str>) -> Result<Written, Failure> {
    match (form, &target.credentials) {
        (Form::Password | Form::Plain | Form::Apop, Credentials::Password { user, password }) => {
            let secret = password.expose();
            let bytes = match form {
                Form::Password => {
                    if secret.contains(['\r', '\n', '\0']) {
                        return Err(Failure::InvalidSettings(
                            "the password holds a line break: remove it".to_owned(),
                        ));
                    }
                    secret.as_bytes().to_vec()
                }
                Form::Apop => {
                    let challenge = challenge.unwrap_or_default();
                    let mut digest = Md5::new();
                    digest.update(challenge.as_bytes());
                    digest.update(secret.as_bytes());
                    let digest = digest.finalize();
                    digest
                        .iter()
                        .flat_map(|byte| format!("{byte:02x}").into_bytes())
                        .collect()
                }
                _ => base64(&format!("\0{user}\0{secret}")),
            };
            Ok(Written {
                bytes: Zeroizing::new(bytes),
                also: vec![Zeroizing::new(secret.as_bytes().to_vec())],
                token: None,
            })
        }
        (Form::XOAuth2 | Form::OAuthBearer, Credentials::OAuth { user, token }) => Ok(bearer(form, user, token)),
        (Form::XOAuth2 | Form::OAuthBearer, Credentials::Login { user, tokens }) => {
            Ok(bearer(form, user, &tokens.current().await?))
        }
        (Form::XOAuth2 | Form::OAuthBearer, _) => Err(Failure::InvalidSettings(
            "this way of login takes a token: give the mailbox a `token` or a `login`".to_owned(),
        )),
        (Form::Password | Form::Plain | Form::Apop, _) => Err(Failure::InvalidSettings(
            "this way of login takes a password: give the mailbox a `password`".to_owned(),
        )),
    }
}

fn bearer(form: Form, user: &str, token: &Secret) -> Written {
    let message = if form == Form::XOAuth2 {
        Zeroizing::new(format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose()))
    } else {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Zeroizing::new(format!("n,a={user},\x01auth=Bearer {}\x01\x01", token.expose()))
    };
    Written {
        bytes: Zeroizing::new(base64(&message)),
        also: vec![Zeroizing::new(token.expose().as_bytes().to_vec())],
        token: Some(token.clone()),
    }
}

fn base64(message: &str) -> Vec<u8> {
    STANDARD.encode(message).into_bytes()
}

/// What a server must not be heard to say.
#[derive(Default)]
pub(super) struct Masks(Vec<Zeroizing<Vec<u8>>>);

impl Masks {
    pub fn add(&mut self, secret: &[u8]) {
        if secret.len() >= SHORTEST && !self.0.iter().any(|known| known.as_slice() == secret) {
            self.0.push(Zeroizing::new(secret.to_vec()));
        }
    }

    /// The same without secrets.
    pub fn mask(&self, said: &[u8]) -> Vec<u8> {
        let mut said = said.to_vec();
        for secret in &self.0 {
            let finder = memchr::memmem::Finder::new(secret.as_slice());
            while let Some(at) = finder.find(&said) {
                said.splice(at..at + secret.len(), MASK.iter().copied());
            }
        }
        said
    }
}
