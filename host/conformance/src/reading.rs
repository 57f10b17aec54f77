//! Fetching items.

use std::collections::HashMap;

use bytes::Bytes;
use whimbrel_model::{Failure, ItemMeta, Timestamp, flags};
use whimbrel_sandbox::{Item, Source};

use crate::listing::{Listing, find, largest, tally, walk};
use crate::suite::{Case, During, Stop, Suite, Verdict, bytes, case, check, need, only, there};
use crate::{KnownItem, samples};

/// The cases of this theme.
pub const CASES: &[Case] = &[
    case!(
        "fetch/content",
        content,
        "every item has exactly the content that it is known to have"
    ),
    case!("fetch/meta", meta, "flags and dates are those that are known"),
    case!("fetch/order", order, "one answer for each id, in the order asked for"),
    case!(
        "fetch/twice",
        twice,
        "the same item twice is the same, in one call and in two"
    ),
    case!(
        "fetch/missing",
        missing,
        "an item that is not there gives not-found, and its neighbours come all the same"
    ),
    case!("fetch/nothing", nothing, "no ids, no answers"),
    case!("reading/untouched", untouched, "reading leaves the source as it was"),
];

/// Items fetched in one call.
const BATCH: usize = 50;

/// Fetches `ids`, all of which have to be there, and reads their bodies.
async fn contents(source: &mut Source, collection: &str, ids: &[String]) -> Verdict<Vec<(Item, Bytes)>> {
    let mut all = Vec::with_capacity(ids.len());
    for batch in ids.chunks(BATCH) {
        let answers = source.fetch(collection, batch).await.during("fetch")?;
        check!(
            answers.len() == batch.len(),
            "`fetch` of {} items gave {} answers",
            batch.len(),
            answers.len()
        );
        for (answer, id) in answers.into_iter().zip(batch) {
            let item = there(answer, id)?;
            let content = bytes(&item.content).await?;
            all.push((item, content));
        }
    }
    Ok(all)
}

fn ids(metas: &[ItemMeta]) -> Vec<String> {
    metas.iter().map(|meta| meta.id.clone()).collect()
}

async fn content(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collections = source.collections().await.during("collections")?;
    for known in suite.content()?.iter().filter(|known| !known.items.is_empty()) {
        let collection = find(&collections, known)?;
        let listing = walk(&mut source, &collection.id, None, 1000).await?;
        let fetched = contents(&mut source, &collection.id, &ids(&listing.upserted)).await?;
        let wanted = tally(known.items.iter().map(|item| &*item.content));
        let there = tally(fetched.iter().map(|(_, content)| &**content));
        for (content, count) in &wanted {
            let found = there.get(content).copied().unwrap_or_default();
            check!(
                found == *count,
                "{:?} holds {count} time(s) a message of {} bytes, and {found} of it came{}",
                known.path,
                content.len(),
                nearest(content, &there),
            );
        }
        check!(
            there.len() == wanted.len(),
            "{:?} gives contents that are not in it",
            known.path
        );
    }
    Ok(())
}

/// A hint at what went wrong: where the content that came is different from what was wanted.
fn nearest(wanted: &[u8], there: &HashMap<&[u8], usize>) -> String {
    let common = |other: &[u8]| other.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let lines = samples::with_crlf(wanted);
    if there.keys().any(|other| samples::with_crlf(other) == lines) {
        return "; one that came differs in its line ends alone".to_owned();
    }
    match there.keys().max_by_key(|other| common(other)) {
        Some(other) if wanted.starts_with(other) => {
            let less = wanted.len() - other.len();
            let noun = if less == 1 { "byte" } else { "bytes" };
            format!("; the most similar has {less} {noun} less: the end is missing")
        }
        Some(other) => format!(
            "; the most similar has {} bytes and differs from byte {} on",
            other.len(),
            common(other)
        ),
        None => String::new(),
    }
}

async fn meta(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collections = source.collections().await.during("collections")?;
    for known in suite.content()?.iter().filter(|known| !known.items.is_empty()) {
        let collection = find(&collections, known)?;
        let listing = walk(&mut source, &collection.id, None, 1000).await?;
        let fetched = contents(&mut source, &collection.id, &ids(&listing.upserted)).await?;
        let listed: HashMap<&str, &ItemMeta> = listing.upserted.iter().map(|meta| (meta.id.as_str(), meta)).collect();
        // Of contents that occur more than once, it is not known which is which.
        let occurrences = tally(known.items.iter().map(|item| &*item.content));
        for (item, content) in &fetched {
            let id = &item.meta.id;
            check!(
                samples::media_type(collection.kind).is_none_or(|wanted| item.media_type == wanted),
                "the item {id:?} is of media type {:?}",
                item.media_type
            );
            let wanted = known.items.iter().find(|wanted| wanted.content == content);
            if let Some(wanted) = wanted.filter(|_| occurrences.get(&**content) == Some(&1)) {
                check_meta(wanted, &item.meta, "`fetch`")?;
                if let Some(meta) = listed.get(id.as_str()) {
                    check_meta(wanted, meta, "`changes`")?;
                }
            }
        }
    }
    Ok(())
}

