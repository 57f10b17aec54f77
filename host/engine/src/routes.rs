//! Destination collections that rules name: found or made once, and remembered in the ledger.

use std::collections::{HashMap, hash_map::Entry};

use tokio::sync::Mutex;
use whimbrel_ledger::{Durability, MailboxId, Route, Target};
use whimbrel_model::{Collection, Failure, Limits, Role, display_path};
use whimbrel_rules::Wanted;

use crate::{
    context::{Context, Halt},
    lane::DestinationLane,
    names::{destination_path, standard_path},
    targets::ensure,
};

/// What a mailbox's rules led to so far.
#[derive(Default)]
pub struct Routes(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Whether those of earlier runs were looked up.
    loaded: bool,
    targets: HashMap<(Option<MailboxId>, String), Target>,
    /// Collections of the accounts, as they were before this run put anything there by rules.
    there: HashMap<Option<MailboxId>, Vec<Collection>>,
}

/// How the ledger names what the rules want.
pub fn key(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Path(path) => display_path(path),
        Wanted::Role(role) => format!("role:{role}"),
    }
}

/// The destination collection that the rules want, in the account of the lane: one that is there, or a new one.
pub async fn resolve(
    context: &Context,
    lane: &mut DestinationLane,
    account: Option<MailboxId>,
    wanted: &Wanted,
    source: &Collection,
    limits: &Limits,
) -> Result<Target, Halt> {
    let mut known = context.routes.0.lock().await;
    if !known.loaded {
        for route in context.ledger.routes(context.id)? {
            known.targets.insert((route.mailbox, route.wanted), route.target);
        }
        known.loaded = true;
    }
    let place = (account, key(wanted));
    if let Some(target) = known.targets.get(&place) {
        return Ok(target.clone());
    }
    if let Entry::Vacant(place) = known.there.entry(account) {
        place.insert(persist!(context, lane, |account| account.collections())?);
    }
    let there = known.there.get(&account).map(Vec::as_slice).unwrap_or_default();
    let made = make(context, lane, wanted, source, there, limits).await?;
    // The migration's own folders, and those that other rules led to, keep what is known of them.
    let own = context.ledger.collections(account.unwrap_or(context.id))?;
    let own = own.into_iter().filter_map(|record| record.target);
    let routed = known
        .targets
        .iter()
        .filter(|((other, _), _)| *other == account)
        .map(|(_, target)| target.clone());
    let existing = own.chain(routed).find(|target| target.id == made.id).map_or_else(
        || there.iter().any(|other| other.id == made.id && other.items != Some(0)),
        |target| target.existing,
    );
    let target = Target {
        id: made.id,
        path: made.path,
        generation: made.generation,
        existing,
    };
    let mut batch = context.ledger.batch(context.id);
    batch.event(
        "route-made",
        serde_json::json!({ "rules": place.1, "to": display_path(&target.path), "existing": existing }),
    );
    batch.route(Route {
        mailbox: account,
        wanted: place.1.clone(),
        target: target.clone(),
    });
    context.commit(batch, Durability::Later).await?;
    known.targets.insert(place, target.clone());
    Ok(target)
}

async fn make(
    context: &Context,
    lane: &mut DestinationLane,
    wanted: &Wanted,
    source: &Collection,
    there: &[Collection],
    limits: &Limits,
) -> Result<Collection, Halt> {
    let (path, role) = match wanted {
        Wanted::Role(role) => {
            if let Some(found) = there.iter().find(|other| other.selectable && other.role == Some(*role)) {
                return Ok(found.clone());
            }
            (standard_path(*role), Some(*role))
        }
        Wanted::Path(path) if path.is_empty() => {
            return Err(Halt::Failed {
                side: "rules",
                failure: Failure::Rules("a rule named a folder without a name".into()),
            });
        }
        Wanted::Path(path) => (path.clone(), inbox(path)),
    };
    let path = destination_path(&path, there, limits);
    if let Some(found) = there.iter().find(|other| other.selectable && other.path == path) {
        return Ok(found.clone());
    }
    let collection = Collection {
        id: String::new(),
        path: path.clone(),
        role,
        selectable: true,
        subscribed: true,
        attributes: Vec::new(),
        ..source.clone()
    };
    ensure(context, lane, &collection, &path, &Default::default()).await
}

/// INBOX is what it is by its name (RFC 9051, 5.1).
fn inbox(path: &[String]) -> Option<Role> {
    matches!(path, [only] if only.eq_ignore_ascii_case("INBOX")).then_some(Role::Inbox)
}
