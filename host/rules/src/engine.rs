//! The engine of a script: its language, its limits, its functions.

use std::sync::Arc;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Engine, OptimizationLevel};

use crate::options::Limits;
use crate::run;
use crate::script;
use crate::shared::Shared;

/// Expressions within expressions, in functions half of it.
const MOST_NESTED: usize = 64;

/// Functions of one file.
const MOST_FUNCTIONS: usize = 2000;

/// Variables at one time.
const MOST_VARIABLES: usize = 2000;

/// An engine that runs hooks.
///
/// Left out of Rhai's own packages: the core one (`sleep`, `exit`, reflection), time, bit fields and BLOBs.
pub(crate) fn runner(shared: &Arc<Shared>) -> Engine {
    let mut engine = Engine::new_raw();
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    limit(&mut engine, &shared.limits);
    engine.set_strict_variables(true);
    engine.set_optimization_level(OptimizationLevel::Simple);
    engine.on_progress(run::progress);
    let constants = shared.clone();
    // Unstable by Rhai's own word, hence marked so; the version is pinned by Cargo.lock.
    #[allow(deprecated)]
    engine.on_var(move |name, index, context| {
        // Variables of the function itself have an index; those that a closure captured are found by name.
        if index != 0 || context.scope().contains(name) {
            return Ok(None);
        }
        let file = context.source().unwrap_or(&constants.main);
        Ok(constants.constants.get(file, name))
    });
    script::register(&mut engine, shared);
    engine
}

/// An engine that parses only, to learn what constants and imports a file has.
pub(crate) fn scanner(limits: &Limits) -> Engine {
    let mut engine = Engine::new_raw();
    limit(&mut engine, limits);
    engine.set_optimization_level(OptimizationLevel::None);
    engine
}

fn limit(engine: &mut Engine, limits: &Limits) {
    engine.set_max_operations(limits.operations);
    engine.set_max_call_levels(limits.depth);
    engine.set_max_string_size(limits.string_bytes);
    engine.set_max_array_size(limits.array);
    engine.set_max_map_size(limits.map);
    engine.set_max_expr_depths(MOST_NESTED, MOST_NESTED / 2);
    engine.set_max_functions(MOST_FUNCTIONS);
    engine.set_max_variables(MOST_VARIABLES);
    engine.disable_symbol("eval");
}
