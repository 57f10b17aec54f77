//! Log lines of plugins, capped in size and rate.

use std::time::Instant;

use wasmtime::Result;

use crate::Attempt;
use crate::activity::Interface;
use crate::bindings::whimbrel::connector::log;
use crate::convert::clean;
use crate::instance::State;
use crate::trace::Seen;

/// Bytes of a line, its fields included.
pub(crate) const LINE: usize = 4 << 10;
/// Lines that may come at once.
const BURST: f64 = 500.0;
/// Lines a second in the long run.
const RATE: f64 = 50.0;

/// How many lines an instance may still write: a bucket that fills again with time.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: f64,
    at: Instant,
    dropped: u64,
}

impl Allowance {
    pub(crate) fn new() -> Self {
        Self {
            left: BURST,
            at: Instant::now(),
            dropped: 0,
        }
    }

    /// Whether a line may be written now; if so, how many were dropped before it.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u64> {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + elapsed * RATE).min(BURST);
        if self.left < 1.0 {
            self.dropped += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// The fields as `name=value`, cut to what a line may have.
fn render(fields: &[(String, String)], room: usize) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if out.len() >= room {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&clean(name, 64));
        out.push('=');
        out.push_str(&clean(value, room.saturating_sub(out.len())));
    }
    out
}

impl log::Host for State {
    async fn write(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) -> Result<()> {
        self.activity.host_call(Interface::Log);
        let Some(dropped) = self.log.take(Instant::now()) else {
            self.activity.refuse(Attempt::Flood, "more log lines than are taken");
            return Ok(());
        };
        let plugin = self.grants.plugin();
        let mailbox = self.grants.mailbox();
        if dropped > 0 {
            tracing::warn!(
                plugin,
                mailbox,
                dropped,
                "log lines of the plugin were dropped: it writes too many"
            );
        }
        let message = clean(&message, LINE);
        let fields = render(&fields, LINE.saturating_sub(message.len()));
        self.activity.tell(|| Seen::Log {
            level: match level {
                log::Level::Trace => "trace",
                log::Level::Debug => "debug",
                log::Level::Info => "info",
                log::Level::Warn => "warn",
                log::Level::Error => "error",
            },
            text: format!("{message} {fields}").trim_end().to_owned(),
        });
        match level {
            log::Level::Trace => tracing::trace!(plugin, mailbox, fields, "{message}"),
            log::Level::Debug => tracing::debug!(plugin, mailbox, fields, "{message}"),
            log::Level::Info => tracing::info!(plugin, mailbox, fields, "{message}"),
            log::Level::Warn => tracing::warn!(plugin, mailbox, fields, "{message}"),
            log::Level::Error => tracing::error!(plugin, mailbox, fields, "{message}"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut allowance = Allowance::new();
        let now = allowance.at;
        let passed = (0..10_000).filter(|_| allowance.take(now).is_some()).count();
        assert_eq!(passed, 500);
        assert_eq!(allowance.take(now + Duration::from_secs(1)), Some(9500));
        assert_eq!(allowance.take(now + Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn fields_share_one_line() {
        let fields = vec![
            ("a\nb".to_owned(), "1\r\n2".to_owned()),
            ("c".to_owned(), "x".repeat(10_000)),
        ];
        let line = render(&fields, 100);
        assert!(line.starts_with("a b=1  2 c=xxx") && line.len() <= 110, "{line}");
    }
}
