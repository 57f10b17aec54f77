//! `cargo xtask test`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::house::{House, Result, line};
use crate::{servers, tools};

/// Tests that ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Counts the summary lines of the test harness.
    fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        let Some((_, counts)) = rest.split_once(". ") else {
            return;
        };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(word)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Sets up servers, builds everything, runs every test, and says in its last line how many passed and failed.
pub fn run(house: &House) -> Result<()> {
    servers::ensure(house)?;
    tools::ensure(house)?;
    crate::build_plugins(house)?;
    house.whimbrel()?;
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    let mut plugins = house.cargo([
        "test",
        "--no-fail-fast",
        "--manifest-path",
        "plugins/Cargo.toml",
        "--workspace",
    ]);
    plugins.env("CARGO_TARGET_DIR", house.target.join("plugins-native"));
    // What tests of connectors use is no part of what is built with the workspace.
    let mut sdk = house.cargo([
        "test",
        "--no-fail-fast",
        "--package",
        "whimbrel-plugin",
        "--all-features",
    ]);
    sdk.env("CARGO_TARGET_DIR", house.target.join("plugins-native"));
    let mut workspace = house.cargo(["test", "--no-fail-fast", "--workspace"]);
    for command in [&mut plugins, &mut sdk, &mut workspace] {
        if !follow(command, &mut tally)? {
            broken.push(line(command));
        }
    }
    if tally.ignored > 0 {
        println!("{} ignored", tally.ignored);
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    match broken.as_slice() {
        [] if tally.passed == 0 => Err("no test ran".into()),
        [] => Ok(()),
        lines => Err(format!("failed: {}", lines.join("; ")).into()),
    }
}

/// Runs it, shows and reads what it writes; whether it succeeded.
fn follow(command: &mut Command, tally: &mut Tally) -> Result<bool> {
    let shown = line(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            std::io::stdout().write_all(&bytes)?;
            tally.read(&String::from_utf8_lossy(&bytes));
            bytes.clear();
        }
    }
    Ok(child.wait()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 2 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: nonsense",
        ] {
            tally.read(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed: 15,
                failed: 2,
                ignored: 1
            }
        );
    }
}
