//! A ledger with a bit of everything, and what a report says of it.
#![allow(missing_docs, clippy::unwrap_used)]

use serde_json::{Value, json};
use whimbrel_engine::GradeRules;
use whimbrel_ledger::{CollectionId, Durability, Fate, Ledger, LedgerOptions, MailboxId, RuleStep, Ruling, Target};
use whimbrel_model::{Collection, Failure, ItemMeta, Kind, Outcome, Timestamp};
use whimbrel_report::{Level, MARK, Report, Request, SideNames, State, Verified, gather, page};

/// 28 November 2026, 02:00 UTC.
const NOW: i64 = 1_795_831_200;
const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\u{7}";

struct World {
    ledger: Ledger,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), LedgerOptions::default()).unwrap();
        Self {
            ledger,
            _folder: folder,
        }
    }

    fn folder(&self, mailbox: MailboxId, path: &str) -> CollectionId {
        let source = Collection {
            id: path.to_owned(),
            path: vec![path.to_owned()],
            kind: Kind::Message,
            role: None,
            selectable: true,
            subscribed: true,
            items: None,
            bytes: None,
            generation: None,
            attributes: Vec::new(),
        };
        let id = self.ledger.ensure_collection(mailbox, &source).unwrap().id;
        let mut batch = self.ledger.batch(mailbox);
        batch.target(
            id,
            Target {
                id: path.to_owned(),
                path: vec![path.to_owned()],
                generation: None,
                existing: false,
            },
        );
        self.ledger.commit(batch, Durability::Later).unwrap();
        id
    }

    fn items(&self, mailbox: MailboxId, folder: CollectionId, fates: &[(&str, u64, Fate)]) {
        let mut batch = self.ledger.batch(mailbox);
        for (id, size, fate) in fates {
            let received = Timestamp {
                unix_ms: 1_700_000_000_000,
                offset_minutes: 60,
            };
            let meta = ItemMeta {
                id: (*id).to_owned(),
                size: Some(*size),
                received: Some(received),
                ..ItemMeta::default()
            };
            batch.found(folder, &meta);
            if *fate != Fate::Pending {
                let repairs = match fate {
                    Fate::Placed { .. } => vec!["crlf".to_owned()],
                    _ => Vec::new(),
                };
                batch.settle(folder, id, fate.clone(), None, repairs);
            }
        }
        self.ledger.commit(batch, Durability::Later).unwrap();
    }

    fn event(&self, mailbox: Option<MailboxId>, kind: &str, fields: Value) {
        self.ledger.event(mailbox, kind, fields).unwrap();
    }

    fn report(&self, mailboxes: &[&str], verified: &dyn Fn(&str) -> Option<Verified>, subjects: bool) -> Report {
        let mailboxes: Vec<String> = mailboxes.iter().map(|name| (*name).to_owned()).collect();
        let subject = |place: &str| Some(format!("Subject of {place} {HOSTILE}"));
        let request = Request {
            name: "acme",
            mailboxes: &mailboxes,
            connectors: SideNames {
                source: vec!["imap"],
                destination: vec!["maildir"],
            },
            began: Some(NOW - 86_400),
            now: NOW,
            version: "0.1.0",
            grades: &GradeRules::default(),
            verified,
            subjects: subjects.then_some(&subject),
        };
        gather(Some(&self.ledger), &request).unwrap()
    }
}

fn placed(outcome: Outcome) -> Fate {
    Fate::Placed {
        mailbox: None,
        collection: "there".into(),
        id: None,
        revision: None,
        outcome,
    }
}

fn failed(cause: &str) -> Fate {
    Fate::Failed {
        failure: Failure::Rejected(cause.to_owned()),
        diagnosis: Some("it is odd".into()),
        quarantine: Some("alice/ab.eml".into()),
    }
}

fn side() -> Value {
    json!({ "connector": "imap", "version": "0.1.0", "blake3": "ab".repeat(32) })
}

