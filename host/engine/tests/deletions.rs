//! Mirroring deletions: only what was missing twice, only a few, only into the trash, and only before the cutover.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // Tests may panic.

mod support;

use std::time::Duration;

use support::{Bench, Character, Store};
use whimbrel_engine::{Deletions, Mailbox, MailboxReport};
use whimbrel_model::Kind;

/// The cutover, far from now.
const UNTIL: i64 = 4_000_000_000;

fn body(number: usize) -> Vec<u8> {
    format!("Subject: {number}\r\n\r\nbody {number}\r\n").into_bytes()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}

struct World {
    source: Store,
    destination: Store,
    bench: Bench,
    uids: Vec<u32>,
}

impl World {
    /// A hundred messages in INBOX, moved, with deletions mirrored after an hour.
    async fn moved(character: Character) -> Self {
        let destination = Store::new(Character {
            kind: character.kind,
            ..Character::default()
        });
        let source = Store::new(character);
        let uids = (0..100).map(|number| source.add("INBOX", &body(number), &[])).collect();
        let mut bench = Bench::new();
        bench.options.deletions = Some(Deletions {
            until: UNTIL,
            apart: Duration::from_secs(3600),
            max_share: 0.1,
            now: now(),
        });
        let mut world = Self {
            source,
            destination,
            bench,
            uids,
        };
        assert!(world.run().await.complete());
        world
    }

    fn mailbox(&self) -> Mailbox {
        Bench::mailbox(&self.source, &self.destination)
    }

    async fn run(&mut self) -> MailboxReport {
        let mailbox = self.mailbox();
        self.bench.run(&[mailbox]).await.mailboxes.remove(0)
    }

    fn later(&mut self, by: Duration) {
        let deletions = self.bench.options.deletions.as_mut().unwrap();
        deletions.now += i64::try_from(by.as_secs()).unwrap();
    }

    fn delete(&self, messages: std::ops::Range<usize>) {
        for uid in &self.uids[messages] {
            self.source.remove("INBOX", *uid);
        }
    }

    /// How many messages lie in INBOX and in the trash of the destination.
    fn there(&self) -> (usize, usize) {
        let state = self.destination.state();
        let in_folder = |name: &str| state.folders.get(name).map_or(0, |folder| folder.messages.len());
        (in_folder("INBOX"), in_folder("Trash"))
    }
}

/// There is no trash for events: their bytes go to the quarantine first, and what somebody changed stays.
#[tokio::test]
async fn what_has_no_trash_is_kept_before_it_is_removed() {
    let mut world = World::moved(Character {
        kind: Kind::Event,
        ..Character::default()
    })
    .await;
    let theirs = world.destination.state().folder("INBOX").messages[2].uid;
    world
        .destination
        .change("INBOX", theirs, b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
    world.delete(0..5);
    world.run().await;
    world.later(Duration::from_secs(4000));
    let report = world.run().await;
    assert_eq!(report.worked.trashed, 4, "{report:?}");
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.starts_with("1 items that vanished")),
        "{report:?}"
    );
    assert_eq!(world.there(), (96, 0));
    let kept = world.bench.folder.path().join("quarantine/alice");
    let kept: Vec<Vec<u8>> = std::fs::read_dir(kept)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "ics"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    for number in [0, 1, 3, 4] {
        assert!(kept.contains(&body(number)), "{number}");
    }
}

/// Without the trash a message stays where it is: it is not forgotten.
#[tokio::test]
async fn where_the_trash_is_gone_messages_stay() {
    let mut world = World::moved(Character::default()).await;
    for deleted in [0..2, 2..4] {
        world.delete(deleted);
        world.run().await;
        world.later(Duration::from_secs(4000));
        let there = world.there();
        let report = world.run().await;
        if there == (100, 0) {
            assert_eq!(world.there(), (98, 2));
            world.destination.state().folders.remove("Trash");
        } else {
            assert_eq!(report.worked.trashed, 0, "{report:?}");
            assert!(report.notes.iter().any(|note| note.contains("is gone")), "{report:?}");
            assert_eq!(world.there(), (98, 0));
        }
    }
}

