//! Events, tasks and contacts with what is known to be hard: each with the name of a file and its text.

/// A zone that nobody else knows, and one by the name that Windows gives it.
const ZONES: &str = "BEGIN:VTIMEZONE\nTZID:Our Office\nBEGIN:STANDARD\nDTSTART:19701025T030000\nTZOFFSETFROM:+0245\nTZOFFSETTO:+0145\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nTZNAME:OST\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:19700329T020000\nTZOFFSETFROM:+0145\nTZOFFSETTO:+0245\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nTZNAME:ODT\nEND:DAYLIGHT\nEND:VTIMEZONE\n\
BEGIN:VTIMEZONE\nTZID:W. Europe Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\n";

/// A calendar object around components, folded, with CRLF.
fn calendar(zones: bool, components: &str) -> String {
    let zones = if zones { ZONES } else { "" };
    folded(&format!(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Whimbrel//Tests//EN\n{zones}{components}END:VCALENDAR\n"
    ))
}

/// Lines of at most 75 bytes, with CRLF (RFC 5545, 3.1).
fn folded(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut column = 0;
        for character in line.chars() {
            if column + character.len_utf8() > 75 {
                out.push_str("\r\n ");
                column = 1;
            }
            out.push(character);
            column += character.len_utf8();
        }
        out.push_str("\r\n");
    }
    out
}

/// A plain event.
pub fn event(uid: &str, summary: &str) -> String {
    calendar(
        false,
        &format!(
            "BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20200101T000000Z\nDTSTART:20210301T090000Z\nDTEND:20210301T100000Z\n\
             SUMMARY:{summary}\nEND:VEVENT\n"
        ),
    )
}

/// A plain contact.
pub fn contact(uid: &str, name: &str) -> String {
    folded(&format!(
        "BEGIN:VCARD\nVERSION:3.0\nUID:{uid}\nFN:{name}\nN:{name};;;;\nEMAIL;TYPE=WORK:{uid}@example.org\nEND:VCARD\n"
    ))
}

/// The hard ones of a calendar.
pub fn calendar_objects() -> Vec<(String, String)> {
    let stamp = "DTSTAMP:20200101T000000Z\n";
    let photo = "QUJDRA".repeat(8_000);
    let long = "äöü 日本語 \\, \\; \\n ".repeat(200);
    let objects = [
        (
            "series",
            true,
            format!(
                "BEGIN:VEVENT\nUID:series@example.org\n{stamp}DTSTART;TZID=Our Office:20210301T090000\nDTEND;TZID=Our Office:20210301T100000\nRRULE:FREQ=WEEKLY;COUNT=20;BYDAY=MO,TH\nEXDATE;TZID=Our Office:20210308T090000\nSUMMARY:Each week\nSEQUENCE:3\nEND:VEVENT\n\
                 BEGIN:VEVENT\nUID:series@example.org\n{stamp}RECURRENCE-ID;TZID=Our Office:20210315T090000\nDTSTART;TZID=Our Office:20210316T140000\nDTEND;TZID=Our Office:20210316T150000\nSUMMARY:Moved once\nEND:VEVENT\n\
                 BEGIN:VEVENT\nUID:series@example.org\n{stamp}RECURRENCE-ID;TZID=Our Office:20210322T090000\nDTSTART;TZID=Our Office:20210322T090000\nDTEND;TZID=Our Office:20210322T100000\nSTATUS:CANCELLED\nSUMMARY:Not this time\nEND:VEVENT\n"
            ),
        ),
        (
            "windows",
            true,
            format!(
                "BEGIN:VEVENT\nUID:windows@example.org\n{stamp}DTSTART;TZID=W. Europe Standard Time:20210601T080000\nDURATION:PT45M\nSUMMARY:As Windows says it\nEND:VEVENT\n"
            ),
        ),
        (
            "guests",
            false,
            format!(
                "BEGIN:VEVENT\nUID:guests@example.org\n{stamp}DTSTART:20210701T080000Z\nDTEND:20210701T090000Z\nORGANIZER;CN=\"Boss: the; one\":mailto:boss@example.org\nATTENDEE;CN=Ann;PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT:mailto:ann@example.org\nATTENDEE;CN=Bob;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob@example.org\nSUMMARY:With guests\nCLASS:PRIVATE\nTRANSP:TRANSPARENT\nBEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:Go\nTRIGGER:-PT15M\nEND:VALARM\nBEGIN:VALARM\nACTION:AUDIO\nTRIGGER;VALUE=DATE-TIME:20210701T070000Z\nEND:VALARM\nEND:VEVENT\n"
            ),
        ),
        (
            "allday",
            false,
            format!(
                "BEGIN:VEVENT\nUID:allday@example.org\n{stamp}DTSTART;VALUE=DATE:20211224\nDTEND;VALUE=DATE:20211227\nRRULE:FREQ=YEARLY\nSUMMARY:{long}\nX-OWN;X-MORE=yes:kept\nCATEGORIES:One,Two\nEND:VEVENT\n"
            ),
        ),
        (
            "attached",
            false,
            format!(
                "BEGIN:VEVENT\nUID:attached@example.org\n{stamp}DTSTART:20210801T080000Z\nSUMMARY:With a file\nATTACH;ENCODING=BASE64;FMTTYPE=image/png;VALUE=BINARY:{photo}\nATTACH:https://example.org/a?b=c&d=%20e\nEND:VEVENT\n"
            ),
        ),
        (
            "task",
            false,
            format!(
                "BEGIN:VTODO\nUID:task@example.org\n{stamp}DUE:20210901T080000Z\nSUMMARY:To be done\nPRIORITY:1\nPERCENT-COMPLETE:40\nSTATUS:IN-PROCESS\nEND:VTODO\n"
            ),
        ),
        (
            "subtask",
            false,
            format!(
                "BEGIN:VTODO\nUID:subtask@example.org\n{stamp}RELATED-TO;RELTYPE=PARENT:task@example.org\nSUMMARY:The first step\nPERCENT-COMPLETE:100\nSTATUS:COMPLETED\nCOMPLETED:20210830T120000Z\nEND:VTODO\n"
            ),
        ),
    ];
    objects
        .into_iter()
        .map(|(name, zones, components)| (format!("{name}.ics"), calendar(zones, &components)))
        .collect()
}

