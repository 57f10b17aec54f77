//! Collections at the destination: limits, names, and that making one twice makes one.

use whimbrel_model::{Abilities, Collection, Failure, Limits, Role};
use whimbrel_sandbox::Destination;

use crate::putting::{contents, place};
use crate::samples;
use crate::suite::{Case, During, Stop, Suite, Verdict, case, check, need};

/// The cases of this theme.
pub const CASES: &[Case] = &[
    case!(
        "limits/sane",
        limits,
        "the limits are positive and promise no more than the description"
    ),
    case!(
        "ensure/new",
        new,
        "a collection that is made is listed, as `ensure` gave it"
    ),
    case!(
        "ensure/again",
        again,
        "making it again gives the same one, in an account opened anew, too"
    ),
    case!(
        "ensure/several",
        several,
        "of several collections at once, each is answered for itself, in order"
    ),
    case!("ensure/role", role, "a collection with a role is made once"),
    case!(
        "ensure/inbox",
        inbox,
        "there is one inbox, however often it is asked for"
    ),
    case!(
        "names/nested",
        nested,
        "a path of several segments, whose parents are made as well"
    ),
    case!(
        "names/deep",
        deep,
        "as deep a path as the limits allow, or of eight segments"
    ),
    case!("names/unicode", unicode, "names in other scripts, and emoji"),
    case!(
        "names/encoded",
        encoded,
        "names that look like modified UTF-7, percent-encoding or escapes"
    ),
    case!("names/separators", separators, "a separator inside a segment"),
    case!("names/quotes", quotes, "quotes, brackets and wildcards"),
    case!("names/blanks", blanks, "blanks at both ends"),
    case!("names/dots", dots, "names of dots, and hidden ones"),
    case!(
        "names/long",
        long,
        "a name as long as the limits allow, or of 200 bytes"
    ),
    case!(
        "names/too-long",
        too_long,
        "a name longer than the limits allow is rejected, or kept otherwise and said so"
    ),
    case!("names/distinct", distinct, "different paths are different collections"),
];

async fn limits(suite: &mut Suite<'_>) -> Verdict {
    let limits = suite.destination().await?.limits(suite.kind()).await.during("limits")?;
    check!(
        limits.batch_items > 0 && limits.batch_bytes > 0,
        "a `put` may hold nothing"
    );
    check!(limits.max_item_bytes != Some(0), "no item is small enough");
    check!(
        limits.max_path_depth != Some(0) && limits.max_name_bytes != Some(0),
        "no path can be"
    );
    let most = suite.plugin.description().abilities;
    let more = beyond(&limits.abilities, &most);
    check!(
        more.is_empty(),
        "the limits promise what the description does not: {}",
        more.join(", ")
    );
    Ok(())
}

fn beyond(limits: &Abilities, most: &Abilities) -> Vec<&'static str> {
    let all = [
        ("incremental", limits.incremental, most.incremental),
        ("reports-vanished", limits.reports_vanished, most.reports_vanished),
        ("push", limits.push, most.push),
        ("server-side-copy", limits.server_side_copy, most.server_side_copy),
        ("server-side-move", limits.server_side_move, most.server_side_move),
        ("returns-ids", limits.returns_ids, most.returns_ids),
        ("keeps-received", limits.keeps_received, most.keeps_received),
        ("keeps-flags", limits.keeps_flags, most.keeps_flags),
        ("keeps-labels", limits.keeps_labels, most.keeps_labels),
        ("multi-collection", limits.multi_collection, most.multi_collection),
        ("replaces", limits.replaces, most.replaces),
    ];
    all.into_iter()
        .filter(|(_, here, most)| *here && !most)
        .map(|(name, ..)| name)
        .collect()
}

/// The collection `made`, as it is listed.
async fn listed(destination: &mut Destination, made: &Collection) -> Verdict<Collection> {
    let collections = destination.collections().await.during("collections")?;
    let mut same = collections.into_iter().filter(|collection| collection.id == made.id);
    let Some(found) = same.next() else {
        return Err(Stop::Failed(format!("{:?} was made, and is not listed", made.path)));
    };
    check!(same.next().is_none(), "{:?} was made, and is listed twice", made.path);
    check!(
        found.path == made.path,
        "`ensure` gave the path {:?}, and it is listed as {:?}",
        made.path,
        found.path
    );
    check!(
        found.selectable,
        "{:?} was made, and is said to hold no items",
        made.path
    );
    Ok(found)
}

