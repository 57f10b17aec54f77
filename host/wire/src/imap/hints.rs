//! How long a server asks to wait, in the words that servers use for it.

/// Words that a number follows, and what a bare number means there, in milliseconds.
const SIGNS: [(&str, u64); 8] = [
    ("backoff time", 1),
    ("retry after", 1000),
    ("retry-after", 1000),
    ("retry in", 1000),
    ("try again in", 1000),
    ("try again after", 1000),
    ("please wait", 1000),
    ("wait for", 1000),
];

/// What stands between the sign and its number at most, e.g. ": " or " about ".
const BETWEEN: usize = 12;

/// The milliseconds that a text asks to wait, if it does: "Suggested Backoff Time: 299961 milliseconds".
pub(super) fn retry_after(said: &str) -> Option<u64> {
    let said = said.to_ascii_lowercase();
    SIGNS.iter().find_map(|(sign, bare)| {
        let (_, after) = said.split_once(sign)?;
        let start = after.find(|c: char| c.is_ascii_digit()).filter(|at| *at <= BETWEEN)?;
        let after = &after[start..];
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        // More digits than that are no time.
        let number: u64 = after.get(..end).filter(|digits| digits.len() <= 12)?.parse().ok()?;
        let unit = after[end..].trim_start();
        let factor = match () {
            () if unit.starts_with("ms") || unit.starts_with("millisec") => 1,
            () if unit.starts_with("min") => 60_000,
            () if unit.starts_with('h') => 3_600_000,
            () if unit.starts_with('s') => 1000,
            () => *bare,
        };
        Some(number.saturating_mul(factor))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_in_the_forms_that_servers_use() {
        for (said, expected) in [
            (
                "Request is throttled. Suggested Backoff Time: 299961 milliseconds",
                Some(299_961),
            ),
            ("Backoff Time: 3 seconds", Some(3000)),
            ("Backoff Time: 700", Some(700)),
            ("Rate limited, retry after 30 seconds.", Some(30_000)),
            ("Retry-After: 120", Some(120_000)),
            ("Too many logins, try again in 5 minutes", Some(300_000)),
            ("Account locked; please wait 2 hours", Some(7_200_000)),
            ("Backoff Time: soon", None),
            ("try again in the morning of the 5th", None),
            ("please try again later (17)", None),
            ("", None),
        ] {
            assert_eq!(retry_after(said), expected, "{said}");
        }
        assert_eq!(retry_after("retry after 99999999999999999999 h"), None);
    }
}
