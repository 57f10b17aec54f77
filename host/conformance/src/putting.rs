//! Writing items, and finding them again after a crash.

use bytes::Bytes;
use whimbrel_model::{Failure, ItemMeta, Kind, Limits, Outcome, Placement, Timestamp, flags};
use whimbrel_sandbox::{Destination, Item};

use crate::listing::walk;
use crate::samples;
use crate::suite::{Case, During, Stop, Suite, Verdict, bytes, case, check, need, only, there};

/// The cases of this theme.
pub const CASES: &[Case] = &[
    case!(
        "put/order",
        order,
        "one answer for each item, in order, and each content where its answer says"
    ),
    case!("put/nothing", nothing, "no items, no answers"),
    case!(
        "put/many",
        many,
        "as many items as the limits allow in one call, or a hundred"
    ),
    case!(
        "put/lasting",
        lasting,
        "what was put is there in an account opened anew"
    ),
    case!(
        "put/ids",
        ids,
        "every placement bears the id by which the item is listed (returns-ids)"
    ),
    case!(
        "put/twice",
        twice,
        "the same message twice is there twice, unless the answer says otherwise"
    ),
    case!(
        "put/received",
        received,
        "the date of reception is kept to the second (keeps-received)"
    ),
    case!(
        "put/flags",
        put_flags,
        "flags and keywords are kept as far as the limits say (keeps-flags)"
    ),
    case!("put/labels", labels, "labels are kept (keeps-labels)"),
    case!(
        "put/too-large",
        too_large,
        "an item over the limit gives too-large, and its neighbours arrive"
    ),
    case!(
        "put/unknown-collection",
        unknown_collection,
        "putting into a collection that is not there fails, and makes none"
    ),
    case!(
        "watermark/new",
        watermark,
        "from the watermark on, all that was put since is listed, and little else"
    ),
    case!(
        "watermark/empty",
        watermark_empty,
        "an empty collection has a watermark, too"
    ),
    case!(
        "watermark/unknown-collection",
        watermark_unknown,
        "a collection that is not there has none: not-found"
    ),
];

/// Puts items, and checks that there is one answer for each.
pub async fn place(
    destination: &mut Destination,
    collection: &str,
    items: Vec<Item>,
) -> Verdict<Vec<Result<Placement, Failure>>> {
    let count = items.len();
    let answers = destination.put(collection, items).await.during("put")?;
    check!(
        answers.len() == count,
        "`put` of {count} items gave {} answers",
        answers.len()
    );
    Ok(answers)
}

/// Puts items that every mail system takes.
pub async fn place_all(destination: &mut Destination, collection: &str, items: Vec<Item>) -> Verdict<Vec<Placement>> {
    let answers = place(destination, collection, items).await?;
    let placed: Result<Vec<Placement>, Failure> = answers.into_iter().collect();
    placed.map_err(|failure| Stop::Failed(format!("`put` of an ordinary message failed: {failure}")))
}

/// Everything that lies in a collection of the destination, with its content.
pub async fn contents(destination: &mut Destination, collection: &str) -> Verdict<Vec<(ItemMeta, Bytes)>> {
    let listing = walk(destination, collection, None, 1000).await?;
    let mut all = Vec::new();
    for batch in listing.upserted.chunks(50) {
        let ids: Vec<String> = batch.iter().map(|meta| meta.id.clone()).collect();
        let answers = destination.fetch(collection, &ids).await.during("fetch")?;
        check!(
            answers.len() == ids.len(),
            "`fetch` of {} items gave {} answers",
            ids.len(),
            answers.len()
        );
        for (answer, meta) in answers.into_iter().zip(batch) {
            let content = samples::recognised(bytes(&there(answer, &meta.id)?.content).await?);
            all.push((meta.clone(), content));
        }
    }
    Ok(all)
}

/// The content of one item of the destination.
pub async fn content(destination: &mut Destination, collection: &str, id: &str) -> Verdict<Bytes> {
    let answers = destination.fetch(collection, &[id.to_owned()]).await.during("fetch")?;
    let content = bytes(&there(only(answers, "fetch")?, id)?.content).await?;
    Ok(samples::recognised(content))
}

/// The item of this content, as it is listed.
pub async fn find(destination: &mut Destination, collection: &str, wanted: &Bytes) -> Verdict<ItemMeta> {
    let all = contents(destination, collection).await?;
    let count = all.len();
    let found = all.into_iter().find(|(_, content)| content == wanted);
    let missing = || Stop::Failed(format!("what was put is not among the {count} items that are there"));
    found.map(|(meta, _)| meta).ok_or_else(missing)
}