async fn new(suite: &mut Suite<'_>) -> Verdict {
    suite.many_collections()?;
    let mut destination = suite.destination().await?;
    let asked = suite.wanted(&["conformance-new"]);
    let made = destination.ensure(&asked).await.during("ensure")?;
    check!(!made.id.is_empty(), "`ensure` gave an empty id");
    check!(
        made.path == asked.path,
        "`ensure` of {:?} gave {:?}",
        asked.path,
        made.path
    );
    check!(
        made.kind == suite.kind() && made.selectable,
        "`ensure` gave a collection that holds no messages"
    );
    listed(&mut destination, &made).await.map(drop)
}

async fn again(suite: &mut Suite<'_>) -> Verdict {
    let asked = suite.wanted(&["conformance-again"]);
    let mut destination = suite.destination().await?;
    let first = destination.ensure(&asked).await.during("ensure")?;
    let second = destination.ensure(&asked).await.during("the second ensure")?;
    let third = suite
        .destination()
        .await?
        .ensure(&asked)
        .await
        .during("ensure in an account opened anew")?;
    for other in [second, third] {
        let same = (&other.id, &other.path, &other.generation) == (&first.id, &first.path, &first.generation);
        check!(
            same,
            "`ensure` gave {:?} {:?} first, and then {:?} {:?}",
            first.id,
            first.path,
            other.id,
            other.path
        );
    }
    listed(&mut destination, &first).await.map(drop)
}

async fn several(suite: &mut Suite<'_>) -> Verdict {
    suite.many_collections()?;
    let mut destination = suite.destination().await?;
    let limits = destination.limits(suite.kind()).await.during("limits")?;
    let parent = "conformance-several";
    // A name that hardly any system can hold lies among names that all can.
    let mut asked = vec![
        suite.wanted(&[parent]),
        suite.wanted(&["conformance-\u{0}\r\n"]),
        suite.wanted(&["conformance-last"]),
    ];
    if ruled_out(&limits, &[parent.to_owned(), "below".to_owned()]).is_none() {
        asked.insert(2, suite.wanted(&[parent, "below"]));
    }
    let answers = destination.ensure_all(&asked).await.during("ensure")?;
    check!(
        answers.len() == asked.len(),
        "`ensure` of {} collections gave {} answers",
        asked.len(),
        answers.len()
    );
    for (number, (asked, answer)) in asked.iter().zip(answers).enumerate() {
        match answer {
            Ok(made) => {
                check!(
                    number == 1 || made.path == asked.path,
                    "`ensure` of several gave {:?} where {:?} was asked",
                    made.path,
                    asked.path
                );
                listed(&mut destination, &made).await?;
            }
            Err(Failure::Rejected(_)) if number == 1 => {}
            Err(failure) => return Err(Stop::Failed(format!("`ensure` of {:?}: {failure}", asked.path))),
        }
    }
    Ok(())
}

async fn role(suite: &mut Suite<'_>) -> Verdict {
    let mut destination = suite.destination().await?;
    let asked = Collection {
        role: Some(Role::Sent),
        ..suite.wanted(&["conformance-sent"])
    };
    let first = destination.ensure(&asked).await.during("ensure")?;
    let second = suite.destination().await?.ensure(&asked).await.during("ensure")?;
    check!(
        first.id == second.id,
        "`ensure` with a role gave {:?} first, and then {:?}",
        first.id,
        second.id
    );
    let found = listed(&mut destination, &first).await?;
    check!(
        found.role == first.role,
        "`ensure` gave the role {:?}, and it is listed with {:?}",
        first.role,
        found.role
    );
    Ok(())
}

async fn inbox(suite: &mut Suite<'_>) -> Verdict {
    let mut destination = suite.destination().await?;
    let asked = Collection {
        role: Some(Role::Inbox),
        ..suite.wanted(&["INBOX"])
    };
    let first = destination.ensure(&asked).await.during("ensure")?;
    let second = destination.ensure(&asked).await.during("ensure")?;
    check!(
        first.id == second.id,
        "there are two inboxes: {:?} and {:?}",
        first.id,
        second.id
    );
    let collections = destination.collections().await.during("collections")?;
    let inboxes = collections
        .iter()
        .filter(|collection| collection.role == Some(Role::Inbox))
        .count();
    check!(inboxes <= 1, "{inboxes} collections have the role of an inbox");
    check!(
        collections.iter().any(|collection| collection.id == first.id),
        "the inbox is not listed"
    );
    Ok(())
}

/// Why the limits rule this path out, if they do.
fn ruled_out(limits: &Limits, path: &[String]) -> Option<String> {
    if let Some(most) = limits.max_path_depth.filter(|most| path.len() > *most as usize) {
        return Some(format!("a path has at most {most} segments"));
    }
    if let Some(most) = limits
        .max_name_bytes
        .filter(|most| path.iter().any(|name| name.len() > *most as usize))
    {
        return Some(format!("a name has at most {most} bytes"));
    }
    let forbidden = path
        .iter()
        .flat_map(|name| name.chars())
        .find(|letter| limits.forbidden_in_names.contains(*letter));
    forbidden.map(|letter| format!("{letter:?} cannot be in a name"))
}

