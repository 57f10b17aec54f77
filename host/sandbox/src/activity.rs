//! What a connector used and tried, for whoever wants to tell the admin.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::convert::clean;
use crate::trace::{Seen, Watch, Watcher};

/// Different attempts of one account that are remembered; further ones are only counted.
const MOST_ATTEMPTS: usize = 32;

/// Bytes of what is remembered of one.
const MOST_TEXT: usize = 160;

/// What a connector tried and may not. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// A connection to a host or port that is not granted.
    Connect,
    /// A connection without encryption that the settings do not allow.
    ClearText,
    /// The folder of a setting that is not granted.
    Folder,
    /// A path that leads out of a granted folder.
    Outside,
    /// Altering a source, or a folder that is granted for reading.
    Write,
    /// More than its limits allow, or what the contract forbids.
    Misuse,
    /// More lines than the log takes.
    Flood,
    /// An answer that cannot be true, or is larger than it may be.
    Lie,
}

/// An attempt that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What sort.
    pub attempt: Attempt,
    /// What was tried; cut and fit for a terminal.
    pub what: String,
    /// How often.
    pub count: u64,
}

/// Why a call was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Trap,
    Time,
    Memory,
}

/// The interfaces that the host gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interface {
    Blobs,
    Files,
    Http,
    Imap,
    Log,
    Tcp,
}

impl Interface {
    /// As the contract calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Blobs => "blobs",
            Self::Files => "files",
            Self::Http => "http",
            Self::Imap => "imap",
            Self::Log => "log",
            Self::Tcp => "tcp",
        }
    }
}

/// How often a connector called the host, by interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs)] // The names are those of the contract.
pub struct HostCalls {
    pub blobs: u64,
    pub files: u64,
    pub http: u64,
    pub imap: u64,
    pub log: u64,
    pub tcp: u64,
}

/// What an account's connector used and tried so far; stable JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Calls of the connector.
    pub calls: u64,
    /// Milliseconds that it computed.
    pub computing_ms: u64,
    /// The most memory that one of its instances had, in bytes.
    pub peak_memory: u64,
    /// Instances that were started.
    pub instances: u64,
    /// Its calls of the host.
    pub host_calls: HostCalls,
    /// Bytes of bodies that it read into its memory.
    pub bytes_in: u64,
    /// Bytes of bodies that it made from its memory.
    pub bytes_out: u64,
    /// Calls that ended in a trap.
    pub traps: u64,
    /// Calls that were ended because they took too long.
    pub timeouts: u64,
    /// Calls that were ended because they wanted too much memory.
    pub memory_refusals: u64,
    /// What it tried and may not, in the order of the first time.
    pub refused: Vec<Refusal>,
    /// Further attempts that are not listed.
    pub refused_more: u64,
}

impl Usage {
    /// Whether everything went as it should.
    pub fn is_quiet(&self) -> bool {
        self.traps + self.timeouts + self.memory_refusals + self.refused_more == 0 && self.refused.is_empty()
    }

    /// Attempts that were refused, all together.
    pub fn attempts(&self) -> u64 {
        self.refused.iter().map(|refusal| refusal.count).sum::<u64>() + self.refused_more
    }
}

/// Counts for one account. Clones of an [`crate::AccountSpec`] share it.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    computing_us: AtomicU64,
    peak_memory: AtomicU64,
    instances: AtomicU64,
    blobs: AtomicU64,
    files: AtomicU64,
    http: AtomicU64,
    imap: AtomicU64,
    log: AtomicU64,
    tcp: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    traps: AtomicU64,
    timeouts: AtomicU64,
    memory_refusals: AtomicU64,
    refused: Mutex<Refused>,
    watch: Watch,
}

#[derive(Debug, Default)]
struct Refused {
    known: Vec<Refusal>,
    more: u64,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Activity {
    /// Counts, and tells `watcher` what the connector does.
    pub fn watched(watcher: Watcher) -> Self {
        Self(Arc::new(Counters {
            watch: Watch(Some(watcher)),
            ..Counters::default()
        }))
    }

    /// Whether somebody wants to know.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.watch.0.is_some()
    }

    /// Tells the watcher, where there is one.
    pub(crate) fn tell(&self, seen: impl FnOnce() -> Seen) {
        if let Some(watcher) = &self.0.watch.0 {
            watcher(&seen());
        }
    }

