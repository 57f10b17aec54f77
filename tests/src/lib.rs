//! End-to-end tests against real servers, their testbed and the corpus.
//!
//! The library shares no code with the program under test: it has its own IMAP client, its own Maildir and mbox
//! readers and its own hashes, so that a fault in the program cannot hide behind the same fault in the check.
//! Whatever goes wrong in here fails the test at once: functions panic with a text that says what and where.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // This is test code, though cargo calls it a library.

pub mod account;
pub mod authority;
pub mod compare;
pub mod corpus;
pub mod dav;
pub mod html;
pub mod imap;
pub mod instances;
pub mod kit;
pub mod provider;
pub mod proxy;
pub mod readers;
pub mod ruled;
pub mod run;
pub mod scratch;
pub mod servers;
pub mod sieve;
pub mod snapshot;
pub mod trouble;
pub mod workshop;
pub mod writers;
