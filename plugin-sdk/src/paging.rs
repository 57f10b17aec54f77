//! Pages and cursors.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Change, Failure, ItemMeta, Page, Result};

/// Collects the changes of one page up to the limit that the host gave.
#[derive(Debug)]
pub struct Pager {
    changes: Vec<Change>,
    limit: usize,
}

impl Pager {
    /// An empty page that takes `limit` changes, and at least one.
    pub fn new(limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
        Self {
            changes: Vec::with_capacity(limit.min(1024)),
            limit,
        }
    }
    /// How many changes still fit.
    pub fn room(&self) -> usize {
        self.limit - self.changes.len()
    }
    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
    /// How many changes are in it.
    pub fn len(&self) -> usize {
        self.changes.len()
    }
    /// One more change; false, and nothing added, where the page is full.
    pub fn push(&mut self, change: Change) -> bool {
        if self.is_full() {
            return false;
        }
        self.changes.push(change);
        true
    }
    /// A new item, or one whose content changed.
    pub fn upserted(&mut self, meta: ItemMeta) -> bool {
        self.push(Change::Upserted(meta))
    }
    /// A known item whose flags, labels or attributes may have changed.
    pub fn marked(&mut self, meta: ItemMeta) -> bool {
        self.push(Change::Marked(meta))
    }
    /// An item that is still there.
    pub fn present(&mut self, id: impl Into<String>) -> bool {
        self.push(Change::Present(id.into()))
    }
    /// An item that is gone.
    pub fn vanished(&mut self, id: impl Into<String>) -> bool {
        self.push(Change::Vanished(id.into()))
    }
    /// The page, with where to go on, and whether more is waiting right now.
    pub fn page(self, cursor: impl Into<String>, more: bool) -> Page {
        Page::new(self.changes, cursor).more(more)
    }
}

/// The largest cursor that the host takes, in bytes.
pub const MAX_CURSOR_BYTES: usize = 64 * 1024;

/// A position as text: `<version>:<JSON>`. For a cursor with a form of its own, see [`cursor_body`] and [`next_field`].
///
/// # Errors
/// `internal` where it cannot be written or is larger than [`MAX_CURSOR_BYTES`].
pub fn encode_cursor<T: Serialize>(version: u32, position: &T) -> Result<String> {
    let json = serde_json::to_string(position)
        .map_err(|error| Failure::internal(format!("a cursor could not be written: {error}")))?;
    let text = format!("{version}:{json}");
    if text.len() > MAX_CURSOR_BYTES {
        return Err(Failure::internal(format!(
            "a cursor of {} bytes is too large",
            text.len()
        )));
    }
    Ok(text)
}

/// The position that [`encode_cursor`] wrote.
///
/// # Errors
/// `internal` with what is wrong, for a text of another version or of no cursor at all.
pub fn decode_cursor<T: DeserializeOwned>(version: u32, cursor: &str) -> Result<T> {
    let json = cursor_body(version, cursor)?;
    serde_json::from_str(json).map_err(|error| abnormal(cursor, &error))
}

/// What follows `<version>:`.
///
/// # Errors
/// `internal` with what is wrong, for a text of another version or of no cursor at all.
pub fn cursor_body(version: u32, cursor: &str) -> Result<&str> {
    let (found, body) = cursor
        .split_once(':')
        .ok_or_else(|| abnormal(cursor, &"it bears no version"))?;
    match found.parse::<u32>() {
        Ok(found) if found == version => Ok(body),
        Ok(found) => Err(Failure::internal(format!(
            "the cursor is of format {found}, this version of the plugin reads format {version}: \
             use the version that wrote it, or list the collection anew"
        ))),
        Err(_) => Err(abnormal(cursor, &"it bears no version")),
    }
}

/// The next field of a compact cursor whose fields are set apart by one character.
///
/// # Errors
/// `internal` where there is none, or it is no such value.
pub fn next_field<'a, T: FromStr>(fields: &mut impl Iterator<Item = &'a str>, name: &str) -> Result<T> {
    fields
        .next()
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| Failure::internal(format!("the cursor's `{name}` is missing or no such value")))
}

fn abnormal(cursor: &str, what: &dyn fmt::Display) -> Failure {
    let shown: String = cursor.chars().take(40).flat_map(char::escape_default).collect();
    Failure::internal(format!("`{shown}` is no cursor of this plugin: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cursors_come_back() {
        let cursor = encode_cursor(1, &(7u32, "a:b")).unwrap();
        assert_eq!(cursor, r#"1:[7,"a:b"]"#);
        assert_eq!(
            decode_cursor::<(u32, String)>(1, &cursor).unwrap(),
            (7, "a:b".to_owned())
        );
    }

    #[test]
    fn abnormal_cursors_are_told_apart() {
        let text = |cursor: &str| match decode_cursor::<(u32, String)>(1, cursor) {
            Err(Failure::Internal(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(text("2:[]").contains("format 2"));
        assert!(text("").contains("no version"));
        assert!(text("x:y").contains("no version"));
        assert!(text("1:[7]").contains("no cursor of this plugin"));
        assert!(text(&"\u{1F980}".repeat(70_000)).len() < 1000);
    }

    #[test]
    fn too_large_a_cursor_is_refused_where_it_is_made() {
        assert!(encode_cursor(1, &"x".repeat(MAX_CURSOR_BYTES)).is_err());
    }

    #[test]
    fn a_page_takes_no_more_than_its_limit() {
        let mut pager = Pager::new(2);
        assert!(pager.present("1") && pager.vanished("2") && !pager.present("3"));
        assert!(pager.is_full());
        let page = pager.page("c", true);
        assert_eq!((page.changes.len(), page.more, page.complete), (2, true, false));
        assert_eq!(Pager::new(0).room(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(cursor in ".{0,60}") {
            let _ = decode_cursor::<(u32, String)>(1, &cursor);
        }
    }
}
