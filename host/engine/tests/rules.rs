//! The engine with rules, against stores that break and runs that are killed: no script makes an item vanish, or be
//! there twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // Tests may panic.

#[path = "rules/delta.rs"]
mod delta;
#[path = "rules/errors.rs"]
mod errors;
#[path = "rules/hooks.rs"]
mod hooks;
#[path = "rules/places.rs"]
mod places;
mod support;
#[path = "rules/world.rs"]
mod world;

use proptest::prelude::*;
use support::Life;
use world::{Change, Plan, World};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// As many as are told, or enough.
fn cases() -> ProptestConfig {
    let told = std::env::var("PROPTEST_CASES").ok().and_then(|told| told.parse().ok());
    ProptestConfig {
        cases: told.unwrap_or(96),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    /// Whatever a script says and whatever breaks: each item has one fate, that of its rules, and each message that
    /// moved lies once where they want it, and nowhere else.
    #[test]
    fn no_script_makes_an_item_vanish_or_be_there_twice(plan in Plan::any(0)) {
        block_on(async {
            let mut world = World::new(&plan);
            let report = world.run_out().await;
            world.check(&report)
        })?;
    }

    /// Killed at any call, in the middle of it or before its answer, with everything lost that was not flushed.
    #[test]
    fn killed_at_any_moment_the_same_decisions_take_effect_once(plan in Plan::any(6)) {
        block_on(async {
            let mut world = World::new(&plan);
            for (calls, end) in &plan.kills {
                world.run_killed(&Life::new(*calls, *end)).await;
            }
            let report = world.run_out().await;
            world.check(&report)
        })?;
    }

    /// New mail, other flags, messages that moved and ids that changed, with faults: it comes to what a first run of
    /// the source as it is now would come to.
    #[test]
    fn what_changes_at_the_source_follows_the_rules(
        plan in Plan::steady(0),
        changes in prop::collection::vec(Change::any(), 1..12),
    ) {
        block_on(async {
            let mut world = World::new(&plan);
            let report = world.run_out().await;
            world.check(&report)?;
            world.change(&plan, &changes);
            let report = world.run_out().await;
            world.check(&report)
        })?;
    }

    /// The same, killed in between.
    #[test]
    fn what_changes_at_the_source_follows_the_rules_through_kills(
        plan in Plan::steady(4),
        changes in prop::collection::vec(Change::any(), 1..12),
    ) {
        block_on(async {
            let mut world = World::new(&plan);
            world.run_out().await;
            world.change(&plan, &changes);
            for (calls, end) in &plan.kills {
                world.run_killed(&Life::new(*calls, *end)).await;
            }
            let report = world.run_out().await;
            world.check(&report)
        })?;
    }
}