/// Two mailboxes with a message of each fate, and one that was not started.
fn world() -> World {
    let world = World::new();
    let alice = world.ledger.mailbox("alice").unwrap();
    let bob = world.ledger.mailbox("bob").unwrap();
    world.event(
        None,
        "run-began",
        json!({ "verb": "migrate", "version": "0.1.0", "mailboxes": 3, "only": null, "source": side(), "destination": side() }),
    );
    let inbox = world.folder(alice, "INBOX");
    let hostile = world.folder(alice, HOSTILE);
    world.items(
        alice,
        inbox,
        &[
            ("1", 100, placed(Outcome::Created)),
            ("2", 2000, placed(Outcome::MergedWithExisting)),
            ("3", 3000, Fate::Oversize { limit: 1000 }),
            ("4", 10, Fate::Pending),
        ],
    );
    world.items(
        alice,
        hostile,
        &[
            ("5", 50, failed(HOSTILE)),
            ("6", 60, Fate::Filtered { reason: "old".into() }),
        ],
    );
    let mut batch = world.ledger.batch(alice);
    let step = RuleStep {
        rule: "message".into(),
        file: "rules.rhai".into(),
        line: 3,
        did: "skip".into(),
    };
    let ruling = Ruling {
        steps: vec![step.clone(), step],
        ..Ruling::default()
    };
    batch.rule(hostile, "6", Some(ruling));
    batch.listing(inbox, Some(9), Some("only the newest".into()));
    batch.event("connected", json!({ "source": [{ "host": "mail.old.example", "port": 993, "tls": "TLS 1.3", "cipher": "TLS13_AES_256_GCM_SHA384", "fingerprint": "sha256:00" }], "destination": [] }));
    for (count, side) in [(2, "source"), (3, "source"), (4, "elsewhere")] {
        batch.event("refused", json!({ "side": side, "connector": "imap", "version": "0.1.0", "attempt": "connect", "what": "evil.example:993", "count": count }));
    }
    batch.event("faults", json!({ "side": "source", "connector": "imap", "version": "0.1.0", "traps": 1, "timeouts": 2, "memory_refusals": 3, "refused_more": 7 }));
    batch.event("problem", json!({ "collection": "INBOX", "code": "unavailable", "text": format!("source: {HOSTILE}"), "remedy": "try again" }));
    batch.event(
        "run",
        json!({ "found": 6, "copied": 1, "bytes": 100, "merged": 1, "marked": 0, "seconds": 0.0 }),
    );
    world.ledger.commit(batch, Durability::Later).unwrap();
    let folder = world.folder(bob, "INBOX");
    world.items(
        bob,
        folder,
        &[
            ("1", 700, placed(Outcome::Created)),
            ("2", 0, placed(Outcome::Replaced)),
        ],
    );
    world.event(
        Some(bob),
        "run",
        json!({ "found": 2, "copied": 2, "bytes": 700, "seconds": 0.0 }),
    );
    world.event(None, "run-ended", json!({ "seconds": 1.5, "interrupted": false }));
    world
}

fn verified(began: i64, different: u64) -> Verified {
    let counts = json!({
        "found": 2, "moved": 2, "merged": 0, "filtered": 0, "oversize": 0, "failed": 0, "pending": 0, "unexplained": 0,
        "bytes": 700, "seconds": 0.1,
        "looked": { "listed": 3, "compared": 2, "equal": 2 - different, "read": 1, "bytes": 700, "unreadable": 0, "own": 1 },
        "differences": { "missing": different, "flags": 0 },
        "found_different": [{ "class": "missing", "collection": HOSTILE, "id": "7", "place": null, "expected": "INBOX",
            "found": null, "cause": "it was deleted", "remedy": "look into the trash" }],
        "verdict": { "grade": if different > 0 { "poor" } else { "perfect" }, "reasons": [], "remainder": [] },
    });
    Verified::of(began, "sample".into(), counts).unwrap()
}

