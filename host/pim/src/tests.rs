use proptest::prelude::*;

use super::*;

fn event(lines: &str) -> Vec<u8> {
    let lines = lines
        .trim()
        .lines()
        .map(str::trim_start)
        .collect::<Vec<_>>()
        .join("\r\n");
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//a//b//EN\r\nBEGIN:VEVENT\r\nUID:1@example.org\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
        .into_bytes()
}

fn card(lines: &str) -> Vec<u8> {
    let lines = lines
        .trim()
        .lines()
        .map(str::trim_start)
        .collect::<Vec<_>>()
        .join("\r\n");
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\n{lines}\r\nEND:VCARD\r\n").into_bytes()
}

fn shown(format: Format, object: &[u8]) -> String {
    String::from_utf8_lossy(&normal_form(format, object)).into_owned()
}

#[track_caller]
fn same_event(a: &str, b: &str) {
    let [a, b] = [a, b].map(|lines| shown(Format::Calendar, &event(lines)));
    assert_eq!(a, b);
}

#[track_caller]
fn other_event(a: &str, b: &str) {
    let [a, b] = [a, b].map(|lines| shown(Format::Calendar, &event(lines)));
    assert_ne!(a, b);
}

#[track_caller]
fn same_card(a: &str, b: &str) {
    let [a, b] = [a, b].map(|lines| shown(Format::Card, &card(lines)));
    assert_eq!(a, b);
}

#[track_caller]
fn other_card(a: &str, b: &str) {
    let [a, b] = [a, b].map(|lines| shown(Format::Card, &card(lines)));
    assert_ne!(a, b);
}

#[test]
fn what_servers_write_anew_stays_the_same() {
    same_event("SUMMARY:Lunch\nLOCATION:Here", "LOCATION:Here\nSUMMARY:Lunch");
    same_event("summary:Lunch", "SUMMARY:Lunch");
    same_event(
        "DTSTAMP:20200101T000000Z\nSUMMARY:a",
        "SUMMARY:a\nDTSTAMP:20211231T000000Z",
    );
    same_event("DTSTART;VALUE=DATE:20200101", "DTSTART:20200101");
    same_event(
        "DTSTART;TZID=Europe/Berlin;VALUE=DATE-TIME:20200101T100000",
        "DTSTART;TZID=Europe/Berlin:20200101T100000",
    );
    same_event(
        "RRULE:FREQ=WEEKLY;BYDAY=MO,FR;COUNT=4",
        "RRULE:COUNT=4;FREQ=WEEKLY;INTERVAL=1;BYDAY=FR,MO",
    );
    same_event("CATEGORIES:a,b\\,c", "CATEGORIES:b\\,c\nCATEGORIES:a");
    same_event(
        "EXDATE;TZID=Europe/Berlin:20200101T100000,20200102T100000",
        "EXDATE;TZID=Europe/Berlin:20200102T100000\nEXDATE;TZID=Europe/Berlin:20200101T100000",
    );
    same_event(
        "ATTENDEE;PARTSTAT=accepted;CN=\"Ann\";ROLE=CHAIR:mailto:ann@example.org",
        "ATTENDEE;ROLE=CHAIR;CN=Ann;PARTSTAT=ACCEPTED:mailto:ann@example.org",
    );
    same_event(
        "ATTENDEE;SCHEDULE-AGENT=CLIENT;SCHEDULE-STATUS=1.1:mailto:ann@example.org",
        "ATTENDEE:mailto:ann@example.org",
    );
    same_event("DESCRIPTION:one\\Ntwo", "DESCRIPTION:one\\ntwo");
    same_card("TEL;TYPE=home,voice:+1", "TEL;TYPE=VOICE;TYPE=HOME:+1");
    same_card("item1.EMAIL:a@example.org\nFN:A", "FN:A\nitem1.EMAIL:a@example.org");
    same_card(
        "PHOTO;ENCODING=b;TYPE=JPEG:aGVsbG8=",
        "PHOTO;TYPE=jpeg;ENCODING=B:aGVsbG8=",
    );
}