fn check_meta(wanted: &KnownItem, meta: &ItemMeta, call: &str) -> Verdict {
    let id = &meta.id;
    if let Some(wanted) = &wanted.flags {
        let wrong = flags_apart(wanted, &meta.flags);
        check!(
            wrong.is_empty(),
            "{call} gives {id:?} the flags {:?} and not {wanted:?}: {}",
            meta.flags,
            wrong.join(", ")
        );
    }
    if let Some(wanted) = wanted.received {
        let received = meta.received.map(Timestamp::unix_seconds);
        let apart = received.map_or("no date", |there| dates_apart(wanted, there));
        let wanted = wanted.unix_seconds();
        check!(
            received == Some(wanted),
            "{call} says that {id:?} was received at {received:?} and not at {wanted} s: {apart}"
        );
    }
    Ok(())
}

/// What is wrong with flags, each named.
fn flags_apart(wanted: &[String], given: &[String]) -> Vec<String> {
    let (wanted, given) = (flags::normalise(wanted), flags::normalise(given));
    let same = |flag: &String, other: &String| flag.eq_ignore_ascii_case(other);
    let missing = wanted
        .iter()
        .filter_map(|flag| match given.iter().find(|other| same(flag, other)) {
            None => Some(format!("{flag} is missing")),
            Some(other) if other != flag => Some(format!("{flag} came in another case")),
            Some(_) => None,
        });
    let more = given
        .iter()
        .filter(|flag| !wanted.iter().any(|other| same(flag, other)));
    missing.chain(more.map(|flag| format!("{flag} is too many"))).collect()
}

/// What the difference of two dates looks like.
fn dates_apart(wanted: Timestamp, seconds: i64) -> &'static str {
    let apart = seconds - wanted.unix_seconds();
    let zone = i64::from(wanted.offset_minutes) * 60;
    if apart != 0 && apart.abs() == zone.abs() {
        "it is off by the offset of its zone"
    } else if apart.abs() == 3600 {
        "it is off by one hour, as where summer time is taken for winter time"
    } else if apart % 900 == 0 {
        "it is off by whole quarters of an hour, as another zone would be"
    } else {
        "it is another time"
    }
}

/// An account, its largest collection, and the ids in it: at least `least`.
async fn some(suite: &mut Suite<'_>, least: usize) -> Verdict<(Source, String, Vec<String>)> {
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let listing = walk(&mut source, &collection.id, None, 1000).await?;
    need!(listing.upserted.len() >= least, "no collection holds {least} items");
    Ok((source, collection.id, ids(&listing.upserted)))
}

async fn order(suite: &mut Suite<'_>) -> Verdict {
    let (mut source, collection, ids) = some(suite, 2).await?;
    let ids: Vec<String> = ids.into_iter().take(20).collect();
    let forwards = contents(&mut source, &collection, &ids).await?;
    let mut mixed: Vec<usize> = (0..ids.len()).rev().collect();
    mixed.rotate_left(ids.len() / 3);
    let asked: Vec<String> = mixed.iter().map(|at| ids[*at].clone()).collect();
    let answers = contents(&mut source, &collection, &asked).await?;
    for ((item, content), at) in answers.iter().zip(mixed) {
        check!(
            item.meta.id == ids[at],
            "asked for {:?}, got {:?}",
            ids[at],
            item.meta.id
        );
        check!(
            *content == forwards[at].1,
            "in another order, {:?} has another content",
            ids[at]
        );
    }
    Ok(())
}

async fn twice(suite: &mut Suite<'_>) -> Verdict {
    let (mut source, collection, ids) = some(suite, 1).await?;
    let id = &ids[0];
    let asked = [id.clone(), ids[ids.len() - 1].clone(), id.clone()];
    let first = contents(&mut source, &collection, &asked).await?;
    check!(
        first[0].1 == first[2].1,
        "asked for twice in one call, {id:?} has two contents"
    );
    let second = contents(&mut source, &collection, &asked).await?;
    let same = first
        .iter()
        .zip(&second)
        .all(|(a, b)| a.1 == b.1 && a.0.meta.id == b.0.meta.id && a.0.meta.flags == b.0.meta.flags);
    check!(same, "a second call gives other items");
    Ok(())
}

