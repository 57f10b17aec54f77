//! One spelling for a content line. The parser is calcard's; it sees one line at a time, so that a line which it does not
//! understand is kept as it stands and takes nothing else with it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calcard::common::timezone::Tz;
use calcard::icalendar::{ICalendar, ICalendarEntry, ICalendarProperty, ICalendarValue};
use calcard::vcard::{VCard, VCardEntry, VCardProperty};
use calcard::{Entry, Parser};

use crate::Format;
use crate::tree::{Component, value_at};

/// Bytes of a line that the parser is given; longer ones hold pictures, and are spelt in one way anyway.
const LONGEST: usize = 64 << 10;

/// Adds the line in its one spelling; several lines where it lists several values.
pub fn lines(format: Format, line: &[u8], out: &mut Vec<Vec<u8>>) {
    let line = line.trim_ascii_end();
    let renamed = (format == Format::Card).then(|| by_its_later_name(line)).flatten();
    let line = renamed.as_deref().unwrap_or(line);
    let spelt = std::str::from_utf8(line)
        .ok()
        .filter(|line| line.len() <= LONGEST && !line.contains('\0'))
        .and_then(|line| {
            let parse = || match format {
                Format::Calendar => of_calendar(line),
                Format::Card => of_card(line),
                Format::Sieve => None,
            };
            // The parser has no promise that nothing makes it panic, and this comes from servers.
            catch_unwind(AssertUnwindSafe(parse)).ok().flatten()
        });
    match spelt {
        Some(spelt) => out.extend(spelt.into_iter().map(String::into_bytes)),
        None => out.push(as_it_stands(line)),
    }
}

/// Whether it defines a time zone that is known by its name: everybody writes that definition in another way.
pub fn is_known_zone(part: &Component) -> bool {
    let name = part.line("TZID").filter(|_| part.is("VTIMEZONE"));
    let name = name.and_then(|line| std::str::from_utf8(line.get(value_at(line)?..)?).ok());
    name.is_some_and(|name| name.trim().parse::<Tz>().is_ok())
}

/// The line with the name that its property has from vCard 4.0 on, where it had another before: servers that turn a card of
/// one version into one of another exchange them.
fn by_its_later_name(line: &[u8]) -> Option<Vec<u8>> {
    const BEFORE: &[u8] = b"X-ADDRESSBOOKSERVER-";
    let (before, after) = line.split_at_checked(BEFORE.len())?;
    let end = after.iter().position(|byte| b":;".contains(byte))?;
    let known = [&b"KIND"[..], b"MEMBER"]
        .iter()
        .any(|name| after[..end].eq_ignore_ascii_case(name));
    (before.eq_ignore_ascii_case(BEFORE) && known).then(|| after.to_vec())
}

/// With its name in upper case.
fn as_it_stands(line: &[u8]) -> Vec<u8> {
    let mut line = line.to_vec();
    let end = line.iter().position(|byte| b":;".contains(byte)).unwrap_or(line.len());
    line[..end].make_ascii_uppercase();
    line
}

/// A content line of a calendar object, parsed.
fn entry(line: &str) -> Option<ICalendarEntry> {
    let text = format!("BEGIN:VEVENT\r\n{line}\r\nEND:VEVENT\r\n");
    let Entry::ICalendar(ICalendar { mut components }) = Parser::new(&text).strict().entry() else {
        return None;
    };
    let [component] = components.as_mut_slice() else {
        return None;
    };
    match component.entries.len() {
        1 => component.entries.pop(),
        _ => None,
    }
}

/// A moment, in seconds since 1970 and minutes east of UTC. A time zone that is not known counts as UTC.
pub fn moment(line: &str, zone: Option<&str>) -> Option<(i64, i16)> {
    let parse = || {
        let entry = entry(line)?;
        let Some(ICalendarValue::PartialDateTime(at)) = entry.values.first() else {
            return None;
        };
        let zone = zone.and_then(|name| name.parse::<Tz>().ok()).unwrap_or(Tz::UTC);
        let local = at.to_date_time()?.date_time.and_utc().timestamp();
        // A time that a zone has twice or never is taken for UTC.
        let unix = at.to_date_time_with_tz(zone).map_or(local, |at| at.timestamp());
        let at = at
            .to_date_time_with_tz(zone)
            .map_or(local, |at| at.naive_local().and_utc().timestamp());
        Some((unix, i16::try_from((at - unix) / 60).ok()?))
    };
    let fits = line.len() <= LONGEST && !line.contains('\0');
    // As above: no promise, and it comes from servers.
    fits.then(|| catch_unwind(AssertUnwindSafe(parse)).ok().flatten())
        .flatten()
}

