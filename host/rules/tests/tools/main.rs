//! The tools around scripts: their tests, the lints, the comparison, the reference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests fail as tests do.

mod compare;
mod coverage;
mod lint;
mod reference;
mod support;
mod testing;
