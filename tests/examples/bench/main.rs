//! How fast is it? Whimbrel, a bare floor and every peer that is installed copy the same account from one Dovecot to
//! another, in turn, and what arrived is compared message by message: `cargo xtask bench`.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::panic)] // A measuring tool of developers.

mod accounts;
mod charts;
mod connectors;
mod contenders;
mod field;
mod floor;
mod peers;
mod process;
mod results;
mod run;
mod tiny;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use accounts::Kind;
use contenders::Contender;
use field::Field;
use results::{Course, Results};

const USAGE: &str = "usage: cargo xtask bench [OPTIONS]

  --accounts NAMES   some of these, with commas between (mixed):
                       mixed     10,000 messages of ordinary sizes in 20 folders
                       small     50,000 messages of 2 to 3 KB in 20 folders
                       large     40 messages of 25 MB in 4 folders
                       short     2,000 messages of ordinary sizes in 20 folders, for slow lines
                       fleet     200 users with 200 messages of ordinary sizes each, in one run
                       million   1,000,000 messages of 300 bytes in 50 folders; needs 11 GB of memory
  --on PLACES        where the destination lies: memory, disk or both with a comma (memory)
  --rtt MS           a line with this round trip between everything (0)
  --rounds NUMBER    how often each copies each account (3)
  --at-once NUMBER   how many users of a fleet the program moves at once (its default)
  --only NAMES       only contenders whose names begin so, with commas between: whimbrel, engine, floor, mbsync,
                     interimap, imapsync, offlineimap, dsync, dsync-imapc
  --json FILE        write the figures of every run to a file too
  --charts FOLDER    write a bar chart of each account's wall times into a folder too, e.g. mixed-memory.svg

Programs other than whimbrel take part where they are installed, but not with fleet and million. After each copy by a
program, the run with nothing new is made three times. Each round begins with another contender; the first copy of each
is compared with the source message by message (of a fleet, 21 users; of the million, the numbers of messages).
What programs remember lies where the destination lies. On disk, whimbrel takes part a second time with its ledger in memory,
which tells the price of the ledger's flushes. The mixed and the small account are copied by the engine alone, too, with the
connector sandboxed and with its code called directly, which tells the price of the sandbox.";

/// What the command line says.
struct Wanted {
    accounts: Vec<Kind>,
    disks: Vec<bool>,
    rtt: Duration,
    rounds: u32,
    at_once: Option<u32>,
    only: Vec<String>,
    json: Option<String>,
    charts: Option<PathBuf>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{USAGE}");
        return;
    }
    if let Some((connectors::HERE, rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        if let Err(problem) = connectors::run(rest) {
            eprintln!("{problem}");
            std::process::exit(1);
        }
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
    if let Some(folder) = &wanted.charts {
        charts::write(&results, folder).unwrap_or_else(|error| panic!("cannot write {}: {error}", folder.display()));
    }
}

fn measure(wanted: &Wanted, kind: Kind, disk: bool, results: &mut Results) {
    let course = Course {
        kind,
        place: if disk { "disk" } else { "memory" },
        rtt: wanted.rtt.as_millis(),
    };
    println!(
        "{}, destination in {}, {} ms round trip:",
        kind.name(),
        course.place,
        course.rtt
    );
    let is_wanted = |name: String| wanted.only.is_empty() || wanted.only.iter().any(|only| name.starts_with(only));
    let mut contenders = Contender::all(kind, disk);
    contenders.retain(|contender| is_wanted(contender.name()));
    if contenders.is_empty() {
        println!("  nobody who is asked for can copy it here");
        return;
    }
    let mut field = Field::new(kind, disk, wanted);
    for _ in 0..wanted.rounds {
        for contender in &contenders {
            let name = contender.name();
            let look = !results.compared(course, &name);
            // Who breaks does not keep the others from running.
            let outcome = catch_unwind(AssertUnwindSafe(|| field.run(contender, look)));
            match outcome.unwrap_or_else(|_| Err("it broke, see above".to_owned())) {
                Ok(run) => {
                    println!("  {run}");
                    results.add(course, run);
                }
                Err(problem) => println!("  {name:32} FAILED: {problem}"),
            }
        }
        // What changes in the course of time is shared out.
        contenders.rotate_left(1);
    }
    if let Some(partly) = kind.partly() {
        println!("  {partly}");
    }
}

fn wanted(words: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        accounts: vec![Kind::Mixed],
        disks: vec![false],
        rtt: Duration::ZERO,
        rounds: 3,
        at_once: None,
        only: Vec::new(),
        json: None,
        charts: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
        let number = || value.parse::<u32>().map_err(|_| format!("`{value}` is no number"));
        let positive = || match number()? {
            0 => Err(format!("{word} must be at least 1")),
            number => Ok(number),
        };
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
            "--rounds" => wanted.rounds = positive()?,
            "--at-once" => wanted.at_once = Some(positive()?),
            "--only" => wanted.only = list(),
            "--json" => wanted.json = Some(value.clone()),
            "--charts" => wanted.charts = Some(Path::new(value).to_owned()),
            other => return Err(format!("there is no option `{other}`")),
        }
    }
    Ok(wanted)
}
