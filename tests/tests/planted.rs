//! The conformance suite finds what is planted, and nothing where nothing is.
#![allow(clippy::print_stdout)] // Figures, shown with --nocapture.
#![allow(clippy::expect_used, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use whimbrel_conformance::{
    Add, Hooks, Known, KnownItem, Mark, Outcome, Remove, Report, SourceSubject, Strictness, Subject, hook, run,
};
use whimbrel_model::{Collection, Timestamp};
use whimbrel_sandbox::{AccountSpec, Activity, Connections, Plugin, PluginLimits, Runtime, RuntimeConfig};
use whimbrel_tests::run::plugin;
use whimbrel_tests::scratch;
use whimbrel_wire::{BlobStore, BlobStoreConfig, Credentials, Secret, Timeouts};

/// The faults, and the cases that find them.
const README: &str = include_str!("../faulty/README.md");

/// The owner of each account, and the password where one is asked for.
const OWNER: &str = "Sesame-7341";

/// A line of the table.
struct Planted {
    fault: String,
    /// The case that finds it, and a part of what it says.
    case: String,
    words: String,
    /// Beginnings of what may fail beside it; `*`: anything.
    beside: Vec<String>,
}

fn table() -> Vec<Planted> {
    let plain = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let rows = README.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 6, "{row}");
        Planted {
            fault: plain(cells[0]),
            case: plain(cells[3]),
            words: cells[4].trim().to_owned(),
            beside: cells[5].split(',').map(plain).filter(|cell| !cell.is_empty()).collect(),
        }
    })
    .collect()
}

async fn loaded(scratch: &Path) -> Plugin {
    let blobs = BlobStore::new(BlobStoreConfig {
        folder: scratch.join("spill"),
        memory: 64 << 20,
        threshold: BlobStoreConfig::THRESHOLD,
    });
    let config = RuntimeConfig {
        cache: None,
        limits: PluginLimits::default(),
        blobs,
    };
    Runtime::new(config).unwrap().load(&plugin("faulty")).await.unwrap()
}

/// The account behind the connector's back.
#[derive(Clone)]
struct Index(Arc<Mutex<PathBuf>>);

impl Index {
    /// Changes the index in one step, as the connector sees it.
    fn edit(&self, work: impl FnOnce(&Path, &mut Value) -> Option<()>) -> Result<(), String> {
        let folder = self.0.lock().unwrap();
        let path = folder.join("index.json");
        let text = fs::read(&path).map_err(|error| error.to_string())?;
        let mut index = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        work(&folder, &mut index).ok_or("it is not there")?;
        fs::write(folder.join("index.new"), index.to_string()).map_err(|error| error.to_string())?;
        fs::rename(folder.join("index.new"), path).map_err(|error| error.to_string())
    }

    /// The same for one collection, whose clock goes on.
    fn mailbox(&self, id: &str, work: impl FnOnce(&Path, &mut Value, u64) -> Option<()>) -> Result<(), String> {
        self.edit(|folder, index| {
            let mailbox = index["mailboxes"]
                .as_array_mut()?
                .iter_mut()
                .find(|it| it["id"] == id)?;
            let clock = mailbox["clock"].as_u64()? + 1;
            mailbox["clock"] = clock.into();
            work(folder, mailbox, clock)
        })
    }

    /// Sets a field until so much time has passed.
    async fn for_a_while(&self, field: &'static str, value: Value, time: Duration) -> Result<(), String> {
        let before = json!(null);
        self.edit(|_, index| {
            index[field] = value;
            Some(())
        })?;
        let index = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            index.edit(|_, index| {
                index[field] = if field == "cut" { false.into() } else { before };
                Some(())
            })
        });
        Ok(())
    }
}

/// The item of this number.
fn entry<'a>(mailbox: &'a mut Value, id: &str) -> Option<&'a mut Value> {
    let number: u64 = id.split('.').next()?.parse().ok()?;
    let items = mailbox["items"].as_array_mut()?;
    items.iter_mut().find(|item| item["number"] == number)
}

/// An entry of the index.
fn item(number: u64, body: &str, size: usize, flags: &[&str], received: (i64, i16), clock: u64) -> Value {
    json!({
        "number": number, "body": body, "size": size, "flags": flags, "labels": [], "received": received,
        "content": clock, "changed": clock,
    })
}

