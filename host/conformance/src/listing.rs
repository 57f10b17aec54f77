//! Collections and their listings.

use std::collections::{BTreeMap, HashMap, HashSet};

use whimbrel_model::{Change, Collection, Failure, ItemMeta, Kind, Page, flags};
use whimbrel_sandbox::{Destination, Source};

use crate::suite::{Case, During, Stop, Suite, Verdict, case, check, need};
use crate::{Content, Known};

/// The cases of this theme.
pub const CASES: &[Case] = &[
    case!("collections/order", order, "parents come before their children"),
    case!("collections/unique", unique, "ids and paths are well-formed and unique"),
    case!(
        "collections/stable",
        stable,
        "the same collections on every call and in every account"
    ),
    case!("collections/known", known, "all that is known to be there is there"),
    case!(
        "changes/whole",
        whole,
        "a listing without a cursor names every item once"
    ),
    case!(
        "changes/paging",
        paging,
        "small pages name the same items as a large one"
    ),
    case!(
        "changes/resume",
        resume,
        "a listing goes on from the cursor of any page, in an account opened anew"
    ),
    case!(
        "changes/stable",
        same_ids,
        "items have the same ids in every listing and every account, fetched meanwhile or not"
    ),
    case!("changes/repeat", repeat, "the same cursor twice gives the same page"),
    case!(
        "changes/idle",
        idle,
        "where nothing changed, nothing is new and nothing gone"
    ),
    case!(
        "changes/incremental",
        incremental,
        "where nothing changed, a delta costs nothing (incremental)"
    ),
    case!(
        "changes/unknown-collection",
        unknown_collection,
        "a collection that is not there gives not-found"
    ),
];

/// Pages that a listing may take; more are a loop.
const MOST_PAGES: usize = 100_000;

/// Pages in a row that may say nothing, while more is said to wait.
const MOST_SILENT: usize = 200;

/// Whatever can be listed: a source, or a destination that reads what it wrote.
pub trait Listed {
    fn page(
        &mut self,
        collection: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<Page, Failure>> + Send;
}

impl Listed for Source {
    async fn page(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        self.changes(collection, cursor, limit).await
    }
}

impl Listed for Destination {
    async fn page(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        self.changes(collection, cursor, limit).await
    }
}

/// All pages of a listing.
#[derive(Debug, Default)]
pub struct Listing {
    pub upserted: Vec<ItemMeta>,
    pub marked: Vec<ItemMeta>,
    pub present: Vec<String>,
    pub vanished: Vec<String>,
    /// The cursor of each page; the last is where the next delta begins.
    pub cursors: Vec<String>,
    pub complete: bool,
    pub capped: Option<String>,
}

impl Listing {
    /// Where the next delta begins.
    pub fn cursor(&self) -> Option<&str> {
        self.cursors.last().map(String::as_str)
    }

    /// Ids of the items that are there, as far as the listing tells.
    pub fn there(&self) -> HashSet<&str> {
        let metas = self.upserted.iter().chain(&self.marked).map(|meta| meta.id.as_str());
        metas.chain(self.present.iter().map(String::as_str)).collect()
    }

    /// What was not named so by the listing before. An item that can change may be named again with the revision that it
    /// had: that says nothing, and costs the host a look.
    pub fn new_since<'a>(&'a self, before: &Listing, kind: Kind) -> Vec<&'a ItemMeta> {
        let known: HashMap<&str, &str> = before
            .upserted
            .iter()
            .map(|meta| (meta.id.as_str(), meta.revision.as_str()))
            .collect();
        let again = |meta: &ItemMeta| {
            kind != Kind::Message
                && !meta.revision.is_empty()
                && known.get(meta.id.as_str()) == Some(&meta.revision.as_str())
        };
        self.upserted.iter().filter(|meta| !again(meta)).collect()
    }

    fn add(&mut self, page: Page) {
        for change in page.changes {
            match change {
                Change::Upserted(meta) => self.upserted.push(meta),
                Change::Marked(meta) => self.marked.push(meta),
                Change::Present(id) => self.present.push(id),
                Change::Vanished(id) => self.vanished.push(id),
            }
        }
        self.cursors.push(page.cursor);
        self.complete = page.complete;
        self.capped = self.capped.take().or(page.capped);
    }

    fn changes(&self) -> usize {
        self.upserted.len() + self.marked.len() + self.present.len() + self.vanished.len()
    }
}

