//! Calendars and address books between Radicale, Xandikos and Cyrus: everything arrives, nothing moves twice, changes are
//! followed, what is deleted stays unless the settings say otherwise, and a kill loses and doubles nothing.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::thread;
use std::time::{Duration, Instant};

use whimbrel_tests::corpus;
use whimbrel_tests::dav::{Books, Dav, Sort};
use whimbrel_tests::instances::instances;
use whimbrel_tests::run::{Job, mailbox};
use whimbrel_tests::servers::{Cyrus, DavServer, PASSWORD, Radicale, Server, Xandikos};

/// Cyrus has a place for collections where there is a mailbox.
fn cyrus() -> Cyrus {
    let server = Cyrus::start();
    drop(server.imap("alice"));
    server
}

fn hard(sort: Sort) -> Vec<(String, String)> {
    match sort {
        Sort::Calendars => corpus::calendar_objects(),
        Sort::AddressBooks => corpus::contacts(),
    }
}

fn plain(sort: Sort, uid: &str, text: &str) -> String {
    match sort {
        Sort::Calendars => corpus::event(uid, text),
        Sort::AddressBooks => corpus::contact(uid, text),
    }
}

fn suffix(sort: Sort) -> &'static str {
    match sort {
        Sort::Calendars => "ics",
        Sort::AddressBooks => "vcf",
    }
}

/// Fills a collection with the hard objects and this many plain ones.
fn fill(server: &dyn DavServer, sort: Sort, plain_ones: usize) -> String {
    let dav = server.dav();
    let path = format!("{}work/", server.home(sort));
    dav.children(server.home(sort));
    dav.make(sort, &path, "Wörk &amp; Co");
    let refused = server.refuses();
    for (name, object) in hard(sort)
        .into_iter()
        .filter(|(name, _)| !refused.contains(&name.as_str()))
    {
        dav.put(sort, &format!("{path}{name}"), &object);
    }
    for number in 0..plain_ones {
        let object = plain(sort, &format!("plain-{number}"), &format!("Number {number}"));
        dav.put(sort, &format!("{path}p{number}.{}", suffix(sort)), &object);
    }
    path
}

fn read(server: &dyn DavServer, sort: Sort) -> Books {
    server.dav().books(sort, server.home(sort))
}

fn job(from: &dyn DavServer, to: &dyn DavServer, sort: Sort) -> Job {
    job_with(from, to, sort, "")
}

fn job_with(from: &dyn DavServer, to: &dyn DavServer, sort: Sort, settings: &str) -> Job {
    Job::new(&[
        settings.to_owned(),
        from.side("source", sort.connector()),
        to.side("destination", sort.connector()),
        mailbox("alice", &from.account(), &to.account()),
    ])
}

/// Every collection of `from` lies at `to`, with the same objects that say the same.
#[track_caller]
fn assert_arrived(from: &dyn DavServer, to: &dyn DavServer, sort: Sort) {
    let (source, destination) = (read(from, sort), read(to, sort));
    assert!(
        source.values().map(|book| book.len()).sum::<usize>() > 0,
        "nothing to compare"
    );
    for (name, objects) in source.iter().filter(|(_, objects)| !objects.is_empty()) {
        let there = destination.get(name);
        let there = there.unwrap_or_else(|| panic!("`{name}` is not among {:?}", destination.keys()));
        let uids = |book: &std::collections::BTreeMap<String, Vec<String>>| book.keys().cloned().collect::<Vec<_>>();
        assert_eq!(uids(objects), uids(there), "`{name}`");
        for (uid, said) in objects {
            assert_eq!(*said, there[uid], "{uid} in `{name}`");
        }
    }
}

