//! Figures as people read them, on the terminal and in reports.

use std::time::Duration;

/// With a thin space between thousands: `1 234 567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `1 message`, `2 messages`; also `2 mailboxes` and `2 bodies`.
pub fn plural(number: u64, one: &str) -> String {
    let more = match one.strip_suffix('y') {
        _ if number == 1 => one.to_owned(),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if one.ends_with('x') => format!("{one}es"),
        _ => format!("{one}s"),
    };
    format!("{} {more}", count(number))
}

/// Bytes, e.g. `1.5 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, factor) in UNITS {
        if bytes >= factor {
            let tenths = u128::from(bytes) * 10 / u128::from(factor);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// A time, e.g. `2 h 5 min`, `1 min 3 s`, `0.4 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The same from seconds; nothing below zero.
pub fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// An instant in seconds since 1970, e.g. `2026-11-28 02:00 UTC`.
pub fn instant(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| format!("{seconds} s since 1970"),
        |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// The day of it, e.g. `2026-11-28`.
pub fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| format!("{seconds} s since 1970"),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}

/// How long one instant lies before another, roughly: `3 hours`.
pub fn age(before: i64, now: i64) -> String {
    let seconds = u64::try_from(now.saturating_sub(before)).unwrap_or_default();
    match seconds {
        0..90 => "less than two minutes".to_owned(),
        90..5400 => plural(seconds.div_ceil(60), "minute"),
        5400..172_800 => plural((seconds + 1800) / 3600, "hour"),
        _ => plural((seconds + 43_200) / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567).replace('\u{202f}', " "), "1 234 567");
        assert_eq!(plural(1, "message"), "1 message");
        assert_eq!(plural(2, "folder"), "2 folders");
        assert_eq!(plural(2, "mailbox"), "2 mailboxes");
        assert_eq!([plural(2, "body"), plural(2, "day")], ["2 bodies", "2 days"]);
    }

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
        assert_eq!(seconds(0.44), "0.4 s");
        assert_eq!(seconds(63.0), "1 min 3 s");
        assert_eq!(seconds(7500.0), "2 h 5 min");
        assert_eq!(seconds(f64::NAN), "0.0 s");
    }

    #[test]
    fn instants_and_ages_are_told_in_words() {
        assert_eq!(instant(1_700_000_000), "2023-11-14 22:13 UTC");
        assert_eq!(day(1_700_000_000), "2023-11-14");
        assert_eq!(instant(i64::MAX), "9223372036854775807 s since 1970");
        for (seconds, text) in [
            (-5, "less than two minutes"),
            (600, "10 minutes"),
            (7200, "2 hours"),
            (86_400, "24 hours"),
            (259_200, "3 days"),
        ] {
            assert_eq!(age(0, seconds), text);
        }
    }
}
