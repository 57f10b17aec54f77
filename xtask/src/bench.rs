//! `cargo xtask bench`.

use std::process::Command;

use crate::house::{self, House, Result};
use crate::servers;

/// Sets up servers, builds the program as it is shipped, and measures it; `words` are the options of the benchmark.
pub fn run(house: &House, words: &[&str]) -> Result<()> {
    servers::ensure(house)?;
    crate::build_plugins(house)?;
    let build = [
        "build",
        "--release",
        "--workspace",
        "--features",
        "whimbrel/jemalloc",
        "--bin",
        "whimbrel",
        "--example",
        "bench",
    ];
    house::run(&mut house.cargo(build))?;
    let program = house.target.join("release").join("examples").join("bench");
    house::run(Command::new(program).args(words).current_dir(&house.root))
}
