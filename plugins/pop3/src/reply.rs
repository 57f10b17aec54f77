//! What a server says, and what its refusals mean (RFC 1939; response codes of RFC 2449, 8 and RFC 3206).

use whimbrel_plugin::Failure;

/// Characters of a server's words that are shown.
const SHOWN: usize = 200;
/// How long a mailbox that another session holds is left alone.
const IN_USE_MS: u64 = 30_000;

/// A status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `+OK`, not `-ERR`.
    pub ok: bool,
    /// The response code, upper-case, without brackets: `IN-USE`, `SYS/TEMP`.
    code: Option<String>,
    /// For people, fit for a terminal.
    pub text: String,
}

/// What was attempted: the same words mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Connecting, before the login.
    Greeting,
    /// Login, where the server lets the same user in again after so many milliseconds, if it says so.
    Login(Option<u64>),
    /// A command, by its name.
    Command(&'static str),
}

impl Reply {
    /// Of a line; none where it is no status line.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let ok = match word {
            word if word.eq_ignore_ascii_case("+OK") => true,
            word if word.eq_ignore_ascii_case("-ERR") => false,
            _ => return None,
        };
        let rest = rest.trim_start();
        let code = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .map(|(code, _)| code)
            .filter(|code| !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_graphic()))
            .map(str::to_ascii_uppercase);
        let shown = rest.chars().map(|c| if c.is_control() { ' ' } else { c });
        Some(Self {
            ok,
            code,
            text: shown.take(SHOWN).collect(),
        })
    }

    /// What a refusal means.
    pub fn failure(&self, attempt: Attempt) -> Failure {
        let what = match attempt {
            Attempt::Greeting => "the greeting",
            Attempt::Login(_) => "login",
            Attempt::Command(name) => name,
        };
        let text = format!("{what}: the server said: {}", self.text);
        let code = self.code.as_deref().unwrap_or_default();
        match (code, attempt) {
            ("IN-USE", _) => return in_use(&text),
            ("LOGIN-DELAY", Attempt::Login(delay)) => return Failure::throttled(delay, text),
            ("LOGIN-DELAY", _) => return Failure::throttled(None, text),
            ("SYS/TEMP", _) => return Failure::unavailable(text),
            ("SYS/PERM", _) => return Failure::forbidden(format!("{text}; ask who runs the server")),
            ("AUTH", _) => return Failure::unauthenticated(text),
            _ => {}
        }
        // Servers without codes: their words are all there is.
        let said = self.text.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        match attempt {
            Attempt::Login(_) | Attempt::Greeting if says(&["in use", "lock", "busy", "another session"]) => {
                in_use(&text)
            }
            Attempt::Login(_) | Attempt::Greeting
                if says(&["too many", "too often", "try again", "temporar", "later"]) =>
            {
                Failure::throttled(None, text)
            }
            Attempt::Login(_) => Failure::unauthenticated(format!(
                "{text}: check `user` and the password or token, and whether POP3 is switched on for this mailbox"
            )),
            Attempt::Greeting => Failure::unavailable(text),
            Attempt::Command(_) => Failure::rejected(text),
        }
    }
}

fn in_use(text: &str) -> Failure {
    Failure::throttled(
        Some(IN_USE_MS),
        format!("{text}: another program reads this mailbox; stop it, or wait until it is through"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failure(line: &str, attempt: Attempt) -> Failure {
        Reply::parse(line.as_bytes()).unwrap().failure(attempt)
    }

    #[test]
    fn status_lines_are_read() {
        let reply = Reply::parse(b"+OK POP3 ready <1.2@x>\r\n").unwrap();
        assert!(reply.ok && reply.code.is_none());
        assert_eq!(reply.text, "POP3 ready <1.2@x>");
        assert!(Reply::parse(b"+ok\n").unwrap().ok);
        let reply = Reply::parse(b"-ERR [in-use] do \x1b[31mit\r\n").unwrap();
        assert_eq!((reply.ok, reply.code.as_deref()), (false, Some("IN-USE")));
        assert_eq!(reply.text, "[in-use] do  [31mit");
        for line in ["", "+", "+ abc", "OK", "* OK IMAP4rev1", "-ERROR", "220 smtp"] {
            assert_eq!(Reply::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn refusals_mean_what_the_codes_say() {
        let login = Attempt::Login(Some(900_000));
        for line in [
            "-ERR [IN-USE] x",
            "-ERR maildrop is locked",
            "-ERR mailbox in use by another session",
        ] {
            assert!(
                matches!(failure(line, login), Failure::Throttled((Some(IN_USE_MS), _))),
                "{line}"
            );
        }
        assert!(matches!(
            failure("-ERR [LOGIN-DELAY] minimum", login),
            Failure::Throttled((Some(900_000), _))
        ));
        assert!(matches!(failure("-ERR [SYS/TEMP] x", login), Failure::Unavailable(_)));
        assert!(matches!(failure("-ERR [SYS/PERM] x", login), Failure::Forbidden(_)));
        assert!(matches!(
            failure("-ERR [AUTH] x locked", login),
            Failure::Unauthenticated(_)
        ));
        assert!(matches!(
            failure("-ERR no such user", login),
            Failure::Unauthenticated(_)
        ));
        assert!(matches!(
            failure("-ERR too many logins", login),
            Failure::Throttled((None, _))
        ));
        assert!(matches!(
            failure("-ERR go away", Attempt::Greeting),
            Failure::Unavailable(_)
        ));
        let retr = Attempt::Command("RETR");
        assert!(matches!(
            failure("-ERR no such message, try again", retr),
            Failure::Rejected(_)
        ));
        assert!(matches!(failure("-ERR [SYS/TEMP] disk", retr), Failure::Unavailable(_)));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_fail(line in proptest::collection::vec(any::<u8>(), 0..60), tail in "[\\[\\]A-Z /]{0,20}") {
            for line in [line, format!("-ERR {tail}").into_bytes()] {
                if let Some(reply) = Reply::parse(&line) {
                    let _ = reply.failure(Attempt::Login(None));
                    prop_assert!(!reply.text.contains(|c: char| c.is_control()));
                }
            }
        }
    }
}
