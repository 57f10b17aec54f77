//! How fast is it? Whimbrel, a bare floor and every peer that is installed copy the same account from one Dovecot to
//! another, in turn, and what arrived is compared message by message: `cargo xtask bench`.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::panic)] // A measuring tool of developers.

mod accounts;
mod contenders;
mod floor;
mod peers;
mod process;
mod results;

use std::time::Duration;

use accounts::Kind;
use contenders::{Contender, Field};
use results::Results;

const USAGE: &str = "usage: cargo xtask bench [OPTIONS]

  --accounts NAMES   some of mixed, small, large, short, with commas between (mixed)
  --on PLACES        where the destination lies: memory, disk or both with a comma (memory)
  --rtt MS           a line with this round trip between everything (0)
  --rounds NUMBER    how often each copies each account (3)
  --only NAMES       only these contenders: whimbrel, floor, mbsync, interimap, imapsync, offlineimap
  --json FILE        write the figures to a file too";

/// What the command line says.
struct Wanted {
    accounts: Vec<Kind>,
    disks: Vec<bool>,
    rtt: Duration,
    rounds: u32,
    only: Vec<String>,
    json: Option<String>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{USAGE}");
        return;
    }
    let wanted = wanted(&words).unwrap_or_else(|problem| {
        eprintln!("{problem}\n\n{USAGE}");
        std::process::exit(2);
    });
    let mut results = Results::default();
    for &disk in &wanted.disks {
        for &kind in &wanted.accounts {
            measure(&wanted, kind, disk, &mut results);
        }
    }
    println!("\n{}", results.markdown());
    if let Some(file) = &wanted.json {
        std::fs::write(file, results.json()).unwrap_or_else(|error| panic!("cannot write {file}: {error}"));
    }
}

fn measure(wanted: &Wanted, kind: Kind, disk: bool, results: &mut Results) {
    let place = if disk { "disk" } else { "memory" };
    println!(
        "{}, destination in {place}, {} ms round trip:",
        kind.name(),
        wanted.rtt.as_millis()
    );
    let mut field = Field::new(kind, disk, wanted.rtt);
    let contenders: Vec<Contender> = Contender::all()
        .into_iter()
        .filter(|one| wanted.only.is_empty() || wanted.only.iter().any(|name| one.name().starts_with(name.as_str())))
        .collect();
    for round in 0..wanted.rounds {
        for contender in &contenders {
            let outcome = field.run(contender, round == 0);
            match &outcome {
                Ok(run) => println!("  {run}"),
                Err(problem) => println!("  {:24} FAILED: {problem}", contender.name()),
            }
            if let Ok(run) = outcome {
                results.add((kind.name(), place, wanted.rtt.as_millis()), run);
            }
        }
    }
}

fn wanted(words: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        accounts: vec![Kind::Mixed],
        disks: vec![false],
        rtt: Duration::ZERO,
        rounds: 3,
        only: Vec::new(),
        json: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
        let number = || value.parse::<u32>().map_err(|_| format!("`{value}` is no number"));
        match word.as_str() {
            "--accounts" => {
                let kind = |name: String| Kind::named(&name).ok_or_else(|| format!("there is no account `{name}`"));
                wanted.accounts = list().into_iter().map(kind).collect::<Result<_, _>>()?;
            }
            "--on" => {
                let place = |name: String| match name.as_str() {
                    "memory" => Ok(false),
                    "disk" => Ok(true),
                    _ => Err(format!("`{name}` is neither memory nor disk")),
                };
                wanted.disks = list().into_iter().map(place).collect::<Result<_, _>>()?;
            }
            "--rtt" => wanted.rtt = Duration::from_millis(number()?.into()),
            "--rounds" => wanted.rounds = number()?.max(1),
            "--only" => wanted.only = list(),
            "--json" => wanted.json = Some(value.clone()),
            other => return Err(format!("there is no option `{other}`")),
        }
    }
    Ok(wanted)
}
