//! A place to run the engine in.

use std::{fs, path::Path, sync::Arc, time::Duration};

use whimbrel_engine::{
    AttachmentFolder, Clock, EngineError, FaultOptions, Mailbox, NoObserver, OnError, Options, Provider, Report,
    RuleBook, Stop, migrate,
};
use whimbrel_ledger::{CollectionRecord, ItemRecord, Ledger, LedgerError, LedgerOptions};
use whimbrel_rules::{Limits, Rules};
use whimbrel_wire::{BlobStore, BlobStoreConfig};

use super::{Life, Mortal, Store};

/// Rules as they come from this script, with small limits.
pub fn book(script: &str) -> RuleBook {
    book_with(script, |_| {})
}

/// The same, changed.
pub fn book_with(script: &str, change: impl FnOnce(&mut RuleBook)) -> RuleBook {
    let options = whimbrel_rules::Options {
        limits: Limits {
            operations: 20_000,
            string_bytes: 64 << 10,
            time: Duration::from_secs(20),
            ..Limits::default()
        },
        attachments: true,
        ..whimbrel_rules::Options::default()
    };
    let rules = Rules::compile("rules.rhai", script, &options).unwrap_or_else(|error| panic!("{error}\n{script}"));
    let mut book = RuleBook {
        rules: Arc::new(rules),
        on_error: OnError::Quarantine,
        attachments: None,
        mailboxes: Default::default(),
    };
    change(&mut book);
    book
}

/// Nobody waits for what is parked, and no pause takes time.
pub fn faults() -> FaultOptions {
    FaultOptions {
        wait: Duration::ZERO,
        scale: 0.0,
        ..FaultOptions::new(Clock::new(|| 0))
    }
}

/// A scratch folder with a ledger, and options that do not wait long.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub options: Options,
    /// How often it was killed.
    pub killed: u32,
    ledger: Option<Ledger>,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobStore::new(BlobStoreConfig {
            folder: folder.path().into(),
            memory: 8 << 20,
            threshold: 1 << 20,
        });
        let options = Options {
            mailboxes: 2,
            connections: 2,
            memory: 8 << 20,
            max_item_bytes: None,
            retries: 12,
            repairs: Default::default(),
            rules: None,
            deletions: None,
            only_recognise: false,
            quiet: Duration::from_millis(20),
            faults: faults(),
            folders: Default::default(),
            quarantine: Some(folder.path().join("quarantine")),
            blobs,
        };
        Self {
            folder,
            options,
            killed: 0,
            ledger: None,
        }
    }

    pub fn ledger(&mut self) -> Ledger {
        let folder = self.state(self.killed);
        self.ledger
            .get_or_insert_with(|| Ledger::open(&folder, LedgerOptions::default()).unwrap())
            .clone()
    }

    fn state(&self, number: u32) -> std::path::PathBuf {
        self.folder.path().join(format!("state-{number}"))
    }

    pub fn mailbox(source: &Store, destination: &Store) -> Mailbox {
        Self::named("alice", source, destination)
    }

    pub fn named(name: &str, source: &Store, destination: &Store) -> Mailbox {
        Mailbox::new(name, Arc::new(source.clone()), Arc::new(destination.clone()))
    }

    /// With these rules from now on.
    pub fn rules(&mut self, script: &str) {
        self.options.rules = Some(Arc::new(book(script)));
    }

    /// With these rules, and mailboxes that they can send messages to.
    pub fn rules_to(&mut self, script: &str, mailboxes: &[(&str, &Store)]) {
        let book = book_with(script, |book| {
            for (name, store) in mailboxes {
                book.mailboxes.insert((*name).to_owned(), Arc::new((*store).clone()));
            }
        });
        self.options.rules = Some(Arc::new(book));
    }

    /// Detached attachments go to a folder beside the ledger; gives that.
    pub fn attachments(&mut self) -> std::path::PathBuf {
        let folder = self.folder.path().join("attachments");
        if let Some(rules) = &mut self.options.rules {
            let mut book = RuleBook::clone(rules);
            book.attachments = Some(AttachmentFolder {
                folder: folder.clone(),
                link: Some("https://files.example".into()),
            });
            *rules = Arc::new(book);
        }
        folder
    }

    /// Runs once.
    pub async fn try_run(&mut self, mailboxes: &[Mailbox]) -> Result<Report, EngineError> {
        let ledger = self.ledger();
        let observer = Arc::new(NoObserver);
        migrate(&ledger, mailboxes.to_vec(), &self.options, observer, Stop::new()).await
    }

    /// Runs once.
    pub async fn run(&mut self, mailboxes: &[Mailbox]) -> Report {
        self.try_run(mailboxes).await.unwrap()
    }

    /// Runs until it is through, or nothing changes any more.
    pub async fn run_out(&mut self, mailboxes: &[Mailbox]) -> Report {
        for _ in 0..40 {
            let report = self.run(mailboxes).await;
            if report.total.pending == 0 && report.mailboxes.iter().all(|one| one.problems.is_empty()) {
                break;
            }
        }
        self.run(mailboxes).await
    }

    /// Runs until the life is over, and goes on from what then lay on the disk: what was recorded and not flushed is
    /// lost, as when a process is killed. Each mailbox is a name, a source and a destination; the rules send messages
    /// to those named `elsewhere`.
    pub async fn run_killed(
        &mut self,
        mailboxes: &[(&str, &Store, &Store)],
        elsewhere: &[(&str, &Store)],
        life: &Life,
    ) -> Option<Report> {
        let mortal = |store: &Store| -> Arc<dyn Provider> {
            Arc::new(Mortal {
                store: store.clone(),
                life: life.clone(),
            })
        };
        let ledger = self.ledger();
        let mut options = self.options.clone();
        if let Some(rules) = &mut options.rules {
            let mut book = RuleBook::clone(rules);
            book.mailboxes = elsewhere
                .iter()
                .map(|(name, store)| ((*name).to_owned(), mortal(store)))
                .collect();
            *rules = Arc::new(book);
        }
        let mailboxes = mailboxes
            .iter()
            .map(|(name, source, destination)| Mailbox::new(*name, mortal(source), mortal(destination)))
            .collect();
        let running = migrate(&ledger, mailboxes, &options, Arc::new(NoObserver), Stop::new());
        tokio::select! {
            biased;
            report = running => return Some(report.unwrap()),
            () = life.over() => {}
        }
        // Its tasks are aborted; commits that had begun end.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        copy(&self.state(self.killed), &self.state(self.killed + 1));
        self.killed += 1;
        self.ledger = None;
        None
    }

    /// Everything that the ledger knows of a mailbox's items.
    pub fn items(&mut self, mailbox: &str) -> Vec<(CollectionRecord, ItemRecord)> {
        let ledger = self.ledger();
        let Some(id) = ledger.find_mailbox(mailbox).unwrap() else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for collection in ledger.collections(id).unwrap() {
            for item in ledger.items(id, collection.id) {
                out.push((collection.clone(), item.unwrap()));
            }
        }
        out
    }

    /// The audit trail's lines of this kind.
    pub fn events(&mut self, kind: &str) -> Vec<serde_json::Value> {
        let events = self.ledger().events(None).map(Result::unwrap);
        events
            .filter(|event| event.kind == kind)
            .map(|event| event.fields)
            .collect()
    }

    /// What is wrong within the ledger.
    pub fn audit(&mut self) -> Result<Vec<String>, LedgerError> {
        self.ledger().audit()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