fn messages(kind: Kind, marker: &str, count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|number| samples::sample(kind, &format!("conformance {marker} {number}")))
        .collect()
}

fn items(messages: &[Bytes]) -> Vec<Item> {
    messages.iter().cloned().map(samples::item).collect()
}

async fn order(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, _, collection) = suite.fresh("order").await?;
    // Of different sizes, so that nothing sorts them by chance.
    let mut messages = messages(suite.kind(), "order", 6);
    messages.insert(2, samples::long(suite.kind(), "conformance order long", 2000));
    let placed = place_all(&mut destination, &collection.id, items(&messages)).await?;
    for (placement, message) in placed.iter().zip(&messages) {
        check!(
            placement.outcome == Outcome::Created,
            "a new message is {:?}",
            placement.outcome
        );
        if let (Some(id), true) = (&placement.id, placement.alterations.is_empty()) {
            let there = content(&mut destination, &collection.id, id).await?;
            check!(there == *message, "under the id that `put` gave lies another content");
        }
    }
    let there = contents(&mut destination, &collection.id).await?;
    check!(
        there.len() == messages.len(),
        "{} messages were put, and {} are there",
        messages.len(),
        there.len()
    );
    for (message, placement) in messages.iter().zip(&placed) {
        let exact = there.iter().any(|(_, content)| content == message);
        check!(
            exact || !placement.alterations.is_empty(),
            "a message came out otherwise than it was put, without a word"
        );
    }
    Ok(())
}

async fn nothing(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, _, collection) = suite.fresh("nothing").await?;
    place(&mut destination, &collection.id, Vec::new()).await?;
    let there = contents(&mut destination, &collection.id).await?;
    check!(there.is_empty(), "nothing was put, and {} items are there", there.len());
    Ok(())
}

async fn many(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("many").await?;
    let fit = usize::try_from(limits.batch_bytes / 1024).unwrap_or(usize::MAX);
    let count = usize::try_from(limits.batch_items)
        .unwrap_or(usize::MAX)
        .min(fit)
        .clamp(1, 100);
    place_all(
        &mut destination,
        &collection.id,
        items(&messages(suite.kind(), "many", count)),
    )
    .await?;
    let there = walk(&mut destination, &collection.id, None, 1000).await?.upserted.len();
    check!(there == count, "{count} messages were put, and {there} are there");
    Ok(())
}

async fn lasting(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, _, collection) = suite.fresh("lasting").await?;
    let message = samples::sample(suite.kind(), "conformance lasting");
    let placed = place_all(&mut destination, &collection.id, items(std::slice::from_ref(&message))).await?;
    let mut anew = suite.destination().await?;
    if placed.iter().all(|placement| placement.alterations.is_empty()) {
        find(&mut anew, &collection.id, &message).await?;
    }
    drop(destination);
    let there = contents(&mut anew, &collection.id).await?.len();
    check!(there == 1, "one message was put, and {there} are there");
    Ok(())
}

async fn ids(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("ids").await?;
    need!(limits.abilities.returns_ids, "`returns-ids` is not declared here");
    let placed = place_all(
        &mut destination,
        &collection.id,
        items(&messages(suite.kind(), "ids", 3)),
    )
    .await?;
    let listing = walk(&mut suite.destination().await?, &collection.id, None, 1000).await?;
    for placement in placed {
        let Some(id) = placement.id else {
            return Err(Stop::Failed("a placement bears no id".into()));
        };
        check!(
            listing.there().contains(id.as_str()),
            "`put` gave the id {id:?}, under which nothing is listed"
        );
    }
    Ok(())
}

async fn twice(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, _, collection) = suite.fresh("twice").await?;
    let message = samples::sample(suite.kind(), "conformance twice");
    let both = [message.clone(), message.clone()];
    let mut placed = place_all(&mut destination, &collection.id, items(&both)).await?;
    placed.extend(place_all(&mut destination, &collection.id, items(&both[..1])).await?);
    let new = placed
        .iter()
        .filter(|placement| placement.outcome == Outcome::Created)
        .count();
    let there = walk(&mut destination, &collection.id, None, 1000).await?.upserted.len();
    check!(
        there == new,
        "the same message was put three times, the answers speak of {new}, and {there} are there"
    );
    Ok(())
}

