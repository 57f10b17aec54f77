//! `[deletions]`: whether deletions at the source are mirrored, and how carefully.

use std::time::Duration;

use toml::de::DeTable;
use whimbrel_engine::Deletions;

use super::read;

/// How long a message must have been missing, where the file does not say.
const APART: Duration = Duration::from_secs(24 * 60 * 60);
/// The largest share of a mailbox that may be missing, likewise.
const MAX_SHARE: f64 = 0.01;

/// From a table whose structure was checked; none where it is not there.
pub fn read(table: Option<&DeTable<'_>>) -> Option<Deletions> {
    let table = table?;
    Some(Deletions {
        until: read::moment(table, "until")?,
        apart: read::time(table, "apart").unwrap_or(APART),
        max_share: read::share(table, "max_share").unwrap_or(MAX_SHARE),
        now: jiff::Timestamp::now().as_second(),
    })
}
