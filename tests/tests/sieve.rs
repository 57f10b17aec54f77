//! Filters between Dovecot and Cyrus: every script arrives under its name, the one that filters goes on to, nothing moves
//! twice, changes are followed, and neither kills nor broken lines lose or double anything.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::thread;
use std::time::Duration;

use whimbrel_tests::provider::Provider;
use whimbrel_tests::proxy::{Fault, Plan, Proxy};
use whimbrel_tests::run::{Job, Outcome, account, mailbox};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{Cyrus, Dovecot, Options, Server};
use whimbrel_tests::sieve::{Filters, Sieve, side};
use whimbrel_tests::trouble::{QUIET, kill_and_resume, until_finished};

const KEEP: &str = "keep;\r\n";
const FILE: &str = "require [\"fileinto\"];\r\nif header :contains \"subject\" \"x\" { fileinto \"Junk\"; }\r\n";

fn dovecot() -> Dovecot {
    dovecot_with("")
}

fn dovecot_with(extra: &str) -> Dovecot {
    Dovecot::start(&Options {
        sieve: true,
        extra: extra.to_owned(),
        ..Options::default()
    })
}

/// Cyrus has a place for scripts where there is a mailbox.
fn cyrus() -> Cyrus {
    let server = Cyrus::start();
    drop(server.imap("alice"));
    server
}

/// Where a server speaks ManageSieve.
trait Filtering: Server {
    fn port(&self) -> u16;
    fn sieve(&self) -> Sieve {
        Sieve::login(Filtering::port(self), "alice")
    }
    fn filters(&self) -> Filters {
        self.sieve().filters()
    }
    fn side(&self, name: &str) -> String {
        side(name, Filtering::port(self), Some(self.ca()))
    }
}

impl Filtering for Dovecot {
    fn port(&self) -> u16 {
        self.sieve_port()
    }
}

impl Filtering for Cyrus {
    fn port(&self) -> u16 {
        self.sieve_port()
    }
}

fn job(from: &dyn Filtering, to: &dyn Filtering) -> Job {
    job_with(from, to, "")
}

fn job_with(from: &dyn Filtering, to: &dyn Filtering, settings: &str) -> Job {
    Job::new(&[
        settings.to_owned(),
        from.side("source"),
        to.side("destination"),
        mailbox("alice", &account("alice"), &account("alice")),
    ])
}

/// Names with blanks, quotes and other scripts, a script of a megabyte, and this many plain ones; `main` filters.
fn fill(server: &dyn Filtering, count: usize) -> Filters {
    let mut sieve = server.sieve();
    sieve.put("main", FILE);
    sieve.put("two words", KEEP);
    sieve.put("Abwesend (\u{fc}ber \u{65e5}\u{672c}) \u{1F980}", KEEP);
    sieve.put(
        "it's \"quoted\"",
        "# a comment with umlauts: \u{e4}\u{f6}\u{fc}\r\nkeep;\r\n",
    );
    sieve.put("no end of line", "stop;");
    let large = format!("{}{KEEP}", "# 0123456789abcdef0123456789\r\n".repeat(33_000));
    sieve.put("large", &large);
    for number in 0..count {
        sieve.put(&format!("plain {number}"), &format!("# number {number}\r\nkeep;\r\n"));
    }
    sieve.activate("main");
    server.filters()
}

#[track_caller]
fn quiet(outcome: &Outcome) {
    for what in ["found", "copied", "merged", "replaced", "marked"] {
        assert_eq!(outcome.worked(what), 0, "{what}: {outcome}");
    }
}

fn there_and_again(from: &dyn Filtering, to: &dyn Filtering) {
    let filters = fill(from, 150);
    assert!(filters.scripts.len() == 156 && filters.scripts["large"].len() > 950_000);
    let job = job(from, to);
    job.run(&["check"]).expect(0);
    let outcome = job.migrate();
    assert_eq!(
        (outcome.total("found"), outcome.total("moved")),
        (156, 156),
        "{outcome}"
    );
    outcome.adds_up();
    assert_eq!(to.filters(), filters);
    assert_eq!(from.filters(), filters, "the source changed");
    for depth in [&["verify"][..], &["verify", "--deep"]] {
        let verified = job.run(depth);
        verified.expect(0);
        assert_eq!(verified.json()["total"]["verdict"]["grade"], "perfect", "{verified}");
    }
    quiet(&job.migrate());

    // A change, a new one, another that filters, and one that is deleted.
    let mut sieve = from.sieve();
    sieve.put("plain 1", "# said otherwise\r\ndiscard;\r\n");
    sieve.put("new", KEEP);
    sieve.activate("new");
    sieve.delete("plain 2");
    let outcome = job.migrate();
    assert_eq!(
        (
            outcome.worked("copied"),
            outcome.worked("replaced"),
            outcome.worked("vanished")
        ),
        (1, 1, 1),
        "{outcome}"
    );
    let mut expected = from.filters();
    expected
        .scripts
        .insert("plain 2".to_owned(), filters.scripts["plain 2"].clone());
    assert_eq!(to.filters(), expected);
    quiet(&job.migrate());
}

