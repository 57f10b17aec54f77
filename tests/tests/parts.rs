//! A mailbox in parts: mail, calendars, contacts and filters by a connector each, with one settings file, one run and one
//! report.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::collections::BTreeSet;
use std::time::Duration;

use whimbrel_tests::account::Account;
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus;
use whimbrel_tests::dav::{Books, Sort};
use whimbrel_tests::run::{Job, account, imap_side, local_side, mailbox};
use whimbrel_tests::servers::{DavServer, Dovecot, Options, Radicale, Server, Xandikos};
use whimbrel_tests::sieve::{self, Sieve};
use whimbrel_tests::writers;

/// Mail and filters.
fn mail_server() -> Dovecot {
    Dovecot::start(&Options {
        sieve: true,
        ..Options::default()
    })
}

fn filters(server: &Dovecot) -> sieve::Filters {
    Sieve::login(server.sieve_port(), "alice").filters()
}

/// Where a user has mail, calendars, contacts and filters.
struct Provider {
    mail: Dovecot,
    dav: Radicale,
}

impl Provider {
    fn start() -> Self {
        Self {
            mail: mail_server(),
            dav: Radicale::start(),
        }
    }

    /// Messages, a calendar with tasks in it, an address book, and two filters, one of which is in use.
    fn fill(&self, messages: u64) -> Account {
        let account = corpus::ordinary(1, messages);
        writers::imap(&mut self.mail.imap("alice"), '/', &account);
        let dav = self.dav.dav();
        dav.make(Sort::Calendars, "/alice/work/", "Work");
        for (name, object) in corpus::calendar_objects() {
            dav.put(Sort::Calendars, &format!("/alice/work/{name}"), &object);
        }
        dav.make(Sort::AddressBooks, "/alice/people/", "People");
        for (name, object) in corpus::contacts() {
            dav.put(Sort::AddressBooks, &format!("/alice/people/{name}"), &object);
        }
        let mut sieve = Sieve::login(self.mail.sieve_port(), "alice");
        sieve.put("old", "keep;\r\n");
        sieve.put("main", "redirect \"bob@old.example\";\r\n");
        sieve.activate("main");
        Account::read(&mut self.mail.imap("alice"))
    }
}

/// One settings file for all four.
fn sections(from: &Provider, to_mail: &Dovecot, to_dav: &dyn DavServer) -> Vec<String> {
    vec![
        imap_side("source", &from.mail),
        imap_side("destination", to_mail),
        from.dav.side("part.calendars.source", "caldav"),
        to_dav.side("part.calendars.destination", "caldav"),
        from.dav.side("part.contacts.source", "carddav"),
        to_dav.side("part.contacts.destination", "carddav"),
        sieve::side("part.filters.source", from.mail.sieve_port(), Some(from.mail.ca())),
        sieve::side("part.filters.destination", to_mail.sieve_port(), Some(to_mail.ca())),
        mailbox("alice", &account("alice"), &account("alice")),
    ]
}

/// UIDs by the names of collections, those that are empty left out.
fn uids(books: &Books) -> BTreeSet<(String, String)> {
    books
        .iter()
        .flat_map(|(name, objects)| objects.keys().map(|uid| (name.clone(), uid.clone())))
        .collect()
}

fn there(dav: &dyn DavServer, sort: Sort) -> BTreeSet<(String, String)> {
    let home = match (dav.user(), sort) {
        (Some(_), _) => "/alice/",
        (None, Sort::Calendars) => "/user/calendars/",
        (None, Sort::AddressBooks) => "/user/contacts/",
    };
    uids(&dav.dav().books(sort, home))
}

