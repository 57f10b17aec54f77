//! Listings of a mailbox that lives here, with each set of extensions.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use whimbrel_plugin::Change;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Server {
    Plain,
    Condstore,
    Qresync,
    /// Names far too much as vanished.
    Forgetful,
    /// Shows ten messages at most.
    Capped,
}

#[derive(Debug)]
struct Fake {
    server: Server,
    validity: u32,
    next: u32,
    modseq: u64,
    messages: BTreeMap<u32, (u64, bool)>,
    gone: Vec<(u64, u32)>,
    calls: Vec<&'static str>,
}

impl Fake {
    fn new(server: Server, count: u32) -> Self {
        let mut fake = Self {
            server,
            validity: 9,
            next: 1,
            modseq: 1,
            messages: BTreeMap::new(),
            gone: vec![],
            calls: vec![],
        };
        (0..count).for_each(|_| fake.arrive());
        fake
    }
    fn arrive(&mut self) {
        self.modseq += 1;
        self.messages.insert(self.next, (self.modseq, false));
        self.next += 1;
    }
    fn touch(&mut self, uid: u32) {
        if let Some(message) = self.messages.get_mut(&uid) {
            self.modseq += 1;
            *message = (self.modseq, !message.1);
        }
    }
    fn remove(&mut self, uid: u32) {
        if self.messages.remove(&uid).is_some() {
            self.modseq += 1;
            self.gone.push((self.modseq, uid));
        }
    }
    fn shown(&self) -> Vec<u32> {
        let most = if self.server == Server::Capped { 10 } else { usize::MAX };
        self.messages.keys().copied().take(most).collect()
    }
}

impl Mailbox for Fake {
    fn examine(&mut self) -> Result<Status> {
        self.calls.push("examine");
        Ok(Status {
            messages: self.messages.len() as u64,
            uid_next: self.next,
            uid_validity: self.validity,
            highest_modseq: (self.server != Server::Plain).then_some(self.modseq),
            bytes: None,
            mailbox_id: None,
            append_limit: None,
            permanent_flags: None,
        })
    }
    fn scan(&mut self, from: u32, to: u32, limit: u32, since: Option<u64>) -> Result<Vec<Summary>> {
        self.calls.push("scan");
        let shown = self.shown();
        let found = shown
            .into_iter()
            .filter(|uid| (from..=to).contains(uid))
            .filter_map(|uid| {
                let (modseq, seen) = self.messages[&uid];
                let flags = if seen { vec!["\\Seen".to_owned()] } else { vec![] };
                since.is_none_or(|since| modseq > since).then_some(Summary {
                    uid,
                    modseq: Some(modseq),
                    size: 1,
                    received: None,
                    flags,
                    email_id: None,
                    extra: vec![],
                })
            });
        Ok(found.take(limit as usize).collect())
    }
    fn uids(&mut self) -> Result<Vec<Range>> {
        self.calls.push("uids");
        Ok(ranges::runs(&self.shown(), 0))
    }
    fn vanished(&mut self, since: u64) -> Result<Option<Vec<Range>>> {
        self.calls.push("vanished");
        Ok(match self.server {
            Server::Qresync => {
                let mut gone: Vec<u32> = self
                    .gone
                    .iter()
                    .filter(|(at, _)| *at > since)
                    .map(|(_, uid)| *uid)
                    .collect();
                gone.sort_unstable();
                Some(ranges::runs(&gone, 0))
            }
            Server::Forgetful => Some(vec![(1, u32::MAX)]),
            _ => None,
        })
    }
}

fn ids(changes: &[Change]) -> Vec<u32> {
    changes.iter().map(|change| change.id().parse().unwrap()).collect()
}

/// All changes up to the end, the last cursor, and the last page with none.
fn list(fake: &mut Fake, cursor: Option<&str>, limit: u32) -> (Vec<Change>, String, Page) {
    let mut cursor = cursor.map(str::to_owned);
    let mut kept = Kept::default();
    let mut all = Vec::new();
    let mut complete = None;
    for round in 0..2000 {
        let parsed = cursor.as_deref().map(|cursor| Cursor::parse(cursor).unwrap());
        // Now and then the session is lost between two pages.
        if round % 3 == 2 {
            kept = Kept::default();
        }
        let opened = (round % 2 == 1).then(|| fake.examine().unwrap());
        let page = changes(fake, parsed, opened, limit, &mut kept).unwrap();
        assert!(page.changes.len() <= limit as usize);
        assert_eq!(*complete.get_or_insert(page.complete), page.complete);
        assert!(!(page.complete && page.capped.is_some()));
        all.extend(page.changes.iter().cloned());
        if !page.more {
            return (all, page.cursor.clone(), page);
        }
        assert_ne!(cursor.as_deref(), Some(page.cursor.as_str()));
        cursor = Some(page.cursor);
    }
    panic!("the listing does not end");
}

