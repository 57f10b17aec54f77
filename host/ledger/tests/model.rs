//! The ledger against a model that keeps everything in a map and counts by looking.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use whimbrel_ledger::{
    CollectionId, Durability, Fate, IntentId, Ledger, MailboxId, MarkChanges, Place, RuleStep, Ruling, Todo, Totals,
};
use whimbrel_model::{Failure, Fingerprint, ItemMeta, Outcome};

use common::{CREATE, export, folder, print};

const IDS: usize = 14;
/// Whose account rules send items to.
const OTHER: MailboxId = MailboxId(2);

/// One change; numbers choose collection and item.
#[derive(Debug, Clone)]
enum Op {
    Found(usize, usize, u8),
    Remark(usize, usize, u8),
    Altered(usize, usize, u8),
    Replaced(usize, usize, u8, Fate, Option<u8>),
    Marked(usize, usize),
    MarkedAs(usize, usize, u8),
    Settle(usize, usize, Fate, Option<u8>),
    SettleAs(usize, usize, u8, Fate, Option<u8>),
    Requeue(usize, usize),
    Vanished(usize, usize),
    Rule(usize, usize, Option<u8>),
    Copied(usize, usize, u8, bool),
    /// The n-th orphan there is becomes this item.
    Adopt(usize, usize, usize, u8, Fate),
    Forget(usize, usize),
    Cursor(usize, Option<String>),
    Event(f64),
}

/// What is committed together.
#[derive(Debug, Clone)]
enum Step {
    Batch(Vec<Op>, bool),
    Void(usize),
    Reopen,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    meta: ItemMeta,
    fate: Fate,
    live: bool,
    mark: bool,
    content: bool,
    print: Option<Fingerprint>,
    repairs: Vec<String>,
    attempts: u32,
    ruling: Option<Ruling>,
    copies: Vec<Place>,
}

impl Entry {
    fn is_placed(&self) -> bool {
        matches!(self.fate, Fate::Placed { .. })
    }
}

type Entries = BTreeMap<(usize, String), Entry>;

#[derive(Debug, Clone, Default)]
struct Model {
    entries: Entries,
    epochs: [u32; 2],
}

fn id(item: usize) -> String {
    // Of several lengths, so that the order matters.
    (item * item * item).to_string()
}

fn meta(item: usize, variant: u8) -> ItemMeta {
    ItemMeta {
        id: id(item),
        revision: variant.to_string(),
        size: (!variant.is_multiple_of(3)).then_some(u64::from(variant)),
        flags: (0..variant % 4).map(|flag| format!("f{flag}")).collect(),
        labels: (0..variant % 2).map(|label| format!("l{label}")).collect(),
        ..ItemMeta::default()
    }
}

fn ruling(seed: u8) -> Ruling {
    Ruling {
        steps: vec![RuleStep {
            rule: "old_mail".to_owned(),
            file: "rules.rhai".to_owned(),
            line: u32::from(seed),
            did: "move_to Archive".to_owned(),
        }],
        marks: MarkChanges {
            set_flags: (0..seed).map(|flag| format!("r{flag}")).collect(),
            ..MarkChanges::default()
        },
    }
}

fn place(at: u8, foreign: bool) -> Place {
    Place {
        mailbox: foreign.then_some(OTHER),
        collection: "out".to_owned(),
        id: Some(at.to_string()),
    }
}

fn merged(old: &ItemMeta, new: ItemMeta) -> ItemMeta {
    ItemMeta {
        size: new.size.or(old.size),
        ..new
    }
}

fn differ(a: &ItemMeta, b: &ItemMeta) -> bool {
    (&a.flags, &a.labels) != (&b.flags, &b.labels)
}

