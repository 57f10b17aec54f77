//! Why a login was refused, and what to do: the one cause among the usual ones, from response codes, from what the server
//! says of a token, and from the words of known servers. Words are data here, and in no other place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use whimbrel_model::Failure;

use super::errors::{Attempt, Completion};

/// What a cause means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Unauthenticated,
    Forbidden,
}

/// A usual cause of a refused login.
#[derive(Debug)]
pub struct LoginCause {
    /// A short name.
    pub name: &'static str,
    /// Response codes that name it (RFC 5530).
    pub codes: &'static [&'static str],
    /// Words that name it, in lower case; most of them of known servers.
    words: &'static [&'static str],
    means: Meaning,
    /// As a sentence part, for people.
    pub cause: &'static str,
    /// What an admin can do.
    pub remedy: &'static str,
}

/// Ordered: the first that fits counts. Codes are looked at before words.
pub static LOGIN_CAUSES: [LoginCause; 11] = [
    LoginCause {
        name: "password-expired",
        codes: &["EXPIRED"],
        words: &[
            "password has expired",
            "password is expired",
            "password expired",
            "credentials expired",
            "credentials have expired",
            "change your password",
        ],
        means: Meaning::Unauthenticated,
        cause: "the password has expired",
        remedy: "let the user, or an admin, set a new one, and put it into the settings",
    },
    LoginCause {
        name: "encryption-required",
        codes: &["PRIVACYREQUIRED"],
        words: &[
            "plaintext authentication disallowed",
            "cleartext authentication disallowed",
            "encryption required",
            "encryption is required",
            "must issue a starttls",
        ],
        means: Meaning::Unauthenticated,
        cause: "the server takes logins over encrypted connections only",
        remedy: "use tls = \"implicit\" or \"starttls\" in the settings",
    },
    LoginCause {
        name: "basic-off",
        codes: &[],
        words: &[
            "basicauthblocked",
            "basic authentication is disabled",
            "basic auth is disabled",
            "basic authentication is blocked",
            "legacy authentication",
            "security defaults",
            "password authentication is disabled",
        ],
        means: Meaning::Unauthenticated,
        cause: "logins with a password are switched off for this account or its organisation",
        remedy: "use `token` (OAuth 2.0) in place of `password`, or let an admin allow passwords for IMAP while the migration \
                 lasts",
    },
    LoginCause {
        name: "app-password",
        codes: &["WEBALERT"],
        words: &[
            "application-specific password",
            "application specific password",
            "app-specific password",
            "app specific password",
            "app password",
            "authentication code required",
            "log in via your web browser",
            "web login required",
            "two-factor",
            "2-step",
        ],
        means: Meaning::Unauthenticated,
        cause: "the account has a second factor, and the server wants an app password",
        remedy: "make an app password in the account's security settings and use that, or use `token`",
    },
    LoginCause {
        name: "imap-off",
        codes: &[],
        words: &[
            "imap is disabled",
            "imap4 is disabled",
            "imap access is disabled",
            "imap access disabled",
            "imap disabled",
            "imap is not enabled",
            "not enabled for imap",
            "imap access is not enabled",
            "imap access not allowed",
            "imap access denied",
            "protocol is disabled",
            "protocol disabled",
            "imapenabled",
        ],
        means: Meaning::Forbidden,
        cause: "IMAP is switched off for this mailbox",
        remedy: "switch IMAP on for it, in the mailbox's settings or in the admin console",
    },
    LoginCause {
        name: "account-locked",
        codes: &[],
        words: &[
            "account is locked",
            "account locked",
            "account has been locked",
            "temporarily locked",
            "locked out",
            "account is disabled",
            "account disabled",
            "account has been disabled",
            "account is suspended",
            "account suspended",
            "account is inactive",
            "too many failed",
            "too many login failures",
            "too many invalid",
        ],
        means: Meaning::Unauthenticated,
        cause: "the account is locked, suspended, or shut off after too many failed logins",
        remedy: "unlock it, look whether an old password is still in use somewhere, and run again",
    },
    LoginCause {
        name: "contact-admin",
        codes: &["CONTACTADMIN"],
        words: &[
            "contact your administrator",
            "contact the administrator",
            "contact your system administrator",
        ],
        means: Meaning::Forbidden,
        cause: "the server keeps this account out, and says to ask who runs it",
        remedy: "ask the admin of that server; the words above are all that it tells",
    },
    LoginCause {
        name: "no-right",
        codes: &["AUTHORIZATIONFAILED", "NOPERM"],
        words: &[
            "authenticated but not connected",
            "not authorized to act",
            "authorization failed",
            "not authorized to log in as",
            "no permission to log in as",
        ],
        means: Meaning::Forbidden,
        cause: "the credentials are good, but not for this mailbox: the right to act for it is missing, or it is not there",
        remedy: "give the account full access to the mailbox (as a delegate or proxy), and check that the mailbox exists and \
                 has a licence",
    },
    LoginCause {
        name: "user-form",
        codes: &[],
        words: &[
            "invalid user name",
            "invalid username",
            "user name is invalid",
            "username is not valid",
            "full email address",
            "full e-mail address",
            "unknown user",
            "user unknown",
            "user not found",
            "no such user",
            "no such account",
            "user doesn't exist",
            "user does not exist",
        ],
        means: Meaning::Unauthenticated,
        cause: "the server does not know a user of that name",
        remedy: "write `user` as the server wants it: most often the whole address, else the part before the @, or DOMAIN\\user",
    },
    LoginCause {
        name: "token",
        codes: &[],
        words: &[
            "invalid_token",
            "invalid token",
            "token expired",
            "token has expired",
            "expired token",
        ],
        means: Meaning::Unauthenticated,
        cause: "the token is not good, or no longer",
        remedy: "get a new one with the scope for IMAP, for this very user; a token lasts about an hour, and one in a file is \
                 read again for each connection",
    },
    LoginCause {
        name: "wrong",
        codes: &["AUTHENTICATIONFAILED"],
        words: &[],
        means: Meaning::Unauthenticated,
        cause: "the user name or the password is wrong, or the server does not say what is",
        remedy: "check both, e.g. in a mail program; some servers want an app password, or IMAP switched on for the mailbox, \
                 and say no more than this",
    },
];