#[test]
fn what_says_something_else_differs() {
    other_event("SUMMARY:Lunch", "SUMMARY:lunch");
    other_event("SUMMARY:a", "SUMMARY:a\nSUMMARY:a");
    other_event("DTSTART:20200101T100000", "DTSTART:20200101T100000Z");
    other_event(
        "DTSTART;TZID=Europe/Berlin:20200101T100000",
        "DTSTART;TZID=Europe/Paris:20200101T100000",
    );
    other_event("RRULE:FREQ=WEEKLY;COUNT=4", "RRULE:FREQ=WEEKLY;COUNT=5");
    other_event("RRULE:FREQ=WEEKLY;WKST=SU", "RRULE:FREQ=WEEKLY");
    other_event(
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@b.org",
        "ATTENDEE;PARTSTAT=DECLINED:mailto:a@b.org",
    );
    other_event("X-OWN;X-P=1:a", "X-OWN;X-P=2:a");
    other_event("DURATION:PT1H", "DURATION:PT2H");
    other_event(
        "BEGIN:VALARM\nTRIGGER:-PT5M\nEND:VALARM",
        "BEGIN:VALARM\nTRIGGER:-PT6M\nEND:VALARM",
    );
    other_event("CATEGORIES:a,b", "CATEGORIES:a\\,b");
    other_card("FN:A", "FN:B");
    other_card("TEL;TYPE=HOME:+1", "TEL;TYPE=WORK:+1");
    other_card("item1.EMAIL:a@example.org", "item2.EMAIL:a@example.org");
    other_card("N:Doe;Ann;;;", "N:Ann;Doe;;;");
    other_card("NOTE:a\\nb", "NOTE:a b");
    other_card("PHOTO;ENCODING=b:aGVsbG8=", "PHOTO;ENCODING=b:aGVsbHA=");
}

#[test]
fn what_is_broken_is_compared_as_it_stands() {
    for [a, b] in [
        ["DTSTART:yesterday", "DTSTART:tomorrow"],
        ["no colon here", "no colon there"],
        ["RRULE:FREQ=SOMETIMES", "RRULE:FREQ=NEVER"],
        ["SUMMARY;=:a", "SUMMARY;=:b"],
    ] {
        other_event(a, b);
        same_event(&format!("{a}\nLOCATION:x"), &format!("LOCATION:x\n{a}"));
    }
    // Cut off, and ended twice.
    assert_ne!(
        normal_form(Format::Calendar, b"BEGIN:VCALENDAR\n"),
        normal_form(Format::Calendar, b"BEGIN:VCALENDAR\nEND:VCALENDAR\n")
    );
    assert_ne!(
        normal_form(Format::Calendar, b"END:VEVENT\n"),
        normal_form(Format::Calendar, b"")
    );
    // Latin-1, and a NUL.
    assert_ne!(
        normal_form(Format::Card, b"BEGIN:VCARD\nFN:\xe4\nEND:VCARD"),
        normal_form(Format::Card, b"BEGIN:VCARD\nFN:\xf6\nEND:VCARD")
    );
    let deep = "BEGIN:X\n".repeat(10_000);
    assert!(!normal_form(Format::Calendar, deep.as_bytes()).is_empty());
}

#[test]
fn zones_that_are_known_by_name_need_no_definition() {
    let zone = |name: &str, offset: &str| {
        format!(
            "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:{name}\nBEGIN:STANDARD\nTZOFFSETTO:{offset}\nTZOFFSETFROM:{offset}\nDTSTART:19700101T000000\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT\nDTSTART;TZID=\"Europe/Berlin\":1\nDTEND;VALUE=DATE-TIME;tzid=Our own:1\nEND:VEVENT\nEND:VCALENDAR\n"
        )
    };
    let normal = |name, offset| normal_form(Format::Calendar, zone(name, offset).as_bytes());
    assert_eq!(normal("Europe/Berlin", "+0100"), normal("Europe/Berlin", "+0105"));
    assert_ne!(normal("Our own", "+0100"), normal("Our own", "+0105"));
    // Nor do those that nothing refers to.
    assert_eq!(normal("Theirs", "+0100"), normal("Nobody's", "+0105"));
}

#[test]
fn a_uid_is_that_of_what_the_object_is_about() {
    let calendar = b"BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nUID:zone\r\nEND:VTIMEZONE\r\nBEGIN:VTODO\r\nuid;X-A=\"b:c\":a\r\n b \r\nEND:VTODO\r\nEND:VCALENDAR\r\n";
    assert_eq!(uid(Format::Calendar, calendar).as_deref(), Some("ab"));
    assert_eq!(uid(Format::Card, &card("FN:A")).as_deref(), Some("1"));
    assert_eq!(uid(Format::Card, b"BEGIN:VCARD\nUID:\nEND:VCARD"), None);
    assert_eq!(uid(Format::Calendar, b""), None);
}

