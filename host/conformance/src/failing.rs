//! What goes wrong at the provider, what must never be said, and how much is used.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use whimbrel_model::{Collection, Failure, ItemMeta, Secret};
use whimbrel_sandbox::{AccountSpec, Activity, PluginLimits, Source};
use whimbrel_wire::Credentials;

use crate::listing::{Listing, largest, tally, walk};
use crate::suite::{Case, During, Stop, Suite, Verdict, bytes, case, check, need, there};

/// The cases of this theme.
pub const CASES: &[Case] = &[
    case!(
        "open/wrong-secret",
        wrong_secret,
        "a wrong password or token gives unauthenticated"
    ),
    case!(
        "secrets/unseen",
        unseen,
        "no answer and no failure holds the password or token"
    ),
    case!(
        "failing/throttled",
        throttled,
        "where the provider asks to slow down, the call gives throttled, and works again later"
    ),
    case!(
        "failing/retry-after",
        retry_after,
        "where the provider says for how long, throttled bears that time"
    ),
    case!(
        "failing/cut",
        cut,
        "an answer that breaks off gives unavailable or comes whole, never in part"
    ),
    case!(
        "resources/bounds",
        bounds,
        "reading takes less than half of the limits, and tries nothing forbidden"
    ),
    case!(
        "previous/settings",
        settings,
        "settings of the release before still fit"
    ),
    case!(
        "previous/cursors",
        cursors,
        "from a cursor of the release before on, nothing is lost: it does, or the listing begins anew"
    ),
    // Last: all ids are other ones afterwards.
    case!(
        "delta/renumbered",
        renumbered,
        "where all ids became void, a cursor from before gives generation-changed, and a new listing has everything"
    ),
];

/// Put in place of the secret; so odd that nobody says it by chance.
const WRONG: &str = "wrong-Qx7vT2mK9";
/// Secrets that are shorter may occur by chance.
const SHORTEST: usize = 6;
/// How long a provider may need until it answers again.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(250);

fn without(hook: &str) -> Stop {
    Stop::Unable(format!("no hook `{hook}` was given"))
}

fn hook_failed(hook: &str) -> impl FnOnce(String) -> Stop {
    move |text| Stop::Failed(format!("the hook `{hook}` of the test failed: {text}"))
}

/// The secret of an account, where it has one.
fn secret(credentials: &Credentials) -> Option<&Secret> {
    match credentials {
        Credentials::Password { password, .. } => Some(password),
        Credentials::OAuth { token, .. } => Some(token),
        _ => None,
    }
}

/// The account to read, with another secret.
fn spoilt(spec: &AccountSpec) -> Verdict<AccountSpec> {
    let wrong = Secret::new(WRONG);
    let credentials = match spec.credentials.clone() {
        Credentials::Password { user, .. } => Credentials::Password { user, password: wrong },
        Credentials::OAuth { user, .. } => Credentials::OAuth { user, token: wrong },
        _ => return Err(Stop::Skipped("the account has no password or token".into())),
    };
    Ok(AccountSpec {
        credentials,
        ..spec.clone()
    })
}

/// What the first call that needs the provider gives.
async fn first_failure(suite: &Suite<'_>, spec: &AccountSpec) -> Option<Failure> {
    match suite.plugin.source(spec).await {
        Err(failure) => Some(failure),
        // Opened lazily: the first call tells.
        Ok(mut source) => source.collections().await.err(),
    }
}

async fn wrong_secret(suite: &mut Suite<'_>) -> Verdict {
    let spec = spoilt(&suite.known()?.spec)?;
    match first_failure(suite, &spec).await {
        Some(Failure::Unauthenticated(_)) => {}
        Some(other) => check!(
            false,
            "with a wrong secret, opening gave {:?} and not unauthenticated: {other}",
            other.code()
        ),
        None => check!(false, "with a wrong secret, an account opened and gave its collections"),
    }
    // The mailbox must not be locked by it.
    suite.source().await.map(drop)
}

/// All texts of an item.
fn texts(meta: &ItemMeta) -> String {
    format!("{meta:?}")
}

