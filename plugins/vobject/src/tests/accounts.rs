//! Accounts, read.

use whimbrel_plugin::{Failure, Kind};

use super::*;

fn paths(disk: &MemoryDisk, form: Form) -> Vec<(String, Vec<String>, bool)> {
    let collections = open(disk, form).collections().unwrap();
    collections
        .into_iter()
        .map(|one| (one.id, one.path, one.selectable))
        .collect()
}

#[test]
fn files_and_folders_are_collections() {
    let disk = MemoryDisk::default();
    disk.put("Work.ics", calendar(&event("a", "")).as_bytes());
    disk.put("x@group.ics", calendar("X-WR-CALNAME:Fam\\, ily\r\n").as_bytes());
    disk.put("Work/1.ics", calendar(&event("b", "")).as_bytes());
    disk.put("Work/notes.txt", b"no object");
    disk.put("old/2019/1.ics", calendar(&event("c", "")).as_bytes());
    disk.put("old/a%2Fb/displayname", b"Last year\n");
    disk.put("contacts.vcf", card("d", "").as_bytes());
    disk.put(".hidden/1.ics", b"");
    let expected = [
        ("x@group.ics", &["Fam, ily"][..], true),
        ("Work", &["Work"], true),
        ("Work.ics", &["Work.ics"], true),
        ("old", &["old"], false),
        ("old/2019", &["old", "2019"], true),
        ("old/a%2Fb", &["old", "Last year"], true),
    ];
    let found = paths(&disk, Form::Calendar);
    let seen: Vec<(&str, Vec<&str>, bool)> = found
        .iter()
        .map(|(id, path, selectable)| (id.as_str(), path.iter().map(String::as_str).collect(), *selectable))
        .collect();
    let expected: Vec<(&str, Vec<&str>, bool)> = expected
        .into_iter()
        .map(|(id, path, selectable)| (id, path.to_vec(), selectable))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(items(&disk, Form::Calendar, "Work")[0].0, "1.ics/b");
    assert_eq!(items(&disk, Form::Card, "contacts.vcf")[0].0, "d");
}

#[test]
fn tasks_alone_make_a_list_of_tasks() {
    let disk = MemoryDisk::default();
    let task = event("t", "").replace("VEVENT", "VTODO");
    disk.put("tasks.ics", calendar(&task).as_bytes());
    disk.put("both.ics", calendar(&format!("{task}{}", event("a", ""))).as_bytes());
    disk.put("folder/1.ics", calendar(&task).as_bytes());
    disk.put(
        "journal.ics",
        calendar(&event("j", "").replace("VEVENT", "VJOURNAL")).as_bytes(),
    );
    let found = open(&disk, Form::Calendar).collections().unwrap();
    let kinds: Vec<(&str, Kind)> = found.iter().map(|one| (one.id.as_str(), one.kind)).collect();
    let expected = [
        ("both.ics", Kind::Event),
        ("folder", Kind::Task),
        ("journal.ics", Kind::Event),
        ("tasks.ics", Kind::Task),
    ];
    assert_eq!(kinds, expected);
    let journal = ("components".to_owned(), "VEVENT,VTODO,VJOURNAL".to_owned());
    assert!(found[2].attributes.contains(&journal));
}

#[test]
fn a_single_file_can_be_the_account() {
    let disk = MemoryDisk::default();
    disk.put("a.ics", calendar(&event("a", "")).as_bytes());
    disk.put("b.ics", calendar(&event("b", "")).as_bytes());
    let mut account = Account::new(disk, Form::Calendar, Some("b.ics".to_owned()));
    assert_eq!(account.collections().unwrap().len(), 1);
    assert!(account.changes("b.ics", None, 10).is_ok());
    assert!(matches!(account.changes("a.ics", None, 10), Err(Failure::NotFound(_))));
}

#[test]
fn pages_name_everything_once_and_changes_are_told() {
    let disk = MemoryDisk::default();
    let inside: String = (0..9).map(|number| event(&format!("e{number}"), "")).collect();
    disk.put("all.ics", calendar(&inside).as_bytes());
    for number in 0..9 {
        disk.put(
            &format!("folder/{number}.ics"),
            calendar(&event(&format!("e{number}"), "")).as_bytes(),
        );
    }
    disk.put("folder/4.ics", calendar(&inside).as_bytes());
    let before = disk.snapshot();
    for (id, count) in [("all.ics", 9), ("folder", 17)] {
        let (whole, cursor) = listed(&disk, Form::Calendar, id, None, 1000);
        assert_eq!(whole.len(), count);
        for limit in [1, 2, 5] {
            assert_eq!(listed(&disk, Form::Calendar, id, None, limit).0, whole);
        }
        assert_eq!(
            listed(&disk, Form::Calendar, id, Some(&cursor), 10),
            (Vec::new(), cursor)
        );
    }
    assert_eq!(disk.snapshot(), before, "reading writes nothing");

    let (old, cursor) = listed(&disk, Form::Calendar, "all.ics", None, 1000);
    disk.pass(10);
    let changed = inside.replace("UID:e3\r\n", "UID:e3\r\nSUMMARY:new\r\n");
    disk.put("all.ics", calendar(&changed).as_bytes());
    let (new, _) = listed(&disk, Form::Calendar, "all.ics", Some(&cursor), 4);
    let differ: Vec<&str> = new
        .iter()
        .filter(|meta| !old.contains(meta))
        .map(|meta| meta.id.as_str())
        .collect();
    assert_eq!(differ, ["e3"], "one has another revision, and all are named");
    assert_eq!(new.len(), 9);
}

#[test]
fn what_changes_during_a_listing_is_told_by_the_next() {
    let disk = MemoryDisk::default();
    let inside: String = (0..6).map(|number| event(&format!("e{number}"), "")).collect();
    disk.put("all.ics", calendar(&inside).as_bytes());
    let page = open(&disk, Form::Calendar).changes("all.ics", None, 3).unwrap();
    disk.pass(10);
    disk.put("all.ics", calendar(&format!("{}{inside}", event("new", ""))).as_bytes());
    let (rest, cursor) = listed(&disk, Form::Calendar, "all.ics", Some(&page.cursor), 100);
    assert_eq!(rest.len(), 7, "the file is told from its beginning");
    assert_eq!(
        listed(&disk, Form::Calendar, "all.ics", Some(&cursor), 100).0.len(),
        7,
        "and once more"
    );
}

#[test]
fn ids_of_nothing_are_not_found() {
    let disk = MemoryDisk::default();
    disk.put("a.ics", calendar(&event("a", "")).as_bytes());
    disk.put("f/1.ics", calendar(&event("a", "")).as_bytes());
    let mut account = open(&disk, Form::Calendar);
    for id in ["x", "../a.ics", "", "f/1.ics", ".x", "a.vcf", "f/../f", "\0"] {
        assert!(
            matches!(account.changes(id, None, 10), Err(Failure::NotFound(_))),
            "{id}"
        );
    }
    let ids = [
        "a",
        "1.ics",
        "1.ics/b",
        "../a.ics/a",
        "1.ics/#b00",
        "1.ics/#zz",
        "1.ics/a~2",
        "",
        "/",
    ]
    .map(str::to_owned);
    for answer in account.fetch("f", &ids).unwrap() {
        assert!(matches!(answer, Err(Failure::NotFound(_))));
    }
}