/// How a path that is asked for may come out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// Every mail system can hold it.
    Plain,
    /// Some servers refuse it, whatever their limits say.
    Odd,
}

/// Makes each of `paths`, writes to it and reads it back.
async fn names(suite: &mut Suite<'_>, grade: Grade, paths: &[&[&str]]) -> Verdict {
    suite.many_collections()?;
    let mut destination = suite.destination().await?;
    let limits = destination.limits(suite.kind()).await.during("limits")?;
    let mut refused = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let asked = suite.wanted(path);
        let out = ruled_out(&limits, &asked.path);
        let made = match destination.ensure(&asked).await {
            Ok(made) => made,
            Err(Failure::Rejected(_)) if out.is_some() => continue,
            Err(Failure::Rejected(text)) if grade == Grade::Odd => {
                refused.push(format!("{path:?} is refused: {text}"));
                continue;
            }
            Err(failure) => return Err(Stop::Failed(format!("`ensure` of {path:?} failed: {failure}"))),
        };
        if made.path != asked.path && out.is_none() {
            let text = format!("{path:?} became {:?}, and the limits do not say why", made.path);
            check!(grade == Grade::Odd, "{text}");
            refused.push(text);
        }
        listed(&mut destination, &made).await?;
        let message = samples::sample(
            suite.kind(),
            &format!("conformance name {number} {}", path.concat().len()),
        );
        let placed = place(&mut destination, &made.id, vec![samples::item(message.clone())]).await?;
        check!(
            placed.iter().all(Result::is_ok),
            "nothing can be put into {path:?}: {placed:?}"
        );
        let there = contents(&mut destination, &made.id).await?;
        check!(
            there.len() == 1,
            "one message was put into the new {path:?}, and it holds {}",
            there.len()
        );
    }
    need!(refused.is_empty(), "{}", refused.join("; "));
    Ok(())
}

async fn nested(suite: &mut Suite<'_>) -> Verdict {
    names(
        suite,
        Grade::Plain,
        &[
            &["conformance-tree", "branch", "leaf"],
            &["conformance-tree"],
            &["conformance-tree", "branch"],
        ],
    )
    .await
}

async fn deep(suite: &mut Suite<'_>) -> Verdict {
    let limits = suite.destination().await?.limits(suite.kind()).await.during("limits")?;
    let depth = limits.max_path_depth.map_or(8, |most| most.min(8)) as usize;
    let path = ["conformance-deep", "2", "3", "4", "5", "6", "7", "8"];
    names(suite, Grade::Plain, &[&path[..depth.min(path.len())]]).await
}

async fn unicode(suite: &mut Suite<'_>) -> Verdict {
    let paths: &[&[&str]] = &[
        &["conformance-Entw\u{fc}rfe"],
        &["conformance-\u{65e5}\u{672c}\u{8a9e}"],
        &["conformance-\u{1f426}\u{200d}\u{2b1b}"],
        &["conformance-\u{5e9}\u{5dc}\u{5d5}\u{5dd}"],
    ];
    names(suite, Grade::Plain, paths).await
}

async fn encoded(suite: &mut Suite<'_>) -> Verdict {
    let paths: &[&[&str]] = &[
        &["conformance-R&D"],
        &["conformance-&AOQ-"],
        &["conformance-&-"],
        &["conformance-%41%2F"],
        &["conformance-=20=C3=A4"],
    ];
    names(suite, Grade::Odd, paths).await
}

async fn separators(suite: &mut Suite<'_>) -> Verdict {
    names(
        suite,
        Grade::Odd,
        &[
            &["conformance-a/b"],
            &["conformance-a.b"],
            &["conformance-a\\b"],
            &["conformance-a^b"],
        ],
    )
    .await
}

async fn quotes(suite: &mut Suite<'_>) -> Verdict {
    let paths: &[&[&str]] = &[
        &["conformance-\"quoted\""],
        &["conformance-it's"],
        &["conformance-(a) {b} [c]"],
        &["conformance-star * percent %"],
        &["conformance-colon: semicolon;"],
    ];
    names(suite, Grade::Odd, paths).await
}

async fn blanks(suite: &mut Suite<'_>) -> Verdict {
    names(
        suite,
        Grade::Odd,
        &[
            &["conformance-trailing "],
            &[" conformance-leading"],
            &["conformance  two"],
        ],
    )
    .await
}

