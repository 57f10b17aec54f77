//! Accounts that hold several kinds of items, and connectors that share them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // Tests may panic.

mod support;

use std::sync::Arc;

use support::{Bench, Character, Store};
use whimbrel_engine::{Mailbox, OfKinds, Plan, Step, assess, plan};
use whimbrel_model::Kind;

/// Only these kinds of an account.
fn only(store: &Store, kinds: &[Kind]) -> Arc<OfKinds> {
    Arc::new(OfKinds {
        whole: Arc::new(store.clone()),
        kinds: kinds.to_vec(),
    })
}

fn calendar() -> Store {
    let store = Store::new(Character {
        kind: Kind::Event,
        ..Character::default()
    });
    store.add("Work", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", &[]);
    store
}

#[tokio::test]
async fn what_the_destination_does_not_hold_is_told_before_the_run_and_waits() {
    let (source, destination) = (calendar(), Store::default());
    let mailbox = Mailbox::new("alice", Arc::new(source), only(&destination, &[Kind::Message]));
    let mut bench = Bench::new();

    let assessed = assess(&mailbox, &bench.options).await.unwrap();
    assert!(!assessed.collections.iter().any(|collection| collection.held));
    let warning = assessed
        .warnings
        .iter()
        .find(|warning| warning.contains("the kind event"));
    assert!(warning.unwrap().contains("1 in 1 folders"), "{:?}", assessed.warnings);

    let Plan { steps, .. } = plan(None, &mailbox, &bench.options).await.unwrap();
    let unheld = Step::Unheld {
        from: "Work".into(),
        kind: Kind::Event,
        items: Some(1),
    };
    assert_eq!(steps, [unheld]);

    let report = bench.run(&[mailbox]).await;
    let report = &report.mailboxes[0];
    assert_eq!((report.counts.found, report.counts.pending), (1, 1), "{report:?}");
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(report.problems[0].code, "unsupported");
    assert!(!report.complete(), "what waits is not done");
    assert!(destination.contents().is_empty());
}

#[tokio::test]
async fn connectors_that_share_an_account_move_what_is_theirs() {
    let (source, mail, dates) = (calendar(), Store::default(), Store::default());
    let mailboxes = [
        Mailbox::new("alice", only(&source, &[Kind::Message]), Arc::new(mail.clone())),
        Mailbox::new(
            "alice/calendars",
            only(&source, &[Kind::Event]),
            Arc::new(dates.clone()),
        ),
    ];
    let mut bench = Bench::new();
    let report = bench.run(&mailboxes).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(report.total.moved, 1);
    assert!(mail.contents().is_empty());
    assert_eq!(dates.contents().len(), 1);
}
