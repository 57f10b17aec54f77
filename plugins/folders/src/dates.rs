//! Dates as mail has them: `asctime` (ISO C) with the additions that programs make, as in From_ lines, and those of
//! header fields (RFC 5322, 3.3 and 4.3).

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Zone names that are met, in minutes east of UTC. Others count as UTC.
const ZONES: [(&str, i16); 21] = [
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("BST", 60),
    ("CET", 60),
    ("MET", 60),
    ("MEZ", 60),
    ("CEST", 120),
    ("MEST", 120),
    ("MESZ", 120),
    ("EET", 120),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
];

/// An instant and the zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix: i64,
    /// Minutes east of UTC.
    pub offset_minutes: i16,
}

/// `Thu Jan  1 00:00:00 1970`, in UTC. Years beyond four digits are cut to what can be written.
pub fn asctime(unix: i64) -> String {
    let (days, second) = writable(unix);
    let (year, month, day) = civil(days);
    let weekday = usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0);
    let name = usize::try_from(month - 1).unwrap_or(0);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{} {} {day:2} {hour:02}:{minute:02}:{second:02} {year:04}",
        DAYS[weekday], MONTHS[name]
    )
}

/// `20240229T123456Z`. Years beyond four digits are cut to what can be written.
pub fn compact(unix: i64) -> String {
    let (days, second) = writable(unix);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The time that [`compact`] wrote, in seconds since 1970; none where it is none.
pub fn from_compact(text: &str) -> Option<i64> {
    let digits = |from: usize, to: usize| {
        let part = text.get(from..to)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse::<i64>().ok())?
    };
    if text.len() != 16 || text.get(8..9) != Some("T") || text.get(15..) != Some("Z") {
        return None;
    }
    let days = days_of(
        digits(0, 4)?,
        digits(4, 6).filter(|month| (1..=12).contains(month))?,
        digits(6, 8).filter(|day| (1..=31).contains(day))?,
    );
    let (hour, minute, second) = (digits(9, 11)?, digits(11, 13)?, digits(13, 15)?);
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The day and the second in it, cut to four digits of the year.
fn writable(unix: i64) -> (i64, i64) {
    let unix = unix.clamp(seconds_of(0, 1, 1), seconds_of(10_000, 1, 1) - 1);
    (unix.div_euclid(86_400), unix.rem_euclid(86_400))
}

/// The date of a header field: `Thu, 29 Feb 2024 12:34:56 +0100 (CET)`, with or without the day's name, the seconds and
/// the zone, comments passed over, years of two and three digits as RFC 5322, 4.3 reads them.
pub fn of_field(text: &str) -> Option<Date> {
    let text = without_comments(text).replace(',', " ");
    let mut words = text.split_ascii_whitespace().peekable();
    words.next_if(|word| {
        word.get(..3)
            .is_some_and(|name| DAYS.iter().any(|day| day.eq_ignore_ascii_case(name)))
    });
    let day = number(words.next()?, 1, 31)?;
    let month = words.next()?.get(..3)?.to_owned();
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(&month))?;
    let year = words.next()?;
    let year = match (year.len(), number(year, 0, 9999)?) {
        (1 | 2, year) if year < 50 => year + 2000,
        (1..=3, year) => year + 1900,
        (_, year) => year,
    };
    let time = clock(words.next()?)?;
    let offset_minutes = words.next().filter(|word| is_zone(word)).and_then(offset).unwrap_or(0);
    let days = days_of(year, i64::try_from(month).ok()? + 1, day);
    Some(Date {
        unix: days * 86_400 + time - i64::from(offset_minutes) * 60,
        offset_minutes,
    })
}

/// The text without what stands in parentheses.
fn without_comments(text: &str) -> String {
    let mut depth = 0_u32;
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '(' => depth = depth.saturating_add(1),
            ')' => {
                depth = depth.saturating_sub(1);
                out.push(' ');
            }
            _ if depth == 0 => out.push(character),
            _ => {}
        }
    }
    out
}

fn seconds_of(year: i64, month: i64, day: i64) -> i64 {
    days_of(year, month, day) * 86_400
}

/// The date with which these words begin and how many of them it takes: `Thu Jan  1 00:00:00 1970`, the seconds or
/// the year left out of place, with a zone before or behind the year, or `Thu, 1 Jan 1970 00:00:00 +0100`.
pub fn parse(words: &[&str]) -> Option<(Date, usize)> {
    let weekday = words.first()?.strip_suffix(',').unwrap_or(words.first()?);
    if !DAYS.iter().any(|day| day.eq_ignore_ascii_case(weekday)) {
        return None;
    }
    let day_first = words.get(1)?.bytes().all(|byte| byte.is_ascii_digit());
    let (day, month) = if day_first {
        (words.get(1)?, words.get(2)?)
    } else {
        (words.get(2)?, words.get(1)?)
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let day = number(day, 1, 31)?;
    let (mut year, mut time, mut zone, mut used) = (None, None, None, 3);
    for word in words.iter().skip(3) {
        if time.is_none() && word.contains(':') {
            time = Some(clock(word)?);
        } else if year.is_none() && word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()) {
            year = Some(number(word, 0, 9999)?);
        } else if zone.is_none() && time.is_some() && (is_zone(word)) {
            zone = Some(offset(word)?);
        } else {
            break;
        }
        used += 1;
    }
    let zone = zone.unwrap_or(0);
    let days = days_of(year?, i64::try_from(month).ok()? + 1, day);
    Some((
        Date {
            unix: days * 86_400 + time? - i64::from(zone) * 60,
            offset_minutes: zone,
        },
        used,
    ))
}

