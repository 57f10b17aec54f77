//! Files of iCalendar and vCard objects, to servers and from them.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // Helpers of tests. Figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use whimbrel_tests::dav::{Books, Sort};
use whimbrel_tests::run::{Job, Outcome, local_side, mailbox};
use whimbrel_tests::servers::{DavServer, Radicale};
use whimbrel_tests::snapshot::Snapshot;
use whimbrel_tests::{corpus, scratch};

const HOME: &str = "/alice/";
const NAME: &str = "Wörk & Co";

/// Memory that the program may take, whatever there is to move.
const MEMORY: u64 = 512 << 20;

fn connector(sort: Sort) -> &'static str {
    match sort {
        Sort::Calendars => "ics",
        Sort::AddressBooks => "vcf",
    }
}

fn objects(sort: Sort, plain_ones: usize) -> Vec<(String, String)> {
    let mut all = match sort {
        Sort::Calendars => corpus::calendar_objects(),
        Sort::AddressBooks => corpus::contacts(),
    };
    all.extend((0..plain_ones).map(|number| {
        let uid = format!("plain-{number}");
        let text = format!("Number {number}");
        match sort {
            Sort::Calendars => (format!("{uid}.ics"), corpus::event(&uid, &text)),
            Sort::AddressBooks => (format!("{uid}.vcf"), corpus::contact(&uid, &text)),
        }
    }));
    all
}

/// A server with one collection that holds these.
fn filled(sort: Sort, objects: &[(String, String)]) -> Radicale {
    let server = Radicale::start();
    let dav = server.dav();
    dav.children(HOME);
    dav.make(sort, "/alice/work/", &NAME.replace('&', "&amp;"));
    for (name, object) in objects {
        dav.put(sort, &format!("/alice/work/{name}"), object);
    }
    server
}

fn books(server: &Radicale, sort: Sort) -> Books {
    server.dav().books(sort, HOME)
}

fn files(side: &str, sort: Sort, root: &Path, more: &str) -> String {
    local_side(side, connector(sort), &format!("root = \"{}\"{more}", root.display()))
}

fn to_files(server: &Radicale, sort: Sort, root: &Path, layout: &str) -> Job {
    Job::new(&[
        server.side("source", sort.connector()),
        files("destination", sort, root, &format!(", layout = \"{layout}\"")),
        mailbox("alice", &server.account(), "{}"),
    ])
}

fn from_files(sort: Sort, root: &Path, server: &Radicale) -> Job {
    Job::new(&[
        files("source", sort, root, ""),
        server.side("destination", sort.connector()),
        mailbox("alice", "{}", &server.account()),
    ])
}

/// What is said, but for the definitions of time zones: a file of many holds one of each, and an object that is read from
/// it those that it names.
fn without_zones(books: Books) -> Books {
    let of_zone = |line: &String| {
        [
            "BEGIN:VTIMEZONE",
            "END:VTIMEZONE",
            "BEGIN:STANDARD",
            "END:STANDARD",
            "BEGIN:DAYLIGHT",
            "END:DAYLIGHT",
            "TZ",
        ]
        .iter()
        .any(|start| line.starts_with(start))
            || line.starts_with("DTSTART:1")
            || line.starts_with("RRULE:FREQ=YEARLY;BYDAY=-1SU")
    };
    books
        .into_iter()
        .map(|(name, objects)| {
            let objects = objects.into_iter();
            let plain = objects.map(|(uid, lines)| (uid, lines.into_iter().filter(|line| !of_zone(line)).collect()));
            (name, plain.collect::<BTreeMap<String, Vec<String>>>())
        })
        .collect()
}

#[track_caller]
fn nothing_new(outcome: &Outcome) {
    for what in ["found", "copied", "merged", "replaced", "vanished"] {
        assert_eq!(outcome.worked(what), 0, "{what}: {outcome}");
    }
}

/// From a server into files and to another server: everything is there and says the same; nothing moves twice.
fn there_and_back(sort: Sort, layout: &str) {
    let all = objects(sort, 60);
    let from = filled(sort, &all);
    let tree = scratch::folder("tree");
    let job = to_files(&from, sort, tree.path(), layout);
    let outcome = job.migrate();
    outcome.adds_up();
    assert_eq!(outcome.total("moved"), all.len() as u64, "{outcome}");
    job.run(&["verify", "--deep"]).expect(0);
    nothing_new(&job.migrate());
    let there = match layout {
        "file" => tree.path().join(format!("{NAME}.{}", connector(sort))),
        _ => tree.path().join(NAME),
    };
    assert!(there.exists(), "{:?}", Snapshot::take(tree.path(), &[]));
    if layout == "folders" {
        assert_eq!(fs::read_to_string(there.join("displayname")).unwrap(), NAME);
        let named = format!("plain-7.{}", connector(sort));
        assert_eq!(
            fs::read_to_string(there.join(named)).unwrap().matches("UID:").count(),
            1
        );
    }

    let before = Snapshot::take(tree.path(), &[]);
    let to = Radicale::start();
    to.dav().children(HOME);
    let back = from_files(sort, tree.path(), &to);
    back.migrate().adds_up();
    let (sent, arrived) = (books(&from, sort), books(&to, sort));
    match layout {
        "file" => assert_eq!(without_zones(sent), without_zones(arrived)),
        _ => assert_eq!(sent, arrived),
    }
    back.run(&["verify", "--deep"]).expect(0);
    nothing_new(&back.migrate());
    assert_eq!(
        before.changes(&Snapshot::take(tree.path(), &[])),
        Vec::<String>::new(),
        "the source changed"
    );
}

