//! The conformance suite, over every connector that ships.
#![allow(clippy::print_stdout)] // Figures, shown with --nocapture.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use whimbrel_conformance::{Add, Content, Hooks, Known, KnownItem, Mark, Remove, SourceSubject, Subject, hook, run};
use whimbrel_model::Timestamp;
use whimbrel_sandbox::{AccountSpec, Activity, Connections, Plugin, PluginLimits, Runtime, RuntimeConfig};
use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::dav::Sort;
use whimbrel_tests::run::plugin;
use whimbrel_tests::servers::{DavServer, Dovecot, Options, PASSWORD, Radicale, Server};
use whimbrel_tests::sieve::Sieve;
use whimbrel_tests::snapshot::Snapshot;
use whimbrel_tests::{corpus, scratch, writers};
use whimbrel_wire::{BlobStore, BlobStoreConfig, Credentials, Secret, Timeouts};

async fn loaded(name: &str, scratch: &Path) -> Plugin {
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
    let runtime = Runtime::new(config).unwrap();
    runtime.load(&plugin(name)).await.unwrap()
}

fn spec(base: &Path, settings: &Value) -> AccountSpec {
    AccountSpec {
        mailbox: "conformance".to_owned(),
        settings: settings.as_object().unwrap().clone(),
        credentials: Credentials::None,
        ca: None,
        pins: Vec::new(),
        compress: None,
        connections: Connections::default(),
        activity: Activity::default(),
        base: base.to_owned(),
        endpoints: Vec::new(),
        timeouts: Timeouts::default(),
    }
}

/// What the suite is told of an account.
fn content(account: &Account) -> Content {
    let item = |message: &Message| KnownItem {
        content: Bytes::copy_from_slice(message.bytes()),
        flags: Some(message.flags.clone()),
        received: Some(Timestamp {
            unix_ms: message.received * 1000,
            offset_minutes: 0,
        }),
    };
    let known = |folder: &Folder| Known {
        path: folder.path.clone(),
        role: None,
        items: folder.messages.iter().map(item).collect(),
    };
    account.folders.iter().map(known).collect()
}

async fn passes(plugin: &Plugin, subject: &Subject) {
    let report = run(plugin, subject).await;
    println!("{report}");
    assert!(report.is_clean(), "{report}");
    assert!(report.counts().passed >= 10, "{report}");
}

