//! What is done to items that are there already.

use bytes::Bytes;
use whimbrel_model::{Collection, Failure, ItemMeta, Remark, flags};
use whimbrel_sandbox::Destination;

use crate::putting::{can_keep, content, contents, find, place_all};
use crate::samples;
use crate::suite::{Case, During, Stop, Suite, Verdict, case, check, need, only};

/// The cases of this theme.
pub const CASES: &[Case] = &[
    case!(
        "copy/keeps",
        copy,
        "a copy has the content, the flags and the date, and the original stays (server-side-copy)"
    ),
    case!(
        "copy/missing",
        copy_missing,
        "copying what is not there gives not-found (server-side-copy)"
    ),
    case!(
        "copy/undeclared",
        copy_undeclared,
        "who does not declare server-side-copy answers unsupported"
    ),
    case!(
        "relocate/keeps",
        relocate,
        "an item moves with its content, flags and date (server-side-move)"
    ),
    case!(
        "relocate/missing",
        relocate_missing,
        "moving what is not there gives not-found (server-side-move)"
    ),
    case!(
        "relocate/undeclared",
        relocate_undeclared,
        "who does not declare server-side-move answers unsupported"
    ),
    case!(
        "replace/content",
        replace,
        "an item has the new content and no other is there, once and again (replaces)"
    ),
    case!(
        "replace/changed",
        replace_changed,
        "what somebody else changed meanwhile stays as it is: rejected (replaces)"
    ),
    case!(
        "replace/missing",
        replace_missing,
        "replacing what is not there gives not-found and makes nothing (replaces)"
    ),
    case!(
        "replace/undeclared",
        replace_undeclared,
        "who does not declare replaces answers unsupported"
    ),
    case!(
        "mark/sets",
        mark,
        "flags are set to exactly what is asked for, in order, and the content stays"
    ),
    case!("mark/again", mark_again, "marking again changes nothing"),
    case!(
        "mark/missing",
        mark_missing,
        "marking what is not there gives not-found, and its neighbours are marked"
    ),
    case!("remove/named", remove, "what is removed is gone, and nothing else"),
    case!(
        "remove/missing",
        remove_missing,
        "removing what is not there harms nothing"
    ),
];

const NOBODY: &str = "4294967294";

/// Puts one message with these flags, as far as they can be kept, and gives it as it is listed.
async fn one(
    destination: &mut Destination,
    collection: &Collection,
    marker: &str,
    flags: Vec<String>,
) -> Verdict<(ItemMeta, Bytes)> {
    let message = samples::sample(collection.kind, &format!("conformance {marker}"));
    let mut item = samples::item(message.clone());
    item.meta.flags = flags;
    let placed = only(place_all(destination, &collection.id, vec![item]).await?, "put")?;
    need!(
        placed.alterations.is_empty(),
        "the content is altered: nothing to know it by"
    );
    Ok((find(destination, &collection.id, &message).await?, message))
}

/// Two collections, and an item in the first.
struct Pair {
    destination: Destination,
    from: Collection,
    to: Collection,
    meta: ItemMeta,
    message: Bytes,
}

async fn pair(suite: &mut Suite<'_>, name: &str, declared: fn(&whimbrel_model::Abilities) -> bool) -> Verdict<Pair> {
    let (mut destination, limits, from) = suite.fresh(&format!("{name}-from")).await?;
    need!(declared(&limits.abilities), "it is not declared here");
    let to = destination
        .ensure(&suite.wanted(&[&format!("conformance-{name}-to")]))
        .await
        .during("ensure")?;
    let flags = ["\\Seen", "\\Flagged"]
        .into_iter()
        .filter(|flag| limits.abilities.keeps_flags && can_keep(&limits, flag));
    let flags = flags.map(str::to_owned).collect();
    let (meta, message) = one(&mut destination, &from, name, flags).await?;
    Ok(Pair {
        destination,
        from,
        to,
        meta,
        message,
    })
}

