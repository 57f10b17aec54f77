//! What a mailbox logs in with. Held by the host alone: nothing here ever crosses into a plugin or a log.

use std::fmt;

use whimbrel_model::Secret;

use crate::oauth::TokenSource;

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
    /// A user name and a login that gets access tokens as they are needed.
    Login {
        /// As the server wants it, often the address.
        user: String,
        /// Shared by all connections of the login.
        tokens: TokenSource,
    },
}

impl Credentials {
    /// The user name, if there is one.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Password { user, .. } | Self::OAuth { user, .. } | Self::Login { user, .. } => Some(user),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Credentials::None",
            Self::Password { .. } => "Credentials::Password { [redacted] }",
            Self::OAuth { .. } => "Credentials::OAuth { [redacted] }",
            Self::Login { .. } => "Credentials::Login { [redacted] }",
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
                token: secret,
            },
        ];
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("alice"), "{shown}");
    }
}
