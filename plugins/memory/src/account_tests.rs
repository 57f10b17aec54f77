//! What is listed, in every way an account can change.

use std::collections::BTreeSet;

use proptest::prelude::*;
use whimbrel_plugin::{Change, Role};

use super::*;

impl Body for Vec<u8> {
    fn share(&self) -> Self {
        self.clone()
    }
    fn size(&self) -> u64 {
        self.len() as u64
    }
}

type Tested = Account<Vec<u8>>;

fn account(change: impl FnOnce(&mut Settings)) -> Tested {
    let mut settings = Settings {
        messages: 25,
        mailboxes: 6,
        ..Settings::default()
    };
    change(&mut settings);
    Account::new(settings)
}

/// All changes up to the end of the listing, the last cursor, and whether the listing was complete.
fn list(account: &Tested, cursor: Option<&str>, limit: u32) -> (Vec<Change>, String, bool) {
    let mut cursor = cursor.map(str::to_owned);
    let mut all = Vec::new();
    let mut complete = None;
    for _ in 0..1000 {
        let page = account.changes("INBOX", cursor.as_deref(), limit).unwrap();
        assert!(page.changes.len() <= limit as usize);
        assert_eq!(*complete.get_or_insert(page.complete), page.complete);
        all.extend(page.changes);
        if !page.more {
            return (all, page.cursor, page.complete);
        }
        assert_ne!(cursor.as_deref(), Some(page.cursor.as_str()));
        cursor = Some(page.cursor);
    }
    panic!("the listing does not end");
}

fn ids(changes: &[Change]) -> Vec<u64> {
    changes.iter().map(|change| change.id().parse().unwrap()).collect()
}

#[test]
fn everything_is_listed_once_and_then_nothing() {
    let account = account(|_| {});
    let (all, cursor, complete) = list(&account, None, 7);
    assert_eq!((ids(&all), complete), ((1..=25).collect(), true));
    assert!(all.iter().all(|change| matches!(change, Change::Upserted(_))));
    let (again, same, _) = list(&account, Some(&cursor), 7);
    assert_eq!((again.len(), same), (0, cursor));
}

#[test]
fn new_mail_and_flags_of_a_later_run_are_listed() {
    let (_, cursor, _) = list(&account(|_| {}), None, 100);
    let later = account(|settings| {
        settings.messages = 27;
        settings.round = 1;
    });
    let (changes, _, complete) = list(&later, Some(&cursor), 2);
    assert!(!complete);
    assert_eq!(ids(&changes), [10, 20, 26, 27]);
    assert!(matches!(changes[0], Change::Marked(_)) && matches!(changes[2], Change::Upserted(_)));
    let (_, cursor, _) = list(&later, None, 100);
    assert_eq!(ids(&list(&account(|_| {}), Some(&cursor), 100).0), [10, 20]);
}

#[test]
fn what_was_removed_is_left_out_of_a_complete_listing() {
    let (_, cursor, _) = list(&account(|_| {}), None, 100);
    let later = account(|settings| settings.removed = vec![3, 99]);
    let (changes, cursor, complete) = list(&later, Some(&cursor), 10);
    assert!(complete && changes.len() == 24 && changes.iter().all(|change| matches!(change, Change::Present(_))));
    assert_eq!(later.collections()[0].items, Some(24));
    assert!(list(&later, Some(&cursor), 10).0.is_empty());
}

#[test]
fn another_generation_voids_cursors() {
    let (_, cursor, _) = list(&account(|_| {}), None, 100);
    let later = account(|settings| settings.generation = "2".to_owned());
    assert_eq!(
        later.changes("INBOX", Some(&cursor), 5).unwrap_err(),
        Failure::GenerationChanged
    );
}

#[test]
fn a_capped_listing_says_so() {
    let account = account(|settings| settings.capped = Some(10));
    let page = account.changes("INBOX", None, 100).unwrap();
    assert_eq!((page.changes.len(), page.complete, page.more), (10, false, false));
    assert!(page.capped.is_some());
    assert_eq!(account.collections()[0].items, Some(25));
}