/// Flags, with keywords as odd as RFC 9051 allows, and zones to both sides.
const FLAGS: [&[&str]; 5] = [
    &["\\Seen"],
    &["\\Seen", "\\Flagged", "Work"],
    &[],
    &["$Forwarded", "NonJunk", "\\Answered"],
    &["a'b|c&d~e", "\\Draft"],
];
const ZONES: [i16; 5] = [120, -480, 330, 0, -150];

/// Writes an account, and gives what is in it.
fn fill(folder: &Path) -> Vec<Known> {
    fs::create_dir_all(folder).unwrap();
    let boxes: [(&[&str], Option<&str>, usize); 3] = [
        (&["INBOX"], Some("inbox"), 13),
        (&["Work"], None, 3),
        (&["Work", "R\u{fc}ckmeldung & mehr"], None, 2),
    ];
    let (mut mailboxes, mut all) = (Vec::new(), Vec::new());
    for (number, (path, role, count)) in boxes.into_iter().enumerate() {
        let (mut items, mut known) = (Vec::new(), Vec::new());
        for at in 0..count {
            let body = format!("body-{number}-{at}");
            let content = format!(
                "From: a@example.org\r\nSubject: {number} {at}\r\nMessage-ID: <{number}.{at}@example.org>\r\n\r\n{}\r\n",
                "Text.\r\n".repeat(at + 1)
            );
            fs::write(folder.join(&body), &content).unwrap();
            let (flags, zone) = (FLAGS[at % FLAGS.len()], ZONES[at % ZONES.len()]);
            let received = (1_600_000_000_000 + 86_400_000 * i64::try_from(at).unwrap(), zone);
            let clock = at as u64 + 2;
            items.push(item(at as u64 + 1, &body, content.len(), flags, received, clock));
            known.push(KnownItem {
                content: Bytes::from(content),
                flags: Some(flags.iter().map(|flag| (*flag).to_owned()).collect()),
                received: Some(Timestamp {
                    unix_ms: received.0,
                    offset_minutes: zone,
                }),
            });
        }
        mailboxes.push(json!({
            "id": format!("m{number}"), "path": path, "role": role, "generation": 1, "last": count,
            "clock": count + 1, "items": items, "gone": [],
        }));
        all.push(Known {
            path: path.iter().map(|name| (*name).to_owned()).collect(),
            role: role.map(|_| whimbrel_model::Role::Inbox),
            items: known,
        });
    }
    let index = json!({ "made": 1000, "mailboxes": mailboxes, "throttled": null, "cut": false });
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    all
}

fn hooks(folder: &Path) -> Hooks {
    let index = Index(Arc::new(Mutex::new(folder.to_owned())));
    let copies: [Index; 6] = std::array::from_fn(|_| index.clone());
    let [adding, marking, removing, renumbering, throttling, cutting] = copies;
    let digested = folder.to_owned();
    Hooks {
        add: hook(move |add: Add| {
            let added = adding.mailbox(&add.collection.id, |folder, mailbox, clock| {
                let number = mailbox["last"].as_u64()? + 1;
                let body = format!("added-{}-{number}", add.collection.id);
                fs::write(folder.join(&body), &add.content).ok()?;
                mailbox["last"] = number.into();
                let entry = item(number, &body, add.content.len(), &[], (1_600_000_000_000, 60), clock);
                mailbox["items"].as_array_mut()?.push(entry);
                Some(())
            });
            async move { added }
        }),
        mark: hook(move |mark: Mark| {
            let marked = marking.mailbox(&mark.collection.id, |_, mailbox, clock| {
                let entry = entry(mailbox, &mark.id)?;
                entry["flags"] = mark.flags.clone().into();
                entry["changed"] = clock.into();
                Some(())
            });
            async move { marked }
        }),
        remove: hook(move |remove: Remove| {
            let removed = removing.mailbox(&remove.collection.id, |_, mailbox, clock| {
                let number = entry(mailbox, &remove.id)?["number"].clone();
                mailbox["items"].as_array_mut()?.retain(|item| item["number"] != number);
                mailbox["gone"].as_array_mut()?.push(json!([number, clock]));
                Some(())
            });
            async move { removed }
        }),
        digest: hook(move |()| {
            let index = fs::read_to_string(digested.join("index.json"));
            async move { index.map_err(|error| error.to_string()) }
        }),
        renumber: hook(move |collection: Collection| {
            let renumbered = renumbering.mailbox(&collection.id, |_, mailbox, _| {
                let last = mailbox["last"].as_u64()?;
                mailbox["generation"] = (mailbox["generation"].as_u64()? + 1).into();
                for item in mailbox["items"].as_array_mut()? {
                    item["number"] = (item["number"].as_u64()? + last).into();
                }
                mailbox["last"] = (2 * last).into();
                mailbox["gone"] = json!([]);
                Some(())
            });
            async move { renumbered }
        }),
        throttle: hook(move |seconds: u64| {
            let index = throttling.clone();
            async move {
                let time = Duration::from_secs(seconds);
                index.for_a_while("throttled", seconds.into(), time).await
            }
        }),
        cut: hook(move |()| {
            let index = cutting.clone();
            async move { index.for_a_while("cut", true.into(), Duration::from_secs(1)).await }
        }),
    }
}

