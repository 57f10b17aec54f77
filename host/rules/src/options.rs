//! What the settings file says to a script.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a script is loaded and run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// What one run may cost.
    pub limits: Limits,
    /// `[rules.set]`: values that take the place of the script's top-level constants.
    pub set: BTreeMap<String, SetValue>,
    /// Whether the settings say where detached attachments go; `detach` is an error without.
    pub attachments: bool,
    /// When the migration began, in seconds since 1970: what `started()` gives.
    pub started: Option<i64>,
}

/// A value of `[rules.set]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(missing_docs)] // The names are the definition.
pub enum SetValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<SetValue>),
    Map(BTreeMap<String, SetValue>),
}

/// What one run of a hook may cost; beyond it the run ends with an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Steps of computing; 0 for no limit but the time.
    pub operations: u64,
    /// Functions that call one another.
    pub depth: usize,
    /// Bytes of one string.
    pub string_bytes: usize,
    /// Elements of one array, with those of the arrays in it.
    pub array: usize,
    /// Entries of one map, with those of the maps in it.
    pub map: usize,
    /// Wall time for one item, the reading of its content included. In seconds where it is written down.
    #[serde(with = "seconds")]
    pub time: Duration,
    /// Decoded bytes of `m.text`.
    pub text_bytes: usize,
    /// Deciding calls for one item.
    pub steps: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations: 1_000_000,
            depth: 64,
            string_bytes: 1 << 20,
            array: 10_000,
            map: 10_000,
            time: Duration::from_secs(1),
            text_bytes: 64 << 10,
            steps: 100,
        }
    }
}

/// Durations as seconds; fractions are allowed.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}
