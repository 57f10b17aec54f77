//! Files, taken apart.

use proptest::prelude::*;

use super::*;
use crate::index::Index;

fn ids(items: &[Read]) -> Vec<&str> {
    items.iter().map(|(id, ..)| id.as_str()).collect()
}

fn whys(items: &[Read]) -> Vec<&str> {
    items.iter().filter_map(|(.., why)| why.as_deref()).collect()
}

#[test]
fn a_file_of_one_object_is_that_object() {
    let zone = crlf("BEGIN:VTIMEZONE\nTZID:Unused\nEND:VTIMEZONE\n");
    for object in [
        calendar(&event("a", "")),
        calendar(&format!(
            "{zone}{}X-OWN:1\r\n",
            event("a", "BEGIN:VALARM\nACTION:DISPLAY\nEND:VALARM\n")
        )),
        calendar(&event("a", "")).replace("\r\n", "\n"),
        calendar(&event("a", "")).to_lowercase(),
        calendar(&format!(
            "{}{}",
            event("a", ""),
            event("a", "RECURRENCE-ID:20240102T000000Z\n")
        )),
    ] {
        for around in [format!("\u{feff}{object}"), format!("\r\n{object}\r\n\r\n")] {
            assert_eq!(
                of_file(Form::Calendar, around.as_bytes()),
                [("a".to_owned(), object.clone(), None)]
            );
        }
    }
}

#[test]
fn a_last_line_needs_no_end() {
    let object = calendar(&event("a", "")).trim_end().to_owned();
    let found = of_file(Form::Calendar, object.as_bytes());
    assert_eq!(found, [("a".to_owned(), object, None)]);
}

#[test]
fn an_object_of_many_gets_a_calendar_of_its_own_with_the_zones_it_names() {
    let zone = |name: &str| {
        crlf(&format!(
            "BEGIN:VTIMEZONE\nTZID:{name}\nBEGIN:STANDARD\nDTSTART:19700101T000000\nEND:STANDARD\nEND:VTIMEZONE\n"
        ))
    };
    let (one, two) = (zone("One"), zone("Two: the \"second\""));
    let series = event("s", "RRULE:FREQ=DAILY\nEXDATE;TZI\n D=One:20240103T000000\n");
    let moved = event("s", "RECURRENCE-ID;TZID=One:20240102T000000\n");
    let plain = event("p", "");
    let quoted = event("q", "DTEND;TZID=\"Two: the \"second\"\":20240103T000000\n");
    let said = "METHOD:PUBLISH\r\nX-WR-CALNAME:Work\r\nX-WR-TIMEZONE:Europe/Berlin\r\n";
    let file = calendar(&format!("{said}{one}{series}{plain}{two}{moved}{quoted}"));
    let kept = "X-WR-TIMEZONE:Europe/Berlin\r\n";
    let _ = quoted;
    let found = of_file(Form::Calendar, file.as_bytes());
    assert_eq!(ids(&found), ["s", "p", "q"]);
    assert_eq!(found[0].1, calendar(&format!("{kept}{one}{series}{moved}")));
    assert_eq!(found[1].1, calendar(&format!("{kept}{plain}")));
    assert!(found[2].1.contains("UID:q") && !found[2].1.contains("TZID:One"));
}

#[test]
fn what_lies_there_twice_is_twice_there() {
    let both = format!(
        "{}{}",
        event("a", "SUMMARY:one\n"),
        event("a", "RECURRENCE-ID:20240102T000000Z\nSUMMARY:two\n")
    );
    let found = of_file(
        Form::Calendar,
        format!("{}{}", calendar(&both), calendar(&both)).as_bytes(),
    );
    assert_eq!(ids(&found), ["a", "a~2"]);
    assert_eq!(found[0].1, calendar(&both));
    assert_eq!(found[1].1, calendar(&both));

    // A task with the UID of an event is another object.
    let task = event("a", "").replace("VEVENT", "VTODO");
    let found = of_file(
        Form::Calendar,
        calendar(&format!("{}{task}", event("a", ""))).as_bytes(),
    );
    assert_eq!(
        (found[0].1.as_str(), found[1].1.as_str()),
        (&*calendar(&event("a", "")), &*calendar(&task))
    );
}

#[test]
fn objects_without_a_plain_uid_are_known_by_their_content() {
    let nameless = crlf("BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\n");
    let long = event(&"u".repeat(700), "");
    let odd = event("#u1", "");
    let found = of_file(
        Form::Calendar,
        calendar(&format!("{nameless}{long}{nameless}{odd}")).as_bytes(),
    );
    let ids = ids(&found);
    assert!(
        ids[0].starts_with("#c") && ids[1].starts_with("#u") && ids[3].starts_with("#u"),
        "{ids:?}"
    );
    assert_eq!(ids[2], format!("{}~2", ids[0]));
    assert_eq!(found[0].1, found[2].1);
    assert_eq!(found[3].1, calendar(&odd));
}