#[test]
fn the_json_is_the_documented_one() {
    let report = world().report(
        &["alice", "bob", "carol"],
        &|name| (name == "bob").then(|| verified(NOW - 3600, 0)),
        false,
    );
    let value = serde_json::to_value(&report).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        keys(&value),
        [
            "migration",
            "source",
            "destination",
            "runs",
            "verdict",
            "total",
            "bytes_found",
            "mailboxes",
            "reasons",
            "done",
            "sizes",
            "unsized_messages",
            "largest",
            "received",
            "undated",
            "rate",
            "next",
            "left_out"
        ]
    );
    assert_eq!(
        value["migration"],
        json!({ "name": "acme", "began": NOW - 86_400, "reported": NOW, "version": "0.1.0" })
    );
    assert_eq!(
        value["total"],
        json!({ "found": 8, "moved": 3, "merged": 1, "filtered": 1, "oversize": 1, "failed": 1, "pending": 1,
            "unexplained": 5, "bytes": 800, "seconds": 0.0 })
    );
    assert_eq!(
        value["source"],
        json!({ "connectors": ["imap"],
            "used": [{ "name": "imap", "version": "0.1.0", "blake3": "ab".repeat(32), "runs": 1 }],
            "servers": [{ "host": "mail.old.example", "port": 993, "tls": "TLS 1.3", "cipher": "TLS13_AES_256_GCM_SHA384",
                "fingerprint": "sha256:00", "turns": 1 }],
            "refused": [{ "connector": "imap", "version": "0.1.0", "attempt": "connect", "what": "evil.example:993", "count": 5 }],
            "refused_left_out": 7,
            "ended": { "traps": 1, "timeouts": 2, "memory_refusals": 3 } })
    );
    let run = &value["runs"]["list"][0];
    assert_eq!(
        keys(run),
        [
            "began",
            "verb",
            "version",
            "end",
            "seconds",
            "mailboxes",
            "found",
            "copied",
            "bytes",
            "merged",
            "marked"
        ]
    );
    assert_eq!(
        (&run["end"], &run["copied"], &run["seconds"]),
        (&json!("finished"), &json!(3), &json!(1.5))
    );
    assert_eq!(
        keys(&value["verdict"]),
        [
            "level",
            "headline",
            "sentences",
            "balanced",
            "grade",
            "verified",
            "outdated",
            "oldest",
            "newest",
            "compared",
            "read",
            "differences",
            "complete",
            "not_started"
        ]
    );
    assert_eq!(value["verdict"]["level"], "open");
    assert_eq!(value["verdict"]["grade"], "perfect");
    let alice = &value["mailboxes"][0];
    assert_eq!(
        keys(alice),
        [
            "name",
            "found",
            "moved",
            "merged",
            "filtered",
            "oversize",
            "failed",
            "pending",
            "unexplained",
            "bytes",
            "seconds",
            "bytes_found",
            "state",
            "verified",
            "problems",
            "folders",
            "folders_left_out",
            "failed_items",
            "failed_left_out",
            "oversize_items",
            "oversize_left_out"
        ]
    );
    assert_eq!(alice["state"], "problems");
    assert_eq!(
        alice["failed_items"],
        json!([{ "collection": whimbrel_model::display_path(&[HOSTILE.to_owned()]), "id": "5", "code": "rejected", "cause": format!("refused: {HOSTILE}"),
            "diagnosis": "it is odd", "remedy": whimbrel_engine::remedy(&Failure::Rejected(String::new())), "size": 50,
            "received": 1_700_000_000, "attempts": 1, "quarantine": "quarantine/alice/ab.eml", "subject": null }])
    );
    assert_eq!(
        alice["oversize_items"],
        json!([{ "collection": "INBOX", "id": "3", "size": 3000, "limit": 1000, "received": 1_700_000_000 }])
    );
    let folder = &alice["folders"][1];
    assert_eq!(
        (&folder["path"], &folder["capped"]),
        (&json!("INBOX"), &json!("only the newest"))
    );
    let bob = &value["mailboxes"][1];
    assert_eq!(
        keys(&bob["verified"]),
        [
            "began",
            "depth",
            "grade",
            "outdated",
            "reasons",
            "looked",
            "differences",
            "found_different",
            "remainder"
        ]
    );
    assert_eq!(value["mailboxes"][2]["state"], "not-started");
    assert_eq!(
        value["done"],
        json!({ "rules": [{ "rule": "message", "file": "rules.rhai", "line": 3, "did": "skip", "count": 1 }],
            "filtered": [{ "what": "old", "count": 1 }], "repairs": [{ "what": "crlf", "count": 4 }] })
    );
    let sizes: Vec<&Value> = value["sizes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|bin| bin["messages"] != 0)
        .collect();
    assert_eq!(
        sizes[0],
        &json!({ "from": 0, "below": 1024, "messages": 6, "bytes": 920 })
    );
    assert_eq!(
        value["received"],
        json!([{ "year": 2023, "month": 11, "messages": 8, "bytes": 5920 }])
    );
    let codes: Vec<&Value> = value["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| &reason["code"])
        .collect();
    assert_eq!(codes, ["oversize", "rejected"]);
    assert_eq!(keys(&value["next"][0]), ["text", "command"]);
    assert_eq!(
        keys(&value["left_out"]),
        ["folders", "failed", "oversize", "runs", "rules", "filtered", "repairs"]
    );
}

#[test]
fn the_counts_are_those_of_status() {
    let world = world();
    let report = world.report(&["alice", "bob"], &|_| None, false);
    let status = whimbrel_engine::status(&world.ledger, None).unwrap();
    assert_eq!(report.total, status.total);
    for (mine, other) in report.mailboxes.iter().zip(&status.mailboxes) {
        assert_eq!((&mine.name, mine.counts), (&other.name, other.counts));
    }
}

#[test]
fn the_verdict_follows_what_is_there() {
    let world = World::new();
    let nobody = |_: &str| None;
    assert_eq!(
        world.report(&["a"], &nobody, false).verdict.headline,
        "Nothing was moved yet"
    );
    let a = world.ledger.mailbox("a").unwrap();
    let folder = world.folder(a, "INBOX");
    world.items(
        a,
        folder,
        &[("1", 1, placed(Outcome::Created)), ("2", 1, placed(Outcome::Created))],
    );
    let verdict = |different: Option<u64>| {
        let report = world.report(
            &["a"],
            &|_| different.map(|different| verified(NOW - 60, different)),
            false,
        );
        (report.verdict.level, report.verdict.headline)
    };
    assert_eq!(
        verdict(None),
        (Level::Open, "Everything is accounted for, and not verified yet".into())
    );
    assert_eq!(verdict(Some(0)), (Level::Good, "Everything is there".into()));
    assert_eq!(verdict(Some(1)), (Level::Bad, "Both sides differ".into()));
    // A run that did something after the verification makes it one of the past.
    world.event(Some(a), "run", json!({ "copied": 1 }));
    let old = |_: &str| Some(verified(0, 0));
    let report = world.report(&["a"], &old, false);
    assert_eq!(
        report.verdict.headline,
        "Everything is accounted for, and verified in part"
    );
    assert!(report.mailboxes[0].verified.as_ref().unwrap().outdated);
    world.items(a, folder, &[("3", 1, failed("no"))]);
    assert_eq!(verdict(Some(0)), (Level::Bad, "Some messages failed".into()));
    world.items(a, folder, &[("4", 1, Fate::Pending)]);
    assert_eq!(verdict(Some(0)), (Level::Open, "Not finished yet".into()));
    let report = world.report(&["a"], &nobody, false);
    assert_eq!(report.mailboxes[0].state, State::FailedItems);
    let commands: Vec<&str> = report
        .next
        .iter()
        .filter_map(|advice| advice.command.as_deref())
        .collect();
    assert_eq!(
        commands,
        [
            "whimbrel migrate",
            "whimbrel retry --reason rejected",
            "whimbrel verify --sample 5%"
        ]
    );
}

/// The page without the marks of where a line may break.
fn seen(report: &Report) -> String {
    page(report).replace("<wbr>", "")
}

#[test]
fn the_page_shows_everything_and_obeys_nothing() {
    let world = world();
    let look = |name: &str| (name == "bob").then(|| verified(NOW - 3600, 1));
    let text = seen(&world.report(&["alice", "bob", "carol"], &look, false));
    assert!(text.starts_with(MARK));
    for part in [
        "acme",
        "mail.old.example:993",
        "TLS13_AES_256_GCM_SHA384",
        "60 minutes ago",
        "&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩⟨U+0007⟩",
        "quarantine/alice/ab.eml",
        "only the newest",
        "rules.rhai:3",
        "crlf",
        "whimbrel retry --reason rejected",
        "look into the trash",
        "not verified",
        "not started",
    ] {
        assert!(text.contains(part), "{part:?} is missing");
    }
    assert!(!text.contains("<script"), "a name became markup");
    assert!(!text.contains(['\u{202e}', '\u{7}']), "a name does something");
    assert!(!text.contains("Subject of"), "subjects are hidden");
    let text = seen(&world.report(&["alice"], &look, true));
    assert!(
        text.contains("Subject of alice/ab.eml &lt;script&gt;"),
        "subjects were asked for"
    );
}

#[test]
fn thousands_of_mailboxes_make_a_page_of_bearable_size() {
    let world = World::new();
    let names: Vec<String> = (0..5000).map(|number| format!("user{number}@example.org")).collect();
    for name in names.iter().step_by(4) {
        let mailbox = world.ledger.mailbox(name).unwrap();
        let folder = world.folder(mailbox, "INBOX");
        world.items(
            mailbox,
            folder,
            &[("1", 1, failed("no")), ("2", 1, placed(Outcome::Created))],
        );
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let report = world.report(&all, &|_| None, false);
    let text = seen(&report);
    assert!(text.len() < 12 << 20, "{} bytes", text.len());
    assert!(text.contains("user4999@example.org"), "every mailbox is in the table");
    assert!(text.contains("… and 750 more mailboxes with something to say"));
    assert_eq!(report.total.failed, 1250);
}
