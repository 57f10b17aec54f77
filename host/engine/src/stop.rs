//! Stopping a run cleanly.

use std::sync::Arc;

use tokio::sync::watch;

/// A wish to stop; cheap to clone. Batches under way are finished and recorded, nothing new is begun.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Nobody wants to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether to stop.
    pub fn stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once somebody wants to stop.
    pub async fn wait(&self) {
        let mut seen = self.0.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        let _ = seen.wait_for(|stopped| *stopped).await;
    }
}
