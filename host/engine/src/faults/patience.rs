//! Whether to wait after a failure, and how long.

use std::time::Duration;

use tokio::time::Instant;
use whimbrel_model::Failure;

use super::{
    class::{Class, PARKED_ABOVE, Row, Stage},
    history::Side,
};
use crate::{
    Progress,
    context::{Context, Halt},
    report::Problem,
};

/// How patient to be with a side that fails.
#[derive(Debug)]
pub struct Patience {
    label: &'static str,
    side: Side,
    failed: u32,
    jitter: Option<fastrand::Rng>,
}

/// What failed.
#[derive(Debug)]
pub struct Fault {
    /// How.
    pub failure: Failure,
    /// Where.
    pub stage: Stage,
    /// Nothing is tried at the server before: the failure only says so.
    pub held: Option<Instant>,
}

impl Patience {
    /// With a side; `label` is for messages.
    pub fn new(label: &'static str, side: Side) -> Self {
        Self {
            label,
            side,
            failed: 0,
            jitter: None,
        }
    }

    /// Something worked.
    pub fn reset(&mut self) {
        self.failed = 0;
    }

    /// Waits if trying again may help, and parks the mailbox where that would take long; else gives the failure back.
    pub async fn bear(&mut self, context: &Context, fault: Fault) -> Result<(), Halt> {
        let Fault { failure, stage, held } = fault;
        let mut row = Class::of(&failure, stage).row();
        // Counted for the mailbox, whatever the lane and the turn.
        let failed = match row.class {
            Class::NeverReached => context.history.note_unreached(self.side),
            _ => self.failed,
        };
        let over = failed >= row.tries(context.options.retries);
        if let Some(until) = held
            && !(row.class == Class::NeverReached && over)
        {
            if row.class != Class::Throttled {
                row = Class::ServerPaused.row();
            }
            let pause = until.saturating_duration_since(Instant::now());
            return self.wait(context, row, failure, pause).await;
        }
        if over {
            let Some(pause) = row.then.park(context.history.parks()).filter(|_| context.may_park) else {
                return Err(self.fail(failure));
            };
            let pause = self.part(context, pause, 0.5);
            let pause = scaled(context, pause);
            let pause = pause.max(self.wished(context, &failure));
            return Err(self.park(context, row, &failure, pause));
        }
        let pause = self.part(context, row.pause(failed), 0.0);
        let pause = scaled(context, pause).max(self.wished(context, &failure));
        self.failed += 1;
        self.wait(context, row, failure, pause).await
    }

    fn fail(&self, failure: Failure) -> Halt {
        Halt::Failed {
            side: self.label,
            failure,
        }
    }

    /// Between this share of a pause and all of it, so that those who failed together do not come back together.
    fn part(&mut self, context: &Context, pause: Duration, least: f64) -> Duration {
        let jitter = self.jitter.get_or_insert_with(|| context.jitter());
        pause.mul_f64(least + (1.0 - least) * jitter.f64())
    }

    /// The least that the server wishes for, within reason, and a little more.
    fn wished(&mut self, context: &Context, failure: &Failure) -> Duration {
        let Some(wish) = context.wish(failure) else {
            return Duration::ZERO;
        };
        wish + self.part(context, wish / 10, 0.0)
    }

    async fn wait(
        &mut self,
        context: &Context,
        row: &'static Row,
        failure: Failure,
        pause: Duration,
    ) -> Result<(), Halt> {
        if pause > PARKED_ABOVE && context.may_park {
            return Err(self.park(context, row, &failure, pause));
        }
        context.observer.notify(Progress::Waiting {
            mailbox: &context.mailbox.name,
            reason: format!("{}: {failure}", self.label),
            milliseconds: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = context.stop.wait() => Err(Halt::Stopped),
        }
    }

    fn park(&self, context: &Context, row: &Row, failure: &Failure, pause: Duration) -> Halt {
        context.park(row.class, Problem::new(None, self.label, failure), pause)
    }
}

fn scaled(context: &Context, pause: Duration) -> Duration {
    pause.mul_f64(context.options.faults.scale)
}
