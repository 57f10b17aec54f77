//! What became of a migration, for the people who sign it off: the ledger added up, as plain data and as a page.
//!
//! [`gather`] goes over the ledger once and gives a [`Report`], which is stable JSON; [`page`] writes it as one HTML file
//! that needs nothing else. Neither reads anything but the ledger and what the caller passes.

mod bounded;
pub mod figures;
mod gather;
mod html;
mod report;
mod verdict;
mod verified;

pub use gather::{Request, SideNames, gather};
pub use html::{MARK, page};
pub use report::{
    Advice, Applied, Bin, Connector, Difference, Done, FailedItem, Folder, Level, Lists, Mailbox, Migration, Overall,
    OversizeItem, Period, Problem, RatePoint, Reason, Report, Run, RunEnd, Runs, Server, Side, State, Tallied,
};
pub use verified::{Looked, Verified, VerifiedReason};