#[test]
fn media_types_name_formats() {
    assert_eq!(
        Format::of("text/calendar; charset=utf-8; component=VEVENT"),
        Some(Format::Calendar)
    );
    assert_eq!(Format::of("Text/vCard"), Some(Format::Card));
    assert_eq!(Format::of("message/rfc822"), None);
}

/// Folds after so many bytes, never within a character.
fn folded(text: &str, at: usize) -> String {
    let mut out = String::new();
    for line in text.split_terminator("\r\n") {
        let mut length = 0;
        for character in line.chars() {
            if length + character.len_utf8() > at {
                out.push_str("\r\n ");
                length = 1;
            }
            out.push(character);
            length += character.len_utf8();
        }
        out.push_str("\r\n");
    }
    out
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Z-]{1,12}(;[A-Z-]{1,8}=(\"[^\"\\r\\n\\x00]{0,10}\"|[a-zA-Z0-9]{0,10})){0,3}:[^\\r\\n\\x00]{0,40}",
        "(SUMMARY|DTSTART|RRULE|EXDATE|ATTENDEE|TRIGGER|DURATION|GEO|FN|N|TEL|ADR|PHOTO|BDAY|REV)(;VALUE=[A-Z-]{1,9})?:[^\\r\\n\\x00]{0,40}",
        "[^\\r\\n\\x00]{1,40}",
    ]
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for format in [Format::Calendar, Format::Card] {
            normal_form(format, &bytes);
            uid(format, &bytes);
        }
    }

    #[test]
    fn order_and_folding_say_nothing(lines in proptest::collection::vec(line(), 1..8), at in 20usize..75, turn in any::<prop::sample::Index>()) {
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.starts_with([' ', '\t', '\u{feff}']) && !line.ends_with('=')).collect();
        let mut others = lines.clone();
        others.rotate_left(turn.index(lines.len() + 1).min(lines.len()));
        for format in [Format::Calendar, Format::Card] {
            let one = normal_form(format, lines.join("\r\n").as_bytes());
            let text = folded(&(others.join("\r\n") + "\r\n"), at);
            let upper = |line: &String| line.to_ascii_uppercase();
            // What opens and ends components has an order.
            if !lines.iter().map(upper).any(|line| line.starts_with("BEGIN:") || line.starts_with("END:")) {
                prop_assert_eq!(one, normal_form(format, text.as_bytes()));
            }
        }
    }

    #[test]
    fn a_changed_text_is_seen(text in "[a-zA-Z0-9 äß漢]{1,30}", at in any::<prop::sample::Index>(), parameter in "[a-z]{1,8}") {
        let mut changed: Vec<char> = text.chars().collect();
        let at = at.index(changed.len());
        changed[at] = if changed[at] == 'q' { 'r' } else { 'q' };
        let changed: String = changed.into_iter().collect();
        for name in ["SUMMARY", "DESCRIPTION", "X-ANYTHING", "COMMENT", "CATEGORIES", "UID"] {
            let object = |text: &str| normal_form(Format::Calendar, &event(&format!("{name};X-P={parameter}:{text}x")));
            prop_assert_ne!(object(&text), object(&changed));
        }
        for name in ["FN", "NOTE", "X-ANYTHING", "ORG", "NICKNAME"] {
            let object = |text: &str| normal_form(Format::Card, &card(&format!("{name};X-P={parameter}:{text}x")));
            prop_assert_ne!(object(&text), object(&changed));
        }
    }
}

#[test]
fn a_card_of_another_version_says_the_same() {
    let four = b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Team \r\nKIND:group\r\nMEMBER:urn:uuid:1\r\nEND:VCARD\r\n";
    let three = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Team\r\nx-addressbookserver-kind:group\r\n\
                  X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1\r\nEND:VCARD\r\n";
    assert_eq!(normal_form(Format::Card, four), normal_form(Format::Card, three));
    let other = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Team\r\nX-ADDRESSBOOKSERVER-KINDS:group\r\n\
                  X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1\r\nEND:VCARD\r\n";
    assert_ne!(normal_form(Format::Card, four), normal_form(Format::Card, other));
}
