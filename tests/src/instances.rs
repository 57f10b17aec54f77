//! When events take place: expanded by libraries that share nothing with the program under test (Debian's
//! `python3-icalendar` and `python3-recurring-ical-events`).

use std::io::Write;
use std::process::{Command, Stdio};

/// Reads a JSON list of objects, and writes one of all their instances from 2021 to 2025.
const EXPAND: &str = r#"
import datetime, json, sys
import recurring_ical_events
from icalendar import Calendar
from icalendar.timezone_cache import _timezone_cache

def instant(value):
    if not isinstance(value, datetime.datetime):
        return value.strftime("%Y%m%d")
    if value.tzinfo is None:
        return value.strftime("%Y%m%dT%H%M%S")
    return value.astimezone(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")

found = []
for text in json.load(sys.stdin):
    # Each object stands for itself: a zone that another one defines is none of its own.
    _timezone_cache.clear()
    calendar = Calendar.from_ical(text)
    if not calendar.walk("VEVENT"):
        continue
    for event in recurring_ical_events.of(calendar).between((2021, 1, 1), (2026, 1, 1)):
        start = event["DTSTART"].dt
        end = event["DTEND"].dt if "DTEND" in event else start
        said = [event["UID"], instant(start), instant(end), str(event.get("STATUS", "-")), str(event.get("SUMMARY", ""))[:40]]
        found.append(" ".join(said))
json.dump(sorted(found), sys.stdout)
"#;

/// Every instance of the events in these calendar objects from 2021 to 2025: UID, beginning, end, status, and what it is
/// about.
#[track_caller]
pub fn instances<'a>(objects: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let objects: Vec<&String> = objects.into_iter().collect();
    // Debian's own Python: another one has no packages of Debian's.
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", EXPAND])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("/usr/bin/python3 starts");
    let input = serde_json::to_vec(&objects).expect("text");
    child.stdin.take().expect("piped").write_all(&input).expect("a reader");
    let output = child.wait_with_output().expect("own child");
    assert!(
        output.status.success(),
        "expanding needs: apt-get install --no-install-recommends python3-recurring-ical-events\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("a list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_expanded_and_what_is_left_out_is_missed() {
        let object = |more: &str| {
            format!(
                "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTAMP:20200101T000000Z\r\n\
                 DTSTART:20210301T090000Z\r\nDTEND:20210301T100000Z\r\nRRULE:FREQ=DAILY;COUNT=3\r\n{more}SUMMARY:x\r\n\
                 END:VEVENT\r\nEND:VCALENDAR\r\n"
            )
        };
        let whole = instances(&[object("")]);
        assert_eq!(whole.len(), 3, "{whole:?}");
        assert_eq!(whole[1], "a 20210302T090000Z 20210302T100000Z - x");
        let less = instances(&[object("EXDATE:20210302T090000Z\r\n")]);
        assert_eq!(less.len(), 2, "{less:?}");
    }
}
