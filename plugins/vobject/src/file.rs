//! A file with its index: what is listed of it, and what is fetched.

use whimbrel_folders::lines::Lines;
use whimbrel_folders::{Body, Fetched};
use whimbrel_plugin::{Failure, ItemMeta, Result};

use crate::content;
use crate::form::Form;
use crate::index::Index;
use crate::line::Range;

/// Bytes of an identity that the host takes; a UID may have more.
const IDENTITY: usize = 1024;
/// The name of the attribute that says that an item's bytes are no item, and why: see `docs/contract.md`.
const UNREADABLE: &str = "unreadable";

/// A file of objects.
#[derive(Debug)]
pub struct Objects<B> {
    /// All of it.
    pub body: B,
    /// Where everything lies in it.
    pub index: Index,
}

impl<B: Body> Objects<B> {
    /// Reads it through once. Where the file is a collection, what it says of that is no part of its objects.
    ///
    /// # Errors
    /// `unsupported` where it holds more than can be kept in mind.
    pub fn read(form: Form, body: B, is_collection: bool) -> Result<Self> {
        let mut index = Index::read(form, &body)?;
        index.is_collection = is_collection;
        Ok(Self { body, index })
    }

    /// Its lines, for [`Objects::meta`]: it costs little to go on where they stand.
    pub fn lines(&self) -> Lines<'_, B> {
        content::lines(&self.index, &self.body)
    }

    /// What is known of an item. `place` stands before its name within the file.
    pub fn meta(&self, lines: &mut Lines<B>, place: &str, at: usize) -> ItemMeta {
        let uid = content::uid(&self.index, lines, at);
        let id = format!("{place}{}", self.index.key(at, uid.as_deref()));
        let identity = uid.and_then(|uid| String::from_utf8(uid).ok());
        let meta = ItemMeta::new(id)
            .revision(content::revision(&self.index, &self.body, at))
            .identity(identity.filter(|uid| uid.len() <= IDENTITY));
        match content::range(&self.index, at) {
            Some((from, to)) => meta.size(to - from),
            None => meta,
        }
    }

    /// The item of this name within the file. Where it is no item, its bytes all the same: the host puts them aside.
    ///
    /// # Errors
    /// `not-found` where it is gone.
    pub fn fetch(&self, lines: &mut Lines<B>, place: &str, key: &str) -> Fetched<B> {
        let gone = || Failure::not_found("the object is not in its file any more");
        let at = self.index.of_key(key).ok_or_else(gone)?;
        let content = content::content(&self.index, &self.body, lines, at)?;
        let meta = self.meta(lines, place, at);
        Ok(match self.index.why(at) {
            None => (meta, content),
            Some(why) => {
                let (from, to) = self.index.pieces(at).first().map_or((0, 0), |piece| piece.range);
                let reason = format!("bytes {from} to {to} of the file are no object: {}", why.text());
                (meta.attribute(UNREADABLE, reason), content)
            }
        })
    }

    /// Where the pieces of an item lie.
    pub fn ranges(&self, at: usize) -> Vec<Range> {
        self.index.pieces(at).iter().map(|piece| piece.range).collect()
    }
}