/// What is known of a login beside the server's refusal.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Login<'a> {
    /// With a token.
    pub token: bool,
    /// The user is written as an address.
    pub address: bool,
    /// What the server told of the token before it refused it (RFC 7628 section 3.2.2).
    pub challenge: Option<&'a [u8]>,
}

/// What a refused login means, with its likely cause and the remedy.
pub(super) fn explain(said: &Completion, login: Login<'_>) -> Failure {
    let failure = said.failure(Attempt::Login);
    let (Failure::Unauthenticated(text) | Failure::Forbidden(text)) = &failure else {
        return failure;
    };
    let told = login.challenge.and_then(read_challenge);
    let cause = match (&told, named(said)) {
        // The words are about the token, whatever they are.
        (Some(_), None) => by_name("token"),
        (_, Some(cause)) => Some(cause),
        (None, None) if login.token => by_name("token"),
        (None, None) => by_name("wrong"),
    };
    let Some(cause) = cause else { return failure };
    let mut text = format!("{text}. Likely cause: {}", cause.cause);
    if let Some(told) = told {
        text.push_str(&told.describe());
    }
    text.push_str(&format!(". What to do: {}", cause.remedy));
    if cause.name == "wrong" && !login.address && !login.token {
        text.push_str("; the user is not written as an address, which many servers want");
    }
    match cause.means {
        Meaning::Unauthenticated => Failure::Unauthenticated(text),
        Meaning::Forbidden => Failure::Forbidden(text),
    }
}

fn by_name(name: &str) -> Option<&'static LoginCause> {
    LOGIN_CAUSES.iter().find(|cause| cause.name == name)
}

/// The cause that the refusal names. The code for "wrong" is what servers give where they say more in words.
fn named(said: &Completion) -> Option<&'static LoginCause> {
    let code = said.code.as_deref().unwrap_or_default();
    let lower = said.text.to_ascii_lowercase();
    let by_code = |cause: &&LoginCause| cause.name != "wrong" && cause.codes.contains(&code);
    let by_words = |cause: &&LoginCause| cause.words.iter().any(|word| lower.contains(word));
    let mut causes = LOGIN_CAUSES.iter();
    causes.clone().find(by_code).or_else(|| causes.find(by_words))
}

/// What a server told of a token that it refuses.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: String,
    scope: Option<String>,
}

impl Told {
    fn describe(&self) -> String {
        let meaning = match self.status.as_str() {
            "400" | "invalid_request" => ": the server cannot use it, e.g. since it is for another user",
            "401" | "invalid_token" => ": it has expired, was revoked, or is for something else",
            "403" | "insufficient_scope" => ": its scope does not reach this mailbox",
            _ => "",
        };
        let scope = match &self.scope {
            Some(scope) => format!(", scope wanted: {scope}"),
            None => String::new(),
        };
        format!("{meaning} (status {}{scope})", self.status)
    }
}

