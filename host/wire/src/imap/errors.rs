//! What a server's refusal means for the caller (RFC 5530, RFC 9051 section 7.1, and what servers say without a code).

use whimbrel_model::Failure;

use super::hints::retry_after;
use super::parse::{Cursor, Status};

/// The tagged end of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Completion {
    pub status: Status,
    /// The response code, upper-case, without brackets and arguments.
    pub code: Option<String>,
    /// The arguments of the code as the server wrote them.
    pub arguments: String,
    /// For people.
    pub text: String,
}

/// What was attempted: the same words of a server mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt<'a> {
    /// Greeting and login.
    Login,
    /// Something with the mailbox of this name.
    Mailbox(&'a str),
    /// Storing a message in the mailbox of this name.
    Append(&'a str),
    /// A command, by its name.
    Command(&'static str),
}

impl Attempt<'_> {
    fn describe(self) -> String {
        match self {
            Self::Login => "login".to_owned(),
            Self::Mailbox(name) => format!("mailbox `{name}`"),
            Self::Append(name) => format!("storing in `{name}`"),
            Self::Command(name) => name.to_owned(),
        }
    }
}

impl Completion {
    /// Itself where the command succeeded.
    ///
    /// # Errors
    /// What a NO or BAD means for the caller.
    pub fn success(self, attempt: Attempt<'_>) -> Result<Self, Failure> {
        if self.status == Status::Ok {
            Ok(self)
        } else {
            Err(self.failure(attempt))
        }
    }

    /// Whether the code is this one.
    pub fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// What a refusal means.
    pub fn failure(&self, attempt: Attempt<'_>) -> Failure {
        let code = self
            .code
            .as_deref()
            .map(|code| format!("[{code}] "))
            .unwrap_or_default();
        let text = format!("{}: the server said: {code}{}", attempt.describe(), self.text);
        if let Some(failure) = self
            .code
            .as_deref()
            .and_then(|code| by_code(code, attempt, &text, &self.text))
        {
            return failure;
        }
        if let Some(failure) = by_text(&self.text, attempt, &text) {
            return failure;
        }
        match (self.status, attempt) {
            (Status::Bye, _) => Failure::Unavailable(text),
            (_, Attempt::Login) => Failure::Unauthenticated(text),
            _ => Failure::Rejected(text),
        }
    }
}

fn by_code(code: &str, attempt: Attempt<'_>, text: &str, said: &str) -> Option<Failure> {
    let text = text.to_owned();
    Some(match code {
        "AUTHENTICATIONFAILED" | "EXPIRED" | "PRIVACYREQUIRED" => Failure::Unauthenticated(text),
        "AUTHORIZATIONFAILED" | "NOPERM" | "CONTACTADMIN" => Failure::Forbidden(text),
        "UNAVAILABLE" => throttled(said, &text).unwrap_or(Failure::Unavailable(text)),
        "INUSE" => throttled(said, &text).unwrap_or(Failure::Unavailable(text)),
        "SERVERBUG" if attempt == Attempt::Login => Failure::Unavailable(text),
        // Some servers say this of what was moved today, too, which passes without anybody making room.
        "OVERQUOTA" => throttled(said, &text).unwrap_or(Failure::OverQuota(text)),
        "THROTTLED" => Failure::Throttled {
            retry_after_ms: retry_after(said),
            reason: text,
        },
        // Of any kind (RFC 9051 section 7.1): of a login, how often; else the words tell, e.g. of a message's size.
        "LIMIT" if attempt == Attempt::Login => Failure::Throttled {
            retry_after_ms: retry_after(said),
            reason: text,
        },
        "LIMIT" => by_text(said, attempt, &text).unwrap_or(Failure::Rejected(text)),
        "NONEXISTENT" | "TRYCREATE" => Failure::NotFound(text),
        "TOOBIG" | "APPENDLIMIT" => Failure::TooLarge(None),
        "BADCHARSET" => Failure::Unsupported(text),
        "ALREADYEXISTS" | "CANNOT" | "HASCHILDREN" | "UNKNOWN-CTE" | "CLIENTBUG" | "PARSE" | "CORRUPTION" => {
            Failure::Rejected(text)
        }
        _ => return None,
    })
}

fn throttled(said: &str, text: &str) -> Option<Failure> {
    let lower = said.to_ascii_lowercase();
    let wait = retry_after(said);
    let slow = [
        "throttl",
        "too many requests",
        "too many simultaneous",
        "too many connections",
        "rate limit",
        "bandwidth limit",
        "maximum number of connections",
        "slow down",
        "exceeded command or bandwidth",
    ];
    (wait.is_some() || slow.iter().any(|sign| lower.contains(sign))).then(|| Failure::Throttled {
        retry_after_ms: wait,
        reason: text.to_owned(),
    })
}

/// For servers that give no code. Ordered: the first sign counts.
fn by_text(said: &str, attempt: Attempt<'_>, text: &str) -> Option<Failure> {
    if let Some(failure) = throttled(said, text) {
        return Some(failure);
    }
    let lower = said.to_ascii_lowercase();
    // Some servers let in whom they have no mailbox for: of a login, that is no trouble that passes.
    if attempt == Attempt::Login && lower.contains("authenticated but not connected") {
        return None;
    }
    let says = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    let text = text.to_owned();
    if says(&[
        "overquota",
        "over quota",
        "quota exceeded",
        "quota has been exceeded",
        "exceeds quota",
        "exceeded quota",
        "mailbox is full",
        "mailbox full",
        "exceeded the storage",
        "not enough disk quota",
    ]) {
        return Some(Failure::OverQuota(text));
    }
    if says(&[
        "try again later",
        "temporary",
        "temporarily",
        "server unavailable",
        "service unavailable",
        "internal error",
        "timed out",
        "timeout",
        "shutting down",
        "server busy",
        "not connected",
    ]) {
        return Some(Failure::Unavailable(text));
    }
    match attempt {
        Attempt::Append(_)
            if says(&[
                "too large",
                "too big",
                "size limit",
                "maximum size",
                "message size exceeds",
                "exceeds maximum",
                "exceeds the maximum",
            ]) =>
        {
            Some(Failure::TooLarge(None))
        }
        Attempt::Mailbox(_) | Attempt::Append(_)
            if says(&[
                "doesn't exist",
                "does not exist",
                "nonexistent",
                "non-existent",
                "no such mailbox",
                "no such folder",
                "unknown mailbox",
                "mailbox not found",
                "folder not found",
            ]) =>
        {
            Some(Failure::NotFound(text))
        }
        Attempt::Mailbox(_) | Attempt::Append(_) | Attempt::Command(_)
            if says(&[
                "permission denied",
                "access denied",
                "read-only",
                "read only",
                "not permitted",
            ]) =>
        {
            Some(Failure::Forbidden(text))
        }
        _ => None,
    }
}

/// A server's words for people: one line, no control characters, at most 300 characters.
pub(super) fn tidy(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..2048).unwrap_or(text));
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    out.truncate(out.trim_end().len());
    out.trim_start().to_owned()
}