const HONEST: [Server; 4] = [Server::Plain, Server::Condstore, Server::Qresync, Server::Forgetful];

#[test]
fn everything_is_listed_once_ascending() {
    for server in HONEST {
        let mut fake = Fake::new(server, 25);
        fake.remove(7);
        let (all, _, page) = list(&mut fake, None, 4);
        assert_eq!(ids(&all), (1..=25).filter(|uid| *uid != 7).collect::<Vec<u32>>());
        assert!(page.complete && all.iter().all(|change| matches!(change, Change::Upserted(_))));
    }
    let (all, _, page) = list(&mut Fake::new(Server::Qresync, 0), None, 4);
    assert!(all.is_empty() && page.complete);
}

#[test]
fn an_unchanged_mailbox_costs_one_examine_or_nothing() {
    let mut fake = Fake::new(Server::Condstore, 5);
    let (_, cursor, _) = list(&mut fake, None, 100);
    let parsed = Cursor::parse(&cursor).unwrap();
    assert!(unchanged(&parsed, &fake.examine().unwrap()));
    fake.calls.clear();
    let (none, same, page) = list(&mut fake, Some(&cursor), 100);
    assert_eq!(
        (none.len(), same == cursor, page.complete, fake.calls.as_slice()),
        (0, true, false, &["examine"][..])
    );
    fake.touch(2);
    assert!(!unchanged(&parsed, &fake.examine().unwrap()));
    let mut plain = Fake::new(Server::Plain, 5);
    let (_, cursor, _) = list(&mut plain, None, 100);
    assert!(!unchanged(&Cursor::parse(&cursor).unwrap(), &plain.examine().unwrap()));
}

#[test]
fn only_what_changed_is_listed() {
    for server in [Server::Condstore, Server::Qresync] {
        let mut fake = Fake::new(server, 50);
        let (_, cursor, _) = list(&mut fake, None, 100);
        fake.touch(3);
        fake.arrive();
        let (changed, cursor, page) = list(&mut fake, Some(&cursor), 100);
        assert!(!page.complete);
        assert!(
            matches!(&changed[..], [Change::Marked(old), Change::Upserted(new)] if old.id == "3" && new.id == "51")
        );
        fake.remove(10);
        fake.remove(51);
        fake.arrive();
        let (changed, _, page) = list(&mut fake, Some(&cursor), 7);
        if server == Server::Qresync {
            assert!(!page.complete);
            let expected = [Change::Vanished("10".to_owned()), Change::Vanished("51".to_owned())];
            assert!(matches!(&changed[0], Change::Upserted(new) if new.id == "52"));
            assert_eq!(changed[1..], expected);
        } else {
            assert!(page.complete && changed.len() == 50);
        }
    }
}

#[test]
fn a_server_that_names_too_much_as_vanished_is_not_believed() {
    let mut fake = Fake::new(Server::Forgetful, 20);
    let (_, cursor, _) = list(&mut fake, None, 100);
    fake.remove(4);
    let (changed, _, page) = list(&mut fake, Some(&cursor), 100);
    assert!(page.complete && changed.iter().all(|change| matches!(change, Change::Present(_))));
    assert_eq!(changed.len(), 19);
}

#[test]
fn new_uids_void_cursors() {
    let mut fake = Fake::new(Server::Qresync, 3);
    let (_, cursor, _) = list(&mut fake, None, 100);
    fake.validity = 10;
    let parsed = Cursor::parse(&cursor).unwrap();
    let result = changes(&mut fake, Some(parsed), None, 10, &mut Kept::default());
    assert_eq!(result.unwrap_err(), Failure::GenerationChanged);
}

