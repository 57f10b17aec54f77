//! What a mailbox logs in with. Held by the host alone: nothing here ever crosses into a plugin or a log.

use std::fmt;

use zeroize::Zeroizing;

/// A password or token: wiped from memory when dropped, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the secret over.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself, for the moment it is sent.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How a mailbox proves who it is. `Debug` shows neither the secret nor the user.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing to prove: files, or a server that greets with PREAUTH.
    #[default]
    None,
    /// A user name and a password.
    Password {
        /// As the server wants it, often the address.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A user name and an access token (RFC 7628).
    OAuth {
        /// As the server wants it, often the address.
        user: String,
        /// The access token, not the refresh token.
        token: Secret,
    },
}

impl Credentials {
    /// The user name, if there is one.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Password { user, .. } | Self::OAuth { user, .. } => Some(user),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Credentials::None",
            Self::Password { .. } => "Credentials::Password { [redacted] }",
            Self::OAuth { .. } => "Credentials::OAuth { [redacted] }",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let secret = Secret::from("hunter2");
        let credentials = [
            Credentials::Password {
                user: "alice@example.org".into(),
                password: secret.clone(),
            },
            Credentials::OAuth {
                user: "alice@example.org".into(),
                token: secret.clone(),
            },
        ];
        let shown = format!("{secret} {secret:?} {credentials:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("alice"), "{shown}");
        assert_eq!(secret.expose(), "hunter2");
    }
}