/// What comes from a server that does not speak IMAP, or no longer does.
pub(super) fn garbled(what: &str) -> Failure {
    Failure::Unavailable(format!(
        "the server's answer cannot be understood ({what}): the connection was given up"
    ))
}

/// An answer of this kind that cannot be read, with its beginning. For answers without message content only.
pub(super) fn unreadable(what: &str, answer: &Cursor<'_>) -> Failure {
    garbled(&format!("{what}: `{}`", tidy(answer.whole())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no(code: Option<&str>, text: &str) -> Completion {
        Completion {
            status: Status::No,
            code: code.map(str::to_owned),
            arguments: String::new(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn codes_decide() {
        let at = Attempt::Append("INBOX");
        for (code, expected) in [
            ("AUTHENTICATIONFAILED", "unauthenticated"),
            ("UNAVAILABLE", "unavailable"),
            ("INUSE", "unavailable"),
            ("OVERQUOTA", "over-quota"),
            ("LIMIT", "rejected"),
            ("NOPERM", "forbidden"),
            ("NONEXISTENT", "not-found"),
            ("TRYCREATE", "not-found"),
            ("TOOBIG", "too-large"),
            ("APPENDLIMIT", "too-large"),
            ("CANNOT", "rejected"),
            ("SOMETHINGNEW", "rejected"),
        ] {
            assert_eq!(no(Some(code), "no").failure(at).code(), expected, "{code}");
        }
        let size = "Mail size is larger than the maximum size allowed by server configuration";
        assert_eq!(no(Some("LIMIT"), size).failure(at).code(), "too-large");
        assert_eq!(no(Some("LIMIT"), "no").failure(Attempt::Login).code(), "throttled");
        assert_eq!(
            no(None, "Invalid user or password").failure(Attempt::Login).code(),
            "unauthenticated"
        );
        assert_eq!(
            no(Some("UNAVAILABLE"), "wait").failure(Attempt::Login).code(),
            "unavailable"
        );
    }

    #[test]
    fn the_suggested_wait_is_taken_over() {
        let text = "Request is throttled. Suggested Backoff Time: 299961 milliseconds";
        for code in [None, Some("UNAVAILABLE"), Some("LIMIT"), Some("THROTTLED")] {
            let Failure::Throttled { retry_after_ms, .. } = no(code, text).failure(Attempt::Command("FETCH")) else {
                panic!("{code:?}");
            };
            assert_eq!(retry_after_ms, Some(299_961));
        }
        let moved = "Account exceeded command or bandwidth limits.";
        for (code, text) in [("OVERQUOTA", moved), ("INUSE", "busy, retry after 5 s")] {
            assert_eq!(no(Some(code), text).failure(Attempt::Append("a")).code(), "throttled");
        }
        let bye = Completion {
            status: Status::Bye,
            ..no(None, "Connection closed, retry after 40 seconds")
        };
        let Failure::Throttled { retry_after_ms, .. } = bye.failure(Attempt::Login) else {
            panic!("{bye:?}");
        };
        assert_eq!(retry_after_ms, Some(40_000));
        assert_eq!(
            no(None, "Too many simultaneous connections")
                .failure(Attempt::Login)
                .code(),
            "throttled"
        );
    }

    #[test]
    fn words_decide_where_there_is_no_code() {
        for (text, expected) in [
            ("Mailbox doesn't exist: foo", "not-found"),
            ("Message size exceeds maximum size", "too-large"),
            ("Quota exceeded (mailbox for user is full)", "over-quota"),
            ("Permission denied", "forbidden"),
            ("Server Unavailable. 15", "unavailable"),
            ("Message contains NUL characters", "rejected"),
        ] {
            assert_eq!(
                no(None, text).failure(Attempt::Append("foo")).code(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_servers_words_become_one_short_line() {
        let long = [b"a\r\nb\x07 ".as_slice(), &[b'x'; 5000]].concat();
        let tidied = tidy(&long);
        assert!(tidied.starts_with("a  b") && tidied.chars().count() <= 300 && !tidied.contains(char::is_control));
    }
}
