//! What a server says that it can do (RFC 5804, 1.7).

use crate::syntax::Token;

/// Capabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Mechanisms, upper-case.
    pub sasl: Vec<String>,
    /// Extensions of Sieve, lower-case (RFC 5228, 6).
    pub sieve: Vec<String>,
    pub starttls: bool,
}

impl Capabilities {
    /// One more line of the answer.
    pub fn add(&mut self, line: &[Token]) {
        let Some(name) = line.first().and_then(Token::text) else {
            return;
        };
        let value = line.get(1).and_then(Token::text).unwrap_or_default();
        let words = value.split_ascii_whitespace().take(500);
        match name.to_ascii_uppercase().as_str() {
            "SASL" => self.sasl = words.map(str::to_ascii_uppercase).collect(),
            "SIEVE" => self.sieve = words.map(str::to_ascii_lowercase).collect(),
            "STARTTLS" => self.starttls = true,
            _ => {}
        }
    }

    /// Whether this mechanism is among them.
    pub fn has(&self, mechanism: &str) -> bool {
        self.sasl.iter().any(|known| known == mechanism)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says() {
        let mut all = Capabilities::default();
        for (name, value) in [
            ("IMPLEMENTATION", "x"),
            ("sasl", "PLAIN xoauth2"),
            ("SIEVE", "fileinto Vacation"),
            ("STARTTLS", ""),
        ] {
            all.add(&[
                Token::Text(name.as_bytes().to_vec()),
                Token::Text(value.as_bytes().to_vec()),
            ]);
        }
        all.add(&[Token::Open]);
        assert!(all.has("PLAIN") && all.has("XOAUTH2") && !all.has("OAUTHBEARER") && all.starttls);
        assert_eq!(all.sieve, ["fileinto", "vacation"]);
    }
}