/// Lists from `cursor` to the end, in pages of `limit`, and checks what holds for every listing.
pub async fn walk(account: &mut impl Listed, collection: &str, cursor: Option<&str>, limit: u32) -> Verdict<Listing> {
    let mut listing = Listing::default();
    let mut at = cursor.map(str::to_owned);
    let mut seen = HashSet::new();
    let mut silent = 0;
    for number in 0..MOST_PAGES {
        let page = account.page(collection, at.as_deref(), limit).await.during("changes")?;
        check!(
            page.changes.len() <= limit as usize,
            "a page of at most {limit} changes holds {}",
            page.changes.len()
        );
        check!(
            !(page.complete && page.capped.is_some()),
            "a page is complete and capped"
        );
        check!(
            number == 0 || page.complete == listing.complete,
            "`complete` changes from page to page of one listing"
        );
        check!(
            !(page.more && at.as_deref() == Some(page.cursor.as_str())),
            "`more` is true but the cursor stands still"
        );
        for change in &page.changes {
            let (Change::Upserted(ItemMeta { id, .. })
            | Change::Marked(ItemMeta { id, .. })
            | Change::Present(id)
            | Change::Vanished(id)) = change;
            check!(seen.insert(id.clone()), "the item {id:?} is named twice in one listing");
        }
        silent = if page.changes.is_empty() { silent + 1 } else { 0 };
        check!(
            silent < MOST_SILENT,
            "the listing never ends: {MOST_SILENT} pages in a row, asked for with limit {limit}, name nothing, and each says \
             that there is more"
        );
        let more = page.more;
        at = Some(page.cursor.clone());
        listing.add(page);
        if !more {
            return Ok(listing);
        }
    }
    Err(Stop::Failed(format!(
        "a listing has not ended after {MOST_PAGES} pages"
    )))
}

/// The collection at the path of a known one.
pub fn find<'a>(collections: &'a [Collection], known: &Known) -> Verdict<&'a Collection> {
    let found = collections.iter().find(|collection| collection.path == known.path);
    found.ok_or_else(|| Stop::Failed(format!("the collection {:?} is not listed", known.path)))
}

/// The known collection with the most items, as the connector gives it.
pub async fn largest(source: &mut Source, content: &Content) -> Verdict<Collection> {
    let known = content.iter().max_by_key(|known| known.items.len());
    let known = known.ok_or_else(|| Stop::Skipped("nothing is known of the source's content".into()))?;
    let collections = source.collections().await.during("collections")?;
    find(&collections, known).cloned()
}

async fn order(suite: &mut Suite<'_>) -> Verdict {
    let collections = suite.source().await?.collections().await.during("collections")?;
    for (at, collection) in collections.iter().enumerate() {
        let later = collections[at + 1..]
            .iter()
            .find(|later| later.path.len() < collection.path.len() && collection.path.starts_with(&later.path));
        if let Some(parent) = later {
            return Err(Stop::Failed(format!(
                "{:?} comes before its parent {:?}",
                collection.path, parent.path
            )));
        }
    }
    Ok(())
}

async fn unique(suite: &mut Suite<'_>) -> Verdict {
    let collections = suite.source().await?.collections().await.during("collections")?;
    let (mut ids, mut paths) = (HashSet::new(), HashSet::new());
    for collection in &collections {
        let Collection { id, path, .. } = collection;
        check!(
            !id.is_empty() && id.len() <= 1024,
            "the id of {path:?} has {} bytes",
            id.len()
        );
        check!(
            !path.is_empty() && path.iter().all(|segment| !segment.is_empty()),
            "{path:?} is not a path"
        );
        check!(ids.insert(id), "two collections have the id {id:?}");
        check!(paths.insert(path), "two collections have the path {path:?}");
        let kinds = &suite.plugin.description().kinds;
        check!(
            kinds.contains(&collection.kind),
            "{path:?} is of kind {:?}, which is not declared",
            collection.kind
        );
    }
    Ok(())
}

