//! Logging to standard error, above the progress bars.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::progress;

/// The environment variable that refines what is logged, in the syntax of `tracing_subscriber::EnvFilter`.
const VARIABLE: &str = "WHIMBREL_LOG";

/// Starts logging: warnings of our own crates always, more with every `-v`; JSON lines with `--json`.
pub fn start(verbose: u8, json: bool) {
    let filter = match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => {
            EnvFilter::try_new(&text).unwrap_or_else(|_| EnvFilter::new(directives(verbose)))
        }
        _ => EnvFilter::new(directives(verbose)),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Above)
        .with_target(verbose > 1)
        .with_ansi(false);
    // A second start (in tests) changes nothing.
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}

/// Other people's crates stay silent: what they log is not ours to vouch for.
fn directives(verbose: u8) -> String {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // What keeps a mailbox from being finished stands in the report already.
    let engine = if verbose == 0 { "error" } else { level };
    [
        ("whimbrel", level),
        ("whimbrel_engine", engine),
        ("whimbrel_sandbox", level),
        ("whimbrel_wire", level),
        ("whimbrel_ledger", level),
    ]
    .map(|(target, level)| format!("{target}={level}"))
    .join(",")
}

/// Writes whole events without tearing the progress bars.
#[derive(Clone, Copy)]
struct Above;

impl<'a> MakeWriter<'a> for Above {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::above(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_a_valid_filter() {
        for verbose in 0..5 {
            assert!(EnvFilter::try_new(directives(verbose)).is_ok());
        }
    }
}
