//! Sizes and times as people write them.

use std::time::Duration;

pub use whimbrel_report::figures::{bytes as show_bytes, duration as show_time};

/// Bytes, from `"256MiB"`, `"1.5 GB"` or `"4096"`. The message says what is expected.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => {
            return Err(format!(
                "`{text}` is not a size; write a number with B, KiB, MiB, GiB, KB, MB or GB, e.g. \"256MiB\""
            ));
        }
    };
    scale(number, factor).ok_or_else(|| format!("`{text}` is not a size; write e.g. \"256MiB\""))
}

/// A time from `"90s"`, `"5m"`, `"250ms"` or `"2h"`; a bare number is seconds.
pub fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let factor: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => {
            return Err(format!(
                "`{text}` is not a time; write a number with ms, s, m or h, e.g. \"90s\""
            ));
        }
    };
    match scale(number, factor) {
        Some(milliseconds) if milliseconds > 0 => Ok(Duration::from_millis(milliseconds)),
        _ => Err(format!("`{text}` is not a time above zero; write e.g. \"90s\"")),
    }
}

/// A share from 0 to 1, from `"5%"` or `"0.5 %"`.
pub fn share(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').map(str::trim_end);
    let percent = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    match percent.and_then(|number| number.parse::<f64>().ok()) {
        Some(percent) if percent <= 100.0 => Ok(percent / 100.0),
        _ => Err(format!("`{text}` is not a share from 0% to 100%; write e.g. \"0.5%\"")),
    }
}

/// Seconds since 1970, from `2027-01-31T22:00:00+01:00` or, for the beginning of the day in UTC, `2027-01-31`.
pub fn moment(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10);
    let begins = day.and_then(|day| jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok());
    let moment = begins.or_else(|| text.parse::<jiff::Timestamp>().ok());
    moment
        .map(jiff::Timestamp::as_second)
        .ok_or_else(|| format!("`{text}` is neither a date nor a time with its offset from UTC"))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// Exact for whole numbers; at most three digits after the point otherwise.
fn scale(number: &str, factor: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if part.is_empty() {
        return (!number.ends_with('.')).then_some(whole);
    }
    if part.len() > 3 {
        return None;
    }
    let thousandths = format!("{part:0<3}").parse::<u64>().ok()?;
    whole.checked_add(factor.checked_mul(thousandths)? / 1000)
}

/// A moment for people and programs, to the second, e.g. `2026-11-28T03:10:00Z`.
pub fn show_moment(unix_ms: i64) -> String {
    let moment = jiff::Timestamp::from_second(unix_ms.div_euclid(1000));
    moment.map_or_else(|_| "an unknown time".to_owned(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("256MiB", 256 << 20),
            ("1.5 KiB", 1536),
            ("2gb", 2_000_000_000),
            ("1K", 1024),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "MiB",
            "-1",
            "1.",
            "1.2345KiB",
            "9999999999999TiB",
            "12 parsecs",
            "1e9",
        ] {
            let problem = size(text).unwrap_err();
            assert!(problem.contains("is not a size"), "{problem}");
        }
    }

    #[test]
    fn times() {
        for (text, milliseconds) in [
            ("90s", 90_000),
            ("90", 90_000),
            ("5m", 300_000),
            ("250ms", 250),
            ("1.5h", 5_400_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["0s", "", "s", "5 fortnights"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_have_an_offset_or_are_days() {
        assert_eq!(moment("2027-01-31T22:00:00+01:00"), Ok(1_801_429_200));
        assert_eq!(moment("2027-01-31T21:00:00Z"), Ok(1_801_429_200));
        assert_eq!(moment("1970-01-02"), Ok(86_400));
        for wrong in ["", "2027-01-31T22:00:00", "2027-02-30", "tomorrow", "22:00:00Z"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share(" 100 % "), Ok(1.0));
        assert_eq!(share("0%"), Ok(0.0));
        for wrong in ["5", "%", "101%", "-1%", "x%", "1e1%", "NaN%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
