//! The account against the stand-in, without a component.

use std::path::Path;

use {{module}}::{destination, source};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use whimbrel_plugin::testing::{self, Here, Host, StandIn};
use whimbrel_plugin::{
    Change, Collection, Destination, Failure, Item, ItemMeta, Settings, Source, Timestamp, blobs,
};

fn stand_in() -> StandIn {
    let command = ["cargo", "run", "--quiet", "--example", "stand_in"];
    StandIn::start(Path::new(env!("CARGO_MANIFEST_DIR")), &command).unwrap()
}

fn login(user: &str) -> Here {
    Host::new().login(user, "Sesame-7341").enter()
}

fn settings(stand_in: &StandIn) -> Settings {
    Settings::new(json!({ "url": stand_in.ready("url") }).to_string())
}

/// All changes after a cursor, in pages of so many, and the last cursor.
fn listing(
    account: &mut source::Account,
    id: &str,
    cursor: Option<&str>,
    limit: u32,
) -> (Vec<Change>, String) {
    let (mut changes, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let page = account.changes(id, cursor.as_deref(), limit).unwrap();
        assert!(page.changes.len() <= limit as usize);
        changes.extend(page.changes);
        if !page.more {
            return (changes, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

#[test]
fn all_that_is_there_is_read() {
    let mut stand_in = stand_in();
    let _here = login("alice");
    let mut account = source::Account::open(&settings(&stand_in)).unwrap();
    let known = stand_in.ask(&json!({ "do": "content" })).unwrap();
    let collections = account.collections().unwrap();
    assert_eq!(
        collections.len(),
        known["collections"].as_array().unwrap().len()
    );
    for collection in collections {
        let (changes, _) = listing(&mut account, &collection.id, None, 10);
        assert_eq!(changes.len() as u64, collection.items.unwrap());
        let ids: Vec<String> = changes
            .iter()
            .map(|change| change.id().to_owned())
            .collect();
        for item in account.fetch(&collection.id, &ids).unwrap() {
            let item = item.unwrap();
            assert_eq!(
                item.meta.size,
                Some(testing::bytes(&item.content).len() as u64)
            );
        }
    }
}

#[test]
fn changes_are_told() {
    let mut stand_in = stand_in();
    let _here = login("alice");
    let mut account = source::Account::open(&settings(&stand_in)).unwrap();
    let inbox = account.collections().unwrap().remove(0);
    let (changes, cursor) = listing(&mut account, &inbox.id, None, 100);
    let mut content = |at: usize| {
        let item = account
            .fetch(&inbox.id, &[changes[at].id().to_owned()])
            .unwrap()
            .remove(0)
            .unwrap();
        BASE64_STANDARD.encode(testing::bytes(&item.content))
    };
    let (first, last) = (content(0), content(changes.len() - 1));
    let told = json!({ "id": inbox.id, "path": inbox.path });
    for request in [
        json!({ "do": "mark", "collection": told, "content": first, "flags": ["\\Flagged"] }),
        json!({ "do": "remove", "collection": told, "content": last }),
        json!({ "do": "add", "collection": told, "content": BASE64_STANDARD.encode("Subject: new\r\n\r\n") }),
    ] {
        stand_in.ask(&request).unwrap();
    }
    let (news, _) = listing(&mut account, &inbox.id, Some(&cursor), 1);
    assert!(
        matches!(
            &news[..],
            [Change::Marked(_), Change::Vanished(_), Change::Upserted(_)]
        ),
        "{news:?}"
    );
    stand_in
        .ask(&json!({ "do": "renumber", "collection": told }))
        .unwrap();
    assert_eq!(
        account.changes(&inbox.id, Some(&cursor), 10),
        Err(Failure::GenerationChanged)
    );
}

#[test]
fn what_is_put_is_read_again() {
    let stand_in = stand_in();
    let _here = login("bob");
    let mut account = destination::Account::open(&settings(&stand_in)).unwrap();
    let id = account
        .ensure(Collection::new("", ["a", "b & ü"]))
        .unwrap()
        .id;
    let watermark = account.watermark(&id).unwrap();
    let received = Timestamp {
        unix_ms: 1_714_557_600_000,
        offset_minutes: 120,
    };
    let item = || {
        let meta = ItemMeta::new("")
            .received(Some(received))
            .flags(["\\Seen", "Work"]);
        Item::message(meta, blobs::blob(b"A: b\r\n\r\n\0"))
    };
    let placed: Vec<String> = account
        .put(&id, vec![item(), item()])
        .unwrap()
        .into_iter()
        .map(|placed| placed.unwrap().id.unwrap())
        .collect();
    let mut reader = source::Account::open(&settings(&stand_in)).unwrap();
    let (news, _) = listing(&mut reader, &id, Some(&watermark), 10);
    assert_eq!(news.iter().map(Change::id).collect::<Vec<_>>(), placed);
    assert!(
        matches!(&news[0], Change::Upserted(meta) if meta.received == Some(received)),
        "{news:?}"
    );
    account
        .remove(&id, &[placed[0].clone(), "nobody".to_owned()])
        .unwrap()
        .into_iter()
        .for_each(Result::unwrap);
    assert!(matches!(
        reader.fetch(&id, &placed[..1]).unwrap()[0],
        Err(Failure::NotFound(_))
    ));
}
