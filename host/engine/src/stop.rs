//! Stopping a run cleanly.

use std::sync::Arc;

use tokio::sync::watch;

/// A wish to stop; cheap to clone. Batches under way are finished and recorded, nothing new is begun.
#[derive(Debug, Clone)]
pub struct Stop {
    own: Arc<watch::Sender<bool>>,
    /// What stops this one too.
    above: Option<Box<Stop>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            own: Arc::new(watch::Sender::new(false)),
            above: None,
        }
    }
}

impl Stop {
    /// Nobody wants to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that stops when this one does, and can be stopped alone.
    pub fn below(&self) -> Self {
        Self {
            above: Some(Box::new(self.clone())),
            ..Self::default()
        }
    }

    /// From now on, stop.
    pub fn stop(&self) {
        self.own.send_replace(true);
    }

    /// Whether to stop.
    pub fn stopped(&self) -> bool {
        *self.own.borrow() || self.above.as_ref().is_some_and(|above| above.stopped())
    }

    /// Returns once somebody wants to stop.
    pub async fn wait(&self) {
        let own = async {
            let mut seen = self.own.subscribe();
            // The sender lives in `self`: waiting cannot fail.
            let _ = seen.wait_for(|stopped| *stopped).await;
        };
        match &self.above {
            Some(above) => {
                tokio::select! {
                    () = own => {}
                    () = Box::pin(above.wait()) => {}
                }
            }
            None => own.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_above_stops_what_is_below_and_not_the_other_way() {
        let above = Stop::new();
        let (one, other) = (above.below(), above.below());
        one.stop();
        one.wait().await;
        assert!(one.stopped() && !above.stopped() && !other.stopped());
        above.stop();
        other.wait().await;
        assert!(other.stopped());
    }
}