/// Series that differ by what their rules, exceptions and zones say.
pub fn series() -> Vec<(String, String)> {
    let office = "DTSTART;TZID=Our Office:20210104T090000\nDTEND;TZID=Our Office:20210104T093000\n";
    let utc = "DTSTART:20210104T220000Z\nDTEND:20210104T233000Z\n";
    let floating = "DTSTART:20210104T220000\nDTEND:20210104T233000\n";
    let whole_day = "DTSTART;VALUE=DATE:20210131\nDTEND;VALUE=DATE:20210202\n";
    let rules = [
        (
            "weekdays",
            office,
            "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,FR;UNTIL=20231231T225959Z\n",
        ),
        ("last-friday", office, "RRULE:FREQ=MONTHLY;BYDAY=-1FR\n"),
        (
            "last-workday",
            utc,
            "RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=40\n",
        ),
        (
            "across-dst",
            office,
            "RRULE:FREQ=DAILY;INTERVAL=3\nEXDATE;TZID=Our Office:20210107T090000,20210110T090000\n",
        ),
        (
            "extra",
            utc,
            "RRULE:FREQ=YEARLY\nRDATE:20210704T100000Z,20220704T100000Z\n",
        ),
        ("floating", floating, "RRULE:FREQ=WEEKLY;WKST=SU;COUNT=30\n"),
        (
            "leap-day",
            "DTSTART;VALUE=DATE:20200229\nDTEND;VALUE=DATE:20200301\n",
            "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29\n",
        ),
        ("end-of-month", whole_day, "RRULE:FREQ=MONTHLY;BYMONTHDAY=31\n"),
        (
            "first-of-quarter",
            whole_day,
            "RRULE:FREQ=YEARLY;BYMONTH=1,4,7,10;BYDAY=1MO\n",
        ),
        ("once", office, ""),
    ];
    let series = rules.map(|(name, times, rule)| {
        let event = format!(
            "BEGIN:VEVENT\nUID:{name}@example.org\nDTSTAMP:20200101T000000Z\n{times}{rule}SUMMARY:{name}\nEND:VEVENT\n"
        );
        (format!("{name}.ics"), calendar(times.contains("TZID"), &event))
    });
    series.into()
}

/// The hard ones of an address book.
pub fn contacts() -> Vec<(String, String)> {
    let photo = "/9j/4AAQSkZJRgAB".repeat(4_000);
    let cards = [
        (
            "three",
            format!(
                "BEGIN:VCARD\nVERSION:3.0\nUID:three@example.org\nFN:Zoë Müller-日本\nN:Müller-日本;Zoë;;Dr.;\nitem1.EMAIL;TYPE=INTERNET:zoe@example.org\nitem1.X-ABLABEL:_$!<Other>!$_\nTEL;TYPE=CELL,VOICE:+49 30 123\nADR;TYPE=HOME:;;Straße 1\\, hinten;Berlin;;10115;DE\nBDAY:1980-02-29\nNOTE:one\\ntwo\\, three\\; four\nPHOTO;ENCODING=b;TYPE=JPEG:{photo}\nX-SOCIALPROFILE;TYPE=own:https://example.org/zoe\nREV:20200101T000000Z\nEND:VCARD\n"
            ),
        ),
        (
            "four",
            "BEGIN:VCARD\nVERSION:4.0\nUID:urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1\nFN:محمد علي\nN:علي;محمد;;;\nTEL;TYPE=home;VALUE=uri:tel:+1-555-0100\nEMAIL;PREF=1:m@example.org\nBDAY:--0203\nKIND:individual\nLANG;PREF=1:ar\nRELATED;TYPE=friend:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\nEND:VCARD\n"
                .to_owned(),
        ),
        (
            "group",
            "BEGIN:VCARD\nVERSION:3.0\nUID:group@example.org\nFN:Team\nN:Team;;;;\nX-ADDRESSBOOKSERVER-KIND:group\nX-ADDRESSBOOKSERVER-MEMBER:urn:uuid:three@example.org\nEND:VCARD\n"
                .to_owned(),
        ),
    ];
    cards
        .into_iter()
        .map(|(name, card)| (format!("{name}.vcf"), folded(&card)))
        .collect()
}
