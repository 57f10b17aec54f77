//! A circuit breaker for each server: after several connections in a row that failed, nothing is tried there for a
//! while; then one mailbox looks whether it is back, and the others follow when it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use whimbrel_model::Failure;

use super::class::{Class, FAILED_CONNECTIONS};

/// The breakers of a run, by server.
#[derive(Debug, Default)]
pub struct Breakers {
    servers: Mutex<HashMap<String, Breaker>>,
    scale: f64,
}

/// What is known of a server.
#[derive(Debug, Clone, Copy, Default)]
struct Breaker {
    /// Connections in a row that failed.
    failed: u32,
    /// Whether one ever came about.
    reached: bool,
    /// Nothing is tried before; then one probe.
    until: Option<Instant>,
    /// Pauses so far, without success in between.
    pauses: u32,
    /// Somebody is looking whether it is back.
    probed: bool,
}

impl Breakers {
    /// Pauses are multiplied by `scale`.
    pub fn new(scale: f64) -> Self {
        Self {
            servers: Mutex::default(),
            scale,
        }
    }

    fn with<T>(&self, server: &str, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        change(servers.entry(server.to_owned()).or_default())
    }

    /// Whether a connection to it came about in this run.
    pub fn reached(&self, server: &str) -> bool {
        self.with(server, |breaker| breaker.reached)
    }

    /// Leave to connect; or until when there is none.
    pub fn enter(self: &Arc<Self>, server: &str) -> Result<Pass, Instant> {
        let now = Instant::now();
        let pause = self.pause(1);
        let probe = self.with(server, |breaker| match breaker.until {
            None => Ok(false),
            Some(until) if now < until => Err(until),
            // Who looks may take as long as a connection takes.
            Some(_) if breaker.probed => Err(now + pause),
            Some(_) => {
                breaker.probed = true;
                Ok(true)
            }
        })?;
        Ok(Pass {
            breakers: Arc::clone(self),
            server: server.to_owned(),
            probe,
            told: false,
        })
    }

    fn pause(&self, pauses: u32) -> Duration {
        let pause = Class::ServerPaused.row().then.park(pauses.saturating_sub(1));
        pause.unwrap_or_default().mul_f64(self.scale)
    }

    fn tell(&self, server: &str, failed: bool) {
        let now = Instant::now();
        self.with(server, |breaker| {
            breaker.probed = false;
            if !failed {
                *breaker = Breaker {
                    reached: true,
                    ..Breaker::default()
                };
                return;
            }
            breaker.failed += 1;
            // Those that were under way when it opened do not make it longer.
            if breaker.failed >= FAILED_CONNECTIONS && breaker.until.is_none_or(|until| until <= now) {
                breaker.pauses += 1;
                breaker.until = Some(now + self.pause(breaker.pauses));
                tracing::info!(server, pauses = breaker.pauses, "a server is left alone for a while");
            }
        });
    }
}

/// Leave to connect to a server once.
#[derive(Debug)]
pub struct Pass {
    breakers: Arc<Breakers>,
    server: String,
    probe: bool,
    told: bool,
}

impl Pass {
    /// How it went: a server that refuses a login is there.
    pub fn done(mut self, failure: Option<&Failure>) {
        self.told = true;
        let failed = matches!(failure, Some(Failure::Unavailable(_) | Failure::Throttled { .. }));
        self.breakers.tell(&self.server, failed);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // Given up in the middle: somebody else may look.
        if self.probe && !self.told {
            self.breakers.with(&self.server, |breaker| breaker.probed = false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "mail.example:993";

    fn gone() -> Failure {
        Failure::Unavailable("refused".into())
    }

    fn fail(breakers: &Arc<Breakers>, times: u32) {
        for _ in 0..times {
            breakers.enter(SERVER).unwrap().done(Some(&gone()));
        }
    }

    async fn until(breakers: &Arc<Breakers>) -> Duration {
        let until = breakers.enter(SERVER).unwrap_err();
        until - Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_only() {
        let breakers = Arc::new(Breakers::new(1.0));
        fail(&breakers, 4);
        assert!(!breakers.reached(SERVER));
        breakers.enter(SERVER).unwrap().done(None);
        assert!(breakers.reached(SERVER));
        fail(&breakers, 4);
        breakers
            .enter(SERVER)
            .unwrap()
            .done(Some(&Failure::Unauthenticated("no".into())));
        fail(&breakers, 5);
        assert_eq!(until(&breakers).await.as_secs(), 30);
        assert!(breakers.enter("other:993").is_ok(), "other servers are not concerned");
    }

    #[tokio::test(start_paused = true)]
    async fn one_looks_the_others_wait_and_pauses_grow() {
        let breakers = Arc::new(Breakers::new(1.0));
        breakers.enter(SERVER).unwrap().done(None);
        fail(&breakers, 5);
        tokio::time::advance(Duration::from_secs(30)).await;
        let probe = breakers.enter(SERVER).unwrap();
        assert!(breakers.enter(SERVER).is_err(), "one at a time");
        drop(probe);
        let probe = breakers.enter(SERVER).expect("the first gave up");
        probe.done(Some(&gone()));
        assert_eq!(until(&breakers).await.as_secs(), 60);
        tokio::time::advance(Duration::from_secs(60)).await;
        breakers.enter(SERVER).unwrap().done(None);
        let (one, other) = (breakers.enter(SERVER), breakers.enter(SERVER));
        assert!(one.is_ok() && other.is_ok(), "it is closed again");
        fail(&breakers, 5);
        assert_eq!(until(&breakers).await.as_secs(), 30, "and begins from the start");
    }

    #[tokio::test(start_paused = true)]
    async fn late_failures_do_not_prolong_a_pause() {
        let breakers = Arc::new(Breakers::new(1.0));
        let under_way: Vec<Pass> = (0..9).map(|_| breakers.enter(SERVER).unwrap()).collect();
        for pass in under_way {
            pass.done(Some(&gone()));
        }
        assert_eq!(until(&breakers).await.as_secs(), 30);
    }
}
