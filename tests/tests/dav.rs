//! Calendars and address books between Radicale and Xandikos: everything arrives, nothing moves twice, changes are
//! followed, what is deleted stays unless the settings say otherwise, and a kill loses and doubles nothing.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::thread;
use std::time::Duration;

use whimbrel_tests::corpus;
use whimbrel_tests::dav::{Books, Sort};
use whimbrel_tests::run::{Job, mailbox};
use whimbrel_tests::servers::{DavServer, Radicale, Xandikos};

/// Where collections of this sort lie.
fn home(server: &dyn DavServer, sort: Sort) -> &'static str {
    match (server.user(), sort) {
        (Some(_), _) => "/alice/",
        (None, Sort::Calendars) => "/user/calendars/",
        (None, Sort::AddressBooks) => "/user/contacts/",
    }
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
    let path = format!("{}work/", home(server, sort));
    dav.children(home(server, sort));
    dav.make(sort, &path, "Wörk &amp; Co");
    for (name, object) in hard(sort) {
        dav.put(sort, &format!("{path}{name}"), &object);
    }
    for number in 0..plain_ones {
        let object = plain(sort, &format!("plain-{number}"), &format!("Number {number}"));
        dav.put(sort, &format!("{path}p{number}.{}", suffix(sort)), &object);
    }
    path
}

fn read(server: &dyn DavServer, sort: Sort) -> Books {
    server.dav().books(sort, home(server, sort))
}

fn job(from: &dyn DavServer, to: &dyn DavServer, sort: Sort) -> Job {
    Job::new(&[
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
    fill(from, sort, 130);
    let before = read(from, sort);
    let job = job(from, to, sort);
    let outcome = job.migrate();
    let count = u64::try_from(hard(sort).len() + 130).unwrap();
    assert_eq!(
        (outcome.total("found"), outcome.total("moved"), outcome.total("failed")),
        (count, count, 0),
        "{outcome}"
    );
    outcome.adds_up();
    assert_arrived(from, to, sort);
    assert_eq!(read(from, sort), before, "the source changed");

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
    for pause in [400, 700, 1100] {
        let running = job.start(&["migrate"]);
        thread::sleep(Duration::from_millis(pause));
        running.kill();
    }
    let outcome = job.migrate();
    outcome.adds_up();
    assert_arrived(&from, &to, Sort::Calendars);
}
