//! INTERNALDATE (RFC 9051 `date-time`): " 7-Feb-1994 22:43:04 -0800".

use whimbrel_model::Timestamp;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads a date as servers write it; None for one that names no instant.
pub(super) fn parse(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace();
    let mut date = words.next()?.split('-');
    let day: i64 = date.next()?.parse().ok()?;
    let name = date.next()?;
    let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    let year: i64 = date.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute) = (time.next()??, time.next()??);
    let second = time.next().unwrap_or(Some(0))?;
    let zone = words.next().unwrap_or("+0000");
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let zone: i16 = digits.parse().ok()?;
    let offset = sign * (zone / 100 * 60 + zone % 100);
    let month = i64::try_from(month).ok()? + 1;
    // A leap second counts as the second after it.
    let valid = (1..=days_in(year, month)).contains(&day)
        && (1..=9999).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second)
        && offset.unsigned_abs() < 24 * 60;
    if !valid {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - i64::from(offset) * 60;
    Some(Timestamp {
        unix_ms: seconds * 1000,
        offset_minutes: offset,
    })
}

/// Writes a date, without quotes, in its own zone; None outside the years 1 to 9999, which the format cannot hold.
pub(super) fn format(at: Timestamp) -> Option<String> {
    let offset = i64::from(at.offset_minutes);
    let (offset, zone) = if offset.abs() < 24 * 60 {
        (offset, offset.abs())
    } else {
        (0, 0)
    };
    let local = at.unix_seconds() + offset * 60;
    let (day_number, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let (year, month, day) = civil(day_number);
    if !(1..=9999).contains(&year) {
        return None;
    }
    let month = MONTHS.get(usize::try_from(month - 1).ok()?)?;
    // Written once for each message: no formatting machinery.
    let mut out = String::with_capacity(26);
    if day < 10 {
        out.push(' ');
        out.push(digit(day));
    } else {
        two_digits(&mut out, day);
    }
    out.push('-');
    out.push_str(month);
    out.push('-');
    two_digits(&mut out, year / 100);
    two_digits(&mut out, year);
    for (before, number) in [(' ', second / 3600), (':', second / 60 % 60), (':', second % 60)] {
        out.push(before);
        two_digits(&mut out, number);
    }
    out.push(' ');
    out.push(if offset < 0 { '-' } else { '+' });
    two_digits(&mut out, zone / 60);
    two_digits(&mut out, zone % 60);
    Some(out)
}

/// The last two digits of a number that is not negative.
fn two_digits(out: &mut String, number: i64) {
    out.push(digit(number / 10));
    out.push(digit(number));
}

/// The last digit of a number that is not negative.
fn digit(number: i64) -> char {
    const DIGITS: [char; 10] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
    usize::try_from(number % 10)
        .ok()
        .and_then(|digit| DIGITS.get(digit).copied())
        .unwrap_or('0')
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar; years counted from March, so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_as_servers_write_them() {
        let at = |unix: i64, offset_minutes: i16| {
            Some(Timestamp {
                unix_ms: unix * 1000,
                offset_minutes,
            })
        };
        assert_eq!(parse(b"17-Jul-1996 02:44:25 -0700"), at(837_596_665, -420));
        assert_eq!(parse(b" 7-Feb-1994 22:43:04 +0530"), at(760_641_184, 330));
        assert_eq!(parse(b"01-JAN-1970 00:00:00 +0000"), at(0, 0));
        assert_eq!(parse(b"29-Feb-2000 23:59:60 +0000"), at(951_868_800, 0));
        assert_eq!(
            format(at(760_641_184, 330).unwrap()).unwrap(),
            " 7-Feb-1994 22:43:04 +0530"
        );
    }

    #[test]
    fn what_names_no_instant_is_none() {
        for bad in [
            "",
            "00-Jan-0000 00:00:00 +0000",
            "29-Feb-2001 00:00:00 +0000",
            "01-Foo-2000 00:00:00 +0000",
            "01-Jan-2000 24:00:00 +0000",
            "01-Jan-2000 00:00:00 +99999",
            "01-Jan-2000 00:00:00 é000",
            "1-Jan",
            "NIL",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(
            format(Timestamp {
                unix_ms: i64::MAX,
                offset_minutes: 0
            }),
            None
        );
        assert_eq!(
            format(Timestamp {
                unix_ms: i64::MIN,
                offset_minutes: i16::MIN
            }),
            None
        );
    }

    proptest! {
        #[test]
        fn there_and_back(seconds in -60_000_000_000i64..250_000_000_000, offset_minutes in -1439i16..1440) {
            let at = Timestamp { unix_ms: seconds * 1000, offset_minutes };
            prop_assert_eq!(parse(format(at).unwrap().as_bytes()), Some(at));
        }

        #[test]
        fn no_text_causes_a_panic(text in ".{0,40}") {
            let _ = parse(text.as_bytes());
        }
    }
}