#[tokio::test]
async fn what_was_missing_twice_goes_to_the_trash_and_leaves_the_counts() {
    for incremental in [true, false] {
        let mut world = World::moved(Character {
            incremental,
            ..Character::default()
        })
        .await;
        world.delete(0..5);
        // Missing for the first time.
        let report = world.run().await;
        assert_eq!((report.worked.vanished, report.worked.trashed), (5, 0), "{report:?}");
        assert_eq!(world.there(), (100, 0));
        world.later(Duration::from_secs(3500));
        assert_eq!(world.run().await.worked.trashed, 0);

        world.later(Duration::from_secs(200));
        let report = world.run().await;
        assert!(report.complete(), "{report:?}");
        assert_eq!((report.worked.trashed, report.counts.found), (5, 95), "{report:?}");
        assert_eq!(world.there(), (95, 5));
        assert_eq!(world.bench.events("deletions-mirrored").len(), 1);

        let report = world.run().await;
        assert_eq!(report.worked, Default::default(), "{report:?}");
        assert_eq!(world.bench.audit().unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn too_many_at_once_are_refused_and_the_run_is_not_complete() {
    let mut world = World::moved(Character::default()).await;
    world.delete(0..11);
    world.run().await;
    world.later(Duration::from_secs(4000));
    let report = world.run().await;
    assert_eq!(report.problems[0].code, "too-many-deletions", "{report:?}");
    assert!(report.problems[0].text.contains("11 of 100"), "{report:?}");
    assert!(!report.complete());
    assert_eq!(world.there(), (100, 0));
}

#[tokio::test]
async fn after_the_cutover_nothing_is_mirrored() {
    let mut world = World::moved(Character::default()).await;
    world.delete(0..5);
    world.run().await;
    world.bench.options.deletions.as_mut().unwrap().now = UNTIL;
    let report = world.run().await;
    assert!(report.complete(), "{report:?}");
    assert!(report.notes[0].contains("`deletions.until` has passed"), "{report:?}");
    assert_eq!(world.there(), (100, 0));
}

#[tokio::test]
async fn a_listing_that_hides_messages_deletes_nothing() {
    let mut world = World::moved(Character {
        incremental: false,
        ..Character::default()
    })
    .await;
    world.delete(0..2);
    world.run().await;
    // From now on the source lists fewer than it claims.
    world.source.state().character.hides = 3;
    world.later(Duration::from_secs(4000));
    let report = world.run().await;
    assert_eq!(report.worked.trashed, 0, "{report:?}");
    assert_eq!(world.there(), (100, 0));
}

#[tokio::test]
async fn what_came_back_stays() {
    let mut world = World::moved(Character::default()).await;
    let uid = world.uids[7];
    let message = world.source.remove("INBOX", uid);
    world.run().await;
    world.source.add("Kept", &message.bytes, &[]);
    world.later(Duration::from_secs(4000));
    let report = world.run().await;
    assert!(report.complete(), "{report:?}");
    assert_eq!((report.worked.trashed, report.counts.found), (0, 100), "{report:?}");
}

#[tokio::test]
async fn new_ids_for_everything_are_no_deletion() {
    let mut world = World::moved(Character::default()).await;
    world.source.state().folder("INBOX").renumber();
    // What vanished together with the old ids cannot be told from what was renumbered.
    let uids: Vec<u32> = world
        .source
        .state()
        .folder("INBOX")
        .messages
        .iter()
        .map(|it| it.uid)
        .collect();
    world.source.remove("INBOX", uids[0]);
    world.run().await;
    world.later(Duration::from_secs(4000));
    let report = world.run().await;
    assert_eq!(report.worked.trashed, 0, "{report:?}");
    assert_eq!(world.there(), (100, 0));
}

#[tokio::test]
async fn a_run_that_broke_in_the_middle_is_finished_by_the_next() {
    let mut world = World::moved(Character::default()).await;
    world.delete(0..9);
    world.run().await;
    world.later(Duration::from_secs(4000));
    let calls = u32::try_from(world.destination.state().calls).unwrap();
    world.destination.state().breaks = (calls + 3..calls + 40).step_by(4).collect();
    let mut trashed = 0;
    for _ in 0..5 {
        trashed += world.run().await.worked.trashed;
    }
    assert_eq!(trashed, 9);
    assert_eq!(world.there(), (91, 9));
    let report = world.run().await;
    assert_eq!(report.counts.found, 91, "{report:?}");
}

#[tokio::test]
async fn without_the_setting_everything_stays() {
    let mut world = World::moved(Character::default()).await;
    world.bench.options.deletions = None;
    world.delete(0..5);
    world.run().await;
    let report = world.run().await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(world.there(), (100, 0));
}
