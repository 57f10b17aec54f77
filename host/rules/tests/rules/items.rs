//! Events, tasks, contacts and filters.

use std::sync::Arc;

use whimbrel_model::{ItemMeta, Kind};
use whimbrel_pim::Edit;
use whimbrel_rules::{Decision, FolderFacts, MessageFacts, RuleError, Wanted};

use super::support::{compile, content, folder};

const EVENT: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1@old.example\r\nSUMMARY:Lunch\\, with Bob\r\n\
    DTSTART;TZID=Europe/Berlin:20260701T100000\r\nRRULE:FREQ=DAILY\r\nCLASS:PRIVATE\r\nCATEGORIES:Work,Food\r\n\
    ORGANIZER;CN=Ann:mailto:ann@old.example\r\nATTENDEE:mailto:bob@old.example\r\nATTENDEE:mailto:c@else.example\r\n\
    END:VEVENT\r\nEND:VCALENDAR\r\n";
const TASK: &str = "BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:2\r\nSUMMARY:Pay\r\nSTATUS:COMPLETED\r\nPERCENT-COMPLETE:100\r\n\
    DUE:20260102T000000Z\r\nEND:VTODO\r\nEND:VCALENDAR\r\n";
const CONTACT: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:3\r\nFN:Bob\r\nORG:Acme;Sales\r\nEMAIL:bob@old.example\r\n\
    EMAIL:b@home.example\r\nTEL:+1\r\nEND:VCARD\r\n";
const FILTER: &str = "require [\"fileinto\"];\r\nfileinto \"Old\";\r\n";

fn item(kind: Kind) -> MessageFacts {
    let folder = FolderFacts {
        kind,
        role: None,
        ..(*folder()).clone()
    };
    let meta = ItemMeta {
        id: "one".into(),
        identity: Some("main".into()),
        ..ItemMeta::default()
    };
    MessageFacts {
        folder: Arc::new(folder),
        meta: Arc::new(meta),
    }
}

fn decided(script: &str, kind: Kind, text: &str) -> Result<Decision, RuleError> {
    compile(script).item(&item(kind), content(text))
}

#[track_caller]
fn notes(body: &str, hook: &str, kind: Kind, text: &str) -> Vec<String> {
    decided(&format!("fn {hook}(i) {{ {body} }}"), kind, text)
        .unwrap()
        .notes
}

#[test]
fn events_are_read() {
    let said = notes(
        r#"i.note(`${i.uid} ${i.summary} ${i.folder} ${i.mailbox.name} ${i.start} ${i.recurring} ${i.is_private}`);
           i.note(`${i.organizer.name} ${i.organizer.domain} ${i.attendees.len()} ${i.categories.join("+")}`);
           i.note(`${i.property("summary")} ${i.has_property("X-NO")} ${i.property_all("ATTENDEE").len()} ${i.end == ()}`);"#,
        "event",
        Kind::Event,
        EVENT,
    );
    assert_eq!(
        said,
        [
            "1@old.example Lunch, with Bob Archive/2019 alice 2026-07-01T10:00:00+02:00 true true",
            "Ann old.example 2 Work+Food",
            "Lunch, with Bob false 2 true",
        ]
    );
}

#[test]
fn tasks_contacts_and_filters_are_read() {
    let said = notes(
        "i.note(`${i.summary} ${i.completed} ${i.percent} ${i.due}`)",
        "task",
        Kind::Event,
        TASK,
    );
    assert_eq!(said, ["Pay true 100 2026-01-02T00:00:00Z"], "in a calendar of events");
    let body = "i.note(`${i.name} ${i.organization} ${i.emails[1].local} ${i.phones[0]} ${i.is_group}`)";
    assert_eq!(notes(body, "contact", Kind::Contact, CONTACT), ["Bob Acme b +1 false"]);
    let body = "i.note(`${i.name} ${i.requires[0]} ${i.text.contains(\"Old\")} ${i.size}`)";
    assert_eq!(
        notes(body, "filter", Kind::Filter, FILTER),
        [format!("main fileinto true {}", FILTER.len())]
    );
}

