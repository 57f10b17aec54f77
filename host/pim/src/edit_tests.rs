use proptest::prelude::*;

use super::*;

const MEETING: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:Mine\r\nCOMMENT:zone\r\nEND:VTIMEZONE\r\n\
    BEGIN:VEVENT\r\nUID:1@old.example\r\nSUMMARY:Ask bob@old.example\r\n\
    ORGANIZER;CN=\"Bob; Boss\";SENT-BY=\"mailto:eve@old.example\":MAILTO:Bob@Old.example\r\n\
    ATTENDEE;CN=Al:mailto:al@other.example\r\nX-SENDER:mailto:bob@old.example\r\n\
    BEGIN:VALARM\r\nSUMMARY:alarm\r\nATTENDEE:mailto:bob@old.example\r\nEND:VALARM\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nUID:1@old.example\r\nRECURRENCE-ID:20260101T100000Z\r\nSUMMARY:Moved\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

fn set(property: &str, value: &str) -> Edit {
    Edit::Set {
        property: property.into(),
        value: value.into(),
    }
}

fn address(from: &str, to: &str) -> Edit {
    Edit::Address {
        from: from.into(),
        to: to.into(),
    }
}

fn domain(from: &str, to: &str) -> Edit {
    Edit::Domain {
        from: from.into(),
        to: to.into(),
    }
}

#[track_caller]
fn edited(format: Format, object: &str, edits: &[Edit]) -> (String, Vec<String>) {
    let Edited { bytes, changes } = apply(format, object.as_bytes(), edits)
        .unwrap()
        .expect("something changes");
    let changes = changes.iter().map(ToString::to_string);
    (String::from_utf8(bytes).unwrap(), changes.collect())
}

#[test]
fn an_object_is_looked_into() {
    let object = Object::read(Format::Calendar, MEETING.as_bytes());
    assert_eq!(object.component(), "VEVENT");
    assert_eq!(
        object.values("summary"),
        ["Ask bob@old.example"],
        "of the series, not of the instance"
    );
    let organizer = Person {
        name: "Bob; Boss".into(),
        address: "Bob@Old.example".into(),
    };
    assert_eq!(object.people("ORGANIZER"), [organizer]);
    assert_eq!(object.people("ATTENDEE")[0].name, "Al");
    let card = "BEGIN:VCARD\r\nVERSION:2.1\r\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen=\r\n M\r\n\
                NOTE:a\\, b\\nc\r\nitem1.EMAIL;TYPE=work:a@old.example\r\nEND:VCARD\r\n";
    let object = Object::read(Format::Card, card.as_bytes());
    assert_eq!(object.values("NOTE"), ["a, b\nc"]);
    assert_eq!(object.people("EMAIL")[0].address, "a@old.example");
    for broken in ["", "BEGIN:VCARD", "no object", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"] {
        let object = Object::read(Format::Calendar, broken.as_bytes());
        assert!(object.values("SUMMARY").is_empty() && object.people("ORGANIZER").is_empty());
    }
}

#[test]
fn moments_are_those_of_their_zones() {
    for (line, moment) in [
        ("DTSTART:20260101T100000Z", Some((1_767_261_600, 0))),
        ("DTSTART;TZID=Europe/Berlin:20260701T100000", Some((1_782_892_800, 120))),
        (
            "DTSTART;TZID=W. Europe Standard Time:20260101T100000",
            Some((1_767_258_000, 60)),
        ),
        ("DTSTART;TZID=Nowhere:20260101T100000", Some((1_767_261_600, 0))),
        ("DTSTART;VALUE=DATE:20260101", Some((1_767_225_600, 0))),
        // Skipped when summer time begins.
        ("DTSTART;TZID=Europe/Berlin:20260329T023000", Some((1_774_751_400, 0))),
        ("DTSTART:soon", None),
        ("DTSTART", None),
    ] {
        let object = format!("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{line}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n");
        assert_eq!(
            Object::read(Format::Calendar, object.as_bytes()).moment("DTSTART"),
            moment,
            "{line}"
        );
    }
}

