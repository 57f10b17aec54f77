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
        let collections = to.dav().children(home(&to, Sort::Calendars)).into_iter();
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