impl Model {
    /// None where the ledger must refuse.
    fn apply(&mut self, op: &Op) -> Option<()> {
        match op {
            Op::Found(c, i, v) => self.found(*c, meta(*i, *v)),
            Op::Remark(c, i, v) => {
                self.entries.get(&(*c, id(*i)))?;
                self.found(*c, meta(*i, *v));
            }
            Op::Altered(c, i, v) => {
                self.entries.get(&(*c, id(*i)))?;
                self.found(*c, meta(*i, *v));
                let entry = self.entries.get_mut(&(*c, id(*i)))?;
                match entry.fate {
                    Fate::Placed { .. } => entry.content = true,
                    _ => entry.fate = Fate::Pending,
                }
            }
            Op::Replaced(c, i, v, fate, seed) => {
                let entry = self.entries.get_mut(&(*c, id(*i))).filter(|entry| entry.is_placed())?;
                if !matches!(fate, Fate::Placed { .. }) {
                    return None;
                }
                let applied = meta(*i, *v);
                entry.content = applied.revision != entry.meta.revision;
                entry.mark = differ(&entry.meta, &applied);
                entry.fate = fate.clone();
                entry.print = seed.map(print).or(entry.print);
                entry.repairs = vec!["crlf".to_owned()];
            }
            Op::Marked(c, i) => {
                let entry = self.entries.get_mut(&(*c, id(*i))).filter(|entry| entry.is_placed())?;
                entry.mark = false;
            }
            Op::MarkedAs(c, i, v) => {
                let entry = self.entries.get_mut(&(*c, id(*i))).filter(|entry| entry.is_placed())?;
                entry.mark &= differ(&entry.meta, &meta(*i, *v));
            }
            Op::Settle(c, i, fate, seed) => self.settle(*c, *i, None, fate, *seed)?,
            Op::SettleAs(c, i, v, fate, seed) => self.settle(*c, *i, Some(*v), fate, *seed)?,
            Op::Requeue(c, i) => {
                let entry = self.entries.get_mut(&(*c, id(*i)))?;
                if entry.is_placed() || entry.fate == Fate::Gone {
                    return None;
                }
                entry.fate = Fate::Pending;
            }
            Op::Vanished(c, i) => {
                if let Some(entry) = self.entries.get_mut(&(*c, id(*i))) {
                    lose(entry);
                }
            }
            Op::Rule(c, i, seed) => {
                let entry = self.entries.get_mut(&(*c, id(*i))).filter(|entry| !entry.is_placed())?;
                if entry.fate != Fate::Gone {
                    entry.ruling = seed.map(ruling);
                }
            }
            Op::Copied(c, i, at, foreign) => {
                let (entry, place) = (self.entries.get_mut(&(*c, id(*i)))?, place(*at, *foreign));
                if !entry.copies.contains(&place) {
                    entry.copies.push(place);
                }
            }
            Op::Adopt(c, i, which, v, fate) => {
                let (from, orphan) = self.orphan(*which)?;
                if self.entries.get(&(*c, id(*i))).is_some_and(Entry::is_placed) || !matches!(fate, Fate::Placed { .. })
                {
                    return None;
                }
                self.entries.remove(&from);
                let new = meta(*i, *v);
                let mut mark = orphan.mark || orphan.content || differ(&orphan.meta, &new);
                let mut orphan = orphan;
                if let Some(known) = self.entries.get(&(*c, id(*i))) {
                    let marks = |entry: &Entry| {
                        entry
                            .ruling
                            .as_ref()
                            .map(|ruling| ruling.marks.clone())
                            .unwrap_or_default()
                    };
                    mark |= marks(known) != marks(&orphan);
                    orphan.ruling = known.ruling.clone();
                    let more: Vec<Place> = known
                        .copies
                        .iter()
                        .filter(|copy| !orphan.copies.contains(copy))
                        .cloned()
                        .collect();
                    orphan.copies.extend(more);
                }
                let entry = Entry {
                    meta: merged(&orphan.meta, new),
                    fate: fate.clone(),
                    live: true,
                    mark,
                    content: false,
                    ..orphan
                };
                self.entries.insert((*c, id(*i)), entry);
            }
            Op::Forget(c, i) => {
                let key = (*c, id(*i));
                self.entries
                    .get(&key)
                    .filter(|entry| entry.is_placed() && !entry.live)?;
                self.entries.remove(&key);
            }
            Op::Cursor(..) | Op::Event(_) => {}
        }
        Some(())
    }

