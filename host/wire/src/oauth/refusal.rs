//! What the error codes of token endpoints mean, and what to do.

use whimbrel_model::Failure;

/// Bytes of a code that are shown.
const LONGEST: usize = 64;

/// An error code (RFC 6749 section 5.2, RFC 8628 section 3.5), fit to be shown: a word of small letters and underscores. Any
/// other text might be a secret that was sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code(String);

impl Code {
    pub fn new(text: &str) -> Self {
        let plain = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        Self(match plain && !text.is_empty() {
            true => text.to_owned(),
            false => "an error of its own".to_owned(),
        })
    }

    pub fn is(&self, code: &str) -> bool {
        self.0 == code
    }

    /// As a failure: what `place` answered for the login `name`, the likely cause, and the remedy. `login` is the command that
    /// logs in anew.
    pub fn failure(&self, name: &str, place: &str, login: &str) -> Failure {
        use Failure::{InvalidSettings, Unauthenticated, Unavailable};
        let anew = format!("log in anew with `{login}`");
        let section = format!("[oauth.{name}]");
        let (case, cause, remedy): (fn(String) -> Failure, &str, String) = match self.0.as_str() {
            "invalid_grant" => (
                Unauthenticated,
                "the login has expired, was revoked, or its refresh token was used up elsewhere",
                anew,
            ),
            "interaction_required" | "consent_required" | "login_required" | "account_selection_required" => (
                Unauthenticated,
                "the provider wants to see the user again, for a new consent or a second factor",
                anew,
            ),
            "access_denied" | "authorization_declined" => (
                Unauthenticated,
                "the user, or a policy of the organisation, did not agree",
                format!("let an administrator of the provider allow this client; then {anew}"),
            ),
            "expired_token" => (Unauthenticated, "nobody entered the code in time", anew),
            "invalid_client" => (
                InvalidSettings,
                "the client's id or secret is wrong, or the secret has expired",
                format!("correct `client_id` and `client_secret` in {section}"),
            ),
            "unauthorized_client" => (
                InvalidSettings,
                "this client may not use this flow",
                format!("allow the flow where the client is registered, or change `flow` in {section}"),
            ),
            "invalid_scope" => (
                InvalidSettings,
                "the provider does not know these scopes, or does not give them to this client",
                format!("correct `scopes` in {section}"),
            ),
            "unsupported_grant_type" | "unsupported_response_type" => (
                InvalidSettings,
                "the endpoint does not know this flow",
                format!("correct `flow` and the addresses in {section}"),
            ),
            "invalid_request" | "invalid_resource" | "invalid_target" => (
                InvalidSettings,
                "the provider misses something in the request, or finds too much in it",
                format!("compare {section} with the provider's documentation"),
            ),
            "temporarily_unavailable" | "server_error" => {
                (Unavailable, "the provider is in trouble", "run again later".to_owned())
            }
            _ => (
                Unauthenticated,
                "this code is not in the standards",
                format!("look it up in the provider's documentation; {anew} if it concerns the login"),
            ),
        };
        case(format!(
            "login `{name}`: {place} answers `{}`: {cause}; {remedy}",
            self.0
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_cause_and_remedy() {
        for (code, case, words) in [
            ("invalid_grant", "unauthenticated", "log in anew with `whimbrel x`"),
            ("invalid_client", "invalid-settings", "client_secret` in [oauth.n]"),
            ("invalid_scope", "invalid-settings", "correct `scopes`"),
            ("server_error", "unavailable", "run again later"),
            ("odd_code", "unauthenticated", "not in the standards"),
        ] {
            let failure = Code::new(code).failure("n", "h:443", "whimbrel x");
            let text = failure.to_string();
            assert_eq!(failure.code(), case, "{text}");
            assert!(
                text.contains(code) && text.contains(words) && text.contains("h:443"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_code_is_not_shown() {
        for text in ["", "ya29.A0", "invalid grant", "Bearer", &"x".repeat(65), "a\u{1b}[2J"] {
            let shown = Code::new(text).failure("n", "h", "w").to_string();
            assert!(text.is_empty() || !shown.contains(text), "{shown}");
        }
    }
}