fn there_and_again(from: &dyn DavServer, to: &dyn DavServer, sort: Sort) {
    let path = fill(from, sort, 130);
    let before = read(from, sort);
    let refused: Vec<String> = hard(sort)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| to.refuses().contains(&name.as_str()) && !from.refuses().contains(&name.as_str()))
        .collect();
    let job = job(from, to, sort);
    let outcome = job.run(&["migrate"]);
    outcome.expect(if refused.is_empty() { 0 } else { 3 });
    let count = u64::try_from(before.values().map(|book| book.len()).sum::<usize>()).unwrap();
    let failed = u64::try_from(refused.len()).unwrap();
    assert_eq!(
        (outcome.total("found"), outcome.total("moved"), outcome.total("failed")),
        (count, count - failed, failed),
        "{outcome}"
    );
    outcome.adds_up();
    assert_eq!(read(from, sort), before, "the source changed");
    if !refused.is_empty() {
        // The server's own words say what it does not take; without it, the rest is compared.
        job.run(&["ledger", "export"]).says(&["valid-calendar-data"]);
        for name in &refused {
            from.dav().delete(&format!("{path}{name}"));
        }
        job.run(&["migrate"]);
    }
    assert_arrived(from, to, sort);
    for depth in [&["verify"][..], &["verify", "--deep"]] {
        let verified = job.run(depth);
        verified.expect(0);
        assert_eq!(verified.json()["total"]["verdict"]["grade"], "perfect", "{verified}");
    }

    let again = job.migrate();
    for what in ["found", "copied", "merged", "replaced"] {
        assert_eq!(again.worked(what), 0, "{what}: {again}");
    }
}

#[test]
fn calendars_from_radicale_to_xandikos() {
    there_and_again(&Radicale::start(), &Xandikos::start(), Sort::Calendars);
}

#[test]
fn calendars_from_xandikos_to_radicale() {
    there_and_again(&Xandikos::start(), &Radicale::start(), Sort::Calendars);
}

#[test]
fn address_books_from_radicale_to_xandikos() {
    there_and_again(&Radicale::start(), &Xandikos::start(), Sort::AddressBooks);
}

#[test]
fn address_books_from_xandikos_to_radicale() {
    there_and_again(&Xandikos::start(), &Radicale::start(), Sort::AddressBooks);
}

#[test]
fn calendars_from_radicale_to_cyrus() {
    there_and_again(&Radicale::start(), &cyrus(), Sort::Calendars);
}

#[test]
fn calendars_from_cyrus_to_xandikos() {
    there_and_again(&cyrus(), &Xandikos::start(), Sort::Calendars);
}

#[test]
fn address_books_from_xandikos_to_cyrus() {
    there_and_again(&Xandikos::start(), &cyrus(), Sort::AddressBooks);
}

#[test]
fn address_books_from_cyrus_to_radicale() {
    there_and_again(&cyrus(), &Radicale::start(), Sort::AddressBooks);
}

#[test]
fn calendars_from_cyrus_to_radicale() {
    there_and_again(&cyrus(), &Radicale::start(), Sort::Calendars);
}

#[test]
fn calendars_from_xandikos_to_cyrus() {
    there_and_again(&Xandikos::start(), &cyrus(), Sort::Calendars);
}

#[test]
fn address_books_from_cyrus_to_xandikos() {
    there_and_again(&cyrus(), &Xandikos::start(), Sort::AddressBooks);
}

#[test]
fn address_books_from_radicale_to_cyrus() {
    there_and_again(&Radicale::start(), &cyrus(), Sort::AddressBooks);
}

/// Every event takes place when it did, for five years: expanded by independent libraries at both sides.
fn the_same_days(from: &dyn DavServer, to: &dyn DavServer) {
    let dav = from.dav();
    let path = format!("{}series/", from.home(Sort::Calendars));
    dav.children(from.home(Sort::Calendars));
    dav.make(Sort::Calendars, &path, "Series");
    let refused = |name: &str| from.refuses().contains(&name) || to.refuses().contains(&name);
    let all = corpus::series().into_iter().chain(corpus::calendar_objects());
    for (name, object) in all.filter(|(name, _)| !refused(name)) {
        dav.put(Sort::Calendars, &format!("{path}{name}"), &object);
    }
    job(from, to, Sort::Calendars).migrate().adds_up();
    let expanded = |server: &dyn DavServer| {
        let books = server.dav().objects(Sort::Calendars, server.home(Sort::Calendars));
        instances(books["Series"].values())
    };
    let (source, destination) = (expanded(from), expanded(to));
    assert!(source.len() > 1000, "{} instances", source.len());
    for name in ["weekdays", "last-friday", "across-dst", "leap-day", "series"] {
        assert!(
            source.iter().any(|one| one.starts_with(&format!("{name}@"))),
            "no {name}"
        );
    }
    assert_eq!(source, destination);
}