fn of_calendar(line: &str) -> Option<Vec<String>> {
    let mut entry = entry(line)?;
    let lists = matches!(
        entry.name,
        ICalendarProperty::Categories
            | ICalendarProperty::Resources
            | ICalendarProperty::Exdate
            | ICalendarProperty::Rdate
            | ICalendarProperty::Freebusy
    );
    entry.values.iter_mut().for_each(settle_rule);
    let parameters = parameters(entry.params.iter().map(|parameter| {
        let single = ICalendarEntry {
            name: ICalendarProperty::Uid,
            params: vec![parameter.clone()],
            values: Vec::new(),
        };
        written(|out| single.write_to(out))
    }))?;
    let values: Vec<Vec<ICalendarValue>> = match lists {
        true => entry.values.iter().map(|value| vec![value.clone()]).collect(),
        false => vec![entry.values.clone()],
    };
    let name = entry.name.as_str().to_ascii_uppercase();
    values
        .into_iter()
        .map(|values| {
            let whole = ICalendarEntry {
                values,
                ..entry.clone()
            };
            let text = written(|out| whole.write_to(out))?;
            Some(format!(
                "{name}{parameters}:{}",
                text.get(value_at(text.as_bytes())?..)?
            ))
        })
        .collect()
}

/// Sets have no order, and defaults say nothing (RFC 5545 section 3.3.10).
fn settle_rule(value: &mut ICalendarValue) {
    let ICalendarValue::RecurrenceRule(rule) = value else {
        return;
    };
    rule.bysecond.sort_unstable();
    rule.byminute.sort_unstable();
    rule.byhour.sort_unstable();
    rule.byday.sort_unstable();
    rule.bymonthday.sort_unstable();
    rule.byyearday.sort_unstable();
    rule.byweekno.sort_unstable();
    rule.bymonth.sort_unstable();
    rule.bysetpos.sort_unstable();
    rule.interval = rule.interval.filter(|interval| *interval != 1);
    rule.wkst = rule
        .wkst
        .filter(|day| *day != calcard::icalendar::ICalendarWeekday::Monday);
}

fn of_card(line: &str) -> Option<Vec<String>> {
    let text = format!("BEGIN:VCARD\r\n{line}\r\nEND:VCARD\r\n");
    let Entry::VCard(VCard { entries }) = Parser::new(&text).entry() else {
        return None;
    };
    let mut entries = entries
        .into_iter()
        .filter(|entry| !matches!(entry.name, VCardProperty::Begin | VCardProperty::End));
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return None;
    };
    let parameters = parameters(entry.params.iter().map(|parameter| {
        let single = VCardEntry {
            group: None,
            name: VCardProperty::Uid,
            params: vec![parameter.clone()],
            values: Vec::new(),
        };
        written(|out| single.write_to(out, true))
    }))?;
    let text = written(|out| entry.write_to(out, true))?;
    let value = text.get(value_at(text.as_bytes())?..)?;
    let group = entry
        .group
        .map(|group| group.to_ascii_uppercase() + ".")
        .unwrap_or_default();
    let name = entry.name.as_str().to_ascii_uppercase();
    Some(vec![format!("{group}{name}{parameters}:{value}")])
}

/// The parameters in their one order; each was written alone, behind a name and before a colon.
fn parameters(written: impl Iterator<Item = Option<String>>) -> Option<String> {
    let mut texts = Vec::new();
    for line in written {
        let line = line?;
        let start = line.find(';')?;
        let text = line.get(start..value_at(line.as_bytes())? - 1)?;
        let name = text.split('=').next().unwrap_or_default().to_ascii_uppercase();
        match name.as_str() {
            // The value shows it.
            ";VALUE" | ";ENCODING" | ";CHARSET" => continue,
            // What is between a client and its server (RFC 6638 section 7).
            ";SCHEDULE-AGENT" | ";SCHEDULE-STATUS" | ";SCHEDULE-FORCE-SEND" => continue,
            // Notes of a library to itself.
            name if name.starts_with(";X-VOBJ-") => continue,
            // Their values have no case (RFC 6350 section 5.6).
            ";TYPE" => texts.push(text.to_ascii_uppercase().replace('"', "")),
            _ => texts.push(text.to_owned()),
        }
    }
    texts.sort_unstable();
    texts.dedup();
    Some(texts.concat())
}

/// What is written, unfolded and without its line end.
fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> Option<String> {
    let mut out = String::new();
    write(&mut out).ok()?;
    let mut text = out.replace("\r\n ", "");
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Some(text)
}