async fn unseen(suite: &mut Suite<'_>) -> Verdict {
    let spec = suite.known()?.spec.clone();
    let Some(own) = secret(&spec.credentials).map(|own| own.expose().to_owned()) else {
        return Err(Stop::Skipped("the account has no password or token".into()));
    };
    need!(
        own.len() >= SHORTEST,
        "the secret is so short that it may occur by chance"
    );
    let mut seen: Vec<(&str, String)> = vec![("`describe`", format!("{:?}", suite.plugin.description()))];
    let mut source = suite.source().await?;
    let collections = source.collections().await.during("collections")?;
    seen.push(("`collections`", format!("{collections:?}")));
    let collection = largest(&mut source, suite.content()?).await?;
    let listing = walk(&mut source, &collection.id, None, 1000).await?;
    seen.extend(listing.upserted.iter().map(|meta| ("`changes`", texts(meta))));
    seen.extend(listing.cursors.iter().map(|cursor| ("a cursor", cursor.clone())));
    let mut ids: Vec<String> = listing.upserted.iter().take(5).map(|meta| meta.id.clone()).collect();
    ids.push("no such item".to_owned());
    match source.fetch(&collection.id, &ids).await {
        Ok(answers) => seen.extend(answers.into_iter().map(|answer| match answer {
            Ok(item) => ("`fetch`", texts(&item.meta)),
            Err(failure) => ("a failure of `fetch`", failure.to_string()),
        })),
        Err(failure) => seen.push(("a failure of `fetch`", failure.to_string())),
    }
    for (id, cursor) in [("no such collection", None), (collection.id.as_str(), Some("nonsense"))] {
        if let Err(failure) = source.changes(id, cursor, 10).await {
            seen.push(("a failure of `changes`", failure.to_string()));
        }
    }
    if let Some(failure) = first_failure(suite, &spoilt(&spec)?).await {
        seen.push(("a failure of `open`", failure.to_string()));
    }
    let found = seen
        .iter()
        .find(|(_, text)| text.contains(&own) || text.contains(WRONG));
    // The text itself stays unsaid here, too.
    check!(
        found.is_none(),
        "{} holds the secret of the account",
        found.map_or("", |(what, _)| what)
    );
    Ok(())
}

/// A hook, and what it takes.
async fn throttle(suite: &Suite<'_>, seconds: u64) -> Verdict {
    let Some(throttle) = &suite.known()?.hooks.throttle else {
        return Err(without("throttle"));
    };
    throttle(seconds).await.map_err(hook_failed("throttle"))
}

/// The failure of a listing while the provider wants to be left alone for a second, and the account afterwards.
async fn refused(suite: &mut Suite<'_>) -> Verdict<(Failure, Collection)> {
    if suite.known()?.hooks.throttle.is_none() {
        return Err(without("throttle"));
    }
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    throttle(suite, 1).await?;
    match source.changes(&collection.id, None, 10).await {
        Err(failure) => Ok((failure, collection)),
        Ok(page) => Err(Stop::Failed(format!(
            "the provider refused `changes` and asked to slow down, and a page of {} changes came, not throttled",
            page.changes.len()
        ))),
    }
}

/// Waits until the account can be read again, and gives what it then gives.
async fn recovered(suite: &mut Suite<'_>, collection: &Collection) -> Verdict<Vec<Bytes>> {
    let spec = &suite.known()?.spec;
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        match read_anew(suite, spec, collection).await {
            Ok(contents) => return Ok(contents),
            Err(Stop::Failed(text)) => last = text,
            Err(stop) => return Err(stop),
        }
        sleep(PAUSE).await;
    }
    Err(Stop::Failed(format!(
        "afterwards, the account cannot be read any more: {last}"
    )))
}

async fn read_anew(suite: &Suite<'_>, spec: &AccountSpec, collection: &Collection) -> Verdict<Vec<Bytes>> {
    let mut source = suite.plugin.source(spec).await.during("open")?;
    let listing = walk(&mut source, &collection.id, None, 1000).await?;
    contents(&mut source, &collection.id, &listing).await
}

async fn throttled(suite: &mut Suite<'_>) -> Verdict {
    let (failure, collection) = refused(suite).await?;
    let right = matches!(failure, Failure::Throttled { .. });
    let after = recovered(suite, &collection).await;
    check!(
        right,
        "the provider asked to slow down, and `changes` gave {:?} and not throttled: {failure}",
        failure.code()
    );
    after.map(drop)
}