/// Reads the JSON that comes as a challenge, as it is or in base64.
fn read_challenge(challenge: &[u8]) -> Option<Told> {
    let plain = serde_json::from_slice::<Value>(challenge).ok();
    let decoded = || serde_json::from_slice::<Value>(&STANDARD.decode(challenge.trim_ascii()).ok()?).ok();
    let json = plain.or_else(decoded)?;
    let text = |key: &str| -> Option<String> {
        let text = match json.get(key)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let text = super::errors::tidy(text.as_bytes());
        (!text.is_empty()).then_some(text)
    };
    Some(Told {
        status: text("status")?,
        scope: text("scope"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::parse::Status;

    fn refused(code: Option<&str>, text: &str, login: Login<'_>) -> Failure {
        let said = Completion {
            status: Status::No,
            code: code.map(str::to_owned),
            arguments: String::new(),
            text: text.to_owned(),
        };
        explain(&said, login)
    }

    fn cause(code: Option<&str>, text: &str) -> &'static str {
        let shown = refused(code, text, Login::default()).to_string();
        let found = LOGIN_CAUSES
            .iter()
            .find(|cause| shown.contains(cause.cause) && shown.contains(cause.remedy));
        found.map_or("none", |cause| cause.name)
    }

    #[test]
    fn the_usual_causes_are_told_apart() {
        for (code, text, expected) in [
            (Some("EXPIRED"), "no", "password-expired"),
            (Some("PRIVACYREQUIRED"), "no", "encryption-required"),
            (Some("CONTACTADMIN"), "no", "contact-admin"),
            (Some("AUTHORIZATIONFAILED"), "no", "no-right"),
            (Some("AUTHENTICATIONFAILED"), "Authentication failed.", "wrong"),
            (None, "LOGIN failed.", "wrong"),
            (
                Some("AUTHENTICATIONFAILED"),
                "LogonDenied-BasicAuthBlocked",
                "basic-off",
            ),
            (Some("ALERT"), "Application-specific password required", "app-password"),
            (Some("WEBALERT"), "Web login required.", "app-password"),
            (Some("ALERT"), "Your account is not enabled for IMAP use.", "imap-off"),
            (None, "User is authenticated but not connected.", "no-right"),
            (Some("AUTHENTICATIONFAILED"), "Account is locked", "account-locked"),
            (Some("AUTHENTICATIONFAILED"), "unknown user", "user-form"),
            (
                None,
                "Plaintext authentication disallowed on non-secure connections",
                "encryption-required",
            ),
        ] {
            assert_eq!(cause(code, text), expected, "{code:?} {text}");
        }
    }

    #[test]
    fn what_may_pass_is_no_refusal() {
        for (code, text, expected) in [
            (Some("UNAVAILABLE"), "the database is down", "unavailable"),
            (None, "Too many simultaneous connections", "throttled"),
            (Some("LIMIT"), "try later", "throttled"),
        ] {
            assert_eq!(refused(code, text, Login::default()).code(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_told_of_a_token_is_told_on() {
        let login = |challenge| Login {
            token: true,
            address: true,
            challenge,
        };
        let json = br#"{"status":"401","schemes":"bearer","scope":"https://mail.example/imap"}"#;
        let text = refused(None, "AUTHENTICATE failed", login(Some(json))).to_string();
        for part in [
            "it has expired",
            "status 401",
            "https://mail.example/imap",
            "get a new one",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let encoded = STANDARD.encode(r#"{"status":"insufficient_scope"}"#);
        let text = refused(None, "no", login(Some(encoded.as_bytes()))).to_string();
        assert!(text.contains("its scope does not reach"), "{text}");
        let text = refused(None, "no", login(Some(b"garbage"))).to_string();
        assert!(
            text.contains("the token is not good") && !text.contains("status"),
            "{text}"
        );
    }

    #[test]
    fn names_and_codes_are_unique() {
        for (at, cause) in LOGIN_CAUSES.iter().enumerate() {
            for other in &LOGIN_CAUSES[at + 1..] {
                assert_ne!(cause.name, other.name);
                assert!(cause.codes.iter().all(|code| !other.codes.contains(code)));
            }
            assert!(
                cause.words.iter().all(|word| *word == word.to_ascii_lowercase()),
                "{}",
                cause.name
            );
        }
    }
}
