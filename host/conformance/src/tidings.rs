//! What changed at the source behind the connector's back, and how it is reported.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use whimbrel_model::{Collection, Failure, flags};
use whimbrel_sandbox::Source;

use crate::listing::{Listing, largest, walk};
use crate::suite::{Case, During, Stop, Suite, Verdict, bytes, case, check, need, only, there};
use crate::{Add, Mark, Remove, samples};

/// The cases of this theme.
pub const CASES: &[Case] = &[
    case!("delta/new", new, "an item that was added is new, and nothing else is"),
    case!(
        "delta/marked",
        marked,
        "an item whose flags changed is marked with its new flags, and not new"
    ),
    case!(
        "delta/vanished",
        vanished,
        "an item that was removed is gone, and fetching it gives not-found"
    ),
    case!("wait/in-time", in_time, "waiting ends when its time is up"),
    case!("wait/push", push, "waiting ends when an item is added (push)"),
];

/// How often a change is looked for; servers may be slow to show it.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

fn hook_failed(hook: &str) -> impl FnOnce(String) -> Stop {
    move |text| Stop::Failed(format!("the hook `{hook}` of the test failed: {text}"))
}

fn without(hook: &str) -> Stop {
    Stop::Unable(format!("no hook `{hook}` was given"))
}

/// An account, its largest collection, and the listing of it.
async fn before(suite: &mut Suite<'_>) -> Verdict<(Source, Collection, Listing)> {
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let listing = walk(&mut source, &collection.id, None, 1000).await?;
    Ok((source, collection, listing))
}

/// The delta after `listing`, looked for until it says what `seen` wants.
async fn delta(
    suite: &mut Suite<'_>,
    collection: &Collection,
    listing: &Listing,
    seen: impl Fn(&Listing) -> bool,
) -> Verdict<Listing> {
    let mut delta = Listing::default();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            sleep(PAUSE).await;
        }
        // In an account opened anew, as the next run of a migration does.
        delta = walk(&mut suite.source().await?, &collection.id, listing.cursor(), 1000).await?;
        if seen(&delta) {
            break;
        }
    }
    Ok(delta)
}

async fn content_of(source: &mut Source, collection: &Collection, id: &str) -> Verdict<Bytes> {
    let answers = source.fetch(&collection.id, &[id.to_owned()]).await.during("fetch")?;
    let content = bytes(&there(only(answers, "fetch")?, id)?.content).await?;
    Ok(samples::recognised(content))
}

async fn add(suite: &Suite<'_>, collection: &Collection, content: &Bytes) -> Verdict {
    let Some(add) = &suite.known()?.hooks.add else {
        return Err(without("add"));
    };
    add(Add {
        collection: collection.clone(),
        content: content.clone(),
    })
    .await
    .map_err(hook_failed("add"))
}

async fn new(suite: &mut Suite<'_>) -> Verdict {
    if suite.known()?.hooks.add.is_none() {
        return Err(without("add"));
    }
    let (mut source, collection, listing) = before(suite).await?;
    let content = samples::sample(suite.kind(), "conformance delta new");
    add(suite, &collection, &content).await?;
    let kind = collection.kind;
    let is_new = |delta: &Listing| !delta.new_since(&listing, kind).is_empty();
    let delta = delta(suite, &collection, &listing, is_new).await?;
    let new = delta.new_since(&listing, kind);
    let [meta] = new.as_slice() else {
        return Err(Stop::Failed(format!("one item was added and {} are new", new.len())));
    };
    let known = listing.upserted.iter().any(|known| known.id == meta.id);
    check!(
        !known,
        "the new item has the id {:?} of one that was there before",
        meta.id
    );
    check!(
        delta.vanished.is_empty(),
        "an item was added, and {} are gone",
        delta.vanished.len()
    );
    // The account that was open all the time must not be blind to it.
    let fetched = content_of(&mut source, &collection, &meta.id).await?;
    check!(
        fetched == content,
        "the new item came with {} bytes that differ from the {} that were added",
        fetched.len(),
        content.len()
    );
    Ok(())
}

