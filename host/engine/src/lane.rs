//! A lane: one account that is opened when needed, and opened anew when its connection broke.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use whimbrel_ledger::MailboxId;
use whimbrel_model::Failure;

use crate::{
    Progress, Provider,
    connector::{Destination, Source},
    context::{Context, Halt},
};

/// The longest pause that is not the server's own wish.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest wish of a server that is granted within a run.
const LONGEST_WISH: Duration = Duration::from_secs(15 * 60);
/// How often in a row a connector's own fault is forgiven.
const FAULTS_FORGIVEN: u32 = 2;

/// How patient to be with a side that fails.
#[derive(Debug)]
pub struct Patience {
    side: &'static str,
    failed: u32,
}

impl Patience {
    fn new(side: &'static str) -> Self {
        Self { side, failed: 0 }
    }

    /// Something worked.
    pub fn reset(&mut self) {
        self.failed = 0;
    }

    /// Waits if trying again may help, else gives the failure back.
    pub async fn bear(&mut self, context: &Context, failure: Failure) -> Result<(), Halt> {
        let limit = match &failure {
            Failure::Internal(_) => context.options.retries.min(FAULTS_FORGIVEN),
            failure if failure.retry_may_help() => context.options.retries,
            _ => 0,
        };
        if self.failed >= limit {
            return Err(Halt::Failed {
                side: self.side,
                failure,
            });
        }
        let mut pause = context
            .options
            .first_pause
            .saturating_mul(1 << self.failed.min(10))
            .min(LONGEST_PAUSE);
        if let Failure::Throttled {
            retry_after_ms: Some(wish),
            ..
        } = &failure
        {
            let wish = Duration::from_millis(*wish);
            if wish > LONGEST_WISH {
                return Err(Halt::Failed {
                    side: self.side,
                    failure,
                });
            }
            pause = pause.max(wish);
        }
        self.failed += 1;
        context.observer.notify(Progress::Waiting {
            mailbox: &context.mailbox.name,
            reason: format!("{}: {failure}", self.side),
            milliseconds: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = context.stop.wait() => Err(Halt::Stopped),
        }
    }
}

/// A source account.
pub struct SourceLane {
    /// Of another mailbox than the one at work.
    other: Option<Arc<dyn Provider>>,
    account: Option<Box<dyn Source>>,
    /// With its failures.
    pub patience: Patience,
}

/// A destination account.
pub struct DestinationLane {
    /// Of another mailbox than the one at work.
    other: Option<Arc<dyn Provider>>,
    account: Option<Box<dyn Destination>>,
    /// With its failures.
    pub patience: Patience,
}

macro_rules! lane {
    ($lane:ident, $account:ident, $open:ident, $side:literal) => {
        impl $lane {
            /// Not opened yet.
            pub fn new() -> Self {
                Self {
                    other: None,
                    account: None,
                    patience: Patience::new($side),
                }
            }

            /// The account, opened if it is not.
            pub async fn open(&mut self, context: &Context) -> Result<&mut dyn $account, Failure> {
                if self.account.is_none() {
                    let provider = self.other.as_ref().unwrap_or(&context.mailbox.$open);
                    self.account = Some(provider.$open().await?);
                }
                match &mut self.account {
                    Some(account) => Ok(account.as_mut()),
                    None => Err(Failure::Internal(
                        "the account was opened and is not there".into(),
                    )),
                }
            }

            /// Drops the account if it may be broken, and waits if trying again may help.
            pub async fn recover(&mut self, context: &Context, failure: Failure) -> Result<(), Halt> {
                if failure.retry_may_help() {
                    self.account = None;
                }
                self.patience.bear(context, failure).await
            }
        }
    };
}

lane!(SourceLane, Source, source, "source");
lane!(DestinationLane, Destination, destination, "destination");

/// Lanes to one account, kept open from one step of a mailbox's work to the next.
pub struct Pool<L> {
    first: L,
    more: Vec<L>,
}

impl<L> Pool<L> {
    /// Of one lane.
    pub fn new(first: L) -> Self {
        Self {
            first,
            more: Vec::new(),
        }
    }

    /// The first lane.
    pub fn first(&mut self) -> &mut L {
        &mut self.first
    }

    /// The first lane alone.
    pub fn into_first(self) -> L {
        self.first
    }

    /// The first lane, and the others of so many.
    pub fn split(&mut self, lanes: usize, new: impl Fn() -> L) -> (&mut L, &mut [L]) {
        let more = lanes.saturating_sub(1);
        if self.more.len() < more {
            self.more.resize_with(more, new);
        }
        (&mut self.first, &mut self.more[..more])
    }

    /// Takes all of so many lanes but the first.
    pub fn take_more(&mut self, lanes: usize, new: impl Fn() -> L) -> Vec<L> {
        let more = lanes.saturating_sub(1);
        let mut taken = self.more.split_off(self.more.len().saturating_sub(more));
        taken.resize_with(more, new);
        taken
    }

    /// Gives lanes back.
    pub fn put_back(&mut self, lanes: Vec<L>) {
        self.more.extend(lanes);
    }
}

impl SourceLane {
    /// To another account, to read it; `side` is for messages.
    pub fn reading(provider: Arc<dyn Provider>, side: &'static str) -> Self {
        Self {
            other: Some(provider),
            account: None,
            patience: Patience::new(side),
        }
    }
}

/// Lanes to one mailbox's destination, and to those of other mailboxes that its rules send items to.
pub struct Lanes<'a> {
    own: &'a mut DestinationLane,
    others: HashMap<MailboxId, DestinationLane>,
}

impl<'a> Lanes<'a> {
    /// With a lane to the mailbox's own account.
    pub fn new(own: &'a mut DestinationLane) -> Self {
        Self {
            own,
            others: HashMap::new(),
        }
    }

    /// The lane to this account; none: the mailbox's own.
    pub fn to(&mut self, context: &Context, account: Option<MailboxId>) -> Result<&mut DestinationLane, Halt> {
        let Some(account) = account else { return Ok(self.own) };
        match self.others.entry(account) {
            Entry::Occupied(lane) => Ok(lane.into_mut()),
            Entry::Vacant(place) => {
                let mut lane = DestinationLane::new();
                lane.other = Some(context.provider_of(account)?);
                Ok(place.insert(lane))
            }
        }
    }
}

/// Calls an account until it works or trying again does not help. Only for calls that may be repeated.
macro_rules! persist {
    ($context:expr, $lane:expr, |$account:ident| $call:expr) => {
        loop {
            if $context.stop.stopped() {
                break Err($crate::context::Halt::Stopped);
            }
            let result = match $lane.open($context).await {
                Ok($account) => $call.await,
                Err(failure) => Err(failure),
            };
            match result {
                Ok(value) => {
                    $lane.patience.reset();
                    break Ok(value);
                }
                Err(failure) => {
                    if let Err(halt) = $lane.recover($context, failure).await {
                        break Err(halt);
                    }
                }
            }
        }
    };
}