#[test]
fn events_take_place_when_they_did_from_radicale_to_xandikos() {
    the_same_days(&Radicale::start(), &Xandikos::start());
}

#[test]
fn events_take_place_when_they_did_from_xandikos_to_radicale() {
    the_same_days(&Xandikos::start(), &Radicale::start());
}

#[test]
fn events_take_place_when_they_did_from_radicale_to_cyrus() {
    the_same_days(&Radicale::start(), &cyrus());
}

#[test]
fn events_take_place_when_they_did_from_cyrus_to_xandikos() {
    the_same_days(&cyrus(), &Xandikos::start());
}

/// Cyrus sends invitations by itself, and to who has an account there at once: nothing may arrive of a migration.
#[test]
fn nobody_is_invited_again() {
    let (from, to) = (Radicale::start(), cyrus());
    drop(to.imap("bob"));
    let invitation = |uid: &str| {
        corpus::event(uid, "A meeting").replace(
            "SUMMARY",
            "ORGANIZER:mailto:alice@localhost\r\nATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob@localhost\r\nSUMMARY",
        )
    };
    let bob = Dav::new(&to.url(), Some(("bob", PASSWORD)));
    // It logs each message that it makes of an event, with who gets it.
    let invited = || {
        to.log()
            .matches("iTIP scheduling request from alice@localhost to bob@localhost")
            .count()
    };
    bob.children("/dav/calendars/user/bob/");
    let path = fill(&from, Sort::Calendars, 1);
    from.dav()
        .put(Sort::Calendars, &format!("{path}meeting.ics"), &invitation("migrated"));
    let job = job(&from, &to, Sort::Calendars);
    job.run(&["migrate"]);
    // A change, too, and a deletion.
    let changed = invitation("migrated").replace("A meeting", "Another meeting");
    from.dav().put(Sort::Calendars, &format!("{path}meeting.ics"), &changed);
    assert_eq!(job.run(&["migrate"]).worked("replaced"), 1);
    let before = invited();
    // What a person's own program puts is sent: so the test would see it.
    to.dav().put(
        Sort::Calendars,
        &format!("{}Default/direct.ics", to.home(Sort::Calendars)),
        &invitation("direct"),
    );
    let start = Instant::now();
    while invited() == before && start.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((before, invited()), (0, 1), "{}", to.log());
    let there = bob
        .children("/dav/calendars/user/bob/Inbox/")
        .into_iter()
        .map(|(path, _)| bob.ask("GET", &path, &[], "").body);
    assert_eq!(there.filter(|object| object.contains("UID:migrated")).count(), 0);
}

fn changes_arrive(from: &dyn DavServer, to: &dyn DavServer, sort: Sort) {
    let path = fill(from, sort, 5);
    let job = job(from, to, sort);
    job.migrate();
    assert_arrived(from, to, sort);

    let dav = from.dav();
    let suffix = suffix(sort);
    dav.put(
        sort,
        &format!("{path}p1.{suffix}"),
        &plain(sort, "plain-1", "Said otherwise"),
    );
    dav.put(
        sort,
        &format!("{path}new.{suffix}"),
        &plain(sort, "new-one", "Brand new"),
    );
    let outcome = job.migrate();
    assert_arrived(from, to, sort);
    assert_eq!(outcome.worked("replaced"), 1, "{outcome}");

    // Deletions are mirrored only where that is asked for.
    dav.delete(&format!("{path}p2.{suffix}"));
    let outcome = job.migrate();
    assert_eq!(outcome.worked("vanished"), 1, "{outcome}");
    let holds = |books: &Books| books.values().any(|objects| objects.contains_key("plain-2"));
    assert!(!holds(&read(from, sort)) && holds(&read(to, sort)));
}