    fn orphan(&self, which: usize) -> Option<((usize, String), Entry)> {
        let orphans: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_placed() && !entry.live)
            .collect();
        let (key, entry) = orphans.get(which % orphans.len().max(1))?;
        Some(((*key).clone(), (*entry).clone()))
    }

    fn found(&mut self, c: usize, meta: ItemMeta) {
        match self.entries.get_mut(&(c, meta.id.clone())) {
            None => {
                let entry = Entry {
                    meta: meta.clone(),
                    fate: Fate::Pending,
                    live: true,
                    mark: false,
                    content: false,
                    print: None,
                    repairs: Vec::new(),
                    attempts: 0,
                    ruling: None,
                    copies: Vec::new(),
                };
                self.entries.insert((c, meta.id), entry);
            }
            Some(entry) => {
                if entry.fate == Fate::Gone {
                    entry.fate = Fate::Pending;
                }
                entry.live = true;
                entry.mark |= entry.is_placed() && differ(&entry.meta, &meta);
                entry.meta = merged(&entry.meta, meta);
            }
        }
    }

    fn settle(&mut self, c: usize, i: usize, applied: Option<u8>, fate: &Fate, seed: Option<u8>) -> Option<()> {
        let entry = self.entries.get_mut(&(c, id(i)))?;
        if entry.is_placed() || *fate == Fate::Pending {
            return None;
        }
        match (&entry.fate, fate) {
            (Fate::Gone, fate) if !matches!(fate, Fate::Placed { .. }) => return Some(()),
            (_, Fate::Gone) => {
                lose(entry);
                return Some(());
            }
            (_, Fate::Failed { .. }) => entry.attempts += 1,
            _ => {}
        }
        entry.fate = fate.clone();
        entry.mark = entry.is_placed() && applied.is_some_and(|v| differ(&entry.meta, &meta(i, v)));
        entry.print = seed.map(print).or(entry.print);
        entry.repairs = vec!["crlf".to_owned()];
        Some(())
    }

    fn void(&mut self, c: usize) {
        let all: Vec<String> = self
            .entries
            .keys()
            .filter(|key| key.0 == c)
            .map(|key| key.1.clone())
            .collect();
        for old in all.into_iter().filter(|id| !id.starts_with('\0')) {
            let mut entry = self.entries.remove(&(c, old.clone())).unwrap();
            if entry.is_placed() {
                entry.live = false;
                entry.meta.id = format!("\0{}\0{old}", self.epochs[c]);
                self.entries.insert((c, entry.meta.id.clone()), entry);
            }
        }
        self.epochs[c] += 1;
    }

    fn totals(&self, c: usize) -> Totals {
        let mut totals = Totals::default();
        for entry in self
            .entries
            .iter()
            .filter(|(key, _)| key.0 == c)
            .map(|(_, entry)| entry)
        {
            if entry.fate == Fate::Gone {
                continue;
            }
            let bytes = entry.print.map_or(entry.meta.size.unwrap_or(0), |print| print.size);
            totals.found += 1;
            totals.live += u64::from(entry.live);
            totals.bytes_found += bytes;
            match &entry.fate {
                Fate::Placed {
                    outcome: Outcome::MergedWithExisting,
                    ..
                } => totals.merged += 1,
                Fate::Placed { .. } => {
                    totals.moved += 1;
                    totals.bytes_moved += bytes;
                }
                Fate::Filtered { .. } => totals.filtered += 1,
                Fate::Oversize { .. } => totals.oversize += 1,
                Fate::Failed { .. } => totals.failed += 1,
                Fate::Pending | Fate::Gone => totals.pending += 1,
            }
        }
        totals
    }
}

