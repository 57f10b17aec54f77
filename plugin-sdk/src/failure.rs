//! Failures, by what the caller can do about them.

use crate::Failure;

/// What every fallible function of the contract gives.
pub type Result<T> = std::result::Result<T, Failure>;

/// One constructor for each case. The texts are for people: what was attempted and what the provider answered, never
/// a subject, body, address or secret.
impl Failure {
    /// Credentials refused.
    pub fn unauthenticated(text: impl Into<String>) -> Self {
        Self::Unauthenticated(text.into())
    }
    /// Known who, but may not.
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::Forbidden(text.into())
    }
    /// The collection or item is not there (any more).
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::NotFound(text.into())
    }
    /// Retry helps, not before so many milliseconds if given.
    pub fn throttled(retry_after_ms: Option<u64>, text: impl Into<String>) -> Self {
        Self::Throttled((retry_after_ms, text.into()))
    }
    /// Trouble that may pass; the session is dead.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::Unavailable(text.into())
    }
    /// The account or server is full.
    pub fn over_quota(text: impl Into<String>) -> Self {
        Self::OverQuota(text.into())
    }
    /// This item is larger than the provider takes (its limit in bytes, if known).
    pub fn too_large(limit: Option<u64>) -> Self {
        Self::TooLarge(limit)
    }
    /// This item, or name, as it is, will never be accepted.
    pub fn rejected(text: impl Into<String>) -> Self {
        Self::Rejected(text.into())
    }
    /// The provider or the plugin cannot do this.
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::Unsupported(text.into())
    }
    /// A setting is wrong: the text names it.
    pub fn invalid_settings(text: impl Into<String>) -> Self {
        Self::InvalidSettings(text.into())
    }
    /// The plugin's own fault.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::Internal(text.into())
    }

    /// Whether doing the same again may work.
    pub fn retry_may_help(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Unavailable(_))
    }

    /// Whether an IMAP session that failed so is still usable; see `wit/imap.wit`.
    pub fn leaves_session_usable(&self) -> bool {
        matches!(
            self,
            Self::NotFound(_)
                | Self::Forbidden(_)
                | Self::OverQuota(_)
                | Self::Rejected(_)
                | Self::Unsupported(_)
                | Self::GenerationChanged
        )
    }

    /// The same case with `context` before its text, e.g. "folder `Sent`".
    #[must_use]
    pub fn within(self, context: &str) -> Self {
        let add = |text: String| format!("{context}: {text}");
        match self {
            Self::Unauthenticated(text) => Self::Unauthenticated(add(text)),
            Self::Forbidden(text) => Self::Forbidden(add(text)),
            Self::NotFound(text) => Self::NotFound(add(text)),
            Self::Throttled((after, text)) => Self::Throttled((after, add(text))),
            Self::Unavailable(text) => Self::Unavailable(add(text)),
            Self::OverQuota(text) => Self::OverQuota(add(text)),
            Self::Rejected(text) => Self::Rejected(add(text)),
            Self::Unsupported(text) => Self::Unsupported(add(text)),
            Self::InvalidSettings(text) => Self::InvalidSettings(add(text)),
            Self::Internal(text) => Self::Internal(add(text)),
            Self::TooLarge(_) | Self::GenerationChanged => self,
        }
    }
}