async fn stable(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let key = |collection: &Collection| {
        (
            collection.id.clone(),
            collection.path.clone(),
            collection.generation.clone(),
        )
    };
    let keys = |collections: Vec<Collection>| collections.iter().map(key).collect::<Vec<_>>();
    let first = keys(source.collections().await.during("collections")?);
    let second = keys(source.collections().await.during("collections")?);
    let anew = keys(suite.source().await?.collections().await.during("collections")?);
    check!(
        first == second,
        "a second call gave other collections, ids, generations or another order"
    );
    check!(
        first == anew,
        "an account opened anew gave other collections, ids, generations or another order"
    );
    Ok(())
}

async fn known(suite: &mut Suite<'_>) -> Verdict {
    let collections = suite.source().await?.collections().await.during("collections")?;
    for known in suite.content()? {
        let collection = find(&collections, known)?;
        check!(
            collection.selectable || known.items.is_empty(),
            "{:?} is said to hold no items",
            known.path
        );
        if known.role.is_some() {
            check!(
                collection.role == known.role,
                "{:?} has the role {:?} and not {:?}",
                known.path,
                collection.role,
                known.role
            );
        }
    }
    Ok(())
}

async fn whole(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collections = source.collections().await.during("collections")?;
    for known in suite.content()? {
        let collection = find(&collections, known)?;
        if !collection.selectable {
            continue;
        }
        let listing = walk(&mut source, &collection.id, None, 1000).await?;
        let (path, count) = (&known.path, listing.upserted.len());
        check!(
            count == known.items.len(),
            "{path:?} holds {} items and {count} are listed",
            known.items.len()
        );
        check!(
            listing.changes() == count,
            "a listing of {path:?} from the beginning says more than what is there"
        );
        check!(
            listing.capped.is_none(),
            "the listing of {path:?} is capped: {}",
            listing.capped.unwrap_or_default()
        );
        if let Some(claimed) = collection.items {
            check!(
                claimed == count as u64,
                "{path:?} is said to hold {claimed} items and {count} are listed"
            );
        }
        listing.upserted.iter().try_for_each(sane)?;
    }
    Ok(())
}

fn sane(meta: &ItemMeta) -> Verdict {
    let id = &meta.id;
    check!(!id.is_empty() && id.len() <= 1024, "an id of {} bytes", id.len());
    check!(
        !meta.flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Recent")),
        "the item {id:?} bears \\Recent"
    );
    let normal = flags::normalise(&meta.flags);
    check!(
        normal.len() == meta.flags.len(),
        "the flags of {id:?} name one twice, or an empty one: {:?}",
        meta.flags
    );
    check!(
        meta.identity.as_deref() != Some(""),
        "the identity of {id:?} is empty: leave it out"
    );
    Ok(())
}

async fn paging(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let large = walk(&mut source, &collection.id, None, 10_000).await?;
    need!(large.upserted.len() > 1, "no collection holds two items");
    let by_id = |listing: &Listing| {
        let metas = listing.upserted.iter().map(|meta| (meta.id.clone(), meta.clone()));
        metas.collect::<BTreeMap<String, ItemMeta>>()
    };
    for limit in [1, 2, 3, 7, 1000] {
        let small = walk(&mut source, &collection.id, None, limit).await?;
        check!(
            by_id(&small) == by_id(&large),
            "pages of {limit} name other items, or otherwise, than one page of all"
        );
        check!(
            small.complete == large.complete,
            "pages of {limit} differ in `complete`"
        );
    }
    Ok(())
}

async fn resume(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let pages = walk(&mut source, &collection.id, None, 2).await?;
    need!(
        pages.cursors.len() > 1,
        "no collection holds more than a page of two items"
    );
    for (at, cursor) in pages.cursors.iter().enumerate().take(pages.cursors.len() - 1).take(5) {
        let mut anew = suite.source().await?;
        let rest = walk(&mut anew, &collection.id, Some(cursor), 3).await?;
        let before: HashSet<&str> = pages
            .upserted
            .iter()
            .take(2 * (at + 1))
            .map(|meta| meta.id.as_str())
            .collect();
        let all = pages.there();
        let missing = all
            .iter()
            .find(|id| !before.contains(*id) && !rest.there().contains(*id));
        check!(
            missing.is_none(),
            "from the cursor of page {} on, {missing:?} is not listed any more",
            at + 1
        );
        let doubled = rest.upserted.iter().find(|meta| before.contains(meta.id.as_str()));
        check!(
            doubled.is_none(),
            "from the cursor of page {} on, what that page named is new again",
            at + 1
        );
    }
    Ok(())
}