async fn received(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("received").await?;
    need!(limits.abilities.keeps_received, "`keeps-received` is not declared here");
    let times = [
        (1_577_934_245_000, 60),
        (1_614_585_599_000, -480),
        (951_782_400_000, 0),
        (86_400_000, 330),
    ];
    for (number, (unix_ms, offset_minutes)) in times.into_iter().enumerate() {
        let message = samples::sample(suite.kind(), &format!("conformance received {number}"));
        let mut item = samples::item(message.clone());
        let wanted = Timestamp {
            unix_ms,
            offset_minutes,
        };
        item.meta.received = Some(wanted);
        place_all(&mut destination, &collection.id, vec![item]).await?;
        let meta = find(&mut destination, &collection.id, &message).await?;
        let (there, wanted) = (meta.received.map(Timestamp::unix_seconds), wanted.unix_seconds());
        check!(
            there == Some(wanted),
            "put with the date of reception {wanted} s, and read with {there:?}"
        );
    }
    Ok(())
}

/// Whether a flag can be kept.
pub fn can_keep(limits: &Limits, flag: &str) -> bool {
    let Some(known) = &limits.flags else { return true };
    known
        .iter()
        .any(|other| other.eq_ignore_ascii_case(flag) || (other == "\\*" && !flag.starts_with('\\')))
}

async fn put_flags(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("flags").await?;
    need!(limits.abilities.keeps_flags, "`keeps-flags` is not declared here");
    let sets: [&[&str]; 7] = [
        &[],
        &["\\Seen"],
        &["\\Answered", "\\Flagged"],
        &["\\Draft"],
        &["\\Deleted"],
        &["$Forwarded", "\\Seen"],
        &["Work", "NonJunk"],
    ];
    let mut wanted = Vec::new();
    let mut all = Vec::new();
    for (number, set) in sets.into_iter().enumerate() {
        let kept: Vec<String> = set
            .iter()
            .filter(|flag| can_keep(&limits, flag))
            .map(|flag| (*flag).to_owned())
            .collect();
        let message = samples::sample(suite.kind(), &format!("conformance flags {number}"));
        let mut item = samples::item(message.clone());
        item.meta.flags.clone_from(&kept);
        all.push(item);
        wanted.push((message, kept));
    }
    let placed = place_all(&mut destination, &collection.id, all).await?;
    need!(
        placed.iter().all(|placement| placement.alterations.is_empty()),
        "the content is altered: nothing to know it by"
    );
    let there = contents(&mut suite.destination().await?, &collection.id).await?;
    for (message, flags) in wanted {
        let Some((meta, _)) = there.iter().find(|(_, content)| *content == message) else {
            return Err(Stop::Failed(format!(
                "the message that was put with {flags:?} is not there"
            )));
        };
        check!(
            flags::same(&meta.flags, &flags),
            "put with {flags:?}, and read with {:?}",
            meta.flags
        );
    }
    Ok(())
}

async fn labels(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("labels").await?;
    need!(limits.abilities.keeps_labels, "`keeps-labels` is not declared here");
    let message = samples::sample(suite.kind(), "conformance labels");
    let mut item = samples::item(message.clone());
    item.meta.labels = vec!["Projects/Tern \u{1f426}".into(), "plain".into()];
    let mut wanted = item.meta.labels.clone();
    place_all(&mut destination, &collection.id, vec![item]).await?;
    let mut there = find(&mut destination, &collection.id, &message).await?.labels;
    wanted.sort();
    there.sort();
    check!(
        wanted == there,
        "put with the labels {wanted:?}, and read with {there:?}"
    );
    Ok(())
}

async fn too_large(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("too-large").await?;
    let limit = limits
        .max_item_bytes
        .ok_or_else(|| Stop::Skipped("the limits name no size".into()))?;
    let size = usize::try_from(limit).ok().filter(|size| *size <= 256 * 1024 * 1024);
    let size = size.ok_or_else(|| Stop::Skipped(format!("the limit of {limit} bytes is too much to try")))?;
    let all = [
        samples::sample(suite.kind(), "conformance before"),
        samples::long(suite.kind(), "conformance large", size + 18),
        samples::sample(suite.kind(), "conformance after"),
    ];
    let answers = place(&mut destination, &collection.id, items(&all)).await?;
    check!(
        matches!(answers[1], Err(Failure::TooLarge(_))),
        "an item over the limit gave {:?} and not too-large",
        answers[1]
    );
    check!(
        answers[0].is_ok() && answers[2].is_ok(),
        "beside an item over the limit, others were refused: {answers:?}"
    );
    let there = walk(&mut destination, &collection.id, None, 1000).await?.upserted.len();
    check!(there == 2, "two items fit, and {there} are there");
    Ok(())
}