#[test]
fn what_is_broken_is_told_with_its_bytes_and_the_rest_is_whole() {
    let good = event("good", "");
    let cut = "BEGIN:VEVENT\r\nUID:cut\r\nSUMMARY:x\r\n";
    for (inside, broken, why) in [
        (format!("{cut}{good}"), cut, "no end"),
        (format!("{good}{cut}"), cut, "no end"),
        (
            format!("{good}not a line\r\nnor this\r\n"),
            "not a line\r\nnor this\r\n",
            "no object",
        ),
        (format!("{good}END:VEVENT\r\n"), "END:VEVENT\r\n", "no object"),
        (
            format!("{good}BEGIN:VEVENT\r\nUID:x\r\nBEGIN:VALARM\r\nEND:VEVENT\r\n"),
            "BEGIN:VEVENT\r\nUID:x\r\nBEGIN:VALARM\r\nEND:VEVENT\r\n",
            "no end",
        ),
        (
            format!("{good}BEGIN:VEVENT\r\nUID:x\r\nEND:VTODO\r\nEND:VEVENT\r\n"),
            "BEGIN:VEVENT\r\nUID:x\r\nEND:VTODO\r\nEND:VEVENT\r\n",
            "something else",
        ),
    ] {
        let mut found = of_file(Form::Calendar, calendar(&inside).as_bytes());
        found.sort_by_key(|(.., why)| why.is_some());
        assert_eq!(found.len(), 2, "{inside}");
        assert_eq!(found[0], ("good".to_owned(), calendar(&good), None));
        assert_eq!(found[1].1, broken);
        assert!(whys(&found)[0].contains(why), "{found:?}");
    }
    // Around the calendar, too.
    let found = of_file(
        Form::Calendar,
        format!("HTTP/1.1 200 OK\r\n{}junk\r\n", calendar(&good)).as_bytes(),
    );
    assert_eq!((found.len(), whys(&found).len()), (3, 2));
}

#[test]
fn a_file_that_is_cut_short_gives_what_is_whole_and_says_so() {
    let file = calendar(&format!("{}{}", event("a", ""), event("b", "")));
    for length in 1..file.len() - 2 {
        let found = of_file(Form::Calendar, &file.as_bytes()[..length]);
        assert!(!whys(&found).is_empty() || length < 3, "cut at {length}: {found:?}");
        for (id, content, why) in found {
            if why.is_none() {
                assert_eq!(content, calendar(&event(&id, "")), "cut at {length}");
            }
        }
    }
}

#[test]
fn two_bytes_a_character_are_refused_with_words() {
    for bom in [true, false] {
        for big in [true, false] {
            let text = format!("{}{}", if bom { "\u{feff}" } else { "" }, calendar(&event("a", "")));
            let bytes: Vec<u8> = text
                .encode_utf16()
                .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect();
            let found = of_file(Form::Calendar, &bytes);
            assert_eq!(found.len(), 1);
            assert!(whys(&found)[0].contains("UTF-16"));
        }
    }
}

#[test]
fn lines_may_end_as_on_any_system() {
    let file = calendar(&format!("{}{}", event("a", "SUMMARY:one\n"), event("b", "")));
    let expected = of_file(Form::Calendar, file.as_bytes());
    assert_eq!(ids(&expected), ["a", "b"]);
    let found = of_file(Form::Calendar, file.replace("\r\n", "\r").as_bytes());
    assert_eq!(found, expected, "CR alone is written as CRLF");
    let found = of_file(Form::Calendar, file.replace("\r\n", "\n").as_bytes());
    assert_eq!(found[0].1, expected[0].1.replace("\r\n", "\n"));
}

#[test]
fn empty_files_hold_nothing() {
    for text in ["", "\r\n\r\n", "\u{feff}", &calendar("")] {
        assert_eq!(of_file(Form::Calendar, text.as_bytes()), []);
    }
    assert_eq!(of_file(Form::Card, b"\n \n"), []);
}

#[test]
fn cards_of_all_versions_lie_in_one_file() {
    let two = crlf(
        "BEGIN:VCARD\nVERSION:2.1\nN:M\u{fc};x\nNOTE;ENCODING=QUOTED-PRINTABLE:a=\nEND:VCARD=\n b\nAGENT:\nBEGIN:VCARD\nVERSION:2.1\nN:y\nEND:VCARD\nPHOTO;ENCODING=BASE64;TYPE=JPEG:\n QUJD\n\nEND:VCARD\n",
    );
    let three = card("three", "item1.EMAIL:x@example.org\n");
    let four = crlf("BEGIN:VCARD\nVERSION:4.0\nitem1.UID:urn:uuid:4\nFN:z\nEND:VCARD\n");
    let file = format!("{two}\r\n{three}{four}{three}");
    let found = of_file(Form::Card, file.as_bytes());
    assert_eq!(whys(&found), [""; 0]);
    assert_eq!(ids(&found)[1..], ["three", "urn:uuid:4", "three~2"]);
    let contents: Vec<&str> = found.iter().map(|(_, content, _)| content.as_str()).collect();
    assert_eq!(contents, [&*two, &*three, &*four, &*three]);
}

