//! What a server answers, and what its refusals mean (RFC 5804, 1.3).

use whimbrel_plugin::Failure;

use crate::syntax::Token;

/// Characters of a server's words that are shown.
const SHOWN: usize = 300;

/// How an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Ok,
    No,
    /// The connection ends.
    Bye,
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: Status,
    /// The response code, upper-case: `QUOTA/MAXSIZE`.
    code: Option<String>,
    /// What comes with the code: where a REFERRAL leads.
    value: Option<String>,
    /// For people, fit for a terminal.
    pub text: String,
}

/// What was attempted: the same words mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Connecting, before the login.
    Greeting,
    Login,
    /// What concerns all scripts, by the name of the command.
    Command(&'static str),
    /// What concerns one script, by the name of the command.
    Script(&'static str),
}

impl Reply {
    /// Of a line; none where it is one of those before the end.
    pub fn parse(line: &[Token]) -> Option<Self> {
        let (Token::Atom(word), rest) = line.split_first()? else {
            return None;
        };
        let status = match word.to_ascii_uppercase().as_str() {
            "OK" => Status::Ok,
            "NO" => Status::No,
            "BYE" => Status::Bye,
            _ => return None,
        };
        let (mut code, mut value, mut text) = (None, None, String::new());
        let mut inside = false;
        for token in rest {
            match token {
                Token::Open => inside = true,
                Token::Close => inside = false,
                Token::Atom(word) if inside && code.is_none() => code = Some(word.to_ascii_uppercase()),
                other if inside && value.is_none() => value = other.text(),
                other if !inside => text = other.text().unwrap_or(text),
                _ => {}
            }
        }
        let one_line: Vec<&str> = text
            .split(|c: char| c.is_control())
            .filter(|part| !part.is_empty())
            .collect();
        Some(Self {
            status,
            code,
            value,
            text: one_line.join(" ").chars().take(SHOWN).collect(),
        })
    }

    /// Whether it is OK.
    pub fn ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// Whether its code is this one, or one below it: `QUOTA/MAXSIZE` is a `QUOTA`.
    pub fn is(&self, code: &str) -> bool {
        let known = self.code.as_deref().and_then(|known| known.strip_prefix(code));
        known.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether it says that the script itself, or its name, is not taken, without naming a reason that has a code.
    pub fn refuses_content(&self) -> bool {
        self.status == Status::No && self.code.is_none()
    }

    /// What a refusal means.
    pub fn failure(&self, attempt: Attempt) -> Failure {
        let what = match attempt {
            Attempt::Greeting => "the greeting",
            Attempt::Login => "login",
            Attempt::Command(name) | Attempt::Script(name) => name,
        };
        let text = match self.text.as_str() {
            "" => format!("{what}: the server refused it without a word"),
            words => format!("{what}: the server said: {words}"),
        };
        if self.is("REFERRAL") {
            let at: String = self
                .value
                .iter()
                .flat_map(|at| at.chars())
                .filter(|c| c.is_ascii_graphic())
                .take(200)
                .collect();
            return Failure::invalid_settings(format!(
                "{text}: this account is on another server ({at}): set `host` and `port` to that one"
            ));
        }
        if self.is("TRYLATER") {
            return Failure::throttled(None, text);
        }
        if self.is("ENCRYPT-NEEDED") {
            return Failure::invalid_settings(format!(
                "{text}: it logs nobody in without encryption: use tls = \"starttls\" or \"implicit\""
            ));
        }
        if self.is("AUTH-TOO-WEAK") || self.is("TRANSITION-NEEDED") {
            return Failure::unauthenticated(format!(
                "{text}: the server wants another way of login for this account: try a `token`, or ask who runs it"
            ));
        }
        if self.is("QUOTA/MAXSIZE") {
            return Failure::too_large(None);
        }
        if self.is("QUOTA") {
            return Failure::over_quota(format!("{text}: remove scripts there, or have the limit raised"));
        }
        if self.is("NONEXISTENT") {
            return Failure::not_found(text);
        }
        match (self.status, attempt) {
            (_, Attempt::Login) => Failure::unauthenticated(format!(
                "{text}: check `user` and the password or token, and whether ManageSieve is switched on for this mailbox"
            )),
            (Status::Bye, _) | (_, Attempt::Greeting) => Failure::unavailable(text),
            (_, Attempt::Command(_)) => Failure::forbidden(format!("{text}; ask who runs the server")),
            (_, Attempt::Script(_)) => Failure::rejected(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fake::Script;
    use crate::syntax::read_line;

    fn reply(said: &str) -> Reply {
        Reply::parse(&read_line(&mut Script::new(said)).unwrap()).unwrap()
    }

    #[test]
    fn answers_are_read() {
        let quota = reply("NO (quota/maxsize) \"too large\"\r\n");
        assert!(!quota.ok() && quota.is("QUOTA") && quota.is("QUOTA/MAXSIZE") && !quota.is("QUO"));
        assert_eq!(quota.text, "too large");
        let long = reply("NO {30}\r\nline 1: \u{1b}[31mbad\r\nline 2: x\r\n\r\n");
        assert_eq!(long.text, "line 1:  [31mbad line 2: x");
        assert!(long.refuses_content());
        assert!(reply("OK (WARNINGS) {5}\r\nhello\r\n").ok());
        assert!(reply("ok\r\n").ok());
        let tag = reply("OK (TAG {3}\r\nabc) \"done\"\r\n");
        assert_eq!((tag.value.as_deref(), tag.text.as_str()), (Some("abc"), "done"));
        for line in ["\"a\"", "HELLO", ""] {
            let mut wire = Script::new(&format!("{line}\r\n"));
            assert_eq!(Reply::parse(&read_line(&mut wire).unwrap()), None, "{line}");
        }
    }

    #[test]
    fn refusals_mean_what_the_codes_say() {
        let failure = |said: &str, attempt| reply(&format!("{said}\r\n")).failure(attempt);
        let put = Attempt::Script("PUTSCRIPT");
        assert!(matches!(
            failure("NO (QUOTA/MAXSIZE) \"x\"", put),
            Failure::TooLarge(None)
        ));
        for code in ["QUOTA", "QUOTA/MAXSCRIPTS"] {
            assert!(matches!(
                failure(&format!("NO ({code}) \"x\""), put),
                Failure::OverQuota(_)
            ));
        }
        assert!(matches!(failure("NO (NONEXISTENT)", put), Failure::NotFound(_)));
        for code in ["ACTIVE", "ALREADYEXISTS"] {
            assert!(matches!(failure(&format!("NO ({code})"), put), Failure::Rejected(_)));
        }
        for attempt in [put, Attempt::Login, Attempt::Greeting] {
            assert!(matches!(
                failure("NO (TRYLATER) \"x\"", attempt),
                Failure::Throttled((None, _))
            ));
        }
        assert!(matches!(failure("NO \"line 1: bad\"", put), Failure::Rejected(text) if text.contains("line 1: bad")));
        assert!(matches!(failure("BYE \"idle\"", put), Failure::Unavailable(_)));
        assert!(matches!(
            failure("NO \"x\"", Attempt::Login),
            Failure::Unauthenticated(_)
        ));
        assert!(matches!(
            failure("NO (AUTH-TOO-WEAK) \"x\"", Attempt::Login),
            Failure::Unauthenticated(_)
        ));
        assert!(matches!(
            failure("NO (ENCRYPT-NEEDED)", Attempt::Login),
            Failure::InvalidSettings(_)
        ));
        assert!(matches!(
            failure("NO \"x\"", Attempt::Command("LISTSCRIPTS")),
            Failure::Forbidden(_)
        ));
        let referred = failure("BYE (REFERRAL \"sieve://b.example\") \"moved\"", Attempt::Greeting);
        assert!(matches!(referred, Failure::InvalidSettings(text) if text.contains("sieve://b.example")));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_fail(said in "(OK|NO|BYE)[ ()\"A-Z/\u{7}-\u{9}]{0,30}") {
            let mut wire = Script::new(&format!("{said}\r\n"));
            if let Some(reply) = read_line(&mut wire).ok().and_then(|line| Reply::parse(&line)) {
                prop_assert!(!reply.text.contains(|c: char| c.is_control()));
                let _ = reply.failure(Attempt::Login);
            }
        }
    }
}
