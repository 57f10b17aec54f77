//! Progress, for whoever wants to show it.

/// Something that happened during a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The names are the definition; counts are of items, sizes in bytes.
pub enum Progress<'a> {
    /// Work on a mailbox begins.
    Started { mailbox: &'a str },
    /// A collection was listed: so much is waiting in it now.
    Listed {
        mailbox: &'a str,
        collection: &'a str,
        pending: u64,
    },
    /// Everything was listed: so much is to be copied.
    Planned { mailbox: &'a str, items: u64, bytes: u64 },
    /// Items were placed or otherwise settled, and that is on the disk.
    Settled { mailbox: &'a str, items: u64, bytes: u64 },
    /// Something goes on after a pause.
    Waiting {
        mailbox: &'a str,
        reason: String,
        milliseconds: u64,
    },
    /// A mailbox gives its place to another, and goes on after a pause if the run lasts that long.
    Parked {
        mailbox: &'a str,
        reason: &'a str,
        milliseconds: u64,
    },
    /// Something that the admin should know, and that does not stop the mailbox.
    Warning { mailbox: &'a str, text: String },
    /// Work on a mailbox ended.
    Finished { mailbox: &'a str },
}

/// Gets told of progress. Called from several tasks at once; must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notify(&self, progress: Progress<'_>);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn notify(&self, _: Progress<'_>) {}
}