async fn marked(suite: &mut Suite<'_>) -> Verdict {
    if suite.known()?.hooks.mark.is_none() {
        return Err(without("mark"));
    }
    let (mut source, collection, listing) = before(suite).await?;
    let Some(meta) = listing.upserted.first() else {
        return Err(Stop::Skipped("no collection holds an item".into()));
    };
    let content = content_of(&mut source, &collection, &meta.id).await?;
    let mut wanted = meta.flags.clone();
    if wanted.iter().any(|flag| flag == "\\Flagged") {
        wanted.retain(|flag| flag != "\\Flagged");
    } else {
        wanted.push("\\Flagged".to_owned());
    }
    let Some(mark) = &suite.known()?.hooks.mark else {
        return Err(without("mark"));
    };
    let request = Mark {
        collection: collection.clone(),
        id: meta.id.clone(),
        content,
        flags: wanted.clone(),
    };
    mark(request).await.map_err(hook_failed("mark"))?;
    let is_seen = |delta: &Listing| {
        delta
            .marked
            .iter()
            .any(|other| other.id == meta.id && flags::same(&other.flags, &wanted))
    };
    let delta = delta(suite, &collection, &listing, is_seen).await?;
    let new = delta.upserted.len();
    check!(
        new == 0,
        "flags changed and nothing else, but {new} items are new: they would be copied again"
    );
    check!(
        is_seen(&delta),
        "the flags of {:?} are {wanted:?} now, and the delta does not say so",
        meta.id
    );
    check!(
        delta.vanished.is_empty(),
        "flags changed and nothing else, but items are gone"
    );
    Ok(())
}

async fn vanished(suite: &mut Suite<'_>) -> Verdict {
    need!(
        suite.plugin.description().abilities.reports_vanished,
        "`reports-vanished` is not declared"
    );
    if suite.known()?.hooks.remove.is_none() {
        return Err(without("remove"));
    }
    let (mut source, collection, listing) = before(suite).await?;
    let Some(meta) = listing.upserted.last() else {
        return Err(Stop::Skipped("no collection holds an item".into()));
    };
    let (id, content) = (meta.id.clone(), content_of(&mut source, &collection, &meta.id).await?);
    let Some(remove) = &suite.known()?.hooks.remove else {
        return Err(without("remove"));
    };
    let request = Remove {
        collection: collection.clone(),
        id: id.clone(),
        content,
    };
    remove(request).await.map_err(hook_failed("remove"))?;
    let is_gone =
        |delta: &Listing| delta.vanished.contains(&id) || (delta.complete && !delta.there().contains(id.as_str()));
    let delta = delta(suite, &collection, &listing, is_gone).await?;
    check!(is_gone(&delta), "{id:?} was removed, and the delta does not say so");
    let new = delta.new_since(&listing, collection.kind).len();
    check!(new == 0, "an item was removed, and {new} are new");
    let rest = listing.upserted.iter().map(|meta| meta.id.as_str()).find(|other| {
        *other != id
            && (delta.vanished.iter().any(|gone| gone == other) || (delta.complete && !delta.there().contains(other)))
    });
    check!(
        rest.is_none(),
        "{id:?} was removed, and {rest:?} is said to be gone, too"
    );
    for source in [&mut source, &mut suite.source().await?] {
        let answer = only(
            source
                .fetch(&collection.id, std::slice::from_ref(&id))
                .await
                .during("fetch")?,
            "fetch",
        )?;
        check!(
            matches!(answer, Err(Failure::NotFound(_))),
            "fetching {id:?}, which was removed, does not give not-found"
        );
    }
    Ok(())
}

async fn in_time(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let begun = std::time::Instant::now();
    match source.wait(Duration::from_millis(200)).await {
        Ok(_) => {}
        Err(Failure::Unsupported(_)) if !suite.plugin.description().abilities.push => {}
        Err(failure) => check!(false, "`wait` failed: {failure}"),
    }
    let took = begun.elapsed();
    check!(
        took < Duration::from_secs(15),
        "waiting for 200 ms took {} ms",
        took.as_millis()
    );
    source.collections().await.during("collections after wait")?;
    Ok(())
}

async fn push(suite: &mut Suite<'_>) -> Verdict {
    need!(suite.plugin.description().abilities.push, "`push` is not declared");
    if suite.known()?.hooks.add.is_none() {
        return Err(without("add"));
    }
    let (mut source, collection, _) = before(suite).await?;
    let content = samples::sample(suite.kind(), "conformance push");
    let adding = async {
        sleep(Duration::from_millis(500)).await;
        add(suite, &collection, &content).await
    };
    let (changed, added) = tokio::join!(source.wait(Duration::from_secs(30)), adding);
    added?;
    let changed = changed.during("wait")?;
    check!(
        !changed.is_empty(),
        "an item was added, and `wait` ended without a word of it after 30 s"
    );
    Ok(())
}
