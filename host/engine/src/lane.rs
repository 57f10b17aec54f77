//! A lane: one account that is opened when needed, and opened anew when its connection broke.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use tokio::time::Instant;
use whimbrel_ledger::MailboxId;
use whimbrel_model::Failure;

use crate::{
    Provider,
    connector::{Destination, Source},
    context::{Context, Halt},
    faults::{
        class::{ERRORS_A_CONNECTION, Stage},
        history::Side,
        patience::{Fault, Patience},
    },
};

/// How it stands with the connection of a lane.
#[derive(Debug, Default)]
struct State {
    /// Between asking for the account and having it.
    opening: bool,
    /// It was open once.
    opened: bool,
    /// Until when nothing is tried at its server.
    held: Option<Instant>,
    /// Refusals of single items since it was opened.
    errors: u32,
}

/// A source account.
pub struct SourceLane {
    /// Of another mailbox than the one at work.
    other: Option<Arc<dyn Provider>>,
    account: Option<Box<dyn Source>>,
    state: State,
    /// With its failures.
    pub patience: Patience,
}

/// A destination account.
pub struct DestinationLane {
    /// Of another mailbox than the one at work.
    other: Option<Arc<dyn Provider>>,
    account: Option<Box<dyn Destination>>,
    state: State,
    /// With its failures.
    pub patience: Patience,
}

macro_rules! lane {
    ($lane:ident, $account:ident, $open:ident, $label:literal, $side:expr) => {
        impl $lane {
            /// Not opened yet.
            pub fn new() -> Self {
                Self {
                    other: None,
                    account: None,
                    state: State::default(),
                    patience: Patience::new($label, $side),
                }
            }

            fn provider(&self, context: &Context) -> Arc<dyn Provider> {
                Arc::clone(self.other.as_ref().unwrap_or(&context.mailbox.$open))
            }

            /// The account, opened if it is not.
            pub async fn open(&mut self, context: &Context) -> Result<&mut dyn $account, Failure> {
                self.state.held = None;
                if self.account.is_none() {
                    self.state.opening = true;
                    let own = self.other.is_none();
                    // Whichever connection was asked to wait: none comes before.
                    if let Some(until) = context.history.asked($side).filter(|_| own) {
                        self.state.held = Some(until);
                        return Err(asked_to_wait());
                    }
                    let provider = self.provider(context);
                    let pass = match provider.server() {
                        Some(server) => match context.breakers.enter(&server) {
                            Ok(pass) => Some(pass),
                            Err(until) => {
                                self.state.held = Some(until);
                                return Err(left_alone(&server));
                            }
                        },
                        None => None,
                    };
                    let opened = provider.$open().await;
                    if let Some(pass) = pass {
                        pass.done(opened.as_ref().err());
                    }
                    if let Err(failure) = &opened
                        && let Some(wish) = context.wish(failure).filter(|_| own)
                    {
                        context.history.note_asked($side, Instant::now() + wish);
                    }
                    self.account = Some(opened?);
                    self.state.errors = 0;
                    self.state.opened = true;
                    if own {
                        context.history.note_opened($side);
                    }
                }
                self.state.opening = false;
                match &mut self.account {
                    Some(account) => Ok(account.as_mut()),
                    None => Err(Failure::Internal(
                        "the account was opened and is not there".into(),
                    )),
                }
            }

            /// Whether the connection broke in the midst of work, and did not fail to come about.
            pub fn was_open(&self) -> bool {
                !self.state.opening
            }

            /// What a failure of the last call is, for a [`Patience`].
            pub fn fault(&self, context: &Context, failure: Failure) -> Fault {
                let own = self.other.is_none();
                let server = self.provider(context).server();
                Fault {
                    failure,
                    stage: Stage {
                        opening: self.state.opening,
                        opened: self.state.opened || own && context.history.opened($side),
                        reached: server.is_some_and(|server| context.breakers.reached(&server)),
                    },
                    held: self.state.held,
                }
            }

            /// Drops the account if it may be broken.
            pub fn drop_broken(&mut self, failure: &Failure) {
                if failure.retry_may_help() || matches!(failure, Failure::Unauthenticated(_)) {
                    self.account = None;
                }
            }

            /// Drops the account if it may be broken, and waits if trying again may help.
            pub async fn recover(&mut self, context: &Context, failure: Failure) -> Result<(), Halt> {
                self.drop_broken(&failure);
                let fault = self.fault(context, failure);
                self.patience.bear(context, fault).await
            }

            /// So many items were refused. Some servers end a connection after ten refusals: before that, another is taken.
            pub fn refused(&mut self, items: usize) {
                self.state.errors = self
                    .state
                    .errors
                    .saturating_add(u32::try_from(items).unwrap_or(u32::MAX));
                if self.state.errors >= ERRORS_A_CONNECTION {
                    self.account = None;
                }
            }
        }
    };
}

lane!(SourceLane, Source, source, "source", Side::Source);
lane!(
    DestinationLane,
    Destination,
    destination,
    "destination",
    Side::Destination
);

fn asked_to_wait() -> Failure {
    Failure::Throttled {
        retry_after_ms: None,
        reason: "it asked to wait before another connection is opened".to_owned(),
    }
}

fn left_alone(server: &str) -> Failure {
    Failure::Unavailable(format!(
        "several connections in a row to {server} failed: nothing is tried there for a while"
    ))
}

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
    /// To another account, to read it; `label` is for messages.
    pub fn reading(provider: Arc<dyn Provider>, label: &'static str) -> Self {
        Self {
            other: Some(provider),
            account: None,
            state: State::default(),
            patience: Patience::new(label, Side::Source),
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