async fn same_ids(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let ids = |listing: Listing| listing.upserted.into_iter().map(|meta| meta.id).collect::<Vec<_>>();
    let first = ids(walk(&mut source, &collection.id, None, 1000).await?);
    let some: Vec<String> = first.iter().take(3).cloned().collect();
    source.fetch(&collection.id, &some).await.during("fetch")?;
    let mut anew = suite.source().await?;
    for (account, which) in [(&mut source, "after a fetch"), (&mut anew, "in an account opened anew")] {
        let mut again: HashSet<String> = ids(walk(account, &collection.id, None, 1000).await?)
            .into_iter()
            .collect();
        let gone = first.iter().find(|id| !again.remove(*id));
        check!(
            gone.is_none() && again.is_empty(),
            "a second listing, {which}, gives other ids: {gone:?} is not among them, and {} others are",
            again.len()
        );
    }
    Ok(())
}

async fn repeat(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let first = source.changes(&collection.id, None, 2).await.during("changes")?;
    let mut cursors = vec![None, Some(first.cursor)];
    cursors.push(walk(&mut source, &collection.id, None, 1000).await?.cursors.pop());
    for cursor in cursors {
        let once = source
            .changes(&collection.id, cursor.as_deref(), 2)
            .await
            .during("changes")?;
        let twice = source
            .changes(&collection.id, cursor.as_deref(), 2)
            .await
            .during("changes")?;
        let same = once.changes == twice.changes && once.more == twice.more && once.complete == twice.complete;
        check!(same, "the same call with the same cursor gave another page");
    }
    Ok(())
}

async fn idle(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collections = source.collections().await.during("collections")?;
    for known in &suite.content()?.clone() {
        let collection = find(&collections, known)?;
        if !collection.selectable {
            continue;
        }
        let listing = walk(&mut source, &collection.id, None, 1000).await?;
        let delta = walk(&mut suite.source().await?, &collection.id, listing.cursor(), 1000).await?;
        let path = &known.path;
        check!(
            delta.upserted.is_empty(),
            "nothing changed, but {} items of {path:?} are new",
            delta.upserted.len()
        );
        check!(
            delta.vanished.is_empty(),
            "nothing changed, but {} items of {path:?} are gone",
            delta.vanished.len()
        );
        let silent = listing
            .upserted
            .iter()
            .find(|meta| !delta.there().contains(meta.id.as_str()));
        check!(
            !delta.complete || silent.is_none(),
            "nothing changed, but a complete delta of {path:?} leaves items out"
        );
        check!(
            delta.complete || delta.capped.is_none(),
            "nothing changed, but the delta of {path:?} is capped"
        );
    }
    Ok(())
}

async fn incremental(suite: &mut Suite<'_>) -> Verdict {
    need!(
        suite.plugin.description().abilities.incremental,
        "`incremental` is not declared"
    );
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let listing = walk(&mut source, &collection.id, None, 1000).await?;
    let delta = walk(&mut source, &collection.id, listing.cursor(), 1000).await?;
    check!(
        delta.marked.is_empty(),
        "nothing changed, but {} items are listed as marked",
        delta.marked.len()
    );
    Ok(())
}

async fn unknown_collection(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collections = source.collections().await.during("collections")?;
    for id in ["no such collection", "../..", "\u{1f426}", "0"] {
        if collections.iter().any(|collection| collection.id == id) {
            continue;
        }
        match source.changes(id, None, 10).await {
            Err(Failure::NotFound(_)) => {}
            // The host's own answer to a path that leads out of a granted folder.
            Err(Failure::Forbidden(_)) if id.contains("..") => {}
            Err(other) => check!(
                false,
                "listing the collection {id:?} gave {:?} and not not-found: {other}",
                other.code()
            ),
            Ok(_) => check!(false, "the collection {id:?}, which is not there, can be listed"),
        }
    }
    let collection = largest(&mut source, suite.content()?).await?;
    source.changes(&collection.id, None, 10).await.during("changes")?;
    Ok(())
}

/// How often each content occurs.
pub fn tally<'a>(contents: impl Iterator<Item = &'a [u8]>) -> HashMap<&'a [u8], usize> {
    let mut tally = HashMap::new();
    for content in contents {
        *tally.entry(content).or_default() += 1;
    }
    tally
}
