//! What a server says that it can do (RFC 2449).

/// Capabilities, or what is believed of a server that does not tell them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// It told them.
    pub known: bool,
    pub stls: bool,
    pub user: bool,
    pub top: bool,
    pub uidl: bool,
    pub pipelining: bool,
    /// Messages as they are, those with UTF-8 in their heads too (RFC 6856).
    pub utf8: bool,
    /// Mechanisms, upper-case (RFC 5034).
    pub sasl: Vec<String>,
    /// How long the same user waits between logins, in milliseconds.
    pub login_delay_ms: Option<u64>,
    /// What its greeting offers to APOP, where the connection is not encrypted.
    pub challenge: Option<String>,
}

impl Capabilities {
    /// Of a server that knows no CAPA: what is optional is tried.
    pub fn unknown() -> Self {
        Self {
            known: false,
            stls: false,
            user: true,
            top: true,
            uidl: true,
            pipelining: false,
            utf8: false,
            sasl: Vec::new(),
            login_delay_ms: None,
            challenge: None,
        }
    }

    /// From the lines of the answer.
    pub fn parse(text: &str) -> Self {
        let mut all = Self {
            known: true,
            user: false,
            top: false,
            uidl: false,
            ..Self::unknown()
        };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace().map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("STLS") => all.stls = true,
                Some("USER") => all.user = true,
                Some("TOP") => all.top = true,
                Some("UIDL") => all.uidl = true,
                Some("PIPELINING") => all.pipelining = true,
                Some("UTF8") => all.utf8 = true,
                Some("SASL") => all.sasl.extend(words.take(50)),
                Some("LOGIN-DELAY") => {
                    let seconds: Option<u64> = words.next().and_then(|word| word.parse().ok());
                    all.login_delay_ms = seconds.map(|seconds| seconds.saturating_mul(1000));
                }
                _ => {}
            }
        }
        all
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
    fn what_dovecot_says() {
        let all = Capabilities::parse(
            "CAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nSTLS\r\nUSER\r\nSASL PLAIN xoauth2\r\nLOGIN-DELAY 900\r\n",
        );
        assert!(all.known && all.stls && all.user && all.top && all.uidl && all.pipelining);
        assert!(all.has("PLAIN") && all.has("XOAUTH2") && !all.has("OAUTHBEARER"));
        assert_eq!(all.login_delay_ms, Some(900_000));
        let none = Capabilities::parse("");
        assert!(!none.user && !none.top && !none.uidl && none.sasl.is_empty());
        assert_eq!(Capabilities::parse("LOGIN-DELAY\nLOGIN-DELAY x\n").login_delay_ms, None);
    }
}