#[test]
fn addresses_change_where_they_stand_for_somebody() {
    let (new, changes) = edited(Format::Calendar, MEETING, &[domain("old.example", "new.example")]);
    assert_eq!(
        changes,
        ["rewrote ORGANIZER (1)", "rewrote X-SENDER (1)", "rewrote ATTENDEE (1)"]
    );
    let new = new.replace("\r\n ", "");
    assert!(
        new.contains("Bob@new.example") && new.contains("mailto:eve@new.example"),
        "{new}"
    );
    assert!(
        new.contains("UID:1@old.example") && new.contains("SUMMARY:Ask bob@old.example"),
        "{new}"
    );
    let (new, changes) = edited(
        Format::Calendar,
        MEETING,
        &[address("bob@old.example", "robert@new.example")],
    );
    assert_eq!(changes.len(), 3);
    let new = new.replace("\r\n ", "");
    assert!(
        new.contains("MAILTO:robert@new.example") && new.contains("eve@old.example"),
        "{new}"
    );
    for near in ["ob@old.example", "bob@old.exampl", "bob@old.example.org"] {
        assert_eq!(
            apply(Format::Calendar, MEETING.as_bytes(), &[address(near, "x@y")]),
            Ok(None),
            "{near}"
        );
    }
    let card = "BEGIN:VCARD\nVERSION:3.0\nEMAIL;TYPE=work:a@old.example\nNOTE:a@old.example\nEND:VCARD\n";
    let (new, changes) = edited(Format::Card, card, &[domain("OLD.example", "new.example")]);
    assert_eq!(changes, ["rewrote EMAIL (1)"]);
    assert_eq!(
        new,
        card.replace("work:a@old.example", "work:a@new.example"),
        "line ends stay"
    );
}

#[test]
fn properties_are_set_in_the_object_and_in_nothing_nested() {
    let (new, changes) = edited(Format::Calendar, MEETING, &[set("summary", "One, two; three\nfour\\")]);
    assert_eq!(changes, ["set SUMMARY (2)"]);
    assert_eq!(
        new.matches("SUMMARY:One\\, two\\; three\\nfour\\\\\r\n").count(),
        2,
        "{new}"
    );
    assert!(
        new.contains("SUMMARY:alarm\r\n") && new.contains("COMMENT:zone"),
        "{new}"
    );
    let read = Object::read(Format::Calendar, new.as_bytes());
    assert_eq!(read.values("SUMMARY"), ["One, two; three\nfour\\"]);

    let add = Edit::Add {
        property: "CATEGORIES".into(),
        value: "Moved".into(),
    };
    let (new, changes) = edited(Format::Calendar, MEETING, &[add]);
    assert_eq!(changes, ["added CATEGORIES (2)"]);
    assert!(new.contains("CATEGORIES:Moved\r\nEND:VEVENT"), "{new}");

    let remove = Edit::Remove {
        property: "attendee".into(),
    };
    let (new, changes) = edited(Format::Calendar, MEETING, &[remove]);
    assert_eq!(changes, ["removed ATTENDEE (1)"], "that of the alarm stays");
    assert_eq!(new, MEETING.replace("ATTENDEE;CN=Al:mailto:al@other.example\r\n", ""));
}

#[test]
fn what_was_set_already_is_no_change() {
    let object = "BEGIN:VCARD\r\nVERSION:4.0\r\nNOTE:x\r\nEND:VCARD\r\n";
    assert_eq!(apply(Format::Card, object.as_bytes(), &[set("NOTE", "x")]), Ok(None));
}

#[test]
fn long_lines_are_folded_and_in_no_character() {
    let long = "ü".repeat(100);
    let (new, _) = edited(Format::Calendar, MEETING, &[set("LOCATION", &long)]);
    assert!(
        new.lines().all(|line| line.len() <= 75 || MEETING.contains(line)),
        "{new}"
    );
    assert_eq!(
        Object::read(Format::Calendar, new.as_bytes()).values("LOCATION"),
        std::slice::from_ref(&long)
    );
    let old = "BEGIN:VCARD\r\nVERSION:2.1\r\nEND:VCARD\r\n";
    let (new, _) = edited(Format::Card, old, &[set("NOTE", &long)]);
    assert_eq!(new.lines().count(), 4, "vCard 2.1 folds in another way");
}

