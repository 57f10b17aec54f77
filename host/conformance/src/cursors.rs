//! Cursors that make no sense.

use whimbrel_model::{Collection, Failure};
use whimbrel_sandbox::Source;

use crate::listing::{largest, walk};
use crate::suite::{Case, During, Suite, Verdict, case, check};

/// The cases of this theme.
pub const CASES: &[Case] = &[case!(
    "changes/strange-cursor",
    strange_cursor,
    "a cursor that makes no sense gives a failure or a whole listing"
)];

async fn strange_cursor(suite: &mut Suite<'_>) -> Verdict {
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let listing = walk(&mut source, &collection.id, None, 2).await?;
    let real = listing.cursor().unwrap_or_default().to_owned();
    let nonsense = [
        "",
        "nonsense",
        "{}",
        "\0",
        "\u{1f426}\u{202e}",
        "-1",
        "99999999999999999999999",
        "a:b:c;d=e,f",
    ];
    let mut all: Vec<(String, bool)> = nonsense.iter().map(|cursor| ((*cursor).to_owned(), true)).collect();
    all.push(("x".repeat(64 << 10), true));
    // These might be cursors: they need not give a whole listing.
    let half = real.chars().take(real.chars().count() / 2).collect();
    all.extend([
        (half, false),
        (format!("{real}x"), false),
        (real.to_uppercase(), false),
        (real.repeat(3), false),
        (format!("9999{real}"), false),
    ]);
    if let Some(other) = another(&mut source, &collection).await? {
        all.push((other, false));
    }
    for (cursor, is_nonsense) in all {
        let shown: String = cursor.chars().take(40).collect();
        match source.changes(&collection.id, Some(&cursor), 1000).await {
            Err(Failure::Internal(text)) => {
                let alive = survives(&mut source, &collection.id, &cursor).await;
                check!(alive, "the cursor {shown:?} makes the connector fail: {text}");
            }
            Err(_) => {}
            Ok(_) if !is_nonsense => {}
            Ok(_) => {
                let anew = walk(&mut source, &collection.id, Some(&cursor), 1000).await?;
                let lost = listing
                    .upserted
                    .iter()
                    .find(|meta| !anew.upserted.iter().any(|other| other.id == meta.id));
                check!(
                    lost.is_none(),
                    "the cursor {shown:?} was accepted, and items are left out without a word"
                );
            }
        }
    }
    Ok(())
}

/// The last cursor of another collection, where there is one.
async fn another(source: &mut Source, collection: &Collection) -> Verdict<Option<String>> {
    let collections = source.collections().await.during("collections")?;
    let other = collections.iter().find(|it| it.selectable && it.id != collection.id);
    let Some(other) = other else { return Ok(None) };
    Ok(walk(source, &other.id, None, 1000).await?.cursors.pop())
}

/// Whether a connector that answered `internal` did so itself: after some faults in a row (traps, limits, lies) the
/// host gives an account up, whatever is asked of it.
async fn survives(source: &mut Source, collection: &str, cursor: &str) -> bool {
    for _ in 0..4 {
        // Only what comes after these matters.
        let _ = source.changes(collection, Some(cursor), 1000).await;
    }
    source.collections().await.is_ok()
}