    /// What was counted so far.
    pub fn usage(&self) -> Usage {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let all = &self.0;
        let refused = self.refused();
        Usage {
            calls: of(&all.calls),
            computing_ms: of(&all.computing_us) / 1000,
            peak_memory: of(&all.peak_memory),
            instances: of(&all.instances),
            host_calls: HostCalls {
                blobs: of(&all.blobs),
                files: of(&all.files),
                http: of(&all.http),
                imap: of(&all.imap),
                log: of(&all.log),
                tcp: of(&all.tcp),
            },
            bytes_in: of(&all.bytes_in),
            bytes_out: of(&all.bytes_out),
            traps: of(&all.traps),
            timeouts: of(&all.timeouts),
            memory_refusals: of(&all.memory_refusals),
            refused: refused.known.clone(),
            refused_more: refused.more,
        }
    }

    pub(crate) fn call(&self) {
        add(&self.0.calls, 1);
    }

    pub(crate) fn instance(&self) {
        add(&self.0.instances, 1);
    }

    pub(crate) fn host_call(&self, interface: Interface) {
        let counter = match interface {
            Interface::Blobs => &self.0.blobs,
            Interface::Files => &self.0.files,
            Interface::Http => &self.0.http,
            Interface::Imap => &self.0.imap,
            Interface::Log => &self.0.log,
            Interface::Tcp => &self.0.tcp,
        };
        add(counter, 1);
    }

    /// A call of the host that takes no time: counted and told.
    pub(crate) fn quick_call(&self, interface: Interface, function: &'static str) {
        self.host_call(interface);
        self.tell(|| Seen::HostCall {
            interface: interface.name(),
            function,
            took: Duration::ZERO,
            note: String::new(),
        });
    }

    pub(crate) fn computed(&self, time: Duration) {
        add(
            &self.0.computing_us,
            u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
        );
    }

    pub(crate) fn memory(&self, bytes: u64) {
        self.0.peak_memory.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(crate) fn took_in(&self, bytes: usize) {
        add(&self.0.bytes_in, bytes as u64);
    }

    pub(crate) fn gave_out(&self, bytes: usize) {
        add(&self.0.bytes_out, bytes as u64);
    }

    pub(crate) fn fault(&self, fault: Fault) {
        let counter = match fault {
            Fault::Trap => &self.0.traps,
            Fault::Time => &self.0.timeouts,
            Fault::Memory => &self.0.memory_refusals,
        };
        add(counter, 1);
    }

    /// Something was refused.
    pub(crate) fn refuse(&self, attempt: Attempt, what: &str) {
        let what = clean(what, MOST_TEXT);
        let mut refused = self.refused();
        let alike = |refusal: &Refusal| refusal.attempt == attempt && refusal.what == what;
        if let Some(at) = refused.known.iter().position(alike) {
            let refusal = &mut refused.known[at];
            refusal.count = refusal.count.saturating_add(1);
        } else if refused.known.len() < MOST_ATTEMPTS {
            refused.known.push(Refusal {
                attempt,
                what,
                count: 1,
            });
        } else {
            refused.more = refused.more.saturating_add(1);
        }
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_and_bounded() {
        let activity = Activity::default();
        assert!(activity.usage().is_quiet());
        let other = activity.clone();
        for _ in 0..3 {
            other.refuse(Attempt::Connect, "evil.example:993");
        }
        other.refuse(Attempt::Outside, "evil.example:993");
        for number in 0..100 {
            other.refuse(Attempt::Folder, &format!("setting{number}"));
        }
        let usage = activity.usage();
        assert_eq!(usage.refused.len(), MOST_ATTEMPTS);
        assert_eq!(
            (usage.refused[0].attempt, usage.refused[0].count),
            (Attempt::Connect, 3)
        );
        assert_eq!(usage.attempts(), 104);
        assert!(!usage.is_quiet());
    }

    #[test]
    fn what_was_tried_is_cut_and_drives_no_terminal() {
        let activity = Activity::default();
        activity.refuse(Attempt::Connect, &format!("\u{1b}[2J\u{202e}{}", "x".repeat(10_000)));
        let what = activity.usage().refused.remove(0).what;
        assert!(what.starts_with(" [2J x") && what.len() < 200, "{what:?}");
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let activity = Activity::default();
        activity.call();
        activity.computed(Duration::from_micros(2500));
        activity.memory(10);
        activity.memory(7);
        activity.host_call(Interface::Imap);
        activity.refuse(Attempt::ClearText, "mail.example:143");
        assert_eq!(
            serde_json::to_string(&activity.usage()).unwrap(),
            r#"{"calls":1,"computing_ms":2,"peak_memory":10,"instances":0,"host_calls":{"blobs":0,"files":0,"http":0,"imap":1,"log":0,"tcp":0},"bytes_in":0,"bytes_out":0,"traps":0,"timeouts":0,"memory_refusals":0,"refused":[{"attempt":"clear-text","what":"mail.example:143","count":1}],"refused_more":0}"#
        );
    }
}