#[test]
fn calendars_go_into_folders_and_to_a_server_again() {
    there_and_back(Sort::Calendars, "folders");
}

#[test]
fn calendars_go_into_one_file_each_and_to_a_server_again() {
    there_and_back(Sort::Calendars, "file");
}

#[test]
fn address_books_go_into_folders_and_to_a_server_again() {
    there_and_back(Sort::AddressBooks, "folders");
}

#[test]
fn address_books_go_into_one_file_each_and_to_a_server_again() {
    there_and_back(Sort::AddressBooks, "file");
}

/// What changes at the server and what is deleted there, in files of both layouts.
fn changes_are_followed(sort: Sort, layout: &str) {
    let all = objects(sort, 5);
    let from = filled(sort, &all);
    let tree = scratch::folder("tree");
    let ending = connector(sort);
    let job = to_files(&from, sort, tree.path(), layout);
    job.migrate();
    let changed = match sort {
        Sort::Calendars => corpus::event("plain-1", "Said otherwise"),
        Sort::AddressBooks => corpus::contact("plain-1", "Said otherwise"),
    };
    from.dav().put(sort, &format!("/alice/work/plain-1.{ending}"), &changed);
    from.dav().delete(&format!("/alice/work/plain-2.{ending}"));
    let outcome = job.migrate();
    assert_eq!(
        (outcome.worked("replaced"), outcome.worked("vanished")),
        (1, 1),
        "{outcome}"
    );
    let text: String = texts(tree.path()).into_values().collect();
    assert!(text.contains("Said otherwise") && !text.contains("Number 1\r\n"));
    // Nothing at the destination is deleted unless that is asked for.
    assert!(text.contains("Number 2"));
    nothing_new(&job.migrate());
}

/// All files below a folder, hidden ones left out.
fn texts(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else if !path.file_name().unwrap().to_string_lossy().starts_with('.') {
            found.insert(path.clone(), fs::read_to_string(&path).unwrap());
        }
    }
    found
}

#[test]
fn changes_of_events_arrive_in_folders() {
    changes_are_followed(Sort::Calendars, "folders");
}

#[test]
fn changes_of_events_arrive_in_a_file_of_many() {
    changes_are_followed(Sort::Calendars, "file");
}

#[test]
fn changes_of_contacts_arrive_in_a_file_of_many() {
    changes_are_followed(Sort::AddressBooks, "file");
}

/// The components of an object, without the calendar around them.
fn inside(object: &str) -> &str {
    let from = object.find("BEGIN:VTIMEZONE").or_else(|| {
        object
            .find("BEGIN:V")
            .and_then(|at| Some(at + 1 + object[at + 1..].find("BEGIN:V")?))
    });
    &object[from.unwrap()..object.find("END:VCALENDAR").unwrap()]
}

/// A file as programs export it: one calendar with all that is in it.
fn export(objects: &[(String, String)]) -> String {
    let mut zones = String::new();
    let mut components = String::new();
    for (_, object) in objects {
        let all = inside(object);
        let at = all
            .rfind("END:VTIMEZONE\r\n")
            .map_or(0, |at| at + "END:VTIMEZONE\r\n".len());
        if zones.is_empty() {
            zones.push_str(&all[..at]);
        }
        components.push_str(&all[at..]);
    }
    format!(
        "BEGIN:VCALENDAR\r\nPRODID:-//Google Inc//Google Calendar 70.9054//EN\r\nVERSION:2.0\r\nCALSCALE:GREGORIAN\r\n\
         METHOD:PUBLISH\r\nX-WR-CALNAME:Family\\, all\r\nX-WR-TIMEZONE:Europe/Berlin\r\nX-WR-CALDESC:Ours\r\n\
         X-APPLE-CALENDAR-COLOR:#ff8800ff\r\n{zones}{components}END:VCALENDAR\r\n"
    )
}

