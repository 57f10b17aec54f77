//! What nobody else may see.

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

/// What an OAuth 2.0 login gave (RFC 6749 section 5.1). Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// What servers are shown. None before the refresh token was used for the first time.
    pub access: Option<Secret>,
    /// What gets the next access token.
    pub refresh: Option<Secret>,
    /// When the access token was given.
    pub issued: Option<i64>,
    /// When it ends. None where the server did not say.
    pub expires: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let secret = Secret::from("hunter2");
        let tokens = Tokens {
            access: Some(secret.clone()),
            refresh: Some(secret.clone()),
            ..Tokens::default()
        };
        let shown = format!("{secret} {secret:?} {tokens:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(secret.expose(), "hunter2");
    }
}