async fn retry_after(suite: &mut Suite<'_>) -> Verdict {
    let (failure, collection) = refused(suite).await?;
    let after = recovered(suite, &collection).await;
    let Failure::Throttled { retry_after_ms, .. } = failure else {
        return Err(Stop::Skipped("it does not give throttled".into()));
    };
    let right = retry_after_ms.is_some_and(|time| (500..=5000).contains(&time));
    check!(
        right,
        "the provider said \"again in one second\", and throttled bears the time {retry_after_ms:?} (in ms)"
    );
    after.map(drop)
}

/// The contents of items, all of which have to be there.
async fn contents(source: &mut Source, collection: &str, listing: &Listing) -> Verdict<Vec<Bytes>> {
    let mut contents = Vec::with_capacity(listing.upserted.len());
    for batch in listing.upserted.chunks(50) {
        let ids: Vec<String> = batch.iter().map(|meta| meta.id.clone()).collect();
        let answers = source.fetch(collection, &ids).await.during("fetch")?;
        for (answer, id) in answers.into_iter().zip(&ids) {
            contents.push(bytes(&there(answer, id)?.content).await?);
        }
    }
    Ok(contents)
}

async fn cut(suite: &mut Suite<'_>) -> Verdict {
    let Some(cut) = &suite.known()?.hooks.cut else {
        return Err(without("cut"));
    };
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let listing = walk(&mut source, &collection.id, None, 1000).await?;
    let whole = contents(&mut source, &collection.id, &listing).await?;
    let ids: Vec<String> = listing.upserted.iter().take(5).map(|meta| meta.id.clone()).collect();
    need!(!ids.is_empty(), "no collection holds an item");
    cut(()).await.map_err(hook_failed("cut"))?;
    let asked = source.fetch(&collection.id, &ids).await;
    let verdict = match asked {
        Err(Failure::Unavailable(_)) => Ok(()),
        Err(other) => Err(Stop::Failed(format!(
            "an answer of the provider broke off, and `fetch` gave {:?} and not unavailable: {other}",
            other.code()
        ))),
        Ok(answers) => all_whole(answers, &whole).await,
    };
    let after = recovered(suite, &collection).await;
    verdict?;
    check!(after? == whole, "after an answer that broke off, other contents come");
    Ok(())
}

async fn all_whole(answers: Vec<Result<whimbrel_sandbox::Item, Failure>>, whole: &[Bytes]) -> Verdict {
    for (at, (answer, whole)) in answers.into_iter().zip(whole).enumerate() {
        match answer {
            Err(Failure::Unavailable(_)) => {}
            Err(other) => check!(
                false,
                "an answer of the provider broke off, and item {at} gave {:?} and not unavailable: {other}",
                other.code()
            ),
            Ok(item) => {
                let came = bytes(&item.content).await?;
                check!(
                    came == *whole,
                    "an answer of the provider broke off, and item {at} came in part: {} of {} bytes, as if whole",
                    came.len(),
                    whole.len()
                );
            }
        }
    }
    Ok(())
}

async fn bounds(suite: &mut Suite<'_>) -> Verdict {
    let activity = Activity::default();
    let spec = AccountSpec {
        activity: activity.clone(),
        ..suite.known()?.spec.clone()
    };
    let mut source = suite.plugin.source(&spec).await.during("open")?;
    for collection in source.collections().await.during("collections")? {
        if collection.selectable {
            let listing = walk(&mut source, &collection.id, None, 1000).await?;
            contents(&mut source, &collection.id, &listing).await?;
        }
    }
    let (usage, limits) = (activity.usage(), PluginLimits::default());
    check!(
        usage.is_quiet(),
        "reading ended {} calls in a trap, {} for their time and {} for their memory, and tried {} times what is not allowed",
        usage.traps,
        usage.timeouts,
        usage.memory_refusals,
        usage.attempts()
    );
    check!(
        usage.peak_memory <= limits.memory_bytes / 2,
        "reading took {} bytes of memory at its peak; more than half of the limit of {}",
        usage.peak_memory,
        limits.memory_bytes
    );
    let each = usage.computing_ms / usage.calls.max(1);
    let half = u64::try_from(limits.cpu.as_millis() / 2).unwrap_or(u64::MAX);
    check!(
        each <= half,
        "a call computed for {each} ms in the mean; more than half of the limit"
    );
    Ok(())
}

