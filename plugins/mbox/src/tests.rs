//! Whole accounts, in a folder in memory.

mod foreign;
mod written;

use whimbrel_folders::Body;
use whimbrel_folders::memory::{Bytes, MemoryDisk};
use whimbrel_plugin::{Change, Collection, Connector, ItemMeta, Page, Timestamp};

use crate::account::{Account, Choices};
use whimbrel_spool::scan::Format;

type Memory = Account<MemoryDisk>;

fn open_as(disk: &MemoryDisk, format: Option<Format>) -> Memory {
    Account::open(
        disk.clone(),
        Choices {
            format,
            ..Choices::default()
        },
    )
    .unwrap()
}

fn open(disk: &MemoryDisk) -> Memory {
    open_as(disk, None)
}

fn metas(page: &Page) -> Vec<ItemMeta> {
    page.changes
        .iter()
        .map(|change| match change {
            Change::Upserted(meta) | Change::Marked(meta) => meta.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// A whole listing from a cursor on, a new instance for each page, and the cursor behind it.
fn listed(
    disk: &MemoryDisk,
    format: Option<Format>,
    spool: &str,
    cursor: Option<&str>,
    limit: u32,
) -> (Vec<ItemMeta>, String) {
    let (mut found, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let page = open_as(disk, format).changes(spool, cursor.as_deref(), limit).unwrap();
        assert!(page.changes.len() <= limit as usize);
        assert!(
            !page.more || cursor.as_deref() != Some(&page.cursor),
            "the cursor moves"
        );
        found.extend(metas(&page));
        if !page.more {
            return (found, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

/// What is known of every message of a spool, and its content.
fn messages(disk: &MemoryDisk, format: Option<Format>, spool: &str) -> Vec<(ItemMeta, Vec<u8>)> {
    let (metas, _) = listed(disk, format, spool, None, 1000);
    let ids: Vec<String> = metas.iter().map(|meta| meta.id.clone()).collect();
    let fetched = open_as(disk, format).fetch(spool, &ids).unwrap();
    metas
        .into_iter()
        .zip(fetched)
        .map(|(meta, answer)| {
            let (fetched, body) = answer.unwrap();
            assert_eq!(fetched, meta);
            assert_eq!(meta.size, Some(body.size()), "the size that was claimed");
            (meta, body.0.to_vec())
        })
        .collect()
}

/// The content of every message of a spool with these bytes.
fn contents(spool: &[u8], format: Option<Format>) -> Vec<String> {
    let disk = MemoryDisk::default();
    disk.put("x", spool);
    messages(&disk, format, "x")
        .into_iter()
        .map(|(_, body)| String::from_utf8_lossy(&body).into_owned())
        .collect()
}

fn wanted(path: &[&str]) -> Collection {
    Collection::new("", path.iter().copied())
}

fn at(unix: i64) -> Option<Timestamp> {
    Some(Timestamp {
        unix_ms: unix * 1000,
        offset_minutes: 0,
    })
}

#[test]
fn the_description_is_sound() {
    let description = crate::Mbox::describe();
    assert_eq!(description.name, "mbox");
    for schema in [&description.settings_schema, &description.account_schema] {
        let parsed: serde_json::Value = serde_json::from_str(schema).unwrap();
        assert_eq!(parsed["type"], "object");
    }
}