fn lose(entry: &mut Entry) {
    entry.live = false;
    if !entry.is_placed() {
        (entry.fate, entry.print, entry.repairs, entry.attempts) = (Fate::Gone, None, Vec::new(), 0);
        entry.ruling = None;
    }
}

/// The ledger under test and what is needed to speak of it.
struct Subject {
    folder: tempfile::TempDir,
    ledger: Option<Ledger>,
    mailbox: MailboxId,
    collections: [CollectionId; 2],
}

impl Subject {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(temp.path(), CREATE).unwrap();
        let mailbox = ledger.mailbox("alice").unwrap();
        assert_eq!(ledger.mailbox("bob").unwrap(), OTHER);
        let collections = ["a", "b"].map(|id| ledger.ensure_collection(mailbox, &folder(id)).unwrap().id);
        Self {
            folder: temp,
            ledger: Some(ledger),
            mailbox,
            collections,
        }
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    fn run(&mut self, step: &Step, model: &mut Model) {
        match step {
            Step::Reopen => {
                self.ledger = None;
                self.ledger = Some(Ledger::open(self.folder.path(), CREATE).unwrap());
            }
            Step::Void(c) => {
                let mut batch = self.ledger().batch(self.mailbox);
                batch.void_ids(self.collections[*c], Some(format!("g{}", model.epochs[*c])));
                self.ledger().commit(batch, Durability::Later).unwrap();
                model.void(*c);
            }
            Step::Batch(ops, flush) => {
                let mut batch = self.ledger().batch(self.mailbox);
                let mut after = model.clone();
                let mut fine = true;
                for op in ops {
                    // The orphan to be adopted is the one that the batch sees at this point.
                    let orphan = if let Op::Adopt(_, _, which, ..) = op {
                        after.orphan(*which)
                    } else {
                        None
                    };
                    self.add(&mut batch, op, orphan.map(|(key, _)| key));
                    fine = fine && after.apply(op).is_some();
                    if !fine {
                        break;
                    }
                }
                let durability = if *flush { Durability::Flush } else { Durability::Later };
                let result = self.ledger().commit(batch, durability);
                assert_eq!(result.is_ok(), fine, "{result:?} for {ops:?}");
                if fine {
                    *model = after;
                }
            }
        }
    }

    fn add(&self, batch: &mut whimbrel_ledger::Batch, op: &Op, orphan: Option<(usize, String)>) {
        let at = |c: &usize| self.collections[*c];
        let repairs = || vec!["crlf".to_owned()];
        match op {
            Op::Found(c, i, v) => batch.found(at(c), &meta(*i, *v)),
            Op::Remark(c, i, v) => batch.remark(at(c), &meta(*i, *v)),
            Op::Altered(c, i, v) => batch.altered(at(c), &meta(*i, *v)),
            Op::Replaced(c, i, v, fate, seed) => {
                batch.replaced(at(c), &meta(*i, *v), fate.clone(), seed.map(print), repairs());
            }
            Op::Marked(c, i) => batch.marked(at(c), &id(*i)),
            Op::MarkedAs(c, i, v) => batch.marked_as(at(c), &meta(*i, *v)),
            Op::Settle(c, i, fate, seed) => batch.settle(at(c), &id(*i), fate.clone(), seed.map(print), repairs()),
            Op::SettleAs(c, i, v, fate, seed) => {
                batch.settle_as(at(c), &meta(*i, *v), fate.clone(), seed.map(print), repairs());
            }
            Op::Requeue(c, i) => batch.requeue(at(c), &id(*i)),
            Op::Vanished(c, i) => batch.vanished(at(c), &id(*i)),
            Op::Rule(c, i, seed) => batch.rule(at(c), &id(*i), seed.map(ruling)),
            Op::Copied(c, i, to, foreign) => batch.copied(at(c), &id(*i), place(*to, *foreign)),
            Op::Adopt(c, i, _, v, fate) => {
                let (from, old) = orphan.unwrap_or((0, "nothing".to_owned()));
                batch.adopt((at(&from), &old), at(c), &meta(*i, *v), fate.clone());
            }
            Op::Forget(c, i) => batch.forget(at(c), &id(*i)),
            Op::Cursor(c, cursor) => batch.cursor(at(c), cursor.clone()),
            Op::Event(number) => batch.event("tick", serde_json::json!({ "z": number, "a": [true, null, "ü"] })),
        }
    }