async fn settings(suite: &mut Suite<'_>) -> Verdict {
    let Some(previous) = &suite.subject.previous else {
        return Err(Stop::Skipped("no previous release was given".into()));
    };
    let spec = suite.known()?.spec.clone();
    // What the release before took is what an admin has: all of it, in one place or the other.
    let all = serde_json::Value::Object(spec.settings.clone());
    let empty = serde_json::Value::Object(serde_json::Map::new());
    let before = previous.check_settings(&all, &empty);
    let now = suite.plugin.check_settings(&all, &empty);
    let new: Vec<&String> = now.iter().filter(|problem| !before.contains(problem)).collect();
    check!(
        new.is_empty(),
        "settings that {} {} takes do not fit any more: {new:?}",
        previous.description().name,
        previous.description().version
    );
    previous
        .source(&spec)
        .await
        .during("opening with the previous release")?;
    suite.source().await.map(drop)
}

async fn cursors(suite: &mut Suite<'_>) -> Verdict {
    let Some(previous) = &suite.subject.previous else {
        return Err(Stop::Skipped("no previous release was given".into()));
    };
    let spec = suite.known()?.spec.clone();
    let mut before = previous
        .source(&spec)
        .await
        .during("opening with the previous release")?;
    let collection = largest(&mut before, suite.content()?).await?;
    let listing = walk(&mut before, &collection.id, None, 1000).await?;
    let mut source = suite.source().await?;
    match source.changes(&collection.id, listing.cursor(), 1000).await {
        Err(Failure::GenerationChanged) => Ok(()),
        Err(failure) => Err(Stop::Failed(format!(
            "`changes` with a cursor of {} gave {:?} and neither a page nor generation-changed: {failure}",
            previous.description().version,
            failure.code()
        ))),
        Ok(_) => {
            let delta = walk(&mut source, &collection.id, listing.cursor(), 1000).await?;
            let gone = delta.vanished.len();
            check!(
                delta.upserted.is_empty() && gone == 0,
                "nothing changed since the cursor of {}, but {} items are new and {gone} gone",
                previous.description().version,
                delta.upserted.len()
            );
            Ok(())
        }
    }
}

async fn renumbered(suite: &mut Suite<'_>) -> Verdict {
    let Some(renumber) = &suite.known()?.hooks.renumber else {
        return Err(without("renumber"));
    };
    let mut source = suite.source().await?;
    let collection = largest(&mut source, suite.content()?).await?;
    let listing = walk(&mut source, &collection.id, None, 1000).await?;
    let whole = contents(&mut source, &collection.id, &listing).await?;
    renumber(collection.clone()).await.map_err(hook_failed("renumber"))?;
    let mut anew = suite.source().await?;
    let collections = anew.collections().await.during("collections")?;
    let Some(now) = collections.iter().find(|now| now.path == collection.path) else {
        return Err(Stop::Failed(format!("{:?} is not listed any more", collection.path)));
    };
    check!(
        now.generation != collection.generation || now.id != collection.id,
        "all ids of {:?} became void, and its generation is {:?}, as before",
        collection.path,
        now.generation
    );
    if now.id == collection.id {
        match anew.changes(&collection.id, listing.cursor(), 1000).await {
            Err(Failure::GenerationChanged) => {}
            Err(other) => check!(
                false,
                "all ids became void, and `changes` with a cursor from before gave {:?} and not generation-changed: {other}",
                other.code()
            ),
            Ok(page) => check!(
                false,
                "all ids became void, and `changes` with a cursor from before gave a page of {} changes and not \
                 generation-changed",
                page.changes.len()
            ),
        }
    }
    let after = walk(&mut anew, &now.id, None, 1000).await?;
    let there = contents(&mut anew, &now.id, &after).await?;
    let same = tally(whole.iter().map(|content| &**content)) == tally(there.iter().map(|content| &**content));
    check!(
        same,
        "after all ids became void, a new listing has other contents than before"
    );
    Ok(())
}