#[test]
fn filters_from_dovecot_to_dovecot() {
    there_and_again(&dovecot(), &dovecot());
}

#[test]
fn filters_from_dovecot_to_cyrus() {
    there_and_again(&dovecot(), &cyrus());
}

#[test]
fn filters_from_cyrus_to_dovecot() {
    there_and_again(&cyrus(), &dovecot());
}

/// Somebody set up filters at the destination already: they are left as they are, and what differs is told.
#[test]
fn what_filters_at_the_destination_goes_on_filtering() {
    let (from, to) = (dovecot(), dovecot());
    for server in [&from, &to] {
        server.sieve().put("same", KEEP);
        server.sieve().put("twin", KEEP);
    }
    let mut sieve = from.sieve();
    sieve.put("main", FILE);
    sieve.activate("main");
    to.sieve().put("main", "discard;\r\n");
    to.sieve().activate("main");
    let job = job(&from, &to);
    let outcome = job.migrate();
    assert_eq!(
        (outcome.worked("copied"), outcome.worked("merged")),
        (1, 2),
        "{outcome}"
    );
    let there = to.filters();
    assert_eq!(there.active.as_deref(), Some("main"));
    assert_eq!(there.scripts["main"], "discard;");
    assert_eq!(there.scripts["main (2)"], FILE.replace("\r\n", "\n").trim_end());
    assert_eq!(there.scripts.len(), 4);
    let exported = job.run(&["ledger", "export"]);
    exported.says(&["renamed", "kept-inactive"]);
    // It is told again by who compares the two sides.
    job.run(&["verify"]).expect(4);

    // A change of what was merged is followed, and one that somebody made there stays.
    sieve.put("same", "# one\r\nkeep;\r\n");
    to.sieve().put("twin", "# theirs\r\nstop;\r\n");
    sieve.put("twin", "# two\r\nkeep;\r\n");
    let outcome = job.run(&["migrate"]);
    assert_eq!(outcome.worked("replaced"), 1, "{outcome}");
    outcome.says(&["was changed at the destination meanwhile"]);
    let there = to.filters();
    assert_eq!(there.scripts["same"], "# one\nkeep;");
    assert_eq!(there.scripts["twin"], "# theirs\nstop;");

    // Another script filters at the source from now on: at the destination, the person's own one still does.
    sieve.activate("same");
    let outcome = job.run(&["migrate"]);
    outcome.says(&["`main` filters at the destination"]);
    assert_eq!(to.filters().active.as_deref(), Some("main"));
}

#[test]
fn a_script_that_is_refused_is_kept_with_the_servers_words() {
    let from = dovecot();
    let to = dovecot_with("plugin {\n  sieve_extensions = -vacation\n}\n");
    fill(&from, 5);
    let vacation = "require [\"vacation\"];\r\nvacation \"I am away\";\r\n";
    from.sieve().put("away", vacation);
    let job = job(&from, &to);
    // It is told before.
    job.run(&["assess"])
        .says(&["does not offer `vacation`, which 1 items need (`away`)"]);
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(
        (
            outcome.total("moved"),
            outcome.total("failed"),
            outcome.total("pending")
        ),
        (11, 1, 0),
        "{outcome}"
    );
    let exported = job.run(&["ledger", "export"]);
    exported.says(&["unknown Sieve capability `vacation'"]);
    assert!(!exported.text().contains("I am away"), "{exported}");
    let kept = fs::read_dir(job.folder().join("state/quarantine/alice")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
    assert!(
        kept.len() == 1 && kept[0].extension().is_some_and(|ending| ending == "sieve"),
        "{kept:?}"
    );
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), vacation);
}