#[test]
fn each_item_goes_to_its_own_hook() {
    let script =
        r#"fn event(e) { e.note("event") } fn contact(c) { c.note("contact") } fn message(m) { m.note("message") }"#;
    assert_eq!(decided(script, Kind::Event, EVENT).unwrap().notes, ["event"]);
    assert_eq!(decided(script, Kind::Contact, CONTACT).unwrap().notes, ["contact"]);
    for (kind, text) in [
        (Kind::Event, TASK),
        (Kind::Task, TASK),
        (Kind::Filter, FILTER),
        (Kind::Note, "x"),
    ] {
        assert_eq!(decided(script, kind, text).unwrap(), Decision::default(), "{kind}");
    }
    let rules = compile(script);
    assert!(
        rules.decides_on(Kind::Task),
        "only the content tells a task from an event"
    );
    assert!(!rules.decides_on(Kind::Filter));
}

#[test]
fn decisions_are_those_of_messages_and_changes_of_properties() {
    let script = r#"fn event(e) {
        e.rewrite_domain("old.example", "new.example");
        e.rewrite_address("c@else.example", "d@else.example");
        e.set_property("CLASS", "PUBLIC");
        e.add_property("CATEGORIES", "Moved");
        e.remove_property("X-OLD");
        e.move_to("Moved/Work");
        if e.is_private { e.skip("private") }
        e.keep();
    }"#;
    let decision = decided(script, Kind::Event, EVENT).unwrap();
    assert_eq!(decision.skip, None);
    assert_eq!(decision.place, Some(Wanted::Path(vec!["Moved".into(), "Work".into()])));
    assert_eq!(decision.changes.len(), 5);
    let domain = Edit::Domain {
        from: "old.example".into(),
        to: "new.example".into(),
    };
    assert_eq!(decision.changes[0], domain);
    let did: Vec<&str> = decision.steps.iter().map(|step| step.did.as_str()).collect();
    assert_eq!(did[0], "rewrite_domain old.example new.example");
    assert_eq!(did.last(), Some(&"keep"));

    let script = r#"fn filter(s) { s.rewrite_string("Old", "New"); if s.flags.len() == 0 { s.skip("not used") } }"#;
    let decision = decided(script, Kind::Filter, FILTER).unwrap();
    assert_eq!(
        (decision.changes.len(), decision.skip.as_deref()),
        (1, Some("not used"))
    );
}

#[test]
fn what_can_be_decided_from_the_listing_needs_no_content() {
    let rules = compile(r#"fn contact(c) { if c.in_folder("Archive") { c.skip("old") } else { c.note(c.name) } }"#);
    let decision = rules.item_by_facts(&item(Kind::Contact)).unwrap();
    assert_eq!(decision.and_then(|decision| decision.skip).as_deref(), Some("old"));
    let rules = compile("fn contact(c) { c.note(c.name) }");
    assert_eq!(rules.item_by_facts(&item(Kind::Contact)).unwrap(), None);
    let rules = compile("fn event(e) { e.skip(\"all\") }");
    assert_eq!(
        rules.item_by_facts(&item(Kind::Event)).unwrap(),
        None,
        "it may be a task"
    );
}

#[test]
fn what_cannot_be_changed_is_said() {
    for (body, said) in [
        (r#"e.set_property("UID", "2")"#, "UID cannot be changed"),
        (r#"e.set_property("A B", "2")"#, "no name of a property"),
        (r#"e.rewrite_address("bob", "a@b")"#, "no address"),
        (r#"e.set_header("X", "y")"#, "set_header"),
    ] {
        let error = decided(&format!("fn event(e) {{ {body} }}"), Kind::Event, EVENT).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    for broken in ["", "BEGIN:VCALENDAR", "\u{0}"] {
        let script = "fn event(e) { e.note(`${e.summary} ${e.start == ()} ${e.organizer.address}`) }";
        assert_eq!(decided(script, Kind::Event, broken).unwrap().notes, ["true"]);
    }
}
