//! Dates, and how far they lie apart. There is no clock: `started()` is a fact of the migration.

use std::sync::{Arc, PoisonError};

use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, ZonedDateTime, civil};
use rhai::{Engine, ImmutableString};

use super::values::short;
use super::{Answer, method, refuse};
use crate::shared::Shared;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// An instant, with the offset in which it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(crate) unix: i64,
    /// Minutes east of UTC.
    pub(crate) offset: i16,
}

/// What `days(n)` and `years(n)` give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    days: i64,
    years: i64,
}

impl From<whimbrel_model::Timestamp> for Date {
    fn from(at: whimbrel_model::Timestamp) -> Self {
        Self {
            unix: at.unix_seconds(),
            offset: at.offset_minutes,
        }
    }
}

impl Date {
    fn zoned(self) -> Answer<ZonedDateTime> {
        let at = Timestamp::from_second(self.unix);
        let offset = Offset::from_seconds(i32::from(self.offset) * 60).unwrap_or(Offset::UTC);
        match at {
            Ok(at) => Ok(at.to_zoned_datetime(TimeZone::fixed(offset))),
            Err(_) => refuse("the date lies outside the years from -9999 to 9999"),
        }
    }

    fn part(self, part: impl FnOnce(&ZonedDateTime) -> i64) -> Answer<i64> {
        Ok(part(&self.zoned()?))
    }

    fn text(self) -> Answer<ImmutableString> {
        let format = if self.offset == 0 {
            "%Y-%m-%dT%H:%M:%SZ"
        } else {
            "%Y-%m-%dT%H:%M:%S%:z"
        };
        Ok(self.zoned()?.strftime(format).to_string().into())
    }

    fn plus(self, period: Period, sign: i64) -> Answer<Self> {
        let moved = period
            .days
            .checked_mul(sign)
            .zip(period.years.checked_mul(sign))
            .and_then(|(days, years)| Span::new().try_days(days).ok()?.try_years(years).ok())
            .and_then(|span| self.zoned().ok()?.checked_add(span).ok());
        match moved {
            Some(moved) => Ok(Self {
                unix: moved.timestamp().as_second(),
                offset: self.offset,
            }),
            None => refuse("the date lies outside the years from -9999 to 9999"),
        }
    }
}

/// RFC 3339: a date, or a date with time and offset. UTC where it does not say.
pub(crate) fn parse(text: &str) -> Answer<Date> {
    let bad = || {
        refuse(format!(
            "\"{}\" is no date: write \"2020-01-31\" or \"2020-01-31T10:00:00Z\"",
            short(text)
        ))
    };
    let Ok(pieces) = Pieces::parse(text.trim()) else {
        return bad();
    };
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let local = pieces
        .date()
        .to_datetime(pieces.time().unwrap_or_else(civil::Time::midnight));
    match offset.to_timestamp(local) {
        Ok(at) => Ok(Date {
            unix: at.as_second(),
            offset: i16::try_from(offset.seconds() / 60).unwrap_or(0),
        }),
        Err(_) => bad(),
    }
}

pub(super) fn register(engine: &mut Engine, shared: &Arc<Shared>) {
    engine.register_type_with_name::<Date>("Date");
    engine.register_type_with_name::<Period>("Period");
    engine.register_get("year", |d: &mut Date| d.part(|d| i64::from(d.year())));
    engine.register_get("month", |d: &mut Date| d.part(|d| i64::from(d.month())));
    engine.register_get("day", |d: &mut Date| d.part(|d| i64::from(d.day())));
    engine.register_get("hour", |d: &mut Date| d.part(|d| i64::from(d.hour())));
    engine.register_get("minute", |d: &mut Date| d.part(|d| i64::from(d.minute())));
    engine.register_get("weekday", |d: &mut Date| {
        d.part(|d| i64::from(d.weekday().to_monday_one_offset()))
    });
    engine.register_get("unix", |d: &mut Date| d.unix);
    method!(engine, "to_string", |d: &mut Date| d.text());
    method!(engine, "to_debug", |d: &mut Date| d.text());
    method!(engine, "days_before", |d: &mut Date, other: Date| other
        .unix
        .saturating_sub(d.unix)
        .div_euclid(DAY));
    engine.register_fn("-", |d: Date, period: Period| d.plus(period, -1));
    engine.register_fn("+", |d: Date, period: Period| d.plus(period, 1));
    engine.register_fn("days", |n: i64| Period { days: n, years: 0 });
    engine.register_fn("years", |n: i64| Period { days: 0, years: n });
    engine.register_fn("date", parse);
    let shared = shared.clone();
    engine.register_fn("started", move || -> Answer<Date> {
        match *shared.started.read().unwrap_or_else(PoisonError::into_inner) {
            Some(unix) => Ok(Date { unix, offset: 0 }),
            None => refuse("started() is not known here: no migration has begun"),
        }
    });
    comparisons(engine);
}

/// Between dates by instant. With `()` nothing is earlier, later or equal.
fn comparisons(engine: &mut Engine) {
    engine.register_fn("==", |a: Date, b: Date| a.unix == b.unix);
    engine.register_fn("!=", |a: Date, b: Date| a.unix != b.unix);
    engine.register_fn("<", |a: Date, b: Date| a.unix < b.unix);
    engine.register_fn("<=", |a: Date, b: Date| a.unix <= b.unix);
    engine.register_fn(">", |a: Date, b: Date| a.unix > b.unix);
    engine.register_fn(">=", |a: Date, b: Date| a.unix >= b.unix);
    for operator in ["==", "<", "<=", ">", ">="] {
        engine.register_fn(operator, |_: Date, (): ()| false);
        engine.register_fn(operator, |(): (), _: Date| false);
    }
    engine.register_fn("!=", |_: Date, (): ()| true);
    engine.register_fn("!=", |(): (), _: Date| true);
}
