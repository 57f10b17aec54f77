//! Scripts, run through the public API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests fail as tests do.

mod abuse;
mod deciding;
mod helpers;
mod items;
mod loading;
mod property;
mod reading;
mod support;