/// Runs the suite over an account of its own with this fault.
async fn report(plugin: &Plugin, previous: Option<Plugin>, fault: &str) -> Report {
    let folder = scratch::folder("planted");
    let content = fill(&folder.path().join("from"));
    // A folder asks for no secret: where one is given, every other one does as well.
    let credentials = match fault.contains("secret") {
        true => Credentials::Password {
            user: "me".to_owned(),
            password: Secret::new(OWNER),
        },
        false => Credentials::None,
    };
    let spec = |root: &str| AccountSpec {
        mailbox: fault.to_owned(),
        settings: json!({ "root": root, "owner": OWNER, "fault": fault })
            .as_object()
            .unwrap()
            .clone(),
        credentials: credentials.clone(),
        ca: None,
        pins: Vec::new(),
        compress: None,
        connections: Connections::default(),
        activity: Activity::default(),
        base: folder.path().to_owned(),
        endpoints: Vec::new(),
        timeouts: Timeouts::default(),
    };
    let subject = Subject {
        source: Some(SourceSubject {
            spec: spec("from"),
            content,
            hooks: hooks(&folder.path().join("from")),
        }),
        destination: Some(spec("to")),
        previous,
        ..Subject::default()
    };
    run(plugin, &subject).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_planted_everything_passes() {
    let scratch = scratch::folder("planted");
    let report = report(
        &loaded(scratch.path()).await,
        // The release before was as good.
        Some(loaded(scratch.path()).await),
        "none",
    )
    .await;
    println!("{report}");
    assert!(report.is_clean() && report.holds(Strictness::Strict), "{report}");
}

/// What is wrong with what the suite said.
fn wrong(planted: &Planted, report: &Report) -> Vec<String> {
    let Planted {
        fault,
        case,
        words,
        beside,
    } = planted;
    let mut wrong = Vec::new();
    match report.case(case).map(|case| &case.outcome) {
        Some(Outcome::Failed(text)) if text.contains(words.as_str()) => {}
        other => wrong.push(format!("{fault}: {case} is to fail with {words:?}, and gave {other:?}")),
    }
    let failed = report.cases.iter().filter_map(|case| match &case.outcome {
        Outcome::Failed(text) => Some((&case.id, text)),
        _ => None,
    });
    for (id, text) in failed {
        let known = id == case || beside.iter().any(|part| part == "*" || id.starts_with(part.as_str()));
        if !known {
            wrong.push(format!("{fault}: {id} fails, too: {text}"));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_planted_fault_is_found() {
    let scratch = scratch::folder("planted");
    let plugin = Arc::new(loaded(scratch.path()).await);
    let table = table();
    assert!(table.len() > 20, "{} faults", table.len());
    let mut running = JoinSet::new();
    let slots = Arc::new(tokio::sync::Semaphore::new(8));
    for planted in table.into_iter().filter(|planted| planted.fault != "none") {
        let (plugin, slots) = (Arc::clone(&plugin), Arc::clone(&slots));
        running.spawn(async move {
            let _slot = slots.acquire().await;
            let report = report(&plugin, None, &planted.fault).await;
            wrong(&planted, &report)
        });
    }
    let mut problems: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    problems.sort();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