async fn unknown_collection(suite: &mut Suite<'_>) -> Verdict {
    let mut destination = suite.destination().await?;
    let before = destination.collections().await.during("collections")?.len();
    let item = samples::item(samples::sample(suite.kind(), "conformance nowhere"));
    match destination.put("no such collection", vec![item]).await {
        Err(Failure::NotFound(_)) => {}
        Err(other) => check!(false, "it gave {:?} and not not-found: {other}", other.code()),
        Ok(answers) => {
            let right = matches!(answers.as_slice(), [Err(Failure::NotFound(_))]);
            check!(right, "it gave {answers:?} and not not-found");
        }
    }
    let after = destination.collections().await.during("collections")?.len();
    check!(
        before == after,
        "there were {before} collections, and now there are {after}"
    );
    Ok(())
}

async fn watermark(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("watermark").await?;
    let before = messages(suite.kind(), "before the watermark", 12);
    place_all(&mut destination, &collection.id, items(&before)).await?;
    let known = walk(&mut destination, &collection.id, None, 1000).await?;
    let mark = destination.watermark(&collection.id).await.during("watermark")?;
    for batch in [
        &messages(suite.kind(), "after the watermark", 3)[..],
        &messages(suite.kind(), "long after the watermark", 2),
    ] {
        place_all(&mut destination, &collection.id, items(batch)).await?;
    }
    // As after a crash: in an account opened anew.
    let mut anew = suite.destination().await?;
    let since = walk(&mut anew, &collection.id, Some(&mark), 1000).await?;
    let all = walk(&mut anew, &collection.id, None, 1000).await?;
    let new = all
        .upserted
        .iter()
        .filter(|meta| !known.there().contains(meta.id.as_str()));
    let new: Vec<&str> = new.map(|meta| meta.id.as_str()).collect();
    check!(
        new.len() == 5,
        "five messages were put after the watermark, and {} are there",
        new.len()
    );
    let missing = new.iter().find(|id| !since.upserted.iter().any(|meta| meta.id == **id));
    check!(
        missing.is_none(),
        "{missing:?} was put after the watermark, and is not listed from it on: it would be put again"
    );
    let old = since.upserted.len() - new.len();
    let few = !limits.abilities.incremental || old < before.len();
    check!(few, "from the watermark on, all that was there before is listed, too");
    Ok(())
}

async fn watermark_empty(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, _, collection) = suite.fresh("watermark-empty").await?;
    let mark = destination.watermark(&collection.id).await.during("watermark")?;
    let none = walk(&mut destination, &collection.id, Some(&mark), 10).await?;
    check!(
        none.upserted.is_empty(),
        "nothing was put, and {} items are listed",
        none.upserted.len()
    );
    place_all(
        &mut destination,
        &collection.id,
        items(&messages(suite.kind(), "watermark of nothing", 2)),
    )
    .await?;
    let since = walk(&mut suite.destination().await?, &collection.id, Some(&mark), 10).await?;
    check!(
        since.upserted.len() == 2,
        "two messages were put, and {} are listed",
        since.upserted.len()
    );
    Ok(())
}

async fn watermark_unknown(suite: &mut Suite<'_>) -> Verdict {
    let mut destination = suite.destination().await?;
    let right = matches!(
        destination.watermark("no such collection").await,
        Err(Failure::NotFound(_))
    );
    check!(
        right,
        "`watermark` of a collection that is not there did not give not-found"
    );
    destination
        .limits(suite.kind())
        .await
        .during("limits after it")
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_can_be_kept() {
        let of = |flags: Option<&[&str]>| Limits {
            flags: flags.map(|flags| flags.iter().map(|flag| (*flag).to_owned()).collect()),
            ..Limits::default()
        };
        assert!(can_keep(&of(None), "\\Seen") && can_keep(&of(None), "Work"));
        let some = of(Some(&["\\Seen", "$Forwarded"]));
        assert!(can_keep(&some, "\\seen") && can_keep(&some, "$Forwarded"));
        assert!(!can_keep(&some, "\\Draft") && !can_keep(&some, "Work"));
        let any = of(Some(&["\\Seen", "\\*"]));
        assert!(can_keep(&any, "Work") && !can_keep(&any, "\\Draft"));
    }
}
