//! What follows failures: pauses, parks, breakers, budgets, suspects and repairs, with a clock that tests turn.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // Tests may panic.

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use support::{Bench, Character, Store, faults};
use tokio::time::Instant;
use whimbrel_engine::{
    Clock, Daily, FaultOptions, Mailbox, Observer, Progress, RepairKind, RepairOptions, Report, Stop, migrate, requeue,
    status,
};
use whimbrel_ledger::Fate;
use whimbrel_model::Failure;
use whimbrel_sandbox::{Attempt, Refusal, Usage};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What happened, in order: "started alice", "parked alice", "finished alice".
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Observer for Recorder {
    fn notify(&self, progress: Progress<'_>) {
        let line = match progress {
            Progress::Started { mailbox } => format!("started {mailbox}"),
            Progress::Parked { mailbox, .. } => format!("parked {mailbox}"),
            Progress::Finished { mailbox } => format!("finished {mailbox}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Recorder {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A clock that goes with tokio's, from noon of some day.
fn clock() -> Clock {
    let start = Instant::now();
    Clock::new(move || 1_795_867_200_000 + i64::try_from(start.elapsed().as_millis()).unwrap())
}

/// Patient, with the pauses of the table.
fn patient(wait: Duration) -> FaultOptions {
    FaultOptions {
        wait,
        scale: 1.0,
        seed: 7,
        clock: clock(),
        ..faults()
    }
}

async fn run(bench: &mut Bench, mailboxes: &[Mailbox], recorder: &Arc<Recorder>) -> Report {
    let ledger = bench.ledger();
    migrate(
        &ledger,
        mailboxes.to_vec(),
        &bench.options,
        recorder.clone(),
        Stop::new(),
    )
    .await
    .unwrap()
}

fn body(number: usize) -> Vec<u8> {
    format!("Subject: {number}\r\n\r\nbody {number}\r\n").into_bytes()
}

fn filled(messages: usize) -> Store {
    let store = Store::default();
    for number in 0..messages {
        store.add(["INBOX", "Work"][number % 2], &body(number), &["\\Seen"]);
    }
    store
}

/// Fails these calls while it is time.
fn between(store: &Store, from: Duration, to: Duration, calls: &'static [&'static str], failure: Failure) {
    let start = Instant::now();
    let mut before = store.state().trouble.take();
    store.state().trouble = Some(Box::new(move |call| {
        let now = start.elapsed();
        if (from..to).contains(&now) && calls.contains(&call) {
            return Some(failure.clone());
        }
        before.as_mut().and_then(|before| before(call))
    }));
}

const ALL: &[&str] = &["open", "read", "put"];

fn throttled(wish: Option<Duration>) -> Failure {
    Failure::Throttled {
        retry_after_ms: wish.map(|wish| u64::try_from(wish.as_millis()).unwrap()),
        reason: "slow down".into(),
    }
}

fn gone() -> Failure {
    Failure::Unavailable("the network is gone".into())
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_must_wait_gives_its_place_to_the_next() {
    let (alice, bob) = (filled(20), filled(20));
    let (to_alice, to_bob) = (Store::default(), Store::default());
    let mut bench = Bench::new();
    bench.options.mailboxes = 1;
    bench.options.faults = patient(HOUR);
    between(&alice, Duration::ZERO, 4 * MINUTE, ALL, throttled(Some(5 * MINUTE)));
    let start = Instant::now();
    let mailboxes = [
        Bench::named("alice", &alice, &to_alice),
        Bench::named("bob", &bob, &to_bob),
    ];
    let recorder = Arc::default();
    let report = run(&mut bench, &mailboxes, &recorder).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(
        recorder.lines(),
        [
            "started alice",
            "parked alice",
            "started bob",
            "finished bob",
            "started alice",
            "finished alice"
        ]
    );
    assert_eq!(report.mailboxes[0].worked.copied, 20);
    assert!(report.mailboxes[0].parked.is_none());
    let took = start.elapsed();
    assert!(
        (5 * MINUTE..6 * MINUTE).contains(&took),
        "{took:?}: the wish is a lower bound"
    );
    assert_eq!(
        (alice.contents(), bob.contents()),
        (to_alice.contents(), to_bob.contents())
    );
}

/// Once a run, whether its turns end with it or it has to wait for the next one.
#[tokio::test(start_paused = true)]
async fn what_connectors_tried_stands_in_the_trail_of_every_run() {
    let (source, destination) = (filled(20), Store::default());
    source.state().usage = Some(Usage {
        refused: vec![Refusal {
            attempt: Attempt::Connect,
            what: "evil.example:993".to_owned(),
            count: 2,
        }],
        ..Usage::default()
    });
    let mut bench = Bench::new();
    bench.options.faults = patient(MINUTE);
    bench.options.faults.longest_wish = HOUR;
    between(&source, Duration::ZERO, HOUR / 2, ALL, throttled(Some(10 * HOUR)));
    let mailboxes = [Bench::mailbox(&source, &destination)];
    for (runs, waits) in [(1, true), (2, false)] {
        let report = run(&mut bench, &mailboxes, &Arc::default()).await;
        assert_eq!(report.mailboxes[0].parked.is_some(), waits, "{report:?}");
        let events: Vec<_> = bench.ledger().events(None).map(Result::unwrap).collect();
        let refused: Vec<_> = events.iter().filter(|event| event.kind == "refused").collect();
        assert_eq!(refused.len(), runs, "{events:?}");
        assert_eq!(refused[runs - 1].fields["what"], "evil.example:993");
        tokio::time::advance(HOUR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_when_only_what_takes_too_long_is_left() {
    let (source, destination) = (filled(20), Store::default());
    let mut bench = Bench::new();
    bench.options.faults = patient(MINUTE);
    bench.options.faults.longest_wish = HOUR;
    between(&source, Duration::ZERO, HOUR / 2, ALL, throttled(Some(10 * HOUR)));
    let start = Instant::now();
    let mailboxes = [Bench::mailbox(&source, &destination)];
    let report = run(&mut bench, &mailboxes, &Arc::default()).await;
    assert!(!report.complete());
    assert!(start.elapsed() < MINUTE, "{:?}", start.elapsed());
    let parked = report.mailboxes[0].parked.clone().unwrap();
    assert_eq!(parked.class, "throttled");
    let wait = parked.until_unix_ms - bench.options.faults.clock.unix_ms();
    assert!((3_600_000..=3_960_000).contains(&wait), "{wait}: the wish is cut");
    assert_eq!(report.mailboxes[0].problems[0].code, "throttled");
    let known = status(&bench.ledger(), None).unwrap();
    assert_eq!(known.mailboxes[0].parked, Some(parked), "`status` shows it");

    tokio::time::advance(HOUR).await;
    let report = run(&mut bench, &mailboxes, &Arc::default()).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(status(&bench.ledger(), None).unwrap().mailboxes[0].parked, None);
    assert_eq!(source.contents(), destination.contents());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_pauses() {
    let mut times = Vec::new();
    for seed in [1, 1, 2] {
        let (source, destination) = (filled(6), Store::default());
        let mut bench = Bench::new();
        bench.options.connections = 1;
        bench.options.faults = patient(HOUR);
        bench.options.faults.seed = seed;
        let mut left = 4;
        source.state().trouble = Some(Box::new(move |_| {
            left -= 1;
            (left >= 0).then(gone)
        }));
        let start = Instant::now();
        let report = run(&mut bench, &[Bench::mailbox(&source, &destination)], &Arc::default()).await;
        assert!(report.complete(), "{report:?}");
        times.push(start.elapsed().as_millis());
    }
    assert_eq!(times[0], times[1]);
    assert_ne!(times[0], times[2]);
    assert!(times.iter().all(|time| *time < 16_000), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_hammers_a_server_that_is_gone() {
    let destination = Store::default();
    let mut bench = Bench::new();
    bench.options.mailboxes = 10;
    bench.options.faults = patient(2 * HOUR);
    let mut stores = Vec::new();
    let mut mailboxes = Vec::new();
    for number in 0..30 {
        let store = filled(8);
        store.state().server = Some("mail.example:993".into());
        store.state().pace = Duration::from_secs(20);
        between(&store, 10 * Duration::from_secs(1), 20 * MINUTE, ALL, gone());
        mailboxes.push(Bench::named(&format!("user{number}"), &store, &Store::default()));
        stores.push(store);
    }
    mailboxes.push(Bench::named("elsewhere", &filled(4), &destination));
    let start = Instant::now();
    let report = run(&mut bench, &mailboxes, &Arc::default()).await;
    assert!(report.complete(), "{:?}", report.total);
    let opens: u64 = stores.iter().map(|store| store.state().opens).sum();
    // Ten begin, each with a connection or two; five failures and a handful of probes; then all thirty once more.
    assert!(opens < 160, "{opens} connections");
    assert!(start.elapsed() < HOUR, "{:?}", start.elapsed());
    assert_eq!(destination.contents().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_never_there_stops_the_mailbox_soon() {
    let (source, destination) = (filled(4), Store::default());
    source.state().server = Some("wrong.example:993".into());
    between(&source, Duration::ZERO, 100 * HOUR, &["open"], gone());
    let mut bench = Bench::new();
    bench.options.retries = 5;
    bench.options.faults = patient(HOUR);
    let start = Instant::now();
    let report = run(&mut bench, &[Bench::mailbox(&source, &destination)], &Arc::default()).await;
    assert_eq!(report.mailboxes[0].problems[0].code, "unavailable");
    assert!(report.mailboxes[0].parked.is_none(), "{report:?}");
    assert!(start.elapsed() < MINUTE, "{:?}", start.elapsed());
}

fn quarantined(bench: &mut Bench) -> Vec<(Vec<u8>, String)> {
    let folder = bench.folder.path().join("quarantine");
    let items = bench.items("alice");
    let failed = items.into_iter().filter_map(|(_, item)| match item.fate {
        Fate::Failed {
            failure, quarantine, ..
        } => {
            let bytes = quarantine.map(|path| std::fs::read(folder.join(path)).unwrap());
            Some((bytes.unwrap_or_default(), failure.to_string()))
        }
        _ => None,
    });
    failed.collect()
}

#[tokio::test(start_paused = true)]
async fn messages_at_which_connections_end_are_found_and_the_rest_arrives() {
    for killer in ["source", "destination"] {
        let (source, destination) = (Store::default(), Store::default());
        let bad = b"Subject: bad\r\n\r\nPOISON\r\n".to_vec();
        for number in 0..60 {
            let bytes = if number == 23 || number == 40 {
                &bad
            } else {
                &body(number)
            };
            source.add("INBOX", bytes, &[]);
        }
        let store = if killer == "source" { &source } else { &destination };
        store.state().character.kills = Some(b"POISON".to_vec());
        let mut bench = Bench::new();
        bench.options.connections = 1;
        bench.options.retries = 5;
        bench.options.faults = patient(HOUR);
        let mailboxes = [Bench::mailbox(&source, &destination)];
        let report = run(&mut bench, &mailboxes, &Arc::default()).await;
        let counts = report.total;
        assert_eq!(
            (counts.moved, counts.failed, counts.pending),
            (58, 2, 0),
            "{killer}: {report:?}"
        );
        assert_eq!(destination.contents().len(), 58);
        for (bytes, text) in quarantined(&mut bench) {
            assert!(text.contains("the connection ended each time"), "{text}");
            assert!(killer == "source" || bytes == bad, "its bytes are kept");
        }
        store.state().character.kills = None;
        requeue(&bench.ledger(), "alice", &[]).unwrap();
        let report = run(&mut bench, &mailboxes, &Arc::default()).await;
        assert!(report.complete(), "{killer}: {report:?}");
        assert_eq!(source.contents(), destination.contents());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_every_put_is_no_reason_to_set_messages_aside() {
    let (source, destination) = (filled(30), Store::default());
    between(&destination, Duration::ZERO, 10 * MINUTE, &["put"], gone());
    let mut bench = Bench::new();
    bench.options.retries = 3;
    bench.options.faults = patient(HOUR);
    let report = run(&mut bench, &[Bench::mailbox(&source, &destination)], &Arc::default()).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(source.contents(), destination.contents());
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_left_before_the_server_ends_it_for_refusals() {
    let character = Character {
        refuses: Some(b"BAD".to_vec()),
        patience: Some(10),
        ..Character::default()
    };
    let (source, destination) = (Store::default(), Store::new(character));
    for number in 0..200 {
        let bytes = if number % 4 == 0 {
            b"Subject: x\r\n\r\nBAD\r\n".to_vec()
        } else {
            body(number)
        };
        source.add("INBOX", &bytes, &[]);
    }
    let mut bench = Bench::new();
    bench.options.connections = 1;
    bench.options.faults = patient(HOUR);
    let start = Instant::now();
    let report = run(&mut bench, &[Bench::mailbox(&source, &destination)], &Arc::default()).await;
    let counts = report.total;
    assert_eq!((counts.moved, counts.failed, counts.pending), (150, 50, 0));
    assert_eq!(report.mailboxes[0].worked.settled, 0, "no connection broke");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_may_be_moved_in_a_day_holds_over_runs() {
    let (source, destination) = (Store::default(), Store::default());
    for number in 0..50 {
        source.add("INBOX", &[body(number), vec![b'x'; 980]].concat(), &[]);
    }
    let total: usize = source.contents().iter().map(|(_, bytes, _)| bytes.len()).sum();
    let budget = 20_000;
    let mut bench = Bench::new();
    bench.options.faults = patient(MINUTE);
    let mut mailbox = Bench::mailbox(&source, &destination);
    mailbox.daily = Daily {
        source: None,
        destination: Some(budget),
    };
    let mailboxes = [mailbox];
    let report = run(&mut bench, &mailboxes, &Arc::default()).await;
    let parked = report.mailboxes[0].parked.clone().unwrap();
    assert_eq!(
        (parked.class.as_str(), report.mailboxes[0].problems[0].code),
        ("daily-budget", "daily-budget")
    );
    let moved = report.total.moved;
    assert!((10..20).contains(&moved), "{moved}");

    tokio::time::advance(HOUR).await;
    let report = run(&mut bench, &mailboxes, &Arc::default()).await;
    assert_eq!(report.total.moved, moved, "a further run moves nothing");

    // With enough patience one run does it all, a day after the other.
    bench.options.faults.wait = 100 * HOUR;
    let report = run(&mut bench, &mailboxes, &Arc::default()).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(source.contents(), destination.contents());
    let arrived = destination.state().arrived.clone();
    for (at, (from, _)) in arrived.iter().enumerate() {
        let day: usize = arrived[at..]
            .iter()
            .take_while(|(to, _)| *to - *from < 24 * HOUR)
            .map(|(_, bytes)| bytes)
            .sum();
        assert!(day as u64 <= budget, "{day} bytes in a day, of {total}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_repaired_only_where_that_was_opted_for() {
    let refuses = || Character {
        refuses: Some(b"\0".to_vec()),
        ..Character::default()
    };
    let fill = || {
        let source = Store::default();
        source.add("INBOX", b"Subject: bad\r\n\r\nx\0y", &["\\Seen"]);
        source.add("INBOX", b"Subject: no end\r\n\r\nx", &[]);
        source.add("INBOX", b"Subject: odd\r\n\r\nz\r\n", &["\\Odd", "Work"]);
        source.add("INBOX", b"Subject: both\r\n\r\nx\0y\r\n", &["\\Odd"]);
        source.add("INBOX", &body(1), &[]);
        source
    };
    let (source, destination) = (fill(), Store::new(refuses()));
    let mut bench = Bench::new();
    let report = bench.run(&[Bench::mailbox(&source, &destination)]).await;
    assert_eq!((report.total.moved, report.total.failed), (2, 3), "exact bytes or none");

    let (source, destination) = (fill(), Store::new(refuses()));
    let mut bench = Bench::new();
    bench.options.repairs = RepairOptions {
        kinds: RepairKind::all().filter(|kind| *kind != RepairKind::Dates).collect(),
        keep_original: true,
    };
    let report = bench.run(&[Bench::mailbox(&source, &destination)]).await;
    assert!(report.complete(), "{report:?}");
    let contents = destination.contents();
    let find = |word: &str| {
        let found = contents
            .iter()
            .find(|(_, bytes, _)| String::from_utf8_lossy(bytes).contains(word));
        found.unwrap_or_else(|| panic!("{word}: {contents:?}"))
    };
    assert_eq!(find("bad").1, b"Subject: bad\r\n\r\nxy", "one repair was enough");
    assert_eq!(find("no end").1, b"Subject: no end\r\n\r\nx", "it was not refused");
    assert_eq!(find("odd").2, ["Work"]);
    assert_eq!(
        (find("both").1.as_slice(), find("both").2.len()),
        (&b"Subject: both\r\n\r\nxy\r\n"[..], 0)
    );
    let repaired: Vec<Vec<String>> = bench.items("alice").into_iter().map(|(_, item)| item.repairs).collect();
    assert_eq!(repaired[0], ["nul"]);
    assert!(repaired[1].is_empty() && repaired[4].is_empty(), "{repaired:?}");
    assert_eq!(repaired[2], ["flag-dropped", "dropped \\Odd"]);
    assert_eq!(repaired[3], ["nul", "flag-dropped", "dropped \\Odd"]);
    let kept: Vec<_> = std::fs::read_dir(bench.folder.path().join("quarantine/alice"))
        .unwrap()
        .collect();
    assert_eq!(kept.len(), 3, "originals of what was repaired");
    let report = bench.run(&[Bench::mailbox(&source, &destination)]).await;
    assert_eq!(report.total.moved, 5);
    assert_eq!(
        report.mailboxes[0].worked,
        Default::default(),
        "a second run moves nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn an_impossible_date_gives_way_to_one_from_the_head() {
    let (source, destination) = (
        Store::default(),
        Store::new(Character {
            oldest: 315_532_800,
            ..Character::default()
        }),
    );
    source.add("INBOX", b"Date: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nx\r\n", &[]);
    let mut bench = Bench::new();
    bench.options.repairs.kinds = vec![RepairKind::Dates];
    let report = bench.run(&[Bench::mailbox(&source, &destination)]).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(destination.state().folder("INBOX").messages[0].received, 1_704_103_200);
    assert_eq!(bench.items("alice")[0].1.repairs, ["date-replaced", "date was 1000"]);
}

/// A day of trouble: everything arrives once, by itself.
#[tokio::test(start_paused = true)]
async fn a_day_full_of_trouble() {
    let mut bench = Bench::new();
    bench.options.mailboxes = 2;
    bench.options.retries = 5;
    bench.options.faults = patient(48 * HOUR);
    let daily = Daily {
        source: Some(60_000),
        destination: None,
    };
    let (mut mailboxes, mut pairs) = (Vec::new(), Vec::new());
    for name in ["alice", "bob", "carol"] {
        let (source, destination) = (Store::default(), Store::default());
        for number in 0..100 {
            source.add(
                ["INBOX", "Work", "Old"][number % 3],
                &[body(number), vec![b'y'; 1000]].concat(),
                &["\\Seen"],
            );
        }
        for store in [&source, &destination] {
            store.state().pace = 4 * MINUTE;
            let server = if std::ptr::eq(store, &source) {
                "old.example:993"
            } else {
                "new.example:993"
            };
            store.state().server = Some(server.into());
            // The network is gone for ten minutes; later a server starts anew.
            between(store, HOUR / 2, HOUR / 2 + 10 * MINUTE, ALL, gone());
        }
        between(
            &destination,
            3 * HOUR,
            3 * HOUR + MINUTE / 2,
            ALL,
            Failure::Unavailable("shutting down".into()),
        );
        between(
            &source,
            HOUR,
            HOUR + 20 * MINUTE,
            ALL,
            Failure::Unauthenticated("the token expired".into()),
        );
        // The quota fills, and somebody raises it.
        between(
            &destination,
            2 * HOUR,
            2 * HOUR + 45 * MINUTE,
            &["put"],
            Failure::OverQuota("full".into()),
        );
        mailboxes.push(Mailbox {
            daily,
            ..Bench::named(name, &source, &destination)
        });
        pairs.push((source, destination));
    }
    let start = Instant::now();
    let recorder = Arc::<Recorder>::default();
    let report = run(&mut bench, &mailboxes, &recorder).await;
    assert!(report.complete(), "{report:?}");
    for (source, destination) in &pairs {
        assert_eq!(source.contents(), destination.contents());
    }
    let took = start.elapsed();
    assert!(took > 20 * HOUR && took < 80 * HOUR, "{took:?}");
    // Never two turns of a mailbox at once.
    for name in ["alice", "bob", "carol"] {
        let own: Vec<String> = recorder
            .lines()
            .into_iter()
            .filter(|line| line.ends_with(name))
            .collect();
        assert!(own.len() > 2, "{own:?}");
        for pair in own.chunks(2) {
            assert!(
                pair[0].starts_with("started") && !pair[1].starts_with("started"),
                "{own:?}"
            );
        }
    }
    assert!(bench.audit().unwrap().is_empty());
}