#[test]
fn cards_that_do_not_end_take_no_other_with_them() {
    let cut = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:cut\r\n";
    let found = of_file(
        Form::Card,
        format!("name,mail\r\n{cut}{}{cut}", card("a", "")).as_bytes(),
    );
    assert_eq!(found.len(), 4);
    assert_eq!(found[2], ("a".to_owned(), card("a", ""), None));
    assert_eq!((found[1].1.as_str(), found[3].1.as_str()), (cut, cut));
    assert_eq!(whys(&found).len(), 3);
}

#[test]
fn what_a_calendar_says_of_itself_is_known() {
    let index = |text: &str| Index::read(Form::Calendar, &body(&calendar(text))).unwrap();
    let about = index(
        "X-WR-CALNAME:Old\r\nNAME:W\\, one\r\nX-WR-CALDESC:a\\nb\r\nCOLOR:red\r\nX-APPLE-CALENDAR-COLOR:#ff8800ff\r\n",
    )
    .about;
    assert_eq!(about.name.as_deref(), Some("W, one"));
    assert_eq!(about.description.as_deref(), Some("a\nb"));
    assert_eq!(about.colour.as_deref(), Some("#ff8800ff"));
    assert_eq!(index("COLOR:red\r\n").about.colour.as_deref(), Some("red"));
    assert!(index(&event("a", "").replace("VEVENT", "VTODO")).holds.tasks_only());
}

#[test]
fn no_depth_and_no_length_is_too_much() {
    let deep = format!(
        "BEGIN:VEVENT\r\nUID:d\r\n{}{}END:VEVENT\r\n",
        "BEGIN:X\r\n".repeat(5000),
        "END:X\r\n".repeat(5000)
    );
    let said = "X-SAID:no end to it\r\n".repeat(20_000);
    let file = calendar(&format!(
        "{deep}{}{said}{}",
        event("a", ""),
        event("b", &"DESCRIPTION:x\n".repeat(50_000))
    ));
    let found = of_file(Form::Calendar, file.as_bytes());
    assert_eq!(whys(&found).len(), 2);
    assert_eq!(found.iter().filter(|(.., why)| why.is_none()).count(), 2);
}

/// Lines out of which files are made that make sense, and files that make none.
fn lines() -> impl Strategy<Value = Vec<&'static str>> {
    let lines = prop_oneof![
        Just("BEGIN:VCALENDAR"),
        Just("END:VCALENDAR"),
        Just("BEGIN:VEVENT"),
        Just("END:VEVENT"),
        Just("BEGIN:VTODO"),
        Just("END:VTODO"),
        Just("BEGIN:VALARM"),
        Just("END:VALARM"),
        Just("BEGIN:VTIMEZONE"),
        Just("TZID:x"),
        Just("END:VTIMEZONE"),
        Just("BEGIN:VCARD"),
        Just("END:VCARD"),
        Just("AGENT:"),
        Just("UID:a"),
        Just("UID:b"),
        Just("RECURRENCE-ID:1"),
        Just("DTSTART;TZID=x:1"),
        Just("METHOD:PUBLISH"),
        Just("X-SAID:1"),
        Just(" folded"),
        Just("junk"),
        Just("N;QUOTED-PRINTABLE:a="),
        Just(""),
    ];
    proptest::collection::vec(lines, 0..40)
}

proptest! {
    #[test]
    fn nothing_is_left_out(lines in lines(), end in prop_oneof![Just("\n"), Just("\r\n")]) {
        for form in [Form::Calendar, Form::Card] {
            let file: String = lines.iter().map(|line| format!("{line}{end}")).collect();
            let index = Index::read(form, &body(&file)).unwrap();
            let pieces = (0..index.len()).flat_map(|at| index.pieces(at)).map(|piece| piece.range);
            let covered: Vec<(u64, u64)> = pieces
                .chain(index.heads.iter().copied())
                .chain(index.zones.iter().map(|zone| zone.range))
                .collect();
            let mut at = 0;
            for line in &lines {
                let offset = at;
                at += (line.len() + end.len()) as u64;
                let told = covered.iter().any(|&(from, to)| from <= offset && offset < to);
                // What only holds others together, or speaks of the collection.
                let frame = ["END:VCALENDAR", "METHOD:PUBLISH", " folded", ""].contains(line);
                prop_assert!(told || frame, "{line:?} of {file:?}");
            }
        }
    }

    #[test]
    fn every_item_is_found_under_its_name(lines in lines()) {
        for form in [Form::Calendar, Form::Card] {
            let file: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let found = of_file(form, file.as_bytes());
            let names: std::collections::HashSet<&str> = ids(&found).into_iter().collect();
            prop_assert_eq!(names.len(), found.len());
            // What is put together reads as one object again, of the same components.
            for (_, content, why) in &found {
                if why.is_none() {
                    let index = Index::read(form, &body(content)).unwrap();
                    prop_assert_eq!(index.len(), 1, "{:?} of {:?}", content, file);
                    prop_assert!(index.why(0).is_none());
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        of_file(Form::Calendar, &bytes);
        of_file(Form::Card, &bytes);
    }
}