impl Pair {
    /// Checks that the item arrived in the second collection.
    async fn arrived(&mut self, id: Option<&str>) -> Verdict {
        let there = find(&mut self.destination, &self.to.id, &self.message).await?;
        check!(
            id.is_none_or(|id| id == there.id),
            "the placement bears the id {id:?}, and it is listed as {:?}",
            there.id
        );
        check!(
            flags::same(&there.flags, &self.meta.flags),
            "its flags were {:?} and are {:?}",
            self.meta.flags,
            there.flags
        );
        let seconds = |meta: &ItemMeta| meta.received.map(whimbrel_model::Timestamp::unix_seconds);
        let (before, after) = (seconds(&self.meta), seconds(&there));
        check!(before == after, "its date of reception was {before:?} and is {after:?}");
        Ok(())
    }

    async fn count(&mut self) -> Verdict<[usize; 2]> {
        let from = contents(&mut self.destination, &self.from.id).await?.len();
        let to = match self.from.id == self.to.id {
            // There is one collection of this kind only.
            true => 0,
            false => contents(&mut self.destination, &self.to.id).await?.len(),
        };
        Ok([from, to])
    }
}

async fn copy(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "copy", |abilities| abilities.server_side_copy).await?;
    let placed = pair
        .destination
        .copy(&pair.from.id, &pair.meta.id, &pair.to.id)
        .await
        .during("copy")?;
    pair.arrived(placed.id.as_deref()).await?;
    let count = pair.count().await?;
    check!(
        count == [1, 1],
        "after copying one item, the collections hold {count:?}"
    );
    Ok(())
}

async fn relocate(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "relocate", |abilities| abilities.server_side_move).await?;
    let placed = pair
        .destination
        .relocate(&pair.from.id, &pair.meta.id, &pair.to.id)
        .await
        .during("relocate")?;
    pair.arrived(placed.id.as_deref()).await?;
    let count = pair.count().await?;
    check!(count == [0, 1], "after moving one item, the collections hold {count:?}");
    Ok(())
}

async fn copy_missing(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "copy-missing", |abilities| abilities.server_side_copy).await?;
    let answer = pair.destination.copy(&pair.from.id, NOBODY, &pair.to.id).await;
    check!(matches!(answer, Err(Failure::NotFound(_))), "it gave {answer:?}");
    let count = pair.count().await?;
    check!(count == [1, 0], "after copying nothing, the collections hold {count:?}");
    Ok(())
}

async fn relocate_missing(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "relocate-missing", |abilities| abilities.server_side_move).await?;
    let answer = pair.destination.relocate(&pair.from.id, NOBODY, &pair.to.id).await;
    check!(matches!(answer, Err(Failure::NotFound(_))), "it gave {answer:?}");
    let count = pair.count().await?;
    check!(count == [1, 0], "after moving nothing, the collections hold {count:?}");
    Ok(())
}

async fn copy_undeclared(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "copy-undeclared", |abilities| !abilities.server_side_copy).await?;
    let answer = pair.destination.copy(&pair.from.id, &pair.meta.id, &pair.to.id).await;
    check!(matches!(answer, Err(Failure::Unsupported(_))), "it gave {answer:?}");
    Ok(())
}

async fn relocate_undeclared(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "relocate-undeclared", |abilities| !abilities.server_side_move).await?;
    let answer = pair
        .destination
        .relocate(&pair.from.id, &pair.meta.id, &pair.to.id)
        .await;
    check!(matches!(answer, Err(Failure::Unsupported(_))), "it gave {answer:?}");
    Ok(())
}

async fn replace(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "replace", |abilities| abilities.replaces).await?;
    let changed = samples::sample(suite.kind(), "conformance replace: changed");
    let mut revision = Some(pair.meta.revision.clone()).filter(|revision| !revision.is_empty());
    for _ in 0..2 {
        let placed = pair
            .destination
            .replace(
                &pair.from.id,
                &pair.meta.id,
                revision.as_deref(),
                samples::item(changed.clone()),
            )
            .await
            .during("replace")?;
        let there = find(&mut pair.destination, &pair.from.id, &changed).await?;
        check!(
            placed.id.as_ref().is_none_or(|id| *id == there.id),
            "the placement bears the id {:?}, and it is listed as {:?}",
            placed.id,
            there.id
        );
        let count = pair.count().await?;
        check!(
            count == [1, 0],
            "after replacing one item, the collections hold {count:?}"
        );
        pair.meta = there;
        revision = placed.revision;
    }
    Ok(())
}