async fn dots(suite: &mut Suite<'_>) -> Verdict {
    let paths: &[&[&str]] = &[
        &[".conformance-hidden"],
        &["conformance-dots", ".."],
        &["conformance-dots", "."],
        &["conformance-dots", "cur"],
        &["conformance-end."],
        &["~conformance-home"],
        &["#conformance-hash"],
    ];
    names(suite, Grade::Odd, paths).await
}

async fn long(suite: &mut Suite<'_>) -> Verdict {
    let limits = suite.destination().await?.limits(suite.kind()).await.during("limits")?;
    let length = limits.max_name_bytes.map_or(200, |most| most.min(200)) as usize;
    let name: String = "conformance-long-"
        .chars()
        .chain("x".repeat(200).chars())
        .take(length)
        .collect();
    names(
        suite,
        if limits.max_name_bytes.is_some() {
            Grade::Plain
        } else {
            Grade::Odd
        },
        &[&[&name]],
    )
    .await
}

async fn too_long(suite: &mut Suite<'_>) -> Verdict {
    suite.many_collections()?;
    let mut destination = suite.destination().await?;
    let limits = destination.limits(suite.kind()).await.during("limits")?;
    let Some(most) = limits.max_name_bytes else {
        return Err(Stop::Skipped("the limits name no length".into()));
    };
    let name = format!("conformance-{}", "y".repeat(most as usize));
    match destination.ensure(&suite.wanted(&[&name])).await {
        Err(Failure::Rejected(_)) => Ok(()),
        Err(other) => Err(Stop::Failed(format!(
            "a name of {} bytes gave {:?} and not rejected: {other}",
            name.len(),
            other.code()
        ))),
        Ok(made) => {
            check!(
                made.path != [name],
                "the limits allow {most} bytes, and a longer name is kept"
            );
            listed(&mut destination, &made).await.map(drop)
        }
    }
}

async fn distinct(suite: &mut Suite<'_>) -> Verdict {
    suite.many_collections()?;
    let mut destination = suite.destination().await?;
    let limits = destination.limits(suite.kind()).await.during("limits")?;
    let mut pairs: Vec<[&[&str]; 2]> = vec![
        [&["conformance-p/q"], &["conformance-p", "q"]],
        [&["conformance-r.s"], &["conformance-r", "s"]],
        [&["conformance-t"], &["conformance-t "]],
        [&["conformance-u%2Fv"], &["conformance-u/v"]],
        [&["conformance-&AOQ-w"], &["conformance-\u{e4}w"]],
        [&["conformance-\u{e4}x"], &["conformance-a\u{308}x"]],
    ];
    if !limits.case_insensitive_names {
        pairs.push([&["conformance-case"], &["conformance-CASE"]]);
    }
    for [one, other] in pairs {
        let mut made = Vec::new();
        for path in [one, other] {
            match destination.ensure(&suite.wanted(path)).await {
                Ok(collection) => made.push(collection),
                Err(Failure::Rejected(_)) => {}
                Err(failure) => return Err(Stop::Failed(format!("`ensure` of {path:?} failed: {failure}"))),
            }
        }
        if let [first, second] = made.as_slice() {
            let announced = first.path != one || second.path != other;
            check!(
                first.id != second.id || announced,
                "{one:?} and {other:?} became one collection without a word"
            );
            listed(&mut destination, first).await?;
            listed(&mut destination, second).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_rule_paths_out() {
        let path = |segments: &[&str]| crate::suite::wanted(segments).path;
        let none = Limits::default();
        assert_eq!(ruled_out(&none, &path(&["a/b", "c"])), None);
        let depth = Limits {
            max_path_depth: Some(1),
            ..Limits::default()
        };
        assert!(ruled_out(&depth, &path(&["a", "b"])).is_some());
        assert_eq!(ruled_out(&depth, &path(&["a"])), None);
        let length = Limits {
            max_name_bytes: Some(2),
            ..Limits::default()
        };
        assert!(ruled_out(&length, &path(&["a", "\u{65e5}"])).is_some());
        assert_eq!(ruled_out(&length, &path(&["a", "\u{e4}"])), None);
        let forbidden = Limits {
            forbidden_in_names: "/\"".into(),
            ..Limits::default()
        };
        assert!(ruled_out(&forbidden, &path(&["a\"b"])).is_some());
    }

    #[test]
    fn a_promise_beyond_the_description_is_named() {
        let most = Abilities {
            push: true,
            ..Abilities::default()
        };
        let here = Abilities {
            push: true,
            returns_ids: true,
            ..Abilities::default()
        };
        assert_eq!(beyond(&here, &most), ["returns-ids"]);
        assert!(beyond(&Abilities::default(), &most).is_empty());
    }
}