#[test]
fn a_file_that_a_program_exported_becomes_a_calendar_and_is_followed() {
    let all = objects(Sort::Calendars, 10);
    let tree = scratch::folder("tree");
    let file = tree.path().join("family_abc@group.calendar.example.ics");
    fs::write(&file, export(&all)).unwrap();
    let to = Radicale::start();
    to.dav().children(HOME);
    let job = from_files(Sort::Calendars, tree.path(), &to);
    let outcome = job.migrate();
    outcome.adds_up();
    assert_eq!(
        (outcome.total("moved"), outcome.total("failed")),
        (all.len() as u64, 0),
        "{outcome}"
    );
    let arrived = books(&to, Sort::Calendars);
    let family = &arrived["Family, all"];
    assert_eq!(family.len(), all.len());
    let series = &family["series@example.org"];
    assert_eq!(
        series.iter().filter(|line| line.starts_with("RECURRENCE-ID")).count(),
        2,
        "{series:?}"
    );
    assert!(
        series.contains(&"TZID:Our Office".to_owned()) && series.contains(&"X-WR-TIMEZONE:Europe/Berlin".to_owned())
    );
    assert!(
        !family["plain-1"]
            .iter()
            .any(|line| line.starts_with("TZID") || line.contains("CALNAME"))
    );
    let store = fs::read_to_string(props(&to)).unwrap();
    assert!(store.contains("#ff8800ff") && store.contains("Ours"), "{store}");
    job.run(&["verify", "--deep"]).expect(0);
    nothing_new(&job.migrate());

    // Exported once more: stamps are new, one event changed, one is gone, one is new.
    let mut later = objects(Sort::Calendars, 10);
    later.retain(|(name, _)| name != "plain-3.ics");
    later.push(("late.ics".to_owned(), corpus::event("late", "A late one")));
    let text = export(&later)
        .replace("Number 4", "Number four")
        .replace("DTSTAMP:20200101T000000Z", "DTSTAMP:20240101T000000Z");
    fs::write(&file, text).unwrap();
    let outcome = job.migrate();
    let worked = ["found", "copied", "replaced", "vanished"].map(|what| outcome.worked(what));
    assert_eq!(worked, [1, 1, 1, 1], "{outcome}");
    let family = &books(&to, Sort::Calendars)["Family, all"];
    assert!(family["plain-4"].contains(&"SUMMARY:Number four".to_owned()));
    assert!(family.contains_key("late") && family.contains_key("plain-3"));
    nothing_new(&job.migrate());
}