/// The file of a Maildir folder that holds this.
fn file_of(folder: &Path, content: &[u8]) -> Result<PathBuf, String> {
    for part in ["cur", "new"] {
        for entry in fs::read_dir(folder.join(part)).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if fs::read(&path).is_ok_and(|bytes| bytes == content) {
                return Ok(path);
            }
        }
    }
    Err("no file holds it".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn maildir() {
    let folder = scratch::folder("conformance");
    let root = folder.path().join("from/alice");
    let account = corpus::ordinary(201, 60);
    writers::maildir(&root, &account);
    let place = {
        let root = root.clone();
        Arc::new(move |path: &[String]| match path {
            [inbox] if inbox == "INBOX" => root.clone(),
            _ => root.join(format!(".{}", path.join("."))),
        })
    };
    let places = [Arc::clone(&place), Arc::clone(&place), place];
    let [adding, marking, removing] = places;
    let hooks = Hooks {
        add: hook(move |add: Add| {
            let place = Arc::clone(&adding);
            async move {
                let name = format!("1600000000.M{}P1.host", add.content.len());
                let folder = place(&add.collection.path);
                fs::write(folder.join("tmp").join(&name), &add.content).map_err(|error| error.to_string())?;
                fs::rename(folder.join("tmp").join(&name), folder.join("new").join(&name))
                    .map_err(|error| error.to_string())
            }
        }),
        mark: hook(move |mark: Mark| {
            let place = Arc::clone(&marking);
            async move {
                let folder = place(&mark.collection.path);
                let file = file_of(&folder, &mark.content)?;
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                let base = name.split(":2,").next().unwrap_or_default();
                let mut letters: Vec<char> = mark
                    .flags
                    .iter()
                    .filter_map(|flag| match flag.as_str() {
                        "\\Draft" => Some('D'),
                        "\\Flagged" => Some('F'),
                        "\\Answered" => Some('R'),
                        "\\Seen" => Some('S'),
                        _ => None,
                    })
                    .collect();
                letters.sort_unstable();
                let letters: String = letters.into_iter().collect();
                fs::rename(&file, folder.join("cur").join(format!("{base}:2,{letters}")))
                    .map_err(|error| error.to_string())
            }
        }),
        remove: hook(move |remove: Remove| {
            let place = Arc::clone(&removing);
            async move {
                let file = file_of(&place(&remove.collection.path), &remove.content)?;
                fs::remove_file(file).map_err(|error| error.to_string())
            }
        }),
        digest: hook(move |()| {
            let root = root.clone();
            async move { Ok(format!("{:?}", Snapshot::take(&root, &[]))) }
        }),
        ..Hooks::default()
    };
    let subject = Subject {
        source: Some(SourceSubject {
            spec: spec(folder.path(), &json!({ "root": "from", "user": "alice" })),
            content: content(&account),
            hooks,
        }),
        destination: Some(spec(folder.path(), &json!({ "root": "to", "user": "alice" }))),
        ..Subject::default()
    };
    passes(&loaded("maildir", folder.path()).await, &subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mbox() {
    let folder = scratch::folder("conformance");
    let root = folder.path().join("from");
    fs::create_dir(&root).unwrap();
    let messages = corpus::bulk(202, 40);
    writers::mbox(&root.join("INBOX"), &messages);
    let mut account = Account {
        folders: vec![Folder::new(&["INBOX"]).with(messages)],
    };
    for message in &mut account.folders[0].messages {
        // As they lie in the spool: line feeds only.
        let text = String::from_utf8_lossy(message.bytes()).replace("\r\n", "\n");
        message.body = whimbrel_tests::imap::Body::of(text.as_bytes());
    }
    let digested = root.clone();
    let hooks = Hooks {
        add: hook(move |add: Add| {
            let spool = root.join("INBOX");
            async move {
                let mut bytes = fs::read(&spool).map_err(|error| error.to_string())?;
                bytes.extend_from_slice(b"From MAILER-DAEMON Mon Jan  5 12:00:00 2015\n");
                bytes.extend_from_slice(&add.content);
                bytes.extend_from_slice(b"\n");
                fs::write(&spool, bytes).map_err(|error| error.to_string())
            }
        }),
        digest: hook(move |()| {
            let root = digested.clone();
            async move { Ok(format!("{:?}", Snapshot::take(&root, &[]))) }
        }),
        ..Hooks::default()
    };
    let subject = Subject {
        source: Some(SourceSubject {
            spec: spec(folder.path(), &json!({ "root": "from" })),
            content: content(&account),
            hooks,
        }),
        destination: Some(spec(folder.path(), &json!({ "root": "to" }))),
        ..Subject::default()
    };
    passes(&loaded("mbox", folder.path()).await, &subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eml() {
    let folder = scratch::folder("conformance");
    let root = folder.path().join("from/alice");
    let mut account = corpus::ordinary(204, 60);
    for message in account.folders.iter_mut().flat_map(|folder| &mut folder.messages) {
        message.flags.clear();
    }
    writers::eml(&root, &account);
    let place = {
        let root = root.clone();
        Arc::new(move |path: &[String]| path.iter().fold(root.clone(), |path, name| path.join(name)))
    };
    let (adding, removing) = (Arc::clone(&place), place);
    let hooks = Hooks {
        add: hook(move |add: Add| {
            let file = adding(&add.collection.path).join(format!("New {}.eml", add.content.len()));
            async move { fs::write(file, &add.content).map_err(|error| error.to_string()) }
        }),
        remove: hook(move |remove: Remove| {
            let folder = removing(&remove.collection.path);
            async move {
                let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
                let mut files = entries.map(|entry| entry.unwrap().path());
                let file = files.find(|file| fs::read(file).is_ok_and(|bytes| bytes == remove.content));
                fs::remove_file(file.ok_or("no file holds it")?).map_err(|error| error.to_string())
            }
        }),
        digest: hook(move |()| {
            let root = root.clone();
            async move { Ok(format!("{:?}", Snapshot::take(&root, &[]))) }
        }),
        ..Hooks::default()
    };
    let subject = Subject {
        source: Some(SourceSubject {
            spec: spec(
                folder.path(),
                &json!({ "root": "from", "user": "alice", "dates": "file" }),
            ),
            content: content(&account),
            hooks,
        }),
        destination: Some(spec(folder.path(), &json!({ "root": "to", "user": "alice" }))),
        ..Subject::default()
    };
    passes(&loaded("eml", folder.path()).await, &subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    let folder = scratch::folder("conformance");
    let settings = json!({ "messages": 40, "mailboxes": 3 });
    let plugin = loaded("memory", folder.path()).await;
    let account = spec(folder.path(), &settings);
    let subject = Subject {
        source: Some(SourceSubject {
            spec: account,
            // Made up by the connector: what it holds is learnt from itself, and the suite checks that it stays so.
            content: Content::new(),
            hooks: Hooks::default(),
        }),
        // As a destination it forgets with its account, on purpose.
        destination: None,
        ..Subject::default()
    };
    passes(&plugin, &subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pop3_with_dovecot() {
    let folder = scratch::folder("conformance");
    let server = Arc::new(Dovecot::start(&Options {
        pop3: true,
        ..Options::default()
    }));
    let mut account = Account {
        folders: vec![Folder::new(&["INBOX"]).with(corpus::bulk(205, 40))],
    };
    // POP3 tells no flags; and what is \Deleted would go with the next one that is removed.
    for message in &mut account.folders[0].messages {
        message.flags.clear();
    }
    let (filling, filled) = (Arc::clone(&server), account.clone());
    behind(move || writers::imap(&mut filling.imap("alice"), '/', &filled))
        .await
        .unwrap();
    let mut known = content(&account);
    for item in known.iter_mut().flat_map(|folder| &mut folder.items) {
        // POP3 tells no such date; what the message's own head tells is for other tests.
        item.received = None;
        // And its lines end with a line end, the last one too.
        if !item.content.ends_with(b"\n") {
            item.content = [&item.content[..], b"\r\n"].concat().into();
        }
    }
    let servers: [Arc<Dovecot>; 3] = std::array::from_fn(|_| Arc::clone(&server));
    let [adding, removing, digesting] = servers;
    let hooks = Hooks {
        add: hook(move |add: Add| {
            let server = Arc::clone(&adding);
            behind(move || {
                let reply = server.imap("alice").append("INBOX", &[], corpus::NOON, &add.content);
                assert!(reply.ok(), "{reply:?}");
            })
        }),
        remove: hook(move |remove: Remove| {
            let server = Arc::clone(&removing);
            behind(move || {
                let mut imap = server.imap("alice");
                imap.select("INBOX");
                let all = imap.fetch_all();
                let uid = all
                    .iter()
                    .find(|message| message.body.bytes.as_deref() == Some(&remove.content[..]))
                    .map(|message| message.uid.to_string());
                imap.remove(&uid.expect("it is there"));
            })
        }),
        digest: hook(move |()| {
            let server = Arc::clone(&digesting);
            behind(move || {
                let own = [
                    "dovecot.index",
                    "dovecot-uidlist",
                    "dovecot.list.index",
                    "dovecot-uidvalidity",
                ];
                let files = Snapshot::take(&server.store("alice"), &own);
                let recent = server.imap("alice").status("INBOX", "RECENT");
                let unseen = server.imap("alice").status("INBOX", "UNSEEN");
                format!("{recent} {unseen} {files:?}")
            })
        }),
        ..Hooks::default()
    };
    let settings = json!({ "host": "127.0.0.1", "port": server.pop3_port(), "tls": "insecure", "user": "alice" });
    let subject = Subject {
        source: Some(SourceSubject {
            spec: AccountSpec {
                credentials: Credentials::Password {
                    user: "alice".to_owned(),
                    password: Secret::new(PASSWORD.to_owned()),
                },
                ..spec(folder.path(), &settings)
            },
            content: known,
            hooks,
        }),
        destination: None,
        ..Subject::default()
    };
    passes(&loaded("pop3", folder.path()).await, &subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn managesieve_with_dovecot() {
    let folder = scratch::folder("conformance");
    let server = Arc::new(Dovecot::start(&Options {
        sieve: true,
        ..Options::default()
    }));
    let scripts: Vec<(String, String)> = (0..30)
        .map(|number| (format!("script {number}"), format!("# number {number}\r\nkeep;\r\n")))
        .collect();
    let (filling, filled) = (Arc::clone(&server), scripts.clone());
    behind(move || {
        let mut sieve = Sieve::login(filling.sieve_port(), "alice");
        filled.iter().for_each(|(name, text)| sieve.put(name, text));
        sieve.activate("script 7");
    })
    .await
    .unwrap();
    let known = Known {
        path: vec!["Filters".to_owned()],
        role: None,
        items: scripts
            .iter()
            .map(|(name, text)| KnownItem {
                content: Bytes::copy_from_slice(text.as_bytes()),
                flags: Some((name == "script 7").then(|| "$active".to_owned()).into_iter().collect()),
                received: None,
            })
            .collect(),
    };
    let servers: [Arc<Dovecot>; 3] = std::array::from_fn(|_| Arc::clone(&server));
    let [adding, removing, digesting] = servers;
    let hooks = Hooks {
        add: hook(move |add: Add| {
            let server = Arc::clone(&adding);
            let text = String::from_utf8(add.content.to_vec()).unwrap();
            behind(move || Sieve::login(server.sieve_port(), "alice").put("added", &text))
        }),
        remove: hook(move |remove: Remove| {
            let server = Arc::clone(&removing);
            behind(move || Sieve::login(server.sieve_port(), "alice").delete(&remove.id))
        }),
        digest: hook(move |()| {
            let server = Arc::clone(&digesting);
            behind(move || format!("{:?}", Snapshot::take(&server.home("alice"), &[])))
        }),
        ..Hooks::default()
    };
    let account = |user: &str| AccountSpec {
        credentials: Credentials::Password {
            user: user.to_owned(),
            password: Secret::new(PASSWORD.to_owned()),
        },
        ..spec(
            folder.path(),
            &json!({ "host": "127.0.0.1", "port": server.sieve_port(), "tls": "insecure", "user": user }),
        )
    };
    let subject = Subject {
        source: Some(SourceSubject {
            spec: account("alice"),
            content: vec![known],
            hooks,
        }),
        destination: Some(account("bob")),
        ..Subject::default()
    };
    passes(&loaded("managesieve", folder.path()).await, &subject).await;
}

/// Does something with a mailbox through the independent client, on a thread where it may block and panic.
async fn behind<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn imap_with_dovecot() {
    let folder = scratch::folder("conformance");
    let server = Arc::new(Dovecot::plain());
    let filling = Arc::clone(&server);
    let account = behind(move || {
        // INBOX, which IDLE watches, is the largest.
        writers::imap(&mut filling.imap("alice"), '/', &corpus::ordinary(203, 63));
        Account::read(&mut filling.imap("alice"))
    })
    .await
    .unwrap();
    let servers: [Arc<Dovecot>; 4] = std::array::from_fn(|_| Arc::clone(&server));
    let [adding, marking, removing, digesting] = servers;
    let hooks = Hooks {
        add: hook(move |add: Add| {
            let server = Arc::clone(&adding);
            behind(move || {
                let reply =
                    server
                        .imap("alice")
                        .append(&add.collection.path.join("/"), &[], corpus::NOON, &add.content);
                assert!(reply.ok(), "{reply:?}");
            })
        }),
        mark: hook(move |mark: Mark| {
            let server = Arc::clone(&marking);
            behind(move || {
                let mut imap = server.imap("alice");
                imap.select(&mark.collection.path.join("/"));
                imap.store(&mark.id, &format!("FLAGS ({})", mark.flags.join(" ")));
            })
        }),
        remove: hook(move |remove: Remove| {
            let server = Arc::clone(&removing);
            behind(move || {
                let mut imap = server.imap("alice");
                imap.select(&remove.collection.path.join("/"));
                imap.remove(&remove.id);
            })
        }),
        digest: hook(move |()| {
            let server = Arc::clone(&digesting);
            behind(move || {
                let own = ["dovecot.index", "dovecot-uidlist", "dovecot.list.index"];
                let files = Snapshot::take(&server.store("alice"), &own);
                let recent = server.imap("alice").status("INBOX", "RECENT");
                format!("{recent} {files:?}")
            })
        }),
        ..Hooks::default()
    };
    let login = |user: &str| {
        let settings = json!({ "host": "127.0.0.1", "port": server.port(), "tls": "insecure", "user": user });
        AccountSpec {
            credentials: Credentials::Password {
                user: user.to_owned(),
                password: Secret::new(PASSWORD.to_owned()),
            },
            ..spec(folder.path(), &settings)
        }
    };
    let subject = Subject {
        source: Some(SourceSubject {
            spec: login("alice"),
            content: content(&account),
            hooks,
        }),
        destination: Some(login("bob")),
        ..Subject::default()
    };
    passes(&loaded("imap", folder.path()).await, &subject).await;
}

/// A collection at Radicale, filled and changed behind the connector's back.
async fn dav(sort: Sort) {
    let folder = scratch::folder("conformance-dav");
    let server = Arc::new(Radicale::start());
    let path = "/alice/work/";
    let (objects, suffix) = match sort {
        Sort::Calendars => (corpus::calendar_objects(), "ics"),
        Sort::AddressBooks => (corpus::contacts(), "vcf"),
    };
    let filling = Arc::clone(&server);
    let items = behind(move || {
        let dav = filling.dav();
        dav.children("/alice/");
        dav.make(sort, path, "Work");
        for (name, object) in &objects {
            dav.put(sort, &format!("{path}{name}"), object);
        }
        // As the server writes them down.
        let read = |(name, _): &(String, String)| KnownItem {
            content: Bytes::from(dav.ask("GET", &format!("{path}{name}"), &[], "").body),
            flags: None,
            received: None,
        };
        objects.iter().map(read).collect::<Vec<_>>()
    })
    .await
    .unwrap();
    let (adding, removing, digesting) = (Arc::clone(&server), Arc::clone(&server), Arc::clone(&server));
    let hooks = Hooks {
        add: hook(move |add: Add| {
            let server = Arc::clone(&adding);
            behind(move || {
                let text = String::from_utf8(add.content.to_vec()).unwrap();
                server.dav().put(sort, &format!("{path}added.{suffix}"), &text);
            })
        }),
        remove: hook(move |remove: Remove| {
            let server = Arc::clone(&removing);
            behind(move || server.dav().delete(&format!("{path}{}", remove.id)))
        }),
        digest: hook(move |()| {
            let server = Arc::clone(&digesting);
            behind(move || {
                format!(
                    "{:?}",
                    Snapshot::take(&server.store("alice").join("work"), &[".Radicale"])
                )
            })
        }),
        ..Hooks::default()
    };
    let login = |user: &str| {
        let settings = json!({ "url": server.url(), "tls": "insecure", "user": user });
        AccountSpec {
            credentials: Credentials::Password {
                user: user.to_owned(),
                password: Secret::new(PASSWORD.to_owned()),
            },
            ..spec(folder.path(), &settings)
        }
    };
    let subject = Subject {
        source: Some(SourceSubject {
            spec: login("alice"),
            content: vec![Known {
                path: vec!["Work".to_owned()],
                role: None,
                items,
            }],
            hooks,
        }),
        destination: Some(login("bob")),
        ..Subject::default()
    };
    passes(&loaded(sort.connector(), folder.path()).await, &subject).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caldav() {
    dav(Sort::Calendars).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn carddav() {
    dav(Sort::AddressBooks).await;
}

/// A folder of files of objects, one each or all in one, filled and changed behind the connector's back.
async fn vobject(connector: &str, objects: Vec<(String, String)>, layout: &str) {
    let folder = scratch::folder("conformance-vobject");
    let root = folder.path().join("from/alice");
    fs::create_dir_all(root.join("Work")).unwrap();
    let mut items = Vec::new();
    for (name, object) in &objects {
        fs::write(root.join("Work").join(name), object).unwrap();
        items.push(KnownItem {
            content: Bytes::from(object.clone()),
            flags: None,
            received: None,
        });
    }
    let (adding, removing, digesting) = (root.clone(), root.clone(), root);
    let ending = connector.to_owned();
    let hooks = Hooks {
        add: hook(move |add: Add| {
            let file = adding.join("Work").join(format!("added.{ending}"));
            async move { fs::write(file, &add.content).map_err(|error| error.to_string()) }
        }),
        remove: hook(move |remove: Remove| {
            let name = remove.id.split('/').next().unwrap_or_default().to_owned();
            let file = removing.join("Work").join(name);
            async move { fs::remove_file(file).map_err(|error| error.to_string()) }
        }),
        digest: hook(move |()| {
            let root = digesting.clone();
            async move { Ok(format!("{:?}", Snapshot::take(&root, &[]))) }
        }),
        ..Hooks::default()
    };
    let subject = Subject {
        source: Some(SourceSubject {
            spec: spec(folder.path(), &json!({ "root": "from", "user": "alice" })),
            content: vec![Known {
                path: vec!["Work".to_owned()],
                role: None,
                items,
            }],
            hooks,
        }),
        destination: Some(spec(
            folder.path(),
            &json!({ "root": "to", "user": "alice", "layout": layout }),
        )),
        ..Subject::default()
    };
    passes(&loaded(connector, folder.path()).await, &subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ics_in_folders() {
    vobject("ics", corpus::calendar_objects(), "folders").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ics_in_one_file() {
    vobject("ics", corpus::calendar_objects(), "file").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vcf_in_folders() {
    vobject("vcf", corpus::contacts(), "folders").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vcf_in_one_file() {
    vobject("vcf", corpus::contacts(), "file").await;
}

/// An export never changes: there is nothing to do behind the connector's back.
#[tokio::test(flavor = "multi_thread")]
async fn takeout() {
    let folder = scratch::folder("conformance-takeout");
    let root = folder.path().join("from/Takeout/Mail");
    fs::create_dir_all(&root).unwrap();
    let (mut spool, mut items) = (Vec::new(), Vec::new());
    for (number, message) in corpus::bulk(206, 40).into_iter().enumerate() {
        let (flags, labels) = if number % 2 == 0 {
            (vec!["\\Seen".to_owned()], "Inbox,Opened")
        } else {
            (Vec::new(), "Inbox,Unread")
        };
        let id = 1_773_664_405_479_613_283_u64 + number as u64;
        let head =
            format!("From {id}@xxx Tue Aug 08 12:36:29 +0000 2023\r\nX-GM-THRID: {id}\r\nX-Gmail-Labels: {labels}\r\n");
        let text = String::from_utf8_lossy(message.bytes()).into_owned();
        let text = if text.ends_with("\r\n") {
            text
        } else {
            format!("{text}\r\n")
        };
        spool.extend_from_slice(head.as_bytes());
        spool.extend_from_slice(text.as_bytes());
        spool.extend_from_slice(b"\r\n");
        items.push(KnownItem {
            content: Bytes::from(text),
            flags: Some(flags),
            received: Some(Timestamp {
                unix_ms: 1_691_498_189_000,
                offset_minutes: 0,
            }),
        });
    }
    fs::write(root.join("All mail Including Spam and Trash.mbox"), spool).unwrap();
    let digested = folder.path().join("from");
    let hooks = Hooks {
        digest: hook(move |()| {
            let root = digested.clone();
            async move { Ok(format!("{:?}", Snapshot::take(&root, &[]))) }
        }),
        ..Hooks::default()
    };
    let subject = Subject {
        source: Some(SourceSubject {
            spec: spec(folder.path(), &json!({ "root": "from" })),
            content: vec![Known {
                path: vec!["INBOX".to_owned()],
                role: Some(whimbrel_model::Role::Inbox),
                items,
            }],
            hooks,
        }),
        destination: None,
        ..Subject::default()
    };
    passes(&loaded("takeout", folder.path()).await, &subject).await;
}