async fn replace_changed(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "replace-changed", |abilities| abilities.replaces).await?;
    let old = Some(pair.meta.revision.clone()).filter(|revision| !revision.is_empty());
    need!(old.is_some(), "items have no revisions");
    let [first, second] = ["first", "second"]
        .map(|which| samples::sample(suite.kind(), &format!("conformance replace-changed: {which}")));
    pair.destination
        .replace(
            &pair.from.id,
            &pair.meta.id,
            old.as_deref(),
            samples::item(first.clone()),
        )
        .await
        .during("replace")?;
    let there = find(&mut pair.destination, &pair.from.id, &first).await?;
    let answer = pair
        .destination
        .replace(&pair.from.id, &there.id, old.as_deref(), samples::item(second))
        .await;
    check!(matches!(answer, Err(Failure::Rejected(_))), "it gave {answer:?}");
    find(&mut pair.destination, &pair.from.id, &first).await?;
    Ok(())
}

async fn replace_missing(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "replace-missing", |abilities| abilities.replaces).await?;
    let item = samples::item(samples::sample(suite.kind(), "conformance replace nothing"));
    let answer = pair.destination.replace(&pair.from.id, NOBODY, None, item).await;
    check!(matches!(answer, Err(Failure::NotFound(_))), "it gave {answer:?}");
    let count = pair.count().await?;
    check!(
        count == [1, 0],
        "after replacing nothing, the collections hold {count:?}"
    );
    Ok(())
}

async fn replace_undeclared(suite: &mut Suite<'_>) -> Verdict {
    let mut pair = pair(suite, "replace-undeclared", |abilities| !abilities.replaces).await?;
    let item = samples::item(pair.message.clone());
    let answer = pair.destination.replace(&pair.from.id, &pair.meta.id, None, item).await;
    check!(matches!(answer, Err(Failure::Unsupported(_))), "it gave {answer:?}");
    Ok(())
}

/// Marks items and checks that there is one answer for each; skips where marks cannot be changed.
async fn remarks(
    destination: &mut Destination,
    collection: &Collection,
    remarks: &[Remark],
) -> Verdict<Vec<Result<(), Failure>>> {
    let answers = match destination.mark(&collection.id, remarks).await {
        Err(Failure::Unsupported(text)) => return Err(Stop::Skipped(format!("marks cannot be changed here: {text}"))),
        answers => answers.during("mark")?,
    };
    check!(
        answers.len() == remarks.len(),
        "`mark` of {} items gave {} answers",
        remarks.len(),
        answers.len()
    );
    Ok(answers)
}