#[test]
fn what_is_put_is_listed_from_the_watermark_on() {
    let mut account = account(|_| {});
    let before = account.watermark("INBOX").unwrap();
    let meta = ItemMeta::new("x").flags(["\\Seen"]);
    let placement = account.put("INBOX", meta, b"body".to_vec()).unwrap();
    assert_eq!(placement.id.as_deref(), Some("26"));
    let (changes, cursor, _) = list(&account, Some(&before), 100);
    assert_eq!(ids(&changes), [26]);
    assert!(matches!(account.get("INBOX", "26").unwrap().1, Content::Kept(body) if body == b"body"));
    let remark = Remark {
        id: "26".to_owned(),
        flags: vec!["Work".to_owned()],
        labels: Vec::new(),
    };
    account.mark("INBOX", &remark).unwrap();
    account.mark("INBOX", &remark).unwrap();
    let (changes, _, _) = list(&account, Some(&cursor), 100);
    assert!(matches!(&changes[..], [Change::Marked(meta)] if meta.flags == ["Work"]));
}

#[test]
fn what_is_moved_is_there_and_not_here() {
    let mut account = account(|_| {});
    let (_, cursor, _) = list(&account, None, 100);
    account.relocate("INBOX", "5", "Archive").unwrap();
    account.remove("INBOX", "6").unwrap();
    assert!(matches!(account.get("Archive", "26").unwrap().1, Content::Made(0, 5)));
    assert!(matches!(account.get("Trash", "26").unwrap().1, Content::Made(0, 6)));
    assert!(matches!(account.get("INBOX", "5"), Err(Failure::NotFound(_))));
    let (changes, _, complete) = list(&account, Some(&cursor), 100);
    assert!(complete && changes.len() == 23);
    account.remove("Trash", "26").unwrap();
    assert!(account.get("Trash", "26").is_err());
    assert_eq!(account.collections()[0].items, Some(23));
}

#[test]
fn folders_are_found_by_role_first_and_made_with_their_parents() {
    let mut account = account(|_| {});
    let sent = account
        .ensure(&Collection::new("", ["Gesendet"]).role(Some(Role::Sent)))
        .unwrap();
    assert_eq!(sent.path, ["Sent"]);
    let deep = account
        .ensure(&Collection::new("", ["a", "b"]).subscribed(true))
        .unwrap();
    assert!(deep.subscribed);
    assert_eq!(account.ensure(&Collection::new("", ["a", "b"])).unwrap(), deep);
    assert!(account.collections().iter().any(|collection| collection.path == ["a"]));
    assert!(account.ensure(&Collection::new("", Vec::<String>::new())).is_err());
}

#[test]
fn limits_are_kept() {
    let mut account = account(|settings| {
        settings.max_item_bytes = Some(10);
        settings.quota = Some(15);
        settings.without_ids = true;
    });
    assert_eq!(
        account.put("INBOX", ItemMeta::new("x"), vec![0; 11]).unwrap_err(),
        Failure::TooLarge(Some(10))
    );
    assert_eq!(account.put("INBOX", ItemMeta::new("x"), vec![0; 10]).unwrap().id, None);
    assert!(matches!(
        account.put("INBOX", ItemMeta::new("x"), vec![0; 10]),
        Err(Failure::OverQuota(_))
    ));
    assert_eq!(account.free(), Some(5));
}

proptest! {
    #[test]
    fn what_is_known_after_any_changes_is_what_is_there(steps in proptest::collection::vec((0u8..5, 1u64..40), 0..30), limit in 1u32..9) {
        let mut account = account(|settings| settings.messages = 10);
        let mut known = BTreeSet::new();
        let mut cursor: Option<String> = None;
        for (step, number) in steps {
            let id = number.to_string();
            match step {
                0 => { account.put("INBOX", ItemMeta::new("x"), vec![1]).unwrap(); }
                1 => { let _ = account.remove("INBOX", &id); }
                2 => { let _ = account.mark("INBOX", &Remark { id, flags: vec!["a".to_owned()], labels: Vec::new() }); }
                3 => { let _ = account.copy("INBOX", &id, "INBOX"); }
                _ => {
                    let (changes, next, complete) = list(&account, cursor.as_deref(), limit);
                    let listed: BTreeSet<u64> = ids(&changes).into_iter().collect();
                    prop_assert_eq!(listed.len(), changes.len());
                    if complete { known = listed } else { known.extend(listed) }
                    cursor = Some(next);
                }
            }
        }
        let (changes, _, complete) = list(&account, cursor.as_deref(), limit);
        let listed: BTreeSet<u64> = ids(&changes).into_iter().collect();
        if complete { known = listed } else { known.extend(listed) }
        let there: BTreeSet<u64> = ids(&list(&account, None, 1000).0).into_iter().collect();
        prop_assert_eq!(known, there);
    }

    #[test]
    fn no_cursor_makes_it_panic(cursor in "(1:)?[0-9a-z,:]{0,30}", limit: u32) {
        let _ = account(|_| {}).changes("INBOX", Some(&cursor), limit);
    }
}