fn number(word: &str, least: i64, most: i64) -> Option<i64> {
    let digits = (1..=4).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| word.parse().ok())
        .flatten()
        .filter(|number| (least..=most).contains(number))
}

/// Seconds of the day, from `hh:mm` or `hh:mm:ss`.
fn clock(word: &str) -> Option<i64> {
    let mut parts = word.split(':');
    let (hour, minute) = (number(parts.next()?, 0, 23)?, number(parts.next()?, 0, 59)?);
    let second = parts.next().map_or(Some(0), |part| number(part, 0, 60))?;
    parts.next().is_none().then_some(hour * 3600 + minute * 60 + second)
}

fn is_zone(word: &str) -> bool {
    match word.as_bytes() {
        [b'+' | b'-', digits @ ..] => digits.len() == 4 && digits.iter().all(u8::is_ascii_digit),
        letters => (1..=5).contains(&letters.len()) && letters.iter().all(u8::is_ascii_uppercase),
    }
}

fn offset(word: &str) -> Option<i16> {
    let sign = match word.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => {
            return Some(
                ZONES
                    .iter()
                    .find(|(name, _)| *name == word)
                    .map_or(0, |(_, minutes)| *minutes),
            );
        }
    };
    let value: i16 = word.get(1..)?.parse().ok()?;
    let minutes = value / 100 * 60 + value % 100;
    (minutes < 24 * 60).then_some(sign * minutes)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (
        year_of_era + era * 400 + i64::from(month <= 2),
        month,
        of_year - (153 * shifted + 2) / 5 + 1,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<(i64, i16)> {
        let words: Vec<&str> = text.split_whitespace().collect();
        parse(&words)
            .filter(|(_, used)| *used == words.len())
            .map(|(date, _)| (date.unix, date.offset_minutes))
    }

    #[test]
    fn the_forms_that_are_met() {
        assert_eq!(asctime(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(asctime(1_709_210_096), "Thu Feb 29 12:34:56 2024");
        for (text, expected) in [
            ("Thu Feb 29 12:34:56 2024", (1_709_210_096, 0)),
            ("Thu Feb 29 12:34 2024", (1_709_210_040, 0)),
            ("Thu Feb 29 12:34:56 +0100 2024", (1_709_206_496, 60)),
            ("Thu Feb 29 12:34:56 2024 -0130", (1_709_215_496, -90)),
            ("Thu Feb 29 12:34:56 CET 2024", (1_709_206_496, 60)),
            ("Thu Feb 29 12:34:56 XYZ 2024", (1_709_210_096, 0)),
            ("Thu, 29 Feb 2024 12:34:56 GMT", (1_709_210_096, 0)),
            ("Thu Feb 29 2024 12:34:56", (1_709_210_096, 0)),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "Thu",
            "Thu Feb 29",
            "Thu Feb 29 12:34:56",
            "Foo Feb 29 12:34:56 2024",
            "Thu Fub 29 12:34:56 2024",
            "Thu Feb 32 12:34:56 2024",
            "Thu Feb 29 25:34:56 2024",
            "Thu Feb 29 12:34:56 24",
            "Thu Feb 29 12:34:56 2024 +9900",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn years_that_cannot_be_written_are_cut() {
        assert_eq!(asctime(i64::MAX), "Fri Dec 31 23:59:59 9999");
        assert_eq!(asctime(i64::MIN), "Sat Jan  1 00:00:00 0000");
    }

    #[test]
    fn dates_of_header_fields() {
        let read = |text: &str| of_field(text).map(|date| (date.unix, date.offset_minutes));
        for (text, expected) in [
            ("Thu, 29 Feb 2024 12:34:56 +0000", (1_709_210_096, 0)),
            (" 29 Feb 2024 12:34:56 +0100 (CET)", (1_709_206_496, 60)),
            ("Thu,29 Feb 2024 12:34 -0130", (1_709_215_440, -90)),
            ("Thursday, 29 February 2024 12:34:56 EST", (1_709_228_096, -300)),
            ("29 (the (leap) day) Feb 24 12:34:56 GMT", (1_709_210_096, 0)),
            ("29 Feb 124 12:34:56", (1_709_210_096, 0)),
            ("1 Jan 70 00:00:00 +0000", (0, 0)),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "Thu",
            "29 Feb",
            "29 Foo 2024 12:34:56",
            "32 Feb 2024 12:34:56",
            "29 Feb 2024 noon",
            "ü, 1 é",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn compact_dates() {
        assert_eq!(compact(1_709_210_096), "20240229T123456Z");
        for text in [
            "",
            "20240229T123456",
            "2024022912345600",
            "20241329T123456Z",
            "2024022üT12345Z",
        ] {
            assert_eq!(from_compact(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn compact_dates_come_back(unix in -62_000_000_000i64..250_000_000_000) {
            prop_assert_eq!(from_compact(&compact(unix)), Some(unix));
        }

        #[test]
        fn no_field_makes_it_fail(text in "\\PC{0,60}|[A-Z][a-z]{2}, [0-9]{1,3} [JFM][a-z]{2} [0-9]{1,5} [0-9:]{0,9} [+-][0-9]{0,5}") {
            let _ = of_field(&text);
            let _ = from_compact(&text);
        }

        #[test]
        fn every_second_comes_back(unix in -60_000_000_000i64..250_000_000_000) {
            prop_assert_eq!(read(&asctime(unix)), Some((unix, 0)));
        }

        #[test]
        fn no_words_make_it_fail(text in "(Mon|Tue)[, ]+(Jan|Feb|[0-9]{0,5}) [ 0-9:+A-Z-]{0,30}") {
            let _ = read(&text);
        }
    }
}