    fn check(&self, model: &Model) {
        let ledger = self.ledger();
        assert_eq!(ledger.audit().unwrap(), Vec::<String>::new());
        let mut sum = Totals::default();
        let (mut failed, mut oversize) = (Vec::new(), Vec::new());
        for (c, collection) in self.collections.iter().enumerate() {
            let totals = ledger.collection(self.mailbox, *collection).unwrap().unwrap().totals;
            assert!(totals.balanced());
            assert_eq!(totals, model.totals(c));
            sum = sum + totals;

            let mut expected: Vec<&Entry> = model
                .entries
                .iter()
                .filter(|(key, _)| key.0 == c)
                .map(|(_, entry)| entry)
                .collect();
            expected.sort_by_key(|entry| (entry.meta.id.len(), entry.meta.id.clone()));
            let records: Vec<_> = ledger.items(self.mailbox, *collection).map(Result::unwrap).collect();
            assert_eq!(records.len(), expected.len());
            for (record, entry) in records.iter().zip(&expected) {
                assert_eq!(&record.meta, &entry.meta);
                assert_eq!((&record.fate, record.live), (&entry.fate, entry.live));
                assert_eq!((&record.repairs, record.attempts), (&entry.repairs, entry.attempts));
                assert_eq!(record.fingerprint, entry.print);
                assert_eq!((&record.ruling, &record.copies), (&entry.ruling, &entry.copies));
                assert_eq!(
                    ledger
                        .item(self.mailbox, *collection, &record.meta.id)
                        .unwrap()
                        .as_ref(),
                    Some(record)
                );
            }

            let waiting = |entry: &Entry| match (&entry.fate, entry.content, entry.mark) {
                (Fate::Pending, ..) => Some(Todo::Copy),
                (Fate::Placed { .. }, true, _) if entry.live => Some(Todo::Replace),
                (Fate::Placed { .. }, false, true) if entry.live => Some(Todo::Mark),
                _ => None,
            };
            let todo: Vec<_> = expected
                .iter()
                .filter_map(|entry| Some((waiting(entry)?, entry.meta.id.clone())))
                .collect();
            let mut got: Vec<(Todo, String)> = Vec::new();
            loop {
                let after = got.last().map(|(_, id)| id.clone());
                let page = ledger.todo(self.mailbox, *collection, after.as_deref(), 3).unwrap();
                if page.is_empty() {
                    break;
                }
                got.extend(page.into_iter().map(|(what, record)| (what, record.meta.id)));
            }
            assert_eq!(got, todo);
            let of = |code: &'static str| {
                expected
                    .iter()
                    .filter(move |entry| entry.fate.code() == code)
                    .map(move |entry| (*collection, entry.meta.id.clone()))
            };
            failed.extend(of("failed"));
            oversize.extend(of("oversize"));
        }
        assert_eq!(ledger.totals(self.mailbox).unwrap(), sum);
        let ids = |(collection, record): (CollectionId, whimbrel_ledger::ItemRecord)| (collection, record.meta.id);
        assert_eq!(
            ledger
                .failed(self.mailbox)
                .map(|item| ids(item.unwrap()))
                .collect::<Vec<_>>(),
            failed
        );
        assert_eq!(
            ledger
                .oversize(self.mailbox)
                .map(|item| ids(item.unwrap()))
                .collect::<Vec<_>>(),
            oversize
        );
        for seed in 0..4u8 {
            let exact = print(seed).exact;
            let got: BTreeSet<_> = ledger
                .orphans(self.mailbox, &exact)
                .unwrap()
                .into_iter()
                .map(ids)
                .collect();
            let orphan = |entry: &Entry| {
                entry.is_placed() && !entry.live && entry.print.is_some_and(|print| print.exact == exact)
            };
            let expected = model.entries.iter().filter(|(_, entry)| orphan(entry));
            assert_eq!(
                got,
                expected
                    .map(|(key, _)| (self.collections[key.0], key.1.clone()))
                    .collect()
            );
        }
        for at in 0..5u8 {
            let own = place(at, false);
            let there = |entry: &Entry| {
                matches!(&entry.fate, Fate::Placed { mailbox: None, id: Some(id), .. } if *id == at.to_string())
                    || entry.copies.contains(&own)
            };
            let foreign = place(at, true);
            let guest = |entry: &&Entry| {
                matches!(&entry.fate, Fate::Placed { mailbox: Some(_), id: Some(id), .. } if *id == at.to_string())
                    || entry.copies.contains(&foreign)
            };
            assert_eq!(
                ledger.occupied(OTHER, "out", &at.to_string()).unwrap(),
                model.entries.values().any(|entry| guest(&entry))
            );
            let expected: Vec<_> = model.entries.iter().filter(|(_, entry)| there(entry)).collect();
            match ledger.placed(self.mailbox, "out", &at.to_string()).unwrap() {
                Some((collection, id)) => {
                    assert!(
                        expected
                            .iter()
                            .any(|(key, _)| (self.collections[key.0], &key.1) == (collection, &id))
                    );
                }
                None => assert!(expected.is_empty()),
            }
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    let outcome = prop_oneof![
        Just(Outcome::Created),
        Just(Outcome::MergedWithExisting),
        Just(Outcome::Replaced)
    ];
    prop_oneof![
        1 => Just(Fate::Pending),
        12 => (proptest::option::of(0..5u8), outcome, proptest::bool::weighted(0.2)).prop_map(|(id, outcome, foreign)| {
            let id = id.map(|id| id.to_string());
            Fate::Placed { mailbox: foreign.then_some(OTHER), collection: "out".to_owned(), id, revision: Some("r".to_owned()), outcome }
        }),
        2 => Just(Fate::Filtered { reason: "rule".to_owned() }),
        3 => Just(Fate::Oversize { limit: 9 }),
        4 => Just(Fate::Failed { failure: Failure::GenerationChanged, diagnosis: Some("nul".to_owned()), quarantine: None }),
        1 => Just(Fate::Gone),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let (c, i, v) = (0..2usize, 0..IDS, 0..12u8);
    let seed = || proptest::option::of(0..4u8);
    prop_oneof![
        8 => (c.clone(), i.clone(), v.clone()).prop_map(|(c, i, v)| Op::Found(c, i, v)),
        2 => (c.clone(), i.clone(), v.clone()).prop_map(|(c, i, v)| Op::Remark(c, i, v)),
        2 => (c.clone(), i.clone(), v.clone()).prop_map(|(c, i, v)| Op::Altered(c, i, v)),
        2 => (c.clone(), i.clone(), v.clone(), fate(), seed()).prop_map(|(c, i, v, fate, seed)| Op::Replaced(c, i, v, fate, seed)),
        1 => (c.clone(), i.clone()).prop_map(|(c, i)| Op::Marked(c, i)),
        1 => (c.clone(), i.clone(), v.clone()).prop_map(|(c, i, v)| Op::MarkedAs(c, i, v)),
        5 => (c.clone(), i.clone(), fate(), seed()).prop_map(|(c, i, fate, seed)| Op::Settle(c, i, fate, seed)),
        3 => (c.clone(), i.clone(), v.clone(), fate(), seed()).prop_map(|(c, i, v, fate, seed)| Op::SettleAs(c, i, v, fate, seed)),
        2 => (c.clone(), i.clone(), proptest::option::of(0..3u8)).prop_map(|(c, i, seed)| Op::Rule(c, i, seed)),
        2 => (c.clone(), i.clone(), 0..5u8, any::<bool>()).prop_map(|(c, i, at, foreign)| Op::Copied(c, i, at, foreign)),
        1 => (c.clone(), i.clone()).prop_map(|(c, i)| Op::Requeue(c, i)),
        3 => (c.clone(), i.clone()).prop_map(|(c, i)| Op::Vanished(c, i)),
        2 => (c.clone(), i, 0..9usize, v, fate()).prop_map(|(c, i, which, v, fate)| Op::Adopt(c, i, which, v, fate)),
        1 => (c.clone(), 0..IDS).prop_map(|(c, i)| Op::Forget(c, i)),
        1 => (c, proptest::option::of(".{0,20}")).prop_map(|(c, cursor)| Op::Cursor(c, cursor)),
        1 => any::<f64>().prop_map(Op::Event),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (proptest::collection::vec(op(), 1..4), any::<bool>()).prop_map(|(ops, flush)| Step::Batch(ops, flush)),
        2 => (0..2usize).prop_map(Step::Void),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut subject, mut model) = (Subject::new(), Model::default());
        for step in &steps {
            subject.run(step, &mut model);
            subject.check(&model);
        }
        let written = export(subject.ledger());
        let copy = tempfile::tempdir().unwrap();
        Ledger::import(copy.path(), &mut written.as_bytes()).unwrap();
        let ledger = Ledger::open(copy.path(), CREATE).unwrap();
        prop_assert_eq!(export(&ledger), written);
        prop_assert_eq!(ledger.audit().unwrap(), Vec::<String>::new());
        // The copy goes on where the original stopped.
        subject.ledger = Some(ledger);
        subject.run(&Step::Void(0), &mut model);
        subject.run(&Step::Batch(vec![Op::Found(0, 1, 1), Op::Event(0.5)], true), &mut model);
        subject.check(&model);
    }
}

#[test]
fn intents_are_open_until_they_are_closed() {
    let subject = Subject::new();
    let (ledger, mailbox) = (subject.ledger(), subject.mailbox);
    let intent = |name: &str| whimbrel_ledger::Intent {
        mailbox: None,
        target: name.to_owned(),
        watermark: "w".to_owned(),
        items: vec![whimbrel_ledger::IntentItem {
            collection: subject.collections[0],
            id: "1".to_owned(),
            fingerprint: print(1),
            put: Some(print(2)),
            copy: true,
            orphan: Some((subject.collections[1], "9".to_owned())),
            repairs: Vec::new(),
        }],
    };
    let mut batch = ledger.batch(mailbox);
    let (first, second) = (batch.open_intent(&intent("a")), batch.open_intent(&intent("b")));
    batch.close_intent(first);
    ledger.commit(batch, Durability::Flush).unwrap();
    assert_eq!(ledger.intents(mailbox).unwrap(), vec![(second, intent("b"))]);
    let mut batch = ledger.batch(mailbox);
    batch.close_intent(first);
    assert!(
        ledger
            .commit(batch, Durability::Flush)
            .unwrap_err()
            .to_string()
            .contains("open intent")
    );
    let written = export(ledger);
    assert!(written.contains("\"fingerprint\":{\"exact\":\""));
    let copy = tempfile::tempdir().unwrap();
    Ledger::import(copy.path(), &mut written.as_bytes()).unwrap();
    let copied = Ledger::open(copy.path(), CREATE).unwrap();
    assert_eq!(copied.intents(mailbox).unwrap(), vec![(second, intent("b"))]);
    // Numbers of open intents are never given twice.
    assert_eq!(copied.batch(mailbox).open_intent(&intent("c")), IntentId(second.0 + 1));
}
