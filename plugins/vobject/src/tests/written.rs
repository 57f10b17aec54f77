//! Accounts, written.

use proptest::prelude::*;
use whimbrel_plugin::{Collection, Failure, Kind, Outcome};

use super::*;
use crate::settings::Layout;

const LAYOUTS: [Layout; 2] = [Layout::Folders, Layout::File];

fn wanted(name: &str) -> Collection {
    Collection::new("", [name]).kind(Kind::Event)
}

fn made(disk: &MemoryDisk, form: Form, name: &str, layout: Layout) -> String {
    open(disk, form).ensure(&wanted(name), layout).unwrap().id
}

fn object(form: Form, uid: &str, more: &str) -> String {
    match form {
        Form::Calendar => calendar(&event(uid, more)),
        Form::Card => card(uid, more),
    }
}

/// What is said, without what a file of many says of itself.
fn said(disk: &MemoryDisk, form: Form, id: &str) -> Vec<String> {
    let mut all: Vec<String> = items(disk, form, id)
        .into_iter()
        .map(|(_, content, why)| {
            assert_eq!(why, None);
            content.replace("-//Whimbrel//Whimbrel//EN", "-//x//y")
        })
        .collect();
    all.sort();
    all
}

#[test]
fn what_is_put_is_there() {
    for (form, layout) in [(Form::Calendar, LAYOUTS), (Form::Card, LAYOUTS)]
        .into_iter()
        .flat_map(|(form, all)| all.map(|one| (form, one)))
    {
        let disk = MemoryDisk::default();
        let id = made(&disk, form, "W\u{f6}rk / 1", layout);
        assert_eq!(made(&disk, form, "W\u{f6}rk / 1", layout), id);
        let objects = ["a", "../b", "c"].map(|uid| object(form, uid, ""));
        let bodies = objects.clone().map(|object| body(&object));
        let placed = open(&disk, form).put(&id, &bodies.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(
            said(&disk, form, &id),
            objects.to_vec().tap(|all| all.sort()),
            "{layout:?}"
        );
        let metas = listed(&disk, form, &id, None, 10).0;
        for placement in placed {
            let placement = placement.unwrap();
            assert_eq!((placement.outcome, placement.alterations.len()), (Outcome::Created, 0));
            let meta = metas
                .iter()
                .find(|meta| Some(&meta.id) == placement.id.as_ref())
                .unwrap();
            assert_eq!(Some(&meta.revision), placement.revision.as_ref());
        }
        let again = open(&disk, form).put(&id, &[&bodies[1]]).unwrap();
        assert_eq!(again[0].as_ref().unwrap().outcome, Outcome::MergedWithExisting);
        assert_eq!(said(&disk, form, &id).len(), 3);
        assert!(disk.files().iter().all(|file| !file.contains(".whimbrel")));
        let collections = open(&disk, form).collections().unwrap();
        assert_eq!(collections.len(), 1);
        assert_eq!(collections[0].path, ["W\u{f6}rk / 1"]);
    }
}

trait Tap: Sized {
    fn tap(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl<T> Tap for T {}

#[test]
fn attributes_are_kept_where_the_layout_can() {
    for layout in LAYOUTS {
        let disk = MemoryDisk::default();
        let asked = wanted("Work")
            .attribute("colour", "#ff8800ff")
            .attribute("description", "Ours, all\nof it");
        open(&disk, Form::Calendar).ensure(&asked, layout).unwrap();
        let found = open(&disk, Form::Calendar).collections().unwrap();
        let attribute = |name: &str| {
            found[0]
                .attributes
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(attribute("description"), Some("Ours, all\nof it"));
        // A vdir knows no transparency.
        let colour = if layout == Layout::File { "#ff8800ff" } else { "#ff8800" };
        assert_eq!(attribute("colour"), Some(colour));
    }
}

#[test]
fn another_object_with_the_same_uid_is_never_lost_without_a_word() {
    let disk = MemoryDisk::default();
    let both = ["one", "two"].map(|text| body(&object(Form::Calendar, "a", &format!("SUMMARY:{text}\n"))));
    let both: Vec<_> = both.iter().collect();
    let folder = made(&disk, Form::Calendar, "folder", Layout::Folders);
    let placed = open(&disk, Form::Calendar).put(&folder, &both).unwrap();
    assert!(
        placed
            .iter()
            .all(|one| matches!(one, Ok(placement) if placement.outcome == Outcome::Created))
    );
    assert_eq!(said(&disk, Form::Calendar, &folder).len(), 2);
    let file = made(&disk, Form::Calendar, "file", Layout::File);
    let placed = open(&disk, Form::Calendar).put(&file, &both).unwrap();
    assert!(placed[0].is_ok() && matches!(&placed[1], Err(Failure::Rejected(text)) if text.contains("UID")));
    assert_eq!(said(&disk, Form::Calendar, &file).len(), 1);
}

#[test]
fn what_would_not_be_read_as_one_object_is_refused() {
    for layout in LAYOUTS {
        let disk = MemoryDisk::default();
        let id = made(&disk, Form::Calendar, "x", layout);
        for bad in [
            "",
            "junk",
            "BEGIN:VCALENDAR\r\n",
            &calendar(&format!("{}{}", event("a", ""), event("b", ""))),
            &card("a", ""),
        ] {
            let answers = open(&disk, Form::Calendar)
                .put(&id, &[&body(bad), &body(&calendar(&event("good", "")))])
                .unwrap();
            assert!(matches!(answers[0], Err(Failure::Rejected(_))), "{bad}");
            assert!(answers[1].is_ok());
        }
        assert_eq!(said(&disk, Form::Calendar, &id).len(), 1);
    }
}

#[test]
fn zones_come_along_and_are_defined_once() {
    let disk = MemoryDisk::default();
    let id = made(&disk, Form::Calendar, "x", Layout::File);
    let zone = |name: &str, text: &str| {
        crlf(&format!(
            "BEGIN:VTIMEZONE\nTZID:{name}\nCOMMENT:{text}\nEND:VTIMEZONE\n"
        ))
    };
    let with = |uid: &str, name: &str, text: &str| {
        let event = event(uid, &format!("DTEND;TZID={name}:20240101T010000\n"));
        body(&calendar(&format!("{}{event}", zone(name, text))))
    };
    let first = [
        with("a", "Office", "1"),
        with("b", "Office", "1"),
        with("c", "Europe/Berlin", "1"),
    ];
    assert!(
        open(&disk, Form::Calendar)
            .put(&id, &first.iter().collect::<Vec<_>>())
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    let more = [
        with("d", "Office", "1"),
        with("e", "Office", "2"),
        with("f", "Europe/Berlin", "2"),
    ];
    let answers = open(&disk, Form::Calendar)
        .put(&id, &more.iter().collect::<Vec<_>>())
        .unwrap();
    assert!(answers.iter().all(Result::is_ok));
    let text = String::from_utf8(disk.get(&id).unwrap()).unwrap();
    let counts = ["TZID:Office", "TZID:Europe/Berlin"].map(|zone| text.matches(zone).count());
    assert_eq!(counts, [2, 1]);
    let found = items(&disk, Form::Calendar, &id);
    let zones = |content: &str| content.matches("BEGIN:VTIMEZONE").count();
    assert!(found.iter().all(|(_, content, _)| zones(content) == 1));
    let other = found.iter().find(|(id, ..)| id == "e").unwrap();
    assert_eq!(other.1.as_bytes(), &**more[1].0, "a calendar of its own, byte for byte");
}

#[test]
fn what_a_calendar_says_of_itself_is_kept() {
    let disk = MemoryDisk::default();
    let id = made(&disk, Form::Calendar, "x", Layout::File);
    let with = |uid: &str, words: &str| calendar(&format!("{words}{}", event(uid, "")));
    let objects = [
        with("a", "X-WR-TIMEZONE:Europe/Berlin\r\n"),
        with("b", "X-WR-TIMEZONE:Europe/Berlin\r\n"),
        with("c", ""),
        with("d", "X-WR-CALNAME:Not ours\r\n"),
    ];
    for object in &objects {
        assert!(open(&disk, Form::Calendar).put(&id, &[&body(object)]).unwrap()[0].is_ok());
    }
    let mut expected = objects.to_vec();
    expected.sort();
    assert_eq!(said(&disk, Form::Calendar, &id), expected);
    let text = String::from_utf8(disk.get(&id).unwrap()).unwrap();
    assert_eq!(text.matches("BEGIN:VCALENDAR").count(), 3);
    // And changed again, wherever it lies.
    for uid in ["a", "c"] {
        let new = body(&with(uid, "X-NEW:1\r\n"));
        open(&disk, Form::Calendar).replace(&id, uid, None, &new).unwrap();
    }
    let new = said(&disk, Form::Calendar, &id);
    assert_eq!(new.iter().filter(|text| text.contains("X-NEW")).count(), 2);
    assert_eq!(new.len(), 4);

    let cards = made(&disk, Form::Card, "y", Layout::File);
    let unended = card("a", "").trim_end().to_owned();
    let placed = open(&disk, Form::Card)
        .put(&cards, &[&body(&unended), &body(&card("b", ""))])
        .unwrap();
    assert_eq!(placed[0].as_ref().unwrap().alterations, ["final-newline"]);
    assert_eq!(items(&disk, Form::Card, &cards).len(), 2);
}

#[test]
fn objects_are_replaced_where_they_are_what_they_were() {
    for (form, layout) in [(Form::Calendar, LAYOUTS), (Form::Card, LAYOUTS)]
        .into_iter()
        .flat_map(|(form, all)| all.map(|one| (form, one)))
    {
        let disk = MemoryDisk::default();
        let id = made(&disk, form, "x", layout);
        let bodies = ["a", "b", "c"].map(|uid| body(&object(form, uid, "")));
        let placed = open(&disk, form).put(&id, &bodies.iter().collect::<Vec<_>>()).unwrap();
        let of_b = placed[1].clone().unwrap();
        let (item, old) = (of_b.id.unwrap(), of_b.revision.unwrap());
        let new = body(&object(form, "b", "NOTE:new\n"));
        let mut revision = Some(old.clone());
        for _ in 0..2 {
            let placement = open(&disk, form)
                .replace(&id, &item, revision.as_deref(), &new)
                .unwrap();
            assert_eq!(placement.id.as_deref(), Some(item.as_str()));
            revision = placement.revision;
            let listed = listed(&disk, form, &id, None, 10).0;
            assert_eq!(
                listed
                    .iter()
                    .find(|meta| meta.id == item)
                    .map(|meta| meta.revision.clone()),
                revision
            );
        }
        // As after a crash: the same once more, with the revision that it had before.
        assert!(open(&disk, form).replace(&id, &item, Some(&old), &new).is_ok());
        let other = body(&object(form, "b", "NOTE:other\n"));
        assert!(matches!(
            open(&disk, form).replace(&id, &item, Some(&old), &other),
            Err(Failure::Rejected(_))
        ));
        let missing = item.replace('b', "z");
        assert!(matches!(
            open(&disk, form).replace(&id, &missing, None, &other),
            Err(Failure::NotFound(_))
        ));
        let mut expected = vec![
            object(form, "a", ""),
            object(form, "b", "NOTE:new\n"),
            object(form, "c", ""),
        ];
        expected.sort();
        assert_eq!(said(&disk, form, &id), expected);

        let answers = open(&disk, form).remove(&id, &[item.clone(), missing, item]).unwrap();
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(said(&disk, form, &id), [object(form, "a", ""), object(form, "c", "")]);
    }
}

#[test]
fn what_others_wrote_is_changed_in_its_place() {
    let disk = MemoryDisk::default();
    let zone = crlf("BEGIN:VTIMEZONE\nTZID:Z\nEND:VTIMEZONE\n");
    let series = format!("{}{}", event("s", ""), event("t", ""));
    let file = calendar(&format!(
        "X-WR-CALNAME:Foreign\r\n{zone}{series}{}",
        event("s", "RECURRENCE-ID:1\n")
    ));
    disk.put("f/foreign.ics", file.as_bytes());
    disk.put("foreign.ics", file.as_bytes());
    for (id, before) in [("f", "foreign.ics/"), ("foreign.ics", "")] {
        let new = body(&calendar(&event("s", "SUMMARY:alone\n")));
        open(&disk, Form::Calendar)
            .replace(id, &format!("{before}s"), None, &new)
            .unwrap();
        let text = String::from_utf8(disk.get(if id == "f" { "f/foreign.ics" } else { id }).unwrap()).unwrap();
        let expected = calendar(&format!(
            "X-WR-CALNAME:Foreign\r\n{zone}{}{}",
            event("t", ""),
            event("s", "SUMMARY:alone\n")
        ));
        assert_eq!(text, expected);
        open(&disk, Form::Calendar).remove(id, &[format!("{before}t")]).unwrap();
        assert_eq!(items(&disk, Form::Calendar, id).len(), 1);
    }
}

#[test]
fn names_that_are_taken_lead_to_others() {
    let disk = MemoryDisk::default();
    disk.put("a/displayname", b"b");
    disk.put("c.ics", calendar("X-WR-CALNAME:d\r\n").as_bytes());
    let paths = |disk: &MemoryDisk| {
        let found = open(disk, Form::Calendar).collections().unwrap();
        found.into_iter().map(|one| one.path.concat()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&disk), ["b", "d"]);
    assert_eq!(made(&disk, Form::Calendar, "b", Layout::Folders), "a");
    assert_eq!(made(&disk, Form::Calendar, "a", Layout::Folders), "a-2");
    assert_eq!(made(&disk, Form::Calendar, "c", Layout::File), "c-2.ics");
    assert_eq!(paths(&disk), ["a", "b", "c", "d"]);
    for (name, layout) in [
        ("", Layout::File),
        ("a\u{0}b", Layout::Folders),
        (&*"x".repeat(300), Layout::File),
    ] {
        assert!(matches!(
            open(&disk, Form::Calendar).ensure(&wanted(name), layout),
            Err(Failure::Rejected(_))
        ));
    }
    let nested = Collection::new("", ["up", "down"]).kind(Kind::Event);
    let mut account = open(&disk, Form::Calendar);
    assert_eq!(account.ensure(&nested, Layout::Folders).unwrap().id, "up/down");
    assert!(matches!(
        account.ensure(&Collection::new("", ["q", "r"]), Layout::File),
        Err(Failure::Rejected(_))
    ));
}

/// Whatever step the power fails in: what was there is there, what is new is there whole or not at all, and what is put
/// again is there once.
#[test]
fn a_power_failure_leaves_no_half() {
    for (form, layout) in [(Form::Calendar, LAYOUTS), (Form::Card, LAYOUTS)]
        .into_iter()
        .flat_map(|(form, all)| all.map(|one| (form, one)))
    {
        let old = ["a", "b"].map(|uid| body(&object(form, uid, "")));
        let new = ["c", "d"].map(|uid| body(&object(form, uid, "")));
        let changed = body(&object(form, "a", "NOTE:new\n"));
        let act = |disk: &MemoryDisk, id: &str| {
            let first = open(disk, form)
                .put(id, &new.iter().collect::<Vec<_>>())
                .and_then(|all| all.into_iter().collect::<Result<Vec<_>, _>>());
            let item = if layout == Layout::File {
                "a".to_owned()
            } else {
                format!("a{}/a", form.ending())
            };
            first
                .and_then(|_| open(disk, form).replace(id, &item, None, &changed))
                .map(|_| ())
        };
        let begin = || {
            let disk = MemoryDisk::default();
            let id = made(&disk, form, "x", layout);
            open(&disk, form).put(&id, &old.iter().collect::<Vec<_>>()).unwrap();
            (disk, id)
        };
        let (disk, id) = begin();
        let before = disk.steps();
        act(&disk, &id).unwrap();
        let steps = i64::try_from(disk.steps() - before).unwrap();
        let finished = said(&disk, form, &id);
        assert_eq!(finished.len(), 4);
        for step in 0..steps {
            let (disk, id) = begin();
            disk.fail_after(step);
            assert!(act(&disk, &id).is_err(), "step {step}");
            disk.fail_after(-1);
            let there = said(&disk, form, &id);
            assert!(
                there
                    .iter()
                    .all(|one| finished.contains(one) || *one == object(form, "a", "")),
                "step {step}: {there:?}"
            );
            assert!(there.contains(&object(form, "b", "")), "step {step}");
            act(&disk, &id).unwrap();
            assert_eq!(said(&disk, form, &id), finished, "step {step}");
            assert!(disk.files().iter().all(|file| !file.contains(".part")), "step {step}");
        }
    }
}

proptest! {
    #[test]
    fn every_set_of_objects_comes_back(uids in proptest::collection::btree_set("[a-zA-Z0-9/.@ -]{1,8}", 1..6), file: bool) {
        let layout = if file { Layout::File } else { Layout::Folders };
        for form in [Form::Calendar, Form::Card] {
            let disk = MemoryDisk::default();
            let id = made(&disk, form, "x", layout);
            let uids: std::collections::BTreeSet<&str> = uids.iter().map(|uid| uid.trim()).filter(|uid| !uid.is_empty()).collect();
            let objects: Vec<String> = uids.iter().map(|uid| object(form, uid, "")).collect();
            let bodies: Vec<_> = objects.iter().map(|object| body(object)).collect();
            for answer in open(&disk, form).put(&id, &bodies.iter().collect::<Vec<_>>()).unwrap() {
                prop_assert_eq!(answer.unwrap().outcome, Outcome::Created);
            }
            prop_assert_eq!(said(&disk, form, &id), objects.tap(|all| all.sort()));
        }
    }
}