#[test]
fn what_holds_an_object_together_cannot_be_changed() {
    for (edit, said) in [
        (set("UID", "x"), "UID cannot be changed"),
        (set("X Y", "x"), "no name of a property"),
        (set("RRULE", "a\nb"), "control characters"),
        (set("SUMMARY", "a\u{7}"), "control characters"),
        (address("bob", "x@y"), "no address"),
        (domain("a b", "c"), "no address"),
        (domain("a.example", "x@c.example"), "no address"),
    ] {
        let error = apply(Format::Calendar, MEETING.as_bytes(), &[edit])
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{error}");
    }
    let text = Edit::Text {
        from: "a".into(),
        to: "b".into(),
    };
    assert!(apply(Format::Calendar, MEETING.as_bytes(), &[text]).is_err());
    assert!(apply(Format::Sieve, b"keep;", &[set("SUMMARY", "x")]).is_err());
}

const FILTER: &str = r#"# mail to bob@old.example
require ["fileinto", "vacation"]; /* "bob@old.example" */
require "imap4flags";
if address :domain "from" "Old.example" { redirect "bob@old.example"; }
if header :contains "to" ["@old.example", "a \"b\""] { fileinto "Old/Work"; }
vacation :from "Bob <bob@old.example>" :addresses ["b@old.example"] "Write to bob@old.example, please";
vacation text:
"bob@old.example"
.
;
"#;

#[test]
fn strings_of_filters_change_and_texts_for_people_stay() {
    assert_eq!(requires(FILTER.as_bytes()), ["fileinto", "vacation", "imap4flags"]);
    let (new, changes) = edited(Format::Sieve, FILTER, &[domain("old.example", "new.example")]);
    assert_eq!(changes, ["rewrote strings (5)"]);
    for kept in [
        "# mail to bob@old.example",
        "/* \"bob@old.example\" */",
        "Write to bob@old.example, please",
        "\n\"bob@old.example\"\n.",
    ] {
        assert!(new.contains(kept), "{new}");
    }
    for changed in [
        "\"new.example\" { redirect \"bob@new.example\"",
        "[\"@new.example\", \"a \\\"b\\\"\"]",
        "\"Bob <bob@new.example>\" :addresses [\"b@new.example\"]",
    ] {
        assert!(new.contains(changed), "{new}");
    }
    let folder = Edit::Text {
        from: "Old/Work".into(),
        to: "Work \"2\"".into(),
    };
    let (new, _) = edited(Format::Sieve, FILTER, &[folder]);
    assert!(new.contains(r#"fileinto "Work \"2\"";"#), "{new}");
    for broken in ["\"", "/*", "text:", "require", "#", "\"\\", "require [\"a"] {
        assert_eq!(
            apply(Format::Sieve, broken.as_bytes(), &[domain("a", "b")]),
            Ok(None),
            "{broken}"
        );
        requires(broken.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_lines_that_are_not_meant_stay(
        text in "(BEGIN:VEVENT|END:VEVENT|BEGIN:VCARD|END:VCARD|ATTENDEE|EMAIL|mailto:|a@b\\.c|[;:=\",\\\\ \r\n\tü#/*]|text:|require|[a-z]){0,60}",
        format in prop::sample::select(vec![Format::Calendar, Format::Card, Format::Sieve]),
    ) {
        let edit = address("a@b.c", "d@e.f");
        let once = apply(format, text.as_bytes(), std::slice::from_ref(&edit)).unwrap();
        if let Some(Edited { bytes: new, .. }) = once {
            prop_assert_eq!(apply(format, &new, &[edit]), Ok(None), "once is enough");
        }
        let marked = format!("{text}\r\n");
        let kept: usize = tree::physical(marked.as_bytes()).map(|line| line.raw.len()).sum();
        prop_assert_eq!(kept, marked.len(), "every byte belongs to a line");
        if format != Format::Sieve {
            drop(apply(format, text.as_bytes(), &[set("SUMMARY", "x"), Edit::Remove { property: "EMAIL".into() }]).unwrap());
            Object::read(format, text.as_bytes()).people("ATTENDEE");
        }
        requires(text.as_bytes());
    }

    #[test]
    fn what_is_set_is_read_again(value in "[^\\p{Cc}\u{2028}\u{2029}]{0,200}") {
        let edits = [set("DESCRIPTION", &value)];
        if let Some(Edited { bytes: new, .. }) = apply(Format::Calendar, MEETING.as_bytes(), &edits).unwrap() {
            let read = Object::read(Format::Calendar, &new).values("DESCRIPTION");
            // Blanks at the end of a line say nothing.
            prop_assert_eq!(read, vec![value.trim_end_matches(' ').to_owned()]);
        }
    }
}