/// What Radicale keeps of the one collection.
fn props(server: &Radicale) -> PathBuf {
    let mut found = fs::read_dir(server.store("alice"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join(".Radicale.props"));
    found.find(|path| path.exists()).unwrap()
}

#[test]
fn cards_of_three_versions_in_one_file_arrive() {
    let tree = scratch::folder("tree");
    let mut text = String::from("\u{feff}");
    for (_, card) in objects(Sort::AddressBooks, 10) {
        text.push_str(&card);
        text.push_str("\r\n");
    }
    fs::write(tree.path().join("Friends.vcf"), text).unwrap();
    let to = Radicale::start();
    to.dav().children(HOME);
    let job = from_files(Sort::AddressBooks, tree.path(), &to);
    let outcome = job.migrate();
    outcome.adds_up();
    assert_eq!(outcome.total("moved"), 13, "{outcome}");
    assert_eq!(books(&to, Sort::AddressBooks)["Friends"].len(), 13);
    nothing_new(&job.migrate());
}

/// What is no object is counted, and its bytes are kept; the others arrive.
#[test]
fn what_is_broken_goes_to_the_quarantine() {
    let tree = scratch::folder("tree");
    let whole = corpus::event("whole", "Whole");
    let cut = "BEGIN:VEVENT\r\nUID:cut\r\nSUMMARY:Cut short\r\n";
    let text = whole.replace("BEGIN:VEVENT", &format!("{cut}BEGIN:VEVENT"));
    fs::write(tree.path().join("Work.ics"), &text).unwrap();
    fs::create_dir(tree.path().join("Other")).unwrap();
    fs::write(tree.path().join("Other/1.ics"), corpus::event("other", "Other")).unwrap();
    let garbage: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    fs::write(tree.path().join("Other/2.ics"), garbage).unwrap();
    let wide: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(tree.path().join("Other/3.ics"), &wide).unwrap();
    fs::write(tree.path().join("Other/4.ics"), "").unwrap();
    let out = scratch::folder("out");
    let job = Job::new(&[
        files("source", Sort::Calendars, tree.path(), ""),
        files("destination", Sort::Calendars, out.path(), ""),
        mailbox("alice", "{}", "{}"),
    ]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    outcome.adds_up();
    assert_eq!((outcome.total("moved"), outcome.total("failed")), (2, 3), "{outcome}");
    let kept = fs::read_dir(job.folder().join("state/quarantine/alice")).unwrap();
    let kept: Vec<Vec<u8>> = kept.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(kept.len(), 3);
    assert!(kept.contains(&cut.as_bytes().to_vec()) && kept.contains(&wide));
    job.run(&["report"]).says(&["UTF-16", "has no end"]);
    // It is not tried again and again, and what was mended is taken.
    assert_eq!(job.run(&["migrate"]).worked("found"), 0);
    fs::write(
        tree.path().join("Work.ics"),
        text.replace(cut, &format!("{cut}END:VEVENT\r\n")),
    )
    .unwrap();
    let outcome = job.run(&["migrate"]);
    assert_eq!(outcome.worked("copied"), 1, "{outcome}");
}

/// Killed while it writes: no file is half written, nothing is missing, nothing is there twice.
fn killed(sort: Sort, layout: &str) {
    // Several batches of either layout.
    let all = objects(sort, if layout == "file" { 5000 } else { 2000 });
    let tree = scratch::folder("tree");
    for (name, object) in &all {
        fs::create_dir_all(tree.path().join(NAME)).unwrap();
        fs::write(tree.path().join(NAME).join(name), object).unwrap();
    }
    let out = scratch::folder("out");
    let job = Job::new(&[
        files("source", sort, tree.path(), ""),
        files("destination", sort, out.path(), &format!(", layout = \"{layout}\"")),
        mailbox("alice", "{}", "{}"),
    ]);
    let arrived = || {
        let files = texts(out.path());
        files.values().map(|text| text.matches("UID:").count()).sum::<usize>()
    };
    let mut in_the_middle = 0;
    for round in 0..12 {
        let mut running = job.start(&["migrate"]);
        // As soon as there is something new, or a little later.
        let before = arrived();
        while arrived() <= before && running.run_for(Duration::from_millis(2)) {}
        thread::sleep(Duration::from_millis(round % 4));
        running.kill();
        in_the_middle += usize::from((1..all.len()).contains(&arrived()));
    }
    println!("{layout}: {in_the_middle} kills in the middle");
    assert!(in_the_middle >= 1, "every kill came too late");
    let outcome = job.migrate();
    outcome.adds_up();
    let mut uids: Vec<String> = texts(out.path())
        .values()
        .flat_map(|text| {
            text.lines()
                .filter(|line| line.starts_with("UID:"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    uids.sort();
    let mut expected: Vec<String> = all
        .iter()
        .flat_map(|(_, text)| {
            text.lines()
                .filter(|line| line.starts_with("UID:"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    expected.sort();
    assert_eq!(uids, expected);
    job.run(&["verify", "--deep"]).expect(0);
}

#[test]
fn kills_leave_no_half_in_folders() {
    killed(Sort::Calendars, "folders");
}

#[test]
fn kills_leave_no_half_in_a_calendar_of_one_file() {
    killed(Sort::Calendars, "file");
}

#[test]
fn kills_leave_no_half_in_an_address_book_of_one_file() {
    killed(Sort::AddressBooks, "file");
}

#[test]
fn a_file_of_20_000_events_passes_within_the_memory_budget() {
    const COUNT: usize = 20_000;
    let tree = scratch::folder("tree");
    let mut text = String::from("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y\r\nX-WR-CALNAME:Large\r\n");
    for number in 0..COUNT {
        let description = "text ".repeat(number % 60);
        write!(
            text,
            "BEGIN:VEVENT\r\nUID:e{number}@example.org\r\nDTSTAMP:20200101T000000Z\r\nDTSTART:20210301T090000Z\r\n\
             SUMMARY:Number {number}\r\nDESCRIPTION:{description}\r\nEND:VEVENT\r\n"
        )
        .unwrap();
    }
    text.push_str("END:VCALENDAR\r\n");
    fs::write(tree.path().join("large.ics"), &text).unwrap();
    let out = scratch::folder("out");
    let job = Job::new(&[
        files("source", Sort::Calendars, tree.path(), ""),
        files("destination", Sort::Calendars, out.path(), ""),
        mailbox("alice", "{}", "{}"),
    ]);
    let outcome = job.start(&["migrate"]).wait(Duration::from_secs(560));
    outcome.expect(0);
    outcome.adds_up();
    println!("{:.1} s, {} MiB", outcome.seconds, outcome.peak >> 20);
    assert_eq!(outcome.total("moved"), COUNT as u64, "{outcome}");
    assert!(outcome.peak < MEMORY, "{} MiB", outcome.peak >> 20);
    let there = fs::read_dir(out.path().join("Large")).unwrap();
    let count = there
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".ics"))
        .count();
    assert_eq!(count, COUNT);
    let again = job.start(&["migrate"]).wait(Duration::from_secs(120));
    println!("again: {:.1} s, {} MiB", again.seconds, again.peak >> 20);
    nothing_new(&again);
}