fn remark(meta: &ItemMeta, flags: &[&str]) -> Remark {
    Remark {
        id: meta.id.clone(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        labels: meta.labels.clone(),
    }
}

async fn flags_of(destination: &mut Destination, collection: &Collection, message: &Bytes) -> Verdict<Vec<String>> {
    Ok(find(destination, &collection.id, message).await?.flags)
}

async fn mark(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("mark").await?;
    need!(limits.abilities.keeps_flags, "`keeps-flags` is not declared here");
    need!(
        can_keep(&limits, "\\Seen") && can_keep(&limits, "\\Flagged"),
        "the usual flags cannot be kept"
    );
    let (first, one_message) = one(&mut destination, &collection, "mark one", Vec::new()).await?;
    let (second, other_message) = one(
        &mut destination,
        &collection,
        "mark two",
        vec!["\\Seen".into(), "\\Flagged".into()],
    )
    .await?;
    // Backwards: answers go by the order of the question.
    let asked = [remark(&second, &["\\Flagged"]), remark(&first, &["\\Seen"])];
    for answer in remarks(&mut destination, &collection, &asked).await? {
        answer.during("mark")?;
    }
    let mut anew = suite.destination().await?;
    for (message, meta, remark) in [(&one_message, &first, &asked[1]), (&other_message, &second, &asked[0])] {
        let there = flags_of(&mut anew, &collection, message).await?;
        check!(
            flags::same(&there, &remark.flags),
            "marked with {:?}, and read with {there:?}",
            remark.flags
        );
        let same = content(&mut anew, &collection.id, &meta.id).await? == *message;
        check!(same, "marking changed the content, or what the id means");
    }
    Ok(())
}

async fn mark_again(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("mark-again").await?;
    need!(limits.abilities.keeps_flags, "`keeps-flags` is not declared here");
    let flags: Vec<&str> = ["\\Seen", "$Forwarded"]
        .into_iter()
        .filter(|flag| can_keep(&limits, flag))
        .collect();
    let (meta, message) = one(&mut destination, &collection, "mark again", Vec::new()).await?;
    for _ in 0..3 {
        for answer in remarks(&mut destination, &collection, &[remark(&meta, &flags)]).await? {
            answer.during("mark")?;
        }
    }
    let there = flags_of(&mut destination, &collection, &message).await?;
    check!(
        flags::same(&there, &remark(&meta, &flags).flags),
        "marked three times with {flags:?}, and read with {there:?}"
    );
    Ok(())
}

async fn mark_missing(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, limits, collection) = suite.fresh("mark-missing").await?;
    need!(
        limits.abilities.keeps_flags && can_keep(&limits, "\\Seen"),
        "`keeps-flags` is not declared here"
    );
    let (meta, message) = one(&mut destination, &collection, "mark missing", Vec::new()).await?;
    let nobody = Remark {
        id: NOBODY.to_owned(),
        ..remark(&meta, &["\\Seen"])
    };
    let answers = remarks(&mut destination, &collection, &[nobody, remark(&meta, &["\\Seen"])]).await?;
    let right = matches!(answers.as_slice(), [Err(Failure::NotFound(_)), Ok(())]);
    check!(right, "marking what is not there, and then what is, gave {answers:?}");
    let there = flags_of(&mut destination, &collection, &message).await?;
    check!(
        flags::same(&there, &["\\Seen".to_owned()]),
        "beside what is not there, an item was marked with {there:?}"
    );
    Ok(())
}

/// Removes items; skips where nothing can be removed.
async fn removed(
    destination: &mut Destination,
    collection: &Collection,
    ids: &[String],
) -> Verdict<Vec<Result<(), Failure>>> {
    let answers = match destination.remove(&collection.id, ids).await {
        Err(Failure::Unsupported(text)) => return Err(Stop::Skipped(format!("nothing can be removed here: {text}"))),
        answers => answers.during("remove")?,
    };
    check!(
        answers.len() == ids.len(),
        "`remove` of {} items gave {} answers",
        ids.len(),
        answers.len()
    );
    if let [Err(Failure::Unsupported(text)), ..] = answers.as_slice() {
        return Err(Stop::Skipped(format!("nothing can be removed here: {text}")));
    }
    Ok(answers)
}

async fn remove(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, _, collection) = suite.fresh("remove").await?;
    let (gone, message) = one(&mut destination, &collection, "remove one", Vec::new()).await?;
    let (_, kept) = one(&mut destination, &collection, "remove not", Vec::new()).await?;
    for answer in removed(&mut destination, &collection, std::slice::from_ref(&gone.id)).await? {
        answer.during("remove")?;
    }
    let mut anew = suite.destination().await?;
    let there = contents(&mut anew, &collection.id).await?;
    check!(
        !there.iter().any(|(_, content)| *content == message),
        "what was removed is still there"
    );
    check!(
        there.len() == 1 && there[0].1 == kept,
        "one of two items was removed, and {} are left",
        there.len()
    );
    for destination in [&mut destination, &mut anew] {
        let answer = only(
            destination
                .fetch(&collection.id, std::slice::from_ref(&gone.id))
                .await
                .during("fetch")?,
            "fetch",
        )?;
        check!(
            matches!(answer, Err(Failure::NotFound(_))),
            "fetching what was removed does not give not-found"
        );
    }
    Ok(())
}

async fn remove_missing(suite: &mut Suite<'_>) -> Verdict {
    let (mut destination, _, collection) = suite.fresh("remove-missing").await?;
    let (_, kept) = one(&mut destination, &collection, "remove nothing", Vec::new()).await?;
    let answer = only(
        removed(&mut destination, &collection, &[NOBODY.to_owned()]).await?,
        "remove",
    )?;
    check!(
        matches!(answer, Ok(()) | Err(Failure::NotFound(_))),
        "it gave {answer:?}"
    );
    find(&mut destination, &collection.id, &kept).await.map(drop)
}