/// These servers have no trash: what was deleted at the source is kept in the quarantine before it is removed.
#[test]
fn deletions_are_mirrored_where_that_is_asked_for() {
    let (from, to) = (Radicale::start(), Xandikos::start());
    let path = fill(&from, Sort::AddressBooks, 20);
    let asked = "[deletions]\nuntil = 2090-01-01T00:00:00Z\napart = \"1s\"\nmax_share = \"10%\"\n";
    let job = job_with(&from, &to, Sort::AddressBooks, asked);
    job.migrate();
    from.dav().delete(&format!("{path}p2.vcf"));
    assert_eq!(job.migrate().worked("vanished"), 1);
    thread::sleep(Duration::from_millis(2100));
    let outcome = job.migrate();
    assert_eq!(outcome.worked("trashed"), 1, "{outcome}");
    assert_arrived(&from, &to, Sort::AddressBooks);
    let holds = |books: &Books| books.values().any(|objects| objects.contains_key("plain-2"));
    assert!(!holds(&read(&to, Sort::AddressBooks)));
    let kept = std::fs::read_dir(job.folder().join("state/quarantine/alice")).unwrap();
    let kept: Vec<String> = kept
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert!(kept.len() == 1 && kept[0].contains("UID:plain-2"), "{kept:?}");
}

/// One object that the destination refuses is told and kept aside, and the others arrive.
#[test]
fn an_object_that_is_refused_holds_up_no_other() {
    let (from, to) = (Radicale::start(), Xandikos::start());
    let path = fill(&from, Sort::Calendars, 5);
    from.dav().put(
        Sort::Calendars,
        &format!("{path}bad.ics"),
        &corpus::event("bad", "a form feed\u{c} in the middle"),
    );
    let job = job(&from, &to, Sort::Calendars);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    let count = u64::try_from(hard(Sort::Calendars).len() + 5).unwrap();
    assert_eq!(
        (
            outcome.total("moved"),
            outcome.total("failed"),
            outcome.total("pending")
        ),
        (count, 1, 0),
        "{outcome}"
    );
    let kept = std::fs::read_dir(job.folder().join("state/quarantine/alice")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].extension().is_some_and(|ending| ending == "ics"), "{kept:?}");
}

#[test]
fn changes_of_events_are_followed() {
    changes_arrive(&Radicale::start(), &Xandikos::start(), Sort::Calendars);
}

#[test]
fn changes_of_contacts_are_followed() {
    changes_arrive(&Xandikos::start(), &Radicale::start(), Sort::AddressBooks);
}

#[test]
fn a_kill_in_the_middle_loses_and_doubles_nothing() {
    let (from, to) = (Radicale::start(), Xandikos::start());
    fill(&from, Sort::Calendars, 300);
    let job = job(&from, &to, Sort::Calendars);
    let arrived = || {
        let collections = to.dav().children(to.home(Sort::Calendars)).into_iter();
        collections
            .map(|(path, _)| to.dav().children(&path).len())
            .sum::<usize>()
    };
    let all = hard(Sort::Calendars).len() + 300;
    let mut in_the_middle = 0;
    for share in [1, 80, 160] {
        let running = job.start(&["migrate"]);
        for _ in 0..2000 {
            if arrived() >= share {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        running.kill();
        in_the_middle += usize::from((1..all).contains(&arrived()));
    }
    assert!(in_the_middle >= 1, "every kill came too late");
    let outcome = job.migrate();
    outcome.adds_up();
    assert_arrived(&from, &to, Sort::Calendars);
}