#[test]
fn deletions_are_mirrored_where_that_is_asked_for_but_for_the_one_that_filters() {
    let (from, to) = (dovecot(), dovecot());
    fill(&from, 60);
    let asked = "[deletions]\nuntil = 2090-01-01T00:00:00Z\napart = \"1s\"\nmax_share = \"10%\"\n";
    let job = job_with(&from, &to, asked);
    job.migrate();
    let mut sieve = from.sieve();
    sieve.delete("plain 2");
    sieve.activate("");
    sieve.delete("main");
    assert_eq!(job.migrate().worked("vanished"), 2);
    thread::sleep(Duration::from_millis(2100));
    let outcome = job.migrate();
    assert_eq!(outcome.worked("trashed"), 1, "{outcome}");
    let there = to.filters();
    assert!(!there.scripts.contains_key("plain 2"));
    assert_eq!(there.active.as_deref(), Some("main"));
    let kept = fs::read_dir(job.folder().join("state/quarantine/alice")).unwrap();
    let kept: Vec<String> = kept
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert!(kept.iter().any(|text| text.starts_with("# number 2\r\n")), "{kept:?}");
}

#[test]
fn a_script_with_another_name_is_known_again() {
    let (from, to) = (dovecot(), dovecot());
    from.sieve().put("old", FILE);
    from.sieve().activate("old");
    let job = job(&from, &to);
    job.migrate();
    from.sieve().rename("old", "new");
    let outcome = job.migrate();
    assert_eq!(
        (outcome.worked("copied"), outcome.worked("adopted")),
        (0, 1),
        "{outcome}"
    );
    let there = to.filters();
    assert_eq!((there.scripts.len(), there.active.as_deref()), (1, Some("old")));
    quiet(&job.migrate());
}

fn from_the_first_byte(from: &Dovecot, to: &Dovecot, source: &str) -> Job {
    let implicit = side("source", from.sieve_tls_port(), Some(from.ca()));
    Job::new(&[
        implicit.replace("host =", "tls = \"implicit\", host ="),
        to.side("destination"),
        mailbox("alice", source, &account("alice")),
    ])
}

#[test]
fn a_token_logs_in_over_tls_from_the_first_byte() {
    let provider = Provider::start(Duration::from_secs(60));
    let folder = scratch::folder("oauth");
    let from = dovecot_with(&provider.dovecot(&folder.path().join("oauth")));
    from.sieve().put("main", FILE);
    let to = dovecot();
    let token = provider.access_token("alice");
    let source = format!("{{ user = \"alice\", token = \"{token}\" }}");
    let outcome = from_the_first_byte(&from, &to, &source).migrate();
    outcome.adds_up();
    assert!(
        outcome.json()["mailboxes"][0].to_string().contains("TLS 1.3"),
        "{outcome}"
    );
    assert_eq!(to.filters().scripts.len(), 1);
}

#[test]
fn a_wrong_password_is_told() {
    let (from, to) = (dovecot(), dovecot());
    let source = "{ user = \"alice\", password = \"wrong-password-1\" }";
    let refused = from_the_first_byte(&from, &to, source).run(&["migrate"]);
    refused.expect(3);
    let shown = format!("{refused}");
    assert!(
        shown.contains("unauthenticated") && !shown.contains("wrong-password-1"),
        "{shown}"
    );
}

/// All scripts of a filled server together.
fn bytes(filters: &Filters) -> u64 {
    filters.scripts.values().map(|text| text.len() as u64).sum()
}

#[test]
fn connections_that_are_cut_lose_and_double_nothing() {
    let (from, to) = (dovecot(), dovecot());
    let filters = fill(&from, 150);
    let share = bytes(&filters) / 10;
    let cuts = |seed| Plan {
        // The first connections break, each somewhat later.
        fault: Box::new(move |number, random| match number < 10 {
            true => Fault::Cut {
                after: share / 4 * (number + 1) + random.below(share / 2),
            },
            false => Fault::None,
        }),
        seed,
        ..Plan::default()
    };
    let proxies = [
        Proxy::start(from.sieve_port(), cuts(41)),
        Proxy::start(to.sieve_port(), cuts(42)),
    ];
    let job = Job::new(&[
        QUIET.to_owned(),
        side("source", proxies[0].port(), None),
        side("destination", proxies[1].port(), None),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    until_finished(&job, &[&proxies[0], &proxies[1]]);
    assert_eq!(to.filters(), filters);
    assert_eq!(from.filters(), filters);
}

#[test]
fn killed_10_times_on_the_way() {
    let (from, to) = (dovecot(), dovecot());
    let filters = fill(&from, 250);
    let plan = Plan {
        rate: Some(bytes(&filters) / 3),
        ..Plan::default()
    };
    let proxy = Proxy::start(to.sieve_port(), plan);
    let job = Job::new(&[
        QUIET.to_owned(),
        side("source", from.sieve_port(), None),
        side("destination", proxy.port(), None),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    kill_and_resume(&job, &proxy, bytes(&filters), 10, 43);
    assert_eq!(to.filters(), filters);
    assert_eq!(from.filters(), filters);
}
