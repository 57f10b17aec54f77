//! The account against the stand-in, without a component.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use telepost::source::Account;
use whimbrel_plugin::testing::{self, Here, Host, StandIn};
use whimbrel_plugin::{Change, Failure, Settings, Source};

fn stand_in() -> StandIn {
    let command = ["cargo", "run", "--quiet", "--example", "stand_in"];
    StandIn::start(Path::new(env!("CARGO_MANIFEST_DIR")), &command).unwrap()
}

fn open(stand_in: &StandIn, password: &str) -> (Account, Here) {
    let here = Host::new().login("alice", password).enter();
    let settings = json!({ "host": "127.0.0.1", "port": stand_in.ready("port"), "tls": "insecure", "user": "alice" });
    (Account::open(&Settings::new(settings.to_string())).unwrap(), here)
}

/// All changes after a cursor, in pages of so many, and the last cursor.
fn listing(account: &mut Account, id: &str, cursor: Option<&str>, limit: u32) -> (Vec<Change>, String) {
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
fn all_that_is_there_is_read_byte_for_byte() {
    let mut stand_in = stand_in();
    let (mut account, _here) = open(&stand_in, "Sesame-7341");
    let known = stand_in.ask(&json!({ "do": "content" })).unwrap();
    let known: BTreeMap<String, Vec<String>> = known["collections"].as_array().unwrap().iter().map(known_box).collect();
    let mut read = BTreeMap::new();
    for collection in account.collections().unwrap() {
        let (changes, _) = listing(&mut account, &collection.id, None, 7);
        let ids: Vec<String> = changes.iter().map(|change| change.id().to_owned()).collect();
        let items = account
            .fetch(&collection.id, &ids)
            .unwrap()
            .into_iter()
            .map(Result::unwrap);
        let contents = items
            .map(|item| BASE64_STANDARD.encode(testing::bytes(&item.content)))
            .collect();
        read.insert(json!(collection.path).to_string(), contents);
    }
    assert_eq!(read, known);
}

fn known_box(one: &Value) -> (String, Vec<String>) {
    let items = one["items"].as_array().unwrap().iter();
    (
        one["path"].to_string(),
        items.map(|item| item["content"].as_str().unwrap().to_owned()).collect(),
    )
}

#[test]
fn changes_are_told_and_ids_become_void() {
    let mut stand_in = stand_in();
    let (mut account, _here) = open(&stand_in, "Sesame-7341");
    let inbox = account.collections().unwrap().remove(0);
    let (changes, cursor) = listing(&mut account, &inbox.id, None, 100);
    let known = stand_in.ask(&json!({ "do": "content" })).unwrap();
    let content = |at: usize| known["collections"][0]["items"][at]["content"].clone();
    let told = json!({ "id": inbox.id });
    for request in [
        json!({ "do": "mark", "collection": told, "content": content(1), "flags": ["\\Flagged"] }),
        json!({ "do": "remove", "collection": told, "content": content(2) }),
        json!({ "do": "add", "collection": told, "content": BASE64_STANDARD.encode("Subject: new\r\n\r\n") }),
    ] {
        stand_in.ask(&request).unwrap();
    }
    let (news, _) = listing(&mut account, &inbox.id, Some(&cursor), 1);
    let [Change::Marked(marked), Change::Vanished(gone), Change::Upserted(_)] = &news[..] else {
        panic!("{news:?}");
    };
    assert_eq!(
        (marked.id.as_str(), marked.flags.as_slice()),
        (changes[1].id(), &["\\Flagged".to_owned()][..])
    );
    let asked = [
        changes[0].id().to_owned(),
        gone.clone(),
        "x".to_owned(),
        changes[3].id().to_owned(),
    ];
    let fetched = account.fetch(&inbox.id, &asked).unwrap();
    assert!(matches!(
        &fetched[..],
        [Ok(_), Err(Failure::NotFound(_)), Err(Failure::NotFound(_)), Ok(_)]
    ));
    stand_in.ask(&json!({ "do": "renumber", "collection": told })).unwrap();
    assert_eq!(
        account.changes(&inbox.id, Some(&cursor), 10),
        Err(Failure::GenerationChanged)
    );
}

#[test]
fn trouble_is_told_and_the_next_call_goes_on() {
    let mut stand_in = stand_in();
    let (mut account, _here) = open(&stand_in, "Sesame-7341");
    let inbox = account.collections().unwrap().remove(0);
    stand_in.ask(&json!({ "do": "throttle", "seconds": 7 })).unwrap();
    assert!(matches!(
        account.changes(&inbox.id, None, 10),
        Err(Failure::Throttled((Some(7000), _)))
    ));
    stand_in.ask(&json!({ "do": "cut" })).unwrap();
    assert!(matches!(
        account.changes(&inbox.id, None, 10),
        Err(Failure::Unavailable(_))
    ));
    assert_eq!(account.changes(&inbox.id, None, 10).unwrap().changes.len(), 10);
    assert!(matches!(account.changes("b9", None, 10), Err(Failure::NotFound(_))));
    assert!(matches!(
        account.changes("b0 0 1\r\nGET", None, 10),
        Err(Failure::NotFound(_))
    ));
}

#[test]
fn a_wrong_password_and_wrong_settings_are_refused() {
    let stand_in = stand_in();
    let (mut account, _here) = open(&stand_in, "wrong");
    assert!(matches!(account.collections(), Err(Failure::Unauthenticated(_))));
    for settings in ["{}", r#"{"host":"127.0.0.1","user":"alice","tls":"starttls"}"#] {
        assert!(
            matches!(
                Account::open(&Settings::new(settings)),
                Err(Failure::InvalidSettings(_))
            ),
            "{settings}"
        );
    }
}