#[test]
fn mail_calendars_contacts_and_filters_go_together() {
    let from = Provider::start();
    let (to_mail, to_dav) = (mail_server(), Xandikos::start());
    let before = from.fill(40);
    let job = Job::new(&sections(&from, &to_mail, &to_dav));
    let checked = job.run(&["check"]);
    checked.expect(0);
    checked.says(&["alice/calendars", "alice/contacts", "alice/filters"]);

    let outcome = job.migrate();
    outcome.adds_up();
    let events = there(&from.dav, Sort::Calendars);
    let contacts = there(&from.dav, Sort::AddressBooks);
    let messages = before.count();
    let counts = [
        ("alice", messages),
        ("alice/calendars", events.len()),
        ("alice/contacts", contacts.len()),
        ("alice/filters", 2),
    ];
    for (name, count) in counts {
        assert_eq!(outcome.mailbox(name)["moved"], count, "{name}: {outcome}");
    }
    assert_same(&before, &Account::read(&mut to_mail.imap("alice")), &Allow::dovecot());
    assert_eq!(there(&to_dav, Sort::Calendars), events);
    assert_eq!(there(&to_dav, Sort::AddressBooks), contacts);
    assert_eq!(filters(&to_mail), filters(&from.mail));

    // One report of everything.
    let report = job.run(&["report", "--html", "report.html"]);
    report.expect(0);
    let json = report.json();
    assert_eq!(
        json["total"]["moved"],
        messages + events.len() + contacts.len() + 2,
        "{report}"
    );
    assert_eq!(
        json["source"]["connectors"],
        serde_json::json!(["imap", "caldav", "carddav", "managesieve"])
    );
    let used: Vec<&str> = json["destination"]["used"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(used, ["imap", "caldav", "carddav", "managesieve"], "{report}");
    let page = std::fs::read_to_string(job.folder().join("report.html"))
        .unwrap()
        .replace("<wbr>", "");
    for words in [
        "alice/calendars",
        "alice/contacts",
        "alice/filters",
        "imap, caldav, carddav, managesieve",
    ] {
        assert!(page.contains(words), "{words} is not on the page");
    }
    let verified = job.run(&["verify", "--deep"]);
    verified.expect(0);
    assert_eq!(verified.json()["total"]["verdict"]["grade"], "perfect", "{verified}");

    // Nothing moves twice; what is new in one part moves, and no other part is touched where only that one is named.
    let again = job.migrate();
    assert_eq!((again.worked("found"), again.worked("copied")), (0, 0), "{again}");
    from.dav.dav().put(
        Sort::AddressBooks,
        "/alice/people/new.vcf",
        &corpus::contact("new", "New One"),
    );
    from.dav
        .dav()
        .put(Sort::Calendars, "/alice/work/new.ics", &corpus::event("new", "New One"));
    let one = job.run(&["migrate", "--only", "alice/contacts"]);
    one.expect(0);
    assert_eq!(one.worked("copied"), 1, "{one}");
    assert_eq!(there(&to_dav, Sort::Calendars), events);
    let all = job.run(&["migrate", "--only", "alice"]);
    all.expect(0);
    assert_eq!(all.worked("copied"), 1, "{all}");
    assert_eq!(there(&to_dav, Sort::Calendars), there(&from.dav, Sort::Calendars));
    for (named, parts) in [("alice", 4), ("alice/filters", 1)] {
        let trail = job.run(&["events", "--only", named]);
        trail.expect(0);
        let names: BTreeSet<String> = trail
            .stdout
            .lines()
            .filter_map(|line| {
                serde_json::from_str::<serde_json::Value>(line).ok()?["mailbox"]
                    .as_str()
                    .map(str::to_owned)
            })
            .collect();
        assert_eq!(names.len(), parts, "{names:?}");
    }
}

#[test]
fn a_new_domain_reaches_meetings_contacts_and_filters() {
    let from = Provider::start();
    let (to_mail, to_dav) = (mail_server(), Radicale::start());
    from.fill(4);
    let meeting = |summary: &str, domain: &str| {
        corpus::event("meeting", summary).replace(
            "END:VEVENT",
            &format!("ORGANIZER:mailto:ann@{domain}\r\nATTENDEE:mailto:bob@{domain}\r\nEND:VEVENT"),
        )
    };
    let put = |summary: &str| {
        let object = meeting(summary, "old.example");
        from.dav.dav().put(Sort::Calendars, "/alice/work/meeting.ics", &object);
    };
    put("Lunch with ann@old.example");
    let card = corpus::contact("ann", "Ann").replace("END:VCARD", "EMAIL:ann@old.example\r\nEND:VCARD");
    from.dav.dav().put(Sort::AddressBooks, "/alice/people/ann.vcf", &card);
    let mut all = sections(&from, &to_mail, &to_dav);
    all.push("[rules]\nscript = \"rules.rhai\"\n".to_owned());
    let job = Job::new(&all);
    let script = r#"
        fn event(e) { e.rewrite_domain("old.example", "new.example"); }
        fn contact(c) { c.rewrite_domain("old.example", "new.example"); }
        fn filter(s) {
            s.rewrite_domain("old.example", "new.example");
            if s.name == "old" { s.skip("not in use") }
        }
        fn mailbox(b) { b.note(`mailbox ${b.name}`); }
    "#;
    std::fs::write(job.folder().join("rules.rhai"), script).unwrap();
    job.run(&["rules", "check"]).expect(0);
    let tried = job.run(&["rules", "try"]);
    tried.expect(0);
    tried.says(&["rewrote ATTENDEE (1)", "rewrote strings (1)", "not in use"]);

    job.migrate().adds_up();
    let moved = |uid: &str, sort: Sort| {
        let books = to_dav.dav().books(sort, "/alice/");
        books
            .values()
            .find_map(|book| book.get(uid))
            .cloned()
            .unwrap()
            .join("\n")
    };
    let event = moved("meeting", Sort::Calendars);
    assert!(
        event.contains("ann@new.example") && event.contains("bob@new.example"),
        "{event}"
    );
    assert!(
        event.contains("Lunch with ann@old.example"),
        "texts for people stay: {event}"
    );
    assert!(moved("ann", Sort::AddressBooks).contains("ann@new.example"));
    let there = filters(&to_mail);
    assert_eq!(there.active.as_deref(), Some("main"));
    assert_eq!(there.scripts.len(), 1, "{there:?}");
    assert_eq!(there.scripts["main"], "redirect \"bob@new.example\";");

    // What rules made is what is there, now and after a change at the source.
    let verified = job.run(&["verify", "--deep"]);
    verified.expect(0);
    assert_eq!(verified.json()["total"]["verdict"]["grade"], "perfect", "{verified}");
    put("Dinner");
    let again = job.migrate();
    assert_eq!((again.worked("replaced"), again.worked("copied")), (1, 0), "{again}");
    let event = moved("meeting", Sort::Calendars);
    assert!(event.contains("Dinner") && event.contains("bob@new.example"), "{event}");
    let last = job.migrate();
    assert_eq!((last.worked("found"), last.worked("replaced")), (0, 0), "{last}");
}

#[test]
fn a_part_that_fails_does_not_hold_up_the_others() {
    let from = Provider::start();
    let (to_mail, to_dav) = (mail_server(), Radicale::start());
    from.fill(6);
    let all = sections(&from, &to_mail, &to_dav).join("\n");
    let wrong = "parts.contacts = { destination = { user = \"alice\", password = { env = \"WRONG\" } } }\n";
    let job = Job::new(&[format!("{all}{wrong}")]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(2);
    outcome.says(&["alice/contacts", "WRONG"]);

    let mut command = job.command(&["migrate"]);
    command.env("WRONG", "not the password");
    let outcome = whimbrel_tests::run::Running::start(&mut command).wait(Duration::from_secs(120));
    outcome.expect(3);
    assert_eq!(outcome.mailbox("alice")["moved"], 6, "{outcome}");
    assert_eq!(there(&to_dav, Sort::Calendars), there(&from.dav, Sort::Calendars));
    assert!(there(&to_dav, Sort::AddressBooks).is_empty());
    assert_eq!(
        outcome.mailbox("alice/contacts")["problems"][0]["code"],
        "unauthenticated",
        "{outcome}"
    );

    let job_mended = job;
    job_mended.rewrite(&sections(&from, &to_mail, &to_dav));
    let outcome = job_mended.migrate();
    assert_eq!(
        there(&to_dav, Sort::AddressBooks),
        there(&from.dav, Sort::AddressBooks),
        "{outcome}"
    );
}

#[test]
fn kills_in_all_parts_lose_and_double_nothing() {
    let from = Provider::start();
    let (to_mail, to_dav) = (mail_server(), Radicale::start());
    let before = from.fill(300);
    let job = Job::new(&sections(&from, &to_mail, &to_dav));
    let mut struck = 0;
    for round in 0..4 {
        let mut running = job.start(&["migrate"]);
        struck += u32::from(running.run_for(Duration::from_millis(500 + 150 * round)));
        running.kill();
    }
    assert!(struck > 0, "no run was killed");
    job.migrate().adds_up();
    assert_same(&before, &Account::read(&mut to_mail.imap("alice")), &Allow::dovecot());
    for sort in [Sort::Calendars, Sort::AddressBooks] {
        assert_eq!(there(&to_dav, sort), there(&from.dav, sort));
    }
    assert_eq!(filters(&to_mail), filters(&from.mail));
}

#[test]
fn calendars_have_no_place_among_mail() {
    let from = Radicale::start();
    let job = Job::new(&[
        from.side("source", "caldav"),
        local_side("destination", "maildir", "root = \"out\""),
        mailbox("alice", &account("alice"), "{ }"),
    ]);
    let refused = job.run(&["migrate"]);
    refused.expect(2);
    refused.says(&[
        "nothing can be moved from `caldav` to `maildir`",
        "gives events, tasks",
        "holds messages",
    ]);
}
