//! `cargo xtask demo`.

use std::process::Command;

use crate::house::{self, House, Result};

/// Under the top of the repository.
const FOLDER: &str = "demo-out";

/// Builds everything and runs `whimbrel demo`.
pub fn run(house: &House) -> Result<()> {
    crate::build_plugins(house)?;
    let program = house.whimbrel()?;
    let plugins = house.target.join("plugins");
    house::run(
        Command::new(program)
            .current_dir(&house.root)
            .args(["demo", FOLDER, "--plugins"])
            .arg(plugins),
    )?;
    println!("\nthe files are in {}", house.root.join(FOLDER).display());
    Ok(())
}