#[test]
fn fewer_than_claimed_is_said_each_time() {
    for limit in [4, 100] {
        let mut fake = Fake::new(Server::Capped, 25);
        let (all, cursor, page) = list(&mut fake, None, limit);
        assert_eq!(all.len(), 10);
        assert!(!page.complete && page.capped.as_ref().unwrap().contains("25 messages"));
        let (none, cursor, page) = list(&mut fake, Some(&cursor), limit);
        assert!(none.is_empty() && page.capped.is_some());
        fake.touch(3);
        let (changed, _, page) = list(&mut fake, Some(&cursor), limit);
        assert!(changed.len() == 1 && page.capped.is_some());
    }
}

#[test]
fn what_fits_on_one_page_is_asked_for_once() {
    let mut fake = Fake::new(Server::Qresync, 20);
    fake.remove(20);
    let (all, cursor, page) = list(&mut fake, None, 100);
    assert!(all.len() == 19 && page.complete);
    assert_eq!(fake.calls, ["examine", "scan"]);
    fake.calls.clear();
    let (none, _, _) = list(&mut fake, Some(&cursor), 100);
    assert!(none.is_empty());
    assert_eq!(fake.calls, ["examine"]);
    let mut empty = Fake::new(Server::Qresync, 1);
    empty.remove(1);
    let (none, _, page) = list(&mut empty, None, 100);
    assert!(none.is_empty() && page.complete);
    assert_eq!(empty.calls, ["examine"]);
}

#[test]
fn what_comes_after_a_watermark_is_listed_each_time() {
    for server in HONEST {
        let mut fake = Fake::new(server, 5);
        let cursor = watermark(&mut fake).unwrap().text();
        let (none, cursor, _) = list(&mut fake, Some(&cursor), 2);
        assert!(none.is_empty());
        fake.touch(1);
        (0..5).for_each(|_| fake.arrive());
        let (new, _, page) = list(&mut fake, Some(&cursor), 2);
        assert!(!page.complete && page.capped.is_none());
        assert_eq!(ids(&new), [6, 7, 8, 9, 10]);
    }
}

#[test]
fn an_identity_is_taken_where_there_is_one() {
    let mut summary = Fake::new(Server::Plain, 1).scan(1, 1, 1, None).unwrap().remove(0);
    summary.extra = vec![("X-GM-MSGID".to_owned(), "12".to_owned())];
    assert_eq!(meta(summary.clone()).identity.as_deref(), Some("12"));
    summary.email_id = Some("M1".to_owned());
    assert_eq!(meta(summary).identity.as_deref(), Some("M1"));
}

#[derive(Debug, Clone)]
enum Event {
    Arrive,
    Touch(u32),
    Remove(u32),
    List,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Arrive),
        (1u32..40).prop_map(Event::Touch),
        (1u32..40).prop_map(Event::Remove),
        Just(Event::List),
    ]
}

/// What a host knows after a listing: id and flags.
fn learn(known: &mut BTreeMap<u32, bool>, changes: &[Change], complete: bool) {
    let named: BTreeSet<u32> = ids(changes).into_iter().collect();
    assert_eq!(named.len(), changes.len(), "an item is named twice");
    for change in changes {
        let uid: u32 = change.id().parse().unwrap();
        match change {
            Change::Upserted(meta) => assert!(known.insert(uid, !meta.flags.is_empty()).is_none(), "{uid} is not new"),
            Change::Marked(meta) => assert!(known.insert(uid, !meta.flags.is_empty()).is_some(), "{uid} is new"),
            Change::Present(_) => assert!(known.contains_key(&uid)),
            Change::Vanished(_) => assert!(known.remove(&uid).is_some() || !complete),
        }
    }
    if complete {
        known.retain(|uid, _| named.contains(uid));
    }
}

proptest! {
    #[test]
    fn what_is_known_is_what_is_there(server in 0usize..4, events in proptest::collection::vec(event(), 0..60), limit in 1u32..8) {
        let mut fake = Fake::new(HONEST[server], 8);
        let mut known = BTreeMap::new();
        let mut cursor: Option<String> = None;
        for event in events.into_iter().chain([Event::List]) {
            match event {
                Event::Arrive => fake.arrive(),
                Event::Touch(uid) => fake.touch(uid),
                Event::Remove(uid) => fake.remove(uid),
                Event::List => {
                    let (changes, next, page) = list(&mut fake, cursor.as_deref(), limit);
                    learn(&mut known, &changes, page.complete);
                    cursor = Some(next);
                }
            }
        }
        let there: BTreeMap<u32, bool> = fake.messages.iter().map(|(uid, (_, seen))| (*uid, *seen)).collect();
        prop_assert_eq!(known, there);
    }
}
