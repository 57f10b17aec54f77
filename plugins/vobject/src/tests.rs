//! Whole files and accounts, in a folder in memory.

mod accounts;
mod apart;
mod written;

use whimbrel_folders::Body;
use whimbrel_folders::memory::{Bytes, MemoryDisk};
use whimbrel_plugin::{Change, ItemMeta};

use crate::account::Account;
use crate::form::Form;

type Memory = Account<MemoryDisk>;

fn open(disk: &MemoryDisk, form: Form) -> Memory {
    Account::new(disk.clone(), form, None)
}

/// A whole listing from a cursor on, a new instance for each page, and the cursor behind it.
fn listed(disk: &MemoryDisk, form: Form, id: &str, cursor: Option<&str>, limit: u32) -> (Vec<ItemMeta>, String) {
    let (mut found, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let page = open(disk, form).changes(id, cursor.as_deref(), limit).unwrap();
        assert!(page.changes.len() <= limit as usize);
        assert!(
            !page.more || cursor.as_deref() != Some(&page.cursor),
            "the cursor moves"
        );
        found.extend(page.changes.iter().map(|change| match change {
            Change::Upserted(meta) => meta.clone(),
            other => panic!("{other:?}"),
        }));
        if !page.more {
            return (found, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

/// What an item is called, what it holds, and why it is none.
type Read = (String, String, Option<String>);

/// Every item of a collection.
fn items(disk: &MemoryDisk, form: Form, id: &str) -> Vec<Read> {
    let (metas, _) = listed(disk, form, id, None, 1000);
    let ids: Vec<String> = metas.iter().map(|meta| meta.id.clone()).collect();
    let mut account = open(disk, form);
    let fetched = account.fetch(id, &ids).unwrap();
    metas
        .into_iter()
        .zip(fetched)
        .map(|(listed, answer)| {
            let (mut meta, body) = answer.unwrap();
            let why = meta.attributes.pop().map(|(_, reason)| reason);
            assert_eq!(meta, listed);
            assert!(
                meta.size.is_none_or(|size| size == body.size()),
                "the size that was claimed"
            );
            (meta.id, String::from_utf8_lossy(&body.0).into_owned(), why)
        })
        .collect()
}

/// The items of a file with these bytes.
fn of_file(form: Form, bytes: &[u8]) -> Vec<Read> {
    let disk = MemoryDisk::default();
    let name = format!("x{}", form.ending());
    disk.put(&name, bytes);
    items(&disk, form, &name)
}

fn body(text: &str) -> Bytes {
    Bytes::from_bytes(text.as_bytes())
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

fn event(uid: &str, more: &str) -> String {
    crlf(&format!(
        "BEGIN:VEVENT\nUID:{uid}\nDTSTART:20240101T000000Z\n{more}END:VEVENT\n"
    ))
}

fn calendar(inside: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y\r\n{inside}END:VCALENDAR\r\n")
}

fn card(uid: &str, more: &str) -> String {
    crlf(&format!(
        "BEGIN:VCARD\nVERSION:3.0\nUID:{uid}\nFN:{uid}\n{more}END:VCARD\n"
    ))
}
