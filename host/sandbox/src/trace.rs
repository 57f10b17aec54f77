//! What a connector does, call by call, for whoever writes one.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Activity;
use crate::activity::Interface;

/// What was seen of a connector. Texts are cut and fit for a terminal; they may name mailboxes, paths and addresses, and
/// never hold a secret or the content of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It called the host, which has answered.
    HostCall {
        /// The interface of the contract, e.g. `http`.
        interface: &'static str,
        /// The function, with its resource where it has one, e.g. `folder.read`.
        function: &'static str,
        /// From the call to the answer.
        took: Duration,
        /// What was asked, and how large the answer is.
        note: String,
    },
    /// It wrote a line to the log.
    Log {
        /// `trace` to `error`.
        level: &'static str,
        /// The line with its fields.
        text: String,
    },
    /// A call of it ended in a trap or at a limit.
    Fault {
        /// The function of the contract that was called.
        call: &'static str,
        /// What ended it: "it …".
        reason: String,
        /// The connector's own functions, innermost first, by name where the component kept its names.
        stack: Vec<String>,
    },
}

/// Is told what a connector does, in the order in which it does it. Called in the midst of calls: it is to be quick.
pub type Watcher = Arc<dyn Fn(&Seen) + Send + Sync>;

/// A watcher, where there is one.
#[derive(Clone, Default)]
pub(crate) struct Watch(pub Option<Watcher>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watch(on)" } else { "Watch(off)" })
    }
}

/// A call of the host under way that is watched; told when it is dropped.
pub(crate) struct Observed {
    activity: Activity,
    interface: Interface,
    function: &'static str,
    since: Instant,
    note: String,
}

impl Observed {
    /// None where nobody watches.
    pub(crate) fn new(activity: &Activity, interface: Interface, function: &'static str) -> Option<Self> {
        activity.is_watched().then(|| Self {
            activity: activity.clone(),
            interface,
            function,
            since: Instant::now(),
            note: String::new(),
        })
    }

    pub(crate) fn note(&mut self, text: &str) {
        if !self.note.is_empty() {
            self.note.push_str(", ");
        }
        self.note.push_str(&crate::convert::clean(text, 300));
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.activity.tell(|| Seen::HostCall {
            interface: self.interface.name(),
            function: self.function,
            took: self.since.elapsed(),
            note: std::mem::take(&mut self.note),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_is_watched_is_told_in_order_and_cleaned() {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let told = Arc::clone(&seen);
        let activity = Activity::watched(Arc::new(move |event| told.lock().unwrap().push(event.clone())));
        let mut call = Observed::new(&activity, Interface::Http, "send").unwrap();
        call.note("GET /a\u{1b}[2J");
        call.note("200");
        drop(call);
        activity.call();
        let seen = seen.lock().unwrap();
        let [
            Seen::HostCall {
                interface,
                function,
                note,
                ..
            },
        ] = &seen[..]
        else {
            panic!("{seen:?}")
        };
        assert_eq!(
            (*interface, *function, note.as_str()),
            ("http", "send", "GET /a [2J, 200")
        );
    }

    #[test]
    fn nothing_is_made_where_nobody_watches() {
        assert!(Observed::new(&Activity::default(), Interface::Http, "send").is_none());
    }
}
