//! Ctrl-C and SIGTERM.

use std::future::Future;
use std::io;

use tokio::task::JoinHandle;
use whimbrel_engine::Stop;

use crate::exit::Exit;
use crate::output::complain;
use crate::problem::Result;

/// Stops `stop` at the first signal, so that what is under way is finished and recorded; ends the process at the second.
/// That is harmless too: a crash at any moment is.
/// The watch ends when what it returns is dropped.
#[must_use]
pub fn watch(stop: Stop) -> Watch {
    Watch(tokio::spawn(async move {
        if signal().await.is_err() {
            return;
        }
        complain("stopping: what is under way is being finished and recorded; once more ends it at once");
        stop.stop();
        if signal().await.is_ok() {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
    }))
}

/// A watch for signals.
pub struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs something that only looks, until a signal comes.
pub async fn or(work: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    tokio::select! {
        result = work => result,
        Ok(()) = signal() => {
            complain("interrupted; nothing was changed");
            Ok(Exit::Interrupted)
        }
    }
}

/// The next signal that asks to stop.
#[cfg(unix)]
async fn signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// The next signal that asks to stop.
#[cfg(not(unix))]
async fn signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
