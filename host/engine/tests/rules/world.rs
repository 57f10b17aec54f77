//! A small world of two mailboxes whose rules, messages, faults and kills are random, and what it has to come to.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::TestCaseResult};
use whimbrel_engine::{Mailbox, Report, requeue};
use whimbrel_ledger::{Fate, ItemRecord, Ledger, MailboxId};
use whimbrel_model::Failure;

use crate::support::{
    Bench, Character, Life, Store,
    script::{Content, Outcome, Script, body, canonical, folder, script, steady_script},
};

/// Number of the message that no destination takes.
const REFUSED: usize = 7;

/// Two mailboxes, each with a source and a destination; the rules of one may send to the other.
pub struct World {
    script: Script,
    names: [&'static str; 2],
    sources: [Store; 2],
    destinations: [Store; 2],
    /// What lay at the destinations before.
    before: BTreeMap<(String, String, Content), usize>,
    /// Whether anything breaks or is killed.
    faulty: bool,
    bench: Bench,
}

/// What a world is made from.
#[derive(Debug, Clone)]
pub struct Plan {
    script: Script,
    /// Mailbox, folder, number, whether it was read.
    messages: Vec<(usize, &'static str, usize, bool)>,
    /// Likewise, at the destination before.
    before: Vec<(usize, &'static str, usize)>,
    tells_ids: bool,
    incremental: bool,
    retries: u32,
    /// Of the two sources and the two destinations: calls before each break.
    breaks: Breaks,
    /// Calls until a kill, and how it ends.
    pub kills: Vec<(u32, u8)>,
}

/// What happens at a source between two runs.
#[derive(Debug, Clone)]
pub enum Change {
    /// In this mailbox and folder, a message of this number.
    Add(usize, &'static str, usize),
    /// The message at this place of all messages of the mailbox goes to this folder.
    Move(usize, usize, &'static str),
    /// That message gets other flags.
    Mark(usize, usize, &'static str),
    /// All messages of the folder get new ids.
    Renumber(usize, &'static str),
}

impl Change {
    pub fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            2 => (0usize..2, folder(), 0usize..6).prop_map(|(mailbox, folder, number)| Self::Add(mailbox, folder, number)),
            4 => (0usize..2, 0usize..40, folder()).prop_map(|(mailbox, at, folder)| Self::Move(mailbox, at, folder)),
            2 => (0usize..2, 0usize..40, prop::sample::select(vec!["\\Answered", "\\Seen", "Moved"]))
                .prop_map(|(mailbox, at, flag)| Self::Mark(mailbox, at, flag)),
            1 => (0usize..2, folder()).prop_map(|(mailbox, folder)| Self::Renumber(mailbox, folder)),
        ]
    }
}

type Breaks = [Vec<u32>; 4];

fn breaks() -> impl Strategy<Value = Breaks> {
    let breaks = || prop::collection::vec(0u32..16, 0..8);
    [breaks(), breaks(), breaks(), breaks()]
}

impl Plan {
    /// With at most so many kills.
    pub fn any(kills: usize) -> impl Strategy<Value = Self> {
        let before = prop::collection::vec((0usize..2, folder(), 0usize..12), 0..6);
        Self::over(script(), 12, before, kills)
    }

    /// Decisions that do not depend on where a message lies, nor on its flags; nothing is refused, and the destinations
    /// are empty.
    pub fn steady(kills: usize) -> impl Strategy<Value = Self> {
        Self::over(steady_script(), REFUSED, Just(Vec::new()), kills)
    }

    fn over(
        script: impl Strategy<Value = Script>,
        numbers: usize,
        before: impl Strategy<Value = Vec<(usize, &'static str, usize)>>,
        kills: usize,
    ) -> impl Strategy<Value = Self> {
        let messages = prop::collection::vec((0usize..2, folder(), 0..numbers, any::<bool>()), 1..40);
        let kills = prop::collection::vec((0u32..60, 0u8..3), 0..=kills);
        let store = (any::<bool>(), any::<bool>(), 0u32..4);
        (script, messages, before, store, breaks(), kills).prop_map(
            |(script, messages, before, (tells_ids, incremental, retries), breaks, kills)| Self {
                script,
                messages,
                before,
                tells_ids,
                incremental,
                retries,
                breaks,
                kills,
            },
        )
    }
}

impl World {
    pub fn new(plan: &Plan) -> Self {
        let character = Character {
            tells_ids: plan.tells_ids,
            incremental: plan.incremental,
            refuses: Some(format!("X-N: {REFUSED}\r\n").into_bytes()),
            ..Character::default()
        };
        let source = || {
            Store::new(Character {
                incremental: plan.incremental,
                ..Character::default()
            })
        };
        let names = ["alice", "bob"];
        let (sources, destinations) = (
            [source(), source()],
            [Store::new(character.clone()), Store::new(character)],
        );
        for (mailbox, folder, number, seen) in &plan.messages {
            let flags: &[&str] = if *seen { &["\\Seen", "Old"] } else { &[] };
            sources[*mailbox].add(folder, &body(*number), flags);
        }
        let mut before = BTreeMap::new();
        for (mailbox, folder, number) in &plan.before {
            if *number == REFUSED {
                continue;
            }
            destinations[*mailbox].add(folder, &body(*number), &["Mine"]);
            let key = (
                names[*mailbox].to_owned(),
                (*folder).to_owned(),
                canonical(&body(*number)),
            );
            *before.entry(key).or_default() += 1;
        }
        let mut bench = Bench::new();
        bench.options.retries = plan.retries;
        let all: Vec<(&str, &Store)> = names.into_iter().zip(&destinations).collect();
        bench.rules_to(&plan.script.text(), &all);
        let world = Self {
            script: plan.script.clone(),
            names,
            sources,
            destinations,
            before,
            faulty: !plan.kills.is_empty() || plan.breaks.iter().any(|breaks| !breaks.is_empty()),
            bench,
        };
        for (store, breaks) in world.sources.iter().chain(&world.destinations).zip(&plan.breaks) {
            store.state().breaks.clone_from(breaks);
        }
        world
    }

    /// Runs until it is through.
    pub async fn run_out(&mut self) -> Report {
        let mailboxes: Vec<Mailbox> = (0..2)
            .map(|at| Bench::named(self.names[at], &self.sources[at], &self.destinations[at]))
            .collect();
        self.bench.run_out(&mailboxes).await;
        // In the end the lines behave.
        for store in self.sources.iter().chain(&self.destinations) {
            store.state().breaks.clear();
        }
        self.pardon();
        self.bench.run_out(&mailboxes).await
    }

    /// Chance lets connections end at the same message again and again, and it is refused as their cause: then it is tried
    /// again, as an admin would.
    fn pardon(&mut self) {
        for name in self.names {
            let accused = |item: &ItemRecord| {
                matches!(&item.fate, Fate::Failed { failure: Failure::Rejected(text), .. }
                    if text.starts_with("the connection ended each time"))
            };
            if self.bench.items(name).iter().any(|(_, item)| accused(item)) {
                requeue(&self.bench.ledger(), name, &["rejected".to_owned()]).unwrap();
            }
        }
    }

    pub async fn run_killed(&mut self, life: &Life) -> Option<Report> {
        let Self {
            names,
            sources,
            destinations,
            bench,
            ..
        } = self;
        let mailboxes: Vec<_> = (0..2).map(|at| (names[at], &sources[at], &destinations[at])).collect();
        let elsewhere: Vec<_> = (0..2).map(|at| (names[at], &destinations[at])).collect();
        bench.run_killed(&mailboxes, &elsewhere, life).await
    }

    /// Something happens at a source; then the lines break anew, as the plan's did, the sources' and the destinations'
    /// changed about.
    pub fn change(&mut self, plan: &Plan, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Add(mailbox, folder, number) => {
                    self.sources[*mailbox].add(folder, &body(*number), &[]);
                }
                Change::Move(mailbox, at, to) => {
                    if let Some((from, uid)) = self.nth(*mailbox, *at) {
                        let message = self.sources[*mailbox].remove(&from, uid);
                        let flags: Vec<&str> = message.flags.iter().map(String::as_str).collect();
                        self.sources[*mailbox].add(to, &message.bytes, &flags);
                    }
                }
                Change::Mark(mailbox, at, flag) => {
                    if let Some((folder, uid)) = self.nth(*mailbox, *at) {
                        self.sources[*mailbox].flag(&folder, uid, &[flag]);
                    }
                }
                Change::Renumber(mailbox, folder) => self.sources[*mailbox].state().folder(folder).renumber(),
            }
        }
        for (store, breaks) in self.destinations.iter().chain(&self.sources).zip(&plan.breaks) {
            store.state().breaks.clone_from(breaks);
        }
    }

    fn nth(&self, mailbox: usize, at: usize) -> Option<(String, u32)> {
        let state = self.sources[mailbox].state();
        let mut all = state
            .folders
            .iter()
            .flat_map(|(name, folder)| folder.messages.iter().map(move |message| (name.clone(), message.uid)));
        all.nth(at)
    }

    /// Whether every item has the one fate that the script gives it, and lies where that says, once.
    pub fn check(&mut self, report: &Report) -> TestCaseResult {
        let audit = self.bench.audit().unwrap();
        prop_assert!(audit.is_empty(), "{:?}", audit);
        let mut wanted: BTreeMap<(String, String, Content), Vec<Vec<String>>> = BTreeMap::new();
        // Merged with what lay there before, or with what another mailbox put there and has not recorded yet: such a
        // message keeps its flags.
        let mut merged = BTreeSet::new();
        let mut occupied = BTreeSet::new();
        for (at, name) in self.names.into_iter().enumerate() {
            let counts = report.mailboxes[at].counts;
            let sum = counts.moved + counts.merged + counts.filtered + counts.oversize + counts.failed;
            prop_assert_eq!((counts.found, counts.pending, counts.unexplained), (sum, 0, 0));
            prop_assert!(report.mailboxes[at].problems.is_empty(), "{:?}", report.mailboxes[at]);
            let ledger = self.bench.ledger();
            let (items, rest): (Vec<_>, Vec<_>) = self.bench.items(name).into_iter().partition(|(_, item)| item.live);
            let orphans = rest.iter().filter(|(_, item)| item.fate != Fate::Gone).count();
            prop_assert_eq!(orphans, 0, "{:?}", rest);
            let state = self.sources[at].state();
            let there: usize = state.folders.values().map(|folder| folder.messages.len()).sum();
            prop_assert_eq!((items.len(), counts.found), (there, there as u64));
            for (collection, item) in items {
                let folder = collection.source.display_path();
                let message = state.folders[&folder]
                    .messages
                    .iter()
                    .find(|message| message.uid.to_string() == item.meta.id)
                    .unwrap();
                let number = number(&message.bytes);
                let (outcome, said, _) = self.script.decide(name, &folder, number, &message.flags);
                let refused = number == REFUSED && matches!(outcome, Outcome::Placed(_));
                let outcome = if refused { Outcome::Failed } else { outcome };
                let told: Vec<(u32, String)> = item
                    .ruling
                    .iter()
                    .flat_map(|ruling| &ruling.steps)
                    .map(|step| {
                        assert_eq!((step.rule.as_str(), step.file.as_str()), ("message", "rules.rhai"));
                        (step.line, step.did.clone())
                    })
                    .collect();
                prop_assert_eq!(told, said, "{:?} {:?}", &outcome, &item);
                match (&outcome, &item.fate) {
                    (Outcome::Filtered(reason), Fate::Filtered { reason: told }) => prop_assert_eq!(reason, told),
                    (
                        Outcome::Failed,
                        Fate::Failed {
                            failure, quarantine, ..
                        },
                    ) => {
                        prop_assert_eq!(failure.code(), if refused { "rejected" } else { "rules" });
                        let kept = self.bench.folder.path().join("quarantine");
                        let kept = std::fs::read(kept.join(quarantine.as_ref().unwrap())).unwrap();
                        prop_assert_eq!(&kept, &message.bytes);
                    }
                    (
                        Outcome::Placed(goal),
                        Fate::Placed {
                            mailbox,
                            collection,
                            id,
                            outcome,
                            ..
                        },
                    ) => {
                        let account = account(&ledger, *mailbox, name);
                        prop_assert_eq!((&account, collection), (&goal.account, &goal.folder));
                        let copies: BTreeSet<String> = item.copies.iter().map(|copy| copy.collection.clone()).collect();
                        prop_assert_eq!(&copies, &goal.copies);
                        prop_assert_eq!(copies.len(), item.copies.len());
                        let mut places = vec![(account, collection.clone(), id.clone())];
                        places.extend(
                            item.copies
                                .iter()
                                .map(|copy| (name.to_owned(), copy.collection.clone(), copy.id.clone())),
                        );
                        for (account, folder, id) in places {
                            let key = (account.clone(), folder.clone(), goal.content.clone());
                            if *outcome == whimbrel_model::Outcome::MergedWithExisting {
                                merged.insert(key.clone());
                            }
                            wanted.entry(key).or_default().push(goal.flags.clone());
                            if id.is_some() {
                                prop_assert!(occupied.insert((account, folder, id)), "two items at one place");
                            }
                        }
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
        let mut there: BTreeMap<(String, String, Content), Vec<Vec<String>>> = BTreeMap::new();
        for (name, store) in self.names.into_iter().zip(&self.destinations) {
            for (folder, bytes, flags) in store.contents() {
                let key = (name.to_owned(), folder, canonical(&bytes));
                there.entry(key).or_default().push(flags);
            }
        }
        let keys: BTreeSet<_> = wanted
            .keys()
            .chain(there.keys())
            .chain(self.before.keys())
            .cloned()
            .collect();
        for key in keys {
            let before = self.before.get(&key).copied().unwrap_or_default();
            let mut wanted = wanted.remove(&key).unwrap_or_default();
            let mut there = there.remove(&key).unwrap_or_default();
            prop_assert_eq!(there.len(), wanted.len().max(before), "{:?}: {} before", &key, before);
            if before == 0 && !merged.contains(&key) {
                wanted.iter_mut().for_each(|flags| flags.sort());
                wanted.sort();
                there.sort();
                // Equal messages of one folder that were under way at the same time are not told apart after a fault.
                let alike = wanted.len() > 1 && self.faulty;
                let right = if alike {
                    there.iter().all(|flags| wanted.contains(flags))
                } else {
                    there == wanted
                };
                prop_assert!(right, "{:?}: {:?} instead of {:?}", &key, &there, &wanted);
            }
        }
        Ok(())
    }
}

fn number(bytes: &[u8]) -> usize {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("X-N: "));
    line.unwrap().parse().unwrap()
}

fn account(ledger: &Ledger, mailbox: Option<MailboxId>, own: &str) -> String {
    mailbox.map_or_else(|| own.to_owned(), |id| ledger.mailbox_of(id).unwrap())
}
