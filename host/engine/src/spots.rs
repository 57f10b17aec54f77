//! Where the items of a source collection go: its own counterpart, and what rules name beside it.

use std::collections::HashMap;

use whimbrel_ledger::{CollectionRecord, MailboxId, Target};
use whimbrel_model::{Collection, Failure, Limits};
use whimbrel_rules::Wanted;

use crate::{
    context::{Context, Halt},
    existing::Existing,
    lane::Lanes,
    routes::{key, resolve},
    shared::Turn,
};

/// A destination collection that a lane puts into.
pub struct Spot {
    /// Whose account it is in; none: the mailbox's own.
    pub account: Option<MailboxId>,
    /// What it is.
    pub target: Target,
    /// What goes there.
    pub limits: Limits,
    /// What it is made from again, should it be gone.
    pub template: Collection,
    /// What lay there before, once that was listed.
    pub existing: Option<Existing>,
    /// Where everything that is put from now on is listed after, and how many batches used that.
    pub watermark: Option<(String, u32)>,
    /// It was gone and made again, once.
    pub made_again: bool,
    /// Held while something is put there and until that is recorded.
    pub turn: Turn,
}

/// Number of a spot; the first is the collection's own counterpart.
pub type SpotId = usize;

/// All spots of one collection.
pub struct Spots {
    all: Vec<Spot>,
    wanted: HashMap<(Option<String>, Option<String>), Result<SpotId, Failure>>,
}

impl Spots {
    /// With the collection's own counterpart.
    pub fn new(context: &Context, collection: &CollectionRecord, target: Target, limits: &Limits) -> Self {
        Self {
            all: vec![Spot {
                account: None,
                turn: context.turns.at(context.id, &target.id),
                target,
                limits: limits.clone(),
                template: collection.source.clone(),
                existing: None,
                watermark: None,
                made_again: false,
            }],
            wanted: HashMap::new(),
        }
    }

    /// One of them.
    pub fn at(&mut self, id: SpotId) -> &mut Spot {
        &mut self.all[id]
    }

    /// Where the rules want an item: in this mailbox, in this collection; none: as without them. A place that cannot be
    /// had is a failure of the items that were to go there.
    pub async fn find(
        &mut self,
        context: &Context,
        lanes: &mut Lanes<'_>,
        mailbox: Option<&str>,
        wanted: Option<&Wanted>,
    ) -> Result<Result<SpotId, Failure>, Halt> {
        let mailbox = mailbox.filter(|name| *name != context.mailbox.name);
        if mailbox.is_none() && wanted.is_none() {
            return Ok(Ok(0));
        }
        let place = (mailbox.map(str::to_owned), wanted.map(key));
        if let Some(known) = self.wanted.get(&place) {
            return Ok(known.clone());
        }
        let made = match self.make(context, lanes, mailbox, wanted).await {
            Ok(spot) => {
                let same = self
                    .all
                    .iter()
                    .position(|other| (other.account, &other.target.id) == (spot.account, &spot.target.id));
                Ok(same.unwrap_or_else(|| {
                    self.all.push(spot);
                    self.all.len() - 1
                }))
            }
            Err(Halt::Failed { failure, .. }) if !failure.retry_may_help() => Err(failure),
            Err(halt) => return Err(halt),
        };
        self.wanted.insert(place, made.clone());
        Ok(made)
    }

    async fn make(
        &self,
        context: &Context,
        lanes: &mut Lanes<'_>,
        mailbox: Option<&str>,
        wanted: Option<&Wanted>,
    ) -> Result<Spot, Halt> {
        let own = &self.all[0];
        let account = match mailbox {
            None => None,
            Some(name) => {
                let known = context.options.rules.as_ref();
                if !known.is_some_and(|book| book.mailboxes.contains_key(name)) {
                    return Err(Halt::Failed {
                        side: "rules",
                        failure: Failure::Rules(format!(
                            "a rule sends messages to the mailbox `{name}`, which the settings do not name"
                        )),
                    });
                }
                Some(context.ledger.mailbox(name)?)
            }
        };
        let kind = own.template.kind;
        let lane = lanes.to(context, account)?;
        let limits = match account {
            None => own.limits.clone(),
            Some(_) => persist!(context, lane, |account| account.limits(kind))?,
        };
        // In another mailbox, a folder has the same purpose or path as in its own.
        let same = match own.template.role {
            Some(role) => Wanted::Role(role),
            None => Wanted::Path(own.template.path.clone()),
        };
        let wanted = wanted.unwrap_or(&same);
        let target = resolve(context, lane, account, wanted, &own.template, &limits).await?;
        Ok(Spot {
            account,
            turn: context.turns.at(account.unwrap_or(context.id), &target.id),
            template: Collection {
                path: target.path.clone(),
                role: None,
                ..own.template.clone()
            },
            target,
            limits,
            existing: None,
            watermark: None,
            made_again: false,
        })
    }
}
