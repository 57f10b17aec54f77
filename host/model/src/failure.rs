//! Failures, by what the caller can do about them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What went wrong; see `types.failure` in the contract. The texts are for people and never parsed.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Credentials refused.
    #[error("the credentials were refused: {0}")]
    Unauthenticated(String),
    /// Known who, but may not.
    #[error("access was denied: {0}")]
    Forbidden(String),
    /// The collection or item is not there (any more).
    #[error("not found: {0}")]
    NotFound(String),
    /// Try again later.
    #[error("the server asked to slow down: {reason}")]
    Throttled {
        /// Not before so many milliseconds, if the server said.
        retry_after_ms: Option<u64>,
        /// For people.
        reason: String,
    },
    /// Network or server trouble that may pass; the session is dead.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The account or server is full.
    #[error("the quota is used up: {0}")]
    OverQuota(String),
    /// The item is larger than the provider takes (its limit in bytes, if known).
    #[error("too large{}", .0.map(|limit| format!(" (the limit is {limit} bytes)")).unwrap_or_default())]
    TooLarge(Option<u64>),
    /// This item, as it is, will never be accepted.
    #[error("refused: {0}")]
    Rejected(String),
    /// All ids and cursors of the collection are void.
    #[error("all item ids of the collection became void")]
    GenerationChanged,
    /// The provider or plugin cannot do this.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The settings are wrong.
    #[error("invalid settings: {0}")]
    InvalidSettings(String),
    /// The plugin's (or the host's) own fault.
    #[error("internal fault: {0}")]
    Internal(String),
    /// The admin's rules failed on the item. The host's own case: no connector gives it.
    #[error("the rules failed: {0}")]
    Rules(String),
}

impl Failure {
    /// A short, stable name, for JSON and counting.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not-found",
            Self::Throttled { .. } => "throttled",
            Self::Unavailable(_) => "unavailable",
            Self::OverQuota(_) => "over-quota",
            Self::TooLarge(_) => "too-large",
            Self::Rejected(_) => "rejected",
            Self::GenerationChanged => "generation-changed",
            Self::Unsupported(_) => "unsupported",
            Self::InvalidSettings(_) => "invalid-settings",
            Self::Internal(_) => "internal",
            Self::Rules(_) => "rules",
        }
    }

    /// Whether doing the same again may work.
    pub fn retry_may_help(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable(_))
    }
}
