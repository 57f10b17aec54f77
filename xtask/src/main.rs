//! Set-up, plugin builds, demo, tests, benchmark and docs: `cargo xtask <verb>`.
#![allow(clippy::print_stdout, clippy::print_stderr)] // A developer's tool talks on the terminal.

mod bench;
mod contract;
mod demo;
mod docs;
mod house;
mod plugins;
mod servers;
mod test;
mod tools;

use std::process::ExitCode;

use house::{House, Result};

const USAGE: &str = "usage: cargo xtask <verb>

  plugins        build the connectors into components: <target>/plugins/<name>.wasm
  demo           build everything and migrate a built-in sample account into ./demo-out
  bench …        measure the program against a floor and other programs; `bench --help` tells how
  tools          set up what tests build connectors in Python and JavaScript with: <target>/kit
  test           set up the servers and tools that tests need, build everything, run every test
  docs           write the generated parts of the documents
  docs --check   fail if one of them is not current";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    let house = House::find()?;
    match words {
        ["plugins"] => build_plugins(&house),
        ["demo"] => demo::run(&house),
        ["bench", words @ ..] => bench::run(&house, words),
        ["tools"] => tools::ensure(&house),
        ["test"] => test::run(&house),
        ["docs"] => docs::run(&house, false),
        ["docs", "--check"] => docs::run(&house, true),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => Err(USAGE.into()),
        other => Err(format!("unknown: {}\n\n{USAGE}", other.join(" ")).into()),
    }
}

/// Every connector into its component; says where they are.
fn build_plugins(house: &House) -> Result<()> {
    plugins::build(&house.root, &house.target)?;
    println!("the connectors are in {}", house.target.join("plugins").display());
    Ok(())
}
