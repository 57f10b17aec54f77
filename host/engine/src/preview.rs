//! What rules would do to the messages of a mailbox. Reads the source; changes nothing, and records nothing.

use std::sync::Arc;

use whimbrel_model::{Change, Collection, Failure, ItemMeta, display_path};
use whimbrel_rules::{
    FolderFacts, MessageFacts, Rules,
    compare::{Effect, effect, effect_by_facts},
};
use whimbrel_sandbox::Item;

use crate::{
    Mailbox, Options, Stop,
    connector::Source,
    context::UNKNOWN_SIZE,
    rules::{BlobContent, facts, seen},
};

/// Changes asked for at once.
const PAGE: u32 = 2000;
/// Messages read at once.
const MOST_AT_ONCE: usize = 200;
/// Bytes read at once, unless one message alone has more.
const MOST_BYTES: u64 = 16 << 20;

/// Which messages are looked at.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Those of this folder and of the folders below it, as a path joined by `/`, in any case. None: of all folders that
    /// the settings do not exclude.
    pub folder: Option<String>,
    /// The one with this id. None: all.
    pub id: Option<String>,
    /// So many of each folder at most, the first of its listing. None: all.
    pub most: Option<u64>,
}

impl Scope {
    fn holds(&self, path: &[String]) -> bool {
        let Some(wanted) = &self.folder else { return true };
        let (path, wanted) = (display_path(path).to_lowercase(), wanted.to_lowercase());
        path == wanted || path.strip_prefix(&wanted).is_some_and(|below| below.starts_with('/'))
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Previewed {
    /// Folders.
    pub folders: u64,
    /// Messages.
    pub messages: u64,
    /// Messages that could not be read; they are not among the others.
    pub unread: u64,
}

/// Shows what each of some versions of the rules would do to the messages of a mailbox: `each` gets one effect a version,
/// in their order, for every message. Stops between two batches where `stop` says so.
///
/// # Errors
///
/// The source failed as a whole.
pub async fn preview(
    mailbox: &Mailbox,
    options: &Options,
    versions: &[Arc<Rules>],
    scope: &Scope,
    stop: &Stop,
    each: &mut (dyn FnMut(Vec<Effect>) + Send),
) -> Result<Previewed, Failure> {
    let owner = Arc::new(mailbox.facts());
    let mut source = mailbox.source.source().await?;
    let mut out = Previewed::default();
    for collection in source.collections().await? {
        if !collection.selectable || options.folders.excludes(&collection.path) || !scope.holds(&collection.path) {
            continue;
        }
        out.folders += 1;
        let mut look = Look {
            source: source.as_mut(),
            folder: facts(&owner, &collection),
            collection: &collection,
            versions,
            out: &mut out,
            each: &mut *each,
        };
        look.over(scope, stop).await?;
    }
    Ok(out)
}

/// A look at one folder.
struct Look<'a> {
    source: &'a mut dyn Source,
    folder: Arc<FolderFacts>,
    collection: &'a Collection,
    versions: &'a [Arc<Rules>],
    out: &'a mut Previewed,
    each: &'a mut (dyn FnMut(Vec<Effect>) + Send),
}

impl Look<'_> {
    async fn over(&mut self, scope: &Scope, stop: &Stop) -> Result<(), Failure> {
        let mut left = scope.most.unwrap_or(u64::MAX);
        let mut cursor: Option<String> = None;
        loop {
            let page = self
                .source
                .changes(&self.collection.id, cursor.as_deref(), PAGE)
                .await?;
            let (mut batch, mut bytes) = (Vec::new(), 0);
            for change in page.changes {
                let (Change::Upserted(meta) | Change::Marked(meta)) = change else {
                    continue;
                };
                if left == 0 || stop.stopped() {
                    break;
                }
                if scope.id.as_ref().is_some_and(|id| *id != meta.id) {
                    continue;
                }
                left -= 1;
                if let Some(effects) = self.by_listing(&meta) {
                    self.tell(effects);
                    continue;
                }
                let size = meta.size.unwrap_or(UNKNOWN_SIZE);
                if !batch.is_empty() && (batch.len() >= MOST_AT_ONCE || bytes + size > MOST_BYTES) {
                    self.by_content(std::mem::take(&mut batch)).await?;
                    bytes = 0;
                }
                bytes += size;
                batch.push(meta);
            }
            if !batch.is_empty() {
                self.by_content(batch).await?;
            }
            if !page.more || left == 0 || stop.stopped() {
                return Ok(());
            }
            cursor = Some(page.cursor);
        }
    }

    /// What the versions do, where none of them needs the content.
    fn by_listing(&self, meta: &ItemMeta) -> Option<Vec<Effect>> {
        let facts = MessageFacts {
            folder: self.folder.clone(),
            meta: Arc::new(meta.clone()),
        };
        let versions = self.versions.iter();
        versions.map(|rules| effect_by_facts(rules, &facts)).collect()
    }

    async fn by_content(&mut self, batch: Vec<ItemMeta>) -> Result<(), Failure> {
        let ids: Vec<String> = batch.iter().map(|meta| meta.id.clone()).collect();
        let answers = self.source.fetch(&self.collection.id, &ids).await?;
        let read: Vec<(ItemMeta, Item)> = batch
            .into_iter()
            .zip(answers)
            .filter_map(|(meta, answer)| Some((meta, answer.ok()?)))
            .collect();
        self.out.unread += (ids.len() - read.len()) as u64;
        let (folder, versions) = (self.folder.clone(), self.versions.to_vec());
        let looked = tokio::task::spawn_blocking(move || {
            let effects = |(meta, item): (ItemMeta, Item)| {
                let facts = MessageFacts {
                    folder: folder.clone(),
                    meta: Arc::new(seen(&meta, &item)),
                };
                let content = Arc::new(BlobContent(item.content));
                let versions = versions.iter();
                versions.map(|rules| effect(rules, &facts, content.clone())).collect()
            };
            read.into_iter().map(effects).collect::<Vec<Vec<Effect>>>()
        });
        match looked.await {
            Ok(looked) => looked.into_iter().for_each(|effects| self.tell(effects)),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
        Ok(())
    }

    fn tell(&mut self, effects: Vec<Effect>) {
        self.out.messages += 1;
        (self.each)(effects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_itself_and_what_lies_below() {
        let scope = Scope {
            folder: Some("Archive/2019".into()),
            ..Scope::default()
        };
        let holds = |path: &[&str]| scope.holds(&path.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert!(holds(&["archive", "2019"]) && holds(&["Archive", "2019", "May"]));
        assert!(!holds(&["Archive"]) && !holds(&["Archive", "20190"]) && !holds(&["2019"]));
    }
}