async fn missing(suite: &mut Suite<'_>) -> Verdict {
    let (mut source, collection, ids) = some(suite, 1).await?;
    for nobody in [
        "no such item",
        "4294967294",
        "../../etc/passwd",
        "\u{1f426}",
        "-1",
        "1:*",
    ] {
        let asked = [ids[0].clone(), nobody.to_owned(), ids[ids.len() - 1].clone()];
        let answers = source.fetch(&collection, &asked).await.during("fetch")?;
        check!(
            answers.len() == 3,
            "`fetch` of 3 items, one of which is missing, gave {} answers",
            answers.len()
        );
        for (answer, id) in answers.into_iter().zip(&asked) {
            match answer {
                Ok(item) if id != nobody => check!(item.meta.id == *id, "asked for {id:?}, got {:?}", item.meta.id),
                Err(Failure::NotFound(_)) if id == nobody => {}
                Ok(_) => check!(false, "the item {id:?}, which is not there, was given"),
                Err(failure) => check!(false, "`fetch` of {asked:?} gave for {id:?}: {failure}"),
            }
        }
        let answer = only(
            source.fetch(&collection, &[nobody.to_owned()]).await.during("fetch")?,
            "fetch",
        )?;
        let right = matches!(answer, Err(Failure::NotFound(_)));
        check!(right, "`fetch` of {nobody:?} alone did not give not-found");
    }
    Ok(())
}

async fn nothing(suite: &mut Suite<'_>) -> Verdict {
    let (mut source, collection, _) = some(suite, 0).await?;
    let answers = source.fetch(&collection, &[]).await.during("fetch")?;
    check!(answers.is_empty(), "`fetch` of nothing gave {} answers", answers.len());
    Ok(())
}

/// Checks that items have the flags that they had before they were read.
async fn unmarked(source: &mut Source, collection: &str, before: &Listing) -> Verdict {
    let after = walk(source, collection, None, 100).await?;
    for meta in &before.upserted {
        let Some(now) = after.upserted.iter().find(|now| now.id == meta.id) else {
            return Err(Stop::Failed(format!(
                "after reading, {:?} is not listed any more",
                meta.id
            )));
        };
        let wrong = flags_apart(&meta.flags, &now.flags);
        check!(
            wrong.is_empty(),
            "after reading, the flags of {:?} are {:?} and not {:?}: {}",
            meta.id,
            now.flags,
            meta.flags,
            wrong.join(", ")
        );
    }
    Ok(())
}

async fn untouched(suite: &mut Suite<'_>) -> Verdict {
    let Some(digest) = &suite.known()?.hooks.digest else {
        return Err(Stop::Unable("no hook `digest` was given".into()));
    };
    let failed = |text| Stop::Failed(format!("the hook `digest` failed: {text}"));
    let before = digest(()).await.map_err(failed)?;
    let mut source = suite.source().await?;
    for collection in source
        .collections()
        .await
        .during("collections")?
        .iter()
        .filter(|it| it.selectable)
    {
        let listing = walk(&mut source, &collection.id, None, 100).await?;
        walk(&mut source, &collection.id, listing.cursor(), 100).await?;
        contents(&mut source, &collection.id, &ids(&listing.upserted)).await?;
        unmarked(&mut source, &collection.id, &listing).await?;
    }
    drop(source);
    let Some(digest) = &suite.known()?.hooks.digest else {
        return Ok(());
    };
    let after = digest(()).await.map_err(failed)?;
    check!(
        before == after,
        "reading changed the source:\nbefore {before}\nafter  {after}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_located() {
        let there = tally([&b"abcX"[..], b"zzz"].into_iter());
        assert_eq!(
            nearest(b"abcd", &there),
            "; the most similar has 4 bytes and differs from byte 3 on"
        );
        assert_eq!(nearest(b"abcd", &HashMap::new()), "");
        let there = tally([&b"a\nb"[..], b"abc"].into_iter());
        assert!(nearest(b"a\r\nb", &there).ends_with("in its line ends alone"));
        assert!(nearest(b"abcd", &there).contains("1 byte less"));
    }

    #[test]
    fn each_wrong_flag_is_named() {
        let flags = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            flags_apart(
                &flags(&["\\Seen", "Work", "NonJunk"]),
                &flags(&["\\seen", "work", "\\Draft"])
            ),
            ["NonJunk is missing", "Work came in another case", "\\Draft is too many"]
        );
    }

    #[test]
    fn dates_tell_why_they_differ() {
        let wanted = Timestamp {
            unix_ms: 1_000_000_000_000,
            offset_minutes: -480,
        };
        let apart = |seconds: i64| dates_apart(wanted, 1_000_000_000 + seconds);
        assert!(apart(28_800).contains("offset of its zone"));
        assert!(apart(-3600).contains("one hour"));
        assert!(apart(7200).contains("quarters"));
        assert!(apart(1).contains("another time"));
    }
}
